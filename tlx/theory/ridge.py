"""Ridge regression on isotropic inputs at any ridge, and at the best one (the tuned scratch baseline)."""

import jax.numpy as jnp

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result


def effective_ridge(inverse_ratio: Array, ridge: Array) -> Array:
    """The kappa >= 0 with kappa - kappa G/(1 + kappa) = lambda, free of cancellation on both sides of G = 1."""
    slope = 1 - inverse_ratio - ridge
    root = slope**2 + 4 * ridge
    root = jnp.where(root > 0, jnp.sqrt(_arrays.guarded(root > 0, root)), 0.0)
    negative = slope <= 0
    direct = (root - slope) / 2
    rational = 2 * ridge / _arrays.guarded(~negative, root + slope)
    return jnp.where(negative, direct, rational)


def ridge_risk(sample_ratio: Numbers, noise_std: Numbers, ridge: Numbers, *, target_norm: Numbers = 1.0) -> Result:
    """Mean excess risk of (X^T X/n + lambda I)^{-1} X^T y/n on isotropic samples as d -> inf.

    R = (r^2 kappa^2/(1 + kappa)^2 + sigma^2 f)/(1 - f), f = G/(1 + kappa)^2, G = 1/g,
    kappa - kappa G/(1 + kappa) = lambda.

    Args:
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        ridge: lambda >= 0, the penalty in |X beta - y|^2/n + lambda |beta|^2. Zero is the minimum-norm solution, inf
            the zero vector.
        target_norm: r = |beta_t|.

    Returns:
        E|beta_hat - beta_t|^2, the arguments broadcast; `scratch_risk` at lambda = 0, with its pole at g = 1.

    Source: the Marchenko-Pastur deterministic equivalent (Hastie, Montanari, Rosset, Tibshirani 2022, Theorem 5).
    """
    _arrays.check_ratio("sample_ratio", sample_ratio)
    for name, value in (("noise_std", noise_std), ("ridge", ridge), ("target_norm", target_norm)):
        _checks.check_nonnegative(name, value)
    ratio, noise, ridge, norm = _arrays.common(sample_ratio, noise_std, ridge, target_norm)
    endless = jnp.isinf(ridge)
    ridge = _arrays.guarded(~endless, ridge)
    kappa = effective_ridge(1 / ratio, ridge)
    freedom = 1 / (ratio * (1 + kappa) ** 2)
    pole = (ridge == 0) & (ratio == 1)
    bias, room = (norm * kappa / (1 + kappa)) ** 2, _arrays.guarded(~pole, 1 - freedom)
    risk = jnp.where(pole, jnp.where(noise > 0, jnp.inf, 0.0), (bias + noise**2 * freedom) / room)
    return jnp.where(endless, norm**2, risk)


def optimal_ridge(sample_ratio: Numbers, noise_std: Numbers, *, target_norm: Numbers = 1.0) -> Result:
    """The ridge with the least risk: lambda = sigma^2/(g r^2), infinite for a zero target.

    Args:
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        target_norm: r = |beta_t|.

    Returns:
        The penalty lambda of `ridge_risk`, exact at any dimension for an isotropic prior on the target.

    Source: Figure 5 of the paper; Dobriban and Wager 2018, Theorem 2.1.
    """
    _arrays.check_ratio("sample_ratio", sample_ratio)
    _checks.check_nonnegative("noise_std", noise_std)
    _checks.check_nonnegative("target_norm", target_norm)
    ratio, noise, norm = _arrays.common(sample_ratio, noise_std, target_norm)
    return jnp.where(norm > 0, noise**2 / (ratio * _arrays.guarded(norm > 0, norm) ** 2), jnp.inf)


def optimal_ridge_risk(sample_ratio: Numbers, noise_std: Numbers, *, target_norm: Numbers = 1.0) -> Result:
    """Mean excess risk of scratch training with the best ridge (tuned weight decay): no double-descent peak.

    R = r^2 k m(-k) = r^2 (sqrt((1 - G + k)^2 + 4 G k) - (1 - G + k))/(2 G), G = 1/g, k = sigma^2 G/r^2.

    Args:
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        target_norm: r = |beta_t|.

    Returns:
        The least value of `ridge_risk` over its ridge as d -> inf, the arguments broadcast; finite everywhere
        (at sigma = 0 it is r^2 max(1 - g, 0), with a corner at g = 1).

    Source: Figure 5 of the paper; Dobriban and Wager 2018, Theorem 2.1.
    """
    best = optimal_ridge(sample_ratio, noise_std, target_norm=target_norm)
    ratio, norm, best = _arrays.common(sample_ratio, target_norm, best)
    finite = jnp.isfinite(best)
    best = _arrays.guarded(finite, best)
    slope = 1 - 1 / ratio + best
    root = slope**2 + 4 * best / ratio
    root = jnp.where(root > 0, jnp.sqrt(_arrays.guarded(root > 0, root)), 0.0)
    direct = ratio * (root - slope) / 2
    rational = 2 * best / _arrays.guarded(slope > 0, root + slope)
    return norm**2 * jnp.where(finite, jnp.where(slope > 0, rational, direct), 0.0)
