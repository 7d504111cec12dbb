"""A real browser: headless Chromium, driven by selenium, and what a reader does with a page in it."""

import re
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if find_spec("selenium") is None:
        pytest.skip("selenium is absent (extra test-browser)")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium or its chromedriver is absent")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    # Without a sandbox because a container's root may have none, and without shared memory because it is small there.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1300,900"):
        options.add_argument(argument)
    for argument in ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"):  # a camera, allowed
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER))) as driver:
        yield driver


class Page:
    """The open page, and what a reader does with it."""

    def __init__(self, driver: Any, file: Path) -> None:
        self.driver, self.file = driver, file

    def open(self, size: tuple[int, int] = (1300, 900), address: str = "") -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get("about:blank")
        self.driver.get(self.file.as_uri() + address)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def status(self) -> str:
        return self.text("#status")

    def choose(self, selector: str, value: Any) -> None:
        self.run(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change', {bubbles: true}))",
            self.one(selector),
            str(value),
        )


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[[Path], Page]]:
    """Give the browser a file. Afterwards nothing must have gone wrong there, or been asked of the network."""

    def opened(file: Path) -> Page:
        browser.get("about:blank")
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # what is in it belongs to the page before
        page = Page(browser, file)
        page.open()
        return page

    yield opened
    said = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert said == []
    asked = [entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert not [entry for entry in asked if re.search(r'"url":"https?://', entry)]
