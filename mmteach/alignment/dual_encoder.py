"""The dual encoder: each modality has its own encoder, and all of them end in one space.

| name          | what it is                                                       | when to use it                         |
|---------------|------------------------------------------------------------------|----------------------------------------|
| `DualEncoder` | encoders, projection heads, normalised embeddings, a temperature | CLIP, SigLIP, and three modalities too |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.alignment._pairs import flags, full_precision
from mmteach.alignment.contrastive import LogTemperature


class DualEncoder(nn.Module):
    """Encoders of two modalities or more that put what belongs together in the same place.

    z_m = W_m f_m(x_m) / ‖W_m f_m(x_m)‖,    score(x_m, x_n) = e^τ z_m·z_n (+ bias)

    encoders: by modality, modules with an attribute `dim` and forward(x, mask=None) → (B, dim)
    dim: width of the shared space;  temperature: where the learned temperature starts, above 0
    bias: where the learned bias of SigLIP starts (−10, with temperature 0.1); None for CLIP, which needs none

    forward(inputs, masks=None, present=None) → by modality, (B, dim), of length 1
    inputs: by modality, what its encoder takes;  masks: by modality, bool (B, T), True = a real step
    present: by modality, bool (B,); where False the embedding is zero, whatever stands in the inputs
    `scale()` → e^τ, a scalar;  `encode(modality, x, mask)` → one modality alone (a gallery, the names of classes)

    A row that an encoder maps to zero stays zero. Parameters: the encoders', Σ_m dim_m · dim, 1 for τ, 1 for a bias.

    Errors: ValueError for an unknown or missing modality, batch sizes that differ, temperature ≤ 0, one modality only.

    Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision;
    Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training.

    >>> class Flatten(nn.Module):
    ...     dim = 12
    ...     def forward(self, x, mask=None):
    ...         return x.flatten(1)
    >>> model = DualEncoder({"image": Flatten(), "audio": Flatten()}, dim=5)
    >>> z = model({"image": torch.rand(2, 3, 2, 2), "audio": torch.rand(2, 1, 4, 3)})
    >>> z["image"].shape, round(model.scale().item(), 2)
    (torch.Size([2, 5]), 14.29)
    """

    def __init__(
        self, encoders: Mapping[str, nn.Module], dim: int, *, temperature: float = 0.07, bias: float | None = None
    ) -> None:
        super().__init__()
        if len(encoders) < 2:
            raise ValueError(f"encoders needs two modalities or more, got {sorted(encoders)}")
        _check.positive("dim", dim)
        for m, encoder in encoders.items():
            if not hasattr(encoder, "dim"):
                raise TypeError(f"encoders[{m!r}] must have an attribute dim, its output's width; {encoder} has none")
        self.dim = dim
        self.encoders = nn.ModuleDict(encoders)
        widths = {m: cast(int, e.dim) for m, e in encoders.items()}
        # No bias: a shift of a whole modality would only widen the gap between them.
        self.heads = nn.ModuleDict({m: nn.Linear(wide, dim, bias=False) for m, wide in widths.items()})
        self.scale = LogTemperature(temperature)
        self.bias = None if bias is None else nn.Parameter(torch.tensor(float(bias)))

    def encode(self, modality: str, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Embeddings of one modality, of length 1: x is what its encoder takes, mask bool (B, T) → (B, dim)."""
        if modality not in self.encoders:
            raise ValueError(f"unknown modality {modality!r}: expected one of {sorted(self.encoders)}")
        if len(x) == 0:
            raise ValueError(f"inputs[{modality!r}] is empty: shape {tuple(x.shape)}")
        h = self.encoders[modality](x) if mask is None else self.encoders[modality](x, mask)  # (B, dim of the encoder)
        return F.normalize(full_precision(self.heads[modality](h)), dim=-1)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        for what, given in (("inputs", inputs), ("masks", masks), ("present", present)):
            _check.by_modality(what, given)
        masks, present = dict(masks or {}), present or {}
        self._check_names(inputs, masks, present)
        inputs = _check.blank_absent(inputs, present)
        embeddings = {}
        for m in self.encoders:
            z = self.encode(m, inputs[m], masks.get(m))
            embeddings[m] = z.masked_fill(~present[m][:, None], 0) if m in present else z
        return embeddings

    def _check_names(
        self, inputs: Mapping[str, Tensor], masks: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> None:
        expected = sorted(self.encoders)
        for m in self.encoders:
            if m not in inputs:
                raise ValueError(
                    f"modality {m!r} is missing: expected {expected}, got {sorted(inputs)}. For one modality alone use "
                    f"encode({m!r}, x); where some examples lack it, pass zeros with present={{{m!r}: …}}"
                )
        for what, given in (("inputs", inputs), ("masks", masks), ("present", present)):
            for m in given:
                if m not in self.encoders:
                    raise ValueError(f"{what} names the unknown modality {m!r}: expected {expected}")
        sizes = {m: len(x) for m, x in inputs.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"modalities must have the same batch size, got {sizes}")
        for m, there in present.items():
            flags(f"present[{m!r}]", there, sizes[m])
