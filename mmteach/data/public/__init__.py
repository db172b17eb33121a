"""Real public data sets, from a folder you have; none of them comes with mmteach.

| name                   | modalities                                       | layout of the folder                      |
|------------------------|--------------------------------------------------|-------------------------------------------|
| `load_fsdd`            | spoken digits                                    | Free Spoken Digit Dataset                 |
| `load_speech_commands` | spoken words                                     | Speech Commands                           |
| `load_pets`            | picture, breed                                   | torchvision's OxfordIIITPet               |
| `load_flowers`         | picture, flower                                  | torchvision's Flowers102                  |
| `load_mnist`           | handwritten digits                               | torchvision's MNIST                       |
| `load_captions`        | picture, captions                                | Flickr8k, or a folder of your own like it |
| `load_ucf101`          | video, action                                    | UCF101 (needs the extra `video`)          |
| `load_tuxpaint`        | picture, captions in many languages, human voice | Tux Paint's stamps                        |

Check each set's licence before you use it. A folder that is not what was expected raises DataError, which says what was
expected, what was found, and where to get the set. What takes long to decode is kept in the cache until a file changes.
"""

from mmteach.data.public.pictures import load_captions, load_flowers, load_mnist, load_pets
from mmteach.data.public.speech import load_fsdd, load_speech_commands
from mmteach.data.public.stamps import load_tuxpaint
from mmteach.data.public.videos import load_ucf101

__all__ = [
    "load_captions",
    "load_flowers",
    "load_fsdd",
    "load_mnist",
    "load_pets",
    "load_speech_commands",
    "load_tuxpaint",
    "load_ucf101",
]
