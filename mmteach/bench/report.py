"""What a suite measured, as a page to read and as data.

| name       | what it is for                                                       |
|------------|------------------------------------------------------------------------|
| `Table`    | a title, how it was measured, and rows of cells by column                |
| `machine`  | what it was measured on, with which versions, when, and by which command |
| `markdown` | the page of a suite                                                      |
| `as_data`  | the same as plain data, for JSON                                         |
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Cell = str | float | None  # None: it was not measured


@dataclass
class Table:
    """Rows of cells by column; the columns are those of all rows, in the order in which they first come.

    title: what is compared;  says: how it was measured, in a sentence or two, with what it leaves out
    """

    title: str
    says: str
    rows: list[dict[str, Cell]]


PACKAGES = (
    "torch",
    "keras",
    "tensorflow",
    "jax",
    "torchmetrics",
    "torchjd",
    "open_clip_torch",
    "nbgrader",
    "otter-grader",
)


def machine(command: str) -> dict[str, str]:
    """The machine, the versions, the date and the command of what is about to be measured."""
    import torch

    from mmteach.claims import scale
    from mmteach.training import precision_for

    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "command": f"{command} at scale {scale()}",
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads used, {platform.system()}",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load when it began": f"{load} (above a few tenths, others were at work, and the figures are trials)",
        "precision chosen on the CPU": precision_for("cpu"),
        "versions": ", ".join([f"Python {platform.python_version()}", *_versions()]),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _versions() -> list[str]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return found


def markdown(suite: str, tables: Sequence[Table], made: dict[str, str]) -> str:
    """The page: a heading, what it was made with, then a section a table."""
    lines = [f"# Benchmark: {suite}", "", *(f"- {name}: {value}" for name, value in made.items()), ""]
    for table in tables:
        lines += [f"## {table.title}", "", table.says, ""]
        columns = list(dict.fromkeys(column for row in table.rows for column in row))
        if not columns:
            continue
        numeric = [all(not isinstance(row.get(c), str) for row in table.rows) for c in columns]
        lines += [_line(columns), _line(["--:" if number else "---" for number in numeric])]
        lines += [_line([_words(row.get(column)) for column in columns]) for row in table.rows] + [""]
    return "\n".join(lines)


def as_data(tables: Sequence[Table], made: dict[str, str]) -> dict[str, Any]:
    """{"made": …, "tables": [{"title", "says", "rows"}, …]}"""
    return {"made": made, "tables": [asdict(table) for table in tables]}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(cell: Cell) -> str:
    """A cell: words as they are, a number with three digits that count, a dash where there is none.

    >>> [_words(cell) for cell in (None, "torch", 1234.5, 0.01234, 3.0, 12)]
    ['–', 'torch', '1,234', '0.0123', '3', '12']
    """
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell.replace("|", "\\|")
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
