"""The worked example of docs/add-an-operation.md works as it stands, block after block."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "add-an-operation.md"


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run(code: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    for number, block in enumerate(code, start=1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    return names


def test_every_block_runs(capsys: pytest.CaptureFixture[str], kernel_file: str) -> None:
    names = run(blocks())
    printed = capsys.readouterr().out
    assert "gradcheck passed: 12 derivatives compared" in printed
    assert "gradcheck failed" in printed
    assert "negative_slope" in printed
    assert names["LeakyReLU"].__doc__


def test_the_page_speaks_of_what_is_there() -> None:
    root = PAGE.parents[1]
    text = PAGE.read_text(encoding="utf-8")
    files = re.findall(r"`((?:minicnn|tests)/[\w/]+\.py)`", text)
    assert len(files) >= 8
    assert [file for file in files if not (root / file).exists()] == []
    assert "EXAMPLES" in (root / "tests/ops/test_contract.py").read_text(encoding="utf-8")
    assert "def _activation_cases" in (root / "minicnn/checks.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("xp.where(self.positive, grad_output, self.slope * grad_output)", "xp.where(self.positive, grad_output, 0)"),
        ("xp.where(self.positive, x, self.slope * x)", "xp.where(self.positive, x, -self.slope * x)"),
        ("grad_output > 0, grad_output", "self.positive, grad_output"),  # the mistake, mended
        ("losses[0] / 2", "0"),
    ],
)
def test_the_page_would_notice_a_mistake(right: str, wrong: str) -> None:
    code = blocks()
    changed = [block.replace(right, wrong) for block in code]
    assert changed != code
    with pytest.raises((AssertionError, RuntimeError)):
        run(changed)
