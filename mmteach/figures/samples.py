"""Examples as a reader sees them: a grid of pictures, a strip of video frames, a sound's waveform and spectrogram."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmteach.figures.style import BLUE, GREEN, GREY, INK, VERMILION, Picture, canvas, describe, style


def as_picture(image: Tensor) -> np.ndarray:
    """An image tensor (C, H, W), uint8 or floats in [0, 1], as the array (H, W, 3) or (H, W) that matplotlib draws."""
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4):
        raise ValueError(f"an image must have shape (1, 3 or 4, H, W), got {tuple(image.shape)}")
    array = image.detach().cpu().float()
    array = array / 255 if image.dtype == torch.uint8 else array.clamp(0, 1)
    return array[0].numpy() if len(array) == 1 else array.permute(1, 2, 0).numpy()


def picture_grid(
    images: Tensor,
    captions: Sequence[str] = (),
    *,
    columns: int = 8,
    title: str = "",
    alt: str,
    wrong: Sequence[bool] = (),
    inch: float = 1.0,
) -> Picture:
    """Pictures in rows, each with its caption below; `wrong` marks some of them as a model's errors.

    images: (N, C, H, W)
    inch: the side of one picture on the page
    """
    import matplotlib.pyplot as plt

    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    words = ["\n".join(textwrap.fill(part, max(8, round(15 * inch))) for part in line.split("\n")) for line in captions]
    # Room for the captions below each row, and for the title above all of them, in inches.
    below = [
        0.05 + 0.14 * max((w.count("\n") + 1 for w in words[r * columns : (r + 1) * columns] if w), default=0)
        for r in range(rows)
    ]
    above = 0.32 if title else 0.03
    width, height = inch * columns, above + inch * rows + sum(below)
    with style():
        figure = plt.figure(figsize=(width, height), layout="none")
        for i, image in enumerate(images):
            row, column = divmod(i, columns)
            top = above + row * inch + sum(below[:row])
            ax = figure.add_axes(
                (column / columns + 0.03 * inch / width, 1 - (top + inch) / height, 0.94 * inch / width, inch / height)
            )
            ax.set_axis_off()
            ax.imshow(as_picture(image), cmap="gray_r" if image.shape[0] == 1 else None, interpolation="nearest")
            colour = VERMILION if i < len(wrong) and wrong[i] else INK
            if i < len(words):
                ax.text(0.5, -0.02, words[i], transform=ax.transAxes, ha="center", va="top", fontsize=7.5, color=colour)
        if title:
            figure.text(0.0, 1.0, title, ha="left", va="top", fontweight="bold", fontsize=11, color=INK)
    return describe(figure, alt)


def film_strip(clips: Tensor, captions: Sequence[str] = (), *, title: str = "", alt: str, every: int = 1) -> Picture:
    """Clips one below the other, time from left to right.

    clips: (N, T, C, H, W); every: show each so many-th frame
    """
    clips = clips[:, ::every]
    with style():
        rows, frames = clips.shape[:2]
        figure, axes = canvas(rows, frames, size=(9.0, 9.0 / frames * rows * 1.18 + 0.35), squeeze=False)
        for row, (clip, line) in enumerate(zip(clips, axes)):
            for t, ax in enumerate(line):
                ax.imshow(as_picture(clip[t]), interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(True)
                ax.spines[:].set_color("#D1D5DB")
                if row == rows - 1:
                    ax.set_xlabel(f"frame {t * every + 1}", fontsize=8, color=GREY)
            if row < len(captions):
                line[0].set_title(captions[row], fontsize=9, fontweight="normal")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return describe(figure, alt)


def sound(
    waveform: Tensor,
    spectrogram: Tensor,
    sample_rate: int,
    hop: int,
    *,
    title: str = "",
    alt: str,
    mel: bool = True,
    unit: str = "energy (log)",
) -> Picture:
    """A sound as air pressure over time, and as energy over time and frequency.

    waveform: (S,) in [−1, 1]; spectrogram: (F, T) in decibels or log units, frames `hop` samples apart
    unit: what the colour bar says
    """
    waveform, spectrogram = waveform.detach().cpu(), spectrogram.detach().cpu()
    seconds = np.arange(len(waveform)) / sample_rate
    with style():
        figure, (top, bottom) = canvas(2, 1, size=(8.0, 4.0), sharex=True, height_ratios=[1, 1.6])
        top.plot(seconds, waveform, color=GREEN, lw=0.6)
        top.set(ylabel="amplitude", title=title)
        extent = (0, spectrogram.shape[1] * hop / sample_rate, 0, len(spectrogram) if mel else sample_rate / 2000)
        image = bottom.imshow(spectrogram, origin="lower", aspect="auto", cmap="cividis", extent=extent)
        bottom.set(xlabel="time (s)", ylabel="mel band" if mel else "frequency (kHz)")
        bottom.grid(visible=False)
        figure.colorbar(image, ax=bottom, label=unit, pad=0.01)
    return describe(figure, alt)


def beliefs(
    probabilities: Tensor, names: Sequence[str], *, truth: int | None = None, title: str = "", alt: str
) -> Picture:
    """A model's probabilities over the classes as bars, the true class drawn in another colour."""
    values = probabilities.detach().cpu().float().numpy()
    with style():
        figure, ax = canvas(size=(4.6, 0.9 + 0.24 * len(names)))
        ax.barh(range(len(names)), values, color=[VERMILION if i == truth else BLUE for i in range(len(names))])
        ax.set_yticks(range(len(names)), names)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.set(xlim=(0, 1), xlabel="probability", title=title)
    return describe(figure, alt)
