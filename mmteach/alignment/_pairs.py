"""What every loss on pairs of embeddings needs: checks, rows that are missing, and sums in full precision.

| name             | what it does                                                              |
|------------------|---------------------------------------------------------------------------|
| `pair`           | check two batches of embeddings and blank the pairs that are not there    |
| `flags`          | check a bool tensor                                                       |
| `full_precision` | bfloat16 and float16 become float32; float32 and float64 stay as they are |
| `matmul`         | a matrix product in float32 at least, under autocast too                  |
| `centred`        | subtract the mean over the rows that are there                            |
| `mean_over`      | the mean over the rows that are there                                     |
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmteach import _check


def full_precision(x: Tensor) -> Tensor:
    """The same numbers in float32 where they came in bfloat16 or float16; float32 and float64 unchanged."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b in float32 at least: a softmax over scores of ±100 or a covariance does not survive bfloat16's 8 bits."""
    with torch.autocast(a.device.type, enabled=False):
        return full_precision(a) @ full_precision(b)


def flags(name: str, mask: Tensor, *expected: int) -> None:
    """Raise unless `mask` is a bool tensor of this shape."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or tuple(mask.shape) != expected:
        came = f"{mask.dtype} with shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"{name} must be bool with shape {expected}, got {came}")


def pair(
    x: Tensor,
    y: Tensor,
    present: Tensor | None,
    names: tuple[str, str],
    *,
    same_width: bool = True,
    at_least: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Check two batches of embeddings whose rows belong together; zeros stand where a pair is not there.

    x: (B, Dx), y: (B, Dy), Dx = Dy where `same_width`; present: bool (B,) or None, True = both halves are there
    Returns x, y (float32 at least) and present (all True where None came).
    """
    for name, embeddings in zip(names, (x, y)):
        _check.shape(name, embeddings, "B", "D")
        _check.floating(name, embeddings)
    if len(x) != len(y):
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same batch size (row i of one belongs to row i of the other), "
            f"got {len(x)} and {len(y)}"
        )
    if same_width:
        _check.same_shape(names[0], x, names[1], y)
    if len(x) < at_least:
        raise ValueError(f"{names[0]} needs a batch of at least {at_least}: statistics over one example mean nothing")
    if present is None:  # nothing to blank: no copies
        return full_precision(x), full_precision(y), torch.ones(len(x), dtype=torch.bool, device=x.device)
    flags("present", present, len(x))
    absent = ~present[:, None]
    return full_precision(x).masked_fill(absent, 0), full_precision(y).masked_fill(absent, 0), present


def mean_over(rows: Tensor, present: Tensor) -> Tensor:
    """The mean of `rows` (B,) over those that are there; 0 where none is."""
    return torch.where(present, rows, 0).sum() / present.sum().clamp(min=1)


def centred(x: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """x (B, D), zero where not present, minus its mean over the rows that are there (the others stay zero); their number."""
    count = present.sum().clamp(min=1).to(x.dtype)
    return (x - x.sum(0) / count) * present[:, None], count
