"""Deep CCA: cca-zoo's and MultiBench's numbers, gradients where eigenvectors fail, and what CCA cannot see."""

from __future__ import annotations

import pytest
import torch
from alignment_cases import DTYPES, case, close, embeddings
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmteach.alignment import CCA, canonical_correlations, deep_cca_loss, gcca_loss, pairwise_loss

few = settings(max_examples=10, deadline=None)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


# ── numbers from elsewhere ──


@each_dtype
@pytest.mark.parametrize("ridge", [1e-5, 1e-3])
def test_the_squared_loss_equals_cca_zoo(ridge, dtype):
    inputs, expected = case(f"dcca_squared_eps{'1e-05' if ridge == 1e-5 else '0.001'}", dtype)
    close(deep_cca_loss(inputs["z1"], inputs["z2"], ridge=ridge, squared=True), expected["loss"])


@each_dtype
def test_the_loss_is_minus_the_nuclear_norm(dtype):
    # The recorded code means Σρ, but takes a square root element by element: its number must not come out here.
    inputs, expected = case("dcca_all_trap", dtype)
    ours = deep_cca_loss(inputs["z1"], inputs["z2"])  # ridge 1e-3 is the default
    close(ours, expected["nuclear"])
    assert abs(ours - expected["anchor"]) > 0.1


@each_dtype
def test_multibench_adds_a_second_ridge_to_the_squares(dtype):
    # Its loss is −Σ √(ρ² + 1e-3): a perfect correlation scores above 1 there, and not here.
    inputs, expected = case("dcca_topk_multibench", dtype)
    rho = canonical_correlations(inputs["z1"], inputs["z2"], ridge=1e-3)
    close(-(rho.square() + 1e-3).sqrt().sum(), expected["loss"])
    assert deep_cca_loss(inputs["z1"], inputs["z2"]) > expected["loss"]


@each_dtype
def test_the_sum_over_pairs_is_multiset_cca(dtype):
    inputs, expected = case("mcca_loss", dtype)
    close(pairwise_loss(deep_cca_loss, inputs, ridge=1e-5, squared=True), expected["loss"])


@each_dtype
def test_gcca_equals_cca_zoo(dtype):
    inputs, expected = case("gcca_loss", dtype)
    close(gcca_loss(inputs, ridge=1e-5), expected["loss"])


# ── what the numbers mean ──


def test_correlations_are_those_of_cca():
    x, y = embeddings(2, 30, 4)
    for ridge in (1e-3, 0.2):
        expected = CCA(3, ridge=ridge).fit(x, y[:, :3]).correlations
        torch.testing.assert_close(canonical_correlations(x, y[:, :3], ridge=ridge), expected)
    torch.testing.assert_close(canonical_correlations(x, y), canonical_correlations(x, y, ridge=1e-3))


def test_the_loss_sums_the_largest_components():
    x, y = embeddings(2, 30, 4)
    rho = canonical_correlations(x, y)
    torch.testing.assert_close(deep_cca_loss(x, y), -rho.sum())
    torch.testing.assert_close(deep_cca_loss(x, y, components=2), -rho[:2].sum())
    torch.testing.assert_close(deep_cca_loss(x, y, components=1, squared=True), -(rho[0] ** 2))
    torch.testing.assert_close(deep_cca_loss(x, y, components=4), -rho.sum())


@given(seed=st.integers(0, 2**30))
@few
def test_an_invertible_map_of_a_view_changes_nothing_as_the_ridge_goes_to_zero(seed):
    x, y = embeddings(2, 20, 3, seed)
    a = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 3 * torch.eye(3)
    torch.testing.assert_close(
        deep_cca_loss(x @ a - 4, y, ridge=1e-12), deep_cca_loss(x, y, ridge=1e-12), atol=1e-6, rtol=1e-6
    )


@given(seed=st.integers(0, 2**30))
@few
def test_the_loss_lies_between_minus_the_width_and_zero(seed):
    x, y = embeddings(2, 20, 3, seed)
    assert -3 < deep_cca_loss(x, y) < 0
    assert deep_cca_loss(x, x, ridge=1e-12).item() == pytest.approx(-3, abs=1e-6)


def test_a_larger_ridge_trusts_the_batch_less():
    x, y = embeddings(2, 10, 4)
    losses = [deep_cca_loss(x, y, ridge=r).item() for r in (1e-6, 1e-2, 1.0, 100.0)]
    assert losses == sorted(losses)
    assert losses[-1] == pytest.approx(0, abs=0.01)


def test_dead_units_leave_a_finite_gradient():
    # Two constant coordinates make two equal eigenvalues: through eigenvectors this gradient would be 0/0.
    x, y = embeddings(2, 12, 4)
    x[:, 2:] = 1.0
    x.requires_grad_()
    deep_cca_loss(x, y).backward()
    assert x.grad.isfinite().all()
    assert x.grad[:, :2].abs().sum() > 0


def nonlinear_views(seed: int, examples: int) -> tuple[Tensor, Tensor]:
    """Two views of one number t: (t, noise, noise) and (t² − mean, noise, noise); linearly they have nothing in common."""
    g = torch.Generator().manual_seed(seed)
    t = 2 * torch.rand(examples, 1, generator=g) - 1
    noise = torch.randn(2, examples, 2, generator=g)
    return torch.cat([t, noise[0]], dim=1), torch.cat([3 * t.square() - 1, noise[1]], dim=1)


def test_deep_cca_beats_cca_on_held_out_examples_of_a_nonlinear_world():
    train, test = nonlinear_views(0, 600), nonlinear_views(1, 600)
    torch.manual_seed(0)
    networks = nn.ModuleList(
        nn.Sequential(nn.Linear(3, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 2)) for _ in range(2)
    )
    optimiser = torch.optim.Adam(networks.parameters(), lr=1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        deep_cca_loss(networks[0](train[0]), networks[1](train[1])).backward()
        optimiser.step()
    with torch.no_grad():
        seen, unseen = ([net(view) for net, view in zip(networks, views)] for views in (train, test))
    deep = CCA().fit(*seen).score(*unseen).item()
    linear = CCA().fit(*train).score(*test).item()
    assert abs(linear) < 0.2
    assert deep > 0.85


# ── several views at once ──


def test_gcca_of_agreeing_views_counts_them_and_of_unrelated_ones_does_not():
    x, y, z = embeddings(3, 4000, 2)
    assert gcca_loss({"a": x, "b": -x, "c": 2 * x + 1}, ridge=1e-12).item() == pytest.approx(-6, abs=1e-6)
    assert gcca_loss({"a": x, "b": y, "c": z}).item() == pytest.approx(-2, abs=0.2)


def test_gcca_of_two_views_is_one_plus_each_correlation():
    # The eigenvalues of [[I, T], [Tᵀ, I]] are 1 ± ρ.
    x, y = embeddings(2, 30, 3)
    rho = canonical_correlations(x, y, ridge=1e-12)
    torch.testing.assert_close(gcca_loss({"x": x, "y": y}, ridge=1e-12), -(1 + rho).sum())
    torch.testing.assert_close(gcca_loss({"x": x, "y": y}, ridge=1e-12, components=2), -(1 + rho[:2]).sum())
    torch.testing.assert_close(gcca_loss({"x": x, "y": y}, ridge=1e-12, components=1), -(1 + rho[:1]).sum())


def test_gcca_takes_different_widths_and_uses_the_smallest():
    x, y, z = embeddings(3, 30, 4)
    views = {"x": x, "y": y[:, :2], "z": z[:, :3]}
    torch.testing.assert_close(gcca_loss(views), gcca_loss(views, components=2))
    torch.testing.assert_close(gcca_loss(views), gcca_loss(views, ridge=1e-3))
    assert gcca_loss(views) < gcca_loss(views, components=1)


@given(seed=st.integers(0, 2**30), order=st.permutations(["x", "y", "z"]))
@few
def test_gcca_does_not_care_for_the_order_of_views_or_examples(seed, order):
    views = dict(zip("xyz", embeddings(3, 12, 3, seed)))
    shuffled = {name: views[name].flip(0) for name in order}
    torch.testing.assert_close(gcca_loss(shuffled), gcca_loss(views))


def test_gcca_compiles_maps_over_seeds_and_has_the_right_gradient():
    torch.compiler.reset()
    x, y, z = embeddings(3, 8, 3)
    loss = lambda x, y, z: gcca_loss({"x": x, "y": y, "z": z})  # noqa: E731
    torch.testing.assert_close(torch.compile(loss, backend="aot_eager", fullgraph=True)(x, y, z), loss(x, y, z))
    seeds = [torch.stack([v, v.flip(1).roll(1, 0) + v]) for v in (x, y, z)]
    looped = torch.stack([loss(*(v[i] for v in seeds)) for i in range(2)])
    torch.testing.assert_close(torch.func.vmap(loss)(*seeds), looped)
    assert torch.autograd.gradcheck(loss, tuple(v.requires_grad_() for v in (x, y, z)))


def test_gcca_stays_in_float32_under_autocast():
    views = dict(zip("xyz", embeddings(3, 12, 3, dtype=torch.float32)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = gcca_loss(views)
    torch.testing.assert_close(ours, gcca_loss(views), atol=1e-6, rtol=1e-6)


# ── bad input ──


@pytest.mark.parametrize("components", [0, 4])
def test_impossible_numbers_of_components_are_refused(components):
    x, y = embeddings(2, 10, 4)
    with pytest.raises(
        ValueError,
        match=rf"^components must be from 1 to 3, the smaller of the widths of x \(4\) and y \(3\), got {components}",
    ):
        deep_cca_loss(x, y[:, :3], components=components)
    with pytest.raises(
        ValueError, match=rf"^components must be from 1 to 3, the smallest width of the views, got {components}"
    ):
        gcca_loss({"x": x, "y": y[:, :3]}, components=components)


@pytest.mark.parametrize("ridge", [0, -1e-3])
def test_a_ridge_that_is_not_above_zero_is_refused(ridge):
    x, y = embeddings(2, 10, 4)
    with pytest.raises(ValueError, match=rf"^ridge must be above 0, got {ridge}"):
        deep_cca_loss(x, y, ridge=ridge)
    with pytest.raises(ValueError, match=rf"^ridge must be above 0, got {ridge}"):
        gcca_loss({"x": x, "y": y}, ridge=ridge)


def test_gcca_names_the_views():
    x, y = embeddings(2, 10, 4)
    with pytest.raises(ValueError, match=r"^views needs two modalities or more, got \['image'\]"):
        gcca_loss({"image": x})
    with pytest.raises(
        ValueError, match=r"^views\['image'\] and views\['text'\] must have the same batch size .*10 and 9"
    ):
        gcca_loss({"image": x, "text": y[:9]})
    with pytest.raises(ValueError, match=r"^views\['image'\] needs a batch of at least 2"):
        gcca_loss({"image": x[:1], "text": y[:1]})
