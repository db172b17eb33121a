"""Suite: the classic model of image and text, ours against Keras, at 64 × 64 and 224 × 224 pixels.

Each side runs in a process of its own (`classic_rival`), for Keras fixes its backend when it is imported; the processes take
turns, an epoch each.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from mmteach.bench import measure
from mmteach.bench.report import Cell, Table
from mmteach.claims import pick

BACKENDS = ("torch", "tensorflow", "jax")
PRECISIONS = ("fp32", "bf16")
BATCH = 32
GOAL, LIMIT = 0.72, 8  # AUC on validation, which 2,048 examples allow, and after how many epochs to give it up


@dataclass(frozen=True)
class Setting:
    """One side: "mmteach" or "keras on BACKEND", its precision, the pictures' side, how many examples an epoch has."""

    who: str
    precision: str
    size: int
    examples: int


class Side:
    """One side's process: `ask("epoch")` has it train an epoch and returns what it answers."""

    def __init__(self, setting: Setting) -> None:
        environment = {**os.environ, "MMTEACH_PROGRESS": "off"}
        if setting.who != "mmteach":
            environment["KERAS_BACKEND"] = setting.who.removeprefix("keras on ")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mmteach.bench.classic_rival", json.dumps(asdict(setting))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def __enter__(self) -> Side:
        return self

    def ask(self, question: str) -> dict[str, float]:
        """The answer to "epoch", "learn" or "memory"."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that was asked for {question!r} ended; its message stands above")
        return json.loads(answer)

    def __exit__(self, *_: Any) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def sides() -> list[str]:
    """Us, and Keras on every backend that is installed."""
    if importlib.util.find_spec("keras") is None:
        return ["mmteach"]
    return ["mmteach", *(f"keras on {name}" for name in BACKENDS if importlib.util.find_spec(name))]


def tables() -> list[Table]:
    """Steps and memory at both sizes, then the time to the same figure on validation."""
    sizes = pick(smoke=[(32, 32, 1)], laptop=[(64, 256, 5), (224, 64, 3)], gpu=[(64, 1024, 5), (224, 1024, 5)])
    missing = [name for name in BACKENDS if f"keras on {name}" not in sides()]
    absent = f" Not installed: Keras on {', '.join(missing)}." if missing else ""
    return [*(_steps(size, examples, rounds, absent) for size, examples, rounds in sizes), _learning(absent)]


def _steps(size: int, examples: int, rounds: int, absent: str) -> Table:
    times: dict[Setting, list[float]] = {}
    memory: dict[Setting, float] = {}
    for precision in PRECISIONS:
        # A precision at a time: at 224 × 224 each side holds some 2 GB while the other one runs.
        with ExitStack() as stack:
            settings = [Setting(who, precision, size, examples) for who in sides()]
            running = {one: stack.enter_context(Side(one)) for one in settings}
            for side in running.values():  # the first epoch allocates and compiles
                side.ask("epoch")
            measured = measure.alternate({one.who: _epoch(side) for one, side in running.items()}, rounds)
            for one, side in running.items():
                times[one], memory[one] = measured[one.who], side.ask("memory")["bytes"]
    fastest = statistics.median(times[Setting("mmteach", "bf16", size, examples)])
    rows: list[dict[str, Cell]] = []
    for one, own in times.items():
        ours = times[Setting("mmteach", one.precision, size, examples)]
        rows.append({
            "who": one.who, "precision": one.precision, "ms a step": 1e3 * statistics.median(own) / (examples / BATCH),
            "spread, %": measure.spread(own), "times ours": statistics.median(t / o for t, o in zip(own, ours)),
            "times ours in bf16": statistics.median(own) / fastest, "peak memory, MB": memory[one] / 2**20,
        })  # fmt: skip
    return Table(
        f"A training step at {size} × {size}",
        f"{BATCH} emoji and keywords, 10,000 words, Adam; epochs of {examples // BATCH} steps by each library's own `fit`, "
        f"{rounds} each in turns, median; the two precisions one after the other. The pictures are emoji, resized. Memory is "
        f"the whole process's.{absent}",
        rows,
    )


def _epoch(side: Side) -> measure.Rival:
    return lambda: side.ask("epoch")["seconds"]


def _learning(absent: str) -> Table:
    size, examples, goal = pick(smoke=(32, 64, 0.0), laptop=(64, 2048, GOAL), gpu=(64, 8192, GOAL))
    rows: list[dict[str, Cell]] = []
    for who in sides():
        for precision in PRECISIONS:
            with Side(Setting(who, precision, size, examples)) as side:
                row = side.ask("learn " + str(goal))
            rows.append({"who": who, "precision": precision, "epochs": row["epochs"], "reached AUC": row["auc"],
                         "training, s": row["seconds"]})  # fmt: skip
    return Table(
        f"Time to an AUC of {goal:g} on validation, {size} × {size}",
        f"{examples} training examples (is it an animal, a plant, food or drink?), unseen concepts in validation, one seed; "
        f"at most {LIMIT} epochs, validation not timed. One run each: an epoch more or less is luck.{absent}",
        rows,
    )
