# %% [markdown]
# ## 4 · Tools: one model, three frameworks
#
# The same network can be written in several libraries. We take the classic model of chapter 03 (CNN and LSTM, concatenation, dense layers),
# train it in **Keras 3**, carry the weights to **PyTorch**, and wrap it for **Hugging Face Transformers**. If the three are the same,
# the same weights give the same answers. Keras and Transformers are an extra of this course; nothing is downloaded by using them.

# %%
missing = [name for name in ("keras", "transformers") if importlib.util.find_spec(name) is None]
if missing:
    print(f"Not installed: {', '.join(missing)}. `pip install keras transformers` brings them; the cells of this section are left out.")
words = load_emoji(["noto"], keywords=1, length=8, seed=seed)
lesson, exam = words.train[:: pick(smoke=16, laptop=2)], words.test[:64]

# %% [markdown]
# **Keras** says *what* the layers are and trains with `fit`. It runs on PyTorch, TensorFlow or JAX: the variable `KERAS_BACKEND`, set before
# it is first imported, decides. Pictures are (height, width, channel) here.

# %% tags=["measured"]
if "keras" not in missing:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras import layers as L

    keras.utils.set_random_seed(seed)
    picture, text = keras.Input((48, 48, 3)), keras.Input((8,), dtype="int32")
    x = L.Rescaling(1 / 255)(picture)
    for channels in (64, 128, 256):
        x = L.MaxPooling2D(2)(L.Conv2D(channels, 3, activation="relu")(x))
    y = L.LSTM(64)(L.Embedding(len(words.vocabulary), 64)(text))
    z = L.Concatenate()([L.Flatten()(x), y])
    z = L.Dense(64, activation="relu")(L.Dense(128, activation="relu")(z))
    in_keras = keras.Model([picture, text], L.Dense(1, activation="sigmoid")(z))
    in_keras.compile("adam", "binary_crossentropy")
    study, test = ([b.inputs["image"].movedim(1, -1).numpy(), b.inputs["text"].numpy()] for b in (lesson, exam))
    in_keras.fit(study, lesson.targets["nature"].numpy(), batch_size=32, verbose=0)
    keras_says = in_keras.predict(test, verbose=0)[:, 0]
    print(f"{in_keras.count_params():,} parameters; answers from {keras_says.min():.2f} to {keras_says.max():.2f}")

# %% [markdown]
# **PyTorch** says *what happens*: a class with a `forward`, and a loop of one's own. Carrying the weights over is a lesson in what frameworks do
# alike and not: kernels are stored in another order of axes, an LSTM has one bias or two, and *flatten* runs through a picture in another
# order, so that the columns of the next matrix must move (`carry_keras_weights` says each of it).

# %% tags=["measured"]
if "keras" not in missing:
    in_torch = carry_keras_weights(ClassicFusion(48, len(words.vocabulary)), in_keras)
    with torch.no_grad():
        torch_says = in_torch.probability(exam.inputs)
    claim("applications.keras-is-pytorch", (torch_says - torch.as_tensor(keras_says)).abs().max(), at_most=1e-4,
          says="Keras and PyTorch with the same weights, largest difference of a probability")  # fmt: skip

# %% [markdown]
# **Transformers** is a library of architectures with a common form: a *configuration*, from which a model is built with fresh weights, and
# a folder format to share both (`save_pretrained`, `from_pretrained`). A model of one's own joins by two small classes.

# %% tags=["measured"]
if not missing:
    from transformers import PretrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()

    class ClassicConfig(PretrainedConfig):
        model_type = "classic-fusion"

        def __init__(self, image_size=48, vocabulary=10_000, **rest):
            super().__init__(**rest)
            self.image_size, self.vocabulary = image_size, vocabulary

    class ClassicModel(PreTrainedModel):
        config_class = ClassicConfig

        def __init__(self, config):
            super().__init__(config)
            self.classic = ClassicFusion(config.image_size, config.vocabulary)
            self.post_init()

        def forward(self, pixel_values, input_ids):
            return SequenceClassifierOutput(logits=self.classic({"image": pixel_values, "text": input_ids}))


# %% tags=["measured"]
if not missing:
    wrapped = ClassicModel(ClassicConfig(48, len(words.vocabulary)))
    wrapped.classic.load_state_dict(in_torch.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        wrapped.save_pretrained(folder)
        again = ClassicModel.from_pretrained(folder).eval()
    with torch.no_grad():
        hub_says = again(exam.inputs["image"], exam.inputs["text"]).logits.sigmoid()
    claim("applications.transformers-is-pytorch", (hub_says - torch_says).abs().max(), at_most=1e-6,
          says="Saved, loaded and asked through Transformers, largest difference of a probability")  # fmt: skip

# %% [markdown]
# The architectures that come with it are built the same way. A small CLIP from a configuration, not from a download, and its loss beside ours on
# the same embeddings:

# %% tags=["measured"]
if not missing:
    from transformers import CLIPConfig, CLIPModel

    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    V = len(words.vocabulary)
    theirs = CLIPModel(CLIPConfig(
        text_config=small | {"vocab_size": V + 2, "max_position_embeddings": 16, "bos_token_id": V, "eos_token_id": V + 1, "pad_token_id": 0},
        vision_config=small | {"image_size": 48, "patch_size": 8}, projection_dim=32,
    )).eval()  # fmt: skip
    with torch.no_grad():
        out = theirs(input_ids=exam.inputs["text"], pixel_values=exam.inputs["image"] / 255, return_loss=True)
        own = clip_loss(out.image_embeds, out.text_embeds, theirs.logit_scale.exp())
    print(f"{sum(p.numel() for p in theirs.parameters()):,} parameters; loss {out.loss:.4f}, ln {len(exam)} = {math.log(len(exam)):.4f}")
    claim("applications.clip-loss", (own - out.loss).abs(), at_most=1e-4, says="CLIP's loss in Transformers and here, difference")

# %% [markdown]
# ### When to choose which
#
# | you want to … | take | why |
# |---|---|---|
# | try a new idea, teach, publish research | PyTorch | every step is visible and can be changed; most papers' code is written in it |
# | build standard models quickly, on any of three backends | Keras 3 | layers and `fit` in a few lines; the same code on PyTorch, JAX and TensorFlow |
# | use or fine-tune a large pretrained model | Transformers | thousands of models with tokenisers and image processors, one interface |
# | deploy to phones, browsers, microcontrollers, or keep an existing TensorFlow system | TensorFlow (with Keras) | mature serving and on-device tools |
# | very large training on accelerators, functional style | JAX | compiled, transformable functions |
#
# TensorFlow was for years the first framework of industry, and Keras its front door. Keras 3 has parted from it: a model in Keras need not be
# married to a backend. For multimodal research today's default is PyTorch, with Transformers where pretrained parts are wanted. Choose by
# what your colleagues can read and what your target machine can run; the mathematics is the same, as the claims above show.
