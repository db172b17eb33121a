"""Loss weightings and the Jacobian: LibMTL's numbers, closed forms, limits and errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from mmteach.multitask import (
    HardSharing,
    cosine_matrix,
    dwa,
    equal,
    gls,
    gradnorm,
    gradnorm_weights,
    pcgrad,
    rlw,
    set_gradient,
    task_gradients,
    uncertainty,
    uncertainty_weights,
)

VECTORS = np.load(Path(__file__).parent / "vectors" / "multitask.npz")
TOLERANCE = {torch.float64: {"atol": 1e-9, "rtol": 1e-9}, torch.float32: {"atol": 1e-5, "rtol": 1e-4}}
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
some = settings(max_examples=25, deadline=None)
losses_of_tasks = st.lists(st.floats(0.01, 100), min_size=2, max_size=6).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


def vector(key: str, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.as_tensor(VECTORS[key]).to(dtype)


class Problem:
    """The three tasks of the reference numbers, L_t = ½ ‖A_t θ − b_t‖²."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.theta = nn.Parameter(vector("problem/output/theta", dtype))
        residual = torch.einsum("tij,j->ti", vector("problem/output/A", dtype), self.theta) - vector(
            "problem/output/b", dtype
        )
        self.losses = residual.square().sum(1) / 2


# Numbers from elsewhere -----------------------------------------------------------------------------------------------


@DTYPES
def test_problem_has_the_recorded_losses_and_gradients(dtype):
    problem = Problem(dtype)
    assert_close(problem.losses.detach(), vector("problem/output/losses", dtype), **TOLERANCE[dtype])
    jacobian = task_gradients(problem.losses, [problem.theta])
    assert_close(jacobian, vector("problem/output/grads", dtype), **TOLERANCE[dtype])


WEIGHTINGS = {
    "ew": lambda p: equal(p.losses),
    "dwa": lambda p: dwa(vector("dwa/input/loss_history", p.losses.dtype).T),
    "dwa_warmup": lambda p: dwa(vector("dwa/input/loss_history", p.losses.dtype).T[:1]),
    "rlw": lambda p: rlw(p.losses, torch.Generator().manual_seed(7)),  # the seed of the recorded z
    "gradnorm": lambda p: gradnorm_weights(vector("gradnorm/input/loss_scale", p.losses.dtype)),
    "uw": lambda p: uncertainty_weights(torch.full((3,), -0.5, dtype=p.losses.dtype)),
    "gls": lambda p: gls(p.losses),
}


@DTYPES
@pytest.mark.parametrize("case", WEIGHTINGS)
def test_weights_and_shared_gradient_equal_the_published_codes(case, dtype):
    problem = Problem(dtype)
    weights = WEIGHTINGS[case](problem)
    assert weights.dtype == dtype
    assert not weights.requires_grad
    if case != "gls":
        assert_close(weights, vector(f"{case}/output/weights", dtype), **TOLERANCE[dtype])
    (weights * problem.losses).sum().backward()
    assert_close(problem.theta.grad, vector(f"{case}/output/theta_grad", dtype), **TOLERANCE[dtype])


@DTYPES
def test_uncertainty_gradients_equal_the_published_code(dtype):
    problem = Problem(dtype)
    s = torch.full((3,), -0.5, dtype=dtype, requires_grad=True)
    uncertainty(problem.losses, s).backward()
    assert_close(problem.theta.grad, vector("uw/output/theta_grad", dtype), **TOLERANCE[dtype])
    assert_close(s.grad, vector("uw/output/d_loss_scale", dtype), **TOLERANCE[dtype])


@DTYPES
def test_gradnorm_gradient_of_the_scale_equals_the_published_code(dtype):
    problem = Problem(dtype)
    s = vector("gradnorm/input/loss_scale", dtype).requires_grad_()
    jacobian = task_gradients(problem.losses, [problem.theta])
    gradnorm(problem.losses, vector("gradnorm/input/initial_losses", dtype), jacobian, s).backward()
    assert_close(s.grad, vector("gradnorm/output/d_loss_scale", dtype), **TOLERANCE[dtype])
    assert problem.theta.grad is None  # nothing but the scale learns from it


def test_rlw_equals_the_softmax_of_the_recorded_draw():
    assert_close(torch.softmax(vector("rlw/input/z"), 0), vector("rlw/output/weights"))


# Each weighting -------------------------------------------------------------------------------------------------------


def test_equal_is_one_for_every_task():
    assert torch.equal(equal(torch.tensor([0.1, 5.0, 9.0])), torch.ones(3))


@some
@given(losses_of_tasks)
def test_uncertainty_is_least_where_s_is_the_log_of_the_loss(losses):
    s = losses.log().requires_grad_()
    total = uncertainty(losses, s)
    total.backward()
    assert_close(s.grad, torch.zeros_like(s), atol=1e-9, rtol=0)
    assert_close(total, (0.5 + 0.5 * losses.log()).sum())
    assert_close(uncertainty_weights(losses.log()) * losses, torch.full_like(losses, 0.5))


def test_uncertainty_by_hand():
    s = torch.tensor([0.0, math.log(4)])
    assert_close(uncertainty(torch.tensor([3.0, 8.0]), s), torch.tensor(1.5 + 1.0 + math.log(4) / 2))


@some
@given(losses_of_tasks, losses_of_tasks, st.sampled_from([0.5, 2.0, 10.0]))
def test_dwa_weights_add_up_to_t_and_follow_the_ratio(older, newer, temperature):
    tasks = min(len(older), len(newer))
    history = torch.stack([torch.ones(tasks, dtype=torch.float64), older[:tasks], newer[:tasks]])
    weights = dwa(history, temperature)
    ratio = newer[:tasks] / older[:tasks]
    expected = tasks * torch.exp(ratio / temperature) / torch.exp(ratio / temperature).sum()
    if expected.isfinite().all():
        assert_close(weights, expected)
    assert_close(weights.sum(), torch.tensor(float(tasks), dtype=torch.float64))


def test_dwa_default_temperature_is_two_and_a_high_one_makes_weights_equal():
    history = torch.tensor([[1.0, 1.0], [0.5, 1.0]])
    assert torch.equal(dwa(history), dwa(history, temperature=2.0))
    assert_close(dwa(history, temperature=1e6), torch.ones(2), atol=1e-5, rtol=0)
    assert_close(dwa(history, temperature=1e-3), torch.tensor([0.0, 2.0]))


@pytest.mark.parametrize("epochs", [0, 1])
def test_dwa_starts_with_equal_weights(epochs):
    weights = dwa(torch.full((epochs, 3), 7.0, dtype=torch.float64))
    assert torch.equal(weights, torch.ones(3, dtype=torch.float64))


def test_dwa_stays_finite_where_a_loss_reached_zero():
    assert dwa(torch.tensor([[0.0, 1.0], [0.0, 1.0]])).isfinite().all()


def test_rlw_draws_new_weights_that_add_up_to_one():
    generator = torch.Generator().manual_seed(0)
    first, second = rlw(torch.ones(4), generator), rlw(torch.ones(4), generator)
    assert not torch.equal(first, second)
    assert_close(first.sum(), torch.tensor(1.0))
    torch.manual_seed(5)
    drawn = rlw(torch.ones(4))
    torch.manual_seed(5)
    assert torch.equal(drawn, rlw(torch.ones(4)))


@some
@given(losses_of_tasks)
def test_gls_minimises_the_geometric_mean(losses):
    losses = losses.requires_grad_()
    geometric = losses.prod() ** (1 / len(losses))
    (gradient,) = torch.autograd.grad(geometric, losses)
    assert_close(gls(losses), gradient)
    assert_close((gls(losses) * losses).sum(), geometric)


@some
@given(losses_of_tasks, st.floats(0.01, 100))
def test_gls_does_not_see_the_unit_of_a_loss(losses, unit):
    units = torch.ones_like(losses)
    units[0] = unit
    weighted = gls(losses) * losses
    rescaled = gls(losses * units) * losses * units
    assert_close(rescaled / rescaled.sum(), weighted / weighted.sum())


def test_gls_stays_finite_at_a_loss_of_zero():
    assert gls(torch.tensor([0.0, 1.0])).isfinite().all()


def test_gradnorm_by_hand():
    g = torch.tensor([[3.0, 4.0], [0.0, 1.0]])  # norms 5 and 1, mean 3
    losses, first = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0])  # progress ½ and 3/2, mean 1
    value = gradnorm(losses, first, g, torch.zeros(2), alpha=2.0)
    assert_close(value, torch.tensor(abs(5 - 3 * 0.25) + abs(1 - 3 * 2.25)))
    assert_close(
        gradnorm(losses, first, g, torch.zeros(2)), torch.tensor(abs(5 - 3 * 0.5**1.5) + abs(1 - 3 * 1.5**1.5))
    )


def test_gradnorm_settles_where_the_weighted_gradients_are_equal():
    g = torch.tensor([[4.0, 0.0], [0.0, 1.0]])
    s = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([s], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        gradnorm(torch.ones(2), torch.ones(2), g, s, alpha=0.0).backward()
        optimizer.step()
    norms = gradnorm_weights(s.detach()) * g.norm(dim=1)
    assert_close(norms[0], norms[1], rtol=0.2, atol=0)
    assert_close(gradnorm_weights(s.detach()).sum(), torch.tensor(2.0))


def test_gradnorm_gives_the_slow_task_the_larger_target():
    s = torch.zeros(2, requires_grad=True)
    gradnorm(torch.tensor([1.0, 0.1]), torch.ones(2), torch.eye(2), s).backward()
    assert s.grad[0] < 0 < s.grad[1]


def test_gradnorm_stays_finite_when_all_losses_are_zero():
    assert gradnorm(torch.zeros(2), torch.zeros(2), torch.eye(2), torch.zeros(2)).isfinite()


@pytest.mark.parametrize("method", [equal, gls, uncertainty_weights, gradnorm_weights])
@some
@given(losses=losses_of_tasks, random=st.randoms(use_true_random=False))
def test_permuting_the_tasks_permutes_the_weights(method, losses, random):
    order = random.sample(range(len(losses)), len(losses))
    assert_close(method(losses / 100)[order], method(losses[order] / 100))


BY_LOSSES = [equal, rlw, gls, uncertainty_weights, gradnorm_weights]


@pytest.mark.parametrize("method", BY_LOSSES)
def test_bfloat16_works(method):
    weights = method(torch.tensor([0.5, 2.0], dtype=torch.bfloat16))
    assert weights.dtype == torch.bfloat16 and weights.isfinite().all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert method(torch.tensor([0.5, 2.0])).dtype == torch.float32


@pytest.mark.parametrize("method", BY_LOSSES)
def test_one_task_only_is_an_error_that_says_what_to_do(method):
    with pytest.raises(
        ValueError,
        match=r"^(losses|log_variance|scale) must hold two tasks or more, got 1: with one task there is nothing to weigh",
    ):
        method(torch.ones(1))
    with pytest.raises(
        TypeError, match=r"^(losses|log_variance|scale) must hold floating-point numbers, got torch\.int64"
    ):
        method(torch.ones(2, dtype=torch.long))


def test_errors_name_the_argument():
    two, three = torch.ones(2), torch.ones(3)
    with pytest.raises(ValueError, match=r"^losses must have shape \(T,\), got \(2, 1\)"):
        equal(two.unsqueeze(1))
    with pytest.raises(ValueError, match=r"^log_variance and losses must have the same shape, got \(3,\) and \(2,\)"):
        uncertainty(two, three)
    with pytest.raises(ValueError, match=r"^losses must hold two tasks or more, got 1"):
        uncertainty(torch.ones(1), torch.ones(1))
    with pytest.raises(ValueError, match=r"^log_variance must hold two tasks"):
        uncertainty_weights(torch.ones(1))
    with pytest.raises(ValueError, match=r"^scale must hold two tasks"):
        gradnorm_weights(torch.ones(1))
    with pytest.raises(ValueError, match=r"^initial_losses and losses must have the same shape, got \(3,\) and \(2,\)"):
        gradnorm(two, three, torch.eye(2), two)
    with pytest.raises(ValueError, match=r"^scale and losses must have the same shape, got \(3,\) and \(2,\)"):
        gradnorm(two, two, torch.eye(2), three)
    with pytest.raises(ValueError, match=r"^jacobian must have shape \(2, P\), got \(3, 3\)"):
        gradnorm(two, two, torch.eye(3), two)
    with pytest.raises(ValueError, match=r"^alpha must be between 0 and inf, got -1"):
        gradnorm(two, two, torch.eye(2), two, alpha=-1)
    with pytest.raises(ValueError, match=r"^losses must hold two tasks or more, got 1"):
        gradnorm(torch.ones(1), torch.ones(1), torch.ones(1, 2), torch.ones(1))
    with pytest.raises(ValueError, match=r"^temperature must be above 0, got 0"):
        dwa(torch.ones(2, 2), temperature=0)
    with pytest.raises(
        ValueError, match=r"^history must be a tensor with shape \(E, T\), one row a finished epoch, got \(2,\)"
    ):
        dwa(two)
    with pytest.raises(
        ValueError, match=r"^history must be a tensor with shape \(E, T\), one row a finished epoch, got list"
    ):
        dwa([[1.0, 2.0]])
    for epochs in (1, 2):
        with pytest.raises(ValueError, match=r"^a row of history must hold two tasks or more, got 1"):
            dwa(torch.ones(epochs, 1))


def every_weighting(losses: torch.Tensor, jacobian: torch.Tensor) -> torch.Tensor:
    history = torch.stack([losses * 2, losses.square()])
    return torch.cat(
        [
            equal(losses),
            dwa(history),
            gls(losses),
            uncertainty(losses, losses / 10).unsqueeze(0),
            gradnorm(losses, losses * 2, jacobian, losses / 10).unsqueeze(0),
            cosine_matrix(jacobian).flatten(),
        ]
    )


def test_compiled_equals_eager():
    torch._dynamo.reset()
    losses, jacobian = vector("problem/output/losses"), vector("problem/output/grads")
    compiled = torch.compile(every_weighting, backend="aot_eager", fullgraph=True)
    assert_close(compiled(losses, jacobian), every_weighting(losses, jacobian))


def test_vmap_over_seeds_equals_a_loop():
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(5, 3, generator=generator) + 0.1
    jacobians = torch.randn(5, 3, 7, generator=generator)
    mapped = torch.func.vmap(every_weighting)(losses, jacobians)
    assert_close(mapped, torch.stack([every_weighting(a, g) for a, g in zip(losses, jacobians)]))


# The Jacobian ---------------------------------------------------------------------------------------------------------


def test_task_gradients_equal_backward_task_by_task():
    torch.manual_seed(0)
    model = HardSharing(nn.Linear(4, 3), {"a": nn.Linear(3, 2), "b": nn.Linear(3, 1)})
    shared = list(model.shared_parameters())
    losses = [y.square().mean() for y in model(torch.randn(5, 4)).values()]
    jacobian = task_gradients(losses, shared)
    assert jacobian.shape == (2, 4 * 3 + 3)
    for row, loss in zip(jacobian, losses):
        model.zero_grad()
        loss.backward(retain_graph=True)
        assert_close(row, torch.cat([p.grad.flatten() for p in shared]))


def test_task_gradients_leave_the_graph_and_the_grads_alone():
    theta = nn.Parameter(torch.tensor([2.0]))
    losses = torch.stack([theta.sum(), theta.square().sum()])
    task_gradients(losses, [theta])
    assert theta.grad is None
    losses.sum().backward()
    assert_close(theta.grad, torch.tensor([5.0]))


def test_a_parameter_no_task_uses_gives_zeros_and_a_frozen_one_is_passed_over():
    used, unused, frozen = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(9))
    frozen.requires_grad_(False)
    jacobian = task_gradients([(used * frozen[:2]).sum(), 3 * used.sum()], [frozen, used, unused])
    assert_close(jacobian, torch.tensor([[1.0, 1.0, 0.0], [3.0, 3.0, 0.0]]))


def test_set_gradient_trains_filters_with_their_channels_last_as_backward_does():
    def trained(by_hand):
        torch.manual_seed(0)
        conv, x = nn.Conv2d(3, 4, 3), torch.randn(2, 3, 5, 5)
        conv.weight.data = conv.weight.data.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(conv.parameters(), lr=0.1, fused=True)  # goes by memory, not by index
        for _ in range(2):
            optimizer.zero_grad()
            loss = conv(x).square().mean()
            if by_hand:
                set_gradient(conv.parameters(), task_gradients([loss], conv.parameters())[0])
            else:
                loss.backward()
            optimizer.step()
        return conv.weight.detach()

    assert_close(trained(by_hand=True), trained(by_hand=False))


def test_set_gradient_is_the_way_back():
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(2, 3)), nn.Parameter(torch.randn(4, dtype=torch.float64))]
    parameters[0].grad = torch.ones(2, 3)
    loss = parameters[0].square().sum() + parameters[1].sum() ** 2
    gradient = task_gradients([loss], parameters)[0]
    set_gradient(parameters, gradient)
    assert_close(parameters[0].grad, 2 * parameters[0].detach())
    assert parameters[1].grad.dtype == torch.float64
    assert_close(parameters[1].grad, torch.full((4,), 2 * parameters[1].sum().item(), dtype=torch.float64))
    gradient.zero_()
    assert parameters[0].grad.abs().sum() > 0  # a copy, not a view of what was passed


def test_a_whole_step_gives_heads_their_own_gradient_and_the_trunk_the_combined_one():
    torch.manual_seed(0)
    model = HardSharing(nn.Linear(4, 3), {"a": nn.Linear(3, 2), "b": nn.Linear(3, 1)})
    shared = list(model.shared_parameters())
    losses = torch.stack([y.square().mean() for y in model(torch.randn(5, 4)).values()])
    jacobian = task_gradients(losses, shared)
    losses.sum().backward()
    assert_close(torch.cat([p.grad.flatten() for p in shared]), jacobian.sum(0))
    head = model.heads["a"].weight.grad.clone()
    combined = pcgrad(jacobian, torch.Generator().manual_seed(0))
    set_gradient(shared, combined)
    assert_close(torch.cat([p.grad.flatten() for p in shared]), combined)
    assert torch.equal(model.heads["a"].weight.grad, head)


@some
@given(st.integers(0, 1000), st.integers(1, 5))
def test_cosine_matrix_equals_torchs_cosine(seed, tasks):
    g = torch.randn(tasks, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = nn.functional.cosine_similarity(g.unsqueeze(1), g.unsqueeze(0), dim=2)
    assert_close(cosine_matrix(g), expected)
    assert_close(cosine_matrix(1e-8 * g), expected)


def test_cosine_of_a_zero_gradient_is_zero():
    assert torch.equal(cosine_matrix(torch.tensor([[0.0, 0.0], [0.0, 2.0]])), torch.tensor([[0.0, 0.0], [0.0, 1.0]]))


def test_jacobian_errors_name_the_argument():
    theta = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"^parameters must hold at least one that requires a gradient, got none"):
        task_gradients([theta.sum()], [])
    with pytest.raises(ValueError, match=r"^losses must hold one scalar a task, got none"):
        task_gradients([], [theta])
    with pytest.raises(ValueError, match=r"^losses\[1\] must be a scalar tensor, got \(2,\): take its mean first"):
        task_gradients([theta.sum(), theta], [theta])
    with pytest.raises(ValueError, match=r"^losses\[0\] must be a scalar tensor, got float: take its mean first"):
        task_gradients([1.0], [theta])
    with pytest.raises(ValueError, match=r"^gradient must have shape \(2,\), got \(3,\)"):
        set_gradient([theta], torch.ones(3))
    with pytest.raises(ValueError, match=r"^parameters must hold at least one"):
        set_gradient([], torch.ones(3))
    with pytest.raises(ValueError, match=r"^jacobian must have shape \(T, P\), got \(3,\)"):
        cosine_matrix(torch.ones(3))
    with pytest.raises(TypeError, match=r"^jacobian must hold floating-point numbers, got torch\.int64"):
        cosine_matrix(torch.ones(2, 3, dtype=torch.long))
