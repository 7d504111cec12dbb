"""What a gradient check found, and how it reads."""

import math
from dataclasses import dataclass

from minicnn.errors import MinicnnError

__all__ = ["GradcheckError", "GradcheckReport", "is_between"]


@dataclass(frozen=True)
class GradcheckReport:
    """The result of :func:`minicnn.gradcheck`. It is true if the check passed; ``print`` shows it.

    Attributes
    ----------
    ok : bool
        Whether every derivative agreed.
    compared, failed : int
        How many derivatives were compared, and how many of them disagreed.
    input : int or None
        The position of the input with the worst derivative; None if nothing was compared.
    index : tuple of int or None
        Its index in that input; None for a direction that moves many elements at once.
    analytic, numeric : float
        The worst derivative as backward computes it, and as the central difference measures it.
    left, right : float
        The two one-sided differences, whose average is `numeric`.
    allowed : float
        The largest accepted difference: ``atol + rtol * abs(numeric)``.
    kink : bool
        Whether the one-sided differences disagree: the function has a kink, a tie or a jump here.
    problem : str
        What went wrong before anything could be compared; empty if nothing did.
    """

    ok: bool
    compared: int = 0
    failed: int = 0
    input: int | None = None
    index: tuple[int, ...] | None = None
    analytic: float = math.nan
    numeric: float = math.nan
    left: float = math.nan
    right: float = math.nan
    allowed: float = math.nan
    kink: bool = False
    problem: str = ""

    def __bool__(self) -> bool:
        return self.ok

    @property
    def difference(self) -> float:
        """The error of the worst derivative."""
        return abs(self.analytic - self.numeric)

    def __str__(self) -> str:
        if self.problem:
            return f"gradcheck failed: {self.problem}"
        if self.ok:
            lines = [f"gradcheck passed: {self.compared} derivatives compared"]
        else:
            lines = [f"gradcheck failed: {self.failed} of {self.compared} derivatives disagree"]
        if self.input is None:
            return lines[0]
        place = " along a random direction" if self.index is None else f"[{', '.join(map(str, self.index))}]"
        lines += [
            f"  worst       inputs[{self.input}]{place}",
            f"  analytic    {self.analytic:.10g}  (from backward)",
            f"  numeric     {self.numeric:.10g}  (central difference)",
            f"  difference  {self.difference:.3g}, allowed {self.allowed:.3g}",
        ]
        if self.kink:
            lines.append(f"  kink or tie here: the slope is {self.left:.6g} left of it, {self.right:.6g} right of it")
        if self.kink and not self.ok:
            if is_between(self.analytic, self.left, self.right, self.allowed):
                lines.append("  analytic lies between the two and may be right: move the input away, try again")
            else:
                lines.append("  analytic lies outside the two, so it is wrong even at a kink")
        return "\n".join(lines)


class GradcheckError(MinicnnError):
    """A gradient is wrong, or could not be checked.

    Attributes
    ----------
    report : GradcheckReport
        The full result; the message is its text.
    """

    def __init__(self, report: GradcheckReport) -> None:
        super().__init__(str(report))
        self.report = report


def is_between(value: float, a: float, b: float, slack: float) -> bool:
    """Whether `value` lies between `a` and `b`, or beyond by no more than `slack`."""
    return min(a, b) - slack <= value <= max(a, b) + slack
