# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Outlook: exercises
#
# **For those who have read** chapter 07. Eight tasks, about two and a half hours in all, and an open question; they stand by themselves, so take those you need. Each check answers at once: with ✓ and
# your points, or with the first thing that is wrong and the idea behind it. Its inputs are drawn anew each time, so an answer that knows one example by heart does not pass.
#
# Write where it says `YOUR CODE HERE`, and delete the line that raises. Unfold a hint as late as you can, and one at a time. What
# you have solved is remembered: `mmteach check --progress` in a terminal shows it.

# %%
import numpy as np
import torch
from torch.nn import functional as F

from mmteach.exercises import check

# %% [markdown]
# {{outlook.bind}}


# %%
def bind(text, others, present, temperature):
    # BEGIN SOLUTION
    loss = torch.zeros(())
    for name, vectors in others.items():
        there = present[name]
        if not there.any():
            continue
        t, x = F.normalize(text[there], dim=1), F.normalize(vectors[there], dim=1)
        scores, partner = x @ t.T / temperature, torch.arange(len(t))
        loss = loss + (F.cross_entropy(scores, partner) + F.cross_entropy(scores.T, partner)) / 2
    return loss
    # END SOLUTION


# %%
check("outlook.bind", bind)

# %% [markdown]
# {{outlook.worlds}}

# %%
bits = {
    "parity, two": None,
    "parity, three": None,
    "all, one": None,
    "all, two": None,
    "switch, x3": None,
    "switch, x1 and x3": None,
}
# BEGIN SOLUTION
import itertools
from collections import Counter
from math import log2


def information(y, *inputs):
    """Bits that these of the three coins tell about y, from the eight cases."""
    cases = [(tuple(coins[i] for i in inputs), y(*coins)) for coins in itertools.product((0, 1), repeat=3)]
    joint, x, z = Counter(cases), Counter(a for a, _ in cases), Counter(b for _, b in cases)
    return sum(n / 8 * log2(8 * n / (x[a] * z[b])) for (a, b), n in joint.items())


bits = {
    "parity, two": information(lambda a, b, c: a ^ b ^ c, 0, 1),
    "parity, three": information(lambda a, b, c: a ^ b ^ c, 0, 1, 2),
    "all, one": information(lambda a, b, c: a & b & c, 0),
    "all, two": information(lambda a, b, c: a & b & c, 0, 1),
    "switch, x3": information(lambda a, b, c: a if c else b, 2),
    "switch, x1 and x3": information(lambda a, b, c: a if c else b, 0, 2),
}
# END SOLUTION

# %%
check("outlook.worlds", bits)

# %% [markdown]
# {{outlook.beyond}}


# %%
def beyond_pairs(p):
    # BEGIN SOLUTION
    def information(table):  # (inputs, y)
        independent = table.sum(dim=1, keepdim=True) * table.sum(dim=0)
        there = table > 0
        return (table[there] * torch.log2(table[there] / independent[there])).sum()

    pairs = [information(p.sum(dim=forgotten).flatten(0, 1)) for forgotten in range(3)]
    return information(p.flatten(0, 2)) - max(pairs)
    # END SOLUTION


# %%
check("outlook.beyond", beyond_pairs)

# %% [markdown]
# {{outlook.scaling}}


# %%
def step_with_faults(weights, gradient, rate, scale):
    gradient = gradient / scale
    weights = weights.half() - rate * gradient
    return weights.float(), scale


def train(step, scale):
    """Which of two hums is it? A microphone so quiet that gradients are near 10⁻¹⁰; the share that is right in the end."""
    torch.manual_seed(0)
    y = (torch.rand(400) < 0.5).float()
    x = 1e-9 * (torch.randn(400, 8) + torch.outer(2 * y - 1, torch.linspace(0.2, 1.0, 8)))
    weights = torch.zeros(8)
    for _ in range(200):
        error = torch.sigmoid(1e10 * x @ weights) - y  # a fixed amplifier behind the weights
        gradient = (scale * x.T @ error / len(y)).half()
        weights, scale = step(weights, gradient, 1e7, scale)
    return ((x @ weights > 0) == (y > 0.5)).float().mean().item(), bool(weights.isfinite().all())


# %% tags=["measured"]
for scale in (1.0, 2.0**15, 2.0**50):
    right, finite = train(step_with_faults, scale)
    print(f"with the faults, scale {scale:.0e}: right on {right:.2f}" + ("" if finite else ", and the weights are NaN"))


# %%
def step(weights, gradient, rate, scale):
    # BEGIN SOLUTION
    if not gradient.isfinite().all():
        return weights.clone(), scale / 2
    return weights - rate * gradient.float() / scale, scale
    # END SOLUTION


# %%
check("outlook.scaling", step)

# %% tags=["measured", "needs-answer"]
for scale in (1.0, 2.0**15, 2.0**50):
    print(f"with yours, scale {scale:.0e} at first: right on {train(step, scale)[0]:.2f}")

# %% [markdown]
# {{outlook.shards}}


# %%
def combined(gradients, counts):
    # BEGIN SOLUTION
    workers = [(gradient, n / sum(counts)) for gradient, n in zip(gradients, counts) if n > 0]
    return {name: sum(share * gradient[name] for gradient, share in workers) for name in gradients[0]}
    # END SOLUTION


# %%
check("outlook.shards", combined)

# %% [markdown]
# {{outlook.doubt}}


# %%
def doubting(scores, q):
    # BEGIN SOLUTION
    log_p = torch.cat([scores.log_softmax(dim=1).diagonal(), scores.log_softmax(dim=0).diagonal()])
    if q == 0:
        return -log_p.mean()
    return ((1 - torch.exp(q * log_p)) / q).mean()
    # END SOLUTION


# %%
check("outlook.doubt", doubting)

# %% [markdown]
# {{outlook.curve}}


# %%
def needed(examples, errors, target):
    # BEGIN SOLUTION
    slope, intercept = np.polyfit(np.log(examples), np.log(errors), 1)
    return {"exponent": float(-slope), "examples": float(np.exp((np.log(target) - intercept) / slope))}
    # END SOLUTION


# %%
check("outlook.curve", needed)

# %% [markdown]
# {{outlook.spend}}

# %%
design = {"parameters": None, "examples": None}
# BEGIN SOLUTION
N = torch.logspace(2, 7, 2001, dtype=torch.float64)
D = 1e12 / (6 * N)
best = (0.05 + 6 / N**0.5 + 4 / D**0.3).argmin()
design = {"parameters": N[best].item(), "examples": D[best].item()}
# END SOLUTION

# %%
check("outlook.spend", design)

# %% [markdown]
# ## Open question · An experiment that could fail
#
# Choose one sentence about the future of multimodal learning that you have read somewhere: that more modalities are always better, that data will clean itself, that the largest model wins, or another. In
# 200 to 300 words: make of it a claim that a measurement could refute, with a number in it. Design the smallest experiment that could do so, with data, models, baselines, the figure, its uncertainty and a
# budget in hours. Say beforehand which result would convince you of the contrary, and name one way in which the experiment could seem to confirm the claim although it is wrong.
#
# Read again: [2 · What no pair shows](../notebooks/07_outlook.ipynb#2-%C2%B7-What-no-pair-shows); [4 · Wrong pairs](../notebooks/07_outlook.ipynb#4-%C2%B7-Wrong-pairs); [5 · Little data](../notebooks/07_outlook.ipynb#5-%C2%B7-Little-data); [6 · How large a model](../notebooks/07_outlook.ipynb#6-%C2%B7-How-large-a-model); [7 · Questions people ask](../notebooks/07_outlook.ipynb#7-%C2%B7-Questions-people-ask).
#
# *6 points, marked by a person.*

# %% [markdown] tags=["open:6"]
# <!-- BEGIN SOLUTION -->
# **Rubric** (6 points)
#
# | points | for |
# |---|---|
# | 1 | the sentence is made into one claim with a quantity, a comparison and conditions: a measurement could refute it |
# | 1 | data and split that fit the claim: what is held out is what the claim speaks of; choice on validation |
# | 1 | baselines with the same care and budget: fewer modalities, a smaller model, shuffled pairs, whichever the claim is about |
# | 1 | several seeds, paired, with an interval; the size of a difference that would count is named before |
# | 1 | the contrary is spelled out beforehand: which result would be taken against the claim |
# | 1 | a threat that is real: leakage, unequal budgets, tuning on the test, a copy of one modality within another, or a scale too small to speak of a larger one |
# <!-- END SOLUTION -->
