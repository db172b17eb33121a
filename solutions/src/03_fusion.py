# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Fusion: exercises
#
# **For those who have read** chapter 03. Eight tasks, about two hours in all, and an open question. Each check answers at once: with ✓ and your points, or with the first thing that is
# wrong and the idea behind it. Its inputs are drawn anew each time, so an answer that knows one example by heart does not pass.
#
# Write where it says `YOUR CODE HERE`, and delete the line that raises. Unfold a hint as late as you can, and one at a time. What
# you have solved is remembered: `mmteach check --progress` in a terminal shows it.

# %%
import torch
from torch import nn
from torch.nn import functional as F

from mmteach.exercises import check

# %% [markdown]
# {{fusion.count}}

# %%
parameters = {"convolutions": None, "embedding": None, "lstm": None, "first dense": None, "all": None}
# BEGIN SOLUTION
from mmteach.fusion import ClassicFusion

with torch.device("meta"):
    classic = ClassicFusion(image_size=64, vocabulary=5000)


def count(*parts):
    return sum(p.numel() for part in parts for p in part.parameters())


kinds = {
    kind: [m for m in classic.modules() if isinstance(m, kind)]
    for kind in (nn.Conv2d, nn.Embedding, nn.LSTM, nn.Linear)
}
parameters = {
    "convolutions": count(*kinds[nn.Conv2d]),
    "embedding": count(*kinds[nn.Embedding]),
    "lstm": count(*kinds[nn.LSTM]),
    "first dense": count(kinds[nn.Linear][0]),
    "all": count(classic),
}
# END SOLUTION

# %%
check("fusion.count", parameters)

# %% [markdown]
# {{fusion.bce}}


# %%
def bce(logits, labels):
    # BEGIN SOLUTION
    return -(labels * F.logsigmoid(logits) + (1 - labels) * F.logsigmoid(-logits)).mean()
    # END SOLUTION


# %%
check("fusion.bce", bce)

# %% [markdown]
# {{fusion.auc}}


# %%
def auc(scores, labels):
    # BEGIN SOLUTION
    positive, negative = scores[labels == 1][:, None], scores[labels == 0]
    return ((positive > negative).float() + 0.5 * (positive == negative).float()).mean()
    # END SOLUTION


# %%
check("fusion.auc", auc)

# %% [markdown]
# {{fusion.choose}}


# %%
def reported(history):
    # BEGIN SOLUTION
    best = max(range(len(history)), key=lambda epoch: history[epoch]["valid_auc"])
    return {"epoch": best + 1, "auc": history[best]["test_auc"]}
    # END SOLUTION


# %%
check("fusion.choose", reported)

# %% [markdown]
# {{fusion.gated}}


# %%
class Gated(nn.Module):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__()
        # BEGIN SOLUTION
        self.gate = nn.Linear(text_dim, dim)
        self.image = nn.Linear(image_dim, dim)
        self.out = nn.Linear(dim, dim)
        # END SOLUTION

    def forward(self, image, text):
        # BEGIN SOLUTION
        g = self.gate(text).sigmoid()
        return self.out(g * self.image(image))
        # END SOLUTION


# %%
check("fusion.gated", Gated)

# %% [markdown]
# {{fusion.tensor}}


# %%
def outer(image, text):
    # BEGIN SOLUTION
    one = torch.ones(len(image), 1)
    a, b = torch.cat([one, image], dim=1), torch.cat([one, text], dim=1)
    return (a[:, :, None] * b[:, None, :]).flatten(1)
    # END SOLUTION


# %%
check("fusion.tensor", outer)

# %% [markdown]
# {{fusion.drop}}


# %%
def keep(draws, p):
    # BEGIN SOLUTION
    kept = draws >= p
    saved = F.one_hot(draws.argmax(dim=1), draws.shape[1]).bool()
    return torch.where(kept.any(dim=1, keepdim=True), kept, saved)
    # END SOLUTION


# %%
check("fusion.drop", keep)

# %% [markdown]
# {{fusion.weights}}


# %%
def fuse_with_faults(vectors, scores, present):
    weights = scores.softmax(dim=0)
    return (weights[..., None] * vectors).sum(dim=1)


def try_out(fuse):
    """Train on three senses, one of which knows the answer; accuracy asked in a batch of 64, and one by one."""
    torch.manual_seed(0)

    def draw(n):
        y, right = torch.randint(2, (n,)), torch.randint(3, (n,))
        x = torch.randn(n, 3, 4)
        x[torch.arange(n), right, 0] = 3 * (2.0 * y - 1)
        x[torch.arange(n), right, 1] = 3.0  # by this the right sense is known
        return x, y

    head, score = nn.Linear(4, 2), nn.Linear(4, 1)
    optimiser = torch.optim.Adam([*head.parameters(), *score.parameters()], lr=0.05)
    everyone = torch.ones(64, 3, dtype=torch.bool)
    for _ in range(150):
        x, y = draw(64)
        loss = F.cross_entropy(head(fuse(x, score(x).squeeze(-1), everyone)), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, y = draw(64)
    with torch.no_grad():
        together = head(fuse(x, score(x).squeeze(-1), everyone)).argmax(1)
        alone = torch.cat([head(fuse(one[None], score(one[None]).squeeze(-1), everyone[:1])).argmax(1) for one in x])
    return [(guess == y).float().mean().item() for guess in (together, alone)]


# %% tags=["measured"]
print("with both faults: right on {:.2f} in a batch of 64, on {:.2f} one by one".format(*try_out(fuse_with_faults)))


# %%
def fuse(vectors, scores, present):
    # BEGIN SOLUTION
    weights = scores.masked_fill(~present, -torch.inf).softmax(dim=1)
    return (weights[..., None] * vectors).sum(dim=1)
    # END SOLUTION


# %%
check("fusion.weights", fuse)

# %% tags=["measured", "needs-answer"]
print("with yours: right on {:.2f} in a batch of 64, on {:.2f} one by one".format(*try_out(fuse)))

# %% [markdown]
# ## Open question · Which fusion, and how would you know?
#
# A shop wants to sort offers into “as described” and “not as described” from a photo and a title. There are 20,000 labelled offers, a tenth of them without a photo, and
# fewer than one in ten is “not as described”. In 200 to 300 words: which fusion would you try first, and which second? What could the two modalities tell only *together* here, and which of
# the fusions of the chapter can express that? Say how you split the data, which baselines get which budget, which figure you report with which uncertainty, and how the offers without a
# photo enter training and test.
#
# Read again: [7 · Where to fuse: early, intermediate, late](../notebooks/03_fusion.ipynb#7-%C2%B7-Where-to-fuse%3A-early%2C-intermediate%2C-late); [9 · The table](../notebooks/03_fusion.ipynb#9-%C2%B7-The-table); [Which differences are real?](../notebooks/03_fusion.ipynb#Which-differences-are-real%3F); [10 · When a modality is missing](../notebooks/03_fusion.ipynb#10-%C2%B7-When-a-modality-is-missing); [11 · Modality competition](../notebooks/03_fusion.ipynb#11-%C2%B7-Modality-competition); [Two cures, tried](../notebooks/03_fusion.ipynb#Two-cures%2C-tried).
#
# *6 points, marked by a person.*

# %% [markdown] tags=["open:6"]
# <!-- BEGIN SOLUTION -->
# **Rubric** (6 points)
#
# | points | for |
# |---|---|
# | 1 | the answer lies in the *agreement* of photo and title: synergy; adding scores of single modalities cannot express it, products, gates or attention can |
# | 1 | a simple first choice with a reason (concatenation and dense layers), and a second that differs in what it can express |
# | 1 | a split by seller or product, so that near-copies are not on both sides; choice on validation |
# | 1 | baselines: each modality alone, and the best constant, with the same encoders, budget and choice of epoch |
# | 1 | a figure for a rare class (area, recall at a precision), over several seeds, paired, with an interval |
# | 1 | missing photos: present as a mask, hidden in training too (modality dropout), reported apart in the test |
# <!-- END SOLUTION -->
