"""The import and the first training step, in a new process.

``python -m benchmarks.first_step minicnn|torch BATCH THREADS KERNELS`` prints two times in seconds: that of the import,
and that from there to the end of the four-layer network's first training step.
"""

import sys
import time


def main(contender: str, batch: str, threads: str, kernels: str) -> None:
    started = time.perf_counter()
    if contender == "minicnn":
        import minicnn  # noqa: F401
    else:
        import torch  # noqa: F401
    imported = time.perf_counter() - started
    from benchmarks import contenders

    started = time.perf_counter()
    shared = ("four-layer", int(batch), int(threads), False)
    if contender == "minicnn":
        step, _ = contenders.minicnn_step(*shared, kernels=kernels)
    else:
        step, _ = contenders.torch_step(*shared, channels_last=False)
    step()
    print(imported, time.perf_counter() - started)


if __name__ == "__main__":
    main(*sys.argv[1:])
