"""Encoders: one modality in, a vector (B, dim) or tokens (B, T, dim) out.

| name              | takes                     | what it is                                       | when to use it           |
|-------------------|---------------------------|--------------------------------------------------|--------------------------|
| `ImageCNN`        | images (B, C, H, W)       | convolution, ReLU, max-pool, repeated; flattened | the classic model        |
| `ImageResNet`     | images (B, C, H, W)       | residual blocks, averaged over the places        | the default for images   |
| `TextBag`         | token numbers (B, T)      | the mean of the words' embeddings                | keywords, short names    |
| `TextLSTM`        | token numbers (B, T)      | reads left to right, keeps the last state        | the classic model; order |
| `TextTransformer` | token numbers (B, T)      | every word attends to every word; their mean     | sentences                |
| `AudioCNN`        | spectrograms (B, 1, F, T) | convolutions over pitch and time; mean over time | speech and sounds        |
| `VideoEncoder`    | clips (B, N, C, H, W)     | an image encoder a frame, then a mean or a GRU   | what is seen, its order  |
| `VideoCNN`        | clips (B, N, C, H, W)     | convolutions over space and time at once         | motion                   |

Each has `dim`, the width of its vector, and `token_dim`, that of its tokens (equal for all but `ImageCNN`);
forward(x, mask=None) → (B, dim) and tokens(x, mask=None) → ((B, T, token_dim), mask (B, T) or None).
A mask is bool, True = a real step: what stands in a padded step never changes anything, and a row of padding alone gives
zeros. Images and clips may be uint8 (0 to 255), as data sets store them, or floating-point numbers (0 to 1).
"""

from mmteach.encoders.audio import AudioCNN
from mmteach.encoders.image import ImageCNN, ImageResNet
from mmteach.encoders.text import TextBag, TextLSTM, TextTransformer
from mmteach.encoders.video import VideoCNN, VideoEncoder

__all__ = [
    "AudioCNN",
    "ImageCNN",
    "ImageResNet",
    "TextBag",
    "TextLSTM",
    "TextTransformer",
    "VideoCNN",
    "VideoEncoder",
]
