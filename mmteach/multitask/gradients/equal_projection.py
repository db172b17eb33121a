"""Directions that treat every task alike by geometry: the same projection, or the same angle.

| name     | when to use it                                                                      |
|----------|-------------------------------------------------------------------------------------|
| `imtl_g` | the losses' scales mean nothing: the answer depends on the gradients' directions    |
| `config` | as above, and no task may lose; as long as all gradients' projections on it together |
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmteach.multitask.gradients.gram import aggregator


def _solve(k: Tensor, b: Tensor) -> Tensor:
    """The least-norm x with K x = b (K symmetric, perhaps singular: equal, opposite or zero gradients)."""
    return torch.linalg.pinv(k, hermitian=True) @ b


def _safe(x: Tensor) -> Tensor:
    """The same numbers, with 1 for 0, to divide by."""
    return torch.where(x == 0, torch.ones_like(x), x)


@aggregator
def imtl_g(jacobian: Tensor) -> Tensor:
    """Impartial multi-task learning: d = Σ_t α_t g_t with Σ α = 1 and the same projection d·g_t / ‖g_t‖ for every task.

    From K v = (‖g_1‖, …, ‖g_T‖) with K = G Gᵀ, and α = v / Σ v. An α_t may be negative; where Σ v is close to 0 (the
    gradients almost cancel) d is large: the method's weak spot.

    jacobian: (T, P), T ≥ 2. Returns (P,); where Σ v = 0 it is zero.
    Paper: Liu, Li, Kuang, Xue, Chen, Yang, Liao & Zhang 2021, Towards Impartial Multi-task Learning.

    >>> imtl_g(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))  # projects to 2/3 on both axes
    tensor([0.6667, 0.6667])
    """
    g = jacobian
    norms = g.norm(dim=1)
    unit = g / _safe(norms).unsqueeze(1)
    v = _solve(unit @ unit.T, (norms > 0).to(g.dtype)) / _safe(norms)  # K v = norms, divided through by the norms
    return (v / _safe(v.sum())) @ g


@aggregator
def config(jacobian: Tensor) -> Tensor:
    """Conflict-free direction: the d with the same cosine to every gradient, as long as the projections on it add up to.

    With unit gradients U: d ∝ U⁺ 1 (the pseudo-inverse), scaled to ‖d‖ = Σ_t g_t·d / ‖d‖.

    jacobian: (T, P), T ≥ 2. Returns (P,); opposite gradients give zero.
    Paper: Liu, Chu & Thuerey 2025, ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks.

    >>> config(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1.5000, 1.5000])
    """
    g = jacobian
    norms = g.norm(dim=1)
    unit = g / _safe(norms).unsqueeze(1)
    direction = _solve(unit @ unit.T, (norms > 0).to(g.dtype)) @ unit  # U⁺ 1 = Uᵀ (U Uᵀ)⁺ 1
    direction = direction / _safe(direction.norm())
    return (g @ direction).sum() * direction
