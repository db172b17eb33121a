"""An experiment on several seeds: what one run shows by luck, many runs show for what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from mmteach.training.loop import _show

if TYPE_CHECKING:
    import pandas as pd


def over_seeds(
    experiment: Callable[[int], dict[str, float] | dict[str, dict[str, float]]],
    seeds: Sequence[int],
    progress: bool = True,
) -> pd.DataFrame:
    """Run `experiment(seed)` for each seed and return every figure as a table, one row a seed and model.

    experiment: seed → figures by name, or figures by name for each of several models, e.g.
                {"image": {"auc": .8}, "both": {"auc": .9}}. Models that share a seed (its split, its encoders) are paired:
                their differences have far less spread than the figures themselves.
    returns:    a pandas table with the columns "model" (where several came), "seed" and one a figure. `summary` turns
                it into mean ± 95 % interval.
    """
    import pandas as pd

    if not seeds:
        raise ValueError("over_seeds needs at least one seed")
    rows = []
    for seed in tqdm(seeds, unit="seed", delay=1, leave=False, disable=not (progress and _show())):
        figures = experiment(seed)
        if all(isinstance(value, dict) for value in figures.values()):
            rows += [{"model": model, "seed": seed, **own} for model, own in figures.items()]  # type: ignore[dict-item]
        else:
            rows.append({"seed": seed, **figures})
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame, by: str = "model", digits: int = 3) -> pd.DataFrame:
    """Each model's figures as "mean ± half the 95 % interval" in words, one row a model, in the order they came.

    table: as `over_seeds` returns it, or any table with the columns `by` and "seed"; the other columns of numbers are summed up
    With one seed there is no interval, and the figure stands alone.
    """

    from mmteach.metrics import mean_interval

    def words(values: pd.Series) -> str:
        mean = values.mean()
        if len(values) < 2:
            return f"{mean:.{digits}f}"
        return f"{mean:.{digits}f} ± {mean - mean_interval(values).low:.{digits}f}"

    figures = [c for c in table.select_dtypes("number").columns if c not in (by, "seed")]
    if not figures:
        raise ValueError(f"the table has no column of figures to sum up, only {list(table.columns)}")
    if by not in table:
        table = table.assign(**{by: "all"})
    return table.groupby(by, sort=False)[figures].agg(words)
