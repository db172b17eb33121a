"""A spectrogram explorer: a word of your own, spoken, heard, and cut into windows and bands as you choose.

| name                   | what it is                                                 |
|------------------------|------------------------------------------------------------|
| `spectrogram_explorer` | the widget                                                 |
| `heard_in_bands`       | the sound that is left when only the mel bands are kept    |
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.audio import SAMPLE_RATE, mel_filterbank
from mmteach.data.speech import speak
from mmteach.figures import resolution, show

WINDOWS = (32, 64, 128, 256, 512, 1024)  # samples at 8 kHz: 4 to 128 ms
LABEL = {"description_width": "110px"}


def heard_in_bands(waveform: Tensor, window: int, bands: int, seed: int = 0) -> Tensor:
    """Noise shaped by the mel bands of a sound: what the bands keep, made audible.

    waveform: (S,) → (S,), of the same power. Each frame of white noise gets the mel energies of the sound's frame, spread
    back over the FFT bins; the pitch of the voice is not in the bands, and so it is gone.
    """
    _check.positive("bands", bands)
    hann = torch.hann_window(window, dtype=waveform.dtype)
    hop = window // 4
    noise = torch.randn(waveform.shape, generator=torch.Generator().manual_seed(seed), dtype=waveform.dtype)
    sound, carrier = (
        torch.stft(x, window, hop, window=hann, pad_mode="constant", return_complex=True) for x in (waveform, noise)
    )
    filters = mel_filterbank(bands, window).to(waveform.dtype)  # (bands, bins)
    energies = filters @ sound.abs().square() / filters.sum(1, keepdim=True)  # mean power in each band
    spread = filters.T @ energies / filters.sum(0).clamp(min=1e-6)[:, None]  # back over the bins
    shaped = torch.istft(
        carrier / carrier.abs().clamp(min=1e-6) * spread.sqrt(), window, hop, window=hann, length=len(waveform)
    )
    return shaped * (waveform.square().mean() / shaped.square().mean().clamp(min=1e-12)).sqrt()


def spectrogram_explorer(word: str = "seven", window: int = 256, bands: int = 16) -> Any:
    """The explorer: choose or type a word, a window and a number of mel bands; see the spectrogram, hear what it keeps.

    word:   what is said first;  window: samples, one of 32 … 1024;  bands: 4 … 40
    Returns a widget. Tab moves between the controls, the arrow keys change them (a list once
    Space has opened it), Enter in the box speaks the word.
    """
    import ipywidgets as w
    from IPython.display import Audio, display

    _check.choice("window", window, WINDOWS)
    _check.between("bands", bands, 4, 40)
    said = w.Text(
        value=word, description="Word", continuous_update=False, style=LABEL, placeholder="type and press Enter"
    )
    voice = w.Dropdown(
        options=[
            ("English", "en"),
            ("American English", "en-us"),
            ("German", "de"),
            ("French", "fr"),
            ("Spanish", "es"),
        ],
        value="en",
        description="Voice",
        style=LABEL,
    )
    width = w.SelectionSlider(
        options=[(f"{1000 * n / SAMPLE_RATE:g} ms", n) for n in WINDOWS],
        value=window,
        description="Window",
        continuous_update=False,
        style=LABEL,
    )
    count = w.IntSlider(
        value=bands, min=4, max=40, step=4, description="Mel bands", continuous_update=False, style=LABEL
    )

    def draw(word: str, voice: str, window: int, bands: int) -> None:
        try:
            waveform = speak(word, voice)
            picture = resolution(waveform, [window], bands, title=f"“{word}” in {bands} bands")
            kept = heard_in_bands(waveform, window, bands)
        except ValueError as error:  # an empty word, or more bands than the window can tell apart: say so, go on
            print(error)
            return
        show(picture)
        print("The word as it was spoken, then only what the bands keep of it:")
        display(Audio(waveform.numpy(), rate=SAMPLE_RATE), Audio(kept.numpy(), rate=SAMPLE_RATE))

    controls = {"word": said, "voice": voice, "window": width, "bands": count}
    return w.VBox([w.HBox([said, voice]), w.HBox([width, count]), w.interactive_output(draw, controls)])
