"""Emoji: what each record holds, that no split leaks, that the pictures are what the builder made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmteach.data import emoji, store
from mmteach.data.emoji import LANGUAGES, STYLES, concepts, drawings, load_emoji, over
from mmteach.data.store import DataError
from mmteach.data.text import tokens

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def keyword():
    return load_emoji(styles=["noto", "openmoji"])


@pytest.fixture(scope="module")
def unseen_style():
    return load_emoji(text="name", split="style")


def drawn(batch, classes):
    """The drawings (concept, style) of a batch."""
    return {
        (c, classes["style"][s]) for c, s in zip(batch.targets["concept"].tolist(), batch.targets["style"].tolist())
    }


# -- records -----------------------------------------------------------------------------------------------------------


def test_every_emoji_has_names_in_ten_languages_and_keywords_that_can_be_read():
    assert len(concepts()) == 1587
    assert len({concept.hexcode for concept in concepts()}) == 1587
    assert len(LANGUAGES) == 10
    for concept in concepts():
        assert tuple(concept.names) == LANGUAGES
        assert tuple(concept.keywords) == emoji.KEYWORD_LANGUAGES
        assert all(tokens(name) for name in concept.names.values()), concept.hexcode
        for words in concept.keywords.values():
            assert words
            assert all(tokens(word) for word in words), concept.hexcode
        assert concept.char == "".join(chr(int(code, 16)) for code in concept.hexcode.split("-"))


def test_known_emoji_are_where_unicode_puts_them():
    by_char = {concept.char: concept for concept in concepts()}
    turtle = by_char["🐢"]
    assert (turtle.names["en"], turtle.names["de"], turtle.names["zh"]) == ("turtle", "Schildkröte", "龟")
    assert (turtle.group, turtle.subgroup) == ("animals-nature", "animal-reptile")
    assert turtle.keywords["en"] == ["animal", "terrapin", "tortoise"]
    assert by_char["➕"].keywords["en"] == ["plus"]  # its own keyword is "+", which no tokeniser can read
    assert not any(concept.group in ("flags", "component") for concept in concepts())


@pytest.mark.parametrize(
    "names",
    [
        ("man running", "woman running", "person running: facing right"),
        ("one o’clock", "ten-thirty"),
        ("red heart", "light blue heart"),
        ("boy", "woman: red hair", "old man"),
        ("mermaid", "merman"),
        ("prince", "person with crown"),
        ("up-left arrow", "right arrow"),
        ("black small square", "orange square"),
        ("new moon", "waning gibbous moon"),
    ],
)
def test_versions_of_one_drawing_are_one_family(names):
    family = {concept.names["en"]: concept.family for concept in concepts()}
    assert len({family[name] for name in names}) == 1


def test_what_is_another_thing_is_another_family():
    family = {concept.names["en"]: concept.family for concept in concepts()}
    different = ["left luggage", "luggage", "red apple", "green apple", "snowman", "person running", "person walking"]
    assert len({family[name] for name in different}) == len(different)
    assert len(set(family.values())) == 1297


# -- pictures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_every_drawing_fills_its_square(style):
    pictures = drawings(style)
    assert pictures.shape == (1587, 4, 48, 48)
    assert pictures.dtype == torch.uint8
    opaque = pictures[:, 3] > 100
    assert opaque.flatten(1).any(1).all()
    wide, high = opaque.any(1).sum(1), opaque.any(2).sum(1)
    longer = torch.maximum(wide, high)
    assert longer.min() > 20  # small squares stay small
    assert (longer >= 43).float().mean() > 0.95
    middle = (torch.arange(48.0) * opaque.any(1)).sum(1) / wide
    assert (middle - 23.5).abs().median() < 2


def test_the_red_apple_is_red_and_its_corner_is_clear():
    number = next(i for i, concept in enumerate(concepts()) if concept.char == "🍎")
    for style in STYLES:
        picture = drawings(style)[number]
        red, green, blue = picture[:3, 26:34, 16:32].float().mean((1, 2))
        assert red > 180, style
        assert red > 2 * green, style
        assert red > 2 * blue, style
        assert picture[3, 0, 0] == 0, style
        assert picture[3, 30, 24] == 255, style


def test_laying_over_a_colour_mixes_by_opacity():
    picture = torch.tensor([100, 0, 255, 51], dtype=torch.uint8).reshape(1, 4, 1, 1)  # opacity 1/5
    assert over(picture).flatten().tolist() == [224, 204, 255]
    assert over(picture, "black").flatten().tolist() == [20, 0, 51]
    assert over(picture, "grey").flatten().tolist() == [122, 102, 153]
    assert over(picture, (0, 255, 10)).flatten().tolist() == [20, 204, 59]
    clear = torch.tensor([9, 9, 9, 0], dtype=torch.uint8).reshape(1, 4, 1, 1)
    assert over(clear).flatten().tolist() == [255, 255, 255]
    solid = torch.full((1, 4, 1, 1), 255, dtype=torch.uint8)
    assert over(solid, "black").flatten().tolist() == [255, 255, 255]


# -- the split by concept ----------------------------------------------------------------------------------------------


def test_no_family_is_in_two_parts(keyword):
    families = {part: set(getattr(keyword, part).info["family"]) for part in ("train", "valid", "test")}
    assert families["train"].isdisjoint(families["valid"] | families["test"])
    assert families["valid"].isdisjoint(families["test"])
    assert {part: len(set(getattr(keyword, part).info["hexcode"])) for part in families} == {
        "train": 1111,
        "valid": 159,
        "test": 317,
    }


def test_every_subgroup_that_is_tested_was_seen(keyword):
    seen = set(keyword.train.targets["subgroup"].tolist())
    assert len(seen) == 94
    for part in (keyword.valid, keyword.test):
        assert set(part.targets["subgroup"].tolist()) <= seen
        assert len(set(part.targets["group"].tolist())) == 8


def test_a_picture_comes_with_up_to_four_keywords_of_its_own(keyword):
    assert repr(keyword).startswith("emoji: train ")
    assert keyword.unseen is None
    rows = {}
    for concept, style, text, allowed in zip(
        keyword.test.targets["concept"].tolist(),
        keyword.test.targets["style"].tolist(),
        keyword.test.info["text"],
        keyword.test.info["keywords"],
    ):
        assert text in allowed
        rows.setdefault((concept, style), []).append(text)
    assert len(rows) == 2 * 317
    for (concept, _), texts in rows.items():
        assert len(set(texts)) == len(texts) == min(4, len(concepts()[concept].keywords["en"]))
    # Styles draw their keywords independently of each other.
    assert any(set(rows[concept, 0]) != set(rows[concept, 1]) for concept, style in rows)


def test_targets_texts_and_pictures_belong_together(keyword):
    batch = keyword.valid
    for i in range(0, len(batch), 97):
        concept = concepts()[int(batch.targets["concept"][i])]
        assert batch.info["name"][i] == concept.names["en"] == keyword.classes["concept"][batch.targets["concept"][i]]
        assert batch.info["char"][i] == concept.char
        assert batch.info["names"][i]["zh"] == concept.names["zh"]
        assert keyword.classes["group"][batch.targets["group"][i]] == concept.group
        assert keyword.classes["subgroup"][batch.targets["subgroup"][i]] == concept.subgroup
        assert batch.targets["nature"][i] == (concept.group in ("animals-nature", "food-drink"))
        style = keyword.classes["style"][batch.targets["style"][i]]
        expected = over(drawings(style)[batch.targets["concept"][i]][None])[0]
        assert torch.equal(batch.inputs["image"][i], expected)
        known = [word if word in keyword.vocabulary else "<unk>" for word in tokens(batch.info["text"][i])]
        assert keyword.vocabulary.decode(batch.inputs["text"][i]) == " ".join(known)
        assert batch.masks["text"][i].sum() == len(known)


def test_shapes_and_dtypes(keyword):
    batch = keyword.train
    assert batch.inputs["image"].shape == (len(batch), 3, 48, 48)
    assert batch.inputs["image"].dtype == torch.uint8
    assert batch.inputs["text"].dtype == torch.int64
    assert batch.masks["text"].dtype == torch.bool
    assert set(batch.targets) == {"group", "subgroup", "nature", "concept", "style", "language"}
    assert all(target.dtype == torch.int64 for target in batch.targets.values())
    assert len(keyword.classes["group"]) == 8
    assert len(keyword.classes["subgroup"]) == 94


def test_the_vocabulary_knows_training_texts_alone(keyword):
    words = {word for text in keyword.train.info["text"] for word in tokens(text)}
    assert set(keyword.vocabulary.itos[2:]) == words
    assert (keyword.test.inputs["text"] == 1).any()
    assert not (keyword.train.inputs["text"] == 1).any()


def test_loading_twice_gives_the_same_and_another_seed_other_keywords(keyword):
    again = load_emoji(styles=["noto", "openmoji"])
    assert again.train.info == keyword.train.info
    assert torch.equal(again.train.inputs["text"], keyword.train.inputs["text"])
    assert torch.equal(again.test.inputs["image"], keyword.test.inputs["image"])
    other = load_emoji(styles=["noto", "openmoji"], seed=1)
    assert other.train.info["text"] != keyword.train.info["text"]
    assert set(other.test.info["hexcode"]) == set(keyword.test.info["hexcode"])


# -- the split by style ------------------------------------------------------------------------------------------------


def test_no_drawing_of_the_held_out_style_is_trained_on(unseen_style):
    classes = unseen_style.classes
    parts = {part: drawn(getattr(unseen_style, part), classes) for part in ("train", "valid", "test", "unseen")}
    assert {part: len(some) for part, some in parts.items()} == {
        "train": 3429,
        "valid": 381,
        "test": 1270,
        "unseen": 4 * 317,
    }
    assert {style for _, style in parts["test"]} == {"fluent"}
    assert {style for _, style in parts["train"] | parts["valid"]} == {"twemoji", "noto", "openmoji"}
    assert parts["train"].isdisjoint(parts["valid"])
    assert len({concept for concept, _ in parts["valid"]}) == 381  # no concept loses two drawings
    assert {concept for concept, _ in parts["test"]} == {concept for concept, _ in parts["train"]}
    families = set(unseen_style.train.info["family"]) | set(unseen_style.valid.info["family"])
    assert families.isdisjoint(unseen_style.unseen.info["family"])


def test_any_style_can_be_held_out():
    splits = load_emoji(text="name", split="style", held_out="openmoji", size=16)
    assert {style for _, style in drawn(splits.test, splits.classes)} == {"openmoji"}
    assert splits.test.inputs["image"].shape == (1270, 3, 16, 16)


# -- texts and languages -----------------------------------------------------------------------------------------------


def test_names_come_in_every_language():
    splits = load_emoji(styles=["noto"], text="name", languages=LANGUAGES, size=8)
    assert len(splits.test) == 317 * 10
    for text, names, language in zip(
        splits.test.info["text"], splits.test.info["names"], splits.test.targets["language"].tolist()
    ):
        assert text == names[LANGUAGES[language]]
    assert splits.test.masks["text"].any(1).all()


def test_chinese_is_read_character_by_character():
    splits = load_emoji(styles=["noto"], text="keyword", languages=["zh"], keywords=1, size=8)
    assert len(splits.train) == 1111
    assert splits.train.masks["text"].sum(1).float().mean() > 1.5
    assert all(len(word) == 1 for word in splits.vocabulary.itos[2:] if "\u4e00" <= word[0] <= "\u9fff")


def test_all_is_the_name_and_every_keyword():
    splits = load_emoji(styles=["noto"], text="all", length=6, size=8)
    assert len(splits.train) == 1111
    assert splits.train.inputs["text"].shape[1] == 6
    assert splits.train.info["text"][0] == " ".join(["grinning face", *splits.train.info["keywords"][0]])


def test_the_vocabulary_can_be_kept_small_and_the_background_chosen():
    splits = load_emoji(styles=["noto"], text="name", vocabulary_size=50, background="black", size=48)
    assert len(splits.vocabulary) == 50
    number = int(splits.train.targets["concept"][0])
    assert torch.equal(splits.train.inputs["image"][0], over(drawings("noto")[number][None], "black")[0])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"styles": "noto"}, TypeError, r"styles must be a list, got the string 'noto': write \['noto'\]"),
        ({"styles": []}, ValueError, "styles must be one or more of twemoji, noto, fluent, openmoji"),
        ({"styles": ["noto", "noto"]}, ValueError, "each once"),
        ({"styles": ["apple"]}, ValueError, "styles must be one of .*'openmoji', got 'apple'"),
        ({"languages": ["xx"], "text": "name"}, ValueError, "languages must be one of 'en', 'zh'.*got 'xx'"),
        ({"languages": ["fr"]}, ValueError, r"keywords exist in en, zh, got languages=\['fr'\]: use text='name'"),
        ({"languages": ["fr"], "text": "all"}, ValueError, "use text='name'"),
        ({"text": "caption"}, ValueError, "text must be one of 'keyword', 'name', 'all', got 'caption'"),
        ({"split": "random"}, ValueError, "split must be one of 'concept', 'style', got 'random'"),
        ({"split": "style", "held_out": "apple"}, ValueError, "held_out must be one of .*got 'apple'"),
        ({"split": "style", "styles": ["noto", "fluent"]}, ValueError, "two styles to train on beside 'fluent'"),
        ({"keywords": 0}, ValueError, "keywords must be above 0, got 0"),
        ({"size": 0}, ValueError, "size must be above 0, got 0"),
        ({"background": "pink"}, ValueError, "background must be one of 'white', 'black', 'grey', got 'pink'"),
        ({"background": (0, 0)}, ValueError, r"red, green and blue from 0 to 255, got \(0, 0\)"),
        ({"background": (0, 0, 256)}, ValueError, "from 0 to 255"),
        ({"length": 0}, ValueError, "length must be at least 1 token, got 0"),
    ],
)
def test_errors_say_what_came_and_what_was_expected(settings, error, message):
    with pytest.raises(error, match=message):
        load_emoji(**settings)


# -- files -------------------------------------------------------------------------------------------------------------


def test_one_changed_byte_is_noticed(tmp_path, monkeypatch):
    for name in ("SHA256.json", "emoji.json", "emoji-noto.png", "emoji-noto-alpha.png"):
        shutil.copy(store.FILES / name, tmp_path / name)
    sheet = bytearray((tmp_path / "emoji-noto.png").read_bytes())
    sheet[5000] ^= 1
    (tmp_path / "emoji-noto.png").write_bytes(sheet)
    monkeypatch.setattr(store, "FILES", tmp_path)
    store.asset.cache_clear()
    try:
        with pytest.raises(DataError, match=r"emoji-noto\.png .*is damaged.*git checkout"):
            drawings("noto")
    finally:
        store.asset.cache_clear()


def test_the_card_names_every_file():
    assert sorted(emoji.CARD.files) == sorted(path.name for path in store.FILES.glob("emoji*"))
    figure = emoji.CARD.sample()
    assert len(figure.axes) == 4 * 10


@pytest.mark.full
@pytest.mark.skipif(
    shutil.which("npm") is None, reason="the builder fetches its packages with npm, which is not installed"
)
def test_the_builder_makes_the_same_bytes_again():
    result = subprocess.run(
        [sys.executable, "tools/build_emoji.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "9 of 9 files are the same" in result.stdout
