"""Clips that move on the page: an animated PNG, which every browser plays and which shows its first frame elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class MovingPicture:
    """Frames that follow each other for ever, with alt text.

    frames: (T, 3, H, W) uint8, H and W already as large as on the page;  seconds: how long each frame stays
    """

    frames: Tensor
    seconds: float
    alt: str

    def png(self) -> bytes:
        """The animation as the bytes of an animated PNG file."""
        from PIL import Image

        pages = [Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in self.frames]
        buffer = io.BytesIO()
        pages[0].save(
            buffer, "PNG", save_all=True, append_images=pages[1:], duration=round(1000 * self.seconds), loop=0
        )
        return buffer.getvalue()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        data = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": f"Animation: {self.alt}"}
        return data, {"image/png": {"alt": self.alt, "width": self.frames.shape[-1]}}


def moving(
    clips: Tensor | Sequence[Tensor], *, alt: str, zoom: int = 3, gap: int = 4, fps: float = 6.0
) -> MovingPicture:
    """Clips beside each other, all moving at once.

    clips: (N, T, 3, H, W), uint8 or floats in [0, 1];  zoom: screen pixels a pixel;  gap: pixels of white between clips
    fps: frames a second
    """
    clips = torch.stack(list(clips)) if not isinstance(clips, Tensor) else clips
    if clips.ndim != 5 or clips.shape[2] != 3:
        raise ValueError(f"clips must have shape (N, T, 3, H, W), got {tuple(clips.shape)}")
    clips = clips if clips.dtype == torch.uint8 else (clips.float().clamp(0, 1) * 255).round().to(torch.uint8)
    white = clips.new_full((*clips.shape[1:4], gap), 255)
    row = [part for clip in clips for part in (clip, white)][:-1]
    frames = torch.cat(row, dim=-1).repeat_interleave(zoom, -2).repeat_interleave(zoom, -1)
    return MovingPicture(frames.cpu(), 1 / fps, " ".join(alt.split()))
