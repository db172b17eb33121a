"""Decoding: from a model of the next token to a whole sentence.

| name          | what it is                                              | when to use it                                |
|---------------|---------------------------------------------------------|-----------------------------------------------|
| `greedy`      | always the likeliest next token, many sentences at once | fast, and often as good                       |
| `beam_search` | keeps the `width` likeliest beginnings                  | the likeliest sentence, which greedy may miss |
| `Hypothesis`  | a sentence with its log-probability and its score       | what `beam_search` returns                    |

Both ask a function `step`: prefixes (n, t), each beginning with `start` → log-probabilities of the next token (n, V).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mmteach import _check

Step = Callable[[Tensor], Tensor]


class Hypothesis(NamedTuple):
    """A sentence that beam search found: its tokens without start and end, log p, and what it was ranked by."""

    tokens: list[int]
    log_prob: float
    score: float


@torch.no_grad()
def greedy(
    step: Step, batch: int, *, start: int, end: int, max_length: int, device: torch.device | str | None = None
) -> Tensor:
    """The likeliest next token, again and again, until `end` or until there are `max_length` tokens.

        w_t = argmax_w log p(w | start, w_1, …, w_{t−1})

    step: prefixes (batch, t) → log-probabilities (batch, V); row i is always sentence i
    → tokens (batch, L), L ≤ max_length, without start and end, 0 where a sentence is over

    Raises ValueError where `batch` or `max_length` is not above 0, or where `step` gives the wrong shape.

    >>> chain = torch.eye(4).roll(1, 1).log_softmax(-1)  # 0 → 1 → 2 → 3
    >>> greedy(lambda prefix: chain[prefix[:, -1]], 1, start=0, end=3, max_length=9).tolist()
    [[1, 2]]
    """
    _check.positive("batch", batch)
    _check.positive("max_length", max_length)
    prefix = torch.full((batch, 1), start, device=device)
    over = torch.zeros(batch, dtype=torch.bool, device=device)
    written = []
    for _ in range(max_length):
        log_probs = step(prefix)
        _check.shape("what step returns", log_probs, batch, "V")
        token = log_probs.argmax(-1)
        over = over | (token == end)
        if over.all():
            break
        prefix = torch.cat([prefix, token[:, None]], 1)  # what a finished sentence goes on with is never looked at
        written.append(token.masked_fill(over, 0))
    return torch.stack(written, 1) if written else prefix[:, :0]


@torch.no_grad()
def beam_search(
    step: Step,
    *,
    start: int,
    end: int,
    width: int = 4,
    max_length: int,
    length_penalty: float = 0.0,
    device: torch.device | str | None = None,
) -> list[Hypothesis]:
    """The likeliest sentences, found by keeping at each length the `width` likeliest ways to begin.

        score = log p(w_1, …, w_L) / L^length_penalty,   L counts `end`

    One sentence at a time. step: prefixes (n, t), n ≤ width → log-probabilities (n, V); −∞ forbids a token.
    width: 1 is greedy; at V^max_length nothing is thrown away and the search is exact.
    length_penalty: 0 ranks by probability, which favours short sentences; 1 by the mean log-probability of a token.
    → at most `width` hypotheses, best score first. What has not ended after `max_length` tokens is ranked as it stands.

    Raises ValueError where `width` or `max_length` is not above 0, `length_penalty` is below 0, or `step` gives the wrong
    shape.

    >>> table = torch.tensor([[0.6, 0.4, 0.0], [0.3, 0.3, 0.4], [0.0, 0.1, 0.9]]).log()  # after start, after 0, after 1
    >>> step = lambda prefix: table[(prefix[:, -1] + 1) % 4]  # 3 is the start, 2 the end
    >>> for width in (1, 2):  # the likeliest token each time, .6 · .4; the likeliest sentence, .4 · .9
    ...     best = beam_search(step, start=3, end=2, width=width, max_length=5)[0]
    ...     print(best.tokens, round(best.log_prob, 3))
    [0] -1.427
    [1] -1.022
    """
    _check.positive("width", width)
    _check.positive("max_length", max_length)
    _check.between("length_penalty", length_penalty, 0, float("inf"))
    prefix = torch.full((1, 1), start, device=device)
    log_prob = torch.zeros(1, device=device)  # of each prefix
    finished: list[Hypothesis] = []

    def finish(tokens: Tensor, log_p: Tensor, length: int) -> None:
        finished.extend(
            Hypothesis(w[1:], p, p / length**length_penalty) for w, p in zip(tokens.tolist(), log_p.tolist())
        )

    for length in range(1, max_length + 1):
        log_probs = step(prefix)
        _check.shape("what step returns", log_probs, len(prefix), "V")
        total = log_prob[:, None] + log_probs  # (n, V)
        best, index = total.flatten().topk(min(width, total.numel()))
        parent, token = index // total.shape[1], index % total.shape[1]
        possible, ends = best > -torch.inf, token == end
        finish(prefix[parent[possible & ends]], best[possible & ends], length)
        keep = possible & ~ends
        prefix, log_prob = torch.cat([prefix[parent[keep]], token[keep, None]], 1), best[keep]
        if len(prefix) == 0:
            break
    else:
        finish(prefix, log_prob, max_length)
    return sorted(finished, key=lambda h: -h.score)[:width]
