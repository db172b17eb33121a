"""VICReg and Barlow Twins: the authors' and cca-zoo's numbers, and what each term asks for."""

from __future__ import annotations

import pytest
import torch
from alignment_cases import DTYPES, case, close, embeddings
from hypothesis import given, settings
from hypothesis import strategies as st

from mmteach.alignment import barlow_twins_loss, pairwise_loss, vicreg_loss, vicreg_terms

few = settings(max_examples=10, deadline=None)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


@each_dtype
def test_with_the_variance_halved_it_is_the_authors_code_and_so_are_the_gradients(dtype):
    inputs, expected = case("vicreg_official", dtype)
    x, y = inputs["x"].requires_grad_(), inputs["y"].requires_grad_()
    loss = vicreg_loss(x, y, halve_variance=True)
    loss.backward()
    close(loss, expected["loss"])
    close(x.grad, expected["d_x"])
    close(y.grad, expected["d_y"])


@each_dtype
def test_as_in_the_paper_it_is_cca_zoo_term_by_term(dtype):
    inputs, expected = case("vicreg_cca_zoo", dtype)
    close(vicreg_loss(inputs["x"], inputs["y"]), expected["loss"])
    for term, name in zip(vicreg_terms(inputs["x"], inputs["y"]), ("sim", "var", "cov")):
        close(term, expected[name])


@each_dtype
def test_barlow_twins_equals_the_authors_code(dtype):
    inputs, expected = case("barlow_official", dtype)
    close(barlow_twins_loss(inputs["x"], inputs["y"]), expected["loss"])


def test_vicreg_weights_each_term():
    x, y = embeddings(2, 10, 4)
    invariance, variance, covariance = vicreg_terms(x, y)
    loss = vicreg_loss(x, y, invariance=2, variance=3, covariance=5)
    torch.testing.assert_close(loss, 2 * invariance + 3 * variance + 5 * covariance)
    halved = vicreg_loss(x, y, invariance=2, variance=3, covariance=5, halve_variance=True)
    torch.testing.assert_close(halved, 2 * invariance + 1.5 * variance + 5 * covariance)
    torch.testing.assert_close(vicreg_loss(x, y), 25 * invariance + 25 * variance + covariance)
    assert vicreg_loss(x, y, invariance=0, variance=0, covariance=0) == 0


def test_vicreg_terms_by_hand():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    y = torch.tensor([[1.0, 3.0], [-1.0, -3.0], [0.0, 0.0]], dtype=torch.float64)
    invariance, variance, covariance = vicreg_terms(x, y, epsilon=1e-12)
    assert invariance.item() == pytest.approx(18 / 6)  # (3² + 3²) over six numbers
    assert variance.item() == pytest.approx(0.5, abs=1e-5)  # one of the two coordinates of x does not vary
    assert covariance.item() == pytest.approx(2 * 3**2 / 2)  # Cov(y) = [[1, 3], [3, 9]], twice 3² over two coordinates


def test_a_coordinate_with_spread_above_one_costs_nothing():
    x = torch.tensor([[2.0], [-2.0]], dtype=torch.float64)
    assert vicreg_terms(x, x)[1] == 0
    assert vicreg_terms(x / 100, x / 100)[1].item() == pytest.approx(2 * (1 - (0.0008 + 1e-4) ** 0.5))


@given(seed=st.integers(0, 2**30), shift=st.floats(-5, 5))
@few
def test_vicreg_moves_with_both_views_and_turns_over_coordinates(seed, shift):
    x, y = embeddings(2, 8, 4, seed)
    torch.testing.assert_close(vicreg_loss(x + shift, y + shift), vicreg_loss(x, y))
    torch.testing.assert_close(vicreg_loss(x.flip(1), y.flip(1)), vicreg_loss(x, y))


@given(seed=st.integers(0, 2**30), scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
@few
def test_barlow_is_blind_to_scale_and_shift_of_each_coordinate(seed, scale, shift):
    x, y = embeddings(2, 12, 3, seed)
    factors = torch.tensor([scale, 1.0, 2.0], dtype=torch.float64)
    ours = barlow_twins_loss(x * factors + shift, y, epsilon=1e-12)
    torch.testing.assert_close(ours, barlow_twins_loss(x, y, epsilon=1e-12), atol=1e-6, rtol=1e-6)


def test_barlow_by_hand():
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    y = x[:, [0, 0]]  # C = [[1, 1], [0, 0]]
    assert barlow_twins_loss(x, y, redundancy=0.5, epsilon=1e-12).item() == pytest.approx(1 + 0.5)
    assert barlow_twins_loss(x, y, redundancy=0, epsilon=1e-12).item() == pytest.approx(1)
    assert barlow_twins_loss(x, x, epsilon=1.0).item() == pytest.approx(2 * (1 - 1 / 2) ** 2)  # C_dd = 1/(1 + ε)


def test_three_modalities_sum_over_pairs():
    x, y, z = embeddings(3, 10, 4)
    expected = vicreg_loss(x, y) + vicreg_loss(x, z) + vicreg_loss(y, z)
    torch.testing.assert_close(pairwise_loss(vicreg_loss, {"a": x, "b": y, "c": z}), expected)


@pytest.mark.parametrize("loss", [vicreg_loss, barlow_twins_loss, vicreg_terms])
@pytest.mark.parametrize("epsilon", [0, -1e-4])
def test_epsilon_must_be_above_zero(loss, epsilon):
    with pytest.raises(ValueError, match=rf"^epsilon must be above 0, got {epsilon}"):
        loss(*embeddings(2, 4, 2), epsilon=epsilon)


@pytest.mark.parametrize("name", ["invariance", "variance", "covariance"])
def test_negative_weights_are_refused(name):
    x, y = embeddings(2, 4, 2)
    with pytest.raises(ValueError, match=rf"^{name} must be between 0 and inf, got -1"):
        vicreg_loss(x, y, **{name: -1})
    with pytest.raises(ValueError, match=r"^redundancy must be between 0 and inf, got -1"):
        barlow_twins_loss(x, y, redundancy=-1)
