"""`check` in the notebook: whatever an answer does, one clear sentence, and the notebook is as it was."""

import contextlib
import json
import os
import random
import time
from pathlib import Path

import bank_concepts
import bank_fusion
import numpy as np
import pytest
import torch
from bank_background import late
from bank_fusion import Gated, GatedBorrowed
from torch.nn import functional as F

from mmteach.exercises import Case, Expectation, check, find, guard, notebook, tasks
from mmteach.exercises.judge import judge
from mmteach.exercises.observe import observe
from mmteach.exercises.wire import plain

LATE = find("background.late")


def say(capsys, answer, name="background.late"):
    """The points, and the sentence that was printed, its lines joined again."""
    points = check(name, answer)
    return points, " ".join(capsys.readouterr().out.split())


def test_a_right_answer_gets_its_points_and_a_wrong_one_a_sentence(capsys):
    assert say(capsys, late) == (4, "✓ background.late: 4 of 4 points")
    points, said = say(capsys, lambda a, b, p: a + b - p.log())
    assert points == 0 and said.startswith("✗ background.late, 0 of 4 points: the order of the classes is right")


def test_a_long_sentence_is_printed_in_lines_that_end_between_words(capsys):
    check("background.late", lambda a, b, p: a + b - p.log())
    lines = capsys.readouterr().out.splitlines()
    whole = notebook.sentence(LATE, notebook.verdict(LATE, lambda a, b, p: a + b - p.log())[0])
    assert len(lines) > 1 and max(map(len, lines)) <= notebook.WIDTH
    assert " ".join(lines) == whole


@pytest.mark.parametrize("answer", [None, ..., lambda *_: (_ for _ in ()).throw(NotImplementedError())])
def test_what_is_not_answered_is_said_to_be_so_and_is_no_attempt(capsys, learner, answer):
    assert say(capsys, answer) == (0, "· background.late: not answered yet (4 points)")
    assert not learner.exists()


@pytest.mark.parametrize(
    "task", [task for task in tasks() if task.kind in ("predict", "read", "design")], ids=lambda t: t.name
)
def test_a_table_of_nothing_is_an_answer_not_yet_given(task, capsys):
    if task.name in ("fusion.choose", "applications.fails", "outlook.curve"):  # functions
        return
    entries = [case.inputs["entry"] for case in task.cases(0) if "entry" in case.inputs] or ["window", "hop", "bands"]
    assert "not answered yet" in say(capsys, dict.fromkeys(entries), task.name)[1]


def raising(a, b, p):
    raise KeyError("image")


def leaving(a, b, p):
    raise SystemExit(3)


def endless(a, b, p):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.01)


def chatty(a, b, p):
    print("x" * 5_000_000)
    return late(a, b, p)


class Strange:
    """Says of itself that it is equal to everything."""

    shape, dtype = (6, 4), torch.float32

    def __eq__(self, other):
        return True

    __hash__ = None


ODD = {
    "raises": (raising, "it stopped with KeyError: 'image', in the line `raise KeyError(\"image\")`"),
    "exits": (leaving, "it ends the program: an answer returns, and leaves the notebook running"),
    "number": (3, "the check needs something that can be called (a function or a class), and got a whole number"),
    "list": (lambda a, b, p: late(a, b, p).tolist(), "the result is a list, and a tensor is needed"),
    "array": (lambda a, b, p: late(a, b, p).numpy(), "the result is a NumPy array, and a tensor is needed"),
    "object": (lambda a, b, p: Strange(), "the result is an object of type Strange, and a tensor is needed"),
    "nothing": (lambda a, b, p: None, "the result is None, and a tensor is needed"),
    "arguments": (lambda a, b: a, "it stopped with TypeError: "),
    "chance": (lambda a, b, p: late(a, b, p) + torch.rand(()), "called twice with the same arguments it gives two different answers"),
    "NaN": (lambda a, b, p: late(a, b, p) * torch.nan, "the result holds NaN where it must be finite"),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_an_answer_that_is_none_is_told_so(capsys, what):
    answer, expected = ODD[what]
    points, said = say(capsys, answer)
    assert points == 0 and said.startswith(f"✗ background.late, 0 of 4 points: {expected}"), said


def test_of_the_parameters_only_those_that_differ_are_named(capsys):
    class Nested(torch.nn.Module):
        def __init__(self, inputs, hidden, tasks):
            super().__init__()
            self.trunk = torch.nn.Sequential(torch.nn.Linear(inputs, hidden))
            self.heads = torch.nn.ModuleDict({name: torch.nn.Linear(hidden, n) for name, n in tasks.items()})

        def forward(self, x):
            return {name: head(self.trunk(x).relu()) for name, head in self.heads.items()}

    said = say(capsys, Nested, "multi_task.share")[1]
    assert "too many: trunk.0.bias" in said and "missing: trunk.bias" in said and "heads" not in said


def test_an_endless_loop_ends_even_where_it_catches_everything():
    cases = LATE.cases(0)
    started = time.monotonic()
    seen = observe(LATE, endless, cases[0], seconds=0.3)
    assert time.monotonic() - started < 3
    assert seen["error"]["type"] == "TimeUp" and judge(LATE, cases, [seen]).misconception == "slow"


def test_megabytes_of_output_do_not_reach_the_notebook(capsys):
    assert say(capsys, chatty) == (4, "✓ background.late: 4 of 4 points")


SETTINGS = {
    "torch.manual_seed": lambda: torch.manual_seed(0),
    "torch.set_default_dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch.set_grad_enabled": lambda: torch.set_grad_enabled(False),
    "os.chdir": lambda: os.chdir("/"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_and_random_states_are_put_back_and_named(capsys, name):
    def answer(a, b, p):
        SETTINGS[name]()
        return late(a, b, p)

    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_default_dtype(), torch.is_grad_enabled(), os.getcwd(), torch.get_rng_state()
    _, said = say(capsys, answer)
    assert f"it calls {name}, which changes the whole notebook" in said
    after = torch.get_default_dtype(), torch.is_grad_enabled(), os.getcwd(), torch.get_rng_state()
    assert before[:3] == after[:3] and before[3].equal(after[3])


def test_a_check_draws_nothing_from_the_notebooks_own_generators():
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    check("background.late", lambda a, b, p: late(a, b, p) + 0 * torch.rand(()) + 0 * random.random())
    assert torch.get_rng_state().equal(states[0]) and random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()  # noqa: NPY002


def test_exchanging_functions_of_torch_wins_nothing_and_is_named(capsys, monkeypatch):
    for where, name in ((torch, "allclose"), (F, "softmax"), (torch.Tensor, "equal")):
        monkeypatch.setattr(where, name, lambda *_, **__: True)
    points, said = say(capsys, lambda a, b, p: a)
    assert points == 0 and "torch.allclose, torch.Tensor.equal, torch.nn.functional.softmax are no longer" in said
    monkeypatch.undo()
    assert guard.replaced() == [] and say(capsys, late)[0] == 4


def test_what_was_asked_for_may_not_be_borrowed_and_works_again_afterwards(capsys):
    from mmteach.fusion import GatedFusion

    assert "it calls mmteach.fusion.gated, the library's own" in say(capsys, GatedBorrowed, "fusion.gated")[1]
    assert GatedFusion({"text": 2, "image": 3}, 4)({"text": torch.ones(1, 2), "image": torch.ones(1, 3)}).shape == (
        1,
        4,
    )


def test_editing_the_arguments_is_named_and_changes_no_verdict_on_others(capsys):
    def answer(a, b, p):
        right = late(a, b, p)
        for x in (a, b, p):
            x.zero_()
        return right

    assert "it changes its argument `log_p1`, `log_p2`, `prior`" in say(capsys, answer)[1]


def test_an_answer_that_knows_one_example_by_heart_does_not_pass(capsys):
    example = LATE.cases(0)[0].inputs
    known = late(*example.values())
    assert say(capsys, lambda a, b, p: known)[0] == 0


def test_points_are_earned_part_by_part(capsys):
    class Detached(Gated):
        def fuse(self, gate, image):
            return self.out(gate.sigmoid().detach() * image)

    points, said = say(capsys, Detached, "fusion.gated")
    assert points == 3 and "the gradient of gate.bias does not arrive" in said


def test_a_name_that_is_no_task_says_which_there_are():
    for name, message in (("fusion.x", "fusion.gated"), ("x", "names begin with background"), (late, "in quotes")):
        with pytest.raises(ValueError, match=message):
            check(name, late)


def test_a_grader_may_ask_the_questions_itself(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(notebook, "INSTEAD", lambda name, answer: asked.append((name, answer)) or 0)
    assert check("background.late", late) == 0 and asked == [("background.late", late)]
    assert capsys.readouterr().out == ""


# Progress


def test_progress_keeps_the_best_and_survives_a_damaged_file(learner, capsys):
    from mmteach.exercises import progress

    check("background.late", late)
    check("background.late", lambda a, b, p: a)
    kept = json.loads(learner.read_text(encoding="utf-8"))["tasks"]["background.late"]
    assert (kept["points"], kept["attempts"]) == (4, 2)
    assert "✓ background.late         4/4  2 ×" in progress.table(tasks("background"))
    for damaged in ("{", "[]", '{"tasks": {"background.late": 3}}', '{"tasks": {"background.late": {"points": "4"}}}'):
        learner.write_text(damaged)
        assert "· background.late" in progress.table(tasks("background"))
        check("background.late", late)
        assert "✓ background.late         4/4  1 ×" in progress.table(tasks("background"))
    assert [path.name for path in learner.parent.iterdir()] == ["progress.json"]


def test_progress_that_cannot_be_written_disturbs_nobody(monkeypatch, capsys):
    monkeypatch.setenv("MMTEACH_LEARNER", os.devnull + "/x")
    assert say(capsys, late)[0] == 4


def test_a_device_in_the_place_of_the_file_is_left_alone(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MMTEACH_LEARNER", os.devnull)
    assert say(capsys, late)[0] == 4
    assert not Path(os.devnull).is_file()
    monkeypatch.setenv("MMTEACH_LEARNER", str(tmp_path))
    assert say(capsys, late)[0] == 4 and list(tmp_path.iterdir()) == []


# Pictures


@pytest.mark.parametrize(
    ("name", "answer", "drawn"),
    [("fusion.drop", lambda d, p: d >= p, True), ("fusion.drop", lambda d, p: None, False), ("concepts.pad", bank_concepts.pad_left, True),
     ("fusion.tensor", lambda i, t: i, True), ("fusion.tensor", lambda i, t: i / 0, False), ("fusion.tensor", bank_fusion.outer, False)],
)  # fmt: skip
def test_yours_is_drawn_against_the_target_where_it_can_be(name, answer, drawn, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    check(name, answer)
    assert len(shown) == drawn
    if drawn:
        assert "side by side" in shown[0].alt


# The judge


def judged(right, found, **settings):
    task = find("background.sure")
    case = Case("values", {}, settings.pop("what", ""))
    return judge(task, [case], [{"outputs": {"value": plain(found)}}], [Expectation({"value": right}, settings)])


X = torch.tensor([[1.0, 2.0], [3.0, 5.0]])


@pytest.mark.parametrize(
    ("found", "misconception"),
    [(X, ""), (X.double() + 1e-6, ""), (-X, "negated"), (2 * X, "scaled"), (X + 1, "shifted"), (X.T, "transposed"),
     (X.flip(0), "reordered"), (X[:1], "shape"), (X / 0, "not finite"), (X * torch.tensor([1, 1.1]), "value"), (X.tolist(), "type")],
)  # fmt: skip
def test_a_difference_is_described_by_what_it_is(found, misconception):
    assert judged(X, found).misconception == misconception


@pytest.mark.parametrize(
    ("right", "found", "ok"),
    [(3, 3.0, True), (3, torch.tensor(3), True), (3, True, False), (3, "3", False), (0.5, None, False), (True, True, True),
     (True, 1, False), ("a b", " A  b ", True), ("a", "b", False), ([1, 2], (1, 2), True), ([1, 2], [1, 2, 3], False),
     ({"a": 1}, {"a": 1}, True), ({"a": 1}, {"b": 1}, False), (torch.inf, torch.inf, True), (1.0, torch.nan, False), (None, None, True)],
)  # fmt: skip
def test_values_of_every_kind_are_compared(right, found, ok):
    assert judged(right, found).ok == ok


def test_the_misconception_that_explains_most_cases_is_named():
    task = find("background.sure")
    cases = [Case("values", {}), Case("values", {})]
    expected = [Expectation({"value": 1.0}, {"sum": {"value": 2.0}, "logits": {"value": 2.0}}),
                Expectation({"value": 1.0}, {"sum": {"value": 5.0}, "logits": {"value": 3.0}})]  # fmt: skip
    found = judge(task, cases, [{"outputs": {"value": 2.0}}, {"outputs": {"value": 3.0}}], expected)
    assert found.misconception == "logits"


def test_cases_nobody_observed_count_as_failed():
    cases = LATE.cases(1)
    seen = [observe(LATE, late, cases[0])]
    found = judge(LATE, cases, seen)
    assert not found.ok and found.points == 0 and found.misconception == "raises"
    assert judge(LATE, cases, []).points == 0


@pytest.mark.parametrize("seen", [{}, {"outputs": 3}, {"outputs": {"value": {"a": [1]}}}, {"outputs": {"rows": None}}])
def test_whatever_a_child_sends_gets_a_verdict(seen):
    for task in tasks():
        cases = task.cases(0)
        assert not judge(task, cases, [seen] * len(cases)).ok, task.name


def test_cases_and_observations_are_plain_data():
    from mmteach.exercises.wire import decode, encode

    for task in tasks():
        cases = task.cases(4)
        assert len({case.part for case in cases}) == len(task.parts) and {case.part for case in cases} == set(
            task.parts
        )
        back = [Case.from_plain(decode(encode(case.as_plain()))) for case in cases]
        assert encode([case.as_plain() for case in back]) == encode([case.as_plain() for case in cases])
        assert encode([c.as_plain() for c in task.cases(4)]) == encode(
            [c.as_plain() for c in cases]
        )  # a seed is a seed


def test_what_runs_beside_a_learner_imports_no_reference():
    import subprocess
    import sys

    code = "import sys; from mmteach.exercises import tasks, child; tasks(); [t.cases(0) for t in tasks()]; "
    code += "print([m for m in sys.modules if 'exercises.references' in m])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
