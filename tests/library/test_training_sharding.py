"""A dual encoder of transformers divided over two processes: the run of one process, saved, resumed, and taken up by one."""

import json
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from mmteach.alignment import clip_loss
from mmteach.data.batch import Batch
from mmteach.data.store import cache_dir
from mmteach.recipes import outlook_towers
from mmteach.training import fit, gather, sharding

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SETTINGS = {
    "batch_size": 7, "lr": 1e-3, "weight_decay": 0.1, "clip_norm": 1.0, "precision": "fp32", "device": "cpu", "progress": False,
    "monitor": "train_loss",
}  # fmt: skip


def model():
    torch.manual_seed(3)
    size = {"side": 32, "patch": 16, "dim": 32, "heads": 2, "layers": 2, "words": 50, "width": 32, "depth": 2}
    # In float64: Adam divides the noise in a gradient of zero (that of a bias of all keys) by its own length.
    return outlook_towers.towers(size).double()


def pairs(n=31):
    generator = torch.Generator().manual_seed(4)
    images = torch.rand(n, 3, 32, 32, generator=generator).double()
    return Batch({"image": images, "text": torch.randint(1, 50, (n, 6), generator=generator)})


def contrast(model, batch):
    z = model(batch.inputs)
    return clip_loss(gather(z["image"]), gather(z["text"]), model.scale())


PROCESS = """
import sys, torch
sys.path.insert(0, {tests!r})
from test_training_sharding import SETTINGS, contrast, fit, model, pairs, sharding
from mmteach.training import parallel
folder, epochs, resume = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "resume"
one = model()
fit(one, pairs(), loss=contrast, epochs=epochs, shard=True, checkpoint=folder + "/run.pt", resume=resume, **SETTINGS)
mine = sum(p.to_local().numel() if sharding.is_part(p) else p.numel() for p in one.parameters())
text = one.encode("text", pairs().inputs["text"])  # not by `forward`: the weights come together here too
state = sharding.whole(one.state_dict())
if parallel.is_first():
    torch.save({{"state": state, "mine": mine, "text": text.detach()}}, folder + "/end.pt")
parallel.stop()
"""


def launch(folder, request, epochs, resume=""):
    script = folder / "train.py"
    script.write_text(PROCESS.format(tests=str(request.path.parent)))
    subprocess.run([*LAUNCH, script, folder, str(epochs), resume], check=True, timeout=240)
    return torch.load(folder / "end.pt")


@pytest.mark.full
def test_two_processes_with_a_part_each_reach_the_weights_of_one_and_go_on_from_a_file(tmp_path, request):
    """Batches of 7 split 4 and 3, the last of an epoch has 3 of 31: the shares differ."""
    alone = model()
    history = fit(alone, pairs(), loss=contrast, epochs=4, **SETTINGS)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    expected = alone.state_dict()

    first = launch(tmp_path, request, 2)
    assert first["mine"] < 0.55 * sum(p.numel() for p in alone.parameters())
    assert any((first["state"][name] - value).abs().max() > 1e-3 for name, value in expected.items())

    # What two have written goes on with one, what one has written with two, and what two have written with two.
    file, copy = tmp_path / "run.pt", tmp_path / "copy.pt"
    copy.write_bytes(file.read_bytes())
    by_one = model()
    fit(by_one, pairs(), loss=contrast, epochs=4, checkpoint=copy, resume=True, **SETTINGS)
    by_two = launch(tmp_path, request, 4, "resume")
    file.unlink()
    fit(model(), pairs(), loss=contrast, epochs=2, checkpoint=file, **SETTINGS)
    after_one = launch(tmp_path, request, 4, "resume")
    for state in (by_one.state_dict(), by_two["state"], after_one["state"]):
        torch.testing.assert_close(dict(state), dict(expected), rtol=1e-6, atol=1e-8)
    text = alone.encode("text", pairs().inputs["text"]).detach()
    torch.testing.assert_close(by_two["text"], text, rtol=1e-6, atol=1e-8)


def test_with_one_process_there_is_nothing_to_divide():
    one, other = model(), model()
    fit(one, pairs(), loss=contrast, epochs=1, shard=True, **SETTINGS)
    fit(other, pairs(), loss=contrast, epochs=1, **SETTINGS)
    assert not sharding.is_sharded(one)
    torch.testing.assert_close(one.state_dict(), other.state_dict())


@pytest.mark.parametrize("change", [{"compile": True}, {"precision": "fp16"}, {"backward": lambda losses, model: None}])
def test_what_does_not_go_with_parts_is_refused(change):
    with pytest.raises(ValueError, match="shard=True goes with neither"):
        fit(model(), pairs(), loss=contrast, shard=True, **{**SETTINGS, **change})


def test_the_towers_take_pictures_and_texts():
    z = model()(pairs(3).inputs)
    assert {m: tuple(x.shape) for m, x in z.items()} == {"image": (3, 32), "text": (3, 32)}
    assert torch.allclose(F.normalize(z["image"]), z["image"])


@pytest.mark.full
def test_the_table_of_the_towers_is_made_by_two_processes(tmp_path):
    out = tmp_path / "towers.json"
    command = [*LAUNCH, "-m", "mmteach", "train", "towers", "--scale", "smoke", "--seeds", "1", "--out", out]
    subprocess.run(command, check=True, timeout=240)
    (row,) = json.loads(out.read_text())["rows"]
    assert row["model"] == "two transformers" and 0 <= row["t2i R@10"] <= 1 and row["parameters"] > 10_000
    assert not (cache_dir() / "towers-smoke-0.pt").exists()
