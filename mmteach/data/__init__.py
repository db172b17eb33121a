"""The data sets: each a function that returns train, valid and test as tensors held in memory.

| name                 | modalities                                                | module    |
|----------------------|-----------------------------------------------------------|-----------|
| `load_emoji`         | picture in four drawing styles, name, keywords, languages | `emoji`   |
| `load_glyphs`        | character in many font faces, Unicode name                | `glyphs`  |
| `load_digits`        | handwritten and spoken digit                              | `digits`  |
| `load_multimnist`    | two overlapping handwritten digits: two tasks             | `digits`  |
| `load_digit_strings` | several spoken digits, their transcript                   | `digits`  |
| `load_prompts`       | real human speech, its transcript                         | `prompts` |
| `load_motion`        | short clip of a moving emoji, a sentence                  | `motion`  |
| `load_world`         | two or three inputs with exactly known information        | `worlds`  |
| `load_views`         | two non-linear views of one angle                         | `worlds`  |
| `load_scenes`        | six objects, questions and answers (Sort-of-CLEVR)        | `scenes`  |
| `load_shapes`        | two shapes, a caption                                     | `shapes`  |
| `public`             | real public sets from a folder you have                   | `public`  |

| beside them          | what it is                                                | module    |
|----------------------|-----------------------------------------------------------|-----------|
| `Batch`, `Splits`    | what the functions return                                 | `batch`   |
| `world`, `mixture`   | a joint table p(x1, x2, y) and its information            | `worlds`  |
| `card`               | a set's data card                                         | `cards`   |
| `Vocabulary`         | words ↔ numbers                                           | `text`    |
| `CharVocabulary`     | characters ↔ numbers                                      | `text`    |
| `log_mel`            | sound → what a network hears                              | `audio`   |
| `speak`              | a word spoken by eSpeak NG                                | `speech`  |
| `DataError`          | a file or folder is not what was expected                 | `store`   |

A set's module is imported when its function is first asked for.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmteach.data import public as public
    from mmteach.data.audio import log_mel as log_mel
    from mmteach.data.batch import Batch as Batch
    from mmteach.data.batch import Splits as Splits
    from mmteach.data.cards import Card as Card
    from mmteach.data.cards import card as card
    from mmteach.data.digits import load_digit_strings as load_digit_strings
    from mmteach.data.digits import load_digits as load_digits
    from mmteach.data.digits import load_multimnist as load_multimnist
    from mmteach.data.emoji import load_emoji as load_emoji
    from mmteach.data.glyphs import load_glyphs as load_glyphs
    from mmteach.data.motion import load_motion as load_motion
    from mmteach.data.prompts import load_prompts as load_prompts
    from mmteach.data.scenes import load_scenes as load_scenes
    from mmteach.data.shapes import load_shapes as load_shapes
    from mmteach.data.speech import speak as speak
    from mmteach.data.store import DataError as DataError
    from mmteach.data.text import CharVocabulary as CharVocabulary
    from mmteach.data.text import Vocabulary as Vocabulary
    from mmteach.data.worlds import World as World
    from mmteach.data.worlds import load_views as load_views
    from mmteach.data.worlds import load_world as load_world
    from mmteach.data.worlds import mixture as mixture
    from mmteach.data.worlds import world as world

_NAMES = {
    "audio": ("log_mel",),
    "batch": ("Batch", "Splits"),
    "cards": ("Card", "card"),
    "digits": ("load_digits", "load_multimnist", "load_digit_strings"),
    "emoji": ("load_emoji",),
    "glyphs": ("load_glyphs",),
    "motion": ("load_motion",),
    "prompts": ("load_prompts",),
    "public": (),
    "scenes": ("load_scenes",),
    "shapes": ("load_shapes",),
    "speech": ("speak",),
    "store": ("DataError",),
    "text": ("CharVocabulary", "Vocabulary"),
    "worlds": ("World", "load_views", "load_world", "mixture", "world"),
}
_WHERE = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _WHERE:
        return getattr(importlib.import_module(f"mmteach.data.{_WHERE[name]}"), name)
    if name in _NAMES:
        return importlib.import_module(f"mmteach.data.{name}")
    near = difflib.get_close_matches(name, __dir__(), n=1)
    hint = f"did you mean {near[0]}? It" if near else "it"
    raise AttributeError(f"mmteach.data has no {name!r}: {hint} has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    return sorted({*_WHERE, *_NAMES})
