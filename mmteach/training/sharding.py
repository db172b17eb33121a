"""Models too large for one process: each keeps a part of every parameter, of its gradient and of Adam's state (FSDP2).

| name          | what it does                                                                     |
|---------------|----------------------------------------------------------------------------------|
| `shard`       | divide a model's parameters among the processes                                  |
| `whole`       | put the parts of a state dict together                                           |
| `divided`     | the reverse: of a whole state dict, this process's parts                         |
| `divide_adam` | the same for Adam's moments                                                      |
| `clip`        | scale a gradient down whose parts lie on several processes                       |

A layer's weights are brought together just before it is needed and dropped after it. On the way back FSDP averages gradients
over the processes, so that every process is left with its part of the mean.
Zhao et al. 2023, PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils._pytree import tree_map


def is_sharded(model: nn.Module) -> bool:
    """Whether the model's parameters are divided among processes."""
    return any(is_part(p) for p in model.parameters())


def is_part(value: object) -> bool:
    """Whether a tensor is this process's part of a larger one."""
    module = sys.modules.get(
        "torch.distributed.tensor"
    )  # importing it takes long, and until someone has there are none
    return module is not None and isinstance(value, module.DTensor)


def shard(model: nn.Module) -> None:
    """Divide the parameters among all processes, in place. The layers of each `nn.ModuleList` are brought together one by one.

    Scalars (a temperature) stay whole on every process: there is nothing to divide.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    if is_sharded(model):
        return
    for p in model.parameters():
        p.data = p.data.contiguous()  # FSDP divides along the first axis and takes no other order of memory
    device = next(model.parameters()).device
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    scalars = {p for p in model.parameters() if p.ndim == 0}
    layers = [layer for part in model.modules() if isinstance(part, nn.ModuleList) for layer in part]
    for module in [*layers, model]:
        fully_shard(module, mesh=mesh, ignored_params=scalars)
    if hasattr(model, "encode"):  # what losses call besides `forward` needs whole weights too
        register_fsdp_forward_method(model, "encode")


def whole(state: Any) -> Any:
    """The same nested state with every divided tensor put together; all processes have to call it."""
    return tree_map(lambda value: value.full_tensor() if is_part(value) else value, state)


def divided(state: dict[str, Tensor], like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of a whole state dict, this process's parts, divided as the tensors of the same names in `like` are."""
    return {name: _part(value, like[name]) if name in like else value for name, value in state.items()}


def divide_adam(optimizer: torch.optim.Optimizer) -> None:
    """After a whole state dict was loaded: keep of Adam's moments what belongs to this process's part of each parameter.

    They get its order of memory too, which one process and several may have different: the fused Adam relies on it.
    """
    for p, moments in optimizer.state.items():
        for name in moments.keys() - {"step"}:
            moments[name] = _part(moments[name], p) if is_part(p) else torch.empty_like(p).copy_(moments[name])


def _part(value: Tensor, like: Tensor) -> Tensor:
    from torch.distributed.tensor import distribute_tensor

    if not is_part(like):
        return value
    # Every process has read the same file: nothing needs to be sent.
    return distribute_tensor(value.to(like.device).contiguous(), like.device_mesh, like.placements, src_data_rank=None)  # type: ignore[attr-defined]


def clip(model: nn.Module, length: float) -> None:
    """Scale the gradient down to this length where it is longer: `torch.nn.utils` alone takes no mixture with whole tensors."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.stack([whole(g.norm()) for g in gradients]).norm()
    nn.utils.clip_grads_with_norm_(model.parameters(), length, norm, foreach=False)
