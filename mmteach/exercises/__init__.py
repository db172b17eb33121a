"""The exercises: each task once, checked on the spot in the notebook and by `mmteach check` and `mmteach grade`.

| module       | what is in it                                                                       |
|--------------|--------------------------------------------------------------------------------------|
| `background` `concepts` `fusion` … | a chapter's tasks: prompt, hints, fresh inputs, how an answer is run  |
| `references` | what a right answer gives, and what known misconceptions give; not in a handout       |
| `stored`     | the same as numbers on file, which a handout has in its place                         |
| `task`       | `Task`, `Case`, `Expectation`, `Verdict`                                             |
| `observe`    | runs an answer and says what it did, as plain data (the child's side)                 |
| `judge`      | compares that with what is right, and explains (the parent's side)                    |
| `wire`       | plain data as bytes, never pickle                                                     |
| `guard`      | time, output, random states, settings while an answer runs                           |
| `notebook`   | `check("fusion.gated", MyGated)`                                                     |
| `pictures`   | yours against the target                                                             |
| `progress`   | what a learner has solved, kept across restarts                                      |
| `submission` | a notebook's answers, whatever was done to it: `mmteach check`                        |
"""

from __future__ import annotations

import functools
import importlib

from mmteach.exercises.notebook import check as check
from mmteach.exercises.task import Case as Case
from mmteach.exercises.task import Expectation as Expectation
from mmteach.exercises.task import Task as Task
from mmteach.exercises.task import Verdict as Verdict

# In the order of the chapters; solutions/src/NN_name.py is named after its module here.
CHAPTERS = ("background", "concepts", "fusion", "cross_modal", "multi_task", "applications", "outlook")


@functools.cache
def tasks(chapter: str | None = None) -> tuple[Task, ...]:
    """The tasks of a chapter ("fusion"), or of all, in the order in which the notebooks ask them."""
    chosen = CHAPTERS if chapter is None else (chapter,)
    return tuple(task for one in chosen for task in importlib.import_module(f"mmteach.exercises.{one}").TASKS)


def find(name: str) -> Task:
    """The task of that name; raises ValueError with those there are."""
    if not isinstance(name, str):
        raise ValueError(
            f'the first argument of check is the name of a task in quotes, such as "fusion.gated"; got {name!r}'
        )
    chapter = name.partition(".")[0]
    if chapter not in CHAPTERS:
        raise ValueError(f"no task is called {name!r}: names begin with {', '.join(CHAPTERS)}")
    for task in tasks(chapter):
        if task.name == name:
            return task
    raise ValueError(f"no task is called {name!r}; there are {', '.join(task.name for task in tasks(chapter))}")
