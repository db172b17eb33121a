"""The SHA-256 of every embedded data file, kept in `mmteach/data/files/SHA256.json`; loading checks against it.

A builder calls `record(name)` after it has written `mmteach/data/files/NAME`.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

FILES = Path(__file__).resolve().parent.parent / "mmteach" / "data" / "files"
SUMS = "SHA256.json"


def record(name: str) -> str:
    """Hash `mmteach/data/files/NAME` again, write it into SHA256.json beside the others (keys sorted), and return it.

    The list is written beside its place and renamed, so that a builder that is stopped never leaves half of it.
    """
    sums = json.loads((FILES / SUMS).read_text(encoding="utf-8")) if (FILES / SUMS).is_file() else {}
    sums[name] = hashlib.sha256((FILES / name).read_bytes()).hexdigest()
    partial = FILES / f".{SUMS}.partial"
    try:
        partial.write_text(json.dumps(sums, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(partial, FILES / SUMS)
    finally:
        partial.unlink(missing_ok=True)
    return sums[name]
