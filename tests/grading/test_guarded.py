"""Assignments from elsewhere, with plain assert cells: the same scores as nbgrader's, hardened, and labelled."""

import pytest
from conftest import SEED, as_bytes, code, text

from mmteach.grading import front
from mmteach.grading.assignment import Assignment, AssignmentError, find
from mmteach.grading.grade import Rules, grade
from mmteach.grading.pages import report

ANSWER = "def double(x):\n    return 2 * x"
TEST = "import numpy as np\nassert double(2) == 4; assert np.allclose(double(np.ones(3)), 2)\n# HIDDEN\nassert double(-1) == -2"
PARTIAL = "sum([double(1) == 2, double(0) == 0, double(3) == 7])"


def cells(answer=None):
    return [
        text("# From elsewhere"),
        code("import numpy", "setup", grade=False, locked=True, solution=False),
        code(
            answer or "def double(x):\n    raise NotImplementedError()",
            "double",
            grade=False,
            solution=True,
            locked=False,
        ),
        code(TEST, "test-double", grade=True, locked=True, solution=False, points=4),
        code(PARTIAL, "test-part", grade=True, locked=True, solution=False, points=3),
    ]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "source" / "ps1" / "problem.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(as_bytes(cells()))
    return find("ps1", [path.parents[2]])


@pytest.fixture
def scored(foreign, server):
    def run(answer):
        return grade(as_bytes(cells(answer)), foreign, Rules(SEED, 2.0, "toy"), server)["items"]

    return run


def test_asserts_decide_and_a_last_number_is_partial_credit(scored, foreign):
    assert foreign.guarded and foreign.points == 7
    assert [item["score"] for item in scored(ANSWER)] == [4, 2]
    assert [item["score"] for item in scored(None)] == [0, 0]
    assert scored(ANSWER)[1]["message"] == "part of the points"


@pytest.mark.parametrize(
    "patch",
    [
        "import numpy as np\nnp.allclose = lambda *a, **k: True",
        "import builtins\nbuiltins.sum = lambda *a: 3",
        "sum = lambda *a: 3",
        "import numpy as np\ndef true(*a, **k): return True\nnp.testing.assert_equal.__code__ = true.__code__",
        "import torch\ntorch.allclose = lambda *a, **k: True",
    ],
)
def test_exchanged_functions_are_put_back_and_named(scored, patch):
    first = scored(patch + "\ndef double(x):\n    return 5")[0]
    assert first["score"] == 0 and first["status"] == "refused" and "exchanged" in first["message"]


def test_a_hidden_test_is_not_in_the_message(scored):
    items = scored("def double(x):\n    return abs(2 * x)")
    assert items[0]["score"] == 0 and items[0]["message"] == "the test stopped with AssertionError"
    assert "HIDDEN" not in str(items)
    named = "import sys\ndef double(x):\n    raise type(sys._getframe(1).f_code.co_name + 'HIDDEN', (Exception,), {})"
    assert scored(named)[0]["message"] == "the test stopped with an error of another kind"


def test_a_warning_a_loop_and_an_exit_are_what_they_are(scored):
    warned = scored("import warnings\ndef double(x):\n    warnings.warn('hm')\n    return 2 * x")
    assert [item["score"] for item in warned] == [4, 2]
    assert scored("def double(x):\n    while True: pass")[0]["status"] == "timeout"
    assert scored("import os\ndef double(x):\n    os._exit(0)")[0]["status"] == "died"
    assert [item["score"] for item in scored("import sys\ndef double(x):\n    sys.exit(0)")] == [0, 0]


def test_the_report_labels_it(foreign, scored):
    result = {"status": "ok", "message": "", "score": 6.0, "items": scored(ANSWER), "answers": {}, "remarks": []}
    row = {"student": "a", "name": "a", "submitted": "", "late": False, "result": result, "seconds": 0.1}
    text_of_page = report([row], foreign)
    assert "guarded" in text_of_page and "tamper-resistant" in text_of_page


@pytest.mark.parametrize(
    "change, says",
    [
        ([text("nothing")], "no cell that gives points"),
        ([code("1", "a", grade=True, locked=True, solution=False, points="many")], "for points"),
        ([code("1", "a", grade=True, points=1), code("1", "a", grade=True, points=1)], "two cells have"),
    ],
)
def test_an_instructors_notebook_that_cannot_be_used_is_named(tmp_path, change, says):
    path = tmp_path / "x.ipynb"
    path.write_bytes(as_bytes(change))
    with pytest.raises(AssignmentError, match=says):
        Assignment.read(path)


@pytest.mark.full
def test_without_a_name_every_assignment_of_the_tree_is_graded(tmp_path, settings):
    for name in ("ps1", "ps2"):
        (tmp_path / "source" / name).mkdir(parents=True)
        (tmp_path / "source" / name / "problem.ipynb").write_bytes(as_bytes(cells()))
        (tmp_path / "submitted" / "ana" / name).mkdir(parents=True)
        (tmp_path / "submitted" / "ana" / name / "problem.ipynb").write_bytes(as_bytes(cells(ANSWER)))
    asked = front.Asked(tmp_path, tmp_path / "out", settings=settings, level="none", workers=1, time_limit=5.0)
    assert front.run(asked) == 0
    for name in ("ps1", "ps2"):
        assert ",6,0,6,7," in (tmp_path / "out" / name / "grades.csv").read_text()
