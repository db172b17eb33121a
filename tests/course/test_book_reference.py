"""In the reference a name in `code` leads to its entry, and what only looks like a name does not."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book"))
import reference  # noqa: E402

KNOWN = reference._addresses(ROOT / "mmteach", ["fusion", "alignment"])


def linked(text, module="mmteach.fusion"):
    return reference.link(text, module, KNOWN)


def test_a_class_and_a_full_name_lead_to_where_they_are_written():
    assert linked("as `Concat` does") == "as {py:obj}`Concat <mmteach.fusion.simple.Concat>` does"
    found = linked("such as `mmteach.alignment.clip_loss`")
    assert found.endswith("{py:obj}`mmteach.alignment.clip_loss <mmteach.alignment.contrastive.clip_loss>`")


def test_an_argument_named_like_a_module_stays_code_but_for_the_head_of_a_row():
    assert linked("`dropout` acts on both; `Nobody` knows") == "`dropout` acts on both; `Nobody` knows"
    row = linked("| `dropout` | hides, by `dropout` and `Concat` |")
    assert row.startswith("| {py:obj}`dropout <mmteach.fusion.dropout>` | hides, by `dropout` and {py:obj}`Concat ")


def test_code_blocks_are_left_as_they_are():
    block = "```pycon\n>>> print(`Concat`)\n```"
    assert linked(block) == block
