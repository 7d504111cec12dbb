"""Draw a walk page (`minicnn walk`) as a small animation: every step is a frame, forward and then backward.

python tools/draw_walk.py walk.html                    write docs/_static/walk.gif
python tools/draw_walk.py walk.html --out FILE.gif     or another file

Chromium takes the screenshots. They show the page itself, without what is too small to read in passing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
ANIMATION = ROOT / "docs" / "_static" / "walk.gif"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

WINDOW = (960, 768)  # in pixels of the page
WIDTH = 800  # of the animation, in pixels: what GitHub shows without scaling it down
STEP, REST = 450, 1600  # milliseconds of a step; of the first, the loss, and the last
COLOURS = 192

STYLE = """
.hint, .scale, #where, #product, .answer li:nth-child(n + 4), .minicnn-card .way, .minicnn-card h3,
.minicnn-card .section, .minicnn-card .told, .minicnn-card details { display: none; }
.minicnn-card figure ~ figure { display: none; } /* the weights */
header { height: 9.4rem; padding-bottom: 0; }
h1 { font-size: 1.3rem; white-space: nowrap; }
.answer { position: absolute; left: calc(100% - 20.2rem); width: 18rem; }
.controls { position: absolute; top: 3.8rem; border: 0; }
#status { position: absolute; top: 3.5rem; margin: 0; font-size: 1.15rem; font-weight: 600; white-space: nowrap; }
.forward #status { color: var(--forward); }
.backward #status { color: var(--backward); }
.beside { grid-template-columns: minmax(0, 1fr) 18rem; margin-top: 0.4rem; }
#values { min-height: 6.2rem; }
.minicnn-card .equation { min-height: 6em; }
.minicnn-card .columns { grid-template-columns: 1fr 1fr; gap: 1.2em; }
"""


def steps(page: str) -> list[bool]:
    """Return for each step of a walk page whether it belongs to the backward pass."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    if found is None:
        raise ValueError("this is not a page that `minicnn walk` has written")
    return [bool(step["backward"]) for step in json.loads(found[1])["steps"]]


def durations(backward: Sequence[bool]) -> list[int]:
    """Return each step's milliseconds: the first, the last forward one and the last rest longer."""
    rests = {0, list(backward).index(True) - 1, len(backward) - 1} if any(backward) else {0, len(backward) - 1}
    return [REST if number in rests else STEP for number in range(len(backward))]


def styled(page: str) -> str:
    """Return the page as the animation shows it."""
    return page.replace("</head>", f"<style>{STYLE}</style></head>", 1)


def animate(frames: Sequence[Image.Image], milliseconds: Sequence[int], out: Path) -> None:
    """Write frames as a GIF that repeats, with the same colours in all of them."""
    width, height = frames[0].size
    below_each_other = Image.new("RGB", (width, height * len(frames)))
    for number, frame in enumerate(frames):
        below_each_other.paste(frame, (0, number * height))
    palette = below_each_other.quantize(COLOURS, kmeans=1)
    first, *others = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    first.save(out, "GIF", save_all=True, append_images=others, duration=list(milliseconds), loop=0, optimize=True)


def screenshots(page: str, count: int, browser: str) -> list[Image.Image]:
    """Return an image of each step of the page."""
    command = [
        browser,
        "--headless",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",
        f"--window-size={WINDOW[0]},{WINDOW[1]}",
    ]
    command.append(f"--force-device-scale-factor={WIDTH / WINDOW[0]}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container, where Chromium's sandbox refuses to start
        command.append("--no-sandbox")
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        file, picture = Path(folder) / "walk.html", Path(folder) / "step.png"
        file.write_text(styled(page), encoding="utf-8")
        for number in range(1, count + 1):
            taken = [*command, f"--screenshot={picture}", f"{file.as_uri()}#step{number}"]
            subprocess.run(taken, check=True, capture_output=True)
            with Image.open(picture) as image:
                frames.append(image.convert("RGB"))
    return frames


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, metavar="WALK.html", help="a page that `minicnn walk` has written")
    parser.add_argument("--out", type=Path, default=ANIMATION, metavar="FILE", help="default docs/_static/walk.gif")
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        parser.error(f"needs a browser: one of {', '.join(BROWSERS)}")
    page = options.page.read_text(encoding="utf-8")
    backward = steps(page)
    frames = screenshots(page, len(backward), browser)
    animate(frames, durations(backward), options.out)
    print(f"{options.out}: {len(frames)} steps, {options.out.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
