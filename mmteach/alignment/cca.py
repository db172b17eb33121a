"""Canonical correlation analysis: the linear views of two modalities that agree most.

| name  | what it is                                           | when to use it                                       |
|-------|------------------------------------------------------|------------------------------------------------------|
| `CCA` | closed form, with ridge; `fit`, `transform`, `score` | the first thing to try; a ruler for what others find |
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmteach import _check
from mmteach.alignment._pairs import centred, full_precision, matmul, pair


def inverse_sqrt(s: Tensor) -> Tensor:
    """S^−½ of a covariance matrix (D, D); a direction without variance gets 0, as in a pseudo-inverse."""
    values, vectors = torch.linalg.eigh(s)
    kept = values > values[-1] * len(s) * torch.finfo(s.dtype).eps
    roots = torch.where(kept, values, 1).rsqrt() * kept
    return matmul(vectors * roots, vectors.T)


class CCA:
    """Canonical correlation analysis in closed form.

    T = (Sxx + rI)^−½ Sxy (Syy + rI)^−½ = U diag(ρ) Vᵀ,    Wx = (Sxx + rI)^−½ U,    Wy = (Syy + rI)^−½ V

    Column k of (x − mean) Wx and of (y − mean) Wy are the k-th canonical variates: of all linear combinations uncorrelated
    with the earlier ones, the two that correlate most, by ρ_k. S are covariances with B − 1.

    components: how many, from 1 to the smaller of the two widths
    ridge: r ≥ 0 in units of variance; shrinks what few examples make up (Vinod 1976)

    After `fit`: `correlations` (components,), largest first, on the training examples; `weights_x` (Dx, components),
    `weights_y`; `mean_x`, `mean_y`. The variates have variance 1 (less with ridge). Signs are fixed so that the largest
    weight of each column of `weights_x` is positive.

    Beware: with no more examples than dimensions every training correlation is 1 and says nothing. Look at `score` on
    examples that were held out. Work in float64 where S may be nearly singular; the dtype is the input's (float32 at least).
    An example with NaN or infinity is an error.

    Hotelling 1936, Relations Between Two Sets of Variates; Vinod 1976, Canonical Ridge and Econometrics of Joint Production.

    >>> t = torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=torch.float64)
    >>> noise = torch.tensor([1.0, -2.0, 1.0, 0.0], dtype=torch.float64)
    >>> x, y = torch.stack([t, noise], dim=1), (3 * t - 5)[:, None]
    >>> cca = CCA().fit(x, y)
    >>> round(cca.correlations.item(), 6)  # y is a line in the first coordinate of x
    1.0
    >>> cca.transform(x, y)[0].shape
    torch.Size([4, 1])
    """

    def __init__(self, components: int = 1, ridge: float = 0.0) -> None:
        _check.whole("components", components, at_least=1)
        _check.between("ridge", ridge, 0, float("inf"))
        self.components = components
        self.ridge = ridge

    def fit(self, x: Tensor, y: Tensor, *, present: Tensor | None = None) -> CCA:
        """Find the canonical weights from x (B, Dx) and y (B, Dy), B ≥ 2; present: bool (B,), False = the pair does not count.

        Errors: ValueError for batch sizes that differ, fewer than two examples that are there, numbers that are not
        finite, more components than dimensions.
        """
        x, y, there = pair(x, y, present, ("x", "y"), same_width=False, at_least=2)
        if self.components > min(x.shape[1], y.shape[1]):
            raise ValueError(
                f"components must be at most {min(x.shape[1], y.shape[1])}, the smaller of the widths of x ({x.shape[1]}) "
                f"and y ({y.shape[1]}), got {self.components}"
            )
        if there.sum() < 2:
            raise ValueError(f"present must leave two examples or more, got {int(there.sum())} of {len(there)}")
        for name, values in (("x", x), ("y", y)):
            bad = (~torch.isfinite(values).all(1)).nonzero().flatten().tolist()
            if bad:
                raise ValueError(
                    f"{name} must be finite, got NaN or infinity in {len(bad)} examples, first in {bad[0]}"
                )
        self.mean_x, self.mean_y = x[there].mean(0), y[there].mean(0)
        x, count = centred(x, there)
        y, _ = centred(y, there)
        sxx = matmul(x.T, x) / (count - 1) + self.ridge * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        syy = matmul(y.T, y) / (count - 1) + self.ridge * torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
        sxy = matmul(x.T, y) / (count - 1)

        root_x, root_y = inverse_sqrt(sxx), inverse_sqrt(syy)
        u, rho, vt = torch.linalg.svd(matmul(matmul(root_x, sxy), root_y))
        self.correlations = rho[: self.components]
        self.weights_x = matmul(root_x, u[:, : self.components])  # (Dx, components)
        self.weights_y = matmul(root_y, vt[: self.components].T)  # (Dy, components)

        largest = self.weights_x.gather(0, self.weights_x.abs().argmax(0, keepdim=True))
        sign = torch.where(largest < 0, -1, 1)
        self.weights_x, self.weights_y = self.weights_x * sign, self.weights_y * sign
        return self

    def transform(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The canonical variates of x (N, Dx) and y (N, Dy): two tensors (N, components). Errors: before `fit`; widths."""
        if not hasattr(self, "weights_x"):
            raise RuntimeError("this CCA has no weights yet: call fit(x, y) first")
        _check.shape("x", x, "N", len(self.weights_x))
        _check.shape("y", y, "N", len(self.weights_y))
        return (
            matmul(full_precision(x) - self.mean_x, self.weights_x),
            matmul(full_precision(y) - self.mean_y, self.weights_y),
        )

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        """The correlation of each pair of variates on these examples, in [−1, 1]: (components,).

        Honest where the examples were held out. A variate that does not vary here scores 0.
        """
        a, b = self.transform(x, y)
        _check.same_shape("the variates of x", a, "the variates of y", b)
        a, b = a - a.mean(0), b - b.mean(0)
        length = a.norm(dim=0) * b.norm(dim=0)
        return (a * b).sum(0) / length.clamp(min=torch.finfo(a.dtype).tiny)
