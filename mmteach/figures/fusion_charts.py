"""Charts of chapter 03: where fusion happens, and differences between methods that share their seeds.

| name            | what it draws                                                             |
|-----------------|----------------------------------------------------------------------------|
| `where_to_fuse` | early, intermediate and late fusion as three rows of boxes                  |
| `ranking`       | many models from best to worst: a dot a seed, the mean's 95 % interval      |
| `differences`   | paired differences from one model: a dot a seed, the mean's 95 % interval   |
| `with_missing`  | each model with both modalities, without text and without image             |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmteach.figures.style import BLUE, COLOURS, GREEN, GREY, INK, PURPLE, VERMILION, Picture, canvas, describe, style

if TYPE_CHECKING:
    import pandas as pd

# Boxes: (from, to, row above or below the middle, words, colour). A box of height 2 takes what both modalities bring.
_ROWS = {
    "early": [
        (0.0, 1.0, 1, "picture", BLUE), (0.0, 1.0, -1, "words", VERMILION), (1.4, 2.4, 0, "join", PURPLE),
        (2.8, 5.4, 0, "one encoder for both", PURPLE), (5.8, 6.9, 0, "one head", PURPLE), (7.3, 8.2, 0, "answer", INK),
    ],
    "intermediate": [
        (0.0, 1.0, 1, "picture", BLUE), (0.0, 1.0, -1, "words", VERMILION), (1.4, 4.0, 1, "encoder", BLUE),
        (1.4, 4.0, -1, "encoder", VERMILION), (4.4, 5.4, 0, "join", PURPLE), (5.8, 6.9, 0, "one head", PURPLE),
        (7.3, 8.2, 0, "answer", INK),
    ],
    "late": [
        (0.0, 1.0, 1, "picture", BLUE), (0.0, 1.0, -1, "words", VERMILION), (1.4, 4.0, 1, "encoder", BLUE),
        (1.4, 4.0, -1, "encoder", VERMILION), (4.4, 5.4, 1, "head", BLUE), (4.4, 5.4, -1, "head", VERMILION),
        (5.8, 6.9, 0, "join", PURPLE), (7.3, 8.2, 0, "answer", INK),
    ],
}  # fmt: skip


def where_to_fuse() -> Picture:
    """Early, intermediate and late fusion, one below the other; the purple boxes see both modalities."""
    with style():
        figure, axes = canvas(3, 1, size=(8.6, 4.1))
        for ax, (name, boxes) in zip(axes, _ROWS.items()):
            ax.set_axis_off()
            ax.set(xlim=(-0.05, 8.3), ylim=(-1.25, 1.25))
            ax.set_title(name, pad=2)
            for start, end, row, words, colour in boxes:
                _box(ax, start, end, 0.6 * row, words, colour)
            for left in boxes:
                nearest = min((b[0] for b in boxes if b[0] > left[1]), default=None)
                for right in boxes:
                    if right[0] == nearest and (0 in (left[2], right[2]) or left[2] == right[2]):
                        ax.annotate(
                            "", (right[0], 0.6 * right[2]), (left[1], 0.6 * left[2]),
                            arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.2, "shrinkA": 1, "shrinkB": 1},
                        )  # fmt: skip
    return describe(
        figure,
        "Three rows of boxes from picture and words to an answer. Early: both are joined first, then one encoder and one head. "
        "Intermediate: an encoder each, then joined, then one head. Late: an encoder and a head each, and the answers joined.",
    )


def _box(ax: Any, start: float, end: float, middle: float, words: str, colour: str) -> None:
    import matplotlib.patches as patches

    ax.add_patch(
        patches.FancyBboxPatch(
            (start, middle - 0.36), end - start, 0.72, boxstyle="round,pad=0,rounding_size=0.08", fc=colour, ec="none"
        )
    )
    ax.text((start + end) / 2, middle, words, ha="center", va="center", color="white", fontsize=9)


def ranking(table: pd.DataFrame, column: str, *, title: str, chance: float | None = None) -> Picture:
    """Each model a row, the best on top; single modalities in their own colours, fusions in one.

    table: columns "model", "seed" and `column`, one row a seed and model;  chance: where guessing would lie
    """
    from mmteach.metrics import mean_interval

    means = table.groupby("model")[column].mean().sort_values(ascending=False)
    with style():
        figure, ax = canvas(size=(8.2, 0.9 + 0.27 * len(means)))
        for row, (name, mean) in enumerate(means.items()):
            values = table.loc[table.model == name, column].to_numpy(float)
            _, low, high = mean_interval(values)
            colour = COLOURS[str(name)] if name in ("image", "text", "audio", "video") else PURPLE
            ax.plot([low, high], [row, row], color=colour, lw=7, alpha=0.3, solid_capstyle="round")
            ax.plot(values, [row] * len(values), "o", color=colour, ms=4)
            ax.annotate(
                f"{mean:.3f}", (max(high, *values), row), xytext=(8, -3), textcoords="offset points", fontsize=8.5
            )
        if chance is not None:
            ax.axvline(chance, color=GREY, ls="--", lw=1)
            ax.annotate("chance", (chance, len(means) - 0.8), xytext=(3, 0), textcoords="offset points", color=GREY)
        ax.set_yticks(range(len(means)), means.index)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.set(xlabel=column, title=title, xlim=(0, None))
    said = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
    return describe(figure, f"{title}. Mean {column}: {said}.")


def differences(wide: pd.DataFrame, against: pd.Series, *, label: str, title: str) -> Picture:
    """Each column less `against`, seed by seed: dots, the mean, its 95 % interval; vermilion where that reaches zero.

    wide: one row a seed, one column a model;  against: one value a seed, with the same index
    """
    from mmteach.metrics import paired_difference

    gaps = wide.sub(against, axis=0)
    gaps = gaps[gaps.mean().sort_values(ascending=False).index]
    said = []
    with style():
        figure, ax = canvas(size=(8.2, 0.9 + 0.3 * gaps.shape[1]))
        for row, name in enumerate(gaps):
            mean, low, high, _ = paired_difference(wide[name], against)
            colour = VERMILION if low <= 0 <= high else GREEN if mean > 0 else PURPLE
            ax.plot([low, high], [row, row], color=colour, lw=7, alpha=0.3, solid_capstyle="round")
            ax.plot(gaps[name], [row] * len(gaps), "o", color=colour, ms=4)
            ax.plot(mean, row, "|", color=INK, ms=11, mew=2)
            said.append(f"{name} {mean:+.3f} ({low:+.3f} to {high:+.3f})")
        ax.axvline(0, color=GREY, lw=1.2)
        ax.set_yticks(range(gaps.shape[1]), gaps.columns)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.set(xlabel=label, title=title)
    return describe(figure, f"{title}. {label}, mean and interval over {len(gaps)} seeds: {'; '.join(said)}.")


def with_missing(
    table: pd.DataFrame, order: Sequence[str], columns: Mapping[str, str], *, levels: Mapping[str, float], title: str
) -> Picture:
    """For each model one marker a column, e.g. both modalities, no text, no image; dashed lines for single modalities.

    table: columns "model" and those of `columns`, one row a seed and model;  columns: column → its name in the legend
    levels: by "image" or "text", what that modality reaches alone
    """
    means = table.groupby("model")[list(columns)].mean().loc[list(order)]
    looks = dict(zip(columns, (("D", PURPLE), ("o", BLUE), ("s", VERMILION))))
    with style():
        figure, ax = canvas(size=(8.2, 1.1 + 0.34 * len(order)))
        for m, level in levels.items():
            ax.axvline(level, color=COLOURS[m], ls="--", lw=1.2, label=f"{m} alone")
        for column, (marker, colour) in looks.items():
            ax.plot(means[column], range(len(order)), marker, color=colour, label=columns[column], ms=7)
        ax.set_yticks(range(len(order)), order)
        ax.invert_yaxis()
        ax.set(xlabel="accuracy", title=title, xlim=(0, None))
        ax.title.set_y(1.0)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    said = "; ".join(
        f"{name}: " + ", ".join(f"{columns[c]} {means.loc[name, c]:.2f}" for c in columns) for name in order
    )
    return describe(figure, f"{title}. Mean accuracies. {said}.")
