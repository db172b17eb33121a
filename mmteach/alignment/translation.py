"""Translation between modalities: learn a joint representation by turning one modality into another, and back again.

| name                | what it is                              | when to use it                      |
|---------------------|-----------------------------------------|-------------------------------------|
| `CyclicTranslation` | source → joint → target → source        | at test time only the source exists |
| `translation_loss`  | mean squared error where both are there | any model that predicts a modality  |
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mmteach import _check
from mmteach.alignment._pairs import flags, mean_over, pair


def translation_loss(translated: Tensor, real: Tensor, *, present: Tensor | None = None) -> Tensor:
    """How far a translation is from the real thing: the mean squared error.

    L = mean_b mean_d (x̂_bd − x_bd)²

    translated, real: (B, D);  present: bool (B,), False = the example does not count
    Returns a scalar; 0 where no example counts. NaN in an example that counts gives NaN.
    Errors: ValueError for shapes that differ or an empty batch.

    >>> import torch
    >>> translation_loss(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 3.0]])).item()
    2.0
    """
    translated, real, there = pair(translated, real, present, ("translated", "real"))
    return mean_over((translated - real).square().mean(-1), there)


def _two_layers(wide_in: int, dim: int, wide_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(wide_in, dim), nn.GELU(), nn.Linear(dim, wide_out))


class CyclicTranslation(nn.Module):
    """A joint representation by translating the source into each other modality, and each translation back (as MCTN does).

    h = E(x_s),   x̂_m = D_m(h),   x̂_s = D'_m(x̂_m)
    L = Σ_{m≠s} ‖x̂_m − x_m‖² + λ ‖x̂_s − x_s‖²                        (mean squared errors, see `translation_loss`)

    The way back starts from the *translation*, so that h must keep what is needed to return to the source. What was
    learned from the other modalities lies in h, and h asks for the source alone: nothing is missing at test time.

    dims: width of each modality's vector, two modalities or more;  source: the one that will be there at test time
    dim: width of h and of the hidden layers;  cycle: λ ≥ 0, weight of the way back
    E, D_m and D'_m are two-layer networks on vectors; in the paper they are recurrent, on sequences.

    forward(inputs, present=None) → h (B, dim), from inputs[source] alone; zeros where the source is absent
    translate(inputs) → by modality, x̂_m (B, dims[m]);  loss(inputs, present=None) → L, a scalar
    inputs: by modality, (B, dims[m]);  present: by modality, bool (B,). A target that is absent asks nothing.

    Parameters, with D_m = dims[m]: (D_s + 1 + dim + 1) dim, and for each target
    (dim + 1) dim + (dim + 1) D_m + (D_m + 1) dim + (dim + 1) D_s.

    Errors: ValueError for an unknown source, one modality only, wrong widths, batch sizes that differ.

    Pham et al. 2019, Found in Translation: Learning Robust Joint Representations by Cyclic Translations Between Modalities.

    >>> import torch
    >>> model = CyclicTranslation({"text": 6, "image": 4}, source="text", dim=3)
    >>> model({"text": torch.rand(2, 6)}).shape  # the image is not needed
    torch.Size([2, 3])
    """

    def __init__(self, dims: Mapping[str, int], source: str, dim: int, *, cycle: float = 1.0) -> None:
        super().__init__()
        _check.choice("source", source, tuple(dims))
        if len(dims) < 2:
            raise ValueError(f"dims needs two modalities or more, got {sorted(dims)}")
        _check.whole("dim", dim, at_least=1)
        _check.between("cycle", cycle, 0, float("inf"))
        self.dims = dict(dims)
        self.source = source
        self.dim = dim
        self.cycle = cycle
        targets = [m for m in dims if m != source]
        self.encoder = _two_layers(dims[source], dim, dim)
        self.decoders = nn.ModuleDict({m: _two_layers(dim, dim, dims[m]) for m in targets})
        self.back = nn.ModuleDict({m: _two_layers(dims[m], dim, dims[source]) for m in targets})

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        _check.by_modality("inputs", inputs)
        if self.source not in inputs:
            raise ValueError(f"modality {self.source!r}, the source, is missing: got {sorted(inputs)}")
        x = inputs[self.source]
        _check.shape(f"inputs[{self.source!r}]", x, "B", self.dims[self.source])
        if not present or self.source not in present:
            return self.encoder(x)
        flags(f"present[{self.source!r}]", present[self.source], len(x))
        absent = ~present[self.source][:, None]
        return self.encoder(x.masked_fill(absent, 0)).masked_fill(absent, 0)

    def translate(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each other modality as the source suggests it: by modality, (B, dims[m])."""
        h = self(inputs)
        return {m: decode(h) for m, decode in self.decoders.items()}

    def loss(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        """Σ over the targets of the error there and λ times the error back, a scalar."""
        _check.features(inputs, self.dims, steps=False, present=present)
        present = present or {}
        inputs = _check.blank_absent(inputs, present)
        source = inputs[self.source]
        source_there = present.get(self.source)
        total = source.new_zeros(())
        for m, translated in self.translate(inputs).items():
            both = source_there
            if m in present:
                both = present[m] if source_there is None else present[m] & source_there
            returned = self.back[m](translated)
            total = total + translation_loss(translated, inputs[m], present=both)
            total = total + self.cycle * translation_loss(returned, source, present=source_there)
        return total
