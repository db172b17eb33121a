"""Encoders: what each computes, and that a padded step never changes anything."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from mmteach.encoders import (
    AudioCNN,
    ImageCNN,
    ImageResNet,
    TextBag,
    TextLSTM,
    TextTransformer,
    VideoCNN,
    VideoEncoder,
)

STEPS = 6
BUILD = {
    "image cnn": lambda: ImageCNN(22, (4, 6)),
    "image cnn same": lambda: ImageCNN(16, (4, 6), padding="same", kernel=5, in_channels=1),
    "image resnet": lambda: ImageResNet(9, width=8, stages=2, blocks=2),
    "text bag": lambda: TextBag(20, 7),
    "text lstm": lambda: TextLSTM(20, 5, 7),
    "text transformer": lambda: TextTransformer(20, 8, heads=2, max_length=8),
    "audio cnn": lambda: AudioCNN(10, 7, channels=(4, 5, 6)),
    "audio cnn all pools": lambda: AudioCNN(10, 7, channels=(4, 5), time_pools=2),
    "video gru": lambda: VideoEncoder(7, frame=ImageResNet(5, width=8, stages=1)),
    "video mean": lambda: VideoEncoder(7, over_time="mean", frame=ImageResNet(5, width=8, stages=1)),
    "video cnn": lambda: VideoCNN(7, channels=(4, 5)),
}
SEQUENCES = [name for name in BUILD if not name.startswith("image")]
RECURRENT = ("text lstm", "video gru")
every = pytest.mark.parametrize("name", BUILD)
sequences = pytest.mark.parametrize("name", SEQUENCES)


def build(name, seed=0):
    torch.manual_seed(seed)
    module = BUILD[name]().double()
    with torch.no_grad():  # also what begins at zero or one
        for p in module.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return module.eval()


def some(name, batch=4, seed=1, steps=STEPS):
    generator = torch.Generator().manual_seed(seed)
    shape = {
        "image cnn": (batch, 3, 22, 22),
        "image cnn same": (batch, 1, 16, 16),
        "image resnet": (batch, 3, 16, 16),
        "audio cnn": (batch, 1, 10, steps),
        "audio cnn all pools": (batch, 1, 10, steps),
    }.get(name, (batch, steps, 3, 8, 8))
    if name.startswith("text"):
        return torch.randint(1, 20, (batch, steps), generator=generator)
    if name.startswith("audio"):
        return torch.randn(shape, generator=generator, dtype=torch.float64)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def time_axis(name):
    return -1 if name.startswith(("text", "audio")) else 1


def cut(name, x, keep):
    """The steps named in `keep`, of every row."""
    return x.index_select(time_axis(name), torch.as_tensor(keep))


def spoil(name, x, mask, value=float("nan")):
    """x with garbage at every padded step."""
    if name.startswith("text"):
        return x.masked_fill(~mask, 10**9)
    shaped = mask[:, None, None, :] if name.startswith("audio") else mask[:, :, None, None, None]
    return x.masked_fill(~shaped, value)


# ---- what holds for every encoder -----------------------------------------------------------------------------------


@every
def test_it_gives_a_vector_and_tokens_of_its_widths(name):
    encoder, x = build(name), some(name)
    tokens, mask = encoder.tokens(x)
    assert encoder(x).shape == (4, encoder.dim)
    assert tokens.ndim == 3 and tokens.shape[::2] == (4, encoder.token_dim) and mask is None
    assert encoder(x).dtype == tokens.dtype == torch.float64


@every
def test_each_example_is_encoded_by_itself(name):
    encoder, x = build(name), some(name)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(encoder(x[order]), encoder(x)[order])
    torch.testing.assert_close(encoder(x[1:2]), encoder(x)[1:2])
    encoder.train()
    torch.testing.assert_close(encoder(x[1:2]), encoder(x)[1:2])


@every
def test_a_gradient_reaches_every_parameter(name):
    encoder, x = build(name), some(name, batch=8)
    (encoder(x).square().sum() + encoder.tokens(x)[0].square().sum()).backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []


@every
def test_float32_and_bfloat16_are_near_float64(name):
    encoder, x = build(name), some(name)
    mask = torch.ones(4, STEPS, dtype=torch.bool) if name in SEQUENCES else None
    exact = encoder(x, mask)
    single = encoder.float()
    x = x.float() if x.is_floating_point() else x
    assert single(x).dtype == torch.float32
    torch.testing.assert_close(single(x, mask).double(), exact, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(single(x, mask).double(), exact, atol=0.1, rtol=0.1)


@every
def test_compiled_it_computes_the_same(name):
    encoder, x = build(name), some(name)
    mask = torch.ones(4, STEPS, dtype=torch.bool) if name in SEQUENCES else None
    compiled = torch.compile(encoder, backend="aot_eager", fullgraph=name not in RECURRENT)
    torch.testing.assert_close(compiled(x, mask), encoder(x, mask))


@pytest.mark.parametrize("name", [n for n in BUILD if n not in RECURRENT])
def test_three_seeds_at_once_by_vmap_are_three_seeds_one_by_one(name):
    encoders, x = [build(name, seed) for seed in range(3)], some(name)
    mask = torch.ones(4, STEPS, dtype=torch.bool) if name in SEQUENCES else None
    skeleton = copy.deepcopy(encoders[0]).to("meta")
    together = vmap(lambda p, b: functional_call(skeleton, (p, b), (x, mask)))(*stack_module_state(encoders))
    torch.testing.assert_close(together, torch.stack([e(x, mask) for e in encoders]))


# ---- what holds for every encoder of sequences ----------------------------------------------------------------------


@sequences
def test_a_padded_end_gives_what_the_shorter_sequence_gives(name):
    encoder, x = build(name), some(name)
    for length in (1, 3, 4, 6):
        mask = (torch.arange(STEPS) < length).expand(4, -1)
        short, padded = cut(name, x, range(length)), spoil(name, x, mask)
        torch.testing.assert_close(encoder(padded, mask), encoder(short))
        tokens, token_mask = encoder.tokens(padded, mask)
        expected, _ = encoder.tokens(short)
        torch.testing.assert_close(tokens[:, : expected.shape[1]], expected)
        assert not tokens[:, expected.shape[1] :].any()
        assert token_mask.sum(1).tolist() == [expected.shape[1]] * 4


@sequences
@settings(max_examples=15, deadline=None)
@given(pattern=st.lists(st.booleans(), min_size=4 * STEPS, max_size=4 * STEPS), seed=st.integers(0, 100))
def test_what_stands_in_a_padded_step_never_matters(name, pattern, seed):
    encoder, x = build(name), some(name, seed=seed)
    mask = torch.tensor(pattern).view(4, STEPS)
    vector, (tokens, token_mask) = encoder(x, mask), encoder.tokens(x, mask)
    torch.testing.assert_close(encoder(spoil(name, x, mask), mask), vector, rtol=0, atol=0)
    torch.testing.assert_close(encoder.tokens(spoil(name, x, mask), mask)[0], tokens, rtol=0, atol=0)
    empty = ~mask.any(1)
    assert not vector[empty].any() and not tokens[empty].any() and not tokens[~token_mask].any()
    assert (vector[~empty].abs().amax(1) > 0).all()


@sequences
def test_garbage_in_padding_spoils_no_gradient(name):
    encoder, x = build(name), some(name)
    mask = torch.tensor([[True] * 6, [True, True, False, False, False, False], [False] * 6, [False, True] * 3])
    encoder(spoil(name, x, mask), mask).sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


@sequences
def test_a_mask_without_padding_changes_nothing(name):
    encoder, x = build(name), some(name)
    mask = torch.ones(4, STEPS, dtype=torch.bool)
    torch.testing.assert_close(encoder(x, mask), encoder(x))
    torch.testing.assert_close(encoder.tokens(x, mask)[0], encoder.tokens(x)[0])


@sequences
def test_a_mask_must_fit(name):
    encoder, x = build(name), some(name)
    for mask, came in (
        (torch.ones(4, STEPS), rf"torch.float32 with shape \(4, {STEPS}\)"),
        (torch.ones(4, STEPS + 1, dtype=torch.bool), rf"torch.bool with shape \(4, {STEPS + 1}\)"),
    ):
        with pytest.raises(ValueError, match=rf"mask must be bool with shape \(4, {STEPS}\) .*, got {came}"):
            encoder(x, mask)


# Encoders that treat steps as a set, or carry their state across: a gap is as if the step had never been.
@pytest.mark.parametrize("name", ["text bag", "text lstm", "text transformer", "video gru", "video mean"])
def test_a_gap_is_skipped(name):
    encoder, x = build(name), some(name)
    mask = torch.tensor([[False, True, True, False, True, False]]).expand(4, -1)
    torch.testing.assert_close(encoder(x, mask), encoder(cut(name, x, [1, 2, 4])))
    tokens, _ = encoder.tokens(x, mask)
    torch.testing.assert_close(tokens[:, [1, 2, 4]], encoder.tokens(cut(name, x, [1, 2, 4]))[0])


# ---- images ---------------------------------------------------------------------------------------------------------


def test_the_image_cnn_is_convolution_relu_pool_flattened():
    encoder, x = build("image cnn"), some("image cnn")
    first, second = encoder.layers[0], encoder.layers[3]
    h = F.max_pool2d(F.relu(F.conv2d(x, first.weight, first.bias)), 2)
    h = F.max_pool2d(F.relu(F.conv2d(h, second.weight, second.bias)), 2)
    torch.testing.assert_close(encoder(x), h.flatten(1))
    tokens, _ = encoder.tokens(x)
    torch.testing.assert_close(tokens[:, 5], h[:, :, 1, 1])  # row by row: place 5 of a 4 × 4 grid
    assert (encoder.side, encoder.token_dim, encoder.dim) == (4, 6, 96)


def test_pooling_before_rectifying_changes_no_number_and_no_gradient():
    encoder = ImageCNN(22, (4, 6))
    written = copy.deepcopy(encoder)
    layers = list(written.layers)
    written.layers = nn.Sequential(*(layers[3 * i + j] for i in range(2) for j in (0, 2, 1)))  # as the equation has it
    images = torch.randn(8, 3, 22, 22)
    images[:, :, :10] = 0  # where many numbers are equal
    for one in (encoder, written):
        one(images).square().sum().backward()
    assert torch.equal(encoder(images), written(images))
    for name in ("layers.0.weight", "layers.0.bias", "layers.3.weight", "layers.3.bias"):
        assert torch.equal(encoder.get_parameter(name).grad, written.get_parameter(name).grad)


@pytest.mark.parametrize(("size", "side"), [(224, 26), (64, 6), (48, 4), (22, 1)])
def test_what_the_pools_of_the_classic_cnn_leave(size, side):
    with torch.device("meta"):
        encoder = ImageCNN(size)
        assert encoder(torch.zeros(1, 3, size, size)).shape == (1, 256 * side * side)
    assert (encoder.side, encoder.dim) == (side, 256 * side * side)
    assert sum(p.numel() for p in encoder.parameters()) == 27 * 64 + 64 + 576 * 128 + 128 + 1152 * 256 + 256
    assert ImageCNN.__init__.__defaults__ == (224, (64, 128, 256))


def test_same_padding_keeps_the_edges():
    assert BUILD["image cnn same"]().side == 4
    with torch.device("meta"):
        assert ImageCNN(8, padding="same").side == 1
    with pytest.raises(ValueError, match="padding must be one of 'valid', 'same', got 'full'"):
        ImageCNN(48, padding="full")


def test_an_image_too_small_or_of_another_size_is_refused():
    with pytest.raises(ValueError, match="image_size=21 is too small for 3 layers of convolution and pool"):
        ImageCNN(21)
    with pytest.raises(ValueError, match=r"images must have shape \(B, 3, 22, 22\), got \(4, 3, 16, 16\)"):
        build("image cnn")(some("image resnet"))
    with pytest.raises(ValueError, match=r"images must have shape \(B, 3, H, W\), got \(4, 1, 16, 16\)"):
        build("image resnet")(some("image cnn same"))


def test_the_residual_network_is_its_blocks_averaged():
    encoder, x = build("image resnet"), some("image resnet")

    def norm(h, layer):
        groups = h.unflatten(1, (-1, 8)).flatten(2)  # 8 channels of one image and all their places together
        h = (groups - groups.mean(2, keepdim=True)) / (groups.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
        h = h.view(4, -1, *size)
        return h * layer.weight[:, None, None] + layer.bias[:, None, None]

    h = F.relu(F.conv2d(x, encoder.stem.weight, encoder.stem.bias, stride=2, padding=1))
    for block, stride, width in zip(encoder.body, (1, 1, 2, 1), (8, 8, 16, 16)):
        out = F.conv2d(h, block.first.weight, stride=stride, padding=1)
        size = out.shape[2:]
        out = norm(F.conv2d(F.relu(norm(out, block.norm_first)), block.second.weight, padding=1), block.norm_second)
        assert out.shape[1] == width
        shortcut = h
        if stride == 2:
            shortcut = F.conv2d(h, block.shortcut.weight, block.shortcut.bias, stride=2)
        h = F.relu(shortcut + out)
    torch.testing.assert_close(encoder(x), encoder.project(h.mean((2, 3))))
    tokens, _ = encoder.tokens(x)
    torch.testing.assert_close(tokens[:, 6], encoder.project(h[:, :, 1, 2]))
    torch.testing.assert_close(tokens.mean(1), encoder(x))


def test_the_residual_network_takes_any_size_and_has_the_parameters_of_its_formula():
    encoder = ImageResNet()
    assert encoder(torch.rand(1, 3, 30, 41)).shape == (1, 128)
    assert encoder.tokens(torch.rand(1, 3, 48, 48))[0].shape == (1, 36, 128)
    blocks = 0
    for c, out in ((16, 16), (16, 32), (32, 64)):
        blocks += 9 * c * out + 9 * out * out + 4 * out + (0 if c == out else c * out + out)
    assert sum(p.numel() for p in encoder.parameters()) == 27 * 16 + 16 + blocks + 64 * 128 + 128
    assert ImageResNet(5, in_channels=1)(torch.rand(2, 1, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(dim=0), "dim must be above 0, got 0"),
        (dict(width=0), "width must be above 0, got 0"),
        (dict(width=12), r"width must be a multiple of 8 .*, got 12"),
        (dict(stages=0), "stages must be above 0, got 0"),
        (dict(blocks=0), "blocks must be above 0, got 0"),
    ],
)
def test_the_residual_network_says_what_it_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        ImageResNet(**options)


@pytest.mark.parametrize("name", ["image cnn", "image resnet", "video gru", "video cnn"])
def test_bytes_are_scaled_to_between_0_and_1(name):
    encoder = build(name)
    bytes_ = (255 * some(name)).to(torch.uint8)
    torch.testing.assert_close(encoder(bytes_), encoder(bytes_.double() / 255))
    with pytest.raises(
        TypeError, match=r"images must be uint8 \(0 to 255\) or floating-point numbers .*, got torch.int64"
    ):
        encoder(bytes_.long())


# ---- texts ----------------------------------------------------------------------------------------------------------


def test_a_bag_of_words_is_the_mean_of_their_embeddings():
    bag = build("text bag")
    ids = torch.tensor([[3, 5, 5, 0]])
    expected = (bag.embedding.weight[3] + 2 * bag.embedding.weight[5]) / 3
    torch.testing.assert_close(bag(ids, ids != 0)[0], expected)
    torch.testing.assert_close(bag(ids)[0], (3 * expected + bag.embedding.weight[0]) / 4)
    assert sum(p.numel() for p in bag.parameters()) == 20 * 7


def test_the_lstm_is_its_equations():
    encoder, ids = build("text lstm"), torch.tensor([[3, 5, 7]])
    lstm, h, c = encoder.lstm, torch.zeros(7).double(), torch.zeros(7).double()
    states = []
    for t in range(3):
        gates = lstm.weight_ih_l0 @ encoder.embedding.weight[ids[0, t]] + lstm.weight_hh_l0 @ h
        i, f, g, o = (gates + lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    torch.testing.assert_close(encoder(ids)[0], h)
    torch.testing.assert_close(encoder.tokens(ids)[0][0], torch.stack(states))
    assert sum(p.numel() for p in encoder.parameters()) == 20 * 5 + 4 * 7 * (5 + 7 + 2)
    assert (TextLSTM().vocabulary, TextLSTM().embedding.embedding_dim, TextLSTM().dim) == (10_000, 64, 64)


def test_without_a_mask_the_lstm_reads_the_padding_and_forgets_the_word():
    encoder = TextLSTM(20, 8, 8)
    words = torch.zeros(2, 91, dtype=torch.long)
    words[:, 0] = torch.tensor([3, 7])
    apart, forgotten = encoder(words, words != 0), encoder(words)
    assert (forgotten[0] - forgotten[1]).abs().max() < 1e-3 < (apart[0] - apart[1]).abs().max()


def test_the_transformer_agrees_with_the_layer_of_pytorch():
    encoder, ids = build("text transformer"), some("text transformer")
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4, [True] * 5 + [False], [True] + [False] * 5])
    h = encoder.embedding(ids) + encoder.positions(torch.arange(STEPS))
    for ours in encoder.layers:
        theirs = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True).double()
        pairs = {
            "self_attn.in_proj_": ours.query_key_value,
            "self_attn.out_proj.": ours.out,
            "linear1.": ours.mlp[0],
            "linear2.": ours.mlp[2],
            "norm1.": ours.norm_attention,
            "norm2.": ours.norm_mlp,
        }
        theirs.load_state_dict(
            {f"{k}{part}": getattr(m, part) for k, m in pairs.items() for part in ("weight", "bias")}
        )
        h = theirs(h, src_key_padding_mask=~mask)
    h = encoder.norm(h)
    tokens, _ = encoder.tokens(ids, mask)
    torch.testing.assert_close(tokens[mask], h[mask])
    for row in range(4):
        torch.testing.assert_close(encoder(ids, mask)[row], h[row][mask[row]].mean(0))


def test_the_transformer_knows_the_order_but_not_where_the_padding_stands():
    encoder = build("text transformer")
    left, right = torch.tensor([[0, 0, 3, 5]]), torch.tensor([[3, 5, 0, 0]])
    torch.testing.assert_close(encoder(left, left != 0), encoder(right, right != 0))
    assert (encoder(torch.tensor([[3, 5]])) - encoder(torch.tensor([[5, 3]]))).abs().max() > 1e-3


def test_the_size_of_the_transformer():
    encoder = TextTransformer(20, 8, heads=2, layers=3, max_length=8)
    layer = 3 * 8 * 9 + 8 * 9 + 2 * 16 + 8 * 32 + 32 + 32 * 8 + 8
    assert sum(p.numel() for p in encoder.parameters()) == 20 * 8 + 8 * 8 + 3 * layer + 16
    default = TextTransformer()
    assert (default.vocabulary, default.dim, len(default.layers), default.layers[0].heads) == (10_000, 64, 2, 4)
    assert default.max_length == 128
    assert default.embedding.weight.std().item() == pytest.approx(1 / 8, rel=0.05)
    assert default.positions.weight.std().item() == pytest.approx(1 / 8, rel=0.05)


def test_dropout_of_the_transformer_acts_in_training_alone():
    encoder, ids = TextTransformer(20, 8, heads=2, dropout=0.5), some("text transformer")
    assert not torch.equal(encoder(ids), encoder(ids))
    torch.testing.assert_close(encoder.eval()(ids), encoder(ids))


def test_token_numbers_are_checked():
    encoder = build("text transformer")
    with pytest.raises(ValueError, match="ids may have up to max_length=8 steps, got 9"):
        encoder(torch.ones(1, 9, dtype=torch.long))
    assert encoder(torch.ones(1, 8, dtype=torch.long)).shape == (1, 8)
    assert torch.equal(encoder(torch.ones(1, 4, dtype=torch.int32)), encoder(torch.ones(1, 4, dtype=torch.long)))
    for bad in (torch.ones(1, 4), torch.ones(1, 4, dtype=torch.bool)):
        with pytest.raises(TypeError, match=rf"ids must hold whole numbers from 0 to 19, got {bad.dtype}"):
            encoder(bad)
    with pytest.raises(ValueError, match=r"ids must have shape \(B, T\), got \(4,\)"):
        encoder(torch.ones(4, dtype=torch.long))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TextBag(0), "vocabulary must be above 0, got 0"),
        (lambda: TextBag(5, 0), "embedding must be above 0, got 0"),
        (lambda: TextLSTM(5, 5, 0), "dim must be above 0, got 0"),
        (lambda: TextTransformer(5, 6, heads=4), "dim must be a multiple of heads, got dim=6 with heads=4"),
        (lambda: TextTransformer(5, 6, heads=0), "heads must be above 0, got 0"),
        (lambda: TextTransformer(5, 6, heads=2, dropout=2), "dropout must be between 0 and 1, got 2"),
    ],
)
def test_text_encoders_say_what_they_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- sounds ---------------------------------------------------------------------------------------------------------


def channel_norm(h, layer):
    """Layer normalisation over axis 1, by hand."""
    h = (h - h.mean(1, keepdim=True)) / (h.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    return h * layer.weight.view(-1, *[1] * (h.ndim - 2)) + layer.bias.view(-1, *[1] * (h.ndim - 2))


def test_the_audio_cnn_is_its_equation():
    encoder, x = build("audio cnn"), some("audio cnn", steps=7)
    h = x
    for layer, pool in enumerate((2, 2, 1)):
        convolution = encoder.convolutions[layer]
        h = F.relu(channel_norm(F.conv2d(h, convolution.weight, convolution.bias, padding=1), encoder.norms[layer]))
        h = F.max_pool2d(h, (2, pool), ceil_mode=True)
    assert h.shape == (4, 6, 2, 2)  # 10 pitches → 5 → 3 → 2; 7 frames → 4 → 2
    tokens, _ = encoder.tokens(x)
    torch.testing.assert_close(tokens[:, 1], encoder.project(h[..., 1].flatten(1)))
    torch.testing.assert_close(encoder(x), tokens.mean(1))


def test_a_token_of_sound_is_real_where_one_of_its_frames_is():
    encoder, x = build("audio cnn"), some("audio cnn", steps=11)
    mask = torch.tensor([[True] * 9 + [False] * 2, [True] * 4 + [False] * 7, [False] * 11, [False] * 10 + [True]])
    tokens, real = encoder.tokens(x, mask)
    assert real.tolist() == [[True, True, True], [True, False, False], [False] * 3, [False, False, True]]
    torch.testing.assert_close(encoder(x, mask)[0], tokens[0].mean(0))
    torch.testing.assert_close(encoder(x, mask)[1], tokens[1, 0])


def test_the_size_of_the_audio_cnn():
    encoder = AudioCNN()
    convolutions = 9 * 32 + 32 + 9 * 32 * 64 + 64 + 9 * 64 * 64 + 64
    assert sum(p.numel() for p in encoder.parameters()) == convolutions + 2 * (32 + 64 + 64) + 64 * 5 * 128 + 128
    assert encoder.tokens(torch.randn(1, 1, 40, 50))[0].shape == (1, 13, 128)
    assert AudioCNN(8, 4, time_pools=0).tokens(torch.randn(1, 1, 8, 50))[0].shape == (1, 50, 4)


def test_sounds_are_checked():
    encoder = build("audio cnn")
    with pytest.raises(ValueError, match=r"sounds must have shape \(B, 1, 10, T\), got \(4, 1, 9, 6\)"):
        encoder(some("audio cnn")[:, :, :9])
    with pytest.raises(TypeError, match=r"sounds must hold floating-point numbers, got torch.int64"):
        encoder(some("audio cnn").long())
    for options, message in (
        (dict(bands=0), "bands must be above 0, got 0"),
        (dict(dim=0), "dim must be above 0, got 0"),
        (dict(time_pools=4), "time_pools must be between 0 and 3, got 4"),
    ):
        with pytest.raises(ValueError, match=message):
            AudioCNN(**options)


# ---- clips ----------------------------------------------------------------------------------------------------------


def test_the_mean_over_frames_cannot_tell_forwards_from_backwards_the_others_can():
    x = some("video mean")
    torch.testing.assert_close(build("video mean")(x.flip(1)), build("video mean")(x))
    for name in ("video gru", "video cnn"):
        assert (build(name)(x.flip(1)) - build(name)(x)).abs().max() > 1e-4


def test_the_video_encoder_reads_the_frames_in_both_directions():
    encoder, x = build("video gru"), some("video gru")
    frames = torch.stack([encoder.frame(x[:, n]) for n in range(STEPS)], 1)
    there = encoder.forwards(frames)[0]
    back = encoder.backwards(frames.flip(1))[0].flip(1)
    torch.testing.assert_close(encoder.tokens(x)[0], encoder.project(torch.cat([there, back], -1)))
    torch.testing.assert_close(encoder(x), encoder.project(torch.cat([there[:, -1], back[:, 0]], -1)))


def test_the_mean_of_frames_is_a_mean():
    encoder, x = build("video mean"), some("video mean")
    frames = torch.stack([encoder.project(encoder.frame(x[:, n])) for n in range(STEPS)], 1)
    torch.testing.assert_close(encoder.tokens(x)[0], frames)
    torch.testing.assert_close(encoder(x), frames.mean(1))


def test_the_video_cnn_is_its_equation():
    encoder, x = build("video cnn"), some("video cnn")
    h = x.transpose(1, 2)
    for convolution, norm in zip(encoder.convolutions, encoder.norms):
        h = F.conv3d(h, convolution.weight, convolution.bias, stride=(1, 2, 2), padding=1)
        h = F.relu(channel_norm(h, norm))
    assert h.shape == (4, 5, STEPS, 2, 2)
    tokens, _ = encoder.tokens(x)
    torch.testing.assert_close(tokens[:, 2], encoder.project(h[:, :, 2].mean((2, 3))))
    torch.testing.assert_close(encoder(x), tokens.mean(1))


def test_a_token_of_the_video_cnn_has_seen_as_many_frames_as_it_says():
    encoder, x = build("video cnn"), some("video cnn", steps=9)
    changed = x.clone()
    changed[:, 4] += 1
    differs = (encoder.tokens(changed)[0] - encoder.tokens(x)[0]).abs().amax((0, 2)) > 1e-9
    assert differs.tolist() == [False] * 2 + [True] * 5 + [False] * 2  # 2 · 2 + 1 frames


def test_the_sizes_of_the_video_encoders():
    gru = 3 * 128 * (128 + 128 + 2)
    frame = sum(p.numel() for p in ImageResNet(128).parameters())
    count = {
        e: sum(p.numel() for p in e.parameters()) for e in (VideoEncoder(), VideoEncoder(over_time="mean"), VideoCNN())
    }
    convolutions = 81 * 16 + 16 + 27 * 16 * 32 + 32 + 27 * 32 * 64 + 64
    assert list(count.values()) == [
        frame + 2 * gru + 256 * 128 + 128,
        frame + 128 * 128 + 128,
        convolutions + 2 * (16 + 32 + 64) + 64 * 128 + 128,
    ]


def test_clips_are_checked():
    with pytest.raises(ValueError, match=r"clips must have shape \(B, N, C, H, W\), got \(4, 3, 16, 16\)"):
        build("video gru")(some("image resnet"))
    with pytest.raises(ValueError, match=r"clips must have shape \(B, N, 3, H, W\), got \(4, 6, 1, 8, 8\)"):
        build("video cnn")(some("video cnn")[:, :, :1])
    with pytest.raises(ValueError, match="over_time must be one of 'gru', 'mean', got 'max'"):
        VideoEncoder(over_time="max")
    for make in (VideoEncoder, VideoCNN):
        with pytest.raises(ValueError, match="dim must be above 0, got 0"):
            make(0)
    assert VideoCNN(4, in_channels=1)(torch.rand(2, 3, 1, 8, 8)).shape == (2, 4)
