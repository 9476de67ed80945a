"""The size of the noise in a minimum-norm fit: S = |X^+ eps|^2 of unit noise, chi^2_rank/chi^2_spare.

rank = min(n, d), spare = |d - n| + 1; S is independent of the span of the data and of the noise's direction in it.
Near n = d its law has no variance, so functions of it are integrated, never expanded.
"""

import jax.numpy as jnp

from tlx.theory._arrays import Array

_NODES = 41
_SLOWEST = 0.5  # rate in log S below which the tail is cut rather than followed


def fit_shape(samples: Array, dim: Array) -> tuple[Array, Array]:
    """(rank, spare) of a fit of n samples in d dimensions."""
    return jnp.minimum(samples, dim), jnp.abs(dim - samples) + 1


def noise_nodes(rank: Array, spare: Array, growth: Array | float = 0.0) -> tuple[Array, Array]:
    """Nodes and normalised weights for the law of S: the trapezoid rule in log S, exponentially convergent.

    `growth` is the power with which the integrand grows in S: the upper tail is followed until growth and density
    together have fallen by e^-12.
    """
    width = 7 * jnp.sqrt(2 / rank + 2 / spare)
    left, right = width + 24 / rank, width + 24 / jnp.maximum(spare - 2 * growth, _SLOWEST)
    moved = jnp.linspace(0, 1, _NODES, dtype=rank.dtype) * (left + right) - left
    grown = jnp.log1p(rank / (rank + spare) * jnp.expm1(moved))
    log_weight = rank / 2 * moved - (rank + spare) / 2 * grown
    weight = jnp.exp(log_weight)
    return rank / spare * jnp.exp(moved), weight / jnp.sum(weight)
