"""Suite: what a learner waits for: imports, a kernel's start, and every chapter from its first cell to its last."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mmteach.bench import startup
from mmteach.bench.report import Cell, Table
from mmteach.claims import pick
from mmteach.course.paths import Course, find_course


def tables() -> list[Table]:
    """What comes before a chapter, then the chapters."""
    return [startup.table(), chapters(find_course())]


def chapters(course: Course) -> Table:
    """Every chapter once by `mmteach run`, a process each: wall, CPU, the kernel's memory."""
    notebooks = course.chapters()[: pick(smoke=1, laptop=None, gpu=None)]
    rows: list[dict[str, Cell]] = []
    for path in notebooks:
        wall, cpu, result = _run(course, path.stem)
        peak = result["peak_bytes"]
        rows.append({
            "chapter": path.stem, "ran": "yes" if result["ok"] else "a cell raised", "wall, s": wall, "CPU, s": cpu,
            "cores used": cpu / wall, "peak memory, MB": None if peak is None else peak / 2**20,
            "claims": f"{sum(claim['holds'] for claim in result['claims'])} of {len(result['claims'])}",
        })  # fmt: skip
    total: dict[str, Cell] = {
        "chapter": "all", "ran": "", "wall, s": sum(float(row["wall, s"] or 0) for row in rows),
        "CPU, s": sum(float(row["CPU, s"] or 0) for row in rows), "claims": "",
    }  # fmt: skip
    return Table(
        "The chapters",
        "`mmteach run CHAPTER`, once each, one after another: the start of Python and of a kernel are in the time.",
        [*rows, total],
    )


def _run(course: Course, name: str) -> tuple[float, float, dict[str, Any]]:
    """(wall seconds, CPU seconds, the row that `mmteach run --json` writes) of one chapter."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.json"
        before, started = _children(), time.perf_counter()
        command = [sys.executable, "-m", "mmteach", "run", name, "--json", str(file)]
        subprocess.run(command, cwd=course.root, capture_output=True)  # its exit code is in the file
        wall = time.perf_counter() - started
        (row,) = json.loads(file.read_text(encoding="utf-8"))["notebooks"]
    return wall, _children() - before, row


def _children() -> float:
    """CPU seconds of all ended processes below this one."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0.0
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
