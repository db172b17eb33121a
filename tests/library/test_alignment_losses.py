"""What holds for every loss on pairs of embeddings, whichever it is."""

from __future__ import annotations

import doctest
import importlib
import math
import pkgutil

import pytest
import torch
from alignment_cases import PAIR_LOSSES, embeddings, names
from hypothesis import given, settings
from hypothesis import strategies as st

from mmteach import alignment
from mmteach.alignment import _pairs

SYMMETRIC = [name for name in PAIR_LOSSES if name not in ("distillation", "clip distillation")]
NEEDS_TWO = ("vicreg", "barlow", "deep cca", "deep cca squared")

few = settings(max_examples=10, deadline=None)
every_loss = pytest.mark.parametrize("loss", PAIR_LOSSES.values(), ids=PAIR_LOSSES.keys())


@every_loss
@given(seed=st.integers(0, 2**30), order=st.permutations(range(6)))
@few
def test_the_order_of_the_batch_does_not_matter(loss, seed, order):
    x, y = embeddings(2, 6, 4, seed)
    torch.testing.assert_close(loss(x[order], y[order]), loss(x, y))


@every_loss
def test_shuffling_one_side_alone_does_matter(loss):
    x, _ = embeddings(2, 8, 4)
    assert loss(x, x.roll(1, 0)) > loss(x, x) + 1e-3


@pytest.mark.parametrize("name", SYMMETRIC)
@given(seed=st.integers(0, 2**30))
@few
def test_swapping_the_modalities_does_not_matter(name, seed):
    x, y = embeddings(2, 6, 4, seed)
    torch.testing.assert_close(PAIR_LOSSES[name](y, x), PAIR_LOSSES[name](x, y))


@every_loss
@given(seed=st.integers(0, 2**30), gaps=st.sets(st.integers(0, 8), min_size=1, max_size=5))
@few
def test_an_absent_pair_counts_as_if_it_had_never_been_there(loss, seed, gaps):
    x, y = embeddings(2, 9, 3, seed)
    present = torch.tensor([i not in gaps for i in range(9)])
    garbage = x.clone(), y.clone()
    garbage[0][~present] = math.nan
    garbage[1][~present] = math.inf
    torch.testing.assert_close(loss(*garbage, present=present), loss(x[present], y[present]))


@every_loss
def test_with_every_pair_absent_loss_and_gradient_are_finite(loss):
    x, y = (z.requires_grad_() for z in embeddings(2, 4, 3))
    value = loss(x, y, present=torch.zeros(4, dtype=torch.bool))
    value.backward()
    assert value.isfinite()
    assert (x.grad == 0).all()
    assert y.grad is None or (y.grad == 0).all()


@every_loss
def test_absent_pairs_receive_no_gradient_and_the_others_a_finite_one(loss):
    x, y = embeddings(2, 8, 3)
    present = torch.tensor([True] * 6 + [False] * 2)
    x[6] = math.nan
    x.requires_grad_()
    loss(x, y, present=present).backward()
    assert (x.grad[6:] == 0).all()
    assert x.grad.isfinite().all()
    assert x.grad[:6].abs().sum() > 0


@every_loss
def test_gradient_equals_finite_differences(loss):
    x, y = embeddings(2, 5, 3, seed=3)
    assert torch.autograd.gradcheck(lambda z: loss(z, y), (x.requires_grad_(),))


@every_loss
def test_nan_in_a_pair_that_is_there_is_not_hidden(loss):
    x, y = embeddings(2, 6, 3)
    x[2, 1] = math.nan
    try:
        assert loss(x, y).isnan()
    except torch.linalg.LinAlgError as error:  # a matrix of NaN has no Cholesky factor
        assert "cholesky" in str(error)


@every_loss
def test_float32_gives_the_float64_number(loss):
    x, y = embeddings(2, 6, 4, dtype=torch.float32)
    value = loss(x, y)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), loss(x.double(), y.double()), atol=1e-3, rtol=1e-4)


@every_loss
def test_under_bf16_autocast_the_sums_stay_in_float32(loss):
    x, y = embeddings(2, 6, 4, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(x, y)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(x, y), atol=1e-6, rtol=1e-6)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_embeddings_are_computed_with_in_float32(loss, dtype):
    x, y = (z.to(dtype) for z in embeddings(2, 6, 4))
    value = loss(x, y)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(x.float(), y.float()), atol=1e-2, rtol=1e-2)


@every_loss
def test_compiled_equals_eager(loss):
    torch.compiler.reset()
    x, y = embeddings(2, 6, 4)
    present = torch.tensor([True, True, True, False, True, True])
    compiled = torch.compile(lambda x, y: loss(x, y, present=present), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, y), loss(x, y, present=present))


@pytest.mark.full
@every_loss
def test_compiled_by_inductor_equals_eager(loss):
    torch.compiler.reset()
    x, y = embeddings(2, 6, 4)
    torch.testing.assert_close(torch.compile(loss)(x, y), loss(x, y))


@every_loss
def test_vmap_over_seeds_equals_a_loop(loss):
    x, y = (torch.stack(embeddings(3, 6, 4, seed)) for seed in (1, 2))  # three seeds, (3, 6, 4)
    torch.testing.assert_close(torch.func.vmap(loss)(x, y), torch.stack([loss(a, b) for a, b in zip(x, y)]))
    slopes = torch.func.vmap(torch.func.grad(loss))(x, y)
    torch.testing.assert_close(slopes[1], torch.func.grad(loss)(x[1], y[1]))


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_wrong_batches_are_named(name):
    loss, (first, second) = PAIR_LOSSES[name], names(name)
    x, y = embeddings(2, 6, 4)
    with pytest.raises(
        ValueError, match=rf"^{first} and {second} must have the same batch size \(row .*\), got 6 and 5$"
    ):
        loss(x, y[:5])
    with pytest.raises(ValueError, match=rf"^{first} is empty: shape \(0, 4\)$"):
        loss(x[:0], y[:0])
    with pytest.raises(ValueError, match=rf"^{first} must have shape \(B, D\), got \(6,\)$"):
        loss(x[:, 0], y)
    with pytest.raises(TypeError, match=rf"^{first} must hold floating-point numbers, got torch.int64$"):
        loss(x.long(), y)
    if name != "clip distillation":  # here y is the teacher too
        with pytest.raises(ValueError, match=rf"^{second} must have shape \(B, D\), got \(6,\)$"):
            loss(x, y[:, 0])
        with pytest.raises(TypeError, match=rf"^{second} must hold floating-point numbers, got torch.int64$"):
            loss(x, y.long())
    if "cca" not in name:  # canonical correlation takes any two widths
        message = rf"^{first} and {second} must have the same shape, got \(6, 4\) and \(6, 3\)$"
        with pytest.raises(ValueError, match=message):
            loss(x, y[:, :3])


@every_loss
@pytest.mark.parametrize("present", [torch.ones(6), torch.ones(5, dtype=torch.bool), [True] * 6])
def test_a_present_that_is_not_bool_or_not_one_a_row_is_named(loss, present):
    x, y = embeddings(2, 6, 4)
    with pytest.raises(ValueError, match=r"^present must be bool with shape \(6,\), got (torch|list)"):
        loss(x, y, present=present)


@every_loss
def test_a_batch_of_one_is_answered_or_refused_with_a_reason(loss, request):
    x, y = embeddings(2, 1, 4)
    name = request.node.callspec.id
    if name in NEEDS_TWO:
        with pytest.raises(
            ValueError, match=r"^x needs a batch of at least 2: statistics over one example mean nothing"
        ):
            loss(x, y)
        assert loss(*embeddings(2, 2, 4)).isfinite()
    else:
        assert loss(x, y).isfinite()


def test_flags_says_what_came():
    with pytest.raises(ValueError) as error:
        _pairs.flags("mask", torch.ones(2, 3), 2, 3)
    assert str(error.value) == "mask must be bool with shape (2, 3), got torch.float32 with shape (2, 3)"
    with pytest.raises(ValueError) as error:
        _pairs.flags("mask", [True], 1)
    assert str(error.value) == "mask must be bool with shape (1,), got list"


def test_batch_size_error_says_which_argument_and_why():
    with pytest.raises(ValueError) as error:
        alignment.clip_loss(torch.ones(2, 3), torch.ones(4, 3), 1.0)
    assert str(error.value) == (
        "image and text must have the same batch size (row i of one belongs to row i of the other), got 2 and 4"
    )


def test_centred_and_mean_over_count_the_rows_that_are_there():
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0], [0.0, 0.0]])
    present = torch.tensor([True, True, False])
    deviation, count = _pairs.centred(x, present)
    assert deviation.tolist() == [[-1, -2], [1, 2], [0, 0]]
    assert count.item() == 2
    alone = torch.tensor([False, True, False])
    assert _pairs.centred(x * alone[:, None], alone)[0].tolist() == [[0, 0]] * 3
    assert _pairs.mean_over(torch.tensor([1.0, 3.0, 100.0]), present).item() == 2
    assert _pairs.mean_over(torch.tensor([5.0]), torch.tensor([False])).item() == 0


def test_every_example_in_the_docstrings_runs():
    tried = 0
    for module in pkgutil.iter_modules(alignment.__path__, "mmteach.alignment."):
        failed, attempted = doctest.testmod(importlib.import_module(module.name))
        assert failed == 0, module.name
        tried += attempted
    assert tried > 30


def test_everything_is_importable_and_has_a_docstring():
    for name in alignment.__all__:
        assert getattr(alignment, name).__doc__, name
