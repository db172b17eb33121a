"""The search by sound: what sound and spelling find stands in rows of its own, and empty input gets a sentence."""

import inspect

import matplotlib
import pytest
import torch

from mmteach.widgets import bound, sound_finder, sound_view

matplotlib.use("agg")

NAMES = ["east", "north", "west"]
PLACES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
PICTURES = torch.rand(3, 3, 4, 4)
SAID = []


def read(word):
    return PLACES[[NAMES.index(word)]] if word in NAMES else torch.zeros(1, 2)


def listen(word, voice):
    """An ear that takes every word for north."""
    SAID.append((word, voice))
    return PLACES[[1]], torch.zeros(80)


def test_the_upper_row_is_found_by_the_sound_and_the_lower_by_the_spelling():
    view = sound_view("west", "f3", listen, read, PLACES, PICTURES, NAMES, k=2)
    words = [text.get_text().replace("\n", " ") for ax in view.figure.axes for text in ax.texts]
    assert words == ["heard: north 1.00", "east 0.00", "spelled: west 1.00", "north 0.00"]
    assert view.alt == "Pictures found for “west”. By its sound: north, east. By its spelling: west, north."


def test_controls_have_labels_and_empty_or_unread_words_get_a_sentence(capsys):
    explorer = sound_finder(listen, read, PLACES, PICTURES, NAMES, ["f3", "m1"], start="east")
    word, others, shown = explorer.children
    voice, count = others.children
    assert [c.description for c in (word, voice, count)] == ["Say", "Voice", "How many"]
    assert not word.continuous_update and count.max == 3 and shown.layout.min_height
    voice.value = "m1"
    assert SAID[-1] == ("east", "m1")
    word.value = " … "
    assert "Type a word or a few" in capsys.readouterr().out
    word.value = "zzz"
    assert "No part of “zzz” was ever read" in capsys.readouterr().out


def test_it_needs_a_voice_and_a_gallery_that_fits():
    with pytest.raises(ValueError, match="voices is empty"):
        sound_finder(listen, read, PLACES, PICTURES, NAMES, [])
    with pytest.raises(ValueError, match="embeddings"):
        sound_finder(listen, read, PLACES[:2], PICTURES, NAMES, ["f3"])


def test_nothing_is_used_that_ipywidgets_7_lacks():
    for new in ("TagsInput", "ColorsInput", "Stack(", "TimePicker", "titles="):
        assert new not in inspect.getsource(bound)
