"""Gradient surgery: cut out of each task's gradient what conflicts with another task's.

| name     | when to use it                                                                            |
|----------|-------------------------------------------------------------------------------------------|
| `pcgrad` | gradients that point against each other (cosine < 0); where none do, it is the plain sum  |
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmteach.multitask.gradients.gram import aggregator


@aggregator
def pcgrad(jacobian: Tensor, generator: torch.Generator | None = None, orders: Tensor | None = None) -> Tensor:
    """Project each gradient off those it conflicts with, then add up.

    For every task i, start from v = g_i and meet the other tasks j in random order:
    where v·g_j < 0, v ← v − (v·g_j / ‖g_j‖²) g_j. The result is d = Σ_i v_i.

    The g_j are the original ones, not what became of them. There is no small constant beside ‖g_j‖²: gradients of a
    trained model are small, and a constant of 1e-8 would quietly switch the method off. With three tasks or more d can
    still conflict with one of them.

    jacobian:  (T, P), T ≥ 2
    generator: what the orders are drawn from; None draws from torch's global generator
    orders:    (T, T), row i the order in which task i meets the others (i itself is passed over), instead of drawing
    Returns (P,).
    Paper: Yu, Kumar, Gupta, Levine, Hausman & Finn 2020, Gradient Surgery for Multi-Task Learning.

    >>> pcgrad(torch.tensor([[1.0, 0.0], [-1.0, 1.0]]))  # v_1 = (.5, .5), v_2 = (0, 1)
    tensor([0.5000, 1.5000])
    """
    g = jacobian
    tasks = len(g)
    if orders is None:
        orders = torch.rand(tasks, tasks, generator=generator, device=g.device).argsort(dim=1)
    elif tuple(orders.shape) != (tasks, tasks) or orders.is_floating_point():
        raise ValueError(
            f"orders must hold whole numbers with shape {(tasks, tasks)}, one permutation a task, "
            f"got {orders.dtype} with shape {tuple(orders.shape)}"
        )
    squared = (g * g).sum(1)
    own = torch.arange(tasks, device=g.device)
    v = g
    for step in range(tasks):  # all tasks i at once: row i of `other` is the g_j that v_i meets at this step
        j = orders[:, step]
        other = g[j]
        dot = (v * other).sum(1).clamp(max=0).masked_fill(j == own, 0)
        v = v - (dot / squared[j].clamp_min(torch.finfo(g.dtype).tiny)).unsqueeze(1) * other
    return v.sum(0)
