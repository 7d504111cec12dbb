import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from PIL import Image

from minicnn import cli, nn, summary
from minicnn.model_summary import summary_of_config
from minicnn.viz import drawing

CONFIGS = [
    {"model": "alexnet"},
    {"model": "alexnet", "variant": "merged"},
    {"model": "alexnet", "variant": "article", "norm": "lrn"},
    {"model": "alexnet", "variant": "torchvision"},
    {"model": "alexnet_cifar"},
    {"model": "alexnet_cifar", "groups": 4, "depth": 3},
    {"model": "four_layer"},
    {"model": "lenet5", "in_size": 28, "in_channels": 1},
]


def polygons(figure: Figure) -> list[Polygon]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Polygon)]


def fronts(figure: Figure) -> list[tuple[str, float, float]]:
    """Colour, width and height of each box's front face, from left to right and from top to bottom."""
    found = []
    for polygon in polygons(figure):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = polygon.get_xy()[:4]
        if y0 == y1 and x1 == x2 and y2 == y3 and x3 == x0 and polygon.get_fill():
            found.append((x0, -y0, to_hex(polygon.get_facecolor()), x1 - x0, y2 - y1))
    return [(color, width, height) for _, _, color, width, height in sorted(found)]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_alexnets_boxes_are_to_scale() -> None:
    boxes = fronts(summary_of_config({"model": "alexnet"}).draw())
    blue, green, orange = (drawing.COLORS[kind] for kind in ("maps", "pool", "units"))
    assert [color for color, _, _ in boxes[1:]] == [
        kind for kind in [blue, green, blue, green, blue, blue, blue, green, orange, orange] for _ in range(2)
    ] + [orange]
    maps = [(width, height) for color, width, height in boxes if color in (blue, green)][::2]
    shapes = [(48, 55), (48, 27), (128, 27), (128, 13), (192, 13), (192, 13), (128, 13), (128, 6)]
    channel, pixel = maps[0][0] / 48, maps[0][1] / 55
    np.testing.assert_allclose(maps, [(channel * C, pixel * H) for C, H in shapes])
    assert boxes[0][2] == pytest.approx(227 * pixel)
    assert boxes[0][1] == pytest.approx(3 * channel)
    bars = [height for color, _, height in boxes if color == orange]
    np.testing.assert_allclose(np.array(bars) / bars[-1], [2.048] * 4 + [1])


def test_lines_from_tower_to_tower_stand_where_both_are_read() -> None:
    figure = summary_of_config({"model": "alexnet"}).draw()
    lines = [line for line in figure.axes[0].lines if to_hex(str(line.get_color())) == drawing.CROSSING]
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    columns = {name: places[name] for name in places if name[:2] in ("co", "po", "fc")}
    read_by = set()
    for line in lines:
        middle = np.mean(line.get_xdata())
        read_by.add(min((name for name in columns if columns[name] > middle), key=columns.__getitem__))
        assert np.ptp(line.get_ydata()) > 0.5
    assert read_by == {"conv3", "fc6", "fc7"}
    merged = summary_of_config({"model": "alexnet", "variant": "merged"}).draw()
    assert not [line for line in merged.axes[0].lines if to_hex(str(line.get_color())) == drawing.CROSSING]


def test_kernels_are_drawn_on_the_scale_of_what_they_read() -> None:
    figure = summary_of_config({"model": "alexnet"}).draw()
    frames = [polygon.get_xy()[:4] for polygon in polygons(figure) if not polygon.get_fill()]
    heights = sorted({round(float(corners[3][1] - corners[0][1]), 6) for corners in frames})
    pixel = drawing.TALLEST_MAP / 227
    np.testing.assert_allclose(heights, [3 * pixel, 5 * pixel, 11 * pixel], atol=1e-5)


def test_the_writing() -> None:
    written = texts(summary_of_config({"model": "alexnet", "in_size": 224}).draw())
    assert {"alexnet (paper)", "conv1", "2 of 48x55x55", "11x11x3\nstride 4\nReLU\nLRN"} <= set(written)
    assert {"224x224, padded", "3x227x227", "max 3x3\nstride 2", "2 of 2048", "ReLU\ndropout 0.5"} <= set(written)
    assert "average 2x2\nstride 2" in texts(summary_of_config({"model": "lenet5"}).draw())


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_text_stays_inside_the_picture_and_off_other_text(config: dict[str, object]) -> None:
    figure = summary_of_config(config).draw()
    figure.savefig(io.BytesIO(), dpi=80)  # lays it out
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    for position, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[position + 1 :])
    for polygon in polygons(figure):
        corners = polygon.get_xy()
        assert not any(box.overlaps(polygon.get_window_extent()) for box in boxes), corners


def test_a_network_without_convolutions_and_one_without_layers() -> None:
    boxes = fronts(summary(nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 5)), (1, 20)).draw())
    assert [round(height / boxes[0][2], 6) for _, _, height in boxes] == [1, 0.5, 0.25]
    with pytest.raises(ValueError, match="draw_network: layers must contain .* got ReLU, Dropout"):
        summary(nn.Sequential(nn.ReLU(), nn.Dropout()), (1, 20)).draw()
    with pytest.raises(ValueError, match="got nothing"):
        drawing.draw_network([])


def test_the_command_draws_svg_and_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.svg", "b.svg", "a.png"):
        assert cli.main(["draw", "alexnet", "--in-size", "224", "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert picture.size[0] > 1.5 * picture.size[1] > 600
    capsys.readouterr()
    assert cli.main(["draw", "alexnet", "--out", str(tmp_path / "a.bmpp")]) == 2
    assert cli.main(["draw", "lenet5", "--out", str(tmp_path / "nowhere" / "a.svg")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "bmpp" in errors[0]
