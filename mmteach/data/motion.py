"""Clips of emoji that move, turn, grow…, each with its sentence: what video tells that a single picture does not.

| name          | what it gives, and when to use it                                                         |
|---------------|--------------------------------------------------------------------------------------------|
| `load_motion` | clip + sentence, with object, verb and direction to tell: video models, clip–sentence retrieval  |
| `sentence`    | the sentence of an object, a verb and a direction                                            |
| `film`        | one clip of any emoji that does one of these things: a clip of your own                       |

The idea is that of Moving MNIST with captions (G. Mittal, T. Marwah and V. N. Balasubramanian, 2017, "Sync-DRAW: Automatic
Video Generation using Deep Recurrent Attentive Architectures"), with emoji in place of digits.

A clip has five quantities: place across, place down, size, tilt and opacity. A verb changes one of them over time, while the
others keep a value. Both take their values from one and the same set, equally often: a frame picked at random looks the same
whatever the verb, and only the order of frames tells. (A given frame tells a little: in the first, what grows is still small.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmteach import _check
from mmteach.data.batch import Batch, Splits
from mmteach.data.cards import Card
from mmteach.data.emoji import STYLES, concepts, drawings
from mmteach.data.store import cached, checksums
from mmteach.data.text import Vocabulary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# No ball and no star among them: a turn must show.
OBJECTS = {
    "apple": "🍎", "banana": "🍌", "bell": "🔔", "bicycle": "🚲", "balloon": "🎈", "butterfly": "🦋",
    "cake": "🎂", "car": "🚗", "carrot": "🥕", "cat": "🐱", "crown": "👑", "dog": "🐶",
    "fish": "🐟", "guitar": "🎸", "heart": "❤", "house": "🏠", "key": "🔑", "mushroom": "🍄",
    "octopus": "🐙", "penguin": "🐧", "pizza": "🍕", "rocket": "🚀", "tree": "🌳", "turtle": "🐢",
}  # fmt: skip
VERBS = {
    "moves": ("to the left", "to the right", "up", "down"),
    "turns": ("clockwise", "anticlockwise"),
    "grows": ("",),
    "shrinks": ("",),
    "pulses": ("",),  # grows and shrinks, or the other way round
    "bounces": ("",),  # goes up and down
    "shakes": ("",),  # jumps a little to the left and to the right
    "blinks": ("",),  # fades and comes back
}
DIRECTIONS = ("", *VERBS["moves"], *VERBS["turns"])
BACKGROUNDS = ("plain", "noisy")
# How far each quantity goes from its middle, in frames' sides or degrees.
REACH, SHAKE, SIDE, SIDE_REACH, TILT, FADED = 0.18, 0.05, 0.5, 0.14, 90.0, 0.55
_VERSION = 1  # part of the cache key: count up when what is generated changes
# How many clips of a pair valid and test have; `seen`; valid and test where no pairs are held out.
_HELD_OUT_CLIPS, _SEEN_CLIPS, _SHARED_CLIPS = 16, 3, 2


@dataclass(repr=False)
class MotionSplits(Splits):
    """Splits of `load_motion`, with two things more.

    vocabulary: the words of the training sentences; inputs["text"] holds its numbers
    seen:       new clips of the pairs that training saw, to set beside test; None where no pair is held out
    """

    vocabulary: Vocabulary = field(kw_only=True)
    seen: Batch | None = field(kw_only=True, default=None)


def sentence(thing: str, verb: str, direction: str = "") -> str:
    """What happens in a clip, in words.

    >>> sentence("apple", "moves", "to the left")
    'the apple moves to the left'
    """
    return " ".join(f"the {thing} {verb} {direction}".split())


def load_motion(
    frames: int = 8,
    size: int = 32,
    *,
    styles: Sequence[str] = STYLES,
    background: str = "noisy",
    clips: int = 24,
    held_out_pairs: bool = True,
    seed: int = 0,
) -> MotionSplits:
    """Clips of 24 objects that do 8 things, with sentences such as "the apple moves to the left".

    frames:         8, or another multiple of 4 from 8 on
    size:           the frames' side in pixels
    styles:         which drawing styles the clips mix, see `load_emoji`
    background:     "plain": one light colour a clip; "noisy": with a texture that stands still and noise that does not
    clips:          how many train has of each pair (object, verb)
    held_out_pairs: True: valid and test have pairs of which train has no clip. False: all have all pairs, in other clips
    seed:           another one gives other clips; the pairs held out are always the same

    inputs  {"video": uint8 (N, frames, 3, size, size); "text": int64 (N, 6)}, masks {"text": bool (N, 6)}
    targets {"object": 24 classes, "verb": 8, "direction": 7, the first for verbs without one, "style"}, all int64 (N,)
    info    {"sentence", "object", "verb", "direction"}

    With held-out pairs train has 144 pairs of 192, valid 24 and test 24. Each object lacks one verb in train for valid and one
    for test, each verb lacks three objects for each: objects and verbs are equally frequent in every part. A model that
    cannot see the verb still learns from train which six verbs an object does, and falls below chance (1/8) on test: set
    `seen`, new clips of trained pairs, beside it.

    Made on first use, then kept in the cache folder. Raises ValueError for a wrong setting.

    >>> motion = load_motion(size=8, clips=1, styles=["noto"])
    >>> motion.test.info["sentence"][0]
    'the apple moves to the left'
    """
    for name, value in (("frames", frames), ("size", size), ("clips", clips)):
        _check.whole(name, value)
    if frames < 8 or frames % 4:
        raise ValueError(f"frames must be a multiple of 4, 8 or more, got {frames}")
    if size < 8:
        raise ValueError(f"size must be 8 pixels or more, got {size}")
    if isinstance(styles, str) or not styles:
        raise ValueError(f"styles must be a list of one or more of {', '.join(STYLES)}, got {styles!r}")
    for style in styles:
        _check.choice("styles", style, STYLES)
    _check.choice("background", background, BACKGROUNDS)
    _check.positive("clips", clips)
    settings: dict[str, Any] = dict(frames=frames, size=size, styles=list(styles), background=background, clips=clips)
    settings.update(held_out_pairs=held_out_pairs, seed=seed)
    drawn_from = [checksums()[f"emoji-{style}{plane}.png"] for style in styles for plane in ("", "-alpha")]
    kept = cached("motion", lambda: _make(**settings), version=_VERSION, drawn_from=drawn_from, **settings)
    classes = {"object": list(OBJECTS), "verb": list(VERBS), "direction": list(DIRECTIONS), "style": list(styles)}
    words = {part: _words(made, classes) for part, made in kept.items()}
    vocabulary = Vocabulary.build(words["train"]["sentence"])
    parts = {}
    for part, made in kept.items():
        text, mask = vocabulary.encode(words[part]["sentence"], length=6)
        parts[part] = Batch(
            inputs={"video": made["video"], "text": text},
            targets={task: made[task] for task in classes},
            masks={"text": mask},
            info=words[part],
        )
    return MotionSplits("motion", **parts, classes=classes, vocabulary=vocabulary)


def film(
    thing: str,
    verb: str,
    direction: str = "",
    *,
    style: str = "noto",
    frames: int = 8,
    size: int = 32,
    background: str = "noisy",
    seed: int = 0,
) -> Tensor:
    """One clip of an emoji that does something: uint8 (frames, 3, size, size).

    thing: one of the 24 objects by name, or any emoji of `concepts()` as its character;  direction: where the verb has some
    Raises ValueError for an emoji, verb, direction or style that there is not.

    >>> film("🛸", "moves", "up").shape
    torch.Size([8, 3, 32, 32])
    """
    chars = [concept.char for concept in concepts()]
    char = OBJECTS.get(thing, thing)
    if char not in chars:
        raise ValueError(f"thing must be one of {', '.join(OBJECTS)}, or an emoji, got {thing!r}")
    _check.choice("verb", verb, tuple(VERBS))
    _check.choice("direction", direction, VERBS[verb])
    _check.choice("style", style, STYLES)
    _check.choice("background", background, BACKGROUNDS)
    generator = torch.Generator().manual_seed(seed)
    does = torch.tensor([list(VERBS).index(verb)]), torch.tensor([DIRECTIONS.index(direction)])
    paths = _paths(*does, frames, generator)
    return _render(drawings(style)[[chars.index(char)]], paths, size, background, generator)[0]


def pairs(held_out: bool) -> dict[str, list[tuple[int, int]]]:
    """Which pairs (object, verb), by number, each part has: with (object + verb) mod 8 = 0 test's, = 1 valid's."""
    every = [(thing, verb) for thing in range(len(OBJECTS)) for verb in range(len(VERBS))]
    if not held_out:
        return {"train": every, "valid": every, "test": every}
    rest = {pair: sum(pair) % len(VERBS) for pair in every}
    train = [pair for pair in every if rest[pair] > 1]
    return {
        "train": train,
        "valid": [pair for pair in every if rest[pair] == 1],
        "test": [pair for pair in every if rest[pair] == 0],
        "seen": train,
    }


def _make(
    frames: int, size: int, styles: list[str], background: str, clips: int, held_out_pairs: bool, seed: int
) -> dict[str, Any]:
    """Every part's clips and targets."""
    number = {concept.char: i for i, concept in enumerate(concepts())}
    shown = [number[char] for char in OBJECTS.values()]
    pictures = torch.stack([drawings(style)[shown] for style in styles])  # (styles, objects, 4, 48, 48)
    generator = torch.Generator().manual_seed(seed)
    few = _HELD_OUT_CLIPS if held_out_pairs else _SHARED_CLIPS
    counts = {"train": clips, "valid": few, "test": few, "seen": _SEEN_CLIPS}
    made = {}
    for part, some in pairs(held_out_pairs).items():
        thing = torch.tensor([thing for thing, _ in some for _ in range(counts[part])])
        verb = torch.tensor([verb for _, verb in some for _ in range(counts[part])])
        # The clips of a pair take its directions in turn, beginning with another one for each object.
        ways = [[DIRECTIONS.index(way) for way in directions] for directions in VERBS.values()]
        direction = torch.tensor(
            [ways[verb][(thing + k) % len(ways[verb])] for thing, verb in some for k in range(counts[part])]
        )
        style = torch.randint(len(styles), thing.shape, generator=generator)
        paths = _paths(verb, direction, frames, generator)
        video = torch.cat(
            [
                _render(pictures[style[rows], thing[rows]], paths[:, rows], size, background, generator)
                for rows in torch.arange(len(thing)).split(64)
            ]
        )
        made[part] = {"video": video, "object": thing, "verb": verb, "direction": direction, "style": style}
    return made


def _paths(verb: Tensor, direction: Tensor, frames: int, generator: torch.Generator) -> Tensor:
    """The five quantities over time (5, N, frames): place across and down in frames' sides, side, tilt in degrees, opacity.

    `ramp` is the set of values, from -1 to 1, one a frame. What a verb changes runs through all of them once: in order,
    backwards, or up over every second one and down over the rest (`wave`, from any point on). What it leaves alone
    keeps one of them. The small jump of "shakes" and the fading of "blinks" have two values and work the same way.
    """
    n = len(verb)
    ramp = torch.linspace(-1, 1, frames)
    order = torch.cat([torch.arange(0, frames, 2), torch.arange(1, frames, 2).flip(0)])
    time = torch.arange(frames)

    def any_of(count: int) -> Tensor:
        return torch.randint(count, (n, 1), generator=generator)

    across, down, side, tilt = (ramp[any_of(frames)].expand(n, frames).clone() for _ in range(4))
    jump, faded = (any_of(2).expand(n, frames).clone() for _ in range(2))
    wave = ramp[order[(time + any_of(frames)) % frames]]  # (n, frames)
    alternate = (time + any_of(2)) % 2
    pattern = (time + any_of(4)) % 4 // 2  # on, on, off, off
    is_verb = {name: verb == i for i, name in enumerate(VERBS)}
    way = {name: direction == i for i, name in enumerate(DIRECTIONS)}
    across[way["to the right"]], across[way["to the left"]] = ramp, -ramp
    down[way["down"]], down[way["up"]] = ramp, -ramp
    down[is_verb["bounces"]] = wave[is_verb["bounces"]]
    side[is_verb["grows"]], side[is_verb["shrinks"]] = ramp, -ramp
    side[is_verb["pulses"]] = wave[is_verb["pulses"]]
    tilt[way["clockwise"]], tilt[way["anticlockwise"]] = ramp, -ramp
    jump[is_verb["shakes"]] = alternate[is_verb["shakes"]]
    faded[is_verb["blinks"]] = pattern[is_verb["blinks"]]
    return torch.stack(
        [
            REACH * across + SHAKE * (2 * jump - 1),
            REACH * down,
            SIDE + SIDE_REACH * side,
            TILT * tilt,
            1 - (1 - FADED) * faded,
        ]
    )


def _render(pictures: Tensor, paths: Tensor, size: int, background: str, generator: torch.Generator) -> Tensor:
    """Clips uint8 (N, frames, 3, size, size) of pictures uint8 (N, 4, 48, 48) along their paths (5, N, frames).

    Drawn at twice the size and averaged, so that edges are smooth; colours are multiplied by opacity before they are
    interpolated, so that no dark rim appears.
    """
    n, frames = paths.shape[1:]
    across, down, side, tilt, opacity = paths.reshape(5, n * frames)
    largest = min(48, round(2 * size * (SIDE + SIDE_REACH)))
    picture = pictures.float() / 255
    picture = torch.cat([picture[:, :3] * picture[:, 3:], picture[:, 3:]], 1)
    picture = F.interpolate(picture, (largest, largest), mode="bilinear", antialias=True)
    # Where in the picture a point of the frame lies: shift, turn back, scale. Both go from -1 to 1 with y downwards.
    cos, sin = torch.cos(torch.deg2rad(tilt)) / side, torch.sin(torch.deg2rad(tilt)) / side
    x, y = 2 * across, 2 * down
    theta = torch.stack([cos, sin, -cos * x - sin * y, -sin, cos, sin * x - cos * y], 1).reshape(-1, 2, 3)
    grid = F.affine_grid(theta, [n * frames, 4, 2 * size, 2 * size], align_corners=False)
    drawn = F.grid_sample(picture.repeat_interleave(frames, 0), grid, align_corners=False)
    drawn = F.avg_pool2d(drawn, 2) * opacity[:, None, None, None]
    drawn = drawn.reshape(n, frames, 4, size, size)
    behind = (0.65 + 0.3 * torch.rand(n, 1, 3, 1, 1, generator=generator)).expand(n, frames, 3, size, size)
    if background == "noisy":
        texture = torch.rand(n, 1, 5, 5, generator=generator) - 0.5
        texture = F.interpolate(texture, (size, size), mode="bicubic", align_corners=False)
        behind = behind + 0.3 * texture[:, None]
    clip = drawn[:, :, :3] + (1 - drawn[:, :, 3:]) * behind
    if background == "noisy":
        clip = clip + 0.03 * torch.randn(clip.shape, generator=generator)
    return (255 * clip).round().clamp(0, 255).to(torch.uint8)


def _words(made: dict[str, Tensor], classes: dict[str, list[str]]) -> dict[str, Sequence]:
    """The names of each clip's object, verb and direction, and its sentence."""
    words: dict[str, Sequence] = {
        task: [classes[task][i] for i in made[task].tolist()] for task in ("object", "verb", "direction")
    }
    words["sentence"] = [sentence(*each) for each in zip(words["object"], words["verb"], words["direction"])]
    return words


def _sample() -> Figure:
    from matplotlib.figure import Figure

    batch = load_motion(clips=1).train
    rows = [int((batch.targets["verb"] == i).nonzero()[2 * i]) for i in range(len(VERBS))]  # another object each time
    figure = Figure(figsize=(8, 8.2), layout="constrained")
    grid = figure.subplots(len(rows), batch.inputs["video"].shape[1])
    for axes_row, row in zip(grid, rows):
        for axes, frame in zip(axes_row, batch.inputs["video"][row]):
            axes.imshow(frame.permute(1, 2, 0).numpy())
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        axes_row[0].set_title(batch.info["sentence"][row], loc="left", fontsize=9)
    return figure


CARD = Card(
    name="motion",
    title="Moving emoji with sentences",
    modalities=("video 8×3×32×32", "sentence"),
    examples="24 objects × 8 verbs: 3,456 clips to train on, 384 for valid, 384 for test, 432 new clips of trained pairs",
    source="generated from the emoji set; after Moving MNIST with captions (Mittal, Marwah and Balasubramanian, 2017)",
    licence="as the emoji drawings: CC-BY-4.0, Apache-2.0, MIT, CC-BY-SA-4.0",
    files=tuple(f"emoji-{style}{plane}.png" for style in STYLES for plane in ("", "-alpha")),
    splits="by pair (object, verb): 144 in train, 24 in valid, 24 in test; every object and every verb is in each of them, "
    "equally often",
    beware="A single frame picked at random says nothing about the verb. A model of single frames still learns which six verbs "
    "an object has in train, and falls below chance on the pairs held out: look at `seen` as well. Likewise a model that tells "
    "object and verb from shared features learns which objects never do what it sees. Clips are generated: one object, "
    "eight kinds of change, nothing hidden.",
    sample=_sample,
)
