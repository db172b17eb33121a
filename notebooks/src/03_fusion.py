# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Fusion
#
# **You will be able to** build the classic model of image and text layer by layer, count its parameters, train it on real
# pictures and words, judge it against each modality alone, and say what it gets wrong.
#
# **You need** chapter 00, convolutions, recurrent networks and the cross-entropy at the level of a first course.
#
# **Time** 40 minutes to read; about three minutes to run on a laptop with two cores.

# %%
from dataclasses import replace

import torch
from torch import nn

from mmteach import claim, figures, fit, pick, seed_everything, seeds
from mmteach.data import load_emoji
from mmteach.encoders import ImageCNN, TextLSTM
from mmteach.fusion import ClassicFusion, MultimodalClassifier
from mmteach.metrics import auc
from mmteach.recipes import stored
from mmteach.training import detect, predict, summary

figures.use_style()

# %% [markdown]
# ## 1 · One question, two senses
#
# Somebody shows you a small drawing and says **one word** about it. Is it something of nature — an animal, a plant, food or
# drink — or something else? Some drawings settle it (a tomato). Some words settle it (*mammal*). Often neither does alone:
# the word *hot* goes with a pepper, a stove and a face.
#
# That is the task of this half of the chapter. The drawings are emoji in four styles, the word is one of the keywords that
# Unicode gives each emoji, and the answer comes from Unicode's own groups. What makes it honest is the split: every concept
# of the test, in all its versions and all its styles, is **absent from training**. The model has never seen a tomato.

# %% tags=["measured"]
seed = seeds(1)[0]
drawn = pick(smoke=["noto"], laptop=["twemoji", "noto"], gpu=["twemoji", "noto", "fluent", "openmoji"])
emoji = load_emoji(drawn, keywords=2, seed=seed)
thin = pick(smoke=8, laptop=1)  # at smoke scale every eighth example is enough to see that all cells run
train, valid, test = (part[::thin] for part in (emoji.train, emoji.valid, emoji.test))
share = test.targets["nature"].float().mean()
print(
    f"{len(train)} training examples, {len(valid)} for validation, {len(test)} for the test; of these {share:.0%} are nature"
)

# %%
chosen = torch.linspace(0, len(test) - 1, 16).long()
figures.picture_grid(
    test.inputs["image"][chosen],
    [
        f"“{word}”" + (" · nature" if y else "")
        for word, y in zip(test[chosen].info["text"], test.targets["nature"][chosen])
    ],
    columns=8,
    inch=1.12,
    title="Sixteen test examples: a drawing, one word about it, and whether it is nature",
    alt="A grid of sixteen emoji drawings from the test split, each with one keyword below; some are marked as nature.",
)

# %% [markdown]
# <details><summary><b>Before you go on:</b> which will do better alone, the picture or the word? And will both together beat
# the better one by a little or by a lot?</summary>
#
# There is no trick: write your guess down and compare it with the table in section 5. A hint: the picture always shows the
# thing, but in a form never seen in training. The word may be one that training knows well (*animal*, *fruit*) or one it has
# never met, and then it says nothing at all.
#
# </details>
#
# ### What the network gets
#
# A picture is a tensor of bytes $(3, 48, 48)$. A text is a row of whole numbers: each word of the *training* texts has one,
# 0 means padding and 1 means a word that training never saw.

# %% tags=["measured"]
print(train)
for row in (0, len(train) // 2):
    word, ids = train.info["text"][row], train.inputs["text"][row].tolist()
    print(f"“{word}” → {ids} → “{emoji.vocabulary.decode(train.inputs['text'][row])}”")
unknown = (test.inputs["text"] == 1).any(1).float().mean()
print(f"The vocabulary has {len(emoji.vocabulary)} numbers. {unknown:.0%} of the test texts hold an unknown word.")

# %% [markdown]
# ## 2 · The model, layer by layer
#
# Fusion in one line: a function of both,
#
# $$z = f(x_\text{image},\, x_\text{text}).$$
#
# The classic answer, and for years the first thing anybody built, encodes each modality by the network of its own field, puts
# the two vectors side by side, and lets dense layers do the rest:
#
# $$h_\text{image} = \operatorname{vec}\,\mathrm{CNN}(x_\text{image}), \qquad h_\text{text} = \mathrm{LSTM}(x_\text{text}), \qquad
# z = [h_\text{image};\, h_\text{text}],$$
#
# $$\hat y = \sigma\big(w^\top \mathrm{relu}(W_2\, \mathrm{relu}(W_1 z + b_1) + b_2) + b\big).$$
#
# $[\,\cdot\,;\cdot\,]$ is concatenation, $\operatorname{vec}$ writes a grid of numbers in one row, $\sigma(a) = 1/(1+e^{-a})$
# turns a number into a probability. The **image encoder** is three times a $3\times 3$ convolution (64, 128, 256 channels),
# ReLU and a $2\times 2$ max-pool. Without padding a convolution takes one pixel from each edge, and a pool halves what is left:

# %%
side, shapes = 48, []
for channels in (64, 128, 256):
    side = side - 2
    shapes.append((f"convolution, {channels}", channels, side))
    side = side // 2
    shapes.append(("max-pool", channels, side))
for layer, channels, size in shapes:
    print(f"{layer:<18} → {channels:>3} × {size:>2} × {size:>2}")
print(f"flattened: {256 * side * side} numbers")

# %% [markdown]
# The same in PyTorch. `nn.LazyLinear` would spare us the arithmetic; doing it once by hand is how you find out where the
# parameters of such a model sit.


# %%
class Classic(nn.Module):
    """Image CNN and text LSTM, concatenation, dense 128 → 64 → 1."""

    def __init__(self, image_size, vocabulary):
        super().__init__()
        layers, width, side = [], 3, image_size
        for channels in (64, 128, 256):
            layers += [nn.Conv2d(width, channels, 3), nn.ReLU(), nn.MaxPool2d(2)]
            width, side = channels, (side - 2) // 2
        self.cnn = nn.Sequential(*layers, nn.Flatten())
        self.embedding = nn.Embedding(vocabulary, 64)
        self.lstm = nn.LSTM(64, 64, batch_first=True)
        self.head = nn.Sequential(
            nn.Linear(256 * side**2 + 64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, image, text):
        h_image = self.cnn(image / 255)  # (B, 256 · side²)
        h_text = self.lstm(self.embedding(text))[0][:, -1]  # (B, 64): the state after the last step
        z = torch.cat([h_image, h_text], dim=1)  # [h_image; h_text]
        return self.head(z).squeeze(1)  # (B,): the logit, σ comes with the loss


# %% [markdown]
# `mmteach.fusion.ClassicFusion` is this model, with names checked and padding handled. If the two are the same, the same
# weights give the same numbers:

# %% tags=["measured"]
ours, library = Classic(48, len(emoji.vocabulary)), ClassicFusion(image_size=48, vocabulary=len(emoji.vocabulary))
library.load_state_dict(dict(zip(library.state_dict(), ours.state_dict().values())))
batch = test[:8]
with torch.no_grad():
    by_hand = ours(batch.inputs["image"], batch.inputs["text"])
    by_library = library(batch.inputs)
largest = (by_hand - by_library).abs().max().item()
claim(
    "fusion.same-model",
    largest,
    at_most=1e-5,
    says="Eight logits of the class above and of ClassicFusion, largest difference",
)

# %% [markdown]
# ### Counting
#
# The model is usually shown with pictures of $224\times 224$ pixels and a vocabulary of 10,000 words. How large is it then?
# On the device `meta` a network has shapes but no numbers, so that it costs nothing to build.


# %% tags=["measured"]
def count(module):
    return sum(p.numel() for p in module.parameters())


with torch.device("meta"):
    sizes = {"48 × 48, our words": ClassicFusion(48, len(emoji.vocabulary)), "224 × 224, 10,000 words": ClassicFusion()}
for name, model in sizes.items():
    first = count(model.head[0])
    print(f"{name:<24} {count(model):>10,} parameters, {first / count(model):.0%} of them in the first dense layer")
claim(
    "fusion.parameters",
    count(sizes["224 × 224, 10,000 words"]) - 256,
    at_least=23_211_649,
    at_most=23_211_649,
    says="Parameters at 224 × 224, less 256 (PyTorch's LSTM keeps two biases where Keras keeps one)",
)

# %% [markdown]
# Nearly everything sits in one matrix, $W_1$, because it meets each of the flattened numbers with 128 weights. That is the
# price of flattening: the layer that fuses is also the layer that must learn that a stripe is a stripe wherever it stands.
# Later encoders average over the places instead, and need a fraction of the weights.
#
# ## 3 · Padding, and what an LSTM forgets
#
# Texts in a batch need one length, so short ones are padded. The classic recipe pads to 100. Our texts have one or two
# words; what happens to them during ninety-eight steps of nothing? An LSTM does not know that padding is nothing. It reads
# the embedding of word 0 again and again, and its state after step $t$,
#
# $$c_t = f_t * c_{t-1} + i_t * g_t, \qquad h_t = o_t * \tanh(c_t),$$
#
# is multiplied by a forget gate $f_t<1$ each time, while the same input adds the same thing. Take two different words and
# watch how far apart their states are after $k$ steps of padding.

# %% tags=["measured"]
seed_everything(seed)
lstm = ClassicFusion(48, len(emoji.vocabulary)).text  # embedding and LSTM, untrained
steps = torch.arange(0, 100)
pairs = torch.randint(2, len(emoji.vocabulary), (200, 2))
with torch.no_grad():
    padded = [torch.nn.functional.pad(pairs[:, [i]], (0, 99)) for i in (0, 1)]  # (200, 100): a word, then zeros
    states = [lstm.tokens(ids)[0] for ids in padded]  # (200, 100, 64): the state after each step
apart = (states[0] - states[1]).norm(dim=-1).mean(0)  # (100,)
print(f"distance of two words' states: {apart[0]:.3f} at once, {apart[90]:.1e} after 90 steps of padding")
claim(
    "fusion.padding-forgets",
    (apart[90] / apart[0]).item(),
    at_most=1e-3,
    says="After 90 padded steps, the share of the difference that is left",
)

# %%
fig, ax = figures.canvas(size=(7.0, 3.2))
ax.semilogy(steps, apart, label="padding is read", color=figures.COLOURS["text"])
ax.axhline(apart[0], label="padding is skipped (mask)", color=figures.COLOURS["image"], ls="--")
ax.set(
    xlabel="steps of padding after the word",
    ylabel="distance between two words' states",
    title="Padding that is read washes the word away",
)
ax.legend()
figures.describe(
    fig,
    "On a logarithmic axis the distance between the states of two different words falls by seven orders of "
    "magnitude within sixty steps of padding, down to the rounding of the numbers; with a mask it stays as it was.",
)

# %% [markdown]
# (The curve ends where the difference is down to the rounding of the numbers.)
#
# A network that trains long enough can learn to keep its forget gate open, but it starts from a text it cannot see. The cure
# costs nothing: tell the LSTM which steps are real. In this library that is `masks={"text": …}`, in Keras `mask_zero=True`; a
# padded step then leaves the state as it was. From here on we pass the mask.
#
# ## 4 · Training
#
# ### The loss
#
# The model says $\hat y = p(\text{nature} \mid x)$. The probability it gives to what is true is $\hat y$ where $y=1$ and
# $1-\hat y$ where $y=0$; both at once is $\hat y^{\,y}(1-\hat y)^{1-y}$. Training makes the data as probable as it can, that is, it
# minimises the mean of the negative logarithm, the **binary cross-entropy**:
#
# $$L = -\frac1N \sum_{n=1}^{N} \big[\, y_n \log \hat y_n + (1-y_n) \log(1-\hat y_n) \,\big].$$
#
# With the logit $a$, where $\hat y = \sigma(a)$, the derivative is as simple as can be, $\partial L/\partial a_n = (\hat y_n - y_n)/N$.
# Computing $\log\sigma(a)$ in one function, rather than $\log$ of a $\sigma$ that has become 0, is what keeps it finite:

# %% tags=["measured"]
a, y = torch.tensor([-200.0, 0.3, 5.0], requires_grad=True), torch.tensor([1.0, 1.0, 0.0])
loss = nn.functional.binary_cross_entropy_with_logits(a, y)
(gradient,) = torch.autograd.grad(loss, a)
print("loss", round(loss.item(), 4), " gradient", [round(g, 4) for g in gradient.tolist()])
print(
    "(ŷ − y)/N   ",
    [round(g, 4) for g in ((a.sigmoid() - y) / 3).tolist()],
    " naive log σ(−200) =",
    torch.tensor(-200.0).sigmoid().log().item(),
)

# %% [markdown]
# ### The measure
#
# Fewer than one example in five is nature. A model that says *no* to everything is right more than four times in five, so
# **accuracy misleads** here. We use the area under the ROC curve, which has a plain meaning: draw one example that is nature and
# one that is not; the area is the probability that the model scores the first one higher. Guessing gives ½ whatever the shares.
#
# ### Three models, one budget
#
# A gain over a weak baseline is worth nothing, so each modality alone gets what the fused model gets: its own encoder in full,
# the same dense layers (128 → 64 → 1), the same ten epochs, the epoch chosen on validation. The settings are the classic
# ones: Adam at its usual rate, batches of 32, ten epochs. (The classic recipe keeps a random 20 % of the training data for
# validation. Ours is a split by concept too, or the chosen epoch would be the best one for concepts already seen.)
#
# One detail decides whether the word is judged fairly. A word that training never saw has the number 1. If no training text
# holds a 1, its embedding stays as it was drawn, at random, and the network says something arbitrary about every unknown word
# of the test. So in training each word becomes unknown one time in ten: the network learns what an unknown word says.


# %%
def alone(modality, encoder):
    head = nn.Sequential(nn.Linear(encoder.dim, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))
    return MultimodalClassifier({modality: encoder}, None, head)


def build(name):
    if name == "image":
        return alone("image", ImageCNN(48))
    if name == "text":
        return alone("text", TextLSTM(len(emoji.vocabulary)))
    return ClassicFusion(image_size=48, vocabulary=len(emoji.vocabulary))


def forget_words(batch):
    text = batch.inputs["text"]
    forgotten = (torch.rand(text.shape, device=text.device) < 0.1) & (text > 1)
    return replace(batch, inputs={**batch.inputs, "text": text.masked_fill(forgotten, 1)})


def area(model, split):
    return {"auc": auc(predict(model, split), split.targets["nature"])}


# %%
sees = {"image": ("image",), "text": ("text",), "both": ("image", "text")}
models, histories = {}, {}
for name, modalities in sees.items():
    seed_everything(seed)
    models[name] = build(name)
    histories[name] = fit(
        models[name],
        train.only(*modalities),
        valid.only(*modalities),
        loss=detect("nature"),
        metric=area,
        monitor="valid_auc",
        higher_is_better=True,
        augment=forget_words if "text" in modalities else None,
        seed=seed,
        **ClassicFusion.TRAINING | {"epochs": pick(smoke=1, laptop=10)},
    )

# %% tags=["measured"]
figures.learning_curves(histories, title="Training and validation loss; the circle is the epoch that validation chose")

# %% [markdown]
# **What to see.** In all three the training loss goes on falling while the validation loss turns up: the networks learn their
# training examples by heart, words even faster than pictures. Yet the epoch that is kept may lie where the validation loss is
# no longer small. The loss punishes confidence in wrong answers, the area looks at the order alone, and the order may still
# improve. That is why we choose the epoch by the figure we care about.
#
# ## 5 · Does it help?

# %% tags=["measured"]
live = {name: area(model, test.only(*sees[name]))["auc"] for name, model in models.items()}
for name, value in live.items():
    print(f"{name:<6} area under the ROC curve {value:.3f} on {len(test)} test examples")
claim(
    "fusion.live-beats-best-single",
    live["both"] - max(live["image"], live["text"]),
    at_least=0.02,
    says="Trained here: picture and word together above the better of the two",
)

# %% [markdown]
# One run is an anecdote. The table below holds the same experiment with all four drawing styles, on several seeds: each
# seed draws other keywords, other first weights and another order of the examples. The dots are seeds, the bars are 95 %
# intervals of the mean.

# %% tags=["measured"]
table, how = stored("classic")
print(how)
figures.compare(
    table,
    "auc",
    label="area under the ROC curve",
    title="The classic model, unseen concepts",
    chance=0.5,
    order=["text", "image", "both"],
)

# %% tags=["measured"]
print(summary(table[["model", "seed", "auc"]]).to_string())
wide = table.pivot(index="seed", columns="model", values="auc")
gain = wide["both"] - wide[["image", "text"]].max(axis=1)
claim(
    "fusion.beats-best-single",
    every=gain,
    at_least=0.05,
    says="Picture and word together above the better of the two, each seed",
)

# %% [markdown]
# **What to take away.** Both together beat the better one on every seed. The comparison is *paired*: what a seed
# does to all models alike (a draw of poor keywords, say) cancels in the difference. Three seeds are few, and the smallest gain
# lies close to the bound: the claim says what was measured and no more.
#
# Why does it help? A picture and a word fail on different examples. Here is how often:

# %% tags=["measured"]
truth = test.targets["nature"].bool()
scores = {name: predict(model, test.only(*sees[name])) for name, model in models.items()}
# Each model gets the threshold that calls as many examples nature as there are, so that none is called right for saying no.
right = {name: (s > s.quantile(1 - share)) == truth for name, s in scores.items()}
for image_right in (True, False):
    for text_right in (True, False):
        where = (right["image"] == image_right) & (right["text"] == text_right)
        print(
            f"picture {'right' if image_right else 'wrong'}, word {'right' if text_right else 'wrong'}: "
            f"{where.float().mean():>4.0%} of the test; both together right on {right['both'][where].float().mean():.0%} of them"
        )

# %% [markdown]
# ## 6 · What it gets wrong
#
# Figures say how often; pictures say what. These are the test examples on which the fused model is most sure and wrong.

# %%
sure = torch.where(right["both"], torch.inf, -(scores["both"] - scores["both"].quantile(1 - share)).abs())
worst = sure.argsort()[:16]
figures.picture_grid(
    test.inputs["image"][worst],
    [f"“{word}”\n{'nature' if y else 'other'}" for word, y in zip(test[worst].info["text"], truth[worst])],
    columns=8, inch=1.12, wrong=[True] * 16,
    title="Most confident mistakes, with their word and what they really are",
    alt="Sixteen test drawings that the fused model gets wrong with the greatest confidence, each with its keyword and its true class.",
)  # fmt: skip

# %% [markdown]
# Look for patterns before you read on. Three are common: a **word that training never had**, so that the picture must decide
# alone; a **word that points elsewhere** (*can*, said of a wastebasket, or *pumpkin*, said of a lantern); and a **border
# that is a convention**: Unicode files kitchen knives and chopsticks under food and drink, and the sun with a face under travel
# and places. Nobody could know that from the drawing.
#
# <details><summary><b>FAQ.</b> Why not simply train longer, or choose the epoch on the test split?</summary>
#
# Longer: look at the curves. More steps make the networks surer of what they have memorised, which the validation loss shows
# at once; try it with `"epochs": 30`. On the test split: then the test would have taken part in training, and the figure would
# promise more than a new example will give.
#
# </details>
#
# ## Quiz
#
# **1. Where do most parameters of the classic model sit at 224 × 224?**
#
# <details><summary>In the convolutions</summary>No. A convolution has 9 weights for each pair of channels, wherever it is applied: fewer than
# 400,000 in all three.</details>
# <details><summary>In the first dense layer</summary>Yes: each of the 173,056 flattened numbers and 64 text numbers meets 128 units.</details>
# <details><summary>In the embedding table</summary>No: 10,000 words of 64 numbers are 640,000.</details>
#
# **2. A one-word text is padded to 100 steps and read without a mask. What does the LSTM's last state hold?**
#
# <details><summary>The word, since padding is zero</summary>No: word 0 has an embedding like any other, and every step passes the
# forget gate.</details>
# <details><summary>Almost nothing of the word</summary>Yes: the difference between two words shrinks by a factor each step (section 3).</details>
# <details><summary>An average of 100 words</summary>No: a recurrent state is no average; late steps count far more.</details>
#
# **3. Suppose that 18 % of the examples are nature. A model says “no” always. Which figure exposes it?**
#
# <details><summary>Accuracy</summary>No: 82 % looks good.</details>
# <details><summary>Area under the ROC curve</summary>Yes: all scores are equal, so a pair is ordered by a coin: ½.</details>
# <details><summary>Training loss</summary>Only if you know the loss of the best constant guess to compare it with.</details>
#
# **4. The image-only model is trained for one epoch and the fused model for ten. Fusion wins by .10. What follows?**
#
# <details><summary>Fusion helps by .10</summary>No: the baseline is undertrained, and most of the gain may be training time.</details>
# <details><summary>Nothing yet</summary>Yes: give both the same budget and the same choice of epoch, then compare over seeds.</details>
#
# **5. Why does the comparison use the same seeds for all three models?**
#
# <details><summary>So that the results are reproducible</summary>That too, but different fixed seeds would be reproducible as well.</details>
# <details><summary>So that differences are paired</summary>Yes: what a seed does to all models alike cancels in the difference.</details>
#
# ## Go further
#
# - Sepp Hochreiter and Jürgen Schmidhuber, 1997, “Long Short-Term Memory”, Neural Computation: why the state has gates.
# - Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner, 1998, “Gradient-Based Learning Applied to Document Recognition”,
#   Proceedings of the IEEE: the convolutional network in full.
# - Cees Snoek, Marcel Worring and Arnold Smeulders, 2005, “Early versus Late Fusion in Semantic Video Analysis”, ACM Multimedia: the
#   question of the rest of this chapter.
# - Tadas Baltrušaitis, Chaitanya Ahuja and Louis-Philippe Morency, 2019, “Multimodal Machine Learning: A Survey and Taxonomy”, IEEE
#   TPAMI: a map of the field.
