"""What right and known wrong answers to the tasks of chapter 01 give."""

from __future__ import annotations

from mmteach.exercises.task import Case, Expectation


def late(case: Case) -> Expectation:
    a, b, prior = (case.inputs[name].double() for name in ("log_p1", "log_p2", "prior"))
    score = a + b - prior.log()
    right = score.log_softmax(-1)
    p = (a.float().exp() * b.float().exp() / prior.float()).float()
    wrong = {
        "prior forgotten": (a + b).log_softmax(-1),
        "prior added": (a + b + prior.log()).log_softmax(-1),
        "prior twice": (score - prior.log()).log_softmax(-1),
        "prior not logged": (a + b - prior).log_softmax(-1),
        "not normalised": score,
        "mean of probabilities": ((a.exp() + b.exp()) / 2).log(),
        "mean of logs": ((a + b) / 2 - prior.log()).log_softmax(-1),
        "probabilities": right.exp(),
        "wrong axis": score.log_softmax(0),
        "underflow": (p / p.sum(-1, keepdim=True)).log(),
    }
    return Expectation(
        {"value": right.float(), "rows": right.float()},
        {name: {"value": value.float()} for name, value in wrong.items()},
    )


EXPECT = {"background.late": late}
