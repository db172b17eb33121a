"""A small course in a folder of its own, so that the commands can be tried without waiting for the real chapters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GREETING = """\
# %% [markdown]
# # Start here
#
# Hello.

# %%
from mmteach import claim, seeds

total = sum([1, 2, 3])
print("total", total)

# %% tags=["measured"]
claim("start.total", total, at_least=6, says="One, two and three are six")
claim("start.seed", seeds(1)[0], at_most=2500, says="The seed is small")
"""
RAISES = """\
# %% [markdown]
# # A chapter with a bug

# %%
print("before")

# %%
# a comment first
numbers = [1, 2]
print(numbers[5])

# %%
print("never reached")
"""


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """The folder of a course with the source of one chapter, 00_start, and no notebook yet."""
    root = tmp_path / "course"
    (root / "notebooks" / "src").mkdir(parents=True)
    (root / "notebooks" / "src" / "00_start.py").write_text(GREETING)
    monkeypatch.setenv("MMTEACH_COURSE", str(root))
    monkeypatch.setenv("MMTEACH_SCALE", "laptop")
    monkeypatch.delenv("MMTEACH_DEBUG", raising=False)
    return root


@pytest.fixture(scope="session")
def greeting(tmp_path_factory) -> str:
    """The notebook that `mmteach build` makes of GREETING, executed once for all tests."""
    root = tmp_path_factory.mktemp("greeting")
    (root / "notebooks" / "src").mkdir(parents=True)
    (root / "notebooks" / "src" / "00_start.py").write_text(GREETING)
    environment = {**os.environ, "MMTEACH_COURSE": str(root), "MMTEACH_SCALE": "laptop"}
    subprocess.run([sys.executable, "-m", "mmteach.cli", "build"], check=True, env=environment)
    return (root / "notebooks" / "00_start.ipynb").read_text(encoding="utf-8")


@pytest.fixture
def built(course, greeting) -> Path:
    """The course's one notebook, up to date with its source."""
    path = course / "notebooks" / "00_start.ipynb"
    path.write_text(greeting, encoding="utf-8")
    return path


@pytest.fixture
def add(course):
    """Write another chapter's source: add("01_raises", text)."""

    def write(name: str, text: str = RAISES) -> Path:
        path = course / "notebooks" / "src" / f"{name}.py"
        path.write_text(text)
        return path

    return write
