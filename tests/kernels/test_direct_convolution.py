"""Tiles of every size that some processor has, whatever this one has: LLVM cuts wider vectors into its own."""

import types
from typing import Any

import numpy as np
import pytest

numba: Any = pytest.importorskip("numba")
from minicnn.kernels import direct_convolution  # noqa: E402

VECTOR_BYTES = direct_convolution.VECTOR_BYTES
SIZES = [(1, 16, 64), (2, 8, 64), (3, 8, 64), (4, 6, 64), (1, 10, 32), (2, 5, 32), (3, 4, 32), (1, 10, 16), (3, 4, 16)]
SIZES += [(1, 16, 16), (2, 8, 16), (3, 8, 16), (4, 6, 16)]


@pytest.mark.parametrize(("vectors", "rows", "vector_bytes"), SIZES)
@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("apart", [0, 5])
def test_tile(
    vectors: int, rows: int, vector_bytes: int, count: int, apart: int, dtype: type, rng: np.random.Generator
) -> None:
    compute = direct_convolution.tile(vectors, rows, vector_bytes)
    width = vectors * vector_bytes // np.dtype(dtype).itemsize
    step = width + apart

    @numba.njit
    def run(a: Any, b: Any, row_places: Any, places: Any, sums: Any, add: Any) -> None:
        compute(a, 3, step, b, 2, row_places, 4, places, sums, 5, add)

    a = rng.standard_normal(3 + count * step).astype(dtype)
    b = rng.standard_normal(100).astype(dtype)
    row_places, places = rng.integers(0, 40, 4 + rows + 1), rng.integers(0, 50, count)
    expected = np.zeros((rows, width))
    for row in range(rows):
        for k in range(count):
            expected[row] += b[2 + row_places[4 + row] + places[k]] * a[3 + k * step :][:width].astype(np.float64)

    sums = np.full(5 + rows * width + 1, 7, dtype)  # what is beyond the tile stays as it is
    for times in (1, 2):
        run(a, b, row_places, places, sums, times == 2)
        np.testing.assert_allclose(sums[5:-1].reshape(rows, width), times * expected, rtol=0, atol=1e-5)
    assert (sums[:5] == 7).all()
    assert sums[-1] == 7


@pytest.mark.parametrize(
    ("triple", "features", "bytes_and_registers"),
    [
        ("x86_64-unknown-linux-gnu", "+sse2,+avx,+avx2,+avx512f", (64, 32)),
        ("x86_64-unknown-linux-gnu", "+sse2,+avx,+avx2,-avx512f", (32, 16)),
        ("x86_64-pc-windows-msvc", "+avx,+avx512f,-avx512f", (32, 16)),
        ("x86_64-apple-darwin", "+avx,+avx512f,-avx", (16, 16)),
        ("x86_64-unknown-linux-gnu", "+sse2", (16, 16)),
        ("x86_64-unknown-linux-gnu", "", (16, 16)),
        ("aarch64-unknown-linux-gnu", "+neon,+sve", (16, 32)),
        ("arm64-apple-darwin", "", (16, 32)),
        ("powerpc64le-unknown-linux-gnu", "+vsx", (16, 16)),
    ],
)
def test_vectors_of_a_processor(triple: str, features: str, bytes_and_registers: tuple[int, int]) -> None:
    assert direct_convolution.vectors_of(triple, features) == bytes_and_registers


@pytest.mark.parametrize(
    ("name", "settings", "features"),
    [
        (None, None, "+avx,+avx512f"),
        ("haswell", None, "+avx,+avx512f"),
        (None, "-avx512f", "+avx,+avx512f,-avx512f"),
        ("generic", "", ""),
        ("generic", "+avx", "+avx"),
    ],
)
def test_numbas_settings_count(
    name: str | None, settings: str | None, features: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_convolution, "_host_features", lambda: "+avx,+avx512f")
    monkeypatch.setattr(direct_convolution, "_settings", types.SimpleNamespace(CPU_NAME=name, CPU_FEATURES=settings))
    assert direct_convolution._features() == features


def test_the_tiles_in_use_fit_into_registers() -> None:
    for vectors, rows in enumerate(direct_convolution.ROWS):
        assert vectors * rows + vectors < direct_convolution.REGISTERS


def test_transpose_square(dtype: type, rng: np.random.Generator) -> None:
    side = VECTOR_BYTES // np.dtype(dtype).itemsize

    @numba.njit
    def run(source: Any, target: Any) -> None:
        direct_convolution.transpose_square(source, 3, side + 2, target, 1, side + 1)

    source = rng.standard_normal(3 + side * (side + 2)).astype(dtype)
    target = np.full(1 + side * (side + 1), 7, dtype)
    run(source, target)
    square, transposed = source[3:].reshape(side, side + 2)[:, :side], target[1:].reshape(side, side + 1)
    np.testing.assert_array_equal(transposed[:, :side], square.T)
    assert (transposed[:, side] == 7).all()
    assert target[0] == 7
