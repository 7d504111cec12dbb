"""The lessons in real browsers: they run to the end, keep a reader's work, and stop an endless loop."""

from pathlib import Path
from typing import Any

import pytest

from tools import lessons_in_browser


def look(browser: str, task: str, site: str, names: list[str], **more: Any) -> Any:
    """Return what a task of browser.mjs found. Nothing may be asked of another machine."""
    try:
        report = lessons_in_browser.look(browser, task, site, names, **more)
    except lessons_in_browser.BrowserError as error:
        if "is absent" in str(error) or "npm cannot install" in str(error):
            pytest.skip(str(error))
        raise
    assert report["outside"] == []
    return report["found"]


LESSONS = ["01_tensors_and_autograd", "02_convolution", "04_pooling", "05_local_response_normalisation", "08_alexnet"]


def judge(found: dict[str, Any], names: list[str]) -> None:
    """Every cell has run without an error output, and every check says that the answer is right."""
    assert list(found) == names
    for name in names:
        assert found[name]["wrong"] == []
        said = [text for text in found[name]["texts"] if ": right" in text or "not yet" in text]
        assert len(said) >= 2 and not [text for text in said if "not yet" in text], said


def test_lessons_run_to_the_end_in_chromium(address: str) -> None:
    names = [f"{lesson}.ipynb" for lesson in LESSONS]
    judge(look("chrome", "lessons", address, names), names)


def test_a_lesson_runs_to_the_end_in_firefox(address: str) -> None:
    names = ["01_tensors_and_autograd.ipynb"]
    judge(look("firefox", "lessons", address, names), names)


@pytest.mark.parametrize("browser", ["chrome", "firefox"])
def test_a_request_to_another_machine_is_noticed(browser: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<!doctype html><img src='http://elsewhere.example/x.png'>")
    with lessons_in_browser.served(tmp_path) as at, pytest.raises(AssertionError, match=r"elsewhere\.example"):
        look(browser, "visit", at, [f"{at}/page.html"])


def test_an_edited_cell_is_kept_and_an_endless_loop_is_stopped(address: str) -> None:
    endless = (
        "from minicnn.lessons import check\ndef lrn_window(i, n, C):\n    while True: pass\n"
        "check.lrn_window(lrn_window, seconds=1)"
    )
    found = look("chrome", "reader", address, ["05_local_response_normalisation.ipynb"], endless=endless)
    assert found["kept"] == "edited = 'by the reader'"
    assert "your function had not returned after 1 s" in found["answer"]
