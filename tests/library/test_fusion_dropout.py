"""Modality dropout hides what it should, as often as it should, and never the last modality."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmteach.fusion import MissingEmbeddings, ModalityDropout, drop_modalities


def inputs(batch, *names):
    return {m: torch.zeros(batch, 3) for m in names}


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def test_two_modalities_are_hidden_as_often_as_the_formula_says():
    kept = drop_modalities(inputs(40_000, "image", "text"), 0.4, generator=drawn())
    both = (kept["image"] & kept["text"]).float().mean()
    # Both stay with probability .6²; where chance hid both (.4²) one of them, each as often as the other, stays.
    assert both == pytest.approx(0.36, abs=0.01)
    for m in kept:
        assert kept[m].dtype == torch.bool and kept[m].shape == (40_000,)
        assert kept[m].float().mean() == pytest.approx(0.6 + 0.16 / 2, abs=0.01)


def test_each_modality_can_have_its_own_share():
    kept = drop_modalities(inputs(40_000, "image", "text", "audio"), {"text": 0.8, "audio": 0.25}, generator=drawn())
    assert kept["image"].all()
    assert kept["text"].float().mean() == pytest.approx(0.2, abs=0.01)
    assert kept["audio"].float().mean() == pytest.approx(0.75, abs=0.01)
    assert (kept["text"] & kept["audio"]).float().mean() == pytest.approx(0.15, abs=0.01)  # independent


def test_with_p_one_exactly_one_modality_stays_each_as_often_as_the_others():
    kept = torch.stack(list(drop_modalities(inputs(30_000, "a", "b", "c"), 1.0, generator=drawn()).values()))
    assert (kept.sum(0) == 1).all()
    assert kept.float().mean(1).tolist() == pytest.approx([1 / 3] * 3, abs=0.015)


def test_with_p_zero_nothing_is_hidden():
    assert all(k.all() for k in drop_modalities(inputs(100, "a", "b"), 0).values())


@settings(max_examples=25, deadline=None)
@given(p=st.floats(0, 1), seed=st.integers(0, 1000), rows=st.lists(st.booleans(), min_size=15, max_size=15))
def test_it_never_brings_back_what_was_absent_and_never_hides_the_last(p, seed, rows):
    present = {m: torch.tensor(rows[5 * i : 5 * i + 5]) for i, m in enumerate("abc")}
    kept = drop_modalities(inputs(5, "a", "b", "c"), p, present, generator=drawn(seed))
    before, after = torch.stack(list(present.values())), torch.stack(list(kept.values()))
    assert not (after & ~before).any()
    assert torch.equal(after.any(0), before.any(0))


def test_what_is_not_named_in_present_is_there():
    present = {"a": torch.zeros(4, dtype=torch.bool)}
    kept = drop_modalities(inputs(4, "a", "b"), 1.0, present, generator=drawn())
    assert kept["b"].all() and not kept["a"].any()


def test_the_same_seed_hides_the_same():
    first, again = (drop_modalities(inputs(50, "a", "b"), 0.5, generator=drawn(7))["a"] for _ in range(2))
    other = drop_modalities(inputs(50, "a", "b"), 0.5, generator=drawn(8))["a"]
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_module_acts_in_training_alone():
    torch.manual_seed(0)
    dropout, x = ModalityDropout(0.9), inputs(50, "a", "b")
    present = {"a": torch.ones(50, dtype=torch.bool)}
    assert not dropout(x, present)["a"].all()
    dropout.eval()
    assert dropout(x) == {}
    assert dropout(x, present) == present
    assert ModalityDropout().p == 0.3
    assert repr(dropout) == "ModalityDropout(p=0.9)"


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_share_is_between_0_and_1(p):
    with pytest.raises(ValueError, match=rf"p\['a'\] must be between 0 and 1, got {p}"):
        drop_modalities(inputs(2, "a", "b"), p)
    with pytest.raises(ValueError, match=rf"p must be between 0 and 1, got {p}"):
        ModalityDropout(p)
    with pytest.raises(ValueError, match=rf"p\['text'\] must be between 0 and 1, got {p}"):
        ModalityDropout({"text": p})


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="a name in p must be one of 'a', 'b', got 'smell'"):
        drop_modalities(inputs(2, "a", "b"), {"smell": 0.5})


def test_a_learned_vector_stands_in_for_what_is_absent():
    fill = MissingEmbeddings({"image": 2, "text": 3})
    assert not fill.embeddings["image"].any() and sum(p.numel() for p in fill.parameters()) == 5
    with torch.no_grad():
        fill.embeddings["text"].copy_(torch.tensor([1.0, 2.0, 3.0]))
    x = {"image": torch.ones(2, 2), "text": torch.tensor([[7.0, 7, 7], [torch.nan, 0, 0]])}
    filled = fill(x, {"text": torch.tensor([True, False])})
    assert filled["image"].tolist() == [[1, 1], [1, 1]]
    assert filled["text"].tolist() == [[7, 7, 7], [1, 2, 3]]
    filled["text"].sum().backward()
    assert fill.embeddings["text"].grad.tolist() == [1, 1, 1]
    tokens = fill({"image": torch.ones(2, 2), "text": torch.zeros(2, 4, 3)}, {"text": torch.tensor([True, False])})
    assert tokens["text"][1].tolist() == [[1, 2, 3]] * 4 and not tokens["text"][0].any()


def test_with_everything_there_the_inputs_pass():
    x = {"image": torch.ones(2, 2), "text": torch.ones(2, 3, dtype=torch.float64)}
    fill = MissingEmbeddings({"image": 2, "text": 3})
    assert fill(x)["text"] is x["text"]
    low = {m: v.bfloat16() for m, v in x.items()}
    assert fill(low, {"text": torch.tensor([True, False])})["text"].dtype == torch.bfloat16


def test_missing_embeddings_say_what_does_not_fit():
    fill = MissingEmbeddings({"image": 2, "text": 3})
    with pytest.raises(ValueError, match=r"inputs\['text'\] must end in 3 numbers, got shape \(2, 4\)"):
        fill({"image": torch.ones(2, 2), "text": torch.ones(2, 4)})
    with pytest.raises(ValueError, match="modality 'text' is missing from inputs, which name 'image'"):
        fill({"image": torch.ones(2, 2)})
    with pytest.raises(ValueError, match=r"dims\['image'\] must be above 0, got 0"):
        MissingEmbeddings({"image": 0})
