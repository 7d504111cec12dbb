"""ONNX Runtime Web as one script for a page: onnxruntime-web of npm, checked by its hash.

The package runs an ONNX graph in a browser. Its program is WebAssembly, which a page that was opened from a disk may
not load as a file of its own; so the script carries it, compressed: 14 MB become 5.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

from minicnn.errors import MinicnnError
from minicnn.files import load_cached, save_cached

__all__ = ["SCRIPT", "RuntimeScriptError", "runtime_script"]

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = (  # npm's "integrity"
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
SCRIPT = f"onnxruntime-web-{VERSION}.js"
PROGRAM, LOADER, WASM = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
TIMEOUT = 60


class RuntimeScriptError(MinicnnError):
    """onnxruntime-web cannot be downloaded, or the file is another one."""


def runtime_script(package: str | os.PathLike[str] | None = None) -> bytes:
    """Return a script that defines ``ort``, ONNX Runtime Web, and ``ortFiles``: what it loads, as text.

    Parameters
    ----------
    package : path, optional
        The file that ``npm pack onnxruntime-web@1.30.0`` writes. By default it is downloaded from npm's registry,
        33 MB, and the script is kept in the user's cache.

    Raises
    ------
    RuntimeScriptError
        If the download fails, or the package's SHA-512 is not that of this version.
    OSError
        If `package` cannot be read.
    """
    if package is not None:
        return _script(Path(package).read_bytes(), os.fspath(package))
    found = load_cached(SCRIPT)
    checksum = load_cached(f"{SCRIPT}.sha256")
    if found is not None and checksum == hashlib.sha256(found).hexdigest().encode():
        return found
    script = _script(_downloaded(), URL)
    save_cached(SCRIPT, script)
    save_cached(f"{SCRIPT}.sha256", hashlib.sha256(script).hexdigest().encode())
    return script


def _downloaded() -> bytes:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(URL, timeout=TIMEOUT) as answer:
            content: bytes = answer.read()
    except (OSError, HTTPException) as error:
        raise RuntimeScriptError(
            f"cannot download {URL}: {error or type(error).__name__} (with a connection, npm pack "
            f"onnxruntime-web@{VERSION} writes the same file, for --runtime)"
        ) from error
    return content


def _script(package: bytes, name: str) -> bytes:
    found = base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != SHA512:
        raise RuntimeScriptError(
            f"{name} is not onnxruntime-web {VERSION} from npm: its SHA-512 in base64 is {found}, expected {SHA512}"
        )
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as members:
        program, loader, wasm = (_member(members, f"package/dist/{file}") for file in (PROGRAM, LOADER, WASM))
    packed = base64.b64encode(gzip.compress(wasm, 9, mtime=0)).decode()
    files = f"globalThis.ortFiles = {{loader: {json.dumps(loader.decode())}, wasm: {json.dumps(packed)}}};\n"
    return program.partition(b"\n//# sourceMappingURL")[0] + b"\n" + files.encode()


def _member(members: tarfile.TarFile, name: str) -> bytes:
    file = members.extractfile(name)
    assert file is not None  # the hash was right
    return file.read()
