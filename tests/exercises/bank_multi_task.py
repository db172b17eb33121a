"""Right and wrong answers to the tasks of chapter 05."""

import math

import torch
from scipy.stats import t as student
from torch import nn
from torch.nn import functional as F

from mmteach import multitask
from mmteach.multitask import HardSharing
from mmteach.recipes import stored

# ---- multi_task.share


class Shared(nn.Module):
    def __init__(self, inputs, hidden, tasks):
        super().__init__()
        self.trunk = nn.Linear(inputs, hidden)
        self.heads = nn.ModuleDict({task: nn.Linear(hidden, n) for task, n in tasks.items()})

    def forward(self, x):
        return self.answer(self.trunk(x))

    def answer(self, pre):
        h = pre.relu()
        return {task: head(h) for task, head in self.heads.items()}


def shared(answer):
    """A Shared with another way from what the trunk gives to the logits: answer(self, pre)."""
    return type("Shared", (Shared,), {"answer": answer})


class SharedByHand(nn.Module):
    def __init__(self, inputs, hidden, tasks):
        super().__init__()
        self.heads = nn.Module()  # heads first, and made one by one
        for task in reversed(tasks):
            self.heads.add_module(task, nn.Linear(hidden, tasks[task]))
        self.trunk = nn.Linear(inputs, hidden)

    def forward(self, x):
        h = torch.clamp(torch.einsum("bi,hi->bh", x, self.trunk.weight) + self.trunk.bias, min=0)
        return {task: head(h) for task, head in self.heads.named_children()}


class SharedInFloat64(Shared):
    def answer(self, pre):
        h = torch.maximum(pre.double(), torch.zeros(()).double())
        return {task: h @ head.weight.double().T + head.bias for task, head in self.heads.items()}


class TrunkEach(nn.Module):
    def __init__(self, inputs, hidden, tasks):
        super().__init__()
        self.trunk = nn.ModuleDict({task: nn.Linear(inputs, hidden) for task in tasks})
        self.heads = nn.ModuleDict({task: nn.Linear(hidden, n) for task, n in tasks.items()})

    def forward(self, x):
        return {task: head(self.trunk[task](x).relu()) for task, head in self.heads.items()}


class PlainDict(Shared):
    def __init__(self, inputs, hidden, tasks):
        nn.Module.__init__(self)
        self.trunk = nn.Linear(inputs, hidden)
        self.heads = {task: nn.Linear(hidden, n) for task, n in tasks.items()}


def one_teaches(self, pre):
    h = pre.relu()
    return {"left": self.heads["left"](h), "right": self.heads["right"](h.detach())}


def borrowing(inputs, hidden, tasks):
    heads = {task: nn.Linear(hidden, n) for task, n in tasks.items()}
    return HardSharing(nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU()), heads)


# ---- multi_task.conflicts


def jacobian(gradients):
    like = [next(g for g in column if g is not None) for column in zip(*gradients)]
    rows = [[torch.zeros_like(z) if g is None else g for g, z in zip(row, like)] for row in gradients]
    return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])


def conflicts(gradients):
    G = jacobian(gradients)
    unit = G / G.norm(dim=1, keepdim=True).clamp(min=torch.finfo(G.dtype).tiny)
    return unit @ unit.T


def conflicts_loop(gradients):
    tasks, count = len(gradients), len(gradients[0])

    def dot(a, b):
        pairs = [(a[p], b[p]) for p in range(count) if a[p] is not None and b[p] is not None]
        return sum((x.double() * y.double()).sum().item() for x, y in pairs)

    table = torch.zeros(tasks, tasks)
    for i in range(tasks):
        for j in range(tasks):
            lengths = math.sqrt(dot(gradients[i], gradients[i]) * dot(gradients[j], gradients[j]))
            table[i, j] = dot(gradients[i], gradients[j]) / lengths if lengths else 0.0
    return table


def conflicts_float64(gradients):
    G = jacobian(gradients).double()
    dots = torch.einsum("ip,jp->ij", G, G)
    lengths = dots.diagonal().sqrt()
    products = lengths[:, None] * lengths
    return torch.where(products > 0, dots / torch.where(products > 0, products, 1), 0)


def conflicts_scaled(gradients):
    return F.normalize(jacobian(gradients) * 1e6, dim=1) @ F.normalize(jacobian(gradients) * 1e6, dim=1).T


def from_jacobian(table):
    return lambda gradients: table(jacobian(gradients))


def each_parameter(gradients):
    tables = []
    for column in zip(*gradients):
        tables.append(conflicts([[g] for g in column]))
    return sum(tables) / len(tables)


def only_common(gradients):
    used = [p for p, column in enumerate(zip(*gradients)) if all(g is not None for g in column)]
    return conflicts([[row[p] for p in used] for row in gradients])


def dots_by(length):
    def table(G):
        dots, n = G @ G.T, G.norm(dim=1).clamp(min=1e-30)
        return dots / length(n)

    return from_jacobian(table)


def with_itself(gradients):
    return conflicts(gradients).fill_diagonal_(1.0)


def all_others(gradients):
    G = jacobian(gradients)
    return F.cosine_similarity(G, G.sum(0) - G, dim=1)


# ---- multi_task.uncertainty


def weighted(L, s):
    return (torch.exp(-s) * L / 2 + s / 2).sum()


def weighted_loop(L, s):
    total = 0
    for loss, log_variance in zip(L, s):
        total = total + 0.5 * loss / log_variance.exp() + 0.5 * log_variance
    return total


def weighted_float64(L, s):
    weights = 0.5 * torch.exp(-s.double())
    return torch.dot(weights, L.double()) + 0.5 * s.double().sum()


# ---- multi_task.gradnorm


def gradnorm(L, first, lengths, s, alpha, *, rate=None, scale=None, target=None, distance=None):
    w = (len(L) if scale is None else scale) * s.softmax(0)
    share = L / first
    r = share / share.mean() if rate is None else rate(L, first)
    pulls = w * lengths
    goal = (pulls.mean().detach() if target is None else target(pulls, lengths)) * r**alpha
    return (pulls - goal).abs().sum() if distance is None else distance(pulls - goal)


def gradnorm_loop(L, first, lengths, s, alpha):
    n = len(L)
    exponentials = [torch.exp(s[k] - s.detach().max()) for k in range(n)]
    w = [n * e / sum(exponentials) for e in exponentials]
    shares = [L[k].item() / first[k].item() for k in range(n)]
    mean = sum(shares) / n
    pull = sum(w[k].item() * lengths[k].item() for k in range(n)) / n
    total = 0
    for k in range(n):
        total = total + torch.abs(w[k] * lengths[k] - pull * (shares[k] / mean) ** alpha)
    return total


def gradnorm_float64(L, first, lengths, s, alpha):
    pulls = torch.softmax(s.double(), -1) * len(s) * lengths.double()
    with torch.no_grad():
        share = L.double().div(first)
        goal = pulls.mean() * (share * len(s) / share.sum()).pow(alpha)
    return torch.nn.functional.l1_loss(pulls, goal, reduction="sum")


def gradnorm_factor(L, first, lengths, s, alpha):
    pulls, share = len(L) * s.softmax(0) * lengths, L / first
    return (pulls - pulls.mean().detach() * alpha * share / share.mean()).abs().sum()


# ---- multi_task.units

ANGLES = {
    "sum": math.degrees(math.atan2(1, 9)), "PCGrad": math.degrees(math.atan2(6, 5)),
    "MGDA": math.degrees(math.atan2(110 / 122, 10 * 12 / 122 - 110 / 122)), "uncertainty": 90.0, "GradNorm": 67.5,
}  # fmt: skip


# ---- multi_task.pcgrad


def pcgrad(g):
    v = g.clone()
    for i in range(len(g)):
        for j in range(len(g)):
            dot = v[i] @ g[j]
            if j != i and dot < 0:
                v[i] = v[i] - dot / (g[j] @ g[j]) * g[j]
    return v.sum(0)


def pcgrad_rows(g):
    """All tasks at once, float64."""
    g = g.double()
    v = g
    for j in range(len(g)):
        dot = (v @ g[j]).clamp(max=0)
        dot[j] = 0
        v = v - torch.outer(dot, g[j]) / g[j].square().sum()
    return torch.einsum("tp->p", v)


def pcgrad_unit(g):
    unit = F.normalize(g, dim=1)
    total = torch.zeros_like(g[0])
    for i, v in enumerate(g):
        for j, u in enumerate(unit):
            if i != j:
                v = v - min((v * u).sum(), torch.tensor(0.0)) * u
        total = total + v
    return total


def operated(step, gather=lambda v: v.sum(0)):
    """PCGrad with another step: step(v, original, i, j) → the new v_i."""

    def answer(g):
        v = g.clone()
        for i in range(len(g)):
            for j in range(len(g)):
                if j != i:
                    v[i] = step(v, g, i, j)
        return gather(v)

    return answer


def along(a, b):
    return (a @ b) / (b @ b) * b


def plain_step(v, g, i, j):
    return v[i] - along(v[i], g[j]) if v[i] @ g[j] < 0 else v[i]


def once(g):
    total = 0
    for i in range(len(g)):
        j = 0 if i else 1
        total = total + (g[i] - along(g[i], g[j]) if g[i] @ g[j] < 0 else g[i])
    return total


# ---- multi_task.mgda


def shortest(g1, g2):
    apart = (g1 - g2).square().sum().clamp(min=1e-30)
    share = ((g2 - g1) @ g2 / apart).clamp(0, 1)
    return share * g1 + (1 - share) * g2


def shortest_branches(g1, g2):
    """By its cases: one end, the other end, or between."""
    g1, g2 = g1.double(), g2.double()
    dot = g1 @ g2
    if dot >= g1 @ g1:
        return g1
    if dot >= g2 @ g2:
        return g2
    share = (g2 @ g2 - dot) / (g1 @ g1 + g2 @ g2 - 2 * dot)
    return share * g1 + (1 - share) * g2


def shortest_projected(g1, g2):
    """Down from 0 to the line, and back to its ends."""
    line = g1 - g2
    if not line.any():
        return g2.clone()
    share = max(0.0, min(1.0, -(line * g2).sum().item() / (line * line).sum().item()))
    return torch.lerp(g2, g1, share)


def mixed(share, cut=True):
    def answer(g1, g2):
        apart = (g1 - g2).square().sum()
        gamma = share(g1, g2, apart)
        gamma = gamma.clamp(0, 1) if cut else gamma
        return torch.where(apart > 0, gamma.nan_to_num() * g1 + (1 - gamma.nan_to_num()) * g2, g2)

    return answer


def shorter(g1, g2):
    return g1 if g1.norm() < g2.norm() else g2


# ---- multi_task.labels


def joint(left, right, y_left, y_right):
    total = 0
    for logits, y in ((left, y_left), (right, y_right)):
        known = y >= 0
        cost = F.cross_entropy(logits[known], y[known], reduction="sum")
        total = total + cost / known.sum().clamp(min=1)
    return total


def joint_loop(left, right, y_left, y_right):
    total = left.sum() * 0 + right.sum() * 0
    for logits, y in ((left, y_left), (right, y_right)):
        costs = [torch.logsumexp(row, 0) - row[label] for row, label in zip(logits, y.tolist()) if label >= 0]
        if costs:
            total = total + sum(costs) / len(costs)
    return total


def joint_ignored(left, right, y_left, y_right):
    total = torch.zeros((), dtype=torch.float64)
    for logits, y in ((left, y_left), (right, y_right)):
        if (y != -1).any():
            total = total + F.cross_entropy(logits.double(), y, ignore_index=-1)
    return total


def tasks_by(cost):
    return lambda left, right, y_left, y_right: cost(left, y_left) + cost(right, y_right)


def taken(logits, y):
    return -logits.log_softmax(1)[torch.arange(len(y)), y].mean()


def known_sum(logits, y):
    return F.cross_entropy(logits, y, ignore_index=-1, reduction="sum")


def both_known(left, right, y_left, y_right):
    both = (y_left >= 0) & (y_right >= 0)
    return joint(left[both], right[both], y_left[both], y_right[both])


def pooled(left, right, y_left, y_right):
    count = (y_left >= 0).sum() + (y_right >= 0).sum()
    return (known_sum(left, y_left) + known_sum(right, y_right)) / count.clamp(min=1)


def all_or_nothing(left, right, y_left, y_right):
    if not ((y_left >= 0).any() and (y_right >= 0).any()):
        return left.sum() * 0
    return joint(left, right, y_left, y_right)


# ---- multi_task.table


def reading():
    table = stored("multitask-methods")[0]
    wide = 100 * table[table.seed < 4].pivot(index="seed", columns="model", values="mean")
    d, n = wide["single"] - wide["equal"], len(wide)
    half = student.ppf(0.975, n - 1) * d.std() / n**0.5
    best = wide.drop(columns="single").idxmax(axis=1)
    twins = wide["PCGrad"] - wide["UPGrad"]
    right = {"gain": d.mean(), "low": d.mean() - half, "twins": twins.abs().max(), "winners": best.nunique()}
    normal = d.mean() - 1.96 * d.std() / n**0.5
    apart = d.mean() - student.ppf(0.975, 2 * n - 2) * ((wide["single"].var() + wide["equal"].var()) / n) ** 0.5
    wrong = {
        "the other way round": ({"gain": -d.mean()}, "other way", "gain"),
        "a share": ({"gain": d.mean() / 100}, "fraction", "gain"),
        "normal distribution": ({"low": normal}, "normal", "low"),
        "two samples": ({"low": apart}, "unpaired", "low"),
        "no root of n": ({"low": d.mean() - half * n**0.5}, "spread", "low"),
        "divided by n": ({"low": d.mean() - half * d.std(ddof=0) / d.std()}, "divided by n", "low"),
        "the other end": ({"low": d.mean() + half}, "high", "low"),
        "difference of means": ({"twins": abs(twins.mean())}, "mean twins", "twins"),
        "with a sign": ({"twins": -twins.abs().max()}, "signed", "twins"),
        "with single": ({"winners": wide.idxmax(axis=1).nunique()}, "single counts", "winners"),
        "best on the mean": ({"winners": 1}, "one winner", "winners"),
        "every seed": ({"winners": 4}, "seeds", "winners"),
        "a word": ({"winners": "three"}, "type", "winners"),
    }
    return right, {mistake: (right | changed, *told) for mistake, (changed, *told) in wrong.items()}


READING, MISREADINGS = reading()
PLAN = {"methods": 4, "seeds": 9, "rates": 3}

# ---- multi_task.dwa


def averaged_by(rate, weigh=lambda r, tau: len(r) * torch.softmax(r / tau, 0)):
    """DWA with another rate (of the history), or another way from rates to weights."""
    return lambda h, tau: torch.ones(h.shape[1]) if len(h) < 2 else weigh(rate(h), tau)


def last_two(h):
    return h[-1] / h[-2]


averaged = averaged_by(last_two)


def averaged_loop(history, tau):
    rows, tasks = history.tolist(), history.shape[1]
    if len(rows) < 2:
        return torch.tensor([1.0] * tasks)
    r = [now / then / tau for now, then in zip(rows[-1], rows[-2])]
    e = [math.exp(one - max(r)) for one in r]
    return torch.tensor([tasks * one / sum(e) for one in e])


def averaged_logarithms(history, tau):
    if history.size(0) < 2:
        return history.new_ones(history.size(1)).double()
    before, last = history.double()[-2:].unbind()
    r = (last.log() - before.log()).exp() / tau
    return history.size(1) * (r - r.logsumexp(dim=0)).exp()


# ---- multi_task.holm


def back(values, places):
    return torch.empty_like(values).scatter_(0, places, values)


def adjusted_by(
    factor=lambda m, k: m - k + 1,
    cap=lambda x: x.clamp(max=1),
    chain=lambda x: x.cummax(0).values,
    put=back,
):
    """Holm's values with other factors (k counts from 1), another cap, chain, or way back to the places."""

    def answer(p):
        values, places = p.sort()
        k = torch.arange(1, len(p) + 1)
        return put(chain(cap(factor(len(p), k) * values)), places)

    return answer


adjusted = adjusted_by()


def adjusted_down(p):
    values, places = p.sort(descending=True)
    return back((values * torch.arange(len(p), 0, -1)).clamp(max=1).cummax(0).values, places)


def adjusted_loop(p):
    result, worst = [0.0] * len(p), 0.0
    for done, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        worst = max(worst, (len(p) - done) * p[place].item())
        result[place] = min(worst, 1.0)
    return torch.tensor(result)


def adjusted_table(p):
    """Each against all that are not larger."""
    p = p.double()
    first = (p[:, None] >= p[None]).sum(1)  # the rank of each, from 1
    each = ((len(p) - first + 1) * p).clamp(max=1)
    return torch.where(p[None] <= p[:, None], each[None], 0.0).amax(1)


def never_put_back(values, places):
    return values


def from_behind(x):
    return x.flip(0).cummin(0).values.flip(0)


BANK = {
    "multi_task.share": (
        {"a dict of modules": Shared, "einsum, other order of layers": SharedByHand, "float64": SharedInFloat64},
        {
            "trunks by task": (TrunkEach, "a trunk each"),
            "a plain dict": (PlainDict, "heads lost"),
            "linear all through": (
                shared(lambda self, pre: {task: head(pre) for task, head in self.heads.items()}),
                "no relu",
            ),
            "ReLU at the end": (
                shared(lambda self, pre: {task: head(pre).relu() for task, head in self.heads.items()}),
                "relu behind",
            ),
            "softmax": (
                shared(lambda self, pre: {task: head(pre.relu()).softmax(1) for task, head in self.heads.items()}),
                "probabilities",
            ),
            "the right one is a lesson for itself": (shared(one_teaches), "one task teaches", "gradients"),
            "trunk cut off": (
                shared(lambda self, pre: Shared.answer(self, pre.detach())),
                "frozen trunk",
                "gradients",
            ),
            "the left head twice": (
                shared(lambda self, pre: dict.fromkeys(self.heads, self.heads["left"](pre.relu()))),
                "heads chained",
            ),
            "tanh": (
                shared(lambda self, pre: {task: head(pre.tanh()) for task, head in self.heads.items()}),
                "tanh",
            ),
            "a tuple": (shared(lambda self, pre: tuple(Shared.answer(self, pre).values())), "type"),
            "the library's": (borrowing, "borrowed"),
            "other names": (
                type("Shared", (Shared,), {"__init__": lambda self, i, h, t: (
                    nn.Module.__init__(self), setattr(self, "body", nn.Linear(i, h)),
                    setattr(self, "heads", nn.ModuleDict({k: nn.Linear(h, n) for k, n in t.items()})), None)[-1]}),
                "parameters",
            ),
        },
    ),
    "multi_task.conflicts": (
        {
            "one row a task": conflicts,
            "loops": conflicts_loop,
            "einsum in float64": conflicts_float64,
            "scaled up first": conflicts_scaled,
        },
        {
            "parameter by parameter": (each_parameter, "mean of parameters"),
            "the first parameter": (
                lambda gradients: conflicts([[torch.zeros(1) if row[0] is None else row[0]] for row in gradients]),
                "one parameter",
            ),
            "inner products": (from_jacobian(lambda G: G @ G.T), "not divided"),
            "squares of lengths": (dots_by(lambda n: n[:, None] ** 2 * n**2), "squares"),
            "own length only": (dots_by(lambda n: n[:, None]), "one length"),
            "absolute": (lambda gradients: conflicts(gradients).abs(), "absolute"),
            "distance": (lambda gradients: 1 - conflicts(gradients), "angle"),
            "what all use": (only_common, "skipped", "unused"),
            "a constant of 1e-8": (
                from_jacobian(lambda G: G / (G.norm(dim=1, keepdim=True) + 1e-8) @ (G / (G.norm(dim=1, keepdim=True) + 1e-8)).T),
                "small constant",
                "small",
            ),
            "the library's cosine": (
                from_jacobian(lambda G: F.cosine_similarity(G[:, None], G[None], dim=-1)),
                "small constant",
                "small",
            ),
            "divided by zero": (
                from_jacobian(lambda G: G / G.norm(dim=1, keepdim=True) @ (G / G.norm(dim=1, keepdim=True)).T),
                "zero divided",
                "small",
            ),
            "one on the diagonal": (with_itself, "itself", "small"),
            "against all others": (all_others, "others added"),
            "None left out": (
                lambda gradients: from_jacobian(lambda G: G)(gradients) * 0 + torch.stack([torch.cat([g.flatten() for g in row if g is not None]) for row in gradients]),
                "shape",
            ),
            "the library's": (from_jacobian(multitask.cosine_matrix), "borrowed"),
        },
    ),
    "multi_task.uncertainty": (
        {"one line": weighted, "a loop": weighted_loop, "a dot product in float64": weighted_float64},
        {
            "no penalty": (lambda L, s: (torch.exp(-s) * L / 2).sum(), "no penalty"),
            "whole s": (lambda L, s: (torch.exp(-s) * L / 2 + s).sum(), "penalty whole"),
            "whole loss": (lambda L, s: (torch.exp(-s) * L + s / 2).sum(), "loss whole"),
            "no halves": (lambda L, s: (torch.exp(-s) * L + s).sum(), "no halves"),
            "exp(s)": (lambda L, s: (torch.exp(s) * L / 2 + s / 2).sum(), "other sign"),
            "minus s": (lambda L, s: (torch.exp(-s) * L / 2 - s / 2).sum(), "penalty negative"),
            "s for σ": (lambda L, s: (L / (2 * s**2) + s.log()).sum(), "variance"),
            "mean": (lambda L, s: weighted(L, s) / len(L), "mean"),
            "no sum": (lambda L, s: torch.exp(-s) * L / 2 + s / 2, "each"),
            "softmax": (lambda L, s: ((-s).softmax(0) * L).sum(), "softmax"),
            "s for log σ": (lambda L, s: (torch.exp(-2 * s) * L / 2 + s).sum(), "squared"),
            "a number": (lambda L, s: weighted(L, s).item(), "gradient", "gradients"),
            "the library's": (multitask.uncertainty, "borrowed"),
        },
    ),
    "multi_task.dwa": (
        {"softmax": averaged, "loops": averaged_loop, "logarithms in float64": averaged_logarithms},
        {
            "upside down": (averaged_by(lambda h: h[-2] / h[-1]), "inverted"),
            "minus the rate": (averaged_by(lambda h: -h[-1] / h[-2]), "helps the fast"),
            "since the first": (averaged_by(lambda h: h[-1] / h[0]), "first epoch"),
            "the first two": (averaged_by(lambda h: h[1] / h[0]), "first epoch"),
            "newest first": (averaged_by(lambda h: h[0] / h[1]), "first epoch"),
            "how much it fell": (averaged_by(lambda h: h[-2] - h[-1]), "difference"),
            "the loss": (averaged_by(lambda h: h[-1]), "losses"),
            "sum to one": (averaged_by(last_two, lambda r, tau: torch.softmax(r / tau, 0)), "sum to one"),
            "shares": (averaged_by(last_two, lambda r, tau: len(r) * r / r.sum()), "no softmax"),
            "multiplied": (averaged_by(last_two, lambda r, tau: len(r) * torch.softmax(r * tau, 0)), "multiplied"),
            "no temperature": (averaged_by(last_two, lambda r, tau: len(r) * torch.softmax(r, 0)), "no temperature"),
            "divided by the mean": (averaged_by(lambda h: last_two(h) / last_two(h).mean()), "centred by division"),
            "mean of all rates": (averaged_by(lambda h: (h[1:] / h[:-1]).mean(0)), "all epochs"),
            "mean of all losses": (averaged_by(lambda h: h[-1] / h.mean(0)), "all epochs"),
            "starts with shares": (lambda h, tau: averaged(h, tau) / (1 if len(h) > 1 else h.shape[1]), "start", "start"),
            "starts with losses": (lambda h, tau: averaged(h, tau) if len(h) != 1 else h[0], "start", "start"),
            "starts at the third": (
                lambda h, tau: averaged(h, tau) if len(h) > 2 else torch.ones(h.shape[1]),
                "waits",
                "start",
            ),
            "no beginning": (
                lambda h, tau: h.shape[1] * torch.softmax(h[-1] / h[-2] / tau, 0),
                "raises",
                "start",
            ),
            "exponentials": (
                averaged_by(last_two, lambda r, tau: len(r) * (r / tau).exp() / (r / tau).exp().sum()),
                "overflow",
                "extremes",
            ),
            "a list": (lambda h, tau: averaged(h, tau).tolist(), "type"),
            "in place": (lambda h, tau: averaged(h.div_(1) if len(h) < 2 else h.div_(2), tau), "in place"),
            "the library's": (lambda h, tau: multitask.dwa(h, tau), "borrowed"),
        },
    ),
    "multi_task.gradnorm": (
        {"four lines": gradnorm, "loops": gradnorm_loop, "no_grad in float64": gradnorm_float64},
        {
            "first over now": (
                lambda *a: gradnorm(*a, rate=lambda L, f: (f / L) / (f / L).mean()),
                "rate inverted",
            ),
            "no mean": (lambda *a: gradnorm(*a, rate=lambda L, f: L / f), "rate absolute"),
            "mean loss over mean first loss": (
                lambda *a: gradnorm(*a, rate=lambda L, f: (L / f) / (L.mean() / f.mean())),
                "rate absolute",
            ),
            "losses as they are": (lambda *a: gradnorm(*a, rate=lambda L, f: L / L.mean()), "first forgotten"),
            "softmax alone": (lambda *a: gradnorm(*a, scale=1), "number of tasks"),
            "mean": (lambda *a: gradnorm(*a, distance=lambda d: d.abs().mean()), "number of tasks"),
            "squares": (lambda *a: gradnorm(*a, distance=lambda d: d.square().sum()), "squared"),
            "with signs": (lambda *a: gradnorm(*a, distance=torch.sum), "signed"),
            "times alpha": (gradnorm_factor, "alpha factor"),
            "without alpha": (lambda L, f, n, s, alpha: gradnorm(L, f, n, s, 1.0), "no alpha"),
            "mean without weights": (
                lambda *a: gradnorm(*a, target=lambda pulls, lengths: lengths.mean()),
                "unweighted mean",
            ),
            "its own length": (
                lambda *a: gradnorm(*a, target=lambda pulls, lengths: pulls.detach()),
                "own length",
            ),
            "the target follows": (
                lambda *a: gradnorm(*a, target=lambda pulls, lengths: pulls.mean()),
                "target moves",
                "gradients",
            ),
            "all detached": (lambda L, f, n, s, alpha: gradnorm(L, f, n, s.detach(), alpha), "nothing learns", "gradients"),
            "the library's": (
                lambda L, f, n, s, alpha: multitask.gradnorm(L, f, torch.diag(n), s, alpha),
                "borrowed",
            ),
        },
    ),
    "multi_task.units": (
        {
            "by hand": ANGLES,
            "rounded": {k: round(v, 1) for k, v in ANGLES.items()},
            "tensors": {k: torch.tensor(v) for k, v in ANGLES.items()},
        },
        {
            "as before": (ANGLES | {"sum": 90.0}, "before", "sum"),
            "as before, too": (ANGLES | {"PCGrad": 71.6}, "before", "PCGrad"),
            "the sum": (ANGLES | {"PCGrad": 6.3}, "as the sum", "PCGrad"),
            "one of the two": (ANGLES | {"PCGrad": 56.3}, "one projected", "PCGrad"),
            "free of units": (ANGLES | {"MGDA": 63.4}, "stays", "MGDA"),
            "towards the long one": (ANGLES | {"MGDA": 0.6}, "shorter", "MGDA"),
            "the second alone": (ANGLES | {"MGDA": 135}, "longest", "MGDA"),
            "with the unit": (ANGLES | {"uncertainty": 6.3}, "follows the unit", "uncertainty"),
            "with the unit, too": (ANGLES | {"GradNorm": 6.34}, "follows the unit", "GradNorm"),
            "radians": (ANGLES | {"GradNorm": 1.178}, "radians", "GradNorm"),
            "from the other axis": (ANGLES | {"GradNorm": 22.5}, "other axis", "GradNorm"),
            "squares of lengths": (ANGLES | {"GradNorm": math.degrees(math.atan2(0.5, 0.1 - 0.5))}, "squares", "GradNorm"),
            "an entry too few": ({k: v for k, v in ANGLES.items() if k != "MGDA"}, "missing", "MGDA"),
        },
    ),
    "multi_task.pcgrad": (
        {"two loops": pcgrad, "all tasks at once, float64": pcgrad_rows, "unit vectors": pcgrad_unit},
        {
            "always": (operated(lambda v, g, i, j: v[i] - along(v[i], g[j])), "always", "two"),
            "where they agree": (
                operated(lambda v, g, i, j: v[i] - along(v[i], g[j]) if v[i] @ g[j] > 0 else v[i]),
                "where they agree",
            ),
            "what is left of the others": (operated(lambda v, g, i, j: plain_step(v, v, i, j)), "already cut"),
            "all at once": (
                operated(lambda v, g, i, j: v[i] - along(g[i], g[j]) if g[i] @ g[j] < 0 else v[i]),
                "all at once",
                "three",
            ),
            "in conflict at first": (
                operated(lambda v, g, i, j: v[i] - along(v[i], g[j]) if g[i] @ g[j] < 0 else v[i]),
                "all at once",
                "three",
            ),
            "one meeting": (once, "one meeting", "three"),
            "length once": (
                operated(lambda v, g, i, j: v[i] - (v[i] @ g[j]).clamp(max=0) / g[j].norm() * g[j]),
                "not squared",
            ),
            "its own length": (
                operated(lambda v, g, i, j: v[i] - (v[i] @ g[j]).clamp(max=0) / (v[i] @ v[i]) * g[j]),
                "own length",
            ),
            "added": (
                operated(lambda v, g, i, j: v[i] + along(v[i], g[j]) if v[i] @ g[j] < 0 else v[i]),
                "reversed",
            ),
            "dropped": (operated(lambda v, g, i, j: v[i] * 0 if v[i] @ g[j] < 0 else v[i]), "whole"),
            "the part that conflicts": (
                operated(lambda v, g, i, j: along(v[i], g[j]) if v[i] @ g[j] < 0 else v[i]),
                "projection",
            ),
            "mean": (operated(plain_step, lambda v: v.mean(0)), "mean"),
            "the first task": (operated(plain_step, lambda v: v[0]), "one task"),
            "the sum": (lambda g: g.sum(0), "plain sum"),
            "all of them": (operated(plain_step, lambda v: v), "table"),
            "in place": (lambda g: pcgrad(g.clone()) + 0 * g.mul_(0.5).sum(0), "in place"),
            "the library's": (multitask.pcgrad, "borrowed"),
        },
    ),
    "multi_task.mgda": (
        {
            "cut to 0 and 1": shortest,
            "three cases in float64": shortest_branches,
            "a projection": shortest_projected,
        },
        {
            "uncut": (mixed(lambda a, b, apart: (b - a) @ b / apart, cut=False), "uncut", "ends"),
            "shares exchanged": (lambda a, b: a + b - shortest(a, b), "swapped"),
            "mean": (lambda a, b: (a + b) / 2, "half"),
            "sum": (lambda a, b: a + b, "sum"),
            "minus": (mixed(lambda a, b, apart: (a - b) @ b / apart), "turned"),
            "length once": (mixed(lambda a, b, apart: (b - a) @ b / apart.sqrt()), "not squared"),
            "the other numerator": (mixed(lambda a, b, apart: (b - a) @ a / apart), "other numerator"),
            "equal lengths": (lambda a, b: a / a.norm() + b / b.norm(), "bisector"),
            "0 / 0": (
                lambda a, b: b + ((b - a) @ b / (a - b).square().sum()).clamp(0, 1) * (a - b),
                "zero",
                "equal",
            ),
            "the share": (lambda a, b: ((b - a) @ b / (a - b).square().sum()).clamp(0, 1), "share"),
            "the shorter one": (shorter, "shorter"),
            "the library's": (lambda a, b: multitask.mgda(torch.stack([a, b])), "borrowed"),
        },
    ),
    "multi_task.labels": (
        {"known rows": joint, "loops": joint_loop, "ignored in float64": joint_ignored},
        {
            "as it is": (tasks_by(lambda o, y: F.cross_entropy(o, y.clamp(min=0))), "class 0", "unknown"),
            "above 0": (
                tasks_by(lambda o, y: known_sum(o, y.where(y > 0, -1)) / (y > 0).sum().clamp(min=1)),
                "class 0 left out",
            ),
            "the last class": (tasks_by(taken), "last class", "unknown"),
            "divided by the batch": (tasks_by(lambda o, y: known_sum(o, y) / len(y)), "whole batch", "unknown"),
            "a mean over nothing": (tasks_by(lambda o, y: F.cross_entropy(o[y >= 0], y[y >= 0])), "nothing known", "none"),
            "both known": (both_known, "both known", "unknown"),
            "one mean": (pooled, "pooled", "unknown"),
            "sum": (tasks_by(known_sum), "sum", "values"),
            "mean of the tasks": (lambda *a: joint(*a) / 2, "halved", "values"),
            "the left one": (lambda left, right, y, _: joint(left, left, y, y) / 2, "left alone", "values"),
            "exchanged": (lambda left, right, y, other: joint(left, right, other, y), "exchanged", "values"),
            "zeros": (
                tasks_by(lambda o, y: F.cross_entropy(o * (y >= 0)[:, None], y.clamp(min=0))),
                "zero logits",
                "unknown",
            ),
            "nothing unless both": (all_or_nothing, "all or nothing", "none"),
            "ignored, as PyTorch has it": (tasks_by(lambda o, y: F.cross_entropy(o, y)), "raises", "unknown"),
        },
    ),
    "multi_task.table": (
        {
            "as computed": READING,
            "rounded": {k: round(float(v), 2) for k, v in READING.items()},
            "tensors": {k: torch.tensor(float(v)) for k, v in READING.items()},
        },
        MISREADINGS,
    ),
    "multi_task.holm": (
        {"sort and cummax": adjusted, "loops": adjusted_loop, "a table in float64": adjusted_table},
        {
            "decisions": (lambda p: adjusted(p) <= 0.05, "decisions"),
            "as they were": (lambda p: p.clone(), "uncorrected"),
            "Bonferroni": (adjusted_by(lambda m, k: m), "bonferroni"),
            "factors turned": (adjusted_by(lambda m, k: k), "turned"),
            "from the largest down": (
                adjusted_down,
                "turned",
            ),
            "one too few": (adjusted_by(lambda m, k: m - k), "off by one"),
            "one too many": (adjusted_by(lambda m, k: m - k + 2), "off by one"),
            "Benjamini and Hochberg": (adjusted_by(lambda m, k: m / k, chain=from_behind), "false discoveries"),
            "in order of size": (adjusted_by(put=never_put_back), "sorted"),
            "argsort for rank": (
                lambda p: ((len(p) - p.argsort()) * p).clamp(max=1),
                "places mixed",
            ),
            "put back by the places": (adjusted_by(put=lambda x, places: x[places]), "places mixed"),
            "no maximum": (adjusted_by(chain=lambda x: x), "falls again", "steps"),
            "minimum from behind": (adjusted_by(chain=from_behind), "step up", "steps"),
            "above 1": (adjusted_by(cap=lambda x: x), "not capped", "capped"),
            "above 1, no maximum": (adjusted_by(cap=lambda x: x, chain=lambda x: x), "falls again", "steps"),
            "divided": (adjusted_by(lambda m, k: 1 / (m - k + 1)), "divided"),
            "only the smallest": (lambda p: torch.where(p == p.min(), len(p) * p, p).clamp(max=1), "one factor"),
            "a dict": (lambda p: {i: x.item() for i, x in enumerate(adjusted(p))}, "type"),
            "in place": (lambda p: adjusted(p.clamp_(max=0.01)), "in place"),
        },
    ),
    "multi_task.plan": (
        {
            "nine seeds": PLAN,
            "eleven seeds": {"methods": 4, "seeds": 11, "rates": 3},
            "five methods": {"rates": 3, "methods": 5, "seeds": 9},
        },
        {
            "five seeds": (PLAN | {"seeds": 5}, "wide"),
            "eight seeds": (PLAN | {"seeds": 8}, "wide"),
            "sixteen methods": (PLAN | {"methods": 16}, "budget"),
            "twelve seeds": (PLAN | {"seeds": 12}, "budget"),
            "single counted once": ({"methods": 6, "seeds": 9, "rates": 3}, "budget"),
            "one rate": (PLAN | {"rates": 1}, "one rate"),
            "three methods": (PLAN | {"methods": 3}, "few methods"),
            "half a seed": (PLAN | {"seeds": 9.5}, "whole numbers"),
            "no rates": ({"methods": 4, "seeds": 9}, "entries"),
            "a list": ([4, 9, 3], "no dict"),
        },
    ),
}  # fmt: skip
