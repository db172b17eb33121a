"""What hostile submissions are given: by our grader, and by nbgrader without a sandbox. Writes benchmarks/hostile.md.

usage: python benchmarks/hostile.py [EXERCISE]

Only those kinds of the tests' hostile corpus that cannot hurt a machine without a sandbox.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mmteach.bench.grading import autograde, load
from mmteach.bench.report import Cell, Table, machine, markdown
from mmteach.grading import batch
from mmteach.grading.assignment import Assignment
from mmteach.grading.client import Settings
from mmteach.grading.grade import Rules

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "grading"))

from hostile import KINDS  # noqa: E402

# Of the hostile corpus, what may run without a sandbox: it only patches, prints, exits, or is no notebook.
HARMLESS = (
    "prints on stderr", "patches torch.allclose", "patches builtins", "replaces IPython's insides", "replaces check",
    "exits in a cell", "interrupts", "a cell that is no Python", "stripped metadata", "tests deleted", "all in one cell",
    "backwards", "os._exit", "exits when called", "equal to everything", "replaces observe and judge",
    "claims a million points", "tests that pass by themselves", "empty file", "cut in half", "a picture",
)  # fmt: skip


def hostile(name: str) -> None:
    """The harmless kinds of the hostile corpus on both: what each gives, and what is deserved."""
    solved = load(ROOT, "solutions", name)
    assignment = Assignment.read(ROOT / "exercises" / f"{name}.ipynb")
    points = [item.points for item in assignment.items if item.kind == "oracle"]
    first = next(item for item in assignment.items if item.kind == "oracle")
    deserved = {"all": sum(points), "rest": sum(points[1:]), "nothing": 0.0}
    kinds = [kind for kind in KINDS if kind.name in HARMLESS]
    todo = []
    for kind in kinds:
        made = kind.make(json.loads(json.dumps(solved["cells"])), first.answer)
        tree = {**solved, "cells": made}
        todo.append((kind.name, made if isinstance(made, bytes) else json.dumps(tree).encode()))
    job = batch.Job(assignment, Rules(1), Settings().of(assignment))
    mine = {key: result["score"] for key, result in batch.local(job, iter(todo), 2)}
    _, theirs = autograde(ROOT, name, todo)
    rows: list[dict[str, Cell]] = [
        {
            "submission": kind.name, "deserves": deserved[kind.keeps], "ours": mine[kind.name],
            "nbgrader": "no grade" if theirs[kind.name] is None else theirs[kind.name],
        }
        for kind in kinds
    ]  # fmt: skip
    right = {tool: sum(row[tool] == row["deserves"] for row in rows) for tool in ("ours", "nbgrader")}
    says = (
        f"Points for {name}, solved and then spoilt: {len(kinds)} of the {len(KINDS)} kinds of the tests' hostile corpus, "
        f"those that cannot hurt a machine without a sandbox. As deserved: ours {right['ours']}, nbgrader {right['nbgrader']}. "
        "nbgrader ran `autograde` with the tests that stand in the exercise."
    )
    table = Table("Hostile submissions", says, rows)
    page = markdown("hostile", [table], machine(f"python benchmarks/hostile.py {name}"))
    (ROOT / "benchmarks" / "hostile.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    hostile(sys.argv[1] if len(sys.argv) > 1 else "01_background")
