"""Chapter 04, distillation: an ear taught by an eye, without labels.

| name                 | what it does                                               |
|----------------------|------------------------------------------------------------|
| `Listener`, `Looker` | a small network for sounds, one for pictures               |
| `eye`, `ear`         | a teacher trained on labels; a student trained on any loss |
| `taught`, `follow`   | what the teacher believes, and the loss that follows it    |
| `distil`             | the table                                                  |
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmteach.alignment import distillation_loss
from mmteach.claims import pick
from mmteach.data.batch import Batch, Splits
from mmteach.encoders import AudioCNN
from mmteach.metrics import accuracy
from mmteach.recipes.background import load
from mmteach.training import classify, fit, predict, seed_everything, small_precision
from mmteach.training.loop import Loss


class Listener(nn.Module):
    """A small audio network with a linear layer to the ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = AudioCNN(40, 32, channels=(8, 16, 32))
        self.head = nn.Linear(32, 10)

    def forward(self, inputs: dict, masks: object = None, present: object = None) -> Tensor:
        return self.head(self.encoder(inputs["audio"]))


class Looker(nn.Module):
    """An MLP on the picture of a digit."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, inputs: dict, masks: object = None, present: object = None) -> Tensor:
        return self.layers(inputs["image"])


LABELS = 50  # what the ear has where labels are few


def eye(digits: Splits, seed: int) -> Looker:
    """The teacher: sees the pictures of the training digits, with their labels."""
    seed_everything(seed)
    teacher = Looker()
    steps = pick(smoke=5, laptop=600)
    fit(
        teacher,
        digits.train.only("image"),
        loss=classify("digit"),
        steps=steps,
        batch_size=64,
        seed=seed,
    )
    return teacher


def ear(heard: Batch, loss: Loss, seed: int) -> Listener:
    """A student: 200 steps of 64 sounds with this loss, whatever the loss and however many sounds there are."""
    seed_everything(seed)
    student = Listener()
    steps = pick(smoke=3, laptop=200)
    fit(student, heard, loss=loss, steps=steps, batch_size=64, lr=3e-3, schedule="cosine", warmup=0.1, seed=seed,
        precision=small_precision())  # fmt: skip
    return student


def taught(digits: Splits, teacher: nn.Module) -> Batch:
    """The sounds of the training pairs with what the teacher thinks of the picture beside each; no labels."""
    beliefs = predict(teacher, digits.train.only("image"))
    return Batch({"audio": digits.train.inputs["audio"]}, {"belief": beliefs})


def follow(model: nn.Module, batch: Batch) -> Tensor:
    """Hinton's loss against the teacher's logits, temperature 2."""
    return distillation_loss(model(batch.inputs), batch.targets["belief"], temperature=2.0)


def distil(seed: int) -> dict[str, dict[str, float]]:
    """Digits: an eye with labels teaches an ear that has none; beside it the ear with 50 labels and with all 4,000.

    Gupta, Hoffman and Malik 2016, "Cross Modal Distillation for Supervision Transfer".
    """
    digits = load(seed)
    teacher, heard = eye(digits, seed), digits.train.only("audio")
    few = heard[torch.randperm(len(heard), generator=torch.Generator().manual_seed(seed))[:LABELS]]
    models: dict[str, tuple[nn.Module, str]] = {
        "eye, 4,000 labels": (teacher, "image"),
        "ear, 50 labels": (ear(few, classify("digit"), seed), "audio"),
        "ear, taught by the eye, no labels": (ear(taught(digits, teacher), follow, seed), "audio"),
        "ear, 4,000 labels": (ear(heard, classify("digit"), seed), "audio"),
    }
    truth = digits.test.targets["digit"]
    return {
        name: {"accuracy": accuracy(predict(model, digits.test.only(modality)), truth)}
        for name, (model, modality) in models.items()
    }
