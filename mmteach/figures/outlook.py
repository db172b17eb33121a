"""Figures of chapter 07: modalities bound through one, curves over seeds, accuracy against cost.

| name        | what it draws                                                                            |
|-------------|--------------------------------------------------------------------------------------------|
| `triangle`  | three modalities: solid edges were trained, the dashed one emerged; recall beside each         |
| `curves`    | a figure of merit against a dial, a line a model: the mean, and a dot a seed                    |
| `frontier`  | accuracy against cost, and the front: models that no other beats at both                       |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogLocator

from mmteach import _check
from mmteach.figures.style import COLOURS, GREY, INK, MARKERS, PALETTE, Picture, canvas, describe, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_PLACES = ((0.0, 0.0), (2.0, 1.5), (4.0, 0.0))  # left, top, right; the dashed edge is the lower one


def triangle(
    recall: Mapping[tuple[str, str], float],
    bound_by: str,
    *,
    names: Mapping[str, str],
    merit: str = "recall@10",
    chance: float | None = None,
    title: str,
    remark: str = "never trained",
) -> Picture:
    """Three modalities as a triangle, the one that binds the others on top.

    recall:   (from, to) → figure of merit, both ways of each edge
    bound_by: the modality that each other one was trained with;  names: modality → what stands in its circle
    remark:   what stands at the edge that was not trained
    Raises ValueError unless there are three modalities, `bound_by` among them, and all six ways.
    """
    modalities = list(dict.fromkeys(one for way in recall for one in way))
    if len(modalities) != 3 or len(recall) != 6:
        raise ValueError(f"recall needs both ways between three modalities, got {sorted(recall)}")
    _check.choice("bound_by", bound_by, tuple(modalities))
    others = [m for m in modalities if m != bound_by]
    place = dict(zip((others[0], bound_by, others[1]), _PLACES))
    with style():
        figure, ax = canvas(size=(8.6, 4.2))
        ax.set(xlim=(-0.75, 4.75), ylim=(-0.7, 2.05), title=title)
        ax.set_axis_off()
        for a, b in ((others[0], bound_by), (bound_by, others[1]), (others[0], others[1])):
            (x, y), (u, v) = place[a], place[b]
            trained = bound_by in (a, b)
            colour, dashes = (INK, "-") if trained else (COLOURS["both"], (0, (2, 2)))
            ax.plot([x, u], [y, v], color=colour, lw=3, ls=dashes, zorder=1)
            words = f"→ {recall[a, b]:.2f}   ← {recall[b, a]:.2f}\n{'trained' if trained else remark}"
            ax.text(
                (x + u) / 2, (y + v) / 2 - (0 if trained else 0.28), words, ha="center", va="center", fontsize=10.5,
                fontweight="bold", color=colour,
                bbox={"fc": "white", "ec": "none", "pad": 3}, zorder=2,
            )  # fmt: skip
        for m, (x, y) in place.items():
            ax.plot(x, y, "o", ms=62, color=COLOURS.get(m, GREY), zorder=3)
            ax.text(x, y, names[m], ha="center", va="center", color="white", fontsize=11, fontweight="bold", zorder=4)
        if chance is not None:
            ax.text(4.7, 1.9, f"{merit}; chance {chance:.2f}", ha="right", va="top", color=GREY)
    said = "; ".join(f"{names[a]} to {names[b]} {value:.2f}" for (a, b), value in recall.items())
    return describe(
        figure, f"A triangle of {names[others[0]]}, {names[bound_by]} and {names[others[1]]}; only the edges at "
        f"{names[bound_by]} were trained. {merit}: {said}" + (f"; chance {chance:.2f}." if chance is not None else "."),
    )  # fmt: skip


def curves(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    by: str,
    title: str,
    labels: tuple[str, str],
    order: Sequence[str] | None = None,
    levels: Mapping[str, float] | None = None,
    log: bool = False,
) -> Picture:
    """y against x, a line for each value of the column `by`: the mean over seeds, a dot a seed.

    No band: with three seeds the 95 % intervals of several models cover each other, and what a text claims are differences
    within a seed.

    table:  the columns x, y, `by` and "seed";  labels: of the two axes;  order: the lines, as in the legend
    levels: by name, dashed lines to compare with;  log: x on a logarithmic scale
    """
    names = list(order) if order is not None else list(dict.fromkeys(table[by]))
    said = []
    with style():
        figure, ax = canvas(size=(8.4, 3.7))
        for i, name in enumerate(names):
            colour, part = PALETTE[i % len(PALETTE)], table[table[by] == name]
            groups = part.groupby(x)[y]
            means = groups.mean()
            ax.plot(means.index, means, marker=MARKERS[i % len(MARKERS)], color=colour, label=name)
            if (groups.size() > 1).all():
                ax.plot(part[x], part[y], ".", color=colour, ms=5, alpha=0.5)
            said.append(f"{name} from {means.iloc[0]:.2f} to {means.iloc[-1]:.2f}")
        for name, level in (levels or {}).items():
            ax.axhline(level, color=GREY, ls="--", lw=1, label=name)
            said.append(f"{name} {level:.2f}")
        if log:
            ticks = sorted(set(table[x]))
            ax.set_xscale("log")
            ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            ax.minorticks_off()
        ax.set(xlabel=labels[0], ylabel=labels[1], title=title)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return describe(figure, f"{title}. {labels[1]} against {labels[0]}: {'; '.join(said)}.")


def best_for_less(cost: np.ndarray, merit: np.ndarray) -> np.ndarray:
    """Which models are on the front: no other costs no more and is better, or is as good and costs less.

    cost, merit: (N,). Returns bool (N,).

    >>> best_for_less(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.4, 0.9])).tolist()
    [True, False, True]
    """
    cheaper = cost[:, None] <= cost[None]
    better = merit[:, None] >= merit[None]
    strictly = (cost[:, None] < cost[None]) | (merit[:, None] > merit[None])
    return np.asarray(~(cheaper & better & strictly).any(0))


def _name(ax: Axes, rows: pd.DataFrame, cost: str, merit: str, marks: str) -> None:
    """Write beside each model its word, where no word written before it would be touched."""
    written: list[np.ndarray] = []
    for _, row in rows.iterrows():
        at = (
            ax.transData.transform((row[cost], row[merit])) * 72 / ax.figure.dpi
        )  # points, in which letters are measured
        if all(abs(dx) > 20 or abs(dy) > 10 for dx, dy in (at - other for other in written)):
            ax.annotate(
                str(row[marks]), (row[cost], row[merit]), xytext=(-4, 5), textcoords="offset points", fontsize=8, ha="right"
            )  # fmt: skip
            written.append(at)


def frontier(
    table: pd.DataFrame,
    costs: Mapping[str, str],
    merit: str,
    *,
    by: str,
    title: str,
    label: str,
    marks: str | None = None,
) -> Picture:
    """A figure of merit against one cost or more, a panel each, on a logarithmic scale; the front as a line.

    table: one row a model, with the columns of `costs` (column → label of the axis), `merit`, `by` (a colour each) and
        perhaps `marks`, a column of short words that is written beside the models on the front, from the best one down,
        where there is room, and beside the costliest of all
    """
    table = table.reset_index(drop=True)  # so that a label is one row
    groups = list(dict.fromkeys(table[by]))
    said = []
    with style():
        figure, axes = canvas(1, len(costs), size=(4.6 * len(costs), 3.7), sharey=True, squeeze=False)
        for ax, (cost, words) in zip(axes[0], costs.items()):
            for i, group in enumerate(groups):
                part = table[table[by] == group]
                ax.plot(
                    part[cost], part[merit], MARKERS[i % len(MARKERS)], color=PALETTE[i % len(PALETTE)], label=group
                )
            best = table[best_for_less(table[cost].to_numpy(float), table[merit].to_numpy(float))].sort_values(cost)
            ax.plot(best[cost], best[merit], color=GREY, lw=1, zorder=0, label="the front")
            ax.set_xscale("log")
            ax.set(xlabel=words)
            if table[cost].max() < 30 * table[cost].min():  # too few powers of ten to tick: 0.2, 0.5, 1, 2, …
                ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                ax.xaxis.set_major_formatter("{x:g}")
                ax.minorticks_off()
            if marks:
                _name(ax, table.loc[[table[cost].idxmax(), *best.index[::-1]]], cost, merit, marks)
            ends = [f"{row[merit]:.2f} at {row[cost]:g}" for _, row in best.iloc[[0, -1]].iterrows()]
            said.append(f"the front against {words} goes from {ends[0]} to {ends[1]}")
        axes[0, 0].set(ylabel=label)
        axes[0, 0].set_title(title)
        axes[0, -1].legend(loc="lower right")
    return describe(figure, f"{title}. {label}: {'; '.join(said)}.")
