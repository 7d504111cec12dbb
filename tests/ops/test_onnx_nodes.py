"""ONNX's own tests of single operations: those that minicnn has, too, give the same."""

import re
import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from onnx_nodes import NODES, Declined

from minicnn import Tensor

onnx = pytest.importorskip("onnx")

from onnx.backend.test.loader import load_model_tests  # noqa: E402

PRESENT = [name for name, node in NODES.items() if node.found()]


@pytest.fixture(scope="module")
def cases() -> dict[str, list[Any]]:
    """Return ONNX's tests of one node each, by the node's operation."""
    found = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in load_model_tests(kind="node"):
            if len(case.model.graph.node) == 1:
                found[case.model.graph.node[0].op_type].append(case)
    return found


@pytest.mark.parametrize("name", PRESENT)
def test_the_nodes_give_the_same(name: str, cases: dict[str, list[Any]]) -> None:
    outcomes = {case.name: _outcome(case) for case in cases[name]}
    wrong = [f"{case}: {text}" for case, text in outcomes.items() if text and not text.startswith("declined")]
    matches = list(outcomes.values()).count("")
    listing = "\n".join(f"{case}: {text or 'match'}" for case, text in outcomes.items())
    assert not wrong, "\n".join(wrong)
    assert matches >= NODES[name].matches, listing
    print(f"\n{name}: {matches} of {len(outcomes)} match\n{listing}")


def _outcome(case: Any) -> str:
    """Return what is wrong, or "declined" with the reason, or nothing."""
    (node,) = case.model.graph.node
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    attributes = {key: value.decode() if isinstance(value, bytes) else value for key, value in attributes.items()}
    attributes.pop("seed", None)
    if len(node.output) > 1:
        attributes["outputs"] = len(node.output)
    ((arrays, expected),) = case.data_sets
    given = iter(arrays)
    if any(isinstance(each, list) for each in expected):
        return "declined: a list of tensors"
    try:
        inputs = [Tensor(np.array(next(given))) if name else None for name in node.input]
        found = NODES[node.op_type].run(NODES[node.op_type].found(), *inputs, **attributes)
    except Declined as error:
        return f"declined: {error}"
    except (NotImplementedError, TypeError, ValueError) as error:
        is_clear = re.match(r"\S+: \S", str(error))  # "function: argument ..."
        return f"{'declined' if is_clear else 'an error'}: {error}"
    for a, b in zip(found if isinstance(found, tuple) else [found], expected, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{a.dtype}{a.shape} instead of {b.dtype}{b.shape}"
        if not np.allclose(a.data, b, rtol=case.rtol, atol=case.atol, equal_nan=True):
            return f"{a.data.ravel()[:5]} instead of {b.ravel()[:5]}"
    return ""


def test_at_least_so_many_match() -> None:
    assert sum(NODES[name].matches for name in PRESENT) >= 90
