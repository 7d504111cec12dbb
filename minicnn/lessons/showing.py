"""What the lessons show that a notebook does not show by itself."""

from __future__ import annotations

import re

from matplotlib.animation import Animation

__all__ = ["Player", "play"]

# The buttons' pictures would come from the network.
SIGNS = {
    "minus": "\u2212",
    "plus": "+",
    "fast-backward": "|\u25c0",
    "step-backward": "\u25c0|",
    "play fa-flip-horizontal": "\u25c0",
    "pause": "||",
    "play": "\u25b6",
    "step-forward": "|\u25b6",
    "fast-forward": "\u25b6|",
}


class Player:
    """An animation with its buttons, as something that a notebook shows and that plays without one.

    Parameters
    ----------
    page : str
        HTML.
    """

    def __init__(self, page: str) -> None:
        self.page = page

    def _repr_html_(self) -> str:
        return self.page


def play(animation: Animation, dpi: int = 80) -> Player:
    """Show an animation in a notebook, and in the pages made from it, without anything from the network.

    Parameters
    ----------
    animation : matplotlib.animation.Animation
        For instance from :func:`minicnn.viz.animate_im2col`.
    dpi : int
        Pixels per inch of its figure: fewer make a smaller page.

    Returns
    -------
    Player
        To be the last line of a cell.
    """
    figure = animation._fig  # type: ignore[attr-defined]
    figure.set_dpi(dpi)
    page = animation.to_jshtml(default_mode="once")
    page = re.sub(r"<link[^>]*>", "", page)
    return Player(re.sub(r'<i class="fa fa-([\w -]+)"></i>', lambda found: SIGNS[found[1]], page))
