"""Build files/prompts.wav and files/prompts.json: 549 English telephone prompts by one speaker, with what she says.

    python tools/build_prompts.py [--debs FOLDER]

Source: Debian's packages asterisk-core-sounds-en-wav and asterisk-core-sounds-en, 1.6.1-1 (recorded by Allison Smith,
CC-BY-SA-3.0). They are fetched with `apt-get download` on a Debian system that offers this version, or taken from FOLDER,
and their SHA-256 is checked. Nothing is installed.

What is changed: recordings that hold no speech, and those whose wording is not certain from the transcript, are left out;
the rest stand one behind the other in one file, coded with GSM 6.10 (the codec of mobile telephones, 13 kbit/s) because
lossless FLAC would take 15 MB in place of 2.4. Transcripts are normalised (see `normalised`). Splits are drawn here, once.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
from checksums import record

FILES = Path(__file__).parents[1] / "mmteach" / "data" / "files"
RATE = 8000
PACKAGES = {
    "asterisk-core-sounds-en-wav_1.6.1-1_all.deb": "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d",
    "asterisk-core-sounds-en_1.6.1-1_all.deb": "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
}
SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
TRANSCRIPTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SPELT = {"iax", "pbx", "ivr", "ip", "mgcp", "usb"}  # said letter by letter
SIGNS = {"*": " star ", "#": " pound ", "&": " and "}
MISSPELT = {
    "umute": "unmute",
    "represenatives": "representatives",
    "unindentified": "unidentified",
    "witheld": "withheld",
    "exclaimation": "exclamation",
    "fourtieth": "fortieth",
    "thru": "through",
}


def normalised(transcript: str) -> str | None:
    """What is said, in the letters a–z, the apostrophe and single spaces; None where that is not certain or not speech.

    - Notes in brackets go: "at [@]" → "at", "IAX (note: …)" → "i a x". What is then empty is no speech (tones, silence).
    - A single digit becomes its word: "Press 1" → "press one", "3D" → "three d". A longer number can be read in several
      ways ("1234", "28.8", "H.323"): None.
    - "*" → "star", "#" → "pound".
    - Abbreviations that are said by their letters are spelt: "PBX" → "p b x", "A.M." → "a m"; others are words: "SIP" → "sip".
    - Hyphens become spaces, but the prefixes de-, re- and un- are joined: "de-activated" → "deactivated".
    - Other punctuation goes, capitals become small, and seven misspelt words are put right (MISSPELT).
    """
    text = re.sub(r"\[.*?\]|\(.*?\)|<.*?>", " ", transcript)
    if re.search(r"\d[\d.]*\d", text):
        return None
    text = text.lower().replace("a.m.", "a m").replace("p.m.", "p m")
    text = re.sub(r"(?<=\w)\.(?=\w)", " dot ", text)  # www.asterisk.org
    for sign, word in SIGNS.items():
        text = text.replace(sign, word)
    text = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", text)
    text = re.sub(r"\b(de|re|un)-", r"\1", text)
    words = re.sub(r"[^a-z' ]", " ", text.replace("www", "w w w")).split()
    words = [MISSPELT.get(word.strip("'"), word.strip("'")) for word in words]
    words = [" ".join(word) if word in SPELT else word for word in words]
    return " ".join(word for word in words if word) or None


def alike(a: str, b: str) -> bool:
    """Whether two sentences have three quarters of their words in common: |A ∩ B| / |A ∪ B| ≥ 3/4 as sets of words."""
    first, second = set(a.split()), set(b.split())
    return len(first & second) >= 0.75 * len(first | second)


def split(sentences: list[str]) -> list[str]:
    """A part for each sentence, about 80 / 10 / 10: sentences that are alike, directly or by a chain, stay together."""
    group = list(range(len(sentences)))
    for i, sentence in enumerate(sentences):
        for j in range(i):
            if group[i] != group[j] and alike(sentence, sentences[j]):
                group = [group[j] if g == group[i] else g for g in group]
    groups = sorted(set(group))
    random.Random(0).shuffle(groups)
    tenth = len(sentences) // 10
    counts, part_of = {"test": 0, "valid": 0}, {}
    for g in groups:
        part = next((p for p in counts if counts[p] < tenth and group.count(g) <= max(1, tenth // 5)), "train")
        part_of[g] = part
        if part in counts:
            counts[part] += group.count(g)
    return [part_of[g] for g in group]


def transcripts(text: str) -> dict[str, str]:
    """File name without ending → transcript, from lines "name: transcript"; lines that start with ";" are remarks."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition(":") for line in lines if line and not line.startswith(";"))
    return {name: said.strip() for name, _, said in pairs}


def unpack(debs: Path | None, into: Path) -> None:
    """Fetch the packages where no folder of them is given, check each, and unpack them."""
    if debs is None:
        for deb in PACKAGES:
            package, version, _ = deb.split("_")
            subprocess.run(["apt-get", "download", f"{package}={version}"], cwd=into, check=True)
        debs = into
    for deb, expected in PACKAGES.items():
        found = hashlib.sha256((debs / deb).read_bytes()).hexdigest()
        if found != expected:
            raise SystemExit(
                f"{deb} has SHA-256 {found}, expected {expected}: it is not the version this builder knows"
            )
        subprocess.run(["dpkg-deb", "-x", str(debs / deb), str(into)], check=True)


def build(unpacked: Path) -> tuple[bytes, bytes]:
    """The bytes of prompts.wav and of prompts.json."""
    said = transcripts(gzip.decompress((unpacked / TRANSCRIPTS).read_bytes()).decode("ascii"))
    entries, sounds, start = [], [], 0
    for name, transcript in sorted(said.items()):
        path, text = unpacked / SOUNDS / f"{name}.wav", normalised(transcript)
        if text is None or not path.is_file():
            continue
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE and samples.ndim == 1, f"{name}: expected mono at {RATE} Hz"
        entries.append({"name": name, "text": text, "start": start, "samples": len(samples)})
        sounds.append(samples)
        start += len(samples)
    for entry, part in zip(entries, split([entry["text"] for entry in entries])):
        entry["part"] = part
    coded = io.BytesIO()
    soundfile.write(coded, np.concatenate(sounds), RATE, format="WAV", subtype="GSM610")
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    return coded.getvalue(), f"[\n{lines}\n]\n".encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--debs", type=Path, help="folder that holds the two .deb files; fetched where it is not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        unpack(arguments.debs and arguments.debs.resolve(), Path(folder))
        wav, index = build(Path(folder))
    (FILES / "prompts.wav").write_bytes(wav)
    (FILES / "prompts.json").write_bytes(index)
    for name in ("prompts.wav", "prompts.json"):
        record(name)
        print(f"{name}: {(FILES / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
