import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from minicnn import files
from minicnn.viz import onnx_runtime
from minicnn.viz.onnx_runtime import SCRIPT, RuntimeScriptError, runtime_script

CONTENT = {
    "ort.wasm.min.js": b"/*! MIT */\nvar ort = {};\n//# sourceMappingURL=ort.wasm.min.js.map\n",
    "ort-wasm-simd-threaded.mjs": b'export default "</script>";',
    "ort-wasm-simd-threaded.wasm": bytes(range(256)) * 40,
}


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A small package, which takes the place of npm's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in CONTENT.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    content = buffer.getvalue()
    monkeypatch.setattr(onnx_runtime, "SHA512", base64.b64encode(hashlib.sha512(content).digest()).decode())
    return content


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: bytes) -> list[str]:
    """An empty cache and a registry: the addresses that it is asked for."""
    addresses: list[str] = []
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: addresses.append(url) or io.BytesIO(package))
    return addresses


def check(script: bytes) -> None:
    program, files_line = script.decode().split("globalThis.ortFiles = ")
    assert program == "/*! MIT */\nvar ort = {};\n"  # with its licence, and without the address of a map
    fields = re.fullmatch(r"\{loader: (.*), wasm: (\".*\")\};\n", files_line)
    assert fields and json.loads(fields[1]) == CONTENT["ort-wasm-simd-threaded.mjs"].decode()
    assert gzip.decompress(base64.b64decode(json.loads(fields[2]))) == CONTENT["ort-wasm-simd-threaded.wasm"]


def test_it_is_downloaded_once(asked: list[str], tmp_path: Path) -> None:
    script = runtime_script()
    check(script)
    assert asked == [onnx_runtime.URL] and runtime_script() == script and len(asked) == 1
    (tmp_path / "cache" / SCRIPT).write_bytes(script[:-5])  # damaged: it is downloaded again
    assert runtime_script() == script and len(asked) == 2


def test_a_file_takes_the_place_of_the_download(asked: list[str], package: bytes, tmp_path: Path) -> None:
    (tmp_path / "package.tgz").write_bytes(package)
    check(runtime_script(tmp_path / "package.tgz"))
    assert asked == []
    with pytest.raises(FileNotFoundError):
        runtime_script(tmp_path / "absent.tgz")


def test_another_file_is_refused(package: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.tgz").write_bytes(package + b"\0")
    with pytest.raises(RuntimeScriptError, match=r"other\.tgz is not onnxruntime-web 1\.30\.0 from npm: its SHA-512"):
        runtime_script(tmp_path / "other.tgz")


def test_without_a_connection_it_says_what_to_do(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, timeout: float) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(
        RuntimeScriptError, match=r"cannot download https://registry\.npmjs\.org/.*: .*no route.*--runtime"
    ):
        runtime_script()
