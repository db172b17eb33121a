"""Data cards: what each data set is, where it comes from, under which licence, and what to beware of.

| name    | what it gives                                                       |
|---------|---------------------------------------------------------------------|
| `Card`  | one data set's card; each data module holds its own as `CARD`         |
| `card`  | the card of one set by name                                           |
| `cards` | every card, in the order of the course                                |
| `table` | all sets, a few lines each: what `mmteach data list` prints           |
| `page`  | one card in full: what `mmteach data show NAME` prints                |
| `draw`  | a picture of some examples, as a file                                 |
"""

from __future__ import annotations

import difflib
import importlib
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmteach.data import store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Which module holds which card: a module is imported when its card is asked for, not before.
MODULES = {
    "emoji": "mmteach.data.emoji",
    "glyphs": "mmteach.data.glyphs",
    "digits": "mmteach.data.digits",
    "prompts": "mmteach.data.prompts",
    "motion": "mmteach.data.motion",
    "worlds": "mmteach.data.worlds",
    "scenes": "mmteach.data.scenes",
    "shapes": "mmteach.data.shapes",
}


@dataclass(frozen=True)
class Card:
    """What a reader should know about a data set before training on it.

    name:       what `mmteach data show` calls it, e.g. "emoji"
    title:      one line that says what it is
    modalities: what an example has, with shapes, e.g. ("image 3×48×48", "name", "keywords")
    examples:   how many there are, in words, e.g. "1,587 concepts × 4 styles"
    source:     where it comes from, with versions
    licence:    the licence of the data (not of our code)
    files:      the embedded files it needs, by their names in `mmteach/data/files`; () when it is generated
    splits:     how train, valid and test are made, and what is held out
    beware:     what goes wrong for a reader who does not know it
    sample:     draws some examples as a matplotlib Figure; None where there is nothing to draw
    """

    name: str
    title: str
    modalities: tuple[str, ...]
    examples: str
    source: str
    licence: str
    files: tuple[str, ...]
    splits: str
    beware: str
    sample: Callable[[], Figure] | None = None


def card(name: str) -> Card:
    """The card of one data set; an unknown name raises ValueError with the nearest name and the list of sets."""
    if name not in MODULES:
        near = difflib.get_close_matches(str(name), MODULES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no data set is called {name!r}: {hint}The sets are {', '.join(MODULES)}.")
    return importlib.import_module(MODULES[name]).CARD


def cards() -> list[Card]:
    """Every data set's card, in the order of the course."""
    return [card(name) for name in MODULES]


def _size(files: Sequence[str]) -> str:
    """How much room the embedded files take, in words."""
    if not files:
        return "generated"
    here = [path for name in files if (path := store.FILES / name).is_file()]
    missing = f", {len(files) - len(here)} missing (`mmteach doctor` says more)" if len(here) < len(files) else ""
    return f"{sum(path.stat().st_size for path in here) / 1e6:.1f} MB embedded{missing}"


def _row(label: str, text: str, width: int, indent: int) -> str:
    return textwrap.fill(
        text, width, initial_indent=f"{label:<{indent}}", subsequent_indent=" " * indent, break_on_hyphens=False
    )


def table(width: int = 80) -> str:
    """All sets in at most `width` columns: name, what it is, what is embedded, the licence."""
    known = cards()
    indent = max(len(one.name) for one in known) + 2
    lines = []
    for one in known:
        lines.append(_row(one.name, one.title, width, indent))
        lines.append(_row("", f"{_size(one.files)}; {one.licence}", width, indent))
    return "\n".join([*lines, "", "More about one of them, with a picture: mmteach data show NAME"])


def page(one: Card, width: int = 80) -> str:
    """A card in full, in at most `width` columns."""
    rows = [
        ("an example", "; ".join(one.modalities)),
        ("examples", one.examples),
        ("splits", one.splits),
        ("beware", one.beware),
        ("source", one.source),
        ("licence", one.licence),
        ("size", f"{_size(one.files)}: {', '.join(one.files)}" if one.files else "generated on first use"),
    ]
    title = textwrap.fill(f"{one.name}: {one.title}", width)
    return "\n".join([title, "", *(_row(label, text, width, 12) for label, text in rows)])


def draw(one: Card, path: str | Path) -> Path:
    """Save a picture of some examples to `path` (.png, .svg or .pdf; a folder gets NAME.png) and return where it is.

    Raises ValueError where the set has nothing to draw, the folder does not exist, or the file's ending is another.
    """
    path = Path(path)
    if path.is_dir():
        path = path / f"{one.name}.png"
    if one.sample is None:
        raise ValueError(f"{one.name} has nothing to draw")
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise ValueError(f"the picture's name must end in .png, .svg or .pdf, got {path.name!r}")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent} to write {path.name} into")
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")  # so that no half-written picture is left behind
    try:
        one.sample().savefig(partial, dpi=150, bbox_inches="tight")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
