"""Checks of what is inside a batch, made once before training, outside the compiled step.

The methods themselves check names, shapes and dtypes only: looking at values would stop `torch.compile`, and on a GPU
would make every step wait.
"""

from __future__ import annotations

import torch

from mmteach.data.batch import Batch


def validate(batch: Batch, name: str = "batch") -> Batch:
    """Return the batch unchanged, or raise ValueError that names the first column and example that cannot be trained on.

    Found out: no examples; NaN or infinite numbers and negative token ids, where a modality is present and a step is real;
    masks that are not bool, do not fit their modality, or hide every step of a modality that is present; examples with no
    modality at all; floating-point targets that are NaN or infinite.

    >>> good = Batch({"text": torch.tensor([[4, 2], [3, 0]])}, masks={"text": torch.tensor([[True, True], [True, False]])})
    >>> validate(good) is good
    True
    >>> validate(Batch({"image": torch.full((2, 3), torch.nan)}), "train")
    Traceback (most recent call last):
    ValueError: train.inputs['image']: NaN or infinite in 2 of 2 examples, first in example 0; clean it, or mark it absent
    """
    if not isinstance(batch, Batch):
        raise TypeError(f"{name} must be a Batch, such as splits.train, got {type(batch).__name__}")
    if len(batch) == 0:
        raise ValueError(f"{name} has no examples")
    absent = torch.ones(len(batch), dtype=torch.bool)
    for m, x in batch.inputs.items():
        here = _present(batch, m, name)
        absent &= ~here
        mask = batch.masks.get(m)
        steps = None if mask is None else _steps(mask, m, len(batch), name)
        if steps is not None:
            if steps.shape[1] not in x.shape[1:]:
                raise ValueError(
                    f"{name}.masks[{m!r}] has {steps.shape[1]} steps, which is no axis of {name}.inputs[{m!r}] {tuple(x.shape)}"
                )
            _first(
                ~steps.flatten(1).any(1) & here,
                f"{name}.masks[{m!r}]",
                "every step is padding",
                "mark it absent in `present`",
            )
        if x.is_floating_point():
            bad = ~torch.isfinite(_rows(x).sum(1))  # one pass: a NaN or an infinity anywhere spoils the sum
            if bad.any():
                _first(
                    _in_real_steps(~torch.isfinite(x), steps) & here,
                    f"{name}.inputs[{m!r}]",
                    "NaN or infinite",
                    "clean it, or mark it absent",
                )
        elif x.dtype != torch.uint8:
            _first(
                _in_real_steps(x < 0, steps) & here,
                f"{name}.inputs[{m!r}]",
                "a negative token id",
                "ids start at 0 = padding",
            )
    unknown = sorted((set(batch.masks) | set(batch.present)) - set(batch.inputs))
    if unknown:
        raise ValueError(
            f"{name} has a mask for {unknown[0]!r}, which is not among its modalities {sorted(batch.inputs)}"
        )
    _first(absent, f"{name}.present", "no modality is present", "leave the example out")
    for task, y in batch.targets.items():
        if y.is_floating_point():
            _first(
                ~torch.isfinite(_rows(y)).all(1),
                f"{name}.targets[{task!r}]",
                "NaN or infinite",
                "leave it out",
            )
    return batch


def _present(batch: Batch, modality: str, name: str) -> torch.Tensor:
    present = batch.present.get(modality)
    if present is None:
        return torch.ones(len(batch), dtype=torch.bool)
    if present.dtype != torch.bool or present.ndim != 1:
        raise ValueError(
            f"{name}.present[{modality!r}] must be bool with shape ({len(batch)},), got {present.dtype} {tuple(present.shape)}"
        )
    return present.cpu()


def _steps(mask: torch.Tensor, modality: str, size: int, name: str) -> torch.Tensor:
    if mask.dtype != torch.bool or mask.ndim != 2:
        raise ValueError(
            f"{name}.masks[{modality!r}] must be bool with shape ({size}, T), True = real; got {mask.dtype} {tuple(mask.shape)}"
        )
    return mask.cpu()


def _rows(x: torch.Tensor) -> torch.Tensor:
    """One row an example: (B, …) → (B, everything else)."""
    return x.flatten(1) if x.ndim > 1 else x[:, None]


def _in_real_steps(wrong: torch.Tensor, steps: torch.Tensor | None) -> torch.Tensor:
    """Which examples are wrong in a real step: bool (B, …), one axis of which has the steps, → bool (B,)."""
    wrong = wrong.cpu()
    if steps is not None:
        axes = [axis for axis in range(1, wrong.ndim) if wrong.shape[axis] == steps.shape[1]]
        # audio (B, 1, F, T) has its steps last, tokens (B, T, D) and video (B, N, C, H, W) first
        axis = axes[-1] if wrong.ndim == 4 else axes[0]
        wrong = wrong & steps.view(len(wrong), *[-1 if a == axis else 1 for a in range(1, wrong.ndim)])
    return _rows(wrong).any(1)


def _first(bad: torch.Tensor, column: str, what: str, cure: str) -> None:
    bad = bad.cpu()
    if bad.any():
        rows = bad.nonzero().flatten()
        raise ValueError(
            f"{column}: {what} in {len(rows)} of {len(bad)} examples, first in example {int(rows[0])}; {cure}"
        )
