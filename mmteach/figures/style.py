"""One look for every figure: a quiet page, one palette that colour-blind readers can tell apart, alt text that travels along.

The palette starts from Okabe & Ito's (2008, "Color Universal Design") and moves its colours apart until all six differ for
readers with deuteranopia, protanopia and tritanopia (a test measures it). Each modality has the same colour everywhere, so
that a reader who has met image = blue once knows it in every chapter.
"""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#2F4FC0", "#C85200", "#009276", "#7A2463", "#F0A80A", "#9CBCC4"
INK, GREY, PAPER = "#22272E", "#6B7280", "#FFFFFF"
PALETTE = [BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY]

# What each modality, and the models built on it, are drawn in.
COLOURS = {
    "image": BLUE,
    "text": VERMILION,
    "audio": GREEN,
    "video": ORANGE,
    "both": PURPLE,
    "fused": PURPLE,
    "late": SKY,
    "train": GREY,
    "valid": BLUE,
    "test": VERMILION,
    "chance": GREY,
}
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]

_SCREEN = 100  # pixels an inch on the page
_SHARP = 1.6  # drawn with so many times more, for screens that show them

_STYLE: dict[Any, Any] = {
    "figure.dpi": _SCREEN,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.bbox": "tight",
    "axes.facecolor": PAPER,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E7EB",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "font.size": 10,
    "figure.constrained_layout.use": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib in the course's look, inside a `with` block; the reader's own settings come back afterwards."""
    import matplotlib as mpl
    from cycler import cycler

    with mpl.rc_context({**_STYLE, "axes.prop_cycle": cycler(color=PALETTE)}):
        yield


def use_style() -> None:
    """Matplotlib in the course's look from here on; a chapter's first cell calls it."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update({**_STYLE, "axes.prop_cycle": cycler(color=PALETTE)})


def canvas(
    rows: int = 1, columns: int = 1, size: tuple[float, float] | None = None, **settings: Any
) -> tuple[Figure, Any]:
    """An empty figure in the course's look: (figure, axes) as `plt.subplots` gives them.

    size: (width, height) in inches; the default suits a laptop's notebook column, about 9 inches wide.
    """
    import matplotlib.pyplot as plt

    with style():
        return plt.subplots(rows, columns, figsize=size or (min(9.0, 4.5 * columns), 3.2 * rows), **settings)


@dataclass
class Picture:
    """A figure and its alt text, shown together: a notebook keeps the text in the output, where screen readers find it.

    alt: one or two sentences that say what a seeing reader takes from the figure
    """

    figure: Figure
    alt: str

    def save(self, path: str | Path) -> None:
        """Write the figure to a PNG, SVG or PDF file with the alt text as its description."""
        title = {"Description": self.alt} if str(path).endswith((".png", ".svg")) else None
        self.figure.savefig(path, metadata=title)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=_SHARP * _SCREEN, metadata={"Software": None})
        data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": f"Figure: {self.alt}"}
        width = int.from_bytes(buffer.getvalue()[16:20], "big") / _SHARP  # a PNG says its width in bytes 16 to 19
        return data, {"image/png": {"alt": self.alt, "width": round(width)}}


def describe(figure: Figure, alt: str) -> Picture:
    """The figure with its alt text, to stand as a cell's last line; raises ValueError where the text says nothing."""
    import matplotlib.pyplot as plt

    alt = " ".join(alt.split())
    if len(alt) < 20:
        raise ValueError(f"alt text must say what the figure shows, got only {alt!r}")
    plt.close(figure)  # shown as the cell's result, not a second time by the notebook's own figure display
    return Picture(figure, alt)


def show(picture: Picture) -> None:
    """Show a picture in the middle of a cell."""
    from IPython.display import display

    display(picture)
