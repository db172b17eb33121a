"""Answering questions about objects: compare all pairs of them, or read everything at once.

| name              | what it is                                       | when to use it                                        |
|-------------------|--------------------------------------------------|-------------------------------------------------------|
| `RelationNetwork` | one small network looks at every pair of objects | the answer depends on how objects stand to each other |
| `StateMLP`        | one MLP reads all objects laid end to end        | the baseline with the same number of parameters       |

`relation_pixels` has the same two on top of a CNN, for pictures.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.encoders._parts import check_dtype, check_mask


def mlp(inputs: int, hidden: int, layers: int, outputs: int | None = None) -> nn.Sequential:
    """`layers` hidden layers with relu, then a linear layer to `outputs` where that is given."""
    widths = [inputs] + [hidden] * layers
    stack: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        stack += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*stack, *([] if outputs is None else [nn.Linear(widths[-1], outputs)]))


def read_scene(
    inputs: Mapping[str, Tensor],
    names: tuple[str, str],
    masks: Mapping[str, Tensor] | None,
    present: Mapping[str, Tensor] | None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """What is looked at, the question, and which objects are real; zeros where something is absent.

    Raises ValueError where one of `names` is missing from inputs.
    """
    for name in names:
        if name not in inputs:
            raise ValueError(f"inputs must hold {names[0]!r} and {names[1]!r}, got {sorted(inputs)}")
    for name in names:
        check_mask((present or {}).get(name), len(inputs[name]), name=f"present[{name!r}]")
    if inputs[names[0]].ndim == 3:
        check_mask((masks or {}).get(names[0]), *inputs[names[0]].shape[:2], name=f"masks[{names[0]!r}]")
    blanked = _check.blank_absent({name: inputs[name] for name in names}, present)
    real = (masks or {}).get(names[0])
    if present and names[0] in present and blanked[names[0]].ndim == 3:
        here = present[names[0]][:, None].expand(blanked[names[0]].shape[:2])
        real = here if real is None else real & here
    return blanked[names[0]], blanked[names[1]], real


class RelationNetwork(nn.Module):
    """One network g looks at every ordered pair of objects together with the question; f reads the sum.

        answer = f( Σ_{i,j} g([o_i; o_j; q]) )

    pool: "sum" as in the paper; "mean" divides by the number of pairs; "softmax" weights them, Σ a_ij g_ij with
    a = softmax_ij(u · g_ij), so that a few telling pairs are not lost among the others
    object_dim, question_dim, answers: sizes; hidden: width of g and f; g_layers, f_layers: their hidden layers. Where g has to
    work out distances, four layers learn it sooner than three.
    forward(inputs {"state": o (B, N, object_dim), "question": q (B, question_dim)}, masks={"state": bool (B, N)}, present)
    → logits (B, answers). Any number of objects, in any order: the answer does not depend on the order.
    A masked object takes part in no pair, whatever stands there; without any object f reads zeros.

    Raises ValueError for inputs that are missing or do not fit.
    Santoro et al. 2017, A simple neural network module for relational reasoning.

    >>> network = RelationNetwork(object_dim=10, question_dim=11, answers=10, hidden=16)
    >>> tuple(network({"state": torch.zeros(2, 6, 10), "question": torch.zeros(2, 11)}).shape)
    (2, 10)
    """

    def __init__(
        self,
        object_dim: int,
        question_dim: int,
        answers: int,
        *,
        hidden: int = 128,
        g_layers: int = 4,
        f_layers: int = 2,
        pool: str = "sum",
    ) -> None:
        super().__init__()
        _check.choice("pool", pool, ("sum", "mean", "softmax"))
        sizes = {"object_dim": object_dim, "question_dim": question_dim, "answers": answers, "hidden": hidden}
        for name, value in {**sizes, "g_layers": g_layers, "f_layers": f_layers}.items():
            _check.positive(name, value)
        self.object_dim, self.question_dim, self.answers, self.pool = object_dim, question_dim, answers, pool
        self.g = mlp(2 * object_dim + question_dim, hidden, g_layers)
        self.f = mlp(hidden, hidden, f_layers, answers)
        # One number a pair. Adding a constant to all of them would change nothing, so there is no bias.
        self.score = nn.Linear(hidden, 1, bias=False) if pool == "softmax" else None

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        objects, question, real = read_scene(inputs, ("state", "question"), masks, present)
        return self.relate(objects, question, real)

    def relate(self, objects: Tensor, question: Tensor, real: Tensor | None = None) -> Tensor:
        """objects (B, N, object_dim), question (B, question_dim), real bool (B, N) or None → logits (B, answers)."""
        _check.shape("objects", objects, "B", "N", self.object_dim)
        _check.shape("question", question, len(objects), self.question_dim)
        for name, x in (("objects", objects), ("question", question)):
            check_dtype(name, x, next(self.parameters()).dtype)
        b, n, _ = objects.shape
        if real is None:
            real = torch.ones(b, n, dtype=torch.bool, device=objects.device)
        check_mask(real, b, n, name="the mask of objects")
        objects = objects.masked_fill(~real[..., None], 0)
        first = objects[:, :, None].expand(b, n, n, -1)
        second = objects[:, None, :].expand(b, n, n, -1)
        asked = question[:, None, None].expand(b, n, n, -1)
        pairs = self.g(torch.cat([first, second, asked], -1)).flatten(1, 2)  # (B, N², hidden)
        both = (real[:, :, None] & real[:, None, :]).flatten(1)[..., None]  # (B, N², 1)
        pairs = pairs.masked_fill(~both, 0)
        if self.score is not None:
            scores = self.score(pairs).masked_fill(~both, torch.finfo(pairs.dtype).min)
            return self.f((scores.softmax(1) * pairs).sum(1))
        total = pairs.sum(1)
        return self.f(total if self.pool == "sum" else total / both.sum(1).clamp(min=1).to(total.dtype))


class StateMLP(nn.Module):
    """Reads all objects and the question as one long vector: the baseline that must find out about pairs by itself.

        answer = MLP([o_1; …; o_N; q])

    objects: N, which is fixed; the other sizes are as in `RelationNetwork`; layers: hidden layers
    forward(inputs, masks, present) → logits (B, answers), inputs as for `RelationNetwork`; a masked object is read as zeros.

    Raises ValueError for inputs that are missing or do not fit.
    The baseline of Santoro et al. 2017, A simple neural network module for relational reasoning.

    >>> baseline = StateMLP(objects=6, object_dim=10, question_dim=11, answers=10, hidden=16)
    >>> tuple(baseline({"state": torch.zeros(2, 6, 10), "question": torch.zeros(2, 11)}).shape)
    (2, 10)
    """

    def __init__(
        self, objects: int, object_dim: int, question_dim: int, answers: int, *, hidden: int = 256, layers: int = 4
    ) -> None:
        super().__init__()
        sizes = {"objects": objects, "object_dim": object_dim, "question_dim": question_dim, "answers": answers}
        for name, value in {**sizes, "hidden": hidden, "layers": layers}.items():
            _check.positive(name, value)
        self.objects, self.object_dim, self.question_dim = objects, object_dim, question_dim
        self.read = mlp(objects * object_dim + question_dim, hidden, layers, answers)

    @classmethod
    def like(cls, network: RelationNetwork, objects: int, layers: int = 4) -> StateMLP:
        """The baseline whose number of parameters comes nearest to the relation network's: a fair comparison.

        >>> network = RelationNetwork(10, 11, 10)
        >>> sizes = [sum(p.numel() for p in m.parameters()) for m in (network, StateMLP.like(network, objects=6))]
        >>> abs(sizes[1] / sizes[0] - 1) < 0.01
        True
        """
        budget = sum(p.numel() for p in network.parameters())
        inputs = objects * network.object_dim + network.question_dim

        def size(hidden: int) -> int:
            return (inputs + 1) * hidden + (layers - 1) * (hidden + 1) * hidden + (hidden + 1) * network.answers

        hidden = 1
        while size(hidden) < budget:
            hidden += 1
        if hidden > 1 and budget - size(hidden - 1) < size(hidden) - budget:
            hidden -= 1
        return cls(objects, network.object_dim, network.question_dim, network.answers, hidden=hidden, layers=layers)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        objects, question, real = read_scene(inputs, ("state", "question"), masks, present)
        _check.shape("objects", objects, "B", self.objects, self.object_dim)
        _check.shape("question", question, len(objects), self.question_dim)
        for name, x in (("objects", objects), ("question", question)):
            check_dtype(name, x, next(self.parameters()).dtype)
        if real is not None:
            objects = objects.masked_fill(~real[..., None], 0)
        return self.read(torch.cat([objects.flatten(1), question], 1))
