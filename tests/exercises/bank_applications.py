"""Right and wrong answers to the tasks of chapter 06."""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import torch
from torch.nn import functional as F

from mmteach.generation import ctc_greedy, ctc_loss
from mmteach.metrics import character_error_rate

# ---- applications.precision


def ranked(scores, relevant, descending=True):
    return relevant.gather(1, scores.argsort(1, descending=descending)).float()


def places(right):
    return torch.arange(1, right.shape[1] + 1)


def average_precision(right):
    return (right.cumsum(1) / places(right) * right).sum(1) / right.sum(1)


def mean_ap(scores, relevant):
    return average_precision(ranked(scores, relevant)[relevant.any(1)]).mean()


def mean_ap_loop(scores, relevant):
    values = []
    for row, some in zip(scores.tolist(), relevant.tolist()):
        hits = total = 0
        for k, n in enumerate(sorted(range(len(row)), key=lambda n: -row[n]), start=1):
            if some[n]:
                hits += 1
                total += hits / k
        if hits:
            values.append(total / hits)
    return sum(values) / len(values)


def mean_ap_ranks(scores, relevant):
    """From the rank of each right picture among all and among the right ones, in float64."""
    above = (scores.double()[:, None] >= scores.double()[:, :, None]).double()  # (Q, picture, those not below it)
    precision = torch.einsum("qnm,qm->qn", above, relevant.double()) / above.sum(2)
    sums, counts = (precision * relevant).sum(1), relevant.sum(1)
    return (sums[counts > 0] / counts[counts > 0]).mean().item()


def by_row(make):
    """The mean, over the queries that have a right picture, of what is made of their ranked rows."""
    return lambda scores, relevant: make(ranked(scores, relevant)[relevant.any(1)]).mean()


# ---- applications.greedy


def merged(path):
    return [label for label, _ in itertools.groupby(path)]


def without(path, blank=0):
    return [label for label in path if label != blank]


def saying(say):
    """Each recording's path within its length, and what is made of it."""
    return lambda scores, lengths: [
        say(row.argmax(1).tolist()[:n]) for row, n in zip(scores, lengths.tolist(), strict=True)
    ]


def greedy_loop(scores, lengths):
    texts = []
    for b in range(len(scores)):
        text, before = [], 0
        for t in range(lengths[b]):
            label = max(range(scores.shape[2]), key=lambda v: scores[b, t, v])
            if label not in (before, 0):
                text.append(label)
            before = label
        texts.append(text)
    return texts


def greedy_tensors(scores, lengths):
    best = scores.argmax(dim=-1)
    runs = [torch.unique_consecutive(row[:n]) for row, n in zip(best, lengths)]
    return [run[run != 0] for run in runs]


def greedy_mask(scores, lengths):
    best = scores.double().numpy().argmax(-1)
    begins = np.concatenate([np.ones((len(best), 1), bool), best[:, 1:] != best[:, :-1]], axis=1)
    keep = begins & (best != 0) & (np.arange(best.shape[1]) < lengths.numpy()[:, None])
    return [[int(label) for label in row[kept]] for row, kept in zip(best, keep)]


# ---- applications.frames

FRAMES = {"fewest": 9, "seconds": 0.27, "no": 15, "oo": 5, "loss": math.log(81 / 15)}

# ---- applications.ctc


def ctc_by(
    log_p,
    y,
    zero=-1e9,
    blank=0,
    skip=lambda s, i: s[i] not in (0, s[i - 2]),
    stay=True,
    start=(0, 1),
    end=(-1, -2),
    add=None,
):
    """The table with Python lists of tensors; the options break it."""
    add = add or (lambda terms: torch.logsumexp(torch.stack(terms), 0))
    s = [blank, *(label for one in y for label in (one, blank))]
    nothing = torch.full_like(log_p[0, 0], zero)
    alpha = [log_p[0, s[i]] if i in start else nothing for i in range(len(s))]
    for row in log_p[1:]:
        before, alpha = alpha, []
        for i, label in enumerate(s):
            terms = [before[i]] if stay else []
            terms += [before[i - 1]] * (i > 0)
            terms += [before[i - 2]] if i > 1 and skip(s, i) else []
            alpha.append(row[label] + add(terms) if terms else nothing)
    return -add([alpha[i] for i in (range(len(s)) if end is None else end)])


def ctc_rows(log_p, y):
    """A row of the table at a time, in float64."""
    s = torch.tensor([0, *(label for one in y for label in (one, 0))])
    jumps = F.pad((s[2:] != 0) & (s[2:] != s[:-2]), (2, 0))
    alpha = torch.where(torch.arange(len(s)) < 2, log_p[0, s].double(), -1e30)
    for row in log_p.double()[1:]:
        one, two = F.pad(alpha, (1, 0), value=-1e30)[:-1], F.pad(alpha, (2, 0), value=-1e30)[:-2]
        two = torch.where(jumps, two, -1e30)
        alpha = row[s] + torch.logaddexp(torch.logaddexp(alpha, one), two)
    return -torch.logaddexp(alpha[-1], alpha[-2])


def ctc_scaled(log_p, y):
    """With probabilities, each frame's brought to sum 1 and the logarithms of the sums kept."""
    s = [0, *(label for one in y for label in (one, 0))]
    p = log_p.double().exp()
    steps = torch.eye(len(s), dtype=torch.float64)
    for i in range(1, len(s)):
        steps[i, i - 1] = 1
        if i > 1 and s[i] != 0 and s[i] != s[i - 2]:
            steps[i, i - 2] = 1
    alpha = torch.cat([p[0, s[:2]], torch.zeros(len(s) - 2, dtype=torch.float64)])
    total = torch.zeros((), dtype=torch.float64)
    for row in p[1:]:
        scale = alpha.sum()
        total = total + scale.log()
        alpha = row[s] * (steps @ (alpha / scale))
    return -(total + (alpha[-1] + alpha[-2]).log())


def ctc_backwards(log_p, y):
    """From the end: the same table read from behind."""
    return ctc_by(log_p.flip(0), y[::-1])


def ctc_of_the_chapter(log_p, y):
    p, s = log_p.exp(), [0, *(label for one in y for label in (one, 0))]
    alpha = [p[0, s[0]], p[0, s[1]], *[torch.zeros(())] * (len(s) - 2)]
    for t in range(1, len(p)):
        before, alpha = alpha, []
        for i, label in enumerate(s):
            come = before[i] + (before[i - 1] if i > 0 else 0)
            if i > 1 and label not in (0, s[i - 2]):
                come = come + before[i - 2]
            alpha.append(p[t, label] * come)
    return -(alpha[-1] + alpha[-2]).log()


def ctc_of_pytorch(log_p, y):
    return F.ctc_loss(log_p[:, None], torch.tensor([y]), [len(log_p)], [len(y)], reduction="sum")


def ctc_around(log_p, y):
    """Before the first place it reads the last one."""
    s = [0, *(label for one in y for label in (one, 0))]
    alpha = [log_p[0, 0], log_p[0, y[0]]] + [torch.tensor(-1e9)] * (len(s) - 2)
    for row in log_p[1:]:
        before, alpha = alpha, []
        for i, label in enumerate(s):
            come = torch.logaddexp(before[i], before[i - 1])
            if i > 1 and label not in (0, s[i - 2]):
                come = torch.logaddexp(come, before[i - 2])
            alpha.append(row[label] + come)
    return -torch.logaddexp(alpha[-1], alpha[-2])


def ctc_by_sums(log_p, y):
    return ctc_by(log_p, y, zero=-torch.inf, add=sum)


def largest_of(terms):
    return torch.stack(terms).amax(0)


# ---- applications.cer


def edits(a, t, inserted=1, deleted=1, exchanged=1, edge=True):
    d = [[0] * (len(t) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) + 1):
        for j in range(len(t) + 1):
            if i == 0 or j == 0:
                d[i][j] = edge * (i * inserted + j * deleted)
            else:
                change = d[i - 1][j - 1] + exchanged * (a[i - 1] != t[j - 1])
                d[i][j] = min(d[i - 1][j] + inserted, d[i][j - 1] + deleted, change)
    return d[-1][-1]


def rate(cost=edits, length=lambda a, t: len(t)):
    return lambda answers, transcripts: (
        sum(map(cost, answers, transcripts)) / (sum(map(length, answers, transcripts)) or math.inf)
    )


def cer_memo(answers, transcripts):
    """By recursion that remembers."""
    total = 0
    for a, t in zip(answers, transcripts):
        known = {}

        def d(i, j, a=a, t=t, known=known):
            if min(i, j) == 0:
                return max(i, j)
            if (i, j) not in known:
                exchanged = d(i - 1, j - 1) + (a[i - 1] != t[j - 1])
                known[i, j] = exchanged if a[i - 1] == t[j - 1] else min(d(i - 1, j) + 1, d(i, j - 1) + 1, exchanged)
            return known[i, j]

        total += d(len(a), len(t))
    return total / sum(map(len, transcripts))


def cer_numpy(answers, transcripts):
    """A diagonal at a time would be faster; a row at a time with a running minimum is short."""
    wrong = 0
    for a, t in zip(answers, transcripts):
        row, places = np.arange(len(t) + 1), np.arange(len(t) + 1)
        for i, letter in enumerate(a, start=1):
            change = row[:-1] + np.array([letter != other for other in t])
            new = np.concatenate([[i], np.minimum(row[1:] + 1, change)])
            row = np.minimum.accumulate(new - places) + places
        wrong += row[-1]
    return torch.tensor(wrong / len("".join(transcripts)))


def each_alone(answers, transcripts):
    return sum(edits(a, t) / len(t) for a, t in zip(answers, transcripts)) / len(answers)


# ---- applications.motion


def motion(clips):
    x = clips.float().mean(2) / 255
    step = F.pad(x[:, 1:] - x[:, :-1], (0, 0, 0, 0, 0, 1))
    return torch.stack([x - x.mean((1, 2, 3), keepdim=True), step], 2)


def motion_loop(clips):
    out = torch.zeros(len(clips), clips.shape[1], 2, *clips.shape[3:])
    for clip, found in zip(clips.numpy() / 255, out):
        grey = (clip[:, 0] + clip[:, 1] + clip[:, 2]) / 3
        for t, frame in enumerate(grey):
            found[t, 0] = torch.tensor(frame - grey.mean())
            if t + 1 < len(grey):
                found[t, 1] = torch.tensor(grey[t + 1] - frame)
    return out


def motion_float64(clips):
    x = torch.einsum("btchw->bthw", clips.double()) / 765
    mean = torch.einsum("bthw->b", x) / x[0].numel()
    after = torch.cat([x[:, 1:], x[:, -1:]], 1)
    return torch.cat([(x - mean[:, None, None, None])[:, :, None], (after - x)[:, :, None]], 2)


def moving(mean=(1, 2, 3), second=None, grey=lambda clips: clips.float().mean(2) / 255, at=2):
    def answer(clips):
        x = grey(clips)
        first = x - (x.mean(mean, keepdim=True) if mean else 0)
        return torch.stack([first, motion(clips)[:, :, 1] if second is None else second(x)], at)

    return answer


def motion_bytes(clips):
    x = clips.float().mean(2).to(torch.uint8)
    step = F.pad(x[:, 1:] - x[:, :-1], (0, 0, 0, 0, 0, 1)) / 255
    return torch.stack([motion(clips)[:, :, 0], step], 2)


# ---- applications.carry


def carry(kernel, dense, gates, size):
    height, width = size
    picture = dense.T.reshape(dense.shape[1], height, width, -1)
    i, o, f, g = gates.chunk(4)
    return {
        "kernel": kernel.permute(3, 2, 0, 1),
        "dense": picture.permute(0, 3, 1, 2).flatten(1),
        "gates": torch.cat([i, f, g, o]),
    }


def carry_places(kernel, dense, gates, size):
    places = torch.arange(len(dense)).view(*size, -1).permute(2, 0, 1).flatten()
    order = torch.tensor([0, 2, 3, 1])
    return {
        "gates": gates.view(4, -1, gates.shape[1])[order].flatten(0, 1),
        "dense": dense[places].mT,
        "kernel": torch.einsum("hwio->oihw", kernel),
    }


def carry_loop(kernel, dense, gates, size):
    (height, width), (rows, units) = size, dense.shape
    channels, d = rows // (height * width), len(gates) // 4
    new = torch.zeros(units, rows, dtype=torch.float64)
    for y, x, c in itertools.product(range(height), range(width), range(channels)):
        new[:, (c * height + y) * width + x] = dense[(y * width + x) * channels + c]
    return {
        "kernel": np.transpose(kernel.numpy(), (3, 2, 0, 1)),
        "dense": new,
        "gates": torch.tensor(
            np.concatenate([gates.numpy()[:d], gates.numpy()[2 * d :], gates.numpy()[d : 2 * d]]),
        ),
    }


def carry_tensors(kernel, dense, gates, size):
    found = carry_loop(kernel, dense, gates, size)
    return found | {"kernel": torch.tensor(found["kernel"])}


def carrying(**parts):
    """Right but for these parts, each a function of what is to be carried."""

    def answer(kernel, dense, gates, size):
        given = {"kernel": (kernel,), "dense": (dense, *size), "gates": (gates,)}
        return carry(kernel, dense, gates, size) | {name: make(*given[name]) for name, make in parts.items()}

    return answer


# ---- applications.split


def words(text):
    return [word.strip(".,!?") for word in text.lower().split()]


def splitting(train, test, form=words, first=0):
    def answer(speakers, texts, new_speakers, new_texts):
        new = [form(t) for t in new_texts]
        kinds = [(s in new_speakers, form(t) in new) for s, t in zip(speakers, texts)]
        return {
            "train": [i for i, kind in enumerate(kinds, start=first) if train(*kind)],
            "test": [i for i, kind in enumerate(kinds, start=first) if test(*kind)],
        }

    return answer


def neither(s, t):
    return not s and not t


def both(s, t):
    return s and t


def split_sets(speakers, texts, new_speakers, new_texts):
    def plain(text):
        return "".join(c for c in text.casefold() if c.isalpha())

    new = set(map(plain, new_texts))
    by_speaker = {i for i, s in enumerate(speakers) if s in set(new_speakers)}
    by_text = {i for i, t in enumerate(texts) if plain(t) in new}
    return {"test": sorted(by_speaker & by_text), "train": sorted(set(range(len(texts))) - by_speaker - by_text)}


def split_tensors(speakers, texts, new_speakers, new_texts):
    table = str.maketrans("", "", ".,!?")
    texts, new_texts = ([" ".join(t.translate(table).lower().split()) for t in one] for one in (texts, new_texts))
    s = torch.tensor([one in new_speakers for one in speakers])
    t = torch.tensor([one in new_texts for one in texts])
    return {"train": (~s & ~t).nonzero().flatten().flip(0), "test": (s & t).nonzero().flatten()}


def split_texts(speakers, texts, new_speakers, new_texts):
    found = split_sets(speakers, texts, new_speakers, new_texts)
    return {part: [texts[i] for i in places] for part, places in found.items()}


# ---- applications.fails


def pooled(rows):
    return sum(r["edits"] for r in rows) / sum(r["characters"] for r in rows)


def mean(rows):
    return sum(r["edits"] / r["characters"] for r in rows) / len(rows)


def largest(rows):
    return max(r["edits"] / r["characters"] for r in rows)


def failing(by=pooled, rate=pooled, whole=pooled):
    def answer(rows):
        people = {r["speaker"]: [q for q in rows if q["speaker"] == r["speaker"]] for r in rows}
        worst = max(people, key=lambda name: by(people[name]))
        return {"rate": whole(rows), "speaker": worst, "worst": rate(people[worst])}

    return answer


def fails_sums(rows):
    sums = defaultdict(lambda: [0, 0])
    for row in rows:
        for name in (row["speaker"], "all"):
            sums[name][0] += row["edits"]
            sums[name][1] += row["characters"]
    everyone = sums.pop("all")
    rates = {name: e / n for name, (e, n) in sums.items()}
    worst = sorted(rates, key=rates.get)[-1]
    return {"worst": rates[worst], "rate": everyone[0] / everyone[1], "speaker": worst}


def fails_tensors(rows):
    names = sorted({row["speaker"] for row in rows})
    place = torch.tensor([names.index(row["speaker"]) for row in rows])
    table = torch.tensor([[row["edits"], row["characters"]] for row in rows], dtype=torch.float64)
    sums = torch.zeros(len(names), 2, dtype=torch.float64).index_add(0, place, table)
    rates = sums[:, 0] / sums[:, 1]
    return {"rate": table[:, 0].sum() / table[:, 1].sum(), "speaker": names[rates.argmax()], "worst": rates.max()}


def mean_of_people(rows):
    people = {r["speaker"] for r in rows}
    return sum(pooled([r for r in rows if r["speaker"] == p]) for p in people) / len(people)


def mean_of_means(rows):
    people = {r["speaker"] for r in rows}
    return sum(mean([r for r in rows if r["speaker"] == p]) for p in people) / len(people)


# ---- applications.plan


def plan(speakers, sentences, test_speakers, test_sentences):
    return {
        "speakers": speakers,
        "sentences": sentences,
        "test_speakers": test_speakers,
        "test_sentences": test_sentences,
    }


BANK = {
    "applications.precision": (
        {"gather and cumsum": mean_ap, "loops": mean_ap_loop, "ranks by comparison, float64": mean_ap_ranks},
        {
            "reciprocal rank": (by_row(lambda r: 1 / (r.argmax(1) + 1)), "first alone"),
            "smallest first": (lambda s, r: mean_ap(-s, r), "worst first"),
            "as they came": (lambda s, r: average_precision(r[r.any(1)].float()).mean(), "not ranked"),
            "precision at R": (
                by_row(lambda r: torch.stack([row[: int(row.sum())].mean() for row in r])),
                "at the end",
            ),
            "precision of all": (by_row(lambda r: r.mean(1)), "at the end"),
            "at every rank": (by_row(lambda r: (r.cumsum(1) / places(r)).mean(1)), "every place"),
            "by all pictures": (by_row(lambda r: (r.cumsum(1) / places(r) * r).mean(1)), "all pictures"),
            "over all hits": (
                by_row(lambda r: (r.cumsum(1) / places(r))[r > 0]),
                "hits together",
            ),
            "ranked over queries": (lambda s, r: mean_ap(s.T, r.T), "wrong axis"),
            "hits before": (
                by_row(lambda r: ((r.cumsum(1) - 1) / places(r) * r).sum(1) / r.sum(1)),
                "before",
            ),
            "ranks from zero": (
                by_row(lambda r: (r.cumsum(1) / (places(r) + 1) * r).sum(1) / r.sum(1)),
                "from zero",
            ),
            "places from zero": (
                by_row(lambda r: ((r.cumsum(1) / (places(r) - 1)).nan_to_num() * r).sum(1) / r.sum(1)),
                "from zero",
            ),
            "empty ones are zero": (
                lambda s, r: average_precision(ranked(s, r)).nan_to_num().mean(),
                "query at zero",
                "none",
            ),
            "no care for empty ones": (lambda s, r: average_precision(ranked(s, r)).mean(), "nan", "none"),
            "a number each": (lambda s, r: average_precision(ranked(s, r)[r.any(1)]), "each"),
            "percent": (lambda s, r: 100 * mean_ap(s, r), "percent"),
        },
    ),
    "applications.greedy": (
        {
            "groupby": saying(lambda path: without(merged(path))),
            "a loop": greedy_loop,
            "unique_consecutive": greedy_tensors,
            "numpy and a mask": greedy_mask,
        },
        {
            "blanks first": (saying(lambda path: merged(without(path))), "blanks first"),
            "repeats stay": (saying(without), "repeats stay"),
            "blanks stay": (saying(merged), "blanks stay"),
            "the alignment": (saying(list), "not collapsed"),
            "a set": (saying(lambda path: list(dict.fromkeys(without(path)))), "each once"),
            "all frames": (
                lambda scores, lengths: [without(merged(row.argmax(1).tolist())) for row in scores],
                "padding read",
                "padding",
            ),
            "the longest one's frames": (
                lambda s, n: [without(merged(row.argmax(1).tolist()[: n.max()])) for row in s],
                "padding read",
                "padding",
            ),
            "over the frames": (
                lambda scores, lengths: [without(merged(row.argmax(0).tolist())) for row in scores],
                "wrong axis",
            ),
            "blank is the last": (saying(lambda path: without(merged(path), 4)), "other blank"),
            "a frame too few": (saying(lambda path: without(merged(path[:-1]))), "one short"),
            "the smallest": (
                lambda s, n: [without(merged(row.argmin(1).tolist()[:k])) for row, k in zip(s, n)],
                "smallest",
            ),
            "the library's": (lambda s, n: ctc_greedy(s.log_softmax(-1), n), "borrowed"),
            "one text": (lambda s, n: saying(lambda path: without(merged(path)))(s, n)[0], "length"),
        },
    ),
    "applications.frames": (
        {
            "by hand": FRAMES,
            "rounded": FRAMES | {"loss": 1.686},
            "tensors": {k: torch.tensor(v) for k, v in FRAMES.items()},
        },
        {
            "seven": (FRAMES | {"fewest": 7}, "a frame a letter", "length"),
            "eight": (FRAMES | {"fewest": 8}, "one pair", "length"),
            "blanks all around": (FRAMES | {"fewest": 15}, "blanks everywhere", "length"),
            "five letters": (FRAMES | {"fewest": 5}, "single letters", "length"),
            "of the spectrogram": (FRAMES | {"seconds": 0.09}, "spectrogram frames", "length"),
            "milliseconds": (FRAMES | {"seconds": 270}, "milliseconds", "length"),
            "stretched letters": (FRAMES | {"no": 3}, "letters only", "alignments"),
            "two of four": (FRAMES | {"no": 6}, "places only", "alignments"),
            "all there are": (FRAMES | {"no": 81}, "all", "alignments"),
            "as for no": (FRAMES | {"oo": 15}, "as if different", "alignments"),
            "o, blank, o": (FRAMES | {"oo": 3}, "letters only", "alignments"),
            "of one": (FRAMES | {"loss": math.log(81)}, "one alignment", "loss"),
            "probability": (FRAMES | {"loss": 15 / 81}, "probability", "loss"),
            "bits": (FRAMES | {"loss": math.log2(81 / 15)}, "other base", "loss"),
            "negative": (FRAMES | {"loss": -math.log(81 / 15)}, "sign", "loss"),
            "per frame": (FRAMES | {"loss": math.log(81 / 15) / 4}, "a frame", "loss"),
        },
    ),
    "applications.ctc": (
        {
            "lists": ctc_by,
            "rows in float64": ctc_rows,
            "scaled probabilities": ctc_scaled,
            "from the end": ctc_backwards,
        },
        {
            "equal letters merge": (lambda p, y: ctc_by(p, y, skip=lambda s, i: s[i] != 0), "merged", "repeats"),
            "blanks are never skipped": (lambda p, y: ctc_by(p, y, skip=lambda s, i: False), "no skip"),
            "letters are skipped": (lambda p, y: ctc_by(p, y, skip=lambda s, i: True), "blanks skipped"),
            "a frame a letter": (lambda p, y: ctc_by(p, y, stay=False), "no stay"),
            "ends at the last blank": (lambda p, y: ctc_by(p, y, end=(-1,)), "one end"),
            "ends at the last letter": (lambda p, y: ctc_by(p, y, end=(-2,)), "one end"),
            "begins with a blank": (lambda p, y: ctc_by(p, y, start=(0,)), "one start"),
            "round the end": (ctc_around, "around"),
            "logarithms added": (ctc_by_sums, "logarithms added"),
            "ends anywhere": (lambda p, y: ctc_by(p, y, end=None), "any end"),
            "the likeliest": (lambda p, y: ctc_by(p, y, add=largest_of), "best alignment"),
            "no minus": (lambda p, y: -ctc_by(p, y), "sign"),
            "probability": (lambda p, y: (-ctc_by(p, y)).exp(), "probability"),
            "blank is the last": (
                lambda p, y: ctc_by(p, y, blank=4, skip=lambda s, i: s[i] not in (4, s[i - 2])),
                "last blank",
            ),
            "by the frames": (lambda p, y: ctc_by(p, y) / len(p), "divided"),
            "as in the chapter": (ctc_of_the_chapter, "underflow", "long"),
            "minus infinity": (lambda p, y: ctc_by(p, y, zero=-torch.inf), "nan gradient", "gradients"),
            "a number": (lambda p, y: ctc_by(p, y).item(), "gradient", "gradients"),
            "the course's": (
                lambda p, y: ctc_loss(p[None], torch.tensor([y]), reduction="sum"),
                "borrowed",
            ),
            "PyTorch's": (ctc_of_pytorch, "library", "gradients"),
        },
    ),
    "applications.cer": (
        {"a table": rate(), "recursion": cer_memo, "numpy, row by row": cer_numpy},
        {
            "mean of rates": (each_alone, "mean of rates", "corpus"),
            "by the answer": (rate(length=lambda a, t: len(a)), "by the answer"),
            "by the longer": (rate(length=lambda a, t: max(len(a), len(t))), "by the longer", "ends"),
            "exchange costs two": (rate(lambda a, t: edits(a, t, exchanged=2)), "exchange twice"),
            "place by place": (
                rate(lambda a, t: sum(x != y for x, y in itertools.zip_longest(a, t))),
                "place by place",
            ),
            "counts of letters": (rate(lambda a, t: (Counter(t) - Counter(a)).total()), "bag"),
            "words": (
                rate(lambda a, t: edits(a.split(), t.split()), lambda a, t: len(t.split())),
                "words",
            ),
            "at most one": (lambda a, t: min(rate()(a, t), 1.0), "clipped", "ends"),
            "percent": (lambda a, t: 100 * rate()(a, t), "percent"),
            "right ones": (lambda a, t: 1 - rate()(a, t), "right share"),
            "babbling is free": (rate(lambda a, t: edits(a, t, inserted=0)), "insertions free"),
            "silence is free": (rate(lambda a, t: edits(a, t, deleted=0)), "deletions free"),
            "count": (lambda a, t: sum(map(edits, a, t)), "not divided"),
            "difference of lengths": (rate(lambda a, t: abs(len(a) - len(t))), "lengths only"),
            "empty edges": (rate(lambda a, t: edits(a, t, edge=False)), "one edge", "ends"),
            "the library's": (character_error_rate, "borrowed"),
        },
    ),
    "applications.motion": (
        {"pad": motion, "a loop": motion_loop, "einsum in float64": motion_float64},
        {
            "in bytes": (motion_bytes, "bytes"),
            "mean of bytes, which PyTorch has not": (lambda c: c.mean(2), "raises"),
            "up to 255": (lambda c: 255 * motion(c), "not scaled"),
            "sum of colours": (lambda c: 3 * motion(c), "colours added"),
            "green": (lambda c: motion(c[:, :, 1:2]), "one colour"),
            "mean of the batch": (moving((0, 1, 2, 3)), "batch mean"),
            "mean of a frame": (moving((2, 3)), "frame mean"),
            "mean of a place": (moving((1,)), "place mean"),
            "no mean": (moving(()), "no mean"),
            "this less the next": (lambda c: motion(c) * torch.tensor([1.0, -1.0])[:, None, None], "backwards"),
            "zeros in front": (moving(second=lambda x: torch.diff(x, dim=1, prepend=x[:, :1])), "front"),
            "round and round": (moving(second=lambda x: x.roll(-1, 1) - x), "around"),
            "absolute": (
                moving(second=lambda x: torch.diff(x, dim=1, append=x[:, -1:]).abs()),
                "absolute",
            ),
            "channels before frames": (moving(at=1), "channels first"),
            "a frame too few": (lambda c: motion(c)[:, :-1], "too short"),
        },
    ),
    "applications.carry": (
        {"permute": carry, "numbered places": carry_places, "a loop in float64": carry_tensors},
        {
            "axes reversed": (carrying(kernel=lambda k: k.permute(3, 2, 1, 0)), "turned", "kernel"),
            "in before out": (carrying(kernel=lambda k: k.permute(2, 3, 0, 1)), "in and out", "kernel"),
            "kernel reshaped": (
                carrying(kernel=lambda k: k.reshape(k.shape[3], k.shape[2], *k.shape[:2])),
                "poured",
                "kernel",
            ),
            "kernel as it is": (carrying(kernel=lambda k: k), "not moved", "kernel"),
            "kernel mirrored": (carrying(kernel=lambda k: k.permute(3, 2, 0, 1).flip(2, 3)), "mirrored", "kernel"),
            "transposed alone": (carrying(dense=lambda d, h, w: d.T), "columns stay", "dense"),
            "in before units": (
                carrying(
                    dense=lambda d, h, w: d[torch.arange(len(d)).view(h, w, -1).permute(2, 0, 1).flatten()],
                ),
                "not transposed",
                "dense",
            ),
            "back to Keras": (
                carrying(
                    dense=lambda d, h, w: d.T.reshape(d.shape[1], -1, h, w).permute(0, 2, 3, 1).flatten(1),
                ),
                "other way",
                "dense",
            ),
            "width before height": (
                carrying(
                    dense=lambda d, h, w: d.T.reshape(d.shape[1], h, w, -1).permute(0, 3, 2, 1).flatten(1),
                ),
                "picture turned",
                "dense",
            ),
            "gates as they are": (carrying(gates=lambda g: g), "gates stay", "gates"),
            "gates back": (
                carrying(gates=lambda g: torch.cat([g.chunk(4)[k] for k in (0, 3, 1, 2)])),
                "gates back",
                "gates",
            ),
            "four rows": (carrying(gates=lambda g: g[[0, 2, 3, 1]]), "interleaved", "gates"),
            "gates in turns": (
                carrying(gates=lambda g: g.view(-1, 4, g.shape[1])[:, [0, 2, 3, 1]].reshape(g.shape)),
                "interleaved",
                "gates",
            ),
            "cell last": (
                carrying(gates=lambda g: torch.cat([g.chunk(4)[k] for k in (0, 2, 1, 3)])),
                "other gates",
                "gates",
            ),
            "a tuple": (lambda *x: tuple(carry(*x).values()), "no dict"),
            "without gates": (
                lambda *x: {k: v for k, v in carry(*x).items() if k != "gates"},
                "missing",
                "gates",
            ),
        },
    ),
    "applications.split": (
        {"lists": splitting(neither, both), "sets": split_sets, "tensors": split_tensors},
        {
            "by sentence alone": (splitting(lambda s, t: not t, lambda s, t: t), "speakers leak"),
            "by speaker alone": (splitting(lambda s, t: not s, lambda s, t: s), "sentences leak"),
            "tests all of the new people": (splitting(neither, lambda s, t: s), "known sentences tested"),
            "tests all of the new sentences": (splitting(neither, lambda s, t: t), "known speakers tested"),
            "tests the mixed ones": (splitting(neither, lambda s, t: s or t), "half new"),
            "trains on the mixed ones": (splitting(lambda s, t: not (s and t), both), "mixed in training"),
            "exchanged": (splitting(both, neither), "exchanged"),
            "as it is written": (splitting(neither, both, str), "as written", "spelling"),
            "capitals only": (splitting(neither, both, str.lower), "as written", "spelling"),
            "counted from one": (splitting(neither, both, first=1), "from one"),
            "texts": (split_texts, "no places"),
            "training has all": (splitting(lambda s, t: True, both), "in both"),
            "in place": (
                lambda s, t, p, q: split_sets(s, t, p, q) | {"train": t.clear() or []},
                "in place",
            ),
        },
    ),
    "applications.fails": (
        {"lists": failing(), "sums": fails_sums, "tensors": fails_tensors},
        {
            "worst recording": (failing(largest), "worst recording"),
            "worst recording and its rate": (failing(largest, largest), "worst recording"),
            "most edits": (failing(lambda rows: sum(r["edits"] for r in rows)), "most edits"),
            "means": (failing(mean, mean, mean), "mean of rates"),
            "mean of all": (failing(pooled, pooled, mean), "mean of rates"),
            "means, and their mean over people": (failing(mean, mean, mean_of_means), "mean of rates"),
            "mean of people": (failing(whole=mean_of_people), "mean of people"),
            "the best": (failing(lambda rows: -pooled(rows)), "best"),
            "own worst": (failing(rate=largest), "own worst"),
            "right ones": (
                failing(rate=lambda rows: 1 - pooled(rows), whole=lambda rows: 1 - pooled(rows)),
                "right share",
            ),
            "percent": (
                failing(rate=lambda rows: 100 * pooled(rows), whole=lambda rows: 100 * pooled(rows)),
                "percent",
            ),
            "above the whole": (
                lambda rows: failing()(rows) | {"worst": failing()(rows)["worst"] - pooled(rows)},
                "no difference",
            ),
            "a name": (lambda rows: failing()(rows)["speaker"], "type"),
        },
    ),
    "applications.plan": (
        {
            "24 people": plan(24, 50, 6, 10),
            "25 people": plan(25, 50, 6, 10),
            "many sentences": plan(23, 60, 6, 10),
            "seven new people": plan(25, 52, 7, 9),
        },
        {
            "nothing new": (plan(24, 50, 0, 10), "whole numbers"),
            "halves": (plan(24.5, 50, 6, 10), "whole numbers"),
            "everybody new": (plan(10, 50, 10, 10), "all new"),
            "a hundred sentences": (plan(17, 100, 6, 10), "tired"),
            "forty people": (plan(40, 30, 6, 10), "budget"),
            "two new people": (plan(24, 50, 2, 30), "few people"),
            "few new sentences": (plan(24, 50, 6, 5), "small test"),
            "mixed ones counted": (plan(20, 50, 6, 10), "mixed counted"),
            "a small set": (plan(12, 30, 6, 10), "little training"),
            "an entry too few": ({"speakers": 24, "sentences": 50}, "entries"),
            "a list": ([24, 50, 6, 10], "no dict"),
        },
    ),
}
