"""The site of `make book` as its readers meet it: whole, quiet on the network, readable by everybody, on any screen."""

import itertools
import os
import re
import resource
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
AXE = Path(__file__).parent / "web" / "axe.min.js"
pytestmark = pytest.mark.full


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The site, built anew with warnings as errors."""
    sys.path.insert(0, str(ROOT / "tools"))
    import web_assets

    try:
        web_assets.fetch()
    except web_assets.AssetError as error:
        pytest.skip(str(error))
    built = Path(os.environ["MMTEACH_SITE"]) if "MMTEACH_SITE" in os.environ else tmp_path_factory.mktemp("site")
    if not (built / "index.html").exists():
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "book", str(built)]
        made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        # Three minutes of the processor's time: what else the machine does meanwhile is not the site's.
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 180
    return built


@pytest.fixture(scope="session")
def pages(site) -> list[Path]:
    found = sorted(path for path in site.rglob("*.html") if "_static" not in path.relative_to(site).parts)
    assert len(found) > 20
    return found


class Links(HTMLParser):
    """The addresses a page names, the anchors it has, and its pictures without a description."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.anchors, self.nameless = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors.add(given.get("id"))
        self.links += [given[name] for name in ("href", "src") if given.get(name)]
        alt = given.get("alt")
        if tag == "img" and (alt is None or re.search(r"\.(png|svg|gif|jpe?g)$", alt) or len(alt) < 8):
            self.nameless.append(given.get("src"))


@pytest.fixture(scope="session")
def read(pages) -> dict[Path, Links]:
    return {path: Links(path.read_text(encoding="utf-8")) for path in pages}


def test_no_link_is_dead(site, read):
    dead = []
    for page, found in read.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                assert parts.scheme in ("https", "mailto", "data"), f"{page.name}: {link}"
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.is_file() or (
                parts.fragment and target in read and unquote(parts.fragment) not in read[target].anchors
            ):
                dead.append(f"{page.relative_to(site)}: {link}")
    assert dead == []


def test_every_figure_has_words_of_its_own(read):
    assert {page.name: found.nameless for page, found in read.items() if found.nameless} == {}


def test_chapters_and_exercises_open_on_colab_and_can_be_downloaded(site, read):
    from mmteach.course import settings

    for folder in ("notebooks", "exercises"):
        originals = sorted((ROOT / folder).glob("[0-9][0-9]_*.ipynb"))
        assert originals
        for notebook in originals:
            page = site / folder / f"{notebook.stem}.html"
            where = f"github/{settings.COLAB_REPOSITORY}/blob/{settings.COLAB_BRANCH}/{folder}/{notebook.name}"
            links = read[page].links
            assert f"https://colab.research.google.com/{where}" in links
            (source,) = {link for link in links if "_sources" in link and link.endswith(".ipynb")}
            assert (page.parent / source).read_bytes() == notebook.read_bytes()


def test_the_next_and_the_previous_chapter_are_a_click_away(read):
    chapters = sorted(page for page in read if page.parent.name == "notebooks")
    for one, following in itertools.pairwise(chapters):
        assert following.name in read[one].links and one.name in read[following].links


def test_no_answer_stands_on_an_exercise_page(site):
    from mmteach.course import exercises

    for source in sorted((ROOT / "solutions" / "src").glob("*.py")):
        shown = re.sub(r"<[^>]+>", "", (site / "exercises" / f"{source.stem}.html").read_text(encoding="utf-8"))
        assert "YOUR CODE HERE" in shown and exercises.BEGIN not in shown
        answers = re.findall(
            rf"# {exercises.BEGIN}\n(.*?)# {exercises.END}", source.read_text(encoding="utf-8"), re.DOTALL
        )
        lines = [line.strip() for answer in answers for line in answer.splitlines() if len(line.strip()) > 30]
        given = exercises.students(exercises.instructors(source))
        handed_out = "\n".join(cell.source for cell in given.cells)
        for line in lines:
            assert line in handed_out or line.replace("<", "&lt;").replace(">", "&gt;") not in shown, line


def test_every_public_module_has_its_place_in_the_reference(site):
    from sphinx.util.inventory import InventoryFile

    modules = set(InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data["py:module"])
    for path in (ROOT / "mmteach").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        hidden = any(part.startswith("_") and part != "__init__" for part in parts) or "references" in parts
        if not hidden and parts[1] != "__init__":
            assert ".".join(part for part in parts if part != "__init__") in modules


def test_each_page_works_offline_for_every_reader_on_every_screen(site, pages, guarded):
    """Light and dark: no request leaves the folder, no script fails, axe finds nothing; on a phone nothing is cut off."""
    page = guarded(site.as_uri(), viewport={"width": 1280, "height": 900})
    wrong, raised = [], []
    page.on("pageerror", lambda error: raised.append(str(error)))
    for path in pages:
        raised.clear()
        name = path.relative_to(site).as_posix()
        page.goto(path.as_uri(), wait_until="load")
        page.wait_for_function("() => !window.MathJax || !MathJax.startup || MathJax.startup.promise.then(() => true)")
        page.wait_for_function(
            "() => !document.querySelector('.jupyter-widgets-view') || document.querySelector('.jupyter-widgets')"
        )
        formulas = page.evaluate("[...document.querySelectorAll('.math')].map(e => !!e.querySelector('mjx-container'))")
        if not all(formulas):
            wrong.append(f"{name}: {formulas.count(False)} of {len(formulas)} formulas are not set")
        if page.locator("mjx-merror, [data-mml-node=merror]").count():
            wrong.append(f"{name}: a formula MathJax cannot read")
        if "$" in "".join(page.locator("summary").all_inner_texts()):
            wrong.append(f"{name}: a formula in a line that unfolds is not set")
        page.add_script_tag(path=str(AXE))
        page.add_style_tag(content="* { transition: none !important }")  # axe must not see a colour on its way
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
            wrong += [
                f"{name}, {theme}: {v['id']} {v['nodes'][0]['target']} ×{len(v['nodes'])}: {v['nodes'][0]['failureSummary']}"
                for v in found
            ]
        page.set_viewport_size({"width": 390, "height": 844})
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > 390:
            wrong.append(f"{name}: {wide} pixels wide on a phone of 390")
        page.set_viewport_size({"width": 1280, "height": 900})
        wrong += [f"{name}: {error}" for error in raised]
    assert wrong == []
    assert page.outside == []


def test_the_search_finds_what_is_in_a_chapter(site, guarded):
    page = guarded(site.as_uri())
    page.goto(f"{(site / 'search.html').as_uri()}?q=spectrogram", wait_until="load")
    page.wait_for_selector('ul.search li a[href*="notebooks/02_concepts.html"]')  # results appear one after another
    assert page.outside == []


def test_a_widget_shows_its_first_state_and_does_not_pretend_to_answer(site, guarded):
    kept = sorted((ROOT / "book" / "widgets").glob("*.json"))
    assert kept
    for path in kept:
        page = guarded(site.as_uri())
        page.goto((site / "notebooks" / f"{path.stem}.html").as_uri(), wait_until="load")
        page.wait_for_selector(".jupyter-widgets", state="attached", timeout=30_000)
        assert page.locator(".mm-first-state[inert] .jupyter-widgets").count() > 0
        assert page.get_by_text("An interactive demonstration, in its first state").count() > 0
