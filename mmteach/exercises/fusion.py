"""The tasks of chapter 03, Fusion. Their references are in mmteach.exercises.references.fusion."""

from __future__ import annotations

from typing import Any

from mmteach.exercises import observe
from mmteach.exercises.draws import Draw
from mmteach.exercises.task import Case, Observed, Task

# ---- fusion.gated -----------------------------------------------------------------------------------------------------


def _gated_cases(seed: int) -> list[Case]:
    draw = Draw(seed)
    cases = []
    for part, batch, what in (
        ("values", draw.whole(4, 6), ""),
        ("values", 1, "a batch of one"),
        ("gradients", 3, "gradients"),
    ):
        image, text, dim = draw.whole(5, 7), draw.whole(8, 9), draw.whole(3, 4)
        width = {"gate.weight": (dim, text), "image.weight": (dim, image), "out.weight": (dim, dim)}
        weights = {name: draw.normal(*shape) for name, shape in width.items()}
        weights |= {f"{name}.bias": draw.normal(dim) for name in ("gate", "image", "out")}
        inputs = {"sizes": [image, text, dim], "weights": weights, "image": draw.normal(batch, image), "text": draw.normal(batch, text)}  # fmt: skip
        cases.append(Case(part, inputs, what))
    return cases


def _gated_run(answer: Any, case: Case) -> Observed:
    x = case.inputs
    return observe.module(
        answer, x["sizes"], x["weights"], {"image": x["image"], "text": x["text"]},
        rows=("image", "text"), gradients=case.part == "gradients",
    )  # fmt: skip


GATED = Task(
    name="fusion.gated",
    title="A gate: the text decides what gets through of the image",
    answer="Gated",
    kind="implement",
    minutes=15,
    difficulty=1,
    parts={"values": 3, "gradients": 1},
    prompt=r"""
A word can say what to look for in a picture. Gated fusion turns that into numbers between 0 and 1, one for each number of the
projected image:

$$ g = \sigma(W_g\, x_\text{text} + b_g), \qquad h = W_x\, x_\text{image} + b_x, \qquad z = W_o\,(g * h) + b_o, $$

where $*$ multiplies number by number. Write it as a module: `Gated(image_dim, text_dim, dim)`, called as `gated(image, text)` with
tensors of shape $(B, \text{image\_dim})$ and $(B, \text{text\_dim})$, gives $(B, \text{dim})$. Name the three linear layers `gate`, `image`
and `out`, so that the check can give them weights of its own.""",
    hints=(
        "Three `nn.Linear` layers, and one line for each of the three equations.",
        "Which of the two inputs does the gate read, and which does it let through? The shapes of the layers follow from that.",
        "The last layer reads the product $g * h$, so it maps `dim` numbers to `dim` numbers.",
    ),
    links=("2 · The model, layer by layer",),
    cases=_gated_cases,
    run=_gated_run,
    misconceptions={
        "no sigmoid": "what the text computes is no gate yet: its numbers may be anything, and a gate lies between 0 and 1",
        "gate on text": "the gate multiplies the wrong thing: the text decides, and something else is let through",
        "softmax": "the gate's numbers compete with each other (they sum to one); each opens and closes by itself",
        "no output layer": "the product is not the end: one more linear map stands between it and $z$",
        "sum": "the gate is added to the projected image; a gate scales what passes through it",
        "tanh": "the gate takes values below 0, so it can flip a number's sign; it is to let through more or less of it",
        "half closed": "gate and its opposite are mixed up: where the gate is open, the image must pass",
        "residual": "something gets around the gate: with the gate shut, nothing of the image may be left in $z$",
        "gate after": "the gate is applied to the result instead of to the projected image: compare the order of the three equations",
    },
    blocks=("mmteach.fusion.gated",),
)


TASKS = (GATED,)
