
# %% [markdown]
# Three systems, each small enough to be trained while you read, and each with the same parts: pairs, an encoder for each modality, a
# loss that brings pairs together, a search. At the end of each section you use it, on input that nobody prepared.
#
# | | you give | you get | what is new in the test |
# |---|---|---|---|
# | 1 | a wish, a drawing, an uploaded picture | pictures; the description that fits | concepts never seen; a drawing style never seen |
# | 2 | a text to say, a recording | what was said, and when | voices, people and sentences never heard |
# | 3 | a sentence, a clip | clips; who does what | pairs of thing and action never seen |
#
# ## 1 · Pictures and descriptions
#
# *Something round and yellow to eat.* A search by description needs a space in which the text lies next to the pictures it fits. Chapter 04
# derives the loss; here it serves. For a batch of $N$ pairs with vectors $I_i$, $T_i$ of length 1 and temperature $e^{-\tau}$:
#
# $$L_{\text{words}} = \tfrac12\big[\mathrm{CE}(S) + \mathrm{CE}(S^\top)\big], \quad S_{ij} = e^{\tau}\, I_i \cdot T_j, \qquad
# L = L_{\text{words}} + \lambda\, L_{\text{drawings}},$$
#
# where $L_{\text{drawings}}$ is the same between two *drawings* of one concept, in two styles. The second term is for queries that are
# pictures: your own drawing is one more style. Texts are names in ten languages, and keywords in English and Chinese, cut into words and runs of three letters, so that a new word
# shares pieces with known ones.

# %%
views, pieces = pictures.material()
print(views)
for text in ("yellow pear", "黄色的梨"):
    print(f"{text} → {' '.join(pieces.split(text))}")

# %%
torch.manual_seed(seed)
figures.picture_grid(
    pictures.two_views(views[40:46]).inputs["image"], columns=6, inch=1.1, title="What the network is given: one concept a column, two artists, moved and recoloured a little",
    alt="Two rows of six small emoji; in each column the same thing in two drawing styles, turned, shifted and tinted a little.",
)  # fmt: skip

# %% tags=["measured"]
finder = pictures.train(views, pieces, drawings_too=0.5, seed=seed, steps=SEARCH_STEPS)
new = pictures.numbers_in("test")  # 317 concepts without one drawing in training
shown = pictures.cropped("noto")
P = pictures.look_at(finder, shown[new])  # (317, dim), rows of length 1
results = {}
for language in ("en", "zh"):
    T = pictures.read(finder, pieces, [pictures.full(i, language) for i in new])
    results[f"{language} → picture"], results[f"picture → {language}"] = pictures.found(T, P), pictures.found(P, T)
print("unseen concepts, gallery", len(new), f"(chance R@10 {10 / len(new):.3f})")
pd.DataFrame(results).T.round(3)

# %% tags=["measured"]
claim("applications.find-unseen", results["en → picture"]["R@10"], at_least=0.12,
      says="Concepts never seen, found by description: right picture among the first ten of 317")  # fmt: skip
claim("applications.recognise-unseen", results["picture → en"]["R@10"], at_least=0.12,
      says="Concepts never seen, recognised: right description among the first ten of 317")  # fmt: skip

# %% [markdown]
# **What to see.** Ten answers of 317 hold the right one many times as often as by chance, for things of which training had neither
# picture nor word. What carries over is what the parts share: colours, kinds of shape, pieces of words. It is a long way from
# perfect, and for a user who looks at ten pictures it is a help.

# <<table find-by-words
# %% [markdown]
# *Predict.* Does the loss between drawings help a search **by words**? A search **by drawing**?
#
# <details><summary><b>Guess first.</b> Then unfold.</summary>
#
# Words meet pictures in the first term alone; the second pulls the styles together, which a query in a *new* style needs. Look at the table for the
# size of both effects.
#
# </details>

# %% tags=["measured"]
table, made = stored("find-by-words")
print(made)
columns = ["en → picture, R@10, test", "zh → picture, R@10, test", "picture → en, R@10, test", "drawing → picture, R@1", "drawing → picture, R@10"]
table.groupby("model", sort=False)[columns].mean().round(3)

# %% tags=["measured"]
by = table.set_index(["model", "seed"])["drawing → picture, R@1"]
gain = by.loc["words and drawings"] - by.loc["words alone"]
claim("applications.drawings-help-drawings", every=gain, at_least=0.01,
      says="A drawing in a style never seen finds its concept first of 1,111: gain of the loss between drawings")  # fmt: skip
figures.compare(table, "drawing → picture, R@1", label="R@1 of a drawing in a style never seen, gallery 1,111",
                title="A loss between drawings helps drawings as queries")  # fmt: skip
# >>

# %% [markdown]
# ### Use it yourself
#
# The gallery is now *all* 1,587 emoji in one style. A wish in English or Chinese is looked up as it is. A drawing or picture is cropped to
# what is drawn, as the training pictures were, and asked twice: which pictures lie near it, and which of *your* descriptions fits it
# best (zero-shot classification: a softmax over the descriptions' scores).


# %%
names = [concept.names["en"] for concept in concepts()]
shelf_pictures = pictures.look_at(finder, shown)


def find_pictures(wish, number=8):
    if (pieces.encode([wish])[0] == 1).all():
        raise ValueError(f"No piece of “{wish}” occurs in the training texts: try other words, English or Chinese.")
    scores = (pictures.read(finder, pieces, [wish]) @ shelf_pictures.T)[0]
    best = scores.topk(number).indices.tolist()
    alt = f"The emoji found for “{wish}”: " + ", ".join(names[i] for i in best) + "."
    print(f"“{wish}”")  # above the figure: its font knows no Chinese
    return figures.picture_grid(shown[best], [names[i] for i in best], columns=8, inch=1.1, alt=alt)


def name_picture(picture, could_be, number=7):
    query = pictures.framed(picture[None])
    z = pictures.look_at(finder, query)
    fits = (finder.scale().detach() * z @ pictures.read(finder, pieces, could_be).T).softmax(1)[0]
    print("; ".join(f"{text} {p:.0%}" for text, p in zip(could_be, fits.tolist())))
    best = (z @ shelf_pictures.T)[0].topk(number).indices.tolist()
    alt = "The query, then the emoji nearest to it: " + ", ".join(names[i] for i in best) + "."
    return figures.picture_grid(torch.cat([query, shown[best]]), ["query", *(names[i] for i in best)], columns=8, inch=1.1, title="Nearest", alt=alt)


# %% tags=["measured"]
for wish in ("a red fruit", "白色的动物", "something that flies"):
    figures.show(find_pictures(wish))
name_picture(paint(PEAR), ["a fruit", "an animal", "a vehicle", "a face"])

# %% [markdown]
# **Try it.** Type a wish, in English or Chinese. Paint with letters, one a square: that works from the keyboard and without a mouse. Or upload a
# picture. What does the finder see in a drawing of *you*? Does it know a photograph?

# %%
widgets.picture_finder(find_pictures, name_picture)

# %% [markdown]
# **Where it fails.** It matches *looks*: a drawn pear in green may well come out as a green something else. It has a bag of pieces, so “a dog
# without a tail” is a dog, a tail and the rest. And it always answers: nearest is not near.
