"""What a learner waits for before anything happens: importing the library, and starting a notebook's kernel.

usage: python benchmarks/startup.py [--repeats 5] [--json F]

Each figure is the median of fresh processes; the first, which reads the files from disk, is shown as "cold".
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = {
    "python alone": "pass",
    "import torch": "import torch",
    "import torch, mmteach": "import torch, mmteach",
    "mmteach --help": "import sys; sys.argv[1:] = ['--help']; from mmteach.cli import main; main()",
}


def seconds(code: str) -> float:
    started = time.perf_counter()
    # SystemExit of --help is a success with status 0.
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def kernel_seconds() -> float:
    """From nothing to a first answer of a kernel that has imported torch."""
    from jupyter_client.manager import start_new_kernel

    started = time.perf_counter()
    manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--log-level=ERROR"])
    try:
        client.execute_interactive("import torch", silent=True, timeout=120)
        return time.perf_counter() - started
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time imports and kernel start.")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="fresh processes a figure (default 5)")
    parser.add_argument("--json", type=Path, metavar="F", help="write the figures to this file as well")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error("--repeats must be at least 1")
    table = {}
    print(f"{'what':24}{'median s':>10}{'cold s':>10}")
    for name, measure in [
        *((name, lambda code=code: seconds(code)) for name, code in SCRIPTS.items()),
        ("kernel with torch", kernel_seconds),
    ]:
        times = [measure() for _ in range(args.repeats)]
        table[name] = {"median": round(statistics.median(times), 3), "cold": round(times[0], 3)}
        print(f"{name:24}{table[name]['median']:10.2f}{table[name]['cold']:10.2f}")
    if args.json:
        machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        partial = args.json.with_name(f".{args.json.name}.partial")
        partial.write_text(json.dumps({"machine": machine, "seconds": table}, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, args.json)


if __name__ == "__main__":
    main()
