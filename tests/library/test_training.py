"""The training loop: what it promises about weights, seeds, checkpoints, stopping and bad input."""

import signal
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmteach.alignment import clip_loss
from mmteach.data.batch import Batch, Splits
from mmteach.training import (
    classify,
    detect,
    fit,
    gather,
    over_seeds,
    pick_device,
    precision_for,
    predict,
    small_precision,
    summary,
)
from mmteach.training import loop as training_loop


class Net(nn.Module):
    """A small network with dropout, so that the state of the random generator matters."""

    def __init__(self, seed=0, outputs=2):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, outputs))

    def forward(self, inputs, masks=None, present=None):
        return self.layers(inputs["x"])


def data(n=240):
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(1))
    return Batch({"x": x}, {"label": (x[:, 0] * x[:, 1] > 0).long()})


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_one_step_is_adams_step():
    model, batch = Net(), data(8)
    model.layers[2].p = 0.0
    expected = Net()
    expected.layers[2].p = 0.0
    optimizer = torch.optim.Adam(expected.parameters(), lr=0.01)
    nn.functional.cross_entropy(expected(batch.inputs), batch.targets["label"]).backward()
    optimizer.step()
    fit(model, batch, loss=classify(), steps=1, batch_size=8, lr=0.01, precision="fp32")
    torch.testing.assert_close(weights(model), weights(expected))


def test_learns_and_reports_every_epoch():
    batch = data(400)
    model = Net()
    history = fit(model, batch[:320], batch[320:], loss=classify(), epochs=30, lr=0.01, metric=accuracy)
    assert len(history) == 30 and history[-1]["step"] == 300 and history.stopped == "all epochs"
    assert history[-1]["valid_accuracy"] > 0.85 > history[0]["valid_accuracy"]
    assert history.column("train_loss")[0] > history.column("train_loss")[-1]
    assert list(history.frame().columns) == ["epoch", "step", "train_loss", "valid_loss", "valid_accuracy", "seconds"]
    assert not model.training and not any(p.grad is not None and p.grad.isnan().any() for p in model.parameters())


def accuracy(model, split):
    return {"accuracy": (predict(model, split).argmax(1) == split.targets["label"]).float().mean().item()}


def test_the_training_loss_is_the_mean_over_all_examples_of_the_epoch():
    batch, model = data(10), Net()
    model.layers[2].p = 0.0
    expected = classify()(model, batch).item()
    history = fit(model, batch, loss=classify(), epochs=1, batch_size=4, lr=1e-12, precision="fp32")
    assert history[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    runs = []
    for seed in (0, 0, 1):
        model = Net()
        fit(model, data(), loss=classify(), epochs=2, seed=seed)
        runs.append(weights(model))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_training_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model = nn.Linear(1, 1)  # uses two numbers
    torch.manual_seed(5)
    fit(_Wrap(model), Batch({"x": torch.rand(4, 1, generator=torch.Generator())}), loss=_square, epochs=1)
    assert torch.equal(torch.rand(3), expected)


class _Wrap(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, inputs, masks=None, present=None):
        return self.layer(inputs["x"])


def _square(model, batch):
    return model(batch.inputs).square().mean()


@pytest.mark.parametrize("monitor", [None, "valid_loss"])
def test_a_run_cut_short_and_resumed_ends_with_the_very_same_weights(tmp_path, monkeypatch, monitor):
    batch = data()
    settings = dict(loss=classify(), epochs=4, lr=0.01, schedule="cosine", warmup=0.1, monitor=monitor, progress=False)
    whole = Net()
    undisturbed = fit(whole, batch[:200], batch[200:], **settings)

    calls = 0

    def dies(order):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return real(order)

    real = training_loop.parallel.total
    monkeypatch.setattr(training_loop.parallel, "total", dies)
    cut = Net()
    with pytest.raises(KeyboardInterrupt):
        fit(cut, batch[:200], batch[200:], checkpoint=tmp_path / "run.pt", **settings)
    monkeypatch.undo()
    resumed = Net(seed=99)  # whatever its weights were, the checkpoint's count
    history = fit(resumed, batch[:200], batch[200:], checkpoint=tmp_path / "run.pt", resume=True, **settings)
    assert torch.equal(weights(resumed), weights(whole))
    assert history.column("train_loss") == undisturbed.column("train_loss")
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def test_a_checkpoint_of_another_model_is_refused_and_kept(tmp_path):
    fit(Net(), data(), loss=classify(), epochs=1, checkpoint=tmp_path / "run.pt")
    before = (tmp_path / "run.pt").read_bytes()
    with pytest.raises(ValueError, match="does not fit this run"):
        fit(Net(outputs=3), data(), loss=classify(), epochs=2, checkpoint=tmp_path / "run.pt", resume=True)
    assert (tmp_path / "run.pt").read_bytes() == before


def test_resume_without_a_checkpoint_starts_afresh(tmp_path):
    history = fit(Net(), data(), loss=classify(), epochs=1, checkpoint=tmp_path / "run.pt", resume=True)
    assert len(history) == 1 and (tmp_path / "run.pt").exists()


def test_the_best_epoch_is_given_back_and_patience_stops():
    scores = iter([0.1, 0.9, 0.3, 0.2, 0.5])
    kept = []

    def metric(model, split):
        kept.append(weights(model).clone())
        return {"score": next(scores)}

    model = Net()
    history = fit(
        model,
        data(),
        data(),
        loss=classify(),
        epochs=9,
        metric=metric,
        monitor="valid_score",
        higher_is_better=True,
        patience=2,
    )
    assert history.best == 1 and len(history) == 4 and history.stopped == "no better for 2 epochs"
    assert torch.equal(weights(model), kept[1])


def test_without_a_monitor_the_last_weights_stay():
    losses = iter([1.0, 5.0])
    kept = []

    def metric(model, split):
        kept.append(weights(model).clone())
        return {"score": next(losses)}

    model = Net()
    history = fit(model, data(), data(), loss=classify(), epochs=2, metric=metric)
    assert history.best is None and torch.equal(weights(model), kept[-1])


def test_steps_end_the_run_in_the_middle_of_an_epoch():
    history = fit(Net(), data(100), loss=classify(), steps=6, batch_size=25)
    assert history.column("step") == [4, 6]


def test_each_example_is_seen_once_an_epoch_in_a_new_order():
    seen = []

    def loss(model, batch):
        seen.append(batch.inputs["x"][:, 0].long())
        return model(batch.inputs).square().mean()

    x = torch.arange(10.0)[:, None].repeat(1, 4)
    fit(Net(), Batch({"x": x}), loss=loss, epochs=2, batch_size=4)
    assert [len(s) for s in seen] == [4, 4, 2, 4, 4, 2]
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert first.tolist() != second.tolist() and first.tolist() != list(range(10))


def test_warmup_rises_and_cosine_falls_to_zero():
    rate = training_loop._rate("cosine", 0.2, 10)
    assert rate(0) == 0.5 and rate(1) == 1.0 and rate(2) == 1.0
    assert rate(6) == pytest.approx(0.5) and rate(10) == pytest.approx(0.0)
    constant = training_loop._rate("constant", 0.0, 10)
    assert constant(0) == constant(9) == 1.0


def test_losses_of_several_tasks_are_added_or_handed_to_backward():
    def two(model, batch):
        value = model(batch.inputs).square().mean()
        return {"a": value, "b": 3 * value}

    def one(model, batch):
        return 4 * model(batch.inputs).square().mean()

    def backward(losses, model):
        assert list(losses) == ["a", "b"]
        (losses["a"] + losses["b"]).backward()

    results = []
    for loss, hook in ((two, None), (one, None), (two, backward)):
        model = Net()
        fit(model, data(), loss=loss, epochs=1, backward=hook, precision="fp32")
        results.append(weights(model))
    torch.testing.assert_close(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_augmentation_meets_training_batches_only():
    def shift(batch):
        return Batch({"x": batch.inputs["x"] + 100}, batch.targets)

    seen = []

    def loss(model, batch):
        seen.append((model.training, bool((batch.inputs["x"] > 50).all())))
        return model(batch.inputs).square().mean()

    fit(Net(), data(32), data(32), loss=loss, epochs=1, augment=shift)
    assert seen == [(True, True), (False, False)]


def test_weight_decay_shrinks_matrices_and_leaves_biases():
    groups = training_loop._optimizer(Net(), 0.1, 0.5).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(2, 0.5), (2, 0.0)]


def test_clipping_bounds_the_gradient():
    norms = []

    def backward(losses, model):
        (1000 * losses["loss"]).backward()
        norms.append(model)

    model = Net()
    fit(model, data(32), loss=classify(), steps=1, backward=backward, clip_norm=0.5, precision="fp32")
    total = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    assert total.item() == pytest.approx(0.5, rel=1e-3)


def test_detect_is_binary_cross_entropy_of_one_logit():
    class Logit(nn.Module):
        def forward(self, inputs, masks=None, present=None):
            return inputs["x"]

    batch = Batch({"x": torch.tensor([0.0, 2.0])}, {"label": torch.tensor([1, 0])})
    expected = (torch.log(torch.tensor(2.0)) + torch.log1p(torch.exp(torch.tensor(2.0)))) / 2
    assert detect()(Logit(), batch).item() == pytest.approx(expected.item(), rel=1e-6)


def test_predict_keeps_order_and_training_mode():
    model, batch = Net(), data(10)
    model.train()
    outputs = predict(model, batch, batch_size=3)
    assert model.training and outputs.shape == (10, 2)
    model.eval()
    torch.testing.assert_close(outputs, model(batch.inputs).detach())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(epochs=0), "epochs must be above 0, got 0"),
        (dict(steps=0), "steps must be above 0, got 0"),
        (dict(batch_size=0), "batch_size must be above 0, got 0"),
        (dict(lr=-1.0), "lr must be above 0, got -1.0"),
        (dict(patience=0, monitor="train_loss"), "patience must be above 0, got 0"),
        (dict(patience=2), "patience needs `monitor`"),
        (dict(monitor="valid_loss"), "needs a validation split"),
        (dict(monitor="train_accuracy"), "not among the figures of an epoch"),
        (dict(schedule="linear"), "schedule must be one of 'constant', 'cosine', got 'linear'"),
        (dict(precision="fp8"), "precision must be one of"),
        (dict(warmup=1.5), "warmup must be between 0 and 1, got 1.5"),
        (dict(weight_decay=-0.1), "weight_decay must be 0 or more, got -0.1"),
        (dict(clip_norm=0.0), "clip_norm must be above 0, got 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        fit(Net(), data(8), loss=classify(), **{"epochs": 1, **change})


def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_try():
    with pytest.raises(FloatingPointError, match="try a smaller lr"):
        fit(Net(), data(8), loss=lambda model, batch: model(batch.inputs).sum() * float("nan"), epochs=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    with pytest.raises(RuntimeError, match="sees no CUDA GPU here"):
        fit(Net(), data(8), loss=classify(), epochs=1, device="cuda")
    monkeypatch.setenv("MMTEACH_DEVICE", "cuda:1")
    with pytest.raises(RuntimeError, match="'cuda:1' was asked for"):
        pick_device()
    monkeypatch.delenv("MMTEACH_DEVICE")
    assert pick_device() == torch.device("cpu")


def test_the_precision_can_be_set_and_must_be_known(monkeypatch):
    monkeypatch.setenv("MMTEACH_PRECISION", "fp32")
    assert precision_for("cpu") == "fp32"
    assert small_precision() == "fp32"
    monkeypatch.setenv("MMTEACH_PRECISION", "bf16")
    assert small_precision() == "bf16"
    monkeypatch.setenv("MMTEACH_PRECISION", "auto")
    assert small_precision() == "fp32"
    monkeypatch.setenv("MMTEACH_PRECISION", "fp8")
    with pytest.raises(ValueError, match="MMTEACH_PRECISION must be one of"):
        precision_for("cpu")


@pytest.mark.parametrize(("bf16", "expected"), [(True, "bf16"), (False, "fp32")])
def test_the_cpus_precision_follows_its_instructions(monkeypatch, bf16, expected):
    monkeypatch.delenv("MMTEACH_PRECISION", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert precision_for("cpu") == expected and precision_for("mps") == "fp32"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_the_gpus_precision_follows_its_capability(monkeypatch, capability, expected):
    monkeypatch.delenv("MMTEACH_PRECISION", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert precision_for("cuda") == expected


def test_compiled_training_reaches_the_same_weights(monkeypatch):
    real = torch.compile
    monkeypatch.setattr(training_loop.torch, "compile", lambda model: real(model, backend="aot_eager"))
    results = []
    for compiled in (False, True):
        model = Net()
        model.layers[2].p = 0.0
        fit(model, data(64), loss=classify(), epochs=1, compile=compiled, precision="fp32")
        results.append(weights(model))
    torch.testing.assert_close(results[0], results[1])


def test_over_seeds_gives_one_row_a_seed_and_model():
    table = over_seeds(lambda seed: {"a": {"score": seed}, "b": {"score": seed + 0.5}}, [3, 4])
    assert table.to_dict("list") == {"model": ["a", "b"] * 2, "seed": [3, 3, 4, 4], "score": [3.0, 3.5, 4.0, 4.5]}
    assert over_seeds(lambda seed: {"score": seed * 2}, [1, 2]).to_dict("list") == {"seed": [1, 2], "score": [2, 4]}
    with pytest.raises(ValueError, match="at least one seed"):
        over_seeds(lambda seed: {"score": seed}, [])


def test_summary_says_mean_and_half_the_interval():
    table = over_seeds(lambda seed: {"b": {"score": 0.80 + seed / 50}, "a": {"score": 1.0}}, [0, 1, 2])
    words = summary(table)
    assert list(words.index) == ["b", "a"]
    assert words.score["b"] == "0.820 ± 0.050" and words.score["a"] == "1.000 ± 0.000"  # t_2 · 0.02 / √3
    assert summary(over_seeds(lambda seed: {"score": 0.5}, [7]), digits=1).score["all"] == "0.5"
    with pytest.raises(ValueError, match="no column of figures"):
        summary(table[["model", "seed"]])


def test_history_says_what_happened():
    batch = data()
    history = fit(Net(), batch[:200], batch[200:], loss=classify(), epochs=2, monitor="valid_loss")
    assert repr(history).startswith("History: 2 epochs in ") and "best epoch" in repr(history)
    with pytest.raises(KeyError, match="no column 'accuracy'"):
        history.column("accuracy")


def test_a_checkpoint_that_watched_another_figure_is_refused(tmp_path):
    settings = dict(loss=classify(), epochs=1, checkpoint=tmp_path / "run.pt")
    fit(Net(), data(), data(), **settings)
    with pytest.raises(
        ValueError, match="written with monitor=None, this run has monitor='valid_loss', higher_is_better=False"
    ):
        fit(Net(), data(), data(), monitor="valid_loss", resume=True, **settings)
    with pytest.raises(ValueError, match="resume=True needs `checkpoint`"):
        fit(Net(), data(), loss=classify(), resume=True)


def test_a_resumed_run_remembers_its_best_epoch_and_its_patience(tmp_path):
    scores = iter([0.9, 0.3, 0.2, 0.1])
    settings = dict(
        loss=classify(),
        metric=lambda model, split: {"score": next(scores)},
        monitor="valid_score",
        higher_is_better=True,
        checkpoint=tmp_path / "run.pt",
    )
    first = Net()
    fit(first, data(), data(), epochs=2, **settings)
    second = Net(seed=7)
    history = fit(second, data(), data(), epochs=9, patience=3, resume=True, **settings)
    assert history.best == 0 and len(history) == 4 and history.stopped == "no better for 3 epochs"
    assert torch.equal(weights(second), weights(first))


def test_writing_that_fails_leaves_the_last_checkpoint_alone(tmp_path, monkeypatch):
    settings = dict(loss=classify(), checkpoint=tmp_path / "run.pt")
    fit(Net(), data(), epochs=1, **settings)
    before = (tmp_path / "run.pt").read_bytes()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        fit(Net(), data(), epochs=1, **settings)
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"] and (tmp_path / "run.pt").read_bytes() == before


def test_an_epoch_without_a_figure_is_never_the_best():
    scores = iter([float("nan"), 0.2, float("nan"), 0.1])
    settings = dict(loss=classify(), metric=lambda model, split: {"score": next(scores)}, monitor="valid_score")
    history = fit(Net(), data(), data(), epochs=3, higher_is_better=True, **settings)
    assert history.best == 1
    scores = iter([float("nan")] * 9)
    history = fit(Net(), data(), data(), epochs=9, patience=2, **settings)
    assert history.best is None and len(history) == 2 and history.stopped == "no better for 2 epochs"


def test_of_equal_epochs_the_first_is_kept():
    history = fit(
        Net(), data(), data(), loss=classify(), epochs=3, metric=lambda *_: {"score": 0.5}, monitor="valid_score"
    )
    assert history.best == 0


def test_losses_name_the_target_and_the_logits_they_need():
    with pytest.raises(ValueError, match=r"the batch has no target 'colour': it has \['label'\]"):
        fit(Net(), data(8), loss=classify("colour"), epochs=1)
    with pytest.raises(ValueError, match=r"detect needs logits that must have shape \(8,\), got \(8, 2\)"):
        fit(Net(), data(8), loss=detect(), epochs=1)
    with pytest.raises(ValueError, match="label_smoothing must be between 0 and 1, got 2"):
        classify(label_smoothing=2)


def test_label_smoothing_reaches_the_loss():
    batch, model = data(8), Net().eval()
    expected = nn.functional.cross_entropy(model(batch.inputs), batch.targets["label"], label_smoothing=0.3)
    torch.testing.assert_close(classify(label_smoothing=0.3)(model, batch), expected)


def test_a_data_set_instead_of_a_batch_is_named():
    with pytest.raises(TypeError, match=r"train must be a Batch, such as splits\.train, got Splits"):
        fit(Net(), Splits("x", data(8), data(8), data(8)), loss=classify(), epochs=1)


def test_predict_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="at least one example"):
        predict(Net(), data(8)[:0])
    with pytest.raises(ValueError, match="batch_size must be above 0, got 0"):
        predict(Net(), data(8), batch_size=0)
    with pytest.raises(ValueError, match="precision must be one of 'fp32', 'bf16', 'fp16', got 'auto'"):
        predict(Net(), data(8), precision="auto")


def test_under_torchrun_each_process_has_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("MMTEACH_DEVICE", raising=False)
    assert pick_device() == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device() == torch.device("cuda:1") and pick_device("cuda:0") == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(RuntimeError, match="'cuda:2' was asked for, but there are only 2 GPUs"):
        pick_device()


def test_processes_share_a_batch_by_turns(monkeypatch):
    parallel = training_loop.parallel
    rows = torch.arange(5)
    assert parallel.share(rows)[1] == 1.0 and torch.equal(parallel.share(rows)[0], rows)
    monkeypatch.setattr(parallel, "_active", lambda: True)
    monkeypatch.setattr(parallel.dist, "get_world_size", lambda: 2)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(parallel.dist, "get_rank", lambda rank=rank: rank)
        mine, weight = parallel.share(rows)
        shares.append((mine.tolist(), weight))
        assert parallel.share(rows[:1]) == (rows[:1], 0.5) and parallel.is_first() == (rank == 0)
    assert shares == [([0, 2, 4], 0.6), ([1, 3], 0.4)]


TWO_PROCESSES = """
import sys, torch
sys.path.insert(0, {tests!r})
from test_training import Net, classify, data, fit, weights
model = Net()
model.layers[2].p = 0.0
fit(model, data(101), loss=classify(), epochs=2, batch_size=20, lr=0.01, precision="fp32", progress=False)
if int(__import__("os").environ["RANK"]) == 0:
    torch.save(weights(model), sys.argv[1])
torch.distributed.destroy_process_group()
"""


@pytest.mark.full
def test_two_processes_reach_the_weights_of_one(tmp_path, request):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES.format(tests=str(request.path.parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*command, script, tmp_path / "weights.pt"], check=True, timeout=240)
    model = Net()
    model.layers[2].p = 0.0
    fit(model, data(101), loss=classify(), epochs=2, batch_size=20, lr=0.01, precision="fp32")
    torch.testing.assert_close(torch.load(tmp_path / "weights.pt"), weights(model), rtol=1e-4, atol=1e-5)


CONTRASTIVE = """
import sys, torch
sys.path.insert(0, {tests!r})
from test_training import Pair, contrast, fit, pairs, weights
from mmteach.training import parallel
model = Pair()
fit(model, pairs(), pairs(9), loss=contrast, epochs=2, batch_size=7, lr=0.01, precision="fp32", progress=False)
if parallel.is_first():
    torch.save(weights(model), sys.argv[1])
parallel.stop()
"""


class Pair(nn.Module):
    """Two linear encoders into one space, with a learned temperature."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.image, self.text = nn.Linear(5, 4), nn.Linear(6, 4)
        self.scale = nn.Parameter(torch.tensor(5.0))

    def forward(self, inputs, masks=None, present=None):
        return [F.normalize(part(inputs[m]), dim=1) for m, part in (("image", self.image), ("text", self.text))]


def pairs(n=31):
    generator = torch.Generator().manual_seed(4)
    inputs = {m: torch.randn(n, width, generator=generator) for m, width in (("image", 5), ("text", 6))}
    return Batch(inputs, {"row": torch.arange(n)})


def contrast(model, batch):
    image, text = (gather(z) for z in model(batch.inputs))
    if torch.is_grad_enabled() and len(gather(batch.targets["row"])) != len(image):
        raise AssertionError("targets are gathered as embeddings are")
    return clip_loss(image, text, model.scale)


@pytest.mark.full
def test_a_contrastive_loss_on_two_processes_has_the_gradient_of_one(tmp_path, request):
    """Batches of 7 split 4 and 3, the last of an epoch has 3 of 31: the shares differ."""
    script = tmp_path / "train.py"
    script.write_text(CONTRASTIVE.format(tests=str(request.path.parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*command, script, tmp_path / "weights.pt"], check=True, timeout=240)
    model, alone = Pair(), Pair()
    settings = dict(epochs=2, batch_size=7, lr=0.01, precision="fp32", progress=False)
    fit(model, pairs(), loss=contrast, **settings)
    torch.testing.assert_close(torch.load(tmp_path / "weights.pt"), weights(model), rtol=1e-4, atol=1e-5)
    # Batches of half the size, which is what processes that do not gather would compare, end elsewhere.
    fit(alone, pairs(), loss=contrast, **{**settings, "batch_size": 4})
    assert (weights(alone) - weights(model)).abs().max() > 1e-3


def test_with_one_process_gathering_changes_nothing():
    x = torch.randn(3, 2, requires_grad=True)
    assert gather(x) is x


KILLED = """
import os, signal, sys, torch
sys.path.insert(0, {tests!r})
from test_training import Net, classify, data, fit, training_loop
where, real = sys.argv[1], training_loop.parallel.share
calls = 0
def share(rows):
    global calls
    calls += 1
    if calls == 20:  # in the middle of the third epoch
        os.kill(os.getpid(), signal.SIGKILL)
    return real(rows)
training_loop.parallel.share = share
fit(Net(), data(), loss=classify(), epochs=4, lr=0.01, schedule="cosine", checkpoint=where, progress=False)
"""


@pytest.mark.full
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_that_was_killed_goes_on_to_the_same_weights(tmp_path, request):
    where = tmp_path / "run.pt"
    code = KILLED.format(tests=str(request.path.parent))
    killed = subprocess.run([sys.executable, "-c", code, where], timeout=240)
    assert killed.returncode == -signal.SIGKILL and where.exists()
    settings = dict(loss=classify(), epochs=4, lr=0.01, schedule="cosine", progress=False)
    whole, resumed = Net(), Net(seed=99)
    fit(whole, data(), **settings)
    history = fit(resumed, data(), checkpoint=where, resume=True, **settings)
    assert len(history) == 4 and torch.equal(weights(resumed), weights(whole))
