"""Ridge regression on k Gaussian features at finite n: what is shrunk of the signal, and what the noise adds.

With W = F^T F, F (n, k) standard normal, t = n lambda and phi_k(t) = E tr (W + t)^{-1}, the two numbers are
E tr t^2 (W + t)^{-2}/k = -t^2 phi'/k and E tr W (W + t)^{-2} = phi + t phi'. Leaving one of N = min(n, k) columns of
M = max(n, k) entries out,
    phi_N = N E 1/(t + S + Q),   S ~ chi^2_{M-N+1}:
the column sees M - N + 1 directions in full and N - 1 of them shrunk, by weights t/(w_i + t). Q, their weighted sum
of squares, is taken as a scaled chi-square of mean t phi_{N-1} and the variance -2 t^2 phi'_{N-1} of fixed weights.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from tlx.theory._arrays import Array, guarded, noise_gain_exact

_NODES, _COLUMN_NODES, _SHRUNK_NODES = 257, 129, 49
_LEAST_FREEDOM = 0.1  # of Q, below which its law is all at 0 and at values that hardly occur


@jax.jit
def refit_moments(count: Array, ridge: Array) -> tuple[Array, Array]:
    """One feature: E[(n lambda)^2/(S + n lambda)^2] and E[S/(S + n lambda)^2] for S ~ chi^2_n.

    Closed at lambda = 0 (0 and 1/(n - 2)) and at n = inf (lambda^2/(1 + lambda)^2 and 0); the gradient at lambda = 0
    is that from above, -inf for n <= 4.
    """
    plain, endless = ridge == 0, jnp.isinf(count)
    safe_count = guarded(~endless, count, 8.0)
    pull = guarded(~plain, ridge) * safe_count
    size, weight = _chi_square(safe_count)
    total = size + pull[..., None]
    shrunk = jnp.sum(weight * (pull[..., None] / total) ** 2, axis=-1)
    noisy = jnp.sum(weight * size / total**2, axis=-1)
    enough = count > 2
    unridged = jnp.where(enough, 1 / guarded(enough, count - 2), jnp.inf)
    unridged = unridged + _edge(ridge, safe_count, safe_count, jnp.ones_like(count))
    return _chosen(ridge, endless, plain, (shrunk, noisy), (0 * ridge, unridged))


@jax.jit
def best_refit(count: Array, label: Array, signal: Array) -> Array:
    """v E 1/(S + v/a^2), S ~ chi^2_n: what one feature costs at its best ridge, v the label's, a^2 the signal's."""
    live = (label > 0) & (signal > 0) & jnp.isfinite(count)
    size, weight = _chi_square(guarded(live, count, 8.0))
    pull = guarded(live, label) / guarded(live, signal)
    mean = jnp.sum(weight * guarded(live, label)[..., None] / (size + pull[..., None]), axis=-1)
    return jnp.where(live, mean, 0.0)


@jax.jit
def feature_moments(features: Array, count: Array, ridge: Array) -> tuple[Array, Array]:
    """k features: both numbers, with the unridged ones at lambda = 0 and their limits as n -> inf."""
    plain, endless = ridge == 0, jnp.isinf(count)
    count = guarded(~endless, count, 2.0 * features + 8.0)
    wide = (count < features) & (features > 1)
    small, large = jnp.where(wide, count, features), jnp.where(wide, features, count)
    pull = guarded(~plain, ridge) * count
    spare, less = large - small + 1, jnp.maximum(small - 1, 0.0)

    def trace(pull):
        return _columns(small, spare, partial(_columns, less, spare + 1, partial(_many, less - 1, large)), pull)

    phi, slope = _with_slope(trace, pull)
    shrunk, noisy = -(pull**2) * slope, phi + pull * slope
    unseen = jnp.where(count < features, 1 - count / features, 0.0)
    apart = large > small
    crowd = 1 + less / guarded(apart, large - small)
    unridged = noise_gain_exact(count, features) + _edge(ridge, count, spare, small * crowd)
    ridged = (jnp.where(wide, unseen, 0.0) + shrunk / features, noisy)
    return _chosen(ridge, endless, plain, ridged, (unseen, unridged))


def _chosen(ridge, endless, plain, ridged, unridged) -> tuple[Array, Array]:
    """The moments of the branch that holds: n = inf, lambda = 0, or neither."""
    limit = (ridge / (1 + ridge)) ** 2
    shrunk = jnp.where(endless, limit, jnp.where(plain, unridged[0], ridged[0]))
    return shrunk, jnp.where(endless, 0.0, jnp.where(plain, unridged[1], ridged[1]))


def _edge(ridge: Array, count: Array, spare: Array, weight: Array) -> Array:
    """Zero with the noise's slope at lambda = 0: -2 n weight E S^{-2}, S ~ chi^2_spare, -inf for spare <= 4."""
    plain, steep = ridge == 0, spare <= 4
    room = guarded(~steep, (spare - 2) * (spare - 4))
    line = -2 * count * weight / room * jnp.where(plain, ridge, 0.0)
    return jnp.where(steep, -jnp.sqrt(guarded(plain & steep, ridge)) * plain, line)


def _with_slope(function: Callable[[Array], Array], point: Array) -> tuple[Array, Array]:
    """A function of every entry, and its derivative."""
    return jax.jvp(function, (point,), (jnp.ones_like(point),))


def _many(features: Array, count: Array, pull: Array) -> Array:
    """phi of many features: phi = K/(t (1 + phi) + M - K - 1), right at t = 0 for any number."""
    features = jnp.maximum(features, 0.0)
    middle = pull + jnp.maximum(count - features - 1, 0.0)
    return 2 * features / (middle + jnp.sqrt(middle**2 + 4 * pull * features))


def _columns(features: Array, spare: Array, fewer: Callable[[Array], Array], pull: Array) -> Array:
    """phi of K features from the function phi of K - 1."""
    phi, slope = _with_slope(fewer, pull)
    held, spread = pull * phi, -(pull**2) * slope
    some = held > 0
    held, spread = guarded(some, held), guarded(some, spread)
    freedom = jnp.maximum(held**2 / guarded(spread > 0, spread), _LEAST_FREEDOM)
    size, weight = _chi_square(spare, _COLUMN_NODES, tail=48.0)
    square, mass = _chi_square(freedom, _SHRUNK_NODES, tail=24.0)
    shrunk = jnp.where(some, held / freedom, 0.0)[..., None] * square
    total = pull[..., None, None] + size[..., :, None] + shrunk[..., None, :]
    return features * jnp.sum(weight[..., :, None] * mass[..., None, :] / total, axis=(-1, -2))


def _chi_square(count: Array, nodes: int = _NODES, tail: float = 72.0) -> tuple[Array, Array]:
    """Nodes S and weights of chi^2_count on a last axis: the trapezoid rule in log S, which converges exponentially."""
    count = count[..., None]
    left = tail / count + 9 * jnp.sqrt(2 / count)
    right = jnp.log1p(80 / count + 9 * jnp.sqrt(2 / count))
    steps = jnp.linspace(0, 1, nodes, dtype=count.dtype).reshape((1,) * (count.ndim - 1) + (-1,))
    log_size = steps * (left + right) - left
    weight = jnp.exp(count / 2 * (log_size - jnp.expm1(log_size)))
    return count * jnp.exp(log_size), weight / jnp.sum(weight, axis=-1, keepdims=True)
