"""Chapter 07, how large a model: glyphs found by name by networks of many widths, trained short or long, on less data or more.

| name       | what it does                                                                        |
|------------|---------------------------------------------------------------------------------------|
| `sized`    | a dual encoder whose picture network has so many hidden units, trained so many steps      |
| `in_faces` | the glyphs with so many faces in training                                               |
| `sizes`    | the table                                                                               |
"""

from __future__ import annotations

import random
import time
from dataclasses import replace

import torch

from mmteach import _check
from mmteach.alignment import DualEncoder
from mmteach.claims import pick
from mmteach.data.batch import Splits
from mmteach.encoders import TextBag
from mmteach.recipes.crossmodal_glyphs import PixelMLP, embed, info_nce_loss, ranks, small_glyphs
from mmteach.training import fit, seed_everything, small_precision

WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512)
FACES, SHORT, LONG = 3, 150, 600


def in_faces(glyphs: Splits, faces: int, seed: int) -> Splits:
    """The same glyphs with the training pictures of `faces` faces only, drawn at random; fewer than 1 is a ValueError."""
    _check.positive("faces", faces)
    drawn = sorted(set(glyphs.train.info["face"]))
    kept = set(random.Random(seed).sample(drawn, faces))
    return replace(glyphs, train=glyphs.train[torch.tensor([face in kept for face in glyphs.train.info["face"]])])


def sized(glyphs: Splits, hidden: int, steps: int, seed: int) -> tuple[DualEncoder, dict[str, float]]:
    """A dual encoder after `steps` steps of 128 pairs with InfoNCE, and what it cost: parameters of the eye, processor seconds.

    A processor's time, unlike a clock's, does not depend on what else the machine does.
    """
    seed_everything(seed)
    eye = PixelMLP(hidden=hidden)
    model = DualEncoder({"image": eye, "text": TextBag(len(glyphs.classes["text"]), 64)}, dim=64)
    started = time.process_time()
    fit(
        model, glyphs.train, loss=info_nce_loss, steps=pick(smoke=2, laptop=steps), batch_size=128,
        lr=1e-2 if hidden <= 256 else 5e-3, schedule="cosine", warmup=0.05, seed=seed, precision=small_precision(),
        progress=False,
    )  # fmt: skip
    cost = {"parameters": sum(p.numel() for p in eye.parameters()), "seconds": round(time.process_time() - started, 2)}
    return model, cost


def sizes(seed: int) -> dict[str, dict[str, float]]:
    """Glyphs found by name, R@1 on characters never seen: eight widths; all faces, long and short, and few faces."""
    glyphs = small_glyphs()
    few, rows = in_faces(glyphs, FACES, seed), dict[str, dict[str, float]]()
    trainings = {
        f"all faces, {LONG} steps": (glyphs, LONG),
        f"all faces, {SHORT} steps": (glyphs, SHORT),
        f"{FACES} faces, {LONG} steps": (few, LONG),
    }
    for hidden in WIDTHS:
        for name, (data, steps) in trainings.items():
            model, cost = sized(data, hidden, steps, seed)
            found = {part: ranks(*embed(model, getattr(glyphs, part)))["t2i R@1"] for part in ("valid", "test")}
            rows[f"{hidden} units, {name}"] = {
                "hidden": hidden,
                "steps": steps,
                "pictures": len(data.train),
                **cost,
                **found,
            }
    return rows
