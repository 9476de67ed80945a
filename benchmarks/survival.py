"""What a sweep survives and what that costs: kills, two processes at once, checkpoints, recognition of finished work.

python -m benchmarks.survival [--kills 20] [--units 200] [--thousand 1000]        (about four minutes on two cores)

Every figure is measured on a real study (trained networks, experiments.scratch_risk) run as a user runs it.
"""

import argparse
import contextlib
import io
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parent.parent
STUDY = ["task.dim=40", "optimizer.tolerance=0", "figures=[]", "ensemble.instances_per_unit=1"]
DEFAULT_SECONDS = 60.0  # checkpoint.seconds as shipped


def sweep(units: int, steps: int = 20000) -> list[str]:
    """Overrides of a sweep of so many units."""
    return [*STUDY, "grid.sample_ratios=10", f"ensemble.num_instances={units // 10}", f"optimizer.num_steps={steps}"]


def start(directory: Path, overrides: list[str], devices: int = 1) -> subprocess.Popen:
    """The study in a process of its own, in its own group."""
    command = [sys.executable, "-m", "experiments.scratch_risk", f"hydra.run.dir={directory}", *overrides]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> str:
    """What it said, once it ended well."""
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {said}")
    return said


def trained(said: str) -> int:
    """Training runs a process reports."""
    found = re.search(r"^(\d+) training runs in", said, re.M)
    return int(found.group(1)) if found else 0


def results(directory: Path) -> xr.Dataset:
    """results.nc, in memory."""
    with xr.open_dataset(directory / "results.nc") as data:
        return data.load()


def identical(left: xr.Dataset, right: xr.Dataset) -> bool:
    """Bit for bit, every variable."""
    same = (
        np.array_equal(left[name].values, right[name].values, equal_nan=left[name].dtype.kind == "f") for name in left
    )
    return set(left) == set(right) and all(same)


def saved(directory: Path) -> float:
    """When anything was last saved."""
    stamps = [path.stat().st_mtime for path in (directory / "units").glob("*") if path.suffix in (".json", ".partial")]
    return max(stamps, default=0.0)


def killed(directory: Path, overrides: list[str], kills: int, seed: int = 0) -> tuple[int, list[float]]:
    """Kill the sweep -9 at random moments, go on each time; returns kills and seconds of work each lost."""
    draw, lost = random.Random(seed), []
    for _ in range(kills):
        process = start(directory, overrides)
        begin = time.time()
        if draw.random() < 0.8:  # mostly while it computes, now and then while it starts
            while process.poll() is None and not list((directory / "units").glob("*.claim")):
                time.sleep(0.01)
            begin = time.time()
            time.sleep(draw.uniform(0.0, 1.2))
        else:
            time.sleep(draw.uniform(0.0, 3.0))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        lost.append(time.time() - max(saved(directory), begin))
    finish(start(directory, overrides))
    return len(lost), lost


def report_kills(directory: Path, kills: int, units: int) -> None:
    """Killed and resumed against undisturbed, on one device and on two."""
    overrides = sweep(units)
    finish(start(directory / "whole", overrides))
    count, lost = killed(directory / "killed", overrides, kills)
    whole, resumed = results(directory / "whole"), results(directory / "killed")
    print(f"kill -9 {count} times in a sweep of {units} units: bit for bit equal: {identical(whole, resumed)}")
    print(f"  work lost per kill: worst {max(lost):.2f} s, median {statistics.median(lost):.2f} s (allowed: 60 s)")
    finish(start(directory / "other", overrides, devices=2))
    other = results(directory / "other").risk.values
    distance = np.max(np.abs(other - whole.risk.values) / np.abs(whole.risk.values))
    print(f"  on two devices instead of one: largest relative difference {distance:.1e} (allowed: 1e-5)")
    begin = time.perf_counter()
    pair = [start(directory / "pair", overrides) for _ in range(2)]
    computed = [trained(finish(process)) for process in pair]
    waste = sum(computed) / units - 1
    print(f"two processes at once: {computed} of {units} units computed, {100 * waste:.1f} % wasted (allowed: 10 %)")
    print(f"  equal: {identical(results(directory / 'pair'), whole)}, {time.perf_counter() - begin:.1f} s")


def report_checkpoints(directory: Path) -> None:
    """One unit of many lanes, saved every second against never, alternating in one process."""
    from experiments.running import compose as _compose
    from experiments.running import job as _job
    from experiments.scratch_risk import ScratchRisk

    study = ScratchRisk()
    words = ["task.dim=40", "figures=[]", "grid.sample_ratios=[0.5]", "ensemble.num_instances=200"]
    words += [
        "ensemble.instances_per_unit=200",
        "optimizer.tolerance=0",
        "optimizer.num_steps=12000",
        "ensemble.devices=1",
    ]
    config = _compose.typed(study, _compose.composed(study, words))
    seconds: dict[float | None, list[float]] = {None: [], 1.0: []}
    for turn in range(6):
        for every in seconds:
            config.checkpoint.seconds = every
            place = directory / f"{turn}-{every}"
            begin = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                _job.run(study, config, place)
            if turn:  # the first compiles
                seconds[every].append(time.perf_counter() - begin)
    never, often = (statistics.median(seconds[every]) for every in (None, 1.0))
    cost = often / never - 1
    print(f"checkpoints every second: {never:.2f} s without, {often:.2f} s with: {100 * cost:+.2f} %")
    print(f"  every {DEFAULT_SECONDS:g} s, as shipped: {100 * cost / DEFAULT_SECONDS:+.3f} % (allowed: 3 %)")


def report_recognition(directory: Path, units: int) -> None:
    """A finished sweep of many units, started again; the whole command, Python's start included."""
    overrides = sweep(units, steps=50)
    finish(start(directory / "many", overrides))
    begin = time.perf_counter()
    said = finish(start(directory / "many", overrides))
    print(f"a finished sweep of {units} units recognised in {time.perf_counter() - begin:.2f} s (allowed: 5 s)")
    if "already complete" not in said:
        raise RuntimeError(said)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--thousand", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        report_kills(Path(name), arguments.kills, arguments.units)
        report_recognition(Path(name), arguments.thousand)
        report_checkpoints(Path(name) / "checkpoints")


if __name__ == "__main__":
    main()
