"""Pictures of characters and their Unicode names, which are made of parts: "latin small letter a with acute".

| name          | what it gives, and when to use it                                                   |
|---------------|-------------------------------------------------------------------------------------|
| `load_glyphs` | 32×32 pictures in 16 font faces with names: retrieval and captions of unseen compositions |
| `characters`  | the characters, about 1,900 in 13 blocks                                              |
| `FACES`       | the font faces, all shipped with matplotlib                                            |

Nothing is embedded: the pictures are drawn with Pillow on first use and kept.
"""

from __future__ import annotations

import functools
import random
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.batch import Batch, Splits
from mmteach.data.cards import Card
from mmteach.data.store import DataError, cached
from mmteach.data.text import Vocabulary, tokens

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 32  # pixels
# Listed by name, because matplotlib also ships LastResort, which "has" every character, as an empty box.
FACES = {
    f"{family} {style}".strip(): f"{file}{ending}.ttf"
    for family, file, endings in (
        ("sans", "DejaVuSans", ("", "-Bold", "-Oblique", "-BoldOblique")),
        ("mono", "DejaVuSansMono", ("", "-Bold", "-Oblique", "-BoldOblique")),
        ("serif", "DejaVuSerif", ("", "-Bold", "-Italic", "-BoldItalic")),
        ("stix", "STIXGeneral", ("", "Bol", "Italic", "BolIta")),
    )
    for style, ending in zip(("", "bold", "italic", "bold italic"), endings)
}
# First and last code point of each block; all were assigned by Unicode 14, which Python 3.11 knows.
BLOCKS = {
    "basic latin": (0x21, 0x7E),
    "latin with marks": (0xA1, 0x24F),
    "phonetic": (0x250, 0x2AF),
    "greek": (0x370, 0x3FF),
    "cyrillic": (0x400, 0x52F),
    "armenian": (0x531, 0x586),
    "latin with more marks": (0x1E00, 0x1EFF),
    "greek with breathings": (0x1F00, 0x1FFF),
    "raised and lowered": (0x2070, 0x209C),
    "number forms": (0x2150, 0x2189),
    "arrows": (0x2190, 0x21FF),
    "mathematics": (0x2200, 0x22FF),
    "boxes and shapes": (0x2500, 0x25FF),
}
_FEWEST_FACES = 12
_VERSION = 1  # part of the cache key: count up when the pictures or the split change


def name_of(character: str) -> str:
    """The character's Unicode name in small letters: "é" → "latin small letter e with acute"."""
    return unicodedata.name(character).lower()


def _face(file: str) -> Path:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file
    if not path.is_file():
        raise DataError(f"the font {file} is not among matplotlib's at {path.parent}: install matplotlib again")
    return path


@functools.cache
def _coverage() -> dict[str, set[int]]:
    """The code points each face has."""
    from matplotlib.ft2font import FT2Font

    return {face: set(FT2Font(str(_face(file))).get_charmap()) for face, file in FACES.items()}


def characters() -> dict[str, str]:
    """Each character with its block: assigned letters, numbers, signs and symbols that at least 12 of the faces have.

    Left out are characters that Unicode defines as another one under a second number (Greek alpha with oxia is alpha
    with tonos): same picture, other name.
    """
    found = {}
    for block, (first, last) in BLOCKS.items():
        for code in range(first, last + 1):
            character = chr(code)
            drawable = unicodedata.category(character)[0] in "LNPS"
            itself = unicodedata.normalize("NFC", character) == character
            if drawable and itself and sum(code in codes for codes in _coverage().values()) >= _FEWEST_FACES:
                found[character] = block
    return found


def draw(text: str, face: str, side: int = SIDE) -> Tensor:
    """One character white on black, uint8 (side, side): centred, on a baseline three quarters down.

    Raises ValueError where the face does not have the character (fonts draw an empty box then).
    """
    _check.choice("face", face, tuple(FACES))
    if len(text) != 1 or ord(text) not in _coverage()[face]:
        raise ValueError(f"text must be one character that the face {face!r} has, got {text!r}")
    return _draw(_font(face, side), text, side)


def _font(face: str, side: int) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(str(_face(FACES[face])), round(side * 0.6875), layout_engine=ImageFont.Layout.BASIC)


def _draw(font: Any, text: str, side: int) -> Tensor:
    from PIL import Image, ImageDraw

    picture = Image.new("L", (side, side))
    ImageDraw.Draw(picture).text((side / 2, side * 0.75), text, fill=255, font=font, anchor="ms")
    return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(side, side)


def hold_out(names: Sequence[str], valid: int, test: int, eligible: Sequence[bool]) -> list[str]:
    """A part for each name such that every word of a held-out name is in at least three training names.

    Only `eligible` names are held out. What is asked of a model is then a new composition of known words.
    """
    remaining = Counter(word for name in names for word in set(tokens(name)))
    part = ["train"] * len(names)
    order = list(range(len(names)))
    random.Random(0).shuffle(order)
    wanted = ["test"] * test + ["valid"] * valid
    for i in order:
        words = set(tokens(names[i]))
        if wanted and eligible[i] and all(remaining[word] > 3 for word in words):
            part[i] = wanted.pop(0)
            remaining.subtract(words)
    if wanted:
        raise ValueError(f"only {valid + test - len(wanted)} names could be held out, {valid + test} were asked for")
    return part


def _make() -> dict[str, Any]:
    chosen = characters()
    listed = list(chosen)
    pictures, character, face_number = [], [], []
    for number, face in enumerate(FACES):
        font = _font(face, SIDE)
        for i, text in enumerate(listed):
            if ord(text) in _coverage()[face]:
                pictures.append(_draw(font, text, SIDE))
                character.append(i)
                face_number.append(number)
    looks = Counter(bytes(p.flatten().tolist()) for p, f in zip(pictures, face_number) if f == 0)
    alone = {
        c for p, c, f in zip(pictures, character, face_number) if f == 0 and looks[bytes(p.flatten().tolist())] == 1
    }
    part = hold_out(
        [name_of(c) for c in listed], valid=150, test=250, eligible=[i in alone for i in range(len(listed))]
    )
    return {
        "picture": torch.stack(pictures),
        "character": torch.tensor(character),
        "face": torch.tensor(face_number),
        "characters": listed,
        "block": list(chosen.values()),
        "part": part,
    }


def load_glyphs(train_faces: Sequence[str] | None = None, test_faces: Sequence[str] | None = None) -> Splits:
    """Pictures of characters with their names: test and validation have characters that training has not.

    train_faces: faces of FACES for train; all where none are given
    test_faces:  faces for valid and test; all where none are given. Give others than `train_faces` for an unseen style

    inputs  {"image": (N, 1, 32, 32) in [0, 1], white on black; "text": (N, 10) ids of the name's words}, masks {"text"},
    targets {"character": (N,), "block": (N,)}, info {"name", "character", "face": words}

    150 characters are held out for valid and 250 for test, such that every word of their names is in at least three
    training names and that their pictures look like no other character's. The ids are places in classes["text"].
    """
    versions = {package: _version(package) for package in ("matplotlib", "pillow")}  # each draws a little differently
    kept = cached("glyphs", _make, version=_VERSION, unicode="14", **versions)
    faces = list(FACES)
    names = [name_of(c) for c in kept["characters"]]
    vocabulary = Vocabulary.build([n for n, part in zip(names, kept["part"]) if part == "train"], size=2000)
    blocks = list(BLOCKS)
    block = torch.tensor([blocks.index(b) for b in kept["block"]])
    text, mask = vocabulary.encode(names)
    parts = {}
    for part, allowed in (("train", train_faces), ("valid", test_faces), ("test", test_faces)):
        argument = f"{'train' if part == 'train' else 'test'}_faces"
        if isinstance(allowed, str):
            raise TypeError(f"{argument} must be a list, got the string {allowed!r}: write [{allowed!r}]")
        for face in allowed or ():
            _check.choice(argument, face, tuple(faces))
        numbers = torch.tensor([faces.index(face) for face in (allowed or faces)])
        in_part = torch.tensor([p == part for p in kept["part"]])
        rows = (in_part[kept["character"]] & torch.isin(kept["face"], numbers)).nonzero().flatten()
        which = kept["character"][rows]
        parts[part] = Batch(
            {"image": kept["picture"][rows][:, None].float() / 255, "text": text[which]},
            {"character": which, "block": block[which]},
            {"text": mask[which]},
            info={
                "name": [names[i] for i in which.tolist()],
                "character": [kept["characters"][i] for i in which.tolist()],
                "face": [faces[i] for i in kept["face"][rows].tolist()],
            },
        )
    return Splits(
        "glyphs", **parts, classes={"character": kept["characters"], "block": blocks, "text": vocabulary.itos}
    )


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def _sample() -> Figure:
    from matplotlib.figure import Figure

    shown = "éßΔжԱẤἐ⅔⇒∑╬◆"
    figure = Figure(figsize=(8, 9), layout="constrained")
    for column, character in enumerate(shown):
        for row, face in enumerate(FACES):
            axes = figure.add_subplot(len(FACES), len(shown), row * len(shown) + column + 1)
            if ord(character) in _coverage()[face]:
                axes.imshow(draw(character, face).numpy(), cmap="gray", vmin=0, vmax=255)
            axes.set_xticks([])
            axes.set_yticks([])
            if column == 0:
                axes.set_ylabel(face, rotation=0, ha="right", va="center", fontsize=8)
    return figure


CARD = Card(
    name="glyphs",
    title="Characters and their Unicode names",
    modalities=("image 1×32×32", "name"),
    examples="about 1,900 characters × up to 16 font faces",
    source="the fonts that matplotlib ships (DejaVu, STIX), drawn by Pillow on first use; names from Python's unicodedata",
    licence="DejaVu: Bitstream Vera licence with public-domain changes; STIX: STIX Font licence; both with matplotlib",
    files=(),
    splits="by character: 150 held out for valid and 250 for test, every word of their names is in at least three training "
    "names; whole faces can be held out as well",
    beware="Some characters of different scripts look the same (Latin A, Greek Alpha, Cyrillic A): they are in training only, "
    "where they put a limit on what any model can learn. In a contrastive batch the same character in two faces is a "
    "positive pair, not a negative one.",
    sample=_sample,
)
