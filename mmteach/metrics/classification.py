"""Classification metrics, over scikit-learn and torchmetrics.

| name                | when to use it                                                           |
|---------------------|--------------------------------------------------------------------------|
| `accuracy`          | classes of about equal size                                              |
| `balanced_accuracy` | classes of unequal size: every class counts the same                     |
| `macro_f1`          | as above, where wrong alarms matter too                                  |
| `auc`               | scores of a rare class: the chance that a positive outranks a negative   |
| `calibration_error` | does "90 % sure" come true 90 % of the time?                             |
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mmteach import _check


def _classes(name: str, values: Tensor | ArrayLike) -> np.ndarray:
    """Class numbers (B,), from class numbers or from logits (B, classes)."""
    array = torch.as_tensor(values).detach().cpu()
    if array.ndim == 2 and array.is_floating_point():
        _no_nan(name, array)
        array = array.argmax(1)
    if array.ndim != 1 or array.is_floating_point() or len(array) == 0:
        raise ValueError(
            f"{name} must be class numbers (B,) or logits (B, classes), got {array.dtype} with shape {tuple(array.shape)}"
        )
    return array.numpy()


def _no_nan(name: str, array: Tensor) -> None:
    if array.isnan().any():
        rows = array.isnan().flatten(1).any(1) if array.ndim > 1 else array.isnan()
        raise ValueError(f"{name} must not be NaN, but example {int(rows.nonzero()[0])} is: the model did not train")


def _both(predictions: Tensor | ArrayLike, targets: Tensor | ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p, t = _classes("predictions", predictions), _classes("targets", targets)
    if len(p) != len(t):
        raise ValueError(f"predictions and targets must be as many, got {len(p)} and {len(t)}")
    return p, t


def accuracy(predictions: Tensor | ArrayLike, targets: Tensor | ArrayLike) -> float:
    """The share of examples that are right.

    predictions: class numbers (B,) or logits (B, classes); targets: class numbers (B,)
    Returns a number between 0 and 1. Counted by scikit-learn.

    >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
    0.75
    """
    from sklearn.metrics import accuracy_score

    p, t = _both(predictions, targets)
    return float(accuracy_score(t, p))


def balanced_accuracy(predictions: Tensor | ArrayLike, targets: Tensor | ArrayLike) -> float:
    """The mean over the classes in `targets` of the share of each that is right: 1 / classes for a constant answer.

    predictions: class numbers (B,) or logits (B, classes); targets: class numbers (B,)
    Returns a number between 0 and 1. Counted by scikit-learn.

    >>> balanced_accuracy([0, 0, 0, 0], [0, 0, 0, 1])  # plain accuracy says 0.75
    0.5
    """
    from sklearn.metrics import recall_score

    p, t = _both(predictions, targets)
    return float(recall_score(t, p, labels=np.unique(t), average="macro", zero_division=0))


def macro_f1(predictions: Tensor | ArrayLike, targets: Tensor | ArrayLike) -> float:
    """The mean over classes of F1 = 2 · precision · recall / (precision + recall); 0 for a class never hit.

    predictions: class numbers (B,) or logits (B, classes); targets: class numbers (B,)
    Returns a number between 0 and 1, over all classes that occur in either. Counted by scikit-learn.

    >>> macro_f1([0, 0, 1, 1], [0, 0, 1, 0])  # F1 of .8 and 2/3
    0.7333333333333334
    """
    from sklearn.metrics import f1_score

    p, t = _both(predictions, targets)
    return float(f1_score(t, p, average="macro", zero_division=0))


def auc(scores: Tensor | ArrayLike, targets: Tensor | ArrayLike) -> float:
    """Area under the ROC curve: the chance that a random positive scores above a random negative, ties half.

    scores:  (B,) for two classes, higher means class 1; or logits (B, classes), then the mean of each class against the rest
    targets: class numbers (B,), every class at least once
    Returns a number between 0 and 1; guessing gives 0.5. Counted by scikit-learn.

    >>> auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    from sklearn.metrics import roc_auc_score

    s = torch.as_tensor(scores).detach().cpu().double()
    t = _classes("targets", targets)
    if s.ndim not in (1, 2) or len(s) != len(t):
        raise ValueError(f"scores must have shape ({len(t)},) or ({len(t)}, classes), got {tuple(s.shape)}")
    _no_nan("scores", s)
    classes = 2 if s.ndim == 1 else s.shape[1]
    missing = sorted(set(range(classes)) - set(t.tolist()))
    if missing:
        raise ValueError(
            f"targets must hold every class at least once, none of class {missing[0]} came: no AUC without it"
        )
    if s.ndim == 1:
        return float(roc_auc_score(t, s.numpy()))
    return float(np.mean([roc_auc_score(t == c, s[:, c].numpy()) for c in range(classes)]))


def calibration_error(probabilities: Tensor, targets: Tensor, bins: int = 15) -> float:
    """Expected calibration error: Σ_bins |bin| / B · |accuracy(bin) − mean confidence(bin)|.

    probabilities: (B, classes), rows sum to 1 (softmax the logits first)
    targets:       class numbers (B,)
    bins:          of equal width over the confidence of the top class
    Returns a number between 0 and 1, 0 for honest confidence. Counted by torchmetrics.
    Paper: Guo, Pleiss, Sun & Weinberger 2017, On Calibration of Modern Neural Networks.

    >>> calibration_error(torch.tensor([[0.75, 0.25], [0.75, 0.25]]), torch.tensor([0, 1]))  # sure by .75, right by .5
    0.25
    """
    from torchmetrics.functional.classification import multiclass_calibration_error

    _check.shape("probabilities", probabilities, "B", "classes")
    _check.floating("probabilities", probabilities)
    _check.shape("targets", targets, len(probabilities))
    _classes("targets", targets)
    _check.positive("bins", bins)
    _no_nan("probabilities", probabilities)
    if (probabilities < 0).any() or ((probabilities.sum(1) - 1).abs() > 1e-3).any():
        raise ValueError("probabilities must be ≥ 0 and sum to 1 in every row: softmax the logits first")
    classes = probabilities.shape[1]
    if targets.min() < 0 or targets.max() >= classes:
        raise ValueError(f"targets must be from 0 to {classes - 1}, got {int(targets.min())} to {int(targets.max())}")
    return multiclass_calibration_error(probabilities.detach(), targets, num_classes=classes, n_bins=bins).item()
