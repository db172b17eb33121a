"""Each fusion of vectors computes its equation: on numbers from elsewhere, or written out in the plainest way."""

import math

import pytest
import torch
from fusion_cases import DTYPES, TWO, build, case, close, inputs_of, load
from torch.nn import functional as F

from mmteach import fusion as fu

both = pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])


def pair(d1=3, d2=4, batch=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.randn(batch, d1, generator=generator, dtype=torch.float64),
        "text": torch.randn(batch, d2, generator=generator, dtype=torch.float64),
    }


def absent(*modalities, batch=6):
    return {m: torch.zeros(batch, dtype=torch.bool) for m in modalities}


# ---- numbers from elsewhere -------------------------------------------------------------------------------------------


@both
def test_concat_is_that_of_multibench(dtype):
    inputs, _, outputs = case("concat_flatten", dtype)
    x = {m: v.flatten(1) for m, v in inputs.items()}
    close(fu.Concat({"x1": 8, "x2": 5})(x), outputs["z"])


@both
def test_concat_and_a_linear_layer_are_that_of_multibench(dtype):
    inputs, weights, outputs = case("concat_linear", dtype)
    fusion = fu.Concat({"x1": 3, "x2": 5}, 6).to(dtype)
    load(fusion, linear__weight=weights["fc.weight"], linear__bias=weights["fc.bias"])
    close(fusion(inputs), outputs["z"])


@both
def test_early_fusion_lays_steps_side_by_side_as_multibench_does(dtype):
    inputs, _, outputs = case("concat_early", dtype)
    aligned, real = fu.EarlyFusion({"x1": 4, "x2": 5}, 3).to(dtype).aligned(inputs)
    close(aligned, outputs["z"])
    assert real.shape == (2, 3) and real.all()


@both
@pytest.mark.parametrize("name", ["tensor_fusion_2", "tensor_fusion_3", "tensor_fusion_leading_dims"])
def test_the_outer_product_is_that_of_multibench(name, dtype):
    inputs, _, outputs = case(name, dtype)
    close(fu.outer_product(list(inputs.values())), outputs["z"])


@both
@pytest.mark.parametrize("name", ["tensor_fusion_2", "tensor_fusion_3"])
def test_tensor_fusion_is_a_linear_layer_on_the_outer_product(name, dtype):
    inputs, _, outputs = case(name, dtype)
    fusion = fu.TensorFusion({m: x.shape[1] for m, x in inputs.items()}, 5).to(dtype)
    close(fusion(inputs), F.linear(outputs["z"], fusion.linear.weight, fusion.linear.bias))


@both
@pytest.mark.parametrize(("name", "rank"), [("lrtf_2", 2), ("lrtf_3", 3)])
def test_low_rank_tensor_fusion_is_that_of_multibench(name, rank, dtype):
    inputs, weights, outputs = case(name, dtype)
    fusion = fu.LowRankTensorFusion({m: x.shape[1] for m, x in inputs.items()}, outputs["z"].shape[1], rank=rank).to(
        dtype
    )
    factors = {f"factors__{m}": weights[m.replace("x", "factor")] for m in inputs}
    load(fusion, **factors, rank_weights=weights["rank_weights"][0], bias=weights["bias"][0])
    close(fusion(inputs), outputs["z"])


def test_every_factor_of_low_rank_tensor_fusion_is_trained_not_3_numbers_of_47():
    _, _, counts = case("lrtf_param_count")
    ours = sum(p.numel() for p in fu.LowRankTensorFusion({"a": 10, "b": 10}, 2, rank=1).parameters())
    assert ours == counts["correct_count"] == 47
    assert counts["anchor_count"] == 3  # factors in a plain list never reach the optimiser


@both
@pytest.mark.parametrize(("name", "dim"), [("matrix", 5), ("vector", 4), ("scalar", 4)])
def test_multiplicative_interactions_are_those_of_multibench(name, dim, dtype):
    inputs, weights, outputs = case(f"mi_{name}", dtype)
    fusion = fu.MultiplicativeInteractions({"x1": 3, "x2": 4}, dim, kind=name).to(dtype)
    weights = {n: w[:, None] if name == "scalar" and n in "WU" else w for n, w in weights.items()}
    load(fusion, **weights)
    close(fusion(inputs), outputs["z"])


@both
def test_the_product_of_experts_is_that_of_multibench(dtype):
    inputs, _, outputs = case("poe_with_prior", dtype)
    mean, log_variance = fu.product_of_experts(
        {"1": inputs["mu1"], "2": inputs["mu2"]}, {"1": inputs["logvar1"], "2": inputs["logvar2"]}
    )
    close(mean, outputs["mu"])
    close(log_variance, outputs["logvar"])


# ---- equations written out ------------------------------------------------------------------------------------------


def test_sum_is_concat_with_the_same_weights():
    fusion, x = build("sum"), inputs_of("sum")
    weight = torch.cat([fusion.maps[m].weight for m in x], 1)
    bias = sum(fusion.maps[m].bias for m in x)
    torch.testing.assert_close(fusion(x), F.linear(torch.cat(list(x.values()), 1), weight, bias))


def test_product_multiplies_the_projections():
    fusion, x = build("product"), inputs_of("product")
    expected = fusion.maps["image"](x["image"]) * fusion.maps["text"](x["text"]) * fusion.maps["audio"](x["audio"])
    torch.testing.assert_close(fusion(x), expected)
    some = fusion(x, present=absent("text"))
    torch.testing.assert_close(some, fusion.maps["image"](x["image"]) * fusion.maps["audio"](x["audio"]))
    torch.testing.assert_close(fusion(x, present=absent(*x)), torch.ones_like(some))


def test_sum_of_nothing_is_zero_and_an_absent_modality_brings_no_bias():
    fusion, x = build("sum"), inputs_of("sum")
    torch.testing.assert_close(fusion(x, present=absent("text", "audio")), fusion.maps["image"](x["image"]))
    assert not fusion(x, present=absent(*x)).any()


def test_attention_weighs_the_projections():
    fusion, x = build("attention"), inputs_of("attention")
    a = torch.softmax(fusion.attention(torch.cat(list(x.values()), 1)), 1)
    torch.testing.assert_close(fusion.weights(x), a)
    expected = sum(a[:, i : i + 1] * fusion.maps[m](x[m]) for i, m in enumerate(x))
    torch.testing.assert_close(fusion(x), expected)
    alone = fusion(x, present=absent("image", "audio"))
    torch.testing.assert_close(alone, fusion.maps["text"](x["text"]))
    assert fusion.weights(x, absent("image", "audio")).tolist() == [[0, 1, 0]] * 6
    assert not fusion(x, present=absent(*x)).any() and not fusion.weights(x, absent(*x)).any()


def test_late_fusion_averages_log_probabilities():
    fusion, x = build("late"), inputs_of("late")
    logits = {m: fusion.heads[m](x[m]) for m in x}
    for m, ours in fusion.logits(x).items():
        torch.testing.assert_close(ours, logits[m])
    torch.testing.assert_close(fusion(x), sum(v.log_softmax(1) for v in logits.values()) / 3)
    two = fusion(x, present=absent("audio"))
    torch.testing.assert_close(two, (logits["image"].log_softmax(1) + logits["text"].log_softmax(1)) / 2)
    nothing = fusion(x, present=absent(*x))
    torch.testing.assert_close(nothing, torch.full_like(nothing, -math.log(5)))
    assert not fusion.logits(x, absent("text"))["text"].any()


def test_late_fusion_of_logits_is_one_linear_map_of_the_concatenation():
    fusion, x = build("late logits"), inputs_of("late logits")
    weight = torch.cat([fusion.heads[m].weight for m in x], 1)
    bias = sum(fusion.heads[m].bias for m in x)
    torch.testing.assert_close(fusion(x), F.linear(torch.cat(list(x.values()), 1), weight, bias))
    assert not fusion(x, present=absent(*x)).any()


def test_the_default_of_late_fusion_averages_log_probabilities():
    assert fu.LateFusion(TWO, 2).combine == "log_probabilities"
    with pytest.raises(ValueError, match="combine must be one of 'log_probabilities', 'logits', got 'vote'"):
        fu.LateFusion(TWO, 2, combine="vote")


def test_late_fusion_loss_is_the_sum_of_the_heads_own_losses():
    generator = torch.Generator().manual_seed(0)
    logits = {m: torch.randn(6, 4, generator=generator) for m in ("image", "text")}
    target = torch.tensor([0, 1, 2, 3, 0, 1])
    expected = F.cross_entropy(logits["image"], target) + F.cross_entropy(logits["text"], target)
    torch.testing.assert_close(fu.late_fusion_loss(logits, target), expected)
    some = torch.tensor([True, False, True, False, False, False])
    logits["text"][~some] = torch.nan
    expected = F.cross_entropy(logits["image"], target) + F.cross_entropy(logits["text"][some], target[some])
    torch.testing.assert_close(fu.late_fusion_loss(logits, target, {"text": some}), expected)
    none = fu.late_fusion_loss(logits, target, {"text": torch.zeros(6, dtype=torch.bool)})
    torch.testing.assert_close(none, F.cross_entropy(logits["image"], target))
    with pytest.raises(ValueError, match=r"logits\['image'\] must have shape \(6, K\), got \(5, 4\)"):
        fu.late_fusion_loss({"image": logits["image"][:5]}, target)


def test_late_fusion_loss_trains_each_head_as_if_it_were_alone():
    fusion, x = build("late"), inputs_of("late")
    target = torch.tensor([0, 1, 2, 3, 4, 0])
    fu.late_fusion_loss(fusion.logits(x), target).backward()
    together = fusion.heads["text"].weight.grad.clone()
    fusion.zero_grad()
    F.cross_entropy(fusion.heads["text"](x["text"]), target).backward()
    torch.testing.assert_close(together, fusion.heads["text"].weight.grad)


def test_early_fusion_averages_over_the_real_steps():
    fusion, x = build("early"), inputs_of("early")
    steps = torch.cat(list(x.values()), -1)
    torch.testing.assert_close(fusion(x), fusion.encoder(steps).relu().mean(1))
    masks = {m: torch.tensor([[True, True, False, True, False, False]]).expand(6, -1) for m in x}
    torch.testing.assert_close(fusion(x, masks=masks), fusion.encoder(steps[:, [0, 1, 3]]).relu().mean(1))
    masks["text"] = torch.tensor([[True, False, False, False, True, False]]).expand(6, -1)
    steps = torch.cat([v * masks[m][..., None] for m, v in x.items()], -1)[:, [0, 1, 3, 4]]
    torch.testing.assert_close(fusion(x, masks=masks), fusion.encoder(steps).relu().mean(1))
    nothing = {m: torch.zeros(6, 6, dtype=torch.bool) for m in x}
    assert not fusion(x, masks=nothing).any()


def test_early_fusion_with_a_gru_reads_the_real_steps_in_order():
    fusion, x = build("early gru"), inputs_of("early gru")
    steps = torch.cat(list(x.values()), -1)
    torch.testing.assert_close(fusion(x), fusion.encoder(steps)[0][:, -1])
    masks = {m: torch.tensor([[False, True, False, True, True, False]]).expand(6, -1) for m in x}
    torch.testing.assert_close(fusion(x, masks=masks), fusion.encoder(steps[:, [1, 3, 4]])[0][:, -1])
    with pytest.raises(ValueError, match="over_time must be one of 'mean', 'gru', got 'lstm'"):
        fu.EarlyFusion(TWO, 2, over_time="lstm")


@pytest.mark.parametrize("name", ["early", "early gru"])
def test_early_fusion_never_looks_at_a_padded_step(name):
    fusion, x = build(name), inputs_of(name)
    masks = {"text": torch.tensor([[True, True, True, False, True, False]]).expand(6, -1)}
    expected = fusion(x, masks=masks)
    x["text"][:, [3, 5]] = torch.nan
    torch.testing.assert_close(fusion(x, masks=masks), expected, rtol=0, atol=0)


def test_early_fusion_needs_one_clock():
    fusion, x = build("early"), inputs_of("early")
    with pytest.raises(
        ValueError, match=r"same number of steps in every modality, got \{'image': 6, 'text': 5, 'audio': 6\}"
    ):
        fusion({**x, "text": x["text"][:, :5]})


def test_gated_fusion_opens_and_closes_what_the_others_say():
    fusion, x = build("gated"), inputs_of("gated")
    gate = torch.sigmoid(fusion.maps["image"](x["image"]))  # the first modality by default
    others = fusion.maps["text"](x["text"]) + fusion.maps["audio"](x["audio"])
    torch.testing.assert_close(fusion(x), fusion.out(gate * others))
    torch.testing.assert_close(fusion(x, present=absent("image")), fusion.out(others))
    torch.testing.assert_close(fusion(x, present=absent("text")), fusion.out(gate * fusion.maps["audio"](x["audio"])))
    alone = fusion(x, present=absent("text", "audio"))
    torch.testing.assert_close(alone, fusion.out.bias.expand_as(alone))


def test_gated_fusion_normalises_first_where_asked():
    fusion, x = build("gated normalised"), inputs_of("gated normalised")
    h = {m: F.layer_norm(v, v.shape[1:], fusion.norms[m].weight, fusion.norms[m].bias) for m, v in x.items()}
    gate = torch.sigmoid(fusion.maps["text"](h["text"]))
    others = fusion.maps["image"](h["image"]) + fusion.maps["audio"](h["audio"])
    torch.testing.assert_close(fusion(x), fusion.out(gate * others))
    assert fusion.out.in_features == 6
    with pytest.raises(ValueError, match="gate must be one of 'image', 'text', got 'smell'"):
        fu.GatedFusion(TWO, 2, gate="smell")


def test_a_gate_from_zero_begins_half_open():
    fusion = fu.GatedFusion(TWO, 5, zero_init=True).double()
    x = pair()
    torch.testing.assert_close(fusion(x), fusion.out(0.5 * fusion.maps["text"](x["text"])))
    assert fu.GatedFusion(TWO, 5).maps["image"].weight.any()


def test_for_two_modalities_the_gated_unit_is_the_paper_s():
    unit, x = fu.GMU(TWO, 5).double(), pair()
    h1, h2 = torch.tanh(unit.maps["image"](x["image"])), torch.tanh(unit.maps["text"](x["text"]))
    z = torch.sigmoid(unit.gate(torch.cat([x["image"], x["text"]], 1)))
    torch.testing.assert_close(unit(x), z * h1 + (1 - z) * h2)
    torch.testing.assert_close(unit.gates(x), torch.stack([z, 1 - z], 1))
    torch.testing.assert_close(unit(x, present=absent("image")), h2)
    torch.testing.assert_close(unit(x, present=absent("text")), h1)
    assert not unit(x, present=absent("image", "text")).any()


def test_for_three_modalities_the_gates_of_the_unit_sum_to_one():
    unit, x = build("gmu"), inputs_of("gmu")
    gates = unit.gates(x)
    assert gates.shape == (6, 3, 5)
    torch.testing.assert_close(gates.sum(1), torch.ones(6, 5, dtype=torch.float64))
    h = torch.stack([torch.tanh(unit.maps[m](x[m])) for m in x], 1)
    torch.testing.assert_close(unit(x), (gates * h).sum(1))
    without = unit.gates(x, absent("text"))
    assert not without[:, 1].any()
    torch.testing.assert_close(without.sum(1), torch.ones(6, 5, dtype=torch.float64))
    start = fu.GMU(TWO, 5, zero_init=True).double()
    torch.testing.assert_close(start.gates(pair()), torch.full((6, 2, 5), 0.5, dtype=torch.float64))


def test_normalised_the_unit_does_not_care_how_loud_a_modality_is():
    unit, x = fu.GMU(TWO, 5, normalise=True).double(), pair()
    torch.testing.assert_close(unit({**x, "image": 1000 * x["image"]}), unit(x), atol=1e-3, rtol=1e-3)


def test_the_adaptation_gate_shifts_the_anchor():
    mag, x = build("mag by text"), inputs_of("mag by text")
    t = x["text"]
    h = mag.bias
    for m in ("image", "audio"):
        h = h + torch.relu(mag.gates[m](torch.cat([x[m], t], 1))) * (x[m] @ mag.maps[m].weight.T)
    alpha = torch.minimum(0.5 * t.norm(dim=1) / h.norm(dim=1), torch.ones(6, dtype=torch.float64))
    assert (alpha < 1).any(), "the bound must bind somewhere"
    expected = mag.out(F.layer_norm(t + alpha[:, None] * h, (4,), mag.norm.weight, mag.norm.bias))
    torch.testing.assert_close(mag(x), expected)


def test_the_adaptation_gate_shifts_by_h_itself_where_that_is_small():
    mag, x = build("mag"), inputs_of("mag")
    with torch.no_grad():
        for linear in mag.maps.values():
            linear.weight.mul_(1e-3)
        mag.bias.mul_(1e-3)
    v = x["image"]
    h = mag.bias
    for m in ("text", "audio"):
        h = h + torch.relu(mag.gates[m](torch.cat([x[m], v], 1))) * mag.maps[m](x[m])
    torch.testing.assert_close(mag(x), mag.out(mag.norm(v + h)))


def test_the_adaptation_gate_begins_with_the_anchor_alone_from_zero():
    x = pair()
    start = fu.MAG(TWO, 4, anchor="text", zero_init=True).double()
    torch.testing.assert_close(start(x), F.layer_norm(x["text"], (4,)))
    assert (fu.MAG(TWO, 4, anchor="text").double()(x) - start(x)).abs().max() > 1e-3
    assert fu.MAG(TWO, 4).anchor == "image" and fu.MAG(TWO, 4).beta == 1.0
    nothing = build("mag")
    out = nothing(inputs_of("mag"), present=absent("image", "text", "audio"))
    torch.testing.assert_close(out, nothing.out(nothing.norm.bias).expand_as(out))
    for bad, message in (
        (dict(anchor="smell"), "anchor must be one of 'image', 'text', got 'smell'"),
        (dict(beta=0), "beta must be above 0, got 0"),
        (dict(dropout=1.5), "dropout must be between 0 and 1, got 1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            fu.MAG(TWO, 4, **bad)


def test_dropout_of_the_adaptation_gate_acts_in_training_alone():
    mag, x = fu.MAG({"image": 40, "text": 40}, 40, dropout=0.5), {m: torch.randn(6, 40) for m in TWO}
    assert (mag(x) == 0).float().mean() > 0.3
    assert (mag.eval()(x) != 0).all()
    assert not (fu.MAG({"image": 40, "text": 40}, 40)(x) == 0).any()


def test_film_scales_and_shifts_every_feature():
    film, x = build("film"), inputs_of("film")
    gamma, beta = film.modulate(x["text"]).chunk(2, 1)  # the second modality by default
    h = film.project(x["image"])
    torch.testing.assert_close(film(x), (1 + gamma) * h + beta)
    torch.testing.assert_close(film(x, present=absent("text")), h)
    torch.testing.assert_close(film(x, present=absent("image")), beta)
    assert not film(x, present=absent("image", "text")).any()


def test_film_takes_either_modality_as_condition():
    film, x = build("film by image"), inputs_of("film by image")
    gamma, beta = film.modulate(x["image"]).chunk(2, 1)
    torch.testing.assert_close(film(x), (1 + gamma) * F.layer_norm(film.project(x["text"]), (5,)) + beta)
    with pytest.raises(ValueError, match="condition must be one of 'image', 'text', got 'smell'"):
        fu.FiLM(TWO, 5, condition="smell")


def test_film_begins_with_the_features_alone_from_zero():
    film, x = fu.FiLM(TWO, 5, zero_init=True).double(), pair()
    torch.testing.assert_close(film(x), film.project(x["image"]))
    assert fu.FiLM(TWO, 5).modulate.weight.any() and fu.FiLM(TWO, 5).modulate.bias.any()


def test_low_rank_bilinear_pooling_multiplies_tanhs():
    fusion, x = build("mlb"), inputs_of("mlb")
    h = {m: torch.tanh(fusion.maps[m](x[m])) for m in x}
    torch.testing.assert_close(fusion(x), fusion.out(h["image"] * h["text"] * h["audio"]))
    torch.testing.assert_close(fusion(x, present=absent("text")), fusion.out(h["image"] * h["audio"]))
    nothing = fusion(x, present=absent(*x))
    torch.testing.assert_close(nothing, fusion.out(torch.ones_like(nothing)))
    assert fu.MLB(TWO, 5, rank=7).out.in_features == 7
    with pytest.raises(ValueError, match="rank must be above 0, got 0"):
        fu.MLB(TWO, 5, rank=0)


def test_factorised_bilinear_pooling_sums_products_in_groups():
    fusion, x = build("mfb"), inputs_of("mfb")
    product = fusion.maps["image"](x["image"]) * fusion.maps["text"](x["text"]) * fusion.maps["audio"](x["audio"])
    s = torch.stack([product[:, 5 * o : 5 * o + 5].sum(1) for o in range(5)], 1)
    root = s.sign() * s.abs().sqrt()
    torch.testing.assert_close(fusion(x), root / root.norm(dim=1, keepdim=True), atol=1e-6, rtol=1e-6)
    bare = build("mfb bare")
    product = bare.maps["image"](x["image"]) * bare.maps["text"](x["text"]) * bare.maps["audio"](x["audio"])
    torch.testing.assert_close(bare(x), product[:, 0::2] + product[:, 1::2])
    torch.testing.assert_close(bare(x, present=absent(*x)), torch.full((6, 5), 2.0, dtype=torch.float64))


def test_the_signed_root_has_a_finite_slope_at_zero():
    fusion = fu.MFB(TWO, 5)
    with torch.no_grad():
        for p in fusion.maps["image"].parameters():
            p.zero_()
    fusion({m: x.float() for m, x in pair().items()}).sum().backward()
    assert all(p.grad.isfinite().all() for p in fusion.parameters())


def test_options_of_factorised_bilinear_pooling():
    assert fu.MFB(TWO, 5).factors == 5
    x = {m: v.float() for m, v in pair(batch=50).items()}
    dropping = fu.MFB(TWO, 8, factors=1, dropout=0.5, normalise=False)
    assert 0.3 < (dropping(x) == 0).float().mean() < 0.7 and (dropping.eval()(x) != 0).all()
    assert not (fu.MFB(TWO, 8, factors=1, normalise=False)(x) == 0).any()
    with pytest.raises(ValueError, match="factors must be above 0, got 0"):
        fu.MFB(TWO, 5, factors=0)
    with pytest.raises(ValueError, match=r"dropout must be between 0 and 1, got -0\.1"):
        fu.MFB(TWO, 5, dropout=-0.1)


def test_tensor_fusion_refuses_what_would_not_fit():
    with pytest.raises(ValueError, match=r"of \{'a': 99, 'b': 99\} has 10,000 numbers, more than limit=9,999"):
        fu.TensorFusion({"a": 99, "b": 99}, 2, limit=9_999)
    assert fu.TensorFusion({"a": 99, "b": 99}, 1, limit=10_000).linear.in_features == 10_000
    with torch.device("meta"):
        fu.TensorFusion({"a": 999, "b": 999}, 1)
        with pytest.raises(ValueError, match="limit=1,000,000"):
            fu.TensorFusion({"a": 999, "b": 1000}, 1)


def test_without_the_others_tensor_fusion_is_linear_in_what_is_left():
    fusion, x = build("tensor"), inputs_of("tensor")
    alone = fusion(x, present=absent("text", "audio"))
    columns = [0, 15, 30, 45]  # image runs slowest: its numbers stand where text and audio are at their constant 1
    expected = F.linear(F.pad(x["image"], (1, 0), value=1), fusion.linear.weight[:, columns], fusion.linear.bias)
    torch.testing.assert_close(alone, expected)


def test_low_rank_tensor_fusion_is_tensor_fusion_with_the_tensor_it_stands_for():
    low, x = build("low rank"), inputs_of("low rank")
    full = fu.TensorFusion(low.dims, 5).double()
    f = low.factors
    tensor = torch.einsum("r,rio,rjo,rko->oijk", low.rank_weights, f["image"], f["text"], f["audio"])
    load(full, linear__weight=tensor.flatten(1), linear__bias=low.bias)
    torch.testing.assert_close(low(x), full(x))
    assert fu.LowRankTensorFusion(TWO, 5).rank == 4
    with pytest.raises(ValueError, match="rank must be above 0, got 0"):
        fu.LowRankTensorFusion(TWO, 5, rank=0)


def test_at_full_rank_low_rank_tensor_fusion_is_any_tensor_fusion():
    # One term a product of one number of each modality: R = 4 · 5 terms say everything about two modalities.
    full, x = fu.TensorFusion(TWO, 1).double(), pair()
    low = fu.LowRankTensorFusion(TWO, 1, rank=20).double()
    image, text = torch.zeros(20, 4, 1), torch.zeros(20, 5, 1)
    for r in range(20):
        image[r, r // 5], text[r, r % 5] = 1, 1
    load(low, factors__image=image, factors__text=text, rank_weights=full.linear.weight[0], bias=full.linear.bias)
    torch.testing.assert_close(low(x), full(x))


def test_interactions_with_one_side_absent_are_a_linear_map_of_the_other():
    fusion, x = build("interactions matrix"), inputs_of("interactions matrix")
    torch.testing.assert_close(fusion(x, present=absent("image")), x["text"] @ fusion.V + fusion.b)
    torch.testing.assert_close(fusion(x, present=absent("text")), x["image"] @ fusion.U + fusion.b)
    assert fu.MultiplicativeInteractions(TWO, 5).kind == "matrix"
    with pytest.raises(ValueError, match="kind must be one of 'matrix', 'vector', 'scalar', got 'tensor'"):
        fu.MultiplicativeInteractions(TWO, 5, kind="tensor")


@pytest.mark.parametrize("kind", ["vector", "scalar"])
def test_smaller_interactions_end_in_a_linear_layer_where_another_width_is_asked_for(kind):
    fusion, x = build(f"interactions {kind}"), inputs_of(f"interactions {kind}")
    s = (x["image"] @ fusion.W + fusion.V) * x["text"] + x["image"] @ fusion.U + fusion.b
    torch.testing.assert_close(fusion(x), fusion.out(s))
    torch.testing.assert_close(fusion(x, present=absent("image")), fusion.out(fusion.V * x["text"] + fusion.b))
    fresh = fu.MultiplicativeInteractions(TWO, 5, kind=kind)
    assert (fresh.V == 1).all() and not fresh.b.any()


@pytest.mark.parametrize("kind", ["matrix", "vector", "scalar"])
def test_interactions_begin_with_numbers_as_large_as_their_inputs(kind):
    torch.manual_seed(0)
    dims = {"image": 60, "text": 80}
    fusion = fu.MultiplicativeInteractions(dims, 80, kind=kind)
    out = fusion({m: torch.randn(200, d) for m, d in dims.items()})
    assert 1.5 < out.std() < 1.95  # √3 = 1.73 for three terms of variance 1; without one of them √2 = 1.41


# ---- experts --------------------------------------------------------------------------------------------------------


def test_a_mixture_weighs_the_answers_of_its_experts():
    fusion, x = build("mixture"), inputs_of("mixture")
    together = torch.cat(list(x.values()), 1)
    g = torch.softmax(fusion.gate(together), 1)
    torch.testing.assert_close(fusion.weights(x), g)
    seen = [*x.values(), together]
    expected = sum(g[:, e : e + 1] * fusion.experts[e](seen[e]) for e in range(4))
    torch.testing.assert_close(fusion(x), expected)
    without = fusion.weights(x, absent("text"))
    assert not without[:, 1].any() and (without[:, [0, 2, 3]] > 0).all()
    torch.testing.assert_close(without.sum(1), torch.ones(6, dtype=torch.float64))
    assert not fusion(x, present=absent(*x)).any()


def test_an_expert_is_a_hidden_layer_of_its_width():
    expert = fu.MixtureOfExperts(TWO, 5, width=7).experts[1]
    assert [type(layer).__name__ for layer in expert] == ["Linear", "ReLU", "Linear"]
    assert (expert[0].in_features, expert[0].out_features, expert[2].out_features) == (4, 7, 5)
    assert fu.MixtureOfExperts(TWO, 5).experts[2][0].in_features == 7  # the joint one sees both


def test_the_top_k_experts_share_all_the_weight():
    fusion, x = build("mixture top 2"), inputs_of("mixture top 2", batch=30)
    g, scores = fusion.weights(x), fusion.gate(torch.cat(list(x.values()), 1))
    assert ((g > 0).sum(1) == 2).all()
    best = scores.topk(2, 1)
    torch.testing.assert_close(g.gather(1, best.indices), best.values.softmax(1))
    only_text = fusion.weights({m: v[:6] for m, v in x.items()}, absent("image", "audio"))
    assert not only_text[:, [0, 2]].any()
    torch.testing.assert_close(only_text.sum(1), torch.ones(6, dtype=torch.float64))


def test_a_top_k_above_the_experts_there_are_there_keeps_them_all():
    fusion = fu.MixtureOfExperts(TWO, 5, joint=0, top_k=2).double()
    assert fusion.weights(pair(), absent("image")).tolist() == [[0, 1]] * 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(joint=-1), "joint must be 0 or more, got -1"),
        (dict(top_k=1), "top_k must be between 2 and 3, got 1"),
        (dict(top_k=4), "top_k must be between 2 and 3, got 4"),
        (dict(width=0), "width must be above 0, got 0"),
    ],
)
def test_a_mixture_says_what_it_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        fu.MixtureOfExperts(TWO, 5, **options)


def test_balance_loss_is_zero_for_equal_work_and_e_minus_1_for_one_expert_alone():
    assert fu.balance_loss(torch.full((8, 4), 0.25)) == 0
    alone = torch.zeros(8, 4)
    alone[:, 2] = 1
    torch.testing.assert_close(fu.balance_loss(alone), torch.tensor(3.0))
    g = torch.tensor([[0.7, 0.3], [0.6, 0.4]])
    torch.testing.assert_close(fu.balance_loss(g), torch.tensor(0.3**2))  # 1.3 and .7: mean 1, deviation .3
    assert fu.balance_loss(torch.zeros(3, 2)) == 0
    with pytest.raises(ValueError, match=r"weights must have shape \(B, E\), got \(4,\)"):
        fu.balance_loss(torch.zeros(4))


def test_the_product_of_gaussians_is_the_gaussian_of_their_densities():
    x = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    beliefs = {"a": (0.5, 0.3), "b": (-1.0, 1.2), "c": (2.0, 0.7)}  # mean, variance
    density = torch.exp(-(x**2) / 2)
    for mu, var in beliefs.values():
        density = density * torch.exp(-((x - mu) ** 2) / (2 * var))
    density = density / density.sum()
    mean, variance = (density * x).sum(), (density * x**2).sum() - (density * x).sum() ** 2
    one = {m: torch.tensor([[v]], dtype=torch.float64) for m, (v, _) in beliefs.items()}
    log_var = {m: torch.tensor([[math.log(v)]], dtype=torch.float64) for m, (_, v) in beliefs.items()}
    ours = fu.product_of_experts(one, log_var)
    torch.testing.assert_close(ours[0].squeeze(), mean, atol=1e-7, rtol=0)
    torch.testing.assert_close(ours[1].exp().squeeze(), variance, atol=1e-7, rtol=0)


def test_an_absent_expert_says_nothing_and_the_prior_answers_for_nobody():
    generator = torch.Generator().manual_seed(0)
    mean = {m: torch.randn(6, 3, generator=generator) for m in TWO}
    log_var = {m: torch.randn(6, 3, generator=generator) for m in TWO}
    only = fu.product_of_experts({"text": mean["text"]}, {"text": log_var["text"]})
    spoiled = {**mean, "image": mean["image"] * torch.nan}
    for ours, expected in zip(fu.product_of_experts(spoiled, log_var, absent("image")), only):
        torch.testing.assert_close(ours, expected)
    mu, lv = fu.product_of_experts(mean, log_var, absent("image", "text"))
    assert not mu.any()
    torch.testing.assert_close(lv, torch.zeros(6, 3), atol=1e-6, rtol=0)
    mu, lv = fu.product_of_experts(mean, log_var, absent("image", "text"), prior=False)
    assert not mu.any()
    torch.testing.assert_close(lv, torch.full((6, 3), -math.log(1e-8)))


def test_one_expert_without_a_prior_is_itself():
    mean, log_var = torch.tensor([[0.3, -2.0]]), torch.tensor([[0.1, -1.0]])
    mu, lv = fu.product_of_experts({"a": mean}, {"a": log_var}, prior=False)
    torch.testing.assert_close(mu, mean)
    torch.testing.assert_close(lv, log_var)


def test_product_of_experts_says_what_is_wrong():
    zero = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"must name the same modalities, got \['a'\] and \['b'\]"):
        fu.product_of_experts({"a": zero}, {"b": zero})
    with pytest.raises(ValueError, match=r"must name the same modalities, got \[\] and \[\]"):
        fu.product_of_experts({}, {})
    with pytest.raises(ValueError, match=r"mean\['a'\] and log_variance\['a'\] must have the same shape, got \(2, 3\)"):
        fu.product_of_experts({"a": zero}, {"a": zero[:, :1]})
    with pytest.raises(ValueError, match="eps must be above 0, got 0"):
        fu.product_of_experts({"a": zero}, {"a": zero}, eps=0)


@pytest.mark.parametrize(("name", "prior"), [("experts", True), ("experts bare", False)])
def test_the_fusion_by_experts_gives_the_mean_of_the_joint_belief(name, prior):
    fusion, x = build(name), inputs_of(name)
    mean = {m: fusion.means[m](v) for m, v in x.items()}
    log_variance = {m: fusion.log_variances[m](v) for m, v in x.items()}
    expected = fu.product_of_experts(mean, log_variance, prior=prior)
    torch.testing.assert_close(fusion(x), expected[0])
    for ours, theirs in zip(fusion.distribution(x), expected):
        torch.testing.assert_close(ours, theirs)
    less = fusion.distribution(x, absent("text"))
    torch.testing.assert_close(fusion(x, present=absent("text")), less[0])
    assert (less[1] > expected[1]).all(), "one voice fewer, less sure"
    assert fu.ProductOfExperts(TWO, 2).prior
