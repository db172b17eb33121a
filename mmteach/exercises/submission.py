"""`mmteach check NOTEBOOK`: a learner's own check of a whole notebook, whatever state it is in.

| name     | what it does                                                                     |
|----------|-----------------------------------------------------------------------------------|
| `check`  | run the notebook in a child, judge its answers, print a line a task                |
| `read`   | the code of a notebook's cells, of any format that Jupyter ever wrote              |
| `answer` | which tasks a notebook answers, and what is observed of each                       |

Answers are found by their names, so cells may be deleted, copied, re-ordered or stripped of their metadata. A cell that
raises, hangs or kills its process costs only what depends on it: the child is started again without it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmteach.exercises import CHAPTERS, judge, progress, tasks
from mmteach.exercises.task import Case, Task, Verdict
from mmteach.exercises.wire import WireError, decode, encode

NAMED = re.compile(r"""check\(\s*["'](\w+)\.\w+["']""")
LARGEST = 50_000_000  # bytes of a notebook
CELL_SECONDS = 60.0  # a cell that takes longer is stopped
SILENCE = 30.0  # seconds that starting, or a cell or task beyond its limit, may take before the child is given up
RESTARTS = 8


@dataclass
class Answers:
    """What came of a notebook's cells: the verdict on each task, and the cells that did not run."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)


def check(path: Path, width: int, json_file: Path | None = None) -> int:
    """Check a notebook, print a line a task, keep the progress; 0 where all points were earned, else 1.

    Raises ValueError where the file is no notebook, or has no exercise in it.
    """
    from mmteach.course.paths import CourseError, write_whole

    if json_file and not json_file.parent.is_dir():
        raise CourseError(f"there is no folder {json_file.parent} to write {json_file.name} into")
    cells = read(path)
    asked = belonging(path, cells)
    found = answer(cells, asked)
    earned = sum(verdict.points for verdict in found.verdicts.values())
    total = sum(task.points for task in asked)
    indent = " " * 34
    for task in asked:
        verdict = found.verdicts[task.name]
        progress.keep(task, verdict)
        mark = "✓" if verdict.ok else "·" if verdict.misconception in ("unanswered", "absent") else "✗"
        points = f"{verdict.points}/{task.points}" if mark != "·" else f"–/{task.points}"
        print(
            textwrap.fill(
                f"{mark} {task.name:<24}{points:>5}  {verdict.says}", width, subsequent_indent=indent
            ).rstrip()
        )
    print(f"{earned} of {total} points")
    for at, error in found.broken.items():
        first = next((line.strip() for line in cells[at].splitlines() if line.strip()), "")
        print(
            "  " + textwrap.shorten(f"cell {at + 1} of code, `{first}`, stopped: {error}", 2 * width, placeholder=" …")
        )
    if json_file:
        rows = [_row(task, found.verdicts[task.name]) for task in asked]
        broken = [{"cell": at + 1, "error": error} for at, error in found.broken.items()]
        report = {"notebook": path.name, "points": earned, "of": total, "tasks": rows, "broken": broken}
        write_whole(json_file, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return 0 if earned == total else 1


def _row(task: Task, verdict: Verdict) -> dict[str, Any]:
    return {"name": task.name, "points": verdict.points, "of": task.points, "ok": verdict.ok,
            "misconception": verdict.misconception, "says": verdict.says, "parts": dict(verdict.parts)}  # fmt: skip


def read(path: Path) -> list[str]:
    """The code cells of a notebook, as text; raises ValueError where it is none.

    Reads the formats 2 to 4 (3 and older keep their cells in worksheets and call the code "input"), with or without metadata.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(
                f"{path.name} has more than {LARGEST // 10**6} MB: clear its outputs, save it, and try again"
            )
        data = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path.name} is no notebook: it is not JSON ({error}). Save it again in Jupyter") from None
    sheets = data.get("worksheets") if isinstance(data, dict) else None
    found: list[Any] = (
        [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)] if isinstance(sheets, list) else []
    )
    if isinstance(data, dict) and "cells" in data:
        found = [data["cells"]]
    lists = [one for one in found if isinstance(one, list)]
    if not lists or len(lists) < len(found):
        raise ValueError(f"{path.name} is no notebook: it has no list of cells. Save it again in Jupyter")
    return [
        code
        for cell in (cell for one in lists for cell in one)
        if isinstance(cell, dict) and cell.get("cell_type") == "code" and (code := _text(cell)).strip()
    ]


def _text(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def belonging(path: Path, cells: list[str]) -> tuple[Task, ...]:
    """The tasks that a notebook is about: by the checks in it, else by its name, else by the answers it defines.

    Raises ValueError where nothing in it belongs to an exercise.
    """
    text = "\n".join(cells)
    named = {name for name in NAMED.findall(text) if name in CHAPTERS}
    if not named:
        named = {chapter for chapter in CHAPTERS if path.stem.casefold().lstrip("0123456789_-").startswith(chapter)}
    if not named:
        for chapter in CHAPTERS:
            answers = [re.escape(task.answer) for task in tasks(chapter)]
            there = sum(bool(re.search(rf"^(?:def |class )?{one}\b", text, re.MULTILINE)) for one in answers)
            named |= {chapter} if 2 * there >= len(answers) else set()
    if not named:
        raise ValueError(
            f"{path.name} has no exercise in it: no cell calls check(…), and no name in it is one of an answer"
        )
    return tuple(task for chapter in CHAPTERS if chapter in named for task in tasks(chapter))


def answer(cells: list[str], asked: tuple[Task, ...]) -> Answers:
    """Run the cells and judge what they define; a child that dies is started again without what killed it."""
    seeds = {task.name: secrets.randbelow(2**31) for task in asked}
    cases = {task.name: judge.cases_of(task, seeds[task.name]) for task in asked}
    seen: dict[str, list[Any] | None] = {}
    found = Answers()
    skip: set[int] = set()
    # What a right answer gives is computed beside the child: both load libraries for seconds.
    with ThreadPoolExecutor(1) as beside, tempfile.TemporaryDirectory(prefix="mmteach-check-") as scratch:
        drawn = {task.name: beside.submit(judge.draw, task, seeds[task.name]) for task in asked}
        for attempt in range(RESTARTS):
            request = {"cells": cells, "skip": sorted(skip), "done": sorted(seen), "seconds": CELL_SECONDS,
                       "tasks": {name: [case.as_plain() for case in some] for name, some in cases.items()}}  # fmt: skip
            stuck, why = _attempt(Path(scratch) / str(attempt), request, seen, found.broken, asked)
            if stuck is None:
                break
            if isinstance(stuck, int):
                skip.add(stuck)
                found.broken[stuck] = why
            elif stuck:
                seen[stuck] = [{"outputs": {}, "error": {"type": why, "says": "", "line": None}}]
            else:
                break
    for task in asked:
        _, expected = drawn[task.name].result()
        found.verdicts[task.name] = _verdict(task, cases[task.name], expected, seen.get(task.name))
    return found


def _verdict(task: Task, cases: list[Case], expected: list[Any], observed: list[Any] | None) -> Verdict:
    if observed is None:
        nothing = dict.fromkeys(task.parts, False)
        return Verdict(False, 0, f"`{task.answer}` is not defined in the notebook", "absent", nothing)
    return judge.judge(task, cases, observed, expected)


def _attempt(
    stem: Path,
    request: dict[str, Any],
    seen: dict[str, list[Any] | None],
    broken: dict[int, str],
    asked: tuple[Task, ...],
) -> tuple[int | str | None, str]:
    """One run of the child. Returns where it got stuck (a cell's place, a task's name, "" for its start; None for nowhere) and why."""
    ask, reply = stem.with_suffix(".ask"), stem.with_suffix(".reply")
    ask.write_bytes(encode(request))
    reply.touch()
    # A session of its own: whatever the notebook starts ends with it.
    process = subprocess.Popen(
        [sys.executable, "-m", "mmteach.exercises.child", str(ask), str(reply)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "MPLBACKEND": "agg", "MMTEACH_PROGRESS": "off", "MMTEACH_LEARNER": os.devnull},
    )  # fmt: skip
    limits = {task.name: SILENCE + task.seconds * (2 + len(request["tasks"][task.name])) for task in asked}
    at: int | str = ""
    records, deadline = 0, time.monotonic() + SILENCE
    try:
        while True:
            ended = process.poll() is not None
            found = list(_records(reply))
            for record in found[records:]:
                if record.get("done"):
                    return None, ""
                if "begins" in record:
                    at = record["at"]
                    deadline = time.monotonic() + (limits[at] if isinstance(at, str) else CELL_SECONDS + SILENCE)
                elif "cell" in record:
                    broken.pop(record["cell"], None)
                    if record["error"] and "NotImplementedError" not in record["error"]:
                        broken[record["cell"]] = record["error"]
                elif "task" in record:
                    seen[record["task"]] = record["observed"]
                    at, deadline = "", time.monotonic() + SILENCE
            records = len(found)
            if ended:
                return at, "it ended the whole process" if isinstance(at, int) else "SystemExit"
            if time.monotonic() > deadline:
                return at, f"not done after {CELL_SECONDS:g} s" if isinstance(at, int) else "TimeUp"
            time.sleep(0.02)
    finally:
        _end(process)


def _records(reply: Path) -> Iterator[dict[str, Any]]:
    """The records that are there in full; what the notebook itself may have written into the file is passed over."""
    data = reply.read_bytes()
    at = 0
    while at + 8 <= len(data):
        (length,) = struct.unpack("<Q", data[at : at + 8])
        if at + 8 + length > len(data):
            return
        with contextlib.suppress(WireError):
            record = decode(data[at + 8 : at + 8 + length])
            if isinstance(record, dict):
                yield record
        at += 8 + length


def _end(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
