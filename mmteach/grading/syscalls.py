"""The few system calls that Python does not offer, through libc. Linux only; every failure raises OSError.

| name            | what it does                                                   |
|-----------------|----------------------------------------------------------------|
| `call`          | any system call by its number                                  |
| `unshare`       | leave namespaces;  `enter` goes into one by its file           |
| `mount`         | mount a file system                                            |
| `prctl`         | a setting of this process                                      |
| `drop_all`      | give up every capability                                       |
| `children`      | the processes whose parent is this one                         |
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

LINUX = sys.platform.startswith("linux")

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _lib() -> ctypes.CDLL:
    if _libc is None:
        raise OSError("only Linux has these system calls")
    return _libc


def call(number: int, *arguments: object) -> int:
    """The system call of that number; integers are passed as 64 bits."""
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _checked(_lib().syscall(ctypes.c_long(number), *given), f"system call {number}")


def unshare(flags: int) -> None:
    """Put this process (for NEWPID: its next child) into new namespaces."""
    _checked(_lib().unshare(ctypes.c_int(flags)), "unshare")


def enter(namespace: int, kind: int) -> None:
    """Go into the namespace behind this open file."""
    _checked(_lib().setns(ctypes.c_int(namespace), ctypes.c_int(kind)), "setns")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount `source` on `target`."""
    words = [one.encode() for one in (source, target, kind)]
    _checked(_lib().mount(*words, ctypes.c_ulong(flags), options.encode()), f"mount {target}")


def prctl(option: int, *arguments: object) -> None:
    """Set something for this process."""
    given = [ctypes.c_ulong(one) if isinstance(one, int) else one for one in arguments]
    given += [ctypes.c_ulong(0)] * (4 - len(given))
    _checked(_lib().prctl(ctypes.c_int(option), *given), f"prctl {option}")


def drop_all() -> None:
    """Give up every capability, and the way to get one by starting a program."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))  # version 3, this process
    nothing = ctypes.create_string_buffer(24)  # effective, permitted, inheritable: two words each
    _checked(_lib().capset(header, nothing), "capset")


def children(of: int) -> list[int]:
    """The processes whose parent is `of`, as /proc knows them."""
    try:
        text = Path(f"/proc/{of}/task/{of}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]
