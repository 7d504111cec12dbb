"""Pages of the built site in a real browser: the front page with its walk, what plays, and the lessons as they ran."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from minicnn.lessons.exercises import registry
from tools import build_notebooks as build

WIDE, NARROW = (1280, 900), (390, 800)
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
pytestmark = pytest.mark.slow


def until(page: Any, condition: Any, seconds: float = 20) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page.driver, seconds, poll_frequency=0.05).until(lambda _: condition())


@contextmanager
def within(page: Any, frame: Any) -> Iterator[None]:
    """Look into a page that is embedded, once it is there."""
    page.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", frame)
    page.driver.switch_to.frame(frame)
    try:
        until(page, lambda: page.all("#status") and page.status())
        yield
    finally:
        page.driver.switch_to.default_content()


def prefer(page: Any, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def is_dark(page: Any) -> bool:
    colour = page.run("return getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) < 200


def sticks_out(page: Any) -> bool:
    return bool(page.run("return document.documentElement.scrollWidth > innerWidth"))


@SIZES
def test_the_front_page_shows_figure_1_and_a_walk(site: Path, visit: Any, size: tuple[int, int]) -> None:
    from selenium.webdriver.common.keys import Keys

    page = visit(site / "index.html")
    page.open(size)
    assert page.driver.title.startswith("minicnn") and not sticks_out(page)
    figure = page.one("figure img")
    assert "Training error by epoch" in figure.get_attribute("alt")
    until(page, lambda: figure.get_property("naturalWidth") > 500)

    (frame,) = page.all("iframe")
    place = page.run("const f = arguments[0].getBoundingClientRect(); return [f.left, f.right, f.height]", frame)
    assert 0 <= place[0] < place[1] <= size[0] and 500 < place[2] < size[1]
    with within(page, frame):
        assert page.status() == "Step 1 of 24, forward: conv1: Conv2d (direct)"
        assert "star" in page.text(".answer") and not sticks_out(page)
        page.one("#next").click()
        assert page.status() == "Step 2 of 24, forward: relu1: ReLU"
        assert page.text(".step.now").startswith("FORWARD\nrelu1: ReLU\ny = max(0, x)")
        page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        assert page.status().startswith("Step 4 of 24, forward: conv2") and page.text(".box.now") == "conv2"
        assert "add up to" in page.text("#sum")
        page.press(Keys.END)
        assert page.status().startswith("Step 24 of 24, backward: conv1") and "dL/dw" in page.text(".step.now")
    address = page.one("p.walk-page a").get_attribute("href")
    assert (site / "walks" / "walk.html").as_uri() == address


def test_no_page_is_wider_than_a_phone(site: Path, visit: Any) -> None:
    """Listings and tables scroll; the page does not."""
    page = visit(site / "index.html")
    page.open(NARROW)
    found = sorted(path for path in site.rglob("*.html") if not {"_static", "_modules", "walks"} & {*path.parts})
    assert len(found) >= 25
    wide = []
    for path in found:
        page.driver.get(path.as_uri())
        if sticks_out(page):
            wide.append(path.relative_to(site))
    assert wide == []


def test_the_walk_is_as_dark_as_the_page_around_it(site: Path, visit: Any) -> None:
    page = visit(site / "index.html")
    try:
        for scheme in ("dark", "light"):  # of the reader's system
            prefer(page, scheme)
            page.open(WIDE)
            assert is_dark(page) == (scheme == "dark")
            with within(page, page.one("iframe")):
                assert is_dark(page) == (scheme == "dark")
    finally:
        prefer(page, "")
    for theme in ("dark", "light"):  # of the page alone, as its button sets it
        page.run("document.documentElement.dataset.theme = arguments[0]", theme)
        assert is_dark(page) == (theme == "dark")
        with within(page, page.one("iframe")):
            until(page, lambda theme=theme: is_dark(page) == (theme == "dark"))


@SIZES
def test_a_convolution_plays(site: Path, visit: Any, size: tuple[int, int]) -> None:
    page = visit(site / "convolution.html")
    page.open(size)
    assert not sticks_out(page)
    first, *others = page.all("div.animation")
    assert len(others) == 2
    picture, slider = (first.find_element("css selector", what) for what in ("img", "input[type=range]"))
    page.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", first)
    until(page, lambda: slider.get_attribute("max") == "9")  # nine windows, and everything
    assert picture.get_property("naturalWidth") > 500 and 200 < picture.size["width"] < size[0]
    assert "every window becomes a column" in picture.get_attribute("alt")

    buttons = {button.get_attribute("title"): button for button in first.find_elements("css selector", "button")}
    assert len(buttons) == 9 and all(button.text for button in buttons.values())
    assert page.run("return [...document.querySelectorAll('div.output')].every(e => e.scrollWidth <= e.clientWidth)")

    def where() -> int:
        return int(slider.get_property("value"))

    begin = picture.get_attribute("src")
    buttons["Next frame"].click()
    second = picture.get_attribute("src")
    assert where() == 1 and second != begin
    buttons["First frame"].click()
    assert where() == 0 and picture.get_attribute("src") == begin
    for _ in range(5):
        buttons["Increase speed"].click()
    buttons["Play"].click()
    until(page, lambda: where() >= 2)
    buttons["Pause"].click()
    stopped = where()
    assert stopped < 9
    buttons["Play"].click()
    until(page, lambda: where() == 9)
    assert len({begin, second, picture.get_attribute("src")}) == 3
    for other in others:  # each has a player of its own
        assert other.find_element("css selector", "input[type=range]").get_property("value") == "0"


LESSONS = [source.stem for source in build.sources()]


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_shows_what_came_out_and_no_solution_before_it_is_asked_for(
    site: Path, visit: Any, lesson: str
) -> None:
    page = visit(site / "lessons" / f"{lesson}.html")
    page.open(WIDE)
    assert page.driver.title.startswith(f"{lesson[:2]} ") and not sticks_out(page)
    pictures = page.all("div.cell_output img")
    assert all(picture.get_property("naturalWidth") for picture in pictures)
    assert pictures
    exercises = [exercise.name for exercise in registry().values() if exercise.lesson == int(lesson[:2])]
    outputs = page.run("return [...document.querySelectorAll('div.cell_output')].map(each => each.innerText)")
    assert [name for name in exercises if not any(f"{name}: right" in output for output in outputs)] == []
    solutions = [each for each in page.all("details") if "A solution" in each.get_attribute("innerText")]
    assert len(solutions) == len(exercises)
    assert not any(each.get_property("open") for each in solutions)


def test_the_animations_in_a_lesson_play(site: Path, visit: Any) -> None:
    page = visit(site / "lessons" / "02_convolution.html")
    page.open(WIDE)
    animations = page.all("div.animation")
    assert len(animations) == 2
    for animation in animations:
        picture, slider = (animation.find_element("css selector", what) for what in ("img", "input[type=range]"))
        page.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", animation)
        until(page, lambda slider=slider: int(slider.get_attribute("max")) >= 4)
        animation.find_element("css selector", "button[title='First frame']").click()
        begin = picture.get_attribute("src")
        animation.find_element("css selector", "button[title='Play']").click()
        until(page, lambda slider=slider: int(slider.get_property("value")) >= 2)
        assert picture.get_attribute("src") != begin


@pytest.mark.parametrize("lesson", ["01_tensors_and_autograd", "12_looking_inside"])
def test_the_walk_in_a_lesson_can_be_stepped_through(site: Path, visit: Any, lesson: str) -> None:
    page = visit(site / "lessons" / f"{lesson}.html")
    page.open(WIDE)
    (frame,) = page.all("iframe")
    with within(page, frame):
        assert page.status().startswith("Step 1 of ")
        page.one("#next").click()
        assert page.status().startswith("Step 2 of ")
