"""Text metrics, over sacrebleu, torchmetrics and jiwer: what was written against what people wrote.

| name                   | when to use it                                           |
|------------------------|----------------------------------------------------------|
| `bleu`                 | captions and translations, 0 to 100                      |
| `rouge_l`              | captions and summaries, 0 to 1; word order, with gaps    |
| `word_error_rate`      | transcripts of sentences; can pass 1                     |
| `character_error_rate` | transcripts of words and digits; can pass 1              |
| `vqa_accuracy`         | short answers against those of several people            |

Papers on captions also report CIDEr (Vedantam, Zitnick & Parikh 2015, CIDEr: Consensus-based Image Description
Evaluation), which weighs n-grams by how rare they are in all references. It is not here: no library that we can lean on
computes it without further programs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def _texts(name: str, texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str) or not texts or not all(isinstance(t, str) for t in texts):
        raise ValueError(f"{name} must be a list of one or more strings, got {texts!r}")
    return list(texts)


def _references(said: list[str], references: Sequence[str | Sequence[str]]) -> list[list[str]]:
    """A list of one or more references for each candidate."""
    if isinstance(references, str):
        raise ValueError(f"references must be a list with an entry for each candidate, got the string {references!r}")
    if len(references) != len(said):
        raise ValueError(f"references must have an entry for each of the {len(said)} candidates, got {len(references)}")
    return [[r] if isinstance(r, str) else _texts(f"references[{i}]", r) for i, r in enumerate(references)]


def bleu(candidates: Sequence[str], references: Sequence[str | Sequence[str]]) -> float:
    """BLEU-4 over a corpus: brevity penalty × geometric mean of the 1- to 4-gram precisions, 0 to 100.

    candidates: one sentence an example
    references: for each candidate one sentence or several; any may be matched
    Returns a number between 0 and 100. Sentences shorter than four words share no 4-gram: over a few of them the score
    says little. Counted by sacrebleu.
    Papers: Papineni, Roukos, Ward & Zhu 2002, BLEU: a Method for Automatic Evaluation of Machine Translation; Post 2018,
    A Call for Clarity in Reporting BLEU Scores.

    >>> round(bleu(["a red square above a blue circle"], [["a red square above a blue circle", "a square"]]), 6)
    100.0
    """
    from sacrebleu import corpus_bleu

    said = _texts("candidates", candidates)
    lists = _references(said, references)
    most = max(map(len, lists))
    # the n-th reference of every example; where it has fewer, None, which sacrebleu passes over
    streams = [[r[n] if n < len(r) else None for r in lists] for n in range(most)]
    return float(corpus_bleu(said, streams).score)  # type: ignore[arg-type]


def rouge_l(candidates: Sequence[str], references: Sequence[str | Sequence[str]]) -> float:
    """ROUGE-L: mean over examples of F1 = 2PR / (P + R), P = LCS / words said, R = LCS / words of the reference.

    LCS is the length of the longest common subsequence of words: the same words in the same order, with gaps allowed.

    candidates: one sentence an example
    references: for each candidate one sentence or several, of which the one with the best F1 counts
    Returns a number between 0 and 1. Small letters and digits of English alone are words: a Chinese sentence scores 0.
    Counted by torchmetrics.
    Paper: Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries.

    >>> round(rouge_l(["a red square"], ["a square that is red"]), 6)  # "a … square": P = 2/3, R = 2/5
    0.5
    """
    from torchmetrics.functional.text import rouge_score

    said = _texts("candidates", candidates)
    lists = _references(said, references)
    return float(rouge_score(said, lists, accumulate="best", rouge_keys="rougeL")["rougeL_fmeasure"])


def _transcripts(said: Sequence[str], truth: Sequence[str]) -> tuple[list[str], list[str]]:
    hypothesis, reference = _texts("predictions", said), _texts("references", truth)
    if len(hypothesis) != len(reference):
        raise ValueError(f"predictions and references must be as many, got {len(hypothesis)} and {len(reference)}")
    empty = [i for i, text in enumerate(reference) if not text.strip()]
    if empty:
        raise ValueError(f"references[{empty[0]}] is empty: an error rate is counted per word of the reference")
    return hypothesis, reference


def word_error_rate(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Word error rate: (substitutions + deletions + insertions) / words in the references, over all sentences.

    predictions, references: as many strings; a prediction may be empty, a reference may not
    Returns a number ≥ 0: 0 is perfect, and insertions can push it past 1. Counted by jiwer.

    >>> word_error_rate(["the cat sat down"], ["the cat sits"])  # one substitution, one insertion, three words
    0.6666666666666666
    """
    import jiwer

    hypothesis, reference = _transcripts(predictions, references)
    return float(jiwer.wer(reference, hypothesis))


def character_error_rate(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Character error rate: as `word_error_rate`, for characters, spaces included.

    predictions, references: as many strings; a prediction may be empty, a reference may not
    Returns a number ≥ 0: 0 is perfect, and insertions can push it past 1. Counted by jiwer.

    >>> character_error_rate(["seven"], ["sever"])
    0.2
    """
    import jiwer

    hypothesis, reference = _transcripts(predictions, references)
    return float(jiwer.cer(reference, hypothesis))


def vqa_accuracy(answers: Sequence[str], people: Sequence[Sequence[str]]) -> float:
    """VQA's soft accuracy: mean over questions of the mean over people left out of min(matches among the others / 3, 1).

    An answer that three or more people gave is right, one that a single person gave counts .3 (of ten people). Case and
    outer spaces do not count.

    answers: one string a question
    people:  for each question the answers of two or more people (ten, in the data set)
    Returns a number between 0 and 1.
    Paper: Antol, Agrawal, Lu, Mitchell, Batra, Zitnick & Parikh 2015, VQA: Visual Question Answering.

    >>> round(vqa_accuracy(["red"], [["red"] * 2 + ["blue"] * 8]), 6)  # two leave 1 match, eight 2: (2 · ⅓ + 8 · ⅔) / 10
    0.6
    """
    given = _texts("answers", answers)
    if len(people) != len(given):
        raise ValueError(f"people must have an entry for each of the {len(given)} answers, got {len(people)}")
    scores = []
    for i, (answer, truth) in enumerate(zip(given, people)):
        if len(_texts(f"people[{i}]", truth)) < 2:
            raise ValueError(f"people[{i}] must hold two answers or more, got 1: each is left out in turn")
        matches = [t.strip().lower() == answer.strip().lower() for t in truth]
        scores.append(np.mean([min((sum(matches) - left_out) / 3, 1) for left_out in matches]))
    return float(np.mean(scores))
