"""How fast minicnn is, beside PyTorch on the same machine: ``python -m benchmarks four-layer --against torch``."""
