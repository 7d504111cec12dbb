"""Batches on their way to a GPU, on a fake one or two and on a real one."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.backend import asnumpy, device_of, to_device


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
