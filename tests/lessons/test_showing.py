"""Animations that play without a network."""

import re

import numpy as np

from minicnn.lessons.showing import SIGNS, play
from minicnn.viz import animate_im2col


def test_an_animation_needs_nothing_from_elsewhere() -> None:
    page = play(animate_im2col(np.eye(3), np.ones((2, 2))), dpi=30)._repr_html_()
    assert len(re.findall("data:image/png;base64", page)) == 5  # a frame for each window, and one for all
    assert not re.findall(r"https?://|<link|\bfa-", page)
    assert all(sign in page for sign in SIGNS.values())
