"""A CuPy for machines without a GPU, so that everything around the GPU is tested on them too.

The arrays are NumPy's inside a wrapper that is as strict as CuPy: a NumPy array is never accepted as a GPU array, nor
converted implicitly, and functions accept only arrays of the current GPU. Only what minicnn uses is here. To use more
of CuPy, check in its documentation that the function exists and means the same as NumPy's, and add its name below.

`RawModule` compiles CUDA C with g++ and ``tests/kernels/cuda_on_cpu.h``. Arguments must have exactly the types that the
kernel declares, and a kernel that writes outside its arrays is an error.

It counts what a real GPU would be asked to do (`fake_counts`), and multiplies matrices as CuPy does (`fake_products`).
Numbers of single precision that are too small for a full mantissa become 0, in kernels and in CuPy's own functions:
CuPy compiles with -ftz=true.

This cannot show that NVIDIA's compiler accepts the source, how it rounds, and how fast it is.
"""

import ctypes
import functools
import operator
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import fake_counts
import fake_products
import numpy as np

HEADER = Path(__file__).parents[1] / "kernels" / "cuda_on_cpu.h"
COMPILER = shutil.which("g++")

FUNCTIONS = (
    "abs arange argmax argmin array_equal asfortranarray broadcast_to concatenate divide einsum empty empty_like exp "
    "expand_dims full isfinite log matmul maximum may_share_memory minimum multiply ndim ones ones_like outer pad "
    "put_along_axis shares_memory sign sqrt stack sum take_along_axis tanh where zeros zeros_like"
).split()
METHODS = "all any argmax argmin astype fill max mean min ravel reshape squeeze sum swapaxes tolist transpose".split()
VIEWS = "ravel reshape squeeze swapaxes tolist transpose".split()
REDUCTIONS = "all any argmax argmin array_equal max mean min sum".split()
NO_LAUNCH = "empty empty_like may_share_memory ndim".split()
CONSTANTS = "bool_ float32 float64 inf int32 int64 nan newaxis uint8 uint64".split()


# --- arrays ------------------------------------------------------------------------------------------------------


class Device:
    """``cupy.cuda.Device``: in a ``with`` block, new arrays are made on this GPU."""

    count = 2
    current = 0

    def __init__(self, id: int | None = None) -> None:
        self.id = Device.current if id is None else id
        self.before: list[int] = []
        if self.id >= Device.count:
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __enter__(self) -> "Device":
        self.before.append(Device.current)
        Device.current = self.id
        return self

    def __exit__(self, *error: object) -> None:
        Device.current = self.before.pop()

    def synchronize(self) -> None:
        fake_counts.wait("Device.synchronize")

    def use(self) -> None:
        Device.current = self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return self.id


class ndarray:
    """An array that claims to be on a GPU."""

    def __init__(self, array: np.ndarray, device: Device, known: bool = False) -> None:
        self.array, self.device = array, device
        if array.base is None and not known:
            fake_counts.new_array(array)

    data = property(lambda self: SimpleNamespace(ptr=self.array.ctypes.data))
    shape = property(lambda self: self.array.shape)
    strides = property(lambda self: self.array.strides)
    dtype = property(lambda self: self.array.dtype)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    nbytes = property(lambda self: self.array.nbytes)
    itemsize = property(lambda self: self.array.itemsize)
    flags = property(lambda self: SimpleNamespace(c_contiguous=self.array.flags.c_contiguous))
    flat = property(lambda self: self.array.flat)
    base = property(lambda self: None if self.array.base is None else ndarray(self.array.base, self.device, known=True))
    T = property(lambda self: ndarray(self.array.T, self.device))

    def get(self, stream: Any = None, out: Any = None, blocking: bool = True) -> np.ndarray:
        """Copy to the host; with ``blocking=False`` when the stream gets there, with the contents of that moment."""
        if blocking:
            fake_counts.wait("get")
            return self.array.copy()
        assert out.shape == self.shape and out.dtype == self.dtype and out.flags.c_contiguous
        stream.waiting.append(lambda: np.copyto(out, self.array))
        return np.asarray(out)

    def set(self, array: np.ndarray, stream: "Stream") -> None:
        """Copy from the host's memory when the stream gets there, with the contents of that moment."""
        assert array.shape == self.shape and array.dtype == self.dtype and array.flags.c_contiguous
        fake_counts.upload()
        # Only the memory is known to the stream: who drops the array too early sends what is written there afterwards.
        memory = array if array.base is None else np.ndarray(array.shape, array.dtype, array.base)
        stream.waiting.append(lambda: np.copyto(self.array, memory))

    def copy(self) -> "ndarray":
        """Return a copy on the current GPU."""
        fake_counts.launch("copy")
        return ndarray(self.array.copy(), Device())

    def item(self) -> Any:
        fake_counts.wait("item")
        return self.array.item()

    def __getitem__(self, index: Any) -> "ndarray":
        return _on_device(operator.getitem, view=True)(self, _index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        fake_counts.launch("setitem")
        _plain(self, Device())[_plain(_index(index), Device())] = _plain(value, Device())

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator["ndarray"]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        fake_counts.wait("bool")
        return bool(self.array)

    def __int__(self) -> int:
        fake_counts.wait("int")
        return int(self.array)

    def __float__(self) -> float:
        fake_counts.wait("float")
        return float(self.array)

    def __repr__(self) -> str:
        fake_counts.wait("repr")
        return repr(self.array)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Called by NumPy's ufuncs, as in ``np.isfinite(x)`` or ``np.float32(2) * x``."""
        return _on_device(getattr(ufunc, method))(*inputs, **options)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function.__name__ not in FUNCTIONS:
            raise TypeError(f"the fake CuPy has no {function.__name__}: add it if CuPy has it")
        return _on_device(function)(*arguments, **options)


ndarray.__module__ = "cupy"


class Stream:
    """A stream whose work is done as late as possible: when something waits for it. The current one works at once."""

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.is_current = null

    def record(self) -> "Event":
        return Event(self, len(self.waiting))

    def synchronize(self) -> None:
        self.record().synchronize()

    def wait_event(self, event: "Event") -> None:
        if self.is_current:
            event.finish()
        else:
            self.waiting.append(event.finish)


class Event:
    """A point in a stream's queue."""

    def __init__(self, stream: "Stream | None" = None, position: int = 0) -> None:
        self.stream = stream or Stream(null=True)
        self.todo = self.stream.waiting[:position]

    def record(self) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        fake_counts.wait("Event.synchronize")
        self.finish()

    def finish(self) -> None:
        """Do what is queued before this point."""
        for work in self.todo:
            if work in self.stream.waiting:
                self.stream.waiting.remove(work)
                work()


def _index(index: Any) -> Any:
    """Convert an index: CuPy copies an index that is a NumPy array or a list to the GPU."""
    parts = index if isinstance(index, tuple) else (index,)
    copied = tuple(part.copy() if isinstance(part, np.ndarray) else part for part in parts)
    wrapped = tuple(ndarray(part, Device()) if isinstance(part, np.ndarray) else part for part in copied)
    return wrapped if isinstance(index, tuple) else wrapped[0]


def _arrays(values: Any) -> Iterator[ndarray]:
    for value in values:
        if isinstance(value, ndarray):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _arrays(value)


def _plain(value: Any, device: Device) -> Any:
    """Return a value as NumPy accepts it, and reject what CuPy rejects."""
    if isinstance(value, ndarray):
        if value.device != device:
            raise ValueError(f"Array device must be same as the current device: {value.device.id} != {device.id}")
        return value.array
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(part, device) for part in value)
    return value


def _on_device(function: Callable[..., Any], view: bool = False) -> Callable[..., Any]:
    """Turn a function of NumPy into one of CuPy. Only views may be made on another GPU than the current one."""
    name = getattr(function, "__name__", "")

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        device = next(_arrays(arguments)).device if view else Device()
        plain = [_plain(value, device) for value in arguments]
        named = {name: _plain(value, device) for name, value in options.items()}
        if name == "matmul" and "out" in named and not fake_counts.computes():
            fake_products.matmul(plain[0], plain[1], named["out"], Device.current)
            return options["out"]
        result = function(*plain, **named)
        if plain and result is plain[0]:  # such as astype with copy=False
            return arguments[0]
        if name in _MAY_VIEW and isinstance(result, np.ndarray) and not np.may_share_memory(result, plain[0]):
            result = result if result.base is None else result.copy()  # with memory of its own
        _count(name, result, plain, named)
        out = options.get("out")
        if name not in _MOVES:
            _flush_subnormals(result)
        if out is not None:
            return out[0] if isinstance(out, tuple) else out
        if isinstance(result, (np.ndarray, np.generic)):  # CuPy returns 0-d arrays instead of scalars
            return ndarray(np.asarray(result), device)
        return result

    return call


def _count(name: str, result: Any, arguments: list[Any], options: dict[str, Any]) -> None:
    """Count what CuPy would have asked of a GPU to get this result."""
    if name in ("matmul", "__matmul__"):
        fake_products.matmul(arguments[0], arguments[1], options.get("out"), Device.current)
    elif name == "einsum":
        fake_counts.launch("einsum")
    elif name in ("tolist", "shares_memory"):
        fake_counts.wait(name)
        assert name == "tolist" or arguments[0].ndim or arguments[1].ndim, "CuPy answers wrongly for 0-d arrays"
    elif name in REDUCTIONS:
        fake_counts.reduction(name)
    elif name in NO_LAUNCH or (isinstance(result, np.ndarray) and result.base is not None and name in _MAY_VIEW):
        pass
    else:
        if name == "getitem" and any(part.dtype.kind == "b" for part in _parts(arguments[1])):
            fake_counts.wait("boolean index")  # for the number of its elements
        fake_counts.launch(name)


def _parts(index: Any) -> list[np.ndarray]:
    return [part for part in (index if isinstance(index, tuple) else (index,)) if isinstance(part, np.ndarray)]


_MAY_VIEW = (*VIEWS, "getitem", "broadcast_to", "expand_dims")
_MOVES = (*_MAY_VIEW, *NO_LAUNCH, "astype", "matmul", "__matmul__")  # these do not compute; cuBLAS keeps subnormals


def _flush_subnormals(result: Any) -> None:
    if isinstance(result, np.ndarray) and result.dtype == np.float32:
        np.copyto(result, 0 * result, where=np.abs(result) < np.finfo(np.float32).tiny)


def _method(name: str) -> Callable[..., Any]:
    function = _on_device(getattr(np.ndarray, name), view=name in VIEWS)
    return lambda self, *arguments, **options: function(self, *arguments, **options)


def _operator(function: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    def apply(self: ndarray, *others: Any) -> Any:
        if any(getattr(other, "__array_ufunc__", 0) is None for other in others):
            return NotImplemented
        operands = (*others, self) if reflected else (self, *others)
        return _on_device(function)(*operands)

    return apply


def _in_place(function: Any) -> Callable[..., Any]:
    def apply(self: ndarray, other: Any) -> ndarray:
        fake_counts.launch(function.__name__)
        function(_plain(self, Device()), _plain(other, Device()), out=self.array)
        _flush_subnormals(self.array)
        return self

    return apply


for _name in METHODS:
    setattr(ndarray, _name, _method(_name))
for _name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split():
    _function = getattr(operator, f"__{_name}__")
    setattr(ndarray, f"__{_name}__", _operator(_function))
    setattr(ndarray, f"__r{_name}__", _operator(_function, reflected=True))
for _name in "lt le eq ne gt ge neg abs invert".split():
    setattr(ndarray, f"__{_name}__", _operator(getattr(operator, f"__{_name}__")))
ndarray.__hash__ = None  # type: ignore[assignment]
for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "xor": np.bitwise_xor
}.items():  # fmt: skip
    setattr(ndarray, f"__i{_name}__", _in_place(_ufunc))


# --- functions ---------------------------------------------------------------------------------------------------


def asarray(a: Any, dtype: Any = None, order: Any = None) -> ndarray:
    """Copy anything to an array on the current GPU; an array that is already there is returned itself."""
    if isinstance(a, ndarray) and a.device == Device():
        changed = np.asarray(a.array, dtype=dtype, order=order)
        if changed is a.array:
            return a
        fake_counts.launch("copy")
        return ndarray(changed, a.device)
    return array(a, dtype)


def array(object: Any, dtype: Any = None) -> ndarray:
    numbers = object.array if isinstance(object, ndarray) else object
    if isinstance(object, ndarray):
        fake_counts.launch("copy")
    else:
        fake_counts.upload()
    return ndarray(np.array(numbers, dtype=dtype), Device())


def ascontiguousarray(a: Any) -> ndarray:
    return asarray(a) if isinstance(a, ndarray) and a.flags.c_contiguous else asarray(a, order="C")


def empty_pinned(shape: Any, dtype: Any) -> np.ndarray:
    """``cupyx.empty_pinned``: memory of a pool, which is overwritten as soon as the array is dropped."""
    memory = np.empty(int(np.prod(shape)) * np.dtype(dtype).itemsize, np.uint8)
    array = np.ndarray(shape, dtype, memory)
    weakref.finalize(array, memory.fill, 0xFF).atexit = False
    return array


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    return np.result_type(*(value.array if isinstance(value, ndarray) else value for value in arrays_and_dtypes))


class _Add:
    """``cupy.add``, and ``cupy.add.at``."""

    __call__ = staticmethod(_on_device(np.add))

    @staticmethod
    def at(a: ndarray, indices: Any, b: Any) -> None:
        np.add.at(_plain(a, Device()), _plain(_index(indices), Device()), _plain(b, Device()))


# --- kernels -----------------------------------------------------------------------------------------------------

_KERNEL = re.compile(r'extern "C" __global__ void (\w+)\((.*?)\)', re.DOTALL)
_GUARD = 64  # bytes before and after each array: a vector or two


def _parameters(text: str) -> list[tuple[str, str]]:
    """Return the type and name of each parameter."""
    return [tuple(part.strip().rsplit(" ", 1)) for part in text.split(",")]  # type: ignore[misc]


class RawModule:
    """``cupy.RawModule``, compiled by g++."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        self.kernels = {name: _parameters(parameters) for name, parameters in _KERNEL.findall(code)}
        self.library = _library(code, options)
        real = next(option for option in options if option.startswith("-DREAL=")).partition("=")[2]
        self.types = {
            "REAL": {"float": np.float32, "double": np.float64}[real],
            "Size": np.int64 if "-DBIG_ARRAYS" in options else np.int32,
            "Place": np.int32 if "-DBIG_WINDOWS" in options else np.uint8,
            "Label": np.int64,
            "Seed": np.uint64,
            "bool": np.bool_,
        }
        for kind, number in self.types.items():
            assert getattr(self.library, f"size_of_{kind}")() == np.dtype(number).itemsize, f"{kind} is no {number}"

    def get_function(self, name: str) -> Callable[..., None]:
        function, parameters = getattr(self.library, f"run_{name}"), self.kernels[name]

        def launch(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            fake_counts.launch(name)
            assert len(grid) == len(block) == 1 and 0 < grid[0] < 1 << 31 and 0 < block[0] <= 1024
            if len(arguments) != len(parameters):
                raise TypeError(f"{name} takes {len(parameters)} arguments, got {len(arguments)}")
            passed: list[Any] = [ctypes.c_uint(grid[0]), ctypes.c_uint(block[0])]
            guarded: list[tuple[str, ndarray, np.ndarray, bool]] = []
            for (kind, parameter), argument in zip(parameters, arguments, strict=True):
                if kind == "const Updates":  # a struct, which CuPy passes by value from an array of one element
                    assert isinstance(argument, np.ndarray) and argument.shape == (1,)
                    assert argument.itemsize == self.library.size_of_Updates()
                    passed.append(ctypes.c_void_p(argument.ctypes.data))
                    continue
                number = self.types[kind.removeprefix("const ").rstrip("*")]
                if kind.endswith("*"):
                    if not isinstance(argument, ndarray) or argument.dtype != number:
                        raise TypeError(f"{name}: {parameter} must be an array of {number}, got {argument!r}")
                    assert argument.flags.c_contiguous and argument.device.id == Device.current
                    memory = _guard(argument.array) if fake_counts.computes() else np.empty(0)
                    guarded.append((parameter, argument, memory, kind.startswith("const")))
                    passed.append(ctypes.c_void_p(memory.ctypes.data + _GUARD))
                elif type(argument) is not number:
                    raise TypeError(f"{name}: {parameter} must be a {number}, got {type(argument)}")
                else:
                    passed.append(np.ctypeslib.as_ctypes_type(number)(argument.item()))
            if not fake_counts.computes():
                return
            function(*passed)
            for parameter, argument, memory, constant in guarded:
                inside = memory[_GUARD : len(memory) - _GUARD].view(argument.dtype).reshape(argument.shape)
                before = _guard(argument.array)
                for edge in (slice(_GUARD), slice(len(memory) - _GUARD, None)):
                    assert (memory[edge] == before[edge]).all(), f"{name} writes outside {parameter}"
                if constant:
                    assert (memory == before).all(), f"{name} writes to {parameter}"
                else:
                    argument.array[...] = inside

        return launch


def _guard(array: np.ndarray) -> np.ndarray:
    """Return the bytes of an array between two strips of NaN, which show reads and writes outside the array."""
    strip = np.full(_GUARD, 0xFF, np.uint8)
    return np.concatenate([strip, array.reshape(-1).view(np.uint8), strip])


_folder: Any = None


@functools.cache
def _library(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    """Compile the kernels and, for each of them, a function that runs it for all threads."""
    global _folder
    if COMPILER is None:
        raise RuntimeError("g++ is absent, which compiles CUDA C for the fake GPU")
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="minicnn-cuda-on-cpu-")
    by_address = [(name, parameters.replace("Updates ", "Updates& ")) for name, parameters in _KERNEL.findall(code)]
    runners = [
        f'extern "C" void run_{name}(unsigned blocks, unsigned threads, {parameters}) {{\n'
        f"    every_thread(blocks, threads, [&] {{ {name}({', '.join(n for _, n in _parameters(parameters))}); }});\n}}"
        for name, parameters in by_address
    ]
    if "struct Updates" in code:
        runners.append('extern "C" unsigned size_of_Updates() { return sizeof(Updates); }')
    runners += [
        f'extern "C" unsigned size_of_{kind}() {{ return sizeof({kind}); }}'
        for kind in ("REAL", "Size", "Place", "Label", "Seed", "bool")
    ]
    stem = Path(_folder.name) / f"{len(list(Path(_folder.name).iterdir()))}"
    source, built = stem.with_suffix(".cpp"), stem.with_suffix(".so")
    source.write_text("\n".join([f'#include "{HEADER}"', code, *runners]))
    # Undefined behaviour, such as signed overflow, ends the process. Products and sums are rounded separately, as in
    # NumPy.
    flags = "-std=c++17 -O1 -fPIC -shared -ffp-contract=off -fsanitize=undefined -fsanitize-undefined-trap-on-error"
    command = [COMPILER, *flags.split(), *options, str(source), "-o", str(built)]
    path = os.pathsep.join([str(Path(COMPILER).parent), os.defpath])  # a test may have set another one
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path})
    if done.returncode:
        raise RuntimeError(f"g++ rejects the kernels:\n{done.stderr}")
    return ctypes.CDLL(str(built))


# --- the module --------------------------------------------------------------------------------------------------


def _module() -> ModuleType:
    cupy: Any = ModuleType("cupy")
    for name in FUNCTIONS:
        setattr(cupy, name, _on_device(getattr(np, name)))
    for name in CONSTANTS:
        setattr(cupy, name, getattr(np, name))
    for thing in (array, asarray, ascontiguousarray, ndarray, RawModule, result_type):
        setattr(cupy, thing.__name__, thing)
    cupy.add = _Add()
    cupy.__version__ = "fake"
    cupy.cuda = ModuleType("cupy.cuda")
    cupy.cuda.Device = Device
    cupy.cuda.is_available = lambda: Device.count > 0
    cupy.cuda.runtime = ModuleType("cupy.cuda.runtime")
    cupy.cuda.runtime.getDeviceCount = lambda: Device.count
    cupy.cuda.runtime.getDeviceProperties = lambda number: {"name": f"Fake GPU {number}".encode()}
    cupy.cuda.runtime.runtimeGetVersion = lambda: 12090
    cupy.cuda.Stream, cupy.cuda.Event = Stream, Event
    cupy.cuda.get_elapsed_time = lambda start, stop: 1e3 * (stop.time - start.time)
    cupy.get_default_memory_pool = lambda: SimpleNamespace(total_bytes=lambda: 12345)
    cupy.cuda.get_current_stream = lambda: Stream(null=True)
    fake_products.install(cupy, lambda: Device.current)
    return cupy


@contextmanager
def installed() -> Iterator[ModuleType]:
    """Within this context ``import cupy`` finds the fake, even if CuPy is installed."""
    from minicnn import kernels

    names = {"cupy", "cupyx", "cupy._core", "minicnn.kernels.cuda_kernels"}
    names |= {name for name in sys.modules if name.startswith("cupy.")}
    before = {name: sys.modules.pop(name, None) for name in names}
    real_kernels = vars(kernels).pop("cuda_kernels", None)
    sys.modules["cupy"] = fake = _module()
    sys.modules["cupy._core"] = fake._core
    sys.modules["cupyx"] = cupyx = ModuleType("cupyx")
    cupyx.empty_pinned = empty_pinned  # type: ignore[attr-defined]
    try:
        yield fake
    finally:
        vars(kernels).pop("cuda_kernels", None)
        if real_kernels is not None:
            vars(kernels)["cuda_kernels"] = real_kernels
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
