"""Run a notebook from a fresh kernel and say what happened.

| name        | what it is for                                                           |
|-------------|--------------------------------------------------------------------------|
| `execute`   | run every cell in order; stop at the first that raises                    |
| `Execution` | seconds, peak memory, claims, the machine, widgets, the first error       |
| `Failure`   | the cell that raised: its number, the line, what it said                  |
"""

from __future__ import annotations

import ast
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.output_widget import OutputWidget

ANSI = re.compile(r"\x1b\[[0-9;]*m")
# Asked of the kernel before it goes, so that the answers hold for the process that computed. What it never loaded did not
# matter to its results, and is not loaded to be asked. ru_maxrss is in KiB on Linux and in bytes on macOS; Windows has no
# such module, and then there is no figure.
LOADED = "__import__('sys').modules"
MACHINE = {
    "capability": f"{LOADED}['torch'].backends.cpu.get_cpu_capability()",
    "torch": f"{LOADED}['torch'].__version__",
    "threads": f"{LOADED}['torch'].get_num_threads()",
    "device": f"{LOADED}['torch'].cuda.get_device_name() if {LOADED}['torch'].cuda.is_available() else 'cpu'",
    "scale": f"{LOADED}['mmteach'].scale()",
}
QUESTIONS = MACHINE | {
    "peak": "__import__('resource').getrusage(__import__('resource').RUSAGE_SELF).ru_maxrss"
    f" * (1 if {LOADED}['sys'].platform == 'darwin' else 1024)",
}

LIMIT = 900  # seconds a cell: what takes longer waits for something that will not come


class _Listener(OutputWidget):
    """An Output widget's front end that keeps what it is shown and sends nothing back to the kernel.

    nbclient's own writes to the socket on which it awaits the cell's reply. Where the reply arrives during that write, its
    wake-up is lost (ZeroMQ signals a socket's edges, not its state) and the notebook waits for ever.
    """

    def send(self, *_: Any, **__: Any) -> None:
        pass


@dataclass(frozen=True)
class Failure:
    """The cell that raised: `number` as Jupyter counts it (In [number]), the line in it, the error in one line, in full."""

    number: int
    line: str
    error: str
    traceback: str

    def __str__(self) -> str:
        return f"cell In [{self.number}], `{self.line}`: {self.error}"


@dataclass
class Execution:
    """What came of running a notebook; `failure` is None where every cell ran."""

    seconds: float = 0.0
    peak_bytes: int | None = None
    claims: list[dict[str, Any]] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    widgets: dict[str, Any] = field(default_factory=dict)  # the state of each model, by its id
    failure: Failure | None = None

    @property
    def held(self) -> int:
        return sum(claim["holds"] for claim in self.claims)


def execute(
    notebook: nbformat.NotebookNode,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    on_cell: Callable[[int, int], None] | None = None,
    limit: int | None = LIMIT,
) -> Execution:
    """Run the notebook's cells in a fresh kernel of this very Python, in `folder`; their outputs go into `notebook`.

    environment: variables for the kernel on top of this process'
    on_cell:     called with (cell's number, cells in all) before each code cell
    limit:       seconds a cell may take; one that takes longer is a failure (None: as long as it likes)
    """
    result = Execution()
    started = time.perf_counter()
    # No folders to look in: a kernel called python3 that a user registered elsewhere must not shadow this environment.
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=limit,
        startup_timeout=120,
        record_timing=False,
        store_widget_state=True,  # an Output widget needs its state to write into; no state gets into the notebook
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(folder)}},
    )
    client.widget_registry["@jupyter-widgets/output"]["OutputModel"] = _Listener
    with tempfile.TemporaryDirectory(prefix="mmteach-run-") as scratch:
        claims = Path(scratch) / "claims.jsonl"
        # Progress bars are for people who watch; in stored outputs they are noise.
        environment = {**os.environ, "MMTEACH_PROGRESS": "off", **(environment or {}), "MMTEACH_CLAIMS": str(claims)}
        with client.setup_kernel(env=environment, cleanup_kc=True):
            result.failure = _run_cells(client, on_cell)
            result.seconds = time.perf_counter() - started
            answers = _ask(client, result.failure)
            result.peak_bytes = answers.pop("peak", None)
            result.machine = answers
            client.set_widgets_metadata()
            state = notebook.metadata.pop("widgets", {})
            result.widgets = state.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
        if claims.exists():
            result.claims = [json.loads(line) for line in claims.read_text(encoding="utf-8").splitlines()]
    return result


def _run_cells(client: NotebookClient, on_cell: Callable[[int, int], None] | None) -> Failure | None:
    code = [i for i, cell in enumerate(client.nb.cells) if cell.cell_type == "code" and cell.source.strip()]
    for number, index in enumerate(code, start=1):
        cell = client.nb.cells[index]
        if on_cell:
            on_cell(number, len(code))
        try:
            client.execute_cell(cell, index)
        except CellExecutionError as error:
            traceback = ANSI.sub("", error.traceback)
            said = ANSI.sub("", f"{error.ename}: {error.evalue}")
            return Failure(number, _line(cell.source, traceback), said.strip(), traceback)
        except CellTimeoutError:
            said = f"not done after {client.timeout} s, the limit of one cell"
            return Failure(number, _line(cell.source, ""), said, "")
        except DeadKernelError:
            said = "the kernel died; the usual cause is that the machine ran out of memory"
            return Failure(number, _line(cell.source, ""), said, "")
    return None


def _line(source: str, traceback: str) -> str:
    """The line of the cell that raised, by IPython's "Cell In[5], line 3"; else the cell's first line of code."""
    lines = source.splitlines()
    found = re.search(r"Cell In ?\[\d+\], line (\d+)", traceback)
    if found and int(found[1]) <= len(lines):
        return lines[int(found[1]) - 1].strip()
    return next((line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")), lines[0])


def _ask(client: NotebookClient, failure: Failure | None) -> dict[str, Any]:
    """The kernel's answers to QUESTIONS; those it cannot answer, and all of them where it is dead, are left out."""
    if failure and not failure.traceback:
        return {}
    assert client.kc is not None
    # `execute` with no code: only the expressions are evaluated, and nothing is left behind in the notebook.
    message = client.kc.execute("", silent=True, user_expressions=QUESTIONS)
    reply = client.wait_for_reply(message)
    answers = (reply or {}).get("content", {}).get("user_expressions", {})
    return {
        name: ast.literal_eval(answer["data"]["text/plain"])
        for name, answer in answers.items()
        if answer["status"] == "ok"
    }
