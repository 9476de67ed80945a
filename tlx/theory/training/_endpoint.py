"""Where gradient flow ends: the closed forms at the pretrained norm and overlap of a lane."""

import jax.numpy as jnp
from jaxtyping import Array

from tlx.theory import _arrays
from tlx.theory.fine_tuning import null_space_scale
from tlx.theory.training._setting import Setting


def balance_end(lane: Setting) -> Array:
    """c = (s/s_0)^{L-1} at the end: the scalar root below g = 1, |beta_sc|^2 alone above."""
    below, _ = _arrays.one_sided(lane.ratio)
    live = (lane.size > 0) & jnp.isfinite(lane.size)
    square = _arrays.guarded(live, lane.size) ** 2
    exponent = 1 - 1 / lane.depth
    fitted = lane.norm**2 * jnp.minimum(lane.ratio, 1.0) + _noise(lane)
    pole = jnp.isinf(fitted)
    fitted = _arrays.guarded(~pole, fitted)
    root = null_space_scale(fitted, below, square, exponent)
    above = jnp.where(fitted > 0, (_arrays.guarded(fitted > 0, fitted) / square) ** (exponent / 2), 0.0)
    above = jnp.where(exponent > 0, above, 1.0)
    scale = jnp.where(lane.ratio < 1, root, above)
    return jnp.where(pole & (exponent > 0), jnp.inf, scale)


def _noise(lane: Setting) -> Array:
    return _arrays.times(lane.noise**2, _arrays.noise_gain(lane.ratio))


def endpoint(protocol: str, lane: Setting) -> Array:
    """The risk at t = inf; infinite at g = 1 with noise, and for linear transfer with n <= 2."""
    if protocol == "linear_transfer":
        enough = lane.count > 2
        variance = jnp.where(enough, 1 / (_arrays.guarded(enough, lane.count, 4.0) - 2), jnp.inf)
        risk = lane.floor + _arrays.times(lane.noise**2 + lane.floor, variance)
        return jnp.where(lane.size > 0, risk, lane.norm**2)
    free = jnp.maximum(1 - lane.ratio, 0.0)
    scratch = free * lane.norm**2 + _noise(lane)
    if protocol == "scratch":
        return scratch
    scale = balance_end(lane)
    finite = jnp.isfinite(scale)
    scale = _arrays.guarded(finite, scale, 0.0)
    kept = jnp.where(finite, free * scale * (scale * lane.size**2 - 2 * lane.overlap), 0.0)
    stuck = (lane.size == 0) & (lane.depth > 1)
    lost = jnp.isinf(lane.size) & (lane.ratio < 1)
    return jnp.where(stuck, lane.norm**2, jnp.where(lost, jnp.inf, scratch + kept))
