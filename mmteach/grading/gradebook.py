"""The gradebook: one SQLite file, one transaction a submission, and the same bytes again whatever interrupted it.

| name        | what it is                                                                   |
|-------------|--------------------------------------------------------------------------------|
| `Gradebook` | open, look up, write; `dump` gives everything but times, in the order of keys  |

Only the coordinator opens it. A row says which bytes it was graded from, and against which assignment and seed; where
one of them has changed the row is out of date, and is graded again.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from pathlib import Path
from typing import Any

FORM = 1
TABLES = """
CREATE TABLE IF NOT EXISTS assignment (
    name TEXT PRIMARY KEY, seed INTEGER NOT NULL, digest TEXT NOT NULL, plain TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS submission (
    assignment TEXT NOT NULL, student TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, submitted TEXT NOT NULL,
    late INTEGER NOT NULL, bytes TEXT NOT NULL, digest TEXT NOT NULL, result TEXT NOT NULL, seconds TEXT NOT NULL,
    PRIMARY KEY (assignment, student));
CREATE TABLE IF NOT EXISTS mark (
    assignment TEXT NOT NULL, student TEXT NOT NULL, item TEXT NOT NULL, points REAL NOT NULL, comment TEXT NOT NULL,
    PRIMARY KEY (assignment, student, item));
CREATE TABLE IF NOT EXISTS due (assignment TEXT PRIMARY KEY, date TEXT NOT NULL);
"""


class GradebookError(ValueError):
    """The gradebook cannot be used; the message says why and what to do."""


class Gradebook:
    """The file at `path`, made where there is none. Raises GradebookError for a folder or file that cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(path, timeout=10, isolation_level=None)
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = NORMAL")
            form = self.db.execute("PRAGMA user_version").fetchone()[0]
            if form not in (0, FORM):
                raise GradebookError(
                    f"{path} was written by another version of mmteach (form {form}, this one has {FORM})"
                )
            self.db.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {FORM}; COMMIT;")
        except (OSError, sqlite3.Error) as error:
            raise GradebookError(f"the gradebook {path} cannot be written: {error}") from error

    def close(self) -> None:
        self.db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self.db.execute("ROLLBACK")
            raise GradebookError(
                f"the gradebook {self.path} cannot be written: {error}. What was graded so far is in it; make room and start "
                "again"
            ) from error

    def seed(self, name: str, digest: str, plain: dict[str, Any], wanted: int | None) -> int:
        """The seed of an assignment, drawn when it is graded for the first time, and its contents as of now."""
        row = self.db.execute("SELECT seed FROM assignment WHERE name = ?", (name,)).fetchone()
        seed = wanted if wanted is not None else row[0] if row else secrets.randbelow(2**31)
        with self._transaction():
            self.db.execute(
                "INSERT OR REPLACE INTO assignment VALUES (?, ?, ?, ?)",
                (name, seed, digest, json.dumps(plain, sort_keys=True)),
            )
        return seed

    def due(self, name: str, wanted: str) -> str:
        """The date that an assignment is due, as it was said last."""
        if wanted:
            with self._transaction():
                self.db.execute("INSERT OR REPLACE INTO due VALUES (?, ?)", (name, wanted))
        row = self.db.execute("SELECT date FROM due WHERE assignment = ?", (name,)).fetchone()
        return row[0] if row else ""

    def graded(self, assignment: str) -> dict[str, tuple[str, str]]:
        """By student, (digest of the bytes, digest of everything else) that the row was made from."""
        rows = self.db.execute("SELECT student, bytes, digest FROM submission WHERE assignment = ?", (assignment,))
        return {student: (data, digest) for student, data, digest in rows}

    def write(self, assignment: str, who: dict[str, Any], data: str, digest: str, result: dict[str, Any]) -> None:
        """Put a submission's result in, in one transaction; what takes time to measure goes into a column of its own."""
        items = [{k: v for k, v in item.items() if k != "seconds"} for item in result["items"]]
        kept = {k: v for k, v in result.items() if k != "seconds"} | {"items": items}
        seconds = {"all": result["seconds"], "items": {item["id"]: item["seconds"] for item in result["items"]}}
        values = (
            assignment,
            who["student"],
            who["name"],
            who["file"],
            who["submitted"],
            int(who["late"]),
            data,
            digest,
        )
        with self._transaction():
            self.db.execute(
                "INSERT OR REPLACE INTO submission VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, json.dumps(kept, sort_keys=True), json.dumps(seconds)),
            )

    def mark(self, assignment: str, marks: list[tuple[str, str, float, str]]) -> None:
        """Put in what a human gave: (student, item, points, comment) each, all or none."""
        with self._transaction():
            self.db.executemany(
                "INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?, ?)", [(assignment, *one) for one in marks]
            )

    def rows(self, assignment: str) -> list[dict[str, Any]]:
        """Every submission with its result, marks by hand put in, in the order of the students."""
        marks: dict[tuple[str, str], tuple[float, str]] = {
            (student, item): (points, comment)
            for student, item, points, comment in self.db.execute(
                "SELECT student, item, points, comment FROM mark WHERE assignment = ?", (assignment,)
            )
        }
        columns = ("student", "name", "file", "submitted", "late", "result", "seconds")
        found = []
        for row in self.db.execute(
            f"SELECT {', '.join(columns)} FROM submission WHERE assignment = ? ORDER BY student", (assignment,)
        ):
            one = dict(zip(columns, row))
            result, seconds = json.loads(one.pop("result")), json.loads(one.pop("seconds"))
            for item in result["items"]:
                given = marks.get((one["student"], item["id"]))
                if given:
                    item |= {"score": given[0], "comment": given[1], "status": "ok", "message": "", "misconception": ""}
                item["seconds"] = seconds["items"].get(item["id"], 0.0)
            result["score"] = sum(item["score"] or 0.0 for item in result["items"])
            found.append(one | {"late": bool(one["late"]), "result": result, "seconds": seconds["all"]})
        return found

    def dump(self) -> str:
        """Everything but the times, as JSON in the order of keys: equal bytes mean equal grades."""
        tables = {
            "assignment": "SELECT name, seed, digest FROM assignment ORDER BY name",
            "submission": "SELECT assignment, student, name, file, submitted, late, bytes, digest, result FROM submission "
            "ORDER BY assignment, student",
            "mark": "SELECT * FROM mark ORDER BY assignment, student, item",
        }
        found = {name: [list(row) for row in self.db.execute(query)] for name, query in tables.items()}
        return json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
