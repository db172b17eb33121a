"""`mmteach doctor`: finds what is wrong, says what to do, and exits with 1."""

import io
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from mmteach import doctor
from mmteach.data import store
from mmteach.doctor import FAULT, GOOD, NOTE, Finding


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MMTEACH_FSDD", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A copy of the embedded files, to be damaged."""
    copy = tmp_path / "files"
    shutil.copytree(store.FILES, copy)
    monkeypatch.setattr(store, "FILES", copy)
    store.checksums.cache_clear()
    yield copy
    monkeypatch.undo()
    store.checksums.cache_clear()


@pytest.fixture
def only(monkeypatch):
    """Run some checks alone."""

    def choose(*names):
        monkeypatch.setattr(doctor, "_CHECKS", [(g, c) for g, c in doctor._CHECKS if c.__name__ in names])

    return choose


def find(findings, name):
    found = [one for one in findings if one.name == name]
    assert found, f"{name} is not among {[one.name for one in findings]}"
    return found[0]


# -- the whole report ----------------------------------------------------------------------------------------------------


def test_this_machine_is_well_and_every_group_is_looked_at(capsys):
    assert doctor.run() == 0
    page = capsys.readouterr().out
    groups = [line for line in page.splitlines() if line in ("Versions", "Machine", "Data", "Optional")]
    assert groups == ["Versions", "Machine", "Data", "Optional"]
    for name in (
        "Python",
        "torch",
        "jupyterlab",
        "processor",
        "memory",
        "precision",
        "embedded",
        "cache",
        "eSpeak NG",
        "Keras",
    ):
        assert f" {name} " in page
    assert "✗" not in page and "\033" not in page
    assert "`mmteach lab` opens the course" in page


def test_json_holds_every_finding(capsys, only):
    only("_data", "_cache")
    assert doctor.run(as_json=True) == 0
    findings = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in findings] == ["embedded", "cache", "disk"]
    assert set(findings[0]) == {"group", "name", "state", "says", "cure"}


def test_a_check_that_fails_is_a_fault_and_the_others_go_on(monkeypatch):
    def _broken():
        raise RuntimeError("boom")

    monkeypatch.setattr(
        doctor, "_CHECKS", [("Machine", _broken), ("Data", lambda: [Finding("Data", "x", GOOD, "fine")])]
    )
    first, second = doctor.report()
    assert (first.group, first.name, first.state) == ("Machine", "broken", FAULT)
    assert first.says == "RuntimeError: boom" and first.cure.startswith("This should not happen. Install mmteach again")
    assert second.says == "fine"


# -- embedded data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["emoji.json", "prompts.wav"])
def test_one_changed_byte_is_found_with_the_file_and_the_cure(files, capsys, only, name):
    only("_data", "_cache")
    data = bytearray((files / name).read_bytes())
    data[len(data) // 2] ^= 1
    (files / name).write_bytes(data)
    assert doctor.run() == 1
    words = " ".join(capsys.readouterr().out.split())
    assert f"✗ embedded {name} in {files} is damaged (SHA-256" in words
    assert (
        "1 fault to mend: ✗ embedded: Get it back with `git checkout -- mmteach/data/files`, or install mmteach again."
        in words
    )
    assert "every checksum right" not in words


def test_good_files_are_counted(files, only):
    only("_data")
    (found,) = doctor.report()
    size = sum(path.stat().st_size for path in files.iterdir() if path.name != "SHA256.json")
    assert found.state == GOOD
    assert found.says == f"{len(list(files.iterdir())) - 1} files, {size / 1e6:.1f} MB, every checksum right"


def test_several_faults_have_one_cure(files, only, capsys):
    only("_data")
    for name in ("emoji.json", "prompts.json"):
        (files / name).unlink()
    assert doctor.run() == 1
    page = capsys.readouterr().out
    assert "2 faults to mend:" in page and page.count("git checkout") == 1
    assert "emoji.json is missing" in page and "prompts.json is missing" in page


@pytest.mark.parametrize("content", [None, "{not json"])
def test_a_broken_list_of_checksums_is_a_fault(files, only, content):
    only("_data")
    (files / "SHA256.json").unlink()
    if content:
        (files / "SHA256.json").write_text(content)
    (found,) = doctor.report()
    assert found.state == FAULT and found.says.startswith("SHA256.json in ") and store.CURE not in found.says
    assert found.cure == store.CURE


# -- cache, disk, memory -----------------------------------------------------------------------------------------------------


def test_the_cache_is_tried_and_nothing_is_left_in_it(cache, only):
    only("_cache")
    cache.mkdir()
    with (cache / "set-1.pt").open("wb") as file:
        file.truncate(300_000_000)
    folder, disk = doctor.report()
    assert folder.state == GOOD and folder.says == f"{cache}, 0.3 GB used"
    assert [path.name for path in cache.iterdir()] == ["set-1.pt"]
    assert disk.name == "disk"


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path, monkeypatch, only):
    only("_cache")
    (tmp_path / "file").touch()
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path / "file" / "cache"))
    (found,) = doctor.report()
    assert found.state == NOTE and found.says.startswith(
        f"{tmp_path / 'file' / 'cache'} cannot be written to (Not a dir"
    )
    assert found.cure.startswith("Set MMTEACH_CACHE to a folder you may write to")


@pytest.mark.parametrize("free, state", [(0.9e9, NOTE), (1e9, GOOD), (5e9, GOOD)])
def test_a_full_disk_is_worth_knowing(monkeypatch, only, free, state, cache):
    only("_cache")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    found = find(doctor.report(), "disk")
    assert found.state == state and f"{free / 1e9:.1f} GB free beside the cache" in found.says
    assert (f"Make room: generated data take up to 1.0 GB in {cache}" in found.cure) == (state == NOTE)


@pytest.mark.parametrize("free, state", [(3.9e9, NOTE), (4e9, GOOD), (None, GOOD)])
def test_little_memory_is_worth_knowing(monkeypatch, only, free, state):
    only("_machine")
    monkeypatch.setattr(doctor, "_memory", lambda: free)
    found = find(doctor.report(), "memory")
    assert found.state == state
    assert (
        found.says
        == {
            3.9e9: "3.9 GB free, chapters need up to 4.0 GB",
            4e9: "4.0 GB free",
            None: "this system does not say how much is free",
        }[free]
    )


def test_memory_is_a_plausible_number_here():
    assert doctor._memory() is None or 1e8 < doctor._memory() < 1e13


def fake_files(monkeypatch, contents):
    """Let pathlib read these texts, and nothing else of /proc and /sys."""
    read, is_file = doctor.Path.read_text, doctor.Path.is_file

    def read_text(self, *args, **settings):
        if str(self) in contents:
            return contents[str(self)]
        if str(self).startswith(("/proc", "/sys")):
            raise FileNotFoundError(str(self))
        return read(self, *args, **settings)

    monkeypatch.setattr(doctor.Path, "read_text", read_text)
    monkeypatch.setattr(
        doctor.Path, "is_file", lambda self: str(self) in contents or (is_file(self) and "/sys" not in str(self))
    )


def test_memory_is_what_a_container_may_use(monkeypatch):
    meminfo = {"/proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n"}
    fake_files(monkeypatch, meminfo)
    assert doctor._memory() == 8_000_000 * 1024
    fake_files(monkeypatch, meminfo | {"/sys/fs/cgroup/memory.max": "2000000000\n"})
    assert doctor._memory() == 2_000_000_000
    fake_files(monkeypatch, meminfo | {"/sys/fs/cgroup/memory.max": "max\n"})
    assert doctor._memory() == 8_000_000 * 1024


def test_memory_without_proc_is_all_there_is_or_unknown(monkeypatch):
    fake_files(monkeypatch, {})
    monkeypatch.setattr(doctor.os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}[name])
    assert doctor._memory() == 4096 * 1000
    fake_files(monkeypatch, {"/proc/meminfo": "MemTotal: 12 kB\n"})
    assert doctor._memory() == 4096 * 1000
    monkeypatch.delattr(doctor.os, "sysconf")
    assert doctor._memory() is None


def test_the_processor_has_a_name(monkeypatch):
    fake_files(
        monkeypatch, {"/proc/cpuinfo": "vendor_id : X\nmodel name\t: Some CPU 3000 \nmodel name\t: Some CPU 3000\n"}
    )
    assert doctor._processor() == "Some CPU 3000"
    fake_files(monkeypatch, {})
    monkeypatch.setattr(doctor.platform, "processor", lambda: "arm")
    assert doctor._processor() == "arm"
    monkeypatch.setattr(doctor.platform, "processor", lambda: "")
    monkeypatch.setattr(doctor.platform, "machine", lambda: "arm64")
    assert doctor._processor() == "arm64"


@pytest.mark.parametrize("cores, words", [({0}, "CPU, 1 core"), ({0, 1}, "CPU, 2 cores")])
def test_cores_are_counted(monkeypatch, only, cores, words):
    only("_machine")
    monkeypatch.setattr(doctor, "_processor", lambda: "CPU")
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda process: cores, raising=False)
    assert find(doctor.report(), "processor").says == words
    monkeypatch.delattr(doctor.os, "sched_getaffinity")
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: len(cores))
    assert find(doctor.report(), "processor").says == words


# -- device ----------------------------------------------------------------------------------------------------------------


def test_gpus_are_named_with_memory_capability_and_precision(monkeypatch, only):
    only("_machine")
    monkeypatch.delenv("MMTEACH_PRECISION", raising=False)
    about = SimpleNamespace(name="Tesla T4", total_memory=15.8e9, major=7, minor=5)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: about)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    findings = doctor.report()
    assert find(findings, "GPU 0").says == find(findings, "GPU 1").says == "Tesla T4, 15.8 GB, compute capability 7.5"
    assert find(findings, "precision").says == "trains in fp16 on cuda"


@pytest.mark.parametrize(
    "bf16, amx, words",
    [
        (True, False, "trains in bf16 on cpu (avx512_bf16)"),
        (True, True, "trains in bf16 on cpu (avx512_bf16 and amx)"),
        (False, False, "trains in fp32 on cpu"),
    ],
)
def test_the_precision_is_given_with_its_reason(monkeypatch, only, bf16, amx, words):
    only("_machine")
    monkeypatch.delenv("MMTEACH_PRECISION", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert find(doctor.report(), "precision").says == words


@pytest.mark.parametrize("cuda, words", [(None, "this PyTorch is built for CPUs"), ("13.0", "PyTorch sees none")])
def test_no_gpu_is_no_fault(monkeypatch, only, cuda, words):
    only("_machine")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    found = find(doctor.report(), "GPU")
    assert found.state == GOOD and found.says == f"none needed: {words}, chapters train on the CPU in minutes"


# -- versions --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "version, parts",
    [
        ("2.15.0+cpu", (2, 15)),
        ("7.7.1", (7, 7, 1)),
        ("3.11.0rc1", (3, 11)),
        ("0", ()),
        ("x", ()),
        ("10.0.1", (10, 0, 1)),
    ],
)
def test_versions_compare_by_their_numbers(version, parts):
    assert doctor.numbers(version) == parts


@pytest.mark.parametrize(
    "found, state, says, cure",
    [
        ("2.6", GOOD, "2.6, needs 2.6 or newer", ""),
        ("2.6.0", GOOD, "2.6.0, needs 2.6 or newer", ""),
        ("2.10", GOOD, "2.10, needs 2.6 or newer", ""),
        ("2.5.9", FAULT, "2.5.9, needs 2.6 or newer", 'pip install --upgrade "torch>=2.6"'),
        (None, FAULT, "not installed; needs 2.6 or newer", 'pip install --upgrade "torch>=2.6"'),
    ],
)
def test_a_package_is_held_against_its_lower_bound(monkeypatch, found, state, says, cure):
    monkeypatch.setattr(doctor, "_version", lambda package: found if package == "torch" else None)
    finding = doctor._package("Versions", "torch>=2.6")
    known = (finding.name, finding.state, finding.says)
    assert known == ("torch", state, says)
    assert finding.cure == (cure if state == FAULT else finding.cure)


def test_requirements_with_extras_and_without_bounds(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda package: "1.0" if package == "dask" else None)
    assert doctor._package("V", "dask[distributed]>=1; extra == 'teach'").says == "1.0, needs 1 or newer"
    assert doctor._package("V", "dask").says == "1.0"
    missing = doctor._package("V", "other", missing=NOTE)
    assert (missing.state, missing.cure) == (NOTE, "pip install other")


def versions(monkeypatch, installed, python="3.11.2", least=">=3.11"):
    needs = [
        "torch>=2.6",
        "scipy>=1.13",
        "jupyterlab>=4.4; extra == 'lab'",
        'nbformat>=5; extra == "lab"',
        "av>=1; extra == 'video'",
    ]
    monkeypatch.setattr(doctor, "_requirements", lambda: (least, needs))
    monkeypatch.setattr(doctor, "_version", installed.get)
    monkeypatch.setattr(doctor.platform, "python_version", lambda: python)
    return list(doctor._versions())


GOOD_SET = {"mmteach": "0.1", "torch": "2.7", "scipy": "1.14", "jupyterlab": "4.5", "nbformat": "5.1"}


def test_good_versions_are_shown_for_what_learners_know(monkeypatch):
    found = versions(monkeypatch, GOOD_SET)
    assert all(one.state == GOOD and one.cure == "" for one in found)
    assert [one.name for one in found] == ["Python", "mmteach", "torch", "others", "jupyterlab"]
    assert find(found, "others").says == "1 more packages, each new enough"
    assert find(found, "Python").says == "3.11.2, needs 3.11 or newer"


def test_an_old_python_is_a_fault(monkeypatch):
    found = find(versions(monkeypatch, GOOD_SET, python="3.10.9"), "Python")
    assert found.state == FAULT and found.cure == "Install Python 3.11 or newer; uv does it: `uv python install`."


def test_an_old_package_is_shown_and_jupyterlab_may_be_missing(monkeypatch):
    found = versions(monkeypatch, GOOD_SET | {"scipy": "1.12", "jupyterlab": None, "nbformat": None})
    assert find(found, "scipy").state == FAULT and find(found, "others").says.startswith("0 more")
    assert find(found, "jupyterlab").state == find(found, "nbformat").state == NOTE


def test_a_clone_that_is_not_installed_is_read_from_its_pyproject(monkeypatch):
    found = find(versions(monkeypatch, GOOD_SET | {"mmteach": None}), "mmteach")
    assert (found.state, found.cure) == (NOTE, "`make setup` installs it.")
    monkeypatch.undo()

    def nothing(package):
        raise doctor.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(doctor.importlib.metadata, "metadata", nothing)
    python, requirements = doctor._requirements()
    assert python == ">=3.11" and "torch>=2.6" in requirements
    assert any(one.startswith("jupyterlab>=") and one.endswith("; extra == 'lab'") for one in requirements)


def test_both_ways_to_the_requirements_agree(monkeypatch):
    installed = doctor._requirements()

    def nothing(package):
        raise doctor.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(doctor.importlib.metadata, "metadata", nothing)
    written = doctor._requirements()
    core = [{r for r in requirements if "extra ==" not in r} for _, requirements in (installed, written)]
    assert core[0] == core[1] and installed[0] == written[0]


# -- optional things ---------------------------------------------------------------------------------------------------------


def test_espeak_is_made_to_speak(only, monkeypatch):
    only("_speech")
    (found,) = doctor.report()
    assert found.state == GOOD and found.says.startswith("speaks (“one” lasts 0.")
    from mmteach.data import speech

    def mute(text):
        raise OSError("libespeak-ng.so: cannot open")

    monkeypatch.setattr(speech, "speak", mute)
    (found,) = doctor.report()
    assert found.state == NOTE and found.says == "does not speak: libespeak-ng.so: cannot open"
    assert found.cure == "Spoken digits need eSpeak NG: pip install --force-reinstall espeakng-loader"


def test_recordings_of_people_are_optional_but_a_wrong_folder_is_told(only, monkeypatch, tmp_path):
    import soundfile

    only("_recordings")
    (found,) = doctor.report()
    assert found.state == GOOD and found.says.startswith("MMTEACH_FSDD is not set")
    monkeypatch.setenv("MMTEACH_FSDD", str(tmp_path))
    (found,) = doctor.report()
    assert found.state == NOTE and found.says.startswith("Free Spoken Digit Dataset: expected files")
    assert found.cure == "Set MMTEACH_FSDD to the right folder, or unset it."
    for digit in range(10):
        for speaker in ("theo", "lucas"):
            soundfile.write(tmp_path / f"{digit}_{speaker}_0.wav", [0.0] * 800, 8000)
    (found,) = doctor.report()
    assert found.state == GOOD and found.says == "20 recordings of 2 people (MMTEACH_FSDD)"


def test_extras_are_never_a_fault(only, monkeypatch):
    only("_extras")
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    found = doctor.report()
    assert [one.state for one in found] == [GOOD] * 3
    assert find(found, "PyAV").says == 'not installed: reads your own videos; pip install "mmteach[video]"'
    assert 'pip install "mmteach[tools]"' in find(found, "Keras").says
    assert find(found, "Chromium").says == "not found: only `make test-full` uses it"
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(doctor, "_version", lambda name: f"{name} 1")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/bin/chrome" if name == "google-chrome" else None)
    found = doctor.report()
    assert find(found, "PyAV").says == "av 1: reads your own videos" and find(found, "Chromium").says == "/bin/chrome"


# -- the page ----------------------------------------------------------------------------------------------------------------

SOME = [
    Finding("Versions", "torch", GOOD, "2.7"),
    Finding("Versions", "scipy", NOTE, "old", "Renew it."),
    Finding("Data", "embedded", FAULT, "words " * 20, "Get it back."),
    Finding("Data", "embedded", FAULT, "other", "Get it back."),
]


def test_the_page_is_aligned_and_ends_with_faults_first():
    assert doctor.text(SOME, 60).splitlines() == [
        "Versions",
        "  ✓ torch     2.7",
        "  ! scipy     old",
        "",
        "Data",
        "  ✗ embedded  words words words words words words words",
        "              words words words words words words words",
        "              words words words words words words",
        "  ✗ embedded  other",
        "",
        "2 faults to mend:",
        "  ✗ embedded: Get it back.",
        "  ! scipy: Renew it.",
    ]


def test_the_last_words_of_a_page():
    assert doctor.text(SOME[:1]).splitlines()[-1] == "All is well: `mmteach lab` opens the course."
    assert doctor.text(SOME[:2]).splitlines()[-2:] == [
        "Nothing stands in the way: `mmteach lab` opens the course. Worth knowing:",
        "  ! scipy: Renew it.",
    ]
    assert "1 fault to mend:" in doctor.text(SOME[:3])
    assert doctor.text([]).endswith("All is well: `mmteach lab` opens the course.")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_page_keeps_to_its_width(width):
    long = [*SOME, Finding("Data", "x", NOTE, "some words " * 30, "more words " * 30)]
    assert max(map(len, doctor.text(long, width).splitlines())) <= width


def test_colour_is_around_the_mark_alone():
    page = doctor.text(SOME[:2], colour=True)
    assert "  \033[32m✓\033[0m torch  2.7" in page and "  \033[33m!\033[0m scipy  old" in page


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding, terminal):
        super().__init__(io.BytesIO(), encoding=encoding)
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def shown(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize(
    "encoding, terminal, no_colour, expected",
    [
        ("utf-8", True, "", "  \033[31m✗\033[0m embedded  “x”"),
        ("utf-8", True, "1", "  ✗ embedded  “x”"),
        ("utf-8", False, "", "  ✗ embedded  “x”"),
        ("ascii", False, "", "  x  embedded  ?x?"),
    ],
)
def test_what_the_terminal_can_show(monkeypatch, encoding, terminal, no_colour, expected):
    screen = Terminal(encoding, terminal)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setattr(doctor, "report", lambda: [Finding("Data", "embedded", FAULT, "“x”", "Cure.")])
    code = doctor.run()
    shown = screen.shown()
    monkeypatch.undo()
    assert code == 1 and shown.splitlines()[1] == expected


def test_a_wide_terminal_is_used_up_to_100_columns(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "report", lambda: [Finding("Data", "x", GOOD, "a " * 200)])
    widths = []
    for columns in ("70", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        doctor.run()
        widths.append(max(map(len, capsys.readouterr().out.splitlines())))
    assert widths[0] in (69, 70) and widths[1] in (99, 100)


def test_importing_the_doctor_is_light():
    code = "import sys, mmteach.doctor; print(sorted({'torch', 'torchvision', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_the_data_index_is_light():
    code = "import sys, mmteach.data; print(sorted({'torch', 'torchvision', 'matplotlib', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
