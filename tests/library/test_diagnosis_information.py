"""Information in bits: closed forms, identities of the decomposition, and a certificate that its minimum is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmteach.diagnosis import (
    PID,
    best_accuracy,
    entropy,
    estimate_pid,
    joint_table,
    mutual_information,
    pid,
    quantise,
)
from mmteach.diagnosis.information import _without_synergy

some = settings(max_examples=15, deadline=None)


def world(rule, values: int = 2) -> np.ndarray:
    """The joint table of two independent fair variables and y = rule(x1, x2)."""
    pairs = [(a, b) for a in range(values) for b in range(values)]
    answers = sorted({rule(a, b) for a, b in pairs})
    p = np.zeros((values, values, len(answers)))
    for a, b in pairs:
        p[a, b, answers.index(rule(a, b))] += 1 / len(pairs)
    return p


def tables(low: int = 2, high: int = 3):
    """Random joint tables (X1, X2, Y), some with many empty cells."""

    def make(seed: int, shape: tuple, concentration: float) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.dirichlet(np.full(np.prod(shape), concentration)).reshape(shape)

    sizes = st.integers(low, high)
    return st.builds(make, st.integers(0, 10_000), st.tuples(sizes, sizes, sizes), st.sampled_from([0.2, 1.0]))


# Worlds whose answer is known -----------------------------------------------------------------------------------------

COPY = np.zeros((2, 2, 2))
COPY[0, 0, 0] = COPY[1, 1, 1] = 0.5
WORLDS = {
    "AND": (world(lambda a, b: a & b), PID(0.311, 0, 0, 0.5)),
    "OR": (world(lambda a, b: a | b), PID(0.311, 0, 0, 0.5)),
    "XOR": (world(lambda a, b: a ^ b), PID(0, 0, 0, 1)),
    "redundant copy": (COPY, PID(1, 0, 0, 0)),
    "unique to the first": (world(lambda a, b: a), PID(0, 1, 0, 0)),
    "unique to the second": (world(lambda a, b: b), PID(0, 0, 1, 0)),
    "two-bit copy": (world(lambda a, b: (a, b)), PID(0, 1, 1, 0)),
    "nothing": (world(lambda a, b: 0), PID(0, 0, 0, 0)),
    "sum": (world(lambda a, b: a + b), PID(0.5, 0, 0, 1)),
}


@pytest.mark.parametrize("name", WORLDS)
def test_decomposition_of_a_world_whose_answer_is_known(name):
    table, expected = WORLDS[name]
    found = pid(table)
    assert isinstance(found, PID)
    np.testing.assert_allclose(found, expected, atol=5e-4)  # the published figures have three digits
    assert found.redundancy == found[0] and found.unique1 == found[1] and found.unique2 == found[2]


def test_and_to_more_digits():
    found = pid(world(lambda a, b: a & b))
    assert found.redundancy == pytest.approx(1.5 - 0.75 * math.log2(3), abs=1e-5)  # I(X1; Y): nothing is unique
    assert found.synergy == pytest.approx(0.5, abs=1e-5)


def test_noise_turns_xor_synergy_down_to_the_channels_capacity():
    p = 0.9 * world(lambda a, b: a ^ b) + 0.1 * world(lambda a, b: 1 - (a ^ b))
    assert pid(p).synergy == pytest.approx(1 - entropy([0.9, 0.1]), abs=1e-6)


# Identities -----------------------------------------------------------------------------------------------------------


@some
@given(tables())
def test_parts_add_up_and_none_is_negative(p):
    r, u1, u2, s = pid(p)
    assert min(r, u1, u2, s) >= -1e-9
    assert r + u1 + u2 + s == pytest.approx(mutual_information(p.reshape(-1, p.shape[2])), abs=1e-9)
    assert r + u1 == pytest.approx(mutual_information(p.sum(1)), abs=1e-9)
    assert r + u2 == pytest.approx(mutual_information(p.sum(0)), abs=1e-9)


@some
@given(tables())
def test_exchanging_the_modalities_exchanges_the_uniques(p):
    r, u1, u2, s = pid(p)
    np.testing.assert_allclose(pid(p.swapaxes(0, 1)), (r, u2, u1, s), atol=1e-4)


@some
@given(tables(), st.randoms(use_true_random=False))
def test_names_of_the_values_do_not_matter(p, random):
    for axis in range(3):
        order = random.sample(range(p.shape[axis]), p.shape[axis])
        np.testing.assert_allclose(pid(p.take(order, axis)), pid(p), atol=1e-4)


def duality_gap(q: np.ndarray, p: np.ndarray) -> float:
    """How far q is from the minimum at most, in bits: the largest ⟨∇I_q, q − s⟩ over allowed s (Frank & Wolfe 1956)."""
    from scipy.optimize import linprog

    slope = np.log2(np.maximum(q, 1e-300) / np.maximum(q.sum(2, keepdims=True), 1e-300)).clip(min=-60)
    gap = 0.0
    for y in range(p.shape[2]):
        rows, columns = p.shape[:2]
        each_row = np.kron(np.eye(rows), np.ones(columns))
        each_column = np.kron(np.ones(rows), np.eye(columns))
        best = linprog(
            slope[:, :, y].ravel(),
            A_eq=np.vstack([each_row, each_column]),
            b_eq=np.concatenate([p[:, :, y].sum(1), p[:, :, y].sum(0)]),
        )
        gap += (q[:, :, y] * slope[:, :, y]).sum() - best.fun
    return gap


@settings(max_examples=10, deadline=None)
@given(tables())
def test_the_minimum_is_one_by_a_certificate_from_linear_programs(p):
    p = 0.98 * p + 0.02 / p.size  # no empty cell, so that the certificate is tight
    q = _without_synergy(p, 1e-7, 20_000)
    np.testing.assert_allclose(q.sum(1), p.sum(1), atol=1e-9)
    np.testing.assert_allclose(q.sum(0), p.sum(0), atol=1e-9)
    assert duality_gap(q, p) < 1e-3
    assert pid(p).synergy == pytest.approx(
        mutual_information(p.reshape(-1, p.shape[2])) - mutual_information(q.reshape(-1, q.shape[2])), abs=1e-9
    )


@some
@given(tables(high=2), st.integers(0, 100))
def test_no_other_table_with_these_pairs_has_less_information(p, seed):
    q = _without_synergy(p, 1e-7, 20_000)
    union = mutual_information(q.reshape(-1, q.shape[2]))
    rng = np.random.default_rng(seed)
    for _ in range(20):  # for every y, mass moves round a square of cells: the pair tables stay as they are
        q = p.copy()
        for y in range(p.shape[2]):
            room = min(q[0, 0, y], q[1, 1, y]), min(q[0, 1, y], q[1, 0, y])
            move = rng.uniform(-room[0], room[1])
            q[:, :, y] += move * np.array([[1, -1], [-1, 1]])
        assert mutual_information(q.clip(min=0).reshape(-1, q.shape[2])) >= union - 1e-5


def test_steps_and_tolerance_bound_the_work():
    p = world(lambda a, b: a & b)
    rough = pid(p, steps=1)
    assert rough.synergy < pid(p).synergy - 0.01  # stopped early: the minimum is not reached, too little is synergy
    assert pid(p, tolerance=1.0).synergy < pid(p).synergy - 0.001
    np.testing.assert_allclose(pid(p, tolerance=1e-7, steps=20_000), pid(p))


# Entropy and mutual information ---------------------------------------------------------------------------------------


@some
@given(tables())
def test_entropy_and_mutual_information_equal_scipy_and_sklearn(p):
    from scipy.stats import entropy as scipy_entropy

    assert entropy(p) == pytest.approx(scipy_entropy(p.ravel(), base=2))
    pair = p.sum(2)
    product = np.outer(pair.sum(1), pair.sum(0))
    assert mutual_information(pair) == pytest.approx(scipy_entropy(pair.ravel(), product.ravel(), base=2), abs=1e-9)


def test_entropy_limits():
    assert entropy([1.0]) == 0 and math.copysign(1, entropy([1.0])) == 1
    assert entropy(np.full(8, 1 / 8)) == 3
    assert entropy(torch.tensor([0.5, 0.5])) == 1
    assert entropy([[0.25, 0.25], [0.25, 0.25]]) == 2


def test_mutual_information_of_independent_variables_is_never_negative():
    assert mutual_information(np.outer([0.3, 0.7], [0.1, 0.2, 0.7])) == pytest.approx(0, abs=1e-12)
    assert mutual_information(np.outer([0.3, 0.7], [0.1, 0.2, 0.7])) >= 0


@pytest.mark.parametrize(
    "p, message",
    [
        ([0.5, 0.4], r"p must sum to 1, got 0\.9: divide counts by their sum"),
        ([3, 1], "p must sum to 1, got 4"),
        ([1.5, -0.5], r"p must hold finite probabilities ≥ 0, got shape \(2,\)"),
        ([float("nan"), 1.0], "p must hold finite probabilities"),
        ([], r"p must hold finite probabilities ≥ 0, got shape \(0,\)"),
    ],
)
def test_entropy_says_what_probabilities_are(p, message):
    with pytest.raises(ValueError, match="^" + message):
        entropy(p)


def test_sums_within_rounding_are_accepted_and_corrected():
    assert entropy(np.array([0.5, 0.5 + 5e-7])) == pytest.approx(1, abs=1e-9)
    with pytest.raises(ValueError, match=r"^p must sum to 1, got 1\.000002: divide"):
        entropy([0.5, 0.5 + 2e-6])


def test_errors_name_the_axes():
    with pytest.raises(ValueError, match=r"^joint must have 2 axes, got shape \(2, 2, 2\)"):
        mutual_information(COPY)
    with pytest.raises(ValueError, match=r"^joint must have 3 axes, got shape \(2, 2\)"):
        pid(np.full((2, 2), 0.25))
    with pytest.raises(ValueError, match=r"^joint must sum to 1, got 2"):
        best_accuracy(2 * COPY)


# The best accuracy ----------------------------------------------------------------------------------------------------


def test_best_accuracy_of_worlds():
    xor = world(lambda a, b: a ^ b)
    assert best_accuracy(xor) == 1
    assert best_accuracy(xor.sum(1)) == 0.5  # one modality alone knows nothing
    both = world(lambda a, b: a & b)
    assert best_accuracy(both.sum(0)) == 0.75
    assert best_accuracy([0.2, 0.8]) == 0.8  # no modality: the commonest class


@some
@given(tables())
def test_another_modality_never_lowers_the_best_accuracy(p):
    alone = best_accuracy(p.sum(1))
    assert p.sum((0, 1)).max() - 1e-12 <= alone <= best_accuracy(p) + 1e-12


# Real data ------------------------------------------------------------------------------------------------------------


def test_joint_table_counts():
    np.testing.assert_allclose(joint_table([0, 2, 2], [1, 0, 0]), [[0, 1 / 3], [0, 0], [2 / 3, 0]])
    np.testing.assert_allclose(joint_table(torch.tensor([1, 0])), [0.5, 0.5])
    assert joint_table([0, 1], [0, 1], [0, 2]).shape == (2, 2, 3)


@pytest.mark.parametrize(
    "columns, message",
    [
        (([0, 1], [0, 1, 2]), r"columns must be one or more of the same length, got lengths \[2, 3\]"),
        ((), r"columns must be one or more of the same length, got lengths \[\]"),
        (
            ([0, 1], [0.5, 1.0]),
            r"column 1 must hold whole numbers ≥ 0 with shape \(N,\), got float64 with shape \(2,\)",
        ),
        (([0, -1],), "column 0 must hold whole numbers ≥ 0"),
        (
            ([[0, 1]],),
            r"column 0 must hold whole numbers ≥ 0 with shape \(N,\), got int64 with shape \(1, 2\): `quantise` makes them",
        ),
        ((np.array([], dtype=int),), r"column 0 must .* got int64 with shape \(0,\)"),
    ],
)
def test_joint_table_errors(columns, message):
    with pytest.raises(ValueError, match="^" + message):
        joint_table(*columns)


def test_quantise_finds_the_clusters_and_repeats_itself():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 90)
    x = 10 * np.eye(3)[truth] + rng.standard_normal((90, 3))
    codes = quantise(x, clusters=3)
    assert codes.dtype == np.int64 and set(codes) == {0, 1, 2}
    assert mutual_information(joint_table(codes, truth)) == pytest.approx(entropy(joint_table(truth)))
    assert np.array_equal(codes, quantise(torch.from_numpy(x), clusters=3, seed=0))
    assert len(set(quantise(rng.standard_normal(200)))) == 10
    assert set(quantise(x, clusters=1)) == {0}
    assert len(set(quantise([0.0, 1.0], clusters=2))) == 2


@pytest.mark.parametrize(
    "features, clusters, message",
    [
        ([1.0, 2.0], 3, "clusters must be between 1 and the number of examples, 2, got 3"),
        ([1.0, 2.0], 0, "clusters must be between 1 and the number of examples, 2, got 0"),
        (1.0, 1, r"features must be finite with shape \(N,\) or \(N, D\), got shape \(\)"),
        ([1.0, float("nan")], 1, r"features must be finite with shape \(N,\) or \(N, D\), got shape \(2, 1\)"),
        (np.zeros((2, 2, 2)), 1, r"features must .* got shape \(2, 2, 2\)"),
    ],
)
def test_quantise_errors(features, clusters, message):
    with pytest.raises(ValueError, match="^" + message):
        quantise(features, clusters)


def test_estimate_finds_the_synergy_of_a_noisy_xor_and_no_more_than_its_bias_where_there_is_none():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (2, 4000))
    x1, x2 = (bits + 0.1 * rng.standard_normal(bits.shape))[:, :, None]
    y = bits[0] ^ bits[1]
    found = estimate_pid(x1, x2, y, clusters=2)
    assert found.synergy == pytest.approx(1, abs=0.02)
    bias = estimate_pid(x1, x2, rng.permutation(y), clusters=2)
    assert sum(bias) < 0.005
    more = estimate_pid(x1, x2, rng.permutation(y), clusters=20)
    expected_bias = 20 * 20 / (2 * 4000 * math.log(2))  # cells / (2 N ln 2)
    assert sum(more) == pytest.approx(expected_bias, rel=0.3)
    assert more.synergy > 0.5 * sum(more)


def test_estimate_counts_whole_numbers_as_they_are():
    x1, x2 = [0, 0, 1, 1], [0, 1, 0, 1]
    np.testing.assert_allclose(estimate_pid(x1, x2, [0, 1, 1, 0], clusters=1), (0, 0, 0, 1), atol=1e-6)
    np.testing.assert_allclose(estimate_pid(x1, torch.tensor(x2), [0, 0, 1, 1]), (0, 1, 0, 0), atol=1e-6)


def test_estimate_uses_ten_clusters_and_the_seed():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(300), rng.integers(0, 2, 300)
    zeros = np.zeros(300, dtype=int)
    expected = mutual_information(joint_table(quantise(x, 10, seed=0), y))
    assert estimate_pid(x, zeros, y).unique1 == pytest.approx(expected)
    expected = mutual_information(joint_table(quantise(x, 10, seed=3), y))
    assert estimate_pid(x, zeros, y, seed=3).unique1 == pytest.approx(expected)
