"""Balance the system of gradients itself: make it orthogonal, with one common scale.

| name          | when to use it                                                                     |
|---------------|------------------------------------------------------------------------------------|
| `aligned_mtl` | both conflict and domination: the gradients become orthogonal and equally long     |
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmteach.multitask.gradients.gram import aggregator


@aggregator
def aligned_mtl(jacobian: Tensor) -> Tensor:
    """Independent component alignment: the mean of the nearest gradients that are orthogonal and of one size.

    With K = G Gᵀ = V Λ Vᵀ, all singular values of G are set to the least, σ = √λ_min (over those above rounding):
    Ĝ = B G, B = σ V Λ^{−½} Vᵀ, and d = mean_t ĝ_t. The condition number of Ĝ is 1.

    jacobian: (T, P), T ≥ 2. Returns (P,).
    Paper: Senushkin, Patakin, Kuznetsov & Konushin 2023, Independent Component Alignment for Multi-Task Learning.

    >>> aligned_mtl(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))  # both become 1 long
    tensor([0.5000, 0.5000])
    """
    g = jacobian
    values, vectors = torch.linalg.eigh(g @ g.T)  # ascending
    real = values > values[-1].clamp_min(torch.finfo(g.dtype).tiny) * len(g) * torch.finfo(g.dtype).eps
    least = torch.where(real, values, torch.inf).amin()
    scale = torch.where(real, (least / torch.where(real, values, 1)).sqrt(), 0)  # σ Λ^{−½}, 0 where there is nothing
    weights = (vectors * scale) @ vectors.mean(0)  # B (1/T, …, 1/T): the mean over tasks of Vᵀ's columns
    return weights @ g
