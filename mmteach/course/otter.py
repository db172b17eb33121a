"""`mmteach build --otter DIR`: the exercises' tests in the form that otter-grader reads.

| name    | what it does                                                              |
|---------|-----------------------------------------------------------------------------|
| `write` | a folder of tests for each exercise, a file a task, a case a part             |

The files hold no answer and no expected number: each case calls the course's own check, so that a part earns the same points
under otter-grader, nbgrader, and in the notebook.
"""

from __future__ import annotations

from pathlib import Path
from pprint import pformat
from typing import Any

from mmteach.course import exercises
from mmteach.course.paths import Course, CourseError, choose, write_whole
from mmteach.exercises import find
from mmteach.exercises.task import Task


def write(course: Course, asked: list[str], folder: Path) -> int:
    """Write FOLDER/NN_name/tests/*.py for the asked chapters (all for []); returns the exit code.

    Raises CourseError where the course has no exercises, or the folder cannot be written to.
    """
    paths = choose(course.solution_files(), asked, course.solutions / "src")
    count = 0
    for path in paths:
        names = [name for cell in exercises.instructors(path).cells for name in exercises.CHECK.findall(cell.source)]
        tests = folder / path.stem / "tests"
        try:
            tests.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CourseError(f"cannot write into {folder}: {error.strerror or error}") from error
        for number, name in enumerate(names, start=1):
            text = f"OK_FORMAT = True\n\ntest = {pformat(_test(find(name)), sort_dicts=False, width=120)}\n"
            write_whole(tests / f"{number:02d}_{name.replace('.', '_')}.py", text)
        count += len(names)
    print(f"{folder}: {len(paths)} folders of tests, {count} tasks")
    return 0


def _test(task: Task) -> dict[str, Any]:
    """A task in the OK format: a doctest a part, visible to learners, because its output never gives the answer."""
    cases = [
        {
            "name": f"{task.name}, {part}",
            "points": points,
            "hidden": False,
            "code": ">>> from mmteach.exercises.notebook import earns\n"
            f">>> earns({task.name!r}, {part!r}, {task.answer})\nTrue\n",
        }
        for part, points in task.parts.items()
    ]
    return {"name": task.name, "suites": [{"type": "doctest", "scored": True, "cases": cases}]}
