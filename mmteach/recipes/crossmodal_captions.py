"""Chapter 04, captions: two shapes and unseen characters put into words.

| name                  | what it does                                                      |
|-----------------------|-------------------------------------------------------------------|
| `with_places`         | pictures that know where each pixel stands                        |
| `written`, `scored`   | the captions a model writes; exact match and BLEU                 |
| `composed`            | colours, shapes, and both together, of pairs that were never seen |
| `Cells`, `shape_captioner` | the eyes, and the whole captioner of two shapes              |
| `captions`            | the table                                                         |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from mmteach.claims import pick
from mmteach.data import load_shapes
from mmteach.data.batch import Batch
from mmteach.encoders import ImageResNet
from mmteach.generation import Captioner, teacher_forcing
from mmteach.metrics import bleu
from mmteach.recipes.crossmodal_glyphs import PixelMLP, small_glyphs
from mmteach.training import fit, seed_everything, small_precision


def with_places(batch: Batch) -> Batch:
    """Pictures with two channels more, how far right and how far down each pixel stands, and the texts as targets to write.

    A convolution does not know where it is; "left of" is about nothing else. Liu et al. 2018, "An intriguing failing of
    convolutional neural networks and the CoordConv solution".
    """
    images = batch.inputs["image"]
    n, _, height, width = images.shape
    down, right = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    places = torch.stack([right, down]).expand(n, 2, height, width)
    targets = {**batch.targets, "caption": batch.inputs["text"]}
    return Batch({"image": torch.cat([images, places], 1)}, targets, info=batch.info)


def words_of(ids: Tensor, vocabulary: Sequence[str]) -> list[str]:
    """Captions (N, L) as sentences, padding left out."""
    return [" ".join(vocabulary[i] for i in row if i) for row in ids.tolist()]


def written(model: Captioner, batch: Batch, vocabulary: Sequence[str], width: int = 1) -> list[str]:
    """The captions a model writes, greedily or with a beam of `width`."""
    return words_of(model.caption(batch.inputs, max_length=12, width=width), vocabulary)


def exact(said: Sequence[str], right: Sequence[str]) -> float:
    """The share of captions that are right in every word."""
    return sum(a == b for a, b in zip(said, right)) / len(right)


def scored(model: Captioner, batch: Batch, vocabulary: Sequence[str]) -> dict[str, float]:
    """Exact match and BLEU, greedy and with a beam of 4 (on the first 200 examples), against the right captions."""
    right = words_of(batch.targets["caption"], vocabulary)
    figures: dict[str, float] = {}
    for how, width, n in (("greedy", 1, len(right)), ("beam", 4, 200)):
        said = written(model, batch[:n], vocabulary, width)
        figures |= {f"exact, {how}": exact(said, right[:n]), f"BLEU, {how}": bleu([s or "-" for s in said], right[:n])}
    return figures


def composed(said: Sequence[str], right: Sequence[str], counted: Tensor) -> dict[str, float]:
    """Of captions "a COLOUR SHAPE … a COLOUR SHAPE": the share of right colours, right shapes, and both together.

    counted: bool (N, 2), which of the two pairs of each caption count
    """
    pairs = []
    for one, other, some in zip(said, right, counted.tolist()):
        a, b = one.split(), other.split()
        # The first pair stands after the first word, the second at the end; what is not there is wrong.
        pairs += [(a[at], b[at]) for at, here in ((slice(1, 3), some[0]), (slice(-2, None), some[1])) if here]
    return {
        "colour": sum(a[:1] == b[:1] for a, b in pairs) / len(pairs),
        "shape": sum(a[1:] == b[1:] for a, b in pairs) / len(pairs),
        "both": sum(a == b for a, b in pairs) / len(pairs),
    }


CAPTION_STEPS = 1500


class Cells(nn.Module):
    """The cells of a small residual network as tokens for a decoder: colours and places (B, 5, 32, 32) → (B, 16, 64).

        token_p = LN(cell_p),    of 3 (colours − the colour of the corner)

    Without these two, colours take thousands of steps: what is looked at must weigh as much as the words that it is added to,
    and a picture that is nearly all background must be nearly zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.grid, self.norm = ImageResNet(64, width=16, in_channels=5), nn.LayerNorm(64)
        self.dim = self.token_dim = 64

    def tokens(self, images: Tensor, mask: None = None) -> tuple[Tensor, None]:
        colours, places = images[:, :3], images[:, 3:]
        contrast = 3 * (colours - colours[:, :, :1, :1])
        return self.norm(self.grid.tokens(torch.cat([contrast, places], 1))[0]), None


class PixelTokens(PixelMLP):
    """`PixelMLP` with its output cut into four tokens of a quarter each, for a decoder to look at."""

    def __init__(self) -> None:
        super().__init__(dim=256)
        self.token_dim = 64

    def tokens(self, pixels: Tensor, mask: None = None) -> tuple[Tensor, None]:
        return self.layers(pixels).view(len(pixels), 4, 64), None


def captioner(encoder: nn.Module, vocabulary: int, layers: int = 1, dropout: float = 0.0) -> Captioner:
    """A small captioner whose words begin small, so that what it sees counts from the first step."""
    model = Captioner(encoder, vocabulary, width=64, heads=4, layers=layers, dropout=dropout)
    nn.init.normal_(model.decoder.embedding.weight, std=0.1)
    return model


def shape_captioner(vocabulary: int) -> Captioner:
    """The captioner of `load_shapes` with two channels of places."""
    return captioner(Cells(), vocabulary, layers=2)


def train_captioner(model: Captioner, train: Batch, seed: int, steps: int) -> Captioner:
    """The model trained with teacher forcing, 64 captions a step."""
    fit(
        model,
        train,
        loss=teacher_forcing(),
        steps=steps,
        batch_size=64,
        lr=2e-3,
        schedule="cosine",
        warmup=0.05,
        clip_norm=1.0,
        seed=seed,
        precision=small_precision(),
    )
    return model


def captions(seed: int) -> dict[str, dict[str, float]]:
    """Captions: two shapes drawn alike, two shapes with pairs held out, and the names of unseen characters."""
    rows = {}
    for name, held_out in (("two shapes", False), ("two shapes, pairs held out", True)):
        shapes = load_shapes(held_out=held_out)
        vocabulary, test = shapes.classes["word"], with_places(shapes.test)
        seed_everything(seed)
        steps = pick(smoke=2, laptop=CAPTION_STEPS)
        model = train_captioner(shape_captioner(len(vocabulary)), with_places(shapes.train), seed, steps)
        rows[name] = scored(model, test, vocabulary)
        if held_out:
            new = test.targets["unseen"]
            rows[name] |= composed(written(model, test, vocabulary), test.info["caption"], new)
    glyphs = small_glyphs()
    train, test = (replace(part, targets={"caption": part.inputs["text"]}) for part in (glyphs.train, glyphs.test))
    vocabulary = glyphs.classes["text"]
    seed_everything(seed)
    model = captioner(PixelTokens(), len(vocabulary), dropout=0.1)
    rows["names of unseen characters"] = scored(
        train_captioner(model, train, seed, steps=pick(smoke=2, laptop=3000)), test, vocabulary
    )
    return rows
