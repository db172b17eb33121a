"""Real pictures: torchvision's pets, flowers and digits, and captioned photographs in Flickr8k's layout.

| name            | what it gives                                                                 |
|-----------------|-------------------------------------------------------------------------------|
| `load_pets`     | Oxford-IIIT Pet: 37 breeds of cats and dogs                                     |
| `load_flowers`  | Oxford 102 Flower                                                               |
| `load_mnist`    | all 70,000 handwritten digits                                                   |
| `load_captions` | photographs with several captions each: Flickr8k, or a folder of your own like it |

Nothing is downloaded unless `download=True` says so. Pictures come as uint8, so that thousands fit into memory.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mmteach.data.batch import Batch, Splits
from mmteach.data.public.folders import by_family, kept, locate, picture, wrong
from mmteach.data.store import DataError
from mmteach.data.text import Vocabulary


def _torchvision(
    title: str, folder: str | Path, download: bool, make: Callable[..., Any], splits: list[Any]
) -> list[Any]:
    """The torchvision data sets of `splits`, or a DataError in the course's words."""
    try:
        return [make(root=str(folder), download=download, **split) for split in splits]
    except (RuntimeError, OSError) as error:
        cure = "Pass download=True to fetch it (on Colab, say), or name the folder that torchvision keeps it in."
        if download:
            cure = "The download did not work: is there a connection, and room on the disk?"
        raise wrong(title, Path(folder), f"what torchvision.datasets.{make.__name__} keeps there", cure) from error


def _read(name: str, parts: dict[str, list[tuple[Path, int]]], size: int) -> dict[str, Batch]:
    files = [path for rows in parts.values() for path, _ in rows]
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise DataError(f"{name}: {len(missing)} of {len(files)} pictures are missing, the first is {missing[0]}.")

    def make() -> dict[str, Any]:
        return {part: torch.stack([picture(path, size) for path, _ in rows]) for part, rows in parts.items()}

    seen = kept(name, files, make, size=size, version=1)
    return {
        part: Batch(
            {"image": seen[part]},
            {"label": torch.tensor([label for _, label in rows])},
            info={"name": [path.stem for path, _ in rows]},
        )
        for part, rows in parts.items()
    }


def load_pets(folder: str | Path, size: int = 64, download: bool = False) -> Splits:
    """Oxford-IIIT Pet (Parkhi et al., 2012): inputs "image" (B, 3, size, size) uint8, targets "label", 37 breeds.

    The set's own test part is the test; of the rest, every tenth picture of a breed is for validation.
    """
    from torchvision.datasets import OxfordIIITPet

    title = "Oxford-IIIT Pet"
    rest, test = _torchvision(title, folder, download, OxfordIIITPet, [{"split": "trainval"}, {"split": "test"}])
    parts: dict[str, list[tuple[Path, int]]] = {"train": [], "valid": [], "test": list(zip(test._images, test._labels))}
    seen: dict[int, int] = {}
    for path, label in zip(rest._images, rest._labels):
        parts["valid" if seen.get(label, 0) % 10 == 9 else "train"].append((path, label))
        seen[label] = seen.get(label, 0) + 1
    if not parts["valid"]:
        raise wrong(
            title, Path(folder), "at least 10 pictures of a breed", "The set is not complete: download it again."
        )
    return Splits(title, **_read(title, parts, size), classes={"label": list(rest.classes)})


def load_flowers(folder: str | Path, size: int = 64, download: bool = False) -> Splits:
    """Oxford 102 Flower (Nilsback and Zisserman, 2008): "image" (B, 3, size, size) uint8, "label"; the set's own splits."""
    from torchvision.datasets import Flowers102

    title = "Oxford 102 Flower"
    kinds = _torchvision(title, folder, download, Flowers102, [{"split": split} for split in ("train", "val", "test")])
    parts = {part: list(zip(kind._image_files, kind._labels)) for part, kind in zip(("train", "valid", "test"), kinds)}
    names = list(getattr(Flowers102, "classes", [])) or [str(label) for label in range(102)]
    return Splits(title, **_read(title, parts, size), classes={"label": names})


def load_mnist(folder: str | Path, download: bool = False) -> Splits:
    """MNIST (LeCun et al., 1998): "image" (B, 1, 28, 28) uint8, "label"; the last sixth of the training part is valid."""
    from torchvision.datasets import MNIST

    rest, test = _torchvision("MNIST", folder, download, MNIST, [{"train": True}, {"train": False}])

    def batch(kind: Any, some: slice) -> Batch:
        return Batch({"image": kind.data[some][:, None]}, {"label": kind.targets[some].long()})

    cut = len(rest.data) * 5 // 6
    digits = [str(digit) for digit in range(10)]
    train, valid = batch(rest, slice(cut)), batch(rest, slice(cut, None))
    return Splits("MNIST", train, valid, batch(test, slice(None)), classes={"label": digits})


_CAPTIONS = "Captioned pictures"
_CAPTIONS_CURE = (
    "Flickr8k (Hodosh, Young and Hockenmaier, 2013) has these files; for pictures of your own write captions.txt with the "
    "header image,caption and a line a caption."
)


def _captions(found: Path) -> tuple[Path, dict[str, list[str]]]:
    """Where the pictures are, and the captions of each, in either of the two layouts in use."""
    original, images = found / "Flickr8k_text" / "Flickr8k.token.txt", found / "Flicker8k_Dataset"
    said: dict[str, list[str]] = {}
    if original.is_file() and images.is_dir():
        for entry in original.read_text("utf-8").splitlines():
            key, _, caption = entry.partition("\t")
            said.setdefault(key.partition("#")[0], []).append(caption.strip())
        return images, said
    table, images = found / "captions.txt", found / "Images"
    if table.is_file() and images.is_dir():
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            first = next(rows, [])
            if first != ["image", "caption"]:
                raise wrong(_CAPTIONS, table, "the header image,caption", _CAPTIONS_CURE, repr(",".join(first)))
            for row in rows:
                if len(row) == 2:
                    said.setdefault(row[0], []).append(row[1].strip())
        return images, said
    expected = "captions.txt and Images/, or Flickr8k_text/Flickr8k.token.txt and Flicker8k_Dataset/,"
    raise wrong(_CAPTIONS, found, expected, _CAPTIONS_CURE)


def load_captions(folder: str | Path | None = None, size: int = 64, length: int = 20, words: int = 10_000) -> Splits:
    """Photographs with captions, in Flickr8k's layout; folder None: what MMTEACH_CAPTIONS names.

    Where the set's own lists (Flickr_8k.trainImages.txt, devImages, testImages) lie beside the captions they are used;
    else pictures are drawn at random, about 80 / 10 / 10 %.
    inputs "image" (B, 3, size, size) uint8 and "text" (B, length): the first caption's word ids, with its mask; the
    vocabulary, from the training captions, is `Splits.classes["word"]`. info "name", and "captions": all of each picture.
    A few pictures that a list names but the folder lacks are left out; more than a tenth is an error.
    """
    found = locate(_CAPTIONS, folder, "MMTEACH_CAPTIONS", _CAPTIONS_CURE)
    images, said = _captions(found)
    there = {path.name for path in images.iterdir()}
    names = [name for name, captions in said.items() if name in there and any(captions)]
    if len(names) < 0.9 * len(said) or len(names) < 3:
        few = f"only {len(names)} of the {len(said)} captioned pictures"
        raise wrong(_CAPTIONS, images, "a picture for every caption", _CAPTIONS_CURE, few)
    parts = _own_lists(found / "Flickr8k_text", set(names)) or {
        part: [names[i] for i in rows] for part, rows in by_family(names).items()
    }
    vocabulary = Vocabulary.build((c for name in parts["train"] for c in said[name]), size=words)

    def make() -> dict[str, Any]:
        return {part: torch.stack([picture(images / name, size) for name in some]) for part, some in parts.items()}

    seen = kept("captions", [images / name for some in parts.values() for name in some], make, size=size, version=1)
    made = {}
    for part, some in parts.items():
        ids, mask = vocabulary.encode([said[name][0] for name in some], length=length)
        every = [said[name] for name in some]
        inputs = {"image": seen[part], "text": ids}
        made[part] = Batch(inputs, masks={"text": mask}, info={"name": list(some), "captions": every})
    return Splits(_CAPTIONS, **made, classes={"word": vocabulary.itos})


def _own_lists(folder: Path, there: set[str]) -> dict[str, list[str]] | None:
    lists = {"train": "trainImages", "valid": "devImages", "test": "testImages"}
    paths = {part: folder / f"Flickr_8k.{name}.txt" for part, name in lists.items()}
    if not all(path.is_file() for path in paths.values()):
        return None
    parts = {part: [n for n in path.read_text("utf-8").split() if n in there] for part, path in paths.items()}
    empty = [paths[part].name for part, names in parts.items() if not names]
    if empty:
        raise wrong(
            _CAPTIONS, folder, "lists that name pictures", _CAPTIONS_CURE, f"none of {empty[0]} in the pictures"
        )
    return parts
