# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Multi-task learning: exercises
#
# **For those who have read** chapter 05. Twelve tasks, about three and a half hours in all, and an open question. Each check answers at once: with ✓ and your points, or with the first thing that is
# wrong and the idea behind it. Its inputs are drawn anew each time, so an answer that knows one example by heart does not pass.
#
# Write where it says `YOUR CODE HERE`, and delete the line that raises. Unfold a hint as late as you can, and one at a time. What
# you have solved is remembered: `mmteach check --progress` in a terminal shows it.

# %%
import math

import torch
from torch import nn
from torch.nn import functional as F

from mmteach.exercises import check
from mmteach.recipes import stored

# %% [markdown]
# {{multi_task.share}}


# %%
class Shared(nn.Module):
    def __init__(self, inputs, hidden, tasks):
        super().__init__()
        # BEGIN SOLUTION
        self.trunk = nn.Linear(inputs, hidden)
        self.heads = nn.ModuleDict({task: nn.Linear(hidden, classes) for task, classes in tasks.items()})
        # END SOLUTION

    def forward(self, x):
        # BEGIN SOLUTION
        h = self.trunk(x).relu()
        return {task: head(h) for task, head in self.heads.items()}
        # END SOLUTION


# %%
check("multi_task.share", Shared)

# %% [markdown]
# {{multi_task.conflicts}}


# %%
def conflicts(gradients):
    # BEGIN SOLUTION
    rows = []
    for row in gradients:
        pieces = []
        for parameter, gradient in enumerate(row):
            if gradient is None:  # zeros, in the shape that another task's gradient has
                used = [other[parameter] for other in gradients if other[parameter] is not None]
                gradient = torch.zeros_like(used[0])
            pieces.append(gradient.flatten())
        rows.append(torch.cat(pieces))
    G = torch.stack(rows)
    unit = G / G.norm(dim=1, keepdim=True).clamp(min=torch.finfo(G.dtype).tiny)
    return unit @ unit.T
    # END SOLUTION


# %%
check("multi_task.conflicts", conflicts)

# %% [markdown]
# {{multi_task.uncertainty}}


# %%
def weighted(losses, s):
    # BEGIN SOLUTION
    return (torch.exp(-s) * losses + s).sum() / 2
    # END SOLUTION


# %%
check("multi_task.uncertainty", weighted)

# %% [markdown]
# {{multi_task.dwa}}


# %%
def averaged(history, tau):
    # BEGIN SOLUTION
    if len(history) < 2:
        return torch.ones(history.shape[1])
    r = history[-1] / history[-2]
    return len(r) * torch.softmax(r / tau, dim=0)
    # END SOLUTION


# %%
check("multi_task.dwa", averaged)

# %% [markdown]
# {{multi_task.gradnorm}}


# %%
def gradnorm(losses, first, lengths, s, alpha):
    # BEGIN SOLUTION
    w = len(s) * s.softmax(dim=0)
    share = losses / first
    target = (w * lengths).mean() * (share / share.mean()) ** alpha
    return (w * lengths - target.detach()).abs().sum()
    # END SOLUTION


# %%
check("multi_task.gradnorm", gradnorm)

# %% [markdown]
# {{multi_task.units}}

# %%
angles = {"sum": None, "PCGrad": None, "MGDA": None, "uncertainty": None, "GradNorm": None}
# BEGIN SOLUTION
from mmteach import multitask

g, L = torch.tensor([[10.0, 0.0], [-1.0, 1.0]]), torch.tensor([4.0, 0.4])  # after the change of unit
directions = {
    "sum": g.sum(dim=0),
    "PCGrad": multitask.pcgrad(g),
    "MGDA": multitask.mgda(g),
    "uncertainty": (1 / (2 * L)) @ g,
    "GradNorm": (1 / g.norm(dim=1)) @ g,  # α = 0: weighted gradients of equal length
}
angles = {rule: math.degrees(math.atan2(d[1], d[0])) for rule, d in directions.items()}
# END SOLUTION

# %%
check("multi_task.units", angles)

# %% [markdown]
# {{multi_task.pcgrad}}


# %%
def pcgrad(g):
    # BEGIN SOLUTION
    v = g.clone()
    for i in range(len(g)):
        for j in range(len(g)):
            dot = v[i] @ g[j]
            if j != i and dot < 0:
                v[i] -= dot / (g[j] @ g[j]) * g[j]
    return v.sum(dim=0)
    # END SOLUTION


# %%
check("multi_task.pcgrad", pcgrad)

# %% [markdown]
# {{multi_task.mgda}}


# %%
def shortest(g1, g2):
    # BEGIN SOLUTION
    apart = ((g1 - g2) @ (g1 - g2)).clamp(min=torch.finfo(g1.dtype).tiny)
    gamma = ((g2 - g1) @ g2 / apart).clamp(0, 1)
    return gamma * g1 + (1 - gamma) * g2
    # END SOLUTION


# %%
check("multi_task.mgda", shortest)

# %% [markdown]
# {{multi_task.labels}}


# %%
def joint_as_it_is(left, right, y_left, y_right):
    return sum(F.cross_entropy(o, y.clamp(min=0)) for o, y in ((left, y_left), (right, y_right)))


def try_out(joint):
    """Train one network for two tasks; accuracy of left and right on fresh examples, and the share of each answer to the right task."""
    torch.manual_seed(0)
    looks = torch.randn(2, 4, 12)  # of each task, what its four classes look like

    def draw(n):
        y = torch.randint(4, (2, n))
        return looks[0][y[0]] + looks[1][y[1]] + 0.7 * torch.randn(n, 12), y

    x, y = draw(600)
    y[1, torch.rand(600) < 0.9] = -1  # nine in ten have no label for the right task
    trunk, heads = nn.Linear(12, 32), nn.ModuleList([nn.Linear(32, 4), nn.Linear(32, 4)])
    optimiser = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=0.01)
    for _ in range(60):
        rows = torch.randperm(600)[:64]
        h = trunk(x[rows]).relu()
        loss = joint(heads[0](h), heads[1](h), y[0, rows], y[1, rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, y = draw(1000)
    with torch.no_grad():
        answers = torch.stack([head(trunk(x).relu()).argmax(1) for head in heads])
    return (answers == y).float().mean(1).tolist(), (answers[1].bincount(minlength=4) / 1000).tolist()


def tell(joint):
    (left, right), answers = try_out(joint)
    shares = ", ".join(f"{share:.2f}" for share in answers)
    return f"left {left:.2f}, right {right:.2f} (a guess: 0.25); the right task answers 0, 1, 2, 3 in shares {shares}"


# %% tags=["measured"]
print("as it is:  ", tell(joint_as_it_is))


# %%
def joint(left, right, y_left, y_right):
    # BEGIN SOLUTION
    total = 0
    for logits, y in ((left, y_left), (right, y_right)):
        known = y >= 0
        cost = F.cross_entropy(logits[known], y[known], reduction="sum")
        total = total + cost / known.sum().clamp(min=1)
    return total
    # END SOLUTION


# %%
check("multi_task.labels", joint)

# %% tags=["measured", "needs-answer"]
print("with yours:", tell(joint))

# %% [markdown]
# {{multi_task.table}}

# %% tags=["measured"]
table, _ = stored("multitask-methods")  # chapter 05 says how it was made
wide = table[table.seed < 4].pivot(index="seed", columns="model", values="mean")
wide.T

# %%
reading = {"gain": None, "low": None, "twins": None, "winners": None}
# BEGIN SOLUTION
from mmteach.metrics import paired_difference

difference = paired_difference(wide["single"], wide["equal"])
reading = {
    "gain": 100 * difference.mean,
    "low": 100 * difference.low,
    "twins": 100 * (wide["PCGrad"] - wide["UPGrad"]).abs().max(),
    "winners": wide.drop(columns="single").idxmax(axis=1).nunique(),
}
# END SOLUTION

# %%
check("multi_task.table", reading)

# %% [markdown]
# {{multi_task.holm}}


# %%
def adjusted(p):
    # BEGIN SOLUTION
    values, places = p.sort()
    factors = torch.arange(len(p), 0, -1)  # the smallest of M competes with all M
    corrected = (factors * values).clamp(max=1).cummax(dim=0).values
    result = torch.empty_like(p)
    result[places] = corrected
    return result
    # END SOLUTION


# %%
check("multi_task.holm", adjusted)

# %% [markdown]
# {{multi_task.plan}}

# %%
plan = {"methods": None, "seeds": None, "rates": None}
# BEGIN SOLUTION
# t · 0.25 / √n is 0.209 for 8 seeds and 0.192 for 9. Four methods make 7 networks each time; 7 · (2 · 3 + 9) = 105.
plan = {"methods": 4, "seeds": 9, "rates": 3}
# END SOLUTION

# %%
check("multi_task.plan", plan)

# %% [markdown]
# ## Open question · One network for a hospital?
#
# A hospital wants four answers from one chest X-ray: a fracture (80,000 labels), pneumonia (12,000), a rare tumour (300), and the patient's age (all pictures, free of charge). It asks whether one network should
# give all four. In 200 to 300 words: for which of the tasks do you expect sharing to help, for which to hurt, and why? What would you measure during training to see it? Which way of sharing and which
# weighting do you begin with, and what would make you change it? Describe the comparison that decides: baselines, budget, seeds, the figure for each task. Last: name one way in which the age task could
# make the tumour task *look* better without helping any patient.
#
# Read again: [2 · Do the tasks pull the same way?](../notebooks/05_multi_task.ipynb#2-%C2%B7-Do-the-tasks-pull-the-same-way%3F); [4 · Weigh the losses](../notebooks/05_multi_task.ipynb#4-%C2%B7-Weigh-the-losses); [6 · All of them, on equal terms](../notebooks/05_multi_task.ipynb#6-%C2%B7-All-of-them%2C-on-equal-terms); [8 · Few labels: when sharing pays, and when it hurts](../notebooks/05_multi_task.ipynb#8-%C2%B7-Few-labels%3A-when-sharing-pays%2C-and-when-it-hurts); [Learn how much to share](../notebooks/05_multi_task.ipynb#Learn-how-much-to-share).
#
# *6 points, marked by a person.*

# %% [markdown] tags=["open:6"]
# <!-- BEGIN SOLUTION -->
# **Rubric** (6 points)
#
# | points | for |
# |---|---|
# | 1 | the rare tumour has most to gain, from tasks that need the same features (texture of the lung, not bones); the task with 80,000 labels has little to gain and may lose |
# | 1 | a measurement during training: cosines of the tasks' gradients with their noise level, losses task by task on validation; not the sum alone |
# | 1 | a simple beginning (hard sharing, equal weights after bringing the losses to one unit: age in years is no cross-entropy) and a reason to leave it |
# | 1 | missing labels: each task's mean over the known ones, batches in which the rare task occurs |
# | 1 | a comparison with a network a task of the same care and budget; several seeds, paired, with intervals; a figure for rare classes; split by patient |
# | 1 | the shortcut: the tumour goes with age, so the network can learn “old” instead of “tumour”; found by comparing within age groups or on a second hospital |
# <!-- END SOLUTION -->
