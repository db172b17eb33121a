"""The first state of widgets: kept by `mmteach build` beside the notebook, put back for the site."""

import json

import nbformat
import pytest

from mmteach.cli import main
from mmteach.course import widgets
from mmteach.course.source import WIDGET

CHAPTER = """\
# %% [markdown]
# # A chapter with a widget

# %%
import ipywidgets
unused = ipywidgets.IntSlider(description="never shown")
dial = ipywidgets.IntSlider(value=3, description="Dial")
seen = ipywidgets.Output()
with seen:
    print("first")
    print("then", dial.value)
ipywidgets.VBox([dial, seen])
"""


@pytest.fixture
def kept(course, add):
    add("00_start", CHAPTER)
    assert main(["build"]) == 0
    return course / "book" / "widgets" / "00_start.json"


def test_a_build_keeps_what_its_widgets_showed_and_nothing_else(course, kept):
    state = json.loads(kept.read_text(encoding="utf-8"))["state"]
    names = {model["model_name"] for model in state.values()}
    assert {"VBoxModel", "IntSliderModel", "OutputModel"} <= names
    assert {m["state"].get("description") for m in state.values()} >= {"Dial"}
    assert "never shown" not in kept.read_text(encoding="utf-8")
    (shown,) = (m["state"]["outputs"] for m in state.values() if m["model_name"] == "OutputModel")
    assert "".join(output["text"] for output in shown) == "first\nthen 3\n"
    assert WIDGET not in (course / "notebooks" / "00_start.ipynb").read_text(encoding="utf-8")


def test_the_same_run_keeps_the_same_bytes(kept):
    before = kept.read_bytes()
    assert main(["build", "--force"]) == 0
    assert kept.read_bytes() == before


def test_a_chapter_that_has_no_widget_any_more_has_no_file(kept, add):
    add("00_start", "# %% [markdown]\n# # None\n\n# %%\nprint(1)\n")
    assert main(["build"]) == 0
    assert not kept.exists()


def test_widgets_are_put_back_into_their_cells_alone(course, kept):
    notebook = nbformat.read(course / "notebooks" / "00_start.ipynb", as_version=4)
    (cell,) = widgets.put_back(notebook, kept)
    nbformat.validate(notebook)
    outputs = {c.id: [o.data for o in c.outputs if WIDGET in o.data] for c in notebook.cells if c.cell_type == "code"}
    assert [len(found) for found in outputs.values()].count(1) == 1
    model = outputs[cell][0][WIDGET]["model_id"]
    state = notebook.metadata.widgets[widgets.STATE]["state"]
    assert state[model]["model_name"] == "VBoxModel"
    children = state[model]["state"]["children"]
    assert all(child.removeprefix("IPY_MODEL_") in state for child in children) and len(children) == 2


def test_a_cell_that_was_edited_since_gets_no_old_widget(course, kept):
    notebook = nbformat.read(course / "notebooks" / "00_start.ipynb", as_version=4)
    notebook.cells[-1].id = "another"
    assert widgets.put_back(notebook, kept) == []
    assert widgets.put_back(notebook, course / "none.json") == []
