"""The child of `mmteach check`: runs a notebook's cells and its answers in a process of its own, and says what came of them.

    python -m mmteach.exercises.child REQUEST REPLY

REQUEST is a file of plain data (`wire`): the cells, those to leave out, the seconds a cell may take, the tasks with their cases. REPLY grows by a
record a step, each written before the next begins, so that the parent knows where a child that died had got to:

    {"begins": "cell", "at": 3}   {"cell": 3, "error": "NameError: …"}   {"begins": "task", "at": "fusion.gated"}
    {"task": "fusion.gated", "observed": […]}   {"done": True}

No reference is imported here.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

from mmteach.exercises import find, guard, notebook
from mmteach.exercises.observe import observe
from mmteach.exercises.task import Case, Task
from mmteach.exercises.wire import decode, encode


class _Answers:
    """Every value that a task's answer had while the cells ran, the latest last."""

    def __init__(self, tasks: list[Task]) -> None:
        self.tasks = tasks
        self.found: dict[str, list[Any]] = {task.name: [] for task in tasks}

    def look(self, namespace: dict[str, Any]) -> None:
        for task in self.tasks:
            if task.answer in namespace:
                self.add(task.name, namespace[task.answer])

    def add(self, name: str, answer: Any) -> int:
        found = self.found.get(name)
        if found is not None and not any(answer is one for one in found[-1:]):
            found.append(answer)
        return 0


def main(request: Path, reply: Path) -> None:
    """Run the cells, then the tasks; see this file's docstring for what is written."""
    asked = decode(request.read_bytes())
    with reply.open("ab") as out:
        answers = _Answers([find(name) for name in asked["tasks"]])
        notebook.INSTEAD = answers.add
        _run_cells(asked["cells"], set(asked["skip"]), asked["seconds"], answers, out)
        for name, cases in asked["tasks"].items():
            if name in asked["done"]:
                continue
            _say(out, {"begins": "task", "at": name})
            observed = _observed(find(name), [Case.from_plain(case) for case in cases], answers.found[name])
            _say(out, {"task": name, "observed": observed})
        _say(out, {"done": True})


def _say(out: BinaryIO, record: dict[str, Any]) -> None:
    data = encode(record)
    out.write(struct.pack("<Q", len(data)) + data)
    out.flush()


def _run_cells(cells: list[str], skip: set[int], seconds: float, answers: _Answers, out: BinaryIO) -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=settings)
    failed: list[int] = []

    def run(at: int) -> BaseException | None:
        _say(out, {"begins": "cell", "at": at})
        error: BaseException | None
        with guard.quiet():
            try:
                with guard.limited(seconds):
                    result = shell.run_cell(cells[at], store_history=False)
                error = result.error_before_exec or result.error_in_exec
            except BaseException as stopped:
                error = stopped
        if isinstance(error, guard.TimeUp):
            error = TimeoutError(f"not done after {seconds:g} s")
        answers.look(shell.user_ns)
        words = None if error is None else " ".join(f"{type(error).__name__}: {error}".split())[:200]
        _say(out, {"cell": at, "error": words})
        return error

    for at in range(len(cells)):
        if at not in skip and isinstance(run(at), NameError):
            failed.append(at)
    # What a name was missing for may have been written further down: once more, for notebooks whose cells changed places.
    for at in failed:
        run(at)


def _observed(task: Task, cases: list[Case], found: list[Any]) -> list[Any] | None:
    """What the latest answer that is one does with the cases; None where the notebook has none at all."""
    for answer in reversed(found):
        first = observe(task, answer, cases[0])
        error = first.get("error", {})
        if not (first.get("unanswered") or (error.get("type") == "NotImplementedError" and not error["says"])):
            return [first, *(observe(task, answer, case) for case in cases[1:])]
    return [{"unanswered": True, "outputs": {}}] * len(cases) if found else None


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "agg"
    main(Path(sys.argv[1]), Path(sys.argv[2]))
