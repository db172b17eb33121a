"""Prompts: real speech whose transcripts are normalised as documented and whose sentences do not leak."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

from mmteach.data import prompts, store
from mmteach.data.audio import log_mel, standardise
from mmteach.data.batch import Splits
from mmteach.data.store import DataError

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="module")
def splits() -> Splits:
    return prompts.load_prompts()


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_prompts", TOOLS / "build_prompts.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parts(splits: Splits) -> list:
    return [splits.train, splits.valid, splits.test]


def test_shapes_masks_and_letters_agree(splits: Splits) -> None:
    assert [len(part) for part in parts(splits)] == [425, 51, 51]
    assert splits.classes["text"] == list(prompts.LETTERS) and len(prompts.LETTERS) == 29
    for part in parts(splits):
        audio, mask = part.inputs["audio"], part.masks["audio"]
        assert audio.shape[1:3] == (1, 40) and mask.shape == (len(part), audio.shape[3]) and mask.dtype == torch.bool
        assert (audio.masked_select(~mask[:, None, None]) == 0).all()
        for i, waveform in enumerate(part.info["waveform"]):
            assert int(mask[i].sum()) == 1 + len(waveform) // 80
            assert len(waveform) <= 8 * 8000
            assert prompts.unspell(part.targets["text"][i]) == part.info["transcript"][i]
            assert int(part.targets["text_length"][i]) == len(part.info["transcript"][i])


def test_audio_is_the_log_mel_of_the_waveform(splits: Splits) -> None:
    waveform = splits.test.info["waveform"][3]
    frames = (
        len(waveform) // 80 - 2
    )  # the last frames look beyond the end, where padding differs from silence by nothing
    ours = standardise(log_mel(waveform[None]))[0, :, :, :frames]
    torch.testing.assert_close(splits.test.inputs["audio"][3, :, :, :frames], ours, atol=2e-3, rtol=0)


def test_no_sentence_or_near_duplicate_is_in_two_parts() -> None:
    entries = json.loads(store.asset("prompts.json").read_text(encoding="utf-8"))
    assert len(entries) == 549
    words = [set(entry["text"].split()) for entry in entries]
    for i, first in enumerate(entries):
        for j, second in enumerate(entries[:i]):
            if first["part"] != second["part"]:
                assert len(words[i] & words[j]) < 0.75 * len(words[i] | words[j]), (first["text"], second["text"])


def test_transcripts_hold_only_letters_and_every_recording_is_speech(splits: Splits) -> None:
    for part in parts(splits):
        for text, waveform in zip(part.info["transcript"], part.info["waveform"]):
            assert set(text) <= set(prompts.LETTERS[1:]) and text == text.strip() and "  " not in text
            assert 0.2 < waveform.abs().max() <= 1
            assert 0.02 < waveform.square().mean().sqrt() < 0.3
            assert (waveform.abs() > 0.99).float().mean() < 0.001  # no clipping
            if len(text) > 8:
                assert 0.04 < len(waveform) / 8000 / len(text) < 0.25, text  # seconds a letter


def test_longest_leaves_out_longer_recordings(splits: Splits) -> None:
    short = prompts.load_prompts(longest=2.0)
    assert max(len(w) for w in short.train.info["waveform"]) <= 16000
    assert 0 < len(short.train) < len(splits.train)
    with pytest.raises(ValueError, match="longest must be above 0, got 0"):
        prompts.load_prompts(longest=0)
    with pytest.raises(ValueError, match=r"longest=0.01 seconds leaves no recording in train"):
        prompts.load_prompts(longest=0.01)


def test_prompts_made_again_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prompts.load_prompts(longest=2.0)
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path))
    made_again = prompts.load_prompts(longest=2.0)
    assert list(tmp_path.glob("prompts-*.pt"))
    assert torch.equal(made_again.train.inputs["audio"], before.train.inputs["audio"])
    assert made_again.train.info["name"] == before.train.info["name"]


def test_spell_and_unspell() -> None:
    ids, length = prompts.spell(["it's a", "z"])
    assert length.tolist() == [6, 1]
    assert ids.tolist() == [[11, 22, 2, 21, 1, 3], [28, 0, 0, 0, 0, 0]]
    assert [prompts.unspell(row) for row in ids] == ["it's a", "z"]
    with pytest.raises(ValueError, match=r"'Ab' holds 'A': only a–z in small letters"):
        prompts.spell(["Ab"])
    with pytest.raises(ValueError, match="texts is empty"):
        prompts.spell([])


def test_a_damaged_recording_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("prompts.wav", "prompts.json", "SHA256.json"):
        (tmp_path / name).write_bytes((store.FILES / name).read_bytes())
    wav = bytearray((tmp_path / "prompts.wav").read_bytes())
    wav[100_000] ^= 1
    (tmp_path / "prompts.wav").write_bytes(wav)
    monkeypatch.setattr(store, "FILES", tmp_path)
    store.asset.cache_clear()
    try:
        with pytest.raises(DataError, match=r"prompts.wav in .* is damaged .*git checkout"):
            prompts.load_prompts()
    finally:
        store.asset.cache_clear()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("Press 1 to call this number.", "press one to call this number"),
        ("3D audio disabled", "three d audio disabled"),
        ("press * to toggle pause, press # to enter", "press star to toggle pause press pound to enter"),
        ("at [@]", "at"),
        ('IAX (note: does not say "2")', "i a x"),
        ("... letters of your party's first name.", "letters of your party's first name"),
        ("A.M.", "a m"),
        ("I am sorry", "i am sorry"),
        ("De-activated.", "deactivated"),
        ("To re-record it.", "to rerecord it"),
        ("Un-indentified or witheld", "unidentified or withheld"),
        ("Inter-Asterisk Exchange", "inter asterisk exchange"),
        ("visit www.asterisk.org.", "visit w w w dot asterisk dot org"),
        ("come straight thru", "come straight through"),
        ("[ascending tones]", None),
        ("(10 seconds of silence)", None),
        ("<beep ascending>", None),
        ("H.323", None),
        ("extension 1234", None),
        ("a 28.8 kilobit modem", None),
    ],
)
def test_transcripts_are_normalised_as_documented(builder: ModuleType, said: str, text: str | None) -> None:
    assert builder.normalised(said) == text


def test_split_keeps_chains_of_near_duplicates_together(builder: ModuleType) -> None:
    assert builder.alike("a b c", "c b a d") and not builder.alike("a b", "a b c")
    chain = ["w x y z", "w x y z v", "w x y z v u"]  # each like the next
    sentences = [f"sentence number{i} stands{i} alone{i}" for i in range(40)] + chain
    split = builder.split(sentences)
    assert split == builder.split(sentences)
    assert split.count("test") == split.count("valid") == 4
    assert len(set(split[-3:])) == 1


def test_the_builder_gives_the_same_bytes_twice(builder: ModuleType, tmp_path: Path) -> None:
    import gzip

    sounds = tmp_path / builder.SOUNDS
    (sounds / "digits").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in ("hello", "digits/1", "beep"):
        soundfile.write(sounds / f"{name}.wav", generator.normal(0, 3000, 4001).astype(np.int16), 8000)
    listed = tmp_path / builder.TRANSCRIPTS
    listed.parent.mkdir(parents=True)
    listed.write_bytes(gzip.compress(b"; a remark\n\nhello: Hello.\ndigits/1: one\nbeep: [beep]\nmissing: No file.\n"))
    wav, index = builder.build(tmp_path)
    assert (wav, index) == builder.build(tmp_path)
    entries = json.loads(index)
    assert [(e["name"], e["text"], e["start"], e["samples"]) for e in entries] == [
        ("digits/1", "one", 0, 4001),
        ("hello", "hello", 4001, 4001),
    ]


def test_the_builder_refuses_another_version(builder: ModuleType, tmp_path: Path) -> None:
    for deb in builder.PACKAGES:
        (tmp_path / deb).write_bytes(b"something else")
    with pytest.raises(SystemExit, match="expected 2be3ea28"):
        builder.unpack(tmp_path, tmp_path)


def test_the_embedded_recording_is_gsm_and_as_long_as_its_index_says() -> None:
    information = soundfile.info(store.asset("prompts.wav"))
    entries = json.loads(store.asset("prompts.json").read_text(encoding="utf-8"))
    assert (information.samplerate, information.channels, information.subtype) == (8000, 1, "GSM610")
    total = entries[-1]["start"] + entries[-1]["samples"]
    assert total <= information.frames < total + 640  # GSM works in blocks of 320 samples
    assert 22 < total / 8000 / 60 < 24
    assert store.asset("prompts.wav").stat().st_size < 2.5e6


def test_the_card_draws_its_sample() -> None:
    assert prompts.CARD.name == "prompts" and prompts.CARD.sample is not None
    assert len(prompts.CARD.sample().axes) == 4
    assert set(prompts.CARD.files) <= set(store.checksums())
