"""The alignment figure: each letter of the text stands where the recogniser is surest of it."""

import pytest
import torch

from mmteach.figures import alignment

LABELS = ("<blank>", "a", "b")


def test_each_letter_stands_at_its_frame():
    p = torch.full((4, 3), 0.02)
    p[[0, 1, 2, 3], [0, 1, 0, 2]] = 0.96
    picture = alignment(torch.rand(5, 40), p.log(), "ab", LABELS, title="ab")
    above, below = picture.figure.axes
    letters = {text.get_text(): text.get_position()[0] for text in below.texts}
    assert letters == pytest.approx({"a": 0.15, "b": 0.35})  # the middles of frames 1 and 3, 0.1 s each
    assert picture.alt == "Where each letter of “ab” stands on the spectrogram: a at 0.15 s, b at 0.35 s …"
    assert above.get_title(loc="left") == "ab"


def test_no_two_lines_look_alike_and_the_legend_names_them():
    text = "helo wrd"  # more letters than there are colours
    labels = ("<blank>", *sorted(set(text)))
    p = torch.rand(20, len(labels)).log_softmax(-1)
    below = alignment(torch.rand(5, 200), p, text, labels).figure.axes[1]
    looks = [(line.get_color(), line.get_linestyle()) for line in below.lines]
    assert len(set(looks)) == len(looks) == 9
    assert [entry.get_text() for entry in below.get_legend().get_texts()] == ["blank", "␣", *"dehlorw"]


def test_a_letter_it_does_not_know_is_named():
    with pytest.raises(ValueError, match="'z', which the recogniser cannot write: it knows ab"):
        alignment(torch.rand(5, 40), torch.rand(4, 3).log_softmax(-1), "z", LABELS)
