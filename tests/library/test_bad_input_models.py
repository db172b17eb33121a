"""Input that cannot be right is answered by an error that names the argument, what came and what was expected."""

import math

import pytest
import torch
from torch import nn

from mmteach import encoders, fusion, generation
from mmteach.encoders import ImageCNN, ImageResNet, TextBag, TextLSTM, TextTransformer, VideoEncoder
from mmteach.generation import Captioner, CTCRecogniser, RelationNetwork, StateMLP

IDS = torch.ones(2, 3, dtype=torch.long)


@pytest.mark.parametrize("encoder", [TextBag(20, 8), TextLSTM(20, 8, 8), TextTransformer(20, 8, heads=2)])
def test_numbers_outside_the_vocabulary_are_named(encoder):
    for ids in (20 * IDS, -IDS):
        with pytest.raises(
            ValueError, match=rf"ids must hold whole numbers from 0 to 19, got numbers from {ids[0, 0]} to"
        ):
            encoder(ids)
    assert encoder(19 * IDS).isfinite().all() and encoder(0 * IDS).isfinite().all()
    assert encoder(99 * IDS, torch.zeros(2, 3, dtype=torch.bool)).eq(0).all()  # padding may hold anything


ENCODERS = [
    (encoders.ImageCNN(22), torch.rand(2, 3, 22, 22)),
    (encoders.ImageResNet(8), torch.rand(2, 3, 16, 16)),
    (encoders.AudioCNN(8, 8), torch.rand(2, 1, 8, 6)),
    (encoders.VideoEncoder(8), torch.rand(2, 3, 3, 16, 16)),
    (encoders.VideoCNN(8), torch.rand(2, 3, 3, 16, 16)),
    (generation.PixelCNN(8), torch.rand(2, 3, 16, 16)),
]


@pytest.mark.parametrize(("encoder", "x"), ENCODERS)
def test_another_precision_than_the_weights_is_named_and_autocast_allows_it(encoder, x):
    for bad in (x.double(), x.bfloat16()):
        with pytest.raises(TypeError, match=rf"must be torch.float32, as the weights are, got {bad.dtype}: convert it"):
            encoder(bad)
    with torch.autocast("cpu", torch.bfloat16):
        encoder(x.bfloat16())
        with pytest.raises(TypeError, match=r"got torch.float64"):
            encoder(x.double())


@pytest.mark.parametrize("name", ["SumFusion", "NonlocalGate", "MulT", "EarlyFusion"])
def test_fusions_name_the_modality_of_another_precision(name):
    model = getattr(fusion, name)({"image": 4, "text": 6}, 8)
    steps = (3,) if model.takes == "tokens" else ()
    inputs = {"image": torch.rand(2, *steps, 4), "text": torch.rand(2, *steps, 6).double()}
    with pytest.raises(
        TypeError, match=r"inputs\['text'\] must be torch.float32, as the weights are, got torch.float64"
    ):
        model(inputs)
    assert model.double()({m: x.double() for m, x in inputs.items()}).dtype == torch.float64


@pytest.mark.parametrize("encoder", [ImageCNN(22), ImageResNet(8)])
def test_an_image_has_no_steps_to_mask(encoder):
    x = torch.rand(2, 3, 22, 22)
    for asks in (encoder, encoder.tokens):
        with pytest.raises(ValueError, match="mask must be None for an image"):
            asks(x, torch.ones(2, 3, dtype=torch.bool))


def test_a_mask_that_is_no_tensor_is_named():
    with pytest.raises(TypeError, match=r"mask must be a bool tensor with shape \(2, 3\), got list"):
        TextBag(20, 8)(IDS, [[True] * 3] * 2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TextTransformer(20, 8, heads=2, layers=0), "layers must be above 0, got 0"),
        (lambda: TextTransformer(20, 8, heads=2, max_length=0), "max_length must be above 0, got 0"),
        (lambda: ImageCNN(22, kernel=0), "kernel must be above 0, got 0"),
        (lambda: ImageCNN(22, in_channels=0), "in_channels must be above 0, got 0"),
        (lambda: ImageCNN(22, (8, 0)), r"channels\[1\] must be above 0, got 0"),
        (lambda: VideoEncoder(8, frame=nn.Flatten()), "frame must say how wide .* `dim`, got Flatten"),
        (lambda: fusion.GatedFusion({"a": 1, "b": 2}, 4, width=0), "width must be above 0, got 0"),
        (lambda: fusion.MultimodalClassifier({"text": TextBag(20, 8)}, None, 0), "head must be above 0, got 0"),
        (lambda: fusion.outer_product([]), "vectors must hold at least one tensor, got none"),
        (
            lambda: fusion.outer_product([torch.ones(2, 3), torch.ones(3, 3)]),
            r"leading axes, got \[\(2, 3\), \(3, 3\)\]",
        ),
        (lambda: fusion.drop_modalities({}, 0.5), "inputs must hold at least one modality, got none"),
    ],
)
def test_settings_that_make_no_sense_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


AB = {"a": torch.zeros(2, 3), "b": torch.zeros(2, 3)}
THERE = torch.ones(2, dtype=torch.bool)


@pytest.mark.parametrize(
    "asks",
    [
        lambda present: fusion.drop_modalities(AB, 0.5, present),
        lambda present: fusion.product_of_experts(AB, AB, present),
        lambda present: fusion.late_fusion_loss(AB, torch.tensor([0, 1]), present),
        lambda present: fusion.MissingEmbeddings({"a": 3, "b": 3})(AB, present),
    ],
)
def test_present_must_fit(asks):
    with pytest.raises(ValueError, match="a name in present must be one of 'a', 'b', got 'c'"):
        asks({"c": THERE})
    with pytest.raises(ValueError, match=r"present\['b'\] must be bool with shape \(2,\) .*got torch.float32"):
        asks({"b": THERE.float()})
    with pytest.raises(ValueError, match=r"present\['a'\] must be bool with shape \(2,\) .*with shape \(1,\)"):
        asks({"a": THERE[:1]})
    asks({"a": THERE})


def test_modalities_of_unequal_size_are_named():
    with pytest.raises(ValueError, match=r"the same batch size, got \{'a': 2, 'b': 3\}"):
        fusion.drop_modalities({"a": torch.zeros(2, 3), "b": torch.zeros(3, 3)}, 0.5)
    wide = {"a": torch.zeros(2, 3), "b": torch.zeros(1, 3)}
    with pytest.raises(
        ValueError, match=r"mean\['b'\] and mean\['a'\] must have the same shape, got \(1, 3\) and \(2, 3\)"
    ):
        fusion.product_of_experts(wide, wide)
    with pytest.raises(TypeError, match=r"mean\['a'\] must hold floating-point numbers, got torch.int64"):
        fusion.product_of_experts({"a": IDS}, {"a": IDS})
    with pytest.raises(ValueError, match="a name in inputs must be one of 'a', got 'b'"):
        fusion.MissingEmbeddings({"a": 3})(AB)


def test_targets_that_are_no_whole_numbers_are_named():
    captioner = small_captioner()
    for asks, name in (
        (lambda: fusion.late_fusion_loss(AB, torch.tensor([0.0, 1.0])), "target"),
        (lambda: generation.caption_loss(torch.zeros(2, 3, 8), IDS.float()), "targets"),
        (lambda: generation.ctc_loss(torch.zeros(2, 4, 3), IDS.float()), "targets"),
        (lambda: captioner({"image": torch.zeros(2, 6)}, IDS.float()), "captions"),
        (lambda: captioner.decoder(IDS.float(), torch.zeros(2, 1, 5)), "words"),
    ):
        with pytest.raises(TypeError, match=f"^{name} must hold whole numbers, got torch.float32"):
            asks()
    with pytest.raises(ValueError, match="logits must hold at least one modality, got none"):
        fusion.late_fusion_loss({}, IDS[:, 0])


def small_captioner():
    encoder = nn.Linear(6, 5)
    encoder.dim = 5
    return Captioner(encoder, 10, width=8, heads=2)


def test_captions_and_presence_must_fit_the_captioner():
    captioner, x = small_captioner(), {"image": torch.zeros(2, 6)}
    with pytest.raises(ValueError, match="words must hold whole numbers from 0 to 11, got numbers from 11 to 36"):
        captioner(x, 36 * IDS)
    with pytest.raises(ValueError, match=r"present\['image'\] must be bool with shape \(2,\)"):
        captioner(x, IDS, present={"image": THERE.float()})


def test_masks_and_precision_must_fit_the_recogniser():
    recogniser, x = CTCRecogniser(8, 5, width=8, layers=1), {"audio": torch.zeros(2, 1, 8, 6)}
    with pytest.raises(ValueError, match=r"masks\['audio'\] must be bool with shape \(2, 6\) .*float32"):
        recogniser(x, masks={"audio": torch.ones(2, 6)})
    with pytest.raises(ValueError, match=r"present\['audio'\] must be bool with shape \(2,\)"):
        recogniser(x, present={"audio": THERE.float()})
    with pytest.raises(TypeError, match=r"inputs\['audio'\] must be torch.float32, as the weights are"):
        recogniser({"audio": x["audio"].double()})


@pytest.mark.parametrize("network", [RelationNetwork(4, 3, 5, hidden=8), StateMLP(6, 4, 3, 5, hidden=8)])
def test_masks_and_precision_must_fit_the_relation_network(network):
    x = {"state": torch.zeros(2, 6, 4), "question": torch.zeros(2, 3)}
    with pytest.raises(ValueError, match=r"masks\['state'\] must be bool with shape \(2, 6\) .*float32"):
        network(x, masks={"state": torch.ones(2, 6)})
    with pytest.raises(ValueError, match=r"present\['question'\] must be bool with shape \(2,\)"):
        network(x, present={"question": THERE.float()})
    with pytest.raises(TypeError, match=r"question must be torch.float32, as the weights are, got torch.float64"):
        network(x | {"question": x["question"].double()})
    with pytest.raises(TypeError, match=r"objects must be torch.float32, as the weights are, got torch.int64"):
        network(x | {"state": x["state"].long()})


def test_the_mask_of_a_resampler_must_fit():
    resampler = fusion.Resampler(8, heads=2)
    with pytest.raises(ValueError, match=r"real must be bool with shape \(2, 5\) .*with shape \(2, 4\)"):
        resampler(torch.zeros(2, 5, 8), torch.ones(2, 4, dtype=torch.bool))
    padded = resampler(torch.full((2, 5, 8), math.nan), torch.zeros(2, 5, dtype=torch.bool))
    assert padded.isfinite().all()
