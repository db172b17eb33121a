"""What `validate` finds inside a batch, and what it lets pass."""

import pytest
import torch

from mmteach.data.batch import Batch
from mmteach.training import validate


def good(**changes):
    columns = dict(
        inputs={"image": torch.rand(3, 3, 4, 4), "text": torch.ones(3, 5, dtype=torch.long)},
        targets={"label": torch.tensor([0, 1, 2])},
        masks={"text": torch.ones(3, 5, dtype=torch.bool)},
        present={},
    )
    return Batch(**{**columns, **changes})


def spoiled(tensor, index, value):
    tensor = tensor.clone()
    tensor[index] = value
    return tensor


def test_a_good_batch_comes_back_unchanged():
    batch = good()
    assert validate(batch) is batch


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_named_with_their_example(value):
    image = spoiled(torch.rand(3, 3, 4, 4), (1, 2, 0, 0), value)
    with pytest.raises(
        ValueError, match=r"train.inputs\['image'\]: NaN or infinite in 1 of 3 examples, first in example 1"
    ):
        validate(good(inputs={"image": image}, masks={}), "train")


def test_garbage_in_an_absent_modality_is_fine():
    image = spoiled(torch.rand(3, 3, 4, 4), 1, float("nan"))
    batch = good(
        inputs={"image": image, "text": torch.ones(3, 5, dtype=torch.long)},
        present={"image": torch.tensor([True, False, True])},
    )
    validate(batch)


@pytest.mark.parametrize("shape", [(2, 1, 6, 5), (2, 5, 6), (2, 5, 3, 4, 4)])
def test_garbage_in_a_padded_step_is_fine_but_not_in_a_real_one(shape):
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    x = torch.zeros(shape)
    step_last = len(shape) == 4
    if step_last:
        x[..., 4] = float("nan")
    else:
        x[:, 4] = float("nan")
    validate(Batch({"m": x}, masks={"m": mask}))
    if step_last:
        x[1, ..., 2] = float("nan")
    else:
        x[1, 2] = float("nan")
    with pytest.raises(ValueError, match="first in example 1"):
        validate(Batch({"m": x}, masks={"m": mask}))


def test_an_all_padded_sequence_is_named_unless_it_is_marked_absent():
    mask = spoiled(torch.ones(3, 5, dtype=torch.bool), 2, False)
    with pytest.raises(
        ValueError, match=r"masks\['text'\]: every step is padding in 1 of 3 examples, first in example 2"
    ):
        validate(good(masks={"text": mask}))
    validate(good(masks={"text": mask}, present={"text": torch.tensor([True, True, False])}))


def test_negative_token_ids_are_named():
    ids = spoiled(torch.ones(3, 5, dtype=torch.long), (0, 1), -1)
    with pytest.raises(ValueError, match=r"inputs\['text'\]: a negative token id in 1 of 3"):
        validate(good(inputs={"text": ids}))


def test_a_negative_number_in_a_padded_step_is_fine():
    mask = spoiled(torch.ones(3, 5, dtype=torch.bool), (0, 4), False)
    ids = spoiled(torch.ones(3, 5, dtype=torch.long), (0, 4), -100)
    validate(good(inputs={"text": ids}, masks={"text": mask}))


def test_a_column_of_single_numbers_is_looked_at_too():
    validate(Batch({"x": torch.tensor([1.0, 2.0])}))
    with pytest.raises(ValueError, match="NaN or infinite in 1 of 2 examples, first in example 1"):
        validate(Batch({"x": torch.tensor([1.0, float("nan")])}))
    with pytest.raises(ValueError, match="a negative token id in 1 of 2 examples, first in example 0"):
        validate(Batch({"x": torch.tensor([-1, 2])}))


def test_a_mask_with_another_number_of_steps_is_named():
    with pytest.raises(
        ValueError, match=r"batch.masks\['text'\] has 4 steps, which is no axis of batch.inputs\['text'\] \(3, 5\)"
    ):
        validate(good(masks={"text": torch.ones(3, 4, dtype=torch.bool)}))


def test_an_example_without_any_modality_is_named():
    gone = torch.tensor([True, False, True])
    with pytest.raises(ValueError, match=r"present: no modality is present in 1 of 3 examples, first in example 1"):
        validate(good(present={"image": gone, "text": gone}))


def test_masks_of_the_wrong_kind_are_named():
    with pytest.raises(ValueError, match=r"masks\['text'\] must be bool with shape \(3, T\)"):
        validate(good(masks={"text": torch.ones(3, 5)}))
    with pytest.raises(ValueError, match=r"present\['text'\] must be bool with shape \(3,\)"):
        validate(good(present={"text": torch.ones(3)}))
    with pytest.raises(ValueError, match="a mask for 'audio'"):
        validate(good(present={"audio": torch.ones(3, dtype=torch.bool)}))


def test_targets_that_are_no_numbers_are_named():
    with pytest.raises(ValueError, match=r"targets\['height'\]: NaN or infinite in 1 of 3"):
        validate(good(targets={"height": torch.tensor([0.0, float("nan"), 1.0])}))
    with pytest.raises(ValueError, match=r"first in example 2"):
        validate(good(targets={"box": spoiled(torch.zeros(3, 4), (2, 1), float("inf"))}))


def test_no_examples():
    with pytest.raises(ValueError, match="train has no examples"):
        validate(Batch({"x": torch.rand(0, 2)}), "train")
