"""The examples in README and docs work: Python is run, commands are at least parsed."""

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image

from minicnn import cli
from minicnn.cli import entry
from minicnn.data import Preparation, load_shapes
from minicnn.models import four_layer
from minicnn.training import save_model

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]

# Commands on the pages that are not minicnn's own.
OTHERS = (
    "python3 -m venv .venv",
    "source .venv/bin/activate",
    "python -m pip install ",
    "python -m sphinx ",
    "python docs/lite/build.py",
    "python -m http.server ",
    "pytest",
    "NUMBA_CPU_",
    "tools/test_on_arm.sh ",
    "python -m pip uninstall numba",
    "lint-imports",
    "jupyter lab ",
    "chromium ",
)


def fenced(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$|^%.*?$", "", text, flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> Iterator[str]:
    for block in fenced(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            yield from (part.strip() for part in line.partition("#")[0].split("&&") if part.strip())
    for command in re.findall(r"`(minicnn [^`]+)`", prose(page)):
        words = command.split()
        if "COMMAND" not in words:
            yield " ".join(words) + " --help" * (len(words) == 2)  # only named, and not to be typed like this


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if any(commands(page))], ids=name_of)
def test_commands_are_understood(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in commands(page):
        if command.startswith(OTHERS):
            continue
        program, *arguments = shlex.split(re.sub(r"^mpiexec -n \d+ ", "", command))
        if command.startswith("python -m benchmarks "):
            monkeypatch.syspath_prepend(str(ROOT))
            from benchmarks.__main__ import _parser as benchmarks_parser

            benchmarks_parser().parse_args(arguments[2:])
            continue
        assert program == "minicnn", f"{name_of(page)}: {command}"
        with monkeypatch.context() as patch:
            patch.setattr(click.Command, "invoke", lambda self, context: None)  # nothing is run
            patch.setattr(entry, "TOGETHER", set())  # nor started in several processes
            assert cli.main(arguments) == 0, f"{name_of(page)}: {command} is not understood"


def test_options_on_the_pages_exist() -> None:
    """An option in running text, such as ``--skip-bad``, is one that some command has."""
    known: set[str] = set()
    context = click.Context(cli.program, **cli.program.context_settings)
    found = [cli.program]
    while found:
        command = found.pop()
        known.update(option for param in command.get_params(context) for option in (*param.opts, *param.secondary_opts))
        if isinstance(command, click.Group):
            found += [command.get_command(context, name) for name in command.list_commands(context)]
    for page in PAGES:
        for option in re.findall(r"`(--[a-z0-9-]+)", prose(page)):
            assert option in known, f"{name_of(page)}: {option}"


@pytest.fixture
def first_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the guide's commands have made before a page is read: here of an untrained network."""
    shapes = load_shapes(train=10, test=10)
    preparation = Preparation.fit(shapes.train_images, crop=32)
    folder = tmp_path / "runs" / "four-layer-shapes"
    folder.mkdir(parents=True)
    save_model(folder / "best.safetensors", four_layer(), preparation, shapes.classes)
    Image.fromarray(shapes.test_images[0].transpose(1, 2, 0)).save(tmp_path / "shape.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.name == "README.md" else ())  # which trains for seconds
        for page in PAGES
        if fenced(page, "python") and page.name != "add-an-operation.md"  # it has its own test
    ],
    ids=name_of,
)
def test_python_runs(page: Path, first_network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if page.name == "weights.md":
        if find_spec("onnx") is None or find_spec("onnxruntime") is None:
            pytest.skip("onnx or onnxruntime not installed (extra onnx)")
        (export,) = (command for command in commands(page) if command.startswith("minicnn export-onnx runs/"))
        assert cli.main(shlex.split(export)[1:]) == 0
    names: dict[str, Any] = {"__name__": "example"}
    for number, block in enumerate(fenced(page, "python"), start=1):
        exec(compile(block, f"{name_of(page)}, block {number}", "exec"), names)
        expected = re.findall(r"^print\(.*?\)  # (.+)$", block, re.MULTILINE)
        printed = capsys.readouterr().out
        assert [line for line in expected if line not in printed] == [], printed


@pytest.mark.slow
def test_the_first_networks_commands_run(first_network: Path) -> None:
    """All but the training, which has tests of its own."""
    page = ROOT / "docs" / "guide" / "first-network.md"
    looking = [command for command in commands(page) if re.match("minicnn (show|predict|walk) ", command)]
    assert len(looking) == 6
    for command in looking:
        arguments = shlex.split(command)[1:]
        assert cli.main(arguments) == 0, command
        out = arguments[arguments.index("--out") + 1] if "--out" in arguments else ""
        if out.endswith(".html"):
            assert (first_network / out).stat().st_size > 100_000
        elif out:
            with Image.open(out) as picture:
                assert np.asarray(picture).std() > 0


def test_the_front_page_can_be_copied_from_the_first_line_on() -> None:
    """It begins as the page on installing does, and continues as the README does, whose commands CI runs."""
    (block,) = re.findall(
        r"^```{walk-page} [^\n]*\n(.*?)^```$",
        (ROOT / "docs" / "index.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    install = fenced(ROOT / "docs" / "guide" / "install.md", "bash")[0].splitlines()
    marked = re.findall(
        r"<!-- ci: first-network -->\n```bash\n(.*?)^```$",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    assert block.splitlines() == [*install[:3], *marked[0].splitlines()]
    assert "readme first-network" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert all((ROOT / picture).exists() for picture in re.findall(r"\S+\.png", block))


def test_files_named_on_the_pages_exist() -> None:
    for page in PAGES:
        for file in re.findall(r"`((?:minicnn|tests|docs|benchmarks)/[\w./-]+\.\w+)`", prose(page)):
            assert (ROOT / file).exists(), f"{name_of(page)}: {file}"
