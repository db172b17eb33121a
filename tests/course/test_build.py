"""`mmteach build`: one way from source to notebook, executed only where code changed, written whole or not at all."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import torch

from mmteach.cli import main
from mmteach.course import settings, source
from mmteach.course.build import local_paths
from mmteach.course.paths import Course, CourseError


def read(path):
    return nbformat.read(path, as_version=4)


def test_a_built_notebook_is_executed_normalised_and_knows_its_machine(built):
    notebook = read(built)
    header, bootstrap, first, second = notebook.cells
    assert header.source.splitlines()[0] == "# Start here" and header.source.endswith("\n\nHello.")
    address = f"github/{settings.COLAB_REPOSITORY}/blob/{settings.COLAB_BRANCH}/notebooks/00_start.ipynb"
    assert (
        f"[![Open this chapter in Colab](images/colab.svg)](https://colab.research.google.com/{address})"
        in header.source
    )
    assert 'if importlib.util.find_spec("mmteach") is None:' in bootstrap.source
    assert f'%pip install -q "mmteach @ git+https://github.com/{settings.COLAB_REPOSITORY}@main"' in bootstrap.source
    assert (
        bootstrap.metadata == {"tags": ["colab"]} and second.metadata == {"tags": ["measured"]} and first.metadata == {}
    )
    assert [c.execution_count for c in notebook.cells[1:]] == [1, 2, 3]
    assert first.outputs[0].text == "total 6\n"
    assert second.outputs[0].text == (
        "✓ One, two and three are six: 6 (at least 6)\n✓ The seed is small: 0 (at most 2500)\n"
    )
    assert set(notebook.metadata) == {"kernelspec", "language_info", "mmteach"}
    assert notebook.metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.metadata.mmteach == {"scale": "laptop"}  # torch was not loaded: its version did not matter
    assert built.read_text(encoding="utf-8").endswith("}\n")


def test_building_again_executes_nothing_and_changes_no_byte(built, capsys, monkeypatch):
    monkeypatch.setattr("mmteach.course.build.execute", None)  # would raise if it were called
    before = built.read_bytes(), built.stat().st_mtime_ns
    assert main(["build", "00"]) == 0
    assert capsys.readouterr().out == "00_start  up to date\n"
    assert main(["build", "--check"]) == 0
    assert (built.read_bytes(), built.stat().st_mtime_ns) == before


def test_new_text_keeps_the_outputs_and_new_code_does_not(built, add, capsys):
    text = (built.parent / "src" / "00_start.py").read_text()
    ids = [cell.id for cell in read(built).cells]
    add("00_start", text.replace("Hello.", "Good morning."))
    assert main(["build", "--check"]) == 1
    shown = capsys.readouterr()
    assert "-Hello.\n+Good morning.\n" in shown.out
    assert "1 of the notebooks are stale" in shown.err
    assert main(["build"]) == 0
    assert capsys.readouterr().out == "00_start  text renewed, outputs kept\n"
    after = read(built)
    assert after.cells[0].source.endswith("Good morning.") and after.cells[2].outputs[0].text == "total 6\n"
    assert after.metadata.mmteach.scale == "laptop"
    assert [cell.id for cell in after.cells][1:] == ids[1:]  # what did not change keeps its id

    add("00_start", text.replace("[1, 2, 3]", "[1, 2, 4]"))
    assert main(["build", "--check"]) == 1
    assert "+total = sum([1, 2, 4])" in capsys.readouterr().out
    assert main(["build"]) == 0
    assert read(built).cells[2].outputs[0].text == "total 7\n"
    assert main(["build", "--check"]) == 0


def test_force_executes_what_did_not_change(built, capsys):
    assert main(["build", "--force"]) == 0
    assert "claims 2/2" in capsys.readouterr().out


def test_a_notebook_saved_by_something_else_is_stale_and_put_right(built, capsys):
    text = built.read_text(encoding="utf-8")
    built.write_text(text.replace('"tags": [\n     "measured"\n    ]', '"tags": ["measured"]'), encoding="utf-8")
    assert main(["build", "--check"]) == 1
    assert "saved by something else" in capsys.readouterr().out
    assert main(["build"]) == 0
    assert built.read_text(encoding="utf-8") == text


def test_a_notebook_without_outputs_is_stale(built, capsys):
    notebook = read(built)
    notebook.cells[2].execution_count = None
    nbformat.write(notebook, built)
    assert main(["build", "--check"]) == 1
    assert "never executed" in capsys.readouterr().out


def test_a_notebook_without_a_source_and_a_source_without_a_notebook_are_stale(built, add, capsys):
    add("02_new", "# %% [markdown]\n# # New\n")
    (built.parent / "05_orphan.ipynb").write_text(built.read_text(encoding="utf-8"))
    assert main(["build", "--check"]) == 1
    shown = capsys.readouterr()
    assert "02_new.ipynb does not exist" in shown.out and "05_orphan.ipynb has no source in notebooks/src" in shown.out
    assert "2 of the notebooks are stale" in shown.err


def test_a_cell_that_raises_leaves_the_old_notebook_and_the_others_are_built(built, add, capsys):
    add("01_raises")
    add("02_fine", "# %% [markdown]\n# # Fine\n\n# %%\nimport torch\n")
    assert main(["build"]) == 1
    shown = capsys.readouterr()
    assert "cell In [3], `print(numbers[5])`: IndexError: list index out of range" in shown.err
    assert not (built.parent / "01_raises.ipynb").exists()
    recorded = read(built.parent / "02_fine.ipynb").metadata.mmteach
    assert set(recorded) == {"capability", "torch", "threads", "device"}
    assert recorded.torch == torch.__version__ and recorded.threads == int(os.environ.get("OMP_NUM_THREADS", "1"))
    assert sorted(path.name for path in built.parent.iterdir()) == ["00_start.ipynb", "02_fine.ipynb", "src"]


def test_a_claim_that_fails_stops_a_build(course, add, capsys):
    add("00_start", "# %% [markdown]\n# # T\n\n# %%\nimport mmteach\nmmteach.claim('a.b', 1, at_least=2)\n")
    assert main(["build"]) == 1
    shown = capsys.readouterr()
    assert "claims 0/1" in shown.out and "ClaimError: claim 'a.b' does not hold" in shown.err


def test_an_output_that_shows_a_path_of_this_machine_is_refused(course, add, capsys):
    add("00_start", "# %% [markdown]\n# # T\n\n# %%\nimport pathlib\nprint(pathlib.Path.cwd() / 'x')\n")
    assert main(["build"]) == 1
    assert f"cell In [2] shows the local path {course}" in capsys.readouterr().err
    assert not (course / "notebooks" / "00_start.ipynb").exists()


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "error", "ename": "E", "evalue": "x", "traceback": ["File HERE/a.py"]},
        {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<a href='HERE/a'>"}},
        {"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": "<svg>HERE/a</svg>"}},
        {"output_type": "stream", "name": "stderr", "text": f"{sys.prefix}/lib"},
    ],
)
def test_local_paths_are_found_in_every_kind_of_output(output):
    cell = nbformat.v4.new_code_cell("x", execution_count=1)
    text = repr(output).replace("HERE", "/srv/course")
    cell.outputs = [nbformat.from_dict(eval(text))]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert len(list(local_paths(notebook, Course(Path("/srv/course"))))) == 1
    cell.outputs = [nbformat.v4.new_output("stream", text="/srv/other and a/b")]
    assert list(local_paths(notebook, Course(Path("/srv/course")))) == []


@pytest.mark.parametrize(
    ("text", "message"), [("# %%\n1\n", "must begin with a markdown cell"), ("", "must begin with a markdown cell")]
)
def test_a_source_without_a_header_is_refused(add, text, message, capsys):
    path = add("00_start", text)
    with pytest.raises(CourseError, match=message):
        source.cells_of(path, "notebooks/00_start.ipynb")
    assert main(["build"]) == 2


def test_a_damaged_notebook_is_named(built, capsys):
    built.write_text("{")
    assert main(["build"]) == 2
    assert "00_start.ipynb is no notebook" in capsys.readouterr().err


def test_widgets_timing_and_addresses_are_not_stored():
    widget = {source.WIDGET: {"model_id": "1"}, "text/plain": "interactive()"}
    cell = nbformat.v4.new_code_cell(
        "x",
        execution_count=4,
        metadata={"execution": {"iopub.status.busy": "now"}},
        outputs=[
            nbformat.v4.new_output("display_data", data=widget),
            nbformat.v4.new_output("execute_result", data={"text/plain": "<Axes at 0x7f12345678>"}, execution_count=9),
            nbformat.v4.new_output("stream", text="<f at 0x7f12345678>\n"),
        ],
    )
    notebook = nbformat.v4.new_notebook(
        cells=[cell], metadata={"widgets": {}, "language_info": {"name": "python", "version": "3"}}
    )
    cell = source.normalised(notebook).cells[0]
    assert notebook.metadata == {"language_info": {"name": "python"}} and cell.metadata == {}
    assert len(cell.outputs) == 2
    assert cell.outputs[0].data["text/plain"] == "<Axes at 0x…>" and cell.outputs[0].execution_count == 4
    assert cell.outputs[1].text == "<f at 0x…>\n"


def test_cells_that_repeat_have_ids_of_their_own(add):
    path = add("00_start", "# %% [markdown]\n# # T\n\n# %%\n1\n\n# %%\n1\n")
    ids = [cell.id for cell in source.cells_of(path, "notebooks/00_start.ipynb").cells]
    assert len(set(ids)) == 4 and ids[3] == f"{ids[2]}-2"


def test_a_reader_sees_no_formatter_marks_and_a_space_below_what_unfolds(add):
    text = "# %% [markdown]\n# # T\n#\n# <details>A</details>\n# <details>B</details>\n#\n# Next.\n"
    text += "\n# %%\nf(\n    1, 2,\n)  # fmt: skip\n"
    cells = source.cells_of(add("00_start", text), "notebooks/00_start.ipynb").cells
    assert cells[0].source.endswith("<details>A</details>\n<details>B</details>\n\n<br>\n\nNext.")
    assert cells[2].source == "f(\n    1, 2,\n)"


def children_of(pid):
    found = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may end between being listed and being read
            found += int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid
    return found


def test_ctrl_c_leaves_the_old_notebook_and_no_kernel_behind(built, add):
    before = built.read_bytes()
    add("00_start", "# %% [markdown]\n# # T\n\n# %%\nimport time\nprint('started', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "mmteach.cli", "build"]
    # A shell's background job ignores Ctrl-C and passes that on; the command under test must not.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for _ in range(600):  # until its kernel is there, and a little longer, so that the cell runs
        if not Path("/proc").exists() or children_of(process.pid):
            break
        time.sleep(0.05)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == "\nmmteach build: interrupted; nothing was left half-written\n"
    assert built.read_bytes() == before
    assert sorted(path.name for path in built.parent.iterdir()) == ["00_start.ipynb", "src"]
    assert not Path("/proc").exists() or children_of(process.pid) == 0
