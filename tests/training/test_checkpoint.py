from pathlib import Path

import numpy as np
import pytest

from minicnn import Tensor, nn, optim
from minicnn.training import CheckpointError, load_state, save_state


def network_and(kind: str) -> tuple[nn.Sequential, optim.Optimizer]:
    network = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    parameters = list(network.parameters())
    return network, optim.SGD(parameters, lr=0.1, momentum=0.9) if kind == "sgd" else optim.Adam(parameters, lr=0.01)


def step(network: nn.Sequential, optimizer: optim.Optimizer, rng: np.random.Generator) -> None:
    optimizer.zero_grad()
    (network(Tensor(rng.standard_normal((5, 4), dtype=np.float32))) ** 2).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_what_is_loaded_goes_on_bit_for_bit(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state.safetensors"
    network, optimizer = network_and(kind)
    rng = np.random.default_rng(0)
    for _ in range(3):
        step(network, optimizer, rng)
    save_state(path, network, optimizer, {"epoch": 3, "note": "ü"})
    for _ in range(3):
        step(network, optimizer, rng)

    again, its_optimizer = network_and(kind)
    rng = np.random.default_rng(0)
    for _ in range(3):
        rng.standard_normal((5, 4), dtype=np.float32)
    assert load_state(path, again, its_optimizer) == {"epoch": 3, "note": "ü"}
    for _ in range(3):
        step(again, its_optimizer, rng)
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, again.state_dict()[name])


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    network, optimizer = network_and("sgd")
    step(network, optimizer, np.random.default_rng(0))
    save_state(path, network, optimizer, {})
    whole = path.read_bytes()
    load_state(path, network, optimizer)
    for length in {0, 1, 7, 8, 9, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="state.safetensors"):
            load_state(path, network, optimizer)


def test_what_is_absent_foreign_or_of_another_network_is_refused(tmp_path: Path) -> None:
    import safetensors.numpy

    network, optimizer = network_and("sgd")
    with pytest.raises(CheckpointError, match="absent"):
        load_state(tmp_path / "absent", network, optimizer)
    foreign = tmp_path / "foreign"
    foreign.write_bytes(safetensors.numpy.save({"a": np.ones(2)}))
    with pytest.raises(CheckpointError, match="foreign"):
        load_state(foreign, network, optimizer)
    save_state(tmp_path / "state", network, optimizer, {})
    other = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(CheckpointError, match=r"missing|misshapen|unexpected"):
        load_state(tmp_path / "state", other, optim.SGD(other.parameters(), lr=0.1))
