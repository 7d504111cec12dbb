"""How fast minicnn is, beside PyTorch on the same machine: ``python -m benchmarks alexnet --against torch``.

``__main__`` reads the command line and ``tables`` prints the results. ``race``, ``operations``, ``memory`` and
``startup`` are the benchmarks. What is measured runs in processes of its own (``child``), with nothing of minicnn,
NumPy's threads or PyTorch's in common: ``contenders`` are whole networks, ``layers`` single operations, ``floors`` what
the machine can do. Linux only, for it tells a process its peak memory.
"""
