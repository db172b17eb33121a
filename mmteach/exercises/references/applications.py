"""What right and known wrong answers to the tasks of chapter 06 give."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mmteach.exercises.observe import weighing
from mmteach.exercises.task import Case, Expectation


def _wrong(values: dict[str, Any]) -> dict[str, Any]:
    """By misconception, its value; several where a list of values is given as a tuple."""

    def outputs(value: Any) -> dict[str, Any]:
        return {"value": value.detach().float() if isinstance(value, Tensor) else value}

    return {k: [outputs(one) for one in v] if isinstance(v, tuple) else outputs(v) for k, v in values.items()}


# ---- applications.precision -------------------------------------------------------------------------------------------


def precision(case: Case) -> Expectation:
    scores, relevant = case.inputs["scores"].double(), case.inputs["relevant"]

    def precisions(scores: Tensor, relevant: Tensor, descending: bool = True) -> tuple[Tensor, Tensor]:
        """The precision at every rank, and which ranks are right, (Q, N) each."""
        right = relevant.gather(1, scores.argsort(dim=1, descending=descending)).double()
        return right.cumsum(1) / torch.arange(1, right.shape[1] + 1), right

    p, right = precisions(scores, relevant)
    count = right.sum(1)
    some = count > 0

    def mean(found: Tensor, over: Tensor = some) -> float:
        return found[over].mean().item()

    def averaged(p: Tensor, right: Tensor) -> float:
        return mean((p * right).sum(1) / right.sum(1), right.sum(1) > 0)

    ranks = torch.arange(1, right.shape[1] + 1)
    each = (p * right).sum(1) / count
    value = mean(each)
    columns = precisions(scores.T, relevant.T)
    plain = relevant.double()
    values: dict[str, Any] = {
        "first alone": (
            mean(1 / (right.argmax(1) + 1)),
            mean(1 / (right.argmax(1) + 1) * some, torch.ones_like(some)),
        ),
        "worst first": averaged(*precisions(scores, relevant, descending=False)),
        "not ranked": averaged(plain.cumsum(1) / ranks, plain),
        "at the end": (
            mean(p[:, -1]),
            mean(p.gather(1, (count.long() - 1).clamp(min=0)[:, None])[:, 0]),
            mean(p[:, 0]),
            mean(p[:, min(9, p.shape[1] - 1)]),
            mean((ranks * right).amax(1).reciprocal() * count),
        ),
        "every place": (mean(p.mean(1)), mean(p.mean(1), torch.ones_like(some))),
        "all pictures": (mean((p * right).mean(1)), mean((p * right).mean(1), torch.ones_like(some))),
        "hits together": ((p * right).sum() / count.sum()).item(),
        "wrong axis": (averaged(*columns), mean((columns[0] * columns[1]).sum(0).sum(0, keepdim=True), some[:1])),
        "before": mean((((right.cumsum(1) - 1) / ranks) * right).sum(1) / count),
        "from zero": (
            mean(((right.cumsum(1) / (ranks + 1)) * right).sum(1) / count),
            mean(((right.cumsum(1) / (ranks - 1)).nan_to_num() * right).sum(1) / count),
            math.inf,
        ),
        "each": (each.float(), each[some].float()),
        "percent": 100 * value,
    }
    if not some.all():
        values |= {"query at zero": mean(each.nan_to_num(), torch.ones_like(some)), "nan": math.nan}
    return Expectation({"value": value}, _wrong(values))


# ---- applications.greedy ----------------------------------------------------------------------------------------------


def _merged(path: Sequence[int]) -> list[int]:
    return [label for label, _ in itertools.groupby(path)]


def _without(path: Sequence[int], blank: int = 0) -> list[int]:
    return [label for label in path if label != blank]


def greedy(case: Case) -> Expectation:
    scores, lengths = case.inputs["scores"], case.inputs["lengths"].tolist()
    paths = [row.argmax(1).tolist()[:n] for row, n in zip(scores, lengths)]

    def collapsed(path: Sequence[int]) -> list[int]:
        return _without(_merged(path))

    def each(say: Callable[[list[int]], list[int]]) -> list[list[int]]:
        return [say(path) for path in paths]

    last = scores.shape[2] - 1
    values: dict[str, Any] = {
        "blanks first": each(lambda path: _merged(_without(path))),
        "repeats stay": each(_without),
        "blanks stay": each(_merged),
        "not collapsed": (paths, [row.argmax(1).tolist() for row in scores]),
        "each once": each(lambda path: list(dict.fromkeys(_without(path)))),
        "padding read": [collapsed(row.argmax(1).tolist()) for row in scores],
        "wrong axis": (
            [collapsed(row.argmax(0).tolist()) for row in scores],
            [collapsed(row[:n].argmax(0).tolist()) for row, n in zip(scores, lengths)],
        ),
        "other blank": each(lambda path: _without(_merged(path), last)),
        "one short": each(lambda path: collapsed(path[:-1])),
        "smallest": [collapsed(row.argmin(1).tolist()[:n]) for row, n in zip(scores, lengths)],
    }
    return Expectation({"value": each(collapsed)}, _wrong(values))


# ---- applications.frames ----------------------------------------------------------------------------------------------


def frames(case: Case) -> Expectation:
    entry = case.inputs["entry"]
    right = {"fewest": 9, "seconds": 0.27, "no": 15, "oo": 5, "loss": math.log(81 / 15)}[entry]
    wrong: dict[str, dict[str, Any]] = {
        "fewest": {
            "a frame a letter": 7,
            "one pair": 8,
            "blanks everywhere": (13, 15, 14),
            "single letters": (5, 4),
            "spectrogram frames": (27, 21),
        },
        "seconds": {
            "spectrogram frames": (0.09, 0.03),
            "a frame a letter": 0.21,
            "milliseconds": (270, 210, 90),
            "blanks everywhere": (0.45, 0.39, 0.42),
            "one pair": 0.24,
        },
        "no": {"letters only": 3, "places only": (6, 12), "all": (81, 16)},
        "oo": {"as if different": (15, 6), "all": (81, 16), "single letters": 10, "letters only": (1, 3)},
        "loss": {
            "one alignment": math.log(81),
            "probability": 15 / 81,
            "other base": (math.log2(81 / 15), math.log10(81 / 15)),
            "sign": math.log(15 / 81),
            "a frame": math.log(81 / 15) / 4,
            "letters only": math.log(81 / 3),
            "places only": math.log(81 / 6),
        },
    }
    return Expectation({"value": right}, _wrong(wrong[entry]))


# ---- applications.ctc -------------------------------------------------------------------------------------------------

NONE = -1e30  # the logarithm of nothing, with a finite gradient


def _log_p(
    log_p: Tensor,
    y: Sequence[int],
    *,
    blank: int = 0,
    stay: bool = True,
    around: bool = False,
    skip: str = "different letters",
    starts: Sequence[int] = (0, 1),
    ends: Sequence[int] | None = (-1, -2),
    add: Callable[[Tensor], Tensor] = lambda terms: terms.logsumexp(0),
) -> Tensor:
    """log p(y | x) by the table of section 2, or by one that is wrong in the ways that the options name."""
    s = [blank]
    for label in y:
        s += [label, blank]
    places = torch.arange(len(s))
    may = torch.zeros(len(s), dtype=torch.bool)
    for i in range(2, len(s)):
        letter = s[i] != blank
        may[i] = {
            "different letters": letter and s[i] != s[i - 2],
            "letters": letter,
            "everywhere": True,
            "never": False,
        }[skip]
    none = torch.full((len(s),), NONE, dtype=torch.float64)
    at = log_p.double()[:, s]
    begins = torch.isin(places, torch.tensor(list(starts)))
    alpha = torch.where(begins, at[0], none)
    for t in range(1, len(log_p)):
        one = torch.cat([alpha[-1:] if around else none[:1], alpha[:-1]])
        two = torch.where(may, torch.cat([none[:2], alpha[:-2]]), none)
        alpha = at[t] + add(torch.stack([alpha if stay else none, one, two]))
    return add(alpha if ends is None else alpha[list(ends)])


def ctc(case: Case) -> Expectation:
    p, y = case.inputs["log_p"].clone().requires_grad_(True), case.inputs["y"]
    right: dict[str, Any] = {}
    log = _log_p(p, y)
    loss = -log.float()
    right["value"] = loss.detach()
    (gradient,) = torch.autograd.grad(loss * weighing(loss), p, retain_graph=True)
    if case.part == "gradients":
        right["gradient of log_p"] = gradient
    last = p.shape[1] - 1
    naive = log.float().exp()

    def minus(**options: Any) -> Tensor:
        return -_log_p(p, y, **options).detach()

    if case.part == "long":
        return Expectation(
            right,
            _wrong(
                {
                    "underflow": torch.tensor(math.inf),
                    "sign": log,
                    "best alignment": minus(add=lambda terms: terms.amax(0)),
                }
            ),
        )
    values: dict[str, Any] = {
        "merged": minus(skip="letters"),
        "no skip": minus(skip="never"),
        "blanks skipped": minus(skip="everywhere"),
        "no stay": minus(stay=False),
        "one end": (minus(ends=(-1,)), minus(ends=(-2,))),
        "one start": (minus(starts=(0,)), minus(starts=(1,))),
        "around": minus(around=True),
        "any end": minus(ends=None),
        "best alignment": minus(add=lambda terms: terms.amax(0)),
        "sign": log,
        "probability": (naive, 1 - naive),
        "last blank": minus(blank=last),
        "divided": (-log / len(p), -log / len(y)),
    }
    wrong = _wrong(values)
    # Where no alignment is possible the table says so with a very large number, an answer with infinity.
    for name, found in wrong.items():
        one = found if isinstance(found, list) else [found]
        more = [{"value": torch.tensor(math.inf)} for v in one if v["value"].abs() > -NONE / 10 and name != "sign"]
        wrong[name] = one + more
    if len(p) > len(y) + 1:
        wrong["logarithms added"] = {"value": torch.tensor(math.inf)}
    if case.part == "gradients":
        # The library's: as if log_p came out of a softmax whose inputs the gradient is with respect to.
        wrong["library"] = {"gradient of log_p": gradient + weighing(loss) * p.detach().exp()}
    return Expectation(right, wrong)


# ---- applications.cer -------------------------------------------------------------------------------------------------


def _edits(
    a: Sequence[str], b: Sequence[str], inserted: int = 1, deleted: int = 1, exchanged: int = 1, edge: str = "both"
) -> int:
    """Smallest cost that turns the answer a into b: `inserted` for what stands in a alone, `deleted` for what in b alone."""
    before = [j * deleted * (edge in ("both", "row")) for j in range(len(b) + 1)]
    for i, x in enumerate(a, start=1):
        row = [i * inserted * (edge in ("both", "column"))]
        for j, y in enumerate(b, start=1):
            row.append(min(before[j] + inserted, row[-1] + deleted, before[j - 1] + exchanged * (x != y)))
        before = row
    return before[-1]


def cer(case: Case) -> Expectation:
    pairs = list(zip(case.inputs["answers"], case.inputs["transcripts"]))
    length = sum(len(t) for _, t in pairs)

    def over(cost: Callable[[str, str], float], by: float = length) -> float:
        return sum(cost(a, t) for a, t in pairs) / by if by else math.inf

    def mean(rate: Callable[[str, str], float]) -> float:
        return over(rate, len(pairs))

    rate = over(_edits)
    values: dict[str, Any] = {
        "clipped": (min(rate, 1.0), over(lambda a, t: min(_edits(a, t), len(t)))),
        "mean of rates": mean(lambda a, t: _edits(a, t) / len(t)),
        "by the answer": over(_edits, sum(len(a) for a, _ in pairs)),
        "by the longer": (
            over(_edits, sum(max(len(a), len(t)) for a, t in pairs)),
            mean(lambda a, t: _edits(a, t) / max(len(a), len(t))),
        ),
        "exchange twice": over(lambda a, t: _edits(a, t, exchanged=2)),
        "place by place": (
            over(lambda a, t: sum(x != y for x, y in itertools.zip_longest(a, t))),
            over(lambda a, t: sum(x != y for x, y in zip(a, t))),
        ),
        "bag": (
            over(lambda a, t: max((Counter(a) - Counter(t)).total(), (Counter(t) - Counter(a)).total())),
            over(lambda a, t: (Counter(t) - Counter(a)).total()),
            over(lambda a, t: (Counter(a) - Counter(t)).total() + (Counter(t) - Counter(a)).total()),
        ),
        "words": over(lambda a, t: _edits(a.split(), t.split()), sum(len(t.split()) for _, t in pairs)),
        "percent": 100 * rate,
        "right share": 1 - rate,
        "insertions free": over(lambda a, t: _edits(a, t, inserted=0)),
        "deletions free": over(lambda a, t: _edits(a, t, deleted=0)),
        "not divided": (over(_edits, 1), over(_edits, len(pairs))),
        "lengths only": over(lambda a, t: abs(len(a) - len(t))),
        "one edge": tuple(over(partial(_edits, edge=edge)) for edge in ("row", "column", "neither")),
    }
    return Expectation({"value": rate}, _wrong(values))


# ---- applications.motion ----------------------------------------------------------------------------------------------


def motion(case: Case) -> Expectation:
    clips = case.inputs["clips"]
    x = clips.double().mean(2) / 255  # (B, T, H, W)

    def change(x: Tensor) -> Tensor:
        return torch.diff(x, dim=1, append=x[:, -1:])

    def channels(x: Tensor, mean: Tensor | None = None, second: Tensor | None = None, at: int = 2) -> Tensor:
        mean = x.mean((1, 2, 3), keepdim=True) if mean is None else mean
        return torch.stack([x - mean, change(x) if second is None else second], at)

    right = channels(x).float()
    small = clips.float().mean(2).to(torch.uint8)
    back = torch.diff(x, dim=1, prepend=x[:, :1])
    wrong = _wrong({
        "bytes": (
            channels(small / 255, second=(torch.diff(small, dim=1, append=small[:, -1:])) / 255),
            channels(x, second=(torch.diff(small, dim=1, append=small[:, -1:])) / 255),
        ),
        "not scaled": 255 * right,
        "colours added": 3 * right,
        "one colour": tuple(channels(clips[:, :, c].double() / 255) for c in range(3)),
        "batch mean": channels(x, x.mean()),
        "frame mean": channels(x, x.mean((2, 3), keepdim=True)),
        "place mean": (channels(x, x.mean(1, keepdim=True)), channels(x, x.mean((0, 1), keepdim=True))),
        "no mean": channels(x, torch.zeros(())),
        "backwards": (channels(x, second=-change(x)), channels(x, second=-back)),
        "front": channels(x, second=back),
        "around": channels(x, second=x.roll(-1, 1) - x),
        "absolute": channels(x, second=change(x).abs()),
        "channels first": (channels(x, at=1), channels(x, at=4)),
        "too short": channels(x)[:, :-1],
    })  # fmt: skip
    return Expectation({"value": right, "rows": right}, wrong)


# ---- applications.carry -----------------------------------------------------------------------------------------------


def _kernel(x: Tensor) -> tuple[Tensor, dict[str, Any]]:
    right = x.permute(3, 2, 0, 1)
    values: dict[str, Any] = {
        "turned": x.permute(3, 2, 1, 0),
        "in and out": (x.permute(2, 3, 0, 1), x.permute(2, 3, 1, 0)),
        "poured": x.reshape(right.shape),
        "not moved": x,
        "mirrored": (right.flip(2, 3), right.flip(3), right.flip(2)),
    }
    return right, values


def _dense(x: Tensor, size: Sequence[int]) -> tuple[Tensor, dict[str, Any]]:
    (height, width), units = size, x.shape[1]
    pictures = x.T.reshape(units, height, width, -1)
    right = pictures.permute(0, 3, 1, 2).reshape(units, -1)
    values: dict[str, Any] = {
        "columns stay": x.T,
        "not transposed": right.T,
        "other way": (
            x.T.reshape(units, -1, height, width).permute(0, 2, 3, 1).reshape(units, -1),
            x.T.reshape(units, -1, height, width).permute(0, 2, 3, 1).reshape(units, -1).T,
        ),
        "picture turned": (
            pictures.permute(0, 3, 2, 1).reshape(units, -1),
            x.T.reshape(units, width, height, -1).permute(0, 3, 1, 2).reshape(units, -1),
            x.T.reshape(units, width, height, -1).permute(0, 3, 2, 1).reshape(units, -1),
        ),
        "poured": x.reshape(units, -1),
        "not moved": x,
    }
    return right, values


def _gates(x: Tensor) -> tuple[Tensor, dict[str, Any]]:
    i, o, f, g = x.chunk(4)
    right = torch.cat([i, f, g, o])
    orders = [torch.cat(order) for order in itertools.permutations((i, o, f, g))]
    apart = x.reshape(-1, 4, x.shape[1])
    values: dict[str, Any] = {
        "gates stay": x,
        "gates back": torch.cat([i, g, o, f]),
        "interleaved": (apart[:, [0, 2, 3, 1]].reshape(x.shape), apart[:, [0, 2, 3, 1]].transpose(0, 1).reshape(x.shape), x[[0, 2, 3, 1]]),
        "other gates": tuple(orders),
        "not moved": right.T,
    }  # fmt: skip
    return right, values


def carry(case: Case) -> Expectation:
    x = case.inputs
    made = {
        "kernel": lambda: _kernel(x["kernel"]),
        "dense": lambda: _dense(x["dense"], x["size"]),
        "gates": lambda: _gates(x["gates"]),
    }
    right, values = made[case.part]()
    return Expectation({"value": right.contiguous()}, _wrong(values))


# ---- applications.split -----------------------------------------------------------------------------------------------


def split(case: Case) -> Expectation:
    x = case.inputs

    def words(text: str) -> str:
        return " ".join("".join(c for c in text.lower() if c not in ".,!?").split())

    def places(form: Callable[[str], str], want: Callable[[bool, bool], bool], first: int = 0) -> list[int]:
        new = {form(text) for text in x["new_texts"]}
        pairs = zip(x["speakers"], x["texts"])
        return [i for i, (p, t) in enumerate(pairs, start=first) if want(p in x["new_speakers"], form(t) in new)]

    def parts(train: Callable, test: Callable, form: Callable[[str], str] = words, first: int = 0) -> dict[str, list[int]]:  # fmt: skip
        return {"train": places(form, train, first), "test": places(form, test, first)}

    def neither(speaker: bool, text: bool) -> bool:
        return not (speaker or text)

    def both(speaker: bool, text: bool) -> bool:
        return speaker and text

    def not_both(speaker: bool, text: bool) -> bool:
        return not (speaker and text)

    def either(speaker: bool, text: bool) -> bool:
        return speaker or text

    def by_speaker(speaker: bool, text: bool) -> bool:
        return speaker

    def by_text(speaker: bool, text: bool) -> bool:
        return text

    def old_speaker(speaker: bool, text: bool) -> bool:
        return not speaker

    def old_text(speaker: bool, text: bool) -> bool:
        return not text

    right = parts(neither, both)
    values: dict[str, Any] = {
        "speakers leak": (parts(old_text, both), parts(old_text, by_text)),
        "sentences leak": (parts(old_speaker, both), parts(old_speaker, by_speaker)),
        "known sentences tested": parts(neither, by_speaker),
        "known speakers tested": parts(neither, by_text),
        "half new": (parts(neither, either), parts(neither, lambda p, t: p != t)),
        "mixed in training": parts(not_both, both),
        "exchanged": {"train": right["test"], "test": right["train"]},
        "as written": tuple(
            parts(train, test, form)
            for train, test in ((neither, both),)
            for form in (str, str.lower, lambda t: " ".join(t.lower().split()), lambda t: t.strip(".,!?").lower())
        ),
        "from one": parts(neither, both, first=1),
    }
    return Expectation({"value": right}, _wrong(values))


# ---- applications.fails -----------------------------------------------------------------------------------------------


def fails(case: Case) -> Expectation:
    rows = case.inputs["rows"]
    names = sorted({row["speaker"] for row in rows})

    def own(name: str) -> list[dict[str, Any]]:
        return [row for row in rows if row["speaker"] == name]

    def pooled(some: Sequence[dict[str, Any]]) -> float:
        return sum(row["edits"] for row in some) / sum(row["characters"] for row in some)

    def mean(some: Sequence[dict[str, Any]]) -> float:
        return sum(row["edits"] / row["characters"] for row in some) / len(some)

    def largest(some: Sequence[dict[str, Any]]) -> float:
        return max(row["edits"] / row["characters"] for row in some)

    def says(by: Callable[[str], float], rate: Callable = pooled, whole: float | None = None) -> dict[str, Any]:
        worst = max(names, key=by)
        return {"rate": pooled(rows) if whole is None else whole, "speaker": worst, "worst": rate(own(worst))}

    def rate_of(name: str) -> float:
        return pooled(own(name))

    right = says(rate_of)
    people = sum(map(rate_of, names)) / len(names)
    values: dict[str, Any] = {
        "worst recording": (says(lambda n: largest(own(n))), says(lambda n: largest(own(n)), largest)),
        "most edits": says(lambda n: sum(row["edits"] for row in own(n))),
        "mean of rates": (
            says(lambda n: mean(own(n)), mean, mean(rows)),
            says(lambda n: mean(own(n)), mean),
            says(lambda n: mean(own(n))),
            says(rate_of, pooled, mean(rows)),
            says(rate_of, mean, mean(rows)),
            says(lambda n: mean(own(n)), mean, sum(mean(own(name)) for name in names) / len(names)),
            says(rate_of, mean),
        ),
        "mean of people": says(rate_of, pooled, people),
        "best": says(lambda n: -rate_of(n)),
        "own worst": says(rate_of, largest),
        "right share": right | {"rate": 1 - right["rate"], "worst": 1 - right["worst"]},
        "percent": right | {"rate": 100 * right["rate"], "worst": 100 * right["worst"]},
        "no difference": right | {"worst": right["worst"] - right["rate"]},
    }
    return Expectation({"value": right}, _wrong(values))


def nothing(case: Case) -> Expectation:
    """Many answers are right: what is broken is noticed."""
    return Expectation({})


EXPECT = {
    "applications.precision": precision,
    "applications.greedy": greedy,
    "applications.frames": frames,
    "applications.ctc": ctc,
    "applications.cer": cer,
    "applications.motion": motion,
    "applications.carry": carry,
    "applications.split": split,
    "applications.fails": fails,
    "applications.plan": nothing,
}
