"""Attention between sequences: the parts that every sequence fusion here, and the captioner, is built of.

| name                   | what it is                                 | when to use it                          |
|------------------------|--------------------------------------------|-----------------------------------------|
| `MultiHeadAttention`   | each query gathers a weighted mean         | as a part of something larger           |
| `CrossAttentionBlock`  | attention to another sequence, then an MLP | one modality looks things up in another |
| `TokenProjections`     | all tokens at one width, padding blanked   | the first layer of a sequence fusion    |
| `causal_mask`          | which keys lie in a query's past           | the answer must not look ahead          |
| `sinusoidal_positions` | where a step stands, as sines and cosines  | order matters and tokens do not hold it |
| `step_numbers`         | 1, 2, 3 … along the real steps             | with `sinusoidal_positions`             |
| `masked_mean`          | the mean of the real steps                 | a vector from a sequence                |
| `last_step`            | the last real step                         | a vector from a sequence read in order  |

Attention sees a *set* of tokens. What needs order adds `sinusoidal_positions`, or takes tokens from an encoder that knows it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmteach import _check
from mmteach.encoders._parts import check_dtype


class MultiHeadAttention(nn.Module):
    """Each query gathers a weighted mean of the values, weighted by how well it matches the keys, once per head.

        a = softmax(q kᵀ / √(dim/heads)),  out = W_o [a₁v₁; …; a_H v_H] + b_o,  with q = W_q query + b_q, and k, v alike

    query (B, Tq, dim), key and value (B, Tk, dim), mask bool, broadcastable to (B, Tq, Tk), True = may be seen
    → (B, Tq, dim). Where a list is passed as `keep`, the weights a (B, heads, Tq, Tk) are appended to it; rows sum to 1.
    A query that may see nothing gathers zeros (its output is b_o, its weights are 0): finite, whatever the keys hold.
    Values that no query may see must still be finite (0 · NaN is NaN): blank them first, as `TokenProjections` does.

    Raises ValueError where `dim` is no multiple of `heads`, or where shapes do not fit.
    Vaswani et al. 2017, Attention Is All You Need.

    >>> attention = MultiHeadAttention(8, heads=2)
    >>> weights = []
    >>> out = attention(torch.ones(1, 3, 8), torch.ones(1, 4, 8), torch.ones(1, 4, 8), keep=weights)
    >>> tuple(out.shape), tuple(weights[0].shape), round(weights[0][0, 0, 0, 0].item(), 3)  # four equal keys
    ((1, 3, 8), (1, 2, 3, 4), 0.25)
    """

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        _check.positive("dim", dim)
        _check.positive("heads", heads)
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads, got dim={dim} with heads={heads}")
        self.dim, self.heads = dim, heads
        self.query, self.key, self.value = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *, keep: list[Tensor] | None = None
    ) -> Tensor:
        _check.shape("query", query, "B", "Tq", self.dim)
        _check.shape("key", key, len(query), "Tk", self.dim)
        _check.shape("value", value, len(query), key.shape[1], self.dim)
        q, k, v = self._heads(self.query(query)), self._heads(self.key(key)), self._heads(self.value(value))
        if mask is not None:
            if mask.dtype != torch.bool or mask.ndim != 3:
                raise ValueError(f"mask must be bool with 3 axes (B, Tq, Tk), got {mask.dtype} {tuple(mask.shape)}")
            mask = mask[:, None]  # (B, 1, Tq, Tk): the same for every head
            # The softmax of nothing is 0/0. Such rows look at everything for a moment, and are set to zero afterwards.
            blind = ~mask.any(-1, keepdim=True)
            mask = mask | blind
        if keep is None:
            gathered = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # fast: never stores the weights
        else:
            scores = q @ k.mT / math.sqrt(q.shape[-1])  # (B, heads, Tq, Tk)
            weights = (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)
            keep.append(weights if mask is None else weights.masked_fill(blind, 0))
            gathered = weights.to(v.dtype) @ v
        if mask is not None:
            gathered = gathered.masked_fill(blind, 0)
        return self.out(gathered.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        """(B, T, dim) → (B, heads, T, dim/heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class CrossAttentionBlock(nn.Module):
    """One sequence looks things up in another, then each step thinks about what it found.

        h = x + MHA(LN x, LN k, LN k),   y = h + W₂ relu(W₁ LN' h + b₁) + b₂        (the hidden layer is 4 × dim wide)

    x (B, Tq, dim), context k (B, Tk, dim) or None for self-attention, mask bool, broadcastable to (B, Tq, Tk), True = may
    be seen → y (B, Tq, dim). Where a list is passed as `keep`, the weights (B, heads, Tq, Tk) are appended to it.
    Query, key and value share one LayerNorm: its gain and shift could be moved into W_q, W_k and W_v, so nothing is lost.
    `dropout` acts on both updates while training.

    Raises ValueError where `dim` is no multiple of `heads`, `dropout` is no share, or shapes do not fit.
    Vaswani et al. 2017, Attention Is All You Need; Tsai et al. 2019, Multimodal Transformer for Unaligned Multimodal
    Language Sequences.

    >>> block = CrossAttentionBlock(8, heads=2)
    >>> tuple(block(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8)).shape)
    (1, 3, 8)
    """

    def __init__(self, dim: int, heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        _check.between("dropout", dropout, 0, 1)
        self.attention = MultiHeadAttention(dim, heads)
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        keep: list[Tensor] | None = None,
    ) -> Tensor:
        query = self.norm_attention(x)
        key = query if context is None else self.norm_attention(context)
        h = x + self.dropout(self.attention(query, key, key, mask, keep=keep))
        return h + self.dropout(self.mlp(self.norm_mlp(h)))


class TokenProjections(nn.Module):
    """Brings the tokens of every modality to one width and says which of them are real.

        u_m = W_m x_m + b_m,   real_m = masks[m] and present[m]

    dims: by modality, the width of its tokens; two modalities or more
    forward(inputs by modality (B, T_m, dims[m]), masks, present) → tokens by modality (B, T_m, width), real by modality
    bool (B, T_m). What stands in a padded step or an absent modality is replaced by zeros, so that even NaN never matters.

    Raises ValueError for fewer than two modalities, and what `_check.features` raises.

    >>> tokens, real = TokenProjections({"image": 3, "text": 5}, 8)({"image": torch.ones(1, 4, 3), "text": torch.ones(1, 2, 5)})
    >>> tuple(tokens["image"].shape), real["text"].tolist()
    ((1, 4, 8), [[True, True]])
    """

    def __init__(self, dims: Mapping[str, int], width: int, bias: bool = True) -> None:
        super().__init__()
        if len(dims) < 2:
            raise ValueError(f"dims must name two modalities or more, got {sorted(dims)}")
        for m, dim in dims.items():
            _check.positive(f"dims[{m!r}]", dim)
        self.dims = dict(dims)
        self.maps = nn.ModuleDict({m: nn.Linear(dim, width, bias=bias) for m, dim in dims.items()})

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        _check.features(inputs, self.dims, steps=True, masks=masks, present=present)
        tokens, real = {}, {}
        for m in self.dims:
            x = inputs[m]
            check_dtype(f"inputs[{m!r}]", x, next(self.parameters()).dtype)
            real[m] = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
            if masks and m in masks:
                real[m] = real[m] & masks[m]
            if present and m in present:
                real[m] = real[m] & present[m][:, None]
            tokens[m] = self.maps[m](x.masked_fill(~real[m][..., None], 0))
        return tokens, real


def causal_mask(query_real: Tensor, key_real: Tensor) -> Tensor:
    """Which keys lie in a query's past or present, counted from the end, where the sequences meet.

        query i may see key j  iff  j is real and at least as many real steps follow j as follow i

    query_real bool (B, Tq), key_real bool (B, Tk), True = real → bool (B, Tq, Tk). Without padding this is
    j ≤ i + (Tk − Tq). Where the keys are fewer, the first queries lie before them and see nothing.
    Padding more does not change which real key a real query sees.

    >>> real = torch.ones(1, 3, dtype=torch.bool)
    >>> causal_mask(real, real)[0].int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    return key_real[:, None, :] & (_steps_after(key_real)[:, None, :] >= _steps_after(query_real)[:, :, None])


def _steps_after(real: Tensor) -> Tensor:
    return real.sum(1, keepdim=True) - real.cumsum(1)


def step_numbers(real: Tensor) -> Tensor:
    """The real steps numbered 1, 2, 3 …, and 0 at padded ones: bool (B, T) → whole numbers (B, T).

    >>> step_numbers(torch.tensor([[True, True, False]])).tolist()
    [[1, 2, 0]]
    """
    return real.cumsum(1) * real


def sinusoidal_positions(numbers: Tensor, dim: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A step's number as sines and cosines of falling frequency; zeros at number 0, which means padding.

        pos(p) = [sin(p w_0), …, sin(p w_{h−1}), cos(p w_0), …, cos(p w_{h−1})],  h = dim/2,  w_k = 10000^(−k/(h−1))

    numbers (B, T) as from `step_numbers` → (B, T, dim), in float32 or wider. ValueError where dim is odd.
    Vaswani et al. 2017, Attention Is All You Need, in the order that fairseq and MulT use.

    >>> sinusoidal_positions(torch.tensor([[0, 1]]), 2).round(decimals=3).tolist()  # padding; then sin 1, cos 1
    [[[0.0, 0.0], [0.8410000205039978, 0.5400000214576721]]]
    """
    if dim < 2 or dim % 2:
        raise ValueError(f"dim must be even for sinusoidal positions, got {dim}")
    dtype = torch.promote_types(dtype, torch.float32)  # bf16 could not tell step 257 from step 256
    half = dim // 2
    powers = torch.arange(half, dtype=dtype, device=numbers.device) / max(half - 1, 1)
    angles = numbers[..., None].to(dtype) * 10000.0**-powers
    return torch.cat([angles.sin(), angles.cos()], -1).masked_fill(numbers[..., None] == 0, 0)


def masked_mean(x: Tensor, real: Tensor) -> Tensor:
    """The mean of the real steps: x (B, T, D), real bool (B, T) → (B, D); zeros where no step is real.

    >>> masked_mean(torch.tensor([[[1.0], [3.0], [100.0]]]), torch.tensor([[True, True, False]])).item()
    2.0
    """
    total = x.masked_fill(~real[..., None], 0).sum(1)
    return total / real.sum(1, keepdim=True).clamp(min=1).to(x.dtype)


def last_step(x: Tensor, real: Tensor) -> Tensor:
    """The last real step: x (B, T, D), real bool (B, T) → (B, D); zeros where no step is real.

    >>> last_step(torch.tensor([[[1.0], [3.0], [100.0]]]), torch.tensor([[True, True, False]])).item()
    3.0
    """
    is_last = real & (_steps_after(real) == 0)
    return x.masked_fill(~is_last[..., None], 0).sum(1)
