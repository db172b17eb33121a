"""The coordinator's end of a server: start it, ask the child behind it, replace it where it fails.

| name         | what it is                                                                           |
|--------------|----------------------------------------------------------------------------------------|
| `Server`     | one warm process and the child it has forked at the moment                             |
| `Settings`   | what a server is told: where tasks are found, what is hidden, which limits hold         |
| `Unsafe`     | the sandbox here is below the level that was asked for                                |
| `ServerLost` | the server itself ended: start another and do the submission again                    |
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mmteach.grading import frames
from mmteach.grading.assignment import Assignment
from mmteach.grading.sandbox import Layers, Limits

# What notebooks of the course import; each import costs once a server instead of once a submission. The last one is what the
# first optimiser of a process loads, for three seconds.
WARM = ("numpy", "pandas", "scipy.stats", "matplotlib.pyplot", "torch.nn.functional", "sklearn.metrics", "mmteach.data",
        "mmteach.encoders", "mmteach.fusion", "mmteach.alignment", "mmteach.metrics", "mmteach.training", "mmteach.figures",
        "mmteach.generation", "mmteach.multitask", "mmteach.diagnosis", "IPython.display", "torch._dynamo")  # fmt: skip
PASSED_ON = ("PATH", "LANG", "LC_ALL", "MMTEACH_SCALE", "MMTEACH_CACHE", "LD_LIBRARY_PATH", "SYSTEMROOT")
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# A fork copies the table of its parent's pages, and its end clears the copy. With large pages for glibc's heap the table is
# shorter: 3 to 12 % more submissions a second, in turns. Elsewhere this means nothing.
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=16777216"}
START = 120.0  # seconds to import torch on a slow disk
GRACE = 30.0  # seconds beyond a request's own limit after which the server itself counts as lost


class Unsafe(ValueError):
    """The sandbox holds less than what was asked for."""


class ServerLost(RuntimeError):
    """The server ended or does not answer."""


@dataclass(frozen=True)
class Settings:
    """What a server is told. Plain data, so that it can be sent to another machine.

    registry: the module whose `find(name)` gives a task;  tasks: those to be asked for, whose modules are loaded before
    paths:    further folders to import from;  readable, hidden: see `Sandbox`
    level:    the least that is accepted;  without: layers to leave out
    """

    registry: str = "mmteach.exercises"
    tasks: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    level: str = "full"
    without: tuple[str, ...] = ()
    warm: tuple[str, ...] = WARM
    limits: Limits = field(default_factory=Limits)

    def of(self, assignment: Assignment) -> Settings:
        """The same for one assignment, whose tasks and imports a server then loads before it forks."""
        return replace(self, tasks=assignment.tasks, warm=tuple(dict.fromkeys([*self.warm, *assignment.imports])))


class Server:
    """A warm process. Use it in one thread; as a context it is closed at the end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        if not hasattr(os, "fork"):
            raise Unsafe("this system cannot fork: grade in the container (see the instructors' page)")
        scratch = tempfile.mkdtemp(prefix="mmteach-grade-")
        os.chmod(scratch, 0o711)
        told = asdict(settings) | {"scratch": scratch}
        told["readable"] = [*settings.readable, *settings.paths, *_cache()]
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= dict.fromkeys(ONE_THREAD, "1") | LARGE_PAGES
        environment |= {"HOME": scratch, "IPYTHONDIR": scratch, "MPLCONFIGDIR": scratch, "MPLBACKEND": "agg",
                        "PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": "", "MMTEACH_DEVICE": "cpu",
                        "MMTEACH_PROGRESS": "off", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mmteach.grading.server", json.dumps(told)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, start_new_session=True,
        )  # fmt: skip
        hello, _ = self._receive(START)
        self.layers = Layers(**hello["layers"])
        if not self.layers.enough(settings.level):
            self.close()
            raise Unsafe(f"{self.layers.words()}; asked for is {settings.level}")
        self._receive(START)  # it has imported everything

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def new(self, seed: int) -> None:
        """Fork a fresh child for a submission; the one there was is killed."""
        self._exchange({"op": "new", "limits": asdict(self.settings.limits), "seed": seed}, b"", GRACE)

    def ask(self, request: dict[str, Any], body: bytes, seconds: float) -> tuple[dict[str, Any], dict[str, Any], bytes]:
        """Ask the child; returns (how it went: status, output, exit, seconds), the child's head, and its body.

        A child that answers something else than it was asked counts as garbled, and is killed.
        """
        key = secrets.token_hex(8)
        inner = frames.pack(request | {"key": key}, body)
        how, message = self._exchange({"op": "ask", "seconds": seconds}, inner, seconds + GRACE)
        if how["status"] != "ok":
            return how, {}, b""
        reader = frames.Reader()
        reader.feed(message)
        try:
            found = reader.take()
        except frames.FrameError:
            found = None
        if found is None or found[0].get("key") != key:
            self.end()
            return how | {"status": "garbled"}, {}, b""
        return how, *found

    def end(self) -> None:
        """Kill the child."""
        self._exchange({"op": "end"}, b"", GRACE)

    def close(self) -> None:
        """End the server, and with it all there is inside."""
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stderr.close()  # type: ignore[union-attr]

    def _exchange(self, head: dict[str, Any], body: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        try:
            self.process.stdin.write(frames.pack(head, body))  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]
        except (OSError, ValueError) as error:
            raise ServerLost(f"the server is gone: {error}") from None
        return self._receive(seconds)

    def _receive(self, seconds: float) -> tuple[dict[str, Any], bytes]:
        reader, file, end = frames.Reader(1 << 28), self.process.stdout.fileno(), time.monotonic() + seconds  # type: ignore[union-attr]
        while True:
            ready, _, _ = select.select([file], [], [], max(0.0, end - time.monotonic()))
            data = os.read(file, 1 << 20) if ready else b""
            if not data:
                self._lost(not ready)
            reader.feed(data)
            if (message := reader.take()) is not None:
                return message

    def _lost(self, silent: bool) -> None:
        if silent:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        text = os.read(self.process.stderr.fileno(), 65536).decode(errors="replace") if not silent else ""  # type: ignore[union-attr]
        last = (text.strip().splitlines() or ["no message"])[-1]
        self.close()
        raise ServerLost("the server does not answer" if silent else f"the server ended: {last}")


def _cache() -> list[str]:
    """The folder of generated data, which children may read where it is there."""
    from mmteach.data.store import cache_dir

    return [str(cache_dir())]
