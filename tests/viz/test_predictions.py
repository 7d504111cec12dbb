import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from minicnn.viz import draw_predictions
from minicnn.viz.predictions import OTHER, RIGHT

NAMES = [f"class {number}" for number in range(7)]
LIKELY = np.array([[0.1, 0.5, 0.05, 0.2, 0.0, 0.15, 0.0], [0.001, 0, 0, 0, 0, 0, 0.999], [1 / 7] * 7])
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)


def bars(axes: Axes) -> list[tuple[str, float, str]]:
    """Name, length and colour of each bar from the top down."""
    drawn = sorted(axes.patches, key=lambda bar: bar.get_y())  # type: ignore[attr-defined]
    names = [text.get_text() for text in axes.texts if text.get_ha() == "left"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # downwards
    return [
        (name, round(bar.get_width(), 6), to_hex(bar.get_facecolor())) for name, bar in zip(names, drawn, strict=True)
    ]


def test_the_five_likeliest_from_the_top_down() -> None:
    figure = draw_predictions(IMAGES, NAMES, LIKELY, [3, None, 6], ["", "holiday.jpg", ""])
    assert len(figure.axes) == 2 * 3
    first, second, third = figure.axes[1::2]
    assert bars(first) == [
        *(("class 1", 0.5, OTHER), ("class 3", 0.2, RIGHT), ("class 5", 0.15, OTHER)),
        *(("class 0", 0.1, OTHER), ("class 2", 0.05, OTHER)),
    ]
    assert [bar[0] for bar in bars(second)][:2] == ["class 6", "class 0"]
    assert {bar[2] for bar in bars(second)} == {OTHER}  # nobody knows what is right
    assert {bar[2] for bar in bars(third)} == {OTHER}  # the right one is not among the five
    percents = [text.get_text() for text in second.texts if text.get_ha() == "right"]
    assert percents[:2] == ["100 %", "<1 %"]
    assert [axes.get_title() for axes in figure.axes[::2]] == ["class 3", "holiday.jpg", "class 6"]
    for image, axes in zip(IMAGES, figure.axes[::2], strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image.transpose(1, 2, 0))
    assert "the right class" in [text.get_text() for text in figure.texts]


def test_few_classes_and_many_pictures() -> None:
    for count in (1, 4, 5, 9):
        figure = draw_predictions([IMAGES[0]] * count, NAMES[:2], np.full((count, 2), 0.5))
        assert len(figure.axes) == 2 * count
        assert all(len(axes.patches) == 2 for axes in figure.axes[1::2])
        assert not figure.texts  # no legend where nothing is known
        for axes in figure.axes:
            box = axes.get_position()
            assert 0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1
        corners = [axes.get_position().p0.round(3).tolist() for axes in figure.axes]
        assert len({tuple(corner) for corner in corners}) == 2 * count  # none on top of another


def test_what_does_not_fit_together_is_refused() -> None:
    for images, likely, truths in ((IMAGES[:0], LIKELY[:0], None), (IMAGES, LIKELY[:2], None), (IMAGES, LIKELY, [1])):
        with pytest.raises(ValueError, match="draw_predictions: "):
            draw_predictions(images, NAMES, likely, truths)
    with pytest.raises(ValueError, match=r"need probabilities of shape \(3, 6\)"):
        draw_predictions(IMAGES, NAMES[:6], LIKELY)
