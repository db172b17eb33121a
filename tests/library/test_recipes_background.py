"""The noise experiment of chapter 01: noise of the strength that is said, grids in the right order, late fusion as a sum."""

import math

import pytest
import torch
from torch.nn import functional as F

from mmteach.data.audio import hear
from mmteach.data.batch import Batch
from mmteach.recipes import background
from mmteach.recipes.background import (
    SIGMAS,
    SNRS,
    answers,
    build,
    column,
    faster_or_slower,
    levels,
    noisy,
    right,
    with_noise,
)


def batch(n=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    waveform = torch.randn(n, 8000, generator=g) * torch.linspace(0.1, 1, 8000)
    audio = F.avg_pool2d(hear(waveform), (1, 2))
    image = torch.rand(n, 1, 28, 28, generator=g)
    return Batch({"image": image, "audio": audio}, {"digit": torch.arange(n) % 10}, info={"waveform": list(waveform)})


def test_without_noise_nothing_changes():
    clean = batch()
    same = noisy(clean, 0.0, math.inf)
    assert torch.equal(same.inputs["image"], clean.inputs["image"])
    torch.testing.assert_close(same.inputs["audio"], clean.inputs["audio"])
    assert same.targets is clean.targets and same.info is clean.info


def test_the_pictures_noise_has_the_strength_that_is_asked_for_one_or_one_an_example():
    clean = batch()
    g = torch.Generator().manual_seed(1)
    added = noisy(clean, 2.0, math.inf, g).inputs["image"] - clean.inputs["image"]
    assert added.std().item() == pytest.approx(2, rel=0.05) and abs(added.mean().item()) < 0.1
    each = torch.tensor([0.0, 1, 0, 1, 0, 3]).view(-1, 1, 1, 1)
    spread = (noisy(clean, each, math.inf, g).inputs["image"] - clean.inputs["image"]).flatten(1).std(1)
    torch.testing.assert_close(spread, each.flatten(), rtol=0.1, atol=1e-6)


def test_noise_in_the_sound_moves_the_spectrogram_the_more_the_louder_it_is():
    clean = batch()
    moved = [
        (noisy(clean, 0, snr, torch.Generator().manual_seed(0)).inputs["audio"] - clean.inputs["audio"]).abs().mean()
        for snr in SNRS
    ]
    assert moved == sorted(moved) and moved[0] < 1e-4 and moved[1] > 1e-3


def test_the_same_generator_gives_the_same_noise_and_modalities_stay_away_that_are_not_there():
    eye = noisy(batch().only("image"), 1.0, 0.0, torch.Generator().manual_seed(3))
    again = noisy(batch().only("image"), 1.0, 0.0, torch.Generator().manual_seed(3))
    assert list(eye.inputs) == ["image"] and torch.equal(eye.inputs["image"], again.inputs["image"])
    assert list(noisy(batch().only("audio"), 1.0, 0.0).inputs) == ["audio"]


def test_augmentation_leaves_about_one_picture_in_four_clean_and_the_rest_up_to_two():
    torch.manual_seed(0)
    clean = Batch({"image": torch.zeros(2000, 1, 28, 28)}, {"digit": torch.zeros(2000).long()})
    sigma = with_noise(clean).inputs["image"].flatten(1).std(1)
    assert (sigma == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert 1.8 < sigma.max() < 2.2 and sigma[sigma > 0].mean().item() == pytest.approx(1, abs=0.05)


def test_augmentation_changes_the_sounds_of_some_examples_and_leaves_others():
    torch.manual_seed(0)
    clean = batch(n=24)
    moved = (with_noise(clean).inputs["audio"] - clean.inputs["audio"]).abs().amax((1, 2, 3)) > 1e-3
    assert 10 < moved.sum() < 24


def test_levels_pair_the_ith_noise_of_both():
    at = levels(batch(), seed=5)
    assert len(at) == len(SIGMAS) == len(SNRS)
    spread = [(level.inputs["image"] - batch().inputs["image"]).std().item() for level in at]
    assert spread == pytest.approx(SIGMAS, rel=0.1, abs=1e-6)
    assert torch.equal(levels(batch(), seed=5)[4].inputs["audio"], at[4].inputs["audio"])
    assert not torch.equal(levels(batch(), seed=6)[4].inputs["audio"], at[4].inputs["audio"])


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_answers_of_one_modality_are_its_models_log_probabilities(modality):
    torch.manual_seed(0)
    model, at = build(modality).eval(), levels(batch())
    said = answers(model, at)
    assert said.shape == (5, 6, 10)
    torch.testing.assert_close(said[3], model(at[3].only(modality).inputs).log_softmax(-1).detach())


def test_answers_of_both_have_the_pictures_level_first():
    torch.manual_seed(0)
    model, at = build("image", "audio").eval(), levels(batch())
    said = answers(model, at)
    assert said.shape == (5, 5, 6, 10)
    mixed = {"image": at[4].inputs["image"], "audio": at[1].inputs["audio"]}
    torch.testing.assert_close(said[4, 1], model(mixed).log_softmax(-1).detach())


def test_right_counts_the_highest_score():
    scores = torch.tensor([[[0.0, 1], [1, 0]], [[1, 0], [1, 0]]])  # (2 levels, 2 examples, 2 classes)
    assert right(scores, torch.tensor([1, 0])).tolist() == [1, 0.5]


def test_columns_name_each_cell_once():
    assert (column(0.0, math.inf), column(1.5, -10.0)) == ("0 | clean", "1.5 | -10")
    assert len({column(s, n) for s in SIGMAS for n in SNRS}) == 25


def test_both_modalities_have_the_parameters_of_each_plus_the_fusion():
    count = {m: sum(p.numel() for p in build(*m).parameters()) for m in (("image",), ("audio",), ("image", "audio"))}
    head, fusion = 32 * 10 + 10, 64 * 32 + 32
    assert count["image", "audio"] == count[("image",)] + count[("audio",)] - head + fusion


def test_the_sounds_frames_come_in_pairs():
    digits = background.load()
    assert digits.train.inputs["audio"].shape == (4000, 1, 40, 50)
    some = digits.test[:4]
    torch.testing.assert_close(noisy(some, 0, math.inf).inputs["audio"], some.inputs["audio"], rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def small_grid():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTEACH_SCALE", "smoke")
        patch.setenv("MMTEACH_PROGRESS", "off")
        return background.noise_grid(0)


def test_the_table_has_eight_models_and_every_cell(small_grid):
    training = ("trained clean", "trained with noise")
    assert list(small_grid) == [f"{m}, {how}" for how in training for m in ("image", "audio", "concat", "late")]
    for cells in small_grid.values():
        assert set(cells) == {"valid", *(column(s, n) for s in SIGMAS for n in SNRS)}
        assert all(0 <= value <= 1 for value in cells.values())


def test_a_single_modality_does_not_mind_the_others_noise(small_grid):
    eye, ear = small_grid["image, trained clean"], small_grid["audio, trained clean"]
    for sigma in SIGMAS:
        assert len({eye[column(sigma, snr)] for snr in SNRS}) == 1
    for snr in SNRS:
        assert len({ear[column(sigma, snr)] for sigma in SIGMAS}) == 1


def test_a_faster_tone_is_higher_and_stays_in_its_second():
    torch.manual_seed(0)
    second = torch.arange(8000) / 8000
    tone = torch.sin(2 * math.pi * 500 * second) * ((second > 0.25) & (second < 0.75))
    heard = torch.stack(
        faster_or_slower(Batch({"audio": torch.zeros(40, 1)}, {}, info={"waveform": [tone] * 40})).info["waveform"]
    )
    pitch = torch.fft.rfft(heard).abs().argmax(1).float()
    assert heard.shape == (40, 8000) and heard.isfinite().all()
    assert 395 <= pitch.min() < 430 and 580 < pitch.max() <= 630  # 500 Hz at 0.8 to 1.25 times
    lasts = (heard.abs() > 0.5).float().sum(1)
    assert torch.corrcoef(torch.stack([pitch, lasts]))[0, 1] < -0.95  # the faster, the shorter


def test_at_speed_one_nothing_changes(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, low, high: self.zero_())
    clean = batch()
    same = faster_or_slower(clean)
    torch.testing.assert_close(torch.stack(same.info["waveform"]), torch.stack(clean.info["waveform"]))
    assert same.inputs is clean.inputs and "waveform" in clean.info
