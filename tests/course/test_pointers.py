"""Where a chapter says “chapter NN, section K”, chapter NN has a section K, and the title that is quoted is its title."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {path.name[:2]: path for path in sorted((ROOT / "notebooks" / "src").glob("*.py"))}
POINTER = re.compile(r"chapter (\d\d), section (\d+)(?: “([^”]+)”)?", re.IGNORECASE)


def unwrapped(path):
    """The text with the marks of comments and the line ends taken out: a pointer may run over a line's end."""
    return " ".join(re.sub(r"^# ?", "", line) for line in path.read_text(encoding="utf-8").splitlines())


def sections(path):
    return dict(re.findall(r"^# ## (\d+) · (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE))


def unfinished():
    """Chapters of which the README does not say simply “here”: their later sections may still be to come."""
    rows = re.findall(
        r"^\| \[?(\d\d) [^|]+\|[^|]+\| ([^|]+) \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    return {number for number, state in rows if state != "here"}


@pytest.mark.parametrize("path", SOURCES.values(), ids=list(SOURCES))
def test_every_section_that_a_chapter_points_to_is_there(path):
    wrong = []
    for chapter, number, title in POINTER.findall(unwrapped(path)):
        if chapter in unfinished():
            continue
        there = sections(SOURCES[chapter]).get(number) if chapter in SOURCES else None
        if there is None or (title and there != title):
            wrong.append(f"chapter {chapter}, section {number} “{title}”: there is {there!r}")
    assert wrong == []


def test_the_last_chapter_points_into_every_other_one():
    if "07" in SOURCES:
        assert {chapter for chapter, *_ in POINTER.findall(unwrapped(SOURCES["07"]))} >= {f"0{n}" for n in range(1, 7)}
