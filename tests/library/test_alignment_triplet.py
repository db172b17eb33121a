"""Triplet losses: VSE++'s numbers, a loop written from the paper, the margin, the cold start."""

from __future__ import annotations

import pytest
import torch
from alignment_cases import DTYPES, case, close, embeddings
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmteach.alignment import triplet_loss

few = settings(max_examples=10, deadline=None)
BOTH = pytest.mark.parametrize("negatives", ["all", "hardest"])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name, negatives", [("vse_sum", "all"), ("vsepp_hardest", "hardest")])
def test_equals_vsepp_and_so_do_the_gradients(name, negatives, dtype):
    inputs, expected = case(name, dtype)
    image, text = inputs["image"].requires_grad_(), inputs["text"].requires_grad_()
    loss = triplet_loss(image, text, margin=0.2, negatives=negatives)
    loss.backward()
    close(loss, expected["loss"])
    close(image.grad, expected["d_image"])
    close(text.grad, expected["d_text"])


def by_loop(image: Tensor, text: Tensor, margin: float, hardest: bool) -> float:
    """The loss triplet by triplet, as in the papers."""
    total = 0.0
    for i in range(len(image)):
        match = float(image[i] @ text[i])
        others = [j for j in range(len(image)) if j != i]
        for costs in (
            [max(0.0, margin - match + float(image[i] @ text[j])) for j in others],
            [max(0.0, margin - match + float(image[j] @ text[i])) for j in others],
        ):
            total += max(costs) if hardest else sum(costs)
    return total


@BOTH
@given(seed=st.integers(0, 2**30), margin=st.floats(0.01, 2))
@few
def test_equals_a_loop_over_triplets(negatives, seed, margin):
    image, text = embeddings(2, 5, 3, seed)
    ours = triplet_loss(image, text, margin=margin, negatives=negatives).item()
    assert ours == pytest.approx(by_loop(image, text, margin, negatives == "hardest"))


@given(seed=st.integers(0, 2**30))
@few
def test_the_hardest_alone_never_costs_more_than_all(seed):
    image, text = embeddings(2, 6, 3, seed)
    assert triplet_loss(image, text, negatives="hardest") <= triplet_loss(image, text)


def test_with_two_pairs_there_is_one_negative_and_both_agree():
    image, text = embeddings(2, 2, 3)
    torch.testing.assert_close(triplet_loss(image, text), triplet_loss(image, text, negatives="hardest"))


@BOTH
def test_beyond_the_margin_nothing_costs_and_nothing_moves(negatives):
    image = torch.eye(4, requires_grad=True)
    loss = triplet_loss(image, torch.eye(4), margin=0.9, negatives=negatives)
    loss.backward()
    assert loss == 0
    assert (image.grad == 0).all()


@BOTH
def test_collapsed_embeddings_cost_the_margin_for_each_triplet(negatives):
    same = torch.ones(4, 1, dtype=torch.float64)
    triplets = 4 * 2 * (3 if negatives == "all" else 1)
    assert triplet_loss(same, same, margin=0.3, negatives=negatives).item() == pytest.approx(0.3 * triplets)


@BOTH
def test_a_batch_of_one_has_no_negatives(negatives):
    assert triplet_loss(*embeddings(2, 1, 3), negatives=negatives) == 0


def test_defaults_are_all_negatives_and_a_margin_of_a_fifth():
    image, text = embeddings(2, 6, 3)
    torch.testing.assert_close(triplet_loss(image, text), triplet_loss(image, text, margin=0.2, negatives="all"))
    assert triplet_loss(image, text) != triplet_loss(image, text, negatives="hardest")


@pytest.mark.parametrize("margin", [0, -0.2])
def test_a_margin_that_is_not_above_zero_is_refused(margin):
    with pytest.raises(ValueError, match=rf"^margin must be above 0, got {margin}"):
        triplet_loss(*embeddings(2, 3, 2), margin=margin)


def test_another_word_for_negatives_is_refused():
    with pytest.raises(ValueError, match=r"^negatives must be one of 'all', 'hardest', got 'semi-hard'"):
        triplet_loss(*embeddings(2, 3, 2), negatives="semi-hard")
