"""A small speech recogniser: log-mel frames in, the probability of each letter in each frame out.

| name            | what it is                                        | when to use it                          |
|-----------------|---------------------------------------------------|-----------------------------------------|
| `CTCRecogniser` | convolution, then a BiGRU or more convolutions    | speech (or any sequence) to letters     |
| `transcribe`    | its `ctc_loss` as `mmteach.training.fit` wants it | `fit(recogniser, …, loss=transcribe())` |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mmteach import _check
from mmteach.data.batch import Batch
from mmteach.encoders._parts import check_dtype, check_mask
from mmteach.generation.ctc import BLANK, ctc_greedy, ctc_loss, prefix_beam_search

NEVER = -1e4  # the log-probability of what cannot be, finite in every precision


class Recurrent(nn.Module):
    """Bidirectional GRU layers that read real frames only, forwards and backwards: (B, T, width) → (B, T, width)."""

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.gru = nn.GRU(width, width // 2, layers, batch_first=True, bidirectional=True, dropout=between)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        # Packing starts the backward pass at each example's own last frame. An empty one is read as one frame of zeros.
        lengths = real.sum(1).clamp(min=1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class Convolutional(nn.Module):
    """Residual convolutions along time, each layer looking twice as far as the last: (B, T, width) → (B, T, width).

    x ← x + relu(conv_d(LN x)),  d = 1, 2, 4, …
    """

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 5, padding=2 * 2**layer, dilation=2**layer) for layer in range(layers)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        for norm, conv in zip(self.norms, self.convs):
            y = norm(x).masked_fill(~real[..., None], 0)  # a frame at the edge must not see what padding holds
            x = x + self.dropout(conv(y.mT).relu().mT)
        return x


class CTCRecogniser(nn.Module):
    """Says for each frame how likely each label is, blank (0) among them; `ctc_loss` trains it.

        log p(label | frame t) = log softmax(W_o h_t + b_o),   h = body(LN relu(conv(log-mel)))

    mels: how many bands the spectrogram has; vocabulary: V, how many labels, blank included
    body: "gru" (bidirectional, reads the whole utterance) or "conv" (sees some way around each frame; compiles, and vmaps)
    width, layers, dropout: the body's; stride: how many input frames become one output frame
    modality: which entry of `inputs` it reads

    forward(inputs {"audio": (B, 1, mels, T)}, masks={"audio": bool (B, T)}, present) → log-probabilities (B, T', V) with
    T' = T / stride, rounded up. Padding stands at the end. A padded frame says blank for certain, so that decoding needs no
    lengths; so does every frame of absent audio. `lengths(inputs, masks)` (B,) is what `ctc_loss` asks for.

    Raises ValueError for audio that is missing or does not fit.
    Graves et al. 2006, Connectionist Temporal Classification; Hannun et al. 2014, Deep Speech: Scaling up end-to-end speech
    recognition.

    >>> recogniser = CTCRecogniser(mels=40, vocabulary=28, width=16, layers=1)
    >>> tuple(recogniser({"audio": torch.zeros(2, 1, 40, 31)}).shape)
    (2, 16, 28)
    """

    def __init__(
        self,
        mels: int,
        vocabulary: int,
        *,
        body: str = "gru",
        width: int = 128,
        layers: int = 2,
        dropout: float = 0.0,
        stride: int = 2,
        modality: str = "audio",
    ) -> None:
        super().__init__()
        sizes = {"mels": mels, "vocabulary": vocabulary, "width": width, "layers": layers, "stride": stride}
        for name, value in sizes.items():
            _check.positive(name, value)
        _check.choice("body", body, ("gru", "conv"))
        _check.between("dropout", dropout, 0, 1)
        if width % 2:
            raise ValueError(f"width must be even (half forwards, half backwards), got {width}")
        self.mels, self.stride, self.modality = mels, stride, modality
        self.front = nn.Conv1d(mels, width, 5, stride=stride, padding=2)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.body = (Recurrent if body == "gru" else Convolutional)(width, layers, dropout)
        self.out = nn.Linear(width, vocabulary)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        real = self._real(inputs, masks, present)  # (B, T)
        check_dtype(f"inputs[{self.modality!r}]", inputs[self.modality], self.out.weight.dtype)
        audio = inputs[self.modality][:, 0].masked_fill(~real[:, None], 0)  # (B, mels, T)
        real = real[:, :: self.stride]  # output frame t looks at the input around stride · t
        x = self.dropout(self.norm(self.front(audio).relu().mT))  # (B, T', width)
        x = self.body(x.masked_fill(~real[..., None], 0), real)
        logits = self.out(self.dropout(x))
        certain = NEVER * (torch.arange(logits.shape[-1], device=x.device) != BLANK)  # blank: log 1
        return torch.where(real[..., None], logits.log_softmax(-1), certain)

    def lengths(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """How many output frames of each example are real: (B,)."""
        return self._real(inputs, masks, present)[:, :: self.stride].sum(1)

    def _real(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None,
        present: Mapping[str, Tensor] | None,
    ) -> Tensor:
        m = self.modality
        if m not in inputs:
            raise ValueError(f"modality {m!r} is missing: got {sorted(inputs)}")
        audio = inputs[m]
        _check.shape(f"inputs[{m!r}]", audio, "B", 1, self.mels, "T")
        _check.floating(f"inputs[{m!r}]", audio)
        real = torch.ones(len(audio), audio.shape[3], dtype=torch.bool, device=audio.device)
        check_mask((masks or {}).get(m), *real.shape, name=f"masks[{m!r}]")
        check_mask((present or {}).get(m), len(audio), name=f"present[{m!r}]")
        if masks and m in masks:
            real = real & masks[m]
        if present and m in present:
            real = real & present[m][:, None]
        return real

    @torch.no_grad()
    def write(
        self,
        inputs: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        width: int = 1,
    ) -> list[list[int]]:
        """The labels it hears in each example; `width` above 1 is prefix beam search."""
        _check.positive("width", width)
        log_probs, lengths = self(inputs, masks, present), self.lengths(inputs, masks, present)
        if width == 1:
            return ctc_greedy(log_probs, lengths)
        return [
            prefix_beam_search(p[:n], width, least=-10.0)[0][0] if n else []
            for p, n in zip(log_probs, lengths.tolist())
        ]


def transcribe(target: str = "text", impossible: str = "raise") -> Callable[[nn.Module, Batch], Tensor]:
    """The loss of a `CTCRecogniser` for `mmteach.training.fit`: −log p of each transcript, a label on average.

    target: the name under which the batch's targets hold labels (B, L), padded with 0; impossible: see `ctc_loss`
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        log_probs = model(batch.inputs, masks=batch.masks, present=batch.present)
        lengths = model.lengths(batch.inputs, batch.masks, batch.present)  # type: ignore[operator]
        return ctc_loss(log_probs, batch.targets[target], lengths, impossible=impossible)

    return loss
