"""What right and known wrong answers to the tasks of chapter 07 give."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmteach.exercises.observe import weighing
from mmteach.exercises.task import Case, Expectation


def _wrong(values: dict[str, Any]) -> dict[str, Any]:
    """By misconception, its value; several where a tuple is given."""

    def outputs(value: Any) -> dict[str, Any]:
        return {"value": value.detach().float() if isinstance(value, Tensor) else value}

    return {k: [outputs(one) for one in v] if isinstance(v, tuple) else outputs(v) for k, v in values.items()}


# ---- outlook.bind -----------------------------------------------------------------------------------------------------


def _rows(scores: Tensor, chosen: Tensor | None = None) -> Tensor:
    """−log softmax of each row at its own place; of the chosen rows alone where some are chosen."""
    loss = -scores.log_softmax(1).diagonal()
    return loss if chosen is None else loss[chosen]


def bind(case: Case) -> Expectation:
    x = case.inputs
    text = x["text"].clone().requires_grad_(True)
    others, present = x["others"], x["present"]
    every = torch.ones(len(text), dtype=torch.bool)
    whole = torch.stack(list(present.values())).all(0)

    def pair(
        a: Tensor, b: Tensor, there: Tensor, asked: Tensor | None = None, factor: float = 1 / x["temperature"],
        length: bool = True, ways: str = "both", reduce: Callable[[Tensor], Tensor] = torch.mean,
    ) -> Tensor:  # fmt: skip
        """There: who is left over; asked: which of these ask a question."""
        if not there.any() or (asked is not None and not asked.any()):
            return torch.zeros(())
        a, b = (F.normalize(one, dim=1) if length else one for one in (a, b))
        scores = factor * a[there] @ b[there].T
        chosen = None if asked is None else asked[there]
        found = [reduce(_rows(s, chosen)) for s in (scores, scores.T)]
        return {"both": (found[0] + found[1]) / 2, "rows": found[0], "columns": found[1]}[ways]

    def total(**options: Any) -> Tensor:
        return torch.stack([pair(others[m], text, present[m], **options) for m in others]).sum()

    loss = total()
    right: dict[str, Any] = {"value": loss.detach()}
    if case.part == "gradients":
        (right["gradient of text"],) = torch.autograd.grad(loss * weighing(loss), text, retain_graph=True)
    names = list(others)
    between = [pair(others[a], others[b], present[a] & present[b]) for a, b in combinations(names, 2)]
    asked = [pair(others[m], text, every) for m in names]
    zeroed = [pair(others[m] * present[m][:, None], text * present[m][:, None], every) for m in names]
    half = [pair(others[m] * present[m][:, None], text, every) for m in names]
    wide = [pair(F.normalize(others[m], dim=0), F.normalize(text, dim=0), present[m], length=False) for m in names]
    tall = []
    for m in names:
        a, b = (F.normalize(one[present[m]], dim=0) for one in (others[m], text))
        tall.append(pair(a, b, every[present[m]], length=False))
    values: dict[str, Any] = {
        "one direction": (total(ways="rows"), total(ways="columns")),
        "no half": 2 * loss,
        "others paired": (loss + sum(between), loss + sum(pair(others[a], others[b], every) for a, b in combinations(names, 2))),
        "not normalised": (total(length=False), torch.stack(wide).sum(), torch.stack(tall).sum()),
        "temperature": total(factor=x["temperature"]),
        "no temperature": total(factor=1.0),
        "sum": total(reduce=torch.sum),
        "mean of modalities": (loss / len(names), loss / max(1, sum(bool(p.any()) for p in present.values()))),
        "absent asked": (torch.stack(asked).sum(), torch.stack(zeroed).sum(), torch.stack(half).sum()),
        "absent as candidates": torch.stack([pair(others[m], text, every, asked=present[m]) for m in names]).sum(),
        "complete only": torch.stack([pair(others[m], text, whole) for m in names]).sum(),
    }  # fmt: skip
    if any(not p.any() for p in present.values()):
        values["nobody"] = torch.tensor(math.nan)
    return Expectation(right, _wrong(values))


# ---- outlook.worlds ---------------------------------------------------------------------------------------------------


def worlds(case: Case) -> Expectation:
    entry = case.inputs["entry"]
    rest = -0.25 * math.log2(0.25) - 0.75 * math.log2(0.75)  # 0.811: what is open where y is 1 in one of four cases
    quarter = 1 - rest
    whole = -math.log2(1 / 8) / 8 - 7 * math.log2(7 / 8) / 8  # 0.544: what is open of `all` before anything is known
    answers: dict[str, tuple[float, dict[str, Any]]] = {
        "parity, two": (0.0, {"something": (0.5, 1.0, 0.25, quarter, 2 * quarter), "share": (2 / 3, 1 / 3)}),
        "parity, three": (1.0, {"whole": (0.0, 0.5, 3.0, 0.75), "nats": math.log(2)}),
        "all, one": (
            whole - rest / 2,
            {
                "accuracy": (0.875, 0.75),
                "share": (whole / 3, 1 / 3, 0.5, 0.25),
                "nothing": 0.0,
                "nats": (whole - rest / 2) * math.log(2),
                "still open": (rest / 2, rest),
                "settled": (whole, 1.0),
            },
        ),
        "all, two": (
            whole - 0.25,
            {
                "accuracy": (0.875, 0.75),
                "share": (2 * whole / 3, 2 / 3),
                "added": 2 * (whole - rest / 2),
                "nats": (whole - 0.25) * math.log(2),
                "still open": (0.25, 0.5),
                "settled": (whole, 1.0),
                "nothing": 0.0,
            },
        ),
        "switch, x3": (0.0, {"something": (0.5, 1.0, 0.25, quarter), "share": 1 / 3}),
        "switch, x1 and x3": (
            0.5,
            {
                "accuracy": (0.75, 0.875),
                "share": 2 / 3,
                "added": quarter,
                "nats": 0.5 * math.log(2),
                "settled": 1.0,
                "nothing": 0.0,
            },
        ),
    }
    right, wrong = answers[entry]
    return Expectation({"value": right}, _wrong(wrong))


# ---- outlook.beyond ---------------------------------------------------------------------------------------------------


def _entropy(p: Tensor) -> float:
    p = p.flatten()
    p = p[p > 0]
    return -(p * p.log2()).sum().item()


def beyond(case: Case) -> Expectation:
    p = case.inputs["p"].double()

    def information(kept: tuple[int, ...], y: int = 3) -> float:
        """Bits that the inputs on these axes tell about the one on axis y."""

        def margin(axes: tuple[int, ...]) -> Tensor:
            gone = tuple(a for a in range(4) if a not in axes)
            return p.sum(gone) if gone else p

        return _entropy(margin(kept)) + _entropy(margin((y,))) - _entropy(margin((*kept, y)))

    def rest(y: int) -> float:
        axes = [a for a in range(4) if a != y]
        return information(tuple(axes), y) - max(information(two, y) for two in combinations(axes, 2))

    total = information((0, 1, 2))
    pairs = [information(two) for two in combinations(range(3), 2)]
    singles = [information((one,)) for one in range(3)]
    right = total - max(pairs)
    values: dict[str, Any] = {
        "nats": right * math.log(2),
        "singles": (total - max(singles), total - sum(singles), max(pairs) - max(singles)),
        "total": total,
        "all pairs": total - sum(pairs),
        "smallest pair": tuple(total - one for one in pairs),
        "mean pair": total - sum(pairs) / 3,
        "other axis": (rest(0), rest(1), rest(2)),
        "co-information": (
            total - sum(pairs) + sum(singles),
            sum(pairs) - total - sum(singles),
        ),
        "pair itself": max(pairs),
        "sign": -right,
        "conditional": (
            _entropy(p.sum((0, 1, 2))) - max(pairs),
            _entropy(p) - max(_entropy(p.sum(a)) for a in range(3)),
            _entropy(p) - max(pairs),
        ),
    }
    if (p == 0).any():
        values["zeros"] = (math.nan, math.inf, -math.inf)
    return Expectation({"value": right}, _wrong(values))


# ---- outlook.scaling --------------------------------------------------------------------------------------------------


def scaling(case: Case) -> Expectation:
    x = case.inputs
    weights, half, rate, scale = x["weights"], x["gradient"], x["rate"], x["scale"]
    gradient = half.double()
    bad = not bool(gradient.isfinite().all())

    def gives(change: Tensor, new: float = scale) -> dict[str, Any]:
        return {"change": change.float(), "scale": new}

    still = torch.zeros_like(weights)
    step = -rate * gradient / scale
    right = gives(still, scale / 2) if bad else gives(step)
    some = -rate * torch.where(gradient.isfinite(), gradient, 0.0) / scale
    top = gradient.nan_to_num(0.0, 65504.0, -65504.0)
    in_half = (half / scale).double()
    wrong: dict[str, Any] = {
        "not unscaled": gives(-rate * gradient),
        "unscaled in half": [gives(-rate * in_half), gives(-(rate * (half / scale)).double())],
        "half weights": [
            gives(moved.double() - weights.double())
            for moved in (weights.half() + step, weights.half() + step.half(), weights.half() - rate * (half / scale))
        ],
        "uphill": gives(-step),
        "scaled twice": gives(-rate * gradient * scale),
        "always halved": gives(step, scale / 2),
    }
    if bad:
        wrong = {
            "not skipped": [gives(step), gives(step, scale / 2)],
            "part of a step": [gives(one, new) for one in (some, -rate * top / scale) for new in (scale, scale / 2)],
            "scale stays": gives(still),
            "scale up": gives(still, 2 * scale),
        }
    return Expectation(right, wrong)


# ---- outlook.shards ---------------------------------------------------------------------------------------------------


def shards(case: Case) -> Expectation:
    gradients, counts = case.inputs["gradients"], case.inputs["counts"]
    there = [k for k, n in enumerate(counts) if n]

    def added(weights: dict[int, float]) -> dict[str, Tensor]:
        return {
            name: torch.stack([w * gradients[k][name].double() for k, w in weights.items()]).sum(0).float()
            for name in gradients[0]
        }

    n = sum(counts)
    right = added({k: counts[k] / n for k in there})
    plain = added({k: 1 / len(there) for k in there})
    values: dict[str, Any] = {
        "plain mean": (plain, added({k: 1 / len(counts) for k in there})),
        "sum": added(dict.fromkeys(there, 1.0)),
        "weighted sum": added({k: counts[k] for k in there}),
        "by workers": (added({k: counts[k] / len(counts) for k in there}), added({k: counts[k] / len(there) for k in there})),
        "other way": (
            added({k: (1 / counts[k]) / sum(1 / counts[j] for j in there) for k in there}),
            added({k: (n - counts[k]) / n for k in there}),
            added({k: 1 / counts[k] for k in there}),
        ),
        "largest": tuple(added({k: 1.0}) for k in there),
        "bias alone": (right | {"weight": plain["weight"]}, right | {"bias": plain["bias"]}),
        "squares": tuple(
            added({k: counts[k] ** power / sum(counts[j] ** power for j in there) for k in there}) for power in (2, 0.5)
        ),
    }  # fmt: skip
    if len(there) < len(counts):
        values["empty"] = {name: torch.full_like(one, math.nan) for name, one in right.items()}
    return Expectation({"value": right}, _wrong(values))


# ---- outlook.doubt ----------------------------------------------------------------------------------------------------


def doubt(case: Case) -> Expectation:
    scores, q = case.inputs["scores"].clone().requires_grad_(True), case.inputs["q"]

    def generalised(log_p: Tensor) -> Tensor:
        return (1 - (q * log_p).exp()) / q if q else -log_p

    rows, columns = (s.log_softmax(1) for s in (scores, scores.T))
    both = torch.stack([rows.diagonal(), columns.diagonal()])
    loss = generalised(both).mean()
    right: dict[str, Any] = {"value": loss.detach()}
    if case.part == "gradients":
        (right["gradient of scores"],) = torch.autograd.grad(loss * weighing(loss), scores, retain_graph=True)
    p = both.exp()
    pull = torch.eye(len(scores), dtype=torch.bool)
    values: dict[str, Any] = {
        "one direction": (generalised(both[0]).mean(), generalised(both[1]).mean()),
        "no half": 2 * loss,
        "not divided": (1 - p**q).mean(),
        "cross-entropy": -both.mean(),
        "absolute": (1 - p).mean(),
        "power outside": (
            (-both).pow(q).mean(),
            (-both.mean()) ** q,
            ((1 - p).pow(q) / (q or 1)).mean(),
            (-both).pow(q).mean() / (q or 1),
            ((1 - p) / (q or 1)).mean(),
        ),
        "sum": (generalised(both).sum(), generalised(both).sum() / 2),
        "all entries": (
            generalised(torch.stack([rows, columns])).mean(),
            generalised(torch.stack([rows, columns])).sum() / (2 * len(scores)),
            generalised(rows).mean(),
        ),
        "sign": -loss,
        "no softmax": (
            generalised(F.logsigmoid(scores.diagonal())).mean(),
            ((1 - scores.diagonal() ** q) / (q or 1)).mean(),
            generalised(torch.stack([rows, columns])[:, ~pull].reshape(2, -1)).mean(),
        ),
    }
    if not q:
        values = {k: values[k] for k in ("no half", "one direction", "sum", "sign", "all entries", "absolute")}
        values["limit"] = (torch.tensor(math.nan), torch.tensor(math.inf), torch.tensor(0.0))
    return Expectation(right, _wrong(values))


# ---- outlook.curve ----------------------------------------------------------------------------------------------------


def curve(case: Case) -> Expectation:
    n, e = (np.array(case.inputs[name], dtype=float) for name in ("examples", "errors"))
    target, x, y = case.inputs["target"], np.log(n), np.log(e)

    def gives(slope: float, intercept: float) -> tuple[float, float]:
        """(b, examples) of the line log e = intercept + slope · log n."""
        return -slope, math.exp((math.log(target) - intercept) / slope)

    def through(i: int, j: int) -> tuple[float, float]:
        slope = (y[j] - y[i]) / (x[j] - x[i])
        return gives(slope, y[i] - slope * x[i])

    slope, intercept = np.polyfit(x, y, 1)
    b, examples = gives(slope, intercept)
    plain, plain_at = np.polyfit(n, e, 1)
    half, half_at = np.polyfit(x, e, 1)
    rate, rate_at = np.polyfit(n, y, 1)
    back, back_at = np.polyfit(y, x, 1)
    slopes = np.diff(y) / np.diff(x)
    origin = (x * y).sum() / (x * x).sum()
    two = [through(i, j) for i, j in combinations(range(len(n)), 2)]
    a = math.exp(intercept)
    values: dict[str, tuple[list[float], list[float]]] = {
        "sign": ([-b], []),
        "ends": ([one for one, _ in two], [many for _, many in two]),
        "no logarithms": ([-plain, plain], [(target - plain_at) / plain]),
        "one logarithm": (
            [-half, -rate, half, rate],
            [math.exp((target - half_at) / half), (math.log(target) - rate_at) / rate],
        ),
        "roles exchanged": ([-1 / back, -back], [math.exp(back_at + back * math.log(target))]),
        "mean of slopes": (
            [-slopes.mean(), -float(np.median(slopes)), -np.gradient(y, x).mean()],
            [gives(slopes.mean(), y.mean() - slopes.mean() * x.mean())[1], gives(slopes.mean(), intercept)[1]],
        ),
        "through zero": ([-origin], [target ** (1 / origin), target ** (1 / slope)]),
        "still a logarithm": (
            [],
            [
                math.log(examples),
                math.log10(examples),
                math.log2(examples),
                math.exp(math.log10(examples)),
                examples ** math.log(10),
            ],
        ),
        "last point": ([], [n[-1] * (target / e[-1]) ** (1 / slope)]),
        "upside down": (
            [],
            [(target / a) ** (1 / b), (a / target) ** b, a * target**-b, (target / a) ** b, a * target ** (-1 / b)],
        ),
        "more": ([], [examples - n[-1], examples - n.sum(), examples / n[-1]]),
    }
    at = 0 if case.part == "exponent" else 1
    wrong = {name: tuple(float(v) for v in found[at]) for name, found in values.items() if found[at]}
    return Expectation({"value": float((b, examples)[at])}, _wrong(wrong))


def nothing(case: Case) -> Expectation:
    """Many answers are right: what is broken is noticed."""
    return Expectation({})


EXPECT = {
    "outlook.bind": bind,
    "outlook.worlds": worlds,
    "outlook.beyond": beyond,
    "outlook.scaling": scaling,
    "outlook.shards": shards,
    "outlook.doubt": doubt,
    "outlook.curve": curve,
    "outlook.spend": nothing,
}
