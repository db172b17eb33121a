"""The first state of a chapter's widgets: kept beside the notebook when it is built, put back where the site is made.

| name          | what it does                                                                       |
|---------------|--------------------------------------------------------------------------------------|
| `first_state` | which cells show a widget, and the state of every model these widgets are made of    |
| `keep`        | write that to a file, or take the file away where a chapter has no widget             |
| `put_back`    | the notebook with its widgets' outputs and their state                                |

A stored notebook has no widget: without a kernel JupyterLab could only say that there is none. A page of the site can show
the state that the widget had when the cell was run, and that is kept here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from mmteach.course.paths import write_whole
from mmteach.course.source import WIDGET, steady

STATE = "application/vnd.jupyter.widget-state+json"
PREFIX = "IPY_MODEL_"


def first_state(notebook: NotebookNode, models: dict[str, Any]) -> dict[str, Any]:
    """{"cells": {cell's id: model's id}, "state": {model's id: its state}} of an executed notebook.

    models: the state of every model the kernel had, by the id the kernel drew for it
    Only what a shown widget is made of stays, and the ids are numbers in order, so that the same run gives the same file.
    """
    shown = {
        cell.id: output.data[WIDGET]["model_id"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if WIDGET in output.get("data", {})
    }
    reached: list[str] = []
    ahead = list(shown.values())
    while ahead:
        model = ahead.pop(0)
        if model in models and model not in reached:
            reached.append(model)
            ahead += _references(models[model])
    number = {model: f"{i:04}" for i, model in enumerate(reached)}
    return {
        "cells": {cell: number[model] for cell, model in shown.items() if model in number},
        "state": {number[model]: _renamed(models[model], number) for model in reached},
    }


def keep(path: Path, shown: dict[str, Any]) -> None:
    """Write the first state to `path`; where no cell shows a widget, there is no file."""
    if not shown["cells"]:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(shown, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def put_back(notebook: NotebookNode, path: Path) -> list[str]:
    """Add to the cells of `notebook` the widgets that `path` keeps for them; returns the ids of these cells.

    A cell's id follows from its text: where a chapter was edited since, a widget that no longer belongs stays away.
    """
    if not path.is_file():
        return []
    kept = json.loads(path.read_text(encoding="utf-8"))
    notebook.metadata["widgets"] = {STATE: {"state": kept["state"], "version_major": 2, "version_minor": 0}}
    found = []
    for cell in notebook.cells:
        if cell.get("id") in kept["cells"]:
            view = {"model_id": kept["cells"][cell.id], "version_major": 2, "version_minor": 0}
            cell.outputs.append(
                new_output("display_data", {WIDGET: view, "text/plain": "An interactive demonstration"})
            )
            found.append(cell.id)
    return found


def _references(value: Any) -> list[str]:
    """The ids of the models that a state refers to, in order."""
    if isinstance(value, dict):
        return [found for key in sorted(value) for found in _references(value[key])]
    if isinstance(value, list):
        return [found for one in value for found in _references(one)]
    return [value.removeprefix(PREFIX)] if isinstance(value, str) and value.startswith(PREFIX) else []


def _renamed(value: Any, number: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(one, number) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, number) for one in value]
    if isinstance(value, str) and value.startswith(PREFIX):
        return PREFIX + number.get(value.removeprefix(PREFIX), "gone")
    return steady(value)
