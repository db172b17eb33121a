"""Gradient methods: the numbers of LibMTL and TorchJD, each method's own promise, and what happens at the edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from mmteach.multitask import (
    aligned_mtl,
    cagrad,
    config,
    dualproj,
    fairgrad,
    imtl_g,
    mgda,
    min_norm_weights,
    nash,
    pcgrad,
    upgrad,
)
from mmteach.multitask.gradients.gram import aggregator, combine, gram, root

VECTORS = np.load(Path(__file__).parent / "vectors" / "multitask.npz")
ALL = [pcgrad, mgda, cagrad, imtl_g, config, aligned_mtl, nash, fairgrad, upgrad, dualproj]
PLAIN = [imtl_g, config, aligned_mtl]  # tensor code without randomness
NEVER_HURT = [mgda, config, nash, fairgrad, upgrad, dualproj]
some = settings(max_examples=20, deadline=None)


def vector(key: str, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    x = torch.as_tensor(VECTORS[key])
    return x.to(dtype) if x.is_floating_point() else x


def jacobians(tasks: int | None = None, low: int = 3):
    """Random Jacobians (T, P) with P > T: gradients in general position, of sizes from 0.1 to 10."""

    def make(seed: int, t: int, extra: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        g = torch.randn(t, t + extra, generator=generator, dtype=torch.float64)
        return g * 10 ** (2 * torch.rand(t, 1, generator=generator, dtype=torch.float64) - 1)

    counts = st.integers(2, 5) if tasks is None else st.just(tasks)
    return st.builds(make, st.integers(0, 10_000), counts, st.integers(low, low + 4))


def in_order(method):
    """The method without randomness: PCGrad meets the tasks in their own order."""
    if method is not pcgrad:
        return method
    return lambda g: pcgrad(g, orders=torch.arange(len(g)).repeat(len(g), 1))


# Numbers from elsewhere -----------------------------------------------------------------------------------------------

TIGHT = {torch.float64: {"atol": 1e-9, "rtol": 1e-9}, torch.float32: {"atol": 1e-5, "rtol": 1e-4}}
LOOSE = {torch.float64: {"atol": 1e-3, "rtol": 1e-3}, torch.float32: {"atol": 2e-3, "rtol": 2e-3}}
SOLVED = {torch.float64: {"atol": 1e-4, "rtol": 1e-4}, torch.float32: {"atol": 2e-3, "rtol": 2e-3}}
CASES = {
    "pcgrad": (lambda g, losses: pcgrad(g, orders=vector("pcgrad/input/orders")), TIGHT),
    "mgda_none": (lambda g, losses: mgda(g), SOLVED),
    "mgda_l2": (lambda g, losses: mgda(g, normalise="l2"), SOLVED),
    "mgda_loss": (lambda g, losses: mgda(g, losses, "loss"), SOLVED),
    "mgda_loss_plus": (lambda g, losses: mgda(g, losses, "loss+"), SOLVED),
    "imtl_g": (lambda g, losses: imtl_g(g), TIGHT | {torch.float64: {"atol": 1e-7, "rtol": 1e-9}}),
    "upgrad": (lambda g, losses: upgrad(g), LOOSE),
    "nash_fairgrad_alpha1": (lambda g, losses: nash(g), TIGHT | {torch.float64: {"atol": 1e-6, "rtol": 1e-6}}),
    "jd_upgrad": (lambda g, losses: upgrad(g), LOOSE),
    "jd_dualproj": (lambda g, losses: dualproj(g), LOOSE),
    "jd_mgda": (lambda g, losses: mgda(g), LOOSE),
    "jd_cagrad_c0.4": (lambda g, losses: cagrad(g), LOOSE),  # the default c
    "jd_cagrad_c0.5": (lambda g, losses: cagrad(g, 0.5), LOOSE),
    "jd_imtlg": (lambda g, losses: imtl_g(g), LOOSE),
    "jd_alignedmtl": (lambda g, losses: aligned_mtl(g), LOOSE),
    "jd_config": (lambda g, losses: config(g), LOOSE),
}
for c in (0.4, 0.5):
    for r in (0, 1, 2):
        tolerance = {torch.float64: {"atol": 2e-5, "rtol": 2e-5}, torch.float32: {"atol": 2e-3, "rtol": 2e-3}}
        CASES[f"cagrad_c{c}_r{r}"] = (lambda g, losses, c=c, r=r: cagrad(g, c, r), tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_published_codes_numbers(case, dtype):
    method, tolerance = CASES[case]
    combined = method(vector("problem/output/grads", dtype), vector("problem/output/losses", dtype))
    expected = vector(f"{case}/output/{'direction' if case.startswith('jd_') else 'theta_grad'}", dtype)
    assert combined.dtype == dtype
    assert_close(combined, expected, **tolerance[dtype])


@pytest.mark.parametrize("case, normalise", [("mgda_none", "none"), ("mgda_l2", "l2")])
def test_mgda_weights_equal_the_published_codes_within_its_solvers_error(case, normalise):
    g = vector("problem/output/grads")
    g = g / g.norm(dim=1, keepdim=True) if normalise == "l2" else g
    assert_close(min_norm_weights(g), vector(f"{case}/output/weights"), atol=1e-4, rtol=1e-4)


def test_our_mgda_is_at_least_as_short_as_the_published_one():
    g = vector("problem/output/grads")
    assert mgda(g).norm() <= vector("mgda_none/output/theta_grad").norm() + 1e-12


@pytest.mark.parametrize("name, average", [("jd_mean", torch.mean), ("jd_sum", torch.sum)])
def test_mean_and_sum_need_no_method(name, average):
    assert_close(average(vector("problem/output/grads"), dim=0), vector(f"{name}/output/direction"))


# PCGrad ---------------------------------------------------------------------------------------------------------------


def pcgrad_by_the_paper(g: torch.Tensor, orders: list[list[int]]) -> torch.Tensor:
    total = torch.zeros_like(g[0])
    for i, order in enumerate(orders):
        v = g[i].clone()
        for j in order:
            if j != i and v @ g[j] < 0:
                v = v - (v @ g[j]) / (g[j] @ g[j]) * g[j]
        total += v
    return total


@some
@given(jacobians(), st.randoms(use_true_random=False))
def test_pcgrad_equals_a_loop_written_from_the_paper(g, random):
    orders = [random.sample(range(len(g)), len(g)) for _ in g]
    assert_close(pcgrad(g, orders=torch.tensor(orders)), pcgrad_by_the_paper(g, orders))


@some
@given(jacobians(tasks=2))
def test_pcgrad_never_hurts_either_of_two_tasks(g):
    assert (g @ pcgrad(g) >= -1e-9).all()


def test_pcgrad_draws_its_orders_from_the_generator():
    g = torch.tensor([[1.0, 0.2, 0.0], [-1.0, 1.0, 0.3], [0.1, -1.0, -1.0]])
    draws = {tuple(pcgrad(g, torch.Generator().manual_seed(s)).tolist()) for s in range(20)}
    assert len(draws) > 1
    assert torch.equal(pcgrad(g, torch.Generator().manual_seed(3)), pcgrad(g, torch.Generator().manual_seed(3)))
    every_order = {
        tuple(pcgrad_by_the_paper(g, [[a, b], [c, d], [e, f]]).tolist())
        for a, b in [(1, 2), (2, 1)]
        for c, d in [(0, 2), (2, 0)]
        for e, f in [(0, 1), (1, 0)]
    }
    for draw in draws:
        assert any(torch.allclose(torch.tensor(draw), torch.tensor(o)) for o in every_order)


def test_pcgrad_works_on_tiny_gradients_where_a_small_constant_would_switch_it_off():
    g = torch.tensor([[1.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)
    assert_close(pcgrad(g * 1e-6) / 1e-6, pcgrad(g))


def test_pcgrad_is_the_sum_where_nothing_conflicts():
    g = torch.tensor([[1.0, 0.5], [0.2, 1.0], [1.0, 0.0]])
    assert_close(pcgrad(g), g.sum(0))


@pytest.mark.parametrize("orders", [torch.zeros(2, 2, dtype=torch.long), torch.zeros(3, 3)])
def test_pcgrad_says_what_orders_must_be(orders):
    with pytest.raises(
        ValueError, match=r"^orders must hold whole numbers with shape \(3, 3\), one permutation a task, got"
    ):
        pcgrad(torch.eye(3), orders=orders)


# MGDA -----------------------------------------------------------------------------------------------------------------


@some
@given(jacobians())
def test_min_norm_point_satisfies_its_optimality_conditions(g):
    alpha = min_norm_weights(g)
    d = alpha @ g
    assert (alpha >= 0).all()
    assert_close(alpha.sum(), torch.ones((), dtype=g.dtype))
    scale = (g * g).sum(1).max()
    assert (g @ d >= d @ d - 1e-9 * scale).all()  # every projection at least ‖d‖², equal where the weight is above 0
    assert_close((g @ d)[alpha > 1e-9], (d @ d).expand(int((alpha > 1e-9).sum())), atol=1e-9 * scale.item(), rtol=1e-6)
    assert_close(mgda(g), d)


@some
@given(jacobians(tasks=2))
def test_min_norm_point_of_two_tasks_equals_the_closed_form(g):
    a, b = g
    first = (((b - a) @ b) / ((b - a) @ (b - a))).clamp(0, 1)
    assert_close(min_norm_weights(g), torch.stack([first, 1 - first]), atol=1e-7, rtol=1e-7)


def test_mgda_follows_the_smallest_gradient():
    d = mgda(torch.tensor([[100.0, 0.0], [0.0, 1.0]]))
    assert_close(d, torch.tensor([0.01, 0.9999]), atol=1e-5, rtol=1e-4)


def test_mgda_stops_where_the_point_is_pareto_stationary():
    g = torch.tensor([[1.0, 0.0], [-0.5, 0.5], [-0.5, -0.5]], dtype=torch.float64)
    assert_close(min_norm_weights(g), torch.tensor([0.5, 0.5, 0.5], dtype=torch.float64) / 1.5, atol=1e-7, rtol=0)
    assert mgda(g).norm() < 1e-7


def test_mgda_with_equal_weights_where_every_gradient_is_zero():
    assert_close(min_norm_weights(torch.zeros(4, 3)), torch.full((4,), 0.25))


@pytest.mark.parametrize("normalise, sizes", [("none", [1, 1]), ("l2", [2, 4]), ("loss", [3, 5]), ("loss+", [6, 20])])
def test_mgda_normalises_as_it_says(normalise, sizes):
    g = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    normalised = g / torch.tensor(sizes, dtype=torch.float32).unsqueeze(1)
    assert_close(mgda(g, torch.tensor([3.0, 5.0]), normalise), mgda(normalised))


def test_mgda_errors_name_the_argument():
    g = torch.eye(2)
    with pytest.raises(ValueError, match=r"^normalise must be one of 'none', 'l2', 'loss', 'loss\+', got 'L2'"):
        mgda(g, normalise="L2")
    with pytest.raises(ValueError, match=r"^normalise='loss' divides by the losses: pass losses= with shape \(2,\)"):
        mgda(g, normalise="loss")
    with pytest.raises(ValueError, match=r"^losses must have shape \(2,\), got \(3,\)"):
        mgda(g, torch.ones(3), normalise="loss+")


# CAGrad ---------------------------------------------------------------------------------------------------------------


@some
@given(jacobians(), st.sampled_from([0.1, 0.4, 0.9]))
def test_cagrad_stays_in_its_ball_and_serves_the_worst_off_task_best(g, c):
    mean = g.mean(0)
    d = cagrad(g, c)
    assert_close((d - mean).norm(), c * mean.norm(), rtol=1e-6, atol=0)
    worst = (g @ d).min()
    assert worst >= (g @ mean).min() - 1e-9
    assert mean @ d > 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):  # no other direction in the ball does better by the worst-off task
        other = torch.randn(g.shape[1], generator=generator, dtype=g.dtype)
        rival = d + 0.1 * mean.norm() * other / other.norm()
        rival = mean + (rival - mean) * min(1.0, (c * mean.norm() / (rival - mean).norm()).item())
        assert (g @ rival).min() <= worst + 1e-5 * worst.abs() + 1e-7


def test_cagrad_runs_from_the_mean_to_the_direction_of_mgda():
    g = torch.tensor([[2.0, 0.0, 0.1], [-1.0, 1.0, 0.0], [0.5, 0.0, 1.0]], dtype=torch.float64)
    assert_close(cagrad(g, c=0), g.mean(0))
    far, short = cagrad(g, c=1e4), mgda(g)
    assert_close(far / far.norm(), short / short.norm(), atol=1e-3, rtol=0)


def test_cagrad_rescale_divides():
    g = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    d = cagrad(g, 0.5)
    assert_close(cagrad(g, 0.5, rescale=1), d / 1.25)
    assert_close(cagrad(g, 0.5, rescale=2), d / 1.5)


def test_cagrad_takes_the_least_harm_where_one_task_must_lose():
    g = torch.tensor([[3.0, 0.0], [-1.0, 0.0]])  # the mean is (1, 0): the second task loses least at its near edge
    assert_close(cagrad(g, c=0.4), torch.tensor([0.6, 0.0]))


def test_cagrad_projects_the_mean_where_nobody_can_gain():
    opposite = torch.tensor([[3.0, 0.0], [-1.0, 0.0]])
    assert_close(cagrad(opposite, c=2.0), torch.zeros(2), atol=1e-6, rtol=0)
    sideways = torch.tensor([[0.0, 1.0], [0.0, -1.0], [1.0, 0.0]])
    assert_close(cagrad(sideways, c=0.5), torch.tensor([1 / 3, 0.0]), atol=1e-6, rtol=0)


@pytest.mark.filterwarnings("error")
def test_cagrad_takes_gradients_that_cancel_but_for_rounding():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        g = torch.randn(1, 5, generator=generator)
        nearly = torch.cat([g, -g * (1 + 1e-7 * torch.randn(1, generator=generator))])
        assert cagrad(nearly).norm() <= 1e-5 * g.norm()


def test_cagrad_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"^c must be between 0 and inf, got -0\.1"):
        cagrad(torch.eye(2), c=-0.1)
    with pytest.raises(ValueError, match=r"^rescale must be one of 0, 1, 2, got 3"):
        cagrad(torch.eye(2), rescale=3)


# Geometry and bargaining ----------------------------------------------------------------------------------------------


@some
@given(jacobians())
def test_imtl_g_has_equal_projections(g):
    unit = g / g.norm(dim=1, keepdim=True)
    projections = unit @ imtl_g(g)
    assert_close(projections, projections[:1].expand_as(projections), rtol=1e-5, atol=1e-7)


@some
@given(jacobians())
def test_imtl_g_weights_add_up_to_one(g):
    weights = torch.linalg.lstsq(g.T, imtl_g(g)).solution
    assert_close(weights.sum(), torch.ones((), dtype=g.dtype), rtol=1e-6, atol=1e-6)


@some
@given(jacobians())
def test_config_has_equal_cosines_and_the_summed_length(g):
    d = config(g)
    unit = g / g.norm(dim=1, keepdim=True)
    cosines = unit @ d / d.norm()
    assert_close(cosines, cosines[:1].expand_as(cosines), rtol=1e-6, atol=1e-7)
    assert (cosines > 0).all()
    assert_close(d.norm(), (g @ d).sum() / d.norm())


@some
@given(jacobians())
def test_aligned_mtl_is_the_mean_of_the_nearest_balanced_gradients(g):
    u, s, vh = torch.linalg.svd(g, full_matrices=False)
    balanced = s.min() * u @ vh  # the same directions, all singular values the least one
    assert_close(aligned_mtl(g), balanced.mean(0), rtol=1e-5, atol=1e-8)


def test_aligned_mtl_passes_over_directions_that_are_not_there():
    g = torch.tensor([[3.0, 0.0], [3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)  # rank 2: singular values √18 and 1
    # balanced, the two equal gradients become (1/√2, 0) each, the third stays: the mean is (2/√2, 1) / 3
    assert_close(aligned_mtl(g), torch.tensor([2**0.5, 1.0], dtype=torch.float64) / 3)


@some
@given(jacobians(), st.sampled_from([0.5, 1.0, 2.0, 5.0]))
def test_fairgrad_solves_its_equation(g, alpha):
    d = fairgrad(g, alpha)
    gains = g @ d
    assert (gains > 0).all()
    assert_close(gains ** (-alpha) @ g, d, rtol=1e-3, atol=1e-3 * d.norm().item())


def test_nash_is_fairgrad_at_one_and_the_default():
    g = torch.tensor([[2.0, 1.0], [-1.0, 1.0]])
    assert torch.equal(nash(g), fairgrad(g, 1.0))
    assert torch.equal(nash(g), fairgrad(g))


@some
@given(jacobians())
def test_nash_has_length_root_t_and_no_rival_of_that_length_gains_a_larger_product(g):
    d = nash(g)
    assert_close(d.norm(), torch.tensor(float(len(g)), dtype=g.dtype).sqrt(), rtol=1e-5, atol=0)
    product = (g @ d).log().sum()
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        rival = d + 0.2 * torch.randn(g.shape[1], generator=generator, dtype=g.dtype)
        gains = g @ (rival / rival.norm() * d.norm())
        assert (gains <= 0).any() or gains.log().sum() <= product + 1e-6


@some
@given(jacobians(tasks=3))
def test_nash_does_not_see_the_scale_of_a_loss(g):
    scales = torch.tensor([[1.0], [5.0], [0.2]], dtype=g.dtype)
    assert_close(nash(g * scales), nash(g), rtol=1e-4, atol=1e-5)


def test_fairgrad_turns_from_the_sum_to_the_worst_off_task():
    g = torch.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert_close(fairgrad(g, 0.01), g.sum(0), rtol=0.02, atol=0)
    gains = g @ fairgrad(g, 100.0)
    assert_close(gains[0], gains[1], rtol=0.02, atol=0)


@pytest.mark.parametrize("alpha", [0, -1.0])
def test_fairgrad_alpha_must_be_positive(alpha):
    with pytest.raises(ValueError, match=rf"^alpha must be above 0, got {alpha}"):
        fairgrad(torch.eye(2), alpha)


def test_nash_is_close_to_zero_where_the_gradients_cancel():
    g = torch.tensor([[1.0, 2.0], [-3.0, -6.0]], dtype=torch.float64)
    assert nash(g).norm() < 1e-3


# Projections ----------------------------------------------------------------------------------------------------------


@some
@given(jacobians())
def test_dual_cone_projections_are_the_nearest_harmless_directions(g):
    d, x = dualproj(g), g.mean(0)
    assert (g @ d >= -1e-9 * g.norm() ** 2).all()
    assert abs((d - x) @ d) < 1e-8 * g.norm() ** 2  # Moreau: what was added is orthogonal to d
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        rival = upgrad(g + torch.randn(g.shape, generator=generator, dtype=g.dtype))
        if (g @ rival >= 0).all():
            assert (rival - x).norm() >= (d - x).norm() - 1e-9


@some
@given(jacobians(tasks=2))
def test_upgrad_of_two_tasks_is_half_of_pcgrad(g):
    assert_close(upgrad(g), pcgrad(g) / 2, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("method", [upgrad, dualproj])
def test_projections_are_the_mean_where_nothing_conflicts(method):
    g = torch.tensor([[1.0, 0.5], [0.2, 1.0], [1.0, 0.0]])
    assert_close(method(g), g.mean(0))


# Promises of every method ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", NEVER_HURT)
@some
@given(g=jacobians())
def test_never_hurts_a_task(method, g):
    d = method(g)
    assert (g @ d >= -1e-7 * g.norm(dim=1) * d.norm()).all()


@pytest.mark.parametrize("method", [m for m in ALL if m is not pcgrad])
@some
@given(g=jacobians(), random=st.randoms(use_true_random=False))
def test_order_of_the_tasks_does_not_matter(method, g, random):
    order = random.sample(range(len(g)), len(g))
    assert_close(method(g[order]), method(g), rtol=1e-4, atol=1e-5 * g.norm().item())


@pytest.mark.parametrize("method", ALL)
@some
@given(g=jacobians(tasks=3), scale=st.sampled_from([1e-6, 0.5, 1e4]))
def test_scaling_all_gradients_scales_the_direction(method, g, scale):
    method = in_order(method)
    expected = method(g) if method in (nash, fairgrad) else scale * method(g)  # a bargain's length is fixed
    assert_close(method(scale * g), expected, rtol=1e-4, atol=1e-5 * expected.norm().item())


@pytest.mark.parametrize("method", ALL)
@some
@given(g=jacobians(tasks=3))
def test_turning_the_space_turns_the_direction(method, g):
    generator = torch.Generator().manual_seed(1)
    q, _ = torch.linalg.qr(torch.randn(g.shape[1], g.shape[1], generator=generator, dtype=g.dtype))
    method = in_order(method)
    assert_close(method(g @ q), method(g) @ q, rtol=1e-4, atol=1e-5 * g.norm().item())


SUMS = {pcgrad: 3.0, config: 3.0, cagrad: 1.4}


@pytest.mark.parametrize("method", ALL)
def test_equal_gradients_give_that_gradient(method):
    g = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    d = method(g.repeat(3, 1))
    factor = 3**0.5 / g.norm().item() if method in (nash, fairgrad) else SUMS.get(method, 1.0)
    assert_close(d, factor * g, rtol=1e-6, atol=1e-6)


ORTHOGONAL = {
    pcgrad: [2.0, 1.0],
    mgda: [0.4, 0.8],
    imtl_g: [2 / 3, 2 / 3],
    config: [1.5, 1.5],
    aligned_mtl: [0.5, 0.5],
    nash: [1.0, 1.0],
    upgrad: [1.0, 0.5],
    dualproj: [1.0, 0.5],
}


@pytest.mark.parametrize("method", ORTHOGONAL)
def test_orthogonal_gradients_have_a_closed_form(method):
    d = method(torch.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
    assert_close(d, torch.tensor(ORTHOGONAL[method], dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("method", ALL)
def test_zero_and_opposite_gradients_stay_finite(method, dtype):
    for g in (
        [[1.0, 2.0], [0.0, 0.0]],
        [[0.0, 0.0], [0.0, 0.0]],
        [[1.0, 2.0], [-1.0, -2.0]],
        [[0.0, 1.0], [0.0, -3.0]],
    ):
        d = method(torch.tensor(g, dtype=dtype))
        assert d.shape == (2,)
        assert d.isfinite().all()


WITH_ZERO = {
    pcgrad: 1.0,
    mgda: 0.0,
    cagrad: 0.5,
    imtl_g: 1.0,
    config: 1.0,
    aligned_mtl: 0.5,
    upgrad: 0.5,
    dualproj: 0.5,
}


@pytest.mark.parametrize("method", WITH_ZERO)
def test_a_task_without_gradient_leaves_this_share_of_the_others(method):
    g = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    assert_close(method(g), WITH_ZERO[method] * g[0], rtol=1e-6, atol=1e-7)


def test_opposite_gradients_leave_nothing():
    g = torch.tensor([[1.0, 2.0], [-1.0, -2.0]], dtype=torch.float64)
    for method in ALL:
        assert method(g).norm() < 1e-4, method.__name__


@pytest.mark.parametrize("method", ALL)
def test_bfloat16_comes_back_as_bfloat16(method):
    g = torch.tensor([[2.0, 1.0, 0.0], [-1.0, 1.0, 0.5], [0.25, 0.0, 1.0]])
    method = in_order(method)
    half = method(g.bfloat16())
    assert half.dtype == torch.bfloat16
    assert_close(half.float(), method(g), atol=0.02, rtol=0.02)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = method(g)
    assert torch.equal(inside, method(g))  # autocast does not reach the arithmetic


@pytest.mark.parametrize("method", ALL)
def test_does_not_carry_a_graph(method):
    g = torch.randn(2, 3, requires_grad=True)
    assert not method(g).requires_grad
    assert torch.equal(g.detach(), g)


@pytest.mark.parametrize("method", ALL)
def test_more_tasks_than_parameters(method):
    g = torch.tensor([[1.0], [2.0], [0.5]])
    d = method(g)
    assert d.shape == (1,) and d.isfinite().all() and d > 0


@pytest.mark.parametrize("method", [*ALL, min_norm_weights])
def test_errors_say_what_came_and_what_was_expected(method):
    with pytest.raises(
        ValueError, match=r"^jacobian must have two rows or more, one a task, got 1: with one task there is"
    ):
        method(torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"^jacobian must have shape \(T, P\), got \(3,\)"):
        method(torch.ones(3))
    with pytest.raises(ValueError, match=r"^jacobian is empty: shape \(2, 0\)"):
        method(torch.ones(2, 0))
    with pytest.raises(TypeError, match=r"^jacobian must hold floating-point numbers, got torch\.int64"):
        method(torch.ones(2, 3, dtype=torch.long))
    with pytest.raises(TypeError, match=r"^jacobian must be a tensor, got list"):
        method([[1.0, 2.0]])


@pytest.mark.parametrize("method", ALL)
def test_compiled_equals_eager(method):
    torch._dynamo.reset()
    g = vector("problem/output/grads")
    method = in_order(method)
    assert_close(torch.compile(lambda g: method(g), backend="aot_eager")(g), method(g))


@pytest.mark.parametrize("method", PLAIN)
def test_vmap_over_seeds_equals_a_loop(method):
    batch = torch.randn(4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert_close(torch.func.vmap(method)(batch), torch.stack([method(g) for g in batch]))


def test_pcgrad_vmap_over_seeds_equals_a_loop():
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(4, 3, 5, dtype=torch.float64, generator=generator)
    orders = torch.rand(4, 3, 3, generator=generator).argsort(2)
    mapped = torch.func.vmap(lambda g, o: pcgrad(g, orders=o))(batch, orders)
    assert_close(mapped, torch.stack([pcgrad(g, orders=o) for g, o in zip(batch, orders)]))
    drawn = torch.func.vmap(pcgrad, randomness="different")(batch)
    assert drawn.shape == (4, 5)


# What they share ------------------------------------------------------------------------------------------------------


def test_gram_is_scaled_to_a_mean_of_one_on_the_diagonal():
    k, scale = gram(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    assert scale == 5
    np.testing.assert_allclose(k, [[1.8, 0], [0, 0.2]])
    assert gram(torch.zeros(2, 2))[1] == 1


@pytest.mark.parametrize("method", [min_norm_weights, mgda, cagrad, nash, fairgrad, upgrad, dualproj])
def test_solvers_name_the_tasks_whose_gradient_is_not_finite(method):
    with pytest.raises(
        ValueError, match=r"^jacobian must be finite, got NaN or infinity .* in the rows of tasks \[1\]"
    ):
        method(torch.tensor([[1.0, 0.0], [torch.nan, 1.0]]))


def test_root_squares_to_the_matrix_and_takes_rounding_as_zero():
    k = np.array([[2.0, 1.0], [1.0, 3.0]])
    np.testing.assert_allclose(root(k).T @ root(k), k)
    assert np.isfinite(root(np.array([[1.0, 1.0], [1.0, 1.0 - 1e-12]]))).all()


def test_aggregator_takes_half_precision_up_and_leaves_the_rest():
    seen = []
    method = aggregator(lambda g: seen.append(g) or g.sum(0))
    for dtype, work in (
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float64, torch.float64),
    ):
        assert method(torch.ones(2, 2, dtype=dtype, requires_grad=True)).dtype == dtype
        assert seen[-1].dtype == work and not seen[-1].requires_grad


def test_combine_is_the_weighted_sum():
    assert_close(combine(np.array([2.0, -1.0]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])), torch.tensor([-1.0, 0.0]))
