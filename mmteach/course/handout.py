"""`mmteach build --handout DIR`: what a class is given: the exercises, and a wheel without solutions or references.

| name      | what it does                                                                      |
|-----------|------------------------------------------------------------------------------------|
| `handout` | write the exercise notebooks, the wheel and a short README into a folder             |

The wheel's checks have no references: they judge by `mmteach.exercises.stored`, what right and known wrong answers gave on
many inputs, and by the properties that a right answer has. Numbers are in it, and no line of code that makes them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import mmteach
from mmteach.course import exercises, source
from mmteach.course.paths import Course, CourseError, choose, write_whole

CHAPTER_LINK = re.compile(r"\[([^\[\]]+)\]\(\.\./notebooks/[^)]*\)")  # not from the bracket of an interval [0, 1) on
BADGE = re.compile(r"^\[!\[Open this chapter in Colab\].*\n\n?", re.MULTILINE)
LEFT_OUT = shutil.ignore_patterns("__pycache__", "references", "expectations")
README = """\
# Exercises

    python -m venv .venv
    .venv/bin/pip install {wheel} jupyterlab
    .venv/bin/jupyter lab exercises

On Windows it is `.venv\\Scripts\\pip` and `.venv\\Scripts\\jupyter`. The chapters that the tasks refer to are those of the
course. Every task has a check in the notebook; `mmteach check exercises/NN_name.ipynb` checks a whole notebook, and
`mmteach check --progress` shows what you have solved.
"""


def handout(course: Course, asked: list[str], folder: Path, seed: int = 0) -> int:
    """Write the handout for the asked chapters (all for []) into `folder`; returns the exit code.

    seed: of the stored draws; a school that takes its own has its own numbers

    Raises CourseError where the course has no exercises, or the folder cannot be written to.
    """
    from mmteach.exercises import find

    paths = choose(course.solution_files(), asked, course.solutions / "src")
    try:
        (folder / "exercises").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(f"cannot write into {folder}: {error.strerror or error}") from error
    names = []
    for path in paths:
        notebook = exercises.students(exercises.instructors(path))
        names += [name for cell in notebook.cells for name in exercises.CHECK.findall(cell.source)]
        notebook.cells = [cell for cell in notebook.cells if "colab" not in cell.metadata.get("tags", [])]
        for cell in notebook.cells:
            if cell.cell_type == "markdown":  # there are no chapters beside a handout, and no address to install from
                cell.source = CHAPTER_LINK.sub(rf"*\1* (chapter {path.stem[:2]})", BADGE.sub("", cell.source))
                cell.metadata.nbgrader.checksum = exercises.checksum(cell)
        write_whole(folder / "exercises" / f"{path.stem}.ipynb", source.text_of(notebook))
    wheel = _wheel(course, folder, [find(name) for name in names], seed)
    write_whole(folder / "README.md", README.format(wheel=wheel.name))
    print(
        f"{folder}: {len(paths)} notebooks with {len(names)} tasks, {wheel.name} ({wheel.stat().st_size / 2**20:.1f} MB)"
    )
    return 0


def _wheel(course: Course, folder: Path, tasks: list, seed: int) -> Path:
    """The library without references, with stored expectations in their place."""
    from mmteach.exercises import judge, stored

    with tempfile.TemporaryDirectory(prefix="mmteach-handout-") as scratch:
        copy = Path(scratch)
        shutil.copytree(Path(mmteach.__file__).parent, copy / "mmteach", ignore=LEFT_OUT)
        for name in ("pyproject.toml", "README.md", "LICENSE", "DATA_LICENSES.md"):
            if not (course.root / name).is_file():
                raise CourseError(f"a handout is made in a clone of the repository: {course.root} has no {name}")
            shutil.copy(course.root / name, copy)
        stored.write(copy / "mmteach" / "exercises" / "expectations", tasks, judge.draw, seed)
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(copy / "dist")]
        built = subprocess.run(command, cwd=copy, capture_output=True, text=True)
        if built.returncode:
            last = (built.stderr.strip().splitlines() or ["no message"])[-1]
            raise CourseError(f"the wheel could not be built ({last}); hatchling comes with `make setup`")
        (wheel,) = (copy / "dist").glob("*.whl")
        target = folder / wheel.name
        partial = target.with_name(f".{target.name}.partial")
        shutil.copy(wheel, partial)
        partial.replace(target)
    return target
