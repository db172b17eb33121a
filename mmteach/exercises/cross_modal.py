"""The tasks of chapter 04, Cross-modal learning. Their references are in mmteach.exercises.references.cross_modal."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmteach.exercises import observe, pictures
from mmteach.exercises.draws import Draw
from mmteach.exercises.task import Case, Observed, Task


def _entry_run(answer: Any, case: Case) -> Observed:
    return observe.entry(answer, case.inputs["entry"])


# ---- cross_modal.recall -----------------------------------------------------------------------------------------------


def _scores_of(draw: Draw, places: list[int], items: int) -> Tensor:
    """Scores (Q, items) in which item q of query q stands at the place that is given, 1 for the best."""
    scores = torch.empty(len(places), items)
    for q, place in enumerate(places):
        row = (draw.normal(items) * 0.1).sort(descending=True).values + torch.linspace(0.5, -0.5, items)
        others = torch.cat([row[: place - 1], row[place:]])[draw.permutation(items - 1)]
        scores[q] = torch.cat([others[:q], row[place - 1, None], others[q:]])
    return scores


def _recall_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def shuffled(places: list[int]) -> list[int]:
        return [places[i] for i in draw.permutation(len(places)).tolist()]

    def case(places: list[int], items: int, k: int, what: str = "") -> Case:
        while True:
            scores = _scores_of(draw, shuffled(places), items)
            # Asked the other way round, the table would give another answer, and none that places counted from 0 or 2 would.
            square = scores[:, : len(places)]
            columns = (square >= square.diagonal()).sum(0)
            apart = columns.double().quantile(0.5) - torch.tensor(places).double().quantile(0.5)
            if sum(c <= k for c in columns.tolist()) != sum(p <= k for p in places) and abs(apart) != 1:
                return Case("values", {"scores": scores, "k": k}, what)

    low, high = draw.whole(5, 6), draw.whole(8, 9)
    odd = case([1, 1, 3, 3, low - 1, low, 7, high, 11], 11, 3)
    even = case([1, 2, 2, 3, low, high, 9, 10], 10, 2, "an even number of queries")
    tied = _scores_of(draw, shuffled([1, 1, 2, 3, 4, low, 8]), 10)
    # Some items have just the score of the right one: among the first for one, behind for another.
    rows = torch.arange(7)
    tied[rows, (rows + 1) % 7] = tied.diagonal().clone()
    tied[rows, rows + 3] = torch.where(rows % 2 == 0, tied.diagonal(), tied[rows, rows + 3])
    return [odd, even, Case("ties", {"scores": tied, "k": 3}, "equal scores")]


def _recall_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


RECALL = Task(
    name="cross_modal.recall",
    title="How well does it find?",
    answer="found",
    kind="implement",
    minutes=15,
    difficulty=1,
    parts={"values": 3, "ties": 1},
    prompt=r"""
Names ask for pictures. `scores` $(Q, N)$ holds the score of each of $N \ge Q$ pictures for each of $Q$ names, higher is better; picture $q$ is the right one for name
$q$. Let $r_q$ be the place of the right one in its name's ranking, 1 for the best. Write `found(scores, k)`: it gives a dict
`{"recall": …, "median rank": …}`,

$$ \text{recall@}k = \frac1Q \sum_q [\,r_q \le k\,], \qquad \text{median rank} = \operatorname{median}_q r_q . $$

Equal scores count **against** the model: all that score as high as the right one stand before it. For an even number of names the median lies halfway between the
middle two.""",
    hints=(
        "The place of the right picture is a count: how many of the others score at least as high, and one more.",
        "`scores.diagonal()` holds the scores of the right ones. As a column it compares with every picture of its row.",
        "`torch.median` gives the lower of the middle two; `quantile(0.5)` of floating-point numbers goes halfway.",
    ),
    links=("1 · The question, and how an answer is scored",),
    cases=_recall_cases,
    run=_recall_run,
    misconceptions={
        "from zero": "places are counted from 0; the best picture has place 1",
        "one too far": "the right picture is counted as standing before itself",
        "other direction": "pictures ask for names here: along which axis do the pictures of one name lie?",
        "worst first": "the ranking begins with the lowest score; higher is better",
        "strict": "a right picture at place k itself is one of the first k",
        "mean": "this is the mean of the places: a few that are far behind carry it away",
        "lower median": "of the middle two the lower one is taken; an even number of names needs a number halfway between them",
        "ties won": "equal scores count for the model: one that scores all pictures alike would find everything",
        "ties half": "equal scores count half; here they count against the model in full",
        "percent": "the recall is a percentage; a share lies between 0 and 1",
        "not divided": "the names that succeed are counted and not divided by their number",
    },
    blocks=("mmteach.metrics.retrieval",),
)

# ---- cross_modal.cca --------------------------------------------------------------------------------------------------


def _cca_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, n: int, wide: int, narrow: int, ridge: float, what: str = "", units: float = 1.0) -> Case:
        shared = draw.normal(n, 2)
        x = shared @ draw.normal(2, wide) + 0.7 * draw.normal(n, wide) + draw.normal(1, wide) * 2
        y = shared @ draw.normal(2, narrow) + 0.7 * draw.normal(n, narrow) + draw.normal(1, narrow) * 2
        x = x * torch.logspace(0, math.log10(units), wide)
        return Case(part, {"x": x, "y": y, "ridge": ridge}, what)

    return [
        case("values", 20, 4, 3, draw.number(0.3, 0.6)),
        case("values", 24, 3, 5, draw.number(0.3, 0.6), "more columns in y than in x"),
        case("units", 30, 3, 3, 0.0, "no ridge, and columns of x in different units", 12.0),
    ]


def _cca_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


CCA = Task(
    name="cross_modal.cca",
    title="The closed form: whiten both, then one SVD",
    answer="correlations",
    kind="implement",
    minutes=25,
    difficulty=3,
    parts={"values": 3, "units": 1},
    prompt=r"""
Write `correlations(x, y, ridge)`: $x$ $(N, D_x)$ and $y$ $(N, D_y)$, row $n$ of one belongs to row $n$ of the other. It gives the canonical correlations, a tensor of
$\min(D_x, D_y)$ numbers, the largest first: the singular values of

$$ T = S_{xx}^{-1/2}\, S_{xy}\, S_{yy}^{-1/2}, \qquad S_{xx} = \frac{\bar x^\top \bar x}{N-1} + rI, \quad S_{yy} = \frac{\bar y^\top \bar y}{N-1} + rI, \quad
S_{xy} = \frac{\bar x^\top \bar y}{N-1}, $$

where $\bar x$ is $x$ less the mean of each column, and $r$ the ridge. Without a ridge the answer does not depend on the units of the columns: why?""",
    hints=(
        "Center, three covariances, two inverse square roots, one list of singular values: five lines.",
        "A symmetric $S = V \\operatorname{diag}(\\lambda) V^\\top$ (`torch.linalg.eigh`) has $S^{-1/2} = V \\operatorname{diag}(\\lambda^{-1/2}) V^\\top$.",
        "$rI$ is `ridge * torch.eye(D)`: it is added to the diagonal alone. `torch.linalg.svdvals` sorts as asked.",
    ),
    links=("2 · Correlation: the closed form first",),
    cases=_cca_cases,
    run=_cca_run,
    misconceptions={
        "not centred": "the means of the columns are still in the data: covariances are about what differs from the mean",
        "no ridge": "the ridge has no effect",
        "ridge everywhere": "the ridge is added to every entry of the covariance; the identity has only a diagonal",
        "one side": "only one of the two modalities is whitened",
        "not whitened": "these are singular values of the covariance itself: they depend on the units of x and y",
        "columns only": "each column was brought to spread 1 by itself; that is for the whitening to do, which also takes out what the columns of one modality share",
        "inverse": "this whitens too much: which power of S stands on either side of the middle one?",
        "squared": "these are squares of the correlations",
        "smallest first": "the smallest correlation stands first",
        "first alone": "the largest correlation is there; all of them are asked for",
        "divided by N": "the covariances are divided by another number than asked for; with a ridge that makes a difference",
        "half a root": "the inverse root is put together of two parts of three: does yours give the identity when it is applied to S from both sides, and is it symmetric?",
        "ridge on both": "the ridge is added twice or too strongly: once to each of the two covariances is enough",
    },
    blocks=("mmteach.alignment.cca",),
    rtol=2e-3,
    atol=2e-5,
)

# ---- cross_modal.clip -------------------------------------------------------------------------------------------------


def _clip_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, temperature: float, what: str = "") -> Case:
        image = draw.normal(batch, 6) * draw.uniform(batch, 1, low=0.5, high=3.0)
        text = 0.6 * image + draw.normal(batch, 6) * draw.uniform(batch, 1, low=0.5, high=3.0)
        if part == "extremes":  # the first picture belongs to the second text, as far as the model can see
            image[0], text[0] = 2.0 * text[1], -text[1]
        return Case(part, {"image": image, "text": text, "temperature": temperature}, what)

    return [
        case("values", draw.whole(5, 7), draw.number(0.2, 0.6)),
        case("values", draw.whole(3, 4), draw.number(0.2, 0.6)),
        case("values", 1, 0.5, "a batch of one"),
        case("extremes", 5, 0.005, "a temperature of 0.005"),
        case("gradients", 4, draw.number(0.3, 0.6), "gradients"),
    ]


def _clip_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, gradients=("image", "text") if case.part == "gradients" else ())


CLIP = Task(
    name="cross_modal.clip",
    title="A choice among many, both ways",
    answer="contrast",
    kind="implement",
    minutes=20,
    difficulty=2,
    parts={"values": 3, "extremes": 1, "gradients": 1},
    prompt=r"""
Write CLIP's loss, `contrast(image, text, temperature)`: two tensors $(N, D)$ as the encoders give them, **not** yet of length 1, and a number $\tau$. Row $i$ of one belongs
to row $i$ of the other. With $S_{ij} = \cos(x_i, y_j) / \tau$ it gives one number,

$$ L = \frac12 \Big[ -\frac1N \sum_i \ln \frac{e^{S_{ii}}}{\sum_j e^{S_{ij}}} \;-\; \frac1N \sum_i \ln \frac{e^{S_{ii}}}{\sum_j e^{S_{ji}}} \Big]. $$

It stays finite, and right, at $\tau = 0.005$, where scores reach $\pm 200$. What should it give for a batch of one?""",
    hints=(
        "Three steps: each vector to length 1, all scores with one matrix product, then a classification with $N$ classes.",
        "$\\ln \\sum_j e^{S_{ij}}$ has a function of its own that takes off the largest first; so has the logarithm of a softmax.",
        "The second term is the first with the table of scores turned over: rows become columns.",
    ),
    links=("5 · A choice among many: InfoNCE and CLIP", "8 · Temperature, and the gap between the modalities"),
    cases=_clip_cases,
    run=_clip_run,
    misconceptions={
        "one direction": "only one modality asks; both do, and the mean of the two is taken",
        "not normalised": "the vectors still have their own lengths, so these are no cosines",
        "wrong axis": "the lengths are taken over the batch; a vector's numbers stand in its row",
        "no temperature": "the temperature has no effect",
        "multiplied": "a low temperature is to make the softmax sharper, and here it makes it flatter",
        "doubled": "the two directions are added and not averaged",
        "sum": "the pairs are added and not averaged",
        "all pairs": "one softmax runs over all pairs of the batch; each picture chooses among the texts, and each text among the pictures",
        "match left out": "the match itself is missing in the sum below the fraction bar",
        "other sign": "the loss is negative: what is to be made small is the negative logarithm",
        "overflow": "at a low temperature the loss is not finite: an exponential has become infinite, or a probability 0 before its logarithm",
        "clamped": "at a low temperature the loss is finite and far too small: a small constant hides the mistakes that cost most",
        "each": "one number is asked for, the mean over the pairs",
    },
    blocks=("mmteach.alignment.contrastive", "mmteach.alignment._pairs"),
)

# ---- cross_modal.siglip -----------------------------------------------------------------------------------------------


def _siglip_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, t: float, b: float, what: str = "") -> Case:
        image = normalize(draw.normal(batch, 5), dim=1)
        text = normalize(image + 0.7 * draw.normal(batch, 5), dim=1)
        if part == "extremes":  # a match that points the other way, and a mismatch that looks like a match
            text[0], text[1] = -image[0], image[2]
        inputs = {"image": image, "text": text, "t": torch.tensor(t), "b": torch.tensor(b)}
        return Case(part, inputs, what)

    return [
        case("values", draw.whole(5, 7), draw.number(3, 6), -draw.number(1, 2)),
        case("values", 1, draw.number(3, 6), -draw.number(1, 2), "a batch of one"),
        case("extremes", 5, 180.0, -10.0, "scores beyond ±150"),
        case("gradients", 4, draw.number(3, 6), -draw.number(1, 2), "gradients"),
    ]


def _siglip_run(answer: Any, case: Case) -> Observed:
    names = ("image", "text", "t", "b") if case.part == "gradients" else ()
    return observe.function(answer, case.inputs, gradients=names)


SIGLIP = Task(
    name="cross_modal.siglip",
    title="Yes or no, for every pair",
    answer="sigmoid_loss",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 3, "extremes": 1, "gradients": 1},
    prompt=r"""
Write SigLIP's loss, `sigmoid_loss(image, text, t, b)`: two tensors $(N, D)$ of vectors that **have** length 1 already, and two learned numbers, the scale $t$ and the bias
$b$, as tensors. It gives one number,

$$ L = -\frac1N \sum_i \sum_j \ln \sigma\big( y_{ij}\, (t\; x_i \cdot y_j + b) \big), \qquad y_{ij} = +1 \text{ if } i = j, \text{ else } -1 . $$

The sum over $j$ is not divided by $N$. The loss stays finite for scores beyond $\pm 150$, and a gradient reaches $t$ and $b$ too: they are learned.""",
    hints=(
        "The labels $y$ are a table of $-1$ with $+1$ on the diagonal: twice the identity, less one.",
        "$\\ln \\sigma(a)$ for $a = -150$: compute it in two steps in float32, and see what the logarithm is given.",
        "PyTorch has $\\ln\\sigma$ as one function that does not overflow.",
    ),
    links=("6 · Yes or no: SigLIP",),
    cases=_siglip_cases,
    run=_siglip_run,
    misconceptions={
        "all averaged": "the loss is divided by the number of all pairs; only the sum over i is a mean",
        "all added": "nothing is divided by N: the loss would grow with the batch even where every pair costs the same",
        "matches alone": "only the matches are asked; a model that says yes to everything would cost nothing",
        "mismatches alone": "only the mismatches are asked; a model that says no to everything would cost nothing",
        "all yes": "every pair is taken for a match: what is y away from the diagonal?",
        "labels 0": "the mismatches have the label 0 in the product, so they cost ln 2 whatever the model says",
        "flipped": "the labels have changed places: the match is pushed apart",
        "bias inside": "the bias is multiplied by the scale as well",
        "bias off": "the bias is subtracted, or has the other sign",
        "no bias": "the bias has no effect",
        "softmax": "this is the softmax loss: here each pair is asked by itself, whatever the others score",
        "other sign": "the loss is negative: what is to be made small is the negative logarithm",
        "overflow": "for large scores the loss is not finite: the sigmoid has become 0 before the logarithm sees it",
        "clamped": "for large scores the loss is finite and far too small: a small constant hides the mistakes that cost most",
    },
    blocks=("mmteach.alignment.contrastive", "mmteach.alignment._pairs"),
)

# ---- cross_modal.levels -----------------------------------------------------------------------------------------------

LEVELS = ("alike", "hot", "copies", "siglip", "vse")


def _levels_cases(seed: int) -> list[Case]:
    return [Case(entry, {"entry": entry}, f"the entry {entry!r}") for entry in LEVELS]


LEVELS_TASK = Task(
    name="cross_modal.levels",
    title="Five losses, and what they say",
    answer="levels",
    kind="predict",
    minutes=20,
    difficulty=2,
    parts=dict.fromkeys(LEVELS, 1),
    prompt=r"""
A batch of $N = 128$ pairs, and five models. **Predict** each loss on paper, **then measure** it with the losses of `mmteach.alignment` or your own. Answer with a dict of numbers to
three decimals:

- `"alike"`: InfoNCE (CLIP's loss) of a model for which all cosines are equal;
- `"hot"`: InfoNCE at $\tau = 1$ of a *perfect* model: every match has the cosine 1, every mismatch the cosine 0;
- `"copies"`: InfoNCE of a perfect model at $\tau = 0.001$, in a batch that holds 32 things four times each, all of a thing with the same picture and the same text;
- `"siglip"`: SigLIP, $t = 10$, $b = -10$, all cosines 0;
- `"vse"`: the hardest-negative hinge, margin 0.2, all embeddings at one point: what does it cost **a pair**, both directions together?""",
    hints=(
        "For each: write down one row of the table of scores, and what its softmax, its sigmoids or its hinge make of it.",
        "A softmax over $N$ equal scores gives each $1/N$. Over 4 large equal ones and 124 small ones?",
        "For SigLIP there are two kinds of questions in a row: one yes and 127 noes. What does each cost at a score of −10?",
    ),
    links=(
        "5 · A choice among many: InfoNCE and CLIP",
        "6 · Yes or no: SigLIP",
        "9 · Batch size and ln N",
        "10 · False negatives",
    ),
    cases=_levels_cases,
    run=_entry_run,
    misconceptions={
        "base": "this logarithm has another base; the loss is in nats",
        "probability": "this is a probability; the loss is its negative logarithm",
        "zero": "nothing is free here: how much probability does the softmax leave for the others?",
        "nothing learned": "this is the level of a model that knows nothing, and this one knows something",
        "without the match": "the match itself stands in the sum below the fraction bar too",
        "mismatches forgotten": "the mismatches have scores as well: 127 of them, each with an exponential of its own",
        "others": "this counts the other copies; with its own there is one more to share the probability with",
        "things": "this is a choice between things; between which candidates can a perfect model not decide?",
        "no bias": "this is the start without a bias: which answer does the bias give at first?",
        "mean over pairs": "this is divided by all N² pairs; the loss is a sum over j and a mean over i",
        "all wrong": "a score of −10 is a sure no: which of the 128 questions of a row is that the wrong answer to?",
        "one direction": "this is one direction; a picture asks, and so does a text",
        "whole batch": "this is the sum over the batch, and what one pair costs is asked for",
        "rounded": "this is right to fewer decimals than the three that are asked for",
        "no margin": "at one point the match is no better than any mismatch: what is left of the hinge then?",
    },
    rtol=0.0,
    atol=1.5e-3,
)

# ---- cross_modal.copies -----------------------------------------------------------------------------------------------


def _copies_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, ids: list[int], what: str = "") -> Case:
        order = draw.permutation(len(ids))
        labels = torch.tensor(ids)[order] + draw.whole(0, 5)
        same = labels[:, None] == labels
        near = draw.normal(len(ids), len(ids), scale=0.15)
        scores = torch.where(same, 0.75 + near, 0.5 + near).clamp(-1, 1)
        scores.diagonal().copy_(0.45 + near.diagonal())
        scores[:, 2] += torch.where(same[:, 2], 0.0, 0.3)  # a hub: the two directions do not cost the same
        # The first pair is found with ease: its mismatches are farther away than the margin.
        scores[0, ~same[0]], scores[~same[0], 0] = -0.2, -0.2
        scores[0, 0] = 0.97
        return Case(part, {"scores": scores, "ids": labels, "margin": draw.number(0.25, 0.4)}, what)

    low = case("copies", [0, 0, 1, 2, 2, 2, 3], "things that come several times")
    low.inputs["scores"].sub_(1.0)  # all cosines below 0: a score of 0 would be the highest
    return [
        case("values", [0, 1, 2, 3, 4, 5]),
        case("values", [0, 1, 2, 3], "a batch of four"),
        case("copies", [0, 0, 1, 2, 2, 2, 3, 4], "things that come several times"),
        low,
        case("copies", [4, 4, 4], "a batch that holds one thing only"),
    ]


def _copies_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


COPIES = Task(
    name="cross_modal.copies",
    title="A loss that never moves",
    answer="hardest",
    kind="debug",
    minutes=20,
    difficulty=3,
    parts={"values": 2, "copies": 3},
    prompt=r"""
A colleague trains two encoders, for pictures and texts of twelve things, with the hardest-negative loss of VSE++ in batches of 64. The loss stands at about 0.4 a pair from the first step
to the last, as if all embeddings were one point; the cell below shows it. Find out why `hardest_as_it_is` cannot fall, and write it again, mended, as `hardest`.

`hardest(scores, ids, margin)` gets cosines $S$ $(N, N)$, row $i$ a picture, column $j$ a text; `ids` $(N)$, the number of the thing that pair $i$ shows; and the margin $m$. It gives
one number, the **sum** over the batch

$$ L = \sum_i \max_{j \in M_i} [\,m - S_{ii} + S_{ij}\,]_+ + \max_{j \in M_i} [\,m - S_{ii} + S_{ji}\,]_+ , $$

where $M_i$ are the mismatches of $i$: you decide who belongs to them. Where there is none, the pair costs nothing.""",
    hints=(
        "Print `ids[:10]`. How many of the 64 texts of a batch are right for one picture?",
        "$[m - S_{ii} + S_{ij}]_+$ for a copy $j$ of $i$, with the same text: what does it come to, whatever the model does?",
        "`ids[:, None] != ids` says who is another thing. What is no mismatch must not win a maximum, even where all cosines are below 0.",
    ),
    links=("10 · False negatives", "4 · A margin: triplets, and the hardest negative"),
    cases=_copies_cases,
    run=_copies_run,
    misconceptions={
        "copies push": "the copies of a thing are among its mismatches still, and no model can put a thing closer to itself than to its copy",
        "own match": "the match itself stands among the mismatches: its hinge is the margin, whatever the model does",
        "one direction": "only the pictures ask or only the texts; both do",
        "same direction twice": "both terms look along the same axis: which axis holds the pictures of one text?",
        "another's match": "a text that asks compares its mismatches with the matches of others: whose match is to stand beside S[j, i]?",
        "all of them": "all mismatches are added; the hardest one of each pair counts",
        "easiest": "this is the mismatch that is farthest away; the hardest is the one that scores highest",
        "mean": "the pairs are averaged, and their sum is asked for",
        "no hinge": "a mismatch that is far enough away earns something here; it should cost nothing",
        "margin": "the margin has the wrong sign: the match must be better by m",
        "score zero": "what is no mismatch gets a score or a cost of its own and wins where all cosines are low: it must not take part",
        "whole pairs": "of pairs that are copies of each other all are left out, or all but one; each of them has mismatches as well",
        "nothing left": "a pair without any mismatch costs nothing, and here the loss is not finite or there is something to pay",
    },
    blocks=("mmteach.alignment.triplet", "mmteach.alignment._pairs"),
)

# ---- cross_modal.batch ------------------------------------------------------------------------------------------------

BATCH = ("batch", "steps", "temperature")


def _batch_cases(seed: int) -> list[Case]:
    return [Case("design", {})]


def _batch_run(answer: Any, case: Case) -> Observed:
    if isinstance(answer, dict) and answer and all(one is None for one in answer.values()):
        return observe.value(None)
    return observe.value(answer) | ({} if isinstance(answer, dict) or answer is None else {"no dict": True})


def _batch_notice(case: Case, seen: Observed) -> str | None:
    found = seen.get("outputs", {}).get("value")
    if seen.get("unanswered") or seen.get("no dict"):
        return None
    if not isinstance(found, dict) or set(found) != set(BATCH):
        return "entries"
    n, steps, tau = (found[name] for name in BATCH)
    if not all(type(one) is int and 2 <= one < 10**9 for one in (n, steps)):
        return "whole numbers"
    if type(tau) not in (int, float) or not 1e-4 <= tau <= 100:
        return "temperature"
    if n * steps > 2_000_000:
        return "budget"
    if steps < 6_000:
        return "few steps"
    if math.log(n) < 5:
        return "ceiling"
    if 1 - (1 - 1 / 3000) ** (n - 1) > 0.1:
        return "copies"
    if 2.0 * n + 3 * 4 * n**2 / 1e6 > 600:
        return "memory"
    if math.log1p((n - 1) * math.exp(-1 / tau)) > 0.1:
        return "too hot"
    return "too cold" if math.exp(-0.3 / tau) < 0.01 else None


BATCH_TASK = Task(
    name="cross_modal.batch",
    title="A contrastive training within a budget",
    answer="plan",
    kind="design",
    minutes=20,
    difficulty=2,
    parts={"design": 4},
    prompt=r"""
A museum has pictures and descriptions of $C = 3{,}000$ objects, all photographed equally often, and a machine for one night. Choose the `batch` $N$, the number of `steps`, and a fixed
`temperature` $\tau$ for InfoNCE, so that

1. the night suffices: at most 2,000,000 pairs are seen, $N$ × steps;
2. the encoders get at least 6,000 steps;
3. $\ln N - L$ can show 5 nats of information: which $N$ can?
4. copies stay rare: the chance that a pair has at least one copy among the other $N-1$ of its batch, all drawn at random, is at most one in ten;
5. it fits into 600 MB, a megabyte counted as a million bytes: activations take 2 MB a pair, and the table of scores, its softmax and its gradient $N^2$ numbers of 4 bytes each;
6. a good model can show that it is good: with cosines of 1 for matches and 0 for mismatches the loss is at most 0.1;
7. not the hardest mismatch alone pushes: one whose cosine lies 0.3 below another's still gets at least a hundredth of its weight in the softmax.

Answer with a dict `{"batch": …, "steps": …, "temperature": …}`. Every choice that keeps all seven is right. Which of them pull in opposite directions?""",
    hints=(
        "Three conditions bound $N$ from above and one from below; compute each bound by itself.",
        "A given other pair is no copy with the chance $1 - 1/C$. All $N - 1$ of them?",
        "Two cosines $a$ and $b$ have weights in the ratio $e^{(a-b)/\\tau}$. Conditions 6 and 7 bound $\\tau$ from both sides.",
    ),
    links=(
        "9 · Batch size and ln N",
        "10 · False negatives",
        "8 · Temperature, and the gap between the modalities",
    ),
    cases=_batch_cases,
    run=_batch_run,
    notice=_batch_notice,
    misconceptions={
        "entries": "the dict needs the entries batch, steps and temperature, and no others",
        "whole numbers": "pairs and steps are counted: whole numbers are needed, and a batch of two at least",
        "temperature": "a temperature is a number above 0, and not a very large one",
        "budget": "more pairs are seen than the night has time for",
        "few steps": "the encoders get too few steps: what is spent on each of them?",
        "ceiling": "however good the model gets, this batch cannot show 5 nats: what is the most that ln N − L can be?",
        "copies": "too many pairs meet a copy of themselves: they push apart what belongs together",
        "memory": "this needs more than 600 MB: which part grows with the square of the batch?",
        "too hot": "at this temperature even a perfect model has a high loss: the softmax cannot be sure of anything",
        "too cold": "at this temperature a single mismatch does nearly all the pushing",
    },
)

# ---- cross_modal.teacher ----------------------------------------------------------------------------------------------


def _teacher_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, lengths: list[int], what: str = "") -> Case:
        tokens = torch.zeros(len(lengths), max(lengths) + 2, dtype=torch.int64)
        for row, n in zip(tokens, lengths):
            words = draw.permutation(30)[:n] + 3
            row[: n + 2] = torch.cat([torch.tensor([1]), words, torch.tensor([2])])
        return Case(part, {"tokens": tokens}, what)

    long = draw.whole(5, 7)
    return [
        case("values", [long, long], "captions of one length"),
        case("values", [4], "a batch of one"),
        case("padding", [long, 2, 3, 1], "captions of different lengths"),
    ]


def _teacher_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs)
    found = seen["outputs"]["value"]
    if isinstance(found, (tuple, list)) and len(found) == 3:
        seen["outputs"] = dict(zip(("read", "wanted", "counts"), found))
        if isinstance(found[2], Tensor):
            seen["outputs"]["dtype"] = str(found[2].dtype).removeprefix("torch.")
    return seen


def _teacher_notice(case: Case, seen: Observed) -> str | None:
    outputs = seen.get("outputs", {})
    if seen.get("error") or seen.get("not callable"):
        return None
    if "counts" not in outputs:
        return "no triple"
    return "no bool" if isinstance(outputs["counts"], Tensor) and outputs["dtype"] != "bool" else None


TEACHER = Task(
    name="cross_modal.teacher",
    title="A captioner with a wonderful loss that writes rubbish",
    answer="teacher",
    kind="debug",
    minutes=20,
    difficulty=2,
    parts={"values": 3, "padding": 1},
    prompt=r"""
This captioner's training loss falls to almost nothing within seconds, and asked to write it says the same token again and again: the cell below shows it. Network, optimiser and decoding are
sound. Find out what the loss rewards, and write `teacher_as_it_is` again, mended, as `teacher`.

`teacher(tokens)` gets whole numbers $(B, T)$: 1 (start), the words, 2 (end), then 0 up to the length of the longest. It gives three tensors $(B, T-1)$:

- `read`: what the model reads at each step, the *right* words so far;
- `wanted`: what it is to say at that step, so that step by step it writes the caption and then ends it;
- `counts`: bool, True where there is something to be said. Padding is not.""",
    hints=(
        "At step $t$ the model has read `read[:, t]`. Write the two rows for “start a red circle end” below each other.",
        "If what is wanted has just been read, which network has a loss of 0?",
        "Two slices of `tokens`, one without its last column and one without its first. Which of the two says where padding counts?",
    ),
    links=("12 · Writing: captions",),
    cases=_teacher_cases,
    run=_teacher_run,
    picture=pictures.tables("wanted", "step"),
    notice=_teacher_notice,
    misconceptions={
        "no triple": "three tensors are needed: what is read, what is wanted, and what counts",
        "no bool": "what counts is said with True and False",
        "not shifted": "at each step the model is asked for the token that it has just read: copying it costs nothing",
        "backwards": "the model reads the next word and is asked for the one before",
        "one for all": "the model may read the word that it is to say: compare the two rows step by step",
        "skips": "the word asked for is not the next one: one is passed over",
        "never ends": "the end does not count, so nobody teaches the model to stop",
        "padding counts": "padding counts: the model is taught to write nothing, at great length",
        "mask of read": "one step too many counts in short captions: by which of the two tensors is it decided what there is to say?",
        "start wanted": "the model is asked for the start; it is given, and never said",
        "inverted": "what counts is marked False, and padding True",
    },
)

# ---- cross_modal.beam -------------------------------------------------------------------------------------------------


def _beam_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def row(*nats: float) -> Tensor:
        """Logarithms of one beginning's next words, in random places; the rest far below."""
        values = torch.tensor([-one for one in nats]) + draw.uniform(len(nats), low=-0.04, high=0.04)
        return values[draw.permutation(len(nats))]

    # The best beginning gives two of the three best continuations, the second one, and the third none, although its next word is surest.
    beginnings = [(-1.0, row(0.7, 1.2, 3.1, 3.5, 4.0, 4.4)), (-1.5, row(0.6, 2.6, 3.3, 3.6, 4.1, 4.5)), (-3.5, row(0.2, 2.5, 3.0, 3.7, 4.2, 4.6))]  # fmt: skip
    order = draw.permutation(3).tolist()
    kept = torch.tensor([beginnings[i][0] for i in order]) + draw.uniform(3, low=-0.04, high=0.04)
    log_p = torch.stack([beginnings[i][1] for i in order])
    first = draw.normal(1, 7, scale=1.5).log_softmax(-1)
    few = draw.normal(2, 3, scale=1.5).log_softmax(-1)
    return [
        Case("values", {"kept": kept, "log_p": log_p, "width": 3}),
        Case("values", {"kept": torch.zeros(1), "log_p": first, "width": 3}, "a single beginning"),
        Case("few", {"kept": torch.tensor([-0.5, -1.0]), "log_p": few, "width": 8}, "more places than continuations"),
    ]


def _beam_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs)
    found = seen["outputs"]["value"]
    if isinstance(found, (tuple, list)) and len(found) == 2:
        seen["outputs"] = {"parents": found[0], "words": found[1]}
    return seen


def _beam_notice(case: Case, seen: Observed) -> str | None:
    outputs = seen.get("outputs", {})
    if seen.get("error") or seen.get("not callable"):
        return None
    if "parents" not in outputs:
        return "no pair"
    pair = [outputs["parents"], outputs["words"]]
    return "no places" if any(isinstance(one, Tensor) and one.is_floating_point() for one in pair) else None


BEAM = Task(
    name="cross_modal.beam",
    title="One step of beam search",
    answer="grow",
    kind="implement",
    minutes=20,
    difficulty=2,
    parts={"values": 3, "few": 1},
    prompt=r"""
Beam search keeps the likeliest beginnings of a caption. Write one step of it, `grow(kept, log_p, width)`: `kept` $(n)$ holds the logarithm of each kept beginning's probability, `log_p`
$(n, V)$ that of each next word after each beginning. All $n V$ continuations compete with each other,

$$ \log p(w_1 \dots w_t) = \log p(w_1 \dots w_{t-1}) + \log p(w_t \mid w_1 \dots w_{t-1}), $$

and the `width` likeliest are kept (all, if there are fewer), the likeliest first. Give a pair of tensors of whole numbers, `(parents, words)`: which beginning each of them continues, and with
which word.""",
    hints=(
        "Add `kept` to its own row of `log_p`: which of the two axes holds the beginnings?",
        "Flatten the table, and take the largest: `topk` sorts as asked, and stops with an error where fewer are there than it should take.",
        "Place $p$ of the flat table lies in row $p // V$ and column $p \\bmod V$.",
    ),
    links=("12 · Writing: captions",),
    cases=_beam_cases,
    run=_beam_run,
    notice=_beam_notice,
    misconceptions={
        "no pair": "a pair is needed: the beginnings that are continued, and the words",
        "no places": "whole numbers are needed, the places of beginnings and words; are these logarithms, or quotients that nobody rounded down?",
        "each its own": "every beginning is continued once; a good one may be continued twice, and a poor one not at all",
        "greedy": "only the best beginning is continued",
        "past forgotten": "the words are compared as if all beginnings were equally likely",
        "next forgotten": "only the likelihood of the beginnings counts: every word after one is as good as the other",
        "multiplied": "logarithms of probabilities are added where the probabilities are multiplied",
        "probabilities": "a probability is added to a logarithm: bring both to one scale first",
        "worst first": "the kept ones are the right ones, and the likeliest is to stand first",
        "least likely": "these are the least likely continuations",
        "pair swapped": "the two tensors have changed places: first the beginnings, then the words",
        "wrong count": "a place in the flat table is taken apart by the wrong number: how long is a row?",
    },
    blocks=("mmteach.generation.decoding",),
)

# ---- cross_modal.bleu -------------------------------------------------------------------------------------------------

WORDS = [
    "red",
    "blue",
    "green",
    "small",
    "large",
    "circle",
    "square",
    "star",
    "ring",
    "line",
    "above",
    "below",
    "left",
    "right",
    "near",
    "inside",
    "between",
    "behind",
    "under",
    "bright",
    "dark",
]


def _bleu_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def sentence(length: int) -> list[str]:
        return [WORDS[i] for i in draw.permutation(len(WORDS))[:length].tolist()]

    def exchanged(words: list[str], at: int, others: list[str]) -> list[str]:
        """With a word at one place that stands in another sentence, and not in this one."""
        return [*words[:at], draw.pick([word for word in others if word not in words]), *words[at + 1 :]]

    def case(part: str, said: list[list[str]], references: list[list[str]], what: str = "") -> Case:
        return Case(part, {"said": [" ".join(s) for s in said], "references": [" ".join(r) for r in references]}, what)

    def three() -> list[list[str]]:
        return [sentence(draw.whole(7, 8)), sentence(9), sentence(draw.whole(10, 12))]

    a, b, c = three()
    extra = [word for word in WORDS if word not in c][:3]
    long = case("values", [exchanged(a, 5, b), exchanged(b, draw.whole(1, 2), c), c[:5] + extra + c[5:]], [a, b, c])
    a, b, c = three()
    a, c = sorted(a, key=len), sorted(c, key=len)  # the longest words are left out: lengths in letters must show
    short = case("values", [a[:-2], exchanged(b, 4, c), c[:-3]], [a, b, c], "sentences that are too short")
    a, b, c = three()
    again = case("repeats", [a[:5] + a[:5], exchanged(b, 2, a), c], [a, b, c], "words that are said twice")
    a, b, c = three()
    torn = [
        [word if i % 3 else WORDS[(WORDS.index(word) + 1) % len(WORDS)] for i, word in enumerate(s)] for s in (a, b, c)
    ]
    three_words = [sentence(3), sentence(3)]
    return [
        long,
        short,
        again,
        case("nothing", torn, [a, b, c], "no four words in a row that are right"),
        case("nothing", three_words, three_words, "sentences of three words"),
    ]


def _bleu_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


def _bleu_notice(case: Case, seen: Observed) -> str | None:
    found = seen.get("outputs", {}).get("value")
    if isinstance(found, Tensor) and found.numel() == 1:
        found = found.item()
    return "smoothed" if case.part == "nothing" and isinstance(found, float) and found > 0 else None


BLEU = Task(
    name="cross_modal.bleu",
    title="How much of it did a person write?",
    answer="bleu",
    kind="implement",
    minutes=25,
    difficulty=2,
    parts={"values": 3, "repeats": 1, "nothing": 1},
    prompt=r"""
Write BLEU (Papineni et al. 2002), `bleu(said, references)`: two lists of sentences, words separated by spaces; sentence $i$ of one was to be sentence $i$ of the other. It gives one number from 0 to 1,

$$ \text{BLEU} = \min\big(1, e^{1 - R/C}\big) \cdot (p_1 p_2 p_3 p_4)^{1/4}, \qquad
p_n = \frac{\sum_i \sum_g \min\big(\#_{\text{said}_i}(g),\ \#_{\text{reference}_i}(g)\big)}{\sum_i \sum_g \#_{\text{said}_i}(g)} , $$

where $g$ runs over the $n$-grams, $n$ words in a row within one sentence; $\#_s(g)$ is how often $g$ stands in sentence $s$; $C$ and $R$ are the numbers of words in **all** sentences said and in all references. The
minimum keeps “red red red red” from being four times right. Where a $p_n$ is 0, or no sentence is long enough to have an $n$-gram, BLEU is 0.

Why does a long caption need no penalty of its own?""",
    hints=(
        "Write what counts the $n$-grams of one sentence first: a dict from $n$ words in a row to how often they come.",
        "`Counter` of `collections` counts what a list holds, and `a & b` of two of them takes the smaller count of each.",
        "Both sums of $p_n$ run over all sentences before anything is divided. A product is 0 as soon as one factor is: leave before you take its logarithm.",
    ),
    links=("12 · Writing: captions",),
    cases=_bleu_cases,
    run=_bleu_run,
    notice=_bleu_notice,
    rtol=1e-5,  # a few divisions and a root: float32 is exact enough, and mistakes that come close are told apart
    misconceptions={
        "not clipped": "an n-gram counts as right here more often than it stands in the reference",
        "sets": "every n-gram counts once however often it is said; each time counts, as often as the reference has it",
        "recall": "these are shares of the reference; how much of what was **said** is right is asked for",
        "no penalty": "a sentence that stops early is not punished: what would a single sure word score?",
        "penalty turned": "the penalty meets the wrong sentences: which of the two lengths stands above the fraction bar?",
        "bonus": "sentences that are too long earn more than 1 here: the factor is never above 1",
        "arithmetic": "the four shares are averaged; they are multiplied, so that each of them must be good",
        "no root": "the four shares are multiplied; the fourth root of that is asked for",
        "one length": "only one length of n-grams counts; all from 1 to 4 do",
        "up to three": "the n-grams end too early, or begin too late: n runs from 1 to 4",
        "mean of sentences": "each sentence has a score of its own here; the counts of all are added before anything is divided",
        "pooled": "n-grams of all lengths are in one share, and single words outvote the others",
        "other references": "an n-gram is right only if it stands in the reference of its own sentence",
        "across": "an n-gram may not begin in one sentence and end in the next",
        "letters": "letters are counted here, in n-grams or in the lengths; words are asked for",
        "percent": "this is a percentage; the result lies between 0 and 1",
        "smoothed": "one of the four shares is 0 or has nothing to be a share of, and so the whole is 0",
    },
    blocks=("mmteach.metrics.text",),
)

TASKS = (RECALL, CCA, CLIP, SIGLIP, LEVELS_TASK, COPIES, BATCH_TASK, TEACHER, BEAM, BLEU)
