"""Data cards: what each data set is, where it comes from, under which licence, and what to beware of.

| name    | what it gives                                                       |
|---------|---------------------------------------------------------------------|
| `Card`  | one data set's card; each data module holds its own as `CARD`         |
| `card`  | the card of one set by name                                           |
| `cards` | every card, in the order of the course                                |
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
