"""Training on several processes under torchrun: each takes its share of every batch, gradients are averaged.

With one process every function here does nothing. With N, a step gives the gradient of the whole batch's mean loss:

    g = Σ_r (n_r / n) g_r,      n_r examples on process r, n = Σ n_r

which is what one process would have computed, up to rounding. A contrastive loss compares examples with each other and needs
all of a batch's embeddings: `gather` brings them together, and hands each process the gradient of its own.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmteach.training.sharding import is_part, is_sharded


def _active() -> bool:
    return dist.is_available() and dist.is_initialized()


def start(model: nn.Module) -> None:
    """Join the other processes of a torchrun launch, where there are any, and give all of them the first one's weights."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not _active():
        device = next(model.parameters()).device
        if device.type == "cuda":
            torch.cuda.set_device(device)  # where NCCL works for this process
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if _active() and not is_sharded(model):
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, src=0)


def stop() -> None:
    """Leave the other processes, at the end of a program; without it PyTorch warns."""
    if _active():
        dist.destroy_process_group()


def processes() -> int:
    """How many processes train together; 1 without torchrun."""
    return dist.get_world_size() if _active() else 1


def rank() -> int:
    """This process's number among them, from 0."""
    return dist.get_rank() if _active() else 0


def of_all(value: Tensor) -> list[Tensor]:
    """A small tensor of every process, by rank."""
    values: list = [value] * processes()
    if _active():
        dist.all_gather_object(values, value)
    return values


def is_first() -> bool:
    """Whether this process is the one that shows progress and writes files."""
    return rank() == 0


def share(rows: Tensor) -> tuple[Tensor, float]:
    """This process's part of a batch's row numbers (every N-th, starting at its rank), and the weight of its gradient.

    A last batch with fewer rows than processes is computed by all of them, each with weight 1/N.
    """
    global _shared
    _shared = None
    if not _active():
        return rows, 1.0
    processes = dist.get_world_size()
    if len(rows) < processes:
        return rows, 1 / processes
    _shared = len(rows)
    mine = rows[dist.get_rank() :: processes]
    return mine, len(mine) / len(rows)


_shared: int | None = None  # the examples of the batch that is being shared; None: every process has all of it


def gather(x: Tensor) -> Tensor:
    """The rows of all processes in the order of the whole batch, for a loss that compares examples with each other.

    x: this process's rows, as `share` drew them (n_r, …) → (n, …);  with one process, and in validation: x itself

    Every process then computes the loss of the whole batch. What goes back through here is the gradient of this process's
    rows times n / n_r, since `fit` multiplies by n_r / n before it adds the processes' gradients. What is the same on all
    processes, such as a temperature, has the whole gradient on each, and the weights n_r / n add up to 1. Where augmentation
    makes several views of an example, gather each view for itself.
    Raises ValueError where x has not the rows of this process's share.
    """
    if not _active() or _shared is None or not torch.is_grad_enabled():
        return x
    mine = len(range(dist.get_rank(), _shared, dist.get_world_size()))
    if len(x) != mine:
        raise ValueError(
            f"gather needs the {mine} rows of this process's share of {_shared}, got {len(x)}: gather views apart"
        )
    return _Gather.apply(x, _shared)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, total: int) -> Tensor:
        ctx.own, ctx.weight = slice(dist.get_rank(), None, dist.get_world_size()), len(x) / total
        # Sizes differ by one at most, and a collective call wants them alike: every process fills its rows of zeros.
        whole = x.new_zeros(total, *x.shape[1:])
        whole[ctx.own] = x
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[ctx.own] / ctx.weight, None


def average_gradients(model: nn.Module, weight: float) -> None:
    """Replace each gradient by its weighted sum over the processes; the weights add up to 1.

    The gradients of a sharded model are averaged as they come into being, but for those of its scalars: only these are left.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None and not is_part(p.grad)]
    if not _active() or not gradients:
        return
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
