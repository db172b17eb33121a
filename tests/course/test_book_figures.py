"""Every figure of every stored notebook has alt text of its own, and the site's colours can be read."""

import re
from pathlib import Path

import pytest
from matplotlib.colors import to_rgb

from mmteach.course.paths import Course
from mmteach.course.run import read

ROOT = Path(__file__).parents[2]
NOTEBOOKS = [path for folder in ("notebooks", "exercises", "solutions") for path in Course(ROOT).chapters(folder)]
CSS = (ROOT / "book" / "_static" / "mmteach.css").read_text(encoding="utf-8")


def figures(notebook):
    """(kind, alt text or None) of every picture among the outputs, those inside of HTML too."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    yield kind, output.get("metadata", {}).get(kind, {}).get("alt")
            for tag in re.findall(r"<img\b[^>]*>", str(output.get("data", {}).get("text/html", ""))):
                yield tag[:40], (re.search(r'alt="([^"]*)"', tag) or [None, None])[1]
        if cell.cell_type == "markdown":
            yield from ((address, alt) for alt, address in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", cell.source))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_figure_says_in_words_what_it_shows(path):
    found = list(figures(read(path)))
    assert [(kind, alt) for kind, alt in found if not alt or len(alt) < 20] == []
    drawn = [alt for kind, alt in found if kind.startswith("image/")]
    assert len(set(drawn)) == len(drawn), "two figures with the same words"


def luminance(colour):
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_read_stands_out_from_its_background(theme):
    block = re.search(rf'html\[data-theme="{theme}"\] {{(.*?)}}', CSS, re.DOTALL)[1]
    colours = dict(re.findall(r"--pst-color-([\w-]+): (#\w{6})", block))
    read_on = [colours[name] for name in ("background", "surface")]
    written = [
        colours[name] for name in ("primary", "secondary", "link", "link-hover", "link-higher-contrast", "inline-code")
    ]
    assert min(contrast(text, paper) for text in written for paper in read_on) >= 4.5


def test_the_ink_of_figures_stands_out_from_their_paper():
    from mmteach.figures.style import GREY, INK, PAPER

    assert contrast(INK, PAPER) >= 7 and contrast(GREY, PAPER) >= 4.5


def test_contrast_is_that_of_the_standard():
    assert round(contrast("#000000", "#FFFFFF"), 6) == 21 and round(contrast("#777777", "#FFFFFF"), 2) == 4.48
