import numpy as np
import pytest

from minicnn import models, nn
from minicnn.viz import draw_filters, first_filters
from minicnn.viz.mosaic import mosaic


def sheets(weight: np.ndarray, towers: int = 1) -> list[np.ndarray]:
    """What is drawn in each pair of axes."""
    return [np.asarray(axes.images[0].get_array()) for axes in draw_filters(weight, towers).axes]


def test_a_mosaic_fills_rows_from_the_left() -> None:
    tiles = np.arange(5.0)[:, None, None] + np.zeros((5, 2, 3))
    sheet = mosaic(tiles, 3, gap=1)
    assert sheet.shape == (2 * 3 - 1, 3 * 4 - 1)
    assert [sheet[0, 0], sheet[1, 4], sheet[0, 10], sheet[3, 2], sheet[4, 4]] == [0, 1, 2, 3, 4]
    assert np.isnan(sheet[2]).all() and np.isnan(sheet[:, 3]).all() and np.isnan(sheet[3:, 8:]).all()
    coloured = mosaic(np.zeros((2, 2, 2, 3)), 2)
    assert coloured.shape == (2, 5, 3)
    assert (coloured[:, 2] == 1).all() and (coloured[:, :2] == 0).all()


def test_the_papers_96_filters_lie_in_two_towers_of_three_rows() -> None:
    weight = np.random.default_rng(0).standard_normal((96, 3, 11, 11))
    figure = draw_filters(weight, 2, "the title")
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "tower 1: 48 filters of 11x11",
        "tower 2: 48 filters of 11x11",
    ]
    assert figure.get_suptitle() == "the title"
    first, second = sheets(weight, 2)
    assert first.shape == second.shape == (3 * 12 - 1, 16 * 12 - 1, 3)
    # filter 17 is the second one in the second row of the first tower, 48 begins the second tower
    for sheet, number, top, left in ((first, 17, 12, 12), (second, 48, 0, 0)):
        expected = 0.5 + 0.5 * weight[number] / np.abs(weight[number]).max()
        np.testing.assert_allclose(sheet[top : top + 11, left : left + 11], expected.transpose(1, 2, 0))
    for axes in figure.axes:  # squares remain squares
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(191 / 35, rel=0.01)


def test_each_filter_is_scaled_by_itself_about_grey() -> None:
    weight = np.zeros((3, 1, 2, 2))
    weight[0, 0, 0, 0], weight[1, 0, 1, 1] = -1e-6, 1e6
    (sheet,) = sheets(weight)
    assert sheet.shape == (2, 8, 3)  # a grey filter has three equal colours
    assert sheet[0, 0].tolist() == [0, 0, 0] and sheet[1, 4].tolist() == [1, 1, 1]
    assert (sheet[:, 6:] == 0.5).all()  # a filter of zeros


def test_the_first_filters_and_the_towers_of_a_network() -> None:
    network = models.alexnet_cifar(groups=2)
    weight, towers = first_filters(network)
    assert weight.shape == (48, 3, 5, 5) and towers == 2
    np.testing.assert_array_equal(weight, network.conv1.weight.data)
    assert first_filters(models.four_layer())[1] == 1


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weight must have shape \(F, 1 or 3, KH, KW\), got \(4, 2, 3, 3\)"):
        draw_filters(np.zeros((4, 2, 3, 3)))
    with pytest.raises(ValueError, match="towers must divide the 4 filters, got 3"):
        draw_filters(np.zeros((4, 3, 3, 3)), 3)
    with pytest.raises(ValueError, match="must have a Conv2d, got Sequential"):
        first_filters(nn.Sequential(nn.Linear(2, 2)))
