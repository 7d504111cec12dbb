"""Whether there is a GPU, under PyTorch's name."""

from minicnn.backend import DeviceError, checked_device

__all__ = ["is_available"]


def is_available() -> bool:
    """Return whether CuPy is installed and finds a GPU.

    Examples
    --------
    >>> device = "cuda" if is_available() else "cpu"
    """
    try:
        checked_device("cuda")
    except DeviceError:
        return False
    return True
