"""Everything below the arithmetic: NumPy or CuPy arrays, devices, memory, random numbers, and the processor's cores."""

from minicnn.backend.arrays import Array, asnumpy, get_array_module
from minicnn.backend.batch_part import BatchPart, batch_part, working_on
from minicnn.backend.cores import elementwise, get_num_threads, matmul, product, set_num_threads, split
from minicnn.backend.cpu_limits import IN_BROWSER, available_cores
from minicnn.backend.devices import (
    DeviceError,
    checked_device,
    device_of,
    get_default_device,
    get_tf32,
    gpu_facts,
    match_tf32,
    on_device_of,
    same_device,
    set_default_device,
    set_tf32,
    to_device,
)
from minicnn.backend.edits import Edits, any_shares, place_of
from minicnn.backend.memory import empty, owns_memory, whole_images
from minicnn.backend.random import drawn_seed, generator, manual_seed, random_uniform
from minicnn.backend.staging import HostBuffer, page_locked, staged

__all__ = [
    "IN_BROWSER",
    "Array",
    "BatchPart",
    "DeviceError",
    "Edits",
    "HostBuffer",
    "any_shares",
    "asnumpy",
    "available_cores",
    "batch_part",
    "checked_device",
    "device_of",
    "drawn_seed",
    "elementwise",
    "empty",
    "generator",
    "get_array_module",
    "get_default_device",
    "get_num_threads",
    "get_tf32",
    "gpu_facts",
    "manual_seed",
    "match_tf32",
    "matmul",
    "on_device_of",
    "owns_memory",
    "page_locked",
    "place_of",
    "product",
    "random_uniform",
    "same_device",
    "set_default_device",
    "set_num_threads",
    "set_tf32",
    "split",
    "staged",
    "to_device",
    "whole_images",
    "working_on",
]
