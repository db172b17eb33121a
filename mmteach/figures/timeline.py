"""A field's history: events to scale on a line of years, each joined to its own row of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmteach.figures.style import GREY, INK, MARKERS, PALETTE, Picture, canvas, describe, style


class Event(NamedTuple):
    """What happened: the year, who did it, what it was, and the kind of thing it was, which gives its colour and marker."""

    year: float
    who: str
    what: str
    kind: str


def timeline(events: Sequence[Event | tuple[float, str, str, str]], *, alt: str, title: str = "") -> Picture:
    """Events down the page: the years at the left to scale, the texts at the right one below the other, lines between.

    events: (year, who, what, kind), in any order; crowded years stay legible because each text has a row of its own
    Raises ValueError where there are fewer than two years to span, or more kinds than colours.
    """
    rows = sorted((Event(*event) for event in events), key=lambda event: event.year)
    kinds = list(dict.fromkeys(event.kind for event in rows))
    if len({event.year for event in rows}) < 2:
        raise ValueError(f"a timeline needs events of two years or more, got {[event.year for event in rows]}")
    if len(kinds) > len(PALETTE):
        raise ValueError(f"a timeline tells {len(PALETTE)} kinds of event apart, got {len(kinds)}: {kinds}")
    first, last = rows[0].year, rows[-1].year
    heights = np.linspace(0, 1, len(rows))  # of the texts; the years go by (year − first) / (last − first)
    with style():
        figure, ax = canvas(size=(9.0, 0.8 + 0.31 * len(rows)))
        ax.plot([0, 0], [0, 1], color=GREY, lw=1.2, zorder=1)
        for decade in range(int(np.ceil(first / 10)) * 10, int(last) + 1, 10):
            ax.annotate(
                str(decade), (0, (decade - first) / (last - first)), xytext=(-8, 0), textcoords="offset points",
                ha="right", va="center", fontsize=8.5, color=GREY,
            )  # fmt: skip
        for event, height in zip(rows, heights):
            at, of = (event.year - first) / (last - first), kinds.index(event.kind)
            ax.plot([0, 0.13, 0.16], [at, height, height], color=PALETTE[of], lw=0.9, alpha=0.6, zorder=1)
            ax.plot(0, at, MARKERS[of], color=PALETTE[of], ms=6, zorder=2)
            ax.text(0.17, height, f"{event.year:g}", va="center", fontsize=9, color=INK)
            ax.text(0.23, height, event.who, va="center", fontsize=9, color=INK, fontweight="bold")
            ax.text(0.5, height, event.what, va="center", fontsize=9, color=INK)
        for i, kind in enumerate(kinds):
            ax.plot([], [], MARKERS[i], color=PALETTE[i], label=kind)
        ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.005), ncols=len(kinds), handletextpad=0.2, borderaxespad=0)
        ax.set(xlim=(-0.06, 1.0), ylim=(1.03, -0.03))
        ax.set_axis_off()
        ax.set_title(title)
    return describe(figure, alt)
