"""The exercise notebooks run to their end, and raise in just the cells that wait for an answer."""

import os
from pathlib import Path

import pytest

from mmteach.course.execute import execute
from mmteach.course.run import read

ROOT = Path(__file__).parents[2]


@pytest.mark.full
@pytest.mark.parametrize("path", sorted((ROOT / "exercises").glob("*.ipynb")), ids=lambda path: path.stem)
def test_unfinished_cells_raise_where_expected_and_nowhere_else(path):
    notebook = read(path)
    result = execute(notebook, path.parent, {"MMTEACH_LEARNER": os.devnull})
    assert result.failure is None, result.failure
    for cell in notebook.cells:
        if cell.cell_type == "code":
            errors = [output.ename for output in cell.outputs if output.output_type == "error"]
            assert errors == ["NotImplementedError"] * ("raises-exception" in cell.metadata.get("tags", [])), (
                cell.source
            )
            if cell.source.startswith("check("):
                assert "not answered yet" in cell.outputs[0].text and cell.outputs[-1].data["text/plain"] == "0"
