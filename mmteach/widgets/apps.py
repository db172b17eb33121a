"""The three applications of chapter 06 as their users meet them: controls on top, the answer below.

| name             | what the learner does with it                                              |
|------------------|-----------------------------------------------------------------------------|
| `picture_finder` | types a wish, paints or uploads a picture, and names what it could be         |
| `speech_writer`  | has a text spoken or uploads a sound, and reads what was heard                |
| `clip_finder`    | types a sentence, directs or uploads a clip, and reads what happens in it     |

Each takes functions that answer with a figure, so that the same answer can stand beside it as a still one. A ValueError's or
DataError's sentence is shown in place of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mmteach.data.store import DataError
from mmteach.widgets.inputs import LONGEST, PAINT_NAMES, paint, read_clip, read_picture, read_sound, uploaded

if TYPE_CHECKING:
    from ipywidgets import VBox

LABEL = {"description_width": "150px"}
PEAR = "....m....\n....gg...\n...gg....\n..gggg...\n..gggg...\n.gggggg..\n.gggggg..\n..gggg..."


def picture_finder(
    by_words: Callable[[str], object],
    by_picture: Callable[[Tensor, list[str]], object],
    wish: str = "a red fruit",
    drawing: str = PEAR,
    could_be: str = "a fruit; an animal; a vehicle; a face",
) -> VBox:
    """Find pictures by a wish; find what a drawing or an uploaded picture looks like, and which description fits it best.

    by_words:   wish → what to show
    by_picture: (picture uint8 (3, 48, 48), descriptions) → what to show
    wish, drawing, could_be: what stands in the boxes at first; descriptions are parted by semicolons
    """
    import ipywidgets as w

    wide = w.Layout(width="560px")
    words = w.Text(value=wish, description="I am looking for", style=LABEL, layout=wide, continuous_update=False)
    canvas = w.Textarea(
        value=drawing, description="My drawing", style=LABEL, layout=w.Layout(width="560px", height="210px")
    )
    canvas.rows = 10
    names = w.Text(value=could_be, description="It could be", style=LABEL, layout=wide)
    hint = w.HTML(f"<small>Each letter paints a square: {PAINT_NAMES}.</small>")
    upload = _upload("image/*", "or upload a picture")
    find, ask, ask_file = (_button(text) for text in ("Find pictures", "What is my drawing?", "What is my upload?"))
    shown = w.Output()

    def descriptions() -> list[str]:
        # keyboards for Chinese and Arabic type semicolons of their own
        some = [text.strip() for text in re.split("[;；؛]", names.value) if text.strip()]
        if len(some) < 2:
            raise ValueError("Write two descriptions or more, with a semicolon between them: a fruit; an animal.")
        return some

    def search(_: object = None) -> None:
        _answer(shown, lambda: by_words(_some_words(words.value, "a wish, such as: a red fruit")))

    find.on_click(search)
    words.observe(search, names="value")
    ask.on_click(lambda _: _answer(shown, lambda: by_picture(paint(canvas.value), descriptions())))
    ask_file.on_click(
        lambda _: _answer(shown, lambda: by_picture(read_picture(_file(upload, "a picture")), descriptions()))
    )
    search()
    return w.VBox([w.HBox([words, find]), canvas, hint, names, w.HBox([ask, upload, ask_file]), shown])


def speech_writer(
    listen: Callable[[Tensor, str], object],
    say: Callable[[str, str], Tensor],
    recognisers: Sequence[str],
    voices: Sequence[str],
    text: str = "press seven",
) -> VBox:
    """Have a text spoken, or upload a sound; read what a recogniser hears in it, and play the sound.

    listen: (waveform at 8 kHz, name of a recogniser) → what to show;  say: (text, voice) → waveform
    recognisers, voices: the names to choose from
    """
    import ipywidgets as w

    words = w.Text(value=text, description="Say", style=LABEL, layout=w.Layout(width="560px"), continuous_update=False)
    voice = w.Dropdown(options=list(voices), description="Voice", style=LABEL)
    ear = w.Dropdown(options=list(recognisers), description="Recogniser", style=LABEL, layout=w.Layout(width="400px"))
    upload = _upload("audio/*", "or upload a sound")
    speak, hear_file = _button("Say it and listen"), _button("Listen to my upload")
    shown = w.Output()

    def heard(sound: Tensor) -> object:
        from IPython.display import Audio, display

        display(Audio(sound.numpy(), rate=8000))
        return listen(sound, ear.value)

    def spoken(_: object = None) -> None:
        _answer(shown, lambda: heard(say(_some_words(words.value, "a text to say, such as: press seven"), voice.value)))

    speak.on_click(spoken)
    words.observe(spoken, names="value")
    hear_file.on_click(lambda _: _answer(shown, lambda: heard(read_sound(_file(upload, "a sound")))))
    spoken()
    return w.VBox([words, w.HBox([voice, ear]), w.HBox([speak, upload, hear_file]), shown])


def clip_finder(
    by_sentence: Callable[[str], object],
    tell: Callable[[Tensor], object],
    film: Callable[[str, str], Tensor],
    objects: Mapping[str, str],
    actions: Sequence[str],
    wish: str = "the rocket turns clockwise",
) -> VBox:
    """Find clips by a sentence; direct a clip, or upload one, and read what happens in it.

    by_sentence: sentence → what to show;  tell: clip uint8 (8, 3, 32, 32) → what to show
    film: (object, action) → a clip;  objects: by label, what `film` is given;  actions: what they can do
    """
    import ipywidgets as w

    words = w.Text(
        value=wish, description="I am looking for", style=LABEL, layout=w.Layout(width="560px"), continuous_update=False
    )
    thing = w.Dropdown(options=list(objects.items()), description="Film", style=LABEL)
    action = w.Dropdown(options=list(actions), description="that", style=LABEL)
    upload = _upload("image/*", "or upload a moving GIF")
    find, shoot, show_file = (_button(text) for text in ("Find clips", "Film it and tell", "Tell what my upload shows"))
    shown = w.Output()

    def search(_: object = None) -> None:
        _answer(shown, lambda: by_sentence(_some_words(words.value, "a sentence, such as: the dog moves up")))

    find.on_click(search)
    words.observe(search, names="value")
    shoot.on_click(lambda _: _answer(shown, lambda: tell(film(thing.value, action.value))))
    show_file.on_click(lambda _: _answer(shown, lambda: tell(read_clip(_file(upload, "an animated picture")))))
    search()
    return w.VBox([w.HBox([words, find]), w.HBox([thing, action, shoot]), w.HBox([upload, show_file]), shown])


def _button(text: str) -> Any:
    import ipywidgets as w

    # Neither shrinks in a row that is wider than the page: its words would be cut.
    return w.Button(description=text, layout=w.Layout(width="220px", flex="0 0 auto"))


def _upload(accept: str, text: str) -> Any:
    import ipywidgets as w

    return w.FileUpload(
        accept=accept, multiple=False, description=text, layout=w.Layout(width="220px", flex="0 0 auto")
    )


def _answer(shown: Any, make: Callable[[], object]) -> None:
    """Show what `make` returns in the place of what was there, or the sentence of its ValueError or DataError."""
    from IPython.display import clear_output, display

    with shown:
        clear_output(wait=True)
        try:
            answer = make()
        except (ValueError, DataError) as error:
            print(error)
            return
        display(answer)


def _some_words(text: str, what: str) -> str:
    if not text.strip():
        raise ValueError(f"Write {what}.")
    if len(text.strip()) > LONGEST:
        raise ValueError(f"That is {len(text.strip()):,} letters long, and {LONGEST} are taken at most: write {what}.")
    return text.strip()


def _file(upload: Any, what: str) -> bytes:
    content = uploaded(upload.value)
    if content is None:
        raise ValueError(f"Choose a file first: {what}.")
    return content
