"""Convolution with fewer multiplications: the matrices of Winograd's method, for kernels of 3x3 and 5x5.

Along one line, a kernel w of r numbers and six pixels x give m = 7 - r outputs, y[i] = sum over k of w[k] x[i + k].
By the formula that takes m r multiplications; six are enough. Take the product of two polynomials, one of m
coefficients, the other of r: it has six coefficients, so it is determined by its values at six points, and its value at
a point is one multiplication of the two factors' values. A convolution is the transpose of this (the gradient of the
product with respect to one factor), with the three steps in the opposite order::

    y = A^T [(G w) * (B^T x)]        * element by element: six multiplications

G evaluates the kernel at the six points and has the divisors of the interpolation, A^T has the powers of the points,
and B^T takes the pixels from coefficients to points. In an image, rows and columns are treated the same way::

    Y = A^T [(G W G^T) * (B^T X B)] A

A square of 6x6 pixels becomes 4x4 outputs of a 3x3 kernel with 36 multiplications instead of 144, or 2x2 outputs of a
5x5 kernel with 36 instead of 100. As each of the 36 is summed over the channels, it is a matrix product of its own.

The price is accuracy: coefficients and values differ in size, so rounding errors grow, by about six times. Points near
zero and pairs of reciprocals keep the errors that small (Barabasz et al. 2020).

References
----------
Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural
Networks", arXiv:1509.09308; Barabasz et al. 2020, "Error Analysis and Improving the Accuracy of Winograd Convolution
for Deep Neural Networks", arXiv:1803.10986.
"""

import numpy as np

__all__ = ["KERNEL_SIZES", "TILE", "matrices"]

TILE = 6  # the side of the squares that images are cut into
KERNEL_SIZES = 3, 5
POINTS = 0.0, 1.0, -1.0, 2.0, -0.5  # and infinity, where the value of a polynomial is its last coefficient


def matrices(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the three matrices for a kernel of that size.

    Parameters
    ----------
    size : int
        r, from 2 to 5.

    Returns
    -------
    tuple of arrays of shape (6, 6), (6, r), (7 - r, 6)
        B^T, G and A^T, in float64.

    Examples
    --------
    >>> B_T, G, A_T = matrices(3)
    >>> x, w = np.arange(6.0) ** 2, np.array([1.0, -2.0, 1.0])
    >>> A_T @ ((G @ w) * (B_T @ x))
    array([2., 2., 2., 2.])
    """
    steps = TILE - size + 1
    B_T, G, A_T = np.zeros((TILE, TILE)), np.zeros((TILE, size)), np.zeros((steps, TILE))
    for i, point in enumerate(POINTS):
        others = [other for other in POINTS if other != point]
        B_T[i, :-1] = np.poly(others)[::-1]  # the polynomial that is zero at all the others ...
        G[i] = point ** np.arange(size) / np.prod([point - other for other in others])  # ... and its value at this one
        A_T[:, i] = point ** np.arange(steps)
    B_T[-1] = np.poly(POINTS)[::-1]
    G[-1, -1] = A_T[-1, -1] = 1
    return B_T, G, A_T
