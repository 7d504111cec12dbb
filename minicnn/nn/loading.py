"""Loading a state dict: either all of it fits, or nothing is copied and everything that is wrong is named."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minicnn.arguments import writeable
from minicnn.autograd import Tensor, mark_written
from minicnn.backend import asnumpy, device_of, on_device_of, to_device

__all__ = ["IncompatibleKeys", "load"]


class IncompatibleKeys(NamedTuple):
    """The keys that :meth:`Module.load_state_dict` found missing or did not expect.

    Attributes
    ----------
    missing_keys, unexpected_keys : list of str
        Names of parameters and buffers.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(owner: str, state: Mapping[str, Tensor], state_dict: Any, strict: bool) -> IncompatibleKeys:
    """Copy the arrays of `state_dict` into the tensors of `state`: :meth:`minicnn.nn.Module.load_state_dict`.

    Parameters
    ----------
    owner : str
        The class of the module, for errors.
    state : mapping
        Its parameters and buffers by path.
    state_dict, strict
        As in :meth:`minicnn.nn.Module.load_state_dict`.
    """
    if not isinstance(state_dict, Mapping):
        kind = type(state_dict).__name__
        raise TypeError(f"{owner}.load_state_dict: state_dict must be a mapping, got a {kind}")
    missing = [key for key in state if key not in state_dict]
    unexpected = [key for key in state_dict if key not in state]
    wrong = [f"missing: {key}" for key in missing if strict]
    wrong += [f"unexpected: {key}" for key in unexpected if strict]
    arrays = {}
    for key, tensor in state.items():
        if key not in state_dict:
            continue
        value = state_dict[key]
        array = asnumpy(value.data if isinstance(value, Tensor) else value)
        what = type(tensor).__name__.lower()
        if array.shape != tensor.shape:
            wrong.append(f"misshapen: {key} has shape {array.shape}, the {what} has {tensor.shape}")
        elif array.dtype.kind not in "fiu":
            wrong.append(f"not real numbers: {key} has dtype {array.dtype}")
        writeable(f"{owner}.load_state_dict", f"the {what} {key}", tensor.data)
        arrays[key] = array
    if wrong:
        raise ValueError("\n    ".join([f"{owner}.load_state_dict: nothing was loaded", *wrong]))
    for key, array in arrays.items():
        data = state[key].data
        with on_device_of(data):
            data[...] = to_device(np.asarray(array, dtype=data.dtype), device_of(data))
        mark_written(state[key], "load_state_dict")
    return IncompatibleKeys(missing, unexpected)
