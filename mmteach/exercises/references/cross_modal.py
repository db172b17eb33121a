"""What right and known wrong answers to the tasks of chapter 04 give."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid, normalize

from mmteach.exercises.observe import weighing
from mmteach.exercises.task import Case, Expectation


def _wrong(values: dict[str, Any]) -> dict[str, Any]:
    """By misconception, its value or several of them."""

    def outputs(value: Any) -> dict[str, Any]:
        return {"value": value.detach().float() if isinstance(value, Tensor) and value.dtype != torch.bool else value}

    return {k: [outputs(one) for one in v] if isinstance(v, list) else outputs(v) for k, v in values.items()}


# ---- cross_modal.recall -----------------------------------------------------------------------------------------------


def recall(case: Case) -> Expectation:
    scores, k = case.inputs["scores"].double(), case.inputs["k"]
    right = scores.diagonal()[:, None]
    others = ~torch.eye(*scores.shape, dtype=torch.bool)
    above, tied = ((scores > right) & others).sum(1), ((scores == right) & others).sum(1)
    places = 1 + above + tied

    def gives(r: Tensor, recall: float | None = None, median: float | None = None) -> dict[str, float]:
        r = r.double()
        return {
            "recall": (r <= k).double().mean().item() if recall is None else recall,
            "median rank": r.quantile(0.5).item() if median is None else median,
        }

    good = gives(places)
    square = scores[:, : len(scores)]
    columns = 1 + ((square >= square.diagonal()) & others[:, : len(scores)]).sum(0)
    below = 1 + (scores < right).sum(1)
    values = {
        "ties won": gives(1 + above),
        "ties half": gives(1 + above + tied / 2),
        "lower median": gives(places, median=places.median().item()),
        "strict": gives(places, recall=(places < k).double().mean().item()),
        "mean": gives(places, median=places.double().mean().item()),
        "percent": gives(places, recall=100 * good["recall"]),
        "not divided": gives(places, recall=good["recall"] * len(scores)),
        "from zero": [gives(places - 1), gives(places, median=good["median rank"] - 1), gives(places - 1, median=good["median rank"])],
        "one too far": [gives(places + 1), gives(places, median=good["median rank"] + 1)],
        "worst first": [gives(below), gives(scores.shape[1] + 1 - places)],
        "other direction": gives(columns),
    }  # fmt: skip
    return Expectation({"value": good}, _wrong(values))


# ---- cross_modal.cca --------------------------------------------------------------------------------------------------


def cca(case: Case) -> Expectation:
    x, y, ridge = case.inputs["x"].double(), case.inputs["y"].double(), case.inputs["ridge"]
    n = len(x)

    def power(S: Tensor, exponent: float) -> Tensor:
        values, vectors = torch.linalg.eigh(S)
        return vectors @ torch.diag(values.clamp(min=1e-12) ** exponent) @ vectors.T

    def solve(x: Tensor, y: Tensor, count: int = n - 1, ridge: float = ridge, powers: tuple[float, float] = (-0.5, -0.5), whole: bool = False) -> Tensor:  # fmt: skip
        def covariance(z: Tensor) -> Tensor:
            return (
                z.T @ z / count
                + ridge * (torch.ones(z.shape[1], z.shape[1]) if whole else torch.eye(z.shape[1])).double()
            )

        return torch.linalg.svdvals(power(covariance(x), powers[0]) @ (x.T @ y / count) @ power(covariance(y), powers[1]))  # fmt: skip

    cx, cy = x - x.mean(0), y - y.mean(0)
    rho = solve(cx, cy)
    unit = [z / z.std(0) for z in (cx, cy)]

    def half(z: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(z.T @ z / (n - 1) + ridge * torch.eye(z.shape[1]).double())
        return vectors @ torch.diag(values.clamp(min=1e-12) ** -0.5)

    values = {
        "half a root": [
            torch.linalg.svdvals(a @ (cx.T @ cy / (n - 1)) @ b)
            for a, b in ((half(cx), half(cy)), (half(cx).T, half(cy).T))
        ],
        "not centred": [solve(x, y), solve(x - x.mean(), y - y.mean())],
        "no ridge": solve(cx, cy, ridge=0.0),
        "ridge everywhere": solve(cx, cy, whole=True),
        "ridge on both": solve(cx, cy, ridge=2 * ridge),
        "one side": [solve(cx, cy, powers=(-0.5, 0.0)), solve(cx, cy, powers=(0.0, -0.5))],
        "not whitened": torch.linalg.svdvals(cx.T @ cy / (n - 1)),
        "columns only": [torch.linalg.svdvals(unit[0].T @ unit[1] / (n - 1)), solve(*unit)],
        "inverse": solve(cx, cy, powers=(-1.0, -1.0)),
        "squared": rho.square(),
        "smallest first": rho.flip(0),
        "first alone": [rho[0], rho[:1]],
        "divided by N": solve(cx, cy, count=n),
    }
    return Expectation({"value": rho.float()}, _wrong(values))


# ---- cross_modal.clip -------------------------------------------------------------------------------------------------


def clip(case: Case) -> Expectation:
    image, text = (case.inputs[name].clone().requires_grad_(True) for name in ("image", "text"))
    tau = case.inputs["temperature"]
    n = len(image)

    def both(S: Tensor) -> Tensor:
        return -(S.log_softmax(1).diagonal() + S.log_softmax(0).diagonal()) / 2

    def naive(S: Tensor, epsilon: float = 0.0) -> Tensor:
        e = S.exp()
        return -((e / e.sum(1, keepdim=True) + epsilon).log() + (e / e.sum(0) + epsilon).log()).diagonal().mean() / 2

    def bounded(S: Tensor, epsilon: float) -> list[Tensor]:
        p, q = S.softmax(1).diagonal(), S.softmax(0).diagonal()
        return [-((p + epsilon).log() + (q + epsilon).log()).mean() / 2, -(p.clamp(min=epsilon).log() + q.clamp(min=epsilon).log()).mean() / 2]  # fmt: skip

    cosines = normalize(image, dim=1) @ normalize(text, dim=1).T
    S = cosines / tau
    loss = both(S).mean()
    right: dict[str, Any] = {"value": loss.detach()}
    if case.part == "gradients":
        found = torch.autograd.grad(loss * weighing(loss), (image, text), retain_graph=True)
        right |= {"gradient of image": found[0], "gradient of text": found[1]}
    raw = image @ text.T
    match = torch.eye(n, dtype=torch.bool)
    without = S.masked_fill(match, -torch.inf) if n > 1 else S
    values = {
        "one direction": [cross_entropy(S, torch.arange(n)), cross_entropy(S.T, torch.arange(n))],
        "not normalised": [both(raw / tau).mean(), both(raw).mean(), cross_entropy(raw / tau, torch.arange(n)), cross_entropy(raw.T / tau, torch.arange(n))],
        "wrong axis": both(normalize(image, dim=0) @ normalize(text, dim=0).T / tau).mean(),
        "no temperature": both(cosines).mean(),
        "multiplied": both(cosines * tau).mean(),
        "doubled": 2 * loss,
        "sum": [n * loss, 2 * n * loss],
        "all pairs": -S.flatten().log_softmax(0).view_as(S).diagonal().mean(),
        "match left out": (without.logsumexp(1) + without.logsumexp(0) - 2 * S.diagonal()).mean() / 2,
        "other sign": -loss,
        "overflow": [naive(S), naive(S) * 0, (S.exp().sum(1).log() + S.exp().sum(0).log() - 2 * S.diagonal()).mean() / 2,
                     -(S.softmax(1).log() + S.softmax(0).log()).diagonal().mean() / 2],
        "clamped": [one for epsilon in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6) for one in [*bounded(S, epsilon), naive(S, epsilon)]],
        "each": both(S),
    }  # fmt: skip
    return Expectation(right, _wrong(values))


# ---- cross_modal.siglip -----------------------------------------------------------------------------------------------


def siglip(case: Case) -> Expectation:
    given = {name: case.inputs[name].clone().requires_grad_(True) for name in ("image", "text", "t", "b")}
    image, text, t, b = given.values()
    n = len(image)
    cosines = image @ text.T
    a = t * cosines + b
    y = 2 * torch.eye(n) - 1
    each = -logsigmoid(y * a)
    loss = each.sum(1).mean()
    right: dict[str, Any] = {"value": loss.detach()}
    if case.part == "gradients":
        found = torch.autograd.grad(loss * weighing(loss), list(given.values()), retain_graph=True)
        right |= {f"gradient of {name}": one for name, one in zip(given, found)}

    def cost(score: Tensor, label: Tensor = y) -> Tensor:
        return -logsigmoid(label * score).sum(1).mean()

    p = (y * a).sigmoid()
    match = torch.eye(n, dtype=torch.bool)
    values = {
        "overflow": [-p.log().sum(1).mean(), (1 + (-y * a).exp()).log().sum(1).mean()],
        "clamped": [one for epsilon in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6)
                    for one in (-(p + epsilon).log().sum(1).mean(), -p.clamp(min=epsilon).log().sum(1).mean())],
        "all averaged": each.mean(),
        "all added": each.sum(),
        "matches alone": [each[match].mean(), each[match].sum()],
        "mismatches alone": [each[~match].sum() / n, each[~match].mean()],
        "all yes": cost(a, torch.ones(n, n)),
        "labels 0": cost(a, torch.eye(n)),
        "flipped": cost(-a),
        "bias inside": cost(t * (cosines + b)),
        "bias off": cost(t * cosines - b),
        "no bias": cost(t * cosines),
        "softmax": [cross_entropy(a, torch.arange(n)), (cross_entropy(a, torch.arange(n)) + cross_entropy(a.T, torch.arange(n))) / 2],
        "other sign": -loss,
    }  # fmt: skip
    return Expectation(right, _wrong(values))


# ---- cross_modal.levels -----------------------------------------------------------------------------------------------


def levels(case: Case) -> Expectation:
    n, e = 128, math.e
    soft = {s: math.log1p(math.exp(-s)) for s in (10, -10)}  # what a yes costs at a score of s
    alike, hot = math.log(n), math.log(e + n - 1) - 1
    siglip = soft[-10] + (n - 1) * soft[10]
    right = {"alike": alike, "hot": hot, "copies": math.log(4), "siglip": siglip, "vse": 0.4}[case.inputs["entry"]]
    wrong: dict[str, dict[str, Any]] = {
        "alike": {"base": [7.0, math.log10(n)], "probability": 1 / n, "zero": 0.0, "without the match": math.log(n - 1)},
        "hot": {
            "zero": 0.0,
            "nothing learned": alike,
            "probability": e / (e + n - 1),
            "base": [hot / math.log(2), hot / math.log(10)],
            "without the match": [math.log(n - 1) - 1, math.log(n) - 1],
            "mismatches forgotten": [1.0, -1.0, math.log1p(1 / e)],
        },
        "copies": {
            "zero": 0.0,
            "nothing learned": alike,
            "things": math.log(32),
            "others": math.log(3),
            "probability": [1 / 4, 3 / 4],
            "base": [2.0, math.log10(4)],
        },
        "siglip": {
            "no bias": [n * math.log(2), (n - 1) * math.log(2)],
            "mean over pairs": siglip / n,
            "all wrong": [n * soft[-10], soft[10] + (n - 1) * soft[-10]],
            "mismatches forgotten": [soft[-10], 10.0],
            "nothing learned": [math.log(2), alike],
            "zero": 0.0,
        },
        "vse": {"one direction": 0.2, "whole batch": [0.4 * n, 0.2 * n], "no margin": 0.0, "mismatches forgotten": [0.4 * (n - 1), 0.2 * (n - 1)]},
    }  # fmt: skip
    rounded = {"rounded": [round(right, 2), round(right, 1)]}
    return Expectation({"value": right}, _wrong(wrong[case.inputs["entry"]] | rounded))


# ---- cross_modal.copies -----------------------------------------------------------------------------------------------


def copies(case: Case) -> Expectation:
    S, ids, m = case.inputs["scores"].double(), case.inputs["ids"], case.inputs["margin"]
    n = len(S)
    other, apart = ids[:, None] != ids, ~torch.eye(n, dtype=torch.bool)
    match = S.diagonal()
    # How far each mismatch comes: [m − S_ii + S_ij] with i down, once for pictures that ask and once for texts.
    far = [m - match[:, None] + S, m - match[:, None] + S.T]

    def hardest(allowed: Tensor, far: list[Tensor] = far) -> list[Tensor]:
        return [one.masked_fill(~allowed, -torch.inf).amax(1) for one in far]

    def loss(allowed: Tensor, far: list[Tensor] = far) -> Tensor:
        return sum((one.clamp(min=0).sum() for one in hardest(allowed, far)), torch.tensor(0.0).double())

    right = loss(other)
    picture, text = (one.clamp(min=0).sum() for one in hardest(other))
    # The same tables along the other axis: each mismatch beside the match of somebody else.
    text_too, picture_too = (one.masked_fill(~other, -torch.inf).amax(0).clamp(min=0).sum() for one in far)
    there = other.any(1)
    nearest = [one.masked_fill(~other, torch.inf).amin(1).clamp(min=0).masked_fill(~there, 0).sum() for one in far]
    single = other.sum(1) == n - 1
    first = torch.tensor([i for i in range(n) if ids[i] not in ids[:i]])
    kept = [S[single][:, single], S[single][:, single].T]
    own = [m - match[single][:, None] + one for one in kept]
    zeroed = S.masked_fill(~other, 0.0)
    raw = sum(one.sum() for one in hardest(other))
    finite = sum(one[there].sum() for one in hardest(other))
    wrong_margin = [one - 2 * m for one in far]
    values = {
        "copies push": loss(apart),
        "own match": [loss(torch.ones_like(apart)), loss(other | ~apart), loss(torch.ones_like(apart)) / 2],
        "same direction twice": [2 * picture, 2 * text],
        "one direction": [picture, text],
        "another's match": [picture + text_too, picture_too + text],
        "all of them": sum(one.clamp(min=0)[other].sum() for one in far),
        "easiest": sum(nearest),
        "mean": [right / n, right / (2 * n)],
        "nothing left": [torch.tensor(torch.inf), torch.tensor(-torch.inf), torch.tensor(torch.nan), raw] if not there.all() else [],
        "no hinge": [raw, finite],
        "margin": [loss(other, wrong_margin), loss(other, [one - m for one in far])],
        "score zero": loss(torch.ones_like(apart), [m - match[:, None] + zeroed, m - match[:, None] + zeroed.T]),
        "whole pairs": [
            sum(
                (one.masked_fill(torch.eye(int(single.sum()), dtype=torch.bool), -torch.inf).amax(1).clamp(min=0).sum() for one in own),
                torch.tensor(0.0).double(),
            ) if single.any() else torch.tensor(0.0),
            loss(other[first][:, first], [one[first][:, first] for one in far]),
        ],
    }  # fmt: skip
    return Expectation({"value": right.float()}, _wrong(values))


# ---- cross_modal.batch ------------------------------------------------------------------------------------------------


def batch(case: Case) -> Expectation:
    """Many plans are right: what is broken is noticed by the task itself."""
    return Expectation({})


# ---- cross_modal.teacher ----------------------------------------------------------------------------------------------


def teacher(case: Case) -> Expectation:
    tokens = case.inputs["tokens"]
    read, wanted = tokens[:, :-1], tokens[:, 1:]
    right = {"read": read, "wanted": wanted, "counts": wanted != 0}
    true = torch.ones_like(wanted, dtype=torch.bool)

    def pair(read: Tensor, wanted: Tensor) -> dict[str, Any]:
        return {"read": read, "wanted": wanted}

    wrong: dict[str, Any] = {
        "not shifted": [pair(one, one) for one in (tokens, read)],
        "backwards": pair(wanted, read),
        "one for all": [pair(wanted, wanted), pair(tokens, wanted)],
        "skips": [pair(tokens[:, :-2], tokens[:, 2:]), pair(read, torch.cat([tokens[:, 2:], tokens[:, :1] * 0], 1))],
        "never ends": [{**right, "counts": wanted > 2}, {**right, "counts": tokens[:, 1:] * (read != 2) > 2}],
        "padding counts": {**right, "counts": true},
        "mask of read": {**right, "counts": read != 0},
        "start wanted": [pair(torch.cat([tokens[:, :1] * 0, read], 1), tokens), pair(torch.cat([tokens[:, :1] * 0, tokens[:, :-1]], 1), tokens)],
        "inverted": {**right, "counts": wanted == 0},
    }  # fmt: skip
    return Expectation(right, wrong)


# ---- cross_modal.beam -------------------------------------------------------------------------------------------------


def beam(case: Case) -> Expectation:
    kept, log_p, width = (case.inputs[name] for name in ("kept", "log_p", "width"))
    n, words = log_p.shape
    count = min(width, n * words)

    def best(table: Tensor, largest: bool = True, length: int = words) -> dict[str, Any]:
        places = table.flatten().topk(count, largest=largest).indices
        return {"parents": places // length, "words": places % length}

    total = kept[:, None] + log_p
    right = best(total)
    own = total.max(1)
    order = own.values.argsort(descending=True)
    wrong: dict[str, Any] = {
        "past forgotten": best(log_p),
        "next forgotten": best(kept[:, None] + 0 * log_p - 1e-6 * torch.arange(words)),
        "multiplied": best(kept[:, None] * log_p),
        "probabilities": [best(kept[:, None] + log_p.exp()), best(kept.exp()[:, None] + log_p)],
        "each its own": [{"parents": order, "words": own.indices[order]}, {"parents": torch.arange(n), "words": own.indices}],
        "greedy": {"parents": kept.argmax().expand(min(width, words)), "words": total[kept.argmax()].topk(min(width, words)).indices},
        "worst first": {name: one.flip(0) for name, one in right.items()},
        "least likely": best(total, largest=False),
        "pair swapped": {"parents": right["words"], "words": right["parents"]},
        "wrong count": best(total, length=n) if n > 1 else {"parents": right["words"], "words": right["parents"]},
    }  # fmt: skip
    return Expectation(right, wrong)


# ---- cross_modal.bleu -------------------------------------------------------------------------------------------------

Counts = list[tuple[float, float]]


def _ngrams(units: Any, n: int) -> Counter:
    return Counter(tuple(units[i : i + n]) for i in range(len(units) - n + 1))


def _counts(said: list, references: list, right: Any = Counter.__and__) -> Counts:
    """For n = 1 to 4, over all sentences: how many n-grams are right, and how many there are."""
    found = []
    for n in (1, 2, 3, 4):
        pairs = [(_ngrams(s, n), _ngrams(r, n)) for s, r in zip(said, references)]
        found.append((float(sum(right(s, r).total() for s, r in pairs)), float(sum(s.total() for s, _ in pairs))))
    return found


def _shares(counts: Counts) -> list[float]:
    return [right / total if total else 0.0 for right, total in counts]


def _score(counts: Counts, penalty: float) -> float:
    return penalty * math.prod(_shares(counts)) ** 0.25


def bleu(case: Case) -> Expectation:
    said, references = ([s.split() for s in case.inputs[name]] for name in ("said", "references"))
    c, r = (sum(map(len, some)) for some in (said, references))
    brevity = min(1.0, math.exp(1 - r / c))
    counts = _counts(said, references)
    p = _shares(counts)
    right = _score(counts, brevity)

    def of_sentence(s: list[str], t: list[str]) -> float:
        return _score(_counts([s], [t]), min(1.0, math.exp(1 - len(t) / len(s))))

    sets = [
        (float(sum(len(a.keys() & b.keys()) for a, b in pairs)), float(sum(len(a) for a, _ in pairs)))
        for pairs in ([(_ngrams(s, n), _ngrams(t, n)) for s, t in zip(said, references)] for n in (1, 2, 3, 4))
    ]
    joined = [[word for s in some for word in s] for some in (said, references)]
    texts = [[" ".join(s) for s in some] for some in (said, references)]
    solid = [["".join(s) for s in some] for some in (said, references)]
    recall = [(k, float(n)) for (k, _), (_, n) in zip(counts, _counts(references, references))]
    somewhere = [
        (float(sum(k for s in said for g, k in _ngrams(s, n).items() if any(g in _ngrams(t, n) for t in references))), counts[n - 1][1])
        for n in (1, 2, 3, 4)
    ]  # fmt: skip
    everywhere = [
        (float((sum((_ngrams(s, n) for s in said), Counter()) & sum((_ngrams(t, n) for t in references), Counter())).total()), counts[n - 1][1])
        for n in (1, 2, 3, 4)
    ]  # fmt: skip
    factors = (brevity, 1.0)
    letters = [min(1.0, math.exp(1 - sum(map(len, t)) / sum(map(len, s)))) for s, t in (texts, solid)]
    values: dict[str, Any] = {
        "not clipped": _score(_counts(said, references, lambda s, t: Counter({g: k for g, k in s.items() if g in t})), brevity),
        "sets": _score(sets, brevity),
        "recall": [_score(recall, factor) for factor in factors],
        "no penalty": _score(counts, 1.0),
        "penalty turned": [_score(counts, min(1.0, math.exp(1 - c / r))), _score(counts, math.exp(1 - c / r)), _score(counts, min(1.0, c / r))],
        "bonus": _score(counts, math.exp(1 - r / c)),
        "arithmetic": brevity * sum(p) / 4,
        "no root": [brevity * math.prod(p), brevity * math.prod(p) ** 0.5],
        "one length": [brevity * one for one in p],
        "up to three": [brevity * math.prod(p[:3]) ** (1 / 3), brevity * math.prod(p[:2]) ** 0.5, brevity * math.prod(p[1:]) ** (1 / 3), brevity * math.prod(p[:3]) ** 0.25],
        "mean of sentences": sum(of_sentence(s, t) for s, t in zip(said, references)) / len(said),
        "pooled": brevity * sum(k for k, _ in counts) / max(sum(n for _, n in counts), 1),
        "other references": [_score(one, brevity) for one in (somewhere, everywhere)],
        "across": _score(_counts([joined[0]], [joined[1]]), brevity),
        "letters": [*(_score(_counts(*some), factor) for some, factor in zip((texts, solid), letters)), *(_score(counts, factor) for factor in letters)],
        "percent": 100 * right,
    }  # fmt: skip
    return Expectation({"value": right}, _wrong(values))


EXPECT = {
    "cross_modal.recall": recall,
    "cross_modal.cca": cca,
    "cross_modal.clip": clip,
    "cross_modal.siglip": siglip,
    "cross_modal.levels": levels,
    "cross_modal.copies": copies,
    "cross_modal.batch": batch,
    "cross_modal.teacher": teacher,
    "cross_modal.beam": beam,
    "cross_modal.bleu": bleu,
}
