"""Run the lessons in a real browser, as a student would, with their solutions.

    python tools/lessons_in_browser.py                     all lessons in Chromium, and the first one in Firefox
    python tools/lessons_in_browser.py --only 03 10        some of them, in Chromium

It builds the site with docs/lite/build.py, serves it on this machine, runs the cells one after the other, and fails if
one has an error. All lessons together write docs/results/lessons_in_browser.csv. It needs the extra "lite" and npm.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from minicnn.files import cache_folder
from tools import build_notebooks

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "results" / "lessons_in_browser.csv"
LONGEST = 900  # seconds
BROWSERS = {
    "chrome": shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"),
    "firefox": shutil.which("firefox-esr") or shutil.which("firefox"),
}
# What Chromium and Firefox ask for themselves, whatever page is open.
OF_BROWSERS = (
    "accounts.google.com clients2.google.com content-autofill.googleapis.com optimizationguide-pa.googleapis.com "
    "update.googleapis.com www.google.com mozilla.com mozilla.net mozilla.org firefox.com"
).split()


class BrowserError(Exception):
    """Something that is needed is absent, or the browser reports an error."""


def packages() -> Path:
    """Return the folder of the packages from npm that drive browsers; they are kept in the user's cache."""
    text = (ROOT / "docs" / "lite" / "versions.toml").read_text(encoding="utf-8")
    wanted = tomllib.loads(text)["tests"]["npm"]
    folder = cache_folder() / "lite" / "-".join(["npm", *wanted]).replace("@", "-")
    if not (folder / "complete").exists():
        npm = shutil.which("npm")
        if npm is None:
            raise BrowserError("npm is absent")
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        done = subprocess.run([*command, *wanted], capture_output=True, text=True, timeout=LONGEST)
        if done.returncode:
            raise BrowserError(f"npm cannot install {', '.join(wanted)}: {done.stderr.strip()}")
        (folder / "complete").touch()
    return folder / "node_modules"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; the address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def look(browser: str, task: str, site: str, names: Sequence[str], **more: Any) -> dict[str, Any]:
    """Do a task of browser.mjs in a browser.

    Parameters
    ----------
    browser : {"chrome", "firefox"}
    task, names, more
        As browser.mjs has them.
    site : str
        The address of the lessons' site.

    Returns
    -------
    dict
        What was ``found``, the browser's ``version``, and the hosts ``outside`` this machine that pages asked for.

    Raises
    ------
    BrowserError
        If the browser, Node or a package is absent, or the task fails.
    """
    node, executable = shutil.which("node"), BROWSERS[browser]
    if node is None or executable is None:
        raise BrowserError(f"{'Node' if node is None else browser} is absent")
    wanted = {"browser": browser, "executable": executable, "packages": str(packages()), "seconds": LONGEST}
    wanted |= {"task": task, "site": site, "names": list(names), **more}
    command = [node, str(Path(__file__).with_name("browser.mjs")), json.dumps(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * LONGEST)
    if done.returncode:
        raise BrowserError(done.stderr.strip())
    report: dict[str, Any] = json.loads(done.stdout)
    hosts = [host.partition(":")[0] for host in report["outside"]]
    report["outside"] = [host for host in hosts if not host.endswith(tuple(OF_BROWSERS))]
    return report


def build(folder: Path) -> None:
    """Build the site with solved notebooks into a folder."""
    command = [sys.executable, str(ROOT / "docs" / "lite" / "build.py"), "--solved", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    if done.returncode:
        raise BrowserError(done.stderr.strip())


def run(browser: str, site: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Run lessons in a browser, print what happened, and return a row of the table for each."""
    rows = []
    for name in names:
        report = look(browser, "lessons", site, [name])
        found = report["found"][name]
        wrong = [*found["wrong"], *(f"it asked {host}" for host in report["outside"])]
        row = {"lesson": name[:2], "browser": report["version"], "first_cell": round(found["waited"], 1)}
        row |= {"lesson_seconds": round(sum(found["seconds"]), 1), "longest_cell": round(max(found["seconds"]), 1)}
        print(*row.values(), *wrong, sep="  ", flush=True)
        rows.append(row | {"right": not wrong})
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the lessons in a real browser.")
    parser.add_argument("--only", nargs="+", metavar="NN", help="numbers of lessons")
    options = parser.parse_args()
    names = [f"{source.stem}.ipynb" for source in build_notebooks.sources()]
    try:
        with tempfile.TemporaryDirectory() as folder:
            build(Path(folder) / "site")
            with served(Path(folder) / "site") as site:
                if options.only:
                    rows = run("chrome", site, [name for name in names if name[:2] in options.only])
                else:
                    rows = run("chrome", site, names) + run("firefox", site, names[1:2])
    except BrowserError as error:
        print(error, file=sys.stderr)
        return 1
    if not all(row["right"] for row in rows):
        return 1
    if not options.only:
        with open(TABLE, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0])[:-1], extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
