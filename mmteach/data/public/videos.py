"""Real videos in UCF101's layout: a folder an action, clips named by the group that filmed them.

| name         | what it gives                                                          |
|--------------|------------------------------------------------------------------------|
| `load_ucf101`| evenly spaced frames of each clip, the action, and its name in words    |
| `frames`     | evenly spaced frames of one video file                                  |

Decoding needs PyAV: pip install "mmteach[video]".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.batch import Batch, Splits
from mmteach.data.public.folders import kept, locate, wrong
from mmteach.data.store import DataError

UCF101 = "UCF101"
_CURE = (
    "Get it from the page of Soomro, Zamir and Shah (2012), “UCF101: A Dataset of 101 Human Actions Classes From Videos in "
    "The Wild”."
)
_CLIP = re.compile(r"v_(\w+)_g(\d+)_c(\d+)\.avi")
_TEST_GROUPS = range(1, 8)  # those of the set's first official split
_VALID_GROUPS = range(8, 11)


def frames(path: Path, count: int, size: int) -> Tensor:
    """`count` frames at even distances over the clip, the middle square of each: (count, 3, size, size) uint8.

    Frame i of `count` is the one at position ⌊(i + ½) · N / count⌋ of the N frames; a short clip repeats frames.
    """
    _check.positive("count", count)
    try:
        import av
    except ImportError as error:
        raise DataError('reading videos needs PyAV: pip install "mmteach[video]".') from error
    from PIL import Image, ImageOps

    try:
        with av.open(str(path)) as container:
            every = [frame.to_image() for frame in container.decode(video=0)]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} cannot be read as a video ({error}): copy the data set again.") from error
    if not every:
        raise DataError(f"{path} holds no frames: copy the data set again.")
    chosen = [every[int((i + 0.5) * len(every) / count)] for i in range(count)]
    squares = [np.array(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)) for image in chosen]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).contiguous()


def load_ucf101(
    folder: str | Path | None = None,
    actions: Sequence[str] | None = None,
    count: int = 8,
    size: int = 64,
    limit: int | None = None,
) -> Splits:
    """Clips of people doing something (Soomro et al., 2012): "video" (B, count, 3, size, size) uint8, targets "label".

    folder:  UCF-101 itself or the folder it lies in; None: what MMTEACH_UCF101 names
    actions: which to read, e.g. ["Archery", "Basketball"]; None: all of them
    limit:   at most so many clips of an action in each split

    Clips of one group show the same people at the same place, so splits go by group: 1 to 7 are the test, as in the set's
    first official split, 8 to 10 for validation, the rest for training. info: "file", and "caption", the action in words.
    """
    found = locate(UCF101, folder, "MMTEACH_UCF101", _CURE)
    if (found / "UCF-101").is_dir():
        found = found / "UCF-101"
    there = sorted(path.name for path in found.iterdir() if path.is_dir() and any(path.glob("v_*.avi")))
    if not there:
        raise wrong(UCF101, found, "a folder an action with clips v_{action}_g{group}_c{clip}.avi", _CURE)
    chosen = there if actions is None else list(actions)
    for action in chosen:
        _check.choice("actions", action, tuple(there))
    files: dict[str, list[Path]] = {"train": [], "valid": [], "test": []}
    for action in chosen:
        taken = dict.fromkeys(files, 0)
        for path in sorted((found / action).iterdir()):
            clip = _CLIP.fullmatch(path.name)
            if not clip:
                continue
            part = {1: "test", 2: "valid"}.get(
                (int(clip[2]) in _TEST_GROUPS) + 2 * (int(clip[2]) in _VALID_GROUPS), "train"
            )
            if limit is None or taken[part] < limit:
                files[part].append(path)
                taken[part] += 1
    empty = [part for part, paths in files.items() if not paths]
    if empty:
        some = f"none for {' and '.join(empty)}"
        raise wrong(UCF101, found, "clips of groups 1–7, 8–10 and higher", _CURE, some)

    def make() -> dict[str, Any]:
        return {part: torch.stack([frames(path, count, size) for path in paths]) for part, paths in files.items()}

    every = [path for paths in files.values() for path in paths]
    seen = kept("ucf101", every, make, count=count, size=size, version=1)
    parts = {}
    for part, paths in files.items():
        label = torch.tensor([chosen.index(path.parent.name) for path in paths])
        names, captions = [str(path) for path in paths], [in_words(path.parent.name) for path in paths]
        parts[part] = Batch({"video": seen[part]}, {"label": label}, info={"file": names, "caption": captions})
    return Splits(UCF101, **parts, classes={"label": chosen})


def in_words(action: str) -> str:
    """An action's name as words.

    >>> in_words("ApplyEyeMakeup")
    'apply eye makeup'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", action).lower()
