"""Retrieval and zero-shot classification: scikit-learn's cosine, numpy's order, closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from alignment_cases import embeddings
from hypothesis import given, settings
from hypothesis import strategies as st

from mmteach.alignment import class_embeddings, similarity, top_k, zero_shot

few = settings(max_examples=10, deadline=None)


def draws(count: int, rows: int, dim: int, seed: int = 0) -> list[torch.Tensor]:
    return list(torch.randn(count, rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def test_similarity_is_scikit_learns_cosine():
    from sklearn.metrics.pairwise import cosine_similarity

    query, candidates = draws(2, 7, 4)
    ours = similarity(query[:3], candidates)
    np.testing.assert_allclose(ours.numpy(), cosine_similarity(query[:3], candidates), atol=1e-12)


@given(seed=st.integers(0, 2**30), scale=st.floats(1e-3, 1e3))
@few
def test_the_length_of_an_embedding_does_not_matter_and_swapping_transposes(seed, scale):
    query, candidates = draws(2, 5, 3, seed)
    torch.testing.assert_close(similarity(scale * query, candidates), similarity(query, candidates))
    torch.testing.assert_close(similarity(candidates, query), similarity(query, candidates).T)


def test_an_absent_embedding_scores_zero():
    query, candidates = draws(2, 3, 4)
    candidates[1] = 0
    assert (similarity(query, candidates)[:, 1] == 0).all()


def test_half_precision_and_autocast_give_float32_scores():
    query, candidates = (z.float() for z in draws(2, 5, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = similarity(query, candidates)
    torch.testing.assert_close(ours, similarity(query, candidates), atol=1e-6, rtol=1e-6)
    assert similarity(query.bfloat16(), candidates.bfloat16()).dtype == torch.float32


def test_top_k_is_the_order_numpy_finds():
    scores = draws(1, 4, 9)[0]
    values, indices = top_k(scores, 3)
    expected = np.argsort(-scores.numpy(), axis=1)[:, :3]
    np.testing.assert_array_equal(indices.numpy(), expected)
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(scores.numpy(), expected, 1))
    assert top_k(scores, 9)[1].shape == (4, 9)
    assert top_k(scores, 1)[1].squeeze(1).tolist() == scores.argmax(1).tolist()


def test_class_embeddings_are_normalised_means_of_normalised_sentences():
    text = draws(1, 5, 3)[0]
    classes = torch.tensor([2, 0, 2, 0, 2])
    ours = class_embeddings(text, classes, 4)
    directions = text / text.norm(dim=1, keepdim=True)
    for c in (0, 2):
        mean = directions[classes == c].mean(0)
        torch.testing.assert_close(ours[c], mean / mean.norm())
    assert ours.shape == (4, 3)
    assert (ours[[1, 3]] == 0).all()  # no sentence names them


def test_zero_shot_is_a_softmax_over_cosines():
    query, classes = draws(2, 4, 3)
    expected = (7 * similarity(query, classes)).softmax(1)
    torch.testing.assert_close(zero_shot(query, classes, 7.0), expected)
    torch.testing.assert_close(zero_shot(query, classes), (100 * similarity(query, classes)).softmax(1))
    torch.testing.assert_close(zero_shot(query, classes).sum(1), torch.ones(4, dtype=torch.float64))


@given(seed=st.integers(0, 2**30), scale=st.floats(0.1, 50))
@few
def test_the_scale_changes_how_sure_and_never_which(seed, scale):
    query, classes = draws(2, 4, 3, seed)
    assert torch.equal(zero_shot(query, classes, scale).argmax(1), similarity(query, classes).argmax(1))
    torch.testing.assert_close(zero_shot(query, classes, 1e-9), torch.full((4, 4), 0.25, dtype=torch.float64))


def test_compiles_and_maps_over_seeds():
    torch.compiler.reset()
    query, classes = draws(2, 4, 3)
    torch.testing.assert_close(
        torch.compile(zero_shot, backend="aot_eager", fullgraph=True)(query, classes), zero_shot(query, classes)
    )
    queries = torch.stack(draws(2, 4, 3, seed=5))
    torch.testing.assert_close(
        torch.func.vmap(zero_shot, in_dims=(0, None))(queries, classes),
        torch.stack([zero_shot(q, classes) for q in queries]),
    )


def test_a_batch_of_one_is_fine_and_nan_is_not_hidden():
    query, classes = embeddings(2, 1, 3)
    assert zero_shot(query, classes).tolist() == [[1.0]]
    query[0, 0] = math.nan
    assert similarity(query, classes).isnan().all()


@pytest.mark.parametrize("k", [0, 4])
def test_more_results_than_candidates_are_refused(k):
    with pytest.raises(ValueError, match=rf"^k must be from 1 to 3, the number of candidates, got {k}"):
        top_k(torch.zeros(2, 3), k)


def test_wrong_arguments_are_named():
    x = torch.eye(3)
    with pytest.raises(ValueError, match=r"^candidates must have shape \(K, 3\), got \(3, 2\)"):
        similarity(x, x[:, :2])
    with pytest.raises(ValueError, match=r"^query must have shape \(N, D\), got \(3,\)"):
        similarity(x[0], x)
    with pytest.raises(ValueError, match=r"^query is empty"):
        similarity(x[:0], x)
    with pytest.raises(TypeError, match=r"^query must hold floating-point numbers"):
        similarity(x.long(), x)
    with pytest.raises(TypeError, match=r"^candidates must hold floating-point numbers"):
        similarity(x, x.long())
    with pytest.raises(ValueError, match=r"^scores must have shape \(N, K\), got \(3,\)"):
        top_k(x[0], 1)
    with pytest.raises(ValueError, match=r"^text must have shape \(N, D\), got \(3,\)"):
        class_embeddings(x[0], torch.arange(3), 3)
    with pytest.raises(TypeError, match=r"^text must hold floating-point numbers"):
        class_embeddings(x.long(), torch.arange(3), 3)
    with pytest.raises(ValueError, match=r"^classes must have shape \(3,\), got \(2,\)"):
        class_embeddings(x, torch.arange(2), 3)
    with pytest.raises(ValueError, match=r"^n_classes must be above 0, got 0"):
        class_embeddings(x, torch.arange(3), 0)
    with pytest.raises(ValueError, match=r"^scale must be above 0, got -1"):
        zero_shot(x, x, -1)
