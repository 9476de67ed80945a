"""Linear pairs that each have a task of their own, and what their learned features look like on the target sample."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from tlx import _keys, _lanes, ensemble
from tlx._checks import check_angle, check_nonnegative, check_number, check_positive
from tlx._lanes import Progress
from tlx.ensemble import Layout
from tlx.linear import data
from tlx.linear.engines import Engine, engine
from tlx.linear.reports import ScratchReport, TransferReport
from tlx.linear.setting import LinearSetting


class Pairs(NamedTuple):
    """Pairs that differ in their tasks too: arrays that broadcast against each other.

    Attributes:
        draw: integers >= 0; pairs with the same draw and instance share target direction, inputs and noise.
        instance: integers >= 0.
        overlap_angle: radians in [0, pi].
        target_norm: |beta_t| > 0, in place of the setting's.
        noise_std: label noise sigma >= 0, in place of the setting's.
        num_samples: target samples n >= 1.
    """

    draw: Any
    instance: Any
    overlap_angle: Any
    target_norm: Any
    noise_std: Any
    num_samples: Any


class PairReport(NamedTuple):
    """What came of every pair, and its target sample as the learned feature sees it.

    Attributes:
        scratch, transfer: see the reports; a lane has one data set and one angle.
        overlap: cos^2 of the angle between the pretrained predictor and beta_t.
        feature: projections x . beta_pre / |beta_pre| of the target's inputs, (..., rows); the first n are its sample.
        labels: the target's labels, (..., rows).
    """

    scratch: ScratchReport
    transfer: TransferReport
    overlap: np.ndarray
    feature: np.ndarray
    labels: np.ndarray


def pair_lanes(
    name: str | Engine,
    setting: LinearSetting,
    key: Array,
    pairs: Pairs,
    *,
    rows: int | None = None,
    layout: Layout | None = None,
    progress: Progress = None,
) -> PairReport:
    """Every protocol on each of these pairs, with the learned feature and the labels of its target sample.

    Args:
        name, setting, key, layout, progress: as in `transfer_grid`; a lane is one pair.
        pairs: see `Pairs`; their common axes come first in the report.
        rows: length of `feature` and `labels` (static); None for the largest n.
    """
    one = engine(name)
    one.check(setting)
    check_angle("overlap_angle", pairs.overlap_angle)
    counts = _lanes.integers("num_samples", pairs.num_samples, 1)
    whole = {"draw": _lanes.integers("draw", pairs.draw), "instance": _lanes.integers("instance", pairs.instance)}
    real = {part: np.asarray(getattr(pairs, part)) for part in ("overlap_angle", "target_norm", "noise_std")}
    lanes, shape = _lanes.broadcast({**whole, **real, "num_samples": counts})
    for part, values in real.items():
        check_number(part, values)
    check_positive("target_norm", real["target_norm"])
    check_nonnegative("noise_std", real["noise_std"])
    program = _pair_program(one, int(counts.max()) if rows is None else rows)
    return _lanes.shaped(ensemble.run(program, lanes, (setting, key), layout=layout, progress=progress), shape)


@functools.lru_cache(maxsize=16)
def _pair_program(one: Engine, rows: int) -> Callable:
    def program(shared: Any, lane: dict[str, Array]) -> PairReport:
        setting, key = shared
        setting = dataclasses.replace(setting, noise_std=lane["noise_std"], target_norm=lane["target_norm"])
        prepared, scratch = one.prepare(setting, _keys.lane(key, lane["draw"], lane["instance"]), lane["num_samples"])
        pair = one.pair(setting, prepared, lane["overlap_angle"])
        source = one.pretrain(setting, prepared, pair)
        transfer = one.transfer_from(setting, prepared, pair, source)
        direction = source.predictor / jnp.linalg.norm(source.predictor)
        stream = _keys.named(prepared.own, "target data")
        inputs, labels = data.draw(stream, pair.target, pair.spectrum, setting.noise_std, rows)
        overlap = (direction @ pair.target) ** 2 / (pair.target @ pair.target)
        return PairReport(scratch, transfer, overlap, inputs @ direction, labels)

    return program
