"""Modules one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Self, overload

from minicnn.nn.module import Module

__all__ = ["Sequential"]


class Sequential(Module):
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

    def append(self, module: Module) -> Self:
        """Add a module at the end, named by its position, and return this Sequential."""
        # a slice of a longer Sequential keeps its names, so the number itself may be taken
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
        named: list[tuple[str, Module]] = list(self._own(Module).items())
        if isinstance(index, slice):
            return type(self)(dict(named[index]))
        if not -len(named) <= index < len(named):
            raise IndexError(f"Sequential: index {index} is out of range for {len(named)} modules")
        return named[index][1]
