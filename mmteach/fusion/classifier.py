"""The whole model: encoders, a fusion of what they see, and a head that answers.

| name                   | what it is                        | when to use it                                    |
|------------------------|-----------------------------------|---------------------------------------------------|
| `MultimodalClassifier` | encoders → fusion → head → logits | every comparison of fusions, one modality as well |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from mmteach._check import blank_absent, positive
from mmteach.encoders._parts import check_mask


class MultimodalClassifier(nn.Module):
    """Encodes each modality, fuses what comes out, and classifies it.

        logits = head(fusion({m: encoder_m(x_m)}))

    encoders: by modality, modules with `dim`, forward(x, mask) → (B, dim) and tokens(x, mask) → (B, T, token_dim), mask
    fusion:   a module of `mmteach.fusion` built for the same modalities and widths; None where there is one encoder
    head:     the number of classes K, for a linear layer, or a module (B, fusion.dim) → (B, K)
    dropout:  a `ModalityDropout`, which hides modalities while training; or None
    missing:  a `MissingEmbeddings`, whose learned vectors stand in for absent modalities; or None, and the fusion leaves
              them out

    forward(inputs, masks=None, present=None) → logits (B, K); (B,) where K = 1, a yes/no question
    inputs: by modality, what its encoder takes;  masks: by modality, bool (B, T), True = a real step
    present: by modality, bool (B,), True = it is there; what stands in an absent modality never matters, not even NaN
    `encode` does the first half alone, for heads of their own (late fusion) and for looking at features.

    Raises ValueError for a missing or unknown modality, batch sizes that differ, and a fusion that does not fit.

    >>> import torch
    >>> from mmteach.encoders import ImageResNet, TextBag
    >>> from mmteach.fusion import Concat
    >>> encoders = {"image": ImageResNet(dim=16), "text": TextBag(vocabulary=50, dim=8)}
    >>> model = MultimodalClassifier(encoders, Concat({"image": 16, "text": 8}, dim=32), head=10)
    >>> model({"image": torch.rand(4, 3, 32, 32), "text": torch.ones(4, 5, dtype=torch.long)}).shape
    torch.Size([4, 10])
    >>> MultimodalClassifier({"text": TextBag(50, 8)}, None, head=1)({"text": torch.ones(4, 5, dtype=torch.long)}).shape
    torch.Size([4])
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: nn.Module | None,
        head: nn.Module | int,
        *,
        dropout: nn.Module | None = None,
        missing: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(dict(encoders))
        self.fusion = fusion
        self.takes = getattr(fusion, "takes", "vectors")
        widths = {m: _width(e, self.takes) for m, e in encoders.items()}
        if fusion is None and len(widths) != 1:
            raise ValueError(f"fusion=None is for one encoder, got {len(widths)}: {sorted(widths)}")
        dims: Any = getattr(fusion, "dims", widths)
        if dict(dims) != widths:
            raise ValueError(
                f"the fusion was built for {dict(dims)}, but the encoders' {self.takes} have the widths {widths}"
            )
        dim: Any = next(iter(widths.values())) if fusion is None else fusion.dim
        if isinstance(head, int):
            positive("head", head)
        self.head = nn.Linear(dim, head) if isinstance(head, int) else head
        self.dropout, self.missing = dropout, missing

    def encode(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What the fusion is given: by modality (B, D_m), or (B, T_m, D_m) and masks where it takes tokens.

        Zeros stand where a modality is absent.
        """
        check_modalities(list(self.encoders), inputs, masks, present)
        masks = masks or {}
        # Blank twice: a NaN in the input would spoil the gradient of the weights it meets, and an encoder makes something
        # of zeros, too.
        inputs = blank_absent(inputs, present)
        encoded: dict[str, Tensor] = {}
        token_masks: dict[str, Tensor] = {}
        for m, encoder in self.encoders.items():
            if self.takes == "tokens":
                encoded[m], token_mask = encoder.tokens(inputs[m], masks.get(m))  # type: ignore[operator]
                if token_mask is not None:
                    token_masks[m] = token_mask
            else:
                encoded[m] = encoder(inputs[m], masks.get(m))
        return blank_absent(encoded, present), token_masks

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        if self.dropout is not None:
            check_modalities(list(self.encoders), inputs, masks, present)
            present = self.dropout(inputs, present)
        encoded, token_masks = self.encode(inputs, masks, present)
        if self.missing is not None:
            encoded = self.missing(encoded, present)
            for m in token_masks:
                if present and m in present:  # the stand-in is no padding
                    token_masks[m] = token_masks[m] | ~present[m][:, None]
            present = None  # everything is there now
        if self.fusion is None:
            fused = next(iter(encoded.values()))
        else:
            fused = self.fusion(encoded, masks=token_masks or None, present=present or None)
        logits = self.head(fused)
        return logits.squeeze(-1) if logits.shape[-1] == 1 else logits


def check_modalities(
    expected: Collection[str], inputs: Mapping[str, Tensor], masks: Mapping | None, present: Mapping | None
) -> None:
    """Check what a model was given against the modalities it has; each encoder checks its own input and mask."""
    for what, given in (("inputs", inputs), ("masks", masks), ("present", present)):
        for m, tensor in (given or {}).items():
            if m not in expected:
                raise ValueError(f"{what} names the unknown modality {m!r}: this model has {sorted(expected)}")
            if what == "present" and m in inputs:
                check_mask(tensor, len(inputs[m]), name=f"present[{m!r}]")
    for m in expected:
        if m not in inputs:
            raise ValueError(
                f"modality {m!r} is missing: expected {sorted(expected)}, got {sorted(inputs)}. Where some examples lack "
                f"it, pass a tensor of the right shape (zeros will do) with present={{{m!r}: …}} False for them"
            )
    sizes = {m: len(x) for m, x in inputs.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"modalities must have the same batch size, got {sizes}")


def _width(encoder: nn.Module, takes: str) -> int:
    """The width of an encoder's tokens or of its vector."""
    dim: Any = encoder.dim
    return getattr(encoder, "token_dim", dim) if takes == "tokens" else dim
