# %% [markdown]
# ## 2 · Speech and text
#
# A recording has 100 frames a second, its transcript a few letters, and nobody has said which frame belongs to which letter.
# **Connectionist temporal classification** (CTC) does not ask. In each frame $t$ the network says a letter or *blank* “–”; an
# **alignment** $\pi$ is one choice a frame; merging repeats and then dropping blanks gives what it says: collapse(h h – e l – l l o) =
# *hello*. The probability of a text is the sum over all alignments that say it:
#
# $$p(y \mid x) = \sum_{\pi:\ \mathrm{collapse}(\pi) = y}\ \prod_t p_t(\pi_t), \qquad \text{loss} = -\log p(y \mid x).$$
#
# There are exponentially many, and a table adds them up. Put blanks around the letters, $s = (–, y_1, –, y_2, \dots, –)$, and let $\alpha_t(i)$ be
# the probability of all beginnings that stand at $s_i$ after frame $t$. One comes from the same place, from the one before, or skips a
# blank between two different letters:
#
# $$\alpha_t(i) = p_t(s_i)\,\big[\alpha_{t-1}(i) + \alpha_{t-1}(i-1) + \alpha_{t-1}(i-2)\,\mathbb{1}[s_i \ne –,\ s_i \ne s_{i-2}]\big].$$


# %%
def ctc(p, y):
    """−log of the summed probability of all alignments of the labels y; p (T, V) are the frames' probabilities, 0 is blank."""
    s = [0]
    for label in y:
        s += [label, 0]
    alpha = [p[0, s[0]], p[0, s[1]]] + [torch.zeros(())] * (len(s) - 2)
    for t in range(1, len(p)):
        before = alpha
        alpha = []
        for i, label in enumerate(s):
            come = before[i] + (before[i - 1] if i > 0 else 0)
            if i > 1 and label != 0 and label != s[i - 2]:
                come = come + before[i - 2]
            alpha.append(p[t, label] * come)
    return -(alpha[-1] + alpha[-2]).log()


p = torch.rand(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(1)
every = [pi for pi in itertools.product(range(4), repeat=7) if collapse(pi) == [3, 1, 1]]
listed = -torch.stack([p[range(7), pi].prod() for pi in every]).sum().log()
ours, library = ctc(p, [3, 1, 1]), ctc_loss(p.log()[None], torch.tensor([[3, 1, 1]]), reduction="sum")
print(f"{len(every)} of {4**7:,} alignments say it: summed one by one {listed:.6f}, by the table {ours:.6f}")
claim("applications.ctc", max(abs(ours - listed), abs(library - listed)), at_most=1e-4,
      says="The table and ctc_loss against the sum over all alignments, largest difference")  # fmt: skip

# %% [markdown]
# ### Digits, said by machines
#
# Text → speech is the easy direction here. **eSpeak NG is rule-based**: rules turn letters into sounds, tables give each sound its resonances,
# and an oscillator and filters play them. Nothing is learned, nobody was recorded, and any text in dozens of languages comes out in a
# millisecond, in a voice that no one takes for a person's. As a source of *labelled* speech it has no end.

# %%
strings = load_digit_strings(examples=pick(smoke=(60, 20, 20), laptop=(DIGIT_STRINGS, 150, 150)), lengths=(1, 6), seed=seed)
print(strings.train)
example = next(i for i, text in enumerate(strings.test.info["transcript"]) if len(text) == 4)
print("said:", strings.test.info["transcript"][example], "by", strings.test.info["voice"][example])
Audio(strings.test.info["waveform"][example].numpy(), rate=8000)

# %% [markdown]
# The recogniser: two convolutions over pitch and time that make one frame of three (30 ms), two bidirectional GRUs, and a softmax over ten
# digits and the blank. Training examples are **varied** (`speech.vary`): faster or slower, the spectrum stretched as by a longer or
# shorter throat and tilted as by another microphone, some noise, holes in time and pitch. The test's voices are never in training.

# %% tags=["measured"]
seed_everything(seed)
digit_ear = speech.recogniser(len(speech.DIGITS))
history = speech.learn(digit_ear, strings.train, strings.valid, epochs=pick(smoke=1, laptop=DIGIT_EPOCHS), seed=seed)
greedy, beam = (speech.error_rates(digit_ear, strings.test, speech.DIGITS, width=w) for w in (1, 8))
print(f"characters wrong on unseen voices: greedy {greedy['CER']:.3f}, beam search of width 8 {beam['CER']:.3f}")
claim("applications.synthetic-voices", greedy["CER"], at_most=0.1, says="Digit strings, unseen voices of eSpeak: character error rate")
figures.learning_curves(history, title="CTC on digit strings")

# %% [markdown]
# **Error rates.** The character error rate is the number of substitutions, deletions and insertions that turn the answer into the
# transcript, by the number of characters of the transcript; the word error rate counts words. Both can pass 1.
#
# When does it hear each digit? The likeliest alignment of a known text (*forced alignment*, the Viterbi path through the same table)
# says so.


# %%
def log_probs(ear, waveform):
    with torch.no_grad():
        sound = hear(waveform[None])
        return sound[0, 0], ear({"audio": sound})[0]


heard = log_probs(digit_ear, strings.test.info["waveform"][example])
text = strings.test.info["transcript"][example]
figures.alignment(*heard, text, speech.DIGITS, title="When each digit was heard: short peaks, blanks between")

# %% [markdown]
# **What to see.** CTC's answers are *peaks*: a frame or two says the digit, often near its end, once enough has been heard, and all others say
# blank. CTC rewards neither the right moment nor the right length.
#
# ### Digits, said by people
#
# How much of that holds for human speakers? The Free Spoken Digit Dataset has real people; it is not shipped with the course. With the variable
# `MMTEACH_FSDD` set to its folder the next cell tries the recogniser on them.

# %%
if os.environ.get("MMTEACH_FSDD"):
    for speaker in sorted(set(read_people()["speaker"])):
        single = speech.people(speaker)
        right = speech.one_digit(digit_ear, single).argmax(1) + 1 == single.targets["text"][:, 0]
        print(f"{speaker:<10} single digits right, never having heard a person: {right.float().mean():.2f}")
else:
    print("MMTEACH_FSDD is not set, so nobody is heard here. `mmteach data` and the README say where to get the set.")

# <<table digits-by-people
# %% tags=["measured"]
table, made = stored("digits-by-people")
print(made)
table.groupby("model", sort=False).mean(numeric_only=True).drop(columns="seed").round(3)

# %% tags=["measured"]
people = table[table.model != "eSpeak, unseen voices"]
claim("applications.people-are-harder", every=people.groupby("seed")["CER, before"].mean(), at_least=0.1,
      says="Characters wrong on people before fine-tuning, mean of the speakers")  # fmt: skip
claim("applications.fine-tuning-helps", every=people.groupby("seed").apply(lambda g: (g["CER, before"] - g["CER"]).mean()),
      at_least=0.05, says="What fine-tuning on the other speakers takes off, mean of the speakers")  # fmt: skip
both = pd.concat([people.assign(model=people.model + w, rate=people[c]) for c, w in (("CER, before", ", before"), ("CER", ", after"))])
figures.compare(both, "rate", label="characters wrong", title="Each speaker left out in turn: before and after fine-tuning on the others")
# >>

# %% [markdown]
# ### Sentences, said by a person
#
# The embedded prompts are real human speech: one speaker, telephone quality, fourteen minutes to train on, split so that **no sentence of the
# test, nor one like it**, is in training. The letters are to be written down.

# %%
prompts = load_prompts()
hello = prompts.test.info["transcript"].index("hello world")
print(f"{len(prompts.train)} / {len(prompts.valid)} / {len(prompts.test)} sentences; this one says: {prompts.test.info['transcript'][hello]}")
Audio(prompts.test.info["waveform"][hello].numpy(), rate=8000)

# <<table prompts-by-ear
# %% [markdown]
# Does it pay to learn first from a machine that never tires? The table compares training on the prompts alone with pretraining on eSpeak and
# fine-tuning on the prompts, equally long in all.

# %% tags=["measured"]
table, made = stored("prompts-by-ear")
print(made)
rates = table.groupby("model", sort=False).mean(numeric_only=True)
rates[["CER, before", "WER, before", "CER", "CER, beam", "CER, with letters", "WER", "WER, with letters"]].round(3)

# %% tags=["measured"]
by = table.set_index(["model", "seed"])
alone, first = by.loc["real alone"], by.loc["eSpeak, then real"]
claim("applications.fine-tuning-on-a-person", every=first["CER, before"] - first["CER"], at_least=0.2,
      says="Human prompts: characters wrong that fine-tuning on the person takes off")  # fmt: skip
claim("applications.letters-help", every=first["CER"] - first["CER, with letters"], at_least=0.0,
      says="Human prompts: characters wrong that beam search with a model of letters takes off")  # fmt: skip
gain = alone["CER"] - first["CER"]
print(f"eSpeak first instead of real speech alone, equally long: {gain.mean():+.3f} of the characters (from {gain.min():+.3f} to {gain.max():+.3f})")
# >>

# %% [markdown]
# **Greedy or beam?** The likeliest alignment need not say the likeliest text: several alignments of another text may add up to more. Prefix beam
# search adds them up. With peaks as sharp as CTC's the gain is small. It is large where something is *added* to the score: a model of
# letters, learned from text alone, that says *th* is likelier followed by *e* than by *x*:
#
# $$\hat y = \arg\max_y\ \log p(y \mid x) + \beta \log p_{\text{letters}}(y) + \gamma\, |y|.$$
#
# It is the cheapest second source there is: text without sound.
#
# ### Read along
#
# Two recognisers of letters are stored with the course, in half precision, for their training takes longer than this chapter may
# (`speech.keep_ears` made them): one has heard eSpeak alone, the other was fine-tuned on the person's training sentences afterwards. Both
# write down sentences of the test.

# %% tags=["measured"]
ears = {name: speech.stored_ear(name) for name in ("voices", "person")}
said = {name: speech.written(ear, prompts.test) for name, ear in ears.items()}
for i in (1, 2, 17, 23, hello):
    print(f"{prompts.test.info['transcript'][i]}\n   eSpeak alone → {said['voices'][i]}\n   fine-tuned → {said['person'][i]}")
rates = {name: speech.error_rates(ear, prompts.test) for name, ear in ears.items()}
for name, rate in rates.items():
    print(f"{name:<8} characters wrong {rate['CER']:.3f}, words wrong {rate['WER']:.3f}")
claim("applications.fine-tuning", rates["voices"]["CER"] - rates["person"]["CER"], at_least=0.1,
      says="Sentences never heard: characters wrong that fine-tuning on the person takes off")  # fmt: skip

# %% tags=["measured"]
letter_ear, truth = ears["person"], prompts.test.info["transcript"]
language = speech.Letters([*prompts.train.info["transcript"], *speech.made_up(2000, seed)])
ways = {"greedy": said["person"], "beam, width 8": speech.written(letter_ear, prompts.test, width=8),
        "beam and letters": speech.written_with(letter_ear, prompts.test, language)}  # fmt: skip
for way, lines in ways.items():
    print(f"{way:<17} characters wrong {character_error_rate(lines, truth):.3f}, words wrong {word_error_rate(lines, truth):.3f}")
claim("applications.letters-help-live", character_error_rate(ways["greedy"], truth) - character_error_rate(ways["beam and letters"], truth),
      at_least=0.0, says="Characters wrong that a model of letters takes off")  # fmt: skip

# %% tags=["measured"]
figures.alignment(
    *log_probs(letter_ear, prompts.test.info["waveform"][hello]), "hello world", LETTERS, title="“hello world”, said by a person"
)

# %% [markdown]
# ### Speech finds text, text finds speech
#
# A recogniser is a search engine as well: $\log p(y \mid x)$ scores *every* text $y$ against every sound $x$, all alignments summed, even where its
# own best guess is misspelt. For a sound we rank texts by it. For a text we rank sounds, and there the plain score is not quite right: a
# long sound makes every text improbable. What the sound gives to all texts is taken off,
# $\log p(y\mid x) - \log \sum_{y'} p(y' \mid x)$, and sounds can be compared.

# %% tags=["measured"]
texts = sorted(set(prompts.test.info["transcript"]))
S = speech.scores(letter_ear, prompts.test, texts)  # (sounds, texts), log p(text | sound)
says_it = torch.tensor([[text == truth for text in texts] for truth in prompts.test.info["transcript"]])
ways = {"sound → text": (S, says_it), "text → sound": (S.T, says_it.T), "text → sound, normalised": (S.log_softmax(1).T, says_it.T)}
found = {way: {f"R@{k}": recall_at_k(scores, k, relevant) for k in (1, 5)} for way, (scores, relevant) in ways.items()}
print(f"{len(S)} sounds, {len(texts)} texts, none in training; chance R@1 {1 / len(texts):.3f}")
claim("applications.sound-finds-text", found["sound → text"]["R@1"], at_least=0.5, says="The right text first, by sound")
claim("applications.normalise", found["text → sound, normalised"]["R@1"] - found["text → sound"]["R@1"], at_least=0.02,
      says="Text → sound, R@1: what normalising each sound's scores gains")  # fmt: skip
pd.DataFrame(found).T.round(3)

# %% [markdown]
# The transcript is often misspelt, and yet the right sentence comes first: choosing among some fifty sentences is a far easier task than writing.
# Where only a few things can be said (a menu, a command), search instead of writing.
#
# ### Use it yourself
#
# Have any text said by rule and listen to what the recognisers make of it, or upload a recording of your own voice (WAV, FLAC, OGG or
# MP3; most telephones save one of these).


# %%
EARS = {"digits, from synthetic voices": (digit_ear, speech.DIGITS), "letters, from voices and one person": (letter_ear, LETTERS)}


def listen(sound, name):
    ear, labels = EARS[name]
    spectrogram, probabilities = log_probs(ear, sound)
    said = "".join(labels[i] for i in collapse(probabilities.argmax(1).tolist()))
    print(f"heard: “{said}”")
    if not said:
        return figures.describe(figures.canvas()[0], "An empty figure: the recogniser heard nothing that it can write.")
    return figures.alignment(spectrogram, probabilities, said, labels, title=f"“{said}”")


def say(text, voice):
    accent, _, speaker = voice.partition("+")
    return data.speak(text, voice=accent, variant=speaker or None)


# %% tags=["measured"]
listen(say("one nine eight four", "en-gb-scotland+f2"), "digits, from synthetic voices")

# %%
widgets.speech_writer(listen, say, list(EARS), ["en-us+m3", "en-us+f3", "en-gb-scotland+f2", "en", "de", "fr"], text="seven zero two")
