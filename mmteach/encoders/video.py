"""Video clips → a vector, or a token a frame.

| name           | what it is                                     | when to use it                                   |
|----------------|------------------------------------------------|--------------------------------------------------|
| `VideoEncoder` | an image encoder a frame, then a mean or a GRU | what is seen (mean); what happens in order (gru) |
| `VideoCNN`     | convolutions over space and time at once       | motion: direction and speed show in a few frames |
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.encoders._parts import ChannelNorm, check_mask, masked_mean, pixels, run_recurrent
from mmteach.encoders.image import ImageResNet


class VideoEncoder(nn.Module):
    """Each frame becomes a vector; then their mean, or what a GRU in each direction makes of their order.

        f_n = image encoder(frame n)
        mean: token_n = V f_n + c,                z = mean_n token_n
        gru:  →h_n = GRU(f_1 … f_n), ←h_n = GRU(f_N … f_n);   token_n = V [→h_n; ←h_n] + c,   z = V [→h_N; ←h_1] + c

    dim: width of the tokens and of the vector;  over_time: "gru" or "mean"
    frame: the image encoder of a frame, a module with `dim` and forward(images) → (B, dim); an `ImageResNet` where None
    forward(clips (B, N, C, H, W), mask bool (B, N)) → (B, dim);  tokens(clips, mask) → (B, N, dim), zero at padded
    frames, and the mask.  A row without one real frame gives zeros.
    The mean cannot know what came first: play a clip backwards and it says the same.

    Cho et al. 2014, Learning Phrase Representations using RNN Encoder–Decoder for Statistical Machine Translation.

    >>> encoder = VideoEncoder(dim=16)
    >>> encoder(torch.zeros(2, 8, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([2, 16])
    """

    def __init__(self, dim: int = 128, *, over_time: str = "gru", frame: nn.Module | None = None) -> None:
        super().__init__()
        _check.positive("dim", dim)
        _check.choice("over_time", over_time, ("gru", "mean"))
        self.frame = ImageResNet(dim) if frame is None else frame
        if not hasattr(self.frame, "dim"):
            raise ValueError(
                f"frame must say how wide its vector is, in an attribute `dim`, got {type(frame).__name__}"
            )
        width: int = self.frame.dim  # type: ignore[assignment]
        self.over_time = over_time
        if over_time == "gru":
            self.forwards = nn.GRU(width, dim, batch_first=True)
            self.backwards = nn.GRU(width, dim, batch_first=True)
        self.project = nn.Linear(2 * dim if over_time == "gru" else width, dim)
        self.dim = self.token_dim = dim

    def forward(self, clips: Tensor, mask: Tensor | None = None) -> Tensor:
        return self._encode(clips, mask)[1]

    def tokens(self, clips: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """A token a frame: (B, N, dim), zero at padded frames, and the mask."""
        return self._encode(clips, mask)[0], mask

    def _encode(self, clips: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        clips = _check_clips(clips, mask)
        frames = self.frame(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])  # (B, N, width)
        if self.over_time == "mean":
            tokens = self.project(frames)
            vector = masked_mean(tokens, mask)
        else:
            states, last = run_recurrent(self.forwards, frames, mask)
            # The same from the other end: turn the clip round, run, and turn the states back.
            back, first = run_recurrent(self.backwards, frames.flip(1), None if mask is None else mask.flip(1))
            tokens = self.project(torch.cat([states, back.flip(1)], -1))
            vector = self.project(torch.cat([last, first], -1))
            if mask is not None:
                vector = vector.masked_fill(~mask.any(1, keepdim=True), 0)
        return tokens if mask is None else tokens.masked_fill(~mask[..., None], 0), vector


class VideoCNN(nn.Module):
    """Convolutions over time, height and width; the mean over the places of a frame is its token, their mean the vector.

        h ← relu(N(W_l ∗ h + b_l))   for l = 1 … L,   token_n = V mean_p h_np + c,   z = mean_n token_n

    dim: width of the tokens and of the vector;  channels: a 3 × 3 × 3 convolution each, which halves height and width and
    keeps the time: after L layers a token has seen 2L + 1 frames;  in_channels: 3 for colour, 1 for grey
    forward(clips (B, N, in_channels, H, W), mask bool (B, N)) → (B, dim);  tokens(clips, mask) → (B, N, dim), mask
    Padded frames are set to zero before each convolution, as if the clip ended there. A row without one real frame gives
    zeros.

    Tran et al. 2015, Learning Spatiotemporal Features with 3D Convolutional Networks.

    >>> VideoCNN(dim=16)(torch.zeros(2, 8, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([2, 16])
    """

    def __init__(self, dim: int = 128, *, channels: Sequence[int] = (16, 32, 64), in_channels: int = 3) -> None:
        super().__init__()
        _check.positive("dim", dim)
        pairs = list(zip([in_channels, *channels], channels))
        self.convolutions = nn.ModuleList([nn.Conv3d(c, out, 3, stride=(1, 2, 2), padding=1) for c, out in pairs])
        self.norms = nn.ModuleList([ChannelNorm(out) for out in channels])
        self.project = nn.Linear(channels[-1], dim)
        self.in_channels = in_channels
        self.dim = self.token_dim = dim

    def forward(self, clips: Tensor, mask: Tensor | None = None) -> Tensor:
        return masked_mean(*self.tokens(clips, mask))

    def tokens(self, clips: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """A token a frame, which has seen its neighbours: (B, N, dim), zero at padded frames, and the mask."""
        _check.shape("clips", clips, "B", "N", self.in_channels, "H", "W")
        h = _check_clips(clips, mask)
        h = pixels(h, self.project.weight.dtype).transpose(1, 2)  # (B, C, N, H, W)
        for convolution, norm in zip(self.convolutions, self.norms):
            h = F.relu(norm(convolution(h)))
            if mask is not None:
                h = h.masked_fill(~mask[:, None, :, None, None], 0)
        tokens = self.project(h.mean((-2, -1)).mT)  # (B, N, dim)
        return tokens if mask is None else tokens.masked_fill(~mask[..., None], 0), mask


def _check_clips(clips: Tensor, mask: Tensor | None) -> Tensor:
    """The clips with zeros at padded frames."""
    _check.shape("clips", clips, "B", "N", "C", "H", "W")
    check_mask(mask, len(clips), clips.shape[1])
    return clips if mask is None else clips.masked_fill(~mask[:, :, None, None, None], 0)
