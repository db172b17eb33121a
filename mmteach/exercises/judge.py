"""Judge what was observed: points a part, and the first thing that is wrong in one sentence that never gives the answer.

| name        | what it does                                                                              |
|-------------|--------------------------------------------------------------------------------------------|
| `judge`     | cases and what was observed → Verdict                                                      |
| `draw`      | fresh cases with what a right answer gives for each                                        |
| `cases_of`  | the cases alone                                                                           |
| `GENERAL`   | the misconceptions that any task may meet, beside those of its own                          |

A case passes where every output agrees with the right one. Where one does not, the outputs of the task's known wrong
answers are compared with it: the first that agrees names the misconception. Where none does, the difference itself is
described: its type, its shape, what it would need to be multiplied by, the first place at which it differs.

Only numpy does the comparing: an answer that exchanges functions of torch changes nothing here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmteach.exercises import stored
from mmteach.exercises.observe import describe
from mmteach.exercises.task import Case, Expectation, Observed, Task, Verdict
from mmteach.exercises.wire import Foreign

GENERAL = {
    "unanswered": "not answered yet",
    "no function": "the check needs something that can be called (a function or a class), and got {found}",
    "no module": "building it gave {found}; a class that inherits from nn.Module is needed",
    "no dict": "the answer is {found}; a dict with the entries that the text names is needed",
    "missing": "the answer has no entry {found!r}",
    "raises": "it stopped with {error}",
    "exits": "it ends the program: an answer returns, and leaves the notebook running",
    "slow": "it was not done after {seconds:g} s: is there a loop that never ends, or one over every single number?",
    "borrowed": "it calls {module}, the library's own: this is the part to write yourself",
    "replaced": "{names} no longer the library's own: restart the kernel, and leave the functions of torch as they are",
    "settings": "it calls {names}, which changes the whole notebook: what an answer needs, it keeps to itself",
    "in place": "it changes its argument `{names}`: whoever called it needs that afterwards, so work on a new tensor",
    "random": "called twice with the same arguments it gives two different answers",
    "type": "{output} is {found}, and {right} is needed",
    "keys": "{output} has the entries {found}, and {right} are asked for",
    "length": "{output} has {found} entries, and {right} are needed",
    "shape": "{output} has shape {found}, and here it must be {right}: which axis is one too many, missing, or in another's place?",
    "not finite": "{output} holds {found} where it must be finite: which step can overflow, divide by zero, or take the logarithm of zero?",
    "gradient": "{output} does not arrive: a step on the way cuts the graph (detach, item, no_grad, NumPy, argmax)",
    "parameters": "its parameters are not those that the text asks for; too many: {found}; missing: {right}",
    "negated": "{output} has the right size and the wrong sign",
    "scaled": "{output} is right up to one constant factor: which sum should be a mean, or which constant is missing or too many?",
    "shifted": "{output} is right up to one constant that is added everywhere",
    "transposed": "{output} is right but for its two axes, which have changed places",
    "reordered": "{output} holds the right rows in another order",
    "rows mix": "an example's result depends on the others in its batch: over which axis do you sum or average?",
    "value": "{output} is wrong{place}: it is {found}, which is too {way}",
    "word": "{output} is not {found}",
}  # fmt: skip

NUMBERS = {
    "negated",
    "scaled",
    "shifted",
    "transposed",
    "reordered",
    "not finite",
    "value",
}  # the right shape, wrong numbers


def references(task: Task) -> Any | None:
    """The module of the references of the task's chapter; None in a handout, which has none."""
    try:
        return importlib.import_module(f"mmteach.exercises.references.{task.chapter}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("mmteach.exercises.references"):
            return None
        raise


def cases_of(task: Task, seed: int) -> list[Case]:
    """The cases of `draw` alone, without computing what a right answer gives."""
    return stored.draw(task.name, seed)[0] if references(task) is None else task.cases(seed)


def draw(task: Task, seed: int) -> tuple[list[Case], list[Expectation]]:
    """Fresh cases and their expectations; in a handout, one of the stored draws."""
    module = references(task)
    if module is None:
        return stored.draw(task.name, seed)
    cases = task.cases(seed)
    return cases, [module.EXPECT[task.name](case) for case in cases]


def judge(
    task: Task, cases: Sequence[Case], observed: Sequence[Observed], expected: Sequence[Expectation] | None = None
) -> Verdict:
    """The verdict on what was observed for these cases; `expected` is computed from the reference where it is not given.

    A case for which nothing was observed (the child died) is one that failed.
    """
    if expected is None:
        module = references(task)
        if module is None:
            raise ValueError(
                f"there is no reference for {task.name} here: pass the expectations that came with the cases"
            )
        expected = [module.EXPECT[task.name](case) for case in cases]
    parts = dict.fromkeys(task.parts, True)
    faults: list[tuple[int, list[tuple[str, str]]]] = []
    for i, (case, expectation) in enumerate(zip(cases, expected, strict=True)):
        seen = observed[i] if i < len(observed) and isinstance(observed[i], dict) else {}
        try:
            found = list(_faults(task, case, seen, expectation))
        except Exception:
            # What a child sends is what a learner's code made of it: data of a form that nothing here foresees is no answer.
            found = [("raises", GENERAL["raises"].format(error="a result that cannot be read"))]
        if found:
            parts[case.part] = False
            faults.append((i, found))
    points = sum(task.parts[part] for part, good in parts.items() if good)
    if not faults:
        return Verdict(True, points, parts=parts)
    first, candidates = faults[0]
    # Several misconceptions may give the same on one input: the one that explains the most cases is the likeliest.
    weight = {name: sum(name in [other for other, _ in found] for _, found in faults) for name, _ in candidates}
    name, says = max(candidates, key=lambda one: weight[one[0]])
    if cases[first].what and name not in ("unanswered", "no function", "replaced", "borrowed"):
        says += f" (Seen with {cases[first].what}.)"
    return Verdict(False, points, says, name, parts, first)


def _faults(task: Task, case: Case, seen: Observed, expectation: Expectation) -> Iterator[tuple[str, str]]:
    """What is wrong with one case: every known misconception that explains it, else the one description of it."""
    trouble = _trouble(task, case, seen)
    if trouble:
        yield trouble
        return
    outputs = seen.get("outputs", {})
    wrong = None
    for output, right in expectation.right.items():
        wrong = _difference(output, right, outputs.get(output), task.rtol, task.atol)
        if wrong:
            break
    if not wrong:
        return
    known = [name for name, gives in expectation.wrong.items() if _explains(gives, expectation.right, outputs, task)]
    if known:
        yield from ((name, _sentence(task, name)) for name in known)
    elif wrong[0] in NUMBERS and _rows_mix(outputs, task):
        yield "rows mix", GENERAL["rows mix"]
    else:
        yield wrong


def _trouble(task: Task, case: Case, seen: Observed) -> tuple[str, str] | None:
    """What went wrong apart from the outputs: an error, a changed argument, a changed setting."""
    error = seen.get("error")
    # A stub says nothing; PyTorch raises errors of this type as well, and says what is not implemented.
    stub = error and error["type"] == "NotImplementedError" and not error["says"]
    noticed = task.notice(case, seen) if task.notice and not stub else None
    if seen.get("unanswered") or stub:
        return "unanswered", GENERAL["unanswered"]
    if seen.get("replaced"):
        are = " are" if len(seen["replaced"]) > 1 else " is"
        return "replaced", GENERAL["replaced"].format(names=", ".join(seen["replaced"]) + are)
    if noticed:
        return noticed, _sentence(task, noticed)
    if error:
        return _said(task, error)
    if seen.get("not callable"):
        return "no function", GENERAL["no function"].format(found=describe(seen["outputs"]["value"]))
    if seen.get("no module"):
        return "no module", GENERAL["no module"].format(found=f"an object of type {seen['no module']}")
    if seen.get("no dict"):
        return "no dict", GENERAL["no dict"].format(found=describe(seen["outputs"]["value"]))
    if seen.get("missing"):
        return "missing", GENERAL["missing"].format(found=seen["missing"])
    if seen.get("settings"):
        return "settings", GENERAL["settings"].format(names=" and ".join(seen["settings"]))
    if seen.get("changed"):
        return "in place", GENERAL["in place"].format(names="`, `".join(seen["changed"]))
    if seen.get("random"):
        return "random", GENERAL["random"]
    if not seen.get("outputs"):
        return "raises", GENERAL["raises"].format(error="nothing to show: its process died")
    return None


def _said(task: Task, error: Mapping[str, Any]) -> tuple[str, str]:
    if error["type"] == "TimeUp":
        return "slow", GENERAL["slow"].format(seconds=task.seconds)
    if error["type"] == "Blocked":
        return "borrowed", GENERAL["borrowed"].format(module=error["says"])
    if error["type"] == "SystemExit":
        return "exits", GENERAL["exits"]
    words = f"{error['type']}: {error['says']}" if error["says"] else error["type"]
    where = f", in the line `{error['line']}`" if error["line"] else ""
    return "raises", GENERAL["raises"].format(error=" ".join(words.split()) + where)


def _sentence(task: Task, name: str) -> str:
    return task.misconceptions[name] if name in task.misconceptions else GENERAL[name]


def _explains(
    gives: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    right: Mapping[str, Any],
    outputs: Mapping[str, Any],
    task: Task,
) -> bool:
    """Whether a known wrong answer gives just these outputs, and differs from the right one in at least one of them."""
    for one in [gives] if isinstance(gives, Mapping) else gives:
        agrees = all(_difference(k, v, outputs.get(k), task.rtol, task.atol) is None for k, v in one.items())
        if agrees and any(_difference(k, v, right.get(k), task.rtol, task.atol) for k, v in one.items()):
            return True
    return False


def _rows_mix(outputs: Mapping[str, Any], task: Task) -> bool:
    value, rows = outputs.get("value"), outputs.get("rows")
    return isinstance(rows, Tensor) and bool(_difference("value", rows, value, task.rtol, task.atol))


def _difference(output: str, right: Any, found: Any, rtol: float, atol: float) -> tuple[str, str] | None:
    """The first difference as (general misconception, sentence); None where `found` is right."""
    name = {"value": "the result", "rows": "the result for one example at a time"}.get(output, f"the {output}")

    def say(kind: str, **words: Any) -> tuple[str, str]:
        return kind, GENERAL[kind].format(output=name, **words)

    if output.startswith("gradient") and isinstance(right, Tensor) and found is None:
        return say("gradient")
    if output == "parameters":
        if right == found:
            return None
        return say("parameters", found=_shapes(_beyond(found, right)), right=_shapes(_beyond(right, found)))
    if (
        isinstance(right, Tensor)
        and right.ndim == 0
        and isinstance(found, (int, float))
        and not isinstance(found, bool)
    ):
        found = torch.tensor(
            float(found), dtype=torch.float64
        )  # a number for a tensor of one: its missing gradient is another matter
    if isinstance(right, Tensor):
        if not isinstance(found, Tensor):
            return say("type", found=describe(found), right="a tensor")
        return _tensors(say, _numbers(right), _numbers(found), rtol, atol)
    if isinstance(right, dict):
        if not isinstance(found, dict):
            return say("type", found=describe(found), right="a dict")
        if set(right) != set(found):
            return say("keys", found=_list(found), right=_list(right))
        # "gradients" of "gate.weight" is the gradient of gate.weight; any other dict has entries.
        called = "gradient of {}" if output == "gradients" else "entry {!r}" if output == "value" else output + " {!r}"
        parts = (_difference(called.format(key), right[key], found[key], rtol, atol) for key in right)
        return next((one for one in parts if one), None)
    if isinstance(right, (list, tuple)):
        if not isinstance(found, (list, tuple)):
            return say("type", found=describe(found), right="a list")
        if len(right) != len(found):
            return say("length", found=len(found), right=len(right))
        pairs = enumerate(zip(right, found))
        return next((d for i, (a, b) in pairs if (d := _difference(f"entry {i}", a, b, rtol, atol))), None)
    if isinstance(right, bool) or right is None:
        return (
            None if found is right else say("word", found=repr(found) if isinstance(found, bool) else describe(found))
        )
    if isinstance(right, str):
        if not isinstance(found, str):
            return say("type", found=describe(found), right="a text")
        return None if right.split() == found.casefold().split() else say("word", found=repr(found[:40]))
    if isinstance(found, Tensor) and found.numel() == 1:
        found = found.item()
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return say("type", found=describe(found), right="a number")
    return _tensors(say, np.array(float(right)), np.array(float(found)), rtol, atol)


def _numbers(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.double().numpy() if not tensor.is_complex() else tensor.numpy())


def _tensors(say: Any, right: np.ndarray, found: np.ndarray, rtol: float, atol: float) -> tuple[str, str] | None:
    def agree(a: np.ndarray, b: np.ndarray) -> bool:
        return a.shape == b.shape and np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)

    if right.shape != found.shape:
        if right.ndim == found.ndim == 2 and agree(right.T, found):
            return say("transposed")
        return say("shape", found=tuple(found.shape), right=tuple(right.shape))
    if agree(right, found):
        return None
    bad = ~np.isfinite(found) & np.isfinite(right)
    if bad.any():
        return say("not finite", found="NaN" if np.isnan(found[bad]).any() else "infinity")
    if right.size >= 3 and np.isfinite(right).all():
        scale = max(np.abs(right).max(), 1e-12)
        at = np.unravel_index(np.abs(right).argmax(), right.shape)
        factor = found[at] / right[at] if right[at] else 0.0
        if agree(-right, found):
            return say("negated")
        if abs(factor) > 1e-6 and agree(right * factor, found):
            return say("scaled")
        if agree(right + (found - right).mean(), found) and np.ptp(right) > 1e-3 * scale:
            return say("shifted")
        if right.ndim == 2 and right.shape[0] == right.shape[1] and agree(right.T, found):
            return say("transposed")
        if right.ndim >= 1 and _same_rows(right, found, rtol, atol):
            return say("reordered")
    if np.iscomplexobj(right) or np.iscomplexobj(found):
        return say("value", place="", found="another complex number", way="far away")
    off = ~np.isclose(found, right, rtol=rtol, atol=atol, equal_nan=True)
    where = tuple(int(i) for i in np.argwhere(off)[0]) if off.ndim else ()
    place = f" at [{', '.join(map(str, where))}]" if where else ""
    return say(
        "value", place=place, found=f"{found[where]:.4g}", way="large" if found[where] > right[where] else "small"
    )


def _same_rows(right: np.ndarray, found: np.ndarray, rtol: float, atol: float) -> bool:
    """Whether the rows are the same in another order."""
    if len(right) > 64:
        return False
    flat, other = right.reshape(len(right), -1), found.reshape(len(found), -1)
    near = np.isclose(flat[:, None], other[None], rtol=rtol, atol=atol).all(-1)
    return bool((near.sum(0) == 1).all() and (near.sum(1) == 1).all())


def _list(keys: Any) -> str:
    return ", ".join(repr(key) for key in list(keys)[:10]) or "none"


def _beyond(parameters: Any, others: Any) -> Any:
    """Those that the others have not, or in another shape."""
    if not isinstance(parameters, dict) or not isinstance(others, dict):
        return parameters
    return {name: shape for name, shape in parameters.items() if others.get(name) != shape}


def _shapes(parameters: Any) -> str:
    if isinstance(parameters, Foreign) or not isinstance(parameters, dict):
        return describe(parameters)
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in list(parameters.items())[:8]) or "none"
