"""What grading a class costs: ours, and nbgrader's autograde on some of the same submissions.

usage: python benchmarks/grading.py [--submissions 500] [--workers 2] [--nbgrader 3] [--hostile] [--only 01_background]

The class is a realistic mix over all exercises: solved, half done, untouched, metadata lost, cells moved, an error in a cell,
and one in a hundred that loops for ever. With --hostile the stock tool is also given those kinds of the hostile corpus of
the tests that cannot hurt a machine without a sandbox.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from mmteach.grading import batch
from mmteach.grading.assignment import Assignment
from mmteach.grading.client import Settings
from mmteach.grading.grade import Rules

ROOT = Path(__file__).parents[1]
MIX = (
    ("solved", 40),
    ("half done", 30),
    ("untouched", 12),
    ("no metadata", 6),
    ("moved", 6),
    ("an error", 5),
    ("a loop", 1),
)
# Of the hostile corpus, what may run without a sandbox: it only patches, prints, exits, or is no notebook.
HARMLESS = (
    "prints on stderr", "patches torch.allclose", "patches builtins", "replaces IPython's insides", "replaces check",
    "exits in a cell", "interrupts", "a cell that is no Python", "stripped metadata", "tests deleted", "all in one cell",
    "backwards", "os._exit", "exits when called", "equal to everything", "replaces observe and judge",
    "claims a million points", "tests that pass by themselves", "empty file", "cut in half", "a picture",
)  # fmt: skip


def load(folder: str, name: str) -> dict[str, Any]:
    tree = json.loads((ROOT / folder / f"{name}.ipynb").read_text(encoding="utf-8"))
    for cell in tree["cells"]:
        cell["source"] = "".join(cell["source"])
    return tree


def answers(tree: dict[str, Any]) -> list[int]:
    marks = [(i, cell["metadata"].get("nbgrader", {})) for i, cell in enumerate(tree["cells"])]
    return [i for i, mark in marks if mark.get("solution") and not mark.get("grade")]


def submission(kind: str, solved: dict[str, Any], blank: dict[str, Any], draw: random.Random) -> bytes:
    """One notebook of a kind."""
    tree = json.loads(json.dumps(blank if kind == "untouched" else solved))
    cells, own = tree["cells"], answers(tree)
    if kind == "half done":
        for i in draw.sample(own, max(1, len(own) // 2)):
            cells[i]["source"] = blank["cells"][i]["source"]
    elif kind == "no metadata":
        for cell in cells:
            cell["metadata"] = {}
    elif kind == "moved":
        cells.insert(draw.randrange(len(cells)), cells.pop(draw.choice(own)))
    elif kind == "an error":
        cells[draw.choice(own)]["source"] += "\nundefined_name"
    elif kind == "a loop":
        cells[draw.choice(own)]["source"] = "while True:\n    pass"
    return json.dumps(tree).encode()


def a_class(names: list[str], count: int) -> dict[str, list[tuple[str, bytes]]]:
    """By assignment, (student, notebook) pairs."""
    draw, kinds, weights = random.Random(0), [k for k, _ in MIX], [w for _, w in MIX]
    trees = {name: (load("solutions", name), load("exercises", name)) for name in names}
    found: dict[str, list[tuple[str, bytes]]] = {name: [] for name in names}
    for number in range(count):
        name = names[number % len(names)]
        kind = draw.choices(kinds, weights)[0]
        found[name].append((f"s{number:03} {kind}", submission(kind, *trees[name], draw)))
    return found


class Memory(threading.Thread):
    """The most memory that this process and all below it had together (shared pages counted once)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.done = 0, threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self.done.wait(1.0):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.most = max(self.most, total)


def ours(classes: dict[str, list[tuple[str, bytes]]], workers: int) -> tuple[float, float, dict[str, float]]:
    """(seconds without the start of the servers, peak bytes, seconds by assignment)."""
    memory = Memory()
    memory.start()
    by_name: dict[str, float] = {}
    scores: dict[str, list[float]] = {}
    for name, todo in classes.items():
        assignment = Assignment.read(ROOT / "exercises" / f"{name}.ipynb")
        job = batch.Job(assignment, Rules(1), Settings().of(assignment))
        started = first = time.perf_counter()
        for number, (student, result) in enumerate(batch.local(job, iter(todo), workers)):
            first = time.perf_counter() if number == 0 else first
            kind = student.split(" ", 1)[1]
            automatic = sum(item["points"] for item in result["items"] if item["kind"] == "oracle")
            scores.setdefault(kind, []).append(result["score"] / automatic)
        by_name[name] = time.perf_counter() - first
        print(f"  {name:20}{len(todo):5} in {by_name[name]:6.1f} s after {first - started:.1f} s of starting")
    memory.done.set()
    print("  mean share of the points: " + ", ".join(f"{k} {sum(v) / len(v):.2f}" for k, v in sorted(scores.items())))
    return sum(by_name.values()), memory.most, by_name


def autograde(name: str, todo: list[tuple[str, bytes]]) -> tuple[float, dict[str, float | None]]:
    """nbgrader's autograde on these: (seconds, score by student; None where it gave none)."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "nbgrader_config.py").write_text(
            "c = get_config()\nc.CourseDirectory.course_id = 'bench'\nc.ExecutePreprocessor.timeout = 60\n"
        )
        (root / "source" / name).mkdir(parents=True)
        shutil.copy(ROOT / "exercises" / f"{name}.ipynb", root / "source" / name / f"{name}.ipynb")

        def call(*words: str) -> None:
            # nbgrader says 1 where one submission failed; its grades say which.
            subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=root, env=environment, capture_output=True)

        call("generate_assignment", name)
        for number, (_, data) in enumerate(todo):
            place = root / "submitted" / f"s{number}" / name
            place.mkdir(parents=True)
            (place / f"{name}.ipynb").write_bytes(data)
        started = time.perf_counter()
        call("autograde", name)
        seconds = time.perf_counter() - started
        scores = _scores(root, name)
        return seconds, {student: scores.get(f"s{number}") for number, (student, _) in enumerate(todo)}


def _scores(root: Path, name: str) -> dict[str, float]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        return {one.student.id: one.score for one in book.assignment_submissions(name)}


def hostile(name: str) -> None:
    """The harmless kinds of the hostile corpus on both: what each gives, and what is deserved."""
    sys.path.insert(0, str(ROOT / "tests" / "grading"))
    from hostile import KINDS

    solved = load("solutions", name)
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
    _, theirs = autograde(name, todo)
    print(
        f"\n{name}: hostile submissions that are harmless without a sandbox\n"
        f"{'kind':34}{'deserves':>9}{'ours':>7}{'nbgrader':>10}"
    )
    for kind in kinds:
        stock = "no grade" if theirs[kind.name] is None else f"{theirs[kind.name]:g}"
        print(f"{kind.name:34}{deserved[kind.keeps]:9g}{mine[kind.name]:7g}{stock:>10}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time grading a class.")
    parser.add_argument("--submissions", type=int, default=500, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--nbgrader", type=int, default=3, metavar="N", help="of these per exercise, 0 for none")
    parser.add_argument("--hostile", action="store_true", help="compare scores on hostile submissions")
    parser.add_argument("--only", action="append", metavar="NAME", help="this exercise alone (repeatable)")
    args = parser.parse_args()
    names = args.only or sorted(path.stem for path in (ROOT / "exercises").glob("*.ipynb"))
    classes = a_class(names, args.submissions)
    print(f"{args.submissions} submissions to {', '.join(names)}, {args.workers} workers")
    seconds, most, by_name = ours(classes, args.workers)
    print(f"ours: {args.submissions / seconds:.1f} a second, peak memory {most / 2**30:.2f} GB")
    if args.nbgrader:
        spent = mine = 0.0
        for name, todo in classes.items():
            some = [one for one in todo if "loop" not in one[0]][: args.nbgrader]
            took, _ = autograde(name, some)
            spent, mine = spent + took / len(some), mine + by_name[name] / len(todo)
        print(
            f"nbgrader: {spent / len(names):.2f} s a submission, ours {mine / len(names):.3f} s: {spent / mine:.0f} times"
        )
    if args.hostile:
        hostile(names[0])


if __name__ == "__main__":
    main()
