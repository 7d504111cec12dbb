"""The gradient check, and the table of examples of every operation that it goes through."""

from minicnn.checks.examples import EXAMPLES, Example
from minicnn.checks.finite_differences import gradcheck
from minicnn.checks.operations import OperationCheck, check_operations, every_example, format_table
from minicnn.checks.report import GradcheckError, GradcheckReport

__all__ = [
    "EXAMPLES",
    "Example",
    "GradcheckError",
    "GradcheckReport",
    "OperationCheck",
    "check_operations",
    "every_example",
    "format_table",
    "gradcheck",
]
