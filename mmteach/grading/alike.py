"""Submissions that look the same: pairs whose answers share what the rest of the class has not.

| name    | what it does                                                                    |
|---------|-----------------------------------------------------------------------------------|
| `pairs` | answers by student → (one, other, share) from the likest on                       |

An answer's Python tokens, with names and comments taken out, are cut into overlapping pieces. Pieces that many have (the stub,
the obvious way) say nothing and are left out. What two share of the rest is given as a part of the smaller of both.
It is a reason to look, never a proof: a short task has few ways to be solved.
"""

from __future__ import annotations

import io
import itertools
import keyword
import tokenize
from collections import Counter, defaultdict

PIECE = 12  # tokens
COMMON = 0.1  # of the class (and at least three) have a piece: it says nothing
FEWEST = 15  # rare pieces that an answer must have to be compared
SHARE = 0.6


def pairs(answers: dict[str, list[str]], most: int = 30) -> list[tuple[str, str, float]]:
    """Pairs of students whose answers share at least SHARE of their rare pieces."""
    pieces = {student: set().union(*map(_pieces, texts)) if texts else set() for student, texts in answers.items()}
    holders: dict[int, list[str]] = defaultdict(list)
    for student in sorted(pieces):
        for piece in pieces[student]:
            holders[piece].append(student)
    limit = max(2, int(COMMON * len(pieces)))
    rare = Counter(student for who in holders.values() if len(who) <= limit for student in who)
    shared: Counter[tuple[str, str]] = Counter()
    for who in holders.values():
        if 2 <= len(who) <= limit:
            shared.update(itertools.combinations(who, 2))
    found = []
    for (one, other), count in shared.items():
        smaller = min(rare[one], rare[other])
        if smaller >= FEWEST and count / smaller >= SHARE:
            found.append((one, other, round(count / smaller, 2)))
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))[:most]


def _pieces(text: str) -> set[int]:
    words = _tokens(text)
    # hash() of a str differs from run to run, and so would which pieces collide; zlib's does not.
    import zlib

    return {zlib.crc32(" ".join(words[i : i + PIECE]).encode()) for i in range(max(0, len(words) - PIECE + 1))}


def _tokens(text: str) -> list[str]:
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
    words = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                words.append("N")
            elif token.type not in skipped:
                words.append(token.string[:50])
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass  # what came before the error still counts
    return words
