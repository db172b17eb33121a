"""How long a learner waits: for a check in the notebook, and for `mmteach check` of a half-done notebook.

The aim for a notebook is ten seconds on a laptop that does nothing else. Here a worker shares its core: 5 to 9 s were measured,
and 10 to 11 s for the two that import PyTorch's compiler and train (01 and 05); the bound leaves room for that.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from bank import banks

from mmteach import exercises
from mmteach.exercises import check

ROOT = Path(__file__).parents[2]
SECONDS = 15  # see above
NAMES = sorted(path.stem for path in (ROOT / "exercises").glob("*.ipynb"))


@pytest.mark.full
@pytest.mark.parametrize("task", exercises.tasks(), ids=lambda task: task.name)
def test_a_check_answers_in_under_a_second(task):
    right, _ = banks()[task.name]
    started = time.perf_counter()
    assert check(task.name, next(iter(right.values()))) == task.points
    assert time.perf_counter() - started < 1


def half_done(name):
    """The exercise with every other answer of the solution in it, and which tasks have theirs."""
    solved, notebook = (
        nbformat.read(ROOT / folder / f"{name}.ipynb", as_version=4) for folder in ("solutions", "exercises")
    )
    sources = {cell.metadata.nbgrader.grade_id: cell.source for cell in solved.cells}
    answered = {task.name for task in exercises.tasks(name[3:])[::2]}
    for cell in notebook.cells:
        grading = cell.metadata.nbgrader
        task = grading.grade_id.partition("-answer")[0].replace("-", ".", 1)
        if grading.solution and not grading.grade and task in answered:
            cell.source = sources[grading.grade_id]
    return notebook, answered


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_a_half_done_notebook_is_checked_soon_and_reads_well(name, tmp_path):
    notebook, answered = half_done(name)
    nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "mmteach", "check", str(tmp_path / f"{name}.ipynb")]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MMTEACH_LEARNER": os.devnull})
    took = time.perf_counter() - started
    print(f"{name}: {took:.1f} s")
    asked = exercises.tasks(name[3:])
    earned = sum(task.points for task in asked if task.name in answered)
    assert f"{earned} of {sum(task.points for task in asked)} points" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("✓") == len(answered) and done.stdout.count("not answered yet") == len(asked) - len(
        answered
    )
    assert max(map(len, done.stdout.splitlines())) <= 100 and took < SECONDS
