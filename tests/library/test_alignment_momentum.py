"""ALBEF's soft targets and the slow copy behind them."""

from __future__ import annotations

import pytest
import torch
from alignment_cases import DTYPES, case, close, embeddings
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.alignment import albef_itc_loss, clip_loss, momentum_copy, momentum_update

few = settings(max_examples=10, deadline=None)


def scores(seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Four matrices of scores (5, 5): image→text, text→image, and the slow copy's."""
    image, text, slow_image, slow_text = embeddings(4, 5, 3, seed, dtype)
    s, slow = 4 * image @ text.T, 4 * slow_image @ slow_text.T
    return [s, s.T, slow, slow.T]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_equals_torchmultimodal(dtype):
    inputs, expected = case("albef_itc", dtype)
    ours = albef_itc_loss(inputs["i2t"], inputs["t2i"], inputs["i2t_m"], inputs["t2i_m"], alpha=0.4)
    close(ours, expected["loss"])
    close(albef_itc_loss(inputs["i2t"], inputs["t2i"], inputs["i2t_m"], inputs["t2i_m"]), expected["loss"])


def test_without_belief_in_the_copy_it_is_the_clip_loss():
    image, text, slow, _ = embeddings(4, 5, 3)
    s = 4 * image @ text.T
    torch.testing.assert_close(
        albef_itc_loss(s, s.T, slow @ slow.T, slow @ slow.T, alpha=0), clip_loss(image, text, 4.0)
    )


def test_with_full_belief_it_is_cross_entropy_to_the_copy():
    s, t, slow_s, slow_t = scores()
    expected = (F.cross_entropy(s, slow_s.softmax(1)) + F.cross_entropy(t, slow_t.softmax(1))) / 2
    torch.testing.assert_close(albef_itc_loss(s, t, slow_s, slow_t, alpha=1), expected)


def test_columns_of_a_queue_are_more_candidates():
    s, t, slow_s, slow_t = (torch.cat([m, m.flip(0)], dim=1) for m in scores())
    onehot = torch.eye(5, 10, dtype=torch.float64)
    expected = sum(
        F.cross_entropy(m, 0.3 * slow.softmax(1) + 0.7 * onehot) / 2 for m, slow in ((s, slow_s), (t, slow_t))
    )
    torch.testing.assert_close(albef_itc_loss(s, t, slow_s, slow_t, alpha=0.3), expected)


@given(seed=st.integers(0, 2**30), order=st.permutations(range(5)))
@few
def test_the_order_of_the_batch_and_of_the_modalities_does_not_matter(seed, order):
    s, t, slow_s, slow_t = scores(seed)
    loss = albef_itc_loss(s, t, slow_s, slow_t)
    torch.testing.assert_close(albef_itc_loss(*(m[order][:, order] for m in (s, t, slow_s, slow_t))), loss)
    torch.testing.assert_close(albef_itc_loss(t, s, slow_t, slow_s), loss)


def test_no_gradient_flows_into_the_copy():
    s, t, slow_s, slow_t = (m.requires_grad_() for m in scores())
    albef_itc_loss(s, t, slow_s, slow_t).backward()
    assert slow_s.grad is None and slow_t.grad is None
    assert s.grad.abs().sum() > 0 and t.grad.abs().sum() > 0


def test_compiles_maps_over_seeds_and_stays_in_float32():
    torch.compiler.reset()
    first, second = scores(0), scores(1)
    torch.testing.assert_close(
        torch.compile(albef_itc_loss, backend="aot_eager", fullgraph=True)(*first), albef_itc_loss(*first)
    )
    stacked = [torch.stack(pair) for pair in zip(first, second)]
    torch.testing.assert_close(
        torch.func.vmap(albef_itc_loss)(*stacked), torch.stack([albef_itc_loss(*first), albef_itc_loss(*second)])
    )
    half = [m.bfloat16() for m in first]
    ours = albef_itc_loss(*half)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, albef_itc_loss(*(m.float() for m in half)))


def test_a_batch_of_one_costs_nothing():
    assert albef_itc_loss(*[torch.ones(1, 1)] * 4) == 0


def test_wrong_arguments_are_named():
    s = torch.eye(3)
    with pytest.raises(ValueError, match=r"^alpha must be between 0 and 1, got 1.5"):
        albef_itc_loss(s, s, s, s, alpha=1.5)
    with pytest.raises(
        ValueError,
        match=r"^image_to_text and momentum_image_to_text must have the same shape, got \(3, 3\) and \(3, 2\)",
    ):
        albef_itc_loss(s, s, s[:, :2], s)
    with pytest.raises(ValueError, match=r"^text_to_image and momentum_text_to_image must have the same shape"):
        albef_itc_loss(s, s, s, s[:, :2])
    with pytest.raises(
        ValueError, match=r"^image_to_text needs a column for each row's match, got 3 rows and 2 columns"
    ):
        albef_itc_loss(s[:, :2], s, s[:, :2], s)
    with pytest.raises(ValueError, match=r"^text_to_image must have shape \(B, K\), got \(3,\)"):
        albef_itc_loss(s, s[0], s, s)
    with pytest.raises(ValueError, match=r"^image_to_text is empty"):
        albef_itc_loss(*[torch.zeros(0, 0)] * 4)
    with pytest.raises(TypeError, match=r"^image_to_text must hold floating-point numbers, got torch.int64"):
        albef_itc_loss(*[s.long()] * 4)


# ── the slow copy ──


def test_the_copy_is_frozen_in_evaluation_mode_and_apart():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    slow = momentum_copy(model)
    assert not slow.training and model.training
    assert not any(p.requires_grad for p in slow.parameters()) and all(p.requires_grad for p in model.parameters())
    assert torch.equal(slow[0].weight, model[0].weight)
    with torch.no_grad():
        model[0].weight.add_(1)
    assert not torch.equal(slow[0].weight, model[0].weight)


@pytest.mark.parametrize("decay", [0.0, 0.25, 0.995, 1.0])
def test_the_update_is_a_weighted_mean_and_buffers_are_copied(decay):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    slow = momentum_copy(model)
    before = slow[0].weight.clone()
    with torch.no_grad():
        model[0].weight.add_(1)
    model(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))  # moves the batch-norm statistics
    momentum_update(slow, model, decay)
    torch.testing.assert_close(slow[0].weight, decay * before + (1 - decay) * model[0].weight)
    assert torch.equal(slow[1].running_mean, model[1].running_mean) and slow[1].num_batches_tracked == 1
    assert slow[0].weight.grad_fn is None


def test_the_default_decay_is_albefs():
    model = nn.Linear(1, 1, bias=False)
    slow = momentum_copy(model)
    nn.init.zeros_(slow.weight)
    nn.init.ones_(model.weight)
    momentum_update(slow, model)
    assert slow.weight.item() == pytest.approx(0.005)


def test_wrong_updates_are_named():
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"^decay must be between 0 and 1, got 1.1"):
        momentum_update(momentum_copy(model), model, 1.1)
    with pytest.raises(
        ValueError, match=r"^slow and model must have the same parameters, got \['weight'\] and \['bias', 'weight'\]"
    ):
        momentum_update(nn.Linear(2, 2, bias=False), model)
    with pytest.raises(ValueError, match=r"got \['bias', 'weight'\] and \['weight'\]"):
        momentum_update(model, nn.Linear(2, 2, bias=False))
