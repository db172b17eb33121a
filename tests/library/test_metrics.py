"""Metrics: worked examples, the libraries behind them, the traps that our wrappers close, and errors."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmteach.metrics import (
    accuracy,
    auc,
    balanced_accuracy,
    bleu,
    calibration_error,
    character_error_rate,
    macro_f1,
    mean_average_precision,
    mean_interval,
    mean_reciprocal_rank,
    median_rank,
    paired_difference,
    recall_at_k,
    vqa_accuracy,
    word_error_rate,
)

some = settings(max_examples=20, deadline=None)


def test_importing_the_metrics_loads_none_of_the_libraries_behind_them():
    heavy = ("torchmetrics", "sklearn", "scipy", "jiwer", "sacrebleu")
    code = f"import sys, mmteach.metrics; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


# Retrieval ------------------------------------------------------------------------------------------------------------

SCORES = torch.tensor(
    [
        [0.9, 0.1, 0.5, 0.3],  # item 0 first
        [0.8, 0.6, 0.7, 0.1],  # item 1 third
        [0.1, 0.2, 0.3, 0.4],  # item 2 second
        [0.4, 0.3, 0.2, 0.1],  # item 3 fourth
    ]
)


def test_single_relevant_item_by_hand():
    assert [recall_at_k(SCORES, k) for k in (1, 2, 3, 4, 9)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert recall_at_k(SCORES) == 0.25
    assert median_rank(SCORES) == 2.5
    assert mean_reciprocal_rank(SCORES) == pytest.approx((1 + 1 / 3 + 1 / 2 + 1 / 4) / 4)
    assert mean_average_precision(SCORES) == pytest.approx((1 + 1 / 3 + 1 / 2 + 1 / 4) / 4)


def test_several_relevant_items_by_hand():
    relevant = torch.tensor([[True, False, True, False], [False, True, False, True]])
    scores = SCORES[:2]  # hits at ranks 1, 2 and at ranks 3, 4
    assert recall_at_k(scores, 1, relevant) == 0.25
    assert recall_at_k(scores, 3, relevant) == 0.75
    assert mean_average_precision(scores, relevant) == pytest.approx(((1 + 1) / 2 + (1 / 3 + 2 / 4) / 2) / 2)
    assert mean_reciprocal_rank(scores, relevant) == pytest.approx((1 + 1 / 3) / 2)
    assert median_rank(scores, relevant) == 2


METRICS = [lambda s: recall_at_k(s, 2), median_rank, mean_reciprocal_rank, mean_average_precision]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shift", [-0.5, -10.0, 3.0])
def test_the_sign_of_a_score_does_not_matter_though_torchmetrics_drops_those_below_zero(metric, shift):
    from torchmetrics.functional.retrieval import retrieval_recall

    assert metric(SCORES + shift) == metric(SCORES)
    assert metric((SCORES + shift) * 1e-6) == metric(SCORES)
    assert metric(SCORES.double()) == metric(SCORES.bfloat16()) == metric(SCORES)
    assert retrieval_recall(SCORES[0] - 1, torch.eye(4, dtype=torch.bool)[0], top_k=1) == 0  # the trap: item 0 is first


@pytest.mark.parametrize("metric", METRICS)
@some
@given(seed=st.integers(0, 1000), random=st.randoms(use_true_random=False))
def test_order_of_queries_and_items_does_not_matter(metric, seed, random):
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(seed))
    order = random.sample(range(6), 6)
    assert metric(scores[order][:, order]) == pytest.approx(metric(scores))


@some
@given(st.integers(0, 1000))
def test_average_precision_equals_scikit_learn(seed):
    from sklearn.metrics import average_precision_score

    generator = torch.Generator().manual_seed(seed)
    scores, relevant = torch.randn(5, 9, generator=generator), torch.rand(5, 9, generator=generator) < 0.4
    relevant[:, 0] = True
    expected = np.mean([average_precision_score(r, s) for r, s in zip(relevant.numpy(), scores.numpy())])
    assert mean_average_precision(scores, relevant) == pytest.approx(expected, abs=1e-6)


def test_a_collapsed_model_gets_nothing_for_its_ties():
    same = torch.zeros(5, 5)
    assert recall_at_k(same, 1) == 0
    assert recall_at_k(same, 4) == 0
    assert recall_at_k(same, 5) == 1
    assert median_rank(same) == 5
    assert mean_reciprocal_rank(same) == pytest.approx(0.2)


def test_batch_of_one():
    one = torch.tensor([[-3.0]])
    assert recall_at_k(one) == mean_average_precision(one) == mean_reciprocal_rank(one) == median_rank(one) == 1


@pytest.mark.parametrize("metric", [recall_at_k, median_rank, mean_reciprocal_rank, mean_average_precision])
def test_retrieval_errors_name_the_argument(metric):
    with pytest.raises(ValueError, match=r"^scores must be square where relevant is not given, got \(2, 3\)"):
        metric(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"^scores must have shape \(queries, items\), got \(3,\)"):
        metric(torch.zeros(3))
    with pytest.raises(TypeError, match=r"^scores must hold floating-point numbers"):
        metric(torch.zeros(2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"^relevant and scores must have the same shape, got \(2, 2\) and \(2, 3\)"):
        metric(torch.zeros(2, 3), relevant=torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"^relevant must be bool, got torch\.float32"):
        metric(torch.zeros(2, 2), relevant=torch.ones(2, 2))
    with pytest.raises(
        ValueError, match=r"^relevant must mark an item for every query, none is marked for queries \[1\]"
    ):
        metric(torch.zeros(2, 2), relevant=torch.tensor([[True, False], [False, False]]))
    with pytest.raises(ValueError, match=r"^scores must not be NaN: an embedding of length 0"):
        metric(torch.tensor([[0.0, torch.nan], [0.0, 1.0]]))


@pytest.mark.parametrize("k", [0, -1])
def test_k_must_be_one_or_more(k):
    with pytest.raises(ValueError, match=rf"^k must be 1 or more, got {k}"):
        recall_at_k(SCORES, k)


# Classification -------------------------------------------------------------------------------------------------------


def test_classification_by_hand():
    predictions, targets = [0, 0, 1, 1, 2, 0], [0, 0, 1, 0, 2, 2]
    assert accuracy(predictions, targets) == pytest.approx(4 / 6)
    assert balanced_accuracy(predictions, targets) == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert macro_f1(predictions, targets) == pytest.approx((2 / 3 + 2 / 3 + 2 / 3) / 3)


def test_logits_lists_and_tensors_are_welcome():
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0]], requires_grad=True)
    for metric in (accuracy, balanced_accuracy, macro_f1):
        assert metric(logits, torch.tensor([0, 1])) == metric(logits.bfloat16(), [0, 1]) == metric([0, 1], [0, 1]) == 1


def test_a_constant_answer_looks_good_by_accuracy_alone():
    predictions, targets = [0] * 10, [0] * 8 + [1] * 2
    assert accuracy(predictions, targets) == 0.8
    assert balanced_accuracy(predictions, targets) == 0.5
    assert macro_f1(predictions, targets) == pytest.approx(8 / 9 / 2)


def test_a_class_only_predicted_counts_in_f1_but_not_in_balanced_accuracy():
    assert balanced_accuracy([0, 5], [0, 0]) == 0.5
    assert macro_f1([0, 5], [0, 0]) == pytest.approx((2 / 3 + 0) / 2)


def test_auc_is_the_chance_that_a_positive_outranks_a_negative():
    scores, targets = torch.tensor([0.1, 0.4, 0.35, 0.8, 0.4]), [0, 0, 1, 1, 1]
    pairs = [(p > n) + 0.5 * (p == n) for p in (0.35, 0.8, 0.4) for n in (0.1, 0.4)]
    assert auc(scores, targets) == pytest.approx(np.mean(pairs))
    assert auc(-scores, targets) == pytest.approx(1 - np.mean(pairs))
    assert auc([5.0, 5.0], [0, 1]) == 0.5


def test_auc_of_several_classes_is_the_mean_against_the_rest():
    logits = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 0.5], [2.0, 0.5, 1.0]])
    targets = [0, 1, 2, 2]
    each = [auc(logits[:, c], [int(t == c) for t in targets]) for c in range(3)]
    assert auc(logits, targets) == pytest.approx(np.mean(each))
    assert len(set(each)) > 1


def test_calibration_by_hand():
    p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    targets = torch.tensor([0, 1, 1, 1])  # .9: right half the time; .6 and .7: always
    assert calibration_error(p, targets) == pytest.approx(0.5 * 0.4 + 0.25 * 0.4 + 0.25 * 0.3)
    assert calibration_error(p, targets, bins=1) == pytest.approx(abs(0.75 - (0.9 + 0.9 + 0.6 + 0.7) / 4), abs=1e-6)
    assert calibration_error(torch.eye(3), torch.arange(3)) == 0
    assert calibration_error(torch.tensor([[0.2, 0.3, 0.5]]), torch.tensor([0])) == pytest.approx(0.5)


def test_calibration_uses_fifteen_bins():
    generator = torch.Generator().manual_seed(0)
    p = torch.softmax(torch.randn(200, 4, generator=generator), 1)
    targets = torch.randint(0, 4, (200,), generator=generator)
    assert (
        calibration_error(p, targets)
        == calibration_error(p, targets, bins=15)
        != calibration_error(p, targets, bins=14)
    )


@pytest.mark.parametrize("metric", [accuracy, balanced_accuracy, macro_f1])
def test_classification_errors_name_the_argument(metric):
    with pytest.raises(
        ValueError, match=r"^predictions must be class numbers \(B,\) or logits \(B, classes\), got torch\.float32"
    ):
        metric([0.5, 0.5], [0, 1])
    with pytest.raises(ValueError, match=r"^targets must be class numbers .* got torch\.int64 with shape \(2, 1\)"):
        metric([0, 1], [[0], [1]])
    with pytest.raises(ValueError, match=r"^predictions and targets must be as many, got 2 and 3"):
        metric([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match=r"^predictions must be class numbers .* with shape \(0,\)"):
        metric(torch.zeros(0, dtype=torch.long), [0])


def test_auc_errors_name_the_argument():
    with pytest.raises(
        ValueError, match=r"^targets must hold every class at least once, none of class 1 came: no AUC without it"
    ):
        auc([0.1, 0.2], [0, 0])
    with pytest.raises(ValueError, match=r"^targets must hold every class at least once, none of class 2 came"):
        auc(torch.zeros(2, 3), [0, 1])
    for scores in (torch.zeros(3), torch.zeros(2, 2, 2)):
        with pytest.raises(ValueError, match=r"^scores must have shape \(2,\) or \(2, classes\), got"):
            auc(scores, [0, 1])


def test_calibration_errors_name_the_argument():
    targets = torch.tensor([0, 1])
    for p in ([[2.0, 1.0], [0.5, 0.5]], [[1.5, -0.5], [0.5, 0.5]]):
        with pytest.raises(
            ValueError, match=r"^probabilities must be ≥ 0 and sum to 1 in every row: softmax the logits first"
        ):
            calibration_error(torch.tensor(p), targets)
    with pytest.raises(ValueError, match=r"^probabilities must be ≥ 0 and sum to 1"):
        calibration_error(torch.tensor([[0.5, 0.5015], [0.5, 0.5]]), targets)
    assert calibration_error(torch.tensor([[0.5, 0.5005], [0.5, 0.5]]), targets) >= 0  # half precision rounds so
    with pytest.raises(ValueError, match=r"^probabilities must have shape \(B, classes\), got \(2,\)"):
        calibration_error(torch.ones(2), targets)
    with pytest.raises(ValueError, match=r"^targets must have shape \(2,\), got \(3,\)"):
        calibration_error(torch.eye(2), torch.arange(3))
    with pytest.raises(ValueError, match=r"^bins must be above 0, got 0"):
        calibration_error(torch.eye(2), targets, bins=0)


# Text -----------------------------------------------------------------------------------------------------------------


def test_bleu_by_hand():
    # 1- to 4-gram precisions 5/6, 4/5, 3/4, 2/3; as long as the reference
    expected = 100 * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25
    assert bleu(["a red square above a cat"], ["a red square above a dog"]) == pytest.approx(expected)
    # too short by two words: all precisions 1, brevity penalty exp(1 − 6/4)
    assert bleu(["a red square above"], ["a red square above a dog"]) == pytest.approx(100 * math.exp(1 - 6 / 4))


def test_bleu_takes_several_references_a_candidate_of_unequal_number():
    candidates = ["a red square above a dog", "the moon is round tonight"]
    references = [["one red square", "a red square above a dog"], ["the moon is round tonight"]]
    assert bleu(candidates, references) == pytest.approx(100)
    assert bleu(candidates, [references[0][:1], references[1]]) < 80
    assert bleu(candidates, ["a red square above a dog", "the moon is round tonight"]) == pytest.approx(100)


def test_error_rates_by_hand():
    assert word_error_rate(["the cat sat"], ["the cat sat"]) == 0
    assert word_error_rate(["a cat"], ["the cat sat"]) == pytest.approx(2 / 3)
    assert word_error_rate(["one two three four"], ["one"]) == 3
    assert word_error_rate(["", "b"], ["a", "b"]) == 0.5
    assert word_error_rate(["x", "a b c"], ["y", "a b c"]) == 0.25  # over all words, not the mean of 1 and 0
    assert character_error_rate(["sever"], ["seven"]) == pytest.approx(0.2)
    assert character_error_rate(["ab", ""], ["abc", "d"]) == pytest.approx(2 / 4)


def test_vqa_leaves_one_person_out_in_turn():
    for matches in range(11):
        people = ["red"] * matches + ["blue"] * (10 - matches)
        expected = (matches * min((matches - 1) / 3, 1) + (10 - matches) * min(matches / 3, 1)) / 10
        assert vqa_accuracy(["red"], [people]) == pytest.approx(max(expected, 0))
    assert vqa_accuracy(["red"], [["red"] + ["blue"] * 9]) == pytest.approx(0.3)
    assert vqa_accuracy(["red"], [["red"] * 4 + ["blue"] * 6]) == 1
    assert vqa_accuracy([" Red", "no"], [["red "] * 10, ["yes"] * 10]) == 0.5


@pytest.mark.parametrize("metric", [word_error_rate, character_error_rate])
def test_error_rate_errors_name_the_argument(metric):
    with pytest.raises(
        ValueError, match=r"^references\[1\] is empty: an error rate is counted per word of the reference"
    ):
        metric(["a", "b"], ["a", "  "])
    with pytest.raises(ValueError, match=r"^predictions and references must be as many, got 1 and 2"):
        metric(["a"], ["a", "b"])
    with pytest.raises(ValueError, match=r"^predictions must be a list of one or more strings, got 'a'"):
        metric("a", ["a"])
    with pytest.raises(ValueError, match=r"^references must be a list of one or more strings, got \[\]"):
        metric(["a"], [])


def test_text_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"^references must have an entry for each of the 1 candidates, got 2"):
        bleu(["a"], ["a", "b"])
    with pytest.raises(ValueError, match=r"^candidates must be a list of one or more strings, got \[1\]"):
        bleu([1], ["a"])
    with pytest.raises(ValueError, match=r"^references\[0\] must be a list of one or more strings, got \[\]"):
        bleu(["a"], [[]])
    with pytest.raises(ValueError, match=r"^people must have an entry for each of the 1 answers, got 0"):
        vqa_accuracy(["a"], [])
    with pytest.raises(
        ValueError, match=r"^people\[0\] must hold two answers or more, got 1: each is left out in turn"
    ):
        vqa_accuracy(["a"], [["a"]])
    with pytest.raises(ValueError, match=r"^people\[0\] must be a list of one or more strings, got 'yes'"):
        vqa_accuracy(["a"], ["yes"])
    with pytest.raises(ValueError, match=r"^answers must be a list of one or more strings"):
        vqa_accuracy([], [])


# Seeds ----------------------------------------------------------------------------------------------------------------

results = st.lists(st.floats(0, 1), min_size=2, max_size=8)


@some
@given(results, st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_equals_scipy(values, confidence):
    from scipy.stats import sem, t

    if np.std(values) < 1e-6:
        return
    low, high = t.interval(confidence, len(values) - 1, loc=np.mean(values), scale=sem(values))
    assert mean_interval(values, confidence) == pytest.approx((np.mean(values), low, high))


def test_interval_by_the_table():
    found = mean_interval(torch.tensor([1.0, 2.0, 3.0]))
    assert found.mean == 2
    assert found.high - found.mean == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)  # t of 2 degrees, 97.5 %
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    assert mean_interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


@some
@given(results.flatmap(lambda a: st.tuples(st.just(a), st.lists(st.floats(0, 1), min_size=len(a), max_size=len(a)))))
def test_paired_difference_equals_scipy(pair):
    from scipy.stats import ttest_rel

    first, second = map(np.array, pair)
    if np.std(first - second) < 1e-6:
        return
    expected = ttest_rel(first, second)
    interval = expected.confidence_interval(0.95)
    found = paired_difference(first, second)
    assert found == pytest.approx(((first - second).mean(), interval.low, interval.high, expected.pvalue), abs=1e-12)
    assert paired_difference(second, first).p_value == pytest.approx(found.p_value)


def test_pairs_show_what_two_intervals_hide():
    first = np.array([0.60, 0.70, 0.80, 0.90])
    second = first - np.array([0.010, 0.012, 0.009, 0.011])
    assert mean_interval(second).high > mean_interval(first).low
    assert paired_difference(first, second).low > 0
    assert paired_difference(first, second).p_value < 0.001


def test_differences_that_do_not_vary():
    assert paired_difference([0.5, 0.25], [0.5, 0.25]) == (0, 0, 0, 1)
    assert paired_difference([1.0, 2.0], [0.5, 1.5]) == (0.5, 0.5, 0.5, 0)


def test_confidence_widens_the_interval():
    narrow, wide = (paired_difference([1, 2, 4], [0, 2, 1], c) for c in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high
    assert narrow.p_value == wide.p_value


def test_seed_errors_name_the_argument():
    with pytest.raises(
        ValueError, match=r"^values must hold one finite number a seed, two seeds or more, got \[0\.5\]"
    ):
        mean_interval([0.5])
    with pytest.raises(ValueError, match=r"^values must hold one finite number a seed"):
        mean_interval([0.5, float("nan")])
    with pytest.raises(ValueError, match=r"^values must hold one finite number a seed"):
        mean_interval([[0.5, 1.0]])
    for confidence in (0, 1, 95):
        with pytest.raises(ValueError, match=rf"^confidence must lie between 0 and 1, got {confidence}"):
            mean_interval([0.5, 0.6], confidence)
    with pytest.raises(ValueError, match=r"^first and second must have the same seeds, got 2 and 3 results"):
        paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"^first must hold one finite number a seed"):
        paired_difference([1], [1])
    with pytest.raises(ValueError, match=r"^second must hold one finite number a seed"):
        paired_difference([1, 2], [1])
