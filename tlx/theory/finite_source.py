"""What pretraining on a finite, noisy source set leaves of the source task (Theorem C.1)."""

import jax
import jax.numpy as jnp

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory._noise_size import fit_shape, noise_nodes


def pretrained_norm(
    source_ratio: Numbers,
    source_noise_std: Numbers,
    *,
    source_norm: Numbers = 1.0,
    dim: Numbers | None = None,
) -> Result:
    """Root mean square norm of the pretrained vector, the minimum-norm interpolator of the source set.

    |beta_pre|^2 = rho^2 g_s + sigma_s^2 g_s/(1 - g_s) for g_s < 1, rho^2 + sigma_s^2/(g_s - 1) for g_s > 1.

    Args:
        source_ratio: g_s = n_s/d > 0; inf for pretraining on the population.
        source_noise_std: sigma_s >= 0, label noise of the source set.
        source_norm: rho = |beta_s|, norm of the source task.
        dim: d, for the exact second moment (n_s/(d - n_s - 1) and d/(n_s - d - 1) in the noise terms).

    Returns:
        sqrt(E|beta_pre|^2), the arguments broadcast; inf at g_s = 1 with noise.

    Source: proof of Theorem C.1.
    """
    check = _arrays.check_source
    check(source_ratio, source_noise_std)
    _checks.check_nonnegative("source_norm", source_norm)
    _arrays.check_dim(dim)
    ratio, noise, norm, *rest = _arrays.common(
        source_ratio, source_noise_std, source_norm, *([] if dim is None else [dim])
    )
    square = squared_norm(ratio, noise, norm, *rest or [None])
    live = square > 0
    return jnp.where(live, jnp.sqrt(_arrays.guarded(live, square)), 0.0)


def squared_norm(ratio: Array, noise: Array, norm: Array, dim: Array | None) -> Array:
    """E|beta_pre|^2 from arguments already brought to one shape."""
    return norm**2 * kept(ratio) + _arrays.times(noise**2, _arrays.gain(ratio, dim))


def squared_distance(angle: Array, norm: Array, source_norm: Array, ratio: Array, noise: Array) -> Array:
    """E|beta_t - beta_pre|^2 = r^2 - 2 m + q^2 as a sum of squares, which keeps its digits near zero."""
    share = kept(ratio)
    apart = (norm - source_norm) ** 2 + 4 * norm * source_norm * jnp.sin(angle / 2) ** 2
    return norm**2 * (1 - share) + share * apart + _arrays.times(noise**2, _arrays.gain(ratio, None))


def kept(ratio: Array) -> Array:
    """The share of the source task inside the span of the source samples: min(g_s, 1)."""
    return jnp.where(ratio < 1, ratio, 1.0)


def lost_alignment(ratio: Array, noise: Array, norm: Array, dim: Array | None) -> Array:
    """1 - E[cos^2] between the pretrained vector and the source task; 1 when there is nothing to learn.

    Without `dim` the limit 1 - rho^2 g_s^2/E|beta_pre|^2 (g_s squared only below 1), free of cancellation, and 1 at
    g_s = 1 with noise. With it the mean over source sets, finite at every n_s: the size of the noise is integrated,
    the span and the noise's direction enter to second order.
    """
    share = kept(ratio)
    noise_part = _arrays.times(noise**2, _arrays.gain(ratio, None))
    total = norm**2 * share + noise_part
    live = (total > 0) & jnp.isfinite(total)
    safe = _arrays.guarded(live, total)
    lost = (norm**2 * share * (1 - share) + _arrays.guarded(live, noise_part, 0.0)) / safe
    limit = jnp.where(live, lost, 1.0)
    if dim is None:
        return limit
    population = jnp.isinf(ratio) | ((noise == 0) & (ratio >= 1))
    usable = (norm > 0) & ~population
    ratio = _arrays.guarded(usable, ratio, 0.5)
    mean = _mean_losses(ratio, _arrays.guarded(usable, noise), _arrays.guarded(usable, norm), dim)
    return jnp.where(usable, mean, jnp.where(norm > 0, limit, 1.0))


@jax.jit
def _mean_losses(*arrays: Array) -> Array:
    return _arrays.elementwise(_mean_loss, *arrays)


def _mean_loss(ratio: Array, noise: Array, norm: Array, dim: Array) -> Array:
    """1 - E[cos^2], summed over the nodes of the noise's size, to second order in the span and its direction."""
    rank, spare = fit_shape(ratio * dim, dim)
    span = rank / dim
    span_var = 2 * span * (1 - span) / (dim + 2)
    mean = jnp.stack([span, jnp.zeros_like(span)])
    variance = jnp.stack([span_var, 1 / rank])

    def at_size(size: Array) -> Array:
        def loss(moved: Array) -> Array:
            inside, along = moved
            signal, kick = norm * jnp.sqrt(inside), noise * jnp.sqrt(size)
            aligned = inside * (signal + kick * along) ** 2
            return 1 - aligned / (signal**2 + kick**2 + 2 * signal * kick * along)

        return loss(mean) + jnp.sum(jnp.diagonal(jax.hessian(loss)(mean)) * variance) / 2

    sizes, weights = noise_nodes(rank, spare)
    return jnp.sum(weights * jax.vmap(at_size)(sizes))


def pretrained_angle(
    overlap_angle: Numbers, source_ratio: Numbers, source_noise_std: Numbers, *, source_norm: Numbers = 1.0
) -> Result:
    """The angle phi between the target and what was really learned from a finite source set.

    cos^2 phi = cos^2 theta g_s/(1 + t/(1 - g_s)) for g_s < 1, cos^2 theta/(1 + t/(g_s - 1)) above, t = (sigma_s/rho)^2.

    Args:
        overlap_angle: theta in [0, pi], radians, between the source and target tasks.
        source_ratio: g_s = n_s/d > 0; inf for a population.
        source_noise_std: sigma_s >= 0.
        source_norm: rho = |beta_s|.

    Returns:
        phi in [0, pi] on the same side of pi/2 as theta; pi/2 at g_s = 1 with noise. Limit d -> inf.

    Source: linear transfer from a finite source; absent from the paper.
    """
    _arrays.check_pair(overlap_angle, 0.0, 1.0, source_norm)
    _arrays.check_source(source_ratio, source_noise_std)
    angle, ratio, noise, norm = _arrays.common(overlap_angle, source_ratio, source_noise_std, source_norm)
    lost = lost_alignment(ratio, noise, norm, None)
    along, live = jnp.cos(angle), lost < 1
    tilted = lost > 0
    across = jnp.sqrt(_arrays.guarded(tilted, jnp.sin(angle) ** 2 + along**2 * lost))
    across = jnp.where(tilted, across, jnp.sin(angle))
    return jnp.arctan2(across, along * jnp.where(live, jnp.sqrt(_arrays.guarded(live, 1 - lost)), 0.0))
