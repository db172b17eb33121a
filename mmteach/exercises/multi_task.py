"""The tasks of chapter 05, Multi-task learning. Their references are in mmteach.exercises.references.multi_task."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmteach.exercises import guard, observe
from mmteach.exercises.draws import Draw
from mmteach.exercises.task import Case, Observed, Task
from mmteach.exercises.wire import plain


def _entry_run(answer: Any, case: Case) -> Observed:
    return observe.entry(answer, case.inputs["entry"])


# ---- multi_task.share -------------------------------------------------------------------------------------------------


def _share_cases(seed: int) -> list[Case]:
    draw = Draw(seed)
    cases = []
    for part, batch, what in (("values", 4, ""), ("values", 1, "a batch of one"), ("gradients", 4, "gradients")):
        inputs, hidden = draw.whole(4, 5), draw.whole(6, 7)
        left, right = draw.whole(2, 3), draw.whole(4, 5)
        shapes = {"trunk": (hidden, inputs), "heads.left": (left, hidden), "heads.right": (right, hidden)}
        weights = {f"{name}.weight": draw.normal(*shape) for name, shape in shapes.items()}
        weights |= {f"{name}.bias": draw.normal(shape[0]) for name, shape in shapes.items()}
        given = {"sizes": [inputs, hidden, {"left": left, "right": right}], "weights": weights, "x": draw.normal(batch, inputs)}  # fmt: skip
        cases.append(Case(part, given, what))
    return cases


def _share_run(answer: Any, case: Case) -> Observed:
    """As `observe.module`, for a module that answers with a dict."""
    if not callable(answer):
        return observe.value(answer) | {"not callable": True}
    torch.manual_seed(guard.SEED)
    built = answer(*case.inputs["sizes"])
    if not isinstance(built, nn.Module):
        return {"outputs": {"value": plain(built)}, "no module": type(built).__name__}
    weights = case.inputs["weights"]
    own = dict(built.named_parameters())
    shapes = {name: list(p.shape) for name, p in sorted(own.items())}
    if shapes != {name: list(w.shape) for name, w in sorted(weights.items())}:
        return {"outputs": {"parameters": shapes}}
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])
    seen = observe.function(built, {"x": case.inputs["x"]})
    seen["outputs"]["parameters"] = shapes
    found = built(case.inputs["x"].clone())
    if case.part == "gradients" and isinstance(found, dict):
        scalar = sum((y * observe.weighing(y)).sum() for y in found.values() if isinstance(y, Tensor))
        if isinstance(scalar, Tensor) and scalar.requires_grad:
            built.zero_grad()
            scalar.backward()
        seen["outputs"]["gradients"] = {n: None if p.grad is None else plain(p.grad) for n, p in sorted(own.items())}
    return seen


def _share_notice(case: Case, seen: Observed) -> str | None:
    shapes = seen.get("outputs", {}).get("parameters")
    if not isinstance(shapes, dict):
        return None

    def count(shapes: Any) -> int:
        return sum(int(torch.Size(shape).numel()) for shape in shapes)

    weights = {name: tuple(w.shape) for name, w in case.inputs["weights"].items()}
    trunk = count(shape for name, shape in weights.items() if name.startswith("trunk"))
    found, whole = count(shapes.values()), count(weights.values())
    if found == whole + trunk:
        return "a trunk each"
    return "heads lost" if found == trunk else None


SHARE = Task(
    name="multi_task.share",
    title="One trunk, a head a task",
    answer="Shared",
    kind="implement",
    minutes=15,
    difficulty=1,
    parts={"values": 3, "gradients": 1},
    prompt=r"""
Hard sharing (Caruana 1993) in its plainest form,

$$ h = \operatorname{ReLU}(W x + b), \qquad y_k = W_k h + b_k \quad\text{for each task } k . $$

Write it as a module: `Shared(inputs, hidden, tasks)`, where `tasks` is a dict such as `{"left": 10, "right": 10}`: by task, its number of classes. Called with $x$ of shape
$(B, \text{inputs})$ it gives a dict by task of logits $(B, \text{classes})$. Name the linear layer that is shared `trunk`, and keep those of the tasks in `heads`, by task, so that the check can
give them weights of its own.""",
    hints=(
        "Count the parameters on paper first: one trunk, whatever the number of tasks.",
        "A plain Python dict hides its modules from `parameters()`, and so from the optimiser. Which class of PyTorch is a dict of modules?",
        "Compute $h$ once, then one dict with an entry a task.",
    ),
    links=("1 · Two questions about one picture",),
    cases=_share_cases,
    run=_share_run,
    notice=_share_notice,
    misconceptions={
        "a trunk each": "each task has a trunk of its own: nothing that one task learns can reach the other",
        "heads lost": "the heads are no parameters of the module, so no optimiser will ever train them",
        "no relu": "trunk and head are one linear map: something is missing between the two",
        "relu behind": "the logits have lost what is below 0: where does the ReLU stand?",
        "probabilities": "these are probabilities or their logarithms; the logits are asked for, as they come from the heads",
        "one task teaches": "the trunk learns from one task alone: the gradient of the other stops before it",
        "frozen trunk": "the trunk learns from no task: its gradient stops before it",
        "heads chained": "the tasks' logits are all made by one head, or by one after the other; each reads the trunk alone",
        "tanh": "another function than the ReLU stands between trunk and heads",
    },
    blocks=("mmteach.multitask.sharing",),
)

# ---- multi_task.conflicts ---------------------------------------------------------------------------------------------


def _conflicts_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def gradients(tasks: int) -> list[list[Tensor | None]]:
        shared = [draw.normal(3, 2), draw.normal(4), draw.normal(2, 2)]
        sizes = (1.0, 3.0, 0.3)  # the parameters' gradients are of different size, and so are the tasks'
        rows: list[list[Tensor | None]] = []
        for k in range(tasks):
            sign = -1.0 if k == 1 else 1.0
            row = [(sign * one + draw.normal(*one.shape)) * size * (k + 0.6) for one, size in zip(shared, sizes)]
            rows.append(list(row))
        return rows

    two, three, unused, small = gradients(2), gradients(3), gradients(3), gradients(2)
    unused[0][1] = unused[1][1] = None
    unused[2][0] = None
    tiny: list[list[Tensor | None]] = [[None if g is None else g * 1e-10 for g in row] for row in small]
    zero: list[list[Tensor | None]] = [*gradients(2), [torch.zeros(3, 2), torch.zeros(4), torch.zeros(2, 2)]]
    return [
        Case("values", {"gradients": three}),
        Case("values", {"gradients": two}, "two tasks"),
        Case("unused", {"gradients": unused}, "parameters that a task does not use"),
        Case("small", {"gradients": tiny}, "gradients of the size 1e-10"),
        Case("small", {"gradients": zero}, "a task whose gradient is zero"),
    ]


def _conflicts_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


CONFLICTS = Task(
    name="multi_task.conflicts",
    title="Do the tasks pull the same way?",
    answer="conflicts",
    kind="implement",
    minutes=20,
    difficulty=2,
    parts={"values": 2, "unused": 1, "small": 1},
    prompt=r"""
`torch.autograd.grad(L_k, parameters, allow_unused=True)` gives one gradient a shared parameter, and `None` for a parameter that the task does not use. Write
`conflicts(gradients)`: a list with such a list for each of $T$ tasks. It gives the table $(T, T)$ of cosines

$$ \cos_{ij} = \frac{g_i \cdot g_j}{\lVert g_i \rVert\, \lVert g_j \rVert}, $$

where $g_k$ holds **all** parameters' gradients of task $k$ in one row; a parameter that the task does not use has the gradient 0. Each parameter is used by at least one task. Gradients of trained
networks may be as small as $10^{-10}$, and that changes no angle. A zero gradient has the cosine 0 with everything, itself included.""",
    hints=(
        "First the Jacobian: a row a task, a column a number. `None` needs the shape that another task's gradient has.",
        "Divide each row by its length; then all cosines are one matrix product.",
        "The library's own functions add a small constant to the lengths: compare it with $10^{-10}$. Dividing by zero is avoided by a bound as small as the numbers that float32 holds.",
    ),
    links=("2 · Do the tasks pull the same way?",),
    cases=_conflicts_cases,
    run=_conflicts_run,
    misconceptions={
        "mean of parameters": "each parameter has a cosine of its own here, and they are averaged: long gradients count no more than short ones",
        "one parameter": "only one of the parameters is looked at",
        "not divided": "these are inner products: the lengths of the gradients are still in them",
        "squares": "the inner products are divided by squares of lengths",
        "one length": "only one of the two lengths is divided by",
        "absolute": "the sign is lost: it is what tells conflict from help",
        "angle": "this is the angle, or one minus the cosine",
        "skipped": "a parameter that one task does not use is left out for the others as well",
        "small constant": "a small constant beside the lengths is larger than these gradients are: the angle is lost",
        "zero divided": "a zero gradient is divided by its length",
        "itself": "a zero gradient has no direction, not even its own: its cosine with itself is 0 here",
        "others added": "the gradients of the other tasks are added up first; every pair of tasks has a cosine",
    },
    blocks=("mmteach.multitask.jacobian",),
)

# ---- multi_task.uncertainty -------------------------------------------------------------------------------------------


def _uncertainty_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, tasks: int, what: str = "") -> Case:
        s = draw.uniform(tasks, low=0.3, high=1.2)
        s[0] = -draw.number(0.4, 1.0)
        return Case(part, {"losses": draw.uniform(tasks, low=0.2, high=3.0), "s": s}, what)

    return [case("values", 3), case("values", 2, "two tasks"), case("gradients", 3, "gradients")]


def _uncertainty_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, gradients=("losses", "s") if case.part == "gradients" else ())


UNCERTAINTY = Task(
    name="multi_task.uncertainty",
    title="Weights that are learned from the noise",
    answer="weighted",
    kind="implement",
    minutes=10,
    difficulty=1,
    parts={"values": 3, "gradients": 1},
    prompt=r"""
Write uncertainty weighting (Kendall, Gal and Cipolla 2018), `weighted(losses, s)`: the losses $L$ $(T)$ of the tasks, and the learned $s_k = \log \sigma_k^2$ $(T)$. It gives one number,

$$ L = \sum_k \Big( \tfrac12 e^{-s_k} L_k + \tfrac12 s_k \Big), $$

with a gradient for the losses, which train the network, and for $s$, which is trained beside it. Then answer for yourself: where does $s_k$ settle, and which weight has a task then whose loss is given in
millimetres instead of metres?""",
    hints=(
        "One line. $s$ is the *logarithm* of the variance, so that it may be below 0.",
        "Set the derivative with respect to $s_k$ to zero before you run anything.",
        "`torch.exp(-s)`, a sum over the tasks, and two factors of one half.",
    ),
    links=("4 · Weigh the losses",),
    cases=_uncertainty_cases,
    run=_uncertainty_run,
    misconceptions={
        "no penalty": "nothing keeps s from growing for ever, and all weights from going to 0",
        "penalty whole": "a factor of one half is missing in the term that holds s alone",
        "loss whole": "a factor of one half is missing before the losses",
        "no halves": "both factors of one half are missing",
        "other sign": "the noisier a task is, the more it counts here: follow the sign of the exponent",
        "penalty negative": "the second term rewards noise: look at its sign",
        "variance": "here s is the variance or the spread itself; it is to be the logarithm, which may be below 0",
        "mean": "the tasks are averaged, and their sum is asked for",
        "each": "one number is asked for, the sum over the tasks",
        "softmax": "the weights compete with each other here; each follows from its own s",
        "squared": "the exponent is doubled: s is the logarithm of the variance, not of the spread",
    },
    blocks=("mmteach.multitask.weighting",),
)

# ---- multi_task.dwa ---------------------------------------------------------------------------------------------------


def _dwa_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def history(epochs: int, tasks: int) -> Tensor:
        """Losses that fall at different speed, of one task hardly, from different beginnings."""
        first = (torch.linspace(0.7, 2.5, tasks) + draw.uniform(tasks, high=0.2))[draw.permutation(tasks)]
        speed = (torch.linspace(0.5, 0.95, tasks) + draw.uniform(tasks, low=-0.04, high=0.04))[draw.permutation(tasks)]
        epoch = torch.arange(epochs)[:, None]
        return first * speed ** (epoch * (1 + 0.15 * epoch)) * draw.uniform(epochs, tasks, low=0.93, high=1.07)

    return [
        Case("values", {"history": history(4, 3), "tau": draw.number(0.3, 0.6)}),
        Case("values", {"history": history(3, 4), "tau": draw.number(1.5, 2.5)}, "four tasks"),
        Case("start", {"history": history(1, 3), "tau": 2.0}, "one finished epoch"),
        Case("start", {"history": torch.zeros(0, 3), "tau": 2.0}, "no finished epoch"),
        Case("start", {"history": history(2, 3), "tau": draw.number(0.3, 0.6)}, "two finished epochs"),
        Case("extremes", {"history": history(3, 3), "tau": 0.004}, "a temperature of 0.004"),
    ]


def _dwa_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


DWA = Task(
    name="multi_task.dwa",
    title="More for whoever is stuck",
    answer="averaged",
    kind="implement",
    minutes=15,
    difficulty=1,
    parts={"values": 2, "start": 1, "extremes": 1},
    prompt=r"""
Write the weights of dynamic weight average (Liu, Johns and Davison 2019) for the epoch that begins now, `averaged(history, tau)`: `history` $(E, T)$ holds the mean loss of each of $T$ tasks in each of the
$E$ epochs that are finished, the oldest first. It gives a tensor $(T)$,

$$ w = T\, \mathrm{softmax}\!\left(\frac{r}{\tau}\right), \qquad r_k = \frac{L_k^{(E)}}{L_k^{(E-1)}}, $$

where $L^{(E)}$ is the last finished epoch and $L^{(E-1)}$ the one before. As long as fewer than two are finished every task has the weight 1. The weights stay finite, and right, at $\tau = 0.004$. What do they become there,
and what for a very large $\tau$? Which change of a loss's unit do they notice?""",
    hints=(
        "A loss that fell by half has the rate 0.5, one that stands still has 1. Which of the two is to get more weight?",
        "`history[-1]` and `history[-2]` are the last two rows. Ask first how many rows there are.",
        "$e^{250}$ is infinite in float32. PyTorch's softmax takes off the largest number before it takes any exponential.",
    ),
    links=("4 · Weigh the losses",),
    cases=_dwa_cases,
    run=_dwa_run,
    misconceptions={
        "inverted": "the rate stands upside down: here a loss that fell by half has the rate 2",
        "helps the fast": "the task whose loss fell most gets most weight; it needs it least",
        "first epoch": "the last epoch is compared with the first one, or the first two with each other; the last two are asked for",
        "difference": "this takes how much a loss fell; a loss in millimetres then counts for more than one in metres",
        "losses": "the losses themselves are compared: a task counts by how large its loss is and not by how slowly it falls",
        "sum to one": "the weights sum to 1; they are to sum to the number of tasks, so that the whole step stays as long",
        "no softmax": "the rates are shared out as they are; a softmax stands between rates and weights",
        "multiplied": "a small temperature is to make the weights more unequal, and here it makes them more equal",
        "no temperature": "the temperature has no effect",
        "centred by division": "the rates are divided by their mean before the softmax, as another method does",
        "all epochs": "a mean over more epochs than the last two is taken",
        "start": "with fewer than two finished epochs there is no rate, and every task has the weight 1",
        "waits": "two finished epochs are enough for a rate, and here every task still has the same weight",
        "overflow": "at a low temperature the weights are no numbers: an exponential has become infinite",
    },
    blocks=("mmteach.multitask.weighting",),
)

# ---- multi_task.gradnorm ----------------------------------------------------------------------------------------------


def _gradnorm_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, tasks: int, alpha: float, what: str = "") -> Case:
        order = draw.permutation(tasks)
        inputs = {
            "losses": (torch.linspace(0.3, 1.4, tasks) + draw.uniform(tasks, high=0.15))[order],
            "first": (torch.linspace(2.4, 0.9, tasks) + draw.uniform(tasks, high=0.2))[draw.permutation(tasks)],
            "lengths": (torch.linspace(0.5, 4.0, tasks) + draw.uniform(tasks, high=0.2))[draw.permutation(tasks)],
            "s": draw.normal(tasks, scale=0.4),
            "alpha": alpha,
        }
        return Case(part, inputs, what)

    return [
        case("values", 3, draw.number(0.5, 1.0)),
        case("values", 4, draw.number(1.3, 1.8), "four tasks"),
        case("gradients", 3, draw.number(0.5, 1.0), "gradients"),
        case("gradients", 4, draw.number(1.3, 1.8), "gradients of four tasks"),
    ]


def _gradnorm_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, gradients=("s",) if case.part == "gradients" else ())


GRADNORM = Task(
    name="multi_task.gradnorm",
    title="A target for the gradients' lengths",
    answer="gradnorm",
    kind="implement",
    minutes=25,
    difficulty=3,
    parts={"values": 3, "gradients": 2},
    prompt=r"""
Write the loss that GradNorm (Chen et al. 2018) teaches its weights by, `gradnorm(losses, first, lengths, s, alpha)`: the losses $L_k$ now, those of the first step $L_k(0)$, the lengths
$\lVert g_k \rVert$ of the tasks' gradients, and the learned $s$, $(T)$ each. It gives one number,

$$ \begin{gathered}\sum_k \Big|\; w_k \lVert g_k\rVert - \bar G\, r_k^{\alpha} \;\Big|, \qquad w = T\, \mathrm{softmax}(s),\\
\bar G = \frac1T \sum_k w_k \lVert g_k \rVert, \qquad r_k = \frac{L_k / L_k(0)}{\frac1T \sum_j L_j / L_j(0)} .\end{gathered} $$

The target $\bar G r_k^\alpha$ is held **fixed**: it depends on $s$, and yet no gradient runs through it. Why would the weights learn something else if one did?""",
    hints=(
        "Four lines, one for each of the four formulas: weights, weighted lengths, rates, distances.",
        "$r_k$ is 1 for a task that has kept the same share of its first loss as the average. Check yourself with equal shares.",
        "`detach()` belongs to the target alone. The lengths in the first term must keep their gradient.",
    ),
    links=("4 · Weigh the losses",),
    cases=_gradnorm_cases,
    run=_gradnorm_run,
    misconceptions={
        "rate inverted": "a task that lags behind gets the smaller target: which of the two losses stands above the fraction bar?",
        "rate absolute": "each task's share of its first loss is to be compared with the mean of these shares: slow is what is slower than the others",
        "first forgotten": "the losses are compared as they are; each is to be measured by where it began",
        "number of tasks": "all is right but for a factor, the number of tasks: what do the weights sum to, and are the distances added or averaged?",
        "squared": "the distances are squared",
        "signed": "what is above and what is below its target cancel: a distance has no sign",
        "alpha factor": "alpha is a power, and not a factor",
        "no alpha": "alpha has no effect",
        "unweighted mean": "the mean length is that of the gradients without their weights",
        "own length": "each task is compared with its own length instead of with the mean of all",
        "target moves": "the target follows the weights: its gradient is to be cut, and then the weights go to the target",
        "nothing learns": "no gradient arrives at s, or a part of it is lost: what is detached besides the target?",
    },
    blocks=("mmteach.multitask.weighting",),
)

# ---- multi_task.units -------------------------------------------------------------------------------------------------

UNITS = ("sum", "PCGrad", "MGDA", "uncertainty", "GradNorm")


def _units_cases(seed: int) -> list[Case]:
    return [Case(entry, {"entry": entry}, f"the entry {entry!r}") for entry in UNITS]


UNITS_TASK = Task(
    name="multi_task.units",
    title="Somebody changes the unit of one loss",
    answer="angles",
    kind="predict",
    minutes=20,
    difficulty=2,
    parts=dict.fromkeys(UNITS, 1),
    prompt=r"""
Two tasks, two shared parameters: $g_1 = (1, 0)$ and $g_2 = (-1, 1)$ are their gradients, $L_1 = L_2 = 0.4$ their losses. Then somebody gives the first loss in another unit: it and
its gradient are **ten times** as large. **First predict** on paper the direction $d$ that each rule makes *after* the change, **then** compute it. Answer with a dict of angles between $d$
and the axis of the first parameter, in degrees between 0 and 180, to one decimal:

- `"sum"`: $g_1 + g_2$;
- `"PCGrad"`;
- `"MGDA"`;
- `"uncertainty"`: the weights at the optimum of $s$;
- `"GradNorm"`: $\alpha = 0$, once the weights have settled.

Before the change the five angles are 90.0, 71.6, 63.4, 90.0 and 67.5 degrees: check that first. Which rules do not notice the change at all?""",
    hints=(
        "Draw the two arrows. A change of unit makes one of them longer, and turns neither.",
        "PCGrad's projections depend on directions, and what is added up afterwards on lengths. MGDA looks for the point of a line nearest to 0: where is it when one end is far away?",
        "At its optimum uncertainty weighs a task by $1/(2L_k)$. GradNorm with $\\alpha = 0$ makes the weighted gradients equally long. `math.atan2` gives angles.",
    ),
    links=("Whose answer depends on the unit?", "5 · Operate on the gradients", "4 · Weigh the losses"),
    cases=_units_cases,
    run=_entry_run,
    misconceptions={
        "before": "this is the angle before the change of unit; has the rule a way not to notice it?",
        "follows the unit": "this rule takes the unit out again: look at what it divides by",
        "as the sum": "this is the angle of the plain sum; the gradients are in conflict, and the rule does something about it",
        "stays": "this is the angle before the change, and this rule is not free of units",
        "longest": "this is the direction of one task alone",
        "shorter": "the shortest mixture leans towards the other one of the two",
        "radians": "this is in radians, and degrees are asked for",
        "one projected": "only one of the two gradients is projected here; each starts from its own and meets the other",
        "other axis": "the angle is measured from the other axis, or to the other side",
        "squares": "the weights take out the unit once too often or too seldom",
    },
    rtol=0.0,
    atol=0.11,
)

# ---- multi_task.pcgrad ------------------------------------------------------------------------------------------------


def _pcgrad_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def apart(degrees: list[float]) -> Tensor:
        """Gradients in a plane at these angles, of different lengths, turned at random in four dimensions."""
        angles = torch.deg2rad(torch.tensor(degrees) + draw.uniform(len(degrees), low=-4, high=4))
        plane = torch.linalg.qr(draw.normal(4, 4).double())[0][:2].float()
        lengths = torch.linspace(0.7, 2.0, len(degrees))[draw.permutation(len(degrees))]
        return lengths[:, None] * torch.stack([angles.cos(), angles.sin()], 1) @ plane

    return [
        Case("two", {"g": apart([0.0, 130.0])}, "two tasks in conflict"),
        Case("two", {"g": apart([0.0, 55.0])}, "two tasks that agree"),
        Case("three", {"g": apart([0.0, 112.0, 236.0])}, "three tasks, all in conflict"),
        Case("three", {"g": apart([0.0, 140.0, 205.0])}, "three tasks, some of them in conflict"),
    ]


def _pcgrad_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


PCGRAD = Task(
    name="multi_task.pcgrad",
    title="Cut out what conflicts",
    answer="pcgrad",
    kind="implement",
    minutes=20,
    difficulty=2,
    parts={"two": 2, "three": 2},
    prompt=r"""
Write PCGrad (Yu et al. 2020), `pcgrad(g)`: the gradients of $T$ tasks, $(T, P)$, give one direction $(P)$. Every task starts from its own gradient, $v = g_i$, and meets the others one after the other, here
in the order $j = 0, 1, \dots, T-1$ (without $i$ itself), so that the check can compare. At each meeting, **where $v \cdot g_j < 0$**,

$$ v \leftarrow v - \frac{v \cdot g_j}{\lVert g_j \rVert^2}\, g_j . $$

The $g_j$ are always the original ones. $d$ is the sum of what the tasks are left with. Then try it: for which numbers of tasks can $d$ still hurt one of them?""",
    hints=(
        "Two loops, and a copy of the gradients that you may change.",
        "What must stay as it was while the copy changes? Name the two differently.",
        "Check yourself with two tasks: $v \\cdot g_j$ is 0 after a meeting in conflict, and nothing happens without one.",
    ),
    links=("5 · Operate on the gradients",),
    cases=_pcgrad_cases,
    run=_pcgrad_run,
    misconceptions={
        "always": "gradients that agree are projected too: nothing of what they have in common is left",
        "where they agree": "what the tasks agree on is cut out, and the conflict stays",
        "already cut": "a task meets what is left of the others; it is to meet their original gradients",
        "all at once": "what is cut, or whether anything is, follows from the gradient a task began with; its second meeting sees what the first has left",
        "one meeting": "a task meets only one of the others; each meets them all",
        "not squared": "the projection is divided by the length once; twice is needed",
        "own length": "the projection is divided by the length of the wrong one of the two",
        "reversed": "the conflict has grown: look at the sign of what is taken away",
        "whole": "a gradient in conflict is dropped altogether; only the part that conflicts is to go",
        "projection": "what is kept is the part that conflicts",
        "mean": "the tasks are averaged, and their sum is asked for",
        "one task": "this is what one of the tasks is left with; the sum over all is asked for",
        "plain sum": "this is the plain sum: nothing was cut",
        "table": "one direction is asked for, the sum over the tasks",
    },
    blocks=("mmteach.multitask.gradients.surgery",),
)

# ---- multi_task.mgda --------------------------------------------------------------------------------------------------


def _mgda_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def pair(long: float, short: float, degrees: float) -> tuple[Tensor, Tensor]:
        """Two gradients of these lengths at this angle, somewhere in five dimensions."""
        base = torch.linalg.qr(draw.normal(5, 5).double())[0][:2].float()
        angle = torch.deg2rad(torch.tensor(degrees))
        return long * base[0], short * (angle.cos() * base[0] + angle.sin() * base[1])

    g1, g2 = pair(draw.number(0.27, 0.35), draw.number(0.55, 0.7), draw.number(100, 140))
    long, short = pair(draw.number(3.0, 4.0), draw.number(0.8, 1.2), draw.number(20, 40))
    same = draw.normal(5)
    return [
        Case("between", {"g1": g1, "g2": g2}, "two gradients in conflict"),
        Case("ends", {"g1": long, "g2": short}, "the second gradient short, and in nearly the same direction"),
        Case("ends", {"g1": short, "g2": long}, "the first gradient short, and in nearly the same direction"),
        Case("equal", {"g1": same, "g2": same.clone()}, "two equal gradients"),
    ]


def _mgda_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


MGDA = Task(
    name="multi_task.mgda",
    title="The shortest mixture of two gradients",
    answer="shortest",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"between": 2, "ends": 1, "equal": 1},
    prompt=r"""
Write MGDA for two tasks (Désidéri 2012), `shortest(g1, g2)`: two gradients $(P)$ give the direction

$$ d = \gamma\, g_1 + (1 - \gamma)\, g_2, \qquad \gamma = \frac{(g_2 - g_1) \cdot g_2}{\lVert g_1 - g_2 \rVert^2} \quad\text{cut to}\quad 0 \le \gamma \le 1, $$

the shortest of all their mixtures. Where the two gradients are equal, $d$ is that gradient. Derive $\gamma$ once yourself: it is the minimum of a parabola. What does $\gamma = 1$ say about the two tasks?""",
    hints=(
        "Inner products are `a @ b`, and $\\lVert a \\rVert^2$ is `a @ a`.",
        "Draw the two arrows and the line between their tips: where on it is the point nearest to 0 if one arrow is long and both point the same way?",
        "0/0 is NaN. Every $\\gamma$ is right for equal gradients, so it is enough that the division gives some number.",
    ),
    links=("5 · Operate on the gradients",),
    cases=_mgda_cases,
    run=_mgda_run,
    misconceptions={
        "uncut": "the shares leave the range from 0 to 1: this point of the line lies outside of what can be mixed",
        "swapped": "the two shares have changed places: this mixture leans towards the longer gradient",
        "half": "this is the mean of the two; the shortest mixture leans towards the shorter gradient",
        "sum": "this is the sum; the shares of a mixture add up to 1",
        "turned": "the numerator has the wrong sign, so that the share is cut where it should not be",
        "not squared": "the length in the denominator stands there twice: it is to be squared",
        "bisector": "both gradients are brought to the same length first: then it is another method",
        "zero": "two equal gradients give no number: 0 is divided by 0",
        "share": "this is the share; the mixture is asked for",
        "shorter": "the shorter of the two gradients is given whole: a mixture can be shorter than both",
        "other numerator": "the numerator belongs to the other gradient: which of the two shares is it?",
    },
    blocks=("mmteach.multitask.gradients.common_descent",),
)

# ---- multi_task.labels ------------------------------------------------------------------------------------------------


def _labels_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, known: tuple[int, int], what: str = "") -> Case:
        inputs: dict[str, Any] = {name: draw.normal(batch, 4, scale=1.5) for name in ("left", "right")}
        for name, some in zip(("left", "right"), known):
            y = draw.integers(0, 2, batch)  # never the last class, which a label of −1 may be taken for
            order = draw.permutation(batch)
            y[order[0]] = 0
            if not y[order[:some]].any():
                y[order[1:some]] = 1  # who leaves class 0 out has something left
            y[order[some:]] = -1
            inputs[f"y_{name}"] = y
        if part == "values" and torch.equal(inputs["y_left"], inputs["y_right"]):
            inputs["y_right"] = (inputs["y_left"] + 1) % 3  # exchanged labels must show
        return Case(part, inputs, what)

    everything = draw.whole(5, 7)
    return [
        case("values", everything, (everything, everything), "labels for all"),
        case("unknown", 9, (7, 3), "labels that are not known"),
        case("unknown", 5, (1, 4), "a single known label"),
        case("none", 6, (5, 0), "no label of the right task in the batch"),
        case("none", 5, (0, 0), "no label at all"),
    ]


def _labels_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs)
    if case.part != "values" and not seen.get("not callable"):
        given = {name: x.clone().requires_grad_(x.is_floating_point()) for name, x in case.inputs.items()}
        found = answer(*given.values())
        if isinstance(found, Tensor) and found.requires_grad and found.numel() == 1:
            found.backward()
        for name in ("left", "right"):
            gradient = given[name].grad
            # No gradient and one of zeros are the same where nothing is known.
            seen["outputs"][f"gradient of {name}"] = plain(torch.zeros_like(given[name]) if gradient is None else gradient)  # fmt: skip
    return seen


LABELS = Task(
    name="multi_task.labels",
    title="A joint network that always gives the same answer",
    answer="joint",
    kind="debug",
    minutes=20,
    difficulty=2,
    parts={"values": 1, "unknown": 2, "none": 1},
    prompt=r"""
A network names the left and the right digit. All pictures have a label for the left one, one in ten for the right one; $-1$ stands for “not known”. The right task trains to chance: whatever it is
shown, it gives the same answer, as the cell below shows. The network is sound and so are the data. Find out what is wrong with the loss `joint_as_it_is`,
and write it again, mended, as `joint`.

`joint(left, right, y_left, y_right)` gets the logits $(B, K)$ of both tasks and their labels $(B)$, whole numbers from 0, or $-1$. It gives

$$ L = \sum_{k} \frac{1}{|\mathcal K_k|} \sum_{i \in \mathcal K_k} -\ln \mathrm{softmax}(o_{k,i})_{y_{k,i}}, \qquad \mathcal K_k = \{ i : y_{k,i} \ge 0 \}, $$

each task's mean over the examples whose label **is known**. A task without a known label in the batch adds 0, and no NaN goes into any gradient.""",
    hints=(
        "Print `y_right[:20]`, and what the cell's loss makes of it. Which class is the answer always?",
        "Choose the known rows first (`y >= 0`), and take the mean over those. A label of $-1$ must meet no logit.",
        "The mean over nothing is NaN. A sum divided by a number that is at least 1 is not.",
    ),
    links=("8 · Few labels: when sharing pays, and when it hurts",),
    cases=_labels_cases,
    run=_labels_run,
    misconceptions={
        "class 0": "an unknown label is taken for class 0, and most labels are unknown: what is the best answer then?",
        "class 0 left out": "examples of class 0 are taken for unknown ones: class 0 is a class like the others",
        "last class": "an unknown label counts as one of the classes: what does −1 mean to a tensor that is asked for its place −1?",
        "whole batch": "the sum over the known examples is divided by the whole batch: a task with few labels counts for less and less",
        "nothing known": "a task without a known label gives no number: it is a mean over nothing",
        "both known": "only examples with both labels count; each task has labels of its own",
        "pooled": "all labels of both tasks share one mean: the task with more of them takes it over",
        "sum": "the examples of a task are added and not averaged",
        "halved": "the tasks are averaged, and their sum is asked for",
        "left alone": "only one of the two tasks is in the loss",
        "exchanged": "logits and labels of the two tasks have changed places",
        "zero logits": "the logits of unknown examples are set to 0 and still counted: each costs the logarithm of the number of classes",
        "all or nothing": "where one of the tasks has no label the whole loss is 0; the other one still has something to learn from",
    },
)

# ---- multi_task.table -------------------------------------------------------------------------------------------------

READINGS = ("gain", "low", "twins", "winners")


def _table_cases(seed: int) -> list[Case]:
    return [Case(entry, {"entry": entry}, f"the entry {entry!r}") for entry in READINGS]


TABLE = Task(
    name="multi_task.table",
    title="Which differences are noise?",
    answer="reading",
    kind="read",
    minutes=20,
    difficulty=2,
    parts=dict.fromkeys(READINGS, 1),
    prompt=r"""
The cell below loads the chapter's table of MultiMNIST: a network a task (`single`) and sixteen ways to train one for both, test accuracy on the first four seeds. In `wide` a row is a seed and a
column a method; the cell shows it turned over. Seed $i$ gave every method the same pictures and the same first weights. Answer with a dict; all differences in **points** (1 point is 0.01 of accuracy), to two decimals:

- `"gain"`: by how many points is a network a task better than equal weights (`equal`), mean over the seeds?
- `"low"`: the lower end of the 95 % interval of that paired difference;
- `"twins"`: with two tasks PCGrad and UPGrad take steps in the *same* direction. How far apart are they on the seed on which they differ most (a number above 0)?
- `"winners"`: for each seed take the best of the sixteen joint methods (without `single`). How many different methods are among these winners?

Before you compute: what would a paper with one seed have reported?""",
    hints=(
        "Paired: subtract seed by seed first, then look at the four differences.",
        "The interval is mean $\\pm\\, t \\cdot s / \\sqrt n$ with $n = 4$, the standard deviation with $n - 1$, and $t$ of Student's distribution with three degrees of freedom. `mmteach.metrics` has it.",
        "`wide.drop(columns=…).idxmax(axis=1)` gives the winner of each row.",
    ),
    links=("6 · All of them, on equal terms", "5 · Operate on the gradients"),
    cases=_table_cases,
    run=_entry_run,
    misconceptions={
        "fraction": "this is a share, and points are asked for",
        "other way": "this is the difference the other way round",
        "normal": "four seeds are few: the normal distribution's 1.96 makes the interval too narrow",
        "unpaired": "the two columns are compared as if their seeds had nothing to do with each other",
        "spread": "this is the spread of single seeds; the mean of four is surer than one of them",
        "divided by n": "the standard deviation is that of a whole population; four seeds are a sample",
        "high": "this is the upper end of the interval",
        "mean twins": "this is the difference of the means, in which the seeds cancel",
        "signed": "the difference is to be a number above 0: it is how far apart they are that is asked for",
        "single counts": "the network a task takes part here; sixteen joint methods are compared",
        "one winner": "this is how many are best on the mean; each seed has a winner of its own",
        "seeds": "this counts the seeds; the same method may win on two of them",
    },
    rtol=0.0,
    atol=0.0051,
)

# ---- multi_task.holm --------------------------------------------------------------------------------------------------


def _holm_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, factors: list[float], smallest: float, what: str = "") -> Case:
        """Ascending values, each so many times the one before, in an order that is not its own inverse."""
        sizes = torch.cumprod(torch.tensor([smallest, *factors]), 0)
        while True:
            order = draw.permutation(len(sizes))
            if not order.equal(order.argsort()) and order[-1] != len(sizes) - 1:
                return Case(part, {"p": sizes[order]}, what)

    def steps(n: int) -> list[float]:
        return draw.uniform(n, low=2.3, high=2.7).tolist()

    return [
        case("values", steps(4), draw.number(0.002, 0.004)),
        case("values", steps(5), draw.number(0.001, 0.002), "six comparisons"),
        case("steps", [draw.number(1.02, 1.06), 3.0, draw.number(1.05, 1.1), 2.5], draw.number(0.005, 0.007), "values that lie close together"),
        case("capped", [draw.number(9, 11), 1.6, draw.number(1.3, 1.4), 1.2], 0.03, "large values"),
    ]  # fmt: skip


def _holm_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


def _holm_notice(case: Case, seen: Observed) -> str | None:
    found = seen.get("outputs", {}).get("value")
    return "decisions" if isinstance(found, Tensor) and found.dtype == torch.bool else None


HOLM = Task(
    name="multi_task.holm",
    title="Sixteen rules, one of them lucky",
    answer="adjusted",
    kind="implement",
    minutes=20,
    difficulty=2,
    parts={"values": 2, "steps": 1, "capped": 1},
    prompt=r"""
The chapter says *whether* a comparison stands after Holm's correction (1979). A corrected $p$-value says *how clearly*, and everybody may choose a level afterwards. Write `adjusted(p)`: a tensor $(M)$ of the $p$-values of
$M$ comparisons, in any order. It gives a tensor $(M)$ with the corrected value of each, **at the place where its $p$-value stands**. With $p_{(1)} \le \dots \le p_{(M)}$,

$$ \tilde p_{(k)} = \max_{j \le k}\; \min\big(1,\; (M - j + 1)\, p_{(j)}\big) . $$

A comparison stands at the level $\alpha$ exactly if $\tilde p \le \alpha$. What does the maximum take over from the chapter's “stops at the first that fails”?""",
    hints=(
        "Three steps: sort, correct what is sorted, put everything back where it was.",
        "The smallest of five is multiplied by 5, the largest by 1. `cummax` of a tensor gives the largest so far.",
        "`p.sort()` gives values and places: `result[places] = corrected` puts them back. `argsort` alone says who stands first, not at which place somebody stands.",
    ),
    links=("6 · All of them, on equal terms",),
    cases=_holm_cases,
    run=_holm_run,
    notice=_holm_notice,
    misconceptions={
        "decisions": "these are decisions at one level; the corrected values are asked for",
        "uncorrected": "the values are as they were: with many comparisons one of them is small by luck",
        "bonferroni": "every value is multiplied by the number of all comparisons, which is more than Holm asks of any but the smallest",
        "turned": "the largest value is multiplied most here; whom does luck favour?",
        "off by one": "the factors are one too small or one too large: how many comparisons compete for the smallest value?",
        "false discoveries": "this controls the share of false discoveries (Benjamini and Hochberg), which promises less",
        "sorted": "the values are right and stand in the order of their size; each is to stand where its comparison stood",
        "places mixed": "some values got the factor of another: what argsort gives is who stands first, and not at which place each one stands",
        "falls again": "a larger value has a smaller corrected one: after the first that fails, none stands",
        "step up": "the smallest of those behind is taken, where the largest of those before is asked for",
        "not capped": "a probability is above 1",
        "divided": "this divides the values by what they should be multiplied with: it is the level that is divided",
        "one factor": "all values are corrected by the same factor, or only the smallest is corrected",
    },
    atol=1e-6,
)

# ---- multi_task.plan --------------------------------------------------------------------------------------------------

PLAN = ("methods", "seeds", "rates")


def _plan_cases(seed: int) -> list[Case]:
    return [Case("design", {})]


def _plan_run(answer: Any, case: Case) -> Observed:
    if isinstance(answer, dict) and answer and all(one is None for one in answer.values()):
        return observe.value(None)
    return observe.value(answer) | ({} if isinstance(answer, dict) or answer is None else {"no dict": True})


# The two-sided 95 % points of Student's distribution, by degrees of freedom: what runs beside an answer loads no SciPy for it.
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201}


def _plan_notice(case: Case, seen: Observed) -> str | None:
    found = seen.get("outputs", {}).get("value")
    if seen.get("unanswered") or seen.get("no dict"):
        return None
    if not isinstance(found, dict) or set(found) != set(PLAN):
        return "entries"
    if not all(type(found[name]) is int and 0 < found[name] < 10**6 for name in PLAN):
        return "whole numbers"
    methods, seeds, rates = (found[name] for name in PLAN)
    if methods < 4:
        return "few methods"
    if rates < 3:
        return "one rate"
    if seeds < 2 or T_95.get(seeds - 1, 2.0) * 0.25 / seeds**0.5 > 0.2:
        return "wide"
    return "budget" if (methods + 3) * (2 * rates + seeds) > 120 else None


PLAN_TASK = Task(
    name="multi_task.plan",
    title="A comparison that can be believed, within a budget",
    answer="plan",
    kind="design",
    minutes=15,
    difficulty=2,
    parts={"design": 4},
    prompt=r"""
You may train **120 networks**, and want to know whether loss weightings and gradient surgery beat equal weights on a problem of your own. From a first trial you know that the paired difference of two
methods has a standard deviation of 0.25 points from seed to seed. Choose how many `methods` you compare with equal weights, on how many `seeds`, and how many learning `rates` are tried for each, so that

1. at least 4 methods are compared;
2. the same care for all: every method, equal weights, and a network a task get the same number of learning rates, at least 3, each tried on 2 seeds and judged on validation; with the best one the networks are then trained anew, on the `seeds`;
3. the 95 % interval of a paired difference reaches at most 0.20 points to either side: $t_{n-1}\, s / \sqrt n \le 0.20$;
4. no more than 120 networks are trained. A network a task trains two networks each time.

Answer with a dict of three whole numbers, `{"methods": …, "seeds": …, "rates": …}`. Every plan that keeps all four is right. What would you give up first if the budget were halved, and what never?""",
    hints=(
        "How many networks does one more seed cost, and how many one more learning rate? Write the total as a product.",
        "Try $n = 5, 6, \\dots$ in condition 3; $t_{n-1}$ is `scipy.stats.t.ppf(0.975, n - 1)`.",
        "With $m$ methods there are $m$, equal weights, and a network a task, which counts twice: $m + 3$ networks each time.",
    ),
    links=("6 · All of them, on equal terms",),
    cases=_plan_cases,
    run=_plan_run,
    notice=_plan_notice,
    misconceptions={
        "entries": "the dict needs the entries methods, seeds and rates, and no others",
        "whole numbers": "methods, seeds and rates are counted: whole numbers above 0 are needed",
        "few methods": "fewer methods are compared than were asked for",
        "one rate": "too few learning rates are tried: a method may only look worse because the rate fits another one",
        "wide": "the interval reaches farther than 0.20 points: few seeds cost twice, by the root of their number and by Student's factor",
        "budget": "this trains more than 120 networks: do the baselines get the same care, and does a network a task count twice?",
    },
)

TASKS = (SHARE, CONFLICTS, UNCERTAINTY, DWA, GRADNORM, UNITS_TASK, PCGRAD, MGDA, LABELS, TABLE, HOLM, PLAN_TASK)
