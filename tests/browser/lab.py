"""A JupyterLab for tests, and a notebook in it: run it, ask its kernel, work its widgets as a person would."""

from __future__ import annotations

import ast
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CURRENT = "window.jupyterapp.shell.currentWidget"
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is in the page
}
# What the kernel says of a widget's controls, in the order in which they stand.
ASK = """
def _controls(widget):
    found = []
    for child in getattr(widget, 'children', ()):
        found += _controls(child)
        if hasattr(child, 'value') and getattr(child, 'description', ''):
            found.append((child.description, type(child).__name__, repr(child.value)))
    return found
"""
IDLE = f"{CURRENT}.sessionContext.session.kernel.status === 'idle'"


@contextmanager
def jupyterlab(notebooks: Path, work: Path) -> Iterator[str]:
    """A server on a copy of `notebooks` at smoke scale; gives its address, in which {{}} stands for a file's name."""
    shutil.copytree(notebooks, work / "course", ignore=shutil.ignore_patterns("src", ".ipynb_checkpoints"))
    for name, value in SETTINGS.items():
        path = work / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    bin_folder = Path(sys.executable).parent
    env = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "MMTEACH_SCALE": "smoke",
        "MMTEACH_LEARNER": os.devnull,
        "OMP_NUM_THREADS": "1",
        "JUPYTER_TOKEN": token,
        "IPYTHONDIR": str(work / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(work / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(work / "workspaces"),
        **{f"JUPYTER_{kind}_DIR": str(work / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")},
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--ServerApp.root_dir={work / 'course'}", "--allow-root", "--expose-app-in-browser"]
    with (work / "jupyter.log").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        _wait(server, f"http://127.0.0.1:{port}/api/status?token={token}", work / "jupyter.log")
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}?reset&token={token}"
    finally:
        server.terminate()  # it shuts its kernels down
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait(server: subprocess.Popen, address: str, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(480):
        assert server.poll() is None, log.read_text()
        try:
            opener.open(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.25)
    raise AssertionError("JupyterLab did not answer within two minutes")


class Notebook:
    """An open notebook: `page` is playwright's."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        page.goto(address)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        page.wait_for_function(
            f"window.jupyterapp && {CURRENT}?.sessionContext?.session?.kernel && {IDLE}", timeout=120_000
        )
        page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")

    def run(self, seconds: int) -> list[str]:
        """Run all cells; what they raised."""
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        code = f"[...{CURRENT}.content.model.cells].filter(cell => cell.type === 'code')"
        raised = f"{code}.flatMap(c => c.outputs.toJSON()).filter(o => o.output_type === 'error')"
        done = f"{code}.every(cell => cell.executionCount || !cell.sharedModel.source.trim())"
        # The stored counts are cleared when a cell is sent, so that `done` speaks of this run.
        self.page.wait_for_timeout(500)
        self.page.wait_for_function(f"() => {IDLE} && ({done} || {raised}.length)", timeout=1000 * seconds)
        return self.page.evaluate(f"{raised}.map(error => error.ename + ': ' + error.evalue)")

    def ask(self, expression: str, before: str = "") -> Any:
        """The value of a Python expression in the kernel, `before` executed first."""
        reply = self.page.evaluate(
            f"""async ([before, expression]) => {{
                const kernel = {CURRENT}.sessionContext.session.kernel;
                const asked = kernel.requestExecute(
                    {{code: before, silent: true, store_history: false, user_expressions: {{value: expression}}}});
                return (await asked.done).content.user_expressions.value; }}""",
            [before, expression],
        )
        assert reply["status"] == "ok", reply
        return ast.literal_eval(reply["data"]["text/plain"])

    def widgets(self) -> list[Widget]:
        """Every widget that a cell shows, from the top."""
        cells = self.page.evaluate(
            f"""[...{CURRENT}.content.model.cells].map((cell, i) => [i, cell]).filter(([i, cell]) => cell.type === 'code'
                && cell.outputs.toJSON().some(o => o.data && 'application/vnd.jupyter.widget-view+json' in o.data
                                                  && o.output_type === 'execute_result'))
                .map(([i, cell]) => [i, cell.executionCount, cell.sharedModel.source])"""
        )
        return [Widget(self, *cell) for cell in cells]


class Widget:
    """A widget that stands as a cell's result: its controls by their labels, in the page and in the kernel."""

    def __init__(self, notebook: Notebook, index: int, count: int, source: str) -> None:
        self.notebook, self.source, self.value = notebook, source, f"Out[{count}]"
        self.place = (
            notebook.page.locator(".jp-Notebook .jp-Cell")
            .nth(index)
            .locator(".jp-OutputArea-output .jupyter-widgets")
            .first
        )
        self.place.scroll_into_view_if_needed()

    def controls(self) -> dict[str, tuple[str, str]]:
        """label → (kind, value as the kernel writes it)."""
        found = self.notebook.ask(f"_controls({self.value})", before=ASK)
        return {label: (kind, value) for label, kind, value in found}

    def control(self, label: str) -> Any:
        """The control with this label, in the page."""
        return self.place.locator(
            f'xpath=.//*[contains(@class, "widget-label") and normalize-space() = "{label}"]/..'
        ).first

    def shown(self) -> str:
        """What stands below the controls, to compare: pictures by their bytes, and the text."""
        return self.place.evaluate(
            """place => [...place.querySelectorAll('.jp-OutputArea img, .jp-OutputArea audio, .jp-OutputArea source')]
                .map(e => e.src).join('|') + '|' + [...place.querySelectorAll('.jp-OutputArea pre, .widget-html-content')]
                .map(e => e.textContent).join('|')"""
        )

    def wait_for(self, label: str, before: tuple[str, str], shown: str | None, seconds: float = 60) -> None:
        """Until the kernel has another value for `label`, and (unless None) something else than `shown` is shown."""
        deadline = time.monotonic() + seconds
        while True:
            self.notebook.page.wait_for_timeout(100)
            moved = self.controls()[label] != before
            redrawn = shown is None or self.shown() != shown
            if moved and redrawn:
                self.notebook.page.wait_for_function(f"() => {IDLE}", timeout=1000 * seconds)
                return
            assert time.monotonic() < deadline, (
                f"{self.source.splitlines()[0]} “{label}”: the kernel's value {'moved' if moved else f'stayed {before[1]}'}, "
                f"the picture {'changed' if redrawn else 'stayed as it was'}"
            )

    def work(self, label: str, kind: str, text: str) -> None:
        """Change a control by the keyboard."""
        control, keyboard = self.control(label), self.notebook.page.keyboard
        if kind.endswith("Slider"):
            handle = control.locator(".noUi-handle")
            handle.focus()
            now, most = (float(handle.get_attribute(f"aria-value{which}")) for which in ("now", "max"))
            keyboard.press("ArrowLeft" if now >= most else "ArrowRight")
        elif kind == "Dropdown":
            select = control.locator("select")
            select.focus()
            last = select.evaluate("select => select.selectedIndex === select.options.length - 1")
            # Space opens the list: JupyterLab takes an arrow key for itself while the list is closed.
            for key in ("Space", "ArrowUp" if last else "ArrowDown", "Enter"):
                keyboard.press(key)
        elif kind == "Checkbox":
            control.locator("input").focus()
            keyboard.press("Space")
        else:
            box = control.locator("input, textarea")
            box.focus()
            keyboard.press("Control+A")
            keyboard.type(text)
            if kind == "Text":
                keyboard.press("Enter")

    def drag(self, label: str) -> None:
        """Take a slider's handle by the mouse and pull it a third of the track towards its middle."""
        control, mouse = self.control(label), self.notebook.page.mouse
        handle, track = control.locator(".noUi-handle"), control.locator(".noUi-target")
        handle.scroll_into_view_if_needed()
        at, whole = handle.bounding_box(), track.bounding_box()
        x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
        ahead = 1 if x < whole["x"] + whole["width"] / 2 else -1
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + ahead * whole["width"] / 3, y, steps=6)
        mouse.up()
