"""The non-local gate: the published numbers, what absence must not change, and the errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmteach.fusion.nonlocal_gate import NonlocalGate, nonlocal_gate

VECTORS = np.load(Path(__file__).parent / "vectors" / "attention.npz")
TOLERANCE = {torch.float64: {"atol": 1e-9, "rtol": 1e-9}, torch.float32: {"atol": 1e-5, "rtol": 1e-4}}
both_precisions = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
DIMS = {"image": 3, "text": 5, "audio": 2}


def vector(key: str, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(VECTORS[key]).to(dtype)


def build(seed: int = 0, dims: dict[str, int] = DIMS) -> NonlocalGate:
    torch.manual_seed(seed)
    return NonlocalGate(dims, 8, channels=2, positions=3).double()


def vectors_of(batch: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {m: torch.randn(batch, d, generator=generator, dtype=torch.float64) for m, d in DIMS.items()}


@both_precisions
def test_function_gives_the_published_numbers(dtype: torch.dtype) -> None:
    x1, x2 = vector("nlgate_plain/input/x1", dtype), vector("nlgate_plain/input/x2", dtype)
    z = nonlocal_gate(x1.view(3, 4, 2), x2.view(3, 2, 6), x2.view(3, 6, 2))
    torch.testing.assert_close(z.flatten(1), vector("nlgate_plain/output/z", dtype), **TOLERANCE[dtype])


@both_precisions
def test_module_gives_the_published_numbers(dtype: torch.dtype) -> None:
    gate = NonlocalGate({"a": 5, "b": 7}, 8, channels=2, positions=6).to(dtype)
    with torch.no_grad():
        for ours, theirs in ((gate.query, "qli"), (gate.keys["b"], "kli"), (gate.values["b"], "vli")):
            ours.weight.copy_(vector(f"nlgate_linear/weight/{theirs}.weight", dtype))
            ours.bias.copy_(vector(f"nlgate_linear/weight/{theirs}.bias", dtype))
    z = gate({"a": vector("nlgate_linear/input/x1", dtype), "b": vector("nlgate_linear/input/x2", dtype)})
    torch.testing.assert_close(z, vector("nlgate_linear/output/z", dtype), **TOLERANCE[dtype])


def test_a_third_modality_adds_what_it_has() -> None:
    gate, x = build(), vectors_of()
    q = gate.query(x["image"])
    two = {m: build(dims={"image": 3, m: DIMS[m]}) for m in ("text", "audio")}
    for m, pair in two.items():
        pair.query, pair.keys[m], pair.values[m] = gate.query, gate.keys[m], gate.values[m]
    parts = [pair({"image": x["image"], m: x[m]}) - q for m, pair in two.items()]
    torch.testing.assert_close(gate(x), q + parts[0] + parts[1])


def test_shape_count_and_gradients() -> None:
    gate, x = build(), vectors_of()
    assert gate.takes == "vectors" and gate.dim == 8
    assert sum(p.numel() for p in gate.parameters()) == (3 * 8 + 8) + 2 * ((5 * 6 + 6) + (2 * 6 + 6))
    z = gate(x)
    assert z.shape == (4, 8)
    z.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in gate.parameters())
    torch.testing.assert_close(gate({m: v[:1] for m, v in x.items()}), z[:1])
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(gate({m: v[order] for m, v in x.items()}), z[order])
    assert NonlocalGate(DIMS, 8).query.out_features == 8
    assert (NonlocalGate(DIMS, 8).channels, NonlocalGate(DIMS, 8).positions) == (8, 8)


@pytest.mark.parametrize("garbage", [math.nan, math.inf, 1e9])
def test_an_absent_modality_never_changes_the_answer(garbage: float) -> None:
    gate, x = build(), vectors_of()
    for m in DIMS:
        present = {m: torch.tensor([True, False, True, False])}
        spoilt = x[m].masked_fill(~present[m][:, None], garbage)
        z = gate(x | {m: spoilt}, present=present)
        torch.testing.assert_close(z, gate(x, present=present))
        torch.testing.assert_close(z[::2], gate(x)[::2])
        assert z.isfinite().all() and (z[1] - gate(x)[1]).abs().max() > 1e-3
    gone = {m: torch.zeros(4, dtype=torch.bool) for m in DIMS}
    torch.testing.assert_close(gate(x, present=gone), gate.query.bias.expand(4, 8))
    sources = {m: gone[m] for m in ("text", "audio")}
    torch.testing.assert_close(gate(x, present=sources), gate.query(x["image"]))


def test_precisions_compile_and_vmap() -> None:
    gate, x = build(), vectors_of()
    z, present = gate(x), {"text": torch.tensor([True, False, True, True])}
    torch._dynamo.reset()
    compiled = torch.compile(gate, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, present=present), gate(x, present=present))
    seeds = [build(s) for s in range(3)]
    stacked, _ = torch.func.stack_module_state(seeds)
    together = torch.func.vmap(lambda p: torch.func.functional_call(gate, p, (x,), {"present": present}))(stacked)
    torch.testing.assert_close(together, torch.stack([g(x, present=present) for g in seeds]))
    gate.float()
    low = {m: v.float() for m, v in x.items()}
    torch.testing.assert_close(gate(low), z.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (gate(low).float() - z).norm() < 0.05 * z.norm()


def test_wrong_inputs_are_named() -> None:
    gate, x = build(), vectors_of()
    with pytest.raises(ValueError, match="modality 'text' is missing"):
        gate({m: v for m, v in x.items() if m != "text"})
    with pytest.raises(ValueError, match="masks are for steps"):
        gate(x, masks={"text": torch.ones(4, 5, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"inputs\['text'\] must have shape \(B, 5\), got \(4, 1, 5\)"):
        gate(x | {"text": x["text"][:, None]})
    with pytest.raises(ValueError, match=r"dims must name two modalities or more, got \['image'\]"):
        NonlocalGate({"image": 3}, 8)
    with pytest.raises(ValueError, match="dim must be a multiple of channels, got dim=8 with channels=3"):
        NonlocalGate(DIMS, 8, channels=3)
    for setting in ("channels", "positions"):
        with pytest.raises(ValueError, match=f"{setting} must be above 0, got 0"):
            NonlocalGate(DIMS, 8, **{setting: 0})
    with pytest.raises(ValueError, match="dim must be above 0, got 0"):
        NonlocalGate(DIMS, 0)
    with pytest.raises(ValueError, match=r"dims\['text'\] must be above 0, got 0"):
        NonlocalGate({"image": 3, "text": 0}, 8)
    q, k, v = torch.zeros(2, 3, 4), torch.zeros(2, 4, 5), torch.zeros(2, 5, 4)
    with pytest.raises(ValueError, match=r"query must have shape \(B, T, C\), got \(2, 3\)"):
        nonlocal_gate(q[..., 0], k, v)
    with pytest.raises(ValueError, match=r"key must have shape \(2, 4, S\), got \(2, 5, 4\)"):
        nonlocal_gate(q, k.mT, v)
    with pytest.raises(ValueError, match=r"value must have shape \(2, 5, 4\), got \(2, 4, 5\)"):
        nonlocal_gate(q, k, v.mT)
