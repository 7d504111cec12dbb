"""Each lesson's page leads to the lesson in JupyterLite, where `python docs/lite/build.py` has built that beside it."""

from pathlib import Path
from typing import Any

LINK = (
    '<p class="open-in-browser"><a href="../lite/notebooks/index.html?path={name}.ipynb">Open in the browser</a>, '
    'to change and run it; there is <a href="../in-the-browser.html">nothing to install</a>.</p>'
)


def find_site(app: Any, config: Any) -> None:
    config.lessons_in_browser = Path(app.outdir, "lite", "index.html").exists()


def add_link(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    folder, _, name = pagename.rpartition("/")
    if folder == "lessons" and app.config.lessons_in_browser:
        context["body"] = context["body"].replace("</h1>", "</h1>" + LINK.format(name=name), 1)


def setup(app: Any) -> dict[str, Any]:
    app.add_config_value("lessons_in_browser", False, "html")  # pages are written again when it changes
    app.connect("config-inited", find_site)
    app.connect("html-page-context", add_link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
