"""Jupyter kernels forked from a warm process: torch is there at once. An option for `mmteach run`, nbval and nbgrader.

| name              | what it is                                                                        |
|-------------------|-------------------------------------------------------------------------------------|
| `WarmProvisioner` | the entry point `mmteach-warm` of `jupyter_client.kernel_provisioners`               |
| `Forked`          | a kernel that is the warm process's child, with the methods of subprocess.Popen      |

It is asked for by JUPYTER_DEFAULT_PROVISIONER_NAME=mmteach-warm. Where it cannot work (Windows, another Python, a warm process
that does not start) the ordinary way is taken, without a word. This has nothing to do with safety: a kernel is the user's own.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

START = 60.0  # seconds that a warm process may take for its imports
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Forked:
    """A kernel's process, whose parent is the warm one: it is waited for there, and only looked at from here."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                self.returncode = 0  # how it ended only its parent knows
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
            time.sleep(0.02)
        return self.returncode or 0

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Warm:
    """The warm process of this Jupyter process; started when the first kernel is."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None

    def fork(self, argv: list[str], cwd: str | None, env: dict[str, str]) -> Forked:
        """A kernel; raises OSError where it cannot be had."""
        with self.lock:
            if self.process is None or self.process.poll() is not None:
                self._start()
            process = self.process
            assert process and process.stdin
            process.stdin.write(json.dumps({"argv": argv, "cwd": cwd, "env": env}).encode() + b"\n")
            process.stdin.flush()
            return Forked(int(self._line(10.0)))

    def _start(self) -> None:
        warm = os.environ | dict.fromkeys(ONE_THREAD, "1") | {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mmteach.grading.warm"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=warm, start_new_session=True,
        )  # fmt: skip
        atexit.register(self.close)
        if self._line(START) != "ready":
            self.close()
            raise OSError("the warm process did not start")

    def _line(self, seconds: float) -> str:
        assert self.process and self.process.stdout
        text = b""
        while not text.endswith(b"\n"):
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                raise OSError("the warm process does not answer")
            one = os.read(self.process.stdout.fileno(), 1)
            if not one:
                raise OSError("the warm process ended")
            text += one
        return text.decode().strip()

    def close(self) -> None:
        process, self.process = self.process, None
        if process:
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)


WARM = _Warm()


class WarmProvisioner(LocalProvisioner):
    """Starts a kernel of this Python by a fork, any other as usual."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        arguments = _ipykernel(cmd)
        if arguments is not None:
            try:
                environment = dict(kwargs.get("env") or os.environ)
                process = WARM.fork(arguments, kwargs.get("cwd"), environment)
            except (OSError, ValueError, AssertionError):
                pass
            else:
                self.process, self.pid, self.pgid = process, process.pid, process.pid  # type: ignore[assignment]
                self.cwd = kwargs.get("cwd")
                return self.connection_info
        return await super().launch_kernel(cmd, **kwargs)


def _ipykernel(cmd: list[str]) -> list[str] | None:
    """The arguments for ipykernel, where `cmd` starts one with this Python on a system that forks."""
    if not hasattr(os, "fork") or len(cmd) < 3 or not os.path.exists(cmd[0]) or cmd[1] == "-Xfrozen_modules=off":
        return None
    same = os.path.realpath(cmd[0]) == os.path.realpath(sys.executable)
    module = cmd.index("ipykernel_launcher") if "ipykernel_launcher" in cmd else 0
    return cmd[module + 1 :] if same and module and cmd[module - 1] == "-m" else None
