"""Einstein's summation: products and sums over any dimensions, named by letters."""

from types import ModuleType
from typing import Any

from minicnn.autograd import Function, Tensor, as_tensor
from minicnn.backend import Array, same_device

__all__ = ["Einsum", "einsum"]


class Einsum(Function):
    """y = product of the inputs, summed over every letter that the output lacks;  dL/dx = such a sum with dL/dy for x.

    A letter is an index. The matrix product ``ij,jk->ik`` is Y_ik = sum_j A_ij B_jk, and its derivatives have the same
    form: ``ik,jk->ij`` for dL/dA, with dL/dY in A's place, and ``ij,ik->jk`` for dL/dB. A letter that only x has was
    summed over, so dL/dx is the same for each of its values.
    """

    def __init__(self, inputs: tuple[str, ...], output: str) -> None:
        self.letters, self.output = inputs, output

    def forward(self, xp: ModuleType, *arrays: Array) -> Array:
        vars(self).update({f"x{place}": array for place, array in enumerate(arrays)})
        y = xp.einsum(f"{','.join(self.letters)}->{self.output}", *arrays, optimize=True)
        return y.copy() if len(arrays) == 1 else y  # it may be a view

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        return tuple(
            self.gradient(xp, place, grad_output) if wanted else None
            for place, wanted in enumerate(self.needs_input_grad)
        )

    def gradient(self, xp: ModuleType, place: int, grad_output: Array) -> Array:
        """Return the gradient of one input."""
        arrays = [getattr(self, f"x{i}") for i in range(len(self.letters))]
        own, shape = self.letters[place], arrays[place].shape
        terms = [self.output, *self.letters[:place], *self.letters[place + 1 :]]
        factors = [grad_output, *arrays[:place], *arrays[place + 1 :]]
        found = [letter for letter in own if letter in "".join(terms)]
        grad = xp.einsum(f"{','.join(terms)}->{''.join(found)}", *factors, optimize=True)
        kept = tuple(n if letter in found else 1 for letter, n in zip(own, shape, strict=True))
        return xp.broadcast_to(grad.reshape(kept), shape)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Multiply tensors and sum over their dimensions as an equation says, as ``torch.einsum`` does.

    Parameters
    ----------
    equation : str
        A letter for each dimension: ``"ij,jk->ik"`` is the matrix product, ``"bi,bi->b"`` the inner product of each
        row. Without an arrow the output has the letters that occur once, in alphabetical order.
    *operands : Tensor
        One for each term, of the same dtype and on the same device.

    Raises
    ------
    NotImplementedError
        For an ellipsis, and for a letter that a term has twice, which is a diagonal.

    Examples
    --------
    >>> a, b = Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]])
    >>> einsum("ij,jk->ik", a, b).numpy()
    array([[11.]], dtype=float32)
    """
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else operands
    tensors = [as_tensor(operand) for operand in given]
    left, arrow, output = equation.replace(" ", "").partition("->")
    terms = tuple(left.split(","))
    if not arrow:
        output = "".join(sorted(letter for letter in set(left) - {","} if left.count(letter) == 1))
    _check(equation, terms, output, tensors)
    return Einsum(terms, output)(*tensors)


def _check(equation: str, terms: tuple[str, ...], output: str, tensors: list[Tensor]) -> None:
    if "." in equation:
        raise NotImplementedError(f"einsum: equation must name every dimension by a letter, got {equation!r}")
    letters = "".join(terms)
    if not (letters + output).isalpha() and letters + output:
        raise ValueError(f"einsum: equation must have letters, commas and one arrow, got {equation!r}")
    if any(len(set(term)) < len(term) for term in terms):
        raise NotImplementedError(f"einsum: equation must name no dimension of one tensor twice, got {equation!r}")
    if not set(output) <= set(letters) or len(set(output)) < len(output):
        raise ValueError(f"einsum: equation must have in its output letters of its inputs, each once, got {equation!r}")
    if [len(term) for term in terms] != [tensor.ndim for tensor in tensors]:
        shapes = ", ".join(str(tensor.shape) for tensor in tensors)
        raise ValueError(f"einsum: equation must have a letter for each dimension of {shapes}, got {equation!r}")
    lengths: dict[str, int] = {}
    for term, tensor in zip(terms, tensors, strict=True):
        for letter, length in zip(term, tensor.shape, strict=True):
            if lengths.setdefault(letter, length) != length:
                raise ValueError(f"einsum: {letter} must have one length, got {lengths[letter]} and {length}")
        if tensor.dtype != tensors[0].dtype:
            raise TypeError(f"einsum: operands must have one dtype, got {tensors[0].dtype} and {tensor.dtype}")
    same_device("einsum", **{f"operands[{i}]": tensor.data for i, tensor in enumerate(tensors)})
