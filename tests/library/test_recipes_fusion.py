"""The recipes of chapter 03: what they do to pictures and words, what is shared and frozen, and what the stored tables hold."""

import pytest
import torch

from mmteach.data.batch import Batch
from mmteach.encoders import ImageResNet, TextBag
from mmteach.metrics import paired_difference
from mmteach.recipes import fusion as recipe
from mmteach.recipes import stored
from mmteach.training import predict
from mmteach.training.history import History


@pytest.fixture(scope="module")
def emoji():
    return recipe.small(0)  # at smoke scale every twentieth example


@pytest.fixture(scope="module")
def encoders(emoji):
    torch.manual_seed(0)
    return ImageResNet(recipe.WIDTH, width=16).eval(), TextBag(len(emoji.vocabulary), recipe.WIDTH)


def picture(n=6):
    image = torch.full((n, 3, 24, 24), 255, dtype=torch.uint8)
    image[:, :, 6:18, 9:15] = torch.tensor([200, 30, 60], dtype=torch.uint8)[:, None, None]
    return Batch({"image": image}, {"subgroup": torch.zeros(n, dtype=torch.long)})


def test_a_jitter_of_strength_nothing_at_most_mirrors():
    image = picture().inputs["image"] / 255
    turned = recipe.jitter(picture(), strength=0.0).inputs["image"]
    assert torch.allclose(turned, image, atol=1e-4)  # the drawing is its own mirror image


def test_a_jitter_moves_the_drawing_and_leaves_the_paper_white():
    torch.manual_seed(0)
    turned = recipe.jitter(picture()).inputs["image"]
    assert turned.min() >= 0 and turned.max() <= 1 and turned.shape == (6, 3, 24, 24)
    assert (turned[:, :, 0, :] == 1).all() and (turned[:, :, :, 0] == 1).all()
    assert all(not torch.allclose(turned[0], one) for one in turned[1:])  # each in a way of its own


def test_each_drawing_comes_once_and_is_the_first_that_shows_it():
    emoji = recipe.load_emoji(styles=["noto", "twemoji"], keywords=3)
    once = recipe.drawn_once(emoji, "valid")
    assert len(once) == 2 * 159
    pairs = set(zip(once.targets["concept"].tolist(), once.targets["style"].tolist()))
    assert len(pairs) == len(once)
    assert once.info["text"][0] == emoji.valid.info["text"][0]


def test_a_missing_modality_is_marked_and_the_others_keep_their_marks(emoji):
    split = recipe.without(recipe.without(emoji.test, "text"), "image")
    assert not split.present["text"].any() and not split.present["image"].any()
    assert emoji.test.present == {}


def test_tokens_stand_in_for_pictures(emoji, encoders):
    image, text = encoders
    seen = recipe.see(image, emoji.test)
    assert seen.inputs["image"].shape == (len(emoji.test), 9, recipe.WIDTH)  # 24 × 24 pixels: 3 × 3 places
    model = recipe.build("GMU", text).eval()
    assert torch.allclose(predict(model, seen), predict(recipe.whole(model, image), emoji.test), atol=1e-4)


@pytest.mark.parametrize("method", [m for m in recipe.METHODS if m != "early, each place"])
def test_a_fusion_trains_and_its_encoders_stay(method, emoji, encoders):
    image, text = encoders
    before = text.embedding.weight.clone()
    seen = [recipe.see(image, part) for part in (emoji.train, emoji.valid)]
    model, history = recipe.fuse(method, text, *seen, seed=0)
    assert torch.equal(model.encoders["text"].embedding.weight, before) and torch.equal(text.embedding.weight, before)
    assert recipe.trained_parameters(model) == sum(p.numel() for p in model.parameters()) - before.numel()
    assert text.embedding.weight.requires_grad  # the caller's encoder is not touched
    assert len(history) == 1


def test_the_word_stands_at_each_place(encoders):
    _, text = encoders
    tokens, mask = recipe.AtEachPlace(text, 5).tokens(torch.tensor([[2, 3]]))
    assert tokens.shape == (1, 5, recipe.WIDTH) and mask is None
    assert torch.equal(tokens[0, 0], tokens[0, 4]) and torch.equal(tokens[0, 0], text(torch.tensor([[2, 3]]))[0])


def test_the_late_loss_is_each_heads_own(emoji, encoders):
    image, text = encoders
    batch = recipe.see(image, emoji.test[:5])
    model = recipe.build("late", text)
    x1, x2 = batch.inputs["image"].mean(1), text(batch.inputs["text"], batch.masks["text"])
    y = batch.targets["subgroup"]
    own = [torch.nn.functional.cross_entropy(model.fusion.heads[m](x), y) for m, x in (("image", x1), ("text", x2))]
    assert recipe.late_loss(model, batch).item() == pytest.approx(sum(own).item(), rel=1e-5)


def test_early_fusion_of_pixels_uses_both_and_ignores_what_is_absent(emoji):
    torch.manual_seed(0)
    net = recipe.EarlyPixels(len(emoji.vocabulary)).eval()
    few = emoji.test[:4]
    other = Batch(
        {"image": 255 - few.inputs["image"], "text": few.inputs["text"].flip(0)},
        {},
        {"text": few.masks["text"].flip(0)},
    )
    plain = net(few.inputs, few.masks)
    assert not torch.allclose(plain, net(few.inputs | {"image": other.inputs["image"]}, few.masks))
    assert not torch.allclose(plain, net(few.inputs | {"text": other.inputs["text"]}, other.masks))
    for m in ("image", "text"):
        nowhere = {m: torch.zeros(4, dtype=torch.bool)}
        masks = other.masks if m == "text" else few.masks
        assert torch.equal(net(few.inputs, few.masks, nowhere), net(few.inputs | {m: other.inputs[m]}, masks, nowhere))
    net(few.inputs, few.masks).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_competition_is_watched_at_each_step_and_ogm_changes_the_run(emoji):
    watched = []
    plain, history = recipe.compete(emoji, "image", "text", seed=0, scores=watched)
    assert len(watched) == history[-1]["step"] and set(watched[0]) == {"image", "text"}
    assert all(0 <= s <= 1 for step in watched for s in step.values())
    again, _ = recipe.compete(emoji, "image", "text", seed=0)
    slowed, _ = recipe.compete(emoji, "image", "text", seed=0, cure="OGM-GE")
    weights = [m.encoders["text"].embedding.weight for m in (plain, again, slowed)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_blending_with_weight_on_one_head_leaves_the_other_encoder_alone(emoji):
    recipe.seed_everything(0)
    start = recipe.together(emoji, "image", "text").encoders["image"].project.bias.clone()
    model, _ = recipe.compete(
        emoji, "image", "text", seed=0, cure="gradient blending", weights={"image": 0.0, "text": 1.0, "both": 0.0}
    )
    assert torch.allclose(model.encoders["image"].project.bias, start)


def test_blending_prefers_what_generalises_and_overfits_least():
    def run(train, valid):
        return History(rows=[{"train_loss": t, "valid_loss": v} for t, v in zip(map(float, train), map(float, valid))])

    weights = recipe.blend(
        {"image": run((4, 2), (4, 3)), "text": run((4, 1), (4, 3)), "both": run((4, 2), (4, 4))}
    )  # G = 1, 1, 0; O = 1, 2, 2
    assert weights["image"] == pytest.approx(0.8) and weights["text"] == pytest.approx(0.2) and weights["both"] == 0


def test_a_probe_reads_an_encoder_and_leaves_it(emoji):
    model = recipe.together(emoji, "image", "text")
    before = {name: p.clone() for name, p in model.named_parameters()}
    assert 0 <= recipe.probe(model, emoji, "image", 0) <= 1 and 0 <= recipe.probe(model, emoji, "text", 0) <= 1
    assert all(torch.equal(p, before[name]) and p.requires_grad for name, p in model.named_parameters())


def test_the_stored_image_encoder_learned_more_alone_than_in_company():
    table, _ = stored("competition")
    image = table.pivot(index="seed", columns="model", values="image")
    gap = paired_difference(image["image"], image["both"])
    assert len(image) >= 8 and gap.low >= 0.01 and gap.mean >= 0.02
    assert (image["both, gradient blending"] - image["both"]).mean() > 0
