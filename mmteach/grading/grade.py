"""One submission: (notebook's bytes, assignment, seed) → result, as plain data. The same whenever and wherever it runs.

| name     | what it is                                                                          |
|----------|---------------------------------------------------------------------------------------|
| `grade`  | the whole way; never raises for anything a submission can hold                        |
| `Rules`  | the seed, the time a task may take, where tasks are found                              |

A result is {status, message, score, points, items, answers, remarks, seconds}; each item has {id, kind, task, points, score,
status, message, misconception, parts, seconds}. A status is one of STATUSES.
"""

from __future__ import annotations

import builtins
import re
import time
from dataclasses import dataclass, field
from typing import Any

from mmteach.grading import oracle
from mmteach.grading.assignment import Assignment, Item, defined
from mmteach.grading.client import Server
from mmteach.grading.matching import Script, Step, match
from mmteach.grading.notebook import Unreadable, cells_of

STATUSES = ("ok", "timeout", "memory", "died", "refused", "unreadable")
TIME = 30.0  # seconds a task
NOTEBOOK = 10  # so many times a task's time, and once more for each task, for all of a notebook's cells together
CHILD = 20_170_612  # the seed of a child's own random numbers: from the gradebook's it could tell what it will be asked
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
SAID = {
    "timeout": "it was not done after {seconds:g} s: is there a loop that never ends, or one over every single number?",
    "long": "the notebook's cells took {seconds:g} s together, and what came after that was not run",
    "memory": "it asks for more memory than there is: {mb} MB beyond what the libraries take",
    "died": "Python itself ended while this ran ({how})",
    "refused": "what came back is no answer that the checked cells could have given: something interfered with the check",
}


@dataclass(frozen=True)
class Rules:
    """What a grade depends on besides submission and assignment."""

    seed: int
    time_limit: float | None = None
    registry: str = "mmteach.exercises"

    @property
    def seconds(self) -> float:
        return self.time_limit or TIME


@dataclass
class _Run:
    """A submission on its way: what has been found out, and which steps must not run again."""

    server: Server
    rules: Rules
    assignment: Assignment
    script: Script
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    stuck: dict[int, tuple[str, str]] = field(default_factory=dict)  # step → status, message
    given_up: set[int] = field(default_factory=set)  # steps that got stuck even with their definitions only
    errors: dict[int, dict[str, Any]] = field(default_factory=dict)  # step → what it raised
    spent: float = 0.0  # seconds in the submission's own cells
    called: bool = False  # whether an answer was called in this child: what it started may still be at work


def grade(data: bytes, assignment: Assignment, rules: Rules, server: Server) -> dict[str, Any]:
    """The result of one notebook. Raises ServerLost where the server itself was lost: call it again with another."""
    started = time.monotonic()
    try:
        script = match(assignment, cells_of(data))
    except Unreadable as error:
        return unreadable(assignment, str(error), time.monotonic() - started)
    run = _Run(server, rules, assignment, script)
    # A step that gets stuck ends the child. The next one runs all steps again, of those that got stuck the definitions only.
    while not _through(run):
        pass
    server.end()
    long = SAID["long"].format(seconds=round(run.spent))
    for asked in assignment.items:
        if asked.kind != "manual" and asked.id not in run.found:
            run.found[asked.id] = _item(asked, 0.0, "timeout", long)
    items = [run.found.get(item.id) or _manual(item, assignment, script) for item in assignment.items]
    for item in items:
        item.pop("again", None)
    return _result(assignment, items, script.answers, script.remarks, time.monotonic() - started)


def unreadable(
    assignment: Assignment, message: str, seconds: float = 0.0, status: str = "unreadable"
) -> dict[str, Any]:
    """The result of a file that gives nothing to run."""
    items = [_item(item, 0.0, status, message) for item in assignment.items]
    return _result(assignment, items, {}, [], seconds) | {"status": status, "message": clean(message)}


def _result(
    assignment: Assignment, items: list[dict], answers: dict, remarks: list[str], seconds: float
) -> dict[str, Any]:
    worst = next((item for item in items if item["status"] not in ("ok", "to mark")), None)
    return {
        "status": worst["status"] if worst else "ok",
        "message": worst["message"] if worst else "",
        "score": sum(item["score"] or 0.0 for item in items),
        "points": assignment.points,
        "items": items,
        "answers": {key: text[:100_000] for key, text in answers.items()},
        "remarks": remarks,
        "seconds": round(seconds, 3),
    }


def _item(item: Item, score: float, status: str, message: str, **more: Any) -> dict[str, Any]:
    return {
        "id": item.id, "kind": item.kind, "task": item.task, "points": item.points, "score": score, "status": status,
        "message": clean(message), "misconception": "", "parts": {}, "seconds": 0.0,
    } | more  # fmt: skip


def _manual(item: Item, assignment: Assignment, script: Script) -> dict[str, Any]:
    key = assignment.sources[item.at].key
    said = (
        ("still to be marked by a person", "")
        if script.answers.get(key, "").strip()
        else ("not answered yet", "unanswered")
    )
    return _item(item, 0.0, "to mark", said[0], misconception=said[1]) | {"score": None}


def clean(text: str) -> str:
    """A message without what differs from run to run (addresses) and what plays tricks when it is printed."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", ADDRESS.sub("0x…", text))[:1000]


# ---- running the steps ---------------------------------------------------------------------------------------------------


def _through(run: _Run) -> bool:
    """Run all steps in one fresh child; False where it was lost on the way and another try can get further."""
    run.server.new(CHILD)
    run.called = False
    steps = run.script.steps
    run.errors.clear()
    for number, step in enumerate(steps):
        if number in run.given_up:
            continue
        if step.item is None:
            if run.spent > run.rules.seconds * (NOTEBOOK + len(run.assignment.items)):
                return True
            if not _cell(run, number, step):
                return False
        elif step.item.id not in run.found and not _ask(run, number, step, step.item):
            return False
    return _once_more(run)


def _cell(run: _Run, number: int, step: Step) -> bool:
    limit = run.rules.seconds if not step.trusted else max(60.0, run.rules.seconds)
    before = number in run.stuck
    request = {"op": "cell", "source": step.source, "names": list(step.names), "definitions": before}
    how, head, _ = run.server.ask(request, b"", min(limit, 5.0) if before else limit)
    run.spent += 0.0 if step.trusted else how["seconds"]
    if how["status"] != "ok":
        if before:
            run.given_up.add(number)
        else:
            run.stuck[number] = _lost(run, how, limit)
        return False
    if error := _error(head):
        run.errors[number] = error
    return True


def _error(head: dict[str, Any]) -> dict[str, Any] | None:
    """The error in a child's answer, as words: the code that is judged could have written anything there."""
    error = head.get("error")
    if not isinstance(error, dict):
        return None
    said = {name: error.get(name) for name in ("type", "says", "line")}
    words = {name: word[:1000] if isinstance(word, str) else "" for name, word in said.items()}
    return words | {"type": words["type"] or "an error"}


def _lost(run: _Run, how: dict[str, Any], limit: float) -> tuple[str, str]:
    status = {"garbled": "refused"}.get(how["status"], how["status"])
    if how.get("exit") == -9:
        status = "memory"
    code = how.get("exit")
    ended = f"signal {-code}" if code and code < 0 else f"exit code {code}" if code is not None else "without a code"
    memory = run.server.settings.limits.memory_mb
    return status, SAID[status].format(seconds=limit, mb=memory, how=ended)


def _before(run: _Run, number: int) -> list[int]:
    """The steps between the last item before this one and this one: what an item's answer comes from."""
    first = max((n for n in range(number) if run.script.steps[n].item), default=-1)
    return list(range(first + 1, number))


def _ask(run: _Run, number: int, step: Step, item: Item) -> bool:
    """Ask for an item; False where that cost the child."""
    blamed = next((run.stuck[n] for n in _before(run, number) if n in run.stuck), None)
    if item.kind == "assert":
        return _assert(run, number, step, item, blamed)
    asked = oracle.draw(run.rules.registry, item.task, run.rules.seed, run.assignment.references)
    limit = min(asked.seconds, run.rules.seconds) if run.rules.time_limit else asked.seconds
    request = {"op": "observe", "task": item.task, "answer": item.answer, "seconds": run.rules.time_limit}
    how, head, body = run.server.ask(request, asked.bytes, limit)
    if how["status"] != "ok":
        if run.called:  # an answer before it may have done that: asked once more, it is the first in its child
            return False
        status, message = _lost(run, how, limit)
        run.found[item.id] = _item(item, 0.0, status, message, seconds=how["seconds"])
        return False
    run.called = True
    verdict, observed = oracle.judge(asked, body)
    if observed and observed[0].get("missing"):
        raised = [run.errors[n] for n in _before(run, number) if n in run.errors]
        status = "memory" if any(_memory(error) for error in raised) else "ok"
        status, message = blamed or (status, _why_missing(run, number, item))
        run.found[item.id] = _item(item, 0.0, status, message, misconception="missing", seconds=how["seconds"])
    elif verdict is None:
        error = _error(head)
        message = f"{error['type']}: {error['says']}" if error else SAID["refused"]
        run.found[item.id] = _item(item, 0.0, "refused", message, seconds=how["seconds"])
    else:
        share = item.points / asked.task.points if asked.task.points else 0.0
        run.found[item.id] = _item(
            item, round(verdict.points * share, 6), _status(verdict.misconception, observed), _sentence(verdict),
            misconception=verdict.misconception, parts=dict(verdict.parts), seconds=how["seconds"],
        )  # fmt: skip
        if blamed and not verdict.ok:
            run.found[item.id] |= {"status": blamed[0], "message": blamed[1]}
    return True


def _sentence(verdict: Any) -> str:
    return "" if verdict.ok else str(verdict.says)


def _status(misconception: str, observed: list[dict[str, Any]]) -> str:
    """The status of an answer that was judged: what stopped it, if anything did."""
    if misconception in ("borrowed", "replaced"):
        return "refused"
    if misconception == "slow":
        return "timeout"
    errors = [one["error"] for one in observed if isinstance(one.get("error"), dict)]
    return "memory" if any(_memory(error) for error in errors) else "ok"


def _memory(error: dict[str, Any]) -> bool:
    return error.get("type") == "MemoryError" or "allocate memory" in str(error.get("says"))


def _why_missing(run: _Run, number: int, item: Item) -> str:
    for one in reversed(_before(run, number)):
        if one in run.errors:
            error = run.errors[one]
            where = f", in the line `{error['line']}`" if error.get("line") else ""
            what = f"{error['type']}: {error['says']}" if error["says"] else error["type"]
            return f"`{item.answer}` is not there, because its cell stopped with {what}{where}"
    return f"`{item.answer}` is not there: no cell defines it"


def _assert(run: _Run, number: int, step: Step, item: Item, blamed: tuple[str, str] | None) -> bool:
    how, head, _ = run.server.ask({"op": "assert", "source": step.source}, b"", run.rules.seconds)
    if how["status"] != "ok":
        if run.called:
            return False
        status, message = _lost(run, how, run.rules.seconds)
        run.found[item.id] = _item(item, 0.0, status, message, seconds=how["seconds"])
        return False
    run.called = True
    error, value, replaced = _error(head), head.get("value"), head.get("replaced")
    if replaced:
        names = ", ".join(one[:100] for one in replaced if isinstance(one, str)) if isinstance(replaced, list) else ""
        found = _item(item, 0.0, "refused", f"the functions that tests lean on were exchanged: {names}")
    elif error:
        # What a hidden test says is for its author: a student gets the kind of error, not the test's line. A class of the
        # student's own could have that line for its name.
        kind = error["type"] if isinstance(getattr(builtins, error["type"], None), type) else "an error of another kind"
        status, message = blamed or ("ok", f"the test stopped with {kind}")
        found = _item(item, 0.0, "memory" if _memory(error) else status, message)
    else:
        part = float(value) if isinstance(value, (int, float)) and 0 <= value <= item.points else item.points
        found = _item(item, part, "ok", "" if part == item.points else "part of the points")
    run.found[item.id] = found | {"seconds": how["seconds"]}
    return True


def _once_more(run: _Run) -> bool:
    """Ask again, at the notebook's end, for what may have been defined below its test cell; the better result counts."""
    steps = run.script.steps
    again = []
    for number, step in enumerate(steps):
        item = step.item
        if item is None or number in run.given_up:
            continue
        old = run.found[item.id]
        later = any(
            other.item is None and item.answer and item.answer in defined(other.source) for other in steps[number:]
        )
        undefined = "NameError" in old["message"] or old["misconception"] == "missing"
        if old["score"] < item.points and "again" not in old and (later or undefined):
            again.append((number, step, item, old))
    if not again:
        return True
    # Cells that met a name which only a later cell defines run once more, as a learner would run them.
    for number, error in list(run.errors.items()):
        if error.get("type") == "NameError" and not steps[number].trusted and not _cell(run, number, steps[number]):
            return False
    for number, step, item, old in again:
        old["again"] = True
        if not _ask(run, number, step, item):
            run.found[item.id] = old
            return False
        if run.found[item.id]["score"] <= old["score"]:
            run.found[item.id] = old
    return True
