"""Search pictures by words: type a wish in any language that the model has read, see what it finds.

| name              | what it is                        |
|-------------------|-----------------------------------|
| `search_explorer` | the widget                        |
| `search_view`     | the same as one still figure      |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from mmteach import _check
from mmteach.alignment import similarity, top_k
from mmteach.figures import Picture, picture_grid
from mmteach.widgets.inputs import LONGEST

Read = Callable[[Sequence[str]], Tensor]


def search_view(
    queries: Sequence[str], read: Read, embeddings: Tensor, pictures: Tensor, names: Sequence[str], k: int = 8
) -> Picture:
    """The k pictures nearest to each query, best first, a row a query, each with its name and its cosine.

    queries:    texts in any language; of several, rows bear the numbers: a figure's font may lack the letters of a language
    read:       texts → embeddings (Q, D);  embeddings: of the pictures (N, D)
    pictures:   (N, C, H, W), what is shown;  names: N words, shown below
    Raises ValueError where there is no query, or k is not from 1 to N.
    """
    if isinstance(queries, str) or not queries:
        raise ValueError(f"queries must be a list of one or more texts, got {queries!r}")
    _check.shape("pictures", pictures, len(embeddings), "C", "H", "W")
    best, where = top_k(similarity(read(queries), embeddings), k)
    captions = [
        f"{f'[{number}] ' if len(queries) > 1 and not place else ''}{names[i]} {score:.2f}"
        for number, (scores, row) in enumerate(zip(best.tolist(), where.tolist()), 1)
        for place, (i, score) in enumerate(zip(row, scores))
    ]
    found = "; ".join(
        f"“{query}”: {', '.join(names[i] for i in row[:3])}" for query, row in zip(queries, where.tolist())
    )
    return picture_grid(
        pictures[where.flatten()],
        captions,
        columns=k,
        inch=1.05,
        title="Nearest pictures, best first, with their cosine",
        alt=f"Pictures found by words, a row a query. The first three of each: {found}.",
    )


def search_explorer(
    read: Read, galleries: Mapping[str, tuple[Tensor, Tensor]], names: Sequence[str], start: str = "red fruit"
) -> Any:
    """A box for words, a choice of gallery and of how many; below them what is found, drawn anew at each change.

    read:      texts → embeddings (Q, D)
    galleries: by name, (embeddings (N, D), pictures (N, C, H, W)), all with the N `names`
    start:     what is searched for first
    Returns a widget. Tab moves between the controls, Enter searches, Space opens a list for the arrow keys.
    """
    import ipywidgets as w
    from IPython.display import display

    if not galleries:
        raise ValueError("galleries is empty: pass at least one, by name")
    for name, (embeddings, _) in galleries.items():
        _check.shape(f"galleries[{name!r}]", embeddings, len(names), "D")
    label = {"description_width": "110px"}
    words = w.Text(
        value=start,
        description="Look for",
        placeholder="type and press Enter",
        continuous_update=False,
        style=label,
        layout=w.Layout(width="95%"),
    )
    where = w.Dropdown(options=list(galleries), description="Among", style=label)
    count = w.IntSlider(
        value=min(8, len(names)),
        min=1,
        max=min(16, len(names)),
        description="How many",
        continuous_update=False,
        style=label,
    )

    def draw(words: str, where: str, count: int) -> None:
        if not words.strip():
            print("Type what you are looking for, in any of the languages, and press Enter.")
            return
        if len(words) > LONGEST:
            print(
                f"That is {len(words):,} letters long, and {LONGEST} are taken at most: type what you are looking for."
            )
            return
        embeddings, pictures = galleries[where]
        if not read([words]).any():
            print(f"The model knows no part of “{words}”: no word, no three letters of it.")
            return
        display(search_view([words], read, embeddings, pictures, names, count))

    shown = w.interactive_output(draw, {"words": words, "where": where, "count": count})
    shown.layout.min_height = "180px"  # so that the page does not jump while a figure is drawn anew
    return w.VBox([words, w.HBox([where, count]), shown])
