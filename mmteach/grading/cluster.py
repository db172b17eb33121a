"""The same class over a Dask scheduler: each worker machine runs warm servers of its own; only the coordinator writes.

| name     | what it does                                                                           |
|----------|------------------------------------------------------------------------------------------|
| `spread` | (key, bytes) → (key, result) as they are done, wherever; what a lost worker had is done again |
| `remote` | what runs on a worker: one(job, bytes), with a server that stays for the next            |

A worker never forks itself (it has threads): it *executes* a server, which forks. The unit of work is pure, so that doing it
twice because a worker was lost changes nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Generator, Iterator
from typing import Any

from mmteach.grading.assignment import Assignment
from mmteach.grading.batch import Job, Worker
from mmteach.grading.client import Settings
from mmteach.grading.grade import Rules
from mmteach.grading.sandbox import Limits

AHEAD = 4  # submissions on their way, a thread of the cluster
PATIENCE = 15  # seconds for a scheduler to answer
_here = threading.local()
_all: list[Worker] = []


def as_plain(job: Job) -> dict[str, Any]:
    """A job as plain data."""
    from dataclasses import asdict

    return {"assignment": job.assignment.as_plain(), "rules": asdict(job.rules), "settings": asdict(job.settings)}


def from_plain(data: dict[str, Any]) -> Job:
    settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["settings"].items()}
    settings["limits"] = Limits(**data["settings"]["limits"])
    return Job(Assignment.from_plain(data["assignment"]), Rules(**data["rules"]), Settings(**settings))


def remote(plain: dict[str, Any], digest: str, data: bytes) -> dict[str, Any]:
    """Grade one submission in this thread's server, which is started when it is first needed."""
    import sys

    worker = getattr(_here, "worker", None)
    if worker is None or _here.digest != digest:
        if worker:
            worker.close()
        sys.path[:0] = [path for path in plain["settings"]["paths"] if path not in sys.path]
        worker = _here.worker = Worker(from_plain(plain))
        _here.digest = digest
        _all.append(worker)
        atexit.register(worker.close)
    return worker.one(data)


def spread(job: Job, todo: Iterator[tuple[str, bytes]], address: str) -> Generator[tuple[str, dict], None, None]:
    """Grade over the scheduler at `address`; raises ValueError where none answers."""
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError:
        raise ValueError('--cluster needs Dask: pip install "mmteach[teach]"') from None
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise ValueError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise ValueError(f"the scheduler at {address} has no workers")
        plain, digest = as_plain(job), job.digest
        keys: dict[Any, str] = {}

        def submit() -> Any:
            key, data = next(todo)
            future = client.submit(remote, plain, digest, data, pure=False, retries=5)
            keys[future.key] = key
            return future

        running = as_completed([])
        for _ in range(AHEAD * threads):
            try:
                running.add(submit())
            except StopIteration:
                break
        for future in running:
            result = future.result()
            key = keys.pop(future.key)
            future.release()
            with contextlib.suppress(StopIteration):
                running.add(submit())
            yield key, result
