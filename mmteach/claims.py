"""Claims: what a chapter asserts, measured in the cell that says it; and the one knob that sets how much is computed.

| name         | what it is for                                                                       |
|--------------|--------------------------------------------------------------------------------------|
| `claim`      | print a measured figure beside its bound, and stop where it does not hold             |
| `scale`      | how much to compute: "smoke" (seconds), "laptop" (minutes) or "gpu"                   |
| `pick`       | a setting for each scale: `epochs = pick(smoke=1, laptop=10, gpu=30)`                 |
| `seeds`      | the seeds of an experiment; MMTEACH_SEED moves them all, for `mmteach verify`         |
| `made`       | the claims made so far in this process                                               |
| `ClaimError` | what a claim that does not hold raises                                                |

Environment: MMTEACH_SCALE names the scale; MMTEACH_CLAIMS names a file that gets a JSON line a claim (what `mmteach run`
counts); MMTEACH_ENFORCE=0 prints claims that fail without stopping (what `mmteach verify` counts).
"""

from __future__ import annotations

import json
import math
import os
import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TypeVar

SCALES = ("smoke", "laptop", "gpu")
WIDTH = 110  # of a printed line, in letters: what a notebook shows on a laptop without breaking it
T = TypeVar("T")


class ClaimError(AssertionError):
    """A claim that does not hold; the message holds the measured figure and the bound."""


@dataclass(frozen=True)
class Claim:
    """One claim as it was measured: its values (one, or one a seed), its bounds, and whether it holds."""

    name: str
    says: str
    values: tuple[float, ...]
    at_least: float | None
    at_most: float | None
    scale: str
    enforced: bool

    @property
    def holds(self) -> bool:
        """True where every value is a finite number within the bounds; NaN and infinity never hold."""
        return all(
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            for value in self.values
        )

    def __str__(self) -> str:
        bounds = [
            f"{word} {_figure(bound)}"
            for word, bound in (("at least", self.at_least), ("at most", self.at_most))
            if bound is not None
        ]
        if self.scale == "smoke":
            bounds.append("not enforced at smoke")
        measured = _figure(self.values[0])
        if len(self.values) > 1:
            # The first figure is the one that decides; both ends where both are bounded.
            low, high = _extremes(self.values)
            ends = [f"lowest {low}"] * (self.at_least is not None) + [f"highest {high}"] * (self.at_most is not None)
            mean = _figure(sum(self.values) / len(self.values))
            measured = f"{', '.join(ends)}, mean {mean} of {len(self.values)} seeds"
        return f"{'✓' if self.holds else '✗'} {self.says or self.name}: {measured} ({'; '.join(bounds)})"


def _figure(value: float) -> str:
    """Four significant digits, whole numbers as they are, always with a leading zero: 0.0833, 12, 1.25e-06."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def _extremes(values: tuple[float, ...]) -> tuple[str, str]:
    lost = [value for value in values if math.isnan(value)]  # min and max of NaN depend on the order: NaN comes first
    return _figure(lost[0] if lost else min(values)), _figure(lost[0] if lost else max(values))


_made: list[Claim] = []


def made() -> list[Claim]:
    """The claims made so far in this process, in order."""
    return list(_made)


def claim(
    name: str,
    value: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    says: str = "",
    *,
    every: Iterable[float] | None = None,
) -> None:
    """Assert a measured result: print ✓ or ✗, the figure and its bound; raise ClaimError where it does not hold.

    at_least ≤ value ≤ at_most; with `every`, one figure a seed, each of which must lie within the bounds.

    name:     the claim's name in `mmteach verify`, "chapter.what", e.g. "fusion.beats-best-single"
    value:    the measured figure: a number or a tensor of one element
    every:    instead of `value`: the figures of several seeds
    at_least, at_most: the bounds, one or both
    says:     the claim as a sentence without a full stop, printed in place of the name

    At scale "smoke" a claim is printed and never raises: a model that trained for seconds proves nothing.

    Raises ClaimError where a figure is out of bounds, NaN or infinite; ValueError for a claim that cannot be judged.

    >>> claim("sum", 1 + 2 - (2 + 1), at_least=0, at_most=0, says="Order does not matter")  # doctest: +ELLIPSIS
    ✓ Order does not matter: 0 (at least 0; at most 0...)
    """
    if (value is None) == (every is None):
        raise ValueError(f"claim {name!r} needs either a value or every=[a figure a seed, …]")
    if at_least is None and at_most is None:
        raise ValueError(f"claim {name!r} needs a bound: at_least=, at_most= or both")
    if at_least is not None and at_most is not None and not at_least <= at_most:
        raise ValueError(f"claim {name!r} can never hold: at_least={at_least} is above at_most={at_most}")
    values = tuple(_number(name, v) for v in (every if every is not None else [value]))
    if not values:
        raise ValueError(f"claim {name!r} got every=[] with no figure in it")
    at = scale()
    enforced = at != "smoke" and os.environ.get("MMTEACH_ENFORCE", "1") != "0"
    one = Claim(name, says, values, at_least, at_most, at, enforced)
    _made.append(one)
    if os.environ.get("MMTEACH_CLAIMS"):
        _record(one, os.environ["MMTEACH_CLAIMS"])
    # A notebook breaks a line that is too long in the middle of a word.
    print(textwrap.fill(str(one), WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    if enforced and not one.holds:
        raise ClaimError(f"claim {name!r} does not hold. {one}")


def _number(name: str, value: object) -> float:
    try:
        return float(value.item() if hasattr(value, "item") else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"claim {name!r} needs a number, got {type(value).__name__}; for several seeds pass every=[…]"
        ) from None


def _record(one: Claim, path: str) -> None:
    row = asdict(one) | {"holds": one.holds}
    # JSON has no NaN: a figure that is not finite is written as its name.
    row["values"] = [value if math.isfinite(value) else str(value) for value in one.values]
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def scale() -> str:
    """How much to compute: MMTEACH_SCALE where it is set, else "gpu" where training would use one, else "laptop".

    Raises ValueError for an unknown word in MMTEACH_SCALE.
    """
    asked = os.environ.get("MMTEACH_SCALE", "")
    if asked:
        if asked not in SCALES:
            raise ValueError(f"MMTEACH_SCALE must be one of {', '.join(SCALES)}, got {asked!r}")
        return asked
    if os.environ.get("MMTEACH_DEVICE"):
        return "gpu" if os.environ["MMTEACH_DEVICE"].startswith("cuda") else "laptop"
    import torch  # only here: a process that names its scale need not load it

    return "gpu" if torch.cuda.is_available() else "laptop"


def pick(*, smoke: T, laptop: T, gpu: T | None = None) -> T:
    """The setting for the present scale; a GPU gets the laptop's where `gpu` is left out.

    >>> pick(smoke=1, laptop=10, gpu=30) == {"smoke": 1, "laptop": 10, "gpu": 30}[scale()]
    True
    """
    at = scale()
    if at == "smoke":
        return smoke
    return laptop if at == "laptop" or gpu is None else gpu


def seeds(n: int) -> list[int]:
    """The `n` seeds of an experiment: 0 … n − 1, or as many from MMTEACH_SEED on, so that claims can be tried on fresh ones.

    >>> seeds(3)
    [0, 1, 2]
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    first = os.environ.get("MMTEACH_SEED", "0")
    try:
        start = int(first)
    except ValueError:
        raise ValueError(f"MMTEACH_SEED must be a whole number, got {first!r}") from None
    return list(range(start, start + n))
