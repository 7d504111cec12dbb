"""axe-core over the walk page and the live page: nothing serious."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from minicnn import cli, models
from minicnn.data import Preparation, load_shapes
from minicnn.training import save_model

pytestmark = pytest.mark.slow

AXE = "axe-core@4.14.1"
SIZES = ((1300, 900), (360, 740))


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is absent")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, AXE]
    if subprocess.run(command, capture_output=True, timeout=300).returncode:
        pytest.skip(f"npm cannot install {AXE} here")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A walk page and a live page; the one without its script has all that the other has."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("pages")
    shapes = load_shapes(train=100, test=1)
    network = models.build({"model": "alexnet_cifar", "groups": 2})
    checkpoint = folder / "best.safetensors"
    save_model(checkpoint, network, Preparation.fit(shapes.train_images, crop=28), shapes.classes)
    star = str(Path(__file__).parents[2] / "docs" / "_static" / "star.png")
    assert cli.main(["walk", str(checkpoint), star, "--out", str(folder / "walk.html")]) == 0
    cli.main(["live", str(checkpoint), "--out", str(folder / "live.html")])
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["walk.html", "live.html"])
def test_nothing_serious(browser: Any, axe: str, folder: Path, name: str, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    found = []
    try:
        for width, height in SIZES:
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            for step in (1, 5, 21):  # a first card, one with towers, and numbers without a place
                browser.get("about:blank")
                browser.get(f"{(folder / name).as_uri()}#step{step}")
                browser.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true })")
                browser.execute_script(axe)
                result = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
                assert len(result["passes"]) > 20
                found += [
                    (width, step, each["id"], [node["target"] for node in each["nodes"]])
                    for each in result["violations"]
                    if each["impact"] in ("serious", "critical") or each["id"] == "region"  # outside of landmarks
                ]
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.get("about:blank")
    assert found == []
