"""Chapter 03, Fusion: the classic model, and every fusion method on the same encoders.

| name                     | what it does                                                                     |
|--------------------------|-----------------------------------------------------------------------------------|
| `classic`                | the classic model against each modality alone                                      |
| `alone`, `forget_words`  | what it takes: one modality under the same dense layers, words forgotten in training |
| `encoder`                | an encoder of one modality, trained to tell the subgroup                             |
| `jitter`                 | an augmentation: pictures turned, moved, scaled, mirrored and tinted a little          |
| `see`                    | the tokens of a split's pictures, computed once, in place of the pictures            |
| `METHODS`, `fuse`        | every fusion by name, and its training on encoders that stay as they are            |
| `whole`                  | the trained fusion on its encoders, to be given pictures again                       |
| `without`, `accuracy`    | a split with one modality missing; the share of right answers                        |
| `EarlyPixels`            | the earliest fusion: the word laid over every pixel                                   |
| `compete`                | encoders trained together from nothing, with a cure for competition or without        |
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.claims import pick
from mmteach.data import load_emoji
from mmteach.data.batch import Batch
from mmteach.data.emoji import EmojiSplits
from mmteach.diagnosis import (
    gradient_blending,
    modulate_gradients,
    ogm_coefficients,
    unimodal_logits,
    unimodal_scores,
)
from mmteach.encoders import ImageCNN, ImageResNet, TextBag, TextLSTM
from mmteach.fusion import (
    GMU,
    MFB,
    AttentionFusion,
    BottleneckFusion,
    ClassicFusion,
    Concat,
    CrossAttentionFusion,
    EarlyFusion,
    FiLM,
    GatedFusion,
    LateFusion,
    LowRankTensorFusion,
    MixtureOfExperts,
    ModalityDropout,
    MulT,
    MultimodalClassifier,
    MultiplicativeInteractions,
    PerceiverFusion,
    ProductFusion,
    SumFusion,
    TensorFusion,
    late_fusion_loss,
)
from mmteach.metrics import auc
from mmteach.recipes import Recipe
from mmteach.training import classify, detect, fit, predict, seed_everything
from mmteach.training.history import History


def alone(encoder: ImageCNN | TextLSTM, modality: str) -> MultimodalClassifier:
    """One encoder of the classic model under the classic model's dense layers: 128, 64, 1."""
    head = nn.Sequential(nn.Linear(encoder.dim, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))
    return MultimodalClassifier({modality: encoder}, None, head)


def forget_words(batch: Batch) -> Batch:
    """Each word becomes the unknown word one time in ten, or the network never learns what an unknown word says."""
    text = batch.inputs["text"]
    forgotten = (torch.rand(text.shape, device=text.device) < 0.1) & (text > 1)
    return replace(batch, inputs={**batch.inputs, "text": text.masked_fill(forgotten, 1)})


def classic(seed: int) -> dict[str, dict[str, float]]:
    """The classic model on emoji, with both modalities and with each alone, by its own settings: ten epochs, batch 32.

    Each alone has its encoder and the same dense layers; whatever reads words learns what an unknown one says. The epoch is
    chosen on validation, the area is the test's.
    """
    emoji = load_emoji(keywords=2, seed=seed)
    thin = pick(smoke=50, laptop=1)
    words = len(emoji.vocabulary)
    makers = {
        "image": lambda: alone(ImageCNN(48), "image"),
        "text": lambda: alone(TextLSTM(words), "text"),
        "both": lambda: ClassicFusion(image_size=48, vocabulary=words),
    }
    rows = {}
    for name, make in makers.items():
        parts = [part if name == "both" else part.only(name) for part in (emoji.train, emoji.valid, emoji.test)]
        train, valid, test = (part[::thin] for part in parts)
        seed_everything(seed)
        model = make()
        history = fit(
            model,
            train,
            valid,
            loss=detect("nature"),
            metric=lambda model, split: {"auc": auc(predict(model, split), split.targets["nature"])},
            monitor="valid_auc",
            higher_is_better=True,
            augment=None if name == "image" else forget_words,
            seed=seed,
            **{**ClassicFusion.TRAINING, "epochs": pick(smoke=1, laptop=10)},
        )
        rows[name] = {
            "auc": auc(predict(model, test), test.targets["nature"]),
            "epoch": history[history.best or 0]["epoch"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "seconds": round(history.seconds, 1),
        }
    return rows


# The table of fusions: encoders trained once a seed, and every method on top of the same ones.

CLASSES = 94
WIDTH = 64  # of an encoder's tokens and vectors
DIM = 128  # of the fused vector z
TRAINING: dict[str, Any] = {"lr": 3e-3, "weight_decay": 0.05, "schedule": "cosine", "warmup": 0.1, "precision": "fp32"}

METHODS: dict[str, Callable[[dict[str, int]], nn.Module]] = {
    "early, each place": lambda dims: EarlyFusion(dims, DIM),
    "concat": lambda dims: Concat(dims, DIM),
    "sum": lambda dims: SumFusion(dims, DIM),
    "product": lambda dims: ProductFusion(dims, DIM),
    "attention weights": lambda dims: AttentionFusion(dims, DIM),
    "gated": lambda dims: GatedFusion(dims, DIM, gate="text", normalise=True, zero_init=True),
    "GMU": lambda dims: GMU(dims, DIM, normalise=True, zero_init=True),
    "FiLM": lambda dims: FiLM(dims, DIM, normalise=True, zero_init=True),
    "bilinear (MFB)": lambda dims: MFB(dims, DIM, factors=2),
    "tensor": lambda dims: TensorFusion(dims, DIM),
    "low-rank tensor": lambda dims: LowRankTensorFusion(dims, DIM, rank=4),
    "multiplicative": lambda dims: MultiplicativeInteractions(dims, DIM),
    "cross-attention": lambda dims: CrossAttentionFusion(dims, DIM, width=32),
    "MulT": lambda dims: MulT(dims, DIM, width=16, causal=False),
    "bottleneck": lambda dims: BottleneckFusion(dims, DIM, width=16),
    "Perceiver": lambda dims: PerceiverFusion(dims, DIM, width=32, latents=8, layers=1),
    "mixture of experts": lambda dims: MixtureOfExperts(dims, DIM),
    "late": lambda dims: LateFusion(dims, CLASSES),
}
WITH_DROPOUT = ("concat", "product", "gated", "GMU", "low-rank tensor", "mixture of experts")


class Given(nn.Module):
    """An encoder's tokens, computed before: (B, T, dim) in, the same tokens or their mean out."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = self.token_dim = dim

    def forward(self, x: Tensor, mask: None = None) -> Tensor:
        return x.mean(1)

    def tokens(self, x: Tensor, mask: None = None) -> tuple[Tensor, None]:
        return x, None


class AtEachPlace(nn.Module):
    """A text encoder whose vector stands at each of the picture's places: early fusion wants as many steps in both."""

    def __init__(self, text: nn.Module, places: int) -> None:
        super().__init__()
        self.text, self.places = text, places
        self.dim = self.token_dim = text.dim

    def tokens(self, ids: Tensor, mask: Tensor | None = None) -> tuple[Tensor, None]:
        return self.text(ids, mask)[:, None].expand(-1, self.places, -1), None


class EarlyPixels(nn.Module):
    """Fusion before anything is seen: the word's vector is laid over every pixel, and one network reads both.

        x_p = [pixel_p; w],   w = mean_t E[x_t],   logits = W ResNet(x) + b

    forward(inputs {"image": (B, 3, H, W), "text": (B, T)}, masks, present) → (B, classes); zeros stand for what is absent.
    """

    def __init__(self, vocabulary: int, classes: int = CLASSES, width: int = 16) -> None:
        super().__init__()
        self.words = TextBag(vocabulary, width)
        self.encoder = ImageResNet(WIDTH, width=16, in_channels=3 + width)
        self.head = nn.Linear(WIDTH, classes)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        image = inputs["image"]
        image = image / 255 if image.dtype == torch.uint8 else image
        word = self.words(inputs["text"], (masks or {}).get("text"))[:, :, None, None]
        for m, there in (present or {}).items():
            there = there[:, None, None, None]
            image, word = (image * there, word) if m == "image" else (image, word * there)
        return self.head(self.encoder(torch.cat([image, word.expand(-1, -1, *image.shape[2:])], 1)))


def jitter(batch: Batch, strength: float = 0.4) -> Batch:
    """Pictures turned, scaled, moved, mirrored and tinted at random, on the white they stand on; uint8 → 0…1."""
    image = batch.inputs["image"].float() / 255
    n, where = len(image), image.device

    def draw(*shape: int) -> Tensor:
        return strength * (2 * torch.rand(*shape, device=where) - 1)

    angle, scale = 0.25 * draw(n), 1 + 0.2 * draw(n)
    flip = torch.where(torch.rand(n, device=where) < 0.5, -1.0, 1.0)
    rows = [scale * angle.cos() * flip, -scale * angle.sin(), scale * angle.sin() * flip, scale * angle.cos()]
    move = 0.2 * draw(n, 2, 1)
    grid = F.affine_grid(
        torch.cat([torch.stack(rows, 1).view(n, 2, 2), move], 2), list(image.shape), align_corners=False
    )
    ink = F.grid_sample(1 - image, grid, align_corners=False) * (1 + 0.2 * draw(n, 3, 1, 1))
    return replace(batch, inputs={**batch.inputs, "image": (1 - ink).clamp(0, 1)})


def accuracy(model: nn.Module, split: Batch) -> float:
    """The share of a split whose highest logit is the true subgroup."""
    return (predict(model, split).argmax(-1) == split.targets["subgroup"]).float().mean().item()


def without(split: Batch, *modalities: str) -> Batch:
    """The same examples with these modalities absent."""
    nowhere = torch.zeros(len(split), dtype=torch.bool)
    return replace(split, present=split.present | dict.fromkeys(modalities, nowhere))


def _measured(model: nn.Module, split: Batch) -> dict[str, float]:
    return {"accuracy": accuracy(model, split)}


def _fit(model: nn.Module, train: Batch, valid: Batch, **settings: Any) -> History:
    return fit(
        model, train, valid, metric=_measured, monitor="valid_accuracy", higher_is_better=True, **TRAINING | settings
    )


def drawn_once(emoji: EmojiSplits, part: str) -> Batch:
    """Each drawing once: the first of the examples that show it, for what looks at pictures alone."""
    split = getattr(emoji, part)
    drawing = split.targets["style"] * (1 + split.targets["concept"].max()) + split.targets["concept"]
    _, inverse = drawing.unique(return_inverse=True)
    first = torch.full((int(inverse.max()) + 1,), len(split)).scatter_reduce(
        0, inverse, torch.arange(len(split)), "amin"
    )
    return split[first.sort().values]


def encoder(emoji: EmojiSplits, modality: str, seed: int) -> tuple[MultimodalClassifier, History]:
    """An encoder of "image" or "text" under one linear layer, trained to tell the subgroup; the epoch is validation's."""
    seed_everything(seed)
    if modality == "image":
        train, valid = drawn_once(emoji, "train").only("image"), drawn_once(emoji, "valid").only("image")
        body: nn.Module = ImageResNet(WIDTH, width=16)
        settings: dict[str, Any] = {"augment": jitter, "batch_size": 32, "epochs": pick(smoke=1, laptop=25)}
    else:
        train, valid = emoji.train.only("text"), emoji.valid.only("text")
        body = TextBag(len(emoji.vocabulary), WIDTH)
        settings = {"augment": forget_words, "batch_size": 64, "epochs": pick(smoke=1, laptop=8)}
    model = MultimodalClassifier({modality: body}, None, CLASSES)
    history = _fit(model, train, valid, loss=classify("subgroup", 0.1), seed=seed, **settings)
    return model, history


@torch.no_grad()
def see(image_encoder: nn.Module, split: Batch) -> Batch:
    """The split with the tokens (N, 36, 64) of its pictures in place of the pictures."""
    tokens = [image_encoder.tokens(part)[0] for part in split.inputs["image"].split(512)]  # type: ignore[operator]
    return replace(split, inputs={**split.inputs, "image": torch.cat(tokens)})


def head(inputs: int = DIM) -> nn.Sequential:
    """The same for every fused vector: normalise, ReLU, dropout, one linear layer."""
    return nn.Sequential(nn.LayerNorm(inputs), nn.ReLU(), nn.Dropout(0.3), nn.Linear(inputs, CLASSES))


def late_loss(model: MultimodalClassifier, batch: Batch) -> Tensor:
    """Each modality's own cross-entropy."""
    vectors, _ = model.encode(batch.inputs, batch.masks, batch.present)
    return late_fusion_loss(model.fusion.logits(vectors, batch.present), batch.targets["subgroup"], batch.present)  # type: ignore


def build(method: str, text: nn.Module, dropout: float = 0.0) -> MultimodalClassifier:
    """A fusion on the tokens of `see` and on a trained text encoder; "image" and "text": a head on one of them alone."""
    frozen = copy.deepcopy(text).requires_grad_(False)
    if method in ("image", "text"):
        body = Given(WIDTH) if method == "image" else frozen
        return MultimodalClassifier({method: body}, None, nn.Sequential(nn.Linear(WIDTH, DIM), *head()))
    encoders: dict[str, nn.Module] = {"image": Given(WIDTH), "text": frozen}
    if method == "early, each place":
        encoders["text"] = AtEachPlace(frozen, 36)
    fusion = METHODS[method](dict.fromkeys(encoders, WIDTH))
    hide = ModalityDropout(dropout) if dropout else None
    return MultimodalClassifier(encoders, fusion, nn.Identity() if method == "late" else head(), dropout=hide)


def fuse(
    method: str, text: nn.Module, train: Batch, valid: Batch, seed: int, dropout: float = 0.0
) -> tuple[MultimodalClassifier, History]:
    """Train a fusion of METHODS, or "image" or "text", on encoders that stay as they are; every method gets the same epochs.

    text: the text encoder;  train, valid: from `see`;  dropout: of modalities
    """
    seed_everything(seed)
    model = build(method, text, dropout)
    only = (method,) if method in ("image", "text") else ("image", "text")
    history = _fit(
        model,
        train.only(*only),
        valid.only(*only),
        loss=late_loss if method == "late" else classify("subgroup", 0.1),
        augment=forget_words if "text" in only else None,
        batch_size=128,
        epochs=pick(smoke=1, laptop=6),
        seed=seed,
    )
    return model, history


def whole(model: MultimodalClassifier, image_encoder: nn.Module) -> MultimodalClassifier:
    """The trained fusion with the image encoder under it again, for pictures instead of tokens."""
    return MultimodalClassifier(
        {m: image_encoder if m == "image" else body for m, body in model.encoders.items()}, model.fusion, model.head
    ).eval()


def trained_parameters(model: nn.Module) -> int:
    """Numbers that training may change."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def load(seed: int) -> EmojiSplits:
    """The data of the table: four styles, up to four keywords a drawing; fewer examples at smoke scale."""
    emoji = load_emoji(keywords=4, seed=seed)
    thin = pick(smoke=60, laptop=1)
    return replace(emoji, **{part: getattr(emoji, part)[::thin] for part in ("train", "valid", "test")})


def _row(model: nn.Module, history: History, valid: Batch, test: Batch) -> dict[str, float]:
    row = {"accuracy": accuracy(model, test), "valid": accuracy(model, valid)}
    if len(test.inputs) == 2:
        row |= {f"no_{m}": accuracy(model, without(test, m)) for m in ("text", "image")}
    return row | {"parameters": trained_parameters(model), "seconds": round(history.seconds, 1)}


def fusion(seed: int) -> dict[str, dict[str, float]]:
    """Every fusion on emoji picture + one keyword → 94 subgroups, unseen concepts, on encoders trained once.

    accuracy, no_text, no_image: on the test split, as it is and with a modality missing;  valid: what chose the epoch
    parameters, seconds: of what is trained on top of the encoders; for "image" and "text" of the encoder.
    A single modality is its encoder's own layer or a deeper head, whichever validation prefers.
    """
    emoji = load(seed)
    trained = {m: encoder(emoji, m, seed) for m in ("image", "text")}
    image, text = (trained[m][0].encoders[m] for m in ("image", "text"))
    train, valid, test = (see(image, part) for part in (emoji.train, emoji.valid, emoji.test))
    rows = {}
    for m, (own, history) in trained.items():
        deeper, _ = fuse(m, text, train, valid, seed)
        plain = accuracy(own, emoji.valid.only(m)) >= accuracy(deeper, valid.only(m))
        parts = (emoji.valid.only(m), emoji.test.only(m)) if plain else (valid.only(m), test.only(m))
        rows[m] = _row(own if plain else deeper, history, *parts) | {"parameters": trained_parameters(own)}
    for method in METHODS:
        rows[method] = _row(*fuse(method, text, train, valid, seed), valid, test)
    for method in WITH_DROPOUT:
        rows[f"{method} + dropout"] = _row(*fuse(method, text, train, valid, seed, dropout=0.3), valid, test)
    return rows


def early_pixels(seed: int) -> dict[str, dict[str, float]]:
    """Fusion before anything is seen, with as many steps as the image encoder of `fusion` has; the same columns."""
    emoji = load(seed)
    seed_everything(seed)
    early = EarlyPixels(len(emoji.vocabulary))
    history = _fit(
        early,
        emoji.train,
        emoji.valid,
        loss=classify("subgroup", 0.1),
        augment=lambda batch: forget_words(jitter(batch)),
        batch_size=32,
        steps=pick(smoke=1, laptop=25 * math.ceil(4444 / 32)),  # as many as the image encoder had
        seed=seed,
    )
    return {"early, each pixel": _row(early, history, emoji.valid, emoji.test)}


# Competition: two encoders trained together from nothing, on small pictures so that a chapter can do it live.

CURES = ("none", "OGM-GE", "gradient blending")


def small(seed: int) -> EmojiSplits:
    """Pictures of 24 × 24 with one keyword each."""
    emoji = load_emoji(keywords=1, size=24, seed=seed)
    thin = pick(smoke=20, laptop=1)
    return replace(emoji, **{part: getattr(emoji, part)[::thin] for part in ("train", "valid", "test")})


def together(emoji: EmojiSplits, *modalities: str) -> MultimodalClassifier:
    """An image and a text encoder, their vectors side by side, one linear layer: what OGM-GE is made for; or one alone."""
    makers = {"image": lambda: ImageResNet(WIDTH, width=16), "text": lambda: TextBag(len(emoji.vocabulary), WIDTH)}
    encoders = {m: makers[m]() for m in modalities}
    fusion = Concat(dict.fromkeys(encoders, WIDTH)) if len(encoders) > 1 else None
    return MultimodalClassifier(encoders, fusion, CLASSES)


def compete(
    emoji: EmojiSplits,
    *modalities: str,
    seed: int,
    cure: str = "none",
    weights: Mapping[str, float] | None = None,
    scores: list[dict[str, float]] | None = None,
) -> tuple[MultimodalClassifier, History]:
    """Train the encoders of these modalities together from nothing; every run gets the same epochs.

    cure:    "none"; "OGM-GE": the encoder that is ahead keeps only a part of its gradient; "gradient blending": a head a
             modality and one for both, their losses weighted by `weights`, {"image", "text", "both"}
    scores:  a list that gets, at each step, the mean probability of the right answer that each modality gives alone
    """
    seed_everything(seed)
    model = together(emoji, *modalities)
    if cure == "gradient blending":
        model.heads = nn.ModuleDict({m: nn.Linear(WIDTH, CLASSES) for m in modalities})
    latest: dict[str, Tensor] = {}

    def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        vectors, _ = model.encode(batch.inputs, batch.masks, batch.present)  # type: ignore[operator]
        y = batch.targets["subgroup"]
        if len(vectors) == 1:
            return {"alone": F.cross_entropy(model.head(*vectors.values()), y)}  # type: ignore[operator]
        both = F.cross_entropy(model.head(model.fusion(vectors)), y)  # type: ignore[operator]
        latest.update(unimodal_scores(unimodal_logits(model.head, vectors), y))  # type: ignore[arg-type]
        if scores is not None and model.training:
            scores.append({m: s.item() / len(y) for m, s in latest.items()})
        if cure != "gradient blending":
            return {"both": both}
        own = {m: F.cross_entropy(model.heads[m](h), y) for m, h in vectors.items()}  # type: ignore[operator,index]
        return {k: (weights or {}).get(k, 1.0) * part for k, part in (own | {"both": both}).items()}

    def slow_down(losses: dict[str, Tensor], model: nn.Module) -> None:
        torch.stack(list(losses.values())).sum().backward()
        modulate_gradients(model.encoders, ogm_coefficients(latest), noise=True)  # type: ignore[arg-type]

    history = _fit(
        model,
        emoji.train.only(*modalities),
        emoji.valid.only(*modalities),
        loss=loss,
        augment=forget_words if "text" in modalities else None,
        backward=slow_down if cure == "OGM-GE" else None,
        batch_size=64,
        epochs=pick(smoke=1, laptop=12),
        seed=seed,
    )
    return model, history


def blend(histories: Mapping[str, History]) -> dict[str, float]:
    """Gradient blending's weights from runs by branch, {"image", "text", "both"}: before is the first epoch, after the last."""
    table = [
        torch.tensor([run[row][column] for run in histories.values()])
        for column in ("train_loss", "valid_loss")
        for row in (0, -1)
    ]
    return dict(zip(histories, gradient_blending(*table).tolist()))


def probe(model: MultimodalClassifier, emoji: EmojiSplits, modality: str, seed: int) -> float:
    """What an encoder has learned: the test accuracy of a new linear layer on it, the encoder as it is."""
    seed_everything(seed)
    body = copy.deepcopy(model.encoders[modality]).requires_grad_(False)
    linear = MultimodalClassifier({modality: body}, None, CLASSES)
    parts = [getattr(emoji, part).only(modality) for part in ("train", "valid", "test")]
    if modality == "image":
        parts = [see(body, part) for part in parts]
        linear = MultimodalClassifier({modality: Given(WIDTH)}, None, CLASSES)
    _fit(linear, *parts[:2], loss=classify("subgroup"), batch_size=64, epochs=pick(smoke=1, laptop=5), seed=seed)
    return accuracy(linear, parts[2])


def competition(seed: int) -> dict[str, dict[str, float]]:
    """Encoders trained alone, together, and together with OGM-GE or gradient blending.

    accuracy: of the model, on the test split;  image, text: what a linear layer reads from each of its encoders
    """
    emoji = small(seed)
    runs = {
        name: compete(emoji, *(m for m in ("image", "text") if name in (m, "both")), seed=seed)
        for name in ("image", "text", "both")
    }
    weights = blend({name: history for name, (_, history) in runs.items()})
    runs["both, OGM-GE"] = compete(emoji, "image", "text", seed=seed, cure="OGM-GE")
    runs["both, gradient blending"] = compete(
        emoji, "image", "text", seed=seed, cure="gradient blending", weights=weights
    )
    rows = {}
    for name, (model, history) in runs.items():
        names = tuple(model.encoders)
        rows[name] = {
            "accuracy": accuracy(model, emoji.test.only(*names)),
            "valid": history[history.best or 0]["valid_accuracy"],
        }
        rows[name] |= {m: probe(model, emoji, m, seed) for m in names}
    rows["both, gradient blending"] |= {f"weight of {k}": w for k, w in weights.items()}
    return rows


RECIPES = [
    Recipe(
        "classic",
        "The classic model on emoji picture + one keyword, both together and each alone, unseen concepts",
        classic,
    ),
    Recipe(
        "fusion",
        "Every fusion method on emoji picture + one keyword → subgroup, unseen concepts, on encoders trained once a seed",
        fusion,
    ),
    Recipe(
        "early-pixels",
        "Early fusion of the same pictures and words, the word laid over every pixel, one network trained from nothing",
        early_pixels,
    ),
    Recipe(
        "competition",
        "Encoders of small emoji and one keyword trained alone, together, and together with OGM-GE or gradient blending",
        competition,
    ),
]
