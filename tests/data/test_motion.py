"""Motion: pairs held out, sentences that fit, verbs that only the order of frames tells."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from mmteach.data import motion
from mmteach.data.motion import DIRECTIONS, OBJECTS, VERBS, load_motion, sentence

SMALL = dict(size=12, clips=4)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("MMTEACH_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def splits(cache):
    return load_motion(**SMALL)


def pair_counts(batch):
    return Counter(zip(batch.info["object"], batch.info["verb"]))


def paths(verb, direction="", frames=8, n=400, seed=0):
    """The five quantities of many clips of one verb: across, down, side, tilt, opacity, each (n, frames)."""
    verbs = torch.full((n,), list(VERBS).index(verb))
    directions = torch.full((n,), DIRECTIONS.index(direction))
    return motion._paths(verbs, directions, frames, torch.Generator().manual_seed(seed))


# -- splits ------------------------------------------------------------------------------------------------------------


def test_no_pair_of_object_and_verb_is_in_two_parts(splits):
    train, valid, test = (pair_counts(part) for part in (splits.train, splits.valid, splits.test))
    assert (len(train), len(valid), len(test)) == (144, 24, 24)
    assert set(train).isdisjoint(valid)
    assert set(train).isdisjoint(test)
    assert set(valid).isdisjoint(test)
    assert len(set(train) | set(valid) | set(test)) == len(OBJECTS) * len(VERBS) == 192
    assert set(pair_counts(splits.seen)) == set(train)
    assert set(train.values()) == {4}
    assert set(valid.values()) == set(test.values()) == {16}
    assert set(pair_counts(splits.seen).values()) == {3}


def test_objects_and_verbs_are_equally_frequent_in_every_part(splits):
    for part in (splits.train, splits.valid, splits.test, splits.seen):
        for task, count in (("object", 24), ("verb", 8)):
            often = torch.bincount(part.targets[task], minlength=count)
            assert (often == len(part) // count).all(), task


def test_each_verb_goes_in_all_its_directions_equally_often():
    train = load_motion(size=8, clips=4, styles=["noto"]).train
    counts = Counter(zip(train.info["verb"], train.info["direction"]))
    assert set(counts) == {(verb, way) for verb, ways in VERBS.items() for way in ways}
    for verb, ways in VERBS.items():
        assert len({counts[verb, way] for way in ways}) == 1


def test_without_held_out_pairs_every_part_has_every_pair_in_other_clips():
    splits = load_motion(size=8, clips=2, held_out_pairs=False)
    assert splits.seen is None
    for part in (splits.train, splits.valid, splits.test):
        counts = pair_counts(part)
        assert len(counts) == 192
        assert set(counts.values()) == {2}
    assert not torch.equal(splits.train.inputs["video"], splits.test.inputs["video"])
    assert not torch.equal(splits.valid.inputs["video"], splits.test.inputs["video"])


def test_shapes_dtypes_and_words(splits):
    assert repr(splits).startswith("motion: train 576, valid 384, test 384")
    for part in (splits.train, splits.valid, splits.test, splits.seen):
        n = len(part)
        assert part.inputs["video"].shape == (n, 8, 3, 12, 12)
        assert part.inputs["video"].dtype == torch.uint8
        assert part.inputs["text"].shape == part.masks["text"].shape == (n, 6)
        assert not (part.inputs["text"] == 1).any()
        for i in range(0, n, 61):
            words = part.info["sentence"][i]
            assert words == sentence(part.info["object"][i], part.info["verb"][i], part.info["direction"][i])
            assert splits.vocabulary.decode(part.inputs["text"][i]) == words
            for task in ("object", "verb", "direction"):
                assert splits.classes[task][part.targets[task][i]] == part.info[task][i]
    assert {len(splits.classes[task]) for task in ("object", "verb", "direction", "style")} == {24, 8, 7, 4}
    assert set(splits.train.targets["style"].tolist()) == {0, 1, 2, 3}


def test_loading_twice_gives_the_same_clips_from_the_cache_and_anew(splits, monkeypatch, tmp_path):
    assert torch.equal(load_motion(**SMALL).train.inputs["video"], splits.train.inputs["video"])
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path))
    anew = load_motion(**SMALL)
    assert torch.equal(anew.train.inputs["video"], splits.train.inputs["video"])
    assert torch.equal(anew.test.inputs["video"], splits.test.inputs["video"])
    other = load_motion(**SMALL, seed=1)
    assert not torch.equal(other.train.inputs["video"], splits.train.inputs["video"])
    assert other.test.info["sentence"] == splits.test.info["sentence"]
    assert len(list(tmp_path.glob("motion-*.pt"))) == 2


def test_sentences():
    assert sentence("car", "moves", "to the left") == "the car moves to the left"
    assert sentence("car", "grows") == "the car grows"


# -- what a verb changes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "direction", "quantity", "sign"),
    [
        ("moves", "to the right", 0, 1),
        ("moves", "to the left", 0, -1),
        ("moves", "down", 1, 1),
        ("moves", "up", 1, -1),
        ("grows", "", 2, 1),
        ("shrinks", "", 2, -1),
        ("turns", "clockwise", 3, 1),
        ("turns", "anticlockwise", 3, -1),
    ],
)
def test_a_verb_changes_one_quantity_step_by_step_and_no_other(verb, direction, quantity, sign):
    made = paths(verb, direction)
    for i, values in enumerate(made):
        steps = values.diff(dim=1)
        if i == quantity:
            assert (sign * steps > 0).all()
        else:
            assert (steps == 0).all()


@pytest.mark.parametrize(("verb", "quantity"), [("bounces", 1), ("pulses", 2), ("shakes", 0), ("blinks", 4)])
def test_the_other_verbs_go_there_and_back(verb, quantity):
    made = paths(verb)
    for i, values in enumerate(made):
        assert (values.diff(dim=1) == 0).all() == (i != quantity)
    steps = made[quantity].diff(dim=1).sign()
    assert (steps > 0).any(1).all()
    assert (steps < 0).any(1).all()
    if verb == "shakes":
        assert (steps[:, 1:] == -steps[:, :-1]).all()
    if verb == "blinks":
        assert made[4].unique().tolist() == pytest.approx([0.55, 1.0])
    if verb in ("bounces", "pulses"):  # one crest and one trough, wherever the clip begins
        assert ((steps[:, 1:] != steps[:, :-1]).sum(1) <= 2).all()


def test_a_frame_picked_at_random_looks_the_same_whatever_the_verb():
    """Every verb visits each value of a quantity equally often, and so, over many clips, does a quantity that stands still."""
    still = paths("blinks", n=8000)
    for verb, ways in VERBS.items():
        made = torch.cat([paths(verb, way, n=8000 // len(ways), seed=1 + i) for i, way in enumerate(ways)], dim=1)
        for quantity in range(5):
            seen, expected = made[quantity].flatten(), still[quantity].flatten()
            values = expected.unique().tolist()
            assert sorted(seen.unique().tolist()) == pytest.approx(values, abs=1e-6), (verb, quantity)
            for value in values:
                share = float((seen - value).abs().lt(1e-4).float().mean())
                usual = float((expected - value).abs().lt(1e-4).float().mean())
                assert share == pytest.approx(usual, abs=0.02), (verb, quantity, value)


@pytest.mark.parametrize("frames", [12, 16])
def test_longer_clips_work_the_same_way(frames):
    assert paths("pulses", frames=frames)[2].unique(dim=0).sort(dim=1).values.diff(dim=1).min() > 0
    assert load_motion(frames, size=8, clips=1, styles=["noto"]).test.inputs["video"].shape[1] == frames


# -- what is drawn -----------------------------------------------------------------------------------------------------


def render(across=0.0, down=0.0, side=0.5, tilt=0.0, opacity=1.0, size=32):
    """One frame with a picture whose upper half is black, over a plain light background: how dark each pixel is."""
    picture = torch.zeros(1, 4, 48, 48, dtype=torch.uint8)
    picture[:, 3, :24] = 255
    values = torch.tensor([across, down, side, tilt, opacity]).reshape(5, 1, 1)
    generator = torch.Generator().manual_seed(0)
    frame = motion._render(picture, values, size, "plain", generator)[0, 0].float()
    return (1 - frame / frame[:, :1, :1]).mean(0)


def middle(dark):
    """The centre of what is dark, across and down, in frames' sides from the frame's middle."""
    place = (torch.arange(len(dark)) + 0.5) / len(dark) - 0.5
    return [float((dark.sum(d) * place).sum() / dark.sum()) for d in (0, 1)]


def test_a_picture_stands_where_its_path_says():
    assert middle(render()) == pytest.approx([0, -0.125], abs=0.01)
    assert middle(render(across=0.1)) == pytest.approx([0.1, -0.125], abs=0.01)
    assert middle(render(down=0.1)) == pytest.approx([0, -0.025], abs=0.01)


def test_a_clockwise_tilt_takes_the_top_to_the_right():
    assert middle(render(tilt=90)) == pytest.approx([0.125, 0], abs=0.01)
    assert middle(render(tilt=-90)) == pytest.approx([-0.125, 0], abs=0.01)


def test_a_side_is_measured_in_frames_and_opacity_fades():
    assert float(render(side=0.5).mean()) == pytest.approx(0.5 * 0.25, rel=0.05)
    assert float(render(side=0.25).mean()) == pytest.approx(0.5 * 0.0625, rel=0.1)
    assert float(render(opacity=0.5).max()) == pytest.approx(0.5, abs=0.02)


def test_plain_backgrounds_stand_still_and_noisy_ones_flicker():
    plain = load_motion(size=8, clips=1, styles=["noto"], background="plain").train.inputs["video"]
    noisy = load_motion(size=8, clips=1, styles=["noto"]).train.inputs["video"]
    corner = (..., slice(None), 0, 0)
    assert (plain[corner].float().std(1) == 0).float().mean() > 0.5
    assert (noisy[corner].float().std(1) == 0).float().mean() < 0.1
    assert plain[corner].float().mean() > 150


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 4}, "frames must be a multiple of 4, 8 or more, got 4"),
        ({"frames": 10}, "frames must be a multiple of 4, 8 or more, got 10"),
        ({"size": 7}, "size must be 8 pixels or more, got 7"),
        ({"styles": "noto"}, "styles must be a list of one or more of twemoji, noto, fluent, openmoji, got 'noto'"),
        ({"styles": []}, r"styles must be a list of one or more of .*, got \[\]"),
        ({"styles": ["apple"]}, "styles must be one of 'twemoji'.*got 'apple'"),
        ({"background": "sky"}, "background must be one of 'plain', 'noisy', got 'sky'"),
        ({"clips": 0}, "clips must be above 0, got 0"),
    ],
)
def test_errors_say_what_came_and_what_was_expected(settings, message):
    with pytest.raises(ValueError, match=message):
        load_motion(**settings)


def test_the_card_shows_a_clip_of_each_verb():
    figure = motion.CARD.sample()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    shown = [title.split()[2] for title in titles if title]
    assert shown == list(VERBS)
    assert len(figure.axes) == 8 * 8


# -- a clip of one's own -----------------------------------------------------------------------------------------------


def test_a_film_of_any_emoji_moves_the_way_it_is_told():
    clip = motion.film("🛸", "moves", "to the right", background="plain", seed=3)
    assert clip.shape == (8, 3, 32, 32) and clip.dtype == torch.uint8
    behind = clip[:, :, :1, :1].float()
    ink = (clip.float() - behind).abs().sum(1)  # (frames, H, W)
    across = (ink * torch.arange(32)).sum((1, 2)) / ink.sum((1, 2))  # the drawing's middle, frame by frame
    assert (across.diff() > 0).all()
    assert torch.equal(clip, motion.film("🛸", "moves", "to the right", background="plain", seed=3))
    assert not torch.equal(clip, motion.film("rocket", "moves", "to the right", background="plain", seed=3))


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("yeti", "moves", "up"), "thing must be one of apple"),
        (("cat", "sings"), "verb must be one of"),
        (("cat", "grows", "up"), "direction must be"),
    ],
)
def test_a_film_that_cannot_be_made_says_why(arguments, says):
    with pytest.raises(ValueError, match=says):
        motion.film(*arguments)
