"""mmteach: a hands-on course in multimodal learning, and the small library its chapters are built from.

| module       | what is in it                                                              |
|--------------|----------------------------------------------------------------------------|
| `data`       | the embedded data sets: emoji, glyphs, digits, prompts, motion, worlds     |
| `metrics`    | accuracy, areas, recall at k, error rates                                  |
| `encoders`   | image, text, audio, video → tokens and a vector                            |
| `fusion`     | vectors or tokens of several modalities → one vector                       |
| `alignment`  | correlation, contrast, retrieval                                           |
| `generation` | captions, answers, transcripts                                             |
| `multitask`  | loss weightings and gradient aggregators                                   |
| `training`   | the training loop, histories, seeds                                        |
| `diagnosis`  | information, robustness, competition, gap                                  |
| `figures`    | every plot                                                                 |
| `widgets`    | the interactive demonstrations                                             |
| `claims`     | `claim`, `scale`, `pick`, `seeds`                                          |

Everything loads on first use, so that `import mmteach` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmteach.claims import ClaimError as ClaimError
    from mmteach.claims import claim as claim
    from mmteach.claims import pick as pick
    from mmteach.claims import scale as scale
    from mmteach.claims import seeds as seeds
    from mmteach.training import fit as fit
    from mmteach.training import seed_everything as seed_everything
    from mmteach.training.validate import validate as validate

__version__ = "0.1.0"

_NAMES = {
    "claim": "mmteach.claims",
    "pick": "mmteach.claims",
    "scale": "mmteach.claims",
    "seeds": "mmteach.claims",
    "ClaimError": "mmteach.claims",
    "fit": "mmteach.training",
    "seed_everything": "mmteach.training",
    "validate": "mmteach.training",
}
_MODULES = (
    "alignment",
    "claims",
    "data",
    "diagnosis",
    "encoders",
    "figures",
    "fusion",
    "generation",
    "metrics",
    "multitask",
    "training",
    "widgets",
)


def __getattr__(name: str) -> object:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"mmteach.{name}")
    raise AttributeError(f"mmteach has no {name!r}; it has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    return sorted([*_NAMES, *_MODULES, "__version__"])
