import numpy as np
import pytest

from minicnn import Tensor, models, nn, no_grad
from minicnn.viz import Layer, draw_features, feature_maps

PICTURE = np.zeros((8, 8, 3))


def labels(axes: object) -> list[str]:
    return [text.get_text() for text in axes.texts]  # type: ignore[attr-defined]


def test_the_maps_are_what_the_layers_compute(rng: np.random.Generator) -> None:
    network = models.build({"model": "alexnet_cifar", "groups": 2})
    image = rng.standard_normal((3, 28, 28), dtype=np.float32)
    found = feature_maps(network, image)
    names = [layer.name for layer in found]
    assert names[:5] == ["conv1", "relu1", "norm1", "pool1", "conv2"] and names[-3:] == ["fc7", "relu7", "fc8"]
    assert not {"flatten", "drop6", "drop7"} & set(names)
    assert network.training  # as before
    with no_grad():
        scores = network.eval()(image[None]).data[0]
        np.testing.assert_array_equal(found[-1].output, scores)
        np.testing.assert_array_equal(found[4].output, network[:5](image[None]).data[0])
    assert [layer.name for layer in found if layer.begins] == [
        *(f"conv{number}" for number in range(1, 6)),
        *("fc6", "fc7", "fc8"),
    ]


def test_layers_inside_layers() -> None:
    network = nn.Sequential(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()), nn.Flatten(), nn.Linear(2 * 36, 3))
    assert [layer.name for layer in feature_maps(network, np.ones((3, 8, 8), np.float32))] == ["0.0", "0.1", "2"]
    with pytest.raises(TypeError, match="must be a Sequential, got a ReLU"):
        feature_maps(nn.ReLU(), np.ones((3, 8, 8), np.float32))  # type: ignore[arg-type]


class Twice(nn.Module):
    """A layer that declares nothing about itself."""

    def __init__(self, factor: Tensor | None = None) -> None:
        super().__init__()
        if factor is not None:
            self.factor = nn.Parameter(factor)

    def forward(self, input: Tensor) -> Tensor:
        return input * 2


def test_which_layers_begin_and_which_are_left_out_follows_from_the_layers_themselves() -> None:
    layers = [
        nn.PadTo(8),
        nn.Conv2d(3, 2, 3),
        Twice(),
        nn.Sequential(nn.Dropout()),
        Twice(Tensor([1.0])),
        nn.Flatten(2),
    ]
    found = feature_maps(nn.Sequential(*layers), np.ones((3, 7, 7), np.float32))
    assert [(layer.name, layer.begins) for layer in found] == [("1", True), ("2", False), ("4", True)]


def maps(*strengths: float, size: int = 24) -> np.ndarray:
    """A map for each number, which is the largest in it."""
    output = np.zeros((len(strengths), size, size))
    output[:, 1, 2] = strengths
    return output


def test_the_strongest_maps_are_shown_and_followed_until_the_next_convolution() -> None:
    layers = [
        Layer("conv1", maps(1, 5, 2, 4), True),
        Layer("relu1", maps(9, 0, 9, 3), False),
        Layer("conv2", maps(0.5, 8, 7), True),
    ]
    figure = draw_features(layers, PICTURE, maps=2)
    assert len(figure.axes) == 1 + 3
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes[1:]]
    assert [sheet.shape for sheet in shown] == [(24, 24 + 1 + 24)] * 3
    assert [(sheet[1, 2], sheet[1, 27]) for sheet in shown] == [(5, 4), (0, 3), (8, 7)]
    assert labels(figure.axes[1]) == ["conv1", "4x24x24, 2 shown"]


def test_towers_show_their_shares_side_by_side() -> None:
    figure = draw_features([Layer("conv1", maps(1, 9, 8, 2, 3, 4), True)], PICTURE, maps=4, towers=2)
    sheet = np.asarray(figure.axes[1].images[0].get_array())
    assert sheet.shape == (24, 4 * 24 + 2 + 3)
    assert [sheet[1, left + 2] for left in (0, 25, 52, 77)] == [9, 8, 3, 4]
    assert np.ma.getmaskarray(figure.axes[1].images[0].get_array())[:, 49:52].all()
    assert [text.get_text() for text in figure.texts] == ["tower 1", "tower 2"]


def test_the_scale_says_whether_there_are_negative_numbers() -> None:
    layers = [
        Layer("conv1", -maps(3, 1), True),
        Layer("relu1", maps(0, 2), False),
        Layer("fc", np.array([-1.0, 4]), True),
    ]
    figure = draw_features(layers, PICTURE, outputs=["cat", "dog"])
    signed, plain, units = (axes.images[0] for axes in figure.axes[1:])
    assert (signed.get_cmap().name, signed.get_clim()) == ("RdBu_r", (-3, 3))
    assert (plain.get_cmap().name, plain.get_clim()) == ("gray", (0, 2))
    assert units.get_clim() == (-4, 4)
    assert labels(figure.axes[3]) == ["cat", "dog", "fc", "2 values"]


def test_numbers_become_a_strip_in_their_order() -> None:
    for count, rows in ((10, 1), (84, 2), (512, 4), (4096, 16), (1009, 1)):
        figure = draw_features([Layer("fc", np.arange(count, dtype=float), True)], PICTURE, outputs=["x"] * count)
        sheet = np.asarray(figure.axes[1].images[0].get_array())
        assert sheet.shape == (rows, count // rows)
        np.testing.assert_array_equal(sheet.ravel(), np.arange(count))
        assert len(labels(figure.axes[1])) == (12 if count == 10 else 2)


def test_small_maps_lie_as_close_as_large_ones() -> None:
    for size in (1, 3, 7, 55):
        figure = draw_features([Layer("pool", maps(*range(16), size=max(size, 3))[:, :size, :size], True)], PICTURE)
        rows, columns = np.asarray(figure.axes[1].images[0].get_array()).shape
        assert 0.03 < (columns - 16 * rows) / 15 / rows < 0.08


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one layer"):
        draw_features([], PICTURE)
    with pytest.raises(ValueError, match="at least 1 for each of the 2 towers, got 1"):
        draw_features([Layer("conv1", maps(1, 2), True)], PICTURE, maps=1, towers=2)
