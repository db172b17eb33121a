# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Applications
#
# **You will be able to** build three complete small systems and use them on input of your own: pictures found by a description and
# named by one, speech written down, clips found by a sentence; measure each on what it has never met; carry one model between
# PyTorch, Keras and Transformers; and check, debug and document a system before anybody relies on it.
#
# **You need** chapter 00 and, best, chapters 03 (fusion) and 04 (contrastive learning).
#
# **Time** 90 minutes to read; about three minutes to run on a laptop with two cores.


# %%
import importlib.util
import itertools
import math
import os
import tempfile
from dataclasses import replace

import pandas as pd
import torch
from IPython.display import Audio
from torch import nn
from torch.nn import functional as F

from mmteach import claim, data, figures, pick, seed_everything, seeds, widgets
from mmteach.alignment import LogTemperature, clip_loss
from mmteach.data import load_emoji
from mmteach.data.audio import hear
from mmteach.data.batch import Batch
from mmteach.data.cards import page
from mmteach.data.emoji import concepts
from mmteach.data.motion import OBJECTS, film
from mmteach.data.prompts import LETTERS
from mmteach.data.text import tokens

# %%
from mmteach.encoders import TextBag
from mmteach.fusion import ClassicFusion, carry_keras_weights
from mmteach.generation import collapse, ctc_loss
from mmteach.metrics import character_error_rate, recall_at_k, word_error_rate
from mmteach.recipes import applications_digits as digits
from mmteach.recipes import applications_ears as ears
from mmteach.recipes import applications_letters as letters
from mmteach.recipes import applications_pictures as pictures
from mmteach.recipes import applications_video as video
from mmteach.recipes import stored
from mmteach.training import predict
from mmteach.widgets.apps import PEAR
from mmteach.widgets.inputs import paint

figures.use_style()
seed = seeds(1)[0]

# how long the live parts train
DIGIT_STRINGS, DIGIT_EPOCHS, VIDEO_EPOCHS, SEARCH_STEPS = 1600, 8, 6, 300

# %% [markdown]
# Three systems, each small enough to be trained while you read. The first and the third have the same parts: pairs, an encoder
# for each modality, a loss that brings pairs together, a search. The second writes down what it hears, letter by letter. At the
# end of each section you use it, on input that nobody prepared. Beside what you train there are *stored tables*, of several seeds
# where it says so in their first line; their models train somewhat longer than yours.
#
# | system | you give | you get | what is new in the test |
# |---|---|---|---|
# | 1 | a wish, a drawing, an uploaded picture | pictures; the description that fits | concepts never seen; a drawing style never seen |
# | 2 | a text to say, a recording | what was said, and when | voices, people and sentences never heard |
# | 3 | a sentence, a clip | clips; who does what | pairs of thing and action never seen |
#
# ## 1 · Pictures and descriptions
#
# *Something round and yellow to eat.* Chapter 04, section 11 “Pictures found by words, in ten languages” built a search by words.
# Here we give it two things more: drawings as queries, and you. For a batch of $N$ pairs with vectors $I_i$, $T_i$ of length 1
# and temperature $e^{-\tau}$ (chapter 04 wrote it $\tau$; what is learned is its logarithm, negated):
#
# $$L_{\text{words}} = \tfrac12\big[\mathrm{CE}(S) + \mathrm{CE}(S^\top)\big], \quad S_{ij} = e^{\tau}\, I_i \cdot T_j, \qquad
# L = L_{\text{words}} + \lambda\, L_{\text{drawings}}, \quad \lambda = \tfrac12.$$
#
# $L_{\text{drawings}}$ is the same between two *drawings* of one concept, in two styles: your own drawing is one more style.
# (Chapter 04's third term, all names at once, is left out.)
#
# Below, a row is a concept: three drawings (Twemoji, Noto, Fluent; OpenMoji is kept for the test) and twelve texts (its name in
# ten languages; name and keywords in English and in Chinese), cut into words and runs of three letters, at most 149 such pieces.
# In a step, two of the drawings and two of the texts are drawn at random.


# %%
views, pieces = pictures.material()
print(views)
for text in ("yellow pear", "黄色的梨"):
    print(f"{text} → {' '.join(pieces.split(text))}")

# %%
torch.manual_seed(seed)
figures.picture_grid(
    pictures.two_views(views[::186][:6]).inputs["image"], columns=6, inch=1.1, title="One concept a column, two artists, moved and recoloured a little",
    alt="Two rows of small emoji; in each column the same thing in two drawing styles, turned, shifted and tinted a little.",
)  # fmt: skip

# %% tags=["measured"]
finder = pictures.train(views, pieces, drawings_too=0.5, seed=seed, steps=SEARCH_STEPS)
new = pictures.numbers_in("test")  # 317 concepts without one drawing in training
shown = pictures.cropped("noto")
P = pictures.look_at(finder, shown[new])  # (317, dim), rows of length 1
results = {}
for language in ("en", "zh"):
    T = pictures.read(finder, pieces, [pictures.full(i, language) for i in new])
    results[f"{language} → picture"], results[f"picture → {language}"] = pictures.found(T, P), pictures.found(P, T)
print(f"unseen concepts, gallery {len(new)}; R@10 {results['en → picture']['R@10']:.3f}, by chance {10 / len(new):.3f}")
pd.DataFrame(results).T.rename_axis(columns="search").round(3)

# %% tags=["measured"]
claim("applications.find-unseen", results["en → picture"]["R@10"], at_least=0.12,
      says="Concepts never seen, found by full description: right picture among the first ten of 317")  # fmt: skip
claim("applications.recognise-unseen", results["picture → en"]["R@10"], at_least=0.12,
      says="Concepts never seen, recognised: right description among the first ten of 317")  # fmt: skip

# %% [markdown]
# **What to see** (R@k and median rank: chapter 04, section 1). Ten answers hold the right one several times as often as ten drawn
# by chance would, for things of which training had neither picture nor description. What carries over is what the parts share:
# colours, kinds of shape, pieces of words. Mind the queries: they are *full* descriptions, a name and all its keywords. A user
# types two or three words; how often such a wish is served is not measured here.


# %% [markdown]
# *Predict.* Does the loss between drawings help a search **by words**? A search **by drawing**?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# The second term pulls the styles together, which a query in a *new* style needs. It says nothing about words. Look at both
# halves of the table: on the test concepts it helps words all the same; on the validation concepts it gains very little one way
# and loses a little the other, so do not count on it.
#
# </details>

# %% tags=["measured"]
table, made = stored("find-by-words")
print(made)
heads = {
    f"{way}, R@10, {part}": f"{part}: {way}" for part in ("test", "valid") for way in ("en → picture", "picture → en")
}
print("R@10 of concepts never seen by full description; R@1 of a drawing in a style never seen")
means = table.groupby("model", sort=False)[[*heads, "drawing → picture, R@1"]].mean()
means.rename(columns=heads).rename_axis(index=None, columns="trained with").round(3)

# %% tags=["measured"]
by = table.set_index(["model", "seed"])
gain = by.loc["words and drawings"] - by.loc["words alone"]
claim("applications.drawings-help-words", every=gain["en → picture, R@10, test"], at_least=0.01,
      says="Test concepts by full description, R@10: gain of the loss between drawings")  # fmt: skip
claim("applications.drawings-help-drawings", every=gain["drawing → picture, R@1"], at_least=0.01,
      says="A drawing in a new style, R@1: gain of the loss between drawings")  # fmt: skip
figures.compare(table, "drawing → picture, R@1", label=f"R@1 of a drawing in a style never seen, gallery {len(pictures.numbers_in('train')):,}",
                title="A loss between drawings helps drawings as queries")  # fmt: skip

# %% [markdown]
# ### Use it yourself
#
# The gallery is now *all* 1,587 emoji in one style. A wish in English or Chinese is looked up as it is. A drawing or picture is
# cropped to what is drawn, as the training pictures were, and asked twice: which pictures lie near it, and which of *your*
# descriptions fits it best (zero-shot classification: a softmax over the descriptions' scores).


# %%
names = [concept.names["en"] for concept in concepts()]
shelf_pictures = pictures.look_at(finder, shown)


def refuse_unknown(texts):
    for text in texts:
        if (pieces.encode([text])[0] <= 1).all():  # 0 is padding, 1 the unknown piece
            raise ValueError(f"No piece of “{text}” occurs in the training texts: try other words, English or Chinese.")


def find_pictures(wish, number=8):
    refuse_unknown([wish])
    scores = (pictures.read(finder, pieces, [wish]) @ shelf_pictures.T)[0]
    best = scores.topk(number).indices.tolist()
    alt = f"The emoji found for “{wish}”: " + ", ".join(names[i] for i in best) + "."
    print(f"“{wish}”")  # above the figure: its font knows no Chinese
    return figures.picture_grid(shown[best], [names[i] for i in best], columns=8, inch=1.1, alt=alt)


# %%
def name_picture(picture, could_be, number=7):
    refuse_unknown(could_be)
    query = pictures.framed(picture[None])
    z = pictures.look_at(finder, query)
    fits = (finder.scale().detach() * z @ pictures.read(finder, pieces, could_be).T).softmax(1)[0]
    print("; ".join(f"{text} {p:.0%}" for text, p in zip(could_be, fits.tolist())))
    best = (z @ shelf_pictures.T)[0].topk(number).indices.tolist()
    alt = "The query, then the emoji nearest to it: " + ", ".join(names[i] for i in best) + "."
    return figures.picture_grid(
        torch.cat([query, shown[best]]),
        ["query", *(names[i] for i in best)],
        columns=8,
        inch=1.1,
        title="What lies near it",
        alt=alt,
    )


# %% tags=["measured"]
find_pictures("a red fruit")

# %% tags=["measured"]
name_picture(paint(PEAR), ["a fruit", "an animal", "a vehicle", "a face"])

# %% [markdown]
# **Try it.** Type a wish, in English or Chinese. Paint with letters, one a square: that works from the keyboard and without a
# mouse. Or upload a picture. What does the finder see in a drawing of *you*? Does it know a photograph?

# %%
widgets.picture_finder(find_pictures, name_picture)

# %% [markdown]
# **Where it fails.** It matches *looks*: the green pear lies among other green things. It has a bag of pieces, so “a dog without
# a tail” is a dog, a tail and the rest. And it always answers: nearest is not near. “A red fruit” was served chiefly by its
# colour. Here are two wishes that are served worse, a white animal, and something that is wanted for what it *does*:

# %% tags=["measured"]
find_pictures("白色的动物")

# %% tags=["measured"]
find_pictures("something that flies")

# %% [markdown]
# ## 2 · Speech and text
#
# A recording has 100 frames a second, its transcript a few letters, and nobody has said which frame belongs to which letter.
# **Connectionist temporal classification** (CTC) does not ask. In each frame $t$ the network says a letter or *blank* “–”; an
# **alignment** $\pi$ is one choice a frame; merging repeats and then dropping blanks gives what it says: collapse(h h – e l – l l
# o) = *hello*. The probability of a text is the sum over all alignments that say it:
#
# $$p(y \mid x) = \sum_{\pi:\ \mathrm{collapse}(\pi) = y}\ \prod_t p_t(\pi_t), \qquad \text{loss} = -\log p(y \mid x).$$
#
# There are $V^T$ alignments of $T$ frames with $V$ labels; a table adds up those of a text of length $L$ in about $T\,(2L+1)$
# steps. Put blanks around the letters, $s = (–, y_1, –, y_2, \dots, –)$, and let $\alpha_t(i)$ be the probability of all
# beginnings that stand at $s_i$ after frame $t$. One comes from the same place, from the one before, or skips a blank between two
# different letters. An alignment begins at the first blank or the first letter, and ends at the last letter or the blank behind
# it ($\alpha$ before the first place is 0):
#
# $$\begin{gathered}\alpha_t(i) = p_t(s_i)\,\big[\alpha_{t-1}(i) + \alpha_{t-1}(i-1) + \alpha_{t-1}(i-2)\,\mathbb{1}[s_i \ne –,\ s_i \ne s_{i-2}]\big],\\
# p(y \mid x) = \alpha_T(2L+1) + \alpha_T(2L).\end{gathered}$$


# %%
def ctc(p, y):
    """−log of the summed probability of all alignments of the labels y; p (T, V) are the frames' probabilities, 0 is blank."""
    s = [0]
    for label in y:
        s += [label, 0]
    alpha = [p[0, s[0]], p[0, s[1]]] + [torch.zeros(())] * (len(s) - 2)
    for t in range(1, len(p)):
        before = alpha
        alpha = []
        for i, label in enumerate(s):
            come = before[i] + (before[i - 1] if i > 0 else 0)
            if i > 1 and label != 0 and label != s[i - 2]:
                come = come + before[i - 2]
            alpha.append(p[t, label] * come)
    return -(alpha[-1] + alpha[-2]).log()


# three labels and blank, seven frames; “3, 1, 1” needs a blank between the ones
p = torch.rand(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(1)
every = [pi for pi in itertools.product(range(4), repeat=7) if collapse(pi) == [3, 1, 1]]
listed = -torch.stack([p[range(7), pi].prod() for pi in every]).sum().log()
ours, library = ctc(p, [3, 1, 1]), ctc_loss(p.log()[None], torch.tensor([[3, 1, 1]]), reduction="sum")
print(f"{len(every)} of {4**7:,} alignments say it: summed one by one {listed:.6f}, by the table {ours:.6f}")
claim("applications.ctc", max(abs(ours - listed), abs(library - listed)), at_most=1e-4,
      says="The table and ctc_loss against the sum over all alignments, largest difference")  # fmt: skip

# %% [markdown]
# ### Digits, said by machines
#
# Text → speech is the easy direction here. **eSpeak NG is rule-based**: rules turn letters into sounds, tables give each sound
# its resonances, and an oscillator and filters play them. Nothing is learned: vowels are computed, only hisses and bursts, such
# as *s* and *t*, are short recordings. Any text comes out within milliseconds, in a voice that no one takes for a person's.
# (Today's natural voices are networks, trained on many hours of speakers.) As a source of *labelled* speech it has no end.

# %%
strings = digits.strings(pick(smoke=(60, 20, 20), laptop=(DIGIT_STRINGS, 150, 150)), seed=seed)
print(strings.train)
example = next((i for i, text in enumerate(strings.test.info["transcript"]) if len(text) == 4), 0)
print("said:", strings.test.info["transcript"][example], "by", strings.test.info["voice"][example])
Audio(strings.test.info["waveform"][example].numpy(), rate=8000)

# %% [markdown]
# **How loud is loud?** Chapter 02 brought each log-mel spectrogram $L$ to mean 0 and variance 1. For recordings from anywhere
# that is a trap: the mean depends on how much *silence* is around the words. The recognisers of this chapter measure from the
# loudest point instead and cut off what is 50 dB below it, so that 0 is silence, and padding, and nothing else:
#
# $$x_{f,t} = \max\Big(0,\ 1 + \frac{E_{f,t} - \max E}{50}\Big), \qquad E_{f,t} = L_{f,t} + 15\,\frac{f}{40}.$$
#
# $f = 0, \dots, 39$ is the mel band. The slope of 15 dB (*pre-emphasis*) keeps soft high sounds, such as the *s* of six, above
# the floor. The digits you have just heard, with and without a second of silence after them:

# %%
wave = strings.test.info["waveform"][example]
quiet = F.pad(wave, (0, 8000))
frames = len(wave) // 80 - 2  # those that hold none of the silence
moved = {"mean 0, variance 1": (hear(quiet[None])[0, 0, :, :frames] - hear(wave[None])[0, 0, :, :frames]).abs().mean(),
         "from the loudest point": (ears.heard([quiet])[0][0, 0, :, :frames] - ears.heard([wave])[0][0, 0, :, :frames]).abs().mean()}  # fmt: skip
for way, change in moved.items():
    print(f"{way:<23} the very same sound moves by {change:.4f} on average")
claim("applications.silence", moved["mean 0, variance 1"] - moved["from the loudest point"], at_least=0.1,
      says="How much more a second of silence moves the sound before it where the mean is taken off")  # fmt: skip

# %% [markdown]
# The recogniser is made of convolutions:
#
# | layer | what comes out |
# |---|---|
# | log-mel spectrogram, 100 frames a second | (1, 40, T) |
# | 2 convolutions over pitch and time, the first with stride 3 in time; a linear layer | (128, T/3): a frame of 30 ms |
# | 4 residual convolutions over time of five taps each, which stand 1, 2, 4, 8 frames apart (*dilation*) | (128, T/3) |
# | linear, softmax | (11, T/3): ten digits and blank |
#
# The dilated ones see $2 \cdot (1 + 2 + 4 + 8) = 30$ of these frames to either side, 0.9 s, with no recurrence. Training examples
# are **varied** (`ears.vary`): faster or slower, the spectrum stretched as by a longer or shorter throat, blurred, coloured as by
# another microphone; echo, hiss, holes in time and pitch. The test's voices are never in training.

# %% tags=["measured"]
torch.manual_seed(seed)
one = strings.train[next((i for i, text in enumerate(strings.train.info["transcript"]) if len(text) == 3), 0)]
fig, axes = figures.canvas(1, 4, size=(10, 2.4), sharey=True)
heard_as = [("as it is said", ears.trim(one)), *((f"varied, {i}", ears.vary(one)) for i in (1, 2, 3))]
for ax, (name, batch) in zip(axes, heard_as):
    x = batch.inputs["audio"][0, 0]
    ax.imshow(x, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=1, extent=(0, x.shape[1] / 100, 0, 40))
    ax.set(title=name, xlabel="time (s)")
    ax.grid(visible=False)
axes[0].set_ylabel("mel band")
figures.describe(
    fig,
    f"Four spectrograms of “{one.info['transcript'][0]}”: as it is said, and three times varied in pace, pitch, colour and noise.",
)

# %% tags=["measured"]
seed_everything(seed)
digit_ear = ears.recogniser(len(digits.DIGITS))
rows = ears.rows_of(strings.train, seed=seed)  # strings one behind the other: less padding to compute
history = ears.learn(digit_ear, rows, strings.valid, epochs=pick(smoke=1, laptop=DIGIT_EPOCHS), lr=3e-3, seed=seed)
greedy = ears.error_rates(digit_ear, strings.test, digits.DIGITS)
claim("applications.synthetic-voices", greedy["CER"], at_most=0.1, says="Digit strings, unseen voices of eSpeak: character error rate")  # fmt: skip
figures.learning_curves(history, title="CTC on digit strings")

# %% [markdown]
# The validation loss is the lower one: training hears *varied* sounds, through dropout, validation hears clean ones.
#
# **Error rates.** The **character error rate** is the smallest number of characters to exchange, put in or take out to get from
# the transcripts $t_n$ to the answers $a_n$, summed over the test and divided by the number of characters of the transcripts,
# spaces included:
#
# $$\mathrm{CER} = \textstyle\sum_n \mathrm{edits}(a_n, t_n) \big/ \sum_n |t_n|.$$
#
# The word error rate counts words. Both can pass 1, where answers are longer than transcripts. To find the edits is one of this
# chapter's exercises.
#
# When does it hear each digit? The likeliest alignment of a known text (*forced alignment*, the Viterbi path through the same
# table) says so.


# %% tags=["measured"]
def log_probs(ear, waveform):
    with torch.no_grad():
        sound, _ = ears.heard([waveform])
        return sound[0, 0], ear({"audio": sound})[0]


heard = log_probs(digit_ear, wave)
text = strings.test.info["transcript"][example]
figures.alignment(*heard, text, digits.DIGITS, title="When each digit was heard: short peaks, blanks between")

# %% [markdown]
# **What to see.** CTC's answers are *peaks*: a frame or two says the digit and all others say blank. A peak may stand at the very
# beginning of its digit: the convolutions look forwards as well as back, so the network knows already what follows. CTC rewards
# neither the right moment nor the right length.
#
# ### Digits, said by people
#
# How much of that holds for human speakers? The Free Spoken Digit Dataset has real people. It is not shipped with the course, so
# the table is a stored one, made with four of its six speakers: trained on eSpeak alone and tried on each person (*before*), then
# fine-tuned on the **other** three, with some synthetic voices among them so that it goes on hearing many. Each person is left
# out in turn. “Single digits” are a choice among ten: the recogniser is told that there is exactly one. In strings it must also
# find out how many there are.

# %% tags=["measured"]
table, made = stored("digits-by-people")
print(made)
heads = {"single digits right, before": "single digits right, before", "single digits right": "after", "CER, before": "CER, before",
         "CER": "CER, after", "CER, valid": "CER on the three known"}  # fmt: skip
means = table.groupby("model", sort=False)[[*heads]].mean().drop(index="eSpeak, unseen voices")
print(f"eSpeak, voices never heard: CER {table[table.model == 'eSpeak, unseen voices']['CER'].mean():.3f}")
means.rename(columns=heads).rename_axis(index=None, columns="who speaks").round(3)

# %% tags=["measured"]
voices = table[table.model == "eSpeak, unseen voices"]
people = table[table.model != "eSpeak, unseen voices"]
before, after = (people.groupby("seed")[column].mean() for column in ("CER, before", "CER"))
claim("applications.voices", every=voices["CER"], at_most=0.08, says="Characters wrong on voices of eSpeak never heard")
claim("applications.people-are-harder", every=before - voices.set_index("seed")["CER"], at_least=0.1,
      says="Characters wrong on people less those on voices, before fine-tuning")  # fmt: skip
claim("applications.fine-tuning-helps", every=before - after, at_least=0.05,
      says="What fine-tuning on the other speakers takes off")  # fmt: skip
claim("applications.three-are-few", every=after - people.groupby("seed")["CER, valid"].mean(), at_least=0.05,
      says="After fine-tuning: characters wrong on a new person less on known ones")  # fmt: skip

# %% tags=["measured"]
fig, ax = figures.canvas(size=(8.2, 2.7))
for row, takes in enumerate(rows for _, rows in people.groupby("model")):
    for i, (start, end) in enumerate(zip(takes["CER, before"], takes["CER"])):
        y = row + 0.36 * ((i + 0.5) / len(takes) - 0.5)
        ax.plot([start, end], [y, y], color=figures.COLOURS["chance"], lw=1, zorder=1)
        ax.plot(start, y, "o", mfc="white", color=figures.COLOURS["audio"], label="before" if not row + i else None)
        ax.plot(end, y, "o", color=figures.COLOURS["audio"], label="after" if not row + i else None)
ax.axvline(voices["CER"].mean(), color=figures.COLOURS["chance"], ls="--", lw=1, label="eSpeak, unseen voices")
ax.set_yticks(range(people["model"].nunique()), sorted(set(people["model"])))
ax.invert_yaxis()
ax.set(
    xlim=(0, None),
    xlabel="share of characters wrong",
    title="Each speaker left out in turn, one line a seed: fine-tuning on the other three",
)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
said_so = "; ".join(f"{s} {t['CER, before'].mean():.2f} → {t['CER'].mean():.2f}" for s, t in people.groupby("model"))
figures.describe(
    fig, f"Characters wrong before and after fine-tuning on the other speakers, mean of the seeds: {said_so}."
)

# %% [markdown]
# **What to see.** A recogniser that has heard nobody but a machine gets most single digits of people right, when it is told that
# there is exactly one. In strings, column *CER, before*, it is far worse on people than on voices. Fine-tuning takes off a good
# part. On the three people that it was tuned on it then makes few mistakes, on the fourth it makes many more: it has learned
# **three people**, not people. The variations above did not make up for speakers that it has never heard.
#
# With the data set at hand (GitHub, Jakobovski/free-spoken-digit-dataset, CC-BY-SA-4.0) and the variable `MMTEACH_FSDD` set to
# its folder, this tries the recogniser that you have just trained:
#
# ```python
# for speaker in sorted(set(read_people()["speaker"])):  # from mmteach.data.spoken
#     print(speaker, digits.single_right(digit_ear, speaker))
# ```
#
# ### Sentences, said by a person
#
# The embedded prompts are real human speech: one speaker, telephone quality, split so that **no sentence of the test, nor one
# like it**, is in training, and those longer than eight seconds are left out. The letters are to be written down.

# %%
prompts = letters.prompts()
hello = prompts.test.info["transcript"].index("hello world")
minutes = sum(map(len, prompts.train.info["waveform"])) / 8000 / 60
print(f"{len(prompts.train)} / {len(prompts.valid)} / {len(prompts.test)} sentences, {minutes:.0f} minutes to train on")
print("this one says:", prompts.test.info["transcript"][hello])
Audio(prompts.test.info["waveform"][hello].numpy(), rate=8000)

# %% [markdown]
# ### Greedy or beam?
#
# The likeliest alignment need not say the likeliest text. Two frames, blank 0.6 and *a* 0.4 in each: the likeliest alignment is
# “– –”, with 0.36, and says nothing; but “a –”, “– a” and “a a” all say *a*, together 0.64. **Prefix beam search** keeps the
# likeliest few beginnings in each frame and adds up the alignments of each. Where CTC's peaks are sharp, as with the digits,
# there is little to add up. More is gained where something is *added* to the score: a model of letters, learned from text alone,
# that says *th* is likelier followed by *e* than by *x*:
#
# $$\hat y = \arg\max_y\ \log p(y \mid x) + \beta \log p_{\text{letters}}(y) + \gamma\, |y|.$$
#
# $\gamma$ pays for each letter, or the shorter text would always win. Ours looks at the last five letters; $\beta = 0.8$ and
# $\gamma = 2$ were chosen on the validation sentences.
#
# ### Pretraining
#
# Does it pay to learn first from a machine that never tires? eSpeak says 2,200 made-up texts in dozens of voices with an American
# accent, through the same telephone code as the prompts: pieces of the training prompts, words in any order, numbers, dates, the
# alphabet. The table compares training on the prompts alone with pretraining on eSpeak and fine-tuning on the prompts, equally
# long in both.
#
# *Predict.* Pretraining or not: which writes better?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# The prompts hold few words, and many words of the test are not among them. eSpeak says as many words as we like, in a voice that
# is wrong. The table weighs the two.
#
# </details>

# %% tags=["measured"]
table, made = stored("prompts-by-ear")
print(made)
rates = table.groupby("model", sort=False).mean(numeric_only=True).rename_axis(index=None, columns="training")
rates[["CER, before", "CER", "CER, beam", "CER, with letters", "WER, with letters"]].round(3)

# %% tags=["measured"]
by = table.set_index(["model", "seed"])
alone, first = by.loc["real alone"], by.loc["eSpeak, then real"]
claim("applications.fine-tuning-on-a-person", every=first["CER, before"] - first["CER"], at_least=0.2,
      says="Human prompts: characters wrong that fine-tuning on the person takes off")  # fmt: skip
help_each = (table["CER, beam"] - table["CER, with letters"]).groupby(table["seed"])
claim("applications.letters-help", every=help_each.min(), at_least=0.01,
      says="Human prompts: characters that a model of letters puts right, the lesser of both models")  # fmt: skip
gain = (
    alone[["CER", "CER, with letters", "WER, with letters"]] - first[["CER", "CER, with letters", "WER, with letters"]]
)
print("what eSpeak first takes off the errors, against real speech alone, equally long:")
gain.rename_axis(index=None, columns="seed").round(3)

# %% [markdown]
# **What to see.** Fine-tuning on the person takes off about half of the errors. Having heard eSpeak first makes **no clear
# difference**: greedily it is a little worse, with the model of letters as many characters are wrong and somewhat fewer words.
# With so few seeds (the command in the first line ends with their number) and so few sentences, a difference of this size may be
# luck. Perhaps what a machine's voice teaches about the link between letters and sounds, some minutes of the right voice teach
# too. The model of letters helps both.
#
# ### Read along
#
# Two recognisers of letters are stored with the course, with 16 bits a number, for their training takes longer than this chapter
# may, and twice as many epochs as the table's: one has heard eSpeak alone, the other was fine-tuned on the person's training
# sentences afterwards. Both write down sentences of the test.

# %% tags=["measured"]
stored_ears = {name: letters.stored_ear(name) for name in ("voices", "person")}
said = {name: ears.written(ear, prompts.test) for name, ear in stored_ears.items()}
for i in (1, 2, 17, 23, hello):
    print(f"{prompts.test.info['transcript'][i]}\n   eSpeak alone → {said['voices'][i]}\n   fine-tuned → {said['person'][i]}")  # fmt: skip
rates = {name: ears.error_rates(ear, prompts.test) for name, ear in stored_ears.items()}
for name, rate in rates.items():
    print(f"{name:<8} characters wrong {rate['CER']:.3f}, words wrong {rate['WER']:.3f}")
known = ears.error_rates(stored_ears["person"], prompts.train[:100])["CER"]
print(f"person, sentences of its training: characters wrong {known:.3f}")
claim("applications.fine-tuning", rates["voices"]["CER"] - rates["person"]["CER"], at_least=0.1,
      says="Sentences never heard: characters wrong that fine-tuning on the person takes off")  # fmt: skip

# %% [markdown]
# **It knows its training sentences by heart.** On them it makes hardly a mistake; on others, by the same person over the same
# telephone, it makes many. More rounds over the same minutes can hardly mend that; more speech may. Systems that write what
# anyone says have heard thousands of hours.
#
# The fine-tuned one's answers, read out in the three ways:

# %% tags=["measured"]
letter_ear, spoken = stored_ears["person"], prompts.test.info["transcript"]
language = letters.Letters([*prompts.train.info["transcript"], *letters.made_up(2000, seed)])
readings = {"greedy": said["person"], "beam, width 8": ears.written(letter_ear, prompts.test, width=8),
            "beam and letters": letters.written_with(letter_ear, prompts.test, language)}  # fmt: skip
for way, lines in readings.items():
    print(f"{way:<17} characters wrong {character_error_rate(lines, spoken):.3f}, words wrong {word_error_rate(lines, spoken):.3f}")  # fmt: skip
claim("applications.letters-help-live", character_error_rate(readings["beam, width 8"], spoken) - character_error_rate(readings["beam and letters"], spoken),
      at_least=0.005, says="Characters wrong that a model of letters takes off, beside beam search alone")  # fmt: skip

# %% [markdown]
# Why was “hello world” misspelt? We lay the *right* text on the recording and look how sure the recogniser was of each letter.

# %% tags=["measured"]
heard_hello = log_probs(letter_ear, prompts.test.info["waveform"][hello])
figures.alignment(
    *heard_hello, "hello world", LETTERS, title="“hello world”, said by a person: the right letters, laid on the sound"
)

# %% [markdown]
# A tall peak under a letter: heard. A letter without a peak was not heard; it stands there only because the text asks for it.
# Compare the digits above, each with a peak near 1.

# %% [markdown]
# ### Speech finds text, text finds speech
#
# A recogniser is a search engine as well: $\log p(y \mid x)$ scores *every* text $y$ against every sound $x$, all alignments
# summed, even where its own best guess is misspelt. For a sound we rank texts by it. For a text we rank sounds, and there the
# plain score is not quite right: a long sound makes every text improbable. What the sound gives to all texts is taken off,
# $\log p(y\mid x) - \log \sum_{y'} p(y' \mid x)$ (all texts being equally likely beforehand), and sounds can be compared.

# %% tags=["measured"]
texts = sorted(set(prompts.test.info["transcript"]))
S = ears.scores(letter_ear, prompts.test, texts)  # (sounds, texts), log p(text | sound)
# (sounds, texts): which are right; a few texts were recorded twice
says_it = torch.tensor([[text == said_by_her for text in texts] for said_by_her in spoken])
searches = {
    "sound → text": (S, says_it),
    "text → sound": (S.T, says_it.T),
    "text → sound, normalised": (S.log_softmax(1).T, says_it.T),
}
rows = {
    way: {f"R@{k}": recall_at_k(scores, k, relevant) for k in (1, 5)} for way, (scores, relevant) in searches.items()
}
best = (1 / says_it.sum(0)).mean()  # one place cannot hold two right sounds
print(f"{len(S)} sounds, {len(texts)} texts, none in training")
print(
    f"R@1 by chance: {1 / len(texts):.3f} of texts, {1 / len(S):.3f} of sounds; the best R@1 that there can be of sounds: {best:.3f}"
)
claim("applications.sound-finds-text", rows["sound → text"]["R@1"], at_least=0.5, says="The right text first, by sound")
claim("applications.normalise", rows["text → sound, normalised"]["R@1"] - rows["text → sound"]["R@1"], at_least=0.0,
      says="Text → sound, R@1: normalising each sound's scores does no harm")  # fmt: skip
pd.DataFrame(rows).T.rename_axis(columns="search").round(3)

# %% [markdown]
# The transcript is often misspelt, and yet the right sentence nearly always comes first: choosing among some fifty sentences is a
# far easier task than writing. Where only a few things can be said (a menu, a command), search instead of writing. Text → sound
# is at its ceiling once the scores are normalised, and about one text below it without: the reason is one of principle, and this
# is no more than one example of it.
#
# ### Use it yourself
#
# Have any text said by rule and listen to what the recognisers make of it, or upload a recording of your own voice (WAV, FLAC,
# OGG or MP3; most telephones save one of these).


# %%
EARS = {
    "digits, from synthetic voices": (digit_ear, digits.DIGITS),
    "letters, from voices and one person": (letter_ear, LETTERS),
}


def listen(sound, name):
    ear, labels = EARS[name]
    spectrogram, probabilities = log_probs(ear, sound)
    said = "".join(labels[i] for i in collapse(probabilities.argmax(1).tolist()))
    if not said.strip():
        print(
            f"heard nothing that it can write, which is {' '.join(labels[1:])}: speak more slowly, or choose the other recogniser"
        )
        return figures.describe(figures.canvas()[0], "An empty figure: the recogniser heard nothing that it can write.")
    print(f"heard: “{said}”")
    return figures.alignment(spectrogram, probabilities, said, labels, title=f"“{said}”")


def say(text, voice):
    accent, _, speaker = voice.partition("+")
    return data.speak(text, voice=accent, variant=speaker or None)


# %% tags=["measured"]
listen(say("one nine eight four", "en-gb-scotland+f2"), "digits, from synthetic voices")

# %%
widgets.speech_writer(
    listen, say, list(EARS), ["en-us+m3", "en-us+f3", "en-gb-scotland+f2", "en", "de", "fr"], text="seven zero two"
)

# %% [markdown]
# ## 3 · Clips and sentences
#
# *The rocket turns clockwise.* The noun can be seen in any frame. The verb cannot: it is in how the frames differ, and often only
# in their **order**. Our clips show 24 things that do 8 things each, some in several directions. Of the 192 pairs of thing and
# verb, 24 are kept for validation and 24 for the test, so that “the apple moves” may be asked for though no apple ever moved in
# training.

# %%
motion = video.load(seed)
some = [int((motion.train.targets["verb"] == v).nonzero()[7 * v % 40]) for v in (0, 1, 4, 7)]  # any clip of the verb
print(" | ".join(motion.train.info["sentence"][i] for i in some))
figures.moving(
    motion.train.inputs["video"][some], zoom=4,
    alt="Four clips that play at once: " + "; ".join(motion.train.info["sentence"][i] for i in some) + ".",
)  # fmt: skip

# %% [markdown]
# *Predict.* We train three models to name the verb: from **one frame**; from the **mean** of four frames' vectors,
# $z = \frac14\sum_t \mathrm{CNN}(x_t)$; from frames **in their order**. Chance is ⅛. How good are the first two on pairs that
# training never had?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# The clips are made so that a frame picked at random looks the same whatever the verb: each verb runs through the same places,
# sizes and tilts as the others rest in. So one frame should be near chance, and worse on unseen pairs: training taught it which
# verbs an apple does, and the one asked for is never among them. The mean could do better than that: that a thing was seen at
# many tilts shows in any order of the frames. What no model without order can tell is *grows* from *shrinks*.
#
# </details>
#
# ### Two paths
#
# Appearance and motion want different inputs, so each gets its own path. A clip has eight frames of 32 × 32 pixels. The first
# path sees a few frames in colour (three in training, drawn anew for each batch; four afterwards), and averages. The second sees
# all in grey and, beside each, its **difference** to the next, $x_{t+1} - x_t$, in which a thing at rest is invisible; $\bar x$
# is one number, the clip's mean brightness. A convolution over time, height and width reads both:
#
# $$a = \tfrac1n \textstyle\sum_{t \in n\ \text{frames}} \mathrm{CNN}(x_t), \qquad m = \mathrm{Conv3D}\big([\,x_t - \bar x,\; x_{t+1} - x_t\,]_t\big).$$
#
# A sentence is read in two parts as well, and the score of a clip and a sentence is a sum:
#
# $$\mathrm{score} = e^{\tau}\,\big(a \cdot w(\text{subject}) + m \cdot w(\text{predicate})\big), \qquad \text{all vectors of length 1.}$$
#
# Why a sum? For one clip, each half of the score differs from a log-probability by a constant that is the same for all sentences:
# to rank sentences by the sum is to rank them by
# $\log p(\text{subject}\mid\text{clip}) + \log p(\text{predicate}\mid\text{clip})$. That is the late fusion of chapter 01, here
# between two *parts of one sentence*, and it assumes the same: that who and what are independent given the clip. (Between
# *clips* the constant differs, as it did between sounds in section 2; the search below is done with it and without.)


# %%
class TwoPaths(nn.Module):
    """Clips and sentences in one space; the first half of a vector is about who, the second about what happens."""

    def __init__(self, vocabulary, width=64):
        super().__init__()
        self.look, self.move = video.Frames(3, width), video.Change(width)  # the mean over frames; the Conv3D
        self.words = TextBag(len(vocabulary), 2 * width)  # the mean of its words' vectors
        self.vocabulary, self.width = vocabulary, width
        self.scale = LogTemperature(0.1)  # e^τ, which starts at 1 / 0.1

    def clip(self, x):  # (B, frames, 3, H, W) → (B, 2 · width)
        return torch.cat([F.normalize(self.look(x), dim=-1), F.normalize(self.move(x), dim=-1)], 1)

    def text(self, sentences):
        parts = [line.split() for line in sentences]  # “the rocket” | “turns clockwise”
        subject = self.words(*self.vocabulary.encode([" ".join(w[:2]) for w in parts]))[:, : self.width]
        predicate = self.words(*self.vocabulary.encode([" ".join(w[2:]) for w in parts]))[:, self.width :]
        return torch.cat([F.normalize(subject, dim=-1), F.normalize(predicate, dim=-1)], 1)


# %% [markdown]
# The loss is InfoNCE (chapter 04), each clip against *all* 24 subjects and all 12 predicates: none of the negatives is a false one.
# The library's `video.Paths` is this class with unknown words left out, and `video.match` its loss. We train the library's, and
# two models that know no order.

# %% tags=["measured"]
with torch.no_grad():
    mine, paths = TwoPaths(motion.vocabulary).eval(), video.Paths(motion.vocabulary).eval()
    paths.load_state_dict(mine.state_dict())
    clips, lines = motion.test.inputs["video"][:4], motion.test.info["sentence"][:4]
    apart = (mine.clip(clips) - paths({"video": clips})).abs().max(), (mine.text(lines) - paths.read(lines)).abs().max()
claim("applications.same-paths", max(apart), at_most=1e-5, says="The class above and the library's, largest difference")

# %% tags=["measured"]
makers = {"one frame": lambda: video.Namer(video.Frames(1)), "mean of frames": lambda: video.Namer(video.Frames(4)),
          "two paths": lambda: video.Paths(motion.vocabulary)}  # fmt: skip
models, right = {}, {}
for name, make in makers.items():
    seed_everything(seed)
    models[name] = video.train(make(), motion, epochs=VIDEO_EPOCHS, seed=seed)
    right[name] = {
        part: video.right(models[name], clips) for part, clips in (("seen", motion.seen), ("unseen", motion.test))
    }
    print(
        f"{name:<15}"
        + "".join(f"  {k} of {part} pairs {v:.3f}" for part, r in right[name].items() for k, v in r.items())
    )
paths = models["two paths"]
claim("applications.order-tells-the-verb", right["two paths"]["unseen"]["verb"], at_least=0.93,
      says="Two paths, verbs of pairs never seen: accuracy")  # fmt: skip
claim("applications.one-frame-misleads", right["one frame"]["seen"]["verb"] - right["one frame"]["unseen"]["verb"], at_least=0.02,
      says="One frame, verbs: accuracy on pairs of training less that on unseen pairs")  # fmt: skip

# %% tags=["measured"]
shaken = torch.rand(motion.test.inputs["video"].shape[:2], generator=torch.Generator().manual_seed(seed)).argsort(1)
orders = {
    "as it is": torch.arange(8).expand_as(shaken),
    "shuffled": shaken,
    "backwards": torch.arange(7, -1, -1).expand_as(shaken),
}
reordered = {}
for way, order in orders.items():
    frames = motion.test.inputs["video"].gather(1, order[..., None, None, None].expand_as(motion.test.inputs["video"]))
    reordered[way] = video.right(paths, replace(motion.test, inputs={**motion.test.inputs, "video": frames}))
    print(f"frames {way:<10}" + "  ".join(f"{k} {v:.3f}" for k, v in reordered[way].items()))
claim("applications.order-is-used", reordered["as it is"]["verb"] - reordered["shuffled"]["verb"], at_least=0.3,
      says="Two paths, verbs of unseen pairs: what shuffling the frames takes away")  # fmt: skip

# %% [markdown]
# With the frames of each clip **shuffled**, most of the verbs are lost and *who* stays: these two paths do use the order. (That is
# not to say that no model could do better without it. This one was trained on frames in order; a shuffled clip is strange to
# it.) Played **backwards**, what grew shrinks, and a model that uses the order must now answer wrongly there. The other six verbs
# keep their name: what moved left moves right, which is still *moves*; what blinks, blinks. Six of eight is 0.75.
#
# Now the search: for each sentence, which clip comes first among one clip of **each of the 192 pairs**? The distractors share the
# thing or the verb with what is asked for, and most of them were in training, the right answer was not. Once with the plain
# score, once with what the clip gives to *all* subjects and to all predicates taken off, as from sounds in section 2:

# %% tags=["measured"]
rank = {}
for part, takes in (("seen", 3), ("test", 8)):
    for way in ("plain", "normalised"):
        rank[part, way] = video.search(paths, motion, part, pick(smoke=1, laptop=takes), normalised=way == "normalised")
        found = "  ".join(f"{k} {v:.3f}" for k, v in rank[part, way].items())
        print(f"{'unseen' if part == 'test' else part:<6} pairs, {way:<10}  {found}")
print(f"by chance  R@1 {1 / 192:.3f}")
claim("applications.clip-by-sentence", rank["test", "plain"]["R@1"], at_least=0.4, says="Sentences of unseen pairs: the right clip first of 192")  # fmt: skip
claim("applications.normalise-clips", rank["test", "normalised"]["R@1"] - rank["test", "plain"]["R@1"], at_least=0.01,
      says="Sentences of unseen pairs, R@1: what normalising each clip's scores gains")  # fmt: skip

# %% [markdown]
# Normalising pays: a clip that gives every sentence a high score no longer stands before the right one.
#
# ### Equal training, several seeds
#
# The table trains four models, all for the same number of epochs, on several seeds: the two that name verbs from frames without
# order, and the two paths in two ways. In the second way both paths are mixed by a matrix and compared with the *whole* sentence,
# **one space** for who and what, as an image–text model would do it. *Predict:* does the sentence of a pair that was never seen
# find its clip in one space? (The search is the plain one in both.)

# %% tags=["measured"]
table, made = stored("moving-emoji")
print(made)
means = table.groupby("model", sort=False).mean(numeric_only=True).rename_axis(index=None, columns="model")
means[["verb, seen", "verb, unseen", "object, unseen", "R@1, seen", "R@1, unseen", "R@5, unseen"]].round(3)

# %% tags=["measured"]
fig, ax = figures.canvas(size=(8.2, 2.3))
named = table.dropna(subset=["verb, seen"])
for row, takes in enumerate(rows for _, rows in named.groupby("model", sort=False)):
    for part, shift, colour in (("seen", -0.12, "video"), ("unseen", 0.12, "test")):
        label = f"{part} pairs" if not row else None
        ax.plot(takes[f"verb, {part}"], [row + shift] * len(takes), "o", color=figures.COLOURS[colour], label=label)
for share, style, what in ((1 / 8, "--", "chance, 1/8"), (1 / 6, ":", "knows the thing's six verbs, 1/6")):
    ax.axvline(share, color=figures.COLOURS["chance"], ls=style, lw=1, label=what)
ax.set_yticks(range(named["model"].nunique()), named["model"].unique())
ax.set(
    xlim=(-0.02, 1),
    ylim=(2.5, -0.5),
    xlabel="share of right verbs, a dot a seed",
    title="Two paths name the verb; one frame and a mean of frames do not",
)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
means = named.groupby("model", sort=False)[["verb, seen", "verb, unseen"]].mean()
shares = ", ".join(f"{name} {a:.2f} and {b:.2f}" for name, (a, b) in zip(means.index, means.values))
figures.describe(fig, f"Right verbs of seen and of unseen pairs, mean of the seeds: {shares}.")

# %% tags=["measured"]
by = table.set_index(["model", "seed"])
apart, one_space = by.loc["two paths apart"], by.loc["two paths, one space"]
claim("applications.verbs", every=apart["verb, unseen"], at_least=0.96, says="Verbs of unseen pairs, two paths")
claim("applications.clips-by-sentence", every=apart["R@1, unseen"], at_least=0.7,
      says="Unseen pairs: the right clip first of 192, by its sentence")  # fmt: skip
claim("applications.apart-finds-more", every=apart["R@1, unseen"] - one_space["R@1, unseen"], at_least=0.01,
      says="Unseen pairs, R@1: what two spaces gain on one")  # fmt: skip
lost = (one_space["R@1, seen"] - one_space["R@1, unseen"]).round(3).tolist()
print("what one space loses from seen to unseen pairs, R@1, seed by seed:", lost)

# %% [markdown]
# **What to see.** On seen pairs one frame and the mean are at about one in six: each thing does six verbs in training, and they
# know which six, no more. On unseen pairs that puts them below chance: they answer with a verb that this thing did in training.
# The mean could do better, but in this much training it does not learn to, and its network, which looks for things *wherever they
# stand*, can hardly see a move. The two paths name nearly every verb. They see differences and order, more frames too, so the
# table does not say which of these it is; the shuffled frames above say that order is used. And they put the right clip first for
# most sentences that they have never read.
#
# One space for both halves is not the failure that one might have guessed. It finds a little less, and it loses nothing to speak
# of from seen to unseen pairs: the bag of words is a sum already, and a sum of paths can meet it. Keeping the halves apart is
# simpler and here somewhat better, but it is not what makes the model compose. (The two also learn from different losses: which
# of the two makes the difference is open.)
#
# **Where it fails.** The errors that are left are mostly errors of *who*: 24 drawings in four styles, turned by up to 90 degrees
# and some twelve to twenty pixels large. Some clips that it takes for something else:

# %% tags=["measured"]
objects, _ = video.says(paths, motion.test)
wrong = (objects.argmax(1) != motion.test.targets["object"]).nonzero().flatten()[::3][:8]
things = motion.classes["object"]
taken = [f"{things[motion.test.targets['object'][i]]}, taken for {things[objects[i].argmax()]}" for i in wrong.tolist()]
figures.picture_grid(
    motion.test.inputs["video"][wrong, 3], taken, columns=8, inch=1.15, alt="One frame each of clips whose thing is not recognised: " + "; ".join(taken) + ".",
)  # fmt: skip

# %% [markdown]
# ### Use it yourself
#
# Two questions of a user: *find me a clip in which …*, and *what happens in this one?* The first is answered from a gallery of
# one clip of each pair, the second by the likeliest subject and predicate, with their probabilities.


# %%
shelf = video.gallery(motion, take=0)
with torch.no_grad():
    shelf_vectors = predict(paths, shelf)


def find_clips(wish, number=4):
    line, left_out = video.as_read(wish, motion.vocabulary)
    if line.split() != tokens(wish):
        print(f"read as: {line}; left out: {', '.join(left_out) or 'nothing'}")
    scores = video.fits(paths, [line], shelf_vectors, normalised=True)[0]
    best = scores.topk(number).indices
    alt = f"The clips found for “{wish}”: " + "; ".join(shelf.info["sentence"][i] for i in best)
    print("found: " + " | ".join(shelf.info["sentence"][i] for i in best))
    return figures.moving(shelf.inputs["video"][best], zoom=4, alt=alt)


# %%
def tell_clip(clip):
    batch = Batch({"video": clip[None]}, {"object": torch.zeros(1)})
    with torch.no_grad():
        who, what = ((paths.scale() * s).softmax(1)[0] for s in video.says(paths, batch))
    print(f"the {list(OBJECTS)[who.argmax()]} ({who.max():.0%}) {video.PREDICATES[what.argmax()]} ({what.max():.0%})")
    return figures.moving(
        clip[None], zoom=5, alt=f"The clip: told as {list(OBJECTS)[who.argmax()]} {video.PREDICATES[what.argmax()]}."
    )


# %% tags=["measured"]
find_clips("the rocket turns anticlockwise")

# %% tags=["measured"]
find_clips("the rocket turns clockwise")

# %% tags=["measured"]
tell_clip(film("🛸", "moves", "to the right", seed=5))  # a flying saucer: no such thing among the 24

# %% [markdown]
# The shelf has one clip of a turning rocket, so one of the two wishes cannot be served, and is answered all the same. The saucer
# is none of the 24 things, so *who* must be wrong, and often with confidence: a softmax knows no “none of these”. *What* it does
# does not need to know who moves.
#
# **Try it.** Type a sentence, film one of the things or a stranger, or upload a moving GIF. What happens with *the dog flies*?
# With two things that move at once?

# %%
cast = {thing: thing for thing in OBJECTS} | {f"{c} (a stranger)": c for c in ("🛸", "🐘", "⚽", "🧀")}


def film_it(thing, action):
    verb, _, way = action.partition(" ")  # "moves to the left" → "moves", "to the left"
    return film(thing, verb, way)


widgets.clip_finder(find_clips, tell_clip, film_it, cast, video.PREDICATES, wish="the rocket turns anticlockwise")

# %% [markdown]
# ## 4 · Tools: one model, three frameworks
#
# The same network can be written in several libraries. We take the classic model of chapter 03, section 2 (CNN and LSTM,
# concatenation, dense layers; its question: is this something of nature, from a drawing and one word?), write it in **PyTorch**,
# train it in **Keras 3**, carry the weights over, and wrap it for **Hugging Face Transformers**. The same weights must give the
# same answers. (Keras runs on PyTorch here, so what is compared is layouts and conventions, not arithmetic.) Keras and
# Transformers are an extra of this course; nothing is downloaded by using them.

# %%
missing = [name for name in ("keras", "transformers") if importlib.util.find_spec(name) is None]
if missing:
    print(
        f"Not installed: {', '.join(missing)}. `pip install keras transformers` brings them; the cells of this section are left out."
    )
words = load_emoji(["noto"], keywords=1, length=8, seed=seed)
lesson, exam = words.train[:: pick(smoke=16, laptop=2)], words.test[:64]

# %% [markdown]
# **PyTorch** says *what happens*: layers, and a `forward` that uses them. Pictures are (channel, height, width).


# %%
class Classic(nn.Module):
    """The classic model: CNN and LSTM, their vectors side by side, dense 128 → 64 → 1."""

    def __init__(self, image_size, vocabulary):
        super().__init__()
        layers, width, side = [], 3, image_size
        for channels in (64, 128, 256):
            layers += [nn.Conv2d(width, channels, 3), nn.ReLU(), nn.MaxPool2d(2)]
            width, side = channels, (side - 2) // 2
        self.cnn = nn.Sequential(*layers, nn.Flatten())
        self.embedding, self.lstm = nn.Embedding(vocabulary, 64), nn.LSTM(64, 64, batch_first=True)
        dense = [nn.Linear(width * side**2 + 64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1)]
        self.head = nn.Sequential(*dense)

    def forward(self, image, text):  # uint8 (B, 3, S, S), int64 (B, T) → logits (B,)
        h, _ = self.lstm(self.embedding(text))
        return self.head(torch.cat([self.cnn(image / 255), h[:, -1]], 1))[:, 0]


# %% [markdown]
# Its training is a loop of one's own, for each batch:
#
# ```python
# loss = F.binary_cross_entropy_with_logits(model(image, text), answer)
# optimizer.zero_grad(); loss.backward(); optimizer.step()
# ```
#
# **Keras** says *what* the layers are and has the loop ready: `fit`. It runs on PyTorch, TensorFlow or JAX: the variable
# `KERAS_BACKEND`, set before it is first imported, decides. Pictures are (height, width, channel) here.

# %% tags=["measured"]
if "keras" not in missing:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras import layers as L

    keras.utils.set_random_seed(seed)
    picture, text = keras.Input((48, 48, 3)), keras.Input((8,), dtype="int32")
    x = L.Rescaling(1 / 255)(picture)
    for channels in (64, 128, 256):
        x = L.MaxPooling2D(2)(L.Conv2D(channels, 3, activation="relu")(x))
    y = L.LSTM(64)(L.Embedding(len(words.vocabulary), 64)(text))
    z = L.Concatenate()([L.Flatten()(x), y])
    z = L.Dense(64, activation="relu")(L.Dense(128, activation="relu")(z))
    in_keras = keras.Model([picture, text], L.Dense(1, activation="sigmoid")(z))
    in_keras.compile("adam", "binary_crossentropy")
    study, test = ([b.inputs["image"].movedim(1, -1).numpy(), b.inputs["text"].numpy()] for b in (lesson, exam))
    in_keras.fit(study, lesson.targets["nature"].numpy(), batch_size=32, verbose=0)
    keras_says = in_keras.predict(test, verbose=0)[:, 0]
    print(f"{in_keras.count_params():,} parameters; answers from {keras_says.min():.2f} to {keras_says.max():.2f}")

# %% [markdown]
# One epoch on half of the examples is far too little to answer well. For what comes next that does not matter; any weights will do.
#
# Carrying them over is a lesson in what frameworks do alike and not: kernels are stored in another order of axes, an LSTM has one
# bias or two, and *flatten* runs through a picture in another order, so that the columns of the next matrix must move. The
# library's `carry_keras_weights` does each of these for its own class of this model, `ClassicFusion`, whose layers come in the
# order of ours.

# %% tags=["measured"]
if "keras" not in missing:
    carried = carry_keras_weights(ClassicFusion(48, len(words.vocabulary)), in_keras).state_dict()
    in_torch = Classic(48, len(words.vocabulary)).eval()
    # the same layers in the same order, under other names
    in_torch.load_state_dict(dict(zip(in_torch.state_dict(), carried.values(), strict=True)))
    with torch.no_grad():
        torch_says = in_torch(exam.inputs["image"], exam.inputs["text"]).sigmoid()
    claim("applications.keras-is-pytorch", (torch_says - torch.as_tensor(keras_says)).abs().max(), at_most=1e-4,
          says="Keras and PyTorch with the same weights, largest difference of a probability")  # fmt: skip

# %% [markdown]
# **Transformers** is a library of architectures with a common form: a *configuration*, from which a model is built with fresh
# weights, and a folder format to share both (`save_pretrained`, `from_pretrained`). A model of one's own joins by two small
# classes. They wrap the PyTorch model, so what is compared below is saving and loading.

# %% tags=["measured"]
if not missing:
    from transformers import PretrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()

    class ClassicConfig(PretrainedConfig):
        model_type = "classic-fusion"

        def __init__(self, image_size=48, vocabulary=10_000, **rest):
            super().__init__(**rest)
            self.image_size, self.vocabulary = image_size, vocabulary

    class ClassicModel(PreTrainedModel):
        config_class = ClassicConfig

        def __init__(self, config):
            super().__init__(config)
            self.classic = Classic(config.image_size, config.vocabulary)
            self.post_init()

        def forward(self, pixel_values, input_ids):
            return SequenceClassifierOutput(logits=self.classic(pixel_values, input_ids))


# %% tags=["measured"]
if not missing:
    wrapped = ClassicModel(ClassicConfig(48, len(words.vocabulary)))
    wrapped.classic.load_state_dict(in_torch.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        wrapped.save_pretrained(folder)
        again = ClassicModel.from_pretrained(folder).eval()
    with torch.no_grad():
        hub_says = again(exam.inputs["image"], exam.inputs["text"]).logits.sigmoid()
    claim("applications.transformers-is-pytorch", (hub_says - torch_says).abs().max(), at_most=1e-6,
          says="Saved, loaded and asked through Transformers, largest difference of a probability")  # fmt: skip

# %% [markdown]
# The architectures that come with it are built the same way. A small CLIP from a configuration, not from a download, and its loss
# beside ours on the same embeddings:

# %% tags=["measured"]
if not missing:
    from transformers import CLIPConfig, CLIPModel

    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    V = len(words.vocabulary)
    theirs = CLIPModel(CLIPConfig(
        text_config=small | {"vocab_size": V + 2, "max_position_embeddings": 16, "bos_token_id": V, "eos_token_id": V + 1, "pad_token_id": 0},
        vision_config=small | {"image_size": 48, "patch_size": 8}, projection_dim=32,
    )).eval()  # fmt: skip
    with torch.no_grad():
        out = theirs(input_ids=exam.inputs["text"], pixel_values=exam.inputs["image"] / 255, return_loss=True)
        own = clip_loss(out.image_embeds, out.text_embeds, theirs.logit_scale.exp())
    print(
        f"{sum(p.numel() for p in theirs.parameters()):,} parameters; loss {out.loss:.4f}, ln {len(exam)} = {math.log(len(exam)):.4f}"
    )
    claim(
        "applications.clip-loss",
        (own - out.loss).abs(),
        at_most=1e-4,
        says="CLIP's loss in Transformers and here, difference",
    )

# %% [markdown]
# Untrained, its loss is somewhat *above* $\ln 64$: this CLIP starts at a temperature of 0.07, which turns random similarities
# into sure and wrong guesses. A model that says the same of every pair is at $\ln N$.
#
# ### When to choose which
#
# | you want to … | take | why |
# |---|---|---|
# | try a new idea, teach, publish research | PyTorch | every step is visible and can be changed; most papers' code is written in it |
# | build standard models quickly, on any of three backends | Keras 3 | layers and `fit` in a few lines; the same code on PyTorch, JAX and TensorFlow |
# | use or fine-tune a large pretrained model | Transformers | thousands of models with tokenisers and image processors, one interface |
# | deploy to phones, browsers, microcontrollers, or keep an existing TensorFlow system | TensorFlow (with Keras) | mature serving and on-device tools |
# | very large training on accelerators, functional style | JAX | compiled, transformable functions |
#
# For multimodal research today's default is PyTorch, with Transformers where pretrained parts are wanted. Choose by what your
# colleagues can read and what your target machine can run; the mathematics is the same.

# %% [markdown]
# ## 5 · Practice: before anybody relies on it
#
# ### Evaluation
#
# 1. **Hold out what will be new in use.** New speakers, new sentences, new concepts, new pairs: in this chapter each system was split by what its
#    user brings (though the picture finder's test wishes were fuller than a user's). A random split would have put the same speaker, or a near-duplicate of the sentence, on both sides.
# 2. **Choose on validation, report on test**, once. The best of many on the test is partly luck.
# 3. **Name the floor and the ceiling.** Chance, the best single modality, a trivial rule; and what a person reaches.
# 4. **Say how sure you are.** Several seeds, an interval, and the number of test examples. Two models are compared on the *same* examples.
# 5. **Look at errors**, by group: an average hides the speaker for whom it fails.
#
# How much can a small test deceive? We draw our own test anew, with replacement, a thousand times (the *bootstrap*), and look at
# how far the error rate of the digit recogniser moves although nothing about it has changed. Then two readings of the prompts are
# compared in pairs: what the model of letters takes off, beside beam search alone, over the same draws of sentences.


# %% tags=["measured"]
def edits(answers, transcripts):
    return torch.tensor([character_error_rate([a], [t]) * len(t) for a, t in zip(answers, transcripts)])


def drawn_anew(wrong, transcripts, size):
    """Ends of the middle 95 % of the error rate, or of a difference of two, over 1,000 draws of so many examples."""
    lengths, draws = torch.tensor([float(len(t)) for t in transcripts]), torch.Generator().manual_seed(seed)
    rows = torch.randint(len(transcripts), (1000, size), generator=draws)
    return (wrong[rows].sum(1) / lengths[rows].sum(1)).quantile(torch.tensor([0.025, 0.975])).tolist()


digit_texts = strings.test.info["transcript"]
digit_edits = edits(ears.written(digit_ear, strings.test, digits.DIGITS), digit_texts)
spreads = {size: drawn_anew(digit_edits, digit_texts, size) for size in (15, 50, len(digit_texts))}
for size, (low, high) in spreads.items():
    print(f"{size:>4} test strings: 95 % of the draws lie between {low:.3f} and {high:.3f}")
widths = [high - low for low, high in spreads.values()]
claim("applications.small-tests-deceive", widths[0] - widths[-1], at_least=0.001, says="How much wider the interval is with 15 strings than with all")  # fmt: skip
less = edits(readings["beam, width 8"], spoken) - edits(readings["beam and letters"], spoken)
low, high = drawn_anew(less, spoken, len(spoken))
print(f"{len(spoken)} sentences: the model of letters takes off between {low:.3f} and {high:.3f}")

# %% [markdown]
# The interval of the difference comes near zero: some fifty sentences hardly settle how much the model of letters helps. We drew *strings* and *sentences*. To ask how it would do with other **voices** one draws voices, each with all its strings, and
# the interval is wider. And no draw of a test says what another training would have given: that is what seeds are for.
#
# ### Debugging checklist
#
# From the cheapest check to the dearest; most bugs of multimodal systems are bugs of *pairing and preprocessing*.
#
# | check | how | what it catches |
# |---|---|---|
# | look at ten pairs as the model gets them | draw and play them **after** all preprocessing | shuffled pairs, wrong channel order, silence, cut-off text |
# | loss before training | $\ln K$ for $K$ classes; $\ln N$ for a contrastive batch of $N$, if the temperature is high | wrong scale, softmax applied twice |
# | overfit one batch | the loss must go to nearly 0 | a dead layer, labels that do not belong, a learning rate far off |
# | shuffle one modality at test time | accuracy must fall, to about that of the other alone | a modality that is ignored |
# | a baseline of each modality alone | the fused model must beat the better one | competition, leakage |
# | padding | the same text with more padding must give the same answer | a missing mask |
# | one line of code changed at a time | rerun with the same seed | two bugs that hide one another |
#
# Section 3 shuffled frames. The check of padding, on the recogniser of digits:

# %% tags=["measured"]
sound, _ = ears.heard([strings.test.info["waveform"][example]])
longer = F.pad(sound, (0, 60))
real = torch.arange(longer.shape[-1])[None] < sound.shape[-1]
once, padded = digit_ear.write({"audio": sound}), digit_ear.write({"audio": longer}, masks={"audio": real})
heard_twice = ["".join(digits.DIGITS[i] for i in ids[0]) for ids in (once, padded)]
print("the digits heard, without and with 0.6 s of padding:", *heard_twice)

# %% [markdown]
# ### Data cards
#
# A data set needs a page that says where it comes from, who may use it, how it was split and what it does not hold (Gebru et al.
# 2021). A system needs one that says what it was tested on (Mitchell et al. 2019). Every set of this course has its card:

# %%
print(page(data.card("prompts")))

# %% [markdown]
# (The chapter leaves out the recordings that last longer than eight seconds.) And here is the card of a *system*, the recogniser
# of digits; its figures are those measured above:

# %% tags=["measured"]
ends = [people["CER, before"].min(), people["CER, before"].max()]
print(f"""recogniser of digits, chapter 06
what it does   writes one to six English digits from a recording at 8 kHz
learned from   {len(strings.train):,} strings said by eSpeak's voices; no person among them
tested on      {len(strings.test)} strings by voices it never heard: {greedy["CER"]:.3f} of the digits wrong
               {people["model"].nunique()} people, trained in the same way (stored table): {ends[0]:.2f} to {ends[1]:.2f}
never tested   children, noise, other languages, digits among other words
beware         it hears digits in whatever it is given, and does not say how sure it is
use it for     learning; not where a wrong digit does harm""")

# %% [markdown]
# Write such a card *before* you show a system to others. For the other two it would have to say at least: the picture finder
# knows emoji, not photographs; the clip finder answers with one of 24 things whatever it is shown. And the writer of sentences
# has heard synthetic voices and **one** woman on a telephone line, so a good figure says nothing about you.
#
# Voices are personal data: record others only with their consent, and say what becomes of the recording. Here it stays in the
# memory of the kernel: on your computer if it runs there, on another's if you opened the chapter in Colab.
#
# ## What to take away
#
# - Split by what the user brings, and say what the *queries* of the test were: a full description is not a wish.
# - CTC needs transcripts, not times. The error on people it has never heard is the figure that counts.
# - A sentence of known parts can be found though it is new as a whole. Ask what a baseline *could* know before you make much of beating it.
# - The same weights must give the same answers: check it whenever a model moves.
# - Before others rely on it: floor, ceiling, interval, card.
#
# ## FAQ
#
# <details><summary>It does not understand my own voice. What is wrong?</summary>
#
# Nothing, very likely. The recognisers have met one person and synthetic voices. Record each digit several times, name the files
# by what they say (`7_a.wav`, `1984_b.wav`), and fine-tune, with some synthetic voices among them; the widget above then listens
# with what was learned. Test on recordings that you kept apart, in a folder of their own.
#
# ```python
# mine = digits.recorded("my_digits")
# ears.learn(digit_ear, ears.together(mine, strings.train[::8]), epochs=6, lr=1e-3)
# print(ears.error_rates(digit_ear, digits.recorded("my_digits_kept_apart"), digits.DIGITS))
# ```
#
# </details>
# <details><summary>How were the stored recognisers of letters made?</summary>
#
# By <code>python -c "from mmteach.recipes.applications_letters import keep_ears; keep_ears()"</code>, in some minutes.
#
# </details>
# <details><summary>Why not use a large pretrained model right away?</summary>
#
# For a product, do. Here each part is small enough to be trained and taken apart in minutes, and the checks of section 5 are the
# same for both.
#
# </details>
# <details><summary>Can I film with a camera, or paint with a mouse?</summary>
#
# Save a GIF or a picture and upload it. The course draws with letters because that works from a keyboard, on every platform.
#
# </details>
#
# ## Quiz
#
# **1. A clip model is at 0.04 on unseen pairs where chance is 0.125. What is the likeliest cause?**
#
# <details><summary>A bug in the evaluation</summary>Check for it, but here a simpler cause explains a figure <em>below</em> chance.</details>
# <details><summary>It learned which verbs each object does in training</summary>Yes: in the unseen pairs the answer is never among them.</details>
# <details><summary>Too little training</summary>A model that knows nothing would be at chance, not below it.</details>
#
# **2. What does CTC need to know about the training recordings?**
#
# <details><summary>When each letter begins</summary>No: it sums over all alignments.</details>
# <details><summary>Only the transcript, no longer than the frames allow</summary>Yes: one frame a label, and one more between equal neighbours; with 30 ms a
# frame some 33 letters a second at most.</details>
# <details><summary>The speaker</summary>No, though a split needs it.</details>
#
# **3. What did the comparison with one space show?**
#
# <details><summary>Only separate halves compose</summary>No: one space loses hardly anything from seen to unseen pairs either.</details>
# <details><summary>Separate halves find somewhat more; both compose</summary>Yes, on each seed of the table.</details>
# <details><summary>One space is better with more words</summary>That was not tried.</details>
#
# **4. Keras and PyTorch give different answers with “the same” weights. Where do you look first?**
#
# <details><summary>Rounding</summary>Differences of rounding are near $10^{-6}$; look there last.</details>
# <details><summary>The order of axes at kernels and at <em>flatten</em>, and the scale of the pictures</summary>Yes: these are what the carrying changes.</details>
# <details><summary>The optimiser</summary>It plays no part once weights are fixed.</details>
#
# **5. Fine-tuning lowered the error on new sentences of the speaker it was tuned on. What may you report?**
#
# <details><summary>The error for new speakers</summary>No: none was tried. Leave a speaker out for that.</details>
# <details><summary>The error for new sentences of this speaker</summary>Yes, with that label.</details>
# <details><summary>Nothing: the speaker was in training</summary>Too strict: for a device with one owner this is the right test.</details>
#
# **6. A search finds four of ten wishes when each wish is a full description. What may you promise its users?**
#
# <details><summary>Four of ten of <em>their</em> wishes</summary>No: theirs are shorter, and of other words. Test with wishes that users wrote.</details>
# <details><summary>That it beats chance on full descriptions</summary>Yes, and little more.</details>
# <details><summary>More, since users look at many pictures</summary>Only if the test counted that: R@10 did so already.</details>
#
# **7. Two recognisers differ by one character in a hundred on 51 sentences. Which is better?**
#
# <details><summary>The one with fewer errors</summary>Perhaps. Draw the sentences anew, in pairs, and look whether the difference keeps its sign.</details>
# <details><summary>Not to be said without an interval of the difference</summary>Yes; and with other seeds, if it is the <em>method</em> that is compared.</details>
# <details><summary>Neither: the intervals of the two rates overlap</summary>Not enough: what makes a sentence hard is hard for both, and cancels in pairs.</details>
#
# ## Go further
#
# - Alex Graves, Santiago Fernández, Faustino Gomez and Jürgen Schmidhuber, 2006, “Connectionist Temporal Classification: Labelling Unsegmented
#   Sequence Data with Recurrent Neural Networks”, ICML.
# - Karen Simonyan and Andrew Zisserman, 2014, “Two-Stream Convolutional Networks for Action Recognition in Videos”, NeurIPS.
# - Alec Radford et al., 2021, “Learning Transferable Visual Models From Natural Language Supervision”, ICML: description as query and as class.
# - Awni Hannun, Andrew Maas, Daniel Jurafsky and Andrew Ng, 2014, “First-Pass Large Vocabulary Continuous Speech Recognition using
#   Bi-Directional Recurrent DNNs”: prefix beam search with a language model.
# - Navdeep Jaitly and Geoffrey Hinton, 2013, “Vocal Tract Length Perturbation (VTLP) improves speech recognition”: a longer or shorter throat.
# - Daniel Park et al., 2019, “SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition”, Interspeech: holes in time and pitch.
# - Alec Radford et al., 2023, “Robust Speech Recognition via Large-Scale Weak Supervision”, ICML: Whisper, a recogniser from 680,000 hours.
# - Gaurav Mittal, Tanya Marwah and Vineeth Balasubramanian, 2017, “Sync-DRAW: Automatic Video Generation using Deep Recurrent Attentive
#   Architectures”: moving digits with captions, the model of our clips.
# - Bradley Efron, 1979, “Bootstrap Methods: Another Look at the Jackknife”, The Annals of Statistics.
# - Timnit Gebru et al., 2021, “Datasheets for Datasets”, Communications of the ACM.
# - Margaret Mitchell et al., 2019, “Model Cards for Model Reporting”, FAT*.
