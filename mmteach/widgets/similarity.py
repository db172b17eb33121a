"""A similarity matrix under a temperature: what the contrastive loss sees of a batch.

| name                  | what it is                                                             |
|-----------------------|------------------------------------------------------------------------|
| `similarity_explorer` | the widget                                                             |
| `similarity_view`     | the same as one still figure, for one temperature or several           |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import normalize

from mmteach import _check
from mmteach.alignment import clip_loss, similarity
from mmteach.figures import Picture, canvas, describe, style

WAYS = {"which text for each picture": 1, "which picture for each text": 0}  # the softmax's dimension


def similarity_view(
    image: Tensor,
    text: Tensor,
    temperatures: Sequence[float],
    names: Sequence[str] = (),
    way: str = "which text for each picture",
) -> Picture:
    """softmax(cosine / temperature) of a batch as a picture, one panel a temperature; its loss beside ln N above it.

    image, text:  (N, D), row i of one belongs to row i of the other
    temperatures: each above 0;  names: N words for the axis;  way: one of WAYS, which question the softmax answers
    Raises ValueError for no temperature, shapes that differ, another word for `way`.
    """
    _check.shape("text", text, *image.shape)
    _check.choice("way", way, tuple(WAYS))
    if len(temperatures) == 0:
        raise ValueError("temperatures must hold one or more, got none")
    cosines, said = similarity(image, text), []
    n = len(cosines)
    with style():
        width = 5.4 if len(temperatures) == 1 else min(9.2, 3.1 * len(temperatures) + 0.6)
        figure, axes = canvas(1, len(temperatures), size=(width, 3.9), squeeze=False, sharey=True)
        for ax, temperature in zip(axes[0], temperatures):
            _check.positive("temperature", temperature)
            p = (cosines / temperature).softmax(WAYS[way])
            loss = clip_loss(normalize(image, dim=1), normalize(text, dim=1), 1 / temperature).item()
            shown = ax.imshow(p.detach().cpu().numpy(), cmap="cividis", vmin=0, vmax=1)
            ax.set_title(f"temperature {temperature:.3g}\nloss {loss:.2f}, ln {n} = {math.log(n):.2f}", fontsize=9.5)
            ax.set(xlabel="text")
            ax.grid(visible=False)
            said.append(f"at {temperature:.3g} the matches get {p.diagonal().mean():.2f} on average, loss {loss:.2f}")
        axes[0, 0].set_ylabel("picture")
        if names and n <= 24:
            axes[0, 0].set_yticks(range(n), [name[:28] for name in names], fontsize=7)
        figure.colorbar(shown, ax=list(axes[0]), label="probability", pad=0.01, shrink=0.8)
    return describe(
        figure,
        f"Probabilities of {n} pictures against {n} texts ({way}); the matches lie on the diagonal. {'; '.join(said)}. "
        f"Knowing nothing costs ln {n} = {math.log(n):.2f}.",
    )


def similarity_explorer(
    image: Tensor, text: Tensor, names: Sequence[str], temperature: float = 0.07, pairs: int = 16
) -> Any:
    """Dials for the temperature, the number of pairs and the question; below them `similarity_view`, drawn anew each time.

    image, text: (N, D), N ≥ 2, row i of one belongs to row i of the other;  names: N words
    temperature: where the dial starts, from .01 to 1;  pairs: how many of them are shown first
    Returns a widget. Tab moves between the controls, the arrow keys turn a slider, and a list once Space has opened it.
    """
    import ipywidgets as w
    from IPython.display import display

    _check.shape("text", text, *image.shape)
    _check.between("temperature", temperature, 0.01, 1)
    _check.between("pairs", pairs, 2, len(image))
    wide = {
        "style": {"description_width": "150px"},
        "layout": w.Layout(width="520px"),
    }
    dial = w.FloatLogSlider(
        value=temperature,
        base=10,
        min=-2,
        max=0,
        step=0.1,
        description="Temperature",
        continuous_update=False,
        **wide,
    )
    size = w.IntSlider(
        value=pairs, min=2, max=len(image), description="Pairs in the batch", continuous_update=False, **wide
    )
    way = w.Dropdown(options=list(WAYS), description="Question", **wide)

    def draw(temperature: float, pairs: int, way: str) -> None:
        display(similarity_view(image[:pairs], text[:pairs], [temperature], names[:pairs], way))

    shown = w.interactive_output(draw, {"temperature": dial, "pairs": size, "way": way})
    shown.layout.min_height = "400px"  # so that the page does not jump while a figure is drawn anew
    return w.VBox([dial, size, way, shown])
