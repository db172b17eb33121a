"""Worlds: joint tables exactly, information against the published values, and data drawn from them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmteach.data.worlds import WORLDS, World, load_views, load_world, mixture, world

TWO = [name for name in WORLDS if name != "xor3"]

# METHODS.md, after Bertschinger et al. (2014): redundancy, unique 1, unique 2, synergy in bits.
# AND: I(X1; Y) = h(1/4) − ½, where h(1/4) = 2 − ¾ log2 3.
AND = 1.5 - 0.75 * math.log2(3)
KNOWN = {
    "and": (AND, 0, 0, 0.5),
    "or": (AND, 0, 0, 0.5),
    "xor": (0, 0, 0, 1),
    "copy": (1, 0, 0, 0),
    "unique": (0, 1, 0, 0),
    "two_bits": (0, 1, 1, 0),
    "mixture": (1, 0, 0, 0),
}


def h(p):
    """The entropy of a coin, in bits."""
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q)


@pytest.mark.parametrize(
    "name, ones",
    [
        ("and", {(1, 1)}),
        ("or", {(0, 1), (1, 0), (1, 1)}),
        ("xor", {(0, 1), (1, 0)}),
        ("unique", {(1, 0), (1, 1)}),
    ],
)
def test_a_gates_table_gives_each_pair_a_quarter_and_y_its_truth_value(name, ones):
    expected = torch.zeros(2, 2, 2, dtype=torch.float64)
    for a in range(2):
        for b in range(2):
            expected[a, b, int((a, b) in ones)] = 0.25
    assert torch.equal(world(name).joint, expected)


def test_copy_has_two_cells_and_two_bits_four():
    assert world("copy").joint.nonzero().tolist() == [[0, 0, 0], [1, 1, 1]]
    assert world("copy").joint.max() == 0.5
    assert world("two_bits").joint.nonzero().tolist() == [[0, 0, 0], [0, 1, 1], [1, 0, 2], [1, 1, 3]]
    assert world("two_bits").joint.shape == (2, 2, 4)


def test_and_and_or_are_the_same_world_with_every_symbol_turned_over():
    assert torch.equal(world("or").joint, world("and").joint.flip(0, 1, 2))


@pytest.mark.parametrize("name", TWO)
def test_the_decomposition_is_the_published_one(name):
    assert tuple(world(name).information.values()) == pytest.approx(KNOWN[name], abs=1e-9)
    assert list(world(name).information) == ["redundancy", "unique1", "unique2", "synergy"]


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_every_table_is_a_distribution(name, noise):
    joint = world(name, noise=noise).joint
    assert joint.dtype == torch.float64 and float(joint.sum()) == pytest.approx(1, abs=1e-12) and (joint >= 0).all()


@pytest.mark.parametrize("name", ["copy", "xor", "unique", "two_bits"])
def test_noise_scales_what_a_world_of_whole_bits_tells(name):
    clean, noisy = world(name).information, world(name, noise=0.11).information
    for kind in clean:
        assert noisy[kind] == pytest.approx(clean[kind] * (1 - h(0.11)), abs=1e-9)


@pytest.mark.parametrize("name", TWO)
def test_at_half_noise_nothing_is_left_to_know(name):
    assert tuple(world(name, noise=0.5).information.values()) == pytest.approx((0, 0, 0, 0), abs=1e-9)


def test_noise_flips_a_bit_of_y():
    assert world("copy", noise=0.2).joint[0, 0].tolist() == pytest.approx([0.4, 0.1])
    assert world("two_bits", noise=0.2).joint[0, 0].tolist() == pytest.approx([0.16, 0.04, 0.04, 0.01])


def test_three_way_xor_shows_in_no_pair():
    three = world("xor3")
    assert three.modalities == ["x1", "x2", "x3"]
    for pair in (("x1",), ("x1", "x2"), ("x2", "x3"), ("x1", "x3")):
        assert three.bits(*pair) == 0
    assert three.bits("x1", "x2", "x3") == 1
    with pytest.raises(ValueError, match=r"the world 'xor3' has three inputs: ask for bits\('x1', 'x2'\)"):
        _ = three.information


def test_bits_count_each_input_once_and_refuse_others():
    assert world("two_bits").bits("x2", "x1") == 2
    with pytest.raises(ValueError, match=r"inputs must be some of \['x1', 'x2'\], got \['x3'\]"):
        world("and").bits("x3")
    with pytest.raises(ValueError, match=r"got \[\]"):
        world("and").bits()


@settings(max_examples=25, deadline=None)
@given(*[st.sampled_from([0.0, 0.25, 0.6, 1.0])] * 4, st.sampled_from([0.0, 0.05]))
def test_a_mixture_holds_the_amounts_asked_for(redundancy, unique1, unique2, synergy, noise):
    amounts = (redundancy, unique1, unique2, synergy)
    if not any(amounts):
        return
    found = mixture(*amounts, noise=noise)
    assert tuple(found.information.values()) == pytest.approx([a * (1 - h(noise)) for a in amounts], abs=1e-8)
    both = sum(amounts) * (1 - h(noise))
    assert found.bits("x1", "x2") == pytest.approx(both, abs=1e-8)


def test_a_mixtures_alphabets_grow_with_its_parts():
    assert mixture().joint.shape == (2, 2, 2)
    assert mixture(redundancy=0, unique1=1).joint.shape == (2, 1, 2)
    assert mixture(redundancy=0, unique2=1).joint.shape == (1, 2, 2)
    assert mixture(redundancy=0.5, synergy=1).joint.shape == (4, 4, 6)  # 6: a bit or "erased", times a bit
    assert mixture(0.5, 0.5, 0.5, 0.5).joint.shape == (8, 8, 81)


def test_an_erased_part_is_as_likely_as_its_amount_says():
    assert mixture(redundancy=0.75).joint.sum((0, 1)).tolist() == pytest.approx([0.375, 0.375, 0.25])


def test_a_mixture_says_what_it_is():
    assert mixture(0.5, synergy=1, noise=0.1).says == (
        "0.5 redundancy + 1 synergy, each seen bit flipped with probability 0.1"
    )
    assert torch.equal(world("mixture", noise=0.1, synergy=1).joint, mixture(noise=0.1, synergy=1).joint)


@pytest.mark.parametrize(
    "call, complaint",
    [
        (lambda: world("nand"), "name must be one of 'and', 'or', 'xor', 'copy', .*, 'mixture', got 'nand'"),
        (lambda: world("and", noise=0.6), "noise must be between 0 and 0.5, got 0.6"),
        (lambda: mixture(synergy=1.5), "synergy must be between 0 and 1, got 1.5"),
        (lambda: mixture(noise=-0.1), "noise must be between 0 and 0.5, got -0.1"),
        (lambda: mixture(redundancy=0), "a mixture needs some information, but every amount is 0"),
        (lambda: world("and").draw(0), "n must be above 0, got 0"),
        (lambda: load_world("two_bits", width=1), "width must be at least 2, .* of an input of 'two_bits', got 1"),
        (lambda: load_world("and", spread=0), "spread must be above 0, got 0"),
        (lambda: load_views(width=2), "width must be at least 3, .*, got 2"),
        (lambda: load_views(noise=-1), "noise must be between 0 and inf, got -1"),
    ],
)
def test_wrong_dials_are_named(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()


def test_amounts_belong_to_the_mixture_alone():
    with pytest.raises(TypeError, match=r"world\('and'\) has one dial, noise; \['synergy'\] are the mixture's"):
        world("and", synergy=1)


def test_draws_follow_the_table_and_repeat_with_the_seed():
    drawn = world("and", noise=0.1).draw(40_000, seed=1)
    cells = drawn["x1"] * 4 + drawn["x2"] * 2 + drawn["y"]
    shares = torch.bincount(cells, minlength=8) / 40_000
    assert torch.allclose(shares.double(), world("and", noise=0.1).joint.flatten(), atol=0.01)
    again = world("and", noise=0.1).draw(40_000, seed=1)
    assert all(torch.equal(drawn[m], again[m]) for m in drawn)
    assert not torch.equal(drawn["x1"], world("and", noise=0.1).draw(40_000, seed=2)["x1"])


def test_a_sample_is_one_hot_with_the_symbols_as_targets():
    batch = world("xor3").sample(50)
    assert set(batch.inputs) == {"x1", "x2", "x3"}
    for m in batch.inputs:
        assert batch.inputs[m].dtype == torch.float32
        assert torch.equal(batch.inputs[m].argmax(1), batch.targets[m]) and (batch.inputs[m].sum(1) == 1).all()
    x = [batch.targets[m] for m in ("x1", "x2", "x3")]
    assert torch.equal(x[0] ^ x[1] ^ x[2], batch.targets["label"])


def test_a_one_hot_input_is_as_wide_as_its_alphabet():
    batch = mixture(redundancy=0.5, synergy=1).sample(3)
    assert batch.inputs["x1"].shape == (3, 4) and batch.inputs["x2"].shape == (3, 4)


def test_a_worlds_vectors_lie_around_codes_that_are_equally_far_apart():
    data = load_world("two_bits", spread=0.05)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [4000, 1000, 2000]
    assert data.name == "world two_bits" and data.classes["label"] == ["0", "1", "2", "3"]
    for m in ("x1", "x2"):
        x, symbol = data.train.inputs[m], data.train.targets[m]
        assert x.shape == (4000, 16)
        codes = torch.stack([x[symbol == s].mean(0) for s in range(2)])
        assert torch.allclose(codes @ codes.T, torch.eye(2), atol=0.02)
        assert float((x - codes[symbol]).std()) == pytest.approx(0.05, rel=0.02)
        test = data.test.inputs[m] @ codes.T
        assert torch.equal(test.argmax(1), data.test.targets[m])  # the same codes in the other splits
    label = 2 * data.train.targets["x1"] + data.train.targets["x2"]
    assert torch.equal(label, data.train.targets["label"])


def test_a_worlds_splits_are_independent_draws():
    data = load_world("xor", train=200, valid=200, test=200)
    parts = [part.targets["x1"] for part in (data.train, data.valid, data.test)]
    assert not torch.equal(parts[0], parts[1]) and not torch.equal(parts[1], parts[2])
    assert torch.equal(load_world("xor", train=200, valid=200, test=200).test.inputs["x2"], data.test.inputs["x2"])
    assert not torch.equal(load_world("xor", train=200, seed=1).train.inputs["x1"], data.train.inputs["x1"])


def test_a_symbol_is_hardly_ever_misread_at_the_default_spread():
    data = load_world("copy", train=20_000)
    x, symbol = data.train.inputs["x1"], data.train.targets["x1"]
    codes = torch.stack([x[symbol == s].mean(0) for s in range(2)])
    wrong = ((x @ codes.T).argmax(1) != symbol).sum()  # expected: 20,000 · Φ(−√½ / 0.2) = 4
    assert 0 <= wrong <= 15


def test_dials_reach_the_world():
    data = load_world("copy", train=20_000, noise=0.25)
    flipped = data.train.targets["label"] != data.train.targets["x1"]
    assert float(flipped.float().mean()) == pytest.approx(0.25, abs=0.01)


# -- two views -----------------------------------------------------------------------------------------------------------


def correlations(train, test):
    """Canonical correlations of the test part along the directions that the training part gives, float64."""
    means = [x.mean(0) for x in train]
    a, b = (x - m for x, m in zip(train, means))

    def whiten(x):
        values, vectors = torch.linalg.eigh(x.T @ x / len(x) + 1e-3 * torch.eye(x.shape[1], dtype=x.dtype))
        return vectors @ torch.diag(values**-0.5) @ vectors.T

    wa, wb = whiten(a), whiten(b)
    u, _, v = torch.linalg.svd(wa @ (a.T @ b / len(a)) @ wb)
    p, q = (test[0] - means[0]) @ wa @ u, (test[1] - means[1]) @ wb @ v.T
    return [float(torch.corrcoef(torch.stack([p[:, i], q[:, i]]))[0, 1]) for i in range(4)]


def squares(x):
    """x with all products of two of its coordinates: what a network with squared units could see."""
    i, j = torch.triu_indices(x.shape[1], x.shape[1])
    return torch.cat([x, x[:, i] * x[:, j]], dim=1)


def test_the_angle_shows_in_products_and_in_no_linear_projection():
    data = load_views()
    train, test = ([part.inputs[m].double() for m in ("x1", "x2")] for part in (data.train, data.test))
    linear = correlations(train, test)
    assert linear[0] == pytest.approx(1 / 1.01, abs=0.005)  # 1 / (1 + noise²)
    assert max(map(abs, linear[1:])) < 0.1
    curved = correlations([squares(train[0]), train[1]], [squares(test[0]), test[1]])
    assert min(curved[:3]) > 0.95 and abs(curved[3]) < 0.15


def test_the_views_are_rotations_of_what_the_formula_says():
    data = load_views(train=3000, noise=0.0, width=5)
    for k, m in ((1, "x1"), (2, "x2")):
        z, t = data.train.targets["z"].double(), data.train.targets["angle"].double()
        known = torch.stack([z, math.sqrt(2) * (k * t).cos(), math.sqrt(2) * (k * t).sin()], dim=1)
        x = data.train.inputs[m].double()
        turn = torch.linalg.lstsq(x, known).solution  # three columns of an orthogonal matrix
        assert torch.allclose(x @ turn, known, atol=1e-4)
        assert torch.allclose(turn.T @ turn, torch.eye(3, dtype=torch.float64), atol=1e-4)


def test_angles_go_all_the_way_round_and_noise_is_added():
    data = load_views(noise=0.5)
    angle = data.train.targets["angle"]
    assert 0 <= float(angle.min()) < 0.05 and 2 * math.pi - 0.05 < float(angle.max()) < 2 * math.pi
    assert float(data.train.inputs["x1"].var(0).mean()) == pytest.approx(1.25, abs=0.05)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [4000, 1000, 2000]
    assert data.train.inputs["x2"].shape == (4000, 10)
    assert not torch.equal(load_views(seed=1).test.inputs["x1"], load_views().test.inputs["x1"])
    assert torch.equal(load_views().test.inputs["x1"], load_views().test.inputs["x1"])


def test_a_world_of_ones_own_works_too():
    lazy = World("constant", torch.tensor([[[0.5, 0.0]], [[0.5, 0.0]]], dtype=torch.float64), 0.0, "y is always 0")
    assert lazy.bits("x1", "x2") == 0
