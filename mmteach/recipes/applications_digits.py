"""Chapter 06, digits: a recogniser of digit strings from synthetic voices to people.

| name               | what it does                                                                |
|--------------------|--------------------------------------------------------------------------------|
| `strings`          | digit strings said by eSpeak, or put together of people's single digits             |
| `word_by_word`     | strings with pauses, for training                                                   |
| `people`           | one real speaker's single digits as a batch (MMTEACH_FSDD)                        |
| `recorded`         | your own recordings as a batch, from a folder of sound files                        |
| `one_digit`        | log p(d | sound) of each single digit, by CTC: a recogniser of isolated words      |
| `digits_by_people` | the table: synthetic voices, then real ones, each speaker left out in turn          |
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmteach.claims import pick
from mmteach.data import load_digit_strings
from mmteach.data.audio import SAMPLE_RATE
from mmteach.data.batch import Batch, Splits
from mmteach.data.speech import Utterance, speak_all
from mmteach.data.spoken import ACCENTS, WORDS, read_people, voice_split
from mmteach.generation import CTCRecogniser
from mmteach.generation.ctc import ctc_loss
from mmteach.recipes.applications_ears import error_rates, hear_again, heard, learn, recogniser, rows_of, together, trim
from mmteach.training import seed_everything

DIGITS = ("<blank>", *"0123456789")
STRINGS, EPOCHS, TUNING_EPOCHS = 1600, 9, 6


def strings(
    examples: tuple[int, int, int], speech: str = "espeak", held_out: str | None = None, seed: int = 0
) -> Splits:
    """`load_digit_strings` of one to six digits, `heard`; every second training string of eSpeak is said `word_by_word`."""
    fluent = examples if speech == "fsdd" else (examples[0] - examples[0] // 2, *examples[1:])
    made = load_digit_strings(speech, fluent, (1, 6), held_out=held_out, seed=seed)
    if speech == "espeak":
        made.train = word_by_word(made.train, examples[0] // 2, seed)
        made.valid, made.test = hear_again(made.valid), hear_again(made.test)
        return made
    made.train, made.valid, made.test = (hear_again(part) for part in (made.train, made.valid, made.test))
    return made


def word_by_word(fluent: Batch, number: int, seed: int) -> Batch:
    """The strings and so many others, each digit said by itself and up to a quarter of a second of silence after it.

    eSpeak says a string in one breath; people who dictate a number pause.
    """
    choose, speakers = random.Random(seed), voice_split()["train"]
    said = [[choose.randrange(10) for _ in range(choose.randint(1, 6))] for _ in range(number)]
    voices = [
        (choose.choice(ACCENTS), choose.choice(speakers), choose.randint(130, 220), choose.randint(35, 65))
        for _ in said
    ]
    words = iter(speak_all([Utterance(WORDS[d], *voice) for digits, voice in zip(said, voices) for d in digits]))
    sounds = []
    for digits in said:
        parts = [F.pad(next(words), (0, choose.randint(0, SAMPLE_RATE // 4))) for _ in digits]
        sounds.append(torch.cat([part / (2 * part.abs().max().clamp(min=1e-6)) for part in parts]))
    text = nn.utils.rnn.pad_sequence([torch.tensor(digits) + 1 for digits in said], batch_first=True)
    width = max(text.shape[1], fluent.targets["text"].shape[1])
    targets = [F.pad(t, (0, width - t.shape[1])) for t in (fluent.targets["text"], text)]
    info: dict[str, Sequence] = {
        "transcript": [*fluent.info["transcript"], *("".join(map(str, digits)) for digits in said)],
        "voice": [*fluent.info["voice"], *(f"{accent}+{speaker}" for accent, speaker, *_ in voices)],
        "waveform": [*fluent.info["waveform"], *sounds],
    }
    audio, mask = heard(info["waveform"])
    return Batch({"audio": audio}, {"text": torch.cat(targets)}, {"audio": mask}, info=info)


def people(speaker: str) -> Batch:
    """A real speaker's single digits: {"audio"}, its mask, "text" (N, 1), and "transcript"."""
    everybody = read_people()
    rows = [i for i, name in enumerate(everybody["speaker"]) if name == speaker]
    audio, mask = heard([everybody["waveforms"][i] for i in rows])
    digit = everybody["digit"][rows]
    said = [str(d) for d in digit.tolist()]
    return Batch({"audio": audio}, {"text": digit[:, None] + 1}, {"audio": mask}, info={"transcript": said})


def recorded(folder: str | Path) -> Batch:
    """Your own recordings: {"audio"}, its mask, "text" (N, L), and "transcript".

    Sound files (WAV, FLAC, OGG, MP3) of up to ten seconds whose names begin with the digits that are said: 7_a.wav, 1984_b.wav.
    Raises ValueError where there is none, or for the first file that is not named so or cannot be used.
    """
    from mmteach.widgets.inputs import read_sound

    files = sorted(f for f in Path(folder).glob("*") if f.suffix.lower() in {".wav", ".flac", ".ogg", ".mp3"})
    if not files:
        raise ValueError(
            f"There is no sound file (WAV, FLAC, OGG, MP3) in {Path(folder).resolve()}: record some digits and put them there."
        )
    sounds, said = [], []
    for file in files:
        digits = re.match("[0-9]+", file.stem)
        if digits is None:
            raise ValueError(
                f"{file.name} does not say which digits are said: let its name begin with them, such as 7_{file.name}"
            )
        try:
            sounds.append(read_sound(file.read_bytes()))
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from None
        said.append(digits[0])
    audio, mask = heard(sounds)
    text = nn.utils.rnn.pad_sequence([torch.tensor([int(d) + 1 for d in digits]) for digits in said], batch_first=True)
    return Batch({"audio": audio}, {"text": text}, {"audio": mask}, info={"transcript": said})


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


def digits_by_people(seed: int) -> dict[str, dict[str, float]]:
    """Digit strings: synthetic voices alone, then fine-tuned on people and voices; each person left out in turn.

    Three people would soon be known by heart; with voices among them the recogniser goes on hearing many. A row for the test
    voices of eSpeak and one for each person: characters wrong in strings of theirs before and after fine-tuning on the others,
    and single digits right before it. Needs MMTEACH_FSDD.
    """
    made = strings(pick(smoke=(60, 20, 20), laptop=(STRINGS, 150, 150)), seed=seed)
    seed_everything(seed)
    model = recogniser(len(DIGITS))
    learn(model, rows_of(made.train, seed=seed), epochs=pick(smoke=1, laptop=EPOCHS), lr=3e-3, seed=seed)
    rows = {
        "eSpeak, unseen voices": {
            "CER": error_rates(model, made.test, DIGITS)["CER"],
            "CER, valid": error_rates(model, made.valid, DIGITS)["CER"],
            "CER, beam": error_rates(model, made.test, DIGITS, width=8)["CER"],
        }
    }
    for speaker in sorted(set(read_people()["speaker"])):
        real = strings(pick(smoke=(40, 20, 20), laptop=(400, 60, 120)), "fsdd", speaker, seed)
        tuned = recogniser(len(DIGITS))
        tuned.load_state_dict(model.state_dict())
        row = {"single digits right, before": single_right(tuned, speaker)}
        row["CER, before"] = error_rates(tuned, real.test, DIGITS)["CER"]
        both, epochs = rows_of(together(real.train, made.train[::8]), seed=seed), pick(smoke=1, laptop=TUNING_EPOCHS)
        learn(tuned, both, epochs=epochs, lr=1e-3, seed=seed)
        rows[speaker] = row | {
            "single digits right": single_right(tuned, speaker),
            "CER": error_rates(tuned, real.test, DIGITS)["CER"],
            "CER, valid": error_rates(tuned, real.valid, DIGITS)["CER"],
        }
    return rows


def single_right(model: CTCRecogniser, speaker: str) -> float:
    """The share of a real speaker's single digits that `one_digit` gets right."""
    single = people(speaker)
    return (one_digit(model, single).argmax(1) + 1 == single.targets["text"][:, 0]).float().mean().item()
