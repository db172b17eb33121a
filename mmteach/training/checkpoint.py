"""The state of a training run: kept in memory for the best epoch, on disk so that a run can go on where it was cut."""

from __future__ import annotations

import copy
import math
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmteach.training import parallel, sharding
from mmteach.training.history import History


class Run:
    """Everything that changes while a model trains, so that it can be saved and taken up again.

    `finish_epoch` adds a row to the history and keeps the weights where the monitored figure is the best so far;
    `restore_best` gives those weights back to the model; `save` and `load` write and read all of it.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: torch.optim.lr_scheduler.LRScheduler,
        scaler: torch.amp.GradScaler,
        history: History,
        higher_is_better: bool,
    ) -> None:
        self.model, self.optimizer, self.scheduler, self.scaler = model, optimizer, scheduler, scaler
        self.history, self.higher_is_better = history, higher_is_better
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.step = 0

    def finish_epoch(self, row: dict[str, float]) -> None:
        """Add the epoch's figures; keep its weights where they are the best yet."""
        history = self.history
        history.rows.append(row)
        if history.monitor is None:
            return
        if history.monitor not in row:
            raise ValueError(f"monitor={history.monitor!r} is not among the figures of an epoch: {sorted(row)}")
        sign = 1 if self.higher_is_better else -1
        if math.isnan(row[history.monitor]):
            return  # no epoch is worse; kept as the best, it would never be beaten, since nothing is above NaN
        if history.best is None or sign * row[history.monitor] > sign * history[history.best][history.monitor]:
            history.best = len(history) - 1
            self.best_weights = copy.deepcopy(self.model.state_dict())

    def restore_best(self) -> None:
        """Give the model the weights of its best epoch, where one was monitored."""
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)

    def save(self, path: str | os.PathLike) -> None:
        """Write the run to `path`; the file is complete or not there at all, whenever the process ends.

        Under torchrun all processes call this, since each has a random generator of its own and, of a sharded model, a part
        of the weights; the first one writes.
        """
        state: dict[str, Any] = {name: getattr(self, name).state_dict() for name in _PARTS}
        state |= {"step": self.step, "history": asdict(self.history), "best_weights": self.best_weights}
        state["higher_is_better"] = self.higher_is_better
        state["cpu_rng"] = parallel.of_all(torch.get_rng_state())
        if self._device.type == "cuda":
            state["cuda_rng"] = parallel.of_all(torch.cuda.get_rng_state(self._device))
        if sharding.is_sharded(self.model):
            state = sharding.whole(state)
        if not parallel.is_first():
            return
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
            partial = Path(file.name)
        try:
            torch.save(state, partial)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)  # there only where writing was interrupted

    def load(self, path: str | os.PathLike) -> None:
        """Take up the run in `path`; raises ValueError where it belongs to another model or cannot be read."""
        try:
            state = torch.load(path, map_location=self._device, weights_only=True)
            asked = _monitored(self.history.monitor, self.higher_is_better)
            written = _monitored(state["history"]["monitor"], state["higher_is_better"])
            if asked != written:
                raise ValueError(f"it was written with {written}, this run has {asked}")
            like = self.model.state_dict()
            state["model"] = sharding.divided(state["model"], like)
            for name in _PARTS:
                getattr(self, name).load_state_dict(state[name])
            sharding.divide_adam(self.optimizer)
        except Exception as error:
            raise ValueError(
                f"the checkpoint {path} does not fit this run ({type(error).__name__}: {error}); delete it to start again, "
                "or build the model and call fit as when it was written"
            ) from error
        best = state["best_weights"]
        self.step, self.best_weights = state["step"], None if best is None else sharding.divided(best, like)
        self.history.__dict__.update(state["history"])
        mine = parallel.rank() % len(state["cpu_rng"])  # with more processes than wrote the file some start alike
        torch.set_rng_state(state["cpu_rng"][mine].cpu())
        if "cuda_rng" in state and self._device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"][mine].cpu(), self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device


def _monitored(monitor: str | None, higher_is_better: bool) -> str:
    return f"monitor={monitor!r}" + (f", higher_is_better={higher_is_better}" if monitor else "")


_PARTS = ("model", "optimizer", "scheduler", "scaler")
