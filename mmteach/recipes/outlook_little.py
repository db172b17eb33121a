"""Chapter 07, little data: an ear learns ten spoken digits from 1, 3, 10 or 30 labelled examples of each.

| name          | what it does                                                                          |
|---------------|------------------------------------------------------------------------------------------|
| `load_heard`  | digits seen and heard, in the pretrained ear's frames                                       |
| `few_of_each` | so many examples of each digit                                                            |
| `varied`      | an augmentation of spectrograms: moved in time, a band and a stretch of time wiped out      |
| `pretrained`  | the ear of a model that learned to match spoken emoji names with their spelling             |
| `WAYS`, `ear` | from nothing, augmentation, transfer, distillation, and all three at once                    |
| `little_data` | the table                                                                                   |

The network and its teacher are those of chapter 04's distillation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.alignment import DualEncoder, clip_loss
from mmteach.claims import pick
from mmteach.data.batch import Batch, Splits
from mmteach.data.spoken import WORDS
from mmteach.encoders import TextBag
from mmteach.metrics import accuracy
from mmteach.recipes.background import load
from mmteach.recipes.crossmodal_distillation import Listener, eye, follow, taught
from mmteach.recipes.crossmodal_search import Pieces, numbers_in
from mmteach.recipes.outlook_binding import name_of, wiped, words_and_sounds
from mmteach.training import classify, fit, gather, predict, seed_everything, small_precision

SIZES = (10, 30, 100, 300)
WAYS = ("from nothing", "augmentation", "transfer", "distillation", "all three")
STEPS, PRETRAINING = 300, 300


def load_heard(seed: int) -> Splits:
    """Chapter 01's digits, sounds at 40 ms a frame as the pretrained ear heard them: (N, 1, 40, 25)."""
    digits = load(seed)
    for part in (digits.train, digits.valid, digits.test):
        part.inputs["audio"] = F.avg_pool2d(part.inputs["audio"], (1, 2))
    return digits


def few_of_each(batch: Batch, examples: int, seed: int) -> Batch:
    """So many examples in all, as many of each digit, drawn at random."""
    digit = batch.targets["digit"]
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(seed))
    rows = [order[digit[order] == d][: examples // 10] for d in range(10)]
    return batch[torch.cat(rows)]


def varied(sounds: Tensor) -> Tensor:
    """Spectrograms (N, 1, F, T), each moved by up to a tenth of its time, a band and a stretch of time wiped out."""
    frames = sounds.shape[-1]
    move = torch.randint(-(frames // 10), frames // 10 + 1, (len(sounds), 1))
    return wiped(sounds.take_along_dim(((torch.arange(frames) - move) % frames)[:, None, None, :], 3))


def pretrained(seed: int, steps: int = PRETRAINING) -> nn.Module:
    """An ear that learned which spelling a spoken emoji name or keyword has; no digit is among these words."""
    numbers = numbers_in("train")[:: pick(smoke=40, laptop=1)]
    pieces = Pieces.of(name_of(i) for i in numbers)
    said = words_and_sounds(numbers, pieces)
    digits = {pieces.stoi[word] for word in WORDS if word in pieces}
    said = said[torch.tensor([not digits & set(row) for row in said.inputs["text"].tolist()])]

    def match(model: nn.Module, batch: Batch) -> Tensor:
        z = model(batch.inputs, masks={**batch.masks, "text": batch.inputs["text"] != 0})
        return clip_loss(gather(z["audio"]), gather(z["text"]), model.scale())  # type: ignore[operator]

    seed_everything(seed)
    text = TextBag(len(pieces), 64)
    nn.init.normal_(text.embedding.weight, std=0.1)
    model = DualEncoder({"audio": Listener().encoder, "text": text}, dim=64)
    fit(
        model, said, loss=match, steps=pick(smoke=2, laptop=steps), batch_size=128, lr=3e-3, schedule="cosine", warmup=0.1,
        seed=seed, precision=small_precision(), progress=False,
    )  # fmt: skip
    return model.encoders["audio"]


def learn(few: Batch, pairs: Batch | None) -> Callable[[nn.Module, Batch], Tensor]:
    """Cross-entropy on labelled sounds; where `pairs` are given, half of it, and half a loss that follows the eye on them."""

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        if pairs is None:
            return classify("digit")(model, batch)  # type: ignore[return-value]
        labelled = few[torch.randint(len(few), (min(len(few), 32),))]
        return (classify("digit")(model, labelled) + follow(model, batch)) / 2  # type: ignore[operator]

    return loss


def ear(way: str, few: Batch, pairs: Batch, encoder: nn.Module, seed: int) -> nn.Module:
    """A listener of ten digits after STEPS steps, in one of WAYS.

    few: labelled sounds;  pairs: unlabelled ones with the eye's beliefs (`taught`);  encoder: from `pretrained`
    """
    seed_everything(seed)
    model, everything = Listener(), way == "all three"
    if way == "transfer" or everything:
        model.encoder.load_state_dict(encoder.state_dict())

    def vary(batch: Batch) -> Batch:
        return replace(batch, inputs={"audio": varied(batch.inputs["audio"])})

    unlabelled = pairs if way == "distillation" or everything else None
    # An epoch of a handful of sounds would be one tiny step: they are repeated until there are enough for batches of 64.
    train = few[torch.arange(max(len(few), 64)) % len(few)] if unlabelled is None else unlabelled
    fit(
        model, train, loss=learn(few, unlabelled), augment=vary if way == "augmentation" or everything else None,
        steps=pick(smoke=2, laptop=STEPS), batch_size=64, lr=3e-3, schedule="cosine", warmup=0.1, seed=seed,
        precision=small_precision(), progress=False,
    )  # fmt: skip
    return model


def ingredients(digits: Splits, seed: int) -> tuple[Batch, nn.Module]:
    """What the ways need beside labels: unlabelled pairs with the eye's beliefs, and the pretrained encoder."""
    return taught(digits, eye(digits, seed)), pretrained(seed)


def little_data(seed: int) -> dict[str, dict[str, float]]:
    """Accuracy of the ear on speakers never heard, for each way and number of labels; and with all labels, from nothing."""
    digits = load_heard(seed)
    pairs, encoder = ingredients(digits, seed)
    heard = digits.train.only("audio")
    rows = {}
    for labels in (*SIZES, len(heard)):
        few = heard if labels == len(heard) else few_of_each(heard, labels, seed)
        for way in WAYS if labels < len(heard) else WAYS[:1]:
            model = ear(way, few, pairs, encoder, seed)
            said = {
                part: accuracy(predict(model, split.only("audio")), split.targets["digit"])
                for part, split in (("valid", digits.valid), ("test", digits.test))
            }
            rows[f"{way}, {labels}"] = {"labels": labels, **said}
    return rows
