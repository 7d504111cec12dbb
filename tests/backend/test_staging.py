"""Batches on their way to a GPU, on a fake one or two and on a real one."""

import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from minicnn import backend
from minicnn.backend import asnumpy, device_of, to_device
from minicnn.data import Loader


def test_staged_batches_arrive_in_order_and_stay_as_they_are(gpu: str, rng: Any) -> None:
    sizes = (4, 4, 4, 4, 3)
    batches = [(rng.standard_normal((n, 3)).astype(np.float32), np.arange(n)) for n in sizes]
    kept = list(backend.staged(((images.copy(), labels) for images, labels in batches), gpu))
    for (images, labels), (there, labels_there) in zip(batches, kept, strict=True):
        assert (device_of(there), there.dtype, labels_there.dtype) == ("cuda:0", images.dtype, labels.dtype)
        np.testing.assert_array_equal(asnumpy(there), images)
        np.testing.assert_array_equal(asnumpy(labels_there), labels)


def test_staged_reads_one_batch_ahead(gpu: str) -> None:
    asked = []

    def batches() -> Iterator[tuple[np.ndarray]]:
        for number in range(4):
            asked.append(number)
            yield (np.full(3, number),)

    handed_out = [(int(asnumpy(array)[0]), asked[-1]) for (array,) in backend.staged(batches(), gpu)]
    assert handed_out == [(0, 1), (1, 2), (2, 3), (3, 3)]


def test_staged_waits_for_what_is_on_its_way_when_it_is_left(two_gpus: ModuleType) -> None:
    stages = backend.staged(((np.full(3, number),) for number in range(4)), "cuda:1")
    next(stages)
    stream = stages.gi_frame.f_locals["stage"].stream
    assert stream.waiting  # for the second batch
    stages.close()
    assert not stream.waiting


def test_staged_leaves_alone_what_is_there_already(gpu: str) -> None:
    there, here = to_device(np.ones(3), gpu), np.ones(3)
    ((first, second),) = backend.staged([(there, here)], gpu)
    assert first is there and device_of(second) == "cuda:0"
    ((same,),) = backend.staged([(here,)], "cpu")
    assert same is here
    assert list(backend.staged([], gpu)) == []


def test_the_workers_of_a_loader_copy_to_page_locked_memory(
    two_gpus: ModuleType, monkeypatch: pytest.MonkeyPatch, rng: Any
) -> None:
    import cupyx

    threads, new = [], cupyx.empty_pinned

    def noted(*arguments: Any) -> np.ndarray:
        threads.append(threading.current_thread().name)
        return new(*arguments)

    monkeypatch.setattr(cupyx, "empty_pinned", noted)
    images, labels = rng.standard_normal((50, 3, 4, 4)), np.arange(50)
    loader = Loader(images, labels, 4, seed=1, workers=2, pin_memory=True)
    kept = list(backend.staged(loader.batches(0), "cuda"))
    for (there, labels_there), (here, labels_here) in zip(
        kept, Loader(images, labels, 4, seed=1).batches(0), strict=True
    ):
        np.testing.assert_array_equal(asnumpy(there), here)
        np.testing.assert_array_equal(asnumpy(labels_there), labels_here)
    by_workers = [name for name in threads if name.startswith("minicnn-ahead")]
    assert len(by_workers) == len(kept)
    assert len(threads) - len(by_workers) <= 3  # the labels, in turns, and once more for the last, smaller batch


def test_page_locked_arrays_are_sent_as_they_are_and_others_still_copied(two_gpus: ModuleType) -> None:
    """In turns: what belongs to a batch is never written into."""
    batches = [(np.full(5, number),) for number in range(8)]
    mixed = [(backend.page_locked(array),) if number % 3 else (array,) for number, (array,) in enumerate(batches)]
    for (there,), (here,), (original,) in zip(backend.staged(mixed, "cuda"), mixed, batches, strict=True):
        np.testing.assert_array_equal(asnumpy(there), original)
        np.testing.assert_array_equal(here, original)
    there = to_device(np.ones(3), "cuda")
    assert backend.page_locked(there) is there


def test_a_loader_whose_images_live_on_a_gpu_leaves_them_there(two_gpus: ModuleType) -> None:
    images = to_device(np.ones((4, 1, 2, 2), np.float32), "cuda")
    assert {device_of(batch) for batch, _ in Loader(images, np.arange(4), 2, pin_memory=True)} == {"cuda:0"}
