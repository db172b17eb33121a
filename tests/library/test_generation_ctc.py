"""CTC: the loss, both decoders and forced alignment against every alignment there is, and the recogniser."""

from __future__ import annotations

import itertools
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
    CTCRecogniser,
    collapse,
    ctc_greedy,
    ctc_loss,
    forced_alignment,
    frames_needed,
    prefix_beam_search,
    transcribe,
)
from mmteach.training import fit

VECTORS = np.load(Path(__file__).parent / "vectors" / "generation.npz")
TOLERANCE = {torch.float64: {"atol": 1e-9, "rtol": 1e-9}, torch.float32: {"atol": 1e-5, "rtol": 1e-4}}
both_precisions = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])


def vector(key: str, dtype: torch.dtype = torch.float64) -> Tensor:
    found = torch.from_numpy(VECTORS[key])
    return found.to(dtype) if found.is_floating_point() else found


def frames(seed: int, t: int = 4, v: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(t, v, generator=generator, dtype=torch.float64).mul(2).log_softmax(-1)


def every_alignment(log_probs: Tensor) -> dict[tuple[int, ...], list[tuple[float, tuple[int, ...]]]]:
    """All Vᵀ alignments, by what they say: labels → [(log p, alignment), …]."""
    found: dict[tuple[int, ...], list] = {}
    for alignment in itertools.product(range(log_probs.shape[1]), repeat=log_probs.shape[0]):
        log_p = sum(log_probs[t, k].item() for t, k in enumerate(alignment))
        found.setdefault(tuple(collapse(alignment)), []).append((log_p, alignment))
    return found


def total(alignments: list) -> float:
    return math.log(sum(math.exp(p) for p, _ in alignments))


# The loss


@both_precisions
def test_loss_gives_the_published_numbers(dtype: torch.dtype) -> None:
    log_probs = vector("ctc/input/log_probs", dtype).transpose(0, 1).requires_grad_()
    targets, inputs, lengths = (vector(f"ctc/input/{k}") for k in ("targets", "input_lengths", "target_lengths"))
    for reduction, key in (("none", "per_sample"), ("mean", "mean"), ("sum", "sum")):
        loss = ctc_loss(log_probs, targets, inputs, lengths, reduction=reduction)
        torch.testing.assert_close(loss, vector(f"ctc/output/{key}", dtype), **TOLERANCE[dtype])
    torch.testing.assert_close(ctc_loss(log_probs, targets, inputs, lengths), vector("ctc/output/mean", dtype))
    loss.backward()
    torch.testing.assert_close(
        log_probs.grad.transpose(0, 1), vector("ctc/output/d_log_probs", dtype), **TOLERANCE[dtype]
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_loss_sums_over_every_alignment(seed: int) -> None:
    log_probs = frames(seed)
    for labels, alignments in every_alignment(log_probs).items():
        if labels:
            loss = ctc_loss(log_probs[None], torch.tensor([labels]), reduction="sum")
            assert loss.item() == pytest.approx(-total(alignments))


def test_lengths_default_to_all_frames_and_all_labels_that_are_not_padding() -> None:
    log_probs, targets = torch.stack([frames(0), frames(1)]), torch.tensor([[1, 2, 0], [2, 0, 0]])
    given_ = ctc_loss(log_probs, targets, torch.tensor([4, 4]), torch.tensor([2, 1]))
    torch.testing.assert_close(ctc_loss(log_probs, targets), given_)
    shorter = ctc_loss(log_probs, targets, torch.tensor([4, 3]), reduction="none")
    torch.testing.assert_close(shorter[1:], ctc_loss(log_probs[1:, :3], targets[1:], reduction="none"))


def test_an_impossible_target_is_refused_or_counts_zero() -> None:
    log_probs, targets = vector("ctc_impossible/input/log_probs").transpose(0, 1), torch.tensor([[1, 1]])
    assert torch.equal(targets, vector("ctc_impossible/input/targets"))
    assert (
        ctc_loss(log_probs, targets, impossible="zero").item() == vector("ctc_impossible/output/zero_infinity").item()
    )
    expected = (
        r"targets\[0\] has 2 labels and 1 of them repeat the one before \(a blank must stand between\), "
        r"which needs 3 frames, got 2: give the model more frames a second, .* or pass impossible=\"zero\""
    )
    with pytest.raises(ValueError, match=expected):
        ctc_loss(log_probs, targets)
    assert ctc_loss(log_probs, torch.tensor([[1, 2]])).isfinite()


def test_an_impossible_example_is_named_among_others() -> None:
    log_probs, targets = torch.stack([frames(0), frames(1)]), torch.tensor([[1, 2, 1, 2], [2, 2, 1, 1]])
    with pytest.raises(ValueError, match=r"targets\[1\] has 4 labels and 2 of them repeat .* needs 6 frames, got 4"):
        ctc_loss(log_probs, targets)
    with pytest.raises(ValueError, match=r"targets\[0\] has 4 labels and 0 of them repeat .* needs 4 frames, got 3"):
        ctc_loss(log_probs, targets, torch.tensor([3, 4]))
    zero = ctc_loss(log_probs, targets, impossible="zero", reduction="none")
    assert zero[1] == 0 and zero[0] > 0


def test_frames_needed_is_the_shortest_input_with_an_alignment() -> None:
    for labels in ([1], [1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 1]):
        needed = int(frames_needed(torch.tensor([labels]), torch.tensor([len(labels)])))
        assert tuple(labels) in every_alignment(frames(0, t=needed))
        assert tuple(labels) not in every_alignment(frames(0, t=needed - 1))
    padded = torch.tensor([[1, 1, 0, 0], [1, 2, 2, 2]])
    assert frames_needed(padded, torch.tensor([2, 4])).tolist() == [3, 6]
    assert frames_needed(padded, torch.tensor([0, 3])).tolist() == [0, 4]  # equal labels beyond the end do not count


def test_loss_accepts_low_precision() -> None:
    log_probs = frames(0).float()[None]
    loss = ctc_loss(log_probs.bfloat16(), torch.tensor([[1, 2]]))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, ctc_loss(log_probs, torch.tensor([[1, 2]])), rtol=0.02, atol=0.02)


def test_wrong_inputs_of_the_loss_are_named() -> None:
    log_probs, targets = torch.stack([frames(0), frames(1)]), torch.tensor([[1, 2], [2, 1]])
    two = torch.tensor([2, 2])
    for wrong, message in (
        ({"log_probs": log_probs[0]}, r"log_probs must have shape \(B, T, V\), got \(4, 3\)"),
        ({"targets": targets[:1]}, r"targets must have shape \(2, L\), got \(1, 2\)"),
        ({"input_lengths": two[:1]}, r"input_lengths must have shape \(2,\), got \(1,\)"),
        ({"target_lengths": two[:1]}, r"target_lengths must have shape \(2,\), got \(1,\)"),
        ({"input_lengths": torch.tensor([5, 4])}, r"input_lengths must be between 0 and T = 4, got \[5, 4\]"),
        ({"input_lengths": torch.tensor([-1, 4])}, r"input_lengths must be between 0 and T = 4, got \[-1, 4\]"),
        ({"target_lengths": torch.tensor([2, 3])}, r"target_lengths must be between 0 and L = 2, got \[2, 3\]"),
        ({"target_lengths": torch.tensor([-1, 2])}, r"target_lengths must be between 0 and L = 2, got \[-1, 2\]"),
        (
            {"targets": torch.tensor([[1, 2], [1, 3]])},
            r"targets must hold labels from 1 to 2 \(0 is the blank\), got 3 in example 1, place 1",
        ),
        ({"targets": torch.tensor([[1, -1], [1, 2]])}, "got -1 in example 0, place 1"),
        ({"targets": torch.tensor([[1, 2], [0, 2]]), "target_lengths": two}, "got 0 in example 1, place 0"),
        ({"reduction": "median"}, "reduction must be one of 'mean', 'sum', 'none', got 'median'"),
        ({"impossible": "ignore"}, "impossible must be one of 'raise', 'zero', got 'ignore'"),
    ):
        with pytest.raises(ValueError, match=message):
            ctc_loss(**{"log_probs": log_probs, "targets": targets, **wrong})
    with pytest.raises(TypeError, match=r"log_probs must hold floating-point numbers, got torch.int64"):
        ctc_loss(log_probs.long(), targets)


# Decoding


def test_collapse_merges_repeats_before_it_drops_blanks() -> None:
    assert collapse([1, 1, 0, 1, 2, 2, 0, 0]) == [1, 1, 2]
    assert collapse([0, 0]) == [] and collapse([]) == []


def test_greedy_collapses_the_likeliest_alignment_of_each_example() -> None:
    log_probs = torch.stack([frames(s, t=5) for s in range(4)])
    for p, labels in zip(log_probs, ctc_greedy(log_probs)):
        best = max((a for group in every_alignment(p).values() for a in group), key=lambda a: a[0])
        assert labels == collapse(best[1])
    assert ctc_greedy(log_probs, torch.tensor([5, 2, 0, 1]))[1:3] == [ctc_greedy(log_probs[1:2, :2])[0], []]
    with pytest.raises(ValueError, match=r"log_probs must have shape \(B, T, V\), got \(5, 3\)"):
        ctc_greedy(log_probs[0])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_wide_prefix_beam_gives_every_label_sequence_its_whole_probability(seed: int) -> None:
    log_probs = frames(seed)
    truth = {labels: total(alignments) for labels, alignments in every_alignment(log_probs).items()}
    found = prefix_beam_search(log_probs, width=1000)
    assert {tuple(labels): p for labels, p in found} == pytest.approx(truth)
    assert [p for _, p in found] == pytest.approx(sorted(truth.values(), reverse=True))
    assert sum(math.exp(p) for _, p in found) == pytest.approx(1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_language_model_adds_its_opinion_of_every_label_once(seed: int) -> None:
    log_probs = frames(seed)

    def language(prefix: tuple[int, ...]) -> float:
        return -0.7 * prefix[-1] - 0.3 * len(prefix)

    truth = {
        labels: total(alignments) + sum(language(labels[: n + 1]) for n in range(len(labels)))
        for labels, alignments in every_alignment(log_probs).items()
    }
    found = prefix_beam_search(log_probs, width=1000, language=language)
    assert {tuple(labels): p for labels, p in found} == pytest.approx(truth)


def test_a_narrow_prefix_beam_never_promises_more_than_there_is() -> None:
    for seed in range(5):
        log_probs = frames(seed, t=5)
        truth = {labels: total(alignments) for labels, alignments in every_alignment(log_probs).items()}
        for width in (1, 2, 3):
            found = prefix_beam_search(log_probs, width=width)
            assert 1 <= len(found) <= width
            assert all(p <= truth[tuple(labels)] + 1e-9 for labels, p in found)
    assert len(prefix_beam_search(frames(0, t=6, v=4))) == 10  # the default width


def test_prefix_beam_finds_what_greedy_walks_past() -> None:
    log_probs = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()
    assert ctc_greedy(log_probs[None]) == [[]]
    assert prefix_beam_search(log_probs)[0][0] == [1]


def test_least_skips_unlikely_labels_but_never_all_of_a_frame() -> None:
    p = torch.tensor([[0.5, 0.4, 0.1], [0.4, 0.35, 0.25]], dtype=torch.float64)
    found = {tuple(labels) for labels, _ in prefix_beam_search(p.log(), 100, least=math.log(0.3))}
    assert found == {(), (1,)}  # label 2 is never tried, and 1 1 needs three frames
    assert [labels for labels, _ in prefix_beam_search(p.log(), 100, least=0.0)] == [[]]  # only the best of each frame
    certain = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).log()
    assert prefix_beam_search(certain) == [([1], 0.0)]  # what cannot be takes no place


def test_wrong_inputs_of_the_prefix_beam_are_named() -> None:
    with pytest.raises(ValueError, match=r"log_probs must have shape \(T, V\), got \(1, 4, 3\)"):
        prefix_beam_search(frames(0)[None])
    with pytest.raises(ValueError, match="width must be above 0, got 0"):
        prefix_beam_search(frames(0), 0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_forced_alignment_is_the_likeliest_that_says_the_labels(seed: int) -> None:
    log_probs = frames(seed, t=5)
    for labels, alignments in every_alignment(log_probs).items():
        best_p, best = max(alignments)
        path, log_p = forced_alignment(log_probs, labels)
        assert log_p == pytest.approx(best_p)
        assert tuple(path) == best


def test_forced_alignment_refuses_what_cannot_be_said() -> None:
    with pytest.raises(ValueError, match=r"targets\[0\] has 3 labels and 2 of them repeat .* needs 5 frames, got 4"):
        forced_alignment(frames(0), [1, 1, 1])
    with pytest.raises(ValueError, match=r"labels from 1 to 2 \(0 is the blank\), got 3 in example 0, place 1"):
        forced_alignment(frames(0), [1, 3])
    with pytest.raises(ValueError, match=r"log_probs must have shape \(T, V\), got \(1, 4, 3\)"):
        forced_alignment(frames(0)[None], [1])


# The recogniser

both_bodies = pytest.mark.parametrize("body", ["gru", "conv"])


def build(body: str, seed: int = 0, **more) -> CTCRecogniser:
    torch.manual_seed(seed)
    settings_ = {"width": 8, "layers": 2, **more}
    model = CTCRecogniser(6, 5, body=body, **settings_).double()
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    return model


def speech(batch: int = 3, t: int = 11) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {"audio": torch.randn(batch, 1, 6, t, generator=generator, dtype=torch.float64)}


def real(*n: int, t: int = 11) -> dict[str, Tensor]:
    return {"audio": torch.arange(t) < torch.tensor(n)[:, None]}


@both_bodies
@pytest.mark.parametrize(("stride", "expected"), [(1, 11), (2, 6), (3, 4)])
def test_output_is_log_probabilities_at_the_slower_rate(body: str, stride: int, expected: int) -> None:
    model = build(body, stride=stride)
    out = model(speech())
    assert out.shape == (3, expected, 5)
    torch.testing.assert_close(out.exp().sum(-1), torch.ones(3, expected, dtype=torch.float64))
    assert model.lengths(speech()).tolist() == [expected] * 3
    # an example of n frames has ⌈n / stride⌉ of them
    lengths = model.lengths(speech(), real(11, 4, 0))
    assert lengths.tolist() == [math.ceil(n / stride) for n in (11, 4, 0)]


@both_bodies
@pytest.mark.parametrize("garbage", [0.0, 1e9, math.nan])
def test_padding_never_changes_the_answer_and_says_blank(body: str, garbage: float) -> None:
    model, x, masks = build(body), speech(), real(11, 5, 0)
    spoilt = {"audio": x["audio"].masked_fill(~masks["audio"][:, None, None], garbage)}
    out = model(spoilt, masks)
    torch.testing.assert_close(out, model(x, masks))
    torch.testing.assert_close(out[1:2, :3], model({"audio": x["audio"][1:2, ..., :5]}))
    for silent in (out[1, 3:], out[2]):
        assert (silent[:, 0] == 0).all() and (silent[:, 1:] < -1000).all()
    present = {"audio": torch.tensor([True, True, False])}
    gone = model(spoilt | {"audio": spoilt["audio"].nan_to_num()}, None, present)
    assert (gone[2, :, 0] == 0).all() and model.lengths(x, None, present).tolist() == [6, 6, 0]
    torch.testing.assert_close(gone[:1], model(x)[:1])


@both_bodies
def test_gradient_reaches_every_parameter_and_stays_finite(body: str) -> None:
    model, masks = build(body), real(11, 7, 5)
    spoilt = {"audio": speech()["audio"].masked_fill(~masks["audio"][:, None, None], math.nan)}
    batch = Batch(spoilt, {"text": torch.tensor([[1, 2, 3], [4, 1, 0], [2, 0, 0]])}, masks)
    transcribe()(model, batch).backward()
    for name, p in model.named_parameters():
        assert p.grad.isfinite().all() and p.grad.abs().sum() > 0, name


def test_parameter_counts_follow_the_formulas() -> None:
    w, front = 8, (6 * 5 * 8 + 8) + 2 * 8
    gru = 2 * (3 * (w // 2) * (w + w // 2) + 2 * 3 * (w // 2))  # both directions of one layer, its input w wide
    conv = (w * w * 5 + w) + 2 * w
    for body, layer in (("gru", gru), ("conv", conv)):
        assert sum(p.numel() for p in build(body).parameters()) == front + 2 * layer + (w * 5 + 5)


@both_bodies
def test_transcribe_is_the_ctc_loss_at_the_models_lengths(body: str) -> None:
    model, masks = build(body), real(11, 7, 5)
    text = torch.tensor([[1, 2, 3], [4, 1, 0], [2, 0, 0]])
    out = model(speech(), masks)
    expected = ctc_loss(out, text, torch.tensor([6, 4, 3]), torch.tensor([3, 2, 1]))
    torch.testing.assert_close(transcribe()(model, Batch(speech(), {"text": text}, masks)), expected)
    short = Batch(speech(), {"words": text}, real(11, 2, 5))
    with pytest.raises(ValueError, match=r"targets\[1\] has 2 labels .* needs 2 frames, got 1"):
        transcribe("words")(model, short)
    assert transcribe("words", impossible="zero")(model, short).isfinite()


@both_bodies
def test_batch_of_one_order_and_precisions(body: str) -> None:
    model, x, masks = build(body), speech(), real(11, 4, 8)
    out = model(x, masks)
    torch.testing.assert_close(model({"audio": x["audio"][:1]}), out[:1])
    flipped = model({"audio": x["audio"].flip(0)}, {"audio": masks["audio"].flip(0)})
    torch.testing.assert_close(flipped, out.flip(0))
    model.float()
    low = {"audio": x["audio"].float()}
    torch.testing.assert_close(model(low, masks), out.float(), atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(low, masks)
    assert (rough.float()[0] - out[0]).abs().max() < 0.2


def test_the_convolutional_body_compiles_and_vmaps() -> None:
    torch._dynamo.reset()
    model, x, masks = build("conv"), speech(), real(11, 4, 0)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, masks), model(x, masks))
    seeds = [build("conv", seed=s) for s in range(3)]
    stacked, _ = torch.func.stack_module_state(seeds)
    together = torch.func.vmap(lambda p: torch.func.functional_call(model, p, (x, masks)))(stacked)
    torch.testing.assert_close(together, torch.stack([m(x, masks) for m in seeds]))


def test_the_convolutional_body_looks_twice_as_far_each_layer() -> None:
    model = build("conv", layers=3)
    model.norm = nn.Identity()
    assert [c.dilation for c in model.body.convs] == [(1,), (2,), (4,)]
    x = speech(1, 81)
    x["audio"].requires_grad_()
    model(x)[0, 20].sum().backward()
    (seen,) = x["audio"].grad[0, 0].abs().sum(0).nonzero(as_tuple=True)
    reach = 2 + 2 * 2 * (1 + 2 + 4)  # in input frames: 2 of the front, 2 · dilation of each layer, twice for the stride
    assert (seen.min().item(), seen.max().item()) == (40 - reach, 40 + reach)


@both_bodies
def test_it_learns_a_small_alphabet_and_writes_it(body: str) -> None:
    torch.manual_seed(0)
    text = torch.tensor([[1, 2, 3], [4, 4, 0], [3, 1, 0], [2, 4, 1]])
    audio = torch.zeros(4, 1, 6, 24)
    for i, labels in enumerate(text.tolist()):
        for n, label in enumerate(labels):
            audio[i, 0, label, 6 * n + 1 : 6 * n + 4] = 1.0  # each label sounds for three frames, then silence
    batch = Batch({"audio": audio}, {"text": text})
    model = CTCRecogniser(6, 5, body=body, width=32, layers=1)
    fit(model, batch, loss=transcribe(), steps=150, batch_size=4, lr=1e-2, precision="fp32", progress=False)
    wanted = [[k for k in labels if k] for labels in text.tolist()]
    assert model.write(batch.inputs) == wanted
    assert model.write(batch.inputs, width=5) == wanted
    masks = {"audio": torch.arange(24) < torch.tensor([24, 24, 24, 0])[:, None]}
    for width in (1, 5):
        assert model.write(batch.inputs, masks=masks, width=width) == [*wanted[:3], []]
        present = {"audio": torch.tensor([True, False, True, True])}
        assert model.write(batch.inputs, present=present, width=width)[1] == []


def test_wrong_inputs_of_the_recogniser_are_named() -> None:
    model, x = build("gru"), speech()
    with pytest.raises(ValueError, match=r"modality 'audio' is missing: got \['image'\]"):
        model({"image": x["audio"]})
    with pytest.raises(ValueError, match=r"inputs\['audio'\] must have shape \(B, 1, 6, T\), got \(3, 1, 5, 11\)"):
        model({"audio": x["audio"][:, :, :5]})
    with pytest.raises(TypeError, match=r"inputs\['audio'\] must hold floating-point numbers"):
        model({"audio": x["audio"].long()})
    with pytest.raises(
        ValueError, match=r"masks\['audio'\] must be bool with shape \(3, 11\).* got torch.bool with shape \(3, 4\)"
    ):
        model(x, real(1, 2, 3, t=4))
    with pytest.raises(ValueError, match="width must be above 0, got 0"):
        model.write(x, width=0)
    for name in ("mels", "vocabulary", "width", "layers", "stride"):
        with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
            CTCRecogniser(**{"mels": 6, "vocabulary": 5, name: 0})
    with pytest.raises(ValueError, match="body must be one of 'gru', 'conv', got 'lstm'"):
        CTCRecogniser(6, 5, body="lstm")
    with pytest.raises(ValueError, match="dropout must be between 0 and 1, got 2"):
        CTCRecogniser(6, 5, dropout=2)
    with pytest.raises(ValueError, match=r"width must be even \(half forwards, half backwards\), got 7"):
        CTCRecogniser(6, 5, width=7)


def test_defaults_are_the_documented_ones() -> None:
    model = CTCRecogniser(40, 28)
    assert model.stride == 2 and model.modality == "audio" and model.dropout.p == 0
    gru = model.body.gru
    assert (gru.hidden_size, gru.num_layers, gru.bidirectional, gru.dropout) == (64, 2, True, 0)
    assert CTCRecogniser(40, 28, dropout=0.3).body.gru.dropout == 0.3
    assert CTCRecogniser(40, 28, layers=1, dropout=0.3).body.gru.dropout == 0  # torch has none after the last layer
    other = build("gru", modality="speech")
    torch.testing.assert_close(other({"speech": speech()["audio"]}), build("gru")(speech()))
    for body in ("gru", "conv"):
        noisy = build(body, dropout=0.5)
        assert not torch.equal(noisy(speech()), noisy(speech()))
