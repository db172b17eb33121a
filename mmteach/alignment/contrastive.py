"""Contrastive losses: a pair that belongs together scores above every other pair of the batch.

| name                | what it is                                    | when to use it                            |
|---------------------|-----------------------------------------------|-------------------------------------------|
| `info_nce`          | pick the match of each query among candidates | one direction; a queue of candidates      |
| `clip_loss`         | `info_nce` both ways                          | the default for two modalities            |
| `clip_loss_chunked` | the same number in less memory                | B × B scores do not fit                   |
| `siglip_loss`       | each pair a yes/no question                   | small batches, several matches each       |
| `LogTemperature`    | the learned temperature both of them need     | always, unless you fix the temperature    |
| `same_item`         | which examples are the same thing             | false negatives: as `ignore` or `targets` |

All of them take embeddings as they are: normalise first (`DualEncoder` does), or the dot product is no cosine.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mmteach import _check
from mmteach.alignment._pairs import flags, matmul, mean_over, pair


class LogTemperature(nn.Module):
    """The learned temperature of a contrastive loss, kept as τ = ln(1 / temperature) and bounded by ln 100.

    scale = e^τ, τ ≤ ln(limit)

    temperature: where learning starts, above 0 (CLIP: 0.07, SigLIP: 0.1);  limit: the largest scale
    forward() → scale, a scalar tensor to multiply cosines by

    Without the bound a model that already ranks its batch perfectly lowers the loss by sharpening for ever, and training
    becomes unstable.

    Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision.

    >>> round(LogTemperature(0.07)().item(), 2)
    14.29
    """

    def __init__(self, temperature: float = 0.07, *, limit: float = 100.0) -> None:
        super().__init__()
        _check.positive("temperature", temperature)
        _check.positive("limit", limit)
        if 1 / temperature > limit:
            raise ValueError(f"temperature must be at least 1 / limit = {1 / limit}, got {temperature}")
        self.limit = limit
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self) -> Tensor:
        # The parameter itself is put back to the bound, as in CLIP. A clamp inside the graph would have gradient zero
        # above the bound, and one step too far would freeze the temperature for good.
        with torch.no_grad():
            self.log_scale.copy_(self.log_scale.clamp(max=math.log(self.limit)))
        return self.log_scale.exp()

    def extra_repr(self) -> str:
        return f"limit={self.limit}"


def same_item(ids: Tensor) -> Tensor:
    """Which examples of a batch stand for the same thing: a bool matrix, True at (i, j) where ids_i = ids_j.

    ids: whole numbers (B,), e.g. the class or the number of the picture each caption describes → (B, B)

    Two captions of one picture in a batch are *false negatives* of each other. Give this matrix to a contrastive loss as
    `ignore` (they no longer push apart) or as `targets` (they pull together).

    >>> same_item(torch.tensor([7, 3, 7])).int()
    tensor([[1, 0, 1],
            [0, 1, 0],
            [1, 0, 1]], dtype=torch.int32)
    """
    _check.shape("ids", ids, "B")
    return ids[:, None] == ids[None, :]


def info_nce(
    query: Tensor,
    key: Tensor,
    scale: float | Tensor,
    bias: float | Tensor | None = None,
    *,
    match: Tensor | None = None,
    query_present: Tensor | None = None,
    key_present: Tensor | None = None,
    ignore: Tensor | None = None,
    targets: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """InfoNCE in one direction: the cross-entropy of picking each query's match among all keys.

    S_ij = scale · q_i·k_j + bias,    L = mean_i Σ_j −p_ij ln softmax_j(S_ij),    p_ij = 1 at j = match_i, else 0

    query: (B, D);  key: (K, D) with K ≥ B: the batch's own, those of other processes, or a queue
    scale: 1 / temperature, above 0;  bias: added to every score, which changes nothing (a softmax does not see it)
    match: whole numbers (B,) from 0 to K − 1, the key of each query; unless given, query i belongs to key i. A query whose
        key is not among the candidates costs nothing
    query_present: bool (B,), False = this query does not count;  key_present: bool (K,), False = this key is no candidate
    ignore: bool (B, K), True = not to be counted as a negative; a query's match always counts
    targets: (B, K) weights ≥ 0 of the right answers instead of the match alone; each row is scaled to sum to 1 over the
        candidates, and a row of zeros costs nothing
    label_smoothing: ε in [0, 1]: p becomes (1−ε) p + ε / (number of candidates)
    Returns a scalar; 0 where no query counts. NaN in an embedding that counts gives NaN: see `mmteach.validate`.

    Errors: ValueError for wrong shapes, an empty batch, fewer keys than queries without `match`, scale ≤ 0.

    van den Oord, Li and Vinyals 2018, Representation Learning with Contrastive Predictive Coding.

    >>> eye = torch.eye(3)
    >>> round(info_nce(eye, eye, scale=1.0).item(), 4)  # ln(e + 2) − 1
    0.5514
    """
    _check.shape("query", query, "B", "D")
    _check.shape("key", key, "K", query.shape[1])
    _check.floating("query", query)
    _check.floating("key", key)
    _check.positive("scale", scale)
    _check.between("label_smoothing", label_smoothing, 0, 1)
    rows, columns = len(query), len(key)
    if match is None and columns < rows:
        raise ValueError(f"key needs at least one row for each query, got {columns} keys for {rows} queries")

    if query_present is not None:
        flags("query_present", query_present, rows)
        query = query.masked_fill(~query_present[:, None], 0)
    if key_present is not None:
        flags("key_present", key_present, columns)
        key = key.masked_fill(~key_present[:, None], 0)

    if match is None:
        match = torch.arange(rows, device=query.device)
    _check.shape("match", match, rows)
    scores = _scores(query, key, scale, bias)
    return _choose(scores, match, query_present, key_present, ignore, targets, label_smoothing)


def _scores(query: Tensor, key: Tensor, scale: float | Tensor, bias: float | Tensor | None) -> Tensor:
    """S = scale · query keyᵀ + bias: (B, K)."""
    scores = scale * matmul(query, key.T)
    return scores if bias is None else scores + bias


def _choose(
    scores: Tensor,
    match: Tensor,
    query_present: Tensor | None,
    key_present: Tensor | None,
    ignore: Tensor | None,
    targets: Tensor | None,
    label_smoothing: float,
) -> Tensor:
    """The cross-entropy of picking each row's match among the columns; all else as in `info_nce`."""
    rows, columns = scores.shape
    if (
        key_present is None and ignore is None and targets is None
    ):  # all are candidates, one is right: the usual case, fast
        loss = F.cross_entropy(scores, match.long(), label_smoothing=label_smoothing, reduction="none")
        return loss.mean() if query_present is None else mean_over(loss, query_present)
    matched = match[:, None] == torch.arange(columns, device=scores.device)  # (B, K)

    candidate = torch.ones_like(matched) if key_present is None else key_present.expand(rows, columns)
    if ignore is not None:
        flags("ignore", ignore, rows, columns)
        candidate = candidate & (matched | ~ignore)

    # The lowest finite number, not −inf: e^(−1e38) is just as much 0, but a row without candidates gives no NaN.
    log_p = scores.masked_fill(~candidate, torch.finfo(scores.dtype).min).log_softmax(-1)

    if targets is None:
        p = matched.to(scores.dtype)
    else:
        _check.shape("targets", targets, rows, columns)
        p = targets.to(scores.dtype) * candidate
        p = p / p.sum(-1, keepdim=True).clamp(min=torch.finfo(p.dtype).tiny)
    uniform = candidate.to(p.dtype) / candidate.sum(-1, keepdim=True).clamp(min=1)
    p = (1 - label_smoothing) * p + label_smoothing * uniform

    loss = -torch.where(candidate, p * log_p, 0).sum(-1)  # (B,)
    return loss.mean() if query_present is None else mean_over(loss, query_present)


def clip_loss(
    image: Tensor,
    text: Tensor,
    scale: float | Tensor,
    bias: float | Tensor | None = None,
    *,
    mask: Tensor | None = None,
    present: Tensor | None = None,
    ignore: Tensor | None = None,
    targets: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The CLIP loss: InfoNCE from image to text and from text to image, averaged.

    S = scale · I Tᵀ + bias,    L = ½ [CE(S) + CE(Sᵀ)],    CE(S) = mean_i −ln softmax_j(S_ij) at j = i

    image, text: (B, D), normalised, row i of one belongs to row i of the other
    scale: e^τ = 1 / temperature, above 0 (a number, or `LogTemperature()()`)
    bias: added to every score; it changes nothing
    mask: bool (B,), False = the pair asks no question but stays a candidate for the others
    present: bool (B,), False = the pair is not there: neither question nor candidate, whatever stands there
    ignore, targets: (B, B), rows images, columns texts, for false negatives (see `same_item`);  label_smoothing: see `info_nce`
    Returns a scalar: ln B for a model that scores all pairs alike, 0 for a batch of one whatever the embeddings,
    and 0 where no pair is there. NaN in a pair that is there gives NaN.

    Errors: ValueError for shapes that differ, an empty batch, scale ≤ 0.

    Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision.

    >>> clip_loss(torch.eye(4), torch.eye(4), scale=100.0).item()  # every match found, and surely
    0.0
    >>> same = torch.ones(4, 2)
    >>> round(clip_loss(same, same, scale=100.0).item(), 4)  # nothing to tell apart: ln 4
    1.3863
    """
    image, text, _ = pair(image, text, present, ("image", "text"))
    _check.positive("scale", scale)
    _check.between("label_smoothing", label_smoothing, 0, 1)
    if mask is not None:
        flags("mask", mask, len(image))
    for name, matrix in (("ignore", ignore), ("targets", targets)):
        if matrix is not None:
            _check.shape(name, matrix, len(image), len(image))
    asks = mask if present is None else present if mask is None else mask & present

    own = torch.arange(len(image), device=image.device)
    scores = _scores(image, text, scale, bias)  # once for both ways
    image_to_text = _choose(scores, own, asks, present, ignore, targets, label_smoothing)
    ignore, targets = (None if matrix is None else matrix.T for matrix in (ignore, targets))
    text_to_image = _choose(scores.T, own, asks, present, ignore, targets, label_smoothing)
    return (image_to_text + text_to_image) / 2


def clip_loss_chunked(image: Tensor, text: Tensor, scale: float | Tensor, *, chunk: int = 256) -> Tensor:
    """`clip_loss` without ever holding all B × B scores: the same number, the same gradients, memory chunk × B.

    L = 1/(2B) [Σ_i ln Σ_j e^S_ij + Σ_j ln Σ_i e^S_ij − 2 Σ_i S_ii]

    Rows of S are made `chunk` at a time. A row's sum is complete at once; the columns' sums grow from chunk to chunk. The
    scores are thrown away and computed again for the gradient: one more matrix product for far less memory.

    image, text: (B, D), normalised;  scale: above 0;  chunk: rows at a time, at least 1
    Returns a scalar. Errors: as `clip_loss`.

    Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, cuts the batch too, one level
    further out: it also runs the encoders in pieces.

    >>> image, text = F.normalize(torch.randn(2, 8, 4, dtype=torch.float64), dim=-1)
    >>> bool(torch.isclose(clip_loss_chunked(image, text, 10.0, chunk=3), clip_loss(image, text, 10.0)))
    True
    """
    image, text, _ = pair(image, text, None, ("image", "text"))
    _check.positive("scale", scale)
    _check.positive("chunk", chunk)

    def log_sums(rows: Tensor) -> tuple[Tensor, Tensor]:
        scores = scale * matmul(rows, text.T)  # (chunk, B)
        return scores.logsumexp(1), scores.logsumexp(0)

    row_sums = []
    column_sums = torch.full_like(text[:, 0], -torch.inf)  # ln 0
    for rows in image.split(chunk):
        along, down = checkpoint(log_sums, rows, use_reentrant=False)
        row_sums.append(along)
        column_sums = torch.logaddexp(column_sums, down)
    matches = scale * (image * text).sum(-1)
    return (torch.cat(row_sums) + column_sums - 2 * matches).mean() / 2


def siglip_loss(
    image: Tensor,
    text: Tensor,
    scale: float | Tensor,
    bias: float | Tensor,
    *,
    positives: Tensor | None = None,
    ignore: Tensor | None = None,
    present: Tensor | None = None,
) -> Tensor:
    """The SigLIP loss: for each image and each text, do they belong together? One yes/no question a pair.

    S = scale · I Tᵀ + bias,    L = −1/B Σ_i Σ_j ln σ(y_ij S_ij),    y_ij = +1 at j = i, else −1

    The sum over j is not divided by B: a batch of B asks B − 1 no-questions for each yes. That is why the bias matters:
    start it at −10 (with scale 10), so that "no" is the first answer everywhere; from 0 the no-questions swamp the start.

    image, text: (B, D), normalised;  scale: 1 / temperature, above 0;  bias: usually learned
    positives: bool (B, B), True = these belong together (e.g. `same_item`); unless given, only i = j
    ignore: bool (B, B), True = not asked, a pair of `positives` (or i = j) excepted
    present: bool (B,), False = the pair is not there: asked nothing
    Returns a scalar, the sum over j averaged over the i that are there; 0 where none is. NaN gives NaN.

    Errors: ValueError for shapes that differ, an empty batch, scale ≤ 0.

    Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training.

    >>> round(siglip_loss(torch.eye(4), torch.eye(4), scale=10.0, bias=0.0).item(), 4)  # 3 ln 2 from the no-questions
    2.0795
    >>> round(siglip_loss(torch.eye(4), torch.eye(4), scale=20.0, bias=-10.0).item(), 4)
    0.0002
    """
    image, text, there = pair(image, text, present, ("image", "text"))
    _check.positive("scale", scale)
    size = len(image)
    if positives is None:
        positives = torch.eye(size, dtype=torch.bool, device=image.device)
    flags("positives", positives, size, size)
    scores = scale * matmul(image, text.T) + bias  # (B, B)
    y = positives.to(scores.dtype) * 2 - 1
    loss = -F.logsigmoid(y * scores)
    if present is not None:
        loss = loss.masked_fill(~(there[:, None] & there[None, :]), 0)
    if ignore is not None:
        flags("ignore", ignore, size, size)
        loss = loss.masked_fill(ignore & ~positives, 0)
    return mean_over(loss.sum(-1), there)
