"""The error of data that cannot be used."""

from minicnn.errors import MinicnnError

__all__ = ["DataError"]


class DataError(MinicnnError):
    """A data file is missing, truncated, corrupt or cannot be downloaded; the message names the file."""
