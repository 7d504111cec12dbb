"""The same call with PyTorch and with minicnn: arguments of the one as those of the other, outputs and gradients."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor

torch = pytest.importorskip("torch")

# Tables of what matches, and of signatures, are of the version that .ci/run installs.
IS_THE_TABLES_VERSION = torch.__version__.startswith("2.13.")
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.int64: 0}
REFUSALS = (NotImplementedError, ValueError, TypeError, IndexError)


def is_clear(error: Exception) -> bool:
    """Whether the message begins as ours do, "function: argument ...", or names an argument that is not there."""
    text = str(error)
    return bool(re.match(r"\S+: \S", text)) or "unexpected keyword argument" in text


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


# --- arguments of the one as those of the other -------------------------------------------------------------


def converted(arguments: Any, tensor: Callable[[Any], Any]) -> tuple[Any, list[Any]]:
    """Return the arguments with other tensors, and the tensors: one that occurs twice is one there, too."""
    made: dict[int, Any] = {}

    def convert(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return made.setdefault(id(value), tensor(value))
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
            values = map(convert, value)
            return list(values) if isinstance(value, list) else tuple(values)
        if isinstance(value, dict):
            return {key: convert(each) for key, each in value.items()}
        if tensor is our_tensor and isinstance(value, torch.dtype):
            return np.dtype(str(value).removeprefix("torch.")) if value in NUMPY_HAS else value
        if tensor is our_tensor and isinstance(value, torch.device):
            return str(value)
        return value

    return convert(arguments), list(made.values())


NUMPY_HAS = {torch.float32, torch.float64, torch.float16, torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32}
NUMPY_HAS |= {torch.int64, torch.complex64, torch.complex128}


def their_tensor(value: Any) -> Any:
    return value.detach().clone().requires_grad_(value.requires_grad)


def our_tensor(value: Any) -> Tensor:
    return Tensor(value.detach().numpy().copy(order="K"), requires_grad=value.requires_grad)


# --- outputs and gradients ----------------------------------------------------------------------------------


def pairs(found: Any, expected: Any) -> Iterator[tuple[Any, Any]]:
    """Pair the outputs, of which there may be several."""
    if isinstance(expected, (tuple, list)) and not isinstance(expected, torch.Size):
        assert isinstance(found, (tuple, list)), f"one output instead of {len(expected)}"
        for a, b in zip(found, expected, strict=True):
            yield from pairs(a, b)
    else:
        yield found, expected


def assert_same(found: Any, expected: Any, dtype: Any, only_shape: bool) -> None:
    if not isinstance(expected, torch.Tensor):
        assert found == expected, f"{found!r} instead of {expected!r}"
        return
    assert isinstance(found, Tensor), f"a {type(found).__name__} instead of a tensor"
    assert found.shape == tuple(expected.shape), f"shape {found.shape} instead of {tuple(expected.shape)}"
    assert str(found.dtype) == str(expected.dtype).removeprefix("torch."), f"{found.dtype} instead of {expected.dtype}"
    if not only_shape:
        _assert_close(found.data, expected, dtype, "output")


def _assert_close(found: Any, expected: Any, dtype: Any, what: str) -> None:
    rtol = TOLERANCE[dtype]
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=rtol, atol=rtol, err_msg=what)


def assert_same_gradients(outputs: list[Any], mine: list[Any], theirs: list[Any], dtype: Any) -> None:
    """Compare the gradients of a random weighting of all outputs."""
    with_gradient = [(a, b) for a, b in outputs if isinstance(b, torch.Tensor) and b.requires_grad]
    for a, b in outputs:
        if isinstance(b, torch.Tensor):
            assert a.requires_grad == b.requires_grad, (
                f"requires_grad is {a.requires_grad} instead of {b.requires_grad}"
            )
    if not with_gradient:
        return
    random = np.random.default_rng(0)
    our_loss: Any = 0
    their_loss: Any = 0
    for a, b in with_gradient:
        weights = np.asarray(random.standard_normal(a.shape), a.dtype)
        our_loss = our_loss + (a * Tensor(weights)).sum()
        their_loss = their_loss + (b * torch.from_numpy(weights)).sum()
    our_loss.backward()
    their_loss.backward()
    for position, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        if b.requires_grad and b.grad is not None:
            grad = np.zeros(a.shape, a.dtype) if a.grad is None else a.grad
            _assert_close(grad, b.grad, dtype, f"gradient of tensor {position}")
