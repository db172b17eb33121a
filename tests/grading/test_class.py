"""A class: nothing lost, the same bytes again, tables and pages that hold what they must and no more."""

import csv
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ANSWERS, TOYS, as_bytes, toy_cells

from mmteach.grading import alike, batch, front, pages, submissions, tables
from mmteach.grading.assignment import Assignment, AssignmentError
from mmteach.grading.client import ServerLost
from mmteach.grading.gradebook import Gradebook, GradebookError
from mmteach.grading.notebook import Unreadable

HALF = {"toy.mean": ANSWERS["toy.mean"], "toy.softmax": "def softmax(x):\n    return x.exp()"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
CLASS = {
    "anna": toy_cells(ANSWERS | {"why": HOSTILE}),
    "ben": toy_cells(HALF),
    "carla": toy_cells(),
    "<b>dora": toy_cells(ANSWERS | {"toy.mean": f"def mean_of_rows(x):\n    raise ValueError({HOSTILE!r})"}),
    "=cmd": toy_cells(ANSWERS),
}


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handed-in")
    for student, cells in CLASS.items():
        (folder / f"{student}.ipynb").write_bytes(as_bytes(cells))
    (folder / "emil.ipynb").write_bytes(b"no notebook")
    for path in folder.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "toy.ipynb"
    path.write_bytes(as_bytes(toy_cells()))
    return path


@pytest.fixture(scope="module")
def asked(handed_in, source, settings):
    def make(out, **more):
        return front.Asked(
            handed_in, out, "toy", source=source, settings=settings, references="toy_references", level="none",
            time_limit=5.0, seed=3, workers=1, **more,
        )  # fmt: skip

    return make


RESULTS = ("grades.csv", "results.json", "gradebook.json", "canvas.csv", "moodle.csv", "to_mark.csv")


@pytest.fixture(scope="module")
def out(asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    assert front.run(asked(folder)) == 0
    return folder


def table(path):
    return {row["student_id"]: row for row in csv.DictReader(io.StringIO(path.read_text()))}


def test_every_submission_has_a_row_with_its_score(out):
    rows = table(out / "grades.csv")
    assert {student: row["score"] for student, row in rows.items()} == {
        "anna": "6", "ben": "2", "carla": "0", "<b>dora": "4", "'=cmd": "6", "emil": "0",
    }  # fmt: skip
    assert rows["emil"]["status"] == "unreadable" and rows["anna"]["max_score"] == "9"
    assert set(tables.NBGRADER) <= set(rows["anna"])


def test_gradescopes_form_has_a_test_an_item(out):
    found = json.loads((out / "results.json").read_text())["students"]["ben"]
    assert found["score"] == 2 and [test.get("score") for test in found["tests"]] == [2, 0, 0, None]
    assert "execution_time" not in found


def test_a_second_run_grades_nothing_and_writes_the_same(out, asked, capsys):
    before = {name: (out / name).read_bytes() for name in RESULTS}
    front.run(asked(out))
    assert "0 graded" in capsys.readouterr().out
    assert {name: (out / name).read_bytes() for name in RESULTS} == before


def test_another_run_gives_the_same_bytes(out, asked, tmp_path):
    front.run(asked(tmp_path, regrade=True))
    assert {name: (tmp_path / name).read_bytes() for name in RESULTS} == {
        name: (out / name).read_bytes() for name in RESULTS
    }


def test_what_a_submission_wrote_is_escaped(out):
    pages_of_class = [out / "report.html", *(out / "feedback").glob("*.html")]
    assert len(pages_of_class) == 7
    for page in pages_of_class:
        text = page.read_text()
        assert "<script" not in text and "<img" not in text and "<b>dora" not in text
        assert "http://" not in text and "https://" not in text and "SECRET-REFERENCE" not in text
    assert "&lt;script&gt;" in (out / "feedback" / "anna.html").read_text()


def test_open_questions_come_back_by_their_sheet(out, asked, tmp_path):
    sheet = list(csv.DictReader(io.StringIO((out / "to_mark.csv").read_text(encoding="utf-8-sig"))))
    assert [row["points"] for row in sheet if row["student"] == "anna"] == [""] and sheet[0]["out_of"] == "3"
    marks = tmp_path / "marks.csv"
    marks.write_text("student,item,points,comment\nanna,why,2.5,Well put\n=cmd,why,1,\nben,why,,\n")
    again = tmp_path / "out"
    front.run(asked(again, marks=marks, only=("anna", "=cmd")))
    rows = table(again / "grades.csv")
    assert rows["anna"]["score"] == "8.5" and rows["anna"]["why"] == "2.5" and rows["'=cmd"]["score"] == "7"
    assert "Well put" in (again / "feedback" / "anna.html").read_text()


@pytest.mark.parametrize(
    "line, says",
    [("zoe,why,1,", "no student 'zoe'"), ("anna,what,1,", "no open question"), ("anna,why,x,", "no number"),
     ("anna,why,9,", "at most"), ("anna,why,nan,", "at most")],
)  # fmt: skip
def test_a_mark_that_cannot_be_is_named_with_its_line(tmp_path, source, line, says):
    path = tmp_path / "marks.csv"
    path.write_text(f"student,item,points,comment\n{line}\n")
    with pytest.raises(ValueError, match=f"line 2: .*{says}"):
        tables.read_marks(path, Assignment.read(source), {"anna"})


# ---- interrupted ---------------------------------------------------------------------------------------------------------

GRADE = """
import sys
sys.path[:0] = [{toys!r}, {tests!r}]
from pathlib import Path
from types import SimpleNamespace
from mmteach.grading import front
from mmteach.grading.client import Settings
settings = Settings(registry="toy", paths=({toys!r},), level="none", warm=("numpy",))
front.run(front.Asked(Path({handed_in!r}), Path({out!r}), "toy", source=Path({source!r}), settings=settings,
    references="toy_references", level="none", time_limit=5.0, seed=3, workers=1))
"""


def start(handed_in, out, source):
    script = GRADE.format(
        toys=str(TOYS), tests=str(TOYS.parent), handed_in=str(handed_in), out=str(out), source=str(source)
    )
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed(times, handed_in, out, source, pauses):
    """Start the grader and kill it `times` times, each a pause after it began to grade or to start."""
    for pause in pauses[:times]:
        process = start(handed_in, out, source)
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    process = start(handed_in, out, source)
    assert process.wait(timeout=120) == 0


def test_killed_and_started_again_it_gives_the_same_bytes(out, handed_in, source, tmp_path):
    killed(1, handed_in, tmp_path, source, [5.0])
    assert {name: (tmp_path / name).read_bytes() for name in RESULTS} == {
        name: (out / name).read_bytes() for name in RESULTS
    }


@pytest.mark.full
def test_killed_twenty_times_it_gives_the_same_bytes(out, handed_in, source, tmp_path):
    import random

    pauses = [random.Random(5).uniform(0.5, 12.0) for _ in range(20)]
    killed(20, handed_in, tmp_path, source, pauses)
    assert {name: (tmp_path / name).read_bytes() for name in RESULTS} == {
        name: (out / name).read_bytes() for name in RESULTS
    }
    time.sleep(2)
    psutil = pytest.importorskip("psutil")
    left = [p for p in psutil.process_iter(["cmdline"]) if "mmteach.grading.server" in (p.info["cmdline"] or [])]
    assert [p for p in left if str(tmp_path) in " ".join(p.info["cmdline"])] == []


def test_a_transaction_that_fails_leaves_the_rows_before_it(tmp_path):
    book = Gradebook(tmp_path / "book.db")
    who = {"student": "a", "name": "a", "file": "a", "submitted": "", "late": False}
    result = {"items": [], "seconds": 0.0, "answers": {}}
    book.write("toy", who, "x", "y", result)
    book.db.execute("PRAGMA max_page_count = 1")  # as a disk that is full
    with pytest.raises(GradebookError, match="make room"):
        book.write("toy", who | {"student": "b"}, "x", "y", result | {"answers": {"long": "x" * 1_000_000}})
    assert book.graded("toy") == {"a": ("x", "y")}


def test_a_folder_that_cannot_be_written_is_named(asked, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ValueError, match="cannot make the folder"):
        front.run(asked(blocked / "out"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "gradebook.db").mkdir()
    with pytest.raises(GradebookError, match="cannot be written"):
        Gradebook(tmp_path / "out" / "gradebook.db")


def test_a_gradebook_of_another_version_is_not_touched(tmp_path):
    book = Gradebook(tmp_path / "book.db")
    book.db.execute("PRAGMA user_version = 99")
    book.close()
    with pytest.raises(GradebookError, match="another version"):
        Gradebook(tmp_path / "book.db")


@pytest.mark.parametrize(
    "change, says",
    [
        ({"assignment": "unheard_of", "source": None}, "no assignment is called 'unheard_of'"),
        ({"only": ("nobody",)}, "no submission of nobody"),
        ({"time_limit": 0.0}, "above 0"),
        ({"workers": -1}, "at least 1"),
        ({"due": "soon"}, "a date like"),
        ({"assignment": None}, "no nbgrader tree"),
    ],
)
def test_arguments_that_cannot_be_are_named(asked, tmp_path, change, says):
    from dataclasses import replace

    with pytest.raises(ValueError, match=says):
        front.run(replace(asked(tmp_path), **change))


def test_a_sandbox_that_holds_too_little_is_refused(asked, tmp_path):
    from dataclasses import replace

    less = replace(asked(tmp_path).settings, without=("seccomp",))
    with pytest.raises(ValueError, match="holds less here than --level reduced"):
        front.run(replace(asked(tmp_path), settings=less, level="reduced"))


# ---- what was handed in --------------------------------------------------------------------------------------------------


def students(found):
    return [one.student for one in found]


def test_nbgraders_tree_is_read_with_its_time_stamps(tmp_path):
    for student in ("ben", "anna"):
        folder = tmp_path / "submitted" / student / "toy"
        folder.mkdir(parents=True)
        (folder / "toy.ipynb").write_bytes(as_bytes(toy_cells()))
        (folder / "another.ipynb").write_bytes(b"{}")
    (folder / "timestamp.txt").write_text("2026-11-30 23:59:01.5 UTC")
    (tmp_path / "submitted" / "carla" / "toy").mkdir(parents=True)
    found = submissions.collect(tmp_path, "toy")
    assert students(found) == ["anna", "ben", "carla"] and submissions.assignments(tmp_path) == ["toy"]
    assert found[0].submitted.startswith("2026-11-30T23:59:01") and found[0].file == "toy.ipynb"
    assert tables.late_days(found[0].submitted, "2026-11-30T12:00") == "1"
    with pytest.raises(Unreadable, match="no notebook"):
        found[2].read()


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_moodles_and_canvas_zips_tell_two_students_with_one_name_apart(tmp_path):
    data = as_bytes(toy_cells())
    moodle = zipped(
        tmp_path / "moodle.zip",
        {"Ana Li_11_assignsubmission_file_/x.ipynb": data, "Ana Li_12_assignsubmission_file_/x.ipynb": data,
         "__MACOSX/._x.ipynb": b"", "Ana Li_12_assignsubmission_file_/note.txt": b""},
    )  # fmt: skip
    found = submissions.collect(moodle, "toy")
    assert students(found) == ["Ana Li_11", "Ana Li_12"] and found[0].name == "Ana Li" and found[0].read() == data
    canvas = zipped(
        tmp_path / "canvas.zip",
        {"liana_11_900_toy.ipynb": data, "liana_LATE_12_901_toy.ipynb": data, "liana_12_902_toy-1.ipynb": data},
    )
    found = submissions.collect(canvas, "toy")
    assert students(found) == ["liana_11", "liana_12"] and tables.lms_id({"student": "liana_12"}, "canvas") == "12"


MOODLE = {
    "Ana Li_11_assignsubmission_file/toy.ipynb": as_bytes(toy_cells()),
    "Ana Li_11_assignsubmission_file/draft.ipynb": as_bytes(toy_cells(HALF)),
    "O'Neill, Zoë_12_assignsubmission_file/toy (1).ipynb": as_bytes(toy_cells()),
    "王小明_13_assignsubmission_file/toy.py": b"x = 1",
    "Eve_14_assignsubmission_onlinetext/onlinetext.html": b"<p>by mail</p>",
}


@pytest.mark.parametrize("form", ["folders", "no folders", "unzipped"])
def test_moodles_download_gives_a_row_to_everybody_whatever_its_form(tmp_path, form):
    slash = "_" if form == "no folders" else "/"
    place = zipped(tmp_path / "all.zip", {name.replace("/", slash): data for name, data in MOODLE.items()})
    if form == "unzipped":
        zipfile.ZipFile(place).extractall(tmp_path / "all")
        place = tmp_path / "all"
    found = {one.student: one for one in submissions.collect(place, "toy")}
    assert set(found) == {"Ana Li_11", "O'Neill, Zoë_12", "王小明_13", "Eve_14"}
    assert {one.lms for one in found.values()} == {"moodle"}
    ana = found["Ana Li_11"]
    assert ana.name == "Ana Li" and ana.note == "2 notebooks were handed in, and toy.ipynb was graded"
    assert ana.read() == MOODLE["Ana Li_11_assignsubmission_file/toy.ipynb"]
    for student, file in (("王小明_13", "toy.py"), ("Eve_14", "onlinetext.html")):
        with pytest.raises(Unreadable, match=f"no notebook was handed in, but {file}"):
            found[student].read()


def test_of_an_unzipped_canvas_download_the_last_of_a_students_files_is_taken(tmp_path):
    for name in ("liana_11_900_toy.ipynb", "liana_11_901_toy-1.ipynb", "bo_12_902_toy.py"):
        (tmp_path / name).write_bytes(as_bytes(toy_cells()))
        os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))
    first, last = submissions.collect(tmp_path, "toy")
    assert (first.student, last.student) == ("bo_12", "liana_11") and last.file == "toy-1.ipynb"
    with pytest.raises(Unreadable, match=r"but toy\.py"):
        first.read()


def test_a_submission_is_never_taken_for_the_instructors_notebook(asked, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "toy.ipynb").write_bytes(as_bytes(toy_cells(ANSWERS)))
    with pytest.raises(AssignmentError, match="no assignment is called 'toy'") as error:
        front.run(replace(asked(tmp_path / "out"), source=None, submissions=folder))
    assert "toy" not in str(error.value).partition("there are")[2]


def test_archives_that_lie_get_a_sentence_each_and_write_nothing(tmp_path):
    bomb = tmp_path / "bomb.zip"
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.ipynb", bytes(64 << 20))
        archive.writestr("../../out.ipynb", b"{}")
        archive.writestr("/absolute.ipynb", b"{}")
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.ipynb", as_bytes(toy_cells()))
    found = {one.student: one for one in submissions.collect(bomb, "toy")}
    assert len(found) == 5 and found["good"].read()
    for student, says in (
        ("bomb", "would be 64 MB"),
        ("out", "out of the archive"),
        ("absolute", "out of the"),
        ("link", "a link"),
    ):
        with pytest.raises(Unreadable, match=says):
            found[student].read()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bomb.zip"]


def test_links_and_pipes_in_a_folder_are_not_followed(tmp_path):
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    for one in submissions.collect(tmp_path, "toy"):
        with pytest.raises(Unreadable):
            one.read()


def test_a_damaged_zip_and_an_empty_folder_are_named(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(AssignmentError, match="cannot be read as a zip"):
        submissions.collect(tmp_path / "broken.zip", "toy")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AssignmentError, match="no submission"):
        submissions.collect(tmp_path / "empty", "toy")


def test_what_one_student_put_there_stops_nobody_else(tmp_path):
    for name in ("anna", "pipe"):
        folder = tmp_path / "tree" / name / "toy"
        folder.mkdir(parents=True)
        (folder / "toy.ipynb").write_text("{}")
    os.mkfifo(folder / "timestamp.txt")  # a plain read would wait for ever
    assert [one.student for one in submissions.collect(tmp_path / "tree", "toy")] == ["anna", "pipe"]
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "zoe.ipynb").write_text("{}")
    (flat / "ben.zip").write_bytes(b"PK, and no more")
    found = submissions.collect(flat, "toy")
    assert [one.student for one in found] == ["ben", "zoe"] and "zip" in found[0].fault
    with zipfile.ZipFile(flat / "ben.zip", "w") as archive:
        archive.writestr("zoe.ipynb", "{}")
    found = submissions.collect(flat, "toy")
    assert [(one.student, one.path.name) for one in found] == [("zoe", "zoe.ipynb"), ("zoe (2)", "ben.zip")]


def test_a_name_that_is_no_text_is_kept(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"\xff\xfe.ipynb")).write_text("{}")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes text only")
    (one,) = submissions.collect(tmp_path, "toy")
    for name in (one.student, one.name, one.file):
        name.encode()


def test_no_cell_of_a_table_is_a_formula():
    for text in ("=1", " =1", "a;=1", "a\n+1", "a\r\n=1", "a;b; -1", "\t=1", "a\t@x"):
        for line in re.split(r"[\r\n]+", tables._csv([["x", text]])):
            for cell in re.split(r"[;\t,]", line):
                assert not cell.strip(' "').startswith(("=", "+", "-", "@")), text
    assert tables._safe("a = 1; b = -2") == "a = 1; b = -2"


def test_names_become_files_that_are_told_apart():
    names = ["anna", "Anna", "a/b", "a_b", "../x", "..", "", "ж" * 5, "x" * 300, "con", "a\nb"]
    files = [pages.file_name(name) for name in names]
    assert len({name.casefold() for name in files}) == len(names)
    assert all("/" not in name and not name.startswith(".") and len(name) < 100 for name in files)


def row_of(student, name, lms, **more):
    result = {"lms": lms, "status": "ok", "message": "", "score": 4.0, "remarks": [], "items": [], "answers": {}} | more
    return {
        "student": student,
        "name": name,
        "file": "",
        "submitted": "",
        "late": False,
        "seconds": 1.0,
        "result": result,
    }


def test_a_students_own_number_is_nobodys_number_in_an_lms(source):
    rows = [
        row_of("ana_11", "ana_11", ""),
        row_of("Li, Bo_12", "Li, Bo", "moodle"),
        row_of("caru_13", "caru", "canvas"),
    ]
    assignment = Assignment.read(source)
    moodle = list(csv.DictReader(io.StringIO(tables.moodle(rows, assignment))))
    assert [row["Identifier"] for row in moodle] == ["ana_11", "Participant 12", "caru_13"]
    assert {row["Last modified (grade)"] for row in moodle} == {"-"}
    canvas = list(csv.DictReader(io.StringIO(tables.canvas(rows, assignment))))[1:]
    assert [(row["ID"], row["SIS Login ID"]) for row in canvas] == [("", "ana_11"), ("", "Li, Bo_12"), ("13", "")]
    grades = list(csv.DictReader(io.StringIO(tables.grades(rows, assignment))))
    assert [(row["first_name"], row["last_name"]) for row in grades][1] == ("Bo", "Li")


def test_a_page_for_moodle_is_called_so_that_moodle_takes_it_back():
    names = ["Jürgen Müller_1001", "O_Neill, Zoë_12", "王小明_13"]
    pages_ = [pages.page_name(row_of(name, name, "moodle")) for name in names]
    for page, number in zip(pages_, ("1001", "12", "13")):
        _, participant, plugin, kind, file = page.split("_", 4)  # as Moodle's import does
        assert (participant, plugin, kind, file) == (number, "assignsubmission", "file", "feedback.html")
    assert pages_[0].startswith("Jürgen Müller_") and pages_[2].startswith("王小明_")
    assert pages.page_name(row_of("ana_11", "ana_11", "")) == "ana_11.html"


def test_moodles_comment_says_a_thing_once(out):
    rows = {
        row["Full name"]: row["Feedback comments"]
        for row in csv.DictReader(io.StringIO((out / "moodle.csv").read_text()))
    }
    assert rows["carla"] == "not answered: toy.mean, toy.softmax, toy.third, why"
    assert rows["emil"].count("not a notebook") == 1
    assert "still to be marked" in rows["anna"]


def test_the_sheet_opens_in_a_spreadsheet_and_comes_back_from_one(out, source, tmp_path):
    assert (out / "to_mark.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    sheet = {
        row["student"]: row["points"]
        for row in csv.DictReader(io.StringIO((out / "to_mark.csv").read_text("utf-8-sig")))
    }
    assert sheet["anna"] == "" and sheet["carla"] == "0"  # nothing was written, nothing is to be marked
    (tmp_path / "excel.csv").write_bytes("student;item;points\nJürgen;why;2,5\n".encode("cp1252"))
    with pytest.raises(ValueError, match="CSV UTF-8"):
        tables.read_marks(tmp_path / "excel.csv", Assignment.read(source), {"Jürgen"})


def test_the_day_it_was_due_is_remembered(out, asked, tmp_path):
    shutil.copytree(out, tmp_path / "out")
    front.run(asked(tmp_path / "out", due="2023-11-13"))
    front.run(asked(tmp_path / "out"))
    assert table(tmp_path / "out" / "grades.csv")["anna"]["late_days"] == "2"


def test_the_report_says_who_was_told_what_and_who_did_not_try(out):
    report = (out / "report.html").read_text()
    assert "a mean divides" not in report and "softmax" in report
    assert "of who tried" in report and 'aria-label="3 with full marks, 1 with nothing right, 2 not tried' in report
    assert '<a href="feedback/ben.html">ben</a>' in report and "still to be marked" in report


def test_two_that_copied_are_found_and_the_obvious_way_is_not():
    own = "def f(x):\n    total = 0\n    for i in range({n}):\n        total = total {op} x[{i}] * {n} - x.pow({i}).sum(1)"
    tail = "\n" + "\n".join(f"y{k} = [{k}, {{n}}, {{i}}] + list(range({k} + {{n}}))" for k in range(4))
    answers = {f"s{n}": [(own + tail).format(n=n, op="+-*/"[n % 4], i=n * 3)] for n in range(12)}
    answers["copy"] = [answers["s5"][0].replace("total", "t").replace("x", "inp") + "  # mine"]
    assert [pair[:2] for pair in alike.pairs(answers)] == [("copy", "s5")]
    assert alike.pairs({f"s{n}": ["def f(x):\n    return x.softmax(1)"] for n in range(12)}) == []


def test_answers_of_the_class_are_read_by_the_report(out):
    text = (out / "report.html").read_text()
    assert "a mean divides" not in text and "emil" in text and "unreadable" in text


@pytest.mark.full
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_grades_a_class_too(out, handed_in, source):
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        shutil.copytree(handed_in, f"{place}/in", copy_function=shutil.copy2)
        os.chmod(f"{place}/in", 0o755)
        shutil.copy(source, f"{place}/toy.ipynb")
        script = GRADE.format(
            toys=str(TOYS), tests=str(TOYS), handed_in=f"{place}/in", out=f"{place}/out", source=f"{place}/toy.ipynb"
        )
        done = subprocess.run(
            [sys.executable, str(TOYS / "as_nobody.py"), sys.executable, "-c", script], capture_output=True, text=True
        )
        assert "sandbox:" in done.stdout and done.returncode == 0, done.stderr
        found = table(Path(place) / "out" / "grades.csv")
        assert {name: row["score"] for name, row in found.items()} == {
            name: row["score"] for name, row in table(out / "grades.csv").items()
        }


def test_who_interrupts_does_not_wait_for_another_server(monkeypatch):
    stopped, started = threading.Event(), []

    class Lost:
        def __init__(self, settings):
            started.append(settings)
            stopped.set()  # Ctrl-C comes while it runs, and ends it

        def close(self):
            pass

    def grade(*given):
        raise ServerLost("its input was closed")

    monkeypatch.setattr(batch, "Server", Lost)
    monkeypatch.setattr(batch, "grade", grade)
    monkeypatch.setattr(batch, "unreadable", lambda *given, **more: {})
    batch.Worker(SimpleNamespace(settings=None, assignment=None, rules=None), stopped).one(b"")
    assert len(started) == 1
