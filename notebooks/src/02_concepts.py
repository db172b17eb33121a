# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · Concepts
#
# **You will be able to** turn pictures, text, sound and video into tensors and say what each step throws away; choose an encoder
# by what it keeps; compute exactly what two modalities tell about an answer, together, alone and only jointly; and measure the gap
# between two modalities in one space.
#
# **You need** chapter 00, and convolutions, recurrent networks and attention at the level of a first course.
#
# **Time** 75 minutes to read; about two minutes to run on a laptop with two cores.

# %%
import itertools
import math
import zlib

import numpy as np
import torch
from IPython.display import Audio
from torch import nn
from torchvision.transforms import v2

from mmteach import claim, data, diagnosis, figures, fit, pick, seed_everything, seeds, widgets
from mmteach.alignment import DualEncoder, clip_loss
from mmteach.data import audio
from mmteach.data.batch import Batch
from mmteach.data.digits import handwritten
from mmteach.data.emoji import concepts, drawings, over
from mmteach.data.text import CharVocabulary, Vocabulary, normalise, tokens
from mmteach.encoders import ImageCNN, ImageResNet, TextBag, TextLSTM, TextTransformer
from mmteach.metrics import accuracy
from mmteach.training import classify, over_seeds, predict, summary

figures.use_style()
three = seeds(pick(smoke=1, laptop=3))  # the seeds of every experiment that trains something

# %% [markdown]
# ## 1 · Four modalities, four shapes
#
# A network sees numbers in a box. What do the boxes of a picture, a sentence, a sound and a clip look like, and how much is in them?
#
# | modality | shape | what the axes are |
# |---|---|---|
# | image | $(C, H, W)$ | colour, down, across |
# | text | $(T)$ | place in the sentence; each entry is the *number* of a word, not an amount |
# | audio | $(S)$, then $(1, F, T)$ | samples of air pressure; then pitch and time |
# | video | $(N, C, H, W)$ | frame, colour, down, across |
#
# *Predict.* One emoji, its name, its name said aloud, a clip of it moving. Order them by the number of numbers, and by the bytes
# that are left when `zlib` has squeezed out what repeats.
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# The name is by far the shortest, however you count, and for many questions the most useful one (it even grows: squeezing has a
# header that nine letters do not repay). The clip holds the most numbers and repeats itself from frame to frame. Most bytes are left
# of the sound: in a waveform hardly anything comes twice in exactly the same form.
#
# </details>

# %% tags=["measured"]
number = {concept.char: i for i, concept in enumerate(concepts())}
apple = over(drawings("noto")[[number["🍎"]]])[0]
motion = data.load_motion(background="plain")
name = torch.tensor(list(b"red apple"), dtype=torch.uint8)
said = data.speak("red apple")
clip = motion.test.inputs["video"][0]
pulses = (said * 32767).round().to(torch.int16)
print(f"{'modality':<9}{'shape':<18}{'numbers':>8}{'bytes squeezed':>16}")
for kind, x in {"image": apple, "text": name, "audio": pulses, "video": clip}.items():
    print(f"{kind:<9}{tuple(x.shape)!s:<18}{x.numel():>8}{len(zlib.compress(x.numpy().tobytes(), 9)):>16}")

# %% [markdown]
# Modalities are **heterogeneous**: other elements (pixels, words), other structure (grid, sequence), other rates, other noise, other
# amounts of information in a number. An architecture for several of them has to bring these to a common form, vectors or
# sequences of vectors, and the sections that follow are about what is lost on the way.
#
# ## 2 · Images: scale, turn, change
#
# Pixels come as whole numbers from 0 to 255, and a network trains best on numbers near 0 with spread near 1:
#
# $$x \leftarrow \frac{x/255 - \mu_c}{\sigma_c},\qquad \mu_c, \sigma_c \text{ of colour } c \text{ over the \emph{training} pictures.}$$
#
# **Augmentation** changes a picture in ways that leave its label as it is: the network is told what does *not* matter.

# %%
train = over(drawings("noto")[:1000])  # (1000, 3, 48, 48), whole numbers from 0 to 255
mean, std = (train / 255).mean((0, 2, 3)), (train / 255).std((0, 2, 3))
prepare = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean.tolist(), std.tolist())])
ready = prepare(train)
for when, x in (("before", train / 255), ("after", ready)):
    print(f"{when:<7} mean {x.mean((0, 2, 3)).abs().numpy().round(2)}  spread {x.std((0, 2, 3)).numpy().round(2)}")

# %%
torch.manual_seed(0)
changes = {
    "as it is": v2.Identity(),
    "smaller": v2.Compose([v2.Resize(24, antialias=True), v2.Pad(12, fill=255)]),
    "turned": v2.RandomRotation((30, 30), fill=255),
    "moved": v2.RandomAffine(0, translate=(0.25, 0.25), fill=255),
    "cropped": v2.RandomResizedCrop(48, scale=(0.4, 0.6), antialias=True),
    "mirrored": v2.RandomHorizontalFlip(1.0),
    "other colours": v2.ColorJitter(brightness=0.4, hue=0.3),
    "blurred": v2.GaussianBlur(7, sigma=2.0),
}
bicycle = over(drawings("noto")[[number["🚲"]]])[0]
figures.picture_grid(
    torch.stack([change(bicycle) for change in changes.values()]), list(changes), columns=8, inch=1.12,
    title="One bicycle, eight tensors, one label",
    alt="A bicycle as drawn, then smaller, turned, moved, cropped, mirrored, recoloured and blurred.",
)  # fmt: skip

# %% [markdown]
# *Which of these may you use on handwritten digits? On traffic signs? On the emoji ➡?*
#
# <details><summary><b>Answer</b></summary>
#
# A turned 6 is a 9 and a mirrored 2 is no digit; a recoloured stop sign is another sign; mirroring ➡ gives ⬅. Whether a change keeps the
# label depends on the question, so an augmentation is an **assumption** about the world. With two modalities it must also keep
# the *pair*: mirror a picture, and the caption “on the left” is wrong.
#
# </details>
#
# ## 3 · Text: from characters to padded numbers
#
# Four steps: **normalise** (one form for what looks the same), **tokenise** (cut), **number**, **pad** to one length, with a mask that
# says which steps are real. Each decides what the model will never know.

# %%
text = "Ｔhe  Café's 2 RED apples!"
print("as written ", text)
print("normalised ", normalise(text))
print("tokens     ", tokens(text))
print("in Chinese ", tokens("两个红苹果"))
names = [concept.names["en"] for concept in concepts()]
words, letters = Vocabulary.build(names, min_count=2), CharVocabulary.build(names)
ids, mask = words.encode(["red apple", "a purple zebra crossing"], length=5)
print(f"{len(words)} numbers for words, {len(letters)} for characters\n", ids, "\n", mask, sep="")

# %% [markdown]
# Number 1 is a word that the vocabulary does not hold, number 0 is padding. Capitals, punctuation and double spaces are gone: for
# object names they say nothing; for the *tone* of a message they might say everything.
#
# Words or characters? With words sequences are short and rare words are lost; with characters nothing is unknown and sequences
# are long. How much of the text is lost depends on how large the vocabulary may be.

# %% tags=["measured"]
seen, fresh = [name for i, name in enumerate(names) if i % 4], names[::4]  # every fourth name is new
sizes = [10, 30, 100, 300, 1000, 3000]
unknown = []
for size in sizes:
    vocabulary = Vocabulary.build(seen, size=size)
    ids, real = vocabulary.encode(fresh)
    unknown.append((ids == 1).sum().item() / real.sum().item())
claim(
    "concepts.unknown-words",
    unknown[-1],
    at_least=0.02,
    says="Words of new names that no vocabulary of the others holds, share",
)

# %%
fig, ax = figures.canvas(size=(6.6, 3.0))
ax.semilogx(sizes, unknown, marker="o", color=figures.COLOURS["text"])
ax.set(xlabel="size of the vocabulary (words)", ylabel="share of unknown words", ylim=(0, 1),
       title="New names: what a word vocabulary cannot read")  # fmt: skip
figures.describe(
    fig,
    f"The share of unknown words falls from {unknown[0]:.2f} to {unknown[-1]:.2f} as the vocabulary grows, and stays there.",
)

# %% [markdown]
# **What to see.** The curve ends above zero: a larger vocabulary cannot hold words that training never had. Systems today
# cut words into pieces that often occur (*sub-words*), which lies between the two.
#
# **Try it** on a text of your own, in any language; the figure above stands for those who read without running.

# %%
widgets.token_explorer(
    {"words of emoji names": words, "characters": letters}, "A red, RED apple from Zürich!", length=10
)

# %% [markdown]
# ## 4 · Sound: from a waveform to a picture
#
# A microphone measures air pressure $x[n]$, here $r = 8000$ times a second. What is above $r/2$ cannot be told from what is below:
# at the samples, a tone of frequency $f$ and one of $r-f$ agree, since
# $\cos(2\pi (r-f) n/r) = \cos(2\pi n - 2\pi f n / r) = \cos(2\pi f n/r)$.

# %%
n = torch.arange(8000)
tone = torch.cos(2 * math.pi * 5000 * n.double() / 8000)
heard = torch.fft.rfft(tone).abs().argmax().item()  # one second of sound: bin k is k Hz
claim(
    "concepts.aliasing",
    heard,
    at_least=3000,
    at_most=3000,
    says="A tone of 5,000 Hz sampled at 8,000 Hz is heard at (Hz)",
)

# %% [markdown]
# So a recorder first filters out what is too high, and samples then. The rest of the way, for a waveform $x$, with window length $M$ and hop
# $h$ in samples, frequency $k$, frame $t$ and band $b$:
#
# 1. **Frames**: stretches of $M$ samples, one every $h$, faded in and out by $w[m]=\tfrac12-\tfrac12\cos(2\pi m/M)$.
# 2. **Power** of each frequency: $P[k,t]=\big|\sum_m w[m]\,x[th+m-M/2]\,e^{-2\pi i k m/M}\big|^2$.
# 3. **Mel bands**: triangles $W_{bk}$ evenly spaced on $\text{mel}(f)=2595\log_{10}(1+f/700)$, on which equal steps sound equal: $E = W P$.
# 4. **Decibels**: $L=10\log_{10}E$, and what is 60 dB below the loudest is cut off.

# %% tags=["measured"]
x, M, h, B = said, 256, 80, 40
fade = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(M) / M)
padded = nn.functional.pad(x, (M // 2, M // 2))
frames = padded.unfold(0, M, h)[: 1 + len(x) // h] * fade  # (T, M)
P = torch.fft.rfft(frames).abs().square().T  # (M/2 + 1, T)
top = 2595 * math.log10(1 + 4000 / 700)
edges = 700 * (10 ** (torch.linspace(0, top, B + 2, dtype=torch.float64) / 2595) - 1)  # Hz
f = torch.arange(M // 2 + 1) * 8000 / M
rise = (f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
fall = (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]
W = torch.minimum(rise, fall).clamp(min=0).float()  # (B, M/2 + 1)
L = 10 * torch.log10((W @ P).clamp(min=1e-10))
L = L.maximum(L.max() - 60)
difference = (L - audio.log_mel(x[None])[0, 0]).abs().max()
claim(
    "concepts.log-mel",
    difference,
    at_most=1e-2,
    says="Written out here against mmteach.data.audio.log_mel, largest difference (dB)",
)

# %%
figures.show(figures.sound(x, L, 8000, h, unit="energy (dB)", title="“red apple”: waveform, and what a network is given",
                           alt="Waveform of two spoken words, below it 40 mel bands over time in decibels."))  # fmt: skip
Audio(x.numpy(), rate=8000)

# %% [markdown]
# *Predict.* What happens to the picture with a window of 8 ms? Of 128 ms?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# $M$ samples last $M/r$ seconds and give frequencies $r/M$ apart, so (seconds) × (hertz) is 1 whatever you choose: sharp in time is
# blurred in frequency, and the other way round. Speech models take about 25 ms: long enough to tell the resonances of a vowel apart, short
# enough for the vowel to hold still.
#
# </details>

# %%
word = data.speak("seven")
fig, axes = figures.canvas(1, 3, size=(9.0, 3.0), sharey=True)
for ax, window in zip(axes, (64, 256, 1024)):
    fade = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(window) / window)
    frames = nn.functional.pad(word, (window // 2, window // 2)).unfold(0, window, 16) * fade
    power = torch.fft.rfft(frames).abs().square().T  # all frequencies, no mel bands
    step = 8 / window  # kHz from one frequency to the next
    image = ax.imshow(10 * torch.log10(power / power.max() + 1e-6), origin="lower", aspect="auto", cmap="cividis", vmin=-60,
                      vmax=0, extent=(0, len(word) / 8000, -step / 2, 4 + step / 2))  # fmt: skip
    ax.set(xlabel="time (s)", ylim=(0, 1.5), title=f"window {window} ({window / 8:g} ms)")
    ax.grid(visible=False)
axes[0].set_ylabel("frequency (kHz)")
fig.colorbar(image, ax=list(axes), label="dB below the loudest", pad=0.01)
fig.suptitle("“seven”: when, or which pitch?", x=0.01, ha="left", fontweight="bold", fontsize=11)
figures.describe(
    fig, "One word in three spectrograms: with a short window upright stripes, each a pulse of the voice; with a long one level stripes, "
    "each a multiple of its pitch, and blurred beginnings and ends.",
)  # fmt: skip

# %% [markdown]
# **What to see.** At the left upright stripes: single pulses of the vocal cords, a few milliseconds apart, but no
# pitch. At the right level stripes: the pitch and its multiples, but no pulse, and the word’s parts run into each other.

# %% [markdown]
# **Try it**: speak a word, change window and bands, and hear what is left. The second player is noise shaped by the bands alone:
# the pitch of the voice is gone. With how few bands do you still understand the word?

# %%
widgets.spectrogram_explorer("seven", window=256, bands=16)

# %% [markdown]
# ## 5 · Video: which frames?
#
# A minute of film at 25 frames a second is 1,500 pictures, most of them nearly equal, so models **sample** frames. Sampling has the
# same trap as sound: what changes faster than half the rate of sampling is mistaken for something slower, or vanishes.

# %%
shaking = [i for i, verb in enumerate(motion.test.info["verb"]) if verb == "shakes"][:8]
clips = motion.test.inputs["video"][shaking].float() / 255
every = {step: clips[:, ::step] for step in (1, 2)}
change = {step: (v[:, 1:] - v[:, :-1]).abs().mean().item() for step, v in every.items()}
print("change from frame to frame:", {f"every {step}": round(value, 3) for step, value in change.items()})
claim(
    "concepts.frames",
    change[2],
    at_most=0,
    says="What is left of shaking in every second frame (change from frame to frame)",
)

# %%
figures.show(figures.film_strip(clips[:1], [motion.test.info["sentence"][shaking[0]]], title="All frames: it shakes",
                                alt="Eight frames in which an object jumps left and right."))  # fmt: skip
figures.film_strip(clips[:1], ["the same clip"], title="Every second frame: it stands still", every=2,
                   alt="Four frames, one of two, in which the object is always in the same place.")  # fmt: skip

# %% [markdown]
# **What to take away.** Every preprocessing step is a decision about what may be lost: fine pitch, capitals, fast motion. It is made
# before any training, and no network brings back what it took away.
#
# ## 6 · Encoders: what each keeps
#
# ### Order: bag, recurrence, attention
#
# *Who chases whom?* We make sentences of two things and a verb, active or passive: *the cat chases the dog*, *the dog is chased by
# the cat*. The question: who is the doer? The pairs of the test are not in training.
#
# Three encoders of words $x_1 \dots x_T$ with embeddings $E$:
#
# $$\begin{gathered}\text{bag: } z=\tfrac1T\sum_t E[x_t],\qquad \text{recurrent: } h_t = F(h_{t-1}, E[x_t]),\; z=h_T,\\
# \text{transformer: } h_t \leftarrow h_t + \sum_s \text{softmax}_s\!\Big(\frac{q_t\cdot k_s}{\sqrt d}\Big)\, v_s,\; z = \tfrac1T\sum_t h_t,\end{gathered}$$
#
# where $F$ is the LSTM’s cell with its gates, $q, k, v$ are linear maps of $h$, $d$ is the width of $q$, and each word begins as
# $E[x_t] + P[t]$, with a learned vector $P[t]$ for its place. (The formula leaves out what changes nothing here: several heads, the
# normalisation, and the small network that follows for each word.)
#
# *Predict.* How accurate can the bag be at best? And the transformer if we set $P[t]=0$?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# Both sentences of a pair with the same verb have the same words, so a bag gives them one answer, and one of the two is wrong:
# exactly ½ at best. Without $P$ attention treats words as a set, too: the sum over $s$ does not know the order, so it is a bag again.
#
# </details>

# %%
things = sorted(data.motion.OBJECTS)
VERBS = {"chases": "is chased by", "sees": "is seen by", "follows": "is followed by"}


def sentences(pairs):
    for who, whom in [(a, b) for pair in pairs for a, b in (pair, pair[::-1])]:
        for active, passive in VERBS.items():
            yield f"the {who} {active} the {whom}", things.index(who)
            yield f"the {whom} {passive} the {who}", things.index(who)


def who_does_it(seed):
    pairs = list(itertools.combinations(things, 2))
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed)).tolist()
    parts = [list(sentences([pairs[i] for i in some])) for some in (order[:200], order[200:])]
    vocabulary = Vocabulary.build([text for text, _ in parts[0]])
    for part in parts:
        ids, mask = vocabulary.encode([text for text, _ in part], length=8)
        yield Batch({"text": ids}, {"who": torch.tensor([who for _, who in part])}, {"text": mask})


# %%
class Reader(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.dim, len(things))

    def forward(self, inputs, masks=None, present=None):
        return self.head(self.encoder(inputs["text"], masks["text"]))


def without_places(encoder):
    nn.init.zeros_(encoder.positions.weight)
    encoder.positions.weight.requires_grad_(False)
    return encoder


READERS = {
    "bag": lambda V: TextBag(V, 32),
    "LSTM": lambda V: TextLSTM(V, 32, 32),
    "transformer": lambda V: TextTransformer(V, 32, heads=2, max_length=8),
    "transformer, P = 0": lambda V: without_places(TextTransformer(V, 32, heads=2, max_length=8)),
}


# %% tags=["measured"]
def order_matters(seed):
    train, test = who_does_it(seed)
    V, scores = int(train.inputs["text"].max()) + 1, {}
    for name, make in READERS.items():
        seed_everything(seed)
        model = Reader(make(V))
        fit(model, train, loss=classify("who"), epochs=pick(smoke=1, laptop=6), batch_size=64, lr=5e-3, seed=seed,
            progress=False)  # fmt: skip
        scores[name] = {"accuracy": accuracy(predict(model, test), test.targets["who"])}
    return scores


order = over_seeds(order_matters, three)
figures.compare(
    order, "accuracy", title="Who chases whom, in pairs never seen: the bag cannot know", chance=1 / len(things)
)

# %% tags=["measured"]
by_model = order.pivot(index="seed", columns="model", values="accuracy")
claim("concepts.bag-has-no-order", every=by_model[["bag", "transformer, P = 0"]].max(axis=1), at_most=0.51,
      says="Accuracy of the better one of bag and transformer without places")  # fmt: skip
claim("concepts.order-is-read", every=by_model[["LSTM", "transformer"]].min(axis=1), at_least=0.9,
      says="Accuracy of the worse one of LSTM and transformer with places")  # fmt: skip

# %% [markdown]
# The bag stops at exactly the ½ of theory, however long it trains: what the representation does not hold, no head can find. On
# keywords, where order means nothing, it is hard to beat (chapter 03). A GRU does what the LSTM does with two gates in place of three.
#
# ### Place: flatten or average
#
# A convolution gives at each place $p$ a vector $h_p$ that depends on its surroundings alone; move the picture, and the vectors move
# along (**equivariance**). What comes next decides: *flatten* keeps where everything is; the *mean* over the $n$ places,
# $z=\frac1n\sum_p h_p$, as in `ImageResNet`, keeps what is there (**invariance**). With two 2×2 pools, a place is 4 pixels wide.
#
# We train on digits that all stand in one place and test on the same, moved up and left.


# %%
class Seer(nn.Module):
    """Two convolutions; their places are kept side by side (flatten) or averaged."""

    def __init__(self, average):
        super().__init__()
        self.encoder, self.average = ImageCNN(36, (16, 32), in_channels=1), average
        self.head = nn.Linear(self.encoder.token_dim if average else self.encoder.dim, 10)

    def z(self, images):
        h, _ = self.encoder.tokens(images)  # (B, places, 32)
        return h.mean(1) if self.average else h.flatten(1)

    def forward(self, inputs, masks=None, present=None):
        return self.head(self.z(inputs["image"]))


# %%
def moved(images, pixels):
    return torch.roll(images, (-pixels, -pixels), (2, 3))


def move_at_random(batch):
    return Batch({"image": moved(batch.inputs["image"], int(torch.randint(0, 9, ())))}, batch.targets)


drawn = handwritten()
small = nn.functional.avg_pool2d(drawn["image"][:, None].float() / 255, 2)  # (5000, 1, 14, 14)
canvas = nn.functional.pad(small, (13, 9, 13, 9))  # (5000, 1, 36, 36)

# %% [markdown]
# Before any training: averaged features of a picture and of the picture moved by a whole place, 4 pixels, or by half a place.

# %%
seed_everything(0)
untrained = Seer(average=True)
with torch.no_grad():
    z = {pixels: untrained.z(moved(canvas[:100], pixels)) for pixels in (0, 2, 4)}
print(f"moved by 2: features change by up to {(z[2] - z[0]).abs().max():.1e}; by 4: {(z[4] - z[0]).abs().max():.1e}")
claim(
    "concepts.equivariance",
    (z[4] - z[0]).abs().max(),
    at_most=1e-5,
    says="Averaged features of digits moved by 4 pixels, largest change",
)

# %% tags=["measured"]
shifts = [0, 1, 2, 3, 4, 6, 8]


def where_it_stands(seed):
    order = torch.randperm(len(canvas), generator=torch.Generator().manual_seed(seed))
    some, rest = order[: pick(smoke=200, laptop=1500)], order[4000:]
    train, scores = Batch({"image": canvas[some]}, {"digit": drawn["digit"][some]}), {}
    for name, average, augment in (
        ("flatten", False, None),
        ("average", True, None),
        ("flatten, moved", False, move_at_random),
    ):
        seed_everything(seed)
        model = Seer(average)
        fit(model, train, loss=classify("digit"), epochs=pick(smoke=1, laptop=24), batch_size=50, lr=2e-2 if average else 4e-3,
            schedule="cosine", warmup=0.1, augment=augment, seed=seed, progress=False)  # fmt: skip
        tests = {s: Batch({"image": moved(canvas[rest], s)}) for s in shifts}
        scores[name] = {str(s): accuracy(predict(model, test), drawn["digit"][rest]) for s, test in tests.items()}
    return scores


place = over_seeds(where_it_stands, three)

# %% tags=["measured"]
fig, ax = figures.canvas(size=(7.0, 3.2))
labels = {"flatten": "flatten", "average": "average over places", "flatten, moved": "flatten, trained on moved digits"}
for (model, rows), marker, colour in zip(place.groupby("model", sort=False), figures.MARKERS, figures.PALETTE):
    curve = rows[[str(s) for s in shifts]]
    ax.plot(shifts, curve.mean(), marker=marker, color=colour, label=labels[model])
    ax.fill_between(shifts, curve.min(), curve.max(), color=colour, alpha=0.15)
ax.axhline(0.1, color=figures.COLOURS["chance"], ls="--", lw=1)
ax.set(
    xlabel="digit moved by (pixels, up and left)",
    ylabel="accuracy",
    ylim=(0, 1),
    title="What each keeps when the digit moves",
)
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
figures.describe(fig, "Accuracy against shift, bands from lowest to highest of 3 seeds: flatten falls to chance within four "
                 "pixels; the average dips between and is back in full at 4 and 8 pixels; flatten trained on moved digits stays "
                 "high.")  # fmt: skip

# %% tags=["measured"]
at = {model: rows.set_index("seed") for model, rows in place.groupby("model")}
print(summary(place[["model", "seed", "0", "2", "8"]]).to_string())
claim("concepts.average-returns", every=(at["average"]["8"] - at["average"]["0"]).abs(), at_most=0.005,
      says="Average: accuracy at 8 pixels against 0, difference")  # fmt: skip
claim(
    "concepts.flatten-at-home",
    every=at["flatten"]["0"] - at["average"]["0"],
    at_least=0,
    says="Where all digits stand still: flatten above average",
)
claim(
    "concepts.flatten-is-lost",
    every=at["average"]["8"] - at["flatten"]["8"],
    at_least=0.3,
    says="At 8 pixels: average above flatten",
)

# %% [markdown]
# (± is half a 95 % interval of the mean; with three seeds such an interval is wide. The figure’s bands go from the lowest to the highest.)
#
# **What to take away.** Averaging gives back *exactly* the same answer when the shift is a whole place, and dips in between: pooling takes
# every second value, which is the aliasing of section 4 once more (Zhang 2019). Flattening is better where all digits stand still, and
# lost where they move (the digits stay clear of the edges, or the average would change as well); training on moved digits repairs most of it, at a small price at home (first column). No encoder is best:
# *where* is noise for “which digit?” and the answer for “left of what?”.
#
# ## 7 · How modalities relate
#
# ### Connections and interactions
#
# Two words that are easily confused (Liang, Zadeh & Morency 2022). Modalities are **connected** where they share something: they often occur together
# (thunder and lightning), one follows from the other (a word and the movement of the lips), or they mean the same (🍎 and “red apple”). Connections
# lie in the inputs, whatever the question. Modalities **interact** where they meet *in an answer*: do they tell the same about it, does each tell something
# of its own, or do they tell something only together? The same pair may interact in one way for one question and in another for the next: picture and
# caption agree on *what* is seen, and only the two together tell whether the caption is ironic. Interactions can be measured, in bits.
#
# ### Bits
#
# Let $X_1, X_2$ be two modalities and $Y$ the answer. How surprising is $y$? $-\log_2 p(y)$ bits, on average the **entropy**
# $H(Y)=-\sum_y p(y)\log_2 p(y)$. Knowing $x$ leaves $H(Y|X)=-\sum_{x,y} p(x,y)\log_2 p(y|x)$. What $X$ tells is the difference, the
# **mutual information**:
#
# $$\begin{aligned}I(X;Y) &= H(Y)-H(Y|X) = \sum_{x,y} p(x,y)\log_2\frac{p(y|x)}{p(y)}\\
# &= \sum_{x,y} p(x,y)\log_2\frac{p(x,y)}{p(x)\,p(y)} = H(X)+H(Y)-H(X,Y).\end{aligned}$$
#
# The second step is the definition of both entropies, written over $p(x,y)$; the third uses $p(y|x)=p(x,y)/p(x)$, and the last splits
# the logarithm. It is symmetric, and never negative: by Jensen’s inequality $-I=\sum p(x,y)\log_2\frac{p(x)p(y)}{p(x,y)}\le\log_2\sum p(x)p(y)\le 0$,
# with equality only where $X$ and $Y$ are independent.
#
# ### Four parts
#
# $I(X_1,X_2;Y)$ is what both tell together. It need not be $I(X_1;Y)+I(X_2;Y)$: they may say the same (then it is less) or speak only
# jointly (then it is more). Williams and Beer (2010) split it into **redundancy** $R$, **unique** parts $U_1, U_2$ and **synergy** $S$:
#
# $$I(X_1;Y)=R+U_1,\qquad I(X_2;Y)=R+U_2,\qquad I(X_1,X_2;Y)=R+U_1+U_2+S.$$
#
# Three equations, four unknowns: one more idea is needed. Bertschinger et al. (2014): somebody who knows only the pair tables $p(x_1,y)$
# and $p(x_2,y)$ cannot know about synergy. So look at all distributions $q$ that have these two tables, and take the one that
# tells least:
#
# $$R+U_1+U_2 = \min_{q\,:\,q(x_1,y)=p(x_1,y),\; q(x_2,y)=p(x_2,y)} I_q(X_1,X_2;Y),\qquad S = I_p(X_1,X_2;Y)-\min_q I_q .$$
#
# With that, $R=I(X_1;Y)+I(X_2;Y)-\min_q I_q$ and the rest follows. For tables this is a convex problem, which `diagnosis.pid` solves.
#
# *Predict* the four parts for $Y=X_1$ AND $X_2$, XOR, COPY ($Y=X_1=X_2$) and UNIQUE ($Y=X_1$), each input a fair coin.
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# XOR: 1 bit of synergy. COPY: 1 bit of redundancy. UNIQUE: 1 bit unique to $X_1$. AND surprises most people: since $X_1=0$ settles $Y$, each
# alone tells .311 bits. Both have the same table with $Y$, so $q$ may set $X_1=X_2$, and then the second tells nothing new: all .311 bits are
# redundant, although the coins are independent. The remaining .5 bits are synergy.
#
# </details>

# %% tags=["measured"]
worlds = {name: data.world(name) for name in ("and", "xor", "copy", "unique", "two_bits")}
parts = {name: diagnosis.pid(world.joint.numpy()) for name, world in worlds.items()}
apart = max(abs(a - b) for name, world in worlds.items() for a, b in zip(parts[name], world.information.values()))
claim(
    "concepts.pid-exact",
    apart,
    at_most=1e-3,
    says="Minimised numerically against known by symmetry: largest difference (bits)",
)
figures.information(parts, title="Redundancy, uniqueness and synergy of five small worlds")

# %% [markdown]
# **Try it**: turn AND into OR with one dial. Make $x_1$ and $x_2$ agree more and more often, and watch synergy turn into redundancy.

# %%
widgets.information_explorer("AND")

# %% [markdown]
# ### The best a model can do
#
# Whoever knows $p$ answers the most probable $y$: $\;\text{best}=\sum_x \max_y p(x,y)$, the accuracy no model can pass. Summing the other
# modality out of the table gives the best *unimodal* accuracy. Does a trained network get there? Each symbol becomes a noisy vector of
# 16 numbers, the answer is flipped with probability .1, and a network of 32 units learns from 4,000 examples.


# %%
class Small(nn.Module):
    def __init__(self, given):
        super().__init__()
        self.given = given
        self.layers = nn.Sequential(nn.Linear(16 * len(given), 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, inputs, masks=None, present=None):
        return self.layers(torch.cat([inputs[m] for m in self.given], dim=1))


# %%
def reach(seed):
    rows = {}
    for name, given in itertools.product(("and", "xor", "copy", "unique"), (("x1",), ("x2",), ("x1", "x2"))):
        splits = data.load_world(name, noise=0.1, test=10_000, seed=seed)
        joint = data.world(name, noise=0.1).joint  # p(x1, x2, y)
        for axis, m in enumerate(("x1", "x2")):
            joint = joint if m in given else joint.sum(axis, keepdim=True)
        seed_everything(seed)
        model = Small(given)
        fit(model, splits.train, loss=classify(), steps=pick(smoke=5, laptop=150), batch_size=128, lr=5e-3, seed=seed,
            progress=False)  # fmt: skip
        rows[f"{name}: {' and '.join(given)}"] = {
            "best": diagnosis.best_accuracy(joint), "reached": accuracy(predict(model, splits.test), splits.test.targets["label"])
        }  # fmt: skip
    return rows


# %% tags=["measured"]
reached = over_seeds(reach, three)
means = reached.groupby("model", sort=False)[["best", "reached"]].mean()
fig, ax = figures.canvas(size=(7.4, 3.8))
ax.barh(range(len(means)), means["best"], color=figures.PALETTE[5], label="best possible")
for seed, rows in reached.groupby("seed"):
    ax.plot(
        rows["reached"],
        range(len(rows)),
        "o",
        color=figures.COLOURS["both"],
        label="reached (a dot a seed)" if seed == three[0] else None,
    )
ax.set_yticks(range(len(means)), means.index)
ax.invert_yaxis()
ax.set(xlabel="accuracy", xlim=(0, 1), title="Trained networks end where the theory says")
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower right", ncols=2)
figures.describe(
    fig,
    "For each of four worlds and each choice of inputs a bar at the best possible accuracy; the three seeds' networks end beside it.",
)

# %% tags=["measured"]
worst = (reached["best"] - reached["reached"]).abs().groupby(reached["seed"]).max()
claim(
    "concepts.best-is-reached",
    every=worst,
    at_most=0.035,
    says="Accuracy reached against best possible, largest difference of 12",
)

# %% [markdown]
# A dot beyond the bar is chance: 10,000 test examples have a standard error of up to half a percent. **What to take away**: for XOR no
# unimodal model will ever beat a coin, and no amount of training shows that something is there. “Each modality alone is useless, so drop
# both” is a wrong conclusion; test them together.
#
# ### On real data: an estimate, and its traps
#
# For pixels nobody knows $p$. A common way (Liang et al. 2023): replace each modality by something small, such as a classifier's
# predictions or the nearest of ten cluster centres of an encoder's features, count, and decompose the table. We take noisy digits,
# seen and heard, one linear classifier each, and their predictions on the test split. (The noise is added to the pixels and, five times as
# strong, to the spectrogram; the classifiers are weak on purpose, so that something is left for the other modality to tell.)


# %%
class Linear(nn.Module):
    def __init__(self, modality, size):
        super().__init__()
        self.modality, self.layers = modality, nn.Sequential(nn.Flatten(), nn.Linear(size, 10))

    def forward(self, inputs, masks=None, present=None):
        return self.layers(inputs[self.modality])


digits = data.load_digits()


def noisy(batch, seed, sigma=0.6):
    g = torch.Generator().manual_seed(seed)
    inputs = {
        m: x + sigma * torch.randn(x.shape, generator=g) * (1 if m == "image" else 5) for m, x in batch.inputs.items()
    }
    return Batch(inputs, batch.targets)


# %% tags=["measured"]
def predictions(seed):
    train, test = noisy(digits.train, seed), noisy(digits.test, seed + 1000)
    guesses = {}
    for modality, size in (("image", 28 * 28), ("audio", 40 * 101)):
        seed_everything(seed)
        model = Linear(modality, size)
        fit(
            model,
            train.only(modality),
            loss=classify("digit"),
            epochs=pick(smoke=1, laptop=2),
            batch_size=64,
            seed=seed,
            progress=False,
        )
        guesses[modality] = predict(model, test.only(modality)).argmax(1).numpy()
    return guesses, test.targets["digit"].numpy()


guessed = {seed: predictions(seed) for seed in three}
for seed, (g, y) in guessed.items():
    print(
        f"seed {seed}: image right {np.mean(g['image'] == y):.2f}, audio right {np.mean(g['audio'] == y):.2f} of {len(y)}"
    )

# %% [markdown]
# *Predict.* The table has $10\cdot10\cdot10$ cells and we have 500 examples. What does the estimate say if we **shuffle the answers**, so that
# there is nothing to know at all?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# Far from nothing: with most cells empty, a pair of guesses that came once “determines” its answer. Counting finds bits in noise.
#
# </details>
#
# For digits we can do better. Picture and sound were paired by label alone, so we *know* that given $y$ they are independent,
# $p(x_1,x_2,y)=p(y)\,p(x_1|y)\,p(x_2|y)$, and two tables of 100 cells are enough.


# %% tags=["measured"]
def decompose(table):
    return diagnosis.pid(table, tolerance=1e-4, steps=500)


def independent_given_y(a, b, y):
    pa, pb = diagnosis.joint_table(a, y), diagnosis.joint_table(b, y)  # p(x1, y), p(x2, y)
    return np.einsum("ay,by->aby", pa, pb / pb.sum(0))


rng, rows = np.random.default_rng(0), {}
for seed, (g, y) in guessed.items():
    a, b = g["image"], g["audio"]
    rows[seed] = {
        "counted": decompose(diagnosis.joint_table(a, b, y)),
        "with what we know": decompose(independent_given_y(a, b, y)),
        "shuffled answers": decompose(diagnosis.joint_table(a, b, rng.permutation(y))),
    }
mean_parts = {way: np.mean([row[way] for row in rows.values()], axis=0) for way in rows[three[0]]}
figures.information(mean_parts, title="Noisy digits, seen and heard: three estimates, mean of 3 seeds")

# %% tags=["measured"]
claim("concepts.counting-invents", every=[sum(row["shuffled answers"]) for row in rows.values()], at_least=0.3,
      says="Bits that counting finds in shuffled answers")  # fmt: skip
claim("concepts.counting-inflates", every=[r["counted"].synergy - r["with what we know"].synergy for r in rows.values()],
      at_least=0.05, says="Synergy counted above synergy estimated with what we know (bits)")  # fmt: skip

# %% [markdown]
# **What to see.** The shuffled bar should be empty and is not: that much of the first bar may be made by counting alone. With what
# we know of the pairing, the estimate needs no such trust. It still finds synergy although the two senses are independent given the
# digit: two poor witnesses who err independently settle together what neither settles alone.
#
# **Limits, plainly.** These are bits about the *predictions*: what the linear classifiers missed counts as not there. Another quantiser
# gives other figures. The shuffled bar is a warning, not a correction to subtract. And another measure than Bertschinger's gives
# another split of the same total. Report the four with the shuffled bar beside them, or not at all.
#
# ## 8 · Alignment: which part belongs to which?
#
# Picture and caption are aligned as wholes; a word and a region, a sound and a lip, are aligned in parts. **Explicit** alignment
# finds the matching, **implicit** alignment lets attention find it while it learns something else. The classic explicit
# method is **dynamic time warping**: two sequences $a_1\dots a_m$, $b_1\dots b_n$ and the cheapest path of steps →, ↑, ↗ through their distances
# $d_{ij}=\lVert a_i-b_j\rVert$. What the cheapest path to $(i,j)$ costs follows from its three predecessors,
#
# $$D_{ij} = d_{ij} + \min(D_{i-1,j},\, D_{i,j-1},\, D_{i-1,j-1}),\qquad D_{00}=0,\quad D_{i0}=D_{0j}=\infty,$$
#
# and the path is found by walking back from $(m,n)$. Here one voice says three numbers twice, the first time slowly and with a pause.

# %% tags=["measured"]
spoken = (("one, two three", 130), ("one two three", 170))  # the comma is a pause
slow, fast = (audio.hear(data.speak(words, rate=rate)[None])[0, 0].T for words, rate in spoken)  # (frames, 40)
d = torch.cdist(slow, fast).numpy()
D = np.full((len(slow) + 1, len(fast) + 1), np.inf)
D[0, 0] = 0
for i, j in np.ndindex(d.shape):
    D[i + 1, j + 1] = d[i, j] + min(D[i, j + 1], D[i + 1, j], D[i, j])
path = [(len(slow) - 1, len(fast) - 1)]
while path[-1] != (0, 0):
    i, j = path[-1]  # D has a row and a column more than d, so D[i, j] belongs to the frames i − 1, j − 1
    path.append(min([(i - 1, j - 1), (i - 1, j), (i, j - 1)], key=lambda at: D[at[0] + 1, at[1] + 1]))
straight = np.mean([d[i, round(i * (len(fast) - 1) / (len(slow) - 1))] for i in range(len(slow))])
warped = np.mean([d[i, j] for i, j in path])
claim(
    "concepts.warping",
    warped / straight,
    at_most=0.9,
    says="Distance of aligned frames, warped path against straight stretching, as a share",
)

# %%
fig, ax = figures.canvas(size=(5.6, 3.8))
image = ax.imshow(d, origin="lower", aspect="auto", cmap="cividis", extent=(0, d.shape[1] / 100, 0, d.shape[0] / 100))
ax.plot([j / 100 for _, j in path], [i / 100 for i, _ in path], color="white", lw=2.5)
ax.plot([0, d.shape[1] / 100], [0, d.shape[0] / 100], color="white", lw=1, ls=":")
ax.set(xlabel="“one two three”: time (s)", ylabel="“one, two three”: time (s)", title="Which moment is which?")
ax.grid(visible=False)
fig.colorbar(image, ax=ax, label="distance of the frames")
figures.describe(
    fig,
    "Distances between the frames of two utterances of the same numbers; the warped path follows the dark valleys, leaves the "
    "diagonal and climbs straight up where one of the two pauses.",
)

# %% [markdown]
# **What to see.** The path keeps to the dark valleys, where the frames are alike, and climbs straight up where the first voice pauses and the
# second has nothing to match. The dotted line, both stretched to one length, pairs the pause with the next word.
#
# Within one modality a distance comes for free. *Between* modalities there is none: a word and a pixel have nothing to subtract.
# First both must live in one space, and that space has a surprise in store.
#
# ## 9 · The modality gap
#
# A **dual encoder** maps picture and name to unit vectors $z_x, z_y$ of one space. It is trained by contrast: among the names of a batch each
# picture shall score its own highest, by $z_x\cdot z_y$, and each name its picture (`clip_loss`, which chapter 04 derives). Liang et al. (2022)
# measured the vector between the two clouds' centres,
#
# $$\Delta = \frac1N\sum_i z_{x,i}-\frac1N\sum_i z_{y,i},\qquad 0\le\lVert\Delta\rVert\le 2.$$
#
# *Predict.* Two untrained encoders, random weights: where do 300 pictures and their 300 names lie on the sphere?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# Not all over it. A random network maps all inputs into a narrow **cone** (after a ReLU every number is ≥ 0, so any two vectors agree a
# little, and layer by layer more). Two networks, two cones: the gap is there before training begins.
#
# </details>

# %%
emoji = data.load_emoji(["noto"], text="name", size=24)
shown = emoji.train[:300]


def embed(model, split):
    with torch.no_grad():
        return model.eval()(split.inputs, masks=split.masks)


def contrast(model, batch):
    z = model(batch.inputs, masks=batch.masks)
    return clip_loss(z["image"], z["text"], model.scale())


def geometry(z):
    x, y = z["image"], z["text"]
    found = (x @ y.T).argmax(1) == torch.arange(len(x))
    return {
        "gap": diagnosis.modality_gap(x, y).norm().item(),
        "pictures’ cosine": (x @ x.T).mean().item(),
        "names’ cosine": (y @ y.T).mean().item(),
        "pairs’ cosine": (x * y).sum(1).mean().item(),
        "name found": found.float().mean().item(),
    }


# %% tags=["measured"]
clouds = {}


def gap(seed):
    seed_everything(seed)
    V = len(emoji.vocabulary)
    text = TextTransformer(V, 32, heads=2, layers=1, max_length=16)
    model = DualEncoder({"image": ImageResNet(32, width=8), "text": text}, dim=32)
    clouds[seed] = [embed(model, shown)]
    fit(
        model,
        emoji.train,
        loss=contrast,
        steps=pick(smoke=3, laptop=700),
        batch_size=64,
        lr=3e-3,
        schedule="cosine",
        warmup=0.1,
        seed=seed,
        progress=False,
    )
    clouds[seed].append(embed(model, shown))
    return {when: geometry(z) for when, z in zip(("random", "trained"), clouds[seed])}


gaps = over_seeds(gap, three)
print(summary(gaps).to_string())

# %% tags=["measured"]
fig, axes = figures.canvas(1, 2, size=(8.6, 3.6))
for ax, z, when in zip(axes, clouds[three[0]], ("random weights", "after contrastive training")):
    both = torch.cat([z["image"], z["text"]])
    _, _, axis = torch.linalg.svd(both - both.mean(0), full_matrices=False)
    for m, marker, label in (("image", "o", "pictures"), ("text", "s", "names")):
        x, y = ((z[m] - both.mean(0)) @ axis[:2].T).T
        ax.plot(x, y, marker, ms=3, alpha=0.6, color=figures.COLOURS[m], label=label)
    ax.set(title=when, xlabel="first principal axis", ylabel="second principal axis", aspect="equal",
           xlim=(-1.4, 1.4), ylim=(-1.4, 1.4))  # fmt: skip
axes[1].legend()
figures.describe(
    fig,
    f"Embeddings of pictures and names on their two main axes, centres {gaps['gap'][0]:.2f} apart with random weights and "
    f"{gaps['gap'][1]:.2f} after training.",
)

# %% tags=["measured"]
when = gaps.pivot(index="seed", columns="model", values="gap")
claim("concepts.gap-at-birth", every=when["random"], at_least=0.6, says="Gap between two untrained encoders")
cosine = gaps.pivot(index="seed", columns="model", values="pictures’ cosine")
claim(
    "concepts.cone-opens",
    every=cosine["random"] - cosine["trained"],
    at_least=0.05,
    says="Mean cosine of two pictures: by how much it falls",
)

# %% [markdown]
# **What to see.** Untrained, the pictures lie in a cone so narrow that any two have a cosine near 1. Training spreads them out, and here
# the gap all but closes: after it most of the 300 pictures have their own name nearest (*name found*; these pictures were trained on, so
# that says nothing about new ones). In large models trained with a low temperature the gap was found to stay (Liang et al. 2022);
# how temperature and false pairs hold it open is an experiment of chapter 04. A gap is not a fault by itself: to find the
# picture of a name $z_y$ one orders the scores $z_y\cdot z_x$, and a shift $\Delta$ of all pictures adds the same $z_y\cdot\Delta$ to each: the
# order stays.
#
# <details><summary><b>FAQ.</b> Is mutual information between picture and caption what contrastive learning maximises?</summary>
#
# With the InfoNCE loss $L$ on batches of $N$, $\ln N - L$ is a lower bound of it, in nats, and cannot exceed $\ln N$ (van den Oord et al. 2018). It is
# information about *which pair*, so
# a model can be excellent at it and ignore what your question needs: what both modalities share is redundancy, and unique parts
# may be thrown away.
#
# </details>
# <details><summary><b>FAQ.</b> My spectrogram raises “mel bands hold no FFT bin”. Why?</summary>
#
# Low bands are narrow, and FFT bins are $r/M$ Hz apart. Take fewer bands or a longer window.
#
# </details>
#
# ## Quiz
#
# **1. You halve the window of a spectrogram. What do you gain, and what does it cost?**
#
# <details><summary>Time resolution, at the cost of frequency resolution</summary>Yes: their product is constant.</details>
# <details><summary>Both, since there are more frames</summary>No: the hop sets the number of frames, the window what each can tell apart.</details>
# <details><summary>Frequency resolution, at the cost of time</summary>No: bins are r / M apart, so a shorter window sets them wider.</details>
#
# **2. A transformer without position embeddings, averaged over its tokens, reads “dog bites man”. What can it not know?**
#
# <details><summary>Which words there are</summary>It can: each has its embedding.</details>
# <details><summary>Who bites whom</summary>Yes: attention and mean treat the words as a set (section 6).</details>
# <details><summary>How many words there are</summary>With different words it can: a mean over three differs from a mean over two.</details>
#
# **3. Image alone .50, text alone .50, both .90, two balanced classes. What is it?**
#
# <details><summary>Redundancy</summary>No: then one alone would do.</details>
# <details><summary>Synergy</summary>Yes: like XOR with some noise.</details>
# <details><summary>An error, since nothing plus nothing is nothing</summary>No: information need not add up.</details>
#
# **4. An estimate from 500 examples and a table of 1,000 cells says: .6 bits of synergy. What do you do first?**
#
# <details><summary>Build a fusion with many interactions</summary>Too early: counting alone may have made it.</details>
# <details><summary>Shuffle the answers and estimate again</summary>Yes: what is found there is bias.</details>
# <details><summary>Subtract the shuffled figure</summary>No: the bias depends on the true table; the shuffled figure warns, it does not correct.</details>
#
# **5. X1 and X2 are independent. Can they be redundant about Y?**
#
# <details><summary>No, they share nothing</summary>They share nothing with each other, and yet in AND both tell when Y is 0.</details>
# <details><summary>Yes</summary>Right: AND has .311 bits of it.</details>
#
# **6. Averaged features dip for a shift of 2 pixels and are back at 4. Why?**
#
# <details><summary>Too little training</summary>No: untrained features do the same.</details>
# <details><summary>The pools take every second value, twice</summary>Yes: only shifts by a multiple of 4 move the grid onto itself.</details>
# <details><summary>The head is linear</summary>No: the features themselves change.</details>
#
# ## Go further
#
# - Claude Shannon, 1948, “A Mathematical Theory of Communication”, Bell System Technical Journal.
# - Paul Williams and Randall Beer, 2010, “Nonnegative Decomposition of Multivariate Information”, arXiv.
# - Nils Bertschinger, Johannes Rauh, Eckehard Olbrich, Jürgen Jost and Nihat Ay, 2014, “Quantifying Unique Information”, Entropy.
# - Paul Pu Liang et al., 2023, “Quantifying & Modeling Multimodal Interactions: An Information Decomposition Framework”, NeurIPS.
# - Paul Pu Liang, Amir Zadeh and Louis-Philippe Morency, 2022, “Foundations and Trends in Multimodal Machine Learning: Principles, Challenges,
#   and Open Questions”, arXiv: heterogeneity, connections, interactions.
# - Weixin Liang, Yuhui Zhang, Yongchan Kwon, Serena Yeung and James Zou, 2022, “Mind the Gap: Understanding the Modality Gap in
#   Multi-modal Contrastive Representation Learning”, NeurIPS.
# - Richard Zhang, 2019, “Making Convolutional Networks Shift-Invariant Again”, ICML.
# - Ashish Vaswani et al., 2017, “Attention Is All You Need”, NeurIPS.
# - Tadas Baltrušaitis, Chaitanya Ahuja and Louis-Philippe Morency, 2019, “Multimodal Machine Learning: A Survey and Taxonomy”, IEEE TPAMI.
