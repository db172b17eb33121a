"""Masked modelling: TorchMultimodal's numbers, what is hidden stays hidden, each modality helps the other."""

from __future__ import annotations

import math

import pytest
import torch
from alignment_cases import DTYPES, case, close
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from mmteach.alignment import MaskedMultimodalModel, hide_at_random, masked_patch_loss, masked_token_loss

few = settings(max_examples=10, deadline=None)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
DIMS, OUTPUTS, STEPS = {"image": 6, "text": 4}, {"image": 6, "text": 9}, {"image": 3, "text": 5}


# ── which steps to hide ──


@given(lengths=st.lists(st.integers(0, 20), min_size=1, max_size=6), share=st.floats(0, 1), seed=st.integers(0, 2**30))
@few
def test_each_row_hides_its_share_of_real_steps_rounded_and_one_at_least(lengths, share, seed):
    real = torch.arange(20) < torch.tensor(lengths)[:, None]
    hidden = hide_at_random(real, share, generator=torch.Generator().manual_seed(seed))
    assert not (hidden & ~real).any()
    for n, count in zip(lengths, hidden.sum(1).tolist()):
        assert count == min(n, 1) or abs(count - share * n) <= 0.5 + 1e-4


def test_exact_counts():
    real = torch.tensor([[True] * 8, [True] * 4 + [False] * 4, [False] * 8])
    assert hide_at_random(real, 0.5).sum(1).tolist() == [4, 2, 0]
    assert hide_at_random(real, 0.75).sum(1).tolist() == [6, 3, 0]
    assert hide_at_random(real, 0.0).sum(1).tolist() == [1, 1, 0]
    assert hide_at_random(real, 1.0).tolist() == real.tolist()


def test_the_choice_is_random_even_and_repeatable():
    real = torch.ones(4000, 5, dtype=torch.bool)
    hidden = hide_at_random(real, 0.4, generator=torch.Generator().manual_seed(1))
    assert hidden.float().mean(0).tolist() == pytest.approx([0.4] * 5, abs=0.04)
    assert torch.equal(hidden, hide_at_random(real, 0.4, generator=torch.Generator().manual_seed(1)))
    assert not torch.equal(hidden, hide_at_random(real, 0.4, generator=torch.Generator().manual_seed(2)))


def test_wrong_choices_are_named():
    with pytest.raises(ValueError, match=r"^real must be bool with shape \(2, 3\), got torch.float32"):
        hide_at_random(torch.ones(2, 3), 0.5)
    with pytest.raises(ValueError, match=r"^real must have shape \(B, T\), got \(3,\)"):
        hide_at_random(torch.ones(3, dtype=torch.bool), 0.5)
    with pytest.raises(ValueError, match=r"^share must be between 0 and 1, got 1.5"):
        hide_at_random(torch.ones(2, 3, dtype=torch.bool), 1.5)


# ── the losses ──


@each_dtype
def test_masked_patches_equal_torchmultimodal(dtype):
    inputs, expected = case("mae_reconstruction", dtype)
    arguments = inputs["pred"], inputs["target"], inputs["mask"].bool()
    close(masked_patch_loss(*arguments), expected["normalised"])
    close(masked_patch_loss(*arguments, normalise=False), expected["raw"])


@each_dtype
def test_masked_tokens_equal_a_language_models_sum_per_sentence(dtype):
    # The recorded numbers are sums over a sentence, of the next word: shift, hide what has a label, undo the mean.
    inputs, expected = case("causal_lm", dtype)
    logits, labels = inputs["logits"][:, :-1], inputs["labels"][:, 1:]
    hidden = labels != -100
    sums = [
        masked_token_loss(logits[b : b + 1], labels[b : b + 1], hidden[b : b + 1]) * hidden[b].sum()
        for b in range(len(labels))
    ]
    close(torch.stack(sums), expected["loss"])
    close(masked_token_loss(logits, labels, hidden) * hidden.sum(), expected["loss"].sum())


def words(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 5, 7, generator=g, dtype=torch.float64)
    return logits, torch.randint(7, (3, 5), generator=g), torch.rand(3, 5, generator=g) < 0.4


def patches(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    predicted, real = torch.randn(2, 3, 5, 6, generator=g, dtype=torch.float64)
    return predicted, real, torch.rand(3, 5, generator=g) < 0.4


def test_masked_tokens_are_torchs_cross_entropy_of_the_hidden_ones():
    logits, tokens, hidden = words()
    expected = F.cross_entropy(logits[hidden], tokens[hidden])
    torch.testing.assert_close(masked_token_loss(logits, tokens, hidden), expected)


def test_normalised_patches_by_hand():
    patch = torch.tensor([[[1.0, 3.0]]], dtype=torch.float64)  # mean 2, variance 2 with D − 1
    hidden = torch.tensor([[True]])
    ours = masked_patch_loss(torch.zeros_like(patch), patch, hidden, epsilon=2.0)  # ±1 / √(2 + 2)
    assert ours.item() == pytest.approx(0.25)
    assert masked_patch_loss(torch.zeros_like(patch), patch, hidden).item() == pytest.approx(0.5, abs=1e-5)


def test_brightness_and_contrast_of_a_patch_do_not_matter_where_normalised():
    predicted, real, hidden = patches()
    torch.testing.assert_close(
        masked_patch_loss(predicted, 3 * real + 5, hidden, epsilon=1e-12),
        masked_patch_loss(predicted, real, hidden, epsilon=1e-12),
    )


@pytest.mark.parametrize("loss, made", [(masked_token_loss, words), (masked_patch_loss, patches)])
class TestBothLosses:
    def test_steps_that_are_not_hidden_do_not_matter_whatever_stands_there(self, loss, made):
        guess, answer, hidden = made()
        expected = loss(guess, answer, hidden)
        guess = guess.masked_fill(~hidden[..., None], math.nan).requires_grad_()
        if answer.is_floating_point():
            answer = answer.masked_fill(~hidden[..., None], math.nan)
        else:
            answer = answer.masked_fill(~hidden, -100)
        ours = loss(guess, answer, hidden)
        torch.testing.assert_close(ours, expected)
        ours.backward()
        assert guess.grad.isfinite().all() and (guess.grad[~hidden] == 0).all() and (guess.grad[hidden] != 0).any()

    def test_nothing_hidden_costs_nothing(self, loss, made):
        guess, answer, hidden = made()
        assert loss(guess, answer, torch.zeros_like(hidden)) == 0

    def test_the_order_of_the_batch_and_of_the_steps_does_not_matter(self, loss, made):
        guess, answer, hidden = made()
        turned = loss(guess.flip(0, 1), answer.flip(0, 1), hidden.flip(0, 1))
        torch.testing.assert_close(turned, loss(guess, answer, hidden))

    def test_compiles_maps_over_seeds_and_stays_in_float32(self, loss, made):
        torch.compiler.reset()
        guess, answer, hidden = made()
        compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(guess, answer, hidden), loss(guess, answer, hidden))
        stacked = [torch.stack(both) for both in zip(made(0), made(1))]
        torch.testing.assert_close(torch.func.vmap(loss)(*stacked), torch.stack([loss(*made(0)), loss(*made(1))]))
        half = loss(guess.bfloat16(), answer, hidden)
        expected = loss(guess.bfloat16().double(), answer, hidden)
        torch.testing.assert_close(half.double(), expected, atol=1e-5, rtol=1e-5)

    def test_wrong_shapes_are_named(self, loss, made):
        guess, answer, hidden = made()
        name = "logits" if loss is masked_token_loss else "predicted"
        with pytest.raises(ValueError, match=rf"^{name} must have shape \(B, T, [VD]\), got \(3, 5\)"):
            loss(guess[..., 0], answer, hidden)
        with pytest.raises(TypeError, match=rf"^{name} must hold floating-point numbers"):
            loss(guess.long(), answer, hidden)
        with pytest.raises(
            ValueError, match=r"(tokens must have shape \(3, 5\)|predicted and patches must have the same)"
        ):
            loss(guess, answer[:2], hidden)
        with pytest.raises(ValueError, match=r"^hidden must be bool with shape \(3, 5\), got torch.int64"):
            loss(guess, answer, hidden.long())


def test_patches_of_one_number_cannot_be_normalised():
    one, hidden = torch.ones(1, 2, 1), torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"^patches need two numbers or more each to be normalised, got one"):
        masked_patch_loss(one, one, hidden)
    assert masked_patch_loss(one, 3 * one, hidden, normalise=False) == 4
    two = torch.ones(1, 2, 2)
    assert masked_patch_loss(0 * two, two, hidden) == 0  # a flat patch is all zeros after normalising
    with pytest.raises(ValueError, match=r"^epsilon must be above 0, got 0"):
        masked_patch_loss(two, two, hidden, epsilon=0)


# ── the model ──


def build(seed: int = 0, **options: int) -> MaskedMultimodalModel:
    torch.manual_seed(seed)
    return MaskedMultimodalModel(DIMS, OUTPUTS, STEPS, dim=8, **{"heads": 2, **options}).double()


def batch(size: int = 4, seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {m: torch.randn(size, STEPS[m], DIMS[m], generator=g, dtype=torch.float64) for m in DIMS}


HIDDEN = {"text": torch.tensor([[True, False, True, False, False]] * 4)}


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for m in ours:
        torch.testing.assert_close(ours[m], theirs[m])


def test_shapes_of_guesses_and_of_the_summary():
    model, x = build(), batch()
    assert {m: tuple(g.shape) for m, g in model(x, HIDDEN).items()} == {"image": (4, 3, 6), "text": (4, 5, 9)}
    assert model.joint(x, HIDDEN).shape == (4, 8)
    shorter = {"image": x["image"], "text": x["text"][:, :2]}
    assert model(shorter)["text"].shape == (4, 2, 9)


def test_parameter_count():
    d, layers = 8, 2
    one_layer = 4 * d * d + 4 * d + 2 * 4 * d * d + 4 * d + d + 2 * 2 * d  # attention, feed-forward, two layer norms
    expected = layers * one_layer + 2 * d + d  # the last norm, the summary
    for m in DIMS:
        expected += (DIMS[m] + 1) * d + d + STEPS[m] * d + (d + 1) * OUTPUTS[m]
    assert sum(p.numel() for p in build().parameters()) == expected
    assert sum(p.numel() for p in build(layers=1).parameters()) == expected - one_layer


def test_masks_positions_and_summary_start_small_and_norms_come_first():
    model = MaskedMultimodalModel({"a": 2, "b": 2}, {"a": 2, "b": 2}, {"a": 50, "b": 50}, dim=64)
    for start in (*model.mask.values(), *model.position.values(), model.summary):
        assert 0.01 < start.std().item() < 0.03
    assert all(layer.norm_first for layer in model.transformer.layers)


def test_a_gradient_reaches_every_parameter():
    model, x = build(), batch()
    hidden = {"text": HIDDEN["text"], "image": torch.tensor([[True, False, False]] * 4)}
    guesses = model(x, hidden)
    loss = masked_patch_loss(guesses["image"], x["image"], hidden["image"])
    loss = loss + masked_token_loss(guesses["text"], torch.arange(5).expand(4, 5), hidden["text"])
    loss.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


def test_what_is_hidden_is_never_seen():
    model, x = build(), batch()
    broken = {**x, "text": x["text"].masked_fill(HIDDEN["text"][..., None], math.nan)}
    equal(model(broken, HIDDEN), model(x, HIDDEN))
    changed = model(x)  # and it is seen where it is not hidden
    assert not torch.allclose(changed["text"], model(x, HIDDEN)["text"])


def test_padded_steps_never_matter():
    model, x = build(), batch()
    masks = {"text": torch.arange(5).expand(4, 5) < 3}
    broken = {**x, "text": x["text"].masked_fill(~masks["text"][..., None], math.nan)}
    ours = model(broken, masks=masks)
    cut = model({"image": x["image"], "text": x["text"][:, :3]})
    torch.testing.assert_close(ours["image"], cut["image"])
    torch.testing.assert_close(ours["text"][:, :3], cut["text"])


def test_a_step_both_hidden_and_padded_leaves_every_gradient_finite():
    model, x = build(), batch()
    masks = {"text": torch.arange(5).expand(4, 5) > 0}  # the first step is padded, and HIDDEN hides it too
    broken = {**x, "text": x["text"].masked_fill(HIDDEN["text"][..., None], math.nan)}
    sum(g.sum() for g in model(broken, HIDDEN, masks=masks).values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_an_absent_modality_never_matters_and_the_other_is_answered_as_if_alone():
    model, x = build(), batch()
    present = {"image": torch.tensor([True, False, True, False])}
    broken = {**x, "image": x["image"].masked_fill(~present["image"][:, None, None], math.inf)}
    equal(model(broken, HIDDEN, present=present), model(x, HIDDEN, present=present))
    with_image, without = model(x, HIDDEN), model(x, HIDDEN, present=present)
    torch.testing.assert_close(without["text"][0], with_image["text"][0])
    assert not torch.allclose(without["text"][1], with_image["text"][1])
    torch.testing.assert_close(model.joint(broken, HIDDEN, present=present), model.joint(x, HIDDEN, present=present))


def test_with_everything_absent_or_padded_the_answer_is_finite_and_always_the_same():
    model, x = build(), batch()
    nothing = {m: torch.zeros(4, dtype=torch.bool) for m in DIMS}
    joint = model.joint({m: v * math.nan for m, v in x.items()}, present=nothing)
    assert joint.isfinite().all()
    torch.testing.assert_close(joint, joint[:1].expand(4, 8))
    padded = {m: torch.zeros(v.shape[:2], dtype=torch.bool) for m, v in x.items()}
    torch.testing.assert_close(model.joint(x, masks=padded), joint)
    assert all(g.isfinite().all() for g in model(x, masks=padded).values())


@given(seed=st.integers(0, 2**30), order=st.permutations(range(4)))
@few
def test_the_order_of_the_batch_turns_the_guesses_with_it(seed, order):
    model, x = build(), batch(seed=seed)
    turned = model({m: v[order] for m, v in x.items()}, {"text": HIDDEN["text"][order]})
    equal(turned, {m: g[order] for m, g in model(x, HIDDEN).items()})


def test_a_batch_of_one_and_three_modalities():
    dims = {"a": 2, "b": 3, "c": 4}
    model = MaskedMultimodalModel(dims, dims, {"a": 2, "b": 1, "c": 3}, dim=4)  # four heads unless told
    out = model({"a": torch.ones(1, 2, 2), "b": torch.ones(1, 1, 3), "c": torch.ones(1, 3, 4)})
    assert {m: tuple(g.shape) for m, g in out.items()} == {"a": (1, 2, 2), "b": (1, 1, 3), "c": (1, 3, 4)}


@pytest.mark.parametrize("training", [True, False])
def test_compiled_vmapped_and_bf16(training):
    torch.compiler.reset()
    model, x = build().train(training), batch()
    equal(torch.compile(model, backend="aot_eager")(x, HIDDEN), model(x, HIDDEN))
    others = [build(seed).train(training) for seed in range(2)]
    parameters, _ = torch.func.stack_module_state(others)
    call = lambda p: torch.func.functional_call(others[0], p, (x, HIDDEN))["text"]  # noqa: E731
    expected = torch.stack([m(x, HIDDEN)["text"] for m in others])
    torch.testing.assert_close(torch.func.vmap(call)(parameters), expected)
    with torch.no_grad():
        torch.testing.assert_close(torch.func.vmap(call)(parameters), expected)
    single, x32 = model.float(), {m: v.float() for m, v in x.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = single(x32, HIDDEN)
    torch.testing.assert_close(half["text"].float(), single(x32, HIDDEN)["text"], atol=0.1, rtol=0.1)


def test_hidden_words_are_guessed_from_the_picture():
    # The word is named by the picture alone: without it, one in three is the best anyone can do.
    torch.manual_seed(0)
    words = torch.eye(3)
    answer = torch.randint(3, (96, 1))
    x = {"image": words[answer] + 0.1 * torch.randn(96, 1, 3), "text": words[answer]}
    model = MaskedMultimodalModel({"image": 3, "text": 3}, {"image": 3, "text": 3}, {"image": 1, "text": 1}, 8, heads=2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    hidden = torch.ones(96, 1, dtype=torch.bool)
    for _ in range(60):
        optimiser.zero_grad()
        masked_token_loss(model(x, {"text": hidden})["text"], answer, hidden).backward()
        optimiser.step()
    right = lambda out: (out["text"].argmax(-1) == answer).float().mean().item()  # noqa: E731
    assert right(model(x, {"text": hidden})) > 0.95
    assert right(model(x, {"text": hidden}, present={"image": torch.zeros(96, dtype=torch.bool)})) < 0.6


def test_wrong_arguments_are_named():
    model, x = build(), batch()
    with pytest.raises(ValueError, match=r"^dims needs two modalities or more, got \['a'\]"):
        MaskedMultimodalModel({"a": 2}, {"a": 2}, {"a": 2}, 4)
    with pytest.raises(
        ValueError, match=r"^outputs must name the modalities of dims, \['image', 'text'\], got \['image'\]"
    ):
        MaskedMultimodalModel(DIMS, {"image": 6}, STEPS, 8)
    with pytest.raises(
        ValueError, match=r"^steps must name the modalities of dims, \['image', 'text'\], got \['text'\]"
    ):
        MaskedMultimodalModel(DIMS, OUTPUTS, {"text": 6}, 8)
    with pytest.raises(ValueError, match=r"^dim must be a multiple of heads, got dim=6 and heads=4"):
        MaskedMultimodalModel(DIMS, OUTPUTS, STEPS, 6)
    with pytest.raises(
        ValueError, match=r"^hidden names the unknown modality 'smell': expected some of \['image', 'text'\]"
    ):
        model(x, {"smell": HIDDEN["text"]})
    with pytest.raises(
        ValueError, match=r"^hidden\['text'\] must be bool with shape \(4, 5\), got torch.bool with shape \(4, 3\)"
    ):
        model(x, {"text": HIDDEN["text"][:, :3]})
    with pytest.raises(ValueError, match=r"^inputs\['text'\] has 6 steps, but the model was built for at most 5"):
        model({**x, "text": torch.zeros(4, 6, 4, dtype=torch.float64)})
    with pytest.raises(ValueError, match=r"^modality 'text' is missing"):
        model({"image": x["image"]})
    with pytest.raises(ValueError, match=r"^masks\['text'\] must be bool with shape \(4, 5\)"):
        model(x, masks={"text": torch.ones(4, 5)})
