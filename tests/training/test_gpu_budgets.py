"""What a training step asks of a GPU: how many launches and products, no waiting, and no new memory.

A fake GPU counts them. ``pytest -s tests/training/test_gpu_budgets.py`` prints the counts.
"""

from types import ModuleType
from typing import Any

import fake_counts
import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, backend, models, nn, optim
from minicnn.data import Loader
from minicnn.training import train_epoch


def counts_of_a_step(config: dict[str, Any], size: int, batch: int) -> fake_counts.Counts:
    """Return what the third step asks for: by then the optimiser has its state, and the pool its memory."""
    network = models.build(config).to("cuda")
    images = backend.to_device(np.zeros((batch, 3, size, size), np.float32), "cuda")
    labels = backend.to_device(np.zeros(batch, np.int64), "cuda")
    optimizer = optim.SGD(network.parameters(), lr=0.001, momentum=0.9, weight_decay=0.0005)
    with fake_counts.counting(only=True) as counts, np.errstate(all="ignore"):
        for _ in range(3):
            counts.forget()
            optimizer.zero_grad()
            loss = F.cross_entropy(network(Tensor(images)), labels)
            loss.backward()
            optimizer.step()
    print(f"\n{config}, batch {batch}: {counts}")
    return counts


@pytest.mark.parametrize(
    ("config", "size", "batch", "launches", "reductions", "products"),
    [
        ({"model": "four_layer"}, 32, 32, 37, 7, 11),
        pytest.param({"model": "alexnet"}, 227, 128, 65, 14, 26, marks=pytest.mark.slow),
    ],
    ids=["four-layer", "alexnet"],
)
def test_a_step_keeps_to_its_budget(
    two_gpus: ModuleType, config: dict[str, Any], size: int, batch: int, launches: int, reductions: int, products: int
) -> None:
    counts = counts_of_a_step(config, size, batch)
    assert counts.launches.total() <= launches
    assert counts.reductions.total() <= reductions
    assert len(counts.products) <= products
    assert not counts.waits  # the host queues work and waits for nothing
    assert counts.allocations == 0  # the memory of the step before is enough
    assert not any(product.copies for product in counts.products)
    aligned = [all(leading % 4 == 0 for leading in product.leading) for product in counts.products]
    of_ten_scores = 3 if config["model"] == "four_layer" else 0
    assert aligned.count(False) == of_ten_scores


def test_an_epoch_waits_only_to_read_losses_and_for_copies_two_batches_ago(two_gpus: ModuleType, rng: Any) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4)).to("cuda")
    images, labels = rng.standard_normal((80, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, 80)
    optimizer = optim.SGD(network.parameters(), lr=0.01)
    with fake_counts.counting() as counts:
        train_epoch(network, optimizer, Loader(images, labels, 10), read_every=4)
    steps = 8
    assert counts.waits["get"] == 2 * steps and counts.waits["item"] == steps  # labels, scores and losses
    assert counts.waits["Event.synchronize"] <= steps - 2 + 1
    assert set(counts.waits) == {"get", "item", "Event.synchronize"}
