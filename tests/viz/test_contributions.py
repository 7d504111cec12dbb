import statistics

import pytest
from matplotlib.colors import to_hex

from minicnn.viz.contributions import COLORS, Dots, draw_contributions
from minicnn.viz.curves import INK

EVERYTHING = Dots("everything on", [0.30, 0.34, 0.32], "unclear", "32.0 %")
OTHERS = [
    Dots("without ReLU", [0.40, 0.42], "worse", "+9 points"),
    Dots("without LRN", [0.31, 0.33], "unclear", "not told apart"),
    Dots("without dropout", [0.20], "better", "-12 points"),
]


def test_each_seed_has_a_dot_and_each_mean_a_bar_on_its_own_line() -> None:
    (axes,) = draw_contributions(EVERYTHING, OTHERS, "a title").axes
    for place, dots in enumerate([EVERYTHING, *OTHERS]):
        color = INK if place == 0 else COLORS[dots.verdict]
        marks = [line for line in axes.lines if set(map(float, line.get_ydata())) == {place}]
        found = {line.get_marker(): [float(x) for x in line.get_xdata()] for line in marks}
        assert found["o"] == dots.errors
        assert found["|"] == [pytest.approx(statistics.mean(dots.errors))]
        assert {to_hex(line.get_color()) for line in marks} == {color}
        (note,) = [text for text in axes.texts if text.get_text() == dots.note]
        assert note.get_position()[1] == place and to_hex(note.get_color()) == color
    assert [label.get_text() for label in axes.get_yticklabels()] == [dots.label for dots in (EVERYTHING, *OTHERS)]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first line is at the bottom"
    assert len(set(COLORS.values())) == 3


def test_the_mean_with_everything_on_is_a_vertical_line_and_its_sides_are_named() -> None:
    (axes,) = draw_contributions(EVERYTHING, OTHERS).axes
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 2 and list(line.get_ydata()) == [0, 1]]
    assert list(map(float, line.get_xdata())) == [pytest.approx(0.32)] * 2
    sides = {text.get_text().strip("\N{LEFTWARDS ARROW}\N{RIGHTWARDS ARROW} "): text for text in axes.texts}
    assert sides["better without it"].get_ha() == "right" and sides["worse without it"].get_ha() == "left"
    assert to_hex(sides["worse without it"].get_color()) == COLORS["worse"]


def test_every_dot_and_no_more_than_every_dot_is_inside() -> None:
    (axes,) = draw_contributions(EVERYTHING, OTHERS).axes
    assert 0.17 < axes.get_xlim()[0] < 0.20 and 0.42 < axes.get_xlim()[1] < 0.45
    (axes,) = draw_contributions(Dots("alone", [0.3], "unclear", ""), []).axes
    assert axes.get_xlim()[0] < 0.3 < axes.get_xlim()[1]


def test_the_notes_are_inside_the_picture() -> None:
    figure = draw_contributions(EVERYTHING, [Dots("x", [0.5], "unclear", "+18.0 points, not told apart")])
    figure.draw_without_rendering()
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, text


@pytest.mark.parametrize("bad", [Dots("x", [], "worse", ""), Dots("x", [0.1], "bad", "")])
def test_a_line_without_dots_and_an_unknown_verdict_are_refused(bad: Dots) -> None:
    with pytest.raises(ValueError, match="draw_contributions: 'x' must have"):
        draw_contributions(EVERYTHING, [bad])
