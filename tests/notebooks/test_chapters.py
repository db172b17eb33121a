"""Every notebook of the course runs from a fresh kernel; `make test` runs them at smoke scale, `make test-full` offline too."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmteach.course import build, source
from mmteach.course.execute import execute
from mmteach.course.paths import Course
from mmteach.course.run import read

COURSE = Course(Path(__file__).parents[2])
NOTEBOOKS = COURSE.chapters()


def test_there_are_notebooks_and_each_follows_from_its_source(capsys):
    assert NOTEBOOKS
    assert build.check(COURSE, []) == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_at_smoke_scale(path):
    result = execute(read(path), path.parent, {"MMTEACH_SCALE": "smoke"})
    assert result.failure is None, f"{result.failure}\n{result.failure.traceback}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_shows_what_it_claims_and_no_path_of_a_machine(path):
    notebook = read(path)
    assert list(build.local_paths(notebook, COURSE)) == []
    verdicts = [
        o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "stream"
    ]
    assert "✗" not in "".join(verdicts)
    assert notebook.metadata.mmteach.scale == "laptop"
    assert not any(source.WIDGET in o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", []))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_opening_a_notebook_asks_nothing_of_the_network(path):
    for cell in read(path).cells:
        shown = [cell.source] if cell.cell_type == "markdown" else []
        shown += [str(o.get("data", {}).get("text/html", "")) for o in cell.get("outputs", [])]
        assert not re.search(
            r"""!\[[^]]*\]\(\s*https?:|(?:src|href)\s*=\s*["']https?:[^"']*\.(?:js|css|png|svg|jpg)""", "".join(shown)
        )
    for image in re.findall(
        r"!\[[^]]*\]\(([^)]+)\)", "".join(c.source for c in read(path).cells if c.cell_type == "markdown")
    ):
        assert (path.parent / image).is_file(), image


def offline_prefix():
    """A command that runs another one with no network but loopback; None where this machine does not allow it."""
    if not shutil.which("unshare"):
        return None
    prefix = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    return prefix if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0 else None


@pytest.mark.full
def test_the_first_chapters_run_with_no_network_but_loopback():
    prefix = offline_prefix()
    if prefix is None:
        pytest.skip("this machine allows no network namespace to an ordinary process (unshare --user --net, ip)")
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    blocked = subprocess.run([*prefix, sys.executable, "-c", reach], capture_output=True, text=True, timeout=60)
    assert "Network is unreachable" in blocked.stderr
    ran = subprocess.run(
        [*prefix, sys.executable, "-m", "mmteach.cli", "run", "00", "03"],
        cwd=COURSE.root,
        env={**os.environ, "MMTEACH_SCALE": "smoke"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["00_start_here", "✓"], ["03_fusion", "✓"]]
    assert all(" s   claims " in line and line.endswith(" MB") for line in lines)
