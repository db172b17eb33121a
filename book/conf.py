"""The course as a site: the executed notebooks as they are stored, nothing is run. `make book` builds it."""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import pages  # noqa: E402
from myst_nb.core.render import NbElementRenderer  # noqa: E402

from mmteach.course import settings  # noqa: E402

pages.write(HERE.parent, HERE)

project = "mmteach"
author = "The mmteach authors"
project_copyright = "The mmteach authors, MIT licence"
language = "en"
extensions = ["myst_nb"]
exclude_patterns = ["_build"]
templates_path: list[str] = []

nb_execution_mode = "off"
nb_merge_streams = True
nb_mime_priority_overrides = [("html", "image/svg+xml", 1), ("html", "image/png", 2)]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3

# Fetched by tools/web_assets.py: a page asks nothing of the network.
mathjax_path = "web/tex-svg-full.js"
nb_ipywidgets_js = {"web/require.js": {}, "web/embed-amd.js": {}}

html_theme = "sphinx_book_theme"
html_title = "mmteach: multimodal learning, hands on"
html_static_path = ["_static"]
html_css_files = ["mmteach.css"]
html_js_files = ["mmteach.js"]
html_theme_options = {
    "use_download_button": True,
    "home_page_in_toc": True,
    "repository_url": f"https://github.com/{settings.COLAB_REPOSITORY}",
    "repository_branch": settings.COLAB_BRANCH,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "show_navbar_depth": 1,
    "navbar_persistent": [],  # the search stands at the side already
}
# A name like Picture may stand for two classes of two modules: the link leads to the first.
suppress_warnings = ["ref.python"]
html_domain_indices = False
html_last_updated_fmt = None
os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # the same notebooks give the same pages

plain_image = NbElementRenderer.render_image


def described_image(self, data):
    """A figure with the alt text of its output, which myst-nb leaves out."""
    shown = plain_image(self, data)
    for image in shown:
        image["alt"] = data.output_metadata.get(data.mime_type, {}).get("alt", "")
    return shown


NbElementRenderer.render_image = described_image


def setup(app):
    app.connect("build-finished", originals)


def originals(app, error):
    """What a page's download button gives is the notebook as it stands in the repository."""
    for folder in ("notebooks", "exercises"):
        for path in (HERE.parent / folder).glob("[0-9][0-9]_*.ipynb"):
            if error is None and (Path(app.outdir) / "_sources" / folder / path.name).is_file():
                shutil.copy2(path, Path(app.outdir) / "_sources" / folder)
