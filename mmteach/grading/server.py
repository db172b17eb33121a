"""The warm process: imports torch once, then forks a sandboxed child a submission. Started by `client.Server`.

| name     | what it does                                                                    |
|----------|---------------------------------------------------------------------------------|
| `main`   | set up the sandbox, import, say hello, answer requests until stdin ends            |
| `Child`  | one forked child: `ask` it within a time, with its output capped; `end` it          |

It is two processes. The one that stands between coordinator and child only passes messages on, and never reads what a child
sends. The one that forks is told when, and no more: a child inherits its parent's memory, freed pages too, and whatever of a
submission had been there the next student could read. It is single-threaded from its first line on: a process that ran OpenMP
with two threads and then forks leaves children that hang.
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
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmteach.grading import frames
from mmteach.grading.sandbox import Limits, Sandbox

KEPT = 20_000  # bytes of output a request; the rest is read and dropped


class Gone(Exception):
    """The coordinator, or the process that forks, has ended."""


def _say(line: socket.socket, told: dict[str, Any], files: Sequence[int] = ()) -> None:
    """A message to the other of the two processes, and open files with it."""
    try:
        socket.send_fds(line, [json.dumps(told).encode() + b"\n"], files)
    except OSError:
        raise Gone from None


def _hear(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The other's next message and the files that came with it; raises Gone at its end."""
    text, files = b"", list[int]()
    while not text.endswith(b"\n"):
        data, more, _, _ = socket.recv_fds(line, 65536, 3)
        if not data:
            raise Gone
        text, files = text + data, files + more
    return json.loads(text), files


class Child:
    """A forked child, by the three pipes to it and the line to the process that forks."""

    def __init__(self, line: socket.socket, limits: dict[str, int], seed: int, stdin: int) -> None:
        self.line, self.stdin = line, stdin
        requests, self.requests = os.pipe()
        self.answers, answers = os.pipe()
        self.output, output = os.pipe()
        _say(line, {"op": "new", "limits": limits, "seed": seed}, [requests, answers, output])
        for unused in (requests, answers, output):
            os.close(unused)
        for mine in (self.requests, self.answers, self.output):
            os.set_blocking(mine, False)
        _hear(line)

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
                raise Gone
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
                    whole = reader.whole()
                except frames.FrameError:
                    status = "garbled"
                    break
                if whole:
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
        _say(self.line, {"op": "end", "patient": patient})
        told, _ = _hear(self.line)
        for mine in (self.requests, self.answers, self.output):
            os.close(mine)
        return told["exit"]


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
    ours, theirs = socket.socketpair()
    forks = os.fork()
    if forks:  # outside the namespaces: passes messages on, and clears up behind the other
        theirs.close()
        with contextlib.suppress(Gone, OSError), os.fdopen(1, "wb", buffering=0) as answers:
            _relay(ours, answers)
        ours.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(forks, 0)
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(0)
    ours.close()
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    box = Sandbox(
        scratch,
        readable=tuple(map(Path, settings["readable"])),
        hidden=tuple(map(Path, settings["hidden"])),
        without=tuple(settings["without"]),
    )
    with contextlib.suppress(Gone):
        _say(theirs, {"layers": asdict(box.layers)})
        ready = _warm(settings)
        _say(theirs, {"ready": True})
        _forks(box, theirs, ready)


def _warm(settings: dict[str, Any]) -> Any:
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

    find = importlib.import_module(settings["registry"]).find
    ready = child.Ready(find)
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
    return ready


def _forks(box: Sandbox, line: socket.socket, ready: Any) -> None:
    """Fork and kill a child when told to. Nothing that a submission holds comes here."""
    pid: int | None = None
    try:
        while True:
            told, files = _hear(line)
            if told["op"] == "new":
                pid = box.fork()
                if pid == 0:
                    try:
                        _become(box, files, Limits(**told["limits"]), told["seed"], ready)
                    finally:
                        os._exit(0)
                for one in files:
                    os.close(one)
                _say(line, {})
            elif pid is not None:
                _say(line, {"exit": _end(box, pid, told["patient"])})
                pid = None
    finally:
        if pid:
            _end(box, pid, False)


def _become(box: Sandbox, files: list[int], limits: Limits, seed: int, ready: Any) -> None:
    """In the child: shut it in, and serve."""
    from mmteach.grading import child

    (requests, answers, output), rules = files, box.rules
    empty = os.open(os.devnull, os.O_RDONLY)
    # Only these five stay open, and the list of rules until it is in force: the line to the process that forks does not.
    kept = [empty, output, output, requests, answers, *([rules.file] if rules else [])]
    for number, file in enumerate([fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in kept]):
        os.dup2(file, number)
    os.closerange(len(kept), 1024)
    if rules:
        rules.file = 5
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "IPYTHONDIR", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR"):
        os.environ[name] = str(box.work)
    box.lock_in(limits)
    if rules:
        os.close(rules.file)
    child.reseed(seed)
    child.serve(os.fdopen(3, "rb"), 4, ready)


def _end(box: Sandbox, pid: int, patient: bool) -> int | None:
    """Kill the child and all it started; its exit code where it had ended by itself, which it is given a moment for."""
    code = None
    for _ in range(20 if patient else 1):
        found, how = os.waitpid(pid, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(how)
            break
        if patient:
            time.sleep(0.01)
    box.kill(pid, gone=code is not None)
    return code


def _relay(line: socket.socket, answers: Any) -> None:
    """Pass the coordinator's requests on to the child, one after the other; ends with stdin."""
    for _ in ("layers", "ready"):
        answers.write(frames.pack(_hear(line)[0]))
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
            child = Child(line, head["limits"], head["seed"], 0)
        elif head["op"] == "ask":
            if child is None:
                reply = {"status": "died", "output": "", "exit": None, "seconds": 0.0}
            else:
                reply, data = child.ask(body, head["seconds"])
                if reply["status"] != "ok":
                    child = None
        answers.write(frames.pack(reply, data))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
