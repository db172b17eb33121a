"""Expectations on file: what a handout judges by in place of the references, which it does not have.

| name    | what it does                                                          |
|---------|------------------------------------------------------------------------|
| `draw`  | one of the stored draws of a task: cases and expectations              |
| `write` | draw every task many times and store what comes (`mmteach build --handout`) |
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from mmteach.exercises.task import Case, Expectation, Task
from mmteach.exercises.wire import decode, encode

FOLDER = Path(__file__).parent / "expectations"
DRAWS = 24


def draw(name: str, seed: int) -> tuple[list[Case], list[Expectation]]:
    """The stored draw that belongs to a seed; raises FileNotFoundError where none is stored for the task."""
    draws = _read(name)
    cases, expected = draws[seed % len(draws)]
    return list(cases), list(expected)


@functools.lru_cache(maxsize=8)
def _read(name: str) -> list[tuple[list[Case], list[Expectation]]]:
    data = decode(zlib.decompress((FOLDER / f"{name}.bin").read_bytes()))
    return [
        ([Case.from_plain(one) for one in part["cases"]], [Expectation.from_plain(one) for one in part["expected"]])
        for part in data
    ]


def write(
    folder: Path,
    tasks: Iterable[Task],
    drawn: Callable[[Task, int], tuple[list[Case], list[Expectation]]],
    seed: int = 0,
) -> int:
    """Store DRAWS draws of each task, from `seed` on, a file a task; returns the bytes written."""
    folder.mkdir(parents=True, exist_ok=True)
    size = 0
    for task in tasks:
        draws = []
        for i in range(DRAWS):
            cases, expected = drawn(task, seed + i)
            draws.append({"cases": [c.as_plain() for c in cases], "expected": [e.as_plain() for e in expected]})
        size += (folder / f"{task.name}.bin").write_bytes(zlib.compress(encode(draws), 9))
    return size
