"""A class on one machine: workers with a warm server each, results as they come.

| name       | what it does                                                                       |
|------------|--------------------------------------------------------------------------------------|
| `Job`      | everything a worker needs besides a submission's bytes                               |
| `one`      | a submission's result with a server, which is replaced where it is lost              |
| `local`    | (key, bytes) pairs → (key, result) as they are done, over threads                     |

A worker's thread only waits for its server and compares numbers; the student's code runs in the servers' children.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mmteach.grading.assignment import Assignment
from mmteach.grading.client import Server, ServerLost, Settings
from mmteach.grading.grade import Rules, grade, unreadable
from mmteach.grading.notebook import Unreadable

TRIES = 3  # with a new server each
LOST = "the grader's own process was lost three times while it ran"
Read = Callable[[], bytes]


@dataclass(frozen=True)
class Job:
    """The unit of work is one(job, bytes): plain data in, plain data out, on this machine or another."""

    assignment: Assignment
    rules: Rules
    settings: Settings

    @property
    def digest(self) -> str:
        """Changes with everything besides the submission that a result depends on."""
        import mmteach

        parts = [self.assignment.digest, asdict(self.rules), asdict(self.settings.limits), mmteach.__version__]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class Worker:
    """A server that is started when it is first needed."""

    def __init__(self, job: Job, stopped: threading.Event | None = None) -> None:
        self.job, self.stopped = job, stopped or threading.Event()
        self.server: Server | None = None

    def one(self, data: bytes) -> dict[str, Any]:
        """The result of one submission; raises Unsafe where no server may be started here."""
        for _ in range(TRIES):
            try:
                self.server = self.server or Server(self.job.settings)
                return grade(data, self.job.assignment, self.job.rules, self.server)
            except ServerLost as error:
                lost = str(error)
                self.close()
                if self.stopped.is_set():  # it was ended by Ctrl-C: another one would only be waited for
                    break
        return unreadable(self.job.assignment, f"{LOST} ({lost})", status="died")

    def close(self) -> None:
        if self.server:
            with contextlib.suppress(OSError):
                self.server.close()
        self.server = None


def read(job: Job, get: Read) -> tuple[bytes, dict[str, Any] | None]:
    """A submission's bytes; where it has none, the result that says so."""
    try:
        return get(), None
    except Unreadable as error:
        return b"", unreadable(job.assignment, str(error))


def local(job: Job, todo: Iterable[tuple[str, bytes]], workers: int) -> Generator[tuple[str, dict], None, None]:
    """Grade all of `todo` with so many workers; yields (key, result) in the order in which they are done.

    Closing the iterator (Ctrl-C) ends the servers at once. An error of a worker itself is raised here.
    """
    waiting: queue.Queue[tuple[str, bytes] | None] = queue.Queue(maxsize=2 * workers)
    done: queue.Queue[tuple[str, dict] | BaseException | None] = queue.Queue()
    stopped = threading.Event()
    crew = [Worker(job, stopped) for _ in range(workers)]

    def work(worker: Worker) -> None:
        try:
            while (next_one := waiting.get()) is not None and not stopped.is_set():
                done.put((next_one[0], worker.one(next_one[1])))
        except BaseException as error:
            done.put(error)
        finally:
            worker.close()
            done.put(None)

    def hand_out() -> None:
        try:
            for key, data in todo:
                if stopped.is_set():
                    return
                _offer((key, data))
        except BaseException as error:
            done.put(error)
        finally:
            for _ in crew:
                _offer(None)

    def _offer(what: tuple[str, bytes] | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(what, timeout=0.5)
                return

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in crew]
    threads.append(threading.Thread(target=hand_out, daemon=True))
    for thread in threads:
        thread.start()
    left = workers
    try:
        while left:
            try:
                found = done.get(timeout=0.5)  # a wait without end would not hear Ctrl-C everywhere
            except queue.Empty:
                continue
            if found is None:
                left -= 1
            elif isinstance(found, BaseException):
                raise found
            else:
                yield found
    finally:
        stopped.set()
        for worker in crew:
            server = worker.server
            if server and server.process.poll() is None and left:
                server.process.stdin.close()  # type: ignore[union-attr]
        with contextlib.suppress(queue.Full):
            for _ in crew:
                waiting.put_nowait(None)
        for thread in threads:
            thread.join(timeout=15)
