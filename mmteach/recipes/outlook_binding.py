"""Chapter 07, three modalities bound through one: pictures and names, names and sounds, never a picture and a sound.

| name            | what it does                                                                              |
|-----------------|-------------------------------------------------------------------------------------------|
| `say`           | texts spoken by eSpeak's speakers, as an ear hears them; made once and kept                  |
| `wiped`         | an augmentation of spectrograms                                                           |
| `pictures_and_words`, `words_and_sounds` | the two collections of pairs, training concepts only                |
| `bound_model`   | an eye, a reader and an ear that end in one space                                            |
| `seen_and_read`, `spelled_and_heard` | what a step sees of each                                             |
| `through_text`  | the loss of a step                                                                          |
| `train`         | the model, trained                                                                          |
| `embed`         | pictures, names and spoken names of some concepts in that space                                |
| `known_texts`, `meeting` | a bank of texts, and what two modalities believe of it in common                    |
| `edges`         | retrieval on each edge of the triangle, both ways                                               |
| `bound`         | the table: the triangle on unseen concepts and unseen speakers                                    |

After Girdhar et al. 2023, "ImageBind: One Embedding Space To Bind Them All", with text in the middle.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.alignment import DualEncoder, clip_loss
from mmteach.claims import pick
from mmteach.data.audio import HOP, SAMPLE_RATE, frame_mask, hear, pad
from mmteach.data.batch import Batch
from mmteach.data.emoji import concepts
from mmteach.data.speech import Utterance, speak_all
from mmteach.data.spoken import espeak_version, voice_split
from mmteach.data.store import cached
from mmteach.data.text import UNKNOWN
from mmteach.encoders import AudioCNN, TextBag
from mmteach.metrics import recall_at_k
from mmteach.recipes.crossmodal_search import Layout, Pieces, cropped, jitter, numbers_in
from mmteach.training import fit, gather, seed_everything, small_precision

STYLES = ("twemoji", "noto", "fluent")
SHOWN = "noto"  # the style in which concepts are asked for
LONGEST = 2.0  # seconds; what lasts longer is cut
POOL = 4  # spectrogram frames, 10 ms each, that become one: an ear at a quarter of the price
FRAMES = int(LONGEST * SAMPLE_RATE / HOP) // POOL
STEPS, GALLERY = 400, 200
EDGES = (("image", "text"), ("text", "audio"), ("image", "audio"))
_VERSION = 1  # part of the cache's key: count up when what is said, or how, changes


def heard(waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Waveforms as the ear takes them: (N, 1, 40, FRAMES), and which frames are real, bool (N, FRAMES)."""
    longest = int(LONGEST * SAMPLE_RATE) - 1
    sound, samples = pad([w[:longest] for w in waveforms], longest)
    real = frame_mask(samples, POOL * FRAMES)
    return F.avg_pool2d(hear(sound, real), (1, POOL)), real.unflatten(1, (-1, POOL)).any(-1)


def say(texts: Sequence[str], part: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Each text said once by a random speaker of this part, British or American, at a random rate and pitch; as `heard`
    gives it."""

    def make() -> dict[str, Any]:
        choose, speakers = random.Random(seed), voice_split()[part]
        lines = [
            Utterance(
                text,
                choose.choice(("en", "en-us")),
                choose.choice(speakers),
                choose.randint(160, 240),
                choose.randint(35, 65),
            )
            for text in texts
        ]
        sound, real = zip(*(heard(speak_all(lines[i : i + 256])) for i in range(0, len(lines), 256)))
        return {"sound": torch.cat(sound).half(), "real": torch.cat(real)}

    settings = {"texts": list(texts), "part": part, "seed": seed, "longest": LONGEST, "pool": POOL}
    kept = cached("said", make, version=_VERSION, espeak=espeak_version(), **settings)
    return kept["sound"].float(), kept["real"]


def wiped(sounds: Tensor) -> Tensor:
    """Spectrograms (N, 1, F, T), in each a band of up to 8 pitches and up to a fifth of the time set to 0, the mean.

    Park et al. 2019, "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition".
    """
    n, _, bands, frames = sounds.shape

    def stretch(size: int, longest: int) -> Tensor:
        begin, long = torch.randint(size, (n, 1)), torch.randint(longest + 1, (n, 1))
        place = torch.arange(size)
        return (place >= begin) & (place < begin + long)

    return sounds.masked_fill(stretch(bands, 8)[:, None, :, None] | stretch(frames, frames // 5)[:, None, None, :], 0)


def name_of(number: int) -> str:
    """A concept's English name."""
    return concepts()[number].names["en"]


def described(number: int) -> str:
    """A concept's English name and keywords."""
    return " ".join([name_of(number), *concepts()[number].keywords["en"]])


def pictures_and_words(numbers: Sequence[int]) -> tuple[Batch, Pieces]:
    """A row a concept: its drawings, its name, its name with keywords; and the pieces of these texts.

    inputs {"image": uint8 (N, styles, 3, 32, 32), "text": (N, 2, T)}
    """
    texts = [text for i in numbers for text in (name_of(i), described(i))]
    pieces = Pieces.of(texts)
    ids, _ = pieces.encode(texts)
    images = torch.stack([cropped(style)[list(numbers)] for style in STYLES], 1)
    return Batch({"image": images, "text": ids.view(len(numbers), 2, -1)}), pieces


def words_and_sounds(numbers: Sequence[int], pieces: Pieces, takes: int = 2) -> Batch:
    """Names (each `takes` times) and keywords of these concepts, spelled and said; no picture anywhere.

    inputs {"text": (M, T), "audio": (M, 1, 40, FRAMES)}, masks {"audio": (M, FRAMES)}
    """
    names = [name_of(i) for i in numbers]
    keywords = sorted({word for i in numbers for word in concepts()[i].keywords["en"]} - set(names))
    texts = [*names * takes, *keywords]
    sound, real = say(texts, "train")
    return Batch({"text": pieces.encode(texts)[0], "audio": sound}, masks={"audio": real})


def bound_model(pieces: Pieces, dim: int = 64) -> DualEncoder:
    """Chapter 04's eye, which keeps the layout, a bag of pieces for texts, convolutions for sounds; one space."""
    text = TextBag(len(pieces), 128)
    nn.init.normal_(text.embedding.weight, std=0.1)
    ear = AudioCNN(40, 128, channels=(16, 32, 48))
    return DualEncoder({"image": Layout(), "text": text, "audio": ear}, dim=dim)


def seen_and_read(batch: Batch) -> Batch:
    """What a step sees of pictures and words: each concept in one style, a little changed, with its name or its description.

    Three pieces of a text in ten are forgotten, so that the reader learns what it means not to know one.
    """
    images, texts = batch.inputs["image"], batch.inputs["text"]
    row = torch.arange(len(images))
    style, kind = torch.randint(images.shape[1], (len(row),)), torch.randint(texts.shape[1], (len(row),))
    words = texts[row, kind]
    forgotten = (torch.rand(words.shape) < 0.3) & (words != 0)
    return Batch({"image": jitter(images[row, style].float() / 255), "text": words.masked_fill(forgotten, UNKNOWN)})


def spelled_and_heard(batch: Batch) -> Batch:
    """What a step sees of words and sounds: as they are, but for what `wiped` takes out of the sounds."""
    return Batch({"spelled": batch.inputs["text"], "audio": wiped(batch.inputs["audio"])}, masks=batch.masks)


def through_text(model: nn.Module, batch: Batch) -> Tensor:
    """L = clip_loss(picture, its text) + clip_loss(sound, its text): every term has text on one side."""
    x, scale = batch.inputs, model.scale()  # type: ignore[operator]
    seen, heard_ = model.encode("image", x["image"]), model.encode("audio", x["audio"], batch.masks["audio"])  # type: ignore[operator]
    read, spelled = (model.encode("text", x[one], x[one] != 0) for one in ("text", "spelled"))  # type: ignore[operator]
    seen, read, heard_, spelled = map(gather, (seen, read, heard_, spelled))
    return clip_loss(seen, read, scale) + clip_loss(heard_, spelled, scale)


def train(seed: int) -> tuple[DualEncoder, Pieces]:
    """The three encoders trained through text, on training concepts and training speakers."""
    numbers = numbers_in("train")[:: pick(smoke=40, laptop=1)]
    seen, pieces = pictures_and_words(numbers)
    said = words_and_sounds(numbers, pieces)
    seed_everything(seed)
    model = bound_model(pieces)

    def draw(batch: Batch) -> Batch:
        other = spelled_and_heard(said[torch.randint(len(said), (len(batch),))])
        return Batch({**seen_and_read(batch).inputs, **other.inputs}, masks=other.masks)

    fit(
        model, seen, loss=through_text, augment=draw, steps=pick(smoke=2, laptop=STEPS), batch_size=128, lr=3e-3,
        schedule="cosine", warmup=0.05, seed=seed, precision=small_precision(),
    )  # fmt: skip
    return model, pieces


TOLD = ("name", "description")


@torch.no_grad()
def embed(
    model: DualEncoder, pieces: Pieces, numbers: Sequence[int], part: str, told: str = "name"
) -> dict[str, Tensor]:
    """Pictures, texts and sounds of some concepts, (N, dim) each; the speakers are those of `part`.

    told: "name", or "description": name and keywords in one text, and said one after the other, their embeddings averaged
    """
    texts = [name_of(i) if told == "name" else described(i) for i in numbers]
    lines = [[name_of(i)] if told == "name" else [name_of(i), *concepts()[i].keywords["en"]] for i in numbers]
    ids, real = pieces.encode(texts)
    sound, frames = say([line for some in lines for line in some], part)
    each = torch.cat([model.encode("audio", *some) for some in zip(sound.split(256), frames.split(256))])
    spoken = torch.stack([some.mean(0) for some in each.split([len(some) for some in lines])])
    return {
        "image": model.encode("image", cropped(SHOWN)[list(numbers)]),
        "text": model.encode("text", ids, real),
        "audio": F.normalize(spoken, dim=-1),
    }


def asked(part: str) -> list[int]:
    """The concepts that are asked for: of a part the same GALLERY ones each time, at most; those of "train" are known ones."""
    numbers = numbers_in(part)
    random.Random(0).shuffle(numbers)
    return sorted(numbers[: pick(smoke=20, laptop=GALLERY)])


@torch.no_grad()
def known_texts(model: DualEncoder, pieces: Pieces) -> Tensor:
    """Embeddings (T, dim) of the names and keywords that training had: the bank in which two modalities can meet."""
    numbers = numbers_in("train")
    texts = sorted({text for i in numbers for text in (name_of(i), *concepts()[i].keywords["en"])})
    ids, real = pieces.encode(texts)
    return model.encode("text", ids, real)


def meeting(first: Tensor, second: Tensor, bank: Tensor, scale: float | Tensor) -> Tensor:
    """How much two modalities believe in the same texts: (N, dim), (M, dim), a bank of texts (T, dim) → (N, M).

        score_ij = Σ_t √( p(t | x_i) p(t | y_j) ),    p(t | z) = softmax_t(scale · z·bank_t)

    The Bhattacharyya coefficient, from 0 to 1. Each side is compared with texts only, as in training, so that it does not
    matter in which directions of the space each of them meets the text.
    """
    p, q = ((scale * z @ bank.T).softmax(-1).sqrt() for z in (first, second))
    return p @ q.T


def edges(z: dict[str, Tensor], bank: Tensor, scale: float | Tensor) -> dict[str, float]:
    """Recall at 1 and 10 on each edge of the triangle, both ways, and on the untrained edge through a bank of texts.

    Row i of each modality is the same concept.
    """
    found: dict[str, float] = {}
    for a, b in (way for one in EDGES for way in (one, one[::-1])):
        scores = {"": z[a] @ z[b].T}
        if "text" not in (a, b):
            scores[" by text"] = meeting(z[a], z[b], bank, scale)
        found |= {f"{a} → {b}{how}, R@{k}": recall_at_k(s, k) for how, s in scores.items() for k in (1, 10)}
    pairs = {f"{a} ↔ {b}, cosine": (z[a] * z[b]).sum(1).mean().item() for a, b in EDGES}
    return found | pairs


CONCEPTS = {"known": ("train", "test"), "unseen": ("test", "test"), "valid": ("valid", "valid")}


def bound(seed: int) -> dict[str, dict[str, float]]:
    """Retrieval between any two of picture, text and sound, said by speakers that training never heard.

    known: concepts whose picture met its text, and whose text met its sound; unseen: concepts of which training had nothing
    """
    model, pieces = train(seed)
    bank, scale, rows = known_texts(model, pieces), model.scale().detach(), dict[str, dict[str, float]]()
    for which, (part, speakers) in CONCEPTS.items():
        for told in TOLD:
            rows[f"{which}, {told}"] = edges(embed(model, pieces, asked(part), speakers, told), bank, scale)
    return rows
