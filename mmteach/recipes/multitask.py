"""Chapter 05, Multi-task learning: two digits in one picture, a picture beside a word, and every way to balance the tasks.

| name                     | what it does                                                                        |
|--------------------------|-------------------------------------------------------------------------------------|
| `load`                   | MultiMNIST: the upper left and the lower right digit of one picture                 |
| `trunk`, `build`         | a small convolutional network; a model of several tasks that shares it in some way  |
| `losses`                 | the loss of `fit`: a cross-entropy a task                                           |
| `weighted`, `fixed`, `combined` | the `backward` of `fit`: weigh the losses, or combine the tasks' gradients          |
| `balance`, `METHODS`     | either by its name                                                                  |
| `watched`                | a `backward` that also writes down the cosine between the tasks' gradients          |
| `train`, `right`         | train on MultiMNIST; the share of right answers by task                             |
| `few_losses`             | the losses where one task's labels are known of a few pictures only                  |
| `load_pairs`, `Pairs`    | emoji and a keyword; a picture's group and a word's group told by one model          |
| `pair_losses`            | their losses, and those of two coarse tasks                                          |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.claims import pick
from mmteach.data import load_emoji, load_multimnist
from mmteach.data.batch import Batch, Splits
from mmteach.data.emoji import EmojiSplits
from mmteach.encoders import ImageResNet, TextBag
from mmteach.multitask import (
    CGC,
    CrossStitch,
    HardSharing,
    MMoE,
    aligned_mtl,
    cagrad,
    config,
    cosine_matrix,
    dualproj,
    dwa,
    fairgrad,
    gls,
    gradnorm,
    gradnorm_weights,
    imtl_g,
    mgda,
    nash,
    pcgrad,
    rlw,
    set_gradient,
    task_gradients,
    uncertainty,
    upgrad,
)
from mmteach.recipes import Recipe
from mmteach.training import fit, seed_everything, small_precision
from mmteach.training.history import History
from mmteach.training.loop import Loss

TASKS = ("left", "right")
CLASSES = {"left": 10, "right": 10, "coarse": 2}
WIDTH, NARROW = 16, 4  # channels of the trunk's first layer
DIM = 64  # width of what the trunk hands to the heads
LR = 1e-2
Backward = Callable[[dict[str, Tensor], nn.Module], None]

SURGERIES: dict[str, Callable[[Tensor], Tensor]] = {
    "PCGrad": pcgrad,
    "MGDA": mgda,
    "CAGrad": cagrad,
    "IMTL-G": imtl_g,
    "ConFIG": config,
    "Aligned-MTL": aligned_mtl,
    "Nash": nash,
    "FairGrad": lambda jacobian: fairgrad(jacobian, alpha=2.0),
    "UPGrad": upgrad,
    "DualProj": dualproj,
}
METHODS = ("equal", "uncertainty", "DWA", "RLW", "GradNorm", "GLS", *SURGERIES)


# -- two digits in one picture -----------------------------------------------------------------------------------------


def load(seed: int = 0) -> Splits:
    """MultiMNIST, 24,000 / 2,000 / 4,000 pictures (1, 36, 36) made of 4,000 / 500 / 500 digits.

    A third target, "coarse", is 1 where the left digit is 5 or more.
    """
    digits = load_multimnist(pick(smoke=(256, 64, 64), laptop=(24000, 2000, 4000)), seed=seed)
    for part in (digits.train, digits.valid, digits.test):
        part.targets["coarse"] = (part.targets["left"] >= 5).long()
    return digits


def _stages(width: int) -> list[nn.Module]:
    first = nn.Sequential(nn.Conv2d(1, width, 5, stride=2, padding=2), nn.ReLU())  # (B, width, 18, 18)
    second = nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU())  # (B, 2 width, 9, 9)
    third = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten())
    last = nn.Sequential(nn.Linear(2 * width * 25, DIM), nn.ReLU())  # (B, DIM)
    return [first, second, third, last]


def trunk(width: int = WIDTH) -> nn.Sequential:
    """Three convolutions that each halve the picture, and a dense layer: (B, 1, 36, 36) → (B, 64)."""
    return nn.Sequential(*_stages(width))


def build(sharing: str = "hard", width: int = WIDTH, tasks: Sequence[str] = TASKS) -> nn.Module:
    """A model of two tasks: "hard" (one trunk), "cross-stitch" and "MMoE" (two each), or "CGC" (three)."""
    heads = {task: nn.Linear(DIM, CLASSES[task]) for task in tasks}
    if sharing == "hard":
        return HardSharing(trunk(width), heads)
    if sharing == "cross-stitch":
        return CrossStitch({task: _stages(width) for task in tasks}, heads)
    if sharing == "MMoE":
        return MMoE(36 * 36, [trunk(width) for _ in range(2)], heads)
    if sharing == "CGC":
        return CGC(36 * 36, [trunk(width)], {task: [trunk(width)] for task in tasks}, heads)
    raise ValueError(f"sharing must be hard, cross-stitch, MMoE or CGC, got {sharing!r}")


def losses(*tasks: str) -> Loss:
    """The loss of `fit`: (model, batch) → {task: mean cross-entropy}, for the tasks that are named."""

    def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        y = model(batch.inputs["image"])
        return {task: F.cross_entropy(y[task], batch.targets[task]) for task in tasks}

    return loss


@torch.no_grad()
def right(model: nn.Module, split: Batch) -> dict[str, float]:
    """The share of right answers, by task."""
    device = next(model.parameters()).device
    y = model(split.inputs["image"].to(device))
    return {task: (o.argmax(1).cpu() == split.targets[task].cpu()).float().mean().item() for task, o in y.items()}


# -- balancing the tasks -----------------------------------------------------------------------------------------------


def weighted(weigh: Callable[[Tensor], Tensor]) -> Backward:
    """The gradient of Σ_t w_t L_t, where `weigh` maps the losses (T,) to the weights w (T,), in every parameter."""

    def backward(losses: dict[str, Tensor], model: nn.Module) -> None:
        each = torch.stack(list(losses.values()))
        (weigh(each).detach().to(each) * each).sum().backward()

    return backward


def fixed(*weights: float) -> Backward:
    """The gradient of Σ_t w_t L_t with the same weights all the time."""
    return weighted(lambda each: torch.tensor(weights))


def combined(combine: Callable[[Tensor], Tensor]) -> Backward:
    """`combine` maps the Jacobian (T, P) to the gradient of the shared parameters; each head keeps its own task's."""

    def backward(losses: dict[str, Tensor], model: nn.Module) -> None:
        each = torch.stack(list(losses.values()))
        shared, heads = list(model.shared_parameters()), list(model.heads.parameters())  # type: ignore[operator, union-attr]
        jacobian = task_gradients(each, shared)
        set_gradient(heads, task_gradients([each.sum()], heads)[0])
        set_gradient(shared, combine(jacobian))

    return backward


def _learned_noise(lr: float = 0.01) -> Backward:
    s = torch.zeros(len(TASKS), requires_grad=True)
    optimizer = torch.optim.Adam([s], lr=lr)

    def backward(losses: dict[str, Tensor], model: nn.Module) -> None:
        optimizer.zero_grad()
        uncertainty(each := torch.stack(list(losses.values())), s.to(each)).backward()
        optimizer.step()

    return backward


def _averaged(every: int = 50) -> Backward:
    """DWA with an "epoch" of `every` steps: a run of a few passes over the data has too few real ones."""
    finished: list[Tensor] = []
    running: list[Tensor] = []

    def weigh(each: Tensor) -> Tensor:
        running.append(each.detach())
        if len(running) == every:
            finished.append(torch.stack(running).mean(0))
            running.clear()
        return dwa(torch.stack(finished)) if finished else torch.ones_like(each)

    return weighted(weigh)


def _normed(lr: float = 0.01) -> Backward:
    s = torch.zeros(len(TASKS), requires_grad=True)
    optimizer = torch.optim.Adam([s], lr=lr)
    first: list[Tensor] = []

    def backward(losses: dict[str, Tensor], model: nn.Module) -> None:
        each = torch.stack(list(losses.values()))
        if not first:
            first.append(each.detach())
        jacobian = task_gradients(each, model.shared_parameters())  # type: ignore[operator]
        (gradnorm_weights(s).detach().to(each) * each).sum().backward()
        optimizer.zero_grad()
        gradnorm(each, first[0], jacobian, s.to(each)).backward()
        optimizer.step()

    return backward


def balance(method: str, seed: int = 0) -> Backward:
    """The `backward` of `fit` for one of METHODS; what is random in it follows from the seed."""
    generator = torch.Generator().manual_seed(seed)
    if method in SURGERIES:
        return combined(SURGERIES[method])
    makers: dict[str, Callable[[], Backward]] = {
        "equal": lambda: weighted(torch.ones_like),
        "uncertainty": _learned_noise,
        "DWA": _averaged,
        "RLW": lambda: weighted(lambda each: rlw(each.detach().cpu(), generator)),
        "GradNorm": _normed,
        "GLS": lambda: weighted(gls),
    }
    if method not in makers:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    return makers[method]()


def watched(backward: Backward, trace: list[tuple[int, float]], every: int = 10) -> Backward:
    """The same `backward`; every so many steps it appends (step, cosine of the two tasks' gradients) to `trace`."""
    step = 0

    def watching(losses: dict[str, Tensor], model: nn.Module) -> None:
        nonlocal step
        if step % every == 0:
            jacobian = task_gradients(list(losses.values()), model.shared_parameters())  # type: ignore[operator]
            trace.append((step, cosine_matrix(jacobian)[0, 1].item()))
        step += 1
        backward(losses, model)

    return watching


def train(
    digits: Splits,
    loss: Loss,
    backward: Backward | None = None,
    *,
    sharing: str = "hard",
    width: int = WIDTH,
    tasks: Sequence[str] = TASKS,
    lr: float = LR,
    seed: int = 0,
) -> tuple[nn.Module, History]:
    """A model of MultiMNIST after 400 steps on batches of 128: the same steps and the same schedule, whatever the method."""
    seed_everything(seed)
    model = build(sharing, width, tasks)
    history = fit(
        model,
        digits.train,
        loss=loss,
        backward=backward,
        steps=pick(smoke=4, laptop=400),
        batch_size=128,
        lr=lr,
        schedule="cosine",
        warmup=0.1,
        seed=seed,
        precision=small_precision(),
    )
    return model, history


def _row(valid: Mapping[str, float], test: Mapping[str, float], **more: float) -> dict[str, float]:
    """What a table keeps of a model: both tasks on test, and the mean over the tasks on validation, which chooses."""
    mean = sum(test.values()) / len(test)
    figures = {**test, "mean": mean, "valid": sum(valid.values()) / len(valid), **more}
    return {name: round(value, 4) for name, value in figures.items()}


def _single(digits: Splits, seed: int, lr: float = LR) -> dict[str, float]:
    """A network a task, each with the steps that a joint one has: twice the parameters, twice the time."""
    models, seconds = {}, 0.0
    for task in TASKS:
        models[task], history = train(digits, losses(task), lr=lr, seed=seed)
        seconds += history.seconds
    valid, test = ({task: right(models[task], part)[task] for task in TASKS} for part in (digits.valid, digits.test))
    return _row(valid, test, seconds=seconds)


def methods(seed: int) -> dict[str, dict[str, float]]:
    """A network a task, then one network for both by each of METHODS."""
    digits = load(seed)
    rows = {"single": _single(digits, seed)}
    for method in METHODS:
        trace: list[tuple[int, float]] = []
        backward = watched(balance(method, seed), trace, every=20)
        model, history = train(digits, losses(*TASKS), backward, seed=seed)
        cosines = torch.tensor([cosine for _, cosine in trace])
        fifth = max(1, len(cosines) // 5)
        rows[method] = _row(
            right(model, digits.valid),
            right(model, digits.test),
            seconds=history.seconds,
            cosine_first=cosines[:fifth].mean().item(),
            cosine_last=cosines[-fifth:].mean().item(),
            conflicts=(cosines < 0).float().mean().item(),
        )
    return rows


RATES = (3e-3, 1e-2, 2e-2)


def rates(seed: int) -> dict[str, dict[str, float]]:
    """A network a task, and one for both, at three learning rates: the one that validation prefers is the chapter's LR."""
    digits = load(seed)
    rows = {}
    for lr in RATES:
        rows[f"single, {lr:g}"] = _single(digits, seed, lr=lr)
        for method in ("equal", "PCGrad", "MGDA"):
            model, _ = train(digits, losses(*TASKS), balance(method, seed), lr=lr, seed=seed)
            rows[f"{method}, {lr:g}"] = _row(right(model, digits.valid), right(model, digits.test))
    return rows


SHARES = (0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0)  # w_left; the right task gets the rest


def front(seed: int, widths: Sequence[int] = (NARROW, WIDTH)) -> dict[str, dict[str, float]]:
    """One network for both at seven weights w_left + w_right = 1, narrow and wide; at 0 and 1 it learns one task alone."""
    digits = load(seed)
    rows = {}
    for width in widths:
        for share in SHARES:
            model, _ = train(digits, losses(*TASKS), fixed(share, 1 - share), width=width, seed=seed)
            on_test = right(model, digits.test)
            rows[f"{width} channels, w_left {share:g}"] = {
                **_row(right(model, digits.valid), on_test),
                "channels": width,
                "w_left": share,
            }
    return rows


# -- few labels --------------------------------------------------------------------------------------------------------


def few_losses(few: Batch, *tasks: str) -> Loss:
    """The losses where the first task's labels are known of the pictures in `few` only, the second one's of every picture.

    The first loss is computed on pictures drawn from `few`, as many as `fit` hands over; the second one on those.
    """

    def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        some = few[torch.randint(len(few), (len(batch),))].to(batch.inputs["image"].device) if model.training else batch
        seen = dict(zip(tasks, (some, batch)))
        if len(tasks) == 1:
            y = model(some.inputs["image"])
        else:
            y = model({task: one.inputs["image"] for task, one in seen.items()})
        return {task: F.cross_entropy(y[task], one.targets[task]) for task, one in seen.items()}

    return loss


FEW = (100, 1000, 24000)


def few_labels(seed: int) -> dict[str, dict[str, float]]:
    """The left digit from n labels: alone, and beside a task that has all its labels.

    "right": the other digit; "coarse": is the left digit 5 or more. By hard sharing; beside the right digit
    and with the fewest labels also by what learns how much to share.
    """
    digits = load(seed)
    rows = {}
    for n in FEW:
        few = digits.train[:n]
        ways = [("alone", "hard"), ("right", "hard"), ("coarse", "hard")]
        ways += [("right", "cross-stitch"), ("right", "MMoE")] if n == FEW[0] else []
        for partner, sharing in ways:
            tasks = ("left",) if partner == "alone" else ("left", partner)
            heads = TASKS if partner == "alone" else tasks
            model, history = train(digits, few_losses(few, *tasks), sharing=sharing, tasks=heads, seed=seed)
            valid, test = right(model, digits.valid), right(model, digits.test)
            figures = {"left": test["left"], "valid": valid["left"], "seconds": history.seconds}
            name = partner if partner == "alone" else f"{partner}, {sharing}"
            rows[f"{name}, {n}"] = {"labels": n, **{key: round(value, 4) for key, value in figures.items()}}
    return rows


# -- a picture beside a word -------------------------------------------------------------------------------------------

SENSES = ("image", "text")


def load_pairs(seed: int = 0) -> EmojiSplits:
    """Emoji in two styles at 24 × 24, each with a keyword; concepts of valid and test are absent from train."""
    return load_emoji(["twemoji", "noto"], keywords=2, size=24, seed=seed)


class Pairs(nn.Module):
    """Which group is the picture of, and which group the word? An encoder a sense, then a trunk that is shared or not.

    e_m = enc_m(x_m),   h_m = trunk(e_m),   o_m = head_m(h_m)

    words:   the vocabulary's size;  sharing: "apart" (a trunk a task), "hard", "cross-stitch" or "MMoE"
    forward({"image": uint8 (B, 3, 24, 24), "text": (B, T)}, masks) → {"image": (B, 8), "text": (B, 8)}
    nature(the same) → {"image": (B, 2), "text": (B, 2)}: animal, plant, food or drink, or not? Told from e_m
    """

    def __init__(self, words: int, sharing: str = "hard") -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({"image": ImageResNet(DIM, width=8), "text": TextBag(words, DIM)})
        self.coarse = nn.ModuleDict({sense: nn.Linear(DIM, 2) for sense in SENSES})
        heads = {sense: nn.Linear(DIM, 8) for sense in SENSES}
        if sharing == "hard":
            self.tasks: nn.Module = HardSharing(self._trunk(), heads)
        elif sharing == "cross-stitch":
            self.tasks = CrossStitch({sense: list(self._trunk()) for sense in SENSES}, heads)
        elif sharing == "MMoE":
            self.tasks = MMoE(DIM, [self._trunk() for _ in range(2)], heads)
        elif sharing == "apart":
            # Stitches that let nothing through and never learn: two networks that happen to be trained in one loop.
            self.tasks = CrossStitch({sense: list(self._trunk()) for sense in SENSES}, heads, own=1.0)
            self.tasks.alphas.requires_grad_(False)
        else:
            raise ValueError(f"sharing must be apart, hard, cross-stitch or MMoE, got {sharing!r}")

    def _trunk(self) -> nn.Sequential:
        stages = [nn.Sequential(nn.Linear(DIM, DIM), nn.ReLU(), nn.Dropout(0.2)) for _ in range(2)]
        return nn.Sequential(*stages)

    def encode(self, inputs: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {sense: self.encoders[sense](inputs[sense], masks.get(sense)) for sense in SENSES}

    def nature(self, inputs: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {sense: self.coarse[sense](F.relu(e)) for sense, e in self.encode(inputs, masks).items()}

    def forward(self, inputs: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.tasks(self.encode(inputs, masks))


def few_of_each(batch: Batch, concepts: int, seed: int) -> Tensor:
    """Which rows belong to `concepts` concepts of every group, drawn by the seed: bool (N,)."""
    generator = torch.Generator().manual_seed(seed)
    group, concept = batch.targets["group"], batch.targets["concept"]
    kept = []
    for g in group.unique():
        members = concept[group == g].unique()
        kept.append(members[torch.randperm(len(members), generator=generator)[:concepts]])
    return torch.isin(concept, torch.cat(kept))


def pair_losses(labelled: Batch, coarse: bool = False) -> Loss:
    """The cross-entropy of the picture's and of the word's group, and by choice of two coarse tasks.

    labelled: the examples whose group is known; as many as `fit` hands over are drawn for each task, apart
    coarse:   also learn of every example that `fit` hands over whether it is nature, from the picture and from the word
    """

    def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        seen, read = batch, batch
        if model.training:
            device = batch.inputs["image"].device
            seen, read = (labelled[torch.randint(len(labelled), (len(batch),))].to(device) for _ in SENSES)
        y = model({"image": seen.inputs["image"], "text": read.inputs["text"]}, {"text": read.masks["text"]})
        parts = {
            "image": F.cross_entropy(y["image"], seen.targets["group"]),
            "text": F.cross_entropy(y["text"], read.targets["group"]),
        }
        if coarse:
            for sense, o in model.nature(batch.inputs, batch.masks).items():  # type: ignore[operator]
                parts[f"{sense}, nature"] = F.cross_entropy(o, batch.targets["nature"])
        return parts

    return loss


@torch.no_grad()
def pair_right(model: nn.Module, split: Batch) -> dict[str, float]:
    """The share of right groups, told from the picture and from the word."""
    device = next(model.parameters()).device
    y = model({m: split.inputs[m].to(device) for m in SENSES}, {"text": split.masks["text"].to(device)})
    return {m: (y[m].argmax(1).cpu() == split.targets["group"].cpu()).float().mean().item() for m in SENSES}


def train_pairs(
    emoji: EmojiSplits, labelled: Batch, sharing: str, coarse: bool = False, seed: int = 0
) -> tuple[nn.Module, History]:
    """The emoji model after 400 steps on 64 labelled examples a task, and 64 more for the coarse tasks."""
    seed_everything(seed)
    model = Pairs(len(emoji.vocabulary), sharing)
    history = fit(
        model,
        emoji.train,
        loss=pair_losses(labelled, coarse),
        steps=pick(smoke=3, laptop=400),
        batch_size=64,
        lr=3e-3,
        weight_decay=0.05,
        schedule="cosine",
        warmup=0.1,
        seed=seed,
        precision=small_precision(),
    )
    return model, history


CONCEPTS = 5  # of each group, where labels are few


def image_and_text(seed: int) -> dict[str, dict[str, float]]:
    """A picture's group and a word's group: apart, and shared in three ways; few labels also beside two coarse tasks."""
    emoji = load_pairs(seed)
    thin = pick(smoke=20, laptop=1)
    known = emoji.train[few_of_each(emoji.train, CONCEPTS, seed)]
    ways = {
        "all": ("apart", "hard", "cross-stitch", "MMoE"),
        "few": ("apart", "hard", "apart + nature", "hard + nature"),
    }
    rows = {}
    for labels, some in (("all", emoji.train[::thin]), ("few", known)):
        for way in ways[labels]:
            sharing, _, coarse = way.partition(" + ")
            model, history = train_pairs(emoji, some, sharing, bool(coarse), seed)
            valid, test = pair_right(model, emoji.valid), pair_right(model, emoji.test)
            rows[f"{way}, {labels}"] = _row(valid, test, examples=len(some), seconds=history.seconds)
    return rows


RECIPES = [
    Recipe("multitask-rates", "MultiMNIST at three learning rates: a network a task, and one network for both", rates),
    Recipe(
        "multitask-methods",
        "MultiMNIST: a network a task, and one network for both with every loss weighting and gradient surgery",
        methods,
    ),
    Recipe("multitask-front", "MultiMNIST: one network for both tasks at seven weights, narrow and wide", front),
    Recipe(
        "multitask-few",
        "MultiMNIST with few labels of the left digit: alone, beside the right digit, and beside a coarse label of its own",
        few_labels,
    ),
    Recipe(
        "multitask-pairs",
        "The group of an emoji's picture and of its keyword, unseen concepts: apart, shared, and beside coarse labels",
        image_and_text,
    ),
]
