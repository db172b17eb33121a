"""What the tests of the vector fusions share: numbers from elsewhere, one build of each fusion, and inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmteach import fusion as fu

# The tolerances that go with the numbers from elsewhere.
TOLERANCE = {torch.float64: {"atol": 1e-9, "rtol": 1e-9}, torch.float32: {"atol": 1e-5, "rtol": 1e-4}}
DTYPES = list(TOLERANCE)

TWO = {"image": 3, "text": 4}
THREE = {"image": 3, "text": 4, "audio": 2}
DIM = 5

# Every fusion of vectors (and early fusion, which takes tokens) with each of its options once: (dims, dim) → module.
FUSIONS: dict[str, Callable[[Mapping[str, int], int], nn.Module]] = {
    "concat": fu.Concat,
    "concat bare": lambda dims, dim: fu.Concat(dims),
    "sum": fu.SumFusion,
    "product": fu.ProductFusion,
    "attention": fu.AttentionFusion,
    "late": fu.LateFusion,
    "late logits": partial(fu.LateFusion, combine="logits"),
    "early": fu.EarlyFusion,
    "early gru": partial(fu.EarlyFusion, over_time="gru"),
    "gated": fu.GatedFusion,
    "gated normalised": partial(fu.GatedFusion, gate="text", width=6, normalise=True),
    "gmu": fu.GMU,
    "gmu normalised": partial(fu.GMU, normalise=True),
    "mag": fu.MAG,
    "mag by text": partial(fu.MAG, anchor="text", beta=0.5),
    "film": fu.FiLM,
    "film by image": partial(fu.FiLM, condition="image", normalise=True),
    "mlb": fu.MLB,
    "mfb": fu.MFB,
    "mfb bare": partial(fu.MFB, factors=2, normalise=False),
    "tensor": fu.TensorFusion,
    "low rank": fu.LowRankTensorFusion,
    "interactions matrix": fu.MultiplicativeInteractions,
    "interactions vector": partial(fu.MultiplicativeInteractions, kind="vector"),
    "interactions scalar": partial(fu.MultiplicativeInteractions, kind="scalar"),
    "mixture": fu.MixtureOfExperts,
    "mixture top 2": partial(fu.MixtureOfExperts, joint=2, width=6, top_k=2),
    "mixture alone": partial(fu.MixtureOfExperts, joint=0),
    "experts": fu.ProductOfExperts,
    "experts bare": partial(fu.ProductOfExperts, prior=False),
}
PAIRS = ("film", "film by image", "interactions matrix", "interactions vector", "interactions scalar")
TOKENS = ("early", "early gru")
RECURRENT = ("early gru",)
LEARNED = [name for name in FUSIONS if name != "concat bare"]  # those with parameters


def dims_of(name: str) -> dict[str, int]:
    """Three modalities, or two where the method is for two."""
    return TWO if name in PAIRS else THREE


def build(name: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A fusion by its name above, with every parameter drawn at random, those that begin at zero too."""
    module = FUSIONS[name](dims_of(name), DIM).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.6)
    return module.eval()


def inputs_of(name: str, batch: int = 6, seed: int = 1, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Random vectors (B, D_m), or tokens (B, 6, D_m)."""
    generator = torch.Generator().manual_seed(seed)
    steps = (6,) if name in TOKENS else ()
    return {
        m: torch.randn(batch, *steps, d, generator=generator, dtype=torch.float64).to(dtype)
        for m, d in dims_of(name).items()
    }


@cache
def _vectors() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "vectors" / "fusion.npz") as file:
        return dict(file)


def case(
    name: str, dtype: torch.dtype = torch.float64
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """The inputs, weights and outputs of a case."""
    found: dict[str, dict[str, Tensor]] = {"input": {}, "weight": {}, "output": {}}
    for key, array in _vectors().items():
        owner, kind, what = key.split("/")
        if owner == name:
            found[kind][what] = torch.from_numpy(np.array(array)).to(dtype)
    assert found["output"], f"there is no case {name!r}"
    return found["input"], found["weight"], found["output"]


def close(ours: Tensor, theirs: Tensor) -> None:
    """Equal within the tolerance of our dtype."""
    torch.testing.assert_close(ours, theirs.to(ours.dtype), **TOLERANCE[ours.dtype])


def load(module: nn.Module, **weights: Tensor) -> nn.Module:
    """Put weights into a module by parameter name, "__" for "."; every parameter must be given."""
    module.load_state_dict({name.replace("__", "."): w for name, w in weights.items()})
    return module
