"""What right and known wrong answers to the tasks of chapter 03 give."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmteach.exercises.observe import weighing
from mmteach.exercises.task import Case, Expectation


def gated(case: Case) -> Expectation:
    x = case.inputs
    weights = {name: w.clone().requires_grad_(True) for name, w in x["weights"].items()}

    def linear(name: str, value: Tensor) -> Tensor:
        return value @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    pre, h = linear("gate", x["text"]), linear("image", x["image"])
    g = pre.sigmoid()
    z = linear("out", g * h)
    right: dict[str, Any] = {
        "parameters": {name: list(w.shape) for name, w in sorted(weights.items())},
        "value": z.detach(),
        "rows": z.detach(),
    }
    if case.part == "gradients":
        found = torch.autograd.grad((z * weighing(z)).sum(), list(weights.values()))
        right["gradients"] = dict(sorted(zip(weights, found)))
    wrong = {
        "no sigmoid": linear("out", pre * h),
        "softmax": linear("out", pre.softmax(-1) * h),
        "no output layer": g * h,
        "sum": linear("out", g + h),
        "tanh": linear("out", pre.tanh() * h),
        "half closed": linear("out", (1 - g) * h),
        "residual": linear("out", h + g * h),
        "gate after": g * linear("out", h),
        "gate on text": linear("out", h.sigmoid() * pre),
    }
    return Expectation(right, {name: {"value": value.detach()} for name, value in wrong.items()})


EXPECT = {"fusion.gated": gated}
