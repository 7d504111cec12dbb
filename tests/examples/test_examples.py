"""The programs in examples/ run, are short, and learn: with fewer steps than they take by themselves."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
ARGUMENTS = {"alexnet.py": "80", "lenet_on_shapes.py": "4", "pytorch_classifier.py": "2", "small_resnet.py": "3"}


def test_every_example_is_run() -> None:
    assert sorted(ARGUMENTS) == EXAMPLES


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_it_learns(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / name), ARGUMENTS[name]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    accuracy = re.findall(r"accuracy on new images: ([\d.]+) %", done.stdout)
    assert float(accuracy[-1]) > 20, done.stdout  # by chance: 10 %


def test_the_papers_network_takes_sixty_lines() -> None:
    assert len((ROOT / "examples" / "alexnet.py").read_text(encoding="utf-8").splitlines()) <= 60


def test_the_pytorch_program_is_pytorchs_but_for_its_imports() -> None:
    program = (ROOT / "examples" / "pytorch_classifier.py").read_text(encoding="utf-8")
    imports = ["minicnn as torch", "minicnn.functional as F", "minicnn.nn as nn", "minicnn.optim as optim"]
    assert "".join(f"import {each}\n" for each in imports) in program
    assert "minicnn" not in program.partition("torch.manual_seed")[2]
