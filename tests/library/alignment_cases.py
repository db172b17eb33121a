"""What the tests of `mmteach.alignment` share: numbers from elsewhere, and the losses on pairs with one call each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmteach import alignment as al

# The tolerances that go with the numbers from elsewhere.
TOLERANCE = {torch.float64: {"atol": 1e-9, "rtol": 1e-9}, torch.float32: {"atol": 1e-5, "rtol": 1e-4}}
DTYPES = list(TOLERANCE)


@cache
def _vectors() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "vectors" / "alignment.npz") as file:
        return dict(file)


def case(name: str, dtype: torch.dtype = torch.float64) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The inputs and the outputs of a case; numbers in `dtype`, whole numbers as they are."""
    found: dict[str, dict[str, Tensor]] = {"input": {}, "output": {}}
    for key, array in _vectors().items():
        owner, kind, what = key.split("/")
        if owner == name:
            tensor = torch.from_numpy(np.array(array))
            found[kind][what] = tensor.to(dtype) if tensor.is_floating_point() else tensor
    assert found["output"], f"there is no case {name!r}"
    return found["input"], found["output"]


def close(ours: Tensor, theirs: Tensor) -> None:
    """Equal within the tolerance of our dtype."""
    torch.testing.assert_close(ours, theirs.to(ours.dtype), **TOLERANCE[ours.dtype])


def embeddings(count: int, batch: int, dim: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Random embeddings of length 1: `count` tensors (batch, dim)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, batch, dim, generator=generator, dtype=torch.float64).to(dtype)
    return list(F.normalize(drawn, dim=-1))


# Every loss of two batches of embeddings, with one set of options each.
PAIR_LOSSES: dict[str, Callable[..., Tensor]] = {
    "clip": lambda x, y, **k: al.clip_loss(x, y, 7.0, **k),
    "clip smoothed": lambda x, y, **k: al.clip_loss(x, y, 7.0, label_smoothing=0.1, **k),
    "siglip": lambda x, y, **k: al.siglip_loss(x, y, 7.0, -3.0, **k),
    "triplet all": lambda x, y, **k: al.triplet_loss(x, y, **k),
    "triplet hardest": lambda x, y, **k: al.triplet_loss(x, y, negatives="hardest", **k),
    "vicreg": lambda x, y, **k: al.vicreg_loss(x, y, **k),
    "barlow": lambda x, y, **k: al.barlow_twins_loss(x, y, **k),
    "deep cca": lambda x, y, **k: al.deep_cca_loss(x, y, **k),
    "deep cca squared": lambda x, y, **k: al.deep_cca_loss(x, y, squared=True, **k),
    "clip distillation": lambda x, y, **k: al.clip_distillation_loss(x, y, 7.0, y, y, 5.0, **k),
    "translation": lambda x, y, **k: al.translation_loss(x, y, **k),
    "distillation": lambda x, y, **k: al.distillation_loss(x, y, **k),
}


def names(loss: str) -> tuple[str, str]:
    """What a loss of `PAIR_LOSSES` calls its two batches."""
    special = {"translation": ("translated", "real"), "distillation": ("student", "teacher")}
    statistics = ("vicreg", "barlow", "deep cca", "deep cca squared")
    return special.get(loss, ("x", "y") if loss in statistics else ("image", "text"))
