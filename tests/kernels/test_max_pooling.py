"""Max pooling by vectors of windows: of every size that some processor has, and at every edge of a picture."""

from typing import Any

import numpy as np
import pytest

numba: Any = pytest.importorskip("numba")
from minicnn.kernels import max_pooling, numba_kernels, numpy_kernels  # noqa: E402


@pytest.mark.parametrize("vector_bytes", [64, 32, 16])
@pytest.mark.parametrize("place", [np.uint8, np.int32])
@pytest.mark.parametrize("special", ["", "ties", "nan"])
def test_neighbours(vector_bytes: int, place: Any, special: str, dtype: Any, rng: np.random.Generator) -> None:
    compute = max_pooling.neighbours(vector_bytes)
    lanes = vector_bytes // np.dtype(dtype).itemsize
    W = 2 * lanes + 5

    @numba.njit
    def run(source: Any, target: Any, places: Any) -> None:
        compute(source, 3, W, target, places, 2)

    source = rng.standard_normal(3 + 3 * W).astype(dtype)
    if special == "ties":
        source = np.round(source)
    elif special:
        source[rng.random(source.shape) < 0.2] = np.nan
    target, places = np.full(2 + lanes + 1, 7, dtype), np.full(2 + lanes + 1, 77, place)
    run(source, target, places)
    lines = source[3:].reshape(3, W)
    for lane in range(lanes):
        window = lines[:, 2 * lane : 2 * lane + 3].ravel()
        nans = np.flatnonzero(np.isnan(window))
        expected = nans[-1] if len(nans) else window.argmax()
        assert places[2 + lane] == expected
        np.testing.assert_equal(target[2 + lane], window[expected])
    assert target[[0, 1, -1]].tolist() == [7] * 3 and places[[0, 1, -1]].tolist() == [77] * 3


@pytest.mark.parametrize("size", [(3, 3), (4, 5), (13, 13), (15, 15), (32, 32), (33, 34), (8, 100)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (0, 1)])
@pytest.mark.parametrize("overhang", [0, 1])
def test_the_papers_windows(size: Any, padding: Any, overhang: int, dtype: Any, rng: np.random.Generator) -> None:
    """With windows that hang over the lower and right edge, as those of ``ceil_mode`` do, and without."""
    (H, W), (PH, PW) = size, padding
    OH, OW = ((length + 2 * pad - 3 + overhang) // 2 + 1 for length, pad in ((H, PH), (W, PW)))
    for fill in ("numbers", "ties", "nan"):
        x = rng.standard_normal((2, 3, H, W)).astype(dtype)
        x = np.round(x) if fill == "ties" else x
        if fill == "nan":
            x[rng.random(x.shape) < 0.1] = np.nan
        for place in (np.uint8, np.int32):
            found = []
            for kernels in (numpy_kernels, numba_kernels):
                y, index = np.full((2, 3, OH, OW), 7, dtype), np.full((2, 3, OH, OW), 77, place)
                kernels.max_pool2d_forward(x, 3, 3, 2, 2, PH, PW, 1, 1, y, index)
                found.append((y, index))
            for expected, actual in zip(*found, strict=True):
                np.testing.assert_array_equal(actual, expected)
