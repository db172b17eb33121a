"""Checks of names, shapes and numbers that every method shares; each error names the argument, what came, what was expected.

They look only at Python values (names, shapes, dtypes, numbers), so `torch.compile` and `torch.func.vmap` trace through
them. What is *inside* a tensor (NaN, an all-padded row) is checked by `mmteach.validate(batch)`.

| name                   | raises unless …                                                                    |
|------------------------|------------------------------------------------------------------------------------|
| `number`, `whole`      | it is a number; a whole number of at least so much                                 |
| `positive`, `between`  | the number is above 0; within bounds                                               |
| `choice`               | it is one of a few words                                                           |
| `shape`, `same_shape`  | the tensor has this shape, and is not empty; two tensors have the same             |
| `floating`             | the tensor holds floating-point numbers                                            |
| `by_modality`          | it is a dict, not a bare tensor                                                    |
| `features`             | inputs, masks and present fit the modalities and widths a method was built for     |
| `blank_absent`         | (raises nothing) puts zeros where a modality is absent                             |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def number(name: str, value: object) -> None:
    """Raise for what is plainly no number: words, nothing, a collection; tensors pass."""
    if value is None or isinstance(value, (str, bytes, list, tuple, dict, set)):
        raise TypeError(f"{name} must be a number, got {value!r}")


def whole(name: str, value: object, at_least: int | None = None) -> None:
    """Raise unless `value` is a whole number (Python's or NumPy's), of at least so much where a bound is given."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if at_least is not None and not value >= at_least:  # type: ignore[operator]
        raise ValueError(f"{name} must be at least {at_least}, got {value}")


def positive(name: str, value: float | Tensor) -> None:
    """Raise unless a Python number is above zero; tensors (a learned temperature) pass, see `mmteach.validate`."""
    number(name, value)
    if not isinstance(value, Tensor) and not value > 0:
        raise ValueError(f"{name} must be above 0, got {value}")


def between(name: str, value: float | Tensor, low: float, high: float) -> None:
    """Raise unless low ≤ value ≤ high; tensors pass."""
    number(name, value)
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
    """Raise unless it is a tensor of floating-point numbers."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
    if not tensor.is_floating_point():
        raise TypeError(f"{name} must hold floating-point numbers, got {tensor.dtype}")


def same_shape(name: str, tensor: Tensor, other_name: str, other: Tensor) -> None:
    """Raise unless both are tensors of the same shape."""
    for each, given in ((name, tensor), (other_name, other)):
        if not isinstance(given, Tensor):
            raise TypeError(f"{each} must be a tensor, got {type(given).__name__}")
    if tensor.shape != other.shape:
        raise ValueError(
            f"{name} and {other_name} must have the same shape, got {tuple(tensor.shape)} and {tuple(other.shape)}"
        )


def by_modality(name: str, columns: object) -> None:
    """Raise for the commonest mistake, a bare tensor or a list in the place of a dict by modality."""
    if isinstance(columns, (Tensor, list, tuple)):
        raise TypeError(f"{name} must be a dict by modality, got {type(columns).__name__}")


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
    for what, columns in (("inputs", inputs), ("masks", masks), ("present", present)):
        by_modality(what, columns)
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
            if not isinstance(mask, Tensor):
                raise TypeError(f"{what}[{m!r}] must be a bool tensor, got {type(mask).__name__}")
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
