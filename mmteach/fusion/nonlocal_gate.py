"""The non-local gate: one vector, cut into positions, attends to another that is cut likewise.

| name            | what it is                                | when to use it                                             |
|-----------------|-------------------------------------------|------------------------------------------------------------|
| `nonlocal_gate` | Q + softmax(QK)V                          | to see the whole method in one line                        |
| `NonlocalGate`  | the same with a linear map for Q, K and V | two vectors, where parts of one ask for parts of the other |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.encoders._parts import check_dtype


def nonlocal_gate(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Each position of the query takes up what it finds at the positions it matches.

        z = Q + softmax(Q K) V             the softmax runs over the positions S; no 1/√C, as in the original

    query Q (B, T, C), key K (B, C, S), value V (B, S, C) → (B, T, C). Raises ValueError where shapes do not fit.
    Wang et al. 2020, What Makes Training Multi-modal Classification Networks Hard?, after the non-local block of Wang et al.
    2018, Non-local Neural Networks.

    >>> nonlocal_gate(torch.zeros(1, 1, 2), torch.zeros(1, 2, 2), torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[[2.0, 3.0]]]
    """
    _check.shape("query", query, "B", "T", "C")
    _check.shape("key", key, len(query), query.shape[2], "S")
    _check.shape("value", value, len(query), key.shape[2], query.shape[2])
    return query + _gather(query, key, value)


def _gather(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key).softmax(-1).to(value.dtype) @ value


class NonlocalGate(nn.Module):
    """The first modality, as T positions of C channels, attends to S positions of each of the others.

        q = W_q x_1 + b_q as (T, C),  k_j = W_k,j x_j + b_k,j as (C, S),  v_j = W_v,j x_j + b_v,j as (S, C)
        z = flatten(q + Σ_j softmax(q k_j) v_j)

    dims: by modality, the width of its vector; the first one is the one that asks
    dim: the output's width, T × C;  channels: C, a divisor of dim;  positions: S
    inputs: by modality (B, dims[m]); present: by modality bool (B,) → (B, dim)
    An absent source adds nothing; an absent first modality is read as zeros (q = b_q). Where all are absent, z = b_q.

    Raises ValueError for fewer than two modalities, a dim that is no multiple of channels, inputs that do not fit.
    Wang et al. 2020, What Makes Training Multi-modal Classification Networks Hard?; checked against MultiBench's NLgate.

    >>> gate = NonlocalGate({"image": 6, "text": 4}, dim=8, channels=2, positions=3)
    >>> tuple(gate({"image": torch.zeros(2, 6), "text": torch.zeros(2, 4)}).shape)
    (2, 8)
    """

    takes = "vectors"

    def __init__(self, dims: Mapping[str, int], dim: int, *, channels: int = 8, positions: int = 8) -> None:
        super().__init__()
        if len(dims) < 2:
            raise ValueError(f"dims must name two modalities or more, got {sorted(dims)}")
        for m, size in dims.items():
            _check.positive(f"dims[{m!r}]", size)
        _check.positive("dim", dim)
        _check.positive("channels", channels)
        _check.positive("positions", positions)
        if dim % channels:
            raise ValueError(f"dim must be a multiple of channels, got dim={dim} with channels={channels}")
        self.dims, self.dim, self.channels, self.positions = dict(dims), dim, channels, positions
        self.first, *others = dims
        self.query = nn.Linear(dims[self.first], dim)
        self.keys = nn.ModuleDict({m: nn.Linear(dims[m], positions * channels) for m in others})
        self.values = nn.ModuleDict({m: nn.Linear(dims[m], positions * channels) for m in others})

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        _check.features(inputs, self.dims, steps=False, masks=masks, present=present)
        for m, x in inputs.items():
            check_dtype(f"inputs[{m!r}]", x, self.query.weight.dtype)
        inputs = _check.blank_absent(inputs, present)
        q = self.query(inputs[self.first]).unflatten(-1, (-1, self.channels))  # (B, T, C)
        found = torch.zeros_like(q)
        for m in self.keys:
            k = self.keys[m](inputs[m]).unflatten(-1, (self.channels, self.positions))  # (B, C, S)
            v = self.values[m](inputs[m]).unflatten(-1, (self.positions, self.channels))  # (B, S, C)
            gathered = _gather(q, k, v)
            if present and m in present:
                gathered = gathered.masked_fill(~present[m][:, None, None], 0)
            found = found + gathered
        return (q + found).flatten(1)
