"""What a learner waits for before anything happens: importing the library, and starting a notebook's kernel.

Each figure is the median of fresh processes; the first, which may read its files from disk, is shown as "first".
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial

from mmteach.bench.measure import spread
from mmteach.bench.report import Cell, Table
from mmteach.claims import pick

SCRIPTS = {
    "python alone": "pass",
    "import torch": "import torch",
    "import torch, mmteach": "import torch, mmteach",
    "mmteach --help": "import sys; sys.argv[1:] = ['--help']; from mmteach.cli import main; main()",
}
KERNELS = {"a kernel that has imported torch": "", "the same, forked from a warm process": "mmteach-warm"}


def table() -> Table:
    """Imports and kernels, from nothing to the first answer."""
    repeats = pick(smoke=1, laptop=5, gpu=5)
    measures: dict[str, Callable[[], float]] = {name: partial(_script, code) for name, code in SCRIPTS.items()}
    measures |= {name: partial(_kernel, provisioner) for name, provisioner in KERNELS.items()}
    chosen = pick(
        smoke=["python alone", "the same, forked from a warm process"], laptop=list(measures), gpu=list(measures)
    )
    rows: list[dict[str, Cell]] = []
    for name in chosen:
        times = [measures[name]() for _ in range(repeats)]
        later = times[1:] or times
        rows.append(
            {"what": name, "median, s": statistics.median(later), "spread, %": spread(later), "first, s": times[0]}
        )
    return Table(
        "Before anything happens",
        f"Fresh processes, {repeats} each; the median leaves the first out. A warm process is started with the first kernel "
        "that is asked of it (JUPYTER_DEFAULT_PROVISIONER_NAME=mmteach-warm), which therefore waits longer.",
        rows,
    )


def _script(code: str) -> float:
    started = time.perf_counter()
    # SystemExit of --help is a success with status 0.
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _kernel(provisioner: str) -> float:
    """From nothing to a first answer of a kernel that has imported torch."""
    from jupyter_client.manager import start_new_kernel

    with _provisioned(provisioner):
        started = time.perf_counter()
        manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--log-level=ERROR"])
        try:
            client.execute_interactive("import torch", silent=True, timeout=120)
            return time.perf_counter() - started
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


@contextmanager
def _provisioned(name: str):
    """Kernels started by this provisioner; jupyter_client asks the one object that it keeps."""
    from jupyter_client.provisioning import KernelProvisionerFactory

    factory = KernelProvisionerFactory.instance()
    before = factory.default_provisioner_name
    factory.default_provisioner_name = name or "local-provisioner"
    try:
        yield
    finally:
        factory.default_provisioner_name = before
