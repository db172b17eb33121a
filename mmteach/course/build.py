"""`mmteach build`: sources → notebooks, executed where their code changed.

| from                        | it makes                                                             |
|-----------------------------|-----------------------------------------------------------------------|
| `notebooks/src/NN_name.py`  | `notebooks/NN_name.ipynb`, executed, and `book/widgets/NN_name.json`   |
| `solutions/src/NN_name.py`  | `solutions/NN_name.ipynb`, executed, and `exercises/NN_name.ipynb`, without answers |

| name      | what it does                                                                |
|-----------|-----------------------------------------------------------------------------|
| `build`   | bring notebooks up to date with their sources                                 |
| `check`   | say whether they are, with a diff where they are not; nothing is executed     |
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from mmteach.course import source, widgets
from mmteach.course.execute import execute
from mmteach.course.paths import Course, CourseError, choose, write_whole
from mmteach.course.run import Progress, summary

DIFF_LINES = 60


@dataclass(frozen=True)
class _Job:
    """One notebook to be made of one source: a chapter, solved exercises, or exercises (`kind` is the folder's name)."""

    source: Path
    target: Path
    kind: str

    @property
    def name(self) -> str:
        return self.target.stem if self.kind == "notebooks" else f"{self.kind}/{self.target.stem}"

    def cells(self, course: Course) -> NotebookNode:
        if self.kind == "notebooks":
            return source.cells_of(self.source, self.target.relative_to(course.root).as_posix())
        from mmteach.course import exercises  # it loads torch, which chapters alone do not need

        solved = exercises.instructors(self.source)
        return solved if self.kind == "solutions" else exercises.students(solved)


def _jobs(course: Course, asked: list[str]) -> list[_Job]:
    """What the asked chapters make, exercises after the solutions that they are made from."""
    jobs = []
    for path in choose([*course.source_files(), *course.solution_files()], asked, course.sources):
        kinds = ("notebooks",) if path.parent == course.sources else ("solutions", "exercises")
        jobs += [_Job(path, course.root / kind / f"{path.stem}.ipynb", kind) for kind in kinds]
    return jobs


def build(course: Course, asked: list[str], force: bool = False) -> int:
    """Write each asked chapter's notebooks anew where their source changed; returns the exit code.

    Where only text changed the stored outputs stay; where code changed (or with `force`) the notebook is executed, with
    one thread unless OMP_NUM_THREADS says otherwise: the digits then do not depend on how many cores a machine has.
    """
    failed = 0
    for job in _jobs(course, asked):
        job.target.parent.mkdir(exist_ok=True)
        cells, stored, text = _read(course, job)
        if job.kind != "exercises" and (source.needs_running(cells, stored) or force):
            failed += not _execute(course, cells, job)
            continue
        wanted = _without_running(job, cells, stored)
        if wanted == text:
            print(f"{job.name}  up to date")
        else:
            write_whole(job.target, wanted)
            print(f"{job.name}  " + ("written" if job.kind == "exercises" else "text renewed, outputs kept"))
    return 1 if failed else 0


def _without_running(job: _Job, cells: NotebookNode, stored: NotebookNode | None) -> str:
    """The notebook's text where nothing has to be executed: exercises have no outputs, the others keep theirs."""
    if job.kind == "exercises":
        return source.text_of(cells)
    assert stored is not None
    return source.text_of(source.with_outputs(cells, stored))


def _execute(course: Course, cells: NotebookNode, job: _Job) -> bool:
    """Execute `cells` and write them to the job's target; a notebook whose cell raises is not written."""
    target = job.target
    # Solutions are checked as they run: what they solve is not this user's progress.
    environment = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "MMTEACH_LEARNER": os.devnull}
    with Progress(job.name) as progress:
        result = execute(cells, target.parent, environment, progress)
    print(summary(job.name, result), flush=True)
    if result.failure:
        print(f"  {result.failure}\n  {target.name} was left as it is.", file=sys.stderr)
        return False
    if job.kind == "solutions" and (unsolved := list(_unsolved(cells))):
        print("\n".join(f"  {line}" for line in unsolved), file=sys.stderr)
        print(f"  solutions/{target.name} was left as it is: its answers do not pass.", file=sys.stderr)
        return False
    cells.metadata["mmteach"] = NotebookNode(result.machine)
    shown = widgets.first_state(cells, result.widgets)
    notebook = source.normalised(cells)
    leaks = list(local_paths(notebook, course))
    for leak in leaks:
        print(f"  {leak}", file=sys.stderr)
    if leaks:
        print(f"  {target.name} was left as it is: a reader has no such path.", file=sys.stderr)
        return False
    write_whole(target, source.text_of(notebook))
    if job.kind == "notebooks":
        widgets.keep(course.root / "book" / "widgets" / f"{target.stem}.json", shown)
    return True


def _unsolved(solved: NotebookNode) -> Iterator[str]:
    """What the checks of a solution printed where it was not ✓."""
    for cell in solved.cells:
        if cell.metadata.get("nbgrader", {}).get("grade") and cell.cell_type == "code":
            printed = "".join(o.text for o in cell.outputs if o.output_type == "stream").strip()
            if not printed.startswith("✓"):
                yield printed or f"{cell.source} printed nothing"


def check(course: Course, asked: list[str]) -> int:
    """Print a diff for each asked chapter whose notebooks do not follow from their source; 1 if there is one, else 0."""
    stale = 0
    for job in _jobs(course, asked):
        cells, stored, text = _read(course, job)
        if stored is None:
            difference = [f"{job.target.name} does not exist"]
        else:
            difference = _difference(stored, cells, job.target.name)
            if not difference and job.kind != "exercises" and source.needs_running(cells, stored):
                difference = [f"{job.target.name} has cells that were never executed, or that failed"]
            if not difference and _without_running(job, cells, stored) != text:
                difference = [
                    f"{job.target.name} was saved by something else than mmteach build: ids or metadata differ"
                ]
        if difference:
            stale += 1
            print("\n".join(difference[:DIFF_LINES]))
            if len(difference) > DIFF_LINES:
                print(f"… and {len(difference) - DIFF_LINES} lines more")
    for folder, files in (("notebooks", course.source_files()), ("solutions", course.solution_files()),
                          ("exercises", course.solution_files())) if not asked else ():  # fmt: skip
        for path in course.chapters(folder):
            if path.stem not in {file.stem for file in files}:
                stale += 1
                print(f"{path.name} has no source in {'notebooks' if folder == 'notebooks' else 'solutions'}/src")
    if stale:
        print(f"mmteach build: {stale} of the notebooks are stale; renew them with `mmteach build`", file=sys.stderr)
    return 1 if stale else 0


def _read(course: Course, job: _Job) -> tuple[NotebookNode, NotebookNode | None, str]:
    """A job's cells, the notebook stored for it (None where there is none), and that notebook's text."""
    cells = job.cells(course)
    if not job.target.is_file():
        return cells, None, ""
    text = job.target.read_text(encoding="utf-8")
    try:
        return cells, nbformat.reads(text, as_version=4), text
    except Exception as error:
        raise CourseError(f"{job.target} is no notebook ({error}); delete it and run mmteach build") from error


def _difference(stored: NotebookNode, cells: NotebookNode, name: str) -> list[str]:
    old, new = (_plain(notebook).splitlines() for notebook in (stored, cells))
    return list(difflib.unified_diff(old, new, f"{name} as stored", f"{name} from its source", lineterm="", n=2))


def _plain(notebook: NotebookNode) -> str:
    """The cells as text, for a diff: their kind and tags in one line, then what stands in them."""
    return "\n".join(f"# %% [{c.cell_type}] {' '.join(c.metadata.get('tags', []))}\n{c.source}" for c in notebook.cells)


def local_paths(notebook: NotebookNode, course: Course) -> Iterator[str]:
    """A sentence for each output that shows a path of this machine."""
    places = {str(course.root), str(Path.home()), sys.prefix, tempfile.gettempdir() + "/"} - {"/"}
    pattern = re.compile("|".join(re.escape(place) + r"[^\s'\"]*" for place in sorted(places, key=len, reverse=True)))
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            shown = [output.get("text", ""), *output.get("traceback", [])]
            shown += [v for kind, v in output.get("data", {}).items() if not kind.startswith("image/") or "svg" in kind]
            found = pattern.search("\n".join(map(str, shown)))
            if found:
                yield f"cell In [{cell.execution_count}] shows the local path {found[0]}"
