"""Losses of the recipes that compare the examples of a batch: on two processes, the gradient of one."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from mmteach.data.batch import Batch
from mmteach.recipes import applications_pictures, crossmodal_glyphs, crossmodal_search, outlook_binding, outlook_pairs

N, WORDS = 13, 20  # two processes get 7 and 6 rows
PIECES = [None] * WORDS  # of a vocabulary the models only ask the size


def glyphs(rows):
    """Pictures laid end to end and words, three characters of them twice."""
    draw = torch.Generator().manual_seed(0)
    image, text = torch.rand(N, 256, generator=draw).double(), torch.randint(1, WORDS, (N, 5), generator=draw)
    same = torch.arange(N).clamp(min=3)
    return Batch({"image": image, "text": text}, {"character": same}, masks={"text": text > 2})[rows]


def views(rows):
    """Two pictures and two texts of each concept: the first views, then the second ones."""
    draw = torch.Generator().manual_seed(1)
    image, text = (
        torch.rand(2, N, 3, 32, 32, generator=draw).double(),
        torch.randint(1, WORDS, (2, N, 5), generator=draw),
    )
    return Batch({"image": image[:, rows].flatten(0, 1), "text": text[:, rows].flatten(0, 1)}, {"row": rows.repeat(2)})


def heard(rows):
    draw = torch.Generator().manual_seed(2)
    image, sound = torch.rand(N, 3, 32, 32, generator=draw).double(), torch.rand(N, 1, 40, 30, generator=draw).double()
    text, spelled = torch.randint(1, WORDS, (2, N, 5), generator=draw)
    inputs = {"image": image, "text": text, "spelled": spelled, "audio": sound}
    return Batch(inputs, masks={"audio": torch.arange(30) < torch.randint(20, 31, (N, 1), generator=draw)})[rows]


def cases():
    """By name: a model, a loss, and a function from row numbers to a batch."""
    vocabulary = SimpleNamespace(classes={"text": PIECES})
    losses = {name: loss for name, (loss, _) in crossmodal_glyphs.OBJECTIVES.items()}
    losses |= {f"copies, {name}": crossmodal_glyphs.false_negatives(name) for name in crossmodal_glyphs.TREATMENTS}
    losses |= {f"wrong pairs, {name}": loss for name, (loss, *_) in outlook_pairs.OBJECTIVES.items()}
    found = {
        name: (crossmodal_glyphs.glyph_model(vocabulary, bias=-10.0), loss, glyphs) for name, loss in losses.items()
    }
    names = torch.randint(1, WORDS, (N, 4), generator=torch.Generator().manual_seed(3))
    found["search"] = crossmodal_search.search_model(PIECES), crossmodal_search.search_loss(names), views
    found["pictures"] = crossmodal_search.search_model(PIECES), applications_pictures.agree(0.5), views
    found["bound"] = outlook_binding.bound_model(PIECES), outlook_binding.through_text, heard
    return found


PROCESS = """
import sys, torch
sys.path.insert(0, {tests!r})
from test_recipes_processes import N, cases
from mmteach.training import parallel

torch.manual_seed(0)
for name, (model, loss, draw) in cases().items():
    model.double()
    parallel.start(model)
    rows = torch.arange(N)

    def gradient(rows):
        model.zero_grad(set_to_none=True)
        loss(model, draw(rows)).backward()

    def flat():
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    gradient(rows)  # nothing is shared yet: this process has the whole batch
    expected = flat()
    gradient(rows[parallel.rank() :: 2])  # a share, compared with itself alone
    parallel.average_gradients(model, len(rows[parallel.rank() :: 2]) / N)
    alone = flat()
    mine, weight = parallel.share(rows)
    gradient(mine)
    parallel.average_gradients(model, weight)
    together = flat()
    parallel.share(rows[:1])  # fewer rows than processes: nothing is shared any more
    scale = expected.abs().max()
    assert (together - expected).abs().max() < 1e-9 * scale, name
    assert (alone - expected).abs().max() > 1e-6 * scale, name
parallel.stop()
"""


@pytest.mark.full
def test_the_gradient_of_two_processes_is_that_of_one(tmp_path, request):
    script = tmp_path / "compare.py"
    script.write_text(PROCESS.format(tests=str(request.path.parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script]
    done = subprocess.run(command, timeout=240, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_with_one_process_every_loss_has_a_gradient():
    torch.manual_seed(0)
    for name, (model, loss, draw) in cases().items():
        loss(model.double(), draw(torch.arange(N))).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients and all(g.isfinite().all() for g in gradients), name
