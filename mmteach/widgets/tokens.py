"""A tokeniser explorer: your own text, step by step from characters to padded numbers.

| name             | what it is                                                |
|------------------|-----------------------------------------------------------|
| `token_explorer` | the widget                                                |
| `steps`          | what it shows, as HTML: normalised, cut, numbered, padded |
"""

from __future__ import annotations

import html
from typing import Any

from mmteach import _check
from mmteach.data.text import PADDING, UNKNOWN, CharVocabulary, Vocabulary, normalise


def steps(text: str, vocabulary: Vocabulary | CharVocabulary, length: int = 8) -> str:
    """A text on its way to numbers, as HTML: as written, normalised, then a table of tokens, numbers and mask.

    length: the row is padded or cut to so many tokens; what is cut is said. Every part of the text is escaped.
    """
    _check.positive("length", length)
    ids, mask = vocabulary.encode([text], length)
    whole = vocabulary.split(text)
    shown = [*whole[:length], *["—"] * (length - len(whole))]
    colour = {PADDING: "#6B7280", UNKNOWN: "#C85200"}

    def row(head: str, cells: list[str]) -> str:
        return f"<tr><th style='text-align:left;padding-right:1em'>{head}</th>{''.join(cells)}</tr>"

    def cell(value: object, number: int) -> str:
        style = f"text-align:center;padding:2px 8px;border:1px solid #D1D5DB;color:{colour.get(number, 'inherit')}"
        return f"<td style='{style}'>{html.escape(str(value))}</td>"

    numbers = ids[0].tolist()
    names = {PADDING: "padding", UNKNOWN: "unknown"}
    table = [
        row("token", [cell("␣" if t == " " else t, n) for t, n in zip(shown, numbers)]),
        row("number", [cell(n, n) for n in numbers]),
        row(
            "read as",
            [cell(names.get(n, "␣" if vocabulary.itos[n] == " " else vocabulary.itos[n]), n) for n in numbers],
        ),
        row("mask", [cell("real" if m else "–", n) for m, n in zip(mask[0].tolist(), numbers)]),
    ]
    unknown = sum(token not in vocabulary for token in whole)
    cut = max(0, len(whole) - length)
    notes = f"{len(whole)} tokens, {unknown} unknown, {cut} cut off, {max(0, length - len(whole))} padded."
    return (
        f"<p>normalised: <code>{html.escape(normalise(text))}</code></p>"
        f"<div style='overflow-x:auto'><table>{''.join(table)}</table></div><p>{notes}</p>"
    )


def token_explorer(
    vocabularies: dict[str, Vocabulary | CharVocabulary], text: str = "A red apple!", length: int = 8
) -> Any:
    """The explorer: write a text, choose a vocabulary and a length, and watch it become numbers.

    vocabularies: by the name the learner chooses from, e.g. {"words": …, "characters": …}
    Returns a widget. Tab moves between the controls; the table follows each key.
    """
    import ipywidgets as w

    if not vocabularies:
        raise ValueError("vocabularies is empty: pass at least one, by name")
    _check.between("length", length, 1, 40)
    label = {"description_width": "110px"}
    written = w.Textarea(value=text, description="Your text", rows=2, style=label, layout=w.Layout(width="95%"))
    which = w.Dropdown(options=list(vocabularies), description="Vocabulary", style=label)
    size = w.IntSlider(value=length, min=1, max=40, description="Length", style=label)
    shown = w.HTML()

    def refresh(change: object = None) -> None:
        shown.value = steps(written.value, vocabularies[which.value], size.value)

    for control in (written, which, size):
        control.observe(refresh, names="value")
    refresh()
    return w.VBox([written, w.HBox([which, size]), shown])
