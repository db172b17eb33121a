"""Distillation: open_clip's number, torch's KL divergence, Hinton's τ²."""

from __future__ import annotations

import math

import pytest
import torch
from alignment_cases import DTYPES, case, close, embeddings
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mmteach.alignment import clip_distillation_loss, clip_loss, distillation_loss

few = settings(max_examples=10, deadline=None)
STUDENT = torch.tensor([[1.0, -0.5, 0.2], [0.0, 2.0, -1.0], [0.3, 0.1, 0.0]], dtype=torch.float64)
TEACHER = torch.tensor([[2.0, 0.0, -1.0], [-1.0, 3.0, 0.5], [0.0, 1.0, 1.0]], dtype=torch.float64)


def test_the_clip_vector_needs_the_contrastive_loss_too():
    inputs, expected = case("clip_distill")
    close(clip_loss(inputs["image"], inputs["text"], inputs["scale"]), expected["contrastive"])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_clip_distillation_equals_open_clip(dtype):
    inputs, expected = case("clip_distill", dtype)
    close(clip_distillation_loss(**inputs), expected["distill"])


@pytest.mark.parametrize("tau", [0.5, 1.0, 4.0])
def test_distillation_is_torchs_kl_divergence_plus_the_teachers_entropy(tau):
    p = (TEACHER / tau).softmax(1)
    kl = F.kl_div((STUDENT / tau).log_softmax(1), p, reduction="batchmean")
    entropy = -(p * p.log()).sum(1).mean()
    torch.testing.assert_close(distillation_loss(STUDENT, TEACHER, tau), tau**2 * (kl + entropy))


def test_the_default_temperature_is_two():
    torch.testing.assert_close(distillation_loss(STUDENT, TEACHER), distillation_loss(STUDENT, TEACHER, 2.0))
    torch.testing.assert_close(
        distillation_loss(STUDENT, TEACHER, torch.tensor(2.0)), distillation_loss(STUDENT, TEACHER)
    )


def test_a_student_that_copies_the_teacher_has_no_gradient_left():
    student = TEACHER.clone().requires_grad_()
    distillation_loss(student, TEACHER, 3.0).backward()
    torch.testing.assert_close(student.grad, torch.zeros_like(student), atol=1e-12, rtol=0)


def test_at_high_temperature_the_gradient_matches_logits_and_does_not_fade():
    # Hinton et al. 2015, section 2.1: for high τ, and logits of mean zero, it is the gradient of ½ (z_S − z_T)² / C.
    student = (STUDENT - STUDENT.mean(1, keepdim=True)).requires_grad_()
    teacher = TEACHER - TEACHER.mean(1, keepdim=True)
    distillation_loss(student, teacher, 1e4).backward()
    torch.testing.assert_close(student.grad, (student.detach() - teacher) / (3 * 3), atol=1e-3, rtol=0)


def test_labels_mix_in_with_their_weight():
    labels = torch.tensor([0, 1, 2])
    soft, hard = distillation_loss(STUDENT, TEACHER), F.cross_entropy(STUDENT, labels)
    mixed = distillation_loss(STUDENT, TEACHER, labels=labels, label_weight=0.3)
    torch.testing.assert_close(mixed, 0.7 * soft + 0.3 * hard)
    torch.testing.assert_close(distillation_loss(STUDENT, TEACHER, labels=labels), (soft + hard) / 2)
    torch.testing.assert_close(distillation_loss(STUDENT, TEACHER, labels=labels, label_weight=1.0), hard)


def test_absent_examples_do_not_count_with_labels_either():
    labels, present = torch.tensor([0, 1, 2]), torch.tensor([True, False, True])
    broken = TEACHER.clone()
    broken[1] = math.nan
    ours = distillation_loss(STUDENT, broken, labels=labels, present=present)
    torch.testing.assert_close(ours, distillation_loss(STUDENT[[0, 2]], TEACHER[[0, 2]], labels=labels[[0, 2]]))


def test_no_gradient_flows_into_the_teacher():
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    distillation_loss(student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0
    image, text, slow_image, slow_text = (z.requires_grad_() for z in embeddings(4, 5, 3))
    clip_distillation_loss(image, text, 5.0, slow_image, slow_text, 5.0).backward()
    assert slow_image.grad is None and slow_text.grad is None
    assert image.grad.abs().sum() > 0 and text.grad.abs().sum() > 0


@given(seed=st.integers(0, 2**30))
@few
def test_swapping_the_modalities_of_student_and_teacher_changes_nothing(seed):
    image, text, slow_image, slow_text = embeddings(4, 5, 3, seed)
    one = clip_distillation_loss(image, text, 5.0, slow_image, slow_text, 3.0)
    torch.testing.assert_close(clip_distillation_loss(text, image, 5.0, slow_text, slow_image, 3.0), one)


def test_a_sure_and_right_teacher_gives_the_clip_loss():
    image, text = embeddings(2, 5, 3)
    sure = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(
        clip_distillation_loss(image, text, 5.0, sure, sure, 1000.0), clip_loss(image, text, 5.0)
    )


def test_student_and_teacher_may_differ_in_precision_and_width():
    image, text = embeddings(2, 5, 3, dtype=torch.float64)
    slow_image, slow_text = embeddings(2, 5, 7, seed=1, dtype=torch.float32)
    present = torch.tensor([True, True, False, True, True])
    ours = clip_distillation_loss(image, text, 5.0, slow_image, slow_text, 5.0, present=present)
    expected = clip_distillation_loss(image[present], text[present], 5.0, slow_image[present], slow_text[present], 5.0)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("value", [0, -2.0])
def test_temperatures_and_scales_that_are_not_above_zero_are_refused(value):
    x = torch.eye(3)
    with pytest.raises(ValueError, match=rf"^temperature must be above 0, got {value}"):
        distillation_loss(x, x, value)
    with pytest.raises(ValueError, match=rf"^scale must be above 0, got {value}"):
        clip_distillation_loss(x, x, value, x, x, 1.0)
    with pytest.raises(ValueError, match=rf"^teacher_scale must be above 0, got {value}"):
        clip_distillation_loss(x, x, 1.0, x, x, value)


def test_wrong_arguments_are_named():
    x = torch.eye(3)
    with pytest.raises(ValueError, match=r"^label_weight must be between 0 and 1, got 2"):
        distillation_loss(x, x, label_weight=2)
    with pytest.raises(ValueError, match=r"^labels must have shape \(3,\), got \(2,\)"):
        distillation_loss(x, x, labels=torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"^student and teacher must have the same shape, got \(3, 3\) and \(3, 2\)"):
        distillation_loss(x, x[:, :2])
    with pytest.raises(ValueError, match=r"^teacher_image and teacher_text must have the same batch size"):
        clip_distillation_loss(x, x, 1.0, x, x[:2], 1.0)
    with pytest.raises(ValueError, match=r"^teacher_image must have the batch size of image, 3, got 2"):
        clip_distillation_loss(x, x, 1.0, x[:2], x[:2], 1.0)
