"""The base class of every error that one line can explain to the user."""

__all__ = ["MinicnnError"]


class MinicnnError(RuntimeError):
    """Something outside the program is wrong: a file, a setting, a device. The message says what, and what to do.

    The command line prints the message of such an error and exits with status 2. A wrong argument of a function raises
    TypeError or ValueError instead, as everywhere in Python.
    """
