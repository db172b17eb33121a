"""Distillation: a student learns what a teacher believes about every answer, not only which one is right.

| name                     | what it is                                  | when to use it                    |
|--------------------------|---------------------------------------------|-----------------------------------|
| `distillation_loss`      | match the teacher's class probabilities     | labels exist for another modality |
| `clip_distillation_loss` | match the teacher's image–text similarities | a large dual encoder exists       |
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mmteach import _check
from mmteach.alignment._pairs import matmul, mean_over, pair


def _soft_cross_entropy(student: Tensor, teacher: Tensor) -> Tensor:
    """−Σ_j softmax(teacher)_j ln softmax(student)_j, one value a row; no gradient into the teacher."""
    return -(teacher.detach().softmax(-1) * student.log_softmax(-1)).sum(-1)


def distillation_loss(
    student: Tensor,
    teacher: Tensor,
    temperature: float | Tensor = 2.0,
    *,
    labels: Tensor | None = None,
    label_weight: float = 0.5,
    present: Tensor | None = None,
) -> Tensor:
    """Hinton's distillation: cross-entropy to the softened probabilities of a teacher, who may see another modality.

    L = τ² mean_b CE(softmax(z_T / τ), softmax(z_S / τ));   with labels: (1−w) L + w mean_b CE(y, softmax(z_S))

    Softening divides gradients by τ²; the factor τ² puts them back, so that τ can be changed alone. Its lowest value is
    τ² times the teacher's entropy, not 0.

    student, teacher: logits (B, C); the student sees e.g. the audio, the teacher saw the image of the same example
    temperature: τ above 0: the higher, the more the teacher's second choices count
    labels: whole numbers (B,), where there are any, anything where not present;  label_weight: w in [0, 1]
    present: bool (B,), False = the example lacks one of the modalities and does not count
    Returns a scalar; 0 where no example counts. No gradient flows into the teacher.

    Errors: ValueError for shapes that differ, an empty batch, temperature ≤ 0, label_weight outside [0, 1].

    Hinton, Vinyals and Dean 2015, Distilling the Knowledge in a Neural Network;
    Gupta, Hoffman and Malik 2016, Cross Modal Distillation for Supervision Transfer.

    >>> teacher = torch.tensor([[2.0, 0.0]])
    >>> round(distillation_loss(torch.zeros(1, 2), teacher, temperature=1.0).item(), 4)  # knows nothing: ln 2
    0.6931
    """
    student, teacher, there = pair(student, teacher, present, ("student", "teacher"))
    _check.positive("temperature", temperature)
    _check.between("label_weight", label_weight, 0, 1)
    soft = temperature**2 * mean_over(_soft_cross_entropy(student / temperature, teacher / temperature), there)
    if labels is None:
        return soft
    _check.shape("labels", labels, len(student))
    if labels.is_floating_point():
        raise TypeError(f"labels must hold whole numbers, got {labels.dtype}")
    hard = mean_over(F.cross_entropy(student, labels.long().masked_fill(~there, 0), reduction="none"), there)
    return (1 - label_weight) * soft + label_weight * hard


def clip_distillation_loss(
    image: Tensor,
    text: Tensor,
    scale: float | Tensor,
    teacher_image: Tensor,
    teacher_text: Tensor,
    teacher_scale: float | Tensor,
    *,
    present: Tensor | None = None,
) -> Tensor:
    """CLIP distillation: the student's similarities follow the teacher's, from image to text and from text to image.

    S = scale · I Tᵀ,    L = ½ mean_i [CE(softmax(S_teacher)_i, softmax(S)_i) + CE(softmax(S_teacherᵀ)_i, softmax(Sᵀ)_i)]

    image, text: the student's embeddings (B, D), normalised;  teacher_image, teacher_text: (B, any width), normalised
    scale, teacher_scale: 1 / temperature of each, above 0
    present: bool (B,), False = the pair is not there: neither question nor candidate
    Returns a scalar, to be added to `clip_loss`; its lowest value is the teacher's entropy, not 0. No gradient flows into the
    teacher. NaN in a pair that is there gives NaN.

    Errors: ValueError for shapes that differ, an empty batch, a scale ≤ 0.

    Hinton, Vinyals and Dean 2015, Distilling the Knowledge in a Neural Network.

    >>> same = torch.ones(4, 2)
    >>> round(clip_distillation_loss(same, same, 10.0, torch.eye(4), torch.eye(4), 10.0).item(), 4)  # knows nothing: ln 4
    1.3863
    """
    image, text, there = pair(image, text, present, ("image", "text"))
    teacher_image, teacher_text, _ = pair(teacher_image, teacher_text, present, ("teacher_image", "teacher_text"))
    if len(teacher_image) != len(image):
        raise ValueError(f"teacher_image must have the batch size of image, {len(image)}, got {len(teacher_image)}")
    _check.positive("scale", scale)
    _check.positive("teacher_scale", teacher_scale)

    def scores(image: Tensor, text: Tensor, scale: float | Tensor) -> Tensor:
        return scale * matmul(image, text.T)

    def no_candidate(scores: Tensor) -> Tensor:
        # The lowest finite number, not −inf: its probability is 0 all the same, and 0 · ln 0 stays 0.
        return scores.masked_fill(~there, torch.finfo(scores.dtype).min)  # whole columns

    student, teacher = scores(image, text, scale), scores(teacher_image, teacher_text, teacher_scale)
    image_to_text = _soft_cross_entropy(no_candidate(student), no_candidate(teacher))
    text_to_image = _soft_cross_entropy(no_candidate(student.T), no_candidate(teacher.T))
    return mean_over(image_to_text + text_to_image, there) / 2
