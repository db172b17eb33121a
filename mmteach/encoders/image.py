"""Images → a vector, or a grid of tokens.

| name          | what it is                                       | when to use it                                       |
|---------------|--------------------------------------------------|------------------------------------------------------|
| `ImageCNN`    | convolution, ReLU, max-pool, repeated; flattened | the classic model; where the place of a thing counts |
| `ImageResNet` | residual blocks, averaged over the places        | the default: fewer parameters, better on new images  |

Both take images (B, C, H, W) as uint8 (0 to 255) or as floating-point numbers (0 to 1).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.encoders._parts import no_mask, pixels


class ImageCNN(nn.Module):
    """A plain convolutional network: at each layer a convolution, a ReLU and a max-pool; then all its numbers in a row.

        h ← maxpool₂(relu(W_l ∗ h + b_l))   for l = 1 … L,   z = vec(h)

    image_size: pixels along each side;  channels: one convolution each;  in_channels: 3 for colour, 1 for grey
    padding: "valid" (a 3 × 3 convolution loses one pixel at each edge, the default of Keras) or "same"
    `dim` = channels[-1] · side², where side is what the pools leave of image_size (224 → 26, 64 → 6, 48 → 4)

    forward(images (B, C, H, W)) → (B, dim);  tokens(images) → (B, side², token_dim), None, with token_dim = channels[-1]
    Raises ValueError where images have another shape, or are too small for that many layers.

    LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition.

    >>> import torch
    >>> encoder = ImageCNN(48)
    >>> encoder(torch.zeros(2, 3, 48, 48, dtype=torch.uint8)).shape, encoder.dim
    (torch.Size([2, 4096]), 4096)
    """

    def __init__(
        self,
        image_size: int = 224,
        channels: Sequence[int] = (64, 128, 256),
        *,
        in_channels: int = 3,
        kernel: int = 3,
        padding: str = "valid",
    ) -> None:
        super().__init__()
        _check.choice("padding", padding, ("valid", "same"))
        for name, value in (("image_size", image_size), ("in_channels", in_channels), ("kernel", kernel)):
            _check.positive(name, value)
        for i, count in enumerate(channels):
            _check.positive(f"channels[{i}]", count)
        layers: list[nn.Module] = []
        side, width = image_size, in_channels
        for out in channels:
            # The pool first: the largest of four rectified numbers is the largest of them rectified, at a quarter of the work.
            layers += [nn.Conv2d(width, out, kernel, padding=padding), nn.MaxPool2d(2), nn.ReLU()]
            side, width = (side - (kernel - 1 if padding == "valid" else 0)) // 2, out
            if side < 1:
                raise ValueError(
                    f"image_size={image_size} is too small for {len(channels)} layers of convolution and pool"
                )
        self.layers = nn.Sequential(*layers)
        self.image_size, self.in_channels, self.side = image_size, in_channels, side
        self.token_dim = width
        self.dim = width * side * side

    def _grid(self, images: Tensor) -> Tensor:
        _check.shape("images", images, "B", self.in_channels, self.image_size, self.image_size)
        dtype = next(self.parameters()).dtype
        return self.layers(pixels(images, dtype))  # (B, channels, side, side)

    def forward(self, images: Tensor, mask: None = None) -> Tensor:
        no_mask(mask)
        return self._grid(images).flatten(1)

    def tokens(self, images: Tensor, mask: None = None) -> tuple[Tensor, None]:
        """One token a place, row by row from the top left: (B, side², token_dim)."""
        no_mask(mask)
        return self._grid(images).flatten(2).mT, None


class ImageResNet(nn.Module):
    """A small residual network; its vector is the mean of its tokens, so it takes images of any size.

        h ← relu(h' + N(W₂ ∗ relu(N(W₁ ∗ h))))   in each block (h' = h, or a 1 × 1 convolution of it where shapes change)
        token_p = V h_p + c,   z = mean_p token_p

    dim: width of the tokens and of the vector;  width: channels of the first stage, a multiple of 8; each of the `stages`
    doubles them and, from the second on, halves the image, after a stem that halves it too;  blocks: a stage
    N normalises groups of 8 channels of one image (group normalisation). Batch normalisation would let one example of a
    batch change another, and an absent image the present ones.

    forward(images (B, in_channels, H, W)) → (B, dim);  tokens(images) → (B, ⌈H/8⌉·⌈W/8⌉ for 3 stages, dim), None
    He et al. 2016, Deep Residual Learning for Image Recognition; Wu & He 2018, Group Normalization.

    >>> import torch
    >>> encoder = ImageResNet(dim=32)
    >>> encoder(torch.rand(2, 3, 48, 48)).shape, encoder.tokens(torch.rand(2, 3, 48, 48))[0].shape
    (torch.Size([2, 32]), torch.Size([2, 36, 32]))
    """

    def __init__(
        self, dim: int = 128, *, width: int = 16, stages: int = 3, blocks: int = 1, in_channels: int = 3
    ) -> None:
        super().__init__()
        for name, value in (("dim", dim), ("width", width), ("stages", stages), ("blocks", blocks)):
            _check.positive(name, value)
        if width % 8:
            raise ValueError(f"width must be a multiple of 8 (channels are normalised in groups of 8), got {width}")
        self.stem = nn.Conv2d(in_channels, width, 3, stride=2, padding=1)
        body = []
        channels = width
        for stage in range(stages):
            for block in range(blocks):
                out = width * 2**stage
                body.append(_ResidualBlock(channels, out, stride=2 if stage and not block else 1))
                channels = out
        self.body = nn.Sequential(*body)
        self.project = nn.Linear(channels, dim)
        self.in_channels = in_channels
        self.dim = self.token_dim = dim

    def _places(self, images: Tensor) -> Tensor:
        _check.shape("images", images, "B", self.in_channels, "H", "W")
        h = self.body(F.relu(self.stem(pixels(images, self.stem.weight.dtype))))
        return h.flatten(2).mT  # (B, places, channels)

    def forward(self, images: Tensor, mask: None = None) -> Tensor:
        no_mask(mask)
        return self.project(self._places(images).mean(1))  # a linear map of the mean is the mean of the linear maps

    def tokens(self, images: Tensor, mask: None = None) -> tuple[Tensor, None]:
        """One token a place, row by row from the top left: (B, places, dim)."""
        no_mask(mask)
        return self.project(self._places(images)), None


class _ResidualBlock(nn.Module):
    """relu(shortcut(h) + N(W₂ ∗ relu(N(W₁ ∗ h))))"""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        # A normalisation shifts what it returns, so a bias before it would do nothing.
        self.first = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.second = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm_first, self.norm_second = nn.GroupNorm(out // 8, out), nn.GroupNorm(out // 8, out)
        same = stride == 1 and channels == out
        self.shortcut: nn.Module = nn.Identity() if same else nn.Conv2d(channels, out, 1, stride=stride)

    def forward(self, h: Tensor) -> Tensor:
        update = self.norm_second(self.second(F.relu(self.norm_first(self.first(h)))))
        return F.relu(self.shortcut(h) + update)
