"""Chapter 03, Fusion: the tables that take longer than the chapter."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mmteach.claims import pick
from mmteach.data import load_emoji
from mmteach.data.batch import Batch
from mmteach.encoders import ImageCNN, TextLSTM
from mmteach.fusion import ClassicFusion, MultimodalClassifier
from mmteach.metrics import auc
from mmteach.recipes import Recipe
from mmteach.training import detect, fit, predict, seed_everything


def alone(encoder: ImageCNN | TextLSTM, modality: str) -> MultimodalClassifier:
    """One encoder of the classic model under the classic model's dense layers: 128, 64, 1."""
    head = nn.Sequential(nn.Linear(encoder.dim, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))
    return MultimodalClassifier({modality: encoder}, None, head)


def forget_words(batch: Batch) -> Batch:
    """Each word becomes the unknown word one time in ten, or the network never learns what an unknown word says."""
    text = batch.inputs["text"]
    forgotten = (torch.rand(text.shape, device=text.device) < 0.1) & (text > 1)
    return replace(batch, inputs={**batch.inputs, "text": text.masked_fill(forgotten, 1)})


def classic(seed: int) -> dict[str, dict[str, float]]:
    """The classic model on emoji, with both modalities and with each alone, by its own settings: ten epochs, batch 32.

    Each alone has its encoder and the same dense layers; whatever reads words learns what an unknown one says. The epoch is
    chosen on validation, the area is the test's.
    """
    emoji = load_emoji(keywords=2, seed=seed)
    thin = pick(smoke=50, laptop=1)
    words = len(emoji.vocabulary)
    makers = {
        "image": lambda: alone(ImageCNN(48), "image"),
        "text": lambda: alone(TextLSTM(words), "text"),
        "both": lambda: ClassicFusion(image_size=48, vocabulary=words),
    }
    rows = {}
    for name, make in makers.items():
        parts = [part if name == "both" else part.only(name) for part in (emoji.train, emoji.valid, emoji.test)]
        train, valid, test = (part[::thin] for part in parts)
        seed_everything(seed)
        model = make()
        history = fit(
            model,
            train,
            valid,
            loss=detect("nature"),
            metric=lambda model, split: {"auc": auc(predict(model, split), split.targets["nature"])},
            monitor="valid_auc",
            higher_is_better=True,
            augment=None if name == "image" else forget_words,
            seed=seed,
            **{**ClassicFusion.TRAINING, "epochs": pick(smoke=1, laptop=10)},
        )
        rows[name] = {
            "auc": auc(predict(model, test), test.targets["nature"]),
            "epoch": history[history.best or 0]["epoch"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "seconds": round(history.seconds, 1),
        }
    return rows


RECIPES = [
    Recipe(
        "classic",
        "The classic model on emoji picture + one keyword, both together and each alone, unseen concepts",
        classic,
    )
]
