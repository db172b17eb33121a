"""Suite: what grading a class costs: ours, and nbgrader's autograde on some of the same submissions.

| name         | what it is for                                                                         |
|--------------|------------------------------------------------------------------------------------------|
| `a_class`    | a realistic mix over all exercises: solved, half done, untouched, damaged, without end   |
| `ours`       | the class graded by `mmteach grade`'s workers                                            |
| `autograde`  | some of it graded by nbgrader                                                            |
"""

from __future__ import annotations

import importlib.util
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

from mmteach.bench.report import Cell, Table
from mmteach.claims import pick
from mmteach.course.paths import find_course
from mmteach.grading import batch
from mmteach.grading.assignment import Assignment
from mmteach.grading.client import Settings
from mmteach.grading.grade import Rules

MIX = (
    ("solved", 40),
    ("half done", 30),
    ("untouched", 12),
    ("no metadata", 6),
    ("moved", 6),
    ("an error", 5),
    ("a loop", 1),
)


def tables() -> list[Table]:
    """The class, an exercise a row."""
    root = find_course().root
    names = sorted(path.stem for path in (root / "exercises").glob("*.ipynb"))
    names = [name for name in names if (root / "solutions" / f"{name}.ipynb").is_file()]
    names, count, some = pick(
        smoke=(names[:1], 2, 0), laptop=(names, 72 * len(names), 2), gpu=(names, 144 * len(names), 2)
    )
    workers = os.cpu_count() or 1
    classes = a_class(root, names, count)
    endless = [(name, one) for name, todo in classes.items() for one in todo if "loop" in one[0]]
    memory = Memory()
    memory.start()
    rows: list[dict[str, Cell]] = []
    for name, everyone in classes.items():
        todo = [one for one in everyone if "loop" not in one[0]]
        mine = ours(root, name, todo, workers) / len(todo)
        asked = todo[:some] if importlib.util.find_spec("nbgrader") else []
        stock = autograde(root, name, asked)[0] / len(asked) if asked else None
        rows.append({
            "exercise": name, "submissions": len(todo), "a second": 1 / mine, "ours, s each": mine,
            "nbgrader, s each": stock, "nbgrader / ours": None if stock is None else stock / mine,
        })  # fmt: skip
    memory.done.set()
    ended = sum(int(row["submissions"] or 0) for row in rows)
    each = sum(float(row["ours, s each"] or 0) * float(row["submissions"] or 0) for row in rows) / ended
    rows.append({"exercise": "all", "submissions": ended, "a second": 1 / each, "ours, s each": each})
    mix = ", ".join(f"{weight} % {kind}" for kind, weight in MIX)
    return [
        Table(
            "A class graded",
            f"{count} submissions: {mix}. Ours: {workers} workers, in the sandbox, after the servers have started, without "
            f"the {len(endless)} that never end; at most {memory.most / 2**30:.2f} GB in all processes. nbgrader: `autograde` "
            f"without a sandbox, one process, {some} of each exercise in a batch, its start included. {_otter()}",
            rows,
        ),
        *_without_end(root, endless),
    ]


def _without_end(root: Path, endless: list[tuple[str, tuple[str, bytes]]]) -> list[Table]:
    """What one submission with an endless loop takes: its task's time limit, and the others' cells once more."""
    if not endless:
        return []
    name, one = endless[0]
    assignment = Assignment.read(root / "exercises" / f"{name}.ipynb")
    worker = batch.Worker(batch.Job(assignment, Rules(1), Settings().of(assignment)))
    try:
        result = worker.one(one[1])
    finally:
        worker.close()
    row: dict[str, Cell] = {"exercise": name, "s of one worker": result["seconds"], "status": result["status"]}
    return [Table("A submission that never ends", f"One of the {len(endless)} of the class above.", [row])]


def _otter() -> str:
    there = importlib.util.find_spec("otter") is not None
    return "Otter reads tests of another format and is not compared." if there else "Otter is not installed."


def load(root: Path, folder: str, name: str) -> dict[str, Any]:
    """A notebook of the course, each cell's source in one piece."""
    tree = json.loads((root / folder / f"{name}.ipynb").read_text(encoding="utf-8"))
    for cell in tree["cells"]:
        cell["source"] = "".join(cell["source"])
    return tree


def answers(tree: dict[str, Any]) -> list[int]:
    """Which cells hold a student's own code."""
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


def a_class(root: Path, names: list[str], count: int) -> dict[str, list[tuple[str, bytes]]]:
    """By assignment, (student, notebook) pairs."""
    draw, kinds, weights = random.Random(0), [k for k, _ in MIX], [w for _, w in MIX]
    trees = {name: (load(root, "solutions", name), load(root, "exercises", name)) for name in names}
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
        import psutil

        me = psutil.Process()
        while not self.done.wait(1.0):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.most = max(self.most, total)


def ours(root: Path, name: str, todo: list[tuple[str, bytes]], workers: int) -> float:
    """The seconds of grading these, without the start of the servers."""
    assignment = Assignment.read(root / "exercises" / f"{name}.ipynb")
    job = batch.Job(assignment, Rules(1), Settings().of(assignment))
    first = time.perf_counter()
    for number, _ in enumerate(batch.local(job, iter(todo), workers)):
        first = time.perf_counter() if number == 0 else first
    # The clock began with the first result, so it saw one submission fewer than there are.
    return (time.perf_counter() - first) * len(todo) / max(1, len(todo) - 1)


def autograde(root: Path, name: str, todo: list[tuple[str, bytes]]) -> tuple[float, dict[str, float | None]]:
    """nbgrader's autograde on these: (seconds, score by student; None where it gave none)."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder)
        (course / "nbgrader_config.py").write_text(
            "c = get_config()\nc.CourseDirectory.course_id = 'bench'\nc.ExecutePreprocessor.timeout = 60\n"
        )
        (course / "source" / name).mkdir(parents=True)
        shutil.copy(root / "exercises" / f"{name}.ipynb", course / "source" / name / f"{name}.ipynb")

        def call(*words: str) -> None:
            # nbgrader says 1 where one submission failed; its grades say which.
            subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=course, env=environment, capture_output=True)

        call("generate_assignment", name)
        for number, (_, data) in enumerate(todo):
            place = course / "submitted" / f"s{number}" / name
            place.mkdir(parents=True)
            (place / f"{name}.ipynb").write_bytes(data)
        started = time.perf_counter()
        call("autograde", name)
        seconds = time.perf_counter() - started
        scores = _scores(course, name)
        return seconds, {student: scores.get(f"s{number}") for number, (student, _) in enumerate(todo)}


def _scores(course: Path, name: str) -> dict[str, float]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        return {one.student.id: one.score for one in book.assignment_submissions(name)}
