"""Ridge on the directions orthogonal to the source only: between linear transfer and ridge from scratch."""

import jax.numpy as jnp
import numpy as np

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.finite_source import lost_alignment
from tlx.theory.ridge import optimal_ridge, optimal_ridge_risk, ridge_risk


def source_ridge_risk(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    penalty: Numbers,
    *,
    target_norm: Numbers = 1.0,
    num_samples: Numbers = np.inf,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
) -> Result:
    """Mean excess risk of ridge regression that leaves the learned direction free, lambda |(I - u u^T) beta|^2.

    R = R_0 + (sigma^2 + R_0)/(n - 2), R_0 = `ridge_risk` at target_norm = r sin phi: the free coefficient costs
    what a probe costs, with whatever the rest misses as its noise.

    Args:
        overlap_angle: theta in [0, pi], radians, between source and target task.
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        penalty: lambda >= 0 in |X beta - y|^2/n + lambda |(I - u u^T) beta|^2, u = beta_pre/|beta_pre|. inf is
            `linear_transfer_risk`, 0 the minimum-norm fit beside u.
        target_norm: r = |beta_t|.
        num_samples: n > 2 of the second term; inf for the limit d -> inf.
        source_norm: rho_s = |beta_s|; it matters only beside source noise.
        source_ratio: g_s = n_s/d > 0, inf for a population: turns theta into phi, see `pretrained_angle`.
        source_noise_std: sigma_s >= 0.

    Returns:
        E|beta_hat - beta_t|^2, the arguments broadcast. R_0 is the limit d -> inf, an error of O(1/d); the second
        term is exact given R_0. Infinite for n <= 2 unless nothing is missed, and at g = 1 with noise at penalty 0.

    Source: derived here, by regressing the free direction out.
    """
    _checks.check_nonnegative("penalty", penalty)
    norm = _across(
        overlap_angle, sample_ratio, noise_std, target_norm, num_samples, source_norm, source_ratio, source_noise_std
    )
    return _with_probe(ridge_risk(sample_ratio, noise_std, penalty, target_norm=norm), noise_std, num_samples)


def optimal_source_ridge_penalty(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
) -> Result:
    """The penalty of `source_ridge_risk` with the least risk: lambda = sigma^2/(g r^2 sin^2 phi).

    Args:
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        target_norm: r.
        source_norm: rho_s.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.

    Returns:
        lambda, the arguments broadcast; inf (linear transfer) where the feature holds all of the target.

    Source: `optimal_ridge` across the learned direction.
    """
    norm = _across(
        overlap_angle, sample_ratio, noise_std, target_norm, np.inf, source_norm, source_ratio, source_noise_std
    )
    return optimal_ridge(sample_ratio, noise_std, target_norm=norm)


def optimal_source_ridge_risk(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    target_norm: Numbers = 1.0,
    num_samples: Numbers = np.inf,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
) -> Result:
    """Mean excess risk of the ridge orthogonal to the source with its best penalty.

    At n = inf never above `optimal_ridge_risk` (tuned scratch) nor above `linear_transfer_risk`, at any angle.

    Args:
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        target_norm: r.
        num_samples: n > 2 of the term for the free coefficient; inf for the limit.
        source_norm: rho_s.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.

    Returns:
        The least value of `source_ridge_risk` over its penalty, the arguments broadcast.

    Source: derived here.
    """
    norm = _across(
        overlap_angle, sample_ratio, noise_std, target_norm, num_samples, source_norm, source_ratio, source_noise_std
    )
    return _with_probe(optimal_ridge_risk(sample_ratio, noise_std, target_norm=norm), noise_std, num_samples)


def _across(angle, ratio, noise, norm, count, source_norm, source_ratio, source_noise) -> Array:
    """r sin phi, what the learned direction does not hold; the arguments are checked first."""
    _arrays.check_pair(angle, noise, norm, source_norm)
    _arrays.check_ratio("sample_ratio", ratio)
    _arrays.check_source(source_ratio, source_noise)
    _checks.check_positive("num_samples", count, remedy="Pass at least one target sample.")
    angle, norm, source_norm, source_ratio, source_noise = _arrays.common(
        angle, norm, source_norm, source_ratio, source_noise
    )
    lost = lost_alignment(source_ratio, source_noise, source_norm, None)
    return norm * _arrays.root(jnp.sin(angle) ** 2 + jnp.cos(angle) ** 2 * lost)


def _with_probe(missed: Array, noise_std: Numbers, num_samples: Numbers) -> Array:
    """R_0 + (sigma^2 + R_0)/(n - 2)."""
    missed, noise, count = _arrays.common(missed, noise_std, num_samples)
    enough = count > 2
    cost = jnp.where(enough, 1 / _arrays.guarded(enough, count - 2), jnp.inf)
    finite = jnp.isfinite(missed)
    return missed + _arrays.times(noise**2 + _arrays.guarded(finite, missed), cost)
