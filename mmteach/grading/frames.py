"""Messages through a pipe: two lengths, a head in JSON, a body of bytes.

| name     | what it does                                                        |
|----------|---------------------------------------------------------------------|
| `pack`   | head and body as bytes                                              |
| `Reader` | collects bytes as they come; `take` gives a message once it is whole, `whole` its bytes |
| `read`   | waits for one message on a file                                      |
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

SIZES = struct.Struct("<IQ")
LONGEST_HEAD = 1 << 20
LONGEST_BODY = 1 << 26  # 64 MB: more than any answer needs


class FrameError(ValueError):
    """What came is not a message."""


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """The message as bytes."""
    text = json.dumps(head).encode()
    return SIZES.pack(len(text), len(body)) + text + body


class Reader:
    """Collects what comes through a pipe until a message is whole."""

    def __init__(self, longest: int = LONGEST_BODY) -> None:
        self.held, self.longest = bytearray(), longest

    def feed(self, data: bytes) -> None:
        self.held += data

    def whole(self) -> bytes:
        """The bytes of the next message, unread; b"" while it is not all there. Raises FrameError where it is too long."""
        if len(self.held) < SIZES.size:
            return b""
        head, body = SIZES.unpack_from(self.held)
        if head > LONGEST_HEAD or body > self.longest:
            raise FrameError(f"a message of {head} + {body} bytes is too long")
        end = SIZES.size + head + body
        if len(self.held) < end:
            return b""
        data = bytes(self.held[:end])
        del self.held[:end]
        return data

    def take(self) -> tuple[dict[str, Any], bytes] | None:
        """The next message, or None while it is not all there; raises FrameError for what is none."""
        data = self.whole()
        if not data:
            return None
        at = SIZES.size + SIZES.unpack_from(data)[0]
        try:
            found = json.loads(data[SIZES.size : at])
        except (ValueError, RecursionError) as error:
            raise FrameError(f"a head that is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise FrameError("a head that is no object")
        return found, data[at:]


def read(file: BinaryIO, longest: int = 1 << 30) -> tuple[dict[str, Any], bytes] | None:
    """Wait for one message; None at the end of the file."""
    sizes = file.read(SIZES.size)
    if len(sizes) < SIZES.size:
        return None
    head, body = SIZES.unpack(sizes)
    if head > LONGEST_HEAD or body > longest:
        raise FrameError(f"a message of {head} + {body} bytes is too long")
    return json.loads(file.read(head)), file.read(body)
