"""What the fusions of vectors share: checks, zeros for what is absent, and which modalities are there."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.encoders._parts import check_dtype


class VectorFusion(nn.Module):
    """The beginning of every fusion of vectors: {m: (B, dims[m])} → (B, dim).

    dims: by modality, the width of its vector; two modalities or more, exactly two where `pair` is True
    dim:  width of the result
    Raises ValueError for fewer modalities, for more where `pair` is True, and for widths below 1; `forward` raises ValueError
    for a modality that is missing or unknown, shapes and batch sizes that do not fit, TypeError for the wrong dtype.
    """

    takes = "vectors"

    def __init__(self, dims: Mapping[str, int], dim: int, *, pair: bool = False) -> None:
        super().__init__()
        if pair and len(dims) != 2:
            raise ValueError(f"{type(self).__name__} is for exactly two modalities, got {len(dims)}: {sorted(dims)}")
        if len(dims) < 2:
            raise ValueError(f"dims must name two modalities or more, got {sorted(dims)}")
        for m, width in dims.items():
            _check.positive(f"dims[{m!r}]", width)
        _check.positive("dim", dim)
        self.dims, self.dim = dict(dims), dim

    def ready(
        self, inputs: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None, present: Mapping[str, Tensor] | None
    ) -> dict[str, Tensor]:
        """The inputs in the order of `dims`, checked, with zeros where a modality is absent."""
        _check.features(inputs, self.dims, steps=False, masks=masks, present=present)
        weight = next(self.parameters(), None)
        for m, x in inputs.items():
            if weight is not None:
                check_dtype(f"inputs[{m!r}]", x, weight.dtype)
        inputs = _check.blank_absent(inputs, present)
        return {m: inputs[m] for m in self.dims}


def linears(dims: Mapping[str, int], dim: int, bias: bool = True) -> nn.ModuleDict:
    """A linear map W_m for each modality, all to the same width."""
    return nn.ModuleDict({m: nn.Linear(width, dim, bias=bias) for m, width in dims.items()})


def where_present(x: Tensor, m: str, present: Mapping[str, Tensor] | None, otherwise: float) -> Tensor:
    """x (B, …) where modality m is there, a constant where it is not."""
    if not present or m not in present:
        return x
    return x.masked_fill(~present[m].view(-1, *[1] * (x.ndim - 1)), otherwise)


def presence(dims: Mapping[str, int], present: Mapping[str, Tensor] | None, like: Tensor) -> Tensor:
    """Which modalities are there, as one bool tensor (B, M) in the order of `dims`."""
    there = torch.ones(len(like), dtype=torch.bool, device=like.device)
    return torch.stack([(present or {}).get(m, there) for m in dims], 1)


def softmax_present(logits: Tensor, there: Tensor | None) -> Tensor:
    """A softmax along axis 1 over what is there: logits (B, M, …), there bool (B, M) → weights; all zero where nothing is.

    there: None where everything is
    """
    if there is None:
        return logits.softmax(1)
    absent = ~there.view(*there.shape, *[1] * (logits.ndim - 2))
    weights = logits.masked_fill(absent, torch.finfo(logits.dtype).min).softmax(1)
    return weights.masked_fill(absent, 0)
