"""Readers of PyTorch's two formats, and a file that hostile pickles try to create."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from handmade_pickles import SIX, Format, Reader, legacy_file, zip_file

from minicnn.models.torch_files import read_state_dict


@pytest.fixture(params=[zip_file, legacy_file], ids=["zip", "legacy"])
def file_of(request: pytest.FixtureRequest) -> Format:
    return request.param


@pytest.fixture
def read(tmp_path: Path, file_of: Format) -> Reader:
    """Reads a pickle's body, beside a storage "0" of six numbers, in either format."""

    def reader(body: bytes) -> dict[str, np.ndarray]:
        path = tmp_path / "weights.pth"
        path.write_bytes(file_of(body, {"0": SIX.tobytes()}))
        return read_state_dict(path)

    return reader


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that hostile pickles try to create; nothing may."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()
