"""What an answer does with a case, as plain data. This is all that runs beside a learner's code; no reference is near.

| name       | what it does                                                                           |
|------------|------------------------------------------------------------------------------------------|
| `function` | call a function: its value, gradients, rows one by one, changed arguments                |
| `module`   | build an nn.Module, give it the case's weights, call it                                  |
| `value`    | an answer that is a value: a number, a word, a list                                      |
| `entry`    | one entry of an answer that is a dict                                                    |
| `observe`  | a task's `run` under the guards of `mmteach.exercises.guard`; never raises for an answer  |

What is observed is a dict: `outputs` by name, and where there is something to say, `error`, `changed` (names of
arguments changed in place), `settings` (what was changed for the whole process), `random` (two calls differ).
"""

from __future__ import annotations

import contextlib
import copy
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmteach.exercises import guard
from mmteach.exercises.task import Case, Observed, Task
from mmteach.exercises.wire import Foreign, encode, plain

LONG = 300  # characters of an error's message
LIBRARIES = (
    str(Path(__file__).parents[1]),
    sys.base_prefix,
    "<frozen",
)  # where a traceback's lines are not the learner's


def function(
    answer: Any,
    arguments: Mapping[str, Any],
    *,
    again: bool = True,
    gradients: Sequence[str] = (),
    rows: Sequence[str] = (),
) -> Observed:
    """Call `answer` with the arguments in their order; `outputs` are

        value             what it returns
        gradient of NAME  of Σ value · w with respect to that argument, w fixed numbers; None where there is none
        rows              the values for each row of the arguments in `rows` alone, stacked; None where that fails

    again: call it twice, to see whether it gives the same and whether the second call meets arguments that the first changed
    """
    if not callable(answer):
        return value(answer) | {"not callable": True}
    given = {name: _fresh(value, name in gradients) for name, value in arguments.items()}
    kept = {name: plain(value) for name, value in given.items()}
    found = answer(*given.values())
    outputs = {"value": plain(found)}
    changed = [name for name, value in given.items() if not same(plain(value), kept[name])]
    seen: Observed = {"outputs": outputs}
    if changed:
        seen["changed"] = changed
    for name in gradients:
        outputs[f"gradient of {name}"] = _gradient(found, given[name])
    if again and not gradients:
        second = plain(answer(*(_fresh(value, False) for value in arguments.values())))
        if not same(second, outputs["value"]):
            seen["random"] = True
    if rows:
        outputs["rows"] = _row_by_row(answer, arguments, rows)
    return seen


def module(
    answer: Any,
    sizes: Sequence[Any],
    weights: Mapping[str, Tensor],
    arguments: Mapping[str, Any],
    *,
    rows: Sequence[str] = (),
    gradients: bool = False,
) -> Observed:
    """Build `answer(*sizes)`, copy `weights` into its parameters, call it; `outputs` are those of `function` and

    parameters            by name, its shape as a list: what `weights` has, if the answer is built as asked
    gradients             by parameter, that of Σ value · w; None where none arrives
    """
    if not callable(answer):
        return value(answer) | {"not callable": True}
    guard.seed()
    built = answer(*sizes)
    if not isinstance(built, nn.Module):
        return {"outputs": {"value": plain(built)}, "no module": type(built).__name__}
    own = dict(built.named_parameters())
    outputs: dict[str, Any] = {"parameters": {name: list(p.shape) for name, p in sorted(own.items())}}
    if outputs["parameters"] != {name: list(w.shape) for name, w in sorted(weights.items())}:
        return {"outputs": outputs}
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])
    built.eval()
    seen = function(built, arguments, rows=rows)
    seen["outputs"] = outputs | seen["outputs"]
    if gradients:
        built.zero_grad()
        found = built(*(_fresh(value, False) for value in arguments.values()))
        if isinstance(found, Tensor) and found.requires_grad:
            (found * weighing(found)).sum().backward()
        seen["outputs"]["gradients"] = {
            name: None if p.grad is None else plain(p.grad) for name, p in sorted(own.items())
        }
    return seen


def value(answer: Any) -> Observed:
    """An answer that is a value; None is an answer not yet given."""
    return {"outputs": {"value": plain(answer)}} | ({"unanswered": True} if answer is None or answer is ... else {})


def entry(answer: Any, key: str) -> Observed:
    """One entry of an answer that is a dict: {"or": 0.5}; None for an entry is one not yet given."""
    if not isinstance(answer, dict):
        return value(answer) | {"no dict": True}
    if key not in answer:
        return {"outputs": {}, "missing": key}
    return value(answer[key])


def weighing(like: Tensor) -> Tensor:
    """Fixed numbers of the same shape, no two alike: a gradient of their weighted sum tells one output from another."""
    return (torch.arange(like.numel(), dtype=like.dtype, device=like.device) * 0.61803 % 1.0 + 0.3).reshape(like.shape)


def _fresh(value: Any, with_gradient: bool) -> Any:
    copied = copy.deepcopy(value)
    return copied.requires_grad_(True) if with_gradient else copied


def _gradient(found: Any, argument: Tensor) -> Tensor | None:
    if not isinstance(found, Tensor) or not found.requires_grad:
        return None
    (gradient,) = torch.autograd.grad((found * weighing(found)).sum(), argument, allow_unused=True, retain_graph=True)
    return None if gradient is None else plain(gradient)


def _row_by_row(answer: Any, arguments: Mapping[str, Any], rows: Sequence[str]) -> Tensor | None:
    batch = len(arguments[rows[0]])
    parts = []
    for i in range(batch):
        one = {name: x[i : i + 1] if name in rows else x for name, x in arguments.items()}
        found = answer(*(_fresh(x, False) for x in one.values()))
        if not isinstance(found, Tensor) or found.ndim == 0 or len(found) != 1:
            return None
        parts.append(plain(found))
    return torch.cat(parts)


def same(one: Any, other: Any) -> bool:
    """Whether two pieces of plain data are equal to the bit (NaN equals NaN)."""
    return encode(one) == encode(other)


def observe(task: Task, answer: Any, case: Case, seconds: float | None = None) -> Observed:
    """What `answer` does with `case`, within the task's time; an answer that fails is observed, not raised."""
    seen: Observed = {"outputs": {}}
    stopped = guard.blocked(task.blocks) if guard.loaded(task.blocks) else contextlib.nullcontext()
    with guard.settled() as settings, guard.quiet(), stopped:
        try:
            with guard.limited(seconds or task.seconds):
                seen = task.run(answer, case)
        except guard.TimeUp:
            seen["error"] = {"type": "TimeUp", "says": f"{task.seconds:g} s", "line": None}
        except guard.Blocked as error:
            seen["error"] = {"type": "Blocked", "says": str(error), "line": None}
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            seen["error"] = _error(error)
    if settings:
        seen["settings"] = list(settings)
    tampered = guard.replaced()
    if tampered:
        seen["replaced"] = tampered[:3]
    return plain(seen)


def _error(error: BaseException) -> dict[str, Any]:
    """The error's type, its first words, and the line of the answer's own code in which it arose."""
    here = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(LIBRARIES) and "site-packages" not in frame.filename
    ]
    try:
        says = str(error)
    except Exception:
        says = ""
    line = here[-1].line if here else None
    return {"type": type(error).__name__, "says": says[:LONG], "line": line[:LONG] if line else None}


def describe(value: Any) -> str:
    """What kind of thing it is, in a word or two, for a message."""
    if isinstance(value, Foreign):
        return f"an object of type {value.type}"
    words = {"NoneType": "None", "bool": "True or False", "int": "a whole number", "float": "a number", "str": "a text",
             "list": "a list", "tuple": "a tuple", "dict": "a dict", "Tensor": "a tensor", "ndarray": "a NumPy array"}  # fmt: skip
    return words.get(type(value).__name__, type(value).__name__)
