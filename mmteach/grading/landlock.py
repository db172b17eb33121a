"""Landlock: from now on this process, and all it starts, opens only the files that are on a list.

| name      | what it does                                                      |
|-----------|---------------------------------------------------------------------|
| `version` | which version the kernel offers; 0 for none                        |
| `Rules`   | the list: `read`, `names`, `write`; `enforce` puts it into force    |

The list is made once, before a process is forked for a submission; forked processes inherit it and only call `enforce`.
Where the kernel is new enough (6.7, 6.12) it also rules out TCP, signals to and abstract sockets of processes outside.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from pathlib import Path

from mmteach.grading import syscalls

CREATE, ADD, RESTRICT = 444, 445, 446

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL = 1 << 14, 1 << 15
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL
READ = EXECUTE | READ_FILE | READ_DIR


def version() -> int:
    """The version of Landlock's interface here; 0 where there is none."""
    try:
        return syscalls.call(CREATE, None, 0, 1)
    except OSError:
        return 0


def _known(version: int) -> int:
    """All rights over files which this version knows of."""
    return (1 << (13 + (version >= 2) + (version >= 3) + (version >= 5))) - 1


class Rules:
    """What may be opened. Whatever is not named here cannot be, whoever owns it."""

    def __init__(self) -> None:
        self.version = version()
        if not self.version:
            raise OSError("this kernel has no Landlock")
        self.all = _known(self.version)
        network = 3 if self.version >= 4 else 0  # binding and connecting TCP
        scope = 3 if self.version >= 6 else 0  # abstract sockets, signals
        attributes = struct.pack("=QQQ", self.all, network, scope)
        size = 24 if self.version >= 6 else 16 if self.version >= 4 else 8
        self.file = syscalls.call(CREATE, ctypes.create_string_buffer(attributes, 24), size, 0)

    def read(self, path: Path | str) -> None:
        """Files below `path` can be read and executed."""
        self._add(path, READ)

    def names(self, path: Path | str) -> None:
        """Names of files below `path` can be listed, and no more: importing lists folders."""
        self._add(path, READ_DIR)

    def write(self, path: Path | str) -> None:
        """Everything is allowed below `path` but making devices."""
        self._add(path, self.all & ~(1 << 6) & ~(1 << 11))

    def _add(self, path: Path | str, rights: int) -> None:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return  # what is not there cannot be opened either
        try:
            if not stat.S_ISDIR(os.fstat(opened).st_mode):
                rights &= ON_FILES
            rule = ctypes.create_string_buffer(struct.pack("=Qi", rights & self.all, opened), 12)
            syscalls.call(ADD, self.file, 1, rule, 0)
        finally:
            os.close(opened)

    def read_without(self, root: Path, hidden: list[Path]) -> None:
        """`read` for all below `root` but the hidden files and folders, of which only names can be seen."""
        inside = [path for path in hidden if path.is_relative_to(root)]
        if root in inside:
            return
        if not inside:
            self.read(root)
            return
        self.names(root)
        for one in root.iterdir():
            self.read_without(one, inside)

    def enforce(self) -> None:
        """Put the list into force for this process. It cannot be undone."""
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        syscalls.call(RESTRICT, self.file, 0)
