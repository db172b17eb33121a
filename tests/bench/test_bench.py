"""The benchmarks run at smoke size and give whole tables; what is timed is not judged here."""

import json
import math

import pytest
import torch

from mmteach import bench
from mmteach.bench import classic, goals, gpu, grading, measure, methods, notebooks, report, startup, training
from mmteach.cli import main
from mmteach.course.paths import find_course
from mmteach.training import fit


@pytest.fixture(autouse=True)
def smoke(monkeypatch):
    monkeypatch.setenv("MMTEACH_SCALE", "smoke")


def well_formed(table):
    """A title, a sentence, and rows in which every number is a positive or zero, finite one."""
    assert table.title and table.says.endswith(".")
    for row in table.rows:
        for column, cell in row.items():
            assert cell is None or isinstance(cell, str) or (math.isfinite(cell) and cell >= 0), (column, cell)
    return table


def test_rivals_take_turns_and_each_round_gives_a_ratio():
    order = []
    rivals = {name: lambda name=name: order.append(name) or float(len(order)) for name in "abc"}
    times = measure.alternate(rivals, 2)
    assert "".join(order) == "abccba" and times == {"a": [1.0, 6.0], "b": [2.0, 5.0], "c": [3.0, 4.0]}
    compared = measure.against([1.0, 2.0, 1.0], [2.0, 8.0, 3.0])
    assert (compared["rival / ours"], compared["lowest"], compared["highest"]) == (3.0, 2.0, 4.0)


def test_a_step_is_repeated_until_it_lasts():
    calls = []
    seconds = measure.timed(lambda: calls.append(1), least=0.01)
    before = len(calls)
    assert before == 2, "once to begin, once to see how long it takes"
    assert 0 < seconds() < 0.01 and len(calls) > before + 10


def test_operations_of_a_convolution_are_counted():
    layer, x = torch.nn.Conv2d(3, 5, 3), torch.zeros(2, 3, 6, 6)
    assert measure.flops(lambda: layer(x)) == 2 * 2 * 5 * 4 * 4 * 3 * 9


def test_a_page_has_a_line_a_row_and_a_dash_where_nothing_was_measured():
    table = report.Table("T", "How.", [{"who": "a", "ms": 1.5}, {"who": "b|c", "ms": None, "more": 2000}])
    page = report.markdown("s", [table], {"date": "today"})
    assert page.splitlines()[-6:] == [
        "How.",
        "",
        "| who | ms | more |",
        "| --- | --: | --: |",
        "| a | 1.5 | – |",
        "| b\\|c | – | 2,000 |",
    ]
    assert "- date: today" in page


def test_the_methods(monkeypatch):
    tables = [well_formed(table) for table in methods.tables()]
    what = {row["what"] for table in tables[:4] for row in table.rows}
    assert {"Concat", "MultiHeadAttention", "clip_loss", "upgrad", "recall_at_k"} <= what
    assert {row["loss"] for row in tables[4].rows} == {"clip_loss", "clip_loss_chunked", "F.cross_entropy, twice"}


def test_rivals_of_fusions_have_our_parameters(monkeypatch):
    monkeypatch.setattr(methods, "_learn", lambda module, *inputs: sum(p.numel() for p in module.parameters()))
    compared = {what: (ours, theirs) for what, ours, _, theirs in methods.fusions() if theirs is not None}
    assert len(compared) == 8
    for what, (ours, theirs) in compared.items():
        assert abs(ours - theirs) <= 0.1 * ours, (what, ours, theirs)


def test_rivals_of_losses_have_our_gradients():
    torch.manual_seed(0)
    image, text = (torch.nn.functional.normalize(torch.randn(6, 4), dim=1).requires_grad_() for _ in range(2))
    compared = [one for one in methods.loss_pairs(image, text) if one[3] is not None]
    assert len(compared) == 4
    for what, ours, _, theirs in compared:
        ours_, theirs_ = (torch.autograd.grad(loss(), image)[0] for loss in (ours, theirs))
        torch.testing.assert_close(ours_, theirs_, msg=lambda said, what=what: f"{what}: {said}")


@pytest.mark.full
def test_the_classic_model_against_keras():
    pytest.importorskip("keras", reason="the extra `tools` is not installed")
    steps, learning = (well_formed(table) for table in classic.tables())
    assert {row["who"] for row in steps.rows} >= {"mmteach", "keras on torch"}
    assert [row["times ours"] for row in steps.rows if row["who"] == "mmteach"] == [1.0, 1.0]
    assert all(0 <= row["reached AUC"] <= 1 for row in learning.rows) and len(learning.rows) == len(steps.rows)


def test_the_chapters_models_and_seeds_at_once():
    models, seeds = well_formed(training.chapters()), well_formed(training.seeds())
    assert {row["model"] for row in models.rows} == {"01 digits seen and heard", "05 two digits"}
    assert len(seeds.rows) == 3


@pytest.mark.full
@pytest.mark.parametrize("name", training.MODELS)
def test_every_chapters_model_takes_a_step_on_its_data(name):
    one = training.MODELS[name]()
    assert len(one.train) >= one.batch
    history = fit(one.model, one.train, loss=one.loss, augment=one.augment, steps=1, batch_size=8, progress=False)
    assert history[-1]["train_loss"] > 0


def test_seeds_at_once_take_the_steps_that_they_take_in_turn():
    torch.manual_seed(0)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
    models = [torch.nn.Linear(6, 3) for _ in range(2)]
    start = [model.weight.detach().clone() for model in models]
    at_once, weights = training._stacked(models, x, y)
    at_once()
    training._in_turn(models, x, y)()
    for own, model, before in zip(weights["weight"], models, start):
        assert not torch.equal(model.weight, before)
        torch.testing.assert_close(own, model.weight.detach())


@pytest.mark.full
def test_two_processes():
    (row,) = well_formed(training.processes()).rows
    assert row["one, ms"] > 0 and row["two, ms"] > 0


def test_what_comes_before_a_chapter():
    assert well_formed(startup.table()).rows[0]["what"] == "python alone"


@pytest.mark.full
def test_a_chapter():
    *rows, total = well_formed(notebooks.chapters(find_course())).rows
    assert [row["ran"] for row in rows] == ["yes"] and total["wall, s"] == rows[0]["wall, s"]
    assert rows[0]["CPU, s"] > 0.5 and rows[0]["peak memory, MB"] > 50


@pytest.mark.full
def test_a_class():
    (table,) = grading.tables()
    assert well_formed(table).rows[-1]["exercise"] == "all" and table.rows[-1]["submissions"] == 2


def test_without_a_gpu_it_says_so_and_a_toy_runs_anywhere(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (table,) = gpu.tables()
    assert "no GPU" in table.says and table.rows == []
    monkeypatch.setattr(gpu.torch, "compile", lambda model: model)
    rows = well_formed(gpu.dual_encoder(gpu.sizes(), torch.device("cpu"))).rows
    assert [row["who"] for row in rows][:2] == ["ours", "ours, compiled"] and rows[0]["images a second"] > 0


def test_the_command_writes_pages_and_data_and_nothing_at_smoke_scale_by_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", "gpu", "--out", str(tmp_path), "--json", str(tmp_path / "all.json")]) == 0
    assert "# Benchmark: gpu" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.json", "goals.md", "gpu.json", "gpu.md"]
    assert "| mmteach bench gpu | ≥ 45 | – | not measured |" in (tmp_path / "goals.md").read_text()
    made = json.loads((tmp_path / "gpu.json").read_text())["made"]
    assert made["command"] == "mmteach bench gpu at scale smoke" and "torch" in made["versions"]
    page = find_course().root / "benchmarks" / "gpu.md"
    before = page.read_bytes() if page.exists() else None
    assert main(["bench", "gpu"]) == 0
    assert (page.read_bytes() if page.exists() else None) == before


def test_goals_are_held_against_the_worst_figure_of_the_last_run(tmp_path):
    def kept(suite, title, *rows):
        table = {"title": title, "says": "", "rows": rows}
        (tmp_path / f"{suite}.json").write_text(json.dumps({"made": {"date": "2026-01-02"}, "tables": [table]}))

    kept(
        "classic",
        "A training step at 64 × 64",
        {"who": "mmteach", "precision": "bf16", "times ours": 1.0},
        {"who": "keras on torch", "precision": "bf16", "times ours": 3.5},
        {"who": "keras on jax", "precision": "bf16", "times ours": 2.5},
        {"who": "keras on torch", "precision": "fp32", "times ours": 1.25, "times ours in bf16": 3.25},
    )
    kept("methods", "Losses", {"rival": "a", "rival / ours": 0.95}, {"rival": "none known"})
    page = goals.page(tmp_path)
    assert "| ≥ 3 | 2.5 | no | 2026-01-02 |" in page and "| ≥ 1 | 1.25 | yes | 2026-01-02 |" in page
    assert "| losses: rival / ours, the slowest | mmteach bench methods | ≥ 0.9 | 0.95 | yes |" in page
    assert "| fusions: rival / ours, the slowest | mmteach bench methods | ≥ 0.9 | – | not measured |" in page
    assert page.count("not measured") == len(goals.GOALS) - 4


@pytest.mark.parametrize(("words", "said"), [
    (["fast"], "no suite is called 'fast'; there are classic, methods"),
    (["gpu", "--out", "/nowhere/at/all"], "there is no folder /nowhere/at/all"),
])  # fmt: skip
def test_what_cannot_be_measured_is_refused_before_anything_is(words, said, capsys):
    assert main(["bench", *words]) == 2
    assert said in capsys.readouterr().err


def test_every_suite_has_tables_and_its_place_in_the_readme():
    readme = (find_course().root / "benchmarks" / "README.md").read_text(encoding="utf-8")
    for name in bench.SUITES:
        assert callable(bench.importlib.import_module(f"mmteach.bench.{name}").tables)
        assert f"mmteach bench {name}" in readme
