"""Training for the day when a modality is missing.

| name                | what it is                                          | when to use it                          |
|---------------------|-----------------------------------------------------|-----------------------------------------|
| `drop_modalities`   | which modalities to hide from which example         | by hand, in a training loop of your own |
| `ModalityDropout`   | the same as a module, active in training only       | in `MultimodalClassifier(…, dropout=…)` |
| `MissingEmbeddings` | a learned vector stands in for each absent modality | absence itself says something           |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.encoders._parts import check_mask


def drop_modalities(
    inputs: Mapping[str, Tensor],
    p: float | Mapping[str, float],
    present: Mapping[str, Tensor] | None = None,
    *,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Hide each modality of each example with probability p, but never the last one that it has.

        x_m ← δ_m x_m,   δ_m ~ Bernoulli(1 − p_m),   Σ_m δ_m ≥ 1

    inputs: by modality, (B, …);  p: one number, or one by modality (0 for those not named);  present: what is there at all
    Returns `present` by modality, bool (B,), to be passed to a fusion or a model. Where chance would hide all modalities of
    an example, one of them, each as likely as the others, stays. An example that has none to begin with has none after.

    Neverova et al. 2016, ModDrop: Adaptive Multi-Modal Gesture Recognition.

    >>> kept = drop_modalities({"image": torch.zeros(1000, 3), "text": torch.zeros(1000, 2)}, p=0.9)
    >>> bool((kept["image"] | kept["text"]).all())
    True
    """
    shares = p if isinstance(p, Mapping) else dict.fromkeys(inputs, p)
    for m, share in shares.items():
        _check.choice("a name in p", m, tuple(inputs))
        _check.between(f"p[{m!r}]", share, 0, 1)
    if not inputs:
        raise ValueError("inputs must hold at least one modality, got none")
    first = next(iter(inputs.values()))
    sizes = {m: len(x) for m, x in inputs.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"modalities must have the same batch size, got {sizes}")
    for m, there in (present or {}).items():
        _check.choice("a name in present", m, tuple(inputs))
        check_mask(there, len(first), name=f"present[{m!r}]")
    everywhere = torch.ones(len(first), dtype=torch.bool, device=first.device)
    there = torch.stack([(present or {}).get(m, everywhere) for m in inputs], 1)  # (B, M)
    thresholds = torch.tensor([float(shares.get(m, 0)) for m in inputs], device=first.device)
    draws = torch.rand(there.shape, generator=generator, device=first.device)
    kept = there & (draws >= thresholds)
    # A second, fair draw says who stays where nobody would.
    lots = torch.rand(there.shape, generator=generator, device=first.device).masked_fill(~there, -1)
    last = torch.nn.functional.one_hot(lots.argmax(1), len(inputs)).bool() & there
    kept = torch.where(kept.any(1, keepdim=True), kept, last)
    return dict(zip(inputs, kept.unbind(1)))


class ModalityDropout(nn.Module):
    """Hides modalities at random while training, so that a model learns to do without each; see `drop_modalities`.

    p: the probability to hide a modality, one number or one by modality
    forward(inputs, present=None) → `present` by modality, bool (B,); in eval mode what came, unchanged

    Neverova et al. 2016, ModDrop: Adaptive Multi-Modal Gesture Recognition.

    >>> dropout = ModalityDropout(0.5).eval()
    >>> dropout({"image": torch.zeros(2, 3)})
    {}
    """

    def __init__(self, p: float | Mapping[str, float] = 0.3) -> None:
        super().__init__()
        for m, share in (p if isinstance(p, Mapping) else {"": p}).items():
            _check.between(f"p[{m!r}]" if m else "p", share, 0, 1)
        self.p = p

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        return drop_modalities(inputs, self.p, present) if self.training else dict(present or {})

    def extra_repr(self) -> str:
        return f"p={self.p}"


class MissingEmbeddings(nn.Module):
    """A learned vector e_m stands in where modality m is absent.

        x_m ← x_m where m is there, e_m where not

    dims: by modality, the width of its vector or of its tokens
    forward(inputs {m: (B, D_m) or (B, T_m, D_m)}, present) → the same shapes; pass the result on *without* `present`, or the
    fusion will blank what was put there. Every step of an absent modality becomes e_m.
    e_m is learned only where training has absent modalities (`ModalityDropout`); it begins at zero, which is what a
    fusion would have seen.  Parameters: Σ_m dims[m].

    Ma et al. 2021, SMIL: Multimodal Learning with Severely Missing Modality (the idea of filling in; theirs is generative).

    >>> fill = MissingEmbeddings({"image": 2, "text": 1})
    >>> x = {"image": torch.ones(2, 2), "text": torch.ones(2, 1)}
    >>> fill(x, {"text": torch.tensor([True, False])})["text"].flatten().tolist()
    [1.0, 0.0]
    """

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        for m, width in dims.items():
            _check.positive(f"dims[{m!r}]", width)
        self.dims = dict(dims)
        self.embeddings = nn.ParameterDict({m: torch.zeros(width) for m, width in dims.items()})

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        for what, given in (("inputs", inputs), ("present", present or {})):
            for m in given:
                _check.choice(f"a name in {what}", m, tuple(self.dims))
        filled = {}
        for m, width in self.dims.items():
            if m not in inputs:
                raise ValueError(f"modality {m!r} is missing from inputs, which name {', '.join(map(repr, inputs))}")
            x = inputs[m]
            if x.shape[-1] != width:
                raise ValueError(f"inputs[{m!r}] must end in {width} numbers, got shape {tuple(x.shape)}")
            if present and m in present:
                check_mask(present[m], len(x), name=f"present[{m!r}]")
                there = present[m].view(-1, *[1] * (x.ndim - 1))
                x = torch.where(there, x, self.embeddings[m].to(x.dtype))
            filled[m] = x
        return filled
