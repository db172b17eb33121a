"""Where data lies: files embedded in the package, checked by their SHA-256, and a cache for what is generated.

| name        | what it does                                                              |
|-------------|---------------------------------------------------------------------------|
| `asset`     | the path of an embedded file, once its checksum has been found right        |
| `damaged`   | every embedded file that is missing or changed (what `mmteach doctor` shows) |
| `cached`    | a generated object from the user's cache folder, made on first use          |
| `cache_dir` | where that is: `MMTEACH_CACHE`, or the user's cache folder                  |
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"
CURE = "Get it back with `git checkout -- mmteach/data/files`, or install mmteach again."


class DataError(RuntimeError):
    """An embedded file is missing or damaged, or a data folder is not what was expected; the message says what to do."""


@functools.cache
def checksums() -> dict[str, str]:
    """The SHA-256 of every embedded file, as `tools/` wrote it into `files/SHA256.json`; DataError where it is unreadable."""
    try:
        return json.loads((FILES / "SHA256.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"SHA256.json in {FILES} is missing or damaged ({error}). {CURE}") from error


def _fault(name: str) -> str | None:
    path = FILES / name
    if not path.is_file():
        return f"{name} is missing from {FILES}."
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != checksums()[name]:
        return f"{name} in {FILES} is damaged (SHA-256 {found[:12]}…, expected {checksums()[name][:12]}…)."
    return None


@functools.cache
def asset(name: str) -> Path:
    """The path of the embedded file `name`; raises DataError with the cure where it is missing or damaged.

    A file is hashed once a process, when it is first asked for: one that is damaged later goes unnoticed until the next
    start. `damaged` always looks again.
    """
    if name not in checksums():
        raise DataError(f"no embedded file is called {name!r}; there are {sorted(checksums())}.")
    fault = _fault(name)
    if fault:
        raise DataError(f"{fault} {CURE}")
    return FILES / name


def damaged() -> list[str]:
    """One sentence for every embedded file that is missing or damaged; empty when all is well."""
    try:
        names = checksums()
    except DataError as error:
        return [str(error)]
    return [fault for name in names if (fault := _fault(name))]


def cache_dir() -> Path:
    """The folder for generated data: the variable MMTEACH_CACHE where it is set, else the user's cache folder."""
    if os.environ.get("MMTEACH_CACHE"):
        return Path(os.environ["MMTEACH_CACHE"]).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("mmteach", appauthor=False))


def cached(name: str, make: Callable[[], dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """What `make()` returns (tensors and plain Python values in a dict), kept on disk under `name` and `settings`.

    Safe when two processes start at once: each writes a file of its own and renames it, and a file that cannot be read
    is made again. `settings` must name everything that the result depends on, a version of the generator included.
    """
    import torch

    key = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]
    path = cache_dir() / f"{name}-{key}.pt"
    try:
        return torch.load(path, weights_only=True)
    except FileNotFoundError:
        pass  # the first time
    except Exception:  # cut short by a full disk or an interrupted copy: make it again
        with contextlib.suppress(OSError):  # a read-only folder keeps the broken file, and each start makes a new value
            path.unlink()
    value = make()
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", delete=False) as file:
            partial = Path(file.name)
            torch.save(value, file)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # a read-only or full home folder must not stop a chapter
        if partial:
            partial.unlink(missing_ok=True)
        warnings.warn(
            f"could not keep {name} in {path.parent} ({error}); it will be made again next time", stacklevel=2
        )
    return value
