"""Sort-of-CLEVR and the two-shape scenes: right answers, right captions, no scene in two splits, the right pixels."""

import math

import pytest
import torch

from mmteach.data.scenes import (
    ANSWERS,
    BACKGROUND,
    COLOURS,
    HALF,
    PIXELS,
    QUESTIONS,
    answers,
    draw_scenes,
    load_scenes,
    paint,
)
from mmteach.data.shapes import COLOURS as SHAPE_COLOURS
from mmteach.data.shapes import HELD_OUT, PAIRS, RELATIONS, SHAPES, load_shapes


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path_factory.getbasetemp() / "scenes"))


# One scene by hand, colours in the order red, green, blue, orange, grey, yellow.
PLACE = torch.tensor([[[10.0, 10], [20, 12], [60, 10], [40, 40], [70, 70], [10, 65]]])
SHAPE = torch.tensor([[0, 1, 1, 0, 1, 0]])  # square, circle, circle, square, circle, square


def ask(words):
    return ANSWERS[int(answers(PLACE, SHAPE)[0, QUESTIONS.index(words)])]


@pytest.mark.parametrize(
    "question, answer",
    [
        ("what shape is the red object", "square"),
        ("what shape is the grey object", "circle"),
        ("is the green object on the left", "yes"),
        ("is the orange object on the left", "no"),
        ("is the blue object at the top", "yes"),
        ("is the yellow object at the top", "no"),
        ("what shape is the object closest to the red object", "circle"),
        ("what shape is the object closest to the green object", "square"),
        ("what shape is the object farthest from the red object", "circle"),  # grey
        ("what shape is the object farthest from the blue object", "square"),  # yellow
        ("how many objects have the shape of the red object", "3"),
    ],
)
def test_questions_about_a_scene_made_by_hand(question, answer):
    assert ask(question) == answer


def test_how_many_counts_from_1_to_6():
    for circles in range(7):
        shape = torch.tensor([[1] * circles + [0] * (6 - circles)])
        first = QUESTIONS.index("how many objects have the shape of the red object")
        last = QUESTIONS.index("how many objects have the shape of the yellow object")
        right = answers(PLACE, shape)[0]
        assert ANSWERS[int(right[first])] == str(circles or 6)
        assert ANSWERS[int(right[last])] == str(6 - circles or 6)


def test_the_middle_belongs_to_the_right_and_to_the_bottom():
    place = PLACE.clone()
    place[0, 0] = PIXELS / 2
    right = answers(place, SHAPE)[0]
    assert ANSWERS[int(right[QUESTIONS.index("is the red object on the left")])] == "no"
    assert ANSWERS[int(right[QUESTIONS.index("is the red object at the top")])] == "no"


def test_closest_and_farthest_agree_with_a_loop():
    scenes = draw_scenes(40, seed=3)
    right = answers(scenes["place"], scenes["shape"])
    for place, shape, row in zip(scenes["place"].tolist(), scenes["shape"].tolist(), right.tolist()):
        for i in range(6):
            others = sorted((math.dist(place[i], place[j]), j) for j in range(6) if j != i)
            assert row[i] == 2 + shape[others[0][1]]
            assert row[6 + i] == 2 + shape[others[-1][1]]


def test_there_are_36_different_questions_of_6_kinds():
    assert len(set(QUESTIONS)) == 36 and len(ANSWERS) == 10
    assert all("object closest to" in q for q in QUESTIONS[:6]) and all("at the top" in q for q in QUESTIONS[30:])
    assert [q.split()[3] for q in QUESTIONS[18:24]] == ["the"] * 6
    assert [q.split()[4] for q in QUESTIONS[18:24]] == list(COLOURS)


def test_objects_lie_inside_and_do_not_touch():
    scenes = draw_scenes(3000, seed=5)
    place = scenes["place"]
    assert place.shape == (3000, 6, 2) and scenes["shape"].shape == (3000, 6)
    assert float(place.min()) >= HALF and float(place.max()) <= PIXELS - HALF
    assert float(place.min()) < HALF + 0.5 and float(place.max()) > PIXELS - HALF - 0.5
    gap = (place[:, :, None] - place[:, None]).abs().amax(-1)
    gap = gap[:, ~torch.eye(6, dtype=torch.bool)]
    assert 2 * HALF + 1 < float(gap.min()) < 2 * HALF + 1.1
    assert float(scenes["shape"].float().mean()) == pytest.approx(0.5, abs=0.02)


def test_scenes_repeat_with_their_seed():
    assert torch.equal(draw_scenes(5, 1)["place"], draw_scenes(5, 1)["place"])
    assert not torch.equal(draw_scenes(5, 1)["place"], draw_scenes(5, 2)["place"])
    with pytest.raises(ValueError, match="n must be above 0, got 0"):
        draw_scenes(0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTEACH_CACHE", str(tmp_path_factory.getbasetemp() / "scenes"))
        return load_scenes(train=300, valid=20, test=30, image=PIXELS)


def test_a_split_has_20_rows_a_scene_half_of_them_relational(data):
    assert [len(part) for part in (data.train, data.valid, data.test)] == [6000, 400, 600]
    for part in (data.train, data.valid, data.test):
        rows = part.targets["relational"].view(-1, 20)
        assert rows[:, :10].all() and not rows[:, 10:].any()
        assert torch.equal(part.targets["scene"], torch.arange(len(part) // 20).repeat_interleave(20))
    assert data.classes == {"answer": ANSWERS}


def test_no_scene_is_in_two_splits_and_none_twice(data):
    scenes = torch.cat([part.inputs["state"][::20] for part in (data.train, data.valid, data.test)]).flatten(1)
    assert len(scenes.unique(dim=0)) == 350


def test_the_state_holds_what_the_answers_are_about(data):
    state = data.train.inputs["state"][::20]
    assert state.shape == (300, 6, 10)
    assert torch.equal(state[:, :, :6], torch.eye(6).expand(300, 6, 6))
    shape, place = state[:, :, 6:8].argmax(2), (state[:, :, 8:] + 1) * PIXELS / 2
    assert (state[:, :, 6:8].sum(2) == 1).all()
    right = answers(place, shape)
    number = torch.tensor([QUESTIONS.index(words) for words in data.train.info["sentence"]])
    assert torch.equal(right[data.train.targets["scene"], number], data.train.targets["answer"])
    assert torch.equal(number < 18, data.train.targets["relational"])


def test_a_question_is_11_bits_of_colour_kind_and_which(data):
    bits = data.test.inputs["question"]
    assert bits.shape == (600, 11) and bits.dtype == torch.float32
    colour, relational, which = bits[:, :6], bits[:, 6:8], bits[:, 8:]
    for block in (colour, relational, which):
        assert (block.sum(1) == 1).all()
    kind = 3 * relational.argmax(1) + which.argmax(1)
    number = 6 * kind + colour.argmax(1)
    assert [QUESTIONS[i] for i in number.tolist()] == list(data.test.info["sentence"])
    assert torch.equal(relational.argmax(1) == 0, data.test.targets["relational"])


def test_a_scene_is_asked_nothing_twice(data):
    words = data.train.info["sentence"]
    for first in range(0, 6000, 20):
        assert len(set(words[first : first + 20])) == 20


def test_all_questions_can_be_asked_and_all_answers_are_met():
    some = load_scenes(train=200, valid=1, test=1, questions=18).train
    assert len(some) == 200 * 36 and set(some.info["sentence"]) == set(QUESTIONS)
    assert set(some.targets["answer"].tolist()) == set(range(10))


def test_a_picture_shows_each_object_where_the_state_says(data):
    pictures, state = data.train.inputs["image"][::20], data.train.inputs["state"][::20]
    assert pictures.shape == (300, 3, 75, 75) and pictures.dtype == torch.uint8
    place = ((state[:, :, 8:] + 1) * PIXELS / 2).floor().long()
    for i, colour in enumerate(COLOURS.values()):
        middle = pictures[torch.arange(300), :, place[:, i, 1], place[:, i, 0]]
        assert (middle == torch.tensor(colour, dtype=torch.uint8)).all()
    painted = (pictures != int(BACKGROUND)).any(1).sum((1, 2))
    assert (painted > 6 * 3 * HALF**2).all() and (painted < 6 * (2 * HALF + 2) ** 2).all()
    assert torch.equal(data.train.inputs["image"][0], data.train.inputs["image"][19])
    assert not torch.equal(data.train.inputs["image"][19], data.train.inputs["image"][20])


def test_sizes_and_defaults():
    small = load_scenes(train=2, valid=1, test=1, questions=1, image=32)
    assert small.train.inputs["image"].shape == (4, 3, 32, 32)
    plain = load_scenes()
    assert [len(part) for part in (plain.train, plain.valid, plain.test)] == [180_000, 10_000, 20_000]
    assert set(plain.train.inputs) == {"state", "question"}
    other = load_scenes(train=2, valid=1, test=1, questions=1, seed=1)
    assert not torch.equal(other.train.inputs["state"], small.train.inputs["state"])


@pytest.mark.parametrize(
    "settings, complaint",
    [
        ({"questions": 0}, "questions must be between 1 and 18, got 0"),
        ({"questions": 19}, "questions must be between 1 and 18, got 19"),
        ({"image": 31}, "image must be between 32 and 512, got 31"),
        ({"image": 513}, "image must be between 32 and 512, got 513"),
        ({"image": 128}, r"128×128 pixels for 210,000 questions would take 10 GB: ask for fewer scenes \(train=\)"),
    ],
)
def test_wrong_settings_are_named(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_scenes(**settings)


# -- paint -------------------------------------------------------------------------------------------------------------


def painted(kind, half, size=64, at=(32.0, 32.0)):
    """How much of the picture one black shape on white covers, in pixels."""
    canvas = torch.ones(1, 3, size, size)
    kinds = ["square", "circle", "triangle"]
    paint(canvas, torch.tensor([at]), torch.tensor([half]), kinds, torch.tensor([kinds.index(kind)]), torch.zeros(1, 3))
    return 1 - canvas[0, 0]


@pytest.mark.parametrize("half", [6.0, 10.5])
def test_shapes_cover_the_area_of_geometry(half):
    assert float(painted("square", half).sum()) == pytest.approx((2 * half) ** 2, rel=0.06)
    assert float(painted("circle", half).sum()) == pytest.approx(math.pi * half**2, rel=0.03)
    assert float(painted("triangle", half).sum()) == pytest.approx(2 * half**2, rel=0.08)


def test_a_triangle_points_up_and_a_circle_has_no_corners():
    rows = painted("triangle", 10.0).sum(1)
    assert float(rows[23]) < 2 and float(rows[40]) > 16
    assert painted("square", 10.0)[23, 23] == 1 and painted("circle", 10.0)[23, 23] == 0


def test_x_goes_across_and_y_down():
    cover = painted("square", 3.0, at=(10.5, 50.5))
    assert cover[50, 10] == 1 and cover[10, 50] == 0


def test_a_shape_over_the_edge_is_cut_off():
    cover = painted("square", 5.0, at=(0.0, 32.0))
    assert float(cover.sum()) == pytest.approx(50, rel=0.1) and float(cover[:, -6:].sum()) == 0


def test_each_picture_gets_its_own_shape_and_colour():
    canvas = torch.zeros(2, 3, 20, 20)
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    place = torch.full((2, 2), 10.0)
    paint(canvas, place, torch.tensor([3.0, 6.0]), ["square", "circle"], torch.tensor([0, 1]), colours)
    assert canvas[0, 0].max() == 1 and canvas[0, 1].max() == 0
    assert canvas[1, 1].max() == 1 and canvas[1, 0].max() == 0
    assert canvas[1].sum() > 2 * canvas[0].sum()


# -- two shapes --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTEACH_CACHE", str(tmp_path_factory.getbasetemp() / "shapes"))
        return load_shapes(train=400, valid=50, test=50)


def objects(picture, caption):
    """Where the pixels of the two named colours lie, and over how many rows: (x, y, rows) each."""
    words = caption.split()
    found = []
    for colour in (words[1], words[-2]):
        exact = (picture == torch.tensor(SHAPE_COLOURS[colour])[:, None, None] / 255).all(0)
        y, x = exact.nonzero(as_tuple=True)
        found.append((float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2, int(y.max() - y.min())))
    return found


def test_captions_say_what_the_pictures_show(shapes):
    checked = 0
    for picture, caption in zip(shapes.train.inputs["image"], shapes.train.info["caption"]):
        words = caption.split()
        if words[1] == words[-2]:
            continue  # of one colour: the pixels do not say which is which
        (x1, y1, rows1), (x2, y2, rows2) = objects(picture, caption)
        assert rows1 > rows2, caption  # the larger is named first
        relation = " ".join(words[3:-3])
        if abs(x1 - x2) > abs(y1 - y2):
            assert relation == ("left of" if x1 < x2 else "right of"), caption
        else:
            assert relation == ("above" if y1 < y2 else "below"), caption
        assert max(abs(x1 - x2), abs(y1 - y2)) > min(abs(x1 - x2), abs(y1 - y2)) + 2
        checked += 1
    assert checked > 300


def test_shapes_differ_in_how_much_of_their_square_they_fill(shapes):
    filled = {shape: [] for shape in SHAPES}
    for picture, caption in zip(shapes.train.inputs["image"], shapes.train.info["caption"]):
        words = caption.split()
        if words[1] != words[-2]:
            exact = (picture == torch.tensor(SHAPE_COLOURS[words[1]])[:, None, None] / 255).all(0)
            y, x = exact.nonzero(as_tuple=True)
            filled[words[2]].append(len(x) / float((x.max() - x.min() + 1) * (y.max() - y.min() + 1)))
    mean = {shape: sum(values) / len(values) for shape, values in filled.items()}
    assert mean["square"] == 1 and 0.7 < mean["circle"] < 0.85 and 0.4 < mean["triangle"] < 0.6


def test_captions_are_made_of_the_targets_and_the_word_ids_of_the_captions(shapes):
    part = shapes.train
    for i in range(50):
        first, second = part.targets["pairs"][i].tolist()
        relation = RELATIONS[int(part.targets["relation"][i])]
        assert part.info["caption"][i] == f"a {' '.join(PAIRS[first])} {relation} a {' '.join(PAIRS[second])}"
        ids = part.inputs["text"][i][part.masks["text"][i]].tolist()
        assert " ".join(shapes.classes["word"][w] for w in ids) == part.info["caption"][i]
        assert torch.equal(part.targets["unseen"][i], torch.tensor([PAIRS[p] in HELD_OUT for p in (first, second)]))
    assert part.inputs["text"].shape == (400, 8) and part.inputs["image"].shape == (400, 3, 32, 32)
    assert part.inputs["image"].min() >= 0 and part.inputs["image"].max() <= 1
    assert shapes.classes["word"][:2] == ["<pad>", "<unk>"] and len(shapes.classes["word"]) == 2 + 6 + 6 + 3
    assert shapes.classes["pairs"][:2] == ["red circle", "red square"] and len(PAIRS) == 18
    assert (part.targets["pairs"][:, 0] != part.targets["pairs"][:, 1]).all()


def test_relations_and_pairs_are_about_equally_frequent(shapes):
    assert torch.bincount(shapes.train.targets["relation"], minlength=4).min() > 60
    assert torch.bincount(shapes.train.targets["pairs"].flatten(), minlength=18).min() > 20
    assert shapes.test.targets["unseen"].any() and not shapes.test.targets["unseen"].all()


def test_held_out_pairs_are_one_of_each_colour_two_of_each_shape():
    assert sorted(colour for colour, _ in HELD_OUT) == sorted(SHAPE_COLOURS)
    assert sorted(shape for _, shape in HELD_OUT) == sorted(2 * SHAPES)


def test_held_out_pairs_are_in_every_test_picture_and_in_no_other():
    data = load_shapes(train=300, valid=40, test=40, held_out=True)
    assert not data.train.targets["unseen"].any() and not data.valid.targets["unseen"].any()
    assert data.test.targets["unseen"].any(1).all()
    seen = " | ".join([*data.train.info["caption"], *data.valid.info["caption"]])
    assert not any(" ".join(pair) in seen for pair in HELD_OUT)
    words = set(" ".join(data.train.info["caption"]).split())
    assert all(colour in words and shape in words for colour, shape in HELD_OUT)


def test_shapes_repeat_with_their_seed_and_splits_differ():
    first, again, other = (load_shapes(train=20, valid=20, test=20, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.train.inputs["image"], again.train.inputs["image"])
    assert not torch.equal(first.train.inputs["image"], other.train.inputs["image"])
    assert not torch.equal(first.train.inputs["image"], first.valid.inputs["image"])
    with pytest.raises(ValueError, match=r"^test must be at least 1, got 0"):
        load_shapes(test=0)


def test_default_sizes():
    data = load_shapes()
    assert [len(part) for part in (data.train, data.valid, data.test)] == [8000, 1000, 1000]
    assert data.name == "two shapes"
