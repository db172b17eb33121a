"""`mmteach grade`: from a folder of strangers' notebooks to grades, feedback and a picture of the class.

| name      | what it does                                                                      |
|-----------|-------------------------------------------------------------------------------------|
| `Asked`   | what the command line asked for                                                    |
| `run`     | grade what is not graded yet, write everything out; returns the exit code           |
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmteach.course.paths import write_whole
from mmteach.grading import batch, pages, tables
from mmteach.grading.assignment import Assignment, AssignmentError, find
from mmteach.grading.client import Settings
from mmteach.grading.grade import Rules
from mmteach.grading.gradebook import Gradebook, GradebookError
from mmteach.grading.sandbox import probe
from mmteach.grading.submissions import Submission, assignments, collect


@dataclass(frozen=True)
class Asked:
    """The command's arguments; `mmteach grade --help` says what each is."""

    submissions: Path
    out: Path
    assignment: str | None = None
    only: tuple[str, ...] = ()
    regrade: bool = False
    workers: int = 0
    cluster: str | None = None
    level: str = "full"
    time_limit: float | None = None
    marks: Path | None = None
    seed: int | None = None
    due: str = ""
    source: Path | None = None
    settings: Settings | None = None  # of the tests' toy tasks
    references: str = ""


def run(asked: Asked) -> int:
    """Grade; returns 0. Raises ValueError (and its kinds) for what cannot be used."""
    _possible(asked)
    names = [asked.assignment] if asked.assignment else assignments(asked.submissions)
    if not names:
        raise AssignmentError(
            f"{asked.submissions} is no nbgrader tree, so that --assignment must say what was handed in"
        )
    known = {name: _assignment(asked, name) for name in names}
    if not asked.cluster:
        layers = probe(asked.settings.without if asked.settings else ())
        print(layers.words())
        if not layers.enough(asked.level):
            raise ValueError(
                f"the sandbox holds less here than --level {asked.level}, and strangers' code is not run. On a machine "
                "that can do no better, grade in the container (the instructors' page says how), or say --level none for "
                "notebooks of your own"
            )
    book = Gradebook(asked.out / "gradebook.db")
    try:
        for name in names:
            _grade(asked, known[name], book)
        _write(asked.out / "gradebook.json", book.dump())
    finally:
        book.close()
    return 0


def _possible(asked: Asked) -> None:
    if asked.time_limit is not None and not 0 < asked.time_limit <= 86400:
        raise ValueError(f"--time-limit is a number of seconds above 0, got {asked.time_limit:g}")
    if asked.workers < 0:
        raise ValueError(f"--workers must be at least 1, got {asked.workers}")
    if asked.due:
        try:
            tables._aware(asked.due)
        except ValueError:
            raise ValueError(f"--due is a date like 2026-11-30 or 2026-11-30T23:59, got {asked.due!r}") from None
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {asked.out}: {error.strerror}") from error
    if asked.out.resolve() == asked.submissions.resolve():
        raise ValueError("--out must be another folder than the submissions'")


def _assignment(asked: Asked, name: str) -> Assignment:
    if asked.source and asked.source.is_file():
        return Assignment.read(asked.source, name, asked.references)
    places = [asked.source] if asked.source else []
    if not asked.source:
        from mmteach.course.paths import CourseError, find_course

        with contextlib.suppress(CourseError):
            places.append(find_course().root / "exercises")
    # Beside submissions an instructor's notebook lies in source/ or release/ only: a NAME.ipynb there is a student's.
    courses = [asked.submissions] if not asked.source and asked.submissions.is_dir() else []
    return find(name, places, asked.references, courses)


def _grade(asked: Asked, assignment: Assignment, book: Gradebook) -> None:
    found = collect(asked.submissions, assignment.name)
    everybody = {one.student for one in found}
    if missing := set(asked.only) - everybody:
        raise ValueError(
            f"there is no submission of {', '.join(sorted(missing))}; there are {', '.join(sorted(everybody)[:20])}"
        )
    seed = book.seed(assignment.name, assignment.digest, assignment.as_plain(), asked.seed)
    settings = asked.settings or Settings()
    settings = replace(
        settings.of(assignment), level=asked.level,
        hidden=(*settings.hidden, *(str(one.resolve()) for one in (asked.submissions, asked.out, asked.source) if one)),
    )  # fmt: skip
    job = batch.Job(assignment, Rules(seed, asked.time_limit, settings.registry), settings)
    chosen = [one for one in found if not asked.only or one.student in asked.only]
    graded = {} if asked.regrade else book.graded(assignment.name)
    _batch(asked, job, book, chosen, graded)
    if asked.marks:
        book.mark(assignment.name, tables.read_marks(asked.marks, assignment, everybody))
    write_out(
        asked.out / assignment.name if asked.assignment is None else asked.out,
        book,
        assignment,
        book.due(assignment.name, asked.due),
    )


def _batch(asked: Asked, job: batch.Job, book: Gradebook, chosen: list[Submission], graded: dict) -> None:
    """Grade what is not in the gradebook yet, each in a transaction of its own."""
    by_student = {one.student: one for one in chosen}
    digests: dict[str, str] = {}
    skipped = 0

    def todo() -> Iterator[tuple[str, bytes]]:
        nonlocal skipped
        for one in chosen:
            data, fault = batch.read(job, one.read)
            digests[one.student] = hashlib.sha256(data).hexdigest()
            if graded.get(one.student) == (digests[one.student], job.digest):
                skipped += 1
            elif fault is not None:
                faults[one.student] = fault
            else:
                yield one.student, data

    faults: dict[str, dict[str, Any]] = {}
    progress = Progress(job.assignment, len(chosen))

    def keep(student: str, result: dict[str, Any]) -> None:
        one = by_student[student]
        who = {"student": student, "name": one.name, "file": one.file, "submitted": one.submitted, "late": one.late}
        result = result | {"lms": one.lms, "remarks": [*result["remarks"], *[one.note] * bool(one.note)]}
        book.write(job.assignment.name, who, digests[student], job.digest, result)
        progress(student, result, skipped)

    if asked.cluster:
        from mmteach.grading import cluster

        results = cluster.spread(job, todo(), asked.cluster)
    else:
        results = batch.local(job, todo(), min(asked.workers or os.cpu_count() or 1, max(1, len(chosen))))
    try:
        for student, result in results:
            keep(student, result)
    finally:
        results.close()
    for student, result in faults.items():
        keep(student, result)
    progress.end(skipped)


class Progress:
    """A line that says how far it is and how long it will take; on a terminal one line, else one every ten seconds."""

    def __init__(self, assignment: Assignment, total: int) -> None:
        self.assignment, self.total = assignment, total
        self.done, self.started, self.first, self.said = 0, time.monotonic(), 0.0, 0.0
        self.troubles: dict[str, int] = {}

    def __call__(self, student: str, result: dict[str, Any], skipped: int) -> None:
        self.done += 1
        self.first = self.first or time.monotonic()  # a server takes seconds to start: that says nothing of the rest
        if result["status"] != "ok":
            self.troubles[result["status"]] = self.troubles.get(result["status"], 0) + 1
        now = time.monotonic()
        if now - self.said < (0.2 if sys.stdout.isatty() else 10.0):
            return
        self.said = now
        line = f"{self.assignment.name}: {self.done + skipped}/{self.total}"
        if self.done > 1:
            speed = (self.done - 1) / max(now - self.first, 1e-9)
            left = (self.total - self.done - skipped) / speed
            line += f", {speed:.1f} a second, {_duration(left)} left"
        print(f"\r\033[K{line}" if sys.stdout.isatty() else line, end="" if sys.stdout.isatty() else "\n", flush=True)

    def end(self, skipped: int) -> None:
        taken = time.monotonic() - self.started
        words = [f"{self.assignment.name}: {self.done} graded in {_duration(taken)}"]
        if skipped:
            words.append(f"{skipped} were graded before")
        words += [f"{count} {status}" for status, count in sorted(self.troubles.items())]
        print(("\r\033[K" if sys.stdout.isatty() else "") + ", ".join(words), flush=True)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min" if whole < 6000 else f"{whole / 3600:.1f} h"


def write_out(out: Path, book: Gradebook, assignment: Assignment, due: str = "") -> None:
    """Every file that the gradebook gives: tables, Gradescope's results, feedback, the class report."""
    rows = book.rows(assignment.name)
    out.mkdir(parents=True, exist_ok=True)
    files = {
        "grades.csv": tables.grades(rows, assignment, due),
        "canvas.csv": tables.canvas(rows, assignment),
        "moodle.csv": tables.moodle(rows, assignment),
        "results.json": json.dumps(
            {"assignment": assignment.name, "students": {row["student"]: tables.gradescope(row) for row in rows}},
            indent=1, ensure_ascii=False, sort_keys=True,
        ) + "\n",
        "report.html": pages.report(rows, assignment, due),
    }  # fmt: skip
    if any(item.kind == "manual" for item in assignment.items):
        files["to_mark.csv"] = tables.sheet(rows, assignment)
    for name, text in files.items():
        _write(out / name, text)
    folder = out / "feedback"
    folder.mkdir(exist_ok=True)
    for row in rows:
        _write(folder / pages.page_name(row), pages.feedback(row, assignment, due))
    print(f"grades.csv, results.json, report.html and {len(rows)} feedback pages are in {out}")


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode(errors="replace").decode())
    except ValueError as error:
        raise GradebookError(
            f"{error}; what was graded is in the gradebook, and the same command writes it out again"
        ) from error
