"""Results over seeds, over SciPy: how sure is a number, and is a difference more than noise?

| name                | when to use it                                                |
|---------------------|---------------------------------------------------------------|
| `mean_interval`     | one model over seeds: mean and 95 % interval                  |
| `paired_difference` | two models over the same seeds: difference, interval, p-value |
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Interval(NamedTuple):
    """A mean over seeds with the interval around it."""

    mean: float
    low: float
    high: float


class Difference(NamedTuple):
    """A mean difference over seeds, the interval around it, and the p-value of "there is none"."""

    mean: float
    low: float
    high: float
    p_value: float


def _seeds(name: str, values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2 or not np.isfinite(array).all():
        raise ValueError(f"{name} must hold one finite number a seed, two seeds or more, got {array.tolist()}")
    return array


def _confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean over seeds and its t-interval: x̄ ± t_{n−1} s / √n.

    values:     one result a seed, two or more
    confidence: of the interval, between 0 and 1
    Returns an Interval. Two seeds give a very wide one (t_1 = 12.7): take three or more.
    Paper: Student 1908, The Probable Error of a Mean.

    >>> "{:.3f} [{:.3f}, {:.3f}]".format(*mean_interval([0.80, 0.82, 0.84]))
    '0.820 [0.770, 0.870]'
    """
    from scipy.stats import t

    x = _seeds("values", values)
    _confidence(confidence)
    half = t.ppf((1 + confidence) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return Interval(float(x.mean()), float(x.mean() - half), float(x.mean() + half))


def paired_difference(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Difference:
    """first − second over the same seeds: mean, t-interval, and the p-value of the paired t-test.

    What a seed does to both models alike (the split, the initial weights) cancels in the pair, so that this sees
    differences that two separate intervals do not.

    first, second: one result a seed, seed i of one beside seed i of the other; two or more
    confidence:    of the interval, between 0 and 1
    Returns a Difference. With equal results throughout the p-value is 1; a difference that never varies has p-value 0.
    Paper: Student 1908, The Probable Error of a Mean.

    >>> d = paired_difference([0.80, 0.90, 0.70], [0.78, 0.87, 0.69])
    >>> "{:.3f} [{:.3f}, {:.3f}], p = {:.3f}".format(*d)
    '0.020 [-0.005, 0.045], p = 0.074'
    """
    from scipy.stats import t

    a, b = _seeds("first", first), _seeds("second", second)
    if len(a) != len(b):
        raise ValueError(f"first and second must have the same seeds, got {len(a)} and {len(b)} results")
    mean, low, high = mean_interval(a - b, confidence)
    error = (a - b).std(ddof=1) / np.sqrt(len(a))
    if error == 0:
        return Difference(mean, low, high, 1.0 if mean == 0 else 0.0)
    return Difference(mean, low, high, float(2 * t.sf(abs(mean) / error, len(a) - 1)))
