"""A study that costs nothing but what it is told to cost, and a command line for it: toy_study.py DIR key=value ..."""

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.running import config as _schemas
from experiments.running import job as _job
from experiments.running import store as _store
from experiments.running.signals import Stopped
from experiments.running.study import Study, UserError, Verdict
from tlx import ensemble


@dataclass
class ToyConfig(_schemas.StudyConfig):
    # what only steers the toy is no part of a unit's name
    STEERING: ClassVar = (
        *_schemas.StudyConfig.STEERING,
        "delay",
        "broken",
        "slow_figure",
        "slow_call",
        "count_file",
        "units",
    )

    study: str = "toy"
    units: int = 4
    lanes: int = 3
    delay: float = 0.0  # seconds after every compiled call
    broken: int = -1  # the unit that raises
    slow_call: bool = False  # one compiled call takes half a minute
    count_file: str = ""  # every lane computed adds a byte here
    ensemble: _schemas.EnsembleConfig = field(default_factory=lambda: _schemas.EnsembleConfig(devices=1))


def axes(config):
    return {"unit": np.arange(config.units), "lane": np.arange(config.lanes)}


def _sleep(seconds):
    time.sleep(seconds)
    return np.float32(0)


def lane_value(shared, lane):
    key, slow = shared
    value = jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, lane["unit"]), lane["lane"]))
    if slow:
        value = value + jax.pure_callback(lambda: _sleep(slow), jax.ShapeDtypeStruct((), np.float32))
    return value, lane["lane"]


def slow_lane_value(shared, lane):
    return lane_value((shared, 30.0), lane)


def quick_lane_value(shared, lane):
    return lane_value((shared, 0.0), lane)


def compute(config, place, progress):
    number = np.arange(config.units)[place["unit"]][0]
    if number == config.broken:
        raise FloatingPointError("this unit was told to fail")

    def after(done, total):
        if config.count_file:
            with open(config.count_file, "ab") as file:
                file.write(b"x")
        time.sleep(config.delay)
        progress(done)

    lane = np.arange(config.lanes, dtype=np.int32)
    value, index = ensemble.run(
        slow_lane_value if config.slow_call else quick_lane_value,
        {"lane": lane, "unit": np.full(config.lanes, number, np.int32)},
        jax.random.key(config.seed),
        layout=ensemble.make_layout(config.lanes, devices=tuple(jax.devices()[:1]), per_call=1),  # as `after` counts
        progress=after,
    )
    return {"risk": (("unit", "lane"), value[None]), "index": (("unit", "lane"), index[None])}


def draw(data):
    time.sleep(float(os.environ.get("TOY_DRAWING_SECONDS", "0")))
    figure, panel = plt.subplots()
    panel.plot(data.risk.values.ravel())
    return figure


class Toy(Study):
    """A toy."""

    name = "toy"
    Config = ToyConfig
    figures: ClassVar = {"values": draw}
    runs_along = ("lane",)

    def axes(self, config):
        return axes(config)

    def places(self, config):
        return [{"unit": slice(i, i + 1)} for i in range(config.units)]

    def compute(self, config, place, progress):
        return compute(config, place, progress)

    def verdicts(self, data):
        return [Verdict("toy", np.zeros(1), str, 1)]

    def statuses(self, data):
        return {"toy": np.where(np.isnan(data.risk.values), -1, 0)}


STUDY = Toy()


def configured(**changes):
    config = ToyConfig()
    for key, value in changes.items():
        owner, _, leaf = key.rpartition("__")
        setattr(getattr(config, owner) if owner else config, leaf, value)
    return config


def run(directory, study=STUDY, **changes):
    return _job.run(study, configured(**{"figures": [], **changes}), Path(directory), "toy")


def _value(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text, text.strip("[]").split(",") if text.startswith("[") else text)


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    print("begin", os.getpid(), flush=True)
    try:
        run(sys.argv[1], **{k: _value(v) for k, v in (pair.split("=", 1) for pair in sys.argv[2:])})
    except Stopped as stopped:
        raise SystemExit(stopped.code) from None
    except (_job.UnitsFailed, _store.StoreError, UserError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.code) from None
