"""Chapter 02's widgets: what they show is right, every control has a label, and a wrong entry gets a sentence."""

import inspect

import ipywidgets
import matplotlib
import numpy as np
import pytest
import torch

from mmteach import figures, widgets
from mmteach.data.audio import log_mel
from mmteach.data.speech import speak
from mmteach.data.text import CharVocabulary, Vocabulary
from mmteach.diagnosis import pid
from mmteach.widgets.information import PRESETS, small_world
from mmteach.widgets.spectrogram import heard_in_bands
from mmteach.widgets.tokens import steps

matplotlib.use("agg")

WORDS = Vocabulary.build(["a red apple", "a green pear"])
LETTERS = CharVocabulary.build(["a red apple"])


def controls(widget):
    """Every control inside a widget, by its label."""
    if isinstance(widget, ipywidgets.Box):
        return {label: one for child in widget.children for label, one in controls(child).items()}
    return {} if isinstance(widget, ipywidgets.Output) else {getattr(widget, "description", ""): widget}


@pytest.mark.parametrize(
    "widget, labels",
    [
        (lambda: widgets.spectrogram_explorer(), ["Word", "Voice", "Window", "Mel bands"]),
        (lambda: widgets.token_explorer({"words": WORDS}), ["Your text", "Vocabulary", "Length", ""]),
        (
            lambda: widgets.information_explorer(),
            ["Start from", "how often x1 = x2"]
            + [f"p(y = 1) where x1, x2 = {pair}" for pair in ("0, 0", "0, 1", "1, 0", "1, 1")],
        ),
    ],
    ids=["spectrogram", "tokens", "information"],
)
def test_every_control_has_a_label(widget, labels):
    assert list(controls(widget())) == labels  # the one without is the table, which is no control


def test_nothing_is_used_that_ipywidgets_7_lacks():
    for name in ("spectrogram", "tokens", "information"):
        source = inspect.getsource(__import__(f"mmteach.widgets.{name}", fromlist=[name]))
        for new in ("TagsInput", "ColorsInput", "Stack(", "TimePicker", "titles="):
            assert new not in source


# -- spectrogram --------------------------------------------------------------------------------------------------------


def test_what_the_bands_keep_has_the_sounds_length_and_power_and_its_mel_energies():
    waveform = speak("seven")
    kept = heard_in_bands(waveform, window=256, bands=16)
    assert kept.shape == waveform.shape and torch.isfinite(kept).all()
    assert kept.square().mean() == pytest.approx(waveform.square().mean().item(), rel=1e-4)
    both = [log_mel(x[None], bands=16).flatten() for x in (waveform, kept)]
    other = log_mel(heard_in_bands(torch.randn(len(waveform)), 256, 16)[None], bands=16).flatten()
    correlation = [np.corrcoef(both[0], x)[0, 1] for x in (both[1], other)]
    assert correlation[0] > 0.9 > 0.5 > correlation[1]


def test_the_same_seed_sounds_the_same_and_another_one_does_not():
    waveform = speak("six")
    assert torch.equal(heard_in_bands(waveform, 256, 8), heard_in_bands(waveform, 256, 8, seed=0))
    assert not torch.equal(heard_in_bands(waveform, 256, 8), heard_in_bands(waveform, 256, 8, seed=1))


def test_spectrogram_explorer_starts_from_its_arguments_and_says_what_is_wrong():
    widget = widgets.spectrogram_explorer("nine", window=512, bands=20)
    assert [c.value for c in controls(widget).values()] == ["nine", "en", 512, 20]
    with pytest.raises(ValueError, match="window must be one of 32, 64, 128, 256, 512, 1024, got 100"):
        widgets.spectrogram_explorer(window=100)
    with pytest.raises(ValueError, match="bands must be between 4 and 40, got 41"):
        widgets.spectrogram_explorer(bands=41)
    with pytest.raises(ValueError, match="bands must be"):
        heard_in_bands(torch.randn(1000), 256, 0)


def test_an_empty_word_and_too_many_bands_get_a_sentence_instead_of_an_error(capsys):
    widgets.spectrogram_explorer("", 256, 16)
    assert "text" in capsys.readouterr().out
    widgets.spectrogram_explorer("one", 32, 40)
    assert "use fewer bands, or a window longer than 32 samples" in capsys.readouterr().out


# -- tokens -------------------------------------------------------------------------------------------------------------


def test_steps_show_tokens_numbers_and_mask():
    shown = steps("A RED cherry!", WORDS, length=4)
    number = WORDS.stoi
    cells = [part.split(">")[1] for part in shown.split("</td")[:-1] for part in [part[part.rindex("<td") :]]]
    assert cells[:4] == ["a", "red", "cherry", "—"]
    assert cells[4:8] == [str(number["a"]), str(number["red"]), "1", "0"]
    assert cells[8:12] == ["a", "red", "unknown", "padding"]
    assert cells[12:] == ["real", "real", "real", "–"]
    assert "<code>a red cherry!</code>" in shown
    assert "3 tokens, 1 unknown, 0 cut off, 1 padded." in shown


def test_steps_say_what_is_cut_and_escape_what_is_written():
    shown = steps("a red apple <b>", LETTERS, length=5)
    assert "15 tokens, 3 unknown, 10 cut off, 0 padded." in shown
    assert "␣" in shown and "<b>" not in shown and "&lt;b&gt;" in shown
    with pytest.raises(ValueError, match="length must be"):
        steps("a", WORDS, length=0)


def test_token_explorer_follows_its_controls():
    widget = widgets.token_explorer({"words": WORDS, "letters": LETTERS}, "green apple", 3)
    text, which, size, table = controls(widget).values()
    assert table.value == steps("green apple", WORDS, 3)
    text.value = "pear"
    assert table.value == steps("pear", WORDS, 3)
    which.value = "letters"
    assert table.value == steps("pear", LETTERS, 3)
    size.value = 9
    assert table.value == steps("pear", LETTERS, 9)
    with pytest.raises(ValueError, match="vocabularies is empty: pass at least one, by name"):
        widgets.token_explorer({})
    with pytest.raises(ValueError, match="length must be between 1 and 40, got 41"):
        widgets.token_explorer({"words": WORDS}, length=41)


# -- information --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, parts",
    [
        ("AND", (0.311278, 0, 0, 0.5)),
        ("OR", (0.311278, 0, 0, 0.5)),
        ("XOR", (0, 0, 0, 1)),
        ("COPY", (1, 0, 0, 0)),
        ("UNIQUE", (0, 1, 0, 0)),
    ],
)
def test_presets_are_the_worlds_they_name(name, parts):
    table = small_world(*PRESETS[name])
    assert table.sum() == pytest.approx(1)
    assert pid(table, tolerance=1e-6, steps=2000) == pytest.approx(parts, abs=2e-3)


def test_small_world_puts_each_dial_in_its_place():
    table = small_world(0.8, 0.1, 0.2, 0.3, 0.4)
    assert table.sum(2) == pytest.approx(np.array([[0.4, 0.1], [0.1, 0.4]]))
    assert table[:, :, 1] / table.sum(2) == pytest.approx(np.array([[0.1, 0.2], [0.3, 0.4]]))
    with pytest.raises(ValueError, match=r"y10 must be between 0 and 1, got 1\.5"):
        small_world(0.5, 0, 0, 1.5, 0)


def test_information_explorer_follows_preset_and_dials(capsys):
    widget = widgets.information_explorer("XOR")
    assert "from nothing 0.50, from x1 0.50, from x2 0.50, from both 1.00" in capsys.readouterr().out
    preset, *dials = controls(widget).values()
    assert tuple(dial.value for dial in dials) == PRESETS["XOR"]
    preset.value = "UNIQUE"
    assert tuple(dial.value for dial in dials) == PRESETS["UNIQUE"]
    drawn = capsys.readouterr().out
    assert drawn.count("Best accuracy") == 1 and "from x1 1.00, from x2 0.50, from both 1.00" in drawn
    dials[2].value = 1.0  # p(y = 1 | 0, 1): now OR
    assert "from nothing 0.75, from x1 0.75, from x2 0.75, from both 1.00" in capsys.readouterr().out
    with pytest.raises(ValueError, match="start must be one of 'AND', 'OR', 'XOR', 'COPY', 'UNIQUE', got 'NOR'"):
        widgets.information_explorer("NOR")


# -- the figures they draw ----------------------------------------------------------------------------------------------


def test_resolution_draws_one_panel_a_window():
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(4000) / 8000)
    picture = figures.resolution(tone, [64, 256], bands=8, title="A tone")
    *panels, bar = picture.figure.axes
    assert [ax.get_title(loc="left") for ax in panels] == ["window 64 (8 ms)", "window 256 (32 ms)"]
    assert panels[0].get_ylabel() == "mel band" and panels[0].get_xlabel() == "time (s)"
    assert bar.get_ylabel() == "dB below the loudest"
    for ax, window in zip(panels, (64, 256)):
        grid = log_mel(tone[None], window=window, hop=40, bands=8)[0, 0]
        drawn = ax.images[0]
        np.testing.assert_allclose(drawn.get_array(), grid - grid.max(), atol=1e-4)
        assert drawn.get_extent() == [0, grid.shape[1] * 40 / 8000, 0, 8]
    assert picture.alt == "Log-mel spectrograms of one sound in 8 bands, with windows of 8 ms, 32 ms."
    assert picture.figure.get_suptitle() == "A tone"


def test_information_stacks_the_four_parts():
    picture = figures.information({"and": (0.311, 0, 0, 0.5), "big": (1.0, 0.5, 0.25, 0.25)}, title="Two worlds")
    (ax,) = picture.figure.axes
    ends = [[(bar.get_x(), bar.get_width()) for bar in part] for part in ax.containers]
    assert [part.get_label() for part in ax.containers] == ["redundancy", "unique 1", "unique 2", "synergy"]
    assert [row[0][1] for row in ends] == pytest.approx([0.311, 0, 0, 0.5])
    assert [row[1][0] for row in ends] == pytest.approx([0, 1, 1.5, 1.75])
    assert [t.get_text() for t in ax.texts] == ["0.31", "1.00", "0.50", "0.25", "0.50", "0.25"]
    assert ax.get_xlabel() == "information about y (bits)" and ax.get_xlim() == pytest.approx((0, 2.04))
    assert "and: redundancy 0.31, unique 1 0.00, unique 2 0.00, synergy 0.50; big: redundancy 1.00" in picture.alt
    with pytest.raises(ValueError, match=r"worlds\['bad'\] needs four amounts \(R, U1, U2, S\), got 3"):
        figures.information({"bad": (1, 2, 3)})
