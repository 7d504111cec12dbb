import io
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from minicnn.viz import Curve, Panel, error_curves

RELU = [[0.6, 0.4, 0.24, 0.2], [0.7, 0.5, 0.3, 0.22], [0.65, 0.45, 0.25, 0.2]]
TANH = [[0.8, 0.6, 0.5, 0.4], [0.8, 0.7, 0.6, 0.5], [0.9, 0.7, 0.6, 0.3]]


def two_panels() -> Figure:
    def panel(title: str, seeds: int) -> Panel:
        curves = [Curve("ReLU", RELU[:seeds], "#0000ff"), Curve("tanh", TANH[:seeds], "#ff0000", "--")]
        return Panel(title, "a note", curves)

    return error_curves([panel("raw", 3), panel("standardised", 1)], 0.25, "the title")


def line(axes: Axes, label: str) -> Line2D:
    (found,) = (found for found in axes.lines if found.get_label() == label)
    return found


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_solid_and_dashed_means_over_seeds_from_epoch_1() -> None:
    figure = two_panels()
    assert len(figure.axes) == 2
    relu, tanh = (line(figure.axes[0], label) for label in ("ReLU", "tanh"))
    np.testing.assert_array_equal(relu.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(relu.get_ydata(), np.mean(RELU, axis=0))
    np.testing.assert_allclose(tanh.get_ydata(), np.mean(TANH, axis=0))
    assert (relu.get_linestyle(), tanh.get_linestyle()) == ("-", "--")
    assert to_hex(str(relu.get_color())) == "#0000ff"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["ReLU", "tanh"]


def test_the_shade_spans_the_seeds_and_one_seed_has_none() -> None:
    several, single = two_panels().axes
    assert len(several.collections) == 2
    (shade,) = several.collections[0].get_paths()
    heights = np.asarray(shade.vertices)
    at_epoch_3 = heights[heights[:, 0] == 3, 1]
    assert (at_epoch_3.min(), at_epoch_3.max()) == (0.24, 0.3)
    assert not single.collections


def test_the_target_has_a_line_and_its_name() -> None:
    for axes in two_panels().axes:
        levels = [
            found for found in axes.lines if set(np.asarray(found.get_ydata())) == {0.25} and found.get_marker() != "o"
        ]
        assert len(levels) == 1
        assert "25 %" in texts(axes)


def test_the_crossings_stand_beside_the_curves() -> None:
    several, single = two_panels().axes
    assert {"ReLU: epochs 3, 3, 4", "tanh: > 4 epochs", "a note"} <= set(texts(several))
    assert {"ReLU: epoch 3", "tanh: > 4 epochs"} <= set(texts(single))
    (dots,) = (found for found in several.lines if found.get_marker() == "o")
    assert sorted(zip(*map(list, dots.get_data()), strict=True)) == [(3, 0.24), (3, 0.25), (4, 0.22)]


def test_text_stays_inside_the_picture_and_off_other_text() -> None:
    rng = np.random.default_rng(0)
    fast, slow = 0.7 * 0.86 ** np.arange(40), 0.8 * 0.97 ** np.arange(40)
    for length, steps in ((40, 1), (8, 4), (2, 1)):
        curves = [
            Curve(
                "ReLU", [list(fast[::steps][:length] + 0.01 * rng.random())] * 3, "b", detail=", learning rate 0.001"
            ),
            Curve("tanh", [list(slow[::steps][:length])], "r", "--", detail=", learning rate 0.01"),
        ]
        figure = error_curves([Panel("title", "note", curves)] * 2, 0.25)
        figure.savefig(io.BytesIO(), dpi=100)  # lays it out
        for axes in figure.axes:
            boxes = [text.get_window_extent() for text in axes.texts]
            for position, box in enumerate(boxes):
                assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
                assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
                assert not any(box.overlaps(other) for other in boxes[position + 1 :])


def test_runs_of_different_length_are_all_drawn_to_their_end() -> None:
    runs = [[0.6, 0.2], [0.6, 0.4, 0.3, 0.2]]
    (axes,) = error_curves([Panel("p", "", [Curve("ReLU", runs, "b")])], 0.25).axes
    np.testing.assert_allclose(line(axes, "ReLU").get_ydata(), [0.6, 0.3])
    assert [0.6, 0.4, 0.3, 0.2] in [list(np.asarray(found.get_ydata())) for found in axes.lines]
    assert "ReLU: epochs 2, 4" in texts(axes)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="panels"):
        error_curves([], 0.25)
    with pytest.raises(ValueError, match="panels"):
        error_curves([Panel("empty", "", [])], 0.25)
    with pytest.raises(ValueError, match="'ReLU': runs"):
        error_curves([Panel("p", "", [Curve("ReLU", [[0.5], []], "b")])], 0.25)


def test_pyplot_and_its_global_state_are_left_alone(tmp_path: Path) -> None:
    program = """
        import sys
        from minicnn.viz import Curve, Panel, error_curves, save_figure

        save_figure(error_curves([Panel("p", "", [Curve("c", [[0.5, 0.2]], "b")])], 0.25), sys.argv[1])
        print("matplotlib.pyplot" in sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "picture.svg")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "False"


def test_shares_have_a_panel_of_their_own_without_the_target() -> None:
    lines = [Curve("layer 1", [[0.5, 0.6], [0.7, 0.8]], "b"), Curve("layer 2", [[0.0, 0.0]], "r")]
    figure = error_curves([Panel("p", "", [Curve("ReLU", RELU, "b")])], 0.25, shares=Panel("shares", "a note", lines))
    errors, shares = figure.axes
    np.testing.assert_allclose(line(shares, "layer 1").get_ydata(), [0.6, 0.7])
    assert texts(shares) == ["a note"] and "25 %" in texts(errors)
    assert shares.get_ylim()[1] > 0.8 and errors.get_ylim()[1] < 0.8
    with pytest.raises(ValueError, match="'none': runs"):
        error_curves(
            [Panel("p", "", [Curve("ReLU", RELU, "b")])], 0.25, shares=Panel("s", "", [Curve("none", [], "b")])
        )


def test_the_legend_of_shares_stands_between_a_curve_at_the_top_and_the_others() -> None:
    rising = np.linspace(0.07, 0.48, 12)
    shares = [1 - rising[::-1] / 8, rising, rising / 4, rising / 11, rising / 2, rising / 3]
    names = [f"{inputs}, layer {number}" for inputs in ("raw", "standardised") for number in (1, 2, 3)]
    lines = [Curve(name, [list(each)], "b") for name, each in zip(names, shares, strict=True)]
    figure = error_curves([Panel("p", "", [Curve("ReLU", RELU, "b")])], 0.25, shares=Panel("shares", "a note", lines))
    figure.draw_without_rendering()
    axes = figure.axes[1]
    legend = axes.get_legend()
    assert legend is not None
    lowest, highest = (axes.transData.transform((1, share))[1] for share in (0.48, 0.97))
    assert lowest < legend.get_window_extent().y0 < legend.get_window_extent().y1 < highest
