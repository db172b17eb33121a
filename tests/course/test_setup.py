"""`make setup` on machines that cannot have it: what it says is what to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="make and sh are for Linux and macOS; Windows uses uv directly"
)


@pytest.fixture
def machine(tmp_path):
    """A clone's set-up script on a machine whose programs are the given ones and the shell's own few."""
    (tmp_path / "clone" / "tools").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "clone" / "tools")
    for name in ("sh", "dirname", "awk", "rm", "mkdir", "date", "touch", "cat"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))

    def run(programs, *arguments, **environment):
        for name, script in programs.items():
            path = tmp_path / "bin" / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        return subprocess.run(
            ["sh", "tools/setup.sh", *arguments],
            cwd=tmp_path / "clone",
            env={"PATH": str(tmp_path / "bin"), **environment},
            capture_output=True,
            text=True,
        )

    run.clone = tmp_path / "clone"
    return run


OLD = 'case "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac'
NEW = 'case "$1" in --version) echo "Python 3.12.1";; esac'
LARGE = "echo head; echo / 99999999 0 9437184 0% /"
RECORD = 'case "$1" in --version) echo "uv 0.9";; venv) mkdir -p .venv/bin; touch .venv/bin/python;; esac; echo "$@" >> calls'


def test_a_python_that_is_too_old_is_named_with_the_ways_to_a_newer_one(machine):
    answer = machine({"python3": OLD})
    assert answer.returncode == 2
    assert answer.stderr.startswith("make setup: mmteach needs Python 3.11 or newer; found Python 3.9.2.")
    for way in (
        "sudo apt install python3.12",
        "brew install python@3.12",
        "uv python install 3.12",
        "make setup PYTHON=",
    ):
        assert way in answer.stderr


def test_no_python_at_all(machine):
    assert "found no Python 3." in machine({}).stderr


def test_the_python_that_was_named_is_the_one_that_is_judged(machine):
    answer = machine({"python3": NEW, "old": OLD}, PYTHON="old")
    assert answer.returncode == 2 and "found old: " in answer.stderr


def test_a_disk_that_is_too_small_is_said_before_anything_is_downloaded(machine):
    answer = machine({"python3": NEW, "df": "echo head; echo / 99999999 0 3355443 0% /", "uv": RECORD})
    assert answer.returncode == 2
    assert "about 9 GB of free disk space are needed here, 3 GB are free" in answer.stderr
    assert not (machine.clone / ".venv").exists()


def test_an_environment_that_is_there_needs_no_more_disk(machine):
    (machine.clone / ".venv").mkdir()
    assert machine({"python3": NEW, "df": "echo head; echo / 99999999 0 1 0% /", "uv": RECORD}).returncode == 0


def test_the_lock_is_installed_with_its_hashes_and_then_the_course(machine):
    answer = machine({"python3": NEW, "df": LARGE, "uv": RECORD})
    assert answer.returncode == 0, answer.stderr
    calls = (machine.clone / "calls").read_text().splitlines()
    venv, lock, course = (call for call in calls if call != "--version")
    assert venv.startswith("venv ") and venv.endswith("python3 .venv")
    assert lock == "pip install --python .venv/bin/python --require-hashes -r requirements.lock"
    assert course == "pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation -e ."
    assert (machine.clone / ".venv" / "ready").exists()
    assert "Making .venv with Python 3.12.1 …" in answer.stderr and "make lab opens the course" in answer.stderr


def test_an_older_python_first_on_the_path_does_not_hide_a_newer_one(machine):
    answer = machine({"python3": OLD, "python3.12": NEW, "df": LARGE, "uv": RECORD})
    assert answer.returncode == 0 and "python3.12 .venv" in (machine.clone / "calls").read_text()


def test_without_uv_and_without_the_venv_module_the_package_to_install_is_named(machine):
    answer = machine({"python3": NEW.replace("esac", "-m) exit 1;; esac"), "df": LARGE})
    assert answer.returncode == 2
    assert "sudo apt install python3-venv" in answer.stderr
    assert not (machine.clone / ".uv").exists()


def test_a_failed_download_leaves_no_mark_of_success(machine):
    failing = RECORD.replace("venv)", "pip) exit 2;; venv)")
    answer = machine({"python3": NEW, "df": LARGE, "uv": failing})
    assert answer.returncode == 2
    assert not (machine.clone / ".venv" / "ready").exists()


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_every_target_of_the_makefile_is_listed_by_make():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "lab", "test", "test-full", "run", "lint", "lock", "build", "book", "bench"):
        assert f"  make {target} " in listed
