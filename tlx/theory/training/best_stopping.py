"""Where to stop: the time of least risk, and what is left of negative transfer when both sides stop there."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.training import _curve, _head
from tlx.theory.training._endpoint import endpoint
from tlx.theory.training._measure import excess_risk
from tlx.theory.training._setting import Pretrained, Setting, setting, start, still

_HEAD_KNOTS = 400
_NEWTON = 3
_BISECTIONS = 20
_LANES = 32
_CLOSE = 1e-6  # relative: a minimum no deeper than this below the endpoint is the endpoint


def best_stopping(
    protocol: str,
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    num_samples: Numbers = np.inf,
    init_scale: Numbers = 1e-5,
    pretrained: Pretrained | None = None,
) -> tuple[Result, Result]:
    """The time at which gradient flow has its least risk, and that risk.

    t* = argmin over t in [0, inf] of `risk_over_time`.

    Args:
        protocol: "scratch", "linear_transfer" or "fine_tuning".
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        depth: L >= 1 (at least 2 for linear transfer).
        target_norm: r.
        source_norm: rho.
        source_ratio: g_s, inf for a population.
        source_noise_std: sigma_s.
        num_samples: n of linear transfer.
        init_scale: layer norm of a start from scratch.
        pretrained: (q, m) as measured.

    Returns:
        (time, risk), the arguments broadcast: time inf where training to the end is best (to 1e-6 of the risk), 0 where
        any training hurts.

    Source: the minimum of `risk_over_time`, with its accuracy; derived here.
    """
    lane = setting(
        protocol, overlap_angle, sample_ratio, noise_std, depth=depth, target_norm=target_norm, source_norm=source_norm,
        source_ratio=source_ratio, source_noise_std=source_noise_std, num_samples=num_samples, init_scale=init_scale,
        pretrained=pretrained,
    )  # fmt: skip
    shape = lane.ratio.shape
    found = _best(Setting(*(array.reshape(-1) for array in lane)), protocol)
    return tuple(array.reshape(shape) for array in found)


@partial(jax.jit, static_argnums=1)
def _best(lanes: Setting, protocol: str) -> tuple[Array, Array]:
    return jax.lax.map(partial(_best_of_one, protocol), lanes, batch_size=_LANES)


def _best_of_one(protocol: str, lane: Setting) -> tuple[Array, Array]:
    end = endpoint(protocol, lane)
    if protocol == "linear_transfer":
        unit = jnp.geomspace(1e-4, 1e3, _HEAD_KNOTS, dtype=end.dtype)
        speed = _head.feature_square(lane)
        moves = speed > 0
        times = jnp.append(0.0, unit) / _arrays.guarded(moves, speed)
        values = _head.flow_risk(lane, times)
        waited, stays = jnp.zeros_like(end), lane.norm**2
    else:
        measure, begin, moves = start(protocol, lane)
        path = _curve.solve(measure, lane.depth, begin, _curve.last_clock(measure), partial(excess_risk, measure))
        times, values, waited, stays = path.times, path.values, begin.waited, still(protocol, lane)
    time, risk = lowest(times, values, end)
    time = jnp.where(time > 0, time + waited, 0.0)
    return jnp.where(moves, time, 0.0), jnp.where(moves, risk, stays)


def lowest(times: Array, values: Array, end: Array) -> tuple[Array, Array]:
    """Time and value of the least of a curve at its knots, of the cubics between them, and of its end."""
    place = jnp.argmin(values)
    inner = (place > 0) & (place < times.size - 1)
    place = jnp.clip(place, 1, times.size - 2)
    low, high = times[place - 1], times[place + 1]
    held = jax.lax.stop_gradient((times, values))

    def height(time, times, values):
        return _curve.interpolate(times, values, time[None])[0]

    slope, bend = jax.grad(height), jax.grad(jax.grad(height))
    time = times[place]
    for _ in range(_NEWTON):
        curvature = bend(time, *held)
        moved = time - slope(time, *held) / _arrays.guarded(curvature > 0, curvature)
        time = jax.lax.stop_gradient(jnp.where(curvature > 0, jnp.clip(moved, low, high), time))
    risk = height(time, times, values)
    curvature = jax.lax.stop_gradient(bend(time, *held))
    change = slope(time, times, values)  # its value is 0 at the minimum; its derivative moves the minimum
    time = time - (change - jax.lax.stop_gradient(change)) / _arrays.guarded(curvature > 0, curvature)
    time, risk = jnp.where(inner, time, 0.0), jnp.where(inner, risk, values[0])
    ended = end <= risk + _CLOSE * jnp.abs(risk)
    return jnp.where(ended, jnp.inf, time), jnp.where(ended, end, risk)


def stopped_transferability(
    protocol: str, overlap_angle: Numbers, sample_ratio: Numbers, noise_std: Numbers, **task: Numbers | Pretrained
) -> Result:
    """How much risk transfer saves when training from scratch and transfer are both stopped at their best.

    T = min_t R_scratch(t) - min_t R_protocol(t).

    Args:
        protocol: "linear_transfer" or "fine_tuning".
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        **task: any further argument of `best_stopping`.

    Returns:
        T, the arguments broadcast; negative transfer is T < 0.

    Source: the difference of two values of `best_stopping`; derived here.
    """
    transfer = best_stopping(protocol, overlap_angle, sample_ratio, noise_std, **task)[1]
    scratch, transfer = _arrays.common(_stopped_scratch(sample_ratio, noise_std, **task), transfer)
    return scratch - transfer


def _stopped_scratch(sample_ratio: Numbers, noise_std: Numbers, **task: Numbers | Pretrained) -> Result:
    """The least risk of training from scratch, which no argument of `best_stopping` about the source changes."""
    source = ("source_ratio", "source_noise_std", "pretrained")
    used = {name: value for name, value in task.items() if name not in source}
    return best_stopping("scratch", 0.0, sample_ratio, noise_std, **used)[1]


def stopped_break_even_angle(protocol: str, sample_ratio: Numbers, noise_std: Numbers, **task: Numbers) -> Result:
    """The angle in [0, pi] at which `stopped_transferability` turns from positive to negative.

    Args:
        protocol: "linear_transfer" or "fine_tuning".
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        **task: any further argument of `best_stopping` but `pretrained`.

    Returns:
        The angle, the arguments broadcast, by bisection to 1e-6 of a radian and one Newton step; 0 where transfer is
        never positive. Close to pi/3 for fine-tuning at equal norms: c = 1 at the published form's angle.

    Source: derived here.
    """
    _checks.require("pretrained" not in task, "pretrained fixes the angle: leave it out, or use source_norm.")
    ratio, noise, *rest = _arrays.common(sample_ratio, noise_std, *task.values())
    setting(protocol, 0.0, ratio, noise, **dict(zip(task, rest, strict=True)))  # every check, before anything is traced
    return _break_even(protocol, tuple(task), ratio, noise, *rest)


@partial(jax.jit, static_argnums=(0, 1))
def _break_even(protocol: str, names: tuple[str, ...], ratio: Array, noise: Array, *rest: Array) -> Array:
    """The angle of arrays of one shape; `rest` are the further arguments that `names` lists."""

    def transfer(angle: Array, ratio: Array, noise: Array, rest: tuple[Array, ...]) -> Array:
        return best_stopping(protocol, angle, ratio, noise, **dict(zip(names, rest, strict=True)))[1]

    scratch = _stopped_scratch(ratio, noise, **dict(zip(names, rest, strict=True)))
    level, *fixed = jax.lax.stop_gradient((scratch, ratio, noise, rest))

    def halve(_, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        helps = transfer(middle, *fixed) < level
        return jnp.where(helps, middle, low), jnp.where(helps, high, middle)

    most = jnp.pi / 2 if protocol == "linear_transfer" else jnp.pi
    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (jnp.zeros_like(ratio), jnp.full_like(ratio, most)))
    found = (low + high) / 2
    slope = jax.jvp(lambda angle: transfer(angle, *fixed), (found,), (jnp.ones_like(found),))[1]
    gain = scratch - transfer(found, ratio, noise, rest)
    angle = found + gain / jnp.where(slope > 0, slope, jnp.inf)
    return jnp.where(low > 0, angle, 0.0)
