"""Chapter 07's figures: edges carry their numbers, every seed is a dot, the front is the front."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from mmteach.figures import curves, frontier, triangle
from mmteach.figures.outlook import best_for_less

matplotlib.use("agg")
NAMES = {"image": "picture", "text": "name", "audio": "sound"}
RECALL = {
    ("image", "text"): 0.4, ("text", "image"): 0.45, ("text", "audio"): 0.8, ("audio", "text"): 0.85,
    ("image", "audio"): 0.3, ("audio", "image"): 0.35,
}  # fmt: skip


def test_the_triangle_says_which_edge_was_never_trained_and_what_is_found_on_each():
    view = triangle(RECALL, "text", names=NAMES, chance=0.05, title="Bound")
    words = [text.get_text() for text in view.figure.axes[0].texts]
    assert "→ 0.30   ← 0.35\nnever trained" in words and "→ 0.40   ← 0.45\ntrained" in words
    assert sum("never" in one for one in words) == 1 and {"picture", "name", "sound"} <= set(words)
    assert "picture to sound 0.30" in view.alt and "chance 0.05" in view.alt
    told = triangle(RECALL, "text", names=NAMES, title="Bound", remark="asked of the texts")
    assert "→ 0.30   ← 0.35\nasked of the texts" in [text.get_text() for text in told.figure.axes[0].texts]


def test_a_triangle_has_three_modalities_and_all_ways():
    with pytest.raises(ValueError, match="both ways between three modalities"):
        triangle(dict.fromkeys(list(RECALL)[:5], 1.0), "text", names=NAMES, title="Bound")
    with pytest.raises(ValueError, match="bound_by must be one of"):
        triangle(RECALL, "video", names=NAMES, title="Bound")


def table():
    return pd.DataFrame(
        [
            {"model": m, "share": x, "seed": s, "score": base - x + s / 10}
            for m, base in (("a", 1.0), ("b", 2.0))
            for x in (0.1, 0.5)
            for s in (0, 1, 2)
        ]
    )


def test_curves_draw_the_mean_and_each_seed():
    view = curves(table(), "share", "score", by="model", title="T", labels=("x", "y"), levels={"all": 1.5})
    ax = view.figure.axes[0]
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_allclose(lines["a"], [[0.1, 1.0], [0.5, 0.6]])
    assert "a from 1.00 to 0.60" in view.alt and "all 1.50" in view.alt
    dots = sorted(map(tuple, ax.lines[1].get_xydata().round(6).tolist()))
    assert dots == [(0.1, 0.9), (0.1, 1.0), (0.1, 1.1), (0.5, 0.5), (0.5, 0.6), (0.5, 0.7)]


def test_curves_of_one_seed_have_no_dots():
    view = curves(table().query("seed == 0"), "share", "score", by="model", title="T", labels=("x", "y"), log=True)
    assert len(view.figure.axes[0].lines) == 2 and view.figure.axes[0].get_xscale() == "log"


@pytest.mark.parametrize("seed", range(4))
def test_the_front_is_what_the_definition_says(seed):
    rng = np.random.default_rng(seed)
    cost, merit = rng.integers(0, 6, 15).astype(float), rng.integers(0, 6, 15).astype(float)
    expected = [
        not any(c <= cost[i] and m >= merit[i] and (c < cost[i] or m > merit[i]) for c, m in zip(cost, merit))
        for i in range(15)
    ]
    assert best_for_less(cost, merit).tolist() == expected


def test_the_frontier_has_a_panel_a_cost_and_joins_the_best():
    data = pd.DataFrame(
        {"group": ["g"] * 3, "width": [4, 8, 16], "p": [10.0, 20, 40], "t": [3.0, 2, 1], "score": [0.2, 0.5, 0.4]}
    )
    view = frontier(
        data, {"p": "parameters", "t": "seconds"}, "score", by="group", title="T", label="recall", marks="width"
    )  # fmt: skip
    left, right = view.figure.axes
    joined = {line.get_label(): line.get_xydata() for line in left.lines}["the front"]
    np.testing.assert_allclose(joined, [[10, 0.2], [20, 0.5]])
    assert [text.get_text() for text in left.texts] == ["16", "8", "4"]  # the costliest, then the front from its best
    assert right.get_xlabel() == "seconds" and "from 0.20 at 10 to 0.50 at 20" in view.alt


def test_words_on_the_front_do_not_lie_on_each_other_and_few_powers_of_ten_get_plain_ticks():
    data = pd.DataFrame({"group": "g", "width": [4, 8, 16], "t": [1.0, 1.001, 9.0], "score": [0.2, 0.201, 0.9]})
    ax = frontier(data, {"t": "seconds"}, "score", by="group", title="T", label="recall", marks="width").figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["16", "8"]
    ax.figure.canvas.draw()
    assert {"1", "2", "5"} <= {tick.get_text() for tick in ax.get_xticklabels()}
