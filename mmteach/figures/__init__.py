"""Every figure of the course: one palette, one style, and alt text with each.

| name              | what it draws                                                     |
|-------------------|--------------------------------------------------------------------|
| `learning_curves` | training and validation loss over the epochs                       |
| `compare`         | models against each other over seeds, with 95 % intervals           |
| `heatmap`         | a grid of numbers                                                   |
| `picture_grid`    | pictures with captions                                              |
| `film_strip`      | frames of clips, time from left to right                            |
| `moving`          | clips that move on the page                                         |
| `sound`           | a waveform and its spectrogram                                      |
| `resolution`      | one sound through several windows                                  |
| `information`     | redundancy, uniques and synergy as bars                            |
| `beliefs`         | a model's probabilities over the classes                            |
| `alignment`       | when each letter of a text was heard                                |
| `triangle`        | three modalities bound through one, with what is found on each edge |
| `curves`          | a figure of merit against a dial, a line a model, over seeds        |
| `frontier`        | accuracy against cost, and the front                                |
| `timeline`        | a field's history: years to scale, a row of text an event            |
| `canvas`          | an empty figure in the course's look, for a chapter's own drawings  |
| `describe`        | a figure with its alt text, to stand as a cell's last line          |
| `show`            | a picture in the middle of a cell                                   |
| `use_style`       | the course's look for everything drawn after it                     |
"""

from mmteach.figures.applications import alignment
from mmteach.figures.charts import compare, heatmap, learning_curves
from mmteach.figures.concepts import information, resolution
from mmteach.figures.moving import MovingPicture, moving
from mmteach.figures.outlook import curves, frontier, triangle
from mmteach.figures.samples import as_picture, beliefs, film_strip, picture_grid, sound
from mmteach.figures.style import COLOURS, MARKERS, PALETTE, Picture, canvas, describe, show, style, use_style
from mmteach.figures.timeline import Event, timeline

__all__ = [
    "COLOURS",
    "MARKERS",
    "PALETTE",
    "Event",
    "MovingPicture",
    "Picture",
    "alignment",
    "as_picture",
    "beliefs",
    "canvas",
    "compare",
    "curves",
    "describe",
    "film_strip",
    "frontier",
    "heatmap",
    "information",
    "learning_curves",
    "moving",
    "picture_grid",
    "resolution",
    "show",
    "sound",
    "style",
    "timeline",
    "triangle",
    "use_style",
]
