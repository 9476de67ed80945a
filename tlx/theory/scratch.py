"""Training from scratch with small initial weights: the minimum-norm interpolator (Theorems 3.5, 3.6)."""

import jax.numpy as jnp

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Numbers, Result


def scratch_risk(
    sample_ratio: Numbers, noise_std: Numbers, *, target_norm: Numbers = 1.0, dim: Numbers | None = None
) -> Result:
    """Mean excess risk of a deep linear network trained from small weights on n = g d isotropic samples.

    R = r^2 (1 - g) + sigma^2 g/(1 - g) for g < 1, sigma^2/(g - 1) for g > 1; with `dim`, exactly
    R = r^2 (1 - n/d) + sigma^2 n/(d - n - 1) for n < d - 1, sigma^2 d/(n - d - 1) for n > d + 1.

    Args:
        sample_ratio: g = n/d > 0, samples per input dimension.
        noise_std: sigma >= 0, standard deviation of the label noise.
        target_norm: r = |beta_t|.
        dim: d, for the exact mean at finite dimension; None for d -> inf at fixed g.

    Returns:
        E|beta_hat - beta_t|^2, the arguments broadcast. Infinite at the pole (g = 1; with `dim`, n in
        {d-1, d, d+1}) unless sigma = 0, when only r^2 max(1 - g, 0) remains.

    Valid for any depth: the limit of small initial weights is X^+ y. Source: Theorems 3.5 and 3.6.
    """
    _arrays.check_ratio("sample_ratio", sample_ratio)
    _checks.check_nonnegative("noise_std", noise_std)
    _checks.check_nonnegative("target_norm", target_norm)
    _arrays.check_dim(dim)
    ratio, noise, norm, *rest = _arrays.common(sample_ratio, noise_std, target_norm, *([] if dim is None else [dim]))
    bias = norm**2 * jnp.where(ratio < 1, 1 - ratio, 0.0)
    return bias + _arrays.times(noise**2, _arrays.gain(ratio, *rest or [None]))
