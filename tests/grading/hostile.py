"""Submissions that want something other than a grade: by name, what is made of a solved notebook, and what it deserves.

A kind takes the solved notebook's cells and the name of its first answer, and gives cells (or bytes). Nothing in it knows an
exercise. `keeps` says what it deserves: "all" (its answers are honest), "rest" (the first is not), "nothing".
"""

import json
from dataclasses import dataclass

from conftest import code, notebook

from mmteach.grading.sandbox import REFERENCES


@dataclass(frozen=True)
class Kind:
    name: str
    keeps: str
    make: object
    statuses: tuple[str, ...] = ("ok",)  # of the first task


def before(source):
    """A cell in front of everything; the answers stay honest."""
    return lambda cells, name: [code(source.replace("NAME", name)), *cells]


def instead(source):
    """In the place of the first answer."""

    def make(cells, name):
        first = next(i for i, cell in enumerate(cells) if _solution(cell))
        changed = {**cells[first], "source": source.replace("NAME", name)}
        return [*cells[:first], changed, *cells[first + 1 :]]

    return make


def _solution(cell):
    return cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("solution")


def called(body):
    """The first answer does `body` when it is called."""
    lines = "\n".join("    " + line for line in body.splitlines())
    return instead(f"def NAME(*given, **named):\n{lines}")


def stripped(cells, name):
    return [{**cell, "metadata": {}} for cell in cells]


def without_tests(cells, name):
    return [
        cell for cell in cells if not cell["metadata"].get("nbgrader", {}).get("grade") or cell["cell_type"] != "code"
    ]


def twice(cells, name):
    return [one for cell in cells for one in ([cell, cell] if _solution(cell) else [cell])]


def merged(cells, name):
    return [code("\n\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code"))]


def backwards(cells, name):
    return cells[::-1]


def many_cells(cells, name):
    return [*cells, *(code(f"x{i} = {i}") for i in range(10_000 - len(cells)))]


def as_utf16(cells, name):
    return json.dumps(notebook(cells)).encode("utf-16")


def large_outputs(cells, name):
    code = sum(cell["cell_type"] == "code" for cell in cells)
    output = {"output_type": "stream", "name": "stdout", "text": ["x" * 1000] * (40_000 // code)}  # 40 MB in all
    return [{**cell, "outputs": [output]} if cell["cell_type"] == "code" else cell for cell in cells]


def claims_points(cells, name):
    marked = [dict(cell, metadata=json.loads(json.dumps(cell["metadata"]))) for cell in instead("pass")(cells, name)]
    for cell in marked:
        if "points" in cell["metadata"].get("nbgrader", {}):
            cell["metadata"]["nbgrader"]["points"] = 1_000_000
    return marked


def tests_that_pass(cells, name):
    return [
        {**cell, "source": "print('✓ all points')"} if cell["source"].startswith("check(") else cell
        for cell in instead("pass")(cells, name)
    ]


def raw(data):
    return lambda cells, name: data


def cut(cells, name):
    whole = json.dumps(notebook(cells)).encode()
    return whole[: len(whole) // 2]


DAEMON = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)\n    os._exit(0)"
TRY = "try:\n    {}\nexcept BaseException as error:\n    print(error)"
THREAD = "import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin, daemon=True).start()"
FRAMES = """
import gc, sys
frame = sys._getframe()
while frame:
    for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
        right = getattr(value, 'right', None) or (value.get('right') if isinstance(value, dict) else None)
        if isinstance(right, dict) and 'value' in right:
            return right['value']
    frame = frame.f_back
for value in gc.get_objects():
    if type(value).__name__ == 'Expectation':
        return value.right['value']
"""
EQUAL = """
class Anything:
    def __eq__(self, other): return True
    def __getattr__(self, name): return Anything()
    def __call__(self, *a, **k): return self
    def __bool__(self): return True
    def __iter__(self): return iter([self])
    def __len__(self): return 1
    def __float__(self): return 1.0
    def __repr__(self): return '<script>alert(1)</script>'
NAME = Anything()
"""
FORGED = """
import os, struct, json
def NAME(*given, **named):
    head = json.dumps({"key": "0", "score": 100, "status": "ok"}).encode()
    for file in range(3, 10):
        try:
            os.write(file, struct.pack("<IQ", len(head), 0) + head)
        except OSError:
            pass
"""
PICKLE = """
class Bomb:
    def __reduce__(self):
        import os
        return os.system, ("touch /tmp/mmteach-was-here",)
def NAME(*given, **named):
    return Bomb()
"""
FAKE = """
from mmteach.exercises import observe, judge, notebook
observe.observe = lambda *a, **k: {"outputs": {"value": True}, "ok": True, "points": 100}
judge.judge = lambda *a, **k: True
notebook.check = lambda *a, **k: 100
def NAME(*given, **named): pass
"""
SUBCLASS = """
import torch
class Mine(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None): return True
def NAME(*given, **named):
    return torch.zeros(1).as_subclass(Mine)
"""

# The key of each answer is the child's own: what goes back can be anything. These lie in the first answer only.
WITH_THE_KEY = """
import numpy, torch
from mmteach.exercises import wire
from mmteach.grading import frames
encode, pack, lies = wire.encode, frames.pack, [1]
def raw(text): return len(text).to_bytes(8, "little") + text.encode()
def lie(head, data=b""):
    if not data or not lies:
        return pack(head, data)
    lies.pop()
    return pack(WHAT)
frames.pack = lie
def NAME(*given, **named): pass
"""


def with_the_key(what):
    return instead(WITH_THE_KEY.replace("WHAT", what))


DEEP = "import os\nhere = os.getcwd()\nfor _ in range(2000): os.mkdir('d'); os.chdir('d')\nos.chdir(here)"
LASTING = """
import ctypes
libc = ctypes.CDLL(None)
print(libc.shmget(4242, 4096, 0o1666), libc.semget(4242, 1, 0o1666), libc.msgget(4242, 0o1666))
"""
COPY = """
import os
if os.fork() == 0:  # takes the requests away from its parent
    while True: os.read(3, 1)
"""
LAZY = """
class Lazy(float):
    def __float__(self): return 0.5
    def __eq__(self, other): return True
    def __array__(self, *a, **k): raise SystemExit
    def __deepcopy__(self, memo): raise SystemExit
    __hash__ = None
def NAME(*given, **named): return Lazy("nan")
"""

KINDS = [
    # honest answers beside something wild
    Kind("prints five megabytes", "all", before("print('x' * 5_000_000)")),
    Kind("prints on stderr", "all", before("import sys\nprint('x' * 200_000, file=sys.stderr)")),
    Kind("changes the folder", "all", before(TRY.format("import os; os.chdir('/')"))),
    Kind("patches torch.allclose", "all", before("import torch\ntorch.allclose = lambda *a, **k: True")),
    Kind("patches numpy and torch.Tensor", "all", before(
        "import numpy as np, torch\nnp.allclose = lambda *a, **k: True\ntorch.Tensor.__eq__ = lambda *a: True")),
    Kind("patches builtins", "all", before("import builtins\nbuiltins.isinstance = lambda *a: True")),
    Kind("replaces IPython's insides", "all", before(
        "shell = get_ipython()\nshell.run_cell = shell.run_code = None\ntype(shell).run_cell = lambda *a, **k: None")),
    Kind("takes stdout away", "all", before("import sys\nsys.stdout = None\nsys.stderr = None")),
    Kind("poisons sys.modules", "all", before(
        "import sys, types\nsys.modules['mmteach.exercises.judge'] = types.ModuleType('judge')")),
    Kind("replaces check", "all", before("import mmteach.exercises as e\ne.check = lambda *a: 100")),
    Kind("leaves a daemon", "all", before(DAEMON)),
    Kind("leaves a spinning thread", "all", before(THREAD)),
    Kind("ignores signals", "all", before(
        "import signal as s\nfor n in range(1, 65):\n    try: s.signal(n, s.SIG_IGN)\n    except (OSError, ValueError): pass")),
    Kind("calls the network", "all", before(TRY.format("import urllib.request; urllib.request.urlopen('http://example.org')"))),
    Kind("prints the references", "all", before(TRY.format(f"print(open({str(REFERENCES / 'fusion.py')!r}).read())"))),
    Kind("looks for other submissions", "all", before(TRY.format("import os; print(list(os.walk('/tmp')))"))),
    Kind("overwrites what it finds", "all", before(TRY.format("open('/tmp/mmteach-was-here', 'w').write('x')"))),
    Kind("exits in a cell", "all", before("import sys\nsys.exit(0)")),
    Kind("interrupts", "all", before("raise KeyboardInterrupt")),
    Kind("traces everything", "all", before("import sys\nsys.settrace(lambda *a: None)")),
    Kind("turns warnings into errors", "all", before("import warnings\nwarnings.simplefilter('error')")),
    Kind("fills its folder", "all", before(TRY.format("[open(f'f{i}', 'wb').write(bytes(1 << 20)) for i in range(400)]"))),
    Kind("links out of its folder", "all", before("import os\nos.symlink('/etc', 'etc'); os.symlink('/', 'root')")),
    Kind("folders two thousand deep", "all", before(DEEP)),
    Kind("memory that outlives it", "all", before(LASTING)),
    Kind("clears the environment", "all", before("import os\nos.environ.clear()")),
    Kind("forks a copy of itself", "all", before("import os\nos.fork()")),
    Kind("deletes the library", "all", before(TRY.format("import shutil, torch; shutil.rmtree(torch.__path__[0])"))),
    Kind("magics and shell", "all", before("%matplotlib inline\n!rm -rf / 2>/dev/null\n%nonsense")),
    Kind("a cell that is no Python", "all", before("this is ( no Python" + "(" * 5000)),
    Kind("zero bytes and lone surrogates", "all", before("x = '\0 \ud800'")),
    Kind("stripped metadata", "all", stripped),
    Kind("tests deleted", "all", without_tests),
    Kind("answers twice", "all", twice),
    Kind("all in one cell", "all", merged),
    Kind("backwards", "all", backwards),
    Kind("10,000 cells", "all", many_cells),
    Kind("saved as UTF-16", "all", as_utf16),
    Kind("large outputs", "all", large_outputs),
    # the first answer is an attack
    Kind("loops for ever", "rest", instead("while True: pass"), ("timeout",)),
    Kind("sleeps", "rest", called("import time\ntime.sleep(10**6)"), ("timeout",)),
    Kind("loops with the alarm off", "rest", called(
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass"), ("timeout",)),
    Kind("swallows the alarm", "rest", called(
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass"), ("timeout",)),
    Kind("takes all memory", "rest", instead(
        "import torch\nx = []\nwhile True: x.append(torch.ones(2**26))"), ("memory", "timeout")),
    Kind("one huge allocation", "rest", called("import torch\nreturn torch.empty(2**40)"), ("memory", "ok")),
    Kind("os._exit", "rest", instead("import os\nos._exit(0)"), ("died",)),
    Kind("exits when called", "rest", called("import sys\nsys.exit(0)"), ("ok", "died")),
    Kind("crashes", "rest", called("import ctypes\nctypes.string_at(0)"), ("died",)),
    Kind("runs native code", "rest", called(
        "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(b'\\x0f\\x05\\xc3')\n"
        "ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()"), ("ok", "died", "timeout")),
    Kind("kills itself", "rest", called("import os\nos.kill(os.getpid(), 9)"), ("died", "memory", "ok")),
    Kind("kills everything", "rest", called("import os\nos.kill(-1, 9)"), ("died", "memory", "ok")),
    Kind("fork bomb", "rest", instead("import os\nwhile True: os.fork()"), ("ok", "timeout", "died", "refused")),
    Kind("deep recursion", "rest", called("import sys\nsys.setrecursionlimit(10**9)\ndef f(): return f()\nf()"),
         ("ok", "died", "memory", "timeout")),
    Kind("closes its files", "rest", called("import os\nos.closerange(0, 100)"), ("died", "timeout", "refused")),
    Kind("writes into the channel", "rest", called(
        "import os\nfor f in range(3, 9):\n    try: os.write(f, b'x' * 999)\n    except OSError: pass"),
         ("refused", "timeout", "died")),
    Kind("forges an answer", "rest", instead(FORGED), ("refused", "died", "timeout")),
    Kind("equal to everything", "rest", instead(EQUAL), ("ok", "refused")),
    Kind("searches the frames for the answer", "rest", called(FRAMES), ("ok", "refused")),
    Kind("a pickle that runs", "rest", instead(PICKLE), ("ok", "refused")),
    Kind("replaces observe and judge", "rest", instead(FAKE), ("ok", "refused")),
    Kind("a tensor that lies", "rest", instead(SUBCLASS), ("ok", "refused")),
    Kind("imports the references", "rest", called("from mmteach.exercises.references import fusion\nreturn fusion"), ("ok",)),
    Kind("memorised inputs", "rest", called("import torch\nreturn torch.ones(4)"), ("ok", "refused")),
    Kind("a gigabyte back", "rest", called("import torch\nreturn torch.zeros(2**27)"),
         ("ok", "refused", "died", "memory", "timeout")),
    Kind("an endless generator", "rest", called("while True: yield 1"), ("ok", "timeout")),
    Kind("an error full of HTML", "rest", called("raise ValueError('<script>alert(1)</script>' * 100)"), ("ok",)),
    Kind("claims a million points", "rest", claims_points, ("ok", "refused")),
    Kind("tests that pass by themselves", "rest", tests_that_pass, ("ok", "refused")),
    Kind("errors without words in all cells", "rest", instead(
        "from mmteach.grading import frames\npack = frames.pack\n"
        "frames.pack = lambda head, data=b'': pack(head | {'error': {}}, data)"), ("ok", "refused")),
    Kind("an error without words", "rest", with_the_key("head | {'error': {}}"), ("ok", "refused")),
    Kind("an error of numbers", "rest", with_the_key(
        "head | {'error': {'type': [1], 'says': {'a': [2]}, 'line': 3}}, encode([{'missing': True}])"), ("ok", "refused")),
    Kind("says that arrays are missing", "rest", with_the_key(
        "head, encode([{'missing': numpy.zeros(3), 'outputs': {}}])"), ("ok", "refused")),
    Kind("an error of arrays", "rest", with_the_key(
        "head, encode([{'error': {'type': numpy.zeros(3), 'says': numpy.zeros(3)}}])"), ("ok", "refused")),
    Kind("a shape beyond all memory", "rest", with_the_key(
        "head, raw('[{\"dict\":[[\"outputs\",{\"tensor\":[\"float32\",[0' + ',549755813888' * 30 + '],0]}]]}]')"),
         ("ok", "refused")),
    Kind("builds parts of the grader", "rest", with_the_key(
        "head, raw('[{\"dict\":[[\"outputs\",{\"_class__\":\"abc\"}]]}]')"), ("ok", "refused")),
    Kind("a copy that takes the requests", "rest", called(COPY), ("ok", "timeout", "died", "refused")),
    Kind("stops itself", "rest", called(
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass"), ("timeout",)),
    Kind("a number that is computed later", "rest", instead(LAZY), ("ok",)),
    # no notebook
    Kind("empty file", "nothing", raw(b""), ("unreadable",)),
    Kind("cut in half", "nothing", cut, ("unreadable",)),
    Kind("a picture", "nothing", raw(b"\x89PNG\r\n\x1a\n" + bytes(range(256))), ("unreadable",)),
    Kind("a web page", "nothing", raw(b"<!DOCTYPE html><html></html>"), ("unreadable",)),
    Kind("a million brackets", "nothing", raw(b"[" * 1_000_000), ("unreadable",)),
    Kind("JSON that is no notebook", "nothing", raw(b'{"cells": {"a": 1}}'), ("unreadable",)),
    Kind("a sheet whose cells are a number", "nothing", raw(b'{"worksheets": [{"cells": 5}]}'), ("unreadable",)),
]  # fmt: skip
