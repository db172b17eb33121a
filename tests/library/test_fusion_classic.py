"""The classic model: its size, its answers, and the same numbers from Keras."""

import math
import os

import pytest
import torch

from mmteach.fusion import ClassicFusion, carry_keras_weights

SMALL = dict(image_size=30, vocabulary=30, embedding=5, units=6)


def small(**changes):
    torch.manual_seed(0)
    return ClassicFusion(**{**SMALL, **changes})


def some(batch=3, steps=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 30, (batch, steps), generator=generator)
    for row in range(batch):
        ids[row, 2 + row :] = 0  # 2, 3, 4 … words, then padding
    return {"image": torch.rand(batch, 3, 30, 30, generator=generator), "text": ids}


def test_at_full_size_it_has_the_parameters_of_keras_and_one_bias_more():
    with torch.device("meta"):
        model = ClassicFusion()
    assert sum(p.numel() for p in model.parameters()) == 23_211_649 + 4 * 64
    assert model.head[0].weight.numel() == (26 * 26 * 256 + 64) * 128


def test_its_layers_and_training_settings_are_the_classic_ones():
    with torch.device("meta"):
        model = ClassicFusion()
    convolutions = [layer for layer in model.image.layers if isinstance(layer, torch.nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size, c.padding) for c in convolutions] == [
        (3, 64, (3, 3), "valid"),
        (64, 128, (3, 3), "valid"),
        (128, 256, (3, 3), "valid"),
    ]
    assert [type(layer).__name__ for layer in model.image.layers] == ["Conv2d", "MaxPool2d", "ReLU"] * 3
    assert model.text.embedding.weight.shape == (10_000, 64) and model.text.lstm.hidden_size == 64
    assert [type(layer).__name__ for layer in model.head] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert [layer.out_features for layer in model.head[::2]] == [128, 64, 1]
    assert ClassicFusion.TRAINING == {"lr": 1e-3, "batch_size": 32, "epochs": 10}
    assert ClassicFusion.VALID_SHARE == 0.2 and ClassicFusion.TEXT_LENGTH == 100


def test_one_class_gives_a_logit_an_example_and_more_give_a_row():
    batch = some()
    yes_no, three = small(), small(classes=3)
    assert yes_no(batch).shape == (3,) and three(batch).shape == (3, 3)
    torch.testing.assert_close(yes_no.probability(batch), torch.sigmoid(yes_no(batch)))
    torch.testing.assert_close(three.probability(batch), torch.softmax(three(batch), -1))
    one = {m: x[:1] for m, x in batch.items()}
    torch.testing.assert_close(yes_no(one), yes_no(batch)[:1])


def test_a_mask_skips_the_padding_that_the_bare_model_reads():
    model, batch = small(), some()
    masks = {"text": batch["text"] != 0}
    longer = {**batch, "text": torch.nn.functional.pad(batch["text"], (0, 20))}
    masked = model(batch, masks=masks)
    torch.testing.assert_close(model(longer, masks={"text": longer["text"] != 0}), masked)
    assert (model(longer) - model(batch)).abs().min() > 1e-5
    cut = {m: x[:1] for m, x in batch.items()}
    torch.testing.assert_close(model({**cut, "text": cut["text"][:, :2]}), masked[:1])


@pytest.mark.parametrize("absent", ["image", "text"])
def test_what_stands_in_an_absent_modality_never_matters(absent):
    model, batch = small(), some()
    present = {absent: torch.tensor([True, False, True])}
    expected = model(batch, present=present)
    garbage = {m: x.clone() for m, x in batch.items()}
    garbage[absent][1] = float("nan") if absent == "image" else 29
    out = model(garbage, present=present)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(out[[0, 2]], model(batch)[[0, 2]])
    out.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_an_absent_modality_counts_as_a_vector_of_zeros():
    model, batch = small(), some()
    nothing = {m: torch.zeros(3, dtype=torch.bool) for m in batch}
    expected = model.head(torch.zeros(3, model.image.dim + 6)).squeeze(-1)
    torch.testing.assert_close(model(batch, present=nothing), expected)


def test_bytes_and_numbers_between_0_and_1_are_the_same_picture():
    model, batch = small(), some()
    pixels = (batch["image"] * 255).to(torch.uint8)
    torch.testing.assert_close(
        model({**batch, "image": pixels}), model({**batch, "image": pixels.to(torch.float32) / 255})
    )


def test_every_parameter_gets_a_gradient():
    model = small()
    model(some()).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_it_says_what_is_wrong_with_its_inputs():
    model, batch = small(), some()
    with pytest.raises(
        ValueError, match=r"inputs names the unknown modality 'audio': this model has \['image', 'text'\]"
    ):
        model({**batch, "audio": torch.zeros(3)})
    with pytest.raises(ValueError, match=r"modality 'text' is missing: expected \['image', 'text'\], got \['image'\]"):
        model({"image": batch["image"]})
    with pytest.raises(ValueError, match=r"same batch size, got \{'image': 3, 'text': 2\}"):
        model({**batch, "text": batch["text"][:2]})
    with pytest.raises(ValueError, match=r"images must have shape \(B, 3, 30, 30\), got \(3, 3, 20, 30\)"):
        model({**batch, "image": batch["image"][:, :, :20]})
    with pytest.raises(ValueError, match="classes must be above 0, got 0"):
        ClassicFusion(**SMALL, classes=0)


# ---- the same model in Keras ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras():
    # Chosen before Keras is first imported; another backend computes the same numbers, but need not be installed.
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", reason="the extra `tools` is not installed")


def keras_build(keras, image_size, vocabulary, embedding=64, units=64, mask_zero=False, steps=100):
    """The classic model as a Keras user writes it."""
    layers = keras.layers
    image = keras.Input((image_size, image_size, 3))
    x = image
    for channels in (64, 128, 256):
        x = layers.Conv2D(channels, 3, activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    text = keras.Input((steps,), dtype="int32")
    y = layers.Embedding(vocabulary, embedding, mask_zero=mask_zero)(text)
    y = layers.LSTM(units)(y)
    z = layers.Concatenate()([x, y])
    z = layers.Dense(128, activation="relu")(z)
    z = layers.Dense(64, activation="relu")(z)
    return keras.Model([image, text], layers.Dense(1, activation="sigmoid")(z))


@pytest.mark.parametrize("mask_zero", [False, True])
def test_with_the_weights_of_keras_it_gives_the_answers_of_keras(keras, mask_zero):
    theirs = keras_build(keras, **SMALL, mask_zero=mask_zero, steps=7)
    generator = torch.Generator().manual_seed(3)
    scales = [math.sqrt(2 * w.shape[-1] / w.size) if w.ndim > 1 else 0.1 for w in theirs.get_weights()]
    theirs.set_weights(
        [s * torch.randn(w.shape, generator=generator).numpy() for s, w in zip(scales, theirs.get_weights())]
    )
    ours, batch = carry_keras_weights(small(), theirs), some(batch=5)
    assert ours.image.side == 2, "one place alone could not show the order of flattening"
    expected = theirs.predict([batch["image"].movedim(1, -1).numpy(), batch["text"].numpy()], verbose=0)[:, 0]
    masks = {"text": batch["text"] != 0} if mask_zero else None
    probability = ours.probability(batch, masks=masks)
    assert probability.std() > 0.01, "answers that are all alike would prove nothing"
    torch.testing.assert_close(probability, torch.as_tensor(expected), atol=1e-4, rtol=0)


def test_keras_counts_256_fewer_at_full_size(keras):
    with keras.device("meta"):  # sizes without the 90 MB
        theirs = keras_build(keras, 224, 10_000)
    assert theirs.count_params() == 23_211_649


def test_a_keras_model_of_another_build_is_refused(keras):
    theirs = keras_build(keras, **{**SMALL, "units": 8}, steps=7)
    with pytest.raises(ValueError, match=r"LSTM kernel must have shape \(24, 5\) \(as PyTorch has it\), got \(32, 5\)"):
        carry_keras_weights(small(), theirs)
    one_dense_less = keras.Model(theirs.inputs, theirs.layers[-2].output)
    with pytest.raises(ValueError, match="the Keras model must have 3 Dense layers, got 2"):
        carry_keras_weights(small(), one_dense_less)
