"""More than two modalities: sum a loss over pairs, or bind every modality to one anchor.

| name            | what it is                                       | when to use it                                     |
|-----------------|--------------------------------------------------|----------------------------------------------------|
| `pairwise_loss` | any loss of two, summed over pairs of modalities | every pair was collected                           |
| `binding_loss`  | `clip_loss` between the anchor and each other    | only pairs with the anchor exist; the rest emerges |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations

import torch
from torch import Tensor

from mmteach import _check
from mmteach.alignment.contrastive import clip_loss


def pairwise_loss(
    loss: Callable[..., Tensor],
    embeddings: Mapping[str, Tensor],
    *arguments: object,
    pairs: Iterable[tuple[str, str]] | None = None,
    present: Mapping[str, Tensor] | None = None,
    **options: object,
) -> Tensor:
    """The sum of a two-modality loss over pairs of modalities.

    L = Σ_(m, n) loss(x_m, x_n, …)

    loss: a function of two batches, e.g. `clip_loss`, `deep_cca_loss` (this sum is multiset CCA), `vicreg_loss`
    embeddings: by modality, (B, D), two or more, row i of each belongs together
    arguments, options: handed to `loss` after the two batches, e.g. the scale
    pairs: which ones, all unless given: (a, b), (a, c), (b, c) in the order of `embeddings`
    present: by modality, bool (B,), False = the example lacks it; a pair counts the examples with both. For a `loss` that
        takes `present`
    Returns a scalar, a sum: with M modalities there are M(M−1)/2 terms.

    Errors: ValueError for one modality only, batch sizes that differ, no pairs, an unknown modality in `pairs` or
    `present`; and those of `loss`.

    >>> x = torch.ones(4, 2)
    >>> round(pairwise_loss(clip_loss, {"image": x, "text": x, "audio": x}, 10.0).item(), 4)  # three pairs at ln 4
    4.1589
    """
    _check.by_modality("embeddings", embeddings)
    present = present or {}
    if len(embeddings) < 2:
        raise ValueError(f"embeddings needs two modalities or more, got {sorted(embeddings)}")
    chosen = list(combinations(embeddings, 2) if pairs is None else pairs)
    if not chosen:
        raise ValueError("pairs is empty: name at least one pair of modalities")
    for what, names in (("pairs", [m for p in chosen for m in p]), ("present", list(present))):
        for m in names:
            if m not in embeddings:
                raise ValueError(f"{what} names the unknown modality {m!r}: expected some of {sorted(embeddings)}")

    for m, x in embeddings.items():
        _check.shape(f"embeddings[{m!r}]", x, "B", "D")
    sizes = {m: len(x) for m, x in embeddings.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"embeddings must have the same batch size, got {sizes}")

    terms = []
    for m, n in chosen:
        there = [present[k] for k in (m, n) if k in present]
        both = {} if not there else {"present": there[0] if len(there) == 1 else there[0] & there[1]}
        terms.append(loss(embeddings[m], embeddings[n], *arguments, **both, **options))
    return torch.stack(terms).sum()


def binding_loss(
    embeddings: Mapping[str, Tensor],
    anchor: str,
    scale: float | Tensor,
    *,
    present: Mapping[str, Tensor] | None = None,
    **options: object,
) -> Tensor:
    """Bind every modality to one anchor: the CLIP loss between the anchor and each other modality, summed.

    L = Σ_{m ≠ a} clip_loss(x_a, x_m)

    embeddings: by modality, (B, D), normalised, two or more, `anchor` among them
    anchor: the modality the others were all collected with (ImageBind: images; a course on names and sounds: text)
    scale: 1 / temperature, above 0
    present: by modality, bool (B,), False = the example lacks it. A batch may mix (anchor, audio) and (anchor, video) examples
    options: handed to `clip_loss`, e.g. label_smoothing
    Returns a scalar. Two modalities that never met, m and m′, are aligned as far as both are close to the anchor: measure
    it by retrieval between them.

    Errors: ValueError for one modality only, an unknown anchor, and those of `clip_loss`.

    Girdhar et al. 2023, ImageBind: One Embedding Space To Bind Them All.

    >>> x = torch.ones(4, 2)
    >>> round(binding_loss({"image": x, "text": x, "audio": x}, "text", 10.0).item(), 4)  # two pairs at ln 4
    2.7726
    """
    _check.choice("anchor", anchor, tuple(embeddings))
    pairs = [(anchor, m) for m in embeddings if m != anchor]
    return pairwise_loss(clip_loss, embeddings, scale, pairs=pairs, present=present, **options)
