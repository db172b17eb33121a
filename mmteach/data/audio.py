"""From a waveform to the picture of sound that a network reads: spectrogram, mel filterbank, log-mel (chapter 02).

| name             | what it does, and when to use it                                             |
|------------------|------------------------------------------------------------------------------|
| `spectrogram`    | power by frequency and time: how loud each pitch is, moment by moment          |
| `hertz_to_mel`   | frequency on the scale of hearing (and `mel_to_hertz` back)                     |
| `mel_filterbank` | the triangles that gather FFT bins into bands as an ear would                   |
| `decibels`       | power ratios on a logarithmic scale                                             |
| `log_mel`        | all of these in one call: what speech models are fed                            |
| `standardise`    | mean 0, variance 1 for each example, padding left out: the last step before a net |
| `hear`           | `standardise(log_mel(…))`: what the course's spoken data sets feed to a model         |
| `frame_count`    | how many frames a waveform of S samples gives, to build masks (`frame_mask`)    |
| `pad`            | waveforms of different lengths in one tensor, with their lengths                |
| `add_noise`      | white noise at a chosen signal-to-noise ratio, for robustness experiments        |
| `resample`       | the same sound at another sampling rate                                         |

Everything but `resample` is plain torch: it runs on any device, and gradients pass through it. Samples are floating-point
numbers in [−1, 1], 8,000 a second unless said otherwise, so that frequencies up to 4 kHz (a telephone's) are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmteach import _check

SAMPLE_RATE = 8000
WINDOW = 256  # samples: 32 ms at 8 kHz, short enough that a vowel holds still, long enough to tell its pitches apart
HOP = 80  # samples: 10 ms, so 100 frames a second
BANDS = 40


def _waveforms(waveform: Tensor) -> Tensor:
    if not isinstance(waveform, Tensor) or waveform.ndim != 2:
        came = tuple(waveform.shape) if isinstance(waveform, Tensor) else type(waveform).__name__
        raise ValueError(f"waveform must have shape (B, S), got {came}; for one sound of shape (S,) use waveform[None]")
    _check.floating("waveform", waveform)
    return waveform


def spectrogram(waveform: Tensor, window: int = WINDOW, hop: int = HOP) -> Tensor:
    """Power of each frequency in each short stretch of sound: (B, S) → (B, window // 2 + 1, T), T = 1 + S // hop.

    P[k, t] = | Σₙ h[n] · x[t·hop + n − window/2] · exp(−2πi·k·n / window) |²,   n = 0 … window − 1

    h is the Hann window h[n] = ½ − ½ cos(2πn / window), which fades each stretch in and out; x counts as 0 outside its
    ends. Bin k is centred on k · sample_rate / window Hz, frame t on sample t · hop. `window` and `hop` are in samples.

    >>> tone = torch.sin(2 * math.pi * 1000 * torch.arange(8000) / 8000)[None]
    >>> power = spectrogram(tone)
    >>> power.shape
    torch.Size([1, 129, 101])
    >>> int(power[0, :, 50].argmax()) * 8000 // 256  # Hz
    1000
    """
    waveform = _waveforms(waveform)
    _check.positive("window", window)
    _check.positive("hop", hop)
    if waveform.shape[1] == 0:
        raise ValueError("waveform is empty: it has no samples")
    half = window // 2
    padded = torch.nn.functional.pad(waveform, (half, window - half))
    frames = padded.unfold(1, window, hop)[:, : frame_count(waveform.shape[1], hop)]  # (B, T, window)
    hann = torch.hann_window(window, periodic=True, device=waveform.device, dtype=waveform.dtype)
    spectrum = torch.fft.rfft(frames * hann)
    return (spectrum.real.square() + spectrum.imag.square()).transpose(1, 2)


def hertz_to_mel(frequency: Tensor) -> Tensor:
    """Frequency in Hz on the mel scale, where equal steps sound equally far apart: m = 2595 · log₁₀(1 + f / 700).

    This is the form of the HTK toolkit (the other one in use, Slaney's, is a straight line below 1 kHz). The scale is
    from S. S. Stevens, J. Volkmann and E. B. Newman, 1937, "A scale for the measurement of the psychological magnitude
    pitch"; 1,000 Hz is 1,000 mel.
    """
    return 2595 * torch.log10(1 + frequency / 700)


def mel_to_hertz(mel: Tensor) -> Tensor:
    """The frequency in Hz of a point on the mel scale: f = 700 · (10^(m / 2595) − 1)."""
    return 700 * (10 ** (mel / 2595) - 1)


def mel_filterbank(bands: int = BANDS, window: int = WINDOW, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Triangles that gather FFT bins into `bands` bands, evenly spaced in mel: (bands, window // 2 + 1).

    W[b, k] = max(0, min((fₖ − e_b) / (e_{b+1} − e_b), (e_{b+2} − fₖ) / (e_{b+2} − e_{b+1}))),   fₖ = k · sample_rate / window

    e_0 … e_{bands+1} are evenly spaced in mel from 0 Hz to half the sampling rate. Each triangle starts at its lower
    neighbour's peak, is 1 at its own and ends at its upper neighbour's; between the first and the last peak the
    triangles add up to 1. Raises ValueError where `bands` is so large that a triangle falls between two bins.
    """
    _check.positive("bands", bands)
    _check.positive("window", window)
    _check.positive("sample_rate", sample_rate)
    top = hertz_to_mel(torch.tensor(sample_rate / 2, dtype=torch.float64))
    edges = mel_to_hertz(torch.linspace(0, 1, bands + 2, dtype=torch.float64) * top)
    bins = torch.arange(window // 2 + 1, dtype=torch.float64) * sample_rate / window
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    empty = int((triangles.sum(1) == 0).sum())
    if empty:
        raise ValueError(
            f"{empty} of {bands} mel bands hold no FFT bin: use fewer bands, or a window longer than {window} samples"
        )
    return triangles.float()


def decibels(power: Tensor, floor: float = 1e-10) -> Tensor:
    """Power on a logarithmic scale, in dB: 10 · log₁₀(max(power, floor)). Ten times the power is 10 dB more.

    >>> decibels(torch.tensor([1.0, 10.0, 0.01]))
    tensor([  0.,  10., -20.])
    """
    _check.positive("floor", floor)
    return 10 * torch.log10(power.clamp(min=floor))


def log_mel(
    waveform: Tensor,
    sample_rate: int = SAMPLE_RATE,
    window: int = WINDOW,
    hop: int = HOP,
    bands: int = BANDS,
    dynamic_range: float = 60.0,
) -> Tensor:
    """The log-mel spectrogram in dB, a picture with pitch upwards and time to the right: (B, S) → (B, 1, bands, T).

    L = decibels(W · P), then L ← max(L, max L − dynamic_range), the maximum taken over each example

    P is `spectrogram`, W is `mel_filterbank`, T = 1 + S // hop. What is more than `dynamic_range` dB below the loudest
    point of its example is cut off: it could not be heard, and digital silence would otherwise stand at minus infinity.

    >>> log_mel(torch.randn(2, 4000)).shape
    torch.Size([2, 1, 40, 51])
    """
    _check.positive("dynamic_range", dynamic_range)
    power = spectrogram(waveform, window, hop)
    bank = mel_filterbank(bands, window, sample_rate).to(power)
    loud = decibels(bank @ power)
    quietest = loud.amax(dim=(1, 2), keepdim=True) - dynamic_range
    return torch.maximum(loud, quietest)[:, None]


def standardise(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """Each example with mean 0 and variance 1 over its bands and real frames; padded frames become 0.

    features: (B, 1, F, T), e.g. from `log_mel`
    mask:     bool (B, T), True = a real frame; all are where there is no mask

    x ← (x − μ) / max(σ, 10⁻⁵). It takes away how loud the recording is, which says nothing about the words.
    """
    _check.shape("features", features, "B", 1, "F", "T")
    _check.floating("features", features)
    if mask is None:
        mask = torch.ones(len(features), features.shape[-1], dtype=torch.bool, device=features.device)
    if mask.dtype != torch.bool or mask.shape != (len(features), features.shape[-1]):
        expected = (len(features), features.shape[-1])
        raise ValueError(f"mask must be bool with shape {expected}, got {mask.dtype} with shape {tuple(mask.shape)}")
    real = mask[:, None, None, :]
    count = (mask.sum(1).clamp(min=1) * features.shape[2]).view(-1, 1, 1, 1)
    kept = features.masked_fill(~real, 0)
    mean = kept.sum(dim=(1, 2, 3), keepdim=True) / count
    centred = (kept - mean).masked_fill(~real, 0)
    deviation = (centred.square().sum(dim=(1, 2, 3), keepdim=True) / count).sqrt()
    return centred / deviation.clamp(min=1e-5)


def hear(waveforms: Tensor | Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
    """Waveforms of one length as a model hears them in the course's data sets: `standardise(log_mel(waveforms), mask)`.

    waveforms: (B, S), or B tensors (S,), at 8 kHz
    mask:      bool (B, T), True = a real frame; all are where there is no mask

    Returns (B, 1, 40, T). Add noise before it, never after: `hear(add_noise(torch.stack(batch.info["waveform"]), snr=0))`.
    """
    waveforms = _waveforms(waveforms if isinstance(waveforms, Tensor) else torch.stack(list(waveforms)))
    loud = torch.cat([log_mel(some) for some in waveforms.split(64)])  # in pieces, because each frame holds 256 samples
    return standardise(loud, mask)


def frame_count(samples: int, hop: int = HOP) -> int:
    """How many frames `spectrogram` makes of so many samples: 1 + samples // hop."""
    return 1 + samples // hop


def frame_mask(lengths: Tensor, frames: int, hop: int = HOP) -> Tensor:
    """Which frames are real when waveforms of `lengths` samples were padded to one length: (B,) → bool (B, frames)."""
    return torch.arange(frames, device=lengths.device) < (1 + lengths // hop)[:, None]


def pad(waveforms: Sequence[Tensor], length: int | None = None) -> tuple[Tensor, Tensor]:
    """Waveforms (S_i,) as one tensor with zeros at their ends, and their lengths in samples: (B, S), (B,).

    S is the longest of them, or `length`; raises ValueError where a waveform is longer than `length`.
    """
    if not waveforms:
        raise ValueError("waveforms is empty: at least one is needed")
    lengths = torch.tensor([len(w) for w in waveforms])
    longest = int(lengths.max())
    if length is not None and longest > length:
        raise ValueError(f"a waveform has {longest} samples, more than length={length}")
    padded = waveforms[0].new_zeros(len(waveforms), longest if length is None else length)
    for row, waveform in zip(padded, waveforms):
        row[: len(waveform)] = waveform
    return padded, lengths


def add_noise(waveform: Tensor, snr: float | Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The sound with white noise added, `snr` dB below it: (B, S) → (B, S).

    y = x + ε · σ,   ε ~ N(0, 1),   σ² = mean(x²) / 10^(snr / 10)

    snr: in dB, one number, or one a waveform (B, 1)
    mean(x²) is taken over each whole waveform, silence included. At 0 dB noise and speech have equal power; below, the
    noise is louder.
    """
    waveform = _waveforms(waveform)
    noise = torch.randn(waveform.shape, generator=generator, dtype=waveform.dtype).to(waveform.device)
    power = waveform.square().mean(1, keepdim=True)
    return waveform + noise * (power / 10 ** (snr / 10)).sqrt()


def resample(waveform: Tensor, from_rate: int, to_rate: int = SAMPLE_RATE) -> Tensor:
    """The same sound with another number of samples a second: (…, S) → (…, ⌈S · to_rate / from_rate⌉).

    A low-pass filter (scipy's polyphase one) takes away first what is above half the new rate and would come back as
    false low tones (aliasing).
    """
    _check.positive("from_rate", from_rate)
    _check.positive("to_rate", to_rate)
    if from_rate == to_rate:
        return waveform
    from scipy.signal import resample_poly

    common = math.gcd(from_rate, to_rate)
    resampled = resample_poly(waveform.cpu().numpy(), to_rate // common, from_rate // common, axis=-1)
    return torch.from_numpy(resampled).to(waveform)
