"""`mmteach bench`: what the course costs, measured beside what a reader would use instead, in one run.

| file            | what is in it                                                                    |
|-----------------|-----------------------------------------------------------------------------------|
| `measure`       | repeats in turns, medians, ratios; the machine's speed at matrix products           |
| `report`        | a `Table`, the machine it was measured on, Markdown and JSON                        |
| `classic`       | suite: the classic model against Keras; `classic_rival` is one side, in its process  |
| `methods`       | suite: fusions, losses, gradient methods and metrics against the obvious rival       |
| `training`      | suite: the chapters' models; several seeds at once; two processes against one        |
| `notebooks`     | suite: imports and kernels (`startup`), then every chapter                           |
| `grading`       | suite: a class, against nbgrader                                                    |
| `gpu`           | suite: a dual encoder of transformers, where there is a GPU                          |
| `goals`         | what is asked of the suites, and what they reached                                   |

A suite is a module with `tables() → list[Table]`; its sizes follow MMTEACH_SCALE, and at smoke each runs in seconds.
Both sides of a comparison take turns within one run, so that whatever else the machine does meets both alike.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

from mmteach.bench import goals, report

SUITES = ("classic", "methods", "training", "notebooks", "grading", "gpu")


def run(asked: Sequence[str], folder: Path | None = None, json_file: Path | None = None) -> int:
    """Run the asked suites (all for []), print their tables and write them; returns the exit code.

    folder:    where SUITE.md and SUITE.json go, and goals.md, which sums up what is there; None writes nothing
    json_file: all suites in one file
    A file is written as soon as its suite is done, so that what was measured stays where a later one is interrupted.
    Raises ValueError for a suite that there is none of, or a folder that is not there.
    """
    from mmteach.course.paths import write_whole

    for name in asked:
        if name not in SUITES:
            raise ValueError(f"no suite is called {name!r}; there are {', '.join(SUITES)}")
    for place in (folder, json_file and json_file.parent):
        if place is not None and not place.is_dir():
            raise ValueError(f"there is no folder {place} to write into")
    results = {}
    for name in [suite for suite in SUITES if not asked or suite in asked]:
        made = report.machine(f"mmteach bench {name}")
        tables = importlib.import_module(f"mmteach.bench.{name}").tables()
        text = report.markdown(name, tables, made)
        print(text, flush=True)
        results[name] = report.as_data(tables, made)
        if folder:
            write_whole(folder / f"{name}.md", text)
            write_whole(folder / f"{name}.json", json.dumps(results[name], indent=1, ensure_ascii=False) + "\n")
            write_whole(folder / "goals.md", goals.page(folder))
        if json_file:
            write_whole(json_file, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    return 0
