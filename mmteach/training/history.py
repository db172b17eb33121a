"""What a training run leaves behind: a row an epoch, the best epoch, and its learning curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from mmteach.figures import Picture


@dataclass
class History:
    """One row an epoch; `history[-1]["train_loss"]` is the last training loss, `history.best` the epoch that was kept.

    rows:    {"epoch", "step", "seconds", "train_loss", and what `metric` returned with "valid_" before it}
    monitor: the column that chose the best epoch, e.g. "valid_loss"
    best:    index of the best row, or None where nothing was monitored
    stopped: why the run ended: "all epochs", or "no better for N epochs"
    """

    monitor: str | None = None
    rows: list[dict[str, float]] = field(default_factory=list)
    best: int | None = None
    stopped: str = "all epochs"

    def __getitem__(self, index: int) -> dict[str, float]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def seconds(self) -> float:
        """Wall time of the whole run, validation included."""
        return self.rows[-1]["seconds"] if self.rows else 0.0

    def column(self, name: str) -> list[float]:
        """One figure over the epochs, e.g. `history.column("valid_loss")`."""
        if not self.rows or name not in self.rows[0]:
            raise KeyError(f"no column {name!r}; there are {list(self.rows[0]) if self.rows else []}")
        return [row[name] for row in self.rows]

    def frame(self) -> pd.DataFrame:
        """The rows as a pandas table."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def plot(self, title: str = "Learning curves") -> Picture:
        """Training and validation curves over the epochs, the kept epoch marked."""
        from mmteach import figures

        return figures.learning_curves(self, title=title)

    def __repr__(self) -> str:
        if not self.rows:
            return "History: not trained yet"
        row = self.rows[self.best if self.best is not None else -1]
        figures = ", ".join(f"{k} {v:.3g}" for k, v in row.items() if k not in ("epoch", "step", "seconds"))
        where = "best" if self.best is not None else "last"
        ran = f"{len(self.rows)} epochs in {self.seconds:.1f} s ({self.stopped})"
        return f"History: {ran}; {where} epoch {row['epoch']:.0f}: {figures}"
