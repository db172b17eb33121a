"""Charts of results: learning curves, models compared with intervals, a grid of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmteach.figures.style import COLOURS, GREY, INK, MARKERS, PALETTE, Picture, canvas, describe, style

if TYPE_CHECKING:
    import pandas as pd

    from mmteach.training.history import History


def learning_curves(history: History | Mapping[str, History], title: str = "Learning curves") -> Picture:
    """Training and validation loss over the epochs, the kept epoch marked; several runs side by side.

    history: one run, or runs by name
    """
    runs = history if isinstance(history, Mapping) else {"": history}
    with style():
        figure, axes = canvas(1, len(runs), size=(min(9.5, 2.2 + 3.2 * len(runs)), 3.1), sharey=True, squeeze=False)
        for ax, (name, run) in zip(axes[0], runs.items()):
            epochs = run.column("epoch")
            for part, label in (("train", "training"), ("valid", "validation")):
                if f"{part}_loss" in run[0]:
                    ax.plot(epochs, run.column(f"{part}_loss"), color=COLOURS[part], marker="o", ms=3, label=label)
            if run.best is not None and "valid_loss" in run[0]:
                ax.plot(epochs[run.best], run[run.best]["valid_loss"], "o", ms=10, mfc="none", mec=INK, label="kept")
            ax.set(xlabel="epoch", title=name or title)
            ax.xaxis.get_major_locator().set_params(integer=True)
        axes[0, 0].set_ylabel("loss (nats)")
        axes[0, -1].legend()
        if len(runs) > 1:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    ends = "; ".join(
        f"{name + ': ' if name else ''}training loss ends at {run[-1]['train_loss']:.2f}"
        + (f", validation loss at {run[-1]['valid_loss']:.2f}" if "valid_loss" in run[-1] else "")
        for name, run in runs.items()
    )
    return describe(figure, f"{title}: {ends}.")


def compare(
    table: pd.DataFrame,
    figure_of_merit: str,
    *,
    label: str | None = None,
    title: str,
    by: str = "model",
    chance: float | None = None,
    order: Sequence[str] | None = None,
) -> Picture:
    """One row a model: a dot a seed, and a bar from end to end of the 95 % interval of the mean.

    table: as `over_seeds` returns it, with the columns `by`, "seed" and `figure_of_merit`
    chance: where a model that knows nothing would lie, drawn as a dashed line
    order: the models from top to bottom; by default from worst to best
    """
    from mmteach.metrics import mean_interval

    means = table.groupby(by, sort=False)[figure_of_merit].mean()
    names = list(order) if order is not None else list(means.sort_values().index)
    with style():
        figure, ax = canvas(size=(8.2, 0.95 + 0.42 * len(names)))
        for row, name in enumerate(names):
            values = table.loc[table[by] == name, figure_of_merit].to_numpy(float)
            colour = COLOURS.get(str(name), PALETTE[row % len(PALETTE)])
            mean = values.mean()
            if len(values) > 1:
                _, low, high = mean_interval(values)
                ax.plot([low, high], [row, row], color=colour, lw=7, alpha=0.25, solid_capstyle="round")
            ax.plot(values, [row] * len(values), MARKERS[row % len(MARKERS)], color=colour, ms=5, alpha=0.9)
            ax.annotate(
                f"{mean:.3f}", (mean, row), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8.5
            )
        if chance is not None:
            ax.axvline(chance, color=GREY, ls="--", lw=1)
            ax.annotate("chance", (chance, -0.45), color=GREY, fontsize=8.5, xytext=(3, 0), textcoords="offset points")
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.4, -0.7)
        ax.grid(axis="y", visible=False)
        ax.set(xlabel=label or figure_of_merit, title=title)
    seeds = table.groupby(by)[figure_of_merit].size().max()
    said = ", ".join(f"{name} {means[name]:.3f}" for name in names)
    return describe(figure, f"{title}. Mean {label or figure_of_merit} over {seeds} seeds: {said}.")


def heatmap(
    values: np.ndarray,
    rows: Sequence,
    columns: Sequence,
    *,
    title: str,
    alt: str,
    row_label: str = "",
    column_label: str = "",
    value_label: str = "",
    limits: tuple[float, float] | None = None,
    diverging: bool = False,
    digits: int = 2,
) -> Picture:
    """A grid of numbers as colours, each number written in its cell where there is room for it.

    diverging: the colours have two sides, centred on zero, for differences
    """
    values = np.asarray(values, dtype=float)
    if diverging and limits is None:
        reach = float(np.nanmax(np.abs(values)))
        limits = (-reach, reach)
    low, high = limits or (float(np.nanmin(values)), float(np.nanmax(values)))
    with style():
        width = min(9.0, 2.4 + 0.62 * len(columns))
        figure, ax = canvas(size=(width, 1.3 + 0.45 * len(rows)))
        image = ax.imshow(values, cmap="PuOr" if diverging else "cividis", vmin=low, vmax=high, aspect="auto")
        if values.size <= 200:
            for (r, c), value in np.ndenumerate(values):
                shade = image.cmap(image.norm(value))
                dark = 0.299 * shade[0] + 0.587 * shade[1] + 0.114 * shade[2] < 0.5
                ax.text(
                    c, r, f"{value:.{digits}f}", ha="center", va="center", fontsize=8.5, color="white" if dark else INK
                )
        ax.set_xticks(range(len(columns)), columns)
        ax.set_yticks(range(len(rows)), rows)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        ax.set(xlabel=column_label, ylabel=row_label, title=title)
        figure.colorbar(image, ax=ax, label=value_label, pad=0.02)
    return describe(figure, alt)
