"""What learners bring along, made into tensors: painted letters, uploaded pictures, sounds and clips.

| name           | what it does                                                                        |
|----------------|--------------------------------------------------------------------------------------|
| `LONGEST`      | how many letters a text that is typed may have                                          |
| `PAINTS`       | the letters one can paint with                                                          |
| `paint`        | rows of letters → a picture: a drawing made on a keyboard                                |
| `read_picture` | a picture file → uint8 (3, 48, 48)                                                       |
| `read_sound`   | a sound file → a waveform at 8 kHz                                                       |
| `read_clip`    | an animated GIF, PNG or WebP → uint8 (8, 3, 32, 32)                                       |
| `uploaded`     | the file in a FileUpload, as ipywidgets 7 and 8 keep it                                  |

Whatever cannot be read gets a ValueError whose sentence is fit to be shown to the learner.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmteach.data.audio import SAMPLE_RATE, resample

LONGEST = 200  # letters of a wish or of a text to say: a page is none, and would be minutes of speech
PAINTS = {
    ".": (255, 255, 255), "w": (255, 255, 255), "k": (40, 40, 40), "a": (140, 150, 160), "r": (221, 46, 68),
    "o": (244, 144, 12), "y": (255, 204, 77), "g": (119, 178, 85), "b": (85, 172, 238), "n": (59, 95, 175),
    "p": (170, 142, 214), "m": (138, 75, 56), "f": (244, 171, 186),
}  # fmt: skip
PAINT_NAMES = (
    ". or w white, k black, a grey, r red, o orange, y yellow, g green, b blue, n navy, p purple, m brown, f pink"
)


def paint(rows: str, size: int = 48) -> Tensor:
    """A picture from rows of letters, each letter a square of its colour, on white: uint8 (3, size, size).

    The drawing is put in the middle of a square. Raises ValueError for a letter that is no paint, for nothing, or for more
    than `size` rows or columns.

    >>> paint("rr\\nrr").shape
    torch.Size([3, 48, 48])
    """
    lines = [line.rstrip() for line in rows.lower().splitlines()]
    while lines and not lines[0].strip(" ."):
        lines.pop(0)
    while lines and not lines[-1].strip(" ."):
        lines.pop()
    if not any(line.strip(" .w") for line in lines):
        raise ValueError(f"There is no paint in this drawing, or white alone: type letters, {PAINT_NAMES}.")
    wide, high = max(map(len, lines)), len(lines)
    side = max(wide, high)
    if side > size:
        raise ValueError(f"The drawing may have {size} rows and columns at most, it has {high} and {wide}.")
    canvas = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - high) // 2, (side - wide) // 2
    for y, line in enumerate(lines):
        for x, letter in enumerate(line):
            if letter not in PAINTS and letter != " ":
                raise ValueError(f"“{letter}” in row {y + 1} is no paint. There are {PAINT_NAMES}.")
            canvas[top + y, left + x] = PAINTS.get(letter, (255, 255, 255))
    return _square(canvas, size)


def read_picture(content: bytes, size: int = 48) -> Tensor:
    """A picture file, upright and on white, in the middle of a square: uint8 (3, size, size).

    A drawing that is less than half as long as its ground is cut out first: it would be a few pixels. Raises ValueError where
    the file is no picture, or nothing is seen in it.
    """
    with _opened(
        content,
        "This file could not be read as a picture: choose a PNG, JPEG, GIF or WebP file. A program that shows the picture can "
        "save it as one of these.",
    ) as file:
        pixels = _on_white(file)
    ink = pixels.min(-1) < 245
    if not ink.any():
        raise ValueError(
            "Nothing can be seen in this picture: it is white, or white on a transparent ground. Draw in another colour."
        )
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    drawn = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _square(drawn if 2 * max(drawn.shape[:2]) < max(ink.shape) else pixels, size)


def read_sound(content: bytes, longest: float = 10.0) -> Tensor:
    """A sound file as one channel at 8 kHz, its loudest sample at ½: float32 (S,).

    Of several channels the loudest counts: their mean would be silence where one is the other turned over. Raises ValueError
    where it is no sound, is silent, or lasts less than a tenth of a second or more than `longest` seconds.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            rate, frames = file.samplerate, file.frames
            # A long recording, or one whose broken header says that it is long, is not read as a whole.
            if frames <= longest * rate:
                samples = torch.from_numpy(file.read(dtype="float32", always_2d=True))
                frames = len(samples)
    except (soundfile.SoundFileError, TypeError):
        raise ValueError(
            "This file could not be read as a sound: choose a WAV, FLAC, OGG or MP3 file. A program that plays the sound can "
            "save it as one of these."
        ) from None
    seconds = frames / rate
    if not 0.1 <= seconds <= longest:
        raise ValueError(
            f"The sound must last between 0.1 and {longest:g} seconds, it lasts {seconds:.2f}: "
            f"{'cut out the words' if seconds > longest else 'record it again'}."
        )
    if not torch.isfinite(samples).all():
        raise ValueError("Some samples of the sound are no numbers: save it again, as a WAV file of 16 bits.")
    samples = samples - samples.mean(0)  # a microphone's constant is no sound, and would be louder than the words
    waveform = samples[:, samples.square().sum(0).argmax()]
    if waveform.abs().max() < 1e-4:
        raise ValueError("The sound is silent: record it again, nearer to the microphone.")
    waveform = resample(waveform, rate, SAMPLE_RATE)
    return waveform / (2 * waveform.abs().max())


def read_clip(content: bytes, frames: int = 8, size: int = 32) -> Tensor:
    """An animated picture file as evenly spaced frames: uint8 (frames, 3, size, size).

    Raises ValueError where it is no picture or holds fewer than two frames.
    """
    from PIL import ImageSequence

    with _opened(
        content,
        "This file could not be read as a clip: choose an animated GIF, PNG or WebP file. Save a film (MP4, MOV) as one of "
        "these first.",
    ) as file:
        pages = [_square(_on_white(page), size) for _, page in zip(range(500), ImageSequence.Iterator(file))]
    if len(pages) < 2:
        raise ValueError("This picture has one frame only, and a clip needs two or more: choose an animated one.")
    chosen = [round(i * (len(pages) - 1) / (frames - 1)) for i in range(frames)]
    return torch.stack([pages[i] for i in chosen])


def uploaded(value: Any) -> bytes | None:
    """The bytes of the file last put into a FileUpload, or None: a dict by name in ipywidgets 7, a tuple in 8."""
    files = list(value.values()) if isinstance(value, dict) else list(value)
    return bytes(files[-1]["content"]) if files else None


@contextmanager
def _opened(content: bytes, otherwise: str) -> Iterator[Any]:
    """The picture file, to be read inside; whatever goes wrong there becomes a ValueError that says `otherwise`."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as file:
            yield file
    except Image.DecompressionBombError:
        raise ValueError(
            "This picture has more pixels than can be read here: save a smaller copy, of a thousand pixels a side."
        ) from None
    except Exception:  # a broken file makes the decoders raise almost anything, TypeError and SyntaxError among them
        raise ValueError(otherwise) from None


def _on_white(file: Any) -> np.ndarray:
    from PIL import Image, ImageOps

    if file.mode.startswith("I") and np.asarray(file).max() > 255:  # 16 bits a pixel: PIL would cut all grey to white
        file = Image.fromarray((np.asarray(file) >> 8).astype(np.uint8))
    # Telephones save a picture as they are held, and note which way is up.
    picture = ImageOps.exif_transpose(file).convert("RGBA")
    picture.thumbnail((512, 512))
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"))


def _square(pixels: np.ndarray, size: int) -> Tensor:
    """Pixels (H, W, 3) in the middle of a white square, at another size: uint8 (3, size, size)."""
    from PIL import Image

    high, wide = pixels.shape[:2]
    side = max(high, wide)
    square = Image.new("RGB", (side, side), "white")
    square.paste(Image.fromarray(pixels), ((side - wide) // 2, (side - high) // 2))
    smooth = Image.Resampling.NEAREST if side < size else Image.Resampling.LANCZOS
    return torch.from_numpy(np.array(square.resize((size, size), smooth))).permute(2, 0, 1).contiguous()
