"""`mmteach lab` serves the course on loopback, says where, and takes its server along when it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from mmteach.cli import main
from mmteach.course import lab
from mmteach.course.paths import CourseError


def test_a_port_in_use_is_named_and_another_is_taken_when_none_was_asked_for(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CourseError, match=f"port {port} is in use"):
            lab.free_port(port)
        monkeypatch.setattr(lab, "FIRST_PORT", port)
        assert port < lab.free_port(None) < port + lab.PORTS_TRIED
        monkeypatch.setattr(lab, "PORTS_TRIED", 1)
        with pytest.raises(CourseError, match=f"no free port from {port} to {port}"):
            lab.free_port(None)
    assert lab.free_port(port) == port
    for wrong in (0, 65536, -1):
        with pytest.raises(CourseError, match=f"--port must be between 1 and 65535, got {wrong}"):
            lab.free_port(wrong)


def test_lab_serves_the_course_on_loopback_and_stops_with_the_command(built, capsys):
    environment = {
        k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "mmteach.cli", "lab"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        # A shell's background job ignores Ctrl-C and passes that on; the command under test must not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            break
    try:
        address = re.search(r"http://127\.0\.0\.1:(\d+)/lab/tree/notebooks/00_start\.ipynb\?token=\S+", said)
        assert address, said
        with urllib.request.urlopen(address[0], timeout=30) as page:
            assert b"JupyterLab" in page.read()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/api/contents", timeout=30)
        assert ("Running as root" in said) == (os.geteuid() == 0)
        if sys.platform.startswith("linux"):
            assert "There is no display here" in said and f"ssh -N -L {address[1]}:127.0.0.1:{address[1]}" in said
        assert main(["lab", "--no-browser", "--port", address[1]]) == 2
        assert f"port {address[1]} is in use" in capsys.readouterr().err
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "Stopping JupyterLab" in rest
    time.sleep(0.2)
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(address[0], timeout=5)


def test_lab_without_a_notebook_or_without_jupyterlab_says_what_to_do(course, built, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    assert main(["lab"]) == 2
    assert 'JupyterLab is not installed: pip install "mmteach[lab]"' in capsys.readouterr().err
    built.unlink()
    assert main(["lab"]) == 2
    assert "make them from their sources: mmteach build" in capsys.readouterr().err
