import numpy as np

from minicnn import backend


def test_array_module() -> None:
    assert backend.get_array_module(np.ones(3), None) is np
    assert backend.get_array_module() is np
    array = np.ones(3)
    assert backend.asnumpy(array) is array
