"""Lists of modules: one after the other, and without any order of computation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from minicnn.nn.module import Module

__all__ = ["ModuleList", "Sequential"]


class _Listed(Module):
    """The base of both: children in order, which can be counted, indexed and appended to."""

    def append(self, module: Module) -> Self:
        """Add a module at the end, named by its position, and return this module."""
        # a slice keeps its names, so the number itself may be taken
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
        """Return one module, or for a slice a module of the same kind: a Sequential keeps the names in it."""
        named: list[tuple[str, Module]] = list(self._own(Module).items())
        return self._part(named[index]) if isinstance(index, slice) else named[self._place(index)][1]

    def __setitem__(self, index: int, module: Module) -> None:
        """Put a module in the place of another, under its name: ``net[-1] = nn.Linear(256, 2)`` to train it anew."""
        setattr(self, list(self._own(Module))[self._place(index)], module)

    def _place(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{type(self).__name__}: index {index} is out of range for {len(self)} modules")
        return index

    def _part(self, named: list[tuple[str, Module]]) -> Self:
        """Return what a slice gives."""
        raise NotImplementedError(f"{type(self).__name__} does not define _part")


class Sequential(_Listed):
    """Modules one after the other: the output of each is the input of the next.

    Parameters
    ----------
    *modules : Module
        Named ``"0"``, ``"1"``, ... Or a single mapping of names to modules, in order.

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

    def _part(self, named: list[tuple[str, Module]]) -> Self:
        return type(self)(dict(named))

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield path and layer in the order of the computation: through nested Sequentials, a repeated layer each time.

        Parameters
        ----------
        prefix : str
            Prepended to each path.
        """
        for name, module in self._own(Module).items():
            path = f"{prefix}.{name}" if prefix else name
            if isinstance(module, Sequential) and type(module).forward is Sequential.forward:
                yield from module.named_layers(path)
            else:
                yield path, module


class ModuleList(_Listed):
    """A list of modules, whose parameters belong to the module that has the list. It computes nothing itself.

    Parameters
    ----------
    modules : iterable of Module, optional
        Named ``"0"``, ``"1"``, ...

    Examples
    --------
    >>> from minicnn import nn
    >>> layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
    >>> len(layers), [name for name, _ in layers[-1].named_parameters()]
    (3, ['weight', 'bias'])
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def extend(self, modules: Iterable[Module]) -> Self:
        """Append each of these modules, and return this list."""
        for module in modules:
            self.append(module)
        return self

    def _part(self, named: list[tuple[str, Module]]) -> Self:
        return type(self)(module for _, module in named)
