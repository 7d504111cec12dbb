"""The generator behind everything random, and uniform numbers on either device."""

import math
from types import ModuleType
from typing import Any

import numpy as np

from minicnn.arguments import whole
from minicnn.backend.arrays import Array
from minicnn.backend.batch_part import batch_part

GOLDEN = 0x9E3779B97F4A7C15  # SplitMix64's step from one position to the next

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

    A GPU computes them from one number of :func:`generator`, so its state is all that a checkpoint has to store. Where
    processes share a batch, all of them draw the numbers of the whole batch, and each returns those of its own rows: so
    the numbers do not depend on how many processes there are.

    Raises
    ------
    ValueError
        If processes share a batch and the first dimension is not that of its images.
    """
    if xp is not np:
        return hashed_uniform(xp, drawn_seed(shape), shape, dtype)
    before, after = _drawn_by_others(shape)
    _skip(before, dtype)
    drawn = _generator.random(shape, dtype=dtype)
    _skip(after, dtype)
    return drawn


def drawn_seed(shape: tuple[int, ...]) -> int:
    """Draw a seed for :func:`hashed_uniform`, with which it returns this process's rows of a batch that others share.

    A number depends on the seed and its position only through their sum, so a seed can stand for an offset.
    """
    before, _ = _drawn_by_others(shape)
    return (int(_generator.integers(2**64, dtype=np.uint64)) + before * GOLDEN) % 2**64


def _drawn_by_others(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many numbers belong to the rows of the batch before this process's own, and to those after them."""
    part = batch_part()
    if part is None:
        return 0, 0
    if len(shape) == 0 or shape[0] != len(part):
        raise ValueError(
            f"dropout: input must have a row for each of this process's {len(part)} images, got shape {shape}"
        )
    numbers = math.prod(shape[1:])
    return part.start * numbers, (part.count - part.stop) * numbers


def _skip(count: int, dtype: Any) -> None:
    """Leave the generator as it is after drawing `count` numbers, in a time that does not depend on `count`.

    A float64 takes 64 bits of the generator, a float32 32 of them: the other half waits for the next float32.
    """
    if count == 0:
        return
    bits: Any = _generator.bit_generator
    state = bits.state
    if np.dtype(dtype) == np.float64:
        bits.advance(count)  # which forgets the waiting half
        bits.state = bits.state | {name: state[name] for name in ("has_uint32", "uinteger")}
        return
    if state["has_uint32"]:
        _generator.random(dtype=np.float32)
        count -= 1
    bits.advance(count // 2)
    if count % 2:
        _generator.random(dtype=np.float32)


def hashed_uniform(xp: ModuleType, seed: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return numbers drawn uniformly from [0, 1), each a function of the seed and its position: SplitMix64.

    References
    ----------
    Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 17.
    """
    number = np.uint64
    z = xp.arange(1, math.prod(shape) + 1, dtype=number)
    z *= number(GOLDEN)
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
