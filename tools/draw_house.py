"""Draw the house, the package's floors, from import-linter's layers in setup.cfg: docs/_static/house.svg.

python tools/draw_house.py            write the picture
python tools/draw_house.py --check    exit with status 1 if the picture is out of date
"""

from __future__ import annotations

import argparse
import ast
import configparser
import html
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "_static" / "house.svg"

# In pixels of the picture.
WIDTH, LEFT, GAP, PADDING = 980, 122, 10, 12
LINE, NAME_BELOW, CHARACTER = 15, 21, 6.2
COLOURS = ("#fdf3e7", "#fbf7e4", "#f0f6e6", "#e6f4ee", "#e6f1f7", "#e9ecf8", "#f0e9f6", "#f6e8ef")
TITLES = ("arrays", "the engine", "operations", "layers", "networks, data, training", "figures", "studies", "commands")
STYLE = (
    "text{font-family:system-ui,Helvetica,Arial,sans-serif;fill:#222}.floor{font-size:22px;font-weight:600;"
    "text-anchor:middle}.title{font-size:12px;fill:#555}.name{font-size:14px;font-weight:600}"
    ".note{font-size:11.5px;fill:#444}.box{fill:#fff;stroke:#bbb}"
)


def floors() -> list[list[str]]:
    """Return the modules of each floor, the lowest first."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    lines = settings["importlinter:contract:floors"]["layers"].split("\n")
    named = [re.split(r"\s*:\s*", re.sub(r"[()\s]", "", line)) for line in reversed(lines) if line.strip()]
    return [[name for name in names if name != "__main__"] for names in named]


def purpose(module: str) -> str:
    """Return the first sentence of a module's docstring."""
    path = ROOT / "minicnn" / module
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    text = " ".join((ast.get_docstring(ast.parse(source)) or "").replace("``", "").split())
    return re.split(r"(?<=[.;?])\s", text)[0].rstrip(".;")


def picture() -> str:
    """Return the SVG."""
    shapes: list[str] = []
    top = PADDING
    for number, names in reversed(list(enumerate(floors()))):
        wide = (WIDTH - LEFT - GAP * len(names)) / len(names)
        notes = [textwrap.wrap(purpose(name), int((wide - 20) / CHARACTER)) for name in names]
        high = NAME_BELOW + LINE * max(map(len, notes)) + PADDING
        colour = COLOURS[number % len(COLOURS)]
        shapes.append(f'<rect y="{top}" width="{WIDTH}" height="{high + 2 * GAP}" rx="8" fill="{colour}"/>')
        middle = top + GAP + high / 2
        shapes.append(f'<text class="floor" x="22" y="{middle + 8:.0f}">{number}</text>')
        words = textwrap.wrap(TITLES[number], 12)
        for place, line in enumerate(words):
            y = middle + 4 + LINE * (place - (len(words) - 1) / 2)
            shapes.append(f'<text class="title" x="42" y="{y:.0f}">{line}</text>')
        for place, (name, note) in enumerate(zip(names, notes, strict=True)):
            x, y = LEFT + place * (wide + GAP), top + GAP
            ending = "/" if (ROOT / "minicnn" / name).is_dir() else ".py"
            shapes.append(f'<rect class="box" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{high}" rx="5"/>')
            shapes.append(f'<text class="name" x="{x + 10:.1f}" y="{y + NAME_BELOW}">{name}{ending}</text>')
            for row, text in enumerate(note, start=1):
                below = y + NAME_BELOW + LINE * row + 2
                shapes.append(f'<text class="note" x="{x + 10:.1f}" y="{below}">{html.escape(text)}</text>')
        top += high + 3 * GAP
    size = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    title = "<title>The floors of the package: a file imports only from lower floors or its own</title>"
    ground = f'<rect width="{WIDTH}" height="{top}" fill="#fff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", ground, *shapes, "</svg>", ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the picture is up to date")
    drawn = picture()
    if parser.parse_args().check:
        return 0 if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == drawn else 1
    PICTURE.write_text(drawn, encoding="utf-8")
    print(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
