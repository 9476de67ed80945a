"""The scalar equation behind fine-tuning: w = p + h w^a, solved in log w and differentiated implicitly."""

import jax
import jax.numpy as jnp

from tlx.theory._arrays import Array, guarded

_STEPS = 30


@jax.custom_jvp
def norm_root(offset: Array, share: Array, exponent: Array) -> Array:
    """The positive root w of w = p + h w^a for p >= 0, 0 <= h, 0 <= a < 1 (entry by entry).

    In z = log w the function z - log(p + h e^{a z}) is concave and its slope lies in [1 - a, 1], so Newton's
    method converges from anywhere, monotonically after one step, at w near 0 and w near inf alike. p = 0 gives
    h^{1/(1-a)} at once, p = inf gives inf, p = h = 0 gives 0.
    """
    ordinary = jnp.isfinite(offset) & ((offset > 0) | (share > 0))
    log_offset, log_share = jnp.log(guarded(ordinary, offset)), jnp.log(guarded(ordinary, share))

    def step(_, log_root):
        power = log_share + exponent * log_root
        total = jnp.logaddexp(log_offset, power)
        slope = 1 - exponent * jnp.exp(power - total)
        return log_root - (log_root - total) / slope

    log_root = jax.lax.fori_loop(0, _STEPS, step, jnp.zeros_like(offset))
    return jnp.where(ordinary, jnp.exp(log_root), jnp.where(jnp.isinf(offset), jnp.inf, 0.0))


@norm_root.defjvp
def _norm_root_jvp(primals, tangents):
    """dw (1 - a h w^{a-1}) = dp + w^a dh + h w^a log(w) da, itself differentiable."""
    offset, share, exponent = primals
    root = norm_root(offset, share, exponent)
    live = jnp.isfinite(root) & (root > 0)
    safe = guarded(live, root)
    power = safe**exponent
    d_offset, d_share, d_exponent = tangents
    moved = d_offset + power * d_share + share * power * jnp.log(safe) * d_exponent
    return root, jnp.where(live, moved / (1 - exponent * share * power / safe), 0.0)
