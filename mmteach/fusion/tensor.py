"""Tensor fusion: every product of a number of one modality with a number of each other, in full and at low rank.

| name                  | what it is                                    | when to use it                            |
|-----------------------|-----------------------------------------------|-------------------------------------------|
| `outer_product`       | vec([1; x_1] ⊗ [1; x_2] ⊗ …)                  | to see all products                       |
| `TensorFusion`        | the outer product and a linear layer          | small vectors; every interaction matters  |
| `LowRankTensorFusion` | the same map with a weight tensor of low rank | larger vectors, three modalities and more |

The 1 in front of each vector keeps what each modality says alone: [1; x_1] ⊗ [1; x_2] holds 1, x_1, x_2 and x_1 x_2ᵀ.
A modality that is absent counts as x = 0, so [1; 0]: all that is left is what the others say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.fusion._vectors import VectorFusion


def outer_product(vectors: Sequence[Tensor]) -> Tensor:
    """All products of one number of each vector, a 1 put in front of each: vec([1; x_1] ⊗ [1; x_2] ⊗ …).

    vectors: (…, D_m), the same leading axes → (…, Π_m (D_m + 1)), the last vector's index running fastest
    Raises ValueError for no vectors, and for leading axes that differ.

    Zadeh et al. 2017, Tensor Fusion Network for Multimodal Sentiment Analysis.

    >>> outer_product([torch.tensor([2.0]), torch.tensor([3.0, 5.0])])
    tensor([ 1.,  3.,  5.,  2.,  6., 10.])
    """
    if not vectors:
        raise ValueError("vectors must hold at least one tensor, got none")
    if len({x.shape[:-1] for x in vectors}) > 1:
        raise ValueError(f"vectors must have the same leading axes, got {[tuple(x.shape) for x in vectors]}")
    product = torch.ones_like(vectors[0][..., :1])
    for x in vectors:
        product = (product[..., :, None] * _one_in_front(x)[..., None, :]).flatten(-2)
    return product


def _one_in_front(x: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(x[..., :1]), x], -1)


class TensorFusion(VectorFusion):
    """Every product of the modalities' numbers, and a linear layer on top.

        z = W vec([1; x_1] ⊗ [1; x_2] ⊗ …) + b

    The outer product has Π_m (dims[m] + 1) numbers: make the vectors small first.
    Where every modality is absent, z = W e_1 + b, e_1 the constant's unit vector.
    Parameters: (Π_m (dims[m] + 1) + 1) dim.
    Raises ValueError where the outer product would have more than `limit` numbers.

    Zadeh et al. 2017, Tensor Fusion Network for Multimodal Sentiment Analysis.

    >>> fusion = TensorFusion({"image": 3, "text": 2}, dim=4)
    >>> fusion.linear.weight.shape
    torch.Size([4, 12])
    """

    def __init__(self, dims: Mapping[str, int], dim: int, *, limit: int = 1_000_000) -> None:
        super().__init__(dims, dim)
        size = math.prod(width + 1 for width in dims.values())
        if size > limit:
            raise ValueError(
                f"the outer product of {dict(dims)} has {size:,} numbers, more than limit={limit:,}: project to smaller "
                "vectors first, or use LowRankTensorFusion"
            )
        self.linear = nn.Linear(size, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        return self.linear(outer_product(list(self.ready(inputs, masks, present).values())))


class LowRankTensorFusion(VectorFusion):
    """Tensor fusion with a weight tensor of rank R: the outer product is never made.

        z = Σ_{r=1…R} w_r Π_m F_m^(r)ᵀ [1; x_m] + b        (Π_m number by number)

    rank: R. With R large enough this is every map that `TensorFusion` has, at R Σ_m (dims[m] + 1) instead of
    Π_m (dims[m] + 1) weights for each output.
    Where every modality is absent, z = Σ_r w_r Π_m F_m^(r)[0] + b.
    Parameters: R dim Σ_m (dims[m] + 1) + R + dim.

    Liu et al. 2018, Efficient Low-rank Multimodal Fusion with Modality-Specific Factors.

    >>> fusion = LowRankTensorFusion({"image": 10, "text": 10}, dim=2, rank=1)
    >>> sum(p.numel() for p in fusion.parameters())
    47
    """

    def __init__(self, dims: Mapping[str, int], dim: int, *, rank: int = 4) -> None:
        super().__init__(dims, dim)
        _check.positive("rank", rank)
        self.rank = rank
        # A plain list would hide the factors from the optimiser: they would never be trained.
        self.factors = nn.ParameterDict({m: torch.empty(rank, width + 1, dim) for m, width in dims.items()})
        self.rank_weights = nn.Parameter(torch.empty(rank))
        self.bias = nn.Parameter(torch.zeros(dim))
        for factor in self.factors.values():
            nn.init.xavier_normal_(factor)
        nn.init.normal_(self.rank_weights, std=rank**-0.5)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        projected = [torch.einsum("bd,rdo->rbo", _one_in_front(x), self.factors[m]) for m, x in vectors.items()]
        return torch.einsum("r,rbo->bo", self.rank_weights, torch.stack(projected).prod(0)) + self.bias
