"""Spectrograms → a vector, or a token every few frames.

| name       | what it is                                                        | when to use it               |
|------------|-------------------------------------------------------------------|------------------------------|
| `AudioCNN` | convolutions over pitch and time; a token a group of frames; mean | spoken words, sounds, digits |
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.encoders._parts import ChannelNorm, check_dtype, check_mask, masked_mean


class AudioCNN(nn.Module):
    """Convolutions over pitch and time; all pitches of a step become one token, and the vector is the mean of the tokens.

        h ← maxpool(relu(N(W_l ∗ h + b_l)))   for l = 1 … L,   token_t = V vec(h_{·t}) + c,   z = mean_t token_t

    bands: pitches F of the spectrogram;  dim: width of the tokens and of the vector
    channels: one convolution each; every pool halves the pitches;  time_pools: how many of them also halve the time
    forward(sounds (B, 1, F, T), mask bool (B, T)) → (B, dim);  tokens(sounds, mask) → (B, ⌈T / 2^time_pools⌉, dim), its mask
    Give it a log-mel spectrogram with mean 0 and variance 1 (`mmteach.data.audio.standardise`).

    Padded frames are set to zero before each convolution, as if the sound ended there: the result is that of the sound cut
    to its length. A row without one real frame gives zeros.
    Raises ValueError for another number of bands or a mask that does not fit.

    >>> import torch
    >>> encoder = AudioCNN(bands=40, dim=32)
    >>> tokens, _ = encoder.tokens(torch.randn(2, 1, 40, 50))
    >>> encoder(torch.randn(2, 1, 40, 50)).shape, tokens.shape
    (torch.Size([2, 32]), torch.Size([2, 13, 32]))
    """

    def __init__(
        self, bands: int = 40, dim: int = 128, *, channels: Sequence[int] = (32, 64, 64), time_pools: int = 2
    ) -> None:
        super().__init__()
        _check.positive("bands", bands)
        _check.positive("dim", dim)
        _check.between("time_pools", time_pools, 0, len(channels))
        pairs = list(zip([1, *channels], channels))
        self.convolutions = nn.ModuleList([nn.Conv2d(c, out, 3, padding=1) for c, out in pairs])
        self.norms = nn.ModuleList([ChannelNorm(out) for out in channels])
        self.bands, self.time_pools = bands, time_pools
        left = bands
        for _ in channels:
            left = -(-left // 2)
        self.project = nn.Linear(channels[-1] * left, dim)
        self.dim = self.token_dim = dim

    def forward(self, sounds: Tensor, mask: Tensor | None = None) -> Tensor:
        return masked_mean(*self.tokens(sounds, mask))

    def tokens(self, sounds: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """One token every 2^time_pools frames: (B, T', dim), zero where all its frames are padding, and the mask (B, T')."""
        _check.shape("sounds", sounds, "B", 1, self.bands, "T")
        _check.floating("sounds", sounds)
        check_dtype("sounds", sounds, self.project.weight.dtype)
        check_mask(mask, len(sounds), sounds.shape[-1])
        h = _blank(sounds, mask)
        for layer, (convolution, norm) in enumerate(zip(self.convolutions, self.norms)):
            # Zeros at padded frames lose every maximum: after the ReLU nothing is smaller.
            h = _blank(F.relu(norm(convolution(h))), mask)
            pool = 2 if layer < self.time_pools else 1
            h = F.max_pool2d(h, (2, pool), ceil_mode=True)
            if mask is not None and pool == 2:
                mask = (
                    F.pad(mask, (0, mask.shape[1] % 2)).unflatten(1, (-1, 2)).any(-1)
                )  # a token with one real frame is real
        tokens = self.project(h.flatten(1, 2).mT)  # (B, channels · pitches, T') → (B, T', dim)
        return tokens if mask is None else tokens.masked_fill(~mask[..., None], 0), mask


def _blank(h: Tensor, mask: Tensor | None) -> Tensor:
    return h if mask is None else h.masked_fill(~mask[:, None, None, :], 0)
