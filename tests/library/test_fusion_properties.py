"""What holds for every fusion of vectors, whichever its equation."""

import copy

import pytest
import torch
from fusion_cases import DIM, FUSIONS, LEARNED, PAIRS, RECURRENT, THREE, TOKENS, TWO, build, dims_of, inputs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call, stack_module_state, vmap

every = pytest.mark.parametrize("name", FUSIONS)
learned = pytest.mark.parametrize("name", LEARNED)


HERE, GONE = slice(0, 2), slice(2, 6)  # which of six examples have everything in `present_of`


def present_of(name, absent):
    """Six examples: the first two have everything, the others lack one modality."""
    return {m: torch.tensor([True, True] + [m != absent] * 4) for m in dims_of(name)}


@every
def test_it_gives_one_vector_of_its_dim_for_two_modalities_and_for_three(name):
    for dims in (TWO,) if name in PAIRS else (TWO, THREE):
        fusion = FUSIONS[name](dims, DIM)
        inputs = {m: x.float() for m, x in inputs_of(name).items() if m in dims}
        assert fusion.dims == dims
        assert fusion.dim == (sum(dims.values()) if name == "concat bare" else DIM)
        assert fusion(inputs).shape == (6, fusion.dim)
        assert fusion.takes == ("tokens" if name in TOKENS else "vectors")


@every
def test_each_example_is_fused_by_itself(name):
    fusion, inputs = build(name), inputs_of(name)
    out = fusion(inputs)
    order = torch.tensor([2, 0, 5, 3, 1, 4])
    torch.testing.assert_close(fusion({m: x[order] for m, x in inputs.items()}), out[order])
    torch.testing.assert_close(fusion({m: x[1:2] for m, x in inputs.items()}), out[1:2])


@every
def test_the_order_of_the_dict_does_not_matter(name):
    fusion, inputs = build(name), inputs_of(name)
    torch.testing.assert_close(fusion(dict(reversed(inputs.items()))), fusion(inputs))


@learned
def test_a_gradient_reaches_every_parameter(name):
    fusion, inputs = build(name), inputs_of(name, batch=60)
    fusion(inputs).square().sum().backward()
    assert [n for n, p in fusion.named_parameters() if p.grad is None or not p.grad.any()] == []


@every
def test_every_modality_changes_the_answer(name):
    fusion, inputs = build(name), inputs_of(name)
    out = fusion(inputs)
    for m in inputs:
        changed = fusion({**inputs, m: inputs[m] + torch.arange(inputs[m].shape[-1])})
        assert (changed - out).abs().max() > 1e-6, m


@every
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_what_stands_in_an_absent_modality_never_matters(name, garbage):
    fusion, inputs = build(name), inputs_of(name)
    whole = fusion(inputs)
    for absent in inputs:
        present = present_of(name, absent)
        expected = fusion(inputs, present=present)
        spoiled = {m: x.clone() for m, x in inputs.items()}
        spoiled[absent][GONE] = garbage
        spoiled = {m: x.requires_grad_() for m, x in spoiled.items()}
        fusion.zero_grad()
        out = fusion(spoiled, present=present)
        torch.testing.assert_close(out, expected, rtol=0, atol=0)
        torch.testing.assert_close(out[HERE], whole[HERE])
        assert (out - whole)[GONE].abs().max() > 1e-6, "absence must show"
        out.sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in fusion.parameters())
        assert not spoiled[absent].grad[GONE].any()


@every
def test_present_everywhere_is_the_same_as_not_said(name):
    fusion, inputs = build(name), inputs_of(name)
    everywhere = {m: torch.ones(6, dtype=torch.bool) for m in inputs}
    torch.testing.assert_close(fusion(inputs, present=everywhere), fusion(inputs), rtol=0, atol=0)
    torch.testing.assert_close(fusion(inputs, masks={}, present={}), fusion(inputs), rtol=0, atol=0)


@every
def test_with_nothing_there_the_answer_is_finite_and_the_same_for_all(name):
    fusion, inputs = build(name), inputs_of(name)
    nothing = {m: torch.zeros(6, dtype=torch.bool) for m in inputs}
    out = fusion({m: x * float("nan") for m, x in inputs.items()}, present=nothing)
    assert out.isfinite().all()
    torch.testing.assert_close(out, out[:1].expand_as(out))
    if name in LEARNED:
        out.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in fusion.parameters())


@every
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.lists(st.booleans(), min_size=18, max_size=18))
def test_any_pattern_of_absence_leaves_the_others_alone(name, seed, rows):
    fusion, inputs = build(name), inputs_of(name, seed=seed)
    present = {m: torch.tensor(rows[6 * i : 6 * i + 6]) for i, m in enumerate(inputs)}
    spoiled = {m: torch.where(present[m].view(-1, *[1] * (x.ndim - 1)), x, torch.nan) for m, x in inputs.items()}
    out = fusion(spoiled, present=present)
    torch.testing.assert_close(out, fusion(inputs, present=present), rtol=0, atol=0)
    for b in range(6):
        one = {m: x[b : b + 1] for m, x in inputs.items()}
        torch.testing.assert_close(fusion(one, present={m: p[b : b + 1] for m, p in present.items()}), out[b : b + 1])


@every
def test_float32_and_bfloat16_are_near_float64(name):
    inputs, exact = inputs_of(name), build(name)(inputs_of(name))
    single = build(name, dtype=torch.float32)
    halves = {m: x.float() for m, x in inputs.items()}
    out = single(halves)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), exact, atol=2e-5, rtol=2e-5)
    with torch.autocast("cpu", torch.bfloat16):
        low = single(halves, present=present_of(name, "nobody"))
    assert low.isfinite().all()
    torch.testing.assert_close(low.double(), exact, atol=0.1, rtol=0.1)


@every
def test_compiled_it_computes_the_same(name):
    fusion, inputs = build(name), inputs_of(name)
    present = present_of(name, "text")
    compiled = torch.compile(fusion, backend="aot_eager", fullgraph=name not in RECURRENT)
    torch.testing.assert_close(compiled(inputs, present=present), fusion(inputs, present=present))


@pytest.mark.full
@every
def test_compiled_by_inductor_it_computes_the_same(name):
    fusion, inputs = build(name), inputs_of(name)
    present = present_of(name, "text")
    torch.testing.assert_close(torch.compile(fusion)(inputs, present=present), fusion(inputs, present=present))


@pytest.mark.parametrize("name", [n for n in LEARNED if n not in RECURRENT])
def test_three_seeds_at_once_by_vmap_are_three_seeds_one_by_one(name):
    inputs, present = inputs_of(name), present_of(name, "text")
    fusions = [build(name, seed) for seed in range(3)]
    parameters, buffers = stack_module_state(fusions)
    skeleton = copy.deepcopy(fusions[0]).to("meta")

    def run(p, b):
        return functional_call(skeleton, (p, b), (inputs,), {"present": present})

    torch.testing.assert_close(
        vmap(run)(parameters, buffers), torch.stack([f(inputs, present=present) for f in fusions])
    )


@every
def test_it_says_what_is_wrong_with_its_inputs(name):
    fusion, inputs = build(name), inputs_of(name)
    names = r"\[" + ", ".join(f"'{m}'" for m in sorted(inputs)) + r"\]"
    with pytest.raises(ValueError, match=f"modality 'text' is missing: expected {names}"):
        fusion({m: x for m, x in inputs.items() if m != "text"})
    with pytest.raises(ValueError, match=f"unknown modality 'smell': expected {names}"):
        fusion({**inputs, "smell": inputs["text"]})
    with pytest.raises(ValueError, match="same batch size, got 6 for 'image' and 3 for 'text'"):
        fusion({**inputs, "text": inputs["text"][:3]})
    width = r"\(B, T, 4\)" if name in TOKENS else r"\(B, 4\)"
    with pytest.raises(ValueError, match=rf"inputs\['text'\] must have shape {width}, got"):
        fusion({**inputs, "text": inputs["text"][..., :2]})
    with pytest.raises(ValueError, match=r"inputs\['image'\] is empty"):
        fusion({m: x[:0] for m, x in inputs.items()})
    with pytest.raises(TypeError, match=r"inputs\['image'\] must hold floating-point numbers, got torch.int64"):
        fusion({**inputs, "image": inputs["image"].long()})
    with pytest.raises(ValueError, match=r"present\['text'\] must be bool with shape \(6,\)"):
        fusion(inputs, present={"text": torch.ones(6)})
    with pytest.raises(ValueError, match="present names the unknown modality 'smell'"):
        fusion(inputs, present={"smell": torch.ones(6, dtype=torch.bool)})
    if name not in TOKENS:
        with pytest.raises(ValueError, match="masks are for steps"):
            fusion(inputs, masks={"text": torch.ones(6, 1, dtype=torch.bool)})


@every
def test_it_says_what_it_cannot_be_built_for(name):
    make = FUSIONS[name]
    # "gated normalised", "mag by text" and "film by image" name one of these two, which must be there to get so far.
    if name in PAIRS:
        with pytest.raises(ValueError, match=r"is for exactly two modalities, got 3: \['audio', 'image', 'text'\]"):
            make(THREE, DIM)
        with pytest.raises(ValueError, match=r"is for exactly two modalities, got 1: \['text'\]"):
            make({"text": 4}, DIM)
    else:
        with pytest.raises(ValueError, match=r"dims must name two modalities or more, got \['text'\]"):
            make({"text": 4}, DIM)
    with pytest.raises(ValueError, match=r"dims\['text'\] must be above 0, got 0"):
        make({"image": 3, "text": 0}, DIM)
    if name != "concat bare":
        with pytest.raises(ValueError, match="dim must be above 0, got 0"):
            make(TWO, 0)


COUNTS = {  # D = 3 + 4 + 2 for three modalities; dim 5
    "concat": (9 + 1) * 5,
    "concat bare": 0,
    "sum": (9 + 3) * 5,
    "product": (9 + 3) * 5,
    "attention": (9 + 1) * 3 + (9 + 3) * 5,
    "late": (9 + 3) * 5,
    "late logits": (9 + 3) * 5,
    "early": (9 + 1) * 5,
    "early gru": 3 * 5 * (9 + 5 + 2),
    "gated": (9 + 3) * 5 + (5 + 1) * 5,
    "gated normalised": (9 + 3) * 6 + (6 + 1) * 5 + 2 * 9,
    "gmu": 5 * 9 * 3,
    "gmu normalised": 5 * 9 * 3 + 2 * 9,
    "mag": (2 * 3 * 4 + 9 + 3) + (2 * 3 * 2 + 9 + 3) + 3 + 2 * 3 + (3 + 1) * 5,
    "mag by text": (2 * 4 * 3 + 16 + 4) + (2 * 4 * 2 + 16 + 4) + 4 + 2 * 4 + (4 + 1) * 5,
    "film": (3 + 1) * 5 + 2 * (4 + 1) * 5,
    "film by image": (4 + 1) * 5 + 2 * (3 + 1) * 5,
    "mlb": (9 + 3) * 5 + (5 + 1) * 5,
    "mfb": (9 + 3) * 5 * 5,
    "mfb bare": (9 + 3) * 5 * 2,
    "tensor": (4 * 5 * 3 + 1) * 5,
    "low rank": 4 * 5 * (4 + 5 + 3) + 4 + 5,
    "interactions matrix": (3 * 4 + 3 + 4 + 1) * 5,
    "interactions vector": 2 * (3 + 1) * 4 + (4 + 1) * 5,
    "interactions scalar": 2 * (3 + 1) + (4 + 1) * 5,
    "mixture": (9 + 1) * 4 + (4 * 5 + 5 * 5 + 3 * 5 + 10 * 5) + 4 * (5 + 1) * 5,
    "mixture top 2": (9 + 1) * 5 + (4 + 5 + 3 + 10 + 10) * 6 + 5 * (6 + 1) * 5,
    "mixture alone": (9 + 1) * 3 + (4 + 5 + 3) * 5 + 3 * (5 + 1) * 5,
    "experts": 2 * (9 + 3) * 5,
    "experts bare": 2 * (9 + 3) * 5,
}


@every
def test_it_has_the_parameters_of_its_formula(name):
    assert sum(p.numel() for p in build(name).parameters()) == COUNTS[name]
