"""Bilinear fusion at low rank: products of projections, summed in groups.

| name  | what it is                                                   | when to use it                    |
|-------|--------------------------------------------------------------|-----------------------------------|
| `MLB` | tanh projections, multiplied, projected                      | interactions of wide vectors      |
| `MFB` | the same with sums over k products, signed root, unit length | the stronger and the steadier one |

A full bilinear map x_1ᵀ W_o x_2 for each output o needs dims₁ · dims₂ · dim weights (see `MultiplicativeInteractions`);
here each W_o is a sum of k products of vectors.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.fusion._vectors import VectorFusion, linears, where_present


class MLB(VectorFusion):
    """Multimodal low-rank bilinear pooling: the projections of all modalities, multiplied number by number, then mixed.

        z = W_o (Π_m tanh(W_m x_m + b_m)) + b_o        over the modalities that are there

    rank: numbers in the product, `dim` where None;  a modality that is absent counts as 1, so z = W_o 1 + b_o where all are
    Parameters: Σ_m (dims[m] + 1) rank + (rank + 1) dim.

    Kim et al. 2017, Hadamard Product for Low-rank Bilinear Pooling (for two modalities; more are ours).

    >>> fusion = MLB({"image": 3, "text": 2}, dim=4, rank=8)
    >>> fusion({"image": torch.ones(5, 3), "text": torch.ones(5, 2)}).shape
    torch.Size([5, 4])
    """

    def __init__(self, dims: Mapping[str, int], dim: int, *, rank: int | None = None) -> None:
        super().__init__(dims, dim)
        rank = dim if rank is None else rank
        _check.positive("rank", rank)
        self.maps = linears(dims, rank)
        self.out = nn.Linear(rank, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        factors = [where_present(self.maps[m](x).tanh(), m, present, 1) for m, x in vectors.items()]
        return self.out(torch.stack(factors).prod(0))


class MFB(VectorFusion):
    """Multimodal factorised bilinear pooling: products of projections, summed k at a time.

        s_o = Σ_{j=1…k} Π_m (W_m x_m + b_m)_{ok+j},   s ← sign(s) √|s|,   z = s / ‖s‖

    factors: k; 1 is plain low rank;  dropout: on the products, while training
    normalise: the signed root and the unit length (they keep the squares of large features from drowning the rest);
    without them z = s is a bilinear map of rank up to k for each output
    A modality that is absent counts as 1; where all are, every s_o = k.
    Parameters: Σ_m (dims[m] + 1) dim k.

    Yu et al. 2017, Multi-modal Factorized Bilinear Pooling with Co-Attention Learning for Visual Question Answering
    (for two modalities; more are ours).

    >>> fusion = MFB({"image": 3, "text": 2}, dim=4)
    >>> fusion({"image": torch.ones(1, 3), "text": torch.ones(1, 2)}).norm().round(decimals=4).item()
    1.0
    """

    def __init__(
        self, dims: Mapping[str, int], dim: int, *, factors: int = 5, dropout: float = 0.0, normalise: bool = True
    ) -> None:
        super().__init__(dims, dim)
        _check.positive("factors", factors)
        _check.between("dropout", dropout, 0, 1)
        self.factors, self.normalise = factors, normalise
        self.maps = linears(dims, dim * factors)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        factors = [where_present(self.maps[m](x), m, present, 1) for m, x in vectors.items()]
        products = self.dropout(torch.stack(factors).prod(0))  # (B, dim · k)
        s = products.unflatten(-1, (self.dim, self.factors)).sum(-1)
        if not self.normalise:
            return s
        # The slope of a root is infinite at 0: s / √(|s| + ε) is the signed root with a finite one.
        return F.normalize(s / (s.abs() + 1e-8).sqrt(), dim=-1)
