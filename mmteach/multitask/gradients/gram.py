"""What the gradient methods share: the dot products K = G Gᵀ of the task gradients, small whatever the model's size.

| name      | what it is                                                     |
|-----------|----------------------------------------------------------------|
| `working` | the checked Jacobian, at least in float32                      |
| `gram`    | K = G Gᵀ (T, T), as a float64 NumPy array on the CPU, and its scale |
| `root`    | R with Rᵀ R = K: ‖Gᵀ a‖ = ‖R a‖ for every a                    |
| `combine` | Σ_t w_t g_t (P,), in the Jacobian's dtype and on its device    |
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmteach import _check


def working(jacobian: Tensor) -> Tensor:
    """The Jacobian without its graph, in float32 where it came in half precision; raises unless it is (T ≥ 2, P)."""
    _check.shape("jacobian", jacobian, "T", "P")
    _check.floating("jacobian", jacobian)
    if len(jacobian) < 2:
        raise ValueError(
            "jacobian must have two rows or more, one a task, got 1: with one task there is nothing to combine, "
            "use its gradient as it is"
        )
    return jacobian.detach().to(torch.promote_types(jacobian.dtype, torch.float32))


def gram(jacobian: Tensor) -> tuple[np.ndarray, float]:
    """K / k and k, with K = G Gᵀ and k the mean of its diagonal: the solvers then never see tiny or huge numbers.

    jacobian: (T, P). Returns a (T, T) array and a number; for zero gradients k is 1.
    """
    g = working(jacobian)
    k = (g @ g.T).cpu().double().numpy()
    scale = float(np.trace(k)) / len(k) or 1.0
    return k / scale, scale


def root(k: np.ndarray) -> np.ndarray:
    """R with Rᵀ R = K, from K = V Λ Vᵀ: R = Λ^½ Vᵀ. Eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(k)
    return np.sqrt(values.clip(min=0))[:, None] * vectors.T


def combine(weights: np.ndarray, jacobian: Tensor) -> Tensor:
    """Σ_t w_t g_t: weights (T,), jacobian (T, P) → (P,)."""
    g = working(jacobian)
    return (torch.as_tensor(weights, dtype=g.dtype, device=g.device) @ g).to(jacobian.dtype)
