# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · Concepts: exercises
#
# **For those who have read** chapter 02. Eight tasks, about two hours in all, and an open question. Each check answers at once: with ✓ and your points, or with the first thing that is
# wrong and the idea behind it. Its inputs are drawn anew each time, so an answer that knows one example by heart does not pass.
#
# Write where it says `YOUR CODE HERE`, and delete the line that raises. Unfold a hint as late as you can, and one at a time. What
# you have solved is remembered: `mmteach check --progress` in a terminal shows it.

# %%
import math

import torch
from torch import nn

from mmteach.exercises import check

# %% [markdown]
# {{concepts.standardise}}


# %%
def standardise(train, test):
    # BEGIN SOLUTION
    train, test = train.float() / 255, test.float() / 255
    mean, spread = (f(train, dim=(0, 2, 3), keepdim=True) for f in (torch.mean, torch.std))
    return (test - mean) / spread
    # END SOLUTION


# %%
check("concepts.standardise", standardise)

# %% [markdown]
# {{concepts.pad}}


# %%
def pad(texts, length):
    # BEGIN SOLUTION
    ids = torch.zeros(len(texts), length, dtype=torch.long)
    for row, text in zip(ids, texts):
        row[: len(text)] = torch.tensor(text[:length], dtype=torch.long)
    return ids, ids != 0
    # END SOLUTION


# %%
check("concepts.pad", pad)

# %% [markdown]
# {{concepts.mean}}


# %%
def masked_mean(h, mask):
    # BEGIN SOLUTION
    total = h.masked_fill(~mask[..., None], 0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1)
    # END SOLUTION


# %%
check("concepts.mean", masked_mean)

# %% [markdown]
# {{concepts.last}}

# %%
THINGS = ["cat", "dog", "bird", "fish", "cow"]
WORDS = ["", "?", "the", "chases", "is", "chased", "by", *THINGS]


def sentences():
    """Active and passive sentences of every pair of things: word numbers padded to 80, their mask, and who it is that chases."""
    rows, who = [], []
    for a in THINGS:
        for b in THINGS:
            if a != b:
                rows += [f"the {a} chases the {b}", f"the {b} is chased by the {a}"]
                who += [int(THINGS.index(a) < THINGS.index(b))] * 2  # is it the one that comes first in THINGS?
    ids = torch.zeros(len(rows), 80, dtype=torch.long)
    for row, text in zip(ids, rows):
        words = [WORDS.index(word) for word in text.split()]
        row[: len(words)] = torch.tensor(words)
    return ids, ids != 0, torch.tensor(who)


def last_of_the_reader(h, mask):
    return h[:, -1]


def train_with(last):
    """Train embedding, GRU and a linear layer for 40 steps; returns the accuracy on what it was trained on."""
    torch.manual_seed(0)
    ids, mask, who = sentences()
    embedding, gru, head = nn.Embedding(len(WORDS), 16), nn.GRU(16, 32, batch_first=True), nn.Linear(32, 2)
    optimiser = torch.optim.Adam([*embedding.parameters(), *gru.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(40):
        scores = head(last(gru(embedding(ids))[0], mask))
        loss = nn.functional.cross_entropy(scores, who)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return (scores.argmax(1) == who).float().mean().item()


# %% tags=["measured"]
print(f"the reader as it is: right on {train_with(last_of_the_reader):.2f} of its own training sentences (a coin: .50)")


# %%
def last(h, mask):
    # BEGIN SOLUTION
    places = torch.arange(mask.shape[1], device=mask.device)
    return h[torch.arange(len(h)), (places * mask).amax(dim=1)]
    # END SOLUTION


# %%
check("concepts.last", last)

# %% tags=["measured", "needs-answer"]
print(f"with your last: right on {train_with(last):.2f}")

# %% [markdown]
# {{concepts.alias}}

# %%
heard = {"3000": None, "4600": None, "7000": None, "9000": None, "13500": None}
# BEGIN SOLUTION
n = torch.arange(8000, dtype=torch.float64)
for name in heard:
    tone = torch.cos(2 * math.pi * float(name) * n / 8000)
    heard[name] = torch.fft.rfft(tone).abs().argmax().item()  # one second of sound: bin k is k Hz
# END SOLUTION

# %%
check("concepts.alias", heard)

# %% [markdown]
# {{concepts.window}}

# %%
design = {"window": None, "hop": None, "bands": None}
# BEGIN SOLUTION
# 16,000 / M ≤ 70 gives M ≥ 229; 20 ms are 320 samples. With 24 bands 4,000 numbers a second allow 166 frames, so h ≥ 96;
# 8 ms are 128 samples, and h ≤ M / 2.
design = {"window": 256, "hop": 128, "bands": 32}
# END SOLUTION

# %%
check("concepts.window", design)

# %% [markdown]
# {{concepts.information}}


# %%
def mutual_information(p):
    # BEGIN SOLUTION
    independent = p.sum(dim=1, keepdim=True) * p.sum(dim=0, keepdim=True)
    return (torch.xlogy(p, p) - torch.xlogy(p, independent)).sum() / math.log(2)
    # END SOLUTION


# %%
check("concepts.information", mutual_information)

# %% [markdown]
# {{concepts.gap}}


# %%
def gap(image, text):
    # BEGIN SOLUTION
    x, y = (nn.functional.normalize(z, dim=1) for z in (image, text))
    return (x.mean(dim=0) - y.mean(dim=0)).norm()
    # END SOLUTION


# %%
check("concepts.gap", gap)

# %% [markdown]
# ## Open question · Redundant, unique or synergistic?
#
# Choose a task with two modalities from your own field or life (subtitles and film, X-ray and report, face and voice, map and photo). In 200 to 300 words: what do
# you expect to be redundant, unique and synergistic about the answer, and why? Describe how you would **estimate** the four parts from 2,000 labelled examples, one way in which
# the estimate will be wrong and in which direction, and how you would find that out. Last: which of your preprocessing steps could destroy one of the parts before
# any model sees the data?
#
# Read again: [Four parts](../notebooks/02_concepts.ipynb#Four-parts); [On real data: an estimate, and its traps](../notebooks/02_concepts.ipynb#On-real-data%3A-an-estimate%2C-and-its-traps); [2 · Images: scale, turn, change](../notebooks/02_concepts.ipynb#2-%C2%B7-Images%3A-scale%2C-turn%2C-change).
#
# *6 points, marked by a person.*

# %% [markdown] tags=["open:6"]
# <!-- BEGIN SOLUTION -->
# **Rubric** (6 points)
#
# | points | for |
# |---|---|
# | 1 | a concrete answer variable $y$; the parts are about *it*, not about the modalities |
# | 1 | a plausible example of each of redundant, unique and synergistic, not confused (synergy: neither alone tells, both do) |
# | 1 | an estimate that can be carried out: predictions or clusters, a table, a decomposition; or unimodal against multimodal accuracy, with what that cannot see |
# | 1 | its bias: a sparse table invents information; a weak model hides it; the direction is named |
# | 1 | a control: shuffled answers, fewer cells, known independence, a second half of the data |
# | 1 | a preprocessing step and the part that it destroys (mirroring against “left”, lower case against tone, frame sampling against motion) |
# <!-- END SOLUTION -->
