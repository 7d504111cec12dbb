"""No link between pages of the site is broken, no image is missing, and no line is left out."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
FEWEST_PAGES = 25  # far fewer would mean that this looks in the wrong place
FEWEST_LINKS = 1000
FETCHING = ("script", "link", "img", "object", "iframe", "source", "video")


class Page(HTMLParser):
    """What a page can be linked at, and where it links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src", "data", "poster"):
                self.links.append(value)
                if tag in FETCHING:
                    self.fetched.append(value)


def read(folder: Path) -> dict[Path, Page]:
    """Read all pages but the theme's own templates."""
    paths = (path for path in sorted(folder.rglob("*.html")) if "_static" not in path.relative_to(folder).parts)
    return {path.resolve(): Page(path) for path in paths}


def broken(pages: dict[Path, Page]) -> list[str]:
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                found.append(f"{path.name}: {link} does not exist")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{path.name}: {link} has no such place")
    return found


@pytest.mark.slow
def test_every_internal_link_leads_somewhere(site: Path) -> None:
    pages = read(site)
    assert len(pages) >= FEWEST_PAGES
    assert sum(len(page.links) for page in pages.values()) >= FEWEST_LINKS
    assert broken(pages) == []


def places(markdown: str) -> set[str]:
    """Return what a file's headings can be linked at, as repositories show them."""
    headings = re.findall(r"^#+ +(.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_line_begins_with_a_percent_sign() -> None:
    """MyST takes such a line for a comment, and leaves it out."""
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    assert len(pages) >= 30
    for page in pages:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            assert not re.match(r"(# )?\s*% ", line), f"{page}:{number}: {line}"


def test_links_between_markdown_files_lead_somewhere() -> None:
    """Without building the site: the files exist, and have the headings, where these are written and not generated."""
    found = 0
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))):
        if "_build" in page.parts:
            continue
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            parts = urlsplit(link)
            if parts.netloc or not parts.path:
                continue
            found += 1
            target = page.parent / parts.path
            assert target.exists(), f"{page}: {link}"
            text = target.read_text(encoding="utf-8") if parts.fragment else ""
            if "```{museum}" not in text and "```{command-line}" not in text:
                assert not parts.fragment or parts.fragment in places(text), f"{page}: {link}"
    assert found >= 100


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """The pages can be read without a network. (A link that is followed by a click is another matter.)"""
    fetched = [link for page in read(site).values() for link in page.fetched]
    assert len(fetched) >= FEWEST_PAGES
    assert [link for link in fetched if urlsplit(link).netloc] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="here"></p><a href="#here"></a><a href="b.html#there"></a>')
    (tmp_path / "b.html").write_text('<p id="there"></p><a href="https://example.org/nothing"></a>')
    assert broken(read(tmp_path)) == []
    (tmp_path / "b.html").write_text('<a href="c.html"></a><img src="d.png"><a href="a.html#nowhere"></a>')
    assert broken(read(tmp_path)) == [
        "a.html: b.html#there has no such place",
        "b.html: c.html does not exist",
        "b.html: d.png does not exist",
        "b.html: a.html#nowhere has no such place",
    ]
