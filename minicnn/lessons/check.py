"""The checks that the notebooks call: ``check.lrn_window(your_function)`` checks an answer to that exercise.

Examples
--------
>>> from minicnn.lessons import check
>>> check.lrn_window
lrn_window(i, n, C), lesson 05: Return the first and the last channel of the window of n channels around channel i, ...
>>> def lrn_window(i, n, C):
...     return i - n // 2, i + n // 2
>>> check.lrn_window(lrn_window)
lrn_window: not yet: 2 of 6 inputs right
  input     i = 0, n = 5, C = 8
  expected  (0, 2)
  got       (-2, 2)
  problem   value 1 of 2: -2 instead of 0
  mistake   the window is not cut off at the ends
  hint      There is no channel -1, and none with the number C. ...
"""

from minicnn.lessons.exercises import find, registry
from minicnn.lessons.judging import Check


def __getattr__(name: str) -> Check:
    if name.startswith("__"):  # Python asks modules for names such as __path__
        raise AttributeError(name)
    return Check(find(name))


def __dir__() -> list[str]:
    return list(registry())
