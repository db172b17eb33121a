"""Checks of names, shapes and numbers that every method shares; each error names the argument, what came, what was expected.

They look only at Python values (names, shapes, dtypes, numbers), so `torch.compile` and `torch.func.vmap` trace through
them. What is *inside* a tensor (NaN, an all-padded row) is checked by `mmteach.validate(batch)`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def positive(name: str, value: float | Tensor) -> None:
    """Raise unless a Python number is above zero; tensors (a learned temperature) pass, see `mmteach.validate`."""
    if not isinstance(value, Tensor) and not value > 0:
        raise ValueError(f"{name} must be above 0, got {value}")


def between(name: str, value: float | Tensor, low: float, high: float) -> None:
    """Raise unless low ≤ value ≤ high; tensors pass."""
    if not isinstance(value, Tensor) and not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}, got {value}")


def choice(name: str, value: object, allowed: tuple) -> None:
    """Raise unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def shape(name: str, tensor: Tensor, *expected: int | str) -> None:
    """Raise unless the tensor has this shape; a word stands for any size: shape("x", x, "B", "T", 64)."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
    wanted = "(" + ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "") + ")"
    if tensor.ndim != len(expected) or any(isinstance(e, int) and s != e for s, e in zip(tensor.shape, expected)):
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(tensor.shape)}")
    if 0 in tensor.shape:
        raise ValueError(f"{name} is empty: shape {tuple(tensor.shape)}")


def floating(name: str, tensor: Tensor) -> None:
    """Raise unless the tensor holds floating-point numbers."""
    if not tensor.is_floating_point():
        raise TypeError(f"{name} must hold floating-point numbers, got {tensor.dtype}")


def same_shape(name: str, tensor: Tensor, other_name: str, other: Tensor) -> None:
    """Raise unless both tensors have the same shape."""
    if tensor.shape != other.shape:
        raise ValueError(
            f"{name} and {other_name} must have the same shape, got {tuple(tensor.shape)} and {tuple(other.shape)}"
        )


def features(
    inputs: Mapping[str, Tensor],
    dims: Mapping[str, int],
    *,
    steps: bool,
    masks: Mapping[str, Tensor] | None = None,
    present: Mapping[str, Tensor] | None = None,
) -> None:
    """Check what a fusion was given against the modalities and widths it was built for.

    inputs:  by modality, (B, dims[m]) vectors, or (B, T_m, dims[m]) tokens where `steps` is True
    masks:   by modality, bool (B, T_m), only where `steps` is True
    present: by modality, bool (B,)
    """
    for m in dims:
        if m not in inputs:
            raise ValueError(
                f"modality {m!r} is missing: expected {sorted(dims)}, got {sorted(inputs)}. Where some examples lack it, "
                f"pass a tensor of the right shape (zeros will do) with present={{{m!r}: …}} False for them"
            )
    unknown = sorted(set(inputs) - set(dims))
    if unknown:
        raise ValueError(f"unknown modality {unknown[0]!r}: expected {sorted(dims)}, got {sorted(inputs)}")
    batch = None
    for m, dim in dims.items():
        expected = ("B", "T", dim) if steps else ("B", dim)
        shape(f"inputs[{m!r}]", inputs[m], *expected)
        floating(f"inputs[{m!r}]", inputs[m])
        if batch is not None and len(inputs[m]) != batch[1]:
            raise ValueError(
                f"modalities must have the same batch size, got {batch[1]} for {batch[0]!r} and {len(inputs[m])} for {m!r}"
            )
        batch = (m, len(inputs[m]))
    if masks and not steps:
        raise ValueError("masks are for steps, but this method takes one vector a modality: use present= instead")
    for what, given in (("masks", masks), ("present", present)):
        for m, mask in (given or {}).items():
            if m not in dims:
                raise ValueError(f"{what} names the unknown modality {m!r}: expected some of {sorted(dims)}")
            expected_shape = tuple(inputs[m].shape[:2]) if what == "masks" else (len(inputs[m]),)
            if mask.dtype != torch.bool or tuple(mask.shape) != expected_shape:
                raise ValueError(
                    f"{what}[{m!r}] must be bool with shape {expected_shape} (True = real), "
                    f"got {mask.dtype} with shape {tuple(mask.shape)}"
                )


def blank_absent(inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """The inputs with zeros where a modality is absent, so that what stands there (even NaN) never matters."""
    if not present:
        return dict(inputs)
    return {
        m: x.masked_fill(~present[m].view(-1, *[1] * (x.ndim - 1)), 0) if m in present else x for m, x in inputs.items()
    }
