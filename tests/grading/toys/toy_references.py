"""What is right for the toy tasks. The sandbox must not be able to read this: SECRET-REFERENCE."""

from mmteach.exercises.task import Expectation


def _mean(case):
    x = case.inputs["x"]
    return Expectation({"value": x.mean(1)}, {"sum": {"value": x.sum(1)}})


def _softmax(case):
    return Expectation({"value": case.inputs["x"].softmax(1)})


def _largest(case):
    return Expectation({"value": case.inputs["x"].amax(1)})


EXPECT = {"toy.mean": _mean, "toy.softmax": _softmax, "toy.third": _largest}
