"""Cyclic translation: the equation step by step, and what is left when modalities are missing."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmteach.alignment import CyclicTranslation, translation_loss

few = settings(max_examples=10, deadline=None)
DIMS = {"text": 6, "image": 4, "audio": 3}


def build(seed: int = 0, **options: float) -> CyclicTranslation:
    torch.manual_seed(seed)
    return CyclicTranslation(DIMS, source="text", dim=5, **options).double()


def batch(size: int = 7, seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {m: torch.randn(size, wide, generator=g, dtype=torch.float64) for m, wide in DIMS.items()}


def test_translation_loss_is_torchs_mean_squared_error():
    x = batch()
    ours = translation_loss(x["text"], x["text"].flip(0))
    torch.testing.assert_close(ours, torch.nn.functional.mse_loss(x["text"], x["text"].flip(0)))


def test_the_loss_is_there_and_back_for_each_target():
    model, x = build(cycle=0.5), batch()
    h = model.encoder(x["text"])
    expected = 0
    for m in ("image", "audio"):
        there = model.decoders[m](h)
        back = model.back[m](there)  # from the translation, not from the real thing
        expected += (there - x[m]).square().mean() + 0.5 * (back - x["text"]).square().mean()
        torch.testing.assert_close(model.translate(x)[m], there)
    torch.testing.assert_close(model.loss(x), expected)
    torch.testing.assert_close(model(x), h)


def test_the_way_back_weighs_one_unless_told_and_nothing_at_zero():
    x = batch()
    torch.testing.assert_close(build().loss(x), build(cycle=1.0).loss(x))
    forward_only = sum((build().translate(x)[m] - x[m]).square().mean() for m in ("image", "audio"))
    torch.testing.assert_close(build(cycle=0.0).loss(x), forward_only)


def test_parameter_count():
    d, s = 5, DIMS["text"]
    expected = (s + 1 + d + 1) * d
    for m in ("image", "audio"):
        w = DIMS[m]
        expected += (d + 1) * d + (d + 1) * w + (w + 1) * d + (d + 1) * s
    assert sum(p.numel() for p in build().parameters()) == expected


def test_a_gradient_reaches_every_parameter():
    model = build()
    model.loss(batch()).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


def test_the_source_alone_is_enough_at_test_time():
    model, x = build(), batch()
    assert torch.equal(model({"text": x["text"]}), model(x))
    assert model({"text": x["text"]}).shape == (7, 5)
    assert set(model.translate({"text": x["text"]})) == {"image", "audio"}


def test_an_absent_target_asks_nothing_whatever_stands_there():
    model, x = build(), batch()
    present = {"image": torch.arange(7) < 5}
    broken = {**x, "image": x["image"].clone()}
    broken["image"][5:] = math.nan
    translated = model.translate(x)
    expected = (
        (translated["image"] - x["image"])[:5].square().mean()
        + (translated["audio"] - x["audio"]).square().mean()
        + sum((model.back[m](translated[m]) - x["text"]).square().mean() for m in translated)
    )
    torch.testing.assert_close(model.loss(broken, present), expected)


def test_an_absent_source_counts_nowhere_whatever_stands_there():
    model, x = build(), batch()
    present = {"text": torch.arange(7) != 3, "audio": torch.arange(7) != 5}
    broken = {m: v.clone() for m, v in x.items()}
    broken["text"][3] = broken["audio"][5] = math.nan
    h = model(broken, present)
    assert (h[3] == 0).all()
    torch.testing.assert_close(h[present["text"]], model(x)[present["text"]])
    kept = {m: v[present["text"]] for m, v in broken.items()}
    torch.testing.assert_close(
        model.loss(broken, present), model.loss(kept, {"audio": present["audio"][present["text"]]})
    )


def test_with_everything_absent_the_loss_is_zero():
    nothing = {m: torch.zeros(7, dtype=torch.bool) for m in DIMS}
    assert build().loss({m: x * math.nan for m, x in batch().items()}, nothing) == 0


@given(seed=st.integers(0, 2**30), order=st.permutations(range(7)))
@few
def test_the_order_of_the_batch_does_not_matter(seed, order):
    model, x = build(), batch(seed=seed)
    torch.testing.assert_close(model.loss({m: v[order] for m, v in x.items()}), model.loss(x))


def test_two_modalities_and_a_batch_of_one():
    model = CyclicTranslation({"a": 2, "b": 3}, "b", 4)
    assert model({"b": torch.ones(1, 3)}).shape == (1, 4)
    assert model.loss({"a": torch.ones(1, 2), "b": torch.ones(1, 3)}).isfinite()


def test_compiled_vmapped_and_bf16():
    torch.compiler.reset()
    model, x = build(), batch()
    torch.testing.assert_close(torch.compile(model.loss, backend="aot_eager", fullgraph=True)(x), model.loss(x))
    others = [build(seed) for seed in range(3)]
    parameters, _ = torch.func.stack_module_state(others)
    out = torch.func.vmap(lambda p: torch.func.functional_call(model, p, (x,)))(parameters)
    torch.testing.assert_close(out, torch.stack([m(x) for m in others]))
    single, x32 = model.float(), {m: v.float() for m, v in x.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = single.loss(x32)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, single.loss(x32), rtol=0.05, atol=0.05)


def test_it_learns_to_translate():
    g = torch.Generator().manual_seed(0)
    text = torch.randn(64, 6, generator=g)
    x = {"text": text, "image": text @ torch.randn(6, 4, generator=g) / 3, "audio": text[:, :3]}
    model = build().float()
    before = model.loss(x).item()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        model.loss(x).backward()
        optimiser.step()
    assert model.loss(x).item() < before / 3


def test_wrong_arguments_are_named():
    model, x = build(), batch()
    with pytest.raises(ValueError, match=r"^source must be one of 'text', 'image', 'audio', got 'smell'"):
        CyclicTranslation(DIMS, "smell", 5)
    with pytest.raises(ValueError, match=r"^dims needs two modalities or more, got \['text'\]"):
        CyclicTranslation({"text": 6}, "text", 5)
    with pytest.raises(ValueError, match=r"^cycle must be between 0 and inf, got -1"):
        CyclicTranslation(DIMS, "text", 5, cycle=-1)
    with pytest.raises(ValueError, match=r"^modality 'text', the source, is missing: got \['image'\]"):
        model({"image": x["image"]})
    with pytest.raises(ValueError, match=r"^inputs\['text'\] must have shape \(B, 6\), got \(7, 4\)"):
        model({"text": x["image"]})
    with pytest.raises(ValueError, match=r"^modality 'audio' is missing"):
        model.loss({"text": x["text"], "image": x["image"]})
    with pytest.raises(
        ValueError, match=r"^modalities must have the same batch size, got 7 for 'text' and 3 for 'image'"
    ):
        model.loss({**x, "image": x["image"][:3]})
    with pytest.raises(ValueError, match=r"^present\['image'\] must be bool with shape \(7,\)"):
        model.loss(x, {"image": torch.ones(7)})
