"""How cost grows with lanes, dimension, depth, width and samples, and what a lane takes of memory.

python -m benchmarks.growth [--output FILE]

Each axis is varied alone, with the layout that `tlx.ensemble` makes; the exponent is the slope of log seconds on log
value, fitted to all points.
"""

import resource
import statistics
from typing import Any

import jax
import numpy as np

from benchmarks import _timing, full_linear
from benchmarks.relu import lane_of
from benchmarks.relu import problem as relu_problem
from tlx import ensemble, keys
from tlx.linear.engines import engine
from tlx.linear.setting import LinearSetting
from tlx.nonlinear.models import MeanField
from tlx.train import Optimizer

LANE_COUNTS = (1_000, 10_000, 100_000)
ALLOWED_FALL = 0.10
BASE = {"dim": 100, "depth": 2, "width": 100, "num_samples": 50}
AXES = {
    "dim": (100, 200, 400, 800),
    "depth": (2, 3, 5, 9),
    "width": (50, 100, 200, 400),
    "num_samples": (50, 200, 800, 3200),
}
HIDDEN = (64, 128, 256, 512)
STEPS = 500


def scratch(shared: Any, own: Any) -> Any:
    """One training from scratch."""
    setting, key = shared
    return engine("full").prepare(setting, keys.lane(key, own["instance"]), own["num_samples"])[1]


def run_full(shape: dict[str, int], num_steps: int, lanes: int = 4, layout: Any = None) -> Any:
    """`lanes` trainings from scratch by engine `full`."""
    rule = Optimizer(1e-4, num_steps, tolerance=0.0)
    setting = LinearSetting(dim=shape["dim"], depth=shape["depth"], width=shape["width"], init_scale=1.0, scratch=rule)
    own = {
        "instance": np.arange(lanes, dtype=np.int32),
        "num_samples": np.full(lanes, shape["num_samples"], np.int32),
    }
    return ensemble.run(scratch, own, (setting, jax.random.key(0)), layout=layout)


def exponent(values: tuple[int, ...], costs: list[float]) -> float:
    """Slope of log cost on log value."""
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0])


def steps_along(axis: str) -> dict[str, Any]:
    """Milliseconds a step of four fine-tuned lanes at every value of one axis, moments of the data included."""
    found = []
    for value in AXES[axis]:
        shape = {**BASE, axis: value}
        if axis == "dim":
            shape["width"] = value
        lanes = full_linear.problem(**shape, lanes=4)
        found.append(min(_timing.seconds(lambda lanes=lanes: full_linear.by_tlx(lanes, STEPS), 3)) / STEPS)
    slope = exponent(AXES[axis], found)
    print(f"full linear, cost of a step ~ {axis}^{slope:.2f}", flush=True)
    return {"values": list(AXES[axis]), "ms_per_step": [1e3 * s for s in found], "exponent": slope, "lanes": 4}


def relu_along_width() -> dict[str, Any]:
    """Milliseconds a step of eight two-layer ReLU lanes (n = 200, d = 50) against the number of neurons."""
    found = []
    for hidden in HIDDEN:
        data = relu_problem(8, 200, 50, hidden)

        def call(data=data, hidden=hidden):
            rule = Optimizer(0.05 * hidden, STEPS, tolerance=0.0)
            return ensemble.run(lane_of(MeanField(50, hidden)), data, rule)

        found.append(min(_timing.seconds(call, 3)) / STEPS)
    slope = exponent(HIDDEN, found)
    print(f"two-layer ReLU, cost of a step ~ hidden^{slope:.2f}", flush=True)
    return {"values": list(HIDDEN), "ms_per_step": [1e3 * s for s in found], "exponent": slope, "lanes": 8}


def lanes_axis() -> dict[str, Any]:
    """Small lanes a second, from 1,000 to 100,000 of them (d = 8, 50 steps), and how memory grows meanwhile."""
    shape = {"dim": 8, "depth": 2, "width": 8, "num_samples": 16}
    repeats = {count: max(1, 30_000 // count) for count in LANE_COUNTS}  # a turn of equal length for each
    rates: dict[int, list[float]] = {count: [] for count in LANE_COUNTS}
    run_full(shape, 50, LANE_COUNTS[0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        for count in LANE_COUNTS:
            found = _timing.seconds(lambda count=count: run_full(shape, 50, count), repeats[count], warm_up=0)
            rates[count].append(count / statistics.median(found))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    fall = 1 - statistics.median(b / a for a, b in zip(rates[LANE_COUNTS[0]], rates[LANE_COUNTS[-1]], strict=True))
    print(f"small lanes a second: {[round(statistics.median(r)) for r in rates.values()]}, fall {fall:.1%}", flush=True)
    return {
        "lanes": list(LANE_COUNTS), "lanes_per_second": [_timing.summary(r) for r in rates.values()],
        "fall": fall, "allowed_fall": ALLOWED_FALL, "bytes_per_lane_of_the_process": grown / LANE_COUNTS[-1],
    }  # fmt: skip


def memory_per_lane(together: int, memory: int | None = None) -> Any:
    """What one compiled call would take, from the compiler's own analysis (nothing is run)."""
    layout = ensemble.make_layout(together, devices=tuple(jax.local_devices()[:1]), together=together, memory=memory)
    shape = {"dim": 500, "depth": 2, "width": 500, "num_samples": 250}
    with ensemble.rehearsal() as found:
        run_full(shape, 100, together, layout)
    return found[0]


def memory() -> dict[str, Any]:
    """Bytes a lane of the full network at d = 500, and a limit that must be kept."""
    one, eight = (memory_per_lane(count).bytes_per_call for count in (1, 8))
    limit = int(one + 0.5 * (eight - one))
    fitted = memory_per_lane(8, limit)
    within = fitted.bytes_per_call <= limit
    print(f"memory: {(eight - one) / 7e6:.1f} MB a lane at d = 500; limit kept: {within}", flush=True)
    return {
        "bytes_of_one_lane": one, "bytes_of_each_further_lane": (eight - one) / 7, "limit": limit,
        "bytes_under_the_limit": fitted.bytes_per_call, "lanes_under_the_limit": fitted.layout.together,
        "within": within,
    }  # fmt: skip


def measure() -> dict[str, Any]:
    """Every axis, and memory."""
    axes = {axis: steps_along(axis) for axis in AXES}
    return {"full": axes, "relu_hidden": relu_along_width(), "lanes": lanes_axis(), "memory": memory()}


if __name__ == "__main__":
    _timing.main("growth", measure, __doc__)
