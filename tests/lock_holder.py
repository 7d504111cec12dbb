"""Another process that holds a lock, for the tests of locks."""

import subprocess
import sys
from pathlib import Path

import minicnn

HOLDER = """
import importlib, sys
from pathlib import Path
path, module, function = sys.argv[1:]
with getattr(importlib.import_module(module), function)(Path(path)):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(path: Path, module: str, function: str) -> "subprocess.Popen[str]":
    """Start a process in `function` of `module`, a context manager on `path`, until it receives a line or is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), module, function],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(minicnn.__file__).parents[1],
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process
