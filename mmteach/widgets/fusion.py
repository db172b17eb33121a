"""A fusion explorer: choose a method, spoil or remove a modality, see what it answers and whom its gate or attention trusts.

| name              | what it is                                                              |
|-------------------|-------------------------------------------------------------------------|
| `fusion_explorer` | the widget                                                              |
| `fusion_view`     | the same as one still figure: several methods on one example             |
| `spoil`           | a batch with its picture noisy or absent, its word another one or absent   |
| `trust`           | what a fusion's gate, weights or attention give each modality or place    |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.data.batch import Batch
from mmteach.figures import COLOURS, Picture, as_picture, canvas, describe, style
from mmteach.figures.style import GREEN, GREY, INK, PURPLE, VERMILION
from mmteach.fusion import GMU, AttentionFusion, CrossAttentionFusion, GatedFusion, MixtureOfExperts
from mmteach.training import predict

if TYPE_CHECKING:
    from ipywidgets import VBox

PICTURES = ("as it is", "noisy", "absent")
WORDS = ("as it is", "another word", "absent")
NOISE = 0.5  # standard deviation of the noise, where white is 1 and black 0


def spoil(batch: Batch, picture: str = "as it is", word: str = "as it is", seed: int = 0) -> Batch:
    """The same examples through a worse eye, with wrong words, or with a modality absent.

    picture: "as it is", "noisy" (image + 0.5 ε, ε ~ N(0, 1), cut to 0…1) or "absent"
    word:    "as it is", "another word" (that of the example half the batch further on) or "absent"
    batch:   inputs {"image": uint8 or 0…1 (N, 3, H, W), "text": (N, T)}, info "text"; the same seed gives the same noise
    """
    _check.choice("picture", picture, PICTURES)
    _check.choice("word", word, WORDS)
    inputs, masks, info = dict(batch.inputs), dict(batch.masks), dict(batch.info)
    present = {}
    if picture == "noisy":
        image = inputs["image"]
        image = image / 255 if image.dtype == torch.uint8 else image
        noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
        inputs["image"] = (image + NOISE * noise).clamp(0, 1)
    if word == "another word":
        other = torch.arange(len(batch)).roll(-(len(batch) // 2))
        inputs["text"], masks["text"] = inputs["text"][other], masks["text"][other]
        info["text"] = [info["text"][i] for i in other.tolist()]
    for m, state in (("image", picture), ("text", word)):
        if state == "absent":
            present[m] = torch.zeros(len(batch), dtype=torch.bool)
    return replace(batch, inputs=inputs, masks=masks, info=info, present=batch.present | present)


@torch.no_grad()
def trust(model: nn.Module, example: Batch) -> dict[str, float] | Tensor | None:
    """What the fusion's gate, weights or attention give, for one example.

    Shares by name for a gate, attention weights or a mixture of experts; for cross-attention the share (36,) of the word's
    attention that each place of the picture gets; None where a fusion has no such thing.
    """
    encoded, masks = model.encode(example.inputs, example.masks, example.present)  # type: ignore[operator]
    fusion, present = model.fusion, example.present or None
    if isinstance(fusion, GMU):
        return dict(zip(fusion.dims, fusion.gates(encoded, present)[0].mean(-1).tolist()))
    if isinstance(fusion, AttentionFusion):
        return dict(zip(fusion.dims, fusion.weights(encoded, present)[0].tolist()))
    if isinstance(fusion, MixtureOfExperts):
        return dict(zip([*fusion.dims, "both"], fusion.weights(encoded, present)[0].tolist()))
    if isinstance(fusion, GatedFusion):
        if not bool(example.present.get(fusion.gate, torch.ones(1, dtype=torch.bool))[0]):
            return {"gate": 1.0}  # nobody there to close it
        opened = fusion.maps[fusion.gate](fusion.norms[fusion.gate](encoded[fusion.gate])).sigmoid()
        return {"gate": opened.mean().item()}
    if isinstance(fusion, CrossAttentionFusion):
        _, attention = fusion(encoded, masks=masks, present=present, return_attention=True)
        looked = attention["text", "image"][0].mean(0)  # (T, places), the mean over the heads
        real = masks["text"][0] if "text" in masks else torch.ones(len(looked), dtype=torch.bool)
        return looked[real].mean(0)
    return None


def fusion_view(example: Batch, models: Mapping[str, nn.Module], classes: Sequence[str], title: str = "") -> Picture:
    """One picture and one word; for each method its five likeliest subgroups and what its gate or attention does.

    example: a batch of one, inputs {"image", "text"}, targets {"subgroup"}, info "text"
    models:  by name, classifiers of picture and word;  classes: the names of the subgroups
    The true subgroup has its own colour. Cross-attention is drawn on the picture: bright where the word looked.
    Raises ValueError for a batch of more than one.
    """
    if len(example) != 1:
        raise ValueError(f"example must be a batch of one, got {len(example)} examples")
    truth = int(example.targets["subgroup"])
    missing = {m for m, there in example.present.items() if not bool(there[0])}
    word = "no word" if "text" in missing else f"“{example.info['text'][0]}”"
    said = []
    with style():
        figure, axes = canvas(
            len(models), 3, size=(9.0, 0.35 + 2.0 * len(models)), width_ratios=[1, 1.7, 1.5], squeeze=False
        )
        for (name, model), (seen, answer, trusted) in zip(models.items(), axes):
            p = predict(model, example)[0].softmax(-1)
            said.append(f"{name} says {classes[int(p.argmax())]} with probability {float(p.max()):.2f}")
            shares = trust(model, example)
            _draw_picture(seen, example, "image" in missing, shares)
            seen.set_title(word, fontsize=10)
            _draw_answer(answer, p, classes, truth, name)
            said[-1] += _draw_trust(trusted, shares)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11, color=INK)
    picture = "No picture" if "image" in missing else "A picture"
    return describe(figure, f"{title} {picture}, {word}; in truth {classes[truth]}. {'; '.join(said)}.".strip())


def _draw_picture(ax: Any, example: Batch, absent: bool, shares: dict[str, float] | Tensor | None) -> None:
    ax.set_axis_off()
    if absent:
        ax.text(0.5, 0.5, "no picture", ha="center", va="center", color=GREY, transform=ax.transAxes)
        return
    picture = as_picture(example.inputs["image"][0])
    ax.imshow(picture, interpolation="nearest")
    if isinstance(shares, Tensor) and float(shares.sum()) > 0:
        side = round(len(shares) ** 0.5)
        grid = (shares / shares.max()).view(side, side)
        # Places that are not looked at are dimmed.
        ax.imshow(
            torch.zeros(side, side), cmap="gray", vmin=0, vmax=1, alpha=0.75 * (1 - grid.numpy()),
            extent=(-0.5, picture.shape[1] - 0.5, picture.shape[0] - 0.5, -0.5), interpolation="nearest",
        )  # fmt: skip


def _draw_answer(ax: Any, p: Tensor, classes: Sequence[str], truth: int, name: str) -> None:
    best = p.topk(min(5, len(p)))
    places = range(len(best.indices))
    colours = [VERMILION if int(k) == truth else PURPLE for k in best.indices]
    ax.barh(places, best.values.numpy(), color=colours)
    ax.set_yticks(places, [classes[int(k)] for k in best.indices], fontsize=8.5)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set(xlim=(0, 1), xlabel="probability")
    ax.set_title(f"{name} {'✓' if int(best.indices[0]) == truth else '✗'}", fontsize=10)


def _draw_trust(ax: Any, shares: dict[str, float] | Tensor | None) -> str:
    """Bars of the shares; returns what they say."""
    if not isinstance(shares, dict):
        ax.set_axis_off()
        words = "the word looked at the\nbright places" if isinstance(shares, Tensor) else "no gate to look at"
        ax.text(0.02, 0.5, words, va="center", color=GREY, transform=ax.transAxes)
        return ""
    ax.barh(range(len(shares)), list(shares.values()), color=[COLOURS.get(m, GREEN) for m in shares], height=0.6)
    ax.set_yticks(range(len(shares)), list(shares))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set(xlim=(0, 1), xlabel="share" if len(shares) > 1 else "how far it is open (mean)")
    ax.set_title("who counts" if len(shares) > 1 else "the word's gate on the picture", fontsize=10)
    return " (" + ", ".join(f"{m} {share:.2f}" for m, share in shares.items()) + ")"


def fusion_explorer(split: Batch, models: Mapping[str, nn.Module], classes: Sequence[str]) -> VBox:
    """Choose a method, an example, and what becomes of its picture and its word; below, what the method makes of it.

    split:   the examples to choose from, on which the accuracy is measured too: a few hundred are enough
    models:  by name, classifiers of picture and word;  classes: the names of the subgroups
    Returns a widget. Tab moves between the controls, the arrow keys turn a slider, and a list once Space has opened it.
    """
    import ipywidgets as widgets
    from IPython.display import display

    wide: dict[str, Any] = {
        "style": {"description_width": "100px"},
        "layout": widgets.Layout(width="420px"),
    }
    method = widgets.Dropdown(options=list(models), description="Method", **wide)
    which = widgets.IntSlider(
        value=0, min=0, max=len(split) - 1, description="Example", continuous_update=False, **wide
    )
    picture = widgets.Dropdown(options=list(PICTURES), description="Picture", **wide)
    word = widgets.Dropdown(options=list(WORDS), description="Word", **wide)
    measured: dict[tuple[str, str, str], float] = {}  # each setting is measured once

    def accuracy(method: str, spoilt: Batch, key: tuple[str, str, str]) -> float:
        if key not in measured:
            right = predict(models[method], spoilt).argmax(-1) == split.targets["subgroup"]
            measured[key] = right.float().mean().item()
        return measured[key]

    def draw(method: str, which: int, picture: str, word: str) -> None:
        spoilt = spoil(split, picture, word)
        share = accuracy(method, spoilt, (method, picture, word))
        before = accuracy(method, split, (method, "as it is", "as it is"))
        title = f"{method}: right on {share:.0%} of {len(split)} in this state, on {before:.0%} as they are"
        display(fusion_view(spoilt[[which]], {method: models[method]}, classes, title))

    controls = {"method": method, "which": which, "picture": picture, "word": word}
    output = widgets.interactive_output(draw, controls)
    output.layout.min_height = "260px"  # so that the page does not jump while a figure is drawn anew
    return widgets.VBox([*controls.values(), output])
