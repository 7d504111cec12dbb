"""A network is a tree of modules: each holds parameters, smaller modules, or both, as ordinary attributes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self, overload

import numpy as np

from minicnn.autograd import Tensor
from minicnn.backend import asnumpy, checked_device, device_of, on_device_of, to_device

__all__ = ["IncompatibleKeys", "Module", "Parameter", "Sequential"]


class Parameter(Tensor):
    """A tensor that training changes; a module that has one as an attribute counts it among its parameters.

    Parameters
    ----------
    data : array_like or Tensor
        The starting values, not copied. Lists become float32; arrays keep float32 or float64.
    requires_grad : bool
        False freezes the parameter: it gets no gradient, and optimisers leave it as it is.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class IncompatibleKeys(NamedTuple):
    """What :meth:`Module.load_state_dict` found missing or did not expect.

    Attributes
    ----------
    missing_keys, unexpected_keys : list of str
        Names of parameters.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base of every layer and network.

    A subclass calls ``super().__init__()``, then assigns its parameters and smaller modules as attributes,
    and defines ``forward``. Their order everywhere is the order in which they were assigned.

    Attributes
    ----------
    training : bool
        Whether the module behaves as in training; only :class:`~minicnn.nn.Dropout` looks at it.

    Examples
    --------
    >>> from minicnn import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc = nn.Linear(4, 2)
    ...     def forward(self, input):
    ...         return self.fc(input)
    >>> Net()
    Net(
      (fc): Linear(in_features=4, out_features=2, bias=True)
    )
    >>> list(Net().state_dict())
    ['fc.weight', 'fc.bias']
    """

    training: bool

    def __init__(self) -> None:
        self.training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; each subclass defines its own."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``self.forward(...)``; an error on the way names the layer in which it arose."""
        try:
            return self.forward(*args, **kwargs)
        except (ValueError, TypeError, NotImplementedError) as error:
            self._name_the_layer_in(error)
            raise

    def _name_the_layer_in(self, error: Exception) -> None:
        """Put the layer's path in front of the message: ``features.3 (Conv2d): conv2d: input has ...``.

        A layer does not know its own path. So the innermost module leaves itself and the bare message on the
        error, and each module around it, the whole network last, looks up by which path it knows that layer.
        """
        layer = vars(error).setdefault("layer", self)
        message = vars(error).setdefault("message_without_layer", str(error))
        for path, module in self.named_modules():
            if module is layer:
                kind = type(layer).__name__
                error.args = (f"{path} ({kind}): {message}" if path else f"{kind}: {message}",)

    # --- attributes -----------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign, but refuse what would silently lose a parameter or a module."""
        if isinstance(value, (Parameter, Module)) and "training" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__}: cannot assign {name} yet; call super().__init__() first in __init__"
            )
        before = vars(self).get(name)
        for kind in (Parameter, Module):
            if isinstance(before, kind) and not (value is None or isinstance(value, kind)):
                raise TypeError(
                    f"{type(self).__name__}: {name} is a {kind.__name__} and must stay one (or become None), "
                    f"got {type(value).__name__}"
                )
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # seeing a __getattr__, mypy would take every misspelt attribute for a real one

        def __getattr__(self, name: str) -> Any:
            """Say what there is when `name` is not."""
            owner, parts = type(self).__name__, ", ".join(self._own((Parameter, Module))) or "nothing"
            raise AttributeError(
                f"{owner} has no attribute {name!r}; its parameters and modules: {parts}", name=name, obj=self
            )

    def add_module(self, name: str, module: Module) -> None:
        """Add a smaller module under a name that need not be an identifier, such as ``"0"``.

        Raises
        ------
        TypeError
            If `module` is not a Module or `name` is not a string.
        ValueError
            If `name` is empty, contains a dot, or is taken.
        """
        owner = type(self).__name__
        if not isinstance(module, Module):
            raise TypeError(f"{owner}: part {name!r} must be a Module, got {module!r}")
        if not isinstance(name, str):
            raise TypeError(f"{owner}: the name of a part must be a string, got {name!r}")
        if name == "" or "." in name:
            raise ValueError(f"{owner}: the name of a part must not be empty or contain a dot, got {name!r}")
        if hasattr(self, name):
            raise ValueError(f"{owner}: the name {name!r} is already taken")
        setattr(self, name, module)

    # --- what is inside -------------------------------------------------------------------------------------

    def _own(self, kind: type | tuple[type, ...]) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if isinstance(value, kind)}

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the name and the module of each direct part, a shared one once."""
        seen: set[Module] = set()
        for name, child in self._own(Module).items():
            if child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """Yield each direct part."""
        return (child for _, child in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield path and module: of this module itself (its path is `prefix`) and of all parts, at any depth.

        Parameters
        ----------
        memo : set of Module, optional
            Modules to leave out, as already seen.
        prefix : str
            Put in front of each path.
        remove_duplicate : bool
            Yield a module that is in several places once, under its first path.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._own(Module).items():
            yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all parts, at any depth."""
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield the path and the parameter of every parameter in this module and its parts.

        Parameters
        ----------
        prefix : str
            Put in front of each path.
        recurse : bool
            False leaves out the parameters of the parts.
        remove_duplicate : bool
            Yield a parameter that is in several places once, under its first path.
        """
        seen: set[Parameter] = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, parameter in module._own(Parameter).items():
                if parameter not in seen:
                    if remove_duplicate:
                        seen.add(parameter)
                    yield f"{path}.{name}" if path else name, parameter

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield every parameter in this module and (if `recurse`) its parts, in order."""
        return (parameter for _, parameter in self.named_parameters("", recurse))

    # --- devices --------------------------------------------------------------------------------------------

    @property
    def device(self) -> str:
        """Where the parameters are, the first one at least: "cpu", or "cuda:0" for the first GPU."""
        return next((device_of(parameter.data) for parameter in self.parameters()), "cpu")

    def to(self, device: str) -> Self:
        """Move every parameter and its gradient to a device, and return this module.

        Parameters
        ----------
        device : str
            "cpu", "cuda" for the current GPU, "cuda:0", "cuda:1" ... for a certain one. An optimiser that has made
            steps already keeps its memories where they are: move first.

        Raises
        ------
        ValueError
            If `device` is none of these.
        DeviceError
            If CuPy, a GPU, or this GPU is absent.
        """
        device = checked_device(device)
        for parameter in self.parameters():
            parameter.data = to_device(parameter.data, device)
            if parameter.grad is not None:
                parameter.grad = to_device(parameter.grad, device)
        return self

    # --- modes and gradients --------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all its parts to training, or with False to evaluation, and return it.

        Raises
        ------
        TypeError
            If `mode` is neither True nor False.
        """
        if not isinstance(mode, bool):
            raise TypeError(f"{type(self).__name__}.train: mode must be True or False, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch this module and all its parts to evaluation (dropout drops nothing), and return it."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters: each ``grad`` becomes None."""
        for parameter in self.parameters():
            parameter.grad = None

    # --- saving and loading ---------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a NumPy copy of every parameter under its path, such as ``"0.weight"``."""
        parameters = self.named_parameters(remove_duplicate=False)
        return {path: np.array(asnumpy(parameter.data)) for path, parameter in parameters}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy arrays into the parameters of the same path; either all of them, or none if anything is wrong.

        Parameters
        ----------
        state_dict : mapping of str to array
            As :meth:`state_dict` returns it. Numbers are converted to each parameter's dtype.
        strict : bool
            False leaves parameters without an array as they are and arrays without a parameter aside. A wrong
            shape is an error all the same.

        Returns
        -------
        IncompatibleKeys
            The keys that are missing and those that belong to no parameter, both empty if `strict`.

        Raises
        ------
        TypeError
            If `state_dict` is not a mapping.
        ValueError
            Naming every missing, unexpected or misshapen key.
        """
        owner = type(self).__name__
        if not isinstance(state_dict, Mapping):
            kind = type(state_dict).__name__
            raise TypeError(f"{owner}.load_state_dict: state_dict must be a mapping, got a {kind}")
        parameters = dict(self.named_parameters(remove_duplicate=False))
        missing = [key for key in parameters if key not in state_dict]
        unexpected = [key for key in state_dict if key not in parameters]
        wrong = [f"missing: {key}" for key in missing if strict]
        wrong += [f"unexpected: {key}" for key in unexpected if strict]
        arrays = {}
        for key, parameter in parameters.items():
            if key not in state_dict:
                continue
            value = state_dict[key]
            array = asnumpy(value.data if isinstance(value, Tensor) else value)
            if array.shape != parameter.shape:
                wrong.append(f"misshapen: {key} has shape {array.shape}, the parameter has {parameter.shape}")
            elif array.dtype.kind not in "fiu":
                wrong.append(f"not real numbers: {key} has dtype {array.dtype}")
            arrays[key] = array
        if wrong:
            raise ValueError("\n    ".join([f"{owner}.load_state_dict: nothing was loaded", *wrong]))
        for key, array in arrays.items():
            data = parameters[key].data
            with on_device_of(data):
                data[...] = to_device(np.asarray(array, dtype=data.dtype), device_of(data))
        return IncompatibleKeys(missing, unexpected)

    # --- reading --------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the module's repr."""
        return ""

    def __repr__(self) -> str:
        parts = self._own(Module).items()
        if not parts:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [self.extra_repr()] if self.extra_repr() else []
        lines += [f"({name}): {part!r}" for name, part in parts]
        indented = "\n".join(lines).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {indented}\n)"


class Sequential(Module):
    """Modules one after the other: the output of each is the input of the next.

    Parameters
    ----------
    *modules : Module
        Named ``"0"``, ``"1"``, ... Or a single mapping of names to modules, in order.

    Raises
    ------
    TypeError
        If something is not a Module.
    ValueError
        If a name is empty, contains a dot, or is taken by a method.

    Examples
    --------
    >>> from minicnn import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU())
    >>> net[1:]
    Sequential(
      (1): Linear(in_features=12, out_features=4, bias=True)
      (2): ReLU()
    )
    """

    @overload
    def __init__(self, *modules: Module) -> None: ...
    @overload
    def __init__(self, modules: Mapping[str, Module], /) -> None: ...
    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = dict(modules[0])
        else:
            named = {str(position): module for position, module in enumerate(modules)}
        for name, module in named.items():
            self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input

    def append(self, module: Module) -> Self:
        """Add a module at the end, named by its position; return the whole."""
        # A slice of a longer chain keeps its names, so the number itself may be taken.
        free = (str(number) for number in itertools.count(len(self)) if not hasattr(self, str(number)))
        self.add_module(next(free), module)
        return self

    def __len__(self) -> int:
        return len(self._own(Module))

    def __iter__(self) -> Iterator[Module]:
        return iter(self._own(Module).values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        """Return one module, or for a slice a Sequential of the same modules under the same names."""
        named = list(self._own(Module).items())
        if isinstance(index, slice):
            return type(self)(dict(named[index]))
        if not -len(named) <= index < len(named):
            raise IndexError(f"Sequential: index {index} is out of range for {len(named)} modules")
        return named[index][1]
