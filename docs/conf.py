"""Sphinx builds the documentation with: python -m sphinx -W docs docs/_build."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]
# Pages that run code start processes, which must import the same minicnn.
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])

from minicnn import __version__  # noqa: E402
from tools import build_notebooks  # noqa: E402

# Lessons have the outputs of the last `python tools/build_notebooks.py --run`, or none.
build_notebooks.fill_in_pages()

project = "minicnn"
author = "The minicnn authors"
project_copyright = author
release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "generated",
    "mathtext",
    "open_in_browser",
]
exclude_patterns = ["_build", "_extensions"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"  # a notebook runs again when it changes, and an error fails the build
nb_execution_raise_on_error = True
nb_execution_excludepatterns = ["lessons/*"]
nb_merge_streams = True

autosummary_generate = False
autodoc_typehints = "none"  # numpydoc's sections have the types, with shapes
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "sphinx_book_theme"
html_title = "minicnn"
html_static_path = ["_static"]
html_css_files = ["minicnn.css"]
html_js_files = ["minicnn.js"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}  # light or dark, like the reader's system
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
}


def setup(app):
    """Let a folded solution be called by its own words, where myst_nb calls it "Toggle hidden content"."""

    def renamed(app, pagename, templatename, context, doctree):
        if "body" in context:
            context["body"] = context["body"].replace(' aria-label="Toggle hidden content"', "")

    app.connect("html-page-context", renamed)
