"""What the README and the pages say can be done: every command, option, file, picture and variable in them exists."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from mmteach import cli
from mmteach.course import settings
from mmteach.course.paths import Course

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]
TEXT = {path: path.read_text(encoding="utf-8") for path in PAGES}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
COMMANDS = {"lab", "run", "build", "bench"}  # the targets of make that hand ARGS on to mmteach
VARIABLE = re.compile(r"MMTEACH_[A-Z0-9_]*[A-Z0-9]")
HOSTS = {"github.com", "docs.astral.sh"}  # where a reader is sent; packages come from where their tools look

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def code_of(text):
    """The lines of code blocks for a shell, and the `spans` of the prose, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    return [re.sub(r"\s+#.*", "", one) for one in lines + spans]


def calls(text, program):
    """The arguments of every call of `program`, with what stands before it (variables, a folder) taken away."""
    pattern = re.compile(rf"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?{program}(?: (.*))?$")
    return [found[1] or "" for one in code_of(text) if (found := pattern.match(one))]


def slugs(text):
    """The anchors of a page's headings, as GitHub makes them."""
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def links(text):
    """(is a picture, words, address) of every link, and of every picture that is given a width."""
    prose = re.sub(r"^```(?!\{).*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    sized = re.findall(r'<(img) src="([^"]+)" width="\d+" alt="([^"]*)">', prose)
    assert len(sized) == prose.count("<img"), "a picture without alt text"
    return re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", prose) + [(img, alt, src) for img, src, alt in sized]


@every_page
def test_every_make_target_exists(page):
    asked = {(shlex.split(call) or ["help"])[0] for call in calls(TEXT[page], "make")}
    assert asked <= TARGETS, asked - TARGETS


@every_page
def test_every_mmteach_command_has_the_options_named(page, capsys):
    handed_on = [
        f"{words[0]} {word.removeprefix('ARGS=')}"
        for words in map(shlex.split, calls(TEXT[page], "make"))
        for word in words[1:]
        if word.startswith("ARGS=") and words[0] in COMMANDS
    ]
    refused = []
    for call in calls(TEXT[page], "mmteach") + handed_on:
        try:
            cli._parser().parse_args(shlex.split(call))
        except SystemExit as end:
            if end.code:  # --help ends with 0
                refused.append(f"mmteach {call}: {capsys.readouterr().err.splitlines()[-1]}")
    assert refused == []


def test_the_commands_are_found_at_all():
    assert {"lab", "test"} <= {call.split()[0] for call in calls(TEXT[README], "make") if call}
    assert calls("`mmteach run\n00` and `X=1 .venv/bin/mmteach doctor`\n```sh\nmmteach  # all\n```", "mmteach") == [
        "",
        "run 00",
        "doctor",
    ]


def test_every_command_and_every_target_is_told_somewhere():
    told = {call.split()[0] for text in TEXT.values() for call in calls(text, "mmteach") if call}
    (commands,) = (action for action in cli._parser()._actions if action.dest == "command")
    assert set(commands.choices) <= told, set(commands.choices) - told
    made = {call.split()[0] for text in TEXT.values() for call in calls(text, "make") if call}
    assert made >= TARGETS - {"help"}, TARGETS - made


@every_page
def test_links_and_pictures_are_there(page):
    missing = []
    for picture, words, address in links(TEXT[page]):
        if picture:
            assert len(words) > 40, f"{page.name}: {address} needs alt text that tells what is seen"
        if urlsplit(address).scheme:
            continue
        path, _, anchor = address.partition("#")
        target = (page.parent / path).resolve() if path else page
        there = target.is_file() and target.is_relative_to(ROOT)
        if not there or (anchor and anchor not in slugs(target.read_text(encoding="utf-8"))):
            missing.append(address)
    assert missing == []


@every_page
def test_files_named_in_passing_are_there(page):
    named = {one for one in code_of(TEXT[page]) if re.fullmatch(r"(mmteach|tests|tools|book|notebooks)/[\w./-]+", one)}
    generated = {"book/_build/html"}
    assert [one for one in sorted(named - generated) if "NN_" not in one and not (ROOT / one).exists()] == []


def test_the_readme_leads_to_both_pages_and_so_does_the_site():
    addresses = {address for _, _, address in links(TEXT[README])}
    assert {"book/instructors.md", "book/authors.md", "LICENSE", "DATA_LICENSES.md"} <= addresses
    assert {"instructors", "authors"} <= set(re.findall(r"<(\w+)>", TEXT[ROOT / "book" / "index.md"]))


def test_the_chapter_map_links_the_chapters_there_are_and_no_others():
    linked = re.findall(r"^\| \[\d\d [^\]]+\]\((notebooks/[^)]+)\)", TEXT[README], re.MULTILINE)
    assert linked == [path.relative_to(ROOT).as_posix() for path in Course(ROOT).chapters()]
    numbers = re.findall(r"^\| \[?(\d\d) [^|]+\|[^|]+\|$", TEXT[README], re.MULTILINE)
    assert numbers == [f"{n:02}" for n in range(8)]


def test_each_chapter_has_exercises_that_the_readme_links():
    linked = re.findall(r"\((exercises/[^)]+\.ipynb)\)", TEXT[README])
    assert linked == [f"exercises/{path.name}" for path in Course(ROOT).chapters() if path.name[:2] != "00"]


def test_the_picture_is_a_small_png():
    path = ROOT / "book" / "images" / "lab.png"
    assert path.stat().st_size <= 250_000
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.width >= 1000


def test_the_environment_variables_are_those_of_the_source():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "mmteach").rglob("*.py"))
    known = set(VARIABLE.findall(source))
    table = set(re.findall(r"^\| .*", TEXT[README].partition("### Environment variables")[2], re.MULTILINE))
    table = set(VARIABLE.findall("\n".join(table)))
    assert table == known  # none is missing from the table, none is in it that nothing reads
    for page, text in TEXT.items():
        assert set(VARIABLE.findall(text)) <= known, page.name


def test_disk_space_and_download_are_what_set_up_says():
    script = (ROOT / "tools" / "setup.sh").read_text(encoding="utf-8")
    space = re.search(r"^need_gb=(\d+)", script, re.MULTILINE)[1]
    assert f"asks for {space} GB free" in TEXT[README]
    linux, mac = re.search(r"([\d.]+) GB to download on Linux, ([\d.]+) GB on macOS", script).groups()
    assert f"| download | {linux} GB on Linux, {mac} GB on macOS" in TEXT[README]


@every_page
def test_addresses_are_the_courses_own_or_a_manuals_and_no_path_is_a_machines(page):
    addresses = [urlsplit(found) for found in re.findall(r"https?://[^\s)>\"']+", TEXT[page])]
    assert {address.hostname for address in addresses} <= HOSTS
    on_github = {address.path.strip("/") for address in addresses if address.hostname == "github.com"}
    assert on_github <= {settings.COLAB_REPOSITORY}
    assert not re.search(r"(?<![\w.])/(?:home|root|work|tmp|usr|Users)/|[A-Z]:\\", TEXT[page])
