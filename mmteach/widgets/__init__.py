"""The interactive demonstrations: each is a function that returns a widget to stand as a cell's last line.

| name                   | what the learner does with it                                           | module        |
|------------------------|-------------------------------------------------------------------------|---------------|
| `spectrogram_explorer` | speaks a word, changes window and mel bands, hears what is kept          | `spectrogram` |
| `token_explorer`       | writes a text and watches it become padded numbers                       | `tokens`      |
| `noise_explorer`       | makes picture and sound worse and watches what each model believes      | `noise`       |
| `noise_view`           | the same as one still figure                                            | `noise`       |
| `information_explorer` | drags a joint distribution and watches redundancy, uniques and synergy   | `information` |
| `fusion_explorer`      | chooses a fusion, spoils a modality, sees the answer and whom the gate trusts | `fusion`  |
| `fusion_view`          | the same as one still figure                                            | `fusion`      |
| `pareto_explorer`      | moves the weights of two tasks and watches both accuracies and the front | `pareto`     |
| `pareto_view`          | the same as one still figure                                            | `pareto`      |
| `similarity_explorer`  | turns the temperature and watches what the contrastive loss sees of a batch | `similarity` |
| `similarity_view`      | the same as one still figure                                            | `similarity`  |
| `search_explorer`      | searches a gallery by words, in any language that the model has read    | `search`      |
| `search_view`          | the same as one still figure                                            | `search`      |
| `sound_finder`         | types a word, hears it said, sees what its sound and its spelling find   | `bound`       |
| `sound_view`           | the same as one still figure                                            | `bound`       |
| `picture_finder`       | types a wish, paints or uploads a picture, names what it could be         | `apps`        |
| `speech_writer`        | has a text spoken or uploads a sound, and reads what was heard            | `apps`        |
| `clip_finder`          | types a sentence, directs or uploads a clip, reads what happens in it     | `apps`        |

Every control has a label in words and works from the keyboard. Only what both ipywidgets 7 and 8 know is used, because
Colab has 7. Beside each widget a chapter draws a static figure that carries the point alone.
"""

from mmteach.widgets.apps import clip_finder, picture_finder, speech_writer
from mmteach.widgets.bound import sound_finder, sound_view
from mmteach.widgets.fusion import fusion_explorer, fusion_view
from mmteach.widgets.information import information_explorer
from mmteach.widgets.noise import noise_explorer, noise_view
from mmteach.widgets.pareto import pareto_explorer, pareto_view
from mmteach.widgets.search import search_explorer, search_view
from mmteach.widgets.similarity import similarity_explorer, similarity_view
from mmteach.widgets.spectrogram import spectrogram_explorer
from mmteach.widgets.tokens import token_explorer

__all__ = [
    "clip_finder",
    "fusion_explorer",
    "fusion_view",
    "information_explorer",
    "noise_explorer",
    "noise_view",
    "pareto_explorer",
    "pareto_view",
    "picture_finder",
    "search_explorer",
    "search_view",
    "similarity_explorer",
    "similarity_view",
    "sound_finder",
    "sound_view",
    "spectrogram_explorer",
    "speech_writer",
    "token_explorer",
]
