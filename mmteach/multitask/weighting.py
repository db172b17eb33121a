"""Loss weightings: how much each task's loss L_t counts in the sum that is minimised, L = Σ_t w_t L_t.

| name                  | takes                       | gives                   | when to use it                     |
|-----------------------|-----------------------------|-------------------------|------------------------------------|
| `equal`               | losses                      | w = 1                   | always, as the baseline            |
| `uncertainty`         | losses, s (learned)         | the loss to minimise    | losses of different units          |
| `uncertainty_weights` | s                           | w = e^{−s}/2            | to look at, or to plot             |
| `dwa`                 | past epochs' losses         | w, sums to T            | tasks that learn at unequal speed  |
| `rlw`                 | losses (for their number)   | w, sums to 1            | as a second baseline               |
| `gls`                 | losses                      | w of the geometric mean | losses of unequal scale            |
| `gradnorm`            | losses, first losses, G, s  | the loss of s           | one task's gradient drowns another |
| `gradnorm_weights`    | s                           | w = T softmax(s)        | with `gradnorm`                    |

T tasks, two or more; every function is pure. What is learned (s) or remembered (past losses) is passed in, so that
nothing is hidden: s is a tensor with requires_grad=True that an optimiser of yours updates.
NaN in a loss gives NaN wherever its value counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmteach import _check


def _tasks(name: str, values: Tensor) -> None:
    """Raise unless `values` holds one number a task, for two tasks or more."""
    _check.shape(name, values, "T")
    _check.floating(name, values)
    if len(values) < 2:
        raise ValueError(
            f"{name} must hold two tasks or more, got 1: with one task there is nothing to weigh, minimise its loss as it is"
        )


def _tiny(x: Tensor) -> float:
    return torch.finfo(x.dtype).tiny


def equal(losses: Tensor) -> Tensor:
    """Every task counts the same: w_t = 1.

    losses: (T,), T ≥ 2. Returns (T,). Raises ValueError for a single task, TypeError for whole numbers.

    >>> equal(torch.tensor([0.5, 2.0]))
    tensor([1., 1.])
    """
    _tasks("losses", losses)
    return torch.ones_like(losses)


def uncertainty_weights(log_variance: Tensor) -> Tensor:
    """What uncertainty weighting multiplies each loss with: w_t = e^{−s_t} / 2, with s_t = log σ_t².

    log_variance: s, (T,). Returns (T,).

    >>> uncertainty_weights(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """
    _tasks("log_variance", log_variance)
    return torch.exp(-log_variance) / 2


def uncertainty(losses: Tensor, log_variance: Tensor) -> Tensor:
    """The loss under a learned noise of each task: L = Σ_t [ e^{−s_t} L_t / 2 + s_t / 2 ], with s_t = log σ_t².

    A noisy task (large s) counts less; the s/2 keeps s from growing for ever. Its minimum over s is at s_t = log L_t,
    where every task contributes the same 1/2 whatever its unit. The factor 1/2 stands for every task here (Kendall et
    al. derive it for regression and drop it for classification).

    losses:       (T,), T ≥ 2
    log_variance: s, (T,), requires_grad=True and given to the optimiser; zeros are a good start
    Returns the scalar to call `backward()` on.
    Paper: Kendall, Gal & Cipolla 2018, Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
    Semantics.

    >>> s = torch.zeros(2, requires_grad=True)
    >>> total = uncertainty(torch.tensor([1.0, 4.0]), s)
    >>> total.backward()
    >>> total.item(), s.grad  # the first is at its optimum s = log 1, the second wants a larger s
    (2.5, tensor([ 0.0000, -1.5000]))
    """
    _tasks("losses", losses)
    _check.same_shape("log_variance", log_variance, "losses", losses)
    return (uncertainty_weights(log_variance) * losses + log_variance / 2).sum()


def dwa(history: Tensor, temperature: float = 2.0) -> Tensor:
    """Dynamic weight average: w = T softmax(r / τ), with r_t = L_t(e−1) / L_t(e−2), how slowly task t's loss falls.

    history:     (E, T), the mean loss of each finished epoch, oldest first; with E < 2 every weight is 1
    temperature: τ > 0; a large one makes the weights equal
    Returns (T,), weights that sum to T, to use during the epoch that starts now.
    Paper: Liu, Johns & Davison 2019, End-to-End Multi-Task Learning with Attention.

    >>> dwa(torch.tensor([[1.0, 1.0], [0.5, 1.0]]))  # the first halved, the second stood still
    tensor([0.8756, 1.1244])
    """
    _check.positive("temperature", temperature)
    if not isinstance(history, Tensor) or history.ndim != 2:
        came = tuple(history.shape) if isinstance(history, Tensor) else type(history).__name__
        raise ValueError(f"history must be a tensor with shape (E, T), one row a finished epoch, got {came}")
    if len(history) < 2:
        ones = history.new_ones(history.shape[1])
        _tasks("a row of history", ones)
        return ones
    _tasks("a row of history", history[-1])
    ratio = history[-1] / history[-2].clamp_min(_tiny(history))
    return history.shape[1] * torch.softmax(ratio / temperature, dim=0)


def rlw(losses: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Random loss weighting: w = softmax(z), z ~ N(0, I), drawn anew at every step.

    The weights sum to 1, not to T: against `equal` this also divides the learning rate by T.

    losses:    (T,), T ≥ 2 (only its length, dtype and device matter)
    generator: what to draw from; None draws from torch's global generator
    Returns (T,).
    Paper: Lin, Ye, Zhang & Tsang 2022, Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task
    Learning.

    >>> rlw(torch.tensor([0.5, 2.0, 1.0]), generator=torch.Generator().manual_seed(7))
    tensor([0.1532, 0.3895, 0.4573])
    """
    _tasks("losses", losses)
    z = torch.randn(losses.shape, generator=generator, dtype=losses.dtype, device=losses.device)
    return torch.softmax(z, dim=0)


def gls(losses: Tensor) -> Tensor:
    """Geometric loss strategy: minimise G = (Π_t L_t)^{1/T}, whose gradient Σ_t w_t ∇L_t has w_t = G / (T L_t).

    Multiplying a loss by a constant scales every weighted gradient alike: no task gains by a change of unit.

    losses: (T,), T ≥ 2, each above 0 (a loss of exactly 0 gives weights 0 to the others: the product is then minimal)
    Returns (T,), detached: `(gls(losses) * losses).sum()` equals G and has its gradient.
    Paper: Chennupati, Sistu, Yogamani & Rawashdeh 2019, MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss
    Strategy for Multi-Task Learning.

    >>> gls(torch.tensor([1.0, 4.0]))
    tensor([1.0000, 0.2500])
    """
    _tasks("losses", losses)
    safe = losses.detach().clamp_min(_tiny(losses))
    return safe.log().mean().exp() / (len(losses) * safe)


def gradnorm_weights(scale: Tensor) -> Tensor:
    """What GradNorm multiplies each loss with: w = T softmax(s), which keeps Σ w = T at every step.

    scale: s, (T,). Returns (T,).

    >>> gradnorm_weights(torch.zeros(3))
    tensor([1., 1., 1.])
    """
    _tasks("scale", scale)
    return len(scale) * torch.softmax(scale, dim=0)


def gradnorm(losses: Tensor, initial_losses: Tensor, jacobian: Tensor, scale: Tensor, alpha: float = 1.5) -> Tensor:
    """The loss that teaches GradNorm's weights: Σ_t | ‖w_t g_t‖ − Ḡ r_t^α |, with w = T softmax(s).

    Ḡ is the mean of the ‖w_t g_t‖, and r_t the relative inverse training rate: L_t / L_t(0), divided by its mean over
    the tasks. Ḡ r_t^α is a target and held constant. A task that lags (r_t > 1) is aimed at a larger gradient.

    losses:         L, (T,), T ≥ 2
    initial_losses: L(0), (T,), above 0: the losses of the first step or epoch
    jacobian:       g, (T, P), the gradients of the unweighted losses (`task_gradients`), of all shared parameters or
                    of the last shared layer only, as the paper does for speed
    scale:          s, (T,), requires_grad=True, with an optimiser of its own; zeros are the equal weights
    alpha:          α ≥ 0, how strongly the tasks' speeds are pulled together
    Returns a scalar whose gradient with respect to `scale` is the update; nothing else should learn from it.
    The paper learns w itself and rescales it to Σ w = T after each step; the softmax does both at once.
    Paper: Chen, Badrinarayanan, Lee & Rabinovich 2018, GradNorm: Gradient Normalization for Adaptive Loss Balancing in
    Deep Multitask Networks.

    >>> s = torch.zeros(2, requires_grad=True)
    >>> g = torch.tensor([[3.0, 4.0], [0.0, 1.0]])  # norms 5 and 1, their mean 3
    >>> gradnorm(torch.ones(2), torch.ones(2), g, s).backward()
    >>> s.grad  # going down it shrinks the first weight
    tensor([ 3., -3.])
    """
    _tasks("losses", losses)
    _check.same_shape("initial_losses", initial_losses, "losses", losses)
    _check.same_shape("scale", scale, "losses", losses)
    _check.shape("jacobian", jacobian, len(losses), "P")
    _check.between("alpha", alpha, 0, float("inf"))
    norms = gradnorm_weights(scale) * jacobian.detach().norm(dim=1)
    progress = losses.detach() / initial_losses.detach().clamp_min(_tiny(initial_losses))
    rate = progress / progress.mean().clamp_min(_tiny(progress))
    target = norms.mean().detach() * rate**alpha
    return (norms - target).abs().sum()
