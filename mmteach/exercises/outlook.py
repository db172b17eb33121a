"""The tasks of chapter 07, Outlook. Their references are in mmteach.exercises.references.outlook."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mmteach.exercises import observe
from mmteach.exercises.draws import Draw
from mmteach.exercises.task import Case, Observed, Task

# ---- outlook.bind -----------------------------------------------------------------------------------------------------


def _bind_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, have: dict[str, list[int]], batch: int, what: str = "") -> Case:
        dim = draw.whole(4, 5)
        text = draw.normal(batch, dim) * draw.uniform(batch, 1, low=0.5, high=3.0)
        present = {name: torch.zeros(batch, dtype=torch.bool) for name in have}
        for name, rows in have.items():
            present[name][rows] = True
        others = {name: text / 2 + draw.normal(batch, dim, scale=1.5) for name in have}
        temperature = draw.number(0.3, 0.6)
        return Case(part, {"text": text, "others": others, "present": present, "temperature": temperature}, what)

    every = list(range(5))
    return [
        case("values", {"image": every, "speech": every}, 5),
        case("values", {"image": every[:4], "speech": every[:4], "video": every[:4]}, 4, "three other modalities"),
        case("missing", {"image": [0, 1, 3, 5], "speech": [1, 2, 4]}, 6, "examples that lack a modality"),
        case("missing", {"speech": [], "image": [0, 2, 3]}, 4, "a modality that nobody has"),
        case("gradients", {"image": [0, 1, 4], "speech": [1, 2, 3, 4]}, 5, "gradients"),
    ]


def _bind_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, gradients=("text",) if case.part == "gradients" else ())


BIND = Task(
    name="outlook.bind",
    title="Bound through the text",
    answer="bind",
    kind="implement",
    minutes=25,
    difficulty=2,
    parts={"values": 2, "missing": 2, "gradients": 1},
    prompt=r"""
Pictures with names there are, and names with recordings; hardly anybody has recorded what a picture shows. So each modality is bound to the text alone (ImageBind, Girdhar et al. 2023, does it with the
image in the middle). Write `bind(text, others, present, temperature)`:

- `text` $(N, D)$, and `others`, a dict that gives for each other modality $m$ its vectors $x_m$ $(N, D)$, not yet of length 1;
- `present`, a dict of bool tensors $(N)$, True where an example **has** that modality. What stands in `others` where it has not means nothing;
- `temperature` $\vartheta$, a number above 0.

With the examples that have $m$, all others left out, and vectors brought to length 1,

$$ L = \sum_m \tfrac12\big[\mathrm{CE}(S^m) + \mathrm{CE}(S^{m\top})\big], \qquad S^m_{ij} = \frac{\hat x_{m,i} \cdot \hat t_j}{\vartheta}, $$

where $\mathrm{CE}(S)$ is the mean of $-\log \mathrm{softmax}(S_i)_i$ over the rows. A modality that no example has adds 0. Afterwards picture and recording find each other,
though no term of this sum has seen them together: why?""",
    hints=(
        "Write the loss of two modalities first, for examples that are all there. Chapter 04 has it.",
        "`x[there]` and `text[there]` with a bool tensor `there` leave out the examples that lack it: from the rows and from the columns of $S$.",
        "The mean over no rows is 0 / 0. Ask `there.any()` first.",
    ),
    links=("1 · Three modalities, bound through one",),
    cases=_bind_cases,
    run=_bind_run,
    misconceptions={
        "one direction": "each text looks for its partner or each partner for its text; both directions are asked for",
        "no half": "the two directions are added; their mean is asked for",
        "others paired": "the others are compared with each other as well: the point is that nobody has collected such pairs",
        "not normalised": "the vectors still have their own lengths, so long ones look alike",
        "temperature": "the similarities are multiplied by the temperature, which flattens what it should sharpen",
        "no temperature": "the temperature has no effect",
        "sum": "the examples are added up and not averaged, so that larger batches cost more",
        "mean of modalities": "the modalities are averaged; their losses are added",
        "absent asked": "examples that lack a modality take part with what stands in their place",
        "absent as candidates": "an example that lacks the modality is still a wrong candidate for the others",
        "complete only": "only examples that have everything are used; a picture with a name is a good pair even without a recording",
        "nobody": "a modality that nobody has makes the whole loss NaN: what is the mean over no rows?",
    },
    blocks=("mmteach.alignment.binding", "mmteach.alignment.contrastive"),
)

# ---- outlook.worlds ---------------------------------------------------------------------------------------------------

WORLDS = {
    "parity, two": "parity",
    "parity, three": "parity",
    "all, one": "all",
    "all, two": "all",
    "switch, x3": "switch",
    "switch, x1 and x3": "switch",
}


def _worlds_cases(seed: int) -> list[Case]:
    return [Case(part, {"entry": entry}, f"the entry {entry!r}") for entry, part in WORLDS.items()]


def _entry_run(answer: Any, case: Case) -> Observed:
    return observe.entry(answer, case.inputs["entry"])


WORLDS_TASK = Task(
    name="outlook.worlds",
    title="What one, two and three tell",
    answer="bits",
    kind="predict",
    minutes=15,
    difficulty=2,
    parts={"parity": 1, "all": 2, "switch": 2},
    prompt=r"""
Three fair coins $x_1, x_2, x_3$, each 0 or 1, and an answer $y$ that they decide:

| world | answer $y$ |
|---|---|
| parity | 1 where the number of ones is odd |
| all | 1 where all three of them are 1 |
| switch | $x_1$ where $x_3 = 1$, and $x_2$ where $x_3 = 0$ |

**First predict** how many bits some of the coins tell about $y$, **then compute** it: list the eight cases, count, and use $I(X;Y) = \sum_{x,y} p(x,y) \log_2 \frac{p(x,y)}{p(x)\,p(y)}$. Answer with a
dict of numbers to three decimals:

`"parity, two"`: $I(X_1X_2; Y)$; `"parity, three"`: $I(X_1X_2X_3; Y)$; `"all, one"`: $I(X_1; Y)$; `"all, two"`: $I(X_1X_2; Y)$; `"switch, x3"`: $I(X_3; Y)$;
`"switch, x1 and x3"`: $I(X_1X_3; Y)$.""",
    hints=(
        "$I(X;Y) = H(Y) - H(Y \\mid X)$: one bit less what is still open once X is known, on average.",
        "If you know two coins of three: in which cases is $y$ settled, and in which is it still a fair coin?",
        "$H(Y \\mid X)$ for one coin of *all*: given $x_1 = 0$, $y$ is settled; given $x_1 = 1$, it is 1 in one of four cases.",
    ),
    links=("2 · What no pair shows",),
    cases=_worlds_cases,
    run=_entry_run,
    misconceptions={
        "settled": "this would settle y, or is more than there is to know of it; is y settled in each of the cases?",
        "something": "look at the cases: with the rest unknown, y is 1 as often as 0 whatever these coins show",
        "accuracy": "this is how often one could guess right, or a count of cases; bits are asked for",
        "share": "bits are not divided among the coins like a cake",
        "nothing": "they tell something: y is not 1 as often as 0 whatever they show",
        "added": "what two coins tell is not the sum of what each tells",
        "nats": "this is in nats: the logarithm has another base",
        "still open": "this is what is still open once they are known; what was learned is the rest",
        "whole": "the three together leave nothing open, and y has one bit",
    },
    rtol=0.0,
    atol=0.002,
)

# ---- outlook.beyond ---------------------------------------------------------------------------------------------------


def _beyond_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def table(*shape: int, best: tuple[int, int], zeros: int = 0) -> Tensor:
        """Two of the inputs tell most, so that each pair is the best one in some case."""
        p = draw.uniform(*shape, low=0.05).double() ** 2
        values = torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")
        p = p * (1 + 9 * ((values[best[0]] + values[best[1]]) % shape[3] == values[3]))
        p.view(-1)[draw.permutation(p.numel())[:zeros]] = 0.0
        if zeros:
            p[0, 1, 2] = 0.0  # three values that never come together, whatever y is
        return (p / p.sum()).float()

    parity = torch.zeros(2, 2, 2, 2)
    for a, b, c in torch.cartesian_prod(*[torch.arange(2)] * 3).tolist():
        parity[a, b, c, a ^ b ^ c] = 1 / 8
    return [
        Case("values", {"p": table(2, 3, 2, 3, best=(0, 1))}),
        Case("values", {"p": table(3, 2, 2, 2, best=(0, 2))}, "a second table"),
        Case("values", {"p": table(2, 3, 3, 2, best=(1, 2))}, "a third table"),
        Case("zeros", {"p": table(2, 2, 3, 2, best=(0, 2), zeros=7)}, "cases that never come"),
        Case("zeros", {"p": parity}, "the parity of three coins"),
    ]


def _beyond_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


BEYOND = Task(
    name="outlook.beyond",
    title="What no pair shows, in bits",
    answer="beyond_pairs",
    kind="implement",
    minutes=20,
    difficulty=3,
    parts={"values": 3, "zeros": 1},
    prompt=r"""
Two modalities at a time may miss what three say together. Write `beyond_pairs(p)`: a tensor $p(x_1, x_2, x_3, y)$ with four axes in this order, whose entries sum to 1. It gives how many **bits** all
three tell about $y$ beyond the best two:

$$ B = I(X_1X_2X_3; Y) \;-\; \max_{i<j}\, I(X_iX_j; Y), \qquad I(X;Y) = \sum_{x,y} p(x,y) \log_2 \frac{p(x,y)}{p(x)\,p(y)}. $$

What never comes ($p = 0$) adds nothing. Can $B$ be below 0?""",
    hints=(
        "A pair of inputs is one input with more values: $(x_1, x_2)$ of 2 and 3 values has 6.",
        "`p.sum(2)` forgets $x_3$; `.flatten(0, 1)` makes of the two axes that are left one. Then one function for a table $p(x, y)$ does all four.",
        "$0 \\log 0$ is NaN for a computer and 0 for the sum: sum over the positive entries, or use a function made for it.",
    ),
    links=("2 · What no pair shows",),
    cases=_beyond_cases,
    run=_beyond_run,
    misconceptions={
        "nats": "this is in nats: the logarithm has another base",
        "singles": "this goes beyond the best single one; beyond the best two is asked for",
        "total": "this is what the three tell in all; what two of them tell already is not taken off",
        "all pairs": "what each pair tells is added up; they tell the same thing in part, so it is counted more than once",
        "smallest pair": "this goes beyond another pair than the best",
        "mean pair": "this goes beyond the average of the pairs, and the best one is asked for",
        "other axis": "another axis is taken for y, which is the last",
        "zeros": "a case that never comes makes the sum NaN or infinite",
        "co-information": "this is the sum with alternating signs over all subsets, which may be below 0; only one pair is taken off here",
        "pair itself": "this is what the best pair tells, and what the three tell beyond it is asked for",
        "sign": "the two have changed places: three never tell less than two of them",
        "conditional": "an entropy is left over: this is not information about y",
    },
    blocks=("mmteach.diagnosis.information",),
    rtol=3e-3,
    atol=3e-5,
)

# ---- outlook.scaling --------------------------------------------------------------------------------------------------


def _scaling_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, rate: float, size: float, scale: float, what: str = "", bad: float | None = None) -> Case:
        true = draw.uniform(6, low=0.5, high=2.0) * draw.normal(6).sign() * size
        gradient = (true * scale).half()
        if bad is not None:
            gradient[draw.whole(1, 4)] = bad
        inputs = {"weights": draw.normal(6, scale=0.01), "gradient": gradient, "rate": rate, "scale": scale}
        return Case(part, inputs, what)

    return [
        case("values", 0.05, 0.02, 1024.0),
        case("values", 0.1, 0.01, 4096.0),
        case("small", 8.0, 1e-7, 32768.0, "gradients near 10⁻⁷"),
        case("overflow", 0.1, 0.01, 4096.0, "an infinite number in the gradient", math.inf),
        case("overflow", 0.1, 0.01, 1.0, "a NaN in the gradient", math.nan),
    ]


def _scaling_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs)
    found = seen["outputs"]["value"]
    if isinstance(found, (tuple, list)) and len(found) == 2 and isinstance(found[0], Tensor):
        # The change tells more than the weights, in which a small one hardly shows.
        weights = case.inputs["weights"]
        fits = found[0].shape == weights.shape and not found[0].is_complex()
        change = (found[0].double() - weights.double()).float() if fits else found[0]
        seen["outputs"] = {"change": change, "scale": found[1], "dtype": str(found[0].dtype).removeprefix("torch.")}
    return seen


def _scaling_notice(case: Case, seen: Observed) -> str | None:
    outputs = seen.get("outputs", {})
    if seen.get("error") or seen.get("not callable") or outputs.get("value", 0) is None:
        return None
    if "change" not in outputs:
        return "no pair"
    if outputs["dtype"] in ("float16", "bfloat16"):
        return "half weights"
    change = outputs["change"]
    return "not skipped" if case.part == "overflow" and not change.isfinite().all() else None


SCALING = Task(
    name="outlook.scaling",
    title="Half precision, and nothing moves",
    answer="step",
    kind="debug",
    minutes=25,
    difficulty=3,
    parts={"values": 2, "small": 1, "overflow": 2},
    prompt=r"""
To train faster, the gradient is computed in half precision. The loss was multiplied by a large *scale* first, so that small gradients do not become 0 in float16, whose smallest number
is about $6 \cdot 10^{-8}$. And yet the model below stays at chance, and with a larger scale it turns to NaN. `step_with_faults` has **three** faults. Write it again, mended, as `step`.

`step(weights, gradient, rate, scale)` gets the weights (float32), the gradient **of scale · loss** (float16), the learning rate and the scale. It gives a pair, the new weights (float32) and the
new scale:

$$ w \leftarrow w - \text{rate} \cdot \frac{\text{gradient}}{\text{scale}}, \qquad \text{in float32}, $$

and the scale stays; but where the gradient holds infinity or NaN, the step is **skipped**: the weights stay as they were, and the scale is halved.""",
    hints=(
        "Print `gradient / scale` and its dtype. Which numbers does it hold?",
        "Near 0.01 the numbers of float16 lie about 0.000008 apart. What becomes of a weight that is to move by less?",
        "`gradient.isfinite().all()` decides before anything moves.",
    ),
    links=("3 · What makes training cheaper",),
    cases=_scaling_cases,
    run=_scaling_run,
    notice=_scaling_notice,
    misconceptions={
        "no pair": "two things are asked for: the new weights and the new scale",
        "not unscaled": "the gradient is that of scale · loss, and the step is as many times too long",
        "unscaled in half": "the division is done in float16, where the small gradients that the scale had saved are lost again",
        "half weights": "the weights are in half precision, or were on the way: steps smaller than the gap between two numbers are lost",
        "not skipped": "infinity or NaN has reached the weights: a step with such a gradient is to be skipped",
        "part of a step": "the bad numbers are replaced and the others still move the weights; the whole step is skipped",
        "scale stays": "the step is skipped and the scale stays, so the next one overflows as well",
        "scale up": "the scale is raised; it was too large already",
        "always halved": "the scale is halved though nothing overflowed",
        "uphill": "the weights move along the gradient, and the loss rises",
        "scaled twice": "the gradient is multiplied by the scale once more",
    },
    rtol=0.02,
    atol=1e-8,
)

# ---- outlook.shards ---------------------------------------------------------------------------------------------------


def _shards_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, counts: list[int], what: str = "") -> Case:
        shapes = {"weight": (draw.whole(2, 3), 3), "bias": (3,)}
        gradients = []
        for count in counts:
            # The mean over no examples is 0 / 0.
            gradients.append({
                name: draw.normal(*shape) if count else torch.full(shape, math.nan) for name, shape in shapes.items()
            })  # fmt: skip
        return Case(part, {"gradients": gradients, "counts": counts}, what)

    few = draw.whole(3, 5)
    return [
        case("values", [12, few]),
        case("values", [few, 16, 1], "three workers"),
        case("empty", [9, 0, few], "a worker that got no example"),
    ]


def _shards_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


SHARDS = Task(
    name="outlook.shards",
    title="Two workers, one gradient",
    answer="combined",
    kind="implement",
    minutes=10,
    difficulty=1,
    parts={"values": 2, "empty": 1},
    prompt=r"""
In data-parallel training each worker has a copy of the model and a part of the batch, a *shard*. Worker $k$ gives the gradient $g_k$ of the **mean** loss of its $n_k$ examples. All then
take the step that one worker would have taken with the whole batch. The last shard is often smaller. Write `combined(gradients, counts)`: a list of dicts, one a worker, from the name of a parameter to its
gradient, and a list of the whole numbers $n_k$. It gives one dict of the same form: the gradient of the mean loss over **all** examples.

A worker may have got no example at all; the mean over nothing is NaN, and its gradients are. Others were not so unlucky.""",
    hints=(
        "Write the mean loss of all examples with those of the shards: what stands in front of each?",
        "Check yourself: two shards of 3 and 1 examples whose gradients are 1 and 5. What does one batch of four give?",
        "NaN times 0 is NaN: leave such a worker out, do not weigh it with 0.",
    ),
    links=("3 · What makes training cheaper",),
    cases=_shards_cases,
    run=_shards_run,
    misconceptions={
        "plain mean": "every worker counts alike, so that an example in a small shard counts more than one in a large shard",
        "sum": "the gradients are added: with more workers the steps would get longer",
        "weighted sum": "this is the gradient of the summed loss; it is to be that of the mean",
        "by workers": "the weighted gradients are divided by the number of workers; they weigh as many examples as there are",
        "other way": "small shards weigh more than large ones",
        "largest": "only one worker is listened to",
        "empty": "a worker without examples makes everything NaN: what is 0 times NaN?",
        "bias alone": "only some of the parameters are weighed",
        "squares": "the numbers of examples are squared, or their root is taken; each example counts once",
    },
)

# ---- outlook.doubt ----------------------------------------------------------------------------------------------------


def _doubt_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, q: float, what: str = "", spread: float = 1.5) -> Case:
        return Case(part, {"scores": draw.normal(batch, batch, scale=spread), "q": q}, what)

    extreme = case("gradients", 4, 0.5, "a pair that seems impossible")
    extreme.inputs["scores"][0, 0] = -300.0
    return [
        case("values", draw.whole(4, 5), draw.number(0.3, 0.45)),
        case("values", draw.whole(5, 6), draw.number(0.6, 0.8)),
        case("limit", 5, 0.0, "q = 0"),
        extreme,
    ]


def _doubt_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, gradients=("scores",) if case.part == "gradients" else ())


def _doubt_notice(case: Case, seen: Observed) -> str | None:
    value, gradient = (seen.get("outputs", {}).get(name) for name in ("value", "gradient of scores"))
    if isinstance(value, Tensor) and isinstance(gradient, Tensor) and value.isfinite().all():
        return None if gradient.isfinite().all() else "nan gradient"
    return None


DOUBT = Task(
    name="outlook.doubt",
    title="A loss that does not believe everything",
    answer="doubting",
    kind="implement",
    minutes=20,
    difficulty=3,
    parts={"values": 3, "limit": 1, "gradients": 1},
    prompt=r"""
Pairs from the web are often no pairs. To the cross-entropy a wrong pair can cost any amount, so it is the wrong ones that pull hardest. The *generalised* cross-entropy (Zhang and Sabuncu 2018)
has an upper bound as soon as $q > 0$. Write `doubting(scores, q)` for a batch of $N$ pairs with scores $S$ $(N, N)$, temperature included, and a number $q$ from 0 to 1:

$$ L = \frac1{2N} \sum_i \left[ \frac{1 - p_i^{\,q}}{q} + \frac{1 - \tilde p_i^{\,q}}{q} \right], \qquad p_i = \mathrm{softmax}_j(S_{ij})_{j=i}, \quad \tilde p_i = \mathrm{softmax}_j(S_{ji})_{j=i}. $$

The chapter's version is good enough for its batches. Yours is to work for all: for $q = 0$ give what the loss tends to for $q \to 0$, and the gradient must be finite even where $p_i$ is so small that
it is 0 for a computer. How much can one wrong pair cost at most?""",
    hints=(
        "Log-probabilities first: `log_softmax` over the rows, over the columns, and of both the diagonal.",
        "$p^q = e^{q \\log p} = 1 + q \\log p + \\dots$: what is left of $(1 - p^q)/q$ for a very small $q$?",
        "The slope of $p^q$ at $p = 0$ is infinite. Written with the logarithm, $e^{q \\log p}$, it is never asked for.",
    ),
    links=("4 · Wrong pairs",),
    cases=_doubt_cases,
    run=_doubt_run,
    notice=_doubt_notice,
    misconceptions={
        "one direction": "only one of the two directions is there: rows look for columns, and columns for rows",
        "no half": "the two directions are added; their mean is asked for",
        "not divided": "the difference 1 − p^q is not divided by q, so that a small q makes all losses small",
        "cross-entropy": "q has no effect: this is the plain cross-entropy",
        "absolute": "q has no effect: this is 1 − p, whatever q is",
        "power outside": "the power is taken of the logarithm or of the whole loss; it is p that is raised to q",
        "sum": "the examples are added up and not averaged",
        "all entries": "every entry of the table is taken for a pair; the pairs are on its diagonal",
        "sign": "the loss is negative: 1 comes first",
        "no softmax": "the scores themselves, or their sigmoid, are taken for probabilities",
        "limit": "for q = 0 this is 0 / 0: what does it tend to?",
        "nan gradient": "the value is right and its gradient is not finite: what is the slope of p^q where p is 0?",
    },
)

# ---- outlook.curve ----------------------------------------------------------------------------------------------------


def _curve_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, what: str = "") -> Case:
        exponent, factor = draw.number(0.28, 0.42), draw.number(0.9, 1.3)
        # Far from a line, in no order that a shortcut through two of the points could use.
        noise = torch.tensor([1.10, 0.86, 1.07, 0.98, 1.13, 0.90]) * draw.uniform(6, low=0.99, high=1.01)
        examples = [round(n * draw.number(0.9, 1.1)) for n in (40, 100, 250, 640, 1600, 4000)]
        errors = [round(factor * n**-exponent * z, 5) for n, z in zip(examples, noise.tolist())]
        target = round(draw.number(0.35, 0.6) * errors[-1], 4)
        return Case(part, {"examples": examples, "errors": errors, "target": target}, what)

    return [case(entry, f"the entry {entry!r}") for entry in ("exponent", "exponent", "examples", "examples")]


def _curve_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs)
    found = seen["outputs"]["value"]
    if seen.get("not callable"):
        return seen
    if found is None:
        return observe.value(None)
    return {k: v for k, v in seen.items() if k != "outputs"} | observe.entry(found, case.part)


CURVE = Task(
    name="outlook.curve",
    title="How many more examples?",
    answer="needed",
    kind="read",
    minutes=15,
    difficulty=2,
    parts={"exponent": 2, "examples": 2},
    prompt=r"""
A learning curve was measured: a model was trained on $n$ examples for some $n$, and each time its error $e$ on the test was written down. Such curves often follow a power law, a straight line on
axes that are both logarithmic. Read it:

$$ e = a\, n^{-b}, \qquad \log e = \log a - b \log n. $$

Write `needed(examples, errors, target)`: two lists of numbers, and an error that you would like to reach. Fit the line by **least squares of the logarithms**: $\log e$ is predicted from $\log n$. It gives a dict: `"exponent"`,
the number $b$, and `"examples"`, the number of examples at which the fitted line reaches the target (not rounded).

Before you buy so many: what has to stay as it is beyond the last point, for this to come true?""",
    hints=(
        "Take the logarithm of both lists. Then it is a line $y = c + m x$; how do $a$ and $b$ follow from $c$ and $m$?",
        "Slope of the least squares: $m = \\sum (x - \\bar x)(y - \\bar y) / \\sum (x - \\bar x)^2$; `numpy.polyfit(x, y, 1)` does the same.",
        "Put the target into the fitted line and solve for $n$; do not forget that the line is in logarithms.",
    ),
    links=("5 · Little data",),
    cases=_curve_cases,
    run=_curve_run,
    misconceptions={
        "sign": "the sign is the other one: the error falls, and in this formula b is above 0",
        "ends": "this is the line through two of the points; the others count as well",
        "no logarithms": "the line was fitted to the numbers themselves; on plain axes the curve is no line",
        "one logarithm": "one of the two axes is not logarithmic, which is another law",
        "roles exchanged": "this line predicts examples from errors; least squares is not the same in both directions",
        "mean of slopes": "the slopes between neighbours are averaged; most of the points then have no say",
        "through zero": "the line was made to pass through the origin: log a is left out",
        "still a logarithm": "this is the logarithm of the number of examples, or that of one base taken back by another",
        "last point": "the target is reached from the last measured point; the fitted line need not pass through it",
        "upside down": "the power law was solved for n the wrong way round",
        "more": "this is how many more than were measured; the number in all is asked for",
    },
    rtol=4e-3,
    atol=1e-5,
)

# ---- outlook.spend ----------------------------------------------------------------------------------------------------

SPEND = ("parameters", "examples")
COMPUTE = 1e12


def _loss(parameters: float, examples: float) -> float:
    return 0.05 + 6 * parameters**-0.5 + 4 * examples**-0.3


# The best that the compute buys, and at how many parameters: where more of them would cost as much as they gain.
BEST_PARAMETERS = (0.5 * 6 / (0.3 * 4) * (COMPUTE / 6) ** 0.3) ** (1 / 0.8)
BEST = _loss(BEST_PARAMETERS, COMPUTE / 6 / BEST_PARAMETERS)


def _spend_cases(seed: int) -> list[Case]:
    return [Case("design", {})]


def _spend_run(answer: Any, case: Case) -> Observed:
    if isinstance(answer, dict) and answer and all(one is None for one in answer.values()):
        return observe.value(None)
    return observe.value(answer) | ({} if isinstance(answer, dict) or answer is None else {"no dict": True})


def _spend_notice(case: Case, seen: Observed) -> str | None:
    found = seen.get("outputs", {}).get("value")
    if seen.get("unanswered") or seen.get("no dict"):
        return None
    if not isinstance(found, dict) or set(found) != set(SPEND):
        return "entries"
    numbers = [one.item() if isinstance(one, Tensor) and one.numel() == 1 else one for one in found.values()]
    if not all(type(one) in (int, float) and 1 <= one < math.inf for one in numbers):
        return "numbers"
    parameters, examples = (float(numbers[list(found).index(name)]) for name in SPEND)
    used = 6 * parameters * examples
    if used > COMPUTE * 1.0001:
        return "forgotten six" if parameters * examples <= COMPUTE * 1.0001 else "budget"
    if _loss(parameters, examples) <= 1.01 * BEST:
        return None
    if used < 0.95 * COMPUTE:
        return "left over"
    return "too large" if parameters > BEST_PARAMETERS else "too small"


SPEND_TASK = Task(
    name="outlook.spend",
    title="A larger model, or more data?",
    answer="design",
    kind="design",
    minutes=20,
    difficulty=2,
    parts={"design": 4},
    prompt=r"""
Suppose somebody has measured, for a family of models, how the test error falls with the number of parameters $N$ and of training examples $D$, each example seen once:

$$ E(N, D) = 0.05 + \frac{6}{N^{0.5}} + \frac{4}{D^{0.3}}. $$

A training run costs about $6\,N D$ operations: two for each weight and example forwards, four backwards. You may spend **10¹² operations**. Choose $N$ and $D$ so that the error is at most 1 % above the
smallest that this budget can buy. Answer with a dict of two numbers, `{"parameters": N, "examples": D}`. Every choice within the budget that comes so near is right.

Which of the two would you raise faster if the budget grew tenfold? (Laws of this form are fitted in Hoffmann et al. 2022, “Training Compute-Optimal Large Language Models”; these numbers are made up.)""",
    hints=(
        "All of the budget is worth spending: so $D$ follows from $N$, and there is one number to choose.",
        "Plot $E$ against $N$ on a logarithmic axis, from a hundred to ten million, with $D = 10^{12} / (6N)$.",
        "At the best place a little more of either gains as much as it costs on the other side.",
    ),
    links=("6 · How large a model",),
    cases=_spend_cases,
    run=_spend_run,
    notice=_spend_notice,
    misconceptions={
        "entries": "the dict needs the entries parameters and examples, and no others",
        "numbers": "two numbers of at least 1 are needed: single parameters and examples, not millions",
        "budget": "this costs more operations than there are",
        "forgotten six": "the product fits and the run does not: how many operations does a weight cost for each example, forwards and backwards?",
        "left over": "a part of the budget is not spent, and the error is above what it could buy",
        "too large": "the model is too large for what is left to show it: its data run out, and the second term dominates",
        "too small": "the model is too small for so much data: more examples hardly help it",
    },
)

TASKS = (BIND, WORLDS_TASK, BEYOND, SCALING, SHARDS, DOUBT, CURVE, SPEND_TASK)
