"""Sort-of-CLEVR: six coloured objects, and questions that need one of them, or how they stand to each other.

| name           | what it gives, and when to use it                                                    |
|----------------|--------------------------------------------------------------------------------------|
| `load_scenes`  | scenes, questions and answers in three splits: for relation networks (chapter 04)      |
| `draw_scenes`  | where the objects are and what they are, without questions                             |
| `answers`      | the right answer to every possible question about each scene                           |
| `paint`        | puts one shape on each of many pictures at once                                        |
| `QUESTIONS`    | the 36 questions in words, in the order of their numbers                               |

After Santoro et al. (2017), "A simple neural network module for relational reasoning": six objects, one of each colour,
each a square or a circle, on 75×75 pixels; 10 relational and 10 non-relational questions a scene; 10 possible answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.batch import Batch, Splits
from mmteach.data.cards import Card
from mmteach.data.store import cached

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    "red": (220, 50, 47),
    "green": (46, 160, 67),
    "blue": (38, 99, 235),
    "orange": (245, 146, 20),
    "grey": (128, 128, 128),
    "yellow": (240, 215, 30),
}
SHAPES = ("square", "circle")
ANSWERS = ["yes", "no", "square", "circle", "1", "2", "3", "4", "5", "6"]
PIXELS = 75  # the paper's picture size, in which positions are measured
BACKGROUND = 236.0  # a light grey, on which yellow shows
HALF = 5.0  # half of a square's side, and a circle's radius, in pixels
_VERSION = 1  # of the generator: a change to it makes cached scenes out of date

_NONRELATIONAL = ("what shape is the {} object", "is the {} object on the left", "is the {} object at the top")
_RELATIONAL = (
    "what shape is the object closest to the {} object",
    "what shape is the object farthest from the {} object",
    "how many objects have the shape of the {} object",
)
# Number 6 · type + colour; types 0–2 are relational, 3–5 are not.
QUESTIONS = [words.format(colour) for words in (*_RELATIONAL, *_NONRELATIONAL) for colour in COLOURS]


def draw_scenes(n: int, seed: int = 0) -> dict[str, Tensor]:
    """n scenes: {"place": (n, 6, 2) of x, y in pixels from the top left, "shape": (n, 6), 0 square or 1 circle}.

    Object i has colour i. Places are uniform over all arrangements in which no two objects touch (a whole scene is thrown
    away where they do), so positions carry no hint about shapes or colours.
    """
    _check.positive("n", n)
    generator = torch.Generator().manual_seed(seed)
    kept, found = [], 0
    while found < n:
        place = HALF + (PIXELS - 2 * HALF) * torch.rand(8192, len(COLOURS), 2, generator=generator)
        apart = (place[:, :, None] - place[:, None]).abs().amax(-1) + PIXELS * torch.eye(len(COLOURS))
        place = place[apart.flatten(1).amin(1) > 2 * HALF + 1]
        kept.append(place)
        found += len(place)
    shape = torch.randint(len(SHAPES), (n, len(COLOURS)), generator=generator)
    return {"place": torch.cat(kept)[:n], "shape": shape}


def answers(place: Tensor, shape: Tensor) -> Tensor:
    """The answer to each of the 36 questions about each scene: (n, 6, 2), (n, 6) → (n, 36), numbers into ANSWERS.

    "Left" and "top" mean the left and the upper half of the picture. "How many" counts the named object itself.
    """
    _check.shape("place", place, "n", len(COLOURS), 2)
    _check.shape("shape", shape, len(place), len(COLOURS))
    distance = torch.cdist(place, place)
    itself = torch.eye(len(COLOURS), dtype=torch.bool, device=place.device)
    closest = shape.gather(1, distance.masked_fill(itself, float("inf")).argmin(2))
    farthest = shape.gather(1, distance.argmax(2))
    alike = (shape[:, :, None] == shape[:, None]).sum(2)
    side = (place >= PIXELS / 2).long()  # 0 = yes: left, top
    return torch.cat([closest + 2, farthest + 2, alike + 3, shape + 2, side[..., 0], side[..., 1]], dim=1)


def paint(canvas: Tensor, place: Tensor, half: Tensor, kind: list[str], shape: Tensor, colour: Tensor) -> None:
    """Put one shape on each picture, in place, with soft edges (each pixel is looked at in 3 × 3 points).

    canvas (n, 3, size, size) float; place (n, 2) the middle, x and y in pixels; half (n,) half the side, or the radius;
    shape (n,) a number into `kind`, which names "square", "circle" or "triangle"; colour (n, 3).
    """
    n, size = len(canvas), canvas.shape[-1]
    reach = int(half.max()) + 2
    steps = torch.arange(-reach, reach + 1)
    x = place[:, 0].floor().long()[:, None, None] + steps[None, None, :]
    y = place[:, 1].floor().long()[:, None, None] + steps[None, :, None]
    points = (torch.arange(3) + 0.5) / 3
    dx = (x[..., None] + points - place[:, 0, None, None, None])[..., None, :]  # (n, 1, P, 1, 3): across
    dy = (y[..., None] + points - place[:, 1, None, None, None])[..., :, None]  # (n, P, 1, 3, 1): down
    h = half[:, None, None, None, None]
    inside = {
        "square": torch.maximum(dx.abs(), dy.abs()) <= h,
        "circle": dx**2 + dy**2 <= h**2,
        "triangle": (dx.abs() <= (dy + h) / 2) & (dy <= h),
    }
    cover = torch.stack([inside[k] for k in kind])[shape, torch.arange(n)].float().mean((-1, -2))
    on = (x >= 0) & (x < size) & (y >= 0) & (y < size) & (cover > 0)
    picture, row, column = on.nonzero(as_tuple=True)
    alpha = cover[picture, row, column][:, None]
    down, across = y[picture, row, 0], x[picture, 0, column]
    below = canvas[picture, :, down, across]
    canvas[picture, :, down, across] = below + alpha * (colour[picture] - below)


def _pictures(place: Tensor, shape: Tensor, size: int) -> Tensor:
    """Scenes as pictures (n, 3, size, size), uint8, on a light grey."""
    colours = torch.tensor(list(COLOURS.values()), dtype=torch.float32)
    made = []
    for where, what in zip(place.split(1000), shape.split(1000)):
        canvas = torch.full((len(where), 3, size, size), BACKGROUND)
        half = torch.full((len(where),), HALF * size / PIXELS)
        for i in range(len(COLOURS)):
            colour = colours[i].expand(len(where), 3)
            paint(canvas, where[:, i] * size / PIXELS, half, list(SHAPES), what[:, i], colour)
        made.append(canvas.round().to(torch.uint8))
    return torch.cat(made)


def _encode(number: Tensor) -> Tensor:
    """Question numbers (n,) as 11 bits: 6 for the colour, 2 for relational or not, 3 for which of its three questions."""
    hot = torch.nn.functional.one_hot
    kind, colour = number // len(COLOURS), number % len(COLOURS)
    return torch.cat([hot(colour, 6), hot(kind // 3, 2), hot(kind % 3, 3)], dim=1).float()


def _generate(n: int, seed: int, image: int | None) -> dict[str, Tensor]:
    scenes = draw_scenes(n, seed)
    if image is not None:
        scenes["image"] = _pictures(scenes["place"], scenes["shape"], image)
    return scenes


def load_scenes(
    train: int = 9000, valid: int = 500, test: int = 1000, questions: int = 10, image: int | None = None, seed: int = 0
) -> Splits:
    """Sort-of-CLEVR with this many scenes in each split and, for each, `questions` relational and as many other questions.

    inputs:  "state" (B, 6, 10): an object a row, in the order of COLOURS: colour (6, one-hot), square or circle (2), x and
             y from −1 (left, top) to 1. "question" (B, 11): 6 bits colour, 2 relational or not, 3 which question.
             With `image=75` also "image" (B, 3, 75, 75), uint8, the same picture for all questions of a scene
             (any size from 32 up; a model divides by 255).
    targets: "answer" (B,) into ANSWERS; "relational" (B,) bool; "scene" (B,) the scene's number in its split
    info:    "sentence": the question in words

    The rows of a scene follow one another, and a scene is in one split alone. No question is asked twice of a scene.
    """
    for part, n in (("train", train), ("valid", valid), ("test", test)):
        _check.whole(part, n, at_least=1)
    _check.whole("questions", questions)
    _check.between("questions", questions, 1, 18)
    if image is not None:
        _check.between("image", image, 32, 512)
        gigabytes = 2 * questions * (train + valid + test) * 3 * image**2 / 1e9
        if gigabytes > 8:
            raise ValueError(
                f"pictures of {image}×{image} pixels for {2 * questions * (train + valid + test):,} questions would take "
                f"{gigabytes:.0f} GB: ask for fewer scenes (train=), fewer questions or a smaller image"
            )
    total = train + valid + test
    scenes = cached("scenes", lambda: _generate(total, seed, image), n=total, seed=seed, image=image, version=_VERSION)
    place, shape = scenes["place"], scenes["shape"]
    right = answers(place, shape)
    state = torch.cat(
        [
            torch.eye(len(COLOURS)).expand(total, -1, -1),
            torch.nn.functional.one_hot(shape, len(SHAPES)).float(),
            2 * place / PIXELS - 1,
        ],
        dim=2,
    )
    generator = torch.Generator().manual_seed(seed + 1)
    relational = torch.rand(total, 18, generator=generator).argsort(1)[:, :questions]
    other = 18 + torch.rand(total, 18, generator=generator).argsort(1)[:, :questions]
    asked = torch.cat([relational, other], dim=1)

    def make(first: int, count: int) -> Batch:
        some = slice(first, first + count)
        number = asked[some].flatten()
        each = torch.arange(count).repeat_interleave(2 * questions)
        inputs = {"state": state[some][each], "question": _encode(number)}
        if image is not None:
            inputs["image"] = scenes["image"][some][each]
        targets = {"answer": right[some].gather(1, asked[some]).flatten(), "relational": number < 18, "scene": each}
        return Batch(inputs, targets, info={"sentence": [QUESTIONS[q] for q in number.tolist()]})

    parts = make(0, train), make(train, valid), make(train + valid, test)
    return Splits("Sort-of-CLEVR scenes", *parts, {"answer": ANSWERS})


def _sample() -> Figure:
    import textwrap

    from mmteach.figures.samples import picture_grid

    some = load_scenes(train=6, valid=1, test=1, questions=1, image=PIXELS).train
    said = [
        textwrap.fill(f"{sentence}? {ANSWERS[answer]}", 36)
        for sentence, answer in zip(some.info["sentence"], some.targets["answer"].tolist())
    ]
    words = [f"{relational}\n{other}" for relational, other in zip(said[::2], said[1::2])]
    alt = "Six scenes of six coloured squares and circles, each with a relational question, another, and their answers"
    return picture_grid(some.inputs["image"][::2], words, columns=3, inch=2.2, alt=alt).figure


CARD = Card(
    name="scenes",
    title="Sort-of-CLEVR: six coloured objects, relational and non-relational questions",
    modalities=("state 6×10", "question 11 bits and in words", "image 3×75×75 if asked for"),
    examples="10,500 scenes × 20 questions by default",
    source="generated by mmteach.data.scenes after Santoro et al. (2017), with distinct questions and no touching objects",
    licence="MIT, as mmteach",
    files=(),
    splits="by scene: 9,000 train, 500 valid, 1,000 test; no scene is in two splits",
    beware="Answers are not equally frequent: a third of the relational questions count, and most counts are 3 or 4. Compare "
    "with the best guess for each question, not with 1 in 10.",
    sample=_sample,
)
