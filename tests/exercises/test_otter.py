"""otter-grader runs the exercises: `mmteach build --otter` writes its tests, and it gives the points that the checks give."""

import json
import os
import subprocess
import sys
from pathlib import Path

import bank_fusion
import nbformat
import pytest

from mmteach.cli import main
from mmteach.exercises import find, tasks
from mmteach.exercises.notebook import earns

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "exercises").glob("*.ipynb"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("otter")
    assert main(["build", "--otter", str(folder)]) == 0
    return folder


def read(path):
    space = {}
    exec(path.read_text(encoding="utf-8"), space)
    assert space["OK_FORMAT"]
    return space["test"]


@pytest.mark.parametrize("name", NAMES)
def test_each_task_has_a_file_and_each_part_its_points(written, name):
    found = [read(path) for path in sorted((written / name / "tests").iterdir())]
    asked = tasks(name[3:])
    assert [test["name"] for test in found] == [task.name for task in asked]
    for test, task in zip(found, asked):
        (suite,) = test["suites"]
        assert [case["points"] for case in suite["cases"]] == list(task.parts.values())
        assert all(case["code"].isascii() and f", {task.answer})\nTrue\n" in case["code"] for case in suite["cases"])


def test_some_chapters_alone_and_a_folder_that_cannot_be_made(tmp_path, capsys):
    assert main(["build", "--otter", str(tmp_path / "one"), "03"]) == 0
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["03_fusion"]
    (tmp_path / "file").touch()
    assert main(["build", "--otter", str(tmp_path / "file"), "03"]) == 2
    assert "cannot write into" in capsys.readouterr().err


def test_a_part_is_earned_by_itself_and_a_lost_one_says_why(capsys):
    task = find("fusion.gated")
    right, wrong = bank_fusion.BANK["fusion.gated"]
    assert all(earns(task.name, part, next(iter(right.values()))) for part in task.parts)
    assert capsys.readouterr().out == ""
    answer = next(answer for answer, misconception, *_ in wrong.values() if misconception == "gradient")
    lost = {part for part in task.parts if not earns(task.name, part, answer)}
    assert lost and lost != set(task.parts)
    assert "✗ fusion.gated" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no part 'x'; there are values"):
        earns(task.name, "x", answer)


def otter(folder, *arguments):
    command = [sys.executable, "-m", "otter", *map(str, arguments)]
    environment = {**os.environ, "MMTEACH_LEARNER": os.devnull, "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def graded(folder, notebook):
    """The points otter gives a notebook, by task's name."""
    otter(folder, "run", "-a", "autograder.zip", "--no-logo", notebook)
    tests = json.loads((folder / "results.json").read_text(encoding="utf-8"))["tests"]
    return {test["name"]: (test["score"], test["max_score"], test["output"]) for test in tests if "max_score" in test}


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_otter_gives_the_solution_all_points_and_the_untouched_exercise_none(written, name):
    pytest.importorskip("otter", reason="otter-grader is not installed here; it comes with make setup")
    folder = written / name
    otter(folder, "generate", "-t", "tests", "-o", "autograder.zip")
    asked = {task.name: task.points for task in tasks(name[3:])}
    solved = graded(folder, ROOT / "solutions" / f"{name}.ipynb")
    assert {task: score for task, (score, _, _) in solved.items()} == asked
    assert {task: most for task, (_, most, _) in solved.items()} == asked
    untouched = graded(folder, ROOT / "exercises" / f"{name}.ipynb")
    assert {task: score for task, (score, _, _) in untouched.items()} == dict.fromkeys(asked, 0)
    if name == "03_fusion":
        notebook = nbformat.read(ROOT / "solutions" / f"{name}.ipynb", as_version=4)
        for cell in notebook.cells:
            cell.source = cell.source.replace("sigmoid()", "sigmoid().detach()")  # loses the part of the gradients
        nbformat.write(notebook, folder / "detached.ipynb")
        score, most, output = graded(folder, folder / "detached.ipynb")["fusion.gated"]
        assert score == most - 1 and "does not arrive" in output
