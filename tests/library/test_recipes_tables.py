"""The recipes of chapters 03 and 04: what they do to their examples, and what their stored tables hold."""

import pytest
import torch

from mmteach.data.batch import Batch
from mmteach.recipes import crossmodal_relations, fusion, stored


def test_one_word_in_ten_is_forgotten_and_padding_stays():
    torch.manual_seed(0)
    text = torch.tensor([[7, 1, 0]]).repeat(4000, 1)
    batch = Batch({"text": text, "image": torch.zeros(4000, 1)}, {"nature": torch.ones(4000)})
    forgotten = fusion.forget_words(batch)
    assert set(forgotten.inputs["text"][:, 0].tolist()) == {1, 7}
    assert (forgotten.inputs["text"][:, 0] == 1).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert (forgotten.inputs["text"][:, 1:] == torch.tensor([1, 0])).all()
    assert forgotten.inputs["image"] is batch.inputs["image"] and forgotten.targets is batch.targets
    assert (batch.inputs["text"][:, 0] == 7).all()


def test_places_are_spread_and_nothing_else():
    state = torch.ones(2, 6, 10)
    spread = crossmodal_relations.spread(Batch({"state": state, "question": torch.zeros(2, 11)}))
    assert (spread.inputs["state"][..., -2:] == 4).all() and (spread.inputs["state"][..., :-2] == 1).all()
    assert (state == 1).all()


def test_answers_are_counted_for_relational_and_other_questions_apart():
    class Says(torch.nn.Module):
        def forward(self, inputs, masks=None, present=None):
            return torch.nn.functional.one_hot(inputs["says"], 3).float()

    batch = Batch(
        {"says": torch.tensor([0, 1, 2, 2])},
        {"answer": torch.tensor([0, 0, 2, 2]), "relational": torch.tensor([True, True, False, False])},
    )
    assert crossmodal_relations.answered(Says(), batch) == {"relational": 0.5, "other": 1.0}


def test_both_together_beat_the_better_single_modality_on_every_stored_seed():
    table, how = stored("classic")
    wide = table.pivot(index="seed", columns="model", values="auc")
    gain = wide["both"] - wide[["image", "text"]].max(axis=1)
    assert len(wide) >= 5 and "mmteach train classic" in " ".join(how.split())
    assert (gain >= 0.02).all() and gain.mean() >= 0.06 and wide["both"].mean() >= 0.88


def test_the_relation_network_answers_what_an_mlp_of_its_size_cannot():
    table, _ = stored("relations")
    wide = table.set_index(["seed", "model"]).unstack()
    assert len(wide) >= 3
    assert (wide["relational", "relation network"] - wide["relational", "MLP"] >= 0.1).all()
    assert (wide["other", "relation network"] >= 0.99).all() and (wide["other", "MLP"] >= 0.95).all()
    assert (wide["parameters", "relation network"] / wide["parameters", "MLP"] - 1).abs().max() < 0.01
