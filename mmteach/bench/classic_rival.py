"""One side of the suite `classic`, in a process of its own: reads questions on stdin, answers each with a line of JSON.

usage: python -m mmteach.bench.classic_rival '{"who": "mmteach", "precision": "bf16", "size": 64, "examples": 256}'

| question     | answer                                                                        |
|--------------|---------------------------------------------------------------------------------|
| `epoch`      | {"seconds"}: one epoch of training                                                |
| `learn GOAL` | {"epochs", "auc", "seconds"}: epochs until validation's AUC is GOAL, of training only |
| `memory`     | {"bytes"}: the most memory of this process                                        |
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from mmteach.bench.classic import BATCH, LIMIT, Setting
from mmteach.bench.measure import peak_bytes
from mmteach.data import load_emoji
from mmteach.data.batch import Batch
from mmteach.fusion import ClassicFusion
from mmteach.metrics import auc
from mmteach.training import detect, fit, predict, seed_everything

WORDS = 10_000
Trainer = tuple[Callable[[], object], Callable[[], Any]]  # trains an epoch; scores validation


def data(setting: Setting) -> tuple[Batch, Batch]:
    """Training and validation examples at the setting's size, texts of 100 words, as the classic model takes them."""
    emoji = load_emoji(keywords=2, length=ClassicFusion.TEXT_LENGTH)
    order = torch.randperm(len(emoji.train), generator=torch.Generator().manual_seed(0))
    # Validation is in the order of the concepts: its beginning would be faces alone.
    train, valid = emoji.train[order[: setting.examples]], emoji.valid[:: max(1, 2048 // setting.examples)]
    return _resized(train, setting.size), _resized(valid, setting.size)


def _resized(part: Batch, size: int) -> Batch:
    """These examples alone at this size: all emoji at 224 × 224 would fill more memory than the models."""
    images = F.interpolate(part.inputs["image"].float(), (size, size), mode="bilinear").round().to(torch.uint8)
    return Batch({"image": images, "text": part.inputs["text"]}, {"nature": part.targets["nature"]})


def ours(setting: Setting, train: Batch, valid: Batch) -> Trainer:
    """Our model, trained as a chapter trains it."""
    model, epoch = ClassicFusion(setting.size, WORDS), iter(range(1000))

    def one() -> object:
        return fit(
            model,
            train,
            loss=detect("nature"),
            epochs=1,
            batch_size=BATCH,
            seed=next(epoch),
            precision=setting.precision,
        )

    return one, lambda: predict(model, valid)


def keras_model(size: int, words: int) -> Any:
    """The classic model as a user of Keras writes it."""
    from keras import Input, Model, layers

    image, text = Input((size, size, 3)), Input((ClassicFusion.TEXT_LENGTH,), dtype="int32")
    x = layers.Rescaling(1 / 255)(image)
    for channels in (64, 128, 256):
        x = layers.MaxPooling2D(2)(layers.Conv2D(channels, 3, activation="relu")(x))
    y = layers.LSTM(64)(layers.Embedding(words, 64)(text))
    z = layers.Concatenate()([layers.Flatten()(x), y])
    z = layers.Dense(64, activation="relu")(layers.Dense(128, activation="relu")(z))
    return Model([image, text], layers.Dense(1, activation="sigmoid", dtype="float32")(z))


def theirs(setting: Setting, train: Batch, valid: Batch) -> Trainer:
    """Keras' model, trained by its own `fit` on the same examples."""
    import keras

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16" if setting.precision == "bf16" else "float32")
    model = keras_model(setting.size, WORDS)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
    (x, y), (seen, _) = (_arrays(part) for part in (train, valid))
    return (
        lambda: model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0),
        lambda: torch.as_tensor(model.predict(seen, batch_size=256, verbose=0)[:, 0]),
    )


def _arrays(part: Batch) -> tuple[list[Any], Any]:
    images = part.inputs["image"].movedim(1, -1).contiguous().numpy()
    return [images, part.inputs["text"].int().numpy()], part.targets["nature"].float().numpy()


def learn(trainer: Trainer, valid: Batch, goal: float) -> dict[str, float]:
    """Epochs until validation's AUC reaches the goal, and the seconds of training that took."""
    epoch, scores = trainer
    seconds, reached, number = 0.0, 0.0, 0
    while number < LIMIT and (number == 0 or reached < goal):
        started = time.perf_counter()
        epoch()
        seconds += time.perf_counter() - started
        number += 1
        reached = auc(scores(), valid.targets["nature"])
    return {"epochs": number, "auc": reached, "seconds": seconds}


def main() -> None:
    """Answer questions until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    setting = Setting(**json.loads(sys.argv[1]))
    seed_everything(0)
    train, valid = data(setting)
    # PyTorch imports its compiler with the first optimizer, seconds that both sides would wait for once: before the clock runs.
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    trainer = (ours if setting.who == "mmteach" else theirs)(setting, train, valid)
    for line in sys.stdin:
        question, *words = line.split()
        answer: dict[str, float]
        if question == "epoch":
            started = time.perf_counter()
            trainer[0]()
            answer = {"seconds": time.perf_counter() - started}
        elif question == "learn":
            answer = learn(trainer, valid, float(words[0]))
        else:
            answer = {"bytes": peak_bytes()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
