"""Figures of chapter 06: when a recogniser heard each letter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmteach.figures.style import GREY, INK, PALETTE, Picture, canvas, describe, style
from mmteach.generation import forced_alignment

DASHES = ("-", "--", "-.")  # solid for the first six letters, then the same colours again


def alignment(
    spectrogram: Tensor, log_probs: Tensor, text: str, labels: Sequence[str], *, title: str = "", alt: str = ""
) -> Picture:
    """When each letter of a text was heard: the spectrogram above, the probability of the text's letters below.

    spectrogram: (bands, T), 100 frames a second;  log_probs: (T', V) of the same time, label 0 blank;  text: what is aligned
    labels: the name of each label
    Raises ValueError for a letter that is no label, or a text that needs more frames than there are.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    unknown = [letter for letter in text if letter not in numbers]
    if unknown:
        raise ValueError(
            f"text holds {unknown[0]!r}, which the recogniser cannot write: it knows {''.join(labels[1:])}"
        )
    path, _ = forced_alignment(log_probs, [numbers[letter] for letter in text])
    seconds = spectrogram.shape[1] / 100
    step = seconds / len(log_probs)
    time = step * (torch.arange(len(log_probs)) + 0.5)
    with style():
        figure, (above, below) = canvas(2, 1, size=(9.0, 3.8), sharex=True, height_ratios=[1, 1.2])
        above.imshow(
            spectrogram, origin="lower", aspect="auto", cmap="cividis", extent=(0, seconds, 0, len(spectrogram))
        )
        above.set(ylabel="mel band", title=title)
        above.grid(visible=False)
        probability = log_probs.exp()
        below.plot(time, probability[:, 0], color=GREY, ls=":", lw=1, label="blank")
        letters = sorted(set(text))
        for i, letter in enumerate(letters):
            colour, dashes = PALETTE[i % len(PALETTE)], DASHES[i // len(PALETTE) % len(DASHES)]
            seen = letter if letter != " " else "␣"
            below.plot(time, probability[:, numbers[letter]], color=colour, ls=dashes, lw=1.4, label=seen)
        starts = [t for t, label in enumerate(path) if label and (t == 0 or path[t - 1] != label)]
        for t, letter in zip(starts, text):
            below.annotate(
                letter if letter != " " else "␣", (float(time[t]), 1.04), ha="center", color=INK, fontsize=10
            )
            above.axvline(float(time[t]), color="white", lw=0.6, alpha=0.7)
        below.set(xlabel="time (s)", ylabel="probability", ylim=(0, 1.18))
        columns = 1 + len(letters) // 8
        below.legend(loc="upper left", bbox_to_anchor=(1, 1.05), ncols=columns, labelspacing=0.2, handlelength=1.6)
    first = ", ".join(f"{letter} at {float(time[t]):.2f} s" for t, letter in list(zip(starts, text))[:4])
    return describe(figure, alt or f"Where each letter of “{text}” stands on the spectrogram: {first} …")
