"""Right and wrong answers to the tasks of chapter 02."""

import math

import numpy as np
import torch
from torch.nn import functional as F

# ---- concepts.standardise

ALL = (0, 2, 3)


def standardise(train, test):
    train, test = train.float() / 255, test.float() / 255
    return (test - train.mean(ALL, keepdim=True)) / train.std(ALL, keepdim=True)


def standardise_bytes(train, test):
    """Without dividing by 255: it cancels."""
    x = train.double().transpose(0, 1).flatten(1)
    return (test.double() - x.mean(1).view(3, 1, 1)) / x.std(1, correction=0).view(3, 1, 1)


def standardise_loop(train, test):
    out = torch.zeros(test.shape)
    for c in range(3):
        mu, sigma = (train[:, c] / 255).mean(), (train[:, c] / 255).std()
        out[:, c] = (test[:, c] / 255 - mu) / sigma
    return out


def by(axes, of="train", divide=True, take=True):
    def answer(train, test):
        train, test = train / 255, test / 255
        x = {"train": train, "test": test, "both": torch.cat([train, test])}[of]
        mean = x.mean(axes, keepdim=True) if take else 0
        return (test - mean) / (x.std(axes, keepdim=True, correction=0) if divide else 1)

    return answer


# ---- concepts.pad


def pad(texts, length):
    ids = torch.zeros(len(texts), length, dtype=torch.long)
    for row, text in zip(ids, texts):
        row[: len(text)] = torch.tensor(text[:length], dtype=torch.long)
    return ids, ids != 0


def pad_lists(texts, length):
    cut = [text[:length] for text in texts]
    ids = torch.tensor([text + [0] * (length - len(text)) for text in cut])
    return ids, torch.tensor([[t < len(text) for t in range(length)] for text in cut])


def pad_library(texts, length):
    rows = [torch.tensor(text, dtype=torch.long) for text in [*texts, [0] * length]]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)[:-1, :length]
    return [ids, torch.arange(length) < torch.tensor([len(text) for text in texts])[:, None]]


def pad_left(texts, length):
    ids = torch.tensor([[0] * (length - len(text)) + text[:length] for text in texts])
    return ids, ids != 0


def pad_end(texts, length):
    return pad([text[-length:] for text in texts], length)


def pad_ones(texts, length):
    ids, mask = pad(texts, length)
    return torch.where(mask, ids, 1), mask


# ---- concepts.mean


def mean(h, mask):
    return h.masked_fill(~mask[..., None], 0).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def mean_loop(h, mask):
    rows = [h[i][mask[i]].mean(0) if mask[i].any() else torch.zeros(h.shape[2]) for i in range(len(h))]
    return torch.stack(rows)


def mean_einsum(h, mask):
    weights = mask.double() / mask.sum(1, keepdim=True).clamp(min=1)
    return torch.einsum("bt,btd->bd", weights, torch.where(mask[..., None], h.double(), 0.0))


def mean_in_place(h, mask):
    h[~mask] = 0
    return mean(h, mask)


# ---- concepts.last


def last(h, mask):
    return h[torch.arange(len(h)), (torch.arange(mask.shape[1]) * mask).amax(1)]


def last_loop(h, mask):
    return torch.stack([states[real][-1] for states, real in zip(h, mask)])


def last_gather(h, mask):
    place = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
    return h.gather(1, place[:, None, None].expand(-1, 1, h.shape[2])).squeeze(1)


def at(place):
    return lambda h, mask: h[torch.arange(len(h)), place(mask)]


HEARD = {"3000": 3000, "4600": 3400, "7000": 1000, "9000": 1000, "13500": 2500}

# ---- concepts.information


def information(p):
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum() / math.log(2)


def information_loop(p):
    total = 0.0
    for x in range(p.shape[0]):
        for y in range(p.shape[1]):
            if p[x, y] > 0:
                total += p[x, y].item() * math.log2(p[x, y] / (p[x].sum() * p[:, y].sum()))
    return total


def entropy(q):
    q = np.asarray(q, dtype=float).ravel()
    return -(q[q > 0] * np.log2(q[q > 0])).sum()


def information_entropies(p):
    return float(entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p))


# ---- concepts.gap


def gap(x, y):
    return (F.normalize(x, dim=1).mean(0) - F.normalize(y, dim=1).mean(0)).norm()


def gap_loop(x, y):
    def centre(z):
        return sum(v / v.norm() for v in z) / len(z)

    return math.dist(centre(x).tolist(), centre(y).tolist())


def gap_float64(x, y):
    x, y = x.double() / x.double().square().sum(1, keepdim=True).sqrt(), y.double() / y.double().norm(dim=1)[:, None]
    return torch.einsum("d,d->", d := x.mean(0) - y.mean(0), d).sqrt()


def centres(x, y):
    return F.normalize(x, dim=1).mean(0), F.normalize(y, dim=1).mean(0)


GOOD = {"window": 256, "hop": 128, "bands": 32}


BANK = {
    "concepts.standardise": (
        {
            "as the formula": standardise,
            "255 cancels, float64": standardise_bytes,
            "a loop over colours": standardise_loop,
        },
        {
            "statistics of the test": (by(ALL, "test"), "test statistics"),
            "statistics of both": (by(ALL, "both"), "both statistics"),
            "one mean for all colours": (by((0, 1, 2, 3)), "one for all"),
            "each place": (by((0,)), "each place"),
            "each picture": (by((2, 3), "test"), "each picture"),
            "variance": (lambda a, b: standardise(a, b) / (a.float() / 255).std(ALL, keepdim=True), "variance"),
            "no spread": (by(ALL, divide=False), "no spread"),
            "no mean": (by(ALL, take=False), "no mean"),
            "255 forgotten in the picture": (
                lambda a, b: (b - (a / 255).mean(ALL, keepdim=True)) / (a / 255).std(ALL, keepdim=True),
                "mixed scales",
            ),
            "the training pictures": (lambda a, b: standardise(a, a), "training pictures"),
            "bytes": (
                lambda a, b: (b - a.float().mean(ALL, keepdim=True).round().byte()) / a.float().std(ALL, keepdim=True),
                "bytes",
            ),
            "whole numbers": (lambda a, b: (b // 255 - a // 255).float(), "raises"),
        },
    ),
    "concepts.pad": (
        {"row by row": pad, "lists": pad_lists, "the library, as a list": pad_library},
        {
            "on the left": (pad_left, "left"),
            "mask inverted": (lambda t, n: (pad(t, n)[0], ~pad(t, n)[1]), "mask inverted"),
            "all real": (lambda t, n: (pad(t, n)[0], torch.ones(len(t), n, dtype=torch.bool)), "all real"),
            "the last words": (pad_end, "the end", "long"),
            "padded with 1": (pad_ones, "ones"),
            "to the longest": (lambda t, n: pad(t, max(map(len, t))), "longest"),
            "mask one too long": (
                lambda t, n: (pad(t, n)[0], torch.arange(n) <= pad(t, n)[1].sum(1, keepdim=True)),
                "one off",
            ),
            "mask of floats": (lambda t, n: (pad(t, n)[0], pad(t, n)[1].float()), "mask no bool"),
            "floats": (lambda t, n: (pad(t, n)[0].float(), pad(t, n)[1]), "ids no int"),
            "no mask": (lambda t, n: pad(t, n)[0], "no pair"),
            "long texts are not cut": (lambda t, n: pad(t, max(n, *map(len, t), 0)), "longest", "long"),
            "empty texts forgotten": (lambda t, n: pad([x for x in t if x], n), "shape", "empty"),
        },
    ),
    "concepts.mean": (
        {"masked fill": mean, "a loop": mean_loop, "einsum in float64": mean_einsum},
        {
            "plain mean": (lambda h, m: h.mean(1), "plain mean"),
            "divided by T": (lambda h, m: h.masked_fill(~m[..., None], 0).mean(1), "all steps"),
            "sum": (lambda h, m: h.masked_fill(~m[..., None], 0).sum(1), "sum"),
            "inverted": (lambda h, m: mean(h, ~m), "padding"),
            "multiplied": (
                lambda h, m: (h * m[..., None]).sum(1) / m.sum(1, keepdim=True).clamp(min=1),
                "multiplied",
                "rubbish",
            ),
            "no guard": (
                lambda h, m: h.masked_fill(~m[..., None], 0).sum(1) / m.sum(1, keepdim=True),
                "divided by zero",
                "empty",
            ),
            "one count for all": (lambda h, m: h.masked_fill(~m[..., None], 0).sum(1) / m.sum(), "whole batch"),
            "over the vector": (lambda h, m: h.mean(2), "other axis"),
            "maximum": (lambda h, m: h.masked_fill(~m[..., None], -torch.inf).amax(1), "maximum"),
            "the last step": (lambda h, m: h[:, -1], "last step"),
            "count plus one": (
                lambda h, m: h.masked_fill(~m[..., None], 0).sum(1) / (m.sum(1, keepdim=True) + 1),
                "one too many",
            ),
            "in place": (mean_in_place, "in place"),
        },
    ),
    "concepts.last": (
        {"largest place": last, "a loop": last_loop, "gather": last_gather},
        {
            "the very last": (lambda h, m: h[:, -1], "padding"),
            "counted from one": (at(lambda m: m.sum(1)), "one too far"),
            "one too early": (at(lambda m: (torch.arange(6) * m).amax(1) - 1), "one too early"),
            "first True": (at(lambda m: m.int().argmax(1)), "first"),
            "by the count": (at(lambda m: m.sum(1) - 1), "count", "left"),
            "mean": (mean, "mean"),
            "maximum": (lambda h, m: h.masked_fill(~m[..., None], -torch.inf).amax(1), "maximum"),
            "sum": (lambda h, m: (h * m[..., None]).sum(1), "sum"),
            "one place for all": (lambda h, m: h[:, m.sum(1)[0] - 1], "same place"),
            "a padded step": (at(lambda m: (torch.arange(6) * ~m).amax(1)), "inverted"),
            "the first padded step": (at(lambda m: (~m).int().argmax(1)), "inverted"),
            "an axis too many": (lambda h, m: last(h, m)[:, None], "shape"),
        },
    ),
    "concepts.alias": (
        {
            "predicted": HEARD,
            "floats": {k: float(v) for k, v in HEARD.items()},
            "measured": {k: torch.tensor(v) for k, v in HEARD.items()},
        },
        {
            "as they are": (HEARD | {"4600": 4600}, "unchanged", "above"),
            "minus the rate only": (HEARD | {"13500": 5500}, "not folded", "above"),
            "negative": (HEARD | {"9000": -1000}, "negative", "above"),
            "mirrored at half the rate": (HEARD | {"7000": 3000}, "half rate", "above"),
            "clipped": (HEARD | {"7000": 4000, "9000": 4000}, "clipped", "above"),
            "silent": (HEARD | {"4600": 0}, "silent", "above"),
            "low tones mirrored": (HEARD | {"3000": 5000}, "sampled low", "below"),
            "kilohertz": ({k: v / 1000 for k, v in HEARD.items()}, "kilohertz", "below", "above"),
            "one rate, no mirror": (HEARD | {"13500": 5500.0, "9000": 1000}, "not folded", "above"),
            "mirrored without the rate": (HEARD | {"13500": -5500}, "negative", "above"),
            "a tone too few": ({k: v for k, v in HEARD.items() if k != "9000"}, "missing", "above"),
            "not said": (HEARD | {"4600": None}, "unanswered", "above"),
        },
    ),
    "concepts.window": (
        {
            "256, 128, 32": GOOD,
            "the shortest": {"window": 229, "hop": 96, "bands": 24},
            "the longest": {"window": 320, "hop": 128, "bands": 32},
        },
        {
            "window too short": (GOOD | {"window": 200, "hop": 100}, "tones"),
            "window too long": (GOOD | {"window": 512}, "clicks"),
            "no overlap": (GOOD | {"hop": 256}, "overlap"),
            "hop too long": (GOOD | {"window": 320, "hop": 150}, "hop"),
            "too few bands": (GOOD | {"bands": 16}, "few bands"),
            "over the budget": (GOOD | {"hop": 64}, "budget"),
            "too many bands": (GOOD | {"bands": 64}, "budget"),
            "an entry too few": ({"window": 256, "hop": 128}, "entries"),
            "halves": (GOOD | {"hop": 127.5}, "whole numbers"),
            "a list": ([256, 128, 32], "no dict"),
        },
    ),
    "concepts.information": (
        {"xlogy": information, "a loop": information_loop, "three entropies in NumPy": information_entropies},
        {
            "natural logarithm": (lambda p: information(p) * math.log(2), "nats"),
            "zeros": (lambda p: (p * (p / (p.sum(1, keepdim=True) * p.sum(0))).log2()).sum(), "zeros", "zeros"),
            "entropy of the pair": (lambda p: float(entropy(p)), "joint entropy"),
            "both entropies": (lambda p: float(entropy(p.sum(0)) + entropy(p.sum(1))), "sum of entropies"),
            "what is still open": (lambda p: float(entropy(p) - entropy(p.sum(1))), "conditional"),
            "exchanged": (lambda p: (q := p.sum(1, keepdim=True) * p.sum(0)).mul((q / p).log2()).sum(), "other way"),
            "no weights": (
                lambda p: (p / (p.sum(1, keepdim=True) * p.sum(0))).clamp(min=1e-30).log2().mul(p > 0).sum(),
                "unweighted",
            ),
            "one margin": (lambda p: (p * (p / p.sum(1, keepdim=True)).clamp(min=1e-30).log2()).sum(), "one margin"),
            "base ten": (lambda p: information(p) * math.log10(2), "ten"),
            "entropy of y": (lambda p: float(entropy(p.sum(0))), "entropy"),
            "a table": (lambda p: torch.xlogy(p, p), "type"),
        },
    ),
    "concepts.gap": (
        {"normalised": gap, "a loop": gap_loop, "einsum in float64": gap_float64},
        {
            "not normalised": (lambda x, y: (x.mean(0) - y.mean(0)).norm(), "not normalised"),
            "means normalised": (
                lambda x, y: (F.normalize(x.mean(0), dim=0) - F.normalize(y.mean(0), dim=0)).norm(),
                "normalised means",
            ),
            "distance of pairs": (
                lambda x, y: (F.normalize(x, dim=1) - F.normalize(y, dim=1)).norm(dim=1).mean(),
                "pair distances",
            ),
            "square": (lambda x, y: gap(x, y) ** 2, "squared"),
            "over the examples": (
                lambda x, y: (F.normalize(x, dim=0).mean(0) - F.normalize(y, dim=0).mean(0)).norm(),
                "wrong axis",
            ),
            "sums": (lambda x, y: gap(x, y) * len(x), "sum"),
            "absolute values": (lambda x, y: (centres(x, y)[0] - centres(x, y)[1]).abs().sum(), "absolute"),
            "the vector": (lambda x, y: centres(x, y)[0] - centres(x, y)[1], "no length"),
            "cosine": (lambda x, y: F.cosine_similarity(*centres(x, y), dim=0), "cosine"),
            "largest number": (lambda x, y: (centres(x, y)[0] - centres(x, y)[1]).abs().max(), "largest"),
            "in place": (lambda x, y: gap(x.div_(x.norm(dim=1, keepdim=True)), y), "in place"),
        },
    ),
}
