"""Try the course as Colab has it: its Python, its package versions, its ipywidgets 7. `make colab` calls this.

1. An environment in .colab with the packages that Colab's list (tests/colab/) has of those that mmteach needs.
2. What installing mmteach would do there: a package that Colab has must stay as it is, or its runtime would restart.
3. mmteach is installed; every notebook (chapters, exercises, solutions) runs under nbval at smoke scale, and the widgets'
   tests with ipywidgets 7.

    python3 tools/colab.py            # all of it
    python3 tools/colab.py --dry-run  # 1 and 2 only
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".colab"
# The newest runtime first; the older one where its Python is what there is.
RUNTIMES = {"3.13": "constraints-2026-08.txt", "3.12": "constraints-2026-07.txt"}
# What Colab runs notebooks with, beside what mmteach needs.
KERNEL = ["ipykernel", "ipython"]
# What the check itself needs and Colab has not; it comes last, so that it cannot hide what mmteach would do.
CHECKING = ["pytest", "pytest-xdist", "pytest-timeout", "nbval", "jupytext", "nbclient", "nbformat"]


def stop(text: str) -> None:
    print(f"make colab: {text}", file=sys.stderr)
    raise SystemExit(2)


def find_uv() -> str:
    """uv, as tools/setup.sh finds or installs it."""
    return subprocess.run(
        ["sh", "tools/setup.sh", "--uv"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def find_python(uv: str) -> tuple[str, str]:
    """(its version, its path) of the first Python that Colab has had, by name, by pyenv, by uv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in RUNTIMES:
        names = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
        for path in [os.environ.get("PYTHON"), *names]:
            if path and version_of(path) == version:
                return version, path
    for version in RUNTIMES:  # uv fetches one where the network allows it
        found = subprocess.run([uv, "python", "install", "--quiet", version], capture_output=True)
        if found.returncode == 0:
            path = subprocess.run([uv, "python", "find", version], check=True, capture_output=True, text=True).stdout
            return version, path.strip()
    stop(
        "Colab's Python is 3.13 (3.12 on the older runtime), and neither is here nor can be fetched. Install one, or name "
        "it: make colab PYTHON=/path/to/python3.13"
    )
    raise AssertionError


def version_of(python: str) -> str:
    said = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", said], capture_output=True, text=True).stdout.strip()


def names_in(text: str) -> dict[str, str]:
    """name → version of the `name==version` lines, names as PyPI compares them."""
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


def would_do(report: str) -> tuple[set[str], set[str]]:
    """(packages that would come, packages that would go) by what `uv pip install --dry-run` says."""
    marks = re.findall(r"^\s*([+-]) ([\w.-]+)(?:==| @ )", report, re.MULTILINE)
    plain = [(mark, re.sub(r"[-_.]+", "-", name).lower()) for mark, name in marks]
    return {name for mark, name in plain if mark == "+"}, {name for mark, name in plain if mark == "-"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="only say what installing mmteach on Colab would change")
    asked = parser.parse_args()
    uv = find_uv()
    version, python = find_python(uv)
    constraints = ROOT / "tests" / "colab" / RUNTIMES[version]
    here = str(PLACE / "bin" / "python")

    def pip(*arguments: str) -> str:
        command = [uv, "pip", *arguments]
        if arguments[0] == "install":
            command += ["--python", here]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            stop(f"{' '.join(command[:3])} failed:\n{done.stderr}")
        return done.stdout + done.stderr

    print(f"Python {version} and the packages of {constraints.name}, in .colab …", flush=True)
    # Anew each time: what an earlier run installed would not be Colab's. The packages themselves are in uv's cache.
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", python, str(PLACE)], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "kernel.in"
        wanted.write_text("\n".join(KERNEL) + "\n", encoding="utf-8")
        needed = names_in(
            pip("compile", "-q", "pyproject.toml", str(wanted), "-c", str(constraints), "--python-version", version)
        )
        colab = names_in(constraints.read_text(encoding="utf-8"))
        moved = {name: pin for name, pin in needed.items() if name in colab and colab[name] != pin}
        assert not moved, f"{moved} are not Colab's versions"  # uv holds constraints; this holds uv to it
        preinstalled = Path(scratch) / "preinstalled.txt"
        preinstalled.write_text("".join(f"{n}=={v}\n" for n, v in needed.items() if n in colab), encoding="utf-8")
        # With what these need in turn: CUDA's libraries, which on Colab came with PyTorch, are no news of mmteach's.
        pip("install", "-r", str(preinstalled), "-c", str(constraints))
        come, go = would_do(pip("install", "--dry-run", "."))
        if go or come & set(colab):
            print(f"Installing mmteach would replace {sorted(go | (come & set(colab)))}", file=sys.stderr)
            return 1
        print(f"Installing mmteach brings {', '.join(sorted(come))}, and changes none of the {len(colab)} packages "
              "that Colab has.")  # fmt: skip
        if asked.dry_run:
            return 0
        pip("install", ".")
        pip("install", *CHECKING, "-c", str(constraints))
    env = {"OMP_NUM_THREADS": "1", **os.environ, "MMTEACH_SCALE": "smoke", "MMTEACH_LEARNER": os.devnull}
    notebooks = [f"{folder}/[0-9][0-9]_*.ipynb" for folder in ("notebooks", "exercises", "solutions")]
    tried = [
        str(p.relative_to(ROOT))
        for of in (*notebooks, "tests/library/test_widgets_*.py")
        for p in sorted(ROOT.glob(of))
    ]
    pytest = [here, "-m", "pytest", "-n", "2", "--dist", "loadfile", "-q", "-p", "no:cacheprovider"]
    # Smoke scale has other figures than the stored ones, which are a laptop's: a cell must run, and is not compared.
    lax = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "300"]
    return subprocess.run([*pytest, *lax, *tried], cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    sys.exit(main())
