"""The files of an image folder: classes, images, and what is wrong with the others."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import picture

from minicnn.data import (
    DataError,
    ImageFolder,
)

SIZE = 8


def test_folders_are_classes_and_files_are_pictures(root: Path) -> None:
    folder = ImageFolder(root, SIZE)
    assert folder.classes == ("ant", "bee", "cat")
    assert len(folder) == 15 and folder.shape == (15, 3, SIZE, SIZE) and folder.nbytes == 15 * 3 * SIZE * SIZE
    assert folder.labels.tolist() == [0] * 6 + [1] * 5 + [2] * 4 and folder.labels.dtype == np.int64
    names = [os.path.relpath(path, root) for path in folder.paths]
    assert names[:7] == ["ant/0.jpg", "ant/1.PNG", "ant/2.webp", "ant/3.JPEG", "ant/4.jpg", "ant/5.PNG", "bee/0.jpg"]
    assert repr(folder) == f"ImageFolder({str(root)!r}: 15 images of 8x8, 3 classes)"


def test_hidden_files_and_files_beside_the_classes_are_passed_over(root: Path) -> None:
    for name in ("README.txt", ".DS_Store", "ant/.DS_Store", "ant/._0.jpg", "bee/Thumbs.db"):
        (root / name).write_bytes(b"no picture")
    (root / ".git").mkdir()
    assert len(ImageFolder(root, SIZE)) == 15


@pytest.mark.parametrize("file", [".lock", "log.csv", "best.safetensors", "step-00000001.safetensors"])
def test_the_folder_of_runs_is_no_class(root: Path, file: str) -> None:
    (root / "runs" / "lenet5-pictures").mkdir(parents=True)
    (root / "runs" / "lenet5-pictures" / file).touch()
    picture(0).save(root / "runs" / "lenet5-pictures" / "curves.png")
    shutil.copytree(root / "runs" / "lenet5-pictures", root / "dog")
    assert ImageFolder(root, SIZE).classes == ("ant", "bee", "cat")
    picture(0).save(root / "dog" / "0.png")  # with another picture, it is a class that holds a file too many
    if file == ".lock":
        assert ImageFolder(root, SIZE).classes == ("ant", "bee", "cat", "dog")
    else:
        with pytest.raises(DataError, match=f"dog/{file} is not an image"):
            ImageFolder(root, SIZE)


def test_a_class_may_be_a_link(root: Path) -> None:
    (root / "dog").symlink_to(root / "cat")
    assert ImageFolder(root, SIZE).classes == ("ant", "bee", "cat", "dog")


def empty(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()


def only_files(root: Path) -> None:
    empty(root)
    picture(0).save(root / "a.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, r"pictures is not there; expected .*pictures/CLASS/\*\.jpg, a folder for each class"),
        (lambda root: (shutil.rmtree(root), root.touch()), "pictures is a file; expected"),
        (empty, r"pictures holds no folders; expected .*pictures/CLASS/\*\.jpg"),
        (only_files, "pictures holds no folders"),
        (lambda root: (root / "dog").mkdir(), r"the class .*dog has no images; expected \*\.jpg, \*\.jpeg, \*\.png"),
        (
            lambda root: (root / "bee/notes.txt").touch(),
            r"1 file cannot be used: .*bee/notes\.txt is not an image; exp",
        ),
        (lambda root: (root / "bee/sub.png").mkdir(), r"bee/sub\.png is a folder; expected .* directly in bee"),
    ],
    ids=["absent", "file", "empty", "no classes", "empty class", "text", "nested"],
)
def test_what_is_wrong_with_a_folder_is_said(root: Path, change: Callable[[Path], Any], message: str) -> None:
    change(root)
    with pytest.raises(DataError, match=message):
        ImageFolder(root, SIZE)


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are always Unicode there")
def test_the_name_of_a_class_must_be_text(root: Path) -> None:
    (root / "cat").rename(root / os.fsdecode(b"caf\xe9"))
    with pytest.raises(DataError, match=r"pictures/caf\\udce9: the name of a class must be UTF-8 without control"):
        ImageFolder(root, SIZE)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_the_name_of_a_class_must_not_command_the_terminal(root: Path) -> None:
    (root / "cat").rename(root / "\x1b[31mcat")
    with pytest.raises(DataError, match=r"pictures/\\x1b\[31mcat: the name of a class must be UTF-8 without control"):
        ImageFolder(root, SIZE)
    (root / "\x1b[31mcat").rename(root / "Äpfel 🍎\N{NO-BREAK SPACE}\N{ZERO WIDTH JOINER}x")
    assert len(ImageFolder(root, SIZE).classes) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_no_picture(root: Path) -> None:
    os.mkfifo(root / "ant" / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png is not a regular file"):
        ImageFolder(root, SIZE)
    assert len(ImageFolder(root, SIZE, skip_bad=True)) == 15
