"""Eight years of the ImageNet challenge, and the leap of 2012."""

from __future__ import annotations

from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from minicnn.viz.style import FAINT, INK

__all__ = ["HUMAN", "RUNNER_UP_2012", "WINNERS", "Winner", "draw_winners"]


class Winner(NamedTuple):
    """The winner of the classification task in one year.

    Attributes
    ----------
    year : int
    name : str
        The network's or the team's.
    error : float
        The top-5 error on the test set, in percent.
    is_network : bool
        Whether it was a convolutional network.
    """

    year: int
    name: str
    error: float
    is_network: bool


WINNERS = (
    Winner(2010, "NEC-UIUC", 28.2, False),
    Winner(2011, "XRCE", 25.77, False),
    Winner(2012, "AlexNet", 15.3, True),  # seven networks and more data; 16.4 with the challenge's data alone
    Winner(2013, "Clarifai", 11.2, True),  # 11.7 likewise
    Winner(2014, "GoogLeNet", 6.66, True),
    Winner(2015, "ResNet", 3.57, True),
    Winner(2016, "Trimps-Soushen", 2.99, True),
    Winner(2017, "SENet", 2.251, True),
)
RUNNER_UP_2012 = 26.2  # not a network
HUMAN = 5.1  # one trained person

ALEXNET, NETWORK, OTHER = "#c8500a", "#0b62a4", "#b3b3b3"
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # keeps the dashed line off the numbers


def draw_winners() -> Figure:
    """Draw the winners' top-5 error by year, with AlexNet and the level of a human marked.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Russakovsky et al. 2015, "ImageNet large scale visual recognition challenge", and the challenge's result pages.
    """
    figure = Figure(figsize=(9.2, 5.0), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12))
    axes = figure.subplots()
    years = [winner.year for winner in WINNERS]
    colors = [ALEXNET if w.name == "AlexNet" else NETWORK if w.is_network else OTHER for w in WINNERS]
    axes.bar(years, [winner.error for winner in WINNERS], width=0.66, color=colors)
    for winner, color in zip(WINNERS, colors, strict=True):
        shade = INK if color == OTHER else color
        axes.text(
            winner.year, winner.error + 0.4, f"{winner.error:.3g}", ha="center", fontsize=11, color=shade, bbox=PAPER
        )
    axes.plot([2009.5, 2017.45], [HUMAN, HUMAN], color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(2017.5, HUMAN, f"a human\nbeing: {HUMAN}", fontsize=9.5, color=INK, va="center")
    axes.plot([2011.67, 2012.33], [RUNNER_UP_2012] * 2, color=OTHER, linewidth=2.5)
    axes.text(
        2012.4, RUNNER_UP_2012, f"runner-up, no network: {RUNNER_UP_2012}", va="center", fontsize=9.5, color=FAINT
    )

    axes.set_xlim(2009.45, 2018.25)
    axes.set_ylim(0, 31)
    axes.set_xticks(years, labels=[f"{winner.year}\n{winner.name}" for winner in WINNERS])
    for label, color in zip(axes.get_xticklabels(), colors, strict=True):
        label.set(fontsize=9.5, color=INK if color != ALEXNET else ALEXNET)
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0, symbol=" %"))
    axes.set_ylabel("top-5 error", color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(axis="both", length=0)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.legend(
        handles=[
            Patch(color=OTHER, label="no neural network"),
            Patch(color=ALEXNET, label="AlexNet, with data beyond the challenge's (16.4 without)"),
            Patch(color=NETWORK, label="other convolutional networks (2013: 11.7 without)"),
        ],
        loc="upper right",
        bbox_to_anchor=(1, 0.8),
        frameon=False,
        fontsize=9.5,
    )
    figure.suptitle("The ImageNet challenge (ILSVRC): top-5 error of each year's winner", color=INK, fontsize=12.5)
    return figure
