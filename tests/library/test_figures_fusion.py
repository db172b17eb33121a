"""Chapter 03's charts: the paths of early, intermediate and late fusion, differences paired by seed, missing modalities."""

import matplotlib
import pandas as pd
import pytest

from mmteach.figures.fusion_charts import differences, ranking, where_to_fuse, with_missing
from mmteach.figures.style import BLUE, GREEN, PURPLE, VERMILION

matplotlib.use("agg")


def test_where_to_fuse_has_a_row_a_kind_and_joins_later_from_row_to_row():
    picture = where_to_fuse()
    assert [ax.get_title(loc="left") for ax in picture.figure.axes] == ["early", "intermediate", "late"]
    joins = []
    for ax in picture.figure.axes:
        words = {text.get_text(): text.get_position()[0] for text in ax.texts if text.get_text()}
        joins.append(words["join"])
        assert words["picture"] < words["join"] < words["answer"]
    assert joins == sorted(joins) and len(set(joins)) == 3
    assert "Late: an encoder and a head each" in picture.alt


def test_a_ranking_has_the_best_on_top_and_single_modalities_in_their_colours():
    table = pd.DataFrame(
        {"model": ["image", "image", "gated", "gated"], "seed": [0, 1, 0, 1], "accuracy": [0.1, 0.3, 0.5, 0.7]}
    )
    picture = ranking(table, "accuracy", title="All", chance=0.05)
    (ax,) = picture.figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gated", "image"]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_color() for line in dots] == [PURPLE, BLUE] and list(dots[0].get_xdata()) == [0.5, 0.7]
    assert [text.get_text() for text in ax.texts] == ["0.600", "0.200", "chance"]
    assert picture.alt == "All. Mean accuracy: gated 0.600, image 0.200."


def test_differences_are_paired_sorted_and_coloured_by_what_their_interval_says():
    index = pd.Index([0, 1, 2], name="seed")
    base = pd.Series([0.1, 0.5, 0.9], index)  # seeds differ far more than models
    wide = pd.DataFrame(
        {
            "same": base.add([0.01, -0.02, 0.01]),
            "worse": base - [0.2, 0.21, 0.19],
            "better": base.add([0.1, 0.11, 0.09]),
        }
    )
    picture = differences(wide, base, label="accuracy above base", title="Against base")
    (ax,) = picture.figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["better", "same", "worse"]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_color() for line in dots] == [GREEN, VERMILION, PURPLE]
    assert dots[0].get_xdata() == pytest.approx([0.1, 0.11, 0.09])
    assert "better +0.100" in picture.alt and "3 seeds" in picture.alt and ax.get_xlabel() == "accuracy above base"


def test_with_missing_marks_each_column_and_the_levels_of_single_modalities():
    table = pd.DataFrame(
        {"model": ["a", "a", "b"], "accuracy": [0.4, 0.6, 0.3], "no_text": [0.2, 0.2, 0.1], "no_image": [0.0, 0.2, 0.3]}
    )
    columns = {"accuracy": "both", "no_text": "no text", "no_image": "no image"}
    picture = with_missing(table, ["b", "a"], columns, levels={"image": 0.25}, title="Missing")
    (ax,) = picture.figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a"]
    drawn = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert drawn["image alone"] == [0.25, 0.25]
    assert drawn["both"] == pytest.approx([0.3, 0.5]) and drawn["no image"] == pytest.approx([0.3, 0.1])
    assert "a: both 0.50, no text 0.20, no image 0.10" in picture.alt
