"""What this machine offers a training run: the device, the precision, the seeds.

| name              | what it gives                                                        |
|-------------------|----------------------------------------------------------------------|
| `pick_device`     | the GPU where there is one, else the CPU; or the one you name, checked |
| `precision_for`   | "bf16", "fp16" or "fp32": the fastest one the device computes well     |
| `small_precision` | float32, or what MMTEACH_PRECISION says: for small networks          |
| `autocast`        | the context in which a model runs at that precision                  |
| `seed_everything` | the same random numbers in Python, NumPy and PyTorch                 |
"""

from __future__ import annotations

import os
import random
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from mmteach import _check

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device to train on: the one named, else MMTEACH_DEVICE, else a GPU where there is one, else the CPU.

    Under torchrun, "cuda" without a number is the GPU of this process (LOCAL_RANK): one process a GPU.
    Raises RuntimeError where a GPU was asked for and there is none, and says how to go on without.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    chosen = torch.device(
        device or os.environ.get("MMTEACH_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    )
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(
            f"device {str(chosen)!r} was asked for, but PyTorch sees no CUDA GPU here. Leave `device` out to train on the "
            "CPU; on Colab choose Runtime > Change runtime type > GPU; elsewhere `mmteach doctor` says what is missing"
        )
    if chosen.type == "cuda" and chosen.index is None and "LOCAL_RANK" in os.environ:
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise RuntimeError(f"device {str(chosen)!r} was asked for, but there are only {torch.cuda.device_count()} GPUs")
    return chosen


def precision_for(device: torch.device | str) -> str:
    """The precision in which this device trains fastest without harm.

    A GPU of compute capability 8.0 or above: "bf16". An older GPU (a Colab T4): "fp16", with scaled gradients.
    A CPU with bf16 instructions (AVX512-BF16 or AMX): "bf16". Everything else: "fp32".
    MMTEACH_PRECISION overrides the answer; ValueError where it names no precision.

    >>> precision_for("cpu") in ("bf16", "fp32")
    True
    """
    asked = os.environ.get("MMTEACH_PRECISION", "auto")
    _check.choice("MMTEACH_PRECISION", asked, PRECISIONS)
    if asked != "auto":
        return asked
    device = torch.device(device)
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    if device.type == "cpu":
        # PyTorch has no public question for these two; where a version lacks them, plain float32 is always right.
        asks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
        return "bf16" if any(ask() for ask in asks if ask) else "fp32"
    return "fp32"


def small_precision() -> str:
    """The precision of a network too small to gain by fewer bits: "fp32", unless MMTEACH_PRECISION says something else.

    >>> small_precision() in ("fp32", "bf16", "fp16")
    True
    """
    asked = os.environ.get("MMTEACH_PRECISION", "auto")
    _check.choice("MMTEACH_PRECISION", asked, PRECISIONS)
    return "fp32" if asked == "auto" else asked


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """The context in which a model's forward pass runs at `precision`; float32 needs none."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's generators, so that the same code gives the same numbers again on a CPU.

    >>> seed_everything(3)
    >>> first = torch.rand(2)
    >>> seed_everything(3)
    >>> torch.equal(torch.rand(2), first)
    True
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries that learners meet still draw from the global generator
    torch.manual_seed(seed)
