import statistics

import pytest
from matplotlib.colors import to_hex

from minicnn.viz import Curve, Panel
from minicnn.viz.contributions import COLORS, Dots, draw_contributions
from minicnn.viz.style import INK

EVERYTHING = Dots("everything on", [0.30, 0.34, 0.32], [0.2, 0.21, 0.22], "unclear", "32.0 %")
OTHERS = [
    Dots("without ReLU", [0.40, 0.42], [0.25, 0.3], "worse", "+9 points"),
    Dots("without LRN", [0.31, 0.33], [0.2, 0.22], "unclear", "not told apart"),
    Dots("without dropout", [0.20], [0.01], "better", "-12 points"),
]
CURVES = [
    Panel("over the epochs", "solid and dashed", [Curve("everything on", [[0.5, 0.3], [0.6, 0.2]], "#222222")]),
    Panel("at the right", "", [Curve("everything on", [[0.4, 0.1]], "#222222")]),
]


def test_each_seed_has_a_dot_and_each_mean_a_bar_on_its_own_line() -> None:
    axes, train, *_ = draw_contributions(EVERYTHING, OTHERS, CURVES, "a title").axes
    for place, dots in enumerate([EVERYTHING, *OTHERS]):
        color = INK if place == 0 else COLORS[dots.verdict]
        for panel, errors in ((axes, dots.errors), (train, dots.train_errors)):
            marks = [line for line in panel.lines if set(map(float, line.get_ydata())) == {place}]
            found = {line.get_marker(): [float(x) for x in line.get_xdata()] for line in marks}
            assert found["o"] == errors
            assert found["|"] == [pytest.approx(statistics.mean(errors))]
            assert {to_hex(line.get_color()) for line in marks} == {color}
        (note,) = [text for text in axes.texts if text.get_text() == dots.note]
        assert note.get_position()[1] == place and to_hex(note.get_color()) == color
    assert [label.get_text() for label in axes.get_yticklabels()] == [dots.label for dots in (EVERYTHING, *OTHERS)]
    assert axes.get_ylim() == train.get_ylim() and axes.get_ylim()[0] > axes.get_ylim()[1], "the first line is below"
    assert len(set(COLORS.values())) == 3


def test_the_mean_with_everything_on_is_a_vertical_line_and_its_sides_are_named() -> None:
    axes = draw_contributions(EVERYTHING, OTHERS, CURVES).axes[0]
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 2 and list(line.get_ydata()) == [0, 1]]
    assert list(map(float, line.get_xdata())) == [pytest.approx(0.32)] * 2
    sides = {text.get_text().strip("\N{LEFTWARDS ARROW}\N{RIGHTWARDS ARROW} "): text for text in axes.texts}
    assert sides["better without it"].get_ha() == "right" and sides["worse without it"].get_ha() == "left"
    assert to_hex(sides["worse without it"].get_color()) == COLORS["worse"]


def test_every_dot_and_no_more_than_every_dot_is_inside() -> None:
    axes, train, *_ = draw_contributions(EVERYTHING, OTHERS, CURVES).axes
    assert 0.17 < axes.get_xlim()[0] < 0.20 and 0.42 < axes.get_xlim()[1] < 0.45
    assert train.get_xlim()[0] < 0.01 and 0.3 < train.get_xlim()[1] < 0.35
    axes = draw_contributions(Dots("alone", [0.3], [0.1], "unclear", ""), [], CURVES).axes[0]
    assert axes.get_xlim()[0] < 0.3 < axes.get_xlim()[1]


def test_the_notes_are_inside_the_picture() -> None:
    figure = draw_contributions(EVERYTHING, [Dots("x", [0.5], [0.3], "unclear", "+18.0 points, unclear")], CURVES)
    figure.draw_without_rendering()
    others = figure.axes[1].get_window_extent()
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert box.x1 < others.x0
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, text


def test_the_curves_are_drawn_below_from_left_to_right() -> None:
    axes = draw_contributions(EVERYTHING, OTHERS, CURVES).axes
    assert list(axes[2].lines[0].get_ydata()) == [pytest.approx(0.55), pytest.approx(0.25)]
    assert [one.get_title(loc="left").strip() for one in axes[2:]] == ["over the epochs", "at the right"]
    places = [one.get_window_extent() for one in axes]
    assert places[2].y1 < places[0].y0 and places[2].x1 < places[3].x0


BAD = [Dots("x", [], [0.1], "worse", ""), Dots("x", [0.1], [], "worse", ""), Dots("x", [0.1], [0.1], "bad", "")]


@pytest.mark.parametrize("bad", BAD)
def test_a_line_without_dots_and_an_unknown_verdict_are_refused(bad: Dots) -> None:
    with pytest.raises(ValueError, match="draw_contributions: 'x' must have at least one error and a verdict of"):
        draw_contributions(EVERYTHING, [bad], CURVES)
