"""Masked modelling over several modalities: hide some steps, guess them from the rest of both.

| name                    | what it is                                       | when to use it                          |
|-------------------------|--------------------------------------------------|-----------------------------------------|
| `hide_at_random`        | which steps to hide: an exact share of each row  | MLM hides about 0.15, MAE 0.75          |
| `masked_token_loss`     | cross-entropy on the hidden steps only (MLM)     | words, or any step with a number        |
| `masked_patch_loss`     | squared error on the hidden steps only (MAE)     | image patches, spectrogram frames       |
| `MaskedMultimodalModel` | one transformer over the steps of all modalities | pretraining; filling in what is missing |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.alignment._pairs import flags, full_precision, mean_over


def hide_at_random(real: Tensor, share: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Choose the steps to hide: the given share of each row's real steps, rounded, and one at least.

    real: bool (B, T), True = a real step;  share: in [0, 1];  generator: for the same choice again
    Returns bool (B, T), True = hidden; a padded step is never hidden, a row of padding hides nothing.
    Errors: ValueError for another dtype or shape, an empty batch, a share outside [0, 1].

    >>> hide_at_random(torch.ones(3, 8, dtype=torch.bool), 0.25).sum(1)
    tensor([2, 2, 2])
    """
    _check.shape("real", real, "B", "T")
    flags("real", real, *real.shape)
    _check.between("share", share, 0, 1)
    noise = torch.rand(real.shape, generator=generator, device=real.device)
    place = noise.masked_fill(~real, 2).argsort(1).argsort(1)  # a random order of the real steps, padding last
    count = (share * real.sum(1, keepdim=True)).round().clamp(min=1)
    return (place < count) & real


def masked_token_loss(logits: Tensor, tokens: Tensor, hidden: Tensor) -> Tensor:
    """Masked language modelling: the cross-entropy of the hidden steps, averaged over all of them.

    L = 1/|H| Σ_{(b,t) ∈ H} −ln softmax(z_bt)_{w_bt}

    logits: z (B, T, V);  tokens: w, whole numbers (B, T), anything where not hidden;  hidden: H, bool (B, T)
    Returns a scalar; 0 where nothing is hidden. Logits of steps that are not hidden do not matter, NaN included.
    Errors: ValueError for shapes that do not fit or an empty batch.

    Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding.

    >>> logits, tokens = torch.zeros(1, 3, 5), torch.tensor([[4, 2, 1]])
    >>> round(masked_token_loss(logits, tokens, torch.tensor([[True, False, True]])).item(), 4)  # knows nothing: ln 5
    1.6094
    """
    _check.shape("logits", logits, "B", "T", "V")
    _check.floating("logits", logits)
    rows, steps, words = logits.shape
    _check.shape("tokens", tokens, rows, steps)
    if tokens.is_floating_point():
        raise TypeError(f"tokens must hold whole numbers, got {tokens.dtype}")
    flags("hidden", hidden, rows, steps)
    flat = hidden.flatten()
    logits = full_precision(logits).reshape(-1, words).masked_fill(~flat[:, None], 0)
    loss = F.cross_entropy(logits, tokens.flatten().masked_fill(~flat, 0), reduction="none")
    return mean_over(loss, flat)


def masked_patch_loss(
    predicted: Tensor, patches: Tensor, hidden: Tensor, *, normalise: bool = True, epsilon: float = 1e-6
) -> Tensor:
    """Masked autoencoding: the squared error of the hidden patches, averaged over all of them.

    L = 1/|H| Σ_{(b,t) ∈ H} mean_d (x̂_btd − x'_btd)²,    x' = (x − mean_d x) / √(Var_d x + ε) where `normalise`, else x

    predicted, patches: (B, T, D), D ≥ 2 where `normalise` (Var with D − 1);  hidden: H, bool (B, T);  epsilon: above 0
    normalise: ask for the pattern within the patch, not its brightness and contrast
    Returns a scalar; 0 where nothing is hidden. Patches that are not hidden do not matter, NaN included.
    Errors: ValueError for shapes that do not fit, an empty batch, epsilon ≤ 0.

    He et al. 2022, Masked Autoencoders Are Scalable Vision Learners.

    >>> patches = torch.tensor([[[1.0, 3.0], [5.0, 5.0]]])
    >>> hidden = torch.tensor([[True, False]])
    >>> masked_patch_loss(torch.zeros(1, 2, 2), patches, hidden, normalise=False).item()  # (1 + 9) / 2
    5.0
    """
    _check.shape("predicted", predicted, "B", "T", "D")
    _check.floating("predicted", predicted)
    _check.same_shape("predicted", predicted, "patches", patches)
    flags("hidden", hidden, *predicted.shape[:2])
    _check.positive("epsilon", epsilon)
    if normalise and patches.shape[2] < 2:
        raise ValueError("patches need two numbers or more each to be normalised, got one: use normalise=False")
    seen = ~hidden[..., None]
    predicted = full_precision(predicted).masked_fill(seen, 0)
    patches = full_precision(patches).masked_fill(seen, 0)
    if normalise:
        patches = (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + epsilon).sqrt()
    return mean_over((predicted - patches).square().mean(-1).flatten(), hidden.flatten())


class MaskedMultimodalModel(nn.Module):
    """One transformer over the steps of all modalities that guesses what was hidden in each from what is left of all.

    e_mt = (W_m x_mt + b_m, or where hidden the learned mask_m) + position_mt
    [c; h_1; h_2; …] = Transformer([c_0; e_1; e_2; …]),    guess_mt = V_m h_mt

    dims: width of each modality's steps, two modalities or more;  outputs: width of each one's guesses (vocabulary size for
        words, patch size for patches);  steps: the longest sequence of each
    dim: width of the transformer, a multiple of `heads`;  layers, heads: at least 1

    forward(inputs, hidden=None, masks=None, present=None) → by modality, guesses (B, T_m, outputs[m])
    joint(inputs, …the same) → c (B, dim), one vector for the example
    inputs: by modality, (B, T_m, dims[m]);  hidden: by modality, bool (B, T_m), True = to be guessed, never seen
    masks: by modality, bool (B, T_m), True = a real step;  present: by modality, bool (B,)
    What stands at a hidden or padded step, or in an absent modality, never matters, NaN included. With everything absent the
    learned c_0 is left, and the answer is finite.

    Train with `masked_token_loss` and `masked_patch_loss`, hiding from one modality at a time or from all.

    Errors: ValueError for unknown or missing modalities, wrong widths, batch sizes that differ, sequences longer than `steps`.

    Devlin et al. 2019, BERT; He et al. 2022, Masked Autoencoders Are Scalable Vision Learners;
    Singh et al. 2022, FLAVA: A Foundational Language And Vision Alignment Model.

    >>> model = MaskedMultimodalModel({"image": 6, "text": 4}, {"image": 6, "text": 9}, {"image": 3, "text": 5}, dim=8, heads=2)
    >>> inputs = {"image": torch.rand(2, 3, 6), "text": torch.rand(2, 5, 4)}
    >>> model(inputs, hidden={"text": hide_at_random(torch.ones(2, 5, dtype=torch.bool), 0.4)})["text"].shape
    torch.Size([2, 5, 9])
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        outputs: Mapping[str, int],
        steps: Mapping[str, int],
        dim: int,
        *,
        layers: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        if len(dims) < 2:
            raise ValueError(f"dims needs two modalities or more, got {sorted(dims)}")
        for name, given in (("outputs", outputs), ("steps", steps)):
            if set(given) != set(dims):
                raise ValueError(f"{name} must name the modalities of dims, {sorted(dims)}, got {sorted(given)}")
        _check.whole("dim", dim, at_least=1)
        _check.whole("layers", layers, at_least=1)
        _check.whole("heads", heads, at_least=1)
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads, got dim={dim} and heads={heads}")
        self.dims, self.steps, self.dim = dict(dims), dict(steps), dim
        self.project = nn.ModuleDict({m: nn.Linear(wide, dim) for m, wide in dims.items()})
        self.mask = nn.ParameterDict({m: 0.02 * torch.randn(dim) for m in dims})
        # The kind of modality is part of the position: each modality has positions of its own.
        self.position = nn.ParameterDict({m: 0.02 * torch.randn(steps[m], dim) for m in dims})
        self.summary = nn.Parameter(0.02 * torch.randn(dim))
        layer = nn.TransformerEncoderLayer(
            dim, heads, 4 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.guess = nn.ModuleDict({m: nn.Linear(dim, outputs[m]) for m in dims})

    def _encode(
        self,
        inputs: Mapping[str, Tensor],
        hidden: Mapping[str, Tensor] | None,
        masks: Mapping[str, Tensor] | None,
        present: Mapping[str, Tensor] | None,
    ) -> Tensor:
        """The transformer's output (B, 1 + ΣT, dim), the summary first, then the modalities in the order of `dims`."""
        _check.features(inputs, self.dims, steps=True, masks=masks, present=present)
        _check.by_modality("hidden", hidden)
        hidden, masks, present = hidden or {}, masks or {}, present or {}
        size = len(next(iter(inputs.values())))
        tokens = [self.summary.expand(size, 1, self.dim)]
        padding = [torch.zeros(size, 1, dtype=torch.bool, device=tokens[0].device)]  # True = no step to look at
        for m in hidden:
            if m not in self.dims:
                raise ValueError(f"hidden names the unknown modality {m!r}: expected some of {sorted(self.dims)}")
        for m in self.dims:
            x = inputs[m]  # (B, T, dims[m])
            length = x.shape[1]
            if length > self.steps[m]:
                raise ValueError(
                    f"inputs[{m!r}] has {length} steps, but the model was built for at most {self.steps[m]}"
                )
            nothing = torch.zeros(size, length, dtype=torch.bool, device=x.device)
            guessed = hidden.get(m, nothing)
            flags(f"hidden[{m!r}]", guessed, size, length)
            pad = ~masks[m] if m in masks else nothing
            if m in present:
                pad = pad | ~present[m][:, None]
            seen = self.project[m](x.masked_fill((pad | guessed)[..., None], 0))
            tokens.append(torch.where(guessed[..., None], self.mask[m], seen) + self.position[m][:length])
            padding.append(pad)
        return self.transformer(torch.cat(tokens, dim=1), src_key_padding_mask=torch.cat(padding, dim=1))

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        hidden: Mapping[str, Tensor] | None = None,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        h = self._encode(inputs, hidden, masks, present)[:, 1:]
        parts = h.split([inputs[m].shape[1] for m in self.dims], dim=1)
        return {m: self.guess[m](part) for m, part in zip(self.dims, parts)}

    def joint(
        self,
        inputs: Mapping[str, Tensor],
        hidden: Mapping[str, Tensor] | None = None,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """One vector an example (B, dim), from the steps of all modalities that are there and not hidden."""
        return self._encode(inputs, hidden, masks, present)[:, 0]
