"""Chapter 04's widgets: what is found and believed is right, every control has a label, and empty input gets a sentence."""

import math

import matplotlib
import pytest
import torch

from mmteach.widgets import search_explorer, search_view, similarity_explorer, similarity_view

matplotlib.use("agg")

NAMES = ["east", "north", "west"]
PLACES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
PICTURES = torch.rand(3, 3, 4, 4)


def read(texts):
    """A reader that knows the names and nothing else."""
    return torch.stack([PLACES[NAMES.index(t)] if t in NAMES else torch.zeros(2) for t in texts])


def test_the_search_shows_the_nearest_first_with_names_and_cosines():
    view = search_view(["north", "west"], read, PLACES, PICTURES, NAMES, k=2)
    assert view.alt.endswith("“north”: north, east; “west”: west, north.")
    words = [text.get_text().replace("\n", " ") for ax in view.figure.axes for text in ax.texts]
    assert words == ["[1] north 1.00", "east 0.00", "[2] west 1.00", "north 0.00"]


@pytest.mark.parametrize("queries", [[], "north"])
def test_a_search_needs_a_list_of_texts(queries):
    with pytest.raises(ValueError, match="queries must be a list of one or more texts"):
        search_view(queries, read, PLACES, PICTURES, NAMES, k=1)


def test_the_search_box_has_labelled_controls_and_says_what_it_cannot_find(capsys):
    explorer = search_explorer(read, {"here": (PLACES, PICTURES), "there": (PLACES.flip(0), PICTURES)}, NAMES, "north")
    words, others, shown = explorer.children
    where, count = others.children
    assert [control.description for control in (words, where, count)] == ["Look for", "Among", "How many"]
    assert (where.options, count.value, count.max) == (("here", "there"), 3, 3)
    assert not words.continuous_update and not count.continuous_update  # Enter searches, a drag draws once
    assert shown.layout.min_height
    words.value = "zzz"
    assert "The model knows no part of “zzz”" in capsys.readouterr().out
    words.value = "a" * 5000
    assert "That is 5,000 letters long, and 200 are taken at most" in capsys.readouterr().out
    words.value = "  "
    assert "Type what you are looking for" in capsys.readouterr().out


def test_a_search_needs_a_gallery_that_fits_its_names():
    with pytest.raises(ValueError, match="galleries is empty"):
        search_explorer(read, {}, NAMES)
    with pytest.raises(ValueError, match=r"galleries\['here'\]"):
        search_explorer(read, {"here": (PLACES[:2], PICTURES[:2])}, NAMES)


def test_the_matrix_shows_the_softmax_and_the_loss_beside_ln_n():
    eye = torch.eye(4)
    view = similarity_view(eye, eye, [0.1, 1.0], ["a", "b", "c", "d"])
    sharp, flat = (ax for ax in view.figure.axes if ax.images and ax.get_xlabel() == "text")
    for ax, temperature in ((sharp, 0.1), (flat, 1.0)):
        expected = (eye / temperature).softmax(1)
        torch.testing.assert_close(torch.tensor(ax.images[0].get_array().tolist()), expected)
        loss = -expected.diagonal().log().mean()
        assert f"loss {loss:.2f}, ln 4 = {math.log(4):.2f}" in ax.get_title(loc="left")
    assert [label.get_text() for label in sharp.get_yticklabels()] == ["a", "b", "c", "d"]
    assert "at 1 the matches get 0.48 on average" in view.alt


def test_the_two_questions_are_softmaxes_over_texts_and_over_pictures():
    image, text = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.1]])
    for way, dim in (("which text for each picture", 1), ("which picture for each text", 0)):
        view = similarity_view(image, text, [0.5], way=way)
        shown = torch.tensor(view.figure.axes[0].images[0].get_array().tolist())
        torch.testing.assert_close(shown.sum(dim), torch.ones(2))
    with pytest.raises(ValueError, match="way must be one of"):
        similarity_view(image, text, [0.5], way="both")
    with pytest.raises(ValueError, match="temperatures must hold one or more"):
        similarity_view(image, text, [])


def test_the_dials_have_names_and_draw_so_many_pairs(monkeypatch):
    from mmteach.widgets import similarity

    asked = []
    monkeypatch.setattr(similarity, "similarity_view", lambda *given: asked.append(given))
    x = torch.randn(6, 3)
    explorer = similarity_explorer(x, x, list("abcdef"), temperature=0.1, pairs=4)
    dial, size, way, shown = explorer.children
    assert [control.description for control in (dial, size, way)] == ["Temperature", "Pairs in the batch", "Question"]
    assert (size.min, size.max) == (2, 6) and dial.value == 0.1 and shown.layout.min_height
    size.value, way.value, dial.value = 2, "which picture for each text", 1.0
    image, text, temperatures, names, question = asked[-1]
    assert (len(image), len(text), temperatures, names) == (2, 2, [1.0], ["a", "b"])
    assert question == "which picture for each text" and len(asked[0][0]) == 4
    with pytest.raises(ValueError, match="pairs must be between 2 and 6"):
        similarity_explorer(x, x, list("abcdef"), pairs=9)


def test_nothing_is_used_that_ipywidgets_7_lacks():
    import inspect

    from mmteach.widgets import search, similarity

    for module in (search, similarity):
        source = inspect.getsource(module)
        assert not [new for new in ("TagsInput", "ColorsInput", "Stack(", "TimePicker", "titles=") if new in source]
