"""Grades as files for other programs: nbgrader's columns, Canvas, Moodle, Gradescope, and a sheet to mark open questions.

| name          | what it writes                                                          |
|---------------|---------------------------------------------------------------------------|
| `grades`      | grades.csv: nbgrader's columns, then late days, status, a column an item   |
| `canvas`      | canvas.csv: to import into Canvas's gradebook                              |
| `moodle`      | moodle.csv: Moodle's offline grading worksheet                             |
| `gradescope`  | a student's results.json                                                   |
| `sheet`       | to_mark.csv: open questions with their answers; comes back by --marks      |
| `read_marks`  | that sheet, filled in                                                      |
"""

from __future__ import annotations

import csv
import datetime
import io
import math
import re
from pathlib import Path
from typing import Any

from mmteach.grading.assignment import Assignment

Rows = list[dict[str, Any]]
NBGRADER = ("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
            "late_submission_penalty", "score", "max_score")  # fmt: skip


def _csv(lines: list[list[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[_safe(one) for one in line] for line in lines])
    return out.getvalue()


def _safe(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is kept a text."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return number(value) if isinstance(value, float) else value


def number(value: float) -> str:
    """3 for 3.0, else up to four digits behind the point."""
    return f"{value:.4f}".rstrip("0").rstrip(".") or "0"


def late_days(submitted: str, due: str) -> str:
    """Whole days after `due`, begun ones counted; "" where one of the two is not known."""
    if not submitted or not due:
        return ""
    after = (datetime.datetime.fromisoformat(submitted) - _aware(due)).total_seconds()
    return str(max(0, math.ceil(after / 86400)))


def _aware(when: str) -> datetime.datetime:
    found = datetime.datetime.fromisoformat(when)
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def grades(rows: Rows, assignment: Assignment, due: str = "") -> str:
    """grades.csv."""
    items = [item.id for item in assignment.items]
    lines: list[list[Any]] = [[*NBGRADER, "late_days", "status", "message", *items]]
    for row in rows:
        first, _, last = row["name"].rpartition(" ")
        result = row["result"]
        scores = {item["id"]: item["score"] for item in result["items"]}
        lines.append(
            [assignment.name, due, row["submitted"], row["student"], last, first, "", result["score"], 0.0, result["score"],
             assignment.points, late_days(row["submitted"], due) or ("late" if row["late"] else ""), result["status"],
             result["message"], *("" if scores.get(one) is None else scores[one] for one in items)]
        )  # fmt: skip
    return _csv(lines)


def canvas(rows: Rows, assignment: Assignment) -> str:
    """canvas.csv: the ID is the number in the file's name, where Canvas made the download."""
    lines: list[list[Any]] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment.name],
        ["    Points Possible", "", "", "", "", assignment.points],
    ]
    lines += [
        [row["name"], _id(row), "", "" if _id(row) else row["student"], "", row["result"]["score"]] for row in rows
    ]
    return _csv(lines)


def moodle(rows: Rows, assignment: Assignment) -> str:
    """moodle.csv: the offline grading worksheet."""
    lines: list[list[Any]] = [
        ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Grade can be changed",
         "Last modified (grade)", "Feedback comments"]
    ]  # fmt: skip
    for row in rows:
        who = f"Participant {_id(row)}" if _id(row) else row["student"]
        says = "; ".join(f"{item['id']}: {item['message']}" for item in row["result"]["items"] if item["message"])
        lines.append(
            [who, row["name"], "", "Submitted for grading", row["result"]["score"], assignment.points, "Yes", "-", says]
        )
    return _csv(lines)


def _id(row: dict[str, Any]) -> str:
    found = re.search(r"_(\d+)$", row["student"])
    return found[1] if found else ""


def gradescope(row: dict[str, Any]) -> dict[str, Any]:
    """What Gradescope reads: a test an item."""
    result = row["result"]
    tests = []
    for item in result["items"]:
        test: dict[str, Any] = {
            "name": item["task"] or item["id"],
            "max_score": item["points"],
            "output": item["message"],
        }
        if item["score"] is not None:
            test |= {"score": item["score"], "status": "passed" if item["score"] >= item["points"] else "failed"}
        tests.append(test)
    return {"score": result["score"], "visibility": "visible", "output": result["message"], "tests": tests,
            "extra_data": {"status": result["status"], "remarks": result["remarks"]}}  # fmt: skip


SHEET = ["student", "name", "item", "points", "comment", "out_of", "answer"]


def sheet(rows: Rows, assignment: Assignment) -> str:
    """to_mark.csv: a line for each open question that waits for a human; fill in `points`, perhaps `comment`."""
    asked = [item for item in assignment.items if item.kind == "manual"]
    lines: list[list[Any]] = [SHEET]
    for row in rows:
        given = {item["id"]: item for item in row["result"]["items"]}
        for item in asked:
            one = given.get(item.id, {})
            score = one.get("score")
            answer = row["result"]["answers"].get(item.id, "")
            lines.append([row["student"], row["name"], item.id, "" if score is None else score, one.get("comment", ""),
                          item.points, answer[:5000]])  # fmt: skip
    return _csv(lines)


def read_marks(path: Path, assignment: Assignment, students: set[str]) -> list[tuple[str, str, float, str]]:
    """The lines of a sheet that have points; raises ValueError with the line's number where one cannot be used."""
    most = {item.id: item.points for item in assignment.items if item.kind == "manual"}
    found = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a sheet of marks: {error}") from error
    first = text.splitlines()[0] if text.strip() else ""
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    if not {"student", "item", "points"} <= set(reader.fieldnames or []):
        raise ValueError(f"{path} needs the columns student, item and points, as to_mark.csv has them")
    for at, line in enumerate(reader, 2):
        given = (line["points"] or "").strip().replace(",", ".")
        if not given:
            continue
        student, item = line["student"], line["item"]
        student = student[1:] if student not in students and student.startswith("'") else student
        if student not in students or item not in most:
            what = f"student {student!r}" if student not in students else f"open question {item!r}"
            raise ValueError(f"{path}, line {at}: there is no {what}")
        try:
            points = float(given)
        except ValueError:
            raise ValueError(f"{path}, line {at}: {given!r} is no number of points") from None
        if not 0 <= points <= most[item]:
            raise ValueError(f"{path}, line {at}: {given} points, and {item!r} has {number(most[item])} at most")
        found.append((student, item, points, (line.get("comment") or "")[:2000]))
    return found
