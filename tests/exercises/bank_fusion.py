"""Right and wrong answers to the tasks of chapter 03."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from mmteach.fusion import GatedFusion

# ---- fusion.gated


class Gated(nn.Module):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__()
        self.gate, self.image, self.out = nn.Linear(text_dim, dim), nn.Linear(image_dim, dim), nn.Linear(dim, dim)

    def forward(self, image, text):
        return self.fuse(self.gate(text), self.image(image))

    def fuse(self, gate, image):
        return self.out(gate.sigmoid() * image)


def gated(fuse):
    """A Gated whose last step is another one: fuse(self, what the text computes, the projected image)."""
    return type("Gated", (Gated,), {"fuse": fuse})


class GatedByHand(nn.Module):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__()
        # Another order, parameters in a loop.
        for name, width in (("out", dim), ("image", image_dim), ("gate", text_dim)):
            layer = nn.Module()
            layer.bias, layer.weight = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim, width))
            self.add_module(name, layer)

    def forward(self, image, text):
        g = 1 / (1 + torch.exp(-(torch.einsum("bt,dt->bd", text, self.gate.weight) + self.gate.bias)))
        h = torch.einsum("bi,di->bd", image, self.image.weight) + self.image.bias
        return torch.einsum("bd,ed->be", g * h, self.out.weight) + self.out.bias


class GatedInFloat64(Gated):
    def fuse(self, gate, image):
        product = torch.sigmoid(gate.double()) * image.double()
        return product @ self.out.weight.double().T + self.out.bias


class GatedRowByRow(Gated):
    def forward(self, image, text):
        return torch.stack([super(GatedRowByRow, self).forward(i, t) for i, t in zip(image, text)])


class GatedSwapped(Gated):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__(text_dim, image_dim, dim)

    def forward(self, image, text):
        return self.fuse(self.gate(image), self.image(text))


class GatedBorrowed(nn.Module):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__()
        fusion = GatedFusion({"text": text_dim, "image": image_dim}, dim)
        self.gate, self.image, self.out = fusion.maps["text"], fusion.maps["image"], fusion.out
        self.fusion = [fusion]

    def forward(self, image, text):
        return self.fusion[0]({"text": text, "image": image})


# ---- fusion.count

COUNTS = {"convolutions": 370_816, "embedding": 320_000, "lstm": 33_280, "first dense": 1_187_968, "all": 1_920_385}

# ---- fusion.bce


def bce(a, y):
    return -(y * F.logsigmoid(a) + (1 - y) * F.logsigmoid(-a)).mean()


def bce_softplus(a, y):
    return (F.softplus(a) - y * a).sum() / len(a)


def bce_logaddexp(a, y):
    return torch.logaddexp(torch.zeros_like(a, dtype=torch.float64), -(2 * y.double() - 1) * a.double()).mean()


def naive(a, y):
    p = torch.sigmoid(a)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def clamped(a, y):
    p = torch.sigmoid(a).clamp(1e-7, 1 - 1e-7)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


# ---- fusion.auc


def auc(s, y):
    p, q = s[y == 1], s[y == 0]
    return ((p[:, None] > q).float() + 0.5 * (p[:, None] == q)).mean()


def auc_loop(s, y):
    won = pairs = 0
    for i in range(len(s)):
        for j in range(len(s)):
            if y[i] == 1 and y[j] == 0:
                pairs += 1
                won += 1 if s[i] > s[j] else 0.5 if s[i] == s[j] else 0
    return won / pairs


def auc_ranks(s, y):
    """Through mean ranks, as Mann and Whitney do."""
    ranks = (s[:, None] > s).sum(1) + ((s[:, None] == s).sum(1) + 1) / 2
    n = (y == 1).sum()
    return ((ranks[y == 1].sum() - n * (n + 1) / 2) / (n * (len(y) - n))).item()


def auc_of_neighbours(s, y):
    p, q = s[y == 1], s[y == 0]
    n = min(len(p), len(q))
    return (p[:n] > q[:n]).float().mean()


# ---- fusion.choose


def reported(history):
    best = max(range(len(history)), key=lambda e: history[e]["valid_auc"])
    return {"epoch": best + 1, "auc": history[best]["test_auc"]}


def reported_tensors(history):
    areas = torch.tensor([[row["valid_auc"], row["test_auc"]] for row in history], dtype=torch.float64)
    best = areas[:, 0].argmax()
    return {"epoch": best + 1, "auc": areas[best, 1]}


def reported_sorted(history):
    numbered = sorted(enumerate(history, start=1), key=lambda pair: -pair[1]["valid_auc"])
    epoch, row = numbered[0]
    return {"auc": row["test_auc"], "epoch": epoch}


def chosen(epoch, figure=None):
    """By a rule for the epoch and, where given, another for the figure."""

    def answer(history):
        e = epoch(history)
        return {"epoch": e + 1, "auc": history[e]["test_auc"] if figure is None else figure(history, e)}

    return answer


def arg(name, sign=1):
    return lambda history: max(range(len(history)), key=lambda e: sign * history[e][name])


# ---- fusion.tensor


def with_one(x):
    return torch.cat([torch.ones(len(x), 1), x], 1)


def outer(image, text):
    return (with_one(image)[:, :, None] * with_one(text)[:, None]).flatten(1)


def outer_loop(image, text):
    rows = []
    for x, y in zip(image, text):
        a, b = [torch.ones(()), *x], [torch.ones(()), *y]
        rows.append(torch.stack([p * q for p in a for q in b]))
    return torch.stack(rows)


def outer_float64(image, text):
    return torch.einsum(
        "bi,bj->bij", F.pad(image.double(), (1, 0), value=1.0), F.pad(text.double(), (1, 0), value=1.0)
    ).reshape(len(image), -1)


# ---- fusion.drop


def keep(draws, p):
    kept = draws >= p
    return kept | (~kept.any(1, keepdim=True) & (draws == draws.amax(1, keepdim=True)))


def keep_loop(draws, p):
    rows = []
    for row in draws.tolist():
        kept = [d >= p for d in row]
        if not any(kept):
            kept[row.index(max(row))] = True
        rows.append(kept)
    return torch.tensor(rows)


def keep_where(draws, p):
    kept = draws.double() >= p
    return torch.where(kept.any(1, keepdim=True), kept, F.one_hot(draws.argmax(1), draws.shape[1]).bool())


def saving(place):
    def answer(draws, p):
        kept = draws >= p
        return kept | (~kept.any(1, keepdim=True) & F.one_hot(place(draws), draws.shape[1]).bool())

    return answer


# ---- fusion.weights


def fuse(x, s, present):
    w = s.masked_fill(~present, -torch.inf).softmax(1)
    return (w[..., None] * x).sum(1)


def fuse_loop(x, s, present):
    return torch.stack([s[i][present[i]].softmax(0) @ x[i][present[i]] for i in range(len(x))])


def fuse_float64(x, s, present):
    s = torch.where(present, s.double(), -1e300)
    e = torch.exp(s - s.amax(1, keepdim=True))
    return torch.einsum("bm,bmd->bd", e / e.sum(1, keepdim=True), x.double())


def weighted(make):
    return lambda x, s, present: (make(s, present)[..., None] * x).sum(1)


def by_exponentials(s, present):
    e = s.exp() * present
    return e / e.sum(1, keepdim=True)


BANK = {
    "fusion.gated": (
        {
            "three linear layers": Gated,
            "einsum, other order of layers": GatedByHand,
            "float64": GatedInFloat64,
            "row by row": GatedRowByRow,
        },
        {
            "no sigmoid": (gated(lambda self, g, h: self.out(g * h)), "no sigmoid"),
            "softmax": (gated(lambda self, g, h: self.out(g.softmax(1) * h)), "softmax"),
            "softmax over the batch": (gated(lambda self, g, h: self.out(g.softmax(0) * h)), "rows mix"),
            "product only": (gated(lambda self, g, h: g.sigmoid() * h), "no output layer"),
            "sum": (gated(lambda self, g, h: self.out(g.sigmoid() + h)), "sum"),
            "tanh": (gated(lambda self, g, h: self.out(g.tanh() * h)), "tanh"),
            "other way round": (gated(lambda self, g, h: self.out((1 - g.sigmoid()) * h)), "half closed"),
            "around the gate": (gated(lambda self, g, h: self.out(h + g.sigmoid() * h)), "residual"),
            "gate at the end": (gated(lambda self, g, h: g.sigmoid() * self.out(h)), "gate after"),
            "the image gates the text": (gated(lambda self, g, h: self.out(h.sigmoid() * g)), "gate on text"),
            "dimensions swapped": (GatedSwapped, "parameters"),
            "detached gate": (gated(lambda self, g, h: self.out(g.sigmoid().detach() * h)), "gradient", "gradients"),
            "the library's": (GatedBorrowed, "borrowed"),
            "an instance": (Gated(4, 3, 2), "raises"),
        },
    ),
    "fusion.count": (
        {
            "by hand": COUNTS,
            "floats": {k: float(v) for k, v in COUNTS.items()},
            "tensors": {k: torch.tensor(v) for k, v in COUNTS.items()},
        },
        {
            "convolutions without biases": (COUNTS | {"convolutions": 370_368}, "no biases", "convolutions"),
            "grey pictures": (COUNTS | {"convolutions": 369_664}, "grey", "convolutions"),
            "10,000 words": (COUNTS | {"embedding": 640_000}, "transposed sizes", "embedding"),
            "as in Keras": (COUNTS | {"lstm": 33_024}, "one bias", "lstm"),
            "three gates": (COUNTS | {"lstm": 24_960}, "one gate", "lstm"),
            "input only": (COUNTS | {"lstm": 16_640}, "no state", "lstm"),
            "with padding": (COUNTS | {"first dense": (256 * 64 + 65) * 128}, "same padding", "first dense"),
            "without pools": (COUNTS | {"first dense": (256 * 58**2 + 65) * 128}, "no pools", "first dense"),
            "picture alone": (COUNTS | {"first dense": (256 * 36 + 1) * 128}, "no text", "first dense"),
            "one channel": (COUNTS | {"first dense": (36 + 65) * 128}, "no channels", "first dense"),
            "224 pixels": (COUNTS | {"first dense": (256 * 26**2 + 65) * 128}, "wrong picture", "first dense"),
            "without the head": (COUNTS | {"all": COUNTS["all"] - 129 * 64 - 65}, "no head", "all"),
            "an entry too few": ({k: v for k, v in COUNTS.items() if k != "all"}, "missing", "all"),
        },
    ),
    "fusion.bce": (
        {"log sigmoid": bce, "softplus": bce_softplus, "logaddexp in float64": bce_logaddexp},
        {
            "naive": (naive, "overflow", "extremes"),
            "one plus exponential": (
                lambda a, y: torch.log(1 + torch.exp(-(2 * y - 1) * a)).mean(),
                "overflow",
                "extremes",
            ),
            "clamped": (clamped, "clamped", "extremes"),
            "sum": (lambda a, y: bce(a, y) * len(a), "sum"),
            "negative": (lambda a, y: -bce(a, y), "other sign"),
            "ones only": (lambda a, y: -(y * F.logsigmoid(a)).mean(), "only ones"),
            "zeros only": (lambda a, y: -((1 - y) * F.logsigmoid(-a)).mean(), "only zeros"),
            "labels exchanged": (lambda a, y: bce(a, 1 - y), "swapped"),
            "sigmoid twice": (lambda a, y: bce(a.sigmoid(), y), "probabilities"),
            "bits": (lambda a, y: bce(a, y) / math.log(2), "bits"),
            "hinge": (lambda a, y: F.relu(1 - (2 * y - 1) * a).mean(), "hinge"),
            "squared error": (lambda a, y: (a.sigmoid() - y).square().mean(), "squared"),
            "no mean": (lambda a, y: -(y * F.logsigmoid(a) + (1 - y) * F.logsigmoid(-a)), "each"),
            "a Python number": (lambda a, y: bce(a, y).item(), "gradient", "gradients"),
        },
    ),
    "fusion.auc": (
        {"all pairs at once": auc, "two loops": auc_loop, "ranks": auc_ranks},
        {
            "ties lost": (lambda s, y: (s[y == 1][:, None] > s[y == 0]).float().mean(), "ties lost", "ties"),
            "ties won": (lambda s, y: (s[y == 1][:, None] >= s[y == 0]).float().mean(), "ties won", "ties"),
            "the other way": (lambda s, y: 1 - auc(s, y), "inverted"),
            "accuracy": (lambda s, y: ((s > 0) == (y == 1)).float().mean(), "accuracy"),
            "all pairs there are": (lambda s, y: (s[:, None] > s).float().mean(), "all pairs"),
            "count": (lambda s, y: auc(s, y) * (y == 1).sum() * (y == 0).sum(), "not divided"),
            "recall": (lambda s, y: (s[y == 1] > 0).float().mean(), "recall"),
            "first with first": (auc_of_neighbours, "neighbours"),
            "difference of means": (lambda s, y: s[y == 1].mean() - s[y == 0].mean(), "mean scores"),
            "percent": (lambda s, y: 100 * auc(s, y), "percent"),
        },
    ),
    "fusion.choose": (
        {"largest": reported, "tensors": reported_tensors, "sorted": reported_sorted},
        {
            "on the test": (chosen(arg("test_auc")), "by the test"),
            "by the validation loss": (chosen(arg("valid_loss", -1)), "by the loss"),
            "the last": (chosen(lambda h: len(h) - 1), "last epoch"),
            "counted from zero": (lambda h: reported(h) | {"epoch": reported(h)["epoch"] - 1}, "from zero"),
            "validation's own figure": (chosen(arg("valid_auc"), lambda h, e: h[e]["valid_auc"]), "validation figure"),
            "best on the test": (chosen(arg("valid_auc"), lambda h, e: max(r["test_auc"] for r in h)), "best test"),
            "smallest area": (chosen(arg("valid_auc", -1)), "worst"),
            "one epoch later": (chosen(arg("valid_auc"), lambda h, e: h[e + 1]["test_auc"]), "one later"),
            "mean": (chosen(arg("valid_auc"), lambda h, e: sum(r["test_auc"] for r in h) / len(h)), "mean"),
            "a pair": (lambda h: tuple(reported(h).values()), "type"),
            "in place": (
                lambda h: h.sort(key=lambda r: -r["valid_auc"]) or {"epoch": 1, "auc": h[0]["test_auc"]},
                "in place",
            ),
        },
    ),
    "fusion.tensor": (
        {"outer product": outer, "loops": outer_loop, "einsum in float64": outer_float64},
        {
            "no ones": (lambda i, t: (i[:, :, None] * t[:, None]).flatten(1), "no ones"),
            "ones behind": (
                lambda i, t: (with_one(i).roll(-1, 1)[:, :, None] * with_one(t).roll(-1, 1)[:, None]).flatten(1),
                "ones behind",
            ),
            "one of the two": (lambda i, t: (with_one(i)[:, :, None] * t[:, None]).flatten(1), "one of the two"),
            "other order": (lambda i, t: outer(t, i), "other order"),
            "a table": (lambda i, t: with_one(i)[:, :, None] * with_one(t)[:, None], "table"),
            "side by side": (lambda i, t: torch.cat([with_one(i), with_one(t)], 1), "side by side"),
            "one for the batch": (lambda i, t: torch.kron(with_one(i), with_one(t)), "across examples"),
            "sums": (lambda i, t: (with_one(i)[:, :, None] + with_one(t)[:, None]).flatten(1), "sum"),
            "zeros in front": (
                lambda i, t: (F.pad(i, (1, 0))[:, :, None] * F.pad(t, (1, 0))[:, None]).flatten(1),
                "zeros",
            ),
            "detached": (lambda i, t: outer(i, t.detach()), "gradient", "gradients"),
        },
    ),
    "fusion.drop": (
        {"a comparison with the maximum": keep, "a loop": keep_loop, "where and one hot": keep_where},
        {
            "which are hidden": (lambda d, p: ~keep(d, p), "inverted"),
            "may lose all": (lambda d, p: d >= p, "all lost", "last"),
            "all come back": (lambda d, p: (d >= p) | ~(d >= p).any(1, keepdim=True), "all back", "last"),
            "the first is saved": (saving(lambda d: torch.zeros(len(d), dtype=torch.int64)), "first", "last"),
            "the smallest is saved": (saving(lambda d: d.argmin(1)), "smallest", "last"),
            "only the largest": (lambda d, p: d == d.amax(1, keepdim=True), "always the largest"),
            "one for the batch": (lambda d, p: (d >= p).any(0).expand_as(d), "whole batch"),
            "largest of all examples": (
                lambda d, p: (d >= p) | (~(d >= p).any(1, keepdim=True) & (d == d.max())),
                "largest of all",
                "last",
            ),
            "one draw for all": (lambda d, p: (d[:, :1] >= p).expand_as(d), "one draw"),
            "floats": (lambda d, p: keep(d, p).float(), "no bool"),
            "in place": (lambda d, p: keep(d.clone(), p) & d.zero_().eq(0), "in place"),
        },
    ),
    "fusion.weights": (
        {"masked softmax": fuse, "a loop": fuse_loop, "einsum in float64": fuse_float64},
        {
            "softmax over the batch": (weighted(lambda s, p: s.masked_fill(~p, -1e9).softmax(0)), "batch"),
            "absent ones count": (weighted(lambda s, p: s.softmax(1)), "absent counts", "missing"),
            "taken out afterwards": (weighted(lambda s, p: s.softmax(1) * p), "no second sum", "missing"),
            "score zero": (weighted(lambda s, p: (s * p).softmax(1)), "score zero", "missing"),
            "mean": (weighted(lambda s, p: p / p.sum(1, keepdim=True)), "mean"),
            "exponentials": (weighted(lambda s, p: s.exp() * p), "not normalised"),
            "sigmoid": (weighted(lambda s, p: s.sigmoid() * p), "sigmoid"),
            "the absent ones": (weighted(lambda s, p: s.masked_fill(p, -torch.inf).softmax(1)), "absent only"),
            "the largest": (weighted(lambda s, p: F.one_hot(s.masked_fill(~p, -torch.inf).argmax(1), 3)), "largest"),
            "by hand": (weighted(by_exponentials), "overflow", "missing"),
            "in place": (lambda x, s, p: fuse(x, s.masked_fill_(~p, -torch.inf), p), "in place", "missing"),
        },
    ),
}
