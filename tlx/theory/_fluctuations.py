"""Fine-tuning at finite dimension: the mean over data sets of what the null space contributes.

Per data set the gain is h = 2 c M - c^2 N with B = |beta_sc|^2, N = |(I-P) beta_pre|^2, M = beta_t^T (I-P) beta_pre,
Q = |beta_pre|^2 and c = c(B, N, Q). The noise part of B is sigma^2 S, S = chi^2_n/chi^2_{d-n+1} independent of P:
integrated exactly. The rest (Haar projector P, direction of the noise, source set) enters by its exact first and
second moments: E h = E_S[h + <Hessian, covariance>/2], so the error is O(1/d^2) away from n = 0 and n = d.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tlx.theory import _arrays
from tlx.theory._arrays import Array, guarded, times
from tlx.theory._fixed_point import norm_root

_NODES = 41


class SourceMoments(NamedTuple):
    """Means and covariances of q^2 = |beta_pre|^2 and m = <beta_t, beta_pre> over source sets."""

    square: Array
    overlap: Array
    square_var: Array
    overlap_var: Array
    covariance: Array


def projector_spread(rank: Array, dim: Array) -> Array:
    """The k in Cov(a'Pb, e'Pf) = k [(a.e)(b.f) + (a.f)(b.e) - (2/d)(a.b)(e.f)] for a Haar projector of this rank."""
    return rank * (dim - rank) / (dim * (dim - 1) * (dim + 2))


def ratio_variance(rank: Array, spare: Array) -> Array:
    """Variance of chi^2_rank/chi^2_spare, 2 n (n+k-2)/((k-2)^2 (k-4)); 0 where it does not exist (k <= 4)."""
    live = spare > 4
    spare = guarded(live, spare, 8.0)
    return jnp.where(live, 2 * rank * (rank + spare - 2) / ((spare - 2) ** 2 * (spare - 4)), 0.0)


def source_moments(
    norm: Array, source_norm: Array, cosine: Array, ratio: Array, noise: Array, dim: Array
) -> SourceMoments:
    """Exact first and second moments of (q^2, m) for minimum-norm interpolation of the source set."""
    endless = jnp.isinf(ratio)
    samples = guarded(~endless, ratio, 2.0) * dim
    rank = jnp.minimum(samples, dim)
    share, spread = rank / dim, projector_spread(rank, dim)
    raw = _arrays.noise_gain_exact(samples, dim)
    gain = jnp.where(endless, 0.0, guarded(jnp.isfinite(raw), raw, 0.0))
    chance = noise**2 * gain / dim
    overlap = norm * source_norm * cosine
    inverse = 1 - 1 / dim
    noise_var = jnp.where(endless, 0.0, noise**4 * ratio_variance(rank, jnp.abs(dim - samples) + 1))
    return SourceMoments(
        source_norm**2 * share + times(noise**2, gain),
        overlap * share,
        2 * spread * source_norm**4 * inverse + 4 * source_norm**2 * chance + noise_var,
        spread * (norm**2 * source_norm**2 + overlap**2 * (1 - 2 / dim)) + norm**2 * chance,
        2 * spread * source_norm**2 * overlap * inverse + 2 * overlap * chance,
    )


def covariance(norm: Array, noise: Array, size: Array, ratio: Array, dim: Array, source: SourceMoments) -> Array:
    """Covariance of (B, N, M, Q) given the size S of the noise part."""
    spread, inverse, free = projector_spread(ratio * dim, dim), 1 - 1 / dim, 1 - ratio
    square, overlap, square_var, overlap_var, joint = source
    energy = norm**2
    bb = 2 * spread * energy**2 * inverse + 4 * noise**2 * energy * size / dim
    bn = -spread * (2 * overlap**2 - 2 / dim * energy * square)
    bm = -2 * spread * energy * overlap * inverse
    nn = 2 * spread * square**2 * inverse + free**2 * square_var
    nm = 2 * spread * square * overlap * inverse + free**2 * joint
    mm = spread * (energy * square + overlap**2 * (1 - 2 / dim)) + free**2 * overlap_var
    nq, mq, zero = free * square_var, free * joint, jnp.zeros_like(bb)
    rows = [[bb, bn, bm, zero], [bn, nn, nm, nq], [bm, nm, mm, mq], [zero, nq, mq, square_var]]
    return jnp.stack([jnp.stack(row) for row in rows])


def noise_nodes(rank: Array, spare: Array) -> tuple[Array, Array]:
    """Nodes and normalised weights for chi^2_rank/chi^2_spare: the trapezoid rule in the logarithm."""
    width = 7 * jnp.sqrt(2 / rank + 2 / spare)
    left, right = width + 24 / rank, width + 24 / spare
    moved = jnp.linspace(0, 1, _NODES, dtype=rank.dtype) * (left + right) - left
    grown = jnp.log1p(rank / (rank + spare) * jnp.expm1(moved))
    weight = jnp.exp(rank / 2 * moved - (rank + spare) / 2 * grown)
    return rank / spare * jnp.exp(moved), weight / jnp.sum(weight)


def _gain(moments: Array, exponent: Array) -> Array:
    """H = 2 c M - c^2 N at one value of (B, N, M, Q)."""
    size, null, cross, square = moments
    root = norm_root(size / square, null / square, exponent)
    live = root > 0
    scale = jnp.where(live, guarded(live, root) ** (exponent / 2), 0.0)
    return 2 * scale * cross - scale**2 * null


@jax.jit
def mean_gain(
    ratio: Array, noise: Array, norm: Array, source_norm: Array, cosine: Array, source_ratio: Array,
    source_noise: Array, exponent: Array, dim: Array,
) -> Array:  # fmt: skip
    """E h over data sets (target and source) for g < 1, entry by entry."""
    return _arrays.elementwise(
        _mean_gain_of_one, ratio, noise, norm, source_norm, cosine, source_ratio, source_noise, exponent, dim
    )


def _mean_gain_of_one(ratio, noise, norm, source_norm, cosine, source_ratio, source_noise, exponent, dim):
    source = source_moments(norm, source_norm, cosine, source_ratio, source_noise, dim)
    live = source.square > 0
    source = source._replace(square=guarded(live, source.square))
    rank = ratio * dim
    sizes, weights = noise_nodes(rank, dim - rank + 1)

    def at_size(size):
        size = noise**2 * size
        mean = jnp.stack(
            [norm**2 * ratio + size, (1 - ratio) * source.square, (1 - ratio) * source.overlap, source.square]
        )
        spread = covariance(norm, jnp.ones_like(noise), size, ratio, dim, source)
        curvature = jax.jacfwd(jax.jacfwd(_gain))(mean, exponent)
        return _gain(mean, exponent) + jnp.sum(curvature * spread) / 2

    return jnp.sum(weights * jax.vmap(at_size)(sizes))
