"""The pages: their sources, and the site that Sphinx makes of them, once for all tests that look at it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NEEDED = ("sphinx", "myst_nb", "sphinx_book_theme", "numpydoc")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built pages. A warning of Sphinx is an error here."""
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed (extra docs)")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", f"{folder}/doctrees"]
    built = subprocess.run([*command, str(DOCS), f"{folder}/html"], capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    return folder / "html"
