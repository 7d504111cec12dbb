"""Compare every public name with PyTorch's, for the page "From PyTorch, and back": docs/_data/from_pytorch.csv.

python tools/compare_with_pytorch.py            write the table; it needs PyTorch
python tools/compare_with_pytorch.py --check    exit with status 1 if the table is out of date

Where a signature differs in more than parameters that are missing at its end, docs/_data/differences.toml says why.
"""

import argparse
import ast
import contextlib
import csv
import inspect
import io
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from inspect import Parameter, Signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import minicnn  # noqa: E402
from minicnn import data, functional, nn, optim  # noqa: E402

TABLE = ROOT / "docs" / "_data" / "from_pytorch.csv"
REASONS = ROOT / "docs" / "_data" / "differences.toml"

# Parameters that nothing here needs: deprecated, or of other layouts, files and engines. The page says so once.
NOWHERE = {"size_average", "reduce", "_stacklevel", "out", "layout", "pin_memory", "memory_format", "foreach", "fused"}
NOWHERE |= {
    "capturable",
    "differentiable",
    "pickle_module",
    "pickle_protocol",
    "pickle_load_args",
    "names",
    "generator",
}
# Not installed here, so only its names are compared.
_NAMES = ("CenterCrop", "Compose", "Normalize", "RandomCrop", "RandomHorizontalFlip", "Resize", "ToTensor")
TORCHVISION = SimpleNamespace(**dict.fromkeys(_NAMES))
PLACES: list[tuple[str, Any, list[tuple[str, Any]]]] = [
    ("minicnn", minicnn, [("torch", torch), ("torch.autograd", torch.autograd)]),
    ("Tensor", minicnn.Tensor, [("torch.Tensor", torch.Tensor)]),
    ("functional", functional, [("torch.nn.functional", torch.nn.functional), ("torch", torch)]),
    ("nn", nn, [("torch.nn", torch.nn)]),
    ("nn.Module", nn.Module, [("torch.nn.Module", torch.nn.Module)]),
    ("nn.init", nn.init, [("torch.nn.init", torch.nn.init)]),
    ("nn.utils", getattr(nn, "utils", None), [("torch.nn.utils", torch.nn.utils)]),
    ("optim", optim, [("torch.optim", torch.optim)]),
    ("optim.Optimizer", optim.Optimizer, [("torch.optim.Optimizer", torch.optim.Optimizer)]),
    ("optim.lr_scheduler", optim.lr_scheduler, [("torch.optim.lr_scheduler", torch.optim.lr_scheduler)]),
    ("data", data, [("torch.utils.data", torch.utils.data)]),
    ("data.transforms", data.transforms, [("torchvision.transforms", TORCHVISION)]),
]


@dataclass(frozen=True)
class Row:
    """A public name: PyTorch's name for it, how the two compare, and in what they differ."""

    section: str
    name: str
    pytorch: str
    verdict: str  # same, subset, differs, ours alone
    notes: str

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"


def rows() -> list[Row]:
    """Return a row for every public name."""
    reasons = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    refused = values_refused()
    found = []
    for section, home, places in PLACES:
        if home is None:
            continue
        for name, ours in public(home):
            if home is optim and name in optim.lr_scheduler.__all__:  # listed there
                continue
            key = f"{section}.{name}"
            path, theirs = next(((p, getattr(at, name)) for p, at in places if hasattr(at, name)), ("", None))
            if not path or key in reasons["alone"]:
                found.append(Row(section, name, "", "ours alone", reasons["alone"].get(key, "")))
                continue
            missing, others = differences(ours, theirs, is_method=isinstance(home, type))
            notes = [f"without {', '.join(f'`{each}`' for each in missing)}"] if missing else []
            notes += [f"`{each}` only {values}" for each, values in _refused(name, ours, refused).items()]
            others += [reasons["meaning"][key]] if key in reasons["meaning"] else []
            verdict = "differs" if others else "subset" if notes else "same"
            why = [reasons["why"][key]] if key in reasons["why"] else []
            found.append(Row(section, name, f"{path}.{name}", verdict, "; ".join(others + notes + why)))
    return found


def public(home: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names of a module or a class that users use, in alphabetical order; modules are no such names."""
    listed = getattr(home, "__all__", None)
    names = [name for name in vars(home) if not name.startswith("_")] if listed is None else listed
    for name in sorted(names, key=str.lower):
        thing = inspect.getattr_static(home, name) if isinstance(home, type) else getattr(home, name)
        if (callable(thing) or inspect.isdatadescriptor(thing)) and not name.startswith("__"):
            yield name, thing


# --- signatures ---------------------------------------------------------------------------------------------


def differences(ours: Any, theirs: Any, is_method: bool) -> tuple[list[str], list[str]]:
    """Return the parameters that only PyTorch's has, and what else differs; against the closest of its overloads."""
    if inspect.isdatadescriptor(ours):
        return [], ["an attribute, not a method"] if callable(theirs) else []
    mine = inspect.signature(ours)
    if is_method:
        mine = mine.replace(parameters=list(mine.parameters.values())[1:])
    written = list(documented(theirs))
    overloads = [*written, *schemas(theirs)]
    compared = [_compared(mine, signature, overloads) for signature in overloads]
    missing, others = min(compared, key=lambda found: (len(found[1]), len(found[0])), default=([], []))
    if len(written) > 1:  # a parameter of any overload is missing
        missing = list(dict.fromkeys(name for found in compared[: len(written)] for name in found[0]))
    return missing, others


def documented(theirs: Any) -> Iterator[Signature]:
    """Yield the signature of a function of PyTorch's, without `self`; of a compiled one, those in its docstring."""
    with contextlib.suppress(TypeError, ValueError):
        signature = inspect.signature(theirs)
        found = [each for each in signature.parameters.values() if each.name != "self"]
        if [each.kind for each in found] != [Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD]:
            yield signature.replace(parameters=found)
            return
    name = getattr(theirs, "__name__", "")
    doc = inspect.getdoc(theirs) or ""
    for arguments in re.findall(rf"^(?:\.\. function:: |\.\. method:: )?{re.escape(name)}\((.*)\)(?: ->|$)", doc, re.M):
        star = re.search(r"\*\w+", arguments)
        arguments = arguments.replace("*, ", "") if star else arguments
        try:
            parsed = ast.parse(f"def f({arguments}): pass").body[0]
        except SyntaxError:  # arange(start=0, end, step=1)
            continue
        assert isinstance(parsed, ast.FunctionDef)
        if parsed.args.kwarg is None:
            yield _signature(parsed.args)


def schemas(theirs: Any) -> Iterator[Signature]:
    """Yield the signatures by which PyTorch reads the arguments of a compiled function."""
    is_method = isinstance(theirs, type(torch.Tensor.add))
    if is_method or isinstance(theirs, type(torch.add)):
        for schema in torch._C._jit_get_schemas_for_operator(f"aten::{theirs.__name__}"):
            types = [str(argument.type) for argument in schema.arguments]
            # others are of numbers and lists, for PyTorch's compiler
            of_tensors = "Tensor" in types[:1] if is_method else "Tensor" in types or "Optional[Device]" in types
            if of_tensors and not any(argument.is_out for argument in schema.arguments):
                yield _of_schema(schema, is_method)


def _of_schema(schema: Any, is_method: bool) -> Signature:
    found = []
    for each in schema.arguments:
        name = "input" if each.name == "self" else each.name
        default = each.default_value if each.has_default_value() else Parameter.empty
        kind = Parameter.KEYWORD_ONLY if each.kwarg_only else Parameter.POSITIONAL_OR_KEYWORD
        if not (is_method and each.name == "self"):
            found.append(Parameter(name, kind, default=default))
    return Signature(sorted(found, key=lambda each: (each.kind, each.default is not Parameter.empty)))


def _signature(arguments: ast.arguments) -> Signature:
    """Return the signature of a parsed function."""
    names = [name for name in (*arguments.posonlyargs, *arguments.args) if name.arg != "self"]
    defaults = [Parameter.empty] * (len(names) - len(arguments.defaults)) + [*map(_value, arguments.defaults)]
    found = [
        Parameter(name.arg, Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for name, default in zip(names, defaults, strict=True)
    ]
    if arguments.vararg:
        found.append(Parameter(arguments.vararg.arg, Parameter.VAR_POSITIONAL))
    for name, each in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        default = Parameter.empty if each is None else _value(each)
        found.append(Parameter(name.arg, Parameter.KEYWORD_ONLY, default=default))
    return Signature(found)


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _compared(ours: Signature, theirs: Signature, overloads: list[Signature]) -> tuple[list[str], list[str]]:
    """Compare with one overload; a parameter that others of them have, or have not, is one that may be left out."""
    mine = {name: each for name, each in ours.parameters.items() if each.kind != Parameter.VAR_KEYWORD}
    passes_on = len(mine) < len(ours.parameters)
    others = {
        name: each
        for name, each in theirs.parameters.items()
        if name in mine or not (name in NOWHERE or name.startswith("_"))
    }
    if any(each.kind == Parameter.VAR_POSITIONAL for each in [*mine.values(), *others.values()]):
        mine, others = _without_starred(mine), _without_starred(others)
    missing = [] if passes_on else [name for name in others if name not in mine]
    found = []
    for name, each in mine.items():
        having = [signature for signature in overloads if name in signature.parameters]
        if not having and name != "requires_grad":  # schemas leave it out
            found.append(f"`{name}` is ours alone")
        elif name in others and len(having) == len(overloads) and not _equal(each, others[name]):
            found.append(f"`{_shown(each)}` instead of `{_shown(others[name])}`")
    by_position, their_positions = ([n for n, p in s.items() if p.kind in _POSITIONAL] for s in (mine, others))
    shared = [name for name in by_position if name in their_positions]
    for name, expected in zip(shared, their_positions, strict=False):
        if name != expected:
            found.append(f"`{expected}` has another place, or none")
            break
    by_name = set(their_positions).difference(by_position, NOWHERE)
    found += [f"`{name}` by name only" for name in mine if name in by_name]
    return missing, found


_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def _without_starred(parameters: dict[str, Parameter]) -> dict[str, Parameter]:
    """Return what is given by name, where the rest is any number of arguments: ``zeros(*size, dtype=None)``."""
    return {name: each for name, each in parameters.items() if each.kind == Parameter.KEYWORD_ONLY}


def _equal(ours: Parameter, theirs: Parameter) -> bool:
    a, b = ours.default, theirs.default
    if (_shown(ours), b) in (("dtype=float32", None), ("dtype=int64", 4), ("dtype=int64", "torch.int64")):
        return True  # None is float32, for there is no other default; 4 is PyTorch's number of int64
    if ours.name == "generator":  # of random numbers, NumPy's
        return True
    return repr(a) == repr(b) or (isinstance(a, (int, float)) and isinstance(b, (int, float)) and a == b)


def _shown(parameter: Parameter) -> str:
    default = parameter.default
    if default is Parameter.empty:
        return parameter.name
    text = np.dtype(default).name if isinstance(default, type) and issubclass(default, np.generic) else repr(default)
    return f"{parameter.name}={text}"


def values_refused() -> dict[str, dict[str, str]]:
    """Return the arguments of which only some values are accepted, by function or class.

    They are in the calls of arguments.only: of the function that its first argument names, or else of the class around.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted((ROOT / "minicnn").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for home in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]:
            for node in ast.walk(home):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "only":
                    function, name, _, *accepted = node.args
                    several = any(isinstance(each, ast.Starred) for each in accepted)
                    values = "some values" if several else " or ".join(f"`{ast.unparse(each)}`" for each in accepted)
                    if isinstance(function, ast.Constant):
                        found[str(function.value)][ast.literal_eval(name)] = values
                    elif isinstance(home, ast.ClassDef):
                        found[home.name][ast.literal_eval(name)] = values
    return found


def _refused(name: str, ours: Any, refused: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the arguments of which a function, or a class and those that it derives from, accepts some values."""
    places = [each.__name__ for each in ours.__mro__] if isinstance(ours, type) else [name]
    parameters = () if inspect.isdatadescriptor(ours) else inspect.signature(ours).parameters
    return {each: values for place in places for each, values in refused.get(place, {}).items() if each in parameters}


# --- the table ----------------------------------------------------------------------------------------------


def table() -> str:
    """Return the table as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([each.name for each in fields(Row)])
    writer.writerows(map(astuple, rows()))
    return text.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write, or check, docs/_data/from_pytorch.csv.")
    parser.add_argument("--check", action="store_true", help="only compare it with what would be written")
    new = table()
    if parser.parse_args().check:
        sys.exit(TABLE.read_text(encoding="utf-8") != new)
    TABLE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
