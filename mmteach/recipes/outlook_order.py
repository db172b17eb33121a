"""Chapter 07, what no pair shows: worlds of three inputs, exactly, and networks that see pairs only or all three.

| name                | what it does                                                                     |
|---------------------|----------------------------------------------------------------------------------|
| `WORLDS`            | what y is, as a function of three fair coins                                         |
| `three_coins`       | such a world: its table p(x1, x2, x3, y)                                             |
| `bits_by_order`     | what one input, two, three tell at best                                              |
| `Pairs`, `Triple`   | a network that adds what each pair says; one of the same size that sees all three      |
| `seen_and_guessed`  | both networks trained on a world: test accuracy and loss                               |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.claims import pick
from mmteach.data.batch import Batch
from mmteach.data.worlds import World
from mmteach.metrics import accuracy
from mmteach.training import classify, fit, predict, seed_everything, small_precision

INPUTS = ("x1", "x2", "x3")
WORLDS: dict[str, Callable[[int, int, int], int]] = {
    "one of them": lambda a, b, c: a,
    "majority": lambda a, b, c: int(a + b + c >= 2),
    "XOR of two": lambda a, b, c: a ^ b,
    "parity of three": lambda a, b, c: a ^ b ^ c,
}


def three_coins(name: str) -> World:
    """Three independent fair coins and y, a function of them, by name: a `World`."""
    _check.choice("name", name, tuple(WORLDS))
    joint = torch.zeros(2, 2, 2, 2, dtype=torch.float64)
    for a, b, c in torch.cartesian_prod(*[torch.arange(2)] * 3).tolist():
        joint[a, b, c, WORLDS[name](a, b, c)] = 1 / 8
    return World(name, joint, None, f"y = {name}")


def bits_by_order(world: World) -> list[float]:
    """The most bits that k inputs together tell about y, for k = 1, 2, …: max over |S| = k of I(X_S; Y)."""
    names = world.modalities
    return [max(world.bits(*some) for some in combinations(names, k)) for k in range(1, len(names) + 1)]


def _mlp(inputs: int, hidden: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)
    )


class Pairs(nn.Module):
    """Any function of each pair of inputs, added up: logits = f_12(x1, x2) + f_13(x1, x3) + f_23(x2, x3).

    width: of each input;  hidden: units of each f's two layers. forward(inputs) → (B, classes)
    """

    def __init__(self, width: int = 2, hidden: int = 32, classes: int = 2) -> None:
        super().__init__()
        self.pairs = list(combinations(INPUTS, 2))
        self.parts = nn.ModuleList([_mlp(2 * width, hidden, classes) for _ in self.pairs])

    def forward(self, inputs: Mapping[str, Tensor], masks: Any = None, present: Any = None) -> Tensor:
        said = [f(torch.cat([inputs[a], inputs[b]], -1)) for f, (a, b) in zip(self.parts, self.pairs)]
        return torch.stack(said).sum(0)


class Triple(nn.Module):
    """One function of all three inputs: logits = f(x1, x2, x3); 57 hidden units give it as many parameters as `Pairs`."""

    def __init__(self, width: int = 2, hidden: int = 57, classes: int = 2) -> None:
        super().__init__()
        self.layers = _mlp(3 * width, hidden, classes)

    def forward(self, inputs: Mapping[str, Tensor], masks: Any = None, present: Any = None) -> Tensor:
        return self.layers(torch.cat([inputs[m] for m in INPUTS], -1))


def blurred(batch: Batch, seed: int, spread: float = 0.3) -> Batch:
    """One-hot inputs with noise on them, x + spread · ε: a network must read them, as it reads pictures."""
    generator = torch.Generator().manual_seed(seed)
    inputs = {m: x + spread * torch.randn(x.shape, generator=generator) for m, x in batch.inputs.items()}
    return Batch(inputs, batch.targets)


def seen_and_guessed(name: str, seed: int) -> dict[str, dict[str, float]]:
    """`Pairs` and `Triple` trained on 3,000 draws of a world: accuracy on 2,000 others, and the test loss in bits."""
    world = three_coins(name)
    train, test = (blurred(world.sample(n, 2 * seed + i), 2 * seed + i) for i, n in enumerate((3000, 2000)))
    rows = {}
    for kind, make in (("pairs", Pairs), ("all three", Triple)):
        seed_everything(seed)
        model = make()
        fit(
            model, train, loss=classify(), epochs=pick(smoke=1, laptop=12), batch_size=100, lr=3e-3, schedule="cosine",
            seed=seed, precision=small_precision(), progress=False,
        )  # fmt: skip
        logits = predict(model, test)
        loss = nn.functional.cross_entropy(logits, test.targets["label"]).item() / torch.tensor(2.0).log().item()
        rows[kind] = {"accuracy": accuracy(logits, test.targets["label"]), "bits": loss}
    return rows
