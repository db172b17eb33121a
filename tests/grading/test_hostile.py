"""Every kind of hostile submission gets what its honest part deserves, and hurts nobody else."""

import json
import os
from pathlib import Path

import psutil
import pytest
from conftest import ANSWERS, as_bytes, notebook, toy_cells
from hostile import KINDS

from mmteach.grading import batch, pages, tables
from mmteach.grading.assignment import Assignment
from mmteach.grading.client import Settings
from mmteach.grading.grade import Rules

ROOT = Path(__file__).parents[2]
EXERCISES = sorted(path.stem for path in (ROOT / "exercises").glob("*.ipynb"))


def made(kind, cells, name):
    found = kind.make(cells, name)
    return found if isinstance(found, bytes) else json.dumps(notebook(found)).encode()


def outside():
    """What a submission could leave on this machine: names in shared folders."""
    return {
        place: {one for one in os.listdir(place) if "was-here" in one} for place in ("/tmp", "/dev/shm", "/var/tmp")
    }


def grade_all(job, cells, name):
    """(results by kind, the honest result, what was left): one batch of all kinds and an honest submission among them."""
    before, there = {p.pid for p in psutil.process_iter()}, outside()
    todo = [(kind.name, made(kind, cells, name)) for kind in KINDS] + [("honest", as_bytes(cells))]
    found = dict(batch.local(job, todo, 2))
    me = psutil.Process()
    left = [p for p in me.children(recursive=True) if p.pid not in before and p.status() != "zombie"]
    return found, found.pop("honest"), (left, outside() == there)


def score(result):
    return [item["score"] for item in result["items"]]


def deserves(kind, honest):
    if kind.keeps == "nothing":
        return [0.0] * len(honest["items"])
    kept = score(honest)
    return kept if kind.keeps == "all" else [0.0, *kept[1:]]


@pytest.fixture(scope="module")
def toys(assignment, settings, layers):
    if not {"landlock", "seccomp", "limits"} <= set(layers.hold):
        pytest.skip(f"attacks are only run where they are held: {layers.words()}")
    return grade_all(batch.Job(assignment, Rules(7, 2.0, "toy"), settings), toy_cells(ANSWERS), "mean_of_rows")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_gets_what_its_honest_part_deserves(toys, kind):
    found, honest, _ = toys
    assert score(honest) == [2, 2, 2, None]
    result = found[kind.name]
    assert score(result) == deserves(kind, honest), [item["message"] for item in result["items"]]
    first = result["items"][0]
    assert first["status"] in kind.statuses, first
    assert kind.keeps == "all" or first["message"]


def test_all_were_graded_and_nothing_was_left(toys):
    found, _, (processes, clean) = toys
    assert len(found) == len(KINDS) >= 40 and len({kind.name for kind in KINDS}) == len(KINDS)
    assert processes == [] and clean


def test_no_reference_is_in_any_output(toys, assignment):
    found, _, _ = toys
    secrets = ("SECRET-REFERENCE", "EXPECT", "x.mean(1)", "amax(1)}")
    for name, result in found.items():
        told = json.dumps([item["message"] for item in result["items"]] + [result["message"], result["remarks"]])
        assert not any(secret in told for secret in secrets), name
        assert "<script" not in pages.feedback(
            {"student": name, "name": name, "submitted": "", "late": False, "result": result, "seconds": 0.0},
            assignment,
        )
        json.dumps(tables.gradescope({"result": result}))


@pytest.mark.full
@pytest.mark.parametrize("name", EXERCISES)
def test_the_same_on_every_exercise_of_the_course(name, layers):
    if not {"landlock", "seccomp", "limits"} <= set(layers.hold):
        pytest.skip(f"attacks are only run where they are held: {layers.words()}")
    assignment = Assignment.read(ROOT / "exercises" / f"{name}.ipynb")
    solved = json.loads((ROOT / "solutions" / f"{name}.ipynb").read_text())["cells"]
    solved = [{**cell, "source": "".join(cell["source"])} for cell in solved]
    job = batch.Job(assignment, Rules(7, 20.0), Settings(level="none").of(assignment))
    first = next(item for item in assignment.items if item.kind == "oracle")
    found, honest, (processes, clean) = grade_all(job, solved, first.answer)
    assert score(honest) == [item.points if item.kind == "oracle" else None for item in assignment.items]
    # Answers that compare tensors by == deserve what they compute when it is patched away: never more than honest ones.
    patched = score(found.pop("patches numpy and torch.Tensor"))
    assert all((got or 0) <= (full or 0) for got, full in zip(patched, score(honest), strict=True))
    kinds = [kind for kind in KINDS if kind.name in found]
    wrong = {kind.name: score(found[kind.name]) for kind in kinds if score(found[kind.name]) != deserves(kind, honest)}
    assert wrong == {} and processes == [] and clean
