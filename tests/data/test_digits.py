"""Digits seen and heard: shapes, levels, splits without leaks, determinism, and the real people where they are at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mmteach.data import digits, spoken
from mmteach.data.audio import add_noise, hear
from mmteach.data.batch import Batch, Splits
from mmteach.data.store import DataError

PARTS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def seen_and_heard() -> Splits:
    return digits.load_digits()


@pytest.fixture(scope="module")
def strings() -> Splits:
    return digits.load_digit_strings(examples=(30, 12, 12))


def parts(splits: Splits) -> list[Batch]:
    return [splits.train, splits.valid, splits.test]


def speakers(part: Batch) -> set[str]:
    return {voice.split("+")[-1] for voice in part.info["voice"]}


# -- pictures and sounds ---------------------------------------------------------------------------------------------


def test_there_are_500_different_pictures_of_each_digit() -> None:
    drawn = digits.handwritten()
    assert drawn["image"].shape == (5000, 28, 28) and drawn["image"].dtype == torch.uint8
    assert drawn["digit"].bincount().tolist() == [500] * 10
    assert len({picture.numpy().tobytes() for picture in drawn["image"]}) == 5000
    assert drawn["image"].max() == 255


def test_shapes_and_classes(seen_and_heard: Splits) -> None:
    assert [len(part) for part in parts(seen_and_heard)] == [4000, 500, 500]
    assert seen_and_heard.classes["digit"][7] == "seven"
    for part in parts(seen_and_heard):
        assert part.inputs["image"].shape[1:] == (1, 28, 28) and part.inputs["audio"].shape[1:] == (1, 40, 101)
        assert part.inputs["image"].dtype == part.inputs["audio"].dtype == torch.float32
        assert part.inputs["image"].min() == 0 and part.inputs["image"].max() == 1
        assert len(set(part.targets["digit"].bincount().tolist())) == 1  # as many of each digit


def test_each_pair_is_of_one_digit(seen_and_heard: Splits) -> None:
    drawn = digits.handwritten()
    for part in parts(seen_and_heard):
        assert torch.equal(drawn["digit"][part.info["drawing"]], part.targets["digit"])
        torch.testing.assert_close(part.inputs["image"][:, 0] * 255, drawn["image"][part.info["drawing"]].float())
    # the words are what the labels say: the average picture of a word is nearest to the unseen words of its own digit
    mean = {part: [] for part in PARTS}
    for part in PARTS:
        batch = getattr(seen_and_heard, part)
        mean[part] = [batch.inputs["audio"][batch.targets["digit"] == d].mean(0).flatten() for d in range(10)]
    train, test = torch.stack(mean["train"]), torch.stack(mean["test"])
    assert (torch.cdist(test, train).argmin(1) == torch.arange(10)).sum() >= 9


def test_no_picture_and_no_speaker_is_in_two_parts(seen_and_heard: Splits) -> None:
    for column in ("drawing", "speaker"):
        sets = [speakers(p) if column == "speaker" else set(p.info["drawing"]) for p in parts(seen_and_heard)]
        assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]
        assert all(len(some) >= 8 for some in sets)


def test_settings_of_one_speaker_stay_together() -> None:
    split = spoken.voice_split()
    assert list(split) == ["test", "valid", "train"]
    part_of = {variant: part for part, some in split.items() for variant in some}
    for family in (
        ("steph", "steph2", "steph3"),
        ("iven", "iven2", "iven3", "iven4"),
        ("klatt", "klatt6"),
        ("Mike", "mike2"),
    ):
        assert len({part_of[variant] for variant in family}) == 1
    assert not {"UniRobot", "robosoft", "robosoft8", "whisper"} & set(part_of)
    assert (
        len({part_of[f"f{i}"] for i in range(1, 6)} | {part_of[f"m{i}"] for i in range(1, 9)}) > 1
    )  # people of their own
    assert [len(some) for some in split.values()] == [8, 8, 72]


def test_sounds_are_neither_silent_nor_clipped(seen_and_heard: Splits) -> None:
    for part in parts(seen_and_heard):
        waveforms = torch.stack(list(part.info["waveform"]))
        assert waveforms.shape == (len(part), 8000)
        torch.testing.assert_close(waveforms.abs().amax(1), torch.full((len(part),), 0.5), atol=1e-3, rtol=0)
        assert waveforms.square().mean(1).sqrt().min() > 0.01
        heard = (waveforms.abs() > 0.005).float()
        length = 8000 - heard.argmax(1) - heard.flip(1).argmax(1)
        assert length.min() / 8000 > 0.1 and length.float().median() / 8000 < 0.7


def test_a_model_hears_its_waveform(seen_and_heard: Splits) -> None:
    some = seen_and_heard.test[:5]
    torch.testing.assert_close(hear(some.info["waveform"]), some.inputs["audio"])
    noisy = hear(add_noise(torch.stack(list(some.info["waveform"])), snr=0))
    assert noisy.shape == (5, 1, 40, 101)
    assert (noisy - some.inputs["audio"]).abs().mean() > 0.2


def test_the_seed_chooses_the_pairs_and_nothing_else(seen_and_heard: Splits) -> None:
    again, other = digits.load_digits(), digits.load_digits(seed=1)
    for name in ("image", "audio"):
        assert torch.equal(again.train.inputs[name], seen_and_heard.train.inputs[name])
    assert again.train.info["voice"] == seen_and_heard.train.info["voice"]
    assert other.test.info["voice"] != seen_and_heard.test.info["voice"]
    assert set(other.test.info["drawing"]) == set(seen_and_heard.test.info["drawing"])


def test_several_recordings_for_a_picture(seen_and_heard: Splits) -> None:
    twice = digits.load_digits(pairs_per_image=2)
    assert [len(part) for part in parts(twice)] == [8000, 1000, 1000]
    assert twice.test.info["drawing"][0] == twice.test.info["drawing"][1]
    assert set(twice.test.info["drawing"]) == set(seen_and_heard.test.info["drawing"])


def test_one_second_is_centred_or_the_loudest_second() -> None:
    placed = spoken.one_second(torch.tensor([1.0, -4.0]), samples=6)
    assert placed.tolist() == [0, 0, 0.125, -0.5, 0, 0]
    long = torch.cat([torch.full((5,), 0.1), torch.ones(4), torch.full((3,), 0.1)])
    assert spoken.one_second(long, samples=4).tolist() == [0.5] * 4
    assert spoken.one_second(torch.tensor([9.0, 1, 1, 1, 0]), samples=4).tolist() == pytest.approx([0.5, *[1 / 18] * 3])
    assert spoken.one_second(torch.zeros(3), samples=4).tolist() == [0] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"speech": "people"}, "speech must be one of 'espeak', 'fsdd', got 'people'"),
        ({"pairs_per_image": 0}, "pairs_per_image must be above 0, got 0"),
        ({"takes": 0}, "takes must be above 0, got 0"),
    ],
)
def test_wrong_wishes_for_digits(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        digits.load_digits(**arguments)
    assert str(error.value) == message


def test_two_processes_at_once_make_one_cache(tmp_path: Path) -> None:
    program = "from mmteach.data.digits import handwritten; print(int(handwritten()['image'].long().sum()))"
    environment = {**os.environ, "MMTEACH_CACHE": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said == [str(int(digits.handwritten()["image"].long().sum()))] * 2
    kept = list(tmp_path.iterdir())
    assert len(kept) == 1 and kept[0].name.startswith("mnist-") and kept[0].suffix == ".pt"


def test_making_the_recordings_again_gives_the_same_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = spoken.espeak_digits(takes=1)
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path))
    again = spoken.espeak_digits(takes=1)
    assert list(tmp_path.glob("spoken-digits-*.pt"))
    for part in PARTS:
        assert torch.equal(first[part].waveform, again[part].waveform)
        assert torch.equal(first[part].audio, again[part].audio)
        assert first[part].voice == again[part].voice


# -- two in one picture ----------------------------------------------------------------------------------------------


def test_multimnist_overlays_the_two_digits_it_names() -> None:
    splits = digits.load_multimnist(examples=(200, 40, 50))
    drawn = digits.handwritten()
    assert [len(part) for part in parts(splits)] == [200, 40, 50]
    for part in parts(splits):
        assert part.inputs["image"].shape[1:] == (1, 36, 36)
        for i in (0, 17, 39):
            left, right = part.info["drawing"][i]
            assert int(part.targets["left"][i]) == int(drawn["digit"][left])
            assert int(part.targets["right"][i]) == int(drawn["digit"][right])
            upper, lower = torch.zeros(2, 36, 36)
            upper[:28, :28], lower[8:, 8:] = drawn["image"][left] / 255, drawn["image"][right] / 255
            torch.testing.assert_close(part.inputs["image"][i, 0], torch.maximum(upper, lower))


def test_multimnist_shares_no_picture_between_parts_and_labels_are_independent() -> None:
    splits = digits.load_multimnist(examples=(4000, 500, 500))
    sets = [{drawing for pair in part.info["drawing"] for drawing in pair} for part in parts(splits)]
    assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]
    same = (splits.train.targets["left"] == splits.train.targets["right"]).float().mean()
    assert same == pytest.approx(0.1, abs=0.02)


def test_multimnist_can_be_smaller_and_follows_its_seed() -> None:
    small = digits.load_multimnist(examples=(8, 2, 2), size=28)
    large = digits.load_multimnist(examples=(8, 2, 2))
    assert small.train.inputs["image"].shape == (8, 1, 28, 28)
    assert small.train.info == large.train.info
    assert small.train.inputs["image"].mean() == pytest.approx(float(large.train.inputs["image"].mean()), rel=0.05)
    assert digits.load_multimnist(examples=(8, 2, 2), seed=1).train.info != large.train.info
    assert len(digits.load_multimnist().train) == 12000
    with pytest.raises(ValueError, match="size must be between 8 and 36, got 37"):
        digits.load_multimnist(size=37)
    with pytest.raises(ValueError, match=r"examples \(valid\) must be above 0, got 0"):
        digits.load_multimnist(examples=(8, 0, 2))


# -- several in a row ------------------------------------------------------------------------------------------------


def check_strings(splits: Splits, shortest: int = 2, longest: int = 6) -> None:
    assert splits.classes["text"] == ["<blank>", *"0123456789"]
    for part in parts(splits):
        text, length, mask = part.targets["text"], part.targets["text_length"], part.masks["audio"]
        assert part.inputs["audio"].shape == (len(part), 1, 40, mask.shape[1])
        assert torch.equal((text != 0).sum(1), length)
        assert shortest <= length.min() and length.max() <= longest
        for i, waveform in enumerate(part.info["waveform"]):
            spelt = "".join(splits.classes["text"][j] for j in text[i].tolist() if j)
            assert spelt == part.info["transcript"][i]
            assert int(mask[i].sum()) == 1 + len(waveform) // 80
            assert mask[i].sum() > 2 * length[i] + 1  # CTC can fit a blank between any two
            assert 0.05 < waveform.abs().max() <= 1.0001
        assert (part.inputs["audio"].masked_select(~mask[:, None, None]) == 0).all()


def test_strings_are_what_they_say(strings: Splits) -> None:
    assert [len(part) for part in parts(strings)] == [30, 12, 12]
    check_strings(strings)
    for part in parts(strings):
        for transcript, waveform in zip(part.info["transcript"], part.info["waveform"]):
            assert 0.13 < len(waveform) / 8000 / len(transcript) < 0.8


def test_strings_share_no_speaker_between_parts(strings: Splits) -> None:
    sets = [speakers(part) for part in parts(strings)]
    assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]
    split = spoken.voice_split()
    assert all(some <= set(split[part]) for part, some in zip(PARTS, sets))


def test_strings_follow_their_seed_and_lengths(strings: Splits) -> None:
    again = digits.load_digit_strings(examples=(30, 12, 12))
    assert torch.equal(again.test.inputs["audio"], strings.test.inputs["audio"])
    other = digits.load_digit_strings(examples=(3, 2, 2), lengths=(4, 4), seed=5)
    assert {len(t) for part in parts(other) for t in part.info["transcript"]} == {4}
    assert (
        other.test.info["transcript"]
        != digits.load_digit_strings(examples=(3, 2, 2), lengths=(4, 4)).test.info["transcript"]
    )


def test_strings_made_again_are_the_same(strings: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path))
    made_again = digits.load_digit_strings(examples=(30, 12, 12))
    assert list(tmp_path.glob("digit-strings-*.pt"))
    for part, before in zip(parts(made_again), parts(strings)):
        assert torch.equal(part.inputs["audio"], before.inputs["audio"])
        assert part.info["transcript"] == before.info["transcript"] and part.info["voice"] == before.info["voice"]


def test_wrong_wishes_for_strings() -> None:
    for arguments, message in (
        ({"speech": "x"}, "speech must be one of 'espeak', 'fsdd', got 'x'"),
        ({"lengths": (0, 3)}, r"lengths\[0\] must be above 0, got 0"),
        ({"lengths": (4, 3)}, r"lengths\[0\] must be between 1 and 3, got 4"),
        ({"examples": (5, 5, 0)}, r"examples \(test\) must be above 0, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            digits.load_digit_strings(**arguments)


# -- real people -----------------------------------------------------------------------------------------------------


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Made people in the form of the loader of the Free Spoken Digit Dataset: three speakers, ten digits, 12 takes."""
    generator = torch.Generator().manual_seed(0)
    rows = [(s, d, i) for s in ("ada", "ben", "eve") for d in range(10) for i in range(12)]
    waveforms = [torch.randn(3000 + 100 * d, generator=generator) / 10 for _, d, _ in rows]
    made = {
        "waveforms": waveforms,
        "digit": torch.tensor([d for _, d, _ in rows]),
        "speaker": [s for s, _, _ in rows],
        "index": [i for _, _, i in rows],
        "sample_rate": 8000,
    }
    for module in (digits, spoken):
        monkeypatch.setattr(module, "read_people", lambda: made)
    return made


def test_people_are_held_out(people: dict[str, Any]) -> None:
    splits = digits.load_digits(speech="fsdd")
    assert set(splits.test.info["voice"]) == {"eve"}
    assert set(splits.train.info["voice"]) == set(splits.valid.info["voice"]) == {"ada", "ben"}
    assert set(digits.load_digits(speech="fsdd", held_out="ada").test.info["voice"]) == {"ada"}
    with pytest.raises(ValueError, match="held_out must be one of 'ada', 'ben', 'eve', got 'bob'"):
        digits.load_digits(speech="fsdd", held_out="bob")
    split = spoken.person_split(people, "eve")
    assert {people["index"][i] for i in split["valid"]} == {0, 10}
    assert sorted(i for some in split.values() for i in some) == list(range(360))


def test_people_say_the_digit_of_the_picture(people: dict[str, Any]) -> None:
    splits = digits.load_digits(speech="fsdd")
    for part in parts(splits):
        for i in range(0, len(part), 50):
            said = int((part.info["waveform"][i] != 0).sum())
            assert said == pytest.approx(3000 + 100 * int(part.targets["digit"][i]), abs=2)


def test_people_say_strings_one_digit_behind_the_other(people: dict[str, Any]) -> None:
    splits = digits.load_digit_strings(speech="fsdd", examples=(20, 6, 6), held_out="ben")
    check_strings(splits)
    assert set(splits.test.info["voice"]) == {"ben"} and set(splits.train.info["voice"]) == {"ada", "eve"}
    for transcript, waveform in zip(splits.test.info["transcript"], splits.test.info["waveform"]):
        spoken = sum(3000 + 100 * int(d) for d in transcript)
        assert spoken <= len(waveform) <= spoken + 800 * len(transcript)


def test_without_the_real_people_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MMTEACH_FSDD", raising=False)
    for load in (digits.load_digits, digits.load_digit_strings):
        with pytest.raises(DataError, match=r"needs the Free Spoken Digit Dataset: set the variable MMTEACH_FSDD"):
            load(speech="fsdd")


@pytest.mark.skipif(
    not os.environ.get("MMTEACH_FSDD"), reason="MMTEACH_FSDD names no folder of the Free Spoken Digit Dataset"
)
def test_real_people_can_be_heard() -> None:
    splits = digits.load_digits(speech="fsdd")
    people = set(splits.train.info["voice"])
    assert len(people) >= 3 and not people & set(splits.test.info["voice"])
    waveforms = torch.stack(list(splits.test.info["waveform"]))
    assert waveforms.abs().amax() == pytest.approx(0.5, abs=1e-3) and waveforms.square().mean(1).sqrt().min() > 0.005
    check_strings(digits.load_digit_strings(speech="fsdd", examples=(20, 6, 6)))


def test_the_card_draws_its_sample() -> None:
    assert digits.CARD.name == "digits" and digits.CARD.sample is not None
    assert len(digits.CARD.sample().axes) == 20
