"""What a task is, in three parts that can run in different processes.

| name          | what it is                                                                     |
|---------------|--------------------------------------------------------------------------------|
| `Task`        | prompt, points, hints; `cases(seed)`, `run(answer, case)`                        |
| `Case`        | one fresh input, and the part of the points that hangs on it                    |
| `Expectation` | what a right answer gives for a case, and what each known misconception gives   |
| `Verdict`     | points, and the first thing that is wrong, in a sentence                        |
| `Observed`    | what an answer did with a case: plain data                                      |

`cases(seed)` and `judge(…)` (mmteach.exercises.judge) belong to whoever knows the answers, `run(answer, case)` may run in
a sandboxed child: it is in a module that imports no reference, and what goes in and comes out is plain data (`wire`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Observed = dict[str, Any]
KINDS = ("implement", "debug", "predict", "read", "design")


@dataclass(frozen=True)
class Case:
    """One fresh input of a task.

    part:   the part of the task whose points hang on this case
    inputs: plain data; what `run` gives to the answer
    what:   said in the message: "for a batch of one"; "" for an ordinary input
    """

    part: str
    inputs: Mapping[str, Any]
    what: str = ""

    def as_plain(self) -> dict[str, Any]:
        return {"part": self.part, "inputs": dict(self.inputs), "what": self.what}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Case:
        return cls(data["part"], data["inputs"], data["what"])


@dataclass(frozen=True)
class Expectation:
    """What a right answer's outputs are for one case, and what those of each known misconception are.

    right: by name of the output, plain data
    wrong: misconception → outputs by name, or several such dicts; only the outputs that it changes need be there
    """

    right: Mapping[str, Any]
    wrong: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def as_plain(self) -> dict[str, Any]:
        return {"right": dict(self.right), "wrong": dict(self.wrong)}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Expectation:
        return cls(data["right"], data["wrong"])


@dataclass(frozen=True)
class Verdict:
    """How an answer did: `says` is "" where all is right, else the first thing that is wrong, in one sentence.

    misconception: the id of what was recognised, one of the task's own or one of `judge.GENERAL`; "" where all is right
    parts:         by part, whether its points were earned
    example:       the case behind the sentence, for a picture; None where there is none
    """

    ok: bool
    points: int
    says: str = ""
    misconception: str = ""
    parts: Mapping[str, bool] = field(default_factory=dict)
    example: int | None = None


@dataclass(frozen=True)
class Task:
    """One exercise. Its reference and the outputs of wrong answers are in mmteach.exercises.references.

    name:           "fusion.gated": the chapter and the task
    answer:         the name under which the notebook defines the answer: "MyGated"
    kind:           one of KINDS;  difficulty: 1 to 3;  minutes: for somebody who has read the chapter
    parts:          by part, its points
    prompt:         Markdown; equations as in the chapter
    hints:          three, from a nudge to nearly the way
    links:          the headings of sections of the chapter: "4 · Training"
    cases:          seed → fresh inputs;  run: (answer, case) → Observed
    misconceptions: id → the sentence that points to the idea and does not give the answer; "{…}" is filled in from
                    the case's inputs and `what`
    notice:         (case, observed) → a misconception's id where a property that needs no reference is broken; it belongs
                    to the parent's side, where the observed may be anything a learner's code made of it
    blocks:         library modules that implement what is asked: an answer may not call them
    seconds:        for one case
    picture:        (expectation, observed) → a figure of yours against the target, or None
    compile:        whether an answer may be compiled by torch.compile (its cache needs to be written)
    """

    name: str
    title: str
    answer: str
    kind: str
    minutes: int
    difficulty: int
    parts: Mapping[str, int]
    prompt: str
    hints: tuple[str, str, str]
    links: tuple[str, ...]
    cases: Callable[[int], list[Case]]
    run: Callable[[Any, Case], Observed]
    misconceptions: Mapping[str, str]
    notice: Callable[[Case, Observed], str | None] | None = None
    blocks: tuple[str, ...] = ()
    seconds: float = 5.0
    rtol: float = 1e-3
    atol: float = 1e-5
    picture: Callable[[Expectation, Observed], Any] | None = None
    compile: bool = False

    @property
    def chapter(self) -> str:
        return self.name.partition(".")[0]

    @property
    def points(self) -> int:
        return sum(self.parts.values())
