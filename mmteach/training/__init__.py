"""Training: one loop for every model of the course, and what a run leaves behind.

| name              | what it is for                                                            |
|-------------------|---------------------------------------------------------------------------|
| `fit`             | train a model; returns a `History`                                          |
| `predict`         | a model's outputs for a whole split                                         |
| `classify`        | the loss of a classifier                                                    |
| `detect`          | the loss of a yes/no question                                               |
| `History`         | a row an epoch, the best one, learning curves                               |
| `over_seeds`      | run an experiment on several seeds; a table with mean and 95 % interval     |
| `summary`         | such a table in words: mean ± half the interval                             |
| `validate`        | what is wrong with a batch's values, before training on it                  |
| `seed_everything` | the same random numbers again                                               |
| `pick_device`     | the GPU where there is one                                                  |
| `gather`          | under torchrun: a batch's rows of all processes, for a loss that compares them |
| `precision_for`   | the fastest precision that a device computes well                           |
| `small_precision` | float32, unless MMTEACH_PRECISION says something else                       |
"""

from mmteach.training.history import History
from mmteach.training.loop import classify, detect, fit, predict
from mmteach.training.machine import pick_device, precision_for, seed_everything, small_precision
from mmteach.training.parallel import gather
from mmteach.training.seeds import over_seeds, summary
from mmteach.training.validate import validate

__all__ = [
    "History",
    "classify",
    "detect",
    "fit",
    "gather",
    "over_seeds",
    "pick_device",
    "precision_for",
    "predict",
    "seed_everything",
    "small_precision",
    "summary",
    "validate",
]
