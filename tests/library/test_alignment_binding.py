"""Three modalities and more: sums over pairs, and binding through an anchor."""

from __future__ import annotations

import math

import pytest
import torch
from alignment_cases import embeddings
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.alignment import binding_loss, clip_loss, deep_cca_loss, pairwise_loss, siglip_loss, similarity

few = settings(max_examples=10, deadline=None)


def three(seed: int = 0, batch: int = 6) -> dict[str, Tensor]:
    return dict(zip(("image", "text", "audio"), embeddings(3, batch, 4, seed)))


def test_all_pairs_are_summed_and_options_handed_on():
    z = three()
    image, text, audio = z.values()
    expected = sum(clip_loss(a, b, 5.0, label_smoothing=0.1) for a, b in ((image, text), (image, audio), (text, audio)))
    torch.testing.assert_close(pairwise_loss(clip_loss, z, 5.0, label_smoothing=0.1), expected)


def test_chosen_pairs_only_in_the_order_given():
    z = three()
    ours = pairwise_loss(siglip_loss, z, 5.0, -2.0, pairs=[("audio", "text")])
    torch.testing.assert_close(ours, siglip_loss(z["audio"], z["text"], 5.0, -2.0))


def test_a_pair_counts_the_examples_that_have_both():
    z = three()
    present = {"text": torch.arange(6) != 1, "audio": torch.arange(6) != 4}
    broken = {m: x.clone() for m, x in z.items()}
    broken["text"][1] = broken["audio"][4] = math.nan
    both = present["text"] & present["audio"]
    expected = (
        clip_loss(z["image"][present["text"]], z["text"][present["text"]], 5.0)
        + clip_loss(z["image"][present["audio"]], z["audio"][present["audio"]], 5.0)
        + clip_loss(z["text"][both], z["audio"][both], 5.0)
    )
    torch.testing.assert_close(pairwise_loss(clip_loss, broken, 5.0, present=present), expected)


def test_two_modalities_are_one_pair():
    z = three()
    del z["audio"]
    torch.testing.assert_close(pairwise_loss(deep_cca_loss, z), deep_cca_loss(z["image"], z["text"]))


def test_binding_sums_the_pairs_with_the_anchor():
    z = three()
    expected = clip_loss(z["text"], z["image"], 5.0) + clip_loss(z["text"], z["audio"], 5.0)
    torch.testing.assert_close(binding_loss(z, "text", 5.0), expected)
    smoothed = sum(clip_loss(z["text"], z[m], 5.0, label_smoothing=0.2) for m in ("image", "audio"))
    torch.testing.assert_close(binding_loss(z, "text", 5.0, label_smoothing=0.2), smoothed)


def test_a_batch_may_mix_pairs():
    z = three()
    heard = torch.arange(6) < 3  # three examples with audio, three with an image, all with text
    present = {"audio": heard, "image": ~heard}
    expected = clip_loss(z["text"][:3], z["audio"][:3], 5.0) + clip_loss(z["text"][3:], z["image"][3:], 5.0)
    z["audio"][3:] = z["image"][:3] = math.nan
    torch.testing.assert_close(binding_loss(z, "text", 5.0, present=present), expected)


@given(seed=st.integers(0, 2**30), order=st.permutations(["image", "text", "audio"]), rows=st.permutations(range(6)))
@few
def test_the_order_of_modalities_and_of_the_batch_does_not_matter(seed, order, rows):
    z = three(seed)
    shuffled = {m: z[m][rows] for m in order}
    torch.testing.assert_close(binding_loss(shuffled, "text", 5.0), binding_loss(z, "text", 5.0))
    torch.testing.assert_close(pairwise_loss(clip_loss, shuffled, 5.0), pairwise_loss(clip_loss, z, 5.0))


def test_compiles_and_maps_over_seeds():
    torch.compiler.reset()
    z = three()
    compiled = torch.compile(lambda z: binding_loss(z, "text", 5.0), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(z), binding_loss(z, "text", 5.0))
    stacked = {m: torch.stack([x, three(1)[m]]) for m, x in z.items()}
    expected = torch.stack([binding_loss(z, "text", 5.0), binding_loss(three(1), "text", 5.0)])
    torch.testing.assert_close(torch.func.vmap(lambda z: binding_loss(z, "text", 5.0))(stacked), expected)


def test_modalities_that_never_met_are_aligned_through_the_anchor():
    g = torch.Generator().manual_seed(0)
    latent = torch.randn(64, 4, generator=g)
    world = {m: latent @ torch.randn(4, 6, generator=g) for m in ("image", "text", "audio")}
    torch.manual_seed(0)
    heads = nn.ModuleDict({m: nn.Linear(6, 4) for m in world})
    optimiser = torch.optim.Adam(heads.parameters(), lr=0.05)

    def embed() -> dict[str, Tensor]:
        return {m: F.normalize(heads[m](x), dim=-1) for m, x in world.items()}

    def found() -> float:
        z = embed()
        return (similarity(z["image"], z["audio"]).argmax(1) == torch.arange(64)).float().mean().item()

    before = found()
    for _ in range(100):
        optimiser.zero_grad()
        binding_loss(embed(), "text", 10.0).backward()
        optimiser.step()
    assert before < 0.2
    assert found() > 0.8  # image and audio were never compared


def test_wrong_arguments_are_named():
    z = three()
    with pytest.raises(ValueError, match=r"^embeddings needs two modalities or more, got \['image'\]"):
        pairwise_loss(clip_loss, {"image": z["image"]}, 1.0)
    with pytest.raises(ValueError, match=r"^embeddings needs two modalities or more, got \['image'\]"):
        binding_loss({"image": z["image"]}, "image", 1.0)
    with pytest.raises(ValueError, match=r"^pairs is empty: name at least one pair of modalities"):
        pairwise_loss(clip_loss, z, 1.0, pairs=[])
    with pytest.raises(
        ValueError, match=r"^pairs names the unknown modality 'smell': expected some of \['audio', 'image', 'text'\]"
    ):
        pairwise_loss(clip_loss, z, 1.0, pairs=[("image", "smell")])
    with pytest.raises(ValueError, match=r"^present names the unknown modality 'smell'"):
        pairwise_loss(clip_loss, z, 1.0, present={"smell": torch.ones(6, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"^anchor must be one of 'image', 'text', 'audio', got 'smell'"):
        binding_loss(z, "smell", 1.0)
    with pytest.raises(ValueError, match=r"^scale must be above 0, got 0"):
        binding_loss(z, "text", 0)
    with pytest.raises(
        ValueError, match=r"^embeddings must have the same batch size, got \{'image': 6, 'text': 6, 'audio': 3\}"
    ):
        binding_loss({**z, "audio": z["audio"][:3]}, "text", 1.0)
