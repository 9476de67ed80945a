"""What this machine can do at most: matrix products and memory copies, by NumPy, on one core and on all.

python -m benchmarks.limits [--output FILE]

One core is a process whose BLAS runs one thread; the shapes are large and square, the best that NumPy does, and those
of the two-layer networks of `benchmarks.relu`, one lane at a time.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import _timing

SQUARE = 2048
SHAPES = {"square": (SQUARE, SQUARE, SQUARE), "200x50x64": (200, 50, 64), "500x100x256": (500, 100, 256)}
COPY_BYTES = 2**28
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")

CHILD = """
import json, sys, time
import numpy as np
shapes, copy_bytes = json.loads(sys.argv[1])
found = {}
for name, (rows, inner, columns) in shapes.items():
    left = np.random.default_rng(0).standard_normal((rows, inner), dtype=np.float32)
    right = np.random.default_rng(1).standard_normal((inner, columns), dtype=np.float32)
    out = np.empty((rows, columns), np.float32)
    flops = 2 * rows * inner * columns
    times = max(1, int(4e9 / flops))
    np.matmul(left, right, out=out)
    rates = []
    for _ in range(7):
        begin = time.perf_counter()
        for _ in range(times):
            np.matmul(left, right, out=out)
        rates.append(times * flops / (time.perf_counter() - begin) / 1e9)
    found[name] = rates
source = np.ones(copy_bytes // 8)
target = np.zeros_like(source)
rates = []
for _ in range(7):
    begin = time.perf_counter()
    np.copyto(target, source)
    rates.append(2 * copy_bytes / (time.perf_counter() - begin) / 1e9)
found["copy"] = rates
print(json.dumps(found))
"""


def rates(threads: int | None, copies: int = 1) -> list[dict[str, list[float]]]:
    """GFLOP/s of every shape and GB/s of a copy, in `copies` processes at once of so many BLAS threads (None: all)."""
    environment = dict(os.environ)
    for name in THREAD_VARIABLES:
        environment.pop(name, None)
        if threads is not None:
            environment[name] = str(threads)
    command = [sys.executable, "-c", CHILD, json.dumps([SHAPES, COPY_BYTES])]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parent)
        for _ in range(copies)
    ]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a NumPy process failed")
    return [json.loads(text) for text in said]


def measure() -> dict[str, Any]:
    """Peaks: of one core, of all cores with one process each, and of one process with all threads."""
    cores = _timing.machine()["cores"]
    (alone,), together, (threaded,) = rates(1), rates(1, cores), rates(None)

    def added(name: str) -> float:
        return sum(statistics.median(each[name]) for each in together)

    return {
        "cores": cores,
        "unit": "GFLOP/s; copy GB/s, read and written",
        "shapes": {name: list(shape) for name, shape in SHAPES.items()},
        "one_core": {name: _timing.summary(found) for name, found in alone.items()},
        "one_process_a_core": {name: added(name) for name in alone},
        "one_process_all_threads": {name: _timing.summary(found) for name, found in threaded.items()},
        # the largest of what was seen: the limit that fractions refer to
        "peak_gflops": max(added("square"), max(threaded["square"]), cores * max(alone["square"])),
        "copy_gb_per_s": max(added("copy"), max(threaded["copy"])),
    }


if __name__ == "__main__":
    _timing.main("limits", measure, __doc__)
