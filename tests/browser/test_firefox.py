"""The live page in Firefox: npm's puppeteer-core drives it, since Debian has no WebDriver for it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from minicnn.viz.onnx_runtime import SCRIPT

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PUPPETEER = "puppeteer-core@24.43.1"


@pytest.fixture(scope="module")
def puppeteer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, from npm."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("Node or npm is absent")
    folder = tmp_path_factory.mktemp("puppeteer")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, PUPPETEER]
    if subprocess.run(command, capture_output=True, timeout=300).returncode:
        pytest.skip(f"npm cannot install {PUPPETEER} here")
    return folder


def test_the_live_page_is_drawn_on(site: Path, puppeteer: Path) -> None:
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        pytest.skip("Firefox is absent")
    if not (site / "walks" / SCRIPT).exists():
        pytest.skip("the documentation was built without a connection to npm's registry")
    page, drawings = (site / "walks" / "live.html").as_uri(), HERE / "drawings.json"
    command = ["node", HERE / "draw_in_firefox.mjs", firefox, page, drawings]
    result = subprocess.run(command, cwd=puppeteer, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["said"] == [] and " agree in all " in found["agrees"]
    assert [address for address in found["asked"] if address.startswith("http")] == []
    classes = [drawing["class"] for drawing in json.loads(drawings.read_text(encoding="utf-8"))["drawings"]]
    right = [answer == name for answer, name in zip(found["answers"], classes, strict=True)]
    assert len(right) == 25 and sum(right) >= 22, found["answers"]
