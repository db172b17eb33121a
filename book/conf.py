"""The course as a site: the executed notebooks as they are stored, nothing is run. `make book` builds it."""

import os
import shutil
from pathlib import Path

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent / "notebooks"

# Sphinx reads what lies under its own folder: the chapters come along as copies, and go with their originals.
shutil.rmtree(HERE / "chapters", ignore_errors=True)
(HERE / "chapters").mkdir()
for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
    shutil.copy2(path, HERE / "chapters")
shutil.copytree(NOTEBOOKS / "images", HERE / "chapters" / "images")

project = "mmteach"
author = "The mmteach authors"
project_copyright = "The mmteach authors, MIT licence"
extensions = ["myst_nb"]
exclude_patterns = ["_build"]
templates_path: list[str] = []

nb_execution_mode = "off"
nb_merge_streams = True
nb_mime_priority_overrides = [("html", "image/svg+xml", 1), ("html", "image/png", 2)]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = "mmteach: multimodal learning, hands on"
html_theme_options = {"use_download_button": True, "home_page_in_toc": True}
html_last_updated_fmt = None
os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # the same notebooks give the same pages
