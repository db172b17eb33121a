"""What the encoders of sequences share: honouring a mask exactly, whatever stands in a padded step.

| name            | what it does                                                              |
|-----------------|---------------------------------------------------------------------------|
| `pixels`        | uint8 images as floating-point numbers between 0 and 1                    |
| `check_mask`    | raise unless a mask is bool and of the right shape                        |
| `check_dtype`   | raise where a tensor and the weights it meets differ in precision         |
| `check_whole`   | raise unless a tensor holds whole numbers                                 |
| `no_mask`       | raise where an image is given a mask of steps                             |
| `look_up`       | a table's row for each number, an error where there is none               |
| `masked_mean`   | the mean over the real steps                                              |
| `run_recurrent` | an LSTM or GRU that skips the padded steps                                |
| `ChannelNorm`   | layer normalisation over the channels at each place: neighbours don't mix |
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def pixels(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Images ready for a convolution: uint8 0…255 becomes 0…1 in `dtype`; floating-point numbers pass as they are."""
    if images.dtype == torch.uint8:
        return images.to(dtype) / 255
    if not images.is_floating_point():
        raise TypeError(f"images must be uint8 (0 to 255) or floating-point numbers (0 to 1), got {images.dtype}")
    check_dtype("images", images, dtype)
    return images


def check_mask(mask: Tensor | None, *expected: int, name: str = "mask") -> None:
    """Raise unless `mask` is None, or bool with this shape: (B, T) for steps, (B,) for a modality."""
    if mask is None:
        return
    if not isinstance(mask, Tensor):
        raise TypeError(f"{name} must be a bool tensor with shape {expected}, got {type(mask).__name__}")
    if mask.dtype != torch.bool or tuple(mask.shape) != expected:
        raise ValueError(
            f"{name} must be bool with shape {expected} (True = real), got {mask.dtype} with shape {tuple(mask.shape)}"
        )


def check_dtype(name: str, x: Tensor, dtype: torch.dtype) -> None:
    """Raise where x is of another precision than the weights it meets, unless autocast will bring them together."""
    if x.dtype == dtype:
        return
    # Autocast leaves float64 alone.
    if torch.float64 in (x.dtype, dtype) or not torch.is_autocast_enabled(x.device.type):
        raise TypeError(f"{name} must be {dtype}, as the weights are, got {x.dtype}: convert it with .to({dtype})")


def check_whole(name: str, x: Tensor) -> None:
    """Raise unless a tensor holds whole numbers."""
    if x.is_floating_point() or x.dtype == torch.bool:
        raise TypeError(f"{name} must hold whole numbers, got {x.dtype}")


def no_mask(mask: None) -> None:
    """Raise where an image is given a mask: it has no steps."""
    if mask is not None:
        raise ValueError("mask must be None for an image, which has no steps; where images are missing, use present=")


def look_up(name: str, table: nn.Embedding, ids: Tensor) -> Tensor:
    """The table's row for each number; ValueError for a number that has none (on a GPU PyTorch itself stops)."""
    try:
        return table(ids)
    except IndexError:
        raise ValueError(
            f"{name} must hold whole numbers from 0 to {table.num_embeddings - 1}, "
            f"got numbers from {int(ids.min())} to {int(ids.max())}"
        ) from None


def masked_mean(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """The mean over the real steps: (B, T, D), bool (B, T) or None → (B, D); zeros where no step is real."""
    if mask is None:
        return tokens.mean(1)
    total = tokens.masked_fill(~mask[..., None], 0).sum(1)
    return total / mask.sum(1, keepdim=True).clamp(min=1).to(tokens.dtype)


def run_recurrent(rnn: nn.LSTM | nn.GRU, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run over the real steps only; a padded step leaves the state as it was (Keras' `mask_zero=True`).

    x (B, T, D), mask bool (B, T) or None → the states (B, T, H), zero at padded steps, and the last real one (B, H).
    A row without one real step ends where it began, at the state zero.

    The real steps of each row move to the front, in order; what follows the last of them comes too late to change it.
    (`pack_padded_sequence` does the same, but needs the lengths on the CPU, and fails where a length is zero.)
    """
    if mask is None:
        states, _ = rnn(x)
        return states, states[:, -1]
    order = (~mask).int().argsort(dim=1, stable=True)  # the slots of the real steps first
    x = x.masked_fill(~mask[..., None], 0)  # after the last real step nothing matters, unless it is NaN
    states, _ = rnn(x.take_along_dim(order[..., None], 1))
    states = states.take_along_dim(order.argsort(1)[..., None], 1)  # back to their own slots
    states = states.masked_fill(~mask[..., None], 0)
    last_real = mask & (mask.flip(1).cumsum(1).flip(1) == 1)  # the real step after which none follows
    return states, states.masked_fill(~last_real[..., None], 0).sum(1)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels, at each place by itself: (B, C, …) → (B, C, …).

    Statistics over time would let padded steps change the real ones; these cannot.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
