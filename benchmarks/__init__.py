"""How fast minicnn is, next to PyTorch on the same machine: ``python -m benchmarks alexnet --against torch``.

``__main__`` parses the command line, ``tables`` prints the results. ``race``, ``operations``, ``memory``, ``startup``
and ``gpu`` are the benchmarks. Everything is measured in processes of its own (``child``), so that minicnn, NumPy and
PyTorch share no threads: ``contenders`` are whole networks, ``layers`` single operations, ``peaks`` the limits of the
machine. Linux only, because peak memory is read from ``/proc``.
"""
