"""From losses to one gradient a task, and back: the Jacobian (T, P) that every gradient method works on.

| name             | what it is                                                                       |
|------------------|----------------------------------------------------------------------------------|
| `task_gradients` | the Jacobian: row t is the gradient of L_t over all shared parameters, flattened |
| `cosine_matrix`  | the cosine between every two tasks' gradients: conflict, measured                |
| `set_gradient`   | writes a combined gradient (P,) into the parameters' `.grad`                     |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from mmteach import _check


def _parameters(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    kept = [p for p in parameters if p.requires_grad]
    if not kept:
        raise ValueError("parameters must hold at least one that requires a gradient, got none")
    return kept


def task_gradients(losses: Tensor | Sequence[Tensor], parameters: Iterable[nn.Parameter]) -> Tensor:
    """The gradient of each task's loss with respect to the shared parameters: G_t = ∇_θ L_t.

    losses:     T scalar losses, a list or a tensor (T,)
    parameters: the shared ones, in any order (frozen ones are passed over); one that a task does not use gives zeros
    Returns (T, P), P the number of numbers in all parameters. The graph is kept, so that `losses.sum().backward()` can
    still give the heads their gradients. It costs T backward passes.
    Raises ValueError for losses that are no scalars or have no graph, and where no parameter requires a gradient.

    >>> theta = nn.Parameter(torch.tensor([1.0, 2.0]))
    >>> task_gradients([theta.sum(), (theta**2).sum()], [theta])
    tensor([[1., 1.],
            [2., 4.]])
    """
    kept = _parameters(parameters)
    if isinstance(losses, Tensor):
        _check.shape("losses", losses, "T")
    losses = list(losses)
    if not losses:
        raise ValueError("losses must hold one scalar a task, got none")
    for t, loss in enumerate(losses):
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            came = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"losses[{t}] must be a scalar tensor, got {came}: take its mean first")
        if not loss.requires_grad:
            raise ValueError(
                f"losses[{t}] has no graph to go back through: it was detached, or made under torch.no_grad()"
            )
    rows = []
    for loss in losses:
        gradients = torch.autograd.grad(loss, kept, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([g.flatten() for g in gradients]))
    return torch.stack(rows)


def cosine_matrix(jacobian: Tensor) -> Tensor:
    """The cosine of the angle between every two tasks' gradients: c_tu = g_t·g_u / (‖g_t‖ ‖g_u‖).

    Below 0 the tasks conflict: a step that helps one hurts the other. In many dimensions unrelated gradients give
    about 0, ± 1/√P. A zero gradient has cosine 0 with everything, itself included.

    jacobian: (T, P). Returns (T, T), symmetric.
    Paper: Du, Czarnecki, Jayakumar, Farajtabar, Pascanu & Lakshminarayanan 2018, Adapting Auxiliary Losses Using
    Gradient Similarity.

    >>> cosine_matrix(torch.tensor([[2.0, 0.0], [-1.0, 0.0], [0.0, 3.0]]))
    tensor([[ 1., -1.,  0.],
            [-1.,  1.,  0.],
            [ 0.,  0.,  1.]])
    """
    _check.shape("jacobian", jacobian, "T", "P")
    _check.floating("jacobian", jacobian)
    unit = nn.functional.normalize(jacobian, dim=1, eps=torch.finfo(jacobian.dtype).tiny)
    return unit @ unit.T


def set_gradient(parameters: Iterable[nn.Parameter], gradient: Tensor) -> None:
    """Write a combined gradient into `.grad` of the shared parameters, in the order `task_gradients` used.

    parameters: the same ones, in the same order
    gradient:   (P,), what an aggregator returned; what stood in `.grad` before is replaced

    >>> theta = nn.Parameter(torch.zeros(2, 2))
    >>> set_gradient([theta], torch.tensor([1.0, 2.0, 3.0, 4.0]))
    >>> theta.grad
    tensor([[1., 2.],
            [3., 4.]])
    """
    kept = _parameters(parameters)
    _check.shape("gradient", gradient, sum(p.numel() for p in kept))
    for p, piece in zip(kept, gradient.detach().split([p.numel() for p in kept])):
        # In the parameter's own layout in memory (a filter may have its channels last): fused optimisers go by memory.
        p.grad = torch.empty_like(p).copy_(piece.view_as(p))
