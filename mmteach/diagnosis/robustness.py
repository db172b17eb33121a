"""Robustness: how a model's performance falls as its input gets worse.

| name                   | when to use it                                                                     |
|------------------------|------------------------------------------------------------------------------------|
| `robustness_curve`     | measure the curve: performance at each level of noise (or share of missing inputs) |
| `relative_robustness`  | the curve as one number: how good is the model over all levels?                    |
| `effective_robustness` | does it fall *less* than a baseline, whatever it scored to begin with?             |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike


def _curve(name: str, values: ArrayLike) -> np.ndarray:
    curve = np.asarray(values, dtype=np.float64)
    if curve.ndim != 1 or len(curve) < 2 or not np.isfinite(curve).all():
        raise ValueError(f"{name} must hold one finite number a level, two levels or more, got {curve.tolist()}")
    return curve


def robustness_curve(evaluate: Callable[[float], float], levels: Sequence[float]) -> np.ndarray:
    """The performance at every level of corruption: f(σ_0), f(σ_1), …

    evaluate: called with each level, returns the performance there (higher is better)
    levels:   e.g. noise strengths or shares of missing inputs, two or more, in rising order, the clean one first
    Returns an array with one number a level.

    >>> robustness_curve(lambda sigma: 1 / (1 + sigma), [0.0, 1.0, 3.0])
    array([1.  , 0.5 , 0.25])
    """
    steps = _curve("levels", levels)
    if (np.diff(steps) <= 0).any():
        raise ValueError(f"levels must rise from the clean one, got {steps.tolist()}")
    return np.array([float(evaluate(level)) for level in levels])


def relative_robustness(performance: ArrayLike, levels: ArrayLike | None = None) -> float:
    """The area under the curve, divided by the range of levels: the mean performance over all levels.

    Trapezoids between the levels; with evenly spaced levels this is MultiBench's area up to its unit.

    performance: f, one number a level
    levels:      σ, rising; None takes them as evenly spaced
    Returns a number in the unit of the performance.
    Paper: Liang et al. 2021, MultiBench: Multiscale Benchmarks for Multimodal Representation Learning.

    >>> relative_robustness([1.0, 0.5, 0.0])
    0.5
    >>> relative_robustness([1.0, 0.0, 0.0], levels=[0, 1, 4])
    0.125
    """
    f = _curve("performance", performance)
    steps = np.arange(len(f), dtype=np.float64) if levels is None else _curve("levels", levels)
    if len(steps) != len(f):
        raise ValueError(f"levels must be as many as performance, got {len(steps)} and {len(f)}")
    if (np.diff(steps) <= 0).any():
        raise ValueError(f"levels must rise from the clean one, got {steps.tolist()}")
    return float(((f[1:] + f[:-1]) / 2 * np.diff(steps)).sum() / (steps[-1] - steps[0]))


def effective_robustness(performance: ArrayLike, baseline: ArrayLike) -> float:
    """How much less the model falls than a baseline: Σ_σ [ f(σ) − (b(σ) + f(0) − b(0)) ].

    The baseline (late fusion, in MultiBench) is moved up or down to the model's clean performance first: 0 says the two
    fall alike, above 0 the model holds up better than its clean performance promises.

    performance: f, one number a level, the clean one first
    baseline:    b, at the same levels
    Paper: Liang et al. 2021, MultiBench: Multiscale Benchmarks for Multimodal Representation Learning.

    >>> effective_robustness([0.75, 0.75, 0.5], baseline=[0.5, 0.25, 0.25])
    0.25
    """
    f, b = _curve("performance", performance), _curve("baseline", baseline)
    if len(f) != len(b):
        raise ValueError(f"baseline must have as many levels as performance, got {len(b)} and {len(f)}")
    return float((f - (b + f[0] - b[0])).sum())
