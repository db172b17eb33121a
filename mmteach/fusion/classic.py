"""The classic model of image and text, layer by layer, and the same model from Keras.

| name                  | what it is                                    | when to use it                                      |
|-----------------------|-----------------------------------------------|-----------------------------------------------------|
| `ClassicFusion`       | CNN and LSTM, concatenation, two dense layers | the first multimodal model; a baseline to beat      |
| `carry_keras_weights` | the weights of a Keras build, put into ours   | to see that two frameworks compute the same numbers |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmteach._check import blank_absent, positive
from mmteach.encoders import ImageCNN, TextLSTM
from mmteach.fusion.classifier import check_modalities


class ClassicFusion(nn.Module):
    """An image CNN and a text LSTM, their vectors side by side, and two dense layers on top.

        z = [vec CNN(image); LSTM(text)],   logit = w·relu(W₂ relu(W₁ z + b₁) + b₂) + b

    | part  | layers                                                                         | output at 224 × 224     |
    |-------|--------------------------------------------------------------------------------|-------------------------|
    | image | 3 × [3 × 3 convolution (64, 128, 256 channels), ReLU, 2 × 2 max-pool], flatten | 26 · 26 · 256 = 173,056 |
    | text  | `vocabulary` words embedded 64 wide; LSTM of 64 units, its last state          | 64                      |
    | head  | concatenation, dense 128 and ReLU, dense 64 and ReLU, dense `classes`          | 1                       |

    forward({"image": (B, 3, S, S), "text": (B, T)}, masks=None, present=None) → logits (B,), or (B, classes) for more than 1
    `probability` of the same → σ(logit), or a softmax over the classes.
    Without masks the LSTM reads the padding too, as Keras does by default; with masks={"text": ids != 0} it skips it, as
    Keras does with mask_zero=True. A modality that is absent counts as zeros.

    `TRAINING` holds the classic settings, for `fit(model, train, valid, loss=detect(), **ClassicFusion.TRAINING)`: Adam (what
    `fit` always uses) on the binary cross-entropy; `VALID_SHARE` is the share of the training data kept for validation.
    At 224 × 224 and 10,000 words it has 23,211,905 parameters: the 23,211,649 of a Keras build and 256 more, because
    PyTorch's LSTM keeps two biases where one would do. 95 % of them sit in the first dense layer.

    >>> model = ClassicFusion(image_size=48, vocabulary=100)
    >>> batch = {"image": torch.zeros(2, 3, 48, 48, dtype=torch.uint8), "text": torch.ones(2, 100, dtype=torch.long)}
    >>> model(batch).shape, bool((model.probability(batch) < 1).all())
    (torch.Size([2]), True)
    """

    TRAINING: dict[str, Any] = {"lr": 1e-3, "batch_size": 32, "epochs": 10}
    VALID_SHARE = 0.2
    TEXT_LENGTH = 100  # words; the model takes any number of them

    def __init__(
        self,
        image_size: int = 224,
        vocabulary: int = 10_000,
        *,
        channels: Sequence[int] = (64, 128, 256),
        embedding: int = 64,
        units: int = 64,
        hidden: Sequence[int] = (128, 64),
        classes: int = 1,
    ) -> None:
        super().__init__()
        positive("classes", classes)
        self.image = ImageCNN(image_size, channels)
        self.text = TextLSTM(vocabulary, embedding, units)
        head: list[nn.Module] = []
        width = self.image.dim + self.text.dim
        for out in hidden:
            head += [nn.Linear(width, out), nn.ReLU()]
            width = out
        self.head = nn.Sequential(*head, nn.Linear(width, classes))

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        check_modalities(("image", "text"), inputs, masks, present)
        masks = masks or {}
        inputs = blank_absent(inputs, present)
        vectors = {
            "image": self.image(inputs["image"], masks.get("image")),  # (B, 256 · side²)
            "text": self.text(inputs["text"], masks.get("text")),  # (B, units)
        }
        vectors = blank_absent(vectors, present)
        z = torch.cat([vectors["image"], vectors["text"]], dim=1)
        logits = self.head(z)  # (B, classes)
        return logits.squeeze(-1) if logits.shape[-1] == 1 else logits

    def probability(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """σ(logit) (B,), the probability of yes; or a softmax over the classes (B, classes)."""
        logits = self(inputs, masks=masks, present=present).float()
        return logits.sigmoid() if logits.ndim == 1 else logits.softmax(-1)


@torch.no_grad()
def carry_keras_weights(model: ClassicFusion, keras_model: Any) -> ClassicFusion:
    """Put the weights of a Keras build of the classic model into ours, in place, and return it.

    keras_model: built of the same layers in the same order (Conv2D three times, Embedding, LSTM, Dense three times), its
    concatenation [image, text]. Keras itself is not imported here.

    Four things differ between the frameworks:
    1. a convolution's kernel is (height, width, in, out) there and (out, in, height, width) here;
    2. a dense kernel is (in, out) there and (out, in) here, an LSTM's too; the gates come in the same order, i, f, g, o;
    3. an LSTM has one bias there and two here, which are added: ours gets it, the second stays zero;
    4. flattening a picture runs through (height, width, channel) there and (channel, height, width) here, so the columns
       of the first dense layer are put in the other order.

    Raises ValueError where a layer is missing or has another shape.
    """
    layers: dict[str, list] = {}
    for layer in keras_model.layers:
        layers.setdefault(type(layer).__name__, []).append([torch.as_tensor(w) for w in layer.get_weights()])
    convolutions = [m for m in model.image.layers if isinstance(m, nn.Conv2d)]
    dense = [m for m in model.head if isinstance(m, nn.Linear)]
    for kind, count in (("Conv2D", len(convolutions)), ("Embedding", 1), ("LSTM", 1), ("Dense", len(dense))):
        if len(layers.get(kind, [])) != count:
            raise ValueError(f"the Keras model must have {count} {kind} layers, got {len(layers.get(kind, []))}")

    for ours, (kernel, bias) in zip(convolutions, layers["Conv2D"]):
        _put(ours.weight, kernel.permute(3, 2, 0, 1), "Conv2D kernel")
        _put(ours.bias, bias, "Conv2D bias")
    text: Any = model.text
    _put(text.embedding.weight, layers["Embedding"][0][0], "Embedding")
    kernel, recurrent, bias = layers["LSTM"][0]
    _put(text.lstm.weight_ih_l0, kernel.mT, "LSTM kernel")
    _put(text.lstm.weight_hh_l0, recurrent.mT, "LSTM recurrent kernel")
    _put(text.lstm.bias_ih_l0, bias, "LSTM bias")
    text.lstm.bias_hh_l0.zero_()
    for position, (linear, (kernel, bias)) in enumerate(zip(dense, layers["Dense"])):
        if position == 0:
            side, channels = model.image.side, model.image.token_dim
            places = torch.arange(model.image.dim).view(side, side, channels).permute(2, 0, 1).flatten()
            kernel = torch.cat([kernel[: len(places)][places], kernel[len(places) :]])
        _put(linear.weight, kernel.mT, "Dense kernel")
        _put(linear.bias, bias, "Dense bias")
    return model


def _put(parameter: Tensor | None, value: Tensor, name: str) -> None:
    assert parameter is not None  # every layer here has a bias
    if parameter.shape != value.shape:
        raise ValueError(
            f"{name} must have shape {tuple(parameter.shape)} (as PyTorch has it), got {tuple(value.shape)}"
        )
    parameter.copy_(value)
