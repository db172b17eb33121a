"""Conflict-averse descent: stay near the mean gradient, and there do the best for the task that gains least.

| name     | when to use it                                                                       |
|----------|--------------------------------------------------------------------------------------|
| `cagrad` | the mean is what counts, but no task should pay for it; c turns from mean to `mgda`  |
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmteach import _check
from mmteach.multitask.gradients.dual_cone import projected
from mmteach.multitask.gradients.gram import aggregator, combine, gram


def _hardest_weights(k: np.ndarray, c: float) -> tuple[np.ndarray, float]:
    """The w on the simplex that minimises g_w·ḡ + c ‖ḡ‖ ‖g_w‖, and the minimum.

    A convex problem in T numbers, smooth but for g_w = 0: SciPy's SLSQP does it.
    """
    from scipy.optimize import minimize

    tasks = len(k)
    to_mean = k.mean(1)  # g_t·ḡ
    radius = c * np.sqrt(max(k.mean(), 0))  # c ‖ḡ‖; rounding makes the square of a vanishing ḡ a little negative
    tiny = 1e-16  # keeps the square root differentiable at g_w = 0

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        norm = np.sqrt(max(w @ k @ w, 0) + tiny)
        return w @ to_mean + radius * norm, to_mean + radius * (k @ w) / norm

    found = minimize(
        objective,
        np.full(tasks, 1 / tasks),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * tasks,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(tasks)},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    w = found.x.clip(min=0)
    return w / w.sum(), found.fun


@aggregator
def cagrad(jacobian: Tensor, c: float = 0.4, rescale: int = 0) -> Tensor:
    """The direction within c‖ḡ‖ of the mean gradient ḡ that is best for the worst-off task.

    d = argmax over ‖d − ḡ‖ ≤ c‖ḡ‖ of min_t g_t·d. Its dual is small: with g_w = Σ_t w_t g_t,
    w = argmin over the simplex of g_w·ḡ + c‖ḡ‖‖g_w‖, and then d = ḡ + c‖ḡ‖ g_w / ‖g_w‖.

    jacobian: (T, P), T ≥ 2
    c:        ≥ 0; 0 gives the mean, a large one the direction of `mgda`; below 1 the mean loss is sure to fall
    rescale:  0: d as it is; 1: d / (1 + c²); 2: d / (1 + c), which is never longer than ḡ
    Returns (P,). The minimum is the gain of the worst-off task; where it is 0 (g_w = 0 at a Pareto-stationary point, and
    d is not determined) d is ḡ projected so that nobody loses, as in `dualproj`.
    Paper: Liu, Liu, Jin, Stone & Liu 2021, Conflict-Averse Gradient Descent for Multi-task Learning.

    >>> import torch
    >>> cagrad(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), c=0.5)  # the mean is (1, .5): d leans to the second task
    tensor([1.0000, 1.0590])
    """
    _check.between("c", c, 0, float("inf"))
    _check.choice("rescale", rescale, (0, 1, 2))
    k, _ = gram(jacobian)
    tasks = len(k)
    mean = np.full(tasks, 1 / tasks)
    w, gain = _hardest_weights(k, c)
    if abs(gain) < 1e-6:  # nobody can gain
        weights = projected(k, mean)
    else:
        weights = mean + c * np.sqrt(max(k.mean(), 0) / (w @ k @ w)) * w
    return combine(weights / (1.0, 1 + c**2, 1 + c)[rescale], jacobian)
