# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Cross-modal learning
#
# **You will be able to** derive, write and compare the objectives that bring two modalities into one space, from canonical correlation
# to CLIP and SigLIP; say what temperature, batch size and false negatives do; search pictures by words in ten languages, drawn in a
# style that no training saw; make a model write captions and see where it fails; and teach an ear by an eye.
#
# **You need** chapters 00 to 02, and singular values at the level of a first course in linear algebra.
#
# **Time** 90 minutes to read; about two and a half minutes to run on a laptop with two cores.

# %%
import math

import pandas as pd
import torch
from torch.nn import functional as F

from mmteach import alignment, claim, data, figures, fit, pick, seed_everything, seeds, widgets
from mmteach.alignment import CCA, clip_loss, similarity
from mmteach.data.emoji import STYLES, concepts
from mmteach.diagnosis import close_gap, modality_gap
from mmteach.generation import PixelMLP, PixelRelationNetwork, RelationNetwork, teacher_forcing
from mmteach.metrics import accuracy, paired_difference, recall_at_k
from mmteach.recipes import crossmodal_captions as writing
from mmteach.recipes import crossmodal_distillation as teaching
from mmteach.recipes import crossmodal_glyphs as characters
from mmteach.recipes import crossmodal_relations as asking
from mmteach.recipes import crossmodal_search as emoji
from mmteach.recipes import stored
from mmteach.recipes.background import load
from mmteach.training import classify, predict, summary

figures.use_style()
seed = seeds(1)[0]

# %% [markdown]
# ## 1 · The question, and how an answer is scored
#
# Fusion (chapter 03) has both modalities and wants an answer. Here one modality is asked for *another*: the picture of these words, the
# words of this picture. The plan: two encoders $f$ and $g$, and a space in which $f(x)$ and $g(y)$ are close where $x$ and $y$ belong
# together. Everything in sections 2 to 6 is a way to say “close”.
#
# Our first world is small enough to train in seconds: characters and their Unicode names, which are made of parts. Training has
# many characters in many font faces; the 250 of the test are characters that training never saw, made of words that it did.

# %%
glyphs = characters.small_glyphs()
print(f"{len(glyphs.train):,} pictures of {len(glyphs.train.targets['character'].unique()):,} characters to learn from, "
      f"{len(glyphs.test)} other characters to find")  # fmt: skip
test_pictures = glyphs.test.inputs["image"].view(-1, 1, 16, 16)
figures.picture_grid(
    test_pictures[:16], glyphs.test.info["name"][:16], columns=8, inch=1.1,
    title="Characters that training never shows, with their names",
    alt="Sixteen small pictures of characters, each with its Unicode name below.",
)  # fmt: skip

# %% [markdown]
# Ask with each name and rank all 250 pictures by their score. Let $r_q$ be the place of the right one, 1 for the best:
#
# $$\begin{gathered}\text{recall@}k=\frac1Q\sum_q [r_q\le k],\qquad \text{median rank}=\operatorname{median}_q r_q,\\
# \text{mAP}=\frac1Q\sum_q \frac{1}{|R_q|}\sum_{n\in\text{hits}} \frac{\text{hits up to } n}{\text{rank of } n},\end{gathered}$$
#
# where $R_q$ are the right answers to $q$; with a single one each, its average precision is $1/r_q$. Guessing has recall@$k = k/250$.

# %% tags=["measured"]
scores = torch.randn(250, 250, generator=torch.Generator().manual_seed(seed))  # a model that guesses
place = (scores > scores.diagonal()[:, None]).sum(1) + 1
by_hand = (place <= 10).float().mean().item()
claim("cross-modal.recall", abs(by_hand - recall_at_k(scores, 10)), at_most=1e-6,
      says="Recall at 10, written out here against mmteach.metrics, difference")  # fmt: skip
print(f"guessing: recall@10 {by_hand:.3f}, median rank {place.median().item()}")

# %% [markdown]
# ## 2 · Correlation: the closed form first
#
# **Canonical correlation analysis** (Hotelling 1936) asks for directions $a$ and $b$ along which the two modalities agree most:
#
# $$\max_{a,b}\; \operatorname{corr}(a^\top x, b^\top y)=\max_{a,b}\frac{a^\top S_{xy} b}{\sqrt{a^\top S_{xx}a}\,\sqrt{b^\top S_{yy}b}} .$$
#
# Substitute $u=S_{xx}^{1/2}a$ and $v=S_{yy}^{1/2}b$. The fraction becomes $u^\top T v$ over $\lVert u\rVert\lVert v\rVert$ with
#
# $$T=S_{xx}^{-1/2}\,S_{xy}\,S_{yy}^{-1/2},$$
#
# and that is largest at the first pair of singular vectors of $T$, where it equals the first singular value $\rho_1$. The next pairs follow,
# uncorrelated with the earlier ones. So: **whiten** both (turn and stretch each until its coordinates have variance 1 and no correlation), one SVD, no training.


# %% tags=["measured"]
def inverse_root(S):
    values, vectors = torch.linalg.eigh(S)
    return vectors @ torch.diag(values.rsqrt()) @ vectors.T


def canonical_correlations(x, y, ridge):
    x, y = x - x.mean(0), y - y.mean(0)
    Sxx = x.T @ x / (len(x) - 1) + ridge * torch.eye(x.shape[1])
    Syy = y.T @ y / (len(y) - 1) + ridge * torch.eye(y.shape[1])
    T = inverse_root(Sxx) @ (x.T @ y / (len(x) - 1)) @ inverse_root(Syy)
    return torch.linalg.svdvals(T)


size = len(glyphs.classes["text"])
x = glyphs.train.inputs["image"].double()  # (N, 256) pixels
y = characters.words(glyphs.train, size)[:, 2:].double()  # (N, words) how often each word comes
rho = canonical_correlations(x, y, ridge=1e-4)
cca, image, text = characters.linear_cca(glyphs)
claim("cross-modal.cca", (rho[:64] - cca.correlations).abs().max(), at_most=1e-6,
      says="CCA written out here against mmteach.alignment.CCA, largest difference of 64 correlations")  # fmt: skip

# %% [markdown]
# *Predict.* Linear maps of raw pixels and of word counts, no training. Of 250 unseen characters, for how many names is the right picture
# among the first ten? (Guessing: 4 %.)
#
# <details><summary><b>Guess first.</b> Then run the next cell.</summary>
#
# Most people guess far too low. A rare, strong structure (“capital”, “with acute”, “cyrillic”) is linear enough in centred pixels. Always
# run the closed form first: it costs a second, and it is the ruler for everything that follows.
#
# </details>

# %% tags=["measured"]
linear = characters.ranks(image, text)


def told(scores):
    for way, says in (("t2i", "name finds picture"), ("i2t", "picture finds name")):
        print(f"{says}: " + ", ".join(f"{k[4:]} {v:.3g}" for k, v in scores.items() if k.startswith(way)))


told(linear)
claim("cross-modal.linear-is-strong", linear["t2i R@10"], at_least=0.7,
      says="Recall at 10 of linear CCA, unseen characters, name finds picture")  # fmt: skip

# %% [markdown]
# **The trap.** Fit on $N$ examples with more dimensions than $N$, and the training correlations are all 1: any noise can be matched exactly. A
# ridge $rI$ on $S_{xx}$ and $S_{yy}$ (Vinod 1976) helps, and only held-out correlations tell.

# %% tags=["measured"]
g = torch.Generator().manual_seed(seed)
held = (glyphs.test.inputs["image"].double(), characters.words(glyphs.test, size)[:, 2:].double())
fig, axes = figures.canvas(1, 2, size=(8.6, 3.1), sharey=True)
ends = {}
for ax, N in zip(axes, (200, len(x))):
    rows = torch.randperm(len(x), generator=g)[:N]
    few = CCA(20, ridge=1e-4).fit(x[rows], y[rows])
    ends[N] = (few.score(x[rows], y[rows]), few.score(*held))
    for values, part in zip(ends[N], ("train", "test")):
        ax.plot(
            range(1, 21),
            values,
            marker="o",
            color=figures.COLOURS[part],
            label={"train": "training", "test": "held out"}[part],
        )
    ax.set(title=f"fitted on {N:,} pictures", xlabel="canonical pair", ylim=(-0.3, 1.05), xticks=(1, 5, 10, 15, 20))
axes[0].set_ylabel("correlation")
axes[1].legend(loc="lower right")
figures.describe(fig, f"Correlations of 20 canonical pairs. From 200 pictures: mean {ends[200][0].mean():.2f} in training, "
                 f"{ends[200][1].mean():.2f} held out. From all: {ends[len(x)][0].mean():.2f} and {ends[len(x)][1].mean():.2f}.")  # fmt: skip

# %% tags=["measured"]
lost = {N: (a - b).mean().item() for N, (a, b) in ends.items()}
claim("cross-modal.cca-overfits", lost[200] - lost[len(x)], at_least=0.2,
      says="Fitted on 200 pictures: how much more the mean correlation falls on held-out characters than with all of them")  # fmt: skip

# %% [markdown]
# ### Deep CCA
#
# Replace the linear maps by networks and keep the goal (Andrew et al. 2013): maximise the sum of the canonical correlations of what the
# two networks put out. That sum is the nuclear norm of $T$, the sum of its singular values, and autograd runs through it:
#
# $$L=-\lVert T\rVert_* = -\sum_k \rho_k,\qquad T \text{ from the batch's outputs } f(x), g(y).$$
#
# $T$ is estimated from one batch, so the batch must be several times the width of the outputs: the trap above, inside the loss.


# %% tags=["measured"]
def deep_cca(zx, zy, ridge=1e-3):
    zx, zy = zx - zx.mean(0), zy - zy.mean(0)
    Lx = torch.linalg.cholesky(zx.T @ zx / (len(zx) - 1) + ridge * torch.eye(zx.shape[1]))
    Ly = torch.linalg.cholesky(zy.T @ zy / (len(zy) - 1) + ridge * torch.eye(zy.shape[1]))
    T = torch.linalg.solve_triangular(Lx, zx.T @ zy / (len(zx) - 1), upper=False)  # Cholesky: T up to rotations,
    T = torch.linalg.solve_triangular(Ly, T.T, upper=False).T  # which leave singular values alone
    return -torch.linalg.svdvals(T).sum()


zx, zy = torch.randn(2, 512, 16, generator=g)
same = [(deep_cca(zx, zx + e * zy) - alignment.deep_cca_loss(zx, zx + e * zy)).abs().item() for e in (0.1, 1.0)]
claim("cross-modal.deep-cca", max(same), at_most=1e-3, says="Deep CCA written out here against the library, difference")  # fmt: skip

# %% [markdown]
# ## 3 · No negatives: VICReg and Barlow Twins
#
# Let $z$ and $z'$ be the two outputs for a pair. To make them equal is easy: map everything to one point. Two ways to forbid that
# **collapse** without comparing different examples. VICReg (Bardes et al. 2022) asks each coordinate to vary and no two to say the same:
#
# $$\begin{gathered}L=25\,\underbrace{\text{mean}\,(z-z')^2}_{\text{agree}}+25\sum_{v}\underbrace{\text{mean}_d\,\big[1-\sqrt{\operatorname{Var}v_d+\varepsilon}\big]_+}_{\text{vary}}\\
# +\sum_v\underbrace{\tfrac1D\sum_{d\ne e}\operatorname{Cov}(v)_{de}^2}_{\text{differ}},\qquad v\in\{z,z'\}.\end{gathered}$$
#
# Barlow Twins (Zbontar et al. 2021) asks the cross-correlation matrix $C$ of the two to be the identity:
# $L=\sum_d(1-C_{dd})^2+\lambda\sum_{d\ne e}C_{de}^2$. Compare CCA, which *reaches* a diagonal cross-correlation by construction: these are soft
# versions of the same wish, without matrix roots. (The formula is the paper's; its official code halves the “vary” term.)


# %% tags=["measured"]
def barlow(z, other, redundancy=0.0051):
    z, other = ((v - v.mean(0)) / v.std(0, correction=0) for v in (z, other))
    C = z.T @ other / len(z)
    off = C - torch.diag(C.diagonal())
    return (1 - C.diagonal()).square().sum() + redundancy * off.square().sum()


def vicreg(z, other):
    cost = 25 * (z - other).square().mean()
    for v in (z, other):
        cov = torch.cov(v.T)
        cost = cost + 25 * (1 - (cov.diagonal() + 1e-4).sqrt()).clamp(min=0).mean()
        cost = cost + (cov.square().sum() - cov.diagonal().square().sum()) / v.shape[1]
    return cost


away = [barlow(zx, zy) - alignment.barlow_twins_loss(zx, zy), vicreg(zx, zy) - alignment.vicreg_loss(zx, zy)]
claim("cross-modal.no-negatives", max(abs(d).item() for d in away), at_most=1e-2,
      says="Barlow Twins and VICReg written out here against the library, larger difference")  # fmt: skip

# %% [markdown]
# ## 4 · A margin: triplets, and the hardest negative
#
# Retrieval does not ask for equality but for *order*: the match must beat the mismatches. With cosines $S_{ij}=z_i\cdot z'_j$ and a margin
# $m$ (here 0.2), each mismatch that comes closer than $m$ to the match costs what it lacks (Kiros et al. 2014), in both directions:
#
# $$\begin{aligned}L_{\text{all}}&=\sum_i\sum_{j\ne i}\,[m-S_{ii}+S_{ij}]_+ + [m-S_{ii}+S_{ji}]_+,\\
# L_{\text{hardest}}&=\sum_i \max_{j\ne i}[m-S_{ii}+S_{ij}]_+ + \max_{j\ne i}[m-S_{ii}+S_{ji}]_+ .\end{aligned}$$
#
# VSE++ (Faghri et al. 2018) keeps the hardest one: once most negatives are easy, their sum says little. Below, both are divided by $N$.
#
# *Predict.* From random weights, which one trains? What does the hardest loss cost if all embeddings are one point?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# At one point every $S$ is 1, each hinge costs exactly $m$, and with two directions a pair costs $2m = 0.4$. From random weights each
# anchor's hardest negative is above its match; pushing that one away and pulling the match in mostly moves everything together, and a loss of
# $2m$ is what it finds: a plateau. Summed over all negatives, the noise of single ones averages out.
#
# </details>

# %% tags=["measured"]
margins = {}
for name, warm in (("cold", None), ("warm", characters.vse)):
    lr = characters.OBJECTIVES[f"VSE++, {name}"][1]
    model, loss = characters.align(glyphs, characters.vse_hardest, lr, seed=seed, warm=warm)
    margins[name] = {"loss": loss, **characters.ranks(*characters.embed(model, glyphs.test))}
    print(f"{name}: last loss {loss:.3f} of the plateau's 0.4, recall@10 {margins[name]['t2i R@10']:.3f}")
claim("cross-modal.cold-start", margins["warm"]["t2i R@1"] - margins["cold"]["t2i R@1"], at_least=0.1,
      says="VSE++: recall at 1 after 120 steps with all negatives first, above a cold start")  # fmt: skip

# %% [markdown]
# A loss on its plateau does not mean that nothing was learned: from the cold start all cosines are nearly equal, and their order still finds far more than chance.
# Look at the metric as well as at the loss.
#
# ## 5 · A choice among many: InfoNCE and CLIP
#
# Turn ranking into *classification*: given picture $i$, which of the batch's $N$ texts is its own? With the softmax over the scores
# $S_{ij}=z_i\cdot z'_j/\tau$, the cross-entropy of the right answer is InfoNCE (van den Oord et al. 2018); CLIP (Radford et al. 2021) asks in both
# directions and learns the temperature $\tau$:
#
# $$L=\tfrac12\Big[-\tfrac1N\sum_i\ln\frac{e^{S_{ii}}}{\sum_j e^{S_{ij}}}-\tfrac1N\sum_i\ln\frac{e^{S_{ii}}}{\sum_j e^{S_{ji}}}\Big].$$
#
# Three things follow at once.
#
# - **The reference level.** A model that scores all pairs alike gives each text $1/N$, and the loss is $\ln N$. A loss of 3 is poor for $N=32$
#   ($\ln 32=3.47$) and good for $N=4096$ (8.32): never read it without $N$. It is a reference, no ceiling: who is sure and wrong pays more.
# - **The gradient.** With $p_{ij}$ the softmax, $\partial L_i/\partial (z_i\cdot z'_j)=\tfrac1\tau(p_{ij}-[i=j])$: each mismatch is pushed in proportion to
#   how much it is believed. A low $\tau$ makes it the hardest mismatch alone, a high one all alike.
# - **Information.** On average over batches of independent pairs, $\ln N-L$ is a lower bound of the mutual information of the two modalities; and it cannot exceed $\ln N$.


# %% tags=["measured"]
def contrast(image, text, temperature):
    S = image @ text.T / temperature  # (N, N)
    return -(S.log_softmax(1).diagonal().mean() + S.log_softmax(0).diagonal().mean()) / 2


z, other = F.normalize(torch.randn(2, 64, 32, generator=g), dim=-1)
level = contrast(torch.ones(64, 1), torch.ones(64, 1), 0.07)
claim(
    "cross-modal.ln-n",
    (level - math.log(64)).abs(),
    at_most=1e-4,
    says="Loss of a model that scores all alike, against ln 64",
)
claim("cross-modal.clip", (contrast(z, other, 0.07) - clip_loss(z, other, 1 / 0.07)).abs(), at_most=1e-4,
      says="CLIP's loss written out here against the library, difference")  # fmt: skip
z.requires_grad_(True)
S = z @ other.T
S.retain_grad()
F.cross_entropy(S / 0.07, torch.arange(64), reduction="sum").backward()
p = (S / 0.07).softmax(1)
claim("cross-modal.gradient", (S.grad - (p - torch.eye(64)) / 0.07).abs().max(), at_most=1e-4,
      says="Gradient by autograd against (p − 1[i = j]) / τ, largest difference")  # fmt: skip

# %% [markdown]
# ## 6 · Yes or no: SigLIP
#
# The softmax couples all texts of a batch. SigLIP (Zhai et al. 2023) asks of each of the $N^2$ pairs alone: do you belong together?
#
# $$L=-\frac1N\sum_i\sum_j\ln\sigma\big(y_{ij}(t\,z_i\cdot z'_j+b)\big),\qquad y_{ij}=+1 \text{ if } i=j, \text{ else } -1 .$$
#
# There are $N-1$ no-questions for each yes. At $b=0$ and scores near 0 they cost $(N-1)\ln2$, and the first thing that training does is to push
# everything apart. So $b$ starts at $-10$ (with $t=10$): “no” is the first answer, and only the matches cost.


# %% tags=["measured"]
def sigmoid_loss(image, text, t, b):
    y = 2 * torch.eye(len(image)) - 1
    return -F.logsigmoid(y * (t * image @ text.T + b)).sum(1).mean()


with torch.no_grad():
    apart = (sigmoid_loss(z, other, 10, -10) - alignment.siglip_loss(z, other, 10.0, -10.0)).abs()
    print(
        f"at the start, N = 64: b = 0 costs {sigmoid_loss(z, other, 10, 0):.1f}, b = −10 costs {sigmoid_loss(z, other, 10, -10):.1f}"
    )
claim("cross-modal.siglip", apart, at_most=1e-3, says="SigLIP written out here against the library, difference")

# %% [markdown]
# ## 7 · All of them on equal terms
#
# Same encoders (an MLP of pixels, a bag of words, 64 dimensions), same 76,800 examples seen, each objective with the learning rate that was
# best *for it* on the validation characters. Deep CCA, VICReg and Barlow Twins shape covariances, not cosines: to compare what they put out,
# a CCA is fitted on their training outputs, and its variates, weighted by their correlations, are what is ranked. So is plain CCA, on pixels and words.
#
# *Predict* the order: CCA, deep CCA, Barlow Twins, VICReg, all triplets, VSE++ cold and warm, InfoNCE, SigLIP.
#
# <details><summary><b>Guess first.</b> Then run the next cells.</summary>
#
# Look for two surprises: how well a closed form does among trained networks, and how much one fifth of the steps with another loss is worth to VSE++.
#
# </details>

# %% tags=["measured"]
table, how = stored("objectives")
print(how)
equal = table
figures.compare(equal, "t2i R@1", label="recall@1, name finds picture, among 250 unseen characters",
                title="Nine objectives on equal terms", chance=1 / 250)  # fmt: skip

# %% tags=["measured"]
columns = [f"{way} {m}" for way in ("t2i", "i2t") for m in ("R@1", "R@10", "mAP")]
print(summary(equal[["model", "seed", *columns, "t2i median rank"]]).to_string())
wide = equal.pivot(index="seed", columns="model", values="t2i R@1")
claim("cross-modal.contrast-over-cca", every=wide["InfoNCE"] - wide["CCA"], at_least=0.1,
      says="InfoNCE above linear CCA, recall at 1, each seed")  # fmt: skip
claim("cross-modal.warm-over-cold", every=wide["VSE++, warm"] - wide["VSE++, cold"], at_least=0.2,
      says="VSE++ warmed up above VSE++ from a cold start, recall at 1, each seed")  # fmt: skip
claim("cross-modal.harder-than-all", every=wide["VSE++, warm"] - wide["triplet, all"], at_least=0.05,
      says="VSE++ warmed up above the sum over all negatives, recall at 1, each seed")  # fmt: skip
claim("cross-modal.cca-over-soft", every=wide["CCA"] - wide[["VICReg", "Barlow Twins"]].max(axis=1), at_least=0.1,
      says="Linear CCA above the better of VICReg and Barlow Twins, recall at 1, each seed")  # fmt: skip
lead = paired_difference(wide["InfoNCE"], wide["VSE++, warm"])
print(
    f"InfoNCE above warmed-up VSE++ by {lead.mean:.3f}, 95 % interval {lead.low:.3f} to {lead.high:.3f}, p = {lead.p_value:.2f}"
)

# %% [markdown]
# Now one row of the table live, on this machine:

# %% tags=["measured"]
model, loss = characters.align(glyphs, characters.info_nce_loss, seed=seed)
live = characters.ranks(*characters.embed(model, glyphs.test))
told(live)
print(f"learned temperature {1 / model.scale().item():.3f}")
claim(
    "cross-modal.glyphs-r1",
    live["t2i R@1"],
    at_least=0.5,
    says="InfoNCE, trained here: recall at 1 among 250 unseen characters",
)
claim("cross-modal.glyphs-r10", live["t2i R@10"], at_least=0.85, says="… and recall at 10")

# %% [markdown]
# **What to take away.** Contrast pays most at recall@1, where fine differences decide; the closed form is close at recall@10, and deep CCA does
# not pay for its networks here. InfoNCE and warmed-up VSE++ lead, and the interval above says whether five seeds can tell them apart. SigLIP and the sum over
# all negatives follow. VICReg and Barlow Twins were made for two views of *one* modality, with an
# expander of thousands of dimensions behind the encoder, which they did not get: everyone here ends in 64. All of this is a statement about these
# characters and 76,800 examples.
#
# ## 8 · Temperature, and the gap between the modalities
#
# What one batch looks like to the loss, at three temperatures: the same cosines, other beliefs.

# %%
with torch.no_grad():
    image, text = characters.embed(model, glyphs.test)
figures.show(widgets.similarity_view(image[:20], text[:20], [0.01, 0.07, 0.5], glyphs.test.info["name"][:20]))

# %% [markdown]
# **Try it**: turn the temperature. Where is the loss lowest, and is that where the matches are *ranked* best? (No temperature changes a
# ranking.) How does the loss grow with the number of pairs?

# %%
widgets.similarity_explorer(image[:64], text[:64], glyphs.test.info["name"][:64], temperature=0.1, pairs=20)

# %% [markdown]
# So much for a trained model. *Training* with another temperature is another matter: it decides which mismatches push.
#
# *Predict.* $\tau$ = 0.01, 0.03, 0.1, 0.3, 1, fixed through training. Which is best at retrieval? And where is the **modality gap** of chapter 02,
# $\Delta=\text{mean}\,z_i-\text{mean}\,z'_i$, smallest?
#
# <details><summary><b>Guess first.</b> Then run the next cell.</summary>
#
# At 1 the scores lie between −1 and 1, so the softmax cannot be sure of anything however good the embeddings are: nearly all mismatches push
# alike, and order is not asked for. At .01 a few hard mismatches do all the pushing. Once each match beats its own batch by a few hundredths
# of a cosine, the loss is content, wherever the two clouds lie: the gap stays open. (So the smallest gap belongs to the worst ranking.)
#
# </details>

# %% tags=["measured"]
table, how = stored("temperatures")
print(how)
by_temperature = {t: table[table.model == f"{t:g}"] for t in characters.TEMPERATURES}
fig, axes = figures.canvas(1, 2, size=(8.8, 3.1))
for ax, (column, label, title, colour) in zip(axes, (
    ("t2i R@1", "recall@1", "A middle temperature ranks best", figures.COLOURS["text"]),
    ("gap", "modality gap ‖Δ‖", "The colder, the wider the gap", figures.COLOURS["both"]),
)):  # fmt: skip
    rows = [by_temperature[t][column] for t in characters.TEMPERATURES]
    ax.semilogx(characters.TEMPERATURES, [r.mean() for r in rows], marker="o", color=colour)
    ax.fill_between(characters.TEMPERATURES, [r.min() for r in rows], [r.max() for r in rows], color=colour, alpha=0.2)  # fmt: skip
    ax.set(xlabel="temperature τ in training (fixed)", ylabel=label, title=title, ylim=(0, None))
best = max(characters.TEMPERATURES, key=lambda t: by_temperature[t]["t2i R@1"].mean())
learned = table[table.model == "learned"]
print(f"best fixed temperature {best:g}: recall@1 {by_temperature[best]['t2i R@1'].mean():.3f}; learned, it ends at "
      f"{learned['temperature'].mean():.3f}: recall@1 {learned['t2i R@1'].mean():.3f}")  # fmt: skip
figures.describe(fig, "Recall at 1 and modality gap against the training temperature, bands from the lowest to the highest seed: " + "; ".join(
    f"at {t:g} recall {r['t2i R@1'].mean():.2f}, gap {r['gap'].mean():.2f}" for t, r in by_temperature.items()))  # fmt: skip

# %% tags=["measured"]
at = {t: rows.set_index("seed") for t, rows in by_temperature.items()}
claim("cross-modal.temperature", every=at[0.1]["t2i R@1"] - at[1.0]["t2i R@1"], at_least=0.2,
      says="Recall at 1 with τ = 0.1 above τ = 1, each seed")  # fmt: skip
claim("cross-modal.too-cold", every=at[0.1]["t2i R@1"] - at[0.01]["t2i R@1"], at_least=0.08,
      says="Recall at 1 with τ = 0.1 above τ = 0.01, each seed")  # fmt: skip
claim("cross-modal.learned-temperature", every=at[0.1]["t2i R@1"] - learned.set_index("seed")["t2i R@1"], at_least=0,
      says="Recall at 1 with τ = 0.1 above a learned τ, each seed")  # fmt: skip
claim("cross-modal.gap-by-temperature", every=at[0.01]["gap"] - at[0.1]["gap"], at_least=0.5,
      says="The gap with τ = 0.01 above that with τ = 0.1, each seed")  # fmt: skip

# %% [markdown]
# A learned temperature is a convenience, not an optimum: $\tau$ follows the *training* loss, and a model that ranks its training batches well lowers
# that loss by being surer of it. It sinks below what finds most unseen characters. Nobody has to search for it, though, and it loses little.

# %% [markdown]
# ### What closes the gap, and does it help?
#
# Three suspects: training itself, the temperature, and moving the clouds together afterwards (Liang et al. 2022): $z_i-\tfrac\lambda2\Delta$,
# $z'_j+\tfrac\lambda2\Delta$, back to the sphere.

# %% tags=["measured"]
seed_everything(seed)
with torch.no_grad():
    untrained = modality_gap(*characters.embed(characters.glyph_model(glyphs), glyphs.test)).norm().item()
print(f"gap before training {untrained:.2f}; after {modality_gap(image, text).norm():.2f}")
moved = {}
for share in (0.0, 0.5, 1.0):
    near = close_gap(image, text, share)
    moved[share] = (modality_gap(*near).norm().item(), recall_at_k(similarity(near[1], near[0]), 1))
    print(f"moved by {share:.0%}: gap {moved[share][0]:.3f}, recall@1 {moved[share][1]:.3f}")
claim("cross-modal.moving-buys-nothing", abs(moved[1.0][1] - moved[0.0][1]), at_most=0.05,
      says="Recall at 1 gained or lost by moving the centres together")  # fmt: skip

# %% [markdown]
# **What to take away.** Training and its temperature decide how large the gap is: a low one leaves it wide open. Moving the centres afterwards closes it
# and hardly changes a ranking. Shift all *pictures* by one vector $v$, and each score of a text $z'$ grows by the same $z'\cdot v$: the order of the
# pictures stays. What may change it is the shift of the texts, which adds $z_i\cdot v$, another number for each picture, and the way back to the
# sphere: both are small where the gap is. A gap is a fact about a space, not a fault to mend for its own sake.
#
# ## 9 · Batch size and ln N
#
# A larger batch asks a harder question. *Predict*: at the same number of *steps*, which batch wins? At the same number of *examples seen*?
#
# <details><summary><b>Guess first.</b> Then run the next cell.</summary>
#
# At equal steps the larger batch sees more examples *and* more negatives: no fair contest. At equal examples it takes fewer steps. Papers that
# praise large batches usually keep the examples or the epochs equal and have millions of them.
#
# </details>

# %% tags=["measured"]
table, how = stored("batches")
print(how)
fig, axes = figures.canvas(1, 2, size=(8.8, 3.2))
for same, marker in (("examples", "o"), ("steps", "s")):
    rows = [table[table.model == f"{n}, same {same}"] for n in characters.BATCHES]
    axes[0].semilogx(characters.BATCHES, [r["t2i R@1"].mean() for r in rows], marker=marker, label=f"same {same}")
    axes[1].semilogx(characters.BATCHES, [r["loss"].mean() for r in rows], marker=marker, label=f"same {same}")
axes[1].semilogx(
    characters.BATCHES,
    [math.log(n) for n in characters.BATCHES],
    ls="--",
    color=figures.COLOURS["chance"],
    label="ln N",
)
axes[0].set(ylabel="recall@1, unseen characters", title="What it buys", ylim=(0, None))
axes[1].set(ylabel="last training loss (nats)", title="The loss means nothing without ln N")
for ax in axes:
    ax.set_xticks(characters.BATCHES, [str(n) for n in characters.BATCHES])
    ax.minorticks_off()
    ax.set(xlabel="batch size N")
axes[1].legend()
figures.describe(fig, "Recall at 1 and training loss against batch size: at equal examples " + ", ".join(
    f"N = {n}: recall {table[table.model == f'{n}, same examples']['t2i R@1'].mean():.2f}" for n in characters.BATCHES)
    + "; at equal examples the loss rises with N, far below the dashed line ln N.")  # fmt: skip

# %% tags=["measured"]
size_of = {n: table[table.model == f"{n}, same examples"].set_index("seed") for n in characters.BATCHES}
steps_of = {n: table[table.model == f"{n}, same steps"].set_index("seed") for n in characters.BATCHES}
claim("cross-modal.more-at-equal-steps", every=steps_of[256]["t2i R@1"] - steps_of[16]["t2i R@1"], at_least=0.2,
      says="At 600 steps: a batch of 256 above a batch of 16, recall at 1, each seed")  # fmt: skip
claim("cross-modal.few-negatives", every=size_of[64]["t2i R@1"] - size_of[16]["t2i R@1"], at_least=0.03,
      says="At equal examples: a batch of 64 above a batch of 16, recall at 1, each seed")  # fmt: skip
claim("cross-modal.loss-grows", every=size_of[256]["loss"] - size_of[16]["loss"], at_least=0.2,
      says="At equal examples: the training loss of N = 256 above that of N = 16, each seed")  # fmt: skip
for n, rows in size_of.items():
    print(f"N = {n}: {math.log(n) - rows['loss'].mean():.2f} of at most ln N = {math.log(n):.2f} nats, "
          f"recall@1 {rows['t2i R@1'].mean():.3f}")  # fmt: skip

# %% [markdown]
# **What to take away.** At equal steps size wins, and it should: it has seen sixteen times as much. At equal examples, 64 beats 16, for 15 mismatches are soon
# beaten, but 256 does not beat 64: what its negatives add, its four times fewer steps seem to take away (one learning rate served all sizes). And the best
# model of the right panel is not the one with the lowest loss.
#
# ## 10 · False negatives
#
# A batch may hold one thing twice: two fonts of one character, two captions of one picture. The loss then pushes apart what belongs together.
# With $c$ copies the best that the softmax can do is $1/c$ each, so InfoNCE cannot fall below about $\ln c$. For a hinge on the hardest negative
# the copy *is* the hardest: the two texts are the same, so $S_{ij}=S_{ii}$ and $[m-S_{ii}+S_{ij}]_+=m$ whatever the model does. No picture with a copy
# ever stops hurting.
#
# *Predict.* 200 characters only, in batches of 512, so that nearly every character comes several times. Which objective suffers more?
#
# <details><summary><b>Guess first.</b> Then run the next cell.</summary>
#
# InfoNCE's copies have the same text, so they share their probability evenly and the pushes among them cancel: the loss is high, the
# gradient is fine. The maximum of a hinge has no such balance.
#
# </details>

# %% tags=["measured"]
copies, how = stored("copies")
print(how)
print(summary(copies[["model", "seed", "loss", "t2i R@1", "i2t R@1", "i2t R@10"]]).to_string())
figures.compare(copies, "i2t R@1", label="recall@1, picture finds name, unseen characters", order=list(characters.TREATMENTS),
                title="Copies in the batch: as negatives, left out, as matches")  # fmt: skip

# %% tags=["measured"]
by_treatment = {name: rows.set_index("seed") for name, rows in copies.groupby("model")}
floor = [by_treatment["InfoNCE, push"]["loss"], by_treatment["InfoNCE, ignore"]["loss"]]
claim("cross-modal.copies-raise-the-loss", every=floor[0] - floor[1], at_least=0.5,
      says="InfoNCE: loss with copies as negatives above loss without, each seed")  # fmt: skip
claim("cross-modal.copies-stall-the-hardest", every=by_treatment["VSE++, push"]["loss"], at_least=0.3,
      says="VSE++ with copies: last loss, of the 0.4 of a collapsed model, each seed")  # fmt: skip
claim("cross-modal.copies-hurt-the-hardest", every=by_treatment["VSE++, ignore"]["i2t R@1"] - by_treatment["VSE++, push"]["i2t R@1"],
      at_least=0.0, says="VSE++, picture finds name: copies left out above copies pushed, each seed")  # fmt: skip

# %% [markdown]
# **What to take away.** InfoNCE bears copies of the *same* text well: pushed, left out or pulled, it finds unseen characters about equally often,
# and only its loss cannot be compared any more. Leaving copies out even loses a little when a name looks for its picture: fewer negatives. The hardest-negative loss stays
# near the level of a collapsed model and says nothing about progress, and when a picture looks for its name it finds fewer: a reason to leave
# copies out (`same_item` finds them, `ignore=`, `targets=` and `present=` take them). Where copies have *different* texts, as emoji that
# share keywords have, no loss sees the problem, and only data can solve it.
#
# ## 11 · Pictures found by words, in ten languages
#
# Now a task with all the trouble of the real one: 1,587 emoji in four drawing styles, with names in ten languages and keywords in two. One
# space for all of it. Of each concept, a step takes two drawings in different styles, $x_1$ and $x_2$, and two texts, $y_1$ in English, $y_2$ in another
# language. With $L(a,b)$ the CLIP loss and $n_j$ the English names of all training concepts,
#
# $$L=\tfrac12\big[L(x_1,y_1)+L(x_2,y_2)\big]+\tfrac12 L(x_1,x_2)+\tfrac12\,\text{mean}_i\Big[-\ln\frac{e^{x_i\cdot n_i/\tau}}{\sum_j e^{x_i\cdot n_j/\tau}}\Big].$$
#
# No language ever meets another; they meet in the pictures. The second term pulls styles together. The third asks each drawing for its name among
# *all* names, not those of a batch: the text encoder is cheap, and the hardest mismatch is seldom among 127. Five details matter:
#
# - pictures are **cropped** to the drawing, and the encoder keeps its tokens in their **places**: an average of the same tokens learned several times more slowly;
# - a text is a bag of words *and* runs of three letters, so that a new word shares pieces with known ones;
# - three pieces in ten are **forgotten**, or the embedding of the unknown piece would stay random;
# - the embeddings start **small**, or an average of thirty hardly moves in a few hundred steps;
# - drawings are turned, moved and **recoloured** a little, so that no style's palette can be learned by heart.

# %%
train_styles = [style for style in STYLES if style != "fluent"]
views, pieces = emoji.emoji_views(train_styles)
print(f"{len(views):,} concepts × {len(train_styles)} styles, {len(pieces):,} pieces; fluent is held out")
print(pieces.split("red apple"), pieces.split("红苹果"))
seed_everything(seed)
step = emoji.two_views(views[torch.randperm(len(views))[:8]])
figures.picture_grid(step.inputs["image"], columns=8, inch=1.0, title="What one step sees: two drawings of each of eight concepts",
                     alt="Two rows of eight emoji; each column shows one thing in two drawing styles, slightly turned and recoloured.")  # fmt: skip

# %%
finder = emoji.train_search(views, pieces, seed, steps=pick(smoke=2, laptop=450, gpu=3000))


# %% [markdown]
# Three tests, from easy to hard: known concepts in a **style** that training never saw; **unseen concepts**, by whole families; and unseen
# concepts named in other languages.


# %% tags=["measured"]
def galleries(style, numbers):
    pictures = emoji.cropped(style)[numbers]
    return emoji.look_at(finder, pictures), pictures


seen, unseen = emoji.numbers_in("train", "valid"), emoji.numbers_in("test")
fluent, fluent_pictures = galleries("fluent", seen)
in_english = emoji.read(finder, pieces, [concepts()[i].names["en"] for i in seen])
figures_of = {"unseen style": characters.ranks(fluent, in_english)}
new, new_pictures = galleries("twemoji", unseen)
for kind, text in (("unseen concepts, by name", 0), ("unseen concepts, name and keywords", 1)):
    figures_of[kind] = characters.ranks(new, emoji.read(finder, pieces, [emoji.called(i)[text] for i in unseen]))
for kind, r in figures_of.items():
    print(f"{kind:<37}" + ", ".join(f"{m} {r[m]:.3f}" for m in ("t2i R@1", "t2i R@5", "t2i R@10", "i2t R@10", "t2i mAP"))
          + f", median rank {r['t2i median rank']:.0f} of {len(seen) if 'style' in kind else len(unseen)}")  # fmt: skip
claim("cross-modal.new-style", figures_of["unseen style"]["t2i R@10"], at_least=0.4,
      says="A short training: recall at 10 in an unseen style among 1,270")  # fmt: skip

# %% [markdown]
# That was about half of the training. The whole of it, over seeds, with either of two styles held out: fluent is drawn in colour and light,
# openmoji in black outlines.

# %% tags=["measured"]
found, how = stored("search")
outlines, how_outlines = stored("search-outlines")
print(how, how_outlines, sep="\n")
held_out = {"fluent held out": found, "openmoji held out": outlines}
styles = pd.concat([t[t.model == "unseen style, en"].assign(model=name) for name, t in held_out.items()])
columns = [f"{way} {m}" for way in ("t2i", "i2t") for m in ("R@1", "R@5", "R@10", "median rank", "mAP")]
print(summary(styles[["model", "seed", *columns]]).T.to_string())

# %% tags=["measured"]
languages = found[found.model.str.startswith("unseen concepts")]
languages = languages.assign(model=languages.model.str.removeprefix("unseen concepts, "))
figures.compare(languages, "t2i R@10", label="recall@10 among 317 unseen concepts, name finds picture", chance=10 / 317,
                order=list(emoji.TEXTS), title="Unseen concepts in ten languages")  # fmt: skip

# %% tags=["measured"]
by_kind = found.pivot(index="model", columns="seed", values="t2i R@10")
claim("cross-modal.unseen-style", every=by_kind.loc["unseen style, en"], at_least=0.7,
      says="Recall at 10, fluent held out, among 1,270, each seed")  # fmt: skip
claim("cross-modal.unseen-outlines", every=outlines.pivot(index="model", columns="seed", values="t2i R@10").loc["unseen style, en"],
      at_least=0.4, says="Recall at 10, openmoji held out, among 1,270, each seed")  # fmt: skip
claim("cross-modal.unseen-concepts", every=by_kind.loc["unseen concepts, en"] / (10 / 317), at_least=6,
      says="Unseen concepts by English name: recall at 10 in multiples of chance, each seed")  # fmt: skip
claim("cross-modal.chinese", every=by_kind.loc["unseen concepts, zh"] / (10 / 317), at_least=5,
      says="Unseen concepts by Chinese name: recall at 10 in multiples of chance, each seed")  # fmt: skip

# %% [markdown]
# **Try it**: type in any of the ten languages. What does it do with a word that it cannot know, like a misspelt one? With two wishes at
# once? With a feeling? (English and Chinese came with keywords, the others with names alone: no German emoji is *called* “Tier”, animal,
# so that word is nothing to this model but its runs of three letters.)

# %%
called_so = [concepts()[i].names["en"] for i in seen]


def reader(texts):
    met = (pieces.encode(texts)[0] > 1).any(1, keepdim=True)  # 0 is padding, 1 a piece that training never had
    return emoji.read(finder, pieces, texts) * met


shelves = {"fluent (never seen)": (fluent, fluent_pictures), "noto (seen in training)": galleries("noto", seen)}
widgets.search_explorer(reader, shelves, called_so, "red fruit")

# %%
wishes = ["red fruit", "乐器", "trauriges Gesicht", "cœur bleu"]
print("\n".join(f"[{number}] {wish}" for number, wish in enumerate(wishes, 1)))
widgets.search_view(wishes, reader, fluent, fluent_pictures, called_so, k=7)

# %% [markdown]
# Rows 1, 3 and 4 find a colour, faces and hearts: words that many names are made of. The finer word is not always heard: of the faces
# few are *traurig* (sad). *Kinds* (fruit, 乐器: musical instruments) hardly: such a word comes only among the keywords, and in a bag of some
# thirty pieces each weighs little. And 1,270 concepts are few to learn from what a fruit is.
#
# ### Zero-shot: classes by name alone
#
# A class is a text like any other. For each of the eight groups, the class embedding is the mean of what its *training* concepts are
# called; a new picture belongs to the nearest. No picture of it, and no classifier, was ever trained.

# %% tags=["measured"]
groups = sorted({one.group for one in concepts()})
of = {
    part: torch.tensor([groups.index(concepts()[i].group) for i in some])
    for part, some in (("seen", seen), ("new", unseen))
}
prototypes = alignment.class_embeddings(in_english, of["seen"], len(groups))
p = alignment.zero_shot(new, prototypes)
right = (p.argmax(1) == of["new"]).float().mean().item()
most = of["new"].bincount().max().item() / len(unseen)
print(f"{len(groups)} groups, unseen concepts: {right:.3f} right; always the largest group: {most:.3f}")
claim(
    "cross-modal.zero-shot",
    right - most,
    at_least=0.1,
    says="Zero-shot groups of unseen concepts above always the largest group",
)

# %% [markdown]
# **What to take away.** A new style costs little, a new concept much: there the model must have learned what *kinds* of words go with what
# kinds of shapes, from 1,270 examples; CLIP had 400 million pairs. The two are different skills: to ask for each name among *all* names made a new style much
# easier on validation, and new concepts not at all. Measure both, and hold concepts out by family, or a man who runs in training answers for the
# woman who runs in the test.

# %% [markdown]
# ## 12 · Writing: captions
#
# Retrieval can only answer with what is in the gallery. A captioner *writes*: it factorises the probability of a sentence, and each word is
# a classification given the picture and the words before,
#
# $$p(w_1\dots w_T\,|\,x)=\prod_t p(w_t\,|\,w_{<t},x),\qquad L=-\frac1T\sum_t\ln p(w_t\,|\,w_{<t},x).$$
#
# **Teacher forcing**: in training $w_{<t}$ are the *right* words, whatever the model would have said; all places are learned at once. In use it
# reads its own words. **Greedy** decoding takes the likeliest word each time; **beam search** keeps the $B$ likeliest beginnings. Scores:
# **exact match**, and **BLEU** (Papineni et al. 2002), with $p_n$ the share of the $n$-grams said that are in the reference:
#
# $$\text{BLEU}=\min\!\big(1, e^{1-\text{reference length}/\text{length}}\big)\cdot\big(p_1p_2p_3p_4\big)^{1/4}.$$

# %%
shapes = data.load_shapes(held_out=True)
vocabulary = shapes.classes["word"]
train_shapes, test_shapes = writing.with_places(shapes.train), writing.with_places(shapes.test)
figures.picture_grid(shapes.train.inputs["image"][:6], shapes.train.info["caption"][:6], columns=6, inch=1.4,
                     title="Two shapes, the larger one first; six pairs such as “red circle” never come in training",
                     alt="Six pictures of a large and a small coloured shape with captions.")  # fmt: skip

# %% [markdown]
# The loss, and a greedy writer, in full. The captioner's logits at place $t$ say what it expects after the words before; after the last word comes the *end*.


# %%
def caption_loss(logits, words):  # (B, T + 1, V + 1), (B, T) padded with 0
    target = F.pad(words, (0, 1))
    target[torch.arange(len(words)), (words != 0).sum(1)] = logits.shape[-1] - 1  # the end
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=0)


@torch.no_grad()
def write(model, picture):
    memory, _ = model.look({"image": picture[None]})
    words = [model.decoder.start]
    while len(words) <= 12:
        after = model.decoder(torch.tensor([words]), memory)[0, -1]
        best = after[1:].argmax().item() + 1  # 0 is padding, no word
        if best == model.decoder.end:
            break
        words.append(best)
    return " ".join(vocabulary[i] for i in words[1:])


# %% tags=["measured"]
seed_everything(seed)
captioner = writing.shape_captioner(len(vocabulary))
some = train_shapes[:64]
logits = captioner(some.inputs, some.targets["caption"])
claim("cross-modal.teacher-forcing", (caption_loss(logits, some.targets["caption"]) - teacher_forcing()(captioner, some)).abs(),
      at_most=1e-5, says="Teacher forcing written out here against the library, difference")  # fmt: skip

# %% tags=["measured"]
writing.train_captioner(captioner, train_shapes, seed, steps=pick(smoke=3, laptop=700))
ours = [write(captioner, picture) for picture in test_shapes.inputs["image"][:20]]
claim("cross-modal.greedy", writing.exact(ours, writing.written(captioner, test_shapes[:20], vocabulary)), at_least=1,
      says="Captions on which the writer above and the library's agree, share")  # fmt: skip

# %% tags=["measured"]
said = writing.written(captioner, test_shapes[:6], vocabulary)
figures.picture_grid(
    shapes.test.inputs["image"][:6], said, columns=6, inch=1.4, title="After a short training, on pairs never seen together (orange: wrong)",
    wrong=[a != b for a, b in zip(said, shapes.test.info["caption"])], alt="Six test pictures with the captions a model wrote: " + "; ".join(said),
)  # fmt: skip

# %% [markdown]
# Every sentence is well formed: grammar is easy, and no sign that the content is right. The full training, over seeds: scenes drawn as in training;
# scenes with pairs held out; and names of unseen characters.
#
# *Predict*: training holds “red square” and “blue circle” in plenty. How often does “red circle” come out right?
#
# <details><summary><b>Guess first.</b> Then run the next cells.</summary>
#
# Look at colour, shape and both apart, and ask which of the two words comes first in the caption.
#
# </details>

# %% tags=["measured"]
writers, how = stored("captions")
print(how)
columns = ["exact, greedy", "exact, beam", "BLEU, greedy", "BLEU, beam"]
print(summary(writers[["model", "seed", *columns]]).to_string())
apart = writers[writers.model == "two shapes, pairs held out"]
print(summary(apart[["model", "seed", "colour", "shape", "both"]]).to_string())

# %% tags=["measured"]
fig, ax = figures.canvas(size=(6.6, 2.6))
parts = {"colour right": "colour", "shape right": "shape", "both right": "both"}
ax.barh(list(parts), [apart[c].mean() for c in parts.values()], color=figures.PALETTE[:3])
for row, column in enumerate(parts.values()):
    ax.plot(apart[column], [row] * len(apart), "o", color="#22272E", ms=4)
ax.invert_yaxis()
ax.set(xlabel="share of the unseen pairs", xlim=(0, 1.02), title="Each word is seen, their combination is not")
figures.describe(fig, f"Of colour–shape pairs never seen together: colour right {apart['colour'].mean():.2f}, shape right "
                 f"{apart['shape'].mean():.2f}, both right {apart['both'].mean():.2f}; a dot a seed.")  # fmt: skip

# %% tags=["measured"]
alike, names = (writers[writers.model == m].set_index("seed") for m in ("two shapes", "names of unseen characters"))
claim(
    "cross-modal.captions",
    every=alike["exact, greedy"],
    at_least=0.95,
    says="Two shapes as in training: exact match, each seed",
)
claim("cross-modal.composition", every=alike["exact, greedy"] - apart.set_index("seed")["exact, greedy"], at_least=0.5,
      says="Exact match lost where a pair is new, each seed")  # fmt: skip
claim("cross-modal.beam-buys-little", every=(alike["exact, beam"] - alike["exact, greedy"]).abs(), at_most=0.03,
      says="Exact match, two shapes: what a beam of 4 changes, each seed")  # fmt: skip
print(
    f"names of unseen characters: exact match {names['exact, greedy'].mean():.3f}, BLEU {names['BLEU, greedy'].mean():.0f}"
)

# %% [markdown]
# **The compositional failure.** Every word needed is known, the picture shows both properties, and still the pair comes out wrong. Lake and Baroni (2018)
# found the same in sequence models. Is it the eye that cannot see a red circle, or the tongue that cannot say it? Teacher forcing can ask: put *another* colour
# into the model's mouth, one that it has met with this shape, and let it say the next word about the same picture.

# %% tags=["measured"]
asked = test_shapes[test_shapes.targets["unseen"][:, 0]]  # pictures whose larger shape is a new pair
right_words = asked.targets["caption"]  # a, colour, shape, …
colour = torch.tensor([vocabulary.index(c) for c in data.shapes.COLOURS])
which = (right_words[:, 1:2] == colour).int().argmax(1)
other_words = right_words.clone()
other_words[:, 1] = colour[(which + 1) % 6]  # the next colour: its held-out shape is another
with torch.no_grad():
    said_shape = {
        "its own colour": captioner(asked.inputs, right_words)[:, 2].argmax(-1),
        "another colour": captioner(asked.inputs, other_words)[:, 2].argmax(-1),
    }
shape_right = {before: (said == right_words[:, 2]).float().mean().item() for before, said in said_shape.items()}
print("; ".join(f"after the word for {before}: shape right {share:.3f}" for before, share in shape_right.items()))
claim("cross-modal.eye-or-tongue", shape_right["another colour"] - shape_right["its own colour"], at_least=0.25,
      says="New pairs: the shape is named better after a wrong colour than after the right one, by")  # fmt: skip

# %% [markdown]
# The eye sees the shape: after a *wrong* colour the model names it, after the right one it does not. In training no circle ever followed “red”, and the decoder
# learned that, as a language model does, and believes it more than its eyes. That is why the colours in the figure are right and the shapes
# wrong: the colour is said first.
#
# **What to take away.** More of the same data does not cure it: what would help is data in which all pairs come, or an architecture in which colour and shape cannot
# see each other. Names of unseen *characters* fail in a milder way: many of their words are right, as BLEU says, and seldom all of them. And
# beam search finds a *likelier* sentence, which is no better where the model is sure of the wrong thing, and the same where it is sure of the right one.
#
# What it took to get there is worth knowing: with tokens and words of their usual sizes, the same network was far from it after as many steps. What the
# decoder looks at is *added* to the words: give it unit size (a layer normalisation), let the words begin small, and make the background zero.
#
# ## 13 · Questions about a scene: relations
#
# Sort-of-CLEVR (Santoro et al. 2017): six objects, and questions. Some need one object (“what shape is the red object?”), some a
# comparison of all (“what shape is the object closest to the red one?”). A **relation network** applies one small network $g$ to every
# *pair* of objects with the question, and $f$ to their (here softmax-weighted) sum:
#
# $$\text{answer}=f\Big(\sum_{i,j} a_{ij}\, g(o_i,o_j,q)\Big).$$
#
# Its rival of the same number of parameters reads all objects laid end to end. The paper's networks see pixels: the relation network was right on more
# than 94 % of both kinds of question, a CNN with an MLP on 63 % of the relational ones. From descriptions of the objects the finding can be had
# on a CPU.


# %% tags=["measured"]
def relate(network, objects, question):  # (B, N, 10), (B, 11)
    n = objects.shape[1]
    one, other = (objects.unsqueeze(d).expand(-1, n, n, -1) for d in (2, 1))
    asked = question[:, None, None].expand(-1, n, n, -1)
    pairs = network.g(torch.cat([one, other, asked], -1)).flatten(1, 2)  # (B, N · N, hidden)
    return network.f((network.score(pairs).softmax(1) * pairs).sum(1))


network, objects, question = RelationNetwork(10, 11, 10, pool="softmax"), torch.randn(4, 6, 10), torch.randn(4, 11)
with torch.no_grad():
    away = (relate(network, objects, question) - network({"state": objects, "question": question})).abs().max()
    order = (relate(network, objects, question) - relate(network, objects.flip(1), question)).abs().max()
claim(
    "cross-modal.relate",
    away,
    at_most=1e-5,
    says="The relation network written out here against the library's, largest difference",
)
claim("cross-modal.any-order", order, at_most=1e-5, says="… and against itself with the objects in another order")

# %% [markdown]
# *Predict*: the relation network and an MLP of as many parameters, both well trained. What does the MLP score on each kind of question?
#
# <details><summary><b>Guess first.</b> Then run the next cell.</summary>
#
# Questions about one object need a look-up, which an MLP can do. For a relational one it would have to learn the comparison anew for each of the 30 ordered
# pairs of places in its input: nothing says that they are all the same comparison.
#
# </details>

# %% tags=["measured"]
relations, how = stored("relations")
print(how)
print(summary(relations[["model", "seed", "relational", "other"]]).to_string())
fig, ax = figures.canvas(size=(6.8, 2.8))
for offset, (kind, colour) in zip((-0.18, 0.18), (("other", figures.PALETTE[5]), ("relational", figures.PALETTE[3]))):
    for row, (_, rows) in enumerate(relations.groupby("model", sort=False)):
        ax.barh(
            row + offset, rows[kind].mean(), height=0.34, color=colour, label=f"{kind} questions" if not row else None
        )
        ax.plot(rows[kind], [row + offset] * len(rows), "o", color="#22272E", ms=4)
ax.set_yticks(range(2), relations.model.unique())
ax.set(xlabel="share of right answers", xlim=(0, 1.02), title="Same parameters: only pairs make relations easy")
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
figures.describe(fig, "Right answers of a relation network and an MLP: " + "; ".join(
    f"{n}: relational {r['relational'].mean():.2f}, other {r['other'].mean():.2f}" for n, r in relations.groupby("model")))  # fmt: skip

# %% tags=["measured"]
answers = relations.pivot(index="seed", columns="model", values="relational")
claim("cross-modal.relations", every=answers["relation network"] - answers["MLP"], at_least=0.15,
      says="Relational questions: relation network above the MLP, each seed")  # fmt: skip

# %% [markdown]
# A short training live, of the relation network alone, on a third of the scenes. Which questions does it answer first? (A guess is right on about half of the
# questions with two answers: all but “how many”.) Run it with another seed (`MMTEACH_SEED`) before you believe an order.

# %% tags=["measured"]
scenes = data.load_scenes(*pick(smoke=(60, 20, 20), laptop=(3000, 100, 500)))
train, test = asking.spread(scenes.train), asking.spread(scenes.test)
seed_everything(seed)
network = RelationNetwork(10, 11, 10, g_layers=4, pool="softmax")
fit(network, train, loss=classify("answer"), steps=pick(smoke=3, laptop=1500), batch_size=128, lr=2e-3, schedule="cosine",
    warmup=0.05, seed=seed)  # fmt: skip
guessed = predict(network, test).argmax(1) == test.targets["answer"]
for what in ("closest", "farthest", "how many", "left", "top"):
    asked = torch.tensor([what in sentence for sentence in test.info["sentence"]])
    print(f"{what:<9} {guessed[asked].float().mean():.2f} right")
print(", ".join(f"{kind} {share:.2f}" for kind, share in asking.answered(network, test).items()))

# %% [markdown]
# ### From pixels
#
# The paper's own setting: a CNN, the cells of its last layer as objects, each with its place; its rival lays the same cells end to end. Pairs of 25 cells are 625, and
# the plateau is long: a laptop can show that it runs, a GPU is for the rest (`MMTEACH_SCALE=gpu`).

# %% tags=["measured"]
side = data.scenes.PIXELS
pictured = data.load_scenes(*pick(smoke=(8, 2, 4), laptop=(200, 20, 100), gpu=(9800, 100, 200)), image=side)
eyes = {"CNN + relation network": PixelRelationNetwork(11, 10), "CNN + MLP": PixelMLP(side, 11, 10)}
steps = pick(smoke=1, laptop=15, gpu=40_000)
for name, network in eyes.items():
    fit(network, pictured.train, loss=classify("answer"), steps=steps, batch_size=64, lr=2.5e-4, seed=seed)
    print(
        f"{name:<23} after {steps:,} steps: "
        + ", ".join(f"{k} {v:.2f}" for k, v in asking.answered(network, pictured.test).items())
    )

# %% [markdown]
# **What to take away.** Build into a network what you know of the answer. “A comparison of two” is written into $g(o_i,o_j,q)$; an MLP may find it, and does not,
# with as many parameters, the same scenes and more steps.
#
# ## 14 · Distillation: the eye teaches the ear
#
# Labels exist for pictures, not for sounds; but pictures and sounds come in *pairs*. Let the eye say what it believes of each picture, and let
# the ear learn to believe the same of the sound beside it (Hinton et al. 2015; Gupta et al. 2016). With logits $z_T$ and $z_S$, and a
# temperature $\tau$ that lets second choices count,
#
# $$L=\tau^2\;\text{mean}_b\Big[-\sum_k \text{softmax}(z_T/\tau)_k\,\ln\text{softmax}(z_S/\tau)_k\Big].$$
#
# *Predict.* The ear without a single label, against an ear with 50. And can the pupil pass the teacher?


# %% tags=["measured"]
def follow(student, teacher, temperature=2.0):  # logits (B, K) each
    p = (teacher / temperature).softmax(-1)
    return -(temperature**2) * (p * (student / temperature).log_softmax(-1)).sum(-1).mean()


zT, zS = 3 * torch.randn(2, 32, 10, generator=g)
claim("cross-modal.distil", (follow(zS, zT) - alignment.distillation_loss(zS, zT, temperature=2.0)).abs(), at_most=1e-4,
      says="Distillation written out here against the library, difference")  # fmt: skip

# %% tags=["measured"]
digits = load(seed)
teacher = teaching.eye(digits, seed)
pupil = teaching.ear(teaching.taught(digits, teacher), teaching.follow, seed)
truth = digits.test.targets["digit"]
print(f"eye {accuracy(predict(teacher, digits.test.only('image')), truth):.3f}, "
      f"ear without labels {accuracy(predict(pupil, digits.test.only('audio')), truth):.3f}")  # fmt: skip
claim("cross-modal.pupil", accuracy(predict(pupil, digits.test.only("audio")), truth), at_least=0.5,
      says="Accuracy of an ear that never saw a label, unseen voices")  # fmt: skip

# %% tags=["measured"]
schools, how = stored("distil")
print(how)
lessons = schools.pivot(index="seed", columns="model", values="accuracy")
pupils, eyes = lessons["ear, taught by the eye, no labels"], lessons["eye, 4,000 labels"]
print(f"the pupil is above its teacher on {(pupils > eyes).sum()} of {len(lessons)} seeds, and above the ear with all labels on "
      f"{(pupils > lessons['ear, 4,000 labels']).sum()}")  # fmt: skip
claim("cross-modal.taught-over-few", every=lessons["ear, taught by the eye, no labels"] - lessons["ear, 50 labels"], at_least=0.08,
      says="Taught by the eye above 50 labels, each seed")  # fmt: skip
figures.compare(schools, "accuracy", label="accuracy on unseen voices and drawings", chance=0.1, order=list(lessons.columns),
                title="An ear taught by an eye needs no labels of its own")  # fmt: skip

# %% [markdown]
# **What to take away.** Pairs are labels in disguise. The pupil comes close to the ear that has all labels: the teacher is right most of
# the time, and where it errs, the sounds of one digit are not to blame, so that its errors average out. A teacher that errs *systematically* would pass
# its errors on.
#
# ## FAQ
#
# <details><summary>My contrastive loss stays at ln N. What is wrong?</summary>
#
# Nothing is learned yet: look at the learning rate first, then whether rows really are pairs (shuffle one side: nothing should change
# for a broken pipeline), then whether embeddings are normalised and the temperature is not 1.
#
# </details>
# <details><summary>Which objective shall I take?</summary>
#
# Start with a CCA as a ruler. Then InfoNCE with a learned temperature; SigLIP where batches are split over machines or several matches are
# right; a margin where you cannot afford a temperature. On equal terms the difference is small (section 7); data and batch composition are not.
#
# </details>
# <details><summary>Why report both directions?</summary>
#
# They differ: a picture can be the nearest of many texts (a *hub*) and hurt one direction only.
#
# </details>
#
# ## Quiz
#
# **1. A batch of 256, a contrastive loss of 5.5. What do you know?**
#
# <details><summary>It is far from converged, as a good loss is below 1</summary>Not by the number alone: what counts is its distance from the reference level.</details>
# <details><summary>Next to nothing was learned</summary>Yes: ln 256 is 5.55.</details>
# <details><summary>The temperature is too low</summary>A low temperature on a random model gives a loss far above ln N.</details>
#
# **2. In-sample canonical correlations of .99 from 100 examples of 300 dimensions. What do you conclude?**
#
# <details><summary>The modalities share almost everything</summary>No: with more dimensions than examples, noise does the same.</details>
# <details><summary>Nothing, before held-out examples are scored</summary>Yes: section 2.</details>
# <details><summary>A larger ridge is needed</summary>Perhaps, but only held-out correlations can say so.</details>
#
# **3. SigLIP with b = 0 begins at a huge loss. Why?**
#
# <details><summary>The sum over N − 1 no-questions, each at ln 2</summary>Yes: a bias of −10 answers “no” to all of them at once.</details>
# <details><summary>The sigmoid saturates</summary>At 0 it is steepest.</details>
# <details><summary>Its temperature is not learned</summary>It is, as in CLIP.</details>
#
# **4. You shift all picture embeddings by one vector. What happens to “text finds picture”, before normalising again?**
#
# <details><summary>It gets better, the gap is closed</summary>No: each query's scores all change by the same number.</details>
# <details><summary>Nothing</summary>Yes: the order of the pictures for each text stays as it is.</details>
# <details><summary>It breaks</summary>The ranking of *texts* for a picture may change; this one cannot.</details>
#
# **5. VSE++ from a cold start stays near a loss of 2m. What happens?**
#
# <details><summary>All embeddings lie close together, and the hardest mismatch ties with the match</summary>Yes: then every hinge costs about m, in both directions.</details>
# <details><summary>The margin is too small</summary>No: with a larger m the same plateau lies higher.</details>
# <details><summary>The learning rate is too low</summary>No: of four that were tried on validation, the lowest did best from a cold start.</details>
#
# **6. A captioner is right on every “red square” and “blue circle”, and wrong on “red circle”. Why?**
#
# <details><summary>It cannot see red circles</summary>It can name colours and shapes it sees; what it lacks is their independence.</details>
# <details><summary>It learned which pairs exist, with what each looks like</summary>Yes: nothing in training told it that the two are independent.</details>
# <details><summary>Greedy decoding is too greedy</summary>Beam search has the same trouble.</details>
#
# ## Go further
#
# - Harold Hotelling, 1936, “Relations Between Two Sets of Variates”, Biometrika.
# - Galen Andrew, Raman Arora, Jeff Bilmes and Karen Livescu, 2013, “Deep Canonical Correlation Analysis”, ICML.
# - Adrien Bardes, Jean Ponce and Yann LeCun, 2022, “VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning”, ICLR; Jure
#   Zbontar et al., 2021, “Barlow Twins: Self-Supervised Learning via Redundancy Reduction”, ICML.
# - Aäron van den Oord, Yazhe Li and Oriol Vinyals, 2018, “Representation Learning with Contrastive Predictive Coding”, arXiv.
# - Ryan Kiros, Ruslan Salakhutdinov and Richard Zemel, 2014, “Unifying Visual-Semantic Embeddings with Multimodal Neural Language Models”, arXiv.
# - Fartash Faghri, David Fleet, Jamie Kiros and Sanja Fidler, 2018, “VSE++: Improving Visual-Semantic Embeddings with Hard Negatives”, BMVC.
# - Alec Radford et al., 2021, “Learning Transferable Visual Models From Natural Language Supervision”, ICML: CLIP.
# - Xiaohua Zhai, Basil Mustafa, Alexander Kolesnikov and Lucas Beyer, 2023, “Sigmoid Loss for Language Image Pre-Training”, ICCV.
# - Weixin Liang et al., 2022, “Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning”, NeurIPS.
# - Oriol Vinyals, Alexander Toshev, Samy Bengio and Dumitru Erhan, 2015, “Show and Tell: A Neural Image Caption Generator”, CVPR; Kishore Papineni et
#   al., 2002, “BLEU: a Method for Automatic Evaluation of Machine Translation”, ACL.
# - Adam Santoro et al., 2017, “A simple neural network module for relational reasoning”, NeurIPS.
# - Geoffrey Hinton, Oriol Vinyals and Jeff Dean, 2015, “Distilling the Knowledge in a Neural Network”, arXiv.
# - Saurabh Gupta, Judy Hoffman and Jitendra Malik, 2016, “Cross Modal Distillation for Supervision Transfer”, CVPR.
# - Brenden Lake and Marco Baroni, 2018, “Generalization without Systematicity: On the Compositional Skills of Sequence-to-Sequence Recurrent
#   Networks”, ICML.
