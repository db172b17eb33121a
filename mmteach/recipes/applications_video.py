"""Chapter 06, clips and sentences: what a single frame, pooled frames and the order of frames tell, and a search by sentence.

| name              | what it does                                                                        |
|-------------------|--------------------------------------------------------------------------------------|
| `PREDICATES`      | the twelve things that clips do, such as "moves to the left"                            |
| `load`            | the clips of `load_motion`, their predicates numbered                                   |
| `Picture`         | what is in a frame, wherever it stands                                                  |
| `Frames`          | one frame, or the mean of some: who is there, and what can be guessed of the rest        |
| `Change`          | grey frames and their differences through a 3D convolution: what happens                 |
| `Paths`           | a clip and a sentence in one space: subject and predicate apart, or as one               |
| `name`, `match`   | the losses: classes of frames; sentences of clips                                       |
| `says`, `right`   | scores of objects and predicates; shares of right ones                                  |
| `as_read`         | a wish in the order in which `Paths` reads a sentence, and which words it leaves out       |
| `fits`            | the score of each sentence for each clip, plain or normalised                            |
| `search`          | recall of the right clip by its sentence, among one clip of each of the 192 pairs          |
| `moving_emoji`    | the table                                                                               |
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.alignment.contrastive import LogTemperature
from mmteach.claims import pick
from mmteach.data import load_motion
from mmteach.data.batch import Batch
from mmteach.data.motion import OBJECTS, VERBS, MotionSplits, sentence
from mmteach.data.text import UNKNOWN, Vocabulary, tokens
from mmteach.encoders import TextBag, VideoCNN
from mmteach.training import fit, predict, seed_everything, small_precision

PREDICATES = tuple(" ".join(f"{verb} {way}".split()) for verb, ways in VERBS.items() for way in ways)
VERB_OF = torch.tensor([list(VERBS).index(words.split()[0]) for words in PREDICATES])  # (12,)
WIDTH, EPOCHS = 64, 10


def load(seed: int = 0) -> MotionSplits:
    """The moving emoji, 144 of 192 pairs (object, verb) to train on; targets "object", "verb" and "predicate" (N,)."""
    motion = load_motion(clips=pick(smoke=2, laptop=24), seed=seed)
    if pick(smoke=True, laptop=False):  # every pair still has a clip
        motion.valid, motion.test = motion.valid[::8], motion.test[::8]
        motion.seen = motion.seen[::3] if motion.seen is not None else None
    for part in (motion.train, motion.valid, motion.test, motion.seen):
        assert part is not None
        does = [" ".join(f"{v} {d}".split()) for v, d in zip(part.info["verb"], part.info["direction"])]
        part.targets["predicate"] = torch.tensor([PREDICATES.index(words) for words in does])
    return motion


class Picture(nn.Module):
    """What is in a frame, wherever it stands: convolutions, then each channel's maximum over the places.

        h ← maxpool₂(relu(BN(W_l ∗ h)))  for l = 1 … 3,   z = V max_p relu(W₄ ∗ h)_p + c

    The frame less its median colour, which is the background's. A thing fills a tenth of a frame: a mean over the places, as in
    `ImageResNet`, would drown it.
    frames uint8 (B, 3, H, W) → (B, dim)
    """

    def __init__(self, dim: int, channels: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, out in zip((3, *channels), channels):
            layers += [
                nn.Conv2d(before, out, 3, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 2 * channels[-1], 3, padding=1), nn.ReLU())
        self.project, self.dim = nn.Linear(2 * channels[-1], dim), dim

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.float() / 255
        x = x - x.flatten(2).median(2).values[..., None, None]
        return self.project(self.layers(x).amax((2, 3)))


def _clips(clips: Tensor) -> None:
    """Raise unless these are clips as `load_motion` and `read_clip` make them, in colour and with numbers up to 255."""
    _check.shape("clips", clips, "B", "frames", 3, "H", "W")
    if clips.dtype != torch.uint8:
        raise TypeError(f"clips must be uint8 (0 to 255), got {clips.dtype}; from 0…1 by (255 * clips).to(torch.uint8)")


class Frames(nn.Module):
    """The mean over some frames of what `Picture` says of each: it cannot know which frame came first.

    z = (1/n) Σ_t picture(frame_t);   frames: n, in training drawn anew for each batch, afterwards spread evenly
    clips (B, N, 3, H, W) → (B, dim)
    """

    def __init__(self, frames: int, dim: int = WIDTH) -> None:
        super().__init__()
        self.picture, self.frames, self.dim = Picture(dim), frames, dim

    def forward(self, clips: Tensor, mask: None = None) -> Tensor:
        _clips(clips)
        n = clips.shape[1]
        if n < self.frames:
            raise ValueError(f"clips must have {self.frames} frames or more, got {n}: show a frame several times")
        spread = torch.arange(n)[n // (2 * self.frames) :: n // self.frames]
        chosen = torch.randperm(n)[: self.frames] if self.training else spread
        some = clips[:, chosen.to(clips.device)]
        return self.picture(some.flatten(0, 1)).unflatten(0, some.shape[:2]).mean(1)


class Change(nn.Module):
    """3D convolutions over two grey channels, each frame less the clip's mean and its difference to the next.

    Colour is left out, so that the path learns little of who moves; what it is given is where something changed.
    clips (B, N, 3, H, W) → (B, dim)
    """

    def __init__(self, dim: int = WIDTH, channels: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        self.encoder, self.dim = VideoCNN(dim, channels=channels, in_channels=2), dim

    def forward(self, clips: Tensor, mask: None = None) -> Tensor:
        _clips(clips)
        grey = F.avg_pool2d(clips.float().mean(2) / 255, 2)  # (B, N, H/2, W/2)
        step = torch.diff(grey, dim=1, append=grey[:, -1:])
        return self.encoder(torch.stack([grey - grey.mean((1, 2, 3), keepdim=True), 4 * step], 2))


class Namer(nn.Module):
    """An encoder of clips with a head for the object and one for the predicate: {"object": (B, 24), "predicate": (B, 12)}."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(
            {"object": nn.Linear(WIDTH, len(OBJECTS)), "predicate": nn.Linear(WIDTH, len(PREDICATES))}
        )

    def forward(self, inputs: dict, masks: dict | None = None, present: dict | None = None) -> Tensor:
        z = self.encoder(inputs["video"])
        return torch.cat([head(z) for head in self.heads.values()], 1)  # (B, 24 + 12)


def name(model: nn.Module, batch: Batch) -> Tensor:
    """The sum of two cross-entropies, of the object and of the predicate."""
    objects, predicates = model(batch.inputs).split([len(OBJECTS), len(PREDICATES)], 1)
    return F.cross_entropy(objects, batch.targets["object"]) + F.cross_entropy(predicates, batch.targets["predicate"])


class Paths(nn.Module):
    """A clip and a sentence in one space, from an appearance path a, a motion path m and a bag of words w.

        apart:    score = e^τ (a(clip)·w(subject) + m(clip)·w(predicate)),   each vector of length 1
        together: score = e^τ  V[a(clip); m(clip)]·w(sentence),              both of length 1

    vocabulary: of the training sentences;  lines: those sentences, where it learns "together"; None: "apart"
    forward(inputs {"video"}) → the clips' vectors (B, 2 · WIDTH);  read(sentences) → theirs; scores are inner products · e^τ
    A word that is not in the vocabulary is left out.

    After K. Simonyan and A. Zisserman, 2014, "Two-Stream Convolutional Networks for Action Recognition in Videos".
    """

    def __init__(self, vocabulary: Vocabulary, lines: Sequence[str] | None = None) -> None:
        super().__init__()
        self.look, self.move = Frames(3), Change()
        self.words, self.vocabulary, self.lines = TextBag(len(vocabulary), 2 * WIDTH), vocabulary, lines
        self.join = nn.Identity() if lines is None else nn.Linear(2 * WIDTH, 2 * WIDTH)
        self.scale = LogTemperature(0.1)

    def forward(self, inputs: dict, masks: dict | None = None, present: dict | None = None) -> Tensor:
        clips = inputs["video"]
        return self._unit(self.join(torch.cat([self.look(clips), self.move(clips)], 1)))

    def read(self, sentences: Sequence[str]) -> Tensor:
        """The vectors of sentences (S, 2 · WIDTH); the first two words are the subject, the rest is the predicate."""
        if self.lines is not None:
            return self._unit(self._bag(sentences))
        parts = [line.split() for line in sentences]
        subject = self._bag([" ".join(words[:2]) for words in parts])[:, :WIDTH]
        predicate = self._bag([" ".join(words[2:]) for words in parts])[:, WIDTH:]
        return self._unit(torch.cat([subject, predicate], 1))

    def _bag(self, texts: Sequence[str]) -> Tensor:
        ids, mask = self.vocabulary.encode(list(texts))
        device = self.words.embedding.weight.device
        return self.words(ids.to(device), (mask & (ids != UNKNOWN)).to(device))

    def _unit(self, z: Tensor) -> Tensor:
        if self.lines is not None:
            return F.normalize(z, dim=-1)
        return F.normalize(z.unflatten(-1, (2, WIDTH)), dim=-1).flatten(-2)


SUBJECTS = [sentence(thing, "") for thing in OBJECTS]
WHAT = [f"the thing {words}" for words in PREDICATES]


def match(model: nn.Module, batch: Batch) -> Tensor:
    """InfoNCE of each clip against every text there is, so that no negative is a false one.

    apart:    −log softmax over the 24 subjects − log softmax over the 12 predicates
    together: −log softmax over the sentences of training
    """
    assert isinstance(model, Paths)
    clips = model.scale() * model(batch.inputs)
    if model.lines is not None:
        which = torch.tensor([model.lines.index(line) for line in batch.info["sentence"]], device=clips.device)
        return F.cross_entropy(clips @ model.read(model.lines).T, which)
    subjects, predicates = model.read(SUBJECTS)[:, :WIDTH], model.read(WHAT)[:, WIDTH:]
    return F.cross_entropy(clips[:, :WIDTH] @ subjects.T, batch.targets["object"]) + F.cross_entropy(
        clips[:, WIDTH:] @ predicates.T, batch.targets["predicate"]
    )


@torch.no_grad()
def says(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Scores of each clip's object (N, 24) and predicate (N, 12), of a `Namer` or of `Paths` that are apart."""
    z = predict(model, batch)
    if isinstance(model, Paths):
        subjects, predicates = model.read(SUBJECTS)[:, :WIDTH].cpu(), model.read(WHAT)[:, WIDTH:].cpu()
        return z[:, :WIDTH] @ subjects.T, z[:, WIDTH:] @ predicates.T
    return z[:, : len(OBJECTS)], z[:, len(OBJECTS) :]


def right(model: nn.Module, batch: Batch) -> dict[str, float]:
    """The shares of clips whose likeliest object is right, and whose likeliest predicate has the right verb."""
    objects, predicates = says(model, batch)
    return {
        "object": (objects.argmax(1) == batch.targets["object"]).float().mean().item(),
        "verb": (VERB_OF[predicates.argmax(1)] == batch.targets["verb"]).float().mean().item(),
    }


def gallery(motion: MotionSplits, take: int) -> Batch:
    """One clip of each of the 192 pairs, the 24 that training never saw last; another clip for another `take`."""
    chosen = []
    for part in (motion.seen, motion.valid, motion.test):
        assert part is not None
        pair = part.targets["object"] * len(VERBS) + part.targets["verb"]
        for one in pair.unique():
            rows = (pair == one).nonzero().flatten()
            chosen.append(part[rows[take % len(rows)]])
    return Batch(
        {"video": torch.cat([b.inputs["video"] for b in chosen])},
        {"verb": torch.cat([b.targets["verb"] for b in chosen])},
        info={"sentence": [b.info["sentence"][0] for b in chosen]},
    )


def as_read(wish: str, vocabulary: Vocabulary) -> tuple[str, list[str]]:
    """A wish as `Paths` reads a sentence: "the", the thing, what it does; and the words that it leaves out.

    A wish without a known thing gets the word "thing", which `Paths` does not know. Raises ValueError where no word is known.

    >>> vocabulary = Vocabulary.build(sentence(thing, words) for thing in OBJECTS for words in PREDICATES)
    >>> as_read("A big rocket moves up", vocabulary)
    ('the rocket moves up', ['a', 'big'])
    """
    words = tokens(wish)
    known = [word for word in words if word in vocabulary]
    if not set(known) - {"the"}:
        raise ValueError(
            f"None of these words is known. Things: {', '.join(OBJECTS)}. Actions: {', '.join(PREDICATES)}."
        )
    thing = next((word for word in known if word in OBJECTS), "thing")
    does = list(itertools.dropwhile(lambda word: word in {"the", *OBJECTS}, known))
    read = ["the", thing, *(word for word in does if word not in OBJECTS)]
    return " ".join(read), [word for word in words if word not in read]


@torch.no_grad()
def fits(model: Paths, sentences: Sequence[str], z: Tensor, normalised: bool = False) -> Tensor:
    """The score of each sentence for each clip, whose vectors are z (N, 2 · WIDTH): (S, N).

    normalised, of paths that are apart: less what the clip gives to all subjects and to all predicates, so that clips can be
    compared: log p(subject | clip) + log p(predicate | clip)
    """
    scores = model.read(sentences).cpu() @ z.T
    if not normalised:
        return scores
    scale = model.scale().cpu()
    who, what = (model.read(texts).cpu() for texts in (SUBJECTS, WHAT))
    given = torch.logsumexp(scale * z[:, :WIDTH] @ who[:, :WIDTH].T, 1)
    given = given + torch.logsumexp(scale * z[:, WIDTH:] @ what[:, WIDTH:].T, 1)
    return scale * scores - given


def search(
    model: Paths, motion: MotionSplits, part: str = "test", takes: int = 16, normalised: bool = False
) -> dict[str, float]:
    """Recall at 1 and 5 of a clip by its sentence among one clip of each of the 192 pairs, over so many galleries.

    part: whose 24 pairs are asked for: "test" or "valid", never trained; "seen": the 144 of training
    normalised: as in `fits`
    """
    rows = {"seen": slice(0, 144), "valid": slice(144, 168), "test": slice(168, 192)}[part]
    hits = []
    for take in range(takes):
        clips = gallery(motion, take)
        scores = fits(model, clips.info["sentence"], predict(model, clips), normalised)  # (192 sentences, 192 clips)
        ahead = (scores > scores.diagonal()[:, None]).sum(1)  # how many clips come before the right one
        hits.append(ahead[rows])
    ahead = torch.cat(hits)
    return {"R@1": (ahead < 1).float().mean().item(), "R@5": (ahead < 5).float().mean().item()}


def train(model: nn.Module, motion: MotionSplits, epochs: int, seed: int) -> nn.Module:
    """Any of the models on the training clips, a cosine from 3e-3 to 0; returns it."""
    loss = match if isinstance(model, Paths) else name
    fit(
        model, motion.train, loss=loss, epochs=pick(smoke=1, laptop=epochs), batch_size=32, lr=3e-3, schedule="cosine",
        warmup=0.1, seed=seed, precision=small_precision(),
    )  # fmt: skip
    return model


def moving_emoji(seed: int) -> dict[str, dict[str, float]]:
    """Objects, verbs and retrieval on pairs never seen and on new clips of seen ones, for four models of equal epochs."""
    motion = load(seed)
    lines = sorted(set(motion.train.info["sentence"]))
    makers = {
        "one frame": lambda: Namer(Frames(1)),
        "mean of frames": lambda: Namer(Frames(4)),
        "two paths, one space": lambda: Paths(motion.vocabulary, lines),
        "two paths apart": lambda: Paths(motion.vocabulary),
    }
    rows = {}
    for model_name, make in makers.items():
        seed_everything(seed)
        model = train(make(), motion, EPOCHS, seed)
        row: dict[str, float] = {}
        parts = {"unseen": motion.test, "seen": motion.seen, "valid": motion.valid}
        for part, batch in parts.items():
            assert batch is not None
            if model_name != "two paths, one space":
                row |= {f"{what}, {part}": share for what, share in right(model, batch).items()}
            if isinstance(model, Paths):
                found = search(model, motion, {"unseen": "test"}.get(part, part), takes=3 if part == "seen" else 16)
                row |= {f"{what}, {part}": share for what, share in found.items()}
        rows[model_name] = row | {"parameters": sum(p.numel() for p in model.parameters())}
    return rows
