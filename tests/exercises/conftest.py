"""A learner of their own for every test, and the banks of answers beside the tests."""

import pytest


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    """The file in which this test's progress is kept."""
    path = tmp_path / "learner" / "progress.json"
    monkeypatch.setenv("MMTEACH_LEARNER", str(path))
    return path
