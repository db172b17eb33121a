"""What right and known wrong answers to the tasks of chapter 01 give."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from mmteach.exercises.background import BUDGET, SENSORS
from mmteach.exercises.task import Case, Expectation

# ---- background.lost --------------------------------------------------------------------------------------------------

BITS = (0, 1)
OUTCOMES = {  # equally likely (x1, x2, y)
    "or": [(a, b, a | b) for a in BITS for b in BITS],
    "sum": [(a, b, a + b) for a in BITS for b in BITS],
    "twin": [(y, y, y) for y in range(4)],
    "code": [(y >> 1, (y >> 1) ^ (y & 1), y) for y in range(4)],
}


def _entropy(values: list[Any]) -> float:
    return -sum(n / len(values) * math.log2(n / len(values)) for n in Counter(values).values())


def _information(pairs: list[tuple[Any, Any]]) -> float:
    return _entropy([x for x, _ in pairs]) + _entropy([y for _, y in pairs]) - _entropy(pairs)


def _right_guesses(pairs: list[tuple[Any, Any]]) -> float:
    best: dict[Any, int] = {}
    for (x, _), n in Counter(pairs).items():
        best[x] = max(best.get(x, 0), n)
    return sum(best.values()) / len(pairs)


def lost(case: Case) -> Expectation:
    outcomes = OUTCOMES[case.inputs["entry"]]
    both, one = _information([((a, b), y) for a, b, y in outcomes]), _information([(a, y) for a, _, y in outcomes])
    share = 1 - one / both
    wrong = {
        "kept": one / both,
        "percent": 100 * share,
        "half": 0.5,  # before the bits: of OR 0.5 bits are gone, and half is what many guess
        "bits": both - one,
        "all": 1.0,
        "nothing": 0.0,
        "guess": 1 - _right_guesses([(a, y) for a, _, y in outcomes]),
    }
    return Expectation({"value": share}, {name: {"value": value} for name, value in wrong.items()})


# ---- background.snr ---------------------------------------------------------------------------------------------------


def snr(case: Case) -> Expectation:
    x, n = case.inputs["speech"].double(), case.inputs["noise"].double()
    ratio = torch.tensor(case.inputs["snr"], dtype=torch.float64)
    px, pn = x.square().mean(1, keepdim=True), n.square().mean(1, keepdim=True)
    tenth = 10 ** (-ratio / 10)
    a = (px / pn * tenth).sqrt()
    factors = {
        "no square root": px / pn * tenth,
        "sign": (px / pn / tenth).sqrt() if ratio.isfinite() else a,
        "batch": (x.square().mean() / n.square().mean() * tenth).sqrt(),
        "speech ignored": (tenth / pn).sqrt(),
        "natural": (px / pn * (-ratio / 10).exp()).sqrt(),
        "variance": (x.var(1, keepdim=True, correction=0) / n.var(1, keepdim=True, correction=0) * tenth).sqrt(),
    }
    wrong: dict[str, Any] = {name: {"value": (x + factor * n).float()} for name, factor in factors.items()}
    wrong["noise as it is"] = [{"value": (x + factor * n).float()} for factor in ((px * tenth).sqrt(), tenth.sqrt())]
    twice = [(px / pn).sqrt() * tenth, (px / pn).sqrt() * tenth.sqrt().sqrt()]
    wrong["twenty"] = [{"value": (x + factor * n).float()} for factor in twice]
    if ratio.isfinite():
        wrong["speech scaled"] = [{"value": (x / a + n).float()}, {"value": (x * a + n).float()}]
    wrong["noise only"] = {"value": (a * n).float()}
    right = (x + a * n).float()
    return Expectation({"value": right, "rows": right}, wrong)


# ---- background.late --------------------------------------------------------------------------------------------------


def late(case: Case) -> Expectation:
    a, b, prior = (case.inputs[name].double() for name in ("log_p1", "log_p2", "prior"))
    score = a + b - prior.log()
    right = score.log_softmax(-1)
    p = a.float().exp() * b.float().exp() / prior.float()
    wrong = {
        "prior forgotten": (a + b).log_softmax(-1),
        "prior added": (a + b + prior.log()).log_softmax(-1),
        "prior twice": (score - prior.log()).log_softmax(-1),
        "prior not logged": (a + b - prior).log_softmax(-1),
        "not normalised": score,
        "mean of probabilities": ((a.exp() + b.exp()) / 2).log(),
        "mean of logs": ((a + b) / 2 - prior.log()).log_softmax(-1),
        "probabilities": right.exp(),
        "wrong axis": score.log_softmax(0),
        "underflow": (p / p.sum(-1, keepdim=True)).log(),
    }
    found: dict[str, Any] = {name: {"value": value.float()} for name, value in wrong.items()}
    found["mean of probabilities"] = [
        found["mean of probabilities"],
        {"value": ((a.exp() + b.exp()) / 2 / prior).log().log_softmax(-1).float()},
    ]
    found["prior not logged"] = [found["prior not logged"], {"value": (a + b - prior).float()}]
    found["mean of logs"] = [found["mean of logs"], {"value": ((a + b) / 2).log_softmax(-1).float()}]
    return Expectation({"value": right.float(), "rows": right.float()}, found)


# ---- background.sure --------------------------------------------------------------------------------------------------


def sure(case: Case) -> Expectation:
    logits, truth = case.inputs["logits"].double(), case.inputs["truth"]
    p = logits.softmax(1)
    best, hit = p.amax(1), (p.argmax(1) == truth).double()
    gap = (best.mean() - hit.mean()).item()
    exponentials = case.inputs["logits"].exp()

    def than_right(confidence: Tensor) -> float:
        return (confidence.mean() - hit.mean()).item()

    wrong: dict[str, Any] = {
        "truth": than_right(p[torch.arange(len(p)), truth]),
        "wrong axis": than_right(logits.softmax(0).amax(1)),
        "logits": than_right(logits.amax(1)),
        "absolute": abs(gap),
        "other way": -gap,
        "sum": (best.sum() - hit.sum()).item(),
        "no accuracy": best.mean().item(),
        "each absolute": (best - hit).abs().mean().item(),
        "not normalised": than_right(exponentials.amax(1).double()),
        "overflow": than_right((exponentials / exponentials.sum(1, keepdim=True)).amax(1).double()),
        "only the right": (best[hit > 0].mean() - hit.mean()).item() if hit.any() else math.nan,
    }
    found: dict[str, Any] = {name: {"value": value} for name, value in wrong.items()}
    found["only accuracy"] = [{"value": hit.mean().item()}, {"value": 1 - hit.mean().item()}]
    return Expectation({"value": gap}, found)


# ---- background.pairs -------------------------------------------------------------------------------------------------


def pairs(case: Case) -> Expectation:
    return Expectation(
        {}
    )  # any pairing is right that has the properties: mmteach.exercises.background notices what breaks them


# ---- background.grid --------------------------------------------------------------------------------------------------


# Those of mmteach.recipes.background, which takes seconds to import.
SIGMAS = (0.0, 0.5, 1.0, 1.5, 2.0)
SNRS = (math.inf, 20.0, 10.0, 0.0, -10.0)


@functools.cache
def _accuracies() -> dict[str, Tensor]:
    """By model, its test accuracy (5, 5), mean over the seeds of the stored table."""
    from mmteach.recipes import stored

    def column(sigma: float, snr: float) -> str:
        return f"{sigma:g} | {'clean' if snr == math.inf else f'{snr:g}'}"

    table, _ = stored("noise-grid")
    return {
        model: torch.tensor([[rows[column(sigma, snr)].mean() for snr in SNRS] for sigma in SIGMAS])
        for model, rows in table.groupby("model")
    }


def grid(case: Case) -> Expectation:
    def accuracy(model: str) -> Tensor:
        return _accuracies()[model]

    def singles(how: str) -> Tensor:
        return torch.stack([accuracy(f"{one}, {how}") for one in ("image", "audio")])

    clean, noise = "trained clean", "trained with noise"
    if case.inputs["entry"] == "harm":
        concat, better = accuracy(f"concat, {clean}"), singles(clean).amax(0)
        counts = {
            "against the worse": concat - singles(clean).amin(0) < -0.05,
            "any loss": concat - better < 0,
            "gains counted": concat - better > 0.05,
        }
        wrong: dict[str, Any] = {name: {"value": int(cells.sum())} for name, cells in counts.items()}
        wrong["against one"] = [{"value": int((concat - one < -0.05).sum())} for one in singles(clean)]
        others = [accuracy(f"concat, {noise}") - singles(noise).amax(0), concat - singles(noise).amax(0)]
        wrong["other training"] = [{"value": int((other < -0.05).sum())} for other in others]
        return Expectation({"value": int((concat - better < -0.05).sum())}, wrong)
    late, late_clean = accuracy(f"late, {noise}"), accuracy(f"late, {clean}")
    if case.inputs["entry"] == "price":
        price = (late_clean[0, 0] - late[0, 0]).item()
        concat_price = (accuracy(f"concat, {clean}") - accuracy(f"concat, {noise}"))[0, 0].item()
        wrong = {
            "negative": {"value": -price},
            "other training": [{"value": late[0, 0].item()}, {"value": concat_price}],
        }
        wrong["worst cell"] = [
            {"value": (late_clean - late).amin().item()},
            {"value": (late_clean - late)[-1, -1].item()},
        ]
        return Expectation({"value": price}, wrong)
    gain = late - singles(noise).amax(0)
    row, column_ = divmod(int(gain.argmax()), 5)

    def reading(at: int) -> float:
        down, across = divmod(at, 5)
        return SIGMAS[down] if case.inputs["entry"] == "sigma" else SNRS[across]

    wrong = {
        "most accurate": {"value": reading(int(late.argmax()))},
        "largest loss": {"value": reading(int(gain.argmin()))},
        "other training": {"value": reading(int((late_clean - singles(clean).amax(0)).argmax()))},
    }
    return Expectation({"value": SIGMAS[row] if case.inputs["entry"] == "sigma" else SNRS[column_]}, wrong)


# ---- background.sensors -----------------------------------------------------------------------------------------------


def _phi(z: float) -> float:
    return (1 + math.erf(z / math.sqrt(2))) / 2


def _accuracy(names: tuple[str, ...]) -> float:
    precision = sum(1 / SENSORS[name][1] ** 2 for name in names if name != "twin" or "camera" not in names)
    return _phi(math.sqrt(precision))


def sensors(case: Case) -> Expectation:
    def price(names: tuple[str, ...]) -> int:
        return sum(SENSORS[name][0] for name in names)

    baskets = [
        b for n in range(1, len(SENSORS) + 1) for b in itertools.combinations(sorted(SENSORS), n) if price(b) <= BUDGET
    ]
    best = max((b for b in baskets if "twin" not in b), key=_accuracy)
    if case.inputs["entry"] == "sensors":
        size = max(len(b) for b in baskets)
        room = [b for b in baskets if any(price((*b, s)) <= BUDGET for s in SENSORS if s not in b and s != "twin")]
        wrong: dict[str, Any] = {
            "best single": [{"value": " ".join(b)} for b in baskets if "lidar" in b and b not in room],
            "coins left": [{"value": " ".join(b)} for b in room],
            "most sensors": [{"value": " ".join(b)} for b in baskets if len(b) == size],
        }
        return Expectation({"value": " ".join(best)}, wrong)
    sigmas = [SENSORS[name][1] for name in best]
    alone = [_phi(1 / sigma) for sigma in sigmas]
    single = {
        "mean accuracy": sum(alone) / len(alone),
        "either right": 1 - math.prod(1 - a for a in alone),
        "best alone": max(alone),
        "noise added": _phi(1 / math.sqrt(sum(sigma**2 for sigma in sigmas))),
        "averaged reports": _phi(len(sigmas) / math.sqrt(sum(sigma**2 for sigma in sigmas))),
        "amplitudes": _phi(sum(1 / sigma for sigma in sigmas)),
        "percent": 100 * _accuracy(best),
    }
    wrong = {name: {"value": value} for name, value in single.items()}
    wrong["other basket"] = [{"value": _accuracy(b)} for b in baskets if b != best and len(b) > 1]
    return Expectation({"value": _accuracy(best)}, wrong)


EXPECT = {
    "background.lost": lost,
    "background.snr": snr,
    "background.late": late,
    "background.sure": sure,
    "background.pairs": pairs,
    "background.grid": grid,
    "background.sensors": sensors,
}
