"""PyTorch's own samples of its operations (OpInfo), run with PyTorch and with minicnn.

A function is found by its name, so a new one is compared as soon as it exists. From the checkout:

    PYTHONPATH=. python tests/references/opinfo_samples.py              # a line for each operation
    PYTHONPATH=. python tests/references/opinfo_samples.py conv2d       # and what is refused, or wrong, of these
    PYTHONPATH=. python tests/references/opinfo_samples.py --write      # the table that the test reads
"""

import csv
import inspect
import operator
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # PyTorch's helpers for tests import it

from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402
from with_torch import (  # noqa: E402
    REFUSALS,
    assert_same,
    assert_same_gradients,
    converted,
    is_clear,
    one_line,
    our_tensor,
    pairs,
    their_tensor,
)

TABLE = Path(__file__).parent / "opinfo_matches.csv"

# Operations that are operators here, or whose samples have another order of arguments than the function.
OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "true_divide": operator.truediv,
    "pow": operator.pow,
    "neg": operator.neg,
    "matmul": operator.matmul,
    "mm": operator.matmul,
    "mv": operator.matmul,
    "dot": operator.matmul,
    "bmm": operator.matmul,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "positive": operator.pos,
    "bitwise_not": operator.invert,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
}
REORDERED: dict[str, Callable[..., Any]] = {
    "where": lambda x, condition, *other: minicnn.where(condition, x, *other),
    "einsum": lambda operands, equation: minicnn.einsum(equation, *operands),
}
ANOTHER_MEANING = {"trace"}  # here, the steps of a computation
# Their numbers are random, or not set: only shape and dtype are compared.
RANDOM = set("dropout rand randn randint randperm empty rand_like randn_like randint_like empty_like".split())
# These write into their input, which has no gradient then.
IN_PLACE = re.compile(r"\w*[a-z]_$")


@dataclass
class Outcome:
    """What became of an operation's samples."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # other numbers, or an error that does not say which argument

    @property
    def samples(self) -> int:
        return sum(self.counts.values())


def full_name(info: Any) -> str:
    return ".".join(filter(None, (info.name, info.variant_test_name)))


def ours(name: str) -> Callable[..., Any] | None:
    """Return minicnn's function, method or operator of this name."""
    home, _, last = name.rpartition(".")
    if home == "nn.functional":
        return getattr(F, last, None)
    if home or name in ANOTHER_MEANING:
        return None
    if name in REORDERED:
        return REORDERED[name] if hasattr(minicnn, name) else None
    for place in (minicnn, Tensor, F):
        found = inspect.getattr_static(place, name, None)
        if inspect.isfunction(found):
            return found  # a method is a function of the tensor and the rest
        if isinstance(found, property):
            return found.fget
    return OPERATORS.get(name)


def infos() -> list[Any]:
    """Return the descriptions of the operations that minicnn has, too."""
    return [
        info
        for info in op_db
        if ours(info.name) and {torch.float64, torch.int64} & set(info.dtypes)
        if not (info.variant_test_name and ours(info.name) is OPERATORS.get(info.name))
    ]


def compare(info: Any, dtype: Any = torch.float64) -> Outcome:
    """Run every sample of an operation here and there, forward and, where it has a derivative, backward.

    Operations on bits have samples of whole numbers.
    """
    outcome = Outcome(full_name(info))
    torch.manual_seed(0)
    dtype = dtype if dtype in info.dtypes else torch.int64
    with_gradient = info.supports_autograd and dtype.is_floating_point and not IN_PLACE.fullmatch(info.name)
    is_operator = ours(info.name) is OPERATORS.get(info.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sample in info.sample_inputs("cpu", dtype, requires_grad=with_gradient):
            if is_operator and sample.kwargs:  # alpha, rounding_mode: a sign takes none
                continue
            verdict, text = _compare_sample(info, sample, dtype)
            outcome.counts[verdict] += 1
            if verdict != "match":
                which = f"{full_name(info)}({_shown(sample.input, sample.args, sample.kwargs)}): {text}"
                (outcome.refused if verdict == "refused" else outcome.wrong).append(which)
    return outcome


def _compare_sample(info: Any, sample: Any, dtype: Any) -> tuple[str, str]:
    function = ours(info.name)
    assert function is not None
    arguments = (sample.input, list(sample.args), sample.kwargs)
    (their_input, their_args, their_kwargs), theirs = converted(arguments, their_tensor)
    expected = info.op(their_input, *their_args, **their_kwargs)
    (input, args, kwargs), mine = converted(arguments, our_tensor)
    try:
        found = function(input, *args, **kwargs)
    except REFUSALS as error:
        return ("refused" if is_clear(error) else "wrong"), f"{type(error).__name__}: {one_line(error)}"
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {one_line(error)}"
    try:
        outputs = list(pairs(found, expected))
        for a, b in outputs:
            assert_same(a, b, dtype, only_shape=info.name.rpartition(".")[2] in RANDOM)
        if info.name.rpartition(".")[2] not in RANDOM:
            assert_same_gradients(outputs, mine, theirs, dtype)
    except Exception as error:
        return "wrong", one_line(error) or type(error).__name__
    return "match", ""


def _shown(input: Any, args: Any, kwargs: Any) -> str:
    values = [_short(input), *map(_short, args)]
    return ", ".join(values + [f"{name}={_short(value)}" for name, value in kwargs.items()])


def _short(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_short, value))})"
    return repr(value)


# --- the table ----------------------------------------------------------------------------------------------


def bounds() -> dict[str, int]:
    """Return how many samples of each operation match at least, as the table has them."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["operation"]: int(row["matches"]) for row in csv.DictReader(file)}


def main(arguments: list[str]) -> None:
    """Print the table; with names, only theirs, and every sample that does not match."""
    names = [each for each in arguments if not each.startswith("-")]
    rows = []
    for info in infos():
        if names and not any(each in full_name(info) for each in names):
            continue
        outcome = compare(info)
        counts = [outcome.counts[verdict] for verdict in ("match", "refused", "wrong")]
        rows.append([outcome.name, outcome.samples, *counts])
        print("{:50} {:5} samples: {:5} match {:5} refused {:5} wrong".format(*rows[-1]), flush=True)
        for text in outcome.wrong + (outcome.refused if names else []):
            print("   ", text)
    total = [sum(column) for column in list(zip(*rows, strict=True))[1:]]
    print("{:50} {:5} samples: {:5} match {:5} refused {:5} wrong".format("all", *total))
    if "--write" in arguments:
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["operation", "samples", "matches"])
            writer.writerows(row[:3] for row in rows)


if __name__ == "__main__":
    main(sys.argv[1:])
