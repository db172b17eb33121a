"""`mmteach run`: execute chapters from fresh kernels, without a browser, and say a line about each.

| name       | what it is for                                                    |
|------------|-------------------------------------------------------------------|
| `run`      | execute chapters; those after one that raised are run all the same |
| `summary`  | the line about a notebook: time, claims, memory                    |
| `Progress` | which cell is running, on a terminal, over one line                |
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import nbformat

from mmteach.course.execute import Execution, execute
from mmteach.course.paths import Course, CourseError, choose, write_whole


def run(
    course: Course,
    asked: list[str],
    folder: str = "notebooks",
    json_file: Path | None = None,
    html_folder: Path | None = None,
) -> int:
    """Execute the asked notebooks of `folder` (all for []) and print a line about each; returns the exit code.

    Nothing in the course is written. json_file gets the figures, claims and errors; html_folder a page a notebook. The
    results of the notebooks that were finished are written even where the run is interrupted.
    """
    notebooks = choose(course.chapters(folder), asked, course.root / folder)
    # Before an hour of computing, not after it.
    if json_file and not json_file.parent.is_dir():
        raise CourseError(f"there is no folder {json_file.parent} to write {json_file.name} into")
    formulas = False
    if html_folder:
        html_folder.mkdir(parents=True, exist_ok=True)
        formulas = _bring_mathjax(course, html_folder)
    rows: list[dict[str, Any]] = []
    for path in notebooks:
        notebook = read(path)
        with Progress(path.stem) as progress:
            result = execute(notebook, path.parent, on_cell=progress)
        print(summary(path.stem, result), flush=True)
        if result.failure:
            print(f"  {result.failure}", file=sys.stderr, flush=True)
        rows.append(_row(path.stem, result))
        if json_file:
            write_whole(json_file, json.dumps({"notebooks": rows}, indent=1, ensure_ascii=False) + "\n")
        if html_folder:
            write_whole(html_folder / f"{path.stem}.html", _page(notebook, path.parent, formulas))
    failed = sum(bool(row["failure"]) for row in rows)
    if failed:
        print(f"mmteach run: {failed} of {len(rows)} notebooks have a cell that raised", file=sys.stderr)
    return 1 if failed else 0


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook at `path` in today's format; raises CourseError where the file is none."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise CourseError(f"{path} cannot be read as a notebook: {error}") from error


def summary(name: str, result: Execution) -> str:
    """The line about a notebook: ✓ or ✗, its time, how many of its claims held, the most memory its kernel had."""
    parts = [f"{name:<18}{'✗' if result.failure else '✓'}{_duration(result.seconds):>10}"]
    if result.claims:
        enforced = "" if any(claim["enforced"] for claim in result.claims) else " (not enforced)"
        parts.append(f"claims {result.held}/{len(result.claims)}{enforced}")
    if result.peak_bytes:
        parts.append(f"peak {result.peak_bytes / 2**20:.0f} MB")
    return "   ".join(parts)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 99.95 else f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"


def _row(name: str, result: Execution) -> dict[str, Any]:
    failure = result.failure
    return {
        "name": name,
        "ok": failure is None,
        "seconds": round(result.seconds, 2),
        "peak_bytes": result.peak_bytes,
        "machine": result.machine,
        "claims": result.claims,
        "failure": failure and {"cell": failure.number, "line": failure.line, "error": failure.error,
                                "traceback": failure.traceback},
    }  # fmt: skip


MATHJAX = "tex-svg-full.js"
# The page asks nothing of the network: MathJax lies beside it, and what nbconvert would fetch besides is not needed.
TEMPLATE = """\
{% extends 'index.html.j2' %}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_js_mathjax %}
{% if resources.formulas %}
<script>
window.MathJax = {tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]], processEscapes: true}};
</script>
<script src="MATHJAX" defer></script>
{% endif %}
{% endblock %}
""".replace("MATHJAX", MATHJAX)


def _bring_mathjax(course: Course, folder: Path) -> bool:
    """Copy what sets formulas into `folder`, where this clone has it; say what to do where it has not."""
    mathjax = course.root / "book" / "_static" / "web" / MATHJAX
    if not mathjax.is_file():
        print("mmteach run: formulas stay as they are typed; run `make book` once, it fetches what sets them",
              file=sys.stderr)  # fmt: skip
        return False
    shutil.copy2(mathjax, folder)
    return True


def _page(notebook: nbformat.NotebookNode, folder: Path, formulas: bool = False) -> str:
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    # Pictures that lie beside the notebook go into the page: it is read in another folder.
    exporter = HTMLExporter(
        embed_images=True, extra_loaders=[DictLoader({"page.html.j2": TEMPLATE})], template_file="page.html.j2"
    )
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"path": str(folder)}, "formulas": formulas})
    return page


class Progress:
    """A line on the terminal that says which cell is running; nothing where the output is no terminal."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()
        self.shown = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        self._show("starting a kernel")
        return self

    def __call__(self, number: int, total: int) -> None:
        self._show(f"cell {number} of {total}")

    def _show(self, what: str) -> None:
        if self.shown:
            print(
                f"\r\x1b[K{self.name:<18}{what}, {_duration(time.monotonic() - self.started)}", end="", file=sys.stderr
            )
            sys.stderr.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
