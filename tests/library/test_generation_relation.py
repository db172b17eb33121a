"""Relation networks and their baselines: the equation by loops, order, masks, budgets, and the errors."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmteach.data.batch import Batch
from mmteach.generation import PixelCNN, PixelMLP, PixelRelationNetwork, RelationNetwork, StateMLP
from mmteach.training import classify, fit, predict

every_pool = pytest.mark.parametrize("pool", ["sum", "mean", "softmax"])


def build(pool: str = "sum", seed: int = 0, **more) -> RelationNetwork:
    torch.manual_seed(seed)
    return RelationNetwork(4, 3, 5, **{"hidden": 8, "g_layers": 3, "pool": pool, **more}).double()


def scene(batch: int = 3, objects: int = 4, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = torch.randn(batch, objects, 4, generator=generator, dtype=torch.float64)
    return {"state": state, "question": torch.randn(batch, 3, generator=generator, dtype=torch.float64)}


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# From states


@every_pool
def test_the_answer_is_f_of_all_pairs_through_g(pool: str) -> None:
    network, x = build(pool), scene()
    for b in range(3):
        o, q = x["state"][b], x["question"][b]
        pairs = torch.stack([network.g(torch.cat([o[i], o[j], q])) for i in range(4) for j in range(4)])
        if pool == "softmax":
            together = ((pairs @ network.score.weight[0]).softmax(0)[:, None] * pairs).sum(0)
        else:
            together = pairs.sum(0) if pool == "sum" else pairs.mean(0)
        torch.testing.assert_close(network(x)[b], network.f(together))


@every_pool
@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(4)))
def test_the_order_of_objects_does_not_matter(pool: str, order: list[int]) -> None:
    network, x = build(pool), scene()
    torch.testing.assert_close(network(x | {"state": x["state"][:, order]}), network(x))


def test_the_baseline_does_mind_the_order_of_objects() -> None:
    baseline, x = StateMLP(4, 4, 3, 5).double(), scene()
    assert (baseline(x | {"state": x["state"].flip(1)}) - baseline(x)).abs().max() > 1e-3


@every_pool
@pytest.mark.parametrize("garbage", [0.0, 1e9, math.nan])
def test_masked_objects_take_part_in_no_pair(pool: str, garbage: float) -> None:
    network, x = build(pool), scene()
    real = torch.tensor([[True] * 4, [True, False, True, False], [False] * 4])
    spoilt = x | {"state": x["state"].masked_fill(~real[..., None], garbage)}
    out = network(spoilt, masks={"state": real})
    torch.testing.assert_close(out[:1], network(x)[:1])
    fewer = {"state": x["state"][1:2, ::2], "question": x["question"][1:2]}
    torch.testing.assert_close(out[1:2], network(fewer))
    torch.testing.assert_close(out[2], network.f(torch.zeros(8, dtype=torch.float64)))
    out.sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_an_absent_scene_or_question_is_read_as_nothing() -> None:
    for model in (build(), StateMLP(4, 4, 3, 5).double()):
        x = scene()
        present = {"state": torch.tensor([True, False, True]), "question": torch.tensor([True, True, False])}
        spoilt = {m: v.masked_fill(~present[m].view(-1, *[1] * (v.ndim - 1)), math.nan) for m, v in x.items()}
        out = model(spoilt, present=present)
        torch.testing.assert_close(out, model(x, present=present))
        torch.testing.assert_close(out[:1], model(x)[:1])
        unasked = x | {"question": torch.zeros_like(x["question"])}
        torch.testing.assert_close(out[2:], model(unasked)[2:])
    network = build()
    gone = {"state": torch.tensor([False, True, True])}
    out = network(scene(), masks={"state": torch.ones(3, 4, dtype=torch.bool)}, present=gone)
    torch.testing.assert_close(out[0], network.f(torch.zeros(8, dtype=torch.float64)))


def test_the_baseline_reads_masked_objects_as_zeros() -> None:
    baseline, x = StateMLP(4, 4, 3, 5).double(), scene()
    real = torch.tensor([[True] * 4, [True, False, True, False], [False] * 4])
    spoilt = x | {"state": x["state"].masked_fill(~real[..., None], math.nan)}
    blank = x | {"state": x["state"].masked_fill(~real[..., None], 0)}
    torch.testing.assert_close(baseline(spoilt, masks={"state": real}), baseline(blank))
    whole = torch.cat([x["state"].flatten(1), x["question"]], 1)
    torch.testing.assert_close(baseline(x), baseline.read(whole))


def test_parameter_counts_follow_the_formulas() -> None:
    g = (2 * 4 + 3 + 1) * 8 + 2 * 9 * 8
    f = 2 * 9 * 8 + 9 * 5
    assert count(build()) == count(build("mean")) == g + f
    assert count(build("softmax")) == g + f + 8
    assert count(build(g_layers=1, f_layers=4)) == 12 * 8 + 4 * 9 * 8 + 9 * 5
    assert count(StateMLP(4, 4, 3, 5, hidden=7, layers=3)) == (4 * 4 + 3 + 1) * 7 + 2 * 8 * 7 + 8 * 5


@settings(max_examples=20, deadline=None)
@given(hidden=st.integers(1, 60), layers=st.integers(1, 5), objects=st.integers(1, 8))
def test_no_other_width_of_the_baseline_comes_nearer_to_the_budget(hidden: int, layers: int, objects: int) -> None:
    network = RelationNetwork(4, 3, 5, hidden=hidden)
    chosen = StateMLP.like(network, objects, layers)
    assert (chosen.objects, chosen.object_dim, chosen.question_dim) == (objects, 4, 3)
    width = chosen.read[0].out_features
    gaps = {
        w: abs(count(StateMLP(objects, 4, 3, 5, hidden=w, layers=layers)) - count(network))
        for w in (width - 1, width, width + 1)
        if w > 0
    }
    assert gaps[width] == min(gaps.values())
    assert sum(isinstance(m, nn.ReLU) for m in chosen.read) == layers


@every_pool
def test_a_gradient_reaches_every_parameter(pool: str) -> None:
    network = build(pool)
    network(scene()).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


@every_pool
def test_batch_of_one_and_any_number_of_objects(pool: str) -> None:
    network = build(pool)
    for objects in (1, 2, 7):
        x = scene(objects=objects)
        out = network(x)
        assert out.shape == (3, 5)
        torch.testing.assert_close(network({m: v[:1] for m, v in x.items()}), out[:1])
        torch.testing.assert_close(network({m: v.flip(0) for m, v in x.items()}), out.flip(0))


@pytest.mark.parametrize(
    "make",
    [
        lambda s: build("sum", s),
        lambda s: build("mean", s),
        lambda s: build("softmax", s),
        lambda s: (torch.manual_seed(s), StateMLP(4, 4, 3, 5, hidden=8).double())[1],
    ],
    ids=["sum", "mean", "softmax", "baseline"],
)
def test_precisions_compile_and_vmap(make) -> None:
    torch._dynamo.reset()
    model, x = make(0), scene()
    more = {"masks": {"state": torch.tensor([[True] * 4, [False] * 4, [True, False, True, True]])}}
    out = model(x, **more)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, **more), out)
    seeds = [make(s) for s in range(3)]
    stacked, _ = torch.func.stack_module_state(seeds)
    together = torch.func.vmap(lambda p: torch.func.functional_call(model, p, (x,), more))(stacked)
    torch.testing.assert_close(together, torch.stack([m(x, **more) for m in seeds]))
    model.float()
    low = {m: v.float() for m, v in x.items()}
    torch.testing.assert_close(model(low, **more), out.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (model(low, **more).float() - out).norm() < 0.05 * out.norm()


def test_pairs_are_what_it_takes() -> None:
    """Are two of the three objects alike? No object alone says so: a network of pairs learns it in seconds."""
    generator = torch.Generator().manual_seed(0)
    kind = torch.randint(4, (600, 3), generator=generator)
    alike = (kind[:, 0] == kind[:, 1]) | (kind[:, 0] == kind[:, 2]) | (kind[:, 1] == kind[:, 2])
    x = {"state": nn.functional.one_hot(kind, 4).float(), "question": torch.zeros(600, 3)}
    batch = Batch(x, {"answer": alike.long()})
    torch.manual_seed(0)
    network = RelationNetwork(4, 3, 2, hidden=16)
    fit(network, batch, loss=classify("answer"), steps=200, batch_size=64, lr=5e-3, precision="fp32", progress=False)
    assert (predict(network, batch).argmax(1) == alike).float().mean() == 1


def test_wrong_inputs_are_named() -> None:
    x = scene()
    for model in (build(), StateMLP(4, 4, 3, 5).double()):
        with pytest.raises(ValueError, match=r"inputs must hold 'state' and 'question', got \['state'\]"):
            model({"state": x["state"]})
        with pytest.raises(ValueError, match=r"inputs must hold 'state' and 'question', got \['question'\]"):
            model({"question": x["question"]})
        with pytest.raises(ValueError, match=r"question must have shape \(3, 3\), got \(3, 2\)"):
            model(x | {"question": x["question"][:, :2]})
    with pytest.raises(ValueError, match=r"objects must have shape \(B, N, 4\), got \(3, 4, 3\)"):
        build()(x | {"state": x["state"][..., :3]})
    with pytest.raises(ValueError, match=r"objects must have shape \(B, 4, 4\), got \(3, 3, 4\)"):
        StateMLP(4, 4, 3, 5)(x | {"state": x["state"][:, :3]})
    with pytest.raises(ValueError, match=r"masks\['state'\] must be bool with shape \(3, 4\) .*with shape \(3, 2\)"):
        build()(x, masks={"state": torch.ones(3, 2, dtype=torch.bool)})
    with pytest.raises(ValueError, match="pool must be one of 'sum', 'mean', 'softmax', got 'max'"):
        build("max")
    for name in ("object_dim", "question_dim", "answers", "hidden", "g_layers", "f_layers"):
        with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
            RelationNetwork(**{"object_dim": 4, "question_dim": 3, "answers": 5, name: 0})
    for name in ("objects", "object_dim", "question_dim", "answers", "hidden", "layers"):
        with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
            StateMLP(**{"objects": 4, "object_dim": 4, "question_dim": 3, "answers": 5, name: 0})


def test_defaults_are_the_documented_ones() -> None:
    network = RelationNetwork(4, 3, 5)
    assert network.pool == "sum" and network.score is None
    assert [m.out_features for m in network.g if isinstance(m, nn.Linear)] == [128] * 4
    assert [m.out_features for m in network.f if isinstance(m, nn.Linear)] == [128, 128, 5]
    assert isinstance(network.g[-1], nn.ReLU) and isinstance(network.f[-1], nn.Linear)
    assert [m.out_features for m in StateMLP(4, 4, 3, 5).read if isinstance(m, nn.Linear)] == [256] * 4 + [5]
    assert sum(isinstance(m, nn.ReLU) for m in StateMLP.like(network, 4).read) == 4


# From pixels


def picture(batch: int = 2, size: int = 20) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, 3, size, size, generator=generator, dtype=torch.float64)
    return {"image": image, "question": torch.randn(batch, 3, generator=generator, dtype=torch.float64)}


def pixel_models(seed: int = 0) -> list[nn.Module]:
    torch.manual_seed(seed)
    return [
        PixelRelationNetwork(3, 5, channels=4, hidden=8, g_layers=3).double(),
        PixelMLP(20, 3, 5, channels=4, hidden=8).double(),
    ]


@pytest.mark.parametrize(("height", "width", "cells"), [(75, 75, (5, 5)), (16, 33, (1, 3)), (32, 64, (2, 4))])
def test_cells_know_where_they_lie(height: int, width: int, cells: tuple[int, int]) -> None:
    cnn = PixelCNN(4)
    out = cnn(torch.rand(2, 3, height, width))
    assert out.shape == (2, cells[0] * cells[1], 6) and cnn.dim == 6
    places = out[0, :, 4:].view(*cells, 2)  # row by row from the top left, x before y
    across, down = torch.linspace(-1, 1, cells[1]), torch.linspace(-1, 1, cells[0])
    torch.testing.assert_close(places[0, :, 0], across)
    torch.testing.assert_close(places[:, 0, 1], down)
    features = cnn.layers(torch.rand(1, 3, height, width))
    assert features.shape == (1, 4, *cells)


def test_cells_are_the_cnns_features() -> None:
    cnn, x = PixelCNN(4), torch.rand(1, 3, 33, 33)
    torch.testing.assert_close(cnn(x)[0, :, :4], cnn.layers(x)[0].flatten(1).T)
    assert [m.stride for m in cnn.layers if isinstance(m, nn.Conv2d)] == [(2, 2)] * 4
    assert PixelCNN().dim == 26


def test_whole_numbers_are_divided_by_255() -> None:
    whole = torch.randint(256, (2, 3, 20, 20), dtype=torch.uint8)
    cnn = PixelCNN(4)
    torch.testing.assert_close(cnn(whole), cnn(whole.float() / 255))


def test_pixel_models_compose_the_parts() -> None:
    (network, baseline), x = pixel_models(), picture()
    cells = network.cnn(x["image"])
    torch.testing.assert_close(network(x), network.relation.relate(cells, x["question"]))
    cells = baseline.cnn(x["image"]).flatten(1)
    torch.testing.assert_close(baseline(x), baseline.read(torch.cat([cells, x["question"]], 1)))
    assert PixelMLP(75, 11, 10)({"image": torch.zeros(1, 3, 75, 75), "question": torch.zeros(1, 11)}).shape == (1, 10)


def test_pixel_parameter_counts_follow_the_formulas() -> None:
    cnn = (3 * 9 * 4 + 4) + 3 * (4 * 9 * 4 + 4) + 4 * 2 * 4
    network, baseline = pixel_models()
    assert count(network) == cnn + ((2 * 6 + 3 + 1) * 8 + 2 * 9 * 8) + (2 * 9 * 8 + 9 * 5)
    assert count(baseline) == cnn + (4 * 6 + 3 + 1) * 8 + 3 * 9 * 8 + 9 * 5


@pytest.mark.parametrize("which", [0, 1], ids=["relation", "baseline"])
def test_pixel_models_hold_to_the_house_rules(which: int) -> None:
    torch._dynamo.reset()
    model, x = pixel_models()[which], picture()
    out = model(x)
    out.square().sum().backward()
    # A shift of a whole channel group before it is normalised changes nothing, but that of one channel does: all are reached.
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
    torch.testing.assert_close(model({m: v[:1] for m, v in x.items()}), out[:1])
    present = {"image": torch.tensor([True, False])}
    spoilt = x | {"image": x["image"].masked_fill(~present["image"][:, None, None, None], math.nan)}
    torch.testing.assert_close(model(spoilt, present=present), model(x, present=present))
    torch.testing.assert_close(model(spoilt, present=present)[:1], out[:1])
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), out)
    seeds = [pixel_models(s)[which] for s in range(2)]
    stacked, _ = torch.func.stack_module_state(seeds)
    together = torch.func.vmap(lambda p: torch.func.functional_call(model, p, (x,)))(stacked)
    torch.testing.assert_close(together, torch.stack([m(x) for m in seeds]))
    model.float()
    low = {m: v.float() for m, v in x.items()}
    torch.testing.assert_close(model(low), out.float(), atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (model(low).float() - out).norm() < 0.1 * out.norm()


def test_wrong_pictures_are_named() -> None:
    network, baseline = pixel_models()
    x = picture()
    with pytest.raises(ValueError, match=r"inputs\['image'\] must have shape \(B, 3, H, W\), got \(2, 1, 20, 20\)"):
        network(x | {"image": x["image"][:, :1]})
    with pytest.raises(ValueError, match=r"inputs\['image'\] must have shape \(B, 3, 20, 20\), got \(2, 3, 24, 24\)"):
        baseline(picture(size=24))
    with pytest.raises(ValueError, match=r"question must have shape \(2, 3\), got \(2, 2\)"):
        baseline(x | {"question": x["question"][:, :2]})
    with pytest.raises(ValueError, match=r"inputs must hold 'image' and 'question', got \['question'\]"):
        network({"question": x["question"]})
    with pytest.raises(ValueError, match=r"channels must be a multiple of 4 .*, got 6"):
        PixelCNN(6)
    with pytest.raises(ValueError, match="channels must be above 0, got 0"):
        PixelCNN(0)
    for name in ("size", "question_dim", "answers", "layers"):
        with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
            PixelMLP(**{"size": 20, "question_dim": 3, "answers": 5, name: 0})


def test_pixel_defaults_are_the_documented_ones() -> None:
    network, baseline = PixelRelationNetwork(3, 5), PixelMLP(75, 3, 5)
    assert network.cnn.dim == baseline.cnn.dim == 26
    assert network.relation.pool == "sum" and network.relation.g[0].out_features == 128
    assert sum(isinstance(m, nn.ReLU) for m in network.relation.g) == 4
    assert sum(isinstance(m, nn.ReLU) for m in network.relation.f) == 2
    assert [m.out_features for m in baseline.read if isinstance(m, nn.Linear)] == [256] * 4 + [5]
    other = PixelRelationNetwork(3, 5, g_layers=1, f_layers=3, pool="softmax")
    assert other.relation.pool == "softmax" and len(other.relation.g) == 2
    assert sum(isinstance(m, nn.ReLU) for m in other.relation.f) == 3
