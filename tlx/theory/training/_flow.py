"""Gradient flow of a balanced chain at a fixed cost, whatever the stiffness: an exponential integrator.

In the clock tau = integral of k^2 dt, k = s^{L-1}, a mode of eigenvalue l obeys alpha = e^{-2 l tau} and
phi' = 2/k - 2 l phi, so all that couples modes is the one function 1/k(tau). It is interpolated by a parabola through
three knots, for which phi is exact, and its value at the new knot follows from balance, |u|^2 = s^2, one scalar
equation: implicit, stable at any step, free of drift. Knots are geometric in tau, closer where s moves fast, so one
scan of fixed length covers the time from the first step to the last mode's convergence; jit, vmap and both modes of
differentiation need nothing special. An adaptive explicit solver takes max(l) t steps instead, an implicit one solves
for all modes together.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from tlx.theory.training._measure import Measure

_KNOTS = 600
_NEWTON = 4
_MOVE = 0.05  # most that log k may change between two knots
_TINY = 1e-36  # keeps logarithms finite where nothing is left


class Path(NamedTuple):
    """A path of gradient flow at its knots, the start first.

    Attributes:
        times: t of each knot, shape (k,).
        log_norm: log s.
        values: what was observed.
    """

    times: Float[Array, " k"]
    log_norm: Float[Array, " k"]
    values: PyTree


class _State(NamedTuple):
    clock: Array
    time: Array
    log_norm: Array
    phi: Array
    last_step: Array
    last_log_norm: Array


def ramp_moments(decay: Array) -> tuple[Array, Array, Array]:
    """J_p(z) = integral over [0, 1] of e^{-z (1 - x)} x^p for p = 0, 1, 2: series for |z| < 1/2, recursion above."""
    small = jnp.abs(decay) < 0.5
    near, far = jnp.where(small, decay, 0.0), jnp.where(small, 1.0, decay)
    series = jnp.zeros_like(decay)
    for order in range(10, -1, -1):  # J_2 = sum_m (-z)^m 2!/(m+3)!
        series = (1 - near * series) / (order + 3)
    second = series
    first = 1 - near * second
    near_moments = (1 - near * first / 2, first / 2, second)
    zeroth = -jnp.expm1(-far) / far
    once = (1 - zeroth) / far
    far_moments = (zeroth, once, (1 - 2 * once) / far)
    return tuple(jnp.where(small, a, b) for a, b in zip(near_moments, far_moments, strict=True))


def solve(
    measure: Measure,
    depth: Array,
    log_norm: Array,
    phi: Array,
    last_clock: Array,
    observe: Callable[[Array, Array, Array], PyTree],
) -> Path:
    """Gradient flow of (1/n)|X beta - y|^2 from u = u_0 + phi b, |u| = s > 0, until tau = last_clock.

    Args:
        measure: of the data.
        depth: L >= 1.
        log_norm: log s at the start.
        phi: at the start, one number for all modes.
        last_clock: where to end.
        observe: any arrays of (alpha, phi, k), recorded at each knot.
    """
    power = depth - 1
    fastest = jnp.max(jnp.abs(measure.nodes))
    pull = jnp.sqrt(measure.label_square()) * jnp.exp(-depth * log_norm)
    first = jax.lax.stop_gradient(1e-3 / (2 * (pull + fastest)))

    def seen(state: _State) -> tuple[Array, Array, PyTree]:
        alpha = jnp.exp(-2 * measure.nodes * state.clock)
        return state.time, state.log_norm, observe(alpha, state.phi, jnp.exp(power * state.log_norm))

    def advance(state: _State, left: Array) -> tuple[_State, tuple[Array, Array, PyTree]]:
        state = _step(measure, power, state, _next_step(state, power, left, first, last_clock))
        return state, seen(state)

    zero = jnp.zeros_like(log_norm)
    begin = _State(zero, zero, log_norm, phi + jnp.zeros_like(measure.nodes), 1e6 * first, log_norm)
    left = jnp.arange(_KNOTS, 0, -1, dtype=log_norm.dtype)
    _, knots = jax.lax.scan(advance, begin, left)
    return Path(*jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), seen(begin), knots))


def _next_step(state: _State, power: Array, left: Array, first: Array, last_clock: Array) -> Array:
    """The geometric step that would arrive in time, shortened where log k moves fast."""
    started = state.clock > 0
    clock = jnp.where(started, state.clock, 1.0)
    geometric = clock * jnp.expm1(jnp.maximum(jnp.log(last_clock / clock), 0.0) / left)
    speed = power * jnp.abs(state.log_norm - state.last_log_norm) / state.last_step
    step = jnp.minimum(geometric, _MOVE / jnp.maximum(speed, _TINY))
    return jax.lax.stop_gradient(jnp.where(started, step, first))


def _step(measure: Measure, power: Array, state: _State, step: Array) -> _State:
    """One knot further, where 1/k = 1 + a x + b x^2 over x in [0, 1] in units of its value at the old knot."""
    zeroth, first, second = ramp_moments(2 * measure.nodes * step)
    back = jax.lax.stop_gradient(state.last_step / step)
    before = jnp.expm1(power * (state.log_norm - state.last_log_norm))
    unit = 2 * step * jnp.exp(-power * state.log_norm)
    # a = a_0 + a_1 v, b = b_0 + b_1 v with v = k_old/k_new - 1
    b_0, b_1 = before / (back * (1 + back)), 1 / (1 + back)
    a_0, a_1 = -b_0, back / (1 + back)
    still = jnp.exp(-2 * measure.nodes * step) * state.phi + unit * (zeroth + a_0 * first + b_0 * second)
    moved = unit * (a_1 * first + b_1 * second)
    clock = state.clock + step
    alpha = jnp.exp(-2 * measure.nodes * clock)
    none = jnp.zeros_like(alpha)
    constant, linear = measure.square(alpha, still), 2 * measure.product(alpha, still, none, moved)
    quadratic = measure.square(none, moved)

    def newton(_, log_norm):
        change = jnp.expm1(-power * (log_norm - state.log_norm))
        total = jnp.maximum(constant + change * (linear + change * quadratic), _TINY)
        slope = 2 + power * (1 + change) * (linear + 2 * change * quadratic) / total
        return log_norm - (2 * log_norm - jnp.log(total)) / slope

    log_norm = jax.lax.fori_loop(0, _NEWTON, newton, 2 * state.log_norm - state.last_log_norm, unroll=True)
    change = jnp.expm1(-power * (log_norm - state.log_norm))
    a, b = a_0 + a_1 * change, b_0 + b_1 * change
    inverse_square = 1 + a + (a * a + 2 * b) / 3 + a * b / 2 + b * b / 5
    time = state.time + step * inverse_square * jnp.exp(-2 * power * state.log_norm)
    return _State(clock, time, log_norm, still + change * moved, step, state.log_norm)
