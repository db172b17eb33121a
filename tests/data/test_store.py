"""The store: embedded files are checked before use, generated data are kept safely."""

import hashlib
import json
import multiprocessing
import os
import warnings
from pathlib import Path

import pytest
import torch

from mmteach.data import store
from mmteach.data.store import DataError, asset, cache_dir, cached, checksums, damaged


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder of two embedded files with their checksums, in the place of the real one."""
    contents = {"a.png": b"picture", "b.json": b"{}"}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    (tmp_path / "SHA256.json").write_text(json.dumps(sums))
    monkeypatch.setattr(store, "FILES", tmp_path)
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


def forget():
    checksums.cache_clear()
    asset.cache_clear()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("MMTEACH_CACHE", str(folder))
    return folder


def test_every_embedded_file_is_as_it_was_built():
    forget()
    assert damaged() == []
    assert all(asset(name).is_file() for name in checksums())


def test_embedded_files_are_all_listed_and_take_less_than_12_mb():
    there = {path.name for path in store.FILES.iterdir()} - {"SHA256.json"}
    assert there == set(checksums())
    assert sum(path.stat().st_size for path in store.FILES.iterdir()) < 12e6


def test_asset_gives_the_path_of_a_good_file(files):
    assert asset("a.png") == files / "a.png"
    assert damaged() == []


def test_a_damaged_file_is_named_with_the_cure(files):
    (files / "a.png").write_bytes(b"Picture")
    found, expected = (hashlib.sha256(data).hexdigest()[:12] for data in (b"Picture", b"picture"))
    fault = f"a.png in {files} is damaged (SHA-256 {found}…, expected {expected}…)."
    assert damaged() == [fault]
    with pytest.raises(DataError) as error:
        asset("a.png")
    assert str(error.value) == f"{fault} {store.CURE}" and "git checkout -- mmteach/data/files" in store.CURE
    assert asset("b.json") == files / "b.json"


def test_a_missing_file_is_named_with_the_cure(files):
    (files / "b.json").unlink()
    assert damaged() == [f"b.json is missing from {files}."]
    with pytest.raises(DataError, match=r"b\.json is missing from .* Get it back with `git checkout"):
        asset("b.json")


def test_an_unknown_file_gets_the_list(files):
    with pytest.raises(DataError, match=r"no embedded file is called 'c'; there are \['a\.png', 'b\.json'\]"):
        asset("c")


def test_the_cache_is_where_the_variable_or_the_system_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MMTEACH_CACHE", "~/here")
    assert cache_dir() == tmp_path / "here"
    monkeypatch.setenv("MMTEACH_CACHE", "")
    import platformdirs

    assert cache_dir() == Path(platformdirs.user_cache_dir("mmteach", appauthor=False))


def test_a_value_is_made_once_and_read_afterwards(cache):
    calls = []

    def make():
        calls.append(1)
        return {"x": torch.arange(3), "words": ["a", "b"]}

    first, second = cached("set", make, size=3), cached("set", make, size=3)
    assert len(calls) == 1
    assert torch.equal(first["x"], second["x"]) and second["words"] == ["a", "b"]
    (path,) = cache.iterdir()
    assert path.name.startswith("set-") and path.suffix == ".pt"


def test_other_settings_and_names_are_other_values(cache):
    values = [
        cached("set", lambda: {"v": 1}, size=3),
        cached("set", lambda: {"v": 2}, size=4),
        cached("other", lambda: {"v": 3}, size=3),
        cached("set", lambda: {"v": 4}, size=3, seed=0),
        cached("set", lambda: {"v": 5}, seed=0, size=3),  # the order of settings does not matter
    ]
    assert [value["v"] for value in values] == [1, 2, 3, 4, 4]
    cached("set", lambda: {"v": 6}, folder=Path("x"))  # a path is a setting too
    assert cached("set", lambda: {"v": 7}, folder=Path("x"))["v"] == 6


def test_a_file_that_was_cut_short_is_made_again(cache):
    cached("set", lambda: {"v": 1})
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:50])
    assert cached("set", lambda: {"v": 2})["v"] == 2
    assert cached("set", lambda: {"v": 3})["v"] == 2


def test_a_cached_file_cannot_run_code(cache):
    cached("set", lambda: {"v": 1})
    (path,) = cache.iterdir()

    class Bad:
        def __reduce__(self):
            return os.system, ("true",)

    torch.save({"v": Bad()}, path)
    assert cached("set", lambda: {"v": 2})["v"] == 2


def test_a_folder_that_cannot_be_written_warns_and_goes_on(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match=r"could not keep set in .*cache \(.*\); it will be made again next time"):
        assert cached("set", lambda: {"v": 1})["v"] == 1


def test_a_full_disk_leaves_no_half_written_file(cache, monkeypatch):
    def full(value, file):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert cached("set", lambda: {"v": 1})["v"] == 1
    assert list(cache.iterdir()) == []


def test_an_error_while_making_is_not_hidden(cache):
    with pytest.raises(ZeroDivisionError):
        cached("set", lambda: {"v": 1 / 0})
    assert not cache.exists()


def slowly(folder, number, barrier, answers):
    os.environ["MMTEACH_CACHE"] = folder

    def make():
        barrier.wait(60)  # both are making at the same time
        return {"v": torch.full((1000,), number)}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answers.put(cached("set", make)["v"].unique().tolist())


def test_two_processes_that_start_at_once_both_get_a_whole_value(cache):
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(2), context.Queue()
    both = [context.Process(target=slowly, args=(str(cache), i, barrier, answers)) for i in (1, 2)]
    for one in both:
        one.start()
    assert sorted(answers.get(timeout=60) for _ in both) == [[1], [2]]
    for one in both:
        one.join(60)
        assert one.exitcode == 0
    assert len(list(cache.iterdir())) == 1
    assert cached("set", dict)["v"].unique().tolist() in ([1], [2])
