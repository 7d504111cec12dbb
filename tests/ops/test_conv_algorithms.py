"""The algorithms for convolution: that they compute the same, and which one runs."""

from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, kernels
from minicnn.backend import to_device
from minicnn.ops.algorithms import choose
from minicnn.ops.conv import Conv2d
from minicnn.ops.conv_algorithms import DirectConv2d, WinogradConv2d
from minicnn.ops.gpu_conv import GpuConv2d


@pytest.mark.parametrize(("threads", "groups", "size"), [(1, 1, 3), (2, 2, 5), (3, 2, 3)])
def test_fewer_multiplications_change_nothing(threads: int, groups: int, size: int, rng: np.random.Generator) -> None:
    pytest.importorskip("numba")
    minicnn.set_num_threads(threads)
    x, w, b = (
        Tensor(rng.standard_normal(shape), requires_grad=True)
        for shape in [(8, 32, 13, 13), (48 * groups, 32 // groups, size, size), (48 * groups,)]
    )
    y = F.conv2d(x, w, b, padding=size // 2, groups=groups)
    assert type(y.creator) is WinogradConv2d
    gradient = rng.standard_normal(y.shape)
    y.backward(gradient)
    results = [y.data, x.grad, w.grad, b.grad]
    x.grad = w.grad = b.grad = None
    y = Conv2d((1, 1), (size // 2, size // 2), groups)(x, w, b)
    y.backward(gradient)
    for result, expected in zip(results, [y.data, x.grad, w.grad, b.grad], strict=True):
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-11)


def test_which_convolution_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    minicnn.set_num_threads(2)

    def chosen(running: str = "numba", **changes: Any) -> type[Conv2d]:
        monkeypatch.setattr(kernels, "current", lambda array: running)
        layer: dict[str, Any] = {"x": (128, 384, 13, 13), "w": (384, 192, 3, 3)}
        layer |= {"stride": (1, 1), "padding": (1, 1), "groups": 2, "dilation": (1, 1)} | changes
        return choose(Conv2d, np.empty(0), *layer.values())

    assert chosen() is WinogradConv2d
    assert chosen(w=(384, 192, 5, 5), padding=(2, 2)) is WinogradConv2d
    others: list[dict[str, Any]] = [
        {"x": (1, 384, 13, 13)},  # the filters would be prepared for too little
        {"x": (2, 384, 16, 16)},
        {"stride": (2, 1)},
        {"w": (384, 192, 3, 5)},
        {"w": (384, 192, 4, 4)},
        {"w": (384, 190, 3, 3)},  # no whole vectors
        {"w": (390, 192, 3, 3)},
    ]
    for change in others:
        assert chosen(**change) is DirectConv2d
    assert chosen(padding=(1, 3)) is Conv2d
    assert chosen(dilation=(2, 1)) is chosen(dilation=(1, 2)) is Conv2d
    minicnn.set_num_threads(129)
    assert chosen() is DirectConv2d
    minicnn.set_num_threads(2)
    assert chosen("numpy") is Conv2d
    assert chosen("cuda") is chosen("cuda", dilation=(2, 1)) is GpuConv2d


# --- forced ---------------------------------------------------------------------------------------------------------

ALGORITHMS = {"im2col": Conv2d, "direct": DirectConv2d, "winograd": WinogradConv2d}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("images", [0, 1, 3])
@pytest.mark.parametrize(("groups", "size"), [(1, 3), (2, 5)])
def test_every_algorithm_computes_the_same(
    algorithm: str, images: int, groups: int, size: int, kernel_file: str, rng: np.random.Generator
) -> None:
    """Also for so few pixels and images that another algorithm is faster."""
    minicnn.set_num_threads(2)
    arrays = [rng.standard_normal(shape) for shape in ((images, 32, 4, 5), (32, 32 // groups, size, size), (32,))]
    gradient = rng.standard_normal((images, 32, 4, 5))
    results = []
    for name in ("im2col", algorithm):
        x, w, b = (Tensor(array, requires_grad=True) for array in arrays)
        with minicnn.use_conv(name):
            y = F.conv2d(x, w, b, padding=size // 2, groups=groups)
        assert type(y.creator) is ALGORITHMS[name]
        y.backward(gradient)
        results.append([y.data, x.grad, w.grad, b.grad])
    for actual, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_what_an_algorithm_cannot_compute_falls_back_to_the_automatic_choice(
    algorithm: str, kernel_file: str, rng: np.random.Generator
) -> None:
    best = {"numba": DirectConv2d, "numpy": Conv2d}[kernel_file]
    forced = ALGORITHMS[algorithm]
    cases: list[tuple[type[Conv2d], tuple[int, ...], tuple[int, ...], dict[str, int]]] = [
        (forced, (2, 16, 6, 6), (16, 16, 3, 3), {}),
        (forced if algorithm == "direct" else best, (2, 16, 6, 6), (16, 16, 3, 3), {"stride": 4}),
        (forced if algorithm == "direct" else best, (2, 16, 6, 6), (16, 16, 4, 4), {}),
        (forced if algorithm == "direct" else best, (2, 8, 6, 6), (16, 8, 3, 3), {}),
        (Conv2d, (2, 16, 6, 6), (16, 16, 3, 3), {"padding": 3}),
        (Conv2d, (2, 16, 6, 6), (16, 16, 3, 3), {"dilation": 2}),
    ]
    for expected, x, w, settings in cases:
        with minicnn.use_conv(algorithm):
            y = F.conv2d(rng.standard_normal(x), Tensor(rng.standard_normal(w), requires_grad=True), **settings)
        assert type(y.creator) is expected, (x, w, settings)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_on_a_gpu_there_is_im2col_only(algorithm: str, gpu: str) -> None:
    """By another way to multiply, unless the textbook's is asked for."""
    x, w = (to_device(np.ones(shape, np.float32), gpu) for shape in ((4, 16, 20, 20), (16, 16, 3, 3)))
    with minicnn.use_conv(algorithm):
        y = F.conv2d(Tensor(x), Tensor(w, requires_grad=True))
    assert type(y.creator) is (Conv2d if algorithm == "im2col" else GpuConv2d)
