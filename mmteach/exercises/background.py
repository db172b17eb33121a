"""The tasks of chapter 01, Background. Their references are in mmteach.exercises.references.background."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mmteach.exercises import observe
from mmteach.exercises.draws import Draw
from mmteach.exercises.task import Case, Observed, Task
from mmteach.exercises.wire import plain

# ---- background.lost --------------------------------------------------------------------------------------------------

WORLDS = ("or", "sum", "twin", "code")


def _lost_cases(seed: int) -> list[Case]:
    return [Case(world, {"entry": world}, f"the entry {world!r}") for world in WORLDS]


def _entry_run(answer: Any, case: Case) -> Observed:
    return observe.entry(answer, case.inputs["entry"])


LOST = Task(
    name="background.lost",
    title="What is gone when a sensor fails?",
    answer="lost",
    kind="predict",
    minutes=15,
    difficulty=2,
    parts=dict.fromkeys(WORLDS, 1),
    prompt=r"""
Four small worlds. In each, $x_1$ and $x_2$ are what two sensors report and $y$ is what you want to know.

| world | sensors | answer $y$ |
|---|---|---|
| `or` | two fair coins, 0 or 1 | 1 if at least one of them is 1 |
| `sum` | two fair coins, 0 or 1 | $x_1 + x_2$ |
| `twin` | both report $y$ itself | one of four equally likely things |
| `code` | $x_1$ is the first of $y$'s two bits; $x_2$ is 1 if the two bits differ, else 0 | two fair bits: 00, 01, 10 or 11 |

**First predict**, on paper: if the second sensor fails, what share of the information that both gave about $y$ is gone,

$$ 1 - \frac{I(x_1;\, y)}{I(x_1, x_2;\, y)}\;? $$

**Then** compute it, with a table of probabilities or with pencil and logarithms. What you need is the entropy $H(y) = -\sum_y p(y) \log_2 p(y)$, and
$H(y \mid x) = \sum_x p(x)\, H(y \mid X = x)$, what is left of it on average once $x$ is known: $I(x; y) = H(y) - H(y \mid x)$. Answer with a dict: the share
for each world, between 0 and 1, rounded to two decimals or finer.""",
    hints=(
        "Write down the four (or more) possible pairs of $x_1$ and $x_2$, each with its probability and its $y$.",
        "With both sensors $y$ is known in all four worlds: $H(y \\mid x_1, x_2) = 0$, so both together tell $H(y)$.",
        "For $H(y \\mid x_1)$ take each value of $x_1$ by itself: which $y$ are still possible, and how probable is each?",
    ),
    links=("2 · Why more than one?",),
    cases=_lost_cases,
    run=_entry_run,
    misconceptions={
        "kept": "this is the share that is left, and the share that is gone is asked for",
        "bits": "if these are bits: a share is asked for, what is gone divided by what both gave; if it is a share: what does x1 tell by itself?",
        "percent": "this is a percentage; a share lies between 0 and 1",
        "all": "the first sensor alone still tells something: what do you know about y once you see x1?",
        "nothing": "the first sensor alone does not tell everything: for which x1 is y still open?",
        "half": "two sensors need not share the information evenly: count the bits that x1 tells by itself",
        "guess": "this compares how often a guess is right; information asks for logarithms of probabilities",
    },
    rtol=2e-3,
    atol=0.011,
)

# ---- background.snr ---------------------------------------------------------------------------------------------------


def _snr_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, snr: float, what: str = "") -> Case:
        loud = draw.uniform(batch, 1, low=0.5, high=3.0)
        inputs = {
            "speech": draw.normal(batch, 40) * loud + draw.number(0.5, 1.0),
            "noise": draw.normal(batch, 40, scale=draw.number(1.5, 4.0)),
            "snr": snr,
        }
        return Case(part, inputs, what)

    return [
        case("values", 4, draw.number(-10, -3)),
        case("values", 3, draw.number(3, 20)),
        case("values", 1, draw.number(-10, -3), "a batch of one"),
        case("clean", 3, math.inf, "an SNR of infinity"),
    ]


def _snr_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, rows=("speech", "noise"))


SNR = Task(
    name="background.snr",
    title="Noise, so many decibels below the speech",
    answer="add_noise",
    kind="implement",
    minutes=15,
    difficulty=1,
    parts={"values": 3, "clean": 1},
    prompt=r"""
The chapter spoils sounds with noise of known strength. Write `add_noise(speech, noise, snr)`: two tensors of waveforms $(B, S)$ and a number of
decibels. It gives $(B, S)$, in each row the speech plus the noise scaled by a factor $a$ of its own such that

$$ 10 \log_{10} \frac{\overline{x^2}}{\overline{(a\,n)^2}} = \text{snr}, $$

where the bar is the mean over the samples of that row. `snr` is one number for the whole batch; the noise you are given may be loud or soft, in each row
differently. An SNR of `math.inf` means no noise at all.""",
    hints=(
        "Solve the equation for $a$ with pencil and paper first: it is a square root.",
        "The means run over the samples of a row. `keepdim=True` leaves an axis of length 1 that fits the waveform again.",
        "Check yourself: measure the SNR of what you return, row by row, and compare it with what was asked for.",
    ),
    links=("A worse eye, a worse ear",),
    cases=_snr_cases,
    run=_snr_run,
    misconceptions={
        "no square root": "the factor scales amplitudes, and the ratio in decibels is one of powers: what lies between the two?",
        "twenty": "decibels are counted once too often or too seldom: does your 10 or 20 stand beside a power or beside an amplitude?",
        "sign": "the louder the speech should stand out, the louder your noise gets: follow the sign of the exponent",
        "batch": "one factor serves the whole batch; every row has speech and noise of its own strength",
        "noise as it is": "the factor does not depend on how loud the noise was to begin with",
        "speech ignored": "the factor does not depend on how loud the speech is, so quiet speech drowns",
        "natural": "decibels are built on powers of ten",
        "speech scaled": "the speech is changed, and the noise added as it was: the factor belongs to the other one",
        "noise only": "this is the scaled noise; the speech is missing",
        "variance": "power is the mean of the squares; the variance subtracts the squared mean first",
    },
    blocks=("mmteach.data.audio",),
)

# ---- background.late --------------------------------------------------------------------------------------------------


def _late_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, what: str = "", spread: float = 2.0) -> Case:
        classes = draw.whole(3, 5)
        scores = {f"log_p{m}": draw.normal(batch, classes, scale=spread).log_softmax(-1) for m in (1, 2)}
        return Case(part, scores | {"prior": draw.normal(classes).softmax(-1)}, what)

    return [case("values", 6), case("values", 1, "a batch of one"), case("extremes", 6, "very sure witnesses", 150.0)]


def _late_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, rows=("log_p1", "log_p2"))


LATE = Task(
    name="background.late",
    title="Late fusion when some answers are more frequent than others",
    answer="late",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 3, "extremes": 1},
    prompt=r"""
The chapter's digits are all equally frequent, so it dropped $p(y)$. In the wild they are not: one bird in a thousand is an owl. Go back
to the line before, with $p(y)$ still in it,

$$ p(y \mid x_1, x_2) \;\propto\; \frac{p(y \mid x_1)\; p(y \mid x_2)}{p(y)}, $$

and write `late(log_p1, log_p2, prior)`. It gets two tensors of log-probabilities, $(B, K)$ each, and the probabilities of the $K$ classes,
$(K)$. It gives **log-probabilities** $(B, K)$: their exponentials sum to 1 in each row. Stay in logarithms throughout; a very sure witness gives
log-probabilities of $-200$ and below.""",
    hints=(
        "In logarithms a product is a sum, and a quotient a difference.",
        "What you have then is right up to a constant in each row. Which function subtracts just that constant?",
        "`torch.log_softmax` normalises whatever logarithms it is given. Think about which axis holds the classes.",
    ),
    links=("5 · Two witnesses who have never met",),
    cases=_late_cases,
    run=_late_run,
    misconceptions={
        "prior forgotten": "the classes' frequencies have no effect: whose knowledge is in both answers, and so counted twice?",
        "prior added": "the frequent classes gain by the fusion: each witness has the prior in its answer already, so which way does the correction go?",
        "prior twice": "the prior is corrected for once too often: how often is it in the two answers together, and how often should it be?",
        "prior not logged": "a probability is subtracted from a logarithm: bring the prior to the same scale first",
        "not normalised": "the order of the classes is right, but the probabilities of a row do not sum to one",
        "mean of probabilities": "this averages the two opinions; two independent witnesses who agree should be surer than either",
        "mean of logs": "each witness counts by half: the rule multiplies the two probabilities as they are",
        "probabilities": "these are probabilities, and their logarithms are asked for",
        "wrong axis": "the columns sum to one, not the rows: which axis holds the classes?",
        "underflow": "somewhere you leave the logarithms: the exponential of −200 is 0 in float32, and its logarithm is gone",
    },
)

# ---- background.sure --------------------------------------------------------------------------------------------------


def _sure_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, right: float, spread: float, what: str = "") -> Case:
        logits = draw.normal(batch, 5, scale=spread)
        best = logits.argmax(1)
        truth = torch.where(draw.uniform(batch) < right, best, (best + draw.integers(1, 4, batch)) % 5)
        return Case(part, {"logits": logits, "truth": truth}, what)

    return [
        case("values", 12, 0.4, 3.0),
        case("values", 12, 1.1, 0.7, "a model that is right more often than it is sure"),
        case("values", 1, 1.1, 1.0, "a batch of one"),
        case("extremes", 12, 0.5, 150.0, "logits in the hundreds"),
    ]


def _sure_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


SURE = Task(
    name="background.sure",
    title="How much surer than right?",
    answer="overconfidence",
    kind="implement",
    minutes=10,
    difficulty=1,
    parts={"values": 3, "extremes": 1},
    prompt=r"""
In the chapter's section 5 an image model is wrong *and sure of it*. Measure it. Write `overconfidence(logits, truth)`: it gets scores $(N, K)$
**before** the softmax and the true classes $(N)$, and gives one number,

$$ \frac1N \sum_n \max_k\, p_{nk} \;-\; \frac1N \sum_n \big[\, \arg\max_k p_{nk} = y_n \,\big], \qquad p_n = \mathrm{softmax}(\text{logits}_n). $$

Above 0 the model is surer than it is right, below 0 it is too modest. Logits may be in the hundreds.""",
    hints=(
        "Two means and a difference. How sure the model is has nothing to do with what is true.",
        "`torch.softmax(…, dim=…)`: along which axis must the probabilities sum to 1?",
        "A tensor of True and False becomes numbers by `.float()`, and its mean is a share.",
    ),
    links=("5 · Two witnesses who have never met",),
    cases=_sure_cases,
    run=_sure_run,
    misconceptions={
        "truth": "this takes the probability of the true class; how sure a model is, is the probability of whatever it answers",
        "wrong axis": "the softmax runs over the examples: the probabilities of one example must sum to one",
        "logits": "these are the largest scores, not probabilities: they may be far above 1",
        "other way": "the two terms have changed places: too modest comes out above 0",
        "absolute": "the sign is lost: a modest model and an overconfident one give the same",
        "sum": "the sums are not divided by the number of examples",
        "no accuracy": "this is how sure the model is; how often it is right is not taken off",
        "only accuracy": "this is the share of right (or wrong) answers; how sure the model is does not enter",
        "each absolute": "the distance is taken example by example; the two are averaged first and compared then",
        "not normalised": "the exponentials are not divided by their sum",
        "overflow": "the exponential of 200 is infinite in float32: let the library's softmax subtract the largest score first",
        "only the right": "only the examples that it gets right are averaged: sureness that is misplaced is what we look for",
    },
)

# ---- background.grid --------------------------------------------------------------------------------------------------

READINGS = ("harm", "sigma", "snr", "price")


def _grid_cases(seed: int) -> list[Case]:
    return [Case(entry, {"entry": entry}, f"the entry {entry!r}") for entry in READINGS]


GRID = Task(
    name="background.grid",
    title="Read the table of eight models",
    answer="reading",
    kind="read",
    minutes=15,
    difficulty=1,
    parts=dict.fromkeys(READINGS, 1),
    prompt=r"""
`grid(model)` in the cell below gives the stored test accuracy of one of the chapter's models as a $(5, 5)$ tensor, mean over the seeds: the picture's noise
$\sigma$ down, the sound's SNR across (clean, 20, 10, 0, −10 dB). The models are `image`, `audio`, `concat` and `late`, each as `", trained clean"` and
`", trained with noise"`. The chapter shows heat maps of them; here you read them with numbers. Answer with a dict:

- `"harm"`: in how many of the 25 cells does concatenation, trained clean, lose **more than 0.05** against the better of the two single
  modalities with the same training?
- `"sigma"` and `"snr"`: where late fusion, trained with noise, gains **most** over the better single one with the same training. Give the levels of
  noise there, as they stand in `SIGMAS` and `SNRS` (a clean sound is `math.inf`), not the numbers of row and column;
- `"price"`: with both clean, how much accuracy does late fusion give up when it is trained with noise rather than clean? Three decimals.

Before you compute: in which corner of the table do you expect the largest gain?""",
    hints=(
        "`torch.maximum` of two tables is the better single modality, cell by cell.",
        "Count with `(gain < -0.05).sum()`; think about what the sign of your difference means.",
        "`argmax` counts the cells row by row: divide by 5 for the row, and the rest is the column. What level stands there?",
    ),
    links=("6 · A cure",),
    cases=_grid_cases,
    run=_entry_run,
    misconceptions={
        "against the worse": "the comparison is with the better single modality in each cell; this one takes the worse of the two",
        "against one": "only one of the two single modalities was compared; in each cell it is the better of both that counts",
        "any loss": "losses of 0.05 and less are counted as well",
        "gains counted": "these are the cells in which fusion helps: look at the sign of the difference",
        "other training": "this compares, or reads, models of the other training",
        "most accurate": "this is where late fusion is most accurate; where does it gain most over the better single one?",
        "largest loss": "this is the cell with the smallest gain",
        "negative": "the price is what is lost, a number above 0",
        "worst cell": "the price is asked for where both are clean; which cell of the table is that?",
    },
    rtol=0.0,
    atol=0.0011,
)

# ---- background.pairs -------------------------------------------------------------------------------------------------


def _pairs_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, images: int, sounds: int, what: str = "") -> Case:
        # Every digit that is seen is heard at least three times, and the two lists are in no order.
        digits = draw.permutation(10)[:4]
        seen = digits[draw.integers(0, 3, images)]
        heard = torch.cat([digits.repeat(3), digits[draw.integers(0, 3, sounds - 12)]])[draw.permutation(sounds)]
        while (heard[digits] == digits).any():  # the digit itself is never the place of one of its recordings
            heard = heard[draw.permutation(sounds)]
        return Case(part, {"image_digits": seen, "sound_digits": heard, "seed": draw.whole(0, 10**6)}, what)

    return [case("pairs", 400, 16), case("pairs", 400, 40, "many recordings"), case("chance", 400, 16, "several seeds")]


def _pairs_run(answer: Any, case: Case) -> Observed:
    x = case.inputs

    def called(seed: int) -> Any:
        return answer(x["image_digits"].clone(), x["sound_digits"].clone(), torch.Generator().manual_seed(seed))

    seen = observe.value(answer)
    if callable(answer):
        outputs = {
            "value": plain(called(x["seed"])),
            "again": plain(called(x["seed"])),
            "other": plain(called(x["seed"] + 1)),
        }
        return {"outputs": outputs}
    return seen | {"not callable": True}


def _pairs_notice(case: Case, seen: Observed) -> str | None:
    found = [seen.get("outputs", {}).get(name) for name in ("value", "again", "other")]
    if seen.get("error") or seen.get("not callable"):
        return None
    images, sounds = case.inputs["image_digits"], case.inputs["sound_digits"]
    if not all(isinstance(one, Tensor) and one.shape == images.shape and one.dtype == torch.int64 for one in found):
        return "no indices"
    value, again, other = found
    if value.min() < 0 or value.max() >= len(sounds):
        return "of images" if value.min() >= 0 and value.max() < len(images) else "out of range"
    agree = (sounds[value] == images).float().mean().item()
    if agree < 1:
        order = sounds.argsort(stable=True)
        if (sounds[order][value] == images).all():
            return "sorted"
        if set(value.unique().tolist()) <= set(images.tolist()) and bool((value == images).all()):
            return "digits"
        return "by place" if (value == torch.arange(len(value)) % len(sounds)).all() else "labels apart"
    if not value.equal(again):
        return "unseeded"
    if value.equal(other):
        chosen = {digit: value[images == digit].unique().numel() for digit in images.unique().tolist()}
        return "always the same" if max(chosen.values()) == 1 else "seed ignored"
    if min(value[images == digit].unique().numel() for digit in images.unique().tolist()) == 1:
        return "one a digit"
    reachable = sum((sounds == digit).sum().item() for digit in images.unique().tolist())
    if len(sounds) <= 16 and value.unique().numel() < reachable:
        return "some never"
    return None


PAIRS = Task(
    name="background.pairs",
    title="A model that trains to chance",
    answer="pair",
    kind="debug",
    minutes=20,
    difficulty=2,
    parts={"pairs": 3, "chance": 1},
    prompt=r"""
A colleague has pictures of digits and recordings of digits and trains a fused model on pairs of them. Each modality alone learns well. The pair does no
better than its picture, however long it trains, and the weights for the sound stay near zero. The cell below shows it. Run it, find out why, and mend `pair`.

`pair(image_digits, sound_digits, generator)` gets the digit of each picture $(N)$ and of each recording $(M)$, in no particular order. It gives the number
of a recording for each picture, $(N)$ whole numbers from 0 to $M-1$. A good pairing makes picture and sound two witnesses of **one** digit, and nothing else connects
them: which recording of its digit a picture gets is left to chance, drawn anew from `generator` for each picture, every one of them as likely as the others.
There is at least one recording of every digit that is seen.""",
    hints=(
        "Call `pair_of_the_colleague` on two short tensors of digits that you make up, and print both digits of each pair: `image_digits` and `sound_digits[pair_of_the_colleague(…)]`.",
        "If picture and sound of a pair belong to different digits and the label is the picture's, what can the sound tell about the label?",
        "For one picture: which recordings are of its digit (`nonzero`)? Draw one of them with `torch.randint(…, generator=generator)`.",
    ),
    links=("4 · The first experiment: digits seen and heard",),
    cases=_pairs_cases,
    run=_pairs_run,
    notice=_pairs_notice,
    misconceptions={
        "no indices": "a tensor of whole numbers (int64) is needed, one for each picture: the place of a recording",
        "of images": "these are places in the list of pictures, and the places of recordings are asked for",
        "out of range": "some of these places lie outside the list of recordings",
        "labels apart": "picture and sound of a pair are of different digits: such a sound tells nothing about the label",
        "by place": "the n-th picture gets the n-th recording; the two lists are in no common order",
        "sorted": "these are places in a sorted list of recordings; the caller's list is not sorted",
        "digits": "these are digits, and the places of recordings are asked for",
        "unseeded": "the same generator state gives different pairs: draw from the generator that is passed in, from nothing else",
        "always the same": "a picture's digit decides its recording: whoever hears it always hears the same voice. Leave it to chance",
        "seed ignored": "another generator gives the same pairs: chance has no part in them",
        "one a digit": "all pictures of a digit share one recording: draw anew for each picture",
        "some never": "some recordings of the digits seen are never used: look at the ends of the range that you draw from",
    },
    seconds=10.0,
)

# ---- background.sensors -----------------------------------------------------------------------------------------------

# name: (price, σ); a twin shows the camera's own picture, with the camera's noise.
SENSORS = {
    "camera": (6, 0.8), "lidar": (9, 0.7), "radar": (5, 1.0), "microphone": (4, 1.1), "thermal": (3, 1.3), "touch": (1, 2.5), "twin": (3, 0.8),
}  # fmt: skip
BUDGET = 10


def _sensors_cases(seed: int) -> list[Case]:
    return [Case(entry, {"entry": entry}, f"the entry {entry!r}") for entry in ("sensors", "accuracy")]


def _sensors_run(answer: Any, case: Case) -> Observed:
    seen = observe.entry(answer, case.inputs["entry"])
    names = seen["outputs"]["value"]
    if (
        case.inputs["entry"] == "sensors"
        and isinstance(names, (list, tuple))
        and all(isinstance(n, str) for n in names)
    ):
        seen["outputs"]["value"] = " ".join(sorted(name.strip().casefold() for name in names))
    return seen


def _sensors_notice(case: Case, seen: Observed) -> str | None:
    names = seen.get("outputs", {}).get("value")
    if case.inputs["entry"] != "sensors" or not isinstance(names, str):
        return None
    chosen = names.split()
    if not set(chosen) <= set(SENSORS):
        return "unknown sensor"
    if len(set(chosen)) < len(chosen):
        return "bought twice"
    if sum(SENSORS[name][0] for name in chosen) > BUDGET:
        return "over budget"
    return "twin" if "twin" in chosen else None


SENSORS_TASK = Task(
    name="background.sensors",
    title="Ten coins, seven sensors",
    answer="design",
    kind="design",
    minutes=20,
    difficulty=3,
    parts={"sensors": 2, "accuracy": 2},
    prompt=r"""
A robot must tell whether a door is open ($y = +1$) or shut ($y = -1$); both are equally likely. Sensor $m$ reports $x_m = y + \sigma_m \varepsilon_m$ with
$\varepsilon_m \sim \mathcal N(0, 1)$. You have **10 coins**:

| sensor | price | noise $\sigma$ | note |
|---|---|---|---|
| camera | 6 | 0.8 | |
| lidar | 9 | 0.7 | |
| radar | 5 | 1.0 | |
| microphone | 4 | 1.1 | |
| thermal | 3 | 1.3 | |
| touch | 1 | 2.5 | |
| twin | 3 | 0.8 | a second screen for the camera: it shows the same picture, with the same noise, and nothing without a camera |

The noises are independent of each other, but for the twin's, which is the camera's. Each sensor is sold once. Fusion is the chapter's: log-probabilities are added. Which sensors do
you buy, so that the robot is right as often as it can be, and how often is that? Answer with a dict: `"sensors"`, a list of names, and `"accuracy"`, a
number to three decimals: 0.875 for right seven times in eight.

You may derive it or simulate it. To derive it: the log-odds of one report are $2 x_m / \sigma_m^2$; what is their sum's mean, and its spread, when $y = +1$?
The normal distribution function $\Phi(z)$ is `(1 + math.erf(z / math.sqrt(2))) / 2`.""",
    hints=(
        "Given $y$, the reports are independent, so the log-odds add up. Their sum is again a normal variable.",
        "For $y=+1$ the sum has the mean $2q$ and the variance $4q$, with one $q$ that each sensor adds something to. What does a sensor add?",
        "The robot is right where the sum is above 0: $\\Phi(\\text{mean} / \\text{standard deviation})$. There are few enough baskets to try them all.",
    ),
    links=("2 · Why more than one?", "5 · Two witnesses who have never met"),
    cases=_sensors_cases,
    run=_sensors_run,
    notice=_sensors_notice,
    misconceptions={
        "unknown sensor": "one of these names is not on the list",
        "bought twice": "each sensor is sold once",
        "over budget": "this costs more than 10 coins",
        "twin": "the twin repeats the camera's noise with its picture: given what the camera saw, what does it tell?",
        "best single": "the best single sensor leaves coins for little else: two weaker ones that fail independently may be better",
        "most sensors": "many weak sensors are bought; what each adds falls with the square of its noise",
        "coins left": "one more sensor would still fit in the budget, and an independent one never harms here",
        "mean accuracy": "this is the mean of the single accuracies; two independent witnesses together are better than either",
        "either right": "this is how often at least one of them is right; the robot does not know which one that is",
        "best alone": "this is the accuracy of the better sensor alone: what does the other one add?",
        "noise added": "noises are added where their precisions, one over the variance, should be",
        "averaged reports": "this is the accuracy of the plain mean of the reports: the less noisy one should count for more",
        "amplitudes": "the sensors' strengths add up before they are squared; which of 1/σ and 1/σ² is it that adds?",
        "percent": "this is a percentage; the accuracy lies between 0 and 1",
        "other basket": "this is the accuracy of a basket that is not the best one",
    },
    rtol=5e-4,
    atol=0.0016,
)

TASKS = (LOST, SNR, LATE, SURE, PAIRS, GRID, SENSORS_TASK)
