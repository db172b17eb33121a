"""The simple fusions: side by side, summed, multiplied, voting, averaged with learned weights. Try these first.

| name               | what it is                                       | when to use it                                      |
|--------------------|--------------------------------------------------|-----------------------------------------------------|
| `EarlyFusion`      | steps side by side, then one encoder for both    | sequences that run in time together                 |
| `LateFusion`       | a head for each modality, their answers averaged | each modality can answer alone; hard to beat then   |
| `late_fusion_loss` | each head's own cross-entropy                    | to train the heads of `LateFusion`                  |
| `Concat`           | vectors side by side                             | the default; what follows can learn any interaction |
| `SumFusion`        | projected and summed                             | the same map as `Concat` with a linear layer        |
| `ProductFusion`    | projected and multiplied                         | the answer is in the combination (XOR)              |
| `AttentionFusion`  | projected and averaged with learned weights      | which modality to trust changes from case to case   |
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.encoders._parts import check_dtype, check_mask, check_whole, masked_mean, run_recurrent
from mmteach.fusion._vectors import VectorFusion, linears, presence, softmax_present, where_present


class EarlyFusion(VectorFusion):
    """The features of all modalities side by side at each step, then one encoder over the steps.

        x_t = [x_1t; x_2t; …],   z = mean_t relu(W x_t + b)   or   z = GRU(x_1 … x_T)

    dims, dim: as everywhere, but inputs are tokens with the same number of steps: {m: (B, T, dims[m])} → (B, dim)
    over_time: "mean", or "gru" where order matters
    masks: by modality bool (B, T).  A modality counts as zeros at its padded steps and where it is absent; a step is real
    where at least one modality is. Without one real step, z = 0.
    `aligned(inputs, masks, present)` → [x_1t; x_2t; …] (B, T, Σ_m dims[m]) and which steps are real (B, T)
    Parameters: (Σ dims + 1) dim with "mean", 3 dim (Σ dims + dim + 2) with "gru".
    Raises ValueError where the modalities have different numbers of steps: bring them to one clock first, or use a
    fusion that need not (`MulT`).

    >>> fusion = EarlyFusion({"audio": 3, "video": 4}, dim=5)
    >>> fusion({"audio": torch.ones(2, 6, 3), "video": torch.ones(2, 6, 4)}).shape
    torch.Size([2, 5])
    """

    takes = "tokens"

    def __init__(self, dims: Mapping[str, int], dim: int, *, over_time: str = "mean") -> None:
        super().__init__(dims, dim)
        _check.choice("over_time", over_time, ("mean", "gru"))
        self.over_time = over_time
        width = sum(dims.values())
        self.encoder: nn.Linear | nn.GRU
        self.encoder = nn.Linear(width, dim) if over_time == "mean" else nn.GRU(width, dim, batch_first=True)

    def aligned(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """All features of a step side by side, and which steps are real."""
        _check.features(inputs, self.dims, steps=True, masks=masks, present=present)
        steps = {m: inputs[m].shape[1] for m in self.dims}
        if len(set(steps.values())) > 1:
            raise ValueError(f"early fusion needs the same number of steps in every modality, got {steps}")
        columns, real = [], []
        for m in self.dims:
            check_dtype(f"inputs[{m!r}]", inputs[m], next(self.parameters()).dtype)
            there = torch.ones(inputs[m].shape[:2], dtype=torch.bool, device=inputs[m].device)
            if masks and m in masks:
                there = masks[m]
            if present and m in present:
                there = there & present[m][:, None]
            columns.append(inputs[m].masked_fill(~there[..., None], 0))
            real.append(there)
        return torch.cat(columns, -1), torch.stack(real).any(0)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        x, real = self.aligned(inputs, masks, present)
        if isinstance(self.encoder, nn.GRU):
            return run_recurrent(self.encoder, x, real)[1]
        return masked_mean(F.relu(self.encoder(x)), real)


class LateFusion(VectorFusion):
    """Each modality has its own head and answers alone; their answers are averaged.

        z = (1/M) Σ_m log softmax(W_m x_m + b_m)          combine="log_probabilities"
        z = Σ_m (W_m x_m + b_m)                           combine="logits"

    over the modalities that are there. z (B, dim) are the scores of dim classes: use it with head=nn.Identity().
    Summed logits are the same *map* as one linear layer on the concatenation, so the word "late" then says nothing new.
    What makes a difference is the training: with `late_fusion_loss` each head learns by itself, and no modality can hide
    behind another. Their logits come from `logits(inputs, present)` → by modality (B, dim).
    Where every modality is absent: z = 0 with "logits", −log dim (knows nothing) with "log_probabilities".
    Parameters: Σ_m (dims[m] + 1) dim.

    Snoek et al. 2005, Early versus Late Fusion in Semantic Video Analysis.

    >>> fusion = LateFusion({"image": 3, "text": 4}, dim=2)
    >>> inputs = {"image": torch.ones(1, 3), "text": torch.ones(1, 4)}
    >>> ours = fusion(inputs)
    >>> torch.allclose(ours, sum(x.log_softmax(-1) for x in fusion.logits(inputs).values()) / 2)
    True
    """

    def __init__(self, dims: Mapping[str, int], dim: int, *, combine: str = "log_probabilities") -> None:
        super().__init__(dims, dim)
        _check.choice("combine", combine, ("log_probabilities", "logits"))
        self.combine = combine
        self.heads = linears(dims, dim)

    def logits(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """What each modality answers alone: by modality (B, dim); zeros, which favour nothing, where it is absent."""
        vectors = self.ready(inputs, None, present)
        return {m: where_present(self.heads[m](x), m, present, 0) for m, x in vectors.items()}

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        self.ready(inputs, masks, present)
        logits = torch.stack(list(self.logits(inputs, present).values()))  # (M, B, dim)
        if self.combine == "logits":
            return logits.sum(0)
        there = presence(self.dims, present, logits[0]).T[..., None]  # (M, B, 1)
        nobody = ~there.any(0)  # then every head's zeros stand for "knows nothing"
        there = there | nobody
        answers = logits.log_softmax(-1)
        return answers.masked_fill(~there, 0).sum(0) / there.sum(0).to(answers.dtype)


def late_fusion_loss(
    logits: Mapping[str, Tensor], target: Tensor, present: Mapping[str, Tensor] | None = None
) -> Tensor:
    """Each head's own cross-entropy, summed over the modalities: what trains `LateFusion`.

        L = Σ_m mean_b −log softmax(logits_m)_{b, target_b}          the mean over the examples that have modality m

    logits: by modality (B, K);  target: whole numbers (B,);  present: by modality bool (B,) → a scalar
    A modality that no example has adds 0. Raises ValueError where shapes or names do not fit, TypeError for targets that are no
    whole numbers.

    >>> late_fusion_loss({"image": torch.zeros(3, 4), "text": torch.zeros(3, 4)}, torch.tensor([0, 1, 2])).item() / 2
    1.3862943649291992
    """
    _check.shape("target", target, "B")
    check_whole("target", target)
    if not logits:
        raise ValueError("logits must hold at least one modality, got none")
    for m, there in (present or {}).items():
        _check.choice("a name in present", m, tuple(logits))
        check_mask(there, len(target), name=f"present[{m!r}]")
    loss = target.new_zeros((), dtype=torch.float32)
    for m, scores in logits.items():
        _check.shape(f"logits[{m!r}]", scores, len(target), "K")
        each = F.cross_entropy(scores, target, reduction="none")
        there = (present or {}).get(m, torch.ones_like(target, dtype=torch.bool))
        loss = loss + each.masked_fill(~there, 0).sum() / there.sum().clamp(min=1)
    return loss


class Concat(VectorFusion):
    """The vectors side by side, and a linear layer where a width is asked for.

        z = [x_1; x_2; …]        or        z = W [x_1; x_2; …] + b

    dim: the width of z; None leaves the vectors as they are, and `dim` is then Σ_m dims[m]
    A modality that is absent counts as zeros. Parameters: (Σ_m dims[m] + 1) dim, or none.

    >>> fusion = Concat({"image": 2, "text": 1})
    >>> fusion({"image": torch.tensor([[1., 2.]]), "text": torch.tensor([[3.]])})
    tensor([[1., 2., 3.]])
    """

    def __init__(self, dims: Mapping[str, int], dim: int | None = None) -> None:
        width = sum(dims.values())
        super().__init__(dims, width if dim is None else dim)
        self.linear: nn.Module = nn.Identity() if dim is None else nn.Linear(width, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        return self.linear(torch.cat(list(self.ready(inputs, masks, present).values()), -1))


class SumFusion(VectorFusion):
    """Each vector is projected, and the projections are summed.

        z = Σ_m (W_m x_m + b_m)        over the modalities that are there; 0 where none is

    Parameters: Σ_m (dims[m] + 1) dim. With every modality there this is `Concat` with a linear layer.

    >>> fusion = SumFusion({"image": 2, "text": 1}, dim=3)
    >>> x = {"image": torch.ones(1, 2), "text": torch.ones(1, 1)}
    >>> torch.allclose(fusion(x), fusion.maps["image"](x["image"]) + fusion.maps["text"](x["text"]))
    True
    """

    def __init__(self, dims: Mapping[str, int], dim: int) -> None:
        super().__init__(dims, dim)
        self.maps = linears(dims, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        return reduce(torch.add, (where_present(self.maps[m](x), m, present, 0) for m, x in vectors.items()))


class ProductFusion(VectorFusion):
    """Each vector is projected, and the projections are multiplied number by number.

        z = Π_m (W_m x_m + b_m)        over the modalities that are there; 1 where none is

    Parameters: Σ_m (dims[m] + 1) dim.

    >>> fusion = ProductFusion({"image": 2, "text": 1}, dim=3)
    >>> x = {"image": torch.ones(1, 2), "text": torch.ones(1, 1)}
    >>> torch.allclose(fusion(x), fusion.maps["image"](x["image"]) * fusion.maps["text"](x["text"]))
    True
    """

    def __init__(self, dims: Mapping[str, int], dim: int) -> None:
        super().__init__(dims, dim)
        self.maps = linears(dims, dim)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        return torch.stack([where_present(self.maps[m](x), m, present, 1) for m, x in vectors.items()]).prod(0)


class AttentionFusion(VectorFusion):
    """A weighted mean of the projected vectors; the weights, one a modality, come from all of them.

        a = softmax(W_a [x_1; x_2; …] + b_a),   z = Σ_m a_m (W_m x_m + b_m)        over the modalities that are there

    z = 0 where none is.  `weights(inputs, present)` → a (B, M), in the order of `dims`.
    Parameters: (Σ_m dims[m] + 1) M + Σ_m (dims[m] + 1) dim.

    >>> fusion = AttentionFusion({"image": 2, "text": 1}, dim=3)
    >>> fusion.weights({"image": torch.ones(1, 2), "text": torch.ones(1, 1)}).sum().round(decimals=4).item()
    1.0
    """

    def __init__(self, dims: Mapping[str, int], dim: int) -> None:
        super().__init__(dims, dim)
        self.attention = nn.Linear(sum(dims.values()), len(dims))
        self.maps = linears(dims, dim)

    def weights(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        """How much each modality counts: (B, M), rows sum to 1 (to 0 where no modality is there)."""
        vectors = self.ready(inputs, None, present)
        scores = self.attention(torch.cat(list(vectors.values()), -1))
        return softmax_present(scores, presence(self.dims, present, scores) if present else None)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        vectors = self.ready(inputs, masks, present)
        projected = torch.stack([self.maps[m](x) for m, x in vectors.items()], 1)  # (B, M, dim)
        return (self.weights(inputs, present)[..., None] * projected).sum(1)
