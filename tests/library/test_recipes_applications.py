"""The recipes of chapter 06: what they do to their examples, what they search, and what their stored tables hold."""

import math

import numpy as np
import pytest
import soundfile
import torch

from mmteach.data.batch import Batch
from mmteach.data.motion import OBJECTS, VERBS
from mmteach.data.prompts import LETTERS, spell
from mmteach.data.text import Vocabulary
from mmteach.generation import ctc_loss
from mmteach.recipes import applications_digits as digits
from mmteach.recipes import applications_ears as ears
from mmteach.recipes import applications_letters as letters
from mmteach.recipes import applications_pictures as pictures
from mmteach.recipes import applications_video as video

# -- pictures ----------------------------------------------------------------------------------------------------------


def test_a_picture_is_cropped_to_its_ink():
    small = torch.full((1, 3, 48, 48), 255, dtype=torch.uint8)
    small[:, :, 4:10, 30:36] = torch.tensor([200, 0, 0], dtype=torch.uint8)[:, None, None]
    framed = pictures.framed(small)
    assert framed.shape == (1, 3, 32, 32)
    red = framed[0, 1] < 128
    assert red.float().mean() > 0.8 and red[16, 16]  # the square fills the frame now


def test_a_picture_without_ink_stays_white():
    assert (pictures.framed(torch.full((2, 3, 48, 48), 255, dtype=torch.uint8)) == 255).all()


def test_found_counts_ranks_of_the_item_of_the_same_number():
    items = torch.eye(3)
    queries = items[[0, 2, 1]]
    assert pictures.found(queries, items) == {"R@1": pytest.approx(1 / 3), "R@10": 1.0, "median rank": 3.0}


# -- speech ------------------------------------------------------------------------------------------------------------


def sounds(*lengths):
    frames = max(lengths)
    mask = torch.arange(frames) < torch.tensor(lengths)[:, None]
    audio = torch.rand(len(lengths), 1, 40, frames).masked_fill(~mask[:, None, None], 0)
    text, length = spell(["ab", "c", "abc"][: len(lengths)])
    return Batch({"audio": audio}, {"text": text, "text_length": length}, {"audio": mask})


STILL = dict(pace=0, pitch=0, tilt=0, waves=0, hiss=0, grain=0, blur=0, echo=0, bands=0, frames=0)


def test_silence_around_a_sound_changes_nothing_in_it():
    sound = torch.randn(4000)
    (alone, mask), (padded, longer) = ears.heard([sound]), ears.heard([torch.nn.functional.pad(sound, (0, 4000))])
    inside = 4000 // 80 - 2  # frames that hold none of the silence
    torch.testing.assert_close(alone[..., :inside], padded[..., :inside])
    assert alone.shape == (1, 1, 40, 51) and mask.sum() == 51 and longer.sum() == 101
    assert alone.max() == 1 and (padded[..., 55:] == 0).all()


def test_a_sound_half_as_loud_is_heard_alike_and_one_50_db_below_is_silence():
    sound = torch.randn(4000)
    torch.testing.assert_close(ears.heard([sound])[0], ears.heard([sound / 2])[0], atol=1e-4, rtol=0)
    falling = torch.cat([sound, sound * 10 ** (-20 / 20), sound * 10 ** (-90 / 20)])
    x = ears.heard([falling])[0][0, 0].mean(0)
    assert (x[5:45].mean() - x[55:95].mean()).item() == pytest.approx(20 / 50, abs=0.02)
    assert (ears.heard([falling])[0][..., 110:] == 0).all()


def test_a_batch_is_heard_from_its_waveforms():
    batch = sounds(50, 30)
    batch.info["waveform"] = [torch.randn(4000), torch.randn(2000)]
    again = ears.hear_again(batch)
    torch.testing.assert_close(
        again.inputs["audio"][1, ..., :20], ears.heard([batch.info["waveform"][1]])[0][0, ..., :20]
    )
    assert again.masks["audio"].sum(1).tolist() == [51, 26] and again.targets is batch.targets


def test_variation_keeps_the_words_and_changes_the_pace():
    torch.manual_seed(0)
    batch = sounds(60, 40, 50)
    varied = ears.vary(batch)
    frames = varied.masks["audio"].sum(1)
    assert (varied.targets["text"] == batch.targets["text"]).all()
    assert (frames >= 0.84 * torch.tensor([60, 40, 50])).all() and (
        frames <= 1.16 * torch.tensor([60, 40, 50]) + 12
    ).all()
    assert len(set(frames.tolist())) == 3
    x = varied.inputs["audio"]
    assert (x.masked_select(~varied.masks["audio"][:, None, None]) == 0).all() and x.min() >= 0 and x.max() <= 1


def test_without_any_variation_a_sound_stays_as_it_is():
    batch = sounds(60, 40)
    audio = batch.inputs["audio"]
    batch.inputs["audio"] = audio / audio.amax(
        (1, 2, 3), keepdim=True
    )  # measured from the loudest point, as `heard` does
    same = ears.vary(batch, **STILL)
    torch.testing.assert_close(same.inputs["audio"], batch.inputs["audio"], atol=1e-4, rtol=0)
    assert torch.equal(same.masks["audio"], batch.masks["audio"])


def test_each_variation_does_what_its_name_says():
    torch.manual_seed(0)
    batch = sounds(*[50] * 3)
    x = batch.inputs["audio"]
    x[:] = 0.2
    x[..., 10:15] = 1.0  # a bang
    x[:, :, 20, 30] = 0.9  # and a click at one pitch

    def varied(**settings):
        return ears.vary(batch, **(STILL | settings)).inputs["audio"][:, 0]

    assert (varied(echo=1.0)[:, 5, 15:24] > 0.21).any(1).all()  # the room goes on sounding after the bang
    assert (varied(blur=0.8)[:, 20, 30] < 0.9).all() and (varied(blur=0.8)[:, 21, 30] > 0.2).all()
    tilted = varied(tilt=0.5)[..., 12]
    pitch = torch.arange(40.0).expand(3, -1) - 19.5
    assert (torch.cosine_similarity(tilted - tilted.mean(1, keepdim=True), pitch).abs() > 0.9).all()
    assert (varied(frames=8) == 0).all(1).any(1).any() and (varied(bands=8) == 0).all(2).any(1).any()
    many = Batch({"audio": x[[0] * 40]}, {}, {"audio": batch.masks["audio"][[0] * 40]})
    hissed = ears.vary(many, **(STILL | {"hiss": 0.8})).inputs["audio"][:, 0, :, 40:]
    assert 8 < ((hissed - 0.2).abs().amax((1, 2)) > 0.05).sum() < 32  # about every second one


def test_two_batches_become_one_padded_to_the_longer():
    both = ears.together(sounds(60, 40), sounds(20))
    assert both.inputs["audio"].shape == (3, 1, 40, 60) and both.masks["audio"].sum(1).tolist() == [60, 40, 20]
    assert both.targets["text"][2].tolist() == [*spell(["ab"])[0][0].tolist()]


def test_the_recogniser_gives_a_frame_for_three_and_every_parameter_learns():
    model, batch = ears.recogniser(29, width=16), sounds(60, 41)
    log_probs = model(batch.inputs, masks=batch.masks)
    assert log_probs.shape == (2, 20, 29)
    ctc_loss(log_probs, batch.targets["text"], model.lengths(batch.inputs, batch.masks)).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_text_that_needs_more_frames_than_there_are_comes_last():
    model, batch = ears.recogniser(len(LETTERS), width=16).eval(), sounds(30)
    scores = ears.scores(model, batch, ["ab", "a" * 30])
    assert scores.shape == (1, 2) and scores[0, 1] < scores[0, 0] and torch.isfinite(scores).all()


def test_a_single_digit_scores_as_ctc_says():
    torch.manual_seed(0)
    model, batch = ears.recogniser(len(digits.DIGITS), width=16).eval(), sounds(30, 30)
    p = digits.one_digit(model, batch)
    assert p.shape == (2, 10)
    log_probs = model(batch.inputs, masks=batch.masks)
    expected = -ctc_loss(log_probs[:1], torch.tensor([[8]]), torch.tensor([10]), reduction="none")
    torch.testing.assert_close(p[:1, 7], expected.detach())


def test_every_second_training_string_is_said_word_by_word():
    made = digits.strings((8, 2, 2), seed=0)
    said, waves = made.train.info["transcript"], made.train.info["waveform"]
    assert len(made.train) == 8 and len(said) == 8 and (made.train.inputs["audio"].amax((1, 2, 3)) == 1).all()
    pauses = [(wave.abs() < 1e-4).float().mean().item() for wave, text in zip(waves, said) if len(text) > 1]
    fluent = sum(len(text) > 1 for text in said[:4])
    assert min(pauses[fluent:]) > max(pauses[:fluent]) - 0.05  # silence between the words, or nearly as much
    assert [len(text) for text in said] == (made.train.targets["text"] > 0).sum(1).tolist()


# -- sentences ---------------------------------------------------------------------------------------------------------


def test_rows_hold_every_sentence_once_a_round_with_a_space_between():
    batch = sounds(60, 40, 50)
    rows = ears.rows_of(batch, rounds=2, longest=100, between=(LETTERS.index(" "),))
    assert rows.masks["audio"].sum() == 2 * 150 and rows.masks["audio"].sum(1).max() <= 100
    texts = ["".join(LETTERS[i] for i in row if i) for row in rows.targets["text"].tolist()]
    assert sorted(word for text in texts for word in text.split()) == ["ab", "ab", "abc", "abc", "c", "c"]
    assert torch.equal(rows.targets["text_length"], torch.tensor([len(text) for text in texts]))


def test_a_telephone_keeps_the_length_and_most_of_a_low_tone():
    tone = torch.sin(2 * math.pi * 440 * torch.arange(4000) / 8000)
    heard = letters.telephoned(tone)
    assert heard.shape == tone.shape and heard.abs().max() < 0.7
    assert torch.cosine_similarity(heard[400:3600], tone[400:3600], dim=0) > 0.9


def test_what_voices_say_is_spelt_as_it_was_written():
    said = letters.spelt(["press one", "hello", "the quick brown fox jumps over the lazy dog " * 4], seed=0)
    assert said.info["transcript"] == ["press one", "hello"]  # the third is too long
    assert said.targets["text_length"].tolist() == [9, 5] and said.inputs["audio"].max() == 1


def test_letters_are_probabilities_that_prefer_what_was_read():
    model = letters.Letters(["the cat", "the dog"], order=3)
    history = (1, LETTERS.index("t"))  # a space and a t
    p = {letter: model.probability(history, LETTERS.index(letter)) for letter in LETTERS[1:]}
    assert sum(p.values()) == pytest.approx(1)
    assert max(p, key=p.get) == "h"
    said = model((LETTERS.index("t"), LETTERS.index("h")))
    assert said == pytest.approx(model.weight * math.log(p["h"]) + model.bonus)


def test_made_up_texts_can_be_spelt_and_are_the_same_for_a_seed():
    texts = letters.made_up(30, seed=1)
    assert len(texts) == 30 and texts == letters.made_up(30, seed=1) != letters.made_up(30, seed=2)
    spell(texts)


def test_a_language_model_can_change_what_is_heard():
    class Unsure(torch.nn.Module):  # an a and a b are equally likely
        def __init__(self):
            super().__init__()
            self.nothing = torch.nn.Parameter(torch.zeros(()))

        def forward(self, inputs, masks=None):
            p = torch.full((len(inputs["audio"]), 1, len(LETTERS)), 1e-4)
            p[..., LETTERS.index("a")], p[..., LETTERS.index("b")] = 0.499, 0.5
            return p.log()

    said = letters.written_with(Unsure(), sounds(9), letters.Letters(["a a a a"]))
    assert said == ["a"]


def test_own_recordings_are_read_from_a_folder(tmp_path):
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    with pytest.raises(ValueError, match=r"no sound file .* in .*test_own_recordings"):
        digits.recorded(tmp_path)
    soundfile.write(tmp_path / "7_a.WAV", tone, 8000)
    soundfile.write(tmp_path / "1984 b.flac", tone[:4000], 16000)
    (tmp_path / "notes.txt").write_text("")
    mine = digits.recorded(tmp_path)
    assert mine.info["transcript"] == ["1984", "7"]
    assert mine.targets["text"].tolist() == [[2, 10, 9, 5], [8, 0, 0, 0]]
    assert mine.masks["audio"].sum(1).tolist() == [26, 101]
    assert set(ears.error_rates(ears.recogniser(11).eval(), mine, digits.DIGITS)) == {"CER", "WER"}


@pytest.mark.parametrize(
    "name, samples, says",
    [
        ("seven.wav", np.ones(800), "seven.wav does not say which digits"),
        ("7.wav", np.zeros(8000), "7.wav: The sound is silent"),
    ],
)
def test_a_recording_that_cannot_be_used_is_named(tmp_path, name, samples, says):
    soundfile.write(tmp_path / name, samples, 8000)
    with pytest.raises(ValueError, match=says):
        digits.recorded(tmp_path)


# -- video -------------------------------------------------------------------------------------------------------------


def clips(n=4):
    return torch.randint(0, 256, (n, 8, 3, 32, 32), dtype=torch.uint8)


WORDS = Vocabulary.build([f"the {thing} {does}" for thing in OBJECTS for does in video.PREDICATES])


def test_the_mean_over_frames_does_not_know_their_order_and_the_change_does():
    torch.manual_seed(0)
    x = clips()
    frames, change = video.Frames(8).eval(), video.Change().eval()
    torch.testing.assert_close(frames(x), frames(x.flip(1)), atol=1e-5, rtol=0)
    assert (change(x) - change(x.flip(1))).abs().max() > 1e-3


@pytest.mark.parametrize(
    "wish, line, left_out",
    [
        ("the dog moves to the left", "the dog moves to the left", []),
        ("Rocket turns clockwise!", "the rocket turns clockwise", []),
        ("the zebra moves up", "the thing moves up", ["zebra"]),
        ("moves up", "the thing moves up", []),
        ("the dog and the cat", "the dog", ["and", "cat"]),
    ],
)
def test_a_wish_is_put_in_order_and_says_what_it_leaves_out(wish, line, left_out):
    assert video.as_read(wish, WORDS) == (line, left_out)


@pytest.mark.parametrize("wish", ["the zebra gallops", "火箭", "🚀", "the the"])
def test_a_wish_without_a_known_word_says_what_is_known(wish):
    with pytest.raises(
        ValueError, match=r"None of these words is known. Things: apple, .* Actions: moves to the left, "
    ):
        video.as_read(wish, WORDS)


@pytest.mark.parametrize(
    "clip, error, says",
    [
        (clips()[:, :2], ValueError, "3 frames or more, got 2"),
        (clips()[:, :, :1], ValueError, "clips must have shape"),
        (clips()[0], ValueError, "clips must have shape"),
        (clips() / 255, TypeError, "must be uint8"),
    ],
)
def test_a_clip_of_your_own_that_does_not_fit_says_why(clip, error, says):
    with pytest.raises(error, match=says):
        video.Paths(WORDS).eval()({"video": clip})


def test_the_appearance_path_does_not_see_a_plain_background():
    encoder = video.Picture(8).eval()
    thing = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    thing[:, :, 12:18, 12:18] = 60
    torch.testing.assert_close(encoder(thing + 20), encoder(thing + 120), atol=1e-5, rtol=0)


def test_apart_a_score_is_that_of_the_subject_and_that_of_the_predicate():
    torch.manual_seed(0)
    paths = video.Paths(WORDS).eval()
    a, b, c, d = paths.read(["the cat grows", "the dog grows", "the cat turns clockwise", "the cat zooms grows"])
    torch.testing.assert_close(a[video.WIDTH :], b[video.WIDTH :])
    torch.testing.assert_close(a[: video.WIDTH], c[: video.WIDTH])
    torch.testing.assert_close(a, d)  # a word that it does not know is left out
    torch.testing.assert_close(a.norm() ** 2, torch.tensor(2.0))
    together = video.Paths(WORDS, ["the cat grows"]).eval()
    assert together.read(["the cat grows"]).norm().item() == pytest.approx(1)


def test_normalised_the_scores_of_a_clip_are_the_log_probabilities_of_all_sentences():
    torch.manual_seed(0)
    paths = video.Paths(WORDS).eval()
    z = paths({"video": clips(3)}).detach()
    sentences = [f"the {thing} {does}" for thing in OBJECTS for does in video.PREDICATES]
    plain, normalised = (video.fits(paths, sentences, z, normalised=way) for way in (False, True))
    torch.testing.assert_close(normalised.exp().sum(0), torch.ones(3))  # each clip's, over who and what
    apart = paths.scale() * plain - normalised
    torch.testing.assert_close(apart, apart[:1].expand_as(apart))  # a constant for each clip


@pytest.mark.parametrize("lines", [None, ["the apple grows", "the cat shakes"]])
def test_every_parameter_of_the_paths_gets_a_gradient(lines):
    paths = video.Paths(WORDS, lines)
    batch = Batch(
        {"video": clips(2)},
        {"object": torch.tensor([0, 9]), "predicate": torch.tensor([6, 10])},
        info={"sentence": ["the apple grows", "the cat shakes"]},
    )
    video.match(paths, batch).backward()
    assert [n for n, p in paths.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_what_is_right_is_counted_by_verb_whatever_the_direction():
    class Says(torch.nn.Module):
        def forward(self, inputs, masks=None, present=None):
            both = torch.zeros(len(inputs["video"]), 36)
            both[:, 0] = both[:, 24 + video.PREDICATES.index("moves up")] = 1
            return both

    batch = Batch(
        {"video": clips(2)}, {"object": torch.tensor([0, 1]), "verb": torch.tensor([0, list(VERBS).index("turns")])}
    )
    assert video.right(Says(), batch) == {"object": 0.5, "verb": 0.5}


# -- what is stored ----------------------------------------------------------------------------------------------------


def test_the_stored_ears_write_letters_and_the_one_that_heard_the_person_is_better():
    sentences = letters.prompts().valid[:12]
    wrong = {name: ears.error_rates(letters.stored_ear(name), sentences)["CER"] for name in ("voices", "person")}
    assert wrong["person"] < 0.6 < wrong["voices"]
    with pytest.raises(ValueError, match="name must be one of"):
        letters.stored_ear("dog")
