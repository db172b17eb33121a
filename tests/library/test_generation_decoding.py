"""Greedy and beam search: against every possible sentence, each other, and by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmteach.generation import beam_search, greedy

START, END, V = 3, 2, 3  # tokens 0 and 1 are words


def random_model(seed: int, words: int = V):
    """p(next | the whole prefix), drawn anew for every prefix: nothing for a search to lean on."""
    table: dict[tuple[int, ...], Tensor] = {}
    generator = torch.Generator().manual_seed(seed)

    def step(prefix: Tensor) -> Tensor:
        rows = []
        for p in map(tuple, prefix.tolist()):
            if p not in table:
                table[p] = torch.randn(words, generator=generator, dtype=torch.float64).log_softmax(-1)
            rows.append(table[p])
        return torch.stack(rows)

    return step


def every_sentence(step, length: int) -> dict[tuple[tuple[int, ...], bool], float]:
    """log p of every sentence that ends within `length` tokens, and of every one cut off there: (words, ended) → log p."""
    found = {}
    for n in range(length + 1):
        for words in itertools.product(range(2), repeat=n):
            prefix, total = [START], 0.0
            for w in words:
                total += step(torch.tensor([prefix]))[0, w].item()
                prefix.append(w)
            if n < length:
                found[words, True] = total + step(torch.tensor([prefix]))[0, END].item()
            else:
                found[words, False] = total
    return found


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), length_penalty=st.sampled_from([0.0, 0.5, 1.0]))
def test_a_wide_beam_finds_the_best_of_all_sentences(seed: int, length_penalty: float) -> None:
    step, length = random_model(seed), 3
    truth = every_sentence(step, length)
    score = {key: p / min(len(key[0]) + key[1], length) ** length_penalty for key, p in truth.items()}
    ranked = sorted(truth, key=score.__getitem__, reverse=True)
    found = beam_search(step, start=START, end=END, width=V**length, max_length=length, length_penalty=length_penalty)
    assert [tuple(h.tokens) for h in found] == [words for words, _ in ranked]
    assert [h.log_prob for h in found] == pytest.approx([truth[key] for key in ranked])
    assert [h.score for h in found] == pytest.approx([score[key] for key in ranked])
    assert sum(math.exp(h.log_prob) for h in found) == pytest.approx(1)  # nothing was lost


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_beam_of_one_is_greedy(seed: int) -> None:
    one = beam_search(random_model(seed), start=START, end=END, width=1, max_length=6)
    assert len(one) == 1
    words = greedy(random_model(seed), 1, start=START, end=END, max_length=6)
    assert one[0].tokens == words[0].tolist()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), width=st.integers(1, 6))
def test_beam_results_are_true_sentences_in_order(seed: int, width: int) -> None:
    step = random_model(seed)
    truth = every_sentence(step, 4)
    found = beam_search(step, start=START, end=END, width=width, max_length=4)
    assert 1 <= len(found) <= width
    scores = [h.score for h in found]
    assert scores == sorted(scores, reverse=True)
    for h in found:
        ended = len(h.tokens) < 4
        assert h.log_prob == pytest.approx(truth[tuple(h.tokens), ended]) and h.score == h.log_prob


def test_step_sees_whole_prefixes_from_the_start_and_no_more_of_them_than_the_beam() -> None:
    seen = []
    step = random_model(0)

    def watch(prefix: Tensor) -> Tensor:
        seen.append(tuple(prefix.shape))
        assert (prefix[:, 0] == START).all()
        return step(prefix)

    beam_search(watch, start=START, end=END, width=2, max_length=3)
    assert seen[0] == (1, 1) and all(n <= 2 and t == i + 1 for i, (n, t) in enumerate(seen))
    assert len(seen) == 3


def test_a_length_penalty_lets_longer_sentences_win() -> None:
    # "end" at once has p = .5; word 0 and then end has .5 · .9 = .45 but the better mean log-probability
    table = torch.tensor(
        [[0.1, 0.0, 0.9], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.5, 0.0, 0.5]], dtype=torch.float64
    ).log()

    def best(length_penalty: float) -> list[int]:
        step = lambda prefix: table[prefix[:, -1]]  # noqa: E731
        found = beam_search(step, start=3, end=2, width=4, max_length=4, length_penalty=length_penalty)
        return found[0].tokens

    assert best(0.0) == []
    assert best(1.0) == [0]


def test_what_cannot_be_is_never_returned() -> None:
    table = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).log()
    found = beam_search(lambda prefix: table[prefix[:, -1]], start=3, end=2, width=5, max_length=5)
    assert [(h.tokens, h.log_prob) for h in found] == [([0, 1], 0.0)]


def test_the_default_width_is_four() -> None:
    assert len(beam_search(random_model(1), start=START, end=END, max_length=5)) == 4


def test_greedy_stops_each_sentence_by_itself() -> None:
    # sentence 0 says 0 and ends; sentence 1 says 1 1 1 … until it is cut
    def step(prefix: Tensor) -> Tensor:
        first = [[0.0, -9, -9], [-9, 0.0, -9]]
        then = [[-9, -9, 0.0], [-9, 0.0, -9]]
        return torch.tensor(first if prefix.shape[1] == 1 else then)

    words = greedy(step, 2, start=START, end=END, max_length=4)
    assert words.tolist() == [[0, 0, 0, 0], [1, 1, 1, 1]]
    assert words.dtype == torch.long


def test_greedy_leaves_zeros_after_the_end_whatever_the_model_goes_on_to_say() -> None:
    says = [[1, 1], [END, 1], [1, END], [1, 1]]  # by step, by sentence

    def step(prefix: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.tensor(says[prefix.shape[1] - 1]), 3).float()

    words = greedy(step, 2, start=START, end=END, max_length=4)
    assert words.tolist() == [[1, 0], [1, 1]]


def test_greedy_of_a_model_that_says_nothing_is_empty() -> None:
    def step(prefix: Tensor) -> Tensor:
        return torch.tensor([[0.0, 0.0, 1.0]]).expand(len(prefix), -1)

    assert greedy(step, 3, start=START, end=END, max_length=4).shape == (3, 0)
    assert beam_search(step, start=START, end=END, width=1, max_length=4)[0].tokens == []


def test_wrong_settings_are_named() -> None:
    step = random_model(0)
    for search, more in ((greedy, {"batch": 1}), (beam_search, {})):
        with pytest.raises(ValueError, match="max_length must be above 0, got 0"):
            search(step, start=START, end=END, max_length=0, **more)
    with pytest.raises(ValueError, match="batch must be above 0, got 0"):
        greedy(step, 0, start=START, end=END, max_length=1)
    with pytest.raises(ValueError, match="width must be above 0, got 0"):
        beam_search(step, start=START, end=END, width=0, max_length=1)
    with pytest.raises(ValueError, match="length_penalty must be between 0 and inf, got -1"):
        beam_search(step, start=START, end=END, max_length=1, length_penalty=-1)
    with pytest.raises(ValueError, match=r"what step returns must have shape \(2, V\), got \(1, 3\)"):
        greedy(lambda prefix: step(prefix[:1]), 2, start=START, end=END, max_length=1)
    with pytest.raises(ValueError, match=r"what step returns must have shape \(1, V\), got \(3,\)"):
        beam_search(lambda prefix: step(prefix)[0], start=START, end=END, max_length=1)
