"""Formulas drawn by matplotlib as SVG: nothing is loaded from the network, and no TeX is needed.

A formula that matplotlib's mathtext does not support fails the build.
"""

import html
from typing import Any

from docutils import nodes
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from sphinx.errors import SphinxError

SIZE = 100  # of the glyphs, in units of the drawing: 100 are one em
CODES = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}


def drawn(formula: str) -> str:
    """Return a formula as an SVG that takes its colour and size from the text around it."""
    text = " ".join(formula.split())
    try:
        outline = TextPath((0, 0), f"${text}$", size=SIZE)
    except ValueError as error:
        raise SphinxError(f"matplotlib cannot draw the formula {text}: {error}") from None
    parts = []
    for points, code in outline.iter_segments(simplify=False, curves=True):
        parts.append("Z" if code == Path.CLOSEPOLY else CODES[code] + " ".join(f"{p:.0f}" for p in flipped(points)))
    box = outline.get_extents()
    left, right = min(box.x0, 0) - 4, box.x1 + 4
    below, above = min(box.y0, 0) - 4, box.y1 + 4
    width, height = (right - left) / SIZE, (above - below) / SIZE
    return (
        f'<svg class="formula" role="img" aria-label="{html.escape(text)}" '
        f'viewBox="{left:.0f} {-above:.0f} {right - left:.0f} {above - below:.0f}" '
        f'style="width:{width:.2f}em;height:{height:.2f}em;vertical-align:{below / SIZE:.2f}em" fill="currentColor">'
        f'<path d="{"".join(parts)}"/></svg>'
    )


def flipped(points: Any) -> list[float]:
    """Turn matplotlib's upward y into SVG's downward one."""
    return [-value if place % 2 else value for place, value in enumerate(points)]


def inline(writer: Any, node: nodes.Node) -> None:
    writer.body.append(drawn(node.astext()))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.Node) -> None:
    formula = node.astext().replace("\\frac", "\\dfrac")  # as TeX does in display style
    writer.body.append(f'<div class="formula">{drawn(formula)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathtext", (inline, None), (block, None))
    app.config.html_math_renderer = "mathtext"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
