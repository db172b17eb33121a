"""Multiplicative interactions: one modality's vector chooses the linear map that the other one goes through.

| name                         | what it is                     | when to use it                           |
|------------------------------|--------------------------------|------------------------------------------|
| `MultiplicativeInteractions` | x_1ᵀ W x_2 + U x_1 + V x_2 + b | one modality is the context of the other |
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.fusion._vectors import VectorFusion

KINDS = ("matrix", "vector", "scalar")


class MultiplicativeInteractions(VectorFusion):
    """x_1 makes the weights and the bias of the layer that x_2 goes through.

        kind="matrix":   z = (x_1ᵀ W + V) x_2 + U x_1 + b          a bilinear form x_1ᵀ W_o x_2 for each output o
        kind="vector":   s = (W x_1 + V) * x_2 + U x_1 + b         a scale and a shift for each number of x_2
        kind="scalar":   s = (W·x_1 + V) x_2 + (U·x_1 + b)         one scale and one shift for all of x_2

    dims: exactly two modalities, x_1 the first, x_2 the second; the form is not symmetric except for "matrix"
    For "vector" and "scalar" s is dims[x_2] wide: z = s where dim is that, else z = W_o s + b_o.
    A modality that is absent counts as zeros: what is left is the linear map of the other. z is constant where both are.
    Parameters, d_1, d_2 = dims: "matrix" (d_1 d_2 + d_1 + d_2 + 1) dim; "vector" 2 (d_1 + 1) d_2; "scalar" 2 (d_1 + 1); and
    (d_2 + 1) dim for W_o.

    Jayakumar et al. 2020, Multiplicative Interactions and Where to Find Them.

    >>> fusion = MultiplicativeInteractions({"context": 3, "image": 4}, dim=5)
    >>> fusion({"context": torch.ones(2, 3), "image": torch.ones(2, 4)}).shape
    torch.Size([2, 5])
    """

    def __init__(self, dims: Mapping[str, int], dim: int, *, kind: str = "matrix") -> None:
        super().__init__(dims, dim, pair=True)
        _check.choice("kind", kind, KINDS)
        self.kind = kind
        self.first, self.second = dims
        d1, d2 = dims.values()
        width = {"matrix": dim, "vector": d2, "scalar": 1}[kind]
        # Weights of standard deviation 1/√n: a sum of n terms is then as large as one of them.
        if kind == "matrix":
            self.W = nn.Parameter(torch.randn(d1, d2, dim) / math.sqrt(d1 * d2))
            self.V = nn.Parameter(torch.randn(d2, dim) / math.sqrt(d2))
        else:
            self.W = nn.Parameter(torch.randn(d1, width) / math.sqrt(d1))
            self.V = nn.Parameter(torch.ones(width))  # the scale of x_2 begins around 1
        self.U = nn.Parameter(torch.randn(d1, width) / math.sqrt(d1))
        self.b = nn.Parameter(torch.zeros(width))
        self.out: nn.Module = nn.Identity() if kind == "matrix" or dim == d2 else nn.Linear(d2, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        x1, x2 = vectors[self.first], vectors[self.second]
        if self.kind == "matrix":
            return torch.einsum("bi,ijo,bj->bo", x1, self.W, x2) + x1 @ self.U + x2 @ self.V + self.b
        # (B, d_2) each for "vector", (B, 1) each for "scalar"
        scale, shift = x1 @ self.W + self.V, x1 @ self.U + self.b
        return self.out(scale * x2 + shift)
