"""Chapter 06, pictures and descriptions: one space in which wishes in many languages and drawings find emoji.

| name             | what it does                                                               |
|------------------|------------------------------------------------------------------------------|
| `framed`         | any picture cropped to what is drawn, as the training pictures are             |
| `material`       | drawings and texts of the training concepts, in three styles                  |
| `agree`, `train` | the loss, and chapter 04's dual encoder trained with it                        |
| `full`           | the fullest description of a concept                                          |
| `found`          | recall of the right items, and the median rank                                |
| `find_by_words`  | the table: with and without a loss between drawings                           |

The encoder, the pieces of words and the two views of a concept are those of chapter 04 (`mmteach.recipes.crossmodal_search`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.alignment import DualEncoder, clip_loss
from mmteach.claims import pick
from mmteach.data.batch import Batch
from mmteach.data.emoji import concepts
from mmteach.metrics import median_rank, recall_at_k
from mmteach.recipes.crossmodal_search import (
    Pieces,
    cropped,
    emoji_views,
    look_at,
    numbers_in,
    read,
    search_model,
    two_views,
)
from mmteach.training import fit, gather, seed_everything, small_precision

KNOWN_STYLES, NEW_STYLE = ("twemoji", "noto", "fluent"), "openmoji"
SIZE, STEPS = 32, 450


def framed(pictures: Tensor) -> Tensor:
    """Pictures on white, uint8 (N, 3, H, H), cropped to a square around what is not white: uint8 (N, 3, SIZE, SIZE)."""
    ink = pictures.amin(1) < 245  # (N, H, H)
    side = pictures.shape[-1]
    (left, right), (top, bottom) = _ends(ink.any(1)), _ends(ink.any(2))
    half = torch.maximum(right - left, bottom - top) / 2 * 1.06
    theta = torch.zeros(len(pictures), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 2 * half / side
    theta[:, 0, 2], theta[:, 1, 2] = (left + right) / side - 1, (top + bottom) / side - 1
    grid = F.affine_grid(theta, [len(pictures), 3, SIZE, SIZE], align_corners=False)
    dark = F.grid_sample(255 - pictures.float(), grid, align_corners=False)  # what lies outside of the picture is white
    return (255 - dark).round().clamp(0, 255).to(torch.uint8)


def _ends(ink: Tensor) -> tuple[Tensor, Tensor]:
    """Where the ink of each row begins and ends: bool (N, side) → two of (N,); a picture without ink is taken whole."""
    return ink.int().argmax(1).float(), (ink.shape[1] - ink.flip(1).int().argmax(1)).float()


def material() -> tuple[Batch, Pieces]:
    """A row a training concept: three drawings, twelve texts, and the pieces of these texts."""
    views, pieces = emoji_views(KNOWN_STYLES, ("train",))
    return views[:: pick(smoke=8, laptop=1)], pieces


def agree(drawings_too: float) -> Callable[[nn.Module, Batch], Tensor]:
    """The loss: InfoNCE of picture and text for two views of each concept, and `drawings_too` times that of two drawings."""

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        z = model(batch.inputs, masks={"text": batch.inputs["text"] != 0})
        (image, other_image), (text, other_text) = (map(gather, z[m].chunk(2)) for m in ("image", "text"))
        scale = model.scale()  # type: ignore[operator]
        words = (clip_loss(image, text, scale) + clip_loss(other_image, other_text, scale)) / 2
        return words + drawings_too * clip_loss(image, other_image, scale) if drawings_too else words

    return loss


def train(views: Batch, pieces: Pieces, drawings_too: float, seed: int, steps: int = STEPS) -> DualEncoder:
    """Chapter 04's dual encoder after so many steps of 128 concepts."""
    seed_everything(seed)
    model = search_model(pieces)
    fit(
        model, views, loss=agree(drawings_too), augment=two_views, steps=pick(smoke=4, laptop=steps), batch_size=128, lr=3e-3,
        schedule="cosine", warmup=0.05, seed=seed, precision=small_precision(),
    )  # fmt: skip
    return model


def full(number: int, language: str = "en") -> str:
    """A concept's name and all its keywords, in English or Chinese."""
    return " ".join([concepts()[number].names[language], *concepts()[number].keywords[language]])


def found(queries: Tensor, items: Tensor) -> dict[str, float]:
    """Where item i stands for query i: recall at 1 and 10, median rank."""
    scores = queries @ items.T
    return {"R@1": recall_at_k(scores, 1), "R@10": recall_at_k(scores, 10), "median rank": median_rank(scores)}


def find_by_words(seed: int) -> dict[str, dict[str, float]]:
    """Concepts never seen, found by description in two languages and the other way round; and known concepts, found by a
    drawing in a style never seen. With and without a loss between drawings."""
    views, pieces = material()
    shown, new, known = cropped("noto"), cropped(NEW_STYLE), numbers_in("train")
    rows = {}
    for name, weight in (("words alone", 0.0), ("words and drawings", 0.5)):
        model = train(views, pieces, weight, seed)
        row: dict[str, float] = {}
        for part in ("valid", "test"):
            numbers = numbers_in(part)
            pictures = look_at(model, shown[numbers])
            for language in ("en", "zh"):
                texts = read(model, pieces, [full(i, language) for i in numbers])
                row |= {f"{language} → picture, {k}, {part}": v for k, v in found(texts, pictures).items()}
                row |= {f"picture → {language}, {k}, {part}": v for k, v in found(pictures, texts).items()}
        drawn = found(look_at(model, new[known]), look_at(model, shown[known]))
        rows[name] = row | {f"drawing → picture, {k}": v for k, v in drawn.items()}
    return rows
