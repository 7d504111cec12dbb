"""The result of a check: a few lines of text, or a small card in a notebook."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Report"]

WIDTH = 100


@dataclass(frozen=True, repr=False)
class Report:
    """What a check says about an answer.

    Attributes
    ----------
    exercise : str
        The exercise's name.
    verdict : str
        The first line.
    lines : sequence of (str, str)
        The following lines, each with its label: input, expected, got.
    mistake, hint : str
        The mistake by name, if it is known, and what to look at.
    passed, done : bool
        Whether the answer is right, and whether there is an answer.
    """

    exercise: str
    verdict: str
    lines: Sequence[tuple[str, str]] = ()
    mistake: str = ""
    hint: str = ""
    passed: bool = False
    done: bool = True

    def __bool__(self) -> bool:
        return self.passed

    def _labelled(self) -> list[tuple[str, str]]:
        more = [("mistake", self.mistake), ("hint", self.hint)]
        return [*self.lines, *((label, text) for label, text in more if text)]

    def __repr__(self) -> str:
        text = [f"{self.exercise}: {self.verdict}"]
        lines = self._labelled()
        width = max((len(label) for label, _ in lines), default=0) + 2
        for label, content in lines:
            if label in ("hint", "mistake", "problem", "task"):
                content = textwrap.fill(content, WIDTH - width - 2)
            first, *others = content.splitlines() or [""]
            text.append(f"  {label:<{width}}{first}")
            text += [" " * (width + 2) + line for line in others]
        return "\n".join(text)

    def _repr_html_(self) -> str:
        """Return a card whose only colour is its border, so that it can be read on light and dark pages."""
        colour = "#2e9e5b" if self.passed else "#c8500a" if self.done else "#808080"
        cell = "padding:0.15em 0.8em 0.15em 0;vertical-align:top;text-align:left;background:none;border:none"
        mono = "white-space:pre-wrap;font:0.92em/1.45 ui-monospace,'DejaVu Sans Mono',Consolas,monospace"
        rows = "".join(
            f'<tr style="background:none"><th scope="row" style="{cell};font-weight:400;opacity:0.7;'
            f'white-space:nowrap">{html.escape(label)}</th>'
            f'<td style="{cell};{"" if label in ("hint", "mistake", "problem", "task") else mono}">'
            f"{self._bold(label, html.escape(text))}</td></tr>"
            for label, text in self._labelled()
        )
        look = "margin:0.4em 0 0;border-collapse:collapse;font-size:0.95em;color:inherit"
        table = f'<table style="{look}">{rows}</table>'
        return (
            f'<div style="border:1px solid rgba(128,128,128,0.35);border-left:4px solid {colour};border-radius:4px;'
            f'padding:0.6em 0.9em;margin:0.3em 0;max-width:60rem;overflow-x:auto">'
            f"<strong>{html.escape(self.exercise)}</strong>: {html.escape(self.verdict)}{table if rows else ''}</div>"
        )

    @staticmethod
    def _bold(label: str, text: str) -> str:
        return f"<strong>{text}</strong>" if label == "mistake" else text
