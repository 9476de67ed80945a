"""Lanes over CPU devices: two against one in one process, the same lanes (strong) and twice as many (weak scaling).

python -m benchmarks.devices [--output FILE]
"""

from typing import Any

import jax
import numpy as np

from benchmarks import _timing
from benchmarks.growth import scratch
from tlx import ensemble
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer

DIM, LANES, STEPS, TURNS, DEMANDED = 200, 16, 2000, 5, 1.8


def run(devices: int, lanes: int) -> Any:
    """`lanes` trainings from scratch on so many devices."""
    setting = LinearSetting(dim=DIM, noise_std=0.2, scratch=Optimizer(0.01, STEPS, tolerance=0.0))
    own = {"instance": np.arange(lanes, dtype=np.int32), "num_samples": np.full(lanes, DIM // 2, np.int32)}
    layout = ensemble.make_layout(lanes, devices=tuple(jax.local_devices()[:devices]))
    return ensemble.run(scratch, own, (setting, jax.random.key(0)), layout=layout)


def measure() -> dict[str, Any]:
    """Seconds and speed-ups, devices turn by turn."""
    count = jax.local_device_count()
    one, all_of_them = (np.asarray(run(n, LANES).risk) for n in (1, count))
    difference = _timing.check_equal("one device and all", all_of_them, one, 1e-5)
    calls = {
        "one": lambda: run(1, LANES),
        "all": lambda: run(count, LANES),
        "all_with_more_lanes": lambda: run(count, count * LANES),
    }
    found = _timing.alternated(calls, TURNS)
    strong = _timing.ratio(found, "one", "all")
    weak = count * _timing.ratio(found, "one", "all_with_more_lanes")
    print(f"{count} devices against one: {strong:.2f}x on the same lanes, {weak:.2f}x on {count} times the lanes")
    return {
        "devices": count, "dim": DIM, "lanes": LANES, "steps": STEPS, "difference": difference,
        "seconds": {name: _timing.summary(values) for name, values in found.items()},
        "strong": strong, "weak": weak, "demanded": DEMANDED,
    }  # fmt: skip


if __name__ == "__main__":
    _timing.main("devices", measure, __doc__)
