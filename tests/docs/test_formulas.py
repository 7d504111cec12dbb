"""The formulas of the pages, drawn by matplotlib."""

import re
from typing import Any

import pytest

pytest.importorskip("sphinx", reason="Sphinx is not installed (extra docs)")

from docs._extensions import mathtext


def test_a_formula_becomes_a_drawing_in_the_colour_of_the_text() -> None:
    svg = mathtext.drawn(r"\frac{a_i}{D_i^\beta} < 1")
    assert 'aria-label="\\frac{a_i}{D_i^\\beta} &lt; 1"' in svg
    assert 'fill="currentColor"' in svg
    assert "nan" not in svg
    left, top, width, height = map(float, re.findall(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', svg)[0])
    numbers = [float(number) for number in re.findall(r"-?\d+", re.findall(r' d="([^"]+)"', svg)[0])]
    assert left <= min(numbers[::2]) and max(numbers[::2]) <= left + width
    assert top <= min(numbers[1::2]) and max(numbers[1::2]) <= top + height


def test_what_cannot_be_drawn_stops_the_build() -> None:
    with pytest.raises(Exception, match="cannot draw the formula"):
        mathtext.drawn(r"\begin{matrix}1\end{matrix}")


def test_a_formula_of_its_own_has_large_fractions(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(mathtext, "drawn", lambda formula: drawn.append(formula) or "")

    class Node:
        def astext(self) -> str:
            return r"\frac{1}{2}"

    class Writer:
        body: list[str] = []

    from docutils import nodes

    node: Any = Node()
    for render in (mathtext.inline, mathtext.block):
        with pytest.raises(nodes.SkipNode):
            render(Writer(), node)
    assert drawn == [r"\frac{1}{2}", r"\dfrac{1}{2}"]
