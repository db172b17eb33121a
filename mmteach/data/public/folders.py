"""What the readers of public sets share: errors that help, pictures of one size, a cache that notices changed files.

| name       | what it does                                                                 |
|------------|------------------------------------------------------------------------------|
| `locate`   | the folder to read: the argument, or what an environment variable names        |
| `wrong`    | the DataError for a folder: what was expected, what was found, where to get it |
| `picture`  | an image file as uint8 (3, size, size)                                         |
| `sound`    | a sound file as one channel at the course's 8 kHz                             |
| `kept`     | `store.cached`, made again when a file's size or time changes                  |
| `by_family`| train, valid and test positions in which no family is parted                   |
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmteach.data.audio import SAMPLE_RATE, resample
from mmteach.data.store import DataError, cached


def wrong(title: str, folder: Path, expected: str, cure: str, found: str | None = None) -> DataError:
    """The error for a folder that is not what was expected; `found` describes it where its listing would not."""
    if found is None:
        if not folder.exists():
            found = "no such folder"
        elif not folder.is_dir():
            found = "a file, not a folder"
        else:
            names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
            found = (
                ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "an empty folder"
            )
    return DataError(f"{title}: expected {expected} in {folder}, found {found}. {cure}")


def locate(title: str, folder: str | Path | None, variable: str, cure: str) -> Path:
    """`folder`, or what the environment variable names; DataError where neither is given or there is no such folder."""
    given = folder or os.environ.get(variable)
    if not given:
        raise DataError(f"{title}: no folder was named. Pass folder=…, or set the variable {variable}. {cure}")
    path = Path(given).expanduser()
    if not path.is_dir():
        raise DataError(f"{title}: there is no folder {path}. {cure}")
    return path


def picture(path: Path, size: int) -> Tensor:
    """The image file, its middle square scaled to size × size: (3, size, size) uint8; see-through parts become white."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}): copy the data set again.") from error
    flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    square = ImageOps.fit(flat, (size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def sound(path: Path, rate: int = SAMPLE_RATE) -> Tensor:
    """The sound file's channels averaged, at `rate` samples a second: (S,) float32 in [−1, 1]."""
    import soundfile

    try:
        samples, own_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read as sound ({error}): copy the data set again.") from error
    mono = torch.from_numpy(samples.mean(1))
    return mono if own_rate == rate else resample(mono, own_rate, rate)


def kept(name: str, files: Sequence[Path], make: Callable[[], dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """What `make()` reads from `files`, from the cache as long as none of them changed in size or time."""
    state = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return cached(name, make, files=state, **settings)


def by_family(families: Sequence[str], seed: int = 0, valid: float = 0.1, test: float = 0.1) -> dict[str, list[int]]:
    """Positions by part, about 80 / 10 / 10 %, so that all examples of a family are in one part.

    Raises ValueError where there are fewer than three families: then one part would be empty.
    """
    names = sorted(set(families))
    if len(names) < 3:
        raise ValueError(f"three splits need at least 3 families, got {len(names)}: {names}")
    random.Random(seed).shuffle(names)
    many_test, many_valid = max(1, round(test * len(names))), max(1, round(valid * len(names)))
    where = dict.fromkeys(names, "train")
    where |= dict.fromkeys(names[:many_test], "test")
    where |= dict.fromkeys(names[many_test : many_test + many_valid], "valid")
    parts: dict[str, list[int]] = {"train": [], "valid": [], "test": []}
    for position, family in enumerate(families):
        parts[where[family]].append(position)
    return parts
