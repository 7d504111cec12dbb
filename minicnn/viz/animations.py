"""Animated convolution: im2col writes each window as a column, and col2im adds the columns up again."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from minicnn import kernels
from minicnn.arguments import pair
from minicnn.viz.mosaic import frameless
from minicnn.viz.style import FAINT, INK

__all__ = ["Playable", "animate_col2im", "animate_im2col"]

MAX_WINDOWS = 256  # one frame each: with more, the images of a page would take tens of megabytes
NUMBERED = 10  # the largest number of cells side by side with room for numbers
LIT = "#d0021b"
Pair = tuple[int, int]

# The icons of matplotlib's buttons, which a page would fetch from the network, and a character for each.
SIGNS = {
    "minus": "\u2212",
    "fast-backward": "|\u25c0\ufe0e",
    "step-backward": "\u2190",
    "play fa-flip-horizontal": "\u25c0\ufe0e",
    "pause": "||",
    "play": "\u25b6\ufe0e",
    "step-forward": "\u2192",
    "fast-forward": "\u25b6\ufe0e|",
    "plus": "+",
}
ON_A_PHONE = """
.animation, .animation img, input[type=range].anim-slider { max-width: 100%; }
.animation img { height: auto; }
.anim-buttons { display: flex; flex-wrap: wrap; justify-content: center; gap: 4px; }
"""


class Playable(FuncAnimation):
    """An animation that notebooks show with its buttons, and that plays in HTML without a network."""

    def to_jshtml(self, fps: int | None = None, embed_frames: bool = True, default_mode: str | None = None) -> str:
        """Return matplotlib's page of the frames and buttons, without anything that has to be fetched."""
        page = super().to_jshtml(fps, embed_frames, default_mode)
        page = re.sub(r"<link[^>]*>", "", page)
        page = re.sub(r'<i class="fa fa-([\w -]+)"></i>', lambda sign: SIGNS[sign[1]], page)
        alt = html.escape(self._fig.get_suptitle())  # type: ignore[attr-defined]
        page = page.replace('<img id="', f'<img alt="{alt}" id="')
        return page.replace("</style>", f"{ON_A_PHONE}</style>")

    def _repr_html_(self) -> str:
        return self.to_jshtml()


def animate_im2col(
    image: NDArray[Any], kernel: NDArray[Any], stride: int | Pair = 1, padding: int | Pair = 0, interval: int = 700
) -> Playable:
    """Animate a convolution by im2col: the window slides, its column fills, and the product appears.

    The columns come from the engine's own kernel.

    Parameters
    ----------
    image : ndarray, (H, W)
    kernel : ndarray, (KH, KW)
        The filter.
    stride, padding : int or pair of int
        As in :func:`minicnn.functional.conv2d`.
    interval : int
        Milliseconds per window.

    Returns
    -------
    Playable
        A frame for each window, and a last one with everything. A notebook shows it with buttons; ``to_jshtml()``
        returns HTML. It is a FuncAnimation of matplotlib.

    Raises
    ------
    TypeError, ValueError
        If an argument has another type or shape, the kernel is larger than the image, or there are over 256 windows.
    """
    shown = _Convolution("animate_im2col", np.asarray(image), np.asarray(kernel), stride, padding)
    columns = shown.columns()
    products = shown.kernel.reshape(1, -1) @ columns  # (1, KH KW) @ (KH KW, OH OW)

    figure, axes = _sheet("Convolution by im2col: every window becomes a column, and one product does the rest")
    board = _Board(axes["picture"], shown.padded(), "the picture" + (", padded" if any(shown.padding) else ""))
    _Board(axes["filter"], shown.kernel, "the filter")
    matrix = _Board(axes["columns"], columns, f"X: a column for each of {columns.shape[1]} windows", "auto")
    _Board(axes["row"], shown.kernel.reshape(1, -1), "the filter as a row")
    line = _Board(axes["line"], products, "row times X", "auto")
    output = _Board(axes["output"], products.reshape(shown.OH, shown.OW), f"the output, {shown.OH}x{shown.OW}")

    def draw(frame: int) -> None:
        done = min(frame + 1, shown.count)
        at = frame if frame < shown.count else None
        known = np.arange(shown.count) < done
        matrix.show(np.broadcast_to(known, columns.shape))
        line.show(known[None])
        output.show(known.reshape(shown.OH, shown.OW))
        board.frame(None if at is None else shown.window(at))
        matrix.frame(None if at is None else (0, at, len(columns), 1))
        line.frame(None if at is None else (0, at, 1, 1))
        output.frame(None if at is None else (at // shown.OW, at % shown.OW, 1, 1))

    return _animation(figure, draw, shown.count, interval)


def animate_col2im(
    grad_output: NDArray[Any],
    kernel: NDArray[Any],
    shape: Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    interval: int = 700,
) -> Playable:
    """Animate the backward pass: each gradient becomes a column, and col2im adds it up where its window was.

    Where windows overlap, a pixel gets the sum of several columns.

    Parameters
    ----------
    grad_output : ndarray, (OH, OW)
        dL/dy.
    kernel : ndarray, (KH, KW)
        The filter.
    shape : (int, int)
        H and W of the image.
    stride, padding : int or pair of int
        Of the convolution.
    interval : int
        Milliseconds per window.

    Returns
    -------
    Playable
        As for :func:`animate_im2col`. The last frame has dL/dx.

    Raises
    ------
    TypeError, ValueError
        As for :func:`animate_im2col`, or if `grad_output` does not have the output's shape.
    """
    function = "animate_col2im"
    shown = _Convolution(function, np.zeros(pair(function, "shape", shape, 1)), np.asarray(kernel), stride, padding)
    grad_output = np.asarray(grad_output, np.float64)
    if grad_output.shape != (shown.OH, shown.OW):
        raise ValueError(
            f"{function}: grad_output must have the output's shape {(shown.OH, shown.OW)}, got {grad_output.shape}"
        )
    columns = shown.kernel.reshape(-1, 1) @ grad_output.reshape(1, -1)  # (KH KW, 1) @ (1, OH OW)
    margins = [(side, side) for side in shown.padding]
    sums = np.array([np.pad(shown.added_up(columns, done), margins) for done in range(shown.count + 1)])

    figure, axes = _sheet("The backward pass by col2im: every column is added up where its window was")
    title = "dL/dx" + (", and its padding, which gets nothing" if any(shown.padding) else "")
    board = _Board(axes["picture"], sums[-1], title, largest=float(np.abs(sums).max()))
    _Board(axes["filter"], shown.kernel, "the filter")
    matrix = _Board(axes["columns"], columns, "column times dL/dy: a column for each window", "auto")
    _Board(axes["row"], shown.kernel.reshape(1, -1), "the filter as a row: in the backward pass, a column")
    line = _Board(axes["line"], grad_output.reshape(1, -1), "dL/dy as a row", "auto")
    output = _Board(axes["output"], grad_output, f"dL/dy, {shown.OH}x{shown.OW}")

    def draw(frame: int) -> None:
        done = min(frame + 1, shown.count)
        at = frame if frame < shown.count else None
        matrix.show(np.broadcast_to(np.arange(shown.count) < done, columns.shape))
        board.change(sums[done])
        board.frame(None if at is None else shown.window(at))
        matrix.frame(None if at is None else (0, at, len(columns), 1))
        line.frame(None if at is None else (0, at, 1, 1))
        output.frame(None if at is None else (at // shown.OW, at % shown.OW, 1, 1))

    return _animation(figure, draw, shown.count, interval)


# --- the numbers ------------------------------------------------------------------------------------------------------


class _Convolution:
    """One image, one filter, and the positions of the windows."""

    def __init__(self, function: str, image: NDArray[Any], kernel: NDArray[Any], stride: Any, padding: Any) -> None:
        for name, array in (("image", image), ("kernel", kernel)):
            if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "fiub":
                raise ValueError(f"{function}: {name} must be numbers of shape (height, width), got {array.shape}")
        self.image, self.kernel = image.astype(np.float64), kernel.astype(np.float64)
        self.stride, self.padding = pair(function, "stride", stride, 1), pair(function, "padding", padding, 0)
        sides = zip(image.shape, kernel.shape, self.stride, self.padding, strict=True)
        self.OH, self.OW = ((side + 2 * pad - window) // step + 1 for side, window, step, pad in sides)
        if min(self.OH, self.OW) < 1:
            raise ValueError(
                f"{function}: kernel must not be larger than the image of shape {image.shape} with "
                f"padding={self.padding}, got {kernel.shape}"
            )
        self.count = self.OH * self.OW
        if self.count > MAX_WINDOWS:
            raise ValueError(f"{function}: the convolution must have at most {MAX_WINDOWS} windows, got {self.count}")

    def columns(self) -> NDArray[Any]:
        """Return X: (KH KW, OH OW)."""
        KH, KW = self.kernel.shape
        col = np.empty((1, KH, KW, 1, self.OH, self.OW))
        kernels.im2col(self.image[None, None], KH, KW, *self.stride, *self.padding, 1, 1, col)
        return col.reshape(KH * KW, self.count)

    def added_up(self, columns: NDArray[Any], done: int) -> NDArray[Any]:
        """Return the sum by col2im of the first `done` columns: (H, W)."""
        KH, KW = self.kernel.shape
        some = np.where(np.arange(self.count) < done, columns, 0).reshape(1, KH, KW, 1, self.OH, self.OW)
        images = np.empty((1, 1, *self.image.shape))
        kernels.col2im(some, KH, KW, *self.stride, *self.padding, 1, 1, images)
        image: NDArray[Any] = images[0, 0]
        return image

    def padded(self) -> NDArray[Any]:
        """Return the image with its padding."""
        return np.pad(self.image, [(side, side) for side in self.padding])

    def window(self, number: int) -> tuple[int, int, int, int]:
        """Return a window's top, left, height and width in the padded image."""
        return number // self.OW * self.stride[0], number % self.OW * self.stride[1], *self.kernel.shape


# --- how it is drawn --------------------------------------------------------------------------------------------------


class _Board:
    """Numbers as coloured cells, some of them still empty, and a frame around a few."""

    def __init__(
        self,
        axes: Axes,
        numbers: NDArray[Any],
        title: str,
        aspect: Literal["equal", "auto"] = "equal",
        largest: float | None = None,
    ) -> None:
        self.numbers = numbers
        self.largest = (float(np.abs(numbers).max()) if largest is None else largest) or 1.0
        self.image: AxesImage = axes.imshow(
            numbers, cmap="RdBu_r", vmin=-self.largest, vmax=self.largest, aspect=aspect, interpolation="nearest"
        )
        frameless(axes)
        axes.set_title(title, fontsize=9, color=INK, loc="left")
        axes.set_facecolor("#f0f0f0")
        self.border = Rectangle((0, 0), 1, 1, fill=False, edgecolor=LIT, linewidth=2.2, clip_on=False, zorder=3)
        self.border.set_visible(False)
        axes.add_patch(self.border)
        self.texts = {}
        if max(numbers.shape) <= NUMBERED:
            for place, number in np.ndenumerate(numbers):
                self.texts[place] = axes.text(place[1], place[0], "", ha="center", va="center", fontsize=7)
                self._write(place, number)

    def _write(self, place: tuple[int, ...], number: float) -> None:
        self.texts[place].set_text(f"{number + 0.0:.2g}".replace("-", "\u2212"))  # adding 0.0 turns -0 into 0
        self.texts[place].set_color("white" if abs(number) > 0.65 * self.largest else INK)

    def show(self, known: NDArray[np.bool_]) -> None:
        """Show the known numbers; the other cells are empty."""
        self.image.set_data(np.ma.masked_array(self.numbers, ~known))
        for place, text in self.texts.items():
            text.set_visible(bool(known[place]))

    def change(self, numbers: NDArray[Any]) -> None:
        """Replace the numbers, on the same scale."""
        self.numbers = numbers
        self.image.set_data(numbers)
        for place in self.texts:
            self._write(place, float(numbers[place]))

    def frame(self, box: tuple[int, int, int, int] | None) -> None:
        """Draw a frame around (top, left, height, width), or none."""
        self.border.set_visible(box is not None)
        if box is not None:
            top, left, height, width = box
            self.border.set_bounds(left - 0.5, top - 0.5, width, height)


def _sheet(title: str) -> tuple[Figure, dict[str, Axes]]:
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11.5, color=INK)
    grid: Any = [
        ["picture", "picture", "row"],
        ["picture", "picture", "columns"],
        ["filter", "output", "columns"],
        ["filter", "output", "line"],
    ]
    axes = figure.subplot_mosaic(grid, width_ratios=[1, 1, 2.6], height_ratios=[0.5, 1.6, 0.7, 0.6])
    figure.supxlabel("blue negative, white zero, red positive", x=0.995, ha="right", fontsize=7.5, color=FAINT)
    return figure, axes


def _animation(figure: Figure, draw: Callable[[int], None], windows: int, interval: int) -> Playable:
    draw(0)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is the same for all frames

    def next_frame(frame: int) -> list[Artist]:
        draw(frame)
        return []

    return Playable(figure, next_frame, frames=windows + 1, interval=interval, repeat=False, blit=False)
