"""Grids of nonlinear pairs: from (setting, key, instances, amounts) to reports, over all devices.

An instance is named by an integer, and its key is `fold_in(key, instance)`: the same instance has the same target, the
same data and the same starts in every function of this module, so that what one watches is what another reports.
Instances and amounts broadcast against each other as in NumPy; their common axes come first in every report.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, PyTree

from tlx import _keys, _lanes, ensemble
from tlx._checks import check_number
from tlx._lanes import Progress
from tlx.ensemble import Layout
from tlx.nonlinear import protocols
from tlx.nonlinear.checks import check_amounts
from tlx.nonlinear.reports import PretrainReport, ScratchReport, TransferReport
from tlx.nonlinear.setting import NonlinearSetting


def transfer_grid(
    setting: NonlinearSetting,
    key: Array,
    instances: Any,
    amounts: Any,
    *,
    layout: Layout | None = None,
    progress: Progress = None,
) -> tuple[PretrainReport, TransferReport]:
    """Pretrain on the source of every pair, then every transfer at every sample size of the setting.

    Args:
        setting: what is the same for all pairs, the sample sizes included.
        key: of the study.
        instances: integers >= 0, an array.
        amounts: how far the source is from the target, an array that broadcasts against `instances`.
        layout, progress: as in `ensemble.run`; a lane is one pair with all its sample sizes.

    Returns:
        NumPy reports with axes (pair, ...) and (pair, size): the broadcast axes first.
    """
    lanes, shape = _pairs(setting, instances, amounts)
    sizes = np.arange(len(setting.sizes), dtype=np.int32)
    found = ensemble.run_nested(
        prepare, transfer, lanes, sizes, (setting, key), side_by_side=False, layout=layout, progress=progress
    )
    return _lanes.shaped(found, shape)


def scratch_lanes(
    setting: NonlinearSetting,
    key: Array,
    instances: Any,
    *,
    layout: Layout | None = None,
    progress: Progress = None,
) -> ScratchReport:
    """Training from scratch on the target samples of `transfer_grid`; axes (instance, size).

    A lane is one instance with all its sample sizes.
    """
    instance = _lanes.integers("instances", instances)
    lanes, sizes = {"instance": instance.ravel()}, np.arange(len(setting.sizes), dtype=np.int32)
    _, found = ensemble.run_nested(
        sample_of, scratch, lanes, sizes, (setting, key), side_by_side=False, layout=layout, progress=progress
    )
    return _lanes.shaped(found, instance.shape)


class PretrainingReport(NamedTuple):
    """Networks watched while they learn the source; arrays with the axes of the pairs first.

    Attributes:
        curve: what `observe` returns, with the recorded steps as next axis, a pytree of arrays.
        status, num_steps: of the run.
    """

    curve: PyTree
    status: np.ndarray
    num_steps: np.ndarray


def pretraining_lanes(
    setting: NonlinearSetting,
    key: Array,
    instances: Any,
    amounts: Any,
    *,
    observe: Callable[..., PyTree],
    record_at: tuple[int, ...],
    given: PyTree = None,
    layout: Layout | None = None,
    progress: Progress = None,
) -> PretrainingReport:
    """Watch the very networks that `transfer_grid` pretrains: same keys, same starts, same sources.

    Args:
        setting, key, instances, amounts, layout, progress: as in `transfer_grid`; a lane is one pair.
        observe: (setting, given, weights, source, target) -> what to record, a pytree of arrays; source and target are
            parameters of the task. The same object at every call.
        record_at: increasing step numbers, 0 is the start.
        given: handed to `observe`, a pytree of arrays.

    Raises:
        ValueError: pretraining = "online", whose steps are not watched.
    """
    lanes, shape = _pairs(setting, instances, amounts)
    program = _pretraining_program(observe, tuple(map(int, record_at)))
    shared = (setting, key, given)
    return _lanes.shaped(ensemble.run(program, lanes, shared, layout=layout, progress=progress), shape)


def prepare(shared: Any, lane: dict[str, Array]) -> tuple[tuple[protocols.Prepared, Array], PretrainReport]:
    """One pair up to the end of pretraining, as `ensemble.run_nested` takes it: shared = (setting, key), a lane has an
    instance and an amount."""
    setting, key = shared
    key = _keys.lane(key, lane["instance"])
    prepared, report = protocols.prepare(setting, key, lane["amount"])
    return (prepared, key), report


def transfer(shared: Any, prepared: tuple[protocols.Prepared, Array], index: Array) -> TransferReport:
    """Every transfer of one pair at one sample size, as `ensemble.run_nested` takes it."""
    network, key = prepared
    return protocols.transfer(shared[0], key, network, index)


def sample_of(shared: Any, lane: dict[str, Array]) -> tuple[Array, tuple[()]]:
    """The key of an instance and nothing to report, as `ensemble.run_nested` takes it."""
    return _keys.lane(shared[1], lane["instance"]), ()


def scratch(shared: Any, key: Array, index: Array) -> ScratchReport:
    """Training from scratch at one sample size, as `ensemble.run_nested` takes it."""
    return protocols.from_scratch(shared[0], key, index)


@functools.lru_cache(maxsize=16)
def _pretraining_program(observe: Callable, record_at: tuple[int, ...]) -> Callable:
    def program(shared: Any, lane: dict[str, Array]) -> PretrainingReport:
        setting, key, given = shared
        key = _keys.lane(key, lane["instance"])
        pair = protocols.pair_of(setting, key, lane["amount"])

        def look(weights: PyTree) -> PyTree:
            return observe(setting, given, weights, pair.source, pair.target)

        end = protocols.pretrain(setting, key, pair.source, observe=look, record_at=record_at)
        return PretrainingReport(end.curve, end.status, end.num_steps)

    return program


def _pairs(setting: NonlinearSetting, instances: Any, amounts: Any) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    check_number("amounts", amounts)
    check_amounts(setting.problem, amounts)
    amount = np.asarray(amounts, np.float32)
    return _lanes.broadcast({"instance": _lanes.integers("instances", instances), "amount": amount})
