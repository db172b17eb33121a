"""What right and known wrong answers to the tasks of chapter 05 give."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from mmteach.exercises.observe import weighing
from mmteach.exercises.task import Case, Expectation


def _wrong(values: dict[str, Any]) -> dict[str, Any]:
    """By misconception, its value or several of them."""

    def outputs(value: Any) -> dict[str, Any]:
        return {"value": value.detach().float() if isinstance(value, Tensor) else value}

    return {k: [outputs(one) for one in v] if isinstance(v, list) else outputs(v) for k, v in values.items()}


# ---- multi_task.share -------------------------------------------------------------------------------------------------


def share(case: Case) -> Expectation:
    x = case.inputs["x"]
    weights = {name: w.clone().requires_grad_(True) for name, w in case.inputs["weights"].items()}
    tasks = ("left", "right")

    def linear(name: str, value: Tensor) -> Tensor:
        return value @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def heads(h: Tensor) -> dict[str, Tensor]:
        return {task: linear(f"heads.{task}", h) for task in tasks}

    def plain(outputs: dict[str, Tensor]) -> dict[str, Any]:
        return {"value": {task: y.detach() for task, y in outputs.items()}}

    pre = linear("trunk", x)
    y = heads(pre.relu())
    right: dict[str, Any] = {"parameters": {n: list(w.shape) for n, w in sorted(weights.items())}, **plain(y)}
    wrong: dict[str, Any] = {
        "no relu": plain(heads(pre)),
        "relu behind": [plain({t: one.relu() for t, one in heads(h).items()}) for h in (pre, pre.relu())],
        "probabilities": [plain({t: f(one) for t, one in y.items()}) for f in (lambda o: o.softmax(1), lambda o: o.log_softmax(1), torch.sigmoid)],
        "heads chained": [plain({"left": y[one], "right": y[one]}) for one in tasks] + [plain({"left": y["right"], "right": y["left"]})],
        "tanh": [plain(heads(f(pre))) for f in (torch.tanh, torch.sigmoid, torch.nn.functional.gelu, torch.nn.functional.leaky_relu)],
    }  # fmt: skip
    if case.part == "gradients":
        names = sorted(weights)
        each = {t: torch.autograd.grad((one * weighing(one)).sum(), [weights[n] for n in names], retain_graph=True, allow_unused=True) for t, one in y.items()}  # fmt: skip

        def gradients(teachers: tuple[str, ...]) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for i, name in enumerate(names):
                trunk = name.startswith("trunk")
                parts = [g for t in tasks if (g := each[t][i]) is not None and (not trunk or t in teachers)]
                found[name] = sum(parts[1:], parts[0]) if parts else None
            return {"gradients": found}

        right |= gradients(tasks)
        wrong |= {"one task teaches": [gradients((t,)) for t in tasks], "frozen trunk": gradients(())}
    return Expectation(right, wrong)


# ---- multi_task.conflicts ---------------------------------------------------------------------------------------------


def conflicts(case: Case) -> Expectation:
    gradients = case.inputs["gradients"]
    columns = list(zip(*gradients))
    like = [next(g for g in column if g is not None) for column in columns]

    def jacobian(which: list[int]) -> Tensor:
        pieces = [
            [(torch.zeros_like(like[p]) if row[p] is None else row[p]).flatten().double() for p in which]
            for row in gradients
        ]
        return torch.stack([torch.cat(row) for row in pieces])  # fmt: skip

    def unit(G: Tensor) -> Tensor:
        return G / G.norm(dim=1, keepdim=True).clamp(min=1e-300)

    def cosines(which: list[int]) -> Tensor:
        return unit(jacobian(which)) @ unit(jacobian(which)).T

    every = list(range(len(like)))
    G, right = jacobian(every), cosines(every)
    lengths, dots = G.norm(dim=1), G @ G.T
    products = lengths[:, None] * lengths
    tiny = G.float()
    padded = [
        value
        for e in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6)
        for value in (
            dots / (products + e), dots / products.clamp(min=e), dots / ((lengths + e)[:, None] * (lengths + e)),
            dots / (lengths.clamp(min=e)[:, None] * lengths.clamp(min=e)), cosine_similarity(tiny[:, None], tiny[None], dim=-1, eps=e),
        )
    ]  # fmt: skip
    used = [p for p in every if all(g is not None for g in columns[p])]
    others = G.sum(0) - G
    values = {
        "mean of parameters": sum(cosines([p]) for p in every) / len(every),
        "skipped": cosines(used) if 0 < len(used) < len(every) else [],
        "one parameter": [cosines([p]) for p in every],
        "not divided": [dots, dots / G.shape[1]],
        "squares": [dots / products.square(), dots / products.sqrt()],
        "one length": [dots / lengths[:, None], dots / lengths],
        "absolute": right.abs(),
        "angle": [right.clamp(-1, 1).acos(), torch.rad2deg(right.clamp(-1, 1).acos()), 1 - right],
        "zero divided": dots / products,
        "itself": right.clone().fill_diagonal_(1.0),
        "small constant": padded,
        "others added": cosine_similarity(G, others, dim=1),
    }
    return Expectation({"value": right.float()}, _wrong(values))


# ---- multi_task.uncertainty -------------------------------------------------------------------------------------------


def uncertainty(case: Case) -> Expectation:
    L, s = (case.inputs[name].clone().requires_grad_(True) for name in ("losses", "s"))
    each = torch.exp(-s) * L / 2 + s / 2
    total = each.sum()
    right: dict[str, Any] = {"value": total.detach()}
    if case.part == "gradients":
        found = torch.autograd.grad(total * weighing(total), (L, s), retain_graph=True)
        right |= {"gradient of losses": found[0], "gradient of s": found[1]}
    e, t = torch.exp(-s) * L, len(L)
    values = {
        "no penalty": [(e / 2).sum(), e.sum()],
        "penalty whole": (e / 2 + s).sum(),
        "loss whole": (e + s / 2).sum(),
        "no halves": (e + s).sum(),
        "other sign": (torch.exp(s) * L / 2 + s / 2).sum(),
        "penalty negative": (e / 2 - s / 2).sum(),
        "variance": [(L / (2 * s.square()) + s.log()).sum(), (L / (2 * s) + s.log() / 2).sum(), (L / (2 * s.square()) + s.abs().log()).sum(), (L / s + s.log()).sum(), (L / (2 * s) + s / 2).sum()],
        "mean": total / t,
        "each": each,
        "softmax": [((-s).softmax(0) * L / 2 + s / 2).sum(), ((-s).softmax(0) * L).sum(), ((-s).softmax(0) * L + s / 2).sum()],
        "squared": [(torch.exp(-2 * s) * L / 2 + s / 2).sum(), (torch.exp(-2 * s) * L / 2 + s).sum()],
    }  # fmt: skip
    return Expectation(right, _wrong(values))


# ---- multi_task.dwa ---------------------------------------------------------------------------------------------------


def dwa(case: Case) -> Expectation:
    history, tau = case.inputs["history"].double(), case.inputs["tau"]
    tasks = history.shape[1]

    def weights(r: Tensor, tau: float = tau) -> Tensor:
        return tasks * (r / tau).softmax(0)

    even = torch.ones(tasks).double()
    if len(history) < 2:
        values: dict[str, Any] = {
            "start": [even / tasks, 0 * even, even * math.nan, *([weights(history[-1]), history[-1]] if len(history) else [])],
        }  # fmt: skip
        return Expectation({"value": even.float()}, _wrong(values))
    last, before, first, second = history[-1], history[-2], history[0], history[1]
    r = last / before
    steps = history[1:] / history[:-1]
    naive = torch.exp((last / before).float() / tau)
    values = {
        "inverted": weights(before / last),
        "helps the fast": [weights(-r), weights(1 - r)],
        "first epoch": [weights(last / first), weights(second / first), weights(first / second)],
        "difference": [weights(last - before), weights(before - last)],
        "losses": [weights(last), weights(before), weights(-last), tasks * last / last.sum()],
        "sum to one": [r.div(tau).softmax(0), r / r.sum()],
        "no softmax": [tasks * r / r.sum(), r, r / tau],
        "multiplied": weights(r * tau, 1.0),
        "no temperature": weights(r, 1.0),
        "centred by division": weights(r / r.mean()),
        "all epochs": [weights(steps.mean(0)), weights(last / history.mean(0)), weights(last / history[:-1].mean(0))],
        "waits": even if len(history) == 2 else [],
        "overflow": tasks * naive / naive.sum(),
    }
    return Expectation({"value": weights(r).float()}, _wrong(values))


# ---- multi_task.gradnorm ----------------------------------------------------------------------------------------------


def gradnorm(case: Case) -> Expectation:
    L, first, lengths, alpha = (case.inputs[name] for name in ("losses", "first", "lengths", "alpha"))
    s = case.inputs["s"].clone().requires_grad_(True)
    w = len(L) * s.softmax(0)
    share = L / first
    rate = share / share.mean()
    pulls = w * lengths
    target = pulls.mean().detach()

    def distances(goal: Tensor, pulls: Tensor = pulls) -> Tensor:
        return (pulls - goal).abs()

    def outputs(loss: Tensor) -> dict[str, Any]:
        found: dict[str, Any] = {"value": loss.detach()}
        if case.part == "gradients":
            (gradient,) = torch.autograd.grad(loss * weighing(loss), s, retain_graph=True)
            found["gradient of s"] = gradient
        return found

    good = distances(target * rate**alpha)
    inverse = (1 / share) / (1 / share).mean()
    values = {
        "rate inverted": [distances(target * inverse**alpha).sum(), distances(target * rate**-alpha).sum()],
        "rate absolute": [distances(target * one**alpha).sum() for one in (share, share / (L.mean() / first.mean()))],
        "first forgotten": [distances(target * (L / L.mean()) ** alpha).sum(), distances(target * L**alpha).sum()],
        "number of tasks": good.mean(),
        "squared": [good.square().sum(), good.square().mean()],
        "signed": (pulls - target * rate**alpha).sum(),
        "alpha factor": distances(target * rate * alpha).sum(),
        "no alpha": [distances(target * rate).sum(), distances(target.expand_as(rate)).sum()],
        "unweighted mean": distances(lengths.mean() * rate**alpha).sum(),
        "own length": distances(pulls.detach() * rate**alpha).sum(),
        "target moves": distances(pulls.mean() * rate**alpha).sum(),
    }
    right = outputs(good.sum())
    wrong = {k: [outputs(one) for one in v] if isinstance(v, list) else outputs(v) for k, v in values.items()}
    if case.part == "gradients":
        lost = [distances(pulls.mean() * rate**alpha, pulls.detach()).sum(), distances(target * rate**alpha, w.detach() * lengths).sum()]  # fmt: skip
        (gradient,) = torch.autograd.grad(lost[0] * weighing(lost[0]), s)
        wrong["nothing learns"] = [{"gradient of s": None}, {"gradient of s": gradient}]
    return Expectation(right, wrong)


# ---- multi_task.units -------------------------------------------------------------------------------------------------


def _angle(d: Tensor) -> float:
    return math.degrees(math.atan2(d[1].item(), d[0].item()))


def _rules(g: Tensor, L: Tensor) -> dict[str, Tensor]:
    """The directions of the five rules for the gradients g (2, 2) and the losses L (2)."""
    dot = (g[0] @ g[1]).clamp(max=0)
    gamma = ((g[1] - g[0]) @ g[1] / (g[0] - g[1]).square().sum()).clamp(0, 1)
    return {
        "sum": g.sum(0),
        "PCGrad": g.sum(0) - dot / (g[1] @ g[1]) * g[1] - dot / (g[0] @ g[0]) * g[0],
        "MGDA": gamma * g[0] + (1 - gamma) * g[1],
        "uncertainty": (1 / (2 * L)) @ g,
        "GradNorm": (1 / g.norm(dim=1)) @ g,
    }


def units(case: Case) -> Expectation:
    rule = case.inputs["entry"]
    g, L = torch.tensor([[1.0, 0.0], [-1.0, 1.0]]).double(), torch.tensor([0.4, 0.4]).double()
    ten = torch.tensor([10.0, 1.0]).double()
    now, unit = g * ten[:, None], L * ten
    before, after = _rules(g, L), _rules(now, unit)
    right, old = _angle(after[rule]), _angle(before[rule])
    free = rule in ("uncertainty", "GradNorm")
    sum_now = _angle(now.sum(0))
    dot = now[0] @ now[1]
    one = [now[0] - dot / (now[1] @ now[1]) * now[1] + now[1], now[0] + now[1] - dot / (now[0] @ now[0]) * now[0]]
    swapped = 0.5 * now.sum(0) * 2 - after["MGDA"]  # the shares exchanged
    values: dict[str, Any] = {
        "before": old if rule in ("sum", "PCGrad") else [],
        "stays": old if rule == "MGDA" else [],
        "follows the unit": [sum_now, _angle(after["MGDA"])] if free else [],
        "as the sum": sum_now if rule in ("PCGrad", "MGDA") else [],
        "longest": [0.0, 135.0],
        "shorter": _angle(swapped) if rule == "MGDA" else [],
        "one projected": [_angle(d) for d in one] if rule == "PCGrad" else [],
        "radians": math.radians(right),
        "squares": [_angle((1 / unit**2) @ now), _angle((1 / unit.sqrt()) @ now), _angle((1 / now.norm(dim=1) ** 2) @ now)] if free else [],
        "other axis": [90 - right, 180 - right, -right],
    }  # fmt: skip
    return Expectation({"value": right}, _wrong(values))


# ---- multi_task.pcgrad ------------------------------------------------------------------------------------------------


def pcgrad(case: Case) -> Expectation:
    g = case.inputs["g"].double()
    tasks = len(g)

    def cut(
        when: str = "conflict", cutter: str = "original", by: str = "squared", meetings: int = tasks, keep: str = "rest", sign: float = 1.0
    ) -> Tensor:  # fmt: skip
        v = g.clone()
        for i in range(tasks):
            for j in [j for j in range(tasks) if j != i][:meetings]:
                other = v[j] if cutter == "updated" else g[j]
                mine = g[i] if cutter == "at once" else v[i]
                dot = mine @ other
                if not {"conflict": dot < 0, "always": True, "agree": dot > 0}[when]:
                    continue
                length = {"squared": other @ other, "once": other.norm(), "own": mine @ mine}[by]
                part = dot / length.clamp(min=1e-12) * other
                if keep == "rest":
                    v[i] = v[i] - sign * part
                else:
                    v[i] = part if keep == "part" else 0 * v[i]
        return v

    v = cut()
    d = v.sum(0)
    alone = g.clone()
    alone[0] = v[0]
    conflict = g @ g.T < 0
    decided = g.clone()
    for i in range(tasks):
        for j in range(tasks):
            if conflict[i, j]:
                decided[i] = decided[i] - (decided[i] @ g[j]) / (g[j] @ g[j]).clamp(min=1e-12) * g[j]
    values = {
        "already cut": cut(cutter="updated").sum(0),
        "all at once": [cut(cutter="at once").sum(0), decided.sum(0)],
        "one meeting": [cut(meetings=1).sum(0), alone.sum(0)],
        "always": cut("always").sum(0),
        "where they agree": cut("agree").sum(0),
        "not squared": cut(by="once").sum(0),
        "own length": cut(by="own").sum(0),
        "reversed": cut(sign=-1.0).sum(0),
        "whole": cut(keep="nothing").sum(0),
        "projection": cut(keep="part").sum(0),
        "mean": d / tasks,
        "one task": [v[i] for i in range(tasks)],
        "plain sum": [g.sum(0), g.mean(0)],
        "table": v,
    }
    return Expectation({"value": d.float()}, _wrong(values))


# ---- multi_task.mgda --------------------------------------------------------------------------------------------------


def mgda(case: Case) -> Expectation:
    a, b = case.inputs["g1"].double(), case.inputs["g2"].double()
    apart = (a - b).square().sum()
    equal = apart.item() == 0

    def mix(share: Tensor) -> Tensor:
        return share * a + (1 - share) * b

    raw = (b - a) @ b / (apart if not equal else torch.tensor(1.0).double())
    share = raw.clamp(0, 1)
    right = a if equal else mix(share)
    unit = [one / one.norm() for one in (a, b)]
    values: dict[str, Any] = {
        "zero": torch.full_like(a, torch.nan) if equal else [],
        "uncut": mix(raw),
        "swapped": [mix(1 - share), mix(1 - raw)],
        "turned": mix((-raw).clamp(0, 1)),
        "not squared": mix((raw * apart.sqrt()).clamp(0, 1)),
        "other numerator": [mix(((b - a) @ a / apart).clamp(0, 1)), mix((b @ b / apart).clamp(0, 1)), mix((a @ b / apart).clamp(0, 1))],
        "half": (a + b) / 2,
        "sum": a + b,
        "bisector": [unit[0] + unit[1], (unit[0] + unit[1]) / 2],
        "share": share,
        "shorter": a if a.norm() < b.norm() else b,
    }  # fmt: skip
    return Expectation({"value": right.float()}, _wrong(values))


# ---- multi_task.labels ------------------------------------------------------------------------------------------------


def labels(case: Case) -> Expectation:
    x = case.inputs
    logits = {name: x[name].clone().requires_grad_(True) for name in ("left", "right")}
    y = {name: x[f"y_{name}"] for name in ("left", "right")}
    batch, classes = x["left"].shape
    known = {name: y[name] >= 0 for name in y}

    def costs(name: str, rows: Tensor, label: Tensor | None = None, table: Tensor | None = None) -> Tensor:
        table = logits[name] if table is None else table
        return cross_entropy(table[rows], (y[name] if label is None else label)[rows], reduction="none")

    def mean(cost: Tensor) -> Tensor:
        return cost.sum() / max(1, len(cost))

    each = {name: costs(name, known[name]) for name in y}
    parts = {name: mean(each[name]) for name in y}
    loss = parts["left"] + parts["right"]
    right: dict[str, Any] = {"value": loss.detach()}
    if case.part != "values":
        found = torch.autograd.grad(loss, list(logits.values()), retain_graph=True, allow_unused=True)
        for name, gradient in zip(logits, found):
            right[f"gradient of {name}"] = torch.zeros_like(x[name]) if gradient is None else gradient
    true = torch.ones(batch, dtype=torch.bool)
    both = known["left"] & known["right"]
    nothing = not (known["left"].any() and known["right"].any())
    shut = {name: logits[name].masked_fill(~known[name][:, None], 0) for name in y}
    values = {
        "class 0": sum(costs(name, true, y[name].clamp(min=0)).mean() for name in y),
        "class 0 left out": sum(mean(costs(name, y[name] > 0)) for name in y),
        "last class": sum(costs(name, true, y[name] % classes).mean() for name in y),
        "zero logits": sum(costs(name, true, y[name].clamp(min=0), shut[name]).mean() for name in y),
        "whole batch": sum(one.sum() / batch for one in each.values()),
        "nothing known": [loss * torch.nan, torch.tensor(torch.inf)] if nothing else [],
        "all or nothing": loss * 0 if nothing else [],
        "both known": [sum(mean(costs(name, both)) for name in y), sum(costs(name, both).mean() for name in y)],
        "pooled": [sum(one.sum() for one in each.values()) / max(1, sum(len(one) for one in each.values())),
                   2 * sum(one.sum() for one in each.values()) / max(1, sum(len(one) for one in each.values()))],
        "sum": sum(one.sum() for one in each.values()),
        "halved": loss / 2,
        "left alone": [parts["left"], parts["right"]],
        "exchanged": sum(mean(costs(name, known[other], y[other])) for name, other in (("left", "right"), ("right", "left"))),
    }  # fmt: skip
    return Expectation(right, _wrong(values))


# ---- multi_task.table -------------------------------------------------------------------------------------------------


@functools.cache
def _accuracies() -> dict[str, list[float]]:
    """By method, its mean test accuracy on each of the first four seeds."""
    from mmteach.recipes import stored

    table, _ = stored("multitask-methods")
    first = table[table.seed < 4].sort_values("seed")
    return {str(name): rows["mean"].tolist() for name, rows in first.groupby("model")}


def table(case: Case) -> Expectation:
    import numpy as np
    from scipy.special import stdtrit  # a fraction of the time that scipy.stats takes to import

    points = {name: 100 * np.array(row) for name, row in _accuracies().items()}
    joint = [name for name in points if name != "single"]
    d = points["single"] - points["equal"]
    n, gain, error = len(d), d.mean(), d.std(ddof=1) / len(d) ** 0.5
    t = stdtrit(n - 1, 0.975)
    twins = points["PCGrad"] - points["UPGrad"]
    apart = float(np.abs(twins).max())

    def winners(among: list[str]) -> list[str]:
        return [max(among, key=lambda name: points[name][seed]) for seed in range(n)]

    unpaired = (points["single"].var(ddof=1) / n + points["equal"].var(ddof=1) / n) ** 0.5
    low = float(gain - t * error)
    entry = case.inputs["entry"]
    right = {"gain": float(gain), "low": low, "twins": apart, "winners": len(set(winners(joint)))}[entry]
    wrong: dict[str, dict[str, Any]] = {
        "gain": {"other way": -float(gain), "fraction": float(gain) / 100},
        "low": {
            "fraction": low / 100,
            "normal": float(gain - 1.96 * error),
            "unpaired": [float(gain - q * unpaired) for q in (stdtrit(2 * n - 2, 0.975), t, 1.96)],
            "spread": [float(gain - q * error * n**0.5) for q in (t, 1.96, 1.0)],
            "divided by n": float(gain - t * d.std() / n**0.5),
            "high": float(gain + t * error),
            "other way": -float(gain) - float(t * error),
        },
        "twins": {"fraction": apart / 100, "mean twins": [abs(float(twins.mean())), float(np.abs(twins).mean())], "signed": -apart},
        "winners": {"single counts": len(set(winners(list(points)))), "seeds": n, "one winner": 1},
    }  # fmt: skip
    return Expectation({"value": right}, _wrong(wrong[entry]))


# ---- multi_task.holm --------------------------------------------------------------------------------------------------


def holm(case: Case) -> Expectation:
    p = case.inputs["p"].double()
    m = len(p)
    order = p.argsort()
    sizes, rank = p[order], torch.arange(1, m + 1).double()

    def back(x: Tensor) -> Tensor:
        found = torch.empty_like(x)
        found[order] = x
        return found

    def down(factors: Tensor) -> Tensor:
        return (factors * sizes).clamp(max=1).cummax(0).values

    def up(x: Tensor) -> Tensor:
        return x.clamp(max=1).flip(0).cummin(0).values.flip(0)

    factors = m - rank + 1
    right = down(factors)
    confused = (m - order) * p  # argsort taken for the rank
    held = torch.empty_like(p)
    held[order] = (m - order).double() * p[order]
    values = {
        "uncorrected": p,
        "bonferroni": [(m * p).clamp(max=1), m * p],
        "turned": [back((rank * sizes).clamp(max=1).flip(0).cummax(0).values.flip(0)), back(down(rank)), back((rank * sizes).clamp(max=1)), back(rank * sizes)],
        "off by one": [back(down(m - rank)), back(down(factors + 1)), back(((m - rank) * sizes).clamp(max=1)), back(((factors + 1) * sizes).clamp(max=1))],
        "false discoveries": [back(up(sizes * m / rank)), back((sizes * m / rank).clamp(max=1)), back(sizes * m / rank)],
        "sorted": right,
        "places mixed": [confused, confused.clamp(max=1), held, held.clamp(max=1), right[order], confused.clamp(max=1).cummax(0).values],
        "falls again": [back((factors * sizes).clamp(max=1)), back(factors * sizes)],
        "step up": back(up(factors * sizes)),
        "not capped": [back((factors * sizes).cummax(0).values), back(factors * sizes)],
        "divided": [back(sizes / factors), back((sizes / factors).cummax(0).values), p / m],
        "one factor": [(p * (m - 1)).clamp(max=1), (p * m / 2).clamp(max=1), torch.where(p == sizes[0], m * p, p).clamp(max=1)],
    }  # fmt: skip
    return Expectation({"value": back(right).float()}, _wrong(values))


# ---- multi_task.plan --------------------------------------------------------------------------------------------------


def plan(case: Case) -> Expectation:
    """Many plans are right: what is broken is noticed by the task itself."""
    return Expectation({})


EXPECT = {
    "multi_task.share": share,
    "multi_task.conflicts": conflicts,
    "multi_task.uncertainty": uncertainty,
    "multi_task.dwa": dwa,
    "multi_task.gradnorm": gradnorm,
    "multi_task.units": units,
    "multi_task.pcgrad": pcgrad,
    "multi_task.mgda": mgda,
    "multi_task.labels": labels,
    "multi_task.table": table,
    "multi_task.holm": holm,
    "multi_task.plan": plan,
}
