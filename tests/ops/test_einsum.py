"""Einstein's summation against its definition, with loops."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor

LENGTHS = {"i": 2, "j": 3, "k": 4, "b": 2}
EQUATIONS = [
    "ij,jk->ik",
    "ij,jk",
    "ij->ji",
    "ij->",
    "ij->i",
    "i,j->ij",
    "i,i->",
    "i,i",
    "bij,bjk->bik",
    "ij,kj->k",
    "ij,j,ik->k",
    "bi,bi->b",
    "i,k->i",
    "ij, jk -> ki",
    ",ij->ij",
]


def definition(equation: str, arrays: list[np.ndarray]) -> np.ndarray:
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms, letters = left.split(","), sorted(set(left) - {","})
    output = right if arrow else "".join(letter for letter in letters if left.count(letter) == 1)
    y = np.zeros([LENGTHS[letter] for letter in output])
    for places in itertools.product(*(range(LENGTHS[letter]) for letter in letters)):
        at = dict(zip(letters, places, strict=True))
        factors = [a[tuple(at[letter] for letter in term)] for term, a in zip(terms, arrays, strict=True)]
        y[tuple(at[letter] for letter in output)] += math.prod(factors)
    return y


@pytest.mark.parametrize("equation", EQUATIONS)
def test_it_is_its_definition(equation: str, device: str, rng: np.random.Generator) -> None:
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    arrays = [rng.standard_normal([LENGTHS[letter] for letter in term]) for term in terms]
    tensors = [Tensor(array).to(device).requires_grad_() for array in arrays]
    y = minicnn.einsum(equation, *tensors)
    np.testing.assert_allclose(y.numpy(), definition(equation, arrays), rtol=1e-12, atol=1e-12)
    assert not any(np.shares_memory(y.numpy(), tensor.numpy()) for tensor in tensors)
    if device == "cpu":
        assert minicnn.gradcheck(lambda *t: minicnn.einsum(equation, t), tensors)


@pytest.mark.parametrize(
    ("equation", "error", "message"),
    [
        ("...j,jk->...k", NotImplementedError, "einsum: equation must name every dimension by a letter"),
        ("ii,jk->jk", NotImplementedError, "einsum: equation must name no dimension of one tensor twice"),
        ("ij,jk->il", ValueError, "einsum: equation must have in its output letters of its inputs, each once"),
        ("ij,jk->ii", ValueError, "each once, got 'ij,jk->ii'"),
        ("ij,j->i", ValueError, r"einsum: equation must have a letter for each dimension of \(2, 3\), \(3, 4\)"),
        ("ij->i", ValueError, "a letter for each dimension"),
        ("ij,ik->jk", ValueError, "einsum: i must have one length, got 2 and 3"),
        ("i1,1k->ik", ValueError, "einsum: equation must have letters, commas and one arrow, got 'i1,1k->ik'"),
    ],
)
def test_refusals(equation: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        minicnn.einsum(equation, Tensor(np.ones((2, 3))), Tensor(np.ones((3, 4))))


def test_one_dtype() -> None:
    operands: Any = Tensor([1.0]), Tensor(np.ones(1))
    with pytest.raises(TypeError, match="einsum: operands must have one dtype, got float32 and float64"):
        minicnn.einsum("i,i->", *operands)
