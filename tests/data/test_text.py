"""Words and characters as numbers: what is kept, what is padding, what is unknown, and what the errors say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmteach.data.text import PADDING, UNKNOWN, CharVocabulary, Vocabulary, normalise, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A Red Apple!", ["a", "red", "apple"]),
        ("snow_man, T-Rex", ["snow", "man", "t", "rex"]),
        ("1st place; 24/7", ["1st", "place", "24", "7"]),
        ("红苹果 apple", ["红", "苹", "果", "apple"]),
        ("トカゲ", ["ト", "カ", "ゲ"]),
        ("𠮷野", ["𠮷", "野"]),
        ("빨간 사과", ["빨간", "사과"]),
        ("Ёлка, ЗМЕЯ", ["ёлка", "змея"]),
        ("ＡＢ５", ["ab5"]),
        ("e\u0301te\u0301", ["été"]),
        ("!? … ✨ _", []),
        ("", []),
    ],
)
def test_a_text_is_cut_into_words(text, expected):
    assert tokens(text) == expected


def test_normalising_twice_changes_nothing_more():
    for text in ("Ｃａｆｅ\u0301", "İstanbul", "№ ½", "ﬁsh"):
        assert normalise(normalise(text)) == normalise(text)


def test_a_text_must_be_a_string():
    with pytest.raises(TypeError, match="text must be a string, got int: 3"):
        tokens(3)


def test_words_are_numbered_by_how_often_they_come_then_by_the_alphabet():
    vocabulary = Vocabulary.build(["b a c", "C a", "c d"])
    assert vocabulary.itos == ["<pad>", "<unk>", "c", "a", "b", "d"]
    assert vocabulary.stoi["c"] == 2
    assert len(vocabulary) == 6
    assert "d" in vocabulary
    assert "e" not in vocabulary


def test_size_counts_padding_and_unknown_and_keeps_the_most_frequent_words():
    texts = ["c c c b b a"]
    assert Vocabulary.build(texts, size=4).itos == ["<pad>", "<unk>", "c", "b"]
    assert Vocabulary.build(texts, size=3).itos == ["<pad>", "<unk>", "c"]
    assert len(Vocabulary.build([f"w{i}" for i in range(10_050)])) == 10_000


def test_rare_words_are_unknown():
    texts = ["c c c b b a"]
    assert Vocabulary.build(texts, min_count=2).itos[2:] == ["c", "b"]
    assert Vocabulary.build(texts, min_count=3).itos[2:] == ["c"]
    assert Vocabulary.build(texts).itos[2:] == ["c", "b", "a"]


def test_encoding_pads_cuts_and_marks_what_is_real():
    vocabulary = Vocabulary(["red", "apple"])
    ids, mask = vocabulary.encode(["red apple", "green apple red", "!"], length=3)
    assert ids.tolist() == [[2, 3, 0], [1, 3, 2], [0, 0, 0]]
    assert mask.tolist() == [[True, True, False], [True, True, True], [False, False, False]]
    assert ids.dtype == torch.int64
    assert mask.dtype == torch.bool
    assert (PADDING, UNKNOWN) == (0, 1)
    assert vocabulary.encode(["red apple red apple"], length=1)[0].tolist() == [[2]]


def test_without_a_length_the_longest_text_decides():
    vocabulary = Vocabulary(["red", "apple"])
    assert vocabulary.encode(["red", "red apple red apple"])[0].shape == (2, 4)
    assert vocabulary.encode(["!"])[0].shape == (1, 1)


def test_chinese_is_encoded_character_by_character():
    vocabulary = Vocabulary.build(["红苹果", "青苹果"])
    ids, mask = vocabulary.encode(["红苹果"], 5)
    assert mask.sum() == 3
    assert vocabulary.decode(ids[0]) == "红 苹 果"


def test_decoding_gives_the_words_back():
    vocabulary = Vocabulary(["red", "apple"])
    assert vocabulary.decode(torch.tensor([2, 1, 3, 0, 0])) == "red <unk> apple"
    assert vocabulary.decode([0, 0]) == ""


@given(st.lists(st.text(alphabet="abc de", min_size=1), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_training_texts_come_back_as_their_words(texts):
    vocabulary = Vocabulary.build([*texts, "x"])
    ids, mask = vocabulary.encode(texts)
    for text, row, real in zip(texts, ids, mask):
        assert vocabulary.decode(row) == " ".join(tokens(text))
        assert real.sum() == len(tokens(text))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Vocabulary.build([]), ValueError, "texts is empty: at least one text is needed"),
        (lambda: Vocabulary.build("abc"), TypeError, r"got the single string 'abc': write \[text\]"),
        (lambda: Vocabulary.build(["!"]), ValueError, "no word comes 1 times or more"),
        (lambda: Vocabulary.build(["a"], size=2), ValueError, r"size must be at least 3 .*, got 2"),
        (lambda: Vocabulary.build(["a"], min_count=0), ValueError, "min_count must be at least 1, got 0"),
        (lambda: Vocabulary(["a", "b", "a"]), ValueError, "stand in it once, 'a' came more often"),
        (lambda: Vocabulary(["a"]).encode([]), ValueError, "texts is empty"),
        (lambda: Vocabulary(["a"]).encode("a"), TypeError, "single string 'a'"),
        (lambda: Vocabulary(["a"]).encode(["a"], 0), ValueError, "length must be at least 1 token, got 0"),
        (lambda: Vocabulary(["a"]).decode([3]), ValueError, "ids must be from 0 to 2, got 3"),
        (lambda: Vocabulary(["a"]).decode([-1]), ValueError, "ids must be from 0 to 2, got -1"),
        (lambda: Vocabulary(["a"]).decode(torch.zeros(2, 2).long()), ValueError, "one row of whole numbers"),
        (lambda: CharVocabulary(["ab"]), ValueError, "single characters, got 'ab'"),
        (lambda: CharVocabulary.build([""]), ValueError, "texts are all empty"),
        (lambda: CharVocabulary.build([]), ValueError, "texts is empty"),
    ],
)
def test_errors_say_what_came_and_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_characters_are_numbered_in_the_order_of_their_code_points():
    vocabulary = CharVocabulary.build(["Ba", "ab c"])
    assert vocabulary.itos == ["<pad>", "<unk>", " ", "a", "b", "c"]
    ids, mask = vocabulary.encode(["CABz"], length=6)
    assert ids.tolist() == [[5, 3, 4, 1, 0, 0]]
    assert mask.sum() == 4
    assert vocabulary.decode(ids[0]) == "cab�"
    assert not vocabulary.marks


def test_marks_stand_round_a_text_and_are_not_read_back():
    vocabulary = CharVocabulary.build(["ab"], marks=True)
    assert vocabulary.itos == ["<pad>", "<unk>", "<begin>", "<end>", "a", "b"]
    assert vocabulary.encode(["ab"], 6)[0].tolist() == [[2, 4, 5, 3, 0, 0]]
    assert vocabulary.decode([2, 4, 5, 3, 0, 0]) == "ab"
    assert vocabulary.decode([2, 4, 3, 5, 5]) == "a"
    assert vocabulary.decode([2, 4, 5]) == "ab"
