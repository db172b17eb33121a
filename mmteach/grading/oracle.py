"""The value oracle, on the parent's side: fresh inputs, what is right for them, and what to say of what came back.

| name    | what it does                                                                     |
|---------|------------------------------------------------------------------------------------|
| `Round` | a task's cases for a seed, their expectations, and the bytes that go to the child    |
| `draw`  | the round of a task; the same for the whole class, made once                        |
| `judge` | the child's bytes → verdict; never raises for what a child sent                      |
"""

from __future__ import annotations

import functools
import hashlib
import importlib
from dataclasses import dataclass
from typing import Any

from mmteach.exercises import judge as judging
from mmteach.exercises import wire
from mmteach.exercises.task import Case, Expectation, Task, Verdict


@dataclass(frozen=True)
class Round:
    """One set of inputs. bytes: the cases as the child gets them."""

    task: Task
    cases: list[Case]
    expected: list[Expectation]
    bytes: bytes

    @property
    def seconds(self) -> float:
        """How long all cases may take together."""
        return self.task.seconds * len(self.cases) + 5.0


@functools.lru_cache(maxsize=256)
def draw(registry: str, name: str, seed: int, references: str = "") -> Round:
    """The inputs of a task for the gradebook's seed; raises ValueError for a task that is not there."""
    task: Task = importlib.import_module(registry).find(name)
    own = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4], "big") >> 1
    if references:
        known = importlib.import_module(references).EXPECT[name]
        cases = task.cases(own)
        expected = [known(case) for case in cases]
    else:
        cases, expected = judging.draw(task, own)
    return Round(task, cases, expected, wire.encode([case.as_plain() for case in cases]))


def _said(one: dict[str, Any]) -> bool:
    """Whether what is said beside the outputs is as `observe` says it: the code that is judged could have written anything."""
    error = one.get("error") or {}
    words = [error.get("type"), error.get("says"), error.get("line")] if isinstance(error, dict) else [error]
    marks = [one.get("unanswered"), one.get("missing")]
    return all(word is None or isinstance(word, str) for word in words) and all(
        mark is None or isinstance(mark, (bool, str)) for mark in marks
    )


def judge(asked: Round, data: bytes) -> tuple[Verdict | None, list[dict[str, Any]]]:
    """The verdict on the child's answer, and what was observed; None where it is no answer at all."""
    try:
        observed = wire.decode(data)
    except (wire.WireError, ValueError, TypeError, RecursionError, MemoryError, OverflowError):
        return None, []
    if not isinstance(observed, list) or not all(isinstance(one, dict) and _said(one) for one in observed):
        return None, []
    try:
        return judging.judge(asked.task, asked.cases, observed, asked.expected), observed
    except Exception:  # the observation does not have the form of one: it was made up
        return None, []
