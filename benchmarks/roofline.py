"""The roofline figure of ``ops``: how close each operation comes to the limits of the machine."""

from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {
    "Conv2d": "tab:blue",
    "Linear": "tab:purple",
    "LocalResponseNorm": "tab:red",
    "MaxPool2d": "tab:green",
    "ReLU": "tab:orange",
    "Dropout": "tab:brown",
    "SGD": "black",
}
MARKERS = {"forward": "o", "backward": "s", "step": "D"}


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw operations per second over operations per byte.

    There is a point for each kind of layer and each pass, over all its layers: filled for minicnn, hollow for the best
    other contender.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    points = _together(result)
    kinds = [kind for kind in COLOURS if any(point["kind"] == kind for point in points)]
    roofs = result["roofs"]
    ridge = roofs["flops_per_s"] / roofs["bytes_per_s"]
    ends = [point["intensity"] for point in points]
    x = np.array([min(ends) / 2, ridge, max(*ends, ridge) * 2])
    axes.plot(x, np.minimum(x * roofs["bytes_per_s"], roofs["flops_per_s"]) / 1e9, color="grey", linewidth=2, zorder=1)
    for point in points:
        style: dict[str, Any] = {
            "color": COLOURS[point["kind"]],
            "marker": MARKERS[point["which"]],
            "linestyle": "none",
        }
        ours, *others = point["gflops"].values()
        axes.plot(point["intensity"], ours, markersize=8, **style)
        if others:
            axes.plot(point["intensity"], max(others), fillstyle="none", markersize=10, **style)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="operations per byte that must be read or written",
        ylabel="GFLOP/s",
        title=f"{result['network']}, batch {result['batch']}: its layers under the roof of "
        f"{roofs['flops_per_s'] / 1e9:.0f} GFLOP/s and {roofs['bytes_per_s'] / 1e9:.0f} GB/s",
    )
    axes.grid(alpha=0.3)
    grey: dict[str, Any] = {"color": "grey", "linestyle": "none"}
    legend = [Line2D([], [], color=COLOURS[kind], linewidth=5, label=kind) for kind in kinds]
    legend += [Line2D([], [], marker=marker, label=which, **grey) for which, marker in MARKERS.items()]
    if len(result["contenders"]) > 1:
        legend.append(Line2D([], [], marker="o", fillstyle="none", label="hollow: PyTorch's better layout", **grey))
    axes.legend(handles=legend, loc="lower right")
    figure.savefig(path, dpi=120)


def _together(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a point for each kind of layer and pass: operations per byte, and each contender's GFLOP/s."""
    points = []
    for kind in COLOURS:
        for which in MARKERS:
            some = [each for each in result["operations"] if (each["kind"], each["which"]) == (kind, which)]
            if some:
                flops = sum(each["flops"] for each in some)
                seconds = {name: sum(each["seconds"][name]["median"] for each in some) for name in result["contenders"]}
                points.append(
                    {
                        "kind": kind,
                        "which": which,
                        "intensity": flops / sum(each["bytes"] for each in some),
                        "gflops": {name: flops / total / 1e9 for name, total in seconds.items()},
                    }
                )
    return points
