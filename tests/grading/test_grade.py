"""One submission: its score is that of its honest part, whatever happened to its cells."""

import json

import pytest
from conftest import ANSWERS, NAMES, as_bytes, code, notebook, text, toy_cells

from mmteach.grading.assignment import Assignment
from mmteach.grading.matching import match
from mmteach.grading.notebook import cells_of


def scores(result):
    return [item["score"] for item in result["items"]]


def messages(result):
    return " | ".join(item["message"] for item in result["items"])


def test_solutions_get_full_marks_and_leave_the_open_question_to_a_human(graded):
    result = graded(toy_cells(ANSWERS))
    assert scores(result) == [2, 2, 2, None]
    assert result["status"] == "ok" and result["message"] == "" and result["remarks"] == []
    assert [item["status"] for item in result["items"]] == ["ok", "ok", "ok", "to mark"]


def test_an_untouched_exercise_gets_nothing_and_says_so(graded):
    result = graded(toy_cells())
    assert scores(result) == [0, 0, 0, None]
    assert all(item["message"] == "not answered yet" for item in result["items"][:3])


def test_a_known_misconception_is_named(graded):
    result = graded(toy_cells(ANSWERS | {"toy.mean": "def mean_of_rows(x):\n    return x.sum(1)"}))
    assert scores(result) == [0, 2, 2, None]
    assert result["items"][0]["misconception"] == "sum"
    assert result["items"][0]["message"] == "a mean divides by how many there are"


def stripped():
    return [{**cell, "metadata": {}} for cell in toy_cells(ANSWERS)]


def merged():
    whole = "\n\n".join(cell["source"] for cell in toy_cells(ANSWERS) if cell["cell_type"] == "code")
    return [code(whole)]


def merged_with_an_unfinished_one():
    cells = toy_cells({task: ANSWERS[task] for task in ("toy.softmax", "toy.third")})
    cells[2]["source"] += "\n\nmean_of_rows(torch.ones(2, 2))\n\n" + cells[4]["source"]
    return [cell for i, cell in enumerate(cells) if i != 4]


def merged_into_the_test():
    cells = toy_cells(ANSWERS)
    cells[3]["source"] = cells[2]["source"] + "\n" + cells[3]["source"]
    return cells[:2] + cells[3:]


def copied():
    cells = toy_cells()
    for at, task in ((7, "toy.third"), (5, "toy.softmax"), (3, "toy.mean")):
        cells.insert(at, code(ANSWERS[task], f"{task}-answer", grade=False, locked=False, solution=True))
    return cells


def deleted_tests():
    return [cell for cell in toy_cells(ANSWERS) if not cell["source"].startswith("check(")]


def setup_deleted():
    return [cell for cell in toy_cells(ANSWERS) if not cell["source"].startswith("import torch")]


def reordered():
    return toy_cells(ANSWERS)[::-1]


def answers_below_their_tests():
    return [*toy_cells(), *(code(answer) for answer in ANSWERS.values())]


def a_helper_at_the_end():
    used = "def mean_of_rows(x):\n    return total(x) / x.shape[1]"
    return [*toy_cells(ANSWERS | {"toy.mean": used}), code("def total(x):\n    return x.sum(1)")]


def a_base_class_at_the_end():
    used = "mean_of_rows = Base.mean"
    return [
        *toy_cells(ANSWERS | {"toy.mean": used}),
        code("class Base:\n    @staticmethod\n    def mean(x):\n        return x.mean(1)"),
    ]


def setup_edited():
    cells = toy_cells(ANSWERS)
    cells[1]["source"] = "import numpy"
    return cells


def format_3():
    cells = [
        {**cell, "input": cell["source"], "metadata": {}} if cell["cell_type"] == "code" else cell
        for cell in toy_cells(ANSWERS)
    ]
    for cell in cells:
        if cell["cell_type"] == "code":
            del cell["source"]
    return cells


CELLS = [stripped, merged, merged_into_the_test, copied, deleted_tests, setup_deleted, reordered,
         answers_below_their_tests, a_helper_at_the_end, a_base_class_at_the_end, setup_edited]  # fmt: skip


@pytest.mark.parametrize("make", CELLS, ids=lambda one: one.__name__)
def test_moved_cells_keep_their_score(graded, make):
    result = graded(make())
    assert scores(result)[:3] == [2, 2, 2], messages(result)


def test_one_unfinished_answer_does_not_take_a_finished_one_along(graded):
    assert scores(graded(merged_with_an_unfinished_one()))[:3] == [0, 2, 2]


def test_the_old_format_is_read(graded):

    old = {"worksheets": [{"cells": format_3()}], "metadata": {}, "nbformat": 3, "nbformat_minor": 0}
    assert scores(graded(json.dumps(old).encode()))[:3] == [2, 2, 2]


def test_magics_shell_and_await_run_as_in_a_notebook(graded):
    extra = "%matplotlib inline\n%nonsense\n!echo hello\nimport asyncio\nawait asyncio.sleep(0)\ninput"
    result = graded([code(extra), *toy_cells(ANSWERS)])
    assert scores(result)[:3] == [2, 2, 2], messages(result)


def test_a_warning_on_stderr_is_no_failure(graded):
    warns = "import warnings, sys\nwarnings.warn('hm'); print('x', file=sys.stderr)\n" + ANSWERS["toy.mean"]
    assert scores(graded(toy_cells(ANSWERS | {"toy.mean": warns})))[:3] == [2, 2, 2]


def test_the_open_answer_is_kept_for_the_human(graded):
    result = graded(toy_cells(ANSWERS | {"why": "Because of the gate."}))
    assert result["answers"]["why"] == "Because of the gate."
    cells = toy_cells(ANSWERS)
    cells[-1] = text("Written into a cell of its own.")
    assert "of its own" in graded(cells)["answers"]["why"]


def test_an_open_question_nobody_answered_is_told_from_one_that_waits(graded):
    for cells in (toy_cells(), toy_cells()[:-1], [*toy_cells()[:-1], text("")]):
        assert graded(cells)["items"][-1]["message"] == "not answered yet"
    below = [*toy_cells(), text("Because of the gate.")]  # the cell for it left as it was, and a new one below
    result = graded(below)
    assert result["answers"]["why"] == "Because of the gate."
    assert result["items"][-1]["message"] == "still to be marked by a person" and result["items"][-1]["score"] is None


def test_an_open_answer_without_metadata_is_kept_without_its_question(tmp_path):
    question = (
        "## Why?\n\nSay in 200 words why a gate helps.\n\nRead again: [Gates](../notebooks/03_fusion.ipynb#Gates)."
    )
    marked = text(question, "question", grade=False, locked=True, solution=False)
    (tmp_path / "toy.ipynb").write_bytes(as_bytes([*toy_cells()[:-1], marked, toy_cells()[-1]]))
    handed_out = question.replace("[Gates](../notebooks/03_fusion.ipynb#Gates)", "*Gates* (chapter 03)")
    bare = [one | {"metadata": {}} for one in toy_cells()[:-1]]
    cells = cells_of(as_bytes([*bare, text(handed_out), text("It lets through what the text asks for.")]))
    answers = match(Assignment.read(tmp_path / "toy.ipynb"), cells).answers
    assert answers["why"] == "It lets through what the text asks for."


def test_a_notebook_of_another_assignment_is_remarked(graded):
    result = graded([text("# Another"), code("x = 1"), code("def other():\n    raise NotImplementedError()")])
    assert any("perhaps another one's" in remark for remark in result["remarks"])
    assert "NotImplementedError:" not in result["items"][0]["message"]


def test_the_missing_answer_says_which_error_took_it_away(graded):
    result = graded(toy_cells(ANSWERS | {"toy.mean": "mean_of_rows = undefined_name"}))
    assert "NameError" in result["items"][0]["message"] and "undefined_name" in result["items"][0]["message"]


@pytest.mark.parametrize(
    "data, says",
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "JSON"),
        (as_bytes(toy_cells(ANSWERS))[:500], "breaks off"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"[1, 2]", "no notebook"),
        (b'{"cells": 5}', "no cells"),
        (b"[" * 100_000, "deep"),
        (b'{"a":' * 100_000, "deep"),
    ],
    ids=["empty", "picture", "cut", "web page", "list", "no cells", "deep list", "deep object"],
)
def test_a_file_that_is_no_notebook_gets_a_row_and_a_sentence(graded, data, says):
    result = graded(data)
    assert result["status"] == "unreadable" and says in result["message"] and result["score"] == 0


def test_strange_cells_are_skipped_or_read(graded):

    tree = notebook(toy_cells(ANSWERS))
    tree["cells"] += [5, None, {"cell_type": "code"}, {"cell_type": "code", "source": 3, "metadata": []},
                      {"cell_type": "raw", "source": ["a", 1]}, {"source": "\ud800"}]  # fmt: skip
    assert scores(graded(json.dumps(tree).encode()))[:3] == [2, 2, 2]


def test_many_slow_cells_do_not_hold_the_class_up(graded, monkeypatch):
    monkeypatch.setattr("mmteach.grading.grade.NOTEBOOK", -3)  # and one more for each of four tasks: 2 seconds in all
    slow = [code("import time; time.sleep(1)") for _ in range(50)]
    items = graded([*slow, *toy_cells(ANSWERS)])["items"]
    assert [item["status"] for item in items[:3]] == ["timeout"] * 3 and "seconds" not in items[0]["message"]
    assert "together" in items[0]["message"] and items[3]["status"] == "to mark"


def test_grades_hang_on_nothing_but_the_submission_and_the_seed(graded):
    noisy = ANSWERS | {"toy.mean": "import torch\ndef mean_of_rows(x):\n    return x.mean(1) + torch.rand(1)"}
    one, two = graded(toy_cells(noisy)), graded(toy_cells(noisy))
    for result in (one, two):
        result.pop("seconds")
        for item in result["items"]:
            item.pop("seconds")
    assert one == two


def test_the_names_of_the_toys_are_those_of_the_notebook():
    assert set(NAMES) == set(ANSWERS)
