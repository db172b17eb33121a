"""Chapter 06, speech and text: CTC from synthetic voices to people, with digits and with whole sentences.

| name              | what it does                                                                          |
|-------------------|----------------------------------------------------------------------------------------|
| `vary`            | an augmentation: another voice, another microphone, noise, holes                          |
| `Front`           | its first layers                                                                         |
| `recogniser`      | the small network, for digits;  `letter_recogniser`: the larger one, for sentences          |
| `learn`           | trains it, with `vary`                                                                   |
| `written`         | what it hears in each example, greedily or by beam search                                 |
| `error_rates`     | characters and words wrong, against the transcripts                                       |
| `one_digit`       | log p(d | sound) of each single digit, by CTC: a recogniser of isolated words                 |
| `scores`          | log p(text | sound) of every text: a search for what was said                               |
| `together`        | two batches in one                                                                         |
| `people`          | one real speaker's single digits as a batch (MMTEACH_FSDD)                                |
| `made_up`         | sentences that eSpeak says for pretraining: pieces of the training prompts, and other words |
| `spelt`           | texts said by many voices of eSpeak as a batch, spelt in letters                            |
| `rows_of`         | sentences one behind the other, so that a batch is not mostly padding                      |
| `Letters`         | a language model of letters;  `written_with`: beam search that asks it                    |
| `digits_by_people`| the table: synthetic voices, then real ones, each speaker left out in turn                   |
| `hear_voices`     | a recogniser of letters from eSpeak;  `hear_person`: the same, tuned on the prompts          |
| `stored_ear`      | one that `keep_ears` has trained and stored                                                |
| `prompts_by_ear`  | the table: human prompts with and without synthetic pretraining                             |
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach import _check
from mmteach.claims import pick
from mmteach.data import load_digit_strings, load_prompts
from mmteach.data.audio import frame_count, frame_mask, hear, pad, standardise
from mmteach.data.batch import Batch, Splits
from mmteach.data.emoji import concepts
from mmteach.data.prompts import LETTERS, spell
from mmteach.data.speech import Utterance, speak_all
from mmteach.data.spoken import ACCENTS, read_people, voice_split
from mmteach.generation import CTCRecogniser, transcribe
from mmteach.generation.ctc import ctc_loss, frames_needed, prefix_beam_search
from mmteach.generation.recogniser import NEVER
from mmteach.metrics import character_error_rate, word_error_rate
from mmteach.recipes import RESULTS
from mmteach.training import fit, seed_everything
from mmteach.training.history import History

DIGITS = ("<blank>", *"0123456789")
DIGIT_STRINGS, DIGIT_EPOCHS, TUNING_EPOCHS = 1500, 10, 10
VOICE_ROUNDS, PERSON_ROUNDS = 9, 24


def trim(batch: Batch) -> Batch:
    """The same examples without the frames that are padding in all of them: less to compute."""
    frames = int(batch.masks["audio"].sum(1).max())
    inputs = {**batch.inputs, "audio": batch.inputs["audio"][..., :frames]}
    return replace(batch, inputs=inputs, masks={**batch.masks, "audio": batch.masks["audio"][:, :frames]})


def vary(
    batch: Batch,
    pace: float = 0.12,
    pitch: float = 0.12,
    hiss: float = 1.2,
    tilt: float = 0.7,
    bands: int = 5,
    frames: int = 8,
) -> Batch:
    """The same sentences by another voice in another room, by moving their spectrograms about; each example in its own way.

    x'[f, t] = max(x[f · (1 + b), t / (1 + a)] + c · (f / F − ½), min x + d),   standardised anew

    a from ±pace, b from ±pitch, c from ±tilt, d from 0 to hiss (both in standard deviations), d > 0 for every second example;
    then a stripe of up to `bands` pitches and one of up to `frames` frames are set to 0, the mean.

    A longer or shorter throat stretches the spectrum, which b imitates (N. Jaitly and G. Hinton, 2013, "Vocal Tract Length
    Perturbation improves speech recognition"); a microphone tilts it; noise hides what is quiet; the holes are those of D. Park
    et al., 2019, "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition".
    """
    batch = trim(batch)
    x, n = batch.inputs["audio"], batch.masks["audio"].sum(1)
    size, _, height, longest = x.shape

    def between(reach: float) -> Tensor:
        return (reach * (2 * torch.rand(size, 1) - 1)).to(x.device)

    slower, higher = 1 + between(pace), 1 + between(pitch)
    length = int(longest * (1 + pace))
    time, band = torch.arange(length, device=x.device), torch.arange(height, device=x.device)
    across = (2 * time / slower + 1) / longest - 1  # where the new frame lies in the old picture, from −1 to 1
    up = (2 * band * higher + 1) / height - 1
    grid = torch.stack([across[:, None].expand(-1, height, -1), up[:, :, None].expand(-1, -1, length)], -1)
    moved = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    real = time < (n[:, None] * slower).long().clamp(min=1, max=length)
    moved = moved + (between(tilt) * (band / height - 0.5))[:, None, :, None]
    floor = moved.amin((1, 2, 3)) + hiss * (torch.rand(size) * (torch.rand(size) < 0.5)).to(x.device)
    moved = standardise(torch.maximum(moved, floor[:, None, None, None]), real)
    holes = (
        _stripe(size, height, bands, band)[:, :, None]
        | _stripe(size, length, frames, time)[:, None, :]
        | ~real[:, None]
    )
    moved = moved.masked_fill(holes[:, None], 0)
    return replace(batch, inputs={**batch.inputs, "audio": moved}, masks={**batch.masks, "audio": real})


def _stripe(size: int, places: int, widest: int, place: Tensor) -> Tensor:
    """A stripe of up to `widest` neighbours for each example: bool (size, places)."""
    start = torch.randint(places, (size, 1)).to(place.device)
    return (place >= start) & (place < start + torch.randint(widest + 1, (size, 1)).to(place.device))


class Front(nn.Module):
    """Two convolutions over pitch and time before the recurrent layers, so that a sound is the same a little higher.

    (B, 40, T) → (B, width, ⌈T / 3⌉)
    """

    def __init__(self, width: int, channels: int = 24) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, (5, 5), stride=(2, 1), padding=2, bias=False)
        self.second = nn.Conv2d(channels, channels, (5, 5), stride=(2, 3), padding=2, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        self.project = nn.Linear(10 * channels, width)

    def forward(self, sound: Tensor) -> Tensor:
        h = self.norms[0](self.first(sound[:, None])).relu()
        h = self.norms[1](self.second(h)).relu()  # (B, channels, 10, T / 3)
        return self.project(h.flatten(1, 2).mT).mT


def recogniser(labels: int, width: int = 128, dropout: float = 0.1) -> CTCRecogniser:
    """Log-mel frames → letters or digits: `Front`, two bidirectional GRUs, softmax; an output frame lasts 30 ms."""
    model = CTCRecogniser(40, labels, width=width, layers=2, stride=3, dropout=dropout)
    model.front = Front(width)  # type: ignore[assignment]
    return model


def letter_recogniser() -> CTCRecogniser:
    """The larger one for sentences: log-mel frames → letters, an output frame lasts 30 ms."""
    return CTCRecogniser(40, len(LETTERS), width=256, layers=2, stride=3, dropout=0.2)


def learn(
    model: CTCRecogniser, train: Batch, valid: Batch | None = None, *, epochs: int, lr: float = 2e-3, seed: int = 0,
    batch_size: int = 32, metric: Callable | None = None,
) -> History:  # fmt: skip
    """Train with CTC on varied examples; a cosine from `lr` to 0."""
    return fit(
        model, train, valid, loss=transcribe(impossible="zero"), augment=vary, epochs=epochs, batch_size=batch_size, lr=lr,
        schedule="cosine", warmup=0.1, clip_norm=1.0, seed=seed, precision="fp32", metric=metric,
    )  # fmt: skip


def written(model: CTCRecogniser, batch: Batch, labels: Sequence[str] = LETTERS, width: int = 1) -> list[str]:
    """The text heard in each example; `width` above 1 is prefix beam search."""
    device, said = next(model.parameters()).device, []
    for rows in torch.arange(len(batch)).split(64):
        some = trim(batch[rows]).to(device)
        said += model.write(some.inputs, masks=some.masks, width=width)
    return ["".join(labels[i] for i in ids) for ids in said]


def error_rates(
    model: CTCRecogniser, batch: Batch, labels: Sequence[str] = LETTERS, width: int = 1
) -> dict[str, float]:
    """{"CER", "WER"} of what it writes: substitutions, deletions and insertions by characters (words) of the transcripts."""
    said, truth = written(model, batch, labels, width), list(batch.info["transcript"])
    return {"CER": character_error_rate(said, truth), "WER": word_error_rate(said, truth)}


@torch.no_grad()
def one_digit(model: CTCRecogniser, batch: Batch) -> Tensor:
    """log p(the one digit d | sound) for d = 0 … 9 under CTC, all alignments summed: (N, 10)."""
    device = next(model.parameters()).device
    batch = trim(batch).to(device)
    log_probs, lengths = model(batch.inputs, masks=batch.masks), model.lengths(batch.inputs, batch.masks)
    scores = []
    for digit in range(10):
        target = torch.full((len(batch), 1), digit + 1, device=device)
        scores.append(-ctc_loss(log_probs, target, lengths, reduction="none"))
    return torch.stack(scores, 1).cpu()


@torch.no_grad()
def scores(model: CTCRecogniser, batch: Batch, texts: Sequence[str]) -> Tensor:
    """log p(text | sound) under CTC of every text for every sound: (N, len(texts))."""
    ids, _ = spell(texts)
    rows = []
    for i in range(len(batch)):
        one = trim(batch[i]).to(next(model.parameters()).device)
        log_probs = model(one.inputs, masks=one.masks).expand(len(texts), -1, -1)
        losses = ctc_loss(log_probs, ids.to(log_probs.device), reduction="none", impossible="zero")
        fits = frames_needed(ids, (ids > 0).sum(1)) <= log_probs.shape[1]
        rows.append((-losses.cpu()).masked_fill(~fits, NEVER))
    return torch.stack(rows)


def people(speaker: str) -> Batch:
    """A real speaker's single digits: {"audio"}, its mask, "text" (N, 1), and "transcript"."""
    all_of_them = read_people()
    rows = [i for i, name in enumerate(all_of_them["speaker"]) if name == speaker]
    waveform, samples = pad([all_of_them["waveforms"][i] for i in rows])
    mask = frame_mask(samples, frame_count(waveform.shape[1]))
    digit = all_of_them["digit"][rows]
    info: dict[str, Sequence] = {
        "transcript": [str(int(d)) for d in digit],
        "waveform": [all_of_them["waveforms"][i] for i in rows],
    }
    return Batch({"audio": hear(waveform, mask)}, {"text": digit[:, None] + 1}, {"audio": mask}, info=info)


def made_up(number: int, seed: int) -> list[str]:
    """Texts for eSpeak to say: half are pieces of the training prompts, half words of prompts and emoji in any order."""
    prompts = load_prompts().train.info["transcript"]
    named = [text for c in concepts() for text in (c.names["en"], *c.keywords["en"])]
    words = sorted({w for text in [*prompts, *named] for w in re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())})
    choose = random.Random(seed)
    texts: list[str] = []
    while len(texts) < number:
        if choose.random() < 0.5:
            piece = choose.choice(prompts).split()
            start = choose.randrange(len(piece))
            texts.append(" ".join(piece[start : start + choose.randint(1, 9)]))
        else:
            texts.append(" ".join(choose.choice(words) for _ in range(choose.randint(1, 6))))
    return texts


def spelt(texts: Sequence[str], seed: int = 0, part: str = "train", longest: float = 6.0) -> Batch:
    """Each text said once by a voice of eSpeak drawn at random, those over `longest` seconds left out; spelt in letters."""
    choose, speakers = random.Random(seed), voice_split()[part]
    utterances = [
        Utterance(
            text, choose.choice(ACCENTS), choose.choice(speakers), choose.randint(130, 190), choose.randint(35, 65)
        )
        for text in texts
    ]
    kept = [(u.text, sound) for u, sound in zip(utterances, speak_all(utterances)) if len(sound) <= longest * 8000]
    waveform, samples = pad([sound for _, sound in kept])
    mask = frame_mask(samples, frame_count(waveform.shape[1]))
    text, length = spell([line for line, _ in kept])
    info: dict[str, Sequence] = {"transcript": [line for line, _ in kept], "waveform": [sound for _, sound in kept]}
    return Batch({"audio": hear(waveform, mask)}, {"text": text, "text_length": length}, {"audio": mask}, info=info)


def together(first: Batch, second: Batch) -> Batch:
    """Both batches' sounds and texts in one, padded to the longer."""
    frames = max(b.masks["audio"].shape[1] for b in (first, second))
    length = max(b.targets["text"].shape[1] for b in (first, second))
    audio = [F.pad(b.inputs["audio"], (0, frames - b.masks["audio"].shape[1])) for b in (first, second)]
    masks = [F.pad(b.masks["audio"], (0, frames - b.masks["audio"].shape[1])) for b in (first, second)]
    texts = [F.pad(b.targets["text"], (0, length - b.targets["text"].shape[1])) for b in (first, second)]
    return Batch({"audio": torch.cat(audio)}, {"text": torch.cat(texts)}, {"audio": torch.cat(masks)})


def digits_by_people(seed: int) -> dict[str, dict[str, float]]:
    """Digit strings: synthetic voices alone, then fine-tuned on people and voices; each person left out in turn.

    Three people would soon be known by heart; with voices among them the recogniser goes on hearing many. A row for the test
    voices of eSpeak and one for each person: characters wrong in strings of theirs before and after fine-tuning on the others,
    and single digits right before it. Needs MMTEACH_FSDD.
    """
    sizes = pick(smoke=(60, 20, 20), laptop=(DIGIT_STRINGS, 150, 150))
    made = load_digit_strings(examples=sizes, lengths=(1, 6), seed=seed)
    seed_everything(seed)
    model = recogniser(len(DIGITS))
    learn(model, made.train, epochs=pick(smoke=1, laptop=DIGIT_EPOCHS), seed=seed)
    rows = {
        "eSpeak, unseen voices": {
            "CER": error_rates(model, made.test, DIGITS)["CER"],
            "CER, valid": error_rates(model, made.valid, DIGITS)["CER"],
            "CER, beam": error_rates(model, made.test, DIGITS, width=8)["CER"],
        }
    }
    for speaker in sorted(set(read_people()["speaker"])):
        single = people(speaker)
        right = (one_digit(model, single).argmax(1) + 1 == single.targets["text"][:, 0]).float().mean().item()
        real = load_digit_strings(
            "fsdd", pick(smoke=(40, 20, 20), laptop=(400, 60, 120)), (1, 6), held_out=speaker, seed=seed
        )
        tuned = recogniser(len(DIGITS))
        tuned.load_state_dict(model.state_dict())
        before = error_rates(tuned, real.test, DIGITS)["CER"]
        learn(
            tuned,
            together(real.train, made.train[:400]),
            epochs=pick(smoke=1, laptop=TUNING_EPOCHS),
            lr=1e-3,
            seed=seed,
        )
        rows[speaker] = {
            "single digits right, before": right,
            "CER, before": before,
            "CER": error_rates(tuned, real.test, DIGITS)["CER"],
            "CER, valid": error_rates(tuned, real.valid, DIGITS)["CER"],
        }
    return rows


def rows_of(batch: Batch, rounds: int = 1, seed: int = 0, longest: int = 600) -> Batch:
    """Sentences put one behind the other, in another order each round, into rows of up to `longest` frames.

    A batch of single sentences is mostly padding, since one in ten is five times as long as the rest. In a row the letters
    of two sentences have a space between them.
    """
    space = LETTERS.index(" ")
    sounds = [x[..., m] for x, m in zip(batch.inputs["audio"], batch.masks["audio"])]  # (1, 40, T_i)
    letters = [ids[ids > 0] for ids in batch.targets["text"]]
    choose, rows, texts = torch.Generator().manual_seed(seed), [], []
    for _ in range(rounds):
        row: list[Tensor] = []
        text: list[Tensor] = []
        for i in torch.randperm(len(sounds), generator=choose).tolist():
            if row and sum(part.shape[-1] for part in row) + sounds[i].shape[-1] > longest:
                rows.append(torch.cat(row, -1))
                texts.append(torch.cat(text))
                row, text = [], []
            row.append(sounds[i])
            text += [torch.tensor([space])] * bool(text) + [letters[i]]
        rows.append(torch.cat(row, -1))
        texts.append(torch.cat(text))
    frames = max(row.shape[-1] for row in rows)
    audio = torch.stack([F.pad(row, (0, frames - row.shape[-1])) for row in rows])
    mask = torch.arange(frames) < torch.tensor([row.shape[-1] for row in rows])[:, None]
    ids = nn.utils.rnn.pad_sequence(texts, batch_first=True)
    return Batch({"audio": audio}, {"text": ids, "text_length": (ids > 0).sum(1)}, {"audio": mask})


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


def hear_voices(seed: int, rounds: int) -> CTCRecogniser:
    """A recogniser of letters from eSpeak alone. A round is as much speech as the prompts have to train on."""
    few = pick(smoke=True, laptop=False)
    seed_everything(seed)
    model = letter_recogniser()
    said = rows_of(spelt(made_up(40 if few else 2200, seed), seed), seed=seed)  # three rounds' worth of sentences
    learn(model, said, epochs=1 if few else rounds // 3, batch_size=4, seed=seed)
    return model


def hear_person(model: CTCRecogniser, seed: int, rounds: int) -> CTCRecogniser:
    """The same recogniser after so many rounds of the training prompts; returns it."""
    prompts, few = load_prompts(), pick(smoke=True, laptop=False)
    rows = rows_of(prompts.train[:40] if few else prompts.train, 1 if few else 4, seed)
    learn(model, rows, epochs=1 if few else rounds // 4, batch_size=4, seed=seed)
    return model


def prompts_by_ear(seed: int) -> dict[str, dict[str, float]]:
    """A person's prompts, sentences never heard: trained on real speech alone, or on eSpeak first; equally long in all."""
    prompts = load_prompts()
    voices = hear_voices(seed, VOICE_ROUNDS)
    before = {f"{k}, before": v for k, v in error_rates(voices, prompts.test).items()}
    both = hear_person(voices, seed, PERSON_ROUNDS)
    seed_everything(seed)
    alone = hear_person(letter_recogniser(), seed, VOICE_ROUNDS + PERSON_ROUNDS)
    return {
        "eSpeak, then real": before | rates_of_letters(both, prompts, seed),
        "real alone": rates_of_letters(alone, prompts, seed),
    }


def rates_of_letters(model: CTCRecogniser, prompts: Splits, seed: int) -> dict[str, float]:
    """Error rates on the test: greedy, with beam search, and with a model of letters; and on validation, greedy."""
    truth = list(prompts.test.info["transcript"])
    language = Letters([*prompts.train.info["transcript"], *made_up(2000, seed)])
    helped = written_with(model, prompts.test, language)
    return {
        **error_rates(model, prompts.test),
        **{f"{k}, valid": v for k, v in error_rates(model, prompts.valid).items()},
        **{f"{k}, beam": v for k, v in error_rates(model, prompts.test, width=8).items()},
        "CER, with letters": character_error_rate(helped, truth),
        "WER, with letters": word_error_rate(helped, truth),
    }


def keep_ears(seed: int = 0) -> None:
    """Train and store the two recognisers of letters that the chapter loads, in half precision: some minutes.

    Those stored now were trained longer (3,500 made-up texts eight times, then forty rounds) and with a stronger `vary`.
    """
    model = hear_voices(seed, VOICE_ROUNDS)
    _keep(model, "voices")
    _keep(hear_person(model, seed, PERSON_ROUNDS), "person")


def _keep(model: CTCRecogniser, name: str) -> None:
    numbers = {key: t.half() if t.is_floating_point() else t for key, t in model.state_dict().items()}
    save_file(numbers, RESULTS / f"letters-{name}.safetensors")


def stored_ear(name: str) -> CTCRecogniser:
    """A stored recogniser of letters: "voices" (eSpeak alone), or "person" (then fine-tuned on the training prompts)."""
    _check.choice("name", name, ("voices", "person"))
    model = letter_recogniser()
    numbers = load_file(RESULTS / f"letters-{name}.safetensors")
    model.load_state_dict({key: t.float() if t.is_floating_point() else t for key, t in numbers.items()})
    return model.eval()
