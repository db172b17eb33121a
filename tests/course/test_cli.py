"""The command line answers in one clear line, with the exit code that says what kind of answer it is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import mmteach
from mmteach.cli import main
from mmteach.data.store import DataError


def test_without_a_command_the_help_is_printed(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    for word in ("lab", "run", "doctor", "data", "build", "verify", "train", "bench", "MMTEACH_SCALE"):
        assert word in shown


@pytest.mark.parametrize("name", ["lab", "run", "doctor", "data", "check", "build", "verify", "train", "bench"])
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    assert f"usage: mmteach {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["run", "--exercises", "--solutions"],
        ["build", "--check", "--force"],
        ["verify", "--seeds", "many"],
        ["data", "x"],
        ["train", "classic", "--scale", "huge"],
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_launcher_may_ask_for_the_module():
    done = subprocess.run([sys.executable, "-m", "mmteach", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"mmteach {mmteach.__version__}\n"


@pytest.mark.full
def test_two_processes_make_a_table_once(tmp_path):
    """As `torchrun --nproc-per-node 2 -m mmteach train …` does."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    train = ["mmteach", "train", "relations", "--seeds", "1", "--scale", "smoke", "--out", str(tmp_path / "table.json")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MMTEACH_PROGRESS": "off"}
    done = subprocess.run([*launcher, *train], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("relations: seed 0") == 1 and "destroy_process_group" not in done.stderr
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert [row["model"] for row in rows] == ["relation network", "MLP"]


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"mmteach {mmteach.__version__}\n"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("no data set is called 'x'"), 2, "no data set is called 'x'"),
        (DataError("emoji.npz is damaged"), 1, "emoji.npz is damaged"),
        (KeyError("y"), 1, "KeyError: 'y' (this should not happen; MMTEACH_DEBUG=1 shows where it did)"),
        (ModuleNotFoundError("No", name="nbclient"), 1, 'nbclient is not installed: pip install "mmteach[lab]"'),
        (ModuleNotFoundError("No mmteach.x", name="mmteach.x"), 1, "ModuleNotFoundError: No mmteach.x"),
        (KeyboardInterrupt(), 130, "\nmmteach run: interrupted; nothing was left half-written"),
    ],
)  # fmt: skip
def test_whatever_goes_wrong_is_one_line_and_never_a_traceback(error, code, said, course, monkeypatch, capsys):
    def raise_it(*_):
        raise error

    monkeypatch.setattr("mmteach.course.run.run", raise_it)
    assert main(["run"]) == code
    shown = capsys.readouterr().err
    assert said in shown and shown.startswith(("mmteach run: ", "\nmmteach run: ")) and shown.strip().count("\n") == 0
    if code != 130:
        monkeypatch.setenv("MMTEACH_DEBUG", "1")
        with pytest.raises(type(error)):
            main(["run"])


def test_a_reader_that_stops_early_is_no_error():
    read, write = os.pipe()
    process = subprocess.Popen([sys.executable, "-m", "mmteach.cli"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(read)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_doctor_passes_its_exit_code_on(monkeypatch):
    asked = []
    monkeypatch.setattr(
        mmteach, "doctor", SimpleNamespace(run=lambda as_json: asked.append(as_json) or 1), raising=False
    )
    assert main(["doctor"]) == 1 and main(["doctor", "--json"]) == 1
    assert asked == [False, True]


# data


def test_data_list_has_every_data_set(capsys):
    from mmteach.data.cards import MODULES

    assert main(["data", "list"]) == 0
    listed = capsys.readouterr().out
    assert main(["data"]) == 0
    assert capsys.readouterr().out == listed
    assert [line.split()[0] for line in listed.splitlines() if line[:1].islower()] == list(MODULES)


@pytest.mark.parametrize(("columns", "width"), [("40", 60), ("80", 80), ("500", 100)])
def test_data_show_prints_the_card_as_wide_as_reads_well(columns, width, capsys, monkeypatch):
    from mmteach.data.cards import card, page

    monkeypatch.setenv("COLUMNS", columns)
    assert main(["data", "show", "worlds"]) == 0
    shown = capsys.readouterr().out
    assert (
        shown == page(card("worlds"), width) + "\n\nA picture of samples: mmteach data show worlds --out worlds.png\n"
    )


def test_data_show_draws_samples(tmp_path, capsys):
    picture = tmp_path / "worlds.png"
    assert main(["data", "show", "worlds", "--out", str(picture)]) == 0
    assert capsys.readouterr().out.endswith(f"\n\nSamples: {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG") and [p.name for p in tmp_path.iterdir()] == ["worlds.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["emojy"], "did you mean 'emoji'?"),
        (["worlds", "--out", "x.docx"], "must end in .png, .svg or .pdf, got 'x.docx'"),
        (["worlds", "--out", "no/such/x.png"], "there is no folder no/such to write x.png into"),
    ],
)
def test_data_show_refuses_what_it_cannot_do(arguments, said, capsys):
    assert main(["data", "show", *arguments]) == 2
    assert said in capsys.readouterr().err


# train


@pytest.fixture
def asked(monkeypatch):
    """What `mmteach train` asks `recipes.make` for, and at which scale."""
    calls = []
    monkeypatch.setattr("mmteach.recipes.make", lambda *given: calls.append((*given, os.environ.get("MMTEACH_SCALE"))))
    monkeypatch.setenv("MMTEACH_SCALE", "laptop")  # put back afterwards, whatever the command sets
    return calls


def test_train_without_a_name_lists_the_recipes(asked, capsys, monkeypatch):
    from mmteach.recipes import recipes

    monkeypatch.setenv("COLUMNS", "80")
    assert main(["train"]) == 0 and asked == []
    listed = capsys.readouterr().out
    assert listed.split() == " ".join(f"{one.name} {one.says}" for one in recipes()).split()
    assert [line.split()[0] for line in listed.splitlines() if line[0] != " "] == [one.name for one in recipes()]
    assert max(map(len, listed.splitlines())) <= 80


def test_train_makes_a_table(asked, monkeypatch):
    assert main(["train", "classic"]) == 0
    assert main(["train", "classic", "--seeds", "2", "--out", "t.json", "--resume", "--scale", "smoke"]) == 0
    monkeypatch.setenv("MMTEACH_SEED", "10")
    assert main(["train", "classic", "--seeds", "1"]) == 0
    assert asked == [
        ("classic", [0, 1, 2], None, False, "laptop"),
        ("classic", [0, 1], Path("t.json"), True, "smoke"),
        ("classic", [10], None, False, "smoke"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clasic"], "mmteach train: no recipe is called 'clasic'; there are "),
        (["classic", "--seeds", "0"], "mmteach train: --seeds must be at least 1, got 0"),
    ],
)
def test_train_refuses_what_it_cannot_do(arguments, said, capsys, monkeypatch):
    assert main(["train", *arguments]) == 2
    assert capsys.readouterr().err.startswith(said)


# What importing costs


HEAVY = ["torchvision", "matplotlib", "seaborn", "sklearn", "scipy", "ipywidgets", "torchmetrics", "pandas", "IPython"]


@pytest.mark.parametrize("code", ["import mmteach", "from mmteach import claim, scale, pick, seeds"])
def test_importing_mmteach_loads_nothing_heavy(code):
    answer = command_line(f"import sys\n{code}\nprint([m for m in {[*HEAVY, 'torch']} if m in sys.modules])")
    assert answer == "[]\n"


def test_the_names_of_the_first_cell_load_neither_plots_nor_widgets():
    code = "import sys\nfrom mmteach import claim, fit, seed_everything, validate, data\n"
    assert command_line(code + f"print([m for m in {HEAVY} if m in sys.modules])") == "[]\n"


def test_the_command_line_starts_without_torch():
    code = (
        "import sys\nfrom mmteach.cli import main\nmain([])\nprint('torch' in sys.modules, 'nbclient' in sys.modules)"
    )
    assert command_line(code).endswith("False False\n")


def command_line(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_an_unknown_name_of_the_package_is_answered_with_its_names():
    with pytest.raises(AttributeError, match=r"mmteach has no 'fusions'; it has .*fusion"):
        mmteach.fusions  # noqa: B018
    assert {"claim", "data", "training", "__version__"} <= set(dir(mmteach))
    assert mmteach.training.fit is mmteach.fit
