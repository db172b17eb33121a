"""Speech from text by eSpeak NG, a rule-based synthesiser that comes as a Python package and needs no network.

| name         | what it does, and when to use it                                             |
|--------------|------------------------------------------------------------------------------|
| `speak`      | one text in one voice: a waveform to play or to feed to a model                 |
| `Utterance`  | a text with how to say it                                                       |
| `speak_all`  | many utterances at once, about 1,000 a second: how the spoken data sets are made  |
| `voices`     | the languages and accents                                                       |
| `variants`   | the speakers: parameter settings that change age, pitch, timbre                   |

It is synthetic: sounds are computed from formant rules, not cut from recordings, and the variants differ by a handful of
parameters. A model that is perfect on eSpeak may fail on people; the course measures by how much.
"""

from __future__ import annotations

import ctypes
import difflib
import functools
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.audio import SAMPLE_RATE, resample
from mmteach.data.store import DataError

# From eSpeak NG's speak_lib.h.
_SYNCHRONOUS, _DONT_EXIT, _UTF8 = 2, 0x8000, 1
_RATE, _PITCH = 1, 3
# These two take noise from the C library's own random numbers, which no seed of eSpeak NG reaches: no two takes are alike.
_UNSTEADY = {"Reed", "caleb"}
_LONGEST_PATH = 150  # bytes: eSpeak NG keeps the path of its data in 160, and a longer one fails without saying so

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_lock = threading.Lock()  # the library keeps its state in global variables: one caller at a time


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("rest", ctypes.c_byte * 16),
    ]


@dataclass(frozen=True)
class Utterance:
    """A text and how to say it.

    voice:   a language or accent of `voices()`, e.g. "en-us"
    variant: a speaker of `variants()`, e.g. "f3", or None for the language's own
    rate:    words a minute, 80 … 450
    pitch:   0 … 100, 50 is the speaker's own
    """

    text: str
    voice: str = "en"
    variant: str | None = None
    rate: int = 175
    pitch: int = 50


def _data_folder() -> Path:
    try:
        import espeakng_loader

        return Path(espeakng_loader.get_data_path())
    except (ImportError, RuntimeError) as error:
        raise DataError(f"eSpeak NG is missing ({error}). Install it with `pip install espeakng-loader`.") from error


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """The folder itself, or a link to it where its own path is longer than eSpeak NG can hold."""
    if len(os.fsencode(folder)) <= _LONGEST_PATH:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="mmteach-") as temporary:
        link = Path(temporary) / "data"
        try:
            link.symlink_to(folder, target_is_directory=True)
        except OSError as error:
            raise DataError(
                f"eSpeak NG cannot hold a path longer than {_LONGEST_PATH} bytes, and {folder} is; a shorter link to it "
                f"could not be made ({error}). Put the Python environment into a folder with a shorter path."
            ) from error
        yield link


@contextmanager
def _library() -> Iterator[ctypes.CDLL]:
    """eSpeak NG, freshly loaded and unloaded afterwards.

    The phase of its oscillators and its random numbers live in global variables that it never sets back: "seven" said
    twice gives two different waveforms. A fresh copy with a fixed seed says it the same way each time.
    """
    folder = _data_folder()
    import espeakng_loader

    with _lock, _short(folder) as short:
        path = espeakng_loader.get_library_path()
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise DataError(
                f"eSpeak NG could not be loaded on {sys.platform}: {error}. Spoken data cannot be made here; everything "
                "else works. `pip install --force-reinstall espeakng-loader` cures a broken installation."
            ) from error
        try:
            library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
            library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
            if library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(short), _DONT_EXIT) <= 0:
                raise DataError(f"eSpeak NG did not start with its data in {folder}: reinstall espeakng-loader.")
            library.espeak_ng_SetRandSeed(1)
            yield library
            library.espeak_Terminate()
        finally:
            _unload(library)


def _unload(library: ctypes.CDLL) -> None:
    import _ctypes

    close = getattr(_ctypes, "dlclose", None) or getattr(_ctypes, "FreeLibrary", None)
    if close is not None:
        close(library._handle)


def _languages(address: int) -> Iterator[tuple[int, str]]:
    """Pairs of priority (1 is best) and language from eSpeak's packed list: a byte, a string ending in 0, … and a 0."""
    while priority := ctypes.string_at(address, 1)[0]:
        code = ctypes.string_at(address + 1)
        yield priority, code.decode()
        address += len(code) + 2


@functools.cache
def _voice_table() -> dict[str, tuple[str, str]]:
    """By language: the name of its best voice and the identifier that selects it."""
    best: dict[str, tuple[int, str, str]] = {}
    with _library() as library:
        listed = library.espeak_ListVoices(None)
        index = 0
        while listed[index]:
            voice = listed[index].contents
            for priority, code in _languages(voice.languages):
                if code not in best or priority < best[code][0]:
                    best[code] = (priority, voice.name.decode(), voice.identifier.decode())
            index += 1
    return {code: (name, identifier) for code, (_, name, identifier) in sorted(best.items())}


def voices() -> dict[str, str]:
    """The languages and accents eSpeak NG has, by code: {"en-us": "English (America)", "fr": "French (France)", …}."""
    return {code: name for code, (name, _) in _voice_table().items()}


@functools.cache
def _variants() -> tuple[str, ...]:
    return tuple(sorted({path.name for path in (_data_folder() / "voices" / "!v").iterdir()} - _UNSTEADY))


def variants() -> list[str]:
    """The speakers that can say any language: "f1" … "f5" and "m1" … "m8", and named ones. Sorted."""
    return list(_variants())


def _close_to(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=3)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {', '.join(known)}."


def _checked(utterance: Utterance) -> None:
    if not isinstance(utterance.text, str) or not any(letter.isalnum() for letter in utterance.text):
        raise ValueError(f"text must hold at least one letter or digit to say, got {utterance.text!r}")
    if utterance.voice not in _voice_table():
        raise ValueError(f"no eSpeak voice is called {utterance.voice!r}: {_close_to(utterance.voice, list(voices()))}")
    if utterance.variant is not None and utterance.variant not in _variants():
        raise ValueError(
            f"no eSpeak variant is called {utterance.variant!r}: {_close_to(utterance.variant, _variants())}"
        )
    _check.between("rate", utterance.rate, 80, 450)
    _check.between("pitch", utterance.pitch, 0, 100)


def speak_all(utterances: Sequence[Utterance], sample_rate: int = SAMPLE_RATE) -> list[Tensor]:
    """Say each utterance: a list of float32 waveforms (S_i,) in [−1, 1], without the silence before and after.

    The same list gives the same samples each time; the same utterance in another list may differ a little, because
    eSpeak NG goes on from the state in which the one before left it.
    """
    _check.positive("sample_rate", sample_rate)
    for utterance in utterances:
        _checked(utterance)
    table = _voice_table()
    chunks: list[bytes] = []

    @_Callback
    def collect(samples, count, events):
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    spoken = []
    with _library() as library:
        made_rate = library.espeak_ng_GetSampleRate()
        library.espeak_SetSynthCallback(collect)
        for utterance in utterances:
            chunks.clear()
            voice = table[utterance.voice][1] + (f"+{utterance.variant}" if utterance.variant else "")
            text = utterance.text.encode() + b"\0"
            for step, status in (
                (f"choosing the voice {voice!r}", library.espeak_SetVoiceByName(voice.encode())),
                ("setting the rate", library.espeak_SetParameter(_RATE, utterance.rate, 0)),
                ("setting the pitch", library.espeak_SetParameter(_PITCH, utterance.pitch, 0)),
                ("speaking", library.espeak_Synth(text, len(text), 0, 1, 0, _UTF8, None, None)),
            ):
                if status != 0:
                    raise DataError(f"eSpeak NG failed at {step} for {utterance} (code {status})")
            spoken.append(b"".join(chunks))
    waveforms = [torch.frombuffer(bytearray(s), dtype=torch.int16).float() / 32768 for s in spoken]
    # The low-pass filter rings a little beyond the loudest samples: what passes full scale is cut there.
    return [_trimmed(resample(waveform, made_rate, sample_rate).clamp(-1, 1)) for waveform in waveforms]


def _trimmed(waveform: Tensor, level: float = 0.002) -> Tensor:
    """The waveform from its first sample above `level` to its last (−54 dB of full scale: below hearing)."""
    loud = (waveform.abs() > level).nonzero().flatten()
    return waveform[loud[0] : loud[-1] + 1] if len(loud) else waveform


def speak(
    text: str,
    voice: str = "en",
    variant: str | None = None,
    rate: int = 175,
    pitch: int = 50,
    sample_rate: int = SAMPLE_RATE,
) -> Tensor:
    """Say a text with eSpeak NG: a float32 waveform (S,) in [−1, 1], the same each time.

    voice:       a language or accent of `voices()`
    variant:     a speaker of `variants()`, or None for the language's own
    rate:        words a minute, 80 … 450
    pitch:       0 … 100, 50 is the speaker's own
    sample_rate: samples a second of the result

    Raises ValueError for an empty text, an unknown voice or variant, or a rate or pitch out of range; DataError where
    eSpeak NG cannot be loaded.

    >>> waveform = speak("good morning", voice="en-us", variant="f3")
    >>> 0.4 < len(waveform) / 8000 < 1.2  # seconds
    True
    """
    return speak_all([Utterance(text, voice, variant, rate, pitch)], sample_rate)[0]
