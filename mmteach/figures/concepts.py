"""Charts of chapter 02 that its widgets draw too: sound cut into windows, information cut into its parts.

| name          | what it draws                                                        |
|---------------|----------------------------------------------------------------------|
| `resolution`  | one sound as log-mel spectrograms with several windows, side by side  |
| `information` | redundancy, two uniques and synergy as stacked bars, one a world      |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from mmteach.data.audio import SAMPLE_RATE, log_mel
from mmteach.figures.style import BLUE, GREEN, INK, PURPLE, VERMILION, Picture, canvas, describe, style

PARTS = {"redundancy": PURPLE, "unique 1": BLUE, "unique 2": VERMILION, "synergy": GREEN}


def resolution(
    waveform: Tensor,
    windows: Sequence[int] = (64, 256, 1024),
    bands: int = 16,
    hop: int = 40,
    sample_rate: int = SAMPLE_RATE,
    *,
    title: str = "",
    alt: str = "",
) -> Picture:
    """One sound as log-mel spectrograms, one a window: short windows see when, long ones see which pitch.

    waveform: (S,) in [−1, 1];  windows, hop: in samples;  bands: mel bands of every panel
    Raises ValueError where `bands` asks for more than the shortest window can tell apart.
    """
    waveform = waveform.detach().cpu()
    grids = [log_mel(waveform[None], sample_rate, window, hop, bands)[0, 0].numpy() for window in windows]
    with style():
        figure, axes = canvas(1, len(windows), size=(9.0 if len(windows) > 1 else 7.5, 3.0), sharey=True, squeeze=False)
        for ax, window, grid in zip(axes[0], windows, grids):
            extent = (0, grid.shape[1] * hop / sample_rate, 0, bands)
            image = ax.imshow(
                grid - grid.max(), origin="lower", aspect="auto", cmap="cividis", extent=extent, vmin=-60, vmax=0
            )
            ax.set(xlabel="time (s)", title=f"window {window} ({1000 * window / sample_rate:g} ms)")
            ax.grid(visible=False)
        axes[0, 0].set_ylabel("mel band")
        figure.colorbar(image, ax=list(axes[0]), label="dB below the loudest", pad=0.01)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    said = ", ".join(f"{1000 * window / sample_rate:g} ms" for window in windows)
    return describe(figure, alt or f"Log-mel spectrograms of one sound in {bands} bands, with windows of {said}.")


def information(
    worlds: Mapping[str, Sequence[float]], *, title: str = "What two modalities tell about y", alt: str = ""
) -> Picture:
    """Redundancy, unique 1, unique 2 and synergy as one stacked bar a world, in bits, the amounts written in.

    worlds: by name, four amounts in this order, as `diagnosis.pid` gives them
    Raises ValueError where a world has other than four amounts.
    """
    for name, amounts in worlds.items():
        if len(amounts) != len(PARTS):
            raise ValueError(f"worlds[{name!r}] needs four amounts (R, U1, U2, S), got {len(amounts)}")
    values = np.array([list(map(float, amounts)) for amounts in worlds.values()])
    with style():
        figure, ax = canvas(size=(8.0, 1.1 + 0.42 * len(worlds)))
        left = np.zeros(len(worlds))
        widest = max(values.clip(min=0).sum(1).max(), 1e-9)
        for (part, colour), column in zip(PARTS.items(), values.clip(min=0).T):
            ax.barh(range(len(worlds)), column, left=left, color=colour, label=part, height=0.62)
            for row, amount in enumerate(column):
                if amount > 0.06 * widest:
                    ax.text(left[row] + amount / 2, row, f"{amount:.2f}", color="white", ha="center", va="center")
            left += column
        ax.set_yticks(range(len(worlds)), list(worlds))
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.set(xlabel="information about y (bits)", xlim=(0, max(1.0, 1.02 * widest)))
        ax.set_title(title, color=INK, pad=24)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.2)
    said = "; ".join(
        f"{name}: " + ", ".join(f"{part} {amount:.2f}" for part, amount in zip(PARTS, row))
        for name, row in zip(worlds, values)
    )
    return describe(figure, alt or f"{title}, in bits. {said}.")
