"""`mmteach verify`: chapters re-run on fresh seeds, and how often each of their claims holds.

| name     | what it is for                                                              |
|----------|-----------------------------------------------------------------------------|
| `verify` | run the chapters, a fresh seed at a time, and print a table of claims         |
| `wilson` | the 95 % interval of a share, right for few runs and for shares of 0 and 1     |
"""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from mmteach.course.execute import execute
from mmteach.course.paths import Course, CourseError, choose, write_whole
from mmteach.course.run import Progress, read, summary

# A chapter's own seeds are 0, 1, 2, …; run k uses those from 1000 k on, so no two runs share one.
STRIDE = 1000


def verify(course: Course, asked: list[str], runs: int = 5, json_file: Path | None = None) -> int:
    """Run each asked chapter `runs` times on fresh seeds and print how often each claim held; returns the exit code.

    With json_file the runs are kept there after each one, and those it already holds are not done again. A run that
    failed (its notebook raised for another reason than a claim) counts as a failure of the chapter, not of its claims.
    """
    from mmteach.claims import scale

    if runs < 1:
        raise CourseError(f"--seeds must be at least 1, got {runs}")
    chapters = choose(course.chapters(), asked, course.notebooks)
    kept = _kept(json_file, {"scale": scale(), "precision": os.environ.get("MMTEACH_PRECISION", "auto")})
    broken = 0
    for k in range(1, runs + 1):  # a seed of every chapter before the next, so that a table cut short is about all
        for path in chapters:
            rows = kept["chapters"].setdefault(path.stem, [])
            if any(row["seed"] == k * STRIDE for row in rows):
                continue
            environment = {"MMTEACH_SEED": str(k * STRIDE), "MMTEACH_ENFORCE": "0", "MMTEACH_SCALE": kept["scale"]}
            with Progress(f"{path.stem} {k}/{runs}") as progress:
                result = execute(read(path), path.parent, environment, progress)
            print(summary(f"{path.stem} {k}/{runs}", result), flush=True)
            if result.failure:
                # Not kept, so that the next call tries again once the chapter is mended.
                broken += 1
                print(f"  {result.failure}", file=sys.stderr, flush=True)
                continue
            rows.append({"seed": k * STRIDE, "seconds": round(result.seconds, 2), "claims": result.claims})
            if json_file:
                write_whole(json_file, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    table = counts({path.stem: kept["chapters"][path.stem] for path in chapters})
    print("\n" + _table(table))
    missed = [name for name, held, n in table if held < n]
    if missed:
        print(f"mmteach verify: {len(missed)} of {len(table)} claims did not hold on every seed", file=sys.stderr)
    if broken:
        print(f"mmteach verify: {broken} runs ended in an error and are not counted", file=sys.stderr)
    return 1 if missed or broken else 0


def _kept(json_file: Path | None, settings: dict[str, str]) -> dict[str, Any]:
    """What earlier calls left in json_file; raises CourseError where it is something else or was run with other settings."""
    if json_file is None or not json_file.exists():
        if json_file and not json_file.parent.is_dir():
            raise CourseError(f"there is no folder {json_file.parent} to write {json_file.name} into")
        return {**settings, "chapters": {}}
    try:
        kept = json.loads(json_file.read_text(encoding="utf-8"))
        found = {"scale": kept["scale"], "precision": kept.get("precision", "auto")}
        kept["chapters"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CourseError(f"{json_file} does not hold earlier runs of mmteach verify; name another file") from None
    for name, asked in settings.items():
        if found[name] != asked:
            raise CourseError(
                f"{json_file} holds runs at {name} {found[name]!r}, this one is at {asked!r}; name another file"
            )
    return {**found, "chapters": kept["chapters"]}


def counts(chapters: dict[str, list[dict[str, Any]]]) -> list[tuple[str, int, int]]:
    """(claim, how often it held, how often it was made), in the order of the chapters."""
    table: dict[str, list[bool]] = {}
    for rows in chapters.values():
        for row in rows:
            for claim in row["claims"]:
                table.setdefault(claim["name"], []).append(claim["holds"])
    return [(name, sum(held), len(held)) for name, held in table.items()]


def _table(table: list[tuple[str, int, int]]) -> str:
    if not table:
        return "No claims were made."
    width = max(len(name) for name, _, _ in table)
    lines = [f"{'claim':<{width}}   held   95 % interval"]
    for name, held, n in table:
        low, high = wilson(held, n)
        lines.append(f"{name:<{width}}  {f'{held}/{n}':>5}   {low:.2f} to {high:.2f}")
    return "\n".join(lines)


def wilson(held: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The 95 % interval of a share of `held` out of `n` (Wilson 1927, Probable inference, the law of succession).

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n),   p = held / n

    >>> low, high = wilson(5, 5)
    >>> f"{low:.3f} {high:.3f}"
    '0.566 1.000'
    """
    if not 0 <= held <= n or n == 0:
        raise ValueError(f"held must be between 0 and n, and n above 0; got held={held}, n={n}")
    p = held / n
    middle = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0.0, (middle - half) / (1 + z**2 / n)), min(1.0, (middle + half) / (1 + z**2 / n))
