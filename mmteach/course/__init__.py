"""The course around the library: from text sources to executed notebooks, run, checked and opened.

| module     | what it does                                                                     |
|------------|----------------------------------------------------------------------------------|
| `paths`    | where the course lies, which chapters it has, files written whole or not at all   |
| `settings` | what a teacher who publishes a copy changes: the repository that Colab installs   |
| `source`   | a chapter's text source → the cells of its notebook                               |
| `execute`  | run a notebook in a fresh kernel: outputs, time, memory, claims, the first error  |
| `build`    | `mmteach build`: sources → executed notebooks, or whether they still agree        |
| `run`      | `mmteach run`: execute chapters and say a line about each                         |
| `verify`   | `mmteach verify`: how often each claim holds on fresh seeds                       |
| `compare`  | do two runs of a cell show the same? (what the notebook tests ask)                |
| `lab`      | `mmteach lab`: JupyterLab on the course                                           |
"""
