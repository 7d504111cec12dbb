"""Which saved arrays look at the memory that was written."""

import weakref
from typing import Any

import fake_counts
import numpy as np
import pytest

import minicnn
from minicnn.autograd import mark_written
from minicnn.backend import any_shares, place_of, to_device


@pytest.fixture(params=["cpu", "gpu"])
def place(request: pytest.FixtureRequest) -> str:
    if request.param == "cpu":
        return "cpu"
    request.getfixturevalue("two_gpus")
    return "cuda"


def test_views_share_and_copies_do_not(place: str) -> None:
    array = to_device(np.arange(6.0), place)
    assert any_shares([1, None, "a", array.reshape(2, 3).T], array)
    assert any_shares([array], array[2:3])
    assert not any_shares([array.copy(), (1, 2), 3], array)
    assert not any_shares([array[:3]], array[3:])
    assert not any_shares([array[::2]], array[1::2])  # between each other's numbers
    assert not any_shares([array[:0]], array[:0])


def test_arrays_without_dimensions_share_if_they_are_one(place: str) -> None:
    array, other = (to_device(np.array(3.0), place) for _ in range(2))
    assert any_shares([other, array.reshape(())], array)
    assert not any_shares([other], array)


def test_equal_addresses_on_two_devices_are_two_places() -> None:
    array = np.arange(6.0)
    here = place_of(array)
    assert any_shares([array], here)
    assert not any_shares([array], here._replace(device="cuda:0"))


def test_no_gpu_is_waited_for(two_gpus: Any) -> None:
    array = to_device(np.arange(6.0), "cuda:1")
    with fake_counts.counting() as counts:
        assert any_shares([array[2:]], array[:3])
        assert not any_shares([to_device(np.arange(6.0), "cuda:0")], array)
    assert not counts.waits and not counts.launches


def test_a_note_of_what_was_written_does_not_keep_it() -> None:
    tensor = minicnn.Tensor(np.ones(3))
    mark_written(tensor, "a test")
    edits, gone = tensor.edits, weakref.ref(tensor.data)
    del tensor
    assert gone() is None and edits.place is not None and edits.place.addresses.shape == (3,)
