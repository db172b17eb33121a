"""A stranger's notebook file as a list of cells, or one clear sentence about why that cannot be.

| name         | what it is                                                     |
|--------------|------------------------------------------------------------------|
| `Cell`       | type, source, and the ids that may say which cell it was         |
| `cells_of`   | bytes → cells; raises `Unreadable`                               |

Only the sources are taken; outputs, widgets and the rest of the metadata are dropped unread. Formats 3 and 4 both are read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 150 << 20
MOST_CELLS = 20_000
MOST_CHARACTERS = 1 << 20  # of one cell


class Unreadable(ValueError):
    """The file is no notebook; the message says why."""


@dataclass(frozen=True)
class Cell:
    """One cell. grade_id: nbgrader's; id: the notebook format's own; "" where there is none."""

    code: bool
    source: str
    grade_id: str = ""
    id: str = ""
    nbgrader: Any = None


def cells_of(data: bytes) -> list[Cell]:
    """The cells of a notebook file; raises Unreadable."""
    tree = tree_of(data)
    found = tree.get("cells")
    if found is None and isinstance(tree.get("worksheets"), list):  # format 3
        sheets = [sheet.get("cells") for sheet in tree["worksheets"] if isinstance(sheet, dict)]
        lists = [cells for cells in sheets if isinstance(cells, list)]
        found = [cell for cells in lists for cell in cells] if len(lists) == len(sheets) else None
    if not isinstance(found, list):
        raise Unreadable("this is JSON, but no notebook: it has no cells")
    if len(found) > MOST_CELLS:
        raise Unreadable(f"{len(found):,} cells are more than the {MOST_CELLS:,} that are read")
    return [_cell(one) for one in found if isinstance(one, dict)]


def tree_of(data: bytes) -> dict[str, Any]:
    """The JSON object that the file holds; raises Unreadable."""
    if len(data) > MOST_BYTES:
        raise Unreadable(
            f"{len(data) >> 20} MB are more than the {MOST_BYTES >> 20} MB that are read: clear the outputs"
        )
    if not data.strip():
        raise Unreadable("the file is empty")
    try:
        tree = json.loads(_text(data))
    except RecursionError:
        raise Unreadable("not a notebook: nested too deep") from None
    except ValueError as error:
        start = data[:200].lstrip().lower()
        if start.startswith((b"<!doctype", b"<html")):
            raise Unreadable("this is a web page, not a notebook: it was saved from a browser") from None
        raise Unreadable(f"not a notebook: the JSON breaks off or is damaged ({error})") from None
    if not isinstance(tree, dict):
        raise Unreadable("this is JSON, but no notebook")
    return tree


def _text(data: bytes) -> str:
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return data.decode("latin-1")  # saved by an editor in another encoding: the ASCII parts are right


def _cell(raw: dict[str, Any]) -> Cell:
    source = raw.get("source", raw.get("input", ""))
    if isinstance(source, list):
        source = "".join(one for one in source if isinstance(one, str))
    source = source if isinstance(source, str) else ""
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    marks = metadata.get("nbgrader")
    marks = marks if isinstance(marks, dict) else {}
    return Cell(
        code=raw.get("cell_type") == "code",
        source=source[:MOST_CHARACTERS].replace("\0", "").encode(errors="replace").decode(),
        grade_id=_word(marks.get("grade_id")),
        id=_word(raw.get("id")),
        nbgrader=marks,
    )


def _word(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""
