"""Chapter 07, what makes training cheaper: precision, compilation, two processes, timed on this machine.

| name            | what it does                                                                        |
|-----------------|---------------------------------------------------------------------------------------|
| `MODELS`        | a convolutional, a recurrent and a plain network with a batch for each                   |
| `a_step`        | the median time of a training step, and of the first one                                 |
| `cores`         | how many cores this process may use                                                       |
| `the_run`       | the small training run that one process and two must agree on                             |
| `two_processes` | that run on two processes that talk over the loopback interface                            |

Run as a module under torchrun it is one of the two processes: `python -m mmteach.recipes.outlook_speed FILE`.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from mmteach import _check
from mmteach.claims import pick
from mmteach.data.batch import Batch
from mmteach.encoders import ImageCNN, TextLSTM
from mmteach.training import classify, fit, seed_everything
from mmteach.training.machine import autocast

BATCH = 64


def _picture() -> tuple[nn.Module, Tensor]:
    return ImageCNN(48, (32, 64, 128)), torch.rand(BATCH, 3, 48, 48)


def _text() -> tuple[nn.Module, Tensor]:
    return TextLSTM(1000, 64, 64), torch.randint(0, 1000, (BATCH, 50))


def _rows() -> tuple[nn.Module, Tensor]:
    layers = [nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 64)]
    return nn.Sequential(*layers), torch.randn(BATCH, 512)


MODELS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "convolutions": _picture,
    "LSTM": _text,
    "plain layers": _rows,
}


def cores() -> int:
    """How many cores this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def a_step(name: str, precision: str = "fp32", compiled: bool = False, steps: int = 6) -> tuple[float, float]:
    """Seconds of a training step of one of MODELS (forward, backward, Adam): the median of `steps`, and of the first one.

    The first step is paid once: memory is fetched, and a compiled model is compiled. Raises what `torch.compile` raises where
    there is no compiler.
    """
    _check.choice("name", name, tuple(MODELS))
    _check.whole("steps", steps, at_least=1)
    seed_everything(0)
    model, x = MODELS[name]()
    for p in model.parameters():
        if p.ndim == 4:
            p.data = p.data.to(memory_format=torch.channels_last)
    if compiled:
        # Where there is no GPU the compiler's set-up warns that it found none: nothing a reader could do about.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    taken = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        with autocast(torch.device("cpu"), precision):
            loss = run(x).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        taken.append(time.perf_counter() - started)
    return median(taken[1:]), taken[0]


class _Net(nn.Module):
    """The convolutions with a linear layer to ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ImageCNN(28, (16, 32), in_channels=1)
        self.head = nn.Linear(self.encoder.dim, 10)

    def forward(self, inputs: dict, masks: object = None, present: object = None) -> Tensor:
        return self.head(self.encoder(inputs["image"]))


def the_run(steps: int | None = None) -> tuple[Tensor, float]:
    """A classifier of handwritten digits after some steps: all its weights in a row, and the seconds it took.

    Started by torchrun, each process takes its share of every batch (`mmteach.training.parallel`).
    """
    from mmteach.data.digits import handwritten

    torch.set_num_threads(1)
    drawn = handwritten()
    train = Batch({"image": drawn["image"][:, None].float() / 255}, {"digit": drawn["digit"]})
    seed_everything(0)
    model = _Net()
    history = fit(
        model, train, loss=classify("digit"), steps=steps or pick(smoke=3, laptop=40), batch_size=128, lr=1e-3, seed=0,
        device="cpu", precision="fp32", progress=False,
    )  # fmt: skip
    return torch.cat([p.detach().flatten() for p in model.parameters()]), history.seconds


def two_processes(timeout: float = 120) -> tuple[Tensor, float, float]:
    """`the_run` on two processes: the weights, the seconds of training, and those with the start of both processes.

    They find each other and exchange gradients by Gloo over the loopback interface: nothing leaves the machine.
    """
    with tempfile.TemporaryDirectory(prefix="mmteach-") as folder:
        file = Path(folder) / "run.pt"
        command = [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
            "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1", "-m", "mmteach.recipes.outlook_speed", str(file),
        ]  # fmt: skip
        here = {"OMP_NUM_THREADS": "1", "MMTEACH_DEVICE": "cpu"}
        if sys.platform == "linux":
            here["GLOO_SOCKET_IFNAME"] = "lo"
        started = time.perf_counter()
        done = subprocess.run(command, env={**os.environ, **here}, capture_output=True, text=True, timeout=timeout)
        whole = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"the two processes failed: {done.stderr.strip()[-2000:]}")
        kept = torch.load(file, weights_only=True)
    return kept["weights"], kept["seconds"], whole


def main() -> None:
    """One of the processes: train, and let the first one write the result."""
    from mmteach.training import parallel

    weights, seconds = the_run()
    if parallel.is_first():
        torch.save({"weights": weights, "seconds": seconds}, sys.argv[1])
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
