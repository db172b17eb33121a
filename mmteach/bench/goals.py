"""What the benchmarks are asked to reach, and what the pages in a folder say they reached.

| name    | what it is for                                                    |
|---------|---------------------------------------------------------------------|
| `Goal`  | a bound on one figure of one suite                                  |
| `GOALS` | all of them                                                         |
| `page`  | the table of goals, each with the figure of its suite's last run    |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmteach.bench.report import Cell, Table, markdown

NO_TRAINING = ("02", "03", "06", "07")  # exercises in which no task's own cells train for longer than a moment
Row = dict[str, Any]
Rows = Callable[[str], list[Row]]  # the rows of all tables whose title begins so


@dataclass(frozen=True)
class Goal:
    """`figure(rows)` should be at least (or at most) `bound`; it is None where nothing was measured to judge by."""

    suite: str
    says: str
    bound: float
    figure: Callable[[Rows], float | None]
    at_most: bool = False

    def row(self, kept: dict[str, Any] | None) -> dict[str, Cell]:
        """The goal's line; kept: what the suite's JSON file holds, None where there is none."""
        reached = None
        if kept is not None:
            reached = self.figure(
                lambda title: [
                    row for table in kept["tables"] if table["title"].startswith(title) for row in table["rows"]
                ]
            )
        holds = None if reached is None else reached <= self.bound if self.at_most else reached >= self.bound
        return {
            "what": self.says, "command": f"mmteach bench {self.suite}",
            "asked": f"{'≤' if self.at_most else '≥'} {self.bound:g}", "reached": reached,
            "holds": {None: "not measured", True: "yes", False: "no"}[holds],
            "measured": kept["made"]["date"] if kept else None,
        }  # fmt: skip


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _keras(precision: str, column: str) -> Callable[[Rows], float | None]:
    return lambda rows: _least(
        row[column] for row in rows("A training step") if row["who"] != "mmteach" and row["precision"] == precision
    )


def _worst_ratio(title: str, rival: str = "") -> Callable[[Rows], float | None]:
    return lambda rows: _least(row.get("rival / ours") for row in rows(title) if rival in row["rival"])


def _waiting(rows: Rows) -> float | None:
    """Per cent of the course's wall time that goes into starting warm kernels with torch."""
    warm = [row["median, s"] for row in rows("Before") if "warm" in row["what"]]
    walls = [row["wall, s"] for row in rows("The chapters") if row["chapter"] != "all"]
    return 100 * warm[0] * len(walls) / sum(walls) if warm and walls else None


GOALS = (
    Goal("classic", "a step, Keras in bf16 / ours in bf16, at the worse size", 3.0, _keras("bf16", "times ours")),
    Goal("classic", "a step, Keras in float32 / ours in bf16, at the worse size", 3.0, _keras("fp32", "times ours in bf16")),
    Goal("classic", "a step, Keras in float32 / ours in float32, at the worse size", 1.0, _keras("fp32", "times ours")),
    Goal("methods", "fusions: rival / ours, the slowest", 0.9, _worst_ratio("Fusions")),
    Goal("methods", "losses: rival / ours, the slowest", 0.9, _worst_ratio("Losses")),
    Goal("methods", "gradient methods: TorchJD / ours, the slowest", 0.9, _worst_ratio("Gradient methods", "TorchJD")),
    Goal("training", "drawing a batch, % of a step, the most", 3.0,
         lambda rows: _most(row["drawing, % of a step"] for row in rows("The chapters' models")), at_most=True),
    Goal("training", "one process / two, a step", 1.6, lambda rows: _least(row["one / two"] for row in rows("Two processes"))),
    Goal("notebooks", "all chapters, minutes", 12.0,
         lambda rows: _most(row["wall, s"] / 60 for row in rows("The chapters") if row["chapter"] == "all"), at_most=True),
    Goal("notebooks", "starts of warm kernels, % of the chapters' time", 10.0, _waiting, at_most=True),
    Goal("grading", "submissions a second where no task trains, the least", 15.0,
         lambda rows: _least(row["a second"] for row in rows("A class") if row["exercise"].startswith(NO_TRAINING))),
    Goal("grading", "nbgrader / ours, seconds a submission, the least", 30.0,
         lambda rows: _least(row.get("nbgrader / ours") for row in rows("A class"))),
    Goal("gpu", "ours, share of the matrix limit, %, the better of plain and compiled", 45.0,
         lambda rows: _most(row.get("share of the limit, %") for row in rows("A dual") if row["who"].startswith("ours"))),
)  # fmt: skip


def page(folder: Path) -> str:
    """All goals as a page, by the SUITE.json files in a folder."""
    kept: dict[str, Any] = {}
    for suite in {goal.suite for goal in GOALS}:
        file = folder / f"{suite}.json"
        kept[suite] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    says = "Of each figure the worst of its table. The suites' own pages say how it was measured and on what."
    return markdown("goals", [Table("Asked and reached", says, [goal.row(kept[goal.suite]) for goal in GOALS])], {})
