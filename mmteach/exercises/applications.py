"""The tasks of chapter 06, Applications. Their references are in mmteach.exercises.references.applications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmteach.exercises import observe
from mmteach.exercises.draws import Draw
from mmteach.exercises.task import Case, Observed, Task

# ---- applications.precision -------------------------------------------------------------------------------------------


def _precision_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, counts: Sequence[int], pictures: int, what: str = "") -> Case:
        while True:
            scores = torch.stack([draw.permutation(pictures) for _ in counts]).float() + draw.uniform(
                len(counts), pictures, low=0.1, high=0.9
            )
            relevant = torch.zeros(len(counts), pictures, dtype=torch.bool)
            for row, some, count in zip(scores, relevant, counts):
                ranked = row.argsort(descending=True)
                # Never the first, so that nothing is perfect; the rest anywhere.
                some[ranked[1 + draw.permutation(pictures - 1)[:count]]] = True
            # The first right pictures alone must not sum to what all of them do.
            right = relevant.gather(1, scores.argsort(1, descending=True)).double()
            ranks = torch.arange(1, pictures + 1)
            average = ((right.cumsum(1) / ranks * right).sum(1) / right.sum(1)).nan_to_num()
            first = right.amax(1) / (right.argmax(1) + 1)
            if abs((average - first).sum()) > 0.01:
                return Case(part, {"scores": scores / 3 - 2, "relevant": relevant}, what)

    return [
        case("values", (2, 5, 3), 12),
        case("values", (3,), 9, "a single query"),
        case("none", (4, 0, 2, 3), 10, "a query for which nothing is right"),
    ]


def _precision_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


PRECISION = Task(
    name="applications.precision",
    title="A search with more than one right answer",
    answer="mean_average_precision",
    kind="implement",
    minutes=20,
    difficulty=2,
    parts={"values": 3, "none": 1},
    prompt=r"""
*Something to eat* is right for many pictures, and whoever searches would like to see them all, the sooner the better. Recall at 10 asks only what the first ten hold. **Average precision** looks at the whole
list. Write `mean_average_precision(scores, relevant)`: the scores $(Q, N)$ of $N$ pictures for each of $Q$ queries, larger is better, and a bool tensor $(Q, N)$, True where a picture is right. Rank each query's pictures. With $R_q$
right ones, the best one at rank 1,

$$ \begin{gathered}\mathrm{AP}_q = \frac1{R_q} \sum_{k\,:\ \text{rank } k \text{ is right}} \frac{\text{right ones among the first } k}{k},\\
\mathrm{mAP} = \text{mean of AP}_q \text{ over the queries with } R_q > 0.\end{gathered} $$

One number. A query for which nothing is right is left out of the mean. Do it for three pictures on paper first: when is it 1?""",
    hints=(
        "Sort the pictures of each query by score and put `relevant` into the same order: `gather`, or an index.",
        "`cumsum` along the sorted row counts the right ones among the first k, for every k at once.",
        "The precision counts only at places where a right picture stands: multiply by the sorted row, then divide by how many there are.",
    ),
    links=("1 · Pictures and descriptions",),
    cases=_precision_cases,
    run=_precision_run,
    misconceptions={
        "first alone": "only the first right picture counts; what about the others?",
        "worst first": "the pictures are ranked from the smallest score to the largest",
        "not ranked": "the pictures are taken in the order in which they came, whatever their scores",
        "at the end": "this looks at one place of the list only; every place with a right picture counts",
        "every place": "the precision is averaged over all places; only those at which a right picture stands count",
        "all pictures": "the sum is divided by the number of pictures; how many of them are right?",
        "hits together": "the right pictures of all queries are averaged together, so that a query with many of them counts more",
        "wrong axis": "pictures compete for a query; here queries compete for a picture",
        "before": "the picture at rank k is itself among the first k",
        "from zero": "ranks are counted from 1",
        "query at zero": "a query for which nothing is right counts as a failure; it is to be left out",
        "nan": "a query for which nothing is right makes the mean NaN: what is a mean over no pictures?",
        "each": "one number is asked for, the mean over the queries",
        "percent": "this is a percentage; the measure lies between 0 and 1",
    },
    blocks=("mmteach.metrics.retrieval", "mmteach.metrics.classification"),
)

# ---- applications.greedy ----------------------------------------------------------------------------------------------

LABELS = 5  # 0 is blank


def _greedy_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def path(frames: int) -> list[int]:
        # One label twice with a blank between, and later a third time; runs of one label; a label in the very last frame.
        a, b, c, d = (draw.permutation(LABELS - 1) + 1).tolist()
        runs = [(a, 1), (a, 1), (b, 1), (0, 1), (b, 1), (a, 1), (0, 1), (c, 1), (d, 1)]
        stretched = draw.permutation(len(runs) - 1).tolist()
        more = {stretched[i % len(stretched)] for i in range(frames - len(runs))}
        found = [label for i, (label, _) in enumerate(runs) for _ in range(1 + (i in more))]
        return [0] * (frames - len(found)) + found

    def case(part: str, lengths: Sequence[int], what: str = "") -> Case:
        frames = 14
        scores = draw.normal(len(lengths), frames, LABELS)
        for row, length in zip(scores, lengths):
            # Behind its end a recording is silence, in which a network may say anything: here, labels in turn.
            said = path(length)
            said += [(said[-1] + i) % (LABELS - 1) + 1 for i in range(frames - length)]
            row[torch.arange(frames), torch.tensor(said)] += 6.0
            row[torch.arange(frames), (torch.tensor(said) + 2) % LABELS] -= 6.0
        return Case(part, {"scores": scores, "lengths": torch.tensor(lengths)}, what)

    return [
        case("values", (14, 14, 14)),
        case("values", (14,), "a batch of one"),
        case("padding", (14, 11, 12), "recordings of different lengths"),
    ]


def _greedy_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs)
    found = seen["outputs"]["value"]
    if isinstance(found, (list, tuple)):
        seen["outputs"]["value"] = [_as_list(one) for one in found]
    return seen


def _as_list(value: Any) -> Any:
    return value.tolist() if isinstance(value, Tensor) else value


GREEDY = Task(
    name="applications.greedy",
    title="From frames to letters",
    answer="greedy",
    kind="implement",
    minutes=15,
    difficulty=1,
    parts={"values": 2, "padding": 1},
    prompt=r"""
A recogniser gives a score to each label in each frame. Write down what it hears: `greedy(scores, lengths)` gets $(B, T, V)$ scores, label 0 is *blank*, and $(B)$ whole numbers, how many
frames of each recording are real; those behind are padding. In each real frame take the label with the largest score; this alignment $\pi$ says

$$ \mathrm{collapse}(\pi): \quad \text{a run of the same label counts once, } \textbf{then} \text{ blanks go.} $$

The result is a list of $B$ lists of whole numbers. Why does CTC need a blank at all? Try to say *hello* without one.""",
    hints=(
        "Do it for one recording first: a list of labels in, a shorter list out.",
        "A frame counts where its label differs from that of the frame before it, and is not the blank.",
        "`itertools.groupby` and `torch.unique_consecutive` both merge runs.",
    ),
    links=("2 · Speech and text",),
    cases=_greedy_cases,
    run=_greedy_run,
    misconceptions={
        "blanks first": "blanks go before runs are merged, so no letter can ever stand twice in a row: in which order does the definition do it?",
        "repeats stay": "a label that lasts for several frames is written several times: nobody says how long a letter lasts",
        "blanks stay": "the blanks are still there: they say that nothing is to be written",
        "not collapsed": "this is the alignment, a label a frame; what it says is shorter",
        "each once": "a label is written once at most; it may come again later",
        "padding read": "frames behind the end of a recording are read as well",
        "wrong axis": "the largest is taken over the frames: each frame chooses among its labels",
        "other blank": "another label than 0 is taken for the blank",
        "one short": "the last real frame is not read",
        "smallest": "in each frame the label with the smallest score is taken",
    },
    blocks=("mmteach.generation.ctc",),
)

# ---- applications.frames ----------------------------------------------------------------------------------------------

FRAMES = ("fewest", "seconds", "no", "oo", "loss")


def _frames_cases(seed: int) -> list[Case]:
    parts = {"fewest": "length", "seconds": "length", "no": "alignments", "oo": "alignments", "loss": "loss"}
    return [Case(parts[entry], {"entry": entry}, f"the entry {entry!r}") for entry in FRAMES]


def _entry_run(answer: Any, case: Case) -> Observed:
    return observe.entry(answer, case.inputs["entry"])


FRAMES_TASK = Task(
    name="applications.frames",
    title="How many ways to say no",
    answer="predicted",
    kind="predict",
    minutes=15,
    difficulty=2,
    parts={"length": 2, "alignments": 2, "loss": 1},
    prompt=r"""
**First predict** with pencil and paper, **then measure**: list all alignments with `itertools.product` and collapse them. Answer with a dict of numbers:

- `"fewest"`: the smallest number of frames in which *balloon* can be said;
- `"seconds"`: how long a recording of *balloon* must be at least, for the chapter's recogniser: the spectrogram has 100 frames a second, and of every three of them it makes one;
- `"no"`: how many alignments of four frames say *no*;
- `"oo"`: how many alignments of four frames say *oo*;
- `"loss"`: the CTC loss $-\log p(y \mid x)$ of *no* for a network that has learned nothing: four frames, three labels (blank, n, o), all of them equally likely in each frame.""",
    hints=(
        "What must stand between two equal letters, so that they are not merged?",
        "`for pi in itertools.product(range(3), repeat=4)` lists all alignments of four frames; count those that collapse to what you want.",
        "Each alignment of four frames has the same probability here, and $p(y \\mid x)$ adds up those that say $y$. The logarithm is the natural one.",
    ),
    links=("2 · Speech and text",),
    cases=_frames_cases,
    run=_entry_run,
    misconceptions={
        "a frame a letter": "a frame a letter is not enough: what becomes of two equal neighbours?",
        "blanks everywhere": "blanks may stand around every letter; where must they?",
        "one pair": "there is more than one place in this word where two equal letters meet",
        "single letters": "a letter that comes twice must be said twice",
        "spectrogram frames": "the spectrogram's frames and the recogniser's are mixed up: of three the recogniser makes one",
        "milliseconds": "seconds are asked for",
        "letters only": "letters may last longer than a frame, and blanks may stand at the ends and between",
        "places only": "this chooses a frame for each letter; a letter may also last for several",
        "all": "these are all alignments there are; only some of them say this",
        "as if different": "this is the count for two different letters: between equal ones something must stand",
        "one alignment": "this is the loss of one alignment; all that say the word are added up",
        "probability": "this is the probability; the loss is its negative logarithm",
        "other base": "the logarithm has another base; the natural one is meant",
        "sign": "this is the logarithm; the loss is its negative",
        "a frame": "this is divided by the number of frames; the loss is of the whole text",
    },
    rtol=0.0,
    atol=0.004,
)

# ---- applications.ctc -------------------------------------------------------------------------------------------------


def _ctc_cases(seed: int) -> list[Case]:
    draw = Draw(seed)
    a, b, c, d = (draw.permutation(4) + 1).tolist()

    def case(part: str, frames: int, y: list[int], what: str = "", spread: float = 1.0) -> Case:
        return Case(part, {"log_p": draw.normal(frames, 5, scale=spread).log_softmax(1), "y": y}, what)

    return [
        case("values", draw.whole(5, 6), [a, b, c]),
        case("values", 6, [c], "a text of one label"),
        case("values", 1, [d], "a single frame"),
        case("repeats", draw.whole(6, 7), [a, b, b, a], "equal neighbours"),
        case("long", 50, [a, b, b, c], "50 frames, most of which go against the text", 48.0),
        case("gradients", 5, [c, c, b], "gradients"),
    ]


def _ctc_run(answer: Any, case: Case) -> Observed:
    # Shorter texts show whether the second call gives the same as the first: fifty frames take a while.
    gradients = ("log_p",) if case.part == "gradients" else ()
    return observe.function(answer, case.inputs, again=case.part != "long", gradients=gradients)


def _ctc_notice(case: Case, seen: Observed) -> str | None:
    value, gradient = (seen.get("outputs", {}).get(name) for name in ("value", "gradient of log_p"))
    if isinstance(value, Tensor) and isinstance(gradient, Tensor) and value.isfinite().all():
        return None if gradient.isfinite().all() else "nan gradient"
    return None


CTC = Task(
    name="applications.ctc",
    title="The probability of a text, for recordings of any length",
    answer="ctc",
    kind="implement",
    minutes=35,
    difficulty=3,
    parts={"values": 2, "repeats": 2, "long": 1, "gradients": 1},
    prompt=r"""
The chapter's `ctc` multiplies probabilities, which is fine for seven frames. A second of speech has a hundred, and then the product is 0 for a computer. Write it with
logarithms: `ctc(log_p, y)` gets the frames' log-probabilities $(T, V)$, label 0 is blank, and a list `y` of at least one label, none of them blank. There are always enough frames
to say it. It gives one number, $-\log p(y \mid x)$.

With $s = (–, y_1, –, y_2, \dots, –)$ and $\alpha_t(i)$ the probability of all beginnings that stand at $s_i$ after frame $t$,

$$\alpha_t(i) = p_t(s_i)\,\big[\alpha_{t-1}(i) + \alpha_{t-1}(i-1) + \alpha_{t-1}(i-2)\,\mathbb{1}[s_i \ne –,\ s_i \ne s_{i-2}]\big].$$

It begins at the first blank or the first letter, and ends at the last letter or the last blank. The loss is to be trained with: its gradient must be finite. Do not call a library's CTC.""",
    hints=(
        "Write the chapter's function again with $a_t(i) = \\log \\alpha_t(i)$: products become sums; what becomes of the sum in brackets?",
        "`torch.logsumexp` of a stack of two or three terms; what has the probability 0 has the logarithm $-\\infty$.",
        "The logarithm of a sum of zeros has no slope. A very negative number, say −10⁹, stands for $-\\infty$ and keeps gradients finite.",
    ),
    links=("2 · Speech and text",),
    cases=_ctc_cases,
    run=_ctc_run,
    notice=_ctc_notice,
    misconceptions={
        "merged": "the blank between two equal letters is skipped: then they are one letter",
        "no skip": "the blank between two different letters is never skipped: it may be",
        "blanks skipped": "letters are skipped as well: from a blank one cannot jump over a letter to the next blank",
        "no stay": "a letter cannot last for more than a frame here: one may stay in its place",
        "one end": "an alignment may end at the last letter or at the last blank, and one of the two is forgotten",
        "one start": "an alignment may begin at the first blank or at the first letter, and one of the two is forgotten",
        "logarithms added": "the sum in the brackets has become a sum of logarithms: these turn products into sums, and what do they make of a sum?",
        "around": "before the first place there is nothing: place −1 of a Python list is its last",
        "any end": "alignments that stop in the middle of the text are counted as well",
        "best alignment": "this is the likeliest alignment alone; all that say the text are added up",
        "sign": "this is the logarithm of the probability; the loss is its negative",
        "probability": "this is a probability; the loss is its negative logarithm",
        "last blank": "the last label is taken for the blank, which is number 0",
        "divided": "the loss is divided by a length; it is that of the whole text",
        "underflow": "in a long recording the probability becomes exactly 0 before its logarithm is taken",
        "nan gradient": "the value is right and its gradient is NaN: what is the slope of the logarithm of a sum in which all is exactly 0?",
        "library": "this gradient is that of a library's CTC, which takes for granted that a softmax follows; write the sum yourself",
    },
    blocks=("mmteach.generation.ctc",),
)

# ---- applications.cer -------------------------------------------------------------------------------------------------

WORDS = ("the", "small", "boat", "lands", "on", "a", "green", "island", "at", "noon", "while", "her", "friends", "wait")


def _cer_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def sentence(words: int) -> str:
        return " ".join(WORDS[i] for i in draw.permutation(len(WORDS))[:words].tolist())

    def damaged(text: str, deleted: int, inserted: int, substituted: int) -> str:
        """Edits four letters apart, with letters that occur nowhere: no shorter way leads back."""
        kinds = ["delete"] * (deleted - 1) + ["insert"] * inserted + ["substitute"] * substituted
        kinds = ["delete", *(kinds[i] for i in draw.permutation(len(kinds)).tolist())]
        letters = list(text)
        for i, kind in reversed(list(enumerate(kinds))):
            at = 1 + 4 * i
            letters[at : at + (kind != "insert")] = [] if kind == "delete" else [draw.pick("qxjzv")]
        return "".join(letters)

    def case(part: str, pairs: list[tuple[str, str]], what: str = "") -> Case:
        return Case(part, {"answers": [a for a, _ in pairs], "transcripts": [t for _, t in pairs]}, what)

    def pair(words: int, *edits: int) -> tuple[str, str]:
        text = sentence(words)
        while len(text) < 4 * sum(edits) + 2:
            text = f"{text} {draw.pick(WORDS)}"
        return damaged(text, *edits), text

    short, words = draw.pick(("no", "yes", "stop")), sentence(5).split()
    return [
        case("pairs", [pair(8, 3, 1, 2)]),
        case("pairs", [pair(7, 2, 3, 1)]),
        case("pairs", [(" ".join(words[2:] + words[:2]), " ".join(words))], "the right words in another order"),
        case("corpus", [pair(9, 1, 0, 0), pair(2, 1, 2, 1), pair(5, 2, 1, 1)], "three recordings"),
        case("ends", [("", sentence(3))], "an answer in which nothing was heard"),
        case("ends", [(f"{sentence(3)} {short}", short)], "an answer longer than the transcript"),
    ]


def _cer_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


CER = Task(
    name="applications.cer",
    title="How much of it is wrong?",
    answer="error_rate",
    kind="implement",
    minutes=20,
    difficulty=2,
    parts={"pairs": 2, "corpus": 1, "ends": 1},
    prompt=r"""
Write `error_rate(answers, transcripts)`: two lists of texts, what a recogniser wrote and what was said, one of each a recording. It gives the **character error rate** of the whole test, one number:

$$ \mathrm{CER} = \frac{\sum_n \mathrm{edits}(a_n, t_n)}{\sum_n |t_n|}, $$

where edits is the smallest number of letters to put in, take out or exchange, each counted 1, that turns $a_n$ into $t_n$, and $|t_n|$ the number of characters of the transcript, spaces
included. To find it, let $d(i, j)$ be the edits between the first $i$ letters of the one and the first $j$ of the other:

$$ \begin{gathered}d(i, 0) = i, \qquad d(0, j) = j,\\
d(i, j) = \min\big[\, d(i-1, j) + 1,\ \ d(i, j-1) + 1,\ \ d(i-1, j-1) + \mathbb{1}[a^{(i)} \ne t^{(j)}] \,\big].\end{gathered} $$

No library for it, please. Can the rate be larger than 1?""",
    hints=(
        "A list of lists with a row more than the answer has letters, and a column more than the transcript has; fill the first row and column at once.",
        "Letter $i$ of a text stands at place $i - 1$ of a Python string.",
        "Over the whole test: add up edits, add up lengths, divide once, at the end.",
    ),
    links=("2 · Speech and text", "5 · Practice: before anybody relies on it"),
    cases=_cer_cases,
    run=_cer_run,
    misconceptions={
        "mean of rates": "each recording has a rate of its own and these are averaged: then a word said alone counts as much as a long sentence",
        "by the answer": "the edits are divided by the length of the answer: one who says little would look bad, one who babbles good",
        "by the longer": "the edits are divided by the longer of the two; the transcript is what one must get right",
        "exchange twice": "an exchanged letter costs 2, as if it were taken out and put in",
        "place by place": "letters are compared place by place: after one lost letter all the others seem wrong",
        "bag": "the letters are counted and their order has no effect",
        "words": "words are compared; this is the word error rate",
        "clipped": "the rate stops at 1; an answer that is longer than the transcript can have more mistakes than the transcript has letters",
        "percent": "this is a percentage; the rate is a share",
        "right share": "this is the share that is right",
        "insertions free": "letters that were put in cost nothing: babbling would be for free",
        "deletions free": "letters that were left out cost nothing: silence would be perfect",
        "not divided": "the edits are counted and not divided by the length of what was said",
        "lengths only": "only the lengths are compared",
        "one edge": "the table's first row or column is zero: what does it cost to turn nothing into something?",
    },
    blocks=("mmteach.metrics.text", "jiwer.process", "jiwer.measures"),
)

# ---- applications.motion ----------------------------------------------------------------------------------------------


def _motion_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, clips: int, frames: int, what: str = "") -> Case:
        size = draw.whole(2, 3)
        # Each clip and each frame of it has a brightness of its own: a mean over the wrong axis shows.
        light = draw.uniform(clips, 1, 1, 1, 1, low=20, high=90) + draw.uniform(clips, frames, 1, 1, 1, high=60)
        noise = draw.uniform(clips, frames, 3, size, size + 1, high=90)
        return Case(part, {"clips": (light + noise).round().to(torch.uint8)}, what)

    return [
        case("values", 3, 5),
        case("values", 1, 4, "a batch of one"),
        case("still", 2, 1, "a clip of a single frame"),
    ]


def _motion_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, rows=("clips",))


MOTION = Task(
    name="applications.motion",
    title="What the motion path sees",
    answer="motion",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 3, "still": 1},
    prompt=r"""
The path that says *what happens* must not see who does it. Write what it is given: `motion(clips)` gets bytes $(B, T, 3, H, W)$, whole numbers from 0 to 255, and gives floating-point numbers $(B, T, 2, H, W)$.
With $x_t$ frame $t$ in grey, the mean of its three colours divided by 255, the two channels of a frame are

$$ x_t - \bar x \qquad\text{and}\qquad x_{t+1} - x_t, $$

where $\bar x$ is **one number a clip**, its mean over all frames and places. The last frame has none after it; its second channel is 0. Which of the two channels could tell clips that are played backwards from
clips that are not?""",
    hints=(
        "Bytes cannot be negative: make numbers of them first, then grey, then the two channels.",
        "`mean((1, 2, 3), keepdim=True)` over which axes, once the colours are gone?",
        "`x[:, 1:] - x[:, :-1]` has a frame too few; put a frame of zeros behind it. `torch.stack(…, dim=2)` puts the channels where they belong.",
    ),
    links=("3 · Clips and sentences", "Two paths"),
    cases=_motion_cases,
    run=_motion_run,
    misconceptions={
        "bytes": "the arithmetic was done in bytes, where 3 − 5 is 254",
        "not scaled": "the numbers are still from 0 to 255",
        "colours added": "the colours are added up; grey is their mean",
        "one colour": "one of the three colours is taken for grey",
        "batch mean": "one mean serves all clips: a dark clip and a bright one come out dark and bright",
        "frame mean": "each frame has a mean of its own: then a light that goes on is not seen",
        "place mean": "each place has a mean of its own: then what stands still is gone from the first channel as well; one number a clip is asked for",
        "no mean": "the mean is not taken off the first channel",
        "backwards": "the difference has the wrong sign, or is taken to the frame before",
        "front": "the frame without a difference is the last one, and here it is the first",
        "around": "after the last frame comes the first one again: the clip does not go round",
        "absolute": "the difference has lost its sign: things that appear and things that go look the same",
        "channels first": "the two channels stand in another axis than the third",
        "too short": "the last frame is missing; its second channel is 0",
    },
    blocks=("mmteach.recipes.applications_video",),
)

# ---- applications.carry -----------------------------------------------------------------------------------------------


def _carry_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, what: str = "") -> Case:
        channels, height, units, dim = draw.whole(4, 5), draw.whole(2, 3), draw.whole(2, 3), draw.whole(5, 6)
        width = height + draw.whole(1, 2)
        inputs = {
            "kernel": draw.normal(3, 3, 2, channels),
            "dense": draw.normal(height * width * channels, units),
            "gates": draw.normal(4 * dim, dim + 1),
            "size": [height, width],
        }
        return Case(part, inputs, what)

    entries = ("kernel", "dense", "gates")
    return [case(entry, f"the entry {entry!r}") for entry in entries * 2]


def _carry_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs)
    if seen.get("not callable"):
        return seen
    found = seen["outputs"]["value"]
    if found is None:
        return observe.value(None)
    return {k: v for k, v in seen.items() if k != "outputs"} | observe.entry(found, case.part)


CARRY = Task(
    name="applications.carry",
    title="The same weights, other answers",
    answer="carry",
    kind="debug",
    minutes=25,
    difficulty=3,
    parts={"kernel": 2, "dense": 2, "gates": 1},
    prompt=r"""
A network was trained elsewhere and is carried to PyTorch. All shapes fit, nothing complains, and its answers are nothing like those it gave there: the cell below shows how far they are off.
There is a fault in **each** of the three entries that `carry_with_faults` gives. Write it again, mended, as `carry`.

`carry(kernel, dense, gates, size)` gets

- `kernel` (height, width, in, out): a convolution's, as Keras stores it. PyTorch's is (out, in, height, width).
- `dense` $(H \cdot W \cdot C,\ \text{units})$: the layer after *flatten*. In Keras a picture is (height, width, channel), and *flatten* reads it in that order, the last axis fastest. PyTorch
  flattens (channel, height, width), and a `Linear` has the weight $(\text{units},\ C \cdot H \cdot W)$. `size` is $(H, W)$.
- `gates` $(4D, \text{in})$: the input's weights of an LSTM, the four gates below one another in ONNX's order: input $i$, output $o$, forget $f$, cell $g$. PyTorch's order is $i, f, g, o$.

and gives a dict with the entries `"kernel"`, `"dense"` and `"gates"`, in PyTorch's form.""",
    hints=(
        "A square kernel hides which of its axes is which: try it with a kernel of 1 × 3.",
        "`permute` says for each *new* axis which old one goes there. `reshape` never moves a number to another place in memory.",
        "Number the rows of `dense` with `torch.arange(H * W * C)` in Keras's order, give the numbers the shape (H, W, C), and read them in PyTorch's order.",
    ),
    links=("4 · Tools: one model, three frameworks",),
    cases=_carry_cases,
    run=_carry_run,
    misconceptions={
        "turned": "height and width of the kernel have changed places: a vertical edge becomes a horizontal one",
        "in and out": "the kernel's channels in and out have changed places",
        "poured": "the shape is right and the numbers were poured into it (reshape or view): axes have to move, with their numbers",
        "not moved": "the axes are still where they were",
        "mirrored": "the kernel is mirrored: neither of the two libraries does that",
        "columns stay": "the weights are transposed and that is all: which column meets which place of the picture, after each library's flatten?",
        "not transposed": "the right order, and still (in, out): which of the two comes first in PyTorch?",
        "other way": "this is the way from PyTorch to the other library",
        "picture turned": "the channels are in their place; height and width of the picture have changed theirs",
        "gates stay": "the gates are in the order in which they came",
        "gates back": "the places are used the wrong way round: which old gate stands at each new place?",
        "interleaved": "the gates stand below one another in blocks of D rows; they do not take turns",
        "other gates": "two of the gates are still in each other's place",
    },
    blocks=("mmteach.fusion.classic",),
)

# ---- applications.split -----------------------------------------------------------------------------------------------

SPEAKERS = ("ana", "ben", "chi", "dia", "eli", "fay")
SENTENCES = (
    "open the door",
    "where is the key",
    "it rains",
    "come back soon",
    "two cups of tea",
    "the train is late",
    "good night",
)


def _split_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def spelled(text: str, plain: bool) -> str:
        if plain:
            return text
        ways = (text.capitalize() + draw.pick(".!?"), text.upper(), text.replace(" ", "  ") + ",", text.title())
        return draw.pick(ways)

    def case(part: str, plain: bool, what: str = "") -> Case:
        people = [SPEAKERS[i] for i in draw.permutation(len(SPEAKERS)).tolist()]
        texts = [SENTENCES[i] for i in draw.permutation(len(SENTENCES)).tolist()]
        pairs = [(p, t) for p in people for t in texts]
        # Some recordings are missing, and some were made twice.
        pairs = [pairs[i] for i in draw.permutation(len(pairs)).tolist()][: len(pairs) - 6]
        pairs += [(people[0], texts[0]), (people[0], texts[2]), (people[2], texts[0]), (people[2], texts[2])]
        inputs = {
            "speakers": [p for p, _ in pairs],
            "texts": [spelled(t, plain) for _, t in pairs],
            "new_speakers": people[:2],
            "new_texts": texts[:2],
        }
        return Case(part, inputs, what)

    return [case("split", True), case("split", True), case("spelling", False, "sentences spelled in several ways")]


def _split_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs)
    found = seen["outputs"]["value"]
    if isinstance(found, dict):
        # In any order: a split is a set of places.
        outputs = {k: _as_list(v) for k, v in found.items()}
        outputs = {k: sorted(v) if isinstance(v, (list, tuple)) and _whole(v) else v for k, v in outputs.items()}
        seen["outputs"]["value"] = outputs
    return seen


def _whole(values: Sequence[Any]) -> bool:
    return all(type(value) is int for value in values)


def _split_notice(case: Case, seen: Observed) -> str | None:
    found = seen.get("outputs", {}).get("value")
    if seen.get("error") or not isinstance(found, dict) or set(found) != {"train", "test"}:
        return None
    lists = list(found.values())
    if not all(isinstance(one, list) and _whole(one) for one in lists):
        return "no places"
    if any(not 0 <= i <= len(case.inputs["texts"]) for one in lists for i in one):
        return "no places"  # one too many is a matter of counting from 1
    return "in both" if set(found["train"]) & set(found["test"]) else None


SPLIT = Task(
    name="applications.split",
    title="A recogniser that is too good",
    answer="split",
    kind="debug",
    minutes=20,
    difficulty=2,
    parts={"split": 3, "spelling": 1},
    prompt=r"""
A classifier of recordings is right on nearly all of its test, and far less often on what the first user says. The cell below shows it. Its split is the fault. Write
`split_with_faults` again, mended, as `split`, so that the test asks what a user will ask: **new people who say new sentences**.

`split(speakers, texts, new_speakers, new_texts)` gets, for each recording, who speaks and what is said, and the speakers and the sentences that are kept for the test. It gives a dict

- `"test"`: the places (counted from 0) of the recordings in which a new speaker says a new sentence;
- `"train"`: those in which neither the speaker nor the sentence is new. The rest belongs to neither.

Two texts are the same sentence where their words are the same: capital letters, spaces and the signs `.,!?` do not count.""",
    hints=(
        "There are four kinds of recordings, by speaker and by sentence, and two of them are mixed. What would each teach, or prove?",
        "For each recording two questions: is the speaker new, and is the sentence new?",
        "Bring both sides to one form before you compare: `text.lower()`, without the signs, `.split()`.",
    ),
    links=("5 · Practice: before anybody relies on it",),
    cases=_split_cases,
    run=_split_run,
    notice=_split_notice,
    misconceptions={
        "no places": "two lists of whole numbers are needed, the places of recordings, counted from 0",
        "in both": "a recording is in training and in the test",
        "speakers leak": "training has heard the people of the test, if not these sentences of theirs",
        "sentences leak": "training has heard the sentences of the test, said by others",
        "known speakers tested": "the test has people whom training knows as well",
        "known sentences tested": "the test has sentences that training knows as well",
        "half new": "in the test, one of the two is new: both are asked for",
        "mixed in training": "recordings in which one of the two is new went into training; it then knows something of the test",
        "exchanged": "training and test have changed places",
        "as written": "the same sentence, spelled in another way, is taken for another one",
        "from one": "places are counted from 0",
    },
    rtol=0.0,
    atol=0.5,
)

# ---- applications.fails -----------------------------------------------------------------------------------------------


def _fails_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(what: str = "") -> Case:
        busy, poor, unlucky, good = (SPEAKERS[i] for i in draw.permutation(len(SPEAKERS))[:4].tolist())
        rows = []

        def add(speaker: str, characters: int, rate: float) -> None:
            rows.append({"speaker": speaker, "edits": round(rate * characters), "characters": characters})

        for _ in range(draw.whole(5, 6)):
            add(busy, draw.whole(150, 190), draw.number(0.16, 0.20))  # the most edits, and a good rate
        for rate in (0.32, 0.36, 0.40):
            add(poor, draw.whole(50, 60), rate)  # the one for whom it fails
        add(unlucky, 4, 1.25)  # one short recording: the worst of all, and the worst mean of rates
        for _ in range(2):
            add(unlucky, draw.whole(70, 90), draw.number(0.10, 0.14))
        for _ in range(3):
            add(good, draw.whole(40, 50), draw.number(0.03, 0.07))
        order = draw.permutation(len(rows)).tolist()
        return Case("table", {"rows": [rows[i] for i in order]}, what)

    return [case(), case()]


def _fails_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


FAILS = Task(
    name="applications.fails",
    title="Whom does it fail?",
    answer="fails_for",
    kind="read",
    minutes=10,
    difficulty=1,
    parts={"table": 3},
    prompt=r"""
A test of a recogniser left a table, a list with a dict a recording: `{"speaker": "ana", "edits": 7, "characters": 52}`. The average looks good. Read the table for whom it
does not work, and write that down as a function: `fails_for(rows)` gives a dict with

- `"rate"`: the character error rate of the whole test,
- `"speaker"`: the name of the speaker with the largest character error rate,
- `"worst"`: that speaker's rate, over all of that speaker's recordings.

A speaker's rate is made as the whole test's is: the sum of the edits divided by the sum of the characters.""",
    hints=(
        "Two sums for each speaker: edits, and characters.",
        "A recording of four letters with five mistakes has a rate above 1. How much should it weigh?",
        "`max(sums, key=…)` gives the key with the largest value of a function.",
    ),
    links=("5 · Practice: before anybody relies on it",),
    cases=_fails_cases,
    run=_fails_run,
    misconceptions={
        "worst recording": "this is the speaker of the worst single recording, which may be a short one with bad luck",
        "most edits": "this is the speaker with the most mistakes, who has also said the most",
        "mean of rates": "the recordings' rates are averaged, so that four letters count as much as a long sentence",
        "mean of people": "the speakers' rates are averaged for the whole test; whoever says more counts more there",
        "best": "this is the speaker for whom it works best",
        "own worst": "the speaker is right, and the rate is that of the worst recording",
        "right share": "these are shares of what is right",
        "percent": "these are percentages, and shares are asked for",
        "no difference": "the worst rate is asked for itself, and not how far it lies above the whole test's",
    },
    rtol=1e-3,
    atol=1e-6,
)

# ---- applications.plan ------------------------------------------------------------------------------------------------

PLAN = ("speakers", "sentences", "test_speakers", "test_sentences")


def _plan_cases(seed: int) -> list[Case]:
    return [Case("plan", {})]


def _plan_run(answer: Any, case: Case) -> Observed:
    if isinstance(answer, dict) and answer and all(one is None for one in answer.values()):
        return observe.value(None)
    return observe.value(answer) | ({} if isinstance(answer, dict) or answer is None else {"no dict": True})


def _plan_notice(case: Case, seen: Observed) -> str | None:
    found = seen.get("outputs", {}).get("value")
    if seen.get("unanswered") or seen.get("no dict"):
        return None
    if not isinstance(found, dict) or set(found) != set(PLAN):
        return "entries"
    if not all(type(found[name]) is int and found[name] > 0 for name in PLAN):
        return "whole numbers"
    speakers, sentences, new_speakers, new_sentences = (found[name] for name in PLAN)
    if new_speakers >= speakers or new_sentences >= sentences:
        return "all new"
    if sentences > 60:
        return "tired"
    if 20 * speakers + speakers * sentences / 2 > 1200:
        return "budget"
    if new_speakers < 6:
        return "few people"
    if new_speakers * new_sentences < 60:
        return "small test"
    if (speakers - new_speakers) * (sentences - new_sentences) < 700:
        whole = speakers * sentences - new_speakers * new_sentences
        return "mixed counted" if whole >= 700 else "little training"
    return None


PLAN_TASK = Task(
    name="applications.plan",
    title="Record speech within a budget",
    answer="plan",
    kind="design",
    minutes=20,
    difficulty=2,
    parts={"plan": 4},
    prompt=r"""
You may record speech for a recogniser, and have **1,200 coins**. Each of $P$ people reads the same $S$ sentences. Of these, $p$ people and $s$ sentences are kept for the test, which asks for *new
people who say new sentences*. Training may know neither. Choose the four numbers so that

1. nobody reads more than 60 sentences: voices tire;
2. it costs no more than the 1,200 coins: 20 for each person, and half a coin for each recording, also for those that are not used;
3. the test has at least 6 people, so that a spread over people means something;
4. the test has at least 60 recordings;
5. training has at least 700 recordings.

Answer with a dict of whole numbers, `{"speakers": P, "sentences": S, "test_speakers": p, "test_sentences": s}`. Every choice that keeps all five is right. How many of the recordings that you
pay for serve neither training nor test?""",
    hints=(
        "Draw a rectangle of people and sentences, and cut off the new people on one side and the new sentences on the other: which of the four pieces are used?",
        "Test: $p\\,s$. Training: $(P - p)(S - s)$. Every new person costs training a row, every new sentence a column.",
        "People cost more than sentences, so let each read many. Then the second condition bounds the number of people.",
    ),
    links=("5 · Practice: before anybody relies on it",),
    cases=_plan_cases,
    run=_plan_run,
    notice=_plan_notice,
    misconceptions={
        "entries": "the dict needs the entries speakers, sentences, test_speakers and test_sentences, and no others",
        "whole numbers": "people and sentences are counted: whole numbers above 0 are needed",
        "all new": "with all people or all sentences in the test nothing is left to train on",
        "tired": "nobody can read so many sentences",
        "budget": "this costs more than there is: people, and every recording that is made",
        "few people": "the test has too few people to say how much it differs between people",
        "small test": "the test has too few recordings: it holds only what new people say of new sentences",
        "mixed counted": "training is too small: what a test's person says, or anybody says of a test's sentence, is not for training",
        "little training": "training has too few recordings",
    },
)

TASKS = (PRECISION, GREEDY, FRAMES_TASK, CTC, CER, MOTION, CARRY, SPLIT, FAILS, PLAN_TASK)
