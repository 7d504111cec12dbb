"""Lesson 02, convolution."""

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]

_rng = np.random.default_rng(2)


# --- the output's size ----------------------------------------------------------------------------------------


def conv_output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return the number of windows along one side."""
    return (size + 2 * padding - kernel) // stride + 1


output_size = Exercise(
    lesson=2,
    task="Return how many windows of `kernel` pixels fit along a side of `size` pixels with padding on both ends.",
    solution=conv_output_size,
    cases=[(7, 3, 2, 1), (5, 3, 1, 0), (8, 3, 2, 0), (227, 11, 4, 0), (224, 11, 4, 0), (224, 11, 4, 2), (27, 5, 1, 2)],
    mistakes=[
        Mistake(
            "the padding is counted on one side only",
            "Zeros are added on each side. By how many numbers does the row grow?",
            lambda size, kernel, stride, padding: (size + padding - kernel) // stride + 1,
        ),
        Mistake(
            "the first window is not counted",
            "The division counts the steps from window to window. How many windows are there after zero steps?",
            lambda size, kernel, stride, padding: (size + 2 * padding - kernel) // stride,
        ),
        Mistake(
            "the division is not rounded",
            "There are no half windows. Which operator divides and rounds down?",
            lambda size, kernel, stride, padding: (size + 2 * padding - kernel) / stride + 1,
        ),
        Mistake(
            "rounded up",
            "A last step that does not fit completely is not taken: the window would extend beyond the edge.",
            lambda size, kernel, stride, padding: -(-(size + 2 * padding - kernel) // stride) + 1,
        ),
        Mistake(
            "the 1 is added before the division",
            "The 1 stands for the first window, and a window is not divided by the stride.",
            lambda size, kernel, stride, padding: (size + 2 * padding - kernel + 1) // stride,
        ),
    ],
)


# --- the bias's gradient --------------------------------------------------------------------------------------


def conv_bias_gradient(grad_y: Numbers) -> Numbers:
    """Return dL/db."""
    return np.asarray(grad_y.sum(axis=(0, 2, 3)))


bias_gradient = Exercise(
    lesson=2,
    task="Return dL/db, shape (F,), from grad_y = dL/dy of shape (N, F, OH, OW).",
    solution=conv_bias_gradient,
    cases=[
        (np.arange(1.0, 25.0).reshape(2, 3, 2, 2),),
        (_rng.normal(size=(5, 2, 3, 4)),),
        (_rng.normal(size=(3, 3, 3, 3)),),
    ],
    mistakes=[
        Mistake(
            "everything is summed into one number",
            "Each filter has its own bias. Over which axes is one bias added?",
            lambda grad_y: grad_y.sum(),
        ),
        Mistake(
            "not summed over the images",
            "There is one bias for all images of the batch, so their gradients add up as well.",
            lambda grad_y: grad_y.sum(axis=(2, 3)),
        ),
        Mistake(
            "summed within each image, over all of its filters",
            "Axis 0 is the image and axis 1 the filter. Which of them must be left at the end?",
            lambda grad_y: grad_y.sum(axis=(1, 2, 3)),
        ),
        Mistake(
            "not summed over the places",
            "The same bias is added at every place of the map. What happens to all their gradients?",
            lambda grad_y: grad_y.sum(axis=0),
        ),
        Mistake(
            "the mean instead of the sum",
            "If the bias rises by 1, every output rises by 1. By how much does the loss change in total?",
            lambda grad_y: grad_y.mean(axis=(0, 2, 3)),
        ),
    ],
)


# --- im2col ---------------------------------------------------------------------------------------------------


def _places(shape: tuple[int, ...], KH: int, KW: int, stride: int) -> list[tuple[int, int]]:
    """Return each window's top and left, row by row."""
    H, W = shape
    return [(top, left) for top in range(0, H - KH + 1, stride) for left in range(0, W - KW + 1, stride)]


def im2col_one_channel(x: Numbers, KH: int, KW: int, stride: int) -> Numbers:
    """Return the windows as columns."""
    return _columns(x, KH, KW, _places(x.shape, KH, KW, stride))


def _columns(x: Numbers, KH: int, KW: int, places: list[tuple[int, int]]) -> Numbers:
    return np.stack([x[top : top + KH, left : left + KW].reshape(-1) for top, left in places], axis=1)


def _windows_as_rows(x: Numbers, KH: int, KW: int, stride: int) -> Numbers:
    return im2col_one_channel(x, KH, KW, stride).T


def _without_strides(x: Numbers, KH: int, KW: int, stride: int) -> Numbers:
    """Return the right number of columns, but of windows that move by one pixel."""
    places = _places(x.shape, KH, KW, stride)
    return _columns(x, KH, KW, [(top // stride, left // stride) for top, left in places])


def _window_by_columns(x: Numbers, KH: int, KW: int, stride: int) -> Numbers:
    places = _places(x.shape, KH, KW, stride)
    return np.stack([x[top : top + KH, left : left + KW].T.reshape(-1) for top, left in places], axis=1)


def _down_first(x: Numbers, KH: int, KW: int, stride: int) -> Numbers:
    return _columns(x, KH, KW, sorted(_places(x.shape, KH, KW, stride), key=lambda place: place[1]))


def _last_windows_missing(x: Numbers, KH: int, KW: int, stride: int) -> Numbers:
    OH, OW = (x.shape[0] - KH) // stride, (x.shape[1] - KW) // stride
    return _columns(x, KH, KW, [(oh * stride, ow * stride) for oh in range(OH) for ow in range(OW)])


PICTURE = np.array([[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 3.0, 1.0], [2.0, 1.0, 0.0, 0.0], [1.0, 0.0, 2.0, 1.0]])

im2col = Exercise(
    lesson=2,
    task="Return the windows of the image x, shape (H, W), as the columns of a matrix (KH * KW, OH * OW).",
    solution=im2col_one_channel,
    cases=[
        (PICTURE, 2, 2, 1),
        (PICTURE, 2, 2, 2),
        (_rng.normal(size=(5, 7)).round(2), 2, 3, 2),
        (_rng.normal(size=(6, 5)).round(2), 3, 2, 1),
    ],
    mistakes=[
        Mistake(
            "the windows are rows",
            "A window becomes a column here: the matrix has KH * KW rows. Which index of X is the window's number?",
            _windows_as_rows,
        ),
        Mistake(
            "the windows move by one, whatever the stride is",
            "The number of windows is right. But where does window (1, 1) start if the stride is 2?",
            _without_strides,
        ),
        Mistake(
            "each window is read column by column",
            "A window is read like text: its top row from left to right, then the next row.",
            _window_by_columns,
        ),
        Mistake(
            "the windows are ordered from top to bottom first",
            "The second column of X is the window to the right of the first one, not the one below it.",
            _down_first,
        ),
        Mistake(
            "the last row and column of windows are missing",
            "(H - KH) / stride counts the steps. How many windows are there after that many steps?",
            _last_windows_missing,
        ),
    ],
)


# --- col2im ---------------------------------------------------------------------------------------------------


def col2im_one_channel(columns: Numbers, H: int, W: int, KH: int, KW: int, stride: int) -> Numbers:
    """Return the sum of the columns, each at its window's place."""
    return _added(columns, _places((H, W), KH, KW, stride), H, W, KH, KW)


def _added(columns: Numbers, places: list[tuple[int, int]], H: int, W: int, KH: int, KW: int) -> Numbers:
    picture = np.zeros((H, W))
    for column, (top, left) in zip(columns.T, places, strict=True):
        picture[top : top + KH, left : left + KW] += column.reshape(KH, KW)
    return picture


def _overwrites(columns: Numbers, H: int, W: int, KH: int, KW: int, stride: int) -> Numbers:
    picture = np.zeros((H, W))
    for column, (top, left) in zip(columns.T, _places((H, W), KH, KW, stride), strict=True):
        picture[top : top + KH, left : left + KW] = column.reshape(KH, KW)
    return picture


def _averages(columns: Numbers, H: int, W: int, KH: int, KW: int, stride: int) -> Numbers:
    seen = col2im_one_channel(np.ones_like(columns), H, W, KH, KW, stride)
    return col2im_one_channel(columns, H, W, KH, KW, stride) / np.maximum(seen, 1)


def _added_without_strides(columns: Numbers, H: int, W: int, KH: int, KW: int, stride: int) -> Numbers:
    places = [(top // stride, left // stride) for top, left in _places((H, W), KH, KW, stride)]
    return _added(columns, places, H, W, KH, KW)


def _turned(columns: Numbers, H: int, W: int, KH: int, KW: int, stride: int) -> Numbers:
    return col2im_one_channel(columns[::-1], H, W, KH, KW, stride)


def _added_down_first(columns: Numbers, H: int, W: int, KH: int, KW: int, stride: int) -> Numbers:
    places = sorted(_places((H, W), KH, KW, stride), key=lambda place: place[1])
    return _added(columns, places, H, W, KH, KW)


col2im = Exercise(
    lesson=2,
    task="Return an image (H, W) in which every column of (KH * KW, OH * OW) is added where its window was.",
    solution=col2im_one_channel,
    cases=[
        (np.arange(1.0, 17.0).reshape(4, 4), 3, 3, 2, 2, 1),
        (_rng.normal(size=(6, 6)).round(2), 5, 7, 2, 3, 2),
        (_rng.normal(size=(6, 9)).round(2), 5, 4, 3, 2, 1),
        (_rng.normal(size=(9, 6)).round(2), 6, 7, 3, 3, 2),
    ],
    mistakes=[
        Mistake(
            "a column overwrites the ones before it",
            "How many windows contain the middle pixel? All of them contribute to its gradient.",
            _overwrites,
        ),
        Mistake(
            "overlapping windows are averaged",
            "Every window that contains a pixel passes its change on to the loss. What happens to these effects "
            "together?",
            _averages,
        ),
        Mistake(
            "the windows move by one, whatever the stride is",
            "Where does window (1, 1) start if the stride is 2?",
            _added_without_strides,
        ),
        Mistake(
            "each window is rotated by 180 degrees",
            "The rotated filter belongs to the other method, the gradient as a convolution. col2im adds every number "
            "to the pixel that im2col took it from.",
            _turned,
        ),
        Mistake(
            "the windows are ordered from top to bottom first",
            "The second column belongs to the window to the right of the first one, not to the one below it.",
            _added_down_first,
        ),
    ],
)

EXERCISES = [output_size, bias_gradient, im2col, col2im]
