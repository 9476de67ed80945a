"""How every number here is taken: warmed up, all outputs awaited, compilation apart, median and spread."""

import argparse
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

RESULTS = Path(__file__).resolve().parent / "results"
DEVICES = 2  # CPU devices, one per core, that a benchmark uses


def start(devices: int = DEVICES) -> int:
    """Make JAX see one CPU device per core, at most `devices`; returns how many. Before anything else."""
    from tlx import ensemble

    if "JAX_NUM_CPU_DEVICES" not in os.environ:
        ensemble.use_cpu_cores(min(devices, ensemble.cpu_cores()))
    return jax.local_device_count()


def awaited(value: Any) -> Any:
    """The same value once every array in it has been computed."""
    return jax.block_until_ready(value)


def seconds(call: Callable[[], Any], repeats: int = 5, warm_up: int = 1) -> list[float]:
    """Wall-clock seconds of each of `repeats` calls, their outputs awaited; the calls before them do not count."""
    for _ in range(warm_up):
        awaited(call())
    found = []
    for _ in range(repeats):
        begin = time.perf_counter()
        awaited(call())
        found.append(time.perf_counter() - begin)
    return found


def alternated(calls: dict[str, Callable[[], Any]], repeats: int = 5, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of several competitors, measured turn by turn, so that a load on the machine meets all of them."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warm_up + repeats):
        for name, call in calls.items():
            begin = time.perf_counter()
            awaited(call())
            if turn >= warm_up:
                found[name].append(time.perf_counter() - begin)
    return found


def summary(found: list[float], scale: float = 1.0) -> dict[str, float]:
    """Median, least, greatest and number of measurements, each value times `scale`."""
    values = [value * scale for value in found]
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "repeats": len(values),
    }


def ratio(found: dict[str, list[float]], above: str, below: str) -> float:
    """Median over the turns of one competitor's seconds over another's in the same turn."""
    return statistics.median(a / b for a, b in zip(found[above], found[below], strict=True))


def compiled(function: Callable, *arguments: Any) -> tuple[Callable, float]:
    """The compiled function and the seconds it took to trace and compile, taken apart from running it."""
    begin = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    return program, time.perf_counter() - begin


def distance(left: Any, right: Any) -> float:
    """|left - right| / |right| over whole arrays, in double precision."""
    left, right = (np.asarray(value, np.float64) for value in (left, right))
    return float(np.linalg.norm(left - right) / np.linalg.norm(right))


def check_equal(name: str, left: Any, right: Any, tolerance: float) -> float:
    """The distance of two results; raises if it is above the tolerance, so that no time of unequal work counts."""
    found = distance(left, right)
    if not found < tolerance:
        raise AssertionError(f"{name}: relative difference {found:.2e} is not below {tolerance:.0e}; no time counts.")
    return found


def machine() -> dict[str, Any]:
    """Hardware and versions, without the host's name."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for package in ("jax", "jaxlib", "flax", "optax", "numpy", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    from tlx import ensemble

    return {
        "cpu": cpu_model(),
        "cores": ensemble.cpu_cores(),
        "memory_gb": memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "jax_backend": jax.default_backend(),
        "jax_devices": f"{jax.devices()[0].device_kind} x {jax.local_device_count()}",
        "gpu": jax.devices()[0].device_kind if jax.default_backend() == "gpu" else None,
        "precision": "float32",
        "load_average": load(),
    }


def label(described: dict[str, Any]) -> str:
    """A file name that says what the hardware is and not which host."""
    words = re.sub(r"[^a-z0-9]+", "-", described["cpu"].lower()).strip("-")
    return f"{words}-{described['cores']}-cores"


def load() -> float | None:
    """Processes that wanted a core over the last minute, this one included."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def cpu_model() -> str:
    """The processor's name and generation, as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    family = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
    return fields.get("model name", platform.machine()) + family


def memory_gb() -> float | None:
    """Main memory."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None


def write(path: Path, content: dict[str, Any]) -> None:
    """One run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def main(name: str, measure: Callable[[], dict[str, Any]], description: str | None) -> None:
    """The command line of one file: measure, print, and store where asked."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=None, help="write the JSON of this run there")
    arguments = parser.parse_args()
    start()
    before = load()
    content = {"machine": {**machine(), "load_average": before}, "results": {name: measure()}}
    if arguments.output is not None:
        write(arguments.output, content)
    else:
        print(json.dumps(content["results"][name], indent=1))
