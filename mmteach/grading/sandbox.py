"""The sandbox that a stranger's notebook runs in, and how safe it is here.

| name       | what it is                                                                                  |
|------------|-----------------------------------------------------------------------------------------------|
| `Sandbox`  | made once by a server; `fork` gives a child in it                                            |
| `Layers`   | which layers hold, and the level they make                                                    |
| `LEVELS`   | full, reduced, none                                                                           |
| `probe`    | which layers this machine allows, by trying them in a process of their own                    |

**Who is protected from whom.** The student's code is taken to be hostile. Protected are the teacher's account and machine,
the other submissions, the gradebook, the references, the network, and the grading of everybody else.

**The processes.** The coordinator (`mmteach grade`) holds submissions, references and gradebook and never runs a
student's code. It starts servers; a server has imported torch and forks a child a submission. Only the child runs the
student's code, inside all layers. Child and coordinator talk through a pipe, in plain data that is never unpickled.

**The layers** of a child:

| layer         | what it keeps away                                                                                       |
|---------------|-----------------------------------------------------------------------------------------------------------|
| pid           | own process namespace: sees and signals no other process; when it ends, all that it started ends with it    |
| network, ipc  | no interfaces, not even loopback; no shared memory or queues of others                                   |
| mounts        | the scratch folder and /dev/shm are file systems in memory, of bounded size, and vanish                  |
| landlock      | reads the Python installation, torch, this library without its references; writes into scratch only       |
| seccomp       | no sockets, tracing, mounting, namespaces, kernel modules, io_uring and the like; rights, owners and      |
|               | times of files stay as they are; no shared memory or queues that outlive a child                        |
| limits        | memory, size of files, number of files and processes; a clock outside kills what overruns               |
| user          | neither root nor anything root can do, and no way back (no new privileges)                              |

**The levels.** *full*: all of them. *reduced*: landlock, seccomp, limits, user; what is lost then: the child sees that other
processes exist, a process it leaves behind is hunted down by the server instead of dying with its namespace, and
scratch is bounded a file, not in all. *none*: any of those missing. That is for your own notebooks only.

**What it does not do.** A hole in the kernel's own checks ends it: for a public service put it into a virtual machine. It
hides nothing about time, the processor, or the version of the software. A child may use one core until its time is up,
and each of its processes the memory allowed. What the class can read is readable: the source of this library, the data.
The root user's servers run as root outside; their children do not.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import secrets
import signal
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmteach.grading import landlock, seccomp, syscalls

LEVELS = ("none", "reduced", "full")  # from the least on
PACKAGE = Path(__file__).parents[1]
REFERENCES = PACKAGE / "exercises" / "references"
EXPECTATIONS = PACKAGE / "exercises" / "expectations"  # a handout's

NAMESPACES = {"pid": syscalls.NEWPID, "network": syscalls.NEWNET, "ipc": syscalls.NEWIPC, "mounts": syscalls.NEWNS}
READABLE = (
    "/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/opt", "/nix/store", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/localtime", "/etc/fonts", "/etc/passwd", "/etc/group", "/etc/mime.types",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/full")
MEGABYTE = 1 << 20
SCRATCH_MEGABYTES = 256


@dataclass
class Layers:
    """The layers that hold, and of each that does not, why."""

    hold: list[str] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)

    NEEDED = {
        "reduced": ("landlock", "seccomp", "limits", "user"),
        "full": ("landlock", "seccomp", "limits", "user", *NAMESPACES),
    }

    @property
    def level(self) -> str:
        """The highest level whose layers all hold."""
        return next((level for level in ("full", "reduced") if set(self.NEEDED[level]) <= set(self.hold)), "none")

    def enough(self, level: str) -> bool:
        """Whether these layers make `level` or more."""
        return LEVELS.index(self.level) >= LEVELS.index(level)

    def words(self) -> str:
        """In one line for a teacher."""
        lost = "; ".join(f"no {name} ({why})" for name, why in self.lost.items())
        return f"sandbox: {self.level}" + (f" ({lost})" if lost else f" ({', '.join(self.hold)})")


@dataclass(frozen=True)
class Limits:
    """What a child may use: memory beyond the server's own, size of one file, processes and threads, open files."""

    memory_mb: int = 2048
    file_mb: int = 64
    processes: int = 64
    files: int = 256


class Sandbox:
    """Makes this process the parent of sandboxed children. Call it before torch is imported: it forks.

    scratch: an empty folder that the server owns; its folder `work` is the child's
    readable: further folders a child may read;  hidden: none of those may be read, wherever they lie
    without: layers to leave out (tests of what is said then)
    """

    def __init__(
        self,
        scratch: Path,
        readable: tuple[Path, ...] = (),
        hidden: tuple[Path, ...] = (),
        without: tuple[str, ...] = (),
    ) -> None:
        self.layers, self.without = Layers(), without
        self.work = scratch / "work"
        self.work.mkdir(mode=0o700)
        self.root = os.getuid() == 0 if hasattr(os, "getuid") else False
        self.uid = 62_000 + os.getpid() % 2000 if self.root else None  # nobody's number: limits count per user
        self.hidden = [*self._answers(), *(path.resolve() for path in hidden)]
        self.readable = [path for path in self._installation() + list(readable) if path.exists()]
        self.rules: landlock.Rules | None = None
        if not syscalls.LINUX:
            why = "only Linux has it: use the container"
            self.layers.lost = dict.fromkeys((*NAMESPACES, "landlock", "seccomp", "limits", "user"), why)
            return
        self._namespaces()
        if "mounts" in self.layers.hold:
            self._mounts()
        if self.uid is not None:
            os.chown(self.work, self.uid, self.uid)
        self._landlock()
        self._user()
        for name, there in (("seccomp", seccomp.supported()), ("limits", True)):
            self._note(name, None if there else "unknown machine")
        with contextlib.suppress(OSError):
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)

    def _note(self, name: str, why: object | None) -> None:
        if why is None and name in self.without:
            why = "switched off"
        if why is None:
            self.layers.hold.append(name)
        else:
            self.layers.lost[name] = str(why)

    @staticmethod
    def _installation() -> list[Path]:
        """Where Python, its packages and this library lie."""
        places = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values(), str(PACKAGE)}
        return sorted({Path(place).resolve() for place in places})

    @staticmethod
    def _answers() -> list[Path]:
        """What knows the answers. Of a checkout that is all but the package: it has the solutions, and may lie below /opt."""
        checkout = PACKAGE.parent.resolve()
        installed = checkout in {Path(place).resolve() for place in sysconfig.get_paths().values()}
        return [REFERENCES.resolve(), EXPECTATIONS.resolve(), *([] if installed else [checkout])]

    # ---- once a server -------------------------------------------------------------------------------------------------

    def _namespaces(self) -> None:
        """Move into new namespaces and go on in a child, which is process 1 there; this process waits for it and ends."""
        flags = {name: flag for name, flag in NAMESPACES.items() if name not in self.without}
        for name in set(NAMESPACES) - set(flags):
            self._note(name, "switched off")
        # Root needs no user namespace, and keeps the right to give its children another user.
        asked = 0 if self.root else syscalls.NEWUSER
        uid, gid = os.getuid(), os.getgid()
        try:
            syscalls.unshare(asked | syscalls.NEWUTS | sum(flags.values()))
        except OSError as error:
            for name in flags:
                self._note(name, error.strerror)
            return
        for name in flags:
            self._note(name, None)
        if asked:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        if "pid" in self.layers.hold:
            inner = os.fork()
            if inner:
                _wait_and_end(inner)
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def _mounts(self) -> None:
        """A scratch folder and shared memory in memory, of bounded size; for root, a view without the folders of others."""
        size = f"size={SCRATCH_MEGABYTES}m,nr_inodes=20000"
        try:
            syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
            if self.root:
                _expose([self.work, *self.readable], self.uid or 0)
            for place, mode in ((str(self.work), 700), ("/dev/shm", 1777)):
                syscalls.mount("tmpfs", place, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, f"{size},mode={mode}")
        except OSError as error:
            self.layers.hold.remove("mounts")
            self._note("mounts", error.strerror)

    def _landlock(self) -> None:
        if "landlock" in self.without:
            self._note("landlock", None)
            return
        try:
            self.rules = landlock.Rules()
        except OSError as error:
            self._note("landlock", error.strerror or error)
            return
        for path in (*map(Path, READABLE), *self.readable):
            if path.exists():
                self.rules.read_without(path.resolve(), self.hidden)
        for device in DEVICES:
            self.rules.write(device)
        self.rules.write(self.work)
        if "mounts" in self.layers.hold:
            self.rules.write("/dev/shm")
        self._note("landlock", None)

    def _user(self) -> None:
        """Whether a child can be somebody who is not root and still reads what it needs."""
        why = None
        if self.root:
            pid = os.fork()
            if pid == 0:
                try:
                    self._become_nobody()
                    readable = all(
                        os.access(path, os.R_OK | os.X_OK) for path in (sys.prefix, sys.base_prefix, PACKAGE)
                    )
                    os._exit(0 if readable else 2)
                except OSError:
                    os._exit(1)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            why = {0: None, 1: "root may not become another user here"}.get(
                code, "another user cannot read this installation"
            )
        self._note("user", why)

    def _become_nobody(self) -> None:
        assert self.uid is not None
        os.setgroups([])
        os.setresgid(self.uid, self.uid, self.uid)
        os.setresuid(self.uid, self.uid, self.uid)

    # ---- once a submission ---------------------------------------------------------------------------------------------

    def fork(self) -> int:
        """Fork a child that is inside a process namespace of its own, not yet locked in; 0 in the child."""
        inside = "pid" in self.layers.hold
        if inside:
            syscalls.unshare(syscalls.NEWPID)
        pid = os.fork()
        if inside and pid:  # the next child gets a namespace beside this one, not below it
            syscalls.enter(self._own_pids, syscalls.NEWPID)
        return pid

    def lock_in(self, limits: Limits) -> None:
        """In the child: put every layer that holds into force. After this the student's code may run."""
        os.setsid()
        os.chdir(self.work)
        if not syscalls.LINUX:
            return
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # where memory runs out, this goes first
        os.nice(5)
        if "limits" in self.layers.hold:
            _limit(limits)
        if "user" in self.layers.hold and self.root:
            self._become_nobody()
        syscalls.drop_all()
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user clears it
        if self.rules:
            self.rules.enforce()
        if "seccomp" in self.layers.hold:
            # Without a process namespace the others of the same user are there; from its sixth version on Landlock keeps
            # signals from them.
            seccomp.enforce(signals="pid" in self.layers.hold or bool(self.rules and self.rules.version >= 6))

    def kill(self, pid: int, gone: bool = False) -> None:
        """Kill the child and everything it started, and empty the work folder. gone: it has ended and was waited for."""
        if not gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        # Without a namespace what it left behind has become this process's own (it is a subreaper): hunt it down.
        while "pid" not in self.layers.hold and (left := syscalls.children(os.getpid())):
            for one in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, 0)
        _wipe(self.work)
        if "mounts" in self.layers.hold:
            _wipe(Path("/dev/shm"))


def _wait_and_end(pid: int) -> None:
    """Wait for the server, then end as it ended. Signals go to it by the pipes' closing."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def _limit(limits: Limits) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for what, most in (
        (resource.RLIMIT_AS, size + limits.memory_mb * MEGABYTE),
        (resource.RLIMIT_FSIZE, limits.file_mb * MEGABYTE),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, MEGABYTE),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _wipe(folder: Path) -> None:
    """Delete what a child left in the folder, whatever rights it put on it and however deep, without following a link.

    A folder in a folder is moved to the top before it is emptied: a thousand of them in one another would be too long a path,
    too many open files, or too deep a recursion for anything that goes down.
    """
    todo = [str(folder)]
    while todo:
        place = todo.pop()
        with contextlib.suppress(OSError):
            if os.stat(place).st_mode & 0o700 != 0o700:
                os.chmod(place, 0o700)
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(place)):
                with contextlib.suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.path)
                        continue
                    os.chmod(entry.path, 0o700)  # a folder that changes its place is written into
                    top = f"{folder}/{secrets.token_hex(16)}"
                    os.rename(entry.path, top)
                    todo.append(top)
            if place != str(folder):
                os.rmdir(place)


def _expose(paths: list[Path], uid: int) -> None:
    """Put empty folders over those that `uid` cannot enter, and the paths it needs back into them.

    An installation below /root or a teacher's home is so readable for a child that is nobody, and the rest of it is gone.
    """
    needed = [path for path in paths if path.exists()]
    covered: set[Path] = set()
    for path in needed:
        for above in reversed(path.parents):
            mode = above.stat()
            if not mode.st_mode & 0o001 and mode.st_uid != uid:
                covered.add(above)
                break
    moved = [path for path in needed if any(path.is_relative_to(cover) for cover in covered)]
    # Where one lies below another the outer one brings the inner one along.
    moved = [path for path in moved if not any(path != other and path.is_relative_to(other) for other in moved)]
    held = {path: os.open(path, os.O_PATH) for path in moved}
    for cover in covered:
        syscalls.mount("tmpfs", str(cover), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "size=1m,mode=755")
    for path, opened in held.items():
        path.mkdir(parents=True, exist_ok=True)
        syscalls.mount(f"/proc/self/fd/{opened}", str(path), "", syscalls.MS_BIND | syscalls.MS_REC)
        os.close(opened)


# ---- the probe: run in a process of its own ---------------------------------------------------------------------------


def probe(without: tuple[str, ...] = ()) -> Layers:
    """The layers that hold on this machine, tried out in a process of its own that attacks them."""
    done = subprocess.run(
        [sys.executable, "-I", "-m", "mmteach.grading.sandbox", *without],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    try:
        return Layers(**json.loads(done.stdout))
    except (ValueError, TypeError):
        return Layers(lost={"probe": (done.stderr.strip().splitlines() or ["no answer"])[-1]})


def _attacks() -> dict[str, bool]:
    """By layer, whether what it should keep away failed indeed. Runs inside a child."""
    libc = ctypes.CDLL(None, use_errno=True)

    def refused(action: object, *arguments: object) -> bool:
        try:
            action(*arguments)  # type: ignore[operator]
        except OSError:
            return True
        return False

    import socket

    return {
        "pid": os.getpid() == 1,
        "landlock": refused(os.listdir, "/") and refused(open, "/etc/hostname") and refused(open, "/tmp/x", "w"),
        "seccomp": refused(socket.socket, socket.AF_UNIX) and libc.unshare(syscalls.NEWNS) == -1,
        "user": os.getuid() != 0 and (refused(os.setuid, 0)),
        "limits": resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY,
    }


def _main(without: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="mmteach-probe-") as scratch:
        if os.getuid() == 0:
            os.chmod(scratch, 0o711)
        # The server's own process is a child of this one, so that this one can clear up.
        pid = os.fork()
        if pid == 0:
            box = Sandbox(Path(scratch), without=tuple(without))
            read, write = os.pipe()
            inner = box.fork()
            if inner == 0:
                try:
                    box.lock_in(Limits())
                    os.write(write, json.dumps(_attacks()).encode())
                except OSError as error:
                    print(error, file=sys.stderr)
                finally:
                    os._exit(0)
            os.close(write)
            with os.fdopen(read) as file:
                text = file.read()
            box.kill(inner)
            found = json.loads(text) if text else {}
            for name in list(box.layers.hold):
                if not found.get(name, bool(found)):
                    box.layers.hold.remove(name)
                    box.layers.lost[name] = "it was tried, and does not hold"
            print(json.dumps(asdict(box.layers)), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    _main(sys.argv[1:])
