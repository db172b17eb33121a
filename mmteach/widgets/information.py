"""An information explorer: drag a joint distribution of two bits and a label, and watch what each tells.

| name                   | what it is                                                              |
|------------------------|-------------------------------------------------------------------------|
| `information_explorer` | the widget                                                              |
| `small_world`          | its joint table: how often x1 = x2, and p(y = 1) for each pair (x1, x2)  |
| `PRESETS`              | settings of the dials that give AND, OR, XOR, COPY and UNIQUE            |
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmteach import _check
from mmteach.diagnosis import best_accuracy, pid
from mmteach.figures import information, show

# same, then p(y = 1) where (x1, x2) is (0, 0), (0, 1), (1, 0), (1, 1)
PRESETS = {
    "AND": (0.5, 0.0, 0.0, 0.0, 1.0),
    "OR": (0.5, 0.0, 1.0, 1.0, 1.0),
    "XOR": (0.5, 0.0, 1.0, 1.0, 0.0),
    "COPY": (1.0, 0.0, 0.5, 0.5, 1.0),
    "UNIQUE": (0.5, 0.0, 0.0, 1.0, 1.0),
}


def small_world(same: float, y00: float, y01: float, y10: float, y11: float) -> np.ndarray:
    """The joint table p(x1, x2, y) of two fair bits that agree with probability `same`: (2, 2, 2).

    p(x1, x2, y = 1) = p(x1, x2) · y_{x1 x2},   p(0, 0) = p(1, 1) = same / 2,   p(0, 1) = p(1, 0) = (1 − same) / 2

    >>> small_world(0.5, 0, 1, 1, 0)[0, 1].tolist()
    [0.0, 0.25]
    """
    for name, value in {"same": same, "y00": y00, "y01": y01, "y10": y10, "y11": y11}.items():
        _check.between(name, value, 0, 1)
    pairs = np.array([[same, 1 - same], [1 - same, same]]) / 2
    one = np.array([[y00, y01], [y10, y11]])
    return np.stack([pairs * (1 - one), pairs * one], axis=2)


def information_explorer(start: str = "AND") -> Any:
    """The explorer: five dials of a small world; below them its decomposition and the best accuracy that is possible.

    start: one of the presets, AND, OR, XOR, COPY, UNIQUE
    Returns a widget. Tab moves between the dials, the arrow keys turn them.
    """
    import ipywidgets as w
    from IPython.display import clear_output

    _check.choice("start", start, tuple(PRESETS))
    label = {"description_width": "190px"}
    preset = w.Dropdown(options=list(PRESETS), value=start, description="Start from", style=label)
    names = ["how often x1 = x2", *(f"p(y = 1) where x1, x2 = {a}, {b}" for a in (0, 1) for b in (0, 1))]
    dials = [
        w.FloatSlider(
            value=value,
            min=0,
            max=1,
            step=0.05,
            description=name,
            continuous_update=False,
            style=label,
            layout=w.Layout(width="480px"),
        )
        for name, value in zip(names, PRESETS[start])
    ]

    def draw(same: float, y00: float, y01: float, y10: float, y11: float) -> None:
        table = small_world(same, y00, y01, y10, y11)
        show(information({"this world": pid(table, tolerance=1e-6, steps=2000)}, title="What the two tell about y"))
        best = {"x1": best_accuracy(table.sum(1)), "x2": best_accuracy(table.sum(0)), "both": best_accuracy(table)}
        blind = best_accuracy(table.sum((0, 1)))
        print(f"Best accuracy from nothing {blind:.2f}, " + ", ".join(f"from {m} {a:.2f}" for m, a in best.items()))

    shown = w.Output()

    def refresh(change: object = None) -> None:
        if not turning:
            with shown:
                clear_output(wait=True)
                draw(*(dial.value for dial in dials))

    turning: list[bool] = []  # not empty while a preset turns the dials: they are drawn once, when all have arrived

    def chosen(change: Any) -> None:
        turning.append(True)
        for dial, value in zip(dials, PRESETS[preset.value]):
            dial.value = value
        turning.clear()
        refresh()

    preset.observe(chosen, names="value")
    for dial in dials:
        dial.observe(refresh, names="value")
    refresh()
    return w.VBox([preset, *dials, shown])
