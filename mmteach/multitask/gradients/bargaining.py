"""The tasks bargain over the direction: every task's gain is a utility, and a fair compromise is found.

| name       | when to use it                                                                          |
|------------|-----------------------------------------------------------------------------------------|
| `nash`     | proportional fairness: no scale of a loss matters, no task is left behind               |
| `fairgrad` | α sets the fairness: towards 0 the largest total gain, 1 is `nash`, large: the worst-off first |
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmteach import _check
from mmteach.multitask.gradients.gram import aggregator, combine, gram, root

# Parallel gradients make K singular, and where they cancel there is no bargain: each K_tt, raised by this share of itself,
# keeps w finite.
_RIDGE = 1e-9


def _bargain(k: np.ndarray, beta: float) -> np.ndarray:
    """w > 0 with K w = w^{−β}, by Newton's method with a line search.

    F(w) = K w − w^{−β} is the gradient of the convex height(w) = ½ wᵀ K w − Σ φ(w_t), φ' = w^{−β}: there is one
    solution, and steps that are halved until the height falls lead to it from anywhere.
    """
    r = root(k)
    size = np.diag(k)
    ridge = np.where(size > 0, _RIDGE * size, 1.0)  # a task without gradient gets w = 1, which moves nothing
    k = r.T @ r + np.diag(ridge)

    def height(w: np.ndarray) -> float:
        phi = np.log(w) if beta == 1 else w ** (1 - beta) / (1 - beta)
        return ((r @ w) ** 2).sum() / 2 + ridge @ w**2 / 2 - phi.sum()

    w = np.diag(k) ** (-1 / (1 + beta))  # the answer, were the gradients orthogonal
    for _ in range(200):
        f = k @ w - w**-beta
        direction = -np.linalg.solve(k + np.diag(beta * w ** (-beta - 1)), f)
        fall = -f @ direction
        step = 1.0
        while step > 1e-12 and (
            (w + step * direction).min() <= 0 or height(w + step * direction) > height(w) - 1e-4 * step * fall
        ):
            step /= 2
        w = w + step * direction
        if fall < 1e-12 or step <= 1e-12:  # a small error, squared by the step just taken; or the end of the rounding
            break
    return w


@aggregator
def fairgrad(jacobian: Tensor, alpha: float = 1.0) -> Tensor:
    """The direction whose improvements g_t·d are α-fair: d = Σ_t w_t g_t, with w > 0 and K w = w^{−1/α}, K = G Gᵀ.

    It maximises Σ_t u_t^{1−α} / (1−α) of the improvements u_t = g_t·d over a ball of directions (Σ log u_t at α = 1).
    α → 0 gives the plain sum (all that counts is the total gain), α = 1 is the Nash bargain, α → ∞ looks at the
    worst-off task alone.

    jacobian: (T, P), T ≥ 2
    alpha:    α > 0
    Returns (P,). Every g_t·d = w_t^{−1/α} > 0. Where the gradients cancel there is no bargain, and d is close to zero.
    Paper: Ban & Ji 2024, Fair Resource Allocation in Multi-Task Learning.

    >>> import torch
    >>> fairgrad(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), alpha=0.5)  # w_t = ‖g_t‖^{−2/3}
    tensor([1.2599, 1.0000])
    """
    _check.positive("alpha", alpha)
    k, scale = gram(jacobian)
    beta = 1 / alpha
    # gram divided K by its scale; w for the true K follows from K w = w^{−β} being homogeneous
    return combine(_bargain(k, beta) * scale ** (-1 / (1 + beta)), jacobian)


@aggregator
def nash(jacobian: Tensor) -> Tensor:
    """The Nash bargain: d = Σ_t w_t g_t with K w = 1/w, which maximises Π_t g_t·d over directions of one length.

    Multiplying a loss by a constant does not change d. Its length is √T wherever the training stands, so lower the
    learning rate towards the end.

    jacobian: (T, P), T ≥ 2
    Returns (P,). Every g_t·d = 1 / w_t > 0. Where the gradients cancel there is no bargain, and d is close to zero.
    Papers: Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik & Fetaya 2022, Multi-Task Learning as a Bargaining
    Game; Ban & Ji 2024, Fair Resource Allocation in Multi-Task Learning (the same point, at α = 1).

    >>> import torch
    >>> nash(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 1.])
    """
    return fairgrad(jacobian, alpha=1.0)
