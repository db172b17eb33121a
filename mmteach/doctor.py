"""`mmteach doctor`: what this machine has, what is wrong with it, and what to do about that.

| name      | what it gives                                                                     |
|-----------|-----------------------------------------------------------------------------------|
| `report`  | every check as a `Finding`, in groups                                             |
| `Finding` | one line: good (✓), worth knowing (!) or a fault (✗), with its cure                 |
| `text`    | the findings as an aligned page that ends with what to do                           |
| `run`     | prints that page, or JSON; exit code 0, or 1 where there is a fault                  |

Every check works on a broken installation: that is when it is asked for.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

GOOD, NOTE, FAULT = "good", "note", "fault"
MARKS = {GOOD: "✓", NOTE: "!", FAULT: "✗"}
PLAIN_MARKS = {GOOD: "ok", NOTE: "! ", FAULT: "x "}  # for terminals that cannot show the others
COLOURS = {GOOD: "\033[32m", NOTE: "\033[33m", FAULT: "\033[31m"}
SHOWN = ("torch", "torchvision", "numpy", "matplotlib", "ipywidgets")  # the others are shown where they are at fault
INSTALL = "Install mmteach again: `make setup` in a clone, or `pip install --upgrade` what you installed it from."
ROOM = 1e9  # bytes that a run of all chapters writes to the cache, generously
MEMORY = 4e9  # bytes with which every chapter runs


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: where it belongs, its name, how it is, and what to do (empty where nothing is)."""

    group: str
    name: str
    state: str
    says: str
    cure: str = ""


def report() -> list[Finding]:
    """All checks, in the order in which they are printed. A check that itself fails is reported as a fault."""
    findings: list[Finding] = []
    for group, check in _CHECKS:
        try:
            findings += check()
        except Exception as error:
            cure = f"This should not happen. {INSTALL}"
            findings.append(Finding(group, check.__name__.strip("_"), FAULT, f"{type(error).__name__}: {error}", cure))
    return findings


# -- versions ----------------------------------------------------------------------------------------------------------


def _requirements() -> tuple[str, list[str]]:
    """The Python and the packages that mmteach asks for: of the installed package, or of the clone it is read from."""
    try:
        about = importlib.metadata.metadata("mmteach")
        return about["Requires-Python"] or "", about.get_all("Requires-Dist") or []
    except importlib.metadata.PackageNotFoundError:
        import tomllib

        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = [f"{r}; extra == '{e}'" for e, some in project["optional-dependencies"].items() for r in some]
        return project["requires-python"], project["dependencies"] + extras


def numbers(version: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version, to compare it by: "2.15.0+cpu" → (2, 15), zeros at the end left out."""
    found = re.match(r"\d+(\.\d+)*", version)
    parts = [int(part) for part in found[0].split(".")] if found else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(group: str, requirement: str, missing: str = FAULT) -> Finding:
    """How an installed package compares with a requirement such as "torch>=2.6"."""
    package, _, least = re.split(r"[;\s]", requirement)[0].partition(">=")
    package = package.partition("[")[0]
    found = _version(package)
    wanted = f"needs {least} or newer" if least else ""
    cure = f'pip install --upgrade "{package}>={least}"' if least else f"pip install {package}"
    if found is None:
        return Finding(group, package, missing, f"not installed; {wanted}", cure)
    if numbers(found) < numbers(least):
        return Finding(group, package, FAULT, f"{found}, {wanted}", cure)
    return Finding(group, package, GOOD, f"{found}, {wanted}" if wanted else found)


def _versions() -> Iterator[Finding]:
    group = "Versions"
    python, requirements = _requirements()
    least = python.partition(">=")[2]
    here = platform.python_version()
    cure = (
        "" if numbers(here) >= numbers(least) else f"Install Python {least} or newer; uv does it: `uv python install`."
    )
    yield Finding(group, "Python", FAULT if cure else GOOD, f"{here}, needs {least} or newer", cure)
    found = _version("mmteach")
    if found:
        yield Finding(group, "mmteach", GOOD, found)
    else:
        yield Finding(group, "mmteach", NOTE, "read from a clone, not installed", "`make setup` installs it.")
    core = [_package(group, requirement) for requirement in requirements if "extra ==" not in requirement]
    yield from (one for one in core if one.state != GOOD or one.name in SHOWN)
    rest = sum(one.state == GOOD and one.name not in SHOWN for one in core)
    yield Finding(group, "others", GOOD, f"{rest} more packages, each new enough")
    lab = [_package(group, r, missing=NOTE) for r in requirements if re.search(r"extra == ['\"]lab['\"]", r)]
    yield from (one for one in lab if one.state != GOOD or one.name == "jupyterlab")


# -- the machine -------------------------------------------------------------------------------------------------------


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _memory() -> int | None:
    """Bytes of memory that a new process can have, or None where the system does not say."""
    try:
        about = Path("/proc/meminfo").read_text(encoding="ascii")
        free = int(re.search(r"MemAvailable:\s+(\d+) kB", about)[1]) * 1024  # type: ignore[index]
    except (OSError, TypeError):
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # macOS: all of it
        except (AttributeError, ValueError, OSError):
            return None
    limit = Path("/sys/fs/cgroup/memory.max")  # what a container may use
    if limit.is_file() and (most := limit.read_text(encoding="ascii").strip()).isdigit():
        return min(free, int(most))
    return free


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _machine() -> Iterator[Finding]:
    group = "Machine"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding(group, "processor", GOOD, f"{_processor()}, {cores} core{'s' * (cores != 1)}")
    free = _memory()
    if free is None:
        yield Finding(group, "memory", GOOD, "this system does not say how much is free")
    elif free < MEMORY:
        cure = "Close other notebooks and programs: a chapter may be stopped when memory runs out."
        yield Finding(group, "memory", NOTE, f"{_gigabytes(free)} free, chapters need up to {_gigabytes(MEMORY)}", cure)
    else:
        yield Finding(group, "memory", GOOD, f"{_gigabytes(free)} free")
    yield from _accelerator(group)


def _accelerator(group: str) -> Iterator[Finding]:
    import torch

    from mmteach.training import precision_for

    asks = {"avx512_bf16": "_is_avx512_bf16_supported", "amx": "_is_amx_tile_supported"}
    flags = [flag for flag, name in asks.items() if getattr(torch.cpu, name, lambda: False)()]
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(i)
            says = f"{about.name}, {_gigabytes(about.total_memory)}, compute capability {about.major}.{about.minor}"
            yield Finding(group, f"GPU {i}", GOOD, says)
        device = "cuda"
    else:
        why = "this PyTorch is built for CPUs" if torch.version.cuda is None else "PyTorch sees none"
        yield Finding(group, "GPU", GOOD, f"none needed: {why}, chapters train on the CPU in minutes")
        device = "cpu"
    precision = precision_for(device)
    why = f" ({' and '.join(flags)})" if device == "cpu" and flags else ""
    yield Finding(group, "precision", GOOD, f"trains in {precision} on {device}{why}")


# -- data --------------------------------------------------------------------------------------------------------------


def _data() -> Iterator[Finding]:
    from mmteach.data import store

    group = "Data"
    faults = store.damaged()
    for fault in faults:
        yield Finding(group, "embedded", FAULT, fault.removesuffix(f" {store.CURE}"), store.CURE)
    if not faults:
        names = list(store.checksums())
        size = sum((store.FILES / name).stat().st_size for name in names)
        yield Finding(group, "embedded", GOOD, f"{len(names)} files, {size / 1e6:.1f} MB, every checksum right")


def _cache() -> Iterator[Finding]:
    from mmteach.data import store

    group, folder = "Data", store.cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"mmteach")
    except OSError as error:
        cure = "Set MMTEACH_CACHE to a folder you may write to; without one, generated data are made again each time."
        yield Finding(group, "cache", NOTE, f"{folder} cannot be written to ({error.strerror or error})", cure)
        return
    used = sum(path.stat().st_size for path in folder.glob("*.pt"))
    yield Finding(group, "cache", GOOD, f"{folder}, {_gigabytes(used)} used")
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        cure = f"Make room: generated data take up to {_gigabytes(ROOM)} in {folder} (or set MMTEACH_CACHE elsewhere)."
        yield Finding(group, "disk", NOTE, f"only {_gigabytes(free)} free beside the cache", cure)
    else:
        yield Finding(group, "disk", GOOD, f"{_gigabytes(free)} free beside the cache")


# -- what some parts of the course want ------------------------------------------------------------------------------------


def _speech() -> Iterator[Finding]:
    group = "Optional"
    try:
        from mmteach.data.speech import speak

        seconds = len(speak("one")) / 8000
    except Exception as error:  # a library that does not load can fail in many ways
        cure = "Spoken digits need eSpeak NG: pip install --force-reinstall espeakng-loader"
        yield Finding(group, "eSpeak NG", NOTE, f"does not speak: {error}", cure)
    else:
        yield Finding(group, "eSpeak NG", GOOD, f"speaks (“one” lasts {seconds:.2f} s)")


def _recordings() -> Iterator[Finding]:
    group, name = "Optional", "real digits"
    if not os.environ.get("MMTEACH_FSDD"):
        yield Finding(group, name, GOOD, "MMTEACH_FSDD is not set: chapters use synthetic speech, and say so")
        return
    from mmteach.data.public import load_fsdd
    from mmteach.data.store import DataError

    try:
        people = load_fsdd()
    except DataError as error:
        yield Finding(group, name, NOTE, str(error), "Set MMTEACH_FSDD to the right folder, or unset it.")
    else:
        speakers = len(set(people["speaker"]))
        yield Finding(group, name, GOOD, f"{len(people['digit'])} recordings of {speakers} people (MMTEACH_FSDD)")


def _extras() -> Iterator[Finding]:
    group = "Optional"
    wants = {
        "av": ("PyAV", "reads your own videos", 'pip install "mmteach[video]"'),
        "keras": ("Keras", "the classic model in other frameworks, chapter 06", 'pip install "mmteach[tools]"'),
    }
    for module, (name, use, cure) in wants.items():
        if importlib.util.find_spec(module):
            yield Finding(group, name, GOOD, f"{_version(module)}: {use}")
        else:
            yield Finding(group, name, GOOD, f"not installed: {use}; {cure}")
    browser = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    yield Finding(group, "Chromium", GOOD, browser or "not found: only `make test-full` uses it")


_CHECKS: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
    ("Versions", _versions),
    ("Machine", _machine),
    ("Data", _data),
    ("Data", _cache),
    ("Optional", _speech),
    ("Optional", _recordings),
    ("Optional", _extras),
]


# -- the page ----------------------------------------------------------------------------------------------------------


def _fill(words: str, width: int, first: str, rest: str) -> str:
    """Words in lines; a path longer than a line stays whole, so that it can be copied."""
    return textwrap.fill(
        words, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )


def text(findings: list[Finding], width: int = 80, colour: bool = False, marks: dict[str, str] | None = None) -> str:
    """The findings as a page of at most `width` columns: a group after the other, then what to do."""
    marks = marks or MARKS
    indent = max((len(one.name) for one in findings), default=0) + 2
    lines: list[str] = []
    group = ""
    for one in findings:
        if one.group != group:
            group = one.group
            lines += ["", group] if lines else [group]
        mark = marks[one.state]
        before = " " * (2 + len(mark) + 1 + indent)
        body = _fill(one.says, width, before, before).removeprefix(before)
        shown = f"{COLOURS[one.state]}{mark}\033[0m" if colour else mark
        lines.append(f"  {shown} {one.name:<{indent}}{body}")
    lines.append("")
    cures = list(dict.fromkeys((one.state, one.name, one.cure) for one in findings if one.cure))
    cures.sort(key=lambda cure: cure[0] != FAULT)  # faults first; the rest in their order
    if not cures:
        return "\n".join([*lines, "All is well: `mmteach lab` opens the course."])
    faults = sum(one.state == FAULT for one in findings)
    if faults:
        lines.append(f"{faults} fault{'s' * (faults != 1)} to mend:")
    else:
        lines.append("Nothing stands in the way: `mmteach lab` opens the course. Worth knowing:")
    for state, name, cure in cures:
        lines.append(_fill(f"{name}: {cure}", width, f"  {marks[state]} ", " " * (3 + len(marks[state]))))
    return "\n".join(lines)


def run(as_json: bool = False) -> int:
    """Print the report for a terminal, or as JSON; return 1 where there is a fault, else 0."""
    findings = report()
    if as_json:
        print(json.dumps([asdict(one) for one in findings], indent=2, ensure_ascii=False))
    else:
        coding = sys.stdout.encoding or "ascii"
        try:
            "".join(MARKS.values()).encode(coding)
            marks = MARKS
        except UnicodeEncodeError:
            marks = PLAIN_MARKS
        width = min(100, shutil.get_terminal_size().columns)
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        page = text(findings, width, colour, marks)
        print(page.encode(coding, errors="replace").decode(coding))
    return 1 if any(one.state == FAULT for one in findings) else 0
