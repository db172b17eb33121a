# %% [markdown]
# ## 5 · Practice: before anybody relies on it
#
# ### Evaluation
#
# 1. **Hold out what will be new in use.** New speakers, new sentences, new concepts, new pairs: in this chapter each system was split by what its
#    user brings. A random split would have put the same speaker, or a near-duplicate of the sentence, on both sides.
# 2. **Choose on validation, report on test**, once. The best of many on the test is partly luck.
# 3. **Name the floor and the ceiling.** Chance, the best single modality, a trivial rule; and what a person reaches.
# 4. **Say how sure you are.** Several seeds, an interval, and the number of test examples: two models are compared on the same examples.
# 5. **Look at errors**, by group: an average hides the speaker for whom it fails.
#
# How much can a small test deceive? We draw our own test anew, with replacement, a thousand times (the *bootstrap*), and look at how far
# the error rate of the digit recogniser moves although nothing about it has changed.

# %% tags=["measured"]
said, truth = speech.written(digit_ear, strings.test, speech.DIGITS), strings.test.info["transcript"]
edits = torch.tensor([character_error_rate([s], [t]) * len(t) for s, t in zip(said, truth)])
lengths = torch.tensor([float(len(t)) for t in truth])
draws = torch.Generator().manual_seed(seed)
spreads = {}
for size in (15, 50, len(truth)):
    rows = torch.randint(len(truth), (1000, size), generator=draws)
    rates = edits[rows].sum(1) / lengths[rows].sum(1)
    spreads[size] = rates.quantile(torch.tensor([0.025, 0.5, 0.975])).tolist()
    print(f"{size:>4} test strings: 95 % of the draws lie between {spreads[size][0]:.3f} and {spreads[size][2]:.3f}")
claim("applications.small-tests-deceive", (spreads[15][2] - spreads[15][0]) - (spreads[len(truth)][2] - spreads[len(truth)][0]),
      at_least=0.001, says="How much wider the interval is with 15 strings than with all")  # fmt: skip

# %% [markdown]
# ### Debugging checklist
#
# From the cheapest check to the dearest; most bugs of multimodal systems are bugs of *pairing and preprocessing*.
#
# | check | how | what it catches |
# |---|---|---|
# | look at ten pairs as the model gets them | draw and play them **after** all preprocessing | shuffled pairs, wrong channel order, silence, cut-off text |
# | loss before training | $\ln K$ for $K$ classes, $\ln N$ for a contrastive batch of $N$ | wrong scale, softmax applied twice |
# | overfit one batch | the loss must go to nearly 0 | a dead layer, labels that do not belong, a learning rate far off |
# | shuffle one modality at test time | accuracy must fall | a modality that is ignored |
# | a baseline of each modality alone | the fused model must beat the better one | competition, leakage |
# | padding | the same text with more padding must give the same answer | a missing mask |
# | one line of code changed at a time | rerun with the same seed | two bugs that hide one another |
#
# Two of them, on the models of this chapter:


# %% tags=["measured"]
mixed = replace(motion.test, inputs={**motion.test.inputs, "video": motion.test.inputs["video"].flip(1)})  # backwards
names = {"as it is": motion.test, "played backwards": mixed}
for name, clips in names.items():
    print(f"clips {name:<17}" + "  ".join(f"{k} {v:.3f}" for k, v in video.right(paths, clips).items()))
sound = hear(strings.test.info["waveform"][example][None])
longer = F.pad(sound, (0, 60))
real = torch.arange(longer.shape[-1])[None] < sound.shape[-1]
once, padded = digit_ear.write({"audio": sound}), digit_ear.write({"audio": longer}, masks={"audio": real})
print("the digits heard, without and with 0.6 s of padding:", *("".join(speech.DIGITS[i] for i in ids[0]) for ids in (once, padded)))

# %% [markdown]
# Played backwards, what grew shrinks, and a model that uses the order must answer so; what looks the same both ways (blinks, pulses) stays,
# and *who* stays who. Padding changes nothing, as it must.
#
# ### Data cards
#
# A data set needs a page that says where it comes from, who may use it, how it was split and what it does not hold (Gebru et al. 2021). A system
# needs one that says what it was tested on (Mitchell et al. 2019). Every set of this course has its card:

# %%
print(page(data.card("prompts")))

# %% [markdown]
# Write such a card for a system *before* you show it to others. For the three of this chapter it would have to say at least: the picture
# finder knows emoji, not photographs; the writer of sentences has heard **one** woman on a telephone line, so a good figure says nothing about you;
# the clip finder answers with one of 24 things whatever it is shown. Voices are personal data: record others only with their consent, and say what
# becomes of the recording. Here all stays in the memory of your own kernel.
#
# ## FAQ
#
# <details><summary>It does not understand my own voice. What is wrong?</summary>
#
# Nothing, very likely. The recognisers have met one person and synthetic voices. Record each digit a few times and fine-tune on them:
# <code>speech.learn</code> with a lower learning rate.
#
# </details>
# <details><summary>Why not use a large pretrained model right away?</summary>
#
# For a product, do. Here each part is small enough to be trained and taken apart in minutes, and the checks of section 5 are the same for both.
#
# </details>
# <details><summary>Can I film with a camera, or paint with a mouse?</summary>
#
# Save a GIF or a picture and upload it. The course draws with letters because that works from a keyboard, on every platform.
#
# </details>
#
# ## Quiz
#
# **1. A clip model is at 0.04 on unseen pairs where chance is 0.125. What is the likeliest cause?**
#
# <details><summary>A bug in the evaluation</summary>Check for it, but here a simpler cause explains a figure *below* chance.</details>
# <details><summary>It learned which verbs each object does in training</summary>Yes: in the unseen pairs the answer is never among them.</details>
# <details><summary>Too little training</summary>A model that knows nothing would be at chance, not below it.</details>
#
# **2. What does CTC need to know about the training recordings?**
#
# <details><summary>When each letter begins</summary>No: it sums over all alignments.</details>
# <details><summary>Only the transcript, no longer than the frames allow</summary>Yes: one frame a label, and one more between equal neighbours.</details>
# <details><summary>The speaker</summary>No, though a split needs it.</details>
#
# **3. Why add the scores of subject and predicate rather than learn one for the sentence?**
#
# <details><summary>It needs fewer parameters</summary>It does, and that is not the point.</details>
# <details><summary>What is known of each part then holds in combinations never seen</summary>Yes: as far as who and what are independent given the
# clip.</details>
# <details><summary>Because sums are faster than products</summary>In logarithms a sum is a product of probabilities.</details>
#
# **4. Keras and PyTorch give different answers with “the same” weights. Where do you look first?**
#
# <details><summary>Rounding</summary>Differences of rounding are near $10^{-6}$; look there last.</details>
# <details><summary>The order of axes at kernels and at *flatten*, and the scale of the pictures</summary>Yes: these are what the carrying changes.</details>
# <details><summary>The optimiser</summary>It plays no part once weights are fixed.</details>
#
# **5. Fine-tuning lowered the error on the speaker it was tuned on. May you report that figure?**
#
# <details><summary>Yes, on recordings that it was not tuned on</summary>Only as what it is: a figure for *known* speakers.</details>
# <details><summary>As the error for new speakers: no</summary>Yes: leave a speaker out for that.</details>
# <details><summary>Yes, it is a test set</summary>What is a test for sentences need not be one for speakers.</details>
#
# ## Go further
#
# - Alex Graves, Santiago Fernández, Faustino Gomez and Jürgen Schmidhuber, 2006, “Connectionist Temporal Classification: Labelling Unsegmented
#   Sequence Data with Recurrent Neural Networks”, ICML.
# - Karen Simonyan and Andrew Zisserman, 2014, “Two-Stream Convolutional Networks for Action Recognition in Videos”, NeurIPS.
# - Alec Radford et al., 2021, “Learning Transferable Visual Models From Natural Language Supervision”, ICML: description as query and as class.
# - Daniel Park et al., 2019, “SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition”, Interspeech.
# - Alec Radford et al., 2023, “Robust Speech Recognition via Large-Scale Weak Supervision”, ICML: Whisper, a recogniser from 680,000 hours.
# - Timnit Gebru et al., 2021, “Datasheets for Datasets”, Communications of the ACM.
# - Margaret Mitchell et al., 2019, “Model Cards for Model Reporting”, FAT*.
