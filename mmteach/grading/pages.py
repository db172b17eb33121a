"""Pages for people: feedback for each student, a report on the class. One file each, nothing fetched, no script.

| name        | what it makes                                              |
|-------------|--------------------------------------------------------------|
| `feedback`  | a student's page                                           |
| `report`    | the class's page                                           |
| `file_name` | a student's name as the name of a file                     |
| `page_name` | the name of a student's page, as their LMS takes it back   |

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
from mmteach.grading.assignment import Assignment, Item
from mmteach.grading.tables import Rows, late_days, lms_id, number

TEMPLATES = Path(__file__).parent / "templates"
MARKS = {"good": "✓", "bad": "✗", "part": "◐", "wait": "…"}
MARKED = re.compile(r"-[0-9a-f]{8}$")  # how the mark looks: nobody's own name may look like another's with it
FEWEST = 10  # submissions for a discrimination
WORDS = {"full": "with full marks", "part": "with a part", "none": "with nothing right", "untried": "not tried"}
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


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
    plain = re.sub(r"[^\w .@()~-]", "_", student).strip(" .")[:40]
    if plain == student and plain.casefold() == plain and plain.isascii() and not MARKED.search(plain):
        return plain
    return f"{plain or 'student'}-{hashlib.sha256(student.encode(errors='replace')).hexdigest()[:8]}"


def page_name(row: dict[str, Any]) -> str:
    """NAME.html; where the file came from Moodle, with what tells Moodle whose it is when the folder is uploaded."""
    participant = lms_id(row, "moodle") if row["result"].get("lms") == "moodle" else ""
    if not participant:
        return f"{file_name(row['student'])}.html"
    name = re.sub(r"[^\w .@()~-]|_", " ", row["student"].rpartition("_")[0])[:40].strip(" .") or "student"
    return f"{name}_{participant}_assignsubmission_file_feedback.html"


def _title(assignment: Assignment, item: Item) -> str:
    """A task's title; of another item the heading above it."""
    try:
        from mmteach.exercises import find

        return find(item.task).title
    except Exception:
        above = "\n".join(one.source for one in assignment.sources[: item.at] if one.role == "text")
        headings = HEADING.findall(above)
        return headings[-1].strip() if item.kind == "manual" and headings else item.task or item.id


def _sections(item: Item) -> str:
    """The sections of the chapter that a task is about; "" for a task from elsewhere."""
    try:
        from mmteach.exercises import find

        return "; ".join(find(item.task).links)
    except Exception:
        return ""


def _waits(item: dict[str, Any]) -> bool:
    return item["score"] is None and item["misconception"] != "unanswered"


def _untried(item: dict[str, Any]) -> bool:
    """Whether there is no answer: the file or the cell is not there, or still as it was handed out."""
    gone = item["misconception"] == "missing" and not item["parts"]
    stub = item["message"].endswith("no cell defines it") or "stopped with NotImplementedError" in item["message"]
    return item["misconception"] == "unanswered" or item["status"] == "unreadable" or (gone and stub)


def _answer(assignment: Assignment, row: dict[str, Any], at: int) -> str:
    """What the student wrote for the item: its answer cells since the item before."""
    before = max((item.at for item in assignment.items if item.at < at), default=-1)
    keys = [source.key for source in assignment.sources[before + 1 : at + 1] if source.role in ("answer", "manual")]
    return "\n\n".join(text for key in keys if (text := row["result"]["answers"].get(key, "")))


def _look(item: dict[str, Any]) -> str:
    if _waits(item):
        return "wait"
    if item["score"] is None:
        return "bad"
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
                "title": _title(assignment, asked), "look": look, "prose": asked.kind == "manual",
                "sections": _sections(asked) if look in ("bad", "part") else "",
                "mark": MARKS[look], "comment": item.get("comment", ""),
                "scored": "–" if item["score"] is None else number(item["score"]), "guarded": asked.kind == "assert",
                "says": "" if _waits(item) else item["message"],
                "answer": "" if _untried(item) else _answer(assignment, row, asked.at),
            }
        )  # fmt: skip
    result, days = row["result"], late_days(row["submitted"], due)
    waiting = sum(_waits(item) for item in result["items"])
    return _environment().get_template("feedback.html").render(
        assignment=assignment, row=row, result=result, items=items, late="" if days == "0" else days,
        share=round(100 * result["score"] / assignment.points) if assignment.points else 0,
        waiting=f"{waiting} question{'s' * (waiting > 1)}" if waiting else "",
    )  # fmt: skip


def report(rows: Rows, assignment: Assignment, due: str = "") -> str:
    """The class's page."""
    shares = [row["result"]["score"] / assignment.points if assignment.points else 0.0 for row in rows]
    not_ok = sum(row["result"]["status"] != "ok" for row in rows)
    waiting = sum(_waits(item) for row in rows for item in row["result"]["items"])
    tiles = [
        ("submissions", len(rows)),
        ("median of the points", f"{round(100 * statistics.median(shares))} %" if shares else "–"),
        ("with full marks", sum(share >= 1 for share in shares)),
        ("stopped, refused or unreadable", not_ok),
        ("answers for a human to mark", waiting),
        ("median time to grade", _seconds([row["seconds"] for row in rows])),
    ]
    students = [
        {
            "file": quote(page_name(row)), "name": row["name"], "student": row["student"],
            "score": f"{number(row['result']['score'])} / {number(assignment.points)}", "status": row["result"]["status"],
            "submitted": row["submitted"][:16].replace("T", " "),
            "late": late_days(row["submitted"], due) or ("late" if row["late"] else ""),
            "says": "; ".join([row["result"]["message"]] * bool(row["result"]["message"]) + row["result"]["remarks"]),
        }
        for row in rows
    ]  # fmt: skip
    by_student = {one["student"]: one for one in students}
    code = [source.key for source in assignment.sources if source.role == "answer"]
    answers = {row["student"]: [row["result"]["answers"].get(key, "") for key in code] for row in rows}
    return _environment().get_template("report.html").render(
        assignment=assignment, tiles=tiles, histogram=_histogram(shares), tasks=_tasks(rows, assignment),
        misconceptions=_misconceptions(rows, assignment), students=students, waiting=waiting,
        alike=[(by_student[one], by_student[other], share) for one, other, share in alike.pairs(answers)],
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
        scored = [(one["score"] or 0.0, all_ - (one["score"] or 0.0)) for one, all_ in given if not _waits(one)]
        marked = len(scored) == len(given)
        share = (
            statistics.fmean(score for score, _ in scored) / item.points if scored and item.points and marked else None
        )
        untried = sum(_untried(one) for one, _ in given)
        tried = [one["score"] for one, _ in given if one["score"] is not None and not _untried(one)]
        full, none = sum(score >= item.points for score in tried), sum(score <= 0 for score in tried)
        parts = [("full", full), ("part", len(tried) - full - none), ("none", none), ("untried", untried)]
        found.append(
            {
                "title": _title(assignment, item), "points": number(item.points),
                "bar": [(kind, round(100 * n / len(given), 2)) for kind, n in parts if n and marked],
                "says": ", ".join(f"{n} {WORDS[kind]}" for kind, n in parts if n),
                "tried": f"{round(100 * statistics.fmean(tried) / item.points)} %"
                if untried and tried and item.points and share is not None else "",
                "guarded": item.kind == "assert",
                "mean": "to mark" if share is None else f"{round(100 * share)} %",
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


def _misconceptions(rows: Rows, assignment: Assignment, most: int = 20) -> list[dict[str, Any]]:
    """What went wrong: of whom, of how many who tried, what they were told, and which sections it is about."""
    who: dict[tuple[int, str], list[dict[str, Any]]] = {}
    tried: Counter[int] = Counter()
    for row in rows:
        for at, item in enumerate(row["result"]["items"]):
            tried[at] += not _untried(item)
            if item["misconception"] and not _untried(item):
                one = {"name": row["name"], "file": quote(page_name(row)), "says": item["message"]}
                who.setdefault((at, item["misconception"]), []).append(one)
    ranked = sorted(who.items(), key=lambda one: (-len(one[1]), one[0]))[:most]
    return [
        {
            "count": len(them), "tried": tried[at], "title": _title(assignment, assignment.items[at]),
            "says": them[0]["says"], "several": len({one["says"] for one in them}) > 1,
            "sections": _sections(assignment.items[at]), "who": them,
        }
        for (at, _), them in ranked
    ]  # fmt: skip
