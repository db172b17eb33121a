"""The Pareto explorer: the front is the front, the view marks what it says, every control has a label and does its work."""

import inspect

import matplotlib
import numpy as np
import pandas as pd
import pytest

from mmteach.widgets import pareto, pareto_explorer, pareto_view
from mmteach.widgets.pareto import front

matplotlib.use("agg")

WEIGHTS = (0.0, 0.2, 0.5, 0.8, 1.0)
LEFT = (0.1, 0.7, 0.8, 0.9, 0.95)
RIGHT = (0.96, 0.85, 0.9, 0.6, 0.1)  # 0.2 is beaten by 0.5 on both


def table():
    rows = [
        {"network": network, "weight": w, "seed": seed, "left": a - shift + seed / 100, "right": b - shift - seed / 100}
        for network, shift in (("wide", 0.0), ("narrow", 0.05))
        for w, a, b in zip(WEIGHTS, LEFT, RIGHT)
        for seed in (-1, 1)
    ]
    return pd.DataFrame(rows)


def slow_front(points):
    """By the definition, a pair at a time."""
    beaten = [
        any(all(q >= p for p, q in zip(a, b)) and any(q > p for p, q in zip(a, b)) for b in points) for a in points
    ]
    return [not b for b in beaten]


@pytest.mark.parametrize("seed", range(5))
def test_front_is_what_the_definition_says(seed):
    points = np.random.default_rng(seed).integers(0, 5, (12, 2)) / 5  # whole numbers, so that there are ties
    assert front(points).tolist() == slow_front(points.tolist())


def test_front_of_three_tasks_of_equal_points_and_of_one():
    assert front(np.array([[1, 1, 1], [1, 1, 0], [0, 2, 0]])).tolist() == [True, False, True]
    assert front(np.array([[0.5, 0.5], [0.5, 0.5]])).tolist() == [True, True]
    assert front(np.array([[0.5, 0.5]])).tolist() == [True]


@pytest.mark.parametrize("points", [np.zeros(3), np.array([[0.5, np.nan]])])
def test_front_refuses_what_cannot_be_compared(points):
    with pytest.raises(ValueError, match="points must be numbers with shape"):
        front(points)


def drawn(view):
    plane, lines = view.figure.axes
    return {line.get_label(): line.get_xydata() for line in plane.lines}, plane, lines


def test_the_view_marks_the_weight_the_front_and_each_task_alone():
    view = pareto_view(table(), "wide", 0.8)
    points, plane, lines = drawn(view)
    np.testing.assert_allclose(points["this weight"], [[0.9, 0.6]])
    np.testing.assert_allclose(points["its seeds"], [[0.89, 0.61], [0.91, 0.59]])
    np.testing.assert_allclose(points["the front"], [[0.8, 0.9], [0.9, 0.6]])
    np.testing.assert_allclose(points["other weights"], [[0.7, 0.85], [0.8, 0.9], [0.9, 0.6]])
    np.testing.assert_allclose(points["a network a task"][:, 0], 0.95)
    assert plane.get_xlabel() == "accuracy of left" and plane.get_ylabel() == "accuracy of right"
    assert lines.get_xlabel() == "weight of left, w" and lines.get_ylabel() == "accuracy"
    assert view.alt == (
        "wide, weight 0.8 on left: accuracy left 0.900, right 0.600; a network a task: left 0.950, right 0.960. "
        "2 of 3 weights are on the front, where no other is better on both tasks."
    )


def test_other_methods_are_drawn_where_they_are_given():
    others = pd.DataFrame({"model": ["PCGrad"], "left": [0.85], "right": [0.8]})
    points, *_ = drawn(pareto_view(table(), "wide", 0.5, others=others))
    np.testing.assert_allclose(points["other methods"], [[0.85, 0.8]])
    assert "other methods" not in drawn(pareto_view(table(), "wide", 0.5))[0]


def test_at_weight_one_only_one_task_was_trained_and_nothing_is_marked_in_the_plane():
    view = pareto_view(table(), "narrow", 1.0)
    assert "this weight" not in drawn(view)[0]
    assert "left 0.900, right 0.050" in view.alt


def test_the_view_says_what_the_table_does_not_have():
    with pytest.raises(ValueError, match="network must be one of 'wide', 'narrow', got 'deep'"):
        pareto_view(table(), "deep", 0.5)
    with pytest.raises(ValueError, match="weight must be one of"):
        pareto_view(table(), "wide", 0.3)


def test_controls_have_labels_and_follow_the_table(capsys):
    others = {"wide": pd.DataFrame({"model": ["PCGrad"], "left": [0.85], "right": [0.8]})}
    explorer = pareto_explorer(table(), others=others)
    network, weight, methods, output = explorer.children
    assert [c.description for c in (network, weight, methods)] == [
        "Network", "Weight of left, w", "Show the other methods",
    ]  # fmt: skip
    assert network.options == ("wide", "narrow") and [v for _, v in weight.options] == list(WEIGHTS)
    assert output.layout.min_height  # the page keeps its place while a figure is drawn anew
    assert "w = 0.5 on left, 0.5 on right: left 0.800, right 0.900" in capsys.readouterr().out
    weight.value = 0.8
    assert "w = 0.8 on left, 0.2 on right: left 0.900, right 0.600" in capsys.readouterr().out
    network.value = "narrow"
    assert "left 0.850, right 0.550" in capsys.readouterr().out
    methods.value = True
    assert "were not measured on this network" in capsys.readouterr().out
    network.value = "wide"
    said = capsys.readouterr().out
    assert "left 0.900, right 0.600" in said and "not measured" not in said


def test_nothing_is_used_that_ipywidgets_7_lacks():
    for new in ("TagsInput", "ColorsInput", "Stack(", "TimePicker", "titles="):
        assert new not in inspect.getsource(pareto)
