"""What was handed in: nbgrader's tree, a flat folder of notebooks, or a zip from an LMS.

| name         | what it is                                                                          |
|--------------|---------------------------------------------------------------------------------------|
| `Submission` | whose, which assignment, when, and how to get the bytes                              |
| `collect`    | all of a folder or zip, in the order of the students' names                           |
| `assignments`| the assignments of an nbgrader tree                                                   |

Links are not followed, neither on disk nor in archives; paths in an archive are read, never written. A file that cannot be
had (too large, a link, damaged, encrypted) is a submission all the same, with a sentence in the place of its bytes.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmteach.grading.assignment import AssignmentError
from mmteach.grading.notebook import MOST_BYTES, Unreadable

RATIO = 200  # a notebook shrinks ten times, its outputs perhaps fifty; a bomb a thousand times
MOST_FILES = 100_000
LONGEST = 120  # characters of a student's name
# Moodle: "Ana Maria_1234567_assignsubmission_file_/nb.ipynb"; Canvas: "mariaana_LATE_12345_67890_nb.ipynb"
MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_file(?:_|$)")
CANVAS = re.compile(r"^(?P<name>[^_]+)(?P<late>_LATE)?_(?P<id>\d+)_(?P<number>\d+)_(?P<file>.+)$")


@dataclass(frozen=True)
class Submission:
    """One student's notebook. student: unique in the class; name: as people say it; late: what the LMS says."""

    student: str
    name: str
    file: str
    submitted: str  # ISO, "" where nobody knows
    path: Path
    member: str = ""  # in a zip
    late: bool = False
    fault: str = ""

    def read(self) -> bytes:
        """The notebook's bytes; raises Unreadable."""
        if self.fault:
            raise Unreadable(self.fault)
        try:
            return _from_zip(self.path, self.member) if self.member else _from_disk(self.path)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
            if isinstance(error, Unreadable):
                raise
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise Unreadable(f"the file cannot be read: {why}") from None


def _from_disk(path: Path) -> bytes:
    # Opened without following a link, and checked on what was opened: a link could have been put there in between.
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable("this is no ordinary file")
        if found.st_size > MOST_BYTES:
            raise Unreadable(f"{found.st_size >> 20} MB are more than the {MOST_BYTES >> 20} MB that are read")
        return file.read(MOST_BYTES + 1)


def _from_zip(path: Path, member: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Unreadable("this is a link, not a file")
        if info.file_size > MOST_BYTES or (info.file_size > 1 << 20 and info.file_size > RATIO * info.compress_size):
            raise Unreadable(f"unpacked it would be {info.file_size >> 20} MB: that is no notebook")
        with archive.open(info) as file:
            data = file.read(MOST_BYTES + 1)  # whatever the header says
    if len(data) > MOST_BYTES:
        raise Unreadable(f"unpacked it is more than {MOST_BYTES >> 20} MB")
    return data


def collect(place: Path, assignment: str) -> list[Submission]:
    """Every submission to `assignment` in a folder or zip; raises AssignmentError where there is none at all."""
    try:
        return _unique(_all(place, assignment))
    except OSError as error:
        raise AssignmentError(f"{error.filename or place} cannot be read: {error.strerror}") from error


def _all(place: Path, assignment: str) -> list[Submission]:
    if place.is_file() and place.suffix.lower() == ".zip":
        found = list(_zipped(place, assignment))
    elif place.is_dir():
        root = place / "submitted" if (place / "submitted").is_dir() else place
        found = list(_tree(root, assignment)) or list(_flat(root))
        for archive in sorted(root.glob("*.zip")):
            found += _zipped(archive, assignment)
    else:
        raise AssignmentError(f"{place} is neither a folder nor a zip")
    if not found:
        raise AssignmentError(
            f"no submission to {assignment!r} in {place}: expected are STUDENT/{assignment}/*.ipynb, STUDENT.ipynb, "
            "or a zip from Moodle or Canvas"
        )
    return found


def assignments(place: Path) -> list[str]:
    """The names of the assignments in an nbgrader tree; [] for anything else."""
    root = place / "submitted" if (place / "submitted").is_dir() else place
    if not root.is_dir():
        return []
    return sorted({one.name for student in _folders(root) for one in _folders(student) if any(one.glob("*.ipynb"))})


def _folders(place: Path) -> list[Path]:
    return sorted(one for one in place.iterdir() if one.is_dir() and not one.is_symlink() and one.name[0] not in "._")


def _tree(root: Path, assignment: str) -> Iterator[Submission]:
    for student in _folders(root):
        folder = student / assignment
        if folder.is_symlink() or not folder.is_dir():
            continue
        notebooks = [one for one in sorted(folder.glob("*.ipynb")) if one.name[0] != "."]
        exact = [one for one in notebooks if one.stem == assignment]
        for path in (exact or notebooks)[:1]:
            extra = "" if path.is_file() and not path.is_symlink() else "this is a link, not a file"
            yield Submission(student.name, student.name, path.name, _stamp(folder, path), path, fault=extra)
        if not notebooks:
            yield Submission(student.name, student.name, "", "", folder, fault="the folder holds no notebook")


def _flat(root: Path) -> Iterator[Submission]:
    for path in sorted(root.glob("*.ipynb")):
        if path.name[0] == ".":
            continue
        canvas = CANVAS.match(path.name)
        fault = "this is a link, not a file" if path.is_symlink() else ""
        if canvas:
            yield Submission(
                f"{canvas['name']}_{canvas['id']}", canvas["name"], canvas["file"], _time(path), path,
                late=bool(canvas["late"]), fault=fault,
            )  # fmt: skip
        else:
            yield Submission(path.stem, path.stem, path.name, _time(path), path, fault=fault)


def _stamp(folder: Path, path: Path) -> str:
    """nbgrader's timestamp.txt, else the file's own time."""
    try:
        words = (folder / "timestamp.txt").read_text(encoding="utf-8").strip()[:40]
        for form in ("%Y-%m-%d %H:%M:%S.%f %Z", "%Y-%m-%d %H:%M:%S %Z"):
            try:
                return datetime.datetime.strptime(words, form).replace(tzinfo=datetime.UTC).isoformat()
            except ValueError:
                continue
        found = datetime.datetime.fromisoformat(words)
        return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).isoformat()
    except (OSError, ValueError):
        return _time(path)


def _time(path: Path) -> str:
    try:
        seconds = path.lstat().st_mtime
    except OSError:
        return ""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).isoformat()


def _zipped(path: Path, assignment: str) -> Iterator[Submission]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise AssignmentError(f"{path} cannot be read as a zip: {error}") from error
    if len(members) > MOST_FILES:
        raise AssignmentError(f"{path} holds {len(members):,} files: that is no class")
    last: dict[str, Submission] = {}
    for info in members:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if info.is_dir() or not parts or not parts[-1].lower().endswith(".ipynb") or "__MACOSX" in parts:
            continue
        if any(part.startswith(".") for part in parts if part != ".."):
            continue
        submission = _member(path, info, parts, assignment)
        if submission and (
            submission.student not in last or last[submission.student].submitted <= submission.submitted
        ):
            last[submission.student] = submission
    yield from last.values()


def _member(path: Path, info: zipfile.ZipInfo, parts: tuple[str, ...], assignment: str) -> Submission | None:
    absurd = ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0][:3]
    fault = "its path leads out of the archive" if absurd else ""
    moodle = next((found for part in parts[:-1] if (found := MOODLE.match(part))), None)
    canvas = CANVAS.match(parts[-1])
    if moodle:
        student, name = f"{moodle['name']}_{moodle['id']}", moodle["name"]
    elif canvas:
        student, name = f"{canvas['name']}_{canvas['id']}", canvas["name"]
    elif assignment in parts[:-1] and parts.index(assignment) > 0:
        student = name = parts[parts.index(assignment) - 1]  # nbgrader's tree, zipped
    elif set(parts[:-1]) & {"source", "release", "autograded", "feedback"}:
        return None
    else:
        student = name = parts[-1][: -len(".ipynb")]
    try:
        when = datetime.datetime(*info.date_time, tzinfo=datetime.UTC).isoformat()
    except ValueError:
        when = ""
    return Submission(student, name, parts[-1], when, path, info.filename, bool(canvas and canvas["late"]), fault)


def _unique(found: list[Submission]) -> list[Submission]:
    """In the order of names; of two students with one name (or one that is too long) each gets a mark to tell them apart."""
    seen: dict[str, int] = {}
    result = []
    for one in sorted(found, key=lambda s: (s.student, str(s.path), s.member)):
        name = one.student.encode(errors="replace").decode().replace("\0", "") or "nameless"
        if len(name) > LONGEST:
            name = f"{name[:LONGEST]}~{hashlib.sha256(name.encode()).hexdigest()[:6]}"
        seen[name] = seen.get(name, 0) + 1
        result.append(one if (same := seen[name]) == 1 and name == one.student else _called(one, name, same))
    return result


def _called(one: Submission, name: str, number: int) -> Submission:
    from dataclasses import replace

    return replace(one, student=name if number == 1 else f"{name} ({number})", name=one.name[:LONGEST])
