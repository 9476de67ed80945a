"""L2-SP: a ridge towards the pretrained vector, end to end; and the angle at which tuned transfer stops paying."""

import jax.numpy as jnp
import numpy as np

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.finite_source import kept, squared_distance, squared_norm
from tlx.theory.ridge import optimal_ridge, optimal_ridge_risk, ridge_risk


def l2sp_risk(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    penalty: Numbers,
    *,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
) -> Result:
    """Mean excess risk of ridge regression towards the pretrained vector, on n = g d isotropic samples as d -> inf.

    min |X beta - y|^2/n + lambda |beta - beta_pre|^2: R = `ridge_risk` at target_norm = |beta_t - beta_pre|, with
    |beta_t - beta_pre|^2 = r^2 - 2 m + q^2, q = |beta_pre|, m = <beta_t, beta_pre>.

    Args:
        overlap_angle: theta in [0, pi], radians, between source and target task.
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        penalty: lambda >= 0; 0 is the published endpoint of fine-tuning (c = 1), inf the pretrained vector itself.
        target_norm: r = |beta_t|.
        source_norm: rho = |beta_s|.
        source_ratio: g_s = n_s/d > 0, inf for a population.
        source_noise_std: sigma_s >= 0.

    Returns:
        E|beta_hat - beta_t|^2, the arguments broadcast. Infinite at g = 1 with noise at penalty 0, and at g_s = 1 with
        source noise.

    Source: derived here. L2-SP is Li, Grandvalet, Davoine 2018; compare Hedges, arXiv 2511.08401.
    """
    _checks.check_nonnegative("penalty", penalty)
    norm = _distance(overlap_angle, sample_ratio, noise_std, target_norm, source_norm, source_ratio, source_noise_std)
    lost = jnp.isinf(norm)
    ratio, noise, penalty, norm, lost = _arrays.common(sample_ratio, noise_std, penalty, norm, lost)
    risk = ridge_risk(ratio, noise, penalty, target_norm=_arrays.guarded(lost == 0, norm))
    return jnp.where(lost > 0, jnp.inf, risk)


def optimal_l2sp_penalty(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
) -> Result:
    """The penalty of `l2sp_risk` with the least risk: lambda = sigma^2/(g |beta_t - beta_pre|^2).

    Args:
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        target_norm: r.
        source_norm: rho.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.

    Returns:
        lambda, the arguments broadcast; inf where the pretrained vector is the target, 0 without noise.

    Source: `optimal_ridge` about the pretrained vector.
    """
    norm = _distance(overlap_angle, sample_ratio, noise_std, target_norm, source_norm, source_ratio, source_noise_std)
    return optimal_ridge(sample_ratio, noise_std, target_norm=norm)


def optimal_l2sp_risk(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
) -> Result:
    """Mean excess risk of L2-SP with its best penalty: `optimal_ridge_risk` at target_norm = |beta_t - beta_pre|.

    It is below that of tuned scratch where |beta_t - beta_pre| < |beta_t|, whatever g and sigma: see
    `tuned_break_even_angle`.

    Args:
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        target_norm: r.
        source_norm: rho.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.

    Returns:
        The least value of `l2sp_risk` over its penalty as d -> inf, the arguments broadcast; finite wherever q is, inf
        at g_s = 1 with source noise.

    Source: derived here.
    """
    norm = _distance(overlap_angle, sample_ratio, noise_std, target_norm, source_norm, source_ratio, source_noise_std)
    lost = jnp.isinf(norm)
    risk = optimal_ridge_risk(sample_ratio, noise_std, target_norm=_arrays.guarded(~lost, norm))
    risk, lost = _arrays.common(risk, lost)
    return jnp.where(lost > 0, jnp.inf, risk)


def tuned_break_even_angle(
    *,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
) -> Result:
    """The angle beyond which tuned L2-SP is worse than tuned scratch: m = q^2/2, cos theta = q/(2 r) for a population.

    With a finite source cos theta = q^2/(2 r rho min(g_s, 1)). It depends neither on g nor on sigma.

    Args:
        target_norm: r > 0.
        source_norm: rho > 0.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.

    Returns:
        The angle in [0, pi/2], the arguments broadcast; 60 degrees for equal norms and a population, 0 where tuned
        L2-SP never pays (q^2 >= 2 r rho min(g_s, 1)).

    Source: derived here, from `optimal_ridge_risk`, which grows with the norm.
    """
    _arrays.check_source(source_ratio, source_noise_std)
    _checks.check_positive("target_norm", target_norm)
    _checks.check_positive("source_norm", source_norm)
    norm, source_norm, ratio, noise = _arrays.common(target_norm, source_norm, source_ratio, source_noise_std)
    cosine = squared_norm(ratio, noise, source_norm, None) / (2 * norm * source_norm * kept(ratio))
    possible = cosine < 1
    return jnp.where(possible, jnp.arccos(_arrays.guarded(possible, cosine, 0.5)), 0.0)


def _distance(
    overlap_angle, sample_ratio, noise_std, target_norm, source_norm, source_ratio, source_noise_std
) -> Array:
    """|beta_t - beta_pre| (root mean square over source sets); the arguments are checked first."""
    _arrays.check_pair(overlap_angle, noise_std, target_norm, source_norm)
    _arrays.check_ratio("sample_ratio", sample_ratio)
    _arrays.check_source(source_ratio, source_noise_std)
    arrays = _arrays.common(overlap_angle, target_norm, source_norm, source_ratio, source_noise_std)
    return _arrays.root(squared_distance(*arrays))
