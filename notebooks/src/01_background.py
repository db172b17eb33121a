# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Background
#
# **You will be able to** say what a second modality can add and what it can spoil; fuse two classifiers by adding their
# log-probabilities, and derive why; measure where fusion helps and where it hurts; and place the field's milestones.
#
# **You need** chapter 00, and convolutions, softmax and cross-entropy at the level of a first course.
#
# **Time** 60 minutes to read; a minute or two to run on a laptop with two cores.

# %%
import math

import torch
from IPython.display import Audio

from mmteach import claim, data, figures, pick, seeds
from mmteach.data.audio import add_noise, hear
from mmteach.data.emoji import STYLES, concepts, drawings, over
from mmteach.recipes import stored
from mmteach.recipes.background import SIGMAS, SNRS, answers, build, column, levels, load, noisy, right, train
from mmteach.widgets import noise_explorer, noise_view

figures.use_style()
seed = seeds(1)[0]

# %% [markdown]
# ## 1 · What is multimodal learning?
#
# A **modality** is a kind of signal with a structure of its own: a picture is a grid of colours, a text a sequence of symbols,
# a sound a pressure over time, a video a sequence of pictures. Each comes from its own sensor, with its own noise, and
# needs its own **encoder**, a network that makes one vector of it. *Unimodal* learning fits $y = f(x)$ to one of them.
# *Multimodal* learning uses several,
#
# $$ y = f(x_1, x_2), $$
#
# or learns one from the other, $x_2 = f(x_1)$, as a caption from a picture. Here is one concept in four modalities. The lower half of the
# sound's figure is its **mel spectrogram**: time to the right, pitch upwards, bright where it is loud (chapter 02 computes it).

# %%
number = {concept.char: i for i, concept in enumerate(concepts())}
rocket = number["🚀"]
figures.picture_grid(
    torch.cat([over(drawings(style)[[rocket]]) for style in STYLES]),
    list(STYLES), columns=4, inch=1.3, title="Image: a rocket as four artists draw it",
    alt="The rocket emoji in four drawing styles: different colours and outlines, the same thing.",
)  # fmt: skip

# %%
print("text: " + ", ".join(f"{name} ({language})" for language, name in concepts()[rocket].names.items()))
spoken = data.speak("rocket", voice="en-us", variant="f3")
figures.sound(
    spoken, hear(spoken[None])[0, 0], 8000, 80, title="Sound: “rocket”",
    alt="Waveform and mel spectrogram of the spoken word rocket: two bursts of energy, one a syllable.",
)  # fmt: skip

# %%
Audio(spoken.numpy(), rate=8000)

# %%
motion = data.load_motion()
kinds = motion.classes["verb"]
is_rocket = motion.train.targets["object"] == motion.classes["object"].index("rocket")
shown = [(is_rocket & (motion.train.targets["verb"] == verb)).nonzero().flatten()[:1] for verb in range(len(kinds))]
some = torch.cat(shown)[:4]
print("video: " + " | ".join(motion.train.info["sentence"][i] for i in some))
figures.moving(
    motion.train.inputs["video"][some], zoom=4,
    alt="Four clips of a rocket that play at once: " + "; ".join(motion.train.info["sentence"][i] for i in some) + ".",
)  # fmt: skip

# %% [markdown]
# **What to see.** They do not say the same. The picture tells colour and shape, and nothing of what the thing is called. The name
# tells that it is a rocket, in symbols that have nothing to do with its look. The sound tells the name *and* who speaks. Only
# the clip tells what the rocket does.
#
# ## 2 · Why more than one?
#
# Three reasons, and a number for each. Let $x_1$, $x_2$ be two modalities and $y$ what we want to know. The **mutual
# information** $I(x; y)$ is how many bits $x$ tells about $y$ on average. What both together tell splits into four parts
# (chapter 02 computes the split):
#
# $$ I(x_1, x_2;\, y) = \underbrace{R}_{\text{redundant}} + \underbrace{U_1 + U_2}_{\text{unique}} + \underbrace{S}_{\text{synergy}}. $$
#
# - **Complementary.** Each tells what the other does not ($U_1, U_2 > 0$), or only the pair tells anything ($S > 0$).
# - **Redundant.** Both tell the same ($R > 0$). On clean data that is a waste.
# - **Robust.** It is no waste when one fails: what is said twice survives the loss of one. Redundancy is what robustness is
#   made of.
#
# In small worlds whose probabilities we write down ourselves, all four are known exactly. In COPY both modalities show the same fair
# coin, and that is $y$. In the others $x_1$ and $x_2$ are two fair coins, 0 or 1: in TWO BITS $y$ is the pair of them, in AND it is 1 where
# both are 1, in XOR it is 1 where they differ.

# %% tags=["measured"]
names = {"copy": "COPY: both say y", "two_bits": "TWO BITS: half of y each", "and": "AND", "xor": "XOR"}
worlds = {name: data.world(name) for name in names}
figures.information({names[name]: list(world.information.values()) for name, world in worlds.items()})

# %% tags=["measured"]
for name, world in worlds.items():
    both, without = world.bits("x1", "x2"), world.bits("x1")
    print(
        f"{name:<9} both together {both:.2f} bits; with x2 lost {without:.2f}; {1 - without / both:>4.0%} of it is gone"
    )
claim(
    "background.redundancy-survives", worlds["copy"].bits("x1") / worlds["copy"].bits("x1", "x2"), at_least=1,
    says="COPY: the share of what both tell that survives the loss of one",
)  # fmt: skip
claim(
    "background.synergy-needs-both", worlds["xor"].bits("x1") + worlds["xor"].bits("x2"), at_most=1e-9,
    says="XOR: bits that the two tell when each is asked alone",
)  # fmt: skip

# %% [markdown]
# **What to take away.** “Use more modalities” is no answer to “what do they share?”. In COPY the second one is insurance; in XOR
# the first one is worthless without it.
#
# ## 3 · A short history
#
# The field began with people. Harry McGurk and John MacDonald dubbed the sound *ba* onto a face that says *ga*; many of their
# listeners heard *da*. We do not hear first and look afterwards: the senses are fused before we know of it. Engineers took the
# hint, and lip reading came to the aid of speech recognition.

# %%
EVENTS = [
    (1976, "McGurk & MacDonald", "seeing lips changes what people hear", "perception"),
    (1984, "Petajan", "automatic lip reading improves speech recognition", "seen and heard"),
    (1989, "Yuhas, Goldstein & Sejnowski", "neural networks integrate lip pictures and speech", "seen and heard"),
    (1993, "Stein & Meredith", "“The Merging of the Senses”: how brains do it", "perception"),
    (1999, "Mori, Takahashi & Oka", "image regions and words that occur together", "image and text"),
    (2000, "Dupont & Luettin", "audio-visual speech, multi-stream hidden Markov models", "seen and heard"),
    (2011, "Ngiam et al.", "multimodal deep learning: a shared code of video and audio", "seen and heard"),
    (2012, "Srivastava & Salakhutdinov", "deep Boltzmann machines for images and tags", "image and text"),
    (2013, "Frome et al.", "DeViSE: images placed in a space of words", "image and text"),
    (2015, "Vinyals et al.", "Show and Tell: a caption from a picture", "image and text"),
    (2015, "Antol et al.", "VQA: questions about pictures", "image and text"),
    (2017, "Vaswani et al.", "the transformer: soon one architecture for every modality", "one model for all"),
    (2021, "Radford et al.", "CLIP: 400 million image–text pairs, contrasted", "image and text"),
    (2022, "Alayrac et al.", "Flamingo: a language model that is shown pictures", "one model for all"),
    (2023, "Girdhar et al.", "ImageBind: six modalities bound through images", "one model for all"),
    (2023, "Gemini Team", "Gemini: one large model for text, images, sound and video", "one model for all"),
]  # fmt: skip

# %%
figures.timeline(
    EVENTS, title="Half a century: years to scale at the left, one row each at the right",
    alt="A timeline from McGurk and MacDonald in 1976 to the large models of 2023: audio-visual speech leads until 2011, "
    "then images and text, and lately models for all modalities; ten of the sixteen events fall after 2010.",
)  # fmt: skip

# %% [markdown]
# **What to see.** For a quarter of a century the field is sound and lips: two signals of one event, recorded together. In the 1990s
# hidden Markov models (a sequence is explained by states that nobody sees) fused the two streams, frame by frame or by weighing
# their answers, and the question of this chapter was already there: *how much should the recogniser trust its eyes?* Images and
# words come in with the collections of pictures that have words beside them. From 2011 on networks learn the representation as
# well; from 2021 on the pairs come from the web by the hundred million; and now one large model reads all modalities as sequences
# of tokens. What all of them must solve, when to trust which signal, fits on a laptop: the next sections.
#
# ## 4 · The first experiment: digits seen and heard
#
# Each example is a handwritten digit and the same digit spoken by a synthetic voice; the voices of the test never
# occur in training. Picture and sound are paired by the label alone: they are two witnesses who have never met.
#
# ### A worse eye, a worse ear
#
# Both are spoilt with white noise of known strength. The picture becomes $x_1' = x_1 + \sigma\,\varepsilon$, where ink is 1, paper is 0
# and $\varepsilon \sim \mathcal N(0, 1)$ is drawn for each pixel. To the sound $x_2$ we add noise $n$ whose power is so many **decibels**
# below that of the speech (the bar is the mean over time),
#
# $$ \mathrm{SNR} = 10 \log_{10} \frac{\overline{x_2^2}}{\overline{n^2}}. $$
#
# At 0 dB noise and speech are equally strong; at −10 dB the noise has ten times the power.

# %%
digits = load(seed)
if pick(smoke=True, laptop=False):  # at smoke scale a few examples, to see that all cells run
    digits = data.Splits(digits.name, digits.train[:256], digits.valid[:60], digits.test[:60], digits.classes)
print(
    ", ".join(
        f"{len(part):,} to {use}"
        for part, use in ((digits.train, "train on"), (digits.valid, "choose by"), (digits.test, "test on"))
    )
)
seven = digits.test[(digits.test.targets["digit"] == 7).nonzero()[0]]
generator = torch.Generator().manual_seed(0)
spoilt = [noisy(seven, sigma, snr, generator) for sigma, snr in zip(SIGMAS, SNRS)]
figures.picture_grid(
    torch.cat([batch.inputs["image"] for batch in spoilt]), [f"σ = {sigma:g}" for sigma in SIGMAS], columns=5, inch=1.5,
    title="The same seven through five eyes",
    alt="A handwritten seven at five levels of noise: clear at 0, legible at one half, barely to be guessed at 1, lost among "
    "the dots at 2.",
)  # fmt: skip

# %%
fig, axes = figures.canvas(1, 5, size=(9.0, 2.3), sharey=True)
for ax, batch, snr in zip(axes, spoilt, SNRS):
    ax.imshow(batch.inputs["audio"][0, 0], origin="lower", aspect="auto", cmap="cividis", extent=(0, 1, 0, 40))
    ax.set(title="clean" if snr == math.inf else f"{snr:g} dB", xlabel="time (s)")
    ax.grid(visible=False)
axes[0].set_ylabel("mel band")
figures.describe(
    fig, "Mel spectrograms of the spoken word seven at five levels of noise: at 20 decibels its weak parts are gone, at "
    "minus 10 only traces of the loudest are left.",
)  # fmt: skip

# %%
Audio(
    add_noise(seven.info["waveform"][0][None], 0.0, generator)[0].numpy(), rate=8000
)  # as loud as its noise: still clear?

# %% [markdown]
# ### Three models, one budget
#
# A residual network for the picture, a small convolutional network for the sound, and the plainest of fusions: put the
# two vectors side by side and let a linear layer do the rest,
#
# $$ h_1 = \mathrm{enc}_1(x_1), \quad h_2 = \mathrm{enc}_2(x_2), \quad z = W\,[h_1;\, h_2] + b, \quad p(y \mid x_1, x_2) = \mathrm{softmax}(V z + c). $$

# %%
for modalities in (["image"], ["audio"], ["image", "audio"]):
    network = build(*modalities)
    print(f"{' + '.join(modalities):<14} {sum(p.numel() for p in network.parameters()):>7,} parameters")

# %% [markdown]
# All are trained on **clean** examples, for equally many epochs. Then we spoil the test.
#
# *Predict before you run.* The picture gets worse, the sound stays clean. Will the fused model (a) keep the accuracy of the
# sound alone, since it still hears everything; (b) lie between the two; (c) be better than both?
#
# <details><summary>Which did you choose? Then run the cells below.</summary>
#
# (a) is tempting: a sensible listener closes her eyes when the picture is useless. The network was never shown a useless
# picture. It has no notion that an input could be one.
#
# </details>

# %%
clean = {
    "image": train(digits, "image", noise=False, seed=seed)[0],
    "audio": train(digits, "audio", noise=False, seed=seed)[0],
    "concat": train(digits, "image", "audio", noise=False, seed=seed)[0],
}

# %% tags=["measured"]
truth, at = digits.test.targets["digit"], levels(digits.test, seed + 1000)
said = {name: answers(model, at) for name, model in clean.items()}  # log-probabilities at each level of noise
curve = {"image alone": right(said["image"], truth), "audio alone": right(said["audio"][:1], truth).expand(5)}
curve["fused (concatenation)"] = right(said["concat"][:, 0], truth)
fig, ax = figures.canvas(size=(7.5, 3.4))
for (name, values), colour, marker in zip(curve.items(), ("image", "audio", "fused"), figures.MARKERS):
    ax.plot(SIGMAS, values, marker=marker, color=figures.COLOURS[colour], label=name)
ax.axhline(0.1, color=figures.COLOURS["chance"], ls="--", lw=1, label="chance")
ax.set(xlabel="noise in the picture, σ (the sound stays clean)", ylabel="test accuracy", ylim=(0, 1.02))
ax.set_title("Trained clean: a useless picture drags the fused model down")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
figures.describe(
    fig,
    "Accuracy against picture noise: "
    + "; ".join(f"{n} from {v[0]:.2f} to {v[-1]:.2f}" for n, v in curve.items())
    + ".",
)

# %% tags=["measured"]
for name, values in curve.items():
    print(f"{name:<22} clean picture {values[0]:.3f}   σ = 2 {values[-1]:.3f}")
print(
    "audio alone, its own noise: "
    + ", ".join(
        f"{'clean' if n == math.inf else f'{n:g} dB'} {a:.3f}" for n, a in zip(SNRS, right(said["audio"], truth))
    )
)
claim(
    "background.fusion-hurts", (curve["audio alone"][-1] - curve["fused (concatenation)"][-1]).item(), at_least=0.05,
    says="σ = 2, clean sound: what the fused model loses against the sound alone",
)  # fmt: skip

# %% [markdown]
# With both clean, the two together beat either alone. As the picture fails, the fused model falls **below the sound
# alone**, although the sound is still there, as clear as ever. More information in, worse answers out. Adding a modality
# is no free lunch.
#
# The sound has a surprise of its own: at 20 dB, where a human hears a faint hiss, the clean-trained ear is nearly deaf. Its
# spectrogram is a logarithm, which makes hiss in the pauses as visible as speech.
#
# Why does fusion suffer? The linear layer adds $W_1 h_1 + W_2 h_2$. On clean data $h_1$ is always trustworthy, so training had no reason to make its
# contribution small when it is odd. Noise pushes $h_1$ to where it has never been, and the sum goes with it.
#
# ## 5 · Two witnesses who have never met
#
# There is a fusion without any weights to train. Bayes' rule, with both modalities:
#
# $$ p(y \mid x_1, x_2) = \frac{p(x_1, x_2 \mid y)\, p(y)}{p(x_1, x_2)}. $$
#
# Our pairs share nothing but the label, so once $y$ is known, one says nothing about the other: they are **conditionally
# independent**, $p(x_1, x_2 \mid y) = p(x_1 \mid y)\, p(x_2 \mid y)$. Turn each factor around with Bayes' rule once more,
# $p(x_m \mid y) = p(y \mid x_m)\, p(x_m) / p(y)$, and drop all that does not depend on $y$:
#
# $$ p(y \mid x_1, x_2) \;\propto\; \frac{p(y \mid x_1)\; p(y \mid x_2)}{p(y)}. $$
#
# All ten digits are equally frequent, so $p(y)$ is a constant too. In logarithms the answer is a sum:
#
# $$ \hat y = \arg\max_y \big[ \log p(y \mid x_1) + \log p(y \mid x_2) \big]. $$
#
# That is **late fusion**. It is a vote in which each voice weighs as much as it is sure: a flat $p(y \mid x_1)$ adds the same to
# every class and changes nothing. In code it is one line:

# %% tags=["measured"]
late = said["image"][:, None] + said["audio"][None]  # (5, 5, N, 10): every picture's level with every sound's
better = max(right(said["image"][0], truth), right(said["audio"][0], truth)).item()
print(
    f"clean: image {right(said['image'][0], truth):.3f}, audio {right(said['audio'][0], truth):.3f}, late {right(late[0, 0], truth):.3f}"
)
print(f"σ = 2, clean sound: audio {right(said['audio'][0], truth):.3f}, late {right(late[-1, 0], truth):.3f}")
claim(
    "background.two-better-than-one", (right(late[0, 0], truth) - better).item(), at_least=0.005,
    says="Both clean: late fusion above the better of the two",
)  # fmt: skip

# %% [markdown]
# Clean, the two together make a fraction of the errors of either. With a spoilt picture the late answer too falls below
# the sound. The derivation is right; what fails is its premise. It needs the *true* $p(y \mid x_1)$, and a network that was
# trained on clean pictures is wrong about noisy ones **and sure of it**. Here is how sure:

# %% tags=["measured"]
sure = said["image"].exp().amax(-1).mean(-1)
print("σ        " + "  ".join(f"{sigma:5g}" for sigma in SIGMAS))
print("sure     " + "  ".join(f"{value:5.2f}" for value in sure))
print("right    " + "  ".join(f"{value:5.2f}" for value in right(said["image"], truth)))
claim(
    "background.overconfident", (sure[-1] - right(said["image"][-1], truth)).item(), at_least=0.1,
    says="σ = 2: how much surer the clean-trained image model is than it is right",
)  # fmt: skip

# %% [markdown]
# ## 6 · A cure
#
# If the trouble is that the networks have never met noise, let them meet it. **Noise augmentation**: each time an example is
# drawn, its picture gets a $\sigma$ between 0 and 2 and its sound between 20 and −10 dB, and one time in four each is left clean.
#
# *Predict.* What will this do to a network that gets a hopeless picture in training, again and again, with the right label?
#
# <details><summary>Think of the cross-entropy, then unfold.</summary>
#
# The label cannot be read from the picture, and the loss punishes a sure wrong answer without limit. The best it can do
# is to say “one in ten, each”: it learns *when it does not know*. That is just what adding log-probabilities needs.
#
# </details>

# %%
taught = {name: train(digits, name, noise=True, seed=seed)[0] for name in ("image", "audio")}

# %% tags=["measured"]
heard = {name: answers(model, at) for name, model in taught.items()}
cured = heard["image"][:, None] + heard["audio"][None]
for name, scores in (("clean", said), ("with noise", heard)):
    p = scores["image"].exp().amax(-1).mean(-1)
    print(f"image model trained {name:<11} σ = 2: right {right(scores['image'][-1], truth):.2f}, sure {p[-1]:.2f}")
print(
    f"late, trained with noise: clean/clean {right(cured[0, 0], truth):.3f}; σ = 2, clean sound {right(cured[-1, 0], truth):.3f}"
)
claim(
    "background.cure", (right(cured, truth) - right(late, truth)).mean().item(), at_least=0.2,
    says="Late fusion, trained with noise against trained clean: accuracy gained on average over the 5 × 5 grid",
)  # fmt: skip

# %% [markdown]
# One run is an anecdote. The table below was made beforehand: eight models, five seeds (other pairs, other first weights, other
# noise), five levels of each noise. In every cell the test accuracy is a mean over the seeds.

# %% tags=["measured"]
table, how = stored("noise-grid")
print(how)


def grid(model, seed=None):
    """Test accuracy (5, 5), picture's noise down, sound's across: of one seed, or the mean of all."""
    rows = table[(table.model == model) & ((table.seed == seed) if seed is not None else True)]
    return torch.tensor([[rows[column(sigma, snr)].mean() for snr in SNRS] for sigma in SIGMAS])


def gain(model, how, seed=None):
    """Accuracy of a fusion above the better of the two single modalities with the same training."""
    return grid(f"{model}, {how}", seed) - torch.maximum(grid(f"image, {how}", seed), grid(f"audio, {how}", seed))


runs = sorted(table.seed.unique())
axes_text = dict(
    rows=[f"{sigma:g}" for sigma in SIGMAS], columns=["clean", *(f"{snr:g} dB" for snr in SNRS[1:])],
    row_label="noise in the picture, σ", column_label="sound over its noise",
)  # fmt: skip

# %% tags=["measured"]
naive = gain("concat", "trained clean")
figures.heatmap(
    naive, **axes_text, diverging=True, limits=(-0.7, 0.7), value_label="accuracy gained",
    title="Trained clean, concatenated: gain over the better single modality",
    alt=f"A grid of differences from {naive.min():.2f} to {naive.max():.2f}: concatenation falls far below the better single "
    "modality wherever one of the two is clean and the other is not.",
)  # fmt: skip

# %% tags=["measured"]
mended = gain("late", "trained with noise")
figures.heatmap(
    mended, **axes_text, diverging=True, limits=(-0.7, 0.7), value_label="accuracy gained",
    title="Trained with noise, late fusion: gain over the better single modality",
    alt=f"The same grid for late fusion trained with noise: differences from {mended.min():.2f} to {mended.max():.2f}, "
    "largest where both modalities are weak.",
)  # fmt: skip

# %% [markdown]
# **What to see.** Purple is where two are better than one, orange where the second modality does harm. In the upper picture the
# harm lies along the upper and the left edge, where one modality is good and the other is not. In the lower picture the gain is
# largest at the right, below the middle, where both are weak: that is where two witnesses are worth most. Where one of them
# is nearly useless there is little to gain, and what counts is that nothing is lost.
#
# ### Which one would we have chosen?
#
# The choice among fusions must not look at the test. On the *validation* split, averaged over the whole grid:

# %% tags=["measured"]
chosen = table.groupby("model").valid.mean().sort_values(ascending=False)
print(chosen.round(3).to_string())
print(f"\nchosen on validation: {chosen.index[0]}")
figures.compare(
    table, "valid", label="validation accuracy in all 25 cells",
    title="Eight models over all levels of noise", chance=0.1, order=list(chosen.index),
)  # fmt: skip

# %% tags=["measured"]
claim(
    "background.naive-fusion-hurts", every=[-gain("concat", "trained clean", run)[-1, 0] for run in runs], at_least=0.05,
    says="Trained clean, σ = 2, clean sound: concatenation below the sound alone",
)  # fmt: skip
claim(
    "background.both-weak", every=[gain("late", "trained with noise", run)[2, 4] for run in runs], at_least=0.05,
    says="Trained with noise, σ = 1, −10 dB: late fusion above the better one",
)  # fmt: skip
claim(
    "background.no-harm", every=[gain("late", "trained with noise", run).min() for run in runs], at_least=0.0,
    says="Trained with noise, worst of 25 cells: late fusion above the better one",
)  # fmt: skip
valid = table.pivot(index="seed", columns="model", values="valid")
claim(
    "background.late-over-concat", every=valid["late, trained with noise"] - valid["concat, trained with noise"], at_least=0.01,
    says="Both trained with noise, validation: late fusion above concatenation",
)  # fmt: skip
for name in ("image", "audio", "late"):
    price = grid(f"{name}, trained clean")[0, 0] - grid(f"{name}, trained with noise")[0, 0]
    print(f"the price, both clean: {name:<5} loses {price:.3f} by having been trained with noise")

# %% [markdown]
# **What to take away.** The cure is not a cleverer fusion; it is that each model knows when it does not know. It has a price, the last lines
# above: where everything is clean, the same small networks after as many epochs do worse alone, since they had more to learn.
# Together they lose less, as each covers for the other. Whether to pay depends on the world that the model will meet.
#
# Why does late fusion do better than concatenation here? A likely reason: each of its two networks gets its own
# training, while the joint model’s two encoders share one loss, and either may stay behind while the other explains it away.
# Chapter 03 makes that competition visible. The comparison is at this budget; it is no law.
#
# ### And with real people?
#
# Synthetic voices are easier than people. The Free Spoken Digit Dataset has recordings of real ones; it is not part of this course,
# so this table was made where a part of it is at hand. Each speaker in turn is the test, and the network has heard the others only: so
# few that its ear is wider than ours and practises on every recording at many speeds, which changes tempo and pitch.

# %% tags=["measured"]
people, how = stored("real-people")
print(how)
print("left out         " + "".join(f"{person:>10}" for person in sorted(people.model.unique())) + "      mean")
for case, says in {"clean": "both clean", "noisy": "σ = 1.5 and 0 dB"}.items():
    print(f"\n{says}")
    for name in ("image", "audio", "late"):
        each = people.groupby("model")[f"{case} | {name}"].mean()
        print(f"{name:<17}" + "".join(f"{value:>10.3f}" for value in each) + f"{each.mean():>10.3f}")

# %% tags=["measured"]
by_seed = people.groupby("seed").mean(numeric_only=True)
claim(
    "background.real-people", every=by_seed["clean | late"] - by_seed[["clean | image", "clean | audio"]].max(axis=1), at_least=0.0,
    says="Real speakers never heard, both clean: late fusion above the better one",
)  # fmt: skip
claim(
    "background.real-people-noisy", every=by_seed["noisy | late"] - by_seed[["noisy | image", "noisy | audio"]].max(axis=1),
    at_least=0.03, says="The same at σ = 1.5 and 0 dB",
)  # fmt: skip

# %% [markdown]
# **What to see.** How well a network hears depends on *whom* it has not heard: read the lines of the audio across. For three of the four
# the two witnesses together are right nearly always; for the speaker whom the ear understands worst, a sure and wrong ear pulls the
# answer below what the eye alone would say, section 5 once more. With so few speakers the average says little about a new one.
#
# ## 7 · Try it
#
# Move the noise of picture and sound (click a handle, then use the arrow keys). Find a setting where each model alone is
# wrong and both together are right; then one where the clean-trained fusion is wrong and the ear alone is right.

# %%
believers = {
    "image": lambda batch: answers(taught["image"], [batch])[0].exp(),
    "audio": lambda batch: answers(taught["audio"], [batch])[0].exp(),
    "late": lambda batch: (answers(taught["image"], [batch])[0] + answers(taught["audio"], [batch])[0]).softmax(-1),
    "concat, clean": lambda batch: answers(clean["concat"], [batch])[0, 0].exp(),
}
noise_explorer(digits.test, believers, noisy, digits.classes["digit"])

# %% [markdown]
# The same as a still: the first test example on which both trained-with-noise models are wrong at middling noise and their sum is
# right. Compare the bars: neither puts the truth first, but both leave it room.

# %%
middle = (at[2].inputs["image"], at[3].inputs["audio"])
eye, ear, both = heard["image"][2], heard["audio"][3], cured[2, 3]
wins = ((eye.argmax(1) != truth) & (ear.argmax(1) != truth) & (both.argmax(1) == truth)).nonzero().flatten()
pick_one = wins[:1] if len(wins) else torch.tensor([0])
example = data.Batch({"image": middle[0][pick_one], "audio": middle[1][pick_one]}, {"digit": truth[pick_one]})
print(f"{len(wins)} of {len(truth)} test examples are like this at σ = {SIGMAS[2]:g} and {SNRS[3]:g} dB")
figures.show(noise_view(example, believers, digits.classes["digit"]))

# %% [markdown]
# ### Who is right when?
#
# Two modalities help most where they fail on *different* examples: then one of the two is right. Count how often that is so.

# %% tags=["measured"]
sees, hears, fused = ((scores.argmax(1) == truth) for scores in (eye, ear, both))
for a in (True, False):
    for b in (True, False):
        where = (sees == a) & (hears == b)
        share = fused[where].float().mean().item() if where.any() else math.nan
        print(f"eye {'right' if a else 'wrong'}, ear {'right' if b else 'wrong'}: {where.float().mean():>4.0%} of the test; "
              f"late fusion is right on {share:.0%} of them")  # fmt: skip

# %% [markdown]
# In the last row, a few examples, neither is right, and yet the sum is right on a part of them, as in the still above: fusion is more
# than picking the better witness.
#
# ## 8 · A McGurk test for networks
#
# What if the two contradict each other? Show the picture of one digit, play another one, and ask the late-fused model. There is
# no right answer; we count whom it believes, while the picture gets worse.

# %% tags=["measured"]
other = truth.roll(1)  # the sound of the example before
conflict = (heard["image"] + heard["audio"][0].roll(1, dims=0)).argmax(-1)[:, truth != other]  # (5, pairs)
eyes, ears = truth[truth != other], other[truth != other]
follows = {"image": (conflict == eyes).float().mean(1), "audio": (conflict == ears).float().mean(1)}
fig, ax = figures.canvas(size=(7.0, 3.2))
for name, marker in (("image", "o"), ("audio", "s")):
    ax.plot(SIGMAS, follows[name], marker=marker, color=figures.COLOURS[name], label=f"answers the {name}’s digit")
ax.plot(
    SIGMAS, 1 - follows["image"] - follows["audio"], marker="^", color=figures.COLOURS["both"], label="a third digit"
)
ax.set(xlabel="noise in the picture, σ", ylabel="share of answers", ylim=(0, 1), title="Whom it believes in a conflict")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
figures.describe(
    fig, f"As the picture's noise grows, the share of answers that follow the sound goes from {follows['audio'][0]:.2f} to "
    f"{follows['audio'][-1]:.2f}, of those that follow the picture from {follows['image'][0]:.2f} to {follows['image'][-1]:.2f}.",
)  # fmt: skip

# %% tags=["measured"]
claim(
    "background.mcgurk", (follows["audio"][-1] - follows["audio"][0]).item(), at_least=0.05,
    says="Share of answers that go over to the sound as the picture fails",
)  # fmt: skip
third = 1 - follows["image"] - follows["audio"]
print(f"a third digit, which neither showed nor said: {third[0]:.0%} with a clean picture, {third[-1]:.0%} at σ = 2")

# %% [markdown]
# With both clean the model sides with whichever is surer, here more often with the ear. It goes over to the ear as its eye fails,
# without a rule that says so. And at times (last line above) it answers a digit that
# was neither shown nor said, the compromise that both find possible. That is what McGurk's listeners did when they heard *da*.
# The likeness is one of outcome: adding log-probabilities produces it, and nothing here says that brains do the same.
#
# ## 9 · Unimodal and multimodal, side by side
#
# | aspect | unimodal | multimodal |
# |---|---|---|
# | learns | $y$ from $x$ | $y$ from $x_1, x_2, …$, or one from the other |
# | data | plentiful, one sensor | needs *pairs*: recorded together, or matched by label as here |
# | can know at most | $I(x; y)$ | $I(x_1, x_2; y)$, never less than either |
# | what it does reach | its bound, at best | may fall below its best modality (section 4) |
# | when a sensor fails | is lost | may go on, if it has learned that sensors fail (section 6) |
# | questions | what to encode, and how | also: what to align, when to fuse, whom to trust, what to do when one is missing |
#
# ### The map of the course
#
# | question | chapter |
# |---|---|
# | How does each modality become numbers, and how much do two share? | 02 Concepts |
# | How do many become one, and which fusion when? | 03 Fusion |
# | How does one find, describe or explain the other? | 04 Cross-modal learning |
# | When does one network do several tasks better than several networks? | 05 Multi-task learning |
# | How do I build a system with it? | 06 Applications |
# | Where does the field go? | 07 Outlook |
#
# ## FAQ
#
# <details><summary>Does late fusion always win?</summary>
#
# No. It suits these data, since picture and sound are conditionally independent given the digit, which is its premise. It cannot
# learn *interactions*: in the world XOR each modality alone says nothing, so the sum of two flat answers says nothing. There
# the modalities must meet before the answer: chapter 03.
#
# </details>
# <details><summary>Why not tell the model how noisy its inputs are?</summary>
#
# Where you can measure it, do; audio-visual recognisers with weights set by the noise did. A network that has met noise estimates it
# by itself, and its estimate is the flatness of its answer.
#
# </details>
# <details><summary>Are these results about real speech?</summary>
#
# The live ones are not: the voices are made by eSpeak NG, by rule, so the sound is easier than people are. The table at the end of
# section 6 is about real speakers. To repeat it, get the Free Spoken Digit Dataset, set <code>MMTEACH_FSDD</code> to its folder and
# run <code>mmteach train real-people --out F</code>.
#
# </details>
#
# ## Quiz
#
# **1. Two sensors always report exactly the same. What does the second one add?**
#
# <details><summary>Nothing at all</summary>No bits on clean data, true; but when one fails, the other still reports.</details>
# <details><summary>Robustness</summary>Yes: redundancy is what survives a loss (COPY in section 2).</details>
# <details><summary>Synergy</summary>No: synergy is what neither tells alone, and here each tells everything.</details>
#
# **2. A clean-trained fused model gets a useless picture and a clear sound. Why is it worse than the ear alone?**
#
# <details><summary>It lacks capacity</summary>No: it has both networks' parameters and more.</details>
# <details><summary>It was never shown that a picture can be useless</summary>Yes: nothing in its training made it turn away from one.</details>
# <details><summary>The sound is lost in the concatenation</summary>No: it stands there unchanged; it is outvoted.</details>
#
# **3. What does adding log-probabilities assume?**
#
# <details><summary>That the modalities are independent</summary>Not quite: both depend on the digit, so they are not.</details>
# <details><summary>That they are independent once the label is known, and that both probabilities are true</summary>Yes: the first holds here by
# construction, the second only where the models know what they do not know.</details>
# <details><summary>That both are equally good</summary>No: a modality that is less sure counts less, by itself.</details>
#
# **4. An image model answers 0.1 for each digit. What does it do to the late-fused answer?**
#
# <details><summary>It makes it less sure</summary>No: adding the same number to every log-probability leaves the softmax as it was.</details>
# <details><summary>Nothing</summary>Yes: that is how a witness abstains.</details>
# <details><summary>It drags it towards chance</summary>That would be so if we averaged probabilities rather than their logarithms.</details>
#
# **5. Late fusion trained with noise was chosen on validation. Why not on the test?**
#
# <details><summary>The test is too small</summary>It has as many examples as the validation split.</details>
# <details><summary>The best of eight on the test looks better than it is</summary>Yes: part of the winner's lead is luck on those examples, and new
# examples do not share it.</details>
# <details><summary>The test voices are unfamiliar</summary>So are the validation voices; both are held out.</details>
#
# ## Go further
#
# - Harry McGurk and John MacDonald, 1976, “Hearing lips and seeing voices”, Nature: the illusion.
# - Jiquan Ngiam, Aditya Khosla, Mingyu Kim, Juhan Nam, Honglak Lee and Andrew Ng, 2011, “Multimodal Deep Learning”, ICML: a shared code of
#   lips and speech, learned.
# - Nitish Srivastava and Ruslan Salakhutdinov, 2012, “Multimodal Learning with Deep Boltzmann Machines”, NeurIPS.
# - Alec Radford et al., 2021, “Learning Transferable Visual Models From Natural Language Supervision”, ICML: CLIP.
# - Tadas Baltrušaitis, Chaitanya Ahuja and Louis-Philippe Morency, 2019, “Multimodal Machine Learning: A Survey and Taxonomy”, IEEE
#   TPAMI: a map of the field.
# - Gemini Team, 2023, “Gemini: A Family of Highly Capable Multimodal Models”, arXiv: what a large multimodal model of today can do.
