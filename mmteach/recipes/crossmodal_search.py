"""Chapter 04, search: emoji found by words in ten languages, in a drawing style that training never saw.

| name                       | what it does                                                               |
|----------------------------|----------------------------------------------------------------------------|
| `Pieces`                   | words and the runs of three letters in them                                |
| `cropped`, `jitter`        | emoji cut to what is drawn; drawn a little otherwise                       |
| `emoji_views`, `two_views` | each emoji in several styles and languages; two of each drawn a step       |
| `Layout`, `search_model`   | a network that keeps what stands where; the dual encoder                   |
| `search_loss`, `train_search` | what one step asks for; the training                                    |
| `search`, `search_outlines` | the tables: a drawing style and concepts held out, ten languages          |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.alignment import DualEncoder, clip_loss, info_nce
from mmteach.claims import pick
from mmteach.data.batch import Batch
from mmteach.data.emoji import LANGUAGES, STYLES, concepts, drawings, over
from mmteach.data.text import UNKNOWN, Vocabulary, tokens
from mmteach.encoders import ImageResNet, TextBag
from mmteach.encoders._parts import pixels
from mmteach.recipes.crossmodal_glyphs import ranks
from mmteach.training import fit, gather, seed_everything, small_precision
from mmteach.training.loop import Loss


class Pieces(Vocabulary):
    """Numbers for words and for the runs of three letters in them, edges marked: a new word shares pieces with known ones.

    >>> Pieces(["cat", "<ca"]).split("A cat")
    ['a', '<a>', 'cat', '<ca', 'cat', 'at>']
    """

    @classmethod
    def of(cls, texts: Iterable[str], min_count: int = 2) -> Pieces:
        """The pieces that come `min_count` times or more in training texts, the most frequent first."""
        nothing = cls([])
        counts = Counter(piece for text in texts for piece in nothing.split(text))
        return cls(sorted((p for p in counts if counts[p] >= min_count), key=lambda p: (-counts[p], p)))

    def split(self, text: str) -> list[str]:
        """Each word, then its runs of three letters."""
        return [piece for word in tokens(text) for piece in (word, *(f"<{word}>"[i : i + 3] for i in range(len(word))))]


def cropped(style: str, size: int = 32) -> Tensor:
    """Every emoji of a style on white, cut to a square around what is drawn: uint8 (1587, 3, size, size).

    Styles leave different margins (openmoji's drawings are the smallest); what is no part of the thing need not be learned.
    """
    rgba = drawings(style)
    drawn, side = rgba[:, 3] > 16, rgba.shape[-1]

    def extent(used: Tensor) -> tuple[Tensor, Tensor]:
        return used.int().argmax(1).float(), side - used.flip(1).int().argmax(1).float()

    (left, right), (top, bottom) = extent(drawn.any(1)), extent(drawn.any(2))
    zoom = 1.06 * torch.maximum(right - left, bottom - top) / side
    middle = torch.stack([left + right, top + bottom], 1) / side - 1
    place = torch.cat([torch.eye(2) * zoom[:, None, None], middle[..., None]], 2)  # (N, 2, 3)
    pictures = over(rgba).float()
    return _resampled(pictures, place, size).round().clamp(0, 255).to(torch.uint8)


def _resampled(pictures: Tensor, place: Tensor, size: int) -> Tensor:
    """Pictures (N, C, H, W) seen through an affine map each (N, 2, 3), their edges continued outside."""
    grid = F.affine_grid(place, [len(pictures), pictures.shape[1], size, size], align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def jitter(pictures: Tensor, strength: float = 0.4) -> Tensor:
    """Pictures (N, 3, H, W) in [0, 1], each a little turned, resized, moved, and in other colours; white stays white."""
    n = len(pictures)

    def around(*shape: int) -> Tensor:
        return strength * (2 * torch.rand(n, *shape, device=pictures.device) - 1)

    size, turn = 1 + 0.2 * around(), 0.5 * around()
    rotation = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], 1).view(n, 2, 2)
    place = torch.cat([size[:, None, None] * rotation, 0.25 * around(2, 1)], 2)
    pictures = _resampled(pictures, place, pictures.shape[-1])
    grey = pictures.mean(1, keepdim=True)
    ink = 1 - (grey + (pictures - grey) * (1 + 1.2 * around(1, 1, 1)))  # more or less saturated
    return (1 - ink * (1 + 0.6 * around(1, 1, 1)) + 0.3 * around(3, 1, 1) * (1 - pictures)).clamp(0, 1)


# What an emoji is called, in this order: the name; name and keywords, English and Chinese; the names in nine more languages.
TEXTS = ("en", "en, keywords", "zh, keywords", *LANGUAGES[1:])


def called(number: int) -> list[str]:
    """The texts of one emoji, in the order of TEXTS."""
    one = concepts()[number]
    described = [" ".join([one.names[language], *one.keywords[language]]) for language in ("en", "zh")]
    return [one.names["en"], *described, *(one.names[language] for language in LANGUAGES[1:])]


def emoji_views(styles: Sequence[str], parts: Sequence[str] = ("train", "valid")) -> tuple[Batch, Pieces]:
    """The emoji of these parts, a row a concept, all its drawings and texts in it; and the pieces of these texts.

    inputs {"image": uint8 (N, styles, 3, 32, 32), "text": (N, 12, T)}, targets {"concept": (N,), "row": 0 … N − 1}
    """
    numbers = torch.tensor([i for i, one in enumerate(concepts()) if one.part in parts])
    texts = [called(i) for i in numbers.tolist()]
    pieces = Pieces.of(text for some in texts for text in some)
    ids, _ = pieces.encode([text for some in texts for text in some])
    images = torch.stack([cropped(style)[numbers] for style in styles], 1)
    targets = {"concept": numbers, "row": torch.arange(len(numbers))}
    return Batch({"image": images, "text": ids.view(len(texts), len(TEXTS), -1)}, targets), pieces


def two_views(batch: Batch) -> Batch:
    """Of each concept two drawings in different styles, jittered, an English text and one in another language.

    Returns inputs {"image": (2N, 3, 32, 32), "text": (2N, T)}: first views, then second ones, in which three pieces in ten are
    forgotten, so that the embedding of the unknown piece learns what it means not to know; targets are repeated.
    """
    images, texts = batch.inputs["image"], batch.inputs["text"]
    n, styles = images.shape[:2]
    row = torch.arange(n, device=images.device)
    first, second = torch.rand(n, styles, device=images.device).argsort(1)[:, :2].T
    pictures = jitter(torch.cat([images[row, first], images[row, second]]).float() / 255)
    english = torch.randint(0, 2, (n,), device=row.device)
    other = torch.randint(2, texts.shape[1], (n,), device=row.device)
    ids = torch.cat([texts[row, english], texts[row, other]])
    forgotten = (torch.rand(ids.shape, device=ids.device) < 0.3) & (ids != 0)
    longest = int((ids != 0).sum(1).max())
    targets = {name: target.repeat(2) for name, target in batch.targets.items()}
    return Batch({"image": pictures, "text": ids.masked_fill(forgotten, UNKNOWN)[:, :longest]}, targets)


class Layout(nn.Module):
    """A small residual network that keeps what stands where: pictures on white (B, 3, 32, 32) → (B, dim).

        z = W [token_1; …; token_16] + b,    the tokens of `ImageResNet` on the ink, 2 (1 − picture)

    `ImageResNet` alone averages its tokens, so that a thing may be anywhere. Emoji are cut to what is drawn and stand upright:
    where a part lies tells them apart, and averaged features learn it several times more slowly.
    """

    def __init__(self, dim: int = 128) -> None:
        super().__init__()
        self.grid, self.dim = ImageResNet(64, width=16), dim
        self.read = nn.Linear(16 * 64, dim)

    def forward(self, pictures: Tensor, mask: None = None) -> Tensor:
        ink = 2 * (1 - pixels(pictures, self.read.weight.dtype))
        return self.read(self.grid.tokens(ink)[0].flatten(1))


def search_model(pieces: Pieces) -> DualEncoder:
    """`Layout` for pictures and a bag of pieces for texts, in a space of 128 dimensions."""
    text = TextBag(len(pieces), 128)
    # A bag averages some thirty pieces: from small numbers, a few hundred steps can still move each of them far.
    nn.init.normal_(text.embedding.weight, std=0.1)
    return DualEncoder({"image": Layout(), "text": text}, dim=128)


def search_loss(names: Tensor) -> Loss:
    """The loss of a step: InfoNCE between two pictures and two texts of each concept, and of each picture's name among all.

        L = ½ [L(x₁, y₁) + L(x₂, y₂)] + ½ L(x₁, x₂) + ½ mean_i −ln softmax_j(x_i·n_j / τ) at j = i's own name

    names: (N, T), the pieces of every training concept's English name, in the order of `emoji_views`
    The first term brings languages together through the pictures, the second styles. The last one asks for a name among N
    instead of a batch: texts cost little, and the hardest mismatch is seldom in the batch.
    """
    names = names[:, : int((names != 0).sum(1).max())]

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        z, scale = model(batch.inputs, masks={"text": batch.inputs["text"] != 0}), model.scale()  # type: ignore[operator]
        (image, other_image), (text, other_text) = (map(gather, z[m].chunk(2)) for m in ("image", "text"))
        pairs = (clip_loss(image, text, scale) + clip_loss(other_image, other_text, scale)) / 2
        everyone = names.to(z["image"].device)
        candidates = model.encode("text", everyone, everyone != 0)  # type: ignore[operator]
        named = info_nce(z["image"], candidates, scale, match=batch.targets["row"])
        return pairs + clip_loss(image, other_image, scale) / 2 + named / 2

    return loss


def train_search(views: Batch, pieces: Pieces, seed: int, steps: int) -> DualEncoder:
    """`search_model` trained with `search_loss` on `two_views` of 128 concepts a step."""
    seed_everything(seed)
    model = search_model(pieces)
    fit(
        model, views, loss=search_loss(views.inputs["text"][:, 0]), augment=two_views, steps=steps, batch_size=128, lr=3e-3,
        schedule="cosine", warmup=0.05, seed=seed, precision=small_precision(),
    )  # fmt: skip
    return model


@torch.no_grad()
def look_at(model: DualEncoder, pictures: Tensor) -> Tensor:
    """Embeddings (N, dim) of uint8 pictures (N, 3, H, W)."""
    device = next(model.parameters()).device
    return torch.cat([model.encode("image", some.to(device)) for some in pictures.split(256)]).cpu()


@torch.no_grad()
def read(model: DualEncoder, pieces: Pieces, texts: Sequence[str]) -> Tensor:
    """Embeddings (N, dim) of texts."""
    ids, real = pieces.encode(texts)
    device = next(model.parameters()).device
    return model.encode("text", ids.to(device), real.to(device)).cpu()


def numbers_in(*parts: str) -> list[int]:
    """The emoji of these parts, as places in `concepts()`."""
    return [i for i, one in enumerate(concepts()) if one.part in parts]


SEARCH_STEPS = 800


def search_without(style: str, seed: int, steps: int) -> dict[str, dict[str, float]]:
    """The test figures of a model that never saw this style: its drawings of known concepts, and unseen concepts in twemoji."""
    views, pieces = emoji_views([one for one in STYLES if one != style])
    model, rows = train_search(views, pieces, seed, steps), {}
    for setting, drawn, numbers in (
        ("unseen style", style, numbers_in("train", "valid")),
        ("unseen concepts", "twemoji", numbers_in("test")),
    ):
        pictures, texts = look_at(model, cropped(drawn)[numbers]), [called(i) for i in numbers]
        for t, kind in enumerate(TEXTS):
            if kind == "en" or setting == "unseen concepts":
                rows[f"{setting}, {kind}"] = ranks(pictures, read(model, pieces, [some[t] for some in texts]))
    return rows


def search(seed: int) -> dict[str, dict[str, float]]:
    """Emoji and words, trained on 1,270 concepts in three styles; fluent, and 317 concepts, are for the test.

    The recipe was chosen with noto as the unseen style and the validation concepts as unseen ones.
    """
    return search_without("fluent", seed, steps=pick(smoke=2, laptop=SEARCH_STEPS))


def search_outlines(seed: int) -> dict[str, dict[str, float]]:
    """The same with openmoji held out: coloured outlines, the style least like the others."""
    return search_without("openmoji", seed, steps=pick(smoke=2, laptop=SEARCH_STEPS))
