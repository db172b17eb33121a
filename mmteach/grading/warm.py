"""The warm process behind `provisioner`: imports what notebooks import, then forks a kernel for each line on stdin.

A line is {"argv", "cwd", "env"}; the answer is the kernel's process number. It ends with its stdin, and its kernels, which look
for their parent, with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import signal
import sys
from typing import Any

MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "matplotlib.pyplot",
    "numpy",
    "pandas",
    "mmteach.data",
    "mmteach.figures",
    "torch._dynamo",  # the first optimiser of a notebook imports it, which takes longer than everything else a kernel waits for
)


def main() -> None:
    import torch

    threads = os.cpu_count() or 1
    torch.set_num_threads(1)
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended kernels go without being waited for
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            answers.close()
            _kernel(asked, threads)
        print(pid, file=answers, flush=True)


def _kernel(asked: dict[str, Any], threads: int) -> None:
    """Become the kernel; never returns."""
    import numpy as np
    import torch

    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin = open(0)  # noqa: SIM115 (it stays open as long as the kernel lives)
        os.environ.clear()
        os.environ.update(asked["env"])
        os.environ["JPY_PARENT_PID"] = str(os.getppid())
        if asked["cwd"]:
            os.chdir(asked["cwd"])
        sys.path[0] = ""
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", threads)))
        random.seed()
        np.random.seed()  # noqa: NPY002 (a fork has its parent's state, and no two kernels may have the same)
        torch.seed()
        from ipykernel.kernelapp import IPKernelApp

        sys.argv = ["ipykernel_launcher", *asked["argv"]]
        app = IPKernelApp.instance()
        app.initialize(asked["argv"])
        app.start()
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
