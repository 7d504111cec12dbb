"""Installation commands for messages, in one place.

The distribution is called ``minicnn-alexnet``: ``minicnn`` on PyPI is another project.
"""

import shlex
from pathlib import Path

__all__ = ["DISTRIBUTION", "install_command", "pip_install"]

DISTRIBUTION = "minicnn-alexnet"

_CHECKOUT = Path(__file__).parents[1]


def install_command(extra: str = "") -> str:
    """Return the command that installs minicnn, its missing requirements included.

    In a clone of the repository it installs the clone, otherwise the distribution from PyPI.

    Parameters
    ----------
    extra : str
        An optional group of requirements, such as "cuda12".

    Examples
    --------
    In a clone:

    >>> install_command("onnx")
    "python -m pip install -e '.[onnx]'"
    """
    brackets = f"[{extra}]" if extra else ""
    if (_CHECKOUT / "setup.cfg").is_file():
        return pip_install("-e", f".{brackets}")
    return pip_install(f"{DISTRIBUTION}{brackets}")


def pip_install(*arguments: str) -> str:
    """Return a ``pip install`` command, quoted for a shell."""
    return shlex.join(["python", "-m", "pip", "install", *arguments])
