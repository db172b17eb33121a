"""Where the course lies and what it holds.

| name          | what it is for                                                              |
|---------------|-----------------------------------------------------------------------------|
| `find_course` | the course folder: MMTEACH_COURSE, this folder or one above it, or the clone  |
| `Course`      | that folder: its chapters by number or by the beginning of their name        |
| `write_whole` | write a file so that it is either the old one or the new one, never half      |
| `CourseError` | a folder, chapter or file that was asked for and is not there                 |
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("notebooks", "exercises", "solutions")
CHAPTER = re.compile(r"\d\d_\w+")  # 03_fusion


class CourseError(ValueError):
    """What was asked for is not there; the message says what there is and what to do."""


@dataclass(frozen=True)
class Course:
    """A course folder: notebooks/NN_name.ipynb, each written from notebooks/src/NN_name.py.

    The exercises likewise: exercises/NN_name.ipynb and solutions/NN_name.ipynb from solutions/src/NN_name.py.
    """

    root: Path

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def sources(self) -> Path:
        return self.root / "notebooks" / "src"

    @property
    def solutions(self) -> Path:
        return self.root / "solutions"

    @property
    def exercises(self) -> Path:
        return self.root / "exercises"

    def chapters(self, folder: str = "notebooks") -> list[Path]:
        """The notebooks of one of FOLDERS, in the order of their numbers."""
        return _chapters(self.root / folder, ".ipynb")

    def source_files(self) -> list[Path]:
        """The text sources of the chapters, in the order of their numbers."""
        return _chapters(self.sources, ".py")

    def solution_files(self) -> list[Path]:
        """The text sources of the exercises with their solutions, in the order of their numbers."""
        return _chapters(self.solutions / "src", ".py")


def _chapters(folder: Path, suffix: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix == suffix and CHAPTER.fullmatch(path.stem))


def choose(files: Sequence[Path], asked: Sequence[str], where: Path) -> list[Path]:
    """Those of `files` asked for by number ("03"), beginning ("03_fu") or name, in the order of the course; all for [].

    Raises CourseError with the list where one of `asked` is none of them, or where there are none at all.
    """
    if not files:
        raise CourseError(f"there is no chapter in {where}")
    chosen = set()
    for word in asked:
        # "3" for "03" as well; a path to the notebook or its source is what a shell completes.
        beginning = Path(word).stem
        beginning = beginning.zfill(2) if beginning.isdecimal() else beginning
        found = [path for path in files if path.stem.startswith(beginning)] if beginning else []
        if not found:
            raise CourseError(f"no chapter is called {word!r}; there are {', '.join(path.stem for path in files)}")
        chosen.update(found)
    return [path for path in files if path in chosen or not asked]


def find_course() -> Course:
    """The course folder: MMTEACH_COURSE where it is set, else this folder or one above it, else the clone mmteach runs from.

    Raises CourseError where none holds chapters, as after `pip install mmteach` without a clone.
    """
    named = os.environ.get("MMTEACH_COURSE")
    here = Path.cwd()
    places = [Path(named).expanduser()] if named else [here, *here.parents, Path(__file__).parents[2]]
    for place in places:
        course = Course(place.resolve())
        if course.chapters() or course.source_files():
            return course
    if named:
        raise CourseError(f"MMTEACH_COURSE is {named!r}, but that folder has no notebooks/NN_name.ipynb")
    raise CourseError(
        f"no course here: neither {here} nor a folder above it has notebooks/NN_name.ipynb. The installed package holds the "
        "library, not the notebooks: clone the repository and call this in it, or set MMTEACH_COURSE to a clone"
    )


def write_whole(path: Path, text: str) -> None:
    """Write `text` to a file beside `path` and rename it, so that an interruption leaves the old file or the new one.

    Raises CourseError where the folder does not exist or cannot be written to.
    """
    partial = None
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            dir=path.parent,
            prefix=f".{path.stem}-",
            suffix=".partial",
            encoding="utf-8",
            newline="\n",
            delete=False,
        ) as file:
            partial = Path(file.name)
            file.write(text)
        partial.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(partial, path)
    except OSError as error:
        raise CourseError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if partial:
            partial.unlink(missing_ok=True)


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
