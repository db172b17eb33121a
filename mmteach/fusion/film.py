"""Feature-wise linear modulation: one modality scales and shifts the features of another.

| name   | what it is                                     | when to use it                                                |
|--------|------------------------------------------------|---------------------------------------------------------------|
| `FiLM` | γ(q) * x + β(q), a scale and a shift a feature | a question or an instruction says what to do with the picture |
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mmteach import _check
from mmteach.fusion._vectors import VectorFusion, where_present


class FiLM(VectorFusion):
    """A condition q scales and shifts every feature of x.

        z = γ(q) * (W x + b) + β(q),   γ(q) = 1 + W_γ q + b_γ,   β(q) = W_β q + b_β

    dims: exactly two modalities;  condition: the name of q's modality, the second of `dims` where None
    normalise: LayerNorm without scale and shift on W x + b, which γ and β then provide
    zero_init: W_γ, b_γ, W_β, b_β start at 0, so that training begins with z = W x + b, the features alone
    Where q is absent, γ = 1 and β = 0. Where x is absent, z = β(q). Where both are, z = 0.
    Parameters: (dims[x] + 1) dim + 2 (dims[q] + 1) dim.

    Perez et al. 2018, FiLM: Visual Reasoning with a General Conditioning Layer.

    >>> import torch
    >>> film = FiLM({"image": 3, "text": 2}, dim=4)
    >>> film({"image": torch.randn(5, 3), "text": torch.randn(5, 2)}).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        dim: int,
        *,
        condition: str | None = None,
        normalise: bool = False,
        zero_init: bool = False,
    ) -> None:
        super().__init__(dims, dim, pair=True)
        names = list(dims)
        self.condition = names[1] if condition is None else condition
        _check.choice("condition", self.condition, tuple(dims))
        self.features = names[0] if self.condition == names[1] else names[1]
        self.project = nn.Linear(dims[self.features], dim)
        self.norm: nn.Module = nn.LayerNorm(dim, elementwise_affine=False) if normalise else nn.Identity()
        self.modulate = nn.Linear(dims[self.condition], 2 * dim)  # [W_γ; W_β]
        if zero_init:
            nn.init.zeros_(self.modulate.weight)
            nn.init.zeros_(self.modulate.bias)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        features = where_present(self.norm(self.project(vectors[self.features])), self.features, present, 0)
        modulation = where_present(self.modulate(vectors[self.condition]), self.condition, present, 0)
        change, shift = modulation.chunk(2, -1)
        return (1 + change) * features + shift
