"""Modality competition: the modality that learns first lowers the loss, and with it the gradient of all the others.

| name                 | when to use it                                                                        |
|----------------------|---------------------------------------------------------------------------------------|
| `unimodal_logits`    | what each modality says in a model that concatenates and ends in one linear layer      |
| `unimodal_scores`    | how sure each modality is of the right answers, to watch during training              |
| `ogm_coefficients`   | how much to slow down the encoder that is ahead                                       |
| `modulate_gradients` | do it: between `backward()` and `optimizer.step()`                                    |
| `gradient_blending`  | weights for separate losses, from generalisation and overfitting between two checkpoints |

A step of OGM-GE:

    loss.backward()
    scores = unimodal_scores(unimodal_logits(model.head, features), labels)
    modulate_gradients(model.encoders, ogm_coefficients(scores), noise=True, generator=generator)
    optimizer.step()
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check


def _modalities(name: str, columns: Mapping[str, object]) -> None:
    if len(columns) < 2:
        raise ValueError(f"{name} must hold two modalities or more, got {sorted(columns)}")


def unimodal_logits(head: nn.Linear, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Split the logits of concatenation + one linear layer: o_m = W_m h_m + b / M, so that Σ_m o_m = W [h_1; …] + b.

    head:     nn.Linear over all features, concatenated in the order of `features`
    features: by modality, (B, D_m), two or more; Σ D_m = head.in_features
    Returns logits by modality, each (B, classes). Raises ValueError for one modality only, widths or batch sizes that do not
    fit, an empty batch.
    Paper: Peng, Wei, Deng, Wang & Hu 2022, Balanced Multimodal Learning via On-the-fly Gradient Modulation.

    >>> head = nn.Linear(3, 2)
    >>> h = {"image": torch.randn(4, 2), "text": torch.randn(4, 1)}
    >>> parts = unimodal_logits(head, h)
    >>> torch.allclose(parts["image"] + parts["text"], head(torch.cat(list(h.values()), 1)), atol=1e-6)
    True
    """
    _modalities("features", features)
    batch = len(next(iter(features.values())))
    for m, h in features.items():
        _check.shape(f"features[{m!r}]", h, batch, "D")
    widths = {m: h.shape[-1] for m, h in features.items()}
    if sum(widths.values()) != head.in_features:
        raise ValueError(f"features must have {head.in_features} columns together, as the head takes, got {widths}")
    bias = None if head.bias is None else head.bias / len(features)
    weights = head.weight.split(list(widths.values()), dim=1)
    return {m: nn.functional.linear(h, w, bias) for (m, h), w in zip(features.items(), weights)}


def unimodal_scores(logits: Mapping[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
    """How sure each modality alone is of the right answers: s_m = Σ_i softmax(o_m,i)[y_i].

    logits: by modality, (B, classes)
    labels: y, (B,), class numbers
    Returns a scalar by modality, between 0 and B.
    Paper: Peng, Wei, Deng, Wang & Hu 2022, Balanced Multimodal Learning via On-the-fly Gradient Modulation.

    >>> unimodal_scores({"image": torch.tensor([[0.0, 0.0]]), "text": torch.tensor([[9.0, -9.0]])}, torch.tensor([0]))
    {'image': tensor(0.5000), 'text': tensor(1.)}
    """
    _check.shape("labels", labels, "B")
    if labels.is_floating_point():
        raise TypeError(f"labels must hold class numbers, got {labels.dtype}")
    scores = {}
    for m, o in logits.items():
        _check.shape(f"logits[{m!r}]", o, len(labels), "classes")
        scores[m] = torch.softmax(o.detach(), dim=1).gather(1, labels.unsqueeze(1)).sum()
    return scores


def ogm_coefficients(scores: Mapping[str, Tensor], alpha: float = 0.5) -> dict[str, Tensor]:
    """How much of its gradient each encoder keeps: k_m = 1 − tanh(α ρ_m) where ρ_m > 1, else 1.

    ρ_m = s_m / (mean of the other modalities' s): how far m is ahead. With two modalities this is the paper's
    discrepancy ratio s_1 / s_2; the mean over the others is our extension to more.

    scores: s, a scalar by modality, above 0 (`unimodal_scores`), two or more
    alpha:  α > 0, how hard the brake is pulled
    Returns a scalar by modality, between 0 and 1; 1 for all where the scores are all 0 or one of them is NaN.
    Paper: Peng, Wei, Deng, Wang & Hu 2022, Balanced Multimodal Learning via On-the-fly Gradient Modulation.

    >>> ogm_coefficients({"audio": torch.tensor(2.0), "image": torch.tensor(1.0)})  # 1 − tanh(.5 · 2)
    {'audio': tensor(0.2384), 'image': tensor(1.)}
    """
    _modalities("scores", scores)
    _check.positive("alpha", alpha)
    for m, s in scores.items():
        _check.floating(f"scores[{m!r}]", s)
    total = torch.stack(list(scores.values())).sum()
    coefficients = {}
    for m, s in scores.items():
        ratio = s / ((total - s) / (len(scores) - 1))
        coefficients[m] = torch.where(ratio > 1, 1 - torch.tanh(alpha * ratio), torch.ones_like(ratio))
    return coefficients


def modulate_gradients(
    encoders: Mapping[str, nn.Module],
    coefficients: Mapping[str, Tensor | float],
    noise: bool = False,
    generator: torch.Generator | None = None,
) -> None:
    """Multiply every gradient of each encoder with its coefficient, in place: g ← k_m g, with GE g ← k_m g + ε.

    Every parameter counts, linear layers and biases too. ε ~ N(0, std(g)²), with the deviation of the unmodulated
    gradient of that parameter: it gives back the noise of SGD that a smaller gradient takes away.

    encoders:     by modality (a dict or nn.ModuleDict); parameters without a gradient are passed over
    coefficients: k, by modality, from `ogm_coefficients`; encoders it does not name stay as they are
    noise:        add ε (the GE of OGM-GE)
    generator:    what ε is drawn from; None draws from torch's global generator
    Paper: Peng, Wei, Deng, Wang & Hu 2022, Balanced Multimodal Learning via On-the-fly Gradient Modulation.

    >>> encoder = nn.Linear(2, 1, bias=False)
    >>> encoder(torch.tensor([[1.0, 3.0]])).sum().backward()
    >>> modulate_gradients({"image": encoder}, {"image": 0.5})
    >>> encoder.weight.grad
    tensor([[0.5000, 1.5000]])
    """
    for m, k in coefficients.items():
        if m not in encoders:
            raise ValueError(f"coefficients names the unknown modality {m!r}: expected some of {sorted(encoders)}")
        for p in encoders[m].parameters():
            if p.grad is None:
                continue
            scaled = p.grad * k
            if noise:
                deviation = p.grad.std(correction=0)  # 0, not NaN, for a parameter of one number
                shape, dtype, device = p.grad.shape, p.grad.dtype, p.grad.device
                scaled = scaled + deviation * torch.randn(shape, generator=generator, dtype=dtype, device=device)
            p.grad.copy_(scaled)


def gradient_blending(train_before: Tensor, train_after: Tensor, valid_before: Tensor, valid_after: Tensor) -> Tensor:
    """Weights for separate losses (each modality's head, the fused head): w_k ∝ G_k / O_k², Σ w = 1.

    Between two checkpoints of each branch trained alone, with L the losses on training and validation data:
    G_k = V_before − V_after, what was learned that generalises; O_k = (V_after − T_after) − (V_before − T_before), how
    much the overfitting grew. A branch that got worse on validation data (G ≤ 0) gets 0.

    train_before, train_after, valid_before, valid_after: losses, each (K,), K ≥ 2 branches
    Returns (K,). An O_k of 0 counts as very small (its branch takes nearly all); where no G is above 0 all weights are equal.
    Raises ValueError for one branch only, shapes that differ, a loss that is NaN or infinite.
    Paper: Wang, Tran & Feiszli 2020, What Makes Training Multi-modal Classification Networks Hard?

    >>> ones = torch.ones(2)
    >>> gradient_blending(ones, torch.tensor([0.5, 0.0]), ones, torch.tensor([0.75, 0.5]))  # G = ¼, ½; O = ¼, ½
    tensor([0.6667, 0.3333])
    """
    losses = {"train_before": train_before, "train_after": train_after, "valid_after": valid_after}
    _check.shape("valid_before", valid_before, "K")
    _check.floating("valid_before", valid_before)
    if len(valid_before) < 2:
        raise ValueError("valid_before must hold two branches or more, got 1: there is nothing to blend")
    for name, loss in losses.items():
        _check.same_shape(name, loss, "valid_before", valid_before)
    for name, loss in {"valid_before": valid_before, **losses}.items():
        if not torch.isfinite(loss).all():
            raise ValueError(
                f"{name} must be finite, got {loss.tolist()}: a branch whose loss is not finite did not train"
            )
    generalised = (valid_before - valid_after).clamp_min(0)
    overfitted = (valid_after - train_after) - (valid_before - train_before)
    share = generalised / overfitted.square().clamp_min(torch.finfo(overfitted.dtype).eps)
    total = share.sum()
    return torch.where(total > 0, share / torch.where(total > 0, total, 1), 1 / len(share))
