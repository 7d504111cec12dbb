"""Everything below the arithmetic: NumPy or CuPy arrays, devices, memory, random numbers, and the processor's cores."""

from minicnn.backend.arrays import Array, asnumpy, get_array_module
from minicnn.backend.cores import elementwise, get_num_threads, matmul, product, set_num_threads, split
from minicnn.backend.cpu_limits import IN_BROWSER, available_cores
from minicnn.backend.devices import (
    DeviceError,
    checked_device,
    device_of,
    get_default_device,
    get_tf32,
    gpu_facts,
    on_device_of,
    same_device,
    set_default_device,
    set_tf32,
    to_device,
)
from minicnn.backend.edits import Edits, any_shares
from minicnn.backend.memory import empty, owns_memory, piece_bytes
from minicnn.backend.random import generator, manual_seed, random_uniform
from minicnn.backend.staging import staged

__all__ = [
    "IN_BROWSER",
    "Array",
    "DeviceError",
    "Edits",
    "any_shares",
    "asnumpy",
    "available_cores",
    "checked_device",
    "device_of",
    "elementwise",
    "empty",
    "generator",
    "get_array_module",
    "get_default_device",
    "get_num_threads",
    "get_tf32",
    "gpu_facts",
    "manual_seed",
    "matmul",
    "on_device_of",
    "owns_memory",
    "piece_bytes",
    "product",
    "random_uniform",
    "same_device",
    "set_default_device",
    "set_num_threads",
    "set_tf32",
    "split",
    "staged",
    "to_device",
]
