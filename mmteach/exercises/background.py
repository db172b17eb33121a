"""The tasks of chapter 01, Background. Their references are in mmteach.exercises.references.background."""

from __future__ import annotations

from typing import Any

from mmteach.exercises import observe
from mmteach.exercises.draws import Draw
from mmteach.exercises.task import Case, Observed, Task

# ---- background.late --------------------------------------------------------------------------------------------------


def _late_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, what: str, spread: float = 2.0) -> Case:
        classes = draw.whole(3, 5)
        scores = {f"log_p{m}": draw.normal(batch, classes, scale=spread).log_softmax(-1) for m in (1, 2)}
        return Case(part, scores | {"prior": draw.normal(classes).softmax(-1)}, what)

    return [
        case("values", 6, ""),
        case("values", 1, "a batch of one"),
        case("extremes", 4, "very sure witnesses", 120.0),
    ]


def _late_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, rows=("log_p1", "log_p2"))


LATE = Task(
    name="background.late",
    title="Late fusion when some answers are more frequent than others",
    answer="late",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 3, "extremes": 1},
    prompt=r"""
The chapter's digits are all equally frequent, so it dropped $p(y)$. In the wild they are not: one bird in a thousand is an owl. Go back
to the line before, with $p(y)$ still in it,

$$ p(y \mid x_1, x_2) \;\propto\; \frac{p(y \mid x_1)\; p(y \mid x_2)}{p(y)}, $$

and write `late(log_p1, log_p2, prior)`. It gets two tensors of log-probabilities, $(B, K)$ each, and the probabilities of the $K$ classes,
$(K)$. It gives **log-probabilities** $(B, K)$: their exponentials sum to 1 in each row. Stay in logarithms throughout; a very sure witness gives
log-probabilities of $-200$ and below.""",
    hints=(
        "In logarithms a product is a sum, and a quotient a difference.",
        "What you have then is right up to a constant in each row. Which function subtracts just that constant?",
        "`torch.log_softmax` normalises whatever logarithms it is given. Think about which axis holds the classes.",
    ),
    links=("5 · Two witnesses who have never met",),
    cases=_late_cases,
    run=_late_run,
    misconceptions={
        "prior forgotten": "the classes' frequencies have no effect: whose knowledge is in both answers, and so counted twice?",
        "prior added": "the frequent classes gain by the fusion: each witness has the prior in its answer already, so which way does the correction go?",
        "prior twice": "the prior is corrected for once too often: how often is it in the two answers together, and how often should it be?",
        "prior not logged": "a probability is subtracted from a logarithm: bring the prior to the same scale first",
        "not normalised": "the order of the classes is right, but the probabilities of a row do not sum to one",
        "mean of probabilities": "this averages the two opinions; two independent witnesses who agree should be surer than either",
        "mean of logs": "each witness counts by half: the rule multiplies the two probabilities as they are",
        "probabilities": "these are probabilities, and their logarithms are asked for",
        "wrong axis": "the columns sum to one, not the rows: which axis holds the classes?",
        "underflow": "somewhere you leave the logarithms: the exponential of −200 is 0 in float32, and its logarithm is gone",
    },
)

TASKS = (LATE,)
