"""The package as others get it: built, installed elsewhere, light to import, working without its compiler."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import textwrap
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest

from minicnn.install import DISTRIBUTION

ROOT = Path(__file__).parents[1]
NOT_SOURCE = shutil.ignore_patterns(".*_cache", ".git", ".venv", "venv", "__pycache__", "*.egg-info", "build", "dist")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without this process's Python path, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONPATH")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_here(program: str) -> str:
    """Run a program in a new interpreter that finds minicnn in this checkout."""
    return run(sys.executable, "-c", textwrap.dedent(program), cwd=ROOT)


def modules(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in (folder / "minicnn").rglob("*.py")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was built from it."""
    source = tmp_path_factory.mktemp("source") / "minicnn"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    target = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source, cwd=target)
    return target


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


@pytest.fixture(scope="module")
def elsewhere(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it, away from the checkout."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    (wheel,) = built.glob("*.whl")
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip_install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index"]
    run(*pip_install, wheel, cwd=folder)
    lend(python)
    return python.parent


def lend(python: Path) -> None:
    """Let an environment borrow the dependencies installed here: downloading them again would test only the network.

    A .pth file in a folder that another .pth file names is not read, so an editable minicnn stays out of sight.
    """
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(Path(np.__file__).parents[1])}
    site_packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=python.parent)
    Path(site_packages.strip(), "lent.pth").write_text("\n".join(sorted(lent)))


@pytest.mark.slow
def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    pages = {
        path.relative_to(ROOT).as_posix()
        for kind in ("css", "html", "js")
        for path in (ROOT / "minicnn" / "viz").glob(f"*.{kind}")
    }
    assert len(pages) >= 4  # what cards and walk pages are made of
    lessons = {path.relative_to(ROOT).as_posix() for path in (ROOT / "minicnn/lessons/student").glob("*.ipynb")}
    assert lessons
    assert names == modules(ROOT) | pages | lessons | {
        "minicnn/py.typed",
        "minicnn/tensor_methods.pyi",
        "minicnn/kernels/cuda_kernels.cu",
    }
    assert {"minicnn/kernels/numpy_kernels.py", "minicnn/kernels/numba_kernels.py"} <= names


@pytest.mark.slow
def test_the_sdist_holds_what_is_needed_to_work_on_the_project(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert modules(ROOT) <= names
    needed = "LICENSE README.md setup.cfg pyproject.toml ruff.toml .ci/run minicnn/py.typed".split()
    tests = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")]
    docs = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "results").rglob("*.*")]
    lessons = [path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*.py")]
    assert set(needed + tests + docs + lessons) <= names
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.slow
def test_the_metadata_says_what_pip_needs_to_know(metadata: Message) -> None:
    import minicnn

    assert metadata["Name"] == DISTRIBUTION
    assert metadata["Version"] == minicnn.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    extras = "test test-torch test-browser notebooks docs cuda12 cuda13 mpi onnx bench lite"
    assert set(extras.split()) <= set(metadata.get_all("Provides-Extra", []))
    required = {line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    names = {line.partition(">=")[0] for line in required}
    wanted = "numpy numba matplotlib tqdm threadpoolctl safetensors Pillow click filelock platformdirs packaging"
    assert names == set(wanted.split())
    compiled = [line for line in required if line.startswith(("numba", "safetensors"))]
    assert len(compiled) == 2 and all(line.endswith('platform_system != "Emscripten"') for line in compiled)


@pytest.mark.slow
def test_the_installed_command_tells_its_version(elsewhere: Path, metadata: Message) -> None:
    expected = f"minicnn {metadata['Version']}"
    assert run(elsewhere / "minicnn", "--version", cwd=elsewhere).strip() == expected
    assert run(elsewhere / "python", "-m", "minicnn", "--version", cwd=elsewhere).strip() == expected


@pytest.mark.slow
def test_an_editable_installation_is_found_in_the_folder_above_the_checkout(tmp_path: Path) -> None:
    """The checkout there is called minicnn, as the package is."""
    shutil.copytree(ROOT, tmp_path / "minicnn", ignore=NOT_SOURCE)
    venv.create(tmp_path / "new", with_pip=False, symlinks=os.name != "nt")
    python = tmp_path / "new" / ("Scripts" if os.name == "nt" else "bin") / "python"
    lend(python)  # setuptools among them
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-build-isolation"]
    run(*install, "-e", tmp_path / "minicnn", cwd=tmp_path)
    found = run(python, "-c", "import minicnn; print(minicnn.__file__, minicnn.Tensor)", cwd=tmp_path)
    assert Path(found.split()[0]) == tmp_path / "minicnn" / "minicnn" / "__init__.py"


@pytest.mark.slow
def test_the_installed_package_computes(elsewhere: Path) -> None:
    program = """
        from pathlib import Path
        import numpy as np
        import minicnn
        from minicnn import Tensor, nn, optim, functional as F

        assert Path(minicnn.__file__).is_relative_to(Path.cwd().parent), minicnn.__file__
        minicnn.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.LocalResponseNorm(3), nn.ReLU(),
                              nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 2))
        optimiser = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        images = np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(np.float32)
        labels = (images.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
        losses = []
        for _ in range(40):
            loss = F.cross_entropy(model(Tensor(images)), labels)
            losses.append(loss.item())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        print(losses[0], losses[-1])
    """
    first, last = map(float, run(elsewhere / "python", "-c", textwrap.dedent(program), cwd=elsewhere).split())
    assert 0.3 < first < 3
    assert last < 0.5 * first


@pytest.mark.slow
def test_the_installed_package_brings_the_lessons(elsewhere: Path, tmp_path: Path) -> None:
    run(elsewhere / "minicnn", "lessons", tmp_path, cwd=elsewhere)
    copied = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert copied == {path.name: path.read_bytes() for path in (ROOT / "minicnn/lessons/student").glob("*.ipynb")}


def test_the_import_leaves_heavy_libraries_for_later() -> None:
    """What is imported decides how long the import takes; `python -m benchmarks startup` measures it."""
    program = """
        import sys
        before = set(sys.modules)
        import minicnn
        print(*(set(sys.modules) - before))
    """
    modules = run_here(program).split()
    packages = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)
    of_numpy = {name for name in packages if name == "cython_runtime" or name.startswith("_cython")}
    assert packages - of_numpy == {"minicnn", "numpy", "threadpoolctl"}
    ours = {name.split(".")[1] for name in modules if name.startswith("minicnn.")}
    assert not ours & {"cli", "data", "doctor", "experiments", "lessons", "tracing", "training", "viz"}
    assert not [name for name in modules if name in ("minicnn.kernels.numba_kernels", "minicnn.kernels.cuda_kernels")]


def test_without_numba_the_numpy_kernels_do_the_work() -> None:
    program = """
        import sys

        class WithoutNumba:
            def __init__(self, finder):
                self.finder = finder

            def find_spec(self, name, path=None, target=None):
                absent = name.partition(".")[0] in ("numba", "llvmlite")
                return None if absent else self.finder.find_spec(name, path, target)

        sys.meta_path[:] = map(WithoutNumba, sys.meta_path)
        import numpy as np
        from minicnn import Tensor, functional as F

        x = Tensor(np.arange(32.0).reshape(1, 2, 4, 4), requires_grad=True)
        w = Tensor(np.ones((3, 2, 3, 3)), requires_grad=True)
        y = F.conv2d(x, w, padding=1)
        y.backward(np.ones(y.shape))
        assert "numba" not in sys.modules
        print(y.data[0, 2, 1, 1], x.grad[0, 1].ravel().tolist(), w.grad[2, 1, 1, 1])
    """
    # y is the sum of the 3x3 window over both planes; x's gradient counts windows times filters.
    window_sum = 9 * 5 + 9 * 21
    windows = np.outer([2, 3, 3, 2], [2, 3, 3, 2])
    expected = f"{window_sum:.1f} {(3.0 * windows).ravel().tolist()} {sum(range(16, 32)):.1f}"
    assert run_here(program).strip() == expected


@pytest.mark.slow
def test_the_examples_in_the_readme_run() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        promised = re.findall(r"print\(.*\)  # (.*)", example)
        printed = run_here(example)
        assert all(line in printed for line in promised), printed
