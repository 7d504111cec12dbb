"""Build the lessons as a static site that runs Python in the browser: JupyterLite, Pyodide and minicnn's wheel.

    python docs/lite/build.py                      into docs/_build/lite, beside the pages of the documentation
    python docs/lite/build.py --release FILE.tar.bz2   with the wheels of Pyodide's own release: a file or an address
    python docs/lite/build.py --solved --out DIR   the notebooks with their solutions, for the tests

The site asks nothing of other hosts. Its parts are downloaded with npm and pip, or come from the cache; each must have
the SHA-256 that versions.toml names, or that Pyodide's lock file names. It needs the extra "lite" and npm.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from minicnn.files import cache_folder, write_atomically  # noqa: E402
from tools import build_notebooks  # noqa: E402

VERSIONS: dict[str, Any] = tomllib.loads((HERE / "versions.toml").read_text(encoding="utf-8"))
# What a browser loads of the npm package; the rest is for programmers.
CORE = "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide.mjs", "python_stdlib.zip"
KERNEL = "@jupyterlite/pyodide-kernel-extension"
WIDGETS = "@jupyter-widgets/jupyterlab-manager"


class BuildError(Exception):
    """What is wrong, in one line."""


def checked(content: bytes, sha256: str, name: str) -> bytes:
    """Return `content` if it is what the checksum says."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise BuildError(f"{name} has the SHA-256 {found} instead of {sha256}")
    return content


def fetched(cache: Path, sha256: str, name: str, *command: str | Path) -> bytes:
    """Return a file from the cache, where the command puts it if it is absent.

    The command downloads one file into a folder whose name is appended to it.
    """
    kept = cache / sha256
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            done = subprocess.run([*command, folder], capture_output=True, text=True)
            files = list(Path(folder).iterdir())
            if done.returncode or len(files) != 1:
                raise BuildError(f"{name} cannot be downloaded: {(done.stderr or done.stdout).strip()[-500:]}")
            checked(files[0].read_bytes(), sha256, name)
            files[0].replace(kept)
    return checked(kept.read_bytes(), sha256, f"{kept} ({name})")


def from_npm(cache: Path, name: str, version: str, sha256: str) -> bytes:
    """Return the tarball of a package on npm."""
    npm = shutil.which("npm")
    if npm is None and not (cache / sha256).exists():
        raise BuildError(f"npm is not installed, which downloads {name}")
    command = [str(npm), "pack", "--silent", f"{name}@{version}", "--pack-destination"]
    return fetched(cache, sha256, f"{name} {version} from npm", *command)


def from_pypi(cache: Path, name: str, version: str, sha256: str) -> bytes:
    """Return a wheel on PyPI. It will run on another Python than this one."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", f"{name}=={version}", "--dest"]
    return fetched(cache, sha256, f"{name} {version} from PyPI", *command)


# --- the parts --------------------------------------------------------------------------------------------------


def wheels_of_release(release: str, names: Iterable[str]) -> tuple[dict[str, bytes], str]:
    """Return the named files of Pyodide's release tarball, and where they are from."""
    if release.startswith("https://"):
        with urllib.request.urlopen(release) as answer:
            tarball = answer.read()
    else:
        tarball = Path(release).read_bytes()
    wanted, found = set(names), {}
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for member in archive:
            name = Path(member.name).name
            if member.isfile() and name in wanted:
                found[name] = archive.extractfile(member).read()  # type: ignore[union-attr]
    return found, release


def wheels_of_carrier(cache: Path, names: Iterable[str]) -> tuple[dict[str, bytes], str]:
    """Return the named files of the package that carries them, and where they are from."""
    carrier = dict(VERSIONS["carrier"])
    folder = carrier.pop("folder")
    with zipfile.ZipFile(io.BytesIO(from_pypi(cache, **carrier))) as archive:
        there = set(archive.namelist())
        found = {name: archive.read(f"{folder}/{name}") for name in names if f"{folder}/{name}" in there}
    return found, f"{carrier['name']} {carrier['version']} on PyPI, which carries them"


def normalised(name: str) -> str:
    """Return the name of a package as lock files write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entry(file_name: str, wheel: bytes) -> tuple[str, dict[str, Any]]:
    """Return the entry of a wheel in Pyodide's lock file. All packages are loaded together, so none has depends."""
    name, version = file_name.split("-")[:2]
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        tops = {path.split("/")[0].removesuffix(".py") for path in archive.namelist() if path.endswith(".py")}
    return normalised(name), {
        "name": normalised(name),
        "version": version,
        "file_name": file_name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel).hexdigest(),
        "package_type": "package",
        "imports": sorted(top for top in tops if not top.endswith((".data", ".dist-info"))),
        "depends": [],
        "unvendored_tests": False,
    }


def minicnn_wheel() -> tuple[str, bytes]:
    """Return the file name and the content of minicnn's wheel, built from a copy of this checkout."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "wheel")
        shutil.copytree(ROOT / "minicnn", source / "minicnn", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        done = subprocess.run([*command, "--wheel-dir", target, source], capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"minicnn's wheel cannot be built: {done.stderr.strip()}")
        (wheel,) = target.iterdir()
        return wheel.name, wheel.read_bytes()


def kernel_extension() -> Path:
    """Return the installed folder of JupyterLite's Python kernel."""
    return Path(sys.prefix, "share", "jupyter", "labextensions", KERNEL)


def pyodide_folder(cache: Path, release: str | None) -> tuple[dict[str, bytes], list[str], str]:
    """Return the files of Pyodide's folder by name, the packages in it, and where its wheels are from."""
    with tarfile.open(fileobj=io.BytesIO(from_npm(cache, **VERSIONS["pyodide"]["npm"]))) as archive:
        core = {name: archive.extractfile(f"package/{name}").read() for name in (*CORE, "pyodide-lock.json")}  # type: ignore[union-attr]
    official = json.loads(core.pop("pyodide-lock.json"))
    packages = {name: official["packages"][name] for name in VERSIONS["pyodide"]["wheels"]}
    names = [package["file_name"] for package in packages.values()]
    wheels, source = wheels_of_release(release, names) if release else wheels_of_carrier(cache, names)
    for package in packages.values():
        name = package["file_name"]
        if name not in wheels:
            raise BuildError(f"{name} is not in {source}")
        checked(wheels[name], package["sha256"], f"{name} of {source}")
    others = dict([minicnn_wheel()])
    for name, pin in VERSIONS["pypi"].items():
        content = from_pypi(cache, name, **pin)
        others[wheel_name(content)] = content
    # Widgets need no notebook server here; the newer of two stand-ins for its part is the one that ipywidgets 8 wants.
    for path in (kernel_extension() / "static" / "pypi").glob("*.whl"):
        if not path.name.startswith("widgetsnbextension-3"):
            others[path.name] = path.read_bytes()
    packages |= dict(entry(name, content) for name, content in others.items())
    lock = json.dumps({**official, "packages": packages}, indent=1).encode()
    return {**core, **wheels, **others, "pyodide-lock.json": lock}, sorted(packages), source


def wheel_name(wheel: bytes) -> str:
    """Return the file name of a wheel in plain Python, from its metadata."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        (folder,) = {path.split("/")[0] for path in archive.namelist() if path.split("/")[0].endswith(".dist-info")}
    return f"{folder.removesuffix('.dist-info')}-py3-none-any.whl"


# --- the site ---------------------------------------------------------------------------------------------------


def settings(packages: list[str]) -> dict[str, Any]:
    """Return jupyter-lite.json: the kernel loads all packages when it starts, and asks PyPI for none."""
    kernel = {"disablePyPIFallback": True, "loadPyodideOptions": {"packages": packages}}
    data = {"appName": "minicnn", "exposeAppInBrowser": True, "litePluginSettings": {f"{KERNEL}:kernel": kernel}}
    return {"jupyter-lite-schema-version": 0, "jupyter-config-data": data}


def notebooks(solved: bool) -> dict[str, str]:
    """Return the text of the notebooks by file name: the students', or with solutions."""
    if not solved:
        return {path.name: path.read_text("utf-8") for path in sorted(build_notebooks.STUDENT.glob("*.ipynb"))}
    read = {f"{path.stem}.ipynb": build_notebooks.read(path) for path in build_notebooks.sources()}
    return {name: build_notebooks.text(notebook) for name, notebook in read.items()}


def front_page(names: Iterable[str]) -> str:
    """Return the page that lists the lessons and says what is different in a browser."""
    rows = []
    for name in names:
        number, title = name.removesuffix(".ipynb").split("_", 1)
        title = build_notebooks.title(build_notebooks.SOURCES / f"{number}_{title}.py")
        rows.append(f'<li><a href="notebooks/index.html?path={name}">{html.escape(title)}</a></li>')
    template = (HERE / "index.html").read_text(encoding="utf-8")
    return template.replace("<!-- lessons -->", "\n".join(rows))


def build(out: Path, cache: Path, release: str | None = None, solved: bool = False) -> str:
    """Build the site into a folder, which is replaced; return where the WebAssembly wheels are from."""
    if not kernel_extension().is_dir():
        raise BuildError("JupyterLite is not installed: python -m pip install -e '.[lite]'")
    if out.exists() and not (out / "jupyter-lite.json").exists() and any(out.iterdir()):
        raise BuildError(f"{out} holds something else, which building the site would delete")
    files, packages, source = pyodide_folder(cache, release)
    texts = notebooks(solved)
    with tempfile.TemporaryDirectory() as folder:
        lite = Path(folder)
        write_all(lite / "static" / "pyodide", files)
        write_all(lite / "files", {name: text.encode() for name, text in texts.items()})
        write_all(lite, {"jupyter-lite.json": json.dumps(settings(packages)).encode()})
        command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", lite, "--contents", lite / "files"]
        command += ["--output-dir", out, "--no-sourcemaps", "--no-libarchive", "--ignore-sys-prefix"]
        command += [f"--apps={app}" for app in ("lab", "notebooks", "tree")]
        # These two and no other extension that happens to be installed here.
        extensions = [str(kernel_extension()), str(kernel_extension().parents[1] / WIDGETS)]
        command += [f"--LiteBuildConfig.federated_extensions={path}" for path in extensions]
        shutil.rmtree(out, ignore_errors=True)
        done = subprocess.run(command, cwd=lite, capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"JupyterLite cannot build the site:\n{done.stdout}\n{done.stderr}")
    write_atomically(out / "index.html", front_page(texts))
    return source


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by name into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def megabytes(folder: Path) -> float:
    """Return the size of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the lessons as a site that runs Python in the browser.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "_build" / "lite", help="default: docs/_build/lite")
    cache = os.environ.get("MINICNN_LITE_CACHE", cache_folder() / "lite")
    parser.add_argument("--cache", type=Path, default=Path(cache), help=f"folder of downloads; default: {cache}")
    release = VERSIONS["pyodide"]["release"]
    parser.add_argument("--release", metavar="FILE", help=f"take the wheels from Pyodide's release, such as {release}")
    parser.add_argument("--solved", action="store_true", help="with the solutions of the exercises")
    options = parser.parse_args()
    try:
        source = build(options.out.resolve(), options.cache, options.release, options.solved)
    except (BuildError, OSError) as error:
        print(f"docs/lite/build.py: {error}", file=sys.stderr)
        return 1
    print(f"The wheels for WebAssembly are from {source}.")
    python = megabytes(options.out / "static" / "pyodide")
    print(f"{options.out}: {megabytes(options.out):.0f} MB, of which {python:.0f} are Python and its packages.")
    print(f"To see it: python -m http.server -d {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
