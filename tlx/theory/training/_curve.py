"""One curve of training by gradient flow: where it starts, how it leaves the saddle at zero, and how it is read."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx.theory import _arrays
from tlx.theory.training import _flow
from tlx.theory.training._measure import Measure

Observe = Callable[[Array, Array, Array], Array]

_ESCAPED = 1e-6  # |beta| relative to |b|/max(l) at which a start along b no longer grows by itself alone
_CONVERGED = 15.0  # 2 l tau of the slowest mode at the end: e^-30 is left


class Start(NamedTuple):
    """A balanced chain u = u_0 + phi b, |u| = s, and how long it took from one along b of layer norm `init_scale`.

    Attributes:
        log_norm: log s where the path begins.
        phi: coefficient of b there.
        waited: time before it (0 unless the start is small and along b).
        log_init: log s at time 0.
        label_norm: |b|.
    """

    log_norm: Array
    phi: Array
    waited: Array
    log_init: Array
    label_norm: Array


def pretrained_start(measure: Measure, depth: Array, norm: Array) -> Start:
    """The balanced chain of a pretrained vector, s = q^{1/L}."""
    log_norm, zero = jnp.log(norm) / depth, jnp.zeros_like(depth)
    return Start(log_norm, zero, zero, log_norm, jnp.sqrt(measure.label_square()))


def scratch_start(measure: Measure, depth: Array, init_scale: Array) -> Start:
    """The chain along b once it has left the saddle: until |beta| ~ 1e-6 |b| it only grows, ds/dt = 2 |b| s^{L-1}."""
    size = jnp.sqrt(measure.label_square())
    log_init, fastest = jnp.log(init_scale), jnp.max(jnp.abs(measure.nodes))
    log_norm = jnp.maximum(log_init, jnp.log(_ESCAPED * size / fastest) / depth)
    phi = jnp.exp(log_norm) / size
    waited = _wait(log_norm - log_init, depth - 2) * jnp.exp((2 - depth) * log_init) / (2 * size)
    return Start(log_norm, phi, waited, log_init, size)


def _wait(log_growth: Array, order: Array) -> Array:
    """(1 - e^{-order growth})/order, growth at order 0."""
    live = order != 0
    safe = _arrays.guarded(live, order)
    return jnp.where(live, -jnp.expm1(-safe * log_growth) / safe, log_growth)


def _growth(waited: Array, order: Array) -> Array:
    """The inverse of `_wait`."""
    live = order != 0
    safe = _arrays.guarded(live, order)
    return jnp.where(live, -jnp.log1p(-safe * waited) / safe, waited)


def last_clock(measure: Measure) -> Array:
    """The clock at which the slowest mode of a real measure has converged."""
    nodes = measure.nodes
    return _CONVERGED / jnp.min(jnp.where(nodes > 0, nodes, jnp.inf))


def solve(measure: Measure, depth: Array, start: Start, end: Array, observe: Observe) -> _flow.Path:
    """The path from the end of the wait on, its times counted from there."""
    return _flow.solve(measure, depth, start.log_norm, start.phi, end, observe)


def read(
    path: _flow.Path, measure: Measure, depth: Array, start: Start, times: Float[Array, " t"], observe: Observe
) -> Float[Array, " t"]:
    """What was observed at given times >= 0: along the path, before it, and after it where nothing moves."""
    order = depth - 2
    scaled = 2 * start.label_norm * jnp.exp(order * start.log_init)
    early = times < start.waited
    growth = _growth(scaled * jnp.where(early, times, 0.0), order)
    sizes = jnp.exp(depth * (start.log_init + growth)) / start.label_norm
    zero, one = jnp.zeros_like(measure.nodes), jnp.ones_like(depth)
    before = jax.vmap(lambda size: observe(zero, size + zero, one))(sizes)
    return jnp.where(early, before, interpolate(path.times, path.values, jnp.where(early, 0.0, times - start.waited)))


def interpolate(knots: Float[Array, " k"], values: Float[Array, " k"], times: Float[Array, " t"]) -> Float[Array, " t"]:
    """The cubic through the four knots around each time; the last value beyond them."""
    inside = jnp.minimum(times, knots[-1])
    left = jnp.clip(jnp.searchsorted(knots, jax.lax.stop_gradient(inside)) - 2, 0, knots.size - 4)
    places = left[:, None] + jnp.arange(4)[None, :]
    near, heights = knots[places], values[places]
    total = jnp.zeros_like(inside)
    for i in range(4):
        others = [j for j in range(4) if j != i]
        basis = jnp.ones_like(inside)
        for j in others:
            basis = basis * (inside - near[:, j]) / (near[:, i] - near[:, j])
        total = total + basis * heights[:, i]
    return total
