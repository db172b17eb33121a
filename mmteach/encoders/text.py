"""Texts as token numbers → a vector, or a token a word.

| name              | what it is                                     | when to use it                               |
|-------------------|------------------------------------------------|----------------------------------------------|
| `TextBag`         | the mean of the words' embeddings              | keywords, short names: hard to beat there    |
| `TextLSTM`        | reads from left to right, keeps the last state | the classic model; order counts              |
| `TextTransformer` | every word attends to every word; their mean   | sentences; tokens that know their neighbours |

All take token numbers (B, T), 0 = padding, and a mask (B, T), True = a word. Without a mask every step is a word, the
padding too: that is what the classic model does, and chapter 03 shows what it costs.
A row without one real step gives zeros. A number outside the vocabulary at a real step is a ValueError.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.encoders._parts import check_mask, look_up, masked_mean, run_recurrent


class _Words(nn.Module):
    """The embedding table that the text encoders begin with."""

    def __init__(self, vocabulary: int, embedding: int) -> None:
        super().__init__()
        _check.positive("vocabulary", vocabulary)
        _check.positive("embedding", embedding)
        self.vocabulary = vocabulary
        self.embedding = nn.Embedding(vocabulary, embedding)

    def _embed(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        _check.shape("ids", ids, "B", "T")
        if ids.is_floating_point() or ids.dtype == torch.bool:
            raise TypeError(f"ids must hold whole numbers from 0 to {self.vocabulary - 1}, got {ids.dtype}")
        check_mask(mask, *ids.shape)
        if mask is not None:
            ids = ids.masked_fill(~mask, 0)  # whatever stands in a padded step, even a number outside the vocabulary
        return look_up("ids", self.embedding, ids.long())  # (B, T, embedding)


class TextBag(_Words):
    """A bag of words: the mean of their embeddings, in whatever order they come.

        z = (1/T) Σ_t E[x_t]        over the real steps

    vocabulary: how many token numbers there are;  dim: width of an embedding
    forward(ids (B, T), mask) → (B, dim);  tokens(ids, mask) → (B, T, dim), mask.  Parameters: vocabulary · dim.

    >>> bag = TextBag(vocabulary=20, dim=8)
    >>> torch.allclose(bag(torch.tensor([[3, 5]])), bag(torch.tensor([[5, 3]])))
    True
    """

    def __init__(self, vocabulary: int = 10_000, dim: int = 64) -> None:
        super().__init__(vocabulary, dim)
        self.dim = self.token_dim = dim

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return masked_mean(self._embed(ids, mask), mask)

    def tokens(self, ids: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Each word's embedding: (B, T, dim), zero at padded steps, and the mask."""
        embedded = self._embed(ids, mask)
        return embedded if mask is None else embedded.masked_fill(~mask[..., None], 0), mask


class TextLSTM(_Words):
    """A long short-term memory reads the embedded words from left to right; its last state is the vector.

        i, f, o = σ(W E[x_t] + R h_{t−1} + b),   g = tanh(…),   c_t = f * c_{t−1} + i * g,   h_t = o * tanh(c_t),   z = h_T

    vocabulary: how many token numbers there are;  embedding: width of an embedding;  dim: units of the LSTM
    forward(ids (B, T), mask) → (B, dim);  tokens(ids, mask) → (B, T, dim): the states h_t, zero at padded steps, and mask
    A padded step leaves the state as it was, wherever it stands, as `mask_zero=True` does in Keras.
    Parameters: vocabulary · embedding + 4 dim (embedding + dim + 2); Keras has one bias where PyTorch has two, 4 dim fewer.

    Hochreiter & Schmidhuber 1997, Long Short-Term Memory.

    >>> lstm = TextLSTM(vocabulary=20, embedding=8, dim=4)
    >>> ids = torch.tensor([[3, 5, 0, 0]])
    >>> torch.allclose(lstm(ids, mask=ids != 0), lstm(torch.tensor([[3, 5]])))
    True
    """

    def __init__(self, vocabulary: int = 10_000, embedding: int = 64, dim: int = 64) -> None:
        super().__init__(vocabulary, embedding)
        _check.positive("dim", dim)
        self.lstm = nn.LSTM(embedding, dim, batch_first=True)
        self.dim = self.token_dim = dim

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return run_recurrent(self.lstm, self._embed(ids, mask), mask)[1]

    def tokens(self, ids: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The state after each word: (B, T, dim), zero at padded steps, and the mask."""
        return run_recurrent(self.lstm, self._embed(ids, mask), mask)[0], mask


class TextTransformer(_Words):
    """A small transformer: each word looks at all words, layer by layer; the vector is the mean of what they became.

        h_t = E[x_t] + P[t],   h ← h + MHA(LN h),   h ← h + W₂ gelu(W₁ LN h)   at each layer,   z = mean_t LN h_t

    vocabulary, dim, heads, layers: sizes, dim a multiple of heads;  max_length: the longest text;  dropout: in training
    forward(ids (B, T), mask) → (B, dim);  tokens(ids, mask) → (B, T, dim), zero at padded steps, and the mask
    Positions count the real steps, so padding on the left, on the right or between changes nothing.
    Raises ValueError where T is above max_length.

    Vaswani et al. 2017, Attention Is All You Need (with the normalisation before each step).

    >>> encoder = TextTransformer(vocabulary=20, dim=8, heads=2)
    >>> encoder(torch.tensor([[3, 5, 0], [4, 0, 0]]), mask=torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        vocabulary: int = 10_000,
        dim: int = 64,
        *,
        heads: int = 4,
        layers: int = 2,
        max_length: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(vocabulary, dim)
        for name, value in (("heads", heads), ("layers", layers), ("max_length", max_length)):
            _check.positive(name, value)
        _check.between("dropout", dropout, 0, 1)
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads, got dim={dim} with heads={heads}")
        self.positions = nn.Embedding(max_length, dim)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)  # words and positions of like size, about 1 long
        nn.init.normal_(self.positions.weight, std=dim**-0.5)
        self.layers = nn.ModuleList([_SelfAttentionLayer(dim, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(dim)
        self.max_length = max_length
        self.dim = self.token_dim = dim

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return masked_mean(self.tokens(ids, mask)[0], mask)

    def tokens(self, ids: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Each word as it is after looking at the others: (B, T, dim), zero at padded steps, and the mask."""
        h = self._embed(ids, mask)
        if ids.shape[1] > self.max_length:
            raise ValueError(f"ids may have up to max_length={self.max_length} steps, got {ids.shape[1]}")
        real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        h = h + self.positions((real.cumsum(1) - 1).clamp(min=0))
        for layer in self.layers:
            h = layer(h, real)
        h = self.norm(h)
        return h if mask is None else h.masked_fill(~mask[..., None], 0), mask


class _SelfAttentionLayer(nn.Module):
    """h + MHA(LN h), then h + W₂ gelu(W₁ LN h); padded steps are not looked at."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query_key_value, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, real: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, T, dim / heads)
            for part in self.query_key_value(self.norm_attention(h)).chunk(3, -1)
        )
        # A row of padding alone would be a softmax over nothing: let it look at everything, its answer is set to zero later.
        seen = (real | ~real.any(1, keepdim=True))[:, None, None, :]  # (B, 1, 1, T)
        gathered = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        h = h + self.dropout(self.out(gathered.transpose(1, 2).flatten(2)))
        return h + self.dropout(self.mlp(self.norm_mlp(h)))
