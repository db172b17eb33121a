"""Connectionist temporal classification: learn to write down a sequence without being told when each label is said.

| name                 | what it is                                        | when to use it                          |
|----------------------|---------------------------------------------------|-----------------------------------------|
| `ctc_loss`           | −log of the summed probability of all alignments  | training                                |
| `collapse`           | merge repeats, then drop blanks                   | from an alignment to what it says       |
| `frames_needed`      | the shortest input that can emit a target         | finding examples that cannot be learned |
| `ctc_greedy`         | collapse the likeliest label of each frame        | fast, many at once                      |
| `prefix_beam_search` | the likeliest labels, all alignments summed       | best quality; with a language model     |
| `forced_alignment`   | the likeliest alignment of a known label sequence | showing when each label was said        |

Blank is label 0 throughout, and so is padding of targets.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmteach import _check
from mmteach.encoders._parts import check_whole

BLANK = 0


def collapse(alignment: Sequence[int]) -> list[int]:
    """What an alignment says: a run of the same label counts once, then blanks go.

    Graves et al. 2006, Connectionist Temporal Classification.

    >>> collapse([0, 8, 8, 0, 5, 12, 0, 12, 12])
    [8, 5, 12, 12]
    """
    return [label for label, _ in itertools.groupby(alignment) if label != BLANK]


def frames_needed(targets: Tensor, target_lengths: Tensor) -> Tensor:
    """The fewest frames that can emit each target: one a label, and a blank between two equal neighbours.

    targets (B, L), target_lengths (B,) → (B,)

    >>> frames_needed(torch.tensor([[8, 5, 12, 12, 15], [7, 7, 0, 0, 0]]), torch.tensor([5, 2])).tolist()
    [6, 3]
    """
    same = targets[:, 1:] == targets[:, :-1]
    inside = torch.arange(same.shape[1], device=targets.device) + 1 < target_lengths[:, None]
    repeats = same & inside
    return target_lengths + repeats.sum(1)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | None = None,
    target_lengths: Tensor | None = None,
    *,
    reduction: str = "mean",
    impossible: str = "raise",
) -> Tensor:
    """How improbable it is that the frames say the target, whatever the alignment.

        loss = −log Σ_{π: collapse(π) = y} Π_t p(π_t | frame t)

    log_probs (B, T, V), log-softmaxed, label 0 blank; targets (B, L) labels from 1 to V − 1, padded with 0
    input_lengths, target_lengths (B,): how much is real; by default all frames, and the labels that are not 0
    reduction: "mean" (each loss is divided by its target's length, then averaged, as in PyTorch), "sum", or "none" (B,)
    impossible: what to do with a target that needs more frames than there are (see `frames_needed`). "raise" looks at the
    values, so that it cannot be compiled; "zero" counts 0 for such an example and looks at nothing.

    Raises ValueError where shapes do not fit and, unless `impossible="zero"`, for an impossible target, a label out of
    range, or a blank among the labels.
    Graves et al. 2006, Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with Recurrent Neural
    Networks.

    >>> p = torch.tensor([[[0.5, 0.5], [0.25, 0.75]]])  # two frames of blank and one label
    >>> loss = ctc_loss(p.log(), torch.tensor([[1]]))  # "1": 1-, -1 and 11, all but two blanks
    >>> round(loss.exp().reciprocal().item(), 4)  # 1 − .5 · .25
    0.875
    """
    _check.shape("log_probs", log_probs, "B", "T", "V")
    _check.floating("log_probs", log_probs)
    _check.shape("targets", targets, len(log_probs), "L")
    check_whole("targets", targets)
    _check.choice("reduction", reduction, ("mean", "sum", "none"))
    _check.choice("impossible", impossible, ("raise", "zero"))
    if input_lengths is None:
        input_lengths = torch.full_like(targets[:, 0], log_probs.shape[1])
    if target_lengths is None:
        target_lengths = (targets != BLANK).sum(1)
    _check.shape("input_lengths", input_lengths, len(log_probs))
    _check.shape("target_lengths", target_lengths, len(log_probs))
    if impossible == "raise":
        _refuse_impossible(log_probs, targets, input_lengths, target_lengths)
    return F.ctc_loss(
        log_probs.to(torch.promote_types(log_probs.dtype, torch.float32)).transpose(0, 1),  # PyTorch puts time first
        targets,
        input_lengths,
        target_lengths,
        blank=BLANK,
        reduction=reduction,
        zero_infinity=impossible == "zero",
    )


def _refuse_impossible(log_probs: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> None:
    frames, labels = log_probs.shape[1], log_probs.shape[2]
    if (input_lengths > frames).any() or (input_lengths < 0).any():
        raise ValueError(f"input_lengths must be between 0 and T = {frames}, got {input_lengths.tolist()}")
    if (target_lengths > targets.shape[1]).any() or (target_lengths < 0).any():
        raise ValueError(f"target_lengths must be between 0 and L = {targets.shape[1]}, got {target_lengths.tolist()}")
    inside = torch.arange(targets.shape[1], device=targets.device) < target_lengths[:, None]
    wrong = inside & ((targets <= BLANK) | (targets >= labels))
    if wrong.any():
        i, t = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"targets must hold labels from 1 to {labels - 1} (0 is the blank), got {int(targets[i, t])} in example {i}, "
            f"place {t}"
        )
    needed = frames_needed(targets, target_lengths)
    short = input_lengths < needed
    if short.any():
        i = int(short.nonzero()[0])
        length = int(target_lengths[i])
        raise ValueError(
            f"targets[{i}] has {length} labels and {int(needed[i]) - length} of them repeat the one before (a blank must "
            f"stand between), which needs {int(needed[i])} frames, got {int(input_lengths[i])}: give the model more frames "
            'a second, leave the example out, or pass impossible="zero"'
        )


def ctc_greedy(log_probs: Tensor, lengths: Tensor | None = None) -> list[list[int]]:
    """The likeliest label of each frame, collapsed: log_probs (B, T, V), lengths (B,) → a list of labels an example.

    It finds the likeliest *alignment*, which need not say the likeliest label sequence (see `prefix_beam_search`).
    Graves et al. 2006, Connectionist Temporal Classification.

    >>> ctc_greedy(torch.tensor([[1, 1, 0, 2, 2]]).unsqueeze(-1).eq(torch.arange(3)).float().log())
    [[1, 2]]
    """
    _check.shape("log_probs", log_probs, "B", "T", "V")
    best = log_probs.argmax(-1).tolist()
    ends = [log_probs.shape[1]] * len(best) if lengths is None else lengths.tolist()
    return [collapse(labels[:end]) for labels, end in zip(best, ends)]


def prefix_beam_search(
    log_probs: Tensor,
    width: int = 10,
    *,
    language: Callable[[tuple[int, ...]], float] | None = None,
    least: float = -math.inf,
) -> list[tuple[list[int], float]]:
    """The likeliest label sequences, each with the probability of all its alignments together.

        log p(y) = log Σ_{π: collapse(π) = y} Π_t p(π_t)   [ + Σ_n language(y_1, …, y_n) ]

    For each prefix kept, two sums are carried along: alignments that end in a blank and those that end in its last label.
    After a blank the same label again is a new one; without a blank it is the old one still being said.

    log_probs (T, V), one example, cut to its length; width: prefixes kept a frame, exact where nothing is thrown away
    language: what a language model adds when a prefix is extended, its own log-probability of the last label given those
    before, times whatever weight; least: labels below this log-probability in a frame are not tried there, to save time
    → at most `width` pairs (labels, log p), best first

    Raises ValueError where `width` is not above 0 or log_probs are not (T, V).
    Graves 2012, Supervised Sequence Labelling with Recurrent Neural Networks; Hannun et al. 2014, First-Pass Large Vocabulary
    Continuous Speech Recognition using Bi-Directional Recurrent DNNs.

    >>> p = torch.tensor([[0.6, 0.4], [0.6, 0.4]])
    >>> ctc_greedy(p.log()[None])  # the likeliest alignment is two blanks, .36 …
    [[]]
    >>> labels, log_p = prefix_beam_search(p.log())[0]  # … but "1" has three, .24 + .24 + .16
    >>> labels, round(math.exp(log_p), 2)
    ([1], 0.64)
    """
    _check.shape("log_probs", log_probs, "T", "V")
    _check.positive("width", width)
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}  # log p ending in (a blank, a label)
    for frame in log_probs.tolist():
        floor = min(least, max(frame))  # the frame's best is always tried
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])

        def add(prefix: tuple[int, ...], ending: int, log_p: float, grown: dict = grown) -> None:
            if log_p > -math.inf:  # what cannot be takes no place in the beam
                grown[prefix][ending] = _log_add(grown[prefix][ending], log_p)

        for prefix, (blank, label) in beam.items():
            either = _log_add(blank, label)
            for k, p in enumerate(frame):
                if p < floor:
                    continue
                if k == BLANK:
                    add(prefix, 0, either + p)
                    continue
                repeats = bool(prefix) and k == prefix[-1]
                if repeats:
                    add(prefix, 1, label + p)  # still saying it
                longer = (*prefix, k)
                bonus = language(longer) if language else 0.0
                add(longer, 1, (blank if repeats else either) + p + bonus)
        best = sorted(grown.items(), key=lambda item: -_log_add(*item[1]))[:width]
        beam = {prefix: (blank, label) for prefix, (blank, label) in best}
    return [(list(prefix), _log_add(*ends)) for prefix, ends in beam.items()]


def _log_add(a: float, b: float) -> float:
    """log(eᵃ + eᵇ)."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))


def forced_alignment(log_probs: Tensor, labels: Sequence[int]) -> tuple[list[int], float]:
    """The likeliest alignment that says these labels (Viterbi), for showing when each of them was said.

        π* = argmax_{π: collapse(π) = y} Σ_t log p(π_t)

    The states are the labels with a blank before, between and after them. Each frame stays, moves on by one, or skips a blank
    between two different labels.

    log_probs (T, V), one example, cut to its length; labels: the known target → the label of each frame, and its log p

    Raises ValueError where log_probs are not (T, V), a label is out of range, or the labels need more frames than there are.
    Graves et al. 2006, Connectionist Temporal Classification.

    >>> p = torch.tensor([[0.1, 0.9, 0.0], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    >>> forced_alignment(p.log(), [1, 2])[0]
    [1, 0, 2]
    """
    _check.shape("log_probs", log_probs, "T", "V")
    target = torch.tensor([list(labels)], dtype=torch.long)
    length = torch.tensor([len(labels)])
    _refuse_impossible(log_probs[None], target, torch.tensor([len(log_probs)]), length)
    states = [BLANK]
    for label in labels:
        states += [label, BLANK]
    emit = log_probs[:, states].tolist()  # (T, S)
    score = [emit[0][s] if s < 2 else -math.inf for s in range(len(states))]
    came_from: list[list[int]] = []
    for frame in emit[1:]:
        before, score = score, []
        back = []
        for s, p in enumerate(frame):
            sources: list[int] = [s, s - 1] if s else [s]
            if s > 1 and states[s] != BLANK and states[s] != states[s - 2]:
                sources.append(s - 2)
            source = max(sources, key=before.__getitem__)
            back.append(source)
            score.append(before[source] + p)
        came_from.append(back)
    # It ends in the last label or in the blank after it; from there, back the way it came.
    state: int = max(range(len(states))[-2:], key=score.__getitem__)
    path, log_p = [states[state]], score[state]
    for back in reversed(came_from):
        state = back[state]
        path.append(states[state])
    return path[::-1], log_p
