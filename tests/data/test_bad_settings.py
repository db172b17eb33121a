"""What the data sets say to settings and files that cannot be right: the argument, what came, what to do."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmteach.data import digits, spoken, store
from mmteach.data.batch import Batch
from mmteach.data.digits import load_digit_strings, load_digits, load_multimnist
from mmteach.data.emoji import load_emoji
from mmteach.data.glyphs import load_glyphs
from mmteach.data.motion import load_motion
from mmteach.data.scenes import load_scenes
from mmteach.data.shapes import load_shapes
from mmteach.data.spoken import Recordings, person_split
from mmteach.data.store import DataError
from mmteach.data.worlds import load_views, load_world, world


def refuses(error, text, call, **settings):
    with pytest.raises(error) as caught:
        call(**settings)
    assert str(caught.value).startswith(text), str(caught.value)


@pytest.mark.parametrize("load", [load_world, load_views, load_scenes, load_shapes])
@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_every_split_has_examples(load, part):
    refuses(ValueError, f"{part} must be at least 1, got 0", load, **{part: 0})
    refuses(TypeError, f"{part} must be a whole number, got 2.5", load, **{part: 2.5})


@pytest.mark.parametrize(
    ("load", "name"),
    [
        (load_emoji, "keywords"),
        (load_emoji, "size"),
        (load_emoji, "vocabulary_size"),
        (load_emoji, "length"),
        (load_motion, "frames"),
        (load_motion, "size"),
        (load_motion, "clips"),
        (load_digits, "pairs_per_image"),
        (load_digits, "takes"),
        (load_multimnist, "size"),
        (load_scenes, "questions"),
        (load_world, "width"),
        (load_views, "width"),
        (world("xor").draw, "n"),
    ],
)
def test_what_is_counted_is_a_whole_number(load, name):
    for value in (2.5, "x"):
        refuses(TypeError, f"{name} must be a whole number, got {value!r}", load, **{name: value})


@pytest.mark.parametrize("load", [load_multimnist, load_digit_strings])
@pytest.mark.parametrize("examples", [(1, 2), 5, "abc"])
def test_examples_are_three_numbers(load, examples):
    text = f"examples must be three numbers, for train, valid, test, got {examples!r}"
    refuses(ValueError, text, load, examples=examples)
    refuses(TypeError, "examples (test) must be a whole number, got 1.5", load, examples=(1, 1, 1.5))


def test_lengths_are_two_numbers():
    for lengths in (3, (1, 2, 3)):
        text = f"lengths must be two numbers, the fewest and the most digits, got {lengths!r}"
        refuses(ValueError, text, load_digit_strings, lengths=lengths)
    refuses(TypeError, "lengths[1] must be a whole number, got 2.5", load_digit_strings, lengths=(1, 2.5))


def test_faces_and_backgrounds_of_the_wrong_kind():
    text = "train_faces must be a list, got the string 'sans': write ['sans']"
    refuses(TypeError, text, load_glyphs, train_faces="sans")
    refuses(TypeError, text.replace("train", "test"), load_glyphs, test_faces="sans")
    refuses(ValueError, "background must be red, green and blue from 0 to 255, got 5", load_emoji, background=5)


# -- a part of the Free Spoken Digit Dataset ---------------------------------------------------------------------------


def test_one_person_cannot_be_held_out():
    people = {"speaker": ["ann", "ann"], "index": [0, 1]}
    with pytest.raises(DataError, match=r"two or more are needed; the recordings are all by \['ann'\]"):
        person_split(people, None)


def test_a_digit_that_nobody_says_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path))
    said = Recordings(torch.zeros(9, 8), torch.zeros(9, 1, 2, 3), torch.arange(9), ["ann"] * 9)
    monkeypatch.setattr(digits, "fsdd_digits", lambda held_out: dict.fromkeys(spoken.PARTS, said))
    with pytest.raises(DataError, match="nobody says 'nine' in the train part: get the whole data set"):
        load_digits("fsdd")


def test_a_digit_that_one_speaker_lacks_is_named(monkeypatch):
    people = {
        "speaker": ["ann", "bob", "ann", "bob"],
        "index": [0, 0, 1, 1],
        "digit": torch.zeros(4, dtype=torch.int64),
        "waveforms": [torch.ones(5)] * 4,
    }
    monkeypatch.setattr(digits, "read_people", lambda: people)
    with pytest.raises(DataError, match=r"^'ann' does not say '\w+' in the train part: get the whole data set"):
        load_digit_strings("fsdd", examples=(20, 1, 1))


# -- the store ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FILES", tmp_path)
    store.checksums.cache_clear()
    store.asset.cache_clear()
    yield tmp_path
    store.checksums.cache_clear()
    store.asset.cache_clear()


@pytest.mark.parametrize("content", [None, "{", "é".encode("latin-1")])
def test_a_list_of_checksums_that_is_missing_or_damaged_is_named_with_the_cure(files, content):
    if content is not None:
        (files / "SHA256.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as error:
        store.asset("emoji.json")
    assert str(error.value).startswith(f"SHA256.json in {files} is missing or damaged (")
    assert str(error.value).endswith(store.CURE)
    assert store.damaged() == [str(error.value)]


def test_a_broken_file_that_cannot_be_removed_stops_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path))
    store.cached("set", lambda: {"v": 1})
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"broken")

    def refuse(self, missing_ok=False):
        raise PermissionError("read-only folder")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert store.cached("set", lambda: {"v": 2}) == {"v": 2}


def test_a_builder_records_a_checksum_without_ever_leaving_half_a_list(tmp_path, monkeypatch):
    script = Path(__file__).parents[2] / "tools" / "checksums.py"
    spec = importlib.util.spec_from_file_location("checksums", script)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, "FILES", tmp_path)
    (tmp_path / "b.png").write_bytes(b"picture")
    (tmp_path / "a.json").write_bytes(b"{}")
    sums = {name: tool.record(name) for name in ("b.png", "a.json")}
    written = (tmp_path / "SHA256.json").read_text()
    assert json.loads(written) == sums and list(json.loads(written)) == ["a.json", "b.png"] and written.endswith("}\n")
    assert len(sums["b.png"]) == 64

    def stopped(*places):
        raise OSError("no room left")

    monkeypatch.setattr(tool.os, "replace", stopped)
    (tmp_path / "a.json").write_bytes(b"[]")
    with pytest.raises(OSError, match="no room left"):
        tool.record("a.json")
    assert (tmp_path / "SHA256.json").read_text() == written
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "b.png", "SHA256.json"}


# -- batches -----------------------------------------------------------------------------------------------------------


def test_a_batch_is_made_of_dicts_of_columns():
    refuses(TypeError, "inputs must be a dict of columns by name, got Tensor", Batch, inputs=torch.zeros(2, 3))
    good = {"image": torch.zeros(2, 3)}
    refuses(TypeError, "masks must be a dict of columns by name, got list", Batch, inputs=good, masks=[1])
    text = "targets['label'] must have the examples along its first axis, got "
    refuses(TypeError, text + "tensor(1)", Batch, inputs=good, targets={"label": torch.tensor(1)})
    refuses(TypeError, text + "1", Batch, inputs=good, targets={"label": 1})


def test_one_number_of_any_kind_gives_a_batch_of_one():
    batch = Batch({"x": torch.arange(4.0)[:, None]}, info={"name": list("abcd")})
    for index in (2, np.int64(2), torch.tensor(2), -2):
        assert batch[index].inputs["x"].tolist() == [[2.0]] and batch[index].info["name"] == ["c"]


def test_an_index_that_does_not_fit_is_not_bent():
    batch = Batch({"x": torch.arange(4.0)})
    with pytest.raises(IndexError, match=r"picked by whole numbers or a bool mask, got torch\.float32"):
        batch[torch.tensor([0.5])]
    with pytest.raises(IndexError, match="a mask must have one value for each of the 4 examples, got 2"):
        batch[torch.tensor([True, False])]
    assert len(batch[[]]) == 0
