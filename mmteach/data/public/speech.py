"""Real spoken words: the Free Spoken Digit Dataset and Speech Commands, read from a folder you have.

| name                   | what it gives                                                     |
|------------------------|-------------------------------------------------------------------|
| `load_fsdd`            | the Free Spoken Digit Dataset's recordings, digits and speakers    |
| `load_speech_commands` | one-second recordings of single words, in the set's own splits     |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mmteach import _check
from mmteach.data.audio import SAMPLE_RATE, log_mel
from mmteach.data.batch import Batch, Splits
from mmteach.data.public.folders import kept, locate, sound, wrong
from mmteach.data.store import DataError

FSDD = "Free Spoken Digit Dataset"
_FSDD_CURE = (
    "Get it from its GitHub repository, Jakobovski/free-spoken-digit-dataset (licence CC-BY-SA-4.0), and set MMTEACH_FSDD "
    "to its folder."
)
_FSDD_NAME = re.compile(r"(\d)_([^_]+)_(\d+)\.wav")


def load_fsdd(folder: str | Path | None = None) -> dict[str, Any]:
    """The Free Spoken Digit Dataset: people who say the digits 0 to 9, at 8 kHz.

    folder: that of the repository or its `recordings`; None: what MMTEACH_FSDD names
    Returns {"waveforms": list of (S,) float32, "digit": (N,) int64, "speaker": list, "index": list, "sample_rate": 8000},
    ordered by speaker, digit and index. `index` numbers a speaker's takes of a digit; the set's own test takes are 0 to 4.
    Raises DataError where the folder holds no recordings, lacks a digit, or has a file that cannot be read.
    """
    found = locate(FSDD, folder, "MMTEACH_FSDD", _FSDD_CURE)
    expected = "files {digit}_{speaker}_{index}.wav"
    if (found / "recordings").is_dir():
        found = found / "recordings"
    takes = [(m[2], int(m[1]), int(m[3]), path) for path in found.iterdir() if (m := _FSDD_NAME.fullmatch(path.name))]
    if not takes:
        raise wrong(FSDD, found, expected, _FSDD_CURE)
    missing = sorted(set(range(10)) - {digit for _, digit, _, _ in takes})
    if missing:
        some = f"{len(takes)} recordings, none of the digits {', '.join(map(str, missing))}"
        raise wrong(FSDD, found, f"{expected} of all ten digits", _FSDD_CURE, some)
    takes.sort()
    return {
        "waveforms": [_at_8_khz(path) for *_, path in takes],
        "digit": torch.tensor([digit for _, digit, _, _ in takes]),
        "speaker": [speaker for speaker, *_ in takes],
        "index": [index for _, _, index, _ in takes],
        "sample_rate": SAMPLE_RATE,
    }


def _at_8_khz(path: Path) -> torch.Tensor:
    import soundfile

    try:
        rate = soundfile.info(path).samplerate
    except (OSError, RuntimeError) as error:
        raise DataError(f"{FSDD}: {path} cannot be read as sound ({error}). {_FSDD_CURE}") from error
    if rate != SAMPLE_RATE:
        raise DataError(f"{FSDD}: {path} has {rate} samples a second, expected {SAMPLE_RATE}. {_FSDD_CURE}")
    return sound(path)


_COMMANDS = "Speech Commands"
_COMMANDS_CURE = (
    "Get it as torchvision's sister library does, with torchaudio.datasets.SPEECHCOMMANDS(folder, download=True), or "
    "from the page of Warden (2018), “Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition”."
)


def load_speech_commands(
    folder: str | Path | None = None, words: Sequence[str] | None = None, limit: int | None = None
) -> Splits:
    """Speech Commands (Warden, 2018): people who say single words, each recording one second at 16 kHz.

    folder: holds a folder a word with files {speaker}_nohash_{take}.wav, validation_list.txt and testing_list.txt;
            None: what MMTEACH_SPEECH_COMMANDS names
    words:  which words to read; None: all
    limit:  at most so many recordings of a word in each split, the first in the order of their names

    The lists are the set's own; no speaker is in two of the splits. inputs "audio" (B, 1, 40, 101), log-mel of the sound at
    8 kHz; targets "label"; info "speaker" and "file".
    """
    found = locate(_COMMANDS, folder, "MMTEACH_SPEECH_COMMANDS", _COMMANDS_CURE)
    lists = {"valid": "validation_list.txt", "test": "testing_list.txt"}
    for name in lists.values():
        if not (found / name).is_file():
            raise wrong(_COMMANDS, found, f"{name} beside a folder a word", _COMMANDS_CURE)
    there = sorted(path.name for path in found.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))
    chosen = there if words is None else list(words)
    for word in chosen:
        _check.choice("words", word, tuple(there))
    listed = {name: part for part, file in lists.items() for name in (found / file).read_text("utf-8").split()}
    files: dict[str, list[Path]] = {"train": [], "valid": [], "test": []}
    for word in chosen:
        count = dict.fromkeys(files, 0)
        for path in sorted((found / word).glob("*_nohash_*.wav")):
            part = listed.get(f"{word}/{path.name}", "train")
            if limit is None or count[part] < limit:
                files[part].append(path)
                count[part] += 1
    empty = [part for part, paths in files.items() if not paths]
    if empty:
        some = f"none for {' and '.join(empty)} among the words {', '.join(chosen[:5]) or '(no word folder)'}"
        raise wrong(_COMMANDS, found, "recordings {speaker}_nohash_{take}.wav for all splits", _COMMANDS_CURE, some)

    def make() -> dict[str, Any]:
        return {part: torch.cat([_one_second(path) for path in paths]) for part, paths in files.items()}

    heard = kept("speech-commands", [path for paths in files.values() for path in paths], make, version=1)
    parts = {
        part: Batch(
            {"audio": heard[part]},
            {"label": torch.tensor([chosen.index(path.parent.name) for path in paths])},
            info={"speaker": [path.name.split("_")[0] for path in paths], "file": [str(path) for path in paths]},
        )
        for part, paths in files.items()
    }
    return Splits(_COMMANDS, **parts, classes={"label": chosen})


def _one_second(path: Path) -> torch.Tensor:
    waveform = sound(path)[:SAMPLE_RATE]
    return log_mel(torch.nn.functional.pad(waveform, (0, SAMPLE_RATE - len(waveform)))[None])
