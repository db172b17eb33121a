"""Deep CCA: train two networks so that what they put out correlates as much as it can.

| name                     | what it is                                               | when to use it                |
|--------------------------|----------------------------------------------------------|-------------------------------|
| `deep_cca_loss`          | minus the sum of the canonical correlations              | non-linear CCA; large batches |
| `gcca_loss`              | the same for two views or more, through one shared space | three modalities at once      |
| `canonical_correlations` | the correlations themselves, differentiable              | to watch training             |

Summing `deep_cca_loss` over all pairs of several views is multiset CCA: `pairwise_loss(deep_cca_loss, views)`.
After training, fit `CCA` on the outputs: it gives the directions, and `score` on held-out examples is the honest number.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mmteach import _check
from mmteach.alignment._pairs import centred, matmul, pair


def _covariance(deviation: Tensor, count: Tensor, ridge: float) -> Tensor:
    """S + ridge · I from deviations (B, D)."""
    eye = torch.eye(deviation.shape[1], dtype=deviation.dtype, device=deviation.device)
    return matmul(deviation.T, deviation) / (count - 1).clamp(min=1) + ridge * eye


def canonical_correlations(x: Tensor, y: Tensor, *, ridge: float = 1e-3, present: Tensor | None = None) -> Tensor:
    """The canonical correlations of two batches, largest first, differentiable.

    ρ = singular values of T = (Sxx + rI)^−½ Sxy (Syy + rI)^−½

    x: (B, Dx), y: (B, Dy), B ≥ 2, row i of one belongs to row i of the other → (min(Dx, Dy),), each from 0 to 1
    ridge: r above 0, in units of variance;  present: bool (B,), False = the pair does not count (with none there: zeros)

    T is computed with Cholesky factors, S = L Lᵀ and T' = Lx⁻¹ Sxy Ly⁻ᵀ. T' is T up to rotations on both sides, so that the
    singular values are the same; the gradient of S^−½ through eigenvectors would divide by zero where two eigenvalues
    are equal, as they are for two dead units.

    Errors: ValueError for batch sizes that differ, fewer than two examples, ridge ≤ 0. NaN gives an error or NaN.

    Andrew et al. 2013, Deep Canonical Correlation Analysis.

    >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    >>> rho = canonical_correlations(x, x[:, :1] * 7, ridge=1e-12)
    >>> [round(r, 6) for r in rho.tolist()]
    [1.0]
    """
    x, y, there = pair(x, y, present, ("x", "y"), same_width=False, at_least=2)
    _check.positive("ridge", ridge)
    x, count = centred(x, there)
    y, _ = centred(y, there)
    sxy = matmul(x.T, y) / (count - 1).clamp(min=1)  # (Dx, Dy)
    lx = torch.linalg.cholesky(_covariance(x, count, ridge))
    ly = torch.linalg.cholesky(_covariance(y, count, ridge))
    t = torch.linalg.solve_triangular(lx, sxy, upper=False)  # Lx⁻¹ Sxy
    t = torch.linalg.solve_triangular(ly, t.mT, upper=False).mT  # … Ly⁻ᵀ
    return torch.linalg.svdvals(t)


def deep_cca_loss(
    x: Tensor,
    y: Tensor,
    *,
    ridge: float = 1e-3,
    components: int | None = None,
    squared: bool = False,
    present: Tensor | None = None,
) -> Tensor:
    """Deep CCA: minus the sum of the canonical correlations of what two networks put out.

    L = −Σ_k ρ_k = −‖T‖_*        (squared: L = −Σ_k ρ_k² = −‖T‖_F²; T: see `canonical_correlations`)

    x: (B, Dx), y: (B, Dy), B ≥ 2 and better a few times the widths: correlations of a small batch are too good to be true
    ridge: r above 0, in units of variance;  components: count only the largest so many, all unless given
    squared: the variant some libraries minimise; it cares less for weak correlations
    present: bool (B,), False = the pair does not count
    Returns a scalar between −min(Dx, Dy) and 0.

    Errors: ValueError for batch sizes that differ, fewer than two examples, ridge ≤ 0, more components than dimensions.

    Andrew et al. 2013, Deep Canonical Correlation Analysis.

    >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    >>> round(deep_cca_loss(x, x.flip(1), ridge=1e-12).item(), 6)
    -2.0
    """
    rho = canonical_correlations(x, y, ridge=ridge, present=present)
    if components is not None:
        _check.whole("components", components)
        if not 1 <= components <= len(rho):
            raise ValueError(
                f"components must be from 1 to {len(rho)}, the smaller of the widths of x ({x.shape[1]}) and y ({y.shape[1]}), "
                f"got {components}"
            )
        rho = rho[:components]
    return -(rho.square() if squared else rho).sum()


def gcca_loss(views: Mapping[str, Tensor], *, ridge: float = 1e-3, components: int | None = None) -> Tensor:
    """Generalised CCA for two views or more: how well one shared space explains them all.

    H_v = (x_v − mean)(S_v + rI)^−½,    L = −Σ of the largest eigenvalues of Σ_v H_v H_vᵀ / (B − 1)

    views: by name, (B, D_v), two or more, B ≥ 2, row i of each belongs together
    ridge: r above 0, in units of variance;  components: how many eigenvalues, from 1 to the smallest width (which it is unless
        given)
    Returns a scalar: −components × (number of views) where all views agree, about −components where they are unrelated.

    The B × B matrix is never made: [H_1, H_2, …]ᵀ[H_1, H_2, …] / (B − 1), as wide as all views together, has the same
    eigenvalues.

    Errors: ValueError for one view only, batch sizes that differ, fewer than two examples, ridge ≤ 0, too many components.

    Horst 1961, Generalized Canonical Correlations and Their Applications to Experimental Data;
    Benton et al. 2017, Deep Generalized Canonical Correlation Analysis.

    >>> x = torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64)
    >>> round(gcca_loss({"image": x, "text": -x, "audio": 2 * x}, ridge=1e-12).item(), 6)
    -3.0
    """
    _check.by_modality("views", views)
    if len(views) < 2:
        raise ValueError(f"views needs two modalities or more, got {sorted(views)}")
    _check.positive("ridge", ridge)
    for name, x in views.items():
        _check.shape(f"views[{name!r}]", x, "B", "D")
    first = next(iter(views))
    narrowest = min(x.shape[-1] for x in views.values())
    if components is None:
        components = narrowest
    _check.whole("components", components)
    if not 1 <= components <= narrowest:
        raise ValueError(f"components must be from 1 to {narrowest}, the smallest width of the views, got {components}")

    whitened = []
    for name, x in views.items():
        _, x, there = pair(
            views[first], x, None, (f"views[{first!r}]", f"views[{name!r}]"), same_width=False, at_least=2
        )
        x, count = centred(x, there)
        factor = torch.linalg.cholesky(_covariance(x, count, ridge))
        # H_v up to a rotation of its columns (Cholesky in place of the root), which leaves H_v H_vᵀ as it is
        whitened.append(torch.linalg.solve_triangular(factor, x.T, upper=False).T)  # (B, D_v)
    h = torch.cat(whitened, dim=1)  # (B, ΣD)
    return -torch.linalg.eigvalsh(matmul(h.T, h) / (count - 1))[-components:].sum()
