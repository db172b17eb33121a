"""Attention and the fusions of sequences: the published numbers, what padding and absence must not change, and the errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmteach.fusion.attention import (
    CrossAttentionBlock,
    MultiHeadAttention,
    TokenProjections,
    causal_mask,
    last_step,
    masked_mean,
    sinusoidal_positions,
    step_numbers,
)
from mmteach.fusion.bottleneck import BottleneckFusion
from mmteach.fusion.cross_attention import CrossAttentionFusion
from mmteach.fusion.mult import CrossmodalTransformer, MulT
from mmteach.fusion.perceiver import PerceiverFusion
from mmteach.fusion.resampler import Resampler, ResamplerFusion

VECTORS = np.load(Path(__file__).parent / "vectors" / "attention.npz")
TOLERANCE = {torch.float64: {"atol": 1e-9, "rtol": 1e-9}, torch.float32: {"atol": 1e-5, "rtol": 1e-4}}
DIMS = {"image": 3, "text": 5, "audio": 2}
STEPS = {"image": 4, "text": 3, "audio": 6}
SMALL = {
    CrossAttentionFusion: {"width": 8, "heads": 2, "layers": 2},
    MulT: {"width": 8, "heads": 2, "memory_layers": 2},
    BottleneckFusion: {"width": 8, "heads": 2, "layers": 3, "unimodal_layers": 1, "bottlenecks": 2},
    PerceiverFusion: {"width": 8, "heads": 2, "latents": 3, "iterations": 2},
    ResamplerFusion: {"width": 8, "heads": 2, "queries": 2, "layers": 2},
}
every_fusion = pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)
both_precisions = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


def vector(key: str, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(VECTORS[key]).to(dtype)


def build(kind: type, dims: dict[str, int] = DIMS, dim: int = 7, seed: int = 0, **settings) -> nn.Module:
    torch.manual_seed(seed)
    fusion = kind(dims, dim, **{**SMALL[kind], **settings}).double()
    for p in fusion.parameters():  # biases and gains start at 0 and 1, which would hide mistakes in them
        nn.init.normal_(p, std=0.5)
    return fusion


def tokens(batch: int = 3, dims: dict[str, int] = DIMS, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {m: torch.randn(batch, STEPS[m], d, generator=generator, dtype=torch.float64) for m, d in dims.items()}


def lengths(**by_modality: list[int]) -> dict[str, Tensor]:
    return {m: torch.arange(STEPS[m]) < torch.tensor(n)[:, None] for m, n in by_modality.items()}


# The published numbers


def load_block(block: CrossAttentionBlock, prefix: str, dtype: torch.dtype) -> None:
    """torch's MultiheadAttention stacks W_q, W_k and W_v; here each has a name."""

    def weights(name: str) -> Tensor:
        return vector(f"{prefix}{name}", dtype)

    q, k, v = weights("self_attn.in_proj_weight").chunk(3)
    bq, bk, bv = weights("self_attn.in_proj_bias").chunk(3)
    state = {"attention.query.weight": q, "attention.key.weight": k, "attention.value.weight": v}
    state |= {"attention.query.bias": bq, "attention.key.bias": bk, "attention.value.bias": bv}
    for ours, theirs in (
        ("attention.out", "self_attn.out_proj"),
        ("mlp.0", "fc1"),
        ("mlp.2", "fc2"),
        ("norm_attention", "layer_norms.0"),
        ("norm_mlp", "layer_norms.1"),
    ):
        state |= {f"{ours}.{part}": weights(f"{theirs}.{part}") for part in ("weight", "bias")}
    block.to(dtype).load_state_dict(state)


@both_precisions
@pytest.mark.parametrize("case", ["mult_layer_cross", "mult_layer_cross_masked", "mult_layer_self"])
@pytest.mark.parametrize("keep", [False, True], ids=["fused", "with weights"])
def test_block_gives_the_published_numbers(case: str, dtype: torch.dtype, keep: bool) -> None:
    block = CrossAttentionBlock(8, heads=2)
    load_block(block, f"{case}/weight/", dtype)
    x = vector(f"{case}/input/x", dtype).transpose(0, 1)  # they put time first
    context = vector(f"{case}/input/k", dtype).transpose(0, 1) if "cross" in case else None
    mask = None
    if "masked" in case:
        mask = causal_mask(torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 5, dtype=torch.bool))
        assert torch.equal(mask[0], vector("mult_layer_cross_masked/output/mask") == 0)
    y = block(x, context, mask, keep=[] if keep else None)
    torch.testing.assert_close(y.transpose(0, 1), vector(f"{case}/output/y", dtype), **TOLERANCE[dtype])


@both_precisions
def test_mult_gives_the_published_numbers(dtype: torch.dtype) -> None:
    fusion = MulT({"a": 3, "b": 5}, 2, width=4, heads=2, layers=1, memory_layers=3, self_pairs=True).to(dtype)
    prefix = "mult_full/weight/"
    with torch.no_grad():
        for n, m in enumerate("ab"):
            fusion.project.maps[m].weight.copy_(vector(f"{prefix}proj.{n}.weight", dtype)[:, :, 0])
        stacks = {f"{j}_to_{i}": f"trans.{n}.{k}" for n, i in enumerate("ab") for k, j in enumerate("ab")}
        pairs = [(fusion.pairs[ours], theirs) for ours, theirs in stacks.items()]
        pairs += [(fusion.memories[m], f"trans_mems.{n}") for n, m in enumerate("ab")]
        for stack, theirs in pairs:
            for layer, block in enumerate(stack.blocks):
                load_block(block, f"{prefix}{theirs}.layers.{layer}.", dtype)
            stack.norm.weight.copy_(vector(f"{prefix}{theirs}.layer_norm.weight", dtype))
            stack.norm.bias.copy_(vector(f"{prefix}{theirs}.layer_norm.bias", dtype))
        for ours, theirs in ((fusion.mlp[0], "proj1"), (fusion.mlp[2], "proj2"), (fusion.out, "out_layer")):
            ours.weight.copy_(vector(f"{prefix}{theirs}.weight", dtype))
            ours.bias.copy_(vector(f"{prefix}{theirs}.bias", dtype))
    y = fusion({"a": vector("mult_full/input/x1", dtype), "b": vector("mult_full/input/x2", dtype)})
    tolerance = {"atol": 2e-7, "rtol": 2e-7} if dtype == torch.float64 else {"atol": 2e-5, "rtol": 1e-3}
    torch.testing.assert_close(y, vector("mult_full/output/y", dtype), **tolerance)


def test_positions_are_fairseqs_table() -> None:
    ours = sinusoidal_positions(torch.arange(1, 7), 4, torch.float64)
    torch.testing.assert_close(ours, vector("mult_full/output/positions_d4_T6"), atol=2e-7, rtol=0)
    assert sinusoidal_positions(torch.tensor([0]), 4).tolist() == [[0, 0, 0, 0]]  # padding stands nowhere


def test_positions_keep_their_precision_in_bf16() -> None:
    assert sinusoidal_positions(torch.tensor([257]), 2, torch.bfloat16).dtype == torch.float32
    assert sinusoidal_positions(torch.tensor([257]), 2, torch.float64).dtype == torch.float64


@pytest.mark.parametrize("dim", [0, 3])
def test_positions_need_an_even_width(dim: int) -> None:
    with pytest.raises(ValueError, match=f"dim must be even for sinusoidal positions, got {dim}"):
        sinusoidal_positions(torch.tensor([1]), dim)


def test_attention_equals_torchs_multihead_attention() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    ours = MultiHeadAttention(8, heads=2).double()
    nn.init.normal_(theirs.in_proj_bias)
    with torch.no_grad():
        for n, linear in enumerate((ours.query, ours.key, ours.value)):
            linear.weight.copy_(theirs.in_proj_weight.chunk(3)[n])
            linear.bias.copy_(theirs.in_proj_bias.chunk(3)[n])
        ours.out.load_state_dict(theirs.out_proj.state_dict())
    q, k, v = torch.randn(3, 2, 5, 8, dtype=torch.float64)
    hidden = torch.tensor([[False, True, False, True, False], [False] * 5])
    expected, expected_weights = theirs(q, k, v, key_padding_mask=hidden, average_attn_weights=False)
    weights: list[Tensor] = []
    torch.testing.assert_close(ours(q, k, v, ~hidden[:, None], keep=weights), expected)
    torch.testing.assert_close(weights[0], expected_weights)


# What a mask means


def test_the_weights_are_those_that_the_fast_path_uses() -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, heads=2).double()
    x, mask = torch.randn(2, 4, 8, dtype=torch.float64), torch.rand(2, 4, 4) > 0.5
    weights: list[Tensor] = []
    torch.testing.assert_close(attention(x, x, x, mask, keep=weights), attention(x, x, x, mask))
    assert (weights[0].masked_select(~mask[:, None].expand(-1, 2, -1, -1)) == 0).all()
    torch.testing.assert_close(weights[0].sum(-1), mask.any(-1)[:, None].expand(-1, 2, -1).double())


@pytest.mark.parametrize("keep", [False, True], ids=["fused", "with weights"])
def test_a_query_that_may_see_nothing_gathers_zeros_with_finite_gradients(keep: bool) -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(4, heads=2)
    nn.init.normal_(attention.out.bias)
    q, k = torch.randn(1, 2, 4, requires_grad=True), torch.randn(1, 3, 4, requires_grad=True)
    mask = torch.tensor([[[False, False, False], [True, False, True]]])
    out = attention(q, k, k, mask, keep=[] if keep else None)
    assert torch.equal(out[0, 0], attention.out.bias)
    assert not torch.equal(out[0, 1], attention.out.bias)
    out.sum().backward()
    assert q.grad.isfinite().all() and k.grad.isfinite().all()
    assert (q.grad[0, 0] == 0).all() and (k.grad[0, 1] == 0).all()


def test_causal_mask_counts_from_the_end_so_more_padding_changes_nothing() -> None:
    def mask(queries: int, keys: int, query_steps: int, key_steps: int) -> Tensor:
        return causal_mask(torch.arange(query_steps)[None] < queries, torch.arange(key_steps)[None] < keys)[0]

    tight = mask(3, 2, 3, 2)
    assert tight.int().tolist() == [[0, 0], [1, 0], [1, 1]]
    padded = mask(3, 2, 5, 7)
    assert torch.equal(padded[:3, :2], tight)
    assert not padded[:, 2:].any()


def test_causal_mask_never_looks_ahead_where_keys_are_fewer() -> None:
    """A well-known version shifts by |Tk − Tq|: with 4 queries and 2 keys its first query already sees both keys, although
    they stand beside the third and the fourth. Ours lets the first two see nothing."""
    real = torch.ones(1, 4, dtype=torch.bool)
    theirs = torch.arange(2)[None] <= torch.arange(4)[:, None] + abs(2 - 4)
    assert theirs[0].all()
    assert causal_mask(real, real[:, :2])[0].int().tolist() == [[0, 0], [0, 0], [1, 0], [1, 1]]


def test_a_causal_stream_does_not_know_the_future() -> None:
    torch.manual_seed(0)
    x, real = torch.randn(1, 5, 8), torch.ones(1, 5, dtype=torch.bool)
    changed = x.clone()
    changed[:, 3:] = torch.randn(1, 2, 8)  # adding a constant would not do: the layer norm takes it out
    causal = CrossmodalTransformer(8, heads=2, layers=2)
    torch.testing.assert_close(causal(changed, real)[:, :3], causal(x, real)[:, :3])
    both_ways = CrossmodalTransformer(8, heads=2, layers=2, causal=False)
    assert ((both_ways(changed, real) - both_ways(x, real))[:, :3].abs() > 1e-4).any()


def test_pooling_reads_real_steps_only() -> None:
    x = torch.tensor([[[1.0], [3.0], [math.nan]], [[5.0], [7.0], [9.0]], [[math.nan]] * 3])
    real = torch.tensor([[True, True, False], [True, True, True], [False] * 3])
    assert masked_mean(x, real).flatten().tolist() == [2, 7, 0]
    assert last_step(x, real).flatten().tolist() == [3, 9, 0]
    assert step_numbers(real).tolist() == [[1, 2, 0], [1, 2, 3], [0, 0, 0]]
    holes = torch.tensor([[True, False, True]])
    assert last_step(torch.tensor([[[1.0], [2.0], [3.0]]]), holes).item() == 3
    assert step_numbers(holes).tolist() == [[1, 0, 2]]


# Each fusion, written out once more in the paper's order


def test_cross_attention_fusion_follows_its_equation() -> None:
    fusion, x = build(CrossAttentionFusion, {"image": 3, "text": 5}, layers=1), tokens(dims={"image": 3, "text": 5})
    u = {m: fusion.project.maps[m](x[m]) for m in x}
    h = {
        "image": fusion.blocks["image_0"](u["image"], u["text"]),
        "text": fusion.blocks["text_0"](u["text"], u["image"]),
    }
    pooled = [fusion.norms[m](h[m]).mean(1) for m in h]
    torch.testing.assert_close(fusion(x), fusion.out(torch.cat(pooled, 1)))


def test_mult_has_a_stream_for_every_ordered_pair() -> None:
    fusion = build(MulT)
    assert sorted(fusion.pairs) == sorted(f"{j}_to_{i}" for i in DIMS for j in DIMS if i != j)
    assert sorted(build(MulT, self_pairs=True).pairs) == sorted(f"{j}_to_{i}" for i in DIMS for j in DIMS)


def test_bottleneck_fusion_follows_its_equation() -> None:
    fusion, x = build(BottleneckFusion, {"image": 3, "text": 5}), tokens(dims={"image": 3, "text": 5})
    z = {m: torch.cat([fusion.class_tokens[m].expand(3, 1, 8), fusion.project.maps[m](x[m])], 1) for m in x}
    z = {m: fusion.blocks[f"{m}_0"](z[m]) for m in x}  # one layer alone
    b = fusion.bottlenecks.expand(3, 2, 8)
    for layer in (1, 2):  # two layers together
        both = {m: fusion.blocks[f"{m}_{layer}"](torch.cat([z[m], b], 1)) for m in x}
        z = {m: both[m][:, :-2] for m in x}
        b = (both["image"][:, -2:] + both["text"][:, -2:]) / 2
    answers = [fusion.outs[m](fusion.norms[m](z[m][:, 0])) for m in x]
    torch.testing.assert_close(fusion(x), (answers[0] + answers[1]) / 2)


def test_a_bottleneck_needs_two_fused_layers_before_anything_is_heard() -> None:
    with pytest.raises(
        ValueError, match=r"layers must be at least unimodal_layers \+ 2 = 3, got 2: the first fused layer"
    ):
        BottleneckFusion(DIMS, 4, layers=2, unimodal_layers=1)
    with pytest.raises(ValueError, match="unimodal_layers must be between 0 and"):
        BottleneckFusion(DIMS, 4, unimodal_layers=-1)
    # With two, an absent modality is heard by the others: image's own stream changes with the text.
    fusion, x = build(BottleneckFusion, layers=2, unimodal_layers=0), tokens()
    heard = []
    fusion.norms["image"].register_forward_hook(lambda module, args, output: heard.append(output))
    fusion(x)
    fusion(x | {"text": x["text"] + 1})
    assert (heard[0] - heard[1]).abs().max() > 1e-4


@pytest.mark.parametrize("iterations", [1, 2])
def test_perceiver_follows_its_equation(iterations: int) -> None:
    fusion, x = build(PerceiverFusion, iterations=iterations), tokens()
    u = torch.cat([fusion.project.maps[m](x[m]) for m in DIMS], 1)
    latents = fusion.latents.expand(3, 3, 8)
    for _ in range(iterations):
        latents = fusion.blocks[1](fusion.blocks[0](fusion.read(latents, u)))
    answer = fusion.answer(fusion.query.expand(3, 1, 8), latents)
    torch.testing.assert_close(fusion(x), fusion.out(fusion.norm(answer[:, 0])))


def test_resampler_follows_its_equation_and_keeps_a_fixed_number_of_tokens() -> None:
    torch.manual_seed(0)
    resampler = Resampler(8, queries=3, heads=2, layers=2)
    for steps in (1, 5, 40):
        x = torch.randn(2, steps, 8)
        q = resampler.queries.expand(2, 3, 8)
        for block in resampler.blocks:
            q = block(q, torch.cat([x, q], 1))
        out = resampler(x)
        assert out.shape == (2, 3, 8)
        torch.testing.assert_close(out, resampler.norm(q))


def test_resampler_ignores_what_padding_holds() -> None:
    torch.manual_seed(0)
    resampler, x = Resampler(8, queries=3, heads=2), torch.randn(2, 5, 8)
    real = torch.tensor([[True] * 3 + [False] * 2, [False] * 5])
    spoilt = x.masked_fill(~real[..., None], math.nan)
    torch.testing.assert_close(resampler(spoilt, real), resampler(x, real))
    torch.testing.assert_close(resampler(spoilt, real)[:1], resampler(x[:1, :3]))


def test_resampler_fusion_reads_every_modalitys_tokens() -> None:
    fusion, x = build(ResamplerFusion), tokens()
    r = [fusion.resamplers[m](fusion.project.maps[m](x[m])).flatten(1) for m in DIMS]
    torch.testing.assert_close(fusion(x), fusion.out(torch.cat(r, 1)))


# What holds for all of them


def block_size(width: int) -> int:
    return 4 * (width * width + width) + 2 * 2 * width + (8 * width * width + 5 * width)


def stack_size(width: int, layers: int) -> int:
    return layers * block_size(width) + 2 * width


COUNTS = {  # for widths 3, 5 and 2, dim 7 and the settings of SMALL: d = 8 is the blocks' width
    CrossAttentionFusion: 10 * 8 + 3 * 8 + 3 * 2 * block_size(8) + 3 * 16 + (3 * 8 * 7 + 7),
    MulT: 10 * 8 + 6 * stack_size(8, 1) + 3 * stack_size(16, 2) + 2 * (48 * 48 + 48) + (48 * 7 + 7),
    BottleneckFusion: 10 * 8 + 3 * 8 + 3 * 8 + 2 * 8 + 3 * 3 * block_size(8) + 3 * 16 + 3 * (8 * 7 + 7),
    PerceiverFusion: 10 * 8 + 3 * 8 + 3 * 8 + 8 + 4 * block_size(8) + 16 + (8 * 7 + 7),
    ResamplerFusion: 10 * 8 + 3 * 8 + 3 * (2 * 8 + stack_size(8, 2)) + (3 * 2 * 8 * 7 + 7),
}


@every_fusion
def test_parameter_count_follows_the_formula(kind: type) -> None:
    assert sum(p.numel() for p in build(kind).parameters()) == COUNTS[kind]


@every_fusion
def test_a_gradient_reaches_every_parameter(kind: type) -> None:
    fusion = build(kind)
    fusion(tokens()).square().sum().backward()
    silent = [name for name, p in fusion.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A key's bias adds the same to all scores of a query, which the softmax takes out again: no gradient, by its nature.
    assert [name for name in silent if not name.endswith("key.bias")] == []


@every_fusion
def test_three_modalities_and_a_batch_of_one(kind: type) -> None:
    fusion, x = build(kind), tokens()
    assert fusion.takes == "tokens" and fusion.dim == 7
    z = fusion(x)
    assert z.shape == (3, 7)
    torch.testing.assert_close(fusion({m: v[:1] for m, v in x.items()}), z[:1])
    for m in DIMS:  # each modality matters
        assert (fusion(x | {m: x[m].flip(0)}) - z).abs().max() > 1e-5


@every_fusion
@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(3)))
def test_examples_do_not_touch_one_another(kind: type, order: list[int]) -> None:
    fusion, x = build(kind), tokens()
    torch.testing.assert_close(fusion({m: v[order] for m, v in x.items()}), fusion(x)[order])


@every_fusion
def test_the_order_of_the_dict_does_not_matter(kind: type) -> None:
    fusion, x = build(kind), tokens()
    torch.testing.assert_close(fusion({m: x[m] for m in reversed(x)}), fusion(x))


@every_fusion
@settings(max_examples=8, deadline=None)
@given(garbage=st.sampled_from([0.0, 1e6, math.nan, math.inf]), n=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_padding_never_changes_the_answer(kind: type, garbage: float, n: list[int]) -> None:
    fusion, x, masks = build(kind), tokens(), lengths(image=n, text=n[::-1])
    z = fusion(x, masks=masks)
    spoilt = {m: v.masked_fill(~masks[m][..., None], garbage) if m in masks else v for m, v in x.items()}
    assert z.isfinite().all()
    torch.testing.assert_close(fusion(spoilt, masks=masks), z)


@every_fusion
def test_padding_gives_what_the_shorter_sequence_gives(kind: type) -> None:
    fusion, x = build(kind), tokens()
    z = fusion(x, masks=lengths(image=[2, 2, 2], text=[1, 1, 1]))
    torch.testing.assert_close(z, fusion(x | {"image": x["image"][:, :2], "text": x["text"][:, :1]}))


@every_fusion
@settings(max_examples=8, deadline=None)
@given(garbage=st.sampled_from([1e6, math.nan, -math.inf]), gone=st.sampled_from(["image", "text", "audio"]))
def test_an_absent_modality_never_changes_the_answer(kind: type, garbage: float, gone: str) -> None:
    fusion, x = build(kind), tokens()
    present = {gone: torch.tensor([True, False, True])}
    z = fusion(x, present=present)
    spoilt = x[gone].clone()
    spoilt[1] = garbage
    assert z.isfinite().all()
    torch.testing.assert_close(fusion(x | {gone: spoilt}, present=present), z)
    torch.testing.assert_close(z[::2], fusion(x)[::2])
    assert (z[1] - fusion(x)[1]).abs().max() > 1e-3  # its absence is felt
    masks = {gone: present[gone][:, None].expand(3, STEPS[gone])}
    torch.testing.assert_close(fusion(x, masks=masks), z)  # nothing but padding is the same as absence


@every_fusion
def test_nothing_at_all_gives_one_finite_answer(kind: type) -> None:
    fusion, x = build(kind), tokens()
    z = fusion(x, present={m: torch.zeros(3, dtype=torch.bool) for m in DIMS})
    assert z.isfinite().all()
    torch.testing.assert_close(z, z[:1].expand(3, 7))
    if kind is CrossAttentionFusion:
        torch.testing.assert_close(z[0], fusion.out.bias)
    if kind is BottleneckFusion:
        assert (z == 0).all()


@every_fusion
def test_gradients_stay_finite_where_garbage_is_masked(kind: type) -> None:
    fusion, masks = build(kind), lengths(image=[2, 0, 4])
    x = {m: v.requires_grad_() for m, v in tokens().items()}
    spoilt = x | {"image": x["image"].masked_fill(~masks["image"][..., None], math.nan)}
    fusion(spoilt, masks=masks, present={"text": torch.tensor([True, True, False])}).sum().backward()
    assert all(p.grad.isfinite().all() for p in fusion.parameters())
    assert all(v.grad.isfinite().all() for v in x.values())


@pytest.mark.parametrize("kind", [k for k in SMALL if k is not MulT], ids=lambda kind: kind.__name__)
@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(4)))
def test_attention_sees_a_set(kind: type, order: list[int]) -> None:
    fusion, x, masks = build(kind), tokens(), lengths(image=[4, 3, 1])
    shuffled = x | {"image": x["image"][:, order]}
    z = fusion(shuffled, masks={"image": masks["image"][:, order]})
    torch.testing.assert_close(z, fusion(x, masks=masks))


def test_mult_knows_the_order_of_steps() -> None:
    fusion, x = build(MulT, causal=False), tokens()
    reordered = x | {"image": x["image"][:, [1, 0, 2, 3]]}  # the last step stays: only positions can tell
    assert (fusion(reordered) - fusion(x)).abs().max() > 1e-3


# Which weights are handed out, and what each row of them must add up to
HANDED_OUT = {
    CrossAttentionFusion: {(i, j): (3, 2, STEPS[i], STEPS[j]) for i in DIMS for j in DIMS if i != j},
    MulT: {(i, j): (3, 2, STEPS[i], STEPS[j]) for i in DIMS for j in DIMS if i != j},
    BottleneckFusion: {m: (3, 2, STEPS[m] + 3, STEPS[m] + 3) for m in DIMS},
    PerceiverFusion: {m: (3, 2, 3, STEPS[m]) for m in DIMS},
    ResamplerFusion: {m: (3, 2, 2, STEPS[m]) for m in DIMS},
}


@every_fusion
def test_attention_is_handed_out_and_changes_nothing(kind: type) -> None:
    fusion, x, masks = build(kind), tokens(), lengths(image=[4, 2, 1])
    z, attention = fusion(x, masks=masks, return_attention=True)
    torch.testing.assert_close(z, fusion(x, masks=masks))
    assert {key: tuple(w.shape) for key, w in attention.items()} == HANDED_OUT[kind]
    hidden = attention[("text", "image") if ("text", "image") in attention else "image"]
    if kind is BottleneckFusion:
        hidden = hidden[..., 1:]  # the class token comes first
    assert (hidden[1, ..., 2:4] == 0).all() and (hidden[1, ..., :2] > 0).any()


def test_attention_rows_sum_to_one() -> None:
    x = tokens()
    _, weights = build(CrossAttentionFusion)(x, return_attention=True)
    torch.testing.assert_close(
        weights["image", "text"].sum(-1) + weights["image", "audio"].sum(-1), torch.ones(3, 2, 4, dtype=torch.float64)
    )
    _, weights = build(PerceiverFusion)(x, return_attention=True)
    torch.testing.assert_close(sum(w.sum(-1) for w in weights.values()), torch.ones(3, 2, 3, dtype=torch.float64))
    for kind in (MulT, BottleneckFusion):
        _, weights = (
            build(kind, causal=False)(x, return_attention=True)
            if kind is MulT
            else build(kind)(x, return_attention=True)
        )
        for w in weights.values():
            torch.testing.assert_close(w.sum(-1), torch.ones(w.shape[:-1], dtype=torch.float64))
    _, weights = build(ResamplerFusion)(x, return_attention=True)
    assert all(((w.sum(-1) > 0) & (w.sum(-1) < 1)).all() for w in weights.values())


@every_fusion
def test_float32_and_bf16_agree_with_float64(kind: type) -> None:
    fusion, x = build(kind), tokens()
    nn.init.normal_(fusion.project.maps["image"].weight, std=0.1)
    z = fusion(x)
    fusion.float()
    low = {m: v.float() for m, v in x.items()}
    assert fusion(low).dtype == torch.float32
    torch.testing.assert_close(fusion(low), z.float(), atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = fusion(low, masks=lengths(image=[4, 4, 4]))
    assert (rough.float() - z).norm() < 0.1 * z.norm()


@every_fusion
def test_dropout_acts_in_training_only(kind: type) -> None:
    fusion, x = build(kind, dropout=0.5), tokens()
    assert not torch.equal(fusion(x), fusion(x))
    torch.testing.assert_close(fusion.eval()(x), build(kind).eval()(x))


@every_fusion
def test_compiled_equals_eager(kind: type) -> None:
    torch._dynamo.reset()
    fusion, x = build(kind), tokens()
    given_ = {"masks": lengths(image=[4, 0, 1]), "present": {"text": torch.tensor([True, False, True])}}
    compiled = torch.compile(fusion, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, **given_), fusion(x, **given_))


@pytest.mark.full
@every_fusion
def test_compiled_by_inductor_equals_eager(kind: type) -> None:
    torch._dynamo.reset()
    fusion, x = build(kind).float(), {m: v.float() for m, v in tokens().items()}
    given_ = {"masks": lengths(image=[4, 0, 1]), "present": {"text": torch.tensor([True, False, True])}}
    torch.testing.assert_close(torch.compile(fusion)(x, **given_), fusion(x, **given_), atol=1e-4, rtol=1e-4)


@every_fusion
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap_over_seeds_equals_a_loop(kind: type) -> None:
    seeds = [build(kind, seed=s) for s in range(3)]
    x, masks = tokens(), lengths(image=[4, 0, 1])
    present = {"text": torch.tensor([True, False, True])}
    stacked, _ = torch.func.stack_module_state(seeds)

    def run(parameters: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(seeds[0], parameters, (x,), {"masks": masks, "present": present})

    together = torch.func.vmap(run)(stacked)
    torch.testing.assert_close(together, torch.stack([f(x, masks=masks, present=present) for f in seeds]))


# Wrong inputs


@every_fusion
def test_wrong_inputs_are_named(kind: type) -> None:
    fusion, x = build(kind), tokens()
    with pytest.raises(ValueError, match="modality 'text' is missing"):
        fusion({m: v for m, v in x.items() if m != "text"})
    with pytest.raises(ValueError, match="unknown modality 'smell'"):
        fusion(x | {"smell": x["text"]})
    with pytest.raises(ValueError, match=r"inputs\['text'\] must have shape \(B, T, 5\), got \(3, 3, 4\)"):
        fusion(x | {"text": x["text"][..., :4]})
    with pytest.raises(ValueError, match="same batch size, got 3 for 'image' and 2 for 'text'"):
        fusion(x | {"text": x["text"][:2]})
    with pytest.raises(ValueError, match=r"masks\['text'\] must be bool with shape \(3, 3\)"):
        fusion(x, masks={"text": torch.ones(3, 4, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"dims must name two modalities or more, got \['image'\]"):
        kind({"image": 3}, 7)
    with pytest.raises(ValueError, match="dim must be above 0, got 0"):
        kind(DIMS, 0)
    with pytest.raises(ValueError, match=r"dims\['text'\] must be above 0, got 0"):
        kind({"image": 3, "text": 0}, 7)
    with pytest.raises(ValueError, match="dim must be a multiple of heads, got dim=8 with heads=3"):
        kind(DIMS, 7, width=8, heads=3)
    with pytest.raises(ValueError, match=r"dropout must be between 0 and 1, got 1\.5"):
        kind(DIMS, 7, dropout=1.5)


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (CrossAttentionFusion, "layers"),
        (MulT, "layers"),
        (MulT, "memory_layers"),
        (BottleneckFusion, "bottlenecks"),
        (PerceiverFusion, "latents"),
        (PerceiverFusion, "layers"),
        (PerceiverFusion, "iterations"),
        (ResamplerFusion, "queries"),
        (ResamplerFusion, "layers"),
        (ResamplerFusion, "heads"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_settings_must_be_above_zero(kind: type, setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting.removeprefix('memory_')} must be above 0, got 0"):
        kind(DIMS, 7, **{setting: 0})


def test_mult_needs_an_even_width() -> None:
    with pytest.raises(ValueError, match=r"width must be even \(half sines, half cosines\), got 5"):
        MulT(DIMS, 7, width=5, heads=1)


def test_attention_names_what_does_not_fit() -> None:
    attention, x = MultiHeadAttention(4, heads=2), torch.zeros(2, 3, 4)
    with pytest.raises(ValueError, match=r"query must have shape \(B, Tq, 4\), got \(2, 3, 5\)"):
        attention(torch.zeros(2, 3, 5), x, x)
    with pytest.raises(ValueError, match=r"key must have shape \(2, Tk, 4\), got \(1, 3, 4\)"):
        attention(x, x[:1], x)
    with pytest.raises(ValueError, match=r"value must have shape \(2, 3, 4\), got \(2, 2, 4\)"):
        attention(x, x, x[:, :2])
    with pytest.raises(ValueError, match=r"mask must be bool with 3 axes \(B, Tq, Tk\), got torch.float32 \(2, 3, 3\)"):
        attention(x, x, x, torch.zeros(2, 3, 3))
    with pytest.raises(ValueError, match=r"mask must be bool with 3 axes \(B, Tq, Tk\), got torch.bool \(2, 3\)"):
        attention(x, x, x, torch.zeros(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="dim must be above 0, got 0"):
        MultiHeadAttention(0)
    with pytest.raises(ValueError, match=r"tokens must have shape \(B, T, 8\), got \(2, 3, 4\)"):
        Resampler(8)(x)


def test_defaults_are_the_documented_ones() -> None:
    def settings_of(fusion: nn.Module) -> tuple[int, int]:
        blocks = [b for b in fusion.modules() if isinstance(b, CrossAttentionBlock)]
        return blocks[0].attention.dim, len(blocks)

    assert all(m.heads == 4 for kind in SMALL for m in kind(DIMS, 7).modules() if isinstance(m, MultiHeadAttention))
    assert settings_of(CrossAttentionFusion(DIMS, 7)) == (64, 3)
    assert settings_of(MulT(DIMS, 7)) == (32, 6 + 3)
    assert settings_of(BottleneckFusion(DIMS, 7)) == (64, 3 * 2)
    assert BottleneckFusion(DIMS, 7).bottlenecks.shape == (1, 4, 64)
    assert settings_of(PerceiverFusion(DIMS, 7)) == (64, 1 + 2 + 1)
    assert PerceiverFusion(DIMS, 7).latents.shape == (1, 16, 64)
    assert settings_of(ResamplerFusion(DIMS, 7)) == (64, 3)
    assert ResamplerFusion(DIMS, 7).resamplers["text"].queries.shape == (1, 4, 64)
    assert settings_of(Resampler(8)) == (8, 2) and Resampler(8).queries.shape == (1, 8, 8)
    assert all(m.p == 0 for kind in SMALL for m in kind(DIMS, 7).modules() if isinstance(m, nn.Dropout))
    assert MulT(DIMS, 7).pairs["text_to_image"].causal and MulT(DIMS, 7).memories["image"].causal
    assert not MulT(DIMS, 7, causal=False).memories["image"].causal


def test_projections_bring_all_to_one_width_and_say_what_is_real() -> None:
    projections, x = TokenProjections(DIMS, 4).double(), tokens()
    out, real = projections(x, lengths(image=[4, 1, 0]), {"image": torch.tensor([False, True, True])})
    assert real["image"].int().tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert real["text"].all()
    torch.testing.assert_close(out["text"], projections.maps["text"](x["text"]))
    torch.testing.assert_close(out["image"][0], projections.maps["image"].bias.expand(4, 4))
    assert TokenProjections(DIMS, 4, bias=False).maps["text"].bias is None
