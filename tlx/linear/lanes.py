"""Grids of linear pairs: from (setting, key, instances, sample counts, angles) to reports, over all devices.

An instance is named by an integer, and its key is `fold_in(key, instance)`: the same instance has the same target, the
same data and the same starts in every function of this module, so that what one watches is what another reports.
Instances and sample counts broadcast against each other as in NumPy; their common axes come first in every report.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, PyTree

from tlx import _keys, _lanes, ensemble
from tlx._checks import check_angle, require
from tlx._lanes import Progress
from tlx.ensemble import Layout
from tlx.linear import batches
from tlx.linear.engines import Engine, engine
from tlx.linear.reports import ScratchReport, TransferReport
from tlx.linear.setting import LinearSetting


def transfer_grid(
    name: str | Engine,
    setting: LinearSetting,
    key: Array,
    instances: Any,
    num_samples: Any,
    overlap_angles: Any,
    *,
    layout: Layout | None = None,
    progress: Progress = None,
) -> tuple[ScratchReport, TransferReport]:
    """Every protocol on every target data set, at every angle; the target's part is done once for all angles.

    Args:
        name: "full", "spectral" or "flow".
        setting: what is the same for all pairs.
        key: of the study.
        instances: integers >= 0, an array.
        num_samples: target samples n >= 1, an integer or an array that broadcasts against `instances`.
        overlap_angles: radians in [0, pi], shape (theta,).
        layout, progress: as in `ensemble.run`; a lane is one target data set with all its angles.

    Returns:
        NumPy reports with axes (instance, ...) and (instance, theta, ...): the broadcast axes first.
    """
    one = engine(name)
    lanes, shape = _data_sets(instances, num_samples)
    one.check(setting)
    check_angle("overlap_angles", overlap_angles)
    setting = batches.held(setting, lanes["num_samples"])
    angles = np.asarray(overlap_angles)
    require(angles.ndim == 1 and angles.size > 0, f"overlap_angles = {overlap_angles} must be a list of angles.")
    shared = (setting, key)
    found = ensemble.run_nested(*grid_programs(one), lanes, angles, shared, layout=layout, progress=progress)
    return _lanes.shaped(found, shape)


def scratch_lanes(
    name: str | Engine,
    setting: LinearSetting,
    key: Array,
    instances: Any,
    num_samples: Any,
    *,
    layout: Layout | None = None,
    progress: Progress = None,
) -> ScratchReport:
    """Training from scratch alone, on the data sets of `transfer_grid`; axes (instance, ...)."""
    one = engine(name)
    lanes, shape = _data_sets(instances, num_samples)
    one.check(setting)
    setting = batches.held(setting, lanes["num_samples"])
    return _lanes.shaped(
        ensemble.run(_scratch_program(one), lanes, (setting, key), layout=layout, progress=progress), shape
    )


class PretrainingReport(NamedTuple):
    """Source networks watched while they are trained; arrays with axes (instance, theta, ...).

    Attributes:
        curve: `observe(network, source)` with the recorded steps as next axis, a pytree of arrays.
        status, num_steps: of the run.
        predictor: beta_pre at the end, shape (..., d).
    """

    curve: PyTree
    status: np.ndarray
    num_steps: np.ndarray
    predictor: np.ndarray


def pretraining_lanes(
    name: str | Engine,
    setting: LinearSetting,
    key: Array,
    instances: Any,
    overlap_angles: Any = (0.0,),
    *,
    observe: Callable[[PyTree, Array], PyTree],
    record_at: tuple[int, ...],
    layout: Layout | None = None,
    progress: Progress = None,
) -> PretrainingReport:
    """Watch the very source networks that `transfer_grid` pretrains: same keys, same starts, same sources.

    Args:
        name: "full" (networks are weights) or "spectral" (chains in coordinates).
        setting, key, layout, progress: as in `transfer_grid`; a lane is one source network.
        instances: integers >= 0, shape (instance,).
        overlap_angles: radians in [0, pi], shape (theta,): each angle has a source of its own.
        observe: (network, beta_s) -> what to record, a pytree of arrays; the same object at every call.
        record_at: increasing step numbers, 0 is the start.

    Raises:
        ValueError: the engine, or `pretraining="limit"`, takes no steps to watch.
    """
    one = engine(name)
    one.check(setting)
    check_angle("overlap_angles", overlap_angles)
    instance, angle = np.meshgrid(_lanes.integers("instances", instances), np.asarray(overlap_angles), indexing="ij")
    lanes = {"instance": instance.ravel(), "overlap_angle": angle.ravel()}
    program = _pretraining_program(one, observe, tuple(map(int, record_at)))
    return _lanes.shaped(ensemble.run(program, lanes, (setting, key), layout=layout, progress=progress), instance.shape)


@functools.cache
def grid_programs(one: Engine) -> tuple[Callable, Callable]:
    """An engine as `ensemble.run_nested` takes it: shared = (setting, key), outer lanes {instance, num_samples}, inner
    lanes angles. One object an engine, so that its compilation is kept."""

    def prepare(shared: Any, lane: dict[str, Array]) -> Any:
        setting, key = shared
        return one.prepare(setting, _keys.lane(key, lane["instance"]), lane["num_samples"])

    def transfer(shared: Any, prepared: Any, overlap_angle: Array) -> TransferReport:
        return one.transfer(shared[0], prepared, overlap_angle)

    return prepare, transfer


@functools.cache
def _scratch_program(one: Engine) -> Callable:
    prepare, _ = grid_programs(one)
    return lambda shared, lane: prepare(shared, lane)[1]


@functools.lru_cache(maxsize=16)
def _pretraining_program(one: Engine, observe: Callable, record_at: tuple[int, ...]) -> Callable:
    def program(shared: Any, lane: dict[str, Array]) -> PretrainingReport:
        setting, key = shared
        setting = dataclasses.replace(setting, batch_size=None)  # the source knows no target sample
        prepared = one.draw(setting, _keys.lane(key, lane["instance"]), 1)
        pair = one.pair(setting, prepared, lane["overlap_angle"])
        watch = {"observe": lambda network: observe(network, pair.source), "record_at": record_at}
        end = one.pretrain(setting, prepared, pair, **watch)
        return PretrainingReport(end.curve, end.status, end.num_steps, end.predictor)

    return program


def _data_sets(instances: Any, num_samples: Any) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    return _lanes.broadcast(
        {
            "instance": _lanes.integers("instances", instances),
            "num_samples": _lanes.integers("num_samples", num_samples, 1),
        }
    )
