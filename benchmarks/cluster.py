"""A class graded over Dask by one worker and by two, on loopback. Writes benchmarks/cluster.md.

usage: python benchmarks/cluster.py [EXERCISE [SUBMISSIONS]]

The same submissions take turns: one worker, two, one, two. The clock starts after the first results, so that the start of the
servers is hardly in it: where one starts later than that, two workers look slower than they are.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mmteach.bench.grading import a_class
from mmteach.bench.report import Cell, Table, machine, markdown
from mmteach.grading import batch, cluster
from mmteach.grading.assignment import Assignment
from mmteach.grading.client import Settings
from mmteach.grading.grade import Rules

ROOT = Path(__file__).parents[1]
FIRST = 16  # submissions before the clock starts
ROUNDS = 3


@contextlib.contextmanager
def dask(workers: int) -> Iterator[str]:
    """The address of a scheduler on loopback that has so many workers of one thread."""
    from distributed import Client, LocalCluster

    os.environ["OMP_NUM_THREADS"] = "1"
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as local:
        with Client(local) as client:
            client.wait_for_workers(workers, timeout=60)
        yield local.scheduler_address


def rate(job: batch.Job, todo: list[tuple[str, bytes]], workers: int) -> float:
    """Submissions a second."""
    with dask(workers) as address:
        done, started = 0, 0.0
        for _ in cluster.spread(job, iter(todo), address):
            done += 1
            if done == FIRST:
                started = time.perf_counter()
        return (done - FIRST) / (time.perf_counter() - started)


def main(name: str, count: int) -> None:
    """Measure, print, write."""
    assignment = Assignment.read(ROOT / "exercises" / f"{name}.ipynb")
    job = batch.Job(assignment, Rules(1), Settings().of(assignment))
    todo = [one for one in a_class(ROOT, [name], count + FIRST)[name] if "loop" not in one[0]]
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for workers, found in rates.items():
            found.append(rate(job, todo, workers))
    middle = {workers: statistics.median(found) for workers, found in rates.items()}
    rows: list[dict[str, Cell]] = [
        {
            "workers": workers, "submissions a second": middle[workers], "slowest round": min(found),
            "fastest round": max(found), "times one worker": middle[workers] / middle[1],
        }
        for workers, found in rates.items()
    ]  # fmt: skip
    says = f"{len(todo)} submissions of {name}, {ROUNDS} rounds a row, medians; the first {FIRST} of a round are not timed."
    table = Table("A class over Dask", says, rows)
    page = markdown("cluster", [table], machine(f"python benchmarks/cluster.py {name}"))
    (ROOT / "benchmarks" / "cluster.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "03_fusion", int(sys.argv[2]) if len(sys.argv) > 2 else 100)
