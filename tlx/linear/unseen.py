"""Fine-tuning watched in the directions that its data do not see, beside the end that Theorem 3.9 gives it.

Fine-tuning ends at beta_sc + c (I - P) beta_pre, P the projection on the span of the sample. Here c is measured on each
network, and the published end, c = 1, is computed from the same data: both at any time, in any engine.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tlx import _keys, _lanes, ensemble
from tlx._checks import check_angle
from tlx._lanes import Progress
from tlx.ensemble import Layout
from tlx.linear import batches
from tlx.linear import chain as chains
from tlx.linear import task as tasks
from tlx.linear.engines import Engine, engine
from tlx.linear.setting import LinearSetting
from tlx.train import usable


class UnseenReport(NamedTuple):
    """One source/target pair. Risks are excess population risks; NaN where training failed.

    Attributes:
        fine_tuning_risk: at the end of training.
        published_risk: of beta_sc + (I - P) beta_pre on the same data.
        balance: c = <beta, (I - P) beta_pre>/|(I - P) beta_pre|^2 at the end; NaN where the data see everything.
        risk_over_time, balance_over_time: at the times of the setting.
        status, num_steps: of fine-tuning.
    """

    fine_tuning_risk: Float[Array, ""]
    published_risk: Float[Array, ""]
    balance: Float[Array, ""]
    risk_over_time: Float[Array, " t"]
    balance_over_time: Float[Array, " t"]
    status: Int[Array, ""]
    num_steps: Int[Array, ""]


def watch(
    one: Engine, setting: LinearSetting, key: Array, num_samples: Int[Array, ""] | int, overlap_angle: Array | float
) -> UnseenReport:
    """Fine-tune one pair by an engine, and look at its risk and at c.

    Args:
        one: the engine.
        setting: its times are when to look; scratch training is not carried out.
        key: of the instance.
        num_samples: n >= 1 of the target sample.
        overlap_angle: theta in [0, pi], radians.
    """
    prepared = one.draw(setting, key, num_samples)
    pair = one.pair(setting, prepared, overlap_angle)
    source = one.pretrain(setting, prepared, pair)
    basis, modes = chains.decompose(prepared.moments)
    seen = chains.resolved(modes)
    kept = jnp.where(seen, 0.0, basis.T @ source.predictor)
    fitted = jnp.where(seen, modes.cross / jnp.where(seen, modes.eigenvalues, 1.0), 0.0)
    published, hidden = basis @ (fitted + kept), basis @ kept
    size = hidden @ hidden

    def look(predictor: Array) -> Array:
        factor = jnp.where(size > 0, predictor @ hidden / jnp.where(size > 0, size, 1.0), jnp.nan)
        return jnp.stack([tasks.risk(predictor, pair.target, pair.spectrum), factor])

    end = one.fine_tune(setting, prepared, source, look)
    good = usable(source.status) & usable(end.status)
    risk, balance = jnp.where(good, look(end.predictor), jnp.nan)
    curve = jnp.zeros((0, 2), risk.dtype) if end.curve is None else jnp.where(good, end.curve, jnp.nan)
    return UnseenReport(
        fine_tuning_risk=risk,
        published_risk=tasks.risk(published, pair.target, pair.spectrum),
        balance=balance,
        risk_over_time=curve[:, 0],
        balance_over_time=curve[:, 1],
        status=jnp.where(usable(source.status), end.status, source.status),
        num_steps=end.num_steps,
    )


def watch_lanes(
    name: str | Engine,
    setting: LinearSetting,
    key: Array,
    instances: Any,
    num_samples: Any,
    overlap_angles: Any,
    *,
    layout: Layout | None = None,
    progress: Progress = None,
) -> UnseenReport:
    """`watch` of many pairs: instances, sample counts and angles broadcast, and their axes come first."""
    one = engine(name)
    one.check(setting)
    check_angle("overlap_angles", overlap_angles)
    whole = {
        "instance": _lanes.integers("instances", instances),
        "num_samples": _lanes.integers("num_samples", num_samples, 1),
    }
    lanes, shape = _lanes.broadcast({**whole, "overlap_angle": np.asarray(overlap_angles, float)})
    setting = batches.held(setting, lanes["num_samples"])
    return _lanes.shaped(ensemble.run(_program(one), lanes, (setting, key), layout=layout, progress=progress), shape)


@functools.cache
def _program(one: Engine) -> Callable:
    def program(shared: Any, lane: dict[str, Array]) -> UnseenReport:
        setting, key = shared
        return watch(one, setting, _keys.lane(key, lane["instance"]), lane["num_samples"], lane["overlap_angle"])

    return program
