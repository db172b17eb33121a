"""The comparison of stored and fresh outputs: what it forgives, and that it catches what it must."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from mmteach.course.compare import differences, same_text

ROOT = Path(__file__).parents[2]


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(data, kind="display_data"):
    return new_output(kind, data=data)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("accuracy 0.8333", "accuracy 0.8334"),
        ("loss 1.0e-03", "loss 1.0005e-03"),
        ("loss 0.0", "loss 1e-7"),
        ("  9.999 s", " 10.0 s"),  # a digit more makes a column wider
        ("name\n----\nx", "name\n-----\nx"),
        ("1,234 words", "1,234.5 words"),
        ("−0.5", "-0.5"),
        ("bar 10%\rbar 100%\ndone", "bar 100%\ndone"),
    ],
)
def test_small_changes_of_numbers_and_spaces_are_forgiven(was, now):
    assert differences([printed(was)], [printed(now)]) == []


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("accuracy 0.8333", "accuracy 0.8433", "0.8433 came in place of 0.8333"),
        ("a 1 b 2", "a 1 b 3", "3 came in place of 2"),
        ("gain 0.1", "gain -0.1", "-0.1 came in place of 0.1"),
        ("loss 1e-3", "loss 1e-4", "1e-4 came in place of 1e-3"),
        ("loss 0.5", "loss nan", "'loss 0.5' became 'loss nan'"),
        ("conv3 ok", "conv4 ok", "'conv3 ok' became 'conv4 ok'"),
        ("✓ two beat one: 0.08", "✗ two beat one: 0.08", "became '✗ two beat one: 0.08'"),
        ("a\nb", "a", "the line 'b' is missing"),
        ("a", "a\nb", "the line 'b' is new"),
        ("1,234", "1,434", "1,434 came in place of 1,234"),
    ],
)
def test_what_a_reader_would_notice_is_a_difference(was, now, said):
    assert said in same_text(was, now)
    assert said in "".join(differences([printed(was)], [printed(now)]))


def test_a_number_within_a_thousandth_agrees_and_just_outside_does_not():
    assert same_text("1000", "1000.9") == ""
    assert same_text("1000", "1001.1") == "1001.1 came in place of 1000 ('1000' became '1001.1')"
    assert same_text("0", "0.0000009") == ""
    assert same_text("0", "0.0000011") != ""


def test_without_digits_words_and_verdicts_are_still_compared():
    assert differences([printed("✓ gain: 0.08")], [printed("✓ gain: 0.31")], digits=False) == []
    assert differences([printed("✓ gain: 0.08")], [printed("✗ gain: 0.01")], digits=False) != []
    assert differences([printed("image 0.8")], [printed("audio 0.8")], digits=False) != []


def test_pictures_widgets_and_stderr_are_not_compared():
    figure = {"image/png": "aaaa", "text/plain": "<Figure size 640x480 with 1 Axes>"}
    other = {"image/png": "bbbb", "text/plain": "<Figure size 640x481 with 1 Axes>"}
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "interactive()"}
    assert differences([shown(figure)], [shown(other)]) == []
    assert differences([printed("x")], [printed("10%|█", "stderr"), printed("x"), shown(widget)]) == []


def test_a_picture_that_no_longer_comes_is_a_difference():
    figure = {"image/png": "aaaa", "text/plain": "<Figure>"}
    assert differences([shown(figure)], []) == ["the cell showed picture, and now shows nothing"]


def test_what_is_printed_in_pieces_is_one_text():
    assert differences([printed("a\nb\n")], [printed("a\n"), printed("warned", "stderr"), printed("b\n")]) == []


def test_a_trailing_semicolon_hides_the_value_as_jupyter_does():
    value = shown({"text/plain": "[1, 2]"}, "execute_result")
    assert differences([], [value], "plt.plot(x);") == []
    assert differences([], [value], "plt.plot(x)") == ["the cell showed nothing, and now shows text/plain"]
    assert differences([], [shown({"text/plain": "[1, 2]"})], "display(x);") != []  # what was displayed stays


def test_values_errors_and_addresses():
    one, two = (shown({"text/plain": f"tensor([{x}])"}, "execute_result") for x in ("1.0", "2.0"))
    assert differences([one], [two]) == [
        "text/plain: 2.0 came in place of 1.0 ('tensor([1.0])' became 'tensor([2.0])')"
    ]
    error, worse = (new_output("error", ename="ValueError", evalue=x, traceback=[]) for x in ("no", "never"))
    assert differences([error], [error]) == []
    assert differences([error], [worse]) == ["error: 'ValueError: no' became 'ValueError: never'"]
    here, there = (shown({"text/plain": f"<Axes at {x}>"}) for x in ("0x7f00aa", "0x…"))
    assert differences([here], [there]) == []


# From here on with nbval itself, in a folder of its own with this project's conftest.


@pytest.fixture
def nbval(tmp_path):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = full\n")

    def judge(cells, metadata):
        notebook = new_notebook(cells=cells, metadata={"mmteach": metadata})
        nbformat.write(notebook, tmp_path / "chapter.ipynb")
        command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*command, "chapter.ipynb"], cwd=tmp_path, capture_output=True, text=True, timeout=300
        ).stdout

    return judge


def cell(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), execution_count=1, metadata={"tags": list(tags)})


HERE = "import json, torch, mmteach; print(json.dumps({'capability': torch.backends.cpu.get_cpu_capability(), "
HERE += "'torch': torch.__version__, 'threads': torch.get_num_threads(), 'scale': mmteach.scale(), "
HERE += "'device': torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'}))"


@pytest.fixture(scope="module")
def this_machine():
    return json.loads(subprocess.run([sys.executable, "-c", HERE], check=True, capture_output=True, text=True).stdout)


def test_nbval_passes_a_faithful_notebook_and_fails_each_change(nbval, this_machine):
    interact = (
        "import ipywidgets, matplotlib.pyplot as plt\nout = ipywidgets.Output()\nwith out:\n    print('inside')\n"
        "display(out)\nprint('outside')"
    )
    report = nbval(
        [
            cell("print('sum', 0.1 + 0.2)", printed("sum 0.3001\n")),
            cell("[1, 2];"),
            cell("print('gain', 0.5)", printed("gain 0.9\n")),  # In [2]: a changed number
            cell("print('✗ gain: 0.5')", printed("✓ gain: 0.5\n"), tags=["measured"]),  # a changed verdict
            cell("print('gain', 0.5)", printed("gain 0.9\n"), tags=["measured"]),  # a changed figure, same machine
            cell("print('took 3 s')", printed("took 9 s\n"), tags=["timed"]),
            cell(interact, printed("outside\n")),
        ],
        this_machine,
    )
    assert re.findall(r"FAILED chapter.ipynb::Cell (\d)", report) == ["2", "3", "4"], report
    assert "3 failed, 4 passed" in report
    assert "0.5 came in place of 0.9" in report


def test_nbval_on_another_machine_compares_measured_words_only_and_says_so(nbval, this_machine):
    report = nbval(
        [
            cell("print('gain', 0.5)", printed("gain 0.9\n"), tags=["measured"]),
            cell("print('✗ gain: 0.5')", printed("✓ gain: 0.9\n"), tags=["measured"]),
            cell("print('gain', 0.5)", printed("gain 0.9\n")),
        ],
        this_machine | {"capability": "AVX3000"},
    )
    assert re.findall(r"FAILED chapter.ipynb::Cell (\d)", report) == ["1", "2"], report
    assert "measured digits are not compared: capability" in report
    assert "stored AVX3000" in report
