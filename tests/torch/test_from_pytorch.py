"""The page "From PyTorch, and back": its examples run, and weights go either way unchanged."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

PAGE = Path(__file__).parents[2] / "docs" / "from-pytorch.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```(?:python|{code-block} python)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.M)
    assert len(blocks) == 3
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    expected = names["theirs"](torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(names["network"](Tensor(x)).data, expected, atol=1e-5)


def test_files_are_read_by_both(tmp_path: Path) -> None:
    from safetensors.numpy import load_file
    from safetensors.torch import load_file as torch_load_file
    from safetensors.torch import save_file

    from minicnn import nn

    layer = torch.nn.Linear(3, 2)
    save_file(layer.state_dict(), tmp_path / "weights.safetensors")
    ours = nn.Linear(3, 2)
    ours.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    layer.load_state_dict(torch_load_file(tmp_path / "weights.safetensors"))
    np.testing.assert_array_equal(ours.weight.data, layer.weight.detach().numpy())
