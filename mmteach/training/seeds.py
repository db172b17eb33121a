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

    experiment: seed → figures by name, e.g. {"auc": .9}, or figures by name for each of several models, e.g.
                {"image": {"auc": .8}, "both": {"auc": .9}}. It seeds what it draws itself (`seed_everything(seed)`,
                `fit(…, seed=seed)`). Models that share a seed (its split, its encoders) are paired: their differences have
                far less spread than the figures themselves.
    returns:    a pandas table with the columns "model" (where several came), "seed" and one a figure. `summary` turns
                it into mean ± half the 95 % interval.
    Raises ValueError where `seeds` is empty.

    >>> over_seeds(lambda seed: {"a": {"score": 0.5 + seed}, "b": {"score": 0.25}}, [0, 1])
      model  seed  score
    0     a     0   0.50
    1     b     0   0.25
    2     a     1   1.50
    3     b     1   0.25
    """
    import pandas as pd

    if len(seeds) == 0:
        raise ValueError("over_seeds needs at least one seed, got none")
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
    With one seed there is no interval, and the figure stands alone. The interval of the mean is Student's
    (`mmteach.metrics.mean_interval`): t_{n−1} s / √n on either side.
    Raises ValueError where the table has no column of figures.

    >>> import pandas as pd
    >>> summary(pd.DataFrame({"model": ["a"] * 3, "seed": [0, 1, 2], "auc": [0.80, 0.82, 0.84]})).auc["a"]
    '0.820 ± 0.050'
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
