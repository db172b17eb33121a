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


def _wrong(values: dict[str, Any]) -> dict[str, Any]:
    """By misconception, its value or several of them."""

    def outputs(value: Any) -> dict[str, Any]:
        return {"value": value.detach().float() if isinstance(value, Tensor) and value.dtype != torch.bool else value}

    return {k: [outputs(one) for one in v] if isinstance(v, list) else outputs(v) for k, v in values.items()}


# ---- fusion.count -----------------------------------------------------------------------------------------------------


def _convolutions(colours: int = 3, bias: int = 1) -> int:
    return sum(9 * a * b + bias * b for a, b in ((colours, 64), (64, 128), (128, 256)))


def _dense(side: int, text: int = 64, channels: int = 256, bias: int = 1) -> int:
    return (channels * side**2 + text + bias) * 128


def count(case: Case) -> Expectation:
    words, side = 5000, 64
    for _ in range(3):
        side = (side - 2) // 2
    lstm = 4 * (64 * 64 + 64 * 64 + 64 + 64)
    head = 129 * 64 + 65
    rest = _convolutions() + words * 64 + lstm + head
    entry = case.inputs["entry"]
    right = {
        "convolutions": _convolutions(),
        "embedding": words * 64,
        "lstm": lstm,
        "first dense": _dense(side),
        "all": rest + _dense(side),
    }[entry]
    wrong: dict[str, dict[str, Any]] = {
        "convolutions": {"no biases": _convolutions(bias=0), "grey": _convolutions(colours=1)},
        "embedding": {"transposed sizes": [10_000 * 64, words * 100, words * 128, (words + 1) * 64, 64 * 64]},
        "lstm": {
            "one bias": lstm - 4 * 64,
            "no biases": lstm - 8 * 64,
            "one gate": [lstm // 4, lstm // 4 * 3],
            "no state": [4 * (64 * 64 + 64), 4 * (64 * 64 + 128)],
        },
        "first dense": {
            "same padding": _dense(8),
            "no pools": _dense(58),
            "no text": _dense(side, text=0),
            "no channels": _dense(side, channels=1),
            "no biases": _dense(side, bias=0),
            "wrong picture": [_dense(26), _dense(4)],
        },
        "all": {
            "no head": [right - head, right - 65],
            "one bias": right - 4 * 64,
            "same padding": rest + _dense(8),
            "no text": rest + _dense(side, text=0),
            "wrong picture": [rest + _dense(26), rest + _dense(4)],
            "no biases": right - (64 + 128 + 256) - 8 * 64 - 128 - 64 - 1,
        },
    }
    return Expectation({"value": right}, _wrong(wrong[entry]))


# ---- fusion.bce -------------------------------------------------------------------------------------------------------


def bce(case: Case) -> Expectation:
    a = case.inputs["logits"].clone().requires_grad_(True)
    y = case.inputs["labels"]
    each = y * torch.nn.functional.softplus(-a) + (1 - y) * torch.nn.functional.softplus(a)
    loss = each.mean()
    right: dict[str, Any] = {"value": loss.detach()}
    if case.part == "gradients":
        (right["gradient of logits"],) = torch.autograd.grad(loss * weighing(loss), a, retain_graph=True)
    p, twice = a.sigmoid(), a.sigmoid().sigmoid()

    def naive(q: Tensor) -> Tensor:
        return -(y * q.log() + (1 - y) * (1 - q).log())

    def clamped(epsilon: float) -> Tensor:
        return naive(p.clamp(epsilon, 1 - epsilon)).mean()

    values = {
        "overflow": [naive(p).mean(), torch.log(1 + torch.exp(-(2 * y - 1) * a)).mean()],
        "clamped": [
            *(clamped(epsilon) for epsilon in (1e-7, 1e-6, 1e-5, 1e-4)),
            -(y * (p + 1e-8).log() + (1 - y) * (1 - p + 1e-8).log()).mean(),
            -(y * (p + 1e-7).log() + (1 - y) * (1 - p + 1e-7).log()).mean(),
            -(y * p.log().clamp(min=-100) + (1 - y) * (1 - p).log().clamp(min=-100)).mean(),
        ],
        "sum": each.sum(),
        "other sign": -loss,
        "only ones": (y * each).mean(),
        "only zeros": ((1 - y) * each).mean(),
        "swapped": ((1 - y) * torch.nn.functional.softplus(-a) + y * torch.nn.functional.softplus(a)).mean(),
        "probabilities": naive(twice).mean(),
        "bits": loss / torch.log(torch.tensor(2.0)),
        "hinge": torch.relu(1 - (2 * y - 1) * a).mean(),
        "squared": (p - y).square().mean(),
        "each": each,
    }
    return Expectation(right, _wrong(values))


# ---- fusion.auc -------------------------------------------------------------------------------------------------------


def auc(case: Case) -> Expectation:
    s, y = case.inputs["scores"].double(), case.inputs["labels"]
    positive, negative = s[y == 1], s[y == 0]
    above = (positive[:, None] > negative).double()
    ties = (positive[:, None] == negative).double()
    area = (above + ties / 2).mean().item()
    higher = (s[:, None] > s).double()
    n = min(len(positive), len(negative))
    values: dict[str, Any] = {
        "ties lost": above.mean().item(),
        "ties won": (above + ties).mean().item(),
        "inverted": 1 - area,
        "accuracy": [
            ((s > t) == (y == 1)).double().mean().item() for t in (0.0, 0.5, s.mean().item(), s.median().item())
        ],
        "all pairs": [higher.mean().item(), (above + ties / 2).sum().item() / len(s) ** 2],
        "not divided": (above + ties / 2).sum().item(),
        "recall": [(positive > t).double().mean().item() for t in (0.0, 0.5)],
        "neighbours": (positive[:n] > negative[:n]).double().mean().item(),
        "mean scores": [float(positive.mean() > negative.mean()), (positive.mean() - negative.mean()).item()],
        "percent": 100 * area,
    }
    return Expectation({"value": area}, _wrong(values))


# ---- fusion.tensor ----------------------------------------------------------------------------------------------------


def tensor(case: Case) -> Expectation:
    image, text = (case.inputs[name].clone().requires_grad_(True) for name in ("image", "text"))
    one = torch.ones(len(image), 1)

    def outer(a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum("bi,bj->bij", a, b).reshape(len(a), -1)

    a, b = torch.cat([one, image], 1), torch.cat([one, text], 1)
    z = outer(a, b)
    right: dict[str, Any] = {"value": z.detach()}
    if case.part == "gradients":
        found = torch.autograd.grad((z * weighing(z)).sum(), (image, text), retain_graph=True)
        right |= {"gradient of image": found[0], "gradient of text": found[1]}
    else:
        right["rows"] = z.detach()
    values = {
        "no ones": outer(image, text),
        "ones behind": outer(torch.cat([image, one], 1), torch.cat([text, one], 1)),
        "one of the two": [outer(a, text), outer(image, b)],
        "other order": outer(b, a),
        "table": [z.reshape(len(a), a.shape[1], b.shape[1]), z.reshape(len(a), a.shape[1], b.shape[1]).mT],
        "side by side": [torch.cat([a, b], 1), torch.cat([image, text], 1)],
        "across examples": [torch.einsum("bi,cj->ij", a, b), torch.kron(a, b), torch.einsum("bi,bj->ij", a, b)],
        "sum": (a[:, :, None] + b[:, None]).flatten(1),
        "zeros": outer(torch.cat([0 * one, image], 1), torch.cat([0 * one, text], 1)),
    }
    return Expectation(right, _wrong(values))


# ---- fusion.drop ------------------------------------------------------------------------------------------------------


def drop(case: Case) -> Expectation:
    draws, p = case.inputs["draws"], case.inputs["p"]
    kept = draws >= p
    lost = ~kept.any(1, keepdim=True)

    def saved(place: Tensor) -> Tensor:
        return kept | (lost & torch.nn.functional.one_hot(place, draws.shape[1]).bool())

    right = saved(draws.argmax(1))
    largest = draws == draws.amax(1, keepdim=True)
    values = {
        "inverted": [~right, ~kept],
        "all lost": kept,
        "all back": kept | lost,
        "first": saved(torch.zeros(len(draws), dtype=torch.int64)),
        "smallest": saved(draws.argmin(1)),
        "always the largest": largest,
        "whole batch": [kept.any(0).expand_as(kept), kept | ~kept.any()],
        "largest of all": [kept | (lost & (draws == draws.max())), kept | (lost & (draws == draws.amax(0)))],
        "one draw": [kept[:, :1].expand_as(kept), kept.all(1, keepdim=True).expand_as(kept)],
    }
    return Expectation({"value": right, "rows": right}, _wrong(values))


# ---- fusion.weights ---------------------------------------------------------------------------------------------------


def weights(case: Case) -> Expectation:
    x, s, present = case.inputs["vectors"].double(), case.inputs["scores"].double(), case.inputs["present"]
    masked = s.masked_fill(~present, -torch.inf)

    def fused(w: Tensor) -> Tensor:
        return (w[..., None] * x).sum(1)

    z = fused(masked.softmax(1)).float()
    low = case.inputs["scores"].exp() * present
    overflow = low / low.sum(1, keepdim=True)
    there = present.double()
    values = {
        "batch": [
            fused(s.softmax(0)),
            fused(masked.softmax(0)),
            fused(s.softmax(0) * there),
            fused(s.flatten().softmax(0).view_as(s)),
        ],
        "absent counts": fused(s.softmax(1)),
        "no second sum": fused(s.softmax(1) * there),
        "score zero": fused((s * there).softmax(1)),
        "mean": [fused(there / there.sum(1, keepdim=True)), x.mean(1)],
        "not normalised": [fused(s.exp() * there), fused(s * there), fused(s)],
        "sigmoid": [fused(s.sigmoid() * there), fused(s.sigmoid())],
        "absent only": fused(s.masked_fill(present, -torch.inf).softmax(1)),
        "largest": fused((masked == masked.amax(1, keepdim=True)).double()),
        "overflow": (overflow[..., None] * x).sum(1),
    }
    return Expectation({"value": z, "rows": z}, _wrong(values))


# ---- fusion.choose ----------------------------------------------------------------------------------------------------


def choose(case: Case) -> Expectation:
    history = case.inputs["history"]
    epochs = range(len(history))

    def at(epoch: int, figure: float | None = None) -> dict[str, Any]:
        return {"epoch": epoch + 1, "auc": history[epoch]["test_auc"] if figure is None else figure}

    def largest(name: str) -> int:
        return max(epochs, key=lambda e: history[e][name])

    def smallest(name: str) -> int:
        return min(epochs, key=lambda e: history[e][name])

    best, tests = largest("valid_auc"), [row["test_auc"] for row in history]
    zero = [{"epoch": best, "auc": history[best][split]} for split in ("test_auc", "valid_auc")]
    values: dict[str, Any] = {
        "by the test": at(largest("test_auc")),
        "by the loss": at(smallest("valid_loss")),
        "last epoch": at(epochs[-1]),
        "from zero": zero,
        "validation figure": at(best, history[best]["valid_auc"]),
        "best test": at(best, max(tests)),
        "worst": at(smallest("valid_auc")),
        "one later": [at(best, tests[e]) for e in (best - 1, best + 1)],
        "mean": at(best, sum(tests) / len(tests)),
    }
    return Expectation({"value": at(best)}, _wrong(values))


EXPECT = {
    "fusion.count": count,
    "fusion.bce": bce,
    "fusion.auc": auc,
    "fusion.choose": choose,
    "fusion.gated": gated,
    "fusion.tensor": tensor,
    "fusion.drop": drop,
    "fusion.weights": weights,
}
