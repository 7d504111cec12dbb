"""Lessons train for fewer epochs in a browser, and say so."""

import pytest

from minicnn.lessons import browser


@pytest.mark.parametrize(
    ("there", "number", "said"),
    [
        (False, 40, ""),
        (True, 16, "In a browser Python is slow, so this trains for 16 epochs. The text describes 40.\n"),
    ],
)
def test_training_is_shorter_in_a_browser_and_says_so(
    there: bool, number: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(browser, "IN_BROWSER", there)
    assert browser.training_epochs(40, in_browser=16) == number
    assert capsys.readouterr().out == said
