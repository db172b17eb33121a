"""Tux Paint's stamps: pictures with captions in many languages, written and spoken by people.

| name            | what it gives                                                       |
|-----------------|---------------------------------------------------------------------|
| `load_tuxpaint` | picture, caption in English and in another language, spoken caption  |

On Debian and Ubuntu the package tuxpaint-stamps-default holds them (GPL-2), in /usr/share/tuxpaint/stamps. Each stamp is
some files of one stem: NAME.png or NAME.svg, NAME.txt (the English caption, then lines such as `fr.utf8=Un guépard.`), and
for spoken captions NAME_desc.ogg (English) and NAME_desc_fr.ogg. NAME.ogg is a sound effect and is not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mmteach import _check
from mmteach.data.audio import SAMPLE_RATE, frame_mask, log_mel
from mmteach.data.batch import Batch, Splits
from mmteach.data.public.folders import by_family, kept, picture, sound, wrong

TUXPAINT = "Tux Paint's stamps"
DEBIAN = Path("/usr/share/tuxpaint/stamps")
_CURE = (
    "Install Debian's package tuxpaint-stamps-default, or unpack the stamps from Tux Paint's home page, tuxpaint.org."
)


def read_captions(path: Path) -> dict[str, str]:
    """The captions of one stamp by language; the first line is English ("en").

    Lines look like `de.utf8=Ein Gepard.`; languages have names such as "fr", "pt_BR" or "zh_TW".
    """
    first, *rest = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    said = {"en": first.strip()}
    for line in rest:
        language, found, caption = line.partition(".utf8=")
        if found and caption.strip():
            said[language.strip()] = caption.strip()
    return said


def load_tuxpaint(
    folder: str | Path | None = None, language: str = "fr", size: int = 64, seconds: float = 3.0, seed: int = 0
) -> Splits:
    """Stamps that have a drawn picture (PNG) and a caption in `language`.

    folder:   that of the stamps, with animals/, food/, …; None: where Debian's package puts it
    language: of the spoken caption, e.g. "fr", "es", "ru", "ca" or "en"
    seconds:  the length to which spoken captions are padded or cut

    inputs:  "image" (B, 3, size, size) uint8; "audio" (B, 1, 40, T), log-mel at 8 kHz, with its mask; `present["audio"]`
             says which stamps have a spoken caption. targets: "group" (B,), the uppermost folder.
    info:    "name" (the path without its ending), "caption" (in English), "spoken" (in `language`), "captions" (all)
    Stamps with the same English caption stay in one split, about 80 / 10 / 10 %. Pictures that are drawn as SVG alone are
    left out, and so are mirrored ones.
    """
    _check.positive("seconds", seconds)
    found = Path(folder).expanduser() if folder else DEBIAN
    texts = sorted(found.rglob("*.txt")) if found.is_dir() else []
    drawn = [(path, path.with_suffix(".png")) for path in texts if path.with_suffix(".png").is_file()]
    if not drawn:
        raise wrong(TUXPAINT, found, "folders with NAME.png and NAME.txt", _CURE)
    stamps = [(text, image, captions) for text, image in drawn if language in (captions := read_captions(text))]
    if len({captions["en"] for *_, captions in stamps}) < 3:
        languages = sorted({one for text, _ in drawn for one in read_captions(text)})
        some = f"{len(stamps)}; there are captions in {', '.join(languages)}"
        raise wrong(
            TUXPAINT, found, f"at least 3 stamps with a caption in {language!r}", "Choose another language.", some
        )
    ending = "_desc.ogg" if language == "en" else f"_desc_{language}.ogg"
    voices = [text.with_name(text.stem + ending) for text, *_ in stamps]
    heard = [voice.is_file() for voice in voices]
    samples = round(seconds * SAMPLE_RATE)

    def make() -> dict[str, Any]:
        waveform, length = torch.zeros(len(stamps), samples), torch.zeros(len(stamps), dtype=torch.int64)
        for i, voice in enumerate(voices):
            if heard[i]:
                said = sound(voice)[:samples]
                waveform[i, : len(said)], length[i] = said, len(said)
        image = torch.stack([picture(path, size) for _, path, _ in stamps])
        return {"image": image, "audio": log_mel(waveform), "length": length}

    files = [path for _, path, _ in stamps] + [voice for voice, there in zip(voices, heard) if there]
    made = kept("tuxpaint", files, make, size=size, samples=samples, language=language, version=1)
    present = torch.tensor(heard)
    mask = frame_mask(made["length"], made["audio"].shape[-1]) & present[:, None]
    names = [str(text.relative_to(found).with_suffix("")) for text, *_ in stamps]
    groups = sorted({Path(name).parts[0] for name in names})
    whole = Batch(
        {"image": made["image"], "audio": made["audio"]},
        {"group": torch.tensor([groups.index(Path(name).parts[0]) for name in names])},
        {"audio": mask},
        {"audio": present},
        {
            "name": names,
            "caption": [captions["en"] for *_, captions in stamps],
            "spoken": [captions[language] for *_, captions in stamps],
            "captions": [captions for *_, captions in stamps],
        },
    )
    parts = by_family(whole.info["caption"], seed)
    return Splits(TUXPAINT, **{part: whole[rows] for part, rows in parts.items()}, classes={"group": groups})
