"""Search pictures by the sound of a word: type it, hear it said, see what the sound finds and what the spelling finds.

| name           | what it is                        |
|----------------|-----------------------------------|
| `sound_finder` | the widget                        |
| `sound_view`   | the same as one still figure      |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmteach import _check
from mmteach.alignment import similarity, top_k
from mmteach.figures import Picture, picture_grid

Listen = Callable[[str, str], tuple[Tensor, Tensor]]
Read = Callable[[str], Tensor]


def sound_view(
    word: str,
    voice: str,
    listen: Listen,
    read: Read,
    embeddings: Tensor,
    pictures: Tensor,
    names: Sequence[str],
    k: int = 6,
) -> Picture:
    """The k pictures nearest to a word: the upper row found by its sound, the lower row by its spelling.

    listen:     (word, voice) → its embedding (1, D), and the waveform (S,) to play
    read:       word → its embedding (1, D);  embeddings: of the pictures (N, D)
    pictures:   (N, C, H, W), what is shown;  names: N words, shown below
    Raises ValueError where k is not from 1 to N.
    """
    _check.shape("pictures", pictures, len(embeddings), "C", "H", "W")
    queries = torch.cat([listen(word, voice)[0], read(word)])
    best, where = top_k(similarity(queries, embeddings), k)
    captions = [
        f"{name}{names[i]} {score:.2f}"
        for kind, scores, row in zip(("heard: ", "spelled: "), best.tolist(), where.tolist())
        for name, i, score in zip([kind, *[""] * (k - 1)], row, scores)
    ]
    by_sound, by_spelling = (", ".join(names[i] for i in row[:3]) for row in where.tolist())
    return picture_grid(
        pictures[where.flatten()], captions, columns=k, inch=1.25,
        title=f"“{word}”: found by its sound (above) and by its spelling (below)",
        alt=f"Pictures found for “{word}”. By its sound: {by_sound}. By its spelling: {by_spelling}.",
    )  # fmt: skip


def sound_finder(
    listen: Listen,
    read: Read,
    embeddings: Tensor,
    pictures: Tensor,
    names: Sequence[str],
    voices: Sequence[str],
    start: str = "fire",
    rate: int = 8000,
) -> Any:
    """A box for a word, a choice of voice and of how many; below them the word to play, and `sound_view`, drawn anew.

    voices: the speakers to choose from;  start: what is searched for first;  rate: samples a second of the waveform
    Returns a widget. Tab moves between the controls, Enter searches, Space opens a list for the arrow keys.
    """
    import ipywidgets as w
    from IPython.display import Audio, display

    if not voices:
        raise ValueError("voices is empty: pass at least one")
    _check.shape("embeddings", embeddings, len(names), "D")
    label = {"description_width": "110px"}
    word = w.Text(
        value=start, description="Say", placeholder="type and press Enter", continuous_update=False, style=label,
        layout=w.Layout(width="95%"),
    )  # fmt: skip
    voice = w.Dropdown(options=list(voices), description="Voice", style=label)
    count = w.IntSlider(
        value=min(6, len(names)), min=1, max=min(12, len(names)), description="How many", continuous_update=False, style=label
    )  # fmt: skip

    def draw(word: str, voice: str, count: int) -> None:
        if not any(letter.isalnum() for letter in word):
            print("Type a word or a few, in English, and press Enter.")
            return
        if not read(word).any():
            print(f"No part of “{word}” was ever read: what its spelling finds would mean nothing.")
            return
        display(Audio(listen(word, voice)[1].numpy(), rate=rate))
        display(sound_view(word, voice, listen, read, embeddings, pictures, names, count))

    shown = w.interactive_output(draw, {"word": word, "voice": voice, "count": count})
    shown.layout.min_height = "360px"  # so that the page does not jump while a figure is drawn anew
    return w.VBox([word, w.HBox([voice, count]), shown])
