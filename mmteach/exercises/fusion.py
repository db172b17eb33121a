"""The tasks of chapter 03, Fusion. Their references are in mmteach.exercises.references.fusion."""

from __future__ import annotations

from typing import Any

import torch

from mmteach.exercises import observe, pictures
from mmteach.exercises.draws import Draw
from mmteach.exercises.task import Case, Observed, Task

# ---- fusion.gated -----------------------------------------------------------------------------------------------------


def _gated_cases(seed: int) -> list[Case]:
    draw = Draw(seed)
    cases = []
    for part, batch, what in (
        ("values", draw.whole(4, 6), ""),
        ("values", 1, "a batch of one"),
        ("gradients", 3, "gradients"),
    ):
        image, text, dim = draw.whole(5, 7), draw.whole(8, 9), draw.whole(3, 4)
        width = {"gate.weight": (dim, text), "image.weight": (dim, image), "out.weight": (dim, dim)}
        weights = {name: draw.normal(*shape) for name, shape in width.items()}
        weights |= {f"{name}.bias": draw.normal(dim) for name in ("gate", "image", "out")}
        inputs = {"sizes": [image, text, dim], "weights": weights, "image": draw.normal(batch, image), "text": draw.normal(batch, text)}  # fmt: skip
        cases.append(Case(part, inputs, what))
    return cases


def _gated_run(answer: Any, case: Case) -> Observed:
    x = case.inputs
    return observe.module(
        answer, x["sizes"], x["weights"], {"image": x["image"], "text": x["text"]},
        rows=("image", "text"), gradients=case.part == "gradients",
    )  # fmt: skip


GATED = Task(
    name="fusion.gated",
    title="A gate: the text decides what gets through of the image",
    answer="Gated",
    kind="implement",
    minutes=15,
    difficulty=1,
    parts={"values": 3, "gradients": 1},
    prompt=r"""
A word can say what to look for in a picture. Gated fusion turns that into numbers between 0 and 1, one for each number of the
projected image:

$$ g = \sigma(W_g\, x_\text{text} + b_g), \qquad h = W_x\, x_\text{image} + b_x, \qquad z = W_o\,(g * h) + b_o, $$

where $*$ multiplies number by number (the chapter's gate has layer normalisation as well; leave it out). Write it as a module: `Gated(image_dim, text_dim, dim)`, called as `gated(image, text)` with
tensors of shape $(B, \text{image\_dim})$ and $(B, \text{text\_dim})$, gives $(B, \text{dim})$. Name the three linear layers `gate`, `image`
and `out`, so that the check can give them weights of its own.""",
    hints=(
        "Three `nn.Linear` layers, and one line for each of the three equations.",
        "Which of the two inputs does the gate read, and which does it let through? The shapes of the layers follow from that.",
        "The last layer reads the product $g * h$, so it maps `dim` numbers to `dim` numbers.",
    ),
    links=("2 · The model, layer by layer", "Whom to believe: attention weights, gates, FiLM"),
    cases=_gated_cases,
    run=_gated_run,
    misconceptions={
        "no sigmoid": "what the text computes is no gate yet: its numbers may be anything, and a gate lies between 0 and 1",
        "gate on text": "the gate multiplies the wrong thing: the text decides, and something else is let through",
        "softmax": "the gate's numbers compete with each other (they sum to one); each opens and closes by itself",
        "no output layer": "the product is not the end: one more linear map stands between it and z",
        "sum": "the gate is added to the projected image; a gate scales what passes through it",
        "tanh": "the gate takes values below 0, so it can flip a number's sign; it is to let through more or less of it",
        "half closed": "gate and its opposite are mixed up: where the gate is open, the image must pass",
        "residual": "something gets around the gate: with the gate shut, nothing of the image may be left in z",
        "gate after": "the gate is applied to the result instead of to the projected image: compare the order of the three equations",
    },
    blocks=("mmteach.fusion.gated",),
)


# ---- fusion.count -----------------------------------------------------------------------------------------------------

COUNTS = ("convolutions", "embedding", "lstm", "first dense", "all")


def _count_cases(seed: int) -> list[Case]:
    return [Case(entry, {"entry": entry}, f"the entry {entry!r}") for entry in COUNTS]


def _entry_run(answer: Any, case: Case) -> Observed:
    return observe.entry(answer, case.inputs["entry"])


COUNT = Task(
    name="fusion.count",
    title="Where do the parameters of the classic model sit?",
    answer="parameters",
    kind="predict",
    minutes=15,
    difficulty=2,
    parts=dict.fromkeys(COUNTS, 1),
    prompt=r"""
The classic model of section 2 is to be built for pictures of $64 \times 64$ pixels and a vocabulary of 5,000 words; all else stays. **Predict** with pencil and
paper, **then** build it (the chapter's class is `mmteach.fusion.ClassicFusion`) on the device `meta` and compare. Answer with a dict of whole numbers, the parameters of

- `"convolutions"`: all three convolutions, with biases;
- `"embedding"`: the table of word vectors;
- `"lstm"`: PyTorch's LSTM, which keeps two biases for each gate;
- `"first dense"`: the dense layer with 128 units that the concatenation goes into;
- `"all"`: the whole model.""",
    hints=(
        "A 3 × 3 convolution from $a$ to $b$ channels has $9ab$ weights and $b$ biases, however large the picture is.",
        "Follow the side of the picture: each convolution takes two pixels, each pool halves and rounds down.",
        "An LSTM has four gates; each has weights for the input, weights for the state, and in PyTorch two biases.",
    ),
    links=("2 · The model, layer by layer", "Counting"),
    cases=_count_cases,
    run=_entry_run,
    misconceptions={
        "no biases": "the biases are missing",
        "same padding": "these convolutions have no padding: what does one do to the side of the picture?",
        "no pools": "the pools are missing: each halves the side",
        "grey": "a picture has three colours, so the first convolution reads three channels",
        "one bias": "this LSTM has one bias a gate; PyTorch's has two",
        "one gate": "an LSTM has more gates than this counts",
        "no state": "each gate reads the state as well as the input",
        "no text": "the text's vector also goes into the first dense layer",
        "no channels": "the picture that is flattened has 256 channels",
        "transposed sizes": "this is a table for other words or other vectors: one row a word",
        "no head": "the dense layers after the first are missing",
        "wrong picture": "this is the count for a picture of another size",
    },
    blocks=("mmteach.fusion.classic",),
    rtol=0.0,
    atol=0.5,
)

# ---- fusion.bce -------------------------------------------------------------------------------------------------------


def _bce_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, what: str = "", spread: float = 2.0) -> Case:
        labels = draw.integers(0, 1, batch).float()
        labels[:2] = torch.tensor([1.0, 0.0])[:batch]
        logits = draw.normal(batch, scale=spread)
        if part == "extremes":
            logits = logits.sign() * (logits.abs() + 120)
            logits[:2] = torch.tensor([-200.0, 200.0])
        return Case(part, {"logits": logits, "labels": labels}, what)

    return [
        case("values", 8),
        case("values", 1, "a batch of one"),
        case("extremes", 6, "logits of 200 and −200"),
        case("gradients", 6, "gradients"),
    ]


def _bce_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, gradients=("logits",) if case.part == "gradients" else ())


BCE = Task(
    name="fusion.bce",
    title="The loss of the classic model, without overflow",
    answer="bce",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 2, "extremes": 1, "gradients": 1},
    prompt=r"""
Write `bce(logits, labels)`: scores $a$ $(N)$ **before** the sigmoid, and labels $y$ $(N)$ that are 0.0 or 1.0. It gives one number, the binary cross-entropy

$$ L = -\frac1N \sum_{n} \big[\, y_n \log \hat y_n + (1-y_n) \log(1-\hat y_n) \,\big], \qquad \hat y_n = \sigma(a_n), $$

and it stays finite, with a finite gradient, for logits of $\pm 200$. Do not call PyTorch's own
loss functions, though the check does not see it: write it.""",
    hints=(
        "Where does the naive formula break? Compute $\\sigma(200)$ and $1 - \\sigma(200)$ in float32.",
        "$1 - \\sigma(a) = \\sigma(-a)$, so both logarithms are of the same kind.",
        "$-\\log\\sigma(a) = \\log(1 + e^{-a})$; the library has functions for $\\log\\sigma$ and for $\\log(1+e^x)$ that do not overflow.",
    ),
    links=("4 · Training", "The loss"),
    cases=_bce_cases,
    run=_bce_run,
    misconceptions={
        "overflow": "for a logit of ±200 the loss is not finite: what the logarithm sees has become exactly 0, or infinite, one step before",
        "clamped": "for a logit of ±200 the loss is finite and far too small: clamping hides the mistakes that cost most",
        "sum": "the examples are added and not averaged",
        "other sign": "the loss is negative: what is to be made small is the negative logarithm",
        "only ones": "examples with label 0 cost nothing here",
        "only zeros": "examples with label 1 cost nothing here",
        "swapped": "the labels have changed places: what is right costs most",
        "probabilities": "the logits are taken for probabilities of a second sigmoid: how often is σ applied?",
        "bits": "the logarithm has another base; the natural one is meant",
        "hinge": "this is another loss: it grows in straight lines",
        "squared": "this is the squared error of the probabilities",
        "each": "one number is asked for, the mean over the examples",
    },
)

# ---- fusion.auc -------------------------------------------------------------------------------------------------------


def _auc_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, n: int, what: str = "", ties: bool = False) -> Case:
        labels = draw.integers(0, 1, n)
        labels[:5] = torch.tensor([1, 0, 0, 1, 0])
        scores = draw.normal(n) + 0.8 * labels - 1.5
        if ties:
            scores = (scores * 2).round() / 2
            scores[:2] = scores[0]
        return Case(part, {"scores": scores, "labels": labels}, what)

    return [case("values", 21), case("values", 14), case("ties", 18, "equal scores", True)]


def _auc_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


AUC = Task(
    name="fusion.auc",
    title="A measure that saying no does not fool",
    answer="auc",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 3, "ties": 1},
    prompt=r"""
The area under the ROC curve has a plain meaning: draw one example that is nature (a positive) and one that is not (a negative); the area is the probability that the model scores the first
one higher. Write `auc(scores, labels)` from that meaning: scores $(N)$, labels $(N)$ of 0 and 1, both present. Count all pairs of a positive $p$ and a negative $q$,

$$ \text{auc} = \frac{1}{P\,Q} \sum_{p,\,q} \Big( [\,s_p > s_q\,] + \tfrac12\,[\,s_p = s_q\,] \Big), $$

where $P$ and $Q$ are their numbers. A tie counts half: a coin decides it. Do not call a library's function for it.""",
    hints=(
        "Two tensors: the scores of the positives, and the scores of the negatives.",
        "`positives[:, None] > negatives[None]` compares every one with every one.",
        "Two comparisons, `>` and `==`, as numbers, and one mean over all pairs.",
    ),
    links=("The measure",),
    cases=_auc_cases,
    run=_auc_run,
    misconceptions={
        "ties lost": "equal scores count nothing, as if the model had decided against the positive one",
        "ties won": "equal scores count in full: a model that says the same of all would be perfect",
        "inverted": "this is the probability that the negative one is scored higher",
        "accuracy": "this is the share of right answers at one threshold; the area needs none",
        "all pairs": "pairs of two positives or two negatives are counted as well: what could they tell?",
        "not divided": "the pairs are counted and not divided by their number",
        "recall": "this looks at the positives alone",
        "neighbours": "only the n-th positive meets the n-th negative; every one meets every one",
        "mean scores": "this compares means of scores; the area looks at their order alone",
        "percent": "this is a percentage; a probability lies between 0 and 1",
    },
    blocks=("mmteach.metrics.classification",),
)

# ---- fusion.tensor ----------------------------------------------------------------------------------------------------


def _tensor_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, what: str = "") -> Case:
        image, text = draw.normal(batch, draw.whole(2, 3)), draw.normal(batch, draw.whole(4, 5))
        return Case(part, {"image": image, "text": text}, what)

    return [case("values", 4), case("values", 1, "a batch of one"), case("gradients", 3, "gradients")]


def _tensor_run(answer: Any, case: Case) -> Observed:
    if case.part == "gradients":
        return observe.function(answer, case.inputs, gradients=("image", "text"))
    return observe.function(answer, case.inputs, rows=("image", "text"))


TENSOR = Task(
    name="fusion.tensor",
    title="Every product of a number here and a number there",
    answer="outer",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 3, "gradients": 1},
    prompt=r"""
Tensor fusion (Zadeh et al. 2017) gives the layers after it every product of one number of the image's vector and one of the text's, and keeps what each says
alone, by a 1 put in front of each:

$$ z = \operatorname{vec}\big( [1;\, x_\text{image}] \otimes [1;\, x_\text{text}] \big). $$

Write `outer(image, text)`: $(B, I)$ and $(B, J)$ give $(B, (I+1)(J+1))$. The entry of image number $i$ and text number $j$ stands at $i\,(J+1) + j$, where number 0 is the 1. Then
answer for yourself: which entries hold the image alone, and how long is $z$ for two vectors of 128?""",
    hints=(
        "`torch.cat` with a column of ones, for each of the two.",
        "`a[:, :, None] * b[:, None, :]` has shape $(B, I+1, J+1)$: an outer product for each example.",
        "`flatten(1)` writes each example's table in one row; the last axis runs fastest.",
    ),
    links=("All products: bilinear, tensor, low rank",),
    cases=_tensor_cases,
    run=_tensor_run,
    picture=pictures.tables("value", "place in z"),
    misconceptions={
        "no ones": "the products are there and what each modality says alone is gone: what does the 1 do?",
        "ones behind": "the 1 stands behind the numbers, and it belongs in front of them",
        "one of the two": "only one of the two vectors has its 1",
        "other order": "the right numbers in another order: which of the two indices runs fastest?",
        "table": "each example's table is to be written in one row",
        "side by side": "this is concatenation: no number of one meets a number of the other",
        "across examples": "numbers of one example meet numbers of another: each has an outer product of its own",
        "sum": "the pairs are added, and products are asked for",
        "zeros": "a 0 in front makes all its products 0",
    },
    blocks=("mmteach.fusion.tensor",),
)

# ---- fusion.drop ------------------------------------------------------------------------------------------------------


def _drop_cases(seed: int) -> list[Case]:
    draw = Draw(seed)
    p = draw.whole(23, 42) / 64  # a number that float32 holds exactly: one draw is equal to it
    some = draw.uniform(12, 3)
    some[0], some[1] = torch.tensor([0.9, 0.1, 0.9]), torch.tensor([0.1, 0.9, 0.9])
    some[2] = torch.tensor([p, 0.1, 0.9])
    none = draw.uniform(6, 3, high=0.3)
    none[0] = torch.tensor([0.1, 0.05, 0.25])
    return [
        Case("values", {"draws": torch.cat([some, none[:2]]), "p": p}),
        Case("values", {"draws": some[:1].clone(), "p": p}, "a batch of one"),
        Case("last", {"draws": none, "p": p}, "examples that would lose all their modalities"),
    ]


def _drop_run(answer: Any, case: Case) -> Observed:
    seen = observe.function(answer, case.inputs, rows=("draws",))
    found = seen["outputs"]["value"]
    if isinstance(found, torch.Tensor):
        seen["outputs"]["dtype"] = str(found.dtype).removeprefix("torch.")
    return seen


def _drop_notice(case: Case, seen: Observed) -> str | None:
    dtype = seen.get("outputs", {}).get("dtype")
    return "no bool" if dtype is not None and dtype != "bool" else None


DROP = Task(
    name="fusion.drop",
    title="Hide modalities in training, but never all",
    answer="keep",
    kind="implement",
    minutes=15,
    difficulty=2,
    parts={"values": 2, "last": 2},
    prompt=r"""
A model that has always seen both modalities is lost when one is missing. Modality dropout (Neverova et al. 2016) hides them at random in training. Write its
decision, `keep(draws, p)`: `draws` $(B, M)$ holds one uniform random number in $[0, 1)$ for each of the $M$ modalities of each example. It gives a bool tensor $(B, M)$, True where
the modality stays: where its draw is **at least** $p$, so that each is hidden with probability $p$. An example that would lose all keeps one: the modality
with its **largest** draw.""",
    hints=(
        "One comparison does the ordinary case.",
        "`any(dim=…)` finds the examples that would lose everything. Which axis holds an example's modalities?",
        "For those, the place of the largest draw (`argmax`) as a row of True and False: `one_hot`, or a comparison with the row's maximum.",
    ),
    links=("10 · When a modality is missing",),
    cases=_drop_cases,
    run=_drop_run,
    picture=pictures.tables("value", "modality"),
    notice=_drop_notice,
    misconceptions={
        "no bool": "these are numbers, and True and False are asked for",
        "inverted": "this says which are hidden, and which stay is asked for",
        "all lost": "some examples lose all their modalities: nothing is left to learn from",
        "all back": "an example that would lose all gets everything back, so whole examples are seen too often",
        "first": "it is always the first modality that is saved: the others never learn to stand alone",
        "smallest": "the modality with the smallest draw is saved, and the largest is asked for",
        "always the largest": "only one modality an example stays, even where several draws are large enough",
        "whole batch": "the batch decides together; every example decides by itself",
        "largest of all": "the saved one is found over the examples; it is the largest draw of its own example",
        "one draw": "all modalities of an example share one draw, so they are hidden together",
    },
    blocks=("mmteach.fusion.dropout",),
)

# ---- fusion.weights ---------------------------------------------------------------------------------------------------


def _weights_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def case(part: str, batch: int, what: str = "", spread: float = 1.0, missing: bool = False) -> Case:
        present = torch.ones(batch, 3, dtype=torch.bool)
        if missing:
            present[:3] = torch.tensor([[True, False, True], [False, False, True], [True, True, False]])
        inputs = {
            "vectors": draw.normal(batch, 3, 4),
            "scores": draw.normal(batch, 3, scale=spread),
            "present": present,
        }
        return Case(part, inputs, what)

    return [
        case("values", 5),
        case("values", 1, "a batch of one"),
        case("missing", 5, "modalities that are absent", missing=True),
        case("missing", 4, "scores in the hundreds", 200.0, True),
    ]


def _weights_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs, rows=("vectors", "scores", "present"))


WEIGHTS = Task(
    name="fusion.weights",
    title="A fused model that is good in batches and poor alone",
    answer="fuse",
    kind="debug",
    minutes=20,
    difficulty=2,
    parts={"values": 2, "missing": 2},
    prompt=r"""
This fusion averages the modalities' vectors with learned weights. With batches of 64 it trains well; asked about one example at a time it is right far less often,
as the cell below shows. And where a modality is absent, whatever stands in its place still moves the answer. There are **two** faults in
`fuse_with_faults`. Find both, and write a `fuse` without them.

`fuse(vectors, scores, present)` gets $(B, M, D)$ vectors, one for each of $M$ modalities, their scores $(B, M)$, and a bool tensor $(B, M)$, True where a modality is there; at least one
is. In the place of an absent one stand zeros, or numbers left from before. It gives

$$ z = \sum_{m\ \text{present}} w_m\, x_m, \qquad w_m = \frac{e^{s_m}}{\sum_{m'\ \text{present}} e^{s_{m'}}} \qquad (B, D). $$""",
    hints=(
        "Give the function one example, then the same example in a batch of two: what changes?",
        "Print the weights of one example and add them up, with all modalities there and with one absent.",
        "A score of minus infinity has weight 0 after a softmax: `masked_fill` before it, not after.",
    ),
    links=("Whom to believe: attention weights, gates, FiLM", "10 · When a modality is missing"),
    cases=_weights_cases,
    run=_weights_run,
    misconceptions={
        "batch": "the weights of one example depend on the others in its batch: over which axis must they sum to one?",
        "absent counts": "an absent modality still takes part: its vector, or its share of the weights",
        "no second sum": "the absent ones are taken out after the weights were made, so the weights that are left no longer sum to one",
        "score zero": "an absent modality gets the score 0, and that is a weight above 0: which score has the weight 0?",
        "mean": "all modalities count alike: the scores have no effect",
        "not normalised": "the weights do not sum to one",
        "sigmoid": "each weight is made by itself; they compete with each other, so that they sum to one",
        "absent only": "these are the absent ones: True means that the modality is there",
        "largest": "only the modality with the largest score counts; the others have a weight too",
        "overflow": "for scores in the hundreds the exponentials overflow: let the library's softmax take off the largest first",
    },
    blocks=("mmteach.fusion.simple", "mmteach.fusion._vectors"),
)

# ---- fusion.choose ----------------------------------------------------------------------------------------------------


def _choose_cases(seed: int) -> list[Case]:
    draw = Draw(seed)

    def history(epochs: int) -> list[dict[str, float]]:
        # The best epoch of each column is another one, and none of them is the first or the last.
        best = (draw.permutation(epochs - 2) + 1).tolist()
        # Two mistakes would look the same where the two areas are best beside each other, or the smallest is the last one.
        while 2 * best[1] < epochs or (epochs > 5 and abs(best[1] - best[2]) < 2):
            best = (draw.permutation(epochs - 2) + 1).tolist()
        rows = []
        for epoch in range(epochs):
            rows.append({
                "train_loss": round(0.7 - 0.05 * epoch + draw.number(0, 0.02), 4),
                "valid_loss": round(0.4 + 0.05 * abs(epoch - best[0]) + draw.number(0, 0.01), 4),
                "valid_auc": round(0.9 - 0.02 * abs(epoch - best[1]) - draw.number(0, 0.008), 4),
                "test_auc": round(0.88 - 0.02 * abs(epoch - best[2]) - draw.number(0, 0.008), 4),
            })  # fmt: skip
        return rows

    return [
        Case("choice", {"history": history(draw.whole(6, 9))}),
        Case("choice", {"history": history(5)}, "five epochs"),
    ]


def _choose_run(answer: Any, case: Case) -> Observed:
    return observe.function(answer, case.inputs)


CHOOSE = Task(
    name="fusion.choose",
    title="Which epoch, and which figure, goes into the table?",
    answer="reported",
    kind="read",
    minutes=10,
    difficulty=1,
    parts={"choice": 3},
    prompt=r"""
A run of the classic model left a table: a list with one dict for each epoch, and in each `"train_loss"`, `"valid_loss"`, `"valid_auc"` and `"test_auc"`. The chapter chooses the epoch by the
figure it cares about, on the split that is made for choosing, and reports what that epoch does on the test. Write that down as a function:
`reported(history)` gives a dict `{"epoch": …, "auc": …}`, the epoch counted **from 1**, and the figure to report.""",
    hints=(
        "Which split may be looked at as often as you like, and which only once?",
        "The loss and the area need not be best in the same epoch: the end of section 4 says which of the two the chapter goes by, and why.",
        "`max(range(len(history)), key=…)` gives a place counted from 0.",
    ),
    links=("4 · Training", "5 · Does it help?"),
    cases=_choose_cases,
    run=_choose_run,
    misconceptions={
        "by the test": "the epoch was chosen on the test: then the test has taken part in training, and its figure promises too much",
        "by the loss": "the epoch was chosen by the validation loss; the chapter goes by the figure that it cares about",
        "last epoch": "this is the last epoch, whatever validation says",
        "from zero": "epochs are counted from 1",
        "validation figure": "the epoch is right, and the figure is the one it was chosen by: it looks better than a new example will find it",
        "best test": "the epoch is right, and the figure is the best of all epochs on the test",
        "worst": "this is the epoch with the smallest area: larger is better",
        "one later": "the figure belongs to another epoch than the one named",
        "mean": "this is a mean over the epochs; one epoch is chosen, and it is that one that is reported",
    },
    rtol=0.0,
    atol=1e-6,
)

TASKS = (COUNT, BCE, AUC, CHOOSE, GATED, TENSOR, DROP, WEIGHTS)
