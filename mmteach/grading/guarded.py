"""Assert cells from elsewhere, run beside the student's code: tamper-resistant, not tamper-proof.

| name        | what it does                                                                                   |
|-------------|--------------------------------------------------------------------------------------------------|
| `Originals` | the functions that tests lean on, as they were before the student's code; `judge` runs a test cell |

A test that shares a process with what it tests can be reached by it. What can be done: the test's text comes after the
answers were loaded, the functions of builtins, torch, numpy and their testing modules are put back first and named if they
were exchanged, and comparison goes through asserts compiled here. What cannot: an answer that walks up the call stack and
changes the test's variables, or objects that claim to equal everything. Reports label such points.
"""

from __future__ import annotations

import builtins
import types
from typing import Any


class Originals:
    """What the names in these modules stood for before any of the student's code ran."""

    def __init__(self, space: dict[str, Any]) -> None:
        self.space = dict(space)
        import math

        import numpy as np
        import numpy.testing
        import torch

        from mmteach.exercises import guard, judge, notebook, observe, wire

        self.places = {
            "builtins": builtins, "torch": torch, "torch.testing": torch.testing, "torch.Tensor": torch.Tensor,
            "torch.nn.functional": torch.nn.functional, "numpy": np, "numpy.testing": np.testing, "math": math,
            **{module.__name__: module for module in (guard, judge, notebook, observe, wire)},
        }  # fmt: skip
        self.functions = {
            (place, name): value
            for place, module in self.places.items()
            for name, value in vars(module).items()
            if callable(value)
        }
        # A function can be changed without being exchanged.
        self.codes = [(value, value.__code__, value.__defaults__) for value in self.functions.values() if _plain(value)]

    def restore(self) -> list[str]:
        """Put everything back; returns the names of what had been exchanged."""
        changed = []
        for (place, name), value in self.functions.items():
            if vars(self.places[place]).get(name) is not value:
                changed.append(f"{place}.{name}")
                setattr(self.places[place], name, value)
        for value, code, defaults in self.codes:
            if value.__code__ is not code or value.__defaults__ is not defaults:
                changed.append(f"{value.__module__}.{value.__qualname__}")
                value.__code__, value.__defaults__ = code, defaults
        return changed

    def judge(self, cells: Any, source: str) -> dict[str, Any]:
        """Run a test cell: no error is full marks, a number as its last value is partial credit (nbgrader's rule)."""
        from mmteach.grading.child import describe

        changed = self.restore()
        for name in vars(builtins):
            # Names that IPython itself put there (open, quit) are none of the student's.
            if name in cells.space and cells.space[name] is not self.space.get(name) and not name.startswith("__"):
                changed.append(f"the name {name}")
                del cells.space[name]
        if changed:
            return {"error": None, "value": None, "replaced": changed[:10]}
        try:
            value = cells.value(source)
        except BaseException as error:
            return {"error": describe(error), "value": None}
        number = type(value) in (int, float)
        return {"error": None, "value": float(value) if number else None}


def _plain(value: Any) -> bool:
    return isinstance(value, types.FunctionType)
