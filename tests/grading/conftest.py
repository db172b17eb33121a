"""A toy assignment, and a warm server for it that all tests of a process share."""

import json
import sys
from pathlib import Path

import pytest

from mmteach.grading import sandbox
from mmteach.grading.assignment import Assignment
from mmteach.grading.client import Server, Settings
from mmteach.grading.grade import Rules, grade

TOYS = Path(__file__).parent / "toys"
SEED = 7

SETUP = "import torch\nfrom mmteach.exercises import check"
ANSWERS = {
    "toy.mean": "def mean_of_rows(x):\n    return x.mean(1)",
    "toy.softmax": "def softmax(x):\n    e = (x - x.amax(1, keepdim=True)).exp()\n    return e / e.sum(1, keepdim=True)",
    "toy.third": "def largest(x):\n    return x.max(1).values",
}
NAMES = {"toy.mean": "mean_of_rows", "toy.softmax": "softmax", "toy.third": "largest"}


def code(source, grade_id=None, **marks):
    metadata = {"nbgrader": {"schema_version": 3, "grade_id": grade_id, **marks}} if grade_id else {}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def text(source, grade_id=None, **marks):
    metadata = {"nbgrader": {"schema_version": 3, "grade_id": grade_id, **marks}} if grade_id else {}
    return {"cell_type": "markdown", "metadata": metadata, "source": source}


def notebook(cells):
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}


def toy_cells(answers=None):
    """The toy assignment's cells; `answers` in the place of the stubs."""
    answers = answers or {}
    cells = [
        text("# A toy", "text", grade=False, locked=True, solution=False),
        code(SETUP, "setup", grade=False, locked=True, solution=False),
    ]
    for task, name in NAMES.items():
        stub = f"def {name}(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
        cells += [
            code(answers.get(task, stub), f"{task}-answer", grade=False, locked=False, solution=True),
            code(f'check("{task}", {name})', task, grade=True, locked=True, solution=False, points=2),
        ]
    cells.append(text(answers.get("why", "YOUR ANSWER HERE"), "why", grade=True, locked=False, solution=True, points=3))
    return cells


def as_bytes(cells):
    return json.dumps(notebook(cells)).encode()


def pytest_configure(config):
    sys.path.insert(0, str(TOYS))


@pytest.fixture(scope="session")
def layers():
    """What this machine's sandbox holds; tests of an attack need the layer that stops it."""
    return sandbox.probe()


@pytest.fixture(scope="session")
def assignment(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "toy.ipynb"
    path.write_bytes(as_bytes(toy_cells()))
    return Assignment.read(path, references="toy_references")


@pytest.fixture(scope="session")
def settings():
    return Settings(
        registry="toy", tasks=("toy.softmax",), paths=(str(TOYS),), hidden=(str(TOYS / "toy_references.py"),),
        level="none", warm=("numpy", "mmteach.fusion"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def server(settings):
    with Server(settings) as one:
        yield one


@pytest.fixture
def graded(assignment, server):
    """The result of cells, or of bytes: graded(cells)."""

    def run(cells, limit=2.0):
        data = cells if isinstance(cells, bytes) else as_bytes(cells)
        return grade(data, assignment, Rules(SEED, limit, "toy"), server)

    return run
