"""Where gradient flow of a balanced deep linear network ends on one data set, without steps.

Everything is in the eigenbasis of the data (`tlx.linear.chain.Modes`). The row space of the sample converges to the
least-squares solution, the null space can only be rescaled, and the conserved balance says by how much.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx._checks import check_count, check_nonnegative
from tlx.linear.chain import Modes, resolved

NEWTON_STEPS = 12  # of a convex scalar equation, from the right: quadratic, at double precision after about 6
KAPPA_GRID = 128  # values of the effective ridge among which its first crossing is looked for
BISECTIONS = 40


def minimum_norm(modes: Modes) -> Float[Array, " d"]:
    """The minimum-norm least-squares predictor b_j / lambda_j: scratch training from alpha -> 0 (Theorem 3.5)."""
    keep = resolved(modes)
    return jnp.where(keep, modes.cross / jnp.where(keep, modes.eigenvalues, 1), 0)


def endpoint(modes: Modes, start: Float[Array, " d"], depth: int) -> Float[Array, " d"]:
    """The end of gradient flow from the balanced chain that computes `start` (exact form of Theorem 3.9).

    beta = beta_sc + c (I - P) start,  c = (|beta| / |start|)^{(L-1)/L},  |beta|^2 = |beta_sc|^2 + c^2 |(I - P) start|^2

    with P the projector on the row space and beta_sc the minimum-norm fit, both of this very sample. The squared
    norm x solves x = B + N (x/q^2)^{(L-1)/L}, whose right side is concave: Newton's method from x = q^2 jumps to the
    right of the root and then descends to it, without safeguards.

    Args:
        modes: the data.
        start: beta_pre in the basis of the modes, shape (d,).
        depth: L >= 1 (static). At depth 1, c = 1.

    Returns:
        beta, shape (d,), in the basis of the modes. At L > 1 a zero start never moves by itself; it is taken as the
        limit of a small one along b, which ends at beta_sc.
    """
    check_count("depth", depth)
    fit = minimum_norm(modes)
    null = jnp.where(resolved(modes), 0, start)
    fit_power, null_power, start_power = fit @ fit, null @ null, start @ start
    power = (depth - 1) / depth
    safe = jnp.where(start_power > 0, start_power, 1)

    def newton(_, x):
        grown = null_power * (x / safe) ** power
        slope = 1 - power * grown / x
        return jnp.where(null_power > 0, x - (x - fit_power - grown) / slope, fit_power)

    x = jax.lax.fori_loop(0, NEWTON_STEPS, newton, safe)
    return fit + (x / safe) ** (power / 2) * null


def decayed_endpoint(modes: Modes, depth: int, weight_decay: Float[Array, ""] | float) -> Float[Array, " d"]:
    """The end of gradient flow with weight decay on every layer: a ridge solution that remembers no start.

    beta = (lambda + kappa)^{-1} b,   kappa = (weight_decay / 2) |beta|^{2/L - 2}

    or 0 where no kappa solves this (the penalty is too large). At L = 2 there is at most one solution, and it exists
    iff weight_decay < 2 |b|; at L > 2 the one with the smallest kappa is the stable end of a start of order one, and
    zero is stable too. weight_decay = 0 is the minimum-norm fit.

    Args:
        modes: the data.
        depth: L >= 1 (static).
        weight_decay: as in `Optimizer`: the penalty (weight_decay/2) |w|^2 on all weights.
    """
    check_count("depth", depth)
    check_nonnegative("weight_decay", weight_decay)
    dtype = modes.cross.dtype
    half = jnp.asarray(weight_decay, dtype) / 2
    exponent = 2 - 2 / depth

    def solution(kappa):
        shifted = modes.eigenvalues + kappa
        return modes.cross / jnp.where(shifted > 0, shifted, 1)

    def excess(log_kappa):  # log of kappa |beta(kappa)|^exponent / (weight_decay/2): negative left of the root
        norm = jnp.linalg.norm(solution(jnp.exp(log_kappa)))
        return log_kappa + exponent * jnp.log(jnp.maximum(norm, jnp.finfo(dtype).tiny)) - jnp.log(half)

    norms = jnp.linalg.norm(minimum_norm(modes)), jnp.max(modes.eigenvalues)
    low = jnp.log(half) - exponent * jnp.log(jnp.maximum(norms[0], jnp.finfo(dtype).tiny)) - 0.1
    high = jnp.maximum(jnp.log(norms[1]) + jnp.log(1e4), low + 1)
    grid = low + (high - low) * jnp.linspace(0, 1, KAPPA_GRID, dtype=dtype)
    above = jax.lax.map(excess, grid) >= 0
    first = jnp.argmax(above)
    left, right = grid[jnp.maximum(first - 1, 0)], grid[first]

    def bisect(_, bracket):
        left, right = bracket
        middle = (left + right) / 2
        up = excess(middle) >= 0
        return jnp.where(up, left, middle), jnp.where(up, middle, right)

    left, right = jax.lax.fori_loop(0, BISECTIONS, bisect, (left, right))
    decayed = jnp.where(jnp.any(above), solution(jnp.exp((left + right) / 2)), 0)
    return jnp.where(half > 0, decayed, minimum_norm(modes))
