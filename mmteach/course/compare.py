"""Do two runs of a cell show the same? What the notebook tests ask of stored and fresh outputs.

| name          | what it is for                                                           |
|---------------|--------------------------------------------------------------------------|
| `differences` | what differs between two cells' outputs, in sentences; [] where nothing     |
| `same_text`   | two texts, numbers compared with a tolerance or not at all                  |

Words are compared exactly, spaces between them count as one, and numbers agree within a tolerance. Left out: pictures
(their text twin, where there is one, is compared), widgets (they need a browser), progress bars and warnings on stderr.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from nbformat import NotebookNode

# A number, not the 3 of "conv3" or of a date's middle; 1,234 is one number.
NUMBER = re.compile(
    r"(?<![\w.])[-−+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:(?<=\d)\.\d*|\.\d+|(?<=\d))(?:[eE][-+]?\d+)?(?![\w])"
)
COMPARED = ("text/plain", "text/markdown", "text/latex", "application/json")
WIDGET = "application/vnd.jupyter.widget-view+json"
ADDRESS = re.compile(r"\bat 0x(?:[0-9a-f]{6,}|…)")


def differences(
    stored: Sequence[NotebookNode],
    fresh: Sequence[NotebookNode],
    source: str = "",
    digits: bool = True,
    relative: float = 1e-3,
    absolute: float = 1e-6,
) -> list[str]:
    """What differs between the stored and the fresh outputs of a cell, a sentence each.

    source: the cell's code; a trailing ";" means that its last value is not shown
    digits: False compares the words and the ✓ and ✗ of claims alone, for results measured on another machine
    relative, absolute: how far numbers may lie apart
    """
    old, new = (_shown(outputs, source) for outputs in (stored, fresh))
    if [kind for kind, _ in old] != [kind for kind, _ in new]:
        return [f"the cell showed {_kinds(old)}, and now shows {_kinds(new)}"]
    found = []
    for (kind, was), (_, now) in zip(old, new):
        difference = same_text(was, now, digits, relative, absolute)
        if difference:
            found.append(f"{kind}: {difference}")
    return found


def _kinds(shown: list[tuple[str, str]]) -> str:
    return ", ".join(kind for kind, _ in shown) or "nothing"


def _shown(outputs: Sequence[NotebookNode], source: str) -> list[tuple[str, str]]:
    """(kind, text) of every output that is compared; what was printed in pieces is one."""
    shown: list[tuple[str, str]] = []
    quiet = source.rstrip().endswith(";")
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stdout" and shown and shown[-1][0] == "stdout":
                shown[-1] = ("stdout", shown[-1][1] + output.text)
            elif output.name == "stdout":
                shown.append(("stdout", output.text))
        elif output.output_type == "error":
            shown.append(("error", f"{output.ename}: {output.evalue}"))
        elif WIDGET not in output.data and not (quiet and output.output_type == "execute_result"):
            shown += _representations(output.data)
    return [(kind, _sequence(text)) for kind, text in shown if kind != "stdout" or text.strip()]


def _representations(data: dict[str, Any]) -> list[tuple[str, str]]:
    if any(kind.startswith("image/") for kind in data):
        return [("picture", "")]  # its text is "<Figure size 640x480 with 1 Axes>"
    return [(kind, str(data[kind])) for kind in COMPARED if kind in data]


def _sequence(text: str) -> str:
    text = re.sub(r"^.*\r(?=[^\n])", "", text, flags=re.MULTILINE)  # what a carriage return wrote over
    return ADDRESS.sub("at 0x…", text)


def same_text(was: str, now: str, digits: bool = True, relative: float = 1e-3, absolute: float = 1e-6) -> str:
    """The first difference between two texts, in a sentence; "" where they are the same.

    Spaces count as one, since a column is wider where a number has one digit more; so do lines of dashes.
    """
    words_was, words_now = (_words(text) for text in (was, now))
    if words_was != words_now:
        # Where the words differ: the first line that does, numbers included, is what a reader wants to see.
        return _first_line(was, now)
    if not digits:
        return ""
    for a, b in zip(NUMBER.findall(was), NUMBER.findall(now)):
        x, y = _value(a), _value(b)
        if not math.isclose(x, y, rel_tol=relative, abs_tol=absolute):
            return f"{b} came in place of {a} ({_first_line(was, now)})"
    return ""


def _words(text: str) -> list[str]:
    return re.sub(r"[-─━]{3,}", "---", NUMBER.sub("#", text)).split()


def _value(number: str) -> float:
    return float(number.replace(",", "").replace("−", "-"))


def _first_line(was: str, now: str) -> str:
    old, new = was.splitlines(), now.splitlines()
    for a, b in zip(old, new):
        if a.split() != b.split():
            return f"{a.strip()!r} became {b.strip()!r}"
    extra, word = (old[len(new) :], "is missing") if len(old) > len(new) else (new[len(old) :], "is new")
    return f"the line {extra[0].strip()!r} {word}" if extra else "only the line breaks differ"
