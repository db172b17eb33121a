# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Outlook
#
# **You will be able to** bind three modalities that were never all seen together; say when pairs of modalities cannot be enough, and
# prove it; measure on your own machine what makes training cheaper; tell which methods live with wrong pairs and with few
# labels, and what a wider network buys; and judge the field's open questions by what you have measured.
#
# **You need** chapters 01 to 04; chapter 02, section 7 (information) and chapter 04, section 5 (InfoNCE) above all.
#
# **Time** 75 minutes to read; about two minutes to run on a laptop with two cores.
#
# Each section takes a word that every outlook on this field uses (*more modalities*, *higher order*, *efficiency*, *noise*, *little
# data*, *scale*) and turns it into an experiment that can fail. Some do.

# %%
from dataclasses import replace

import pandas as pd
import torch
from IPython.display import Audio

from mmteach import claim, figures, seeds
from mmteach.alignment import clip_loss
from mmteach.data import Batch, speak
from mmteach.data.emoji import concepts
from mmteach.metrics import accuracy, paired_difference
from mmteach.recipes import outlook_binding as binding
from mmteach.recipes import outlook_little as little
from mmteach.recipes import outlook_order as order
from mmteach.recipes import outlook_pairs as pairing
from mmteach.recipes import outlook_size as size
from mmteach.recipes import outlook_speed as speed
from mmteach.recipes import stored
from mmteach.recipes.crossmodal_glyphs import embed, ranks, small_glyphs
from mmteach.recipes.crossmodal_search import cropped
from mmteach.training import predict
from mmteach.widgets import sound_finder, sound_view

figures.use_style()
seed = seeds(1)[0]

# %% [markdown]
# ## 1 · Three modalities, bound through one
#
# Pictures come with captions. Speech comes with transcripts. Who collects pictures that are *spoken about*? With $M$ modalities there are
# $M(M-1)/2$ kinds of pairs, and most of them nobody has. Girdhar et al. (2023) drew the consequence: collect pairs with **one** modality only, the
# *anchor*, and hope that the rest follows. They took images for the anchor. We take text.
#
# Let $z_m = f_m(x_m)/\lVert f_m(x_m)\rVert$ be the embedding of modality $m$, a vector of length 1, and $a$ the anchor. For a batch of $N$ pairs
# let $S_{ij} = z_{a,i}\cdot z_{m,j}/\tau$ with a temperature $\tau$ that is learned (`model.scale()` is $1/\tau$). The loss is chapter 04's, once for each other
# modality:
#
# $$ L = \sum_{m \neq a} \tfrac12\big[\mathrm{CE}(S) + \mathrm{CE}(S^\top)\big], \qquad
# \mathrm{CE}(S) = -\frac1N\sum_i \ln \frac{e^{S_{ii}}}{\sum_j e^{S_{ij}}}. $$
#
# The two kinds of pairs come from two collections. *Pictures and words*: 1,111 emoji in three drawing styles, each with its name or its name and keywords. *Words and
# sounds*: these names and keywords, said by eSpeak, a rule-based synthesiser, with many speakers. No loss ever compares a picture with a sound: they share a
# batch, but rows are drawn from each collection apart.


# %%
def through_text(model, batch):
    x, scale = batch.inputs, model.scale()
    seen = model.encode("image", x["image"])  # drawings
    read = model.encode("text", x["text"], x["text"] != 0)  # their names or descriptions
    heard = model.encode("audio", x["audio"], batch.masks["audio"])  # words from the other collection, said
    spelled = model.encode("text", x["spelled"], x["spelled"] != 0)  # the same words, spelled
    return clip_loss(seen, read, scale) + clip_loss(heard, spelled, scale)


# %% [markdown]
# We ask about 200 **known** concepts, whose pictures met their texts and whose texts met their sounds, never the one the other; and about 200 **unseen** ones, of which
# training had nothing. Known ones are shown in drawings that training had. The speakers of the test were never heard.
#
# *Predict before you run.* A picture is shown, 200 spoken names are ranked; guessing puts the right one among the first ten 5 % of the time. How often does a model
# that was never trained on this pairing, for known concepts and for unseen ones?
#
# <details><summary>Think of angles, then unfold.</summary>
#
# “Both lie near the text, so they lie near each other”: on the sphere $\angle(z_i, z_s) \le \angle(z_i, z_t) + \angle(z_t, z_s)$. But how near is near? To win its
# batch a pair needs a *larger* cosine than the others, not a large one. At 60° on either side of the text, picture and sound may be 120° apart. And there is a reason
# for them to take different sides: what a picture shows of a word is its meaning, what a sound tells of it is its spelling.
#
# </details>

# %% [markdown]
# Train, check that the loss above is the one that trains, and embed both kinds of concepts.

# %% tags=["measured"]
model, pieces = binding.train(seed)
bank, scale = binding.known_texts(model, pieces), model.scale().detach()
asked = {
    which: (binding.asked(part), speakers) for which, (part, speakers) in binding.CONCEPTS.items() if which != "valid"
}  # which → numbers of the concepts that are asked for, and whose speakers say them
z = {which: binding.embed(model, pieces, *some) for which, some in asked.items()}  # which → modality → (N, 64)
eight = asked["known"][0][:8]
spelling = pieces.encode([binding.name_of(i) for i in eight])[0]
sound, real = binding.say([binding.name_of(i) for i in eight], "test")
drawn = cropped(binding.SHOWN)[eight]
batch = Batch({"image": drawn, "text": spelling, "spelled": spelling, "audio": sound}, masks={"audio": real})
claim("outlook.same-loss", (through_text(model, batch) - binding.through_text(model, batch)).abs().item(), at_most=1e-5,
      says="The loss above and the one that trained, on eight concepts, difference")  # fmt: skip

# %% tags=["measured"]
live = {which: binding.edges(embeddings, bank, scale) for which, embeddings in z.items()}
chance = 10 / len(asked["known"][0])
for which, found in live.items():
    print(f"{which} concepts, chance {chance:.2f}")
    for a, b in binding.EDGES:
        print(f"  {a:<5} ↔ {b:<5}  R@10 → {found[f'{a} → {b}, R@10']:.3f} ← {found[f'{b} → {a}, R@10']:.3f}   "
              f"mean cosine of a pair {found[f'{a} ↔ {b}, cosine']:+.2f}")  # fmt: skip
c = {(a, b): live["known"][f"{a} ↔ {b}, cosine"] for a, b in binding.EDGES}
claim("outlook.text-splits", c["image", "audio"] / (c["image", "text"] * c["text", "audio"]), at_most=0.5,
      says="Known concepts: cosine of picture and sound, as a share of the product of their cosines with the text")  # fmt: skip

# %% [markdown]
# Even for known concepts little emerges, where the two trained edges find nearly all. Read the cosines. Split picture and sound into what lies along their text and a rest at right
# angles to it,
#
# $$ z_i = c_1 z_t + r_i, \qquad z_s = c_2 z_t + r_s, \qquad z_i \cdot z_s = c_1 c_2 + r_i \cdot r_s. $$
#
# If the rests had nothing to do with each other, $c_1 c_2$ would be left. Far less is left, as the last line says: the rests point *away* from each other. In two dimensions,
# $z_t = (1, 1)/\sqrt2$, $z_i = (1, 0)$ and $z_s = (0, 1)$ do that: both are near the text, and at right angles to each other. It is what we would see if the reader kept the
# picture's meaning in some directions and the sound's spelling in others. ImageBind never moves its anchor, so that each modality has to come to it.
#
# ### Meet in the text
#
# The two trained edges know enough; only the cosine between picture and sound does not ask them. So ask: which of the names and keywords $t$ that training had does the picture believe in, and
# which the sound? (The name of each known concept is among them; of an unseen one only where it is some other concept's keyword.)
#
# $$ p(t \mid z) = \frac{\exp(z \cdot z_t/\tau)}{\sum_{t'} \exp(z \cdot z_{t'}/\tau)}, \qquad
# \mathrm{score}(i, s) = \sum_t \sqrt{p(t \mid z_i)\; p(t \mid z_s)}. $$
#
# That is the Bhattacharyya coefficient of two beliefs, 1 where they agree. No pair of a picture and a sound is used, and nothing is trained.


# %% tags=["measured"]
def beliefs(z):
    return (scale * z @ bank.T).softmax(-1).sqrt()  # (N, T): √p(t | z), vectors of length 1


seen, heard = z["known"]["image"], z["known"]["audio"]
score = beliefs(seen) @ beliefs(heard).T
claim("outlook.same-meeting", (score - binding.meeting(seen, heard, bank, scale)).abs().max(), at_most=1e-6,
      says="The score above and the one of the tables, largest difference")  # fmt: skip
names = {"image": "picture", "text": "spelled", "audio": "spoken"}
ways = [way for one in binding.EDGES for way in (one, one[::-1])]
by_cosine = {(a, b): live["known"][f"{a} → {b}, R@10"] for a, b in ways}
by_text = {(a, b): live["known"][f"{a} → {b} by text, R@10"] for a, b in ways if "text" not in (a, b)}
recall = by_cosine | by_text
figures.triangle(
    recall, "text", names=names, chance=chance,
    title="Picture and sound, which never met, meet in the texts: 200 known concepts, new speakers",
    remark=f"never trained: through the texts (by cosine {by_cosine['image', 'audio']:.2f}, {by_cosine['audio', 'image']:.2f})",
)  # fmt: skip

# %% [markdown]
# That was one seed. The stored table has three. It also has *descriptions*: the name and then each keyword are said, and their embeddings averaged.

# %% tags=["measured"]
table, how = stored("bound")
print(how)


def untrained(model, how):
    rows = table[table.model == model].set_index("seed")
    return (rows[f"image → audio{how}, R@10"] + rows[f"audio → image{how}, R@10"]) / 2


kinds = [f"{which}, {told}" for which in ("known", "unseen") for told in binding.TOLD]
print(pd.DataFrame({"by cosine": [untrained(kind, "").mean() for kind in kinds],
                    "by text": [untrained(kind, " by text").mean() for kind in kinds]}, index=kinds)
      .rename_axis("picture ↔ sound, R@10").round(3).to_string())  # fmt: skip
known, unseen = (untrained(f"{which}, name", " by text") for which in ("known", "unseen"))
claim("outlook.emerges-live", (recall["image", "audio"] + recall["audio", "image"]) / 2, at_least=0.3,
      says="Trained here, known concepts, picture ↔ sound through the texts: recall@10 of 200")  # fmt: skip
claim("outlook.emerges", every=known, at_least=0.35,
      says="Known concepts, picture ↔ sound through the texts: recall@10 of 200, each seed (chance 0.05)")  # fmt: skip
claim("outlook.texts-must-be-asked", every=known - untrained("known, name", ""), at_least=0.1,
      says="Known concepts: what asking the texts has above the cosine, each seed")  # fmt: skip
claim("outlook.emerges-unseen", every=unseen, at_least=0.08,
      says="Unseen concepts, picture ↔ sound through the texts: recall@10 of 200, each seed (chance 0.05)")  # fmt: skip

# %% [markdown]
# **What to see.** For known concepts the pairing that nobody ever showed the model is there, once the texts are asked: many times chance, and far above what the cosine finds. For unseen ones it is
# above chance and no more, and asking the texts adds little: there the eye is the limit, whose edge to an unseen *spelled* name is far below the ear's. But the way through the
# texts costs as well. For known concepts both trained edges are nearly perfect and this one is not: picture and sound must believe in the same few of some thousands of texts, not only find
# one among 200. An averaged description is a worse question here than a name; why, we did not test.
#
# ### Listen
#
# The same among all emoji, eight times as many as the 200. How often does a name find its picture now?

# %% tags=["measured"]
pictures = cropped(binding.SHOWN)
with torch.no_grad():
    places = torch.cat([beliefs(model.encode("image", some)) for some in pictures.split(256)])
for which, told in ((which, told) for which in z for told in ("text", "audio")):
    right = torch.tensor(asked[which][0])[:, None]
    scores = beliefs(z[which][told]) @ places.T  # (200, 1587)
    before = (scores > scores.gather(1, right)).sum(1)  # how many pictures stand before the right one
    first, ten = ((before < k).float().mean() for k in (1, 10))
    print(
        f"{which} concepts, {names[told]:<7}: right picture first {first:.2f}, among the first ten {ten:.2f} of {len(places):,}"
    )

# %% [markdown]
# Expect little of the sound, then. Below, the upper row is found by the *sound* of what you type, through the texts; the lower row by its spelling; the number is the score above, 1 where
# both believe the same. Try names (*Christmas tree*), a word that no emoji is called by (*wet*), and homophones (*bear*, *bare*): spoken they are one word, and only the lower row can tell them apart.

# %%
called = [binding.name_of(i) for i in range(len(concepts()))]


@torch.no_grad()
def listen(word, voice):
    waveform = speak(word, voice="en-us", variant=voice)
    sound, real = binding.heard([waveform])
    return beliefs(model.encode("audio", sound, real)), waveform


@torch.no_grad()
def read(word):
    ids, real = pieces.encode([word])
    met = (ids > 1).any()  # 0 is padding, 1 a piece that training never had
    return beliefs(model.encode("text", ids, real)) * met


# %%
sound_finder(listen, read, places, pictures, called, voices=["m1", "f3", "m7"], start="rocket")

# %% [markdown]
# The same as a still, with a word chosen because it works with this voice, and the sound that found the upper row:

# %%
figures.show(sound_view("rocket", "m1", listen, read, places, pictures, called))
Audio(listen("rocket", "m1")[1].numpy(), rate=8000)

# %% [markdown]
# **What to take away.** Binding turns a quadratic number of collections into a linear one. The price is that everything must pass through the
# anchor: what text does not say (the tone of a voice, the style of a drawing) has no reason to be kept by either side, and what the two share
# *besides* the text is never asked for. That is redundancy again (chapter 02, section 7). What if the answer lies in none of the pairs at all?
#
# ## 2 · What no pair shows
#
# Three fair coins $x_1, x_2, x_3$, and $y$ a function of them. How many bits can $k$ of them, looked at together, tell about $y$ at best?
#
# $$ I_k = \max_{|S| = k} I(X_S;\, y), \qquad I(X_S; y) = \sum_{x_S,\, y} p(x_S, y) \log_2 \frac{p(x_S, y)}{p(x_S)\, p(y)}, $$
#
# where $S$ is a set of inputs and $X_S$ those inputs together. Where $I_{k-1} = 0$, all of $I_k$ is **synergy of order $k$**: only $k$ together tell it. (In general the step from $I_{k-1}$ to $I_k$ holds
# unique parts as well: chapter 02, section 7.) In worlds as small as these the sums have sixteen terms at most, so the figures are exact.

# %% tags=["measured"]
exact = {name: order.bits_by_order(order.three_coins(name)) for name in order.WORLDS}
fig, ax = figures.canvas(size=(7.6, 3.3))
for i, (name, bits) in enumerate(exact.items()):
    shift = 0.03 * (i - 1.5)  # two worlds have the same bits at some k: side by side both can be seen
    ax.plot(
        [k + shift for k in (1, 2, 3)], bits, marker=figures.MARKERS[i], color=figures.PALETTE[i], label=f"y = {name}"
    )
ax.set(xlabel="inputs looked at together, k", ylabel="bits about y, at best", xticks=(1, 2, 3), ylim=(-0.05, 1.08))
ax.set_title("Parity says nothing until all three are there (lines are set apart a little)")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
figures.describe(fig, "Bits about y against the number of inputs looked at together: "
                 + "; ".join(f"{name} " + ", ".join(f"{b:.2f}" for b in bits) for name, bits in exact.items()) + ".")  # fmt: skip

# %% tags=["measured"]
claim(
    "outlook.no-pair-shows", exact["parity of three"][1], at_most=1e-9,
    says="Parity of three: bits that the best pair tells",
)  # fmt: skip
claim(
    "outlook.three-show",
    exact["parity of three"][2],
    at_least=1 - 1e-9,
    says="Parity of three: bits that all three tell",
)

# %% [markdown]
# A model that compares modalities *pair by pair*, as every contrastive loss of this course does, computes
#
# $$ s(x_1, x_2, x_3) = f_{12}(x_1, x_2) + f_{13}(x_1, x_3) + f_{23}(x_2, x_3) $$
#
# with whatever $f$ it can learn; here $s$ is the logit of $y = 1$ (chapter 03, section 4). **On parity no choice of $f$ has a lower expected loss than a coin's.** Write the coins and $y$ as
# $\pm 1$, so that parity is $y = x_1 x_2 x_3$. The expected logistic loss $E[\ln(1 + e^{-y s})]$ is convex in $s$: where its slope is zero in every direction, there is its minimum. Look at
# $s = 0$. The directions are the pair functions; take any $f_{12}$ (the slope of $\ln(1 + e^{-u})$ at 0 is $-\tfrac12$):
#
# $$ \frac{d}{d\varepsilon}\, E\big[\ln(1 + e^{-\varepsilon y f_{12}})\big]_{\varepsilon=0} = -\tfrac12\, E[\,y\, f_{12}(x_1, x_2)\,]
# = -\tfrac12\, E[\,x_1 x_2\, f_{12}(x_1, x_2)\,]\; E[x_3] = 0, $$
#
# because $x_3$ is independent of the other two and has mean 0. The same holds for the other pairs: $s = 0$ is the minimum, and its loss is $\ln 2$, one bit.
# More layers in $f$ change nothing.
#
# Mind what is proved: the *loss*, and with it the probabilities, are a coin's. Accuracy counts signs only, and there is a sum of pair functions whose sign is right on seven of the eight triples,
# $s = -(1 + x_1 + x_2 + x_3 + x_1 x_2 + x_1 x_3 + x_2 x_3)$; on the eighth it is very wrong, and pays for it. So judge the networks by their bits.
#
# Each coin comes to them as two numbers, (1, 0) or (0, 1), with noise of standard deviation 0.3: something to be read, as a picture is. The proof stands, since what is seen of one coin knows nothing of
# the others.
#
# *Predict.* Two networks with as many parameters: one adds an MLP for each pair, the other is one MLP that sees all three. Who wins on
# *majority*, where a pair tells something and three tell all?
#
# <details><summary>Guess, then run.</summary>
#
# Majority of three can be written as a sum that pairs, even single inputs, can compute: the sign of $x_1 + x_2 + x_3$. So there the pairs suffice, although
# $I_2 < I_3$. Synergy of order three is necessary for pairs to fail, not sufficient.
#
# </details>

# %% tags=["measured"]
trained = {name: {s: order.seen_and_guessed(name, s) for s in seeds(3)} for name in order.WORLDS}
kinds = ("pairs", "all three")
sizes = [sum(p.numel() for p in make().parameters()) for make in (order.Pairs, order.Triple)]
print(f"parameters: pairs {sizes[0]:,}, all three {sizes[1]:,}")
mean = {
    name: {k: {what: sum(r[k][what] for r in runs.values()) / 3 for what in ("accuracy", "bits")} for k in kinds}
    for name, runs in trained.items()
}
for name, row in mean.items():
    print(
        f"{name:<16}"
        + "".join(f"   {k}: accuracy {row[k]['accuracy']:.3f}, loss {row[k]['bits']:.2f} bits" for k in kinds)
    )
parity = trained["parity of three"].values()
claim("outlook.pairs-stay-blind", every=[r["pairs"]["bits"] for r in parity], at_least=0.98,
      says="Parity: test loss of the network of pairs, in bits; one bit is a coin")  # fmt: skip
claim("outlook.three-see", every=[r["all three"]["accuracy"] for r in parity], at_least=0.9,
      says="Parity: test accuracy of the network that sees all three")  # fmt: skip

# %% tags=["measured"]
fig, ax = figures.canvas(size=(7.6, 3.1))
for i, kind in enumerate(kinds):
    heights = [mean[name][kind]["accuracy"] for name in order.WORLDS]
    ax.bar([j + 0.38 * i for j in range(4)], heights, width=0.36, color=figures.PALETTE[i], label=f"sees {kind}")
ax.axhline(0.5, color=figures.COLOURS["chance"], ls="--", lw=1, label="a coin")
ax.set_xticks([j + 0.19 for j in range(4)], list(order.WORLDS))
ax.set(ylabel="test accuracy", ylim=(0, 1.05), title="A sum of pairs suffices for all but parity")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
figures.describe(fig, "Test accuracy of a network of pairs and of one that sees all three, mean of three seeds: "
                 + "; ".join(f"{n} " + " and ".join(f"{r[k]['accuracy']:.2f}" for k in kinds) for n, r in mean.items())
                 + ".")  # fmt: skip

# %% [markdown]
# **What to see.** On *majority* the two tie, although no pair tells more than half a bit: nobody asked one pair to answer alone, and in a sum of pairs each input has its say. Only parity has no part in any
# pair. (No network reaches 1: what they read is noisy.)
#
# **What to take away.** Parity is a caricature, but its lesson is general: a score that is a sum over pairs cannot use what only three tell. Irony in a video may
# need the words, the voice *and* the face. Whether real data hold much synergy of third order is an open question, and hard to answer by
# counting: the table of three inputs has more cells than you have examples (chapter 02, section 7). What the theorem does tell you is where *not* to look for
# a cure: in a better pairwise loss.
#
# ## 3 · What makes training cheaper
#
# Three tools of large trainings, each with a promise. Let us see what each buys **here**, on the machine that ran
# this cell. All figures below are times, so yours will differ.
#
# *Mixed precision.* A number in float32 has 8 bits for the exponent and 23 for the fraction; bfloat16 keeps the 8 and drops to 7: the same range, about two
# to three decimal digits. Half the bytes move, and processors that have instructions for it multiply faster. Weights and the optimiser's state stay
# in float32; `torch.autocast` casts what goes into matrix products and convolutions (Micikevicius et al. 2018, for float16).
#
# *Compilation.* `torch.compile` traces the model and writes code in which several operations share one pass over memory. Compiling takes a while, once, so it pays from
# $n$ steps on, where
#
# $$ n = \frac{t_\text{compile}}{t_\text{step} - t_\text{step, compiled}}. $$
#
# *Data parallelism.* $K$ processes hold the same weights, each takes $N/K$ examples of a batch, and gradients are averaged, $g = \frac1K\sum_k g_k$: the same step
# as one process would take, up to rounding, as long as the loss is a mean over examples and no layer looks across the batch. It costs a message of as many numbers as there are parameters, every step.
#
# *Predict.* Which of the three helps a model so small that a step takes milliseconds?
#
# <details><summary>Write down one number for each, “times as fast”, then run.</summary>
#
# All three save on large operations and add a little to each step: a cast, a check that the compiled code still fits, a message. Where a step is small, the
# little is what counts.
#
# </details>

# %% tags=["timed"]
print(f"this process may use {speed.cores()} of the machine's cores, PyTorch {torch.get_num_threads()} thread(s)")
rows = {}
for name in speed.MODELS:
    full, _ = speed.a_step(name)
    half, _ = speed.a_step(name, "bf16")
    rows[name] = {"float32 (ms)": 1000 * full, "bfloat16 (ms)": 1000 * half, "faster by": full / half}
print(pd.DataFrame(rows).T.rename_axis("model").round(2).to_string())

# %% tags=["timed"]
name = "plain layers"
compiled = {}
try:
    quick, first = speed.a_step(name, compiled=True)
    plain, _ = speed.a_step(name)
    print(f"{name}: {1000 * plain:.2f} ms a step, compiled {1000 * quick:.2f} ms; compiling took {first:.1f} s")
    print(f"compiled {plain / quick:.2f} times as fast; compiling took as long as {first / plain:,.0f} plain steps")
    compiled = {f"compiled,\n{name}": plain / quick}
except Exception as error:  # no C++ compiler here: say so and go on
    print(f"torch.compile does not work on this machine ({type(error).__name__}): nothing bought")

# %% tags=["measured"]
one, alone = speed.the_run()
two, together, whole = speed.two_processes()
claim(
    "outlook.two-processes-agree", (one - two).abs().max().item(), at_most=1e-3,
    says="Weights after the same run on one process and on two, largest difference",
)  # fmt: skip

# %% tags=["timed"]
print(f"one process {alone:.2f} s; two processes {together:.2f} s of training each, {whole:.1f} s with their start")
gain = alone / together
print(f"{gain:.2f} times as fast on {speed.cores()} core(s)")

# %% tags=["timed"]
fig, ax = figures.canvas(size=(7.6, 3.0))
bars = {f"bfloat16,\n{n}": r["faster by"] for n, r in rows.items()} | compiled | {"two\nprocesses": gain}
ax.bar(bars.keys(), bars.values(), color=figures.PALETTE[0], width=0.6)
ax.axhline(1, color=figures.COLOURS["chance"], ls="--", lw=1)
ax.set(ylabel="times as fast", title="What each tool bought on this machine (above the line it helps)")
figures.describe(
    fig,
    "Times as fast on the machine that built this page: " + ", ".join(f"{n} {v:.1f}" for n, v in bars.items()) + ".",
)

# %% [markdown]
# **How to read it.** *Mixed precision* costs one word in the program; what it costs in accuracy we did not measure here. Above the line it helps, even where a step takes a few milliseconds; on a processor without
# instructions for bfloat16 it may well slow things down. *Compiling*: the number of plain steps is the least that $n$ can be, as if a compiled step took no time. The smaller the gain, the farther $n$ lies
# above it, and where nothing is gained it never pays: a chapter of this course seldom earns it back, a week of training does if a compiled step is faster at all. *Two processes* on one machine share
# its cores. With one core they take turns and wait for each other on top; with two, one process with two threads is their fair rival, which we did not time, and the seconds of starting both are not in the bar. The gain
# of data parallelism comes with more *machines* or GPUs. What it must never do is change the result, and that is the claim.
#
# A caution for contrastive losses: they compare each example with the whole batch. Two processes that each contrast their own half compute *another loss*, with
# half the negatives; embeddings must be gathered first (chapter 04, section 9 shows what the batch size does).
#
# ## 4 · Wrong pairs
#
# Pairs from the web are often wrong: a caption that talks of the photographer, a sound dubbed on. We make the damage ourselves: among the training
# pairs a share is drawn at random, and each of these gets the text of another of them. Which ones, nobody is told; the test pairs are right.
#
# For glyphs and their names, InfoNCE and SigLIP as in chapter 04, and two answers to wrong pairs. Let $p_i$ be the probability that the softmax gives to the pair
# that we are told is right. InfoNCE's loss $-\ln p_i$ has the slope $-(1 - p_i)$ in the pair's own score $S_{ii}$: the more absurd a pair, the harder it pulls, up to 1. The **generalised
# cross-entropy** (Zhang & Sabuncu 2018) is
#
# $$ L_q = \frac{1 - p^q}{q}, \qquad \frac{\partial L_q}{\partial \theta} = p^q\; \frac{\partial(-\ln p)}{\partial \theta}, \qquad 0 < q \le 1, $$
#
# so that a pair pulls by $p^q (1 - p)$: hardly where the model thinks it absurd, hardly where it is sure, most in between; $q \to 0$ is InfoNCE. **Trimming** (Han et al. 2018 train two networks so; ours is
# the simplest form) keeps the half of each batch with the smallest loss. Both begin with InfoNCE for half of the steps: who believes nothing learns
# nothing. Learning rates and $q$ were chosen with *right* validation pairs, at 40 % wrong: who has no clean pairs cannot do that.


# %%
def generalised(image, text, scale, q=0.5):
    scores = scale * image @ text.T
    p = torch.stack([s.softmax(-1).diagonal() for s in (scores, scores.T)])  # both ways
    return ((1 - p**q) / q).mean()


def shuffled(n, share, generator):
    chosen = torch.randperm(n, generator=generator)[: round(share * n)]
    source = torch.arange(n)
    source[chosen] = chosen.roll(1)  # each gets its neighbour's in a random order
    return source  # example i gets the text of example source[i]


# %% tags=["measured"]
print("eight pairs, half wrong: texts of", shuffled(8, 0.5, torch.Generator().manual_seed(1)).tolist())
z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
claim("outlook.generalised-is-info-nce", (generalised(z1, z2, 5.0, q=1e-4) - clip_loss(z1, z2, 5.0)).abs(), at_most=1e-2,
      says="The generalised loss at q → 0 and InfoNCE, difference")  # fmt: skip
claim("outlook.same-generalised", (generalised(z1, z2, 5.0) - pairing.generalised(z1, z2, 5.0)).abs().item(), at_most=1e-6,
      says="The generalised loss above and the one that trains below, difference")  # fmt: skip

# %% [markdown]
# And a classifier, for contrast: digits seen and heard, where a share of the *sounds* is another digit's. The label is the picture's, and is right.
#
# *Predict.* At 60 % wrong pairs: what is left of retrieval with InfoNCE? What of the fused classifier?
#
# <details><summary>Count before you answer.</summary>
#
# A character comes in many faces. At 60 % wrong, its own name is still the most frequent one beside it by far: the wrong ones are spread over a thousand others. A
# loss that could average would not be harmed at all. Whether the contrastive losses can, with so many names and so few looks at each, is the question.
#
# </details>

# %% tags=["measured"]
glyphs, wrong = small_glyphs(), 0.6
for objective in ("InfoNCE", "InfoNCE, generalised"):
    found = {
        share: ranks(*embed(pairing.aligned(glyphs, objective, share, seed), glyphs.test)) for share in (0.0, wrong)
    }
    right, hurt = (found[share]["t2i R@1"] for share in (0.0, wrong))
    print(f"{objective:<22} recall@1 with right pairs {right:.3f}, {wrong:.0%} wrong {hurt:.3f}")

# %% [markdown]
# That was one seed. The stored table has three, and all shares:

# %% tags=["measured"]
table, how = stored("wrong-pairs")
print(how)
table[["what", "share of pairs"]] = table.model.str.rsplit(", ", n=1, expand=True)
aligning = table[table.what.isin(pairing.OBJECTIVES)]
figures.curves(
    aligning, "share", "test", by="what", order=list(pairing.OBJECTIVES), labels=("share of wrong pairs", "recall@1, name → glyph"),
    title="Alignment under wrong pairs: 250 characters never seen",
)  # fmt: skip

# %% tags=["measured"]
classified = table[table.what.str.startswith("digits")].assign(what=table.what.str.removeprefix("digits, "))
figures.curves(
    classified, "share", "test", by="what", order=["picture", "sound", "both"],
    labels=("share of wrong sounds", "test accuracy"), title="Classification under wrong sounds, labels right (mind the axis)",
)  # fmt: skip

# %% tags=["measured"]
# A column a method and share, a row a seed.
wide = aligning.pivot(index="seed", columns=["what", "share"], values="test")
print(wide.mean().unstack().round(3).rename_axis("objective").to_string())
fused = classified.pivot(index="seed", columns=["what", "share"], values="test")
by_share = fused.mean().unstack()
print(by_share.round(3).rename_axis("classifier of").to_string())
print(
    "both − picture:",
    ", ".join(f"{share:.0%} {gap:+.3f}" for share, gap in (by_share.loc["both"] - by_share.loc["picture"]).items()),
)

# %% tags=["measured"]
claim("outlook.wrong-pairs-hurt", every=wide["InfoNCE"][0.0] - wide["InfoNCE"][0.6], at_least=0.15,
      says="InfoNCE: recall@1 lost at 60 % wrong pairs, each seed")  # fmt: skip
claim("outlook.doubt-helps", every=wide["InfoNCE, generalised"][0.6] - wide["InfoNCE"][0.6], at_least=0.03,
      says="60 % wrong: what the generalised loss has above InfoNCE, each seed")  # fmt: skip
claim("outlook.doubt-is-free", every=(wide["InfoNCE"][0.0] - wide["InfoNCE, generalised"][0.0]).round(6), at_most=0.05,
      says="Right pairs: what the generalised loss costs against InfoNCE, each seed")  # fmt: skip
claim("outlook.trimming-costs", every=wide["InfoNCE"][0.0] - wide["InfoNCE, trimmed"][0.0], at_least=0.03,
      says="Right pairs: what trimming costs against InfoNCE, each seed")  # fmt: skip
claim("outlook.labels-hold", every=fused["both"][0.6] - fused["picture"][0.6], at_least=0.0,
      says="60 % wrong sounds: the fused classifier above the picture alone, each seed")  # fmt: skip
claim("outlook.ear-adds-less", every=(fused["both"] - fused["picture"])[0.6] / (fused["both"] - fused["picture"])[0.0], at_most=0.7,
      says="60 % wrong sounds: share that is left of what the ear adds to the picture, each seed")  # fmt: skip
for name, share in ((name, share) for name in ("generalised", "trimmed") for share in pairing.SHARES):
    gap = paired_difference(wide[f"InfoNCE, {name}"][share], wide["InfoNCE"][share])
    print(f"{share:.0%} wrong: {name} − InfoNCE {gap[0]:+.3f}, 95 % interval {gap[1]:+.3f} to {gap[2]:+.3f}")

# %% [markdown]
# **What to see.** Retrieval suffers long before most of the pairs are wrong, and InfoNCE and SigLIP suffer alike: in both, the pairs that look most absurd pull hardest. The generalised loss costs nothing that
# three seeds can show where all pairs are right, and from 20 to 60 % it is above InfoNCE on every seed; but only at 60 % does the interval of the difference, over three seeds, leave out zero. Trimming is above InfoNCE on every
# seed at 40 and at 60 %, but pays for that when no pair is wrong: of right pairs, too, it throws half away, and always the hard ones. Where four pairs in five are wrong, little is left for anybody.
#
# The classifier loses much less, and at no share falls below the picture alone: its label is right, so a misleading sound can be ignored. But of what the ear *adds* to the picture less than half is left at 60 %, and
# less again at 80 %. Alone the ear still learns: wrong sounds are spread over ten digits, so the right one is still each sound's most frequent label, and with hundreds of examples of each, averaging
# is easy. With over a thousand names and a dozen faces each it is not: a likely reason, not a tested one, since the two experiments differ in more than that.
#
# **What to take away.** Ask what a wrong pair *does* in your loss. Where repetition averages it out, leave it. Where it does not, a loss that stops listening to absurd pairs is one line. And doubt needs something to start from: before anything is
# learned every pair has a small $p$, the right ones too.
#
# ## 5 · Little data
#
# Ten spoken digits, test speakers never heard in training, and 1, 3, 10 or 30 labelled recordings of each word. Five ways, the same network and as
# many steps for each (those of distillation are half as large again: 64 pairs and 32 labelled sounds):
#
# - **from nothing**: random first weights, the labels, nothing else;
# - **augmentation**: each time it is drawn, a recording is moved in time, and a band of pitches and a stretch of time are wiped out (SpecAugment, Park et al. 2019):
#   it says that these changes do not alter the word;
# - **transfer**: begin with the encoder of an ear of the same size that learned which spelling a spoken emoji name has, as in section 1. No digit was among those words;
# - **distillation**: 4,000 unlabelled pairs of a picture and a sound, and an eye that knows digits (chapter 04, section 14; Gupta et al. 2016). The ear learns from the labels and
#   from what the eye believes of the picture beside each sound,
#
# $$ L = \tfrac12\, \mathrm{CE}\big(y,\, \mathrm{softmax}(z_S)\big) + \tfrac12\, \tau^2\, \mathrm{CE}\big(\mathrm{softmax}(z_T/\tau),\, \mathrm{softmax}(z_S/\tau)\big), $$
#
#   where $z_S$ are the ear's logits, $z_T$ the eye's, $y$ the label and $\tau = 2$; the first term is a mean over labelled sounds, the second over unlabelled pairs;
# - **all three**.
#
# They do not cost the same. Augmentation is free; transfer needs other data and their labels; distillation needs a second modality, and somebody who labelled *it*.
#
# *Predict.* With three recordings of each word: which way gains most over nothing? Which gains still something at thirty?
#
# <details><summary>Then run.</summary>
#
# Ask what is missing. With three recordings, an ear cannot know which differences between them are the speaker's and which are the word's. Augmentation knows a few of these
# differences, transfer has heard dozens of speakers say thousands of words, and distillation has, in effect, 4,000 labels.
#
# </details>

# %% tags=["measured"]
digits = little.load_heard(seed)
told, encoder = little.ingredients(digits, seed)  # pairs with the eye's beliefs, and the pretrained encoder
few = little.few_of_each(digits.train.only("audio"), 30, seed)
sounds, truth = digits.test.only("audio"), digits.test.targets["digit"]
for way in ("from nothing", "transfer", "distillation"):
    ear = little.ear(way, few, told, encoder, seed)
    print(f"30 labels, {way:<13} accuracy {accuracy(predict(ear, sounds), truth):.3f}")

# %% [markdown]
# That was one seed. The stored table has three, and all ways:

# %% tags=["measured"]
table, how = stored("little-data")
print(how)
table[["way", "number"]] = table.model.str.rsplit(", ", n=1, expand=True)
most = table.labels.max()
everything = table[table.labels == most].test.mean()
figures.curves(
    table[table.labels < most], "labels", "test", by="way", order=list(little.WAYS), log=True,
    levels={f"all {most:,.0f} labels, from nothing": everything}, labels=("labelled sounds", "test accuracy"),
    title="Ten spoken digits from a handful of labels, speakers never heard",
)  # fmt: skip

# %% tags=["measured"]
scores = table.pivot(index="seed", columns=["way", "labels"], values="test")
print(scores.mean().unstack().round(3).rename_axis("way").to_string())
nothing = scores["from nothing"]
claim("outlook.distillation-saves-labels", every=scores["distillation"][10] - nothing[10], at_least=0.2,
      says="One label a digit: what the eye’s beliefs add, each seed")  # fmt: skip
claim("outlook.augmentation-helps", every=scores["augmentation"][30] - nothing[30], at_least=0.0,
      says="Three labels a digit: what augmentation adds, each seed")  # fmt: skip
claim("outlook.transfer-helps", every=scores["transfer"][100] - nothing[100], at_least=0.0,
      says="Ten labels a digit: what another task’s ear adds, each seed")  # fmt: skip
claim("outlook.labels-overtake", every=scores["distillation"][300] - nothing[300], at_most=0.1,
      says="Thirty labels a digit: what is left of distillation’s lead, each seed")  # fmt: skip

# %% [markdown]
# **What to see.** Distillation is in another league, since it is not little data at all: one label a digit does as well as ten, and about as well as all 4,000 without the eye. What it knows comes from the eye, as with
# chapter 04's ear, which had no label at all. The other two are small steps. Augmentation, which is free, gains most in the middle, where there is something to vary and
# not yet enough of it, and on the mean nothing at thirty. Transfer needs more labels than one would hope: with one a digit even a trained ear cannot know what in that recording is the word, and only from about ten on does
# its head start show on every seed; with thirty it stands where all 4,000 labels stand. And gains do not add up: all three together are a little *worse* than distillation alone; whether augmentation
# or transfer is to blame we did not separate.
#
# **What to take away.** Ask first whether another *modality* has the labels you lack. Then whether another task has trained the encoder you need. Augment with changes that the test
# will really show, and measure each on several seeds: a single one would have told another story of transfer.
#
# ## 6 · How large a model
#
# “Larger is better” lacks three words: *at which cost*. A picture network with $h$ hidden units, $256 \to h \to h \to 64$, has
#
# $$ P(h) = (256 + 1)\,h + (h + 1)\,h + (h + 1)\,64 $$
#
# parameters, and a step costs about $6 P(h)$ multiplications and additions an example, two for the pass forward and four for the way back. Eight widths, each trained three
# times: on all faces of the glyphs for 600 steps, on all faces for 150, and for 600 steps on three faces only, drawn anew for each seed. (The learning rate is 0.01, for 512 units half of it.)
#
# *Predict.* At which width does accuracy stop rising, and what do missing faces take away? You have one second of training: a wide network for a short time, or a narrow
# one for a long time?
#
# <details><summary>Then look at both panels.</summary>
#
# A narrow network cannot use what more steps or more data would tell it, a wide one has not had the steps. Between them is the front: the models that no other beats at less
# cost (chapter 05, section 7).
#
# </details>
#
# %% [markdown]
# First the formula, on one network:


# %% tags=["measured"]
def parameters(h):
    return (256 + 1) * h + (h + 1) * h + (h + 1) * 64


eye, cost = size.sized(glyphs, 32, size.LONG, seed)
print(f"32 hidden units, {size.LONG} steps: recall@1 {ranks(*embed(eye, glyphs.test))['t2i R@1']:.3f}")
claim("outlook.parameters", cost["parameters"] - parameters(32), at_least=0, at_most=0,
      says="Parameters counted and by the formula, difference")  # fmt: skip

# %% [markdown]
# Then the stored table, three seeds of everything:

# %% tags=["measured"]
table, how = stored("sizes")
print(how)
table[["width", "training"]] = table.model.str.split(", ", n=1, expand=True)
columns = ["parameters", "seconds", "valid", "test"]
means = table.groupby(["training", "width", "hidden"], as_index=False, sort=False)[columns].mean()
costs = {"parameters": "parameters of the picture network", "seconds": "processor seconds of training"}
figures.frontier(
    means, costs, "test", by="training", marks="hidden", label="recall@1, name → glyph",
    title="Accuracy against cost; numbers are hidden units",
)  # fmt: skip

# %% tags=["measured"]
found = table.pivot(index="seed", columns=["training", "hidden"], values="test")
print(found.mean().unstack().round(3).rename_axis("training").to_string())
much, short, few = dict.fromkeys(table.training)
claim("outlook.width-helps-at-first", every=found[much][128] - found[much][16], at_least=0.1,
      says="All faces: what 128 units have above 16, each seed")  # fmt: skip
claim("outlook.width-ends", every=found[much][512] - found[much][256], at_most=0.05,
      says="All faces: what 512 units have above 256, each seed")  # fmt: skip
lead = found[much][128] - found[few][512]
print("128 units and all faces above 512 units and three faces:")
for drawn, gap in lead.items():
    three = sorted(set(size.in_faces(glyphs, size.FACES, drawn).train.info["face"]))
    print(f"  seed {drawn}: {gap:+.3f}; drawn were {', '.join(three)}")

# %% [markdown]
# On one seed the three faces do as well as all, on the others far worse. Are three faces too *few*, or the wrong ones? All test pictures are in one face, a plain sans. So draw two faces, and
# add that one or another to them:

# %% tags=["measured"]
(tested,) = set(glyphs.test.info["face"])
faces, score = glyphs.train.info["face"], {}
others = sorted(set(faces) - {tested})
*two, other = [others[i] for i in torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))[:3]]
for third in (tested, other):
    three = replace(glyphs, train=glyphs.train[torch.tensor([face in (*two, third) for face in faces])])
    eye, _ = size.sized(three, 128, size.LONG, seed)
    score[third] = ranks(*embed(eye, glyphs.test))["t2i R@1"]
    print(
        f"{', '.join((*two, third))}: {len(three.train):,} of {len(glyphs.train):,} pictures, recall@1 {score[third]:.3f}"
    )
claim("outlook.the-right-face", score[tested] - score[other], at_least=0.02,
      says="128 units, three faces: recall@1 with the test's face among them, above another face in its place")  # fmt: skip

# %% [markdown]
# **What to see.** In the left panel accuracy on all faces rises with every doubling up to 256 units, fast at first and little at the end; 512 units have no more. After 150 steps the end is not reached: there 512
# units are the best. In the right panel the narrow networks stand nearly above one another: below some tens of units a step costs the same, because the time goes into everything but the
# multiplications. The shortest times belong to short training, and there the front is made of it. Where the two meet, just below a second, 512 units with 150 steps lie between 8 and 16 units with 600,
# and for a little more time 64 units with 600 steps are far above them.
#
# With three faces it depends on *which*: one that is like the test's makes a fifth of the pictures do about as much as all; on the two stored seeds without it no width comes near. How much that face is worth differs with the
# others drawn; what was missing was not many examples but the right ones. A larger model makes up for neither.
#
# **What to take away.** Size, steps and data are spent together: each helps until another is short (Hoffmann et al. 2022 fit this balance for language models). Before you make the model larger, plot your own
# front: three widths, two lengths of training and two amounts of data tell which of the three you lack. And look whether your data hold what the test will ask.
#
# %% [markdown]
# ## 7 · Questions people ask
#
# Each answer in a sentence or two, and where in this course the evidence is. If you doubt an answer, go there and change a number.
#
# <details><summary>Does a second modality always help?</summary>
#
# No. A network that has never met a useless input is dragged down by one: chapter 01, section 4 “The first experiment: digits seen and heard”. The cure is training
# in which senses fail: chapter 01, section 6 “A cure”.
#
# </details>
# <details><summary>Which fusion do I start with?</summary>
#
# The plainest, side by side, and late fusion beside it: no method was shown to be better, and several were worse (chapter 03, section 9 “The table”). Where
# the answer lies in the *combination* (XOR), the modalities must meet before the answer: chapter 02, section 7 “How modalities relate”.
#
# </details>
# <details><summary>My model ignores one of its modalities. Why?</summary>
#
# One loss for two encoders: the quicker one explains the labels away, the other stops learning. Chapter 03, section 11 “Modality competition” shows it and tries
# two cures. Shuffle one modality at test time to see whether it is used at all: chapter 06, section 5 “Practice: before anybody relies on it”.
#
# </details>
# <details><summary>What if a modality is missing when the model is used?</summary>
#
# Train with modalities left out at random: chapter 03, section 10 “When a modality is missing”.
#
# </details>
# <details><summary>Do I need negatives? A huge batch? A special loss?</summary>
#
# Compare them before you believe in one: chapter 04, section 7 “All of them on equal terms” for losses with negatives and without, chapter 04, section 9 “Batch size and ln N” for batches at equal examples. What is *in* the
# batch counts as much as its size: chapter 04, section 10 “False negatives”.
#
# </details>
# <details><summary>Are my pairs too dirty?</summary>
#
# Look at a hundred of them, and count. A contrastive loss is hurt long before half are wrong, a classifier with right labels much later: section 4 above.
#
# </details>
# <details><summary>Can it recognise things it has never seen?</summary>
#
# Some of them, when their names are made of words it knows: chapter 04, section 11 “Pictures found by words, in ten languages”. Combinations that never occurred are harder than new
# names: chapter 04, section 12 “Writing: captions”. And modalities that never met: section 1 above.
#
# </details>
# <details><summary>When does one network for several tasks pay?</summary>
#
# When labels are few and the other task needs the same features; with all labels hardly ever: chapter 05, section 8 “Few labels: when sharing pays, and when it hurts”. Clever
# weightings differ less than seeds do: chapter 05, section 6 “All of them, on equal terms”.
#
# </details>
# <details><summary>Is a model trained on synthetic speech of use for people?</summary>
#
# As a start: chapter 06, section 2 “Speech and text” measures it before and after a little human speech. Section 1 above has heard synthetic voices only, and says nothing about you.
#
# </details>
# <details><summary>Do I need a temporal model for video?</summary>
#
# For *what* is there, a single frame will do; for *what happens*, it cannot: chapter 06, section 3 “Clips and sentences”.
#
# </details>
# <details><summary>PyTorch, Keras or Transformers?</summary>
#
# The same model gives the same numbers in all three, up to rounding, so choose by what your colleagues read: chapter 06, section 4 “Tools: one model, three frameworks”.
#
# </details>
# <details><summary>How many labels do I need?</summary>
#
# Draw the curve of section 5 for your own task: it tells where more labels stop paying. Look first for another modality that has them.
#
# </details>
# <details><summary>How many seeds?</summary>
#
# Three to see that a difference is there at all, five or more to say how large it is, and pair them. Chapter 05, section 6 “All of them, on equal terms” shows what luck does to a table of
# many methods.
#
# </details>
# <details><summary>Can I measure how much two modalities share in my own data?</summary>
#
# Roughly, and only beside the figure for shuffled answers: chapter 02, section 7 “How modalities relate”.
#
# </details>
#
# ## 8 · Where to go next
#
# Some promises did not hold here: the cosine alone hardly binds, seeing more faces helps little where the right one is among three, and gains of three tricks do not add up. What is open, by what you have measured:
#
# - **Binding without a mediator that says everything.** Section 1 loses what text does not say. Which anchor, or how many, keeps what matters?
# - **Beyond pairs.** Losses that see three modalities at once exist (Saporta et al. 2024); how much ordinary data need them is not settled. A measure of third-order synergy that can be
#   trusted on a few thousand examples would settle much.
# - **Knowing which pairs are wrong.** Section 4 compares losses that do not ask. Some large collections are filtered with a first model; when does the filter throw away the rare
#   and keep the common?
# - **Compositions.** Chapter 04's captioner names what it has seen together. More data of the same kind hides the fault; does anything but data in which all pairs come cure it?
# - **Evaluation.** A benchmark that language alone can answer measures language. Take a modality away and see what is left, before you believe a gain.
# - **Many models in one.** Large models that read pictures and sound as tokens (Alayrac et al. 2022; Liu et al. 2023) bind through a *language model* rather than through a loss. Everything
#   of this chapter applies to how they are fed: which pairs, how many wrong, how few, how large.
#
# To go on by doing: replace the anchor of section 1 by the pictures and see which edge suffers; make the parity of section 2 out of a picture, a sound and a word; find with section 4's models
# *which* pairs are wrong, and how sure you can be. The exercises of this chapter are in `exercises/07_outlook.ipynb`. Then take real data: `mmteach.data.public` reads sets that you have.
#
# ## Quiz
#
# **1. Images are bound to text, and audio to text. Which information of the audio has no reason to be found from an image?**
#
# <details><summary>The speaker's mood</summary>Yes: no transcript says it, so no loss asked the ear to keep it, nor the eye to show it.</details>
# <details><summary>The words that are said</summary>They are what text holds: both edges pass through them.</details>
# <details><summary>None: the emergent edge sees everything</summary>It sees what both have in common with the anchor.</details>
#
# **2. For three inputs, $I(X_S; y) = 0$ for each pair $S$. What may it be for all three together?**
#
# <details><summary>0: nothing plus nothing is nothing</summary>Parity is the counterexample.</details>
# <details><summary>Anything up to the bits of $y$</summary>Yes: for parity of three it is all of them.</details>
# <details><summary>Exactly 1 bit</summary>Only where $y$ is one fair bit that the three determine.</details>
#
# **3. A sum of deep networks, one for each pair of inputs, is trained for the log loss and learns nothing of parity. What helps?**
#
# <details><summary>Deeper networks</summary>No: the proof holds for any function of a pair.</details>
# <details><summary>More data</summary>No: the *best* such sum has a coin's loss; it is not badly estimated.</details>
# <details><summary>One function that takes all three</summary>Yes, of any size that can write down parity.</details>
#
# **4. Two processes, each with half of a contrastive batch, average their gradients. Is that the gradient of the whole batch?**
#
# <details><summary>No: each sees only its own half's negatives</summary>Right: the embeddings must be gathered before the loss.</details>
# <details><summary>Yes, as for any mean over examples</summary>A contrastive loss is no mean over examples: each is compared with all others.</details>
# <details><summary>Yes, up to rounding</summary>That holds for a classifier, and section 3 checked it for one.</details>
#
# **5. Under the generalised cross-entropy with $q = 1$, what does a pair with $p \approx 0$ contribute to the gradient?**
#
# <details><summary>The most of all, as with InfoNCE</summary>InfoNCE's pull is multiplied by $p^q$, which is near 0.</details>
# <details><summary>Next to nothing</summary>Yes. That protects from wrong pairs, and it is why training needs a warm-up: at the start *every* pair has a small $p$.</details>
# <details><summary>As much as every other pair</summary>Even at $q \to 0$, where all weights $p^q$ are 1, pulls differ: by $1 - p$.</details>
#
# **6. You have a fixed amount of training time. What does section 6 advise?**
#
# <details><summary>One on the front, and to look whether your data hold what will be asked</summary>Yes: which one that is depends on the time; and no width made up for the face that was missing.</details>
# <details><summary>The largest model that fits into memory</summary>It sees too few examples in the time that is left.</details>
# <details><summary>The smallest: it makes the most steps</summary>Below some tens of units a step costs the same, so it makes no more of them; and its ceiling is low.</details>
#
# ## Go further
#
# - Rohit Girdhar, Alaaeldin El-Nouby, Zhuang Liu, Mannat Singh, Kalyan Vasudev Alwala, Armand Joulin and Ishan Misra, 2023, “ImageBind: One Embedding Space To Bind Them All”, CVPR.
# - Adriel Saporta, Aahlad Puli, Mark Goldstein and Rajesh Ranganath, 2024, “Contrasting with Symile: Simple Model-Agnostic Representation Learning for Unlimited Modalities”, NeurIPS.
# - Paul Williams and Randall Beer, 2010, “Nonnegative Decomposition of Multivariate Information”, arXiv: why three inputs are harder than two.
# - Zhilu Zhang and Mert Sabuncu, 2018, “Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels”, NeurIPS.
# - Bo Han et al., 2018, “Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels”, NeurIPS.
# - Paulius Micikevicius et al., 2018, “Mixed Precision Training”, ICLR.
# - Saurabh Gupta, Judy Hoffman and Jitendra Malik, 2016, “Cross Modal Distillation for Supervision Transfer”, CVPR.
# - Daniel Park et al., 2019, “SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition”, Interspeech.
# - Jordan Hoffmann et al., 2022, “Training Compute-Optimal Large Language Models”, arXiv: section 6's question at the other end of the scale.
# - Jean-Baptiste Alayrac et al., 2022, “Flamingo: a Visual Language Model for Few-Shot Learning”, NeurIPS; Haotian Liu, Chunyuan Li, Qingyang Wu and Yong Jae Lee, 2023, “Visual Instruction
#   Tuning”, NeurIPS: pictures into language models.
# - Paul Pu Liang, Amir Zadeh and Louis-Philippe Morency, 2024, “Foundations & Trends in Multimodal Machine Learning: Principles, Challenges, and Open Questions”, ACM Computing Surveys: a map of
#   the whole field, and of what is open.
