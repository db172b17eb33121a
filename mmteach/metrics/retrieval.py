"""Retrieval metrics, over torchmetrics: is what was looked for among the first?

| name                     | when to use it                                                      |
|--------------------------|---------------------------------------------------------------------|
| `recall_at_k`            | the share of the relevant items among the first k                   |
| `median_rank`            | where the first relevant item stands, for half of the queries       |
| `mean_average_precision` | several relevant items a query                                      |
| `mean_reciprocal_rank`   | only the first hit matters                                          |

Scores are (queries, items), higher is better; row i's relevant item is item i unless `relevant` says otherwise. Equal
scores count against the model: one that gives every item the same score retrieves nothing first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmteach import _check


def _places(scores: Tensor, relevant: Tensor | None) -> tuple[Tensor, Tensor]:
    """Each item's place from 1 (worst) to N (best) in its query's ranking, and which items are relevant.

    torchmetrics takes a relevant item with a score ≤ 0 as not retrieved, which would quietly punish every cosine below
    0. Places are above 0 and rank the same. Of equal scores the relevant ones get the worse places.
    """
    _check.shape("scores", scores, "queries", "items")
    _check.floating("scores", scores)
    if relevant is None:
        if scores.shape[0] != scores.shape[1]:
            raise ValueError(f"scores must be square where relevant is not given, got {tuple(scores.shape)}")
        relevant = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    _check.same_shape("relevant", relevant, "scores", scores)
    if relevant.dtype != torch.bool:
        raise TypeError(f"relevant must be bool, got {relevant.dtype}")
    if scores.isnan().any():
        raise ValueError("scores must not be NaN: an embedding of length 0 divided by its length gives NaN")
    without = (~relevant.any(1)).nonzero().flatten().tolist()
    if without:
        raise ValueError(f"relevant must mark an item for every query, none is marked for queries {without[:5]}")
    by_relevance = relevant.int().argsort(dim=1, descending=True, stable=True)
    order = by_relevance.gather(1, scores.gather(1, by_relevance).argsort(dim=1, stable=True))  # worst first
    numbers = torch.arange(1, scores.shape[1] + 1, device=scores.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, numbers).float(), relevant


def recall_at_k(scores: Tensor, k: int = 1, relevant: Tensor | None = None) -> float:
    """The share of each query's relevant items among its k best: mean_q |relevant ∩ top k| / |relevant|.

    scores:   (Q, N), higher is better, of any sign
    k:        ≥ 1
    relevant: bool (Q, N), at least one a query; None: item q for query q
    Returns a number between 0 and 1; guessing gives k / N. Counted by torchmetrics.

    >>> recall_at_k(torch.tensor([[0.9, 0.1], [-0.2, -0.6]]), k=1)  # the second query finds item 0 first
    0.5
    """
    from torchmetrics.functional.retrieval import retrieval_recall

    _check.whole("k", k)
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}")
    places, relevant = _places(scores, relevant)
    return torch.stack([retrieval_recall(p, r, top_k=k) for p, r in zip(places, relevant)]).mean().item()


def mean_average_precision(scores: Tensor, relevant: Tensor | None = None) -> float:
    """The mean over queries of the precision at each hit: mean_q 1/|relevant| Σ_hits (hits so far) / rank.

    scores:   (Q, N), higher is better, of any sign
    relevant: bool (Q, N), at least one a query; None: item q for query q
    Returns a number between 0 and 1. Counted by torchmetrics.

    >>> mean_average_precision(torch.tensor([[0.3, 0.2, 0.1]]), torch.tensor([[True, False, True]]))  # (1/1 + 2/3) / 2
    0.8333333730697632
    """
    from torchmetrics.functional.retrieval import retrieval_average_precision

    places, relevant = _places(scores, relevant)
    return torch.stack([retrieval_average_precision(p, r) for p, r in zip(places, relevant)]).mean().item()


def mean_reciprocal_rank(scores: Tensor, relevant: Tensor | None = None) -> float:
    """The mean over queries of 1 / (rank of the first relevant item).

    scores:   (Q, N), higher is better, of any sign
    relevant: bool (Q, N), at least one a query; None: item q for query q
    Returns a number between 0 and 1. Counted by torchmetrics.

    >>> mean_reciprocal_rank(torch.tensor([[0.9, 0.1], [-0.2, -0.6]]))  # ranks 1 and 2
    0.75
    """
    from torchmetrics.functional.retrieval import retrieval_reciprocal_rank

    places, relevant = _places(scores, relevant)
    return torch.stack([retrieval_reciprocal_rank(p, r) for p, r in zip(places, relevant)]).mean().item()


def median_rank(scores: Tensor, relevant: Tensor | None = None) -> float:
    """The median over queries of the rank of the first relevant item (1 is best).

    scores:   (Q, N), higher is better, of any sign
    relevant: bool (Q, N), at least one a query; None: item q for query q
    Returns a number between 1 and N, halfway between the middle two for an even number of queries.

    >>> median_rank(torch.tensor([[0.9, 0.1], [-0.2, -0.6]]))
    1.5
    """
    places, relevant = _places(scores, relevant)
    ranks = scores.shape[1] + 1 - places.masked_fill(~relevant, 0).amax(1)
    return ranks.double().quantile(0.5).item()
