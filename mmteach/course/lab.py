"""`mmteach lab`: JupyterLab on the course, with the first chapter open.

| name        | what it does                                                                |
|-------------|-----------------------------------------------------------------------------|
| `lab`       | start the server, say where it is, open a browser where there is one, wait     |
| `free_port` | the port asked for, or the next free one from 8888 on                        |
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path
from typing import IO

from mmteach.course.paths import Course, CourseError

NBGRADER = ("assignment_list", "course_list", "formgrader", "validate_assignment")
FIRST_PORT = 8888
PORTS_TRIED = 50
ROOT = (
    "Running as root: notebooks can change any file they reach. In a container of your own that is fine; on a machine "
    "that is used for anything else, start this as an ordinary user."
)


def free_port(asked: int | None) -> int:
    """`asked` where it is free, or the first free port from 8888 on for None.

    Raises CourseError where the port asked for is in use, not allowed, or no port number.
    """
    for port in [asked] if asked is not None else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        if not 1 <= port <= 65535:
            raise CourseError(f"--port must be between 1 and 65535, got {port}")
        with socket.socket() as trial:
            if (
                os.name == "posix"
            ):  # a port that was in use a moment ago is free; on Windows this would mean something else
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
                return port
            except PermissionError:
                raise CourseError(f"port {port} needs root; take one above 1023, e.g. --port {FIRST_PORT}") from None
            except OSError:
                if asked is not None:
                    raise CourseError(
                        f"port {port} is in use, perhaps by another JupyterLab; stop that one, name another port, or leave "
                        "--port out and a free one is taken"
                    ) from None
    raise CourseError(f"no free port from {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1}; name another by --port")


def lab(course: Course, port: int | None = None, browser: bool = True) -> int:
    """Serve the course with JupyterLab until Ctrl-C; returns the exit code."""
    first = next(iter(course.chapters()), None)
    if first is None:
        raise CourseError(f"there is no notebook in {course.notebooks}; make them from their sources: mmteach build")
    try:
        import jupyterlab  # noqa: F401
    except ImportError:
        raise CourseError('JupyterLab is not installed: pip install "mmteach[lab]", or make setup in a clone') from None
    port = free_port(port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being ended is being stopped: the server goes too
    token = secrets.token_urlsafe(24)
    base = f"http://127.0.0.1:{port}"
    address = f"{base}/lab/tree/{first.relative_to(course.root).as_posix()}?token={token}"
    if _is_root():
        print(ROOT)
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            _command(course, port),
            # By the environment: other users of the machine can read a command line, but not this.
            env={**os.environ, "JUPYTER_TOKEN": token, "PATH": _path(), "JUPYTER_CONFIG_PATH": _settings()},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        try:
            _wait(server, f"{base}/api", log)
            print(f"The course is open in JupyterLab at\n\n  {address}\n")
            if browser and not _opened(address):
                print(
                    "There is no display here: open that address in a browser. From another computer, first make a tunnel:\n"
                    f"  ssh -N -L {port}:127.0.0.1:{port} {socket.gethostname()}\n"
                )
            print("Stop it with Ctrl-C.", flush=True)
            code = server.wait()
        except KeyboardInterrupt:
            print("\nStopping JupyterLab …", flush=True)
            return 0
        finally:
            _stop(server)
        if code:
            print(f"mmteach lab: JupyterLab ended by itself. It said last:\n{_last_words(log)}", file=sys.stderr)
        return 1 if code else 0


def _command(course: Course, port: int) -> list[str]:
    settings = [
        f"--ServerApp.root_dir={course.root}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.open_browser=False",
        "--ServerApp.answer_yes=True",  # Ctrl-C stops it without a question
        "--LabApp.extension_manager=readonly",  # it would ask the network for a list of extensions
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--Application.log_level=WARN",
        # Pages for instructors: a learner would wait for them at each start. `jupyter lab` has them.
        *(f"--ServerApp.jpserver_extensions=nbgrader.server_extensions.{name}=False" for name in NBGRADER),
    ]
    return [sys.executable, "-m", "jupyterlab", *settings, *(["--allow-root"] if _is_root() else [])]


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _path() -> str:
    """PATH with this environment's programs first, for the terminals and `!` commands in JupyterLab."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _settings() -> str:
    """Where Jupyter looks for settings, with the course's defaults among them: no question about news, no request for it.

    What a learner sets in JupyterLab stands above them.
    """
    return os.pathsep.join(
        filter(None, [str(Path(__file__).parent / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH")])
    )


def _wait(server: subprocess.Popen, address: str, log: IO[bytes]) -> None:
    """Until the server answers; raises CourseError with its last words where it ends instead."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, whatever proxy is set
    for _ in range(1200):
        if server.poll() is not None:
            raise CourseError(f"JupyterLab did not start. It said:\n{_last_words(log)}")
        try:
            opener.open(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise CourseError(f"JupyterLab did not answer within a minute. It said:\n{_last_words(log)}")


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-8:])


def _opened(address: str) -> bool:
    """Open the address in a browser; False where there is no display, or no browser that needs none of this terminal."""
    linux = sys.platform.startswith("linux")
    if linux and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME")):
        return False
    return webbrowser.open(address)


def _stop(server: subprocess.Popen) -> None:
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(10)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            server.kill()
            server.wait()
