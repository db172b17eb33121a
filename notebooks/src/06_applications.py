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
# **Time** 80 minutes to read; about three minutes to run on a laptop with two cores.


# %%
import importlib.util
import itertools
import math
import os
import tempfile
from collections import Counter
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
from mmteach.data.motion import OBJECTS, VERBS, film
from mmteach.data.prompts import LETTERS
from mmteach.data.spoken import read_people
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


def split_action(action):
    """ "moves to the left" → ("moves", "to the left")"""
    verb, _, way = action.partition(" ")
    return verb, way


# %% [markdown]
# Three systems, each small enough to be trained while you read, and each with the same parts: pairs, an encoder for each modality, a
# loss that brings pairs together, a search. At the end of each section you use it, on input that nobody prepared.
#
# | system | you give | you get | what is new in the test |
# |---|---|---|---|
# | 1 | a wish, a drawing, an uploaded picture | pictures; the description that fits | concepts never seen; a drawing style never seen |
# | 2 | a text to say, a recording | what was said, and when | voices, people and sentences never heard |
# | 3 | a sentence, a clip | clips; who does what | pairs of thing and action never seen |
#
# ## 1 · Pictures and descriptions
#
# *Something round and yellow to eat.* A search by description needs a space in which the text lies next to the pictures it fits. Chapter 04
# derives the loss; here it serves. For a batch of $N$ pairs with vectors $I_i$, $T_i$ of length 1 and temperature $e^{-\tau}$:
#
# $$L_{\text{words}} = \tfrac12\big[\mathrm{CE}(S) + \mathrm{CE}(S^\top)\big], \quad S_{ij} = e^{\tau}\, I_i \cdot T_j, \qquad
# L = L_{\text{words}} + \lambda\, L_{\text{drawings}},$$
#
# where $L_{\text{drawings}}$ is the same between two *drawings* of one concept, in two styles. The second term is for queries that are
# pictures: your own drawing is one more style. Texts are names in ten languages, and keywords in English and Chinese, cut into words and runs of three letters, so that a new word
# shares pieces with known ones.

# %%
views, pieces = pictures.material()
print(views)
for text in ("yellow pear", "黄色的梨"):
    print(f"{text} → {' '.join(pieces.split(text))}")

# %%
torch.manual_seed(seed)
figures.picture_grid(
    pictures.two_views(views[40:46]).inputs["image"], columns=6, inch=1.1, title="What the network is given: one concept a column, two artists, moved and recoloured a little",
    alt="Two rows of six small emoji; in each column the same thing in two drawing styles, turned, shifted and tinted a little.",
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
      says="Concepts never seen, found by description: right picture among the first ten of 317")  # fmt: skip
claim("applications.recognise-unseen", results["picture → en"]["R@10"], at_least=0.12,
      says="Concepts never seen, recognised: right description among the first ten of 317")  # fmt: skip

# %% [markdown]
# **What to see.** Ten answers hold the right one several times as often as ten drawn by chance would (both figures stand above), for things of which training had neither
# picture nor word. What carries over is what the parts share: colours, kinds of shape, pieces of words. It is a long way from
# perfect, and for a user who looks at ten pictures it is a help.


# %% [markdown]
# *Predict.* Does the loss between drawings help a search **by words**? A search **by drawing**?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# The second term pulls the styles together, which a query in a *new* style needs. It says nothing about words, and helps them all the same. Why, the table does
# not tell: perhaps because what artists agree on is what a word is about.
#
# </details>

# %% tags=["measured"]
table, made = stored("find-by-words")
print(made)
columns = ["en → picture, R@10, test", "zh → picture, R@10, test", "picture → en, R@10, test", "drawing → picture, R@1", "drawing → picture, R@10"]  # fmt: skip
table.groupby("model", sort=False)[columns].mean().rename_axis(index=None, columns="trained with").round(3)

# %% tags=["measured"]
by = table.set_index(["model", "seed"])
gain = by.loc["words and drawings"] - by.loc["words alone"]
claim("applications.drawings-help-words", every=gain["en → picture, R@10, test"], at_least=0.01,
      says="Concepts never seen, found by description, R@10: gain of the loss between drawings")  # fmt: skip
claim("applications.drawings-help-drawings", every=gain["drawing → picture, R@1"], at_least=0.01,
      says="A drawing in a style never seen finds its concept first: gain of the loss between drawings")  # fmt: skip
figures.compare(table, "drawing → picture, R@1", label=f"R@1 of a drawing in a style never seen, gallery {len(pictures.numbers_in('train')):,}",
                title="A loss between drawings helps drawings as queries")  # fmt: skip

# %% [markdown]
# ### Use it yourself
#
# The gallery is now *all* 1,587 emoji in one style. A wish in English or Chinese is looked up as it is. A drawing or picture is cropped to
# what is drawn, as the training pictures were, and asked twice: which pictures lie near it, and which of *your* descriptions fits it
# best (zero-shot classification: a softmax over the descriptions' scores).


# %%
names = [concept.names["en"] for concept in concepts()]
shelf_pictures = pictures.look_at(finder, shown)


def find_pictures(wish, number=8):
    if (pieces.encode([wish])[0] == 1).all():
        raise ValueError(f"No piece of “{wish}” occurs in the training texts: try other words, English or Chinese.")
    scores = (pictures.read(finder, pieces, [wish]) @ shelf_pictures.T)[0]
    best = scores.topk(number).indices.tolist()
    alt = f"The emoji found for “{wish}”: " + ", ".join(names[i] for i in best) + "."
    print(f"“{wish}”")  # above the figure: its font knows no Chinese
    return figures.picture_grid(shown[best], [names[i] for i in best], columns=8, inch=1.1, alt=alt)


def name_picture(picture, could_be, number=7):
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
        title="Nearest",
        alt=alt,
    )


# %% tags=["measured"]
for wish in ("a red fruit", "白色的动物", "something that flies"):
    figures.show(find_pictures(wish))
name_picture(paint(PEAR), ["a fruit", "an animal", "a vehicle", "a face"])

# %% [markdown]
# **Try it.** Type a wish, in English or Chinese. Paint with letters, one a square: that works from the keyboard and without a mouse. Or upload a
# picture. What does the finder see in a drawing of *you*? Does it know a photograph?

# %%
widgets.picture_finder(find_pictures, name_picture)

# %% [markdown]
# **Where it fails.** It matches *looks*: a drawn pear in green may well come out as a green something else. It has a bag of pieces, so “a dog
# without a tail” is a dog, a tail and the rest. Of the wishes above, the one for a colour and a kind is served best; the one for what a thing *does* is
# not served at all, and white things on white paper hardly. And it always answers: nearest is not near.

# %% [markdown]
# ## 2 · Speech and text
#
# A recording has 100 frames a second, its transcript a few letters, and nobody has said which frame belongs to which letter.
# **Connectionist temporal classification** (CTC) does not ask. In each frame $t$ the network says a letter or *blank* “–”; an
# **alignment** $\pi$ is one choice a frame; merging repeats and then dropping blanks gives what it says: collapse(h h – e l – l l o) =
# *hello*. The probability of a text is the sum over all alignments that say it:
#
# $$p(y \mid x) = \sum_{\pi:\ \mathrm{collapse}(\pi) = y}\ \prod_t p_t(\pi_t), \qquad \text{loss} = -\log p(y \mid x).$$
#
# There are exponentially many, and a table adds them up. Put blanks around the letters, $s = (–, y_1, –, y_2, \dots, –)$, and let $\alpha_t(i)$ be
# the probability of all beginnings that stand at $s_i$ after frame $t$. One comes from the same place, from the one before, or skips a
# blank between two different letters. It begins at the first blank or the first letter, and ends at the last letter or the blank behind it:
#
# $$\alpha_t(i) = p_t(s_i)\,\big[\alpha_{t-1}(i) + \alpha_{t-1}(i-1) + \alpha_{t-1}(i-2)\,\mathbb{1}[s_i \ne –,\ s_i \ne s_{i-2}]\big].$$


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
# Text → speech is the easy direction here. **eSpeak NG is rule-based**: rules turn letters into sounds, tables give each sound its resonances,
# and an oscillator and filters play them. Nothing is learned, nobody was recorded, and any text in dozens of languages comes out in a
# millisecond, in a voice that no one takes for a person's. As a source of *labelled* speech it has no end.

# %%
strings = digits.strings(pick(smoke=(60, 20, 20), laptop=(DIGIT_STRINGS, 150, 150)), seed=seed)
print(strings.train)
example = next((i for i, text in enumerate(strings.test.info["transcript"]) if len(text) == 4), 0)
print("said:", strings.test.info["transcript"][example], "by", strings.test.info["voice"][example])
Audio(strings.test.info["waveform"][example].numpy(), rate=8000)

# %% [markdown]
# **How loud is loud?** Chapter 02 brought each log-mel spectrogram $L$ to mean 0 and variance 1. For recordings from anywhere that is a trap: the
# mean depends on how much *silence* is around the words. The recognisers of this chapter measure from the loudest point instead and
# cut off what is 50 dB below it, so that 0 is silence, and padding, and nothing else:
#
# $$x_{f,t} = \max\Big(0,\ 1 + \frac{E_{f,t} - \max E}{50}\Big), \qquad E_{f,t} = L_{f,t} + 15\,\frac{f}{40}.$$
#
# The slope of 15 dB (*pre-emphasis*) keeps soft high sounds, such as the *s* of six, above the floor. The same four digits, with and without a
# second of silence after them:

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
# The recogniser: two convolutions over pitch and time that make one frame of three (30 ms), four residual convolutions over time, each looking
# twice as far as the last, and a softmax over ten digits and the blank. Training examples are **varied** (`ears.vary`): faster or slower,
# the spectrum stretched as by a longer or shorter throat, blurred, coloured as by another microphone; echo, hiss, holes in time and pitch. The
# test's voices are never in training.

# %%
torch.manual_seed(seed)
one = strings.train[next((i for i, text in enumerate(strings.train.info["transcript"]) if len(text) == 3), 0)]
fig, axes = figures.canvas(1, 4, size=(10, 2.4), sharey=True)
for ax, (name, batch) in zip(
    axes, [("as it is said", ears.trim(one)), *((f"varied, {i}", ears.vary(one)) for i in (1, 2, 3))]
):
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
greedy, beam = (ears.error_rates(digit_ear, strings.test, digits.DIGITS, width=w) for w in (1, 8))
print(f"characters wrong on unseen voices: greedy {greedy['CER']:.3f}, beam search of width 8 {beam['CER']:.3f}")
claim("applications.synthetic-voices", greedy["CER"], at_most=0.1, says="Digit strings, unseen voices of eSpeak: character error rate")  # fmt: skip
figures.learning_curves(history, title="CTC on digit strings")

# %% [markdown]
# **Error rates.** The character error rate is the number of substitutions, deletions and insertions that turn the answer into the
# transcript, by the number of characters of the transcript; the word error rate counts words. Both can pass 1.
#
# When does it hear each digit? The likeliest alignment of a known text (*forced alignment*, the Viterbi path through the same table)
# says so.


# %% tags=["measured"]
def log_probs(ear, waveform):
    with torch.no_grad():
        sound, _ = ears.heard([waveform])
        return sound[0, 0], ear({"audio": sound})[0]


heard = log_probs(digit_ear, wave)
text = strings.test.info["transcript"][example]
figures.alignment(*heard, text, digits.DIGITS, title="When each digit was heard: short peaks, blanks between")

# %% [markdown]
# **What to see.** CTC's answers are *peaks*: a frame or two says the digit and all others say blank. A peak may stand at the very beginning of
# its digit: the convolutions look forwards as well as back, so the network knows already what follows. CTC rewards neither the right moment
# nor the right length.
#
# ### Digits, said by people
#
# How much of that holds for human speakers? The Free Spoken Digit Dataset has real people; it is not shipped with the course. With the variable
# `MMTEACH_FSDD` set to its folder the next cell tries the recogniser that you have just trained on them.

# %% tags=["measured"]
if os.environ.get("MMTEACH_FSDD"):
    for speaker in sorted(set(read_people()["speaker"])):
        right = digits.single_right(digit_ear, speaker)
        print(f"{speaker:<10} single digits right, never having heard a person: {right:.2f}")
else:
    print("MMTEACH_FSDD is not set, so nobody is heard here. `mmteach data` and the README say where to get the set.")

# %% [markdown]
# The stored table did it at length (how many seeds stands in its first line): trained on eSpeak alone and tried on each person (*before*), then fine-tuned on the **other** three,
# with some synthetic voices among them so that it goes on hearing many. Each person is left out in turn.

# %% tags=["measured"]
table, made = stored("digits-by-people")
print(made)
columns = ["single digits right, before", "single digits right", "CER, before", "CER", "CER, valid"]
table.groupby("model", sort=False)[columns].mean().rename_axis(index=None, columns="who speaks").round(3)

# %% tags=["measured"]
voices = table[table.model == "eSpeak, unseen voices"]
people = table[table.model != "eSpeak, unseen voices"]
before, after = (people.groupby("seed")[column].mean() for column in ("CER, before", "CER"))
claim("applications.voices", every=voices["CER"], at_most=0.08, says="Characters wrong on voices of eSpeak never heard")
claim("applications.people-are-harder", every=before - voices.set_index("seed")["CER"], at_least=0.1,
      says="Characters wrong on people less those on voices, before fine-tuning, mean of the speakers")  # fmt: skip
claim("applications.fine-tuning-helps", every=before - after, at_least=0.05,
      says="What fine-tuning on the other speakers takes off, mean of the speakers")  # fmt: skip
claim("applications.three-are-few", every=after - people.groupby("seed")["CER, valid"].mean(), at_least=0.05,
      says="After fine-tuning: characters wrong on a new person less those on the three known ones")  # fmt: skip
both = pd.concat([people.assign(model=people.model + way, rate=people[c]) for c, way in (("CER, before", ", before"), ("CER", ", after"))])  # fmt: skip
figures.compare(both, "rate", label="share of characters wrong",
                title="Each speaker left out in turn: before and after fine-tuning on the others")  # fmt: skip

# %% [markdown]
# **What to see.** A recogniser that has heard nobody but a machine gets most single digits of people right, and strings of them much less often:
# one digit too many or too few, and a string is wrong. Fine-tuning takes off a good part. On the three people that it was tuned on it then makes
# hardly a mistake (the column *valid*), on the fourth it makes many: it has learned **three people**, not people. None of the variations
# above replaces a hundred speakers.
#
# An earlier version got far fewer single digits of people right. It took the mean off each recording, as in chapter 02, varied it less, had
# recurrent layers, and heard no pauses between digits. All four were changed at once, so how much each of them did is **not known**: to say
# that, one would have to take them back one by one.
#
# ### Sentences, said by a person
#
# The embedded prompts are real human speech: one speaker, telephone quality, split so that **no sentence of the test, nor one
# like it**, is in training. The letters are to be written down.

# %%
prompts = letters.prompts()
hello = prompts.test.info["transcript"].index("hello world")
minutes = sum(map(len, prompts.train.info["waveform"])) / 8000 / 60
print(f"{len(prompts.train)} / {len(prompts.valid)} / {len(prompts.test)} sentences, {minutes:.0f} minutes to train on")
print("this one says:", prompts.test.info["transcript"][hello])
Audio(prompts.test.info["waveform"][hello].numpy(), rate=8000)

# %% [markdown]
# Does it pay to learn first from a machine that never tires? eSpeak says 2,200 made-up texts in dozens of voices with an American accent,
# through the same telephone code as the prompts: pieces of the training prompts, words in any order, numbers, dates, the alphabet. The table
# compares training on the prompts alone with pretraining on eSpeak and fine-tuning on the prompts, equally long in both.
#
# *Predict.* Which is better, and by how much?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# The prompts hold few words, and many words of the test are not among them. eSpeak says as many words as we like, in a voice that is
# wrong. Look at the table for what counts more here.
#
# </details>

# %% tags=["measured"]
table, made = stored("prompts-by-ear")
print(made)
rates = table.groupby("model", sort=False).mean(numeric_only=True).rename_axis(index=None, columns="training")
rates[["CER, before", "CER", "CER, beam", "CER, with letters", "WER", "WER, with letters"]].round(3)

# %% tags=["measured"]
by = table.set_index(["model", "seed"])
alone, first = by.loc["real alone"], by.loc["eSpeak, then real"]
claim("applications.fine-tuning-on-a-person", every=first["CER, before"] - first["CER"], at_least=0.2,
      says="Human prompts: characters wrong that fine-tuning on the person takes off")  # fmt: skip
claim("applications.letters-help", every=first["CER"] - first["CER, with letters"], at_least=0.0,
      says="Human prompts: characters wrong that beam search with a model of letters takes off")  # fmt: skip
gain = alone[["CER", "CER, with letters"]] - first[["CER", "CER, with letters"]]
print("characters wrong that eSpeak first takes off, against real speech alone, equally long:")
gain.rename_axis(index=None, columns="seed").round(3)

# %% [markdown]
# **What to see.** Fine-tuning on the person takes off about half of the errors. Having heard eSpeak first is worth little: with as much time spent on
# the prompts alone, the recogniser writes about as well. What a machine's voice teaches about the link between letters and sounds, a few
# minutes of the right voice teach too. What helps is *text*, and that is the next paragraph.
#
# **Greedy or beam?** The likeliest alignment need not say the likeliest text: several alignments of another text may add up to more. **Prefix beam
# search** keeps the likeliest few beginnings in each frame and adds up the alignments of each. With peaks as sharp as CTC's the gain is small. More is gained where something is *added* to the score: a model of
# letters, learned from text alone, that says *th* is likelier followed by *e* than by *x*:
#
# $$\hat y = \arg\max_y\ \log p(y \mid x) + \beta \log p_{\text{letters}}(y) + \gamma\, |y|.$$
#
# It is the cheapest second source there is: text without sound.
#
# ### Read along
#
# Two recognisers of letters are stored with the course, in half precision, for their training takes longer than this chapter may: one has
# heard eSpeak alone, the other was fine-tuned on the person's training sentences afterwards. The command
#
# ```sh
# python -c "from mmteach.recipes.applications_letters import keep_ears; keep_ears()"
# ```
#
# makes them again, in twice as many epochs as the table's. Both write down sentences of the test.

# %% tags=["measured"]
stored_ears = {name: letters.stored_ear(name) for name in ("voices", "person")}
said = {name: ears.written(ear, prompts.test) for name, ear in stored_ears.items()}
for i in (1, 2, 17, 23, hello):
    print(f"{prompts.test.info['transcript'][i]}\n   eSpeak alone → {said['voices'][i]}\n   fine-tuned → {said['person'][i]}")  # fmt: skip
rates = {name: ears.error_rates(ear, prompts.test) for name, ear in stored_ears.items()}
for name, rate in rates.items():
    print(f"{name:<8} characters wrong {rate['CER']:.3f}, words wrong {rate['WER']:.3f}")
known = ears.error_rates(stored_ears["person"], prompts.train[:100])["CER"]
print(f"and of sentences that it was trained on, {known:.3f}")
claim("applications.fine-tuning", rates["voices"]["CER"] - rates["person"]["CER"], at_least=0.1,
      says="Sentences never heard: characters wrong that fine-tuning on the person takes off")  # fmt: skip

# %% [markdown]
# **What is missing is speech, not training.** On sentences of its training it makes hardly a mistake; on others, by the same person over the same
# telephone, it makes many. A wider network, trained four times as long as the table's, made a few points fewer
# errors, on one seed. Systems that write what anyone
# says have heard thousands of hours.
#
# Now the three ways of reading its answers out:

# %% tags=["measured"]
letter_ear, truth = stored_ears["person"], prompts.test.info["transcript"]
language = letters.Letters([*prompts.train.info["transcript"], *letters.made_up(2000, seed)])
ways = {"greedy": said["person"], "beam, width 8": ears.written(letter_ear, prompts.test, width=8),
        "beam and letters": letters.written_with(letter_ear, prompts.test, language)}  # fmt: skip
for way, lines in ways.items():
    print(f"{way:<17} characters wrong {character_error_rate(lines, truth):.3f}, words wrong {word_error_rate(lines, truth):.3f}")  # fmt: skip
claim("applications.letters-help-live", character_error_rate(ways["greedy"], truth) - character_error_rate(ways["beam and letters"], truth),
      at_least=0.0, says="Characters wrong that a model of letters takes off")  # fmt: skip

# %% tags=["measured"]
figures.alignment(
    *log_probs(letter_ear, prompts.test.info["waveform"][hello]),
    "hello world",
    LETTERS,
    title="“hello world”, said by a person",
)

# %% [markdown]
# ### Speech finds text, text finds speech
#
# A recogniser is a search engine as well: $\log p(y \mid x)$ scores *every* text $y$ against every sound $x$, all alignments summed, even where its
# own best guess is misspelt. For a sound we rank texts by it. For a text we rank sounds, and there the plain score is not quite right: a
# long sound makes every text improbable. What the sound gives to all texts is taken off,
# $\log p(y\mid x) - \log \sum_{y'} p(y' \mid x)$, and sounds can be compared.

# %% tags=["measured"]
texts = sorted(set(prompts.test.info["transcript"]))
S = ears.scores(letter_ear, prompts.test, texts)  # (sounds, texts), log p(text | sound)
says_it = torch.tensor([[text == truth for text in texts] for truth in prompts.test.info["transcript"]])
ways = {
    "sound → text": (S, says_it),
    "text → sound": (S.T, says_it.T),
    "text → sound, normalised": (S.log_softmax(1).T, says_it.T),
}
found = {way: {f"R@{k}": recall_at_k(scores, k, relevant) for k in (1, 5)} for way, (scores, relevant) in ways.items()}
print(f"{len(S)} sounds, {len(texts)} texts, none in training; chance R@1 {1 / len(texts):.3f}")
claim(
    "applications.sound-finds-text", found["sound → text"]["R@1"], at_least=0.5, says="The right text first, by sound"
)
claim("applications.normalise", found["text → sound, normalised"]["R@1"] - found["text → sound"]["R@1"], at_least=0.0,
      says="Text → sound, R@1: what normalising each sound's scores gains")  # fmt: skip
pd.DataFrame(found).T.rename_axis(columns="search").round(3)

# %% [markdown]
# The transcript is often misspelt, and yet the right sentence comes first: choosing among some fifty sentences is a far easier task than writing.
# Where only a few things can be said (a menu, a command), search instead of writing.
#
# ### Use it yourself
#
# Have any text said by rule and listen to what the recognisers make of it, or upload a recording of your own voice (WAV, FLAC, OGG or
# MP3; most telephones save one of these).


# %%
EARS = {
    "digits, from synthetic voices": (digit_ear, digits.DIGITS),
    "letters, from voices and one person": (letter_ear, LETTERS),
}


def listen(sound, name):
    ear, labels = EARS[name]
    spectrogram, probabilities = log_probs(ear, sound)
    said = "".join(labels[i] for i in collapse(probabilities.argmax(1).tolist()))
    print(f"heard: “{said}”")
    if not said:
        return figures.describe(figures.canvas()[0], "An empty figure: the recogniser heard nothing that it can write.")
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
# *The rocket turns clockwise.* The noun can be seen in any frame. The verb cannot: it is in the **order** of the frames. Our clips show
# 24 things that do 8 things each, some in several directions. Of the 192 pairs of thing and verb, 24 are kept for validation
# and 24 for the test, so that “the apple moves” may be asked for though no apple ever moved in training.

# %%
motion = video.load(seed)
some = [int((motion.train.targets["verb"] == v).nonzero()[7 * v % 40]) for v in (0, 1, 4, 7)]
print(" | ".join(motion.train.info["sentence"][i] for i in some))
figures.moving(
    motion.train.inputs["video"][some], zoom=4,
    alt="Four clips that play at once: " + "; ".join(motion.train.info["sentence"][i] for i in some) + ".",
)  # fmt: skip

# %% [markdown]
# *Predict.* We train three models to name the verb: from **one frame**; from the **mean** of four
# frames' vectors, $z = \frac14\sum_t \mathrm{CNN}(x_t)$; from frames **in their order**. Chance is ⅛. How good are the first two on pairs that training never
# had?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# The clips are made so that a frame picked at random looks the same whatever the verb. So one frame should be near chance, and worse on
# unseen pairs: training taught it which verbs an apple does, and the one asked for is never among them. The mean could know
# *that* something changed, never in which order.
#
# </details>
#
# ### Two paths
#
# Appearance and motion want different inputs, so each gets its own path. The first sees a few frames in colour, and averages. The second
# sees grey frames and their **differences** $x_{t+1} - x_t$, in which a thing at rest is invisible, through a convolution over time,
# height and width:
#
# $$a = \tfrac1n \textstyle\sum_{t \in n\ \text{frames}} \mathrm{CNN}(x_t), \qquad m = \mathrm{Conv3D}\big([\,x_t - \bar x,\; x_{t+1} - x_t\,]_t\big).$$
#
# A sentence is read in two parts as well, and the score of a clip and a sentence is a sum:
#
# $$\mathrm{score} = e^{\tau}\,\big(a \cdot w(\text{subject}) + m \cdot w(\text{predicate})\big), \qquad \text{all vectors of length 1.}$$
#
# Why a sum? A softmax turns scores into log-probabilities, so we add $\log p(\text{subject}\mid\text{clip})$ and $\log
# p(\text{predicate}\mid\text{clip})$. That is the late fusion of chapter 01, here between two *parts of one sentence*, and it assumes the
# same: that who and what are independent given the clip.


# %%
class TwoPaths(nn.Module):
    """Clips and sentences in one space; the first half of a vector is about who, the second about what happens."""

    def __init__(self, vocabulary, width=64):
        super().__init__()
        self.look, self.move = video.Frames(3, width), video.Change(width)
        self.words, self.vocabulary, self.width = TextBag(len(vocabulary), 2 * width), vocabulary, width
        self.scale = LogTemperature(0.1)

    def clip(self, x):  # (B, frames, 3, H, W) → (B, 2 · width)
        return torch.cat([F.normalize(self.look(x), dim=-1), F.normalize(self.move(x), dim=-1)], 1)

    def text(self, sentences):
        parts = [line.split() for line in sentences]
        subject = self.words(*self.vocabulary.encode([" ".join(w[:2]) for w in parts]))[:, : self.width]
        predicate = self.words(*self.vocabulary.encode([" ".join(w[2:]) for w in parts]))[:, self.width :]
        return torch.cat([F.normalize(subject, dim=-1), F.normalize(predicate, dim=-1)], 1)


# %% [markdown]
# The loss is InfoNCE (chapter 04), each clip against *all* 24 subjects and all 12 predicates. There are so few that no batch needs to
# stand in for them, and none of the negatives is a false one. The library's `video.Paths` is this class with unknown words left
# out, and `video.match` its loss. The same weights give the same numbers; we train the library's, and two models that know no order.

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
fig, ax = figures.canvas(size=(7.5, 2.9))
for shift, (part, colour) in zip((-0.2, 0.2), (("seen", "video"), ("unseen", "test"))):
    shares = [r[part]["verb"] for r in right.values()]
    rows = [row + shift for row in range(3)]
    ax.barh(rows, shares, 0.36, color=figures.COLOURS[colour], label=f"{part} pairs")
ax.axvline(1 / 8, color=figures.COLOURS["chance"], ls="--", lw=1, label="chance")
ax.set_yticks(range(3), list(right))
ax.invert_yaxis()
ax.set(xlabel="share of right verbs", xlim=(0, 1), title="Only the order of the frames tells the verb")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
shares = ", ".join(f"{name} {r['unseen']['verb']:.2f}" for name, r in right.items())
figures.describe(fig, f"Right verbs of unseen pairs: {shares}; chance is 0.12.")

# %% [markdown]
# Now the search: for each sentence, which clip comes first among one clip of **each of the 192 pairs**? The distractors share the thing or the
# verb with what is asked for, and most of them were in training, the right answer was not.

# %% tags=["measured"]
for part in ("seen", "test"):
    rank = video.search(paths, motion, part, takes=pick(smoke=1, laptop=8 if part == "test" else 3))
    print(
        f"{'unseen' if part == 'test' else part:<7} pairs: right clip first {rank['R@1']:.3f}, among five {rank['R@5']:.3f} (chance {1 / 192:.3f})"
    )
claim(
    "applications.clip-by-sentence",
    rank["R@1"],
    at_least=0.4,
    says="Sentences of unseen pairs: the right clip first of 192",
)


# %% [markdown]
# ### Equal training, several seeds
#
# The table trains four models for equally many epochs on each seed (its first line says how many): the two that name verbs without order, and the two paths in two ways. In
# the second way both paths are mixed by a matrix and compared with the *whole* sentence, **one space** for who and what, as an image–text
# model would do it. *Predict:* does the sentence of a pair that was never seen find its clip in one space?

# %% tags=["measured"]
table, made = stored("moving-emoji")
print(made)
means = table.groupby("model", sort=False).mean(numeric_only=True).rename_axis(index=None, columns="model")
means[["verb, seen", "verb, unseen", "object, unseen", "R@1, seen", "R@1, unseen", "R@5, unseen"]].round(3)

# %% tags=["measured"]
long = [{"model": f"{row['model']}, {part} pairs", "seed": row["seed"], "verb": row[f"verb, {part}"]}
        for row in table.dropna(subset=["verb, seen"]).to_dict("records") for part in ("seen", "unseen")]  # fmt: skip
figures.compare(pd.DataFrame(long), "verb", label="share of right verbs", chance=1 / 8,
                title="Only the order of the frames tells the verb")  # fmt: skip

# %% tags=["measured"]
by = table.set_index(["model", "seed"])
apart, one_space = by.loc["two paths apart"], by.loc["two paths, one space"]
claim("applications.verbs", every=apart["verb, unseen"], at_least=0.96, says="Verbs of unseen pairs, two paths")
claim("applications.clips-by-sentence", every=apart["R@1, unseen"], at_least=0.7,
      says="Unseen pairs: the right clip first of 192, by its sentence")  # fmt: skip
claim("applications.apart-composes", every=apart["R@1, unseen"] - one_space["R@1, unseen"], at_least=0.01,
      says="Unseen pairs, R@1: what two spaces gain on one")  # fmt: skip
print(
    "what one space loses from seen to unseen pairs, R@1:",
    (one_space["R@1, seen"] - one_space["R@1, unseen"]).round(3).tolist(),
)
# %% [markdown]
# **What to see.** One frame falls below chance on unseen pairs: it has learned the company that things keep, and answers with a verb that this
# thing did in training. The mean over frames is no better: it could tell at most *that* something varied in a clip, never in which order, and in this much training it
# does not learn even that. Order settles it, and a model that is right on each half of a sentence puts the right clip first, even for a
# sentence it has never read.
#
# One space for both halves is not the failure that one might have guessed. It finds a little less, and it loses about as little from seen to
# unseen pairs: the bag of words is a sum already, and a sum of paths can meet it. Keeping the halves apart is simpler and
# somewhat better; it is not what makes the model compose.
# %% [markdown]
# **Where it fails.** The errors that are left are mostly errors of *who*: 24 drawings in four styles, turned by up to 90 degrees and some twelve
# pixels large. Here is what it confuses.

# %% tags=["measured"]
objects, does = video.says(paths, motion.test)
verb = video.VERB_OF[does.argmax(1)]
confused = torch.zeros(8, 8)
confused.index_put_((motion.test.targets["verb"], verb), torch.ones(len(verb)), accumulate=True)
mistaken = [(motion.classes["object"][t], motion.classes["object"][p])
            for t, p in zip(motion.test.targets["object"].tolist(), objects.argmax(1).tolist()) if t != p]  # fmt: skip
print(
    "most often taken for another:", "; ".join(f"{t} for {p}, {n}×" for (t, p), n in Counter(mistaken).most_common(4))
)
figures.heatmap(
    (confused / confused.sum(1, keepdim=True)).numpy(), list(VERBS), list(VERBS), title="Verbs of unseen pairs: true in rows, answered in columns",
    row_label="true", column_label="answered", value_label="share", limits=(0, 1),
    alt="A confusion matrix of eight verbs, nearly all on its diagonal.",
)  # fmt: skip

# %% [markdown]
# ### Use it yourself
#
# Two questions of a user: *find me a clip in which …*, and *what happens in this one?* The first is answered from a gallery of one clip of
# each pair, the second by the likeliest subject and predicate, with their probabilities.


# %%
shelf = video.gallery(motion, take=0)
with torch.no_grad():
    shelf_vectors = predict(paths, shelf)


def find_clips(wish, number=4):
    known = [word for word in tokens(wish) if word in motion.vocabulary]
    if not set(known) - {"the"}:
        raise ValueError(
            f"None of these words is known. Things: {', '.join(OBJECTS)}. Actions: {', '.join(video.PREDICATES)}."
        )
    with torch.no_grad():
        scores = (paths.read([" ".join(tokens(wish))]) @ shelf_vectors.T)[0]
    best = scores.topk(number).indices
    alt = f"The clips found for “{wish}”: " + "; ".join(shelf.info["sentence"][i] for i in best)
    print("found: " + " | ".join(shelf.info["sentence"][i] for i in best))
    return figures.moving(shelf.inputs["video"][best], zoom=4, alt=alt)


def tell_clip(clip):
    batch = Batch({"video": clip[None]}, {"object": torch.zeros(1)})
    with torch.no_grad():
        who, what = ((paths.scale() * s).softmax(1)[0] for s in video.says(paths, batch))
    print(f"the {list(OBJECTS)[who.argmax()]} ({who.max():.0%}) {video.PREDICATES[what.argmax()]} ({what.max():.0%})")
    return figures.moving(
        clip[None], zoom=5, alt=f"The clip: told as {list(OBJECTS)[who.argmax()]} {video.PREDICATES[what.argmax()]}."
    )


# %% tags=["measured"]
figures.show(find_clips("the rocket turns clockwise"))
tell_clip(film("🛸", "moves", "to the right", seed=5))  # a flying saucer: no such thing among the 24

# %% [markdown]
# The shelf has one clip of a turning rocket, and it turns the other way: the best there is. The saucer is none of the 24 things, so *who* must be wrong, and often with confidence: a softmax knows no “none of these”. *What* it does
# is right all the same, since the motion path never needed to know who moves.
#
# **Try it.** Type a sentence, film one of the things or a stranger, or upload a moving GIF. What happens with *the dog flies*? With two
# things that move at once?

# %%
cast = {thing: thing for thing in OBJECTS} | {f"{c} (a stranger)": c for c in ("🛸", "🐘", "⚽", "🧀")}
widgets.clip_finder(
    find_clips, tell_clip, lambda thing, action: film(thing, *split_action(action)), cast, video.PREDICATES
)

# %% [markdown]
# ## 4 · Tools: one model, three frameworks
#
# The same network can be written in several libraries. We take the classic model of chapter 03 (CNN and LSTM, concatenation, dense layers),
# train it in **Keras 3**, carry the weights to **PyTorch**, and wrap it for **Hugging Face Transformers**. If the three are the same,
# the same weights give the same answers. Keras and Transformers are an extra of this course; nothing is downloaded by using them.

# %%
missing = [name for name in ("keras", "transformers") if importlib.util.find_spec(name) is None]
if missing:
    print(
        f"Not installed: {', '.join(missing)}. `pip install keras transformers` brings them; the cells of this section are left out."
    )
words = load_emoji(["noto"], keywords=1, length=8, seed=seed)
lesson, exam = words.train[:: pick(smoke=16, laptop=2)], words.test[:64]

# %% [markdown]
# **Keras** says *what* the layers are and trains with `fit`. It runs on PyTorch, TensorFlow or JAX: the variable `KERAS_BACKEND`, set before
# it is first imported, decides. Pictures are (height, width, channel) here.

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
# **PyTorch** says *what happens*: a class with a `forward`, and a loop of one's own. Carrying the weights over is a lesson in what frameworks do
# alike and not: kernels are stored in another order of axes, an LSTM has one bias or two, and *flatten* runs through a picture in another
# order, so that the columns of the next matrix must move (`carry_keras_weights` says each of it).

# %% tags=["measured"]
if "keras" not in missing:
    in_torch = carry_keras_weights(ClassicFusion(48, len(words.vocabulary)), in_keras)
    with torch.no_grad():
        torch_says = in_torch.probability(exam.inputs)
    claim("applications.keras-is-pytorch", (torch_says - torch.as_tensor(keras_says)).abs().max(), at_most=1e-4,
          says="Keras and PyTorch with the same weights, largest difference of a probability")  # fmt: skip

# %% [markdown]
# **Transformers** is a library of architectures with a common form: a *configuration*, from which a model is built with fresh weights, and
# a folder format to share both (`save_pretrained`, `from_pretrained`). A model of one's own joins by two small classes.

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
            self.classic = ClassicFusion(config.image_size, config.vocabulary)
            self.post_init()

        def forward(self, pixel_values, input_ids):
            return SequenceClassifierOutput(logits=self.classic({"image": pixel_values, "text": input_ids}))


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
# The architectures that come with it are built the same way. A small CLIP from a configuration, not from a download, and its loss beside ours on
# the same embeddings:

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
# TensorFlow was for years the first framework of industry, and Keras its front door. Keras 3 has parted from it: a model in Keras need not be
# married to a backend. For multimodal research today's default is PyTorch, with Transformers where pretrained parts are wanted. Choose by
# what your colleagues can read and what your target machine can run; the mathematics is the same, as the claims above show.

# %% [markdown]
# ## 5 · Practice: before anybody relies on it
#
# ### Evaluation
#
# 1. **Hold out what will be new in use.** New speakers, new sentences, new concepts, new pairs: in this chapter each system was split by what its
#    user brings. A random split would have put the same speaker, or a near-duplicate of the sentence, on both sides.
# 2. **Choose on validation, report on test**, once. The best of many on the test is partly luck.
# 3. **Name the floor and the ceiling.** Chance, the best single modality, a trivial rule; and what a person reaches.
# 4. **Say how sure you are.** Several seeds, an interval, and the number of test examples: two models are compared on the same examples.
# 5. **Look at errors**, by group: an average hides the speaker for whom it fails.
#
# How much can a small test deceive? We draw our own test anew, with replacement, a thousand times (the *bootstrap*), and look at how far
# the error rate of the digit recogniser moves although nothing about it has changed.

# %% tags=["measured"]
said, truth = ears.written(digit_ear, strings.test, digits.DIGITS), strings.test.info["transcript"]
edits = torch.tensor([character_error_rate([s], [t]) * len(t) for s, t in zip(said, truth)])
lengths = torch.tensor([float(len(t)) for t in truth])
draws = torch.Generator().manual_seed(seed)
spreads = {}
for size in (15, 50, len(truth)):
    rows = torch.randint(len(truth), (1000, size), generator=draws)
    rates = edits[rows].sum(1) / lengths[rows].sum(1)
    spreads[size] = rates.quantile(torch.tensor([0.025, 0.5, 0.975])).tolist()
    print(f"{size:>4} test strings: 95 % of the draws lie between {spreads[size][0]:.3f} and {spreads[size][2]:.3f}")
claim("applications.small-tests-deceive", (spreads[15][2] - spreads[15][0]) - (spreads[len(truth)][2] - spreads[len(truth)][0]),
      at_least=0.001, says="How much wider the interval is with 15 strings than with all")  # fmt: skip

# %% [markdown]
# ### Debugging checklist
#
# From the cheapest check to the dearest; most bugs of multimodal systems are bugs of *pairing and preprocessing*.
#
# | check | how | what it catches |
# |---|---|---|
# | look at ten pairs as the model gets them | draw and play them **after** all preprocessing | shuffled pairs, wrong channel order, silence, cut-off text |
# | loss before training | $\ln K$ for $K$ classes, $\ln N$ for a contrastive batch of $N$ | wrong scale, softmax applied twice |
# | overfit one batch | the loss must go to nearly 0 | a dead layer, labels that do not belong, a learning rate far off |
# | shuffle one modality at test time | accuracy must fall | a modality that is ignored |
# | a baseline of each modality alone | the fused model must beat the better one | competition, leakage |
# | padding | the same text with more padding must give the same answer | a missing mask |
# | one line of code changed at a time | rerun with the same seed | two bugs that hide one another |
#
# Two of them, on the models of this chapter:


# %% tags=["measured"]
mixed = replace(motion.test, inputs={**motion.test.inputs, "video": motion.test.inputs["video"].flip(1)})  # backwards
both_ways = {"as it is": motion.test, "played backwards": mixed}
for name, clips in both_ways.items():
    print(f"clips {name:<17}" + "  ".join(f"{k} {v:.3f}" for k, v in video.right(paths, clips).items()))
sound, _ = ears.heard([strings.test.info["waveform"][example]])
longer = F.pad(sound, (0, 60))
real = torch.arange(longer.shape[-1])[None] < sound.shape[-1]
once, padded = digit_ear.write({"audio": sound}), digit_ear.write({"audio": longer}, masks={"audio": real})
heard_twice = ["".join(digits.DIGITS[i] for i in ids[0]) for ids in (once, padded)]
print("the digits heard, without and with 0.6 s of padding:", *heard_twice)

# %% [markdown]
# Played backwards, what grew shrinks, and a model that uses the order must answer so; what looks the same both ways (blinks, pulses) stays,
# and *who* stays who. Padding changes nothing, as it must.
#
# ### Data cards
#
# A data set needs a page that says where it comes from, who may use it, how it was split and what it does not hold (Gebru et al. 2021). A system
# needs one that says what it was tested on (Mitchell et al. 2019). Every set of this course has its card:

# %%
print(page(data.card("prompts")))

# %% [markdown]
# Write such a card for a system *before* you show it to others. For the three of this chapter it would have to say at least: the picture
# finder knows emoji, not photographs; the writer of sentences has heard **one** woman on a telephone line, so a good figure says nothing about you;
# the clip finder answers with one of 24 things whatever it is shown. Voices are personal data: record others only with their consent, and say what
# becomes of the recording. Here all stays in the memory of your own kernel.
#
# ## FAQ
#
# <details><summary>It does not understand my own voice. What is wrong?</summary>
#
# Nothing, very likely. The recognisers have met one person and synthetic voices. Record each digit a few times and fine-tune on them:
# <code>ears.learn</code> with a lower learning rate.
#
# </details>
# <details><summary>Why not use a large pretrained model right away?</summary>
#
# For a product, do. Here each part is small enough to be trained and taken apart in minutes, and the checks of section 5 are the same for both.
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
# <details><summary>A bug in the evaluation</summary>Check for it, but here a simpler cause explains a figure *below* chance.</details>
# <details><summary>It learned which verbs each object does in training</summary>Yes: in the unseen pairs the answer is never among them.</details>
# <details><summary>Too little training</summary>A model that knows nothing would be at chance, not below it.</details>
#
# **2. What does CTC need to know about the training recordings?**
#
# <details><summary>When each letter begins</summary>No: it sums over all alignments.</details>
# <details><summary>Only the transcript, no longer than the frames allow</summary>Yes: one frame a label, and one more between equal neighbours.</details>
# <details><summary>The speaker</summary>No, though a split needs it.</details>
#
# **3. Why add the scores of subject and predicate rather than learn one for the sentence?**
#
# <details><summary>It needs fewer parameters</summary>It does, and that is not the point.</details>
# <details><summary>What is known of each part then holds in combinations never seen</summary>Yes: as far as who and what are independent given the
# clip.</details>
# <details><summary>Because sums are faster than products</summary>In logarithms a sum is a product of probabilities.</details>
#
# **4. Keras and PyTorch give different answers with “the same” weights. Where do you look first?**
#
# <details><summary>Rounding</summary>Differences of rounding are near $10^{-6}$; look there last.</details>
# <details><summary>The order of axes at kernels and at *flatten*, and the scale of the pictures</summary>Yes: these are what the carrying changes.</details>
# <details><summary>The optimiser</summary>It plays no part once weights are fixed.</details>
#
# **5. Fine-tuning lowered the error on the speaker it was tuned on. May you report that figure?**
#
# <details><summary>Yes, on recordings that it was not tuned on</summary>Only as what it is: a figure for *known* speakers.</details>
# <details><summary>As the error for new speakers: no</summary>Yes: leave a speaker out for that.</details>
# <details><summary>Yes, it is a test set</summary>What is a test for sentences need not be one for speakers.</details>
#
# ## Go further
#
# - Alex Graves, Santiago Fernández, Faustino Gomez and Jürgen Schmidhuber, 2006, “Connectionist Temporal Classification: Labelling Unsegmented
#   Sequence Data with Recurrent Neural Networks”, ICML.
# - Karen Simonyan and Andrew Zisserman, 2014, “Two-Stream Convolutional Networks for Action Recognition in Videos”, NeurIPS.
# - Alec Radford et al., 2021, “Learning Transferable Visual Models From Natural Language Supervision”, ICML: description as query and as class.
# - Daniel Park et al., 2019, “SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition”, Interspeech.
# - Alec Radford et al., 2023, “Robust Speech Recognition via Large-Scale Weak Supervision”, ICML: Whisper, a recogniser from 680,000 hours.
# - Timnit Gebru et al., 2021, “Datasheets for Datasets”, Communications of the ACM.
# - Margaret Mitchell et al., 2019, “Model Cards for Model Reporting”, FAT*.
