"""The one training loop of the course: the same call trains on a laptop, on a Colab GPU and under torchrun.

| name       | what it does                                                                  |
|------------|-------------------------------------------------------------------------------|
| `fit`      | trains a model and returns its History                                          |
| `predict`  | a model's outputs for a whole split, in order                                   |
| `classify` | the usual loss: cross-entropy of the model's logits against a target            |
| `detect`   | the loss of a yes/no question: binary cross-entropy of one logit                |
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmteach import _check
from mmteach.data.batch import Batch
from mmteach.training import checkpoint as checkpoints
from mmteach.training import parallel, sharding
from mmteach.training.history import History
from mmteach.training.machine import PRECISIONS, autocast, pick_device, precision_for
from mmteach.training.validate import validate

Loss = Callable[[nn.Module, Batch], "Tensor | dict[str, Tensor]"]
Metric = Callable[[nn.Module, Batch], dict[str, float]]


def classify(target: str = "label", label_smoothing: float = 0.0) -> Loss:
    """The loss of a classifier: cross-entropy of the model's logits.

        loss(model, batch) = mean_b −log softmax(model(inputs))_{b, y_b},    y = batch.targets[target] (B,), from 0 to K − 1

    label_smoothing: the share of the target that goes to all K classes alike
    Raises ValueError where the batch has no such target, or the logits are not (B, K).

    >>> batch = Batch({"x": torch.zeros(2, 3)}, {"label": torch.tensor([0, 2])})
    >>> loss = classify()(lambda inputs, masks, present: inputs["x"], batch)  # a model that knows nothing
    >>> round(loss.item(), 4)  # ln 3
    1.0986
    """
    _check.between("label_smoothing", label_smoothing, 0, 1)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        y = _target(batch, target)
        logits = model(batch.inputs, masks=batch.masks, present=batch.present)
        _check.shape("classify needs logits that", logits, len(y), "K")
        return F.cross_entropy(logits.float(), y, label_smoothing=label_smoothing)

    return loss


def detect(target: str = "label") -> Loss:
    """The loss of a yes/no question: binary cross-entropy of the model's logit.

        loss(model, batch) = mean_b −[y_b log σ(o_b) + (1 − y_b) log(1 − σ(o_b))],    o = model(inputs) (B,)

    y = batch.targets[target] (B,), 0 or 1. Raises ValueError where the batch has no such target, or o is not (B,).

    >>> batch = Batch({"x": torch.zeros(2)}, {"label": torch.tensor([0, 1])})
    >>> round(detect()(lambda inputs, masks, present: inputs["x"], batch).item(), 4)  # ln 2
    0.6931
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        y = _target(batch, target)
        logit = model(batch.inputs, masks=batch.masks, present=batch.present)
        _check.shape("detect needs logits that", logit, len(y))
        return F.binary_cross_entropy_with_logits(logit.float(), y.float())

    return loss


def _target(batch: Batch, name: str) -> Tensor:
    if name not in batch.targets:
        raise ValueError(f"the batch has no target {name!r}: it has {sorted(batch.targets)}")
    return batch.targets[name]


def fit(
    model: nn.Module,
    train: Batch,
    valid: Batch | None = None,
    *,
    loss: Loss,
    metric: Metric | None = None,
    monitor: str | None = None,
    higher_is_better: bool = False,
    patience: int | None = None,
    epochs: int = 10,
    steps: int | None = None,
    batch_size: int = 32,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: str = "constant",
    warmup: float = 0.0,
    clip_norm: float | None = None,
    augment: Callable[[Batch], Batch] | None = None,
    backward: Callable[[dict[str, Tensor], nn.Module], None] | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str = "auto",
    compile: bool = False,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    shard: bool = False,
    progress: bool = True,
) -> History:
    """Train `model` in place on `train` with Adam, and return a row of figures an epoch.

        θ ← θ − lr · Adam(∇_θ loss(model, batch)),   batches drawn without replacement, shuffled anew each epoch

    model:     any module; it is moved to the device and left there in eval mode
    train:     a Batch held in memory; it is moved to the device once and indexed there, so there are no data workers
    valid:     looked at after each epoch, never trained on
    loss:      (model, batch) → a scalar, or a dict of scalars by task, which are added unless `backward` says otherwise
    metric:    (model, valid) → figures by name, called in eval mode without gradients; "valid_" is put before each name.
               The mean of `loss` over `valid` is always there as "valid_loss"
    monitor:   the column by which the best epoch's weights are kept and given back, e.g. "valid_loss"; None keeps the last
    patience:  stop after so many epochs in which `monitor` was no better
    steps:     train so many steps instead of `epochs`; the last epoch may then be a part of one
    lr, weight_decay: Adam's learning rate; decoupled weight decay, on matrices and filters only
    schedule:  "constant" or "cosine" (to zero), after a linear `warmup` over that share of the steps
    clip_norm: scale the gradient down to this length where it is longer
    augment:   batch → batch, on the device, on training batches only
    backward:  (losses by task, model) → None fills the gradients; for gradient surgery and gradient modulation. At "fp16"
               all losses come multiplied by the same large factor, which is taken out of the gradients afterwards
    seed:      of the order of the examples, and of what the model draws while training (dropout)
    device:    see `pick_device`
    precision: "auto" takes what the device does best (see `precision_for`); "fp32", "bf16", "fp16"
    compile:   torch.compile the model: slow to start, faster after
    checkpoint, resume: a file written after each epoch; a run cut short and resumed ends, on a CPU, with the very same
               weights as one that was never stopped. A run that stands in no file yet starts from the beginning
    shard:     under torchrun, give each process a part of the weights, gradients and Adam's state (FSDP2), for a model too
               large for one. The model stays divided afterwards: use it in all processes alike. Not with `backward`,
               `compile` or "fp16"
    Under torchrun each process takes its share of every batch and gradients are averaged: the same run, faster.

    Raises ValueError for what cannot be trained on (see `validate`) and for settings out of range, RuntimeError where a GPU
    was asked for and there is none, FloatingPointError where the loss is no longer a number.
    Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization"; Loshchilov & Hutter 2019, "Decoupled Weight Decay
    Regularization".

    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> data = Batch({"x": x}, {"label": (x[:, 0] > 0).long()})
    >>> class Linear(nn.Linear):
    ...     def forward(self, inputs, masks=None, present=None):
    ...         return super().forward(inputs["x"])
    >>> history = fit(Linear(1, 2), data, loss=classify(), epochs=20, lr=0.05, progress=False)
    >>> len(history), history[-1]["train_loss"] < history[0]["train_loss"]
    (20, True)
    """
    _check_settings(epochs, steps, batch_size, lr, schedule, warmup, precision, patience, monitor, valid)
    if weight_decay < 0:
        raise ValueError(f"weight_decay must be 0 or more, got {weight_decay}")
    if clip_norm is not None:
        _check.positive("clip_norm", clip_norm)
    if resume and not checkpoint:
        raise ValueError("resume=True needs `checkpoint`, the file to go on from")
    device = pick_device(device)
    precision = precision_for(device) if precision == "auto" else precision
    validate(train, "train")
    if valid is not None:
        validate(valid, "valid")
    if shard and (backward or compile or precision == "fp16"):
        raise ValueError("shard=True goes with neither `backward`, nor compile=True, nor precision='fp16'")
    model.to(device)
    if not sharding.is_sharded(model):
        _channels_last(model)
    parallel.start(model)
    if shard and parallel.processes() > 1:
        sharding.shard(model)
    train, valid = train.to(device), None if valid is None else valid.to(device)
    per_epoch = math.ceil(len(train) / batch_size)
    total = steps or epochs * per_epoch
    optimizer = _optimizer(model, lr, weight_decay)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(schedule, warmup, total))
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    run = checkpoints.Run(model, optimizer, scheduler, scaler, History(monitor), higher_is_better)
    step_model: Any = torch.compile(model) if compile else model

    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(
            seed + 1_000_003 * parallel.rank()
        )  # what processes draw (augmentation, dropout) should differ
        if resume and checkpoint and Path(checkpoint).exists():
            run.load(checkpoint)
        history, started = run.history, time.perf_counter() - run.history.seconds
        bar = tqdm(total=total, initial=run.step, unit="step", delay=1, leave=False, disable=not (progress and _show()))
        with bar:
            while run.step < total and not _patience_over(history, patience):
                model.train()
                running = torch.zeros((), device=device)
                order = _order(len(train), seed, len(history)).to(device)[: (total - run.step) * batch_size]
                for rows in order.split(batch_size):
                    mine, weight = parallel.share(rows)
                    batch = train[mine]
                    batch = augment(batch) if augment else batch
                    with autocast(device, precision):
                        value = loss(step_model, batch)
                    running += _descend(value, model, optimizer, scaler, backward, clip_norm, weight) * len(rows)
                    scheduler.step()
                    run.step += 1
                    bar.update()
                row: dict[str, float] = {"epoch": len(history) + 1, "step": run.step}
                row["train_loss"] = parallel.total(running).item() / len(order)
                if not math.isfinite(row["train_loss"]):
                    raise FloatingPointError(
                        f"the training loss is {row['train_loss']} in epoch {row['epoch']}: try a smaller lr (now {lr:g}), "
                        "clip_norm=1.0, or precision='fp32'"
                    )
                if valid is not None:
                    row |= _validation(model, valid, loss, metric, device, precision, batch_size)
                row["seconds"] = time.perf_counter() - started
                run.finish_epoch(parallel.as_first(row))
                bar.set_postfix({k: f"{v:.3f}" for k, v in row.items() if k.endswith("loss")}, refresh=False)
                if checkpoint:
                    run.save(checkpoint)
    if _patience_over(history, patience):
        history.stopped = f"no better for {patience} epochs"
    run.restore_best()
    model.eval()
    return history


@torch.no_grad()
def predict(model: nn.Module, split: Batch, batch_size: int = 256, precision: str = "fp32") -> Tensor:
    """What `model(inputs)` gives for every example of a split, in order, in eval mode and without gradients.

    split (N examples) → one float32 tensor (N, …) on the CPU. The model is left in the mode it came in.
    Raises ValueError for a split without examples, or a batch_size that is not above 0.

    >>> class Double(nn.Module):
    ...     def forward(self, inputs, masks=None, present=None):
    ...         return 2 * inputs["x"]
    >>> predict(Double(), Batch({"x": torch.tensor([1.0, 2.0, 3.0])}), batch_size=2)
    tensor([2., 4., 6.])
    """
    _check.positive("batch_size", batch_size)
    _check.choice("precision", precision, PRECISIONS[1:])
    if len(split) == 0:
        raise ValueError("predict needs at least one example, got an empty split")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    outputs = []
    for rows in torch.arange(len(split)).split(batch_size):
        batch = split[rows].to(device)
        with autocast(device, precision):
            outputs.append(model(batch.inputs, masks=batch.masks, present=batch.present).float().cpu())
    model.train(was_training)
    return torch.cat(outputs)


def _check_settings(epochs, steps, batch_size, lr, schedule, warmup, precision, patience, monitor, valid) -> None:
    _check.positive("epochs", epochs)
    _check.positive("batch_size", batch_size)
    _check.positive("lr", lr)
    _check.choice("schedule", schedule, ("constant", "cosine"))
    _check.choice("precision", precision, PRECISIONS)
    _check.between("warmup", warmup, 0, 1)
    if steps is not None:
        _check.positive("steps", steps)
    if patience is not None:
        _check.positive("patience", patience)
        if monitor is None:
            raise ValueError(
                "patience needs `monitor`, the column that says what better means, e.g. monitor='valid_loss'"
            )
    if monitor is not None and monitor.startswith("valid_") and valid is None:
        raise ValueError(f"monitor={monitor!r} needs a validation split: pass `valid`")


def _channels_last(model: nn.Module) -> None:
    """Store filters with their channels last, as convolutions on a CPU and on tensor cores like them best."""
    for p in model.parameters():
        if p.ndim == 4:
            p.data = p.data.to(memory_format=torch.channels_last)


def _optimizer(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """Adam; weight decay pulls on matrices and filters only, since shrinking a bias or a norm's scale regularises nothing."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0},
        # Scalars by themselves: in a sharded model they alone are whole, and one call of Adam takes no mixture.
        {"params": [p for p in trained if p.ndim == 0], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, fused=True)


def _rate(schedule: str, warmup: float, total: int) -> Callable[[int], float]:
    """The factor on lr at each step: a linear rise over the `warmup` share of the steps, then constant or a half cosine."""
    rise = round(warmup * total)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        if schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))

    return factor


def _order(size: int, seed: int, epoch: int) -> Tensor:
    """The order of the examples in an epoch: it depends on seed and epoch alone, so a resumed run sees the same batches."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def _descend(value, model, optimizer, scaler, backward, clip_norm, weight: float) -> Tensor:
    """One step down the gradient; returns this process's part of the batch's mean loss, without waiting for the device."""
    losses = value if isinstance(value, dict) else {"loss": value}
    optimizer.zero_grad(set_to_none=True)
    sharded = sharding.is_sharded(model)
    # FSDP takes the plain mean over the processes; the factor makes it the weighted sum.
    factor = weight * parallel.processes() if sharded else 1.0
    scaled = {task: scaler.scale(part * factor if sharded else part) for task, part in losses.items()}
    if backward is None:
        _add(scaled.values()).backward()
    else:
        backward(scaled, model)
    parallel.average_gradients(model, 1 / parallel.processes() if sharded else weight)
    if clip_norm is not None:
        scaler.unscale_(optimizer)
        if sharded:
            sharding.clip(model, clip_norm)
        else:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    scaler.step(optimizer)
    scaler.update()
    return _add(losses.values()).detach().float() * weight


def _add(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum()


@torch.no_grad()
def _validation(
    model, valid: Batch, loss: Loss, metric: Metric | None, device, precision: str, batch_size: int
) -> dict:
    model.eval()
    total = torch.zeros((), device=device)
    with autocast(device, precision):
        for rows in torch.arange(len(valid), device=device).split(max(batch_size, 256)):
            value = loss(model, valid[rows])
            total += _add(value.values() if isinstance(value, dict) else [value]).float() * len(rows)
        figures = metric(model, valid) if metric else {}
    return {"valid_loss": total.item() / len(valid)} | {f"valid_{name}": float(v) for name, v in figures.items()}


def _patience_over(history: History, patience: int | None) -> bool:
    best = -1 if history.best is None else history.best  # no best where every figure was NaN
    return patience is not None and len(history) - 1 - best >= patience


def _show() -> bool:
    return parallel.is_first() and os.environ.get("MMTEACH_PROGRESS", "on") != "off"
