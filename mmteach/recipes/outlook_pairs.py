"""Chapter 07, wrong pairs: a share of the training pairs is shuffled, and the test asks what was learned all the same.

| name            | what it does                                                                       |
|-----------------|------------------------------------------------------------------------------------|
| `shuffled`      | a batch in which a share of the examples got another one's text or sound             |
| `generalised`   | the generalised cross-entropy on a contrastive choice: no pair counts without limit   |
| `trimmed`       | InfoNCE on the half of each batch that it finds easiest                               |
| `OBJECTIVES`    | four ways to align pictures and names                                                |
| `classifiers`   | digits seen and heard, where the sound, not the label, may be another one's           |
| `wrong_pairs`   | the table                                                                            |
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.alignment import DualEncoder, clip_loss
from mmteach.claims import pick
from mmteach.data.batch import Batch, Splits
from mmteach.fusion import Concat, MultimodalClassifier
from mmteach.metrics import accuracy
from mmteach.recipes.background import load
from mmteach.recipes.crossmodal_glyphs import (
    PixelMLP,
    embed,
    glyph_model,
    info_nce_loss,
    on_sphere,
    ranks,
    siglip,
    small_glyphs,
)
from mmteach.training import classify, fit, predict, seed_everything, small_precision
from mmteach.training.loop import Loss

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)


def shuffled(batch: Batch, modality: str, share: float, seed: int) -> Batch:
    """The same examples, but for a share of them drawn at random, `modality` is that of another of these, once and for all.

    Nobody knows which: targets and the other modalities stay. Raises ValueError for a share outside of [0, 1].
    """
    _check.between("share", share, 0, 1)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(batch), generator=generator)[: round(share * len(batch))]
    source = torch.arange(len(batch))
    source[chosen] = chosen.roll(1)  # in a random order each gets its neighbour's: nobody keeps its own
    moved = {name: {**getattr(batch, name)} for name in ("inputs", "masks")}
    for columns in moved.values():
        if modality in columns:
            columns[modality] = columns[modality][source]
    return replace(batch, **moved)


def generalised(image: Tensor, text: Tensor, scale: float | Tensor, q: float = 0.5) -> Tensor:
    """The generalised cross-entropy of the contrastive choice, both ways.

    L = ½ Σ_ways mean_i (1 − p_i^q) / q,    p_i = softmax_j(scale · I_i·T_j) at j = i

    q → 0 is InfoNCE, −ln p_i, which rises without limit as p_i → 0; q = 1 is 1 − p_i, which is never above 1. The weight of
    a pair in the gradient is p_i^q times InfoNCE's: a pair that seems absurd is hardly listened to.

    image, text: (B, D), normalised;  scale: 1 / temperature;  q: in (0, 1]. Returns a scalar.
    Zhang & Sabuncu 2018, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels.

    >>> same = torch.ones(4, 2)
    >>> generalised(same, same, 1.0, q=1.0).item()  # p = 1/4
    0.75
    """
    _check.same_shape("image", image, "text", text)
    _check.positive("q", q)
    _check.between("q", q, 0, 1)
    scores = scale * image @ text.T
    ways = [(1 - s.log_softmax(-1).diagonal().mul(q).exp()) / q for s in (scores, scores.T)]
    return torch.stack(ways).mean()


def trimmed(image: Tensor, text: Tensor, scale: float | Tensor, kept: float = 0.5) -> Tensor:
    """InfoNCE on the share of the batch whose loss is smallest; the other pairs stay candidates, but ask no question.

    image, text: (B, D), normalised;  scale: 1 / temperature;  kept: in (0, 1]. Returns a scalar.
    Small losses are mostly those of right pairs while a network has not learned the wrong ones by heart: Han et al. 2018,
    Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels.
    """
    with torch.no_grad():
        scores = scale * image @ text.T
        loss = -(scores.log_softmax(1) + scores.T.log_softmax(1)).diagonal()
        mask = torch.zeros(len(image), dtype=torch.bool, device=image.device)
        mask[loss.argsort()[: max(1, round(kept * len(image)))]] = True
    return clip_loss(image, text, scale, mask=mask)


# The loss of the second half of the training, that of the first half, what the model begins with, and the learning rate:
# .003 or .01, chosen on validation characters at 40 % wrong pairs, as was q.
OBJECTIVES: dict[str, tuple[Loss, Loss, dict[str, Any], float]] = {
    "InfoNCE": (info_nce_loss, info_nce_loss, {}, 1e-2),
    "SigLIP": (siglip, siglip, {"temperature": 0.1, "bias": -10.0}, 3e-3),
    "InfoNCE, generalised": (
        on_sphere(lambda image, text, m: generalised(image, text, m.scale())),
        info_nce_loss,
        {},
        1e-2,
    ),
    "InfoNCE, trimmed": (on_sphere(lambda image, text, m: trimmed(image, text, m.scale())), info_nce_loss, {}, 1e-2),
}
STEPS = 600


def aligned(glyphs: Splits, objective: str, share: float, seed: int, steps: int = STEPS) -> DualEncoder:
    """A glyph model trained with one of OBJECTIVES while a share of the pictures have another one's name.

    Every objective gets the same two halves: the first at a constant rate, the second at one that falls to zero.
    """
    later, first, settings, lr = OBJECTIVES[objective]
    seed_everything(seed)
    model = glyph_model(glyphs, **settings)
    train = shuffled(glyphs.train, "text", share, seed)
    for loss, schedule in ((first, "constant"), (later, "cosine")):
        fit(
            model, train, loss=loss, steps=pick(smoke=2, laptop=steps // 2), batch_size=128, lr=lr, schedule=schedule,
            warmup=0.1 if schedule == "constant" else 0.0, seed=seed, precision=small_precision(), progress=False,
        )  # fmt: skip
    return model


def small_digits(seed: int) -> Splits:
    """Digits seen and heard as rows of numbers: pixels 14 × 14 and 20 × 10 of the spectrogram."""
    digits = load(seed)
    for part in (digits.train, digits.valid, digits.test):
        part.inputs["image"] = F.avg_pool2d(part.inputs["image"], 2).flatten(1)
        part.inputs["audio"] = F.avg_pool2d(part.inputs["audio"], (2, 5)).flatten(1)
    return digits


def classifiers(digits: Splits, share: float, seed: int) -> dict[str, nn.Module]:
    """Classifiers of the picture's digit: by the picture, by a sound that may be another digit's, by both; 10 epochs."""
    train = shuffled(digits.train, "audio", share, seed)
    models: dict[str, nn.Module] = {}
    for name, senses in (("picture", ("image",)), ("sound", ("audio",)), ("both", ("image", "audio"))):
        seed_everything(seed)
        encoders = {m: PixelMLP(digits.train.inputs[m].shape[1], 64, 32) for m in senses}
        fusion = Concat(dict.fromkeys(senses, 32), 32) if len(senses) > 1 else None
        models[name] = MultimodalClassifier(encoders, fusion, head=10)
        fit(
            models[name], train.only(*senses), loss=classify("digit"), epochs=pick(smoke=1, laptop=10), batch_size=64,
            lr=3e-3, schedule="cosine", warmup=0.1, seed=seed, precision=small_precision(), progress=False,
        )  # fmt: skip
    return models


def classified(models: dict[str, nn.Module], digits: Splits, part: str) -> dict[str, float]:
    """Accuracy of each classifier on examples whose pairs are right."""
    split: Batch = getattr(digits, part)
    truth = split.targets["digit"]
    return {
        name: accuracy(predict(model, split.only(*model.encoders)), truth)  # type: ignore[misc]
        for name, model in models.items()
    }


def wrong_pairs(seed: int) -> dict[str, dict[str, float]]:
    """Glyphs aligned and digits classified while 0 to 80 % of the training pairs are wrong; every test pair is right."""
    glyphs, digits, rows = small_glyphs(), small_digits(seed), dict[str, dict[str, float]]()
    for share in SHARES:
        for objective in OBJECTIVES:
            model = aligned(glyphs, objective, share, seed)
            rows[f"{objective}, {share:g}"] = {
                "share": share,
                **{part: ranks(*embed(model, getattr(glyphs, part)))["t2i R@1"] for part in ("valid", "test")},
            }
        scores = {part: classified(classifiers(digits, share, seed), digits, part) for part in ("valid", "test")}
        for name in scores["test"]:
            rows[f"digits, {name}, {share:g}"] = {"share": share, **{part: scores[part][name] for part in scores}}
    return rows
