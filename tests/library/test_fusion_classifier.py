"""The whole model: encoders, fusion, head, with masks and absent modalities on their way through."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmteach import fusion as fu
from mmteach.encoders import AudioCNN, ImageCNN, ImageResNet, TextBag, TextLSTM
from mmteach.fusion import MultimodalClassifier

WIDTHS = {"image": 8, "text": 6, "audio": 5}


def encoders(*names):
    made = {
        "image": lambda: ImageResNet(8, width=8, stages=2),
        "text": lambda: TextLSTM(20, 4, 6),
        "audio": lambda: AudioCNN(6, 5, channels=(4, 4), time_pools=1),
    }
    return {m: made[m]() for m in names}


def model(*names, fusion=fu.Concat, head=4, **options):
    torch.manual_seed(0)
    fusion = fusion and fusion({m: WIDTHS[m] for m in names}, 7)
    return MultimodalClassifier(encoders(*names), fusion, head, **options).eval()


def some(*names, batch=4):
    generator = torch.Generator().manual_seed(1)
    made = {
        "image": torch.rand(batch, 3, 16, 16, generator=generator),
        "text": torch.randint(1, 20, (batch, 5), generator=generator),
        "audio": torch.randn(batch, 1, 6, 9, generator=generator),
    }
    return {m: made[m] for m in names}


ALL = ("image", "text", "audio")


def test_it_is_the_head_of_the_fusion_of_what_the_encoders_say():
    m, x = model(*ALL), some(*ALL)
    encoded = {name: m.encoders[name](x[name]) for name in ALL}
    torch.testing.assert_close(m(x), m.head(m.fusion(encoded)))
    assert m(x).shape == (4, 4) and isinstance(m.head, nn.Linear) and m.head.in_features == 7
    got, masks = m.encode(x)
    assert masks == {} and list(got) == list(ALL)
    torch.testing.assert_close(got["text"], encoded["text"])


def test_masks_reach_the_encoders():
    m, x = model(*ALL), some(*ALL)
    masks = {
        "text": torch.tensor([[True, True, False, False, False]]).expand(4, -1),
        "audio": torch.tensor([[True] * 6 + [False] * 3]).expand(4, -1),
    }
    cut = {"image": x["image"], "text": x["text"][:, :2], "audio": x["audio"][..., :6]}
    torch.testing.assert_close(m(x, masks=masks), m(cut))
    assert (m(x) - m(cut)).abs().max() > 1e-4


def test_a_fusion_of_tokens_gets_tokens_and_their_masks():
    m, x = model(*ALL, fusion=fu.CrossAttentionFusion), some(*ALL)
    masks = {
        "text": torch.tensor([[True, True, False, False, False]]).expand(4, -1),
        "audio": torch.tensor([[True] * 6 + [False] * 3]).expand(4, -1),
    }
    tokens, token_masks = m.encode(x, masks)
    assert {name: t.shape[1:] for name, t in tokens.items()} == {"image": (16, 8), "text": (5, 6), "audio": (5, 5)}
    assert set(token_masks) == {"text", "audio"}
    assert token_masks["audio"][0].tolist() == [True, True, True, False, False]
    cut = {"image": x["image"], "text": x["text"][:, :2], "audio": x["audio"][..., :6]}
    torch.testing.assert_close(m(x, masks=masks), m(cut))


def test_an_image_cnn_gives_a_fusion_of_tokens_its_own_token_width():
    image = ImageCNN(20, (4, 6))
    dims = {"image": 6, "text": 6}
    m = MultimodalClassifier({"image": image, "text": TextBag(20, 6)}, fu.CrossAttentionFusion(dims, 7), 3)
    assert m({"image": torch.rand(2, 3, 20, 20), "text": torch.ones(2, 3, dtype=torch.long)}).shape == (2, 3)


@pytest.mark.parametrize("fusion", [fu.Concat, fu.CrossAttentionFusion], ids=["vectors", "tokens"])
@pytest.mark.parametrize("absent", ALL)
def test_what_stands_in_an_absent_modality_never_matters(fusion, absent):
    m, x = model(*ALL, fusion=fusion).train(), some(*ALL)
    present = {absent: torch.tensor([True, False, True, True])}
    expected = m(x, present=present)
    spoiled = {name: v.clone() for name, v in x.items()}
    spoiled[absent][1] = 10**9 if absent == "text" else torch.nan
    out = m(spoiled, present=present)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(out[[0, 2, 3]], m(x)[[0, 2, 3]])
    assert (out[1] - m(x)[1]).abs().max() > 1e-5
    out.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in m.parameters())


def test_an_absent_modality_counts_as_zeros_after_its_encoder():
    m, x = model(*ALL), some(*ALL)
    present = {"image": torch.zeros(4, dtype=torch.bool)}
    encoded, _ = m.encode(x, present=present)
    assert not encoded["image"].any() and encoded["text"].any()


def test_one_encoder_needs_no_fusion():
    m, x = model("text", fusion=None), some("text")
    torch.testing.assert_close(m(x), m.head(m.encoders["text"](x["text"])))
    nothing = {"text": torch.zeros(4, dtype=torch.bool)}
    torch.testing.assert_close(m(x, present=nothing), m.head.bias.expand(4, 4))
    with pytest.raises(ValueError, match=r"fusion=None is for one encoder, got 2: \['image', 'text'\]"):
        MultimodalClassifier(encoders("image", "text"), None, 4)


def test_one_class_gives_a_logit_an_example():
    assert model("text", fusion=None, head=1)(some("text")).shape == (4,)
    assert model("text", fusion=None, head=2)(some("text")).shape == (4, 2)
    assert model("text", fusion=None, head=1)(some("text", batch=1)).shape == (1,)


def test_a_head_can_be_any_module():
    head = nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 3))
    m = model(*ALL, head=head)
    assert m.head is head and m(some(*ALL)).shape == (4, 3)


def test_late_fusion_answers_by_itself_and_its_heads_learn_alone():
    m, x = model("image", "text", fusion=fu.LateFusion, head=nn.Identity()), some("image", "text")
    target = torch.tensor([0, 1, 2, 3])
    torch.testing.assert_close(m(x).exp().sum(1).clamp(max=1), m(x).exp().sum(1))  # a geometric mean sums to at most 1
    loss = fu.late_fusion_loss(m.fusion.logits(m.encode(x)[0]), target)
    loss.backward()
    grad = m.encoders["text"].lstm.weight_ih_l0.grad.clone()
    m.zero_grad()
    F.cross_entropy(m.fusion.heads["text"](m.encoders["text"](x["text"])), target).backward()
    torch.testing.assert_close(grad, m.encoders["text"].lstm.weight_ih_l0.grad)


def test_modality_dropout_hides_modalities_in_training_alone():
    torch.manual_seed(0)
    m, x = model("image", "text", dropout=fu.ModalityDropout({"text": 1.0})), some("image", "text")
    gone = {"text": torch.zeros(4, dtype=torch.bool)}
    torch.testing.assert_close(m.train()(x), m(x, present=gone))
    torch.testing.assert_close(m(x), model("image", "text")(x, present=gone))
    torch.testing.assert_close(m.eval()(x), model("image", "text")(x))


def test_a_learned_vector_stands_in_where_asked():
    m, x = model("image", "text", missing=fu.MissingEmbeddings({"image": 8, "text": 6})), some("image", "text")
    present = {"text": torch.tensor([True, False, True, True])}
    torch.testing.assert_close(m(x, present=present), model("image", "text")(x, present=present))  # begins at zero
    with torch.no_grad():
        m.missing.embeddings["text"].fill_(2.0)
    encoded = {name: m.encoders[name](v) for name, v in x.items()}
    encoded["text"] = torch.where(present["text"][:, None], encoded["text"], 2.0)
    torch.testing.assert_close(m(x, present=present), m.head(m.fusion(encoded)))


def test_a_learned_vector_is_seen_although_the_absent_text_is_all_padding():
    m = model("image", "text", fusion=fu.CrossAttentionFusion, missing=fu.MissingEmbeddings({"image": 8, "text": 6}))
    x, present = some("image", "text"), {"text": torch.tensor([True, False, True, True])}
    masks = {"text": torch.tensor([[True, True, True, False, False], [False] * 5, [True] * 5, [True] * 5])}
    before = m(x, masks=masks, present=present)
    with torch.no_grad():
        m.missing.embeddings["text"].fill_(2.0)
    after = m(x, masks=masks, present=present)
    torch.testing.assert_close(after[[0, 2, 3]], before[[0, 2, 3]])
    assert (after[1] - before[1]).abs().max() > 1e-5


def test_every_parameter_gets_a_gradient():
    m = model(*ALL).train()
    m(some(*ALL, batch=8)).square().sum().backward()
    assert [name for name, p in m.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_batches_of_one_and_other_precisions():
    m, x = model(*ALL), some(*ALL)
    torch.testing.assert_close(m({k: v[:1] for k, v in x.items()}), m(x)[:1])
    with torch.autocast("cpu", torch.bfloat16):
        low = m(x)
    torch.testing.assert_close(low.float(), m(x), atol=0.05, rtol=0.05)
    exact = m.double()({k: v.double() if v.is_floating_point() else v for k, v in x.items()})
    assert exact.dtype == torch.float64


def test_it_says_what_is_wrong():
    m, x = model("image", "text"), some("image", "text")
    with pytest.raises(ValueError, match=r"modality 'text' is missing: expected \['image', 'text'\], got \['image'\]"):
        m({"image": x["image"]})
    with pytest.raises(
        ValueError, match=r"inputs names the unknown modality 'smell': this model has \['image', 'text'\]"
    ):
        m({**x, "smell": x["text"]})
    with pytest.raises(ValueError, match="masks names the unknown modality 'smell'"):
        m(x, masks={"smell": x["text"] > 0})
    with pytest.raises(ValueError, match="present names the unknown modality 'smell'"):
        m(x, present={"smell": torch.ones(4, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"same batch size, got \{'image': 4, 'text': 3\}"):
        m({**x, "text": x["text"][:3]})
    for bad, came in ((torch.ones(4), "torch.float32"), (torch.ones(3, dtype=torch.bool), "torch.bool")):
        with pytest.raises(ValueError, match=rf"present\['text'\] must be bool with shape \(4,\) .*got {came}"):
            m(x, present={"text": bad})
        with pytest.raises(ValueError, match=r"present\['text'\] must be bool with shape \(4,\)"):
            model("image", "text", dropout=fu.ModalityDropout()).train()(x, present={"text": bad})
    with pytest.raises(ValueError, match=r"mask must be bool with shape \(4, 5\)"):
        m(x, masks={"text": torch.ones(4, 4, dtype=torch.bool)})
    with pytest.raises(
        ValueError, match=r"built for \{'image': 8, 'text': 7\}, but the encoders' vectors have the widths"
    ):
        MultimodalClassifier(encoders("image", "text"), fu.Concat({"image": 8, "text": 7}, 4), 2)
    with pytest.raises(ValueError, match="encoders' tokens have the widths"):
        MultimodalClassifier(encoders("image", "text"), fu.CrossAttentionFusion({"image": 8, "text": 8}, 8), 2)
