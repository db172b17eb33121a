"""Chapter 07, Outlook: its tables.

| table         | module            | what it measures                                                        |
|---------------|-------------------|-------------------------------------------------------------------------|
| `bound`       | `outlook_binding` | picture, name and sound bound through the name: retrieval on each edge    |
| `wrong-pairs` | `outlook_pairs`   | alignment and classification while a share of the pairs is wrong          |
| `little-data` | `outlook_little`  | digits heard, learned from a handful of labels                            |
| `sizes`       | `outlook_size`    | widths, steps and data against what is found                              |
| `towers`      | `outlook_towers`  | two transformers, divided over processes; no chapter reads it            |

`outlook_order` and `outlook_speed` are small enough for the chapter itself.
"""

from __future__ import annotations

from mmteach.recipes import Recipe
from mmteach.recipes.outlook_binding import bound
from mmteach.recipes.outlook_little import little_data
from mmteach.recipes.outlook_pairs import wrong_pairs
from mmteach.recipes.outlook_size import sizes
from mmteach.recipes.outlook_towers import large

RECIPES = [
    Recipe("bound", "Picture, name and sound bound through the name: retrieval on known and unseen concepts", bound),
    Recipe("wrong-pairs", "Glyphs aligned and digits classified, 0 to 80 % of the training pairs wrong", wrong_pairs),
    Recipe("little-data", "Spoken digits learned from 10 to 300 labels in five ways", little_data),
    Recipe("sizes", "Glyphs found by name: eight widths, short and long training, few and many faces", sizes),
    Recipe("towers", "Emoji found by their names by two transformers, divided over processes: best on GPUs", large),
]
