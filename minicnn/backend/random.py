"""The generator behind everything random, and uniform numbers on either device."""

import math
from types import ModuleType
from typing import Any

import numpy as np

from minicnn.arguments import whole
from minicnn.backend.arrays import Array

_generator = np.random.default_rng()


def generator() -> np.random.Generator:
    """Return the generator of initial weights, dropout masks and default data orders."""
    return _generator


def manual_seed(seed: int) -> None:
    """Seed the generator of everything random in minicnn, as ``torch.manual_seed`` does.

    Parameters
    ----------
    seed : int
        At least 0.
    """
    # The same Generator object is kept, so that code which holds it is seeded too.
    _generator.bit_generator.state = type(_generator.bit_generator)(whole("manual_seed", "seed", seed, 0)).state


def random_uniform(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return numbers drawn uniformly from [0, 1), of the given shape, on the device of `xp`.

    A GPU computes them from one number of :func:`generator`, so its state is all that a checkpoint has to store.
    """
    if xp is np:
        return _generator.random(shape, dtype=dtype)
    return hashed_uniform(xp, int(_generator.integers(2**64, dtype=np.uint64)), shape, dtype)


def hashed_uniform(xp: ModuleType, seed: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return numbers drawn uniformly from [0, 1), each a function of the seed and its position: SplitMix64.

    References
    ----------
    Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 17.
    """
    number = np.uint64
    z = xp.arange(1, math.prod(shape) + 1, dtype=number)
    z *= number(0x9E3779B97F4A7C15)
    z += number(seed)
    z ^= z >> number(30)
    z *= number(0xBF58476D1CE4E5B9)
    z ^= z >> number(27)
    z *= number(0x94D049BB133111EB)
    z ^= z >> number(31)
    bits = np.finfo(dtype).nmant + 1  # the precision of the result
    uniform = (z >> number(64 - bits)).astype(dtype)
    uniform *= 2.0**-bits
    return uniform.reshape(shape)
