"""Gates: one modality decides how much of another gets through.

| name          | what it is                                        | when to use it                                  |
|---------------|---------------------------------------------------|-------------------------------------------------|
| `GatedFusion` | one modality opens and closes the others' numbers | one modality says what to look for in the other |
| `GMU`         | for each number, which modality to believe        | modalities that replace each other              |
| `MAG`         | the others shift one anchor modality a little     | one strong modality, with weak company          |

A gate can shut one modality out for good in the first steps of training. Two options help: `normalise`, so that no modality
is louder than the others, and `zero_init`, so that every gate starts half open for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.fusion._vectors import VectorFusion, linears, presence, softmax_present, where_present


class GatedFusion(VectorFusion):
    """One modality, through a sigmoid, decides how much of each of the others' numbers gets through.

        z = W_o (σ(W_g x_g + b_g) * Σ_{m≠g} (W_m x_m + b_m)) + b_o

    gate: the modality g; the first of `dims` where None;  width: of the gate; `dim` where None
    normalise: LayerNorm on every x_m first;  zero_init: the gate starts at ½ everywhere (W_g = 0, b_g = 0)
    Where g is absent the gate is 1, where another m is absent it adds nothing; where all others are absent, z = b_o: by
    itself a gate says nothing.
    Parameters: Σ_m (dims[m] + 1) width + (width + 1) dim, and 2 Σ_m dims[m] where `normalise`.

    Kiela et al. 2018, Efficient Large-Scale Multi-Modal Classification (for two modalities; the sum over several is ours).

    >>> fusion = GatedFusion({"text": 2, "image": 3}, dim=4, zero_init=True)
    >>> fusion({"text": torch.ones(1, 2), "image": torch.ones(1, 3)}).shape
    torch.Size([1, 4])
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        dim: int,
        *,
        gate: str | None = None,
        width: int | None = None,
        normalise: bool = False,
        zero_init: bool = False,
    ) -> None:
        super().__init__(dims, dim)
        self.gate = next(iter(dims)) if gate is None else gate
        _check.choice("gate", self.gate, tuple(dims))
        width = dim if width is None else width
        _check.positive("width", width)
        self.norms = _norms(dims, normalise)
        self.maps = linears(dims, width)
        self.out = nn.Linear(width, dim)
        if zero_init:
            _zero(self.maps[self.gate])

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        mapped = {m: self.maps[m](self.norms[m](x)) for m, x in vectors.items()}
        gate = where_present(mapped.pop(self.gate).sigmoid(), self.gate, present, 1)
        others = torch.stack([where_present(h, m, present, 0) for m, h in mapped.items()]).sum(0)
        return self.out(gate * others)


class GMU(VectorFusion):
    """The gated multimodal unit: for each number of the result, learned from all modalities, which one to believe.

        h_m = tanh(W_m x_m),   g = softmax_m([U_1 x; …; U_{M−1} x; 0]),   z = Σ_m g_m * h_m,   x = [x_1; x_2; …]

    For two modalities the softmax is a sigmoid: z = g * tanh(W_1 x_1) + (1 − g) * tanh(W_2 x_2), g = σ(U x), as in the paper.
    Like there, no map has a bias. The softmax goes over the modalities that are there; z = 0 where none is.
    normalise: LayerNorm on every x_m first;  zero_init: all gates start equal (U = 0)
    `gates(inputs, present)` → g (B, M, dim), which sum to 1 over M.
    Parameters: dim (Σ_m dims[m]) M, and 2 Σ_m dims[m] where `normalise`.

    Arevalo et al. 2017, Gated Multimodal Units for Information Fusion.

    >>> unit = GMU({"image": 3, "text": 2}, dim=4, zero_init=True)
    >>> unit.gates({"image": torch.ones(1, 3), "text": torch.ones(1, 2)})[0, :, 0].tolist()
    [0.5, 0.5]
    """

    def __init__(self, dims: Mapping[str, int], dim: int, *, normalise: bool = False, zero_init: bool = False) -> None:
        super().__init__(dims, dim)
        self.norms = _norms(dims, normalise)
        self.maps = linears(dims, dim, bias=False)
        self.gate = nn.Linear(sum(dims.values()), dim * (len(dims) - 1), bias=False)
        if zero_init:
            _zero(self.gate)

    def gates(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        """How much each number of each modality counts: (B, M, dim)."""
        return self._gates(self._normalised(inputs, None, present), present)

    def _normalised(
        self, inputs: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None, present: Mapping[str, Tensor] | None
    ) -> dict[str, Tensor]:
        vectors = self.ready(inputs, masks, present)
        return {m: where_present(self.norms[m](x), m, present, 0) for m, x in vectors.items()}

    def _gates(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor] | None) -> Tensor:
        scores = self.gate(torch.cat(list(x.values()), -1)).unflatten(-1, (-1, self.dim))  # (B, M − 1, dim)
        scores = F.pad(scores, (0, 0, 0, 1))  # the last modality's score is 0: only differences count
        return softmax_present(scores, presence(self.dims, present, scores) if present else None)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        x = self._normalised(inputs, masks, present)
        h = torch.stack([self.maps[m](x[m]).tanh() for m in self.dims], 1)  # (B, M, dim)
        return (self._gates(x, present) * h).sum(1)


class MAG(VectorFusion):
    """The multimodal adaptation gate: the other modalities shift an anchor's vector, never by more than a share of its length.

        g_m = relu(R_m [x_m; x] + r_m),   h = Σ_m g_m * (W_m x_m) + b,   α = min(β ‖x‖ / ‖h‖, 1),   z = LN(x + α h)

    x is the anchor's vector, m the others. Where dim is not dims[anchor], z = W_o LN(x + α h) + b_o.
    anchor: the modality that is shifted, the first of `dims` where None;  beta: β, above 0
    dropout: on z, while training;  zero_init: h starts at 0 (W_m = 0, b = 0), so that training begins with the anchor alone
    A modality that is absent adds nothing to h; an absent anchor counts as x = 0, and then nothing shifts it: z is constant.
    Parameters, D = dims[anchor]: Σ_m (2 D dims[m] + D² + D) + D + 2 D, and (D + 1) dim where dim ≠ D.

    Rahman et al. 2020, Integrating Multimodal Information in Large Pretrained Transformers.

    >>> mag = MAG({"text": 4, "image": 3}, dim=4)
    >>> mag({"text": torch.randn(2, 4), "image": torch.randn(2, 3)}).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        dim: int,
        *,
        anchor: str | None = None,
        beta: float = 1.0,
        dropout: float = 0.0,
        zero_init: bool = False,
    ) -> None:
        super().__init__(dims, dim)
        self.anchor = next(iter(dims)) if anchor is None else anchor
        _check.choice("anchor", self.anchor, tuple(dims))
        _check.positive("beta", beta)
        _check.between("dropout", dropout, 0, 1)
        self.beta = beta
        width = dims[self.anchor]
        others = {m: d for m, d in dims.items() if m != self.anchor}
        self.gates = linears({m: d + width for m, d in others.items()}, width)
        self.maps = linears(others, width, bias=False)
        self.bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width)
        self.out: nn.Module = nn.Identity() if dim == width else nn.Linear(width, dim)
        self.dropout = nn.Dropout(dropout)
        if zero_init:
            for linear in self.maps.values():
                _zero(linear)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        x = vectors.pop(self.anchor)
        shift = self.bias
        for m, other in vectors.items():
            gate = F.relu(self.gates[m](torch.cat([other, x], -1)))
            shift = shift + gate * self.maps[m](other)  # zero where m is absent: W_m has no bias
        # ‖h‖ = 0 would divide by zero, and so would its gradient; 1e-6 changes nothing that can be seen.
        length, shift_length = x.norm(dim=-1, keepdim=True), (shift.square().sum(-1, keepdim=True) + 1e-12).sqrt()
        alpha = (self.beta * length / shift_length).clamp(max=1)
        return self.out(self.dropout(self.norm(x + alpha * shift)))


def _norms(dims: Mapping[str, int], normalise: bool) -> nn.ModuleDict:
    return nn.ModuleDict({m: nn.LayerNorm(width) if normalise else nn.Identity() for m, width in dims.items()})


def _zero(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
