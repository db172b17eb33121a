"""InfoNCE, CLIP and SigLIP: numbers from open_clip and TorchMultimodal, limits, false negatives, the temperature."""

from __future__ import annotations

import math

import pytest
import torch
from alignment_cases import DTYPES, case, close, embeddings
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mmteach.alignment import LogTemperature, clip_loss, clip_loss_chunked, info_nce, same_item, siglip_loss

few = settings(max_examples=10, deadline=None)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def with_gradients(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: x.requires_grad_() for name, x in inputs.items()}


# ── numbers from elsewhere ──


@each_dtype
@pytest.mark.parametrize("name", ["clip", "clip_bias"])
def test_clip_equals_open_clip_and_so_do_its_gradients(name, dtype):
    inputs, expected = case(name, dtype)
    inputs = with_gradients(inputs)
    loss = clip_loss(**inputs)
    loss.backward()
    close(loss, expected["loss"])
    for argument, x in inputs.items():
        close(x.grad, expected[f"d_{argument}"])


@each_dtype
def test_siglip_equals_open_clip_and_so_do_its_gradients(dtype):
    inputs, expected = case("siglip", dtype)
    inputs = with_gradients(inputs)
    loss = siglip_loss(**inputs)
    loss.backward()
    close(loss, expected["loss"])
    for argument, x in inputs.items():
        close(x.grad, expected[f"d_{argument}"])


@each_dtype
def test_a_model_that_knows_nothing_scores_ln_n(dtype):
    inputs, expected = case("clip_uninformative", dtype)
    close(clip_loss(**inputs), expected["loss"])
    close(clip_loss(**inputs), torch.tensor(math.log(5), dtype=torch.float64))


@each_dtype
def test_a_batch_of_one_costs_nothing_whatever_the_embeddings(dtype):
    inputs, expected = case("clip_batch_of_one", dtype)
    close(clip_loss(**inputs), expected["loss"])
    assert expected["loss"] == 0


@each_dtype
def test_masked_pairs_ask_nothing_but_stay_candidates(dtype):
    inputs, expected = case("clip_masked", dtype)
    image, text, mask = inputs["image"], inputs["text"], inputs["mask"].bool()
    scale = inputs["logit_scale"].exp()
    close(clip_loss(image, text, scale, mask=mask), expected["loss"])
    close(info_nce(image, text, scale, query_present=mask), expected["loss_a"])
    close(info_nce(text, image, scale, query_present=mask), expected["loss_b"])


@each_dtype
def test_label_smoothing_equals_torchmultimodal(dtype):
    inputs, expected = case("clip_label_smoothing", dtype)
    scale = inputs["logit_scale"].exp()
    close(clip_loss(inputs["image"], inputs["text"], scale, label_smoothing=0.1), expected["loss"])


# ── limits and closed forms ──


def test_clip_is_torch_cross_entropy_both_ways():
    image, text = embeddings(2, 5, 4)
    scores = 3 * image @ text.T
    expected = (F.cross_entropy(scores, torch.arange(5)) + F.cross_entropy(scores.T, torch.arange(5))) / 2
    torch.testing.assert_close(clip_loss(image, text, 3.0), expected)


def test_clip_is_info_nce_both_ways_with_the_scores_made_once():
    torch.manual_seed(7)
    image, text = F.normalize(torch.randn(2, 6, 4, dtype=torch.float64), dim=-1)
    there, weights = torch.arange(6) < 5, torch.rand(6, 6, dtype=torch.float64)
    ignored, settings = weights < 0.3, {"key_present": there, "query_present": there, "label_smoothing": 0.1}
    forth = info_nce(image, text, 3.0, ignore=ignored, targets=weights, **settings)
    back = info_nce(text, image, 3.0, ignore=ignored.T, targets=weights.T, **settings)
    with FlopCounterMode(display=False) as counter:
        ours = clip_loss(image, text, 3.0, present=there, ignore=ignored, targets=weights, label_smoothing=0.1)
    torch.testing.assert_close(ours, (forth + back) / 2)
    assert counter.get_total_flops() == 2 * 6 * 6 * 4  # one product of two matrices


@given(seed=st.integers(0, 2**30))
@few
def test_temperature_to_zero_leaves_the_hardest_negative(seed):
    image, text = embeddings(2, 6, 4, seed)
    scores = image @ text.T
    regret = (scores.amax(1) - scores.diagonal()).mean() / 2 + (scores.amax(0) - scores.diagonal()).mean() / 2
    torch.testing.assert_close(clip_loss(image, text, 1e7) / 1e7, regret, atol=1e-6, rtol=1e-6)


@given(seed=st.integers(0, 2**30), batch=st.integers(1, 9))
@few
def test_temperature_to_infinity_leaves_ln_n(seed, batch):
    image, text = embeddings(2, batch, 4, seed)
    assert clip_loss(image, text, 1e-9).item() == pytest.approx(math.log(batch), abs=1e-7)


@given(seed=st.integers(0, 2**30), bias=st.floats(-50, 50))
@few
def test_a_bias_changes_clip_nothing(seed, bias):
    image, text = embeddings(2, 6, 4, seed)
    torch.testing.assert_close(clip_loss(image, text, 5.0, bias), clip_loss(image, text, 5.0))


@given(seed=st.integers(0, 2**30))
@few
def test_rotating_the_space_changes_nothing(seed):
    image, text = embeddings(2, 6, 4, seed)
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))[0]
    torch.testing.assert_close(clip_loss(image @ turn, text @ turn, 5.0), clip_loss(image, text, 5.0))
    torch.testing.assert_close(siglip_loss(image @ turn, text @ turn, 5.0, -2.0), siglip_loss(image, text, 5.0, -2.0))


def test_full_smoothing_asks_for_the_uniform_distribution():
    image, text = embeddings(2, 5, 4)
    log_p = (4 * image @ text.T).log_softmax(1)
    torch.testing.assert_close(info_nce(image, text, 4.0, label_smoothing=1.0), -log_p.mean())


# ── InfoNCE in one direction: queues and gathered candidates ──


def test_more_keys_than_queries_are_more_candidates():
    query, key, queue = embeddings(3, 4, 3)
    keys = torch.cat([key, queue])
    expected = F.cross_entropy(2 * query @ keys.T, torch.arange(4))
    torch.testing.assert_close(info_nce(query, keys, 2.0), expected)


def test_match_says_where_each_query_finds_its_own():
    query, other, key = embeddings(3, 4, 3)
    gathered = torch.cat([other, key])  # this process's keys come second
    expected = F.cross_entropy(2 * query @ gathered.T, torch.arange(4) + 4)
    torch.testing.assert_close(info_nce(query, gathered, 2.0, match=torch.arange(4) + 4), expected)
    # With `match`, fewer keys than queries will do: four queries, one class of two each.
    few_keys = key[:2]
    match = torch.tensor([0, 1, 1, 0])
    torch.testing.assert_close(
        info_nce(query, few_keys, 2.0, match=match), F.cross_entropy(2 * query @ few_keys.T, match)
    )


def test_absent_keys_are_no_candidates_whatever_stands_there():
    query, key = embeddings(2, 4, 3)
    queue = torch.full((2, 3), math.nan, dtype=torch.float64)
    key_present = torch.tensor([True] * 4 + [False] * 2)
    ours = info_nce(query, torch.cat([key, queue]), 2.0, key_present=key_present)
    torch.testing.assert_close(ours, info_nce(query, key, 2.0))
    smoothed = info_nce(query, torch.cat([key, queue]), 2.0, key_present=key_present, label_smoothing=0.2)
    torch.testing.assert_close(smoothed, info_nce(query, key, 2.0, label_smoothing=0.2))


def test_absent_queries_do_not_count_whatever_stands_there():
    query, key = embeddings(2, 4, 3)
    expected = F.cross_entropy(2 * query @ key.T, torch.arange(4), reduction="none")[:3].mean()
    query[3] = math.nan
    present = torch.tensor([True, True, True, False])
    torch.testing.assert_close(info_nce(query, key, 2.0, query_present=present), expected)


def test_mask_and_present_together():
    image, text = embeddings(2, 6, 4)
    mask = torch.tensor([True, False, True, True, True, True])
    present = torch.tensor([True, True, True, True, False, True])
    together = clip_loss(image, text, 3.0, mask=mask, present=present)
    torch.testing.assert_close(together, clip_loss(image[present], text[present], 3.0, mask=mask[present]))


# ── false negatives ──


def test_same_item_is_true_where_ids_are_equal():
    assert same_item(torch.tensor([2, 5, 2])).tolist() == [
        [True, False, True],
        [False, True, False],
        [True, False, True],
    ]
    with pytest.raises(ValueError, match=r"^ids must have shape \(B,\)"):
        same_item(torch.zeros(2, 2))


def test_ignored_duplicates_are_no_negatives():
    image, text = embeddings(2, 4, 3)
    ignore = same_item(torch.tensor([0, 1, 0, 2]))
    scores = 3 * image @ text.T
    without = scores.clone()
    without[0, 2] = without[2, 0] = -math.inf
    expected = (F.cross_entropy(without, torch.arange(4)) + F.cross_entropy(without.T, torch.arange(4))) / 2
    torch.testing.assert_close(clip_loss(image, text, 3.0, ignore=ignore), expected)


def test_ignore_is_read_with_images_in_rows():
    image, text = embeddings(2, 3, 3)
    ignore = torch.zeros(3, 3, dtype=torch.bool)
    ignore[0, 1] = True  # image 0 with text 1, and not image 1 with text 0
    scores = 3 * image @ text.T
    scores[0, 1] = -math.inf
    expected = (F.cross_entropy(scores, torch.arange(3)) + F.cross_entropy(scores.T, torch.arange(3))) / 2
    torch.testing.assert_close(clip_loss(image, text, 3.0, ignore=ignore), expected)


def test_ignoring_everything_leaves_the_match_alone():
    image, text = embeddings(2, 4, 3)
    assert clip_loss(image, text, 3.0, ignore=torch.ones(4, 4, dtype=torch.bool)) == 0


def test_targets_share_the_answer_among_duplicates():
    image, text = embeddings(2, 4, 3)
    same = same_item(torch.tensor([0, 1, 0, 2]))
    scores, p = 3 * image @ text.T, same / same.sum(1, keepdim=True)
    expected = (F.cross_entropy(scores, p.double()) + F.cross_entropy(scores.T, p.T.double())) / 2  # p is symmetric
    torch.testing.assert_close(clip_loss(image, text, 3.0, targets=same), expected)


def test_targets_are_read_with_images_in_rows_and_scaled_in_each_direction():
    image, text = embeddings(2, 3, 3)
    weights = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 4.0]], dtype=torch.float64)
    scores = 3 * image @ text.T
    rows, columns = weights / weights.sum(1, keepdim=True), weights.T / weights.T.sum(1, keepdim=True)
    expected = (F.cross_entropy(scores, rows) + F.cross_entropy(scores.T, columns)) / 2
    torch.testing.assert_close(clip_loss(image, text, 3.0, targets=weights), expected)


def test_targets_of_zero_cost_nothing():
    image, text = embeddings(2, 3, 3)
    weights = torch.eye(3)
    weights[1, 1] = 0
    expected = F.cross_entropy(3 * image @ text.T, torch.arange(3), reduction="none")[[0, 2]].sum() / 3
    torch.testing.assert_close(info_nce(image, text, 3.0, targets=weights), expected)


def test_targets_of_absent_keys_are_shared_among_those_that_are_there():
    query, key = embeddings(2, 3, 3)
    weights = torch.tensor([[2.0, 1.0, 5.0], [0.0, 1.0, 1.0], [1.0, 1.0, 4.0]], dtype=torch.float64)
    there = torch.tensor([True, True, False])
    kept = weights[:, :2] / weights[:, :2].sum(1, keepdim=True)
    expected = F.cross_entropy(3 * query @ key[:2].T, kept)
    torch.testing.assert_close(info_nce(query, key, 3.0, targets=weights, key_present=there), expected)


def test_the_identity_as_targets_is_the_plain_loss():
    image, text = embeddings(2, 5, 3)
    torch.testing.assert_close(clip_loss(image, text, 3.0, targets=torch.eye(5)), clip_loss(image, text, 3.0))


def test_siglip_takes_several_positives_and_leaves_pairs_out():
    image, text = embeddings(2, 4, 3)
    same = same_item(torch.tensor([0, 1, 0, 2]))
    scores = 3 * image @ text.T - 1
    asked = torch.where(same, F.softplus(-scores), F.softplus(scores))
    torch.testing.assert_close(siglip_loss(image, text, 3.0, -1.0, positives=same), asked.sum() / 4)
    # ignored duplicates: only the diagonal of them is still asked
    kept = torch.where(torch.eye(4, dtype=torch.bool), F.softplus(-scores), F.softplus(scores)) * (
        torch.eye(4, dtype=torch.bool) | ~same
    )
    torch.testing.assert_close(siglip_loss(image, text, 3.0, -1.0, ignore=same), kept.sum() / 4)


def test_siglip_is_a_sum_over_candidates_so_it_grows_with_the_batch():
    at_zero = [siglip_loss(torch.ones(n, 1), torch.ones(n, 1), 1e-9, 0.0).item() for n in (1, 4, 8)]
    assert at_zero == pytest.approx([math.log(2), 4 * math.log(2), 8 * math.log(2)], rel=1e-5)


def test_siglip_starts_far_lower_with_its_bias():
    image, text = embeddings(2, 64, 16)
    assert siglip_loss(image, text, 10.0, -10.0) < siglip_loss(image, text, 10.0, 0.0) / 4


# ── the lean version ──


@pytest.mark.parametrize("chunk", [1, 3, 7, 8, 256])
def test_in_chunks_the_number_and_every_gradient_are_the_same(chunk):
    whole, pieces = (
        [*(z.requires_grad_() for z in embeddings(2, 8, 4)), torch.tensor(9.0, dtype=torch.float64, requires_grad=True)]
        for _ in range(2)
    )
    expected = clip_loss(*whole)
    ours = clip_loss_chunked(*pieces, chunk=chunk)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    expected.backward()
    ours.backward()
    for a, b in zip(pieces, whole):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-12)


def test_in_chunks_the_default_is_256_rows_and_float32_is_kept():
    image, text = embeddings(2, 260, 8, dtype=torch.float32)
    ours = clip_loss_chunked(image, text, 20.0)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, clip_loss(image, text, 20.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(clip_loss_chunked(image, text, 20.0), ours)


def test_in_chunks_the_largest_matrix_kept_for_the_gradient_has_chunk_rows():
    kept = []
    image, text = (z.requires_grad_() for z in embeddings(2, 32, 4))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        clip_loss_chunked(image, text, 5.0, chunk=4)
    assert max(kept) == 32 * 4  # the embeddings themselves, and 4 × 32 scores at most
    kept.clear()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        clip_loss(image, text, 5.0)
    assert max(kept) == 32 * 32


def test_in_chunks_it_compiles():
    torch.compiler.reset()
    image, text = embeddings(2, 8, 4)
    compiled = torch.compile(lambda x, y: clip_loss_chunked(x, y, 5.0, chunk=4), backend="aot_eager")
    torch.testing.assert_close(compiled(image, text), clip_loss(image, text, 5.0))


# ── the temperature ──


@pytest.mark.parametrize("temperature, scale", [(0.07, 1 / 0.07), (0.1, 10.0), (1.0, 1.0), (0.01, 100.0)])
def test_the_scale_is_one_over_the_temperature(temperature, scale):
    assert LogTemperature(temperature)().item() == pytest.approx(scale, rel=1e-5)


def test_the_temperature_starts_as_clip_does_and_is_one_parameter():
    module = LogTemperature()
    assert module().item() == pytest.approx(1 / 0.07, rel=1e-5)
    assert [name for name, _ in module.named_parameters()] == ["log_scale"]
    assert sum(p.numel() for p in module.parameters()) == 1
    assert "limit=100.0" in repr(module)


def test_the_temperature_is_bounded_and_comes_back_from_the_bound():
    module = LogTemperature(0.011)
    step = torch.optim.SGD(module.parameters(), lr=1.0)
    (-module()).backward()  # pushes the scale up, far beyond the bound
    step.step()
    assert module.log_scale > math.log(100)
    assert module().item() == pytest.approx(100, rel=1e-5)
    assert module.log_scale.item() == pytest.approx(math.log(100))
    step.zero_grad()
    (module() * 1e-3).backward()  # and down again: the gradient is alive at the bound
    assert module.log_scale.grad.item() == pytest.approx(0.1, rel=1e-5)
    step.step()
    assert module().item() < 95


def test_below_the_bound_the_temperature_is_left_alone():
    module = LogTemperature(0.5, limit=3.0)
    assert module().item() == pytest.approx(2.0, rel=1e-6)
    module.log_scale.data.fill_(5.0)
    assert module().item() == pytest.approx(3.0, rel=1e-6)


def test_the_temperature_compiles_and_runs_under_vmap():
    torch.compiler.reset()
    module = LogTemperature()
    torch.testing.assert_close(torch.compile(module, backend="aot_eager")(), module())
    stacked = {"log_scale": torch.tensor([0.0, 1.0, 9.0])}
    scales = torch.func.vmap(lambda p: torch.func.functional_call(module, p, ()))(stacked)
    torch.testing.assert_close(scales, torch.tensor([1.0, math.e, 100.0]))


def test_the_temperature_learns():
    image = torch.eye(4)
    module = LogTemperature(0.5)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.1)
    before = module().item()
    for _ in range(5):
        optimiser.zero_grad()
        clip_loss(image, image, module()).backward()
        optimiser.step()
    assert module().item() > before * 1.3


# ── bad input ──


@pytest.mark.parametrize("loss", [clip_loss, info_nce, clip_loss_chunked])
@pytest.mark.parametrize("scale", [0, -1.0, math.nan])
def test_a_scale_that_is_not_above_zero_is_refused(loss, scale):
    with pytest.raises(ValueError, match=rf"^scale must be above 0, got {scale}"):
        loss(torch.eye(3), torch.eye(3), scale)
    with pytest.raises(ValueError, match=rf"^scale must be above 0, got {scale}"):
        siglip_loss(torch.eye(3), torch.eye(3), scale, 0.0)


@pytest.mark.parametrize("temperature", [0, -0.07])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(ValueError, match=rf"^temperature must be above 0, got {temperature}"):
        LogTemperature(temperature)


def test_a_temperature_beyond_the_limit_is_refused():
    with pytest.raises(ValueError, match=r"^temperature must be at least 1 / limit = 0.01, got 0.005"):
        LogTemperature(0.005)
    with pytest.raises(ValueError, match=r"^limit must be above 0, got 0"):
        LogTemperature(0.07, limit=0)


@pytest.mark.parametrize("epsilon", [-0.1, 1.5])
def test_smoothing_outside_0_to_1_is_refused(epsilon):
    with pytest.raises(ValueError, match=rf"^label_smoothing must be between 0 and 1, got {epsilon}"):
        clip_loss(torch.eye(3), torch.eye(3), 1.0, label_smoothing=epsilon)


def test_matrices_of_the_wrong_shape_are_named():
    x = torch.eye(3)
    with pytest.raises(ValueError, match=r"^mask must be bool with shape \(3,\), got torch.bool with shape \(2,\)"):
        clip_loss(x, x, 1.0, mask=torch.ones(2, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"^ignore must be bool with shape \(3, 3\), got torch.float32"):
        clip_loss(x, x, 1.0, ignore=x)
    with pytest.raises(ValueError, match=r"^ignore must have shape \(3, 3\), got \(2, 3\)"):
        clip_loss(x, x, 1.0, ignore=torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"^targets must have shape \(3, 3\), got \(3, 2\)"):
        clip_loss(x, x, 1.0, targets=torch.ones(3, 2))
    with pytest.raises(ValueError, match=r"^targets must have shape \(3, 3\), got \(3, 2\)"):
        info_nce(x, x, 1.0, targets=torch.ones(3, 2))
    with pytest.raises(ValueError, match=r"^positives must be bool with shape \(3, 3\), got torch.float32"):
        siglip_loss(x, x, 1.0, 0.0, positives=x)
    with pytest.raises(ValueError, match=r"^ignore must be bool with shape \(3, 3\), got torch.float32"):
        siglip_loss(x, x, 1.0, 0.0, ignore=x)


def test_info_nce_names_what_is_wrong_with_its_keys():
    x = torch.eye(3)
    with pytest.raises(ValueError, match=r"^key must have shape \(K, 3\), got \(3, 2\)"):
        info_nce(x, x[:, :2], 1.0)
    with pytest.raises(ValueError, match=r"^query must have shape \(B, D\), got \(3,\)"):
        info_nce(x[0], x, 1.0)
    with pytest.raises(ValueError, match=r"^key needs at least one row for each query, got 2 keys for 3 queries"):
        info_nce(x, x[:2], 1.0)
    with pytest.raises(TypeError, match=r"^query must hold floating-point numbers"):
        info_nce(x.long(), x, 1.0)
    with pytest.raises(TypeError, match=r"^key must hold floating-point numbers"):
        info_nce(x, x.long(), 1.0)
    with pytest.raises(ValueError, match=r"^match must have shape \(3,\), got \(2,\)"):
        info_nce(x, x, 1.0, match=torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"^query_present must be bool with shape \(3,\)"):
        info_nce(x, x, 1.0, query_present=torch.ones(3))
    with pytest.raises(ValueError, match=r"^key_present must be bool with shape \(3,\)"):
        info_nce(x, x, 1.0, key_present=torch.ones(3))


def test_in_chunks_wrong_batches_are_named():
    x = torch.eye(3)
    with pytest.raises(ValueError, match=r"^image must have shape \(B, D\), got \(3,\)"):
        clip_loss_chunked(x[0], x, 1.0)
    with pytest.raises(ValueError, match=r"^text must have shape \(B, D\), got \(3,\)"):
        clip_loss_chunked(x, x[0], 1.0)


@pytest.mark.parametrize("chunk", [0, -2])
def test_a_chunk_of_nothing_is_refused(chunk):
    with pytest.raises(ValueError, match=rf"^chunk must be above 0, got {chunk}"):
        clip_loss_chunked(torch.eye(3), torch.eye(3), 1.0, chunk=chunk)


def test_a_gradient_reaches_the_encoders_through_a_learned_temperature():
    encoder, temperature = nn.Linear(5, 3), LogTemperature()
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    clip_loss(F.normalize(encoder(x), dim=-1), F.normalize(x[:, :3], dim=-1), temperature()).backward()
    assert all((p.grad != 0).any() for p in [*encoder.parameters(), *temperature.parameters()])
