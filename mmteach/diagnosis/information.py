"""Information in bits: how much two modalities tell about a target together, each alone, and only jointly.

| name                 | when to use it                                                                            |
|----------------------|-------------------------------------------------------------------------------------------|
| `entropy`            | the bits of one variable, from its probabilities                                          |
| `mutual_information` | the bits two variables share, from their joint table                                      |
| `pid`                | redundancy, two uniques, synergy: exact, from the joint table of (X1, X2, Y)               |
| `best_accuracy`      | the accuracy no model can pass (Bayes), from the same table                               |
| `joint_table`        | that table from samples of whole numbers, by counting                                     |
| `quantise`           | features → whole numbers, by k-means                                                      |
| `estimate_pid`       | the last two and `pid` in one, for real data; mind the bias it describes                  |

Tables are NumPy arrays (nested lists and tensors are welcome), axes in the order X1, X2, Y, and sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmteach import _check


class PID(NamedTuple):
    """The four parts of I(X1, X2; Y), in bits: they add up to it, and redundancy + unique1 to I(X1; Y)."""

    redundancy: float
    unique1: float
    unique2: float
    synergy: float


def _probabilities(name: str, table: ArrayLike, axes: int | None = None) -> np.ndarray:
    p = np.asarray(table, dtype=np.float64)
    if axes is not None and p.ndim != axes:
        raise ValueError(f"{name} must have {axes} axes, got shape {p.shape}")
    if p.size == 0 or not np.isfinite(p).all() or (p < 0).any():
        raise ValueError(
            f"{name} must hold finite probabilities ≥ 0, got shape {p.shape} with values {np.unique(p)[:4]}…"
        )
    if abs(p.sum() - 1) > 1e-6:
        raise ValueError(f"{name} must sum to 1, got {p.sum():.9g}: divide counts by their sum")
    return p / p.sum()


def _bits(p: np.ndarray) -> float:
    """−Σ p log2 p over all cells, 0 log 0 = 0."""
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def entropy(p: ArrayLike) -> float:
    """The entropy of a variable, H(X) = −Σ_x p(x) log2 p(x), in bits.

    p: probabilities of any shape (a joint table gives the joint entropy), ≥ 0, summing to 1
    Raises ValueError for anything else.
    Paper: Shannon 1948, A Mathematical Theory of Communication.

    >>> entropy([0.5, 0.25, 0.25])
    1.5
    """
    return abs(_bits(_probabilities("p", p)))


def mutual_information(joint: ArrayLike) -> float:
    """The bits that two variables share, I(X; Y) = H(X) + H(Y) − H(X, Y).

    joint: p(x, y), (X, Y), ≥ 0, summing to 1
    Returns a number ≥ 0; 0 exactly where X and Y are independent.
    Paper: Shannon 1948, A Mathematical Theory of Communication.

    >>> mutual_information([[0.5, 0.0], [0.0, 0.5]])
    1.0
    """
    p = _probabilities("joint", joint, axes=2)
    return max(0.0, _bits(p.sum(1)) + _bits(p.sum(0)) - _bits(p))


def _fit(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """For every y, the q(·, ·, y) nearest to `table` (in KL divergence) with these marginals (Sinkhorn's scaling).

    table: (X1, X2, Y); rows: p(x1, y), (X1, Y); columns: p(x2, y), (X2, Y)
    """
    q = table
    for _ in range(1000):
        q = q * (rows / np.maximum(q.sum(1), 1e-300))[:, None, :]
        q = q * (columns / np.maximum(q.sum(0), 1e-300))[None, :, :]
        if np.abs(q.sum(1) - rows).max() < 1e-12:
            break
    return q


def _without_synergy(p: np.ndarray, tolerance: float, steps: int) -> np.ndarray:
    """The q with the pair tables p(x1, y) and p(x2, y) whose I_q(X1, X2; Y) is least: what needs no synergy.

    I_q(X1, X2; Y) is the least, over tables r(x1, x2), of Σ_y p(y) KL(q(·, ·|y) ‖ r). Minimise in turn:
    the best r is the marginal Σ_y q(·, ·, y), and the best q(·, ·|y) is r scaled to the marginals (`_fit`). Each step lowers
    a function that is convex in (q, r) jointly, so that the minimum is reached; the error falls at least like 1 / steps.
    """
    rows, columns, p_y = p.sum(1), p.sum(0), p.sum((0, 1))
    q = np.einsum("iy,jy->ijy", rows, columns / np.maximum(p_y, 1e-300))  # X1, X2 independent given y
    information = np.inf
    for _ in range(steps):
        previous = information
        q = _fit(np.repeat(q.sum(2, keepdims=True), len(p_y), axis=2), rows, columns)
        information = _bits(q.sum(2)) + _bits(p_y) - _bits(q)
        if previous - information < tolerance:
            break
    return q


def pid(joint: ArrayLike, tolerance: float = 1e-7, steps: int = 20_000) -> PID:
    """Partial information decomposition: what two modalities know about Y redundantly, uniquely, and only together.

    I(X1, X2; Y) = R + U1 + U2 + S,   I(X1; Y) = R + U1,   I(X2; Y) = R + U2,   in bits, with the measure
    R + U1 + U2 = min_q I_q(X1, X2; Y) over all q with the pair tables q(x1, y) = p(x1, y) and q(x2, y) = p(x2, y):
    what X1 and X2 tell about Y before one knows which of their values occur together. The rest is synergy.

    joint:     p(x1, x2, y), (X1, X2, Y), ≥ 0, summing to 1
    tolerance: stop when a step lowers the minimum by fewer bits than this
    steps:     and at the latest after so many
    Raises ValueError for a table that is none, tolerance ≤ 0, steps < 1.
    Returns a PID. The minimum is convex and found by alternating minimisation, as a rule within 1e-5 bits.
    Papers: Williams & Beer 2010, Nonnegative Decomposition of Multivariate Information; Bertschinger, Rauh, Olbrich,
    Jost & Ay 2014, Quantifying Unique Information (the measure); Liang et al. 2023, Quantifying & Modeling Multimodal
    Interactions: An Information Decomposition Framework (its use for modalities).

    >>> xor = np.zeros((2, 2, 2))
    >>> for x1 in (0, 1):
    ...     for x2 in (0, 1):
    ...         xor[x1, x2, x1 ^ x2] = 1 / 4
    >>> print("R {:.2f}  U1 {:.2f}  U2 {:.2f}  S {:.2f}".format(*pid(xor)))
    R 0.00  U1 0.00  U2 0.00  S 1.00
    """
    p = _probabilities("joint", joint, axes=3)
    _check.positive("tolerance", tolerance)
    _check.whole("steps", steps, at_least=1)
    both = mutual_information(p.reshape(-1, p.shape[2]))
    first, second = mutual_information(p.sum(1)), mutual_information(p.sum(0))
    # between what the better modality tells, and what both tell or both add up to
    least = mutual_information(_without_synergy(p, tolerance, steps).reshape(-1, p.shape[2]))
    union = min(max(least, first, second), both, first + second)
    return PID(first + second - union, union - second, union - first, both - union)


def best_accuracy(joint: ArrayLike) -> float:
    """The accuracy of the best possible prediction of Y (Bayes): Σ_x max_y p(x, y).

    joint: a table whose last axis is Y: p(x, y), p(x1, x2, y), …, ≥ 0, summing to 1. For one modality of a joint table
           sum the other out: best_accuracy(joint.sum(1)) is X1 alone.
    Returns a number between max_y p(y) and 1.

    >>> best_accuracy([[0.4, 0.1], [0.2, 0.3]])
    0.7
    """
    p = _probabilities("joint", joint)
    return float(p.reshape(-1, p.shape[-1]).max(1).sum())


def _codes(name: str, values: ArrayLike) -> np.ndarray:
    codes = np.asarray(values)
    if codes.ndim != 1 or codes.size == 0 or not np.issubdtype(codes.dtype, np.integer) or codes.min() < 0:
        raise ValueError(
            f"{name} must hold whole numbers ≥ 0 with shape (N,), got {codes.dtype} with shape {codes.shape}: "
            f"`quantise` makes them from features"
        )
    return codes


def joint_table(*columns: ArrayLike) -> np.ndarray:
    """The joint table of variables by counting: p(a, b, …) = how often (a, b, …) occurs / N.

    columns: whole numbers ≥ 0, each (N,), e.g. x1, x2, y
    Returns an array with one axis a column, as long as its largest number + 1.

    >>> joint_table([0, 0, 1, 1], [0, 0, 0, 1])
    array([[0.5 , 0.  ],
           [0.25, 0.25]])
    """
    codes = [_codes(f"column {i}", column) for i, column in enumerate(columns)]
    lengths = [len(c) for c in codes]
    if not codes or len(set(lengths)) > 1:
        raise ValueError(f"columns must be one or more of the same length, got lengths {lengths}")
    table = np.zeros([c.max() + 1 for c in codes])
    np.add.at(table, tuple(codes), 1 / lengths[0])
    return table


def quantise(features: ArrayLike, clusters: int = 10, seed: int = 0) -> np.ndarray:
    """Whole numbers for features: the nearest of `clusters` k-means centres (scikit-learn).

    features: (N,) or (N, D), finite
    clusters: ≥ 1, at most N
    Returns (N,) in 0 … clusters − 1; the same seed gives the same numbers.
    Paper: Lloyd 1982, Least Squares Quantization in PCM.

    >>> quantise([0.0, 0.1, 9.0, 9.1], clusters=2)[[0, 2]].tolist() in ([0, 1], [1, 0])
    True
    """
    from sklearn.cluster import KMeans

    x = np.asarray(features, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError(f"features must be finite with shape (N,) or (N, D), got shape {x.shape}")
    _check.whole("clusters", clusters)
    if not 1 <= clusters <= len(x):
        raise ValueError(f"clusters must be between 1 and the number of examples, {len(x)}, got {clusters}")
    return KMeans(clusters, n_init=4, random_state=seed).fit_predict(x).astype(np.int64)


def estimate_pid(x1: ArrayLike, x2: ArrayLike, y: ArrayLike, clusters: int = 10, seed: int = 0) -> PID:
    """The decomposition estimated from data: features are quantised, whole numbers counted as they are, then `pid`.

    x1, x2:   features (N, D_m), or whole numbers (N,), such as words or the held-out predictions of a classifier of that
              modality alone (then the table is small, and what the classifier missed counts as not there)
    y:        labels, whole numbers (N,)
    clusters: centres a modality, where features come
    seed:     of k-means
    Returns a PID in bits. Two errors pull in opposite ways. Quantising loses information. Counting invents some: a
    table of C cells from N examples shows about C / (2 N ln 2) bits too much, most of it as synergy. Always look at
    `estimate_pid(x1, x2, y[permutation])` as well: what it finds there is all bias.
    Paper: Liang et al. 2023, Quantifying & Modeling Multimodal Interactions: An Information Decomposition Framework.

    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 2000)
    >>> seen, heard = y + 0.01 * rng.standard_normal(2000), rng.standard_normal(2000)
    >>> print("U1 {:.1f}".format(estimate_pid(seen, heard, y, clusters=2).unique1))
    U1 1.0
    """
    columns: Sequence[np.ndarray] = [np.asarray(x) for x in (x1, x2)]
    sizes = {"x1": len(columns[0]), "x2": len(columns[1]), "y": len(_codes("y", y))}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"x1, x2 and y must be as many examples, got {sizes}")
    codes = [c if np.issubdtype(c.dtype, np.integer) else quantise(c, clusters, seed) for c in columns]
    return pid(joint_table(*codes, y))
