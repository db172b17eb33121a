"""Data cards: found by name, complete, and shown as text and as pictures."""

import sys
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from mmteach import data
from mmteach.data import cards, store


def made(**changes):
    about = dict(
        name="toy",
        title="A toy set",
        modalities=("image 3×8×8", "name"),
        examples="12",
        source="made here",
        licence="MIT",
        files=(),
        splits="8 / 2 / 2",
        beware="It is small, and there is nothing in it that a model could learn from, so do not try.",
        sample=lambda: Figure(),
    )
    return cards.Card(**{**about, **changes})


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FILES", tmp_path)
    (tmp_path / "a.png").write_bytes(bytes(1_500_000))
    (tmp_path / "b.json").write_bytes(bytes(200_000))
    return tmp_path


@pytest.fixture
def two_sets(monkeypatch):
    first, second = made(), made(name="other", title="Another set", files=("a.png",), licence="CC0")
    monkeypatch.setitem(sys.modules, "toy_module", SimpleNamespace(CARD=first))
    monkeypatch.setitem(sys.modules, "other_module", SimpleNamespace(CARD=second))
    monkeypatch.setattr(cards, "MODULES", {"toy": "toy_module", "other": "other_module"})
    return [first, second]


@pytest.mark.parametrize("name", list(cards.MODULES))
def test_every_set_has_a_card_with_its_own_name_and_nothing_left_empty(name):
    card = cards.card(name)
    assert card.name == name
    for field in ("title", "examples", "source", "licence", "splits", "beware"):
        assert len(getattr(card, field)) > 3, field
    assert card.modalities and all(card.modalities)
    assert len(card.title) <= 80
    assert set(card.files) <= set(store.checksums())


def test_every_embedded_file_is_on_a_card():
    on_cards = {file for card in cards.cards() for file in card.files}
    assert on_cards == set(store.checksums())


def test_an_unknown_set_is_answered_with_the_nearest_name_and_the_list():
    with pytest.raises(
        ValueError, match=r"no data set is called 'emojis': did you mean 'emoji'\? The sets are emoji, "
    ):
        data.card("emojis")


def test_a_name_like_no_other_gets_the_list_alone():
    with pytest.raises(ValueError, match=r"called 'qqq': The sets are emoji, .*worlds, scenes, shapes\.$"):
        data.card("qqq")


def test_cards_come_in_the_order_of_the_course(two_sets):
    assert cards.cards() == two_sets


def test_a_card_cannot_be_changed():
    with pytest.raises(AttributeError):
        made().name = "another"


def test_the_table_says_what_is_embedded_and_the_licence(two_sets, files):
    assert cards.table(60).splitlines() == [
        "toy    A toy set",
        "       generated; MIT",
        "other  Another set",
        "       1.5 MB embedded; CC0",
        "",
        "More about one of them, with a picture: mmteach data show NAME",
    ]


@pytest.mark.parametrize("width", [50, 80, 100])
def test_the_page_of_a_card_keeps_to_the_width(files, width):
    page = cards.page(made(files=("a.png", "b.json")), width)
    assert max(map(len, page.splitlines())) <= width
    assert page.splitlines()[:3] == ["toy: A toy set", "", "an example  image 3×8×8; name"]
    words = " ".join(page.split())
    for line in (
        "examples 12",
        "splits 8 / 2 / 2",
        "source made here",
        "licence MIT",
        "beware It is small, and there is",
    ):
        assert line in words
    assert words.endswith("size 1.7 MB embedded: a.png, b.json")


def test_the_default_width_is_80(files):
    assert max(map(len, cards.page(made(beware="x " * 200)).splitlines())) == 79


def test_words_with_hyphens_are_not_broken(files):
    page = cards.page(made(licence="a " * 10 + "CC-BY-SA-4.0 and more"), 40)
    assert "CC-BY-SA-4.0" in page


def test_a_generated_set_says_so_and_a_missing_file_is_counted(files):
    assert cards.page(made()).endswith("size        generated on first use")
    page = cards.page(made(files=("a.png", "gone.png")), 200)
    assert page.endswith("size        1.5 MB embedded, 1 missing (`mmteach doctor` says more): a.png, gone.png")


def test_draw_saves_a_picture_under_the_sets_name_and_leaves_nothing_else(tmp_path):
    path = cards.draw(made(), tmp_path)
    assert path == tmp_path / "toy.png"
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert [found.name for found in tmp_path.iterdir()] == ["toy.png"]


@pytest.mark.parametrize("name", ["a.svg", "a.pdf", "a.png"])
def test_draw_takes_a_file_name(tmp_path, name):
    assert cards.draw(made(), str(tmp_path / name)) == tmp_path / name
    assert (tmp_path / name).stat().st_size > 0


@pytest.mark.parametrize(
    "card, name, complaint",
    [
        (made(sample=None), "a.png", "toy has nothing to draw"),
        (made(), "a.gif", r"must end in \.png, \.svg or \.pdf, got 'a\.gif'"),
        (made(), "nowhere/a.png", r"there is no folder .*nowhere to write a\.png into"),
    ],
)
def test_draw_says_what_it_cannot_do(tmp_path, card, name, complaint):
    with pytest.raises(ValueError, match=complaint):
        cards.draw(card, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_drawing_that_fails_leaves_no_half_written_picture(tmp_path):
    class Broken(Figure):
        def savefig(self, path, **settings):
            path.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cards.draw(made(sample=Broken), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["worlds", "scenes", "shapes"])
def test_generated_sets_draw_their_samples(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path / "cache"))
    assert cards.draw(cards.card(name), tmp_path).stat().st_size > 5000


def test_the_index_offers_every_loader_and_corrects_a_misspelt_one():
    assert {"load_emoji", "load_world", "load_scenes", "public", "Batch"} <= set(dir(data))
    assert data.load_world.__module__ == "mmteach.data.worlds"
    assert data.public.__name__ == "mmteach.data.public"
    with pytest.raises(
        AttributeError, match=r"mmteach\.data has no 'load_emojis': did you mean load_emoji\? It has Batch, "
    ):
        data.load_emojis  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no 'qqq': it has Batch, "):
        data.qqq  # noqa: B018


@pytest.mark.parametrize("name", [name for names in data._NAMES.values() for name in names])
def test_each_name_of_the_index_is_there(name):
    assert getattr(data, name).__name__ == name
