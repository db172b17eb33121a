"""Chapter 05: each method trains what it says, few labels are few, what is apart stays apart; the stored tables."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmteach.data.batch import Batch
from mmteach.multitask import dwa, gls, task_gradients
from mmteach.recipes import multitask as course
from mmteach.recipes import stored

SENSES = ("image", "text")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setenv("MMTEACH_SCALE", "smoke")
    monkeypatch.setenv("MMTEACH_PROGRESS", "off")


@pytest.fixture(scope="module")
def digits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTEACH_SCALE", "smoke")
        return course.load(0)


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def gradients(backward, digits, times=1):
    torch.manual_seed(0)
    model = course.build()
    loss = course.losses(*course.TASKS)
    for _ in range(times):
        model.zero_grad()
        backward(loss(model, digits.train[:32]), model)
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def jacobian(digits):
    torch.manual_seed(0)
    model = course.build()
    each = course.losses(*course.TASKS)(model, digits.train[:32])
    return task_gradients(list(each.values()), model.parameters()), torch.stack(list(each.values())).detach()


def test_weights_multiply_the_losses_everywhere(digits):
    g, each = jacobian(digits)
    assert_close(gradients(course.balance("equal"), digits), g.sum(0))
    assert_close(gradients(course.fixed(0.2, 0.8), digits), 0.2 * g[0] + 0.8 * g[1])
    assert_close(gradients(course.balance("GLS"), digits), gls(each) @ g)


def test_a_combination_rules_the_trunk_and_leaves_the_heads_alone(digits):
    g, _ = jacobian(digits)
    heads = 2 * (course.DIM * 10 + 10)
    got = gradients(course.combined(lambda rows: 3 * rows[0]), digits)
    assert_close(got[:-heads], 3 * g[0][:-heads])
    assert_close(got[-heads:], g.sum(0)[-heads:])


def test_training_by_the_sum_of_the_rows_is_training_by_the_sum_of_the_losses(digits):
    def trained(backward):
        return weights_of(course.train(digits, course.losses(*course.TASKS), backward, seed=1)[0])

    apart, summed = trained(course.combined(lambda rows: rows.sum(0))), trained(None)
    # The two add in another order, and Adam divides small differences by small moments: a few weights of 66,868 differ in the
    # fourth digit, in places that depend on the number of threads. All together they are the same.
    assert torch.linalg.vector_norm(apart - summed) <= 1e-3 * torch.linalg.vector_norm(summed)
    assert (apart - summed).abs().median() <= 1e-6


@pytest.mark.parametrize("method", course.METHODS)
def test_every_method_fills_every_gradient_with_numbers(method, digits):
    got = gradients(course.balance(method), digits)
    assert torch.isfinite(got).all() and (got != 0).float().mean() > 0.3


@pytest.mark.parametrize("method", ["uncertainty", "GradNorm"])
def test_what_is_learned_beside_the_network_moves(method, digits):
    backward = course.balance(method)
    assert not torch.equal(gradients(backward, digits), gradients(backward, digits))  # its weights have made a step


def test_random_weights_follow_from_the_seed(digits):
    first, again, other = (gradients(course.balance("RLW", seed), digits) for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_dwa_counts_fifty_steps_as_an_epoch():
    weigh = {}
    backward = course.balance("DWA")
    theta = nn.Parameter(torch.ones(1))
    for step in range(101):
        theta.grad = None
        share = torch.tensor([1.0, 1.0]) if step < 50 else torch.tensor([0.5, 1.0])
        backward({"left": share[0] * theta.sum(), "right": share[1] * theta.sum()}, nn.Identity())
        weigh[step] = theta.grad.item()
    assert weigh[0] == weigh[49] == 2 and weigh[60] == 1.5  # w = 1 until two epochs are over
    assert_close(torch.tensor(weigh[100]), (dwa(torch.tensor([[1.0, 1], [0.5, 1]])) * torch.tensor([0.5, 1])).sum())


def test_watching_changes_nothing_and_writes_down_the_cosine(digits):
    trace = []
    assert_close(
        gradients(course.watched(course.balance("equal"), trace, every=2), digits, 3),
        gradients(course.balance("equal"), digits),
    )
    shared = weights_of(course.build().trunk).numel()
    a, b = jacobian(digits)[0][:, :shared]
    assert [step for step, _ in trace] == [0, 2]
    assert trace[0][1] == pytest.approx((a @ b / (a.norm() * b.norm())).item(), abs=1e-5)


def test_the_coarse_label_is_of_the_left_digit(digits):
    for part in (digits.train, digits.test):
        assert torch.equal(part.targets["coarse"] == 1, part.targets["left"] > 4)
    assert course.build("hard", tasks=("left", "coarse"))(digits.test[:3].inputs["image"])["coarse"].shape == (3, 2)


def test_an_unknown_method_or_sharing_is_named():
    with pytest.raises(ValueError, match="method must be one of equal, uncertainty"):
        course.balance("SGD")
    with pytest.raises(ValueError, match="sharing must be hard, cross-stitch, MMoE or CGC, got 'soft'"):
        course.build("soft")
    with pytest.raises(ValueError, match="sharing must be apart, hard, cross-stitch or MMoE, got 'CGC'"):
        course.Pairs(10, "CGC")


def test_every_way_of_sharing_has_the_parameters_it_claims():
    count = {way: weights_of(course.build(way)).numel() for way in ("hard", "cross-stitch", "MMoE", "CGC")}
    trunk, heads, gate = weights_of(course.trunk()).numel(), 2 * 650, 36 * 36 + 1
    assert count["hard"] == trunk + heads
    assert count["cross-stitch"] == 2 * trunk + heads + 4 * 4
    assert count["MMoE"] == 2 * trunk + heads + 2 * 2 * gate
    assert count["CGC"] == 3 * trunk + heads + 2 * 2 * gate


def test_right_counts_each_task():
    class Says(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return {"left": torch.eye(10)[[1, 2]], "right": torch.eye(10)[[3, 4]]}

    split = Batch({"image": torch.zeros(2, 1, 36, 36)}, {"left": torch.tensor([1, 9]), "right": torch.tensor([3, 4])})
    assert course.right(Says(), split) == {"left": 0.5, "right": 1.0}


def test_few_labels_are_the_only_ones_the_left_task_sees(digits):
    few = digits.train[:2]
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x)
            x = x if isinstance(x, dict) else {"left": x, "right": x}
            return {task: torch.zeros(len(one), 10, requires_grad=True) for task, one in x.items()}

    course.few_losses(few, "left", "right")(Spy(), digits.train[5:10])
    assert len(seen[0]["left"]) == 5 and torch.equal(seen[0]["right"], digits.train[5:10].inputs["image"])
    for one in seen[0]["left"]:
        assert any(torch.equal(one, known) for known in few.inputs["image"])
    assert list(course.few_losses(few, "left")(Spy(), digits.train[5:10])) == ["left"]
    course.few_losses(few, "left", "right")(Spy().eval(), digits.valid[:3])
    assert torch.equal(seen[-1]["left"], digits.valid[:3].inputs["image"])


# -- a picture beside a word -------------------------------------------------------------------------------------------


def pairs(n=12):
    torch.manual_seed(0)
    text = torch.randint(2, 30, (n, 3))
    return Batch(
        {"image": torch.randint(0, 256, (n, 3, 24, 24), dtype=torch.uint8), "text": text},
        {"group": torch.arange(n) % 3, "concept": torch.arange(n) // 2, "nature": torch.arange(n) % 2},
        {"text": torch.ones(n, 3, dtype=torch.bool)},
    )


def test_few_of_each_takes_all_rows_of_so_many_concepts_a_group():
    batch = Batch({"x": torch.zeros(12)}, {"group": torch.tensor([0] * 8 + [1] * 4), "concept": torch.arange(12) // 2})
    kept = course.few_of_each(batch, 2, seed=0)
    concepts = batch.targets["concept"][kept]
    assert kept.sum() == 8 and (concepts < 4).sum() == 4 and (concepts >= 4).sum() == 4
    assert torch.equal(kept, course.few_of_each(batch, 2, seed=0))
    assert any(not torch.equal(kept, course.few_of_each(batch, 2, seed=s)) for s in range(1, 6))


@pytest.mark.parametrize("sharing, reaches", [("apart", False), ("hard", True), ("cross-stitch", True), ("MMoE", True)])
def test_what_the_word_teaches_reaches_the_pictures_answer_only_where_something_is_shared(sharing, reaches):
    torch.manual_seed(0)
    model, batch = course.Pairs(30, sharing).eval(), pairs()

    def answer():
        return model(batch.inputs, batch.masks)["image"].detach()

    before = answer()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    course.pair_losses(batch)(model, batch)["text"].backward()
    optimizer.step()
    assert torch.equal(before, answer()) is not reaches


def test_apart_never_learns_to_mix():
    model = course.Pairs(30, "apart")
    assert all(torch.equal(alpha, torch.eye(2)) and not alpha.requires_grad for alpha in model.tasks.alphas)


def test_the_coarse_tasks_reach_the_encoders_and_no_trunk():
    torch.manual_seed(0)
    model, batch = course.Pairs(30).eval(), pairs()
    assert list(course.pair_losses(batch)(model, batch)) == list(SENSES)
    parts = course.pair_losses(batch, coarse=True)(model, batch)
    assert list(parts) == [*SENSES, "image, nature", "text, nature"]
    (parts["image, nature"] + parts["text, nature"]).backward()
    assert all(p.grad is None for p in model.tasks.parameters())
    assert all(p.grad is not None for p in (*model.encoders.parameters(), *model.coarse.parameters()))


def test_labelled_examples_are_drawn_for_each_task_apart_and_validation_is_taken_as_it_is():
    torch.manual_seed(0)
    model, batch, seen = course.Pairs(30), pairs(), {}
    model.forward = lambda inputs, masks: seen.update(inputs) or {m: torch.zeros(12, 8) for m in SENSES}
    course.pair_losses(batch[:2])(model, batch)
    assert all(any(torch.equal(one, k) for k in batch.inputs["image"][:2]) for one in seen["image"])
    assert all(any(torch.equal(one, k) for k in batch.inputs["text"][:2]) for one in seen["text"])
    course.pair_losses(batch[:2])(model.eval(), batch)
    assert torch.equal(seen["image"], batch.inputs["image"]) and torch.equal(seen["text"], batch.inputs["text"])


# -- the tables --------------------------------------------------------------------------------------------------------


def test_a_seed_of_each_table_has_its_rows(monkeypatch):
    monkeypatch.setattr(course, "METHODS", ("equal", "PCGrad"))
    monkeypatch.setattr(course, "RATES", (1e-3,))
    monkeypatch.setattr(course, "SHARES", (0.0, 0.5))
    monkeypatch.setattr(course, "FEW", (50, 100))
    rows = course.methods(0)
    assert list(rows) == ["single", "equal", "PCGrad"] and "conflicts" in rows["PCGrad"]
    assert rows["equal"]["mean"] == pytest.approx((rows["equal"]["left"] + rows["equal"]["right"]) / 2, abs=1e-4)
    assert list(course.rates(0)) == ["single, 0.001", "equal, 0.001", "PCGrad, 0.001", "MGDA, 0.001"]
    assert [(row["channels"], row["w_left"]) for row in course.front(0).values()] == [
        (4, 0),
        (4, 0.5),
        (16, 0),
        (16, 0.5),
    ]
    few = course.few_labels(0)
    ways, learned = ("alone", "right, hard", "coarse, hard"), ("right, cross-stitch", "right, MMoE")
    assert list(few) == [f"{way}, 50" for way in (*ways, *learned)] + [f"{way}, 100" for way in ways]
    assert few["right, hard, 50"]["labels"] == 50


def test_a_seed_of_the_pairs_has_every_way_with_all_labels_and_with_few():
    rows = course.image_and_text(0)
    all_ways, few_ways = ("apart", "hard", "cross-stitch", "MMoE"), ("apart", "hard", "apart + nature", "hard + nature")
    assert list(rows) == [*(f"{way}, all" for way in all_ways), *(f"{way}, few" for way in few_ways)]
    assert all(0 <= row[sense] <= 1 for row in rows.values() for sense in SENSES)


def test_in_the_stored_table_nothing_is_far_from_equal_weights_and_every_network_is_well_trained():
    table, how = stored("multitask-methods")
    wide = table.pivot(index="seed", columns="model", values="mean")
    assert (
        len(wide) >= 4
        and set(wide) == {"single", *course.METHODS}
        and "mmteach train multitask-methods" in " ".join(how.split())
    )
    assert (wide >= 0.935).all(axis=None) and (wide["single"] >= 0.945).all()
    assert (wide.sub(wide["equal"], axis=0).mean().abs() <= 0.01).all()


def test_the_stored_rates_prefer_the_chapters_rate_or_lie_within_half_a_point_of_it():
    table, _ = stored("multitask-rates")
    table[["method", "lr"]] = table["model"].str.split(", ", expand=True)
    wide = table.pivot_table(index="method", columns="lr", values="valid")
    assert (wide[f"{course.LR:g}"] >= wide.max(axis=1) - 0.005).all()


def test_in_the_stored_tables_of_five_seeds_the_partner_decides_and_weights_trade():
    few = stored("multitask-few")[0].pivot(index="seed", columns="model", values="left")
    front = stored("multitask-front")[0].pivot(index=["channels", "seed"], columns="w_left", values=["left", "right"])
    assert len(few) >= 5 and len(front) >= 2 * 5
    assert (few["coarse, hard, 100"] - few["alone, 100"] >= 0.1).all()
    assert (few["alone, 100"] - few["right, hard, 100"] >= 0.05).all()
    assert (few.filter(like="24000").max(axis=1) - few.filter(like="24000").min(axis=1) <= 0.03).all()
    lost, won = front["right"][0.5] - front["right"][0.95], front["left"][0.95] - front["left"][0.5]
    assert (lost - won >= 0.02).all()


def test_the_stored_pairs_have_five_seeds_and_one_trunk_for_both_modalities_buys_little():
    table, _ = stored("multitask-pairs")
    mean = table.pivot(index="seed", columns="model", values="mean")
    assert len(mean) >= 5 and (mean["apart, all"] >= 0.35).all()
    assert mean[["hard, all", "cross-stitch, all", "MMoE, all"]].sub(mean["apart, all"], axis=0).mean().max() <= 0.02
