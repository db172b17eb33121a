"""Plain data as bytes: JSON for the structure, raw bytes for the tensors. Never pickle, which runs code when it is read.

| name        | what it does                                                                             |
|-------------|------------------------------------------------------------------------------------------|
| `plain`     | a value as plain data: what is none becomes a `Foreign` that only knows its type's name   |
| `encode`    | plain data → bytes                                                                       |
| `decode`    | bytes → plain data; every length is checked before anything is made of it                 |
| `Foreign`   | stands for an object that is no plain data                                               |
| `WireError` | the bytes are not what `encode` makes                                                    |

Plain data: None, bool, int, float, str, list, tuple, dict with keys of str, torch.Tensor, numpy.ndarray, `Foreign`.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool,
        torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64, torch.complex128,
    )
}  # fmt: skip
NODES = ("float", "tuple", "dict", "foreign", "tensor", "array")  # what an object of one key can be
KINDS = "biufc"  # of numpy arrays: bool, whole numbers, floating point, complex
DEPTH = 50  # a list in a list in a list …: deeper than that is no answer to anything
LONGEST = 4096  # characters of a type's or a key's name


class WireError(ValueError):
    """The bytes are not plain data as `encode` writes it."""


@dataclass(frozen=True)
class Foreign:
    """Stands for an object that is no plain data: `type` is the name of its class."""

    type: str


def plain(value: Any, depth: int = 0) -> Any:
    """A copy of `value` in which all is plain data, detached from what computed it; the rest becomes `Foreign`.

    Goes by the exact type: a subclass may say anything about itself.
    """
    kind = type(value)
    if value is None or kind in (bool, float, str, Foreign):
        return value
    if kind is int:
        return value if value.bit_length() < 1024 else Foreign("int of more than 300 digits")
    if depth > DEPTH:
        return Foreign(f"{_name(kind)} of more than {DEPTH} levels")
    if kind in (list, tuple):
        return kind(plain(one, depth + 1) for one in value)
    if kind is dict and all(type(key) is str and len(key) <= LONGEST for key in value):
        return {key: plain(one, depth + 1) for key, one in value.items()}
    if kind in (Tensor, torch.nn.Parameter) and value.layout == torch.strided and not value.is_meta:
        found = value.detach().cpu().resolve_conj().resolve_neg().contiguous().clone()
        return found if found.dtype in DTYPES.values() else Foreign(f"tensor of {found.dtype}")
    if kind is np.ndarray and value.dtype.kind in KINDS and value.dtype.isnative and value.dtype.itemsize <= 16:
        return np.array(value, order="C")
    if isinstance(value, np.generic) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        return value.item()
    return Foreign(_name(kind))


def _name(kind: type) -> str:
    return str(kind.__name__)[:LONGEST]


def encode(value: Any) -> bytes:
    """Plain data → bytes: the length of the JSON (8 bytes), the JSON, then the tensors' bytes one after the other."""
    blocks: list[bytes] = []
    head = json.dumps(_node(plain(value), blocks), allow_nan=False, separators=(",", ":")).encode()
    return struct.pack("<Q", len(head)) + head + b"".join(blocks)


def _node(value: Any, blocks: list[bytes]) -> Any:
    # JSON's own values stand for themselves; all else is an object with one key that says what it is.
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, str):
        # A lone surrogate is legal in a str and illegal in UTF-8; JSON's escapes carry it.
        return value
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, list):
        return [_node(one, blocks) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [_node(one, blocks) for one in value]}
    if isinstance(value, dict):
        return {"dict": [[key, _node(one, blocks)] for key, one in value.items()]}
    if isinstance(value, Tensor):
        raw = value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
        blocks.append(raw)
        return {"tensor": [str(value.dtype).removeprefix("torch."), list(value.shape), len(raw)]}
    if isinstance(value, np.ndarray):
        raw = value.tobytes()
        blocks.append(raw)
        return {"array": [value.dtype.str, list(value.shape), len(raw)]}
    return {"foreign": value.type}


def decode(data: bytes) -> Any:
    """Bytes → plain data; raises WireError for anything that `encode` does not write."""
    if len(data) < 8:
        raise WireError(f"{len(data)} bytes are too few for a message")
    (length,) = struct.unpack("<Q", data[:8])
    if length > len(data) - 8:
        raise WireError(f"the message ends early: {length} bytes of JSON announced, {len(data) - 8} there")
    try:
        tree = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from None
    reader = _Reader(data, 8 + length)
    value = reader.value(tree)
    if reader.at != len(data):
        raise WireError(f"{len(data) - reader.at} bytes too many at the end")
    return value


class _Reader:
    """Turns the JSON tree into values and takes the tensors' bytes from `data` in their order."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def value(self, node: Any, depth: int = 0) -> Any:
        if depth > DEPTH + 1:
            raise WireError("too many levels")
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        if isinstance(node, list):
            return [self.value(one, depth + 1) for one in node]
        if len(node) != 1:
            raise WireError(f"an object with the keys {sorted(node)}")
        ((kind, content),) = node.items()
        if kind not in NODES:
            raise WireError(f"an object of the kind {kind[:40]!r}")
        try:
            return getattr(self, f"_{kind}")(content, depth + 1)
        except WireError:
            raise
        except (TypeError, ValueError, KeyError, RuntimeError) as error:  # RuntimeError: PyTorch on an impossible shape
            raise WireError(f"{kind!r} cannot be read: {error}") from None

    def _float(self, content: str, depth: int) -> float:
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content]

    def _tuple(self, content: list, depth: int) -> tuple:
        return tuple(self.value(one, depth) for one in content)

    def _dict(self, content: list, depth: int) -> dict[str, Any]:
        if not all(type(key) is str for key, _ in content):
            raise WireError("a key that is no word")
        return {key: self.value(one, depth) for key, one in content}

    def _foreign(self, content: str, depth: int) -> Foreign:
        return Foreign(str(content)[:LONGEST])

    def _tensor(self, content: list, depth: int) -> Tensor:
        name, shape, length = content
        dtype = DTYPES[name]
        raw = self._take(shape, dtype.itemsize, length)
        if not raw:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(dtype).reshape(shape)

    def _array(self, content: list, depth: int) -> np.ndarray:
        name, shape, length = content
        dtype = np.dtype(str(name))
        if dtype.kind not in KINDS or dtype.itemsize > 16 or dtype.fields:
            raise WireError(f"arrays of {dtype} are no plain data")
        return np.frombuffer(self._take(shape, dtype.itemsize, length), dtype).reshape(shape).copy()

    def _take(self, shape: list, itemsize: int, length: int) -> bytes:
        """The next `length` bytes, if a tensor of this shape has so many and they are there."""
        if len(shape) > 64 or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
            raise WireError(f"no shape: {shape}")
        if type(length) is not int or length != math.prod(shape) * itemsize:
            raise WireError(f"{length} bytes announced for shape {shape} of {itemsize} bytes each")
        if length > len(self.data) - self.at:
            raise WireError(f"the message ends early: {length} bytes announced, {len(self.data) - self.at} left")
        self.at += length
        return self.data[self.at - length : self.at]
