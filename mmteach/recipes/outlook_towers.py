"""Chapter 07, size: emoji found by their names by two transformers, large enough on a GPU to be divided over several.

| name      | what it is                                                                        |
|-----------|-------------------------------------------------------------------------------------|
| `Patches` | a vision transformer: patches of a picture as tokens, their mean as its vector        |
| `towers`  | it and a `TextTransformer` in a `DualEncoder`                                         |
| `train`   | they learn from chapter 04's pictures and texts, each process with a part of the weights |
| `large`   | the table                                                                         |

    torchrun --nproc-per-node 4 -m mmteach train towers --scale gpu --out towers.json

It was cut off? The same command goes on: each epoch leaves a checkpoint in the folder of generated data.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmteach.alignment import DualEncoder
from mmteach.claims import pick, scale
from mmteach.data.store import cache_dir
from mmteach.encoders import TextTransformer
from mmteach.encoders._parts import pixels
from mmteach.recipes.crossmodal_glyphs import ranks
from mmteach.recipes.crossmodal_search import (
    STYLES,
    Pieces,
    called,
    cropped,
    emoji_views,
    look_at,
    numbers_in,
    read,
    search_loss,
    two_views,
)
from mmteach.training import fit, seed_everything
from mmteach.training.parallel import is_first


class Patches(nn.Module):
    """A vision transformer without a class token.

        token_p = W patch_p + position_p,   z = mean_p LN(Transformer(token)_p)

    images (B, 3, side, side), uint8 or floating-point → (B, dim). Dosovitskiy et al. 2021, An Image is Worth 16x16 Words.

    >>> Patches(side=8, patch=4, dim=16, heads=2, layers=1)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 16])
    """

    def __init__(self, side: int, patch: int, dim: int, heads: int, layers: int) -> None:
        super().__init__()
        self.dim = dim
        self.cut = nn.Conv2d(3, dim, patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn((side // patch) ** 2, dim))
        layer = nn.TransformerEncoderLayer(
            dim, heads, 4 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)

    def forward(self, images: Tensor, mask: None = None) -> Tensor:
        patches = self.cut(pixels(images, self.cut.weight.dtype))  # (B, dim, side / patch, side / patch)
        return self.layers(patches.flatten(2).mT + self.position).mean(1)


def towers(size: dict[str, int]) -> DualEncoder:
    """Image and text tower in one space as wide as the text tower."""
    image = Patches(size["side"], size["patch"], size["dim"], size["heads"], size["layers"])
    text = TextTransformer(
        size["words"], size["width"], heads=size["width"] // 64 or 1, layers=size["depth"], max_length=256
    )
    return DualEncoder({"image": image, "text": text}, dim=size["width"])


def train(seed: int) -> tuple[DualEncoder, Pieces]:
    """Two towers trained with chapter 04's loss on its three styles; under torchrun each process holds a part of them."""
    views, pieces = emoji_views([one for one in STYLES if one != "fluent"])
    toy = dict(side=32, patch=16, dim=32, heads=2, layers=1, width=32, depth=1)
    small = dict(side=32, patch=8, dim=128, heads=4, layers=4, width=128, depth=2)
    base = dict(side=32, patch=4, dim=768, heads=12, layers=12, width=512, depth=12)
    seed_everything(seed)
    model = towers({**pick(smoke=toy, laptop=small, gpu=base), "words": len(pieces)})
    file = cache_dir() / f"towers-{scale()}-{seed}.pt"
    fit(
        model, views, loss=search_loss(views.inputs["text"][:, 0]), augment=two_views,
        steps=pick(smoke=2, laptop=400, gpu=10_000), batch_size=pick(smoke=16, laptop=128, gpu=512),
        lr=pick(smoke=1e-3, laptop=1e-3, gpu=3e-4), weight_decay=0.1, clip_norm=1.0, schedule="cosine", warmup=0.05,
        seed=seed, shard=True, checkpoint=file, resume=True,
    )  # fmt: skip
    if is_first():
        file.unlink()  # the run is over: the next one with this seed begins anew
    return model, pieces


def large(seed: int) -> dict[str, dict[str, float]]:
    """Emoji in a style never seen, of concepts seen in others, found by their English names."""
    model, pieces = train(seed)
    numbers = numbers_in("train", "valid")
    found = ranks(look_at(model, cropped("fluent")[numbers]), read(model, pieces, [called(i)[0] for i in numbers]))
    return {"two transformers": {**found, "parameters": float(sum(p.numel() for p in model.parameters()))}}
