"""What the sandbox keeps away, as root and as an ordinary user; and what it says where layers are missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ANSWERS, SEED, TOYS, toy_cells

from mmteach.grading.client import Server, Settings, Unsafe
from mmteach.grading.sandbox import REFERENCES, Layers, probe
from mmteach.grading.seccomp import supported

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
"""
SEARCH = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.write.argtypes = ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t
libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
r, w = os.pipe()
seen, found = set(), 0
for spot in [libc.sbrk(0) - 4096, *map(libc.malloc, (100, 5000, 60000)), *(id(object()) for _ in range(3)), id(b"x" * 600)]:
    for step in (4096, -4096):
        at, misses = spot & ~4095, 0
        while misses < 4 and at not in seen and at > 0:
            seen.add(at)
            if libc.write(w, at, 4096) == 4096:  # fails where nothing is, and does not crash
                found += any(rest.startswith(b"MATES-ANSWER") for rest in os.read(r, 4096).split(b"A-CLASS")[1:])
                misses = 0
            else:
                misses += 1
            at += step
print(len(seen) > 1000, found)
"""
root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def run(server):
    """Run code in a fresh child: run(source) → its output, or the error it raised."""

    def one(source, seconds=10.0):
        server.new(SEED)
        how, head, _ = server.ask({"op": "cell", "source": source, "names": []}, b"", seconds)
        if how["status"] != "ok":
            return how["status"]
        return head["error"]["type"] if head["error"] else how["output"].strip()

    return one


def needs(layers, *names):
    missing = [name for name in names if name not in layers.hold]
    if missing:
        assert layers.level != "full" and all(layers.lost[name] for name in missing)  # what is missing is said
        pytest.skip(f"this machine has no {', '.join(missing)}")


@pytest.mark.parametrize(
    "layer, attack",
    [
        ("landlock", f"open({str(REFERENCES / '__init__.py')!r})"),
        ("landlock", f"open({str(TOYS / 'toy_references.py')!r})"),
        ("landlock", "import mmteach.exercises.references.fusion"),
        ("landlock", "import toy_references"),
        ("landlock", f"open({__file__!r})"),
        ("landlock", "open('/etc/shadow')"),
        ("landlock", "import os; os.listdir('/tmp')"),
        ("landlock", "open('/tmp/left-behind', 'w')"),
        ("landlock", "open('/proc/self/environ')"),
        ("landlock", "import os; os.symlink('/etc/hostname', 'link'); open('link')"),
        ("seccomp", "import socket; socket.socket()"),
        ("seccomp", "import socket; socket.socket(socket.AF_UNIX)"),
        ("seccomp", "assert __import__('ctypes').CDLL(None).shmget(4242, 4096, 0o1666) >= 0"),
        ("seccomp", "assert __import__('ctypes').CDLL(None).semget(4242, 1, 0o1666) >= 0"),
        ("seccomp", "assert __import__('ctypes').CDLL(None).msgget(4242, 0o1666) >= 0"),
        ("seccomp", "assert __import__('ctypes').CDLL(None).inotify_init() >= 0"),
        ("seccomp", "import mmteach, os; os.truncate(mmteach.__file__, 0)"),
        ("seccomp", "import mmteach, os; os.open(mmteach.__file__, os.O_RDONLY | os.O_TRUNC)"),
        ("seccomp", "import resource; resource.prlimit(2, resource.RLIMIT_CPU)"),
        ("seccomp", "import os; assert __import__('ctypes').CDLL(None).unshare(0x20000) == 0"),
        ("seccomp", "assert __import__('ctypes').CDLL(None).ptrace(16, 1, 0, 0) == 0"),
        ("user", "import os; os.setuid(0)"),
        ("limits", "import os\nwhile os.fork():\n    pass\nimport time; time.sleep(9)"),
        ("limits", "open('large', 'wb').write(bytes(100 << 20)); open('x' * 300)"),
        ("pid", "import os; os.kill(2, 9)"),
    ],
)
def test_an_attack_is_refused(run, layers, layer, attack):
    needs(layers, layer)
    assert run(attack) in {
        "PermissionError", "ProcessLookupError", "AssertionError", "BlockingIOError", "OSError", "died",
    }  # fmt: skip


def test_a_child_writes_into_its_folder_and_the_next_finds_it_empty(run):
    assert run("open('kept', 'w').write('x'); import os; os.mkdir('d'); os.chmod('d', 0); print(os.listdir('.'))") != ""
    assert run("import os; print(os.listdir('.'))") == "[]"


def test_shared_memory_of_one_child_is_not_the_nexts(run, layers):
    needs(layers, "mounts")
    assert run("open('/dev/shm/note', 'w').write('x'); import os; print(os.listdir('/dev/shm'))") == "['note']"
    assert run("import os; print(os.listdir('/dev/shm'))") == "[]"


def test_folders_a_thousand_deep_are_gone_for_the_next(run):
    deep = "import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')\nopen('note', 'w').write('x')"
    assert run(deep) == ""
    assert run("import os; print(os.listdir('.'))") == "[]"


def test_what_a_classmate_handed_in_is_not_in_the_memory_of_the_next(run, graded):
    mark = "".join(["A-CLASS", "MATES-ANSWER"])  # in pieces, so that only the classmate has it in one
    graded(toy_cells({task: answer + f"\n# {mark}" * 99 for task, answer in ANSWERS.items()}))
    assert run(SEARCH, 60.0) == "True 0"


@pytest.mark.skipif(not supported(), reason="the filter is not known here")
def test_rights_and_times_of_the_teachers_files_stay_as_they_are(tmp_path):
    path = tmp_path / "private"
    path.write_text("x")
    path.chmod(0o600)
    before = path.stat()
    attack = (
        "import os, shutil, sys; from mmteach.grading import seccomp; seccomp.enforce(); path = sys.argv[1];"
        "os.chmod(path, 0o644); os.utime(path, (5, 5)); os.chown(path, os.getuid(), os.getgid());"
        "shutil.copy2(path, path + '-copy'); open(path + '-copy', 'a').close()"
    )
    subprocess.run([sys.executable, "-c", attack, str(path)], check=True)
    after = path.stat()
    assert (before.st_mode, before.st_mtime, before.st_ctime) == (after.st_mode, after.st_mtime, after.st_ctime)


@pytest.mark.skipif(not supported(), reason="the filter is not known here")
def test_without_a_process_namespace_it_signals_itself_only():
    attack = (
        "import os; from mmteach.grading import seccomp; seccomp.enforce(signals=False); os.kill(os.getpid(), 0)\n"
        "for other in (os.getppid(), -1):\n"
        "    try: os.kill(other, 0)\n"
        "    except PermissionError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", attack], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused", "refused"]


def test_a_daemon_ends_with_its_child(run, layers):
    needs(layers, "pid")
    assert run(DAEMON + "\nif os.fork() == 0:\n    os.execlp('sleep', 'sleep', '77.125')") == ""
    run("pass")
    psutil = pytest.importorskip("psutil")
    assert [p.pid for p in psutil.process_iter(["cmdline"]) if "77.125" in (p.info["cmdline"] or [])] == []


def test_no_process_survives_its_child(server, layers):
    psutil = pytest.importorskip("psutil")
    server.new(SEED)
    fork = (
        "import os, time\nfor _ in range(5):\n    if os.fork() == 0:\n        os.setsid(); time.sleep(60); os._exit(0)"
    )
    server.ask({"op": "cell", "source": fork, "names": []}, b"", 5.0)
    family = psutil.Process(server.process.pid).children(recursive=True)
    assert len(family) >= 6
    server.end()
    left = [one for one in psutil.Process(server.process.pid).children(recursive=True) if one.status() != "zombie"]
    assert len(left) <= 2  # the server, and who waits for it


def test_what_is_printed_is_capped(server):
    server.new(SEED)
    how, _, _ = server.ask({"op": "cell", "source": "print('x' * 5_000_000)", "names": []}, b"", 20.0)
    assert how["status"] == "ok" and 1000 < len(how["output"]) <= 20_000


def test_each_child_draws_the_same_numbers(run):
    draw = "import torch, random, numpy; print(torch.rand(1).item(), random.random(), numpy.random.rand())"
    assert run(draw) == run(draw)


def test_a_stuck_child_is_killed_and_the_next_answers(run):
    assert run("while True: pass", 0.5) == "timeout"
    assert run("print(1)") == "1"


def test_an_answer_that_was_not_asked_for_counts_as_garbled(run):
    assert run("import os; os.write(4, b'x' * 100)", 3.0) in ("garbled", "timeout")
    assert run("print(1)") == "1"


def test_closing_a_server_leaves_no_process_and_no_folder(settings):
    psutil = pytest.importorskip("psutil")
    server = Server(settings)
    server.new(SEED)
    scratch = json.loads(server.process.args[-1])["scratch"]
    family = psutil.Process(server.process.pid).children(recursive=True)
    assert family and Path(scratch).is_dir()
    server.close()
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == [] and not Path(scratch).exists()


def test_the_probe_says_what_holds_and_what_was_lost():
    found = probe()
    assert found.level in found.words()
    lost = probe(without=("pid", "network"))
    assert "pid" in lost.lost and lost.level != "full" and "no pid" in lost.words()
    assert probe(without=("seccomp",)).level == "none"


def test_it_refuses_to_grade_below_the_level_that_was_asked_for(settings):
    from dataclasses import replace

    with pytest.raises(Unsafe, match=r"no pid .*asked for is full"):
        Server(replace(settings, level="full", without=("pid",)))


def test_without_namespaces_the_rest_still_holds(settings, layers):
    needs(layers, "landlock", "seccomp", "user")
    from dataclasses import replace

    lost = ("pid", "network", "ipc") if os.getuid() == 0 else ("pid", "network", "ipc", "mounts")
    with Server(replace(settings, level="reduced", without=lost)) as server:
        assert server.layers.level == "reduced"
        server.new(SEED)
        server.ask({"op": "cell", "source": DAEMON, "names": []}, b"", 5.0)
        server.end()
        psutil = pytest.importorskip("psutil")
        left = [one for one in psutil.Process(server.process.pid).children(recursive=True) if one.status() != "zombie"]
        assert len(left) <= 1
        server.new(SEED)
        asked = {"op": "cell", "source": "import socket; socket.socket()", "names": []}
        assert server.ask(asked, b"", 5.0)[1]["error"]["type"] == "PermissionError"


@root
def test_an_ordinary_user_gets_the_same_layers(layers):
    needs(layers, "mounts")
    command = [sys.executable, "-I", "-m", "mmteach.grading.sandbox"]
    done = subprocess.run(
        [sys.executable, str(TOYS / "as_nobody.py"), *command], capture_output=True, text=True, check=True
    )
    found = Layers(**json.loads(done.stdout))
    assert {"landlock", "seccomp", "limits", "user"} <= set(found.hold)


@pytest.mark.skipif(not supported(), reason="the filter is not known here")
def test_where_the_kernel_refuses_namespaces_it_says_so():
    refuse = (
        "import os, sys; from mmteach.grading import seccomp; seccomp.enforce();"
        "os.execv(sys.executable, [sys.executable, '-I', '-m', 'mmteach.grading.sandbox'])"
    )
    done = subprocess.run([sys.executable, "-c", refuse], capture_output=True, text=True)
    found = Layers(**json.loads(done.stdout))
    assert "pid" in found.lost and "Operation not permitted" in found.words() and found.level != "full"


def test_settings_are_plain():
    assert Settings().level == "full"
