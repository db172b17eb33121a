"""Which of a submission's cells is which of the instructor's, and in which order all of it runs.

| name     | what it is                                                                  |
|----------|-------------------------------------------------------------------------------|
| `match`  | assignment, submission's cells → `Script`                                     |
| `Script` | the steps to run, the answers for human and feedback, remarks                 |
| `Step`   | run a cell, or ask for an item                                                |

A cell is recognised by its grade_id, else by its own id, else by the same text, else by the names it defines, else by its
place between two that are known. What the instructor locked (setup, tests) is the instructor's text. A submission's other
cells run after the known one they follow. Two cells with one id both run, in their order. A locked cell that only prints
(what a model with the learner's part scores, after a training) decides about nothing and is left out.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from dataclasses import dataclass, field

from mmteach.grading.assignment import Assignment, Item, Source, defined, only_prints
from mmteach.grading.notebook import Cell

ALIKE = 0.6  # of the characters
FEW = 200  # cells that are compared letter by letter
STUB = "YOURANSWERHERE"  # nbgrader's, without spaces
OTHER = "no answer of this assignment is in the notebook: it is perhaps another one's"


@dataclass(frozen=True)
class Step:
    """Run `source` (cell), or ask for `item`. trusted: the instructor's text."""

    source: str = ""
    item: Item | None = None
    trusted: bool = False
    names: tuple[str, ...] = ()


@dataclass
class Script:
    """steps in their order; answers: by the answer cell's key, the submission's text; remarks for the teacher."""

    steps: list[Step] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def match(assignment: Assignment, cells: list[Cell]) -> Script:
    """Arrange a submission's cells in the instructor's order."""
    known = _recognise(assignment.sources, cells)
    by_source: dict[int, list[int]] = defaultdict(list)
    extras: dict[int, list[int]] = defaultdict(list)
    place = -1
    for number, cell in enumerate(cells):
        at = known.get(number)
        if at is not None:
            place = at
            if cell.code or not assignment.sources[at].code:
                by_source[at].append(number)
        elif cell.code and cell.source.strip():
            extras[place].append(number)
        elif _continues(assignment.sources, place):  # the answer was written into a new cell below the one for it
            by_source[place].append(number)
    script = Script()
    wanted = tuple(item.answer for item in assignment.items if item.answer)
    items = {item.at: item for item in assignment.items}

    def run(number: int) -> None:
        script.steps.append(Step(cells[number].source, names=wanted))

    for number in extras[-1]:
        run(number)
    for at, source in enumerate(assignment.sources):
        mine = by_source[at]
        if source.role in ("answer", "manual"):
            written = [cells[number].source for number in mine]
            if source.role == "manual":
                written = [text for text in written if _bare(text) not in (_bare(source.source), STUB)]
            script.answers[source.key] = "\n\n".join(written)
            if source.code:
                for number in mine:
                    run(number)
        elif source.role == "setup":
            changed = [n for n in mine if _bare(cells[n].source) != _bare(source.source)]
            if (source.locked or not mine) and (assignment.guarded or not only_prints(source.source)):
                script.steps.append(Step(source.source, trusted=True))
            for number in changed if source.locked else mine:
                run(number)
        elif source.role == "test":
            # A test cell that was written into holds answers, perhaps; its own lines prove nothing and do no harm.
            for number in mine:
                if _bare(cells[number].source) != _bare(source.source):
                    run(number)
        if source.role == "test":
            script.steps.append(Step(item=items[at], source=source.source, trusted=True))
        for number in extras[at]:
            run(number)
    _remark(script, assignment, by_source, known, cells)
    return script


def _continues(sources: tuple[Source, ...], at: int) -> bool:
    return at >= 0 and sources[at].role == "manual" and not sources[at].code


def _bare(text: str) -> str:
    return "".join(text.split())


def _recognise(sources: tuple[Source, ...], cells: list[Cell]) -> dict[int, int]:
    """Submission's cell → the instructor's cell."""
    known: dict[int, int] = {}
    keys = {source.key: at for at, source in enumerate(sources)}
    own = {source.cell_id: at for at, source in enumerate(sources) if source.cell_id}
    for number, cell in enumerate(cells):
        at = keys.get(cell.grade_id)
        if at is None and cell.id in own and sources[own[cell.id]].code == cell.code:
            at = own[cell.id]
        if at is not None:
            known[number] = at
    found = set(known.values())
    texts: dict[tuple[bool, str], list[int]] = defaultdict(list)
    for at, source in enumerate(sources):
        if at not in found:
            texts[source.code, _bare(source.source)].append(at)
    for number, cell in enumerate(cells):
        same = texts.get((cell.code, _bare(cell.source)))
        if number not in known and same and cell.source.strip():
            known[number] = same.pop(0) if len(same) > 1 else same[0]
    found = set(known.values())
    for number, cell in enumerate(cells):
        if number not in known and cell.code:
            names = set(defined(cell.source))
            at = next((i for i, one in enumerate(sources) if i not in found and names & set(one.names)), None)
            if at is not None:
                known[number] = at
                found.add(at)
    _by_place(sources, cells, known)
    return known


def _by_place(sources: tuple[Source, ...], cells: list[Cell], known: dict[int, int]) -> None:
    """Give each answer that is still missing the likeliest of the unknown cells between its neighbours."""
    for at, source in enumerate(sources):
        if source.role not in ("answer", "manual") or at in known.values():
            continue
        before = max((n for n, i in known.items() if i < at), default=-1)
        after = min((n for n, i in known.items() if i > at and n > before), default=len(cells))
        between = [n for n in range(before + 1, after) if n not in known and cells[n].code == source.code][:FEW]
        if source.role == "manual" and not source.code:
            known.update((n, at) for n in between if not _is_text(sources, cells[n].source))
            continue
        alike = {
            n: difflib.SequenceMatcher(None, source.source[:5000], cells[n].source[:5000]).ratio() for n in between
        }
        best = max(alike, key=lambda n: alike[n], default=None)
        if best is not None and (alike[best] >= ALIKE or len(between) == 1):
            known[best] = at


def _is_text(sources: tuple[Source, ...], text: str) -> bool:
    """Whether a text is the instructor's, with other links in it perhaps."""
    texts = [one.source[:5000] for one in sources if one.role == "text"]
    matchers = [difflib.SequenceMatcher(None, one, text[:5000]) for one in texts]
    return any(one.quick_ratio() >= ALIKE and one.ratio() >= ALIKE for one in matchers)


def _remark(
    script: Script, assignment: Assignment, by_source: dict[int, list[int]], known: dict[int, int], cells: list[Cell]
) -> None:
    answers = [at for at, source in enumerate(assignment.sources) if source.role == "answer"]
    missing = sum(not by_source[at] for at in answers)
    doubled = sum(len(by_source[at]) > 1 for at in answers)
    order = [known[n] for n in sorted(known) if assignment.sources[known[n]].role == "answer"]
    stripped = not any(cell.grade_id for cell in cells)
    keys, wanted = (
        {source.key for source in assignment.sources},
        {item.answer for item in assignment.items if item.answer},
    )
    strange = wanted and not any(cell.grade_id in keys or wanted & set(defined(cell.source)) for cell in cells)
    for said, when in (
        (OTHER, strange),
        (f"{missing} answer cells are gone" if missing > 1 else "an answer cell is gone", missing and not strange),
        (
            f"{doubled} answer cells are there more than once" if doubled > 1 else "an answer cell is there twice",
            doubled,
        ),
        ("the cells were in another order", order != sorted(order)),
        ("nbgrader's marks are gone: cells were recognised by their text", stripped),
    ):
        if when:
            script.remarks.append(said)
