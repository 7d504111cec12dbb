"""The gradient check of every operation: what ``minicnn gradcheck`` runs."""

import importlib.util
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from minicnn import kernels
from minicnn.backend import checked_device
from minicnn.checks.configurations import configurations
from minicnn.checks.examples import EXAMPLES, Example
from minicnn.checks.finite_differences import gradcheck
from minicnn.checks.report import GradcheckReport

__all__ = ["OperationCheck", "check_operations", "every_example", "format_table"]


@dataclass(frozen=True)
class OperationCheck:
    """The gradient check of one operation in one configuration.

    Attributes
    ----------
    operation : str
        As in :mod:`minicnn.functional`, or Tensor's operator or method.
    configuration : str
        Shapes and hyperparameters.
    kernels : str
        The kernels it ran on: ``"numpy"``, ``"numba"`` or ``"cuda"``.
    report : GradcheckReport
        The result.
    seconds : float
        The time it took.
    """

    operation: str
    configuration: str
    kernels: str
    report: GradcheckReport
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the gradient is right."""
        return self.report.ok


def every_example() -> list[Example]:
    """Return the examples of every operation, followed by more configurations."""
    have = {str(example) for example in EXAMPLES}
    return [*EXAMPLES, *(example for example in configurations() if str(example) not in have)]


def check_operations(
    progress: Callable[[OperationCheck], None] | None = None,
    device: str = "cpu",
    examples: Iterable[Example] | None = None,
) -> list[OperationCheck]:
    """Check the gradient of every operation in many configurations, on each kind of kernels that the device has.

    Parameters
    ----------
    progress : callable, optional
        Called with each row as soon as it is known.
    device : str
        "cpu", "cuda" for the current GPU, or "cuda:0", "cuda:1" ...
    examples : iterable of Example, optional
        What to check; by default :func:`every_example`.

    Returns
    -------
    list of OperationCheck
        One row for each example and kind of kernels.

    Raises
    ------
    DeviceError
        If CuPy or the GPU is missing.
    """
    rows = []
    chosen = every_example() if examples is None else list(examples)
    on_gpu = checked_device(device) != "cpu"
    on_cpu = ("numpy", "numba") if importlib.util.find_spec("numba") else ("numpy",)
    for kind in ("cuda",) if on_gpu else on_cpu:
        with nullcontext() if on_gpu else kernels.use_kernels(kind):
            for example in chosen:
                if on_gpu and not example.on_gpu:
                    continue
                inputs = example.inputs(device)
                start = time.perf_counter()
                report = gradcheck(example.function, inputs, raise_exception=False)
                seconds = time.perf_counter() - start
                rows.append(OperationCheck(example.operation, example.configuration, kind, report, seconds))
                if progress is not None:
                    progress(rows[-1])
    return rows


def format_table(rows: Sequence[OperationCheck]) -> str:
    """Return the rows as a table with one line per operation, followed by each failure in full.

    Parameters
    ----------
    rows : sequence of OperationCheck
        From :func:`check_operations`.
    """
    kinds = sorted({row.kernels for row in rows}, reverse=True)  # numpy, the reference, first
    by_operation: dict[str, list[OperationCheck]] = {}
    for row in rows:
        by_operation.setdefault(row.operation, []).append(row)
    width = max(map(len, ["operation", *by_operation]))
    head = f"{'operation':<{width}}  configurations  derivatives  largest error"
    lines = [head + "".join(f"  {kind:>8}" for kind in kinds)]
    for operation, own in by_operation.items():
        configurations = len({row.configuration for row in own})
        compared = sum(row.report.compared for row in own)
        error = max((row.report.difference for row in own if row.report.input is not None), default=math.nan)
        line = f"{operation:<{width}}  {configurations:>14}  {compared:>11}  {error:>13.1e}"
        for kind in kinds:
            failed = sum(not row.ok for row in own if row.kernels == kind)
            line += f"  {f'{failed} FAILED' if failed else 'ok':>8}"
        lines.append(line)
    failures = [row for row in rows if not row.ok]
    for row in failures:
        lines += ["", f"{row.operation} ({row.configuration}; {row.kernels} kernels)", str(row.report)]
    seconds = sum(row.seconds for row in rows)
    passed = f"all {len(rows)} checks passed"
    verdict = f"{len(failures)} of {len(rows)} checks FAILED" if failures else passed
    return "\n".join([*lines, "", f"{verdict} in {seconds:.1f} s"])
