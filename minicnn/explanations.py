"""What there is to read about an operation: its docstring, the equations in it, and the lines of code that run."""

from __future__ import annotations

import inspect
import re
import textwrap
from types import ModuleType
from typing import Any

from minicnn.autograd import Function

__all__ = ["docstrings", "equations", "name", "section", "source"]


def name(operation: type[Function]) -> str:
    """Return what an operation is called: the name of its class, or of its textbook's."""
    return (operation.textbook or operation).__name__


def docstrings(operation: type[Function]) -> list[str]:
    """Return the docstrings of an operation's class and of the operations that it inherits from, nearest first."""
    bases = operation.__mro__[: operation.__mro__.index(Function)]
    return [inspect.cleandoc(base.__doc__) for base in bases if base.__doc__]


def equations(operation: type[Function]) -> tuple[str, str]:
    """Return the equations of the forward pass, and those of the backward pass, from the docstrings.

    They are in the first paragraph and in indented ones, separated by two spaces or more; those of the backward pass
    begin with dL.
    """
    texts = docstrings(operation)
    for text in texts:
        first, *others = text.split("\n\n")
        display = [first, *(other for other in others if other.startswith(" "))]
        joined = "  ".join(" ".join(line.strip() for line in paragraph.splitlines()) for paragraph in display)
        parts = [part.strip() for part in re.split(r"[;,.]?(?:(?<=[;,.])\s{2,}|$)", joined)]
        found = [part for part in parts if "=" in part or part.startswith("dL")]
        forward = [equation for equation in found if not equation.startswith("dL")]
        if forward:
            return "\n".join(forward), "\n".join(equation for equation in found if equation.startswith("dL"))
    return (texts[0].split("\n\n")[0], "") if texts else ("", "")


def section(operation: type[Function]) -> str:
    """Return the section of the paper that the docstrings name, empty if they name none."""
    for text in docstrings(operation):
        found = re.search(r"\w+ et al\. \d{4}, sections? \d+(\.\d+)?", " ".join(text.split()))
        if found:
            return found.group()
    return ""


def source(operation: type[Function], method: str, kernels: ModuleType | None) -> str:
    """Return the code of a method and of what it calls, each with the place where it is found.

    What it calls are methods of the same operation, functions of the same file, and kernels of the back end that ran,
    but not the functions that a kernel calls in turn.
    """
    functions = [getattr(operation, method)]
    texts = []
    for function in functions:  # which grows while we go through it
        try:
            lines, start = inspect.getsourcelines(function)
        except (OSError, TypeError):  # typed into a Python shell, say
            texts.append(f"# {function.__module__}: {function.__qualname__}, whose source cannot be found")
            continue
        text = textwrap.dedent("".join(lines)).rstrip()
        texts.append(f"# {function.__module__}, line {start}\n{text}")
        called = dict.fromkeys(_called(operation, function, text, kernels))
        functions += [one for one in called if inspect.isfunction(one) and one not in functions]
    return "\n\n".join(texts)


def _called(operation: type[Function], function: Any, text: str, kernels: ModuleType | None) -> list[Any]:
    """Return what the text of a function calls, as far as it belongs to the operation."""
    bases = operation.__mro__[: operation.__mro__.index(Function)]
    owner = next((base for base in bases if function in vars(base).values()), operation)
    called = [getattr(operation, name, None) for name in re.findall(r"\bself\.(\w+)\(", text)]
    called += [getattr(super(owner, operation), name) for name in re.findall(r"\bsuper\(\)\.(\w+)\(", text)]
    beside = [function.__globals__.get(name) for name in re.findall(r"(?<![\w.])(\w+)\(", text)]
    called += [one for one in beside if getattr(one, "__module__", "") in {base.__module__ for base in bases}]
    loops = [getattr(kernels, name, None) for name in re.findall(r"\bkernels\.(\w+)", text)]
    return called + [getattr(loop, "py_func", loop) for loop in loops]  # the Python function that Numba compiled
