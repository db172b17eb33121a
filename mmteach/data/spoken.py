"""Who says the digits: eSpeak NG's synthetic speakers, or real people, split so that no voice is in two parts.

| name             | what it gives                                                                  |
|------------------|--------------------------------------------------------------------------------|
| `voice_split`    | eSpeak's speakers by part                                                         |
| `espeak_digits`  | every speaker's recordings of the ten words, generated once and kept                |
| `read_people`    | the Free Spoken Digit Dataset from the folder that MMTEACH_FSDD names                |
| `person_split`   | its recordings by part, one person held out                                        |
| `fsdd_digits`    | those in the same form as `espeak_digits`                                          |
| `one_second`     | a recording in the middle of one second                                            |

`mmteach.data.digits` pairs these recordings with pictures and puts them in rows.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.audio import SAMPLE_RATE, hear
from mmteach.data.speech import Utterance, speak_all, variants
from mmteach.data.store import DataError, cached

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PARTS = ("train", "valid", "test")
ACCENTS = ("en", "en-us", "en-029", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc")
# Robots, monsters and whispers: fun to hear, but no idea of how people differ.
ODD = (
    "UniRobot",
    "anikaRobot",
    "Demonic",
    "croak",
    "whisper",
    "whisperf",
    *(f"robosoft{i}" for i in ("", *range(2, 9))),
)
_VERSION = 1  # part of the cache key: count up when what is generated changes


@dataclass
class Recordings:
    """Spoken digits of one part: waveforms of one second (R, 8000), what is said (R,), and by whom."""

    waveform: Tensor
    audio: Tensor
    digit: Tensor
    voice: list[str]


def voice_split() -> dict[str, list[str]]:
    """eSpeak's variants by part: no speaker, and no two settings of one speaker ("steph", "steph2"), in two parts."""
    families: dict[str, list[str]] = {}
    for variant in variants():
        if variant not in ODD:
            numbered = len(variant.rstrip("0123456789")) == 1  # "f1" … "m8" are people of their own
            families.setdefault(variant.lower() if numbered else variant.rstrip("0123456789").lower(), []).append(
                variant
            )
    names = sorted(families)
    random.Random(0).shuffle(names)
    parts: dict[str, list[str]] = {"test": [], "valid": [], "train": []}
    tenth = sum(map(len, families.values())) // 10
    for name in names:
        part = next((p for p in ("test", "valid") if len(parts[p]) < tenth), "train")
        parts[part] += families[name]
    return parts


def one_second(waveform: Tensor, samples: int = SAMPLE_RATE) -> Tensor:
    """The waveform (S,) in the middle of one second of silence, its loudest sample at ½; a longer one is cut to the
    second that holds the most energy."""
    if len(waveform) > samples:
        energy = torch.nn.functional.pad(waveform.square().cumsum(0), (1, 0))  # before each sample
        start = int((energy[samples:] - energy[:-samples]).argmax())
        waveform = waveform[start : start + samples]
    before = (samples - len(waveform)) // 2
    placed = torch.nn.functional.pad(waveform, (before, samples - len(waveform) - before))
    return placed / (2 * placed.abs().max().clamp(min=1e-6))


def espeak_digits(takes: int) -> dict[str, Recordings]:
    """Every speaker saying each digit `takes` times, in random accent, rate and pitch: recordings by part."""

    def make() -> dict[str, Any]:
        choose = random.Random(1)
        made: dict[str, Any] = {}
        for part, speakers in voice_split().items():
            utterances = [
                Utterance(word, choose.choice(ACCENTS), speaker, choose.randint(130, 220), choose.randint(35, 65))
                for speaker in speakers
                for word in WORDS
                for _ in range(takes)
            ]
            waveform = torch.stack([one_second(w) for w in speak_all(utterances)])
            made[part] = {
                "waveform": (waveform * 32767).round().to(torch.int16),
                "digit": torch.tensor([WORDS.index(u.text) for u in utterances]),
                "voice": [f"{u.voice}+{u.variant}" for u in utterances],
            }
            made[part]["audio"] = hear(made[part]["waveform"].float() / 32767)
        return made

    kept = cached("spoken-digits", make, version=_VERSION, takes=takes, espeak=espeak_version())
    return {
        part: Recordings(r["waveform"].float() / 32767, r["audio"], r["digit"], r["voice"]) for part, r in kept.items()
    }


def espeak_version() -> str:
    """The version of the package that brings eSpeak NG: part of every cache key of what it says."""
    from importlib.metadata import version

    return version("espeakng-loader")


def read_people() -> dict[str, Any]:
    """Real people saying digits: {"waveforms", "digit", "speaker", "index", "sample_rate"}, see `public.load_fsdd`."""
    folder = os.environ.get("MMTEACH_FSDD")
    if not folder:
        raise DataError(
            'speech="fsdd" needs the Free Spoken Digit Dataset: set the variable MMTEACH_FSDD to its folder, '
            'or use speech="espeak", which needs no download.'
        )
    from mmteach.data.public import load_fsdd

    return load_fsdd(Path(folder))


def person_split(people: dict[str, Any], held_out: str | None) -> dict[str, list[int]]:
    """Positions by part: the person held out is the test; of the others' takes of each digit every tenth is valid."""
    speakers = sorted(set(people["speaker"]))
    if len(speakers) < 2:
        raise DataError(f"one person is held out, so two or more are needed; the recordings are all by {speakers}")
    held_out = speakers[-1] if held_out is None else held_out
    _check.choice("held_out", held_out, tuple(speakers))
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    for position, (speaker, index) in enumerate(zip(people["speaker"], people["index"])):
        parts["test" if speaker == held_out else "valid" if index % 10 == 0 else "train"].append(position)
    return parts


def fsdd_digits(held_out: str | None) -> dict[str, Recordings]:
    """Real people, one of them held out: recordings by part."""
    people = read_people()
    made = {}
    for part, positions in person_split(people, held_out).items():
        waveform = torch.stack([one_second(people["waveforms"][i]) for i in positions])
        voice = [people["speaker"][i] for i in positions]
        made[part] = Recordings(waveform, hear(waveform), people["digit"][positions], voice)
    return made
