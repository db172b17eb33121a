"""Real human speech with what is said: 549 English telephone prompts by one speaker, 23 minutes at 8 kHz.

| name            | what it gives, and when to use it                                         |
|-----------------|---------------------------------------------------------------------------|
| `load_prompts`  | log-mel pictures and letters: speech recognition on a real voice              |
| `LETTERS`       | the letters a transcript is written in, in the order of their numbers           |
| `spell`         | text to numbers; `unspell` goes back                                        |

The recordings are the Asterisk core sounds, spoken by Allison Smith (CC-BY-SA-3.0); `tools/build_prompts.py` says what was
left out and how the transcripts were normalised.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.audio import SAMPLE_RATE, frame_count, frame_mask, hear, pad
from mmteach.data.batch import Batch, Splits
from mmteach.data.cards import Card
from mmteach.data.store import asset, cached, checksums

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = ("<blank>", " ", "'", *"abcdefghijklmnopqrstuvwxyz")
_NUMBERS = {letter: number for number, letter in enumerate(LETTERS)}
_VERSION = 1  # part of the cache key: count up when the features change


def spell(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Texts as numbers of their letters, padded with 0 (CTC's blank), and their lengths: (N, L), (N,).

    Raises ValueError for a letter that is not in LETTERS.

    >>> spell(["ab", "a"])
    (tensor([[3, 4],
            [3, 0]]), tensor([2, 1]))
    """
    if not texts:
        raise ValueError("texts is empty: at least one is needed")
    ids = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
    for row, text in zip(ids, texts):
        unknown = sorted(set(text) - set(LETTERS[1:]))
        if unknown:
            raise ValueError(
                f"{text!r} holds {unknown[0]!r}: only a–z in small letters, the apostrophe and spaces can be spelt"
            )
        row[: len(text)] = torch.tensor([_NUMBERS[letter] for letter in text])
    return ids, torch.tensor([len(text) for text in texts])


def unspell(ids: Sequence[int] | Tensor) -> str:
    """The text that a row of numbers spells; 0 is nothing.

    >>> unspell([10, 7, 14, 14, 17, 0, 0])
    'hello'
    """
    return "".join(LETTERS[int(number)] for number in ids if int(number) != 0)


def _recordings() -> tuple[list[dict[str, Any]], list[Tensor]]:
    """What the index file says of each recording, and its waveform."""
    import soundfile

    entries = json.loads(asset("prompts.json").read_text(encoding="utf-8"))
    samples, _ = soundfile.read(asset("prompts.wav"), dtype="int16")
    sound = torch.from_numpy(samples)
    return entries, [sound[e["start"] : e["start"] + e["samples"]] for e in entries]


def load_prompts(longest: float = 8.0) -> Splits:
    """Telephone prompts by one real speaker, about 80 / 10 / 10 %, no sentence or near-duplicate of it in two parts.

    longest: seconds; longer recordings are left out, because every example is padded to the longest (all: 35 s)

    inputs  {"audio": (N, 1, 40, T), `audio.hear(waveform)` at 100 frames a second, padded}, masks {"audio": (N, T)},
    targets {"text": (N, L) numbers of LETTERS, 0 = padding and CTC's blank; "text_length": (N,)},
    info    {"transcript": words, "name": of the recording, "waveform": tensors (S_i,)}

    Sentences that have three quarters of their words in common count as near-duplicates.
    """
    _check.positive("longest", longest)

    def make() -> dict[str, Any]:
        entries, waveforms = _recordings()
        made: dict[str, Any] = {}
        for part in ("train", "valid", "test"):
            rows = [i for i, e in enumerate(entries) if e["part"] == part and e["samples"] <= longest * SAMPLE_RATE]
            if not rows:
                raise ValueError(f"longest={longest} seconds leaves no recording in {part}: 8 keeps most")
            waveform, samples = pad([waveforms[i].float() / 32768 for i in rows])
            mask = frame_mask(samples, frame_count(waveform.shape[1]))
            made[part] = {
                "audio": hear(waveform, mask),
                "mask": mask,
                "sound": torch.cat([waveforms[i] for i in rows]),
                "samples": samples,
                "transcript": [entries[i]["text"] for i in rows],
                "name": [entries[i]["name"] for i in rows],
            }
        return made

    asset("prompts.wav"), asset("prompts.json")  # a damaged file is noticed even when the cache could do without it
    sums = [checksums()[name] for name in ("prompts.wav", "prompts.json")]
    kept = cached("prompts", make, version=_VERSION, longest=longest, files=sums)
    parts = {}
    for part, p in kept.items():
        text, length = spell(p["transcript"])
        waveforms = list((p["sound"].float() / 32768).split(p["samples"].tolist()))
        parts[part] = Batch(
            {"audio": p["audio"]},
            {"text": text, "text_length": length},
            {"audio": p["mask"]},
            info={"transcript": p["transcript"], "name": p["name"], "waveform": waveforms},
        )
    return Splits("prompts", **parts, classes={"text": list(LETTERS)})


def _sample() -> Figure:
    from matplotlib.figure import Figure

    batch = load_prompts().test
    shown = [i for i, text in enumerate(batch.info["transcript"]) if 15 <= len(text) <= 45][:4]
    figure = Figure(figsize=(9, 6), layout="constrained")
    for row, i in enumerate(shown):
        frames = int(batch.masks["audio"][i].sum())
        axes = figure.add_subplot(len(shown), 1, row + 1)
        axes.imshow(
            batch.inputs["audio"][i, 0, :, :frames].numpy(),
            origin="lower",
            aspect="auto",
            extent=(0, frames / 100, 0, 40),
        )
        axes.set_title(batch.info["transcript"][i], fontsize=10)
        axes.set_ylabel("mel band")
    axes.set_xlabel("seconds")
    return figure


CARD = Card(
    name="prompts",
    title="Telephone prompts: real human speech with its words",
    modalities=("audio 1×40×T log-mel (8 kHz)", "transcript"),
    examples="549 utterances, 23 minutes, one speaker",
    source="Debian packages asterisk-core-sounds-en-wav and asterisk-core-sounds-en 1.6.1-1, recorded by Allison Smith",
    licence="CC-BY-SA-3.0",
    files=("prompts.wav", "prompts.json"),
    splits="by sentence, about 80 / 10 / 10 %: sentences with three quarters of their words in common stay in one part",
    beware="One speaker only, so a good result says nothing about other voices. Coded with GSM 6.10, the sound of a mobile "
    "telephone. Many prompts are single words or letters that occur nowhere else. Seven misspelt words of the transcripts "
    "were put right and how abbreviations are read was decided from the text, not by ear.",
    sample=_sample,
)
