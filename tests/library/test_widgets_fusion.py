"""The fusion explorer: what it spoils, what gates and attention give, what its figure says, and controls with labels."""

import inspect

import matplotlib
import pytest
import torch

from mmteach.data.batch import Batch
from mmteach.encoders import ImageResNet, TextBag
from mmteach.fusion import (
    GMU,
    AttentionFusion,
    Concat,
    CrossAttentionFusion,
    GatedFusion,
    MixtureOfExperts,
    MultimodalClassifier,
)
from mmteach.widgets import fusion, fusion_explorer, fusion_view
from mmteach.widgets.fusion import spoil, trust

matplotlib.use("agg")

DIMS = {"image": 8, "text": 8}
NAMES = [f"kind {k}" for k in range(6)]


def examples(n=4):
    generator = torch.Generator().manual_seed(0)
    return Batch(
        {
            "image": torch.randint(0, 256, (n, 3, 48, 48), dtype=torch.uint8, generator=generator),
            "text": torch.arange(2, 2 + n)[:, None].repeat(1, 2),
        },
        {"subgroup": torch.arange(n) % 6},
        {"text": torch.tensor([[True, False]]).repeat(n, 1)},
        info={"text": [f"word{i}" for i in range(n)]},
    )


def model(kind=Concat, **settings):
    torch.manual_seed(0)
    return MultimodalClassifier(
        {"image": ImageResNet(8, width=8), "text": TextBag(9, 8)}, kind(DIMS, 8, **settings), 6
    ).eval()


def test_what_is_left_as_it_is_stays_and_noise_is_the_same_for_the_same_seed():
    batch = examples()
    same = spoil(batch)
    assert torch.equal(same.inputs["image"], batch.inputs["image"]) and same.present == {}
    noisy, again, other = (spoil(batch, "noisy", seed=seed).inputs["image"] for seed in (0, 0, 1))
    assert torch.equal(noisy, again) and not torch.equal(noisy, other)
    assert noisy.min() >= 0 and noisy.max() <= 1
    assert 0.2 < (noisy - batch.inputs["image"] / 255).abs().mean() < 0.4


def test_another_word_comes_from_another_example_with_its_mask_and_its_name():
    swapped = spoil(examples(4), word="another word")
    assert swapped.inputs["text"][:, 0].tolist() == [4, 5, 2, 3]
    assert swapped.info["text"] == ["word2", "word3", "word0", "word1"]


def test_what_is_absent_no_longer_matters():
    batch = examples()
    blind = spoil(batch, picture="absent")
    changed = spoil(
        Batch({**batch.inputs, "image": 255 - batch.inputs["image"]}, batch.targets, batch.masks, info=batch.info),
        "absent",
    )
    net = model()
    assert torch.equal(
        net(blind.inputs, blind.masks, blind.present), net(changed.inputs, changed.masks, changed.present)
    )
    assert set(spoil(batch, "absent", "absent").present) == {"image", "text"}


def test_unknown_states_are_refused():
    with pytest.raises(ValueError, match="picture"):
        spoil(examples(), picture="blurred")
    with pytest.raises(ValueError, match="word"):
        spoil(examples(), word="none")


@pytest.mark.parametrize(
    "kind, names",
    [(GMU, ["image", "text"]), (AttentionFusion, ["image", "text"]), (MixtureOfExperts, ["image", "text", "both"])],
)
def test_shares_sum_to_one_and_an_absent_modality_gets_none(kind, names):
    shares = trust(model(kind), examples()[[0]])
    assert list(shares) == names and sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert trust(model(kind), spoil(examples(), picture="absent")[[0]])["image"] == 0


def test_a_gate_without_its_word_is_open_and_a_new_one_is_half_open():
    gated = model(GatedFusion, gate="text", zero_init=True)
    assert trust(gated, examples()[[0]]) == {"gate": 0.5}
    assert trust(gated, spoil(examples(), word="absent")[[0]]) == {"gate": 1.0}


def test_cross_attention_gives_a_share_to_each_place_and_nothing_to_an_absent_picture():
    attending = model(CrossAttentionFusion, width=8, heads=2)
    shares = trust(attending, examples()[[0]])
    assert shares.shape == (36,) and shares.sum().item() == pytest.approx(1, abs=1e-5)
    assert trust(attending, spoil(examples(), picture="absent")[[0]]).sum() == 0
    assert trust(model(), examples()[[0]]) is None


def test_the_view_says_the_answer_the_truth_and_whom_the_gate_trusts():
    models = {"GMU": model(GMU, zero_init=True), "concat": model()}
    view = fusion_view(examples()[[1]], models, NAMES, title="One example.")
    assert view.alt.startswith("One example. A picture, “word1”; in truth kind 1. GMU says kind")
    assert "(image 0.50, text 0.50)" in view.alt and "concat says" in view.alt
    assert "No picture, no word" in fusion_view(spoil(examples(), "absent", "absent")[[0]], models, NAMES).alt
    with pytest.raises(ValueError, match="batch of one, got 4"):
        fusion_view(examples(), models, NAMES)


def test_every_control_has_a_label_and_draws_what_it_says(monkeypatch):
    drawn = []
    monkeypatch.setattr(fusion, "fusion_view", lambda example, models, classes, title: drawn.append((title, example)))
    explorer = fusion_explorer(examples(), {"concat": model(), "GMU": model(GMU)}, NAMES)
    method, which, picture, word, output = explorer.children
    assert [c.description for c in (method, which, picture, word)] == ["Method", "Example", "Picture", "Word"]
    assert output.layout.min_height and which.max == 3
    word.value, method.value, which.value = "absent", "GMU", 2
    assert drawn[0][0].startswith("concat: right on") and drawn[-1][0].startswith("GMU: right on")
    last = drawn[-1][1]
    assert last.info["text"] == ["word2"] and not last.present["text"].any() and "image" not in last.present


def test_nothing_is_used_that_ipywidgets_7_lacks():
    source = inspect.getsource(fusion)
    for new in ("TagsInput", "ColorsInput", "Stack(", "TimePicker", "titles="):
        assert new not in source
