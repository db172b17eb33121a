"""`check("fusion.gated", MyGated)`: in the notebook, one sentence at once.

| name       | what it does                                                                            |
|------------|-------------------------------------------------------------------------------------------|
| `check`    | run an answer on fresh inputs, print how it did, keep it in the progress; returns its points |
| `earns`    | whether an answer earns one part of a task's points: what otter-grader asks                |
| `verdict`  | the same without printing or keeping anything                                            |
| `sentence` | what `check` prints                                                                      |
"""

from __future__ import annotations

import secrets
import textwrap
from collections.abc import Callable
from typing import Any

from mmteach.exercises import judge, observe, progress
from mmteach.exercises.task import Expectation, Observed, Task, Verdict

WIDTH = 100  # columns of a cell's output: JupyterLab breaks longer lines anywhere, inside words too

# Where a notebook is run for somebody else (`mmteach check`, the grader), they ask the questions: this is called instead.
INSTEAD: Callable[[str, Any], int] | None = None


def check(name: str, answer: Any) -> int:
    """Check an answer on inputs drawn afresh, print ✓ and its points or the first thing that is wrong; returns the points.

    The value is what nbgrader takes as the cell's score. Nothing an answer does stops the notebook.

    Raises ValueError where no task has that name.
    """
    from mmteach.exercises import find

    if INSTEAD:
        return INSTEAD(name, answer)
    task = find(name)
    found, expected, observed = verdict(task, answer)
    _print(sentence(task, found))
    if task.picture and found.example is not None and "error" not in observed[found.example]:
        try:
            shown = task.picture(expected[found.example], observed[found.example])
        except Exception:
            shown = None  # what came cannot be drawn (another shape, no numbers): the sentence has said so
        if shown is not None:
            from IPython.display import display

            display(shown)
    progress.keep(task, found)
    return found.points


def earns(name: str, part: str, answer: Any) -> bool:
    """Whether an answer earns that part of the task; where it does not, prints the first thing that is wrong.

    Raises ValueError where no task has that name, or the task no such part.
    """
    from mmteach.exercises import find

    task = find(name)
    if part not in task.parts:
        raise ValueError(f"{name} has no part {part!r}; there are {', '.join(task.parts)}")
    found, _, _ = verdict(task, answer)
    if not found.parts[part]:
        _print(sentence(task, found))
    return found.parts[part]


def verdict(task: Task, answer: Any, seed: int | None = None) -> tuple[Verdict, list[Expectation], list[Observed]]:
    """The verdict on an answer, with what was expected and observed for each case."""
    cases, expected = judge.draw(task, secrets.randbelow(2**31) if seed is None else seed)
    observed: list[Observed] = []
    for case in cases:
        observed.append(observe.observe(task, answer, case))
        if observed[-1].get("unanswered") or observed[-1].get("error", {}).get("type") == "TimeUp":
            break  # the others would say the same, each after its own time
    return judge.judge(task, cases, observed, expected), expected, observed


def sentence(task: Task, found: Verdict) -> str:
    """ "✓ fusion.gated: 4 of 4 points", or "✗ fusion.gated, 2 of 4 points: …"."""
    if found.ok:
        return f"✓ {task.name}: {found.points} of {task.points} points"
    if found.misconception == "unanswered":
        return f"· {task.name}: {found.says} ({task.points} points)"
    return f"✗ {task.name}, {found.points} of {task.points} points: {found.says}"


def _print(says: str) -> None:
    """Print a sentence in lines that end between words."""
    print(textwrap.fill(says, WIDTH, break_long_words=False, break_on_hyphens=False))
