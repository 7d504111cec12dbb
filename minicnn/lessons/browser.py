"""What the lessons do less of in a browser."""

from minicnn.backend import IN_BROWSER

__all__ = ["training_epochs"]


def training_epochs(usual: int, in_browser: int) -> int:
    """Return for how many epochs a lesson trains: in a browser for fewer, and a printed line says so.

    Parameters
    ----------
    usual : int
        How many, where Python has its compiled kernels. The lesson's text describes what comes of these.
    in_browser : int
        How many in a browser, so that a cell takes less than a minute.

    Examples
    --------
    >>> training_epochs(40, in_browser=16)
    40
    """
    if not IN_BROWSER:
        return usual
    print(f"In a browser Python is slow, so this trains for {in_browser} epochs. The text describes {usual}.")
    return in_browser
