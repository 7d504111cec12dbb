"""Saliency, on networks that are made to look at one place and nowhere else."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from minicnn import models, nn
from minicnn.viz import draw_saliency, gradient_saliency, occlusion_saliency

TOP, LEFT, SIDE = 5, 9, 3  # the place


def looking_at_the_place() -> nn.Sequential:
    """Class 1 is the more likely, the more green there is in the place; class 0 does not depend on the picture."""
    weight = np.zeros((2, 3, 16, 16), np.float32)
    weight[1, 1, TOP : TOP + SIDE, LEFT : LEFT + SIDE] = 0.5
    linear = nn.Linear(3 * 16 * 16, 2)
    linear.load_state_dict({"weight": weight.reshape(2, -1), "bias": np.zeros(2, np.float32)})
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.9), linear)


def in_the_place() -> np.ndarray:
    place = np.zeros((16, 16), bool)
    place[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = True
    return place


IMAGE = np.ones((3, 16, 16), np.float32)


def test_the_gradient_finds_the_place() -> None:
    found = gradient_saliency(looking_at_the_place(), IMAGE, 1)
    np.testing.assert_allclose(found, 0.5 * in_the_place())
    assert not gradient_saliency(looking_at_the_place(), IMAGE, 0).any()


def test_the_gradient_is_the_largest_of_the_colours_without_its_sign(rng: np.random.Generator) -> None:
    linear = nn.Linear(3 * 4 * 4, 5)
    found = gradient_saliency(nn.Sequential(nn.Flatten(), linear), IMAGE[:, :4, :4], 3)
    np.testing.assert_allclose(found, np.abs(linear.weight.data[3].reshape(3, 4, 4)).max(axis=0))


def test_covering_finds_the_place() -> None:
    found = occlusion_saliency(looking_at_the_place(), IMAGE, 1, window=3, stride=1)
    assert np.unravel_index(found.argmax(), found.shape) == (TOP + 1, LEFT + 1)
    far = np.ones((16, 16), bool)
    far[TOP - 2 : TOP + SIDE + 2, LEFT - 2 : LEFT + SIDE + 2] = False
    assert not found[far].any() and (found[in_the_place()] > 0).all()
    against = occlusion_saliency(looking_at_the_place(), IMAGE, 0, window=3, stride=1)
    np.testing.assert_allclose(against, -found, atol=1e-6)  # two probabilities: one's loss is the other's gain


def test_what_is_lost_is_probability() -> None:
    """Covering the place leaves scores of 0 and 0 instead of 0 and 4.5."""
    found = occlusion_saliency(looking_at_the_place(), IMAGE, 1, window=16)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-4.5)) - 0.5, rtol=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(3, 2), (5, 3), (7, 7), (4, 1), (None, None)])
def test_every_pixel_is_covered(window: int | None, stride: int | None) -> None:
    image = np.ones((3, 17, 16), np.float32)

    class Mean(nn.Module):
        def forward(self, input: object) -> object:
            return nn.Flatten()(input)[:, :2] * 0  # type: ignore[index]

    found = occlusion_saliency(Mean(), image, 0, window, stride)
    assert found.shape == (17, 16) and not found.any()  # and no NaN


def test_nothing_of_the_network_is_changed() -> None:
    network = looking_at_the_place()
    network[2].bias.requires_grad = False
    network[2].weight.grad = np.ones_like(network[2].weight.data)
    before = IMAGE.copy()
    gradient_saliency(network, IMAGE, 1)
    occlusion_saliency(network, IMAGE, 1)
    assert network.training and network[1].training
    assert network[2].weight.requires_grad and not network[2].bias.requires_grad
    assert (network[2].weight.grad == 1).all()
    np.testing.assert_array_equal(IMAGE, before)
    assert gradient_saliency(models.lenet5(), np.ones((3, 32, 32), np.float32), 0).shape == (32, 32)


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="window must be from 1 to 16, got 17"):
        occlusion_saliency(looking_at_the_place(), IMAGE, 1, window=17)
    with pytest.raises(ValueError, match="stride must be from 1 to the window's 3, got 4"):
        occlusion_saliency(looking_at_the_place(), IMAGE, 1, window=3, stride=4)


def drawn(gradient: np.ndarray, occlusion: np.ndarray) -> Figure:
    return draw_saliency(np.full((16, 16, 3), 128, np.uint8), gradient, occlusion, "the title")


def test_three_panels_and_two_bars() -> None:
    lost = np.where(in_the_place(), -0.3, 0.1)
    figure = drawn(in_the_place() * 2.0, lost)
    picture, gradient, occlusion, *bars = figure.axes
    assert len(bars) == 2 and figure.get_suptitle() == "the title"
    assert [axes.get_title("left").strip() for axes in (picture, gradient, occlusion)] == [
        *("the picture", "gradient", "occlusion")
    ]
    np.testing.assert_allclose(gradient.images[0].get_array(), in_the_place())
    under, over = occlusion.images
    assert under.get_cmap().name == "gray"
    np.testing.assert_array_equal(over.get_array(), lost)
    assert over.get_clim() == (-0.3, 0.3)  # zero in the middle


def test_a_network_that_does_not_care_is_drawn_too() -> None:
    figure = drawn(np.zeros((16, 16)), np.zeros((16, 16)))
    assert not np.asarray(figure.axes[1].images[0].get_array()).any()
