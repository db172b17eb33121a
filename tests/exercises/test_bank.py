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


def confusion(chapter):
    """By task, a Counter of (misconception expected, misconception told), and a row (credit lost, own message) an answer."""
    matrices, rows = {}, []
    for name, mistake, answer, misconception, parts in wrong_cases():
        if name.partition(".")[0] == chapter:
            found = verdict(exercises.find(name), answer, seed=11)[0]
            matrices.setdefault(name, Counter())[misconception, found.misconception] += 1
            lost = not any(found.parts[part] for part in parts)
            own = found.misconception == misconception and misconception not in DESCRIPTIONS
            rows.append((f"{name}, {mistake}", lost, own))
    return matrices, rows


def drawn(name, matrix):
    """A task's confusion matrix as text: a row for what is expected, a column for what is told, empty where it never comes."""
    names = list(dict.fromkeys([told for pair in matrix for told in pair]))
    lines = [f"{name}: expected (down), told (across, in the same order)"]
    for row, expected in enumerate(names, start=1):
        counts = " ".join(f"{matrix[expected, told] or '·':>2}" for told in names)
        lines.append(f"  {row:>2} {expected:<22} {counts}")
    return "\n".join(lines)


@pytest.mark.parametrize("chapter", exercises.CHAPTERS)
def test_the_confusion_matrix_is_diagonal_and_nine_in_ten_have_a_message_of_their_own(chapter):
    """`pytest -s -k confusion` shows the matrices."""
    matrices, rows = confusion(chapter)
    print("", *(drawn(name, matrix) for name, matrix in matrices.items()), sep="\n")
    share = sum(own for _, _, own in rows) / len(rows)
    print(
        f"{chapter}: {len(rows)} wrong answers, {sum(lost for _, lost, _ in rows)} lose the part they break, ", end=""
    )
    print(f"{share:.1%} get a message of their own")
    assert [what for what, lost, _ in rows if not lost] == []
    assert share >= 0.9, [what for what, _, own in rows if not own]
    off = {(name, *pair): n for name, matrix in matrices.items() for pair, n in matrix.items() if pair[0] != pair[1]}
    assert off == {}


@pytest.mark.parametrize("task", exercises.tasks(), ids=lambda task: task.name)
def test_no_two_misconceptions_of_a_task_are_told_the_same(task):
    assert len(set(task.misconceptions.values())) == len(task.misconceptions)


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
