"""Captioning: a picture (or anything that an encoder reads) in, a sentence out.

| name              | what it is                                          | when to use it                              |
|-------------------|-----------------------------------------------------|---------------------------------------------|
| `CaptionDecoder`  | a small transformer that predicts the next word     | any tokens are to be put into words         |
| `Captioner`       | encoder + decoder; greedy or beam search            | the whole model                             |
| `caption_loss`    | −log p of the right words, padding left out         | training; per sentence: ranking             |
| `teacher_forcing` | `caption_loss` as `mmteach.training.fit` wants it   | `fit(captioner, …, loss=teacher_forcing())` |
| `coca_loss`       | contrastive and captioning loss, added with weights | one model for retrieval and captions        |

Captions are plain padded ids (B, L), 0 = padding. The models add the start and the end themselves: with a vocabulary of V
words the end is number V and the start V + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmteach import _check
from mmteach.data.batch import Batch
from mmteach.encoders._parts import check_mask, check_whole, look_up
from mmteach.fusion.attention import MultiHeadAttention, sinusoidal_positions
from mmteach.generation.decoding import beam_search, greedy


class DecoderLayer(nn.Module):
    """One layer of the decoder: look back at the words so far, look at the memory, think.

        x ← x + SelfAttention(LN x);   x ← x + CrossAttention(LN x, memory);   x ← x + W₂ relu(W₁ LN x + b₁) + b₂

    Vaswani et al. 2017, Attention Is All You Need.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.look_back, self.look_up = MultiHeadAttention(width, heads), MultiHeadAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.norm_back, self.norm_up, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, past: Tensor, memory: Tensor, visible: Tensor, keep: list[Tensor] | None = None
    ) -> Tensor:
        """x (B, L, width), past bool (1, L, L), memory (B, S, width), visible bool (B, 1, S) → (B, L, width)."""
        words = self.norm_back(x)
        x = x + self.dropout(self.look_back(words, words, words, past))
        x = x + self.dropout(self.look_up(self.norm_up(x), memory, memory, visible, keep=keep))
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class CaptionDecoder(nn.Module):
    """Predicts each word of a sentence from the words before it and from a memory, such as the tokens of a picture.

        p(w_t | w_{<t}, memory) = softmax(W_o LN h_t + b_o),   h = layers(embedding(w_{<t}) + positions, W_m memory + b_m)

    vocabulary: V, how many word ids there are, padding (0) included; memory_dim: the width of the memory's tokens
    words (B, L) ids from 0 to V + 1, memory (B, S, memory_dim), memory_real bool (B, S) or None → logits (B, L, V + 1): at
    place t what follows words[:, t], over the V ids and, last, the end. Where a list is passed as `keep`, each layer appends
    its attention to the memory (B, heads, L, S).
    A memory with no real token is not looked at: the sentence is then written from the words alone.

    Raises ValueError where shapes do not fit or width is odd or no multiple of heads.
    Vinyals et al. 2015, Show and Tell: A Neural Image Caption Generator, with the decoder of Vaswani et al. 2017.

    >>> decoder = CaptionDecoder(vocabulary=10, memory_dim=6, width=8, heads=2)
    >>> tuple(decoder(torch.tensor([[decoder.start, 4, 2]]), torch.zeros(1, 9, 6)).shape)
    (1, 3, 11)
    """

    def __init__(
        self,
        vocabulary: int,
        memory_dim: int,
        *,
        width: int = 128,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in (("vocabulary", vocabulary), ("memory_dim", memory_dim), ("layers", layers)):
            _check.positive(name, value)
        _check.between("dropout", dropout, 0, 1)
        self.end, self.start, self.memory_dim = vocabulary, vocabulary + 1, memory_dim
        self.embedding = nn.Embedding(vocabulary + 2, width, padding_idx=0)
        self.memory = nn.Linear(memory_dim, width)
        self.layers = nn.ModuleList(DecoderLayer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, vocabulary + 1)

    def forward(
        self, words: Tensor, memory: Tensor, memory_real: Tensor | None = None, *, keep: list[Tensor] | None = None
    ) -> Tensor:
        _check.shape("words", words, "B", "L")
        _check.shape("memory", memory, len(words), "S", self.memory_dim)
        if memory_real is None:
            memory_real = torch.ones(memory.shape[:2], dtype=torch.bool, device=memory.device)
        length, device = words.shape[1], words.device
        check_whole("words", words)
        x = look_up("words", self.embedding, words)
        x = x + sinusoidal_positions(torch.arange(1, length + 1, device=device)[None], x.shape[-1], x.dtype)
        memory = self.memory(memory.masked_fill(~memory_real[..., None], 0))
        past = torch.ones(1, length, length, dtype=torch.bool, device=device).tril()  # word i sees words 0 … i
        for layer in self.layers:
            x = layer(x, past, memory, memory_real[:, None], keep)
        return self.out(self.norm(x))


class Captioner(nn.Module):
    """Reads one modality with an encoder and puts it into words.

        p(caption | x) = Π_t p(w_t | w_{<t}, encoder(x))

    encoder: its `tokens(x, mask)`, `token_dim` wide, are the memory; a module without that method gives one vector, `dim` wide,
    a memory of one token.
    modality: which entry of `inputs` it reads; the other settings are `CaptionDecoder`'s
    forward(inputs, captions (B, L), masks, present) → logits (B, L + 1, V + 1): for each word of the captions, and for the
    end after the last, what the model expects from the *right* words before it (teacher forcing).

    Raises ValueError where `inputs` lacks the modality or captions do not fit.
    Vinyals et al. 2015, Show and Tell: A Neural Image Caption Generator; Xu et al. 2015, Show, Attend and Tell.

    >>> encoder = nn.Linear(6, 5)  # a picture as one vector
    >>> encoder.dim = 5
    >>> captioner = Captioner(encoder, vocabulary=10, modality="image", width=8, heads=2)
    >>> tuple(captioner({"image": torch.zeros(2, 6)}, torch.tensor([[3, 4, 0], [5, 0, 0]])).shape)
    (2, 4, 11)
    >>> tuple(captioner.caption({"image": torch.zeros(2, 6)}, max_length=3, width=2).shape)
    (2, 3)
    """

    def __init__(
        self,
        encoder: nn.Module,
        vocabulary: int,
        *,
        modality: str = "image",
        width: int = 128,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder, self.modality = encoder, modality
        memory_dim: int = getattr(encoder, "token_dim", getattr(encoder, "dim", 0))
        if not memory_dim:
            raise ValueError("encoder must say how wide its output is, in an attribute `dim` (or `token_dim`)")
        self.decoder = CaptionDecoder(vocabulary, memory_dim, width=width, heads=heads, layers=layers, dropout=dropout)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        captions: Tensor,
        *,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        keep: list[Tensor] | None = None,
    ) -> Tensor:
        memory, real = self.look(inputs, masks, present)
        _check.shape("captions", captions, len(memory), "L")
        check_whole("captions", captions)
        words = F.pad(captions, (1, 0), value=self.decoder.start)
        return self.decoder(words, memory, real, keep=keep)

    def look(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The memory (B, S, dim) and which of its tokens are real, bool (B, S); none where the modality is absent."""
        if self.modality not in inputs:
            raise ValueError(f"modality {self.modality!r} is missing: got {sorted(inputs)}")
        check_mask((present or {}).get(self.modality), len(inputs[self.modality]), name=f"present[{self.modality!r}]")
        x = _check.blank_absent({self.modality: inputs[self.modality]}, present)[self.modality]
        mask = (masks or {}).get(self.modality)
        tokens = getattr(self.encoder, "tokens", None)
        if tokens is not None:
            memory, real = tokens(x, mask)
        else:
            memory, real = (self.encoder(x) if mask is None else self.encoder(x, mask))[:, None], None
        if real is None:
            real = torch.ones(memory.shape[:2], dtype=torch.bool, device=memory.device)
        if present and self.modality in present:
            real = real & present[self.modality][:, None]
        return memory, real

    @torch.no_grad()
    def caption(
        self,
        inputs: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        max_length: int = 20,
        width: int = 1,
        length_penalty: float = 0.0,
    ) -> Tensor:
        """Captions written by the model: ids (B, max_length), 0 after the last word; `width` above 1 is beam search."""
        _check.positive("width", width)
        memory, real = self.look(inputs, masks, present)
        search = {"start": self.decoder.start, "end": self.decoder.end, "max_length": max_length}
        if width == 1:
            ids = greedy(self._step(memory, real), len(memory), **search, device=memory.device)
            return F.pad(ids, (0, max_length - ids.shape[1]))
        ids = memory.new_zeros(len(memory), max_length, dtype=torch.long)
        for i in range(len(memory)):
            step = self._step(memory[i : i + 1], real[i : i + 1])
            found = beam_search(step, **search, width=width, length_penalty=length_penalty, device=memory.device)
            best = found[0].tokens
            ids[i, : len(best)] = ids.new_tensor(best)
        return ids

    def _step(self, memory: Tensor, real: Tensor) -> Callable[[Tensor], Tensor]:
        def step(prefix: Tensor) -> Tensor:
            n = len(prefix)
            logits = self.decoder(prefix, memory.expand(n, -1, -1), real.expand(n, -1))[:, -1].float()
            logits[:, 0] = -torch.inf  # padding is not a word
            return logits.log_softmax(-1)

        return step


def caption_targets(captions: Tensor, end: int) -> Tensor:
    """What follows each word: captions (B, L) → (B, L + 1), the words, then `end`, then padding.

    >>> caption_targets(torch.tensor([[3, 4, 0], [5, 0, 0]]), end=10).tolist()
    [[3, 4, 10, 0], [5, 10, 0, 0]]
    """
    length = (captions != 0).sum(1, keepdim=True)
    places = torch.arange(captions.shape[1] + 1, device=captions.device)
    return torch.where(places == length, end, F.pad(captions, (0, 1)))


def caption_loss(
    logits: Tensor, targets: Tensor, *, ignore: int = 0, reduction: str = "mean", label_smoothing: float = 0.0
) -> Tensor:
    """How surprised the model is by the right words.

        loss = − Σ_{b,t: targets ≠ ignore} log p(targets_bt) / (how many such words there are)

    logits (B, L, V): at place t the expectation for targets[:, t]; targets (B, L) ids; `ignore` marks what does not count
    reduction: "mean" over all words of the batch, or "none": the sum of each sentence (B,), its −log p
    Where no word counts the loss is 0. A model that knows nothing scores ln V.

    Raises ValueError where shapes do not fit.
    Vinyals et al. 2015, Show and Tell: A Neural Image Caption Generator.

    >>> round(caption_loss(torch.zeros(1, 3, 8), torch.tensor([[4, 2, 0]])).item(), 4)  # ln 8
    2.0794
    """
    _check.shape("logits", logits, "B", "L", "V")
    _check.shape("targets", targets, *logits.shape[:2])
    check_whole("targets", targets)
    _check.choice("reduction", reduction, ("mean", "none"))
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    surprise = F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=ignore, reduction="none", label_smoothing=label_smoothing
    ).view(targets.shape)
    if reduction == "none":
        return surprise.sum(1)
    return surprise.sum() / (targets != ignore).sum().clamp(min=1)


def teacher_forcing(target: str = "caption", label_smoothing: float = 0.0) -> Callable[[nn.Module, Batch], Tensor]:
    """The loss of a `Captioner` for `mmteach.training.fit`: each word predicted from the right words before it.

    target: the name under which the batch's targets hold captions (B, L), padded with 0
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        captions = batch.targets[target]
        logits = model(batch.inputs, captions, masks=batch.masks, present=batch.present)
        end = logits.shape[-1] - 1
        return caption_loss(logits, caption_targets(captions, end), label_smoothing=label_smoothing)

    return loss


def coca_loss(
    contrastive: Tensor, captioning: Tensor, *, contrastive_weight: float = 1.0, caption_weight: float = 2.0
) -> Tensor:
    """Match pictures to sentences and write the sentences, in one loss.

        loss = λ_con · L_con + λ_cap · L_cap

    contrastive: such as `mmteach.alignment.clip_loss(image, text, scale)`; captioning: `caption_loss(logits, targets)`
    Raises ValueError for a weight below 0.
    Yu et al. 2022, CoCa: Contrastive Captioners are Image-Text Foundation Models.

    >>> coca_loss(torch.tensor(1.5), torch.tensor(0.25)).item()
    2.0
    """
    _check.between("contrastive_weight", contrastive_weight, 0, float("inf"))
    _check.between("caption_weight", caption_weight, 0, float("inf"))
    return contrastive_weight * contrastive + caption_weight * captioning
