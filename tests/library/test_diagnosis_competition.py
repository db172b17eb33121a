"""Robustness, modality competition and the modality gap: published numbers, closed forms, limits, errors."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from mmteach.diagnosis import (
    alignment,
    close_gap,
    effective_robustness,
    gradient_blending,
    modality_gap,
    modulate_gradients,
    ogm_coefficients,
    relative_robustness,
    robustness_curve,
    uniformity,
    unimodal_logits,
    unimodal_scores,
)

VECTORS = np.load(Path(__file__).parent / "vectors" / "ogm.npz")
some = settings(max_examples=25, deadline=None)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# OGM-GE ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-8), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", ["ogm_audio_dominates", "ogm_visual_dominates"])
def test_coefficients_equal_the_published_codes_step(case, dtype, tolerance):
    logits = {m: torch.as_tensor(VECTORS[f"{case}/input/{m}_logits"]).to(dtype) for m in ("audio", "visual")}
    scores = unimodal_scores(logits, torch.as_tensor(VECTORS[f"{case}/input/labels"]))
    coefficients = ogm_coefficients(scores, alpha=0.5)
    for m in ("audio", "visual"):
        expected = torch.as_tensor(VECTORS[f"{case}/output/k_{m}"]).to(dtype)
        assert_close(coefficients[m], expected, atol=tolerance, rtol=10 * tolerance)
    assert_close(ogm_coefficients(scores), coefficients)  # the default


def test_unimodal_logits_add_up_to_the_heads_and_share_its_bias():
    head = nn.Linear(6, 4)
    h = {"image": torch.randn(5, 3), "text": torch.randn(5, 1), "audio": torch.randn(5, 2)}
    parts = unimodal_logits(head, h)
    assert list(parts) == ["image", "text", "audio"]
    assert_close(sum(parts.values()), head(torch.cat(list(h.values()), 1)))
    assert_close(parts["text"], h["text"] @ head.weight[:, 3:4].T + head.bias / 3)
    bare = nn.Linear(4, 2, bias=False)
    parts = unimodal_logits(bare, {"image": h["image"], "text": h["text"]})
    assert_close(parts["image"], h["image"] @ bare.weight[:, :3].T)


def test_unimodal_scores_are_the_summed_probabilities_of_the_right_classes():
    logits = {"image": torch.tensor([[0.0, math.log(3)], [0.0, 0.0]], requires_grad=True)}
    scores = unimodal_scores(logits, torch.tensor([1, 0]))
    assert_close(scores["image"], torch.tensor(0.75 + 0.5))
    assert not scores["image"].requires_grad


def test_three_modalities_compare_with_the_mean_of_the_others():
    k = ogm_coefficients({"a": torch.tensor(3.0), "b": torch.tensor(1.0), "c": torch.tensor(2.0)}, alpha=0.1)
    assert_close(k["a"], torch.tensor(1 - math.tanh(0.1 * 3 / 1.5)))
    assert k["b"] == 1 and k["c"] == 1  # ratios 1 / 2.5 and 2 / 2: not ahead


@some
@given(st.floats(0.01, 10), st.floats(0.01, 10), st.floats(0.1, 2))
def test_only_the_modality_ahead_is_slowed(first, second, alpha):
    k = ogm_coefficients({"a": torch.tensor(first), "b": torch.tensor(second)}, alpha)
    assert (k["a"] < 1) == (first > second) or first == pytest.approx(second, rel=1e-6)
    assert 0 <= k["a"] <= 1 and 0 <= k["b"] <= 1 and max(k["a"], k["b"]) == 1


def encoder() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(2 * 2 * 2, 3))
    model(torch.randn(4, 1, 3, 3)).square().sum().backward()
    return model


def test_every_gradient_of_the_encoder_is_multiplied_linear_layers_and_biases_too():
    encoders = nn.ModuleDict({"image": encoder(), "text": encoder()})
    before = {m: [p.grad.clone() for p in e.parameters()] for m, e in encoders.items()}
    assert len(before["image"]) == 4
    modulate_gradients(encoders, {"image": torch.tensor(0.25)})
    for p, g in zip(encoders["image"].parameters(), before["image"]):
        assert_close(p.grad, 0.25 * g)
    for p, g in zip(encoders["text"].parameters(), before["text"]):
        assert torch.equal(p.grad, g)


def test_noise_has_the_spread_of_the_unmodulated_gradient():
    layer = nn.Linear(200, 200, bias=False)
    layer.weight.grad = 3 * torch.randn(200, 200) + 1
    before = layer.weight.grad.clone()
    modulate_gradients({"image": layer}, {"image": 0.5}, noise=True, generator=torch.Generator().manual_seed(0))
    noise = layer.weight.grad - 0.5 * before
    assert_close(noise.std(), torch.tensor(3.0), rtol=0.02, atol=0)
    assert abs(noise.mean()) < 0.05
    again = nn.Linear(200, 200, bias=False)
    again.weight.grad = before.clone()
    modulate_gradients({"image": again}, {"image": 0.5}, noise=True, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.weight.grad, layer.weight.grad)


def test_the_deviation_divides_by_how_many_numbers_there_are():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[1.0, 5.0]])  # deviates by 2 from its mean
    modulate_gradients({"image": layer}, {"image": 0.5}, noise=True, generator=torch.Generator().manual_seed(0))
    z = torch.randn(1, 2, generator=torch.Generator().manual_seed(0))
    assert_close(layer.weight.grad, torch.tensor([[0.5, 2.5]]) + 2 * z)


def test_noise_leaves_a_single_number_without_noise_and_a_missing_gradient_alone():
    layer = nn.Linear(1, 1)
    layer.weight.grad = torch.tensor([[2.0]])
    modulate_gradients({"image": layer}, {"image": 0.5}, noise=True)
    assert_close(layer.weight.grad, torch.tensor([[1.0]]))
    assert layer.bias.grad is None


def test_without_noise_nothing_is_random():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[2.0, 4.0]])
    modulate_gradients({"image": layer}, {"image": 0.5})
    assert torch.equal(layer.weight.grad, torch.tensor([[1.0, 2.0]]))


def test_competition_errors_name_the_argument():
    one = {"image": torch.ones(2, 3)}
    with pytest.raises(ValueError, match=r"^features must hold two modalities or more, got \['image'\]"):
        unimodal_logits(nn.Linear(3, 2), one)
    with pytest.raises(
        ValueError, match=r"^features must have 5 columns together, as the head takes, got \{'image': 3, 'text': 1\}"
    ):
        unimodal_logits(nn.Linear(5, 2), one | {"text": torch.ones(2, 1)})
    with pytest.raises(ValueError, match=r"^logits\['image'\] must have shape \(4, classes\), got \(2, 3\)"):
        unimodal_scores(one, torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"^scores must hold two modalities or more, got \['image'\]"):
        ogm_coefficients({"image": torch.tensor(1.0)})
    with pytest.raises(ValueError, match=r"^alpha must be above 0, got 0"):
        ogm_coefficients({"a": torch.tensor(1.0), "b": torch.tensor(1.0)}, alpha=0)
    with pytest.raises(
        ValueError, match=r"^coefficients names the unknown modality 'smell': expected some of \['image'\]"
    ):
        modulate_gradients({"image": nn.Linear(1, 1)}, {"smell": 0.5})


# Gradient blending ----------------------------------------------------------------------------------------------------


def test_blending_by_hand():
    weights = gradient_blending(
        train_before=torch.tensor([2.0, 2.0, 2.0]),
        train_after=torch.tensor([1.0, 0.5, 1.5]),
        valid_before=torch.tensor([2.5, 2.5, 2.5]),
        valid_after=torch.tensor([2.0, 2.0, 2.25]),
    )
    generalised, overfitted = torch.tensor([0.5, 0.5, 0.25]), torch.tensor([0.5, 1.0, 0.25])
    expected = generalised / overfitted**2
    assert_close(weights, expected / expected.sum())


def test_blending_gives_nothing_to_a_branch_that_got_worse():
    ones = torch.ones(2)
    weights = gradient_blending(ones, torch.tensor([0.5, 0.2]), ones, torch.tensor([0.8, 1.1]))
    assert_close(weights, torch.tensor([1.0, 0.0]))


def test_blending_is_equal_where_nothing_generalised_and_finite_without_overfitting():
    ones = torch.ones(3)
    assert_close(gradient_blending(ones, ones * 0.5, ones, ones * 1.5), torch.full((3,), 1 / 3))
    weights = gradient_blending(ones, torch.tensor([0.5, 0.25, 0.25]), ones, ones * 0.5)  # O of the first is 0
    assert weights.isfinite().all()
    assert_close(weights, torch.tensor([1.0, 0.0, 0.0]), atol=1e-4, rtol=0)


def test_blending_errors_name_the_argument():
    two = torch.ones(2)
    with pytest.raises(
        ValueError, match=r"^valid_before must hold two branches or more, got 1: there is nothing to blend"
    ):
        gradient_blending(*[torch.ones(1)] * 4)
    with pytest.raises(ValueError, match=r"^valid_before must have shape \(K,\), got \(\)"):
        gradient_blending(two, two, torch.tensor(1.0), two)
    with pytest.raises(TypeError, match=r"^valid_before must hold floating-point numbers"):
        gradient_blending(two, two, two.long(), two)
    for position, name in enumerate(["train_before", "train_after", None, "valid_after"]):
        if name:
            losses = [two] * 4
            losses[position] = torch.ones(3)
            with pytest.raises(
                ValueError, match=rf"^{name} and valid_before must have the same shape, got \(3,\) and \(2,\)"
            ):
                gradient_blending(*losses)


# Robustness -----------------------------------------------------------------------------------------------------------


def test_curve_asks_at_every_level_in_order():
    asked = []
    curve = robustness_curve(lambda level: asked.append(level) or torch.tensor(1 - level), [0.0, 0.25, 1.0])
    assert asked == [0.0, 0.25, 1.0]
    np.testing.assert_allclose(curve, [1, 0.75, 0])


@some
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_relative_robustness_is_the_area_over_the_range(performance):
    levels = np.arange(len(performance)) / 10
    area = sum((a + b) * 0.1 / 2 for a, b in pairwise(performance))  # MultiBench's, at steps of 0.1
    assert relative_robustness(performance, levels) == pytest.approx(area / levels[-1])
    assert relative_robustness(performance) == pytest.approx(area / levels[-1])


def test_relative_robustness_weighs_uneven_levels_by_their_distance():
    assert relative_robustness([1.0, 0.0, 0.0], [0, 1, 4]) == pytest.approx(0.5 / 4)
    assert relative_robustness([1.0, 1.0, 0.0], [2, 5, 6]) == pytest.approx(3.5 / 4)


@some
@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.floats(-1, 1),
)
def test_effective_robustness_compares_the_falls_only(model, baseline, shift):
    f, b = np.array(model), np.array(baseline)
    assert effective_robustness(f, b) == pytest.approx(((f - f[0]) - (b - b[0])).sum(), abs=1e-9)
    assert effective_robustness(f + shift, b) == pytest.approx(effective_robustness(f, b), abs=1e-9)
    assert effective_robustness(f, f) == pytest.approx(0, abs=1e-12)


def test_robustness_errors_name_the_argument():
    with pytest.raises(
        ValueError, match=r"^levels must hold one finite number a level, two levels or more, got \[0\.0\]"
    ):
        robustness_curve(lambda level: 1.0, [0.0])
    for levels in ([1.0, 0.0], [0.0, 0.0]):
        with pytest.raises(ValueError, match=r"^levels must rise from the clean one, got"):
            robustness_curve(lambda level: 1.0, levels)
        with pytest.raises(ValueError, match=r"^levels must rise from the clean one, got"):
            relative_robustness([1.0, 0.5], levels)
    with pytest.raises(ValueError, match=r"^levels must hold one finite number a level, two levels or more"):
        relative_robustness([1.0, 0.5], [0.0, float("nan")])
    with pytest.raises(ValueError, match=r"^levels must be as many as performance, got 3 and 2"):
        relative_robustness([1.0, 0.5], [0, 1, 2])
    with pytest.raises(ValueError, match=r"^performance must hold one finite number a level"):
        relative_robustness([1.0, float("nan")])
    with pytest.raises(ValueError, match=r"^performance must hold one finite number a level"):
        effective_robustness([[1.0, 2.0]], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^baseline must hold one finite number a level"):
        effective_robustness([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"^baseline must have as many levels as performance, got 2 and 3"):
        effective_robustness([1.0, 0.9, 0.8], [1.0, 0.9])


# The modality gap -----------------------------------------------------------------------------------------------------


def embeddings(n: int = 6, dim: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=1, keepdim=True)


def test_gap_is_the_vector_between_the_centres_of_unit_vectors():
    x, y = embeddings(6), embeddings(3, seed=1)
    assert_close(modality_gap(x, y), unit(x).mean(0) - unit(y).mean(0))
    assert_close(modality_gap(x, y), -modality_gap(y, x))
    assert_close(modality_gap(5 * x, y), modality_gap(x, y))
    assert_close(modality_gap(x, x).norm(), torch.tensor(0.0, dtype=torch.float64))
    pole = torch.tensor([[0.0, 1.0]])
    assert_close(modality_gap(pole, -pole).norm(), torch.tensor(2.0))


def test_closing_the_gap_by_its_equation():
    x, y = embeddings(6), embeddings(6, seed=1)
    gap = unit(x).mean(0) - unit(y).mean(0)
    moved_x, moved_y = close_gap(x, y, share=0.6)
    assert_close(moved_x, unit(unit(x) - 0.3 * gap))
    assert_close(moved_y, unit(unit(y) + 0.3 * gap))
    same_x, same_y = close_gap(x, y, share=0)
    assert_close(same_x, unit(x))
    assert_close(same_y, unit(y))
    assert all(torch.equal(a, b) for a, b in zip(close_gap(x, y), close_gap(x, y, share=1.0)))


def test_closing_brings_two_cones_together_and_a_negative_share_drives_them_apart():
    push = torch.tensor([3.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    x, y = embeddings(50) + push, embeddings(50, seed=1) - push
    before = modality_gap(x, y).norm()
    assert modality_gap(*close_gap(x, y)).norm() < 0.3 * before
    assert modality_gap(*close_gap(x, y, share=-0.5)).norm() > before


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
def test_alignment_by_its_equation(alpha):
    x, y = embeddings(), embeddings(seed=1)
    assert_close(alignment(x, y, alpha), ((unit(x) - unit(y)).norm(dim=1) ** alpha).mean())


def test_alignment_limits():
    x, y = embeddings(), embeddings(seed=1)
    assert_close(alignment(x, y), (2 - 2 * (unit(x) * unit(y)).sum(1)).mean())
    assert alignment(x, 3 * x) < 1e-20
    assert_close(alignment(x, -x), torch.tensor(4.0, dtype=torch.float64))


@pytest.mark.parametrize("t", [0.5, 2.0])
def test_uniformity_by_its_equation(t):
    x = embeddings(8)
    assert_close(uniformity(x, t), torch.pdist(unit(x)).square().mul(-t).exp().mean().log())


def test_uniformity_limits():
    x = embeddings(8)
    assert_close(uniformity(x), uniformity(x, t=2.0))
    assert_close(uniformity(x[:1].repeat(4, 1)), torch.tensor(0.0, dtype=torch.float64))
    pole = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    assert_close(uniformity(pole, t=1.0), torch.tensor(-4.0))


@some
@given(st.randoms(use_true_random=False))
def test_order_and_rotation_do_not_matter(random):
    x, y = embeddings(), embeddings(seed=1)
    order = random.sample(range(6), 6)
    turn, _ = torch.linalg.qr(embeddings(4, 4, seed=random.randint(0, 99)))
    for measure in (lambda a, b: modality_gap(a, b).norm(), alignment, lambda a, b: uniformity(a)):
        assert_close(measure(x[order], y[order]), measure(x, y))
        assert_close(measure(x @ turn, y @ turn), measure(x, y))


def geometry(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Every measure of the gap in one vector."""
    moved, _ = close_gap(x, y)
    return torch.cat([modality_gap(x, y), moved.flatten(), alignment(x, y).view(1), uniformity(x).view(1)])


def test_a_gradient_reaches_every_embedding():
    x, y = embeddings().requires_grad_(), embeddings(seed=1).requires_grad_()
    (alignment(x, y) + uniformity(x) + uniformity(y) + modality_gap(x, y).norm()).backward()
    assert (x.grad.abs().sum(1) > 0).all() and (y.grad.abs().sum(1) > 0).all()


def test_float32_and_bfloat16_autocast():
    x, y = embeddings().float(), embeddings(seed=1).float()
    assert_close(geometry(x, y), geometry(x.double(), y.double()).float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(geometry(x, y).float(), geometry(x.double(), y.double()).float(), atol=0.05, rtol=0.05)


def test_compiled_equals_eager():
    torch._dynamo.reset()
    x, y = embeddings(), embeddings(seed=1)
    assert_close(torch.compile(geometry, backend="aot_eager")(x, y), geometry(x, y))


def test_vmap_over_seeds_equals_a_loop():
    x = torch.stack([embeddings(seed=s) for s in range(3)])
    y = torch.stack([embeddings(seed=s) for s in range(3, 6)])
    assert_close(torch.func.vmap(geometry)(x, y), torch.stack([geometry(a, b) for a, b in zip(x, y)]))


def test_batch_of_one():
    x, y = embeddings(1), embeddings(1, seed=1)
    assert_close(alignment(x, y), (2 - 2 * (unit(x) * unit(y)).sum()))
    assert_close(*close_gap(x, y))  # two points meet halfway


def test_gap_errors_name_the_argument():
    x = torch.ones(2, 3)
    with pytest.raises(
        ValueError, match=r"^x must hold two embeddings or more, got 1: uniformity is about the distances"
    ):
        uniformity(x[:1])
    with pytest.raises(ValueError, match=r"^t must be above 0, got 0"):
        uniformity(x, t=0)
    with pytest.raises(ValueError, match=r"^alpha must be above 0, got -1"):
        alignment(x, x, alpha=-1)
    with pytest.raises(ValueError, match=r"^x and y must have the same shape, got \(2, 3\) and \(1, 3\)"):
        alignment(x, x[:1])
    for measure in (modality_gap, alignment, close_gap):
        with pytest.raises(ValueError, match=r"^x and y must have the same width, got 3 and 2"):
            measure(x, x[:, :2])
        with pytest.raises(ValueError, match=r"^x must have shape \(N, D\), got \(3,\)"):
            measure(x[0], x)
        with pytest.raises(ValueError, match=r"^y must have shape \(N, D\), got \(3,\)"):
            measure(x, x[0])
        with pytest.raises(TypeError, match=r"^x must hold floating-point numbers"):
            measure(x.long(), x)
