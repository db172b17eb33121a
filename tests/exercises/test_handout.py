"""A handout holds no solution and no reference, and its checks say the same as those of the course."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from mmteach.cli import main
from mmteach.exercises import judge, stored, tasks
from mmteach.exercises.wire import encode

ROOT = Path(__file__).parents[2]
JUDGE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import mmteach
from bank import right_cases, wrong_cases
from mmteach.exercises import find, judge
from mmteach.exercises.notebook import verdict
assert mmteach.__file__.startswith(sys.argv[2]), mmteach.__file__
assert all(judge.references(find(name)) is None for name, _, _ in right_cases())
bad = [f"{name}: {what}" for name, what, answer in right_cases() if not verdict(find(name), answer, 3)[0].ok]
for name, mistake, answer, misconception, parts in wrong_cases():
    found = verdict(find(name), answer, 3)[0]
    if found.ok or found.misconception != misconception:
        bad.append(f"{name}: {mistake}: {found.misconception}")
print(json.dumps(bad))
"""


@pytest.fixture(scope="module")
def handout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handout")
    assert main(["build", "--handout", str(folder), "--seed", "7"]) == 0
    return folder


def wheel(folder):
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_stored_numbers_in_the_place_of_references(handout):
    names = wheel(handout).namelist()
    assert not [name for name in names if "references" in name or "solutions" in name]
    assert {f"mmteach/exercises/expectations/{task.name}.bin" for task in tasks()} <= set(names)
    code = "\n".join(
        wheel(handout).read(name).decode()
        for name in names
        if name.startswith("mmteach/exercises/") and name.endswith(".py")
    )
    assert "def judge(" in code and "EXPECT =" not in code


def test_the_notebooks_hold_no_answer_and_lead_nowhere_outside(handout):
    paths = sorted((handout / "exercises").iterdir())
    assert [path.name for path in paths] == [path.name for path in sorted((ROOT / "exercises").glob("*.ipynb"))]
    for path in paths:
        text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
        assert "SOLUTION" not in text and "](../" not in text and "colab" not in text.casefold() and "%pip" not in text
        assert "(chapter 0" in text
    assert "mmteach-" in (handout / "README.md").read_text(encoding="utf-8")


def test_a_formula_is_handed_out_as_it_is_written(handout):
    for path in sorted((ROOT / "exercises").glob("*.ipynb")):
        written, given = (
            {
                formula
                for cell in nbformat.read(one, as_version=4).cells
                for formula in re.findall(r"\$[^$\n]+\$", cell.source)
            }
            for one in (path, handout / "exercises" / path.name)
        )
        assert given == written, path.name


def test_a_stored_draw_is_a_draw(handout, tmp_path, monkeypatch):
    wheel(handout).extractall(tmp_path)
    monkeypatch.setattr(stored, "FOLDER", tmp_path / "mmteach" / "exercises" / "expectations")
    stored._read.cache_clear()
    for task in tasks():
        cases, expected = stored.draw(task.name, stored.DRAWS + 2)  # the draws come round again
        fresh, wanted = judge.draw(task, 7 + 2)
        assert encode([case.as_plain() for case in cases]) == encode([case.as_plain() for case in fresh])
        assert encode([one.as_plain() for one in expected]) == encode([one.as_plain() for one in wanted])
    stored._read.cache_clear()


def test_where_there_is_no_course_there_is_no_handout(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks" / "src").mkdir(parents=True)
    (tmp_path / "notebooks" / "src" / "00_start.py").write_text("# %% [markdown]\n# # T\n")
    monkeypatch.setenv("MMTEACH_COURSE", str(tmp_path))
    assert main(["build", "--handout", str(tmp_path / "x")]) == 2
    assert "there is no chapter in" in capsys.readouterr().err


@pytest.mark.full
def test_the_handouts_checks_say_the_same(handout, tmp_path):
    wheel(handout).extractall(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", JUDGE, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
