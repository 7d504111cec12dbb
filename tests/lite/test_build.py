"""What the lessons' site consists of, and that each downloaded part is what it should be."""

import hashlib
import importlib.util
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build() -> Any:
    """docs/lite/build.py as a module."""
    spec = importlib.util.spec_from_file_location("lite_build", ROOT / "docs" / "lite" / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_file_that_python_loads_has_the_checksum_of_the_lock(lite_site: Path, build: Any) -> None:
    folder = lite_site / "static" / "pyodide"
    packages = json.loads((folder / "pyodide-lock.json").read_text("utf-8"))["packages"]
    files = {package["file_name"]: package["sha256"] for package in packages.values()}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.whl")}
    assert found == files
    assert {"numpy", "matplotlib", "minicnn-alexnet", "ipython", "pyodide-kernel", "piplite"} <= set(packages)
    settings = json.loads((lite_site / "jupyter-lite.json").read_text("utf-8"))["jupyter-config-data"]
    kernel = settings["litePluginSettings"][f"{build.KERNEL}:kernel"]
    assert kernel["pyodideUrl"] == "./static/pyodide/pyodide.mjs" and kernel["disablePyPIFallback"]
    assert kernel["loadPyodideOptions"]["packages"] == sorted(packages)


def test_the_front_page_leads_to_every_lesson(lite_site: Path, build: Any) -> None:
    page = (lite_site / "index.html").read_text("utf-8")
    names = sorted(path.name for path in (lite_site / "files").glob("*.ipynb"))
    assert len(names) == 15 and all(f'"notebooks/index.html?path={name}"' in page for name in names)
    assert "restart the kernel" in page


def test_a_file_that_is_not_what_the_checksum_says_is_refused(build: Any, tmp_path: Path) -> None:
    right = hashlib.sha256(b"right").hexdigest()
    (tmp_path / right).write_bytes(b"wrong")
    with pytest.raises(build.BuildError, match=f"{right}.*has the SHA-256 .* instead of {right}"):
        build.from_pypi(tmp_path, "something", "1.0", right)


def test_what_cannot_be_downloaded_is_said_in_one_line(build: Any, tmp_path: Path) -> None:
    with pytest.raises(build.BuildError, match="it cannot be downloaded: no network"):
        build.fetched(tmp_path, "0" * 64, "it", "sh", "-c", "echo no network >&2; exit 1")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_else_is_not_replaced(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "kernel_extension", lambda: tmp_path)
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(build.BuildError, match="holds something else"):
        build.build(tmp_path, tmp_path / "cache")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_wheels_come_from_a_release_too(build: Any, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "pyodide.tar.bz2", "w:bz2") as archive:
        for name in ("numpy.whl", "other.whl"):
            member = tarfile.TarInfo(f"pyodide/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    found, source = build.wheels_of_release(str(tmp_path / "pyodide.tar.bz2"), ["numpy.whl"])
    assert found == {"numpy.whl": b"numpy.whl"} and source.endswith("pyodide.tar.bz2")
