"""Recipes: tables made once, a seed at a time, and read with a word on how they were made."""

import json
import os

import pytest
import torch

from mmteach import recipes
from mmteach.recipes import Recipe, make, recipe, stored
from mmteach.recipes import fusion as chapter


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A recipe that takes no time, among those of the chapter, and an empty folder of results."""
    asked = []

    def run(seed):
        asked.append(seed)
        return {"a": {"score": seed / 10, "drawn": torch.rand(()).item()}, "b": {"score": 1.0}}

    monkeypatch.setattr(recipes, "CHAPTERS", ("fusion",))
    monkeypatch.setattr(chapter, "RECIPES", [Recipe("tiny", "Two models and nothing to learn", run)])
    monkeypatch.setattr(recipes, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("MMTEACH_SCALE", "smoke")
    return asked


def rows(path):
    return json.loads(path.read_text(encoding="utf-8"))["rows"]


def test_every_recipe_has_a_name_of_its_own_and_says_what_it_measures():
    names = [one.name for one in recipes.recipes()]
    assert len(set(names)) == len(names) > 0
    for one in recipes.recipes():
        assert recipe(one.name) is one and len(one.says) > 20 and not one.says.endswith(".")


def test_an_unknown_name_is_answered_with_the_names(tiny):
    for asks in (recipe, stored, lambda name: make(name, [0])):
        with pytest.raises(ValueError, match=r"no recipe is called 'tinny'; there are tiny"):
            asks("tinny")


def test_make_stores_a_row_a_model_and_seed_and_what_made_it(tiny, tmp_path, capsys):
    path = make("tiny", [0, 4])
    assert path == tmp_path / "results" / "tiny.json" and [p.name for p in path.parent.iterdir()] == ["tiny.json"]
    table = json.loads(path.read_text(encoding="utf-8"))
    assert [(row["model"], row["seed"], row["score"]) for row in table["rows"]] == [
        ("a", 0, 0.0), ("b", 0, 1.0), ("a", 4, 0.4), ("b", 4, 1.0),
    ]  # fmt: skip
    assert table["recipe"] == "tiny" and table["says"] == "Two models and nothing to learn"
    assert table["scale"] == "smoke" and table["command"] == "mmteach train tiny --scale smoke --seeds 2"
    assert table["torch"] == torch.__version__ and path.stat().st_mode & 0o777 == 0o644
    assert capsys.readouterr().out.splitlines() == [f"tiny: seed {s} in 0 s → {path}" for s in (0, 4)]


def test_each_seed_seeds_the_random_numbers(tiny, tmp_path):
    one, other = make("tiny", [3], tmp_path / "1.json"), make("tiny", [9, 3], tmp_path / "2.json")
    assert rows(one)[0]["drawn"] == rows(other)[2]["drawn"] != rows(other)[0]["drawn"]


def test_the_table_is_there_after_each_seed_so_that_a_run_can_go_on(tiny, tmp_path, monkeypatch):
    def cut(seed):
        if seed == 1:
            raise KeyboardInterrupt
        return {"a": {"score": seed / 10}}

    whole = chapter.RECIPES
    monkeypatch.setattr(chapter, "RECIPES", [Recipe("tiny", "The same, cut short", cut)])
    out = tmp_path / "new folder" / "t.json"
    with pytest.raises(KeyboardInterrupt):
        make("tiny", [0, 1], out)
    assert [row["seed"] for row in rows(out)] == [0]
    monkeypatch.setattr(chapter, "RECIPES", whole)
    assert make("tiny", [0, 1], str(out), resume=True) == out
    assert tiny == [1] and [row["seed"] for row in rows(out)] == [0, 1, 1]
    make("tiny", [2], out)  # without resume it begins again
    assert [row["seed"] for row in rows(out)] == [2, 2]


def test_resume_without_a_file_begins(tiny, tmp_path):
    assert len(rows(make("tiny", [0], tmp_path / "t.json", resume=True))) == 2


def test_a_table_of_another_scale_is_not_gone_on_with_and_a_stored_one_not_replaced(tiny, tmp_path, monkeypatch):
    path, out = make("tiny", [0]), make("tiny", [0], tmp_path / "t.json")
    monkeypatch.setenv("MMTEACH_SCALE", "laptop")
    for settings in ({"out": out, "resume": True}, {"resume": True}, {}):
        with pytest.raises(ValueError, match=r"was made at scale smoke, not laptop: give another file with --out"):
            make("tiny", [1], **settings)
    assert [row["seed"] for row in rows(path)] == [0, 0]
    make("tiny", [1], out)
    assert [row["seed"] for row in rows(out)] == [1, 1]


@pytest.mark.parametrize("words", [b"not json", b"\xff\xfe\x00", b"[1, 2]", b"3", b'[{"rows": 1}]', b'{"rows": []}'])
def test_a_file_that_is_no_table_is_named(words, tiny, tmp_path):
    path = tmp_path / "results" / "tiny.json"
    path.parent.mkdir()
    path.write_bytes(words)
    for asks in (lambda: stored("tiny"), lambda: make("tiny", [0], resume=True)):
        with pytest.raises(ValueError, match=r"tiny\.json holds no table of results: delete it and make it again"):
            asks()
    assert path.read_bytes() == words and tiny == []


def test_what_cannot_be_written_is_refused_before_the_first_seed(tiny, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=r"no file can be written in .*file \(.*\): give another --out"):
        make("tiny", [0], tmp_path / "file" / "t.json")
    with pytest.raises(ValueError, match="is a folder: name a file"):
        make("tiny", [0], tmp_path)
    with pytest.raises(ValueError, match="at least one seed, got none"):
        make("tiny", [])
    assert tiny == []


def test_writing_that_fails_leaves_the_table_alone(tiny, tmp_path, monkeypatch):
    out = make("tiny", [0], tmp_path / "t.json")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        make("tiny", [1], out)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["t.json"] and [r["seed"] for r in rows(out)] == [
        0,
        0,
    ]


def test_under_torchrun_the_first_process_writes(tiny, tmp_path, monkeypatch):
    from mmteach.training import parallel

    monkeypatch.setattr(parallel, "is_first", lambda: False)
    assert not make("tiny", [0], tmp_path / "t.json").exists() and tiny == [0]


def test_stored_gives_the_table_and_says_how_it_was_made(tiny):
    make("tiny", [0, 1])
    table, says = stored("tiny")
    assert list(table.columns) == ["model", "seed", "score", "drawn"] and len(table) == 4
    assert says.startswith(
        "Two models and nothing to learn. Made by `mmteach train tiny --scale smoke --seeds 2` on 20"
    )
    assert says.endswith(f", PyTorch {torch.__version__}.")


def test_a_table_that_has_not_been_made_says_how_to_make_it(tiny):
    with pytest.raises(FileNotFoundError, match=r"the table 'tiny' has not been made yet: mmteach train tiny"):
        stored("tiny")


def test_each_modality_alone_has_its_encoder_and_the_dense_layers_of_the_classic_model():
    from mmteach.encoders import TextLSTM
    from mmteach.fusion import ClassicFusion

    model = chapter.alone(TextLSTM(20), "text")
    whole = ClassicFusion(image_size=48, vocabulary=20)
    assert [p.shape for p in model.head.parameters()][1:] == [p.shape for p in whole.head.parameters()][1:]
    assert model({"text": torch.ones(3, 5, dtype=torch.long)}).shape == (3,)
