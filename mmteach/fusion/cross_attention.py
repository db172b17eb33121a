"""Cross-attention fusion: each modality looks things up in all the others.

| name                   | what it is                     | when to use it                                          |
|------------------------|--------------------------------|---------------------------------------------------------|
| `CrossAttentionFusion` | cross-attention blocks, pooled | it matters which part of one goes with which of another |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.fusion.attention import CrossAttentionBlock, TokenProjections, masked_mean


class CrossAttentionFusion(nn.Module):
    """Every modality's tokens attend to the tokens of all the others; what they found is averaged and concatenated.

        h_m = Block_m(u_m, [u_j]_{j≠m}),  u_m = W_m x_m + b_m;     z = W_o [mean_t LN_m(h_m,t)]_m + b_o

    dims: by modality, the width of its tokens; dim: the output's width; width, heads, layers, dropout: of the blocks
    inputs: by modality (B, T_m, dims[m]); masks: by modality bool (B, T_m); present: by modality bool (B,) → (B, dim)
    With `return_attention=True` also {(m, j): (B, heads, T_m, T_j)}: how much each step of m looked at each step of j in the
    last layer; for each step of m the weights over all the other modalities sum to 1 (0 where none of them is there).
    A modality that is absent, or all padding, enters the sum as zeros; where all are, z = b_o.
    Attention is blind to order: permuting the steps of a modality (and its mask) does not change z.

    Raises ValueError for fewer than two modalities, a width that is no multiple of heads, inputs that do not fit.
    Vaswani et al. 2017, Attention Is All You Need; Tsai et al. 2019, Multimodal Transformer for Unaligned Multimodal
    Language Sequences (who use one stack for each *pair*: `MulT`).

    >>> fusion = CrossAttentionFusion({"image": 6, "text": 4}, dim=5, width=8, heads=2)
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
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check.positive("dim", dim)
        _check.positive("layers", layers)
        self.dim, self.layers = dim, layers
        self.dims = dict(dims)
        self.project = TokenProjections(dims, width)
        self.blocks = nn.ModuleDict(
            {f"{m}_{layer}": CrossAttentionBlock(width, heads, dropout) for m in dims for layer in range(layers)}
        )
        self.norms = nn.ModuleDict({m: nn.LayerNorm(width) for m in dims})
        self.out = nn.Linear(len(dims) * width, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        return_attention: bool = False,
    ):
        tokens, real = self.project(inputs, masks, present)
        pooled = []
        attention: dict[tuple[str, str], Tensor] = {}
        kept: list[Tensor] | None = [] if return_attention else None
        for m in tokens:
            others = [j for j in tokens if j != m]
            context = torch.cat([tokens[j] for j in others], 1)  # (B, ΣT_j, width)
            visible = torch.cat([real[j] for j in others], 1)[:, None]  # (B, 1, ΣT_j): the same for every step of m
            h = tokens[m]
            for layer in range(self.layers):
                h = self.blocks[f"{m}_{layer}"](h, context, visible, keep=kept)
            if kept:
                parts = kept[-1].split([tokens[j].shape[1] for j in others], dim=-1)
                attention |= {(m, j): part for j, part in zip(others, parts)}
            pooled.append(masked_mean(self.norms[m](h), real[m]))
        z = self.out(torch.cat(pooled, -1))
        return (z, attention) if return_attention else z
