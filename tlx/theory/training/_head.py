"""Linear transfer over time: one coefficient trained from zero on a frozen feature, averaged over its sample power.

Along the feature h f (f of unit power) and with s = |f|^2/n, the coefficient is what it would be at the end times
1 - p(s): p = e^{-2 h^2 s t} by flow. R = rho + a^2 E p^2 + (sigma^2 + rho) E[(1 - p)^2/(n s)], n s ~ chi^2_n.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from tlx.theory import _arrays
from tlx.theory.training._setting import Setting

_NODES = 257


def feature_square(lane: Setting) -> Array:
    """h^2 = q^{2 - 2/L}, the squared norm of the frozen feature."""
    live = lane.size > 0
    return jnp.where(live, _arrays.guarded(live, lane.size) ** (2 - 2 / lane.depth), 0.0)


def flow_risk(lane: Setting, times: Array) -> Array:
    """The risk at given times of gradient flow, in closed form (any n > 0)."""
    endless = jnp.isinf(lane.count)
    count = _arrays.guarded(~endless, lane.count, 8.0)
    moved = feature_square(lane) * times
    power = 1 - count / 2
    once, twice = jnp.log1p(4 * moved / count), jnp.log1p(8 * moved / count)
    left = jnp.where(endless, jnp.exp(-4 * moved), jnp.exp(-count / 2 * twice))
    gained = _grown(once, power) - _grown(twice, power) / 2
    variance = jnp.where(endless, 0.0, gained)
    return lane.floor + lane.signal * left + (lane.noise**2 + lane.floor) * variance


def _grown(log_size: Array, power: Array) -> Array:
    """(e^{power log_size} - 1)/power, log_size at power 0."""
    live = power != 0
    safe = _arrays.guarded(live, power)
    return jnp.where(live, jnp.expm1(safe * log_size) / safe, log_size)


def descent_risk(
    lane: Setting, learning_rate: Array, momentum: Array, counts: Int[Array, " t"], num_steps: Int[Array, ""] | int
) -> Array:
    """The risk after given numbers of steps of gradient descent on the coefficient."""
    endless = jnp.isinf(lane.count)
    count = _arrays.guarded(~endless, lane.count, 8.0)
    powers, weights = _sample_powers(count)
    powers = jnp.where(endless, 1.0, powers)
    rate = 2 * feature_square(lane) * powers
    noise = lane.noise**2 + lane.floor

    def risk(left: Array) -> Array:
        variance = jnp.where(endless, 0.0, jnp.sum(weights * (1 - left) ** 2 / powers) / count)
        return lane.floor + lane.signal * jnp.sum(weights * left**2) + noise * variance

    def advance(step, carry):
        left, velocity, record = carry
        velocity = momentum * velocity + rate * left
        left = left - learning_rate * velocity
        return left, velocity, jnp.where(counts == step + 1, risk(left), record)

    left = jnp.ones_like(rate)
    record = jnp.where(counts == 0, risk(left), jnp.nan)
    return jax.lax.fori_loop(0, num_steps, advance, (left, jnp.zeros_like(rate), record))[2]


def _sample_powers(count: Array) -> tuple[Array, Array]:
    """Nodes and weights of chi^2_n/n: the trapezoid rule in the logarithm, wide enough for the tails at this n."""
    left, right = 72 / count + 9 * jnp.sqrt(2 / count), jnp.log1p(80 / count + 9 * jnp.sqrt(2 / count))
    logs = jnp.linspace(0, 1, _NODES, dtype=count.dtype) * (left + right) - left
    weights = jnp.exp(count / 2 * (logs - jnp.expm1(logs)))
    return jnp.exp(logs), weights / jnp.sum(weights)
