"""The geometry of a shared embedding space: where two modalities lie in it, and how well it is used.

| name           | when to use it                                                                               |
|----------------|----------------------------------------------------------------------------------------------|
| `modality_gap` | images and texts in one space, yet apart: the vector between their centres                   |
| `close_gap`    | move them together (or further apart) to see what the gap does to retrieval                  |
| `alignment`    | how far apart are the two sides of a pair? 0 is perfect                                      |
| `uniformity`   | how evenly do points cover the sphere? lower is better, −4 t … 0                              |

Every function takes embeddings (N, D) and normalises them to unit length itself. NaN in one of them gives NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmteach import _check


def _pairs(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    _check.shape("x", x, "N", "D")
    _check.floating("x", x)
    _check.shape("y", y, "N", "D")
    _check.floating("y", y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have the same width, got {x.shape[1]} and {y.shape[1]}")
    return normalize(x, dim=1), normalize(y, dim=1)


def modality_gap(x: Tensor, y: Tensor) -> Tensor:
    """The vector from the centre of the y's to the centre of the x's: Δ = mean_i x_i − mean_j y_j, of unit vectors.

    x: (N, D), y: (M, D); they need not be pairs
    Returns (D,); `modality_gap(x, y).norm()` is the size of the gap, between 0 and 2.
    Paper: Liang, Zhang, Kwon, Yeung & Zou 2022, Mind the Gap: Understanding the Modality Gap in Multi-modal
    Contrastive Representation Learning.

    >>> modality_gap(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]]))
    tensor([ 1., -1.])
    """
    x, y = _pairs(x, y)
    return x.mean(0) - y.mean(0)


def close_gap(x: Tensor, y: Tensor, share: float = 1.0) -> tuple[Tensor, Tensor]:
    """Shift both modalities along the gap and back to the sphere: x_i − λΔ and y_j + λΔ, normalised, λ = share / 2.

    share: 0 changes nothing, 1 brings the centres together (before normalising), 2 swaps them, below 0 widens the gap
    x: (N, D), y: (M, D). Returns both, unit vectors.
    Paper: Liang, Zhang, Kwon, Yeung & Zou 2022, Mind the Gap: Understanding the Modality Gap in Multi-modal
    Contrastive Representation Learning.

    >>> close_gap(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    (tensor([[0.7071, 0.7071]]), tensor([[0.7071, 0.7071]]))
    """
    shift = share / 2 * modality_gap(x, y)
    x, y = _pairs(x, y)
    return normalize(x - shift, dim=1), normalize(y + shift, dim=1)


def alignment(x: Tensor, y: Tensor, alpha: float = 2.0) -> Tensor:
    """The mean distance of the two sides of a pair: mean_i ‖x_i − y_i‖^α, of unit vectors.

    x, y: (N, D), row i of one belongs to row i of the other
    alpha: α > 0
    Returns a scalar, 0 where all pairs coincide; with α = 2 it is 2 − 2 × the mean cosine.
    Paper: Wang & Isola 2020, Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere.

    >>> alignment(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    tensor(2.)
    """
    _check.positive("alpha", alpha)
    x, y = _pairs(x, y)
    _check.same_shape("x", x, "y", y)
    return ((x - y).square().sum(1) ** (alpha / 2)).mean()


def uniformity(x: Tensor, t: float = 2.0) -> Tensor:
    """How evenly points lie on the sphere: log mean_{i<j} exp(−t ‖x_i − x_j‖²), of unit vectors.

    x: (N, D), N ≥ 2
    t: > 0
    Returns a scalar ≤ 0: 0 where all points coincide, lower the more evenly they spread; never below −4 t.
    Paper: Wang & Isola 2020, Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere.

    >>> uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    tensor(-8.)
    """
    _check.positive("t", t)
    x, _ = _pairs(x, x)
    if len(x) < 2:
        raise ValueError("x must hold two embeddings or more, got 1: uniformity is about the distances between them")
    first, second = torch.triu_indices(len(x), len(x), offset=1, device=x.device)
    squared = 2 - 2 * (x @ x.T)[first, second]
    return torch.logsumexp(-t * squared, dim=0) - torch.log(squared.new_tensor(float(len(squared))))
