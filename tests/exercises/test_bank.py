"""Every task against its bank: right answers however written get all points, wrong ones lose the part they break and are told why."""

from collections import Counter

import pytest
from bank import banks, right_cases, wrong_cases

from mmteach import exercises
from mmteach.exercises.judge import GENERAL
from mmteach.exercises.notebook import verdict

# Sentences that describe a difference without knowing where it comes from. A wrong answer that is told only this has no
# message of its own.
DESCRIPTIONS = {"value", "word", "shape", "type", "length", "raises", "keys"}


def test_every_task_has_a_bank_of_eight_wrong_and_three_right_answers():
    found = banks()
    assert set(found) == {task.name for task in exercises.tasks()}
    few = {name: (len(right), len(wrong)) for name, (right, wrong) in found.items() if len(right) < 3 or len(wrong) < 8}
    assert few == {}


@pytest.mark.parametrize(("name", "what", "answer"), list(right_cases()), ids=lambda x: x if isinstance(x, str) else "")
def test_a_right_answer_gets_all_points_however_it_is_written(name, what, answer):
    task = exercises.find(name)
    for seed in (1, 2, 3):
        found = verdict(task, answer, seed)[0]
        assert found.ok and found.points == task.points, found.says


@pytest.mark.parametrize(
    ("name", "mistake", "answer", "misconception", "parts"),
    list(wrong_cases()),
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_wrong_answer_loses_the_part_it_breaks_and_is_told_why(name, mistake, answer, misconception, parts):
    task = exercises.find(name)
    assert parts <= set(task.parts)
    for seed in (1, 2, 3):
        found = verdict(task, answer, seed)[0]
        lost = {part for part, good in found.parts.items() if not good}
        assert not found.ok and parts <= lost, f"seed {seed}: lost {lost}, {found.says}"
        assert found.points == task.points - sum(task.parts[part] for part in lost)
        assert found.misconception == misconception, f"seed {seed}: {found.says}"


def test_the_confusion_matrix_is_diagonal_and_nine_in_ten_have_a_message_of_their_own():
    matrix, own = Counter(), Counter()
    for name, _, answer, misconception, _ in wrong_cases():
        told = verdict(exercises.find(name), answer, seed=11)[0].misconception
        matrix[told == misconception] += 1
        own[misconception not in DESCRIPTIONS] += 1
    assert matrix[False] == 0
    assert own[True] / own.total() >= 0.9, own


def test_every_misconception_of_a_task_has_an_answer_that_is_told_it():
    told = {(name, misconception) for name, _, _, misconception, _ in wrong_cases()}
    untold = [(task.name, m) for task in exercises.tasks() for m in task.misconceptions if (task.name, m) not in told]
    assert untold == []


@pytest.mark.parametrize("task", exercises.tasks(), ids=lambda task: task.name)
def test_no_message_is_general_by_name_or_gives_the_answer_away(task):
    assert not set(task.misconceptions) & set(GENERAL)
    for says in task.misconceptions.values():
        assert "`torch." not in says and says[0].islower() and not says.endswith(".")


@pytest.mark.full
@pytest.mark.parametrize("task", exercises.tasks(), ids=lambda task: task.name)
def test_no_check_changes_its_mind_over_200_seeds(task):
    right, wrong = banks()[task.name]
    for seed in range(200):
        for what, answer in list(right.items())[:2]:
            assert verdict(task, answer, seed)[0].ok, (seed, what)
        mistake, (answer, misconception, *_) = list(wrong.items())[seed % len(wrong)]
        found = verdict(task, answer, seed)[0]
        assert not found.ok and found.misconception == misconception, (seed, mistake, found)
