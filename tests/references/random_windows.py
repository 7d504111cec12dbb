"""Random pictures, and windows that fit them, for the tests of the kernels."""

from typing import Any

import hypothesis
import hypothesis.strategies as st
import naive
import numpy as np

DTYPES = [np.float32, np.float64]

Window = tuple[int, int, int, int, int, int]


class Case:
    """Pictures and a window that fits them. All results are made twice, over memory full of something else."""

    def __init__(
        self,
        dtype: Any,
        shape: tuple[int, int, int, int],
        window: Window,
        ceil: bool,
        seed: int,
        dilation: tuple[int, int] = (1, 1),
    ) -> None:
        self.dtype, self.shape, self.window, self.dilation = dtype, shape, window, dilation
        self.dilated = *window, *dilation
        self.random = np.random.default_rng(seed)
        KH, KW, SH, SW, PH, PW = window
        self.kernel, self.stride, self.padding = (KH, KW), (SH, SW), (PH, PW)
        OH = len(naive.window_starts(shape[2], (KH - 1) * dilation[0] + 1, SH, PH, ceil))
        OW = len(naive.window_starts(shape[3], (KW - 1) * dilation[1] + 1, SW, PW, ceil))
        self.output = (*shape[:2], OH, OW)
        self.columns = (shape[1], KH, KW, shape[0], OH, OW)

    def __repr__(self) -> str:
        return f"{self.dtype.__name__}, x {self.shape}, K S P D {self.dilated}, y {self.output}"

    def numbers(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.random.standard_normal(shape).astype(self.dtype)

    def rubbish(self, shape: tuple[int, ...], dtype: Any = None) -> list[np.ndarray]:
        dtype = dtype or self.dtype
        return [np.full(shape, 77 if np.dtype(dtype).kind in "iu" else np.nan, dtype) for _ in range(2)]


@st.composite
def cases(draw: st.DrawFn, pooling: bool = False, dilated: bool = False) -> Case:
    N, C = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    H, W, KH, KW, SH, SW, PH, PW = (draw(st.integers(1, 9)) for _ in range(8))
    DH, DW = (draw(st.integers(1, 3)), draw(st.integers(1, 3))) if dilated else (1, 1)
    RH, RW = (KH - 1) * DH + 1, (KW - 1) * DW + 1
    if pooling:
        PH, PW = min(PH - 1, KH // 2), min(PW - 1, KW // 2)
    else:
        PH, PW = PH - 1, PW - 1
    hypothesis.assume(RH <= H + 2 * PH and RW <= W + 2 * PW)
    ceil = draw(st.booleans()) if pooling else False
    window, dtype, seed = (KH, KW, SH, SW, PH, PW), draw(st.sampled_from(DTYPES)), draw(st.integers(0, 99))
    case = Case(dtype, (N, C, H, W), window, ceil, seed, (DH, DW))
    if pooling:  # max_pool2d refuses windows without a pixel
        table = naive.windows((H, W), case.kernel, case.stride, case.padding, ceil, case.dilation)
        hypothesis.assume(all(any(naive.inside(place, H, W) for place in places) for row in table for places in row))
    return case
