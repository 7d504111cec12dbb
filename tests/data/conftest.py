"""What the tests of data share: a cache of their own, and a folder of small pictures."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pictures import picture

from minicnn.data import decoding
from minicnn.files import cache_folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees this user's cache."""
    for name in ("XDG_CACHE_HOME", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):  # the second is platformdirs' own, for Windows
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    return cache_folder()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of 6, 5 and 4 pictures, in three formats."""
    root = tmp_path / "pictures"
    seed = 0
    for name, count in (("ant", 6), ("bee", 5), ("cat", 4)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            suffix = ("jpg", "PNG", "webp", "JPEG")[number % 4]
            picture(seed, width=10 + seed).save(root / name / f"{number}.{suffix}")
            seed += 1
    return root


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each file is decoded."""
    counter: Counter[str] = Counter()
    decode = decoding._decode

    def counting(path: Any, size: int) -> Any:
        counter[os.path.basename(path)] += 1
        return decode(path, size)

    monkeypatch.setattr(decoding, "_decode", counting)
    return counter
