"""Right and wrong answers to the tasks of chapter 07."""

import itertools
import math

import numpy as np
import torch
from torch.nn import functional as F

from mmteach.alignment import binding_loss
from mmteach.diagnosis import mutual_information

# ---- outlook.bind


def contrast(a, b, temperature, ways=(1, 1), asked=None):
    """Half the cross-entropy each way; `asked` are the rows that ask a question."""
    s = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature
    at = torch.arange(len(a)) if asked is None else asked.nonzero().flatten()
    return sum(w * F.cross_entropy(t[at], at) for w, t in zip(ways, (s, s.T))) / 2


def bind(text, others, present, temperature, **options):
    loss = torch.zeros(())
    for name, x in others.items():
        there = present[name]
        if there.any():
            loss = loss + contrast(x[there], text[there], temperature, **options)
    return loss


def bind_loop(text, others, present, temperature):
    total = 0.0 * text.sum()
    for name in others:
        rows = [i for i in range(len(text)) if present[name][i]]
        for i in rows:
            t, x = text / text.norm(dim=1, keepdim=True), others[name] / others[name].norm(dim=1, keepdim=True)
            one = torch.stack([x[i] @ t[j] for j in rows]) / temperature
            two = torch.stack([x[j] @ t[i] for j in rows]) / temperature
            at = rows.index(i)
            total = total - (one[at] - one.logsumexp(0) + two[at] - two.logsumexp(0)) / (2 * len(rows))
    return total


def bind_masked(text, others, present, temperature):
    """In float64, with minus infinity where a candidate is absent."""
    t, losses = F.normalize(text.double(), dim=-1), []
    for name, x in others.items():
        there = present[name]
        if not there.any():
            continue
        s = torch.einsum("id,jd->ij", F.normalize(x.double(), dim=-1), t) / temperature
        s = s.masked_fill(~(there[:, None] & there), -1e30)
        both = s.log_softmax(1).diagonal() + s.log_softmax(0).diagonal()
        losses.append(-both[there].mean() / 2)
    return torch.stack(losses).sum()


def bind_all(text, others, present, temperature):
    names = list(others)
    extra = [
        contrast(others[a][present[a] & present[b]], others[b][present[a] & present[b]], temperature)
        for a, b in itertools.combinations(names, 2)
        if (present[a] & present[b]).any()
    ]
    return bind(text, others, present, temperature) + sum(extra)


def bind_complete(text, others, present, temperature):
    whole = torch.stack(list(present.values())).all(0)
    return bind(text, others, dict.fromkeys(others, whole), temperature)


def everybody(others):
    return {name: torch.ones(len(x), dtype=torch.bool) for name, x in others.items()}


def bind_candidates(text, others, present, temperature):
    there = {m: p for m, p in present.items() if p.any()}
    return sum(contrast(others[m], text, temperature, asked=p) for m, p in there.items())


def bind_lengths(text, others, present, temperature):
    loss = torch.zeros(())
    for m, x in others.items():
        if present[m].any():
            s, at = x[present[m]] @ text[present[m]].T / temperature, torch.arange(int(present[m].sum()))
            loss = loss + (F.cross_entropy(s, at) + F.cross_entropy(s.T, at)) / 2
    return loss


def bind_sum(text, others, present, temperature):
    return sum(
        bind(text, {m: x}, present, temperature) * present[m].sum() for m, x in others.items() if present[m].any()
    )


def bind_with_the_library(text, others, present, temperature):
    return binding_loss({"text": text, **others}, "text", 1 / temperature, present=present)


# ---- outlook.worlds


def by_counting(y, some):
    cases = list(itertools.product((0, 1), repeat=3))
    p = {}
    for case in cases:
        key = (tuple(case[i] for i in some), y(*case))
        p[key] = p.get(key, 0) + 1 / 8
    px, py = {}, {}
    for (x, z), v in p.items():
        px[x], py[z] = px.get(x, 0) + v, py.get(z, 0) + v
    return sum(v * math.log2(v / px[x] / py[z]) for (x, z), v in p.items())


def parity(a, b, c):
    return a ^ b ^ c


def every(a, b, c):
    return a & b & c


def switch(a, b, c):
    return a if c else b


BITS = {
    "parity, two": by_counting(parity, (0, 1)),
    "parity, three": by_counting(parity, (0, 1, 2)),
    "all, one": by_counting(every, (0,)),
    "all, two": by_counting(every, (0, 1)),
    "switch, x3": by_counting(switch, (2,)),
    "switch, x1 and x3": by_counting(switch, (0, 2)),
}

# ---- outlook.beyond


def told(p, log=torch.log2):
    """Information in a table of two axes, over its positive entries."""
    independent = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    there = p > 0
    return (p[there] * log(p[there] / independent[there])).sum()


def of_pairs(p, tell=told):
    return [tell(p.sum(axis).flatten(0, 1)) for axis in range(3)]


def beyond(p, tell=told, best=max):
    return tell(p.flatten(0, 2)) - best(of_pairs(p, tell))


def naive(p):
    return (p * torch.log2(p / (p.sum(1, keepdim=True) * p.sum(0, keepdim=True)))).sum()


def of_singles(p):
    return [told(p.sum(axes)) for axes in ((1, 2), (0, 2), (0, 1))]


def beyond_entropies(p):
    p = p.double()

    def h(axes):
        q = torch.einsum("abcd->" + axes, p)
        return -torch.special.xlogy(q, q).sum() / math.log(2)

    pairs = torch.stack([h(two) - h(two + "d") for two in ("ab", "ac", "bc")])
    return (h("abc") - h("abcd") - pairs.max()).float()


def beyond_loop(p):
    def information(some):
        joint, x, y = {}, {}, {}
        for place in itertools.product(*map(range, p.shape)):
            key = tuple(place[i] for i in some)
            for table, k in ((joint, (key, place[3])), (x, key), (y, place[3])):
                table[k] = table.get(k, 0.0) + p[place].item()
        return sum(v * math.log2(v / (x[k] * y[z])) for (k, z), v in joint.items() if v > 0)

    return information((0, 1, 2)) - max(map(information, ((0, 1), (0, 2), (1, 2))))


# ---- outlook.scaling


def step(weights, gradient, rate, scale):
    if not gradient.isfinite().all():
        return weights.clone(), scale / 2
    return weights - rate * gradient.float() / scale, scale


def step_where(weights, gradient, rate, scale):
    good = gradient.isfinite().all()
    moved = weights - rate / scale * gradient.to(torch.float32)
    return torch.where(good, moved, weights), scale if good else scale * 0.5


def step_float64(weights, gradient, rate, scale):
    total = gradient.double().abs().sum().item()
    if math.isnan(total) or math.isinf(total):
        return [weights + 0, scale / 2]
    return [torch.add(weights.double(), gradient.double(), alpha=-rate / scale).float(), torch.tensor(scale)]


def step_loop(weights, gradient, rate, scale):
    values = gradient.tolist()
    if any(v != v or abs(v) == math.inf for v in values):
        return torch.tensor(weights.tolist()), scale / 2
    return torch.tensor([w - rate * v / scale for w, v in zip(weights.tolist(), values)]), scale


def stepping(move=None, new=None, bad=lambda g: not g.isfinite().all()):
    """Right but for the move, or for what is done where something is not finite."""

    def answer(weights, gradient, rate, scale):
        if bad(gradient):
            return weights.clone(), scale / 2 if new is None else new(scale)
        w = step(weights, gradient, rate, scale)[0] if move is None else move(weights, gradient, rate, scale)
        return w, scale

    return answer


# ---- outlook.shards


def weighed(weights, form=None):
    """Each worker's gradients with a weight made from its count and all counts."""

    def answer(gradients, counts):
        there = [(g, weights(n, counts)) for g, n in zip(gradients, counts) if n]
        return {name: sum(w * g[name] for g, w in there) for name in gradients[0]}

    return answer


combined = weighed(lambda n, counts: n / sum(counts))


def combined_einsum(gradients, counts):
    n = torch.tensor(counts, dtype=torch.float64)
    return {
        name: torch.einsum("k,k...->...", n, torch.stack([g[name].double().nan_to_num() for g in gradients])) / n.sum()
        for name in gradients[0]
    }


def combined_running(gradients, counts):
    """A running mean, one worker after the other."""
    mean, seen = {name: torch.zeros_like(g) for name, g in gradients[0].items()}, 0
    for one, n in zip(gradients, counts):
        if n == 0:
            continue
        seen += n
        mean = {name: m + (one[name] - m) * (n / seen) for name, m in mean.items()}
    return mean


def bias_alone(gradients, counts):
    plain = weighed(lambda n, c: 1 / sum(k > 0 for k in c))(gradients, counts)
    return plain | {"bias": combined(gradients, counts)["bias"]}


# ---- outlook.doubt


def log_p(scores):
    return scores.log_softmax(1).diagonal(), scores.log_softmax(0).diagonal()


def doubting(scores, q):
    both = torch.cat(log_p(scores))
    return -both.mean() if q == 0 else ((1 - (q * both).exp()) / q).mean()


def doubting_expm1(scores, q):
    both = torch.stack(log_p(scores.double()))
    return (-torch.expm1(q * both) / q if q else -both).mean()


def doubting_loop(scores, q):
    total = 0.0
    for i in range(len(scores)):
        for line in (scores[i], scores[:, i]):
            log = line[i] - torch.logsumexp(line, 0)
            total = total + (-log if q == 0 else (1 - torch.exp(q * log)) / q)
    return total / (2 * len(scores))


def doubting_cross_entropy(scores, q):
    at = torch.arange(len(scores))
    losses = torch.stack([F.cross_entropy(s, at, reduction="none") for s in (scores, scores.T)])
    return losses.mean() if q == 0 else (1 - torch.exp(-q * losses)).mean() / q


def doubting_by(one, limit=lambda p: -p.log()):
    """From the probabilities of both directions."""

    def answer(scores, q):
        p = torch.cat(log_p(scores)).exp()
        return (limit(p) if q == 0 else one(p, q)).mean()

    return answer


def rows_alone(scores, q):
    p = log_p(scores)[0]
    return -p.mean() if q == 0 else ((1 - (q * p).exp()) / q).mean()


def all_entries(scores, q):
    p = torch.stack([scores.log_softmax(1), scores.log_softmax(0)])
    return -p.mean() if q == 0 else ((1 - (q * p).exp()) / q).mean()


# ---- outlook.curve


def needed(examples, errors, target):
    slope, intercept = np.polyfit(np.log(examples), np.log(errors), 1)
    return {"exponent": -slope, "examples": np.exp((np.log(target) - intercept) / slope).item()}


def needed_sums(examples, errors, target):
    x, y = [math.log10(n) for n in examples], [math.log10(e) for e in errors]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    b = -sum((p - mx) * (q - my) for p, q in zip(x, y)) / sum((p - mx) ** 2 for p in x)
    a = 10 ** (my + b * mx)
    return {"examples": (a / target) ** (1 / b), "exponent": b}


def needed_lstsq(examples, errors, target):
    x, y = torch.tensor(examples, dtype=torch.float64).log2(), torch.tensor(errors, dtype=torch.float64).log2()
    (b,), (c,) = torch.linalg.lstsq(torch.stack([-x, torch.ones_like(x)], 1), y[:, None]).solution
    return {"exponent": b, "examples": round((2 ** ((c - math.log2(target)) / b)).item())}


def floats(found):
    return {name: float(value) for name, value in found.items()}


def needed_float(examples, errors, target):
    return floats(needed(examples, errors, target))


def line(x=np.log, y=np.log, back=np.exp):
    """Fitted on other axes; y tells how the target is put in."""

    def answer(examples, errors, target):
        slope, intercept = np.polyfit(x(np.array(examples, float)), y(np.array(errors)), 1)
        return floats({"exponent": -slope, "examples": back((y(target) - intercept) / slope)})

    return answer


def plain(x):
    return x


def ends(examples, errors, target):
    b = math.log(errors[0] / errors[-1]) / math.log(examples[-1] / examples[0])
    return {"exponent": b, "examples": examples[0] * (errors[0] / target) ** (1 / b)}


def exchanged(examples, errors, target):
    slope, intercept = np.polyfit(np.log(errors), np.log(examples), 1)
    return floats({"exponent": -1 / slope, "examples": math.exp(intercept + slope * math.log(target))})


def mean_slope(examples, errors, target):
    x, y = np.log(examples), np.log(errors)
    slope = (np.diff(y) / np.diff(x)).mean()
    return floats({"exponent": -slope, "examples": np.exp(x.mean() + (np.log(target) - y.mean()) / slope)})


def origin(examples, errors, target):
    x, y = np.log(examples), np.log(errors)
    slope = (x * y).sum() / (x * x).sum()
    return floats({"exponent": -slope, "examples": target ** (1 / slope)})


def changed(**entries):
    """Right but for these entries, each from (right answer, examples, errors, target)."""
    return lambda n, e, t: (
        needed_float(n, e, t) | {name: float(make(needed_float(n, e, t), n, e, t)) for name, make in entries.items()}
    )


# ---- outlook.spend


def spend(parameters, examples=None):
    return {"parameters": parameters, "examples": 1e12 / 6 / parameters if examples is None else examples}


BANK = {
    "outlook.bind": (
        {"cross-entropy": bind, "loops": bind_loop, "masked, in float64": bind_masked},
        {
            "others look for texts": (lambda *x: bind(*x, ways=(2, 0)), "one direction"),
            "texts look for others": (lambda *x: bind(*x, ways=(0, 2)), "one direction"),
            "both added": (lambda *x: bind(*x, ways=(2, 2)), "no half"),
            "all pairs": (bind_all, "others paired"),
            "own lengths": (bind_lengths, "not normalised"),
            "lengths of columns": (
                lambda t, o, p, h: bind_lengths(
                    F.normalize(t, dim=0), {m: F.normalize(x, dim=0) for m, x in o.items()}, p, h
                ),
                "not normalised",
            ),
            "zeros where absent": (
                lambda t, o, p, h: sum(contrast(x * p[m][:, None], t * p[m][:, None], h) for m, x in o.items()),
                "absent asked",
                "missing",
            ),
            "zeros where one of the two is absent": (
                lambda t, o, p, h: sum(contrast(x * p[m][:, None], t, h) for m, x in o.items()),
                "absent asked",
                "missing",
            ),
            "multiplied": (lambda t, o, p, h: bind(t, o, p, 1 / h), "temperature"),
            "no temperature": (lambda t, o, p, h: bind(t, o, p, 1.0), "no temperature"),
            "sum over examples": (bind_sum, "sum"),
            "mean over modalities": (lambda t, o, p, h: bind(t, o, p, h) / len(o), "mean of modalities"),
            "whatever stands there": (lambda t, o, p, h: bind(t, o, everybody(o), h), "absent asked", "missing"),
            "absent ones as candidates": (bind_candidates, "absent as candidates", "missing"),
            "complete examples": (bind_complete, "complete only", "missing"),
            "no question asked": (
                lambda t, o, p, h: sum(contrast(x[p[m]], t[p[m]], h) for m, x in o.items()),
                "nobody",
                "missing",
            ),
            "detached": (lambda t, o, p, h: bind(t.detach(), o, p, h), "gradient", "gradients"),
            "the library's": (bind_with_the_library, "borrowed"),
        },
    ),
    "outlook.worlds": (
        {
            "counted": BITS,
            "three decimals": {k: round(v, 3) for k, v in BITS.items()},
            "tensors": {k: torch.tensor(v) for k, v in BITS.items()},
        },
        {
            "two of three": (BITS | {"parity, two": 2 / 3}, "share", "parity"),
            "half a bit of parity": (BITS | {"parity, two": 0.5}, "something", "parity"),
            "three bits": (BITS | {"parity, three": 3.0}, "whole", "parity"),
            "guesses": (BITS | {"all, one": 0.75}, "accuracy", "all"),
            "a third": (BITS | {"all, one": 1 / 3}, "share", "all"),
            "nothing": (BITS | {"all, one": 0.0}, "nothing", "all"),
            "nats": (BITS | {"all, one": BITS["all, one"] * math.log(2)}, "nats", "all"),
            "the rest": (BITS | {"all, two": 0.25}, "still open", "all"),
            "twice one": (BITS | {"all, two": 2 * BITS["all, one"]}, "added", "all"),
            "two settle it": (BITS | {"all, two": 1.0}, "settled", "all"),
            "the switch tells": (BITS | {"switch, x3": 0.5}, "something", "switch"),
            "switch and guesses": (BITS | {"switch, x1 and x3": 0.75}, "accuracy", "switch"),
            "x1 alone": (BITS | {"switch, x1 and x3": by_counting(switch, (0,))}, "added", "switch"),
            "not three decimals": (BITS | {"all, one": 0.2}, "value", "all"),
        },
    ),
    "outlook.beyond": (
        {"one function for four tables": beyond, "entropies in float64": beyond_entropies, "loops": beyond_loop},
        {
            "nats": (lambda p: beyond(p, lambda t: told(t, torch.log)), "nats"),
            "best single": (lambda p: told(p.flatten(0, 2)) - max(of_singles(p)), "singles"),
            "total": (lambda p: told(p.flatten(0, 2)), "total"),
            "all pairs taken off": (lambda p: beyond(p, best=sum), "all pairs"),
            "worst pair": (lambda p: beyond(p, best=min), "smallest pair"),
            "a pair forgotten": (lambda p: beyond(p, best=lambda some: max(some[:2])), "smallest pair"),
            "mean pair": (lambda p: beyond(p, best=lambda some: sum(some) / 3), "mean pair"),
            "y is first": (lambda p: beyond(p.permute(1, 2, 3, 0)), "other axis"),
            "no care for zeros": (lambda p: beyond(p, naive), "zeros", "zeros"),
            "a small constant above the fraction bar alone": (
                lambda p: beyond(p, lambda t: ((t + 1e-6) * ((t + 1e-6) / (t.sum(1, True) * t.sum(0))).log2()).sum()),
                "zeros",
                "zeros",
            ),
            "alternating": (
                lambda p: told(p.flatten(0, 2)) - sum(of_pairs(p)) + sum(of_singles(p)),
                "co-information",
            ),
            "best pair": (lambda p: max(of_pairs(p)), "pair itself"),
            "negative": (lambda p: -beyond(p), "sign"),
            "entropy of y": (
                lambda p: (
                    -torch.special.xlogy(p.sum((0, 1, 2)), p.sum((0, 1, 2))).sum() / math.log(2) - max(of_pairs(p))
                ),
                "conditional",
            ),
            "the library's": (lambda p: mutual_information(p.flatten(0, 2).numpy()), "borrowed"),
        },
    ),
    "outlook.scaling": (
        {"if": step, "where": step_where, "float64": step_float64, "Python numbers": step_loop},
        {
            "scale forgotten": (stepping(lambda w, g, r, s: w - r * g.float()), "not unscaled"),
            "divided in half": (stepping(lambda w, g, r, s: w - r * (g / s).float()), "unscaled in half", "small"),
            "half weights come back": (stepping(lambda w, g, r, s: (w - r * g.float() / s).half()), "half weights"),
            "weights in half": (stepping(lambda w, g, r, s: w.half() - r * g.float() / s), "half weights", "small"),
            "through half and back": (
                stepping(lambda w, g, r, s: (w.half() - (r * g.float() / s).half()).float()),
                "half weights",
                "small",
            ),
            "no look": (lambda w, g, r, s: (w - r * g.float() / s, s), "not skipped", "overflow"),
            "zeros for bad ones": (
                lambda w, g, r, s: step(w, torch.where(g.isfinite(), g, 0), r, s),
                "part of a step",
                "overflow",
            ),
            "scale stays": (stepping(new=lambda s: s), "scale stays", "overflow"),
            "scale doubled": (stepping(new=lambda s: 2 * s), "scale up", "overflow"),
            "always halved": (lambda w, g, r, s: (step(w, g, r, s)[0], s / 2), "always halved"),
            "uphill": (stepping(lambda w, g, r, s: w + r * g.float() / s), "uphill"),
            "multiplied": (stepping(lambda w, g, r, s: w - r * g.float() * s), "scaled twice"),
            "only NaN": (
                stepping(lambda w, g, r, s: w - r * g.float() / s, bad=lambda g: g.isnan().any()),
                "not skipped",
                "overflow",
            ),
            "only infinity": (
                stepping(lambda w, g, r, s: w - r * g.float() / s, bad=lambda g: g.isinf().any()),
                "not skipped",
                "overflow",
            ),
            "in place": (
                lambda w, g, r, s: (w.sub_(r * g.float() / s) if g.isfinite().all() else w, step(w, g, r, s)[1]),
                "in place",
            ),
            "weights alone": (lambda *x: step(*x)[0], "no pair"),
        },
    ),
    "outlook.shards": (
        {"a sum of shares": combined, "einsum in float64": combined_einsum, "running mean": combined_running},
        {
            "mean of workers": (weighed(lambda n, c: 1 / sum(k > 0 for k in c)), "plain mean"),
            "sum": (weighed(lambda n, c: 1.0), "sum"),
            "not divided": (weighed(lambda n, c: n), "weighted sum"),
            "by workers": (weighed(lambda n, c: n / len(c)), "by workers"),
            "other way": (weighed(lambda n, c: (sum(c) - n) / sum(c)), "other way"),
            "the largest": (weighed(lambda n, c: float(n == max(c))), "largest"),
            "weighed with zero": (
                lambda g, c: {k: sum(n * one[k] for one, n in zip(g, c)) / sum(c) for k in g[0]},
                "empty",
                "empty",
            ),
            "biases only": (bias_alone, "bias alone"),
            "squares": (weighed(lambda n, c: n**2 / sum(k**2 for k in c)), "squares"),
            "a list": (lambda g, c: list(combined(g, c).values()), "type"),
            "in place": (
                lambda g, c: {k: v.mul_(c[0] / sum(c)) for k, v in g[0].items()},
                "in place",
            ),
        },
    ),
    "outlook.doubt": (
        {
            "exponentials": doubting,
            "expm1 in float64": doubting_expm1,
            "loops": doubting_loop,
            "cross-entropies": doubting_cross_entropy,
        },
        {
            "rows alone": (rows_alone, "one direction"),
            "columns alone": (lambda s, q: rows_alone(s.T, q), "one direction"),
            "both added": (lambda s, q: 2 * doubting(s, q), "no half"),
            "not divided": (lambda s, q: doubting(s, q) * (q or 1), "not divided"),
            "plain cross-entropy": (lambda s, q: doubting(s, 0), "cross-entropy"),
            "one minus p": (lambda s, q: doubting(s, 1), "absolute"),
            "power of the logarithm": (doubting_by(lambda p, q: (-p.log()) ** q), "power outside"),
            "power of the loss": (doubting_by(lambda p, q: (1 - p) ** q / q), "power outside"),
            "sum": (lambda s, q: doubting(s, q) * len(s), "sum"),
            "all entries": (all_entries, "all entries"),
            "negative": (lambda s, q: -doubting(s, q), "sign"),
            "sigmoid": (
                lambda s, q: ((1 - s.diagonal().sigmoid() ** q) / q).mean() if q else doubting(s, q),
                "no softmax",
            ),
            "no case for 0": (
                lambda s, q: ((1 - (q * torch.cat(log_p(s))).exp()) / torch.tensor(q)).mean(),
                "limit",
                "limit",
            ),
            "powers": (doubting_by(lambda p, q: (1 - p**q) / q), "nan gradient", "gradients"),
            "a number": (lambda s, q: doubting(s, q).item(), "gradient", "gradients"),
        },
    ),
    "outlook.curve": (
        {"polyfit": needed_float, "sums, logarithms to base ten": needed_sums, "lstsq, to base two": needed_lstsq},
        {
            "negative exponent": (changed(exponent=lambda r, *_: -r["exponent"]), "sign", "exponent"),
            "first and last": (ends, "ends"),
            "plain axes": (line(plain, plain, plain), "no logarithms"),
            "only examples": (line(np.log, plain, np.exp), "one logarithm"),
            "only errors": (line(plain, np.log, plain), "one logarithm"),
            "other way round": (exchanged, "roles exchanged"),
            "mean of slopes": (mean_slope, "mean of slopes"),
            "through the origin": (origin, "through zero"),
            "a logarithm": (
                changed(examples=lambda r, *_: math.log(r["examples"])),
                "still a logarithm",
                "examples",
            ),
            "two bases": (
                changed(examples=lambda r, *_: math.exp(math.log10(r["examples"]))),
                "still a logarithm",
                "examples",
            ),
            "from the last point": (
                changed(examples=lambda r, n, e, t: n[-1] * (e[-1] / t) ** (1 / r["exponent"])),
                "last point",
                "examples",
            ),
            "not inverted": (
                changed(examples=lambda r, n, e, t: (r["examples"] ** r["exponent"]) ** r["exponent"]),
                "upside down",
                "examples",
            ),
            "how many more": (changed(examples=lambda r, n, e, t: r["examples"] - n[-1]), "more", "examples"),
            "a pair": (lambda *x: tuple(needed_float(*x).values()), "no dict"),
            "b alone": (lambda *x: {"exponent": needed_float(*x)["exponent"]}, "missing", "examples"),
        },
    ),
    "outlook.spend": (
        {
            "the best": spend(50_771.3),
            "whole numbers": {"parameters": 50_000, "examples": 3_333_333},
            "on the smaller side": spend(36_000.0),
            "tensors": {k: torch.tensor(v) for k, v in spend(60_000.0).items()},
        },
        {
            "as many as examples": (spend(408_248.0), "too large"),
            "a million": (spend(1_000_000), "too large"),
            "a thousand": (spend(1_000), "too small"),
            "ten": (spend(10), "too small"),
            "six forgotten": (spend(50_000, 1e12 / 50_000), "forgotten six"),
            "both large": (spend(1_000_000, 1_000_000_000), "budget"),
            "a tenth": (spend(50_000, 333_333), "left over"),
            "three quarters": (spend(50_000, 2_500_000), "left over"),
            "in millions": (spend(0.05, 3.3), "numbers"),
            "texts": (spend("50k", "3.3M"), "numbers"),
            "one of them": ({"parameters": 50_000}, "entries"),
            "a pair": ((50_000, 3_333_333), "no dict"),
        },
    ),
}
