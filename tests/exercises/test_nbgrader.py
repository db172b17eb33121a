"""The exercises are nbgrader assignments: its own tools make the release that `mmteach build` makes, and give the scores expected."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from mmteach.exercises import tasks

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "exercises").glob("*.ipynb"))
OPEN = 6  # points of a chapter's open question


def read(path):
    return nbformat.read(path, as_version=4)


def grading(cell):
    return cell.metadata.get("nbgrader", {})


# What any run can check about the notebooks.


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_has_metadata_of_schema_3_and_the_points_are_the_tasks(name):
    notebook = read(ROOT / "exercises" / f"{name}.ipynb")
    ids = [grading(cell)["grade_id"] for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        found = grading(cell)
        assert found["schema_version"] == 3 and len(found["checksum"]) == 32
        assert {type(found[key]) for key in ("grade", "locked", "solution", "task")} == {bool}
        assert ("points" in found) == found["grade"]
    tests = [cell for cell in notebook.cells if grading(cell)["grade"] and cell.cell_type == "code"]
    asked = tasks(name[3:])
    assert [grading(cell)["points"] for cell in tests] == [task.points for task in asked]
    assert [cell.source for cell in tests] == [f'check("{task.name}", {task.answer})' for task in asked]
    (question,) = [cell for cell in notebook.cells if grading(cell)["grade"] and grading(cell)["solution"]]
    assert grading(question)["points"] == OPEN and question.source == "YOUR ANSWER HERE"


@pytest.mark.parametrize("name", NAMES)
def test_the_students_notebook_holds_no_answer_and_no_output(name):
    solved, exercise = (read(ROOT / folder / f"{name}.ipynb") for folder in ("solutions", "exercises"))
    text = "\n".join(cell.source for cell in exercise.cells)
    assert "SOLUTION" not in text and "ubric" not in text
    for cell in exercise.cells:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None
    for cell in solved.cells:
        inside = False
        for line in cell.source.split("\n"):
            if "END SOLUTION" in line:
                inside = False
            if inside and len(line.strip()) > 12 and not line.strip().startswith(("def ", "from ", "import ")):
                assert line.strip() not in text.split("\n"), line
            if "BEGIN SOLUTION" in line:
                inside = True
        assert not inside


@pytest.mark.parametrize("name", NAMES)
def test_there_are_six_tasks_of_several_kinds_and_their_links_lead_somewhere(name):
    asked = tasks(name[3:])
    assert len(asked) >= 6 and len({task.kind for task in asked}) >= 4
    chapter = ROOT / "notebooks" / "src" / f"{name}.py"
    headings = chapter.read_text(encoding="utf-8") if chapter.exists() else ""  # a chapter may follow its exercises
    for task in asked:
        assert not headings or all(
            f"# ## {link}\n" in headings or f"# ### {link}\n" in headings for link in task.links
        ), (
            task.name,
            task.links,
        )
        assert len(task.hints) == 3 and task.links and 1 <= task.difficulty <= 3 and 5 <= task.minutes <= 40
    answers = [task.answer for task in asked]
    assert len(set(answers)) == len(answers)


# nbgrader itself.


def nbgrader(course, *arguments):
    """Run nbgrader in a course folder; it calls alembic, so this environment's programs come first on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MMTEACH_LEARNER": os.devnull, "HOME": str(course.parent)}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]


def answered(released, solved, only=None):
    """A released notebook with the answers of the solution in it: those of the tasks in `only`, or all of them."""
    sources = {grading(cell)["grade_id"]: cell.source for cell in solved.cells}
    for cell in released.cells:
        found = grading(cell)
        if found.get("solution") and not found.get("grade"):
            task = found["grade_id"].partition("-answer")[0]
            if only is None or task in only:
                cell.source = sources[found["grade_id"]]
        elif found.get("solution"):
            cell.source = "A paragraph."
    return released


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_nbgraders_own_tools_release_grade_and_explain(tmp_path):
    from nbgrader.api import Gradebook

    course = tmp_path / "course"
    source = course / "source" / "exercises"
    source.mkdir(parents=True)
    (course / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'mm'\n")
    for name in NAMES:
        shutil.copy(ROOT / "solutions" / f"{name}.ipynb", source)
    nbgrader(course, "generate_assignment", "exercises")
    for name in NAMES:
        released, ours = (
            read(course / "release" / "exercises" / f"{name}.ipynb"),
            read(ROOT / "exercises" / f"{name}.ipynb"),
        )
        assert [cell.source for cell in released.cells] == [cell.source for cell in ours.cells]
        assert [grading(cell)["checksum"] for cell in released.cells] == [
            grading(cell)["checksum"] for cell in ours.cells
        ]

    solved = {name: read(source / f"{name}.ipynb") for name in NAMES}
    submitted = course / "submitted"
    wanted = {}
    for student, only in (("all", None), ("some", {"fusion-auc", "fusion-gated", "background-lost"}), ("none", set())):
        folder = submitted / student / "exercises"
        folder.mkdir(parents=True)
        for name in NAMES[::2] if student == "some" else NAMES:  # "some" hands in every other one
            notebook = answered(read(ROOT / "exercises" / f"{name}.ipynb"), solved[name], only)
            for cell in notebook.cells:
                if student == "some" and "sigmoid()" in cell.source:
                    cell.source = cell.source.replace(
                        "sigmoid()", "sigmoid().detach()"
                    )  # loses the part of the gradients
            nbformat.write(notebook, folder / f"{name}.ipynb")
        earned = {task.name.replace(".", "-"): task.points for name in NAMES for task in tasks(name[3:])}
        wanted[student] = earned if only is None else {name: n for name, n in earned.items() if name in only}
    wanted["some"]["fusion-gated"] -= 1

    nbgrader(course, "autograde", "exercises")
    nbgrader(course, "generate_feedback", "exercises")
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        for student, earned in wanted.items():
            submission = gradebook.find_submission("exercises", student)
            for notebook in sorted(submission.notebooks, key=lambda one: one.name):
                if student != "some":
                    assert notebook.score == (notebook.max_score - OPEN if student == "all" else 0), notebook.name
                print(
                    f"{student}, {notebook.name}: {notebook.score:g} of {notebook.max_score:g} points, {OPEN} by hand"
                )
                for grade in notebook.grades:
                    if grade.cell_type == "code":
                        assert grade.auto_score == earned.get(grade.name, 0), (student, grade.name, grade.auto_score)
            assert submission.score == sum(earned.values()), student
    page = (course / "feedback" / "some" / "exercises" / "03_fusion.html").read_text(encoding="utf-8")
    assert "the gradient of gate.bias does not arrive" in page
