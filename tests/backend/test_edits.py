"""Which saved arrays look at the memory that was written."""

import numpy as np

from minicnn.backend import any_shares


def test_views_share_and_copies_do_not() -> None:
    array = np.arange(6.0)
    assert any_shares([1, None, "a", array.reshape(2, 3).T], array)
    assert any_shares([array], array[2:3])
    assert not any_shares([array.copy(), (1, 2), 3], array)
    assert not any_shares([array[:3]], array[3:])
