"""The captioner: its losses on published numbers, what each word may see, writing, and the errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmteach.data.batch import Batch
from mmteach.generation import (
    CaptionDecoder,
    Captioner,
    caption_loss,
    caption_targets,
    coca_loss,
    teacher_forcing,
)
from mmteach.training import fit

VECTORS = np.load(Path(__file__).parent / "vectors" / "generation.npz")
TOLERANCE = {torch.float64: {"atol": 1e-9, "rtol": 1e-9}, torch.float32: {"atol": 1e-5, "rtol": 1e-4}}
both_precisions = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
WORDS = 9


class Patches(nn.Module):
    """A stand-in for an encoder with tokens: a linear map of each of the S patches."""

    def __init__(self, dim: int = 6) -> None:
        super().__init__()
        self.dim = dim
        self.map = nn.Linear(4, dim)

    def tokens(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return self.map(x), mask


class Vector(nn.Module):
    """A stand-in for an encoder that gives one vector; it minds a mask where there is one."""

    dim = 6

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(4, 6)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.map(x if mask is None else x * mask.any(1, keepdim=True))


def vector(key: str, dtype: torch.dtype = torch.float64) -> Tensor:
    found = torch.from_numpy(VECTORS[key])
    return found.to(dtype) if found.is_floating_point() else found


def build(encoder: nn.Module | None = None, seed: int = 0, **more) -> Captioner:
    torch.manual_seed(seed)
    model = Captioner(encoder or Patches(), WORDS, **{"width": 8, "heads": 2, **more}).double()
    for p in model.parameters():
        nn.init.normal_(p, std=0.5)
    return model


def pictures(batch: int = 3, seed: int = 1) -> dict[str, Tensor]:
    return {"image": torch.randn(batch, 5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)}


CAPTIONS = torch.tensor([[3, 4, 5, 2], [7, 1, 0, 0], [6, 0, 0, 0]])


# Losses


@both_precisions
def test_caption_loss_is_cocas(dtype: torch.dtype) -> None:
    logits, labels = vector("coca/input/logits", dtype), vector("coca/input/labels")
    caption = caption_loss(logits, labels)
    torch.testing.assert_close(2 * caption, vector("coca/output/caption", dtype), **TOLERANCE[dtype])
    clip = vector("coca/output/clip", dtype)
    total = clip + vector("coca/output/caption", dtype)
    torch.testing.assert_close(coca_loss(clip, caption), total, **TOLERANCE[dtype])


@both_precisions
def test_caption_loss_of_each_sentence_is_its_log_probability(dtype: torch.dtype) -> None:
    logits, labels = vector("causal_lm/input/logits", dtype), vector("causal_lm/input/labels")
    loss = caption_loss(logits[:, :-1], labels[:, 1:], ignore=-100, reduction="none")
    torch.testing.assert_close(loss, vector("causal_lm/output/loss", dtype), **TOLERANCE[dtype])


def test_the_mean_is_over_words_not_over_sentences() -> None:
    logits, targets = torch.randn(2, 3, 5, dtype=torch.float64), torch.tensor([[1, 2, 3], [4, 0, 0]])
    log_p = logits.log_softmax(-1)
    words = [log_p[0, 0, 1], log_p[0, 1, 2], log_p[0, 2, 3], log_p[1, 0, 4]]
    torch.testing.assert_close(caption_loss(logits, targets), -sum(words) / 4)
    torch.testing.assert_close(
        caption_loss(logits, targets, reduction="none"), -torch.stack([sum(words[:3]), words[3]])
    )


@settings(max_examples=10, deadline=None)
@given(vocabulary=st.integers(2, 30))
def test_a_model_that_knows_nothing_scores_ln_v(vocabulary: int) -> None:
    loss = caption_loss(torch.zeros(2, 3, vocabulary), torch.ones(2, 3, dtype=torch.long))
    assert loss.item() == pytest.approx(math.log(vocabulary), rel=1e-5)


def test_caption_loss_details() -> None:
    logits, targets = torch.randn(2, 3, 5), torch.tensor([[1, 2, 0], [4, 0, 0]])
    spoilt = logits.masked_fill((targets == 0)[..., None], 50.0)
    torch.testing.assert_close(caption_loss(spoilt, targets), caption_loss(logits, targets))
    assert caption_loss(logits, torch.zeros_like(targets)).item() == 0
    smooth = nn.functional.cross_entropy(logits.mT, targets, ignore_index=0, label_smoothing=0.2)
    torch.testing.assert_close(caption_loss(logits, targets, label_smoothing=0.2), smooth)
    assert caption_loss(logits.bfloat16(), targets).dtype == torch.float32
    with pytest.raises(ValueError, match=r"logits must have shape \(B, L, V\), got \(2, 3\)"):
        caption_loss(logits[..., 0], targets)
    with pytest.raises(ValueError, match=r"targets must have shape \(2, 3\), got \(2, 2\)"):
        caption_loss(logits, targets[:, :2])
    with pytest.raises(ValueError, match="reduction must be one of 'mean', 'none', got 'sum'"):
        caption_loss(logits, targets, reduction="sum")


def test_coca_loss_weighs_its_parts() -> None:
    one, two = torch.tensor(1.0), torch.tensor(10.0)
    assert coca_loss(one, two).item() == 21
    assert coca_loss(one, two, contrastive_weight=3, caption_weight=0.5).item() == 8
    for name in ("contrastive_weight", "caption_weight"):
        with pytest.raises(ValueError, match=f"{name} must be between 0 and inf, got -1"):
            coca_loss(one, two, **{name: -1})


def test_losses_compile_and_vmap() -> None:
    torch._dynamo.reset()
    logits, targets = torch.randn(4, 2, 3, 5), torch.tensor([[1, 2, 0], [4, 0, 0]])
    compiled = torch.compile(caption_loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(logits[0], targets), caption_loss(logits[0], targets))
    together = torch.func.vmap(lambda x: caption_loss(x, targets))(logits)
    torch.testing.assert_close(together, torch.stack([caption_loss(x, targets) for x in logits]))
    both = torch.func.vmap(coca_loss)(together, 2 * together)
    torch.testing.assert_close(both, 5 * together)


def test_targets_are_the_words_and_the_end() -> None:
    assert caption_targets(CAPTIONS, 9).tolist() == [[3, 4, 5, 2, 9], [7, 1, 9, 0, 0], [6, 9, 0, 0, 0]]


# The model


def test_a_word_is_predicted_from_the_words_before_it_only() -> None:
    model, x = build(), pictures()
    changed = CAPTIONS.clone()
    changed[:, 2] = torch.tensor([8, 8, 8])
    before, after = model(x, CAPTIONS), model(x, changed)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert ((before - after)[:, 3:].abs().amax((1, 2)) > 1e-3).all()


def test_logits_are_the_decoders_at_every_place() -> None:
    model, x = build(), pictures()
    memory, real = model.look(x)
    assert real.all() and real.shape == (3, 5)
    start = torch.full((3, 1), model.decoder.start)
    assert (model.decoder.start, model.decoder.end) == (WORDS + 1, WORDS)
    for t in range(4):  # one word more each time, as when writing
        logits = model.decoder(torch.cat([start, CAPTIONS[:, :t]], 1), memory)
        torch.testing.assert_close(logits[:, -1], model(x, CAPTIONS)[:, t])


def test_the_decoder_follows_its_equation() -> None:
    decoder = build(layers=1).decoder
    words, memory = torch.tensor([[10, 3]]), pictures(1)["image"] @ torch.ones(4, 6, dtype=torch.float64)
    layer, m = decoder.layers[0], decoder.memory(memory)
    positions = torch.tensor([[p * 1.0, p * 1e-4 ** (1 / 3), p * 1e-4 ** (2 / 3), p * 1e-4] for p in (1, 2)]).double()
    x = decoder.embedding(words) + torch.cat([positions.sin(), positions.cos()], -1)
    h = layer.norm_back(x)
    first = layer.look_back(h[:, :1], h[:, :1], h[:, :1])
    x = x + torch.cat([first, layer.look_back(h[:, 1:], h, h)], 1)
    x = x + layer.look_up(layer.norm_up(x), m, m)
    x = x + layer.mlp(layer.norm_mlp(x))
    torch.testing.assert_close(decoder(words, memory), decoder.out(decoder.norm(x)), atol=1e-6, rtol=1e-6)


def test_parameter_count_follows_the_formula() -> None:
    d, memory, v, layers = 8, 6, WORDS, 2
    layer = 2 * 4 * (d * d + d) + 3 * 2 * d + (8 * d * d + 5 * d)
    decoder = (v + 2) * d + (memory * d + d) + layers * layer + 2 * d + (d * (v + 1) + v + 1)
    assert sum(p.numel() for p in build().decoder.parameters()) == decoder


def test_a_gradient_reaches_every_parameter() -> None:
    model = build()
    loss = teacher_forcing()(model, Batch(pictures(), {"caption": CAPTIONS}))
    loss.backward()
    silent = [n for n, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert [n for n in silent if not n.endswith("key.bias")] == []  # a softmax does not see a constant
    assert (model.decoder.embedding.weight.grad[0] == 0).all()  # padding is not learned


def test_teacher_forcing_is_the_loss_of_the_shifted_words() -> None:
    model, x = build(), pictures()
    expected = caption_loss(model(x, CAPTIONS), caption_targets(CAPTIONS, WORDS))
    torch.testing.assert_close(teacher_forcing()(model, Batch(x, {"caption": CAPTIONS})), expected)
    smooth = caption_loss(model(x, CAPTIONS), caption_targets(CAPTIONS, WORDS), label_smoothing=0.1)
    named = teacher_forcing("name", label_smoothing=0.1)(model, Batch(x, {"name": CAPTIONS}))
    torch.testing.assert_close(named, smooth)


def test_longer_padding_of_captions_changes_nothing() -> None:
    model, x = build(), pictures()
    longer = nn.functional.pad(CAPTIONS, (0, 3))
    loss = teacher_forcing()
    torch.testing.assert_close(loss(model, Batch(x, {"caption": longer})), loss(model, Batch(x, {"caption": CAPTIONS})))


@pytest.mark.parametrize("garbage", [math.nan, 1e9])
def test_padded_patches_and_absent_pictures_never_matter(garbage: float) -> None:
    model, x = build(), pictures()
    masks = {"image": torch.arange(5) < torch.tensor([5, 2, 0])[:, None]}
    spoilt = {"image": x["image"].masked_fill(~masks["image"][..., None], garbage)}
    out = model(spoilt, CAPTIONS, masks=masks)
    torch.testing.assert_close(out, model(x, CAPTIONS, masks=masks))
    torch.testing.assert_close(out[1:2], model({"image": x["image"][1:2, :2]}, CAPTIONS[1:2]))
    assert out.isfinite().all()
    present = {"image": torch.tensor([True, False, True])}
    spoilt = {"image": x["image"].masked_fill(~present["image"][:, None, None], garbage)}
    out = model(spoilt, CAPTIONS, present=present)
    torch.testing.assert_close(out, model(x, CAPTIONS, present=present))
    torch.testing.assert_close(out[::2], model(x, CAPTIONS)[::2])
    assert (out[1] - model(x, CAPTIONS)[1]).abs().max() > 1e-3


@pytest.mark.parametrize("garbage", [math.nan, 1e9])
def test_garbage_under_a_mask_stays_out_even_where_the_memory_holds_it(garbage: float) -> None:
    decoder, memory = build().decoder, torch.randn(1, 3, 6, dtype=torch.float64)
    real = torch.tensor([[True, False, True]])
    words = torch.tensor([[decoder.start, 4]])
    spoilt = memory.masked_fill(~real[..., None], garbage)
    torch.testing.assert_close(decoder(words, spoilt, real), decoder(words, memory[:, ::2]))


def test_an_encoder_without_tokens_gives_a_memory_of_one() -> None:
    model = build(Vector())
    x = {"image": torch.randn(3, 4, dtype=torch.float64)}
    memory, real = model.look(x)
    torch.testing.assert_close(memory, model.encoder(x["image"])[:, None])
    assert real.tolist() == [[True]] * 3
    mask = {"image": torch.tensor([[True], [False], [True]])}
    torch.testing.assert_close(model.look(x, mask)[0][1, 0], model.encoder.map.bias)
    assert model(x, CAPTIONS).shape == (3, 5, WORDS + 1)


def test_the_width_of_tokens_is_asked_of_the_encoder() -> None:
    encoder = Patches(6)
    encoder.dim, encoder.token_dim = 99, 6
    assert build(encoder).decoder.memory.in_features == 6
    with pytest.raises(ValueError, match=r"encoder must say how wide its output is, in an attribute `dim`"):
        Captioner(nn.Linear(4, 6), WORDS)


def test_another_modality_can_be_put_into_words() -> None:
    model, x = build(modality="audio"), pictures()
    torch.testing.assert_close(model({"audio": x["image"]}, CAPTIONS), build()(x, CAPTIONS))
    with pytest.raises(ValueError, match=r"modality 'audio' is missing: got \['image'\]"):
        model(x, CAPTIONS)


def test_attention_to_the_memory_can_be_looked_at() -> None:
    model, x = build(layers=3), pictures()
    masks = {"image": torch.arange(5) < torch.tensor([5, 2, 3])[:, None]}
    weights: list[Tensor] = []
    out = model(x, CAPTIONS, masks=masks, keep=weights)
    torch.testing.assert_close(out, model(x, CAPTIONS, masks=masks))
    assert [tuple(w.shape) for w in weights] == [(3, 2, 5, 5)] * 3
    torch.testing.assert_close(weights[0].sum(-1), torch.ones(3, 2, 5, dtype=torch.float64))
    assert (weights[1][1, ..., 2:] == 0).all()


def test_batch_of_one_and_batch_order() -> None:
    model, x = build(), pictures()
    out = model(x, CAPTIONS)
    torch.testing.assert_close(model({"image": x["image"][:1]}, CAPTIONS[:1]), out[:1])
    torch.testing.assert_close(model({"image": x["image"].flip(0)}, CAPTIONS.flip(0)), out.flip(0))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_precisions_compile_and_vmap() -> None:
    model, x = build(), pictures()
    out = model(x, CAPTIONS)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, CAPTIONS), out)
    seeds = [build(seed=s) for s in range(2)]
    stacked, _ = torch.func.stack_module_state(seeds)
    together = torch.func.vmap(lambda p: torch.func.functional_call(model, p, (x, CAPTIONS)))(stacked)
    torch.testing.assert_close(together, torch.stack([m(x, CAPTIONS) for m in seeds]))
    model.float()
    low = {"image": x["image"].float()}
    torch.testing.assert_close(model(low, CAPTIONS), out.float(), atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (model(low, CAPTIONS).float() - out).norm() < 0.1 * out.norm()


# Writing


def test_it_learns_to_name_what_it_sees_and_writes_it() -> None:
    torch.manual_seed(0)
    x = torch.eye(4)[:, None].repeat(4, 1, 1)  # four pictures of one patch, each four times
    captions = torch.tensor([[1, 2, 3], [4, 0, 0], [5, 5, 0], [2, 1, 4]]).repeat(4, 1)
    model = Captioner(Patches(16), WORDS, width=32, layers=1)
    batch = Batch({"image": x}, {"caption": captions})
    fit(model, batch, loss=teacher_forcing(), steps=120, batch_size=16, lr=5e-3, precision="fp32", progress=False)
    for width in (1, 3):
        assert torch.equal(model.caption({"image": x[:4]}, max_length=5, width=width)[:, :3], captions[:4])
        assert model.caption({"image": x[:4]}, max_length=5, width=width)[:, 3:].sum() == 0


@pytest.mark.parametrize("width", [1, 2])
def test_captions_have_the_asked_length_and_hold_words_only(width: int) -> None:
    for seed in range(4):
        ids = build(seed=seed).caption(pictures(), max_length=6, width=width)
        assert ids.shape == (3, 6) and ids.dtype == torch.long
        assert ((ids >= 0) & (ids < WORDS)).all()
        ended = (ids == 0).cumsum(1) > 0
        assert (ids[ended] == 0).all()  # after the first 0 there are only zeros: padding is never written as a word


def test_captions_follow_masks_and_presence() -> None:
    model, x = build(seed=2), pictures()
    masks = {"image": torch.arange(5) < torch.tensor([5, 2, 1])[:, None]}
    spoilt = {"image": x["image"].masked_fill(~masks["image"][..., None], math.nan)}
    present = {"image": torch.tensor([False, True, True])}
    for width in (1, 3):
        a = model.caption(spoilt, masks=masks, present=present, max_length=4, width=width)
        b = model.caption(x, masks=masks, present=present, max_length=4, width=width)
        assert torch.equal(a, b)


def test_a_wide_beam_writes_the_likelier_caption() -> None:
    def log_p(model: Captioner, x: dict[str, Tensor], ids: Tensor) -> Tensor:
        targets = caption_targets(ids, WORDS)
        logits = model(x, ids)
        logits[..., 0] = -math.inf
        return -caption_loss(logits, targets, reduction="none")

    better = 0
    for seed in range(6):
        model, x = build(seed=seed), pictures()
        one, many = (model.caption(x, max_length=4, width=w) for w in (1, 8))
        finished = ((one == 0).any(1)) & ((many == 0).any(1))
        assert (log_p(model, x, many)[finished] >= log_p(model, x, one)[finished] - 1e-6).all()
        better += int((one != many).any())
    assert better > 0


def test_length_penalty_reaches_the_beam() -> None:
    lengths = {}
    for penalty in (0.0, 3.0):
        ids = [build(seed=s).caption(pictures(), max_length=6, width=6, length_penalty=penalty) for s in range(5)]
        lengths[penalty] = sum(int((i != 0).sum()) for i in ids)
    assert lengths[3.0] > lengths[0.0]


def test_wrong_inputs_are_named() -> None:
    model, x = build(), pictures()
    with pytest.raises(ValueError, match=r"captions must have shape \(3, L\), got \(2, 4\)"):
        model(x, CAPTIONS[:2])
    with pytest.raises(ValueError, match="width must be above 0, got 0"):
        model.caption(x, width=0)
    decoder, words = model.decoder, torch.tensor([[10, 3]])
    with pytest.raises(ValueError, match=r"words must have shape \(B, L\), got \(2,\)"):
        decoder(words[0], torch.zeros(1, 2, 6))
    with pytest.raises(ValueError, match=r"memory must have shape \(1, S, 6\), got \(1, 2, 5\)"):
        decoder(words, torch.zeros(1, 2, 5))
    for name in ("vocabulary", "memory_dim", "layers"):
        with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
            CaptionDecoder(**{"vocabulary": 5, "memory_dim": 4, "layers": 1, name: 0})
    with pytest.raises(ValueError, match="dropout must be between 0 and 1, got -1"):
        CaptionDecoder(5, 4, dropout=-1)


def test_defaults_are_the_documented_ones() -> None:
    model = Captioner(Patches(), WORDS)
    assert model.modality == "image" and len(model.decoder.layers) == 2
    assert model.decoder.embedding.weight.shape == (WORDS + 2, 128)
    assert model.decoder.layers[0].look_up.heads == 4
    assert all(m.p == 0 for m in model.modules() if isinstance(m, nn.Dropout))
    noisy = Captioner(Patches(), WORDS, dropout=0.5)
    x = {"image": torch.randn(1, 2, 4)}
    assert not torch.equal(noisy(x, CAPTIONS[:1]), noisy(x, CAPTIONS[:1]))
    assert model.caption(x).shape == (1, 20)
