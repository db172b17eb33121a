"""The tasks of chapter 02, Concepts. Their references are in mmteach.exercises.references.concepts."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mmteach.exercises import observe, pictures
from mmteach.exercises.draws import Draw
from mmteach.exercises.task import Case, Observed, Task

# ---- concepts.standardise ---------------------------------------------------------------------------------------------


def _standardise_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, train: int, test: int, what: str = "") -> Case:
        centre = draw.uniform(1, 3, 1, 1, low=60, high=180)

        def pictures(n: int, shift: float) -> Tensor:
            return (centre + shift + draw.normal(n, 3, 4, 4, scale=40.0)).clamp(0, 255).round().to(torch.uint8)

        return Case(part, {"train": pictures(train, 0.0), "test": pictures(test, 25.0)}, what)

    return [case("values", 24, 4), case("values", 24, 1, "one test picture")]


def _standardise_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, rows=("test",))


STANDARDISE = Task(
    name="concepts.standardise",
    title="Pictures near 0, with spread near 1",
    answer="standardise",
    kind="implement",
    minutes=10,
    difficulty=1,
    parts={"values": 3},
    prompt=r"""
Write `standardise(train, test)`: two tensors of bytes, $(N, 3, H, W)$ and $(M, 3, H, W)$, whole numbers from 0 to 255. It gives the **test** pictures, as
floating-point numbers $(M, 3, H, W)$, prepared as the chapter does it:

$$ x \leftarrow \frac{x/255 - \mu_c}{\sigma_c}, \qquad \mu_c, \sigma_c \text{ of colour } c \text{ over all \emph{training} pictures and places.} $$

Whether the spread $\sigma_c$ is divided by the number of values or by one less does not matter here. Why must $\mu$ and $\sigma$ come from the training pictures, even for a picture of the test?""",
    hints=(
        "Bytes cannot be negative and cannot hold halves: make numbers of them first.",
        "Which three of the four axes does the mean run over?",
        "Three means have shape (3): give them the shape (3, 1, 1), so that they meet the axis of the colours.",
    ),
    links=("2 · Images: scale, turn, change",),
    cases=_standardise_cases,
    run=_standardise_run,
    misconceptions={
        "test statistics": "mean and spread come from the test pictures, so a dark test and a bright one look alike, and with a single picture even its own brightness is lost",
        "both statistics": "mean and spread come from training and test together: then the test has taken part in training",
        "one for all": "all colours share one mean and one spread",
        "each place": "every place of the picture has a mean of its own; one a colour is asked for",
        "each picture": "every picture is measured by itself, so that a dark one and a bright one come out alike",
        "variance": "the variance is divided by, and the spread is its square root",
        "no spread": "the spread is not divided by",
        "no mean": "the mean is not taken off",
        "mixed scales": "means of one scale meet pictures of another: 0 to 255, or 0 to 1?",
        "training pictures": "these are the training pictures, and the test pictures are asked for",
        "bytes": "the arithmetic was done in bytes, where 3 − 5 is 254",
    },
    rtol=0.01,
    atol=2e-3,
)

# ---- concepts.pad -----------------------------------------------------------------------------------------------------


def _pad_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def texts(lengths: list[int]) -> list[list[int]]:
        return [draw.integers(2, 99, n).tolist() for n in lengths]

    short, long = draw.whole(1, 3), draw.whole(7, 9)
    return [
        Case("values", {"texts": texts([short, 4, 2]), "length": 5}, "texts shorter than the length"),
        Case("long", {"texts": texts([long, 2, 5]), "length": 5}, "a text longer than the length"),
        Case("empty", {"texts": texts([0, 3]), "length": 4}, "an empty text"),
        Case("empty", {"texts": texts([3]), "length": 4}, "a batch of one"),
    ]


def _pad_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs)
    found = seen["outputs"]["value"]
    if isinstance(found, (tuple, list)) and len(found) == 2:
        mask = found[1]
        seen["outputs"] = {"ids": found[0], "mask": mask}
        if isinstance(mask, Tensor):
            seen["outputs"]["dtype"] = str(mask.dtype).removeprefix("torch.")
    return seen


def _pad_notice(case: Case, seen: Observed) -> str | None:
    outputs = seen.get("outputs", {})
    if seen.get("error") or seen.get("not callable"):
        return None
    if "ids" not in outputs:
        return "no pair"
    if isinstance(outputs["mask"], Tensor) and outputs["dtype"] != "bool":
        return "mask no bool"
    if isinstance(outputs["ids"], Tensor) and outputs["ids"].dtype != torch.int64:
        return "ids no int"
    return None


PAD = Task(
    name="concepts.pad",
    title="Texts of one length, and what is real in them",
    answer="pad",
    kind="implement",
    minutes=10,
    difficulty=1,
    parts={"values": 2, "long": 1, "empty": 1},
    prompt=r"""
Write `pad(texts, length)`. `texts` is a list of $B$ lists of word numbers (2 and above), `length` a whole number $T$. It gives a pair:

- `ids`, a tensor of whole numbers (int64) $(B, T)$: each text from the left, then zeros; of a text with more than $T$ words, the first $T$;
- `mask`, a bool tensor $(B, T)$: True where there is a word.

A text may be empty.""",
    hints=(
        "Begin with `torch.zeros` and `torch.long`, and write each text into its row.",
        "In Python, `text[:length]` of a short text is the text itself.",
        "Number 0 never stands for a word, which is all the mask needs to know.",
    ),
    links=("3 · Text: from characters to padded numbers",),
    cases=_pad_cases,
    run=_pad_run,
    picture=pictures.tables("ids", "step"),
    notice=_pad_notice,
    misconceptions={
        "no pair": "a pair is needed: the numbers and the mask",
        "mask no bool": "the mask holds numbers; True and False are asked for (a mask of floats multiplies where it should choose)",
        "ids no int": "word numbers are looked up in a table: they must be whole numbers, int64",
        "left": "the padding stands before the words, and it belongs behind them",
        "mask inverted": "the mask is True where there is nothing: True means real",
        "all real": "the mask says that padding is real",
        "the end": "of a long text the last words are kept, and the first ones are asked for",
        "ones": "padding is number 0; number 1 is a word that the vocabulary does not hold",
        "longest": "the texts are padded to the longest of them, and the length asked for is another",
        "one off": "the mask is off by one place: how many words has the text, and which place has the last one?",
    },
)

# ---- concepts.mean ----------------------------------------------------------------------------------------------------


def _mean_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, what: str = "", padding: float | None = None, empty: bool = False) -> Case:
        h, steps = draw.normal(batch, 5, 3), draw.integers(1, 4, batch)
        mask = torch.arange(5) < steps[:, None]
        mask = mask[:, draw.permutation(5)]
        if empty:
            mask[0] = False
        if padding is not None:
            h = h.masked_fill(~mask[..., None], padding)
        return Case(part, {"h": h, "mask": mask}, what)

    return [
        case("values", 4),
        case("values", 1, "a batch of one"),
        case("rubbish", 4, "NaN at padded steps", padding=math.nan),
        case("empty", 4, "an example without one real step", empty=True),
    ]


def _mean_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, rows=("h", "mask"))


MEAN = Task(
    name="concepts.mean",
    title="The mean over what is real",
    answer="masked_mean",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 2, "rubbish": 1, "empty": 1},
    prompt=r"""
A transformer gives a vector $h_t$ for every step, padded ones too. Write `masked_mean(h, mask)`, with $h$ of shape $(B, T, D)$ and a bool mask $(B, T)$, True where a
step is real:

$$ z = \frac{\sum_{t:\,\text{real}} h_t}{\text{number of real steps}} \qquad (B, D). $$

What stands at padded steps must not matter, not even NaN. Where no step is real, $z = 0$.""",
    hints=(
        "0 · NaN is NaN, so multiplying by the mask is not enough: `masked_fill` or `torch.where` replaces a value.",
        "The mask has one axis fewer than $h$: `mask[..., None]` has shape $(B, T, 1)$.",
        "Divide by the number of real steps, but never by 0: `clamp(min=1)`.",
    ),
    links=("3 · Text: from characters to padded numbers", "6 · Encoders: what each keeps"),
    cases=_mean_cases,
    run=_mean_run,
    misconceptions={
        "plain mean": "padded steps count like real ones",
        "all steps": "the sum is right, and the number of steps it is divided by counts the padding",
        "sum": "this is the sum over the real steps",
        "padding": "this is the mean over the padding: True means real",
        "multiplied": "what stands at padded steps still gets through: a mask that multiplies cannot stop NaN",
        "divided by zero": "an example without a real step is divided by zero",
        "whole batch": "all examples are divided by one number of steps; each has its own",
        "other axis": "the mean runs over the numbers of a vector, and it should run over the steps",
        "maximum": "this is the largest value over the real steps, not their mean",
        "last step": "this is one step, not the mean of the real ones",
        "one too many": "the number of steps is off by one",
    },
    blocks=("mmteach.encoders._parts",),
)

# ---- concepts.last ----------------------------------------------------------------------------------------------------


def _last_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, left: bool = False, what: str = "") -> Case:
        h, steps = draw.normal(batch, 6, 3), draw.integers(2, 4, batch)
        steps[:4] = torch.tensor([3, 2, 4, 1])[:batch]
        mask = torch.arange(6) < steps[:, None]
        return Case(part, {"h": h, "mask": mask.flip(1) if left else mask}, what)

    return [
        case("values", 4),
        case("values", 1, what="a batch of one"),
        case("left", 4, True, "padding on the left"),
    ]


def _last_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, rows=("h", "mask"))


LAST = Task(
    name="concepts.last",
    title="A reader that trains to chance",
    answer="last",
    kind="debug",
    minutes=20,
    difficulty=2,
    parts={"values": 3, "left": 1},
    prompt=r"""
This reader is to say who chases whom. Its GRU is sound, its loss and its data are sound, and it answers like a coin: the cell below shows it. Sentences are padded
to 80 steps. Find out what is wrong with `last_of_the_reader`, and write a better `last`.

`last(h, mask)` gets the GRU's states $(B, T, D)$ and the mask $(B, T)$, True where a step is real, and gives the state after the **last real step**, $(B, D)$. Some
tokenisers pad on the left: make it right for both sides. Every sentence has at least one real step, and its real steps are side by side.""",
    hints=(
        "Print the mask of one sentence, `sentences()[1][0]`. Which of its steps does `last_of_the_reader` pick?",
        "A GRU goes on reading: behind the last word come some seventy zeros, and each changes its state a little. What is left of the words at the end?",
        "The number of real steps gives the place only if they begin at 0. Multiplying the mask by `torch.arange(T)` and taking the largest works on both sides.",
    ),
    links=("Order: bag, recurrence, attention",),
    cases=_last_cases,
    run=_last_run,
    misconceptions={
        "padding": "this is the state after the padding, in which little is left of the words",
        "one too far": "this is one step too far: places are counted from 0",
        "one too early": "this is the step before the last real one",
        "first": "this is the first real step; ask which of all the True ones you are given",
        "count": "the number of real steps tells the place only where they begin at the left",
        "mean": "this is the mean of the real steps; the state after the last one is asked for",
        "maximum": "this is the largest value over the real steps, number by number",
        "sum": "this is the sum over the real steps",
        "same place": "all sentences are read at the same place; each ends at its own",
        "inverted": "this is a padded step: True means real",
    },
)

# ---- concepts.alias ---------------------------------------------------------------------------------------------------

TONES = ("3000", "4600", "7000", "9000", "13500")


def _alias_cases(seed: int) -> list[Case]:
    return [Case("below" if tone == "3000" else "above", {"entry": tone}, f"the entry {tone!r}") for tone in TONES]


def _entry_run(answer: Any, case: Case) -> Observed:
    return observe.entry(answer, case.inputs["entry"])


ALIAS = Task(
    name="concepts.alias",
    title="Which tone is heard?",
    answer="heard",
    kind="predict",
    minutes=10,
    difficulty=2,
    parts={"below": 1, "above": 3},
    prompt=r"""
Five tones, of 3,000, 4,600, 7,000, 9,000 and 13,500 Hz, are sampled $r = 8{,}000$ times a second without a filter. **First predict** on paper at which frequency,
between 0 and 4,000 Hz, each is heard. **Then measure**, as the chapter does with `torch.fft.rfft`. Answer with a dict: `{"3000": …, "4600": …, …}`, in Hz. The
four tones above 4,000 Hz earn their 3 points together or not at all.""",
    hints=(
        "At the samples, a tone of frequency $f$ and one of $f + r$ agree: why?",
        "And so do $f$ and $r - f$. Between the two rules every tone finds its place below $r/2$.",
        "Measure: one second of `torch.cos(2 * math.pi * f * n / 8000)`; its largest bin is its frequency in Hz.",
    ),
    links=("4 · Sound: from a waveform to a picture",),
    cases=_alias_cases,
    run=_entry_run,
    misconceptions={
        "unchanged": "a tone above half the rate cannot be heard as what it is: the samples are the same as those of a lower one",
        "not folded": "this still lies above half the rate",
        "negative": "a negative frequency is heard like the positive one: which tone between 0 and 4,000 Hz has the same samples?",
        "half rate": "half the rate is a mirror and not a new beginning: is 4,100 Hz heard as a very low tone, or as one just below 4,000 Hz?",
        "clipped": "tones above half the rate do not pile up there: they come back down",
        "silent": "nothing is lost by sampling alone: without a filter the tone is heard, somewhere else",
        "sampled low": "a tone below half the rate is heard as it is",
        "kilohertz": "this is in kHz, and Hz are asked for",
    },
    rtol=0.0,
    atol=1.0,
)

# ---- concepts.information ---------------------------------------------------------------------------------------------


def _information_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def table(rows: int, columns: int, zeros: bool) -> Tensor:
        p = draw.uniform(rows, columns, low=0.05).double()
        if zeros:
            p[0, 0] = 0.0
            p[rows - 1, 1] = 0.0
        return (p / p.sum()).float()

    independent = draw.uniform(3, 1, low=0.2) * draw.uniform(1, 4, low=0.2)
    return [
        Case("values", {"p": table(3, 4, False)}),
        Case("values", {"p": independent / independent.sum()}, "independent x and y"),
        Case("zeros", {"p": table(4, 3, True)}, "pairs that never come"),
    ]


def _information_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


INFORMATION = Task(
    name="concepts.information",
    title="How many bits x tells about y",
    answer="mutual_information",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 3, "zeros": 1},
    prompt=r"""
Write `mutual_information(p)`: a tensor of probabilities $p(x, y)$, $x$ down and $y$ across, that sum to 1. It gives one number, in **bits**:

$$ I(X;Y) = \sum_{x,y} p(x,y) \log_2 \frac{p(x,y)}{p(x)\,p(y)}. $$

A pair that never comes ($p = 0$) adds nothing to the sum.""",
    hints=(
        "`p.sum(1, keepdim=True)` is $p(x)$ as a column; what is $p(y)$ as a row?",
        "$0 \\cdot \\log 0$ is NaN for a computer and 0 for the sum: `torch.xlogy`, `torch.where`, or sum over the positive entries alone.",
        "Check yourself on two tables that you can do in your head: COPY has 1 bit, two independent coins have 0.",
    ),
    links=("Bits",),
    cases=_information_cases,
    run=_information_run,
    misconceptions={
        "nats": "this is in nats: the logarithm has another base",
        "zeros": "a pair that never comes makes the sum NaN or infinite",
        "joint entropy": "this is the entropy of the pair; which two entropies is it to be compared with?",
        "sum of entropies": "the entropies of x and y are added and that of the pair is not taken off",
        "conditional": "this is what is still open about one once the other is known; what was learned is the rest",
        "other way": "the roles of p(x, y) and p(x) p(y) are exchanged: which of the two does the mean run over?",
        "unweighted": "the logarithms are added up without their probabilities",
        "one margin": "only one of the two margins stands in the quotient",
        "ten": "the logarithm is the one to base ten; a bit has two states",
        "entropy": "this is the entropy of one of the two, whatever the other tells",
    },
    blocks=("mmteach.diagnosis.information",),
    rtol=2e-3,
    atol=2e-5,
)

# ---- concepts.gap -----------------------------------------------------------------------------------------------------


def _gap_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(batch: int, what: str = "") -> Case:
        image = draw.normal(batch, 5) * draw.uniform(batch, 1, low=0.5, high=4.0) + draw.normal(1, 5)
        return Case("values", {"image": image, "text": draw.normal(batch, 5) * 2 + draw.normal(1, 5)}, what)

    return [case(7), case(1, "a single pair"), case(12)]


def _gap_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


GAP = Task(
    name="concepts.gap",
    title="The gap between two modalities",
    answer="gap",
    kind="implement",
    minutes=10,
    difficulty=1,
    parts={"values": 3},
    prompt=r"""
Write `gap(image, text)`: two tensors $(N, D)$, the outputs of two encoders **before** they are brought to length 1. It gives the length of the modality gap, one number:

$$ \lVert\Delta\rVert, \qquad \Delta = \frac1N\sum_i \frac{x_i}{\lVert x_i\rVert} - \frac1N\sum_i \frac{y_i}{\lVert y_i\rVert}. $$""",
    hints=(
        "First each vector to length 1, then the means, then the length of the difference: the order matters.",
        "`torch.nn.functional.normalize(x, dim=…)`: which axis holds the numbers of one vector?",
        "What is the largest value it can have? Try two clouds on opposite sides.",
    ),
    links=("9 · The modality gap",),
    cases=_gap_cases,
    run=_gap_run,
    misconceptions={
        "not normalised": "the vectors still have their own lengths: long ones count more than short ones",
        "normalised means": "the centres are brought to length 1, instead of the vectors",
        "pair distances": "this is the mean distance of the pairs; the gap is the distance of the two centres",
        "squared": "this is the square of the length",
        "wrong axis": "the lengths are taken over the examples; a vector's numbers stand in its row",
        "sum": "the sums are not divided by the number of vectors",
        "absolute": "distances are taken number by number and added; the length of a vector is another sum",
        "no length": "this is the mean over the numbers of Δ, or Δ itself; its length is asked for",
        "cosine": "this is an angle or a cosine of the two centres; their distance is asked for",
        "largest": "this is the largest number of Δ; its length takes all of them",
    },
    blocks=("mmteach.diagnosis.gap",),
)

# ---- concepts.window --------------------------------------------------------------------------------------------------

WINDOW = ("window", "hop", "bands")


def _window_cases(seed: int) -> list[Case]:
    return [Case("design", {})]


def _window_run(answer: Any, case: Case) -> Observed:
    if isinstance(answer, dict) and answer and all(one is None for one in answer.values()):
        return observe.value(None)
    return observe.value(answer) | ({} if isinstance(answer, dict) or answer is None else {"no dict": True})


def _window_notice(case: Case, seen: Observed) -> str | None:
    found = seen.get("outputs", {}).get("value")
    if seen.get("unanswered") or seen.get("no dict"):
        return None
    if not isinstance(found, dict) or set(found) != set(WINDOW):
        return "entries"
    if not all(type(found[name]) is int and found[name] > 0 for name in WINDOW):
        return "whole numbers"
    window, hop, bands = (found[name] for name in WINDOW)
    if 16000 / window > 70:
        return "tones"
    if 1000 * window / 16000 > 20:
        return "clicks"
    if hop > window // 2:
        return "overlap"
    if 1000 * hop / 16000 > 8:
        return "hop"
    if bands < 24:
        return "few bands"
    return "budget" if bands * 16000 / hop > 4000 else None


WINDOW_TASK = Task(
    name="concepts.window",
    title="A spectrogram within a budget",
    answer="design",
    kind="design",
    minutes=15,
    difficulty=2,
    parts={"design": 4},
    prompt=r"""
A hydrophone listens to whales, at $r = 16{,}000$ samples a second. Choose `window` $M$ and `hop` $h$ (in samples) and the number of mel `bands`, so that

1. two whistles 70 Hz apart can be told apart: the frequencies of the transform lie $r/M$ apart, at most 70 Hz;
2. a click is placed in time: a window lasts at most 20 ms;
3. nothing is missed: each sample lies in two windows at least, $h \le M/2$;
4. an event is timed to 8 ms: that is the longest hop;
5. calls of different species stay apart: at least 24 bands;
6. the recorder may send at most 4,000 numbers a second: bands × frames a second.

Answer with a dict of three whole numbers, `{"window": …, "hop": …, "bands": …}`. Every choice that keeps all six is right. Which of the six pull
in opposite directions?""",
    hints=(
        "The first two bound the window from both sides: compute both bounds in samples.",
        "There are $16{,}000 / h$ frames a second; with 24 bands the last condition bounds the hop from below.",
        "Between the shortest hop that the budget allows and the longest that the timing allows there is some room, but not much.",
    ),
    links=("4 · Sound: from a waveform to a picture",),
    cases=_window_cases,
    run=_window_run,
    notice=_window_notice,
    misconceptions={
        "entries": "the dict needs the entries window, hop and bands, and no others",
        "whole numbers": "samples and bands are counted: whole numbers above 0 are needed",
        "tones": "the two whistles fall into one bin: a sharper view of pitch needs more samples",
        "clicks": "the window is so long that a click is smeared: what is sharp in pitch is blurred in time",
        "overlap": "some samples lie in one window only, near its faded edge",
        "hop": "the frames are too far apart to time an event",
        "few bands": "there are too few bands to tell the species apart",
        "budget": "this sends more than 4,000 numbers a second: frames a second, times bands",
    },
)

TASKS = (STANDARDISE, PAD, MEAN, LAST, ALIAS, WINDOW_TASK, INFORMATION, GAP)
