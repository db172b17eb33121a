"""Projection onto the dual cone: the nearest direction that hurts no task.

| name       | when to use it                                                                         |
|------------|----------------------------------------------------------------------------------------|
| `upgrad`   | no task may lose, and each keeps what it can of its own gradient                       |
| `dualproj` | no task may lose, and nothing else than the mean matters: it is the mean where none do |
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmteach.multitask.gradients.gram import aggregator, combine, gram, root


def projected(k: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The weights of Gᵀu projected onto {d: G d ≥ 0}.

    The projection of x adds the least that is needed: x + Gᵀv with v = argmin over v ≥ 0 of ‖x + Gᵀv‖² (Moreau), which
    is non-negative least squares in R, Rᵀ R = G Gᵀ.
    """
    from scipy.optimize import nnls

    r = root(k)
    v, _ = nnls(r, -r @ u)
    return u + v


@aggregator
def upgrad(jacobian: Tensor) -> Tensor:
    """Unconflicting projection of gradients: d = 1/T Σ_t proj(g_t), onto the cone {d: g_s·d ≥ 0 for every task s}.

    jacobian: (T, P), T ≥ 2. Returns (P,); the mean where no gradients conflict.
    Paper: Quinton & Rey 2024, Jacobian Descent for Multi-Objective Optimization.

    >>> import torch
    >>> upgrad(torch.tensor([[1.0, 0.0], [-1.0, 1.0]]))  # g_1 becomes (.5, .5), g_2 becomes (0, 1)
    tensor([0.2500, 0.7500])
    """
    k, _ = gram(jacobian)
    tasks = len(k)
    return combine(np.mean([projected(k, u) for u in np.eye(tasks)], axis=0), jacobian)


@aggregator
def dualproj(jacobian: Tensor) -> Tensor:
    """The mean gradient, projected onto {d: g_s·d ≥ 0 for every task s}.

    jacobian: (T, P), T ≥ 2. Returns (P,); the mean where it hurts no task.
    Paper: Lopez-Paz & Ranzato 2017, Gradient Episodic Memory for Continual Learning.

    >>> import torch
    >>> dualproj(torch.tensor([[1.0, 0.0], [-4.0, 1.0]]))  # the mean (−1.5, .5) would hurt the first task
    tensor([0.0000, 0.5000])
    """
    k, _ = gram(jacobian)
    return combine(projected(k, np.full(len(k), 1 / len(k))), jacobian)
