"""Chapter 06, Applications: the tables of its three systems.

| table              | module                  | what it measures                                                       |
|--------------------|-------------------------|------------------------------------------------------------------------|
| `find-by-words`    | `applications_pictures` | emoji found by descriptions and drawings                               |
| `digits-by-people` | `applications_digits`   | digit strings, from synthetic voices to people (needs MMTEACH_FSDD)    |
| `prompts-by-ear`   | `applications_letters`  | sentences of a person, with and without synthetic pretraining          |
| `moving-emoji`     | `applications_video`    | who and what in clips, and search by a sentence                        |
"""

from __future__ import annotations

from mmteach.recipes import Recipe
from mmteach.recipes.applications_digits import digits_by_people
from mmteach.recipes.applications_letters import prompts_by_ear
from mmteach.recipes.applications_pictures import find_by_words
from mmteach.recipes.applications_video import moving_emoji

RECIPES = [
    Recipe("find-by-words", "Emoji never seen found by descriptions, and by drawings in a new style", find_by_words),
    Recipe(
        "digits-by-people",
        "Digit strings by CTC: eSpeak's voices, then people, each left out in turn",
        digits_by_people,
    ),
    Recipe("prompts-by-ear", "A person's prompts by CTC, with and without pretraining on eSpeak", prompts_by_ear),
    Recipe("moving-emoji", "Moving emoji: objects, verbs and search by sentence on pairs never seen", moving_emoji),
]
