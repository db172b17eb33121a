"""Fetch what the pages of `make book` run in a browser, so that they ask nothing of the network: formulas and widgets.

    .venv/bin/python tools/web_assets.py             # exit code 2, and what to do, where it cannot be had
    .venv/bin/python tools/web_assets.py --optional  # for `make setup`: says so and goes on

Each file comes out of a package that `npm pack NAME@VERSION` fetches from wherever npm is set to look, and must have the
SHA-256 below. The places are ignored by git. What is there already, to the byte, is not fetched again.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# package, file in it, where it goes, its SHA-256
ASSETS = [
    ("mathjax@3.2.2", "es5/tex-svg-full.js", "book/_static/web/tex-svg-full.js",
     "a4354ff94fd868aea0cc6eaaa79a57fda0588646fc46ee3700a349ee0a11cbe6"),
    ("requirejs@2.3.7", "require.js", "book/_static/web/require.js",
     "8215b90000b571bd241d28512c83f59855cecc3158db94b79b2d974c9923b5d2"),
    ("@jupyter-widgets/html-manager@1.0.15", "dist/embed-amd.js", "book/_static/web/embed-amd.js",
     "ca87dff57c70ffb2658794fde0eab0e27e5f5472a1f5df7ab2b08e1039fc4b72"),
    # Not for the pages: the test of accessibility runs it on them.
    ("axe-core@4.14.1", "axe.min.js", "tests/browser/web/axe.min.js",
     "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"),
]  # fmt: skip


class AssetError(Exception):
    """A sentence that says what is missing and what to do."""


def fetch(root: Path = ROOT) -> list[str]:
    """Bring the files that are missing under `root`, or are others; returns the packages fetched."""
    fetched = []
    for package, inside, name, digest in ASSETS:
        place = root / name
        if place.is_file() and _digest(place.read_bytes()) == digest:
            continue
        if not shutil.which("npm"):
            raise AssetError(
                "npm is not installed. It fetches what formulas and widgets need in a page (Debian, Ubuntu: sudo apt install "
                "npm; macOS: brew install node). Then run make book again."
            )
        with tempfile.TemporaryDirectory() as scratch, tarfile.open(_pack(package, Path(scratch))) as tar:
            member = tar.extractfile(f"package/{inside}")
            assert member is not None, f"{package} has no {inside}"
            content = member.read()
        if _digest(content) != digest:
            raise AssetError(
                f"{inside} of {package} has the SHA-256 {_digest(content)}, expected {digest}: it is not used"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        fetched.append(package)
    return fetched


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pack(what: str, folder: Path) -> Path:
    command = ["npm", "pack", "--silent", "--no-update-notifier", what]
    # On Windows npm is a script of the shell's, which only its full name finds.
    command[0] = shutil.which("npm") or "npm"
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise AssetError(f"npm pack {what} failed: {said[0] if said else 'it said nothing'}. Is there a network?")
    return archives[0]


def main() -> int:
    optional = "--optional" in sys.argv[1:]
    try:
        fetched = fetch()
    except AssetError as error:
        print(f"{'Only make book needs this' if optional else 'make book'}: {error}", file=sys.stderr)
        return 0 if optional else 2
    if fetched:
        print(f"Fetched for the site: {', '.join(fetched)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
