"""The page docs/add-an-operation.md works literally: block after block, and in a copy of the repository.

A block that begins with the name of a file is what the page adds to that file. Up to the first one that another file
needs, all blocks run here, one after the other; in the copy, with every block in its place, all of them run, and so do
the tests that a new operation and a new layer affect.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "add-an-operation.md"
LEFT_OUT = (".*", "docs", "benchmarks", "browser", "*.ipynb", "*.egg-info", "build", "dist")

AFFECTED = [
    "tests/ops/test_contract.py::test_every_operation_has_an_example",
    "tests/ops/test_contract.py::test_examples_are_distinct",
    "tests/ops/test_activation.py",
    "tests/test_functional.py::test_every_function_is_documented",
    "tests/test_functional.py::test_arguments_may_be_named_and_have_types",
    "tests/test_functional.py::test_each_is_a_function_of_a_page_of_operations",
    "tests/nn/test_layers.py",
    "tests/test_model_summary.py",
    "tests/models/test_onnx_export.py::test_every_layer_gives_the_same_numbers_or_says_why_not",
]


class Block(NamedTuple):
    file: str  # that it belongs to; empty for one that only runs
    code: str


def blocks() -> list[Block]:
    found = re.findall(r"^```python\n(?:# (\S+\.py)\n)?(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(*one) for one in found]


# --- by itself ----------------------------------------------------------------------------------------------


def by_itself() -> list[str]:
    """The code before anything has to be in its place."""
    code = []
    for block in blocks():
        if block.file not in ("", "minicnn/ops/activation.py"):
            break
        code.append(block.code)
    return code


def run(code: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    for number, block in enumerate(code, start=1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    return names


def test_every_block_runs(capsys: pytest.CaptureFixture[str], kernel_file: str) -> None:
    names = run(by_itself())
    printed = capsys.readouterr().out
    assert "gradcheck passed: 12 derivatives compared" in printed
    assert "gradcheck failed" in printed
    assert "alpha must" in printed
    assert names["ELU"].__doc__


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (
            "xp.where(self.positive, grad_output, (self.y + self.alpha) * grad_output)",
            "xp.where(self.positive, grad_output, 0)",
        ),
        ("xp.where(self.positive, x, self.alpha *", "xp.where(self.positive, x, -self.alpha *"),
        ("grad_output > 0, grad_output", "self.positive, grad_output"),  # the mistake, mended
    ],
)
def test_the_page_would_notice_a_mistake(right: str, wrong: str) -> None:
    code = by_itself()
    changed = [block.replace(right, wrong) for block in code]
    assert changed != code
    with pytest.raises((AssertionError, RuntimeError)):
        run(changed)


def test_the_page_names_the_files_that_it_touches_and_others_that_are_there() -> None:
    text = PAGE.read_text("utf-8")
    touched = {block.file for block in blocks() if block.file}
    table = re.findall(r"^\| .* \| `([\w/]+\.py)` \|$", text, re.MULTILINE)
    assert set(table) == touched
    assert len(table) == len(touched) == 5
    named = re.findall(r"`((?:minicnn|tests)/[\w/]+\.py)`", text)
    assert [file for file in named if not (ROOT / file).exists()] == []


# --- in its place -------------------------------------------------------------------------------------------


def put_in_its_place(copy: Path, block: Block) -> None:
    path = copy / block.file
    text = path.read_text("utf-8")
    if block.file == "minicnn/checks/examples.py":  # a line of its table
        start = "EXAMPLES: list[Example] = [\n"
        assert start in text
        text = text.replace(start, f"{start}    {block.code.strip()},\n")
    else:
        text += "\n\n" + block.code
        public = public_names(block)
        text += f"\n__all__ += {public}\n" if public else ""
    path.write_text(text, "utf-8")


def public_names(block: Block) -> list[str]:
    """The names that go into the file's __all__: what is defined, or in functional.py imported."""
    if not block.file.startswith("minicnn/"):
        return []
    body = ast.parse(block.code).body
    imported = [name.name for node in body if isinstance(node, ast.ImportFrom) for name in node.names]
    defined = [node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return defined or imported


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, with the operation and the layer added."""
    copy = tmp_path_factory.mktemp("repository") / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))  # with what Numba has compiled
    for block in blocks():
        if block.file:
            put_in_its_place(copy, block)
    return copy


def python(copy: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    environment.pop("COVERAGE_PROCESS_START", None)
    command = [sys.executable, *arguments]
    result = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result.stdout


def in_the_copy() -> str:
    """A program that runs the blocks of the page; those that are in a file by now are imported from there."""
    lines = ["from pathlib import Path", "import minicnn", "assert Path(minicnn.__file__).is_relative_to(Path.cwd())"]
    for block in blocks():
        if not block.file:
            needs_onnx = "onnx" in block.code and find_spec("onnx") is None
            lines += [] if needs_onnx else [block.code]
        elif block.file == "minicnn/ops/activation.py":
            lines.append(f"from minicnn.ops.activation import {', '.join(public_names(block))}")
    learning = blocks()[-1].code
    mistaken = learning.replace("losses[0] / 2", "0")
    assert mistaken != learning
    lines += ["try:", f"    exec({mistaken!r})", "except AssertionError:", "    print('the mistake was noticed')"]
    return "\n".join(lines)


def test_every_block_runs_with_all_in_its_place(copy: Path) -> None:
    (copy / "page.py").write_text(in_the_copy(), "utf-8")
    printed = python(copy, "page.py")
    assert re.search(r"^elu +1 .* ok", printed, re.MULTILINE) and "checks passed" in printed
    assert "ELU(alpha=1.0)" in printed
    assert printed.endswith("the mistake was noticed\n")
    walk = (copy / "walk.html").read_text("utf-8")
    assert "act1: ELU" in walk and "y = x where x &gt; 0, else a (e^x - 1)" in walk


def test_the_exported_layer_computes_the_same(copy: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    (copy / "export.py").write_text(
        textwrap.dedent(
            """
            import numpy as np
            import onnxruntime
            from minicnn import nn
            from minicnn.models.onnx_export import onnx_model

            network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ELU(0.3), nn.Flatten(), nn.Linear(4 * 36, 5))
            images = np.random.default_rng(0).standard_normal((2, 3, 8, 8), np.float32)
            session = onnxruntime.InferenceSession(onnx_model(network, (3, 8, 8)).SerializeToString())
            (scores,) = session.run(["scores"], {"pictures": images})
            np.testing.assert_allclose(scores, network(images).data, rtol=1e-4, atol=1e-5)
            """
        ),
        "utf-8",
    )
    python(copy, "export.py")


@pytest.mark.slow
def test_the_affected_tests_pass_and_include_the_new_ones(copy: Path) -> None:
    options = ["-q", "-rA", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header"]
    said = python(copy, "-m", "pytest", *options, *AFFECTED)
    for test in (
        "test_elu_is_its_definition",
        "test_every_function_is_documented[elu]",
        "test_every_layer_declares_its_output[ELU]",
        "test_each_layer_declares_the_shape_that_it_computes[ELU(alpha=1.0)",
    ):
        assert f"::{test}" in said
    said = python(copy, "-m", "pytest", *options, "tests/ops/test_contract.py", "-k", "elu and alpha")
    assert "::test_backward_twice_gives_the_same[elu (3, 4), alpha=0.1-numpy]" in said


def test_a_forgotten_example_fails_and_names_the_operation(copy: Path) -> None:
    """The page promises it."""
    table = copy / "minicnn/checks/examples.py"
    complete = table.read_text("utf-8")
    (line,) = (block.code for block in blocks() if block.file == "minicnn/checks/examples.py")
    table.write_text(complete.replace(f"{line.strip()},", ""), "utf-8")
    try:
        (copy / "forgotten.py").write_text(
            "import sys\n"
            "sys.path.insert(0, 'tests/ops')\n"
            "import test_contract\n"
            "test_contract.test_every_operation_has_an_example()\n",
            "utf-8",
        )
        with pytest.raises(AssertionError, match="no example in minicnn/checks/examples.py of ELU"):
            python(copy, "forgotten.py")
    finally:
        table.write_text(complete, "utf-8")
