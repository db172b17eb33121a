"""Suite: a dual encoder of two transformers on a GPU; without a GPU it says so and measures nothing.

| name     | what it is                                                                                |
|----------|---------------------------------------------------------------------------------------------|
| `sizes`  | of a ViT-B/16 and CLIP's text tower; the model is `mmteach.recipes.outlook_towers`             |
| `tables` | images a second, share of the limit, memory; as it is and compiled; open_clip where installed |

The chapters' models on a GPU are in the suite `training`, which trains wherever `pick_device` says.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mmteach.alignment import clip_loss
from mmteach.bench import measure
from mmteach.bench.report import Cell, Table
from mmteach.claims import pick
from mmteach.recipes.outlook_towers import towers
from mmteach.training import seed_everything
from mmteach.training.machine import autocast, precision_for


def sizes() -> dict[str, int]:
    """A ViT-B/16 and a text tower of 12 layers of 512, as in CLIP; a toy at smoke scale."""
    small = dict(side=32, patch=16, dim=32, heads=2, layers=1, words=100, length=8, width=32, depth=1, batch=4)
    large = dict(
        side=224, patch=16, dim=768, heads=12, layers=12, words=49408, length=77, width=512, depth=12, batch=256
    )
    return pick(smoke=small, laptop=large, gpu=large)


def step_of(
    model: nn.Module, embed: Callable[[], tuple[Tensor, Tensor, Tensor]], device: torch.device
) -> Callable[[], None]:
    """A training step: embeddings, the CLIP loss, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    precision = precision_for(device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, precision):
            image, text, scale = embed()
            loss = clip_loss(image, text, scale)
        loss.backward()
        optimizer.step()

    return step


def tables() -> list[Table]:
    """The dual encoder, where there is a GPU."""
    if not torch.cuda.is_available():
        return [
            Table(
                "A dual encoder of transformers", "There is no GPU here that PyTorch can use: nothing was measured.", []
            )
        ]
    return [dual_encoder(sizes(), torch.device("cuda"))]


def dual_encoder(size: dict[str, int], device: torch.device) -> Table:
    """Ours as it is and compiled, and open_clip's towers of the same size; each measured for itself, for memory is scarce."""
    seed_everything(0)
    images = torch.rand(size["batch"], 3, size["side"], size["side"], device=device)
    words = torch.randint(1, size["words"], (size["batch"], size["length"]), device=device)
    rows: list[dict[str, Cell]] = []
    counted = 0
    dtype = torch.bfloat16 if precision_for(device) == "bf16" else torch.float32
    limit = measure.matmul(dtype, pick(smoke=64, laptop=8192, gpu=8192), device=device)
    for name in ("ours", "ours, compiled", "open_clip"):
        if name == "open_clip" and importlib.util.find_spec("open_clip") is None:
            rows.append({"who": "open_clip: not installed"})
            continue
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        step = _open_clip(size, images, words, device) if name == "open_clip" else _ours(size, images, words, device)
        if name == "ours":
            counted = measure.flops(step)
        if name == "ours, compiled":
            step = _ours(size, images, words, device, compiled=True)
        rounds = pick(smoke=2, laptop=5, gpu=5)
        times = measure.alternate({"": measure.timed(step, pick(smoke=0.01, laptop=2.0, gpu=2.0))}, rounds)[""]
        seconds = statistics.median(times)
        rows.append({
            "who": name, "ms a step": 1e3 * seconds, "spread, %": measure.spread(times),
            "images a second": size["batch"] / seconds,
            "share of the limit, %": 100 * counted / seconds / limit,
            "peak memory, GB": torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None,
        })  # fmt: skip
    return Table(
        "A dual encoder of transformers",
        f"A vision transformer ({size['layers']} layers of {size['dim']}, patches of {size['patch']}, {size['side']} pixels) "
        f"and a text transformer ({size['depth']} layers of {size['width']}, {size['length']} words), {size['batch']} pairs a "
        f"step, {precision_for(device)}, AdamW. The limit: {limit / 1e12:.3g} TFLOP/s in products of large matrices.",
        rows,
    )


def _ours(
    size: dict[str, int], images: Tensor, words: Tensor, device: torch.device, compiled: bool = False
) -> Callable[[], None]:
    model = towers(size).to(device)
    run: Any = torch.compile(model) if compiled else model

    def embed() -> tuple[Tensor, Tensor, Tensor]:
        z = run({"image": images, "text": words})
        return z["image"], z["text"], model.scale()

    return step_of(model, embed, device)


def _open_clip(size: dict[str, int], images: Tensor, words: Tensor, device: torch.device) -> Callable[[], None]:
    from open_clip.model import CLIP

    vision = dict(image_size=size["side"], patch_size=size["patch"], width=size["dim"], layers=size["layers"],
                  head_width=size["dim"] // size["heads"])  # fmt: skip
    text = dict(context_length=size["length"], vocab_size=size["words"], width=size["width"], heads=size["width"] // 64,
                layers=size["depth"])  # fmt: skip
    model = CLIP(512, vision, text).to(device)

    def embed() -> tuple[Tensor, Tensor, Tensor]:
        image, words_, scale = model(images, words)[:3]
        return image, words_, scale

    return step_of(model, embed, device)
