# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Background: exercises
#
# **For those who have read** chapter 01. Seven tasks, about two hours in all, and an open question. Each check answers at once: with ✓ and your points, or with the first thing that is
# wrong and the idea behind it. Its inputs are drawn anew each time, so an answer that knows one example by heart does not pass.
#
# Write where it says `YOUR CODE HERE`, and delete the line that raises. Unfold a hint as late as you can, and one at a time. What
# you have solved is remembered: `mmteach check --progress` in a terminal shows it.

# %%
import math

import torch

from mmteach.exercises import check

# %% [markdown]
# {{background.lost}}

# %%
lost = {"or": None, "sum": None, "twin": None, "code": None}
# BEGIN SOLUTION
from collections import Counter


def entropy(values):
    return -sum(n / len(values) * math.log2(n / len(values)) for n in Counter(values).values())


def information(x, y):
    return entropy(x) + entropy(y) - entropy(list(zip(x, y)))


coins = [(0, 0), (0, 1), (1, 0), (1, 1)]  # equally likely (x1, x2), or the two bits of y
worlds = {
    "or": [(a, b, a | b) for a, b in coins],
    "sum": [(a, b, a + b) for a, b in coins],
    "twin": [((a, b), (a, b), (a, b)) for a, b in coins],
    "code": [(a, a ^ b, (a, b)) for a, b in coins],
}
for name, outcomes in worlds.items():
    x1, x2, y = zip(*outcomes)
    lost[name] = 1 - information(x1, y) / information(list(zip(x1, x2)), y)
# END SOLUTION

# %%
check("background.lost", lost)

# %% [markdown]
# {{background.snr}}


# %%
def add_noise(speech, noise, snr):
    # BEGIN SOLUTION
    powers = [x.square().mean(dim=1, keepdim=True) for x in (speech, noise)]
    a = (powers[0] / powers[1] * 10 ** (-snr / 10)).sqrt()
    return speech + a * noise
    # END SOLUTION


# %%
check("background.snr", add_noise)

# %% [markdown]
# {{background.late}}


# %%
def late(log_p1, log_p2, prior):
    # BEGIN SOLUTION
    return torch.log_softmax(log_p1 + log_p2 - prior.log(), dim=1)
    # END SOLUTION


# %%
check("background.late", late)

# %% [markdown]
# {{background.sure}}


# %%
def overconfidence(logits, truth):
    # BEGIN SOLUTION
    p = logits.softmax(dim=1)
    return p.amax(dim=1).mean() - (p.argmax(dim=1) == truth).float().mean()
    # END SOLUTION


# %%
check("background.sure", overconfidence)

# %% [markdown]
# {{background.pairs}}

# %% [markdown]
# Here is what the colleague wrote, and a fused model trained on it: two made-up senses of ten digits, each digit with a centre of its own in either
# sense, and a linear layer on both side by side.


# %%
def pair_of_the_colleague(image_digits, sound_digits, generator):
    return torch.randint(len(sound_digits), (len(image_digits),), generator=generator)


def train_on(pair):
    """Train a linear layer on pairs; returns its accuracy by picture and sound, and by sound alone, on good pairs."""
    generator = torch.Generator().manual_seed(0)
    digits = torch.randint(10, (2, 400), generator=generator)  # of the pictures, of the recordings
    centres = torch.randn(2, 10, 20, generator=generator)
    seen, heard = (
        centres[m][digits[m]] + torch.randn(400, 20, generator=generator) * noise for m, noise in ((0, 3.0), (1, 1.5))
    )
    layer = torch.nn.Linear(40, 10)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(60):
        both = torch.cat([seen, heard[pair(digits[0], digits[1], generator)]], 1)
        loss = torch.nn.functional.cross_entropy(layer(both), digits[0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    test = torch.randint(10, (2000,), generator=generator)
    pictures = centres[0][test] + 3.0 * torch.randn(2000, 20, generator=generator)
    sounds = centres[1][test] + 1.5 * torch.randn(2000, 20, generator=generator)
    with torch.no_grad():
        both = layer(torch.cat([pictures, sounds], 1)).argmax(1)
        alone = layer(torch.cat([0 * pictures, sounds], 1)).argmax(1)
    return [round((guess == test).float().mean().item(), 2) for guess in (both, alone)]


# %% tags=["measured"]
print(
    "with the colleague's pairs: picture and sound {}, sound alone {} (chance .10)".format(
        *train_on(pair_of_the_colleague)
    )
)


# %%
def pair(image_digits, sound_digits, generator):
    # BEGIN SOLUTION
    chosen = []
    for digit in image_digits:
        places = (sound_digits == digit).nonzero().flatten()
        chosen.append(places[torch.randint(len(places), (), generator=generator)])
    return torch.stack(chosen)
    # END SOLUTION


# %%
check("background.pairs", pair)

# %% tags=["measured", "needs-answer"]
print("with your pairs: picture and sound {}, sound alone {}".format(*train_on(pair)))

# %% [markdown]
# {{background.grid}}

# %%
from mmteach.recipes import stored
from mmteach.recipes.background import SIGMAS, SNRS, column

table, how = stored("noise-grid")
print(how)


def grid(model):
    """Test accuracy (5, 5) of a model, mean over the seeds: the picture's noise down (SIGMAS), the sound's across (SNRS)."""
    rows = table[table.model == model]
    return torch.tensor([[rows[column(sigma, snr)].mean() for snr in SNRS] for sigma in SIGMAS])


# %%
reading = {"harm": None, "sigma": None, "snr": None, "price": None}
# BEGIN SOLUTION
gain = {}
for model, how_trained in (("concat", "trained clean"), ("late", "trained with noise")):
    better = torch.maximum(grid(f"image, {how_trained}"), grid(f"audio, {how_trained}"))
    gain[model] = grid(f"{model}, {how_trained}") - better
row, col = divmod(gain["late"].argmax().item(), 5)
reading = {
    "harm": (gain["concat"] < -0.05).sum().item(),
    "sigma": SIGMAS[row],
    "snr": SNRS[col],
    "price": (grid("late, trained clean") - grid("late, trained with noise"))[0, 0].item(),
}
# END SOLUTION

# %%
check("background.grid", reading)

# %% [markdown]
# {{background.sensors}}

# %%
design = {"sensors": None, "accuracy": None}
# BEGIN SOLUTION
# Given y = +1 the log-odds 2 x / σ² of one report have mean 2 / σ² and variance 4 / σ². Of several: q = Σ 1/σ², mean 2q,
# variance 4q, and the sum is above 0 with probability Φ(2q / 2√q) = Φ(√q). The twin adds nothing beside the camera.
from itertools import combinations

price = {"camera": 6, "lidar": 9, "radar": 5, "microphone": 4, "thermal": 3, "touch": 1}
sigma = {"camera": 0.8, "lidar": 0.7, "radar": 1.0, "microphone": 1.1, "thermal": 1.3, "touch": 2.5}
baskets = [b for n in range(1, 5) for b in combinations(price, n) if sum(price[s] for s in b) <= 10]
best = max(baskets, key=lambda basket: sum(1 / sigma[s] ** 2 for s in basket))
q = sum(1 / sigma[s] ** 2 for s in best)
design = {"sensors": list(best), "accuracy": (1 + math.erf(math.sqrt(q / 2))) / 2}
# END SOLUTION

# %%
check("background.sensors", design)

# %% [markdown]
# ## Open question · A second sensor for the ward
#
# A hospital detects falls with microphones. A company offers cameras, and shows that on *its* recordings a fused model beats sound alone by
# 4 points of accuracy. You are asked whether to buy.
#
# In 200 to 300 words: which experiment would you run before you answer, on which data, against which baselines, and with which figure? Name two ways in which
# the company's comparison may mislead, and one situation on the ward in which the second sensor could make things **worse**, with what you would do about it.
#
# Read again: [Three models, one budget](../notebooks/01_background.ipynb#Three-models%2C-one-budget); [6 · A cure](../notebooks/01_background.ipynb#6-%C2%B7-A-cure); [And with real people?](../notebooks/01_background.ipynb#And-with-real-people%3F).
#
# *6 points, marked by a person.*

# %% [markdown] tags=["open:6"]
# <!-- BEGIN SOLUTION -->
# **Rubric** (6 points)
#
# | points | for |
# |---|---|
# | 1 | data from the ward, split so that no patient (or room) is in both parts |
# | 1 | baselines with the same care: sound alone and picture alone, same budget, several seeds, paired |
# | 1 | a figure that fits rare events (recall at a false-alarm rate, area under a curve), not accuracy |
# | 1 | two ways to mislead: other people in the recordings, an undertrained baseline, one seed, a choice made on the test, clean conditions |
# | 1 | a concrete case of harm: darkness, a blanket, a blocked lens: the picture is useless and the model was never shown one |
# | 1 | a remedy that follows from the chapter: train with such pictures, late fusion of models that know when they do not know, watch the sensor |
#
# Half points are fine. An answer that only says “collect more data” has none of the first three.
# <!-- END SOLUTION -->
