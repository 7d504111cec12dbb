"""A network is a tree of modules: each holds parameters, buffers and child modules as ordinary attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minicnn.arguments import only
from minicnn.autograd import Tensor
from minicnn.backend import Edits, asnumpy, checked_device, device_of, to_device
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.loading import IncompatibleKeys, load
from minicnn.nn.parameter import Buffer, Parameter

__all__ = ["Module"]


class Module:
    """Base class of every layer and network.

    A subclass calls ``super().__init__()``, assigns its parameters and child modules as attributes, and defines
    ``forward``. Parameters and modules keep the order in which they were assigned.

    A layer can also define :meth:`output_info`, so that :func:`minicnn.summary` needs no arrays and the drawing shows
    it, and :meth:`to_onnx`, so that it can be exported. Nothing else has to know about the layer.

    Attributes
    ----------
    training : bool
        Whether the module is in training mode; dropout and batch normalisation read it.

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
        """Compute the output. Each subclass defines its own."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        """Describe the output for an input of this shape, without computing it.

        :func:`minicnn.summary` and the drawing of a network use it. The summary runs a layer without this method on
        zeros instead, and does not count its multiply-accumulates.

        Parameters
        ----------
        input_shape : tuple of int
            With the batch: (N, C, H, W) or (N, features).

        Raises
        ------
        ValueError
            If the layer does not accept this shape.

        Examples
        --------
        >>> from minicnn import nn
        >>> nn.Conv2d(3, 96, 11, stride=4).output_info((1, 3, 227, 227)).arithmetic
        '(227 - 11)/4 + 1 = 55'
        """
        raise NotImplementedError(f"{type(self).__name__} does not define output_info")

    def to_onnx(self, graph: OnnxGraph) -> None:
        """Add the layer's nodes to an ONNX graph: ``graph.add("Relu")``.

        Parameters
        ----------
        graph : OnnxGraph
            The graph so far; it also knows the layer's input and output shape.

        Raises
        ------
        NotImplementedError
            If ONNX has no way to express the layer. This is the default.
        """
        raise NotImplementedError("there is no ONNX rule for it: its class does not define to_onnx")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``self.forward(...)``. An error names the layer that raised it."""
        try:
            return self.forward(*args, **kwargs)
        except (ValueError, TypeError, NotImplementedError) as error:
            self._name_the_layer_in(error)
            raise

    def _name_the_layer_in(self, error: Exception) -> None:
        """Put the layer's path in front of the message: ``features.3 (Conv2d): conv2d: input has ...``.

        A layer does not know its own path. So the innermost module stores itself and the bare message on the error,
        and each enclosing module, the whole network last, looks up its own path to that layer.
        """
        layer = vars(error).setdefault("layer", self)
        message = vars(error).setdefault("message_without_layer", str(error))
        for path, module in self.named_modules():
            if module is layer:
                kind = type(layer).__name__
                error.args = (f"{path} ({kind}): {message}" if path else f"{kind}: {message}",)

    # --- attributes -----------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign, but refuse an assignment that would silently lose a parameter or a module."""
        if isinstance(value, (Parameter, Buffer, Module)) and "training" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__}: cannot assign {name} yet; call super().__init__() first in __init__"
            )
        before = vars(self).get(name)
        if isinstance(before, Buffer) and type(value) is Tensor:
            value = Buffer(value)
        for kind in (Parameter, Buffer, Module):
            if isinstance(before, kind) and not (value is None or isinstance(value, kind)):
                raise TypeError(
                    f"{type(self).__name__}: {name} is a {kind.__name__} and must stay one (or become None), "
                    f"got {type(value).__name__}"
                )
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # seeing a __getattr__, mypy would take every misspelt attribute for a real one

        def __getattr__(self, name: str) -> Any:
            """Raise an error that lists the parameters and modules that exist."""
            owner, parts = type(self).__name__, ", ".join(self._own((Parameter, Buffer, Module))) or "nothing"
            raise AttributeError(
                f"{owner} has no attribute {name!r}; its parameters and modules: {parts}", name=name, obj=self
            )

    def add_module(self, name: str, module: Module) -> None:
        """Add a child module under a name that need not be an identifier, such as ``"0"``.

        Raises
        ------
        TypeError
            If `module` is not a Module or `name` is not a string.
        ValueError
            If `name` is empty, contains a dot, or is taken.
        """
        owner = type(self).__name__
        if not isinstance(module, Module):
            raise TypeError(f"{owner}: module {name!r} must be a Module, got {module!r}")
        if not isinstance(name, str):
            raise TypeError(f"{owner}: the name of a module must be a string, got {name!r}")
        if name == "" or "." in name:
            raise ValueError(f"{owner}: the name of a module must not be empty or contain a dot, got {name!r}")
        if hasattr(self, name):
            raise ValueError(f"{owner}: the name {name!r} is already taken")
        setattr(self, name, module)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Do ``self.name = param``."""
        setattr(self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Do ``self.name = nn.Buffer(tensor)``: what is saved and moved with the parameters, but not trained.

        Parameters
        ----------
        name : str
        tensor : Tensor, optional
        persistent : bool
            Only True: every buffer is part of the state dict.
        """
        only("register_buffer", "persistent", persistent, True)
        setattr(self, name, None if tensor is None else Buffer(tensor))

    # --- modules and parameters -----------------------------------------------------------------------------

    def _own(self, kind: type | tuple[type, ...]) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if isinstance(value, kind)}

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the name and the module of each child, a shared one once."""
        seen: set[Module] = set()
        for name, child in self._own(Module).items():
            if child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """Yield each child module."""
        return (child for _, child in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield path and module: of this module itself (its path is `prefix`) and of all modules inside it.

        Parameters
        ----------
        memo : set of Module, optional
            Modules to skip, as already seen.
        prefix : str
            Prepended to each path.
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
        """Yield this module and all modules inside it, at any depth."""
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield path and parameter for every parameter of this module and the modules inside it.

        Parameters
        ----------
        prefix : str
            Prepended to each path.
        recurse : bool
            False yields only the module's own parameters.
        remove_duplicate : bool
            Yield a parameter that is in several places once, under its first path.
        """
        return self._named(Parameter, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield every parameter of this module and (if `recurse`) the modules inside it, in order."""
        return (parameter for _, parameter in self.named_parameters("", recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Buffer]]:
        """Yield path and buffer for every buffer; parameters as in :meth:`named_parameters`."""
        return self._named(Buffer, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Buffer]:
        """Yield every buffer of this module and (if `recurse`) the modules inside it, in order."""
        return (buffer for _, buffer in self.named_buffers("", recurse))

    def _named(self, kind: Any, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[Tensor] = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, tensor in module._own(kind).items():
                if tensor not in seen:
                    if remove_duplicate:
                        seen.add(tensor)
                    yield f"{path}.{name}" if path else name, tensor

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Call `fn` with every module inside this one, then with this one, and return it."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # --- devices --------------------------------------------------------------------------------------------

    @property
    def device(self) -> str:
        """The device of the first parameter: "cpu", or "cuda:0" for the first GPU."""
        return next((device_of(parameter.data) for parameter in self.parameters()), "cpu")

    def to(self, device: str) -> Self:
        """Move every parameter with its gradient, and every buffer, to a device, and return this module.

        Parameters
        ----------
        device : str
            "cpu", "cuda" for the current GPU, or "cuda:0", "cuda:1" ... An optimiser that has already made steps
            keeps its state on the old device: move the network first.

        Raises
        ------
        ValueError
            If `device` is none of these.
        DeviceError
            If CuPy or the GPU is missing.
        """
        device = checked_device(device)
        for _, tensor in self._named((Parameter, Buffer), "", True, True):
            if tensor.device != device:
                tensor.data, tensor.edits = to_device(tensor.data, device), Edits()
            if tensor.grad is not None:
                tensor.grad = to_device(tensor.grad, device)
        return self

    def cpu(self) -> Self:
        """Move everything to the CPU: ``to("cpu")``."""
        return self.to("cpu")

    def cuda(self, device: int | None = None) -> Self:
        """Move everything to the current GPU or to that of this number: ``to("cuda")``."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    # --- modes and gradients --------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all modules inside it to training mode (False: evaluation), and return it."""
        if not isinstance(mode, bool):
            raise TypeError(f"{type(self).__name__}.train: mode must be True or False, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch this module and all modules inside it to evaluation, and return it."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` of all parameters, and return this module: False freezes it."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set ``grad`` of all parameters to None."""
        only("zero_grad", "set_to_none", set_to_none, True)
        for parameter in self.parameters():
            parameter.grad = None

    # --- saving and loading ---------------------------------------------------------------------------------

    def _state(self) -> dict[str, Tensor]:
        """Return what a state dict holds, in its order: each module's parameters, then its buffers."""
        state: dict[str, Tensor] = {}
        for path, module in self.named_modules(remove_duplicate=False):
            for name, tensor in (module._own(Parameter) | module._own(Buffer)).items():
                state[f"{path}.{name}" if path else name] = tensor
        return state

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a NumPy copy of every parameter and buffer under its path, such as ``"0.weight"``."""
        return {path: np.array(asnumpy(tensor.data)) for path, tensor in self._state().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy arrays into the parameters and buffers of the same path. If anything is wrong, nothing is copied.

        Parameters
        ----------
        state_dict : mapping of str to array
            As :meth:`state_dict` returns it. Arrays are converted to the dtype that is there.
        strict : bool
            False ignores parameters without an array, and arrays without a parameter. A wrong shape is always an
            error.

        Returns
        -------
        IncompatibleKeys
            The missing and the unexpected keys, both empty if `strict`.

        Raises
        ------
        ValueError
            Naming every missing, unexpected or misshapen key; or a parameter whose array is read-only.
        """
        return load(type(self).__name__, self._state(), state_dict, strict)

    # --- printing -------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return the text between the brackets of the module's repr: its settings."""
        return ""

    def __repr__(self) -> str:
        parts = self._own(Module).items()
        if not parts:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [self.extra_repr()] if self.extra_repr() else []
        lines += [f"({name}): {part!r}" for name, part in parts]
        indented = "\n".join(lines).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {indented}\n)"
