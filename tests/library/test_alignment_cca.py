"""CCA: equal to a second closed form and to scikit-learn; ridge, missing rows, held-out correlations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmteach.alignment import CCA

few = settings(max_examples=10, deadline=None)


def two_views(seed: int, examples: int = 60, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    """Views of width 4 and 3 that share two latent coordinates."""
    g = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    latent = draw(examples, 2)
    x = latent @ draw(2, 4) + noise * draw(examples, 4) + 5
    y = latent @ draw(2, 3) + noise * draw(examples, 3) - 2
    return x, y


@given(seed=st.integers(0, 2**30))
@few
def test_correlations_equal_the_cosines_between_the_column_spaces(seed):
    # Another closed form (Björck and Golub 1973): singular values of Qxᵀ Qy, from QR of the centred views.
    x, y = two_views(seed)
    qx, qy = (np.linalg.qr((z - z.mean(0)).numpy())[0] for z in (x, y))
    expected = np.linalg.svd(qx.T @ qy, compute_uv=False)
    ours = CCA(components=3).fit(x, y).correlations
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-8)


def test_variates_and_correlations_equal_scikit_learn():
    from sklearn.cross_decomposition import CCA as Other

    x, y = two_views(0)
    ours = CCA(components=2).fit(x, y)
    other = Other(n_components=2, scale=False, max_iter=10_000, tol=1e-14).fit(x.numpy(), y.numpy())
    theirs = other.transform(x.numpy(), y.numpy())
    for a, b in zip(ours.transform(x, y), theirs):
        for k in range(2):
            assert abs(np.corrcoef(a[:, k].numpy(), b[:, k])[0, 1]) == pytest.approx(1, abs=1e-6)
    expected = [np.corrcoef(theirs[0][:, k], theirs[1][:, k])[0, 1] for k in range(2)]
    np.testing.assert_allclose(ours.correlations.numpy(), expected, atol=1e-6)


def test_one_coordinate_each_gives_pearsons_correlation():
    x, y = two_views(3)
    ours = CCA().fit(x[:, :1], y[:, :1]).correlations.item()
    assert ours == pytest.approx(abs(np.corrcoef(x[:, 0], y[:, 0])[0, 1]), abs=1e-12)


def test_variates_are_standardised_and_uncorrelated_with_one_another():
    x, y = two_views(1)
    cca = CCA(components=3).fit(x, y)
    a, b = cca.transform(x, y)
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(a.T.cov(), eye)
    torch.testing.assert_close(b.T.cov(), eye)
    torch.testing.assert_close(a.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(a.T @ b / (len(x) - 1), cca.correlations.diag())
    torch.testing.assert_close(cca.score(x, y), cca.correlations)
    assert (cca.correlations.diff() <= 0).all()


@given(seed=st.integers(0, 2**30))
@few
def test_any_invertible_linear_map_of_a_view_changes_nothing(seed):
    x, y = two_views(seed)
    a = torch.randn(4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 3 * torch.eye(4)
    before, after = CCA(3).fit(x, y).correlations, CCA(3).fit(x @ a + 7, -2 * y).correlations
    torch.testing.assert_close(before, after, atol=1e-6, rtol=1e-6)


@given(seed=st.integers(0, 2**30), order=st.permutations(range(12)))
@few
def test_the_order_of_the_examples_and_of_the_views_does_not_matter(seed, order):
    x, y = two_views(seed, examples=12)
    rho = CCA(2).fit(x, y).correlations
    torch.testing.assert_close(CCA(2).fit(x[order], y[order]).correlations, rho)
    torch.testing.assert_close(CCA(2).fit(y, x).correlations, rho)


def test_ridge_solves_the_ridged_eigenproblem():
    # Vinod 1976: ρ² are the eigenvalues of (Sxx + rI)⁻¹ Sxy (Syy + rI)⁻¹ Syx.
    x, y = two_views(2)
    s = torch.cat([x, y], dim=1).T.cov().numpy()
    sxx, sxy, syy = s[:4, :4] + 0.7 * np.eye(4), s[:4, 4:], s[4:, 4:] + 0.7 * np.eye(3)
    squares = np.linalg.eigvals(np.linalg.solve(sxx, sxy) @ np.linalg.solve(syy, sxy.T)).real
    expected = np.sqrt(np.sort(squares)[::-1][:3])
    cca = CCA(3, ridge=0.7).fit(x, y)
    np.testing.assert_allclose(cca.correlations.numpy(), expected, atol=1e-10, rtol=0)
    weights = cca.weights_x.numpy()
    np.testing.assert_allclose(weights.T @ sxx @ weights, np.eye(3), atol=1e-9)


def test_with_few_examples_training_correlations_flatter_and_ridge_helps_held_out():
    g = torch.Generator().manual_seed(0)
    latent = torch.randn(212, 1, generator=g, dtype=torch.float64)
    x, y = (latent + torch.randn(212, 20, generator=g, dtype=torch.float64) for _ in range(2))
    train, test = (x[:12], y[:12]), (x[12:], y[12:])
    plain, ridged = CCA().fit(*train), CCA(ridge=3.0).fit(*train)
    assert plain.correlations.item() == pytest.approx(1, abs=1e-6)  # more dimensions than examples: always 1
    assert plain.score(*test).item() < 0.9
    assert ridged.score(*test).item() > plain.score(*test).item()


def test_unrelated_views_score_nothing_held_out():
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 400, 3, generator=g, dtype=torch.float64)
    assert CCA().fit(x[:200], y[:200]).score(x[200:], y[200:]).abs().item() < 0.2


def test_score_is_pearsons_correlation_with_its_sign():
    x, y = two_views(4)
    cca = CCA(2).fit(x, y)
    other_x, other_y = two_views(5, examples=30)
    a, b = cca.transform(other_x, other_y)
    expected = [np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(2)]
    np.testing.assert_allclose(cca.score(other_x, other_y).numpy(), expected, atol=1e-12)
    one_way = CCA().fit(x[:, :1], x[:, :1])
    assert one_way.score(x[:, :1], -x[:, :1]).item() == pytest.approx(-1)


def test_a_variate_that_does_not_vary_scores_zero():
    x, y = two_views(4)
    constant = x[:1].expand(10, 4)
    assert CCA().fit(x, y).score(constant, y[:10]).item() == 0


def test_constant_and_repeated_coordinates_are_left_out():
    x, y = two_views(6)
    clumsy = torch.cat([x, x[:, :1], torch.full((len(x), 1), 3.0)], dim=1)  # one repeated, one constant
    cca = CCA(3).fit(clumsy, y)
    torch.testing.assert_close(cca.correlations, CCA(3).fit(x, y).correlations)
    assert cca.weights_x[5].abs().max() == pytest.approx(0, abs=1e-9)


def test_signs_are_fixed_by_the_largest_weight_of_x():
    x, y = two_views(7)
    for flip in (1, -1):
        cca = CCA(3).fit(flip * x, y)
        columns = cca.weights_x.T
        assert all(column[column.abs().argmax()] > 0 for column in columns)
        assert (cca.score(flip * x, y) > 0).all()  # both views were turned together


def test_absent_pairs_do_not_count_whatever_stands_there():
    x, y = two_views(8)
    present = torch.arange(60) % 5 > 0
    expected = CCA(2).fit(x[present], y[present])
    x[~present], y[~present] = math.nan, math.inf
    ours = CCA(2).fit(x, y, present=present)
    for name in ("correlations", "weights_x", "weights_y", "mean_x", "mean_y"):
        torch.testing.assert_close(getattr(ours, name), getattr(expected, name))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_are_computed_with_in_float32(dtype):
    x, y = (z.to(dtype) for z in two_views(9))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cca = CCA(2).fit(x, y)
        a, _ = cca.transform(x, y)
    assert cca.correlations.dtype == a.dtype == torch.float32
    torch.testing.assert_close(
        cca.correlations.double(), CCA(2).fit(x.double(), y.double()).correlations, atol=1e-4, rtol=0
    )


def test_two_examples_are_enough_and_one_component_is_the_default():
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    cca = CCA()
    assert (cca.components, cca.ridge) == (1, 0.0)
    assert cca.fit(x, 3 - x).correlations.tolist() == pytest.approx([1.0])


@pytest.mark.parametrize("components", [4, 9])
def test_more_components_than_dimensions_are_refused(components):
    x, y = two_views(0)
    message = rf"^components must be at most 3, the smaller of the widths of x \(4\) and y \(3\), got {components}"
    with pytest.raises(ValueError, match=message):
        CCA(components).fit(x, y)


def test_wrong_arguments_are_named():
    x, y = two_views(0)
    with pytest.raises(ValueError, match=r"^components must be at least 1, got 0"):
        CCA(0)
    with pytest.raises(ValueError, match=r"^ridge must be between 0 and inf, got -0.1"):
        CCA(ridge=-0.1)
    with pytest.raises(ValueError, match=r"^x and y must have the same batch size .*, got 60 and 59"):
        CCA().fit(x, y[:59])
    with pytest.raises(ValueError, match=r"^x needs a batch of at least 2"):
        CCA().fit(x[:1], y[:1])
    with pytest.raises(RuntimeError, match=r"^this CCA has no weights yet: call fit\(x, y\) first"):
        CCA().transform(x, y)
    fitted = CCA().fit(x, y)
    with pytest.raises(ValueError, match=r"^x must have shape \(N, 4\), got \(60, 3\)"):
        fitted.transform(y, y)
    with pytest.raises(ValueError, match=r"^y must have shape \(N, 3\), got \(60, 4\)"):
        fitted.transform(x, x)
    with pytest.raises(ValueError, match=r"^the variates of x and the variates of y must have the same shape"):
        fitted.score(x, y[:10])
