"""What a learner has solved, kept across restarts in one small file a user.

| name    | what it does                                                              |
|---------|----------------------------------------------------------------------------|
| `keep`  | remember a verdict: the best points of a task, how often it was checked     |
| `table` | a line a task: points, attempts, and what stood in the way last             |
| `path`  | where the file is: MMTEACH_LEARNER, or the user's data folder                |
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mmteach.exercises.task import Task, Verdict


def path() -> Path:
    """The file of this learner's progress: MMTEACH_LEARNER where it is set, else in the user's data folder."""
    if os.environ.get("MMTEACH_LEARNER"):
        return Path(os.environ["MMTEACH_LEARNER"]).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("mmteach", appauthor=False)) / "progress.json"


def read() -> dict[str, dict[str, Any]]:
    """By task's name: best points, attempts, last sentence. An unreadable file counts as none: progress is no treasure."""
    try:
        kept = json.loads(path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    tasks = kept.get("tasks") if isinstance(kept, dict) else None
    if not isinstance(tasks, dict):
        return {}
    return {
        name: row
        for name, row in tasks.items()
        if isinstance(row, dict) and all(isinstance(row.get(k), int) for k in ("points", "attempts"))
    }


def keep(task: Task, verdict: Verdict) -> None:
    """Remember a verdict; where the file cannot be written, nothing is kept and nobody is disturbed."""
    if verdict.misconception == "unanswered":
        return
    tasks = read()
    before = tasks.get(task.name, {"points": 0, "attempts": 0})
    tasks[task.name] = {
        "points": max(int(before["points"]), verdict.points),
        "attempts": int(before["attempts"]) + 1,
        "says": verdict.says,
    }
    target = path()
    if target.exists() and not target.is_file():
        return  # MMTEACH_LEARNER=/dev/null keeps nothing; renaming a file over a device would replace the device
    partial = None
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as file:
            partial = Path(file.name)
            json.dump({"tasks": tasks}, file, ensure_ascii=False, indent=1)
        os.replace(partial, target)
    if partial:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def table(tasks: tuple[Task, ...]) -> str:
    """The progress as text: a line a task, a sum a chapter."""
    kept = read()
    lines: list[str] = []
    for chapter in dict.fromkeys(task.chapter for task in tasks):
        some = [task for task in tasks if task.chapter == chapter]
        earned = sum(min(kept[task.name]["points"], task.points) for task in some if task.name in kept)
        lines.append(f"{chapter}: {earned} of {sum(task.points for task in some)} points")
        for task in some:
            row = kept.get(task.name)
            mark = "·" if not row else "✓" if row["points"] >= task.points else "✗"
            done = f"{min(row['points'], task.points)}/{task.points}" if row else f"-/{task.points}"
            tries = f"{row['attempts']} ×" if row else ""
            lines.append(f"  {mark} {task.name:<22}{done:>5} {tries:>4}  {task.title}")
    return "\n".join(lines)
