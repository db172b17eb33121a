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
from mmteach.recipes import crossmodal_captions as captions
from mmteach.recipes import crossmodal_glyphs as characters
from mmteach.recipes import crossmodal_search as search
from mmteach.recipes import stored


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setenv("MMTEACH_SCALE", "smoke")
    monkeypatch.setenv("MMTEACH_PROGRESS", "off")


@pytest.fixture(scope="module")
def glyphs():
    return characters.small_glyphs()


def test_ranks_are_those_of_the_metrics_both_ways_and_with_ties():
    torch.manual_seed(0)
    image, text = torch.randn(2, 40, 5)
    image[3] = image[7]  # two equal candidates
    found = characters.ranks(image, text)
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
    assert characters.words(batch, 5).tolist() == [[0, 0, pytest.approx(1 / 3), 0, pytest.approx(2 / 3)]]
    assert characters.words(glyphs.test, len(glyphs.classes["text"])).sum(1).allclose(torch.ones(250))


def test_linear_cca_finds_unseen_characters(glyphs):
    assert characters.ranks(*characters.linear_cca(glyphs)[1:])["t2i R@10"] > 0.6  # guessing: .04


@pytest.mark.parametrize("name", list(characters.OBJECTIVES))
def test_every_objective_reaches_every_parameter_that_it_uses(name, glyphs):
    torch.manual_seed(0)
    model = characters.glyph_model(glyphs, bias=-10.0 if name == "SigLIP" else None)
    characters.OBJECTIVES[name][0](model, glyphs.train[:128]).backward()
    idle = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == (set() if name in ("InfoNCE", "SigLIP") else {"scale.log_scale"})


def test_a_warm_start_and_a_fixed_temperature(glyphs, monkeypatch):
    calls = []

    def seen(word, loss):
        return lambda model, batch: (calls.append(word), loss(model, batch))[1]

    warm, then = seen("warm", characters.vse), seen("then", characters.info_nce_loss)
    model, loss = characters.align(glyphs, then, seed=0, temperature=0.5, learn_temperature=False, warm=warm)
    assert calls == ["warm"] + ["then"] * 4 and loss > 0
    assert model.scale().item() == pytest.approx(2)


def test_copies_are_pushed_left_out_or_pulled(glyphs):
    torch.manual_seed(0)
    model, batch = characters.glyph_model(glyphs), glyphs.train[[0, 1, 1, 2]]
    batch.targets["character"] = torch.tensor([5, 6, 6, 7])
    with torch.no_grad():
        z = model(batch.inputs, masks=batch.masks)
        got = {treat: characters.false_negatives(treat)(model, batch).item() for treat in characters.TREATMENTS}
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
    few = characters.repeated(glyphs, 7)
    assert len(few.train.targets["character"].unique()) == 7 and few.test is glyphs.test


def test_each_table_has_its_models(monkeypatch):
    monkeypatch.setattr(characters, "TEMPERATURES", (0.1, 1.0))
    monkeypatch.setattr(characters, "BATCHES", (16, 64))
    assert list(characters.temperatures(0)) == ["learned", "0.1", "1"]
    sizes = characters.batches(0)
    assert list(sizes) == ["16, same examples", "16, same steps", "64, same examples", "64, same steps"]
    assert {"t2i R@1", "i2t mAP", "loss", "gap", "temperature"} <= set(sizes["16, same steps"])
    assert tuple(characters.copies(0)) == characters.TREATMENTS
    assert list(characters.objectives(0)) == ["CCA", *characters.OBJECTIVES]


# -- emoji ---------------------------------------------------------------------------------------------------------------


def test_pieces_of_a_new_word_are_known_from_others():
    pieces = search.Pieces.of(["cats", "a cat", "cart"])
    assert {"<ca", "cat"} <= set(pieces.itos) and "cart" not in pieces  # what comes once is left out
    assert search.Pieces([]).split("Go, 红") == ["go", "<go", "go>", "红", "<红>"]
    ids, mask = pieces.encode(["catnip"])
    assert (ids[mask] != UNKNOWN).any()


def test_cropped_pictures_fill_the_square():
    for style in ("twemoji", "openmoji"):
        ink = (search.cropped(style)[:300].float().mean(1) < 250).float()
        used = torch.maximum(ink.any(1).sum(1), ink.any(2).sum(1))
        assert used.float().mean() > 28  # of 32; openmoji leaves wide margins before


def test_jitter_of_strength_zero_changes_nothing_and_white_stays_white():
    torch.manual_seed(0)
    pictures = torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(search.jitter(pictures, 0), pictures, atol=1e-4, rtol=0)
    white = torch.ones(4, 3, 16, 16)
    torch.testing.assert_close(search.jitter(white, 0.8), white)
    moved = search.jitter(pictures, 0.8)
    assert moved.min() >= 0 and moved.max() <= 1 and not torch.allclose(moved, pictures, atol=0.05)


def test_texts_stand_in_the_order_of_their_names():
    apple = next(i for i, one in enumerate(concepts()) if one.char == "🍎")
    said = dict(zip(search.TEXTS, search.called(apple), strict=True))
    assert said["en"] == "red apple" and said["zh"] == "红苹果" and len(said) == 12
    assert said["en, keywords"].startswith("red apple ") and said["zh, keywords"].startswith("红苹果 ")


def test_two_views_are_two_styles_of_one_concept_with_an_english_and_another_text(monkeypatch):
    monkeypatch.setattr(search, "jitter", lambda pictures: pictures)
    torch.manual_seed(0)
    n, styles, texts = 64, 3, 12
    images = (10 * torch.arange(n)[:, None] % 200 + torch.arange(styles)).to(torch.uint8)
    ids = torch.arange(texts).add(10).expand(n, texts)[..., None].repeat(1, 1, 5).clone()
    ids[..., 4] = 0  # padding
    inputs = {"image": images[:, :, None, None, None].expand(-1, -1, 3, 2, 2), "text": ids}
    step = search.two_views(Batch(inputs, {"row": torch.arange(n)}))
    assert step.targets["row"].tolist() == [*range(n)] * 2
    shown = (step.inputs["image"][:, 0, 0, 0] * 255).round().long()
    first, second = shown.chunk(2)
    own = 10 * torch.arange(n) % 200
    assert ((first - own) != (second - own)).all() and set((first - own).tolist()) == {0, 1, 2}
    words = step.inputs["text"]
    assert words.shape == (2 * n, 4) and (words == UNKNOWN).float().mean() == pytest.approx(0.3, abs=0.1)
    english, other = (set(half[half != UNKNOWN].tolist()) for half in words.chunk(2))
    assert english == {10, 11} and other <= set(range(12, 22)) and len(other) == 10


def test_the_layout_is_kept_and_whole_numbers_are_pixels():
    torch.manual_seed(0)
    eye, pictures = search.Layout(dim=8), torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(eye(pictures), eye(pictures.float() / 255))
    assert eye(pictures).shape == (2, 8)
    corners = torch.full((2, 3, 32, 32), 255, dtype=torch.uint8)
    corners[0, :, 4:12, 4:12] = corners[1, :, 20:28, 20:28] = 0  # one mark in two places
    assert (eye(corners)[0] - eye(corners)[1]).abs().max() > 0.05


def test_the_loss_of_a_step_is_the_sum_of_its_three_terms():
    torch.manual_seed(0)
    pieces = search.Pieces([f"word{i}" for i in range(20)])
    model = search.search_model(pieces)
    names = torch.randint(2, 22, (5, 4))
    batch = Batch(
        {"image": torch.rand(6, 3, 32, 32), "text": torch.randint(2, 22, (6, 3))}, {"row": torch.tensor([4, 0, 2] * 2)}
    )
    with torch.no_grad():
        image, text = model.encode("image", batch.inputs["image"]), model.encode("text", batch.inputs["text"])
        candidates, scale = model.encode("text", names), model.scale()
        pairs = (clip_loss(image[:3], text[:3], scale) + clip_loss(image[3:], text[3:], scale)) / 2
        named = nn.functional.cross_entropy(scale * image @ candidates.T, batch.targets["row"])
        expected = pairs + clip_loss(image[:3], image[3:], scale) / 2 + named / 2
        assert search.search_loss(names)(model, batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_parts_hold_the_concepts_of_the_split():
    assert (len(search.numbers_in("train", "valid")), len(search.numbers_in("test"))) == (1270, 317)


# -- captions ------------------------------------------------------------------------------------------------------------


def test_places_are_two_more_channels():
    batch = captions.with_places(Batch({"image": torch.zeros(2, 3, 4, 4), "text": torch.ones(2, 3, dtype=torch.long)}))
    right, down = batch.inputs["image"][0, 3:]
    assert right[0].tolist() == down[:, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert batch.targets["caption"].shape == (2, 3)


def test_captions_are_counted_word_by_word():
    right = ["a red circle left of a blue square", "a green square above a red circle"]
    said = ["a red square left of a blue square", "a green square above a red circle"]
    assert captions.exact(said, right) == 0.5
    both = torch.tensor([[True, False], [False, True]])
    assert captions.composed(said, right, both) == {"colour": 1.0, "shape": 0.5, "both": 0.5}
    assert captions.composed(["", ""], right, both) == {"colour": 0.0, "shape": 0.0, "both": 0.0}


def test_words_of_leaves_padding_out():
    assert captions.words_of(torch.tensor([[2, 3, 0]]), ["<pad>", "<unk>", "a", "cat"]) == ["a cat"]


def test_the_captioner_of_names_looks_at_four_tokens():
    model = Captioner(captions.PixelTokens(), 9, width=8, heads=2, layers=1)
    memory, real = model.look({"image": torch.rand(3, 256)})
    assert memory.shape == (3, 4, 64) and real.all()


def test_the_captioner_of_shapes_sees_contrasts_as_tokens_of_unit_size():
    torch.manual_seed(0)
    eye, pictures = captions.Cells(), torch.rand(3, 5, 32, 32)
    tokens, _ = eye.tokens(pictures)
    assert tokens.shape == (3, 16, 64)
    torch.testing.assert_close(tokens.square().mean(-1), torch.ones(3, 16), atol=0.01, rtol=0)
    darker = torch.cat(
        [pictures[:, :3] - 0.2, pictures[:, 3:]], 1
    )  # another background, everything else as far from it
    torch.testing.assert_close(eye.tokens(darker)[0], tokens, atol=1e-3, rtol=0)
    assert captions.shape_captioner(20).decoder.embedding.weight.std() < 0.2


# -- the stored tables ---------------------------------------------------------------------------------------------------


def wide(table, column):
    return table.pivot(index="seed", columns="model", values=column)


def test_contrast_beats_correlation_and_a_warm_start_a_cold_one_on_every_stored_seed():
    recall = wide(stored("objectives")[0], "t2i R@1")
    assert len(recall) >= 5 and recall["InfoNCE"].mean() >= 0.60
    assert (recall["InfoNCE"] - recall["CCA"] >= 0.1).all()
    assert (recall["VSE++, warm"] - recall["VSE++, cold"] >= 0.2).all()


def test_emoji_are_found_in_a_style_that_training_never_saw():
    mean = stored("search")[0].groupby("model")[["t2i R@1", "t2i R@10"]].mean()
    assert stored("search")[0].seed.nunique() >= 3
    assert (mean.loc["unseen style, en"] >= [0.4, 0.75]).all()
    assert mean.loc["unseen concepts, en", "t2i R@10"] >= 6 * 10 / 317  # six times chance
    outlines = stored("search-outlines")[0]
    assert outlines[outlines.model == "unseen style, en"]["t2i R@1"].mean() >= 0.25


def test_captions_are_right_where_pairs_are_known_and_wrong_where_they_are_new():
    exact = wide(stored("captions")[0], "exact, greedy")
    assert exact["two shapes"].mean() >= 0.97
    assert (exact["two shapes"] - exact["two shapes, pairs held out"] >= 0.5).all()


def test_an_eye_teaches_better_than_fifty_labels():
    accuracy = wide(stored("distil")[0], "accuracy")
    assert len(accuracy) >= 5
    assert (accuracy["ear, taught by the eye, no labels"] - accuracy["ear, 50 labels"] >= 0.08).all()
