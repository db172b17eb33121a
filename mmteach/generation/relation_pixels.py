"""Answering questions about pictures: a CNN finds the objects, then pairs are compared, or all is read at once.

| name                   | what it is                                       | when to use it                 |
|------------------------|--------------------------------------------------|--------------------------------|
| `PixelCNN`             | four convolutions: a picture → a grid of cells   | the eyes of the two others     |
| `PixelRelationNetwork` | the cells are the objects of a `RelationNetwork` | the paper's model; wants a GPU |
| `PixelMLP`             | the cells laid end to end, read by one MLP       | the paper's baseline           |
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.encoders._parts import pixels
from mmteach.generation.relation import RelationNetwork, mlp, read_scene


class PixelCNN(nn.Module):
    """Four 3×3 convolutions, each halving the picture, and for each cell of the result where it lies.

        side = math.ceil(size / 16)  # each of the four convolutions halves, rounding up

    image (B, 3, H, W), floating-point, or uint8, which is divided by 255 → (B, H/16 · W/16, channels + 2), sizes rounded up
    Groups of channels are normalised within each picture, not over the batch as in the paper: a picture's answer then does
    not depend on its neighbours, and a batch of one works.

    Santoro et al. 2017, A simple neural network module for relational reasoning.

    >>> tuple(PixelCNN()(torch.zeros(2, 3, 75, 75)).shape)
    (2, 25, 26)
    """

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        _check.positive("channels", channels)
        if channels % 4:
            raise ValueError(f"channels must be a multiple of 4 (the groups that are normalised), got {channels}")
        self.dim = channels + 2
        layers: list[nn.Module] = []
        for c in (3, channels, channels, channels):
            layers += [nn.Conv2d(c, channels, 3, stride=2, padding=1), nn.GroupNorm(4, channels), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        _check.shape("inputs['image']", image, "B", 3, "H", "W")
        x = self.layers(pixels(image, next(self.parameters()).dtype))
        b, _, h, w = x.shape
        down = torch.linspace(-1, 1, h, dtype=x.dtype, device=x.device)[:, None].expand(h, w)
        across = torch.linspace(-1, 1, w, dtype=x.dtype, device=x.device)[None].expand(h, w)
        places = torch.stack([across, down]).expand(b, 2, h, w)
        return torch.cat([x, places], 1).flatten(2).mT


class PixelRelationNetwork(nn.Module):
    """A relation network whose objects are the cells of a CNN.

        answer = f( Σ_{i,j} g([cell_i; cell_j; q]) )

    question_dim, answers: sizes; channels: the CNN's; hidden, g_layers, f_layers, pool: `RelationNetwork`'s
    forward(inputs {"image": (B, 3, H, W), "question": (B, question_dim)}, masks, present) → logits (B, answers)
    An absent picture is read as a black one.

    Raises ValueError for inputs that are missing or do not fit.
    Santoro et al. 2017, A simple neural network module for relational reasoning.

    >>> network = PixelRelationNetwork(question_dim=11, answers=10, hidden=16)
    >>> tuple(network({"image": torch.zeros(2, 3, 75, 75), "question": torch.zeros(2, 11)}).shape)
    (2, 10)
    """

    def __init__(
        self,
        question_dim: int,
        answers: int,
        *,
        channels: int = 24,
        hidden: int = 128,
        g_layers: int = 4,
        f_layers: int = 2,
        pool: str = "sum",
    ) -> None:
        super().__init__()
        self.cnn = PixelCNN(channels)
        self.relation = RelationNetwork(
            self.cnn.dim, question_dim, answers, hidden=hidden, g_layers=g_layers, f_layers=f_layers, pool=pool
        )

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        image, question, _ = read_scene(inputs, ("image", "question"), masks, present)
        return self.relation.relate(self.cnn(image), question)


class PixelMLP(nn.Module):
    """A CNN whose cells are laid end to end and read, with the question, by one MLP.

        answer = MLP([cell_1; …; cell_N; q])

    size: height and width of the pictures, in pixels; the other sizes are as in `PixelRelationNetwork`; layers: hidden ones
    forward(inputs {"image": (B, 3, size, size), "question": (B, question_dim)}, masks, present) → logits (B, answers)

    Raises ValueError for inputs that are missing or do not fit.
    The baseline of Santoro et al. 2017, A simple neural network module for relational reasoning.

    >>> network = PixelMLP(size=75, question_dim=11, answers=10, hidden=16)
    >>> tuple(network({"image": torch.zeros(2, 3, 75, 75), "question": torch.zeros(2, 11)}).shape)
    (2, 10)
    """

    def __init__(
        self,
        size: int,
        question_dim: int,
        answers: int,
        *,
        channels: int = 24,
        hidden: int = 256,
        layers: int = 4,
    ) -> None:
        super().__init__()
        for name, value in (("size", size), ("question_dim", question_dim), ("answers", answers), ("layers", layers)):
            _check.positive(name, value)
        self.size, self.question_dim = size, question_dim
        self.cnn = PixelCNN(channels)
        side = math.ceil(size / 16)  # each of the four convolutions halves, rounding up
        self.read = mlp(side * side * self.cnn.dim + question_dim, hidden, layers, answers)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        image, question, _ = read_scene(inputs, ("image", "question"), masks, present)
        _check.shape("inputs['image']", image, "B", 3, self.size, self.size)
        _check.shape("question", question, len(image), self.question_dim)
        return self.read(torch.cat([self.cnn(image).flatten(1), question], 1))
