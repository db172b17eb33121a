"""What an assignment asks: read from the instructor's notebook, never from a submission.

| name         | what it is                                                                     |
|--------------|----------------------------------------------------------------------------------|
| `Assignment` | the instructor's cells, and the items that give points                           |
| `Item`       | one of them: a task of the value oracle, a foreign test cell, or one for a human |
| `Source`     | one of the instructor's cells and what it is for                                |
| `find`       | the assignment of a name: in an nbgrader course's folders, or in this course      |
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmteach.grading.notebook import Cell, Unreadable, cells_of

ROLES = ("setup", "answer", "test", "manual", "text")
CHECK = re.compile(r"^\s*check\(", re.MULTILINE)


class AssignmentError(ValueError):
    """There is no such assignment, or its notebook cannot be used; the message says what there is."""


@dataclass(frozen=True)
class Source:
    """One of the instructor's cells. locked: its text counts, whatever a submission made of it."""

    key: str
    role: str
    code: bool
    source: str
    locked: bool
    names: tuple[str, ...] = ()
    cell_id: str = ""


@dataclass(frozen=True)
class Item:
    """What gives points. kind: oracle (`task`, and the name `answer` that holds it), assert (a foreign test cell), manual.

    at: the place of its cell among the sources
    """

    id: str
    kind: str
    points: float
    at: int
    task: str = ""
    answer: str = ""


@dataclass(frozen=True)
class Assignment:
    """The instructor's notebook, taken apart."""

    name: str
    sources: tuple[Source, ...]
    items: tuple[Item, ...]
    references: str = ""  # a module of references in the place of the course's own

    @property
    def points(self) -> float:
        return sum(item.points for item in self.items)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(item.task for item in self.items if item.kind == "oracle")

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules that the instructor's own cells import: a server loads them once, before it forks."""
        found: dict[str, None] = {}
        for source in self.sources:
            if not (source.code and source.locked):
                continue
            with contextlib.suppress(SyntaxError):  # a magic, perhaps
                for node in ast.walk(ast.parse(source.source)):
                    if isinstance(node, ast.Import):
                        found.update(dict.fromkeys(alias.name for alias in node.names))
                    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                        found.update(dict.fromkeys([node.module, *(f"{node.module}.{a.name}" for a in node.names)]))
        return tuple(found)

    @property
    def guarded(self) -> bool:
        return any(item.kind == "assert" for item in self.items)

    def as_plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_plain(cls, data: dict[str, Any]) -> Assignment:
        sources = tuple(Source(**{**one, "names": tuple(one["names"])}) for one in data["sources"])
        return cls(data["name"], sources, tuple(Item(**one) for one in data["items"]), data["references"])

    @property
    def digest(self) -> str:
        """Changes with everything that a grade depends on here."""
        return hashlib.sha256(json.dumps(self.as_plain(), sort_keys=True).encode()).hexdigest()

    @classmethod
    def read(cls, path: Path, name: str = "", references: str = "") -> Assignment:
        """From the instructor's notebook; raises AssignmentError."""
        try:
            cells = cells_of(path.read_bytes())
        except (OSError, Unreadable) as error:
            raise AssignmentError(f"{path} cannot be read: {error}") from error
        sources, items, keys = [], [], set[str]()
        for number, cell in enumerate(cells):
            marks = cell.nbgrader or {}
            role = _role(cell, marks)
            key = cell.grade_id or f"cell-{number}"
            if key in keys:
                raise AssignmentError(f"{path}: two cells have the grade_id {key!r}")
            keys.add(key)
            if role in ("test", "manual"):
                items.append(_item(cell, key, role, _points(marks, path, key), number))
            names = defined(cell.source) if role == "answer" else ()
            locked = role == "test" or (bool(marks.get("locked")) and role in ("setup", "text"))
            sources.append(Source(key, role, cell.code, cell.source, locked, names, cell.id))
        if not items:
            raise AssignmentError(f"{path} has no cell that gives points: no test cell, none to be marked by hand")
        return cls(name or path.stem, tuple(sources), tuple(items), references)


def _role(cell: Cell, marks: dict[str, Any]) -> str:
    grade, solution, task = (bool(marks.get(name)) for name in ("grade", "solution", "task"))
    if task or (grade and solution):
        return "manual"
    if grade and cell.code:
        return "test"
    if solution and cell.code:
        return "answer"
    return "setup" if cell.code else "text"


def _points(marks: dict[str, Any], path: Path, key: str) -> float:
    points = marks.get("points", 0)
    if isinstance(points, bool) or not isinstance(points, (int, float)) or not 0 <= points < 1e6:
        raise AssignmentError(f"{path}: cell {key!r} has {points!r} for points")
    return float(points)


def _item(cell: Cell, key: str, role: str, points: float, at: int) -> Item:
    called = _checked(cell.source) if role == "test" else None
    if called:
        return Item(key, "oracle", points, at, *called)
    return Item(key, "assert" if role == "test" else "manual", points, at)


def _checked(source: str) -> tuple[str, str] | None:
    """(task, name of the answer) of a test cell that is one call check("task", answer)."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return None
    calls = [one.value for one in body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)]
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "check" and len(call.args) == 2:
            task, answer = call.args
            if isinstance(task, ast.Constant) and isinstance(task.value, str) and isinstance(answer, ast.Name):
                return task.value, answer.id
    return None


DEFINES = re.compile(r"^(?:async +def|def|class) +(\w+)|^(\w+) *(?::[^=\n]+)?=(?!=)", re.MULTILINE)


def defined(source: str) -> tuple[str, ...]:
    """The names that a cell's top level defines; by its text, so that a cell with an error has some too."""
    return tuple(dict.fromkeys(one or other for one, other in DEFINES.findall(source)))


def only_prints(source: str) -> bool:
    """Whether a cell is nothing but calls of print."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    calls = [one.value for one in body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)]
    return bool(body) and len(calls) == len(body) and all(getattr(call.func, "id", "") == "print" for call in calls)


def find(name: str, places: list[Path], references: str = "", courses: list[Path] | None = None) -> Assignment:
    """The assignment `name`: PLACE/source/NAME/*.ipynb, PLACE/release/NAME/*.ipynb or PLACE/NAME.ipynb, the first there is.

    courses: looked at before the places, and for source/NAME and release/NAME only
    """
    courses = courses or []
    folders = [place / kind / name for place in courses for kind in ("source", "release")]
    tried = [path for folder in folders for path in sorted(folder.glob("*.ipynb"))]
    for place in places:
        folders = [place / "source" / name, place / "release" / name, place / name]
        tried += [*(path for folder in folders for path in sorted(folder.glob("*.ipynb"))), place / f"{name}.ipynb"]
    for path in tried:
        if path.is_file():
            return Assignment.read(path, name, references)
    there = sorted(
        {p.stem for place in places for p in place.glob("*.ipynb")}
        | {
            p.name
            for place in [*courses, *places]
            for kind in ("source", "release")
            for p in (place / kind).glob("*")
            if p.is_dir()
        }
    )
    raise AssignmentError(f"no assignment is called {name!r}; there are {', '.join(there) or 'none'}")
