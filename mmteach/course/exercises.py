"""solutions/src/*.py → the instructor's notebook and the student's: one source, valid nbgrader assignments (schema 3).

| name          | what it does                                                                     |
|---------------|-----------------------------------------------------------------------------------|
| `instructors` | a source → the notebook with answers, without outputs                              |
| `students`    | that notebook with its answers taken out                                           |
| `prompt`      | a task's text: what to do, points, hints that unfold, where to read again           |

A source is a py:percent file as a chapter's (`mmteach.course.source`), and besides

| what stands in it                             | what it is                                                          |
|-----------------------------------------------|----------------------------------------------------------------------|
| a markdown cell `{{fusion.gated}}`            | the task's prompt, from `mmteach.exercises`                          |
| `# BEGIN SOLUTION` … `# END SOLUTION`         | the answer; in the student's notebook `raise NotImplementedError()`  |
| `check("fusion.gated", Gated)`, its own cell  | the automatic test, worth the task's points                          |
| a markdown cell tagged `open:6`               | the answer to an open question of 6 points; the rubric in solution marks |
| a code cell tagged `needs-answer`             | raises as long as the answers before it are missing                 |
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nbformat import NotebookNode

from mmteach.course import source
from mmteach.course.paths import CourseError
from mmteach.exercises import find
from mmteach.exercises.task import Task

BEGIN, END = "BEGIN SOLUTION", "END SOLUTION"
CHECK = re.compile(r'^check\("([^"]+)", [^\n]+\)$', re.MULTILINE)
PLACE = re.compile(r"\{\{([\w.]+)\}\}")
STUB = {"code": ["# YOUR CODE HERE", "raise NotImplementedError()"], "markdown": ["YOUR ANSWER HERE"]}  # nbgrader's
NEEDS, OPEN, RAISES = "needs-answer", "open:", "raises-exception"


def prompt(task: Task, number: int, chapter: str) -> str:
    """The Markdown of a task; `chapter` is the stem of the chapter's notebook."""
    stars = "★" * task.difficulty + "☆" * (3 - task.difficulty)
    points = f"{task.points} point" + ("s" if task.points > 1 else "")
    head = (
        f"## {number} · {task.title}\n\n`{task.name}` · {task.kind} · {points} · about {task.minutes} minutes · {stars}"
    )
    sections = [
        f"[{heading}](../notebooks/{chapter}.ipynb#{quote(heading.replace(' ', '-'))})" for heading in task.links
    ]
    parts = [head, task.prompt.strip(), f"Read again: {'; '.join(sections)}."]
    for i, hint in enumerate(task.hints, start=1):
        parts.append(f"<details><summary>Hint {i}</summary>\n\n{hint}\n\n</details>")
    return "\n\n".join(parts)


def instructors(path: Path) -> NotebookNode:
    """The instructor's notebook that a source stands for: prompts filled in, answers in place, nbgrader's metadata.

    Raises CourseError where a task is asked without a check or checked without being asked, twice, or not at all.
    """
    notebook = source.cells_of(path, f"exercises/{path.name.removesuffix('.py')}.ipynb")
    notebook.cells[0].source = notebook.cells[0].source.replace("(images/", "(../notebooks/images/")
    asked: list[str] = []
    tested: list[str] = []
    for index, cell in enumerate(notebook.cells):
        tags = list(cell.metadata.get("tags", []))
        opened = next((tag for tag in tags if tag.startswith(OPEN)), None)
        place = PLACE.fullmatch(cell.source.strip()) if cell.cell_type == "markdown" else None
        check = CHECK.search(cell.source) if cell.cell_type == "code" else None
        if place:
            asked.append(place[1])
            cell.source = prompt(_task(place[1], path), len(asked), path.stem)
            _mark(cell, f"{_id(place[1])}-prompt", locked=True)
        elif check:
            if BEGIN in cell.source:
                raise CourseError(
                    f"{path}: the cell that checks {check[1]} holds a solution; give each a cell of its own"
                )
            tested.append(check[1])
            _mark(cell, _id(check[1]), locked=True, grade=True, points=_task(check[1], path).points)
        elif opened:
            _mark(cell, f"{path.stem[3:]}-open", grade=True, solution=True, points=int(opened.removeprefix(OPEN)))
            cell.metadata.tags = [tag for tag in tags if tag != opened]
        elif BEGIN in cell.source:
            if not asked:
                raise CourseError(f"{path}: a solution stands before the first task")
            count = sum(c.metadata.get("nbgrader", {}).get("solution", False) for c in notebook.cells[:index])
            _mark(cell, f"{_id(asked[-1])}-answer-{count + 1}", solution=True)
            if _raises_at_once(cell.source):
                cell.metadata.tags = [*tags, NEEDS]
        else:
            _mark(cell, f"{path.stem[3:]}-text-{index}", locked=True)
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
    if asked != tested or len(set(asked)) != len(asked):
        raise CourseError(
            f"{path}: the tasks asked are {asked}, those checked are {tested}; both must be the same, in one order"
        )
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        cell.id = source.identity(cell, seen)
    return notebook


def students(notebook: NotebookNode) -> NotebookNode:
    """The student's notebook: no answers, no outputs; what raises as long as nothing is answered is tagged so.

    Cells keep the ids they have in the instructor's, by which answers are found again.
    """
    notebook.metadata.pop("mmteach", None)
    for cell in notebook.cells:
        cell.source = cleared(cell.source, cell.cell_type)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if NEEDS in cell.metadata.get("tags", []):
            cell.metadata.tags = [RAISES if tag == NEEDS else tag for tag in cell.metadata.tags]
        grading = cell.metadata.nbgrader
        if grading.grade or grading.solution or grading.locked:
            grading.checksum = checksum(cell)
    return notebook


def cleared(text: str, kind: str) -> str:
    """A cell's text with each solution replaced by the stub that nbgrader puts in its place."""
    kept: list[str] = []
    inside = False
    for line in text.split("\n"):
        if BEGIN in line:
            indent = line[: len(line) - len(line.lstrip())]
            kept += [indent + stub for stub in STUB[kind]]
            inside = True
        elif END in line:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def checksum(cell: NotebookNode) -> str:
    """nbgrader's checksum of a cell: by it nbgrader sees that an open question was left as it was."""
    grading = cell.metadata.nbgrader
    parts = [
        cell.source,
        cell.cell_type,
        str(grading.grade),
        str(grading.solution),
        str(grading.locked),
        grading.grade_id,
    ]
    parts += [str(float(grading.points))] if grading.grade else []
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def _raises_at_once(text: str) -> bool:
    """Whether running the stubbed cell raises: where a solution stands outside of any function or class."""
    return any(line.startswith("raise NotImplementedError") for line in cleared(text, "code").split("\n"))


def _task(name: str, path: Path) -> Task:
    try:
        return find(name)
    except ValueError as error:
        raise CourseError(f"{path}: {error}") from error


def _id(name: str) -> str:
    return name.replace(".", "-")


def _mark(cell: NotebookNode, grade_id: str, points: int | None = None, **kinds: bool) -> None:
    grading: dict[str, Any] = {"grade": False, "grade_id": grade_id, "locked": False, "schema_version": 3}
    grading |= {"solution": False, "task": False} | kinds
    if points is not None:
        grading["points"] = points
    cell.metadata["nbgrader"] = NotebookNode(grading)
