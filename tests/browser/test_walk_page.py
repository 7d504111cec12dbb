"""The walk page in a real browser: headless Chromium, driven by selenium."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, models
from minicnn import functional as F
from minicnn.tracing import Trace, TraceStep

pytestmark = pytest.mark.slow

WIDE, NARROW = (1300, 900), (360, 740)


@pytest.fixture(scope="module")
def trace() -> Trace:
    minicnn.manual_seed(0)
    network = models.build({"model": "alexnet_cifar", "groups": 2}).eval()
    rows, columns = np.mgrid[:28, :28] / 28
    picture = np.stack([rows, columns, (rows - 0.5) ** 2 + (columns - 0.5) ** 2 < 0.1])[None] * 3 - 1.5
    with minicnn.trace() as trace:
        loss = F.cross_entropy(network(Tensor(picture.astype(np.float32))), [3])
    loss.backward()
    return trace


@pytest.fixture(scope="module")
def file(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("walk") / "walk.html"
    trace.save_html(file, title="A walk", classes=[f"kind {number}" for number in range(10)])
    return file


@pytest.fixture
def page(visit: Any, file: Path) -> Any:
    page = visit(file)
    page.open()
    return page


def record(trace: Trace, layer: str) -> Any:
    return next(step.record for step in trace.forward_steps() if step.layer == layer)


def test_it_begins_at_the_first_step_and_says_what_there_is(page: Any, trace: Trace) -> None:
    assert page.driver.title == "A walk" and page.text("h1") == "A walk"
    first = TraceStep(trace.records[0])
    assert page.status() == f"Step 1 of 44, forward: {first.title}"
    (card,) = [card for card in page.all(".step") if card.is_displayed()]
    assert card.text.startswith("FORWARD\nconv1: ") and " ".join(first.equation.split()) in card.text
    assert len(page.all(".box")) == 22 and page.text(".box.now") == "conv1"
    assert "kind 3" in page.text(".answer") and not page.one("#previous").is_enabled()


def test_arrow_keys_and_buttons_walk_forwards_and_then_backwards(page: Any, trace: Trace) -> None:
    from selenium.webdriver.common.keys import Keys

    steps = [*trace.forward_steps(), *trace.backward_steps()]
    for number, step in enumerate(steps, start=1):
        way = "backward" if step.backward else "forward"
        assert page.status() == f"Step {number} of 44, {way}: {step.title}"
        shown = page.text(".step.now")
        assert shown.startswith(f"{way.upper()}\n{step.title}\n")
        assert step.equation.splitlines()[0].split("  ")[0] in shown
        assert page.text(".box.now") == (step.layer or step.name)
        assert len(page.all('.box[aria-current="step"]')) == len(page.all(".box.now")) == 1
        if number % 2:
            page.press(Keys.ARROW_RIGHT)
        else:
            page.one("#next").click() if number < 44 else None
    assert not page.one("#next").is_enabled()
    page.press(Keys.ARROW_RIGHT)
    assert page.status().startswith("Step 44 ")
    page.press(Keys.ARROW_LEFT)
    page.one("#previous").click()
    assert page.status().startswith("Step 42 of 44, backward: norm1")
    page.press(Keys.HOME)
    assert page.status().startswith("Step 1 ")
    page.press(Keys.END)
    assert page.status().startswith("Step 44 ")


def test_the_backward_card_has_gradients_and_norms(page: Any, trace: Trace) -> None:
    page.open(address="#step44")
    norms = TraceStep(record(trace, "conv1"), backward=True).norms
    text = page.text(".step.now")
    assert list(norms) == ["dL/dy", "dL/dw", "dL/db"]
    for name, norm in norms.items():
        assert f"{name} " in text and f"norm {norm:.3g}" in text


def test_play_goes_on_by_itself_until_it_is_paused(page: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    button = page.one("#play")
    button.click()
    assert (button.text, button.get_attribute("aria-pressed")) == ("Pause", "true")
    WebDriverWait(page.driver, 10).until(lambda _: page.status().startswith("Step 2 "))
    button.click()
    assert (button.text, button.get_attribute("aria-pressed")) == ("Play", "false")
    page.open(address="#step43")
    page.one("#play").click()
    WebDriverWait(page.driver, 10).until(lambda _: page.text("#play") == "Play")
    assert page.status().startswith("Step 44 ")


def test_boxes_and_the_other_way(page: Any) -> None:
    page.one('.box[aria-label^="conv3:"]').click()
    assert page.status().startswith("Step 9 of 44, forward: conv3")
    page.one("#turn").click()
    assert page.status().startswith("Step 36 of 44, backward: conv3")
    page.one('.box[aria-label^="pool5:"]').click()
    assert page.status().startswith("Step 30 of 44, backward: pool5")
    page.one("#turn").click()
    assert page.status().startswith("Step 15 of 44, forward: pool5")


def test_the_card_of_conv2_shows_both_towers(page: Any) -> None:
    page.open(address="#step5")
    text = page.text(".step.now")
    assert "conv2: " in text and "groups\n2" in text
    for tower in (1, 2):
        assert f"tower {tower}: 16 of 48 maps" in text
    pictures = [image for image in page.all(".step.now img") if " y of " not in (image.get_attribute("alt") or "")]
    assert len(pictures) >= 6 and all(image.size["width"] > 100 for image in pictures)


def click_unit(page: Any, place: int, channel: int, row: int, column: int) -> None:
    """Click with the mouse on a unit of some maps on the card, as far as they lie there."""
    import json

    from selenium.webdriver.common.action_chains import ActionChains

    for sheet in page.all(".step.now .sheet[data-maps]"):
        maps = json.loads(sheet.get_attribute("data-maps"))
        if maps["record"] == place and channel in maps["channels"]:
            break
    else:
        raise AssertionError(f"map {channel} is not on the card")
    page.run("arguments[0].scrollIntoView({block: 'center'})", sheet)
    number = maps["channels"].index(channel)
    high = -(-len(maps["channels"]) // maps["columns"]) * (maps["height"] + 1) - 1
    wide = maps["columns"] * (maps["width"] + 1) - 1
    x = (number % maps["columns"] * (maps["width"] + 1) + column + 0.5) / wide - 0.5
    y = (number // maps["columns"] * (maps["height"] + 1) + row + 0.5) / high - 0.5
    image = sheet.find_element("css selector", "img")
    size = image.size
    ActionChains(page.driver).move_to_element_with_offset(
        image, round(x * size["width"]), round(y * size["height"])
    ).click().perform()


def as_number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_click_on_a_unit_shows_what_it_sees_and_what_it_sums(page: Any, trace: Trace, size: tuple[int, int]) -> None:
    page.open(size, "#step5")
    conv = record(trace, "conv2")
    shown = page.run("return JSON.parse(document.getElementById('data').textContent).records[4].channels")
    for channel, row, column in ((shown[3], 4, 9), (shown[-2], 13, 0)):
        click_unit(page, 4, channel, row, column)
        y = conv.output[0, channel, row, column]
        values = page.text("#values").splitlines()
        assert values[0].endswith(f"map {channel}, row {row}, column {column}")
        assert as_number(values[1].removeprefix("y = ")) == pytest.approx(y, rel=1e-3, abs=1e-4)
        rows = [max(0, 2 * row - 4), min(27, 2 * row + 6)]  # 5x5 of conv1, 3x3 of the pool, 3x3 of conv2: 11 wide
        columns = [max(0, 2 * column - 4), min(27, 2 * column + 6)]
        expected = f"rows {rows[0]} to {rows[1]} and columns {columns[0]} to {columns[1]} of the image"
        assert expected in page.text("#sees-what") and "11x11" in page.text("#sees-what")
        found = re.search(r"add up to (\S+); with b = (\S+) that is y = (\S+)\.", page.text("#sum"))
        assert found
        total, bias, again = map(as_number, found.groups())
        assert again == pytest.approx(y, rel=1e-3, abs=1e-4) and total + bias == pytest.approx(again, abs=2e-3)
        group = 24 * (channel // 48)
        assert f"channels {group} to {group + 23} of 48 only" in page.text("#sum")
        assert f"w of map {channel}" in page.text("#filter-what") and "216 numbers" in page.text("#window-what")
        drawn = page.run(
            "return ['window', 'filter', 'products'].map(id => {"
            "const c = document.querySelector('#' + id + ' canvas');"
            "return [c.width, c.height, new Set(c.getContext('2d').getImageData(0, 0, 1, c.height).data).size] })"
        )
        assert all(made[:2] == [1, 216] and made[2] > 20 for made in drawn)
        (marker,) = page.all(".step.now .marker")
        assert marker.is_displayed()
        field = page.run(
            "const f = document.getElementById('field').getBoundingClientRect(),"
            "p = document.querySelector('.picture img').getBoundingClientRect();"
            "return [(f.top - p.top) / p.height, (f.bottom - p.top) / p.height,"
            "(f.left - p.left) / p.width, (f.right - p.left) / p.width]"
        )
        sides = [rows[0] / 28, (rows[1] + 1) / 28, columns[0] / 28, (columns[1] + 1) / 28]
        assert field == pytest.approx(sides, abs=0.01)


def test_on_a_phone_a_click_leads_to_the_unit_and_back(page: Any, trace: Trace) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    def seen(selector: str) -> bool:
        script = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.top, innerHeight]"
        top, height = page.run(script, selector)
        return 0 <= top < height / 2

    shown = "return JSON.parse(document.getElementById('data').textContent).records[4].channels[0]"
    page.open(NARROW, "#step5")
    click_unit(page, 4, page.run(shown), 3, 3)
    WebDriverWait(page.driver, 5).until(lambda _: seen("#unit"))
    page.choose("#at-row", 4)  # and the link stays
    WebDriverWait(page.driver, 5).until(lambda _: page.one("#back").is_displayed())
    page.one("#back").click()
    WebDriverWait(page.driver, 5).until(lambda _: not seen("#unit"))
    page.one("#next").click()
    assert not page.one("#back").is_displayed()
    page.open(WIDE, "#step5")  # where both stand side by side
    click_unit(page, 4, page.run(shown), 3, 3)
    assert not page.one("#back").is_displayed()


def test_maps_that_come_in_can_be_pointed_at_too(page: Any, trace: Trace) -> None:
    page.open(address="#step6")  # relu2, whose input conv2 made
    channel = page.run("return JSON.parse(document.getElementById('data').textContent).records[4].channels[0]")
    click_unit(page, 4, channel, 2, 3)
    assert page.text("#values").startswith("conv2: ") and page.one("#product").is_displayed()
    click_unit(page, 5, channel, 2, 3)
    assert page.text("#values").startswith("relu2: ReLU") and not page.one("#product").is_displayed()


def test_a_unit_can_be_chosen_without_a_mouse(page: Any, trace: Trace) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open(address="#step1")
    page.choose("#at-row", 3)
    page.choose("#at-column", 99)  # there are 28
    assert page.text("#values").splitlines()[0].endswith("row 3, column 27")
    page.run("document.getElementById('at-row').focus()")
    page.press(Keys.ARROW_LEFT)
    assert page.status().startswith("Step 1 ")  # within a field, arrows do what they do there
    page.press(Keys.ARROW_UP)
    page.press(Keys.TAB)
    assert page.text("#values").splitlines()[0].endswith("row 4, column 27")


def test_on_the_way_back_a_unit_shows_its_gradient(page: Any, trace: Trace) -> None:
    page.open(address="#step40")
    assert page.status().startswith("Step 40 of 44, backward: conv2")
    channel = page.run("return JSON.parse(document.getElementById('data').textContent).records[4].channels[5]")
    click_unit(page, 4, channel, 6, 6)
    gradient = record(trace, "conv2").grad_output[0]
    assert as_number(page.text("#values").split("dL/dy = ")[1]) == pytest.approx(
        gradient[channel, 6, 6], abs=float(np.abs(gradient).max()) / 10_000
    )
    assert "adds dL/dy times the filter to dL/dx" in page.text("#sum")


def test_where_units_have_no_place_it_says_so(page: Any) -> None:
    page.one('.box[aria-label^="fc7:"]').click()
    assert page.one("#nothing").is_displayed() and not page.one("#unit-detail").is_displayed()
    page.one('.box[aria-label^="pool5:"]').click()
    assert page.one("#unit-detail").is_displayed() and page.all(".marker")


@pytest.mark.parametrize("size", [WIDE, NARROW, (820, 1100)], ids=["wide", "narrow", "tablet"])
def test_nothing_sticks_out_at_any_step(page: Any, size: tuple[int, int]) -> None:
    page.open(size)
    for number in range(0, 44, 3):
        page.run("document.querySelectorAll('.box')[arguments[0] % 22].click()", number)
        if number == 21:
            page.one("#turn").click()
        wide = page.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1] == size[0], page.status()
        lit = page.run("const b = document.querySelector('.box.now').getBoundingClientRect(); return [b.left, b.right]")
        assert 0 <= lit[0] < lit[1] <= size[0]
    buttons = [button for button in page.all(".controls button") if button.is_displayed()]
    assert len(buttons) == 4 and all(button.size["height"] >= 24 for button in buttons)


def test_everything_has_a_name_for_who_does_not_see_it(page: Any) -> None:
    assert all((image.get_attribute("alt") or "").strip() for image in page.all("img"))
    names = page.run(
        "return [...document.querySelectorAll('button, select, input')]"
        ".map(e => e.ariaLabel || e.textContent.trim() || e.closest('label')?.textContent.trim())"
    )
    assert len(names) > 25 and all(names)
    assert page.run("return document.documentElement.lang") == "en"
    assert all(canvas.get_attribute("aria-label") for canvas in page.all("canvas"))


def test_tab_and_enter_are_enough(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    for _ in range(40):
        page.press(Keys.TAB)
        if page.run("return document.activeElement.id") == "next":
            break
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.press(Keys.ENTER)
    assert page.status().startswith("Step 2 ")


def test_light_and_dark(page: Any) -> None:
    def lightness(of: str) -> float:
        return sum(map(int, re.findall(r"\d+", page.run(f"return getComputedStyle(document.body).{of}"))[:3]))

    for scheme, is_dark in (("dark", True), ("light", False)):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        assert (lightness("backgroundColor") < lightness("color")) == is_dark
        assert abs(lightness("backgroundColor") - lightness("color")) > 500


def test_without_scripts_every_card_can_be_read(page: Any) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.open()
        assert len([card for card in page.all(".step") if card.is_displayed()]) == 44
        assert not page.one(".controls").is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
