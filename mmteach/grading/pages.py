"""Pages for people: feedback for each student, a report on the class. One file each, nothing fetched, no script.

| name        | what it makes                                              |
|-------------|--------------------------------------------------------------|
| `feedback`  | a student's page                                           |
| `report`    | the class's page                                           |
| `file_name` | a student's name as the name of a file                     |

Everything a submission wrote goes through the template's escaping; the pages forbid scripts besides.
"""

from __future__ import annotations

import functools
import hashlib
import re
import statistics
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mmteach.grading import alike
from mmteach.grading.assignment import Assignment
from mmteach.grading.tables import Rows, late_days, number

TEMPLATES = Path(__file__).parent / "templates"
MARKS = {"good": "✓", "bad": "✗", "part": "◐", "wait": "…"}
FEWEST = 10  # submissions for a discrimination


@functools.cache
def _environment() -> Any:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    made.globals["style"] = jinja2.utils.markupsafe.Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    made.globals["number"] = number
    return made


def file_name(student: str) -> str:
    """The student's name where a file can be called so; else what can, and a mark that keeps two apart."""
    plain = re.sub(r"[^\w .@()~-]", "_", student, flags=re.ASCII).strip(" .")[:80]
    if plain == student and plain.casefold() == plain:
        return plain
    return f"{plain or 'student'}-{hashlib.sha256(student.encode(errors='replace')).hexdigest()[:8]}"


def _title(item: dict[str, Any]) -> str:
    try:
        from mmteach.exercises import find

        return find(item["task"]).title
    except Exception:
        return item["task"] or item["id"]


def _answer(assignment: Assignment, row: dict[str, Any], at: int) -> str:
    """What the student wrote for the item: its answer cells since the item before."""
    before = max((item.at for item in assignment.items if item.at < at), default=-1)
    keys = [source.key for source in assignment.sources[before + 1 : at + 1] if source.role in ("answer", "manual")]
    return "\n\n".join(text for key in keys if (text := row["result"]["answers"].get(key, "")))


def _look(item: dict[str, Any]) -> str:
    if item["score"] is None:
        return "wait"
    if item["score"] >= item["points"]:
        return "good"
    return "part" if item["score"] > 0 else "bad"


def feedback(row: dict[str, Any], assignment: Assignment, due: str = "") -> str:
    """A student's page: their answers, what was wrong, which idea it is about."""
    items = []
    for item, asked in zip(row["result"]["items"], assignment.items):
        look = _look(item)
        items.append(
            item | {
                "title": _title(item), "look": look, "mark": MARKS[look], "comment": item.get("comment", ""),
                "scored": "–" if item["score"] is None else number(item["score"]), "guarded": asked.kind == "assert",
                "says": "" if item["status"] == "to mark" else item["message"], "answer": _answer(assignment, row, asked.at),
            }
        )  # fmt: skip
    result, days = row["result"], late_days(row["submitted"], due)
    waiting = sum(item["score"] is None for item in result["items"])
    return _environment().get_template("feedback.html").render(
        assignment=assignment, row=row, result=result, items=items, late="" if days == "0" else days,
        share=round(100 * result["score"] / assignment.points) if assignment.points else 0,
        waiting=f"{waiting} question{'s' * (waiting > 1)}" if waiting else "",
    )  # fmt: skip


def report(rows: Rows, assignment: Assignment, due: str = "") -> str:
    """The class's page."""
    shares = [row["result"]["score"] / assignment.points if assignment.points else 0.0 for row in rows]
    not_ok = sum(row["result"]["status"] != "ok" for row in rows)
    waiting = sum(item["score"] is None for row in rows for item in row["result"]["items"])
    tiles = [
        ("submissions", len(rows)),
        ("median of the points", f"{round(100 * statistics.median(shares))} %" if shares else "–"),
        ("with full marks", sum(share >= 1 for share in shares)),
        ("stopped, refused or unreadable", not_ok),
        ("answers for a human to mark", waiting),
        ("median time", _seconds([row["seconds"] for row in rows])),
    ]
    students = [
        {
            "file": quote(file_name(row["student"])) + ".html", "name": row["name"], "student": row["student"],
            "score": f"{number(row['result']['score'])} / {number(assignment.points)}", "status": row["result"]["status"],
            "submitted": row["submitted"][:16].replace("T", " "),
            "late": late_days(row["submitted"], due) or ("late" if row["late"] else ""),
            "says": "; ".join([row["result"]["message"]] * bool(row["result"]["message"]) + row["result"]["remarks"]),
        }
        for row in rows
    ]  # fmt: skip
    code = [source.key for source in assignment.sources if source.role == "answer"]
    answers = {row["student"]: [row["result"]["answers"].get(key, "") for key in code] for row in rows}
    return _environment().get_template("report.html").render(
        assignment=assignment, tiles=tiles, histogram=_histogram(shares), tasks=_tasks(rows, assignment),
        misconceptions=_misconceptions(rows), students=students,
        alike=alike.pairs(answers),
    )  # fmt: skip


def _seconds(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} s" if times else "–"


def _histogram(shares: list[float]) -> dict[str, Any]:
    counts = [0] * 10
    for share in shares:
        counts[min(9, int(share * 10 + 1e-9))] += 1
    top = max([*counts, 1])
    bars = [
        {
            "x": 20 + 61 * i, "width": 51, "middle": 45.5 + 61 * i, "height": round(120 * count / top, 1),
            "y": round(150 - 120 * count / top, 1), "count": count, "label": f"{10 * i}–{10 * i + 10}",
        }
        for i, count in enumerate(counts)
    ]  # fmt: skip
    says = ", ".join(f"{bar['label']} percent: {bar['count']}" for bar in bars if bar["count"])
    return {"bars": bars, "says": f"Students by share of the points. {says or 'None'}"}


def _tasks(rows: Rows, assignment: Assignment) -> list[dict[str, Any]]:
    found = []
    for at, item in enumerate(assignment.items):
        given = [(row["result"]["items"][at], row["result"]["score"]) for row in rows]
        scored = [(one["score"], all_ - one["score"]) for one, all_ in given if one["score"] is not None]
        marked = len(scored) == len(given) or item.kind != "manual"
        share = (
            statistics.fmean(score for score, _ in scored) / item.points if scored and item.points and marked else None
        )
        untried = sum(one["misconception"] in ("unanswered", "missing") for one, _ in given)
        found.append(
            {
                "title": _title({"task": item.task, "id": item.id}), "points": number(item.points),
                "guarded": item.kind == "assert",
                "mean": "to mark" if share is None else f"{round(100 * share)} %",
                "share": None if share is None else round(100 * share),
                "full": sum(score >= item.points for score, _ in scored) if scored else "–", "untried": untried,
                "discrimination": _correlation(scored), "time": _seconds([one["seconds"] for one, _ in given])
                if item.kind != "manual" else "–",
            }
        )  # fmt: skip
    return found


def _correlation(pairs: list[tuple[float, float]]) -> str:
    """The correlation of an item with the rest of the score, where there are enough that differ."""
    if len(pairs) < FEWEST:
        return "–"
    try:
        return f"{statistics.correlation(*map(list, zip(*pairs))):.2f}"
    except statistics.StatisticsError:
        return "–"


def _misconceptions(rows: Rows, most: int = 12) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str]] = Counter()
    says: dict[tuple[str, str], tuple[str, str]] = {}
    for row in rows:
        for item in row["result"]["items"]:
            if item["misconception"] and item["misconception"] not in ("unanswered", "missing"):
                key = (item["id"], item["misconception"])
                counts[key] += 1
                says.setdefault(key, (_title(item), item["message"]))
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:most]
    return [
        {"count": n, "title": says[key][0], "says": says[key][1]} for key, n in ranked if n > 1 or len(rows) < FEWEST
    ]
