"""Experts: each knows one modality, and the question is whom to ask.

| name                 | what it is                                    | when to use it                                     |
|----------------------|-----------------------------------------------|----------------------------------------------------|
| `MixtureOfExperts`   | a learned gate weighs the experts' answers    | different cases need different experts             |
| `balance_loss`       | grows where the gate sends all to few experts | with `MixtureOfExperts`, so that no expert starves |
| `product_of_experts` | Gaussian beliefs, multiplied                  | each expert says how sure it is                    |
| `ProductOfExperts`   | the same, with the beliefs made from vectors  | missing modalities: who is absent says nothing     |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.encoders._parts import check_mask
from mmteach.fusion._vectors import VectorFusion, linears, presence, softmax_present, where_present


class MixtureOfExperts(VectorFusion):
    """One expert for each modality and some that see all of them; a gate says how much each counts.

        g = softmax(W [x_1; x_2; …] + b),   z = Σ_e g_e f_e(x),   f_e(x) = B_e relu(A_e x + a_e) + b_e

    The first M experts see one modality each, in the order of `dims`; the `joint` others see [x_1; x_2; …].
    width: hidden units of an expert, `dim` where None;  top_k: keep the k ≥ 2 largest g_e of a row, which then sum to 1
    (everybody is computed all the same: this saves no time, it specialises). None keeps all.
    The expert of an absent modality has g_e = 0; the joint ones see zeros in its place, and where every modality is absent
    they are absent too: z = 0.
    `weights(inputs, present)` → g (B, M + joint).
    Parameters, D = Σ_m dims[m], E = M + joint: (D + 1) E, and (its input + 1) width + (width + 1) dim for each expert.

    Jacobs et al. 1991, Adaptive Mixtures of Local Experts; Shazeer et al. 2017, Outrageously Large Neural Networks: The
    Sparsely-Gated Mixture-of-Experts Layer.

    >>> fusion = MixtureOfExperts({"image": 3, "text": 2}, dim=4)
    >>> fusion.weights({"image": torch.ones(5, 3), "text": torch.ones(5, 2)}).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        dim: int,
        *,
        joint: int = 1,
        width: int | None = None,
        top_k: int | None = None,
    ) -> None:
        super().__init__(dims, dim)
        if joint < 0:
            raise ValueError(f"joint must be 0 or more, got {joint}")
        count = len(dims) + joint
        if top_k is not None:
            _check.between("top_k", top_k, 2, count)  # of one alone the weight is always 1, and the gate learns nothing
        width = dim if width is None else width
        _check.positive("width", width)
        self.top_k, self.joint = top_k, joint
        together = sum(dims.values())
        seen = [*dims.values(), *[together] * joint]
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(d, width), nn.ReLU(), nn.Linear(width, dim)) for d in seen]
        )
        self.gate = nn.Linear(together, count)

    def weights(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        """How much each expert counts: (B, M + joint); rows sum to 1, or to 0 where every modality is absent."""
        return self._weights(self.ready(inputs, None, present), present)

    def _weights(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor] | None) -> Tensor:
        scores = self.gate(torch.cat(list(vectors.values()), -1))
        there = presence(self.dims, present, scores)
        if self.joint:
            there = torch.cat([there, there.any(1, keepdim=True).expand(-1, self.joint)], 1)
        if self.top_k is not None:
            ranked = scores.masked_fill(~there, torch.finfo(scores.dtype).min)
            chosen = torch.zeros_like(there).scatter(1, ranked.topk(self.top_k, 1).indices, True)
            there = there & chosen
        return softmax_present(scores, there)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        together = torch.cat(list(vectors.values()), -1)
        seen = [*vectors.values(), *[together] * self.joint]
        answers = torch.stack([expert(x) for expert, x in zip(self.experts, seen)], 1)  # (B, E, dim)
        return (self._weights(vectors, present)[..., None] * answers).sum(1)


def balance_loss(weights: Tensor) -> Tensor:
    """How unevenly a gate spreads its work: the squared coefficient of variation of what each expert gets in the batch.

        I_e = Σ_b g_be,   L = Var(I) / Mean(I)²

    weights: g (B, E) → a scalar, 0 where all experts get the same. Add a small multiple of it to the loss.

    Shazeer et al. 2017, Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer.

    >>> balance_loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).item(), balance_loss(torch.tensor([[1.0, 0.0]])).item()
    (0.0, 1.0)
    """
    _check.shape("weights", weights, "B", "E")
    importance = weights.sum(0)
    return importance.var(correction=0) / importance.mean().square().clamp(min=1e-10)


def product_of_experts(
    mean: Mapping[str, Tensor],
    log_variance: Mapping[str, Tensor],
    present: Mapping[str, Tensor] | None = None,
    *,
    prior: bool = True,
    eps: float = 1e-8,
) -> tuple[Tensor, Tensor]:
    """The product of Gaussian beliefs, one a modality: each counts by its precision.

        T_m = 1 / (σ_m² + ε),   μ = Σ_m T_m μ_m / Σ_m T_m,   log σ² = −log Σ_m T_m

    mean, log_variance: by modality, (B, D) each;  present: by modality bool (B,), an absent expert has T = 0
    prior: one more expert N(0, 1), which pulls towards 0 and answers alone where every modality is absent;
    without it such a row gives μ = 0 and σ² = 1/ε, as good as no belief
    Returns μ and log σ², (B, D) each. Raises ValueError where names or shapes differ.

    Hinton 2002, Training Products of Experts by Minimizing Contrastive Divergence; Wu & Goodman 2018, Multimodal Generative
    Models for Scalable Weakly-Supervised Learning.

    >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    >>> mu, log_var = product_of_experts({"a": zero, "b": one}, {"a": zero, "b": zero}, prior=False)
    >>> round(mu.item(), 4), round(log_var.exp().item(), 4)  # halfway between two that are equally sure, and surer than both
    (0.5, 0.5)
    """
    if set(mean) != set(log_variance) or not mean:
        raise ValueError(
            f"mean and log_variance must name the same modalities, got {sorted(mean)} and {sorted(log_variance)}"
        )
    name, first = next(iter(mean.items()))
    _check.positive("eps", eps)
    for m, mu in mean.items():
        _check.floating(f"mean[{m!r}]", mu)
        _check.same_shape(f"mean[{m!r}]", mu, f"mean[{name!r}]", first)
    for m, there in (present or {}).items():
        _check.choice("a name in present", m, tuple(mean))
        check_mask(there, len(first), name=f"present[{m!r}]")
    total = torch.full_like(first, 1 / (1 + eps) if prior else 0)  # the prior's precision; its mean is 0
    weighted = torch.zeros_like(first)
    means, variances = _check.blank_absent(mean, present), _check.blank_absent(log_variance, present)
    for m, mu in means.items():
        _check.same_shape(f"mean[{m!r}]", mu, f"log_variance[{m!r}]", variances[m])
        precision = where_present(1 / (variances[m].exp() + eps), m, present, 0)
        total, weighted = total + precision, weighted + precision * mu
    total = total.clamp(min=eps)  # nobody there and no prior
    return weighted / total, -total.log()


class ProductOfExperts(VectorFusion):
    """Each modality says what it believes and how sure it is; the beliefs are multiplied.

        μ_m = A_m x_m + a_m,   log σ_m² = C_m x_m + c_m,   z = μ of `product_of_experts`

    prior: one more expert N(0, 1).  z is the mean; `distribution(inputs, present)` → μ and log σ², (B, dim) each, for a
    variational model, which draws z = μ + σ * noise.
    A modality that is absent says nothing; where all are, z = 0.
    Parameters: 2 Σ_m (dims[m] + 1) dim.

    Wu & Goodman 2018, Multimodal Generative Models for Scalable Weakly-Supervised Learning.

    >>> fusion = ProductOfExperts({"image": 3, "text": 2}, dim=4)
    >>> fusion({"image": torch.ones(5, 3), "text": torch.ones(5, 2)}).shape
    torch.Size([5, 4])
    """

    def __init__(self, dims: Mapping[str, int], dim: int, *, prior: bool = True) -> None:
        super().__init__(dims, dim)
        self.prior = prior
        self.means, self.log_variances = linears(dims, dim), linears(dims, dim)

    def distribution(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The joint belief: μ and log σ², (B, dim) each."""
        vectors = self.ready(inputs, None, present)
        mean = {m: self.means[m](x) for m, x in vectors.items()}
        log_variance = {m: self.log_variances[m](x) for m, x in vectors.items()}
        return product_of_experts(mean, log_variance, present, prior=self.prior)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        self.ready(inputs, masks, present)
        return self.distribution(inputs, present)[0]
