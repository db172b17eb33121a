"""The recipes of chapter 04: what they do to pictures, texts and captions, and what their stored tables hold."""

import pytest
import torch
from torch import nn

from mmteach.alignment import clip_loss, same_item, triplet_loss
from mmteach.data.batch import Batch
from mmteach.data.emoji import concepts
from mmteach.data.text import UNKNOWN
from mmteach.generation import Captioner
from mmteach.metrics import mean_average_precision, median_rank, recall_at_k
from mmteach.recipes import crossmodal as recipe
from mmteach.recipes import stored


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setenv("MMTEACH_SCALE", "smoke")
    monkeypatch.setenv("MMTEACH_PROGRESS", "off")


@pytest.fixture(scope="module")
def glyphs():
    return recipe.small_glyphs()


def test_ranks_are_those_of_the_metrics_both_ways_and_with_ties():
    torch.manual_seed(0)
    image, text = torch.randn(2, 40, 5)
    image[3] = image[7]  # two equal candidates
    found = recipe.ranks(image, text)
    scores = nn.functional.normalize(text, dim=1) @ nn.functional.normalize(image, dim=1).T
    for way, s in (("t2i", scores), ("i2t", scores.T)):
        for k in (1, 5, 10):
            assert found[f"{way} R@{k}"] == pytest.approx(recall_at_k(s, k), abs=1e-6)
        assert found[f"{way} median rank"] == median_rank(s)
        assert found[f"{way} mAP"] == pytest.approx(mean_average_precision(s), abs=1e-6)


def test_small_glyphs_are_the_glyphs_pixels_averaged_with_one_picture_an_unseen_character(glyphs):
    assert glyphs.train.inputs["image"].shape[1] == 256 and len(glyphs.test) == 250 and len(glyphs.valid) == 150
    assert set(glyphs.test.info["face"]) == {"sans"}
    seen = set(glyphs.train.targets["character"].tolist())
    assert not seen & set(glyphs.test.targets["character"].tolist())


def test_word_shares_sum_to_one_and_count(glyphs):
    batch = Batch({"text": torch.tensor([[4, 4, 2, 0]])}, masks={"text": torch.tensor([[True, True, True, False]])})
    assert recipe.words(batch, 5).tolist() == [[0, 0, pytest.approx(1 / 3), 0, pytest.approx(2 / 3)]]
    assert recipe.words(glyphs.test, len(glyphs.classes["text"])).sum(1).allclose(torch.ones(250))


def test_linear_cca_finds_unseen_characters(glyphs):
    assert recipe.ranks(*recipe.linear_cca(glyphs)[1:])["t2i R@10"] > 0.6  # guessing: .04


@pytest.mark.parametrize("name", list(recipe.OBJECTIVES))
def test_every_objective_reaches_every_parameter_that_it_uses(name, glyphs):
    torch.manual_seed(0)
    model = recipe.glyph_model(glyphs, bias=-10.0 if name == "SigLIP" else None)
    recipe.OBJECTIVES[name][0](model, glyphs.train[:128]).backward()
    idle = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == (set() if name in ("InfoNCE", "SigLIP") else {"scale.log_scale"})


def test_a_warm_start_and_a_fixed_temperature(glyphs, monkeypatch):
    calls = []

    def seen(word, loss):
        return lambda model, batch: (calls.append(word), loss(model, batch))[1]

    warm, then = seen("warm", recipe.vse), seen("then", recipe.info_nce_loss)
    model, loss = recipe.align(glyphs, then, seed=0, temperature=0.5, learn_temperature=False, warm=warm)
    assert calls == ["warm"] + ["then"] * 4 and loss > 0
    assert model.scale().item() == pytest.approx(2)


def test_copies_are_pushed_left_out_or_pulled(glyphs):
    torch.manual_seed(0)
    model, batch = recipe.glyph_model(glyphs), glyphs.train[[0, 1, 1, 2]]
    batch.targets["character"] = torch.tensor([5, 6, 6, 7])
    with torch.no_grad():
        z = model(batch.inputs, masks=batch.masks)
        got = {treat: recipe.false_negatives(treat)(model, batch).item() for treat in recipe.TREATMENTS}
        same = same_item(batch.targets["character"])
        pair = z["image"], z["text"], model.scale()
        assert got["InfoNCE, push"] == pytest.approx(clip_loss(*pair).item())
        assert got["InfoNCE, ignore"] == pytest.approx(clip_loss(*pair, ignore=same).item())
        assert got["InfoNCE, pull"] == pytest.approx(clip_loss(*pair, targets=same.float()).item())
        first = [0, 1, 3]
        hardest = [
            triplet_loss(z["image"][r], z["text"][r], negatives="hardest") / len(r) for r in ([0, 1, 2, 3], first)
        ]
        assert [got["VSE++, push"], got["VSE++, ignore"]] == pytest.approx([h.item() for h in hardest])
        assert got["InfoNCE, ignore"] < got["InfoNCE, push"]


def test_repeated_keeps_so_many_characters_and_the_test(glyphs):
    few = recipe.repeated(glyphs, 7)
    assert len(few.train.targets["character"].unique()) == 7 and few.test is glyphs.test


def test_each_table_has_its_models(monkeypatch):
    monkeypatch.setattr(recipe, "TEMPERATURES", (0.1, 1.0))
    monkeypatch.setattr(recipe, "BATCHES", (16, 64))
    assert list(recipe.temperatures(0)) == ["learned", "0.1", "1"]
    sizes = recipe.batches(0)
    assert list(sizes) == ["16, same examples", "16, same steps", "64, same examples", "64, same steps"]
    assert {"t2i R@1", "i2t mAP", "loss", "gap", "temperature"} <= set(sizes["16, same steps"])
    assert tuple(recipe.copies(0)) == recipe.TREATMENTS
    assert list(recipe.objectives(0)) == ["CCA", *recipe.OBJECTIVES]


# -- emoji ---------------------------------------------------------------------------------------------------------------


def test_pieces_of_a_new_word_are_known_from_others():
    pieces = recipe.Pieces.of(["cats", "a cat", "cart"])
    assert {"<ca", "cat"} <= set(pieces.itos) and "cart" not in pieces  # what comes once is left out
    assert recipe.Pieces([]).split("Go, 红") == ["go", "<go", "go>", "红", "<红>"]
    ids, mask = pieces.encode(["catnip"])
    assert (ids[mask] != UNKNOWN).any()


def test_cropped_pictures_fill_the_square():
    for style in ("twemoji", "openmoji"):
        ink = (recipe.cropped(style)[:300].float().mean(1) < 250).float()
        used = torch.maximum(ink.any(1).sum(1), ink.any(2).sum(1))
        assert used.float().mean() > 28  # of 32; openmoji leaves wide margins before


def test_jitter_of_strength_zero_changes_nothing_and_white_stays_white():
    torch.manual_seed(0)
    pictures = torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(recipe.jitter(pictures, 0), pictures, atol=1e-4, rtol=0)
    white = torch.ones(4, 3, 16, 16)
    torch.testing.assert_close(recipe.jitter(white, 0.8), white)
    moved = recipe.jitter(pictures, 0.8)
    assert moved.min() >= 0 and moved.max() <= 1 and not torch.allclose(moved, pictures, atol=0.05)


def test_texts_stand_in_the_order_of_their_names():
    apple = next(i for i, one in enumerate(concepts()) if one.char == "🍎")
    said = dict(zip(recipe.TEXTS, recipe.called(apple), strict=True))
    assert said["en"] == "red apple" and said["zh"] == "红苹果" and len(said) == 12
    assert said["en, keywords"].startswith("red apple ") and said["zh, keywords"].startswith("红苹果 ")


def test_two_views_are_two_styles_of_one_concept_with_an_english_and_another_text(monkeypatch):
    monkeypatch.setattr(recipe, "jitter", lambda pictures: pictures)
    torch.manual_seed(0)
    n, styles, texts = 64, 3, 12
    images = (10 * torch.arange(n)[:, None] % 200 + torch.arange(styles)).to(torch.uint8)
    ids = torch.arange(texts).add(10).expand(n, texts)[..., None].repeat(1, 1, 5).clone()
    ids[..., 4] = 0  # padding
    step = recipe.two_views(Batch({"image": images[:, :, None, None, None].expand(-1, -1, 3, 2, 2), "text": ids}))
    shown = (step.inputs["image"][:, 0, 0, 0] * 255).round().long()
    first, second = shown.chunk(2)
    own = 10 * torch.arange(n) % 200
    assert ((first - own) != (second - own)).all() and set((first - own).tolist()) == {0, 1, 2}
    words = step.inputs["text"]
    assert words.shape == (2 * n, 4) and (words == UNKNOWN).float().mean() == pytest.approx(0.3, abs=0.1)
    english, other = (set(half[half != UNKNOWN].tolist()) for half in words.chunk(2))
    assert english == {10, 11} and other <= set(range(12, 22)) and len(other) == 10


def test_parts_hold_the_concepts_of_the_split():
    assert (len(recipe.numbers_in("train", "valid")), len(recipe.numbers_in("test"))) == (1270, 317)


# -- captions ------------------------------------------------------------------------------------------------------------


def test_places_are_two_more_channels():
    batch = recipe.with_places(Batch({"image": torch.zeros(2, 3, 4, 4), "text": torch.ones(2, 3, dtype=torch.long)}))
    right, down = batch.inputs["image"][0, 3:]
    assert right[0].tolist() == down[:, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert batch.targets["caption"].shape == (2, 3)


def test_captions_are_counted_word_by_word():
    right = ["a red circle left of a blue square", "a green square above a red circle"]
    said = ["a red square left of a blue square", "a green square above a red circle"]
    assert recipe.exact(said, right) == 0.5
    both = torch.tensor([[True, False], [False, True]])
    assert recipe.composed(said, right, both) == {"colour": 1.0, "shape": 0.5, "both": 0.5}
    assert recipe.composed(["", ""], right, both) == {"colour": 0.0, "shape": 0.0, "both": 0.0}


def test_words_of_leaves_padding_out():
    assert recipe.words_of(torch.tensor([[2, 3, 0]]), ["<pad>", "<unk>", "a", "cat"]) == ["a cat"]


def test_the_captioner_of_names_looks_at_four_tokens():
    model = Captioner(recipe.PixelTokens(), 9, width=8, heads=2, layers=1)
    memory, real = model.look({"image": torch.rand(3, 256)})
    assert memory.shape == (3, 4, 64) and real.all()


# -- the stored tables ---------------------------------------------------------------------------------------------------


def wide(table, column):
    return table.pivot(index="seed", columns="model", values=column)


def test_contrast_beats_correlation_and_a_warm_start_a_cold_one_on_every_stored_seed():
    recall = wide(stored("objectives")[0], "t2i R@1")
    assert len(recall) >= 3
    assert (recall["InfoNCE"] - recall["CCA"] >= 0.05).all()
    assert (recall["VSE++, warm"] - recall["VSE++, cold"] >= 0.1).all()


def test_emoji_are_found_in_a_style_that_training_never_saw():
    table, _ = stored("search")
    mean = table.groupby("model")[["t2i R@1", "t2i R@10"]].mean()
    assert table.seed.nunique() >= 3
    assert (mean.loc["fluent held out, unseen style, en"] >= [0.25, 0.6]).all()
    assert (mean.loc["fluent held out, unseen concepts, en"] >= [0.02, 0.126]).all()  # four times chance


def test_captions_are_right_where_pairs_are_known_and_wrong_where_they_are_new():
    exact = wide(stored("captions")[0], "exact, greedy")
    assert len(exact) >= 3 and (exact["two shapes"] - exact["two shapes, pairs held out"] >= 0.3).all()


def test_an_eye_teaches_better_than_fifty_labels():
    accuracy = wide(stored("distil")[0], "accuracy")
    assert len(accuracy) >= 3
    assert (accuracy["ear, taught by the eye, no labels"] - accuracy["ear, 50 labels"] >= 0.05).all()
