"""What right and known wrong answers to the tasks of chapter 02 give."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmteach.exercises.task import Case, Expectation


def _wrong(values: dict[str, Any]) -> dict[str, Any]:
    return {name: {"value": value.float() if isinstance(value, Tensor) else value} for name, value in values.items()}


def standardise(case: Case) -> Expectation:
    train, test = case.inputs["train"].double() / 255, case.inputs["test"].double() / 255

    def by(x: Tensor, axes: tuple[int, ...], less: int = 0) -> tuple[Tensor, Tensor]:
        return x.mean(axes, keepdim=True), x.std(axes, keepdim=True, correction=less)

    mean, std = by(train, (0, 2, 3))
    both = torch.cat([train, test])

    def z(x: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
        return (x - statistics[0]) / statistics[1]

    raw = case.inputs["test"]
    wrapped = (raw - (mean * 255).round().to(torch.uint8)).double() / (std * 255)
    values: dict[str, Any] = {
        "both statistics": z(test, by(both, (0, 2, 3))),
        "one for all": z(test, by(train, (0, 1, 2, 3))),
        "variance": (test - mean) / std.square(),
        "no spread": test - mean,
        "no mean": test / std,
        "training pictures": z(train, (mean, std)),
        "bytes": wrapped,
    }
    wrong = _wrong(values)

    def either(x: Tensor, *over: tuple[int, ...]) -> list[dict[str, Tensor]]:
        """With few values it shows whether the spread divides by their number or by one less; each is the same mistake."""
        return [{"value": z(test, by(x, axes, less)).float()} for axes in over for less in (0, 1)]

    wrong["test statistics"] = either(test, (0, 2, 3))
    wrong["each place"] = either(train, (0,))
    wrong["each picture"] = either(test, (2, 3), (1, 2, 3))
    wrong["mixed scales"] = [
        {"value": ((255 * test - mean) / std).float()},
        {"value": ((test - 255 * mean) / (255 * std)).float()},
        {"value": ((test - mean) / (255 * std)).float()},
        {"value": ((test - 255 * mean) / std).float()},
    ]
    wrong["no spread"] = [wrong["no spread"], {"value": (255 * (test - mean)).float()}]
    right = z(test, (mean, std)).float()
    return Expectation({"value": right, "rows": right}, wrong)


def pad(case: Case) -> Expectation:
    texts, length = case.inputs["texts"], case.inputs["length"]

    def rows(make: Any, size: int = length) -> Tensor:
        return torch.tensor([make(text, size) for text in texts], dtype=torch.int64).reshape(len(texts), size)

    ids = rows(lambda text, n: text[:n] + [0] * (n - len(text)))
    mask = ids != 0
    left = rows(lambda text, n: [0] * (n - len(text)) + text[:n])
    ends = rows(lambda text, n: text[-n:] + [0] * (n - len(text)) if text else [0] * n)
    longest = max(map(len, texts))
    own = rows(lambda text, n: text + [0] * (n - len(text)), longest)
    counts = mask.sum(1, keepdim=True)
    steps = torch.arange(length)
    wrong: dict[str, Any] = {
        "left": {"ids": left},
        "mask inverted": {"ids": ids, "mask": ~mask},
        "all real": {"ids": ids, "mask": torch.ones_like(mask)},
        "the end": {"ids": ends},
        "ones": {"ids": torch.where(mask, ids, 1)},
        "longest": {"ids": own},
        "one off": [{"mask": steps <= counts}, {"mask": steps < counts - 1}],
    }
    return Expectation({"ids": ids, "mask": mask}, wrong)


def masked_mean(case: Case) -> Expectation:
    h, mask = case.inputs["h"].double(), case.inputs["mask"]
    real = h.masked_fill(~mask[..., None], 0)
    count = mask.sum(1)[:, None].double()
    z = real.sum(1) / count.clamp(min=1)
    padded = h.masked_fill(mask[..., None], 0)
    multiplied = (h * mask[..., None]).sum(1)
    largest = h.masked_fill(~mask[..., None], -torch.inf).amax(1)
    wrong = {
        "multiplied": multiplied / count.clamp(min=1),  # first: with NaN at padded steps a plain mean is NaN as well
        "plain mean": h.mean(1),
        "all steps": real.mean(1),
        "sum": real.sum(1),
        "padding": padded.sum(1) / (~mask).sum(1)[:, None],
        "whole batch": real.sum(1) / mask.sum(),
        "maximum": largest,
        "last step": h[:, -1],
        "divided by zero": real.sum(1) / count,
        "one too many": real.sum(1) / (count + 1),
    }
    found = _wrong(wrong)
    found["other axis"] = [{"value": h.mean(2).float()}, {"value": real.mean(2).float()}]
    return Expectation({"value": z.float(), "rows": z.float()}, found)


def last(case: Case) -> Expectation:
    h, mask = case.inputs["h"], case.inputs["mask"]
    rows, steps = torch.arange(len(h)), torch.arange(mask.shape[1])
    place = (steps * mask).amax(1)
    count = mask.sum(1)
    real = h.masked_fill(~mask[..., None], 0)
    z = h[rows, place]
    wrong = {
        "padding": h[:, -1],
        "one too far": h[rows, (place + 1).clamp(max=mask.shape[1] - 1)],
        "one too early": h[rows, place - 1],
        "first": h[rows, mask.int().argmax(1)],
        "count": h[rows, count - 1],
        "mean": real.sum(1) / count[:, None],
        "maximum": h.masked_fill(~mask[..., None], -torch.inf).amax(1),
        "sum": real.sum(1),
        "same place": h[:, place[0]],
    }
    found = _wrong(wrong)
    if (~mask).any(1).all():
        found["inverted"] = [{"value": h[rows, (steps * ~mask).amax(1)]}, {"value": h[rows, (~mask).int().argmax(1)]}]
    found["same place"] = [found["same place"], {"value": h[:, place.max()]}, {"value": h[:, place.min()]}]
    return Expectation({"value": z, "rows": z}, found)


def alias(case: Case) -> Expectation:
    f, r = float(case.inputs["entry"]), 8000.0
    rest = f % r
    right = min(rest, r - rest)
    if f < r / 2:
        return Expectation(
            {"value": right},
            _wrong({"sampled low": r - f, "kilohertz": right / 1000, "silent": 0.0, "half rate": r / 2 - f}),
        )
    wrong = {
        "unchanged": f,
        "not folded": rest if rest > r / 2 else f,
        "clipped": r / 2,
        "silent": 0.0,
        "kilohertz": right / 1000,
    }
    found = _wrong(wrong)
    found["negative"] = [{"value": r - f}, {"value": rest - r}, {"value": -right}]
    found["half rate"] = [{"value": f - r / 2}, {"value": f % (r / 2)}]
    return Expectation({"value": right}, found)


def information(case: Case) -> Expectation:
    p = case.inputs["p"].double()
    px, py = p.sum(1, keepdim=True), p.sum(0, keepdim=True)

    def entropy(q: Tensor) -> Tensor:
        return -torch.xlogy(q, q).sum() / torch.log(torch.tensor(2.0, dtype=torch.float64))

    hx, hy, hxy = entropy(px), entropy(py), entropy(p)
    bits = hx + hy - hxy
    two = torch.log(torch.tensor(2.0, dtype=torch.float64))
    q = px * py
    values = {
        "nats": bits * two,
        "joint entropy": hxy,
        "sum of entropies": hx + hy,
        "zeros": (p * (p / q).log2()).sum(),
        "other way": (q * (q / p).log2()).sum(),
        "ten": bits * two / torch.log(torch.tensor(10.0, dtype=torch.float64)),
    }
    wrong: dict[str, Any] = {name: {"value": value.item()} for name, value in values.items()}
    wrong["conditional"] = [{"value": (hxy - hx).item()}, {"value": (hxy - hy).item()}]
    wrong["entropy"] = [{"value": hx.item()}, {"value": hy.item()}]
    positive = p > 0
    ratio = torch.where(positive, p / q, 1).log2()
    wrong["unweighted"] = [{"value": ratio.sum().item()}, {"value": ratio.mean().item()}]
    margins = [torch.where(positive, p / one, 1).log2() * p for one in (px, py)]
    wrong["one margin"] = [{"value": one.sum().item()} for one in margins]
    return Expectation({"value": bits.item()}, wrong)


def gap(case: Case) -> Expectation:
    x, y = case.inputs["image"].double(), case.inputs["text"].double()

    def unit(z: Tensor, dim: int = 1) -> Tensor:
        return z / z.norm(dim=dim, keepdim=True)

    delta = unit(x).mean(0) - unit(y).mean(0)
    raw = x.mean(0) - y.mean(0)
    cosine = torch.cosine_similarity(unit(x).mean(0), unit(y).mean(0), dim=0)
    wrong: dict[str, Any] = {
        "not normalised": raw.norm().item(),
        "normalised means": (unit(x.mean(0), 0) - unit(y.mean(0), 0)).norm().item(),
        "pair distances": (unit(x) - unit(y)).norm(dim=1).mean().item(),
        "squared": delta.square().sum().item(),
        "wrong axis": (unit(x, 0).mean(0) - unit(y, 0).mean(0)).norm().item(),
        "sum": (delta.norm() * len(x)).item(),
        "absolute": delta.abs().sum().item(),
        "largest": delta.abs().max().item(),
    }
    found: dict[str, Any] = {name: {"value": value} for name, value in wrong.items()}
    found["normalised means"] = [
        found["normalised means"],
        {"value": (unit(unit(x).mean(0), 0) - unit(unit(y).mean(0), 0)).norm().item()},
    ]
    found["no length"] = [
        {"value": delta.mean().item()},
        {"value": delta.float()},
        {"value": delta.abs().mean().item()},
    ]
    found["cosine"] = [{"value": cosine.item()}, {"value": (1 - cosine).item()}]
    return Expectation({"value": delta.norm().item()}, found)


def window(case: Case) -> Expectation:
    return Expectation(
        {}
    )  # every choice that keeps the conditions is right: mmteach.exercises.concepts notices what breaks one


EXPECT = {
    "concepts.standardise": standardise,
    "concepts.pad": pad,
    "concepts.mean": masked_mean,
    "concepts.last": last,
    "concepts.alias": alias,
    "concepts.window": window,
    "concepts.information": information,
    "concepts.gap": gap,
}
