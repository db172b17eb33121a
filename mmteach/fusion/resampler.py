"""Resampling: learned queries turn a sequence of any length into a fixed number of tokens.

| name              | what it is                                         | when to use it                              |
|-------------------|----------------------------------------------------|---------------------------------------------|
| `Resampler`       | T tokens → always Q tokens                         | handing frozen features to a language model |
| `ResamplerFusion` | a resampler a modality, its tokens laid end to end | modalities of very different lengths        |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.encoders._parts import check_mask
from mmteach.fusion.attention import CrossAttentionBlock, TokenProjections


class Resampler(nn.Module):
    """A fixed number of learned queries, each asking the tokens (and the other queries) for what it needs.

        q ← Block_l(q, [u; q]) for each layer l,  out = LN q            q starts from learned values

    tokens u (B, T, dim), real bool (B, T) or None → (B, queries, dim). Where a list is passed as `keep`, each layer appends
    its weights (B, heads, queries, T + queries): what each query took from the tokens, then from the queries.
    Where no token is real the queries still see one another: finite, and the same for every such sequence.

    Raises ValueError where `dim` is no multiple of `heads`, or where shapes do not fit.
    Alayrac et al. 2022, Flamingo: a Visual Language Model for Few-Shot Learning. The Q-Former of Li et al. 2023, BLIP-2, does
    the same work with self-attention and cross-attention one after the other.

    >>> tuple(Resampler(8, queries=3, heads=2)(torch.zeros(2, 50, 8)).shape)
    (2, 3, 8)
    """

    def __init__(self, dim: int, *, queries: int = 8, heads: int = 4, layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        _check.positive("queries", queries)
        _check.positive("layers", layers)
        self.dim = dim
        self.queries = nn.Parameter(torch.randn(1, queries, dim) / dim**0.5)
        self.blocks = nn.ModuleList(CrossAttentionBlock(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, real: Tensor | None = None, *, keep: list[Tensor] | None = None) -> Tensor:
        _check.shape("tokens", tokens, "B", "T", self.dim)
        check_mask(real, *tokens.shape[:2], name="real")
        q = self.queries.expand(len(tokens), -1, -1)
        visible = None
        if real is not None:
            tokens = tokens.masked_fill(~real[..., None], 0)
            visible = nn.functional.pad(real, (0, q.shape[1]), value=True)[:, None]  # the queries themselves are real
        for block in self.blocks:
            q = block(q, torch.cat([tokens, q], 1), visible, keep=keep)
        return self.norm(q)


class ResamplerFusion(nn.Module):
    """Each modality is resampled to the same few tokens, and one linear layer reads them all.

        r_m = Resampler_m(W_m x_m + b_m)  (B, queries, width),      z = W_o [r_m flattened]_m + b_o

    dims: by modality, the width of its tokens; dim: the output's width; queries: tokens left of each modality; width, heads,
    layers, dropout: of the resamplers
    inputs: by modality (B, T_m, dims[m]); masks: by modality bool (B, T_m); present: by modality bool (B,) → (B, dim)
    With `return_attention=True` also {m: (B, heads, queries, T_m)}, the last layer's weights on the tokens; what is missing
    to 1 went to the other queries.
    A modality that is absent, or all padding, leaves what its queries say to one another: a learned sign for "not there".

    Raises ValueError for fewer than two modalities, a width that is no multiple of heads, inputs that do not fit.
    After Alayrac et al. 2022, Flamingo, and Li et al. 2023, BLIP-2.

    >>> fusion = ResamplerFusion({"image": 6, "text": 4}, dim=5, width=8, heads=2, queries=3)
    >>> tuple(fusion({"image": torch.zeros(2, 9, 6), "text": torch.zeros(2, 3, 4)}).shape)
    (2, 5)
    """

    takes = "tokens"

    def __init__(
        self,
        dims: Mapping[str, int],
        dim: int,
        *,
        width: int = 64,
        heads: int = 4,
        queries: int = 4,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check.positive("dim", dim)
        self.dim = dim
        self.dims = dict(dims)
        self.project = TokenProjections(dims, width)
        self.resamplers = nn.ModuleDict(
            {m: Resampler(width, queries=queries, heads=heads, layers=layers, dropout=dropout) for m in dims}
        )
        self.out = nn.Linear(len(dims) * queries * width, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        return_attention: bool = False,
    ):
        tokens, real = self.project(inputs, masks, present)
        resampled, attention = [], {}
        kept: list[Tensor] | None = [] if return_attention else None
        for m, u in tokens.items():
            resampled.append(self.resamplers[m](u, real[m], keep=kept).flatten(1))
            if kept:
                attention[m] = kept[-1][..., : u.shape[1]]
        z = self.out(torch.cat(resampled, -1))
        return (z, attention) if return_attention else z
