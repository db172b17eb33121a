"""Real public sets: read from small folders in the exact layout, and wrong folders answered with what to do."""

import hashlib
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from mmteach.data import public
from mmteach.data.public import folders
from mmteach.data.public.stamps import read_captions
from mmteach.data.public.videos import frames, in_words
from mmteach.data.store import DataError

VARIABLES = ("MMTEACH_FSDD", "MMTEACH_SPEECH_COMMANDS", "MMTEACH_CAPTIONS", "MMTEACH_UCF101")
REAL = os.environ.get("MMTEACH_FSDD")


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTEACH_CACHE", str(tmp_path / "cache"))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def tone(path: Path, rate=8000, seconds=0.1, hertz=440, channels=1, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate, **settings)


def dot(path: Path, colour, size=(30, 20), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


# -- what the readers share --------------------------------------------------------------------------------------------


def test_wrong_says_what_was_expected_found_and_what_to_do(tmp_path):
    for name in "gfedcba":
        (tmp_path / name).touch()
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    error = folders.wrong("Set", tmp_path, "files x", "Get it there.")
    assert str(error) == f"Set: expected files x in {tmp_path}, found a/, b, c, d, e and 2 more. Get it there."
    assert "found nothing at all." in str(folders.wrong("Set", tmp_path, "x", "Cure.", "nothing at all"))
    for name in "bcdefg":
        (tmp_path / name).unlink()
    assert "found a/. C" in str(folders.wrong("Set", tmp_path, "x", "Cure."))
    assert "found an empty folder. C" in str(folders.wrong("Set", tmp_path / "a", "x", "Cure."))
    assert "found no such folder. C" in str(folders.wrong("Set", tmp_path / "b", "x", "Cure."))
    (tmp_path / "file").touch()
    assert "found a file, not a folder. C" in str(folders.wrong("Set", tmp_path / "file", "x", "Cure."))


def test_five_entries_are_listed_in_full(tmp_path):
    for name in "abcde":
        (tmp_path / name).touch()
    assert "found a, b, c, d, e. C" in str(folders.wrong("Set", tmp_path, "x", "Cure."))


def test_locate_takes_the_argument_before_the_variable(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    monkeypatch.setenv("MMTEACH_X", str(tmp_path / "two"))
    assert folders.locate("Set", tmp_path / "one", "MMTEACH_X", "Cure.") == tmp_path / "one"
    assert folders.locate("Set", None, "MMTEACH_X", "Cure.") == tmp_path / "two"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.locate("Set", "~/one", "MMTEACH_X", "Cure.") == tmp_path / "one"
    with pytest.raises(DataError, match=r"^Set: there is no folder .*three\. Cure\.$"):
        folders.locate("Set", tmp_path / "three", "MMTEACH_X", "Cure.")
    monkeypatch.delenv("MMTEACH_X")
    with pytest.raises(
        DataError, match=r"^Set: no folder was named\. Pass folder=…, or set the variable MMTEACH_X\. Cure\.$"
    ):
        folders.locate("Set", None, "MMTEACH_X", "Cure.")


def test_a_picture_is_its_middle_square_on_white(tmp_path):
    wide = np.zeros((20, 60, 3), dtype=np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    seen = folders.picture(tmp_path / "wide.png", 10)
    assert seen.shape == (3, 10, 10) and seen.dtype == torch.uint8 and seen.is_contiguous()
    assert seen[:, 5, 5].tolist() == [0, 255, 0]
    assert int(seen[1, :, [0, -1]].min()) > 200  # all green, but for what scaling mixes in at the cut
    dot(tmp_path / "clear.png", (10, 20, 30, 0), mode="RGBA")
    assert (folders.picture(tmp_path / "clear.png", 8) == 255).all()
    dot(tmp_path / "grey.png", 77, mode="L")
    assert folders.picture(tmp_path / "grey.png", 8)[:, 0, 0].tolist() == [77, 77, 77]


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "bad").write_bytes(b"not a picture, not a sound")
    with pytest.raises(DataError, match=r"bad cannot be read as a picture \(.*\): copy the data set again"):
        folders.picture(tmp_path / "bad", 8)
    with pytest.raises(DataError, match=r"bad cannot be read as sound \(.*\): copy the data set again"):
        folders.sound(tmp_path / "bad")


def test_sound_is_one_channel_at_8_khz(tmp_path):
    tone(tmp_path / "a.wav", rate=16000, seconds=0.5, channels=2)
    heard = folders.sound(tmp_path / "a.wav")
    assert heard.shape == (4000,) and heard.dtype == torch.float32
    assert float(heard.abs().max()) == pytest.approx(0.5, abs=0.05)
    assert len(folders.sound(tmp_path / "a.wav", rate=16000)) == 8000
    soundfile.write(tmp_path / "b.wav", np.array([[0.5, -0.5], [0.5, 0.25]]), 8000, subtype="FLOAT")
    assert folders.sound(tmp_path / "b.wav").tolist() == pytest.approx([0.0, 0.375])


def test_what_was_read_is_kept_until_a_file_changes(tmp_path):
    file = tmp_path / "a"
    file.write_text("one")
    calls = []

    def read():
        calls.append(1)
        return {"words": file.read_text()}

    assert folders.kept("x", [file], read)["words"] == folders.kept("x", [file], read)["words"] == "one"
    assert len(calls) == 1
    folders.kept("x", [file], read, size=2)
    assert len(calls) == 2
    file.write_text("longer")
    assert folders.kept("x", [file], read)["words"] == "longer"
    before = file.stat()
    file.write_text("LONGER")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert folders.kept("x", [file], read)["words"] == "LONGER"


def test_no_family_is_parted():
    families = [f"family {i % 40}" for i in range(400)]
    parts = folders.by_family(families)
    assert sorted(i for rows in parts.values() for i in rows) == list(range(400))
    inside = {part: {families[i] for i in rows} for part, rows in parts.items()}
    assert [len(inside[part]) for part in ("train", "valid", "test")] == [32, 4, 4]
    assert (
        not inside["train"] & inside["test"]
        and not inside["train"] & inside["valid"]
        and not inside["valid"] & inside["test"]
    )
    assert folders.by_family(families) == parts != folders.by_family(families, seed=1)
    small = folders.by_family(["a", "b", "c"])
    assert [len(rows) for rows in small.values()] == [1, 1, 1]
    with pytest.raises(ValueError, match=r"three splits need at least 3 families, got 2: \['a', 'b'\]"):
        folders.by_family(["a", "b", "a"])


# -- Free Spoken Digit Dataset -----------------------------------------------------------------------------------------


@pytest.fixture
def fsdd(tmp_path):
    folder = tmp_path / "free-spoken-digit-dataset"
    for digit in range(10):
        for speaker in ("theo", "jackson"):
            for index in (0, 10, 2):
                tone(folder / "recordings" / f"{digit}_{speaker}_{index}.wav", seconds=0.1 + digit / 100)
    (folder / "README.md").touch()
    (folder / "recordings" / "notes.txt").touch()
    return folder


@pytest.mark.parametrize("inside", ["", "recordings"])
def test_fsdd_reads_the_repository_or_its_recordings(fsdd, inside):
    people = public.load_fsdd(fsdd / inside)
    assert len(people["waveforms"]) == 60 and people["sample_rate"] == 8000
    assert people["speaker"] == ["jackson"] * 30 + ["theo"] * 30
    assert people["digit"][:7].tolist() == [0, 0, 0, 1, 1, 1, 2] and people["digit"].dtype == torch.int64
    assert people["index"][:6] == [0, 2, 10, 0, 2, 10]
    assert [len(w) for w in people["waveforms"][:6]] == [800, 800, 800, 880, 880, 880]
    assert people["waveforms"][0].dtype == torch.float32
    assert float(people["waveforms"][0].abs().max()) == pytest.approx(0.5, abs=0.01)


def test_fsdd_asks_the_variable(fsdd, monkeypatch):
    monkeypatch.setenv("MMTEACH_FSDD", str(fsdd))
    assert len(public.load_fsdd()["waveforms"]) == 60


def test_fsdd_errors_say_where_to_get_it(fsdd, tmp_path):
    cure = r"Get it from its GitHub repository, Jakobovski/free-spoken-digit-dataset \(licence CC-BY-SA-4\.0\)"
    with pytest.raises(DataError, match=rf"^Free Spoken Digit Dataset: no folder was named\..*MMTEACH_FSDD\. {cure}"):
        public.load_fsdd()
    (tmp_path / "empty").mkdir()
    expected = r"expected files \{digit\}_\{speaker\}_\{index\}\.wav"
    with pytest.raises(DataError, match=rf"{expected} in .*empty, found an empty folder\. {cure}"):
        public.load_fsdd(tmp_path / "empty")
    for digit in (3, 7):
        for path in (fsdd / "recordings").glob(f"{digit}_*"):
            path.unlink()
    with pytest.raises(
        DataError, match=rf"{expected} of all ten digits in .*, found 48 recordings, none of the digits 3, 7\. {cure}"
    ):
        public.load_fsdd(fsdd)


def test_fsdd_names_a_recording_that_is_not_right(fsdd):
    tone(fsdd / "recordings" / "4_theo_2.wav", rate=16000)
    with pytest.raises(DataError, match=r"4_theo_2\.wav has 16000 samples a second, expected 8000\. Get it from"):
        public.load_fsdd(fsdd)
    (fsdd / "recordings" / "4_theo_2.wav").write_bytes(b"RIFF, cut short")
    with pytest.raises(DataError, match=r"4_theo_2\.wav cannot be read as sound \(.*\)\. Get it from"):
        public.load_fsdd(fsdd)


@pytest.mark.skipif(not REAL, reason="MMTEACH_FSDD does not point to the Free Spoken Digit Dataset")
def test_fsdd_reads_the_real_recordings(monkeypatch):
    monkeypatch.setenv("MMTEACH_FSDD", REAL)
    people = public.load_fsdd()
    count = len(people["waveforms"])
    assert count == len(people["digit"]) == len(people["speaker"]) == len(people["index"]) >= 1000
    assert set(people["digit"].tolist()) == set(range(10)) and {"jackson", "lucas"} <= set(people["speaker"])
    seconds = torch.tensor([len(w) / 8000 for w in people["waveforms"]])
    assert 0.25 < float(seconds.median()) < 0.7 and float(seconds.min()) > 0.1
    assert all(torch.isfinite(w).all() and w.abs().max() <= 1 for w in people["waveforms"])


# -- Speech Commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def commands(tmp_path):
    folder = tmp_path / "speech_commands"
    for word in ("yes", "no"):
        for speaker in ("0a", "0b", "0c", "0d"):
            for take in range(2):
                tone(folder / word / f"{speaker}_nohash_{take}.wav", 16000, 0.8 if take else 1.2)
    tone(folder / "_background_noise_" / "white_noise.wav", 16000)
    (folder / "validation_list.txt").write_text("yes/0a_nohash_0.wav\nno/0a_nohash_0.wav\nno/0a_nohash_1.wav\n")
    (folder / "testing_list.txt").write_text("yes/0b_nohash_0.wav\nno/0b_nohash_1.wav\n")
    return folder


def test_speech_commands_keeps_the_sets_own_splits(commands, monkeypatch):
    data = public.load_speech_commands(commands)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [11, 3, 2]
    assert data.train.inputs["audio"].shape == (11, 1, 40, 101)
    assert data.classes == {"label": ["no", "yes"]}
    assert data.valid.targets["label"].tolist() == [0, 0, 1] and data.valid.info["speaker"] == ["0a"] * 3
    assert [Path(file).name for file in data.test.info["file"]] == ["0b_nohash_1.wav", "0b_nohash_0.wav"]
    monkeypatch.setenv("MMTEACH_SPEECH_COMMANDS", str(commands))
    again = public.load_speech_commands()
    assert torch.equal(again.train.inputs["audio"], data.train.inputs["audio"])


def test_speech_commands_pads_short_recordings(commands):
    data = public.load_speech_commands(commands)
    long, short = data.train.inputs["audio"][data.train.info["speaker"].index("0c") :][:2]
    assert float(long[0, :, 95].max()) > float(short[0, :, 95].max()) + 20  # 0.8 s of sound, then silence


def test_speech_commands_takes_some_words_and_some_recordings(commands):
    data = public.load_speech_commands(commands, words=["yes"], limit=2)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [2, 1, 1]
    assert data.classes == {"label": ["yes"]}
    assert [Path(file).name for file in data.train.info["file"]] == ["0a_nohash_1.wav", "0b_nohash_1.wav"]
    with pytest.raises(ValueError, match="words must be one of 'no', 'yes', got 'maybe'"):
        public.load_speech_commands(commands, words=["maybe"])


def test_speech_commands_says_what_is_missing(commands):
    (commands / "testing_list.txt").write_text("")
    found = "found none for test among the words no, yes"
    with pytest.raises(DataError, match=rf"expected recordings .* for all splits in .*, {found}\. Get it as"):
        public.load_speech_commands(commands)
    (commands / "testing_list.txt").unlink()
    with pytest.raises(
        DataError, match=r"Speech Commands: expected testing_list\.txt beside a folder a word in .*Warden"
    ):
        public.load_speech_commands(commands)
    with pytest.raises(DataError, match="set the variable MMTEACH_SPEECH_COMMANDS"):
        public.load_speech_commands()


# -- torchvision's -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pets(tmp_path):
    base = tmp_path / "oxford-iiit-pet"
    lines = {"trainval": [], "test": []}
    for label, (breed, kind) in enumerate({"Abyssinian": 1, "american_bulldog": 2}.items(), start=1):
        for i in range(1, 23):
            dot(base / "images" / f"{breed}_{i}.jpg", (label * 80, i, 0))
            lines["trainval" if i <= 20 else "test"].append(f"{breed}_{i} {label} {kind} 1")
    (base / "annotations").mkdir()
    for split, rows in lines.items():
        (base / "annotations" / f"{split}.txt").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_pets_keep_their_test_part_and_give_every_tenth_for_validation(pets):
    data = public.load_pets(pets, size=16)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [36, 4, 4]
    assert data.valid.info["name"] == ["Abyssinian_10", "Abyssinian_20", "american_bulldog_10", "american_bulldog_20"]
    assert data.test.targets["label"].tolist() == [0, 0, 1, 1]
    assert data.classes == {"label": ["Abyssinian", "American Bulldog"]}
    assert data.train.inputs["image"].shape == (36, 3, 16, 16) and data.train.inputs["image"].dtype == torch.uint8
    assert data.train.inputs["image"][-1, 0].float().mean() == pytest.approx(160, abs=3)
    assert public.load_pets(pets).train.inputs["image"].shape[-1] == 64


def test_pets_that_are_not_there_are_not_downloaded_unasked(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    expected = r"expected what torchvision\.datasets\.OxfordIIITPet keeps there in .*empty, found an empty folder"
    with pytest.raises(DataError, match=rf"{expected}\. Pass download=True to fetch it"):
        public.load_pets(tmp_path / "empty")
    from torchvision.datasets import OxfordIIITPet

    def no_connection(self):
        raise OSError("no route")

    monkeypatch.setattr(OxfordIIITPet, "_download", no_connection)
    with pytest.raises(DataError, match="The download did not work: is there a connection, and room on the disk"):
        public.load_pets(tmp_path / "empty", download=True)


def test_pets_name_pictures_that_are_missing(pets):
    (pets / "oxford-iiit-pet" / "images" / "Abyssinian_3.jpg").unlink()
    with pytest.raises(
        DataError, match=r"Oxford-IIIT Pet: 1 of 44 pictures are missing, the first is .*Abyssinian_3\.jpg"
    ):
        public.load_pets(pets)
    (pets / "oxford-iiit-pet" / "annotations" / "trainval.txt").write_text("Abyssinian_1 1 1 1\n")
    with pytest.raises(DataError, match="expected at least 10 pictures of a breed"):
        public.load_pets(pets)


def test_flowers_keep_their_own_splits(tmp_path, monkeypatch):
    from scipy.io import savemat
    from torchvision.datasets import Flowers102

    base = tmp_path / "flowers-102"
    for i in range(1, 8):
        dot(base / "jpg" / f"image_{i:05d}.jpg", (i * 30, 0, 0))
    savemat(base / "imagelabels.mat", {"labels": np.array([[1, 2, 3, 102, 1, 2, 3]])})
    savemat(base / "setid.mat", {"trnid": [[1, 2, 4]], "valid": [[3, 5]], "tstid": [[6, 7]]})
    md5 = {name: hashlib.md5((base / name).read_bytes()).hexdigest() for name in ("imagelabels.mat", "setid.mat")}
    files = {
        "image": ("102flowers.tgz", ""),
        **{k: (n, md5[n]) for k, n in (("label", "imagelabels.mat"), ("setid", "setid.mat"))},
    }
    monkeypatch.setattr(Flowers102, "_file_dict", files)
    data = public.load_flowers(tmp_path, size=8)
    assert data.train.targets["label"].tolist() == [0, 1, 101] and data.train.info["name"][2] == "image_00004"
    assert data.valid.targets["label"].tolist() == [2, 0] and data.test.targets["label"].tolist() == [1, 2]
    assert data.test.inputs["image"][1, 0].float().mean() == pytest.approx(210, abs=3)
    assert len(data.classes["label"]) == 102 and public.load_flowers(tmp_path).test.inputs["image"].shape[-1] == 64
    monkeypatch.delattr(Flowers102, "classes", raising=False)
    assert public.load_flowers(tmp_path).classes["label"][:2] == ["0", "1"]
    with pytest.raises(
        DataError, match=r"Oxford 102 Flower: expected what torchvision\.datasets\.Flowers102 keeps there"
    ):
        public.load_flowers(tmp_path / "nowhere")


def test_mnist_gives_a_sixth_of_its_training_part_for_validation(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pictures = {"train": rng.integers(0, 256, (12, 28, 28), dtype=np.uint8), "t10k": np.zeros((4, 28, 28), np.uint8)}
    for part, pixels in pictures.items():
        labels = np.arange(len(pixels), dtype=np.uint8) % 10
        images = struct.pack(">IIII", 0x803, len(pixels), 28, 28) + pixels.tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())
    data = public.load_mnist(tmp_path)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [10, 2, 4]
    assert data.train.inputs["image"].shape == (10, 1, 28, 28) and data.train.inputs["image"].dtype == torch.uint8
    assert torch.equal(data.valid.inputs["image"][1, 0], torch.from_numpy(pictures["train"][11]))
    assert data.valid.targets["label"].tolist() == [0, 1] and data.test.targets["label"].tolist() == [0, 1, 2, 3]
    assert data.classes == {"label": list("0123456789")}
    with pytest.raises(
        DataError, match=r"MNIST: expected what torchvision\.datasets\.MNIST keeps there in .*no such folder"
    ):
        public.load_mnist(tmp_path / "nowhere")


# -- captions ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def flickr(tmp_path):
    """The layout with captions.txt and Images/; a caption with commas and quotes."""
    folder = tmp_path / "flickr8k"
    lines = ["image,caption"]
    for i in range(20):
        dot(folder / "Images" / f"{i:03d}.jpg", (i * 10, 0, 0))
        lines += [f'{i:03d}.jpg,"A dog, number{i} ."', f"{i:03d}.jpg,It runs ."]
    (folder / "captions.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def original(tmp_path):
    """The layout of the set's own archives."""
    folder = tmp_path / "original"
    lines = []
    for i in range(10):
        dot(folder / "Flicker8k_Dataset" / f"{i}.jpg", (0, i * 10, 0))
        lines += [f"{i}.jpg#{k}\tword{i} caption {k} ." for k in range(5)]
    text = folder / "Flickr8k_text"
    text.mkdir()
    (text / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    for name, some in (("train", range(6)), ("dev", (6, 7)), ("test", (8, 9))):
        (text / f"Flickr_8k.{name}Images.txt").write_text("".join(f"{i}.jpg\n" for i in some))
    return folder


def test_captions_in_the_layout_with_a_table(flickr, monkeypatch):
    data = public.load_captions(flickr, size=16, length=6)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [16, 2, 2]
    names = [name for part in (data.train, data.valid, data.test) for name in part.info["name"]]
    assert sorted(names) == [f"{i:03d}.jpg" for i in range(20)]
    one = data.train
    number = int(one.info["name"][3][:3])
    assert one.info["captions"][3] == [f"A dog, number{number} .", "It runs ."]
    assert one.inputs["image"][3, 0].float().mean() == pytest.approx(10 * number, abs=3)
    assert one.inputs["image"].shape == (16, 3, 16, 16) and one.inputs["text"].shape == (16, 6)
    ids = one.inputs["text"][3][one.masks["text"][3]].tolist()
    assert [data.classes["word"][i] for i in ids] == ["a", "dog", f"number{number}"]
    assert "runs" in data.classes["word"]  # the other captions are in the vocabulary too
    unseen = int(data.test.info["name"][0][:3])
    assert f"number{unseen}" not in data.classes["word"]
    monkeypatch.setenv("MMTEACH_CAPTIONS", str(flickr))
    default = public.load_captions(words=4)
    assert default.train.inputs["image"].shape[-1] == 64 and default.train.inputs["text"].shape[1] == 20
    assert len(default.classes["word"]) == 4


def test_captions_in_the_sets_own_layout_keep_its_lists(original):
    data = public.load_captions(original)
    assert data.train.info["name"] == [f"{i}.jpg" for i in range(6)]
    assert data.valid.info["name"] == ["6.jpg", "7.jpg"] and data.test.info["name"] == ["8.jpg", "9.jpg"]
    assert data.test.info["captions"][1] == [f"word9 caption {k} ." for k in range(5)]
    (original / "Flickr8k_text" / "Flickr_8k.devImages.txt").unlink()
    assert len(public.load_captions(original).train) == 8  # without its lists: 80 / 10 / 10 %


def test_a_missing_picture_is_left_out_and_many_are_an_error(flickr):
    (flickr / "Images" / "004.jpg").unlink()
    data = public.load_captions(flickr)
    assert sum(len(part) for part in (data.train, data.valid, data.test)) == 19
    (flickr / "Images" / "005.jpg").unlink()
    data = public.load_captions(flickr)
    assert sum(len(part) for part in (data.train, data.valid, data.test)) == 18
    (flickr / "Images" / "006.jpg").unlink()
    found = "found only 17 of the 20 captioned pictures"
    with pytest.raises(
        DataError, match=rf"expected a picture for every caption in .*Images, {found}\. Flickr8k \(Hodosh"
    ):
        public.load_captions(flickr)


def test_captions_say_what_is_wrong_with_the_folder(flickr, original, tmp_path):
    (flickr / "captions.txt").write_text("picture;words\n")
    with pytest.raises(DataError, match=r"expected the header image,caption in .*captions\.txt, found 'picture;words'"):
        public.load_captions(flickr)
    (flickr / "captions.txt").write_text("")
    with pytest.raises(DataError, match=r"the header image,caption in .*, found ''"):
        public.load_captions(flickr)
    (flickr / "captions.txt").write_text("image,caption\n000.jpg,a\nonly-one-cell\n")
    with pytest.raises(DataError, match="only 1 of the 1 captioned pictures"):
        public.load_captions(flickr)
    (flickr / "captions.txt").unlink()
    with pytest.raises(
        DataError, match=r"expected captions\.txt and Images/, or Flickr8k_text/.*, found Images/\. Flickr8k"
    ):
        public.load_captions(flickr)
    (original / "Flickr8k_text" / "Flickr_8k.testImages.txt").write_text("99.jpg\n")
    with pytest.raises(
        DataError, match=r"lists that name pictures in .*, found none of Flickr_8k\.testImages\.txt in the"
    ):
        public.load_captions(original)
    with pytest.raises(DataError, match="set the variable MMTEACH_CAPTIONS"):
        public.load_captions()


# -- videos ------------------------------------------------------------------------------------------------------------


def clip(path: Path, count=12, size=(48, 32)):
    """A film whose frame i is a grey of brightness 20 · i."""
    av = pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuvj420p"
        for i in range(count):
            pixels = np.full((size[1], size[0], 3), 20 * i, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def ucf(tmp_path):
    for action in ("ApplyEyeMakeup", "Archery"):
        for group in (1, 7, 8, 10, 11, 25):
            for number in (1, 2):
                clip(tmp_path / "UCF-101" / action / f"v_{action}_g{group:02d}_c{number:02d}.avi")
        (tmp_path / "UCF-101" / action / "notes.txt").touch()
    return tmp_path


def test_frames_lie_at_even_distances(tmp_path):
    clip(tmp_path / "a.avi")
    seen = frames(tmp_path / "a.avi", 3, 16)
    assert seen.shape == (3, 3, 16, 16) and seen.dtype == torch.uint8 and seen.is_contiguous()
    assert seen.float().mean((1, 2, 3)).tolist() == pytest.approx([40, 120, 200], abs=4)  # frames 2, 6 and 10 of 12
    twice = frames(tmp_path / "a.avi", 24, 16).float().mean((1, 2, 3))
    assert torch.allclose(twice[::2], twice[1::2])
    with pytest.raises(ValueError, match="count must be above 0, got 0"):
        frames(tmp_path / "a.avi", 0, 16)


def test_a_broken_video_is_named(tmp_path, monkeypatch):
    clip(tmp_path / "a.avi", count=0)
    with pytest.raises(DataError, match=r"a\.avi (holds no frames|cannot be read as a video)"):
        frames(tmp_path / "a.avi", 2, 16)
    (tmp_path / "b.avi").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"b\.avi cannot be read as a video \(.*\): copy the data set again"):
        frames(tmp_path / "b.avi", 2, 16)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r'reading videos needs PyAV: pip install "mmteach\[video\]"'):
        frames(tmp_path / "a.avi", 2, 16)


def test_ucf101_splits_by_group(ucf, monkeypatch):
    data = public.load_ucf101(ucf, count=2, size=16)
    groups = {
        part: sorted({Path(file).name.split("_g")[1][:2] for file in getattr(data, part).info["file"]})
        for part in ("train", "valid", "test")
    }
    assert groups == {"train": ["11", "25"], "valid": ["08", "10"], "test": ["01", "07"]}
    assert data.train.inputs["video"].shape == (8, 2, 3, 16, 16)
    assert data.train.inputs["video"][0].float().mean((1, 2, 3)).tolist() == pytest.approx([60, 180], abs=4)
    assert data.train.targets["label"].tolist() == [0] * 4 + [1] * 4
    assert data.classes == {"label": ["ApplyEyeMakeup", "Archery"]}
    assert data.test.info["caption"][0] == "apply eye makeup"
    monkeypatch.setenv("MMTEACH_UCF101", str(ucf / "UCF-101"))
    some = public.load_ucf101(actions=["Archery"], limit=1)
    assert [len(part) for part in (some.train, some.valid, some.test)] == [1, 1, 1]
    assert some.train.inputs["video"].shape == (1, 8, 3, 64, 64) and some.classes == {"label": ["Archery"]}


def test_ucf101_says_what_is_missing(ucf, tmp_path):
    with pytest.raises(ValueError, match="actions must be one of 'ApplyEyeMakeup', 'Archery', got 'Archer'"):
        public.load_ucf101(ucf, actions=["Archer"])
    for path in (ucf / "UCF-101").rglob("*_g0[8]_*"):
        path.unlink()
    for path in (ucf / "UCF-101").rglob("*_g10_*"):
        path.unlink()
    with pytest.raises(
        DataError, match=r"UCF101: expected clips of groups 1–7, 8–10 and higher in .*, found none for valid\."
    ):
        public.load_ucf101(ucf)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"expected a folder an action with clips v_\{action\}_g.*found an empty folder.*Soomro"
    ):
        public.load_ucf101(tmp_path / "empty")
    with pytest.raises(DataError, match="set the variable MMTEACH_UCF101"):
        public.load_ucf101()


def test_action_names_in_words():
    assert in_words("HandstandPushups") == "handstand pushups" and in_words("YoYo") == "yo yo"


# -- Tux Paint's stamps ------------------------------------------------------------------------------------------------


@pytest.fixture
def stamps(tmp_path):
    folder = tmp_path / "stamps"
    for i, (name, english, french) in enumerate(
        [
            ("animals/cat", "A cat.", "Un chat."),
            ("animals/cartoon/cat2", "A cat.", "Un chat."),
            ("animals/dog", "A dog.", "Un chien."),
            ("food/fruit/apple", "An apple.", "Une pomme."),
            ("food/pear", "A pear.", "Une poire."),
            ("town/house", "A house.", None),
        ]
    ):
        dot(folder / f"{name}.png", (40 * i, 0, 0, 255), mode="RGBA")
        lines = [english, "de.utf8=Etwas.", *([f"fr.utf8={french}"] if french else []), "es.utf8=", "not a caption"]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if name != "food/pear":
            tone(folder / f"{name}_desc_fr.ogg", 44100, 0.5 + i / 10, channels=2, format="OGG", subtype="VORBIS")
        tone(folder / f"{name}.ogg", 44100, 2.0, format="OGG", subtype="VORBIS")  # a sound effect
    tone(folder / "animals/cat_desc.ogg", 44100, 0.3, format="OGG", subtype="VORBIS")
    (folder / "animals/fox.txt").write_text("A fox.\nfr.utf8=Un renard.\n")
    (folder / "animals/fox.svg").write_text("<svg/>")  # drawn as SVG alone
    dot(folder / "animals/cat_mirror.png", (0, 0, 0))  # has no words of its own
    return folder


def everything(data):
    rows = {}
    for part in (data.train, data.valid, data.test):
        for i, name in enumerate(part.info["name"]):
            rows[name] = part[i]
    return rows


def test_stamps_have_picture_words_and_voice(stamps):
    data = public.load_tuxpaint(stamps, size=16, seconds=1.0)
    rows = everything(data)
    assert sorted(rows) == ["animals/cartoon/cat2", "animals/cat", "animals/dog", "food/fruit/apple", "food/pear"]
    dog = rows["animals/dog"]
    assert dog.info["caption"] == ["A dog."] and dog.info["spoken"] == ["Un chien."]
    assert dog.info["captions"] == [{"en": "A dog.", "de": "Etwas.", "fr": "Un chien."}]
    assert dog.inputs["image"].shape == (1, 3, 16, 16) and dog.inputs["image"][0, :, 0, 0].tolist() == [80, 0, 0]
    assert dog.inputs["audio"].shape == (1, 1, 40, 101) and dog.present["audio"].tolist() == [True]
    assert int(dog.masks["audio"].sum()) == pytest.approx(71, abs=1)  # 0.7 s: 100 frames a second, and one
    assert data.classes["group"][int(dog.targets["group"])] == "animals" and data.classes == {
        "group": ["animals", "food"]
    }
    pear = rows["food/pear"]
    assert pear.present["audio"].tolist() == [False] and not pear.masks["audio"].any()


def test_stamps_of_one_caption_stay_together(stamps):
    for seed in range(5):
        data = public.load_tuxpaint(stamps, seed=seed)
        parts = [set(part.info["caption"]) for part in (data.train, data.valid, data.test)]
        assert sum(len(part) for part in parts) == len(set.union(*parts)) == 4


def test_stamps_in_english_use_the_voice_without_a_language(stamps):
    data = public.load_tuxpaint(stamps, language="en")
    rows = everything(data)
    assert len(rows) == 6 and [name for name, row in rows.items() if row.present["audio"]] == ["animals/cat"]
    assert rows["animals/cat"].inputs["audio"].shape[-1] == 301 and rows["animals/cat"].info["spoken"] == ["A cat."]
    assert rows["animals/cat"].inputs["image"].shape[-1] == 64
    assert int(rows["animals/cat"].masks["audio"].sum()) == pytest.approx(31, abs=1)


def test_a_long_caption_is_cut(stamps):
    data = public.load_tuxpaint(stamps, seconds=0.25)
    assert everything(data)["animals/dog"].masks["audio"].tolist() == [[True] * 26]
    with pytest.raises(ValueError, match="seconds must be above 0, got 0"):
        public.load_tuxpaint(stamps, seconds=0)


def test_stamps_say_what_is_missing(stamps, tmp_path, monkeypatch):
    with pytest.raises(
        DataError, match=r"caption in 'xx' in .*, found 0; there are captions in de, en, fr\. Choose another"
    ):
        public.load_tuxpaint(stamps, language="xx")
    for name in ("dog", "cat", "cartoon/cat2"):
        (stamps / "animals" / f"{name}.txt").unlink()
    with pytest.raises(DataError, match=r"at least 3 stamps with a caption in 'fr' in .*, found 2; "):
        public.load_tuxpaint(stamps)
    (tmp_path / "empty").mkdir()
    cure = r"Install Debian's package tuxpaint-stamps-default"
    with pytest.raises(
        DataError, match=rf"expected folders with NAME\.png and NAME\.txt in .*, found an empty folder\. {cure}"
    ):
        public.load_tuxpaint(tmp_path / "empty")
    monkeypatch.setattr("mmteach.data.public.stamps.DEBIAN", tmp_path / "gone")
    with pytest.raises(DataError, match=rf"in .*gone, found no such folder\. {cure}"):
        public.load_tuxpaint()


def test_captions_of_a_stamp_by_language(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("A leopard. \n\npt_BR.utf8=Um leopardo.\nzh_TW.utf8= 豹 \nfa.utf8=\n", encoding="utf-8")
    assert read_captions(path) == {"en": "A leopard.", "pt_BR": "Um leopardo.", "zh_TW": "豹"}
    path.write_text("")
    assert read_captions(path) == {"en": ""}
