"""Every chapter in a real JupyterLab: it runs, and each widget answers the keyboard and the mouse, in the page and the kernel.

A new chapter's widgets are found by themselves, and each control is worked. `CASES` says only what cannot be guessed: what
to type into a box, which button to press, which control changes nothing that is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lab import Notebook, Widget, jupyterlab

from mmteach import widgets as library
from mmteach.course.paths import Course
from mmteach.course.run import read

ROOT = Path(__file__).parents[2]
CHAPTERS = Course(ROOT).chapters()
MADE = re.compile(rf"\b(?:{'|'.join(name for name in library.__all__ if not name.endswith('_view'))})\(")
SLIDER = ("IntSlider", "FloatSlider", "SelectionSlider")
pytestmark = pytest.mark.full


@dataclass
class Case:
    """What a person does with a widget beyond turning every control.

    typed:   label → what is typed into that box
    press:   buttons that draw anew when they are pressed
    quiet:   controls that alone change nothing that is shown, since a button draws
    """

    typed: dict[str, str] = field(default_factory=dict)
    press: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()


# By what a cell calls; a widget that has no entry is worked without one.
CASES = {
    "token_explorer(": Case(typed={"Your text": "A GREEN zebra?"}),
    # The first step, from AND to OR, swaps 0 and 1 and nothing else: its picture is the same.
    "information_explorer(": Case(quiet=("Start from",)),
    "spectrogram_explorer(": Case(typed={"Word": "nine"}),
    "picture_finder(": Case(
        typed={"I am looking for": "a yellow animal", "My drawing": "rrr\nrrr", "It could be": "a fruit; a face"},
        press=("What is my drawing?",),
        quiet=("My drawing", "It could be"),
    ),
    "speech_writer(": Case(typed={"Say": "press two"}, press=("Say it and listen",), quiet=("Voice", "Recogniser")),
    "clip_finder(": Case(
        typed={"I am looking for": "the dog moves up"}, press=("Film it and tell",), quiet=("Film", "that")
    ),
    # A tick that shows the other methods where there are any.
    "pareto_explorer(": Case(quiet=("Show the other methods",)),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with jupyterlab(ROOT / "notebooks", tmp_path_factory.mktemp("lab")) as address:
        yield address


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs_in_jupyterlab_and_its_widgets_answer(path, server, guarded):
    page = guarded(server.partition("/lab/")[0], viewport={"width": 1280, "height": 1400})
    notebook = Notebook(page, server.format(path.name))
    assert notebook.run(seconds=240) == []
    widgets = notebook.widgets()
    source = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")
    assert len(widgets) == len(MADE.findall(source))  # none was overlooked, whatever its cell looks like
    for widget in widgets:
        try_out(widget)
    assert page.outside == [] and page.errors == []


def try_out(widget: Widget) -> None:
    case = next((case for call, case in CASES.items() if call in widget.source), Case())
    controls = widget.controls()
    assert controls, f"{widget.source}: no control has a label"
    reached_by_tab(widget, controls)
    for label, (kind, _) in controls.items():
        if kind in ("FileUpload", "HTML", "Button"):
            continue
        before, shown = widget.controls()[label], widget.shown()
        widget.work(label, kind, case.typed.get(label, "two words"))
        widget.wait_for(label, before, None if label in case.quiet else shown)
    slider = next((label for label, (kind, _) in controls.items() if kind in SLIDER), None)
    if slider:
        before, shown = widget.controls()[slider], widget.shown()
        widget.drag(slider)
        widget.wait_for(slider, before, None if slider in case.quiet else shown)
    for button in case.press:
        shown = widget.shown()
        widget.place.get_by_role("button", name=button).press("Enter")
        for _ in range(300):
            if widget.shown() != shown:
                break
            widget.notebook.page.wait_for_timeout(100)
        assert widget.shown() != shown, f"“{button}” changed nothing"
    assert "Traceback" not in widget.place.inner_text()


def reached_by_tab(widget: Widget, controls: dict[str, tuple[str, str]]) -> None:
    """Tab leads from the first control to every other one."""
    page = widget.notebook.page
    stops = widget.place.locator(".noUi-handle, select, input:not([type=file]), textarea, button")
    asked = [label for label, (kind, _) in controls.items() if kind not in ("HTML",)]
    assert stops.count() >= len([label for label in asked if controls[label][0] != "FileUpload"])
    stops.first.focus()
    seen = 0
    for _ in range(3 * len(asked) + 4):
        if page.evaluate("place => place.contains(document.activeElement)", widget.place.element_handle()):
            seen += 1
        page.keyboard.press("Tab")
    assert seen >= len([label for label in asked if controls[label][0] not in ("FileUpload",)])
