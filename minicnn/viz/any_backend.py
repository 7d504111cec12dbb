"""Import matplotlib also where MPLBACKEND names no back end, which matplotlib refuses: figures here need none."""

import os
import sys
from contextlib import suppress

__all__: list[str] = []

if "matplotlib" not in sys.modules and (wanted := os.environ.pop("MPLBACKEND", None)):
    try:
        import matplotlib

        with suppress(ValueError):
            matplotlib.rcParams["backend"] = wanted  # as matplotlib itself does, for pyplot in a notebook
    finally:
        os.environ["MPLBACKEND"] = wanted
