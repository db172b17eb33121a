"""eSpeak NG speaks plausibly, the same way each time, and says what is wrong."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmteach.data import speech
from mmteach.data.speech import Utterance, speak, speak_all, variants, voices
from mmteach.data.store import DataError


def test_speech_is_as_long_and_as_loud_as_speech() -> None:
    short, long = speak("seven"), speak("one two three four five six seven")
    assert short.dtype == torch.float32 and short.ndim == 1
    assert 0.2 < len(short) / 8000 < 0.9
    assert 4 < len(long) / len(short) < 9
    for waveform in (short, long):
        assert 0.1 < waveform.abs().max() <= 1
        assert 0.01 < waveform.square().mean().sqrt() < 0.5
        assert waveform[0].abs() > 0.002 and waveform[-1].abs() > 0.002  # no silence before and after


def test_rate_pitch_voice_variant_and_sampling_rate_are_obeyed() -> None:
    usual = speak("good morning everybody")
    assert len(speak("good morning everybody", rate=350)) < 0.7 * len(usual)
    assert len(speak("good morning everybody", sample_rate=16000)) == pytest.approx(2 * len(usual), rel=0.01)
    others = [speak("good morning everybody", **how) for how in (dict(voice="fr"), dict(variant="f3"), dict(pitch=90))]
    for other in others:
        assert len(other) != len(usual) or not torch.equal(other, usual)

    def period(waveform: torch.Tensor) -> int:
        """The lag in samples at which the middle of a vowel is most like itself."""
        middle = waveform[len(waveform) // 2 - 400 : len(waveform) // 2 + 400]
        return max(range(20, 160), key=lambda lag: float((middle[:-lag] * middle[lag:]).mean()))

    assert period(speak("ah", pitch=99)) < 0.7 * period(speak("ah", pitch=1))


def test_the_same_words_give_the_same_samples_whatever_was_said_before() -> None:
    first = speak("seven", voice="en-us", variant="f2")
    speak_all([Utterance("three"), Utterance("a long sentence in between", "fr", "klatt4")])
    assert torch.equal(speak("seven", voice="en-us", variant="f2"), first)


def test_another_process_says_it_the_same_way() -> None:
    program = "from mmteach.data.speech import speak; print(speak('seven', variant='m3').double().abs().sum().item())"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert float(said) == speak("seven", variant="m3").double().abs().sum().item()


def test_threads_wait_for_each_other() -> None:
    alone = [speak(word) for word in ("one", "two", "three", "four")]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(speak, ("one", "two", "three", "four")))
    assert all(torch.equal(a, b) for a, b in zip(alone, together))


def test_many_at_once_are_like_one_by_one() -> None:
    words = ["one", "two", "three"]
    many = speak_all([Utterance(word, variant="m1") for word in words])
    assert len(many) == 3
    for waveform, word in zip(many, words):
        assert len(waveform) == pytest.approx(len(speak(word, variant="m1")), rel=0.1)
    assert speak_all([]) == []


def test_voices_hold_accents_and_languages() -> None:
    found = voices()
    assert len(found) > 100
    assert found["en-us"] == "English (America)" and found["en-gb"] == "English (Great Britain)"
    assert {"fr", "de", "cmn", "es", "hi"} <= set(found)
    assert len(speak("hello", voice="en-gb")) > 1000  # eSpeak itself refuses this name, and speaks all the same


def test_variants_hold_the_numbered_ones_and_no_unsteady_one() -> None:
    found = variants()
    assert found == sorted(found) and len(found) > 90
    assert {"f1", "f5", "m1", "m8"} <= set(found)
    assert not {"Reed", "caleb"} & set(found)


def test_every_variant_is_heard_and_steady() -> None:
    once = speak_all([Utterance("five", variant=v) for v in variants()])
    again = speak_all([Utterance("five", variant=v) for v in variants()])
    for name, first, second in zip(variants(), once, again):
        assert torch.equal(first, second), name
        assert first.abs().max() > 0.1 and 0.15 < len(first) / 8000 < 1, name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ""}, "text must hold at least one letter or digit to say, got ''"),
        ({"text": " …!"}, "text must hold at least one letter or digit to say, got ' …!'"),
        ({"text": "a", "voice": "en-uss"}, "no eSpeak voice is called 'en-uss': did you mean 'en-us'"),
        ({"text": "a", "voice": "zzzz"}, "no eSpeak voice is called 'zzzz': there are af, am,"),
        ({"text": "a", "variant": "f9"}, "no eSpeak variant is called 'f9': there are Alex,"),
        ({"text": "a", "variant": "Alexx"}, "no eSpeak variant is called 'Alexx': did you mean 'Alex'"),
        ({"text": "a", "rate": 79}, "rate must be between 80 and 450, got 79"),
        ({"text": "a", "pitch": 101}, "pitch must be between 0 and 100, got 101"),
        ({"text": "a", "sample_rate": 0}, "sample_rate must be above 0, got 0"),
    ],
)
def test_wrong_wishes_say_what_is_possible(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError) as error:
        speak(**arguments)
    assert str(error.value).startswith(message)


def test_the_bounds_themselves_are_allowed() -> None:
    assert len(speak("a", rate=80, pitch=0)) > len(speak("a", rate=450, pitch=100))


def test_a_library_that_cannot_be_loaded_is_said_kindly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import espeakng_loader

    broken = tmp_path / "libespeak-ng.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(broken))
    with pytest.raises(DataError, match=r"eSpeak NG could not be loaded on .*Spoken data cannot be made here"):
        speak("a")


def test_a_missing_package_or_missing_data_is_said_kindly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import espeakng_loader

    speak("a")
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(DataError, match=r"eSpeak NG did not start with its data in .*reinstall espeakng-loader"):
        speak("b")
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(DataError, match=r"eSpeak NG is missing .*pip install espeakng-loader"):
        speak("b")


def test_a_failing_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "_voice_table", lambda: {"en": ("English", "no/such/voice")})
    with pytest.raises(DataError, match=r"failed at choosing the voice 'no/such/voice' for Utterance.*code \d+"):
        speak("a")


@pytest.mark.skipif(os.name == "nt", reason="making links needs a right on Windows that not everybody has")
def test_a_path_too_long_for_espeak_is_linked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import espeakng_loader

    usual = speak("seven")
    deep = tmp_path / ("d" * 100) / ("e" * 100) / "espeak-ng-data"
    shutil.copytree(espeakng_loader.get_data_path(), deep)
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep))
    assert torch.equal(speak("seven"), usual)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no right to")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(DataError, match=r"cannot hold a path longer than 150 bytes.*no right to.*shorter path"):
        speak("seven")
