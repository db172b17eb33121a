"""The warm process: imports torch once, then forks a sandboxed child a submission. Started by `client.Server`.

| name     | what it does                                                                    |
|----------|---------------------------------------------------------------------------------|
| `main`   | set up the sandbox, import, say hello, answer requests until stdin ends            |
| `Child`  | one forked child: `ask` it within a time, with its output capped; `end` it          |

It is single-threaded from its first line on: a process that ran OpenMP with two threads and then forks leaves children that
hang. It never reads what a child sends, only passes it on.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import shutil
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmteach.grading import frames
from mmteach.grading.sandbox import Limits, Sandbox

KEPT = 20_000  # bytes of output a request; the rest is read and dropped


class Child:
    """A forked child and the three pipes to it."""

    def __init__(self, box: Sandbox, limits: Limits, seed: int, shell: Any, find: Any, stdin: int) -> None:
        self.box, self.stdin = box, stdin
        requests, self.requests = os.pipe()
        self.answers, answers = os.pipe()
        self.output, output = os.pipe()
        self.pid = box.fork()
        if self.pid == 0:
            try:
                for unused in (self.requests, self.answers, self.output):
                    os.close(unused)
                self._become(requests, answers, output, limits, seed, shell, find)
            finally:
                os._exit(0)
        for unused in (requests, answers, output):
            os.close(unused)
        for mine in (self.requests, self.answers, self.output):
            os.set_blocking(mine, False)

    def _become(
        self, requests: int, answers: int, output: int, limits: Limits, seed: int, shell: Any, find: Any
    ) -> None:
        from mmteach.grading import child

        empty, rules = os.open(os.devnull, os.O_RDONLY), self.box.rules
        # Only these five stay open, and the list of rules until it is in force: the channel to the coordinator does not.
        kept = [empty, output, output, requests, answers, *([rules.file] if rules else [])]
        for number, file in enumerate([fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in kept]):
            os.dup2(file, number)
        os.closerange(len(kept), 1024)
        if rules:
            rules.file = 5
        for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "IPYTHONDIR", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR"):
            os.environ[name] = str(self.box.work)
        self.box.lock_in(limits)
        if rules:
            os.close(rules.file)
        child.reseed(seed)
        child.serve(os.fdopen(3, "rb"), 4, shell, find)

    def ask(self, message: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Pass a message on and wait for the answer.

        Returns ({"status": "ok" | "timeout" | "died" | "garbled", "output", "seconds"}, the child's message as it came).
        """
        started = time.monotonic()
        reader, output, left = frames.Reader(), bytearray(), memoryview(message)
        status, whole = "ok", b""
        while True:
            patience = started + seconds - time.monotonic()
            if patience <= 0:
                status = "timeout"
                break
            poll = select.poll()
            poll.register(self.answers, select.POLLIN)
            poll.register(self.output, select.POLLIN)
            poll.register(self.stdin, 0)  # only whether the coordinator is gone
            if left:
                poll.register(self.requests, select.POLLOUT)
            ready = dict(poll.poll(min(patience, 1.0) * 1000))
            if ready.get(self.stdin, 0) & (select.POLLHUP | select.POLLERR):
                self.end()
                os._exit(0)
            if self.output in ready:
                text = _read(self.output)
                output += text[: max(0, KEPT - len(output))]
            if self.requests in ready and left:
                try:
                    left = left[os.write(self.requests, left[:65536]) :]
                except BlockingIOError:
                    pass
                except OSError:
                    status = "died"
                    break
            if self.answers in ready:
                data = _read(self.answers)
                if not data:
                    status = "died"
                    break
                reader.feed(data)
                try:
                    found = reader.take()
                except frames.FrameError:
                    status = "garbled"
                    break
                if found:
                    whole = frames.pack(*found)
                    break
        with contextlib.suppress(BlockingIOError):
            output += _read(self.output)[: max(0, KEPT - len(output))]
        head: dict[str, Any] = {"status": status, "output": output.decode(errors="replace")}
        if status != "ok":
            head["exit"] = self.end(patient=status == "died")
        head["seconds"] = round(time.monotonic() - started, 4)
        return head, whole

    def end(self, patient: bool = False) -> int | None:
        """Kill it and all it started; its exit code (minus a signal's number) where it had ended by itself."""
        code = None
        for _ in range(20 if patient else 1):
            try:
                pid, how = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                break
            if pid:
                code = os.waitstatus_to_exitcode(how)
                break
            if patient:
                time.sleep(0.01)
        self.box.kill(self.pid, gone=code is not None)
        for mine in (self.requests, self.answers, self.output):
            with contextlib.suppress(OSError):
                os.close(mine)
        return code


def _read(file: int) -> bytes:
    try:
        return os.read(file, 1 << 20)
    except BlockingIOError:
        return b""


def main(settings: dict[str, Any]) -> None:
    """Serve. settings: scratch, registry, paths, hidden, readable, without, warm; see `client.Server`."""
    scratch = Path(settings["scratch"])
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    outer = os.fork()
    if outer:  # clears up behind a server that is killed, outside its namespaces
        os.close(0)
        os.close(1)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(outer, 0)
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(0)
    channel = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    box = Sandbox(
        scratch,
        readable=tuple(map(Path, settings["readable"])),
        hidden=tuple(map(Path, settings["hidden"])),
        without=tuple(settings["without"]),
    )
    with os.fdopen(channel, "wb", buffering=0) as answers:
        answers.write(frames.pack({"layers": asdict(box.layers)}))
        shell, find = _warm(settings)
        answers.write(frames.pack({"ready": True}))
        _serve(box, answers, shell, find)


def _warm(settings: dict[str, Any]) -> tuple[Any, Any]:
    """Import what submissions import, single-threaded, and nothing that knows an answer."""
    sys.path[:0] = settings["paths"]
    import torch

    torch.set_num_threads(1)
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)
    for name in settings["warm"]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from mmteach.grading import child

    shell = child.make_shell()
    find = importlib.import_module(settings["registry"]).find
    for name in settings["tasks"]:
        with contextlib.suppress(Exception):
            for module in find(name).blocks:
                importlib.import_module(module)
    known = [name for name in sys.modules if ".references" in name]
    if known:
        raise RuntimeError(f"a server may not know the answers, and has imported {known}")
    torch.ones(8, 8) @ torch.ones(8, 8)
    gc.collect()
    gc.freeze()
    return shell, find


def _serve(box: Sandbox, answers: Any, shell: Any, find: Any) -> None:
    child: Child | None = None
    requests = os.fdopen(0, "rb")
    while (message := frames.read(requests)) is not None:
        head, body = message
        reply: dict[str, Any] = {"status": "ok"}
        data = b""
        if head["op"] in ("new", "end") and child:
            child.end()
            child = None
        if head["op"] == "new":
            child = Child(box, Limits(**head["limits"]), head["seed"], shell, find, 0)
        elif head["op"] == "ask":
            if child is None:
                reply = {"status": "died", "output": "", "exit": None, "seconds": 0.0}
            else:
                reply, data = child.ask(body, head["seconds"])
                if reply["status"] != "ok":
                    child = None
        answers.write(frames.pack(reply, data))
    if child:
        child.end()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
