"""What a method says to input that cannot be right: the argument, what came, what was expected."""

import numpy as np
import pytest
import torch
from torch import nn

from mmteach import _check, alignment, diagnosis, metrics, multitask

X = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0], [1.0, 1.0, 0.0], [-1.0, 2.0, 1.0]])
HEADS = {"a": nn.Linear(3, 2), "b": nn.Linear(3, 2)}


class Same(nn.Module):
    dim = 3

    def forward(self, x, mask=None):
        return x


def refuses(error, text, call):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text), str(caught.value)


# -- the shared checks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["2", b"2", None, [2], (2,), {}, set()])
def test_what_is_no_number_is_named(value):
    for check in (_check.number, _check.positive, lambda name, v: _check.between(name, v, 0, 1)):
        refuses(TypeError, f"margin must be a number, got {value!r}", lambda check=check: check("margin", value))


def test_numbers_of_every_kind_pass():
    for value in (2, 2.5, np.float32(2), np.int64(2), torch.tensor(2.0)):
        _check.number("x", value)
        _check.positive("x", value)


@pytest.mark.parametrize("value", [1.5, "1", None, True, np.float64(1.0)])
def test_what_is_no_whole_number_is_named(value):
    refuses(TypeError, f"k must be a whole number, got {value!r}", lambda: _check.whole("k", value))


def test_whole_numbers_have_a_bound_only_where_one_is_given():
    _check.whole("k", -5)
    _check.whole("k", np.int64(3), at_least=3)
    refuses(ValueError, "k must be at least 3, got 2", lambda: _check.whole("k", 2, at_least=3))


def test_same_shape_and_floating_name_what_is_no_tensor():
    refuses(TypeError, "x must be a tensor, got list", lambda: _check.same_shape("x", [1.0], "y", X))
    refuses(TypeError, "y must be a tensor, got list", lambda: _check.same_shape("x", X, "y", [1.0]))
    refuses(TypeError, "x must be a tensor, got float", lambda: _check.floating("x", 1.0))


@pytest.mark.parametrize("given", [X, [X], (X,)])
def test_a_dict_by_modality_is_asked_for(given):
    text = f"inputs must be a dict by modality, got {type(given).__name__}"
    refuses(TypeError, text, lambda: _check.by_modality("inputs", given))
    refuses(TypeError, text, lambda: _check.features(given, {"image": 3}, steps=False))
    refuses(TypeError, text, lambda: alignment.DualEncoder({"image": Same(), "text": Same()}, 3)(given))
    refuses(TypeError, text, lambda: alignment.CyclicTranslation({"image": 3, "text": 3}, "image", 2)(given))
    refuses(TypeError, "views" + text[6:], lambda: alignment.gcca_loss(given))
    refuses(TypeError, "embeddings" + text[6:], lambda: alignment.pairwise_loss(alignment.vicreg_loss, given))


def test_masks_and_present_must_be_dicts_of_tensors():
    inputs, dims = {"image": X[:, None], "text": X[:, None]}, {"image": 3, "text": 3}
    for what in ("masks", "present"):
        given = {what: X}
        refuses(TypeError, f"{what} must be a dict", lambda g=given: _check.features(inputs, dims, steps=True, **g))
        given = {what: {"image": [True]}}
        refuses(
            TypeError,
            f"{what}['image'] must be a bool tensor, got list",
            lambda g=given: _check.features(inputs, dims, steps=True, **g),
        )


# -- alignment ---------------------------------------------------------------------------------------------------------


def test_cca_wants_two_whole_finite_examples():
    spoilt = X.clone()
    spoilt[2, 1] = float("nan")
    text = "must be finite, got NaN or infinity in 1 examples, first in 2"
    refuses(ValueError, f"x {text}", lambda: alignment.CCA().fit(spoilt, X))
    refuses(ValueError, f"y {text}", lambda: alignment.CCA().fit(X, spoilt))
    present = torch.tensor([True, True, False, True])
    alignment.CCA().fit(spoilt, X, present=present)  # what is not there may be anything
    one = torch.tensor([True, False, False, False])
    refuses(
        ValueError,
        "present must leave two examples or more, got 1 of 4",
        lambda: alignment.CCA().fit(X, X, present=one),
    )


@pytest.mark.parametrize("components", [1.5, "1"])
def test_components_are_whole(components):
    text = f"components must be a whole number, got {components!r}"
    refuses(TypeError, text, lambda: alignment.CCA(components))
    refuses(TypeError, text, lambda: alignment.deep_cca_loss(X, X, components=components))
    refuses(TypeError, text, lambda: alignment.gcca_loss({"image": X, "text": X}, components=components))


def test_views_and_embeddings_are_checked_one_by_one():
    refuses(
        ValueError, "views['t'] must have shape (B, D), got ()", lambda: alignment.gcca_loss({"i": X, "t": X[0, 0]})
    )
    refuses(
        TypeError,
        "embeddings['t'] must be a tensor, got list",
        lambda: alignment.binding_loss({"i": X, "t": [1.0]}, "i", 1.0),
    )


def test_labels_of_distillation():
    present = torch.tensor([True, True, True, False])
    options = {"labels": torch.tensor([0, 1, 2, -1]), "present": present}
    expected = alignment.distillation_loss(X[:3], -X[:3], labels=options["labels"][:3])
    torch.testing.assert_close(alignment.distillation_loss(X, -X, **options), expected)
    refuses(
        TypeError,
        "labels must hold whole numbers, got torch.float32",
        lambda: alignment.distillation_loss(X, X, labels=torch.ones(4)),
    )


def test_a_slow_copy_of_another_shape_is_not_stretched():
    slow, model = nn.Linear(2, 1), nn.Linear(1, 1)
    before = slow.weight.clone()
    text = "slow.weight and model.weight must have the same shape, got (1, 2) and (1, 1)"
    refuses(ValueError, text, lambda: alignment.momentum_update(slow, model))
    assert torch.equal(slow.weight, before)


def test_sizes_of_models():
    dims = {"image": 3, "text": 3}

    def masked(**sizes):
        return alignment.MaskedMultimodalModel(dims, dims, dims, **{"dim": 8, **sizes})

    for name in ("dim", "layers", "heads"):
        refuses(ValueError, f"{name} must be at least 1, got 0", lambda name=name: masked(**{name: 0}))
        masked(**{"dim": 4, "layers": 1, "heads": 1, name: 4 if name == "dim" else 1})
    refuses(ValueError, "dim must be at least 1, got 0", lambda: alignment.CyclicTranslation(dims, "text", 0))
    refuses(
        TypeError,
        "encoders['text'] must have an attribute dim, its output's width; Identity() has none",
        lambda: alignment.DualEncoder({"image": Same(), "text": nn.Identity()}, 3),
    )


def test_present_of_a_translation_is_bool():
    model = alignment.CyclicTranslation({"image": 3, "text": 3}, "image", 2)
    text = "present['image'] must be bool with shape (4,), got torch.float32"
    refuses(ValueError, text, lambda: model({"image": X}, present={"image": torch.ones(4)}))


def test_hidden_words_are_whole_numbers():
    hidden = torch.ones(1, 2, dtype=torch.bool)
    text = "tokens must hold whole numbers, got torch.float32"
    refuses(TypeError, text, lambda: alignment.masked_token_loss(torch.zeros(1, 2, 3), torch.zeros(1, 2), hidden))
    refuses(TypeError, "k must be a whole number, got 1.5", lambda: alignment.top_k(X, 1.5))


# -- several tasks -----------------------------------------------------------------------------------------------------


def test_no_model_of_several_tasks_takes_an_empty_batch():
    empty = torch.zeros(0, 4)
    stitch = multitask.CrossStitch({task: [nn.Linear(4, 3)] for task in HEADS}, HEADS)
    for model in (multitask.HardSharing(nn.Linear(4, 3), HEADS), stitch):
        refuses(ValueError, "x is empty: shape (0, 4)", lambda model=model: model(empty))
        given = {"a": torch.zeros(1, 4), "b": empty}
        refuses(ValueError, "x['b'] is empty: shape (0, 4)", lambda model=model, given=given: model(given))
        refuses(
            TypeError, "x must be a tensor or a dict with one for each task, got list", lambda model=model: model([1])
        )


def test_experts_of_unequal_width_are_named():
    model = multitask.MMoE(4, [nn.Linear(4, 3), nn.Linear(4, 2)], HEADS)
    text = "the output of expert 1 and that of expert 0 must have the same shape, got (2, 2) and (2, 3)"
    refuses(ValueError, text, lambda: model(torch.zeros(2, 4)))


def test_losses_without_a_graph_are_named():
    theta = nn.Parameter(torch.ones(2))
    refuses(ValueError, "losses must have shape (T,), got ()", lambda: multitask.task_gradients(theta.sum(), [theta]))
    losses = [theta.sum(), theta.sum().detach()]
    refuses(ValueError, "losses[1] has no graph to go back through", lambda: multitask.task_gradients(losses, [theta]))


# -- diagnosis ---------------------------------------------------------------------------------------------------------


def test_unimodal_logits_want_one_batch():
    head = nn.Linear(5, 2)
    features = {"image": torch.zeros(4, 3), "text": torch.zeros(3, 2)}
    text = "features['text'] must have shape (4, D), got (3, 2)"
    refuses(ValueError, text, lambda: diagnosis.unimodal_logits(head, features))
    empty = {"image": torch.zeros(0, 3), "text": torch.zeros(0, 2)}
    refuses(ValueError, "features['image'] is empty", lambda: diagnosis.unimodal_logits(head, empty))


def test_scores_and_labels_of_modality_competition():
    text = "labels must hold class numbers, got torch.float32"
    refuses(TypeError, text, lambda: diagnosis.unimodal_scores({"image": X}, torch.zeros(4)))
    refuses(
        TypeError,
        "scores['text'] must be a tensor, got float",
        lambda: diagnosis.ogm_coefficients({"image": X[0, 0], "text": 1.0}),
    )
    nothing = diagnosis.ogm_coefficients({"image": torch.tensor(0.0), "text": torch.tensor(0.0)})
    spoilt = diagnosis.ogm_coefficients({"image": torch.tensor(float("nan")), "text": torch.tensor(1.0)})
    assert [k.item() for k in (*nothing.values(), *spoilt.values())] == [1.0] * 4


@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_blending_does_not_hide_a_loss_that_is_nan(which):
    losses = [torch.ones(2), torch.zeros(2), torch.ones(2), torch.tensor([0.5, 0.25])]
    losses[which] = torch.tensor([1.0, float("nan")])
    name = ("train_before", "train_after", "valid_before", "valid_after")[which]
    refuses(ValueError, f"{name} must be finite, got [1.0, nan]", lambda: diagnosis.gradient_blending(*losses))


def test_pid_wants_steps_and_a_tolerance():
    joint = np.full((2, 2, 2), 1 / 8)
    refuses(ValueError, "steps must be at least 1, got 0", lambda: diagnosis.pid(joint, steps=0))
    diagnosis.pid(joint, steps=1)
    refuses(ValueError, "tolerance must be above 0, got 0", lambda: diagnosis.pid(joint, tolerance=0))


def test_estimates_name_the_column_that_does_not_fit():
    refuses(ValueError, "y must hold whole numbers ≥ 0", lambda: diagnosis.estimate_pid([0, 1], [0, 1], [0.5, 0.5]))
    text = "x1, x2 and y must be as many examples, got {'x1': 2, 'x2': 3, 'y': 2}"
    refuses(ValueError, text, lambda: diagnosis.estimate_pid([0, 1], [0, 1, 1], [0, 1]))
    refuses(TypeError, "clusters must be a whole number, got 1.5", lambda: diagnosis.quantise([1.0, 2.0], clusters=1.5))
    refuses(TypeError, "y must hold floating-point numbers", lambda: diagnosis.modality_gap(X, X.long()))


# -- metrics -----------------------------------------------------------------------------------------------------------


def test_no_metric_counts_nan_as_an_answer():
    spoilt = X.clone()
    spoilt[1, 1] = float("nan")
    text = "must not be NaN, but example 1 is"
    for metric in (metrics.accuracy, metrics.balanced_accuracy, metrics.macro_f1):
        refuses(ValueError, f"predictions {text}", lambda metric=metric: metric(spoilt, [0, 1, 2, 0]))
    refuses(ValueError, f"scores {text}", lambda: metrics.auc([0.5, float("nan"), 0.1], [0, 1, 1]))
    halves = torch.tensor([[0.5, 0.5], [float("nan"), 0.5]])
    refuses(ValueError, f"probabilities {text}", lambda: metrics.calibration_error(halves, torch.tensor([0, 1])))


def test_calibration_wants_probabilities_and_classes_there_are():
    halves, labels = torch.full((2, 2), 0.5), torch.tensor([0, 1])
    text = "probabilities must hold floating-point numbers"
    refuses(TypeError, text, lambda: metrics.calibration_error(torch.eye(2).long(), labels))
    for wrong in ([0, 2], [-1, 1]):
        text = f"targets must be from 0 to 1, got {min(wrong)} to {max(wrong)}"
        refuses(ValueError, text, lambda w=wrong: metrics.calibration_error(halves, torch.tensor(w)))
    refuses(ValueError, "targets must be class numbers", lambda: metrics.calibration_error(halves, labels.float()))
    refuses(TypeError, "k must be a whole number, got 1.5", lambda: metrics.recall_at_k(X[:3], 1.5))


def test_rouge_by_hand():
    # the same words in the same order with gaps: LCS 3 of 3 said and of 6 in the reference, P = 1, R = 1/2
    assert metrics.rouge_l(["the cat sat"], ["The cat sat on the mat."]) == pytest.approx(2 / 3)
    # order counts: of "c b a" only one word follows the order of "a b c"
    assert metrics.rouge_l(["c b a"], ["a b c"]) == pytest.approx(1 / 3)
    # the best reference counts; over examples the mean: (2/3 + 0) / 2
    assert metrics.rouge_l(["the cat sat", "x"], [["a", "the cat sat on the mat"], "y"]) == pytest.approx(1 / 3)
    assert metrics.rouge_l([""], ["a"]) == 0 and metrics.rouge_l(["a b"], [["a b", "b"]]) == 1


def test_references_are_one_list_a_candidate():
    for metric in (metrics.bleu, metrics.rouge_l):
        text = "references must be a list with an entry for each candidate, got the string 'a'"
        refuses(ValueError, text, lambda metric=metric: metric(["a"], "a"))
        refuses(ValueError, "references must have an entry for each of the 1", lambda metric=metric: metric(["a"], []))
