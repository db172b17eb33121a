"""The timeline: years to scale, a row an event in the order of time, a colour and a marker a kind."""

import matplotlib
import pytest

from mmteach import figures
from mmteach.figures import MARKERS, PALETTE, Event

matplotlib.use("agg")

EVENTS = [(2010, "C", "third", "text"), (1990, "A", "first", "sound"), Event(1995, "B", "second", "text")]
ALT = "Three events between 1990 and 2010, as the test made them."


def test_years_are_to_scale_and_texts_follow_in_time_one_row_each():
    picture = figures.timeline(EVENTS, alt=ALT, title="A history")
    (ax,) = picture.figure.axes
    assert picture.alt == ALT and ax.get_title(loc="left") == "A history"
    dots = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [line.get_ydata()[0] for line in dots] == [0, 0.25, 1]
    assert [line.get_color() for line in dots] == [PALETTE[0], PALETTE[1], PALETTE[1]]
    assert [line.get_marker() for line in dots] == [MARKERS[0], MARKERS[1], MARKERS[1]]
    rows = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert [rows[who] for who in "ABC"] == [rows[what] for what in ("first", "second", "third")] == [0, 0.5, 1]
    assert [rows[year] for year in ("1995",)] == [0.5]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["sound", "text"]


def test_decades_are_marked_within_the_span():
    (ax,) = figures.timeline([(1976, "A", "a", "k"), (2003, "B", "b", "k")], alt=ALT).figure.axes
    marks = {text.get_text(): text.xy[1] for text in ax.texts if hasattr(text, "xy")}
    assert marks == pytest.approx({"1980": 4 / 27, "1990": 14 / 27, "2000": 24 / 27})


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ValueError, match=r"events of two years or more, got \[1990, 1990\]"):
        figures.timeline([(1990, "A", "a", "k"), (1990, "B", "b", "k")], alt=ALT)
    with pytest.raises(ValueError, match="tells 6 kinds of event apart, got 7"):
        figures.timeline([(1990 + i, "A", "a", f"k{i}") for i in range(7)], alt=ALT)
    assert figures.timeline([(1990 + i, "A", "a", f"k{i}") for i in range(6)], alt=ALT)
