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
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mmteach.grading.assignment import AssignmentError
from mmteach.grading.notebook import MOST_BYTES, Unreadable

RATIO = 200  # a notebook shrinks ten times, its outputs perhaps fifty; a bomb a thousand times
MOST_FILES = 100_000
LONGEST = 120  # characters of a student's name
# Moodle: "Ana Maria_1234567_assignsubmission_file_/nb.ipynb"; without folders the slash is not there;
# Canvas: "mariaana_LATE_12345_67890_nb.ipynb"
MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+(?:_(?P<file>.*))?$")
CANVAS = re.compile(r"^(?P<name>[^_]+)(?P<late>_LATE)?_(?P<id>\d+)_(?P<number>\d+)_(?P<file>.+)$")
AGAIN = re.compile(r"(?:-\d+| ?_?\(\d+\))$")  # what Canvas and browsers put behind a name that is taken
OTHER = (".py", ".html", ".pdf", ".docx", ".odt", ".txt", ".json")  # handed in where a notebook was asked for


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
    lms: str = ""  # "moodle" or "canvas", where the file's name is theirs
    note: str = ""  # for the teacher: which of several files this is

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


def _from_disk(path: Path, most: int = MOST_BYTES) -> bytes:
    # Opened without following a link, and checked on what was opened: a link could have been put there in between.
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable("this is no ordinary file")
        if found.st_size > most:
            raise Unreadable(f"{found.st_size >> 20} MB are more than the {most >> 20} MB that are read")
        return file.read(most + 1)


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
        found = list(_tree(root, assignment)) or list(_loose(root, assignment))
        for archive in sorted(root.glob("*.zip")):
            if CANVAS.match(archive.name):
                continue  # what a student of Canvas handed in, which has its row already
            try:
                found += _zipped(archive, assignment)
            except AssignmentError as error:  # a student's, perhaps: it stops nobody else
                found.append(
                    Submission(archive.stem, archive.stem, archive.name, _time(archive), archive, fault=str(error))
                )
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
            note = _note(len(notebooks), path.name)
            yield Submission(student.name, student.name, path.name, _stamp(folder, path), path, fault=extra, note=note)
        if not notebooks:
            others = [
                one.name for one in sorted(folder.iterdir()) if one.name[0] != "." and one.name != "timestamp.txt"
            ]
            fault = "the folder holds no notebook" + (f", but {others[0]}" if others else "")
            yield Submission(student.name, student.name, "", "", folder, fault=fault)


def _loose(root: Path, assignment: str) -> Iterator[Submission]:
    """A flat folder, or a download of Moodle or Canvas that was unzipped."""
    found = []
    for path in sorted(root.iterdir()):
        if path.name[0] in "._":
            continue
        inside = [path]
        if path.is_dir() and not path.is_symlink() and path.suffix != ".ipynb":
            inside = sorted(one for one in path.iterdir() if one.name[0] != ".") if MOODLE.match(path.name) else []
        for file in inside:
            parts = file.relative_to(root).parts
            known = MOODLE.match(parts[0]) or CANVAS.match(file.name)
            if file.suffix == ".ipynb" or (file.is_file() and (known or file.suffix.lower() in OTHER)):
                fault = "this is a link, not a file" if file.is_symlink() else ""
                found.append(_of(parts, assignment, submitted=_time(file), path=file, fault=fault))
    if any(one.path.suffix == ".ipynb" for one in found):
        yield from _one_each(found, assignment)


def _of(parts: tuple[str, ...], assignment: str, **more: Any) -> Submission:
    """The submission that a file is, by the names of its folders and its own."""
    moodle = next((found for part in parts if (found := MOODLE.match(part))), None)
    canvas = CANVAS.match(parts[-1])
    late, lms, file = False, "", parts[-1]
    if moodle:
        student, name, lms = f"{moodle['name']}_{moodle['id']}", moodle["name"], "moodle"
        file = (moodle["file"] if moodle[0] == parts[-1] else "") or file
    elif canvas:
        student, name, lms = f"{canvas['name']}_{canvas['id']}", canvas["name"], "canvas"
        late, file = bool(canvas["late"]), canvas["file"]
    elif assignment in parts[:-1] and parts.index(assignment) > 0:
        student = name = parts[parts.index(assignment) - 1]  # nbgrader's tree, zipped
    else:
        student = name = file[: file.rfind(".")] if "." in file else file
    if not parts[-1].lower().endswith(".ipynb"):
        more["fault"] = f"no notebook was handed in, but {file}"
    return Submission(student, name, file, late=late, lms=lms, **more)


def _one_each(found: list[Submission], assignment: str) -> Iterator[Submission]:
    """Of a student's files the one to grade: a notebook, called as the assignment is, the newest."""
    by_student: dict[str, list[Submission]] = {}
    for one in found:
        by_student.setdefault(one.student, []).append(one)
    for files in by_student.values():
        notebooks = [one for one in files if one.file.lower().endswith(".ipynb")]
        last = max(enumerate(notebooks or files), key=lambda one: (*_rank(one[1], assignment), one[0]))[1]
        yield replace(last, note=_note(len(notebooks), last.file))


def _rank(one: Submission, assignment: str) -> tuple[bool, str]:
    return AGAIN.sub("", PurePosixPath(one.file).stem) == assignment, one.submitted


def _note(count: int, file: str) -> str:
    return f"{count} notebooks were handed in, and {file} was graded" if count > 1 else ""


def _stamp(folder: Path, path: Path) -> str:
    """nbgrader's timestamp.txt, else the file's own time."""
    try:
        words = _from_disk(folder / "timestamp.txt", 1000).decode().strip()[:40]
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
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise AssignmentError(f"{path} cannot be read as a zip: {error}") from error
    if len(members) > MOST_FILES:
        raise AssignmentError(f"{path} holds {len(members):,} files: that is no class")
    found = []
    for info in members:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if info.is_dir() or not parts or "__MACOSX" in parts:
            continue
        if any(part.startswith(".") for part in parts if part != ".."):
            continue
        if submission := _member(path, info, parts, assignment):
            found.append(submission)
    if any(one.member.lower().endswith(".ipynb") for one in found):
        yield from _one_each(found, assignment)


def _member(path: Path, info: zipfile.ZipInfo, parts: tuple[str, ...], assignment: str) -> Submission | None:
    absurd = ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0][:3]
    fault = "its path leads out of the archive" if absurd else ""
    known = any(MOODLE.match(part) for part in parts) or CANVAS.match(parts[-1])
    if not known and not parts[-1].lower().endswith(".ipynb"):
        return None
    in_tree = assignment in parts[:-1] and parts.index(assignment) > 0
    if not known and not in_tree and set(parts[:-1]) & {"source", "release", "autograded", "feedback"}:
        return None
    try:
        when = datetime.datetime(*info.date_time, tzinfo=datetime.UTC).isoformat()
    except ValueError:
        when = ""
    return _of(parts, assignment, submitted=when, path=path, member=info.filename, fault=fault)


def _unique(found: list[Submission]) -> list[Submission]:
    """In the order of names; of two students with one name (or one that is too long) each gets a mark to tell them apart."""
    seen: dict[str, int] = {}
    result = []
    # Who is there as a file keeps the name: an archive among the files is a student's, and may hold anybody's.
    for one in sorted(found, key=lambda s: (s.student, bool(s.member), str(s.path), s.member)):
        one = replace(one, name=_text(one.name), file=_text(one.file))
        name = _text(one.student) or "nameless"
        if len(name) > LONGEST:
            name = f"{name[:LONGEST]}~{hashlib.sha256(name.encode()).hexdigest()[:6]}"
        seen[name] = seen.get(name, 0) + 1
        result.append(one if (same := seen[name]) == 1 and name == one.student else _called(one, name, same))
    return result


def _text(name: str) -> str:
    """A name as text that can be stored: a file's may be bytes of no encoding."""
    return name.encode(errors="replace").decode().replace("\0", "")


def _called(one: Submission, name: str, number: int) -> Submission:
    return replace(one, student=name if number == 1 else f"{name} ({number})", name=one.name[:LONGEST])
