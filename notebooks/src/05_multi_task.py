# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Multi-task learning
#
# **You will be able to** train one network on several tasks at once; say from their gradients whether the tasks help or hurt
# each other; derive and write the common loss weightings and gradient surgeries; judge them against a network a task, with
# intervals; and say when sharing pays.
#
# **You need** chapters 00 and 03, gradients and inner products, and the idea of a confidence interval.
#
# **Time** 75 minutes to read; a minute or two to run on a laptop with two cores.

# %%
import torch
from torch import nn
from torch.nn import functional as F

from mmteach import claim, figures, multitask, seed_everything, seeds
from mmteach.metrics import mean_interval, paired_difference
from mmteach.multitask import task_gradients
from mmteach.recipes import multitask as course
from mmteach.recipes import stored
from mmteach.widgets import pareto_explorer, pareto_view

figures.use_style()
seed = seeds(1)[0]

# %% [markdown]
# ## 1 · Two questions about one picture
#
# Two handwritten digits overlap, one to the upper left, one to the lower right. Name both. These are two **tasks**: left and
# right. The digits of the test never occur in training, and the two are drawn independently, so that knowing one says
# nothing about the other.

# %%
digits = course.load(seed)
some = digits.test[:10]
pairs = [f"{left} and {right}" for left, right in zip(some.targets["left"].tolist(), some.targets["right"].tolist())]
figures.picture_grid(
    some.inputs["image"], pairs, columns=5, inch=1.3, title="MultiMNIST: the upper left digit, and the lower right one",
    alt="Ten test pictures of two overlapping handwritten digits each, with the two labels: " + "; ".join(pairs) + ".",
)  # fmt: skip

# %% [markdown]
# One network a task would do. **Multi-task learning** minimises the losses of all tasks together,
#
# $$ L(\theta, \varphi) = \sum_{k=1}^{T} w_k\, L_k(\theta, \varphi_k), $$
#
# where $T$ is the number of tasks, $L_k$ the loss of task $k$, and $w_k \ge 0$ its **weight**. The parameters $\theta$ are
# **shared**, the $\varphi_k$ belong to task $k$ alone. The plainest way to share is **hard sharing** (Caruana 1993): a trunk
# for all, a head each,
#
# $$ h = \mathrm{trunk}_\theta(x), \qquad y_k = \mathrm{head}_{\varphi_k}(h). $$


# %%
class TwoHeads(nn.Module):
    """One trunk, a head a task."""

    def __init__(self, width):
        super().__init__()
        self.trunk = course.trunk(width)  # three convolutions and a dense layer: (B, 1, 36, 36) → (B, 64)
        self.heads = nn.ModuleDict({task: nn.Linear(64, 10) for task in ("left", "right")})

    def forward(self, x):
        h = self.trunk(x)
        return {task: head(h) for task, head in self.heads.items()}


# %% tags=["measured"]
def count(module):
    return sum(p.numel() for p in module.parameters())


ours, library = TwoHeads(course.WIDTH), course.build("hard")
library.load_state_dict(ours.state_dict())
with torch.no_grad():
    apart = max((ours(some.inputs["image"])[k] - library(some.inputs["image"])[k]).abs().max() for k in course.TASKS)
print(f"one network for both: {count(ours):,} parameters; a network a task: {2 * count(ours) - 2 * 650:,}")
claim(
    "multitask.same-model",
    apart,
    at_most=1e-6,
    says="Outputs of the class above and of HardSharing, largest difference",
)

# %% [markdown]
# Why share at all? One network costs half of two, in parameters and in time. And what one task teaches the trunk, strokes and
# loops, may serve the other. Why not? The trunk has 64 numbers for two answers, and the two tasks may want different things
# of it.
#
# *Predict before you run.* Both tasks have 24,000 labelled pictures. Will the joint network be (a) better than a network a task,
# (b) as good, (c) worse? And will one of the two tasks gain what the other loses?
#
# <details><summary>Write your guess down, then run the cells below.</summary>
#
# There are good reasons for each answer: more labels for the trunk speak for (a), two masters for one trunk speak for (c). Keep your
# guess until section 6, where it is put to the test on several seeds.
#
# </details>

# %% tags=["measured"]
traces = {"16 channels": [], "4 channels": []}
alone = {task: course.train(digits, course.losses(task), seed=seed)[0] for task in course.TASKS}
both = course.train(
    digits, course.losses("left", "right"), course.watched(course.balance("equal"), traces["16 channels"]), seed=seed
)[0]
narrow = course.train(
    digits,
    course.losses("left", "right"),
    course.watched(course.balance("equal"), traces["4 channels"]),
    width=course.NARROW,
    seed=seed,
)[0]
live = {
    "a network a task": {task: course.right(alone[task], digits.test)[task] for task in course.TASKS},
    "one for both": course.right(both, digits.test),
    "one for both, narrow": course.right(narrow, digits.test),
}
for name, accuracy in live.items():
    print(f"{name:<21} left {accuracy['left']:.3f}   right {accuracy['right']:.3f}")

# %% [markdown]
# Each network took the same steps, batches and schedule; a network a task therefore cost twice the time. One seed is an anecdote:
# section 6 has the table.
#
# ## 2 · Do the tasks pull the same way?
#
# Let $g_k = \nabla_\theta L_k$ be the gradient of task $k$ in the shared parameters. Take a small step of size $\eta$ along the
# gradient of task $i$ alone. To first order,
#
# $$ L_j(\theta - \eta\, g_i) = L_j(\theta) - \eta\; g_i \cdot g_j + O(\eta^2). $$
#
# If $g_i \cdot g_j > 0$, the step that helps $i$ helps $j$ as well. If $g_i \cdot g_j < 0$, it hurts $j$: the tasks **conflict**. The
# size of the gradients does not matter for that, so one looks at the angle between them,
#
# $$ \cos_{ij} = \frac{g_i \cdot g_j}{\lVert g_i \rVert\, \lVert g_j \rVert}. $$
#
# Written out, $g_k$ is one backward pass a task, all its parts put in one row. The rows together are the **Jacobian** $G$, with
# $T$ rows and a column a shared parameter.

# %% tags=["measured"]
batch = digits.train[:256]
y = both(batch.inputs["image"])
L = [F.cross_entropy(y[task], batch.targets[task]) for task in course.TASKS]  # L_1, L_2
theta = list(both.shared_parameters())
G = torch.stack(
    [torch.cat([g.flatten() for g in torch.autograd.grad(L_k, theta, retain_graph=True)]) for L_k in L]
)  # (2, P)
cosine = (G[0] @ G[1] / (G[0].norm() * G[1].norm())).item()
print(f"G has shape {tuple(G.shape)}; after training the cosine on this batch is {cosine:.3f}")
claim(
    "multitask.same-jacobian", (G - task_gradients(L, theta)).abs().max(), at_most=1e-6,
    says="The Jacobian by hand and by task_gradients, largest difference",
)  # fmt: skip

# %% [markdown]
# The training above wrote the cosine down every ten steps.

# %% tags=["measured"]
fig, axes = figures.canvas(1, 2, size=(9.0, 3.3), sharey=True)
for ax, (name, trace) in zip(axes, traces.items()):
    steps, cosines = zip(*trace)
    smooth = [sum(cosines[max(0, i - 5) : i + 1]) / len(cosines[max(0, i - 5) : i + 1]) for i in range(len(cosines))]
    ax.plot(steps, cosines, ".", color=figures.PALETTE[5], label="one batch")
    ax.plot(steps, smooth, color=figures.COLOURS["both"], label="mean of the last six")
    ax.axhline(0, color=figures.COLOURS["chance"], ls="--", lw=1)
    ax.set(xlabel="training step", title=f"{name}")
axes[0].set_ylabel("cosine of the two tasks’ gradients")
axes[0].legend()
ends = {
    name: (sum(c for _, c in t[:6]) / len(t[:6]), sum(c for _, c in t[-6:]) / len(t[-6:])) for name, t in traces.items()
}
figures.describe(
    fig, "The cosine between the gradients of left and right over training: "
    + "; ".join(f"with {name} from {a:.2f} in the first steps to {b:.2f} in the last" for name, (a, b) in ends.items()) + ".",
)  # fmt: skip

# %% tags=["measured"]
for name, trace in traces.items():
    cosines = torch.tensor([c for _, c in trace])
    print(f"{name}: mean cosine {cosines.mean():+.3f}; {(cosines < 0).float().mean():.0%} of the batches in conflict")
print(f"two random directions in P = {G.shape[1]:,} dimensions: cosine 0 ± {G.shape[1] ** -0.5:.3f}")
late = torch.tensor([c for _, c in traces["16 channels"][-10:]]).mean().abs()
claim("multitask.cosine-fades", late, at_most=0.12, says="16 channels, last hundred steps: mean cosine, its size")

# %% [markdown]
# **What to see.** In the first steps the cosine is above 0: whatever the digits, the trunk must learn what a stroke is, and that serves both. Soon it
# falls to about 0 and scatters around it. From then on the two tasks neither help nor hurt each other; they do not speak. Many batches *are* in
# conflict, but by the sign alone: the angle is close to a right one, and what an operation on the gradients could repair is next to nothing.
# Keep that in mind for section 6.
#
# ## 3 · A world small enough to see
#
# Two parameters, two tasks, each a bowl: $L_k(\theta) = \tfrac12 (\theta - c_k)^\top A_k\, (\theta - c_k)$, with its minimum at $c_k$ and
# gradient $g_k = A_k(\theta - c_k)$. Nothing is good for both beyond a certain curve: the **Pareto set**, where no step helps
# one task without hurting the other. There $g_1$ and $g_2$ point against each other, $\alpha_1 g_1 + \alpha_2 g_2 = 0$ for some
# $\alpha_1 + \alpha_2 = 1$, both at least 0. Every weighting and every surgery is a rule that makes one direction $d$ out of $g_1, \dots, g_T$;
# then $\theta \leftarrow \theta - \eta\, d$.

# %%
A = torch.tensor([[[1.0, 0.0], [0.0, 6.0]], [[3.0, 0.0], [0.0, 0.7]]])  # (2, 2, 2)
c = torch.tensor([[-1.0, 0.0], [1.0, 0.8]])  # (2, 2): the two minima


def bowls(theta):
    """L (2,) and G (2, 2) at theta (2,)."""
    away = theta - c
    g = torch.einsum("kij,kj->ki", A, away)
    return (away * g).sum(1) / 2, g


def walk(combine, start=(0.0, 0.5), eta=0.02, steps=600):
    theta, path = torch.tensor(start), []
    for _ in range(steps):
        path.append(theta)
        theta = theta - eta * combine(bowls(theta)[1])
    return torch.stack(path)


shown = {
    "sum (equal weights)": lambda g: g.sum(0), "PCGrad": multitask.pcgrad, "MGDA": multitask.mgda,
    "CAGrad": multitask.cagrad, "ConFIG": multitask.config,
}  # fmt: skip
paths = {name: walk(combine) for name, combine in shown.items()}
looks = list(zip(shown, figures.MARKERS, (*figures.PALETTE[2:], "#22272E")))

# %%
start = bowls(paths["MGDA"][0])[1]
fig, ax = figures.canvas(size=(6.2, 3.6))
for k in (0, 1):
    ax.annotate("", -start[k], (0, 0), arrowprops={"arrowstyle": "->", "color": figures.PALETTE[k], "lw": 2})
    ax.annotate(f"−g{'₁₂'[k]}", -start[k], fontsize=11, color=figures.PALETTE[k])
for name, marker, colour in looks:
    d = -shown[name](start)
    ax.plot([0, d[0]], [0, d[1]], color=colour, marker=marker, markevery=[1], label=name)
ax.set(
    xlabel="step along θ₁",
    ylabel="step along θ₂",
    xlim=(-1.6, 3.6),
    title="Two gradients in conflict, and what five methods make of them",
)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
angle = F.cosine_similarity(start[0], start[1], dim=0)
figures.describe(
    fig, f"Two gradients at an obtuse angle (cosine {angle:.2f}) and the combined steps of five methods between them, which "
    "differ in direction and in length.",
)  # fmt: skip

# %%
fig, ax = figures.canvas(size=(8.4, 4.2))
grid = torch.stack(torch.meshgrid(torch.linspace(-1.6, 1.6, 80), torch.linspace(-0.5, 1.2, 80), indexing="xy"), -1)
for k in (0, 1):
    height = torch.einsum("abi,ij,abj->ab", grid - c[k], A[k], grid - c[k]) / 2
    ax.contour(
        *grid.unbind(-1), height, levels=[0.1, 0.4, 1, 2, 4], colors=figures.PALETTE[k], linewidths=0.7, alpha=0.6
    )
    ax.plot(*c[k], "*", ms=11, color=figures.PALETTE[k], label=f"minimum of L{'₁₂'[k]}")
a = torch.linspace(0, 1, 60)[:, None, None]  # α₁; g_1 and g_2 cancel at the minimum of α₁ L_1 + (1 − α₁) L_2
pareto = torch.linalg.solve(a * A[0] + (1 - a) * A[1], a[..., 0] * (A[0] @ c[0]) + (1 - a[..., 0]) * (A[1] @ c[1]))
ax.plot(*pareto.T, color=figures.COLOURS["chance"], lw=5, alpha=0.4, label="Pareto set")
for name, marker, colour in looks:
    ax.plot(*paths[name].T, color=colour, lw=1.5, marker=marker, markevery=[-1], ms=8, mfc="none", label=name)
ax.set(xlabel="θ₁", ylabel="θ₂", title="Five ways down from one point, and where they end")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
figures.describe(
    fig, "Contours of two bowls, the curve of Pareto-optimal points between their minima, and the paths of five methods. All end "
    "on that curve, at different points, but for the sum and CAGrad, which end at the same one.",
)  # fmt: skip

# %% tags=["measured"]
for name, path in paths.items():
    (L_1, L_2), g = bowls(path[-1])
    print(
        f"{name:<20} ends with L_1 = {L_1:.3f}, L_2 = {L_2:.3f}; shortest mixture of the gradients {multitask.mgda(g).norm():.4f}"
    )
claim(
    "multitask.all-reach-the-pareto-set", every=[multitask.mgda(bowls(path[-1])[1]).norm() for path in paths.values()], at_most=0.01,
    says="Five methods after 600 steps: length of the shortest mixture of the gradients, 0 on the Pareto set",
)  # fmt: skip

# %% [markdown]
# **What to see.** At the start the two gradients are in conflict, and each method makes another step of them. All paths end on the Pareto
# set, most of them at different points: lower in one loss, higher in the other. A method chooses a **compromise**; it cannot abolish
# the trade. (The sum and CAGrad end at the same place: with $c < 1$ CAGrad still finds a minimum of the sum, by another way.) In
# a network the picture is less clear-cut: the losses are not bowls, and a trunk with room enough may serve both.
#
# ## 4 · Weigh the losses
#
# A weighting decides $w_k$, and $d = \sum_k w_k\, g_k$. Six rules, from the simplest up. Below, `L` is the row of losses
# $(L_1, \dots, L_T)$.
#
# **Equal.** $w_k = 1$. Its fault: the losses' *units* decide. Give one loss in millimetres instead of metres, and it drowns the other.
#
# **Uncertainty** (Kendall, Gal & Cipolla 2018). Let each task have an unknown noise $\sigma_k$, and make the data as probable as
# possible. For a regression with Gaussian noise, $y \sim \mathcal N(f(x), \sigma_k^2)$:
#
# $$ -\log p(y \mid x) = \frac{(y - f(x))^2}{2\sigma_k^2} + \frac12 \log \sigma_k^2 + \text{const}. $$
#
# With $L_k$ the mean square error, $s_k = \log \sigma_k^2$, and tasks independent once $x$ is given, the negative log-likelihoods add up to
#
# $$ L = \sum_k \Big( \tfrac12 e^{-s_k} L_k + \tfrac12 s_k \Big). $$
#
# For a classifier, $\sigma_k^2$ is a temperature: $p(y \mid x) = \mathrm{softmax}(o / \sigma_k^2)_y$ with logits $o$. Then
# $-\log p = -o_y/\sigma_k^2 + \log \sum_c e^{o_c/\sigma_k^2}$. With the cross-entropy $L_k = -o_y + \log\sum_c e^{o_c}$ this is
# $L_k/\sigma_k^2 + \log \big[\sum_c e^{o_c/\sigma_k^2} \big/ (\sum_c e^{o_c})^{1/\sigma_k^2}\big]$, and the paper takes the quotient in brackets
# to be about $\sigma_k$ (exact at $\sigma_k = 1$): $e^{-s_k} L_k + \tfrac12 s_k$. Put $s_k + \log 2$ for $s_k$, and it is the form above plus a
# constant. So one formula serves both.
#
# Where does $s_k$ settle? $\partial L/\partial s_k = -\tfrac12 e^{-s_k} L_k + \tfrac12 = 0$ gives $s_k = \log L_k$ and the weight
# $w_k = \tfrac12 e^{-s_k} = 1/(2 L_k)$: a task counts by the inverse of its loss, and its unit cancels.
#
# **GLS** (Chennupati et al. 2019). Minimise the geometric mean $\big(\prod_k L_k\big)^{1/T}$, whose gradient has
# $w_k = \frac{1}{T L_k}\big(\prod_j L_j\big)^{1/T}$. The same direction as uncertainty at its optimum! Both go down $\sum_k \log L_k$.
#
# **DWA**, dynamic weight average (Liu, Johns & Davison 2019). More weight where the loss fell least: with the mean losses of the last two
# epochs, $r_k = L_k^{(e-1)} / L_k^{(e-2)}$ and a temperature $\tau$, $w = T\, \mathrm{softmax}(r / \tau)$.
#
# **RLW**, random loss weighting (Lin et al. 2022). $w = \mathrm{softmax}(z)$ with $z \sim \mathcal N(0, I)$ drawn anew each step: it knows nothing,
# so whatever does not beat it has not used what it knows.


# %%
def uncertainty(L, s):
    return (torch.exp(-s) * L / 2 + s / 2).sum()


def gls(L):
    return L.detach().prod() ** (1 / len(L)) / (len(L) * L.detach())


def dwa(last, before, tau=2.0):
    return len(last) * torch.softmax((last / before) / tau, dim=0)


def rlw(L, generator):
    return torch.softmax(torch.randn(len(L), generator=generator), dim=0)


# %% tags=["measured"]
L, s, before = torch.tensor([0.3, 2.0, 0.7]), torch.tensor([0.1, -0.4, 0.8]), torch.tensor([0.5, 2.1, 0.7])
same = {
    "uncertainty": uncertainty(L, s) - multitask.uncertainty(L, s),
    "GLS": (gls(L) - multitask.gls(L)).abs().max(),
    "DWA": (dwa(L, before) - multitask.dwa(torch.stack([before, L]))).abs().max(),
    "RLW": (rlw(L, torch.Generator().manual_seed(1)) - multitask.rlw(L, torch.Generator().manual_seed(1))).abs().max(),
}
settled = torch.exp(-L.log()) / 2  # w = e^{−s}/2 at s = log L
print("uncertainty’s weights at its optimum, as shares:", [f"{w:.3f}" for w in (settled / settled.sum()).tolist()])
print("GLS’s weights, as shares:                       ", [f"{w:.3f}" for w in (gls(L) / gls(L).sum()).tolist()])
claim(
    "multitask.weightings-by-hand", max(abs(float(x)) for x in same.values()), at_most=1e-6,
    says="Four weightings by hand and by the library, largest difference",
)  # fmt: skip

# %% [markdown]
# **GradNorm** (Chen et al. 2018) balances the *gradients* instead. Let $\lVert w_k g_k\rVert$ be the length of a weighted gradient and $\bar G$ the
# mean of these lengths over the tasks. Let $r_k = \tilde L_k / \tfrac1T\sum_j \tilde L_j$ with $\tilde L_k = L_k / L_k(0)$, the share of its first
# loss that task $k$ still has: $r_k > 1$ means that $k$ lags behind. GradNorm wants
#
# $$ \lVert w_k g_k \rVert = \bar G\, r_k^{\alpha} \quad\text{for every } k, \qquad \sum_k w_k = T, $$
#
# and learns the weights by a gradient step on $\sum_k \big|\, \lVert w_k g_k\rVert - \bar G r_k^\alpha \big|$ at each step of the training, with the target
# $\bar G r_k^\alpha$ held fixed. With $\alpha = 0$ all pull equally hard; a larger $\alpha$ lets the slow ones pull harder. We write
# $w = T\,\mathrm{softmax}(s)$, which keeps the sum. Let it settle on two gradients of lengths 5 and 1:

# %% tags=["measured"]
g = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
for alpha, now in ((0.0, [0.5, 0.5]), (1.0, [0.5, 1.0])):  # the second time task 2 has made no progress at all
    s = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([s], lr=0.002)
    for _ in range(2000):
        optimizer.zero_grad()
        multitask.gradnorm(torch.tensor(now), torch.ones(2), g, s, alpha=alpha).backward()
        optimizer.step()
    w = multitask.gradnorm_weights(s.detach())
    lengths = w * g.norm(dim=1)
    print(
        f"α = {alpha:g}: w = {w[0]:.3f}, {w[1]:.3f}; lengths of the weighted gradients {lengths[0]:.3f}, {lengths[1]:.3f}"
    )
    if alpha == 0:
        claim(
            "multitask.gradnorm-balances", (lengths[0] / lengths[1] - 1).abs(), at_most=0.02,
            says="α = 0: by how much the two weighted gradients differ in length once the weights have settled",
        )  # fmt: skip

# %% [markdown]
# ## 5 · Operate on the gradients
#
# A weighting looks at numbers, one a task. **Gradient surgery** looks at the directions as well. The price: a backward pass a task.
#
# **PCGrad** (Yu et al. 2020). Where $v\cdot g_j < 0$, take out of $v$ the part that lies along $g_j$:
#
# $$ v' = v - \frac{v \cdot g_j}{\lVert g_j\rVert^2}\, g_j, \qquad\text{so that}\qquad v' \cdot g_j = v\cdot g_j - \frac{v\cdot g_j}{\lVert g_j\rVert^2} \lVert g_j\rVert^2 = 0. $$
#
# It is the smallest change that ends the conflict. Every task starts from its own gradient and meets the others in random order; $d$ is the sum of
# what is left. For two tasks $d$ hurts nobody: $g_1\cdot d = g_1 \cdot v_1' + g_1\cdot v_2'$, the second term is 0 and the first is
# $\lVert g_1\rVert^2 (1 - \cos^2_{12}) \ge 0$. For three it may.
#
# **MGDA** (Désidéri 2012; Sener & Koltun 2018). Take the *shortest* mixture,
#
# $$ d = \sum_k \alpha_k g_k, \qquad \alpha = \arg\min_{\alpha} \Big\lVert \sum_k \alpha_k g_k \Big\rVert^2 \quad\text{over}\quad \alpha_k \ge 0,\ \sum_k \alpha_k = 1. $$
#
# Why is that a descent direction for *all*? The mixtures form a convex set, and $d$ is its point nearest to 0. For any task $k$ and
# $0 < \varepsilon \le 1$ the point $d + \varepsilon (g_k - d)$ lies in the set, so it is no shorter than $d$:
# $2\varepsilon\, d\cdot(g_k - d) + \varepsilon^2 \lVert g_k - d\rVert^2 \ge 0$. Divide by $2 \varepsilon$ and let $\varepsilon \to 0$: $g_k \cdot d \ge \lVert d \rVert^2$. Either
# $d = 0$ and we are at a Pareto-stationary point, or every loss goes down. For two tasks, $\lVert \gamma g_1 + (1 - \gamma) g_2 \rVert^2$ is a parabola in
# $\gamma$ with its minimum at
#
# $$ \gamma = \frac{(g_2 - g_1)\cdot g_2}{\lVert g_1 - g_2 \rVert^2}, \quad\text{cut to}\quad 0 \le \gamma \le 1. $$
#
# **CAGrad** (Liu et al. 2021). Stay within $c\lVert g_0\rVert$ of the mean gradient $g_0$, and there do the best for whoever gains least:
#
# $$ \max_{\lVert d - g_0\rVert \le c \lVert g_0\rVert}\ \min_k\ g_k\cdot d \;=\; \max_d \min_w\ g_w \cdot d, \qquad g_w = \sum_k w_k g_k,\ w_k \ge 0,\ \sum_k w_k = 1. $$
#
# Max and min may change places (linear in each, convex sets). For a fixed $w$ the best $d$ goes as far as it may along $g_w$,
# $d = g_0 + c \lVert g_0\rVert\, g_w / \lVert g_w\rVert$, and what remains is a small problem in $w$: minimise $g_w\cdot g_0 + c \lVert g_0\rVert \lVert g_w\rVert$.


# %%
def pcgrad(g):
    """Two tasks: g (2, P) → (P,)."""
    v = g.clone()
    for i, j in ((0, 1), (1, 0)):
        dot = v[i] @ g[j]
        if dot < 0:
            v[i] = v[i] - dot / (g[j] @ g[j]) * g[j]
    return v.sum(0)


def mgda(g):
    gamma = ((g[1] - g[0]) @ g[1] / (g[0] - g[1]).square().sum()).clamp(0, 1)
    return gamma * g[0] + (1 - gamma) * g[1]


def cagrad(g, c=0.4):
    g_0 = g.mean(0)
    w = torch.linspace(0, 1, 10_001, dtype=g.dtype)[:, None]  # for two tasks trying every weight will do
    g_w = w * g[0] + (1 - w) * g[1]  # (10001, P)
    best = (g_w @ g_0 + c * g_0.norm() * g_w.norm(dim=1)).argmin()
    return g_0 + c * g_0.norm() * g_w[best] / g_w[best].norm()


# %% tags=["measured"]
seed_everything(seed)
many = torch.randn(1000, 2, 3, dtype=torch.float64) * torch.rand(1000, 2, 1, dtype=torch.float64) * 3
by_hand = {"PCGrad": pcgrad, "MGDA": mgda, "CAGrad": cagrad}
for name, method in by_hand.items():
    gap = max((method(g) - course.SURGERIES[name](g)).norm() / g.norm() for g in many[:100])
    print(f"{name:<7} by hand against the library: largest difference {gap:.1e} of the gradients’ length")
rules = {"sum": lambda g: g.sum(0), **by_hand}
hurt = {
    name: sum(bool((g @ d(g) < -1e-9 * g.norm() ** 2).any()) for g in many) / len(many) for name, d in rules.items()
}
print("share of 1,000 random pairs of gradients in which a small step along −d raises a loss:")
print("  " + ", ".join(f"{name} {share:.3f}" for name, share in hurt.items()))
claim(
    "multitask.mgda-descends",
    hurt["MGDA"] + hurt["PCGrad"],
    at_most=0,
    says="MGDA and PCGrad, two tasks: share of steps that hurt one",
)
claim("multitask.sum-hurts", hurt["sum"], at_least=0.1, says="The plain sum: share of steps that hurt a task")

# %% [markdown]
# The library has more of them. In one line each, with $K = G G^\top$ the table of inner products:
#
# | method | direction $d$ | paper |
# |---|---|---|
# | IMTL-G | $\sum_k \alpha_k g_k$ with the same projection $d\cdot g_k / \lVert g_k\rVert$ for every task | Liu et al. 2021 |
# | ConFIG | the same cosine with every $g_k$ | Liu, Chu & Thuerey 2025 |
# | Aligned-MTL | the mean, after all singular values of $G$ were made the least one | Senushkin et al. 2023 |
# | Nash | $\sum_k w_k g_k$ with $K w = 1/w$: a fair bargain | Navon et al. 2022 |
# | FairGrad | $\sum_k w_k g_k$ with $K w = w^{-1/\alpha}$; here $\alpha = 2$, nearer to the worst-off | Ban & Ji 2024 |
# | UPGrad | the mean of the $g_k$, each projected onto $\{d : G d \ge 0\}$ | Quinton & Rey 2024 |
# | DualProj | the mean gradient, projected onto $\{d : G d \ge 0\}$ | Lopez-Paz & Ranzato 2017 |
#
# Are these really ten methods? With two tasks, look at the directions they give for pairs of gradients in conflict.

# %% tags=["measured"]
conflict = [g for g in many if g[0] @ g[1] < 0][:200]
every = {"sum": lambda g: g.sum(0), **course.SURGERIES}
directions = torch.stack(
    [torch.stack([F.normalize(d(g), dim=0) for g in conflict]) for d in every.values()]
)  # (11, 200, 3)
agree = torch.einsum("anp,bnp->abn", directions, directions)  # the cosine between the directions of two methods
farthest = divmod(int(agree.mean(-1).argmin()), len(every))
figures.heatmap(
    agree.mean(-1), list(every), list(every), limits=(0.5, 1), value_label="mean cosine",
    title="Two tasks in conflict: how alike the directions are",
    alt="Mean cosine between the directions of eleven methods on 200 conflicting pairs of gradients. IMTL-G, ConFIG and Nash are "
    f"the same; so are PCGrad and UPGrad; farthest apart are {' and '.join(list(every)[i] for i in farthest)}.",
)  # fmt: skip

# %% tags=["measured"]
place = {name: i for i, name in enumerate(every)}
twins = [("PCGrad", "UPGrad"), ("IMTL-G", "ConFIG"), ("IMTL-G", "Nash")]
claim(
    "multitask.twins", every=[agree[place[a], place[b]].min() for a, b in twins], at_least=0.9999,
    says="PCGrad and UPGrad; IMTL-G, ConFIG and Nash: the least cosine between their directions, two tasks",
)  # fmt: skip

# %% [markdown]
# **Twins.** With two tasks UPGrad is half of PCGrad: both add up the two projected gradients. And IMTL-G, ConFIG and Nash all point along the
# bisector $g_1/\lVert g_1\rVert + g_2/\lVert g_2\rVert$. For IMTL-G and ConFIG that is their definition. For Nash, $K w = 1/w$ says
# $w_1 (K_{11} w_1 + K_{12} w_2) = 1 = w_2 (K_{12} w_1 + K_{22} w_2)$, so $K_{11} w_1^2 = K_{22} w_2^2$: the weights are inverse to the lengths. They
# differ in the *length* of $d$ alone, and Adam takes most of that out again. Remember it when you read the table below: where twins come out
# apart, you see what noise looks like. With three tasks or more they part.
#
# ### Whose answer depends on the unit?
#
# Take the gradients of the trained network on one batch, multiply the first loss by 10, as a change of unit would, and ask each rule
# again. Does $d$ keep its direction?

# %% tags=["measured"]
L = torch.tensor([0.4, 0.4])
rules = {
    "equal": lambda L, g: g.sum(0),
    "uncertainty, settled": lambda L, g: (1 / (2 * L)) @ g,
    "GLS": lambda L, g: multitask.gls(L) @ g,
    **{name: lambda L, g, method=method: method(g) for name, method in course.SURGERIES.items()},
}
unit = torch.tensor([10.0, 1.0])
kept = {name: F.cosine_similarity(d(L, G), d(L * unit, G * unit[:, None]), dim=0).item() for name, d in rules.items()}
order = sorted(kept, key=kept.get)
fig, ax = figures.canvas(size=(7.5, 4.2))
ax.barh(
    order,
    [kept[name] for name in order],
    color=[figures.PALETTE[2] if kept[name] > 0.999 else figures.PALETTE[1] for name in order],
)
ax.set(xlabel="cosine of d before and after the change of unit", xlim=(min(0, *kept.values()), 1.02))
ax.set_title("Ten times one loss: who keeps the direction (green), who does not")
ax.grid(axis="y", visible=False)
figures.describe(
    fig,
    "Cosine of the combined direction before and after one loss is multiplied by ten: "
    + ", ".join(f"{n} {kept[n]:.2f}" for n in order)
    + ".",
)

# %% tags=["measured"]
claim(
    "multitask.unit-free", min(kept[name] for name in ("uncertainty, settled", "GLS", "Nash", "IMTL-G", "ConFIG")), at_least=0.999,
    says="Uncertainty at its optimum, GLS, Nash, IMTL-G, ConFIG: cosine of d before and after, the least",
)  # fmt: skip
claim("multitask.sum-follows-the-unit", kept["equal"], at_most=0.95, says="Equal weights: cosine of d before and after")

# %% [markdown]
# **What to take away.** Some of these methods solve a problem of *units* first of all. MGDA goes the other way: it follows the shortest gradient, so the task
# with the small unit gets nearly all. If your losses differ in kind, say metres and cross-entropies, this matters more than
# anything in the table to come, in which both losses are cross-entropies over ten classes and no unit is out of line.
#
# ## 6 · All of them, on equal terms
#
# Now train the same network with each of them: same batches, same first weights, 400 steps, on several seeds. Beside them the **baseline that
# counts**, a network a task with the same care and, all in all, twice the steps. (For the first seed, `single` and `equal` are the networks that section 1
# trained.) Adam divides every gradient by its own running size, so
# that a method that returns a sum is not mistaken for one with a larger learning rate. The rate itself was chosen beforehand:

# %% tags=["measured"]
rates, how = stored("multitask-rates")
print(how)
rates[["model", "lr"]] = rates.model.str.split(", ", expand=True)
print(rates.pivot_table(index="model", columns="lr", values="valid").round(4).to_string())

# %% tags=["measured"]
table, how = stored("multitask-methods")
print(how)
table["test"] = table["mean"]
figures.compare(
    table, "test", label="test accuracy of left and right", title="MultiMNIST: a network a task, and 16 ways to train one for both",
)  # fmt: skip

# %% [markdown]
# Dots are seeds, bars are 95 % intervals of the mean. Intervals that overlap say little here, because the seeds are **paired**: seed $i$ gives every
# method the same pictures and the same first weights. What counts is the difference on the same seed. And there are many methods: of sixteen
# rules that do nothing, one or so will look significant at the 5 % level by luck. **Holm's** correction asks the smallest $p$-value to be below
# $.05/m$, the next below $.05/(m-1)$, and so on, for $m$ comparisons, and stops at the first that fails.


# %%
def holm(p, level=0.05):
    """Which of the p-values, by name, stand after Holm's correction."""
    stands = {}
    for rank, name in enumerate(sorted(p, key=p.get)):
        stands[name] = p[name] <= level / (len(p) - rank) and all(stands.values())
    return stands


# %%
def judged(wide, pairs):
    """Differences to a baseline on the same seed, {name: Difference}, and which stand after Holm's correction; both printed.

    wide: a row a seed, a column a model;  pairs: {name: the baseline's name}
    """
    d = {name: paired_difference(wide[name], wide[base]) for name, base in pairs.items()}
    stands = holm({name: each.p_value for name, each in d.items()})
    print(f"{len(wide)} seeds, differences in points of accuracy (1 = .01), [95 % interval]")
    for name in sorted(d, key=lambda name: -d[name].mean):
        mean, low, high, p = d[name]
        verdict = ("better" if mean > 0 else "worse") if stands[name] else "undecided"
        print(f"{name:<22} {100 * mean:+6.2f} [{100 * low:+6.2f}, {100 * high:+6.2f}]  p = {p:.3f}  {verdict}")
    return d, stands


# %% tags=["measured"]
wide = table.pivot(index="seed", columns="model", values="test")
print(f"against equal weights ({wide['equal'].mean():.4f})")
versus, stands = judged(wide, {name: "equal" for name in wide if name != "equal"})
room = max(max(abs(d.low), abs(d.high)) for d in versus.values())
print(f"the intervals leave room for a true difference of {100 * room:.1f} points at the most")

# %%
order = sorted(versus, key=lambda name: versus[name].mean)
fig, ax = figures.canvas(size=(8.2, 5.0))
for row, name in enumerate(order):
    d, colour = versus[name], figures.COLOURS["both"] if stands[name] else figures.COLOURS["chance"]
    ax.plot([100 * d.low, 100 * d.high], [row, row], color=colour, lw=6, alpha=0.35, solid_capstyle="round")
    ax.plot(100 * (wide[name] - wide["equal"]), [row] * len(wide), ".", color=colour, ms=6)
    ax.plot(100 * d.mean, row, "D", color=colour, ms=5)
ax.axvline(0, color=figures.COLOURS["chance"], ls="--", lw=1)
ax.set_yticks(range(len(order)), order)
ax.set(
    xlabel="difference to equal weights on the same seed, points of accuracy",
    title="Paired differences: purple stands after correction, grey is undecided",
)
ax.grid(axis="y", visible=False)
figures.describe(
    fig, "Paired differences in test accuracy to equal weights with 95 % intervals. After Holm's correction these stand: "
    + (", ".join(f"{n} {100 * versus[n].mean:+.2f} points" for n in order if stands[n]) or "none") + "; the others are undecided.",
)  # fmt: skip

# %% [markdown]
# **What to take away.** With networks that are trained well, the sixteen rules and the network a task lie within about a point of each other, and the twins of
# section 5, which point the same way, differ by as much as strangers do. That is what section 2 led us to expect: no conflict, nothing to
# repair. Sharing has cost little and halved parameters and time. It has not made either task better.
#
# Do not conclude that these methods are useless. Conclude that MultiMNIST cannot tell them apart, although it is used for it; that they need a problem
# with a conflict or with unequal units; and that a short table without intervals would have crowned a winner, and mostly another one on another seed:

# %% tags=["measured"]
for run, row in wide.drop(columns="single").iterrows():
    print(
        f"seed {run}: the winner would be {row.idxmax()} ({row.max():.4f}), the last {row.idxmin()} ({row.min():.4f})"
    )
valid = table.groupby("model").valid.mean().drop("single")
print(
    f"on validation, mean of all seeds, one would choose {valid.idxmax()}; its test accuracy is {wide[valid.idxmax()].mean():.4f}"
)
claim("multitask.well-trained", every=wide["single"], at_least=0.94, says="A network a task: test accuracy, each seed")
claim(
    "multitask.sharing-costs-little", every=wide["single"] - wide["equal"], at_most=0.015,
    says="What one network for both loses against a network a task, equal weights, each seed",
)  # fmt: skip
claim(
    "multitask.methods-hardly-differ", max(abs(d.mean) for d in versus.values()), at_most=0.01,
    says="Largest mean difference between any method and equal weights",
)  # fmt: skip

# %% [markdown]
# ## 7 · The trade itself: the Pareto front
#
# Move the weights and see who pays. Two trunks, the one of 16 channels and a narrow one of 4, for which two digits are a burden, at seven weights
# $w_\text{left} = w$, $w_\text{right} = 1 - w$; at $w = 0$ and $w = 1$ they learn one task alone. A setting is on the **front** if no other is at least as
# good on both tasks and better on one.
#
# *Predict before you run.* At $w = 0.5$ both count the same. What will $w = 0.95$ buy the left digit, and what will it cost the right one: more, less, or
# the same?

# %% tags=["measured"]
fronts, how = stored("multitask-front")
print(how)
fronts["network"] = fronts.channels.map("{:.0f} channels".format)
fronts = fronts.rename(columns={"w_left": "weight"})
print(fronts.groupby(["network", "weight"])[["left", "right"]].mean().unstack("network").round(4).to_string())
favoured, _ = course.train(
    digits, course.losses(*course.TASKS), course.fixed(0.95, 0.05), width=course.NARROW, seed=seed
)
accuracy = course.right(favoured, digits.test)
print(f"trained here, 4 channels, w = 0.95: left {accuracy['left']:.4f}, right {accuracy['right']:.4f}")

# %% tags=["measured"]
by = fronts.pivot(index=["network", "seed"], columns="weight", values=["left", "right"])
gain, price = by["left"][0.95] - by["left"][0.5], by["right"][0.5] - by["right"][0.95]
cost = (by["left"][1.0] - by["left"][0.5] + by["right"][0.0] - by["right"][0.5]) / 2  # of sharing, mean of both tasks
for network in ("4 channels", "16 channels"):
    g, p, c = (mean_interval(x[network]) for x in (gain, price, cost))
    print(f"{network}: from w = 0.5 to 0.95 left gains {g.mean:+.3f} [{g.low:+.3f}, {g.high:+.3f}], right pays {p.mean:.3f} "
          f"[{p.low:.3f}, {p.high:.3f}];\n             at 0.5 sharing costs {c.mean:+.4f} [{c.low:+.4f}, {c.high:+.4f}]")  # fmt: skip
claim("multitask.weights-trade", every=price - gain, at_least=0.02,
      says="w = 0.95, both trunks: how much more the right digit pays than the left one gains")  # fmt: skip
claim("multitask.narrow-pays-for-sharing", every=cost["4 channels"], at_least=0.0,
      says="4 channels, w = 0.5: what sharing costs against one task alone")  # fmt: skip

# %% [markdown]
# In the widget, Tab moves between the controls and the arrow keys move the weight. Each point is the mean of the table’s seeds; one seed moves by a point or so
# (section 6), so do not read meaning into neighbours. The tick box lays section 6’s methods over the front of the wide trunk.

# %%
methods = table[~table.model.isin(["single", "equal"])].groupby("model")[list(course.TASKS)].mean().reset_index()
pareto_explorer(fronts, others={"16 channels": methods})

# %% [markdown]
# The same as two stills:

# %% tags=["measured"]
figures.show(pareto_view(fronts, "4 channels", 0.5))
pareto_view(fronts, "16 channels", 0.5, others=methods)

# %% [markdown]
# **What to see.** In the middle a task can be favoured at a fair price. At the ends the other one is starved, and the price is
# steep: the favoured task gains next to nothing and the other one loses points. The dashed lines are what the same trunk reaches with one task alone; how far
# the front stays away from the corner where they cross is what sharing costs. The narrow trunk pays for sharing; for the wide one the interval of the
# cost holds 0. And section 6’s methods, all fifteen, lie in a heap about the middle of the wide trunk’s front, no farther from the curve that plain
# weights draw than one seed lies from the next.
#
# ## 8 · Few labels: when sharing pays, and when it hurts
#
# So far both tasks had all the labels they could wish for, and the other task had little to add. Now let the left digit be named on a few
# pictures only, and give the trunk a second task with labels on all 24,000. In each step $L_\text{left}$ is computed on pictures drawn from the
# few, the other loss on a batch of all, and $L$ is their sum. Two such partners:
#
# - **right**: name the other digit. It needs an eye for strokes as well, but for those at the lower right;
# - **coarse**: is the *left* digit five or more? One bit, cheap to label, about the same thing.
#
# *Predict before you run.* With 100 names of left digits, what will each partner do to the accuracy of the left digit?
#
# <details><summary>For each: help by ten points or more, help a little, nothing, hurt.</summary>
#
# It is tempting to say: digits are digits, strokes learned from the right one will serve the left one. Ask what the trunk is *told to ignore*: for
# the right task, the digit at the upper left is noise.
#
# </details>

# %% tags=["measured"]
few = digits.train[:100]
live_few = {}
for partner in ("nothing", "right", "coarse"):
    tasks = ("left",) if partner == "nothing" else ("left", partner)
    heads = course.TASKS if partner == "nothing" else tasks
    model, _ = course.train(digits, course.few_losses(few, *tasks), tasks=heads, seed=seed)
    live_few[partner] = course.right(model, digits.test)["left"]
    print(f"100 names, beside {partner:<8} accuracy of the left digit {live_few[partner]:.3f}")
claim(
    "multitask.live-coarse-helps", live_few["coarse"] - live_few["nothing"], at_least=0.02,
    says="Trained here, 100 names: what the left digit gains beside its coarse label",
)  # fmt: skip
claim(
    "multitask.live-right-hurts", live_few["nothing"] - live_few["right"], at_least=0.0,
    says="Trained here, 100 names: what the left digit loses beside the right one",
)  # fmt: skip

# %% [markdown]
# That was one seed. The table has more, and more labels:

# %% tags=["measured"]
names, how = stored("multitask-few")
print(how)
left = names.pivot(index="seed", columns="model", values="left")
few_pairs = {f"{partner}, hard, {n}": f"alone, {n}" for partner in ("right", "coarse") for n in course.FEW}
print("\nbeside a partner against alone, the same number of labels")
helps, helps_stands = judged(left, few_pairs)
claim("multitask.coarse-helps", every=left["coarse, hard, 100"] - left["alone, 100"], at_least=0.05,
      says="100 labels: what the left digit gains beside its coarse label")  # fmt: skip
claim("multitask.right-hurts", every=left["alone, 100"] - left["right, hard, 100"], at_least=0.02,
      says="100 labels: what the left digit loses beside the right one")  # fmt: skip
claim("multitask.all-labels-settle-it", max(abs(helps[f"{p}, hard, 24000"].mean) for p in ("right", "coarse")), at_most=0.01,
      says="24,000 labels: what either partner changes")  # fmt: skip

# %%
fig, ax = figures.canvas(size=(7.6, 3.6))
ways = {"alone": "alone", "right, hard": "beside the right digit", "coarse, hard": "beside its coarse label"}
for (way, label), marker, colour in zip(ways.items(), figures.MARKERS, figures.PALETTE):
    each = left[[f"{way}, {n}" for n in course.FEW]]
    ax.plot(course.FEW, each.mean(), marker=marker, color=colour, label=label)
    ax.fill_between(course.FEW, each.min(), each.max(), color=colour, alpha=0.15)
ax.set(xscale="log", xlabel="labels of the left digit", ylabel="test accuracy of the left digit", ylim=(0.4, 1))
ax.set_title("A partner with 24,000 labels: few labels make the difference")
ax.legend(loc="lower right")
figures.describe(
    fig, "Accuracy of the left digit against its number of labels, bands from the lowest seed to the highest. "
    + "; ".join(f"{label}: " + ", ".join(f"{left[f'{way}, {n}'].mean():.2f} at {n:,}" for n in course.FEW) for way, label in ways.items()) + ".",
)  # fmt: skip

# %% [markdown]
# **What to see.** With 100 labels the coarse partner lifts the left digit by far more than any weighting or surgery moved anything in section 6, and the right digit
# drags it down. With 1,000 the coarse label still helps, and the right digit does no harm any more: the interval of its
# difference holds 0. With all labels neither changes anything that five seeds could show.
#
# **What to take away.** “Share when labels are few” lacks a clause: *with a task that needs the same features*. The coarse label makes the trunk look
# at the very digit that we want to name. The right digit, with ten times as many classes to tell and as many labels, makes it look elsewhere: it needs the
# trunk’s 64 numbers for itself, and to it the left digit is noise. Both are “digits”; what counts is what the trunk is told to ignore.
#
# ### Learn how much to share
#
# If a partner may hurt, let the network decide. Two ways beside hard sharing:
#
# **Cross-stitch** (Misra et al. 2016). A trunk a task; after each stage their features are mixed, with learned numbers,
#
# $$ \tilde x_A = \alpha_{AA}\, x_A + \alpha_{AB}\, x_B, \qquad \tilde x_B = \alpha_{BA}\, x_A + \alpha_{BB}\, x_B. $$
#
# With $\alpha$ the identity, nothing is shared. **MMoE** (Ma et al. 2018). Several trunks, the *experts* $f_e$, serve all tasks; each task weighs
# them by a gate of its own that looks at the input,
#
# $$ y_k = \mathrm{head}_k \Big( \sum_e g_{ke}\, f_e(x) \Big), \qquad g_k = \mathrm{softmax}(W_k x + b_k). $$
#
# With two experts both have as many parameters in their trunks as a network a task.


# %%
def cross_stitch(x, stages, alphas, heads):
    """x (B, …) → outputs by task; stages and heads by task, alphas (2, 2) a stage, tasks in the order of heads."""
    h = dict.fromkeys(heads, x)
    for k, alpha in enumerate(alphas):
        features = [stages[task][k](h[task]) for task in heads]  # one a task
        h = {task: alpha[t, 0] * features[0] + alpha[t, 1] * features[1] for t, task in enumerate(heads)}
    return {task: heads[task](h[task]) for task in heads}


def mmoe(x, experts, gates, heads):
    """x (B, …) → outputs by task."""
    f = torch.stack([expert(x) for expert in experts], dim=1)  # (B, E, H)
    out = {}
    for task, head in heads.items():
        g = gates[task](x.flatten(1)).softmax(-1)  # (B, E): g_ke
        out[task] = head((g[:, :, None] * f).sum(1))
    return out


# %% tags=["measured"]
x = some.inputs["image"]
stitched, experts = course.build("cross-stitch"), course.build("MMoE")
scores = {task: gate.score for task, gate in experts.gates.items()}
with torch.no_grad():
    by_hand = (
        cross_stitch(x, stitched.stages, stitched.alphas, stitched.heads),
        mmoe(x, experts.experts, scores, experts.heads),
    )
    gaps = [
        (mine[k] - model(x)[k]).abs().max() for mine, model in zip(by_hand, (stitched, experts)) for k in course.TASKS
    ]
claim(
    "multitask.sharing-by-hand",
    max(gaps),
    at_most=1e-5,
    says="Cross-stitch and MMoE by hand and by the library, largest difference",
)

# %% [markdown]
# The table has both with 100 labels, beside the right digit, where hard sharing hurt:

# %% tags=["measured"]
learned = [f"right, {way}, 100" for way in ("cross-stitch", "MMoE")]
print("against alone")
against_alone, alone_stands = judged(left, dict.fromkeys(learned, "alone, 100"))
print("\nagainst hard sharing")
against_hard, hard_stands = judged(left, dict.fromkeys(learned, "right, hard, 100"))
claim("multitask.stitches-avoid-the-harm", every=left[learned[0]] - left["right, hard, 100"], at_least=0.02,
      says="100 labels, beside the right digit: cross-stitch above hard sharing")  # fmt: skip

# %% [markdown]
# Cross-stitch does what it was made for: well above hard sharing, and not to be told from a network alone. Its stitches let the left digit keep a trunk of its own. It
# avoids the harm; it brings no gain. MMoE, at this budget, fares hardly better than hard sharing. A likely reason: with two experts and a gate that begins
# undecided, both are shaped by the task that has 24,000 labels. Where you can, choose the partner; a network that learns how much to share is the second best.
#
# ## 9 · A picture and a word
#
# Two tasks in two modalities: which of Unicode’s groups is this emoji’s *picture* from, and which group its *keyword*? The concepts of the test are absent
# from training. Each modality has its own encoder; what can be shared is what comes after,
#
# $$ e_m = \mathrm{enc}_m(x_m), \qquad h_m = \mathrm{trunk}(e_m), \qquad y_m = \mathrm{head}_m(h_m), \qquad m \in \{\text{image}, \text{text}\}, $$
#
# by hard sharing, cross-stitch or MMoE, or by nothing. And because section 8 taught us to choose partners, two coarse tasks can stand beside them: *is it
# nature* (an animal, a plant, food or drink), told from $e_\text{image}$ and from $e_\text{text}$, with labels for every example:
#
# $$ L = L_\text{image} + L_\text{text} + L_\text{image, nature} + L_\text{text, nature}. $$

# %%
emoji = course.load_pairs(seed)
rows = torch.linspace(0, len(emoji.test) - 1, 12).long()
figures.picture_grid(
    emoji.test.inputs["image"][rows],
    [f"“{word}”\n{emoji.classes['group'][g]}" for word, g in zip(emoji.test[rows].info["text"], emoji.test.targets["group"][rows])],
    columns=6, inch=1.35, title="Two tasks: the group of the picture, and the group of the word",
    alt="Twelve small emoji from the test, each with one keyword and the group that both tasks are to name.",
)  # fmt: skip

# %% tags=["measured"]
both_tasks, how = stored("multitask-pairs")
print(how)
known = both_tasks[both_tasks.model == "apart, few"].examples.mean()
print(
    f"{len(emoji.train)} training examples; “few” means {course.CONCEPTS} concepts a group, about {known:.0f} examples"
)
live_pair = course.pair_right(course.train_pairs(emoji, emoji.train, "hard", seed=seed)[0], emoji.test)
print(f"trained here, hard, all labels: picture {live_pair['image']:.3f}, word {live_pair['text']:.3f}")
largest = (emoji.test.targets["group"].bincount().max() / len(emoji.test)).item()
print(f"always the most frequent group of the test: {largest:.3f}")

# %%
fig, axes = figures.canvas(1, 2, size=(9.2, 3.4), sharey=True)
for ax, labels in zip(axes, ("all", "few")):
    part = both_tasks[both_tasks.model.str.endswith(labels)]
    ways = [name.split(", ")[0] for name in part.model.unique()]
    for shift, (sense, word), marker in zip((-0.13, 0.13), (("image", "picture"), ("text", "word")), figures.MARKERS):
        for i, (_, rows) in enumerate(part.groupby("model", sort=False)):
            mean, low, high = mean_interval(rows[sense])
            colour = figures.COLOURS[sense]
            ax.plot([i + shift] * 2, [low, high], color=colour, lw=6, alpha=0.3, solid_capstyle="round")
            ax.plot([i + shift] * len(rows), rows[sense], marker, color=colour, ms=4, label=word if i == 0 else None)
    ax.set_xticks(range(len(ways)), [way.replace(" + ", "\n+ ") for way in ways])
    ax.axhline(largest, color=figures.COLOURS["chance"], ls="--", lw=1, label="most frequent group")
    ax.set(title=f"{labels} labels")
axes[0].set_ylabel("test accuracy")
axes[1].legend(loc="upper right")
means = both_tasks.groupby("model", sort=False)[list(course.SENSES)].mean()
figures.describe(
    fig, "Test accuracy of the picture’s and the word’s group, a dot a seed, bars are 95 % intervals of the mean: "
    + "; ".join(f"{name} labels: picture {row['image']:.2f}, word {row['text']:.2f}" for name, row in means.iterrows()) + ".",
)  # fmt: skip

# %% tags=["measured"]
picture, word = (both_tasks.pivot(index="seed", columns="model", values=sense) for sense in course.SENSES)
others = {name: f"apart, {name.split(', ')[1]}" for name in means.index if not name.startswith("apart, ")}
print("the picture, against two networks")
seen, seen_stands = judged(picture, others)
print("\nthe word, against two networks")
read, read_stands = judged(word, others)
alike = [name for name in others if name.endswith("all")]
claim("multitask.shared-trunk-buys-little", max((seen[name].mean + read[name].mean) / 2 for name in alike), at_most=0.02,
      says="All labels: the most that sharing after the encoders gains, mean of both tasks")  # fmt: skip

# %% [markdown]
# **What to see.** With all labels, sharing the trunk changes little, whichever way it is done: no difference stands after the correction, and the intervals, some of
# them several points wide, leave room for small effects of either sign. What makes the task hard is to see a picture and to know a word, and that happens in the
# encoders, which are *not* shared. With few labels both tasks lie near the most frequent group, shared or not. The picture beside its coarse task
# gains most: that task has labels for all, and there the *encoder* serves two tasks. With one trunk for both modalities its interval keeps clear of 0, and yet the
# gain does not stand: it is the best of six, and Holm’s correction asks more of a best one. That is a reason for more seeds, not for a claim. The words gain nothing:
# an unseen word stays unseen.
#
# **What to take away.** Ask what is scarce, and share that.
#
# ## FAQ
#
# <details><summary>My losses differ by a factor of a hundred. What do I do first?</summary>
#
# Put them in comparable units: divide each by what a constant guess would score, or use a rule that is free of units (section 5: GLS, uncertainty, ConFIG).
# Then compare with a network a task. Surgery comes last, if a measured conflict asks for it.
#
# </details>
# <details><summary>The cosine of my tasks is near 0. Is that bad?</summary>
#
# No. In $P$ dimensions two random directions have a cosine of about $\pm 1/\sqrt{P}$, so near 0 means: these tasks ignore each other. The sum
# then helps each of them as much as its own gradient would.
#
# </details>
# <details><summary>Why not choose the weights by a search on validation?</summary>
#
# With two tasks, do: section 7 is such a search, and it shows what is to be had. With $T$ tasks a grid of seven values a weight has $7^{T-1}$ points. That is what
# the rules are for.
#
# </details>
# <details><summary>Is a paper’s gain of half a point on MultiMNIST real?</summary>
#
# Ask for the number of seeds, for paired differences, and for the single-task baseline with the same care. Section 6 shows how far seeds alone move
# the same method.
#
# </details>
#
# ## Quiz
#
# **1. $g_1\cdot g_2 < 0$. What follows?**
#
# <details><summary>No step can help both tasks</summary>No: unless they are exactly opposite, MGDA’s direction helps both.</details>
# <details><summary>A small step along $-g_1$ raises $L_2$</summary>Yes: to first order by $-\eta\, g_1\cdot g_2 > 0$.</details>
# <details><summary>The sum of the gradients hurts one of them</summary>Not always: $g_1\cdot(g_1+g_2)$ may still be positive, if $g_1$ is long enough.</details>
#
# **2. One loss is multiplied by 100. Whose direction stays the same?**
#
# <details><summary>Equal weights’</summary>No: the first task takes the sum over.</details>
# <details><summary>MGDA’s</summary>No: it runs after the shortest gradient, so that the other task takes over.</details>
# <details><summary>GLS’s</summary>Yes: $w_k \propto 1/L_k$ takes the factor out again.</details>
# <details><summary>PCGrad’s</summary>No: each projection is free of units, their sum is not.</details>
#
# **3. Why is MGDA’s $d$ a descent direction for every task?**
#
# <details><summary>It is the mean of the gradients</summary>It is a mixture, but seldom the mean; and the mean may hurt a task.</details>
# <details><summary>It is the shortest vector of a convex set that holds every $g_k$, so $g_k\cdot d\ge\lVert d\rVert^2$</summary>Yes: else a step from $d$ towards $g_k$ would make it shorter.</details>
# <details><summary>It is orthogonal to every $g_k$</summary>Then no loss would change at all, to first order.</details>
#
# **4. A method beats equal weights by .3 points, $p = .04$, one of sixteen that were tried. Do you believe it?**
#
# <details><summary>Yes, $p < .05$</summary>Of sixteen methods that do nothing, in every other table at least one will get below that.</details>
# <details><summary>Not yet</summary>Right: after Holm’s correction the smallest of sixteen must be below $.05/16$. Take fresh seeds for this one method.</details>
# <details><summary>No, differences below a point are never real</summary>With enough paired seeds they can be.</details>
#
# **5. When did sharing the trunk pay most in this chapter?**
#
# <details><summary>When both tasks had all labels</summary>No: there the trunk could learn from each task all that it needed.</details>
# <details><summary>When one task had few labels and another, that needs the same eye, had many</summary>Yes: section 8.</details>
# <details><summary>When the two tasks came from two modalities</summary>No: there each brings an encoder of its own, and what was shared was not what was scarce.</details>
#
# **6. In uncertainty weighting, what keeps $s_k$ from growing for ever?**
#
# <details><summary>The term $\tfrac12 s_k$</summary>Yes: it comes from the Gaussian’s normalisation; large noise makes all data less probable.</details>
# <details><summary>Weight decay</summary>Not needed: the optimum $s_k = \log L_k$ is finite as it is.</details>
# <details><summary>Nothing; the weights go to 0</summary>They would without that term.</details>
#
# ## Go further
#
# - Rich Caruana, 1997, “Multitask Learning”, Machine Learning: why related tasks help each other, with experiments.
# - Alex Kendall, Yarin Gal and Roberto Cipolla, 2018, “Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics”, CVPR.
# - Zhao Chen, Vijay Badrinarayanan, Chen-Yu Lee and Andrew Rabinovich, 2018, “GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep
#   Multitask Networks”, ICML.
# - Ozan Sener and Vladlen Koltun, 2018, “Multi-Task Learning as Multi-Objective Optimization”, NeurIPS: MGDA for networks, and MultiMNIST as used here.
# - Tianhe Yu, Saurabh Kumar, Abhishek Gupta, Sergey Levine, Karol Hausman and Chelsea Finn, 2020, “Gradient Surgery for Multi-Task Learning”, NeurIPS.
# - Bo Liu, Xingchao Liu, Xiaojie Jin, Peter Stone and Qiang Liu, 2021, “Conflict-Averse Gradient Descent for Multi-task Learning”, NeurIPS.
# - Vitaly Kurin, Alessandro De Palma, Ilya Kostrikov, Shimon Whiteson and M. Pawan Kumar, 2022, “In Defense of the Unitary Scalarization for Deep
#   Multi-Task Learning”, NeurIPS: well-tuned equal weights against the methods of this chapter.
# - Ishan Misra, Abhinav Shrivastava, Abhinav Gupta and Martial Hebert, 2016, “Cross-stitch Networks for Multi-task Learning”, CVPR; Jiaqi Ma et al., 2018,
#   “Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts”, KDD.
