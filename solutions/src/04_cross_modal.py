# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Cross-modal learning: exercises
#
# **For those who have read** chapter 04. Ten tasks, about three and a half hours in all, and an open question. Each check answers at once: with ✓ and your points, or with the first thing that is
# wrong and the idea behind it. Its inputs are drawn anew each time, so an answer that knows one example by heart does not pass.
#
# Write where it says `YOUR CODE HERE`, and delete the line that raises. Unfold a hint as late as you can, and one at a time. What
# you have solved is remembered: `mmteach check --progress` in a terminal shows it.

# %%
import math
from collections import Counter

import torch
from torch import nn
from torch.nn import functional as F

from mmteach.exercises import check

# %% [markdown]
# {{cross_modal.recall}}


# %%
def found(scores, k):
    # BEGIN SOLUTION
    right = scores.diagonal()[:, None]
    rank = (scores >= right).sum(dim=1)  # the right one itself is the one that is added
    return {"recall": (rank <= k).float().mean(), "median rank": rank.double().quantile(0.5)}
    # END SOLUTION


# %%
check("cross_modal.recall", found)

# %% [markdown]
# {{cross_modal.cca}}


# %%
def correlations(x, y, ridge):
    # BEGIN SOLUTION
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)

    def whitener(z):
        S = z.T @ z / (len(z) - 1) + ridge * torch.eye(z.shape[1])
        values, vectors = torch.linalg.eigh(S)
        return vectors @ torch.diag(values.rsqrt()) @ vectors.T

    T = whitener(x) @ (x.T @ y / (len(x) - 1)) @ whitener(y)
    return torch.linalg.svdvals(T)
    # END SOLUTION


# %%
check("cross_modal.cca", correlations)

# %% [markdown]
# {{cross_modal.clip}}


# %%
def contrast(image, text, temperature):
    # BEGIN SOLUTION
    S = F.normalize(image, dim=1) @ F.normalize(text, dim=1).T / temperature
    pictures, texts = S.log_softmax(dim=1).diagonal(), S.log_softmax(dim=0).diagonal()
    return -(pictures + texts).mean() / 2
    # END SOLUTION


# %%
check("cross_modal.clip", contrast)

# %% [markdown]
# {{cross_modal.siglip}}


# %%
def sigmoid_loss(image, text, t, b):
    # BEGIN SOLUTION
    y = 2 * torch.eye(len(image)) - 1
    return -F.logsigmoid(y * (t * image @ text.T + b)).sum(dim=1).mean()
    # END SOLUTION


# %%
check("cross_modal.siglip", sigmoid_loss)

# %% [markdown]
# {{cross_modal.levels}}

# %%
levels = {"alike": None, "hot": None, "copies": None, "siglip": None, "vse": None}
# BEGIN SOLUTION
from mmteach.alignment import clip_loss, siglip_loss, triplet_loss

one_point, perfect = torch.ones(128, 1), torch.eye(128)
picture, text = torch.eye(256)[:128], torch.eye(256)[128:]  # no picture has anything in common with any text
levels = {
    "alike": clip_loss(one_point, one_point, 1 / 0.07).item(),
    "hot": clip_loss(perfect, perfect, 1.0).item(),
    "copies": clip_loss(perfect[torch.arange(128) % 32], perfect[torch.arange(128) % 32], 1000.0).item(),
    "siglip": siglip_loss(picture, text, 10.0, -10.0).item(),
    "vse": triplet_loss(one_point, one_point, margin=0.2, negatives="hardest").item() / 128,
}
# END SOLUTION

# %%
check("cross_modal.levels", levels)

# %% [markdown]
# {{cross_modal.copies}}


# %%
def hardest_as_it_is(scores, ids, margin):
    itself = torch.eye(len(scores), dtype=torch.bool)
    total = 0
    for table in (scores, scores.T):  # pictures ask, then texts
        far = margin - table.diagonal()[:, None] + table
        total = total + far.masked_fill(itself, -torch.inf).amax(dim=1).clamp(min=0).sum()
    return total


def try_out(loss):
    """Train two linear encoders on twelve things; returns the last loss a pair, and the share of the things that are found."""
    torch.manual_seed(0)
    looks, names = torch.randn(12, 20), torch.randn(12, 20)
    image, text = nn.Linear(20, 16), nn.Linear(20, 16)
    optimiser = torch.optim.Adam([*image.parameters(), *text.parameters()], lr=0.02)
    for _ in range(150):
        ids = torch.randint(12, (64,))
        x = F.normalize(image(looks[ids] + 0.5 * torch.randn(64, 20)), dim=1)
        y = F.normalize(text(names[ids]), dim=1)
        cost = loss(x @ y.T, ids, 0.2)
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
    with torch.no_grad():
        scores = F.normalize(image(looks), dim=1) @ F.normalize(text(names), dim=1).T
    return cost.item() / 64, (scores.argmax(1) == torch.arange(12)).float().mean().item()


# %% tags=["measured"]
print("as it is: {:.3f} a pair after 150 steps, where one point for all costs 0.4; found {:.2f} of the things".format(
    *try_out(hardest_as_it_is)))  # fmt: skip

# %% [markdown]
# So it does learn something, and nobody could know it from the loss: on a harder problem you would have given up.


# %%
def hardest(scores, ids, margin):
    # BEGIN SOLUTION
    mismatch = ids[:, None] != ids
    total = 0
    for table in (scores, scores.T):  # pictures ask, then texts
        far = margin - table.diagonal()[:, None] + table
        total = total + far.masked_fill(~mismatch, -torch.inf).amax(dim=1).clamp(min=0).sum()
    return total
    # END SOLUTION


# %%
check("cross_modal.copies", hardest)

# %% tags=["measured", "needs-answer"]
print("with yours: {:.3f} a pair; found {:.2f} of the things".format(*try_out(hardest)))

# %% [markdown]
# {{cross_modal.batch}}

# %%
plan = {"batch": None, "steps": None, "temperature": None}
# BEGIN SOLUTION
# ln N ≥ 5 gives N ≥ 149; copies N ≤ 317; memory 2 N + 12 N² / 10⁶ ≤ 600 gives N ≤ 299. With N = 256 the budget allows 7,812 steps.
# ln(1 + 255 e^(−1/τ)) ≤ 0.1 gives τ ≤ 0.128, and e^(−0.3/τ) ≥ 0.01 gives τ ≥ 0.066.
plan = {"batch": 256, "steps": 7800, "temperature": 0.1}
# END SOLUTION

# %%
check("cross_modal.batch", plan)

# %% [markdown]
# {{cross_modal.teacher}}

# %%
WORDS = ["", "<start>", "<end>", "a", "red", "blue", "green", "circle", "square", "above", "line"]
CAPTIONS = ["a red circle", "a blue square above a line", "a green line", "a green circle above a red line"]


def tokens_of(captions):
    rows = [[1, *(WORDS.index(word) for word in caption.split()), 2] for caption in captions]
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


def teacher_as_it_is(tokens):
    return tokens, tokens, torch.ones_like(tokens, dtype=torch.bool)


def train_with(teacher):
    """Train a small captioner on four pictures; returns its last loss, and what it then writes under each."""
    torch.manual_seed(0)
    pictures, (read, wanted, counts) = torch.eye(4), teacher(tokens_of(CAPTIONS))
    look, embedding = nn.Linear(4, 32), nn.Embedding(len(WORDS), 16)
    gru, out = nn.GRU(16, 32, batch_first=True), nn.Linear(32, len(WORDS))
    optimiser = torch.optim.Adam([p for part in (look, embedding, gru, out) for p in part.parameters()], lr=0.01)
    for _ in range(150):
        states, _ = gru(embedding(read), look(pictures)[None])
        loss = F.cross_entropy(out(states)[counts], wanted[counts])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    said = []
    for picture in pictures:
        state, token, caption = look(picture)[None, None], 1, []
        for _ in range(8):  # greedy: the likeliest token, read again at the next step
            states, state = gru(embedding(torch.tensor([[token]])), state)
            token = out(states)[0, 0].argmax().item()
            if token == 2:
                break
            caption.append(WORDS[token] or "_")
        said.append(" ".join(caption))
    return loss.item(), said


# %% tags=["measured"]
loss, said = train_with(teacher_as_it_is)
print(f"as it is: loss {loss:.3f}, and it writes:")
print("\n".join(f"  {right:<32} → {caption}" for right, caption in zip(CAPTIONS, said)))


# %%
def teacher(tokens):
    # BEGIN SOLUTION
    read, wanted = tokens[:, :-1], tokens[:, 1:]
    return read, wanted, wanted != 0
    # END SOLUTION


# %%
check("cross_modal.teacher", teacher)

# %% tags=["measured", "needs-answer"]
loss, said = train_with(teacher)
print(f"with yours: loss {loss:.3f}, and it writes:")
print("\n".join(f"  {right:<32} → {caption}" for right, caption in zip(CAPTIONS, said)))

# %% [markdown]
# {{cross_modal.beam}}


# %%
def grow(kept, log_p, width):
    # BEGIN SOLUTION
    total = (kept[:, None] + log_p).flatten()
    best = total.topk(min(width, len(total))).indices
    return best // log_p.shape[1], best % log_p.shape[1]
    # END SOLUTION


# %%
check("cross_modal.beam", grow)

# %% [markdown]
# {{cross_modal.bleu}}


# %%
def bleu(said, references):
    # BEGIN SOLUTION
    pairs = [(s.split(), r.split()) for s, r in zip(said, references)]
    product = 1.0
    for n in (1, 2, 3, 4):
        right = there = 0
        for sentence in pairs:
            ours, theirs = (Counter(zip(*(words[i:] for i in range(n)))) for words in sentence)
            right += (ours & theirs).total()  # of each n-gram the smaller count
            there += ours.total()
        if right == 0:
            return 0.0
        product *= right / there
    C, R = sum(len(s) for s, _ in pairs), sum(len(r) for _, r in pairs)
    return math.exp(min(0, 1 - R / C)) * product**0.25
    # END SOLUTION


# %%
check("cross_modal.bleu", bleu)

# %% [markdown]
# ## Open question · Search in an archive
#
# A newspaper's archive holds 60,000 photos. Each has a caption in one of three languages; photos come in series of the same event, often with the same caption word for word. Readers are to find photos by
# a sentence in any of the three. In 200 to 300 words: which encoders and which objective would you begin with, and what goes into one batch? Where do false negatives come from here, how do you find
# them, and what do you do about them? Say how you split the data, which figures you report in which directions and against which simplest baseline, and how you would find out whether it *understands* a
# sentence or only spots its nouns. Name one use in which such a search does harm, and what you would measure before it goes live.
#
# Read again: [5 · A choice among many: InfoNCE and CLIP](../notebooks/04_cross_modal.ipynb#5-%C2%B7-A-choice-among-many%3A-InfoNCE-and-CLIP); [6 · Yes or no: SigLIP](../notebooks/04_cross_modal.ipynb#6-%C2%B7-Yes-or-no%3A-SigLIP); [10 · False negatives](../notebooks/04_cross_modal.ipynb#10-%C2%B7-False-negatives); [11 · Pictures found by words, in ten languages](../notebooks/04_cross_modal.ipynb#11-%C2%B7-Pictures-found-by-words%2C-in-ten-languages); [13 · Questions about a scene: relations](../notebooks/04_cross_modal.ipynb#13-%C2%B7-Questions-about-a-scene%3A-relations).
#
# *6 points, marked by a person.*

# %% [markdown] tags=["open:6"]
# <!-- BEGIN SOLUTION -->
# **Rubric** (6 points)
#
# | points | for |
# |---|---|
# | 1 | two encoders and a contrastive objective with a reason (learned temperature, or SigLIP because several matches are right); languages mixed in the batch, or each tied to the pictures |
# | 1 | false negatives: series and equal captions, near copies; found by caption or event, taken out of the negatives, made positives, or kept out of one batch |
# | 1 | a split by event or series (not by photo), choice on validation; the size of the gallery is stated with every recall |
# | 1 | recall at k or mAP in both directions and for each language, with intervals; the baseline is a search in the captions' words, or a CCA of simple features |
# | 1 | a test of composition: word order, “dog bites man”, counts, negation; swapped captions as hard negatives, compared with the bag of words |
# | 1 | a harm (faces and names, stereotypes in what a profession shows, manipulated context), and a measurement by group or by hand that is made before |
# <!-- END SOLUTION -->
