"""PyTorch's own samples of its operations: each gives the same here, with its gradients, or is refused clearly."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")

import opinfo_samples  # noqa: E402
from with_torch import IS_THE_TABLES_VERSION  # noqa: E402

pytestmark = pytest.mark.torch

BOUNDS = opinfo_samples.bounds() if IS_THE_TABLES_VERSION else {}
# The network's own operations, of which a number of samples in all is promised.
CORE = (
    "nn.functional.conv2d",
    "nn.functional.max_pool2d",
    "nn.functional.avg_pool2d",
    "nn.functional.local_response_norm",
    "nn.functional.relu",
    "nn.functional.linear",
    "nn.functional.cross_entropy",
    "tanh",
    "sigmoid",
    "softmax",
    "log_softmax",
)
CORE_MATCHES = 1546


@pytest.mark.parametrize("info", opinfo_samples.infos(), ids=opinfo_samples.full_name)
def test_samples_give_the_same_or_are_refused(info: Any) -> None:
    outcome = opinfo_samples.compare(info)
    assert not outcome.wrong, "\n".join(outcome.wrong)
    bound = BOUNDS.get(outcome.name, 0)
    assert outcome.counts["match"] >= bound, "\n".join(outcome.refused)
    print(f"\n{outcome.name}: {outcome.counts['match']} of {outcome.samples} match, the others are refused")


@pytest.mark.parametrize("name", CORE)
def test_samples_in_single_precision(name: str) -> None:
    (info,) = (info for info in opinfo_samples.infos() if opinfo_samples.full_name(info) == name)
    outcome = opinfo_samples.compare(info, torch.float32)
    assert not outcome.wrong, "\n".join(outcome.wrong)
    assert outcome.counts["match"] >= BOUNDS.get(name, 0)


@pytest.mark.skipif(not IS_THE_TABLES_VERSION, reason="the table is of another version of PyTorch")
def test_the_table_is_of_today() -> None:
    """It has a row for every operation that both have, and for no other."""
    assert list(BOUNDS) == [opinfo_samples.full_name(info) for info in opinfo_samples.infos()], (
        "write it anew: PYTHONPATH=. python tests/references/opinfo_samples.py --write"
    )
    assert sum(BOUNDS[name] for name in CORE) >= CORE_MATCHES
