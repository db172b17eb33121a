"""The common descent direction: the shortest convex combination of the task gradients.

| name               | when to use it                                                                               |
|--------------------|----------------------------------------------------------------------------------------------|
| `mgda`             | no task may lose; careful, it follows the smallest gradient, often the task that learns least |
| `min_norm_weights` | its weights α, to look at or to multiply the losses with                                     |
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmteach import _check
from mmteach.multitask.gradients.gram import aggregator, gram, root


@aggregator
def min_norm_weights(jacobian: Tensor) -> Tensor:
    """The point of least norm in the convex hull of the rows: α = argmin ‖Σ_t α_t g_t‖², α ≥ 0, Σ α = 1.

    Solved exactly as non-negative least squares: the a ≥ 0 that minimises ‖R a‖² + (Σ a − 1)², with Rᵀ R = G Gᵀ, has
    a / Σ a = α. (Write a = s α; at the best s the objective is q / (1 + q) with q = ‖R α‖², which grows with q.)

    jacobian: (T, P), T ≥ 2. Returns (T,). Where all gradients are zero the weights are equal.
    Paper: Désidéri 2012, Multiple-gradient descent algorithm (MGDA) for multiobjective optimization.

    >>> min_norm_weights(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))  # inverse to the squared norms
    tensor([0.2000, 0.8000])
    """
    from scipy.optimize import nnls

    k, _ = gram(jacobian)
    tasks = len(k)
    if not k.any():
        return jacobian.new_full((tasks,), 1 / tasks)
    a, _ = nnls(np.vstack([root(k), np.ones(tasks)]), np.append(np.zeros(tasks), 1.0))
    return torch.as_tensor(a / a.sum(), dtype=jacobian.dtype, device=jacobian.device)


@aggregator
def mgda(jacobian: Tensor, losses: Tensor | None = None, normalise: str = "none") -> Tensor:
    """The shortest convex combination of the (normalised) gradients: d = Σ_t α_t g_t / n_t.

    d = 0 exactly where the point is Pareto-stationary; elsewhere g_t·d ≥ ‖d‖² n_t > 0: every task improves.
    The n_t undo the method's liking for small gradients: n_t = 1 ("none"), ‖g_t‖ ("l2"), L_t ("loss"), or
    L_t ‖g_t‖ ("loss+"). The weights multiply the *normalised* gradients; Sener & Koltun's training multiplies the plain
    losses with them.

    jacobian:  (T, P), T ≥ 2
    losses:    (T,), above 0, needed by "loss" and "loss+" only
    normalise: "none", "l2", "loss" or "loss+"
    Returns (P,).
    Papers: Désidéri 2012, Multiple-gradient descent algorithm (MGDA) for multiobjective optimization; Sener & Koltun
    2018, Multi-Task Learning as Multi-Objective Optimization.

    >>> mgda(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([0.4000, 0.8000])
    """
    _check.choice("normalise", normalise, ("none", "l2", "loss", "loss+"))
    g = jacobian
    size = g.new_ones(len(g))
    if normalise in ("l2", "loss+"):
        size = size * g.norm(dim=1)
    if normalise in ("loss", "loss+"):
        if losses is None:
            raise ValueError(f"normalise={normalise!r} divides by the losses: pass losses= with shape ({len(g)},)")
        _check.shape("losses", losses, len(g))
        size = size * losses.detach()
    g = g / size.clamp_min(torch.finfo(g.dtype).tiny).unsqueeze(1)
    return min_norm_weights(g) @ g
