"""Chapter 07: pairs are wrong as often as they say, only text binds, pairs are blind to parity, two processes agree."""

import math

import pytest
import torch
from torch.testing import assert_close

from mmteach.alignment import clip_loss
from mmteach.data.batch import Batch
from mmteach.recipes import outlook_binding as binding
from mmteach.recipes import outlook_little as little
from mmteach.recipes import outlook_order as order
from mmteach.recipes import outlook_pairs as pairing
from mmteach.recipes import outlook_size as size
from mmteach.recipes import outlook_speed as speed
from mmteach.recipes import stored
from mmteach.recipes.crossmodal_search import Pieces


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setenv("MMTEACH_SCALE", "smoke")
    monkeypatch.setenv("MMTEACH_PROGRESS", "off")


# -- bound through text ------------------------------------------------------------------------------------------------


def collections(n=12):
    torch.manual_seed(0)
    seen = Batch({"image": torch.randint(0, 256, (n, 3, 3, 32, 32)).byte(), "text": torch.randint(2, 9, (n, 2, 4))})
    said = Batch(
        {"text": torch.randint(2, 9, (30, 4)), "audio": torch.randn(30, 1, 40, binding.FRAMES)},
        masks={"audio": torch.ones(30, binding.FRAMES, dtype=torch.bool)},
    )
    return seen, said


def test_every_term_of_the_loss_has_text_on_one_side():
    seen, said = collections()
    model = binding.bound_model(Pieces([str(i) for i in range(7)]))
    drawn, words = binding.seen_and_read(seen), binding.spelled_and_heard(said[:12])
    assert drawn.inputs["image"].shape == (12, 3, 32, 32) and set(words.inputs) == {"spelled", "audio"}
    batch = Batch({**drawn.inputs, **words.inputs}, masks=words.masks)
    image, audio = (
        model.encode("image", drawn.inputs["image"]),
        model.encode("audio", words.inputs["audio"], words.masks["audio"]),
    )
    read, spelled = (model.encode("text", x, x != 0) for x in (drawn.inputs["text"], words.inputs["spelled"]))
    edges = clip_loss(image, read, model.scale()) + clip_loss(audio, spelled, model.scale())
    assert_close(binding.through_text(model, batch), edges)


def test_two_modalities_meet_in_texts_even_where_they_share_no_direction():
    text = torch.nn.functional.normalize(torch.cat([torch.eye(3), torch.eye(3)], 1), dim=1)  # two halves of the space
    image, audio = torch.cat([torch.eye(3), torch.zeros(3, 3)], 1), torch.cat([torch.zeros(3, 3), torch.eye(3)], 1)
    assert (image @ audio.T == 0).all()
    score = binding.meeting(image, audio, text, 10.0)
    assert torch.equal(score.argmax(1), torch.arange(3)) and score.max() <= 1 + 1e-6
    p = (10.0 * image @ text.T).softmax(1)
    assert_close(score[0, 1], (p[0] * p[1]).sqrt().sum())


def test_concepts_that_are_asked_for_are_in_no_training_pair():
    seen = {binding.name_of(i) for i in binding.numbers_in("train")}
    for part in ("valid", "test"):
        assert not seen & {binding.name_of(i) for i in binding.asked(part)}
    assert binding.asked("test") == binding.asked("test")


def test_a_sound_is_cut_at_its_longest_and_its_silence_is_masked():
    sound, real = binding.heard([torch.randn(4000), torch.randn(40_000)])
    assert sound.shape == (2, 1, 40, binding.FRAMES) and real.shape == (2, binding.FRAMES)
    assert real[1].all() and real[0].float().mean().item() == pytest.approx(4000 / 16_000, abs=0.05)
    assert (sound[0, 0, :, ~real[0]] == 0).all()


def test_edges_count_both_ways_of_each_pair():
    eye = torch.eye(20)
    found = binding.edges({"image": eye, "text": eye, "audio": eye.roll(1, 0)}, eye, 10.0)
    assert found["image → text, R@1"] == found["text → image, R@1"] == 1
    assert found["image → audio, R@1"] == found["image → audio by text, R@1"] == 0
    assert found["text ↔ audio, cosine"] == 0 and found["image ↔ text, cosine"] == 1 and len(found) == 12 + 4 + 3


# -- what no pair shows ------------------------------------------------------------------------------------------------


def test_bits_by_order_are_those_of_the_closed_forms():
    assert order.bits_by_order(order.three_coins("one of them")) == [1, 1, 1]
    assert order.bits_by_order(order.three_coins("XOR of two")) == [0, 1, 1]
    assert order.bits_by_order(order.three_coins("parity of three")) == [0, 0, 1]
    one = 1 + 0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)  # y agrees with each coin three times in four
    assert order.bits_by_order(order.three_coins("majority")) == pytest.approx([one, 0.5, 1])


def test_a_sum_over_pairs_has_no_part_that_needs_all_three():
    torch.manual_seed(0)
    model = order.Pairs()
    signs = torch.cartesian_prod(*[torch.tensor([0, 1])] * 3)
    x = {m: torch.nn.functional.one_hot(signs[:, i], 2).float() for i, m in enumerate(order.INPUTS)}
    parity = (1 - 2 * signs).prod(1)
    assert (model(x) * parity[:, None]).sum(0).abs().max() < 1e-5  # its component along parity
    assert (order.Triple()(x) * parity[:, None]).sum(0).abs().max() > 1e-3


def test_both_networks_have_as_many_parameters_within_two_in_a_hundred():
    pairs, triple = (sum(p.numel() for p in make().parameters()) for make in (order.Pairs, order.Triple))
    assert abs(pairs - triple) < 0.02 * pairs


# -- wrong pairs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_so_many_pairs_are_wrong_and_nothing_is_lost(share):
    batch = Batch(
        {"image": torch.arange(200), "text": torch.arange(200)}, {"label": torch.arange(200)},
        {"text": torch.arange(200)[:, None] % 2 == 0},
    )  # fmt: skip
    wrong = pairing.shuffled(batch, "text", share, seed=3)
    text = wrong.inputs["text"]
    assert (text != torch.arange(200)).float().mean().item() == pytest.approx(share)
    assert torch.equal(text.sort().values, torch.arange(200))  # each text is still there, once
    assert torch.equal(wrong.masks["text"][:, 0], text % 2 == 0)  # its mask came along
    assert wrong.inputs["image"] is batch.inputs["image"] and wrong.targets["label"] is batch.targets["label"]
    assert torch.equal(text, pairing.shuffled(batch, "text", share, seed=3).inputs["text"])
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        pairing.shuffled(batch, "text", 1.2, seed=0)


def test_the_generalised_loss_is_info_nce_at_q_0_and_weighs_each_pair_by_p_to_the_q():
    torch.manual_seed(0)
    image, text = torch.nn.functional.normalize(torch.randn(2, 6, 4, dtype=torch.float64), dim=-1)
    assert_close(pairing.generalised(image, text, 5.0, q=1e-6), clip_loss(image, text, 5.0), atol=1e-4, rtol=0)
    p = (5.0 * image @ text.T).softmax(1).diagonal(), (5.0 * text @ image.T).softmax(1).diagonal()
    by_hand = sum(((1 - one**0.5) / 0.5).mean() for one in p) / 2
    assert_close(pairing.generalised(image, text, 5.0), by_hand)
    with pytest.raises(ValueError, match="q must be"):
        pairing.generalised(image, text, 5.0, q=0)


def test_trimming_leaves_out_the_pairs_of_largest_loss():
    eye = torch.eye(4)
    text = eye[[0, 1, 3, 2]]  # the last two are swapped
    assert_close(
        pairing.trimmed(eye, text, 5.0), clip_loss(eye, text, 5.0, mask=torch.tensor([True, True, False, False]))
    )
    assert_close(pairing.trimmed(eye, text, 5.0, kept=1.0), clip_loss(eye, text, 5.0))


# -- little data, sizes, speed -----------------------------------------------------------------------------------------


def test_few_of_each_are_as_many_of_each_digit():
    batch = Batch({"audio": torch.arange(400)}, {"digit": torch.arange(400) % 10})
    few = little.few_of_each(batch, 30, seed=1)
    assert few.targets["digit"].bincount().tolist() == [3] * 10
    assert not torch.equal(few.inputs["audio"], little.few_of_each(batch, 30, seed=2).inputs["audio"])


def test_masks_wipe_out_a_band_and_a_stretch_and_move_the_rest():
    torch.manual_seed(0)
    sounds = torch.arange(1.0, 2001).view(1, 1, 40, 50).repeat(64, 1, 1, 1)
    wiped = little.varied(sounds)
    zero = wiped == 0
    assert zero.any() and zero.float().mean() < 0.4 and not torch.equal(wiped[0], wiped[1])
    kept = wiped[~zero]
    assert torch.isin(kept, sounds[0]).all()
    assert (zero[:, 0].all(2).sum(1) <= 8).all() and (zero[:, 0].all(1).sum(1) <= 10).all()


def test_transfer_begins_with_the_pretrained_ear_and_nothing_else_does(monkeypatch):
    begun = {}
    encoder = little.Listener().encoder

    def spy(model, train, **settings):
        begun[way] = model.encoder.project.weight.clone(), settings["augment"] is not None, sorted(train.targets)

    monkeypatch.setattr(little, "fit", spy)
    few = Batch({"audio": torch.randn(10, 1, 40, 50)}, {"digit": torch.arange(10)})
    pairs = Batch({"audio": torch.randn(80, 1, 40, 50)}, {"belief": torch.randn(80, 10)})
    for way in little.WAYS:
        little.ear(way, few, pairs, encoder, seed=0)
    same = {way for way, (weight, *_) in begun.items() if torch.equal(weight, encoder.project.weight)}
    assert same == {"transfer", "all three"}
    assert {way for way, (_, augmented, _) in begun.items() if augmented} == {"augmentation", "all three"}
    assert {way for way, (*_, targets) in begun.items() if targets == ["belief"]} == {"distillation", "all three"}


def test_few_faces_are_few():
    class Glyphs(size.Splits):
        pass

    batch = Batch({"image": torch.arange(40)}, info={"face": [f"f{i % 10}" for i in range(40)]})
    few = size.in_faces(Glyphs("g", batch, batch, batch), 3, seed=0)
    assert len(set(few.train.info["face"])) == 3 and len(few.train) == 12 and len(few.test) == 40
    with pytest.raises(ValueError, match="faces must be"):
        size.in_faces(few, 0, seed=0)


def test_a_step_is_timed_at_each_precision():
    for precision in ("fp32", "bf16"):
        step, first = speed.a_step("LSTM", precision, steps=1)
        assert 0 < step < 60 and 0 < first < 60
    with pytest.raises(ValueError, match="name must be one of"):
        speed.a_step("GRU")
    assert speed.cores() >= 1


@pytest.mark.full
def test_two_processes_give_the_weights_of_one():
    one, _ = speed.the_run()
    two, seconds, whole = speed.two_processes()
    assert_close(two, one, atol=1e-4, rtol=1e-3)
    assert 0 < seconds < whole


def test_a_seed_of_each_table_has_its_rows(monkeypatch):
    monkeypatch.setattr(pairing, "SHARES", (0.0, 0.5))
    monkeypatch.setattr(size, "WIDTHS", (4, 8))
    monkeypatch.setattr(little, "SIZES", (10,))
    assert set(binding.bound(0)) == {f"{which}, {told}" for which in binding.CONCEPTS for told in binding.TOLD}
    wrong = pairing.wrong_pairs(0)
    assert len(wrong) == 2 * (len(pairing.OBJECTIVES) + 3) and wrong["InfoNCE, 0.5"]["share"] == 0.5
    assert len(size.sizes(0)) == 2 * 3
    assert list(little.little_data(0)) == [*(f"{way}, 10" for way in little.WAYS), "from nothing, 4000"]


# -- the stored tables -------------------------------------------------------------------------------------------------


def wide(name, value, by):
    table, how = stored(name)
    assert table.seed.nunique() >= 3 and f"mmteach train {name}" in " ".join(how.split())
    table[["first", "second"]] = table.model.str.rsplit(", ", n=1, expand=True)
    return table.pivot(index="seed", columns=by, values=value)


def test_picture_and_sound_meet_in_the_texts_of_known_concepts_on_every_stored_seed():
    table, _ = stored("bound")
    known = table[table.model == "known, name"]
    assert table.seed.nunique() >= 3
    assert (known["image → audio by text, R@10"] >= known["image → audio, R@10"] + 0.1).all()
    assert (known["image → audio by text, R@10"] >= 0.35).all() and (known["image → text, R@10"] >= 0.9).all()


def test_the_loss_that_doubts_resists_on_every_stored_seed_and_costs_little():
    scores = wide("wrong-pairs", "test", ["first", "second"])
    doubting, plain = scores["InfoNCE, generalised"], scores["InfoNCE"]
    assert (doubting["0.6"] >= plain["0.6"] + 0.03).all() and (doubting["0"] >= plain["0"] - 0.05).all()
    assert (scores["digits, both"]["0.6"] >= scores["digits, picture"]["0.6"]).all()


def test_one_label_and_an_eye_are_worth_hundreds_of_labels_on_every_stored_seed():
    scores = wide("little-data", "test", ["first", "second"])
    assert (scores["distillation"]["10"] >= scores["from nothing"]["10"] + 0.2).all()
    assert (scores["distillation"]["10"] >= scores["from nothing"]["300"] - 0.05).all()


def test_width_does_not_replace_faces_on_the_mean_of_the_stored_seeds():
    scores = wide("sizes", "test", ["first", "second"])
    assert (scores["128 units, all faces"]["600 steps"] - scores["512 units, 3 faces"]["600 steps"]).mean() >= 0.05
