"""Chapter 01, Background: digits seen and heard under noise, one modality alone and both together.

| name               | what it does                                                                      |
|--------------------|-----------------------------------------------------------------------------------|
| `load`             | `load_digits` with the sound's frames averaged in pairs: half the work of a step  |
| `noisy`            | examples with noise on the picture and in the sound                               |
| `with_noise`       | an augmentation: every example at its own random noise, one in four of them clean |
| `build`, `train`   | the small models of the chapter, and their training                               |
| `faster_or_slower` | an augmentation: every waveform at a speed of its own                             |
| `levels`           | a split's pictures and sounds at each level of noise                              |
| `answers`          | log-probabilities of a model at each level, or at each pair of levels             |
| `right`            | accuracy at each level or pair of levels                                          |
| `noise_grid`       | the table: eight models at 5 × 5 levels of noise                                  |
| `real_people`      | the table: real speakers, each left out in turn                                   |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.claims import pick
from mmteach.data import load_digits
from mmteach.data.audio import add_noise, hear
from mmteach.data.batch import Batch, Splits
from mmteach.data.spoken import read_people
from mmteach.encoders import AudioCNN, ImageResNet
from mmteach.fusion import Concat, MultimodalClassifier
from mmteach.recipes import Recipe
from mmteach.training import classify, fit, predict, seed_everything, small_precision
from mmteach.training.history import History

SIGMAS = (0.0, 0.5, 1.0, 1.5, 2.0)  # standard deviation of the picture's noise; ink is 1, paper 0
SNRS = (math.inf, 20.0, 10.0, 0.0, -10.0)  # dB of the sound over its noise; without an end means clean
WIDTH = 32


def load(seed: int = 0, person: str | None = None) -> Splits:
    """The seen and heard digits, inputs {"image": (N, 1, 28, 28), "audio": (N, 1, 40, 50)}, 20 ms a frame.

    person: real speakers in the place of eSpeak (MMTEACH_FSDD), this one held out for the test
    """
    digits = load_digits("fsdd", held_out=person, seed=seed) if person else load_digits(seed=seed)
    for part in (digits.train, digits.valid, digits.test):
        part.inputs["audio"] = F.avg_pool2d(part.inputs["audio"], (1, 2))
    return digits


def noisy(batch: Batch, sigma: float | Tensor, snr: float | Tensor, generator: torch.Generator | None = None) -> Batch:
    """The same examples through a worse eye and a worse ear; modalities that are not there stay away.

    image + sigma · ε,   hear(waveform + noise `snr` dB below it),   ε ~ N(0, 1)

    sigma: one number, or one an example (N, 1, 1, 1);  snr: one number in dB, or one an example (N, 1); `inf` is clean
    """
    inputs = dict(batch.inputs)
    if "image" in inputs:
        image = inputs["image"]
        inputs["image"] = image + sigma * torch.randn(image.shape, generator=generator).to(image)
    if "audio" in inputs:
        waveform = torch.stack(list(batch.info["waveform"]))
        inputs["audio"] = F.avg_pool2d(hear(add_noise(waveform, snr, generator)), (1, 2)).to(inputs["audio"])
    return Batch(inputs, batch.targets, batch.masks, batch.present, batch.info)


def with_noise(batch: Batch) -> Batch:
    """Every example at a noise of its own: σ from 0 to 2 and 20 to −10 dB, each modality clean one time in four."""
    n = len(batch)
    device = batch.inputs[next(iter(batch.inputs))].device
    sigma = max(SIGMAS) * torch.rand(n, 1, 1, 1) * (torch.rand(n, 1, 1, 1) < 0.75)
    snr = torch.where(torch.rand(n, 1) < 0.75, 20 - 30 * torch.rand(n, 1), math.inf)
    return noisy(batch, sigma.to(device), snr)


def build(*modalities: str) -> MultimodalClassifier:
    """A small network for one modality, or for both with their vectors side by side and one linear layer (Concat)."""
    makers: dict[str, nn.Module] = {}
    if "image" in modalities:
        makers["image"] = ImageResNet(WIDTH, width=8, in_channels=1)
    if "audio" in modalities:
        makers["audio"] = AudioCNN(40, WIDTH, channels=(8, 16, 32))
    fusion = Concat(dict.fromkeys(modalities, WIDTH), WIDTH) if len(modalities) > 1 else None
    return MultimodalClassifier(makers, fusion, head=10)


def train(digits: Splits, *modalities: str, noise: bool, seed: int, epochs: int = 14) -> tuple[nn.Module, History]:
    """A network for these modalities, trained on clean examples or with `with_noise`; every model gets the same epochs."""
    seed_everything(seed)
    model = build(*modalities)
    history = _fit(model, digits, modalities, with_noise if noise else None, seed, epochs)
    return model, history


def _fit(
    model: nn.Module,
    digits: Splits,
    modalities: Sequence[str],
    augment: Callable[[Batch], Batch] | None,
    seed: int,
    epochs: int,
) -> History:
    return fit(
        model,
        digits.train.only(*modalities),
        digits.valid.only(*modalities),
        loss=classify("digit"),
        augment=augment,
        epochs=pick(smoke=1, laptop=epochs),
        batch_size=64,
        lr=3e-3,
        schedule="cosine",
        warmup=0.1,
        seed=seed,
        precision=small_precision(),
    )


def levels(split: Batch, seed: int = 0) -> list[Batch]:
    """The split five times, picture and sound at the i-th level of noise each."""
    generator = torch.Generator().manual_seed(seed)
    return [noisy(split, sigma, snr, generator) for sigma, snr in zip(SIGMAS, SNRS)]


@torch.no_grad()
def answers(model: nn.Module, at: list[Batch]) -> Tensor:
    """log p(digit | what is there): (5, N, 10) for one modality; (5, 5, N, 10), picture's level first, for both.

    The encoders see each level once, then every picture's vector meets every sound's.
    """
    names = list(model.encoders)  # type: ignore[arg-type]
    if len(names) == 1:
        return torch.stack([predict(model, batch.only(*names)).log_softmax(-1) for batch in at])
    device = next(model.parameters()).device
    vectors: list[Mapping[str, Tensor]] = [model.encode(batch.to(device).inputs)[0] for batch in at]  # type: ignore[operator]
    rows = [
        [model.head(model.fusion({"image": seen["image"], "audio": heard["audio"]})) for heard in vectors]  # type: ignore[operator]
        for seen in vectors
    ]
    return torch.stack([torch.stack(row) for row in rows]).float().cpu().log_softmax(-1)


def right(scores: Tensor, digit: Tensor) -> Tensor:
    """The share of examples whose highest score is the true digit: (…, N, 10) and (N,) → (…)."""
    return (scores.argmax(-1) == digit).float().mean(-1)


def column(sigma: float, snr: float) -> str:
    """A cell of the noise grid as the table's column, e.g. "1.5 | -10" or "0 | clean"."""
    return f"{sigma:g} | {'clean' if snr == math.inf else f'{snr:g}'}"


def _few(digits: Splits) -> Splits:
    """At smoke scale a few examples of each part."""
    if pick(smoke=True, laptop=False):
        return Splits(digits.name, digits.train[:256], digits.valid[:50], digits.test[:50], digits.classes)
    return digits


def noise_grid(seed: int) -> dict[str, dict[str, float]]:
    """Test accuracy of eight models at 5 × 5 levels of noise, and their mean validation accuracy, which chooses.

    image, audio and concat, trained on clean examples and with noise; late = log p(y | image) + log p(y | audio).
    """
    digits = _few(load(seed))
    at = {"valid": levels(digits.valid, seed), "test": levels(digits.test, seed + 1000)}
    truth = {"valid": digits.valid.targets["digit"], "test": digits.test.targets["digit"]}
    rows: dict[str, dict[str, float]] = {}
    for noise in (False, True):
        models = {
            "image": train(digits, "image", noise=noise, seed=seed)[0],
            "audio": train(digits, "audio", noise=noise, seed=seed)[0],
            "concat": train(digits, "image", "audio", noise=noise, seed=seed)[0],
        }
        grids: dict[str, dict[str, Tensor]] = {name: {} for name in (*models, "late")}
        for part in ("valid", "test"):
            said = {name: answers(model, at[part]) for name, model in models.items()}
            pairs = {
                "image": said["image"][:, None].expand(-1, len(SNRS), -1, -1),
                "audio": said["audio"][None].expand(len(SIGMAS), -1, -1, -1),
                "concat": said["concat"],
                "late": said["image"][:, None] + said["audio"][None],
            }
            for name, scores in pairs.items():
                grids[name][part] = right(scores, truth[part])
        for name, grid in grids.items():
            cells = {
                column(sigma, snr): round(grid["test"][i, j].item(), 4)
                for i, sigma in enumerate(SIGMAS)
                for j, snr in enumerate(SNRS)
            }
            key = f"{name}, trained {'with noise' if noise else 'clean'}"
            rows[key] = {"valid": round(grid["valid"].mean().item(), 4), **cells}
    return rows


def faster_or_slower(batch: Batch) -> Batch:
    """Every waveform at a speed of its own, from 0.8 to 1.25 times: another tempo and another pitch (Ko et al. 2015).

    x′(t) = x(S/2 + f (t − S/2)) by linear interpolation, silence beyond the ends
    """
    waveform = torch.stack(list(batch.info["waveform"]))
    n, samples = waveform.shape
    factor = torch.exp(torch.empty(n, 1).uniform_(math.log(0.8), math.log(1.25)))
    t = (torch.arange(samples) - samples / 2) * factor + samples / 2
    before = t.floor().long().clamp(0, samples - 2)
    part = t - before
    between = waveform.gather(1, before) * (1 - part) + waveform.gather(1, before + 1) * part
    faster = torch.where((t >= 0) & (t <= samples - 1), between, 0.0)
    return Batch(batch.inputs, batch.targets, batch.masks, batch.present, {**batch.info, "waveform": list(faster)})


def real_people(seed: int) -> dict[str, dict[str, float]]:
    """Test accuracy on the digits of one real speaker, for each speaker in turn: the others are the training.

    clean: tested clean, the picture's network trained clean;  noisy: tested at σ = 1.5 and 0 dB, both trained with noise

    So few voices need a larger ear and more variation: its network is twice as wide and hears every recording at many speeds,
    with noise.
    """
    rows: dict[str, dict[str, float]] = {}
    see: dict[bool, nn.Module] = {}  # the pictures are the same whoever speaks
    for person in sorted(set(read_people()["speaker"])):
        digits = _few(load(seed, person))
        at, truth = levels(digits.test, seed + 1000), digits.test.targets["digit"]
        for noise in (False, True):
            if noise not in see:
                see[noise] = train(digits, "image", noise=noise, seed=seed)[0]
        seed_everything(seed)
        ear = MultimodalClassifier({"audio": AudioCNN(40, 2 * WIDTH, channels=(16, 32, 64))}, None, head=10)
        _fit(ear, digits, ["audio"], lambda batch: with_noise(faster_or_slower(batch)), seed, epochs=14)
        heard = answers(ear, at)
        rows[person] = {}
        for case, noise, picture, sound in (("clean", False, 0, 0), ("noisy", True, 3, 3)):
            image, audio = answers(see[noise], at)[picture], heard[sound]
            for name, scores in (("image", image), ("audio", audio), ("late", image + audio)):
                rows[person][f"{case} | {name}"] = round(right(scores, truth).item(), 4)
    return rows


RECIPES = [
    Recipe(
        "noise-grid",
        "Digits seen and heard at 5 × 5 levels of noise: one modality, concatenation and late fusion, trained clean and with "
        "noise; unseen voices",
        noise_grid,
    ),
    Recipe(
        "real-people",
        "Digits seen and heard, each of the Free Spoken Digit Dataset's speakers left out in turn (needs MMTEACH_FSDD)",
        real_people,
    ),
]
