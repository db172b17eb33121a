"""Chapter 06, sentences: a recogniser of letters, from eSpeak to a person's prompts.

| name             | what it does                                                                            |
|------------------|---------------------------------------------------------------------------------------------|
| `made_up`        | texts that eSpeak says for pretraining: pieces of the training prompts, words, numbers, dates |
| `telephoned`     | a sound as it comes out of a mobile telephone                                                 |
| `spelt`          | texts said by many voices of eSpeak as a batch, spelt in letters                              |
| `prompts`        | the human prompts, `heard` as the recognisers hear                                            |
| `Letters`        | a language model of letters;  `written_with`: beam search that asks it                      |
| `hear_voices`    | a recogniser of letters from eSpeak;  `hear_person`: the same, tuned on the prompts            |
| `prompts_by_ear` | the table: human prompts with and without synthetic pretraining                               |
| `keep_ears`      | trains and stores the two recognisers that the chapter loads;  `stored_ear`: one of them       |
"""

from __future__ import annotations

import calendar
import io
import math
import random
import re
from collections.abc import Sequence
from functools import cache, partial

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mmteach import _check
from mmteach.claims import pick
from mmteach.data import load_prompts
from mmteach.data.batch import Batch, Splits
from mmteach.data.emoji import concepts
from mmteach.data.prompts import LETTERS, spell
from mmteach.data.speech import Utterance, speak_all
from mmteach.data.spoken import voice_split
from mmteach.generation import CTCRecogniser
from mmteach.generation.ctc import prefix_beam_search
from mmteach.metrics import character_error_rate, word_error_rate
from mmteach.recipes import RESULTS
from mmteach.recipes.applications_ears import (
    error_rates,
    hear_again,
    heard,
    learn,
    recogniser,
    rows_of,
    together,
    trim,
    vary,
)
from mmteach.training import seed_everything

TEXTS, VOICE_EPOCHS, PERSON_EPOCHS = 2200, 3, 5
ROUNDS = 4  # different orders of the prompts in an epoch
in_rows = partial(rows_of, longest=800, between=(LETTERS.index(" "),))  # the longest prompts last 8 s
ACCENTS = ("en-us", "en-us-nyc")
# The person is one, her telephone is one: what is varied is mostly her pace.
slightly = partial(
    vary, pace=0.1, pitch=0.05, tilt=0.06, waves=0.02, hiss=0.15, grain=0.04, blur=0.0, echo=0.0, bands=7, frames=12
)

# What such prompts say besides: numbers, times, the alphabet.
LISTS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion first second third fourth "
    "fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth "
    "nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth hundredth thousandth millionth",
    "today tomorrow yesterday morning evening hour hours minute minutes second seconds day days week weeks year years "
    + " ".join(name.lower() for name in (*calendar.day_name, *calendar.month_name) if name),
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo sierra "
    "tango uniform victor whiskey xray yankee zulu a b c d e f g h i j k l m n o p q r s t u v w x y z",
)


def made_up(number: int, seed: int) -> list[str]:
    """Texts for eSpeak to say: pieces of the training prompts, words of prompts and emoji in any order, and what such prompts
    say besides: numbers, times and the alphabet (four, three and three in ten)."""
    said = load_prompts().train.info["transcript"]
    named = [text for c in concepts() for text in (c.names["en"], *c.keywords["en"])]
    words = sorted({w for text in [*said, *named] for w in re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())})
    choose = random.Random(seed)
    texts: list[str] = []
    while len(texts) < number:
        kind = choose.random()
        if kind < 0.4:
            piece = choose.choice(said).split()
            start = choose.randrange(len(piece))
            texts.append(" ".join(piece[start : start + choose.randint(1, 9)]))
        elif kind < 0.7:
            texts.append(" ".join(choose.choice(words) for _ in range(choose.randint(1, 6))))
        else:
            some = choose.choice(LISTS).split()
            texts.append(" ".join(choose.choice(some) for _ in range(choose.randint(1, 4))))
    return texts


def telephoned(sound: Tensor) -> Tensor:
    """The sound (S,) through GSM 6.10, the code of mobile telephones that the prompts went through, and back."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(
        file, (sound / (2 * sound.abs().max().clamp(min=1e-6))).numpy(), 8000, format="WAV", subtype="GSM610"
    )
    file.seek(0)
    return torch.from_numpy(soundfile.read(file, dtype="float32")[0])[: len(sound)]


def spelt(texts: Sequence[str], seed: int = 0, part: str = "train", longest: float = 6.0) -> Batch:
    """Each text said once over a telephone by an American voice of eSpeak drawn at random, those over `longest` seconds left
    out; `heard`, and spelt in letters."""
    choose, speakers = random.Random(seed), voice_split()[part]
    utterances = [
        Utterance(
            text, choose.choice(ACCENTS), choose.choice(speakers), choose.randint(110, 180), choose.randint(35, 65)
        )
        for text in texts
    ]
    said = [
        (u.text, telephoned(sound))
        for u, sound in zip(utterances, speak_all(utterances))
        if len(sound) <= longest * 8000
    ]
    audio, mask = heard([sound for _, sound in said])
    text, length = spell([line for line, _ in said])
    info: dict[str, Sequence] = {"transcript": [line for line, _ in said]}
    return Batch({"audio": audio}, {"text": text, "text_length": length}, {"audio": mask}, info=info)


@cache
def prompts() -> Splits:
    """The human prompts (`load_prompts`), `heard` as the recognisers of this chapter hear."""
    made = load_prompts()
    made.train, made.valid, made.test = (hear_again(part) for part in (made.train, made.valid, made.test))
    return made


class Letters:
    """A language model of letters: how likely is the next one after the last few, interpolated over orders.

    p(c | h) = (n(hc) + K p(c | h′)) / (n(h) + K),  h′ without the oldest letter, down to an even chance

    weight and bonus were chosen on the validation sentences, from (.3, .6), (.5, 1) and (.8, 2)
    texts: what it learns from;  order: letters looked at, the predicted one among them;  K: how much shorter histories count
    model(labels so far, the new one last) → weight · ln p + bonus, as `prefix_beam_search` asks for
    """

    def __init__(
        self, texts: Sequence[str], order: int = 6, weight: float = 0.8, bonus: float = 2.0, k: float = 2.0
    ) -> None:
        self.order, self.weight, self.bonus, self.k = order, weight, bonus, k
        self.counts: dict[tuple[int, ...], int] = {}
        self.total: dict[tuple[int, ...], int] = {}
        for text in texts:
            ids = (1, *(LETTERS.index(letter) for letter in text))  # a space before the first word
            for end in range(1, len(ids)):
                for start in range(max(0, end - order + 1), end + 1):
                    gram = ids[start : end + 1]
                    self.counts[gram] = self.counts.get(gram, 0) + 1
                    self.total[gram[:-1]] = self.total.get(gram[:-1], 0) + 1

    def probability(self, history: tuple[int, ...], label: int) -> float:
        """p(label | history)"""
        p = 1 / (len(LETTERS) - 1)
        for length in range(min(len(history), self.order - 1) + 1):
            context = history[len(history) - length :]
            p = (self.counts.get((*context, label), 0) + self.k * p) / (self.total.get(context, 0) + self.k)
        return p

    def __call__(self, labels: tuple[int, ...]) -> float:
        history = (1, *labels[:-1])[-(self.order - 1) :]
        return self.weight * math.log(self.probability(history, labels[-1])) + self.bonus


def written_with(model: CTCRecogniser, batch: Batch, language: Letters, width: int = 8) -> list[str]:
    """What is heard in each example where the language model has a say: prefix beam search with it."""
    device, said = next(model.parameters()).device, []
    for i in range(len(batch)):
        one = trim(batch[i]).to(device)
        with torch.no_grad():
            log_probs = model(one.inputs, masks=one.masks)[0].cpu()
        best = prefix_beam_search(log_probs, width, language=language, least=-7.0)
        said.append("".join(LETTERS[label] for label in best[0][0]))
    return said


def letter_recogniser() -> CTCRecogniser:
    """The larger recogniser for sentences."""
    return recogniser(len(LETTERS), width=160, layers=5, dropout=0.15)


def said_by_voices(seed: int) -> Batch:
    """Made-up texts said by eSpeak, in rows."""
    return in_rows(spelt(made_up(pick(smoke=40, laptop=TEXTS), seed), seed), seed=seed)


def hear_voices(said: Batch, seed: int, longer: int = 1) -> CTCRecogniser:
    """A recogniser of letters from eSpeak alone, in so many times as many epochs."""
    seed_everything(seed)
    model = letter_recogniser()
    learn(model, said, epochs=pick(smoke=1, laptop=VOICE_EPOCHS * longer), batch_size=3, seed=seed)
    return model


def hear_person(model: CTCRecogniser, seed: int, epochs: int, said: Batch | None = None) -> CTCRecogniser:
    """The same recogniser after so many epochs of the training prompts, some of what voices said among them; returns it."""
    few = pick(smoke=True, laptop=False)
    train = prompts().train
    rows = in_rows(train[:40] if few else train, 1 if few else ROUNDS, seed)
    rows = together(rows, said[: len(rows) // 4]) if said is not None else rows
    learn(model, rows, epochs=1 if few else epochs, batch_size=3, seed=seed, augment=slightly)
    return model


def prompts_by_ear(seed: int) -> dict[str, dict[str, float]]:
    """A person's prompts, sentences never heard: trained on real speech alone, or on eSpeak first; equally long in both."""
    said = said_by_voices(seed)
    model = hear_voices(said, seed)
    before = {f"{k}, before": v for k, v in error_rates(model, prompts().test).items()}
    both = hear_person(model, seed, PERSON_EPOCHS, said)
    seed_everything(seed)
    voices, person = (int(batch.masks["audio"].sum()) for batch in (said, prompts().train))
    as_long = round(VOICE_EPOCHS * voices / (ROUNDS * person) + 1.25 * PERSON_EPOCHS)
    alone = hear_person(letter_recogniser(), seed, as_long)
    return {"eSpeak, then real": before | rates_of_letters(both, seed), "real alone": rates_of_letters(alone, seed)}


def rates_of_letters(model: CTCRecogniser, seed: int) -> dict[str, float]:
    """Error rates on the test: greedy, by beam search, and with a model of letters; and on validation, greedy."""
    truth = list(prompts().test.info["transcript"])
    helped = written_with(model, prompts().test, Letters([*prompts().train.info["transcript"], *made_up(2000, seed)]))
    return {
        **error_rates(model, prompts().test),
        **{f"{k}, valid": v for k, v in error_rates(model, prompts().valid).items()},
        **{f"{k}, beam": v for k, v in error_rates(model, prompts().test, width=8).items()},
        "CER, with letters": character_error_rate(helped, truth),
        "WER, with letters": word_error_rate(helped, truth),
    }


def keep_ears(seed: int = 0, longer: int = 2) -> None:
    """Train and store the two recognisers of letters that the chapter loads, in half precision: some minutes.

    They learn as those of the table do, so many times as long.
    """
    said = said_by_voices(seed)
    model = hear_voices(said, seed, longer)
    _keep(model, "voices")
    _keep(hear_person(model, seed, PERSON_EPOCHS * longer, said), "person")


def _keep(model: CTCRecogniser, name: str) -> None:
    numbers = {k: (t.half() if t.is_floating_point() else t).contiguous() for k, t in model.state_dict().items()}
    save_file(numbers, RESULTS / f"ear-{name}.safetensors")


def stored_ear(name: str) -> CTCRecogniser:
    """A stored recogniser of letters: "voices" (eSpeak alone), or "person" (then fine-tuned on the training prompts)."""
    _check.choice("name", name, ("voices", "person"))
    model = letter_recogniser()
    numbers = load_file(RESULTS / f"ear-{name}.safetensors")
    model.load_state_dict({key: t.float() if t.is_floating_point() else t for key, t in numbers.items()})
    return model.eval()
