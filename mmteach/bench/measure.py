"""How things are timed: in turns, often enough to be seen above the clock, and told as medians.

| name          | what it is for                                                                       |
|---------------|----------------------------------------------------------------------------------------|
| `timed`       | a function that calls a step often enough and returns the seconds of one                 |
| `alternate`   | every rival's seconds over several rounds, the rivals taking turns                       |
| `against`     | the columns of a comparison: both medians, their ratio, its lowest and highest           |
| `matmul`      | the speed limit: operations a second of large matrix products                            |
| `flops`       | the operations of a training step                                                        |
| `peak_bytes`  | the most memory that this process has held                                               |
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

Rival = Callable[[], float]  # runs once and returns the seconds of one step


def timed(step: Callable[[], object], least: float = 0.2) -> Rival:
    """A function that calls `step` for `least` seconds and returns the seconds of one call.

    `step` is called twice here: what happens once (allocation, compilation, a first plan) is not part of a step.

    >>> seconds = timed(lambda: sum(range(1000)), least=0.001)()
    >>> 0 < seconds < 0.1
    True
    """
    _seconds(step, 1)
    count = max(1, math.ceil(least / max(_seconds(step, 1), 1e-7)))
    return lambda: _seconds(step, count) / count


def _seconds(step: Callable[[], object], count: int) -> float:
    _wait()
    started = time.perf_counter()
    for _ in range(count):
        step()
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    """A GPU works on while Python goes ahead: a clock must wait for it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def alternate(rivals: Mapping[str, Rival], rounds: int) -> dict[str, list[float]]:
    """The seconds of every rival, `rounds` each: A B C, C B A, A B C …, so that a slow minute meets all of them.

    >>> times = alternate({"a": lambda: 1.0, "b": lambda: 2.0}, rounds=3)
    >>> times["b"]
    [2.0, 2.0, 2.0]
    """
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(rounds):
        for name in rivals if number % 2 == 0 else reversed(list(rivals)):
            times[name].append(rivals[name]())
    return times


def against(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """The columns of a comparison, one ratio a round: above 1, ours is faster.

    ratio_r = theirs_r / ours_r in round r; told are its median, its lowest and its highest

    >>> against([0.010, 0.020], [0.020, 0.050])
    {'ours, ms': 15.0, 'rival, ms': 35.0, 'rival / ours': 2.25, 'lowest': 2.0, 'highest': 2.5}
    """
    ratios = [their / our for our, their in zip(ours, theirs)]
    return {
        "ours, ms": 1e3 * statistics.median(ours),
        "rival, ms": 1e3 * statistics.median(theirs),
        "rival / ours": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
    }


def spread(values: list[float]) -> float:
    """(highest − lowest) / median, in per cent: how much to believe of a figure.

    >>> spread([9.0, 10.0, 12.0])
    30.0
    """
    return 100 * (max(values) - min(values)) / statistics.median(values)


def matmul(dtype: torch.dtype, size: int = 2048, rounds: int = 5, device: str | torch.device = "cpu") -> float:
    """Operations a second of the product of two matrices (size, size): the best of `rounds`, 2 · size³ operations each."""
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    return 2 * size**3 / min(alternate({"": timed(lambda: a @ b)}, rounds)[""])


def flops(step: Callable[[], object]) -> int:
    """The floating-point operations of one call, as PyTorch counts them: products of matrices and convolutions only.

    >>> a = torch.ones(4, 8)
    >>> flops(lambda: a @ a.T)  # 2 · 4 · 8 · 4
    256
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def peak_bytes() -> int:
    """The most memory that this process has held, shared libraries included.

    Linux hands getrusage's figure on from the process that started this one; /proc has its own.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS, in bytes
