"""What an aligned space is for: find the nearest of another modality, and classify by names alone.

| name               | what it is                                    | when to use it                    |
|--------------------|-----------------------------------------------|-----------------------------------|
| `similarity`       | cosine of every query with every candidate    | what `mmteach.metrics` scores     |
| `top_k`            | the best candidates of each query, best first | to show what was found            |
| `class_embeddings` | one embedding a class from its sentences      | before `zero_shot`                |
| `zero_shot`        | class probabilities without labelled examples | classes that training never named |

How good the ranking is (recall at k, median rank, mean average precision) is measured by `mmteach.metrics`.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from mmteach import _check
from mmteach.alignment._pairs import full_precision, matmul


def similarity(query: Tensor, candidates: Tensor) -> Tensor:
    """The cosine of every query with every candidate.

    S_ij = q_i·c_j / (‖q_i‖ ‖c_j‖), in [−1, 1]

    query: (N, D);  candidates: (K, D) → (N, K), float32 at least. A zero vector (an absent modality) scores 0 everywhere
    Errors: ValueError for widths that differ or an empty batch.

    >>> import torch
    >>> similarity(torch.tensor([[3.0, 4.0]]), torch.tensor([[6.0, 8.0], [-4.0, 3.0]]))
    tensor([[1., 0.]])
    """
    _check.shape("query", query, "N", "D")
    _check.shape("candidates", candidates, "K", query.shape[1])
    _check.floating("query", query)
    _check.floating("candidates", candidates)
    return matmul(F.normalize(full_precision(query), dim=-1), F.normalize(full_precision(candidates), dim=-1).T)


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best candidates of each query, best first: their scores (N, k) and their numbers (N, k).

    scores: (N, K), e.g. `similarity(query, candidates)`; for the other direction give `scores.T`
    Errors: ValueError unless 1 ≤ k ≤ K.

    >>> import torch
    >>> top_k(torch.tensor([[0.1, 0.9, 0.5]]), k=2)[1]
    tensor([[1, 2]])
    """
    _check.shape("scores", scores, "N", "K")
    _check.whole("k", k)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k must be from 1 to {scores.shape[1]}, the number of candidates, got {k}")
    best = scores.topk(k, dim=1)
    return best.values, best.indices


def class_embeddings(text: Tensor, classes: Tensor, n_classes: int) -> Tensor:
    """One embedding a class: the mean of the normalised embeddings of the sentences that name it, normalised again.

    text: (N, D), one row a sentence;  classes: whole numbers (N,), which class it names, 0 to n_classes − 1
    Returns (n_classes, D); a class without a sentence gets zeros and scores 0 in `similarity`.
    Errors: ValueError for shapes that do not fit, n_classes < 1.

    Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision.

    >>> import torch
    >>> text = torch.tensor([[2.0, 0.0], [0.0, 5.0], [0.0, -1.0]])
    >>> class_embeddings(text, torch.tensor([0, 0, 1]), 2)
    tensor([[ 0.7071,  0.7071],
            [ 0.0000, -1.0000]])
    """
    _check.shape("text", text, "N", "D")
    _check.floating("text", text)
    _check.shape("classes", classes, len(text))
    _check.positive("n_classes", n_classes)
    directions = F.normalize(full_precision(text), dim=-1)
    # The sum points where the mean does, and the length goes anyway.
    summed = directions.new_zeros(n_classes, text.shape[1]).index_add(0, classes, directions)
    return F.normalize(summed, dim=-1)


def zero_shot(query: Tensor, classes: Tensor, scale: float | Tensor = 100.0) -> Tensor:
    """Class probabilities from names alone: a softmax over the cosines with each class embedding.

    p(class c | query n) = softmax_c(scale · cos(q_n, e_c))

    query: (N, D), e.g. images;  classes: (C, D), e.g. from `class_embeddings`;  scale: 1 / temperature, above 0
    Returns (N, C), rows summing to 1; `.argmax(1)` is the answer. The scale alters how sure it is, never which class leads.
    Errors: ValueError for widths that differ, an empty batch, scale ≤ 0.

    Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision.

    >>> import torch
    >>> names = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> zero_shot(torch.tensor([[5.0, 0.0]]), names, scale=1.0)  # e / (e + 1)
    tensor([[0.7311, 0.2689]])
    """
    _check.positive("scale", scale)
    return (scale * similarity(query, classes)).softmax(-1)
