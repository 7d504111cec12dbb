"""The figure of ``scaling``: time and memory over batch, image size and width."""

from pathlib import Path
from typing import Any

from benchmarks.scaling import BASE, Line, lines

COLOURS = {"minicnn": "tab:blue", "torch NCHW": "tab:orange", "torch channels_last": "tab:red"}
ALONG = {"batch": "images in a step", "size": "height and width of the images", "width": "width of the network"}
MEASURED = {"seconds": "seconds of a training step", "peak_bytes": "peak memory without the libraries, GB"}


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw a column of panels for each sweep, each with the slopes of its lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = {name: each for name in result["sweeps"] if (each := lines(result["rows"], name))}
    if not found:
        return
    figure = Figure(figsize=(1.5 + 4 * len(found), 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(found), squeeze=False, sharey="row", sharex="col")
    for column, (sweep, each) in enumerate(found.items()):
        for axes, measured in zip(grid[:, column], MEASURED, strict=True):
            _panel(axes, each, sweep, measured)
        kept = [f"{name} {value:g}" for name, value in BASE._asdict().items() if name != sweep]
        grid[0, column].set_title(", ".join(kept), fontsize=10)
        grid[1, column].set_xlabel(ALONG[sweep])
    for axes, label in zip(grid[:, 0], MEASURED.values(), strict=True):
        axes.set_ylabel(label)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(
        f"{result['network']}: how a training step grows, {result['threads']} threads (slopes over the larger half)"
    )
    figure.savefig(path, dpi=120)


def _panel(axes: Any, each: dict[str, Line], sweep: str, measured: str) -> None:
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    slopes = []
    for name, line in each.items():
        colour = COLOURS.get(name, "black")
        axes.plot(
            line.along(sweep), _scaled(line.along(measured), measured), "o-", color=colour, label=name, markersize=4
        )
        slopes.append((line.slope(measured), colour))
    if measured == "seconds":  # beside them the multiply-adds, at the speed of the first contender's largest step
        ours = next(iter(each.values()))
        work, seconds = ours.along("multiply_adds"), ours.along("seconds")
        y = [seconds[-1] * count / work[-1] for count in work]
        axes.plot(ours.along(sweep), y, "--", color="grey", label="multiply-adds", zorder=1)
        slopes.append((ours.slope("multiply_adds"), "grey"))
    for place, (slope, colour) in enumerate(slopes):
        if slope is not None:
            text, where = f"slope {slope:.2f}", (0.03, 0.94 - 0.07 * place)
            axes.text(*where, text, transform=axes.transAxes, color=colour, va="center")
    ticks = sorted({value for line in each.values() for value in line.along(sweep)})
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # whole powers of ten would be too few for the memory
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.margins(x=0.06)


def _scaled(values: list[float], measured: str) -> list[float]:
    return [value / 1e9 for value in values] if measured == "peak_bytes" else values
