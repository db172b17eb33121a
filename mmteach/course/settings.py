"""What a teacher changes who publishes the course under an address of their own; `mmteach build` stamps it everywhere."""

# The repository on GitHub and its branch: where Colab opens the notebooks and installs `mmteach` from.
COLAB_REPOSITORY = "mmteach/mmteach"
COLAB_BRANCH = "main"
