"""Tensors in files: a dictionary of tensors is saved and loaded in the safetensors format, and no code is run."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn.arguments import only
from minicnn.autograd import Tensor, as_tensor
from minicnn.backend import asnumpy, get_default_device, to_device
from minicnn.errors import MinicnnError

__all__ = ["TensorFileError", "load", "reading_safetensors", "save"]


class TensorFileError(MinicnnError):
    """A file of tensors cannot be read; the message names the file."""


def save(obj: Mapping[str, Any], f: str | os.PathLike[str]) -> None:
    """Save a dictionary of tensors, such as ``model.state_dict()``, atomically.

    Parameters
    ----------
    obj : mapping of str to Tensor or array
        Nothing else can be saved: what a file holds is numbers, and reading it runs no code, as unpickling does. A
        network is saved by its state dict, and with everything that training needs by
        :func:`minicnn.training.save_training`.
    f : path
        By convention it ends in ``.safetensors``.

    Raises
    ------
    TypeError
        If `obj` is not such a dictionary.
    OSError
        If the file cannot be written.
    """
    import safetensors.numpy

    from minicnn.files import write_atomically  # it imports libraries that `import minicnn` leaves for later

    if not isinstance(obj, Mapping):
        raise TypeError(f"save: obj must be a dictionary of tensors, such as a state_dict, got {type(obj).__name__}")
    arrays = {}
    for name, value in obj.items():
        if not isinstance(name, str):
            raise TypeError(f"save: obj must have strings for its keys, got {name!r}")
        if not hasattr(value, "dtype"):
            raise TypeError(f"save: obj must hold tensors and arrays only, got {type(value).__name__} for {name!r}")
        tensor = as_tensor(value)
        arrays[name] = np.asarray(asnumpy(tensor.data), order="C")
    write_atomically(f, safetensors.numpy.save(arrays))


def load(f: str | os.PathLike[str], map_location: str | None = None, weights_only: bool = True) -> dict[str, Tensor]:
    """Return the tensors of a file that :func:`save`, or another program, has written in the safetensors format.

    Parameters
    ----------
    f : path
    map_location : str, optional
        The device of the tensors; the default device if it is not given.
    weights_only : bool
        Only True: the format holds nothing else.

    Returns
    -------
    dict of str to Tensor

    Raises
    ------
    TensorFileError
        If the file is absent, truncated or corrupt, has another format, or numbers that tensors do not have.

    Examples
    --------
    >>> import tempfile
    >>> from minicnn import nn
    >>> model = nn.Linear(3, 2)
    >>> path = f"{tempfile.mkdtemp()}/linear.safetensors"
    >>> save(model.state_dict(), path)
    >>> model.load_state_dict(load(path))
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    """
    only("load", "weights_only", weights_only, True)
    device = get_default_device() if map_location is None else map_location
    with reading_safetensors(f, TensorFileError, "a safetensors file") as file:
        arrays = {name: Tensor(np.array(file.get_tensor(name))).data for name in file.keys()}
    return {name: Tensor(to_device(array, device)) for name, array in arrays.items()}


@contextmanager
def reading_safetensors(
    path: str | os.PathLike[str], error: type[MinicnnError], kind: str, most: float = float("inf")
) -> Iterator[Any]:
    """Open a safetensors file for reading, and turn every error that comes from its contents into `error`.

    Parameters
    ----------
    path : path
    error : type of MinicnnError
    kind : str
        What the file is expected to be, for the message.
    most : float
        A file of more bytes is refused before it is opened.
    """
    from safetensors import SafetensorError, safe_open

    from minicnn.files import regular_file

    name = os.fspath(path)
    try:
        if regular_file(path).st_size > most:
            raise ValueError(f"it is larger than {most / 2**30:g} GiB")
        with safe_open(path, framework="numpy") as file:
            yield file
    except OSError as found:
        raise error(f"{name} cannot be read: {found.strerror or found}") from found
    except SafetensorError as found:
        raise error(f"{name} is truncated, corrupt or not {kind}: {found}") from found
    except KeyError as found:
        raise error(f"{name} cannot be used: {found} is missing in it") from found
    except (ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, RecursionError) as found:
        raise error(f"{name} cannot be used: {found or type(found).__name__}") from found
