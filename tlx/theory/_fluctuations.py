"""Fine-tuning at finite dimension: the mean over data sets of what the null space contributes.

Per data set the gain is h = 2 c M - c^2 N with B = |beta_sc|^2, N = |(I-P) beta_pre|^2, M = beta_t^T (I-P) beta_pre,
Q = |beta_pre|^2 and c = c(B, N, Q). The noise part of B is sigma^2 S, S = chi^2_n/chi^2_{d-n+1} independent of P:
integrated, and so is the size of the source set's noise. The rest (Haar projectors, directions of both noises) enters
by its exact first and second moments given the two sizes: E h = E[h + <Hessian, covariance>/2], an error of O(1/d^2)
in the span and the directions, at any source ratio.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tlx.theory import _arrays
from tlx.theory._arrays import Array, guarded
from tlx.theory._fixed_point import norm_root
from tlx.theory._noise_size import fit_shape, noise_nodes


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


def source_moments(
    norm: Array, source_norm: Array, cosine: Array, ratio: Array, noise: Array, dim: Array, size: Array
) -> SourceMoments:
    """Exact first and second moments of (q^2, m) for minimum-norm interpolation of the source set.

    Given the size S_s of the noise in the fit, |X_s^+ eps_s|^2 = sigma_s^2 S_s; its direction is uniform in the span.
    """
    endless = jnp.isinf(ratio)
    rank, _ = fit_shape(guarded(~endless, ratio, 2.0) * dim, dim)
    share, spread = rank / dim, projector_spread(rank, dim)
    energy = jnp.where(endless, 0.0, noise**2 * size)
    chance = energy / dim
    overlap = norm * source_norm * cosine
    inverse = 1 - 1 / dim
    return SourceMoments(
        source_norm**2 * share + energy,
        overlap * share,
        2 * spread * source_norm**4 * inverse + 4 * source_norm**2 * chance,
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


def _gain(moments: Array, exponent: Array) -> Array:
    """H = 2 c M - c^2 N at one value of (B, N, M, Q)."""
    size, null, cross, square = moments
    root = norm_root(size / square, null / square, exponent)
    live = root > 0
    scale = jnp.where(live, guarded(live, root) ** (exponent / 2), 0.0)
    return 2 * scale * cross - scale**2 * null


@partial(jax.jit, static_argnames="noisy_source")
def mean_gain(
    ratio: Array, noise: Array, norm: Array, source_norm: Array, cosine: Array, source_ratio: Array,
    source_noise: Array, exponent: Array, dim: Array, *, noisy_source: bool,
) -> Array:  # fmt: skip
    """E h over data sets (target and source) for g < 1, entry by entry; `noisy_source` False spares S_s."""
    of_one = partial(_mean_gain_of_one, noisy_source=noisy_source)
    return _arrays.elementwise(
        of_one, ratio, noise, norm, source_norm, cosine, source_ratio, source_noise, exponent, dim
    )


def _mean_gain_of_one(
    ratio, noise, norm, source_norm, cosine, source_ratio, source_noise, exponent, dim, *, noisy_source
):
    """Sum over the nodes of the source's noise size of the mean over target sets."""

    def at_source_size(size):
        source = source_moments(norm, source_norm, cosine, source_ratio, source_noise, dim, size)
        live = source.square > 0
        return _mean_over_target(
            ratio, noise, norm, exponent, dim, source._replace(square=guarded(live, source.square))
        )

    if not noisy_source:
        return at_source_size(jnp.zeros_like(dim))
    endless = jnp.isinf(source_ratio)
    sizes, weights = noise_nodes(*fit_shape(guarded(~endless, source_ratio, 2.0) * dim, dim), growth=1.0)
    return jnp.sum(weights * jax.lax.map(at_source_size, sizes))


def _mean_over_target(ratio: Array, noise: Array, norm: Array, exponent: Array, dim: Array, source: SourceMoments):
    """E h over target sets, and over spans and directions of source sets."""
    sizes, weights = noise_nodes(*fit_shape(ratio * dim, dim), growth=exponent)

    def at_size(size):
        size = noise**2 * size
        mean = jnp.stack(
            [norm**2 * ratio + size, (1 - ratio) * source.square, (1 - ratio) * source.overlap, source.square]
        )
        spread = covariance(norm, jnp.ones_like(noise), size, ratio, dim, source)
        curvature = jax.jacfwd(jax.jacfwd(_gain))(mean, exponent)
        return _gain(mean, exponent) + jnp.sum(curvature * spread) / 2

    return jnp.sum(weights * jax.vmap(at_size)(sizes))
