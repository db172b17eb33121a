"""Architectures for several tasks: which parameters the tasks share.

| name          | shared                                | when to use it                                             |
|---------------|---------------------------------------|------------------------------------------------------------|
| `HardSharing` | one trunk                             | the baseline; fewest parameters, tasks that go together    |
| `MMoE`        | all experts, a gate a task            | tasks that agree in part: each picks its own mixture       |
| `CGC`         | some experts; every task has its own  | tasks that hurt each other: what conflicts need not mix    |
| `CrossStitch` | nothing; features mix after each stage | to *learn* how much to share, at the price of T trunks     |

Each is built from modules of yours (an expert, a trunk, a head is any nn.Module) and answers with a dict of outputs by
task. `forward` takes one input for all tasks, or a dict with an input a task (image → group beside text → group).
`shared_parameters()` are those that the gradient methods combine; the rest belongs to one task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from mmteach import _check


def _by_task(x: Tensor | Mapping[str, Tensor], tasks: Sequence[str]) -> dict[str, Tensor]:
    """An input a task: the same tensor for all, or the one the dict has for each; none of them empty."""
    if isinstance(x, Tensor):
        _not_empty("x", x)
        return dict.fromkeys(tasks, x)
    if not isinstance(x, Mapping):
        raise TypeError(f"x must be a tensor or a dict with one for each task, got {type(x).__name__}")
    if sorted(x) != sorted(tasks):
        raise ValueError(
            f"x must be a tensor, or hold one tensor for each of the tasks {sorted(tasks)}, got {sorted(x)}"
        )
    for task in tasks:
        _not_empty(f"x[{task!r}]", x[task])
    return {task: x[task] for task in tasks}


def _not_empty(name: str, x: Tensor) -> None:
    if 0 in x.shape:
        raise ValueError(f"{name} is empty: shape {tuple(x.shape)}")


def _same_widths(outputs: list[Tensor]) -> None:
    """Raise unless all experts put out the same shape."""
    for e, output in enumerate(outputs):
        _check.same_shape(f"the output of expert {e}", output, "that of expert 0", outputs[0])


def _heads(heads: Mapping[str, nn.Module]) -> nn.ModuleDict:
    if len(heads) < 2:
        raise ValueError(f"heads must hold two tasks or more, got {sorted(heads)}")
    return nn.ModuleDict(heads)


class _Gate(nn.Module):
    """softmax(W x + b) over the experts, then their weighted sum: (B, dim), E of (B, H) → (B, H)."""

    def __init__(self, dim: int, experts: int) -> None:
        super().__init__()
        self.dim = dim
        self.score = nn.Linear(dim, experts)

    def forward(self, x: Tensor, experts: list[Tensor]) -> Tensor:
        x = x.flatten(1)
        _check.shape("x, flattened for the gate,", x, "B", self.dim)
        _same_widths(experts)
        weights = torch.softmax(self.score(x), dim=1)  # (B, E)
        return (weights.unsqueeze(2) * torch.stack(experts, dim=1)).sum(1)  # (B, E, H) → (B, H)


class HardSharing(nn.Module):
    """One trunk for every task, and a head each: y_t = head_t(trunk(x)).

    trunk: module (B, …) → (B, H), shared by all
    heads: by task, module (B, H) → (B, classes); two tasks or more
    forward(x): x (B, …), or an input a task (each goes through the same trunk) → outputs by task
    Parameters: those of the trunk and of the heads.
    Paper: Caruana 1993, Multitask Learning: A Knowledge-Based Source of Inductive Bias.

    >>> model = HardSharing(nn.Linear(4, 3), {"left": nn.Linear(3, 10), "right": nn.Linear(3, 10)})
    >>> {task: tuple(y.shape) for task, y in model(torch.zeros(5, 4)).items()}
    {'left': (5, 10), 'right': (5, 10)}
    """

    def __init__(self, trunk: nn.Module, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = _heads(heads)

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """The trunk's."""
        return self.trunk.parameters()

    def forward(self, x: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        inputs = _by_task(x, list(self.heads))
        if isinstance(x, Tensor):  # one pass through the trunk serves every task
            h = self.trunk(x)
            return {task: head(h) for task, head in self.heads.items()}
        return {task: head(self.trunk(inputs[task])) for task, head in self.heads.items()}


class MMoE(nn.Module):
    """Multi-gate mixture of experts: y_t = head_t( Σ_e g_te f_e(x) ), with g_t = softmax(W_t x + b_t).

    dim:     width of the input that the gates read (of x flattened, where x is an image)
    experts: modules f_e: (B, …) → (B, H), all of the same H; one or more
    heads:   by task, module (B, H) → (B, classes); two tasks or more
    forward(x): x (B, …), or an input a task → outputs by task
    Parameters: experts + heads + T (dim + 1) E for the gates.
    Paper: Ma, Zhao, Yi, Chen, Hong & Chi 2018, Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts.

    >>> experts = [nn.Sequential(nn.Linear(4, 3), nn.ReLU()) for _ in range(2)]
    >>> model = MMoE(4, experts, {"left": nn.Linear(3, 10), "right": nn.Linear(3, 10)})
    >>> tuple(model(torch.zeros(5, 4))["left"].shape)
    (5, 10)
    """

    def __init__(self, dim: int, experts: Sequence[nn.Module], heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        if not experts:
            raise ValueError("experts must hold one module or more, got none")
        self.experts = nn.ModuleList(experts)
        self.heads = _heads(heads)
        self.gates = nn.ModuleDict({task: _Gate(dim, len(experts)) for task in heads})

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """The experts'."""
        return self.experts.parameters()

    def forward(self, x: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        inputs = _by_task(x, list(self.heads))
        if isinstance(x, Tensor):  # every expert runs once and serves every task
            common = [expert(x) for expert in self.experts]
            mixed = {task: gate(x, common) for task, gate in self.gates.items()}
        else:
            mixed = {
                task: gate(inputs[task], [expert(inputs[task]) for expert in self.experts])
                for task, gate in self.gates.items()
            }
        return {task: head(mixed[task]) for task, head in self.heads.items()}


class CGC(nn.Module):
    """Customised gate control: a task mixes the shared experts with its own.

    y_t = head_t( Σ_e g_te f_e(x) ), where e runs over the shared experts and those of task t alone. One level of
    progressive layered extraction (PLE); no task ever sees another's own experts.

    dim:    width of the input that the gates read (of x flattened)
    shared: modules (B, …) → (B, H); one or more
    own:    by task, modules (B, …) → (B, H); each task has one or more
    heads:  by task, module (B, H) → (B, classes); two tasks or more
    forward(x): x (B, …), or an input a task → outputs by task
    Parameters: experts + heads + Σ_t (dim + 1)(E_shared + E_t) for the gates.
    Paper: Tang, Liu, Zhao & Gong 2020, Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL)
    Model for Personalized Recommendations.

    >>> model = CGC(4, [nn.Linear(4, 3)], {t: [nn.Linear(4, 3)] for t in "ab"}, {t: nn.Linear(3, 2) for t in "ab"})
    >>> tuple(model(torch.zeros(5, 4))["b"].shape)
    (5, 2)
    """

    def __init__(
        self,
        dim: int,
        shared: Sequence[nn.Module],
        own: Mapping[str, Sequence[nn.Module]],
        heads: Mapping[str, nn.Module],
    ) -> None:
        super().__init__()
        self.heads = _heads(heads)
        if sorted(own) != sorted(heads):
            raise ValueError(f"own must name the same tasks as heads, {sorted(heads)}, got {sorted(own)}")
        if not shared or not all(own.values()):
            counts = {"shared": len(shared)} | {task: len(experts) for task, experts in own.items()}
            raise ValueError(f"shared and every task's own must hold one expert or more, got {counts}")
        self.shared = nn.ModuleList(shared)
        self.own = nn.ModuleDict({task: nn.ModuleList(own[task]) for task in heads})
        self.gates = nn.ModuleDict({task: _Gate(dim, len(shared) + len(own[task])) for task in heads})

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """The shared experts'."""
        return self.shared.parameters()

    def forward(self, x: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        inputs = _by_task(x, list(self.heads))
        outputs = {}
        for task, head in self.heads.items():
            own: nn.ModuleList = self.own[task]  # type: ignore[assignment]
            experts = [expert(inputs[task]) for expert in chain(self.shared, own)]
            outputs[task] = head(self.gates[task](inputs[task], experts))
        return outputs


class CrossStitch(nn.Module):
    """A trunk a task, whose features are mixed after every stage by learned numbers: x̃_t = Σ_u α_tu x_u.

    With two tasks A and B: x̃_A = α_AA x_A + α_AB x_B. α = identity is no sharing at all, equal rows are full sharing.

    stages: by task, modules run one after the other; stage k of every task must give the same shape
    heads:  by task, module (B, H) → (B, classes); two tasks or more
    own:    the α_tt to begin with, between 0 and 1; the other tasks share the rest of the row equally
    forward(x): x (B, …), or an input a task → outputs by task
    Parameters: stages + heads + K T² for the α of K stages; `alphas` holds one (T, T) a stage, tasks in order of `heads`.
    Paper: Misra, Shrivastava, Gupta & Hebert 2016, Cross-stitch Networks for Multi-task Learning.

    >>> model = CrossStitch({t: [nn.Linear(4, 3)] for t in "ab"}, {t: nn.Linear(3, 2) for t in "ab"})
    >>> model.alphas[0].detach()
    tensor([[0.9000, 0.1000],
            [0.1000, 0.9000]])
    """

    def __init__(
        self, stages: Mapping[str, Sequence[nn.Module]], heads: Mapping[str, nn.Module], own: float = 0.9
    ) -> None:
        super().__init__()
        self.heads = _heads(heads)
        if sorted(stages) != sorted(heads):
            raise ValueError(f"stages must name the same tasks as heads, {sorted(heads)}, got {sorted(stages)}")
        depths = {task: len(parts) for task, parts in stages.items()}
        if len(set(depths.values())) > 1 or 0 in depths.values():
            raise ValueError(f"stages must have the same number of modules for every task, one or more, got {depths}")
        _check.between("own", own, 0, 1)
        self.stages = nn.ModuleDict({task: nn.ModuleList(stages[task]) for task in heads})
        tasks = len(heads)
        alpha = torch.full((tasks, tasks), (1 - own) / (tasks - 1))
        alpha.fill_diagonal_(own)
        self.alphas = nn.ParameterList([nn.Parameter(alpha.clone()) for _ in range(next(iter(depths.values())))])

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """All but the heads': through the α every task reaches every stage."""
        return chain(self.stages.parameters(), self.alphas.parameters())

    def forward(self, x: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        inputs = _by_task(x, list(self.heads))
        for k, alpha in enumerate(self.alphas):
            features = [self.stages[task][k](inputs[task]) for task in self.heads]  # type: ignore[index]
            for task, h in zip(self.heads, features):
                _check.same_shape(f"stage {k} of {task!r}", h, f"stage {k} of the first task", features[0])
            stacked = torch.stack(features)  # (T, B, …)
            mixed = torch.einsum("tu,u...->t...", alpha, stacked)  # (T, T), (T, B, …) → (T, B, …)
            inputs = dict(zip(self.heads, mixed))
        return {task: head(inputs[task]) for task, head in self.heads.items()}
