"""What is said about images before a run."""

from pathlib import Path

import numpy as np
from pictures import picture, spoil

from minicnn.data.sources import Part, load_parts
from minicnn.data.summary import describe, describe_run, left_out


def test_parts_small_classes_and_what_was_left_out(root: Path) -> None:
    for number in range(6, 20):
        picture(number).save(root / "ant" / f"{number}.png")
    for number in range(92):
        (root / "bee" / f"{number}.BMP").touch()
    (root / "cat" / "more").mkdir()
    (root / "cat" / "notes").touch()
    spoil(root / "ant" / "0.jpg")
    (root / "ant" / "6.png").write_bytes(b"no picture")
    parts = load_parts(str(root), 8, skip_bad=True)
    assert describe_run(parts) == [
        "Training: 24 images of 3 classes, from 4 (bee) to 16 (ant)",
        "Validation: 3 images of 2 classes, from 1 (bee) to 2 (ant)",
        "Fewer than 10 training images: bee (4), cat (4)",
        "96 files were left out: 92 *.bmp, not an accepted kind, 2 unreadable, 1 a folder, 1 not an accepted kind",
    ]
    assert len(left_out(parts[:2])) == 96


def test_arrays_and_numbers_in_words() -> None:
    parts = load_parts("shapes", 32, limit=2, validation=0)
    training, test = describe_run(parts)
    assert training.startswith("Training: 2 images of 2 classes, from 1 (") and test.startswith("Test: 2 images of ")
    labels = np.repeat([0, 1], [1, 1499])
    part = Part(np.zeros((1500, 3, 1, 1), np.uint8), labels)
    assert describe("Test", part, ("a", "b", "c")) == "Test: 1,500 images of 2 classes, from 1 (a) to 1,499 (b)"
    one = Part(part.images[:1], labels[:1])
    assert describe("Test", one, ("a",)) == "Test: 1 image of 1 class, from 1 (a) to 1 (a)"
