"""Architectures for several tasks: LibMTL's MMoE, closed forms, counts, gradients, dtypes, compile and vmap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.testing import assert_close

from mmteach.multitask import CGC, CrossStitch, HardSharing, MMoE

VECTORS = np.load(Path(__file__).parent / "vectors" / "multitask.npz")
TASKS = {"a": 2, "b": 1, "c": 4}


def expert(dim: int = 4, hidden: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU())


def heads(tasks: dict[str, int] = TASKS, hidden: int = 3) -> dict[str, nn.Module]:
    return {task: nn.Linear(hidden, classes) for task, classes in tasks.items()}


def hard(tasks=TASKS):
    return HardSharing(expert(), heads(tasks))


def mmoe(tasks=TASKS):
    return MMoE(4, [expert() for _ in range(3)], heads(tasks))


def cgc(tasks=TASKS):
    return CGC(4, [expert(), expert()], {t: [expert()] for t in tasks}, heads(tasks))


def cross(tasks=TASKS):
    return CrossStitch({t: [expert(), expert(3, 3)] for t in tasks}, heads(tasks))


MODELS = [hard, mmoe, cgc, cross]
every_model = pytest.mark.parametrize("build", MODELS)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_mmoe_equals_libmtl(dtype, tolerance):
    model = MMoE(4, [expert() for _ in range(3)], heads({"a": 2, "b": 1})).to(dtype)

    def load(linear: nn.Linear, key: str) -> None:
        linear.weight.data = torch.as_tensor(VECTORS[f"mmoe/weight/{key}.weight"]).to(dtype)
        linear.bias.data = torch.as_tensor(VECTORS[f"mmoe/weight/{key}.bias"]).to(dtype)

    for e in range(3):
        load(model.experts[e][0], f"experts_shared.{e}.l")
    for task in "ab":
        load(model.heads[task], f"decoders.{task}")
        load(model.gates[task].score, f"gate_specific.{task}.0")
    outputs = model(torch.as_tensor(VECTORS["mmoe/input/x"]).to(dtype))
    for task in "ab":
        expected = torch.as_tensor(VECTORS[f"mmoe/output/y_{task}"]).to(dtype)
        assert_close(outputs[task], expected, atol=tolerance, rtol=10 * tolerance)


def test_hard_sharing_is_the_head_of_the_trunk():
    model, x = hard(), torch.randn(5, 4)
    assert_close(model(x)["c"], model.heads["c"](model.trunk(x)))


def test_mmoe_with_one_expert_is_hard_sharing():
    trunk, tops, x = expert(), heads(), torch.randn(5, 4)
    one, many = MMoE(4, [trunk], tops)(x), HardSharing(trunk, tops)(x)
    for task in TASKS:
        assert_close(one[task], many[task])


def test_cgc_equals_its_equation():
    model, x = cgc(), torch.randn(5, 4)
    weights = torch.softmax(model.gates["b"].score(x), 1)
    experts = [*model.shared, *model.own["b"]]
    mixed = sum(weights[:, [e]] * f(x) for e, f in enumerate(experts))
    assert_close(model(x)["b"], model.heads["b"](mixed))


def test_cgc_never_shows_a_task_the_others_experts():
    model, x = cgc(), torch.randn(5, 4)
    before = model(x)
    for p in model.own["a"].parameters():
        p.data.fill_(torch.nan)
    after = model(x)
    assert after["a"].isnan().all()
    assert torch.equal(after["b"], before["b"])


def test_cross_stitch_equals_its_equation():
    model = CrossStitch({t: [nn.Linear(4, 3), nn.Linear(3, 3)] for t in "ab"}, heads({"a": 2, "b": 1}), own=0.75)
    for alpha in model.alphas:
        assert_close(alpha.detach(), torch.tensor([[0.75, 0.25], [0.25, 0.75]]))
    model.alphas[1].data = torch.tensor([[0.5, 2.0], [-1.0, 3.0]])
    x = torch.randn(5, 4)
    a, b = model.stages["a"][0](x), model.stages["b"][0](x)
    a, b = 0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b
    a, b = model.stages["a"][1](a), model.stages["b"][1](b)
    assert_close(model(x)["a"], model.heads["a"](0.5 * a + 2.0 * b))
    assert_close(model(x)["b"], model.heads["b"](-1.0 * a + 3.0 * b))


def test_cross_stitch_begins_with_nine_tenths_of_its_own_and_shares_the_rest():
    assert_close(cross().alphas[0].detach(), torch.full((3, 3), 0.05) + 0.85 * torch.eye(3))


def test_cross_stitch_with_own_of_one_is_separate_networks():
    model, x = CrossStitch({t: [expert()] for t in "ab"}, heads({"a": 2, "b": 1}), own=1.0), torch.randn(5, 4)
    assert_close(model(x)["b"], model.heads["b"](model.stages["b"][0](x)))


def test_cross_stitch_mixes_feature_maps():
    stages = {t: [nn.Conv2d(1, 2, 3), nn.Sequential(nn.Flatten(), nn.Linear(2 * 6 * 6, 3))] for t in "ab"}
    model = CrossStitch(stages, heads({"a": 2, "b": 1}))
    assert model(torch.randn(2, 1, 8, 8))["a"].shape == (2, 2)


@pytest.mark.parametrize("build", [mmoe, cgc])
def test_gates_read_images_flattened(build):
    flat = build()
    x = torch.randn(5, 1, 2, 2)
    for module in list(flat.modules()):
        if isinstance(module, nn.Sequential):
            module.insert(0, nn.Flatten())
    assert flat(x)["a"].shape == (5, 2)
    with pytest.raises(ValueError, match=r"^x, flattened for the gate, must have shape \(B, 4\), got \(5, 8\)"):
        flat.gates["a"](torch.randn(5, 8), [torch.zeros(5, 3)])


COUNTS = {
    hard: 15 + 28,  # one trunk (4·3 + 3); heads 3·(2+1+4) + (2+1+4)
    mmoe: 3 * 15 + 28 + 3 * 5 * 3,  # experts, heads, T (dim + 1) E
    cgc: (2 + 3) * 15 + 28 + 3 * 5 * 3,  # experts, heads, Σ (dim + 1)(E_shared + E_t)
    cross: 3 * (15 + 12) + 28 + 2 * 9,  # stages, heads, K T²
}


@every_model
def test_parameter_count_follows_the_formula(build):
    assert sum(p.numel() for p in build().parameters()) == COUNTS[build]


SHARED = {hard: 15, mmoe: 45, cgc: 30, cross: 3 * 27 + 18}


@every_model
def test_shared_parameters_are_those_that_serve_several_tasks(build):
    model = build()
    shared = list(model.shared_parameters())
    assert sum(p.numel() for p in shared) == SHARED[build]
    own = {id(p) for p in model.heads.parameters()}
    assert not own & {id(p) for p in shared}


@every_model
def test_a_gradient_reaches_every_parameter(build):
    model = build()
    sum(y.square().sum() for y in model(torch.randn(16, 4)).values()).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


@every_model
def test_an_input_a_task_goes_to_its_own_head(build):
    model = build()
    common = torch.randn(5, 4)
    assert_close(model(dict.fromkeys(TASKS, common)), model(common))
    inputs = {task: torch.randn(5, 4) for task in TASKS}
    outputs = model(inputs)
    changed = model(inputs | {"c": torch.randn(5, 4)})
    assert not torch.equal(outputs["c"], changed["c"])
    if build is not cross:  # cross-stitch mixes the tasks' features, whoever's input they came from
        assert_close(outputs["a"], model(inputs["a"])["a"])
        assert torch.equal(outputs["a"], changed["a"])


@every_model
def test_batch_permutation_and_batch_of_one(build):
    model, x = build(), torch.randn(5, 4)
    outputs = model(x)
    order = torch.tensor([3, 0, 4, 1, 2])
    for task, classes in TASKS.items():
        assert outputs[task].shape == (5, classes)
        assert_close(model(x[order])[task], outputs[task][order])
        assert_close(model(x[:1])[task], outputs[task][:1])


@every_model
def test_float64_and_bfloat16_autocast(build):
    model, x = build(), torch.randn(5, 4)
    single = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(x)
    double = model.double()(x.double())
    for task in TASKS:
        assert double[task].dtype == torch.float64
        assert_close(double[task].float(), single[task])
        assert_close(half[task].float(), single[task], atol=0.05, rtol=0.05)


@every_model
def test_compiled_equals_eager(build):
    torch._dynamo.reset()
    model, x = build(), torch.randn(5, 4)
    assert_close(torch.compile(model, backend="aot_eager")(x), model(x))


@pytest.mark.full
@every_model
def test_compiled_with_inductor_equals_eager(build):
    torch._dynamo.reset()
    model, x = build(), torch.randn(5, 4)
    assert_close(torch.compile(model)(x), model(x))


@every_model
def test_vmap_over_seeds_equals_a_loop(build):
    models, x = [build() for _ in range(3)], torch.randn(5, 4)
    parameters, buffers = stack_module_state(models)
    mapped = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    for task in TASKS:
        assert_close(mapped[task], torch.stack([model(x)[task] for model in models]))


@every_model
def test_errors_name_the_argument(build):
    with pytest.raises(ValueError, match=r"^heads must hold two tasks or more, got \['a'\]"):
        build({"a": 2})
    with pytest.raises(
        ValueError,
        match=r"^x must be a tensor, or hold one tensor for each of the tasks \['a', 'b', 'c'\], got \['a', 'z'\]",
    ):
        build()({"a": torch.zeros(1, 4), "z": torch.zeros(1, 4)})


def test_errors_of_construction():
    tops = heads({"a": 2, "b": 1})
    with pytest.raises(ValueError, match=r"^experts must hold one module or more, got none"):
        MMoE(4, [], tops)
    with pytest.raises(ValueError, match=r"^own must name the same tasks as heads, \['a', 'b'\], got \['a', 'c'\]"):
        CGC(4, [expert()], {"a": [expert()], "c": [expert()]}, tops)
    with pytest.raises(
        ValueError,
        match=r"^shared and every task's own must hold one expert or more, got \{'shared': 0, 'a': 1, 'b': 1\}",
    ):
        CGC(4, [], {"a": [expert()], "b": [expert()]}, tops)
    with pytest.raises(
        ValueError,
        match=r"^shared and every task's own must hold one expert or more, got \{'shared': 1, 'a': 1, 'b': 0\}",
    ):
        CGC(4, [expert()], {"a": [expert()], "b": []}, tops)
    with pytest.raises(ValueError, match=r"^stages must name the same tasks as heads, \['a', 'b'\], got \['a'\]"):
        CrossStitch({"a": [expert()]}, tops)
    with pytest.raises(
        ValueError,
        match=r"^stages must have the same number of modules for every task, one or more, got \{'a': 1, 'b': 2\}",
    ):
        CrossStitch({"a": [expert()], "b": [expert(), expert(3, 3)]}, tops)
    with pytest.raises(
        ValueError,
        match=r"^stages must have the same number of modules for every task, one or more, got \{'a': 0, 'b': 0\}",
    ):
        CrossStitch({"a": [], "b": []}, tops)
    with pytest.raises(ValueError, match=r"^own must be between 0 and 1, got 1\.5"):
        CrossStitch({t: [expert()] for t in "ab"}, tops, own=1.5)


def test_cross_stitch_names_the_stage_whose_shapes_differ():
    model = CrossStitch({"a": [nn.Linear(4, 3)], "b": [nn.Linear(4, 5)]}, heads({"a": 2, "b": 1}))
    with pytest.raises(
        ValueError, match=r"^stage 0 of 'b' and stage 0 of the first task must have the same shape, got"
    ):
        model(torch.zeros(2, 4))
