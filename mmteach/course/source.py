"""A chapter's text source → the cells of its notebook. One way: a notebook is never read back into its source.

| name            | what it is for                                                                |
|-----------------|-------------------------------------------------------------------------------|
| `cells_of`      | the notebook a source stands for, without outputs                               |
| `needs_running` | whether stored outputs still belong to these cells                              |
| `with_outputs`  | the new cells with the stored outputs                                           |
| `identity`      | a cell's id, from its content                                                    |
| `normalised`    | the notebook as it is stored: no widget state, no timing, nothing of the machine |
| `steady`        | a text without what is another in each run                                       |
| `text_of`       | the notebook's file, to the byte                                                |

A source is a py:percent file: `# %% [markdown]` and `# %%` begin cells, `# %% tags=["measured"]` tags one. The first
cell is the chapter's header; the badge that opens the notebook on Colab is added to it, and the cell that installs
`mmteach` there is put behind it. Marks for the formatter (`# fmt: skip`) stay in the source.

| tag                | for a cell …                                                                              |
|--------------------|--------------------------------------------------------------------------------------------|
| `measured`         | that prints results: digits are compared on the same kind of machine only, verdicts always   |
| `timed`            | that prints seconds or memory: digits are never compared                                     |
| `raises-exception` | that is meant to raise                                                                       |
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from mmteach.course import settings
from mmteach.course.paths import CourseError

WIDGET = "application/vnd.jupyter.widget-view+json"
BOOTSTRAP = """\
# On Colab this installs the course's library; anywhere else it is there already, and nothing happens.
import importlib.util

if importlib.util.find_spec("mmteach") is None:
    %pip install -q "mmteach @ git+https://github.com/{repository}@{branch}\""""
# The picture lies beside the notebooks: opening a chapter asks nothing of the network.
BADGE = "[![Open this chapter in Colab](images/colab.svg)]"
BADGE += "(https://colab.research.google.com/github/{repository}/blob/{branch}/{path})"

# What the formatter is told is nothing that a reader needs.
FORMATTER = re.compile(r"  # fmt: skip$", re.MULTILINE)
# JupyterLab leaves no space below what unfolds: the next question would seem to belong to the answers above it.
AFTER_FOLD = re.compile(r"(?<=</details>)\n\n(?!<details|#)")
GAP = "\n\n<br>\n\n"


def cells_of(source: Path, path: str) -> NotebookNode:
    """The notebook that `source` stands for: its cells, the Colab badge and bootstrap cell, and ids that stay.

    path: where the notebook lies in the repository, for the badge's address

    Raises CourseError where the source is no py:percent file that begins with a markdown cell.
    """
    try:
        read = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    except Exception as error:
        raise CourseError(f"{source} cannot be read as a py:percent file: {error}") from error
    if not read.cells or read.cells[0].cell_type != "markdown":
        raise CourseError(f"{source} must begin with a markdown cell, the chapter's header (# %% [markdown])")
    where = {"repository": settings.COLAB_REPOSITORY, "branch": settings.COLAB_BRANCH, "path": path}
    heading, _, rest = read.cells[0].source.partition("\n")
    read.cells[0].source = f"{heading}\n\n{BADGE.format(**where)}\n{rest}".rstrip()
    read.cells.insert(1, new_code_cell(BOOTSTRAP.format(**where), metadata={"tags": ["colab"]}))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook = new_notebook(cells=read.cells, metadata=metadata)
    notebook.nbformat_minor = 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        cell.source = FORMATTER.sub("", cell.source) if cell.cell_type == "code" else AFTER_FOLD.sub(GAP, cell.source)
        cell.metadata = NotebookNode({"tags": list(cell.metadata.tags)} if cell.metadata.get("tags") else {})
        cell.id = identity(cell, seen)
    return notebook


def identity(cell: NotebookNode, seen: dict[str, int]) -> str:
    """An id that depends on the cell's content alone, so that a new cell changes no other; repeats are numbered."""
    digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
    seen[digest] = seen.get(digest, 0) + 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def needs_running(cells: NotebookNode, stored: NotebookNode | None) -> bool:
    """Whether code changed since `stored` was executed, or it never was, or one of its cells failed unexpectedly."""
    if stored is None or [cell.source for cell in _code(cells)] != [cell.source for cell in _code(stored)]:
        return True
    return any(
        (cell.source.strip() and cell.execution_count is None)
        or (
            any(o.output_type == "error" for o in cell.outputs)
            and "raises-exception" not in cell.metadata.get("tags", [])
        )
        for cell in _code(stored)
    )


def with_outputs(cells: NotebookNode, stored: NotebookNode) -> NotebookNode:
    """`cells` with the outputs of `stored`, whose code is the same, in the same order."""
    for new, old in zip(_code(cells), _code(stored), strict=True):
        new.outputs, new.execution_count = old.outputs, old.execution_count
    if "mmteach" in stored.metadata:
        cells.metadata["mmteach"] = stored.metadata["mmteach"]
    return normalised(cells)


def normalised(notebook: NotebookNode) -> NotebookNode:
    """The notebook as it is stored: what differs from run to run without meaning anything is gone.

    A widget's output goes too: without a running kernel it could only say that it has none, and the static figure that
    stands beside each widget shows what it would.
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = NotebookNode(name="python")
    for cell in _code(notebook):
        cell.metadata.pop("execution", None)
        cell.outputs = [_output(o) for o in cell.outputs if WIDGET not in o.get("data", {})]
        for o in cell.outputs:
            if o.output_type == "execute_result":
                o.execution_count = cell.execution_count
    return notebook


def steady(value: Any) -> Any:
    """`value`, if it is text, without addresses in memory, which are others each time: <Axes at 0x7f…>."""
    return re.sub(r"\bat 0x[0-9a-f]{6,}", "at 0x…", value) if isinstance(value, str) else value


def _output(output: NotebookNode) -> NotebookNode:
    if output.output_type == "stream":
        output.text = steady(output.text)
    for kind in output.get("data", {}):
        if kind.startswith("text/"):
            output.data[kind] = steady(output.data[kind])
    return output


def text_of(notebook: NotebookNode) -> str:
    """The file's content: checked against the format, keys in order, one indent a level, a last line break."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"
