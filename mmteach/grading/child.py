"""What runs in the sandboxed child: the student's cells, and their answers on the cases that come through the pipe.

| name     | what it does                                                                     |
|----------|------------------------------------------------------------------------------------|
| `Ready`  | what a child needs besides the submission                                          |
| `serve`  | answers requests until the pipe ends                                               |
| `Cells`  | runs cells in one namespace as a notebook does, IPython's magics included           |

Nothing here decides about points in the value oracle: what goes back is what the answers gave. Everything here can be
changed by the student's code, which shares the process; the parent believes none of it.

A cell that raises is gone on with where that loses nothing: the definitions below the line that raised still count, so that
an unfinished task merged into one cell with a finished one does not take it along.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import linecache
import os
import random
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from mmteach.grading import frames

LONG = 300  # characters of an error's message
DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def make_shell() -> Any:
    """IPython's shell without history, colours and files, for magics and `get_ipython()`. Made once, before the forks."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shell(InteractiveShell):
        """A magic that cannot work here (there is no browser, no network) says so and stops nothing."""

        system = InteractiveShell.system_piped  # there is no terminal

        def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
            try:
                return super().run_line_magic(magic_name, line, _stack_depth)
            except Exception as error:
                print(f"%{magic_name}: {error}")
                return None

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.enable_tip = False
    return Shell.instance(config=config)


class Cells:
    """One namespace, as a kernel has it, and the cells that ran in it."""

    def __init__(self, shell: Any) -> None:
        self.space: dict[str, Any] = shell.user_ns
        self._transform = shell.input_transformer_manager.transform_cell
        self._count = 0
        self._wait, self._flush = asyncio.run, sys.stdout.flush

    def run(self, source: str, names: tuple[str, ...] = (), definitions: bool = False) -> dict[str, Any] | None:
        """Run a cell; returns the first error as plain data, or None.

        names: what counts as a definition wherever it is set;  definitions: run these only
        """
        self._count += 1
        file = f"<cell {self._count}>"
        try:
            text = self._transform(source)
            linecache.cache[file] = (len(text), None, text.splitlines(True), file)
            body = ast.parse(text, file).body
        except BaseException as error:
            return describe(error)
        first = None
        for statement in body:
            if (definitions or first is not None) and not _defines(statement, names):
                continue
            try:
                self._execute(statement, file)
            except BaseException as error:
                first = first or describe(error)
        with contextlib.suppress(BaseException):
            self._flush()
        return first

    def _execute(self, statement: ast.stmt, file: str) -> None:
        code = compile(ast.Module([statement], []), file, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            self._wait(eval(code, self.space))  # the value of awaiting code is a coroutine
        else:
            exec(code, self.space)

    def value(self, source: str) -> Any:
        """Run a cell to its end and give its last expression's value; raises what it raises."""
        self._count += 1
        file = f"<cell {self._count}>"
        text = self._transform(source)
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        tree = ast.parse(text, file)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, file, "exec"), self.space)
        return (
            eval(compile(ast.Expression(last.value), file, "eval"), self.space) if isinstance(last, ast.Expr) else None
        )


def _defines(statement: ast.stmt, names: tuple[str, ...]) -> bool:
    if isinstance(statement, DEFINES):
        return True
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return any(isinstance(one, ast.Name) and one.id in names for one in targets)


def describe(error: BaseException) -> dict[str, Any]:
    """An error as plain data: its type, what it says, and the student's line where it happened."""
    try:
        says = str(error)[:LONG]
    except BaseException:
        says = ""
    line = None
    if isinstance(error, SyntaxError) and error.text:
        line = str(error.text).strip()
    else:
        with contextlib.suppress(BaseException):
            where = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith("<cell")]
            line = where[-1].line if where else None
    return {"type": type(error).__name__[:LONG], "says": says, "line": line[:LONG] if line else None}


def reseed(seed: int) -> None:
    """Every generator that notebooks use, set anew: a forked process has its parent's."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (the one that notebooks draw from unasked)
    torch.manual_seed(seed)


class Ready:
    """What a child needs besides the submission. Made once, before the forks: in each child it would take 12 ms."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        from mmteach.grading import guarded

        self.find, self.shell = find, make_shell()
        self.original = guarded.Originals(self.shell.user_ns)
        reseed(0)  # the first time, PyTorch looks for devices


def serve(requests: BinaryIO, answers: int, ready: Ready) -> None:
    """Answer each request with a message; ends with the pipe.

    A request is one of
        {"op": "cell", "source", "names", "definitions"}            → {"error": None or what was raised}
        {"op": "observe", "task", "answer"} + cases  → a list of what was observed, as wire.encode writes it
        {"op": "assert", "source"}                   → {"error", "value"}: a foreign test cell (`guarded`)
    Each has a "key", a random word which the answer repeats.
    """
    from mmteach.exercises import notebook, observe, wire
    from mmteach.exercises.task import Case

    notebook.INSTEAD = lambda name, answer: 0  # the parent asks, not the notebook's own cells
    cells, original, find = Cells(ready.shell), ready.original, ready.find

    mine, stop = os.getpid(), os._exit

    def observed(head: dict[str, Any], body: bytes) -> bytes:
        original.restore()  # an answer must do without functions it exchanged, and an honest one beside it is none the worse
        task = find(head["task"])
        missing = head["answer"] not in cells.space
        found: list[dict[str, Any]] = []
        for data in wire.decode(body):
            if missing:
                found.append({"outputs": {}, "missing": True})
                break
            found.append(observe.observe(task, cells.space[head["answer"]], Case.from_plain(data), head.get("seconds")))
            if found[-1].get("unanswered") or (found[-1].get("error") or {}).get("type") == "TimeUp":
                break  # the other cases would say the same, each after its own time
        return wire.encode(found)

    for head, body in _messages(requests):
        reply: dict[str, Any] = {"key": head["key"]}
        data = b""
        if head["op"] == "cell":
            reply["error"] = cells.run(head["source"], tuple(head["names"]), bool(head.get("definitions")))
        elif head["op"] == "assert":
            reply |= original.judge(cells, head["source"])
        else:
            try:
                data = observed(head, body)
            except BaseException as error:
                reply["error"] = describe(error)
        if os.getpid() != mine:  # a copy that the student's code forked has nothing to say
            stop(0)
        _send(answers, frames.pack(reply, data))


def _messages(requests: BinaryIO) -> Iterator[tuple[dict[str, Any], bytes]]:
    while (message := frames.read(requests)) is not None:
        yield message


def _send(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
