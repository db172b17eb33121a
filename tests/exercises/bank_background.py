"""Right and wrong answers to the tasks of chapter 01."""

import math

import numpy as np
import torch

from mmteach.recipes import stored
from mmteach.recipes.background import SIGMAS, SNRS, column

# ---- background.lost

LOST = {"or": 0.616, "sum": 0.667, "twin": 0.0, "code": 0.5}


def with_(answer, **changed):
    return answer | changed


# ---- background.snr


def power(x):
    return x.square().mean(dim=1, keepdim=True)


def snr(speech, noise, snr):
    return speech + (power(speech) / power(noise) / 10 ** (snr / 10)).sqrt() * noise


def snr_loop(speech, noise, snr):
    rows = []
    for s, n in zip(speech, noise):
        level = 0.0 if math.isinf(snr) else 10 ** (-snr / 20)
        rows.append(s + n * level * math.sqrt((s @ s) / (n @ n)))
    return torch.stack(rows)


def snr_einsum(speech, noise, snr):
    s, n = speech.double(), noise.double()
    ratio = torch.einsum("bs,bs->b", s, s) / torch.einsum("bs,bs->b", n, n)
    return s + n * (ratio * 10 ** (-snr / 10)).sqrt()[:, None]


def snr_in_place(speech, noise, snr):
    speech += (power(speech) / power(noise) / 10 ** (snr / 10)).sqrt() * noise
    return speech


def factor(make):
    return lambda speech, noise, snr: speech + make(speech, noise, 10 ** (-snr / 10)) * noise


# ---- background.late


def late(a, b, prior):
    return (a + b - prior.log()).log_softmax(1)


def late_loop(a, b, prior):
    rows = []
    for i in range(len(a)):
        score = [a[i, k] + b[i, k] - math.log(prior[k]) for k in range(len(prior))]
        rows.append(torch.stack(score) - torch.logsumexp(torch.stack(score), 0))
    return torch.stack(rows)


def late_float64(a, b, prior):
    score = a.double() - prior.double().log() + b
    return score - score.logsumexp(-1, keepdim=True)


def late_underflow(a, b, prior):
    p = a.exp() * b.exp() / prior
    return (p / p.sum(1, keepdim=True)).log()


def late_in_place(a, b, prior):
    a += b
    return (a - prior.log()).log_softmax(1)


# ---- background.sure


def sure(logits, truth):
    p = logits.softmax(1)
    return p.amax(1).mean() - (p.argmax(1) == truth).float().mean()


def sure_loop(logits, truth):
    total = 0.0
    for scores, y in zip(logits, truth):
        p = torch.softmax(scores, 0)
        total += p.max().item() - (1 if p.argmax() == y else 0)
    return total / len(truth)


def sure_numpy(logits, truth):
    z = logits.double().numpy()
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return float(p.max(1).mean() - (p.argmax(1) == truth.numpy()).mean())


def confident(make):
    return lambda logits, truth: make(logits, truth) - (logits.argmax(1) == truth).float().mean()


# ---- background.pairs


def pair(image_digits, sound_digits, generator):
    chosen = []
    for digit in image_digits:
        places = (sound_digits == digit).nonzero().flatten()
        chosen.append(places[torch.randint(len(places), (), generator=generator)])
    return torch.stack(chosen)


def pair_multinomial(image_digits, sound_digits, generator):
    same = (image_digits[:, None] == sound_digits[None]).float()
    return torch.multinomial(same, 1, generator=generator).flatten()


def pair_masked_argmax(image_digits, sound_digits, generator):
    lots = torch.rand(len(image_digits), len(sound_digits), generator=generator)
    return lots.masked_fill(image_digits[:, None] != sound_digits[None], -1).argmax(1)


def pair_without_the_last(image_digits, sound_digits, generator):
    chosen = []
    for digit in image_digits:
        places = (sound_digits == digit).nonzero().flatten()
        chosen.append(places[torch.randint(len(places) - 1, (), generator=generator)])
    return torch.stack(chosen)


def pair_one_a_digit(image_digits, sound_digits, generator):
    voice = {}
    for digit in range(10):
        places = (sound_digits == digit).nonzero().flatten()
        if len(places):
            voice[digit] = places[torch.randint(len(places), (), generator=generator)]
    return torch.stack([voice[int(digit)] for digit in image_digits])


# ---- background.grid


def grid(model):
    table, _ = stored("noise-grid")
    rows = table[table.model == model]
    return torch.tensor([[rows[column(sigma, snr)].mean() for snr in SNRS] for sigma in SIGMAS])


def read(clean="trained clean", noise="trained with noise"):
    better = {how: torch.maximum(grid(f"image, {how}"), grid(f"audio, {how}")) for how in (clean, noise)}
    gain = grid(f"late, {noise}") - better[noise]
    row, col = divmod(gain.argmax().item(), 5)
    harm = (grid(f"concat, {clean}") - better[clean] < -0.05).sum().item()
    price = (grid(f"late, {clean}") - grid(f"late, {noise}"))[0, 0].item()
    return {"harm": harm, "sigma": SIGMAS[row], "snr": SNRS[col], "price": price}


READ = read()
CLEAN = {name: grid(f"{name}, trained clean") for name in ("image", "audio", "concat", "late")}
LATE = grid("late, trained with noise")


def cell(table, key):
    row, col = divmod(table.argmax().item(), 5)
    return {"sigma": SIGMAS[row], "snr": SNRS[col]}[key]


GAIN = LATE - torch.maximum(grid("image, trained with noise"), grid("audio, trained with noise"))
BETTER = torch.maximum(CLEAN["image"], CLEAN["audio"])
DESIGN = {"sensors": ["camera", "microphone"], "accuracy": 0.939}


def phi(z):
    return (1 + math.erf(z / math.sqrt(2))) / 2


def bought(*names):
    return DESIGN | {"sensors": list(names)}


def claims(accuracy):
    return DESIGN | {"accuracy": accuracy}


BANK = {
    "background.lost": (
        {
            "two decimals": LOST,
            "in full": {"or": 1 - 0.3112781 / 0.8112781, "sum": 2 / 3, "twin": 0, "code": 1 / 2},
            "tensors": {name: torch.tensor(value) for name, value in LOST.items()},
        },
        {
            "what is left": (with_(LOST, **{"or": 0.384}), "kept", "or"),
            "what is left of twins": (with_(LOST, twin=1.0), "kept", "twin"),
            "bits": (with_(LOST, sum=1.0), "bits", "sum"),
            "bits of the code": (with_(LOST, code=1.0), "bits", "code"),
            "percent": ({k: 100 * v for k, v in LOST.items()}, "percent", "or", "sum", "code"),
            "nothing is lost": (with_(LOST, sum=0), "nothing", "sum"),
            "all is lost": (with_(LOST, **{"or": 1.0}), "all", "or"),
            "half for twins": (with_(LOST, twin=0.5), "half", "twin"),
            "guesses": (with_(LOST, **{"or": 0.25}), "guess", "or"),
            "an entry too few": ({"or": 0.616, "twin": 0.0, "code": 0.5}, "missing", "sum"),
            "no dict": (0.5, "no dict", "or", "sum", "twin", "code"),
            "words": (with_(LOST, **{"or": "two thirds"}), "type", "or"),
        },
    ),
    "background.snr": (
        {"as derived": snr, "a loop over rows": snr_loop, "einsum in float64": snr_einsum},
        {
            "no square root": (factor(lambda s, n, t: power(s) / power(n) * t), "no square root"),
            "ten beside an amplitude": (factor(lambda s, n, t: (power(s) / power(n)).sqrt() * t), "twenty"),
            "twenty beside a power": (factor(lambda s, n, t: (power(s) / power(n) * t**0.5).sqrt()), "twenty"),
            "other sign": (lambda s, n, snr: s + (power(s) / power(n) * 10 ** (min(snr, 99) / 10)).sqrt() * n, "sign"),
            "one factor a batch": (factor(lambda s, n, t: (s.square().mean() / n.square().mean() * t) ** 0.5), "batch"),
            "noise taken as it is": (factor(lambda s, n, t: (power(s) * t).sqrt()), "noise as it is"),
            "speech taken as it is": (factor(lambda s, n, t: (t / power(n)).sqrt()), "speech ignored"),
            "natural exponential": (
                lambda s, n, snr: s + (power(s) / power(n) * math.exp(-snr / 10)).sqrt() * n,
                "natural",
            ),
            "the speech is scaled": (
                lambda s, n, snr: s / (power(s) / power(n) / 10 ** (min(snr, 90) / 10)).sqrt() + n,
                "speech scaled",
            ),
            "the noise alone": (lambda s, n, snr: snr_einsum(s, n, snr).float() - s, "noise only"),
            "variance": (
                factor(lambda s, n, t: (s.var(1, keepdim=True) / n.var(1, keepdim=True) * t).sqrt()),
                "variance",
            ),
            "in place": (snr_in_place, "in place"),
            "no guard for infinity": (lambda s, n, snr: snr_einsum(s, n, round(snr * 1e6) / 1e6), "raises", "clean"),
            "transposed": (lambda s, n, snr: snr_einsum(s, n, snr).T, "transposed"),
        },
    ),
    "background.late": (
        {"logarithms": late, "a loop over everything": late_loop, "float64, other order": late_float64},
        {
            "no prior": (lambda a, b, p: (a + b).log_softmax(1), "prior forgotten"),
            "prior added": (lambda a, b, p: (a + b + p.log()).log_softmax(1), "prior added"),
            "prior twice": (lambda a, b, p: (a + b - 2 * p.log()).log_softmax(1), "prior twice"),
            "prior as it is": (lambda a, b, p: (a + b - p).log_softmax(1), "prior not logged"),
            "not normalised": (lambda a, b, p: a + b - p.log(), "not normalised"),
            "mean of probabilities": (lambda a, b, p: ((a.exp() + b.exp()) / 2).log(), "mean of probabilities"),
            "mean of logarithms": (lambda a, b, p: ((a + b) / 2 - p.log()).log_softmax(1), "mean of logs"),
            "probabilities": (lambda a, b, p: (a + b - p.log()).softmax(1), "probabilities"),
            "over the batch": (lambda a, b, p: (a + b - p.log()).log_softmax(0), "wrong axis"),
            "through probabilities": (late_underflow, "underflow", "extremes"),
            "in place": (late_in_place, "in place"),
            "one axis more": (lambda a, b, p: late(a, b, p)[None], "shape"),
        },
    ),
    "background.sure": (
        {"as the formula": sure, "a loop": sure_loop, "NumPy in float64": sure_numpy},
        {
            "the true class": (confident(lambda z, y: z.softmax(1)[torch.arange(len(y)), y].mean()), "truth"),
            "softmax over examples": (confident(lambda z, y: z.softmax(0).amax(1).mean()), "wrong axis"),
            "no softmax": (confident(lambda z, y: z.amax(1).mean()), "logits"),
            "right minus sure": (lambda z, y: -sure(z, y), "other way"),
            "absolute value": (lambda z, y: sure(z, y).abs(), "absolute"),
            "sum": (lambda z, y: sure(z, y) * len(y), "sum"),
            "sureness alone": (lambda z, y: z.softmax(1).amax(1).mean(), "no accuracy"),
            "accuracy alone": (lambda z, y: (z.argmax(1) == y).float().mean(), "only accuracy"),
            "each by itself": (
                lambda z, y: (z.softmax(1).amax(1) - (z.argmax(1) == y).float()).abs().mean(),
                "each absolute",
            ),
            "exponentials": (confident(lambda z, y: z.exp().amax(1).mean()), "not normalised"),
            "softmax by hand": (
                confident(lambda z, y: (z.exp() / z.exp().sum(1, keepdim=True)).amax(1).mean()),
                "overflow",
                "extremes",
            ),
            "only right answers": (
                confident(lambda z, y: z.softmax(1).amax(1)[z.argmax(1) == y].mean()),
                "only the right",
            ),
            "a number an example": (lambda z, y: z.softmax(1).amax(1) - (z.argmax(1) == y).float(), "type"),
        },
    ),
    "background.pairs": (
        {"a loop": pair, "multinomial": pair_multinomial, "lots, masked": pair_masked_argmax},
        {
            "any recording": (lambda i, s, g: torch.randint(len(s), i.shape, generator=g), "labels apart"),
            "by place": (lambda i, s, g: torch.arange(len(i)) % len(s), "by place"),
            "places in a sorted list": (lambda i, s, g: s.argsort(stable=True).argsort()[pair(i, s, g)], "sorted"),
            "digits": (lambda i, s, g: i.clone(), "digits"),
            "another generator": (lambda i, s, g: pair(i, s, None), "unseeded"),
            "the first recording": (lambda i, s, g: (i[:, None] == s[None]).float().argmax(1), "always the same"),
            "a seed of its own": (lambda i, s, g: pair(i, s, torch.Generator().manual_seed(0)), "seed ignored"),
            "one recording a digit": (pair_one_a_digit, "one a digit"),
            "the last is never drawn": (pair_without_the_last, "some never"),
            "a list": (lambda i, s, g: pair(i, s, g).tolist(), "no indices"),
            "one place for all": (lambda i, s, g: pair(i, s, g)[0], "no indices"),
            "floats": (lambda i, s, g: pair(i, s, g).float(), "no indices"),
            "places of pictures": (lambda i, s, g: torch.randperm(len(i), generator=g), "of images"),
            "counted from one": (lambda i, s, g: pair(i, s, g) - len(s) - 1, "out of range"),
        },
    ),
    "background.grid": (
        {
            "computed": READ,
            "rounded": READ | {"price": round(READ["price"], 3)},
            "tensors": {name: torch.tensor(value) for name, value in READ.items()},
        },
        {
            "against the worse": (
                READ | {"harm": (CLEAN["concat"] - torch.minimum(CLEAN["image"], CLEAN["audio"]) < -0.05).sum()},
                "against the worse",
                "harm",
            ),
            "against the picture": (
                READ | {"harm": (CLEAN["concat"] - CLEAN["image"] < -0.05).sum().item()},
                "against one",
                "harm",
            ),
            "any loss": (READ | {"harm": (CLEAN["concat"] < BETTER).sum().item()}, "any loss", "harm"),
            "gains": (READ | {"harm": (CLEAN["concat"] - BETTER > 0.05).sum().item()}, "gains counted", "harm"),
            "most accurate": (READ | {"sigma": cell(LATE, "sigma")}, "most accurate", "sigma"),
            "most accurate sound": (READ | {"snr": cell(LATE, "snr")}, "most accurate", "snr"),
            "smallest gain": (READ | {"snr": cell(-GAIN, "snr")}, "largest loss", "snr"),
            "trained clean": (READ | {"price": LATE[0, 0].item()}, "other training", "price"),
            "negative": (READ | {"price": -READ["price"]}, "negative", "price"),
            "worst cell": (READ | {"price": (CLEAN["late"] - LATE)[-1, -1].item()}, "worst cell", "price"),
            "nothing for the price": (READ | {"price": None}, "unanswered", "price"),
        },
    ),
    "background.sensors": (
        {
            "by name": DESIGN,
            "capitals, other order": {
                "sensors": ("Microphone", "camera"),
                "accuracy": phi(math.sqrt(1 / 0.64 + 1 / 1.21)),
            },
            "simulated": DESIGN | {"accuracy": 0.9395},
        },
        {
            "the twin": (bought("camera", "twin", "touch"), "twin", "sensors"),
            "too dear": (bought("lidar", "camera"), "over budget", "sensors"),
            "unknown": (bought("camera", "sonar"), "unknown sensor", "sensors"),
            "twice": (bought("microphone", "microphone"), "bought twice", "sensors"),
            "the best single one": (bought("lidar", "touch"), "best single", "sensors"),
            "as many as possible": (bought("radar", "thermal", "touch"), "most sensors", "sensors"),
            "coins left": (bought("camera"), "coins left", "sensors"),
            "next to best": (bought("camera", "thermal"), "coins left", "sensors"),
            "another pair": (bought("microphone", "radar"), "coins left", "sensors"),
            "mean accuracy": (claims((phi(1 / 0.8) + phi(1 / 1.1)) / 2), "mean accuracy", "accuracy"),
            "either is right": (claims(1 - (1 - phi(1 / 0.8)) * (1 - phi(1 / 1.1))), "either right", "accuracy"),
            "the camera alone": (claims(phi(1 / 0.8)), "best alone", "accuracy"),
            "noise added": (claims(phi(1 / math.hypot(0.8, 1.1))), "noise added", "accuracy"),
            "plain mean": (claims(phi(2 / math.hypot(0.8, 1.1))), "averaged reports", "accuracy"),
            "amplitudes": (claims(phi(1 / 0.8 + 1 / 1.1)), "amplitudes", "accuracy"),
            "percent": (claims(93.9), "percent", "accuracy"),
            "another basket": (claims(phi(math.sqrt(1 + 1 / 1.21 + 1 / 6.25))), "other basket", "accuracy"),
        },
    ),
}
