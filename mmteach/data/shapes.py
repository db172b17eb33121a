"""Two shapes and a sentence about them, for captioning; and colour–shape pairs that training never shows.

| name          | what it gives, and when to use it                                               |
|---------------|---------------------------------------------------------------------------------|
| `load_shapes` | pictures with captions such as "a red circle left of a blue square"              |
| `HELD_OUT`    | the colour–shape pairs that `load_shapes(held_out=True)` keeps for the test      |

The held-out pairs test composition: a model that has seen red squares and blue circles has seen all it needs to say "red
circle", word by word. Whether it can is another question (Lake and Baroni, 2018, "Generalization without systematicity: on
the compositional skills of sequence-to-sequence recurrent networks").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.batch import Batch, Splits
from mmteach.data.cards import Card
from mmteach.data.scenes import BACKGROUND, paint
from mmteach.data.store import cached
from mmteach.data.text import Vocabulary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# None of the words begins with a vowel, so that "a" is always right.
COLOURS = {
    "red": (220, 50, 47),
    "green": (46, 160, 67),
    "blue": (38, 99, 235),
    "purple": (142, 68, 173),
    "black": (40, 40, 40),
    "yellow": (240, 215, 30),
}
SHAPES = ("circle", "square", "triangle")
RELATIONS = ("left of", "right of", "above", "below")
PAIRS = [(colour, shape) for colour in COLOURS for shape in SHAPES]
# One shape of each colour and two colours of each shape, so that every word is still met in training, often.
HELD_OUT = [(colour, SHAPES[i % len(SHAPES)]) for i, colour in enumerate(COLOURS)]
WORDS = ("a", "above", "below", "left", "of", "right", *COLOURS, *SHAPES)
SIDE = 32  # pixels
_LARGE, _SMALL = (5.5, 7.0), (3.0, 4.0)  # half the side of a shape, in pixels: the two ranges do not meet
_CLEARER = 4.0  # pixels by which the named direction is the longer of the two
_VERSION = 1


def _places(n: int, half: Tensor, generator: torch.Generator) -> Tensor:
    """Places of two shapes (n, 2, 2), inside the picture, apart, and clearly beside or above each other."""
    place = torch.zeros(n, 2, 2)
    todo = torch.arange(n)
    while len(todo):
        room = half[todo][..., None]
        place[todo] = room + (SIDE - 2 * room) * torch.rand(len(todo), 2, 2, generator=generator)
        apart = (place[todo, 0] - place[todo, 1]).abs()
        far = apart.amax(1) > half[todo].sum(1) + 1
        clear = (apart[:, 0] - apart[:, 1]).abs() > _CLEARER
        todo = todo[~(far & clear)]
    return place


def _generate(n: int, pairs: Tensor, seed: int) -> dict[str, Tensor]:
    """Pictures (n, 3, 32, 32) uint8 of the colour–shape pairs (n, 2), the larger first, and the relation's number (n,)."""
    generator = torch.Generator().manual_seed(seed)
    low, high = torch.tensor([_LARGE, _SMALL]).T
    half = low + (high - low) * torch.rand(n, 2, generator=generator)
    place = _places(n, half, generator)
    gap = place[:, 0] - place[:, 1]
    upright = gap[:, 1].abs() > gap[:, 0].abs()
    relation = 2 * upright + (gap.gather(1, upright.long()[:, None])[:, 0] > 0)
    colours = torch.tensor(list(COLOURS.values()), dtype=torch.float32)
    picture = torch.full((n, 3, SIDE, SIDE), BACKGROUND)
    for i in range(2):
        colour, shape = pairs[:, i] // len(SHAPES), pairs[:, i] % len(SHAPES)
        paint(picture, place[:, i], half[:, i], list(SHAPES), shape, colours[colour])
    return {"picture": picture.round().to(torch.uint8), "relation": relation.long(), "pairs": pairs}


def _draw_pairs(n: int, held_out: str, generator: torch.Generator) -> Tensor:
    """Two different colour–shape pairs a scene (n, 2): any, "none" of the held-out ones, or "some" (one at least)."""
    rare = torch.tensor([pair in HELD_OUT for pair in PAIRS])
    chosen = torch.zeros(n, 2, dtype=torch.int64)
    todo = torch.arange(n)
    while len(todo):
        chosen[todo] = torch.randint(len(PAIRS), (len(todo), 2), generator=generator)
        count = rare[chosen[todo]].sum(1)
        good = {"any": count >= 0, "none": count == 0, "some": count > 0}[held_out]
        todo = todo[~(good & (chosen[todo, 0] != chosen[todo, 1]))]
    return chosen


def _make(sizes: tuple[int, int, int], held_out: bool, seed: int) -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for part, n in zip(("train", "valid", "test"), sizes):
        kind = "any" if not held_out else "some" if part == "test" else "none"
        pairs = _draw_pairs(n, kind, generator)
        made[part] = _generate(n, pairs, int(torch.randint(2**31, (1,), generator=generator)))
    return made


def load_shapes(
    train: int = 8000, valid: int = 1000, test: int = 1000, held_out: bool = False, seed: int = 0
) -> Splits:
    """Pictures of two shapes with captions, e.g. "a red circle left of a blue square".

    The larger shape (the taller one) is named first, so each picture has one right caption; 4 relations, 6 colours, 3 shapes.

    held_out: False: all three splits are drawn alike. True: training and validation never show the six pairs in HELD_OUT
              ("red circle", "green square", …), and every test picture shows at least one.

    inputs:  "image" (B, 3, 32, 32), float32 from 0 to 1; "text" (B, 8), word ids, 0 = padding, with its mask
    targets: "relation" (B,) into RELATIONS; "pairs" (B, 2) into PAIRS, the larger first; "unseen" (B, 2) bool, whether
             the pair is one of HELD_OUT
    info:    "caption"; the vocabulary, in the order of its ids, is `Splits.classes["word"]`

    >>> data = load_shapes(train=4, valid=1, test=1)
    >>> data.train.info["caption"][0]
    'a blue triangle above a purple circle'
    """
    for part, n in (("train", train), ("valid", valid), ("test", test)):
        _check.whole(part, n, at_least=1)
    sizes = (train, valid, test)
    made = cached(
        "shapes", lambda: _make(sizes, held_out, seed), n=sizes, held_out=held_out, seed=seed, version=_VERSION
    )
    vocabulary = Vocabulary(WORDS)
    rare = torch.tensor([pair in HELD_OUT for pair in PAIRS])
    parts = {}
    for part, scene in made.items():
        captions = [
            f"a {' '.join(PAIRS[first])} {RELATIONS[relation]} a {' '.join(PAIRS[second])}"
            for (first, second), relation in zip(scene["pairs"].tolist(), scene["relation"].tolist())
        ]
        ids, mask = vocabulary.encode(captions, length=8)
        parts[part] = Batch(
            {"image": scene["picture"].float() / 255, "text": ids},
            {"relation": scene["relation"], "pairs": scene["pairs"], "unseen": rare[scene["pairs"]]},
            masks={"text": mask},
            info={"caption": captions},
        )
    classes = {"word": vocabulary.itos, "relation": list(RELATIONS), "pairs": [" ".join(pair) for pair in PAIRS]}
    return Splits("two shapes", **parts, classes=classes)


def _sample() -> Figure:
    import textwrap

    from mmteach.figures.samples import picture_grid

    some = load_shapes(train=10, valid=1, test=1).train
    words = [textwrap.fill(caption, 20) for caption in some.info["caption"]]
    alt = "Ten pictures of a larger and a smaller coloured shape, each with its caption"
    return picture_grid(some.inputs["image"], words, columns=5, inch=1.5, alt=alt).figure


CARD = Card(
    name="shapes",
    title="Two shapes and a sentence about them; some pairs held out on request",
    modalities=("image 3×32×32", "caption of 7 or 8 words"),
    examples="10,000 pictures by default; 18 colour–shape pairs × 17 others × 4 relations",
    source="generated by mmteach.data.shapes",
    licence="MIT, as mmteach",
    files=(),
    splits="8,000 / 1,000 / 1,000 drawn alike; with held_out=True six colour–shape pairs are in the test alone",
    beware="Without held_out=True a test caption may stand in training too, under another picture: exact match then says "
    "that a model sees, not that it composes.",
    sample=_sample,
)
