"""What a bank of answers is: for every task some right ones, written differently, and wrong ones with what each must be told.

A chapter's bank is tests/exercises/bank_NAME.py with a dict BANK: by task's name (right, wrong), where

right: by what is different about it, an answer that must get all points
wrong: by the mistake, (answer, the misconception it must be told) or (answer, misconception, parts that it must lose);
       without parts it must lose the first part of the task
"""

import importlib

from mmteach import exercises


def banks():
    """By task's name, (right, wrong) of all chapters."""
    found = {}
    for chapter in exercises.CHAPTERS:
        found |= importlib.import_module(f"bank_{chapter}").BANK
    return found


def wrong_cases():
    """(task's name, mistake, answer, misconception, parts it must lose) of all wrong answers."""
    for name, (_, wrong) in banks().items():
        first = next(iter(exercises.find(name).parts))
        for mistake, (answer, misconception, *parts) in wrong.items():
            yield name, mistake, answer, misconception, set(parts or [first])


def right_cases():
    """(task's name, what is different about it, answer) of all right answers."""
    for name, (right, _) in banks().items():
        for what, answer in right.items():
            yield name, what, answer
