"""The applications' widgets: what learners bring along is read or refused in a sentence, and each button answers."""

import datetime
import io

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from mmteach.data.store import DataError
from mmteach.widgets import clip_finder, picture_finder, speech_writer
from mmteach.widgets.inputs import paint, read_clip, read_picture, read_sound, uploaded


def as_bytes(kind, *pages, **settings):
    buffer = io.BytesIO()
    pages[0].save(
        buffer, kind, **settings, **({"save_all": True, "append_images": pages[1:]} if len(pages) > 1 else {})
    )
    return buffer.getvalue()


def wav(samples, rate=16000, subtype="PCM_16"):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


# -- what is brought along ---------------------------------------------------------------------------------------------


def test_letters_paint_squares_in_the_middle_of_a_white_picture():
    picture = paint("\nrb\n", size=4)
    assert picture.dtype == torch.uint8 and picture.shape == (3, 4, 4)
    assert picture[:, 1, 0].tolist() == [221, 46, 68] and picture[:, 1, 3].tolist() == [85, 172, 238]
    assert (picture[:, 2:] == 255).all()  # one row of two squares: half of the picture stays white


@pytest.mark.parametrize(
    "rows, says",
    [
        ("", "no paint"),
        ("...\n...", "no paint"),
        ("www\nw.w", "white alone"),
        ("rz", "“z” in row 1"),
        ("r" * 49, "48 rows and columns"),
    ],
)
def test_a_drawing_that_cannot_be_painted_says_why(rows, says):
    with pytest.raises(ValueError, match=says):
        paint(rows)


def test_a_picture_keeps_its_shape_and_gets_a_white_ground():
    file = Image.new("RGBA", (200, 100), (255, 0, 0, 255))
    file.paste((0, 0, 0, 0), (0, 0, 100, 100))  # the left half is transparent
    picture = read_picture(as_bytes("PNG", file))
    assert picture.shape == (3, 48, 48)
    assert picture[:, 24, 36].tolist() == [255, 0, 0]
    assert picture[:, 24, 12].tolist() == [255, 255, 255] and picture[:, 2, 36].tolist() == [255, 255, 255]


def test_a_sound_becomes_one_channel_at_8_kilohertz():
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    waveform = read_sound(wav(np.stack([tone, tone], 1)))
    assert len(waveform) == 8000 and waveform.abs().max() == pytest.approx(0.5)
    assert torch.fft.rfft(waveform).abs().argmax() == 440


def house(side):
    file = Image.new("RGB", (side, side), "white")
    file.paste((190, 40, 40), (0, side // 2, side, side))
    file.paste((40, 40, 190), (0, 0, side // 4, side // 4))
    return file


def test_a_telephones_picture_stands_upright():
    rotated = Image.Exif()
    rotated[0x0112] = 6  # shown after a quarter turn clockwise
    content = as_bytes("PNG", house(48).rotate(90), exif=rotated)
    assert torch.equal(read_picture(content), read_picture(as_bytes("PNG", house(48))))


def test_a_picture_of_16_bits_a_pixel_keeps_its_grey():
    grey = np.tile(np.linspace(0, 65535, 48).astype(np.uint16), (48, 1))
    picture = read_picture(as_bytes("PNG", Image.fromarray(grey)))
    assert picture[0, 0, ::16].tolist() == [value >> 8 for value in grey[0, ::16].tolist()]


def test_a_small_drawing_on_a_large_ground_keeps_its_details():
    page = Image.new("RGB", (2000, 300), "white")
    page.paste(house(300), (900, 0))
    picture = read_picture(as_bytes("PNG", page)).float()
    assert (picture - read_picture(as_bytes("PNG", house(300))).float()).abs().mean() < 10  # 90 if it is not cut out


@pytest.mark.parametrize(
    "file",
    [
        Image.new("RGB", (30, 30), "white"),
        Image.new("RGBA", (30, 30)),
        Image.new("RGBA", (30, 30), (255, 255, 255, 99)),
    ],
)
def test_a_picture_in_which_nothing_is_seen_says_so(file):
    with pytest.raises(ValueError, match="Nothing can be seen in this picture"):
        read_picture(as_bytes("PNG", file))


@pytest.mark.parametrize("error", [SyntaxError("broken PNG file"), TypeError("Missing dimensions"), MemoryError()])
def test_whatever_a_decoder_raises_is_said_in_a_sentence(monkeypatch, error):
    def broken(*_):
        raise error

    content = as_bytes("GIF", Image.new("L", (9, 9)), Image.new("L", (9, 9), 9))
    monkeypatch.setattr("PIL.Image.Image.convert", broken)
    with pytest.raises(ValueError, match="could not be read as a picture"):
        read_picture(content)
    with pytest.raises(ValueError, match="could not be read as a clip"):
        read_clip(content)


def test_a_picture_of_very_many_pixels_says_so_and_a_large_one_is_read_without_a_warning(monkeypatch, recwarn):
    content = as_bytes("PNG", house(60))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 3000)  # twice as many are too many
    assert read_picture(content).shape == (3, 48, 48) and not recwarn
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 300)
    for read in (read_picture, read_clip):
        with pytest.raises(ValueError, match="more pixels than can be read here: save a smaller copy"):
            read(content)


def test_a_channel_that_is_the_other_turned_over_is_no_silence():
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert torch.fft.rfft(read_sound(wav(np.stack([tone, -tone], 1)))).abs().argmax() == 440


def test_a_constant_is_no_sound():
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert torch.allclose(read_sound(wav(0.5 + tone)), read_sound(wav(tone)), atol=1e-3)
    with pytest.raises(ValueError, match="silent"):
        read_sound(wav(np.full(16000, 0.5)))


def test_a_long_sound_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr("soundfile.SoundFile.read", lambda *_, **__: pytest.fail("the recording was read"))
    with pytest.raises(ValueError, match="it lasts 60"):
        read_sound(wav(np.ones(60 * 800), 800))


@pytest.mark.parametrize(
    "content, says",
    [
        (b"no sound", "could not be read as a sound"),
        (wav(np.zeros(8000)), "silent"),
        (wav(np.ones(100)), "between 0.1"),
        (wav(np.zeros(0)), "it lasts 0.00: record it again"),
        (wav(np.full(8000, np.nan), subtype="FLOAT"), "no numbers"),
    ],
)
def test_a_sound_that_cannot_be_used_says_why(content, says):
    with pytest.raises(ValueError, match=says):
        read_sound(content)


def test_a_clip_is_its_frames_evenly_spaced():
    shades = [Image.new("RGB", (20, 20), (20 * i,) * 3) for i in range(12)]
    clip = read_clip(as_bytes("PNG", *shades, duration=50))
    assert clip.shape == (8, 3, 32, 32)
    assert clip[:, 0, 16, 16].tolist() == [0, 40, 60, 100, 120, 160, 180, 220]


def test_files_that_are_no_picture_or_no_clip_say_so():
    with pytest.raises(ValueError, match="could not be read as a picture"):
        read_picture(b"%PDF-1.7")
    with pytest.raises(ValueError, match="one frame only"):
        read_clip(as_bytes("PNG", Image.new("RGB", (8, 8))))
    with pytest.raises(ValueError, match="could not be read as a clip"):
        read_clip(b"")


def test_uploads_of_ipywidgets_7_and_8_are_read_alike():
    assert uploaded({"a.png": {"metadata": {"name": "a.png"}, "content": b"7"}}) == b"7"
    assert uploaded(({"name": "a.png", "content": memoryview(b"8")},)) == b"8"
    assert uploaded({}) is None and uploaded(()) is None


# -- the widgets -------------------------------------------------------------------------------------------------------


def every(widget, kind):
    found = [widget] if type(widget).__name__ == kind else []
    return found + [one for child in getattr(widget, "children", ()) for one in every(child, kind)]


def press(widget, text):
    next(b for b in every(widget, "Button") if b.description == text).click()


def upload(widget, content):
    """Put a file where the browser would, in the form of the ipywidgets that is installed."""
    box = every(widget, "FileUpload")[0]
    now = datetime.datetime.now(datetime.UTC)
    box.set_trait("value", ({"name": "f", "type": "", "size": len(content), "content": content, "last_modified": now},))


@pytest.fixture
def shown(monkeypatch, capsys):
    """What is displayed, and what is printed: outside a notebook an Output widget catches neither."""
    things = []
    monkeypatch.setattr("IPython.display.display", lambda *some: things.extend(some))
    return things


def finder():
    return picture_finder(
        lambda wish: f"found {wish}",
        lambda picture, names: f"{tuple(picture.shape)} is one of {names}",
        wish="an apple",
    )


def test_the_picture_finder_answers_to_words_and_drawings(shown):
    widget = finder()
    assert shown == ["found an apple"]
    every(widget, "Text")[0].value = "红色的水果"
    assert shown[-1] == "found 红色的水果"
    press(widget, "What is my drawing?")
    assert shown[-1] == "(3, 48, 48) is one of ['a fruit', 'an animal', 'a vehicle', 'a face']"


def test_the_picture_finder_reads_an_upload(shown):
    pytest.importorskip("ipywidgets", minversion="8")
    widget = finder()
    upload(widget, as_bytes("PNG", Image.new("RGB", (9, 9))))
    press(widget, "What is my upload?")
    assert shown[-1].startswith("(3, 48, 48)")


def test_the_picture_finder_says_what_is_wrong(shown, capsys):
    widget = finder()
    every(widget, "Text")[0].value = "  "
    press(widget, "What is my upload?")
    every(widget, "Textarea")[0].value = "xyz"
    press(widget, "What is my drawing?")
    every(widget, "Textarea")[0].value = "rr"
    every(widget, "Text")[1].value = "a fruit"
    press(widget, "What is my drawing?")
    printed = capsys.readouterr().out
    for sentence in (
        "Write a wish",
        "Choose a file first",
        "“x” in row 1 is no paint",
        "Write two descriptions or more",
    ):
        assert sentence in printed
    assert shown == ["found an apple"]  # nothing was shown but the first answer


def test_the_picture_finder_parts_descriptions_at_any_semicolon(shown):
    widget = finder()
    every(widget, "Text")[1].value = "鱼；房子; سمكة؛ "
    press(widget, "What is my drawing?")
    assert shown[-1].endswith("['鱼', '房子', 'سمكة']")


def test_a_page_of_text_is_refused_and_kept(shown, capsys):
    widget = finder()
    every(widget, "Text")[0].value = "a" * 5000
    assert "That is 5,000 letters long, and 200 are taken at most: write a wish" in capsys.readouterr().out
    assert shown == ["found an apple"] and every(widget, "Text")[0].value == "a" * 5000


def test_a_missing_synthesiser_is_said_in_a_sentence(shown, capsys):
    def say(text, voice):
        raise DataError("eSpeak NG is missing.")

    speech_writer(lambda sound, ear: "heard", say, ["digits"], ["en"])
    assert capsys.readouterr().out.endswith("eSpeak NG is missing.\n") and shown == []


def test_the_speech_writer_says_plays_and_listens(shown, capsys):
    widget = speech_writer(
        lambda sound, ear: f"{ear} heard {len(sound)} samples", lambda text, voice: torch.ones(len(text)) / 2,
        ["digits", "letters"], ["en", "en-us"], text="one two",
    )  # fmt: skip
    assert [type(one).__name__ for one in shown] == ["Audio", "str"] and shown[-1] == "digits heard 7 samples"
    every(widget, "Dropdown")[1].value = "letters"
    press(widget, "Say it and listen")
    assert shown[-1] == "letters heard 7 samples"
    press(widget, "Listen to my upload")
    assert "Choose a file first: a sound." in capsys.readouterr().out


def test_the_clip_finder_films_and_tells(shown, capsys):
    widget = clip_finder(
        lambda wish: f"found {wish}", lambda clip: f"told {tuple(clip.shape)}", lambda thing, action: torch.zeros(2, 3, 4, 4),
        {"a dog": "dog"}, ["moves up"],
    )  # fmt: skip
    assert shown == ["found the rocket turns clockwise"]
    press(widget, "Film it and tell")
    assert shown[-1] == "told (2, 3, 4, 4)"
    press(widget, "Tell what my upload shows")
    assert "Choose a file first" in capsys.readouterr().out


@pytest.mark.parametrize("make", [finder])
def test_every_control_has_a_label(make, shown):
    for kind in ("Text", "Textarea", "Dropdown", "Button", "FileUpload"):
        assert all(one.description for one in every(make(), kind)), kind
