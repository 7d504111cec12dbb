"""Convolution seen: the last frame is the answer, and every frame on the way shows one window."""

import re
from typing import Any

import numpy as np
import pytest
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes

import minicnn
from minicnn import Tensor
from minicnn import functional as F
from minicnn.viz import animate_col2im, animate_im2col

RNG = np.random.default_rng(5)
CASES = [((4, 5), (2, 3), 1, 0), ((5, 4), (3, 3), 2, 1), ((3, 6), (3, 2), (1, 2), (0, 1))]


def board(animation: FuncAnimation, title: str) -> Axes:
    (found,) = [axes for axes in animation._fig.axes if axes.get_title("left").startswith(title)]
    return found


def numbers(animation: FuncAnimation, title: str) -> Any:
    return board(animation, title).images[0].get_array()


def frame(animation: FuncAnimation, title: str) -> tuple[float, float, float, float] | None:
    """Top, left, height and width of the red frame."""
    (border,) = board(animation, title).patches
    if not border.get_visible():
        return None
    return border.get_y() + 0.5, border.get_x() + 0.5, border.get_height(), border.get_width()


def show(animation: FuncAnimation, number: int) -> None:
    animation._func(number)
    animation._draw_was_started = True  # it is looked at in another way


def convolved(image: Any, kernel: Any, stride: Any, padding: Any) -> tuple[np.ndarray, Tensor, Tensor]:
    x = Tensor(np.asarray(image, np.float64)[None, None], requires_grad=True)
    y = F.conv2d(x, Tensor(np.asarray(kernel, np.float64)[None, None]), stride=stride, padding=padding)
    return y.data[0, 0], x, y


@pytest.mark.parametrize(("shape", "window", "stride", "padding"), CASES)
def test_the_last_frame_of_im2col_is_the_convolution(shape: Any, window: Any, stride: Any, padding: Any) -> None:
    image, kernel = RNG.standard_normal(shape), RNG.standard_normal(window)
    expected, _, _ = convolved(image, kernel, stride, padding)
    animation = animate_im2col(image, kernel, stride, padding)
    show(animation, expected.size)
    np.testing.assert_allclose(numbers(animation, "the output"), expected)
    np.testing.assert_allclose(numbers(animation, "row times X").ravel(), expected.ravel())
    assert not np.ma.getmaskarray(numbers(animation, "X:")).any()
    assert frame(animation, "X:") is None and len(list(animation.new_frame_seq())) == expected.size + 1


def test_each_frame_of_im2col_is_one_window() -> None:
    image, kernel = RNG.standard_normal((4, 5)), RNG.standard_normal((2, 3))
    animation = animate_im2col(image, kernel, (2, 1), (0, 1))
    padded = np.pad(image, ((0, 0), (1, 1)))
    for number, (top, left) in enumerate([(row, column) for row in (0, 2) for column in range(5)]):
        show(animation, number)
        assert frame(animation, "the picture") == (top, left, 2, 3)
        assert frame(animation, "X:") == (0, number, 6, 1)
        assert frame(animation, "the output") == (number // 5, number % 5, 1, 1)
        columns = numbers(animation, "X:")
        np.testing.assert_array_equal(columns[:, number], padded[top : top + 2, left : left + 3].ravel())
        hidden = np.ma.getmaskarray(columns)
        assert hidden[:, number + 1 :].all() and not hidden[:, : number + 1].any()
        assert np.ma.getmaskarray(numbers(animation, "the output")).sum() == 9 - number
        written = [text for text in board(animation, "the output").texts if text.get_visible()]
        assert len(written) == number + 1


@pytest.mark.parametrize(("shape", "window", "stride", "padding"), CASES)
def test_the_last_frame_of_col2im_is_the_gradient(shape: Any, window: Any, stride: Any, padding: Any) -> None:
    kernel = RNG.standard_normal(window)
    y, x, output = convolved(np.zeros(shape), kernel, stride, padding)
    gradient = RNG.standard_normal(y.shape)
    output.backward(gradient[None, None])
    animation = animate_col2im(gradient, kernel, shape, stride, padding)
    show(animation, y.size)
    PH, PW = padding if isinstance(padding, tuple) else (padding, padding)
    shown = np.asarray(numbers(animation, "dL/dx"))
    np.testing.assert_allclose(shown[PH : PH + shape[0], PW : PW + shape[1]], x.grad[0, 0])
    assert shown.shape == (shape[0] + 2 * PH, shape[1] + 2 * PW)


def test_overlapping_windows_add_up_one_by_one() -> None:
    animation = animate_col2im(np.array([[1.0, 10.0]]), np.array([[1.0, 2.0, 3.0]]), (1, 4))
    show(animation, 0)
    np.testing.assert_array_equal(numbers(animation, "dL/dx"), [[1, 2, 3, 0]])
    assert frame(animation, "dL/dx") == (0, 0, 1, 3) and frame(animation, "dL/dy as a row") == (0, 0, 1, 1)
    show(animation, 1)
    np.testing.assert_array_equal(numbers(animation, "dL/dx"), [[1, 12, 23, 30]])
    assert [text.get_text() for text in board(animation, "dL/dx").texts] == ["1", "12", "23", "30"]
    show(animation, 2)
    assert frame(animation, "dL/dx") is None


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_they_play_in_a_static_page(kernels: str) -> None:
    if kernels == "numba":
        pytest.importorskip("numba")
    with minicnn.use_kernels(kernels):
        for animation in (
            animate_im2col(np.eye(3), np.ones((2, 2))),
            animate_col2im(np.ones((1, 2)), np.ones((3, 2)), (3, 3)),
        ):
            page = animation.to_jshtml()
            frames = len(list(animation.new_frame_seq()))
            assert len(re.findall(r"frames\[\d+\] = .data:image/png;base64", page)) == frames > 2
            assert len(page) < 1e6
            assert not re.search(r"https?://|<i class", page)  # no signs from the network on its buttons
            buttons = re.findall(r"<button [^>]*>([^<]*)</button>", page)
            assert len(buttons) == 9 and all(sign.strip() for sign in buttons)
            assert f'<img alt="{animation._fig.get_suptitle()}"' in page
            assert re.search(r'value="once" id="[^"]*"\s+checked', page)
            assert animation._repr_html_() == page


def test_what_cannot_be_shown() -> None:
    image, kernel = np.ones((4, 4)), np.ones((2, 2))
    for arguments, message in (
        ((np.ones((3, 4, 4)), kernel), r"image must be numbers of shape \(height, width\), got \(3, 4, 4\)"),
        ((image, np.ones((0, 2))), r"kernel must be numbers of shape \(height, width\), got \(0, 2\)"),
        ((image, np.ones((5, 2))), r"kernel must not be larger than the image of shape \(4, 4\) .*, got \(5, 2\)"),
        ((image, kernel, 0), "animate_im2col: stride must be at least 1, got 0"),
        ((image, kernel, 1, -1), "animate_im2col: padding must be at least 0, got -1"),
        ((np.ones((20, 20)), kernel), "the convolution must have at most 256 windows, got 361"),
    ):
        with pytest.raises(ValueError, match=message):
            animate_im2col(*arguments)
    with pytest.raises(ValueError, match=r"grad_output must have the output's shape \(3, 3\), got \(2, 3\)"):
        animate_col2im(np.ones((2, 3)), kernel, (4, 4))
    with pytest.raises(TypeError, match="animate_im2col: stride must be an integer or a pair"):
        animate_im2col(image, kernel, "1")  # type: ignore[arg-type]
