"""What keeps a check standing while it runs somebody's code: time, output, random numbers, settings, PyTorch's own functions.

| name       | what it does                                                                                |
|------------|-----------------------------------------------------------------------------------------------|
| `limited`  | stops code after so many seconds (where the system has alarms, in the main thread)             |
| `quiet`    | swallows what is printed, however much it is                                                |
| `settled`  | puts random states, dtype, gradient mode, threads, folder back, and says what was changed   |
| `replaced` | the functions of torch and numpy that are no longer those that were there at import         |
| `blocked`  | while it lasts, calling a function of these library modules raises `Blocked`                 |

None of it is a wall: code in the same process can always get round. The grader runs answers in a sandbox; this keeps a
learner's notebook as it was, and makes the message clear.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import random
import signal
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn import functional


class TimeUp(BaseException):
    """The code took too long. No Exception, so that an answer's own `except Exception` does not swallow it."""


class Blocked(RuntimeError):
    """The code called what it was asked to write."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the block after `seconds`, and again each second until it ends.

    Without alarms (Windows) or outside the main thread there is no limit here; `mmteach check` then has its own.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeUp(f"{seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Sink(io.TextIOBase):
    """Takes all that is written and keeps how much it was."""

    def __init__(self) -> None:
        self.characters = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.characters += len(text)
        return len(text)


@contextlib.contextmanager
def quiet() -> Iterator[_Sink]:
    """Swallow what the block prints on stdout and stderr; `.characters` of what is yielded says how much it was."""
    sink = _Sink()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        yield sink


SEED = 20_170_612  # what torch's generator is set to before an answer runs: nobody's own seed is likely to be the same


def seed() -> None:
    """Set torch's generator to SEED. `torch.manual_seed` also notes who called it, for devices not in use yet, which takes longer."""
    torch.default_generator.manual_seed(SEED)


def _settings() -> dict[str, Any]:
    return {
        "torch.set_default_dtype": torch.get_default_dtype(),
        "torch.set_grad_enabled": torch.is_grad_enabled(),
        "torch.use_deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch.set_num_threads": torch.get_num_threads(),
        "os.chdir": os.getcwd(),
    }


@contextlib.contextmanager
def settled() -> Iterator[list[str]]:
    """Run the block with random states and settings of its own and put back those there were.

    Yields a list that holds, after the block, what it changed: "torch.manual_seed", "torch.set_default_dtype", …
    """
    before, changed = _settings(), list[str]()
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    seed()
    try:
        yield changed
    finally:
        after = _settings()
        changed += [name for name, value in before.items() if after[name] != value]
        if torch.initial_seed() != SEED:
            changed.append("torch.manual_seed")
        torch.set_default_dtype(before["torch.set_default_dtype"])
        torch.set_grad_enabled(before["torch.set_grad_enabled"])
        # Only where they were touched: the first loads torch's compiler, which takes seconds, the second stops a thread pool.
        if "torch.use_deterministic_algorithms" in changed:
            torch.use_deterministic_algorithms(before["torch.use_deterministic_algorithms"])
        if "torch.set_num_threads" in changed:
            torch.set_num_threads(before["torch.set_num_threads"])
        os.chdir(before["os.chdir"])
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])


PLACES = {"torch": torch, "torch.Tensor": torch.Tensor, "torch.nn.functional": functional, "numpy": np}


def _functions() -> dict[tuple[str, str], Any]:
    kinds = (
        types.BuiltinFunctionType,
        types.FunctionType,
        types.MethodDescriptorType,
        types.WrapperDescriptorType,
        np.ufunc,
    )
    found = {}
    for place, where in PLACES.items():
        # Tensor has most of its methods from a class below it. Names of a module are taken from its dict: asking a module
        # for one may load what is only loaded on demand.
        names = dir(where) if isinstance(where, type) else list(vars(where))
        for name in names:
            value = getattr(where, name)
            # A function that PyTorch itself exchanges when it compiles (manual_seed and its like) proves nothing.
            if isinstance(value, kinds) and not name.startswith("_") and "seed" not in name and "rng" not in name:
                found[place, name] = value
    return found


ORIGINALS = [(place, PLACES[place], name, value) for (place, name), value in _functions().items()]


def replaced() -> list[str]:
    """The functions that are not those that were there when this module was imported: ["torch.softmax"]."""
    return [f"{place}.{name}" for place, where, name, value in ORIGINALS if getattr(where, name, None) is not value]


@contextlib.contextmanager
def blocked(modules: tuple[str, ...]) -> Iterator[None]:
    """While the block runs, every function and method defined in these modules raises Blocked, however it was imported."""
    codes: list[tuple[types.FunctionType, types.CodeType]] = []
    for name in modules:
        for function in _defined_in(importlib.import_module(name)):
            stop = _stop(name)
            if not function.__code__.co_freevars:  # a closure's code cannot be exchanged; none of them is an entrance
                codes.append((function, function.__code__))
                function.__code__ = stop.__code__
    try:
        yield
    finally:
        for function, code in codes:
            function.__code__ = code


def _stop(module: str) -> types.FunctionType:
    space: dict[str, Any] = {}
    # Another function's code sees that function's globals, so all it needs is imported inside.
    exec(
        "def stop(*_, **__):\n    from mmteach.exercises.guard import Blocked\n    raise Blocked(" + repr(module) + ")",
        space,
    )
    return space["stop"]


def _defined_in(module: types.ModuleType) -> Iterator[types.FunctionType]:
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        for one in [value, *(vars(value).values() if isinstance(value, type) else [])]:
            one = getattr(one, "__func__", one)
            while isinstance(one, types.FunctionType) and one.__module__ == module.__name__:
                yield one
                one = getattr(one, "__wrapped__", None)  # a decorator's closure stays; what it calls is an entrance too


def loaded(modules: tuple[str, ...]) -> bool:
    """Whether any of the modules has been imported: where none was, nothing of it can be called."""
    return any(name in sys.modules for name in modules)
