"""`mmteach check NOTEBOOK`: a clear answer for whatever state a notebook is in, other tasks still checked."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mmteach.cli import main
from mmteach.exercises import find, submission, tasks
from mmteach.exercises.submission import answer, belonging, read

SETUP = "import math\nimport torch\nfrom torch import nn\nfrom mmteach.exercises import check"
LATE = "def late(a, b, p):\n    return (a + b - p.log()).log_softmax(1)"
STUB = "def late(a, b, p):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
SURE = """def overconfidence(z, y):
    return z.softmax(1).amax(1).mean() - (z.argmax(1) == y).float().mean()"""
SOME = (find("background.late"), find("background.sure"))
FULL = {"background.late": 4, "background.sure": 4}


def points(cells, asked=SOME):
    found = answer(cells, asked)
    return {name: verdict.points for name, verdict in found.verdicts.items()}, found.broken


def test_cells_in_any_order_and_checks_or_none_give_the_same():
    checks = ['check("background.late", late)', 'check("background.sure", overconfidence)']
    cells = ["twice = late(*[torch.zeros(1, 2)] * 2, torch.ones(2) / 2)", LATE, *checks, SURE, SETUP]
    assert points(cells) == (FULL, {})  # what a name was missing for came further down


def test_a_copied_stub_does_not_hide_the_answer_and_the_latest_answer_counts():
    wrong = LATE.replace("- p.log()", "")
    found = answer([SETUP, wrong, LATE, STUB, SURE], SOME)
    assert found.verdicts["background.late"].ok
    found = answer([SETUP, LATE, wrong, SURE], SOME)
    assert found.verdicts["background.late"].misconception == "prior forgotten"


def test_cells_that_raise_cost_only_what_depends_on_them():
    cells = [SETUP, "1 / 0", "late = (", LATE, "input('name? ')", "%nosuchmagic", SURE]
    scores, broken = points(cells)
    assert scores == FULL
    assert broken[1].startswith("ZeroDivisionError") and broken[2].startswith("SyntaxError") and 4 in broken


def test_cells_and_answers_that_end_the_process_cost_only_themselves():
    dying = "import os\ndef overconfidence(z, y):\n    os._exit(3)"
    found = answer([SETUP, LATE, "import os; os._exit(1)", dying], SOME)
    assert found.verdicts["background.late"].ok
    assert found.verdicts["background.sure"].misconception == "exits"
    assert found.broken[2] == "it ended the whole process"


def test_cells_and_answers_that_never_end_are_stopped(monkeypatch):
    monkeypatch.setattr(submission, "CELL_SECONDS", 1.0)
    loop = "def overconfidence(z, y):\n    while True:\n        pass"
    found = answer(
        [SETUP, LATE, "while True:\n    try:\n        pass\n    except Exception:\n        pass", loop], SOME
    )
    assert found.verdicts["background.late"].ok
    assert found.verdicts["background.sure"].misconception == "slow"
    assert found.broken == {2: "TimeoutError: not done after 1 s"}


def test_megabytes_changed_globals_and_seeds_reach_nobody():
    wild = "print('x' * 10_000_000)\ntorch.manual_seed(0); torch.set_default_dtype(torch.float64)\n__name__ = 'other'"
    assert points([SETUP, wild, LATE, SURE])[0] == FULL


def test_exchanged_functions_win_nothing():
    found = answer([SETUP, "torch.allclose = lambda *_, **__: True", "late = lambda a, b, p: a", SURE], SOME)
    assert found.verdicts["background.late"].misconception == "replaced"


def test_what_is_not_there_is_absent_and_what_is_a_stub_unanswered():
    found = answer([SETUP, STUB], SOME)
    assert [verdict.misconception for verdict in found.verdicts.values()] == ["unanswered", "absent"]
    assert found.verdicts["background.sure"].says == "`overconfidence` is not defined in the notebook"


def test_nothing_that_a_notebook_starts_outlives_the_check(tmp_path):
    mark = tmp_path / "mark"
    start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3); open({str(mark)!r}, \"w\")'])"
    points([SETUP, start], SOME[:1])
    import time

    time.sleep(4)
    assert not mark.exists()


# Reading


def test_every_format_and_every_way_to_write_a_cell_is_read(tmp_path):
    path = tmp_path / "x.ipynb"
    code = {"cell_type": "code", "source": ["a = 1\n", "b = 2"]}
    forms = [
        {"nbformat": 4, "cells": [code, {"cell_type": "markdown", "source": "# x"}, {"cell_type": "code"}, 3]},
        {"nbformat": 4, "nbformat_minor": 9, "cells": [{**code, "source": "a = 1\nb = 2", "metadata": None}]},
        {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1\n", "b = 2"]}]}]},
        {"nbformat": 2, "worksheets": [{"cells": [{"cell_type": "code", "input": "a = 1\nb = 2"}]}]},
        {"cells": [code, {"cell_type": "code", "source": "  \n"}, {"cell_type": "code", "source": [None, 3]}]},
    ]
    for form in forms:
        path.write_text(json.dumps(form), encoding="utf-8-sig")
        assert read(path) == ["a = 1\nb = 2"], form


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not JSON"), ("", "is not JSON"), ("[]", "no list of cells"), ('"x"', "no list of cells"), ('{"cells": 3}', "no list of cells"),
     ('{"worksheets": [{}]}', "no list of cells"), ('{"worksheets": 1}', "no list of cells"), ("\xff\xfe", "is not JSON"), ("[" * 100_000, "is not JSON"),
     ('{"cells": []}', "no exercise in it")],
)  # fmt: skip
def test_what_is_no_notebook_gets_one_line_and_exit_code_2(tmp_path, capsys, content, said):
    path = tmp_path / "mine.ipynb"
    path.write_text(content, encoding="latin-1")
    assert main(["check", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mmteach check: ") and said in error and error.count("\n") == 1


def test_a_file_that_is_not_there_and_no_file_at_all(tmp_path, capsys):
    assert main(["check", str(tmp_path / "no.ipynb")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    assert main(["check", str(tmp_path)]) == 2
    assert main(["check"]) == 2
    assert "which notebook?" in capsys.readouterr().err
    assert main(["check", "x.ipynb", "--json", str(tmp_path / "none" / "x.json")]) == 2


def test_a_notebook_belongs_to_the_tasks_that_it_checks_is_named_after_or_defines():
    both = belonging(Path("x.ipynb"), ['check("fusion.gated", G)', "check( 'background.late' , late)"])
    assert {task.chapter for task in both} == {"fusion", "background"}
    assert belonging(Path("03_fusion (2).ipynb"), ["1"]) == tasks("fusion")
    named = [f"def {task.answer}(x):\n    pass" for task in tasks("concepts")]
    assert belonging(Path("Untitled.ipynb"), named) == tasks("concepts")
    with pytest.raises(ValueError, match="no exercise in it"):
        belonging(Path("Untitled.ipynb"), ["def late(): pass"])


# From the command line


def test_a_half_done_notebook_reads_well(tmp_path, capsys, learner):
    path, report = tmp_path / "01_background.ipynb", tmp_path / "report.json"
    wrong = SURE.replace("z.softmax(1)", "z.softmax(0)")
    cells = [
        new_markdown_cell("# mine"),
        *map(new_code_cell, [SETUP, LATE, 'check("background.late", late)', wrong, "1 / 0"]),
    ]
    nbformat.write(new_notebook(cells=cells), path)
    assert main(["check", str(path), "--json", str(report), "--progress"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "✓ background.late           4/4" in lines
    assert "· background.snr            –/4  `add_noise` is not defined in the notebook" in lines
    wrong = next(i for i, line in enumerate(lines) if line.startswith("✗ background.sure"))
    assert lines[wrong].startswith("✗ background.sure           0/4  the softmax runs over the examples:")
    assert lines[wrong + 1].startswith(" " * 34)
    assert "4 of 28 points" in lines
    assert "  cell 5 of code, `1 / 0`, stopped: ZeroDivisionError: division by zero" in lines
    assert "background: 4 of 28 points" in lines  # the progress
    assert max(map(len, lines)) <= 100
    found = json.loads(report.read_text(encoding="utf-8"))
    assert (found["points"], found["of"], found["broken"][0]["cell"]) == (4, 28, 5)
    late = next(row for row in found["tasks"] if row["name"] == "background.late")
    assert late["ok"] and late["parts"] == {"values": True, "extremes": True}


@pytest.mark.full
@pytest.mark.parametrize(
    "number",
    ["01_background", "02_concepts", "03_fusion", "04_cross_modal", "05_multi_task", "06_applications", "07_outlook"],
)
def test_the_solutions_pass_every_check(number):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "mmteach.cli", "check", str(root / "solutions" / f"{number}.ipynb")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout and "stopped" not in done.stdout
