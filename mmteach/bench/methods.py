"""Suite: our fusions, losses, gradient methods and metrics beside what a reader would write or install instead.

| name         | what it measures                                                             |
|--------------|---------------------------------------------------------------------------------|
| `fusions`    | forward and backward of a fusion, against PyTorch's own layers                    |
| `losses`     | forward and backward of a loss, against `torch.nn.functional`                     |
| `aggregators`| combining three gradients, against TorchJD where it is installed                  |
| `metrics`    | a figure of a split, against torchmetrics                                         |
| `lean`       | the contrastive loss of a large batch: time and memory, all at once and in chunks |

The rivals compute the same function of the same shapes; ours check their input and take masks and absent modalities besides.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import alignment, fusion, metrics, multitask
from mmteach.bench import measure
from mmteach.bench.report import Cell, Table
from mmteach.claims import pick
from mmteach.fusion.attention import CrossAttentionBlock, MultiHeadAttention
from mmteach.training import seed_everything

Step = Callable[[], object]


def tables() -> list[Table]:
    """All five, from the same seed."""
    seed_everything(0)
    how = f"{pick(smoke=2, laptop=7, gpu=7)} rounds in turns, float32; rival / ours above 1: ours is faster."
    return [
        Table("Fusions", f"Forward and backward of a module. {how}", _compared(fusions())),
        Table("Losses", f"Forward and backward of a loss of embeddings. {how}", _compared(losses())),
        Table("Gradient methods", f"Three gradients in, one out. {_torchjd()} {how}", _compared(aggregators())),
        Table("Metrics", f"A figure of a split, against torchmetrics' functions. {how}", _compared(metric_cases())),
        lean(),
    ]


Case = tuple[str, Step, str, Step | None]  # what, ours, the rival's name, the rival


def _compared(cases: list[Case]) -> list[dict[str, Cell]]:
    rounds, least = pick(smoke=(2, 0.001), laptop=(7, 0.05), gpu=(7, 0.05))
    rows: list[dict[str, Cell]] = []
    for what, our, name, their in cases:
        rivals = {"ours": measure.timed(our, least)}
        if their:
            rivals["theirs"] = measure.timed(their, least)
        times = measure.alternate(rivals, rounds)
        if their:
            rows.append({"what": what, "rival": name, **measure.against(times["ours"], times["theirs"])})
        else:
            alone = measure.against(times["ours"], times["ours"])["ours, ms"]
            rows.append({"what": what, "rival": name, "ours, ms": alone})
    return rows


def _learn(module: nn.Module, *inputs: Any) -> Step:
    """Forward and backward of a module, to its parameters and its inputs."""

    def step() -> None:
        module.zero_grad(set_to_none=True)
        module(*inputs).square().mean().backward()

    return step


class _Written(nn.Module):
    """A fusion as one writes it by hand, without checks: layers, and a function of the layers and two vectors."""

    def __init__(self, combine: Callable[[nn.ModuleList, Tensor, Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.combine = nn.ModuleList(layers), combine

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.combine(self.layers, x, y)


class _Attention(nn.Module):
    """PyTorch's attention, its output alone."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, 4, batch_first=True)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self.attention(query, key, value, need_weights=False)[0]


def fusions() -> list[Case]:
    """Vectors of 64 numbers or sequences of them, 128 examples."""
    batch, dim, steps = pick(smoke=(4, 8, 3), laptop=(128, 64, 32), gpu=(1024, 512, 64))
    x, y = torch.randn(2, batch, dim, requires_grad=True).unbind()
    one, other = torch.randn(2, batch, steps, dim, requires_grad=True).unbind()
    x, y, one, other = (t.detach().requires_grad_() for t in (x, y, one, other))
    dims, vectors = {"image": dim, "text": dim}, {"image": x, "text": y}
    wide = lambda: nn.Linear(dim, dim)  # noqa: E731
    written: list[tuple[str, nn.Module, str, nn.Module]] = [
        ("Concat", fusion.Concat(dims, dim), "torch.cat, nn.Linear",
         _Written(lambda m, x, y: m[0](torch.cat([x, y], 1)), nn.Linear(2 * dim, dim))),
        ("SumFusion", fusion.SumFusion(dims, dim), "two nn.Linear, +",
         _Written(lambda m, x, y: m[0](x) + m[1](y), wide(), wide())),
        ("ProductFusion", fusion.ProductFusion(dims, dim), "two nn.Linear, ×",
         _Written(lambda m, x, y: m[0](x) * m[1](y), wide(), wide())),
        ("GMU", fusion.GMU(dims, dim), "three nn.Linear, tanh, sigmoid",
         _Written(_gmu, wide(), wide(), nn.Linear(2 * dim, dim))),
        ("MultiplicativeInteractions", fusion.MultiplicativeInteractions(dims, dim), "nn.Bilinear and two nn.Linear",
         _Written(lambda m, x, y: m[0](x, y) + m[1](x) + m[2](y), nn.Bilinear(dim, dim, dim), wide(), wide())),
        ("TensorFusion", fusion.TensorFusion(dims, dim), "nn.Bilinear of [x; 1] and [y; 1]",
         _Written(lambda m, x, y: m[0](F.pad(x, (0, 1), value=1.0), F.pad(y, (0, 1), value=1.0)),
                  nn.Bilinear(dim + 1, dim + 1, dim))),
    ]  # fmt: skip
    cases: list[Case] = [
        (what, _learn(ours, vectors), name, _learn(theirs, x, y)) for what, ours, name, theirs in written
    ]
    cases.append((
        "MultiHeadAttention", _learn(MultiHeadAttention(dim), one, other, other), "nn.MultiheadAttention",
        _learn(_Attention(dim), one, other, other),
    ))  # fmt: skip
    layer = nn.TransformerEncoderLayer(dim, 4, 4 * dim, dropout=0.0, batch_first=True, norm_first=True)
    cases.append(
        (
            "CrossAttentionBlock on itself",
            _learn(CrossAttentionBlock(dim), one),
            "nn.TransformerEncoderLayer",
            _learn(layer, one),
        )
    )
    alone = {
        "LowRankTensorFusion": fusion.LowRankTensorFusion(dims, dim), "MFB": fusion.MFB(dims, dim),
        "FiLM": fusion.FiLM(dims, dim),
        "GatedFusion": fusion.GatedFusion(dims, dim), "MAG": fusion.MAG(dims, dim),
        "AttentionFusion": fusion.AttentionFusion(dims, dim),
        "MixtureOfExperts": fusion.MixtureOfExperts(dims, dim),
    }  # fmt: skip
    cases += [(name, _learn(module, vectors), "none known", None) for name, module in alone.items()]
    sequences = {"image": one, "text": other}
    cases += [
        (cls.__name__, _learn(cls(dims, dim), sequences), "none known", None)
        for cls in (fusion.CrossAttentionFusion, fusion.MulT, fusion.BottleneckFusion, fusion.PerceiverFusion)
    ]
    return cases


def _gmu(layers: nn.ModuleList, x: Tensor, y: Tensor) -> Tensor:
    gate = layers[2](torch.cat([x, y], 1)).sigmoid()
    return gate * layers[0](x).tanh() + (1 - gate) * layers[1](y).tanh()


Loss = Callable[[], Tensor]


def loss_pairs(image: Tensor, text: Tensor) -> list[tuple[str, Loss, str, Loss | None]]:
    """(what, ours, the rival's name, the rival) of embeddings (B, D); a rival has the same gradients."""
    batch, own, yes = len(image), torch.arange(len(image)), torch.eye(len(image))
    teacher = torch.randn(image.shape)

    def by_hand() -> Tensor:
        scores = 14.0 * image @ text.T
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2

    def questions() -> Tensor:
        scores = 10.0 * image @ text.T - 10.0
        return F.binary_cross_entropy_with_logits(scores, yes, reduction="sum") / batch

    def hinge() -> Tensor:
        scores = image @ text.T
        right, wrong = scores.diagonal(), 1 - yes
        return ((0.2 - right[:, None] + scores).relu() * wrong + (0.2 - right + scores).relu() * wrong).sum()

    def divergence() -> Tensor:
        return 4 * F.kl_div((image / 2).log_softmax(1), (teacher / 2).softmax(1), reduction="batchmean")

    return [
        ("clip_loss", lambda: alignment.clip_loss(image, text, 14.0), "F.cross_entropy, twice", by_hand),
        (
            "siglip_loss",
            lambda: alignment.siglip_loss(image, text, 10.0, -10.0),
            "F.binary_cross_entropy_with_logits",
            questions,
        ),
        ("triplet_loss", lambda: alignment.triplet_loss(image, text), "relu, by hand", hinge),
        ("distillation_loss", lambda: alignment.distillation_loss(image, teacher), "F.kl_div", divergence),
        ("barlow_twins_loss", lambda: alignment.barlow_twins_loss(image, text), "none known", None),
        ("vicreg_loss", lambda: alignment.vicreg_loss(image, text), "none known", None),
    ]


def losses() -> list[Case]:
    """256 pairs of 128 numbers."""
    batch, dim = pick(smoke=(8, 4), laptop=(256, 128), gpu=(4096, 512))
    image, text = (F.normalize(torch.randn(batch, dim), dim=1).requires_grad_() for _ in range(2))

    def descend(loss: Loss) -> Step:
        def step() -> None:
            image.grad = text.grad = None
            loss().backward()

        return step

    pairs = loss_pairs(image, text)
    cases: list[Case] = [(what, descend(ours), name, theirs and descend(theirs)) for what, ours, name, theirs in pairs]
    if importlib.util.find_spec("open_clip"):
        from open_clip.loss import ClipLoss

        theirs = ClipLoss()
        scale = torch.tensor(14.0)
        ours = descend(lambda: alignment.clip_loss(image, text, 14.0))
        cases.append(("clip_loss", ours, "open_clip's ClipLoss", descend(lambda: theirs(image, text, scale))))
    else:
        cases.append(("clip_loss", cases[0][1], "open_clip's ClipLoss: not installed", None))
    return cases


AGGREGATORS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "pcgrad": (multitask.pcgrad, "PCGrad"),
    "mgda": (multitask.mgda, "MGDA"),
    "cagrad": (multitask.cagrad, ""),
    "imtl_g": (multitask.imtl_g, "IMTLG"),
    "config": (multitask.config, "ConFIG"),
    "aligned_mtl": (multitask.aligned_mtl, "AlignedMTL"),
    "nash": (multitask.nash, ""),
    "fairgrad": (multitask.fairgrad, ""),
    "upgrad": (multitask.upgrad, "UPGrad"),
    "dualproj": (multitask.dualproj, "DualProj"),
}  # fmt: skip  (TorchJD's CAGrad and NashMTL need solvers of their own)


def _torchjd() -> str:
    return (
        "The rival is TorchJD."
        if importlib.util.find_spec("torchjd")
        else "TorchJD is not installed: beside, the plain mean."
    )


def aggregators() -> list[Case]:
    """Three gradients of 100,000 parameters that do not agree."""
    jacobian = torch.randn(3, pick(smoke=50, laptop=100_000, gpu=10_000_000))
    there = importlib.util.find_spec("torchjd") is not None
    cases: list[Case] = []
    for name, (ours, theirs) in AGGREGATORS.items():
        rival, label = partial(torch.mean, jacobian, 0), "the mean"
        if there and theirs:
            aggregator = getattr(importlib.import_module("torchjd.aggregation"), theirs)()
            rival, label = partial(aggregator, jacobian), f"TorchJD's {theirs}"
        cases.append((name, partial(ours, jacobian), label, rival))
    return cases


def metric_cases() -> list[Case]:
    """2,000 answers of 10 classes, and 200 queries of 200 items."""
    from torchmetrics.functional import classification, retrieval

    many, queries = pick(smoke=(20, 5), laptop=(2000, 200), gpu=(2000, 200))
    logits, label, yes = torch.randn(many, 10), torch.randint(10, (many,)), torch.rand(many) < 0.2
    score, scores = torch.randn(many), torch.rand(queries, queries)
    own = torch.eye(queries, dtype=torch.bool)

    def one_by_one() -> Tensor:
        return torch.stack([retrieval.retrieval_recall(scores[q], own[q], top_k=1) for q in range(queries)]).mean()

    return [
        ("accuracy", lambda: metrics.accuracy(logits, label), "multiclass_accuracy",
         lambda: classification.multiclass_accuracy(logits, label, 10, average="micro")),
        ("macro_f1", lambda: metrics.macro_f1(logits, label), "multiclass_f1_score",
         lambda: classification.multiclass_f1_score(logits, label, 10)),
        ("auc", lambda: metrics.auc(score, yes.long()), "binary_auroc", lambda: classification.binary_auroc(score, yes.long())),
        ("recall_at_k", lambda: metrics.recall_at_k(scores, 1), "retrieval_recall, a query at a time", one_by_one),
    ]  # fmt: skip


# The measuring process has held other things before; a fresh one has not.
ALONE = """
import torch
from torch.nn import functional as F
from mmteach.alignment import clip_loss, clip_loss_chunked
from mmteach.bench.measure import peak_bytes
loss = {loss}
image, text = (F.normalize(torch.randn({batch}, 128), dim=1).requires_grad_() for _ in range(2))
loss(image[:8], text[:8], 14.0).backward()
before = peak_bytes()
loss(image, text, 14.0).backward()
print(peak_bytes() - before)
"""


def lean() -> Table:
    """The CLIP loss of large batches, all scores at once and in chunks of 256 rows."""
    rounds, least = pick(smoke=(2, 0.001), laptop=(3, 0.05), gpu=(3, 0.05))
    rows: list[dict[str, Cell]] = []
    for batch in pick(smoke=(300,), laptop=(1024, 4096), gpu=(4096, 16384)):
        image, text = (F.normalize(torch.randn(batch, 128), dim=1).requires_grad_() for _ in range(2))

        def at_once(image: Tensor = image, text: Tensor = text) -> None:
            alignment.clip_loss(image, text, 14.0).backward()

        def in_chunks(image: Tensor = image, text: Tensor = text) -> None:
            alignment.clip_loss_chunked(image, text, 14.0).backward()

        def by_hand(image: Tensor = image, text: Tensor = text) -> None:
            scores, own = 14.0 * image @ text.T, torch.arange(len(image))
            ((F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2).backward()

        rivals = {"clip_loss": at_once, "clip_loss_chunked": in_chunks, "F.cross_entropy, twice": by_hand}
        times = measure.alternate({name: measure.timed(step, least) for name, step in rivals.items()}, rounds)
        for name in rivals:
            compared = measure.against(times[name], times["F.cross_entropy, twice"])
            rows.append({
                "pairs": batch, "loss": name, "ms": compared["ours, ms"],
                "times the loss by hand": 1 / compared["rival / ours"],
                "memory, MB": _memory(name, batch) / 2**20,
            })  # fmt: skip
    return Table(
        "The contrastive loss of large batches",
        "Embeddings of 128 numbers, forward and backward. Memory is what a fresh process needs on top of the embeddings.",
        rows,
    )


BY_HAND = (
    "lambda i, t, s: (F.cross_entropy(s * i @ t.T, torch.arange(len(i)))"
    " + F.cross_entropy(s * t @ i.T, torch.arange(len(i)))) / 2"
)


def _memory(name: str, batch: int) -> int:
    code = ALONE.format(loss=BY_HAND if " " in name else name, batch=batch)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout)
