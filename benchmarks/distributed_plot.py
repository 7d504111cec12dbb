"""What the model says of 1 to 1,024 processes that share a batch of 1,024 images, against the link between them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import networks
from minicnn import set_num_threads
from minicnn.models import TwoTowers
from minicnn.optim import SGD
from minicnn.training import step_model

RANKS = [2**power for power in range(11)]
LINKS = {"10 Gbit/s": 10e9 / 8, "100 Gbit/s": 100e9 / 8, "400 Gbit/s": 400e9 / 8}  # bytes a second
LATENCY = 5e-6  # seconds: such links are not used through TCP
BATCH = 1024  # images of all processes
MEASURED = 32  # images: a step of more takes as much longer as they are more


def model(steps: int) -> dict[str, Any]:
    """Measure steps of one process with a thread and 1 to 32 images, and predict those of more processes."""
    set_num_threads(1)
    config = networks.CONFIGS["alexnet"]
    network = networks.built(config)
    optimizer = SGD(network.parameters(), **networks.SGD)
    profiles: dict[int, step_model.Profile] = {}
    for ranks in RANKS:
        images = BATCH // ranks
        if images <= MEASURED:
            profiles[images] = step_model.profile(network, optimizer, *networks.batch_of(config, images), steps)
    for images in (BATCH // ranks for ranks in RANKS if BATCH // ranks > MEASURED):
        profiles[images] = profiles[MEASURED].stretched(images)
    towers = networks.built({**config, "devices": ["cpu", "cpu"]})
    assert isinstance(towers, TwoTowers)
    crossings = step_model.crossing_bytes(towers, networks.batch_of(config, 1)[0].shape[1:])
    rows = []
    for link, rate in LINKS.items():
        for ranks in RANKS:
            step = profiles[BATCH // ranks]
            steps_of = {"data parallel": step_model.data_parallel(step, ranks, rate, LATENCY)}
            if ranks > 1:
                steps_of["towers"] = step_model.split_towers(step, crossings, ranks, rate, LATENCY)
            for kind, each in steps_of.items():
                rows.append({"kind": kind, "link": link, "ranks": ranks, **asdict(each)})
    measured = {images: asdict(each) for images, each in profiles.items() if images <= MEASURED}
    return {"benchmark": "distributed model", "profiles": measured, "crossings": crossings, "rows": rows}


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw how many times as fast as one process they are."""
    from matplotlib.figure import Figure

    alone = result["rows"][0]["seconds"]
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for kind, place in zip(("data parallel", "towers"), axes, strict=True):
        place.plot(RANKS, RANKS, color="0.7", linestyle="--", label="as many times as processes")
        for link in LINKS:
            rows = [row for row in result["rows"] if (row["kind"], row["link"]) == (kind, link)]
            speedups = [alone / row["seconds"] for row in rows]
            width = 4 if link.startswith("100") else 1.5  # it lies under that of 400
            ranks = [row["ranks"] for row in rows]
            place.plot(ranks, speedups, marker="o", markersize=3, linewidth=width, label=link)
        place.set_xscale("log", base=2)
        place.set_yscale("log", base=2)
        ticks = [1, 4, 16, 64, 256, 1024]
        place.set_xticks(ticks, map(str, ticks))
        place.set_yticks(ticks, map(str, ticks))
        place.set_xlabel("processes")
        place.set_title("data parallel" if kind == "data parallel" else "pairs with a tower each, data parallel")
        place.grid(alpha=0.3)
    axes[0].set_ylabel("times as fast as one process")
    axes[0].legend()
    figure.suptitle(f"AlexNet, {BATCH:,} images a step, one thread for each process: what the model says")
    figure.savefig(path, dpi=110)
