"""A class over Dask: a scheduler and two workers, real processes on loopback."""

import socket
import subprocess
import sys
import time

import psutil
import pytest
from conftest import ANSWERS, SEED, as_bytes, toy_cells

from mmteach.grading import batch, cluster
from mmteach.grading.grade import Rules

distributed = pytest.importorskip("distributed")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def dask():
    """(address, [worker's process]) of a scheduler with two workers of one thread."""
    port, quiet = free_port(), {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    address = f"tcp://127.0.0.1:{port}"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    scheduler = subprocess.Popen([*command, "--no-dashboard"], **quiet)
    one = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
    ]
    workers = [subprocess.Popen([*one, "--host", "127.0.0.1"], **quiet) for _ in range(2)]
    try:
        with distributed.Client(address, timeout=30) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, workers
    finally:
        for process in [*workers, scheduler]:
            process.kill()  # asked politely, a worker once took longer than the wait below, on a busy machine
        for process in [*workers, scheduler]:
            process.wait(timeout=30)


@pytest.fixture(scope="module")
def job(assignment, settings):
    return batch.Job(assignment, Rules(SEED, 5.0, "toy"), settings)


def classroom(count):
    return [(f"s{i}", as_bytes(toy_cells(ANSWERS if i % 2 else {}))) for i in range(count)]


def test_a_job_travels_as_plain_data(job):
    import json

    plain = json.loads(json.dumps(cluster.as_plain(job)))
    assert cluster.from_plain(plain) == job and cluster.from_plain(plain).digest == job.digest


def test_no_scheduler_is_one_clear_sentence(job, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with pytest.raises(ValueError, match="no Dask scheduler answers"):
        next(cluster.spread(job, iter([]), f"tcp://127.0.0.1:{free_port()}"))


@pytest.mark.full
def test_a_worker_killed_half_way_loses_nothing(job, dask):
    address, workers = dask
    found = {}
    for number, (student, result) in enumerate(cluster.spread(job, iter(classroom(60)), address)):
        found[student] = result["score"]
        if number == 5:
            family = psutil.Process(workers[0].pid).children(recursive=True)
            workers[0].kill()
    assert found == {f"s{i}": 6.0 * (i % 2) for i in range(60)}
    end = time.monotonic() + 15
    while any(one.is_running() and one.status() != "zombie" for one in family) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(one.is_running() and one.status() != "zombie" for one in family)  # its servers went with it
