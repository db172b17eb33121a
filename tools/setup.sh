#!/bin/sh
# Make .venv ready: Python 3.11 or newer, the versions of requirements.lock (hashes required), and the course itself.
# `make` calls this when it has to. With --uv it only prints where uv is, and installs uv into .uv where there is none.
set -eu
cd "$(dirname "$0")/.."

need_gb=9   # PyTorch with its CUDA libraries is most of it
say() { printf '%s\n' "$*" >&2; }
stop() { say "make setup: $*"; exit 2; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if new_enough "$python"; then command -v "$python"; return; fi
    done
    # uv knows of Pythons that are not on the PATH, and can fetch one where the network allows it.
    if uv --version >/dev/null 2>&1 && uv python find --quiet '>=3.11' 2>/dev/null; then return; fi
    found=$(python3 --version 2>/dev/null || echo "no Python 3")
    stop "mmteach needs Python 3.11 or newer; found ${PYTHON:+$PYTHON: }$found.
  Debian, Ubuntu:  sudo apt install python3.12 python3.12-venv    (or 3.11, 3.13: what your release has)
  macOS:           brew install python@3.12
  anywhere:        uv python install 3.12                         (see docs.astral.sh/uv)
Then run make again, or name one yourself: make setup PYTHON=/path/to/python3.12"
}

find_uv() {
    if uv --version >/dev/null 2>&1; then echo uv; return; fi
    if [ ! -x .uv/bin/uv ]; then
        say "Installing uv, which installs the rest, into .uv …"
        "$1" -m venv .uv >&2 || { rm -rf .uv; stop "Python's venv module does not work here.
  Debian, Ubuntu:  sudo apt install python3-venv
Or install uv yourself (docs.astral.sh/uv), then run make again."; }
        .uv/bin/python -m pip install --quiet --disable-pip-version-check uv >&2 ||
            { rm -rf .uv; stop "uv could not be installed: is there a network? pip's own message stands above."; }
    fi
    echo .uv/bin/uv
}

check_disk() {
    [ -d .venv ] && return   # what is large is there already
    free_gb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024 / 1024) }')
    [ "$free_gb" -ge "$need_gb" ] || stop "about $need_gb GB of free disk space are needed here, $free_gb GB are free.
Free some space, or clone the course onto a larger disk, then run make again."
}

python=$(find_python)
if [ "${1:-}" = "--uv" ]; then find_uv "$python"; exit; fi
check_disk
uv=$(find_uv "$python")
started=$(date +%s)
if [ ! -x .venv/bin/python ]; then
    say "Making .venv with $("$python" --version) …"
    "$uv" venv --quiet --clear --python "$python" .venv
fi
say "Installing the versions of requirements.lock: the first time 3.4 GB to download on Linux, 0.5 GB on macOS …"
"$uv" pip install --python .venv/bin/python --require-hashes -r requirements.lock
"$uv" pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation -e .
touch .venv/ready
say "Ready after $(($(date +%s) - started)) s: make lab opens the course, make test runs its tests."
