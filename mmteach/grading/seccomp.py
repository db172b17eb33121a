"""Seccomp: a filter that refuses system calls which no exercise needs and an attack on the kernel would.

| name        | what it is                                                             |
|-------------|------------------------------------------------------------------------|
| `supported` | whether the filter is known for this machine (x86-64, ARM64 on Linux)   |
| `enforce`   | put it into force for this process and all it starts                    |

A refused call fails with EPERM, so that a library that only tries gets on without it. Memory, files, threads, processes
and pipes are left: Landlock, limits and namespaces bound those. Sockets are refused altogether (socketpair is left).

Rights, owners, times and attributes of files are not Landlock's business, and a child may have its teacher's own user: such
a call does nothing, and says that it succeeded, because copying a file ends with one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from mmteach.grading import syscalls

# name: number on (x86-64, ARM64); None where there is no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes' memory
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "perf_event_open": (298, 241),
    # file systems and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "quotactl": (179, 60), "fanotify_init": (300, 262),
    # the machine
    "reboot": (169, 142), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "syslog": (103, 116), "iopl": (172, None), "ioperm": (173, None),
    # parts of the kernel that had many holes
    "bpf": (321, 280), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "personality": (135, 92), "modify_ldt": (154, None), "lookup_dcookie": (212, 18), "vmsplice": (278, 75),
    # the network
    "socket": (41, 198),
    # what outlives a process: the next student's must not find it
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    # folders that may not be listed, and files that may not be opened (Landlock knows of the second from 6.2 on)
    "inotify_init": (253, None), "inotify_init1": (294, 26), "truncate": (76, 45), "openat2": (437, 437),
}  # fmt: skip
PRETENDED: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}  # fmt: skip
PRLIMIT = (302, 261)
SIGNALS = {"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
           "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424)}  # fmt: skip
OPENS: dict[str, tuple[tuple[int | None, int | None], int]] = {
    "open": ((2, None), 24),
    "openat": ((257, 56), 32),
}  # and where their flags are
EMPTIES, WRITES = 0x200, 0x3  # O_TRUNC, O_WRONLY | O_RDWR
CLONE, CLONE3 = (56, 220), (435, 435)
NAMESPACES = 0x7E020080  # the flags of clone that ask for one

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN, AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000


def supported() -> bool:
    """Whether the numbers above are those of this machine."""
    return syscalls.LINUX and platform.machine() in MACHINES and struct.calcsize("P") == 8


def _program(signals: bool) -> list[tuple[int, int, int, int]]:
    """The filter as (code, jump if true, jump if false, number)."""
    column, architecture = MACHINES[platform.machine()]
    lines = [
        (LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL),  # calls in another numbering
        (LOAD, 0, 0, 0), (AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, KILL),
    ]  # fmt: skip
    for numbers in REFUSED.values():
        if numbers[column] is not None:
            lines += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, FAIL | errno.EPERM)]  # type: ignore[list-item]
    for numbers in PRETENDED.values():
        if numbers[column] is not None:
            lines += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, FAIL)]  # type: ignore[list-item]
    # Limits (and signals) of this process only; it goes by its own number and by 0.
    for own in [PRLIMIT, *([] if signals else SIGNALS.values())]:
        lines += [(EQUAL, 0, 5, own[column]), (LOAD, 0, 0, 16), (EQUAL, 2, 0, os.getpid()), (EQUAL, 1, 0, 0),
                  (RETURN, 0, 0, FAIL | errno.EPERM), (RETURN, 0, 0, ALLOW)]  # fmt: skip
    # Opened to be read and emptied by the way: an old Landlock sees the reading only.
    for calls, flags in OPENS.values():
        if (number := calls[column]) is not None:
            lines += [(EQUAL, 0, 5, number), (LOAD, 0, 0, flags), (AND, 0, 0, EMPTIES | WRITES),
                      (EQUAL, 0, 1, EMPTIES), (RETURN, 0, 0, FAIL | errno.EPERM), (RETURN, 0, 0, ALLOW)]  # fmt: skip
    # clone3 keeps its flags where a filter cannot look; told that it does not exist, libc takes clone.
    lines += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, FAIL | errno.ENOSYS)]
    lines += [
        (EQUAL, 0, 3, CLONE[column]),
        (LOAD, 0, 0, 16),
        (ANY_BIT, 0, 1, NAMESPACES),
        (RETURN, 0, 0, FAIL | errno.EPERM),
    ]
    return [*lines, (RETURN, 0, 0, ALLOW)]


def enforce(signals: bool = True) -> None:
    """Put the filter into force. It cannot be undone. signals: whether this process may signal others."""
    if not supported():
        raise OSError(f"the filter is not known for {os.uname().machine}")
    lines = _program(signals)
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code)))
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.prctl(syscalls.PR_SET_SECCOMP, 2, filter_)
