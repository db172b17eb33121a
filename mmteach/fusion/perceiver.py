"""The Perceiver: a fixed number of latents reads any number of tokens of any kind.

| name              | what it is                                         | when to use it                            |
|-------------------|----------------------------------------------------|-------------------------------------------|
| `PerceiverFusion` | latents read all tokens, a query reads the latents | many tokens: the cost grows only linearly |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.fusion.attention import CrossAttentionBlock, TokenProjections


class PerceiverFusion(nn.Module):
    """A small set of learned latents gathers from the tokens of all modalities at once; a learned query reads the result.

        u = [W_m x_m + b_m]_m                              all tokens in one set; b_m says which modality they are of
        L ← Read(L, u);   L ← Block_l(L) for each l        repeated `iterations` times with the same weights
        z = W_o LN(Answer(q, L)) + b_o                     Read, Block and Answer are cross-attention blocks

    The cost grows with (tokens × latents), not with tokens².

    dims: by modality, the width of its tokens; dim: the output's width; latents: how many; width, heads, dropout: of the
    blocks; layers: of self-attention among the latents; iterations: 1 as in Perceiver IO, more as in the first Perceiver
    inputs: by modality (B, T_m, dims[m]); masks: by modality bool (B, T_m); present: by modality bool (B,) → (B, dim)
    With `return_attention=True` also {m: (B, heads, latents, T_m)} of the last reading; a latent's weights over all the
    modalities sum to 1. Where every modality is absent or padding, the latents read nothing and z is one fixed vector.
    The order of the tokens does not matter.

    Raises ValueError for fewer than two modalities, a width that is no multiple of heads, inputs that do not fit.
    Jaegle et al. 2021, Perceiver: General Perception with Iterative Attention; Jaegle et al. 2022, Perceiver IO: A General
    Architecture for Structured Inputs & Outputs.

    >>> fusion = PerceiverFusion({"image": 6, "text": 4, "audio": 3}, dim=5, width=8, heads=2, latents=3)
    >>> tuple(fusion({"image": torch.zeros(2, 9, 6), "text": torch.zeros(2, 3, 4), "audio": torch.zeros(2, 7, 3)}).shape)
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
        latents: int = 16,
        layers: int = 2,
        iterations: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check.positive("dim", dim)
        _check.positive("latents", latents)
        _check.positive("layers", layers)
        _check.positive("iterations", iterations)
        self.dim, self.iterations = dim, iterations
        self.dims = dict(dims)
        self.project = TokenProjections(dims, width)
        self.latents = nn.Parameter(0.02 * torch.randn(1, latents, width))
        self.query = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.read = CrossAttentionBlock(width, heads, dropout)
        self.blocks = nn.ModuleList(CrossAttentionBlock(width, heads, dropout) for _ in range(layers))
        self.answer = CrossAttentionBlock(width, heads, dropout)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        return_attention: bool = False,
    ):
        tokens, real = self.project(inputs, masks, present)
        everything = torch.cat(list(tokens.values()), 1)  # (B, ΣT_m, width)
        visible = torch.cat(list(real.values()), 1)[:, None]  # (B, 1, ΣT_m)
        latents = self.latents.expand(len(everything), -1, -1)
        kept: list[Tensor] | None = [] if return_attention else None
        for _ in range(self.iterations):
            latents = self.read(latents, everything, visible, keep=kept)
            for block in self.blocks:
                latents = block(latents)
        answer = self.answer(self.query.expand(len(latents), -1, -1), latents)[:, 0]
        z = self.out(self.norm(answer))
        if not kept:
            return z
        return z, dict(zip(tokens, kept[-1].split([u.shape[1] for u in tokens.values()], dim=-1)))
