"""For all tests; and how `--nbval` judges the notebooks: by mmteach.course.compare, with a tolerance for numbers.

A notebook records which machine executed it. Cells tagged `measured` print results that depend on it: their words and
verdicts are always compared, their digits only on a machine that is the same in every part that matters. Cells tagged
`timed` print seconds, which nobody can repeat: their words and verdicts are compared.
"""

import ast
import os
import warnings
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    os.environ["MMTEACH_PROGRESS"] = "off"
    os.environ["MMTEACH_LEARNER"] = os.devnull  # what tests solve is nobody's progress
    if config.getoption("nbval", False):
        judge_notebooks()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A notebook's cells take as long as their chapter: they belong to `make test-full`."""
    for item in items:
        if type(item).__name__ == "IPyNbCell":
            item.add_marker("full")


def judge_notebooks() -> None:
    """Put the course's comparison in the place of nbval's own, which wants the same characters."""
    from nbval.plugin import IPyNbCell, IPyNbFile

    from mmteach.course.compare import differences

    os.environ.pop("MMTEACH_FSDD", None)  # the stored outputs were made without what not every reader has
    setup, message = IPyNbFile.setup, IPyNbFile.get_kernel_message

    def setup_and_ask(self: Any) -> None:
        setup(self)
        self.capturing = set()
        stored = self.nb.metadata.get("mmteach", {"machine": "not recorded"})
        here = machine(self.kernel.kc)
        other = [f"{part} {here.get(part)}, stored {was}" for part, was in stored.items() if here.get(part) != was]
        self.same_machine = not other
        if other:
            warnings.warn(f"{self.path.name}: measured digits are not compared: {'; '.join(other)}", stacklevel=1)

    def message_outside_widgets(self: Any, timeout: float | None = None, stream: str = "iopub") -> dict:
        """The next message, without those that an Output widget shows in the place of the cell."""
        while True:
            got = message(self, timeout=timeout, stream=stream)
            content = got["content"]
            state = content.get("data", {}).get("state", {}) if got["msg_type"] == "comm_msg" else {}
            if "msg_id" in state:  # an Output widget begins to capture what this message's cell shows, or ends
                (self.capturing.add if state["msg_id"] else self.capturing.discard)(content["comm_id"])
            if not self.capturing or got["msg_type"] in ("status", "error") or got["msg_type"].startswith("comm"):
                return got

    def compare(self: Any, fresh: list, stored: list) -> bool:
        tags = self.cell.metadata.get("tags", [])
        digits = "timed" not in tags and ("measured" not in tags or self.parent.same_machine)
        self.comparison_traceback = differences(stored, fresh, self.cell.source, digits)
        return not self.comparison_traceback

    IPyNbFile.setup = setup_and_ask
    IPyNbFile.get_kernel_message = message_outside_widgets
    IPyNbCell.compare_outputs = compare


def machine(client: Any) -> dict[str, Any]:
    """What the kernel says of the machine, in the words in which `mmteach build` records it in a notebook."""
    from mmteach.course.execute import MACHINE

    load = {"load": "bool(__import__('torch') and __import__('mmteach'))"}
    asked_by = client.execute("", silent=True, user_expressions=load | MACHINE)
    while True:
        reply = client.get_shell_msg(timeout=120)
        if reply["parent_header"].get("msg_id") == asked_by:
            answers = reply["content"]["user_expressions"]
            return {
                name: ast.literal_eval(a["data"]["text/plain"]) for name, a in answers.items() if a["status"] == "ok"
            }
