"""The multimodal transformer: a stack of cross-attention for every ordered pair of modalities, then memory along time.

| name                    | what it is                                         | when to use it                        |
|-------------------------|----------------------------------------------------|---------------------------------------|
| `CrossmodalTransformer` | a sequence read in the light of another            | as a part of MulT                     |
| `MulT`                  | all ordered pairs, then memory, then the last step | sequences with one clock, other rates |
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.fusion.attention import (
    CrossAttentionBlock,
    TokenProjections,
    causal_mask,
    last_step,
    sinusoidal_positions,
    step_numbers,
)


class CrossmodalTransformer(nn.Module):
    """One sequence, read again and again in the light of another (of itself where `context` is None).

        x ← √dim x + pos,  k ← √dim k + pos;   x ← Block_l(x, k) for each layer l;   out = LN x

    x (B, Tq, dim), real bool (B, Tq); context (B, Tk, dim), context_real bool (B, Tk) → (B, Tq, dim). Where a list is passed
    as `keep`, each layer appends its attention weights (B, heads, Tq, Tk).
    The context is the same at every layer. With self-attention it is the sequence itself, as it has become.
    causal: a step sees only what lies before it or beside it, counted from the end (see `causal_mask`).

    Tsai et al. 2019, Multimodal Transformer for Unaligned Multimodal Language Sequences.

    >>> real = torch.ones(1, 3, dtype=torch.bool)
    >>> tuple(CrossmodalTransformer(8, heads=2)(torch.zeros(1, 3, 8), real).shape)
    (1, 3, 8)
    """

    def __init__(self, dim: int, heads: int = 4, layers: int = 1, *, causal: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        _check.positive("layers", layers)
        self.causal = causal
        self.blocks = nn.ModuleList(CrossAttentionBlock(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(
        self,
        x: Tensor,
        real: Tensor,
        context: Tensor | None = None,
        context_real: Tensor | None = None,
        *,
        keep: list[Tensor] | None = None,
    ) -> Tensor:
        key_real = real if context_real is None else context_real
        visible = causal_mask(real, key_real) if self.causal else key_real[:, None]
        x = self._place(x, real)
        context = None if context is None else self._place(context, key_real)
        for block in self.blocks:
            x = block(x, context, visible, keep=keep)
        return self.norm(x)

    def _place(self, x: Tensor, real: Tensor) -> Tensor:
        # Multiplied by √dim so that the positions, sines of size 1, do not drown what the tokens say.
        return math.sqrt(x.shape[-1]) * x + sinusoidal_positions(step_numbers(real), x.shape[-1], x.dtype)


class MulT(nn.Module):
    """Every modality is translated into the terms of every other, remembered along time, and read at its last step.

        u_m = W_m x_m
        c_{j→i} = CrossmodalTransformer_{j→i}(u_i, u_j)        for every source j ≠ i (and j = i with `self_pairs`)
        m_i = CrossmodalTransformer_i([c_{j→i}]_j)             self-attention along time
        h = [m_i at its last real step]_i
        z = W_o (W₂ relu(W₁ h + b₁) + b₂ + h) + b_o

    dims: by modality, the width of its tokens; dim: the output's width; width: of one pair's stream (even, a multiple of
    heads); layers, memory_layers: of the pairs' and of the memories' transformers
    inputs: by modality (B, T_m, dims[m]), of any lengths; masks: bool (B, T_m); present: bool (B,) → (B, dim)
    With `return_attention=True` also {(i, j): (B, heads, T_i, T_j)}, the last layer of c_{j→i}.
    The streams are causal by default, as in the authors' code: sequences are taken to *end* together, and a step sees what
    lies in its past. A modality that is absent, or all padding, gives zeros to h; where all are, z is one fixed vector.

    Raises ValueError for fewer than two modalities, a width that is odd or no multiple of heads, inputs that do not fit.
    Tsai et al. 2019, Multimodal Transformer for Unaligned Multimodal Language Sequences. Its equations have no self pairs; the
    MultiBench version has (`self_pairs=True`).

    >>> fusion = MulT({"audio": 6, "text": 4}, dim=5, width=8, heads=2)
    >>> tuple(fusion({"audio": torch.zeros(2, 9, 6), "text": torch.zeros(2, 3, 4)}).shape)
    (2, 5)
    """

    takes = "tokens"

    def __init__(
        self,
        dims: Mapping[str, int],
        dim: int,
        *,
        width: int = 32,
        heads: int = 4,
        layers: int = 1,
        memory_layers: int = 1,
        self_pairs: bool = False,
        causal: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check.positive("dim", dim)
        if width % 2:
            raise ValueError(f"width must be even (half sines, half cosines), got {width}")
        self.dim = dim
        self.dims = dict(dims)
        self.project = TokenProjections(dims, width, bias=False)
        self.sources = {i: [j for j in dims if self_pairs or j != i] for i in dims}
        self.pairs = nn.ModuleDict(
            {
                f"{j}_to_{i}": CrossmodalTransformer(width, heads, layers, causal=causal, dropout=dropout)
                for i in dims
                for j in self.sources[i]
            }
        )
        remembered = {i: len(self.sources[i]) * width for i in dims}
        self.memories = nn.ModuleDict(
            {
                i: CrossmodalTransformer(remembered[i], heads, memory_layers, causal=causal, dropout=dropout)
                for i in dims
            }
        )
        total = sum(remembered.values())
        self.mlp = nn.Sequential(nn.Linear(total, total), nn.ReLU(), nn.Linear(total, total))
        self.out = nn.Linear(total, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        return_attention: bool = False,
    ):
        tokens, real = self.project(inputs, masks, present)
        last = []
        attention: dict[tuple[str, str], Tensor] = {}
        kept: list[Tensor] | None = [] if return_attention else None
        for i, sources in self.sources.items():
            streams = []
            for j in sources:
                pair = self.pairs[f"{j}_to_{i}"]
                streams.append(pair(tokens[i], real[i], tokens[j], real[j], keep=kept))
                if kept:
                    attention[i, j] = kept[-1]
            memory = self.memories[i](torch.cat(streams, -1), real[i])  # (B, T_i, sources × width)
            last.append(last_step(memory, real[i]))
        h = torch.cat(last, -1)
        z = self.out(self.mlp(h) + h)
        return (z, attention) if return_attention else z
