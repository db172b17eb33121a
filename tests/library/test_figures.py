"""Figures: alt text with each, axes labelled, values where they belong, a palette for colour-blind readers too."""

import base64
import io
import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from colorspacious import cspace_convert, deltaE
from matplotlib.colors import to_rgb

from mmteach import figures
from mmteach.training.history import History

matplotlib.use("agg")


def run(best=1):
    rows = [
        {"epoch": e, "step": 10 * e, "train_loss": 1.0 / e, "valid_loss": 1.2 / e, "seconds": float(e)}
        for e in (1, 2, 3)
    ]
    return History("valid_loss", rows, best)


def pictures():
    table = pd.DataFrame(
        {"model": ["image", "both"] * 3, "seed": [0, 0, 1, 1, 2, 2], "auc": [0.7, 0.8, 0.72, 0.83, 0.71, 0.84]}
    )
    clips = torch.randint(0, 255, (2, 4, 3, 8, 8), dtype=torch.uint8)
    text = "A picture that shows what the test drew."
    return {
        "learning curves": figures.learning_curves(run()),
        "curves of two runs": figures.learning_curves({"image": run(), "both": run(None)}, title="Two"),
        "compare": figures.compare(table, "auc", label="AUC", title="Two beat one", chance=0.5),
        "heatmap": figures.heatmap(
            np.eye(3), list("abc"), list("abc"), title="Grid", alt=text, row_label="x", column_label="y"
        ),
        "differences": figures.heatmap(-np.eye(2), list("ab"), list("ab"), title="Grid", alt=text, diverging=True),
        "grid": figures.picture_grid(
            torch.rand(5, 3, 8, 8), ["a"] * 5, columns=3, title="Five", alt=text, wrong=[True]
        ),
        "grey grid": figures.picture_grid(torch.rand(2, 1, 8, 8), alt=text),
        "film": figures.film_strip(clips, ["one", "two"], title="Clips", alt=text, every=2),
        "sound": figures.sound(torch.randn(800), torch.rand(40, 10), 8000, 80, title="A word", alt=text),
        "beliefs": figures.beliefs(torch.tensor([0.2, 0.8]), ["cat", "dog"], truth=1, alt=text),
    }


@pytest.fixture(scope="module")
def drawn():
    return pictures()


def test_each_is_a_picture_with_alt_text_that_travels_with_the_output(drawn):
    for name, picture in drawn.items():
        data, metadata = picture._repr_mimebundle_()
        assert metadata["image/png"]["alt"] == picture.alt and len(picture.alt) >= 20, name
        assert data["text/plain"] == f"Figure: {picture.alt}", name
        assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG"), name
        assert 150 <= metadata["image/png"]["width"] <= 1000, name


def test_no_figure_stays_open_to_be_shown_twice(drawn):
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def test_charts_name_their_axes(drawn):
    for name in ("learning curves", "compare", "heatmap", "sound", "beliefs"):
        ax = drawn[name].figure.axes[-1 if name == "sound" else 0]
        assert ax.get_xlabel() or ax.get_ylabel(), name


def test_compare_orders_models_and_says_their_means(drawn):
    ax = drawn["compare"].figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["image", "both"]
    assert drawn["compare"].alt == "Two beat one. Mean AUC over 3 seeds: image 0.710, both 0.823."


def test_learning_curves_mark_the_kept_epoch(drawn):
    ax = drawn["learning curves"].figure.axes[0]
    kept = next(line for line in ax.lines if line.get_label() == "kept")
    assert (kept.get_xdata()[0], kept.get_ydata()[0]) == (2, 0.6)
    assert "validation loss at 0.40" in drawn["learning curves"].alt


def test_a_history_plots_itself():
    assert "Learning curves" in run().plot().alt


def test_a_picture_saves_itself_with_its_description(tmp_path, drawn):
    drawn["heatmap"].save(tmp_path / "grid.png")
    assert b"A picture that shows what the test drew." in (tmp_path / "grid.png").read_bytes()


def test_alt_text_that_says_nothing_is_refused():
    figure, _ = figures.canvas()
    with pytest.raises(ValueError, match="alt text must say what the figure shows"):
        figures.describe(figure, " plot ")


def test_as_picture_scales_bytes_and_clips_floats():
    assert figures.as_picture(torch.full((3, 2, 2), 255, dtype=torch.uint8)).max() == 1.0
    assert figures.as_picture(torch.full((1, 2, 2), 1.5)).shape == (2, 2)
    with pytest.raises(ValueError, match=r"must have shape \(1, 3 or 4, H, W\), got \(2, 4, 4\)"):
        figures.as_picture(torch.rand(2, 4, 4))


def test_the_style_ends_with_its_block():
    before = matplotlib.rcParams["axes.grid"]
    with figures.style():
        assert matplotlib.rcParams["axes.grid"] is True
    assert matplotlib.rcParams["axes.grid"] == before


def test_clips_move_side_by_side():
    from PIL import Image

    clips = torch.zeros(2, 3, 3, 4, 4)
    clips[1] = 1.0
    clips[0, 1, :, 3, 3] = clips[0, 2, :, 3, 2] = 1.0  # a dot that moves
    picture = figures.moving(clips, alt="A black clip beside a white one.", zoom=2, gap=1, fps=5)
    data, metadata = picture._repr_mimebundle_()
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert (image.size, image.n_frames) == ((18, 8), 3)
    assert image.convert("L").getpixel((0, 0)) == 0 and image.convert("L").getpixel((17, 0)) == 255
    image.seek(1)
    assert image.info["duration"] == 200.0
    assert metadata["image/png"] == {"alt": "A black clip beside a white one.", "width": 18}
    with pytest.raises(ValueError, match=r"clips must have shape \(N, T, 3, H, W\), got \(2, 3, 4, 4\)"):
        figures.moving(clips[:, :, 0], alt="Not clips at all, but grey pictures.")


def apart(one, other, sight):
    """How different two colours look (ΔE in CAM02-UCS) to somebody with this sight (Machado et al. 2009)."""
    space = {"name": "sRGB1+CVD", "cvd_type": sight, "severity": 100}
    seen = [to_rgb(c) if sight is None else cspace_convert(to_rgb(c), space, "sRGB1").clip(0, 1) for c in (one, other)]
    return deltaE(*seen, input_space="sRGB1")


@pytest.mark.parametrize("sight", [None, "deuteranomaly", "protanomaly", "tritanomaly"])
def test_the_colours_differ_for_every_reader(sight):
    for one, other in itertools.combinations(figures.PALETTE, 2):
        assert apart(one, other, sight) > 15, (one, other)


def test_the_palette_test_can_fail():
    assert apart("#0072B2", "#009E73", "tritanomaly") < 15 < apart("#0072B2", "#009E73", None)
