"""What has PyTorch's name has PyTorch's parameters: the same names, order and defaults, or a reason in the table."""

import tomllib
from typing import Any

import pytest

pytest.importorskip("torch")

from with_torch import IS_THE_TABLES_VERSION

from tools import compare_with_pytorch

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not IS_THE_TABLES_VERSION, reason="the table is of another version of PyTorch"),
]

ROWS = compare_with_pytorch.rows()
REASONS = tomllib.loads(compare_with_pytorch.REASONS.read_text(encoding="utf-8"))

EXPLAINED = REASONS["why"] | REASONS["meaning"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.pytorch], ids=lambda row: row.key)
def test_the_signature_is_pytorchs_or_the_table_says_why(row: Any) -> None:
    assert row.verdict != "differs" or row.key in EXPLAINED, row.notes


def test_every_reason_is_needed() -> None:
    by_key = {row.key: row for row in ROWS}
    assert [key for key in EXPLAINED if key not in by_key or by_key[key].verdict != "differs"] == []
    assert [key for key in REASONS["alone"] if key not in by_key] == []


def test_the_table_is_up_to_date() -> None:
    written = compare_with_pytorch.TABLE.read_text(encoding="utf-8")
    assert written == compare_with_pytorch.table(), "python tools/compare_with_pytorch.py writes it again"


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (lambda input, p=0.5, training=True, inplace=False: None, ([], [])),
        (lambda input, p=0.5: None, (["training", "inplace"], [])),
        (lambda input, p=0.4, training=True, inplace=False: None, ([], ["`p=0.4` instead of `p=0.5`"])),
        (lambda x, p=0.5, training=True, inplace=False: None, (["input"], ["`x` is ours alone"])),
        (lambda input, training=True, p=0.5: None, (["inplace"], ["`p` has another place, or none"])),
        (lambda input, *, p=0.5, training=True, inplace=False: None, ([], ["`p` by name only"])),
    ],
    ids=["same", "missing", "default", "name", "order", "keyword"],
)
def test_differences_are_seen(ours: Any, expected: tuple[list[str], list[str]]) -> None:
    import torch

    missing, others = compare_with_pytorch.differences(ours, torch.nn.functional.dropout, is_method=False)
    assert missing == expected[0]
    assert others[: len(expected[1])] == expected[1] and bool(others) == bool(expected[1])
