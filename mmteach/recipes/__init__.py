"""Long tables of the chapters: made once by `mmteach train TABLE`, stored with what made them, read by the chapter.

| name     | what it is for                                                                    |
|----------|------------------------------------------------------------------------------------|
| `Recipe` | an experiment: its name, what it measures, and a function of one seed                |
| `recipe` | a recipe by name                                                                     |
| `make`   | run a recipe over seeds and store the table, a seed at a time, so that it can go on   |
| `stored` | the stored table, and a line that says how it was made                               |

One file a chapter holds its recipes, in a list called RECIPES. The tables lie in `results/`, inside the package, so that a
notebook opened alone on Colab finds them too.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

RESULTS = Path(__file__).parent / "results"
CHAPTERS = ("background", "fusion", "crossmodal", "multitask", "applications", "outlook")


@dataclass(frozen=True)
class Recipe:
    """An experiment that takes too long for a chapter.

    name: what `mmteach train` calls it;  says: one line on what it measures
    run:  seed → figures by model, e.g. {"concat": {"accuracy": .41, "parameters": 1e5}, …}
    """

    name: str
    says: str
    run: Callable[[int], dict[str, dict[str, float]]]


def recipes() -> list[Recipe]:
    """Every recipe, in the order of the chapters."""
    return [one for chapter in CHAPTERS for one in importlib.import_module(f"mmteach.recipes.{chapter}").RECIPES]


def recipe(name: str) -> Recipe:
    """The recipe of this name; ValueError with the list of names where there is none."""
    for one in recipes():
        if one.name == name:
            return one
    raise ValueError(f"no recipe is called {name!r}; there are {', '.join(one.name for one in recipes())}")


def make(name: str, seeds: Sequence[int], out: str | os.PathLike | None = None, resume: bool = False) -> Path:
    """Run a recipe on each seed and store its table as JSON, after each seed anew; returns the file.

    out:    the file; by default `results/NAME.json` in the package, which is what `stored` reads
    resume: keep the seeds that the file already has, where it was made at the same scale
    Raises ValueError for an unknown name, no seeds, a file that is no table, was made at another scale (and is to be gone on
    with, or is the stored one), or cannot be written.
    """
    from mmteach.claims import scale
    from mmteach.training import parallel, seed_everything

    one, path, at = recipe(name), Path(out) if out else RESULTS / f"{name}.json", scale()
    if len(seeds) == 0:
        raise ValueError("seeds must hold at least one seed, got none")
    # The stored table of a chapter must not be lost to a trial run at another scale.
    kept = _read(path) if (resume or not out) and path.is_file() else None
    if kept is not None and kept["scale"] != at:
        raise ValueError(f"{path} was made at scale {kept['scale']}, not {at}: give another file with --out")
    _check_writable(path)
    rows: list[dict[str, Any]] = kept["rows"] if kept and resume else []
    done = {row["seed"] for row in rows}
    for seed in seeds:
        if seed in done:
            continue
        started = time.perf_counter()
        seed_everything(seed)
        rows += [{"model": model, "seed": seed, **figures} for model, figures in one.run(seed).items()]
        if parallel.is_first():  # under torchrun all processes have the same figures
            _write(path, {"recipe": name, "says": one.says, "scale": at, **_made(name, at, rows), "rows": rows})
            print(f"{name}: seed {seed} in {time.perf_counter() - started:.0f} s → {path}", flush=True)
    return path


def stored(name: str) -> tuple[pd.DataFrame, str]:
    """The stored table of a recipe, one row a model and seed, and a sentence on how, when and on what it was made.

    Raises ValueError for an unknown name or a file that is no table, FileNotFoundError where it has not been made.
    """
    import pandas as pd

    from mmteach.claims import WIDTH

    path = RESULTS / f"{name}.json"
    if not path.is_file():
        recipe(name)  # an unknown name says so; to look one up loads every recipe and PyTorch's compiler, for seconds
        raise FileNotFoundError(f"the table {name!r} has not been made yet: mmteach train {name}")
    kept = _read(path)
    says = f"{kept['says']}. Made by `{kept['command']}` on {kept['date']}, {kept['machine']}, PyTorch {kept['torch']}."
    return pd.DataFrame(kept["rows"]), textwrap.fill(says, WIDTH, break_long_words=False, break_on_hyphens=False)


def _made(name: str, at: str, rows: list[dict[str, Any]]) -> dict[str, str]:
    import torch

    seeds = len({row["seed"] for row in rows})
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return {
        "command": f"mmteach train {name} --scale {at} --seeds {seeds}",
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{where} ({platform.machine()})",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # no JSON, or no text at all
        kept = None
    if not isinstance(kept, dict) or not {"rows", "scale", "says"} <= set(kept):
        raise ValueError(f"{path} holds no table of results: delete it and make it again")
    return kept


def _check_writable(path: Path) -> None:
    """Before the first seed, not after it."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file to write the table to")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ValueError(f"no file can be written in {path.parent} ({error.strerror}): give another --out") from None


def _write(path: Path, table: dict[str, Any]) -> None:
    words = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", delete=False) as file:
        partial = Path(file.name)
    try:
        partial.write_text(words, encoding="utf-8")
        partial.chmod(0o644)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)  # there only where writing was interrupted
