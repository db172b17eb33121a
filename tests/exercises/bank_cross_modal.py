"""Right and wrong answers to the tasks of chapter 04."""

import math
from collections import Counter

import torch
from torch.nn import functional as F

from mmteach.alignment import clip_loss, siglip_loss, triplet_loss
from mmteach.generation import beam_search
from mmteach.metrics import bleu as corpus_bleu
from mmteach.metrics import median_rank, recall_at_k

# ---- cross_modal.recall


def found(scores, k):
    rank = (scores >= scores.diagonal()[:, None]).sum(1)
    return {"recall": (rank <= k).float().mean(), "median rank": rank.double().quantile(0.5)}


def found_loop(scores, k):
    ranks = []
    for q, row in enumerate(scores.tolist()):
        ranks.append(1 + sum(s >= row[q] for j, s in enumerate(row) if j != q))
    ranks.sort()
    middle = (ranks[(len(ranks) - 1) // 2] + ranks[len(ranks) // 2]) / 2
    return {"median rank": middle, "recall": sum(r <= k for r in ranks) / len(ranks)}


def found_sorted(scores, k):
    """Ascending, so that of equal scores the last place in the list is the worst one in the ranking."""
    ordered = scores.double().sort(1).values
    right = scores.double().diagonal()[:, None].contiguous()
    ranks = scores.shape[1] - torch.searchsorted(ordered, right, right=False).squeeze(1)
    return {"recall": (ranks <= k).double().mean().item(), "median rank": ranks.double().median().item() if len(ranks) % 2
            else ranks.double().sort().values[len(ranks) // 2 - 1 : len(ranks) // 2 + 1].mean().item()}  # fmt: skip


def ranked(rank, inside=lambda r, k: (r <= k).float().mean(), middle=lambda r: r.double().quantile(0.5)):
    """By another rule for the places, for who counts, or for the middle."""

    def answer(scores, k):
        r = rank(scores)
        return {"recall": inside(r, k), "median rank": middle(r)}

    return answer


def places(scores):
    return (scores >= scores.diagonal()[:, None]).sum(1)


def columns(scores):
    square = scores[:, : len(scores)]
    return (square >= square.diagonal()).sum(0)


def half(scores):
    right = scores.diagonal()[:, None]
    return (scores > right).sum(1) + ((scores == right).sum(1) + 1) / 2


# ---- cross_modal.cca


def root(S, power=-0.5):
    values, vectors = torch.linalg.eigh(S)
    return vectors @ torch.diag(values**power) @ vectors.T


def cca(x, y, ridge, *, centre=True, count=None, powers=(-0.5, -0.5), grow=torch.eye):
    if centre:
        x, y = x - x.mean(0), y - y.mean(0)
    n = count or len(x) - 1
    Sxx, Syy = (z.T @ z / n + ridge * grow(z.shape[1]) for z in (x, y))
    return torch.linalg.svdvals(root(Sxx, powers[0]) @ (x.T @ y / n) @ root(Syy, powers[1]))


def half_root(S):
    values, vectors = torch.linalg.eigh(S)
    return vectors @ torch.diag(values**-0.5)


def cca_half(x, y, ridge):
    x, y = x - x.mean(0), y - y.mean(0)
    n = len(x) - 1
    wx, wy = (half_root(z.T @ z / n + ridge * torch.eye(z.shape[1])) for z in (x, y))
    return torch.linalg.svdvals(wx @ (x.T @ y / n) @ wy)


def cca_cholesky(x, y, ridge):
    x, y = (z.double() - z.double().mean(0) for z in (x, y))
    n = len(x) - 1
    Lx, Ly = (torch.linalg.cholesky(z.T @ z / n + ridge * torch.eye(z.shape[1]).double()) for z in (x, y))
    T = torch.linalg.inv(Lx) @ (x.T @ y / n) @ torch.linalg.inv(Ly).T
    return torch.linalg.svdvals(T)


def cca_eigenvalues(x, y, ridge):
    """The squares of the correlations are eigenvalues of Sxx⁻¹ Sxy Syy⁻¹ Syx."""
    joint = torch.cov(torch.cat([x, y], 1).T.double())
    d = x.shape[1]
    Sxx, Sxy, Syy = joint[:d, :d], joint[:d, d:], joint[d:, d:]
    Sxx = Sxx + ridge * torch.eye(d).double()
    Syy = Syy + ridge * torch.eye(y.shape[1]).double()
    M = torch.linalg.solve(Sxx, Sxy) @ torch.linalg.solve(Syy, Sxy.T)
    values = torch.linalg.eigvals(M).real.sort(descending=True).values[: min(x.shape[1], y.shape[1])]
    return values.clamp(min=0).sqrt().float()


def cca_spread(x, y, ridge):
    x, y = ((z - z.mean(0)) / z.std(0) for z in (x, y))
    return torch.linalg.svdvals(x.T @ y / (len(x) - 1))


# ---- cross_modal.clip


def cosines(image, text):
    return F.normalize(image, dim=1) @ F.normalize(text, dim=1).T


def choices(S):
    n = torch.arange(len(S))
    return (F.cross_entropy(S, n) + F.cross_entropy(S.T, n)) / 2


def clip(image, text, temperature):
    return choices(cosines(image, text) / temperature)


def clip_loop(image, text, temperature):
    n = len(image)
    total = 0
    for i in range(n):
        a = torch.stack([F.cosine_similarity(image[i], text[j], dim=0) for j in range(n)]) / temperature
        b = torch.stack([F.cosine_similarity(image[j], text[i], dim=0) for j in range(n)]) / temperature
        total = total + torch.logsumexp(a, 0) - a[i] + torch.logsumexp(b, 0) - b[i]
    return total / (2 * n)


def clip_float64(image, text, temperature):
    x, y = (z.double() / z.double().norm(dim=1, keepdim=True) for z in (image, text))
    S = torch.einsum("id,jd->ij", x, y) / temperature
    S = S - S.max().detach()
    e = S.exp()
    # The largest is taken off all, and what that makes tiny float64 can still hold.
    return ((e.sum(1).log() + e.sum(0).log()) / 2 - S.diagonal()).mean()


def scored(loss):
    return lambda image, text, temperature: loss(cosines(image, text) / temperature)


def by_exponentials(S):
    e = S.exp()
    return -((e / e.sum(1, keepdim=True)).log() + (e / e.sum(0)).log()).diagonal().mean() / 2


def without_match(S):
    if len(S) == 1:
        return S.sum() * 0
    other = S.masked_fill(torch.eye(len(S), dtype=torch.bool), -torch.inf)
    return (other.logsumexp(1) + other.logsumexp(0)).mean() / 2 - S.diagonal().mean()


# ---- cross_modal.siglip


def labels(n):
    return 2 * torch.eye(n) - 1


def siglip(image, text, t, b):
    return -F.logsigmoid(labels(len(image)) * (t * image @ text.T + b)).sum(1).mean()


def siglip_loop(image, text, t, b):
    cost = 0
    for i in range(len(image)):
        for j in range(len(text)):
            a = t * (image[i] * text[j]).sum() + b
            cost = cost + F.softplus(-a if i == j else a)
    return cost / len(image)


def siglip_float64(image, text, t, b):
    a = t.double() * torch.einsum("id,jd->ij", image.double(), text.double()) + b
    # A yes costs softplus(−a) = softplus(a) − a.
    return (torch.logaddexp(a, torch.zeros_like(a)).sum() - a.diagonal().sum()) / len(a)


def asked(score, label=None, gather=lambda each: each.sum(1).mean()):
    def answer(image, text, t, b):
        y = labels(len(image)) if label is None else label(len(image))
        return gather(-F.logsigmoid(y * score(image @ text.T, t, b)))

    return answer


def linear(c, t, b):
    return t * c + b


# ---- cross_modal.levels

LEVELS = {
    "alike": math.log(128), "hot": math.log(math.e + 127) - 1, "copies": math.log(4),
    "siglip": math.log1p(math.exp(10)) + 127 * math.log1p(math.exp(-10)), "vse": 0.4,
}  # fmt: skip


# ---- cross_modal.copies


def hardest(S, ids, m, *, allowed=None, gather="hardest"):
    other = (ids[:, None] != ids) if allowed is None else allowed(ids)
    total = 0
    for table in (S, S.T):
        far = m - S.diagonal()[:, None] + table
        if gather == "hardest":
            total = total + far.masked_fill(~other, -torch.inf).amax(1).clamp(min=0).sum()
        elif gather == "all":
            total = total + far.clamp(min=0)[other].sum()
        elif gather == "easiest":
            least = far.masked_fill(~other, torch.inf).amin(1)
            total = total + least[least.isfinite()].clamp(min=0).sum()
        elif gather == "no hinge":
            total = total + far.masked_fill(~other, -torch.inf).amax(1)[other.any(1)].sum()
    return total


def hardest_loop(S, ids, m):
    total = 0.0
    for i in range(len(S)):
        for row in (S[i], S[:, i]):
            costs = [m - S[i, i] + row[j] for j in range(len(S)) if ids[j] != ids[i]]
            total = total + max([torch.tensor(0.0), *costs])
    return total


def hardest_where(S, ids, m):
    S = S.double()
    low = torch.where(ids.unsqueeze(1) == ids.unsqueeze(0), -1e9, S)
    match = torch.diag(S)
    return F.relu(m - match + low.max(dim=1).values).sum() + F.relu(m - match + low.max(dim=0).values).sum()


def apart(ids):
    return ~torch.eye(len(ids), dtype=torch.bool)


def score_zero(S, ids, m):
    low = torch.where(ids[:, None] == ids, 0.0, S)
    match = S.diagonal()
    return F.relu(m - match + low.amax(1)).sum() + F.relu(m - match + low.amax(0)).sum()


def singles(S, ids, m):
    single = (ids[:, None] == ids).sum(1) == 1
    return hardest(S[single][:, single], ids[single], m) if single.any() else torch.tensor(0.0)


def one_of_each(S, ids, m):
    first = [i for i in range(len(ids)) if ids[i] not in ids[:i]]
    return hardest(S[first][:, first], ids[first], m)


def one_way(S, ids, m):
    return F.relu((m - S.diagonal()[:, None] + S).masked_fill(ids[:, None] == ids, -torch.inf).amax(1)).sum()


def one_table(S, ids, m):
    far = (m - S.diagonal()[:, None] + S).masked_fill(ids[:, None] == ids, -torch.inf)
    return F.relu(far.amax(1)).sum() + F.relu(far.amax(0)).sum()


# ---- cross_modal.teacher


def teacher(tokens):
    return tokens[:, :-1], tokens[:, 1:], tokens[:, 1:] != 0


def teacher_loop(tokens):
    read, wanted, counts = [], [], []
    for row in tokens.tolist():
        read.append(row[: len(row) - 1])
        wanted.append(row[1 : len(row)])
        counts.append([word > 0 for word in row[1:]])
    return [torch.tensor(read), torch.tensor(wanted), torch.tensor(counts)]


def teacher_gather(tokens):
    steps = torch.arange(tokens.shape[1] - 1)
    read, wanted = tokens.index_select(1, steps), tokens.roll(-1, dims=1).index_select(1, steps)
    length = (tokens > 0).sum(1, keepdim=True)
    return read, wanted, steps < length - 1


# ---- cross_modal.beam


def grow(kept, log_p, width):
    total = (kept[:, None] + log_p).flatten()
    best = total.topk(min(width, len(total))).indices
    return best // log_p.shape[1], best % log_p.shape[1]


def grow_loop(kept, log_p, width):
    n, words = log_p.shape
    every = [(-(kept[i] + log_p[i, w]).item(), i, w) for i in range(n) for w in range(words)]
    every.sort()
    return torch.tensor([i for _, i, _ in every[:width]]), torch.tensor([w for _, _, w in every[:width]])


def grow_float64(kept, log_p, width):
    total = kept.double().unsqueeze(1).expand_as(log_p) + log_p
    order = torch.argsort(total.reshape(-1), descending=True)[:width]
    return torch.div(order, total.shape[1], rounding_mode="floor"), order.remainder(total.shape[1])


def grown(table, largest=True):
    def answer(kept, log_p, width):
        best = table(kept, log_p).flatten().topk(min(width, log_p.numel()), largest=largest).indices
        return best // log_p.shape[1], best % log_p.shape[1]

    return answer


def each_its_own(kept, log_p, width):
    best = (kept[:, None] + log_p).max(1)
    order = best.values.argsort(descending=True)
    return order, best.indices[order]


def greedy(kept, log_p, width):
    first = kept.argmax()
    words = log_p[first].topk(min(width, log_p.shape[1])).indices
    return first.expand(len(words)), words


def flat(kept, log_p, width):
    best = (kept[:, None] + log_p).flatten().topk(min(width, log_p.numel())).indices
    return best // len(kept), best % len(kept)


def searched(kept, log_p, width):
    found = beam_search(lambda prefix: log_p[:1], start=0, end=1, max_length=1, width=width)
    return torch.zeros(len(found)), torch.tensor([one.tokens[0] for one in found])


BATCH = {"batch": 256, "steps": 7000, "temperature": 0.1}

# ---- cross_modal.bleu


def ngrams(words, n):
    return Counter(zip(*(words[i:] for i in range(n))))


def brevity(c, r):
    return min(1.0, math.exp(1 - r / c))


def bleu_by(
    right=lambda s, r: (s & r).total(),
    total=lambda s, r: s.total(),
    mean=lambda p: math.prod(p) ** (1 / len(p)),
    penalty=brevity,
    lengths=(1, 2, 3, 4),
    split=str.split,
):
    """BLEU with another rule for what is right, what it is a share of, the mean, the penalty, n, or what a word is."""

    def answer(said, references):
        pairs = [(split(s), split(r)) for s, r in zip(said, references)]
        shares = []
        for n in lengths:
            found = [(ngrams(s, n), ngrams(r, n)) for s, r in pairs]
            all_of_them = sum(total(s, r) for s, r in found)
            shares.append(sum(right(s, r) for s, r in found) / all_of_them if all_of_them else 0.0)
        return mean(shares) * penalty(*(sum(map(len, some)) for some in zip(*pairs)))

    return answer


bleu = bleu_by()


def bleu_long_in_letters(said, references):
    return bleu_by(penalty=lambda c, r: 1.0)(said, references) * brevity(*(len("".join(s)) for s in (said, references)))


def bleu_crossing_out(said, references):
    """Each n-gram said crosses out one of the reference."""
    logarithm, words, wanted = 0.0, 0, 0
    for n in range(1, 5):
        hits = asked = 0
        for s, r in zip(said, references):
            s, r = s.split(), r.split()
            left = [r[i : i + n] for i in range(len(r) - n + 1)]
            for i in range(len(s) - n + 1):
                asked += 1
                if s[i : i + n] in left:
                    left.remove(s[i : i + n])
                    hits += 1
        if not hits:
            return 0
        logarithm += math.log(hits / asked) / 4
        words, wanted = sum(len(s.split()) for s in said), sum(len(r.split()) for r in references)
    return math.exp(logarithm) if words >= wanted else math.exp(logarithm + 1 - wanted / words)


def bleu_tensors(said, references):
    hits, asked = torch.zeros(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    lengths = torch.zeros(2, dtype=torch.float64)
    for s, r in zip(said, references):
        s, r = s.split(" "), r.split(" ")
        lengths += torch.tensor([len(s), len(r)])
        for n in range(4):
            ours, theirs = ngrams(s, n + 1), ngrams(r, n + 1)
            hits[n] += sum(min(k, theirs[g]) for g, k in ours.items())
            asked[n] += max(len(s) - n, 0)
    return (hits / asked.clamp(min=1)).log().mean().exp() * (1 - lengths[1] / lengths[0]).clamp(max=0).exp()


def bleu_sentences(said, references):
    return sum(bleu([s], [r]) for s, r in zip(said, references)) / len(said)


def bleu_pooled(said, references):
    pairs = [(ngrams(s.split(), n), ngrams(r.split(), n)) for s, r in zip(said, references) for n in (1, 2, 3, 4)]
    words = [sum(len(s.split()) for s in some) for some in (said, references)]
    return brevity(*words) * sum((s & r).total() for s, r in pairs) / sum(s.total() for s, _ in pairs)


def bleu_anywhere(said, references):
    pool = [{g for r in references for g in ngrams(r.split(), n)} for n in range(5)]
    return bleu_by(right=lambda s, r: sum(k for g, k in s.items() if g in pool[len(g)]))(said, references)


def counted_once(s, r):
    return len(s.keys() & r.keys())


def often(s, r):
    return sum(k for g, k in s.items() if g in r)


BANK = {
    "cross_modal.recall": (
        {"one comparison": found, "loops": found_loop, "sorted, float64": found_sorted},
        {
            "from zero": (ranked(lambda s: places(s) - 1), "from zero"),
            "before itself": (ranked(lambda s: places(s) + 1), "one too far"),
            "pictures ask": (ranked(columns), "other direction"),
            "lowest first": (ranked(lambda s: (s <= s.diagonal()[:, None]).sum(1)), "worst first"),
            "strictly inside": (ranked(places, lambda r, k: (r < k).float().mean()), "strict"),
            "mean place": (ranked(places, middle=lambda r: r.float().mean()), "mean"),
            "torch.median": (ranked(places, middle=lambda r: r.median()), "lower median"),
            "ties for the model": (ranked(lambda s: 1 + (s > s.diagonal()[:, None]).sum(1)), "ties won", "ties"),
            "ties half": (ranked(half), "ties half", "ties"),
            "percent": (ranked(places, lambda r, k: 100 * (r <= k).float().mean()), "percent"),
            "a count": (ranked(places, lambda r, k: (r <= k).sum()), "not divided"),
            "a pair": (lambda s, k: tuple(found(s, k).values()), "type"),
            "the library's": (
                lambda s, k: {"recall": recall_at_k(s[:, : len(s)], k), "median rank": median_rank(s[:, : len(s)])},
                "borrowed",
            ),
        },
    ),
    "cross_modal.cca": (
        {"inverse roots": cca, "Cholesky in float64": cca_cholesky, "eigenvalues": cca_eigenvalues},
        {
            "not centred": (lambda x, y, r: cca(x, y, r, centre=False), "not centred"),
            "one mean for all columns": (
                lambda x, y, r: cca(x - x.mean(), y - y.mean(), r, centre=False),
                "not centred",
            ),
            "V Λ^(−1/2)": (cca_half, "half a root"),
            "without ridge": (lambda x, y, r: cca(x, y, 0.0), "no ridge"),
            "ridge on every entry": (lambda x, y, r: cca(x, y, r, grow=lambda d: torch.ones(d, d)), "ridge everywhere"),
            "twice the ridge": (lambda x, y, r: cca(x, y, 2 * r), "ridge on both"),
            "x alone whitened": (lambda x, y, r: cca(x, y, r, powers=(-0.5, 0.0)), "one side"),
            "the covariance": (lambda x, y, r: cca(x, y, r, powers=(0.0, 0.0)), "not whitened"),
            "columns standardised": (cca_spread, "columns only"),
            "standardised, then whitened": (
                lambda x, y, r: cca(x / x.std(0), y / y.std(0), r),
                "columns only",
                "values",
            ),
            "inverses": (lambda x, y, r: cca(x, y, r, powers=(-1.0, -1.0)), "inverse"),
            "squares": (lambda x, y, r: cca(x, y, r).square(), "squared"),
            "ascending": (lambda x, y, r: cca(x, y, r).flip(0), "smallest first"),
            "the first": (lambda x, y, r: cca(x, y, r)[0], "first alone"),
            "divided by N": (lambda x, y, r: cca(x, y, r, count=len(x)), "divided by N"),
        },
    ),
    "cross_modal.clip": (
        {"cross-entropy both ways": clip, "loops": clip_loop, "float64 by hand": clip_float64},
        {
            "pictures ask": (scored(lambda S: F.cross_entropy(S, torch.arange(len(S)))), "one direction"),
            "lengths kept, one direction": (
                lambda i, t, tau: F.cross_entropy(i @ t.T / tau, torch.arange(len(i))),
                "not normalised",
            ),
            "lengths kept": (lambda i, t, tau: choices(i @ t.T / tau), "not normalised"),
            "normalised over the batch": (
                lambda i, t, tau: choices(F.normalize(i, dim=0) @ F.normalize(t, dim=0).T / tau),
                "wrong axis",
            ),
            "no temperature": (lambda i, t, tau: choices(cosines(i, t)), "no temperature"),
            "multiplied": (lambda i, t, tau: choices(cosines(i, t) * tau), "multiplied"),
            "added": (lambda i, t, tau: 2 * clip(i, t, tau), "doubled"),
            "sum": (lambda i, t, tau: len(i) * clip(i, t, tau), "sum"),
            "one softmax": (scored(lambda S: -S.flatten().log_softmax(0).view_as(S).diagonal().mean()), "all pairs"),
            "negatives below": (scored(without_match), "match left out"),
            "positive logarithm": (lambda i, t, tau: -clip(i, t, tau), "other sign"),
            "exponentials": (scored(by_exponentials), "overflow", "extremes"),
            "a small constant": (
                scored(lambda S: -((S.softmax(1) + 1e-8).log() + (S.softmax(0) + 1e-8).log()).diagonal().mean() / 2),
                "clamped",
                "extremes",
            ),
            "no mean": (
                scored(lambda S: -(S.log_softmax(1) + S.log_softmax(0)).diagonal() / 2),
                "each",
            ),
            "detached text": (lambda i, t, tau: clip(i, t.detach(), tau), "gradient", "gradients"),
            "the library's": (
                lambda i, t, tau: clip_loss(F.normalize(i, dim=1), F.normalize(t, dim=1), 1 / tau),
                "borrowed",
            ),
        },
    ),
    "cross_modal.siglip": (
        {"log-sigmoid": siglip, "loops": siglip_loop, "float64": siglip_float64},
        {
            "mean of all": (asked(linear, gather=torch.mean), "all averaged"),
            "sum of all": (asked(linear, gather=torch.sum), "all added"),
            "diagonal": (asked(linear, gather=lambda each: each.diagonal().mean()), "matches alone"),
            "off the diagonal": (
                asked(linear, gather=lambda each: (each.sum() - each.diagonal().sum()) / len(each)),
                "mismatches alone",
            ),
            "all ones": (asked(linear, lambda n: torch.ones(n, n)), "all yes"),
            "zeros and ones": (asked(linear, torch.eye), "labels 0"),
            "the other labels": (asked(linear, lambda n: -labels(n)), "flipped"),
            "t (cos + b)": (asked(lambda c, t, b: t * (c + b)), "bias inside"),
            "minus b": (asked(lambda c, t, b: t * c - b), "bias off"),
            "without b": (asked(lambda c, t, b: t * c), "no bias"),
            "softmax": (lambda i, x, t, b: F.cross_entropy(t * i @ x.T + b, torch.arange(len(i))), "softmax"),
            "positive logarithm": (lambda *a: -siglip(*a), "other sign"),
            "log of sigmoid": (
                lambda i, x, t, b: -(labels(len(i)) * (t * i @ x.T + b)).sigmoid().log().sum(1).mean(),
                "overflow",
                "extremes",
            ),
            "clamped": (
                lambda i, x, t, b: -(labels(len(i)) * (t * i @ x.T + b)).sigmoid().clamp(min=1e-7).log().sum(1).mean(),
                "clamped",
                "extremes",
            ),
            "numbers for t and b": (lambda i, x, t, b: siglip(i, x, t.item(), b.item()), "gradient", "gradients"),
            "the library's": (siglip_loss, "borrowed"),
        },
    ),
    "cross_modal.levels": (
        {
            "by hand": LEVELS,
            "rounded": {k: round(v, 3) for k, v in LEVELS.items()},
            "tensors": {k: torch.tensor(v) for k, v in LEVELS.items()},
        },
        {
            "bits": (LEVELS | {"alike": 7}, "base", "alike"),
            "two decimals": (LEVELS | {"alike": 4.85}, "rounded", "alike"),
            "a probability": (LEVELS | {"alike": 1 / 128}, "probability", "alike"),
            "perfect is free": (LEVELS | {"hot": 0}, "zero", "hot"),
            "as if nothing": (LEVELS | {"hot": math.log(128)}, "nothing learned", "hot"),
            "ln(127) − 1": (LEVELS | {"hot": math.log(127) - 1}, "without the match", "hot"),
            "one mismatch": (LEVELS | {"hot": math.log1p(1 / math.e)}, "mismatches forgotten", "hot"),
            "three others": (LEVELS | {"copies": math.log(3)}, "others", "copies"),
            "32 things": (LEVELS | {"copies": math.log(32)}, "things", "copies"),
            "b = 0": (LEVELS | {"siglip": 128 * math.log(2)}, "no bias", "siglip"),
            "of N²": (LEVELS | {"siglip": LEVELS["siglip"] / 128}, "mean over pairs", "siglip"),
            "127 wrong": (LEVELS | {"siglip": 127 * 10.0000454 + 4.54e-5}, "all wrong", "siglip"),
            "a picture asks": (LEVELS | {"vse": 0.2}, "one direction", "vse"),
            "the batch": (LEVELS | {"vse": 51.2}, "whole batch", "vse"),
            "no cost": (LEVELS | {"vse": 0.0}, "no margin", "vse"),
            "an entry too few": ({k: v for k, v in LEVELS.items() if k != "vse"}, "missing", "vse"),
        },
    ),
    "cross_modal.copies": (
        {"masked maximum": hardest, "loops": hardest_loop, "a low score in float64": hardest_where},
        {
            "copies are mismatches": (lambda *a: hardest(*a, allowed=apart), "copies push", "copies"),
            "everyone": (lambda *a: hardest(*a, allowed=lambda ids: apart(ids) | True), "own match"),
            "pictures ask": (one_way, "one direction"),
            "twice the same": (lambda *a: 2 * one_way(*a), "same direction twice"),
            "one table, two axes": (one_table, "another's match"),
            "sum of all": (lambda *a: hardest(*a, gather="all"), "all of them"),
            "the farthest": (lambda *a: hardest(*a, gather="easiest"), "easiest"),
            "mean": (lambda S, ids, m: hardest(S, ids, m) / len(S), "mean"),
            "no hinge": (lambda *a: hardest(*a, gather="no hinge"), "no hinge"),
            "minus the margin": (lambda S, ids, m: hardest(S, ids, -m), "margin"),
            "score 0": (score_zero, "score zero", "copies"),
            "singles only": (singles, "whole pairs", "copies"),
            "one of each thing": (one_of_each, "whole pairs", "copies"),
            "infinite without a mismatch": (
                lambda S, ids, m: hardest(S, ids, m) if (ids != ids[0]).any() else torch.tensor(-torch.inf),
                "nothing left",
                "copies",
            ),
            "the library's": (
                lambda S, ids, m: triplet_loss(S, torch.eye(len(S)), margin=m, negatives="hardest"),
                "borrowed",
            ),
        },
    ),
    "cross_modal.batch": (
        {
            "a power of two": BATCH,
            "larger, warmer": {"batch": 280, "steps": 6100, "temperature": 0.12},
            "smaller, longer": {"steps": 13_000, "batch": 150, "temperature": 0.07},
        },
        {
            "too long a night": (BATCH | {"steps": 8000}, "budget"),
            "few steps": (BATCH | {"steps": 5000}, "few steps"),
            "128 pairs": (BATCH | {"batch": 128}, "ceiling"),
            "320 pairs": (BATCH | {"batch": 320, "steps": 6100}, "copies"),
            "310 pairs": (BATCH | {"batch": 310, "steps": 6100}, "memory"),
            "warm": (BATCH | {"temperature": 0.2}, "too hot"),
            "cold": (BATCH | {"temperature": 0.05}, "too cold"),
            "half a pair": (BATCH | {"batch": 256.5}, "whole numbers"),
            "below 0": (BATCH | {"temperature": -0.1}, "temperature"),
            "no temperature": ({"batch": 256, "steps": 7000}, "entries"),
            "a list": ([256, 7000, 0.1], "no dict"),
        },
    ),
    "cross_modal.teacher": (
        {"two slices": teacher, "loops": teacher_loop, "lengths": teacher_gather},
        {
            "as it is": (lambda t: (t, t, torch.ones_like(t, dtype=torch.bool)), "not shifted"),
            "both short": (lambda t: (t[:, :-1], t[:, :-1], t[:, 1:] != 0), "not shifted"),
            "backwards": (lambda t: (t[:, 1:], t[:, :-1], t[:, 1:] != 0), "backwards"),
            "reads what it says": (lambda t: (t[:, 1:], t[:, 1:], t[:, 1:] != 0), "one for all"),
            "two ahead": (lambda t: (t[:, :-2], t[:, 2:], t[:, 2:] != 0), "skips"),
            "the end does not count": (lambda t: (t[:, :-1], t[:, 1:], t[:, 1:] > 2), "never ends"),
            "all count": (
                lambda t: (t[:, :-1], t[:, 1:], torch.ones_like(t[:, 1:], dtype=torch.bool)),
                "padding counts",
                "padding",
            ),
            "mask of what is read": (lambda t: (t[:, :-1], t[:, 1:], t[:, :-1] != 0), "mask of read", "padding"),
            "the start is said": (lambda t: (F.pad(t[:, :-1], (1, 0)), t, t != 0), "start wanted"),
            "padding is True": (lambda t: (t[:, :-1], t[:, 1:], t[:, 1:] == 0), "inverted"),
            "numbers": (lambda t: (t[:, :-1], t[:, 1:], (t[:, 1:] != 0).float()), "no bool"),
            "two tensors": (lambda t: (t[:, :-1], t[:, 1:]), "no triple"),
            "in place": (lambda t: teacher(t.clone()) if t.mul_(1).add_(1).sum() else None, "in place"),
        },
    ),
    "cross_modal.beam": (
        {"topk": grow, "a sorted list": grow_loop, "argsort in float64": grow_float64},
        {
            "one word each": (each_its_own, "each its own"),
            "the best goes on": (greedy, "greedy"),
            "no past": (grown(lambda k, p: p), "past forgotten"),
            "no future": (grown(lambda k, p: k[:, None] - 1e-6 * torch.arange(p.shape[1])), "next forgotten"),
            "multiplied": (grown(lambda k, p: k[:, None] * p), "multiplied"),
            "probabilities": (grown(lambda k, p: k[:, None] + p.exp()), "probabilities"),
            "ascending": (lambda *a: tuple(one.flip(0) for one in grow(*a)), "worst first"),
            "the least": (grown(lambda k, p: k[:, None] + p, largest=False), "least likely"),
            "words first": (lambda *a: grow(*a)[::-1], "pair swapped"),
            "taken apart by n": (flat, "wrong count"),
            "logarithms": (
                lambda k, p, w: (k, (k[:, None] + p).flatten().topk(min(w, p.numel())).values),
                "no places",
            ),
            "a place": (lambda k, p, w: (k[:, None] + p).flatten().argmax(), "no pair"),
            "always width": (
                lambda k, p, w: (
                    (k[:, None] + p).flatten().topk(w).indices // p.shape[1],
                    (k[:, None] + p).flatten().topk(w).indices % p.shape[1],
                ),
                "raises",
                "few",
            ),
            "the library's": (searched, "borrowed"),
        },
    ),
    "cross_modal.bleu": (
        {"counters": bleu, "crossed out, in logarithms": bleu_crossing_out, "tensors in float64": bleu_tensors},
        {
            "right as often as said": (bleu_by(right=often), "not clipped", "repeats"),
            "sets": (bleu_by(right=counted_once, total=lambda s, r: len(s)), "sets", "repeats"),
            "of the reference": (bleu_by(total=lambda s, r: r.total()), "recall"),
            "of the reference, no penalty": (
                bleu_by(total=lambda s, r: r.total(), penalty=lambda c, r: 1.0),
                "recall",
            ),
            "no penalty": (bleu_by(penalty=lambda c, r: 1.0), "no penalty"),
            "too long is punished": (bleu_by(penalty=lambda c, r: brevity(r, c)), "penalty turned"),
            "no minimum": (bleu_by(penalty=lambda c, r: math.exp(1 - r / c)), "bonus"),
            "arithmetic mean": (bleu_by(mean=lambda p: sum(p) / 4), "arithmetic"),
            "product": (bleu_by(mean=math.prod), "no root"),
            "words alone": (bleu_by(lengths=(1,)), "one length"),
            "four-grams alone": (bleu_by(lengths=(4,)), "one length"),
            "n below four": (bleu_by(lengths=(1, 2, 3)), "up to three"),
            "n from two": (bleu_by(lengths=(2, 3, 4)), "up to three"),
            "mean over sentences": (bleu_sentences, "mean of sentences"),
            "one share": (bleu_pooled, "pooled"),
            "any reference": (bleu_anywhere, "other references"),
            "one long text": (lambda s, r: bleu([" ".join(s)], [" ".join(r)]), "across"),
            "letters": (bleu_by(split=list), "letters"),
            "lengths in letters": (bleu_long_in_letters, "letters", "values"),
            "percent": (lambda s, r: 100 * bleu(s, r), "percent"),
            "a small constant": (
                bleu_by(mean=lambda p: math.prod(max(one, 1e-9) for one in p) ** 0.25),
                "smoothed",
                "nothing",
            ),
            "nothing is no mistake": (
                lambda s, r: bleu(s, r) if max(map(len, map(str.split, s))) > 3 else 1.0,
                "smoothed",
                "nothing",
            ),
            "0 divided by 0": (
                lambda s, r: (
                    bleu_by(total=lambda s, r: s.total() or 1e-300)(s, r)
                    if max(map(len, map(str.split, s))) > 3
                    else 0 / 0
                ),
                "raises",
                "nothing",
            ),
            "a text": (lambda s, r: f"{bleu(s, r):.3f}", "type"),
            "the library's": (lambda s, r: corpus_bleu(s, r) / 100, "borrowed"),
        },
    ),
}
