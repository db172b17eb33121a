"""Batches: columns stay together when examples are picked, moved and narrowed."""

import pytest
import torch

from mmteach.data.batch import Batch, Splits


@pytest.fixture
def batch():
    return Batch(
        inputs={"image": torch.arange(4.0).view(4, 1, 1, 1), "text": torch.arange(8).view(4, 2)},
        targets={"label": torch.tensor([3, 2, 1, 0])},
        masks={"text": torch.tensor([[True, True], [True, False], [True, True], [True, False]])},
        present={"image": torch.tensor([True, True, False, True])},
        info={"name": ["a", "b", "c", "d"]},
    )


def check(part, rows):
    assert len(part) == len(rows)
    assert part.inputs["image"].flatten().tolist() == [float(i) for i in rows]
    assert part.inputs["text"].tolist() == [[2 * i, 2 * i + 1] for i in rows]
    assert part.targets["label"].tolist() == [3 - i for i in rows]
    assert part.masks["text"][:, 1].tolist() == [i % 2 == 0 for i in rows]
    assert part.present["image"].tolist() == [i != 2 for i in rows]
    assert list(part.info["name"]) == ["abcd"[i] for i in rows]


@pytest.mark.parametrize(
    "index, rows",
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, 2), [0, 2]),
        ([2, 0, 2], [2, 0, 2]),
        (torch.tensor([3, 1]), [3, 1]),
        (torch.tensor([True, False, False, True]), [0, 3]),
        ([False, True, False, False], [1]),
        (2, [2]),
        (-1, [3]),
        (3, [3]),
        (-4, [0]),
        (torch.tensor([1], dtype=torch.int32), [1]),
    ],
)
def test_all_columns_are_picked_alike(batch, index, rows):
    check(batch[index], rows)


@pytest.mark.parametrize("index", [4, -5])
def test_an_example_that_is_not_there_is_named(batch, index):
    with pytest.raises(IndexError, match=rf"example {index} was asked for, but there are 4"):
        batch[index]


def test_going_through_a_batch_ends(batch):
    assert [part.info["name"][0] for part in batch] == ["a", "b", "c", "d"]


def test_a_batch_needs_a_modality():
    with pytest.raises(ValueError, match="a Batch needs at least one modality in `inputs`, none came"):
        Batch({}, {"label": torch.zeros(3)})


@pytest.mark.parametrize("kind", ["inputs", "targets", "masks", "present", "info"])
def test_columns_of_different_length_are_named(kind):
    columns = {"inputs": {"image": torch.zeros(2, 3)}}
    columns[kind] = columns.get(kind, {}) | {"odd": torch.zeros(3, dtype=torch.bool)}
    with pytest.raises(
        ValueError, match=rf"same number of examples, got .*inputs\['image'\]\": 2.*{kind}\['odd'\]\": 3"
    ):
        Batch(**columns)


def test_to_moves_tensors_and_leaves_words(batch):
    moved = batch.to("meta")
    assert moved.inputs["image"].device.type == moved.masks["text"].device.type == "meta"
    assert moved.targets["label"].device.type == moved.present["image"].device.type == "meta"
    assert moved.info["name"] == ["a", "b", "c", "d"]
    check(batch.to("cpu"), [0, 1, 2, 3])


def test_only_keeps_one_modality_with_its_masks(batch):
    text = batch.only("text")
    assert set(text.inputs) == set(text.masks) == {"text"} and text.present == {}
    assert text.targets is batch.targets and text.info is batch.info
    image = batch.only("image")
    assert set(image.inputs) == set(image.present) == {"image"} and image.masks == {}
    check(batch.only("image", "text"), [0, 1, 2, 3])


@pytest.mark.parametrize("names", [(), ("video",), ("image", "video")])
def test_only_names_the_modalities_there_are(batch, names):
    with pytest.raises(ValueError, match=r"modalities must be some of \['image', 'text'\], got \["):
        batch.only(*names)


def test_what_a_batch_prints(batch):
    assert repr(batch).splitlines() == [
        "Batch of 4 examples",
        "  inputs['image']: (4, 1, 1, 1) float32",
        "  inputs['text']: (4, 2) int64",
        "  targets['label']: (4,) int64",
        "  masks['text']: (4, 2) bool",
        "  present['image']: (4,) bool",
        "  info['name']: words",
    ]


def test_what_splits_print(batch):
    splits = Splits("toy", batch, batch[:2], batch[:1], {"label": ["w", "x", "y", "z"]})
    assert repr(splits).splitlines()[:2] == [
        "toy: train 4, valid 2, test 1",
        "  inputs['image']: (4, 1, 1, 1) float32",
    ]
    assert len(repr(splits).splitlines()) == 7
    assert Splits("toy", batch, batch, batch).classes == {}
