"""What Sphinx reads beside the written pages: chapters with their widgets, exercises, the reference; all made anew.

Sphinx reads what lies under its own folder. The folders here are named as in the repository, so that a link from one
notebook to another, and the address on Colab, are the same in both.
"""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import nbformat
import reference
from nbformat import NotebookNode

from mmteach.course import widgets
from mmteach.course.source import WIDGET

STILL = (
    "*An interactive demonstration, in its first state. It answers in JupyterLab and on Colab; "
    "the still figure near it shows the same point.*"
)
LINK = re.compile(r"(\]\((?:\.\./)?(?:[\w/]*\.ipynb)?)#([^)\s]+)\)")
SUMMARY = re.compile(r"<summary>.*?</summary>", re.DOTALL)


def write(root: Path, book: Path) -> None:
    """Make book/notebooks, book/exercises and book/reference from the repository at `root`."""
    for name in ("notebooks", "exercises"):
        shutil.rmtree(book / name, ignore_errors=True)
        (book / name).mkdir()
        for path in sorted((root / name).glob("[0-9][0-9]_*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            page(notebook, book / "widgets" / f"{path.stem}.json" if name == "notebooks" else Path())
            nbformat.write(notebook, book / name / path.name)
    shutil.copytree(root / "notebooks" / "images", book / "notebooks" / "images")
    shutil.rmtree(book / "reference", ignore_errors=True)
    reference.write(root / "mmteach", book / "reference")


def page(notebook: NotebookNode, kept: Path) -> None:
    """Turn a notebook into what its page shows: anchors as the site makes them, widgets in their first state."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(lambda m: f"{m[1]}#{anchor(unquote(m[2]))})", cell.source)
            cell.source = SUMMARY.sub(lambda m: re.sub(r"\$([^$]+)\$", formula, m[0]), cell.source)
        if "colab" in cell.metadata.get("tags", []):
            cell.metadata.tags = ["remove-cell"]  # it installs the library on Colab, and says nothing to a reader
    for identity in widgets.put_back(notebook, kept):
        (cell,) = (cell for cell in notebook.cells if cell.id == identity)
        place = next(i for i, output in enumerate(cell.outputs) if WIDGET in output.get("data", {}))
        cell.outputs.insert(place, nbformat.v4.new_output("display_data", {"text/markdown": STILL}))


def formula(found: re.Match[str]) -> str:
    """A formula inside of HTML, which Sphinx hands on unread, as MathJax finds it."""
    return f'<span class="math notranslate nohighlight">\\({html.escape(found[1], quote=False)}\\)</span>'


def anchor(heading: str) -> str:
    """A heading's anchor, from the one that JupyterLab gives it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace(" ", "-"))
