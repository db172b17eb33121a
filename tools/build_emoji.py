"""Build files/emoji.json and the sheets files/emoji-STYLE.png and emoji-STYLE-alpha.png: 1,587 emoji in four drawing styles.

    python tools/build_emoji.py [--packages FOLDER] [--check]

Sources: five npm packages, pinned below by version and SHA-512. They are fetched with `npm pack`, or taken from FOLDER where
that already holds the archives. With --check nothing is written: the files are built afresh and their SHA-256 compared.

What is changed: only the emoji that exist in all four styles are kept (noto and fluent have no flags), without skin tones;
each SVG drawing is rasterised to 48×48 pixels, zoomed and centred on what is drawn (OpenMoji's drawings fill less of their
square than the others'); colours are reduced to 256 a style and opacity to 16 steps. Keywords without a letter or a digit are
left out. Families and the split are made here, once.

The bytes depend on the versions of resvg-py and Pillow in requirements.lock.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from checksums import FILES, record

PACKAGES = {
    "twemoji": ("@iconify-json/twemoji", "1.2.5"),
    "noto": ("@iconify-json/noto", "1.2.9"),
    "fluent": ("@iconify-json/fluent-emoji-flat", "1.2.6"),
    "openmoji": ("@iconify-json/openmoji", "1.2.29"),
    "words": ("emojibase-data", "17.0.0"),
}
SHA512 = {
    "twemoji": "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
    "noto": "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
    "fluent": "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
    "openmoji": "vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ==",
    "words": "Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
}
STYLES = ("twemoji", "noto", "fluent", "openmoji")
LANGUAGES = ("en", "zh", "es", "fr", "de", "pt", "ru", "ja", "ko", "it")
KEYWORD_LANGUAGES = ("en", "zh")
LEFT_OUT = ("component", "flags")
SIZE, COLUMNS = 48, 40
SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}


# -- packages ----------------------------------------------------------------------------------------------------------


def unpack(part: str, folder: Path) -> dict[str, dict]:
    """The JSON files of a package by their paths in it, once its archive has the pinned SHA-512."""
    name, version = PACKAGES[part]
    archive = folder / f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"
    if not archive.is_file():
        subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != SHA512[part]:
        raise SystemExit(f"{archive.name} is not what was pinned: SHA-512 {found[:12]}…, expected {SHA512[part][:12]}…")
    wanted = {"icons.json", "chars.json", "meta/groups.json", *(f"{language}/data.json" for language in LANGUAGES)}
    with tarfile.open(archive) as tar:
        names = [name.removeprefix("package/") for name in tar.getnames()]
        return {name: json.load(tar.extractfile(f"package/{name}")) for name in names if name in wanted}


def plain(hexcode: str) -> str:
    """A code point sequence as the icon sets write it: small letters, no variation selector."""
    return hexcode.lower().replace("-fe0f", "")


# -- words -------------------------------------------------------------------------------------------------------------

# What makes another version of the same drawing, by English names in small letters; applied one after the other.
_COLOUR_OR_SIZE = (
    r"(red|pink|orange|yellow|green|light blue|blue|purple|brown|black|grey|white|large|medium-small|medium|small)"
)
_TURN = r"(up|down|left|right)(wards)?(-(up|down|left|right|facing))?"
VERSIONS = (
    (r".* o’clock|.*-thirty", "clock face"),
    (r"((new|full|(waxing|waning) (crescent|gibbous)|(first|last) quarter|crescent) moon)( face)?", "moon"),
    (r"(man|woman|person|boy|girl|child|old man|old woman|older person)(: .*)?", "person"),
    (r"prince|princess|person with crown", "with crown"),
    (r"(santa|mrs\.|mx) claus", "claus"),
    (r"merman|mermaid|merperson", "merperson"),
    (r"breast-feeding|(man|woman|person) feeding baby", "feeding baby"),
)
PARTS_OF_NAMES = (
    (r": facing right", ""),
    (r"\b(man|woman|person|men|women|people)\b(?!’)", ""),
    (rf"\b{_COLOUR_OR_SIZE} (?=.*\b(heart|circle|square|diamond|book|mark)\b)", ""),
    (rf"(?<![\w-]){_TURN}(?![\w!-])(?! luggage)", ""),
)


def family_of(name: str) -> str:
    """What all versions of one drawing have in common, from an English name.

    Versions are: the person (man, woman, hair, age), turned and mirrored drawings, clock faces, phases of the moon, and
    hearts, circles, squares, diamonds, books and marks in other colours and sizes.
    """
    name = name.lower()
    for pattern, family in VERSIONS:
        if re.fullmatch(pattern, name):
            return family
    for pattern, instead in PARTS_OF_NAMES:
        name = re.sub(pattern, instead, name)
    return " ".join(name.split())


def split(concepts: list[dict]) -> dict[str, str]:
    """The part of every family, train, valid or test: 70, 10 and 20 % of the concepts, within subgroups as far as it goes.

    Families are taken by subgroup, in an order that a hash of their name decides. The first family of a subgroup is for
    training, so that no subgroup is tested that was never seen; each other one goes where most concepts are still due.
    """
    members: dict[str, list[dict]] = {}
    for concept in concepts:
        members.setdefault(concept["family"], []).append(concept)

    def place(family: str) -> tuple[str, str, str]:
        first = members[family][0]
        return first["group"], first["subgroup"], hashlib.sha256(family.encode()).hexdigest()

    part_of: dict[str, str] = {}
    counts = dict.fromkeys(SHARES, 0)
    seen = set()
    for family in sorted(members, key=place):
        subgroups = {concept["subgroup"] for concept in members[family]}
        due = {part: share * (sum(counts.values()) + 1) - counts[part] for part, share in SHARES.items()}
        part_of[family] = max(due, key=due.__getitem__) if subgroups <= seen else "train"
        if part_of[family] == "train":
            seen |= subgroups
        counts[part_of[family]] += len(members[family])
    return part_of


def concepts_of(words: dict[str, dict], drawn: set[str]) -> list[dict]:
    """One entry an emoji that all styles draw, in Unicode's order: characters, names, keywords, groups, family, part."""
    groups = words["meta/groups.json"]
    emoji = {language: {entry["hexcode"]: entry for entry in words[f"{language}/data.json"]} for language in LANGUAGES}
    concepts = []
    for hexcode, entry in emoji["en"].items():
        group = groups["groups"].get(str(entry.get("group")))
        if group is None or group in LEFT_OUT or plain(hexcode) not in drawn:
            continue
        name = entry["label"]
        keywords = {
            language: [word for word in emoji[language][hexcode].get("tags", []) if re.search(r"[^\W_]", word)]
            for language in KEYWORD_LANGUAGES
        }
        concepts.append(
            {
                "hexcode": hexcode,
                "char": "".join(chr(int(code, 16)) for code in hexcode.split("-")),
                "group": group,
                "subgroup": groups["subgroups"][str(entry["subgroup"])],
                "family": family_of(name),
                "part": "",
                "names": {language: emoji[language][hexcode]["label"] for language in LANGUAGES},
                # A sign such as "+" may have no keyword of letters: then its name is its keyword.
                "keywords": {lang: words or [emoji[lang][hexcode]["label"]] for lang, words in keywords.items()},
                "order": entry["order"],
            }
        )
    concepts.sort(key=lambda concept: concept.pop("order"))
    parts = split(concepts)
    for concept in concepts:
        concept["part"] = parts[concept["family"]]
    return concepts


# -- drawings ----------------------------------------------------------------------------------------------------------


class Drawings:
    """The SVG drawings of one icon set by code points."""

    def __init__(self, files: dict[str, dict]) -> None:
        self.icons, self.aliases = files["icons.json"]["icons"], files["icons.json"].get("aliases", {})
        self.default = {key: files["icons.json"].get(key, 16) for key in ("width", "height")}
        self.names = {plain(hexcode): name for hexcode, name in files["chars.json"].items()}
        # The one drawing that the fluent set has as a mirrored alias without code points.
        if "backhand-index-pointing-right" in self.aliases:
            self.names.setdefault("1f449", "backhand-index-pointing-right")

    def find(self, hexcode: str) -> dict:
        """A drawing's SVG body with its width, height and whether it is mirrored."""
        name, over = self.names[plain(hexcode)], {}
        while name not in self.icons:
            over = {**self.aliases[name], **over}
            name = over.pop("parent")
        return {**self.default, "left": 0, "top": 0, "hFlip": False, **self.icons[name], **over}

    def raster(self, hexcode: str) -> np.ndarray:
        """The drawing as RGBA (48, 48, 4), zoomed and centred on what is drawn.

        A margin of one part in 96 is left on each side, and what fills less than 70 % of its square is zoomed as if it
        filled 70 %: a small square stays smaller than a large one.
        """
        icon = self.find(hexcode)
        body = icon["body"]
        if icon["hFlip"]:
            body = f'<g transform="translate({2 * icon["left"] + icon["width"]} 0) scale(-1 1)">{body}</g>'
        side = max(icon["width"], icon["height"])
        left = icon["left"] - (side - icon["width"]) / 2
        top = icon["top"] - (side - icon["height"]) / 2
        drawn = render(body, left, top, side, 96).getchannel("A").point(lambda alpha: 255 * (alpha > 16)).getbbox()
        if drawn is None:
            raise SystemExit(f"the drawing of {hexcode} is empty")
        x0, y0, x1, y1 = (edge * side / 96 for edge in drawn)
        zoomed = max(x1 - x0 + side / 48, y1 - y0 + side / 48, 0.7 * side)
        left, top = left + (x0 + x1 - zoomed) / 2, top + (y0 + y1 - zoomed) / 2
        return np.asarray(render(body, left, top, zoomed, SIZE))


def render(body: str, left: float, top: float, side: float, pixels: int) -> Image.Image:
    """A square part of an SVG drawing as an RGBA picture."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left:.6f} {top:.6f} {side:.6f} {side:.6f}" width="{pixels}" height="{pixels}">{body}</svg>'
    )
    picture = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(picture))).convert("RGBA")


def sheets(pictures: list[np.ndarray]) -> tuple[bytes, bytes]:
    """All pictures of a style in rows of 40, as two PNG files: colours (256) and opacity (16 steps).

    One palette of 256 colours with opacity would spend most of them on half-transparent edges and dull the rest.
    """
    rows = -(-len(pictures) // COLUMNS)
    cells = np.zeros((rows * COLUMNS, SIZE, SIZE, 4), np.uint8)
    cells[: len(pictures)] = pictures
    sheet = cells.reshape(rows, COLUMNS, SIZE, SIZE, 4).swapaxes(1, 2).reshape(rows * SIZE, COLUMNS * SIZE, 4)
    steps = np.round(sheet[..., 3] / 17).astype(np.uint8)
    colours = np.where(steps[..., None] > 0, sheet[..., :3], 0).astype(np.uint8)
    palette = Image.fromarray(colours).quantize(
        256, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE
    )
    opacity = Image.fromarray(steps)
    opacity.putpalette([17 * step for step in range(16) for _ in "rgb"])
    return png(palette, bits=8), png(opacity, bits=4)


def png(picture: Image.Image, bits: int) -> bytes:
    """A palette picture as the bytes of a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, bits=bits)
    return file.getvalue()


# -- files -------------------------------------------------------------------------------------------------------------


def build(folder: Path) -> dict[str, bytes]:
    """Every file by name, made from the packages in `folder` (fetched into it where they are not there)."""
    packages = {part: unpack(part, folder) for part in PACKAGES}
    drawings = {style: Drawings(packages[style]) for style in STYLES}
    concepts = concepts_of(packages["words"], set.intersection(*(set(drawings[style].names) for style in STYLES)))
    # One line a concept, so that a change shows as what it is.
    lines = ",\n".join(json.dumps(concept, ensure_ascii=False, separators=(",", ":")) for concept in concepts)
    files = {"emoji.json": f"[\n{lines}\n]\n".encode()}
    for style in STYLES:
        pictures = [drawings[style].raster(concept["hexcode"]) for concept in concepts]
        files[f"emoji-{style}.png"], files[f"emoji-{style}-alpha.png"] = sheets(pictures)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, help="a folder that holds the packages' archives already")
    parser.add_argument("--check", action="store_true", help="write nothing: compare a fresh build with the files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        files = build(arguments.packages or Path(temporary))
    if arguments.check:
        stale = [name for name, made in files.items() if not same(FILES / name, made)]
        for name in stale:
            print(f"{name} differs from a fresh build", file=sys.stderr)
        print(f"{len(files) - len(stale)} of {len(files)} files are the same as a fresh build")
        return 1 if stale else 0
    for name, made in files.items():
        (FILES / name).write_bytes(made)
        print(f"{name}: {len(made):,} bytes, SHA-256 {record(name)[:12]}…")
    return 0


def same(path: Path, made: bytes) -> bool:
    """Whether a file holds exactly these bytes, by SHA-256."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(made).digest()


if __name__ == "__main__":
    sys.exit(main())
