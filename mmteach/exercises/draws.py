"""Fresh inputs from a seed: the same on every machine, which PyTorch's own generators do not promise.

>>> Draw(3).normal(2, 3).shape
torch.Size([2, 3])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")


class Draw:
    """Random tensors, numbers and choices from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        return torch.from_numpy(self.rng.standard_normal(shape) * scale).float()

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.from_numpy(self.rng.uniform(low, high, shape)).float()

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers from low to high, both included."""
        return torch.from_numpy(self.rng.integers(low, high + 1, shape))

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def number(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 3)

    def pick(self, some: Sequence[T]) -> T:
        return some[int(self.rng.integers(len(some)))]

    def permutation(self, n: int) -> Tensor:
        return torch.from_numpy(self.rng.permutation(n))
