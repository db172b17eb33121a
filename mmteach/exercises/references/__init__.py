"""What right answers give, and what known wrong ones give: EXPECT in each module, by task's name a function of a case.

A handout leaves this package out; the numbers it makes are stored there instead (`mmteach.exercises.stored`).
Everything is written out by itself here: an answer may not call the library, and so neither does what judges it.
"""
