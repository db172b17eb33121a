"""A Pareto explorer: move the weights of two tasks, and watch what each gains and what the other pays.

| name              | what it is                                                          |
|-------------------|---------------------------------------------------------------------|
| `pareto_explorer` | the widget                                                          |
| `pareto_view`     | the same as one still figure                                        |
| `front`           | which points no other point beats on every task                     |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mmteach import _check
from mmteach.figures import COLOURS, MARKERS, PALETTE, Picture, canvas, describe, show, style
from mmteach.figures.style import GREY, INK

if TYPE_CHECKING:
    import pandas as pd


def front(points: np.ndarray) -> np.ndarray:
    """Which points are Pareto-optimal: no other is at least as good on every task and better on one.

    i is on the front  ⇔  there is no j with x_jk ≥ x_ik for every task k and x_jk > x_ik for one

    points: (N, K), more is better. Returns bool (N,). Equal points are on the front together. ValueError for another shape
    or for NaN, which is neither better nor worse.

    >>> front(np.array([[0.9, 0.5], [0.5, 0.9], [0.5, 0.5]])).tolist()
    [True, True, False]
    """
    x = np.asarray(points, dtype=float)
    if x.ndim != 2 or np.isnan(x).any():
        raise ValueError(f"points must be numbers with shape (N, K), none of them NaN, got shape {x.shape}")
    no_worse = (x[:, None] >= x[None]).all(2)  # [j, i]: j is at least as good as i everywhere
    better = (x[:, None] > x[None]).any(2)
    beaten = np.asarray((no_worse & better).any(axis=0))
    return ~beaten


def _means(table: pd.DataFrame, network: str, tasks: tuple[str, str]) -> pd.DataFrame:
    """Mean accuracy of both tasks at each weight, in the order of the weights."""
    return table[table["network"] == network].groupby("weight")[list(tasks)].mean().sort_index()


def pareto_view(
    table: pd.DataFrame,
    network: str,
    weight: float,
    tasks: tuple[str, str] = ("left", "right"),
    others: pd.DataFrame | None = None,
) -> Picture:
    """Both tasks' accuracy at one weight: as a point among all weights, and against the weight.

    table:   one row a network, weight and seed, with the columns "network", "weight" (of the first task; the second one's is
             1 − weight), "seed" and one a task. Weights 0 and 1 train one task alone: they are drawn as dashed lines
    network, weight: what is marked
    tasks:   the two columns of accuracies
    others:  more points to show beside the front, with the columns "model" and one a task
    Raises ValueError for a network or weight that the table does not have.
    """
    _check.choice("network", network, tuple(dict.fromkeys(table["network"])))
    means = _means(table, network, tasks)
    _check.choice("weight", weight, tuple(means.index))
    first, second = tasks
    inside = means[(means.index > 0) & (means.index < 1)]
    alone = {task: means[task].get(end) for task, end in ((first, 1.0), (second, 0.0))}
    chosen = table[(table["network"] == network) & (table["weight"] == weight)]
    best = inside[front(inside.to_numpy())].sort_values(first)
    with style():
        figure, (plane, lines) = canvas(1, 2, size=(9.2, 3.8))
        plane.plot(best[first], best[second], color=GREY, lw=1, zorder=1, label="the front")
        plane.plot(inside[first], inside[second], "o", color=COLOURS["image"], label="other weights")
        if others is not None:
            plane.plot(others[first], others[second], "P", color=PALETTE[4], ms=6, label="other methods")
        if 0 < weight < 1:
            plane.plot(chosen[first], chosen[second], ".", color=COLOURS["text"], ms=5, alpha=0.7, label="its seeds")
            plane.plot(*means.loc[weight], "D", color=COLOURS["text"], ms=9, label="this weight")
        for task, line in ((first, plane.axvline), (second, plane.axhline)):
            if alone[task] is not None:
                line(alone[task], color=INK, ls="--", lw=1, label="a network a task" if task == first else None)
        plane.set(
            xlabel=f"accuracy of {first}", ylabel=f"accuracy of {second}", title=f"{network}: up and right is better"
        )
        plane.legend(fontsize=8)
        for column, task in enumerate(tasks):
            lines.plot(inside.index, inside[task], marker=MARKERS[column], color=PALETTE[column], label=task)
            if alone[task] is not None:
                lines.axhline(alone[task], color=PALETTE[column], ls="--", lw=1)
        lines.axvline(weight, color=COLOURS["text"], lw=1)
        lines.set(xlabel=f"weight of {first}, w", ylabel="accuracy", xlim=(0, 1), title="What each task gets")
        lines.legend(fontsize=8)
    at = ", ".join(f"{task} {means.loc[weight, task]:.3f}" for task in tasks)
    apart = ", ".join(f"{task} {value:.3f}" for task, value in alone.items() if value is not None)
    return describe(
        figure,
        f"{network}, weight {weight:g} on {first}: accuracy {at}"
        + (f"; a network a task: {apart}" if apart else "")
        + f". {len(best)} of {len(inside)} weights are on the front, where no other is better on both tasks.",
    )


def pareto_explorer(
    table: pd.DataFrame, tasks: tuple[str, str] = ("left", "right"), others: dict[str, pd.DataFrame] | None = None
) -> Any:
    """A slider for the weight and a list of networks; below them `pareto_view`, drawn anew, and the two accuracies in words.

    table, tasks: as for `pareto_view`
    others:       by network, more points that a tick box shows
    Returns a widget. Tab moves between the controls, the arrow keys move the weight.
    """
    import ipywidgets as w
    from IPython.display import clear_output

    wide: dict[str, Any] = {"style": {"description_width": "190px"}, "layout": w.Layout(width="520px")}
    networks = list(dict.fromkeys(table["network"]))
    weights = sorted(set(table["weight"]))
    middle = min(weights, key=lambda weight: abs(weight - 0.5))
    network = w.Dropdown(options=networks, value=networks[0], description="Network", **wide)
    weight = w.SelectionSlider(
        options=[(f"{weight:g}", weight) for weight in weights],
        value=middle,
        description=f"Weight of {tasks[0]}, w",
        continuous_update=False,
        **wide,
    )
    methods = w.Checkbox(value=False, description="Show the other methods", **wide)
    shown = w.Output(layout=w.Layout(min_height="400px"))  # the page does not jump while a figure is drawn anew

    def refresh(change: object = None) -> None:
        extra = (others or {}).get(network.value) if methods.value else None
        means = _means(table, network.value, tasks).loc[weight.value]
        with shown:
            clear_output(wait=True)
            show(pareto_view(table, network.value, weight.value, tasks, extra))
            print(f"w = {weight.value:g} on {tasks[0]}, {1 - weight.value:g} on {tasks[1]}: "
                  + ", ".join(f"{task} {means[task]:.3f}" for task in tasks))  # fmt: skip
            if methods.value and extra is None:
                print("The other methods were not measured on this network.")

    for control in (network, weight, methods):
        control.observe(refresh, names="value")
    refresh()
    # With one network there is nothing to choose.
    return w.VBox([*([network] if len(networks) > 1 else []), weight, methods, shown])
