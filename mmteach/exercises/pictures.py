"""Yours against the target: a picture says at once what a sentence about axes takes long to say.

| name     | what it draws                                              |
|----------|--------------------------------------------------------------|
| `tables` | two tables of numbers side by side, one output of a case      |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from mmteach.exercises.task import Expectation, Observed


def tables(output: str, across: str) -> Callable[[Expectation, Observed], Any]:
    """A task's `picture`: an output with two axes, an example a row, as it is and as it should be.

    None where it cannot be drawn, or where both are equal and the mistake is elsewhere.

    across: what stands side by side in a row, for the axis
    """

    def draw(expectation: Expectation, observed: Observed) -> Any:
        from mmteach import figures

        target, yours = expectation.right[output], observed.get("outputs", {}).get(output)
        if not (isinstance(yours, Tensor) and isinstance(target, Tensor) and yours.ndim == target.ndim == 2):
            return None
        target, yours = target.double(), yours.double()
        if not (yours.isfinite().all() and yours.numel()) or yours.equal(target):
            return None
        low, high = min(target.min(), yours.min()).item(), max(target.max(), yours.max()).item()
        fig, axes = figures.canvas(1, 2, size=(7.0, 2.6))
        for ax, table, title in zip(axes, (yours, target), ("yours", "the target")):
            image = ax.imshow(table, aspect="auto", cmap="cividis", vmin=low, vmax=high if high > low else low + 1)
            ax.set(title=f"{title}: {table.shape[0]} × {table.shape[1]}", xlabel=across, ylabel="example")
            ax.locator_params(integer=True)
            ax.grid(visible=False)
        fig.colorbar(image, ax=axes, label="value")
        shape = f"{tuple(yours.shape)} against {tuple(target.shape)}"
        return figures.describe(
            fig,
            f"Two tables of numbers side by side, an example a row: what your answer gives and what is asked for, {shape}.",
        )

    return draw
