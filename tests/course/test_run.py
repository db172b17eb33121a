"""`mmteach run` and `mmteach verify`: every notebook gets its line, whatever the one before did."""

import json
import math
import re
import sys
from pathlib import Path

import nbformat
import pytest

from mmteach.cli import main
from mmteach.course.execute import Execution, Failure, _line, execute
from mmteach.course.paths import Course, CourseError, choose, find_course, write_whole
from mmteach.course.run import _page, summary
from mmteach.course.verify import counts, wilson


@pytest.fixture
def notebook(course):
    """Write a notebook into the course: notebook("01_raises", "x = 1", "raise ValueError('no')")."""

    def write(name, *cells, folder="notebooks", tags=()):
        path = course / folder / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        code = [nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}) for source in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T"), *code]), path)
        return path

    return write


def test_a_notebook_that_raises_is_shown_and_the_others_run(course, built, notebook, capsys, tmp_path):
    notebook("01_raises", "x = 1", "# why not\nvalues = {}\nprint(values['seven'])", "x")
    notebook("02_fine", "print('fine')")
    before = {path: path.read_bytes() for path in (course / "notebooks").glob("*.ipynb")}
    assert main(["run", "--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "pages")]) == 1
    shown = capsys.readouterr()
    first, second, third = shown.out.splitlines()
    assert first.startswith("00_start          ✓") and " s   claims 2/2   peak " in first and first.endswith(" MB")
    assert second.startswith("01_raises         ✗") and third.startswith("02_fine           ✓")
    assert shown.err.splitlines() == [
        "mmteach run: formulas stay as they are typed; run `make book` once, it fetches what sets them",
        "  cell In [2], `print(values['seven'])`: KeyError: 'seven'",
        "mmteach run: 1 of 3 notebooks have a cell that raised",
    ]
    rows = json.loads((tmp_path / "r.json").read_text())["notebooks"]
    assert [row["name"] for row in rows] == ["00_start", "01_raises", "02_fine"]
    assert [row["ok"] for row in rows] == [True, False, True]
    assert rows[0]["claims"][0]["name"] == "start.total" and rows[0]["peak_bytes"] > 30e6
    assert rows[1]["failure"]["cell"] == 2 and "values = {}" in rows[1]["failure"]["traceback"]
    assert "\x1b" not in rows[1]["failure"]["traceback"]
    pages = sorted(path.name for path in (tmp_path / "pages").iterdir())
    assert pages == ["00_start.html", "01_raises.html", "02_fine.html"]
    assert "total 6" in (tmp_path / "pages" / "00_start.html").read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in (course / "notebooks").glob("*.ipynb")} == before  # run writes nothing


def test_a_page_holds_the_pictures_that_lie_beside_its_notebook(course):
    (course / "notebooks" / "images").mkdir()
    (course / "notebooks" / "images" / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    cells = [nbformat.v4.new_markdown_cell("![a dot](images/dot.svg) ![gone](images/gone.svg)")]
    page = _page(nbformat.v4.new_notebook(cells=cells), course / "notebooks")
    assert 'src="images/dot.svg"' not in page and 'src="data:image/svg+xml;base64,' in page
    assert 'src="images/gone.svg"' in page  # a picture that is missing spoils no page


def test_a_page_fetches_nothing_and_mathjax_lies_beside_it(course, notebook, tmp_path, capsys):
    notebook("01_formula", "1")
    web = course / "book" / "_static" / "web"
    web.mkdir(parents=True)
    (web / "tex-svg-full.js").write_text("// sets formulas")
    assert main(["run", "--html", str(tmp_path / "pages")]) == 0
    assert capsys.readouterr().err == ""
    assert (tmp_path / "pages" / "tex-svg-full.js").read_text() == "// sets formulas"
    page = (tmp_path / "pages" / "01_formula.html").read_text(encoding="utf-8")
    assert re.findall(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="([^"]+)', page) == ["tex-svg-full.js"]
    assert not re.search(r"\bimport\b[^;]*https?:|url\([\"']?https?:", page)


def test_a_kernel_that_dies_is_a_failure_of_that_notebook_alone(notebook, capsys):
    notebook("01_dies", "import os\nos._exit(1)")
    notebook("02_fine", "1")
    assert main(["run", "01", "02"]) == 1
    shown = capsys.readouterr()
    assert "cell In [1], `import os`: the kernel died" in shown.err
    assert "02_fine           ✓" in shown.out


def test_exercises_run_with_their_unfinished_cells_raising(notebook, capsys):
    notebook("01_tasks", "raise NotImplementedError", folder="exercises", tags=["raises-exception"])
    assert main(["run", "--exercises"]) == 0
    assert "01_tasks          ✓" in capsys.readouterr().out
    assert main(["run", "--solutions"]) == 2
    assert "there is no chapter in" in capsys.readouterr().err


def test_cells_run_in_the_notebooks_folder_with_this_python(notebook, course):
    (course / "notebooks" / "near.txt").write_text("here")
    notebook(
        "01_where", f"import sys\nassert open('near.txt').read() == 'here'\nassert sys.executable == {sys.executable!r}"
    )
    assert main(["run", "1"]) == 0


def test_what_is_shown_inside_a_widget_stays_there(notebook):
    path = notebook(
        "01_widget", "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    print('inside')\nprint('outside')"
    )
    page = nbformat.read(path, as_version=4)
    assert execute(page, path.parent).failure is None
    assert [output.text for output in page.cells[1].outputs] == ["outside\n"]
    assert "widgets" not in page.metadata


def test_what_widgets_show_never_keeps_a_notebook_waiting():
    """Cells whose widgets are shown much, while their replies are under way: nbclient's own widget hung in one of ten."""
    code = (
        "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    for i in range(40):\n        print(i, flush=True)"
    )
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for _ in range(60)])
    assert execute(page, Path.cwd(), limit=60).failure is None
    assert all(cell.outputs == [] for cell in page.cells)


def test_a_cell_that_takes_longer_than_its_limit_is_a_failure():
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import time\ntime.sleep(60)")])
    failure = execute(page, Path.cwd(), limit=1).failure
    assert str(failure) == "cell In [1], `import time`: not done after 1 s, the limit of one cell"


@pytest.mark.parametrize("arguments", [["run", "9"], ["run", "start"], ["build", "04"], ["verify", "00", "9"]])
def test_an_unknown_chapter_is_answered_with_the_list(built, arguments, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert "no chapter is called " in shown.err and "there are 00_start" in shown.err and shown.err.count("\n") == 1


def test_chapters_by_number_beginning_name_and_path(tmp_path):
    files = [tmp_path / f"{name}.ipynb" for name in ("00_start", "01_background", "03_fusion", "10_more")]

    def names(*asked):
        return [path.stem for path in choose(files, asked, tmp_path)]

    assert names() == ["00_start", "01_background", "03_fusion", "10_more"]
    assert names("03", "0") == ["00_start", "03_fusion"]
    assert names("3") == names("03_fu") == names("notebooks/03_fusion.ipynb") == ["03_fusion"]
    assert names("1") == ["01_background"] and names("10") == ["10_more"]
    assert names("03", "3") == ["03_fusion"]
    with pytest.raises(CourseError, match="no chapter is called ''"):
        names("")


def test_only_numbered_notebooks_are_chapters(course, notebook):
    for name in ("02_b", "00_a", "notes", "1_x"):
        notebook(name)
    (course / "notebooks" / "03_c.txt").touch()
    assert [path.stem for path in Course(course).chapters()] == ["00_a", "02_b"]


def test_the_course_is_found_from_the_variable_then_here_then_above(course, monkeypatch, tmp_path):
    assert find_course().root == course
    monkeypatch.delenv("MMTEACH_COURSE")
    (course / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(course / "deep" / "er")
    assert find_course().root == course
    monkeypatch.setenv("MMTEACH_COURSE", str(tmp_path))
    with pytest.raises(CourseError, match=r"MMTEACH_COURSE is .* has no notebooks/NN_name.ipynb"):
        find_course()


def test_an_installed_package_without_notebooks_says_where_they_are(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("MMTEACH_COURSE", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "mmteach.course.paths.__file__", str(tmp_path / "site-packages" / "mmteach" / "course" / "paths.py")
    )
    for command in ("run", "build", "lab", "verify"):
        assert main([command]) == 2
        assert "clone the repository" in capsys.readouterr().err


def test_results_are_written_where_they_can_be(built, tmp_path, capsys):
    assert main(["run", "--json", str(tmp_path / "none" / "r.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_whole(path, "one\n")
    path.chmod(0o640)
    write_whole(path, "zwei ✓\n")
    assert path.read_text(encoding="utf-8") == "zwei ✓\n" and path.stat().st_mode & 0o777 == 0o640

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mmteach.course.paths.os.replace", full)
    with pytest.raises(CourseError, match=r"cannot write .*a.txt: No space left on device"):
        write_whole(path, "three\n")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and path.read_text(encoding="utf-8") == "zwei ✓\n"


def test_a_broken_notebook_file_is_named(built, capsys):
    built.write_text("not json")
    assert main(["run"]) == 2
    assert "00_start.ipynb cannot be read as a notebook" in capsys.readouterr().err


def test_the_line_about_a_notebook():
    claims = [{"holds": True, "enforced": True}, {"holds": False, "enforced": True}]
    full = Execution(12.34, 3 * 2**20, claims)
    assert summary("00_a", full) == "00_a              ✓    12.3 s   claims 1/2   peak 3 MB"
    smoke = Execution(99.96, None, [{"holds": False, "enforced": False}], failure=Failure(1, "x", "E: y", ""))
    assert summary("00_a", smoke) == "00_a              ✗1 min 40 s   claims 0/1 (not enforced)"
    assert summary("00_a", Execution(3661.0)) == "00_a              ✓61 min 01 s"


@pytest.mark.parametrize(
    ("source", "traceback", "line"),
    [
        ("a\nb\nc", "Cell In[12], line 2\n", "b"),
        ("a\nb", "Cell In[1], line 1, in <module>\nCell In[2], line 2\n", "a"),
        ("a\nb", "Cell In[1], line 9", "a"),  # the line of another cell's function
        ("# note\n\n  x = 1", "", "x = 1"),
        ("# note", "", "# note"),
    ],
)
def test_the_line_that_raised(source, traceback, line):
    assert _line(source, traceback) == line


# verify


def test_verify_counts_claims_over_fresh_seeds_and_goes_on_where_it_stopped(built, tmp_path, capsys):
    kept = tmp_path / "v.json"
    assert main(["verify", "--seeds", "1", "--json", str(kept)]) == 0
    assert "start.total    1/1   0.21 to 1.00" in capsys.readouterr().out
    assert main(["verify", "--seeds", "3", "--json", str(kept)]) == 1
    shown = capsys.readouterr()
    assert [line[:18].strip() for line in shown.out.splitlines()[:2]] == ["00_start 2/3", "00_start 3/3"]
    assert "start.total    3/3   0.44 to 1.00" in shown.out
    assert "start.seed     2/3   0.21 to 0.94" in shown.out  # it holds for the seeds 1000 and 2000
    assert "1 of 2 claims did not hold on every seed" in shown.err
    rows = json.loads(kept.read_text())["chapters"]["00_start"]
    assert [row["seed"] for row in rows] == [1000, 2000, 3000]
    assert [row["claims"][1]["values"] for row in rows] == [[1000.0], [2000.0], [3000.0]]


def test_verify_does_not_count_a_run_that_ended_in_an_error(notebook, capsys, tmp_path):
    notebook("01_raises", "import mmteach\nmmteach.claim('a.b', 1, at_least=0)", "1 / 0")
    assert main(["verify", "--seeds", "1", "--json", str(tmp_path / "v.json")]) == 1
    shown = capsys.readouterr()
    assert "ZeroDivisionError" in shown.err and "1 runs ended in an error" in shown.err
    assert "No claims were made." in shown.out
    assert not (tmp_path / "v.json").exists()


def test_verify_refuses_files_that_are_not_its_own(built, tmp_path, capsys, monkeypatch):
    kept = tmp_path / "v.json"
    for text in ("{", "[]", '{"scale": "laptop"}', '{"scale": "laptop", "chapters": []}'):
        kept.write_text(text)
        assert main(["verify", "--json", str(kept)]) == 2
        assert "does not hold earlier runs" in capsys.readouterr().err
        assert kept.read_text() == text
    kept.write_text('{"scale": "smoke", "chapters": {}}')
    assert main(["verify", "--json", str(kept)]) == 2
    assert "holds runs at scale 'smoke', this one is at 'laptop'" in capsys.readouterr().err
    monkeypatch.setenv("MMTEACH_SCALE", "smoke")
    monkeypatch.setenv("MMTEACH_PRECISION", "fp32")
    assert main(["verify", "--json", str(kept)]) == 2
    assert "holds runs at precision 'auto', this one is at 'fp32'" in capsys.readouterr().err
    monkeypatch.delenv("MMTEACH_PRECISION")
    monkeypatch.setenv("MMTEACH_SCALE", "laptop")
    assert main(["verify", "--seeds", "0"]) == 2
    assert "--seeds must be at least 1, got 0" in capsys.readouterr().err
    assert main(["verify", "--json", str(tmp_path / "none" / "v.json")]) == 2


def test_counts_are_over_all_runs_of_a_claim():
    def row(**claims):
        return {"claims": [{"name": name, "holds": holds} for name, holds in claims.items()]}

    runs = {"01_a": [row(x=True, y=False), row(x=True, y=True)], "02_b": [row(z=False)]}
    assert counts(runs) == [("x", 2, 2), ("y", 1, 2), ("z", 0, 1)]


def test_wilson_intervals_against_the_quadratic_they_solve():
    # The bounds are the p with (p_hat - p)² = z² p (1 - p) / n; for 8 of 10 they are .4902 and .9433.
    assert wilson(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-5)
    for held, n in [(0, 5), (5, 5), (1, 3), (50, 100)]:
        low, high = wilson(held, n)
        for p in (low, high):
            assert (held / n - p) ** 2 == pytest.approx(1.959964**2 * p * (1 - p) / n, abs=1e-6)
        assert 0 <= low <= held / n <= high <= 1
    assert wilson(0, 5)[0] == 0 and wilson(5, 5)[1] == 1
    assert math.isclose(wilson(0, 5)[1], 1 - wilson(5, 5)[0])
    for held, n in [(1, 0), (-1, 3), (4, 3)]:
        with pytest.raises(ValueError, match="held must be between 0 and n"):
            wilson(held, n)
