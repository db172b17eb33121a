"""Two noise sliders: what models that see, hear, or do both believe about one digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mmteach.data.batch import Batch
from mmteach.figures import COLOURS, Picture, as_picture, canvas, describe, style
from mmteach.figures.style import GREY, PALETTE, VERMILION

if TYPE_CHECKING:
    from ipywidgets import VBox

Degrade = Callable[[Batch, float, float, torch.Generator], Batch]
Believe = Callable[[Batch], Tensor]


def noise_view(example: Batch, models: Mapping[str, Believe], classes: Sequence[str], title: str = "") -> Picture:
    """One digit as it is seen and heard, and each model's probabilities over the classes; the true digit has its own colour.

    example: a batch of one, inputs {"image": (1, 1, H, W), "audio": (1, 1, F, T)}, targets {"digit": (1,)}
    models:  by name, batch → probabilities (1, K);  classes: the K names
    Raises ValueError for a batch of more than one.
    """
    if len(example) != 1:
        raise ValueError(f"example must be a batch of one, got {len(example)} examples")
    truth = int(example.targets["digit"])
    said = []
    with style():
        figure, axes = canvas(1, 2 + len(models), size=(9.2, 2.7), width_ratios=[1, 1.25, *[1] * len(models)])
        axes[0].imshow(as_picture(example.inputs["image"][0]), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axes[0].set_title("seen", fontsize=10)
        axes[1].imshow(example.inputs["audio"][0, 0].cpu().numpy(), origin="lower", aspect="auto", cmap="cividis")
        axes[1].set_title("heard", fontsize=10)
        for ax in axes[:2]:
            ax.set_axis_off()
        for column, (ax, (name, believe)) in enumerate(zip(axes[2:], models.items())):
            p = believe(example)[0].detach().cpu().numpy()
            best = int(p.argmax())
            said.append(f"{name} says {classes[best]} with probability {p[best]:.2f}")
            bar = COLOURS.get(name, PALETTE[(3 + column) % len(PALETTE)])
            ax.barh(range(len(p)), p, color=[VERMILION if k == truth else bar for k in range(len(p))])
            ax.set_yticks(range(len(p)), classes if not column else [""] * len(p), fontsize=8)
            ax.set(xlim=(0, 1), xlabel="probability" if not column else "")
            ax.set_xticks([0, 1])
            ax.invert_yaxis()
            ax.grid(axis="y", visible=False)
            ax.set_title(f"{name}\n“{classes[best]}” {'✓' if best == truth else '✗'}", fontsize=9.5)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11, color=GREY)
    return describe(figure, f"{title + '. ' if title else ''}The digit is {classes[truth]}; {'; '.join(said)}.")


def noise_explorer(
    batch: Batch, models: Mapping[str, Believe], degrade: Degrade, classes: Sequence[str], most: float = 2.0
) -> VBox:
    """Sliders for the example and for the noise in picture and sound; below them `noise_view`, drawn anew at each move.

    batch:   the examples to choose from
    models:  by name, batch → probabilities (N, K)
    degrade: (batch, σ of the picture, signal-to-noise ratio of the sound in dB, generator) → the noisy batch
    most:    the largest σ
    The same settings always show the same noise, so that a change is the slider's doing.
    """
    import ipywidgets as widgets
    from IPython.display import display

    wide = {
        "style": {"description_width": "190px"},
        "layout": widgets.Layout(width="520px"),
        "continuous_update": False,
    }
    which = widgets.IntSlider(value=0, min=0, max=len(batch) - 1, description="example", **wide)
    sigma = widgets.FloatSlider(value=0, min=0, max=most, step=0.1, description="noise in the picture (σ)", **wide)
    snr = widgets.IntSlider(value=40, min=-10, max=40, step=5, description="sound over its noise (dB)", **wide)

    def draw(which: int, sigma: float, snr: float) -> None:
        example = degrade(batch[[which]], sigma, snr, torch.Generator().manual_seed(which))
        display(noise_view(example, models, classes))

    output = widgets.interactive_output(draw, {"which": which, "sigma": sigma, "snr": snr})
    output.layout.min_height = "300px"  # so that the page does not jump while a figure is drawn anew
    return widgets.VBox([which, sigma, snr, output])
