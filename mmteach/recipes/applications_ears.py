"""Chapter 06, speech and text: what its recognisers of digits and of letters have in common.

| name          | what it does                                                                     |
|---------------|-----------------------------------------------------------------------------------|
| `heard`       | waveforms as these recognisers hear them: log-mel, measured from its loudest point   |
| `hear_again`  | a batch with its sounds heard in this way                                            |
| `trim`        | a batch without the frames that are padding in all of it                              |
| `vary`        | an augmentation: another voice, room, microphone and pace                             |
| `Front`       | their first layers;  `recogniser`: the whole network                                  |
| `learn`       | trains it with CTC, on varied examples                                                |
| `written`     | what it hears in each example, greedily or by beam search                             |
| `error_rates` | characters and words wrong, against the transcripts                                   |
| `scores`      | log p(text | sound) of every text: a search for what was said                         |
| `together`    | two batches in one                                                                    |
| `rows_of`     | examples one behind the other, so that a batch is not mostly padding                  |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.data.audio import BANDS, frame_count, frame_mask, log_mel, pad
from mmteach.data.batch import Batch
from mmteach.data.prompts import LETTERS, spell
from mmteach.generation import CTCRecogniser, transcribe
from mmteach.generation.ctc import ctc_loss, frames_needed
from mmteach.generation.recogniser import NEVER
from mmteach.metrics import character_error_rate, word_error_rate
from mmteach.training import fit, small_precision
from mmteach.training.history import History

RANGE, BRIGHTER = 50.0, 15.0  # dB


def heard(waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sounds (S_i,) at 8 kHz as the recognisers of chapter 06 hear them: x (N, 1, 40, T) in [0, 1] and its mask (N, T).

        x[f, t] = max(0, 1 + (E[f, t] − max E) / R),   E[f, t] = L[f, t] + 15 f / 40,   R = 50 dB

    L is the log-mel spectrogram in dB; 15 dB more at the top than at the bottom (pre-emphasis) keep soft high sounds above the
    floor. 1 is the loudest point, 0 is whatever is 50 dB below it or more, silence and padding alike.

    `mmteach.data.audio.hear` measures from the *mean*, and that depends on how much silence a recording has: a word with half a
    second of silence around it looks different from the same word cut out closely.
    """
    waveform, samples = pad(list(waveforms))
    mask = frame_mask(samples, frame_count(waveform.shape[1]))
    loud = torch.cat([log_mel(some, dynamic_range=90) for some in waveform.split(64)])
    loud = loud + BRIGHTER * torch.arange(BANDS)[:, None] / BANDS
    loud = loud.masked_fill(~mask[:, None, None], -torch.inf)
    return (1 + (loud - loud.amax((1, 2, 3), keepdim=True)) / RANGE).clamp(min=0), mask


def hear_again(batch: Batch) -> Batch:
    """The same examples, their sounds `heard` from info["waveform"]."""
    audio, mask = heard(batch.info["waveform"])
    return replace(batch, inputs={**batch.inputs, "audio": audio}, masks={**batch.masks, "audio": mask})


def trim(batch: Batch) -> Batch:
    """The same examples without the frames that are padding in all of them: less to compute."""
    frames = int(batch.masks["audio"].sum(1).max())
    inputs = {**batch.inputs, "audio": batch.inputs["audio"][..., :frames]}
    return replace(batch, inputs=inputs, masks={**batch.masks, "audio": batch.masks["audio"][:, :frames]})


def vary(
    batch: Batch,
    pace: float = 0.15,
    pitch: float = 0.12,
    tilt: float = 0.2,
    waves: float = 0.05,
    hiss: float = 0.4,
    grain: float = 0.1,
    blur: float = 0.8,
    echo: float = 0.5,
    bands: int = 6,
    frames: int = 8,
) -> Batch:
    """The same words by another voice in another room, by moving their spectrograms (`heard`) about; each in its own way.

    1. voice:      y[f, t] = x[f · (1 + b), (t − s) / (1 + a)],   a from ±pace, b from ±pitch, s frames of silence before
    2. blur:       part of the way, up to this share, to the mean of three bands: no voice's resonances are as sharp as eSpeak's
    3. microphone: + c (f / F − ½) + Σ_k w_k cos(kπf / F) for k = 2 … 4,   c from ±tilt, w from N(0, waves²); and grains
    4. room:       y[f, t] ← max_k (y[f, t − k] − k d),   k = 1, 2, 4, 8;   a room that fades by d a frame, for a share `echo`
    5. hiss:       y ← max(y, noise) with a level up to `hiss`, for every second example
    6. measured from the loudest point; a stripe of up to `bands` pitches and, one a second, of `frames` frames are silenced

    All in units of 50 dB. A longer or shorter throat stretches the spectrum, which b imitates (N. Jaitly and G. Hinton, 2013,
    "Vocal Tract Length Perturbation improves speech recognition"); the stripes are those of D. Park et al., 2019,
    "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition".
    """
    batch = trim(batch)
    x, n = batch.inputs["audio"], batch.masks["audio"].sum(1, keepdim=True)
    size, _, height, longest = x.shape
    device = x.device

    def between(reach: float) -> Tensor:
        return (reach * (2 * torch.rand(size, 1, 1) - 1)).to(device)

    def chance(share: float) -> Tensor:
        return (torch.rand(size, 1, 1) < share).to(device)

    before = 12 if pace else 0  # frames of silence, at most
    length = int(longest * (1 + pace)) + before
    slower, start = 1 + between(pace)[:, 0], (before * torch.rand(size, 1)).to(device)
    time, band = torch.arange(length, device=device), torch.arange(height, device=device)
    across = (
        2 * (time - start) / slower + 1
    ) / longest - 1  # where the new frame lies in the old picture, from −1 to 1
    up = (2 * band * (1 + between(pitch)[:, 0]) + 1) / height - 1
    grid = torch.stack([across[:, None].expand(-1, height, -1), up[:, :, None].expand(-1, -1, length)], -1)
    y = F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)[:, 0]
    real = time < (n * slower + start).long().clamp(min=1, max=length)

    if blur:
        soft = F.avg_pool1d(F.pad(y.mT, (1, 1), mode="replicate"), 3, 1).mT
        y = torch.lerp(y, soft, blur * torch.rand(size, 1, 1, device=device))
    f = (band / height)[:, None]
    gain = between(tilt) * (f - 0.5)
    for k in (2, 3, 4):
        gain = gain + waves * torch.randn(size, 1, 1).to(device) * torch.cos(k * math.pi * f)
    rough = grain * torch.rand(size, 1, 1).to(device) * torch.randn(y.shape).to(device)
    y = torch.where(y > 0, y + gain + rough, y)  # silence stays silence
    if echo:
        fade = 0.02 + 0.15 * torch.rand(size, 1, 1).to(device) + 9 * ~chance(echo)
        for k in (1, 2, 4, 8):
            y = torch.maximum(y, F.pad(y, (k, 0))[..., :length] - k * fade)
    if hiss:
        level = hiss * torch.rand(size, 1, 1).to(device)
        noise = level + between(0.15) * (f - 0.5) + 0.06 * torch.randn(y.shape).to(device)
        y = torch.maximum(y, noise.masked_fill(~chance(0.5), 0))
    y = y.masked_fill(~real[:, None], -torch.inf)
    y = (1 + y - y.amax((1, 2), keepdim=True)).clamp(min=0)

    holes = _stripe(size, height, bands, band)[:, :, None] | ~real[:, None]
    for _ in range(max(1, length // 100)):
        holes = holes | _stripe(size, length, frames, time)[:, None]
    y = y.masked_fill(holes, 0)[:, None]
    return replace(batch, inputs={**batch.inputs, "audio": y}, masks={**batch.masks, "audio": real})


def _stripe(size: int, places: int, widest: int, place: Tensor) -> Tensor:
    """A stripe of up to `widest` neighbours for each example: bool (size, places)."""
    start = torch.randint(places, (size, 1)).to(place.device)
    return (place >= start) & (place < start + torch.randint(widest + 1, (size, 1)).to(place.device))


class Front(nn.Module):
    """Two convolutions over pitch and time before the layers over time, so that a sound is the same a little higher.

    (B, 40, T) → (B, width, ⌈T / 3⌉)
    """

    def __init__(self, width: int, channels: int = 24) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, (5, 7), stride=(2, 3), padding=(2, 3), bias=False)
        self.second = nn.Conv2d(channels, channels, (5, 3), stride=(2, 1), padding=(2, 1), bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        self.project = nn.Linear(10 * channels, width)

    def forward(self, sound: Tensor) -> Tensor:
        h = self.norms[0](self.first(sound[:, None])).relu()
        h = self.norms[1](self.second(h)).relu()  # (B, channels, 10, T / 3)
        return self.project(h.flatten(1, 2).mT).mT


def recogniser(labels: int, width: int = 128, layers: int = 4, dropout: float = 0.1) -> CTCRecogniser:
    """Log-mel frames → labels: `Front`, convolutions over time that look twice as far each, softmax; 30 ms a frame."""
    model = CTCRecogniser(BANDS, labels, body="conv", width=width, layers=layers, stride=3, dropout=dropout)
    model.front = Front(width)  # type: ignore[assignment]
    return model


def learn(
    model: CTCRecogniser, train: Batch, valid: Batch | None = None, *, epochs: int, lr: float = 2e-3, seed: int = 0,
    batch_size: int = 5, augment: Callable[[Batch], Batch] = vary,
) -> History:  # fmt: skip
    """Train with CTC on varied examples; a cosine from `lr` to 0."""
    return fit(
        model, train, valid, loss=transcribe(impossible="zero"), augment=augment, epochs=epochs, batch_size=batch_size, lr=lr,
        schedule="cosine", warmup=0.1, weight_decay=0.01, clip_norm=1.0, seed=seed, precision=small_precision(),
    )  # fmt: skip


def written(model: CTCRecogniser, batch: Batch, labels: Sequence[str] = LETTERS, width: int = 1) -> list[str]:
    """The text heard in each example; `width` above 1 is prefix beam search."""
    device, said = next(model.parameters()).device, []
    for rows in torch.arange(len(batch)).split(64):
        some = trim(batch[rows]).to(device)
        said += model.write(some.inputs, masks=some.masks, width=width)
    return ["".join(labels[i] for i in ids) for ids in said]


def error_rates(
    model: CTCRecogniser, batch: Batch, labels: Sequence[str] = LETTERS, width: int = 1
) -> dict[str, float]:
    """{"CER", "WER"} of what it writes: substitutions, deletions and insertions by characters (words) of the transcripts."""
    said, truth = written(model, batch, labels, width), list(batch.info["transcript"])
    return {"CER": character_error_rate(said, truth), "WER": word_error_rate(said, truth)}


@torch.no_grad()
def scores(model: CTCRecogniser, batch: Batch, texts: Sequence[str]) -> Tensor:
    """log p(text | sound) under CTC of every text for every sound: (N, len(texts))."""
    ids, _ = spell(texts)
    rows = []
    for i in range(len(batch)):
        one = trim(batch[i]).to(next(model.parameters()).device)
        log_probs = model(one.inputs, masks=one.masks).expand(len(texts), -1, -1)
        losses = ctc_loss(log_probs, ids.to(log_probs.device), reduction="none", impossible="zero")
        fits = frames_needed(ids, (ids > 0).sum(1)) <= log_probs.shape[1]
        rows.append((-losses.cpu()).masked_fill(~fits, NEVER))
    return torch.stack(rows)


def together(first: Batch, second: Batch) -> Batch:
    """Both batches' sounds and texts in one, padded to the longer."""
    frames = max(b.masks["audio"].shape[1] for b in (first, second))
    length = max(b.targets["text"].shape[1] for b in (first, second))
    audio = [F.pad(b.inputs["audio"], (0, frames - b.masks["audio"].shape[1])) for b in (first, second)]
    masks = [F.pad(b.masks["audio"], (0, frames - b.masks["audio"].shape[1])) for b in (first, second)]
    texts = [F.pad(b.targets["text"], (0, length - b.targets["text"].shape[1])) for b in (first, second)]
    return Batch({"audio": torch.cat(audio)}, {"text": torch.cat(texts)}, {"audio": torch.cat(masks)})


def rows_of(batch: Batch, rounds: int = 1, seed: int = 0, longest: int = 600, between: tuple[int, ...] = ()) -> Batch:
    """Examples put one behind the other, in another order each round, into rows of up to `longest` frames.

    A batch of single examples is mostly padding, since one in ten is five times as long as the rest.
    between: labels between the texts of two examples in a row, such as a space
    """
    sounds = [x[..., m] for x, m in zip(batch.inputs["audio"], batch.masks["audio"])]  # (1, 40, T_i)
    labels = [ids[ids > 0] for ids in batch.targets["text"]]
    gap = torch.tensor(between, dtype=torch.long)
    choose, rows, texts = torch.Generator().manual_seed(seed), [], []
    for _ in range(rounds):
        row: list[Tensor] = []
        text: list[Tensor] = []
        for i in torch.randperm(len(sounds), generator=choose).tolist():
            if row and sum(part.shape[-1] for part in row) + sounds[i].shape[-1] > longest:
                rows.append(torch.cat(row, -1))
                texts.append(torch.cat(text))
                row, text = [], []
            row.append(sounds[i])
            text += [gap] * bool(text) + [labels[i]]
        rows.append(torch.cat(row, -1))
        texts.append(torch.cat(text))
    frames = max(row.shape[-1] for row in rows)
    audio = torch.stack([F.pad(row, (0, frames - row.shape[-1])) for row in rows])
    mask = torch.arange(frames) < torch.tensor([row.shape[-1] for row in rows])[:, None]
    ids = nn.utils.rnn.pad_sequence(texts, batch_first=True)
    return Batch({"audio": audio}, {"text": ids, "text_length": (ids > 0).sum(1)}, {"audio": mask})
