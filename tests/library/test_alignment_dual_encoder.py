"""The dual encoder: one space, lengths of one, absent modalities, two modalities or three."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.alignment import DualEncoder, binding_loss, clip_loss, siglip_loss, similarity
from mmteach.encoders import AudioCNN, ImageResNet, TextBag
from mmteach.metrics import recall_at_k

few = settings(max_examples=10, deadline=None)


class Pixels(nn.Module):
    """(B, 3, 2, 2) → (B, 7)"""

    dim = 7

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 7)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        assert mask is None
        return self.layer(x.flatten(1))


class Words(nn.Module):
    """(B, T) numbers and a mask of the real ones → the mean of their vectors (B, 5)"""

    dim = 5

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        weight = (x >= 0 if mask is None else mask).to(self.table.weight.dtype)
        return (self.table(x) * weight[..., None]).sum(1) / weight.sum(1, keepdim=True).clamp(min=1)


def build(seed: int = 0, **options: float) -> DualEncoder:
    torch.manual_seed(seed)
    return DualEncoder({"image": Pixels(), "text": Words()}, dim=4, **options).double()


def batch(size: int = 6, seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {
        "image": torch.rand(size, 3, 2, 2, generator=g, dtype=torch.float64),
        "text": torch.randint(1, 9, (size, 5), generator=g),
    }


def test_embeddings_are_the_projected_encodings_at_length_one():
    model, x = build(), batch()
    z = model(x)
    expected = F.normalize(model.encoders["image"](x["image"]) @ model.heads["image"].weight.T, dim=-1)
    torch.testing.assert_close(z["image"], expected)
    for m in ("image", "text"):
        assert z[m].shape == (6, 4)
        torch.testing.assert_close(z[m].norm(dim=1), torch.ones(6, dtype=torch.float64))
        torch.testing.assert_close(model.encode(m, x[m]), z[m])


def test_scaling_an_encoders_output_changes_nothing():
    model, x = build(), batch()
    before = model(x)["text"]
    with torch.no_grad():
        model.encoders["text"].table.weight.mul_(37)
    torch.testing.assert_close(model(x)["text"], before)


def test_parameter_count():
    encoders = sum(p.numel() for p in (*Pixels().parameters(), *Words().parameters()))
    assert sum(p.numel() for p in build().parameters()) == encoders + (7 + 5) * 4 + 1
    assert sum(p.numel() for p in build(bias=-10.0).parameters()) == encoders + (7 + 5) * 4 + 2


def test_the_temperature_and_the_bias_start_where_asked():
    assert build().scale().item() == pytest.approx(1 / 0.07, rel=1e-6)
    assert build().bias is None
    model = build(temperature=0.1, bias=-10.0)
    assert model.scale().item() == pytest.approx(10, rel=1e-6)
    assert model.bias.item() == -10 and model.dim == 4


def test_a_gradient_reaches_every_parameter():
    clip, siglip = build(), build(temperature=0.1, bias=-10.0)
    z = clip(batch())
    clip_loss(z["image"], z["text"], clip.scale()).backward()
    z = siglip(batch())
    siglip_loss(z["image"], z["text"], siglip.scale(), siglip.bias).backward()
    for model in (clip, siglip):
        for name, p in model.named_parameters():
            assert p.grad is not None and p.grad.abs().sum() > 0, name


def test_padded_steps_do_not_matter():
    model, x = build(), batch()
    masks = {"text": torch.arange(5).expand(6, 5) < 3}
    changed = {**x, "text": x["text"].masked_fill(~masks["text"], 8)}
    torch.testing.assert_close(model(changed, masks)["text"], model(x, masks)["text"])
    torch.testing.assert_close(model(x, masks)["text"], model.encode("text", x["text"][:, :3]))
    torch.testing.assert_close(model.encode("text", x["text"], masks["text"]), model(x, masks)["text"])


def test_an_absent_modality_has_embedding_zero_whatever_stands_there():
    model, x = build(), batch()
    present = {"image": torch.tensor([True, False, True, True, False, True]), "text": torch.arange(6) != 2}
    broken = {
        "image": x["image"].masked_fill(~present["image"][:, None, None, None], math.nan),
        "text": x["text"].clone(),
    }
    broken["text"][2] = 7
    z, full = model(broken, present=present), model(x)
    for m in z:
        assert (z[m][~present[m]] == 0).all()
        torch.testing.assert_close(z[m][present[m]], full[m][present[m]])


def test_absent_modalities_leave_every_gradient_finite():
    model, x = build(), batch()
    present = {"image": torch.arange(6) < 4}
    x["image"][4:] = math.nan
    z = model(x, present=present)
    clip_loss(z["image"], z["text"], model.scale(), present=present["image"]).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@given(seed=st.integers(0, 2**30), order=st.permutations(range(6)))
@few
def test_the_order_of_the_batch_turns_the_embeddings_with_it(seed, order):
    model, x = build(), batch(seed=seed)
    turned, straight = model({m: v[order] for m, v in x.items()}), model(x)
    for m in turned:
        torch.testing.assert_close(turned[m], straight[m][order])


def test_a_row_that_is_encoded_as_zero_stays_zero():
    model, x = build(), batch()
    nothing = {"text": torch.zeros(6, 5, dtype=torch.bool)}
    assert (model(x, nothing)["text"] == 0).all()


def test_three_modalities_and_a_batch_of_one():
    model = DualEncoder({"image": Pixels(), "text": Words(), "sketch": Pixels()}, dim=4).double()
    x = batch(1)
    z = model({**x, "sketch": x["image"]})
    assert {m: tuple(e.shape) for m, e in z.items()} == {"image": (1, 4), "text": (1, 4), "sketch": (1, 4)}
    assert binding_loss(z, "text", model.scale()) == 0  # a batch of one


def test_compiled_vmapped_and_bf16():
    torch.compiler.reset()
    model, x = build(), batch()
    compiled = torch.compile(model, backend="aot_eager")(x)
    others = [build(seed) for seed in range(3)]
    parameters, _ = torch.func.stack_module_state(others)
    mapped = torch.func.vmap(lambda p: torch.func.functional_call(model, p, (x,)))(parameters)
    single, x32 = build().float(), {"image": x["image"].float(), "text": x["text"]}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = single(x32)
    for m in x:
        torch.testing.assert_close(compiled[m], model(x)[m])
        torch.testing.assert_close(mapped[m], torch.stack([other(x)[m] for other in others]))
        assert half[m].dtype == torch.float32
        torch.testing.assert_close(half[m].norm(dim=1), torch.ones(6), atol=1e-5, rtol=0)
        torch.testing.assert_close(half[m], single(x32)[m], atol=0.05, rtol=0.05)


def test_it_learns_which_belongs_to_which():
    model, x = build().float(), batch(16)
    x = {"image": x["image"].float(), "text": x["text"]}
    optimiser = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(80):
        optimiser.zero_grad()
        z = model(x)
        loss = clip_loss(z["image"], z["text"], model.scale())
        loss.backward()
        optimiser.step()
    assert loss.item() < math.log(16) / 2


def test_wrong_arguments_are_named():
    model, x = build(), batch()
    with pytest.raises(ValueError, match=r"^encoders needs two modalities or more, got \['text'\]"):
        DualEncoder({"text": Words()}, dim=4)
    with pytest.raises(ValueError, match=r"^dim must be above 0, got 0"):
        DualEncoder({"image": Pixels(), "text": Words()}, dim=0)
    with pytest.raises(ValueError, match=r"^temperature must be above 0, got 0"):
        build(temperature=0)
    with pytest.raises(
        ValueError, match=r"^modality 'text' is missing: expected \['image', 'text'\], got \['image'\]"
    ) as error:
        model({"image": x["image"]})
    assert "encode('text', x)" in str(error.value) and "present={'text': …}" in str(error.value)
    with pytest.raises(ValueError, match=r"^inputs names the unknown modality 'smell': expected \['image', 'text'\]"):
        model({**x, "smell": x["text"]})
    with pytest.raises(ValueError, match=r"^masks names the unknown modality 'smell'"):
        model(x, masks={"smell": x["text"] > 0})
    with pytest.raises(ValueError, match=r"^present names the unknown modality 'smell'"):
        model(x, present={"smell": x["text"] > 0})
    with pytest.raises(ValueError, match=r"^modalities must have the same batch size, got \{'image': 6, 'text': 3\}"):
        model({**x, "text": x["text"][:3]})
    with pytest.raises(ValueError, match=r"^present\['image'\] must be bool with shape \(6,\), got torch.float32"):
        model(x, present={"image": torch.ones(6)})
    with pytest.raises(ValueError, match=r"^unknown modality 'smell': expected one of \['image', 'text'\]"):
        model.encode("smell", x["text"])
    with pytest.raises(ValueError, match=r"^inputs\['text'\] is empty: shape \(0, 5\)"):
        model.encode("text", x["text"][:0])
    with pytest.raises(ValueError, match=r"^inputs\['image'\] is empty: shape \(0, 3, 2, 2\)"):
        model({m: v[:0] for m, v in x.items()})


def test_with_the_librarys_encoders_three_modalities_learn_to_find_one_another():
    torch.manual_seed(0)
    model = DualEncoder(
        {"image": ImageResNet(16, width=8, stages=2), "text": TextBag(20, 16), "audio": AudioCNN(16)},
        dim=8,
        temperature=0.2,
    )
    # A colour, four words and a chord each: what an average over places, words and time still tells apart.
    x = {
        "image": torch.rand(12, 3, 1, 1).expand(12, 3, 8, 8),
        "text": torch.randint(1, 20, (12, 4)),
        "audio": 3 * torch.randn(12, 1, 16, 1).expand(12, 1, 16, 8),
    }
    masks = {"text": torch.arange(4).expand(12, 4) < torch.randint(1, 5, (12, 1))}
    x["text"] = x["text"].masked_fill(~masks["text"], 0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(40):
        optimiser.zero_grad()
        binding_loss(model(x, masks), "text", model.scale()).backward()
        optimiser.step()
    z = model(x, masks)
    assert recall_at_k(similarity(z["text"], z["audio"])) > 0.6  # chance is 1 in 12
    assert recall_at_k(similarity(z["image"], z["text"])) > 0.6
    without = model({**x, "audio": x["audio"] * math.nan}, masks, {"audio": torch.zeros(12, dtype=torch.bool)})
    torch.testing.assert_close(without["text"], z["text"])
    assert (without["audio"] == 0).all()
