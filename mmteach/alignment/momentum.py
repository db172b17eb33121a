"""Soft targets from a slow copy of the model, as in ALBEF: the web's captions fit more than one picture.

| name              | what it is                                     | when to use it               |
|-------------------|------------------------------------------------|------------------------------|
| `albef_itc_loss`  | contrastive; targets partly from the slow copy | noisy pairs, near-duplicates |
| `momentum_copy`   | the slow copy, frozen                          | once, before training        |
| `momentum_update` | move the copy a little towards the model       | after each training step     |
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.alignment._pairs import full_precision

Model = TypeVar("Model", bound=nn.Module)


def albef_itc_loss(
    image_to_text: Tensor,
    text_to_image: Tensor,
    momentum_image_to_text: Tensor,
    momentum_text_to_image: Tensor,
    alpha: float = 0.4,
) -> Tensor:
    """ALBEF's image–text contrastive loss: targets mix the true pairs with what a slow copy of the model believes.

    P = α softmax(S_m) + (1−α) I,    L = ½ [CE(P_i2t, S_i2t) + CE(P_t2i, S_t2i)]
    CE(P, S) = mean_i Σ_j −P_ij ln softmax_j(S_ij)

    image_to_text, text_to_image: (B, K) scores of the model, already divided by the temperature; the match of row i is
        column i, columns beyond B belong to a queue
    momentum_…: the same scores by the slow copy; no gradient flows into them
    alpha: how far the copy is believed, in [0, 1]; 0 is the CLIP loss
    Returns a scalar. NaN in the scores gives NaN.

    Errors: ValueError for shapes that differ, an empty batch, fewer columns than rows, alpha outside [0, 1].

    Li et al. 2021, Align before Fuse: Vision and Language Representation Learning with Momentum Distillation.

    >>> scores = torch.eye(3)
    >>> round(albef_itc_loss(scores, scores, scores, scores, alpha=0.0).item(), 4)  # ln(e + 2) − 1
    0.5514
    """
    _check.between("alpha", alpha, 0, 1)

    def one_way(name: str, scores: Tensor, momentum: Tensor) -> Tensor:
        _check.shape(name, scores, "B", "K")
        _check.floating(name, scores)
        _check.same_shape(name, scores, f"momentum_{name}", momentum)
        rows, columns = scores.shape
        if columns < rows:
            raise ValueError(f"{name} needs a column for each row's match, got {rows} rows and {columns} columns")
        scores = full_precision(scores)
        pairs = torch.eye(rows, columns, dtype=scores.dtype, device=scores.device)
        believed = full_precision(momentum.detach()).softmax(-1)
        p = alpha * believed + (1 - alpha) * pairs
        return -(p * scores.log_softmax(-1)).sum(-1).mean()

    image_loss = one_way("image_to_text", image_to_text, momentum_image_to_text)
    return (image_loss + one_way("text_to_image", text_to_image, momentum_text_to_image)) / 2


def momentum_copy(model: Model) -> Model:
    """A copy of the model that no optimiser moves: its parameters ask for no gradient.

    model: any module → a module of the same class with the same numbers, in evaluation mode (no dropout)

    He et al. 2020, Momentum Contrast for Unsupervised Visual Representation Learning.

    >>> slow = momentum_copy(nn.Linear(2, 1))
    >>> any(p.requires_grad for p in slow.parameters())
    False
    """
    return copy.deepcopy(model).requires_grad_(False).eval()


@torch.no_grad()
def momentum_update(slow: nn.Module, model: nn.Module, decay: float = 0.995) -> None:
    """Move the slow copy towards the model, in place; buffers (batch-norm statistics) are copied.

    θ_slow ← decay · θ_slow + (1 − decay) · θ

    slow: made by `momentum_copy(model)`;  decay: in [0, 1]; 0.995 averages over about the last 200 steps
    Errors: ValueError where the two have parameters of different names or shapes, or decay outside [0, 1].

    He et al. 2020, Momentum Contrast for Unsupervised Visual Representation Learning.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> slow = momentum_copy(model)
    >>> _ = nn.init.constant_(model.weight, 1.0), nn.init.constant_(slow.weight, 0.0)
    >>> momentum_update(slow, model, decay=0.75)
    >>> slow.weight.item()
    0.25
    """
    _check.between("decay", decay, 0, 1)
    ours, theirs = dict(slow.named_parameters()), dict(model.named_parameters())
    if ours.keys() != theirs.keys():
        raise ValueError(f"slow and model must have the same parameters, got {sorted(ours)} and {sorted(theirs)}")
    for name, parameter in ours.items():
        _check.same_shape(f"slow.{name}", parameter, f"model.{name}", theirs[name])
    for name, parameter in ours.items():
        parameter.lerp_(theirs[name].to(parameter.dtype), 1 - decay)
    for name, buffer in slow.named_buffers():
        buffer.copy_(model.get_buffer(name))
