"""Losses without negatives: make the pair agree, and keep the coordinates alive and different from one another.

| name                | what it is                                  | when to use it                    |
|---------------------|---------------------------------------------|-----------------------------------|
| `vicreg_loss`       | agreement + variance + covariance, weighted | small batches; scale matters      |
| `vicreg_terms`      | the three terms of it, unweighted           | to plot what each does            |
| `barlow_twins_loss` | cross-correlation matrix → identity         | one weight to set; blind to scale |

Statistics run over the batch: both need at least two examples, and mean little below a few dozen.
"""

from __future__ import annotations

from torch import Tensor

from mmteach import _check
from mmteach.alignment._pairs import centred, matmul, mean_over, pair


def vicreg_terms(
    x: Tensor, y: Tensor, *, epsilon: float = 1e-4, present: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The three terms of VICReg, without weights: invariance, variance and covariance.

    invariance:  mean_bd (x − y)²
    variance:    v(x) + v(y),   v(x) = mean_d [1 − √(Var(x_d) + ε)]₊     (a coordinate that stops varying costs up to 1)
    covariance:  c(x) + c(y),   c(x) = 1/D Σ_{d≠e} Cov(x)_de²

    x, y: (B, D), B ≥ 2, row i of one belongs to row i of the other; Var and Cov with B − 1
    epsilon: above 0, keeps the gradient of the root finite;  present: bool (B,), False = the pair does not count
    Returns three scalars. The paper's invariance term sums over d; this is the mean, as in the authors' code.

    Errors: ValueError for shapes that differ, fewer than two examples, epsilon ≤ 0.

    Bardes, Ponce and LeCun 2022, VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning.

    >>> import torch
    >>> x = torch.tensor([[2.0, 2.0], [-2.0, -2.0]])  # two coordinates that say the same
    >>> [round(term.item(), 3) for term in vicreg_terms(x, x)]  # agree, vary enough; Cov = 8: 2 · (8² + 8²) / 2
    [0.0, 0.0, 128.0]
    """
    x, y, there = pair(x, y, present, ("x", "y"), at_least=2)
    _check.positive("epsilon", epsilon)
    invariance = mean_over((x - y).square().mean(-1), there)
    variance = covariance = x.new_zeros(())
    for view in (x, y):
        deviation, count = centred(view, there)
        cov = matmul(deviation.T, deviation) / (count - 1).clamp(min=1)  # (D, D)
        spread = (cov.diagonal() + epsilon).sqrt()
        variance = variance + (1 - spread).clamp(min=0).mean()
        off_diagonal = cov - cov.diagonal().diag_embed()
        covariance = covariance + off_diagonal.square().sum() / view.shape[1]
    return invariance, variance, covariance


def vicreg_loss(
    x: Tensor,
    y: Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    halve_variance: bool = False,
    epsilon: float = 1e-4,
    present: Tensor | None = None,
) -> Tensor:
    """VICReg: the pair agrees, each coordinate keeps a spread of at least 1, no two coordinates say the same.

    L = λ · invariance + μ · variance + ν · covariance      (the terms: see `vicreg_terms`)

    x, y: (B, D), B ≥ 2;  invariance, variance, covariance: λ, μ, ν ≥ 0
    halve_variance: the authors' code halves the variance term, the paper does not; False follows the paper
    epsilon, present, errors: see `vicreg_terms`. Returns a scalar. NaN in a pair that is there gives NaN.

    Bardes, Ponce and LeCun 2022, VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning.

    >>> import torch
    >>> collapsed = torch.zeros(4, 2)  # perfect agreement, no information: the variance term objects
    >>> round(vicreg_loss(collapsed, collapsed).item(), 2)  # 25 · 2 · (1 − √1e-4)
    49.5
    """
    for name, weight in (("invariance", invariance), ("variance", variance), ("covariance", covariance)):
        _check.between(name, weight, 0, float("inf"))
    agree, spread, overlap = vicreg_terms(x, y, epsilon=epsilon, present=present)
    if halve_variance:
        spread = spread / 2
    return invariance * agree + variance * spread + covariance * overlap


def barlow_twins_loss(
    x: Tensor,
    y: Tensor,
    *,
    redundancy: float = 0.0051,
    epsilon: float = 1e-5,
    present: Tensor | None = None,
) -> Tensor:
    """Barlow Twins: the cross-correlation matrix of the two modalities becomes the identity.

    C = x̂ᵀŷ / B,    L = Σ_d (1 − C_dd)² + λ Σ_{d≠e} C_de²,    x̂ = (x − mean) / √(Var + ε), Var with B

    x, y: (B, D), B ≥ 2, row i of one belongs to row i of the other
    redundancy: λ ≥ 0, the price of coordinates that repeat each other;  epsilon: above 0
    present: bool (B,), False = the pair does not count
    Returns a scalar; scaling or shifting a coordinate changes nothing (but for ε). NaN in a pair that is there gives NaN.

    Errors: ValueError for shapes that differ, fewer than two examples, redundancy < 0, epsilon ≤ 0.

    Zbontar et al. 2021, Barlow Twins: Self-Supervised Learning via Redundancy Reduction.

    >>> import torch
    >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> round(barlow_twins_loss(x, x).item(), 4)
    0.0
    >>> round(barlow_twins_loss(x, -x).item(), 2)  # C = −identity: (1 + 1)² twice
    8.0
    """
    x, y, there = pair(x, y, present, ("x", "y"), at_least=2)
    _check.between("redundancy", redundancy, 0, float("inf"))
    _check.positive("epsilon", epsilon)

    def standardised(view: Tensor) -> tuple[Tensor, Tensor]:
        deviation, count = centred(view, there)
        return deviation / (deviation.square().sum(0) / count + epsilon).sqrt(), count

    x_hat, count = standardised(x)
    y_hat, _ = standardised(y)
    c = matmul(x_hat.T, y_hat) / count  # (D, D)
    on_diagonal = (1 - c.diagonal()).square().sum()
    off_diagonal = (c - c.diagonal().diag_embed()).square().sum()
    return on_diagonal + redundancy * off_diagonal
