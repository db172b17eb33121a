"""Training on several processes under torchrun: each takes its share of every batch, gradients are averaged.

With one process every function here does nothing. With N, a step gives the gradient of the whole batch's mean loss:

    g = Σ_r (n_r / n) g_r,      n_r examples on process r, n = Σ n_r

which is what one process would have computed, up to rounding. (A contrastive loss compares examples with each other and
needs all of a batch's embeddings; see `mmteach.alignment`.)
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn


def _active() -> bool:
    return dist.is_available() and dist.is_initialized()


def start(model: nn.Module) -> None:
    """Join the other processes of a torchrun launch, where there are any, and give all of them the first one's weights."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not _active():
        device = next(model.parameters()).device
        if device.type == "cuda":
            torch.cuda.set_device(device)  # where NCCL works for this process
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if _active():
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, src=0)


def is_first() -> bool:
    """Whether this process is the one that shows progress and writes files."""
    return not _active() or dist.get_rank() == 0


def share(rows: Tensor) -> tuple[Tensor, float]:
    """This process's part of a batch's row numbers (every N-th, starting at its rank), and the weight of its gradient.

    A last batch with fewer rows than processes is computed by all of them, each with weight 1/N.
    """
    if not _active():
        return rows, 1.0
    processes = dist.get_world_size()
    if len(rows) < processes:
        return rows, 1 / processes
    mine = rows[dist.get_rank() :: processes]
    return mine, len(mine) / len(rows)


def average_gradients(model: nn.Module, weight: float) -> None:
    """Replace each gradient by its weighted sum over the processes; the weights add up to 1."""
    if not _active():
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients]) * weight
    dist.all_reduce(flat)  # one message for all parameters: on small models the cost is the call, not the bytes
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients])):
        gradient.copy_(part.view_as(gradient))


def as_first(figures: dict[str, float]) -> dict[str, float]:
    """The first process's figures, on all of them.

    Buffers (the running means of batch normalisation) differ between processes, so their validation figures may too; were
    each to judge by its own, one would stop for lack of patience while the others wait for it for ever.
    """
    if not _active():
        return figures
    box = [figures]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def total(value: Tensor) -> Tensor:
    """The sum of a number over all processes."""
    if _active():
        dist.all_reduce(value)
    return value
