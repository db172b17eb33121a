"""Spectrogram, mel filterbank and log-mel against closed forms, NumPy and transformers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmteach.data import audio

SECOND = torch.arange(8000, dtype=torch.float64) / 8000


def tone(hertz: float, amplitude: float = 1.0) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * hertz * SECOND)[None]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_tone_peaks_at_its_own_bin_with_the_power_of_a_windowed_sine() -> None:
    power = audio.spectrogram(tone(1000, amplitude=0.5))  # bin 32 of 31.25 Hz
    middle = power[0, :, 50]
    assert power.shape == (1, 129, 101)
    assert int(middle.argmax()) == 32
    # |Σ h[n] · A/2|² with Σ h = window / 2 for a Hann window
    torch.testing.assert_close(middle[32], torch.tensor((0.5 / 2 * 128) ** 2, dtype=torch.float64))
    torch.testing.assert_close(middle[31], middle[32] / 4)  # a Hann window gives each neighbour half the amplitude
    assert middle[40] < 1e-12 * middle[32]


@pytest.mark.parametrize(("window", "hop", "samples"), [(256, 80, 8000), (256, 80, 79), (64, 64, 640), (100, 30, 1001)])
def test_the_spectrogram_is_numpys(window: int, hop: int, samples: int) -> None:
    from scipy.signal.windows import hann

    waveform = noise(2, samples)
    padded = np.pad(waveform.numpy(), ((0, 0), (window // 2, window)))
    frames = np.stack([padded[:, t * hop : t * hop + window] for t in range(1 + samples // hop)], axis=2)
    expected = np.abs(np.fft.rfft(frames * hann(window, sym=False)[:, None], axis=1)) ** 2
    np.testing.assert_allclose(audio.spectrogram(waveform, window, hop).numpy(), expected, rtol=1e-9, atol=1e-11)


def test_energy_in_frequency_is_energy_in_time() -> None:
    """Parseval: Σₙ (h·x)² = (P₀ + 2·ΣP_k + P_{N/2}) / N for one frame."""
    waveform = noise(1, 256)
    frame = audio.spectrogram(waveform, 256, 128)[0, :, 1]  # centred on sample 128: the whole waveform
    windowed = waveform[0] * torch.hann_window(256, dtype=torch.float64)
    spectrum = (frame[0] + 2 * frame[1:-1].sum() + frame[-1]) / 256
    torch.testing.assert_close(windowed.square().sum(), spectrum)


def test_mel_is_1000_at_1000_hertz_and_back() -> None:
    hertz = torch.tensor([0.0, 1000.0, 4000.0], dtype=torch.float64)
    mel = audio.hertz_to_mel(hertz)
    torch.testing.assert_close(mel, torch.tensor([0.0, 999.9855, 2146.0645], dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(audio.mel_to_hertz(mel), hertz)


def test_triangles_add_up_to_one_between_the_first_and_last_peak() -> None:
    bank = audio.mel_filterbank(20, 512, 16000)
    assert bank.shape == (20, 257) and bank.dtype == torch.float32
    assert (bank >= 0).all() and bank.max() <= 1
    peaks = bank.argmax(1)
    assert (peaks.diff() > 0).all()
    inside = bank.sum(0)[int(peaks[0]) + 1 : int(peaks[-1])]
    torch.testing.assert_close(inside, torch.ones_like(inside))
    assert bank[:, 0].sum() == 0 and bank[:, -1].sum() < 1e-6


def test_more_bands_than_bins_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\d+ of 80 mel bands hold no FFT bin.*longer than 128 samples"):
        audio.mel_filterbank(80, 128)


def test_decibels() -> None:
    torch.testing.assert_close(audio.decibels(torch.tensor([1.0, 100.0, 0.0])), torch.tensor([0.0, 20.0, -100.0]))
    torch.testing.assert_close(audio.decibels(torch.tensor([0.0]), floor=1e-4), torch.tensor([-40.0]))
    with pytest.raises(ValueError, match="floor must be above 0, got 0"):
        audio.decibels(torch.ones(1), floor=0)


def test_filterbank_and_log_mel_are_transformers() -> None:
    theirs = pytest.importorskip("transformers.audio_utils", reason="transformers is in the extra `tools`")
    bank = theirs.mel_filter_bank(129, 40, 0.0, 4000.0, 8000, norm=None, mel_scale="htk")
    np.testing.assert_allclose(audio.mel_filterbank().numpy(), bank.T, atol=1e-6)
    waveform = noise(1, 4000)
    waveform[:, 1000:2000] *= 1e-4  # a quiet stretch, so that the dynamic range cuts something off
    expected = theirs.spectrogram(
        waveform[0].numpy(),
        theirs.window_function(256, "hann", periodic=True),
        frame_length=256,
        hop_length=80,
        power=2.0,
        pad_mode="constant",
        mel_filters=bank,
        log_mel="dB",
        mel_floor=1e-10,
        min_value=1e-10,
        db_range=60.0,
    )
    ours = audio.log_mel(waveform)
    assert ours.shape == (1, 1, 40, 51)
    np.testing.assert_allclose(ours[0, 0].numpy(), expected, atol=2e-3)
    assert (ours == ours.min()).sum() > 40


def test_log_mel_shows_a_tone_in_the_band_of_its_frequency() -> None:
    edges = audio.mel_to_hertz(torch.linspace(0, 1, 42, dtype=torch.float64) * 2146.0645)
    for hertz in (300, 1000, 2500):
        band = int(audio.log_mel(tone(hertz))[0, 0, :, 50].argmax())
        assert edges[band] < hertz < edges[band + 2]


def test_dynamic_range_is_taken_over_each_example() -> None:
    loud_and_quiet = torch.cat([noise(1, 2000), 1e-3 * noise(1, 2000, seed=1)])
    loud_and_quiet[:, :900] = 0
    seen = audio.log_mel(loud_and_quiet, dynamic_range=30.0)
    for example in seen:
        torch.testing.assert_close(example.max() - example.min(), torch.tensor(30.0, dtype=torch.float64))
    torch.testing.assert_close(seen[1:], audio.log_mel(loud_and_quiet[1:], dynamic_range=30.0))


def test_log_mel_keeps_dtype_and_passes_gradients() -> None:
    waveform = torch.randn(2, 800, requires_grad=True)
    seen = audio.log_mel(waveform)
    assert seen.dtype == torch.float32
    seen.sum().backward()
    assert waveform.grad is not None and waveform.grad.abs().sum() > 0
    assert audio.log_mel(waveform.double()).dtype == torch.float64


def test_standardise_takes_only_real_frames() -> None:
    features = noise(2, 1, 4, 6) * 7 + 3
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    features[1, :, :, 4:] = math.nan
    standard = audio.standardise(features, mask)
    assert (standard[1, :, :, 4:] == 0).all()
    for example in (standard[0], standard[1, :, :, :4]):
        torch.testing.assert_close(example.mean(), torch.tensor(0.0, dtype=torch.float64), atol=1e-9, rtol=0)
        torch.testing.assert_close(example.std(correction=0), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(audio.standardise(features[:1]), standard[:1])
    torch.testing.assert_close(audio.standardise(features[:1] * 5 - 2), standard[:1])


def test_standardise_of_silence_is_zero() -> None:
    assert (audio.standardise(torch.full((1, 1, 3, 4), -80.0)) == 0).all()
    assert (audio.standardise(torch.ones(1, 1, 3, 4), torch.zeros(1, 4, dtype=torch.bool)) == 0).all()


def test_standardise_refuses_a_mask_of_the_wrong_shape_or_kind() -> None:
    with pytest.raises(ValueError, match=r"mask must be bool with shape \(1, 4\), got torch.bool with shape \(1, 3\)"):
        audio.standardise(torch.ones(1, 1, 3, 4), torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"mask must be bool with shape \(1, 4\), got torch.float32"):
        audio.standardise(torch.ones(1, 1, 3, 4), torch.ones(1, 4))
    with pytest.raises(ValueError, match=r"features must have shape \(B, 1, F, T\), got \(3, 4\)"):
        audio.standardise(torch.ones(3, 4))


def test_hear_is_log_mel_standardised_also_for_many() -> None:
    waveforms = noise(70, 800)
    mask = audio.frame_mask(torch.tensor([800] * 69 + [300]), 11)
    expected = audio.standardise(audio.log_mel(waveforms), mask)
    torch.testing.assert_close(audio.hear(waveforms, mask), expected)
    torch.testing.assert_close(audio.hear(list(waveforms[:2])), expected[:2])
    with pytest.raises(ValueError, match=r"waveform must have shape \(B, S\), got \(800,\)"):
        audio.hear(waveforms[0])


def test_frames_and_masks_agree_with_the_spectrogram() -> None:
    for samples in (79, 80, 81, 8000):
        assert audio.spectrogram(noise(1, samples)).shape[2] == audio.frame_count(samples)
    assert [audio.frame_count(s) for s in (79, 80, 160)] == [1, 2, 3]
    mask = audio.frame_mask(torch.tensor([79, 80, 240]), frames=5)
    assert mask.sum(1).tolist() == [1, 2, 4]
    assert mask[2].tolist() == [True] * 4 + [False]


def test_pad() -> None:
    padded, lengths = audio.pad([torch.ones(2), torch.ones(3)])
    assert padded.tolist() == [[1, 1, 0], [1, 1, 1]] and lengths.tolist() == [2, 3]
    assert audio.pad([torch.ones(2)], length=4)[0].tolist() == [[1, 1, 0, 0]]
    assert audio.pad([torch.ones(4)], length=4)[0].shape == (1, 4)
    with pytest.raises(ValueError, match="a waveform has 5 samples, more than length=4"):
        audio.pad([torch.ones(5)], length=4)
    with pytest.raises(ValueError, match="waveforms is empty"):
        audio.pad([])


@pytest.mark.parametrize("snr", [-10.0, 0.0, 20.0])
def test_noise_has_the_asked_power(snr: float) -> None:
    waveform = tone(440, amplitude=0.1)
    noisy = audio.add_noise(waveform, snr, torch.Generator().manual_seed(0))
    measured = 10 * torch.log10(waveform.square().mean() / (noisy - waveform).square().mean())
    assert measured == pytest.approx(snr, abs=0.2)
    assert torch.equal(noisy, audio.add_noise(waveform, snr, torch.Generator().manual_seed(0)))


def test_noise_of_one_power_a_waveform() -> None:
    waveform = torch.cat([tone(440, amplitude=0.1), tone(440, amplitude=0.5), tone(300)])
    snr = torch.tensor([[-10.0], [20.0], [float("inf")]])
    noise = audio.add_noise(waveform, snr, torch.Generator().manual_seed(0)) - waveform
    measured = 10 * torch.log10(waveform[:2].square().mean(1) / noise[:2].square().mean(1))
    assert measured.tolist() == pytest.approx([-10, 20], abs=0.2)
    assert not noise[2].any()


def test_resample_keeps_a_tone_and_removes_what_would_alias() -> None:
    at_22050 = torch.arange(22050) / 22050
    low = audio.resample(torch.sin(2 * math.pi * 500 * at_22050), 22050)
    assert low.shape == (8000,) and low.dtype == torch.float32
    torch.testing.assert_close(low[500:7500], tone(500)[0, 500:7500].float(), atol=5e-3, rtol=0)
    high = audio.resample(torch.sin(2 * math.pi * 6000 * at_22050), 22050)
    assert high[500:7500].abs().max() < 0.01
    assert audio.resample(low, 8000) is low


def test_wrong_waveforms_say_what_came() -> None:
    with pytest.raises(ValueError, match=r"waveform must have shape \(B, S\), got \(8,\).*waveform\[None\]"):
        audio.spectrogram(torch.ones(8))
    with pytest.raises(ValueError, match=r"waveform must have shape \(B, S\), got list"):
        audio.spectrogram([1.0])
    with pytest.raises(TypeError, match=r"waveform must hold floating-point numbers, got torch.int16"):
        audio.log_mel(torch.ones(1, 8, dtype=torch.int16))
    with pytest.raises(ValueError, match="waveform is empty"):
        audio.spectrogram(torch.ones(1, 0))
    for name in ("window", "hop"):
        with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
            audio.spectrogram(torch.ones(1, 8), **{name: 0})
    with pytest.raises(ValueError, match="dynamic_range must be above 0, got -1"):
        audio.log_mel(torch.ones(1, 800), dynamic_range=-1)
