"""The noise explorer: its figure says what each model believes, its sliders draw anew, the same noise for the same settings."""

import matplotlib
import pytest
import torch

from mmteach.data.batch import Batch
from mmteach.figures.style import VERMILION
from mmteach.widgets import noise_explorer, noise_view

matplotlib.use("agg")

NAMES = ["zero", "one", "two"]


def digits(n=4):
    return Batch({"image": torch.rand(n, 1, 6, 6), "audio": torch.rand(n, 1, 5, 7)}, {"digit": torch.arange(n) % 3})


def always(*p):
    return lambda batch: torch.tensor([p] * len(batch))


MODELS = {"image": always(0.7, 0.2, 0.1), "late": always(0.25, 0.5, 0.25)}


def test_the_view_says_the_truth_and_each_models_answer():
    view = noise_view(digits()[1], MODELS, NAMES, title="A digit")
    assert view.alt == (
        "A digit. The digit is one; image says zero with probability 0.70; late says one with probability 0.50."
    )
    seen, heard, *bars = view.figure.axes
    assert [ax.get_title(loc="left") for ax in bars] == ["image\n“zero” ✗", "late\n“one” ✓"]
    assert seen.get_title(loc="left") == "seen" and heard.get_title(loc="left") == "heard"
    widths = [[round(bar.get_width(), 2) for bar in ax.patches] for ax in bars]
    assert widths == [[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]]
    for ax in bars:
        colours = [matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in ax.patches]
        assert [c == VERMILION for c in colours] == [False, True, False]  # the true digit's bar
    assert [label.get_text() for label in bars[0].get_yticklabels()] == NAMES


def test_the_view_without_a_title_starts_with_the_digit():
    assert noise_view(digits()[2], MODELS, NAMES).alt.startswith("The digit is two; image")


def test_the_view_takes_one_example():
    with pytest.raises(ValueError, match="example must be a batch of one, got 4 examples"):
        noise_view(digits(), MODELS, NAMES)


def test_sliders_have_names_and_draw_the_noise_they_say():
    asked = []

    def degrade(batch, sigma, snr, generator):
        asked.append((int(batch.targets["digit"]), sigma, snr, torch.rand(1, generator=generator).item()))
        return batch

    explorer = noise_explorer(digits(), MODELS, degrade, NAMES, most=1.5)
    which, sigma, snr, output = explorer.children
    assert [slider.description for slider in (which, sigma, snr)] == [
        "example",
        "noise in the picture (σ)",
        "sound over its noise (dB)",
    ]
    assert (which.max, sigma.max, snr.min, snr.max) == (3, 1.5, -10, 40)
    assert output.layout.min_height  # the page keeps its place while a figure is drawn anew
    sigma.value, snr.value, which.value = 1.0, 0, 2
    which.value = 0
    assert [a[:3] for a in asked] == [(0, 0, 40), (0, 1, 40), (0, 1, 0), (2, 1, 0), (0, 1, 0)]
    assert asked[0][3] == asked[1][3] == asked[4][3] != asked[3][3]  # one example, one noise
