"""`mmteach build`: notebooks/src/*.py → notebooks/*.ipynb, executed where their code changed.

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
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from mmteach.course import source
from mmteach.course.execute import execute
from mmteach.course.paths import Course, CourseError, choose, write_whole
from mmteach.course.run import Progress, summary

DIFF_LINES = 60


def build(course: Course, asked: list[str], force: bool = False) -> int:
    """Write each asked chapter's notebook anew where its source changed; returns the exit code.

    Where only text changed the stored outputs stay; where code changed (or with `force`) the notebook is executed, with
    one thread unless OMP_NUM_THREADS says otherwise: the digits then do not depend on how many cores a machine has.
    """
    failed = 0
    for path in choose(course.source_files(), asked, course.sources):
        target = course.notebooks / f"{path.stem}.ipynb"
        cells, stored, text = _read(course, path, target)
        if source.needs_running(cells, stored) or force:
            failed += not _execute(course, cells, target)
            continue
        assert stored is not None
        wanted = source.text_of(source.with_outputs(cells, stored))
        if wanted == text:
            print(f"{path.stem}  up to date")
        else:
            write_whole(target, wanted)
            print(f"{path.stem}  text renewed, outputs kept")
    return 1 if failed else 0


def _execute(course: Course, cells: NotebookNode, target: Path) -> bool:
    """Execute `cells` and write them to `target`; a notebook whose cell raises is not written."""
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    with Progress(target.stem) as progress:
        result = execute(cells, course.notebooks, {"OMP_NUM_THREADS": threads}, progress)
    print(summary(target.stem, result), flush=True)
    if result.failure:
        print(f"  {result.failure}\n  {target.name} was left as it is.", file=sys.stderr)
        return False
    cells.metadata["mmteach"] = NotebookNode(result.machine)
    notebook = source.normalised(cells)
    leaks = list(local_paths(notebook, course))
    for leak in leaks:
        print(f"  {leak}", file=sys.stderr)
    if leaks:
        print(f"  {target.name} was left as it is: a reader has no such path.", file=sys.stderr)
        return False
    write_whole(target, source.text_of(notebook))
    return True


def check(course: Course, asked: list[str]) -> int:
    """Print a diff for each asked chapter whose notebook does not follow from its source; 1 if there is one, else 0."""
    stale = 0
    files = course.source_files()
    for path in choose(files, asked, course.sources):
        target = course.notebooks / f"{path.stem}.ipynb"
        cells, stored, text = _read(course, path, target)
        if stored is None:
            difference = [f"{target.name} does not exist"]
        else:
            difference = _difference(stored, cells, target.name)
            if not difference and source.needs_running(cells, stored):
                difference = [f"{target.name} has cells that were never executed, or that failed"]
            if not difference and source.text_of(source.with_outputs(cells, stored)) != text:
                difference = [f"{target.name} was saved by something else than mmteach build: ids or metadata differ"]
        if difference:
            stale += 1
            print("\n".join(difference[:DIFF_LINES]))
            if len(difference) > DIFF_LINES:
                print(f"… and {len(difference) - DIFF_LINES} lines more")
    for path in course.chapters() if not asked else []:
        if path.stem not in {file.stem for file in files}:
            stale += 1
            print(f"{path.name} has no source in {course.sources.relative_to(course.root)}")
    if stale:
        print(f"mmteach build: {stale} of the notebooks are stale; renew them with `mmteach build`", file=sys.stderr)
    return 1 if stale else 0


def _read(course: Course, path: Path, target: Path) -> tuple[NotebookNode, NotebookNode | None, str]:
    """A source's cells, the notebook stored for it (None where there is none), and that notebook's text."""
    cells = source.cells_of(path, target.relative_to(course.root).as_posix())
    if not target.is_file():
        return cells, None, ""
    text = target.read_text(encoding="utf-8")
    try:
        return cells, nbformat.reads(text, as_version=4), text
    except Exception as error:
        raise CourseError(f"{target} is no notebook ({error}); delete it and run mmteach build") from error


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
