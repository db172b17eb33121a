"""Glyphs: what is drawn, that held-out names are new compositions of known words, and that nothing leaks."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter

import pytest
import torch

from mmteach.data import glyphs
from mmteach.data.batch import Splits
from mmteach.data.store import DataError
from mmteach.data.text import tokens


@pytest.fixture(scope="module")
def splits() -> Splits:
    return glyphs.load_glyphs()


def test_the_characters_are_pinned() -> None:
    found = glyphs.characters()
    assert len(found) == 1879
    assert hashlib.sha256("".join(found).encode()).hexdigest().startswith("e41cfc36d131fbe4")
    assert found["é"] == "latin with marks" and found["Ω"] == "greek" and found["╬"] == "boxes and shapes"
    assert "ά" in found and "\u1f71" not in found  # alpha with tonos, and its double with oxia
    assert "\u0301" not in found  # a mark alone cannot be drawn


def test_shapes_and_values(splits: Splits) -> None:
    assert len(set(splits.train.info["character"])) == 1479
    assert len(set(splits.valid.info["character"])) == 150
    assert len(set(splits.test.info["character"])) == 250
    for part in (splits.train, splits.valid, splits.test):
        image, text = part.inputs["image"], part.inputs["text"]
        assert image.shape[1:] == (1, 32, 32) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() == 1
        assert text.shape[1] == 10 and torch.equal(part.masks["text"], text != 0)
        assert (text != 1).all()  # no unknown word, also in valid and test
        assert set(part.info["face"]) == set(glyphs.FACES)
        characters, blocks = splits.classes["character"], splits.classes["block"]
        for i in range(0, len(part), 97):
            assert characters[int(part.targets["character"][i])] == part.info["character"][i]
            assert part.info["name"][i] == unicodedata.name(part.info["character"][i]).lower()
            first, last = glyphs.BLOCKS[blocks[int(part.targets["block"][i])]]
            assert first <= ord(part.info["character"][i]) <= last
            words = [splits.classes["text"][j] for j in text[i].tolist() if j]
            assert words == tokens(part.info["name"][i])


def test_no_picture_is_blank_or_cut_off(splits: Splits) -> None:
    image = torch.cat([part.inputs["image"] for part in (splits.train, splits.valid, splits.test)])[:, 0]
    assert (image.sum((1, 2)) > 1).all()
    edges = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], dim=1)
    assert (edges.amax(1) > 0.25).float().mean() < 0.01


def test_held_out_names_are_new_compositions_of_known_words(splits: Splits) -> None:
    names = {part: set(getattr(splits, part).info["name"]) for part in ("train", "valid", "test")}
    assert not names["train"] & names["test"]
    assert not names["train"] & names["valid"]
    assert not names["valid"] & names["test"]
    count = Counter(word for name in names["train"] for word in set(tokens(name)))
    assert min(count[word] for name in names["valid"] | names["test"] for word in tokens(name)) >= 3


def test_held_out_pictures_look_like_no_other_character(splits: Splits) -> None:
    looks: dict[bytes, set[str]] = {}
    for part in (splits.train, splits.valid, splits.test):
        for i, face in enumerate(part.info["face"]):
            if face == "sans":
                looks.setdefault(part.inputs["image"][i].numpy().tobytes(), set()).add(part.info["character"][i])
    twins = {c for group in looks.values() if len(group) > 1 for c in group}
    assert {"A", "Α", "А"} <= twins
    assert not twins & (set(splits.valid.info["character"]) | set(splits.test.info["character"]))


def test_faces_can_be_held_out(splits: Splits) -> None:
    serif = [face for face in glyphs.FACES if face.startswith("serif")]
    other = glyphs.load_glyphs(train_faces=["sans", "mono bold"], test_faces=serif)
    assert set(other.train.info["face"]) == {"sans", "mono bold"}
    assert set(other.valid.info["face"]) == set(other.test.info["face"]) == set(serif)
    assert set(other.test.info["character"]) == set(splits.test.info["character"])
    for argument in ("train_faces", "test_faces"):
        with pytest.raises(ValueError, match=f"{argument} must be one of 'sans', .* got 'comic'"):
            glyphs.load_glyphs(**{argument: ["comic"]})


def test_loading_twice_and_making_twice_give_the_same(splits: Splits) -> None:
    again = glyphs.load_glyphs()
    made = glyphs._make()
    assert torch.equal(again.test.inputs["image"], splits.test.inputs["image"])
    assert made["characters"] == splits.classes["character"]
    rows = [i for i, c in enumerate(made["character"].tolist()) if made["part"][c] == "test"]
    assert torch.equal(made["picture"][rows].float() / 255, splits.test.inputs["image"][:, 0])


def test_draw_puts_the_ink_where_the_character_has_it() -> None:
    low, high = glyphs.draw("_", "sans"), glyphs.draw("'", "sans")
    assert low.shape == (32, 32) and low.dtype == torch.uint8
    assert low[:22].sum() == 0 and high[18:].sum() == 0
    assert low.sum() > 0 and high.sum() > 0
    assert glyphs.draw("A", "sans bold").sum() > glyphs.draw("A", "sans").sum()
    full = glyphs.draw("O", "sans")[:, :].float()
    assert abs(float((full.sum(0) * torch.arange(32)).sum() / full.sum()) - 15.5) < 1  # centred
    assert glyphs.draw("A", "sans", side=64).shape == (64, 64)


def test_draw_refuses_what_the_face_does_not_have() -> None:
    with pytest.raises(ValueError, match="text must be one character that the face 'stix italic' has, got '⅔'"):
        glyphs.draw("⅔", "stix italic")
    with pytest.raises(ValueError, match="text must be one character"):
        glyphs.draw("ab", "sans")
    with pytest.raises(ValueError, match="face must be one of"):
        glyphs.draw("a", "comic")


def test_hold_out_keeps_three_training_names_for_each_word() -> None:
    names = [
        f"{size} {shape}" for size in ("small", "large", "huge", "tiny") for shape in ("disc", "star", "box", "ring")
    ]
    part = glyphs.hold_out(names, valid=1, test=2, eligible=[True] * 16)
    assert Counter(part) == {"train": 13, "test": 2, "valid": 1}
    train = Counter(word for name, p in zip(names, part) if p == "train" for word in name.split())
    assert min(train.values()) >= 3
    part = glyphs.hold_out(names, valid=0, test=1, eligible=[name == "huge box" for name in names])
    assert part[names.index("huge box")] == "test"
    with pytest.raises(ValueError, match="only 4 names could be held out, 6 were asked for"):
        glyphs.hold_out(names, valid=3, test=3, eligible=[True] * 16)


def test_a_missing_font_is_said_kindly() -> None:
    with pytest.raises(
        DataError, match=r"the font Comic.ttf is not among matplotlib's at .*: install matplotlib again"
    ):
        glyphs._face("Comic.ttf")


def test_the_card_draws_its_sample() -> None:
    assert glyphs.CARD.name == "glyphs" and glyphs.CARD.sample is not None
    assert len(glyphs.CARD.sample().axes) == 12 * 16
