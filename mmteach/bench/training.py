"""Suite: the chapters' models as the chapters train them; several seeds at once; two processes against one.

| name         | what it measures                                                                     |
|--------------|------------------------------------------------------------------------------------------|
| `MODELS`     | a model a chapter, with its data, loss and batch, from the chapter's recipes               |
| `chapters`   | steps a second, the share of the machine's matrix speed, the share that drawing batches takes |
| `seeds`      | eight small networks trained by one vmapped step, against one after another                |
| `processes`  | two processes with one thread each against one such process (`torchrun`)                   |
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.bench import measure
from mmteach.bench.report import Cell, Table
from mmteach.claims import pick
from mmteach.data import load_emoji, load_prompts, load_scenes, load_shapes
from mmteach.data.batch import Batch
from mmteach.fusion import ClassicFusion
from mmteach.generation import CTCRecogniser, RelationNetwork, transcribe
from mmteach.generation.captioner import teacher_forcing
from mmteach.recipes import background, crossmodal_captions, crossmodal_relations, crossmodal_search, multitask
from mmteach.recipes import fusion as fusion_recipes
from mmteach.training import classify, detect, fit, seed_everything
from mmteach.training.loop import Loss
from mmteach.training.machine import autocast, pick_device, precision_for


@dataclass(frozen=True)
class Trained:
    """What a step of training needs: the model, its examples, its loss, its batch and its augmentation."""

    model: nn.Module
    train: Batch
    loss: Loss
    batch: int
    augment: Callable[[Batch], Batch] | None = None


def _digits() -> Trained:
    digits = background.load()
    return Trained(background.build("image", "audio"), digits.train, classify("digit"), 64, background.with_noise)


def _classic() -> Trained:
    emoji = load_emoji(keywords=2)
    model = ClassicFusion(image_size=48, vocabulary=len(emoji.vocabulary))
    return Trained(model, emoji.train, detect("nature"), 32, fusion_recipes.forget_words)


def _search() -> Trained:
    views, pieces = crossmodal_search.emoji_views(("twemoji", "noto", "openmoji"))
    loss = crossmodal_search.search_loss(views.inputs["text"][:, 0])
    return Trained(crossmodal_search.search_model(pieces), views, loss, 128, crossmodal_search.two_views)


def _captions() -> Trained:
    shapes = load_shapes(train=2000, valid=100, test=100)
    model = crossmodal_captions.shape_captioner(len(shapes.classes["word"]))
    return Trained(model, crossmodal_captions.with_places(shapes.train), teacher_forcing(), 64)


def _relations() -> Trained:
    scenes = load_scenes(500, 20, 20)
    model = RelationNetwork(10, 11, 10, g_layers=4, pool="softmax")
    return Trained(model, crossmodal_relations.spread(scenes.train), classify("answer"), 256)


def _two_digits() -> Trained:
    return Trained(multitask.build(), multitask.load().train, multitask.losses(*multitask.TASKS), 128)


def _prompts() -> Trained:
    prompts = load_prompts()
    model = CTCRecogniser(40, len(prompts.classes["text"]), body="conv", layers=4)
    return Trained(model, prompts.train, transcribe(impossible="zero"), 16)


MODELS: dict[str, Callable[[], Trained]] = {
    "01 digits seen and heard": _digits,
    "03 classic model": _classic,
    "04 search": _search,
    "04 captions": _captions,
    "04 relations": _relations,
    "05 two digits": _two_digits,
    "06 prompts": _prompts,
}


def tables() -> list[Table]:
    """Chapters, seeds, processes."""
    return [chapters(), seeds(), processes()]


def chapters() -> Table:
    """Every model in float32 and, where the machine has bf16, in bf16."""
    device = pick_device()
    precisions = ["fp32"] + (["bf16"] if precision_for(device) == "bf16" else [])
    size = pick(smoke=64, laptop=2048, gpu=8192)
    limits = {
        name: measure.matmul(dtype, size, device=device)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
        if name in precisions
    }
    chosen = pick(smoke=["01 digits seen and heard", "05 two digits"], laptop=list(MODELS), gpu=list(MODELS))
    rows = [row for name in chosen for row in _model(name, MODELS[name], limits, device)]
    speeds = ", ".join(f"{name} {limit / 1e9:,.0f} GFLOP/s" for name, limit in limits.items())
    return Table(
        "The chapters' models",
        f"Steps by `fit` as the chapters take them, on {device}. Share of the limit: the operations that PyTorch counts "
        f"(products of matrices and convolutions; those of LSTM and GRU are not counted) against products of {size} × {size} "
        f"matrices: {speeds}. Drawing: taking a batch's rows out of the split, as a share of a step in float32; augmentation "
        "is told apart.",
        rows,
    )


def _model(
    name: str, make: Callable[[], Trained], limits: dict[str, float], device: torch.device
) -> list[dict[str, Cell]]:
    steps, rounds = pick(smoke=(2, 1), laptop=(20, 3), gpu=(100, 3))
    seed_everything(0)
    one = make()

    def fitting(precision: str) -> measure.Rival:
        def seconds() -> float:
            history = fit(
                one.model, one.train, loss=one.loss, steps=steps, batch_size=one.batch, augment=one.augment,
                precision=precision, progress=False,
            )  # fmt: skip
            return history.seconds / steps

        seconds()
        return seconds

    times = measure.alternate({precision: fitting(precision) for precision in limits}, rounds)
    train = one.train.to(device)
    order = torch.randperm(len(train), device=device)[: one.batch]
    drawing = measure.timed(lambda: train[order], least=0.02)()
    batch = train[order]
    changing = measure.timed(partial(one.augment, batch), least=0.02)() if one.augment else None
    ready = one.augment(batch) if one.augment else batch

    def step() -> None:
        value = one.loss(one.model, ready)
        total = torch.stack(list(value.values())).sum() if isinstance(value, dict) else value
        total.backward()

    one.model.train()
    with autocast(device, "fp32"):
        operations = measure.flops(step)
    rows: list[dict[str, Cell]] = []
    for precision, limit in limits.items():
        seconds = statistics.median(times[precision])
        in_fp32 = statistics.median(times["fp32"])
        rows.append({
            "model": name, "precision": precision, "batch": one.batch, "steps a second": 1 / seconds,
            "spread, %": measure.spread(times[precision]), "MFLOP a step": operations / 1e6,
            "share of the limit, %": 100 * operations / seconds / limit, "times float32": in_fp32 / seconds,
            "drawing, % of a step": 100 * drawing / in_fp32,
            "augmenting, % of a step": None if changing is None else 100 * changing / in_fp32,
        })  # fmt: skip
    return rows


Weights = dict[str, Tensor]


def seeds() -> Table:
    """Plain gradient descent of eight seeds, their parameters stacked (torch.func), against a loop over eight models."""
    many = pick(smoke=2, laptop=8, gpu=8)
    rounds, least = pick(smoke=(2, 0.001), laptop=(5, 0.1), gpu=(5, 0.1))
    x, y = torch.randn(64, 64), torch.randint(0, 10, (64,))
    picture = torch.randn(64, 1, 28, 28)
    networks: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
        "two layers of 64": (lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), x),
        "two layers of 512": (lambda: nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10)), x),
        "two convolutions of 8": (_small_cnn, picture),
    }
    rows: list[dict[str, Cell]] = []
    for name, (make, inputs) in networks.items():
        models = [make() for _ in range(many)]
        rivals = {"at once": _stacked(models, inputs, y)[0], "in turn": _in_turn(models, inputs, y)}
        times = measure.alternate({how: measure.timed(step, least) for how, step in rivals.items()}, rounds)
        compared = measure.against(times["at once"], times["in turn"])
        rows.append({
            "network": name, "seeds": many, "at once, ms": compared["ours, ms"], "in turn, ms": compared["rival, ms"],
            "in turn / at once": compared["rival / ours"], "lowest": compared["lowest"], "highest": compared["highest"],
        })  # fmt: skip
    return Table(
        "Several seeds at once",
        "A step of plain gradient descent on 64 examples for every seed: stacked parameters under torch.func.vmap, against a "
        "loop over ordinary models.",
        rows,
    )


def _small_cnn() -> nn.Module:
    first, second = nn.Conv2d(1, 8, 3, stride=2), nn.Conv2d(8, 8, 3, stride=2)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))


def _stacked(models: list[nn.Module], x: Tensor, y: Tensor) -> tuple[Callable[[], None], Weights]:
    """A step of all models at once, and their weights, which it changes, stacked along the first axis."""
    skeleton = models[0]
    stacked, _ = torch.func.stack_module_state(models)
    weights: Weights = {name: value.detach().clone() for name, value in stacked.items()}

    def loss(own: Weights) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(skeleton, own, (x,)), y)

    gradients = torch.func.vmap(torch.func.grad(loss))

    def step() -> None:
        for name, gradient in gradients(weights).items():
            weights[name].sub_(gradient, alpha=0.01)

    return step, weights


def _in_turn(models: list[nn.Module], x: Tensor, y: Tensor) -> Callable[[], None]:
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.01) for model in models]

    def step() -> None:
        for model, optimizer in zip(models, optimizers):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return step


# Each process trains the classic model on the same global batch of 64, with one thread.
SHARED = """
import torch
torch.set_num_threads(1)
from mmteach.bench.training import MODELS
from mmteach.training import fit, parallel, seed_everything
seed_everything(0)
one = MODELS[{name!r}]()
for steps in (1, {steps}):  # the first meets the other process
    history = fit(one.model, one.train, loss=one.loss, steps=steps, batch_size=64, augment=one.augment, precision="fp32",
                  device="cpu", progress=False)
if parallel.is_first():
    print("SECONDS", history.seconds / steps)
parallel.stop()
"""


def processes() -> Table:
    """The same global batch, by one process with one thread and by two with one thread each."""
    name, steps, rounds = pick(
        smoke=("05 two digits", 2, 1), laptop=("03 classic model", 15, 3), gpu=("03 classic model", 15, 3)
    )
    code = SHARED.format(name=name, steps=steps)
    times = measure.alternate({"one": lambda: _launched(code, 1), "two": lambda: _launched(code, 2)}, rounds)
    compared = measure.against(times["two"], times["one"])
    return Table(
        "Two processes against one",
        f"{name}, 64 examples a step, float32, one thread a process, gloo; {steps} steps, start-up not counted. "
        f"{os.cpu_count()} cores: with fewer than two free, two processes cannot win.",
        [{
            "one, ms": compared["rival, ms"], "two, ms": compared["ours, ms"], "one / two": compared["rival / ours"],
            "lowest": compared["lowest"], "highest": compared["highest"],
        }],
    )  # fmt: skip


def _launched(code: str, count: int) -> float:
    """The seconds of a step that the first of `count` processes prints."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "--no-python"]
    command = [sys.executable, *launcher, sys.executable, "-c", code]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(next(line for line in done.stdout.splitlines() if line.startswith("SECONDS")).split()[1])
