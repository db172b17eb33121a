"""Bottleneck fusion: modalities talk only through a handful of shared tokens.

| name               | what it is                                       | when to use it                                 |
|--------------------|--------------------------------------------------|------------------------------------------------|
| `BottleneckFusion` | a transformer a modality, joined by a few tokens | long sequences: cross-attention costs too much |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.fusion.attention import CrossAttentionBlock, TokenProjections


class BottleneckFusion(nn.Module):
    """Each modality keeps its own transformer; a few bottleneck tokens carry what one has to say to the others.

        [c_m; u_m; b_m] ← Block_m,l([c_m; u_m; b]),   b ← mean_m b_m        at each layer l
        z = mean_m (V_m LN_m(c_m) + v_m)                                    read from a class token c_m a modality

    The means are over the modalities that are there. u_m = W_m x_m + b_m to begin with; c_m and b are learned.
    In the first `unimodal_layers` of the `layers` each modality is still alone (the paper's mid fusion).

    dims: by modality, the width of its tokens; dim: the output's width; width, heads, layers, dropout: of the blocks;
    bottlenecks: how many shared tokens there are
    inputs: by modality (B, T_m, dims[m]); masks: by modality bool (B, T_m); present: by modality bool (B,) → (B, dim)
    With `return_attention=True` also {m: (B, heads, S, S)} of the last layer, S = 1 + T_m + bottlenecks steps in the order
    [class; tokens; bottlenecks].
    A modality without one real step counts as absent; where all are absent, z = 0.

    Raises ValueError for fewer than two modalities, a width that is no multiple of heads, fewer than two fused layers
    (with one, no modality would hear another).
    Nagrani et al. 2021, Attention Bottlenecks for Multimodal Fusion.

    >>> fusion = BottleneckFusion({"audio": 6, "video": 4}, dim=5, width=8, heads=2)
    >>> tuple(fusion({"audio": torch.zeros(2, 9, 6), "video": torch.zeros(2, 3, 4)}).shape)
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
        layers: int = 2,
        unimodal_layers: int = 0,
        bottlenecks: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check.positive("dim", dim)
        _check.positive("bottlenecks", bottlenecks)
        _check.between("unimodal_layers", unimodal_layers, 0, float("inf"))
        if layers < unimodal_layers + 2:
            raise ValueError(
                f"layers must be at least unimodal_layers + 2 = {unimodal_layers + 2}, got {layers}: the first fused layer "
                "fills the bottlenecks, and only the second one reads what the other modalities put there"
            )
        self.dim, self.layers, self.unimodal_layers = dim, layers, unimodal_layers
        self.dims = dict(dims)
        self.project = TokenProjections(dims, width)
        self.class_tokens = nn.ParameterDict({m: nn.Parameter(0.02 * torch.randn(1, 1, width)) for m in dims})
        self.bottlenecks = nn.Parameter(0.02 * torch.randn(1, bottlenecks, width))
        self.blocks = nn.ModuleDict(
            {f"{m}_{layer}": CrossAttentionBlock(width, heads, dropout) for m in dims for layer in range(layers)}
        )
        self.norms = nn.ModuleDict({m: nn.LayerNorm(width) for m in dims})
        self.outs = nn.ModuleDict({m: nn.Linear(width, dim) for m in dims})

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        return_attention: bool = False,
    ):
        tokens, real = self.project(inputs, masks, present)
        there = torch.stack([real[m].any(1) for m in tokens])  # (M, B): which modalities have something to say
        streams, visible = {}, {}
        for m, u in tokens.items():
            streams[m] = torch.cat([self.class_tokens[m].expand(len(u), -1, -1), u], 1)  # (B, 1 + T_m, width)
            visible[m] = nn.functional.pad(real[m], (1, 0), value=True)  # the class token is always real
        shared = self.bottlenecks.expand(there.shape[1], -1, -1)  # (B, bottlenecks, width)
        attention: dict[str, Tensor] = {}
        kept: list[Tensor] | None = [] if return_attention else None
        for layer in range(self.layers):
            fused = layer >= self.unimodal_layers
            said = []
            for m in tokens:
                x, seen = streams[m], visible[m]
                if fused:
                    x, seen = torch.cat([x, shared], 1), nn.functional.pad(seen, (0, shared.shape[1]), value=True)
                x = self.blocks[f"{m}_{layer}"](x, mask=seen[:, None], keep=kept)
                if kept:
                    attention[m] = kept[-1]
                own = visible[m].shape[1]
                streams[m] = x[:, :own]
                said.append(x[:, own:])
            if fused:
                shared = _mean_of_those(torch.stack(said), there)
        z = _mean_of_those(torch.stack([self.outs[m](self.norms[m](streams[m][:, 0])) for m in tokens]), there)
        return (z, attention) if return_attention else z


def _mean_of_those(x: Tensor, there: Tensor) -> Tensor:
    """The mean over the first axis of x (M, B, …), counting only where there (M, B) is True; zeros where nothing is."""
    there = there.reshape(*there.shape, *[1] * (x.ndim - 2))
    return x.masked_fill(~there, 0).sum(0) / there.sum(0).clamp(min=1).to(x.dtype)
