"""What the gradient methods share: the dot products K = G Gᵀ of the task gradients, small whatever the model's size.

| name         | what it is                                                              |
|--------------|-------------------------------------------------------------------------|
| `aggregator` | decorator: checks the Jacobian, and does the arithmetic in full precision |
| `gram`       | K = G Gᵀ (T, T), as a float64 NumPy array on the CPU, and its scale      |
| `root`       | R with Rᵀ R = K: ‖Gᵀ a‖ = ‖R a‖ for every a                             |
| `combine`    | Σ_t w_t g_t (P,), from NumPy weights                                    |
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Concatenate, ParamSpec

import numpy as np
import torch
from torch import Tensor

from mmteach import _check

Rest = ParamSpec("Rest")


# The methods leave PyTorch for NumPy and SciPy, which `torch.compile` is not to follow. As a decorator `disable` would load the
# compiler with this package, three seconds of every import; so it waits for the first call.
_uncompiled = cache(torch.compiler.disable)


def aggregator(method: Callable[Concatenate[Tensor, Rest], Tensor]) -> Callable[Concatenate[Tensor, Rest], Tensor]:
    """Give a method the checked Jacobian without its graph, at least in float32 and outside autocast; cast back after it.

    Angles between gradients do not survive bfloat16, so half precision is taken up for the work.
    """

    @wraps(method)
    def run(jacobian: Tensor, *args: Rest.args, **kwargs: Rest.kwargs) -> Tensor:
        _check.shape("jacobian", jacobian, "T", "P")
        _check.floating("jacobian", jacobian)
        if len(jacobian) < 2:
            raise ValueError(
                "jacobian must have two rows or more, one a task, got 1: with one task there is nothing to combine, "
                "use its gradient as it is"
            )
        with torch.autocast(jacobian.device.type, enabled=False):
            g = jacobian.detach().to(torch.promote_types(jacobian.dtype, torch.float32))
            return _uncompiled(method)(g, *args, **kwargs).to(jacobian.dtype)

    return run


def gram(g: Tensor) -> tuple[np.ndarray, float]:
    """K / k and k, with K = G Gᵀ and k the mean of its diagonal: the solvers then never see tiny or huge numbers.

    g: (T, P). Returns a (T, T) array and a number; for zero gradients k is 1. Raises ValueError for NaN or infinity, with
    which no solver can work.
    """
    k = (g @ g.T).cpu().double().numpy()
    if not np.isfinite(k).all():
        bad = np.flatnonzero(~np.isfinite(np.diag(k))).tolist()
        raise ValueError(
            f"jacobian must be finite, got NaN or infinity (or squares too large) in the rows of tasks {bad}"
        )
    scale = float(np.trace(k)) / len(k) or 1.0
    return k / scale, scale


def root(k: np.ndarray) -> np.ndarray:
    """R with Rᵀ R = K, from K = V Λ Vᵀ: R = Λ^½ Vᵀ. Eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(k)
    return np.sqrt(values.clip(min=0))[:, None] * vectors.T


def combine(weights: np.ndarray, g: Tensor) -> Tensor:
    """Σ_t w_t g_t: weights (T,), g (T, P) → (P,)."""
    return torch.as_tensor(weights, dtype=g.dtype, device=g.device) @ g
