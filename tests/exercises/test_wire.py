"""Plain data crosses as JSON and raw bytes, to the bit; anything else is refused or becomes a name."""

import contextlib
import json
import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmteach.exercises.observe import same
from mmteach.exercises.wire import DTYPES, Foreign, WireError, decode, encode, plain

TENSORS = [
    torch.arange(6).reshape(2, 3).T,  # not contiguous
    torch.tensor(3.5),
    torch.empty(0, 4),
    torch.tensor([math.nan, math.inf, -0.0]),
    torch.ones(2, requires_grad=True) * 2,
    torch.tensor([True, False]),
    torch.ones(2, dtype=torch.bfloat16),
    torch.tensor([1 + 2j]).conj(),
    torch.zeros(3)[1:2].expand(4),
]


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda t: f"{t.dtype}{tuple(t.shape)}")
def test_tensors_come_back_to_the_bit(tensor):
    back = decode(encode({"x": [tensor]}))["x"][0]
    assert back.dtype == tensor.dtype and back.shape == tensor.shape and not back.requires_grad
    assert torch.equal(torch.nan_to_num(back, 7.0), torch.nan_to_num(tensor.detach(), 7.0))


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_every_dtype_crosses(name):
    tensor = torch.tensor([0, 1, 1]).to(DTYPES[name])
    assert decode(encode(tensor)).equal(tensor)


def test_arrays_and_numpy_numbers_cross():
    array = np.arange(6, dtype=">f8").astype("<f8").reshape(2, 3)[:, ::2]
    back = decode(encode(array))
    assert back.dtype == array.dtype and (back == array).all()
    assert decode(encode(np.float32(0.5))) == 0.5 and type(plain(np.int64(3))) is int


LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text()
DATA = st.recursive(
    LEAVES,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(), x, max_size=3) | st.tuples(x, x),
    max_leaves=12,
)


@given(DATA)
def test_any_plain_data_comes_back_the_same(value):
    back = decode(encode(value))
    assert type(back) is type(value) and same(back, value)


class Liar(torch.Tensor):
    pass


class MyFloat(float):
    pass


@pytest.mark.parametrize(
    ("value", "name"),
    [(object(), "object"), ({1: 2}, "dict"), (MyFloat(1), "MyFloat"), (torch.ones(1).as_subclass(Liar), "Liar"),
     ({1, 2}, "set"), (print, "builtin_function_or_method"), (torch.ones(2).to_sparse(), "Tensor"), (b"x", "bytes"),
     (np.array(["a"]), "ndarray"), (10**400, "int of more than 300 digits"), (torch.ones(2, device="meta"), "Tensor")],
)  # fmt: skip
def test_what_is_no_plain_data_becomes_its_types_name(value, name):
    assert plain(value) == Foreign(name)
    assert decode(encode([value])) == [Foreign(name)]


def test_a_list_that_holds_itself_ends():
    loop = []
    loop.append(loop)
    deep = plain(loop)
    for _ in range(50):
        deep = deep[0]
    assert decode(encode(loop)) and deep[0] == Foreign("list of more than 50 levels")


def message(tree, tail=b""):
    head = json.dumps(tree).encode()
    return struct.pack("<Q", len(head)) + head + tail


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", struct.pack("<Q", 99) + b"{}", struct.pack("<Q", 2) + b"{[", message({}), message({"a": 1, "b": 2}),
     message({"tensor": ["float32", [2], 4]}, b"1234"), message({"tensor": ["float32", [2], 8]}, b"1234"),
     message({"tensor": ["float32", [-1, -2], 8]}, b"12345678"), message({"tensor": ["object", [1], 4]}, b"1234"),
     message({"array": ["|O", [1], 8]}, b"12345678"), message({"tensor": ["float32", [2**39, 2**39], 2**80]}),
     message({"pickle": "x"}), message({"value": 1}), message({"take": [[1], 1, 1]}), message({"float": "1e999"}), message({"dict": [[1, 2]]}), message({"dict": 3}),
     message({"_class__": "x"}), message({"_init__": "x"}), message({"tensor": ["float32", [0] + [2**39] * 30, 0]}),
     message(1, b"more"), message({"tuple": None})],
)  # fmt: skip
def test_bytes_that_encode_never_writes_are_refused(data):
    with pytest.raises(WireError):
        decode(data)


@given(st.binary(max_size=60))
def test_random_bytes_never_do_anything_but_raise_wire_errors(data):
    good = encode({"x": torch.ones(3), "y": [1.5, "a"]})
    cut = len(data) % len(good)
    for one in (data, good[:cut] + data + good[cut + len(data) :]):
        with contextlib.suppress(WireError):
            decode(one)


def test_there_is_no_pickle_in_the_codec():
    from mmteach.exercises import wire

    assert b"pickle" not in encode(Foreign("x")) and not hasattr(wire, "pickle")
