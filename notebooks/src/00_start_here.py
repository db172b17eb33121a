# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · Start here
#
# **You will be able to** run a notebook of this course, hear and see each of its data sets, and read a chapter the way it
# is meant to be read: guess, measure, compare.
#
# **You need** some Python, and a first course in deep learning for the chapters that follow. For this page, nothing.
#
# **Time** 15 minutes to read; under a minute to run.
#
# ---
#
# We learn what an apple is from its look, its name, its crunch and what people do with it, and no one of these would do. Most
# models learn from one kind of signal. **Multimodal learning** is about models that learn from several: which to combine and
# how, what one can teach another, and when a second sense does more harm than good.
#
# | chapter | what it is about |
# |---|---|
# | 01 Background | what a second sense buys: digits seen and heard under noise |
# | 02 Concepts | image, text, sound and video as tensors; what each keeps; how they relate |
# | 03 Fusion | many into one: from putting vectors side by side to attention |
# | 04 Cross-modal learning | one from the other: contrast, retrieval, captions, questions |
# | 05 Multi-task learning | one network, several aims |
# | 06 Applications | three systems that you use on input of your own |
# | 07 Outlook | where the field goes, each trend as a measurement |
#
# Each has its notebook beside this one, and exercises of its own in the folder `exercises`.
#
# ## How a notebook runs
#
# A cell runs with <kbd>Shift</kbd>+<kbd>Enter</kbd>, all of them with *Run → Run All Cells*. The cells depend on those above,
# so run them in order. Everything works without a network, on a laptop with two cores; where there is a GPU it is used.

# %%
import torch
from IPython.display import Audio

from mmteach import claim, data, doctor, figures, fit, pick, scale, seed_everything
from mmteach.data.emoji import STYLES, concepts, drawings, over
from mmteach.metrics import accuracy
from mmteach.training import classify, pick_device, precision_for, predict

figures.use_style()

# %% [markdown]
# Is everything there? `mmteach doctor` in a terminal tells more; here is the short form. If something is wrong, the last
# column says what to do.

# %% tags=["timed"]
faults = [finding for finding in doctor.report() if finding.state == doctor.FAULT]
for finding in faults:
    print(f"✗ {finding.name}: {finding.says}. {finding.cure}")
device = pick_device()
print("Something needs attention, see above." if faults else "All is well.")
print(f"Training on {device.type}, in {precision_for(device)}, at scale “{scale()}”.")

# %% [markdown]
# **Scale** is the one knob of the course: `smoke` runs every cell in seconds to see that it runs, `laptop` takes minutes, `gpu` trains
# larger models. Leave it alone, and a laptop is a laptop. To set it, start JupyterLab with `MMTEACH_SCALE=smoke make lab`, or
# put `%env MMTEACH_SCALE=smoke` before the imports.
#
# ## The data
#
# All of it is real or honestly generated, small enough to lie inside the package, openly licensed, and split so that the
# test holds what training never saw. `data.card(name)` says where each set comes from and what to beware of.
#
# ### Emoji: one thing, four drawings, ten languages
#
# The same concept as four artists draw it. Whoever learns from three styles and recognises the fourth has learned the
# thing rather than the drawing.

# %%
number = {concept.char: i for i, concept in enumerate(concepts())}
chosen = [number[char] for char in "🍎🐙🚲😂🍄🎻🌋👑"]
figures.picture_grid(
    torch.cat([over(drawings(style)[chosen]) for style in STYLES]),
    [""] * 24 + [concepts()[i].names["en"] for i in chosen],
    columns=8,
    title="Eight concepts, each as four artists draw it",
    alt="A grid of eight emoji, such as an apple, an octopus and a bicycle, each drawn in four styles, one style a row.",
)

# %%
apple = concepts()[chosen[0]]
for language, name in apple.names.items():
    print(f"{language}  {name}")
print("keywords:", ", ".join(apple.keywords["en"]))

# %% [markdown]
# ### Digits: seen and heard
#
# A handwritten digit and the same digit said aloud by a synthetic voice. The voices of the test are never heard in training.

# %%
digits = data.load_digits()
example = digits.test[0]
waveform = example.info["waveform"][0]
digit = digits.classes["digit"][int(example.targets["digit"])]
figures.show(
    figures.picture_grid(
        example.inputs["image"],
        ["what is seen"],
        inch=1.4,
        alt=f"A handwritten digit {digit}, a dark stroke on a light ground.",
    )
)
figures.show(
    figures.sound(
        waveform,
        example.inputs["audio"][0, 0],
        8000,
        80,
        title=f"What is heard: “{digit}”",
        alt=f"Waveform and mel spectrogram of the spoken word {digit}, one second long.",
    )
)
Audio(waveform.numpy(), rate=8000)

# %% [markdown]
# The lower picture is what a network hears: energy over time (to the right) and frequency (upwards). Chapter 02 takes it apart.
#
# ### Prompts: a real voice
#
# Recordings of one speaker for telephone systems, with transcripts. Chapter 06 learns to write down what she says.

# %%
prompts = data.load_prompts()
transcripts = prompts.test.info["transcript"]
pick_one = next(i for i, words in enumerate(transcripts) if 20 <= len(words) <= 40)
print(f"“{transcripts[pick_one]}”")
Audio(prompts.test.info["waveform"][pick_one].numpy(), rate=8000)

# %% [markdown]
# ### Glyphs: characters and their names
#
# Unicode names its characters by composition (*Latin small letter e with acute*), so a model can name a character it has
# never seen, if it has learned the parts.

# %%
glyphs = data.load_glyphs()
some = glyphs.test[torch.linspace(0, len(glyphs.test) - 1, 6).long()]
figures.picture_grid(
    some.inputs["image"],
    [name.lower() for name in some.info["name"]],
    columns=6,
    inch=1.45,
    title="Six characters of the test split and their names",
    alt="Six characters from different scripts drawn in different fonts, each with its Unicode name below.",
)

# %% [markdown]
# ### Motion: what only time tells
#
# Emoji that move, turn, grow, blink. From one frame you can name the object but not the verb.

# %%
motion = data.load_motion()
some = torch.tensor([(motion.test.targets["verb"] == verb).nonzero()[0].item() for verb in (0, 1, 2, 7)])
clips, sentences = motion.test.inputs["video"][some], [motion.test.info["sentence"][i] for i in some]
print(" | ".join(sentences))
figures.moving(clips, alt="Four clips that play at once: " + "; ".join(sentences) + ".")

# %% [markdown]
# ### Worlds: where the truth is known
#
# For a table of probabilities $p(x_1, x_2, y)$ we can compute *exactly* how much $x_1$ and $x_2$ tell about $y$, alone and
# together. In the world XOR each alone tells nothing and both together everything; in COPY they say the same thing twice.

# %%
for name in ("xor", "and", "copy", "unique"):
    world = data.world(name)
    alone, both = (world.bits("x1"), world.bits("x2")), world.bits("x1", "x2")
    print(f"{name:<7} x1 tells {alone[0]:.2f} bits about y, x2 {alone[1]:.2f}, both together {both:.2f}: {world.says}")

# %% [markdown]
# ## How a chapter works
#
# **A question, a guess, a measurement, a claim.** Here is one in small.
#
# *Question.* Spoken and handwritten digits come in equal numbers. With few examples and a tiny network, which is easier to
# learn: the picture or the sound?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# There is no way to know but to measure. Handwriting varies from writer to writer, a voice from speaker to speaker, and
# the sound is synthetic, which makes it more regular than people are.
#
# </details>
#
# *Measurement.* The same small network for both: one layer of 32 units on all numbers in a row. `fit` is the one training
# loop of the course; it shows a progress bar when it takes longer than a second and returns a history.


# %%
class Small(torch.nn.Module):
    def __init__(self, modality, size):
        super().__init__()
        self.modality = modality
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(size, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
        )

    def forward(self, inputs, masks=None, present=None):
        return self.layers(inputs[self.modality].float())


scores, histories = {}, {}
for modality, size in (("image", 28 * 28), ("audio", 40 * 101)):
    seed_everything(0)
    model = Small(modality, size)
    histories[modality] = fit(
        model, digits.train.only(modality), digits.valid.only(modality), loss=classify("digit"),
        epochs=pick(smoke=1, laptop=8), monitor="valid_loss",
    )  # fmt: skip
    scores[modality] = accuracy(predict(model, digits.test.only(modality)), digits.test.targets["digit"])

# %% tags=["measured"]
figures.learning_curves(histories, title="A tiny network on digits, seen and heard")

# %% [markdown]
# *Claim.* What a chapter says of its results is checked by the cell that says it. A claim prints the measured figure beside
# its bound, and stops the notebook where it does not hold. `mmteach verify` repeats it on fresh seeds.

# %% tags=["measured"]
for modality, score in scores.items():
    print(f"{modality}: {score:.3f} of the test digits are right; guessing would give 0.100")
claim("start.both-learn", min(scores.values()), at_least=0.7, says="Each modality alone is learned well above chance")

# %% [markdown]
# That is one run of each, enough to see that both are learned; whether one is *easier* than the other takes several seeds,
# and chapter 01 asks that question properly.
#
# **Exercises.** Learning is doing. A task looks like this: a few lines for you to fill in, hints that unfold one after the
# other, and a check that says what is wrong rather than what is right. Try it.
#
# > **Task.** The *cosine similarity* of two vectors, $\cos(a, b) = \dfrac{a \cdot b}{\lVert a\rVert\,\lVert b\rVert}$, tells how far
# > they point the same way, whatever their lengths. Write it for two tensors of shape $(D,)$.
#
# <details><summary>Hint 1</summary>The product in the numerator sums over the entries: <code>(a * b).sum()</code>.</details>
# <details><summary>Hint 2</summary>A length is the root of the sum of squares: <code>a.norm()</code>.</details>
# <details><summary>A solution</summary><code>return (a * b).sum() / (a.norm() * b.norm())</code></details>


# %%
def cosine(a, b):
    return (a * b).sum()  # not yet right: what about the lengths?


# %% [markdown]
# Run the check, change the function, run both again until it is content.

# %%
a, b = torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0])
if cosine(a, a) != 1 and abs(cosine(a, a) - 25) < 1e-4:
    print(
        "Not yet: a vector and itself give 25. They point the same way, so they should give 1: divide by both lengths."
    )
elif abs(cosine(a, b) - 1) > 1e-4:
    print(
        f"Not yet: b is 2a, so they point the same way, but you say {float(cosine(a, b)):.3f}. Which length is missing?"
    )
elif abs(cosine(a, -a) + 1) > 1e-4:
    print("Not yet: a and −a point opposite ways and should give −1.")
else:
    print("✓ Right: the same direction gives 1, the opposite −1, whatever the lengths.")

# %% [markdown]
# ## Quiz
#
# **1. What does a claim do that a sentence does not?**
#
# <details><summary>It looks more convincing</summary>Perhaps, but that is no help if it is wrong.</details>
# <details><summary>It fails when the measurement contradicts it</summary>Yes: the cell stops, for you and for the authors.</details>
# <details><summary>It makes the result reproducible</summary>The seed does that. A claim checks what was reproduced.</details>
#
# **2. Why do the voices of the test not occur in training?**
#
# <details><summary>To make the task harder</summary>It does, but that is not the aim.</details>
# <details><summary>To measure what happens with a new speaker</summary>Yes: that is what anybody would use it for.</details>
# <details><summary>Because there are too few voices</summary>No: there are dozens. Sharing them would even give more data.</details>
#
# **3. In the world XOR, how much does x1 alone tell about y?**
#
# <details><summary>Half a bit, since it is half of the answer</summary>No: whatever x1 is, y stays a fair coin.</details>
# <details><summary>Nothing</summary>Yes, and together they tell everything. That is called synergy, and chapter 02 measures it.</details>
#
# **4. You set the scale to <code>smoke</code> and a claim prints ✗ but does not stop the notebook. Why?**
#
# <details><summary>A bug</summary>No.</details>
# <details><summary>A model trained for seconds proves nothing either way</summary>Yes: at that scale claims are printed, not enforced.</details>
#
# ## Where to go on
#
# Open **01 · Background**. To change a chapter or to teach with it, see the pages for authors and instructors in the README.
