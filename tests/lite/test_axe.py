"""axe-core finds nothing serious on our pages, in light and dark: contrast, landmarks, names of controls."""

from pathlib import Path

from tests.lite.test_in_browsers import LESSONS, look
from tools.lessons_in_browser import served

# Of the documentation's site. A lesson's page has the colours of code, formulas, figures, tables and folded solutions.
PAGES = [*(f"lessons/{lesson}.html" for lesson in LESSONS), "lessons.html", "in-the-browser.html"]


def test_the_documentation_has_no_serious_barriers(site: Path) -> None:
    with served(site) as at:
        found = look("chrome", "axe", at, [f"{at}/{page}" for page in PAGES])
    assert len(found) == 2 * len(PAGES)
    assert {page: barriers for page, barriers in found.items() if barriers} == {}


def test_the_list_of_lessons_has_no_serious_barriers(address: str) -> None:
    found = look("chrome", "axe", address, [f"{address}/index.html"])
    assert {page: barriers for page, barriers in found.items() if barriers} == {}


def test_a_barrier_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        "<!doctype html><html lang=en><title>t</title><main><h1>t</h1><p style='color: #aaa; background: #fff'>faint"
    )
    with served(tmp_path) as at:
        found = look("chrome", "axe", at, [f"{at}/page.html"])
    assert all(barrier.startswith("color-contrast") for barriers in found.values() for barrier in barriers)
    assert all(len(barriers) == 1 for barriers in found.values())
