"""What tests of the commands share: a checkpoint, a photo, and the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn import cli, models
from minicnn.data import Preparation, load_shapes
from minicnn.training import save_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of an untrained network and a photo."""
    folder = tmp_path_factory.mktemp("looking")
    shapes = load_shapes(train=50, test=1)
    network = models.build({"model": "alexnet_cifar", "groups": 2})
    save_model(folder / "a.safetensors", network, Preparation.fit(shapes.train_images, 28), shapes.classes)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    return folder


@pytest.fixture
def call() -> Callable[..., int]:
    """Call the command line, as a shell would, and return the exit status."""

    def called(*arguments: Any) -> int:
        try:
            return cli.main([str(argument) for argument in arguments])
        except SystemExit as leave:
            return int(leave.code or 0)

    return called
