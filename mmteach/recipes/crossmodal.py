"""Chapter 04, Cross-modal learning: its tables.

| table          | module                    | what it measures                                                          |
|----------------|---------------------------|---------------------------------------------------------------------------|
| `objectives`   | `crossmodal_glyphs`       | nine ways to align pictures and names, on equal terms                     |
| `temperatures` | `crossmodal_glyphs`       | InfoNCE at fixed temperatures and with a learned one                      |
| `batches`      | `crossmodal_glyphs`       | InfoNCE with several batch sizes                                          |
| `copies`       | `crossmodal_glyphs`       | false negatives pushed, left out, or pulled                               |
| `search`, `search-outlines` | `crossmodal_search` | emoji found by words, one drawing style and concepts held out        |
| `captions`     | `crossmodal_captions`     | two shapes and unseen characters put into words                           |
| `distil`       | `crossmodal_distillation` | an ear taught by an eye, without labels                                   |
| `relations`    | `crossmodal_relations`    | Sort-of-CLEVR, a relation network against an MLP                          |
"""

from __future__ import annotations

from mmteach.recipes import Recipe
from mmteach.recipes.crossmodal_captions import captions
from mmteach.recipes.crossmodal_distillation import distil
from mmteach.recipes.crossmodal_glyphs import batches, copies, objectives, temperatures
from mmteach.recipes.crossmodal_relations import relations
from mmteach.recipes.crossmodal_search import search, search_outlines

RECIPES = [
    Recipe("objectives", "Glyphs: nine ways to align pictures and names, on equal terms", objectives),
    Recipe("temperatures", "Glyphs: InfoNCE at fixed temperatures and with a learned one", temperatures),
    Recipe("batches", "Glyphs: InfoNCE with several batch sizes, as many examples or as many steps", batches),
    Recipe("copies", "Glyphs: false negatives pushed, left out, or pulled", copies),
    Recipe(
        "search", "Emoji found by words: fluent drawings and concepts that training never saw, ten languages", search
    ),
    Recipe("search-outlines", "The same with openmoji's outlines as the unseen style", search_outlines),
    Recipe(
        "captions", "Captions of two shapes, of pairs never seen together, and names of unseen characters", captions
    ),
    Recipe("distil", "Digits: an ear taught by an eye, without a label", distil),
    Recipe("relations", "Sort-of-CLEVR from state descriptions: a relation network and an MLP of its size", relations),
]
