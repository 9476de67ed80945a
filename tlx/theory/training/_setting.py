"""The arguments that all functions of training share: checked, broadcast, and turned into what a lane computes with."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Numbers
from tlx.theory.finite_source import kept, lost_alignment, squared_norm
from tlx.theory.training import _curve
from tlx.theory.training._measure import Measure, isotropic

PROTOCOLS = ("scratch", "linear_transfer", "fine_tuning")
Pretrained = tuple[Numbers, Numbers]


class Setting(NamedTuple):
    """One lane, or arrays of them in one shape.

    Attributes:
        ratio: g.
        noise: sigma.
        depth: L.
        norm: r.
        size: q = |beta_pre|.
        overlap: m = <beta_t, beta_pre>.
        floor: energy of the target off the pretrained direction.
        signal: energy of the target along it.
        count: n.
        init_scale: layer norm of a start from scratch.
    """

    ratio: Array
    noise: Array
    depth: Array
    norm: Array
    size: Array
    overlap: Array
    floor: Array
    signal: Array
    count: Array
    init_scale: Array


def setting(
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
) -> Setting:
    """Check and broadcast the arguments of `risk_over_time`."""
    _check(protocol, overlap_angle, sample_ratio, noise_std, depth, target_norm, source_norm)
    _arrays.check_source(source_ratio, source_noise_std)
    _checks.check_positive("num_samples", num_samples, remedy="Pass at least one target sample.")
    _checks.check_positive("init_scale", init_scale, remedy="A network at zero never leaves it: pass init_scale > 0.")
    if pretrained is not None:
        _checks.check_nonnegative("pretrained norm", pretrained[0])
    angle, ratio, noise, depth, norm, source_norm, source_ratio, source_noise, count, init, *given = _arrays.common(
        overlap_angle, sample_ratio, noise_std, depth, target_norm, source_norm, source_ratio, source_noise_std,
        num_samples, init_scale, *(() if pretrained is None else pretrained),
    )  # fmt: skip
    if given:
        size, overlap = given
        live = size > 0
        signal = jnp.where(live, (overlap / _arrays.guarded(live, size)) ** 2, 0.0)
        floor = jnp.maximum(norm**2 - signal, 0.0)
    else:
        square = squared_norm(source_ratio, source_noise, source_norm, None)
        live = square > 0
        size = jnp.where(live, jnp.sqrt(_arrays.guarded(live, square)), 0.0)
        overlap = norm * source_norm * kept(source_ratio) * jnp.cos(angle)
        lost = lost_alignment(source_ratio, source_noise, source_norm, None)
        floor = norm**2 * (jnp.sin(angle) ** 2 + jnp.cos(angle) ** 2 * lost)
        signal = norm**2 * jnp.cos(angle) ** 2 * (1 - lost)
    return Setting(ratio, noise, depth, norm, size, overlap, floor, signal, count, init)


def _check(protocol, overlap_angle, sample_ratio, noise_std, depth, target_norm, source_norm) -> None:
    _checks.check_choice("protocol", protocol, PROTOCOLS)
    _arrays.check_pair(overlap_angle, noise_std, target_norm, source_norm)
    _arrays.check_ratio("sample_ratio", sample_ratio)
    lowest = 2.0 if protocol == "linear_transfer" else 1.0
    remedy = "One layer has no features to freeze: ask for scratch." if lowest > 1 else "Pass at least one layer."
    _checks.check_range("depth", depth, lowest, remedy=remedy)


def check_times(times: Any, finite: str = "") -> None:
    """Refuse times that are negative, out of order or, for the reason given, infinite."""
    _checks.check_nonnegative("times", times, remedy="Training starts at time 0: pass times >= 0.")
    array = _checks.concrete(times)
    if array is None:
        return
    ordered = np.diff(array, axis=-1) >= 0 if array.ndim else np.ones(1)
    _checks.require(
        np.all(ordered), f"times = {array.tolist()} are out of order: pass them ascending on the last axis."
    )
    infinite = bool(finite) and not np.all(np.isfinite(array))
    _checks.require(not infinite, f"times contain {np.max(array)}: {finite}")


def start(protocol: str, lane: Setting) -> tuple[Measure, _curve.Start, Array]:
    """The measure, the chain at the start, and whether it moves at all (a chain at zero does not)."""
    zero = jnp.zeros_like(lane.ratio)
    if protocol == "scratch":
        moves = (lane.norm > 0) | (lane.noise > 0)
        measure = isotropic(lane.ratio, _arrays.guarded(moves, lane.noise), lane.norm, zero, zero)
        return measure, _curve.scratch_start(measure, lane.depth, lane.init_scale), moves
    live = (lane.size > 0) & jnp.isfinite(lane.size)
    size = _arrays.guarded(live, lane.size)
    first = size ** (1 / lane.depth)
    measure = isotropic(
        lane.ratio,
        lane.noise,
        lane.norm,
        jnp.where(live, first, 0.0),
        jnp.where(live, lane.overlap * first / size, 0.0),
    )
    return measure, _curve.pretrained_start(measure, lane.depth, size), live | ((lane.depth == 1) & (lane.size == 0))


def still(protocol: str, lane: Setting) -> Array:
    """The risk of a chain that does not move: at zero, or infinitely long."""
    if protocol == "scratch":
        return jnp.zeros_like(lane.norm)
    return jnp.where(jnp.isfinite(lane.size), lane.norm**2, jnp.inf)


def over_lanes(function: Callable, times: Numbers, *arrays: Array) -> tuple[Array, ...]:
    """`function(times of one lane (t,), *scalars)` over broadcast lanes; results (lanes..., t), or (lanes...)."""
    wide = jnp.asarray(times)
    shape = jnp.broadcast_shapes(wide.shape[:-1], arrays[0].shape)
    single = wide.ndim == 0
    wide = jnp.atleast_1d(wide)
    wide = jnp.broadcast_to(wide, (*shape, wide.shape[-1])).reshape(-1, wide.shape[-1])
    lanes = (jnp.broadcast_to(array, shape).reshape(-1) for array in arrays)
    result = function(wide, *lanes)
    return jax.tree.map(lambda r: r.reshape(shape if single else (*shape, -1)), result)
