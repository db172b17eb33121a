"""What every data set returns and every model trains on: tensors keyed by modality, with their targets.

| name     | what it is                                                          |
|----------|---------------------------------------------------------------------|
| `Batch`  | some examples: inputs by modality, targets by task, masks, words     |
| `Splits` | a data set: `train`, `valid` and `test`, each a `Batch` held in memory |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Batch:
    """Some examples, from one mini-batch to a whole split; every tensor has the examples along its first axis.

    inputs:  by modality, e.g. {"image": (B, C, H, W), "text": (B, T), "audio": (B, 1, F, T), "video": (B, N, C, H, W)}
    targets: by task, e.g. {"label": (B,)}
    masks:   by modality, bool (B, T), True = a real step, False = padding; a modality without padding has none
    present: by modality, bool (B,), True = the modality is there; a modality that is never missing has none
    info:    by column, a sequence of B Python values (names, transcripts) that stay on the CPU and are never trained on
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor] = field(default_factory=dict)
    masks: dict[str, Tensor] = field(default_factory=dict)
    present: dict[str, Tensor] = field(default_factory=dict)
    info: dict[str, Sequence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in ("inputs", "targets", "masks", "present", "info"):
            columns = getattr(self, kind)
            if not isinstance(columns, dict):
                raise TypeError(f"{kind} must be a dict of columns by name, got {type(columns).__name__}")
            for name, column in columns.items():
                if not hasattr(column, "__len__") or (isinstance(column, Tensor) and column.ndim == 0):
                    raise TypeError(f"{kind}[{name!r}] must have the examples along its first axis, got {column!r}")
        sizes = {f"{kind}[{name!r}]": len(column) for kind, name, column in self._columns()}
        if not any(kind == "inputs" for kind, _, _ in self._columns()):
            raise ValueError("a Batch needs at least one modality in `inputs`, none came")
        if len(set(sizes.values())) > 1:
            raise ValueError(f"every column of a Batch needs the same number of examples, got {sizes}")

    def _columns(self) -> Iterator[tuple[str, str, Tensor | Sequence]]:
        for kind in ("inputs", "targets", "masks", "present", "info"):
            for name, column in getattr(self, kind).items():
                yield kind, name, column

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def __getitem__(self, index: int | slice | Tensor | Sequence[int]) -> Batch:
        """The examples at `index`: a slice, a bool mask of B values, or whole numbers. One number gives a batch of one.

        Raises IndexError for an example that is not there, a mask of another length, or numbers that are not whole.
        """
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"example {index} was asked for, but there are {len(self)}")
            index = [index]
        if not isinstance(index, slice):
            index = torch.as_tensor(index).reshape(-1)
            if index.is_floating_point() and len(index):
                raise IndexError(f"examples are picked by whole numbers or a bool mask, got {index.dtype}")
            if index.dtype == torch.bool:
                if len(index) != len(self):
                    raise IndexError(
                        f"a mask must have one value for each of the {len(self)} examples, got {len(index)}"
                    )
                index = index.nonzero().flatten()
            index = index.long()
        columns: dict[str, dict] = {"inputs": {}, "targets": {}, "masks": {}, "present": {}, "info": {}}
        for kind, name, column in self._columns():
            if isinstance(column, Tensor):
                columns[kind][name] = column[index if isinstance(index, slice) else index.to(column.device)]
            elif isinstance(index, slice):
                columns[kind][name] = column[index]
            else:
                columns[kind][name] = [column[i] for i in index.tolist()]
        return Batch(**columns)

    def to(self, device: torch.device | str) -> Batch:
        """The same examples with every tensor on `device`."""
        moved: dict[str, dict] = {"inputs": {}, "targets": {}, "masks": {}, "present": {}, "info": {}}
        for kind, name, column in self._columns():
            moved[kind][name] = column.to(device, non_blocking=True) if isinstance(column, Tensor) else column
        return Batch(**moved)

    def only(self, *modalities: str) -> Batch:
        """The same examples with these modalities alone, for a unimodal baseline."""
        unknown = [m for m in modalities if m not in self.inputs]
        if unknown or not modalities:
            raise ValueError(f"modalities must be some of {sorted(self.inputs)}, got {list(modalities)}")

        def keep(columns: dict) -> dict:
            return {name: column for name, column in columns.items() if name in modalities}

        return Batch(keep(self.inputs), self.targets, keep(self.masks), keep(self.present), self.info)

    def __repr__(self) -> str:
        lines = [f"Batch of {len(self)} examples"]
        for kind, name, column in self._columns():
            what = (
                f"{tuple(column.shape)} {column.dtype}".replace("torch.", "") if isinstance(column, Tensor) else "words"
            )
            lines.append(f"  {kind}[{name!r}]: {what}")
        return "\n".join(lines)


@dataclass
class Splits:
    """A data set: three batches that share no family, voice, sentence or pair, and the names of its classes.

    classes: by task, the class names in the order of their numbers, e.g. {"group": ["activities", "animals-nature", …]}
    """

    name: str
    train: Batch
    valid: Batch
    test: Batch
    classes: dict[str, list[str]] = field(default_factory=dict)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part} {len(getattr(self, part))}" for part in ("train", "valid", "test"))
        first = "\n".join(repr(self.train).splitlines()[1:])
        return f"{self.name}: {sizes}\n{first}"
