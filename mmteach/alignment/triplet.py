"""Triplet losses: a match beats each mismatch by a margin, and then costs nothing more.

| name           | what it is                                          | when to use it                |
|----------------|-----------------------------------------------------|-------------------------------|
| `triplet_loss` | hinge on all negatives (VSE) or the hardest (VSE++) | ranking without a temperature |
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmteach import _check
from mmteach.alignment._pairs import matmul, pair


def triplet_loss(
    image: Tensor,
    text: Tensor,
    *,
    margin: float = 0.2,
    negatives: str = "all",
    present: Tensor | None = None,
) -> Tensor:
    """The hinge on triplets (anchor, match, mismatch), both ways, over all mismatches of the batch or the hardest one.

    all (VSE):        L = Σ_i Σ_{j≠i} [m − S_ii + S_ij]₊ + [m − S_ii + S_ji]₊,    S = I Tᵀ
    hardest (VSE++):  L = Σ_i max_{j≠i} [m − S_ii + S_ij]₊ + max_{j≠i} [m − S_ii + S_ji]₊

    image, text: (B, D), normalised, row i of one belongs to row i of the other
    margin: m, above 0, in units of cosine similarity
    negatives: "all" or "hardest"
    present: bool (B,), False = the pair is not there: neither anchor nor negative
    Returns a scalar, the *sum* over the batch as in both papers (divide by B to compare batch sizes); 0 for a batch of one.
    NaN in a pair that is there gives NaN.

    "hardest" can fail from a cold start: while the embeddings are random, the hardest negatives pull everything towards one
    point. Where all embeddings are the same each hinge costs m, and the loss stays at 2 m B. Train with "all" for the
    first epochs, then switch.

    Errors: ValueError for shapes that differ, an empty batch, margin ≤ 0, another word for `negatives`.

    Kiros, Salakhutdinov and Zemel 2014, Unifying Visual-Semantic Embeddings with Multimodal Neural Language Models;
    Faghri et al. 2018, VSE++: Improving Visual-Semantic Embeddings with Hard Negatives.

    >>> image = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> round(triplet_loss(image, image, margin=0.2).item(), 4)  # only the third is within 0.2 of another: 0 and 0.8
    0.0
    >>> round(triplet_loss(image, image, margin=0.5).item(), 4)  # 4 × (0.5 − 1 + 0.8) + 4 × (0.5 − 1 + 0.6)
    1.6
    >>> round(triplet_loss(image, image, margin=0.5, negatives="hardest").item(), 4)  # .1 + .3 + .3, twice
    1.4
    """
    image, text, there = pair(image, text, present, ("image", "text"))
    _check.positive("margin", margin)
    _check.choice("negatives", negatives, ("all", "hardest"))

    scores = matmul(image, text.T)  # (B, B)
    match = scores.diagonal()
    no_negative = torch.eye(len(image), dtype=torch.bool, device=image.device)
    if present is not None:
        no_negative = no_negative | ~(there[:, None] & there[None, :])
    image_anchors = (margin - match[:, None] + scores).clamp(min=0).masked_fill(no_negative, 0)
    text_anchors = (margin - match[None, :] + scores).clamp(min=0).masked_fill(no_negative, 0)
    if negatives == "hardest":
        return image_anchors.amax(1).sum() + text_anchors.amax(0).sum()
    return image_anchors.sum() + text_anchors.sum()
