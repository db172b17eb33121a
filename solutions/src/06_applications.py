# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Applications: exercises
#
# **For those who have read** chapter 06. Ten tasks, a little over three hours in all, and an open question; they stand by themselves, so take those you need. Each check answers at once: with ✓ and your
# points, or with the first thing that is wrong and the idea behind it. Its inputs are drawn anew each time, so an answer that knows one example by heart does not pass.
#
# Write where it says `YOUR CODE HERE`, and delete the line that raises. Unfold a hint as late as you can, and one at a time. What
# you have solved is remembered: `mmteach check --progress` in a terminal shows it.

# %%
import torch
from torch import nn

from mmteach.exercises import check

# %% [markdown]
# {{applications.precision}}


# %%
def mean_average_precision(scores, relevant):
    # BEGIN SOLUTION
    right = relevant.gather(1, scores.argsort(dim=1, descending=True)).float()
    right = right[right.any(dim=1)]
    precision = right.cumsum(dim=1) / torch.arange(1, right.shape[1] + 1)
    return ((precision * right).sum(dim=1) / right.sum(dim=1)).mean()
    # END SOLUTION


# %%
check("applications.precision", mean_average_precision)

# %% [markdown]
# {{applications.greedy}}


# %%
def greedy(scores, lengths):
    # BEGIN SOLUTION
    texts = []
    for path, length in zip(scores.argmax(dim=2), lengths):
        runs = torch.unique_consecutive(path[:length])
        texts.append(runs[runs != 0].tolist())
    return texts
    # END SOLUTION


# %%
check("applications.greedy", greedy)

# %% [markdown]
# {{applications.frames}}

# %%
predicted = {"fewest": None, "seconds": None, "no": None, "oo": None, "loss": None}
# BEGIN SOLUTION
import itertools
import math


def alignments(text, frames):
    """How many alignments of blanks and the text's letters say it."""
    paths = itertools.product("-" + "".join(sorted(set(text))), repeat=frames)
    return sum("".join(c for c, _ in itertools.groupby(path) if c != "-") == text for path in paths)


word = "balloon"
fewest = len(word) + sum(a == b for a, b in itertools.pairwise(word))
no = alignments("no", 4)
predicted = {
    "fewest": fewest,
    "seconds": fewest * 0.03,
    "no": no,
    "oo": alignments("oo", 4),
    "loss": -math.log(no / 3**4),
}
# END SOLUTION

# %%
check("applications.frames", predicted)

# %% [markdown]
# {{applications.ctc}}


# %%
def ctc(log_p, y):
    # BEGIN SOLUTION
    s = [0]
    for label in y:
        s += [label, 0]
    nothing = torch.tensor(-1e9)
    a = [log_p[0, 0], log_p[0, y[0]]] + [nothing] * (len(s) - 2)
    for row in log_p[1:]:
        before, a = a, []
        for i, label in enumerate(s):
            come = before[max(i - 1, 0) : i + 1]
            if i > 1 and label not in (0, s[i - 2]):
                come = [before[i - 2], *come]
            a.append(row[label] + torch.stack(come).logsumexp(dim=0))
    return -torch.logaddexp(a[-1], a[-2])
    # END SOLUTION


# %%
check("applications.ctc", ctc)

# %% [markdown]
# {{applications.cer}}


# %%
def error_rate(answers, transcripts):
    # BEGIN SOLUTION
    edits = 0
    for answer, truth in zip(answers, transcripts):
        row = list(range(len(truth) + 1))
        for i, a in enumerate(answer, start=1):
            before, row = row, [i]
            for j, t in enumerate(truth, start=1):
                row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != t)))
        edits += row[-1]
    return edits / sum(len(truth) for truth in transcripts)
    # END SOLUTION


# %%
check("applications.cer", error_rate)

# %% [markdown]
# {{applications.motion}}


# %%
def motion(clips):
    # BEGIN SOLUTION
    x = clips.float().mean(dim=2) / 255
    step = torch.diff(x, dim=1, append=x[:, -1:])
    return torch.stack([x - x.mean(dim=(1, 2, 3), keepdim=True), step], dim=2)
    # END SOLUTION


# %%
check("applications.motion", motion)

# %% [markdown]
# {{applications.carry}}


# %%
def carry_with_faults(kernel, dense, gates, size):
    return {"kernel": kernel.permute(3, 2, 1, 0), "dense": dense.T, "gates": gates}


def elsewhere(pictures, kernel, dense):
    """The other library's convolution, ReLU, flatten and dense layer; pictures (N, H, W, C)."""
    patches = pictures.unfold(1, 3, 1).unfold(2, 3, 1)  # (N, H - 2, W - 2, C, 3, 3)
    x = torch.einsum("nyxchw,hwco->nyxo", patches, kernel).relu()
    return x.flatten(1) @ dense


def try_out(carry):
    """A small network with the weights where they came from and here: the largest difference of an answer."""
    torch.manual_seed(0)
    pictures, kernel, dense, gates = (torch.randn(*s) for s in ((8, 6, 7, 3), (3, 3, 3, 4), (80, 2), (12, 5)))
    carried = carry(kernel, dense, gates, (4, 5))
    here = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(80, 2, bias=False))
    with torch.no_grad():
        here[0].weight.copy_(carried["kernel"])
        here[3].weight.copy_(carried["dense"])
        return (here(pictures.movedim(3, 1)) - elsewhere(pictures, kernel, dense)).abs().max().item()


# %% tags=["measured"]
print(f"with the faults: answers up to {try_out(carry_with_faults):.1f} apart")


# %%
def carry(kernel, dense, gates, size):
    # BEGIN SOLUTION
    height, width = size
    places = torch.arange(len(dense)).view(height, width, -1).permute(2, 0, 1).flatten()
    i, o, f, g = gates.chunk(4)
    return {
        "kernel": kernel.permute(3, 2, 0, 1),
        "dense": dense[places].T,
        "gates": torch.cat([i, f, g, o]),
    }
    # END SOLUTION


# %%
check("applications.carry", carry)

# %% tags=["measured", "needs-answer"]
print(f"with yours: answers up to {try_out(carry):.5f} apart")

# %% [markdown]
# {{applications.split}}


# %%
def split_with_faults(speakers, texts, new_speakers, new_texts):
    places = range(len(texts))
    return {
        "train": [i for i in places if texts[i] not in new_texts],
        "test": [i for i in places if speakers[i] in new_speakers],
    }


def try_split(split):
    """Is it a question? Asked of the nearest recording in training: right on the test, and for a user who is new in all."""
    torch.manual_seed(2)
    people, sentences = 12, 40
    asks = torch.rand(sentences) < 0.5
    voices, contents = 2.0 * torch.randn(people, 24), 1.6 * torch.randn(sentences, 24)
    contents[:, 0] += 2.0 * asks - 1.0  # a little of it can be heard in any sentence
    pairs = torch.cartesian_prod(torch.arange(people), torch.arange(sentences))
    sounds = voices[pairs[:, 0]] + contents[pairs[:, 1]] + 0.5 * torch.randn(len(pairs), 24)
    said = [f"sentence {i}" + "!" * (p % 2) for p, i in pairs.tolist()]
    new_texts = [f"sentence {i}" for i in range(30, 40)]
    parts = split([f"person {p}" for p in pairs[:, 0].tolist()], said, ["person 10", "person 11"], new_texts)
    user = ((pairs[:, 0] >= 10) & (pairs[:, 1] >= 30)).nonzero().flatten()
    clean = ((pairs[:, 0] < 10) & (pairs[:, 1] < 30)).nonzero().flatten()

    def right(train, test):
        nearest = train[torch.cdist(sounds[test], sounds[train]).argmin(1)]
        return (asks[pairs[nearest, 1]] == asks[pairs[test, 1]]).float().mean().item()

    return right(*(torch.tensor(parts[name]) for name in ("train", "test"))), right(clean, user)


# %% tags=["measured"]
print(
    "with the fault: right on {:.2f} of its test, on {:.2f} of what a user says".format(*try_split(split_with_faults))
)


# %%
def split(speakers, texts, new_speakers, new_texts):
    # BEGIN SOLUTION
    def words(text):
        for sign in ".,!?":
            text = text.replace(sign, " ")
        return text.lower().split()

    new = [words(text) for text in new_texts]
    parts = {"train": [], "test": []}
    for i, (speaker, text) in enumerate(zip(speakers, texts)):
        known = [speaker in new_speakers, words(text) in new]
        if all(known):
            parts["test"].append(i)
        elif not any(known):
            parts["train"].append(i)
    return parts
    # END SOLUTION


# %%
check("applications.split", split)

# %% tags=["measured", "needs-answer"]
print("with yours: right on {:.2f} of its test, on {:.2f} of what a user says".format(*try_split(split)))

# %% [markdown]
# {{applications.fails}}


# %%
def fails_for(rows):
    # BEGIN SOLUTION
    def rate(some):
        return sum(row["edits"] for row in some) / sum(row["characters"] for row in some)

    people = {row["speaker"] for row in rows}
    rates = {name: rate([row for row in rows if row["speaker"] == name]) for name in people}
    worst = max(rates, key=rates.get)
    return {"rate": rate(rows), "speaker": worst, "worst": rates[worst]}
    # END SOLUTION


# %%
check("applications.fails", fails_for)

# %% [markdown]
# {{applications.plan}}

# %%
plan = {"speakers": None, "sentences": None, "test_speakers": None, "test_sentences": None}
# BEGIN SOLUTION
plan = {"speakers": 24, "sentences": 50, "test_speakers": 6, "test_sentences": 10}
# END SOLUTION

# %%
check("applications.plan", plan)

# %% [markdown]
# ## Open question · A museum that can be spoken to
#
# A small museum has 3,000 objects, each with a photo and a short text. Visitors are to say into their own telephone what they look for, in their own words and accent, and see the objects. You have
# two months, a recogniser and a picture finder like those of the chapter, and 40 volunteers. In 200 to 300 words: which parts do you build on, and does the speech have to be written down at all?
# What do you record, and how do you split it? Which figures do you report, on what, with which baselines? What happens when somebody asks for a thing that the museum does not have? And what must
# stand on the system's card before the first visitor uses it?
#
# Read again: [1 · Pictures and descriptions](../notebooks/06_applications.ipynb#1-%C2%B7-Pictures-and-descriptions); [Sentences, said by a person](../notebooks/06_applications.ipynb#Sentences%2C-said-by-a-person); [Speech finds text, text finds speech](../notebooks/06_applications.ipynb#Speech-finds-text%2C-text-finds-speech); [5 · Practice: before anybody relies on it](../notebooks/06_applications.ipynb#5-%C2%B7-Practice%3A-before-anybody-relies-on-it); [Data cards](../notebooks/06_applications.ipynb#Data-cards).
#
# *6 points, marked by a person.*

# %% [markdown] tags=["open:6"]
# <!-- BEGIN SOLUTION -->
# **Rubric** (6 points)
#
# | points | for |
# |---|---|
# | 1 | a chain with a reason: speech → text → objects, or speech scored against the texts directly; says what each choice loses (errors are carried on; search among few texts forgives misspelling) |
# | 1 | recordings of real requests by the volunteers, not read labels alone; consent, and what becomes of the voices |
# | 1 | a split by person *and* by object or request, with the mixed recordings left out; choice on validation |
# | 1 | figures of the whole (right object among the first k, of all 3,000) and of each part (error rate), against baselines: typed text, chance, the texts without the photos |
# | 1 | an answer for “we do not have it” and for what was not understood: a threshold, or a question back; a softmax always answers |
# | 1 | errors by group (accent, age, noise, language) with an interval over people, and a card that says for whom it was not tested |
# <!-- END SOLUTION -->
