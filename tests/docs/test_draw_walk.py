"""The animation of the walk page in README: the file, and what draws it."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import Tensor
from minicnn import functional as F
from minicnn.models import four_layer
from minicnn.viz.walk_page import page
from tools import draw_walk

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def walk() -> str:
    network, image = four_layer(), np.zeros((1, 3, 32, 32), np.float32)
    with minicnn.use_kernels("numpy"), minicnn.trace() as trace:
        F.cross_entropy(network(Tensor(image)), [3]).backward()
    return page(trace)


def test_the_animation_in_readme_is_small_and_goes_both_ways() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(docs/_static/walk.gif)" in text and "python tools/draw_walk.py walk.html" in text
    assert draw_walk.ANIMATION.stat().st_size < 700_000
    with Image.open(draw_walk.ANIMATION) as image:
        assert image.width == draw_walk.WIDTH <= 800
        assert image.n_frames == 24 and image.info["loop"] == 0  # twelve operations, forward and backward


def test_the_steps_of_a_page(walk: str) -> None:
    assert draw_walk.steps(walk) == [False] * 12 + [True] * 12
    with pytest.raises(ValueError, match="minicnn walk"):
        draw_walk.steps("<html></html>")


def test_the_page_keeps_everything_but_its_style(walk: str) -> None:
    styled = draw_walk.styled(walk)
    assert styled.replace(f"<style>{draw_walk.STYLE}</style>", "") == walk != styled
    for name in re.findall(r"#([a-z-]+)", draw_walk.STYLE):
        assert f'id="{name}"' in walk
    for name in re.findall(r"\.([a-z-]+)", re.sub(r"\d\.\d", "", draw_walk.STYLE)):
        assert name in ("forward", "backward", "answer", "now") or re.search(rf'class="[^"]*\b{name}\b', walk), name


@pytest.mark.parametrize(
    ("backward", "resting"), [([False, False, False, True, True, True], [0, 2, 5]), ([False] * 4, [0, 3])]
)
def test_the_ends_of_both_ways_rest(backward: list[bool], resting: list[int]) -> None:
    found = draw_walk.durations(backward)
    assert [number for number, each in enumerate(found) if each == draw_walk.REST] == resting
    assert set(found) == {draw_walk.REST, draw_walk.STEP}


def test_frames_become_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 20), colour) for colour in ("#ffffff", "#0b62a4", "#b84a08")]
    draw_walk.animate(frames, [50, 20, 70], tmp_path / "walk.gif")
    with Image.open(tmp_path / "walk.gif") as image:
        assert image.n_frames == 3 and image.info["loop"] == 0
        for number, (frame, milliseconds) in enumerate(zip(frames, [50, 20, 70], strict=True)):
            image.seek(number)
            assert image.info["duration"] == milliseconds
            assert image.convert("RGB").getpixel((3, 3)) == frame.getpixel((3, 3))
