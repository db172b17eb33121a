"""Grades as files for other programs: nbgrader's columns, Canvas, Moodle, Gradescope, and a sheet to mark open questions.

| name          | what it writes                                                          |
|---------------|---------------------------------------------------------------------------|
| `grades`      | grades.csv: nbgrader's columns, then late days, status, a column an item   |
| `canvas`      | canvas.csv: to import into Canvas's gradebook                              |
| `moodle`      | moodle.csv: Moodle's offline grading worksheet                             |
| `gradescope`  | a student's results.json                                                   |
| `sheet`       | to_mark.csv: open questions with their answers; comes back by --marks      |
| `lms_id`      | the number that an LMS put behind a student's name                      |
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

FORMULA = re.compile(r"(^|[;\t\r\n])(?=[^\S\t\r\n]*[=+\-@]|[\t\r])")
Rows = list[dict[str, Any]]
NBGRADER = ("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
            "late_submission_penalty", "score", "max_score")  # fmt: skip


def _csv(lines: list[list[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[_safe(one) for one in line] for line in lines])
    return out.getvalue()


def _safe(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is kept a text.

    Where a spreadsheet separates by semicolons or tabs, whatever quotes there are, a cell begins in the middle of a text too.
    """
    if isinstance(value, str) and value != "-":
        return FORMULA.sub(r"\1'", value)
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
        last, comma, first = row["name"].partition(", ")
        if not comma:
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
    """canvas.csv: the ID is the number in the file's name, where Canvas made the download; else the name is the login."""
    lines: list[list[Any]] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment.name],
        ["    Points Possible", "", "", "", "", assignment.points],
    ]
    lines += [
        [row["name"], number_, "", "" if number_ else row["student"], "", row["result"]["score"]]
        for row in rows
        for number_ in [lms_id(row, "canvas")]
    ]
    return _csv(lines)


def moodle(rows: Rows, assignment: Assignment) -> str:
    """moodle.csv: the offline grading worksheet; the participant is the number in the file's name, where Moodle made it."""
    lines: list[list[Any]] = [
        ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Grade can be changed",
         "Last modified (grade)", "Feedback comments"]
    ]  # fmt: skip
    for row in rows:
        participant = lms_id(row, "moodle")
        who = f"Participant {participant}" if participant else row["student"]
        lines.append(
            [who, row["name"], "", "Submitted for grading", row["result"]["score"], assignment.points, "Yes", "-",
             _comment(row["result"])]
        )  # fmt: skip
    return _csv(lines)


def _comment(result: dict[str, Any]) -> str:
    """What a student is told in a line: a file that gave nothing says so once, and tasks without an answer share a part."""
    if result["status"] == "unreadable":
        return result["message"]
    empty = [item["id"] for item in result["items"] if item["misconception"] == "unanswered"]
    says = [
        f"{item['id']}: {item['message']}" for item in result["items"] if item["message"] and item["id"] not in empty
    ]
    says += [f"{item['id']}: {item['comment']}" for item in result["items"] if item.get("comment")]
    return "; ".join(says + [f"not answered: {', '.join(empty)}"] * bool(empty))


def lms_id(row: dict[str, Any], lms: str) -> str:
    """The number that an LMS put behind the student's name; "" where another one did, or nobody: a number of one's own
    would be some other student's."""
    found = re.search(r"_(\d+)$", row["student"])
    return found[1] if found and row.get("result", {}).get("lms", lms) == lms else ""


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
            if score is None and one["misconception"] == "unanswered":
                score = 0.0  # nothing to mark; it counts when the sheet comes back
            lines.append([row["student"], row["name"], item.id, "" if score is None else score, one.get("comment", ""),
                          item.points, answer[:5000]])  # fmt: skip
    return "\ufeff" + _csv(lines)  # spreadsheets take a text for UTF-8 only with this mark


def read_marks(path: Path, assignment: Assignment, students: set[str]) -> list[tuple[str, str, float, str]]:
    """The lines of a sheet that have points; raises ValueError with the line's number where one cannot be used."""
    most = {item.id: item.points for item in assignment.items if item.kind == "manual"}
    found = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read as a sheet of marks: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not in UTF-8: save the sheet as “CSV UTF-8”, so that names stay as they are"
        ) from error
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
